//! Runs: written event by event, read whole.

use super::builds::write_builds;
use super::phases::{phases_of, write_phases};
use super::write::{clean, word};
use super::{History, HistoryError, int, time, uint};
use crate::fleet::{
    DropReason, Fetched, Finding, HostResult, Outcome, Plan, RunEvent, RunId, RunWhat, StorePath,
    TimedBytes, printable_line,
};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// One run, as it is remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRow {
    /// Its number.
    pub run: RunId,
    /// When it began.
    pub began_at: Timestamp,
    /// When it ended; none while it goes on, or when its process died.
    pub ended_at: Option<Timestamp>,
    /// What was asked for, in words.
    pub title: String,
    /// The flake's revision; none when no plan was made or the flake is not in git.
    pub revision: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// What is missing in its folder: why, how many log lines, how many other events.
    pub gaps: Vec<(DropReason, u64, u64)>,
    /// What was wrong with it as a whole, such as a gate that failed; what was wrong with a host stands there.
    pub findings: Vec<Finding>,
    /// Its hosts, in the order of the run; one without an end has no result.
    pub hosts: Vec<(String, Option<HostResult>)>,
}

/// What stands in the place of a host, where a finding is about the run as a whole.
const OF_RUN: &str = "";

/// What a row of `runs` says, with its number in the file.
struct StoredRun {
    id: i64,
    row: RunRow,
}

impl History {
    /// Writes what happened in a run; events that only move the screen are passed over.
    ///
    /// The same events may be told again, by another nixdash or a later one.
    pub fn write_run(&mut self, event: &RunEvent) -> Result<(), HistoryError> {
        let write = || match &event.what {
            RunWhat::Begin { hosts, title, .. } => begin(&self.db, event, hosts, title),
            RunWhat::Plan { plan, .. } => planned(&self.db, event, plan),
            RunWhat::Result { host, result } => ended(&self.db, event, host, result),
            RunWhat::Builds { host, builds } => match find(&self.db, event)? {
                Some(run) => write_builds(&self.db, (run, host), event.at, builds),
                None => Ok(()),
            },
            RunWhat::Summary { duration_ms, findings, .. } => {
                over(&self.db, event, *duration_ms, findings)
            }
            RunWhat::Dropped { lines, events, why, .. } => match find(&self.db, event)? {
                Some(run) => self
                    .db
                    .execute(
                        "INSERT OR REPLACE INTO run_gaps VALUES (?1, ?2, ?3, ?4, ?5)",
                        params![
                            run,
                            event.at.as_nanosecond() as i64,
                            why.word(),
                            int(*lines),
                            int(*events)
                        ],
                    )
                    .map(drop),
                None => Ok(()),
            },
            RunWhat::Phase { .. }
            | RunWhat::Progress { .. }
            | RunWhat::Log { .. }
            | RunWhat::Rollout(_)
            | RunWhat::Waiting { .. }
            | RunWhat::Usual { .. }
            | RunWhat::Command { .. }
            | RunWhat::Reattached { .. } => Ok(()),
        };
        write().map_err(self.failed("write into"))
    }

