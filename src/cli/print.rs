//! A run as plain lines, for a terminal without a screen or a file.

use crate::fleet::words::changes;
use crate::fleet::words::deploys::short_revision;
use crate::fleet::words::runs::{what_tiers_brought, where_time_went};
use crate::fleet::words::without_name;
use crate::fleet::{
    Fetched, Finding, Goal, HostResult, Outcome, PhaseState, Plan, RunEvent, RunWhat, Wait, bytes,
    duration, ended_by_order, first_fault,
};
use crate::remote::quote;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// How many packages of a host a plan shows at most.
const PLAN_LINES: usize = 40;

/// What stands below them: everything in one sentence, and what needs a restart.
const ENDING_LINES: usize = 4;

/// Returns an event as lines; nothing for events that only move the screen. `order` is that of the hosts in the run.
pub(super) fn event(
    event: &RunEvent,
    width: usize,
    goal: Goal,
    order: &[String],
) -> Option<String> {
    match &event.what {
        RunWhat::Begin { hosts, title, .. } => {
            Some(format!("run {}: {title} of {}", event.run, hosts.join(", ")))
        }
        RunWhat::Phase { host, phase, state } => match state {
            PhaseState::Started | PhaseState::Skipped => None,
            PhaseState::Finished => Some(format!("{host:width$}  {phase:<11} done")),
            PhaseState::Failed => Some(format!("{host:width$}  {phase:<11} failed")),
        },
        RunWhat::Log { host, phase, line, .. } => {
            Some(format!("{host:width$}  {phase:<11} {line}"))
        }
        // The question itself says so.
        RunWhat::Waiting { wait: Some(Wait::Confirmation { .. }), .. } => None,
        RunWhat::Waiting { host, reason: Some(reason), .. } => {
            Some(format!("{host:width$}  waiting for {reason}"))
        }
        RunWhat::Result { host, result } => Some(outcome(host, result, width, goal)),
        RunWhat::Reattached { left_at, process } => {
            let gap = duration(event.at.duration_since(*left_at).unsigned_abs());
            Some(format!(
                "run {}: no nixdash worked on it for {gap}; process {process} goes on with it",
                event.run
            ))
        }
        RunWhat::Summary { outcomes, duration_ms, findings } => {
            Some(summary(outcomes, *duration_ms, findings))
        }
        RunWhat::Rollout(news) => Some(news.sentence(event.at)),
        RunWhat::Dropped { lines, events, why, .. } => Some(why.sentence(*lines, *events)),
        RunWhat::Waiting { .. }
        | RunWhat::Progress { .. }
        | RunWhat::Usual { .. }
        | RunWhat::Builds { .. }
        | RunWhat::Command { .. } => None,
        RunWhat::Plan { plan: shown, .. } => Some(plan(shown, width, order)),
    }
}

/// Returns what is run on a host as a line.
pub(super) fn command(event: &RunEvent, width: usize) -> Option<String> {
    let RunWhat::Command { host, phase, command } = &event.what else { return None };
    let who = if command.root { " as root" } else { "" };
    let start = format!("{host:width$}  {phase:<11} on {}{who}: {}", command.on, command.script);
    Some(command.args.iter().fold(start, |text, arg| format!("{text} {}", quote(arg))))
}

/// Returns the last line of a run with what it came to: where its time went, and what came from where.
pub(super) fn sums(summary: &str, results: &BTreeMap<String, HostResult>) -> String {
    let each = || results.iter().map(|(host, result)| (host.as_str(), result));
    let sums = [where_time_went(each()), what_tiers_brought(each())];
    sums.into_iter().flatten().fold(summary.to_owned(), |text, sum| format!("{text}\n{sum}"))
}

/// Returns the plan as a table, where the run has its hosts in this order.
fn plan(plan: &Plan, width: usize, order: &[String]) -> String {
    let mut text = format!("plan: {}", plan.goal);
    if plan.goal != Goal::Rollback {
        let _ = write!(text, " {}", plan.strategy);
    }
    if let Some(revision) = &plan.revision {
        let _ = write!(text, " of {revision}");
    }
    for note in plan.told() {
        let _ = write!(text, "\n  note: {note}");
    }
    for host in &plan.hosts {
        let name = &host.host;
        if host.unchanged {
            let _ = write!(text, "\n  {name:width$}  unchanged");
            continue;
        }
        if let Some(wave) = host.wave {
            let _ = write!(text, "\n  {name:width$}  wave {wave}");
        }
        let _ = write!(text, "\n  {name:width$}  {}", changes::work(host));
        if let Some(revision) = plan.other_revision(host) {
            let _ = write!(text, "\n  {:width$}  built from {}", "", short_revision(revision));
        }
        if let Some(why) = &host.why {
            let _ = write!(text, "\n  {:width$}  {}: {why}", "", host.route.words());
        }
        if let Some(replaced) = changes::replaced(host) {
            let _ = write!(text, "\n  {:width$}  {replaced}", "");
        }
        let _ = write!(text, "\n  {:width$}  → {}", "", changes::system_words(&host.toplevel));
        for line in shortened(changes::of_plan(host)) {
            let _ = write!(text, "\n  {:width$}  {line}", "");
        }
        for note in host.told() {
            let _ = write!(text, "\n  {:width$}  note: {note}", "");
        }
    }
    for (host, why) in changes::set_aside(plan, order.iter().map(String::as_str)) {
        let _ = write!(text, "\n  {host:width$}  {why}");
    }
    text
}

