//! The faults of the matrix: what happens, to whom, and when it is over.

use super::super::{assert_ok, lab, on};
use super::phase::Phase;
use std::process::Command;
use std::time::Duration;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    SshCut,
    PartitionFiveSeconds,
    PartitionForEver,
    SshdStopped,
    PowerCycle,
    PowerOff,
    BuilderCut,
    TierDown,
    CorruptNar,
    WrongKey,
    DiskFull,
    BuilderDiskFull,
    SecondOperator,
    Killed,
    CtrlC,
    Term,
    Hup,
    Stop,
    Gc,
    NixosRebuild,
}

/// All of them.
pub(super) const FAULTS: [Fault; 20] = [
    Fault::SshCut,
    Fault::PartitionFiveSeconds,
    Fault::PartitionForEver,
    Fault::SshdStopped,
    Fault::PowerCycle,
    Fault::PowerOff,
    Fault::BuilderCut,
    Fault::TierDown,
    Fault::CorruptNar,
    Fault::WrongKey,
    Fault::DiskFull,
    Fault::BuilderDiskFull,
    Fault::SecondOperator,
    Fault::Killed,
    Fault::CtrlC,
    Fault::Term,
    Fault::Hup,
    Fault::Stop,
    Fault::Gc,
    Fault::NixosRebuild,
];

/// What a fault is done to.
pub(super) struct Scene<'a> {
    pub(super) host: &'a str,
    /// The process of nixdash.
    pub(super) nixdash: u32,
    /// A system that is neither the one before nor the one to come.
    pub(super) other: Option<&'a str>,
}

