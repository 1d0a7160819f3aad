//! A cluster in each state, on answers of a real one.

use super::*;
use crate::fleet::Code;
use crate::fleet::KindName;
use crate::probe::asking::Tools;
use crate::probe::memory::Memory;
use crate::probe::server::Server;
use crate::probe::transport::http::HttpClient;
use crate::remote::FakeRunner;

const INFO: &str = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 45\n";
const STATUS: &str =
    include_str!("../../../../tests/answers/seaweedfs/healthy-cluster-status.json");
const WHOLE: [&str; 2] = [
    include_str!("../../../../tests/answers/seaweedfs/healthy-dir-status.json"),
    include_str!("../../../../tests/answers/seaweedfs/healthy-vol-status.json"),
];
const LOST_ONE: [&str; 2] = [
    include_str!("../../../../tests/answers/seaweedfs/lost-one-dir-status.json"),
    include_str!("../../../../tests/answers/seaweedfs/lost-one-vol-status.json"),
];
const COUNTERS: &str = include_str!("../../../../tests/answers/seaweedfs/metrics.txt");
const DENIED: &str = include_str!("../../../../tests/answers/s3/seaweedfs-denied.xml");

/// The parts of a probe that outlive a poll.
struct Eyes {
    web: HttpClient,
    memory: Memory,
    runner: FakeRunner,
    /// Whether the volume servers are asked too.
    asks_disks: bool,
}

impl Eyes {
    fn new() -> Self {
        let (web, memory) = (HttpClient::new().unwrap(), Memory::default());
        Self { web, memory, runner: FakeRunner::unreachable(), asks_disks: false }
    }

    /// Asks the tier `weed` with its bucket on one server and its masters on others.
    async fn look(&self, gateway: &str, masters: &[&str], now: Timestamp) -> TierFacts {
        let mut tier = Tier::new("weed", KindName::Seaweedfs, &format!("{gateway}/nix-cache"));
        tier.kind = TierKind::Seaweedfs(Seaweed {
            masters: masters.iter().map(|master| (*master).to_owned()).collect(),
            metrics: Some(format!("{gateway}/metrics")),
            volume_servers: Some(3),
            replication: Some("001".to_owned()),
        });
        let file = std::path::Path::new("/hosts.toml");
        let fleet = crate::config::parse("[hosts.p620]\n", file, None).unwrap();
        let Self { web, memory, runner, .. } = self;
        if !self.asks_disks {
            // The recorded servers are not there, and others may be.
            let none = Some(Dated { at: now, value: Vec::new() });
            memory.part(&tier, |memory: &mut ClusterMemory| memory.disks = none);
        }
        let tools = Tools { web, runner, fleet: &fleet, memory };
        Seaweedfs.look(&tools.asking(&tier, &[], &[], now)).await
    }
}

async fn gateway(counters: &str) -> Server {
    Server::start(&[("/nix-cache/nix-cache-info", 200, INFO), ("/metrics", 200, counters)]).await
}

async fn master(status: &str, [dir, vol]: [&str; 2]) -> Server {
    let files =
        [("/cluster/status", 200, status), ("/dir/status", 200, dir), ("/vol/status", 200, vol)];
    Server::start(&files).await
}

fn now() -> Timestamp {
    "2026-11-21T08:36:18Z".parse().unwrap()
}

#[tokio::test]
async fn a_whole_cluster_is_up_and_has_a_size() {
    let (gateway, master) = (gateway(COUNTERS).await, master(STATUS, WHOLE).await);
    let facts = Eyes::new().look(&gateway.url, &[&master.url], now()).await;
    assert_eq!((facts.state, &facts.findings[..]), (TierState::Up, &[][..]));
    let size = facts.size.unwrap();
    assert_eq!((size.bytes, size.objects, size.exact), (3_602_184, Some(25), true));
    let labels: Vec<&str> = facts.details.iter().map(|detail| detail.label.as_str()).collect();
    assert_eq!(labels, ["leader", "servers", "replication", "volumes", "room", "collections"]);
    // Nothing but what looks: its masters would delete a collection on a plain GET.
    let mut asked = master.asked();
    asked.sort();
    assert_eq!(asked, ["/cluster/status", "/dir/status", "/vol/status"]);
}

