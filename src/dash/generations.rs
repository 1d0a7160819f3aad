//! The panes of a host's generations, and of what differs between two of them: what they hold.

use crate::fleet::{Generation, Generations};

/// The list of a host's generations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationsPane {
    /// The host.
    pub host: String,
    /// The list; none until the host has answered, else why it did not.
    pub found: Option<Result<Generations, String>>,
    /// Which is selected, from the newest.
    pub selected: usize,
}

/// What differs between the running system and a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffPane {
    /// The host.
    pub host: String,
    /// The generation that is compared with what runs.
    pub generation: u64,
    /// The lines; none until the host has answered, else why it did not.
    pub lines: Option<Result<Vec<String>, String>>,
    /// The first line that is shown.
    pub scroll: u16,
}

impl GenerationsPane {
    /// Makes the pane of a host that is asked now.
    pub fn new(host: String) -> Self {
        Self { host, found: None, selected: 0 }
    }

    /// Returns the list, where the host has answered.
    pub fn list(&self) -> Option<&Generations> {
        self.found.as_ref()?.as_ref().ok()
    }

    /// Returns the selected generation.
    pub fn chosen(&self) -> Option<&Generation> {
        let list = self.list()?;
        list.all.iter().rev().nth(self.selected)
    }
}
