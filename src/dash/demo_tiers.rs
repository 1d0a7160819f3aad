//! Tiers of every kind, and one in every state that is not well, for tests.

use crate::dash::demo::{ago_s, fleet, path, tier, tier_facts, well};
use crate::dash::{Figures, TierFigures};
use crate::fleet::*;
use std::collections::BTreeMap;

const GB: u64 = 1_000_000_000;

/// The demonstration's fleet with a tier of every kind.
pub(super) fn every_kind() -> Fleet {
    let mut p620 = tier("p620", KindName::NixServe, "http://p620.lan:5000", "p620-1", Some("p620"));
    p620.max_requests_per_month = None;
    let mut cachix = tier("cachix", KindName::Cachix, "https://fleet.cachix.org", "fleet-1", None);
    cachix.max_requests_per_month = Some(50_000);
    let http = KindName::Http;
    Fleet {
        tiers: vec![
            p620,
            tier("nixos.org", http, "https://cache.nixos.org", "cache.nixos.org-1", None),
            tier("community", http, "https://community.example", "community-1", None),
            tier("p510", KindName::Harmonia, "http://p510.lan:5000", "p510-1", Some("p510")),
            tier("oracle", KindName::S3, "s3://nix-cache?region=eu-1", "oracle-1", None),
            tier("weed", KindName::Seaweedfs, "http://10.0.0.5:8333/nix-cache", "weed-1", None),
            cachix,
            tier("store", KindName::Local, "local", "", None),
            tier("ci", KindName::GithubActions, "https://github.example/me/nixos", "", None),
            tier("attic", KindName::Attic, "https://attic.example/fleet", "fleet-2", None),
            tier("ncps", KindName::Ncps, "http://ncps.lan:8501", "ncps-1", None),
        ],
        targets: Targets { hit_rate: Some(0.85) },
        ..fleet()
    }
}

fn detail(label: &str, text: &str) -> Detail {
    Detail { label: label.to_owned(), text: text.to_owned() }
}

/// The tier of that name.
fn named(name: &str) -> Tier {
    every_kind().tiers.into_iter().find(|tier| tier.name == name).unwrap()
}

fn size(bytes: u64, limit: Option<u64>, exact: bool) -> SizeFacts {
    let objects = Some(bytes / 1_684_000);
    SizeFacts { bytes, objects, limit, exact, measured_at: Some(ago_s(190)) }
}

fn on_host(rank: u32) -> TierOnHost {
    TierOnHost {
        configured: Some(true),
        rank: Some(rank),
        trusted: Some(true),
        speed: None,
        state: TierState::Up,
        measured_at: Some(ago_s(95)),
        ..TierOnHost::default()
    }
}

fn up(latency: f64, since: i64, rank: u32) -> TierFacts {
    let mut facts = tier_facts(TierState::Up, SignatureState::Valid, latency);
    facts.since = Some(ago_s(since));
    facts.connect_ms = Some(latency * 2.7);
    facts.nar_proof = Some("glibc-2.42-61 is served".to_owned());
    facts.hosts = ["p620", "razer", "samsung"]
        .into_iter()
        .map(|host| (host.to_owned(), on_host(rank)))
        .collect();
    facts
}

/// Facts of a tier that no host asks: no nix-cache-info, nothing signed.
fn unasked(facts: TierFacts) -> TierFacts {
    TierFacts {
        signature: SignatureState::Unchecked,
        proof: None,
        nar_proof: None,
        verified: None,
        priority: None,
        store_dir: None,
        ..facts
    }
}

fn told(name: &str, facts: TierFacts) -> Event {
    Event::Tier { tier: name.to_owned(), facts: Box::new(facts) }
}

