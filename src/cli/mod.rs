//! The other face: arguments, one file per subcommand, and the joints between the rooms.
//!
//! Exit codes: 0 all done, unchanged or only waiting for a reboot; 1 a host failed, is degraded or offline,
//! was skipped, not seen any more, rolled back or superseded, or a gate failed; 2 usage or configuration; 3 `status --fail-on` found something so bad; 130
//! interrupted.

mod ancestry;
mod awake;
mod caches;
mod carry_out;
mod check;
mod chosen_run;
mod clipboard;
mod complete;
mod dash;
mod deploy;
mod depth;
mod earlier;
mod earlier_run;
mod effects;
mod error;
mod examples;
mod exporter;
mod figures;
mod first_step;
mod follow_logs;
mod follow_run;
mod generate;
mod generations;
mod given;
mod hearing;
mod history;
mod init;
mod json;
pub mod lab;
mod left;
mod live;
mod live_status;
mod load;
mod logs;
mod newest;
mod next;
mod notes;
mod over_time;
mod practice;
mod print;
mod read_only;
mod reattach;
mod retry;
mod rollback;
mod run_row;
mod runs;
mod say;
mod selectors;
mod session;
mod shell;
mod show;
mod silence;
mod started;
mod status;
mod strategies;
mod sudo;
mod themes;
mod trends;
mod trust;
mod trust_host;
mod units;
mod verify;
mod view_run;
mod viewer;
mod wait;
mod wake;
mod words;

pub use error::CliError;
pub use generate::answer_shell;

use clap::{Parser, Subcommand, ValueHint};
use std::path::PathBuf;
use std::process::ExitCode;

/// A deploy or build did not end well on every host.
const EXIT_FAILED: u8 = 1;

/// Usage or configuration.
pub(crate) const EXIT_USAGE: u8 = 2;

/// `status --fail-on` found something so bad.
const EXIT_FOUND: u8 = 3;

/// Interrupted by the operator.
const EXIT_INTERRUPTED: u8 = 130;

/// Sees, proves and deploys a fleet of NixOS machines and their binary caches.
///
/// Without a command it opens the dashboard.
#[derive(Debug, Parser)]
#[command(name = "nixdash", version, max_term_width = 100, after_help = examples::TOP)]
pub struct Cli {
    /// The fleet's file; else `$NIXDASH_HOSTS`, ./hosts.toml, `$XDG_CONFIG_HOME/nixdash/hosts.toml`
    #[arg(long = "hosts", global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    hosts_file: Option<PathBuf>,

    /// Changes nothing: refuses commands and keys that would
    #[arg(long, global = true)]
    read_only: bool,

    #[command(subcommand)]
    command: Option<CliCommand>,
}

