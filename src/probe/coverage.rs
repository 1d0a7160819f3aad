//! Coverage: how much of each host's running closure each tier holds now.
//!
//! The paths of all closures are asked of a tier once, and answers are kept for a while: what a
//! tier has seldom goes, what it lacks may come any minute. The arithmetic is pure.

use crate::fleet::{ClosurePath, Coverage, CoverageFacts, Share, StorePath, Tier};
use crate::probe::answers::Answers;
use crate::probe::asking::Tools;
use crate::probe::checks::held::is_upper_bound;
use crate::probe::look::holds;
use crate::probe::store::Closure;
use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many of the biggest missing paths are named.
const NAMED: usize = 5;

/// A host with its closure, as coverage is asked for.
#[derive(Clone, Copy, Debug)]
pub struct HostClosure<'a> {
    /// The host.
    pub host: &'a str,
    /// What it runs.
    pub closure: &'a Closure,
}

/// Returns how many paths and bytes of a closure are held.
pub fn covered(paths: &[ClosurePath], holds: impl Fn(&StorePath) -> bool) -> (Share, Share) {
    let (mut count, mut bytes) = (Share::default(), Share::default());
    for entry in paths {
        count.total += 1;
        bytes.total = bytes.total.saturating_add(entry.nar_size);
        if holds(&entry.path) {
            count.have += 1;
            bytes.have = bytes.have.saturating_add(entry.nar_size);
        }
    }
    (count, bytes)
}

/// Asks every tier that is probed for the closures of all these hosts.
///
/// A tier that does not answer, or answers with trouble, is absent from the result.
pub async fn measure(
    tools: Tools<'_>,
    asked: &[HostClosure<'_>],
    answers: &Mutex<Answers>,
) -> BTreeMap<String, CoverageFacts> {
    measure_unless(tools, asked, answers, |_| false, None).await
}

/// Does what [`measure`] does, for so long: a tier that takes longer is absent, and delays no other.
pub(super) async fn measure_within(
    tools: Tools<'_>,
    asked: &[HostClosure<'_>],
    answers: &Mutex<Answers>,
    limit: Duration,
) -> BTreeMap<String, CoverageFacts> {
    measure_unless(tools, asked, answers, |_| false, Some(limit)).await
}

/// Does what [`measure`] does, without asking some of the tiers now: those are judged by what they
/// said before, when that is all that is needed, and else absent.
pub(super) async fn measure_unless(
    tools: Tools<'_>,
    asked: &[HostClosure<'_>],
    answers: &Mutex<Answers>,
    rests: impl Fn(&Tier) -> bool,
    limit: Option<Duration>,
) -> BTreeMap<String, CoverageFacts> {
    let now = Timestamp::now();
    lock(answers).prune(now);
    let closures = union(asked.iter().map(|host| host.closure));
    let whole = ask_all(tools, &closures, answers, now, rests, limit).await;
    let answers = lock(answers);
    let tiers = &tools.fleet.tiers;
    asked
        .iter()
        .map(|host| {
            let mut facts = CoverageFacts {
                toplevel: Some(host.closure.root.clone()),
                ..CoverageFacts::default()
            };
            for tier in tiers.iter().filter(|tier| whole.contains(tier.name.as_str())) {
                let at_most = is_upper_bound(tools.memory, tier, Timestamp::now());
                add_coverage(tier, &host.closure.paths, &answers, now, at_most, &mut facts);
            }
            (host.host.to_owned(), facts)
        })
        .collect()
}

/// Asks every tier that is probed for these paths, as far as it did not answer recently; returns
/// the names of those that answered for all.
pub(super) async fn ask_all<'a>(
    tools: Tools<'a>,
    paths: &[ClosurePath],
    answers: &Mutex<Answers>,
    now: Timestamp,
    rests: impl Fn(&Tier) -> bool,
    limit: Option<Duration>,
) -> HashSet<&'a str> {
    let mut whole = HashSet::new();
    let mut all = tools
        .fleet
        .tiers
        .iter()
        .map(|tier| {
            let may_ask = !rests(tier) && tools.web.budget.rest_of(tier).is_none();
            let work = ask_tier(tools, tier, may_ask, paths, answers, now);
            async move {
                match limit {
                    Some(limit) => tokio::time::timeout(limit, work).await.ok(),
                    None => Some(work.await),
                }
            }
        })
        .collect::<stream::FuturesUnordered<_>>();
    while let Some(answered) = all.next().await {
        if let Some((tier, true)) = answered {
            whole.insert(tier);
        }
    }
    whole
}

/// Puts into the facts what a tier's answers say of a closure.
pub(super) fn add_coverage(
    tier: &Tier,
    closure: &[ClosurePath],
    answers: &Answers,
    now: Timestamp,
    at_most: bool,
    facts: &mut CoverageFacts,
) {
    let mut oldest = now;
    let mut missing: Vec<&ClosurePath> = Vec::new();
    let mut held = HashSet::new();
    for entry in closure {
        let given = answers.given(&tier.name, &entry.path, now);
        oldest = given.map_or(oldest, |given| given.at.min(oldest));
        if given.is_some_and(|given| given.holds) {
            held.insert(&entry.path);
        } else {
            missing.push(entry);
        }
    }
    let (paths, bytes) = covered(closure, |path| held.contains(path));
    let coverage = Coverage { paths, bytes, measured_at: oldest, at_most };
    facts.tiers.insert(tier.name.clone(), coverage);
    missing.sort_by_key(|entry| (std::cmp::Reverse(entry.nar_size), &entry.path));
    let biggest = missing.into_iter().take(NAMED).cloned().collect();
    facts.missing.insert(tier.name.clone(), biggest);
}

/// Returns every path of these closures, once.
pub(super) fn union<'a>(closures: impl Iterator<Item = &'a Closure>) -> Vec<ClosurePath> {
    let mut seen = HashSet::new();
    closures
        .flat_map(|closure| &closure.paths)
        .filter(|entry| seen.insert(&entry.path))
        .cloned()
        .collect()
}

