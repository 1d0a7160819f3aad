//! What was measured of hosts. `None` means: not measured, and is shown as unknown.

use crate::fleet::{Bytes, DeployFacts, Finding, NixFacts, Share, StorePath, told};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whether a host answers and is well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostState {
    /// It answered and nothing is wrong.
    Up,
    /// It answered, but a unit failed or its state is not `running`.
    Degraded,
    /// No address answered.
    #[serde(alias = "unreachable")]
    Offline,
    /// It answered, but let us not in (key, host key, user).
    Denied,
    /// It started and waits for its disk to be unlocked.
    #[serde(rename = "disk-locked")]
    Locked,
    /// Not asked yet, or something kept it from being asked.
    #[default]
    Unknown,
}

impl HostState {
    /// Returns whether the host answered and let us in.
    pub fn has_answered(self) -> bool {
        match self {
            Self::Up | Self::Degraded => true,
            Self::Offline | Self::Denied | Self::Locked | Self::Unknown => false,
        }
    }
}

/// Mains or battery of a portable machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerFacts {
    /// Whether mains power is connected.
    pub on_mains: Option<bool>,
    /// Charge in percent, 0 to 100.
    pub battery: Option<u8>,
}

/// A place of a host that fills up, besides its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FilePlace {
    /// Where the boot loader reads kernels: `/boot`, `/efi` or `/boot/efi`.
    Boot,
    /// `/var`, where logs of builds and fetches lie.
    Var,
    /// `/tmp`, where builds may work.
    Tmp,
    /// `/run`, where the results of a deploy lie.
    Run,
}

/// A part of the kernel's side of a system, which only a restart replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KernelPart {
    /// The kernel.
    Kernel,
    /// The initial RAM disk.
    Initrd,
    /// The kernel's modules.
    Modules,
}

/// What the boot loader of a host starts next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootChoice {
    /// The system; none where the boot loader is one that cannot be read, or the login user may not
    /// read it.
    pub system: Option<StorePath>,
    /// What pins that choice, so that the newest system is not started.
    pub pinned: Option<String>,
}

/// A garbage collector root that has been there for long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldRoot {
    /// The link that keeps a path alive.
    pub link: String,
    /// When it was made.
    pub made_at: Timestamp,
}

/// What seldom changes on a host, and is looked at seldom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpkeepFacts {
    /// What starts at the next boot.
    pub boot: BootChoice,
    /// The generation of the system profile that runs now; none when what runs is in none of them.
    pub running_generation: Option<u64>,
    /// What is known there of deploys.
    #[serde(default)]
    pub deploys: DeployFacts,
    /// The oldest roots, the oldest first; those of generations are not among them.
    pub roots: Vec<OldRoot>,
    /// What ran and what the profile named when this was looked at.
    pub systems: [Option<StorePath>; 2],
    /// Whether the system was being switched at that moment: what boots next may be about to change.
    #[serde(default)]
    pub switching: bool,
    /// When this was looked at.
    pub measured_at: Timestamp,
}

/// Which systems a host runs, booted and would boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemFacts {
    /// Where `/run/current-system` points.
    pub running: Option<StorePath>,
    /// Where `/run/booted-system` points.
    pub booted: Option<StorePath>,
    /// Where the newest generation of the system profile points.
    pub profile: Option<StorePath>,
    /// The number of that generation.
    pub generation: Option<u64>,
    /// NixOS's version text, such as `26.05.20261118.abc`.
    pub nixos_version: Option<String>,
    /// What runs instead where no system of NixOS does, such as `Debian GNU/Linux 13 (trixie)`.
    #[serde(default)]
    pub other_system: Option<String>,
    /// Nix's version, such as `2.31.2`.
    pub nix_version: Option<String>,
    /// Whether kernel, initrd or modules of the booted system differ from the running one's.
    pub reboot_needed: Option<bool>,
    /// Which of the three differ.
    #[serde(default)]
    pub reboot_for: Vec<KernelPart>,
}

/// The slow figures of a host's store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreFacts {
    /// Valid paths in the store.
    pub paths: u64,
    /// Sum of their NAR sizes in bytes.
    pub bytes: u64,
    /// When this was measured.
    pub measured_at: Timestamp,
}

/// What a close look at a host's store found. It takes the collector's lock, so it is seldom taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreDepth {
    /// Bytes that hard links between equal files save, as Nix counts it when it has collected
    /// garbage (`LocalStore::removeUnusedLinks`).
    pub saved_bytes: u64,
    /// Paths that no root keeps alive.
    pub dead_paths: u64,
    /// The sum of their NAR sizes in bytes: collecting them frees no more, and less where they
    /// share files with others by hard links.
    pub dead_bytes: u64,
    /// When this was measured.
    pub measured_at: Timestamp,
}

