//! Measures everything once, for `nixdash status`.

use crate::fleet::{
    ClosurePath, CoverageFacts, Fleet, HostFacts, HostState, StoreFacts, StorePath, Tier,
    TierFacts, TierState,
};
use crate::probe::candidates::{Known, candidates};
use crate::probe::coverage::{Answers, Asked, measure, union};
use crate::probe::kinds::probe_of;
use crate::probe::memory::Memory;
use crate::probe::store::{self, Closure};
use crate::probe::tier::Tools;
use crate::probe::web::Web;
use crate::probe::{host, on_host, tier};
use crate::remote::Hands;
use futures_util::future::join_all;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a tier may take; a tier that hangs is down.
const TIER_LIMIT: Duration = Duration::from_secs(10);

/// How long a tier may take for its size; from the beginning, so that one that hangs only there
/// does not hold up the rest either.
const SIZE_LIMIT: Duration = TIER_LIMIT;

/// How long a big tier that answers may take to say what it holds.
const COVERAGE_LIMIT: Duration = Duration::from_secs(60);

/// Everything as it was at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The hosts that were asked for, in the fleet's order.
    pub hosts: Vec<(String, HostFacts)>,
    /// Their stores; a host whose store could not be counted is absent.
    pub stores: BTreeMap<String, StoreFacts>,
    /// Every tier, in the order of `hosts.toml`.
    pub tiers: Vec<(String, TierFacts)>,
    /// Coverage of their running closures; a host without an answer is absent.
    pub coverage: BTreeMap<String, CoverageFacts>,
}

/// What one host said.
struct Answered {
    name: String,
    facts: HostFacts,
    store: Option<StoreFacts>,
    closure: Option<Closure>,
}

/// Asks hosts (by name) and every tier, all at once; with `slow` also stores and coverage.
///
/// Takes as long as the slowest host, 10 s at most for the quick figures, then as long as the
/// slowest tier. Names that are no hosts are left out.
pub async fn measure_once(
    fleet: &Fleet,
    hands: &dyn Hands,
    hosts: &[String],
    slow: bool,
) -> Snapshot {
    let asked = fleet.hosts.iter().filter(|host| hosts.contains(&host.name));
    let answered = join_all(asked.map(|host| async move {
        let facts = host::probe(hands, host, None).await;
        let up = matches!(facts.state, HostState::Up | HostState::Degraded);
        let (mut store, mut closure) = (None, None);
        if up && facts.system.running.is_some() {
            let count =
                async { if slow { store::count(hands, &host.name).await.ok() } else { None } };
            let list = async { store::closure(hands, &host.name).await.ok() };
            (store, closure) = tokio::join!(count, list);
        }
        Answered { name: host.name.clone(), facts, store, closure }
    }))
    .await;
    let mut snapshot = Snapshot::default();
    let memory = Memory::default();
    match Web::new() {
        Ok(web) => {
            let tools = Tools { web: &web, hands, fleet, memory: &memory };
            ask_tiers(tools, &answered, slow, &mut snapshot).await;
        }
        Err(error) => {
            let facts = TierFacts { error: Some(error.to_string()), ..TierFacts::default() };
            snapshot.tiers =
                fleet.tiers.iter().map(|tier| (tier.name.clone(), facts.clone())).collect();
        }
    }
    for host in answered {
        snapshot.stores.extend(host.store.map(|store| (host.name.clone(), store)));
        snapshot.hosts.push((host.name, host.facts));
    }
    snapshot
}

/// Asks every tier, first whether it is well, then what it holds.
async fn ask_tiers(tools: Tools<'_>, answered: &[Answered], slow: bool, snapshot: &mut Snapshot) {
    let answers = Mutex::new(Answers::default());
    let known: Vec<Known<'_>> = answered
        .iter()
        .map(|host| Known {
            host: &host.name,
            toplevel: host.facts.system.running.as_ref(),
            closure: host.closure.as_ref(),
        })
        .collect();
    let closures = union(answered.iter().filter_map(|host| host.closure.as_ref()));
    let closures = &closures;
    let probes = join_all(tools.fleet.tiers.iter().map(|tier| {
        let paths = candidates(tier, &known, |_| false);
        async move { (tier.name.clone(), ask_tier(tools, tier, &paths, closures, slow).await) }
    }));
    let asked: Vec<Asked<'_>> = answered
        .iter()
        .filter_map(|host| Some(Asked { host: &host.name, closure: host.closure.as_ref()? }))
        .collect();
    let coverage = async {
        if slow && !asked.is_empty() {
            let work = measure(tools, &asked, &answers);
            tokio::time::timeout(COVERAGE_LIMIT, work).await.unwrap_or_default()
        } else {
            BTreeMap::new()
        }
    };
    let up = answered.iter().filter(|host| slow && host.closure.is_some());
    let looks = join_all(up.map(|host| async move {
        let look = on_host::look(tools.hands, &host.name, Timestamp::now());
        if let Ok(view) = tokio::time::timeout(TIER_LIMIT, look).await {
            tools.memory.put_view(&host.name, view);
        }
    }));
    (snapshot.tiers, snapshot.coverage, _) = tokio::join!(probes, coverage, looks);
    for (name, facts) in &mut snapshot.tiers {
        let Some(tier) = tools.fleet.tier(name) else { continue };
        if let Some(settled) = tier::resettle(tools, facts, tier, Timestamp::now()) {
            *facts = settled;
        }
    }
}

