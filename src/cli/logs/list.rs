//! The list of runs with their logs.

use crate::cli::chosen_run::begun;
use crate::cli::run_row::row;
use crate::cli::status::{or_unknown, table};
use crate::cli::words::{GOES_ON, LEFT, NO_END, NO_RUNS};
use crate::cli::{CliError, left};
use crate::fleet::{Outcome, RunId, bytes, printable_json, printable_line};
use crate::record::{RunRow, Runs};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

/// How many runs are listed by default.
pub(super) const LIMIT: usize = 20;

/// How many hosts are named at most.
const NAMED_HOSTS: usize = 4;

/// What `logs --json` prints without a run.
#[derive(Serialize)]
struct ListJson {
    runs: Vec<ListedRun>,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Stands {
    /// It has ended.
    Ended,
    /// A process carries it out.
    GoesOn,
    /// Its process is gone, and it can be gone on with.
    Left,
    /// Its process is gone, and nobody ended it.
    NoEnd,
}

/// A run with the sizes of its logs.
#[derive(Serialize)]
struct ListedRun {
    run: RunId,
    /// None where its events cannot be read.
    began_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    title: Option<String>,
    stands: Stands,
    outcomes: BTreeMap<Outcome, u64>,
    log_bytes: u64,
    /// When its logs were removed; none where they were not.
    logs_removed_at: Option<Timestamp>,
    hosts: Vec<ListedHost>,
}

/// A host of a run.
#[derive(Serialize)]
struct ListedHost {
    host: String,
    outcome: Option<Outcome>,
    /// None where it has no log.
    log_bytes: Option<u64>,
}

/// Prints the newest runs, the newest first.
pub(super) fn run(folders: &Runs, limit: usize, json: bool) -> Result<ExitCode, CliError> {
    let all = begun(folders)?;
    let newest = all.into_iter().rev().take(limit);
    let listed: Vec<ListedRun> = newest.map(|run| listed(folders, run)).collect();
    let mut out = std::io::stdout().lock();
    let written = if json {
        let mut document =
            serde_json::to_value(ListJson { runs: listed }).map_err(std::io::Error::from)?;
        printable_json(&mut document);
        writeln!(out, "{document:#}")
    } else if listed.is_empty() {
        writeln!(out, "{NO_RUNS}")
    } else {
        write!(out, "{}", text(&listed, &TimeZone::system()))
    };
    match written.map_err(CliError::from) {
        Err(error) if error.is_closed_pipe() => Ok(ExitCode::SUCCESS),
        result => result.map(|()| ExitCode::SUCCESS),
    }
}

/// Reads how a run stands from its folder.
fn listed(folders: &Runs, run: RunId) -> ListedRun {
    let events = folders.outline(&run);
    let row: RunRow = row(&run, &events);
    let mut sizes: BTreeMap<String, u64> = folders.log_sizes(&run).into_iter().collect();
    let log_bytes = sizes.values().sum();
    let mut outcomes = BTreeMap::new();
    let mut hosts = Vec::new();
    for (host, result) in row.hosts {
        let outcome = result.map(|result| result.outcome);
        if let Some(outcome) = outcome {
            *outcomes.entry(outcome).or_default() += 1;
        }
        hosts.push(ListedHost { log_bytes: sizes.remove(&host), host, outcome });
    }
    let others = sizes.into_iter();
    hosts.extend(others.map(|(host, size)| ListedHost {
        host,
        outcome: None,
        log_bytes: Some(size),
    }));
    let stands = if row.ended_at.is_some() {
        Stands::Ended
    } else if folders.is_alive(&run) {
        Stands::GoesOn
    } else if left::can_go_on(folders, &run).is_some() {
        Stands::Left
    } else {
        Stands::NoEnd
    };
    let removed = folders.removed_logs(&run);
    ListedRun {
        logs_removed_at: removed.map(|removed| removed.at),
        began_at: events.first().map(|_| row.began_at),
        ended_at: row.ended_at,
        title: (!row.title.is_empty()).then_some(row.title),
        run,
        stands,
        outcomes,
        log_bytes,
        hosts,
    }
}

/// Returns the runs as a table.
fn text(runs: &[ListedRun], zone: &TimeZone) -> String {
    let head = ["RUN", "BEGAN", "WHAT", "HOSTS", "ENDED", "LOGS"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for run in runs {
        let began =
            |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
        let removed = run.logs_removed_at;
        let removed =
            || removed.map(|at| at.to_zoned(zone.clone()).strftime("removed %Y-%m-%d").to_string());
        let size = (run.log_bytes > 0).then(|| bytes(run.log_bytes)).or_else(removed);
        rows.push(vec![
            run.run.to_string(),
            or_unknown(run.began_at.map(began)),
            or_unknown(run.title.as_deref().map(printable_line)),
            hosts(&run.hosts),
            ended(run),
            or_unknown(size),
        ]);
    }
    table(&rows)
}

/// Names the hosts, of many the first ones.
fn hosts(hosts: &[ListedHost]) -> String {
    let named = if hosts.len() > NAMED_HOSTS { NAMED_HOSTS - 1 } else { hosts.len() };
    let names: Vec<String> =
        hosts.iter().take(named).map(|host| printable_line(&host.host)).collect();
    match hosts.len() - named {
        0 if named == 0 => "–".to_owned(),
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// Says how a run ended, or how it stands.
fn ended(run: &ListedRun) -> String {
    let outcomes = run.outcomes.iter();
    let counts: Vec<String> =
        outcomes.map(|(outcome, count)| format!("{count} {}", outcome.spoken())).collect();
    let stands = match run.stands {
        Stands::Ended if counts.is_empty() => Some("ended"),
        Stands::Ended => None,
        Stands::GoesOn => Some(GOES_ON),
        Stands::Left => Some(LEFT),
        Stands::NoEnd => Some(NO_END),
    };
    stands.map(str::to_owned).into_iter().chain(counts).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_a_line_with_its_hosts_how_it_ended_and_how_big_its_logs_are() {
        let listed =
            |number: &str, hosts: &[&str], stands, outcomes: &[(Outcome, u64)], log_bytes| {
                let host = |host: &&str| ListedHost {
                    host: (*host).to_owned(),
                    outcome: None,
                    log_bytes: None,
                };
                ListedRun {
                    run: RunId(number.to_owned()),
                    began_at: Some(Timestamp::UNIX_EPOCH),
                    ended_at: None,
                    title: Some("switch via-cache".to_owned()),
                    stands,
                    outcomes: outcomes.iter().copied().collect(),
                    log_bytes,
                    logs_removed_at: None,
                    hosts: hosts.iter().map(host).collect(),
                }
            };
        let done = [(Outcome::Switched, 2), (Outcome::RolledBack, 1)];
        let many = ["p620", "samsung", "razer", "p510", "heron"];
        let broken =
            ListedRun { began_at: None, title: None, ..listed("3", &[], Stands::NoEnd, &[], 0) };
        let old = ListedRun {
            logs_removed_at: Some(Timestamp::UNIX_EPOCH),
            ..listed("5", &["p620"], Stands::Ended, &done[..1], 0)
        };
        let runs = [
            listed("42", &["samsung"], Stands::GoesOn, &[], 1_204),
            listed("41", &many, Stands::Ended, &done, 90_100_000),
            listed("7", &["p620", "razer"], Stands::Left, &done[..1], 0),
            old,
            broken,
        ];
        insta::assert_snapshot!(text(&runs, &TimeZone::UTC), @r"
        RUN  BEGAN             WHAT              HOSTS                            ENDED                      LOGS
        42   1970-01-01 00:00  switch via-cache  samsung                          goes on                    1.20 kB
        41   1970-01-01 00:00  switch via-cache  p620, samsung, razer and 2 more  2 switched, 1 rolled back  90.1 MB
        7    1970-01-01 00:00  switch via-cache  p620, razer                      left, 2 switched           –
        5    1970-01-01 00:00  switch via-cache  p620                             2 switched                 removed 1970-01-01
        3    –                 –                 –                                no end                     –
        ");
    }
}
