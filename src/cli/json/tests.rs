use super::*;
use crate::fleet::words::on_host::signer_not_trusted;
use crate::fleet::{Coverage, CoverageFacts, KindName, Reaction, Tier, TierFacts};
use serde_json::{Value, json};

/// Returns what is printed of one tier with these facts.
fn printed(facts: TierFacts, coverage: CoverageFacts) -> Value {
    let mut fleet = crate::config::fallback();
    fleet.tiers = vec![Tier::new("p620", KindName::NixServe, "http://p620:5000")];
    let found = Snapshot {
        tiers: vec![("p620".to_owned(), facts)],
        coverage: [("razer".to_owned(), coverage)].into(),
        ..Snapshot::default()
    };
    let mut json = serde_json::to_value(status(&fleet, &found)).unwrap();
    json["tiers"][0].take()
}

#[test]
fn a_tier_has_every_key_and_null_for_what_was_not_measured() {
    let tier = printed(TierFacts::default(), CoverageFacts::default());
    assert_eq!(
        tier,
        json!({
            "name": "p620", "kind": "nix-serve", "via": null, "state": "unknown",
            "since": null, "latency_ms": null, "connect_ms": null, "priority": null,
            "store_dir": null, "signature": "unchecked", "proof": null, "nar_proof": null, "verified": null,
            "size": null, "served": null, "details": [], "hosts": {}, "depths": {},
            "coverage": {}, "next": {}, "certificate": null, "token": null, "speed": null, "unique": null, "lost": null,
            "requests_this_month": null, "findings": [], "error": null, "measured_at": null, "asked_at": null,
        })
    );
}

#[test]
fn what_is_wrong_with_a_tier_is_a_finding_its_error_and_an_alarm() {
    use crate::fleet::words::clusters;
    use crate::fleet::{Detail, Subject};
    let weed = Tier::new("weed", KindName::Seaweedfs, "http://weed:8333/b");
    let mut facts = TierFacts::of(TierState::Degraded, clusters::servers_missing(&weed, 2, 3, &[]));
    let subject = Subject::tier(&weed);
    facts.findings.push(Finding::new(subject, Code::OnBattery, "its UPS has no mains", ""));
    facts.details.push(Detail { label: "leader".to_owned(), text: "a:9333".to_owned() });
    let (cause, fix) = ("2 of 3 volume servers are there", "start the missing servers again");
    let text = format!("{cause}; {fix}");
    let tier = printed(facts, CoverageFacts::default());
    let first = json!({
        "code": "servers-missing", "severity": "warning", "cause": cause, "fix": fix,
    });
    assert_eq!((&tier["findings"][0], &tier["findings"][1]["severity"]), (&first, &"note".into()));
    assert_eq!(tier["error"], text, "a note is no error");
    assert_eq!(
        tier["details"],
        json!([
            { "label": "servers", "text": text, "alarm": true },
            { "label": "leader", "text": "a:9333", "alarm": false },
        ])
    );
}

#[test]
fn a_host_has_findings_and_an_error_only_when_it_did_not_answer() {
    use crate::fleet::words::hosts;
    use crate::fleet::{Code, HostFacts, Limits};
    let away = hosts::not_asked("razer", Code::HostUnreachable, "No route to host", "wait");
    let away =
        HostFacts { state: HostState::Offline, findings: vec![away], ..HostFacts::default() };
    let mut ill = HostFacts { state: HostState::Degraded, ..HostFacts::default() };
    ill.failed_units = Some(vec!["a.service".to_owned()]);
    ill.findings = hosts::of_figures("p620", &ill, &Limits::default(), Timestamp::UNIX_EPOCH);
    let hosts = vec![("razer".to_owned(), away), ("p620".to_owned(), ill)];
    let found = Snapshot { hosts, ..Snapshot::default() };
    let fleet = crate::config::fallback();
    let json = serde_json::to_value(status(&fleet, &found)).unwrap();
    let [razer, p620] = [0, 1].map(|index| &json["hosts"][index]);
    assert_eq!(
        razer["findings"],
        json!([{
            "code": "host-unreachable", "severity": "warning",
            "cause": "razer: No route to host", "fix": "wait",
        }])
    );
    assert_eq!(razer["error"], "razer: No route to host; wait");
    assert_eq!(p620["findings"][0]["code"], "units-failed");
    assert_eq!(p620["error"], Value::Null);
}