    /// Returns the runs that began since a time, newest first, at most `limit`.
    ///
    /// With hosts given, only runs in which one of them took part, and of those only these hosts.
    pub fn runs(
        &self,
        hosts: &[String],
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<RunRow>, HistoryError> {
        let read = || {
            let mut statement = self.db.prepare(
                "SELECT id, number, began_at, ended_at, title, revision, duration_ms FROM runs
                 WHERE began_at >= ?1 ORDER BY began_at DESC, id DESC",
            )?;
            let mut rows = statement.query([since.as_millisecond()])?;
            let mut runs = Vec::new();
            while runs.len() < limit
                && let Some(row) = rows.next()?
            {
                let StoredRun { id, row: mut run } = found(row)?;
                run.hosts = hosts_of(&self.db, id)?;
                run.gaps = gaps_of(&self.db, id)?;
                run.findings = findings(&self.db, id, OF_RUN)?;
                if !hosts.is_empty() {
                    run.hosts.retain(|(host, _)| hosts.contains(host));
                }
                if hosts.is_empty() || !run.hosts.is_empty() {
                    runs.push(run);
                }
            }
            Ok(runs)
        };
        read().map_err(self.failed("read"))
    }
}

fn found(row: &Row<'_>) -> rusqlite::Result<StoredRun> {
    Ok(StoredRun {
        id: row.get(0)?,
        row: RunRow {
            run: RunId(row.get(1)?),
            began_at: time(row.get(2)?),
            ended_at: row.get::<_, Option<i64>>(3)?.map(time),
            title: row.get(4)?,
            revision: row.get(5)?,
            duration_ms: row.get::<_, Option<i64>>(6)?.map(uint),
            gaps: Vec::new(),
            findings: Vec::new(),
            hosts: Vec::new(),
        },
    })
}

/// Returns what is missing in a run's folder.
fn gaps_of(db: &Connection, run: i64) -> rusqlite::Result<Vec<(DropReason, u64, u64)>> {
    let mut statement = db.prepare_cached(
        "SELECT why, SUM(lines), SUM(events) FROM run_gaps WHERE run = ?1 GROUP BY why ORDER BY why",
    )?;
    let rows = statement.query_map([run], |row| {
        let why = DropReason::of_word(&row.get::<_, String>(0)?);
        Ok(why.map(|why| Ok((why, uint(row.get(1)?), uint(row.get(2)?)))))
    })?;
    rows.filter_map(|row| row.and_then(Option::transpose).transpose()).collect()
}

/// Returns the hosts of a run with their results.
fn hosts_of(db: &Connection, run: i64) -> rusqlite::Result<Vec<(String, Option<HostResult>)>> {
    let mut statement = db.prepare_cached(
        "SELECT host, outcome, toplevel, previous, duration_ms, built, error FROM run_hosts
         WHERE run = ?1 ORDER BY place, host",
    )?;
    let rows = statement.query_map([run], |row| {
        let path = |index: usize| {
            let text = row.get::<_, Option<String>>(index)?;
            Ok::<_, rusqlite::Error>(text.and_then(|text| StorePath::parse(&text).ok()))
        };
        let outcome = row.get::<_, Option<String>>(1)?.and_then(|word| outcome(&word));
        let number = |index: usize| row.get::<_, Option<i64>>(index);
        let result = match outcome {
            None => None,
            Some(outcome) => Some(HostResult {
                outcome,
                attempt: None,
                toplevel: path(2)?,
                previous: path(3)?,
                duration_ms: number(4)?.map_or(0, uint),
                built: number(5)?.map_or(0, uint),
                build_on: None,
                taken: None,
                substituted: BTreeMap::new(),
                fetched: BTreeMap::new(),
                phases: BTreeMap::new(),
                error: row.get(6)?,
                findings: Vec::new(),
            }),
        };
        Ok((row.get::<_, String>(0)?, result))
    })?;
    let mut hosts = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    for (host, result) in &mut hosts {
        if let Some(result) = result {
            result.fetched = origins(db, run, host, "host")?;
            result.substituted = origins(db, run, host, "builder")?;
            result.findings = findings(db, run, host)?;
            result.phases = phases_of(db, run, host)?;
        }
    }
    Ok(hosts)
}

/// Returns what came from where on one side of a host's run.
fn origins(
    db: &Connection,
    run: i64,
    host: &str,
    side: &str,
) -> rusqlite::Result<BTreeMap<String, Fetched>> {
    let mut statement = db.prepare_cached(
        "SELECT source, paths, bytes, timed_bytes, busy_ms FROM run_origins
         LEFT JOIN run_speeds USING (run, host, side, source)
         WHERE run = ?1 AND host = ?2 AND side = ?3",
    )?;
    let rows = statement.query_map(params![run, host, side], |row| {
        let timed = row.get::<_, Option<i64>>(3)?.zip(row.get::<_, Option<i64>>(4)?);
        let timed =
            timed.map(|(bytes, busy)| TimedBytes { bytes: uint(bytes), busy_ms: uint(busy) });
        Ok((row.get(0)?, Fetched { paths: uint(row.get(1)?), bytes: uint(row.get(2)?), timed }))
    })?;
    rows.collect()
}

/// Returns the outcome of a word.
fn outcome(word: &str) -> Option<Outcome> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
}

/// Returns what was wrong with a host in a run, or with the run as a whole; a finding whose code this nixdash does not know is left
/// out.
fn findings(db: &Connection, run: i64, host: &str) -> rusqlite::Result<Vec<Finding>> {
    let text: Option<String> = db
        .prepare_cached("SELECT findings FROM run_findings WHERE run = ?1 AND host = ?2")?
        .query_row(params![run, host], |row| row.get(0))
        .optional()?;
    let all: Vec<Json> = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    Ok(all.into_iter().filter_map(|one| serde_json::from_value(one).ok()).collect())
}

/// Writes what was wrong with a host in a run, or with the run as a whole.
fn write_findings(
    db: &Connection,
    run: i64,
    host: &str,
    findings: &[Finding],
) -> rusqlite::Result<()> {
    if findings.is_empty() {
        db.prepare_cached("DELETE FROM run_findings WHERE run = ?1 AND host = ?2")?
            .execute(params![run, host])?;
        return Ok(());
    }
    let json = serde_json::to_value(findings).map(clean).unwrap_or_default();
    db.prepare_cached("INSERT OR REPLACE INTO run_findings VALUES (?1, ?2, ?3)")?
        .execute(params![run, host, json.to_string()])
        .map(drop)
}

