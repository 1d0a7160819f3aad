//! What a run came to, in one or two sentences: where its time went, and what came from which tier.

use crate::fleet::{
    Code, Fetched, Finding, HostFacts, HostResult, Outcome, RunId, Subject, bytes, duration,
    number_of,
};
use jiff::{SignedDuration, Timestamp};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

/// Phases that took less than this are not named, in milliseconds.
const WORTH_NAMING: u64 = 100;

/// At most so many phases are named.
const NAMED: usize = 4;

/// How long a run that failed is a finding of its hosts.
pub const FAILED_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Says that the newest run of a host, which ended at a time, failed there. Nothing where the host runs
/// something else by now than before that run, or when that is a week ago.
pub fn last_run_failed(
    host: &str,
    (run, result, ended): (&RunId, &HostResult, Timestamp),
    facts: &HostFacts,
    now: Timestamp,
) -> Option<Finding> {
    let is_bad = matches!(result.outcome, Outcome::Failed | Outcome::RolledBack);
    let is_as_before = result.previous.is_some() && result.previous == facts.system.running;
    if !is_bad || !is_as_before || now.duration_since(ended) > FAILED_FOR {
        return None;
    }
    let went = result.outcome.spoken();
    let cause = match result.outcome {
        Outcome::RolledBack => format!("run #{run} was rolled back on {host}"),
        _ => format!("run #{run} failed on {host}"),
    };
    let cause = format!("{cause}, which still runs its previous system");
    let fix = format!("see why with `nixdash logs {run} {host} --errors`, then deploy again");
    let finding = Finding::new(Subject::host(host), Code::LastRunFailed, &cause, &fix);
    Some(finding.in_short(&format!("run #{run} {went}")).of_run(run))
}

/// Says where the time of a run went: the phases of the host that worked longest, the longest first. What a host waited
/// for between its phases, such as a pause, does not count. Nothing where no phase took long enough to be told.
pub fn where_time_went<'a>(
    results: impl IntoIterator<Item = (&'a str, &'a HostResult)>,
) -> Option<String> {
    let results: Vec<_> = results.into_iter().collect();
    let worked = |result: &HostResult| result.phases.values().sum::<u64>();
    // Of several that worked as long, the one that took longest in all, and of those the first by name: whoever
    // asks gets the same answer.
    let slowest = results
        .iter()
        .max_by_key(|(host, result)| (worked(result), result.duration_ms, Reverse(*host)));
    let (host, slowest) = *slowest?;
    let mut phases: Vec<_> = slowest.phases.iter().filter(|(_, ms)| **ms >= WORTH_NAMING).collect();
    if phases.is_empty() {
        return None;
    }
    phases.sort_by_key(|(_, ms)| Reverse(**ms));
    let named: Vec<String> = phases
        .iter()
        .take(NAMED)
        .map(|(phase, ms)| format!("{phase} {}", duration(Duration::from_millis(**ms))))
        .collect();
    let whose =
        if results.len() > 1 { format!(" of {host}, which worked longest") } else { String::new() };
    Some(format!("time{whose}: {}", named.join(", ")))
}

