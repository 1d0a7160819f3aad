//! Check: units and configured commands of a freshly activated host.

use super::scripts::CHECK;
use super::step::Step;
use crate::deploy::words::FAILED_UNITS_UNREAD;
use crate::deploy::{FailedUnit, Failure, Report};
use crate::fleet::printable_line;
use crate::remote::Script;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long each configured command may take, in seconds; `check.sh` has the same figure.
const COMMAND_LIMIT_S: u64 = 60;

/// Returns how long so many commands and a look at the units may take.
pub(super) fn limit(commands: usize) -> Duration {
    Duration::from_secs(30 + (COMMAND_LIMIT_S + 5) * commands as u64)
}

pub(super) async fn check(step: &Step) -> Result<Report, Failure> {
    step.config()?;
    if step.known.abort.is_some() {
        return Ok(Report::Done);
    }
    let (new_failed_units, broken) = match look(step).await {
        Ok(found) => found,
        // The host is activated and reachable a moment ago: let the supervisor go back.
        Err(why) => (Vec::new(), vec![nothing_checked(&why)]),
    };
    Ok(Report::Checked { new_failed_units, broken })
}

/// Looks at the units of a host and runs its configured commands; returns the units that had not failed before
/// the deploy, and the commands that failed, with what could not be looked at. Fails with the reason why nothing could be checked.
pub(super) async fn look(step: &Step) -> Result<(Vec<FailedUnit>, Vec<String>), String> {
    let commands = step.config().map_or(&[][..], |host| host.check.as_slice());
    let job = step.shared.job_name("activate", &step.host.name);
    let mut script = Script::new(CHECK).root().limit(limit(commands.len())).arg(job);
    script.args.extend(commands.iter().cloned());
    let mut output = step.runner.run(&step.host.name, &script).await;
    if output.as_ref().is_err_and(crate::remote::RemoteError::is_passing) {
        output = step.runner.run(&step.host.name, &script).await;
    }
    let output = output.map_err(|error| error.to_string())?;
    if !output.is_ok() {
        return Err(output.complaint());
    }
    let mut new_failed_units = Vec::new();
    let mut broken = Vec::new();
    let mut were_units_read = false;
    for (key, text) in output.stdout.lines().filter_map(|line| line.split_once('\t')) {
        match key {
            "held" => step.log(&format!("passed: {}", command(commands, text))).await,
            "broken" => {
                let why = failed_command(commands, text);
                step.log(&format!("failed: {why}")).await;
                broken.push(why);
            }
            "failed" => {
                if let Some(unit) = newly_failed(text, &step.known.preflight.failed_units) {
                    step.log(&format!("unit failed: {unit}")).await;
                    new_failed_units.push(unit);
                }
            }
            "units" => were_units_read = true,
            _ => {}
        }
    }
    if !were_units_read {
        step.log(&format!("failed: {FAILED_UNITS_UNREAD}")).await;
        broken.push(FAILED_UNITS_UNREAD.to_owned());
    }
    Ok((new_failed_units, broken))
}

/// Returns a configured command by its number, as one printable line.
pub(super) fn command(commands: &[String], number: &str) -> String {
    let named = number.trim().parse().ok().and_then(|number: usize| commands.get(number));
    named.map_or_else(
        || "a command that hosts.toml does not name".to_owned(),
        |command| command.lines().map(printable_line).collect::<Vec<_>>().join(" "),
    )
}

/// Returns a command that failed, with how it ended and what it printed last: `NUMBER<TAB>how<TAB>last line`.
fn failed_command(commands: &[String], text: &str) -> String {
    let mut fields = text.splitn(3, '\t');
    let mut field = || fields.next().unwrap_or_default();
    let (command, how) = (command(commands, field()), printable_line(field()));
    let said = printable_line(field());
    let said = said.trim();
    if said.is_empty() {
        format!("{command} ({how})")
    } else {
        format!("{command} ({how}: {said})")
    }
}

/// Returns a unit that had not failed before, with the last line that it wrote itself.
fn newly_failed(text: &str, before: &BTreeSet<String>) -> Option<FailedUnit> {
    let (name, said) = text.split_once('\t').unwrap_or((text, ""));
    let unit = FailedUnit { name: printable_line(name), said: printable_line(said.trim()) };
    (!before.contains(&unit.name)).then_some(unit)
}

/// Says that nothing could be checked on a host.
pub(super) fn nothing_checked(why: &str) -> String {
    format!("nothing could be checked ({})", printable_line(why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Runs the script with a limit of a second for each of these commands; returns what is told of them.
    fn checked(commands: &[&str]) -> Vec<String> {
        let script = CHECK.replace("limit=60", "limit=1");
        assert_ne!(script, CHECK, "the limit is that of this file: {COMMAND_LIMIT_S} s");
        let mut check = Command::new("/bin/sh");
        check.args(["-c", &script, "sh", "no-such-job"]).args(commands);
        let said = String::from_utf8(check.output().unwrap().stdout).unwrap();
        let commands: Vec<String> = commands.iter().map(|&command| command.to_owned()).collect();
        let told = |line: &str| match line.split_once('\t')? {
            ("held", number) => Some(format!("passed: {}", command(&commands, number))),
            ("broken", text) => Some(failed_command(&commands, text)),
            _ => None,
        };
        said.lines().filter_map(told).collect()
    }

    #[test]
    fn the_first_check_that_fails_ends_the_look() {
        let said = checked(&["true", "echo no; exit 3", "sleep 1000"]);
        assert_eq!(said, ["passed: true", "echo no; exit 3 (exit code 3: no)"]);
    }

    #[test]
    fn whatever_a_command_prints_it_is_named_with_its_exit_code() {
        let progress = "printf 'one 1%%\\rone 99%%\\r'; exit 22";
        let shown = "printf 'one 1%%\\rone 99%%\\r'; exit 22 (exit code 22: one 99%)";
        assert_eq!(checked(&[progress]), [shown]);
        let tabs = "printf 'a\\tb\\n'; exit 1";
        assert_eq!(checked(&[tabs]), [format!("{tabs} (exit code 1: a b)")]);
        let colours = "printf '\\033[31mred\\033[0m\\033]0;title\\007\\n'; exit 1";
        assert_eq!(checked(&[colours]), [format!("{colours} (exit code 1: red)")]);
        let lines = "if true; then\n  exit 4\nfi\n";
        assert_eq!(checked(&[lines]), ["if true; then   exit 4 fi (exit code 4)"]);
        assert_eq!(checked(&["exit 1 # \r"]), ["exit 1 #  (exit code 1)"]);
    }

    #[test]
    fn a_check_that_hangs_is_told_as_that_and_not_as_the_code_of_timeout() {
        assert_eq!(checked(&["sleep 1000"]), ["sleep 1000 (did not end within 1 s)"]);
        assert_eq!(checked(&["exit 124"]), ["exit 124 (exit code 124)"]);
    }
}
