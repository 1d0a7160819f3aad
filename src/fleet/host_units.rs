//! The units of a host, as systemd tells of them.

use jiff::Timestamp;
use serde::Serialize;

/// What systemd says of a unit, in one of its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitState {
    /// It failed.
    Failed,
    /// It is being started, or waits to be started again.
    Activating,
    /// It is being stopped.
    Deactivating,
    /// It reads its configuration again.
    Reloading,
    /// It runs, or has done what it is for.
    Active,
    /// It does not run.
    Inactive,
}

impl UnitState {
    /// Reads systemd's word; nothing for one that is not known.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "failed" => Some(Self::Failed),
            "activating" => Some(Self::Activating),
            "deactivating" => Some(Self::Deactivating),
            "reloading" | "refreshing" => Some(Self::Reloading),
            "active" => Some(Self::Active),
            "inactive" => Some(Self::Inactive),
            _ => None,
        }
    }

    /// Returns systemd's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Activating => "activating",
            Self::Deactivating => "deactivating",
            Self::Reloading => "reloading",
            Self::Active => "active",
            Self::Inactive => "inactive",
        }
    }
}

/// One unit of a host. Its texts are printable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostUnit {
    /// Its name, such as `sshd.service`.
    pub name: String,
    /// What it is, in its own words.
    pub description: String,
    /// Its state.
    pub state: UnitState,
    /// Its state more closely, such as `running`, `exited` or `auto-restart`.
    pub sub_state: String,
    /// Why it failed, such as `exit-code` or `oom-kill`; none where it did not.
    pub result: Option<String>,
    /// The exit code of its main process; none where that has not ended, or is not known.
    pub exit_code: Option<i64>,
    /// Since when it is in this state.
    pub since: Option<Timestamp>,
    /// How often systemd started it again by itself.
    pub restarts: Option<u64>,
    /// Its memory in bytes.
    pub memory: Option<u64>,
}

impl HostUnit {
    /// Returns its state in words: `failed (exit code 1)`, `running`.
    pub fn state_words(&self) -> String {
        if self.state != UnitState::Failed {
            return self.sub_state.clone();
        }
        match (self.result.as_deref(), self.exit_code) {
            (Some("exit-code"), Some(code)) => format!("failed (exit code {code})"),
            (Some(result), _) => format!("failed ({result})"),
            (None, _) => "failed".to_owned(),
        }
    }
}

/// The units of a host that failed, and its services that run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostUnits {
    /// Those that failed first, then those on their way, then those that run; by name.
    pub units: Vec<HostUnit>,
    /// When the host told of them.
    pub measured_at: Timestamp,
}

impl HostUnits {
    /// Returns the units in the order in which they matter; services that do not run are left out.
    pub fn new(mut units: Vec<HostUnit>, measured_at: Timestamp) -> Self {
        units.retain(|unit| match unit.state {
            UnitState::Failed => true,
            UnitState::Inactive => false,
            UnitState::Activating
            | UnitState::Deactivating
            | UnitState::Reloading
            | UnitState::Active => unit.name.ends_with(".service"),
        });
        units.sort_by(|one, other| (one.state, &one.name).cmp(&(other.state, &other.name)));
        Self { units, measured_at }
    }

    /// Returns how many failed.
    pub fn failed(&self) -> usize {
        self.units.iter().filter(|unit| unit.state == UnitState::Failed).count()
    }
}

/// Which part of a journal is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalWanted {
    /// The host.
    pub host: String,
    /// The unit.
    pub unit: String,
    /// How many of the newest lines.
    pub lines: u32,
    /// Whether lines that come are wanted too, until the future is dropped.
    pub follow: bool,
}
