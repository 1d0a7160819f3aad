//! The examples that `--help` and the pages of the manual end with. A test parses every one of them.

pub(super) const TOP: &str = "\
Examples:
  nixdash                                   Opens the dashboard
  nixdash --hosts fleet.toml                Opens it on another file
  nixdash init                              Makes a hosts.toml from what is there
  nixdash config check                      Names every mistake in hosts.toml
  nixdash status                            Measures everything once
  nixdash deploy samsung                    Shows a plan, asks, deploys
  nixdash lab                               Tries all this on a practice fleet

Exit codes:
  0    all done, unchanged, or waiting for a reboot only
  1    a host failed, is degraded or offline, was skipped, was not seen any more, was rolled
       back, or was deployed by somebody else meanwhile; or a gate failed
  2    the command or the configuration is wrong
  3    status --fail-on found something so bad
  130  interrupted";

pub(super) const STATUS: &str = "\
Examples:
  nixdash status                            Every host and every tier
  nixdash status samsung @laptop            These hosts only
  nixdash status --json                     For programs
  nixdash status --line                     One line for a status bar
  nixdash status --fail-on error            Exits with 3 when something is broken";

pub(super) const DEPLOY: &str = "\
Examples:
  nixdash deploy samsung                    Shows the plan and asks
  nixdash deploy @laptop --yes              Does it without asking
  nixdash deploy samsung --verbose          Shows each script that is run on a host
  nixdash deploy 'p*' --allow-protected p510  Lets a protected host take part
  nixdash deploy samsung --action boot      Starts the new system at the next reboot
  nixdash deploy samsung --action dry-activate  Says what an activation would do
  nixdash deploy samsung --action boot --reboot  Restarts it too, and waits until it is back
  nixdash deploy samsung --built            Deploys what nixdash build built, without evaluating
  nixdash deploy samsung --to /nix/store/abc-nixos-system-samsung-26.05  Deploys that system
  nixdash deploy razer --first              The first deploy of a machine that becomes NixOS
  nixdash deploy - --yes                    Takes the names of hosts from standard input
  nixdash deploy razer --ask-sudo-password  Asks once for the password that sudo wants there
  nixdash deploy all --yes --json           One JSON object per line";

pub(super) const ROLLBACK: &str = "\
Examples:
  nixdash rollback samsung                  To the generation before the running one, by number
  nixdash rollback samsung --to 75          To that generation
  nixdash rollback samsung --to 75 --reboot  Restarts it when that generation is permanent";

pub(super) const RETRY: &str = "\
Examples:
  nixdash retry 41                          The hosts of run 41 that did not end well
  nixdash retry 41 samsung @laptop          Only these of them
  nixdash retry last --yes                  Those of the newest run, without asking";

pub(super) const BUILD: &str = "\
Examples:
  nixdash build samsung                     Builds on the builder
  nixdash build all --quiet                 Without the logs";

pub(super) const REATTACH: &str = "\
Examples:
  nixdash reattach                          Goes on with the newest run that was left
  nixdash reattach 41                       Goes on with run 41, or follows it
  nixdash reattach 41 --end                 Asks its hosts what became of them, and ends it";

pub(super) const HISTORY: &str = "\
Examples:
  nixdash history                           The newest 20 runs
  nixdash history samsung --since 7d        A week of one host
  nixdash history --events --since 1d       What happened to all hosts and caches since yesterday
  nixdash history --limit 5 --json          For programs";

pub(super) const RUNS: &str = "\
Examples:
  nixdash runs                              The newest 20 runs, as nixdash history
  nixdash runs export 41                    Writes run 41 to nixdash-run-41.jsonl.gz
  nixdash runs export 41 -o /tmp/run.gz     Writes it to another file
  nixdash runs view nixdash-run-41.jsonl.gz  Shows it on any machine
  nixdash runs view run.gz --json           How it ended, for programs";

pub(super) const LOGS: &str = "\
Examples:
  nixdash logs                              The newest 20 runs, and how big their logs are
  nixdash logs last                         The newest run: its hosts merged by time
  nixdash logs 41 samsung                   One host of run 41
  nixdash logs last --follow                Goes on until the run ends
  nixdash logs 41 --errors                  What went wrong, and why hosts failed
  nixdash logs 41 --derivation firefox      What the build of a package printed
  nixdash logs 41 --derivation linux-6.12   The log of a derivation with this in its name
  nixdash logs 41 --phase activate,check    Lines of these phases
  nixdash logs 41 --grep 'error|warning'    Lines that match
  nixdash logs 41 --since 10m --json        For programs, one object per line";

pub(super) const SAY: &str = "\
Examples:
  nixdash say 41 pause                      No host of run 41 begins anything more
  nixdash say last resume                   The newest run goes on, or makes a check again
  nixdash say 41 accept                     You looked yourself: the check counts as passed
  nixdash say 41 skip samsung               Leaves a host out
  nixdash say 41 retry samsung              Tries a host again in the same run
  nixdash say 41 rollback wave              Names the hosts that go back, and asks";

pub(super) const SILENCE: &str = "\
Examples:
  nixdash silence                           What is silenced, in hosts.toml and here
  nixdash silence add disk-low --host p510 --for 7d --reason known  Is not an alarm for a week
  nixdash silence add room-low --tier weed --until 2026-12-31 --reason planned
  nixdash silence add units-failed --host p510 --until-it-changes --reason known
  nixdash silence end disk-low --host p510  It is an alarm again";

