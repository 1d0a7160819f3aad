use super::*;
use crate::fleet::{
    Code, HeldPath, HostState, Share, SignatureState, TierState, TimedBytes, TimedFetch,
};
use crate::probe::server::{Server, narinfo_of};
use crate::remote::{Answer, FakeRunner, Output, RemoteError, Script, Trouble};
use std::path::Path;

const CARE: Thoroughness = Thoroughness::Ordinary;
const TOP: &str = "/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-top";

/// A runner for a living samsung and a dead razer.
fn runner() -> FakeRunner {
    FakeRunner::new(|host, script| {
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
    let found = measure_once(
        &fleet,
        &runner(),
        &["samsung".to_owned()],
        CARE,
        &EarlierLooks::default(),
        &[],
    )
    .await;
    assert!(began.elapsed() < TIER_LIMIT + Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(found.tiers[0].1.state, TierState::Down);
    assert_eq!(found.hosts[0].1.state, HostState::Up);
    assert!(found.coverage["samsung"].tiers.is_empty());
}

#[tokio::test]
async fn a_public_cache_that_was_asked_just_now_is_not_asked_again_and_one_of_ones_own_is() {
    let server =
        Server::start(&[("/nix-cache-info", 200, "StoreDir: /nix/store\nPriority: 30\n")]).await;
    let text = format!(
        "[hosts.samsung]\n[[tiers]]\nname = \"p620\"\nkind = \"nix-serve\"\nurl = \"{}\"\n\
         [[tiers]]\nname = \"nixos\"\nkind = \"http\"\nurl = \"https://cache.example.org\"\n",
        server.url
    );
    let fleet = crate::config::parse(&text, Path::new("hosts.toml"), None).unwrap();
    let now = Timestamp::now();
    let told = TierFacts {
        state: TierState::Up,
        since: Some(now - SignedDuration::from_mins(30)),
        latency_ms: Some(1234.0),
        asked_at: Some(now),
        ..TierFacts::default()
    };
    let mut earlier = EarlierLooks::default();
    for tier in &fleet.tiers {
        earlier.add(tier, Some(told.clone()), Some(7), Vec::new());
    }
    let found = measure_once(&fleet, &runner(), &[], CARE, &earlier, &[]).await;
    assert_eq!(found.tiers[1].1, told);
    assert_ne!(found.tiers[0].1.latency_ms, told.latency_ms);
    assert_eq!(found.tiers[0].1.since, told.since, "it was up then and is now");
    assert_eq!(found.tiers[0].1.requests_this_month, Some(8));
    assert_eq!(found.requests, BTreeMap::from([("p620".to_owned(), 1)]));
}

/// A runner on which the turn of one host never comes.
struct Queue;

impl ScriptRunner for Queue {
    fn run<'a>(&'a self, host: &'a str, _: &'a Script) -> Answer<'a, Output> {
        if host == "razer" {
            return Box::pin(std::future::pending());
        }
        let stdout = "user\tme\nend\tok\n".to_owned();
        Box::pin(async { Ok(Output { stdout, ..Output::default() }) })
    }

    fn follow<'a>(
        &'a self,
        host: &'a str,
        script: &'a Script,
        _: tokio::sync::mpsc::Sender<Vec<u8>>,
    ) -> Answer<'a, Output> {
        self.run(host, script)
    }

    fn address(&self, _: &str) -> Option<String> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_whose_turn_did_not_come_is_not_called_unreachable() {
    let text = "[hosts.samsung]\n[hosts.razer]\n";
    let fleet = crate::config::parse(text, Path::new("hosts.toml"), None).unwrap();
    let names = ["samsung".to_owned(), "razer".to_owned()];
    let found = measure_once(&fleet, &Queue, &names, CARE, &EarlierLooks::default(), &[]).await;
    assert_eq!(found.hosts[0].1.state, HostState::Up);
    let razer = &found.hosts[1].1;
    assert_eq!((razer.state, razer.asked_at), (HostState::Unknown, None));
    assert!(razer.error().unwrap().starts_with("razer: not asked: the other hosts"));
}

