//! The shells on the kept connection of a host that no script uses now.

use crate::remote::master::Master;
use crate::remote::shell::Shell;
use std::sync::{Arc, Weak};

/// Most shells that stay open while nobody uses them.
const IDLE: usize = 3;

/// Open shells that wait for the next script.
#[derive(Default)]
pub(super) struct Shells {
    idle: Vec<Shell>,
    /// The connection on which no shell could be opened.
    refused: Option<Weak<Master>>,
}

impl Shells {
    /// Returns a shell on a connection, for root or not; the one that was used last, whose place in
    /// memory is the warmest.
    pub(super) fn take(&mut self, master: &Arc<Master>, for_root: bool) -> Option<Shell> {
        let fits =
            |shell: &Shell| shell.is_for_root() == for_root && Arc::ptr_eq(shell.master(), master);
        let at = self.idle.iter().rposition(fits)?;
        Some(self.idle.remove(at))
    }

    /// Keeps a shell for the next script; the one that was not used for longest leaves.
    pub(super) fn put_back(&mut self, shell: Shell) {
        if self.idle.len() == IDLE {
            self.idle.remove(0);
        }
        self.idle.push(shell);
    }

    /// Closes all shells that nobody uses.
    pub(super) fn clear(&mut self) {
        self.idle.clear();
    }

    /// Notes that no shell could be opened on a connection. Those that are idle are closed: a host may
    /// allow few sessions, and what comes next needs one.
    pub(super) fn refuse_on(&mut self, master: &Arc<Master>) {
        self.clear();
        self.refused = Some(Arc::downgrade(master));
    }

    /// Returns whether no shell could be opened on this connection.
    pub(super) fn are_refused_on(&self, master: &Arc<Master>) -> bool {
        let refused = self.refused.as_ref().and_then(Weak::upgrade);
        refused.is_some_and(|refused| Arc::ptr_eq(&refused, master))
    }
}