#[test]
fn a_result_of_a_run_has_findings_in_the_shape_that_hosts_have() {
    use crate::fleet::{HostResult, Outcome, RunId, Subject};
    let text = "razer: told to go back; look at it";
    let finding = Finding::new(Subject::host("razer"), Code::RunStopped, text, "deploy again");
    let mut result: HostResult = serde_json::from_value(json!({
        "outcome": Outcome::RolledBack, "toplevel": null, "previous": null, "duration_ms": 1,
        "built": 0, "fetched": {}, "error": text,
    }))
    .unwrap();
    let print = |result: &HostResult| -> Value {
        let what = RunWhat::Result { host: "razer".to_owned(), result: result.clone() };
        let at = Timestamp::UNIX_EPOCH;
        let event = RunEvent { run: RunId("7".to_owned()), at, what };
        serde_json::from_str(&run_event(&event).unwrap()).unwrap()
    };
    assert_eq!(
        (&print(&result)["event"], result.told().as_deref()),
        (&"result".into(), Some(text))
    );
    result.findings.push(finding);
    assert_eq!(
        print(&result)["findings"],
        json!([{
            "code": "run-stopped", "severity": "note", "cause": text, "fix": "deploy again",
        }])
    );
    assert_eq!(result.told().unwrap(), format!("{text} [run-stopped]"));
}

#[test]
fn a_tier_says_what_each_host_makes_of_it() {
    const FIX: &str = "add one of them to nix.settings.trusted-public-keys there, or sign the \
                       path with one that is trusted";
    let at: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
    let tier = Tier::new("p620", KindName::NixServe, "http://p620:5000");
    let on_razer = TierOnHost {
        configured: Some(true),
        rank: Some(2),
        trusted: Some(false),
        speed: None,
        state: TierState::Untrusted,
        findings: vec![signer_not_trusted(&tier, "razer", "a-1.0", &["old-1"])],
        via: Some("razer".to_owned()),
        measured_at: Some(at),
        when_down: Some(WhenDown {
            reaction: Reaction::NeedsAnother,
            each_path: true,
            refused_ms: 4500,
            silent_ms: 79_500,
        }),
        record: Some(CacheRecord { priority: -5, read_at: at, until: at }),
        view: Some(SettingsView::Daemon),
    };
    let share = Share { have: 1, total: 2 };
    let path = StorePath::parse("/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-b-2.0").unwrap();
    let facts = TierFacts {
        state: TierState::NarMissing,
        since: Some(at),
        served: Some(ServedFacts { answered: Some(share), ..ServedFacts::default() }),
        hosts: [("razer".to_owned(), on_razer)].into(),
        ..TierFacts::default()
    };
    let coverage = CoverageFacts {
        tiers: [(
            "p620".to_owned(),
            Coverage { paths: share, bytes: share, measured_at: at, at_most: true },
        )]
        .into(),
        missing: [("p620".to_owned(), vec![ClosurePath { path, nar_size: 9 }])].into(),
        ..CoverageFacts::default()
    };
    let tier = printed(facts, coverage);
    assert_eq!(tier["state"], "nar-missing");
    assert_eq!(tier["since"], "2026-11-21T08:00:00Z");
    assert_eq!(tier["served"]["answered"], json!([1, 2]));
    assert_eq!(
        tier["hosts"]["razer"],
        json!({
            "configured": true, "rank": 2, "trusted": false, "speed": null, "state": "untrusted",
            "findings": [{
                "code": "signer-not-trusted", "severity": "error",
                "cause": "none of the keys that signed a-1.0 (old-1) is trusted", "fix": FIX,
            }],
            "error": format!("none of the keys that signed a-1.0 (old-1) is trusted; {FIX}"),
            "when_down": {
                "reaction": "needs-another", "each_path": true, "refused_ms": 4500,
                "silent_ms": 79_500,
            },
            "record": {
                "priority": -5, "read_at": "2026-11-21T08:00:00Z",
                "until": "2026-11-21T08:00:00Z",
            },
            "settings": "daemon",
            "via": "razer",
            "measured_at": "2026-11-21T08:00:00Z",
        })
    );
    assert_eq!(
        tier["coverage"]["razer"],
        json!({
            "paths": [1, 2], "bytes": [1, 2], "at_most": true, "measured_at": "2026-11-21T08:00:00Z",
            "missing": [{
                "path": "/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-b-2.0", "nar_size": 9,
            }],
        })
    );
}
