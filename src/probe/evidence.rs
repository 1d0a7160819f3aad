//! Gathers what closures and past fetches say of tiers, and leaves it where every look finds it.

use crate::fleet::{Fleet, HeldPath, Holdings, Said, Tier, TierEvidence, TierFacts, TimedFetch};
use crate::probe::answers::Answers;
use crate::probe::asking::Tools;
use crate::probe::coverage::HostClosure;
use crate::probe::store::Closure;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// How long fetches and losses count.
const WINDOW: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What the history tells of tiers, beside their last answers.
#[derive(Clone, Debug, Default)]
pub struct TierPast {
    /// What each tier was seen to hold.
    pub held: BTreeMap<String, Vec<HeldPath>>,
    /// What runs fetched, and how fast.
    pub fetches: Vec<TimedFetch>,
}

impl TierPast {
    /// Returns since when what the history tells counts.
    pub fn since(now: Timestamp) -> Timestamp {
        now - WINDOW
    }
}

/// The closures that count.
#[derive(Clone, Copy)]
pub(super) struct Closures<'a> {
    /// What hosts run.
    pub(super) running: &'a [HostClosure<'a>],
    /// What they run next, as far as that is built.
    pub(super) next: &'a [&'a Closure],
}

/// Judges every tier by these closures, by what tiers said of their paths and by the past, and
/// keeps what came out for the next looks.
///
/// `found` are the last facts of tiers, in which stands in which place hosts ask them. Answers are
/// those that were believed at `now`.
pub(super) fn judge_tiers<'a>(
    tools: Tools<'_>,
    closures: Closures<'_>,
    answers: &Answers,
    past: &TierPast,
    found: impl Iterator<Item = (&'a str, &'a TierFacts)>,
    now: Timestamp,
) {
    let tiers = substituters(tools.fleet);
    let running: Vec<_> =
        closures.running.iter().map(|asked| (asked.host, asked.closure.paths.as_slice())).collect();
    let next = closures.next.iter().map(|closure| closure.paths.as_slice());
    let all = running.iter().map(|(_, paths)| *paths).chain(next);
    let names = tiers.iter().map(|tier| tier.name.as_str());
    let holdings = Holdings::new(all, names, |tier, path| {
        let given = answers.given(tier, path, now)?;
        Some(Said { holds: given.holds, at: given.at })
    });
    let mut ranks = Vec::new();
    for (tier, facts) in found {
        let ranked = facts.hosts.iter().filter_map(|(host, seen)| Some((host, seen.rank?)));
        ranks.extend(ranked.map(|(host, rank)| (host.as_str(), tier, rank)));
    }
    let evidence = TierEvidence {
        tiers: &tiers,
        running: &running,
        closures: running.len() + closures.next.len(),
        holdings: &holdings,
        held: &past.held,
        fetches: &past.fetches,
        ranks: &ranks,
    };
    for (name, history) in evidence.judge() {
        if let Some(tier) = tools.fleet.tier(&name) {
            tools.memory.with(tier, |memory| memory.history = Some(history));
        }
    }
}

/// Returns the tiers that hosts may ask.
fn substituters(fleet: &Fleet) -> Vec<&Tier> {
    fleet.tiers.iter().filter(|tier| tier.kind.is_substituter()).collect()
}