/// What was measured of tiers of every kind: some well, some not.
pub(super) fn of_every_kind() -> Vec<Event> {
    let mut events = well();
    let mut p620 = up(3.1, 3 * 86_400, 1);
    p620.size = Some(size(81_200_000_000, Some(100 * GB), true));
    sent(&mut p620, 112e6, 9, &[("razer", 61e6)]);
    p620.unique = Some(only_in_p620());
    events.push(told("p620", p620));
    let mut nixos = up(19.0, 9 * 86_400, 2);
    let from = Some(ago_s(60 * 86_400));
    nixos.certificate = Some(Validity { from, until: ago_s(-29 * 86_400) });
    sent(&mut nixos, 38.4e6, 14, &[("razer", 38e6), ("p620", 39e6)]);
    events.push(told("nixos.org", nixos));
    let mut community = tier_facts(TierState::Unauthorized, SignatureState::Unchecked, 30.0);
    community.since = Some(ago_s(860));
    community.proof = None;
    community.findings = vec![words::tiers::denied(&named("community"), 401)];
    events.push(told("community", community));
    let mut p510 = up(5.2, 7200, 3);
    let answered = Some(Share { have: 38, total: 40 });
    p510.served = Some(ServedFacts { answered, requests_per_s: Some(2.3), not_found: Some(0.05) });
    p510.hosts.insert("razer".to_owned(), TierOnHost { configured: Some(false), ..on_host(0) });
    sent(&mut p510, 2.1e6, 3, &[("samsung", 2.1e6)]);
    slow_for_samsung(&mut p510);
    events.push(told("p510", p510));
    events.push(told("oracle", oracle()));
    events.push(told("weed", weed()));
    let mut cachix = up(44.0, 40_000, 6);
    cachix.size = Some(size(4_100_000_000, Some(5 * GB), false));
    cachix.requests_this_month = Some(46_210);
    lost_overnight(&mut cachix);
    events.push(told("cachix", cachix));
    let mut store = unasked(up(0.4, 500, 7));
    store.latency_ms = None;
    store.connect_ms = None;
    let away = |host: &str| {
        let why = format!("{host}: connect to {host}.lan: no route to host; is it switched on?");
        let silent = words::kinds::store_silent(&named("store"), host, Code::HostUnreachable, &why);
        TierOnHost { state: TierState::Down, findings: vec![silent], ..on_host(7) }
    };
    store.hosts.insert("p510".to_owned(), away("p510"));
    store.details = vec![
        detail("stores", "3 of 4 hosts answered"),
        detail("p620", "588 GB of 1.00 TB used (59 %), 412 GB left"),
        detail("razer", "101 of 512 GB used (20 %), 411 GB left"),
        detail("samsung", "244 of 256 GB used (92 %), 12.0 GB left"),
    ];
    store.details[1..].reverse();
    let (saved_bytes, dead_bytes) = (12_100_000_000, 31 * GB);
    let depth =
        StoreDepth { saved_bytes, dead_paths: 4_211, dead_bytes, measured_at: ago_s(7_300) };
    store.depths.insert("p620".to_owned(), depth);
    events.push(told("store", store));
    let mut ci = unasked(up(112.0, 86_400, 8));
    ci.size = Some(size(9_620_000_000, Some(10 * GB), true));
    ci.details = vec![detail("keys", "nix-Linux: 12 entries, 6.10 GB, last used 2 h ago")];
    let usage = "9.62 GB of 10.0 GB (96 %) in 41 entries";
    ci.findings = vec![words::kinds::nearly_full(&named("ci"), usage, "9.62 of 10.0 GB")];
    ci.hosts.clear();
    events.push(told("ci", ci));
    let mut attic = up(23.0, 3600, 8);
    attic.details = vec![detail("token", "may pull; expires in 3 d")];
    attic.findings = vec![words::kinds::token_expires(&named("attic"), "3 d")];
    events.push(told("attic", attic));
    let mut ncps = up(2.0, 100_000, 9);
    ncps.details = vec![detail("pins", "12")];
    events.push(told("ncps", ncps));
    events.extend(coverage_of_all());
    events
}

/// Says how fast a tier sent files, and to which hosts.
fn sent(facts: &mut TierFacts, bytes_per_s: f64, fetches: usize, hosts: &[(&str, f64)]) {
    let seen = |bytes_per_s, fetches| SpeedSeen { bytes_per_s, fetches, newest: ago_s(9_400) };
    facts.speed = Some(seen(bytes_per_s, fetches));
    for (host, bytes_per_s) in hosts {
        if let Some(on_host) = facts.hosts.get_mut(*host) {
            on_host.speed = Some(seen(*bytes_per_s, 3));
        }
    }
}

/// What only p620 holds.
fn only_in_p620() -> UniqueFacts {
    let entry = |letter, name, nar_size| ClosurePath { path: path(letter, name), nar_size };
    UniqueFacts {
        only_here: Fetched { paths: 112, bytes: 1_910_000_000, timed: None },
        doubtful: Fetched { paths: 3, bytes: 2_100_000, timed: None },
        silent: ["community".to_owned()].into(),
        biggest: vec![
            entry('k', "linux-6.12.58", 612_000_000),
            entry('f', "firefox-145.0", 304_000_000),
        ],
        closures: 4,
        measured_at: ago_s(240),
    }
}

