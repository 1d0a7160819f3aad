//! What hosts run next: evaluating it, and showing which tier holds how much of it.

use crate::cli::status::{or_unknown, table};
use crate::cli::{CliError, selectors as typed};
use crate::deploy::engine::evaluate_only;
use crate::deploy::{Request, setup};
use crate::fleet::{
    ClosurePath, Fetched, Fleet, Goal, NextFacts, Share, StorePath, ago, bytes, select,
};
use crate::probe::{NextSystem, Snapshot};
use crate::record::{KeptEvaluations, state_home};
use crate::remote::ScriptRunner;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is printed of a host's next system.
#[derive(Serialize)]
pub(super) struct NextJson<'a> {
    toplevel: Option<&'a StorePath>,
    drv: Option<&'a StorePath>,
    known_at: Option<Timestamp>,
    /// Whether the host runs it already.
    unchanged: Option<bool>,
    partial: bool,
    to_build: Option<u64>,
    to_build_names: &'a [String],
    new: Option<Fetched>,
    error: Option<&'a str>,
}

/// What is printed of how much of a host's next system one tier holds, pairs as `[have, total]`.
#[derive(Serialize)]
pub(super) struct NextPartJson<'a> {
    paths: [u64; 2],
    bytes: Option<[u64; 2]>,
    share: Option<f64>,
    partial: bool,
    /// The biggest paths that are missing, the biggest first.
    missing: &'a [ClosurePath],
    /// When the oldest answer was given.
    measured_at: Timestamp,
}

/// Returns what is printed of every host's next system, by host.
pub(super) fn by_host(found: &Snapshot) -> BTreeMap<&str, NextJson<'_>> {
    found.next.keys().filter_map(|host| Some((host.as_str(), of_host(found, host)?))).collect()
}

/// Returns what is printed of one host's next system.
pub(super) fn of_host<'a>(found: &'a Snapshot, host: &str) -> Option<NextJson<'a>> {
    let facts = found.next.get(host)?;
    Some(NextJson {
        toplevel: facts.toplevel.as_ref(),
        drv: facts.drv.as_ref(),
        known_at: facts.known_at,
        unchanged: is_unchanged(found, host),
        partial: facts.partial,
        to_build: facts.to_build,
        to_build_names: &facts.to_build_names,
        new: facts.new,
        error: facts.error.as_deref(),
    })
}

/// Returns whether a host runs its next system already.
fn is_unchanged(found: &Snapshot, host: &str) -> Option<bool> {
    let (_, facts) = found.hosts.iter().find(|(name, _)| name == host)?;
    let next = found.next.get(host)?.toplevel.as_ref()?;
    facts.system.running.as_ref().map(|running| running == next)
}

/// Returns how much of each host's next system one tier holds, by host.
pub(super) fn on_tier<'a>(
    next: &'a BTreeMap<String, NextFacts>,
    tier: &str,
) -> BTreeMap<&'a str, NextPartJson<'a>> {
    let pair = |share: Share| [share.have, share.total];
    let part = |(host, facts): (&'a String, &'a NextFacts)| {
        let found = facts.tiers.get(tier)?;
        let part = NextPartJson {
            paths: pair(found.paths),
            bytes: found.bytes.map(pair),
            share: found.paths.ratio(),
            partial: facts.partial,
            missing: facts.missing.get(tier).map(Vec::as_slice).unwrap_or_default(),
            measured_at: found.measured_at,
        };
        Some((host.as_str(), part))
    };
    next.iter().filter_map(part).collect()
}

/// Evaluates what hosts run next, and builds nothing; returns also what could not be evaluated.
pub(super) async fn evaluate(
    fleet: &Arc<Fleet>,
    runner: Arc<dyn ScriptRunner>,
    selectors: &[String],
) -> Result<(Vec<NextSystem>, BTreeMap<String, NextFacts>), CliError> {
    let all = ["all".to_owned()];
    let selectors = if selectors.is_empty() { &all[..] } else { selectors };
    let request = Request {
        set_aside: BTreeMap::new(),
        degraded: BTreeMap::new(),
        options: crate::fleet::RunOptions::default(),
        hosts: select(fleet, &typed::read(selectors)?)?,
        goal: Goal::Build,
        allow_protected: Vec::new(),
        asks: false,
        goals: BTreeMap::new(),
        given: BTreeMap::new(),
        reboot: None,
    };
    let setup = setup(fleet, &request)?;
    let kept = Some(KeptEvaluations::below(&state_home()));
    let (mut wanted, mut failed) = (Vec::new(), BTreeMap::new());
    for (host, result) in evaluate_only(Arc::clone(fleet), runner, &setup, kept).await {
        match result {
            Ok(found) => wanted.push(NextSystem {
                host,
                build_on: found.build_on,
                toplevel: found.toplevel,
                drv: Some(found.drv),
                known_at: Timestamp::now(),
            }),
            Err(failure) => {
                let facts = NextFacts { error: Some(failure.reason.text), ..NextFacts::default() };
                failed.insert(host, facts);
            }
        }
    }
    Ok((wanted, failed))
}