#[tokio::test]
async fn what_one_tier_alone_holds_and_what_another_lost_is_told_of_the_tiers() {
    let narinfo = "/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo";
    let holds = Server::start(&[
        ("/nix-cache-info", 200, "StoreDir: /nix/store\nPriority: 30\n"),
        (narinfo, 200, &narinfo_of(TOP)),
    ])
    .await;
    let lost =
        Server::start(&[("/nix-cache-info", 200, "StoreDir: /nix/store\nPriority: 40\n")]).await;
    let tier = |name: &str, server: &Server| {
        let url = &server.url;
        format!("[[tiers]]\nname = \"{name}\"\nkind = \"nix-serve\"\nurl = \"{url}\"\n")
    };
    let text = format!("[hosts.samsung]\n{}{}", tier("p620", &holds), tier("old", &lost));
    let fleet = crate::config::parse(&text, Path::new("hosts.toml"), None).unwrap();
    let mut past = EarlierLooks::default();
    let held_at = Timestamp::now() - SignedDuration::from_hours(3);
    let held = HeldPath { path: StorePath::parse(TOP).unwrap(), held_at, lost_at: None };
    past.tiers.held.insert("old".to_owned(), vec![held]);
    past.tiers.fetches.push(TimedFetch {
        source: "p620".to_owned(),
        host: "samsung".to_owned(),
        at: held_at,
        timed: TimedBytes { bytes: 4_000_000, busy_ms: 1000 },
    });
    let names = ["samsung".to_owned()];
    let found = measure_once(&fleet, &runner(), &names, CARE, &past, &[]).await;
    let [p620, old] = [&found.tiers[0].1, &found.tiers[1].1];
    assert_eq!(p620.unique.as_ref().map(|unique| unique.only_here.bytes), Some(216));
    assert_eq!(p620.speed.map(|speed| speed.bytes_per_s), Some(4e6));
    assert_eq!(old.unique.as_ref().map(|unique| unique.only_here.bytes), Some(0));
    assert_eq!(old.speed, None, "unknown, since nobody fetched from it");
    let codes: Vec<Code> = old.findings.iter().map(|finding| finding.code).collect();
    assert!(codes.contains(&Code::PathsLost), "{codes:?}");
    assert!(p620.lost.is_none() && old.lost.as_ref().is_some_and(|lost| lost.nowhere.paths == 0));
}

#[tokio::test]
async fn a_dead_host_leaves_the_others_whole() {
    let server = Server::start(&[
        ("/nix-cache-info", 200, "StoreDir: /nix/store\nPriority: 30\n"),
        ("/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo", 200, &narinfo_of(TOP)),
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
    let found = measure_once(&fleet, &runner(), &names, CARE, &EarlierLooks::default(), &[]).await;
    assert_eq!(found.hosts[0].1.state, HostState::Up);
    assert_eq!(found.hosts[1].1.state, HostState::Offline);
    assert_eq!(found.stores["samsung"].paths, 10);
    assert_eq!(found.tiers[0].1.state, TierState::Up);
    assert_eq!(found.tiers[0].1.signature, SignatureState::Unchecked);
    assert_eq!(found.tiers[1].1.state, TierState::Unauthorized);
    assert_eq!(found.coverage["samsung"].tiers["p620"].paths, Share { have: 1, total: 1 });
    assert!(!found.coverage.contains_key("razer"));
    let quick = measure_once(
        &fleet,
        &runner(),
        &names[..1],
        Thoroughness::Glance,
        &EarlierLooks::default(),
        &[],
    )
    .await;
    assert!(quick.stores.is_empty() && quick.coverage.contains_key("samsung"));
    assert_eq!(quick.hosts.len(), 1);
}
