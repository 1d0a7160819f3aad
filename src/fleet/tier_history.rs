//! What closures and past fetches say of tiers, beside what each answers itself.
//!
//! Pure: answers, fetches and the order in which hosts ask come in; what comes out is put into the
//! facts of each tier.

use crate::fleet::words::{holdings, on_host};
use crate::fleet::{
    ClosurePath, Code, HeldPath, Holdings, LostFacts, RankedSpeed, SpeedSeen, Tier, TierFacts,
    TimedFetch, UniqueFacts, slow_first, speed_seen,
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// What is known of all tiers together.
pub struct TierEvidence<'a> {
    /// The tiers that hosts may ask, in the order of hosts.toml.
    pub tiers: &'a [&'a Tier],
    /// The closures that hosts run, by host.
    pub running: &'a [(&'a str, &'a [ClosurePath])],
    /// How many closures `holdings` is of: those that hosts run and those that they run next.
    pub closures: usize,
    /// What tiers said of every path of these closures.
    pub holdings: &'a Holdings<'a>,
    /// What each tier was seen to hold in the last days.
    pub held: &'a BTreeMap<String, Vec<HeldPath>>,
    /// What was fetched in runs of the last days.
    pub fetches: &'a [TimedFetch],
    /// In which place a host asks a tier: host, tier, place from 1.
    pub ranks: &'a [(&'a str, &'a str, u32)],
}

/// What closures and past fetches say of one tier.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TierHistory {
    /// How fast it sent files.
    pub speed: Option<SpeedSeen>,
    /// How fast it sent files to each host.
    pub speeds: BTreeMap<String, SpeedSeen>,
    /// Hosts that ask it before a much faster one: that one's name and speed.
    pub slow_for: BTreeMap<String, (String, SpeedSeen)>,
    /// What only it holds.
    pub unique: Option<UniqueFacts>,
    /// What it lost.
    pub lost: Option<LostFacts>,
}

impl TierEvidence<'_> {
    /// Returns what it says of every tier, by name.
    pub fn judge(&self) -> BTreeMap<String, TierHistory> {
        let mut all: BTreeMap<String, TierHistory> =
            self.tiers.iter().map(|tier| (tier.name.clone(), self.of_tier(tier))).collect();
        for (host, ..) in self.running {
            for (slow, fast, speed) in self.slow_on(host, &all) {
                if let Some(history) = all.get_mut(&slow) {
                    history.slow_for.insert((*host).to_owned(), (fast, speed));
                }
            }
        }
        all
    }

    /// Returns what it says of one tier, apart from the others' speeds.
    fn of_tier(&self, tier: &Tier) -> TierHistory {
        let own: Vec<&TimedFetch> =
            self.fetches.iter().filter(|fetch| fetch.source == tier.name).collect();
        let mut speeds = BTreeMap::new();
        for fetch in &own {
            let to_host = own.iter().copied().filter(|other| other.host == fetch.host);
            speeds.extend(speed_seen(to_host).map(|speed| (fetch.host.clone(), speed)));
        }
        let held = self.held.get(&tier.name).map(Vec::as_slice).unwrap_or_default();
        TierHistory {
            speed: speed_seen(own),
            speeds,
            slow_for: BTreeMap::new(),
            unique: self.holdings.unique(&tier.name, self.closures),
            lost: self.holdings.lost(&tier.name, self.running, held),
        }
    }

    /// Returns the tiers that a host asks before a much faster one, with that one and its speed.
    fn slow_on(
        &self,
        host: &str,
        all: &BTreeMap<String, TierHistory>,
    ) -> Vec<(String, String, SpeedSeen)> {
        let asked: Vec<RankedSpeed<'_>> = self
            .ranks
            .iter()
            .filter(|(asking, ..)| *asking == host)
            .map(|(_, tier, rank)| {
                let speed = all.get(*tier).and_then(|known| known.speeds.get(host)).copied();
                RankedSpeed { tier, rank: *rank, speed }
            })
            .collect();
        let shared = |one: &str, other: &str| self.holdings.shared(one, other)?.ratio();
        let found = slow_first(&asked, shared).into_iter();
        found
            .filter_map(|(slow, fast)| Some((slow.tier.into(), fast.tier.into(), fast.speed?)))
            .collect()
    }
}

