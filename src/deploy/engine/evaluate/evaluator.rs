//! What evaluates on a machine: its Nix, the settings that decide what comes out, and how many
//! evaluations its memory takes at once.

use crate::deploy::engine::scripts::EVALUATOR;
use crate::nix::settings::Settings;
use crate::nix::version::Version;
use crate::remote::{Output, Program, Script};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long the question may take.
const LIMIT: Duration = Duration::from_secs(15);

/// What is left to the machine when flakes are evaluated, in bytes.
const MEMORY_LEFT: u64 = 1 << 30;

/// What one evaluation of a whole system needs, in bytes: small systems stay below it, and big ones
/// are few.
const MEMORY_EACH: u64 = 2 << 30;

/// Evaluations at once where nothing is known of the memory.
const UNKNOWN_MEMORY: usize = 2;

/// Most evaluations at once, whatever the machine has.
const MOST: usize = 32;

/// The settings that may change what a flake is evaluated to, or whether it is evaluated at all.
const DECIDING: [&str; 15] = [
    "accept-flake-config",
    "allow-import-from-derivation",
    "allowed-uris",
    "eval-system",
    "experimental-features",
    "flake-registry",
    "impure-env",
    "lazy-trees",
    "plugin-files",
    "pure-eval",
    "restrict-eval",
    "store",
    "system",
    "use-registries",
    "use-xdg-base-directories",
];

/// What evaluates on a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::deploy::engine) struct Evaluator {
    /// What `nix --version` prints; empty where there is no Nix.
    pub(super) nix: String,
    /// Memory that can be used, in bytes; none where it is not known.
    memory: Option<u64>,
    /// Processors; none where it is not known.
    processors: Option<usize>,
    /// Whether there is a `nix-eval-jobs` that can be told which hosts are meant.
    pub(super) has_eval_jobs: bool,
    settings: Settings,
}

impl Evaluator {
    /// Reads the script's lines.
    fn read(text: &str) -> Self {
        let mut found = Self { settings: Settings::told(text), ..Self::default() };
        for (key, value) in text.lines().filter_map(|line| line.split_once('\t')) {
            match key {
                "nix" => value.trim().clone_into(&mut found.nix),
                "memory" => found.memory = value.trim().parse().ok(),
                "processors" => found.processors = value.trim().parse().ok(),
                "eval-jobs" => found.has_eval_jobs = true,
                _ => {}
            }
        }
        found
    }

    /// Asks this machine; one without a shell or Nix evaluates nothing.
    pub(super) async fn here() -> Self {
        let script = Self::script().text();
        let asked = Program::new("/bin/sh", ["-s"]).stdin(script.into_bytes()).limit(LIMIT);
        asked.run().await.map(|output| Self::read(&output.stdout)).unwrap_or_default()
    }

    /// Returns the script that asks.
    pub(super) fn script() -> Script {
        DECIDING.iter().fold(Script::new(EVALUATOR).limit(LIMIT), |script, name| script.arg(*name))
    }

    /// Takes what the script printed.
    pub(super) fn from_output(output: &Output) -> Self {
        Self::read(&output.stdout)
    }

    /// Returns the version of its Nix.
    pub(super) fn version(&self) -> Option<Version> {
        Version::parse(&self.nix)
    }

    /// Returns the settings that decide what comes out, one per line; none where they are not known.
    pub(super) fn deciding_settings(&self) -> Option<String> {
        let line = |name: &&str| self.settings.get(name).map(|value| format!("{name} = {value}\n"));
        (!self.settings.is_empty()).then(|| DECIDING.iter().filter_map(line).collect())
    }

    /// Returns how much memory each of some workers may take before it begins again, in megabytes.
    pub(super) fn memory_each(&self, workers: usize) -> u64 {
        let all = self.memory.map_or(MEMORY_EACH, |memory| memory.saturating_sub(MEMORY_LEFT));
        (all / (workers.max(1) as u64)).max(MEMORY_EACH / 2) >> 20
    }

    /// Returns how many evaluations may run at once.
    pub(super) fn places(&self) -> usize {
        let by_memory = self.memory.map_or(UNKNOWN_MEMORY, |memory| {
            usize::try_from(memory.saturating_sub(MEMORY_LEFT) / MEMORY_EACH).unwrap_or(MOST)
        });
        // Half of each waits for the disk and the network.
        let by_processors = self.processors.map_or(MOST, |count| count.saturating_mul(2));
        by_memory.min(by_processors).clamp(1, MOST)
    }
}

/// What evaluates on a machine, and the turns that evaluations of a run take there.
pub(in crate::deploy::engine) struct Evaluating {
    pub(super) evaluator: Evaluator,
    pub(super) turns: Semaphore,
}

impl Evaluating {
    /// Makes as many places as its memory allows.
    pub(super) fn new(evaluator: Evaluator) -> Self {
        let turns = Semaphore::new(evaluator.places());
        Self { evaluator, turns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluations_at_once_follow_the_memory_and_the_processors() {
        for (memory, processors, places) in [
            (Some(512 << 20), Some(8), 1),
            (Some(4 << 30), Some(8), 1),
            (Some(16 << 30), Some(8), 7),
            (Some(16 << 30), Some(2), 4),
            (Some(1 << 40), Some(128), MOST),
            (None, Some(8), UNKNOWN_MEMORY),
            (None, Some(0), 1),
        ] {
            let found = Evaluator { memory, processors, ..Evaluator::default() };
            assert_eq!(found.places(), places, "{memory:?} {processors:?}");
        }
    }

    #[test]
    fn what_a_machine_says_is_read() {
        let text = "nix\tnix (Nix) 2.26.3\nmemory\t8589934592\nprocessors\t4\neval-jobs\tyes\n\
                    setting\tpure-eval = false\nsetting\tsubstituters = http://x\n";
        let found = Evaluator::read(text);
        assert_eq!(found.version(), Some(Version::new(2, 26, 3)));
        assert!(found.has_eval_jobs && found.places() == 3, "{found:?}");
        assert_eq!(found.deciding_settings().unwrap(), "pure-eval = false\n");
        let nothing = Evaluator::read("nix\t\nmemory\t\nprocessors\t\n");
        assert_eq!((nothing.version(), nothing.deciding_settings()), (None, None));
        assert_eq!(nothing.places(), UNKNOWN_MEMORY);
    }

    #[tokio::test]
    async fn the_script_says_what_this_machine_has() {
        let found = Evaluator::here().await;
        assert!(found.memory.is_some_and(|memory| memory > 1 << 20), "{found:?}");
        assert!(found.processors.is_some_and(|count| count > 0), "{found:?}");
    }
}
