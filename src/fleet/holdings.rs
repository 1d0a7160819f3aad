//! What tiers hold of the closures that count, path by path: what only one of them holds, what one
//! has lost, and how much two have in common.
//!
//! Pure: answers come in, and a tier that did not answer for a path is unknown there, never empty.

use crate::fleet::{ClosurePath, Fetched, Share, StorePath};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How many of the biggest paths are named.
const NAMED: usize = 10;

/// By how much of a closure's paths or bytes coverage must fall to be told.
const FALL: f64 = 0.05;

/// What only one tier holds of the closures that hosts run or will run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UniqueFacts {
    /// Paths that no other tier holds, and their bytes (NAR size).
    pub only_here: Fetched,
    /// Paths that no tier is known to hold too, but of which some tier said nothing.
    pub doubtful: Fetched,
    /// The tiers that said nothing of them.
    pub silent: BTreeSet<String>,
    /// The biggest of the paths that no other tier holds, the biggest first.
    pub biggest: Vec<ClosurePath>,
    /// How many closures were looked at.
    pub closures: usize,
    /// When the oldest answer was given.
    pub measured_at: Timestamp,
}

/// What a tier has lost of closures that are still the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostFacts {
    /// The hosts whose closure it is, with the paths that the tier holds of the closure and that it
    /// held before.
    pub hosts: BTreeMap<String, CoverageFall>,
    /// The paths that it lost, each counted once.
    pub lost: Fetched,
    /// Those that no other tier is known to hold.
    pub nowhere: Fetched,
    /// The biggest of them, the biggest first.
    pub biggest: Vec<ClosurePath>,
    /// When the first of them was missing.
    pub since: Timestamp,
    /// When the last of them was still held.
    pub held_at: Timestamp,
}

/// How coverage of one closure fell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageFall {
    /// Paths that the tier held.
    pub before: Share,
    /// Paths that it holds.
    pub now: Share,
}

/// When a tier was last seen to hold a path, and since when it does not any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldPath {
    /// The path.
    pub path: StorePath,
    /// When the tier was last seen to hold it.
    pub held_at: Timestamp,
    /// When it was first seen not to hold it any more; none while it holds it.
    pub lost_at: Option<Timestamp>,
}

/// What a tier said of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// Whether it holds the path.
    pub holds: bool,
    /// When it said so.
    pub at: Timestamp,
}

/// What tiers said of paths, each path once.
pub struct Holdings<'a> {
    paths: Vec<&'a ClosurePath>,
    /// Answers by tier, one per path.
    said: BTreeMap<&'a str, Vec<Option<Said>>>,
}

impl<'a> Holdings<'a> {
    /// Asks what is known of every path of some closures.
    pub fn new(
        closures: impl IntoIterator<Item = &'a [ClosurePath]>,
        tiers: impl IntoIterator<Item = &'a str>,
        said: impl Fn(&str, &StorePath) -> Option<Said>,
    ) -> Self {
        let mut paths: BTreeMap<&StorePath, &ClosurePath> = BTreeMap::new();
        for entry in closures.into_iter().flatten() {
            paths.entry(&entry.path).or_insert(entry);
        }
        let paths: Vec<&ClosurePath> = paths.into_values().collect();
        let answers = |tier: &str| paths.iter().map(|entry| said(tier, &entry.path)).collect();
        let said = tiers.into_iter().map(|tier| (tier, answers(tier))).collect();
        Self { paths, said }
    }

    /// Returns what only this tier holds; nothing when it said nothing of any path.
    pub fn unique(&self, tier: &str, closures: usize) -> Option<UniqueFacts> {
        let own = self.said.get(tier)?;
        let measured_at = own.iter().flatten().map(|said| said.at).min()?;
        let mut facts = UniqueFacts { closures, measured_at, ..UniqueFacts::default() };
        let mut unique: Vec<&ClosurePath> = Vec::new();
        for (index, entry) in self.paths.iter().enumerate() {
            if !own[index].is_some_and(|said| said.holds) {
                continue;
            }
            let (held, silent) = self.elsewhere(tier, index);
            match (held, silent.is_empty()) {
                (true, _) => {}
                (false, true) => {
                    add(&mut facts.only_here, entry);
                    unique.push(entry);
                }
                (false, false) => {
                    add(&mut facts.doubtful, entry);
                    facts.silent.extend(silent.into_iter().map(str::to_owned));
                }
            }
        }
        facts.biggest = biggest(unique);
        Some(facts)
    }

    /// Returns which share of the bytes that one tier holds another holds too; nothing where the
    /// first holds nothing, or either did not answer for every path.
    pub fn shared(&self, one: &str, other: &str) -> Option<Share> {
        let (one, other) = (self.said.get(one)?, self.said.get(other)?);
        let mut share = Share::default();
        for (entry, (one, other)) in self.paths.iter().zip(one.iter().zip(other)) {
            let (one, other) = ((*one)?, (*other)?);
            if one.holds {
                share.total = share.total.saturating_add(entry.nar_size);
                share.have =
                    share.have.saturating_add(if other.holds { entry.nar_size } else { 0 });
            }
        }
        (share.total > 0).then_some(share)
    }