#[tokio::test]
async fn a_server_lost_between_two_polls_is_named() {
    let eyes = Eyes::new();
    let gateway = gateway(COUNTERS).await;
    let (whole, lost) = (master(STATUS, WHOLE).await, master(STATUS, LOST_ONE).await);
    eyes.look(&gateway.url, &[&whole.url], now()).await;
    let facts = eyes.look(&gateway.url, &[&lost.url], now()).await;
    assert_eq!(facts.state, TierState::Degraded);
    assert_eq!(
        facts.findings.iter().map(|finding| finding.cause.as_str()).collect::<Vec<_>>(),
        [
            "2 of 3 volume servers are there; 127.0.0.1:8083 is gone, last seen 2026-11-21 \
             08:36:18 UTC",
            "2 volumes have only one copy: 3, 4",
        ]
    );
}

#[tokio::test]
async fn a_server_lost_while_nixdash_was_away_is_named() {
    let before = Eyes::new();
    let gateway = gateway(COUNTERS).await;
    let (whole, lost) = (master(STATUS, WHOLE).await, master(STATUS, LOST_ONE).await);
    before.look(&gateway.url, &[&whole.url], now()).await;
    let weed = Tier::new("weed", KindName::Seaweedfs, &gateway.url);
    let kept = before.memory.take_changes(&weed).into_iter();
    let kept = kept.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let after = Eyes::new();
    after.memory.recall(&weed, kept);
    let facts = after.look(&gateway.url, &[&lost.url], now()).await;
    let error = facts.error().unwrap();
    assert!(error.contains("127.0.0.1:8083 is gone, last seen 2026-11-21"), "{error}");
}

#[tokio::test]
async fn masters_that_do_not_answer_are_passed_over_until_none_is_left() {
    let eyes = Eyes::new();
    let (gateway, master) = (gateway(COUNTERS).await, master(STATUS, WHOLE).await);
    let dead = "http://127.0.0.1:1";
    let facts = eyes.look(&gateway.url, &[dead, &master.url], now()).await;
    assert_eq!(facts.state, TierState::Up, "{facts:?}");
    let facts = eyes.look(&gateway.url, &[dead], now()).await;
    assert_eq!(facts.state, TierState::Degraded);
    assert!(facts.error().unwrap().contains("no master answers: http://127.0.0.1:1"));
    let closed = Server::start(&[("/cluster/status", 401, "")]).await;
    let facts = eyes.look(&gateway.url, &[&closed.url], now()).await;
    assert!(facts.error().unwrap().contains("whitelist"));
}

#[tokio::test]
async fn a_volume_server_whose_disk_is_nearly_full_is_named_and_seldom_asked() {
    let eyes = Eyes { asks_disks: true, ..Eyes::new() };
    let gateway = gateway(COUNTERS).await;
    let status = "{\"Version\":\"30GB 4.44\",\"DiskStatuses\":[{\"dir\":\"/data\",\"all\":100,\"used\":93,\
                  \"free\":7,\"percent_free\":7.0,\"percent_used\":93.0,\"disk_type\":\"hdd\"}],\"Volumes\":null}";
    let server = Server::start(&[("/status", 200, status)]).await;
    let address = server.url.strip_prefix("http://").unwrap();
    // The second is no address, and the third does not answer.
    let dir = WHOLE[0]
        .replace("127.0.0.1:8081", address)
        .replace("127.0.0.1:8082", "me@127.0.0.1:1/x?")
        .replace("127.0.0.1:8083", "127.0.0.1:1");
    let master = master(STATUS, [&dir, WHOLE[1]]).await;
    let soon = now() + jiff::SignedDuration::from_secs(10);
    let later = now() + jiff::SignedDuration::from_mins(11);
    for (at, asked) in [(now(), 1), (soon, 1), (later, 2)] {
        let facts = eyes.look(&gateway.url, &[&master.url], at).await;
        let disks = facts.findings.iter().find(|found| found.code == Code::DiskLow).unwrap();
        assert!(disks.cause.ends_with(&format!("nearly full: {address} /data 93 %")), "{disks:?}");
        assert_eq!(server.asked().len(), asked);
    }
}

