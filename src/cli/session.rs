//! Keeps how the dashboard is left, and lets the next one of the same hosts.toml begin with it.

use crate::dash::{Model, keep_session};
use crate::fleet::Fleet;
use crate::record::{KeptSession, state_home};
use jiff::Timestamp;
use std::path::Path;

/// Keeps how the dashboard of one hosts.toml is left.
#[derive(Clone, Debug)]
pub(super) struct SessionKeeper {
    kept: KeptSession,
    /// Whether it could not be kept, which is told once.
    has_failed: bool,
}

impl SessionKeeper {
    /// Returns who keeps it; nobody where hosts.toml does not want that, where nothing may be changed, and
    /// where the fleet is none of the person's own.
    pub(super) fn of(fleet: &Fleet, is_practice: bool) -> Option<Self> {
        Self::below(&state_home(), fleet, is_practice)
    }

    fn below(state: &Path, fleet: &Fleet, is_practice: bool) -> Option<Self> {
        let file = fleet.file.as_deref()?;
        let wanted = fleet.restore && !fleet.read_only && !is_practice;
        wanted.then(|| Self { kept: KeptSession::of(state, file), has_failed: false })
    }

    /// Lets the dashboard begin as it was left. A file that cannot be used is one line of the log, and the
    /// dashboard begins as it does without one.
    pub(super) fn restore(&self, model: &mut Model) {
        let read = self.kept.read();
        let (left, unread) = match read {
            Ok(left) => (left, None),
            Err(error) => (None, Some(error.to_string())),
        };
        let restored = keep_session(model, left.as_deref(), Timestamp::now());
        if let Some(why) = unread.or(restored.err()) {
            let file = self.kept.file().display();
            tracing::warn!("the last state of the dashboard could not be read from {file}: {why}");
        }
    }

    /// Keeps how it is left now.
    pub(super) fn keep(&mut self, text: &str) {
        if let Err(error) = self.kept.write(text)
            && !std::mem::replace(&mut self.has_failed, true)
        {
            let file = self.kept.file().display();
            tracing::warn!("the state of the dashboard could not be kept in {file}: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fallback;
    use crate::dash::Screen;
    use std::sync::Arc;

    fn fleet() -> Fleet {
        Fleet { file: Some("/a/hosts.toml".into()), ..fallback() }
    }

    #[test]
    fn nothing_is_kept_where_nothing_may_be_changed_or_the_fleet_is_not_the_persons_own() {
        let state = tempfile::tempdir().unwrap();
        let keeps = |fleet: Fleet, is_practice| {
            SessionKeeper::below(state.path(), &fleet, is_practice).is_some()
        };
        assert!(keeps(fleet(), false));
        assert!(!keeps(fleet(), true), "the practice fleet");
        assert!(!keeps(fallback(), false), "no hosts.toml");
        assert!(!keeps(Fleet { read_only: true, ..fleet() }, false), "--read-only");
        assert!(!keeps(Fleet { restore: false, ..fleet() }, false), "restore = false");
    }

    #[test]
    fn a_broken_file_is_no_error_and_the_next_session_takes_its_place() {
        let state = tempfile::tempdir().unwrap();
        let mut keeper = SessionKeeper::below(state.path(), &fleet(), false).unwrap();
        let open = |keeper: &SessionKeeper| {
            let mut model = Model::new(Arc::new(fleet()), Timestamp::now());
            keeper.restore(&mut model);
            model
        };
        keeper.kept.write("{\"form\":1").unwrap();
        assert_eq!(open(&keeper).screen, Screen::Fleet);
        keeper.keep("{}");
        assert_eq!(keeper.kept.read().unwrap().as_deref(), Some("{}"));
        std::fs::remove_file(keeper.kept.file()).unwrap();
        std::fs::create_dir(keeper.kept.file()).unwrap();
        assert_eq!(open(&keeper).screen, Screen::Fleet);
        keeper.keep("{}");
        assert!(keeper.has_failed);
    }
}