/// Asks one tier for the paths it did not answer for recently; returns its name and whether it
/// answered for all.
async fn ask_tier<'a>(
    tools: Tools<'_>,
    tier: &'a Tier,
    may_ask: bool,
    closures: &[ClosurePath],
    answers: &Mutex<Answers>,
    now: Timestamp,
) -> (&'a str, bool) {
    let open: Vec<&StorePath> = {
        let answers = lock(answers);
        let paths = closures.iter().map(|entry| &entry.path);
        paths.filter(|path| answers.get(&tier.name, path, now).is_none()).collect()
    };
    let asking = tools.asking(tier, &[], closures, now);
    if open.is_empty() || !may_ask {
        return (tier.name.as_str(), open.is_empty());
    }
    let Ok(held) = holds(&asking, &open).await else { return (tier.name.as_str(), false) };
    let complete = held.len() == open.len();
    let mut answers = lock(answers);
    for (path, holds) in open.into_iter().zip(held) {
        answers.put(tier, path.clone(), holds, now);
    }
    (tier.name.as_str(), complete)
}

/// Locks the answers; a panic elsewhere leaves them usable.
pub(super) fn lock(answers: &Mutex<Answers>) -> MutexGuard<'_, Answers> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::KindName;
    use crate::probe::memory::Memory;
    use crate::probe::server::{Server, narinfo_of};
    use crate::probe::transport::http::HttpClient;
    use crate::remote::FakeRunner;

    const A: &str = "/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-a-1.0";
    const B: &str = "/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-b-2.0";
    const TOP: &str = "/nix/store/7h97s6mlwpnvm55448s9n0jz4lxih34s-top";

    /// Makes a closure of paths with sizes; the last is the root.
    fn closure(paths: &[(&str, u64)]) -> Closure {
        let paths: Vec<ClosurePath> = paths
            .iter()
            .map(|(path, nar_size)| ClosurePath {
                path: StorePath::parse(path).unwrap(),
                nar_size: *nar_size,
            })
            .collect();
        Closure { root: paths[paths.len() - 1].path.clone(), paths }
    }

    /// Measures with tiers at these addresses.
    async fn measured(
        tiers: &[(&str, KindName, &str)],
        asked: &[HostClosure<'_>],
        answers: &Mutex<Answers>,
    ) -> BTreeMap<String, CoverageFacts> {
        let mut fleet = crate::config::fallback();
        fleet.tiers = tiers.iter().map(|(name, kind, url)| Tier::new(name, *kind, url)).collect();
        let (web, memory) = (HttpClient::new().unwrap(), Memory::default());
        let runner = FakeRunner::unreachable();
        let tools = Tools { web: &web, runner: &runner, fleet: &fleet, memory: &memory };
        measure(tools, asked, answers).await
    }

    #[test]
    fn shares_count_paths_and_bytes() {
        let closure = closure(&[(A, 120), (B, 168), (TOP, 216)]);
        let (paths, bytes) = covered(&closure.paths, |path| path.as_str() != TOP);
        assert_eq!(paths, Share { have: 2, total: 3 });
        assert_eq!(bytes, Share { have: 288, total: 504 });
    }

    #[tokio::test]
    async fn paths_that_hosts_share_are_asked_once_and_then_remembered() {
        let server = Server::start(&[
            ("/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo", 200, &narinfo_of(A)),
            ("/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a.narinfo", 403, ""),
        ])
        .await;
        let tiers = [
            ("p620", KindName::NixServe, server.url.as_str()),
            ("down", KindName::Http, "http://127.0.0.1:1"),
        ];
        let (one, two) = (closure(&[(A, 120), (TOP, 216)]), closure(&[(A, 120), (B, 168)]));
        let asked = [
            HostClosure { host: "razer", closure: &one },
            HostClosure { host: "samsung", closure: &two },
        ];
        let answers = Mutex::new(Answers::default());
        let found = measured(&tiers, &asked, &answers).await;
        assert_eq!(found["razer"].tiers["p620"].paths, Share { have: 1, total: 2 });
        assert_eq!(found["samsung"].tiers["p620"].bytes, Share { have: 120, total: 288 });
        assert_eq!(found["samsung"].toplevel, Some(two.root.clone()));
        assert!(!found["razer"].tiers.contains_key("down"));
        assert_eq!(found["samsung"].missing["p620"][0].path.as_str(), B);
        assert_eq!(server.asked().len(), 3);
        let again = measured(&tiers, &asked, &answers).await;
        assert_eq!(again["samsung"].tiers["p620"].paths, Share { have: 1, total: 2 });
        assert_eq!(server.asked().len(), 3);
    }

    #[tokio::test]
    async fn a_tier_in_trouble_is_absent() {
        let server = Server::start(&[("/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo", 500, "")]).await;
        let tiers = [("p620", KindName::NixServe, server.url.as_str())];
        let one = closure(&[(TOP, 216), (A, 120)]);
        let asked = [HostClosure { host: "razer", closure: &one }];
        let found = measured(&tiers, &asked, &Mutex::new(Answers::default())).await;
        assert!(found["razer"].tiers.is_empty());
    }
}