impl Cli {
    /// Returns how many threads carry tasks out. Where little happens for hours, one: a second would be
    /// woken with every answer of a host, to find nothing to do.
    pub fn workers(&self) -> usize {
        match self.command {
            None | Some(CliCommand::Lab(_)) => 1,
            Some(_) => 2,
        }
    }
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Measures every host and every tier once and prints what was found
    #[command(after_help = examples::STATUS)]
    Status(status::StatusArgs),
    /// Builds, publishes, fetches, activates, confirms; rolls back what fails
    #[command(after_help = examples::DEPLOY)]
    Deploy(deploy::DeployArgs),
    /// Takes hosts back to a generation that they have, with the checks of a deploy
    #[command(after_help = examples::ROLLBACK)]
    Rollback(rollback::RollbackArgs),
    /// Tries again the hosts of a run that did not end well, from the phase that failed
    #[command(after_help = examples::RETRY)]
    Retry(retry::RetryArgs),
    /// Builds systems and activates nothing
    #[command(after_help = examples::BUILD)]
    Build(deploy::BuildArgs),
    /// Goes on with a run whose nixdash ended, or follows one that goes on
    #[command(after_help = examples::REATTACH)]
    Reattach(reattach::ReattachArgs),
    /// Shows the runs there were, how they ended and where their paths came from
    #[command(after_help = examples::HISTORY)]
    History(history::HistoryArgs),
    /// Lists the runs there were, writes one as a file, or shows such a file
    #[command(after_help = examples::RUNS)]
    Runs(runs::RunsArgs),
    /// Lists the runs with their logs, or prints the log of a run: all hosts merged, one host, or a
    /// part
    #[command(after_help = examples::LOGS)]
    Logs(logs::LogsArgs),
    /// Lists the generations of a host, and says what differs between two of them
    #[command(after_help = examples::GENERATIONS)]
    Generations(generations::GenerationsArgs),
    /// Opens a shell on a host, or runs a command there, over the connection that nixdash makes
    #[command(after_help = examples::SHELL)]
    Shell(shell::ShellArgs),
    /// Lists the units of a host, those that failed first, or prints the journal of one
    #[command(after_help = examples::UNITS)]
    Units(units::UnitsArgs),
    /// Wakes sleeping hosts by Wake-on-LAN, and waits until they answer
    #[command(after_help = examples::WAKE)]
    Wake(wake::WakeArgs),
    /// Tells a run that goes on what to do: pause, resume, skip, retry, roll back
    #[command(after_help = examples::SAY)]
    Say(say::SayArgs),
    /// Lists which findings are silenced, silences one for a while, or ends that
    #[command(after_help = examples::SILENCE)]
    Silence(silence::SilenceArgs),
    /// Shows every tier: state, size, growth, hit rate, share served, coverage
    #[command(after_help = examples::CACHES)]
    Caches(caches::CachesArgs),
    /// Measures until it is stopped, and serves the figures to Prometheus
    #[command(after_help = examples::EXPORTER)]
    Exporter(exporter::ExporterArgs),
    /// Trusts the hosts.toml of this folder: its secrets, commands, flake and hosts may be used
    #[command(after_help = examples::TRUST)]
    Trust(trust::TrustArgs),
    /// Shows the ssh key of a host, and accepts a key that is new or has changed
    #[command(after_help = examples::TRUST_HOST)]
    TrustHost(trust_host::TrustHostArgs),
    /// Makes a hosts.toml from the flake, ssh and the hosts themselves, or says what one lacks
    #[command(after_help = examples::INIT)]
    Init(init::InitArgs),
    /// Checks hosts.toml, or prints its keys and those of the dashboard
    #[command(after_help = examples::CONFIG)]
    Config {
        #[command(subcommand)]
        command: check::ConfigCommand,
    },
    /// A practice fleet of four real hosts on this machine
    #[command(after_help = examples::LAB)]
    Lab(lab::LabArgs),
    /// Prints what makes a shell complete commands, hosts and tags
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Prints a page of the manual: of nixdash, or of a subcommand
    #[command(after_help = examples::MAN)]
    Man(generate::ManArgs),
    /// Prints every kind of finding: its code, how bad it is, what it means and what to do
    #[command(after_help = examples::FINDINGS)]
    Findings,
    /// Prints the scripts that a deploy runs on hosts, or the text of one
    #[command(after_help = examples::SCRIPTS)]
    Scripts(generate::ScriptsArgs),
}

impl CliCommand {
    /// Returns what the command would change; nothing for one that only looks.
    fn changes(&self) -> Option<&'static str> {
        match self {
            Self::Deploy(_) => Some("`nixdash deploy` changes hosts"),
            Self::Rollback(_) => Some("`nixdash rollback` changes hosts"),
            Self::Retry(_) => Some("`nixdash retry` changes hosts"),
            Self::Build(_) => Some("`nixdash build` builds on hosts"),
            Self::Reattach(_) => Some("`nixdash reattach` goes on with a run that changes hosts"),
            Self::Shell(_) => Some("`nixdash shell` opens a shell, in which a host can be changed"),
            Self::Wake(_) => Some("`nixdash wake` wakes hosts"),
            Self::Say(_) => Some("`nixdash say` changes what a run does"),
            Self::Trust(_) => Some("`nixdash trust` changes what may be run"),
            Self::TrustHost(args) if args.changes() => {
                Some("`nixdash trust-host` changes which host keys are trusted")
            }
            Self::Lab(_) => Some("`nixdash lab` changes the practice fleet"),
            Self::Init(args) if args.writes() => Some("`nixdash init` writes hosts.toml"),
            Self::Silence(args) if args.changes() => {
                Some("`nixdash silence` changes what is silenced")
            }
            Self::Status(_)
            | Self::TrustHost(_)
            | Self::Silence(_)
            | Self::History(_)
            | Self::Runs(_)
            | Self::Logs(_)
            | Self::Generations(_)
            | Self::Units(_)
            | Self::Scripts(_)
            | Self::Caches(_)
            | Self::Exporter(_)
            | Self::Init(_)
            | Self::Config { .. }
            | Self::Completions { .. }
            | Self::Man(_)
            | Self::Findings => None,
        }
    }
}

