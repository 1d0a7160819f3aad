//! What can go wrong in the practice fleet, said so that a person knows what to do next.

use std::path::PathBuf;

/// The error of every lab command: what was being done, the cause, and what to do next.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The lab is made of Linux containers.
    #[error(
        "the practice fleet is made of Linux containers, and this machine runs {0}; run it on a Linux machine"
    )]
    NotLinux(&'static str),
    /// Containers, namespaces and mounts need root.
    #[error(
        "the practice fleet needs root for containers and network namespaces; run it again as root, for instance with sudo"
    )]
    NotRoot,
    /// Tools are missing and were not to be installed.
    #[error("the practice fleet needs {tools}, not found on this machine; {hint}")]
    MissingTools {
        /// The missing commands, separated by commas.
        tools: String,
        /// What to type.
        hint: String,
    },
    /// A lab's name has to make file names and host names.
    #[error(
        "'{0}' is not a name for a lab; use 1 to 32 lower-case letters, digits and '-', beginning with a letter"
    )]
    BadName(String),
    /// No host of that name.
    #[error("the practice fleet has no host '{name}'; its hosts are {known}")]
    NoSuchHost {
        /// What was asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A command needs a lab that is up.
    #[error("the practice fleet '{0}' is not up; start it with `nixdash lab up`")]
    NotUp(String),
    /// A host has to run for this.
    #[error("{host} is switched off; start it with `nixdash lab fault {host} power-cycle`")]
    HostOff {
        /// The host.
        host: String,
    },
    /// No Debian mirror is known here.
    #[error(
        "this machine's apt sources name no Debian mirror to make the hosts from; give one with --mirror URL"
    )]
    NoMirror,
    /// Every subnet the lab could use is taken.
    #[error(
        "every network from 10.213.1.0/24 to 10.213.254.0/24 is in use on this machine; end a lab with `nixdash lab down`"
    )]
    NoSubnet,
    /// The shared parts cannot be removed now.
    #[error(
        "the shared parts stay, because these practice fleets use them: {}; end these first: {}",
        labs.join(", "),
        down_commands(labs)
    )]
    PartsInUse {
        /// The names of the labs.
        labs: Vec<String>,
    },
    /// A file operation failed.
    #[error("{doing} {}: {source}", path.display())]
    File {
        /// What was being done, as in "reading".
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A program could not be started.
    #[error("{doing}: starting {program}: {source}")]
    Start {
        /// What it was for.
        doing: String,
        /// The program.
        program: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A program failed.
    #[error("{doing}: {program} ended with {status}{}", said(said_text))]
    Failed {
        /// What it was for.
        doing: String,
        /// The program.
        program: String,
        /// Its exit status.
        status: String,
        /// The end of what it printed on standard error.
        said_text: String,
    },
    /// Something did not happen in time.
    #[error("{doing} took longer than {seconds} s; {hint}")]
    TimedOut {
        /// What was waited for.
        doing: String,
        /// How long.
        seconds: u64,
        /// What to look at.
        hint: String,
    },
    /// A host ended while it was starting.
    #[error("{host} ended while it was starting: {hint}")]
    Ended {
        /// The host.
        host: String,
        /// What to do.
        hint: String,
    },
    /// A recorded file does not hold what the lab wrote.
    #[error("{} is not what the lab wrote there: {cause}; `nixdash lab down` and `nixdash lab up` make it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// The network side of the cache servers.
    #[error("serving a cache on {address}: {source}")]
    Serve {
        /// Where it listens.
        address: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A request that cannot be carried out as asked.
    #[error("{0}")]
    Usage(String),
}

impl LabError {
    /// Whether the request itself was wrong, rather than its execution.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NotLinux(_)
                | Self::NotRoot
                | Self::MissingTools { .. }
                | Self::BadName(_)
                | Self::NoSuchHost { .. }
                | Self::NotUp(_)
                | Self::NoMirror
                | Self::Usage(_)
        )
    }
}

fn said(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(":\n{text}") }
}

/// Adds to an I/O error what was being done to which file.
pub(crate) trait ErrorContext<T> {
    /// Names the operation ("reading") and the file.
    fn at(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T, LabError>;
}

impl<T> ErrorContext<T> for std::io::Result<T> {
    fn at(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T, LabError> {
        self.map_err(|source| LabError::File { doing, path: path.into(), source })
    }
}

/// The commands that end labs.
fn down_commands(labs: &[String]) -> String {
    let commands = labs.iter().map(|name| format!("nixdash lab down --name {name}"));
    commands.collect::<Vec<_>>().join("; ")
}