/// Says what came from which tier in a run: to the hosts, and to who built for them, which is no part of the first; the
/// most first. Nothing where nothing came.
pub fn what_tiers_brought<'a>(
    results: impl IntoIterator<Item = (&'a str, &'a HostResult)>,
) -> Option<String> {
    let (mut hosts, mut builders) = (BTreeMap::new(), BTreeMap::new());
    for (_, result) in results {
        for (sum, brought) in [(&mut hosts, &result.fetched), (&mut builders, &result.substituted)]
        {
            for (tier, got) in brought {
                sum.entry(tier.as_str()).or_insert_with(Fetched::default).add(*got);
            }
        }
    }
    let parts = [("fetched", hosts), ("downloaded to build", builders)].map(|(what, all)| {
        let origins = origins(all)?;
        Some(format!("{what}: {origins}"))
    });
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Returns how much came from which tier, the most first; nothing where nothing came.
fn origins(all: BTreeMap<&str, Fetched>) -> Option<String> {
    let mut all: Vec<_> = all.into_iter().filter(|(_, got)| got.paths > 0).collect();
    all.sort_by_key(|(_, got)| Reverse(got.bytes));
    let words = all.iter().map(|(tier, got)| {
        format!("{} in {} from {tier}", bytes(got.bytes), number_of(got.paths, "path"))
    });
    let words = words.collect::<Vec<_>>().join(", ");
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Outcome, Phase, StorePath};

    fn result(ms: u64, phases: &[(Phase, u64)], fetched: &[(&str, u64, u64)]) -> HostResult {
        HostResult {
            duration_ms: ms,
            phases: phases.iter().copied().collect(),
            fetched: fetched
                .iter()
                .map(|(tier, paths, bytes)| {
                    ((*tier).to_owned(), Fetched { paths: *paths, bytes: *bytes, timed: None })
                })
                .collect(),
            ..HostResult::ended(Outcome::Switched)
        }
    }

    #[test]
    fn the_slowest_host_tells_where_the_time_went() {
        let fast = result(2000, &[(Phase::Fetch, 900)], &[("p620", 2, 4_000_000)]);
        let slow = result(
            9000,
            &[(Phase::Build, 6000), (Phase::Compare, 20), (Phase::Settle, 3000)],
            &[("p620", 1, 1_000_000), ("nixos.org", 0, 0)],
        );
        let both = [("razer", &fast), ("samsung", &slow)];
        assert_eq!(
            where_time_went(both).as_deref(),
            Some("time of samsung, which worked longest: build 6.0 s, settle 3.0 s")
        );
        assert_eq!(where_time_went([("razer", &fast)]).as_deref(), Some("time: fetch 0.9 s"));
        assert_eq!(
            what_tiers_brought(both).as_deref(),
            Some("fetched: 5.00 MB in 3 paths from p620")
        );
        let built = HostResult {
            substituted: [("static".to_owned(), Fetched { paths: 2, bytes: 700_000, timed: None })]
                .into(),
            ..fast.clone()
        };
        assert_eq!(
            what_tiers_brought([("razer", &built)]).as_deref(),
            Some(
                "fetched: 4.00 MB in 2 paths from p620; downloaded to build: 700 kB in 2 paths from static"
            )
        );
        // What it waited is no work, and of two that worked as long the first by name is told.
        let paused = result(90_000, &[(Phase::Fetch, 900)], &[]);
        let idle = result(95_000, &[], &[]);
        for order in [["node06", "p620", "idle"], ["p620", "node06", "idle"]] {
            let of = |host| if host == "idle" { &idle } else { &paused };
            let told = where_time_went(order.map(|host| (host, of(host))));
            assert_eq!(told.as_deref(), Some("time of node06, which worked longest: fetch 0.9 s"));
        }
        let nothing = result(10, &[(Phase::Compare, 20)], &[]);
        assert_eq!(where_time_went([("razer", &nothing)]), None);
        assert_eq!(what_tiers_brought([("razer", &nothing)]), None);
    }

    #[test]
    fn a_host_on_which_the_newest_run_failed_is_told_as_long_as_it_runs_what_it_ran() {
        let path = |letter: &str| {
            StorePath::parse(&format!("/nix/store/{}-nixos", letter.repeat(32))).ok()
        };
        let mut facts = HostFacts::default();
        facts.system.running = path("a");
        let failed =
            HostResult { outcome: Outcome::RolledBack, previous: path("a"), ..result(9, &[], &[]) };
        let (run, ended) = (RunId("7".to_owned()), Timestamp::UNIX_EPOCH);
        let told = |result: &HostResult, facts: &HostFacts, now| {
            last_run_failed("samsung", (&run, result, ended), facts, now)
        };
        let found = told(&failed, &facts, ended).unwrap();
        assert_eq!((found.code, found.words()), (Code::LastRunFailed, "run #7 rolled back"));
        assert!(found.fix.contains("`nixdash logs 7 samsung --errors`"), "{}", found.fix);
        assert_eq!(told(&failed, &facts, ended + SignedDuration::from_hours(200)), None);
        let well = HostResult { outcome: Outcome::Switched, ..failed.clone() };
        assert_eq!(told(&well, &facts, ended), None);
        facts.system.running = path("b");
        assert_eq!(told(&failed, &facts, ended), None, "somebody else deployed to it");
    }
}