/// Returns the newest run of that number that had begun when the event happened.
fn find(db: &Connection, event: &RunEvent) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached(
        "SELECT id FROM runs WHERE number = ?1 AND began_at <= ?2 ORDER BY began_at DESC LIMIT 1",
    )?
    .query_row(params![printable_line(&event.run.0), event.at.as_millisecond()], |row| row.get(0))
    .optional()
}

fn begin(db: &Connection, event: &RunEvent, hosts: &[String], title: &str) -> rusqlite::Result<()> {
    let run: i64 = db.query_row(
        "INSERT INTO runs (number, began_at, title) VALUES (?1, ?2, ?3)
         ON CONFLICT (number, began_at) DO UPDATE SET title = excluded.title RETURNING id",
        params![printable_line(&event.run.0), event.at.as_millisecond(), printable_line(title)],
        |row| row.get(0),
    )?;
    for (place, host) in (0_i64..).zip(hosts) {
        db.prepare_cached(
            "INSERT INTO run_hosts (run, host, place) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?
        .execute(params![run, printable_line(host), place])?;
    }
    Ok(())
}

fn planned(db: &Connection, event: &RunEvent, plan: &Plan) -> rusqlite::Result<()> {
    let Some(run) = find(db, event)? else { return Ok(()) };
    db.execute(
        "UPDATE runs SET action = ?2, strategy = ?3, revision = ?4 WHERE id = ?1",
        params![
            run,
            word(&plan.goal),
            word(&plan.strategy),
            plan.revision.as_deref().map(printable_line)
        ],
    )
    .map(drop)
}

/// Writes that a run is over.
fn over(
    db: &Connection,
    event: &RunEvent,
    duration_ms: u64,
    findings: &[Finding],
) -> rusqlite::Result<()> {
    let Some(run) = find(db, event)? else { return Ok(()) };
    let of_run: Vec<Finding> = Finding::of_whole_run(findings).into_iter().cloned().collect();
    write_findings(db, run, OF_RUN, &of_run)?;
    db.execute(
        "UPDATE runs SET ended_at = ?2, duration_ms = ?3 WHERE id = ?1",
        params![run, event.at.as_millisecond(), int(duration_ms)],
    )
    .map(drop)
}

fn ended(
    db: &Connection,
    event: &RunEvent,
    host: &str,
    result: &HostResult,
) -> rusqlite::Result<()> {
    let Some(run) = find(db, event)? else { return Ok(()) };
    let host = printable_line(host);
    let path = |path: &Option<StorePath>| path.as_ref().map(|path| printable_line(path.as_str()));
    db.prepare_cached(
        "INSERT INTO run_hosts VALUES (?1, ?2, 1000000, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (run, host) DO UPDATE SET ended_at = excluded.ended_at,
           outcome = excluded.outcome, toplevel = excluded.toplevel,
           previous = excluded.previous, duration_ms = excluded.duration_ms,
           built = excluded.built, error = excluded.error",
    )?
    .execute(params![
        run,
        host,
        event.at.as_millisecond(),
        word(&result.outcome),
        path(&result.toplevel),
        path(&result.previous),
        int(result.duration_ms),
        int(result.built),
        result.error.as_deref().map(printable_line),
    ])?;
    write_findings(db, run, &host, &result.findings)?;
    write_phases(db, run, &host, result)?;
    let build_on = result.build_on.as_deref().map(printable_line);
    for (side, origins) in [("host", &result.fetched), ("builder", &result.substituted)] {
        for (source, got) in origins {
            db.prepare_cached(
                "INSERT OR REPLACE INTO run_origins VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                run,
                host,
                side,
                printable_line(source),
                int(got.paths),
                int(got.bytes)
            ])?;
            let fetcher = if side == "host" { Some(&host) } else { build_on.as_ref() };
            if let Some((timed, fetcher)) = got.timed.zip(fetcher) {
                write_speed(db, (run, &host, side), (fetcher, source), event.at, timed)?;
            }
        }
    }
    Ok(())
}

/// Writes how fast a host (`fetcher`) got files from a source, for one side of a host's run.
fn write_speed(
    db: &Connection,
    (run, host, side): (i64, &str, &str),
    (fetcher, source): (&str, &str),
    at: Timestamp,
    timed: TimedBytes,
) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO run_speeds VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            run,
            host,
            side,
            printable_line(source),
            fetcher,
            at.as_millisecond(),
            int(timed.bytes),
            int(timed.busy_ms)
        ])
        .map(drop)
}