/// p510 is asked before a cache that sends the same files much faster.
fn slow_for_samsung(facts: &mut TierFacts) {
    let own = facts.hosts.get("samsung").and_then(|on_host| on_host.speed);
    let fast = SpeedSeen { bytes_per_s: 58e6, fetches: 4, newest: ago_s(9_400) };
    if let (Some(own), Some(on_host)) = (own, facts.hosts.get_mut("samsung")) {
        let tier = named("p510");
        on_host.findings =
            vec![words::on_host::slow_first(&tier, "samsung", &own, ("oracle", &fast))];
    }
}

/// Some of what razer runs was evicted.
fn lost_overnight(facts: &mut TierFacts) {
    let fall = CoverageFall {
        before: Share { have: 610, total: 1356 },
        now: Share { have: 421, total: 1356 },
    };
    let paths = Fetched { paths: 189, bytes: 1_300_000_000, timed: None };
    let lost = LostFacts {
        hosts: [("razer".to_owned(), fall)].into(),
        lost: paths,
        nowhere: Fetched::default(),
        biggest: vec![ClosurePath { path: path('k', "linux-6.12.58"), nar_size: 612_000_000 }],
        since: ago_s(31_000),
        held_at: ago_s(38_000),
    };
    facts.findings = vec![words::holdings::paths_lost(&named("cachix"), &lost)];
    facts.lost = Some(lost);
}

fn oracle() -> TierFacts {
    let mut oracle = up(61.0, 2 * 86_400, 4);
    oracle.size = Some(size(38 * GB, Some(50 * GB), true));
    oracle.details = vec![
        detail("objects", "11 202 narinfos, 11 202 nars of 37.9 GB, 3 others"),
        detail("listing", "cannot be listed without keys: 403 means missing"),
    ];
    oracle.hosts.insert(
        "samsung".to_owned(),
        TierOnHost {
            trusted: Some(false),
            rank: Some(1),
            findings: vec![words::on_host::signer_not_trusted(
                &named("oracle"),
                "samsung",
                "glibc-2.42",
                &["oracle-1"],
            )],
            via: Some("samsung".to_owned()),
            ..on_host(1)
        },
    );
    oracle.requests_this_month = Some(8_420);
    oracle
}

fn weed() -> TierFacts {
    let mut weed = up(1.1, 130, 5);
    weed.state = TierState::Degraded;
    weed.size = Some(size(12 * GB, Some(60 * GB), true));
    let tier = named("weed");
    let gone = ["10.0.0.7:8080 is gone, last seen 12:02:21".to_owned()];
    weed.findings = vec![
        words::clusters::servers_missing(&tier, 2, 3, &gone),
        words::clusters::copies_missing(&tier, 8, 1, "3, 4, 7, 9, 12, …"),
    ];
    weed.details = vec![
        detail("servers", "2: 10.0.0.5:8080, 10.0.0.6:8080"),
        detail("leader", "10.0.0.5:9333, of 1 master"),
    ];
    weed
}

/// What the other tiers hold of each host's closure.
fn coverage_of_all() -> Vec<Event> {
    let shares = [
        ("p620", 1356, 40),
        ("nixos.org", 1204, 21_000),
        ("community", 12, 4000),
        ("p510", 1020, 60),
        ("oracle", 1315, 400),
        ("weed", 902, 35),
        ("cachix", 420, 900),
        ("attic", 120, 80),
        ("ncps", 1356, 30),
    ];
    let of_host = |(name, letter): (&str, char)| {
        let toplevel = path(letter, &format!("nixos-system-{name}-26.05.20261118.8f2c1ab"));
        let tiers = shares.into_iter().map(|(tier, have, seconds)| {
            let paths = Share { have, total: 1356 };
            let bytes = Share { have: have * 754_321, total: 1356 * 754_321 };
            (
                tier.to_owned(),
                Coverage { paths, bytes, measured_at: ago_s(seconds), at_most: tier == "weed" },
            )
        });
        let facts = CoverageFacts {
            toplevel: Some(toplevel),
            tiers: tiers.collect(),
            ..CoverageFacts::default()
        };
        Event::Coverage { host: name.to_owned(), facts }
    };
    [("p620", 'a'), ("razer", 'b'), ("samsung", 'c')].map(of_host).to_vec()
}