/// Returns the lines of a plan without the middle of a long list; JSON and the screen have all.
fn shortened(mut lines: Vec<String>) -> Vec<String> {
    if lines.len() > PLAN_LINES + ENDING_LINES {
        let left_out = lines.len() - PLAN_LINES - ENDING_LINES;
        let line = format!("… {left_out} more packages (--json has every one)");
        lines.splice(PLAN_LINES..PLAN_LINES + left_out, [line]);
    }
    lines
}

/// Returns how a host ended.
fn outcome(host: &str, result: &HostResult, width: usize, goal: Goal) -> String {
    let time = duration(Duration::from_millis(result.duration_ms));
    let mut text = format!("{host:width$}  {}", took(&result.outcome.spoken(), &time));
    if result.outcome != Outcome::Unchanged && (result.built > 0 || !result.fetched.is_empty()) {
        let _ = write!(text, "; {} built{}", result.built, origins(&result.fetched));
    }
    for given_up in result.taken.iter().flat_map(|taken| &taken.given_up) {
        let _ =
            write!(text, "\n{:width$}  gave up {}: {}", "", given_up.route.words(), given_up.why);
    }
    if let (Goal::Build, Some(toplevel)) = (goal, &result.toplevel) {
        let _ = write!(text, "\n{:width$}  {toplevel}", "");
    }
    if let Some(error) = result.told() {
        let _ = write!(text, "\n{:width$}  {}", "", without_name(host, &error));
    }
    if let Some(fix) = result.to_do() {
        let _ = write!(text, "\n{:width$}  to do: {fix}", "");
    }
    text
}

/// Returns what something came to, and how long that took: words that end with what comes next are kept apart.
fn took(what: &str, time: &str) -> String {
    let comma = if what.ends_with("boot") { "," } else { "" };
    format!("{what}{comma} in {time}")
}

/// Returns what came from which tier.
pub(super) fn origins(fetched: &BTreeMap<String, Fetched>) -> String {
    fetched.iter().fold(String::new(), |mut text, (tier, got)| {
        let _ = write!(text, ", {} from {tier} ({})", got.paths, bytes(got.bytes));
        text
    })
}