impl TierHistory {
    /// Puts what is known into the facts of the tier, with what is wrong, in place of what was put
    /// there before.
    pub fn put_into(&self, facts: &mut TierFacts, tier: &Tier, now: Timestamp) {
        // As old as the look at what caches hold that it comes from.
        let now = self.unique.as_ref().map_or(now, |unique| unique.measured_at);
        facts.findings.retain(|finding| finding.code != Code::PathsLost);
        facts.speed = self.speed;
        facts.unique.clone_from(&self.unique);
        facts.lost.clone_from(&self.lost);
        let lost = self.lost.as_ref().map(|lost| holdings::paths_lost(tier, lost).at(now));
        facts.findings.extend(lost);
        for (host, found) in &mut facts.hosts {
            found.findings.retain(|finding| finding.code != Code::SlowFirst);
            found.speed = self.speeds.get(host).copied();
            let slow = found.speed.zip(self.slow_for.get(host)).map(|(own, (name, speed))| {
                on_host::slow_first(tier, host, &own, (name, speed)).at(now)
            });
            found.findings.extend(slow);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{
        Code, KindName, Said, Severity, StorePath, TierOnHost, TierState, TimedBytes, troubles,
    };

    const NOW: Timestamp = Timestamp::constant(1_795_000_000, 0);
    const BEFORE: Timestamp = Timestamp::constant(1_794_990_000, 0);

    fn closure(letters: &str) -> Vec<ClosurePath> {
        let path = |letter: char| {
            let hash = letter.to_string().repeat(32);
            StorePath::parse(&format!("/nix/store/{hash}-{letter}-1.0")).unwrap()
        };
        letters.chars().map(|letter| ClosurePath { path: path(letter), nar_size: 100 }).collect()
    }

    fn fetch(source: &str, host: &str, megabytes: u64) -> TimedFetch {
        let timed = TimedBytes { bytes: megabytes * 1_000_000, busy_ms: 1000 };
        TimedFetch { source: source.to_owned(), host: host.to_owned(), at: BEFORE, timed }
    }

    /// Judges two tiers of which p620 holds what is given, and nixos everything.
    fn judged(p620: &str, held: &str, fetches: &[TimedFetch]) -> BTreeMap<String, TierHistory> {
        let tiers = [
            Tier::new("p620", KindName::NixServe, "http://p620:5000"),
            Tier::new("nixos", KindName::Http, "https://cache.nixos.org"),
        ];
        let all = closure("abcd");
        let held = closure(held).into_iter().map(|entry| HeldPath {
            path: entry.path,
            held_at: BEFORE,
            lost_at: None,
        });
        let said = |tier: &str, path: &StorePath| {
            let holds = tier == "nixos" || p620.contains(path.name().chars().next().unwrap());
            Some(Said { holds, at: NOW })
        };
        TierEvidence {
            tiers: &[&tiers[0], &tiers[1]],
            running: &[("razer", &all), ("samsung", &all)],
            closures: 2,
            holdings: &Holdings::new([&all[..]], ["p620", "nixos"], said),
            held: &BTreeMap::from([("p620".to_owned(), held.collect())]),
            fetches,
            ranks: &[("razer", "p620", 1), ("razer", "nixos", 2), ("samsung", "nixos", 1)],
        }
        .judge()
    }

    #[test]
    fn a_host_that_saw_both_speeds_is_told_that_it_asks_the_slow_cache_first() {
        let fetches: Vec<TimedFetch> = [("p620", 2), ("nixos", 40)]
            .into_iter()
            .flat_map(|(tier, speed)| [fetch(tier, "razer", speed), fetch(tier, "razer", speed)])
            .collect();
        let found = judged("abcd", "", &fetches);
        let slow = &found["p620"];
        assert_eq!(slow.slow_for["razer"].0, "nixos");
        assert!(!slow.slow_for.contains_key("samsung") && found["nixos"].slow_for.is_empty());
        let tier = Tier::new("p620", KindName::NixServe, "http://p620:5000");
        let mut facts = TierFacts { state: TierState::Up, ..TierFacts::default() };
        facts.hosts =
            ["razer", "samsung"].map(|host| (host.to_owned(), TierOnHost::default())).into();
        slow.put_into(&mut facts, &tier, NOW);
        let [razer, samsung] = ["razer", "samsung"].map(|host| facts.hosts[host].clone());
        assert_eq!(razer.findings[0].code, Code::SlowFirst);
        assert_eq!(
            razer.findings[0].cause,
            "this cache sent files at 2.00 MB/s (median of 2 fetches in 7 days), and is asked before \
             nixos, which holds the same paths and sent files at 40.0 MB/s (median of 2 fetches in 7 \
             days)"
        );
        assert!(samsung.findings.is_empty() && samsung.speed.is_none());
        let once = facts.clone();
        slow.put_into(&mut facts, &tier, NOW);
        assert_eq!(facts, once, "told twice, it stands once");
        assert_eq!(facts.speed.map(|speed| speed.bytes_per_s), Some(2e6));
        assert_eq!(facts.unique.map(|unique| unique.only_here.paths), Some(0));
    }

    #[test]
    fn what_another_host_saw_is_not_compared() {
        // The builder beside the cache gets 200 MB/s, the laptop far away 2.
        let fetches = [
            fetch("nixos", "p620", 200),
            fetch("nixos", "p620", 200),
            fetch("p620", "razer", 2),
            fetch("p620", "razer", 2),
        ];
        assert!(judged("abcd", "", &fetches)["p620"].slow_for.is_empty());
    }

    #[test]
    fn what_a_tier_lost_is_a_warning_and_one_that_lost_nothing_has_none() {
        let tier = Tier::new("p620", KindName::NixServe, "http://p620:5000");
        let mut facts = TierFacts::default();
        judged("ab", "abcd", &[])["p620"].put_into(&mut facts, &tier, NOW);
        let found = troubles(&facts.findings)[0];
        assert_eq!((found.code, found.severity), (Code::PathsLost, Severity::Warning));
        assert_eq!(facts.lost.as_ref().map(|lost| lost.hosts.len()), Some(2));
        // Published again: nothing of it is left.
        let mut facts = TierFacts { lost: facts.lost, ..TierFacts::default() };
        judged("abcd", "abcd", &[])["p620"].put_into(&mut facts, &tier, NOW);
        assert!(facts.lost.is_none() && facts.findings.is_empty());
    }
}
