//! Runs a POSIX sh script on a host, over ssh or on this machine.
//!
//! A script is a file of this repository that takes arguments; it reaches the host on standard
//! input of `/bin/sh`, so neither its text nor its arguments ever pass through a login shell
//! (which may be fish or nushell). [`ScriptRunner`] is the seam: [`Remote`] is the real thing, tests use
//! [`FakeRunner`].

mod aws;
mod channel;
mod connection;
mod error;
mod fake;
#[cfg(test)]
#[path = "../../tests/it/programs.rs"]
mod fake_program;
mod git;
mod host_key;
mod interactive;
pub mod job;
mod kept_output;
mod lines;
mod login;
mod master;
mod not_root;
mod own_group;
mod presence;
mod program;
mod root;
mod route;
mod script;
mod secret;
mod shell;
mod shells;
mod sockets;
mod turn;
mod unlock;
mod wake;
mod wire;
pub mod words;

pub use crate::fleet::Secret;
pub use aws::aws_profile;
pub use connection::Remote;
pub use error::{KeyTrouble, RemoteError, Trouble};
pub use fake::FakeRunner;
#[cfg(test)]
pub(crate) use fake_program::write_program;
pub use git::{GitHead, git_ancestry, git_commit, git_file, git_head, git_in, git_revision};
pub use host_key::{AcceptError, accept_host_key, host_keys};
pub use interactive::RemoteShell;
pub use kept_output::{Keep, ends_of};
pub use lines::{LINE_LIMIT, LineReceiver, LineSplitter, ReadLine};
pub use not_root::NotRoot;
pub use presence::{NotStarted, Presence, Started, wait_until_started};
pub use program::{Program, ProgramError};
pub use script::{Output, Script, Way, quote};
pub use secret::{SecretError, resolve};
pub use wake::{SentHow, WakeError, WakeNews, rouse, wake};

use std::future::Future;
use std::pin::Pin;
use tokio::sync::mpsc;

/// The future that [`ScriptRunner`] returns.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, RemoteError>> + Send + 'a>>;

/// Runs scripts on the hosts of a fleet, by their name.
pub trait ScriptRunner: Send + Sync {
    /// Runs a script to its end and returns what it printed.
    ///
    /// A script that exits with another code than 0 is an [`Output`], not an error. Dropping the
    /// future ends the remote process too.
    fn run<'a>(&'a self, host: &'a str, script: &'a Script) -> Answer<'a, Output>;

    /// Runs a script and sends its standard output, byte for byte, in pieces as they come while it
    /// runs; the returned output holds the exit code and standard error only.
    ///
    /// Waits when the channel is full; ends the script when nobody receives any more.
    fn follow<'a>(
        &'a self,
        host: &'a str,
        script: &'a Script,
        pieces: mpsc::Sender<Vec<u8>>,
    ) -> Answer<'a, Output>;

    /// Begins to make the connection that the next [`Way::Fresh`] script of a host takes, in the place of one
    /// that was begun before. Returns at once; a connection that cannot be made is tried again by the script.
    fn begin_fresh(&self, _host: &str) {}

    /// Gives up the connection that was begun for the next [`Way::Fresh`] script of a host.
    fn forget_fresh(&self, _host: &str) {}

    /// Returns the address that answered last, for display.
    fn address(&self, host: &str) -> Option<String>;

    /// Returns which of the host's written addresses answer now, in their order: each is asked at
    /// once with a plain connection, within three seconds, whether an ssh server greets there.
    ///
    /// Addresses that only ssh finds the way to (`ProxyJump`, `ProxyCommand`) are left out, and so
    /// is this machine.
    fn answering<'a>(&'a self, _host: &'a str) -> Answer<'a, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Returns whether a new login would ask somebody to touch a key, as far as the last login
    /// told.
    fn asks_for_touch(&self, _host: &str) -> bool {
        false
    }
}
