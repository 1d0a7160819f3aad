//! Whose settings were read: the running daemon's, or only the files'.
//!
//! A daemon never reads its settings again: for each connection it forks without starting again. So
//! what the files say now holds only for a daemon that started after they were changed last. Times
//! of files tell that where they are older than the daemon. On NixOS every activation turns the
//! links on the way to nix.conf, so there a hash of the files is remembered beside the start of the
//! daemon: the same start and another hash means that the daemon works with older settings.

use super::HostView;
use crate::fleet::{Fleet, SettingsView};
use crate::nix::settings::Settings;
use crate::probe::memory::{Memory, MemoryPart, read_kept, to_kept};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The name under which the history keeps what is remembered of daemons.
const DAEMONS: &str = "daemons";

/// What a host says of its daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum DaemonState {
    /// Nothing: there is no systemd, or no root to ask as.
    #[default]
    Unknown,
    /// None runs now; the next one reads the files.
    Stopped,
    /// One is started for each connection, and reads the files.
    PerConnection,
    /// One runs.
    Running {
        /// What systemd calls this start of it.
        start: String,
        /// When that was, in seconds since 1970.
        at: i64,
    },
}

/// The files that settings are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SettingsFiles {
    /// The hash of all of them.
    hash: String,
    /// When one of them, or a link to it, was changed last, in seconds since 1970.
    changed_at: i64,
}

/// What is remembered of a start of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DaemonStart {
    /// What systemd calls it.
    start: String,
    /// The hash of the files when it was first seen.
    hash: String,
    /// Whether it is known that the daemon read those files.
    is_sure: bool,
    /// The settings then: those that matter for caches.
    settings: Settings,
}

/// What is remembered of the daemons of all hosts, by host.
///
/// It is kept beside what is remembered of the fleet's first cache: without a cache there is
/// nothing that a daemon's settings matter for.
#[derive(Default)]
struct DaemonStarts(BTreeMap<String, DaemonStart>);

impl MemoryPart for DaemonStarts {
    fn kept(&self) -> Option<(&'static str, Json)> {
        Some((DAEMONS, to_kept(&self.0)?))
    }

    fn recall(kept: &BTreeMap<String, Json>) -> Self {
        Self(read_kept(kept, DAEMONS).unwrap_or_default())
    }
}

/// Puts a look at a host into memory, beside what is remembered of its daemon.
pub(in crate::probe) fn remember(memory: &Memory, fleet: &Fleet, host: &str, view: HostView) {
    let keeper = fleet.tiers.iter().find(|tier| tier.kind.name().is_substituter());
    let view = match keeper.filter(|_| view.is_known()) {
        Some(tier) => memory.part(tier, |starts: &mut DaemonStarts| {
            let view = view.after(starts.0.get(host));
            match &view.start {
                Some(start) => drop(starts.0.insert(host.to_owned(), start.clone())),
                None => drop(starts.0.remove(host)),
            }
            view
        }),
        None => view,
    };
    super::put_view(memory, host, view);
}

/// What follows for the figures of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Relation {
    /// Whose settings are gone by.
    pub(super) view: SettingsView,
    /// Those settings.
    pub(super) settings: Settings,
    /// The names of settings that were changed since the daemon started.
    pub(super) changed: Vec<String>,
    /// What to remember.
    pub(super) start: Option<DaemonStart>,
}

impl DaemonState {
    /// Reads `each`, `none` or `ID SECONDS`.
    pub(super) fn parse(text: &str) -> Self {
        match text {
            "each" => Self::PerConnection,
            "none" => Self::Stopped,
            other => other
                .split_once(' ')
                .and_then(|(start, at)| {
                    Some(Self::Running { start: start.to_owned(), at: at.parse().ok()? })
                })
                .unwrap_or_default(),
        }
    }
}

impl SettingsFiles {
    /// Reads `HASH SECONDS`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (hash, changed_at) = text.split_once(' ')?;
        Some(Self { hash: hash.to_owned(), changed_at: changed_at.parse().ok()? })
    }
}