/// What the history tells of a week, a day and a month.
pub(super) fn figures() -> Figures {
    let day = Figures { hits: BTreeMap::new(), ..over(1) };
    Figures { beside: vec![day, over(30)], ..over(7) }
}

/// What the history tells of some days.
fn over(days: u32) -> Figures {
    let tier = |share_bytes, share_paths, answered, growth| TierFigures {
        share_paths: Some(share_paths),
        share_bytes: Some(share_bytes),
        answered,
        growth,
    };
    let share = |have| Share { have, total: 6215 };
    Figures {
        days,
        hits: BTreeMap::from([("p620".to_owned(), share(6101)), ("razer".to_owned(), share(4010))]),
        tiers: BTreeMap::from([
            ("p620".to_owned(), tier(0.981, 0.92, None, Some(1.2e9))),
            ("nixos.org".to_owned(), tier(0.012, 0.06, None, None)),
            ("p510".to_owned(), tier(0.0, 0.0, Some(0.95), None)),
            ("oracle".to_owned(), tier(0.004, 0.01, None, Some(2.1e8))),
            ("weed".to_owned(), tier(0.003, 0.01, None, Some(-4.0e7))),
        ]),
        ..Figures::default()
    }
}

/// Every state that is not well, each as a tier of its own.
pub(super) fn every_trouble() -> (Fleet, Vec<Event>) {
    use SignatureState::{Invalid, Unchecked, Untrusted, Valid};
    let states = [
        ("slow", TierState::Slow, Valid),
        ("degraded", TierState::Degraded, Valid),
        ("unauthorized", TierState::Unauthorized, Unchecked),
        ("wrong-store", TierState::WrongStore, Unchecked),
        ("untrusted", TierState::Untrusted, Valid),
        ("nar-missing", TierState::NarMissing, Valid),
        ("malformed", TierState::Malformed, Unchecked),
        ("proxy", TierState::Proxy, Unchecked),
        ("down", TierState::Down, Unchecked),
        ("bad-signature", TierState::Untrusted, Invalid),
        ("not-signed", TierState::Up, Untrusted),
        ("unknown", TierState::Unknown, Unchecked),
    ];
    let kind = KindName::Http;
    let tiers = states.map(|(name, ..)| {
        tier(name, kind, &format!("https://{name}.example"), &format!("{name}-1"), None)
    });
    let all = states.into_iter().zip(&tiers);
    let events = all.filter(|((_, state, _), _)| *state != TierState::Unknown).map(
        |((name, state, signature), tier)| {
            let mut facts = tier_facts(state, signature, 30.0);
            facts.since = Some(ago_s(400));
            facts.findings = vec![trouble(tier, state, signature)];
            told(name, facts)
        },
    );
    let events = well().into_iter().chain(events).collect();
    (Fleet { tiers: tiers.to_vec(), ..fleet() }, events)
}

/// What is wrong with a tier in a state.
fn trouble(tier: &Tier, state: TierState, signature: SignatureState) -> Finding {
    use words::tiers;
    let not_asked =
        |code, cause: &str, fix: &str| tiers::not_asked(tier, code, &tier.url, cause, fix);
    match (state, signature) {
        (_, SignatureState::Invalid) => {
            let proof = "a-1.0 carries a signature that does not verify";
            tiers::signature_invalid(tier, proof, &[false])
        }
        (_, SignatureState::Untrusted) => tiers::signature_missing(tier, "nobody signed a-1.0"),
        (TierState::Slow, _) => tiers::slow(tier, 2400.0),
        (TierState::Degraded, _) => tiers::no_cache_info(tier, 500),
        (TierState::Unauthorized, _) => tiers::denied(tier, 401),
        (TierState::WrongStore, _) => tiers::store_dir_wrong(tier, "/gnu/store"),
        (TierState::Untrusted, _) => tiers::taken_by_none(tier, None, 3),
        (TierState::NarMissing, _) => {
            tiers::nar_missing(tier, "glibc-2.42", "the cache answered 404 for its nar")
        }
        (TierState::Malformed, _) => {
            tiers::narinfo_malformed(tier, "glibc-2.42", "line 1 of the narinfo has no colon")
        }
        (TierState::Proxy, _) => not_asked(
            Code::ProxyRefused,
            "407 Proxy Authentication Required",
            "the proxy on the way does not let nixdash through; check `proxy`",
        ),
        (TierState::Down | TierState::Up | TierState::Unknown, _) => not_asked(
            Code::TierUnreachable,
            "connection refused",
            "nothing listens there; is the cache running?",
        ),
    }
}