/// Asks one tier, within ten seconds, and for its size too.
async fn ask_tier(
    tools: Tools<'_>,
    tier: &Tier,
    paths: &[StorePath],
    closures: &[ClosurePath],
    slow: bool,
) -> TierFacts {
    let began = Instant::now();
    let asking = tools.asking(tier, paths, closures, Timestamp::now());
    let probe = tokio::time::timeout(TIER_LIMIT, tier::probe(&asking, None));
    let Ok(mut facts) = probe.await else {
        let error = format!("{}: no answer within {} s", tier.url, TIER_LIMIT.as_secs());
        let (state, now) = (TierState::Down, Some(asking.now));
        let facts = TierFacts { state, since: now, asked_at: now, ..TierFacts::default() };
        return TierFacts { error: Some(error), ..facts };
    };
    if slow
        && facts.size.is_none()
        && let Some(probe) = probe_of(tier.kind)
        && let left = SIZE_LIMIT.saturating_sub(began.elapsed())
    {
        facts.size = match tokio::time::timeout(left, probe.size(&asking)).await {
            Ok(size) => size.ok().flatten(),
            Err(_) => probe.size_so_far(&asking),
        };
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Share, SignatureState, TierState};
    use crate::probe::server::Server;
    use crate::remote::{FakeHands, Output, RemoteError, Trouble};
    use std::path::Path;

    const TOP: &str = "/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-top";

    /// Hands for a living samsung and a dead razer.
    fn hands() -> FakeHands {
        FakeHands::new(|host, script| {
            if host == "razer" {
                return Err(RemoteError::new(host, Trouble::Unreachable, "No route to host"));
            }
            let stdout = if script.body.contains("path-info --all") {
                "10\t1000\n".to_owned()
            } else if script.body.contains("--recursive") {
                format!("root\t{TOP}\n{TOP}\t216\n")
            } else {
                format!("running\t{TOP}\nend\tok\n")
            };
            Ok(Output { stdout, ..Output::default() })
        })
    }

    #[tokio::test]
    async fn a_tier_that_hangs_holds_up_nothing_for_more_than_ten_seconds() {
        // Takes connections and says nothing.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let text = format!(
            "[hosts.samsung]\n[[tiers]]\nname = \"p620\"\nkind = \"nix-serve\"\n\
             url = \"http://{}\"\n",
            silent.local_addr().unwrap()
        );
        let fleet = crate::config::parse(&text, Path::new("hosts.toml"), None).unwrap();
        let began = Instant::now();
        let found = measure_once(&fleet, &hands(), &["samsung".to_owned()], true).await;
        assert!(began.elapsed() < TIER_LIMIT + Duration::from_secs(1), "{:?}", began.elapsed());
        assert_eq!(found.tiers[0].1.state, TierState::Down);
        assert_eq!(found.hosts[0].1.state, HostState::Up);
        assert!(found.coverage["samsung"].tiers.is_empty());
    }

    #[tokio::test]
    async fn a_dead_host_leaves_the_others_whole() {
        let server = Server::start(&[
            ("/nix-cache-info", 200, "StoreDir: /nix/store\nPriority: 30\n"),
            ("/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo", 200, "x: y\n"),
        ])
        .await;
        let text = format!(
            "[hosts.samsung]\n[hosts.razer]\n[[tiers]]\nname = \"p620\"\nkind = \"nix-serve\"\n\
             url = \"{}\"\n[[tiers]]\nname = \"ci\"\nkind = \"github-actions\"\nrepo = \"me/x\"\n\
             url = \"{}\"\n",
            server.url, server.url
        );
        let fleet = crate::config::parse(&text, Path::new("hosts.toml"), None).unwrap();
        let names = ["samsung".to_owned(), "razer".to_owned()];
        let found = measure_once(&fleet, &hands(), &names, true).await;
        assert_eq!(found.hosts[0].1.state, HostState::Up);
        assert_eq!(found.hosts[1].1.state, HostState::Unreachable);
        assert_eq!(found.stores["samsung"].paths, 10);
        assert_eq!(found.tiers[0].1.state, TierState::Up);
        assert_eq!(found.tiers[0].1.signature, SignatureState::Unchecked);
        assert_eq!(found.tiers[1].1.state, TierState::Unauthorized);
        assert_eq!(found.coverage["samsung"].tiers["p620"].paths, Share { have: 1, total: 1 });
        assert!(!found.coverage.contains_key("razer"));
        let quick = measure_once(&fleet, &hands(), &names[..1], false).await;
        assert!(quick.stores.is_empty() && quick.coverage.is_empty());
        assert_eq!(quick.hosts.len(), 1);
    }
}