/// What one probe of a host found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostFacts {
    /// Whether it answers and is well.
    pub state: HostState,
    /// The address that answered, or `this machine`.
    pub address: Option<String>,
    /// Who we are there.
    pub user: Option<String>,
    /// Time of one round trip over the open connection, in milliseconds.
    pub latency_ms: Option<f64>,
    /// Load average over one minute.
    pub load1: Option<f64>,
    /// Load average over five minutes.
    pub load5: Option<f64>,
    /// Number of processors.
    pub cpus: Option<u32>,
    /// Main memory.
    pub memory: Option<Bytes>,
    /// The file system that holds `/nix/store`.
    pub disk: Option<Bytes>,
    /// Files on that file system, of those that it has room for; none where it has no limit.
    pub files: Option<Share>,
    /// Whether files can be written below `/nix`: false where its file system is mounted read-only.
    pub store_writable: Option<bool>,
    /// The file systems of other places.
    pub places: BTreeMap<FilePlace, Bytes>,
    /// By how many seconds the host's clock is ahead of this machine's, negative when it is behind;
    /// 0 within what one question can tell.
    pub clock_ahead_s: Option<f64>,
    /// What seldom changes.
    pub upkeep: Option<UpkeepFacts>,
    /// Systems and versions.
    pub system: SystemFacts,
    /// Units that systemd calls failed.
    pub failed_units: Option<Vec<String>>,
    /// What `systemctl is-system-running` says.
    pub system_state: Option<String>,
    /// Seconds since boot.
    pub uptime_s: Option<u64>,
    /// The kernel's boot id; it changes with every boot.
    pub boot_id: Option<String>,
    /// Mains and battery, where there is one.
    pub power: Option<PowerFacts>,
    /// How its Nix is set up; none where that was not read.
    #[serde(default)]
    pub nix: Option<Box<NixFacts>>,
    /// What is wrong with it, or worth knowing: of a host that does not answer, why; else what its
    /// figures say.
    pub findings: Vec<Finding>,
    /// When the figures were measured; none before the first answer.
    pub measured_at: Option<Timestamp>,
    /// When the host was last asked, answered or not.
    pub asked_at: Option<Timestamp>,
}

impl HostFacts {
    /// Returns the number of the generation that runs now; none where that is not known, or what runs is in none.
    pub fn running_generation(&self) -> Option<u64> {
        let system = &self.system;
        if system.running.is_some() && system.running == system.profile {
            return system.generation;
        }
        let upkeep = self.upkeep.as_ref().filter(|upkeep| upkeep.systems[0] == system.running)?;
        upkeep.running_generation
    }

    /// Returns the number of the newest generation where another one runs, so that it comes with the next boot.
    pub fn next_generation(&self) -> Option<u64> {
        let running = self.running_generation();
        let is_other = self.system.running.is_some()
            && self.system.running != self.system.profile
            && running != self.system.generation;
        self.system.generation.filter(|_| is_other)
    }

    /// Returns which generation runs, and which one comes where that is another: `77`, `77 → 78`, `? → 78`.
    pub fn generation_words(&self) -> Option<String> {
        match (self.running_generation(), self.next_generation()) {
            (running, Some(next)) => {
                let running = running.map_or_else(|| "?".to_owned(), |number| number.to_string());
                Some(format!("{running} → {next}"))
            }
            (running, None) => running.map(|number| number.to_string()),
        }
    }

    /// Returns why the last probe did not succeed, with what to do, in one sentence; none for a host
    /// that answered, whatever is wrong with it.
    pub fn error(&self) -> Option<String> {
        match self.state {
            HostState::Up | HostState::Degraded => None,
            HostState::Offline | HostState::Denied | HostState::Locked | HostState::Unknown => {
                told(&self.findings)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(letter: &str) -> Option<StorePath> {
        StorePath::parse(&format!("/nix/store/{}-nixos", letter.repeat(32))).ok()
    }

    fn runs(running: &str, profile: &str, found: Option<u64>) -> HostFacts {
        let upkeep = UpkeepFacts {
            boot: BootChoice::default(),
            running_generation: found,
            deploys: DeployFacts::default(),
            roots: Vec::new(),
            systems: [path(running), path(profile)],
            switching: false,
            measured_at: Timestamp::UNIX_EPOCH,
        };
        HostFacts {
            upkeep: Some(upkeep),
            system: SystemFacts {
                running: path(running),
                profile: path(profile),
                generation: Some(3),
                ..SystemFacts::default()
            },
            ..HostFacts::default()
        }
    }

    #[test]
    fn the_generation_is_that_of_what_runs_and_the_next_one_is_told_apart() {
        let words = |facts: &HostFacts| facts.generation_words();
        assert_eq!(words(&runs("a", "a", Some(3))).as_deref(), Some("3"));
        let staged = runs("a", "b", Some(2));
        assert_eq!((staged.running_generation(), staged.next_generation()), (Some(2), Some(3)));
        assert_eq!(words(&staged).as_deref(), Some("2 → 3"));
        // A tested system is no generation.
        assert_eq!(words(&runs("a", "b", None)).as_deref(), Some("? → 3"));
        // A specialisation of the newest one is that one.
        assert_eq!(words(&runs("a", "b", Some(3))).as_deref(), Some("3"));
        // What was looked at before another system ran says nothing of this one.
        let mut other = runs("a", "b", Some(2));
        other.system.running = path("c");
        assert_eq!(words(&other).as_deref(), Some("? → 3"));
        assert_eq!(words(&HostFacts::default()), None);
    }
}
