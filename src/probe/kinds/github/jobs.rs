//! What the logs of CI jobs say of caches. Pure.
//!
//! Nothing counts hits for GitHub's caches but the jobs themselves, in words: those of
//! `actions/cache`, of cache-nix-action and of Nix. The Magic Nix Cache says nothing of hits; what
//! came from it shows in Nix' own lines, since it serves on the runner itself.

use crate::fleet::printable_line;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where the Magic Nix Cache listens on a runner.
const MAGIC: &str = "127.0.0.1:37515";

/// Most characters of a key that are shown.
const KEY_LIMIT: usize = 48;

/// Most different keys, and places that paths came from, that are kept.
const MOST: usize = 100;

/// Runs as GitHub lists them, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunsPage {
    #[serde(rename = "workflow_runs")]
    pub(super) runs: Vec<WorkflowRun>,
}

/// One run of a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WorkflowRun {
    pub(super) id: u64,
    /// Counts how often it was started again.
    #[serde(default, rename = "run_attempt")]
    pub(super) attempt: u64,
    /// When it ended, as far as the list says.
    pub(super) updated_at: Timestamp,
}

/// The jobs of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct JobsPage {
    pub(super) jobs: Vec<WorkflowJob>,
}

/// One job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WorkflowJob {
    pub(super) id: u64,
    /// How it ended; one that was skipped has no log.
    #[serde(default)]
    pub(super) conclusion: Option<String>,
}

/// What logs say of caches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LogSummary {
    /// Keys of caches that were restored.
    restored: Vec<String>,
    /// Caches that were looked for and not found, or not restored.
    missed: u64,
    /// Derivations that were built.
    built: u64,
    /// Paths that were copied, by where from.
    copied: BTreeMap<String, u64>,
}

impl LogSummary {
    /// Returns whether a cache of GitHub was restored or served something; nothing where no log
    /// says that one was looked for.
    pub(super) fn hit(&self) -> Option<bool> {
        let hit = !self.restored.is_empty() || self.copied.contains_key(MAGIC);
        (hit || self.missed > 0).then_some(hit)
    }

    /// Adds what another log says.
    pub(super) fn add(&mut self, other: Self) {
        for key in other.restored {
            self.keep_key(&key);
        }
        self.missed += other.missed;
        self.built += other.built;
        for (from, count) in other.copied {
            self.count_copies(&from, count);
        }
    }

    /// Returns it in words, such as `restored nix-Linux-9c1185a, 12 built, 340 copied`.
    pub(super) fn words(&self) -> String {
        let mut words = Vec::new();
        match (self.restored.as_slice(), self.missed) {
            ([], 0) => {}
            ([], _) => words.push("restored nothing".to_owned()),
            ([key], _) => words.push(format!("restored {}", short(key))),
            ([key, rest @ ..], _) => {
                words.push(format!("restored {} and {} more", short(key), rest.len()));
            }
        }
        let copied: u64 = self.copied.values().sum();
        if self.built > 0 || copied > 0 {
            words.push(format!("{} built", self.built));
            words.push(format!("{copied} copied"));
        }
        if words.is_empty() {
            return "its logs say nothing of caches or of Nix".to_owned();
        }
        let mut places: Vec<(&String, &u64)> = self.copied.iter().collect();
        places.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let places: Vec<String> = places
            .into_iter()
            .map(|(place, count)| {
                let name = if place == MAGIC { "Magic Nix Cache" } else { place.as_str() };
                format!("{name} {count}")
            })
            .collect();
        let from = if places.is_empty() {
            String::new()
        } else {
            format!(" (from {})", places.join(", "))
        };
        format!("{}{from}", words.join(", "))
    }

    fn keep_key(&mut self, key: &str) {
        let key = printable_line(key);
        if self.restored.len() < MOST && !self.restored.contains(&key) {
            self.restored.push(key);
        }
    }

    fn count_copies(&mut self, from: &str, count: u64) {
        if self.copied.len() < MOST || self.copied.contains_key(from) {
            *self.copied.entry(from.to_owned()).or_default() += count;
        }
    }
}

/// Reads the log of a job, or what there is of it.
pub(super) fn read(log: &str) -> LogSummary {
    let mut said = LogSummary::default();
    // cache-nix-action says first which key it restores, and then whether it did.
    let mut trying: Option<&str> = None;
    for line in log.lines().map(bare) {
        if let Some(path) = line.strip_prefix("copying path '") {
            if let Some(from) = path.split_once("' from '").and_then(|(_, rest)| quoted(rest)) {
                said.count_copies(&place(from), 1);
            }
        } else if line.starts_with("building '/nix/store/") {
            said.built += 1;
        } else if let Some(key) = line.strip_prefix("Cache restored from key: ") {
            said.keep_key(key);
        } else if line.starts_with("Cache not found for input keys: ")
            || line == "Could not find a cache."
            || line.starts_with("Could not find a cache with the given ")
        {
            said.missed += 1;
        } else if let Some(rest) = line.strip_prefix("Restoring a cache with the key \"") {
            trying = rest.split('"').next();
        } else if line == "Finished restoring the cache." {
            if let Some(key) = trying.take() {
                said.keep_key(key);
            }
        } else if line == "Failed to restore the cache." {
            said.missed += 1;
            trying = None;
        }
    }
    said
}