/// Says whose settings a host's figures are about, by what is remembered of its daemon.
pub(super) fn relate(
    daemon: &DaemonState,
    files: Option<&SettingsFiles>,
    shown: &Settings,
    remembered: Option<&DaemonStart>,
) -> Relation {
    let told = |view, start| Relation { view, settings: shown.clone(), changed: vec![], start };
    let (start, at) = match daemon {
        DaemonState::Unknown => return told(SettingsView::File, None),
        DaemonState::Stopped | DaemonState::PerConnection => {
            return told(SettingsView::Daemon, None);
        }
        DaemonState::Running { start, at } => (start, *at),
    };
    let remembered = remembered.filter(|known| known.start == *start);
    let Some(files) = files else { return told(SettingsView::File, remembered.cloned()) };
    let view_of = |is_sure| if is_sure { SettingsView::Daemon } else { SettingsView::File };
    let Some(known) = remembered else {
        let is_sure = files.changed_at < at;
        let (start, hash) = (start.clone(), files.hash.clone());
        let settings = shown.of_caches();
        let start = DaemonStart { start, hash, is_sure, settings };
        return told(view_of(is_sure), Some(start));
    };
    let before = &known.settings;
    let changed = if known.hash == files.hash { vec![] } else { shown.differences(before) };
    let settings = if changed.is_empty() || !known.is_sure { shown } else { before }.clone();
    Relation { view: view_of(known.is_sure), settings, changed, start: Some(known.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "substituters = http://old\nsandbox = false\n";
    const NEW: &str = "substituters = http://new\nsandbox = false\n";
    /// The same for caches as [`OLD`].
    const OTHER: &str = "substituters = http://old\nsandbox = true\n";

    fn running(start: &str) -> DaemonState {
        DaemonState::parse(&format!("{start} 100"))
    }

    /// Relates what is seen now to what is remembered; `files` is a hash and a time.
    fn related(
        daemon: &DaemonState,
        files: &str,
        shown: &str,
        known: Option<&DaemonStart>,
    ) -> Relation {
        relate(daemon, SettingsFiles::parse(files).as_ref(), &Settings::parse(shown), known)
    }

    #[test]
    fn without_a_daemon_that_runs_on_the_files_hold() {
        for (text, view) in [
            ("each", SettingsView::Daemon),
            ("none", SettingsView::Daemon),
            ("", SettingsView::File),
            ("what is this", SettingsView::File),
        ] {
            let found = related(&DaemonState::parse(text), "hash 50", NEW, None);
            assert_eq!((found.view, found.start), (view, None), "{text}");
        }
    }

    #[test]
    fn files_that_are_older_than_the_daemon_are_what_it_read() {
        for (files, view) in [
            ("hash 99", SettingsView::Daemon),
            ("hash 100", SettingsView::File),
            ("hash 101", SettingsView::File),
            ("", SettingsView::File),
        ] {
            assert_eq!(related(&running("a"), files, NEW, None).view, view, "{files}");
        }
    }

    #[test]
    fn the_same_start_and_another_hash_means_older_settings() {
        let first = related(&running("a"), "one 99", OLD, None).start.unwrap();
        let later = related(&running("a"), "two 150", NEW, Some(&first));
        assert_eq!(later.changed, ["substituters"]);
        assert_eq!(later.settings.substituters(), ["http://old"], "what the daemon works with");
        assert_eq!((later.view, later.start.as_ref()), (SettingsView::Daemon, Some(&first)));
        // Another start: it has read what is there now.
        let anew = related(&running("b"), "two 50", NEW, Some(&first));
        assert_eq!((anew.view, &anew.changed[..]), (SettingsView::Daemon, &[][..]));
        assert_eq!(anew.settings.substituters(), ["http://new"]);
        // It was taken back.
        let back = related(&running("a"), "one 200", OLD, Some(&first));
        assert_eq!((back.view, &back.changed[..]), (SettingsView::Daemon, &[][..]));
    }

    #[test]
    fn a_change_that_means_nothing_for_caches_is_no_finding() {
        let first = related(&running("a"), "one 99", OLD, None).start.unwrap();
        let later = related(&running("a"), "two 150", OTHER, Some(&first));
        assert_eq!((later.view, &later.changed[..]), (SettingsView::Daemon, &[][..]));
    }

    #[test]
    fn where_it_is_not_known_what_the_daemon_read_the_file_is_told_and_the_change_too() {
        let first = related(&running("a"), "one 150", OLD, None).start.unwrap();
        let later = related(&running("a"), "two 160", NEW, Some(&first));
        assert_eq!(
            (later.view, &later.changed[..]),
            (SettingsView::File, &["substituters".to_owned()][..])
        );
        assert_eq!(later.settings.substituters(), ["http://new"]);
    }
}