/// Runs the command that the arguments ask for.
pub async fn run(cli: Cli) -> Result<ExitCode, CliError> {
    let hosts = cli.hosts_file.as_deref();
    if let Some(what) = cli.command.as_ref().filter(|_| cli.read_only).and_then(CliCommand::changes)
    {
        return Err(CliError::ReadOnly { what });
    }
    match cli.command {
        None => {
            let mut fleet = load::load_asking(hosts, trust::ask)?;
            fleet.read_only = cli.read_only;
            match dash::run(fleet, None).await?.first_step {
                None => Ok(ExitCode::SUCCESS),
                Some(step) => first_step::carry_out(step, hosts).await,
            }
        }
        Some(CliCommand::Status(args)) => status::run(load::load(hosts)?, args).await,
        Some(CliCommand::Deploy(args)) => deploy::deploy(load::load_trusted(hosts)?, args).await,
        Some(CliCommand::Rollback(args)) => rollback::run(load::load_trusted(hosts)?, args).await,
        Some(CliCommand::Retry(args)) => retry::run(load::load_trusted(hosts)?, args).await,
        Some(CliCommand::Build(args)) => deploy::build(load::load_trusted(hosts)?, args).await,
        Some(CliCommand::Reattach(args)) => reattach::run(load::load_trusted(hosts)?, args).await,
        Some(CliCommand::History(args)) => {
            history::run(load::load_saying(hosts)?, &args, cli.read_only).await
        }
        Some(CliCommand::Runs(args)) => runs::run(hosts, args, cli.read_only).await,
        Some(CliCommand::Logs(args)) => logs::run(&args),
        Some(CliCommand::Generations(args)) => {
            generations::run(load::load_trusted(hosts)?, args).await
        }
        Some(CliCommand::Shell(args)) => {
            Box::pin(shell::run(load::load_trusted(hosts)?, &args)).await
        }
        Some(CliCommand::Units(args)) => units::run(load::load_trusted(hosts)?, args).await,
        Some(CliCommand::Wake(args)) => wake::run(load::load_trusted(hosts)?, args).await,
        Some(CliCommand::Say(args)) => say::run(hosts, &args),
        Some(CliCommand::Silence(args)) => silence::run(&load::load_saying(hosts)?, &args),
        Some(CliCommand::Caches(args)) => caches::run(load::load_saying(hosts)?, args).await,
        Some(CliCommand::Exporter(args)) => exporter::run(load::load_saying(hosts)?, args).await,
        Some(CliCommand::Trust(args)) => trust::run(&args),
        Some(CliCommand::TrustHost(args)) => {
            trust_host::run(load::load_trusted(hosts)?, args).await
        }
        Some(CliCommand::Init(args)) => init::run(hosts, args).await,
        Some(CliCommand::Config { command }) => check::run(hosts, &command).await,
        Some(CliCommand::Lab(args)) => match lab::run(args).await? {
            lab::LabOutcome::Exit(code) => Ok(ExitCode::from(code)),
            lab::LabOutcome::Dashboard { hosts_file, practice_file } => {
                dash::run(load::load(Some(&hosts_file))?, Some(practice_file)).await?;
                Ok(ExitCode::SUCCESS)
            }
        },
        Some(CliCommand::Completions { shell }) => generate::completions(shell),
        Some(CliCommand::Man(args)) => generate::man(&args),
        Some(CliCommand::Findings) => generate::findings(),
        Some(CliCommand::Scripts(args)) => generate::scripts(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn no_command_has_two_arguments_of_one_name() {
        Cli::command().debug_assert();
    }
}
