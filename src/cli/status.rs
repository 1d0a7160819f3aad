//! `nixdash status`: measures everything once and says what was found.

use crate::cli::ancestry;
use crate::cli::{
    CliError, EXIT_FOUND, EXIT_INTERRUPTED, complete, earlier, json, live_status, notes, selectors,
    wait,
};
use crate::dash::{ascii, ascii_from, status_line};
use crate::fleet::{
    Bytes, Fleet, HostFacts, Severity, TierFacts, ago, bytes, number_of, percent, select_or_all,
};
use crate::probe::{Snapshot, Thoroughness, measure_once};
use crate::remote::Remote;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Arguments of `nixdash status`.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Names, globs, @tag, or all; - reads them from standard input [default: all]
    #[arg(value_name = "SELECTOR", add = complete::selectors())]
    selectors: Vec<String>,
    /// Prints one JSON document
    #[arg(long, conflicts_with = "line")]
    json: bool,
    /// Prints one short line for a status bar
    #[arg(long)]
    line: bool,
    /// Exits with 3 when a finding is this bad or worse; silenced findings do not count
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<FailOn>,
}

/// From which severity on `status` fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    /// Something does not work.
    Error,
    /// Something does not work as it should.
    Warning,
}

impl FailOn {
    /// Returns whether something is so bad, or worse.
    fn is_met(self, found: &Snapshot) -> bool {
        let least = match self {
            Self::Error => Severity::Error,
            Self::Warning => Severity::Warning,
        };
        found.findings().any(|finding| finding.is_trouble() && finding.severity >= least)
    }
}

pub(super) async fn run(fleet: Fleet, args: StatusArgs) -> Result<ExitCode, CliError> {
    let hosts = select_or_all(&fleet, &selectors::read(&args.selectors)?)?;
    let fleet = Arc::new(fleet);
    let runner = Remote::new(Arc::clone(&fleet));
    let mut known_before = earlier::read(&fleet);
    let known = earlier::snapshot(&fleet, &known_before, &hosts);
    let is_live = !args.json
        && !args.line
        && live_status::can_be_drawn()
        && live_status::is_something_known(&known);
    let (news, heard) = mpsc::unbounded_channel();
    known_before.news = is_live.then_some(news);
    let care = if args.line { Thoroughness::Glance } else { Thoroughness::Ordinary };
    let look = measure_once(&fleet, &runner, &hosts, care, &known_before, &[]);
    let what = waited_for(&fleet, hosts.len());
    let looked = async {
        if is_live {
            live_status::showing(&what, &fleet, known, heard, look).await
        } else {
            wait::saying(&what, look).await
        }
    };
    let found = tokio::select! {
        found = looked => found,
        () = interrupted() => {
            runner.close().await;
            return Ok(ExitCode::from(EXIT_INTERRUPTED));
        }
    };
    runner.close().await;
    let mut found = found;
    ancestry::count(&fleet, &mut found.hosts).await;
    earlier::keep(&fleet, &found, &known_before).await;
    // Runs have their own place in the history.
    earlier::add_last_runs(&fleet, &mut found, Timestamp::now());
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &json::status(&fleet, &found))
            .map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else if args.line {
        let hosts = found.hosts.iter().cloned().collect();
        let tiers = found.tiers.iter().cloned().collect();
        let mut shown = Fleet::clone(&fleet);
        shown.hosts.retain(|host| found.hosts.iter().any(|(name, _)| *name == host.name));
        let mut line = status_line(&shown, &hosts, &tiers, &found.coverage);
        if fleet.trust.doubt().is_some() {
            line.push_str(" hosts.toml not trusted");
        }
        let plain = ascii_from(|name| std::env::var(name).ok());
        writeln!(out, "{}", if plain { ascii(&line) } else { line })?;
    } else {
        write!(out, "{}", text(&fleet, &found, Timestamp::now()))?;
    }
    let fails = args.fail_on.is_some_and(|severity| severity.is_met(&found));
    Ok(if fails { ExitCode::from(EXIT_FOUND) } else { ExitCode::SUCCESS })
}

