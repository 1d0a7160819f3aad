//! Why a command could not do its work, and its exit code.

use crate::cli::EXIT_USAGE;
use crate::cli::given::GivenError;
use crate::deploy::engine::PlaceError;
use crate::fleet::RollbackError;
use crate::record::ExportError;
use std::process::ExitCode;

/// A command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration has mistakes.
    #[error("{0}")]
    Config(#[from] crate::config::ConfigErrors),
    /// There is no script of that name.
    #[error("there is no script {name}; nixdash scripts names them all")]
    NoScript {
        /// What was asked for.
        name: String,
    },
    /// The configuration could not be read.
    #[error("could not read {path}: {source}; name another file with --hosts FILE")]
    ReadConfig {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file in the current folder is not trusted, and what was asked for needs that.
    #[error("{0}")]
    Untrusted(String),
    /// That a file is trusted, or not any more, could not be kept.
    #[error(
        "could not write down which hosts.toml is trusted: {0}; is the disk full, or does the \
         state folder belong to somebody else?"
    )]
    KeepTrust(std::io::Error),
    /// The command would change something, and nothing is to be changed.
    #[error("{what}, which --read-only forbids; leave that option out")]
    ReadOnly {
        /// What the command changes.
        what: &'static str,
    },
    /// A selector selects nothing.
    #[error("{0}")]
    Select(#[from] crate::fleet::SelectError),
    /// Standard input, which `-` stands for, names nothing.
    #[error(
        "`-` reads the names of hosts from standard input, and none came; pipe names into \
         nixdash, as in `echo samsung | nixdash deploy -`"
    )]
    NoSelectors,
    /// Standard input could not be read.
    #[error(
        "could not read the names of hosts from standard input: {0}; leave out -, or pipe text"
    )]
    ReadSelectors(std::io::Error),
    /// One host is wanted and several were named.
    #[error("this command works on one host, and several are selected: {0}; name one of them")]
    SeveralHosts(String),
    /// A generation of one host is wanted and several were named.
    #[error(
        "--to names a generation of one host, and several hosts are selected: {0}; name one of them, or leave \
         --to out, and each goes back to the generation before its running one"
    )]
    GenerationOfSeveral(String),
    /// A time for a restart is given and no host is restarted.
    #[error(
        "--reboot-limit says how long a restart may take, and no host is restarted; add --reboot"
    )]
    LimitOfNoRestart,
    /// It is not known which system is meant.
    #[error(
        "{host} did not say which system is {name}, or no longer has it in its store; name a \
         number (nixdash generations {host})"
    )]
    GenerationUnknown {
        /// The host.
        host: String,
        /// What was asked for.
        name: String,
    },
    /// A host could not be asked what has to be known first.
    #[error("{0}")]
    NotAsked(String),
    /// Something cannot be silenced, or that cannot be ended.
    #[error("{0}")]
    Silence(#[from] crate::cli::silence::SilenceError),
    /// A system that was named cannot be deployed.
    #[error("{0}")]
    Given(#[from] crate::cli::given::GivenError),
    /// A run cannot be tried again.
    #[error("{0}")]
    Retry(#[from] crate::cli::retry::RetryError),
    /// There is nothing to roll back to.
    #[error("{0}")]
    Rollback(#[from] crate::fleet::RollbackError),
    /// The request does not fit the fleet.
    #[error("{0}")]
    Setup(#[from] crate::deploy::SetupError),
    /// The configuration is written well and names what is not there, or what cannot be done.
    #[error("{}", mistakes_of(path, mistakes))]
    Mistakes {
        /// The configuration.
        path: std::path::PathBuf,
        /// What is wrong, and what to do about it.
        mistakes: Vec<(String, String)>,
    },
    /// A `hosts.toml` could not be made.
    #[error("{0}")]
    Init(#[from] crate::cli::init::InitError),
    /// There is no page for that subcommand.
    #[error("{before} has no subcommand {word:?}; {}", pages_of(known))]
    NoPage {
        /// What was typed.
        word: String,
        /// The command before it.
        before: String,
        /// The subcommands there are.
        known: Vec<String>,
    },
    /// The pages of the manual could not be written.
    #[error(
        "could not write the pages of the manual into {dir}: {source}; name a folder that you may write"
    )]
    WritePages {
        /// The folder.
        dir: String,
        /// Why.
        source: std::io::Error,
    },
    /// Nobody can be asked and `--yes` was not given.
    #[error("there is no terminal to confirm on; add --yes to do it without asking")]
    NobodyToAsk,
    /// Nobody can be asked, since `-` took standard input, and `--yes` was not given.
    #[error(
        "standard input was read for the names of the hosts (`-`), so the question cannot be answered there; \
         add --yes to say yes"
    )]
    InputNamedHosts,
    /// A password is to be typed, and there is no terminal.
    #[error(
        "sudo on {0} asks for a password that must be typed, and there is no terminal to ask on; \
         name a source in hosts.toml, such as sudo_password = {{ env = \"NAME\" }}"
    )]
    NoTerminalForPassword(String),
    /// No password was typed.
    #[error("no password was typed, so nothing was done")]
    NoPassword,
    /// There is no such run.
    #[error("there is no run {0:?}; `nixdash history` lists runs")]
    NoSuchRun(String),
    /// No run goes on to which something could be said.
    #[error(
        "no run is going on, so none can take an order; `nixdash history` lists the earlier runs"
    )]
    NoRunGoesOn,
    /// The run has ended, so that nothing can be said to it.
    #[error("run {0} has ended, so it takes no orders any more")]
    RunIsOver(crate::fleet::RunId),
    /// The nixdash of the run is gone, and the run has no end: nobody hears what is said to it.
    #[error(
        "run {0} takes no orders now, because its nixdash ended before the run did; `nixdash reattach {0}` \
         goes on with the run"
    )]
    RunWasLeft(crate::fleet::RunId),
    /// What was typed behind `runs` is meant as a command that it does not have.
    #[error(
        "`nixdash runs` has no command {command}: `nixdash logs {run}` shows a run, `nixdash retry {run}` tries it \
         again, and `nixdash runs` alone lists them all"
    )]
    NoRunsCommand {
        /// What was typed.
        command: String,
        /// The run that was named, or a word for one.
        run: String,
    },
    /// What was to be said to a run makes no sense.
    #[error("{0}")]
    NotSaid(String),
    /// A run is at work, and what was asked for would hold it up.
    #[error(
        "run #{0} is at work, and its builds would wait for the collector's lock; \
         ask again when it has ended (nixdash history)"
    )]
    RunAtWork(crate::fleet::RunId),
    /// A run cannot be gone on with.
    #[error("{0}")]
    Reattach(#[from] crate::cli::reattach::ReattachError),
    /// The record could not be written.
    #[error("{0}")]
    Record(#[from] crate::record::RecordError),
    /// The run could not begin in the folder that was made for it.
    #[error("{0}")]
    Claim(#[from] crate::record::ClaimError),
    /// A run could not be exported, or an exported one not be read.
    #[error("{0}")]
    Export(#[from] ExportError),
    /// A compressed file would be written to the terminal.
    #[error(
        "an exported run is compressed, so it is not printed on a terminal; name a file with -o FILE"
    )]
    BinaryToTerminal,
    /// The file of an exported run is there already.
    #[error("{} is there already and is kept; name another file with -o FILE", .0.display())]
    ExportIsThere(std::path::PathBuf),
    /// The file of an exported run could not be made.
    #[error(
        "could not make {}: {source}; name another file with -o FILE",
        path.display()
    )]
    WriteExport {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A log that was asked for is not there.
    #[error("{0}")]
    Logs(#[from] crate::cli::chosen_run::LogsError),
    /// The history could not be read.
    #[error("{0}")]
    History(#[from] crate::record::HistoryError),
    /// Nars could not be verified.
    #[error("{0}")]
    Verify(String),
    /// The exporter could not listen.
    #[error("could not listen on {address}: {source}; is another exporter running there?")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The practice fleet could not do its work.
    #[error("{0}")]
    Lab(#[from] crate::lab::error::LabError),
    /// The screen could not be used.
    #[error("{0}")]
    Dash(#[from] crate::dash::DashError),
    /// Standard output could not be written.
    #[error("could not write the answer: {0}")]
    Output(#[from] std::io::Error),
}

impl CliError {
    /// Returns the exit code for this error.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_)
            | Self::ReadConfig { .. }
            | Self::Select(_)
            | Self::NoSelectors
            | Self::ReadSelectors(_)
            | Self::SeveralHosts(_)
            | Self::GenerationOfSeveral(_)
            | Self::GenerationUnknown { .. }
            | Self::Rollback(RollbackError::NoSuch { .. })
            | Self::Silence(_)
            | Self::Given(
                GivenError::NoPath(_)
                | GivenError::NoSystem(..)
                | GivenError::Several(_)
                | GivenError::OtherHost { .. }
                | GivenError::Place(PlaceError::Nowhere { .. } | PlaceError::NoSystem { .. }),
            )
            | Self::Retry(_)
            | Self::Setup(_)
            | Self::ReadOnly { .. }
            | Self::Mistakes { .. }
            | Self::Init(_)
            | Self::NoPage { .. }
            | Self::NoScript { .. }
            | Self::Untrusted(_)
            | Self::Verify(_)
            | Self::Claim(_)
            | Self::Logs(_)
            | Self::BinaryToTerminal
            | Self::Export(
                ExportError::NoRun { .. }
                | ExportError::Open { .. }
                | ExportError::NoExport { .. }
                | ExportError::Newer { .. }
                | ExportError::Cut { .. }
                | ExportError::TooBig { .. }
                | ExportError::RunTooBig { .. }
                | ExportError::DocumentsTooBig { .. },
            )
            | Self::WriteExport { .. }
            | Self::ExportIsThere(_)
            | Self::NoTerminalForPassword(_)
            | Self::NoPassword
            | Self::NoSuchRun(_)
            | Self::NotSaid(_)
            | Self::NoRunsCommand { .. }
            | Self::LimitOfNoRestart
            | Self::NobodyToAsk
            | Self::InputNamedHosts => ExitCode::from(EXIT_USAGE),
            Self::RunAtWork(_)
            | Self::RunIsOver(_)
            | Self::RunWasLeft(_)
            | Self::NoRunGoesOn
            | Self::Reattach(_)
            | Self::NotAsked(_)
            // What a host ends with that is one of several: the command was right.
            | Self::Rollback(
                RollbackError::NothingOlder { .. }
                | RollbackError::OlderAreMarked { .. }
                | RollbackError::LacksSpecialisation { .. }
                | RollbackError::None { .. },
            )
            | Self::Given(
                GivenError::NotBuilt { .. }
                | GivenError::BuilderSilent { .. }
                | GivenError::Place(PlaceError::Remote(_)),
            )
            | Self::Export(ExportError::Write { .. } | ExportError::Unpack { .. })
            | Self::Record(_)
            | Self::KeepTrust(_)
            | Self::History(_)
            | Self::Listen { .. }
            | Self::WritePages { .. }
            | Self::Lab(_)
            | Self::Dash(_)
            | Self::Output(_) => ExitCode::FAILURE,
        }
    }

    /// Returns whether the reader of our output went away, which is no error to talk about.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

/// Writes mistakes as those of the text of the file are written.
fn mistakes_of(path: &std::path::Path, mistakes: &[(String, String)]) -> String {
    let lines = mistakes
        .iter()
        .map(|(message, hint)| format!("{}: {message}\n  hint: {hint}", path.display()));
    lines.collect::<Vec<_>>().join("\n")
}

/// Says which pages there are.
fn pages_of(known: &[String]) -> String {
    if known.is_empty() {
        "it has none".to_owned()
    } else {
        format!("it has: {}", known.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_host_ends_with_has_the_code_that_it_has_among_several() {
        let host = || "samsung".to_owned();
        let failed: [CliError; 4] = [
            RollbackError::NothingOlder { host: host(), running: 4 }.into(),
            RollbackError::None { host: host() }.into(),
            GivenError::NotBuilt { host: host() }.into(),
            CliError::NotAsked("samsung: no route".to_owned()),
        ];
        for error in failed {
            assert_eq!(error.exit_code(), ExitCode::FAILURE, "{error}");
        }
        let (wanted, known) = (99, "1, 2".to_owned());
        let mistaken = CliError::from(RollbackError::NoSuch { host: host(), wanted, known });
        assert_eq!(mistaken.exit_code(), ExitCode::from(EXIT_USAGE));
    }
}
