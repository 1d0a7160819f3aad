//! Which paths tiers hold, as they last said, and how long that is believed.
//!
//! What a tier has seldom goes, what it lacks may come any minute. Answers are passed on, so that
//! several nixdash on one machine need not all ask.

use crate::fleet::{PathAnswer, StorePath, Tier};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashMap};

/// How long it is believed that a tier holds a path, where tiers collect garbage.
const HIT_AGE: SignedDuration = SignedDuration::from_mins(15);

/// How long it is believed of cache.nixos.org, which deletes seldom: it did in spring 2026.
const LONG_HIT_AGE: SignedDuration = SignedDuration::from_hours(24);

/// How old an answer may be that is still believed of some tier.
pub(super) const OLDEST: SignedDuration = LONG_HIT_AGE;

/// How long it is believed that a tier does not hold a path.
const MISS_AGE: SignedDuration = SignedDuration::from_mins(5);

/// An answer of a tier about a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given {
    /// Whether it holds the path.
    pub(super) holds: bool,
    /// When it said so.
    pub(super) at: Timestamp,
    /// When it is not believed any more.
    until: Timestamp,
}

impl Given {
    /// Makes an answer that was given at a time.
    fn new(tier: &Tier, holds: bool, at: Timestamp) -> Self {
        let age = match holds {
            false => MISS_AGE,
            true if deletes_seldom(tier) => LONG_HIT_AGE,
            true => HIT_AGE,
        };
        Self { holds, at, until: at + age }
    }
}

/// Answers of tiers that are still believed.
#[derive(Debug, Default)]
pub struct Answers {
    by_tier: HashMap<String, HashMap<StorePath, Given>>,
    /// What was not passed on yet, by name of the tier.
    fresh: BTreeMap<String, Vec<PathAnswer>>,
}

impl Answers {
    /// Returns whether a tier holds a path, when it said so recently.
    pub fn get(&self, tier: &str, path: &StorePath, now: Timestamp) -> Option<bool> {
        self.given(tier, path, now).map(|given| given.holds)
    }

    /// Returns an answer that is still believed.
    pub(super) fn given(&self, tier: &str, path: &StorePath, now: Timestamp) -> Option<Given> {
        self.by_tier.get(tier)?.get(path).copied().filter(|given| now < given.until)
    }

    /// Keeps an answer that was given now.
    pub fn put(&mut self, tier: &Tier, path: StorePath, holds: bool, now: Timestamp) {
        let answer = PathAnswer { path: path.clone(), holds, at: now };
        self.fresh.entry(tier.name.clone()).or_default().push(answer);
        let given = Given::new(tier, holds, now);
        self.by_tier.entry(tier.name.clone()).or_default().insert(path, given);
    }

    /// Takes over what another nixdash was told, as far as that is newer.
    pub fn learn(&mut self, tier: &Tier, told: Vec<PathAnswer>) {
        let known = self.by_tier.entry(tier.name.clone()).or_default();
        for PathAnswer { path, holds, at } in told {
            if known.get(&path).is_none_or(|given| given.at < at) {
                known.insert(path, Given::new(tier, holds, at));
            }
        }
    }

    /// Returns what was given since the last call, by name of the tier, to be passed on.
    pub fn take_fresh(&mut self) -> BTreeMap<String, Vec<PathAnswer>> {
        std::mem::take(&mut self.fresh)
    }

    /// Forgets what tiers did not have: something was published.
    pub fn forget_misses(&mut self) {
        for answers in self.by_tier.values_mut() {
            answers.retain(|_, given| given.holds);
        }
        for answers in self.fresh.values_mut() {
            answers.retain(|answer| answer.holds);
        }
    }

    /// Forgets everything that a tier said: what it was seen to hold is gone.
    pub fn forget_tier(&mut self, tier: &str) {
        self.by_tier.remove(tier);
        self.fresh.remove(tier);
    }

    /// Forgets what is not believed any more.
    pub fn prune(&mut self, now: Timestamp) {
        for answers in self.by_tier.values_mut() {
            answers.retain(|_, given| now < given.until);
        }
    }
}

/// Returns whether a tier deletes seldom.
fn deletes_seldom(tier: &Tier) -> bool {
    tier.url.split("://").nth(1).and_then(|rest| rest.split(['/', ':', '?']).next())
        == Some("cache.nixos.org")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::KindName;

    const A: &str = "/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-a-1.0";
    const B: &str = "/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-b-2.0";

    #[test]
    fn a_miss_is_believed_for_a_shorter_time_than_a_hit() {
        let now: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
        let (a, b) = (StorePath::parse(A).unwrap(), StorePath::parse(B).unwrap());
        let mut answers = Answers::default();
        let p620 = Tier::new("p620", KindName::NixServe, "http://p620:5000");
        answers.put(&p620, a.clone(), true, now);
        answers.put(&p620, b.clone(), false, now);
        let at = |minutes: i64| now + SignedDuration::from_mins(minutes);
        assert_eq!(answers.get("p620", &a, at(4)), Some(true));
        assert_eq!(answers.get("p620", &b, at(4)), Some(false));
        assert_eq!(answers.get("p620", &a, at(14)), Some(true));
        assert_eq!(answers.get("p620", &b, at(5)), None);
        assert_eq!(answers.get("p620", &a, at(15)), None);
        assert_eq!(answers.get("other", &a, now), None);
        answers.forget_misses();
        assert_eq!(
            (answers.get("p620", &a, now), answers.get("p620", &b, now)),
            (Some(true), None)
        );
        answers.forget_tier("p620");
        assert_eq!(answers.get("p620", &a, now), None);
        let nixos = Tier::new("nixos", KindName::Http, "https://cache.nixos.org");
        answers.put(&nixos, a.clone(), true, now);
        answers.put(&nixos, b.clone(), false, now);
        assert_eq!(answers.get("nixos", &a, at(23 * 60)), Some(true));
        assert_eq!(answers.get("nixos", &b, at(23 * 60)), None);
    }

    #[test]
    fn what_another_nixdash_was_told_is_believed_as_long_as_if_it_was_said_to_us() {
        let now: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
        let at = |minutes: i64| now + SignedDuration::from_mins(minutes);
        let (a, b) = (StorePath::parse(A).unwrap(), StorePath::parse(B).unwrap());
        let p620 = Tier::new("p620", KindName::NixServe, "http://p620:5000");
        let mut answers = Answers::default();
        answers.put(&p620, a.clone(), false, at(2));
        let told = |path: &StorePath, holds| PathAnswer { path: path.clone(), holds, at: now };
        answers.learn(&p620, vec![told(&a, true), told(&b, true)]);
        assert_eq!(answers.get("p620", &a, at(3)), Some(false), "what is older teaches nothing");
        assert_eq!(answers.get("p620", &b, at(14)), Some(true));
        assert_eq!(answers.get("p620", &b, at(15)), None);
        let fresh = answers.take_fresh();
        assert_eq!(fresh["p620"], [PathAnswer { path: a, holds: false, at: at(2) }]);
        assert!(answers.take_fresh().is_empty(), "only what was said to us is passed on, once");
    }
}