impl Fault {
    /// Returns the word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SshCut => "ssh-cut",
            Self::PartitionFiveSeconds => "partition-5s",
            Self::PartitionForEver => "partition",
            Self::SshdStopped => "sshd-stopped",
            Self::PowerCycle => "power-cycle",
            Self::PowerOff => "power-off",
            Self::BuilderCut => "builder-cut",
            Self::TierDown => "tier-down",
            Self::CorruptNar => "corrupt-nar",
            Self::WrongKey => "wrong-key",
            Self::DiskFull => "disk-full",
            Self::BuilderDiskFull => "builder-disk-full",
            Self::SecondOperator => "second-operator",
            Self::Killed => "killed",
            Self::CtrlC => "ctrl-c",
            Self::Term => "term",
            Self::Hup => "hup",
            Self::Stop => "stop",
            Self::Gc => "gc",
            Self::NixosRebuild => "nixos-rebuild",
        }
    }

    /// Returns whether it befalls the builder or its cache, which all hosts share.
    pub(super) fn is_shared(self) -> bool {
        matches!(
            self,
            Self::BuilderCut
                | Self::TierDown
                | Self::CorruptNar
                | Self::WrongKey
                | Self::BuilderDiskFull
                | Self::Gc
        )
    }

    /// Returns whether it can matter in a phase.
    pub(super) fn makes_sense_in(self, phase: Phase) -> bool {
        match self {
            // A cache matters until everything is fetched.
            Self::TierDown | Self::CorruptNar | Self::WrongKey => {
                (Phase::Evaluate..=Phase::Fetch).contains(&phase)
            }
            Self::BuilderDiskFull => (Phase::Evaluate..=Phase::Build).contains(&phase),
            Self::SshCut
            | Self::PartitionFiveSeconds
            | Self::PartitionForEver
            | Self::SshdStopped
            | Self::PowerCycle
            | Self::PowerOff
            | Self::BuilderCut
            | Self::DiskFull
            | Self::SecondOperator
            | Self::Killed
            | Self::CtrlC
            | Self::Term
            | Self::Hup
            | Self::Stop
            | Self::Gc
            | Self::NixosRebuild => true,
        }
    }

    /// Returns whether the deploy has to succeed all the same: what happens is no fault of the host, or
    /// is over before it can matter.
    pub(super) fn is_survived(self, phase: Phase) -> bool {
        match self {
            Self::Hup | Self::SecondOperator | Self::Gc => true,
            Self::SshCut | Self::PartitionFiveSeconds => {
                (Phase::Verify..=Phase::Settle).contains(&phase)
            }
            Self::PowerCycle => phase == Phase::Fetch,
            Self::BuilderCut => phase >= Phase::Build,
            Self::Stop => phase < Phase::Activate,
            Self::PartitionForEver
            | Self::SshdStopped
            | Self::PowerOff
            | Self::TierDown
            | Self::CorruptNar
            | Self::WrongKey
            | Self::DiskFull
            | Self::BuilderDiskFull
            | Self::Killed
            | Self::CtrlC
            | Self::Term
            | Self::NixosRebuild => false,
        }
    }

    /// Lets it happen, and returns when it is over; what lasts until the run has ended is taken back by
    /// [`Fault::take_back`].
    pub(super) fn strike(self, scene: &Scene<'_>) {
        let on_host = |what: &str| assert_ok(&lab(&["fault", scene.host, what]));
        match self {
            Self::SshCut => cut_ssh(scene.nixdash),
            Self::PartitionFiveSeconds => {
                on_host("partition");
                std::thread::sleep(Duration::from_secs(5));
                on_host("clear");
            }
            Self::PartitionForEver => on_host("partition"),
            Self::SshdStopped => on_host("sshd-stop"),
            Self::PowerCycle => on_host("power-cycle"),
            Self::PowerOff => on_host("power-off"),
            Self::BuilderCut => assert_ok(&lab(&["fault", "p620", "power-cycle"])),
            Self::TierDown => assert_ok(&lab(&["fault", "cache", "down"])),
            Self::CorruptNar => assert_ok(&lab(&["fault", "cache", "corrupt-nar"])),
            Self::WrongKey => assert_ok(&lab(&["fault", "cache", "wrong-key"])),
            Self::DiskFull => on_host("disk-full"),
            Self::BuilderDiskFull => assert_ok(&lab(&["fault", "p620", "disk-full"])),
            // By `attack`, which reads what it is told.
            Self::SecondOperator => {}
            Self::Killed => signal(scene.nixdash, "KILL"),
            Self::CtrlC => signal(scene.nixdash, "INT"),
            Self::Term => signal(scene.nixdash, "TERM"),
            Self::Hup => signal(scene.nixdash, "HUP"),
            Self::Stop => {
                signal(scene.nixdash, "STOP");
                // Longer than a host waits for the acknowledgement.
                std::thread::sleep(Duration::from_secs(20));
                signal(scene.nixdash, "CONT");
            }
            Self::Gc => {
                for host in ["p620", scene.host] {
                    on(host, "nix-store --gc >/dev/null 2>&1 || true");
                }
            }
            Self::NixosRebuild => {
                let other = scene.other.expect("another system");
                let profile = "/nix/var/nix/profiles/system";
                on(
                    scene.host,
                    &format!(
                        "nix-env -p {profile} --set {other} && \
                         {other}/bin/switch-to-configuration switch >/dev/null 2>&1; true"
                    ),
                );
            }
        }
    }

    /// Takes back what lasted until the run had ended.
    pub(super) fn take_back(self, host: &str) {
        assert_ok(&lab(&["fault", host, "clear"]));
        if self.is_shared() {
            for what in ["p620", "cache"] {
                assert_ok(&lab(&["fault", what, "clear"]));
            }
        }
    }
}

/// Sends a signal to a process.
fn signal(process: u32, name: &str) {
    // It may have ended a moment ago.
    drop(Command::new("kill").args([&format!("-{name}"), &process.to_string()]).output());
}

/// Kills the ssh processes of a nixdash: its connections end as if the network had reset them.
fn cut_ssh(nixdash: u32) {
    for process in descendants(nixdash) {
        let name = std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
        if name.trim() == "ssh" {
            signal(process, "KILL");
        }
    }
}

/// Returns the processes that a process started, and what those started.
fn descendants(of: u32) -> Vec<u32> {
    let mut found = vec![of];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        let tasks =
            std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let children =
                std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        }
        next += 1;
    }
    found.split_off(1)
}