/// Returns what hosts run next as a table with a column per tier, and below it what must be built
/// and what went wrong; nothing when nothing is known to come.
pub(super) fn text(fleet: &Fleet, found: &Snapshot, now: Timestamp) -> String {
    let next = &found.next;
    if next.is_empty() {
        return String::new();
    }
    let mut head = ["NEXT", "STATE", "TO BUILD", "NEW"].map(str::to_owned).to_vec();
    head.extend(fleet.tiers.iter().map(|tier| format!("IN {}", tier.name)));
    let mut rows = vec![head];
    let mut notes = Vec::new();
    let known = fleet.hosts.iter().filter_map(|host| Some((&host.name, next.get(&host.name)?)));
    for (host, facts) in known {
        let new = facts.new.map(|new| format!("{} paths, {}", new.paths, bytes(new.bytes)));
        let mut row = vec![
            host.clone(),
            state(facts, is_unchanged(found, host), now),
            or_unknown(facts.to_build.map(|count| count.to_string())),
            or_unknown(new),
        ];
        row.extend(fleet.tiers.iter().map(|tier| {
            let found = facts.tiers.get(&tier.name);
            or_unknown(found.map(|found| format!("{}/{}", found.paths.have, found.paths.total)))
        }));
        rows.push(row);
        notes.extend(facts.error.as_ref().map(|error| format!("{host}: {error}")));
        notes.extend(to_build(host, facts));
    }
    let mut text = table(&rows);
    for note in notes {
        text.push_str(&note);
        text.push('\n');
    }
    text
}

/// Returns what is known of a next system, in a few words.
fn state(facts: &NextFacts, unchanged: Option<bool>, now: Timestamp) -> String {
    let age = facts.known_at.map(|then| now.duration_since(then).try_into().unwrap_or_default());
    let when = age.map(|age| format!(" {} ago", ago(age))).unwrap_or_default();
    match (&facts.toplevel, facts.partial, facts.drv.is_some()) {
        (None, ..) => "–".to_owned(),
        (Some(_), ..) if unchanged == Some(true) => format!("running already, evaluated{when}"),
        (Some(_), true, _) => format!("partial: not built, evaluated{when}"),
        (Some(_), false, true) => format!("built, evaluated{when}"),
        (Some(_), false, false) => format!("built{when}"),
    }
}

/// Returns what must be built, by name.
fn to_build(host: &str, facts: &NextFacts) -> Option<String> {
    let names = &facts.to_build_names;
    let more = facts.to_build?.saturating_sub(names.len() as u64);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!names.is_empty()).then(|| format!("{host}: to build {}{more}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{KindName, NextCoverage, Tier};

    /// Returns what is known of a system that p620 holds a half of.
    fn facts(partial: bool, now: Timestamp) -> NextFacts {
        let share = Share { have: 1, total: 2 };
        let found =
            NextCoverage { paths: share, bytes: (!partial).then_some(share), measured_at: now };
        let top = "/nix/store/7h97s6mlwpnvm55448s9n0jz4lxih34s-top";
        NextFacts {
            toplevel: StorePath::parse(top).ok(),
            known_at: Some(now),
            partial,
            to_build: Some(if partial { 3 } else { 0 }),
            to_build_names: if partial { vec!["curl".to_owned()] } else { Vec::new() },
            new: (!partial).then_some(Fetched { paths: 2, bytes: 1_000_000, timed: None }),
            tiers: [("p620".to_owned(), found)].into(),
            ..NextFacts::default()
        }
    }

    #[test]
    fn what_is_not_built_says_so_and_has_no_sizes() {
        let now: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
        let mut fleet = crate::config::parse(
            "[hosts.razer]\n[hosts.samsung]\n",
            std::path::Path::new("hosts.toml"),
            None,
        )
        .unwrap();
        fleet.tiers = vec![Tier::new("p620", KindName::NixServe, "http://p620:5000")];
        let both =
            [("razer".to_owned(), facts(true, now)), ("samsung".to_owned(), facts(false, now))];
        let found = Snapshot { next: both.into(), ..Snapshot::default() };
        let text = text(&fleet, &found, now);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].contains("partial: not built") && lines[1].contains("1/2"), "{text}");
        assert!(lines[1].contains('–') && lines[2].contains("2 paths, 1.00 MB"), "{text}");
        assert!(!lines[2].contains("partial"), "{text}");
        assert_eq!(lines[3], "razer: to build curl and 2 more");
        let parts = on_tier(&found.next, "p620");
        let json = serde_json::to_value(&parts["razer"]).unwrap();
        assert_eq!((&json["bytes"], &json["partial"]), (&serde_json::Value::Null, &true.into()));
        assert!(on_tier(&found.next, "static").is_empty());
        assert_eq!(by_host(&found)["razer"].unchanged, None, "nobody asked what it runs");
    }
}