#[tokio::test]
async fn an_overloaded_master_does_not_keep_the_gateway_from_being_asked() {
    let eyes = Eyes::new();
    let gateway = gateway(COUNTERS).await;
    let busy = Server::start(&[("/cluster/status", 503, "")]).await;
    let facts = eyes.look(&gateway.url, &[&busy.url], now()).await;
    assert_eq!(facts.state, TierState::Degraded);
    let weed = Tier::new("weed", KindName::Seaweedfs, &format!("{}/nix-cache", gateway.url));
    assert_eq!(eyes.web.budget.rest_of(&weed), None);
    let before = gateway.asked().len();
    eyes.look(&gateway.url, &[&busy.url], now()).await;
    assert!(gateway.asked().len() > before, "it is asked again at once");
    // The gateway's own wish is respected.
    let tired = Server::start(&[("/nix-cache/nix-cache-info", 503, "")]).await;
    eyes.look(&tired.url, &[&busy.url], now()).await;
    assert!(eyes.web.budget.rest_of(&weed).is_some());
    // And it says nothing of the masters.
    let master = master(STATUS, WHOLE).await;
    let facts = eyes.look(&tired.url, &[&master.url], now()).await;
    assert!(facts.details.iter().any(|detail| detail.label == "servers"), "{facts:?}");
}

#[tokio::test]
async fn masters_without_a_leader_are_said_to_be_so() {
    let gateway = gateway(COUNTERS).await;
    let master = master("{}", WHOLE).await;
    let facts = Eyes::new().look(&gateway.url, &[&master.url], now()).await;
    assert_eq!((facts.state, facts.findings[0].code), (TierState::Degraded, Code::LeaderMissing));
}

#[tokio::test]
async fn a_gateway_that_does_not_serve_is_worse_than_a_cluster_that_lacks_a_server() {
    let eyes = Eyes::new();
    let lost = master(STATUS, LOST_ONE).await;
    let denied = Server::start(&[("/nix-cache/nix-cache-info", 403, DENIED)]).await;
    let facts = eyes.look(&denied.url, &[&lost.url], now()).await;
    assert_eq!(facts.state, TierState::Unauthorized);
    let error = facts.error().unwrap();
    assert!(error.contains("AccessDenied") && error.contains("2 of 3 volume servers"), "{error}");
    let facts = eyes.look("http://127.0.0.1:1", &[&lost.url], now()).await;
    assert_eq!(facts.state, TierState::Down);
    assert!(facts.size.is_some(), "the masters know it");
}

#[tokio::test]
async fn requests_are_counted_between_two_polls_and_are_no_hit_rate() {
    let eyes = Eyes::new();
    let master = master(STATUS, WHOLE).await;
    let first = gateway(COUNTERS).await;
    assert_eq!(eyes.look(&first.url, &[&master.url], now()).await.served, None);
    let more = COUNTERS
        .replace("code=\"200\",type=\"GET\"} 3", "code=\"200\",type=\"GET\"} 18")
        .replace("code=\"404\",type=\"GET\"} 1", "code=\"404\",type=\"GET\"} 6");
    let second = gateway(&more).await;
    let later = now() + jiff::SignedDuration::from_secs(10);
    let served = eyes.look(&second.url, &[&master.url], later).await.served.unwrap();
    assert_eq!(served.answered, None);
    assert_eq!((served.requests_per_s, served.not_found), (Some(2.0), Some(0.25)), "{more}");
}

#[test]
fn counters_that_began_anew_give_no_wild_rates() {
    let later = now() + jiff::SignedDuration::from_secs(10);
    let served = rates((now(), 1000.0, 900.0, 500.0), (later, 20.0, 10.0, 5.0)).unwrap();
    assert_eq!((served.requests_per_s, served.not_found), (Some(2.0), Some(0.5)));
    assert_eq!(rates((now(), 1.0, 1.0, 1.0), (now(), 2.0, 2.0, 2.0)), None);
}