    /// Returns what a tier has lost of closures, by host; nothing where coverage of none fell by
    /// five points of its paths or bytes.
    ///
    /// `before` is what the tier was seen to hold earlier. What it does not answer for now is not
    /// lost.
    pub fn lost(
        &self,
        tier: &str,
        closures: &[(&str, &[ClosurePath])],
        before: &[HeldPath],
    ) -> Option<LostFacts> {
        let own = self.said.get(tier)?;
        let known: HashMap<&StorePath, &HeldPath> =
            before.iter().map(|held| (&held.path, held)).collect();
        let index: HashMap<&StorePath, usize> =
            self.paths.iter().enumerate().map(|(index, entry)| (&entry.path, index)).collect();
        let mut all: BTreeMap<&StorePath, (&ClosurePath, Loss, usize)> = BTreeMap::new();
        let mut hosts = BTreeMap::new();
        for (host, closure) in closures {
            let of = |entry: &ClosurePath| {
                let index = *index.get(&entry.path)?;
                Some((index, own[index]?))
            };
            let said: Vec<_> =
                closure.iter().filter_map(|entry| Some((entry, of(entry)?))).collect();
            // What is not answered for may be held: a fall is told from whole answers.
            if said.len() < closure.len() {
                continue;
            }
            let lost: Vec<_> = said
                .iter()
                .filter_map(|(entry, (index, said))| {
                    Some((*entry, Loss::of(known.get(&entry.path)?, *said)?, *index))
                })
                .collect();
            let held = said.iter().filter(|(_, (_, said))| said.holds).count() as u64;
            if let Some(fall) = fall(closure, held, &lost) {
                hosts.insert((*host).to_owned(), fall);
                all.extend(lost.into_iter().map(|lost| (&lost.0.path, lost)));
            }
        }
        self.sum_up(tier, hosts, &all)
    }

    /// Sums up what was lost.
    fn sum_up(
        &self,
        tier: &str,
        hosts: BTreeMap<String, CoverageFall>,
        all: &BTreeMap<&StorePath, (&ClosurePath, Loss, usize)>,
    ) -> Option<LostFacts> {
        let since = all.values().map(|(_, loss, _)| loss.lost_at).min()?;
        let held_at = all.values().map(|(_, loss, _)| loss.held_at).max()?;
        let (mut lost, mut nowhere) = (Fetched::default(), Fetched::default());
        for (entry, _, index) in all.values() {
            add(&mut lost, entry);
            if !self.elsewhere(tier, *index).0 {
                add(&mut nowhere, entry);
            }
        }
        let biggest = biggest(all.values().map(|(entry, ..)| *entry).collect());
        Some(LostFacts { hosts, lost, nowhere, biggest, since, held_at })
    }

    /// Returns whether another tier holds a path, and which others said nothing of it.
    fn elsewhere(&self, tier: &str, index: usize) -> (bool, Vec<&'a str>) {
        let (mut held, mut silent) = (false, Vec::new());
        for (name, said) in self.said.iter().filter(|(name, _)| **name != tier) {
            match said[index] {
                Some(said) => held |= said.holds,
                None => silent.push(*name),
            }
        }
        (held, silent)
    }
}

/// When a path was last held and first missed.
#[derive(Clone, Copy)]
struct Loss {
    held_at: Timestamp,
    lost_at: Timestamp,
}

impl Loss {
    /// Returns the loss, if what a tier held and what it says now make one.
    fn of(before: &HeldPath, said: Said) -> Option<Self> {
        let lost_at = before.lost_at.unwrap_or(said.at);
        (!said.holds && before.held_at < said.at)
            .then_some(Self { held_at: before.held_at, lost_at })
    }
}

/// Returns how coverage of a closure fell, when that is by enough.
fn fall(
    closure: &[ClosurePath],
    held: u64,
    lost: &[(&ClosurePath, Loss, usize)],
) -> Option<CoverageFall> {
    let total = closure.len() as u64;
    let sum = |sizes: &mut dyn Iterator<Item = u64>| sizes.fold(0_u64, u64::saturating_add);
    let all = sum(&mut closure.iter().map(|entry| entry.nar_size));
    let gone = sum(&mut lost.iter().map(|(entry, ..)| entry.nar_size));
    let part = |have: u64, total: u64| Share { have, total }.ratio().unwrap_or(0.0);
    let count = lost.len() as u64;
    let is_told = part(count, total) >= FALL || part(gone, all) >= FALL;
    is_told.then_some(CoverageFall {
        before: Share { have: held + count, total },
        now: Share { have: held, total },
    })
}

/// Counts a path.
fn add(sum: &mut Fetched, entry: &ClosurePath) {
    sum.paths += 1;
    sum.bytes = sum.bytes.saturating_add(entry.nar_size);
}

/// Returns the biggest of some paths, the biggest first.
fn biggest(mut paths: Vec<&ClosurePath>) -> Vec<ClosurePath> {
    paths.sort_by_key(|entry| (Reverse(entry.nar_size), &entry.path));
    paths.into_iter().take(NAMED).cloned().collect()
}

#[cfg(test)]
mod tests;