/// Says what a look waits for.
pub(super) fn waited_for(fleet: &Fleet, hosts: usize) -> String {
    let counted = |count: usize, word: &str| (count > 0).then(|| number_of(count, word));
    let parts = [counted(hosts, "host"), counted(fleet.tiers.len(), "cache")];
    let whom = parts.into_iter().flatten().collect::<Vec<_>>().join(" and ");
    format!("waiting for {whom} to say how they are and what they hold …")
}

/// Waits until somebody wants this to end.
pub(super) async fn interrupted() {
    let mut terminate = signal(SignalKind::terminate()).ok();
    let terminated = async {
        match &mut terminate {
            Some(signal) => signal.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
    }
}

/// Returns hosts and tiers as two tables.
pub(super) fn tables(fleet: &Fleet, found: &Snapshot, now: Timestamp) -> String {
    let mut hosts =
        vec![row(["HOST", "STATE", "SYSTEM", "GEN", "LOAD", "MEM", "/NIX FREE", "STORE", "AGE"])];
    hosts.extend(found.hosts.iter().map(|(name, facts)| host_row(name, facts, found, now)));
    let mut tiers =
        vec![row(["TIER", "KIND", "STATE", "SIGNATURE", "LATENCY", "PRIORITY", "COVERAGE"])];
    tiers.extend(found.tiers.iter().map(|(name, facts)| tier_row(fleet, name, facts, found)));
    // A table without rows says nothing.
    let tables = [hosts, tiers].into_iter().filter(|rows| rows.len() > 1);
    tables.map(|rows| table(&rows)).collect::<Vec<_>>().join(
        "
",
    )
}

/// Returns what was found as two tables, and below them what is wrong and what to do.
fn text(fleet: &Fleet, found: &Snapshot, now: Timestamp) -> String {
    let mut text = tables(fleet, found, now);
    // Said once, instead of once for every host.
    let doubt = fleet.trust.doubt().map(str::to_owned);
    let notes: Vec<String> =
        doubt.into_iter().chain(notes::of_hosts(found)).chain(notes::of_tiers(found)).collect();
    for lines in [notes, notes::silenced(found)] {
        if !lines.is_empty() {
            text.push('\n');
            text.push_str(&lines.join("\n"));
            text.push('\n');
        }
    }
    text
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn host_row(name: &str, facts: &HostFacts, found: &Snapshot, now: Timestamp) -> Vec<String> {
    let store = found.stores.get(name);
    vec![
        name.to_owned(),
        facts.condition(),
        or_unknown(facts.system.nixos_version.clone().or(facts.system.other_system.clone())),
        or_unknown(facts.generation_words()),
        or_unknown(facts.load1.map(|load| format!("{load:.2}"))),
        or_unknown(facts.memory.and_then(Bytes::share).map(percent)),
        or_unknown(facts.disk.map(|disk| bytes(disk.free()))),
        or_unknown(store.map(|store| format!("{} in {} paths", bytes(store.bytes), store.paths))),
        or_unknown(facts.measured_at.map(|then| ago(age(now, then)))),
    ]
}

/// Returns how long ago something was; nothing when it lies ahead.
fn age(now: Timestamp, then: Timestamp) -> Duration {
    now.duration_since(then).try_into().unwrap_or_default()
}

fn tier_row(fleet: &Fleet, name: &str, facts: &TierFacts, found: &Snapshot) -> Vec<String> {
    let covered: Vec<String> = found
        .coverage
        .iter()
        .filter_map(|(host, facts)| {
            let coverage = facts.tiers.get(name)?;
            let share = coverage.paths;
            Some(format!("{host} {}{}/{}", coverage.bound(), share.have, share.total))
        })
        .collect();
    vec![
        name.to_owned(),
        or_unknown(fleet.tier(name).map(|tier| tier.kind.to_string())),
        facts.state_words(),
        facts.signature.word().to_owned(),
        or_unknown(facts.latency_ms.map(|latency| format!("{latency:.1} ms"))),
        or_unknown(facts.priority.map(|priority| priority.to_string())),
        if covered.is_empty() { "–".to_owned() } else { covered.join("  ") },
    ]
}

/// Returns what was measured, or the sign for what was not.
pub(super) fn or_unknown(text: Option<String>) -> String {
    text.unwrap_or_else(|| "–".to_owned())
}

/// Returns rows with their columns aligned.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{
        Code, Finding, HostState, Silence, SilenceEnd, SilenceOrigin, Subject, Tier, TierKind,
        TierOnHost,
    };

    fn now() -> Timestamp {
        "2026-11-25T12:00:00Z".parse().unwrap()
    }

    /// What is found of one host with these findings.
    fn found(findings: Vec<Finding>) -> Snapshot {
        let measured_at = Some(now() - jiff::SignedDuration::from_secs(7));
        let facts =
            HostFacts { state: HostState::Up, findings, measured_at, ..HostFacts::default() };
        Snapshot { hosts: vec![("p510".to_owned(), facts)], ..Snapshot::default() }
    }

    fn disk_low() -> Finding {
        let subject = Subject::host("p510");
        let cause = "only 1.2 GB is left for /nix/store on p510";
        Finding::new(subject, Code::DiskLow, cause, "make room there").in_short("1.2 GB left")
    }

    fn silence() -> Silence {
        Silence {
            code: Code::DiskLow,
            host: Some("p510".to_owned()),
            tier: None,
            reason: "a bigger disk is on its way".to_owned(),
            until: SilenceEnd::Day(jiff::civil::Date::constant(2026, 12, 24)),
            severity: None,
            detail: None,
            origin: SilenceOrigin::HostsToml,
        }
    }

    #[test]
    fn a_status_fails_from_the_severity_on_that_is_asked_for() {
        let warning = found(vec![disk_low()]);
        assert!(FailOn::Warning.is_met(&warning) && !FailOn::Error.is_met(&warning));
        let note = found(vec![disk_low().rated(Severity::Note)]);
        assert!(!FailOn::Warning.is_met(&note));
        let error = found(vec![disk_low().rated(Severity::Error)]);
        assert!(FailOn::Warning.is_met(&error) && FailOn::Error.is_met(&error));
    }

    #[test]
    fn what_one_host_makes_of_a_tier_counts_too() {
        let weed = Tier::new("weed", TierKind::Http, "http://weed:8333/b");
        let subject = Subject::tier_on_host(&weed, "p510");
        let finding = Finding::new(subject, Code::KeyNotTrusted, "not trusted", "add the key");
        let on_host = TierOnHost { findings: vec![finding], ..TierOnHost::default() };
        let facts =
            TierFacts { hosts: [("p510".to_owned(), on_host)].into(), ..TierFacts::default() };
        let found = Snapshot { tiers: vec![("weed".to_owned(), facts)], ..Snapshot::default() };
        assert!(FailOn::Error.is_met(&found));
    }

    #[test]
    fn coverage_that_is_an_upper_bound_says_so() {
        use crate::fleet::{Coverage, CoverageFacts, Share};
        let fleet = crate::config::fallback();
        let mut found = found(Vec::new());
        found.tiers = vec![("weed".to_owned(), TierFacts::default())];
        let row_with = |found: &mut Snapshot, at_most| {
            let paths = Share { have: 9, total: 10 };
            let coverage = Coverage { paths, bytes: paths, measured_at: now(), at_most };
            let tiers = [("weed".to_owned(), coverage)].into();
            let facts = CoverageFacts { tiers, ..CoverageFacts::default() };
            found.coverage.insert("p510".to_owned(), facts);
            text(&fleet, found, now())
        };
        assert!(row_with(&mut found, false).contains("p510 9/10"));
        assert!(row_with(&mut found, true).contains("p510 ≤ 9/10"));
    }

    #[test]
    fn a_silenced_finding_is_told_below_and_fails_nothing() {
        let fleet = crate::config::fallback();
        let mut found = found(vec![disk_low()]);
        assert!(text(&fleet, &found, now()).contains("p510  1.2 GB left"));
        let mut alarms = fleet.alarms.clone();
        alarms.silences.push(silence());
        alarms.silence_host(&mut found.hosts[0].1, now());
        assert!(!FailOn::Warning.is_met(&found));
        insta::assert_snapshot!(text(&fleet, &found, now()), @"
        HOST  STATE  SYSTEM  GEN  LOAD  MEM  /NIX FREE  STORE  AGE
        p510  up     –       –    –     –    –          –      7 s

        1 finding is silenced:
          only 1.2 GB is left for /nix/store on p510; make room there; silenced until 2026-12-24: a bigger disk is on its way [disk-low]
        ");
    }
}