/// Returns how the run ended.
fn summary(outcomes: &BTreeMap<Outcome, u64>, duration_ms: u64, findings: &[Finding]) -> String {
    let counts: Vec<String> =
        outcomes.iter().map(|(outcome, count)| format!("{count} {}", outcome.spoken())).collect();
    let time = duration(Duration::from_millis(duration_ms));
    let mut text = took(&counts.join(", "), &time);
    // The first one is why; the others may follow from it. What is about one host stands whole at its end.
    let has_several = outcomes.values().sum::<u64>() > 1;
    if let (Some(order), true) = (ended_by_order(findings), has_several) {
        let _ = write!(text, "\n{order}");
    }
    if let (Some(first), true) = (first_fault(findings), has_several) {
        let _ = match first.subject.host_name() {
            Some(host) => write!(text, "\nfirst error: {host} [{}]", first.code),
            None => write!(text, "\nfirst error: {} [{}]", first.cause, first.code),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Code, Subject};

    /// Returns how a host ended that failed with this.
    fn failed(code: Code, cause: &str) -> HostResult {
        HostResult {
            duration_ms: 1000,
            error: Some(cause.to_owned()),
            findings: vec![Finding::new(Subject::host("razer"), code, cause, &code.fix())],
            ..HostResult::ended(Outcome::Failed)
        }
    }

    #[test]
    fn a_plan_says_what_is_replaced_and_names_who_is_set_aside_once_in_the_order_of_the_run() {
        let system = |hash: &str| format!("/nix/store/{}-nixos-system-a-1", hash.repeat(32));
        let host = serde_json::json!({
            "host": "a", "route": { "strategy": "direct" }, "toplevel": system("a"),
            "running": system("b"), "to_build": 1, "to_download": 2, "unchanged": false, "notes": [],
            "replaces": {
                "revision": "8f2c1abcd012-dirty", "ancestry": { "behind": 3, "ahead": 0 },
            },
        });
        let plan_of_all: Plan = serde_json::from_value(serde_json::json!({
            "goal": "switch", "strategy": "direct", "revision": null, "hosts": [host],
            "set_aside": { "h10": "h10: it is off", "h2": "h2: it is off" }, "waited_for": ["h10"],
        }))
        .unwrap();
        let text = plan(&plan_of_all, 3, &["h2", "a", "h10"].map(str::to_owned));
        let replaced =
            "a-1 (bbbbbbbb), built from 8f2c1abcd dirty, 3 commits behind the new system";
        assert!(text.contains(replaced), "{text}");
        let aside = "\n  h2   set aside: it is off\n  h10  away, waited for: it is off";
        assert!(text.ends_with(aside), "{text}");
    }

    #[test]
    fn the_first_error_of_a_host_is_named_and_not_told_again() {
        let findings = failed(Code::FetchFailed, "seven hundred characters").findings;
        let outcomes = BTreeMap::from([(Outcome::Failed, 1), (Outcome::Skipped, 2)]);
        let text = summary(&outcomes, 1000, &findings);
        assert!(text.ends_with("first error: razer [fetch-failed]"), "{text}");
        let of_run = Subject::Run { run: "7".to_owned(), host: None };
        let gate = Finding::new(of_run, Code::GateFailed, "gate quorum failed", "");
        let text = summary(&outcomes, 1000, &[gate]);
        assert!(text.ends_with("first error: gate quorum failed [gate-failed]"), "{text}");
    }

    #[test]
    fn an_order_of_the_operator_is_no_error_and_leaves_nothing_to_do() {
        let outcomes = BTreeMap::from([(Outcome::RolledBack, 2)]);
        let of_run = Subject::Run { run: "7".to_owned(), host: None };
        let back = |subject| {
            Finding::new(
                subject,
                Code::RunRolledBack,
                "the operator rolled it back",
                "deploy again",
            )
        };
        let ordered = [back(of_run), back(Subject::host("razer"))];
        let text = summary(&outcomes, 1000, &ordered);
        assert_eq!(text, "2 rolled back in 1.0 s\nrolled back by the operator");
        let stopped = failed(Code::RunStopped, "the operator stopped the run").findings;
        assert!(summary(&outcomes, 1000, &stopped).ends_with("\nstopped by the operator"));
        // What went wrong before is told all the same.
        let failed_first = [&failed(Code::CheckFailed, "a check failed").findings[..], &ordered];
        let text = summary(&outcomes, 1000, &failed_first.concat());
        assert!(text.ends_with("in 1.0 s\nfirst error: razer [check-failed]"), "{text}");
        for (code, cause) in [
            (Code::RunRolledBack, "the operator rolled it back"),
            (Code::RunStopped, "the operator stopped the run"),
        ] {
            let host = HostResult { outcome: Outcome::RolledBack, ..failed(code, cause) };
            assert!(!outcome("razer", &host, 7, Goal::Switch).contains("to do"));
        }
    }

    #[test]
    fn a_host_that_was_not_started_is_not_called_booted() {
        let ended = |outcome| HostResult { duration_ms: 10_000, ..HostResult::ended(outcome) };
        let told = |of, goal| outcome("razer", &ended(of), 5, goal);
        assert_eq!(told(Outcome::Booted, Goal::Boot), "razer  set for the next boot, in 10 s");
        assert_eq!(told(Outcome::Dry, Goal::DryActivate), "razer  dry run done in 10 s");
        let outcomes = BTreeMap::from([(Outcome::Booted, 1)]);
        assert_eq!(summary(&outcomes, 10_000, &[]), "1 set for the next boot, in 10 s");
    }

    #[test]
    fn what_to_do_stands_below_a_reason_that_does_not_say_it() {
        let told = |code, cause| outcome("razer", &failed(code, cause), 7, Goal::Switch);
        assert_eq!(
            told(Code::CheckFailed, "a check failed: true"),
            "razer    failed in 1.0 s\n         a check failed: true [check-failed]\n         \
             to do: run the check by hand on the host"
        );
        let said = told(Code::HostUnreachable, "no route; `ssh` to it by hand shows more");
        assert!(!said.contains("to do"), "{said}");
        let well = HostResult {
            outcome: Outcome::NeedsReboot,
            ..failed(Code::SwitchInhibited, "it starts at the next reboot")
        };
        assert!(!outcome("razer", &well, 7, Goal::Switch).contains("to do"));
    }
}
