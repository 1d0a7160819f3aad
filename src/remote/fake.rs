//! A runner for tests: it answers from a table instead of a host.

use crate::remote::{Answer, Output, RemoteError, Script, ScriptRunner, Trouble};
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc;

/// What a fake host does with a script.
type FakeReply = Box<dyn Fn(&str, &Script) -> Result<Output, RemoteError> + Send + Sync>;

/// Answers scripts by calling a function, and keeps what was asked.
pub struct FakeRunner {
    reply: FakeReply,
    asked: Mutex<Vec<(String, Script)>>,
    fresh: Mutex<Vec<&'static str>>,
}

impl FakeRunner {
    /// Makes a runner that answers with what the function returns.
    pub fn new(
        reply: impl Fn(&str, &Script) -> Result<Output, RemoteError> + Send + Sync + 'static,
    ) -> Self {
        Self { reply: Box::new(reply), asked: Mutex::default(), fresh: Mutex::default() }
    }

    /// Makes a runner for hosts that never answer.
    pub fn unreachable() -> Self {
        Self::new(|host, _| Err(RemoteError::new(host, Trouble::Unreachable, "No route to host")))
    }

    /// Returns the scripts that were run so far, each with its host.
    pub fn asked(&self) -> Vec<(String, Script)> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns what was asked of connections that are begun before their script: `begin` and `forget`.
    pub fn fresh(&self) -> Vec<&'static str> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps a script and answers it.
    fn answer(&self, host: &str, script: &Script) -> Result<Output, RemoteError> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push((host.to_owned(), script.clone()));
        drop(asked);
        (self.reply)(host, script)
    }
}

impl ScriptRunner for FakeRunner {
    fn run<'a>(&'a self, host: &'a str, script: &'a Script) -> Answer<'a, Output> {
        Box::pin(async move { self.answer(host, script) })
    }

    fn follow<'a>(
        &'a self,
        host: &'a str,
        script: &'a Script,
        pieces: mpsc::Sender<Vec<u8>>,
    ) -> Answer<'a, Output> {
        Box::pin(async move {
            let mut output = self.answer(host, script)?;
            let printed = std::mem::take(&mut output.stdout);
            // Whoever listened may be gone.
            drop(pieces.send(printed.into_bytes()).await);
            Ok(output)
        })
    }

    fn begin_fresh(&self, _host: &str) {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner).push("begin");
    }

    fn forget_fresh(&self, _host: &str) {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner).push("forget");
    }

    fn address(&self, _host: &str) -> Option<String> {
        Some("fake".to_owned())
    }
}