/// Returns a line without the time that GitHub puts before it.
fn bare(line: &str) -> &str {
    let line = line.trim_start_matches('\u{feff}');
    match line.split_once(' ') {
        Some((time, rest)) if time.ends_with('Z') && time.parse::<Timestamp>().is_ok() => rest,
        Some(_) | None => line,
    }
}

/// Returns what stands before the next quote.
fn quoted(text: &str) -> Option<&str> {
    text.split_once('\'').map(|(text, _)| text)
}

/// Returns the host of an address, or what is no address as it is.
fn place(from: &str) -> String {
    let rest = from.split_once("://").map_or(from, |(_, rest)| rest);
    let host = rest.split(['/', '?']).next().unwrap_or(rest);
    let host = host.rsplit('@').next().unwrap_or(host);
    printable_line(host)
}

/// Returns a key that is not longer than can be shown.
fn short(key: &str) -> String {
    if key.chars().count() <= KEY_LIMIT {
        return key.to_owned();
    }
    let cut: String = key.chars().take(KEY_LIMIT - 1).collect();
    format!("{cut}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a log with times before its lines.
    fn log(lines: &[&str]) -> String {
        let line = |line: &&str| format!("2026-11-21T06:12:44.1366667Z {line}\n");
        format!("\u{feff}{}", lines.iter().map(line).collect::<String>())
    }

    #[test]
    fn the_words_of_actions_cache_are_understood() {
        let said = read(&log(&[
            "##[group]Run actions/cache@v4",
            "Cache hit for restore-key: nix-Linux-9c1185a",
            "Cache restored successfully",
            "Cache restored from key: nix-Linux-9c1185a",
        ]));
        assert_eq!(said.hit(), Some(true));
        assert_eq!(said.words(), "restored nix-Linux-9c1185a");
        let said = read(&log(&["Cache not found for input keys: nix-Linux-9c1185a, nix-Linux-"]));
        assert_eq!((said.hit(), said.words().as_str()), (Some(false), "restored nothing"));
    }

    #[test]
    fn a_cache_that_cache_nix_action_found_by_its_prefix_is_a_hit() {
        let said = read(&log(&[
            "Searching for a cache with the key \"nix-Linux-1\".",
            "Could not find a cache with the given \"primary-key\" and \"paths\".",
            "Found a cache using the \"restore-prefixes-first-match\".",
            "Restoring a cache with the key \"nix-Linux-0\" and scoped to \"refs/heads/main\".",
            "Finished restoring the cache.",
        ]));
        assert_eq!((said.hit(), said.words().as_str()), (Some(true), "restored nix-Linux-0"));
        let said = read(&log(&[
            "Restoring a cache with the key \"nix-Linux-0\".",
            "Failed to restore the cache.",
            "Finished restoring the cache.",
        ]));
        assert_eq!(said.hit(), Some(false));
    }

    #[test]
    fn what_nix_copied_and_built_is_counted_by_where_it_came_from() {
        let said = read(&log(&[
            "these 2 derivations will be built:",
            "  /nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-a.drv",
            "copying path '/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-a' from 'https://cache.nixos.org'...",
            "copying path '/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-b' from 'https://me:pw@x.cachix.org/a?b'...",
            "copying path '/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0b-c' from 'https://cache.nixos.org'...",
            "copying path '/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0c-d' from 'http://127.0.0.1:37515'...",
            "copying path '/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0c-d' to 'ssh://p620'...",
            "building '/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-a.drv'...",
            "building '/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-b.drv' on 'ssh://builder'...",
        ]));
        assert_eq!(said.hit(), Some(true), "the Magic Nix Cache served a path");
        let words = said.words();
        assert_eq!(
            words,
            "2 built, 4 copied (from cache.nixos.org 2, Magic Nix Cache 1, x.cachix.org 1)"
        );
    }

    #[test]
    fn lines_that_only_mention_a_cache_count_for_nothing() {
        let said = read(&log(&[
            "##[debug]Cache restored from key: x",
            "  echo \"Cache not found for input keys: y\"",
            "error: building '/nix/store/x.drv' failed",
        ]));
        assert_eq!((said.clone(), said.hit()), (LogSummary::default(), None));
        assert_eq!(said.words(), "its logs say nothing of caches or of Nix");
    }

    #[test]
    fn logs_of_several_jobs_are_one_runs() {
        let mut said = read(&log(&["Cache restored from key: a"]));
        said.add(read(&log(&["Cache restored from key: a", "Cache restored from key: b"])));
        said.add(read(&log(&["Cache not found for input keys: c"])));
        assert_eq!(said.words(), "restored a and 1 more");
        let long = read(&log(&[&format!("Cache restored from key: {}", "k".repeat(500))]));
        assert_eq!(long.words().chars().count(), "restored ".len() + KEY_LIMIT);
    }
}
