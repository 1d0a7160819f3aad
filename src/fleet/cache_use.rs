//! How a host's Nix uses a cache: what it does when the cache fails, what it keeps of it, and
//! whose settings were looked at.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a host's Nix does when a cache fails it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reaction {
    /// It takes the failure for "not here", says nothing, and asks the next cache.
    SkipsSilently,
    /// It warns, leaves the cache out for a while, and asks the next one.
    Skips,
    /// It prints an error and asks the next cache; what no other cache has fails to build.
    NeedsAnother,
    /// It stops with an error: builds fail until the cache is back.
    Stops,
}

impl Reaction {
    /// Returns the word used in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::SkipsSilently => "skips-silently",
            Self::Skips => "skips",
            Self::NeedsAnother => "needs-another",
            Self::Stops => "stops",
        }
    }
}

/// What happens on a host when a cache is down, by its version of Nix and its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhenDown {
    /// What Nix does after the last attempt.
    pub reaction: Reaction,
    /// Whether it waits for the cache again at every path, and not only once.
    pub each_path: bool,
    /// How long the attempts take where the address refuses to connect, in milliseconds.
    pub refused_ms: u64,
    /// How long they take where nothing answers at all: the machine is off, or a firewall drops.
    pub silent_ms: u64,
}

/// What a host's Nix keeps of a cache in its own record, and goes by until that is too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheRecord {
    /// The priority that it goes by.
    pub priority: i32,
    /// When it read the cache's `nix-cache-info`.
    pub read_at: Timestamp,
    /// When it reads that file again.
    pub until: Timestamp,
}

impl CacheRecord {
    /// Returns whether the host goes by it at that time.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.read_at <= now && now < self.until
    }
}

/// Whose settings the figures of a host are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SettingsView {
    /// Those that the running daemon works with.
    Daemon,
    /// Those that the files say now; a daemon that started earlier may work with others.
    File,
}

impl SettingsView {
    /// Returns the word used in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::File => "file",
        }
    }
}

/// How a host's Nix is set up, as far as caches go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NixFacts {
    /// The program and its version, such as `Nix 2.26.3` or `Lix 2.93.0`.
    pub release: Option<String>,
    /// Whose settings the figures are about.
    pub view: Option<SettingsView>,
    /// Whether it builds what no cache could be asked for.
    pub fallback: Option<bool>,
    /// Caches that it asks and hosts.toml lacks, as it lists them.
    pub unlisted: Vec<UnlistedCache>,
    /// When its settings were read.
    pub measured_at: Option<Timestamp>,
}

/// A cache that a host asks and hosts.toml lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlistedCache {
    /// How the host's settings name it, printable.
    pub url: String,
    /// In which place the host asks it, from 1; none where that is not known.
    pub rank: Option<u32>,
    /// Its priority; none where that is not known.
    pub priority: Option<i32>,
    /// Why Nix leaves it out, where it does.
    pub left_out: Option<String>,
}