pub(super) const GENERATIONS: &str = "\
Examples:
  nixdash generations samsung               Which systems it has, and which is in use for what
  nixdash generations samsung diff 75 77    What differs between two of them
  nixdash generations samsung diff booted running --json  For programs";

pub(super) const SHELL: &str = "\
Examples:
  nixdash shell samsung                     A shell there; exit leads back
  nixdash shell samsung -- journalctl -f    Runs one command there";

pub(super) const UNITS: &str = "\
Examples:
  nixdash units samsung                     Units that failed, then the services that run
  nixdash units samsung --json              For programs
  nixdash units samsung sshd.service        The newest 200 lines of the journal of one
  nixdash units samsung sshd.service --follow  And new lines as they come";

pub(super) const WAKE: &str = "\
Examples:
  nixdash wake p620                         Wakes it and waits until it answers
  nixdash wake @laptop --limit 0s           Sends the packets and waits for nothing";

pub(super) const CACHES: &str = "\
Examples:
  nixdash caches                            State, size, growth and shares of every tier
  nixdash caches --since 30d                Shares and growth of a month
  nixdash caches --next samsung             What its next system needs, and who holds it
  nixdash caches --deep                     What hard links save, and what is garbage
  nixdash caches --verify p620              Fetches a nar whole and compares its hash";

pub(super) const EXPORTER: &str = "\
Examples:
  nixdash exporter                          Serves http://127.0.0.1:9632/metrics
  nixdash exporter --listen 0.0.0.0:9632    Lets other machines read";

pub(super) const TRUST: &str = "\
Examples:
  nixdash trust                             Trusts ./hosts.toml as it is now
  nixdash trust --revoke                    Takes that back";

pub(super) const TRUST_HOST: &str = "\
Examples:
  nixdash trust-host razer                  Shows its ssh key and asks whether to accept it
  nixdash trust-host all --json             Keys of all hosts and what is known of them
  nixdash trust-host razer --fingerprint SHA256:…  Accepts exactly this key";

pub(super) const INIT: &str = "\
Examples:
  nixdash init                              Shows a hosts.toml for the flake of this folder
  nixdash init ~/nixos --write              For another flake; asks, then writes ./hosts.toml
  nixdash init --ssh-config ssh_config      Takes addresses from another file than ~/.ssh/config
  nixdash init --output fleet.toml          Writes a file that is not there yet
  nixdash init --hosts fleet.toml           Shows what that file lacks
  nixdash init github:me/nixos --json       For programs";

pub(super) const CONFIG: &str = "\
Examples:
  nixdash config check                      Names every mistake with its place and what to do
  nixdash config keys                       Prints every key and what it means
  nixdash config shortcuts                  Prints what can be pressed in the dashboard";

pub(super) const LAB: &str = "\
Examples:
  nixdash lab                               Sets it up and opens the dashboard on it
  nixdash lab up --yes                      Sets it up and returns
  nixdash lab bump samsung                  Gives the next deploy something to do
  nixdash lab bump samsung --break activation  Lets the next activation fail
  nixdash lab fault samsung partition       Pulls the cable
  nixdash lab fault samsung clear           Plugs it in again
  nixdash lab shell p510 -- systemctl status  Runs a command there as root
  nixdash lab down                          Ends it, and says what stays for the next one
  nixdash lab down --all                    Removes that too";

pub(super) const COMPLETIONS: &str = "\
Examples:
  nixdash completions bash                  Prints what belongs in ~/.bashrc
  nixdash completions fish                  Prints what belongs in ~/.config/fish/completions";

pub(super) const MAN: &str = "\
Examples:
  nixdash man                               The page of nixdash
  nixdash man deploy                        The page of one subcommand
  nixdash man lab fault                     The page of one below it
  nixdash man --dir man1                    Writes every page into a folder";

pub(super) const FINDINGS: &str = "\
Examples:
  nixdash findings                          Prints every code, in Markdown";

pub(super) const SCRIPTS: &str = "\
Examples:
  nixdash scripts                           Names every script that a deploy runs
  nixdash scripts supervise.sh              Prints what runs on the target while it activates";

#[cfg(test)]
mod tests {
    use crate::cli::Cli;
    use clap::{CommandFactory, Parser};

    /// Splits a line as a shell does, as far as examples need it. A fingerprint is written out, as a person would.
    fn words(line: &str) -> Vec<String> {
        let fingerprint = format!("SHA256:{}", "A".repeat(43));
        let line = line.replace("SHA256:…", &fingerprint);
        line.split(' ').map(|word| word.trim_matches('\'').to_owned()).collect()
    }

    /// Returns the lines of the examples of a command, and of all below it.
    fn examples(command: &clap::Command, all: &mut Vec<String>) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let lines = help.lines().filter(|line| line.starts_with("  nixdash"));
        all.extend(lines.filter_map(|line| Some(line.trim().split("  ").next()?.to_owned())));
        for below in command.get_subcommands() {
            examples(below, all);
        }
    }

    #[test]
    fn every_example_is_a_command_that_is_understood() {
        let mut all = Vec::new();
        examples(&Cli::command(), &mut all);
        for line in &all {
            if let Err(error) = Cli::try_parse_from(words(line)) {
                panic!("{line}: {error}");
            }
        }
        assert!(all.len() > 40, "{all:#?}");
    }

    #[test]
    fn every_subcommand_has_examples() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_after_help().is_some(), "{}", command.get_name());
        }
    }
}
