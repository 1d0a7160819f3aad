//! `nixdash history`: the runs there were, how they ended and where their paths came from.

mod events;

use crate::cli::json::{self, FindingJson};
use crate::cli::left::{self, Ends};
use crate::cli::status::{or_unknown, table};
use crate::cli::words::{GOES_ON, LEFT, NO_END, NO_RUNS};
use crate::cli::{CliError, complete, print, selectors};
use crate::fleet::words::deploys::short_revision;
use crate::fleet::words::without_name;
use crate::fleet::{
    DropReason, Fetched, Fleet, HostBuilds, HostResult, Outcome, RunEvent, RunWhat, StorePath,
    duration, in_a_list, percent, select,
};
use crate::record::{History, HistoryError, Recorder, RunRow, RunStands, Runs, state_home};
use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Arguments of `nixdash history`.
#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// Names, globs, @tag, or all; - reads them from standard input [default: every run]
    #[arg(value_name = "SELECTOR", add = complete::selectors())]
    selectors: Vec<String>,
    /// Runs and events within this time, such as 12h or 7d
    #[arg(long, value_name = "TIME", value_parser = span)]
    since: Option<SignedDuration>,
    /// At most so many runs or events, the newest
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Shows events, not only runs: what was wrong and for how long, restarts, runs
    #[arg(long)]
    events: bool,
    /// Prints one JSON document
    #[arg(long)]
    json: bool,
}

impl HistoryArgs {
    /// Refuses what is no host but is meant as a command, such as `show 41`, and says which command does that.
    pub(super) fn refuse_a_command(&self, fleet: &Fleet) -> Result<(), CliError> {
        let Some(first) = self.selectors.first() else { return Ok(()) };
        let is_meant = ["show", "log", "logs", "list", "retry"].contains(&first.as_str());
        if is_meant && select(fleet, std::slice::from_ref(first)).is_err() {
            let run = self.selectors.get(1).map_or("RUN", String::as_str);
            let (command, run) = (first.clone(), run.to_owned());
            return Err(CliError::NoRunsCommand { command, run });
        }
        Ok(())
    }
}

/// What `history --json` prints.
#[derive(Serialize)]
struct HistoryJson<'a> {
    runs: Vec<RunJson<'a>>,
}

#[derive(Serialize)]
struct RunJson<'a> {
    run: &'a str,
    began_at: Timestamp,
    ended_at: Option<Timestamp>,
    /// When it was heard of last, of a run that was left and can be gone on with.
    left_at: Option<Timestamp>,
    title: &'a str,
    revision: Option<&'a str>,
    duration_ms: Option<u64>,
    /// What is missing in the run's folder.
    gaps: Vec<GapJson>,
    /// What was wrong with it as a whole.
    findings: Vec<FindingJson<'a>>,
    hosts: Vec<RunHostJson<'a>>,
}

#[derive(Serialize)]
struct GapJson {
    why: DropReason,
    lines: u64,
    events: u64,
}

#[derive(Serialize)]
struct RunHostJson<'a> {
    host: &'a str,
    outcome: Option<Outcome>,
    toplevel: Option<&'a StorePath>,
    previous: Option<&'a StorePath>,
    duration_ms: Option<u64>,
    built: Option<u64>,
    /// What the build came to, derivation by derivation, as the run's folder has it.
    builds: Option<HostBuilds>,
    substituted: Option<&'a BTreeMap<String, Fetched>>,
    fetched: Option<&'a BTreeMap<String, Fetched>>,
    hit_rate: Option<f64>,
    error: Option<&'a str>,
    findings: Vec<FindingJson<'a>>,
}

/// Reads a time such as `12h`, `7d` or `1w`; a day has 24 hours.
pub(super) fn span(text: &str) -> Result<SignedDuration, String> {
    let span: Span =
        text.parse().map_err(|_| format!("{text:?} is not a length of time; write 12h or 7d"))?;
    let whole = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| format!("{text:?} has no length in days; write 12h or 7d"))?;
    if whole.is_positive() { Ok(whole) } else { Err(format!("{text:?} is not in the past")) }
}

/// Starts the thread that writes the history; `say` is told what a person should know.
pub(super) fn recorder(
    fleet: &Arc<Fleet>,
    say: impl Fn(&str) + Clone + Send + 'static,
) -> Option<Recorder> {
    match Recorder::start(&state_home(), Arc::clone(fleet), say.clone()) {
        Ok(recorder) => Some(recorder),
        Err(error) => {
            say(&format!(
                "measurements are not recorded, because no thread could be started: {error}"
            ));
            None
        }
    }
}

/// Reads from the history; one that turns out to be corrupt is moved aside, and that is said.
pub(super) fn read<T>(
    mut work: impl FnMut(&History) -> Result<T, HistoryError>,
) -> Result<T, HistoryError> {
    let state = state_home();
    let tell = |history: &History| {
        if let Some(aside) = history.moved_aside() {
            tell_aside!(
                "nixdash: the history was corrupt; it was moved to {} and a fresh one begun",
                aside.display()
            );
        }
    };
    let history = History::open(&state)?;
    tell(&history);
    match work(&history) {
        Err(error) if error.is_corrupt() => {
            drop(history);
            let history = History::open_repaired(&state)?;
            tell(&history);
            work(&history)
        }
        result => result,
    }
}

/// Shows them. With `only_looks` no host is asked what became of a run that was left, since that puts right what
/// is found there.
pub(super) async fn run(
    fleet: Fleet,
    args: &HistoryArgs,
    only_looks: bool,
) -> Result<ExitCode, CliError> {
    let fleet = Arc::new(fleet);
    let folders = Runs::open(&state_home())?;
    if only_looks {
        left::say_what_is_left(&folders, &fleet);
    } else {
        left::end_runs_and_say(&fleet, &folders, Ends::Old).await;
    }
    let fleet = fleet.as_ref();
    let hosts = if args.selectors.is_empty() {
        vec![]
    } else {
        select(fleet, &selectors::read(&args.selectors)?)?
    };
    let now = Timestamp::now();
    let since = args.since.and_then(|time| now.checked_sub(time).ok());
    let since = since.unwrap_or(Timestamp::UNIX_EPOCH);
    if args.events {
        return events::print(&hosts, (since, now), args.limit, args.json);
    }
    let runs = read(|history| history.runs(&hosts, since, args.limit))?;
    let ended = print_runs(&runs, args.json, &folders)?;
    if let Some(note) = (!args.json).then(|| elsewhere(&runs, &folders, fleet)).flatten() {
        writeln!(io::stdout(), "\n{note}")?;
    }
    Ok(ended)
}

/// Says which runs are of another file: the dashboard of this one does not list them.
fn elsewhere(runs: &[RunRow], folders: &Runs, fleet: &Fleet) -> Option<String> {
    let is_other = |run: &&RunRow| {
        folders.fleet_file(&run.run).is_some()
            && !folders.belongs_to(&run.run, fleet.file.as_deref())
    };
    let others: Vec<String> = runs.iter().filter(is_other).map(|run| run.run.to_string()).collect();
    match &others[..] {
        [] => None,
        [one] => Some(format!(
            "run {one} is of another hosts.toml: the dashboard of this one does not list it"
        )),
        _ => Some(format!(
            "runs {} are of another hosts.toml: the dashboard of this one does not list them",
            in_a_list(&others)
        )),
    }
}

/// Prints runs, as JSON or as a table; `folders` tells of those without an end how they stand.
pub(super) fn print_runs(
    runs: &[RunRow],
    json: bool,
    folders: &Runs,
) -> Result<ExitCode, CliError> {
    let left_at = |run: &RunRow| {
        let is_left = run.ended_at.is_none() && folders.stands(&run.run) == RunStands::Left;
        is_left.then(|| left::can_go_on(folders, &run.run)).flatten()
    };
    let mut out = std::io::stdout().lock();
    if json {
        let runs = runs.iter().map(|run| run_json(run, left_at(run), builds_of(folders, run)));
        let document = HistoryJson { runs: runs.collect() };
        serde_json::to_writer_pretty(&mut out, &document).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else if runs.is_empty() {
        writeln!(out, "{NO_RUNS}")?;
    } else {
        let goes_on = |run: &RunRow| run.ended_at.is_none() && folders.is_alive(&run.run);
        let stand = |run: &RunRow| match (goes_on(run), left_at(run)) {
            (true, _) => GOES_ON,
            (false, Some(_)) => LEFT,
            (false, None) => NO_END,
        };
        write!(out, "{}", text(runs, &TimeZone::system(), stand))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns what the builds of a run came to, by host; nothing where its folder is gone, or is of another
/// run of that number.
fn builds_of(folders: &Runs, run: &RunRow) -> BTreeMap<String, HostBuilds> {
    let events = folders.outline(&run.run);
    let began_at = |at: Timestamp| at.as_millisecond();
    if events.first().is_none_or(|begin| began_at(begin.at) != began_at(run.began_at)) {
        return BTreeMap::new();
    }
    let builds = |event: RunEvent| {
        let RunWhat::Builds { host, builds } = event.what else { return None };
        Some((host, builds))
    };
    events.into_iter().filter_map(builds).collect()
}

fn run_json(
    run: &RunRow,
    left_at: Option<Timestamp>,
    mut builds: BTreeMap<String, HostBuilds>,
) -> RunJson<'_> {
    let hosts = run.hosts.iter().map(|(host, result)| {
        let result = result.as_ref();
        RunHostJson {
            host,
            outcome: result.map(|result| result.outcome),
            toplevel: result.and_then(|result| result.toplevel.as_ref()),
            previous: result.and_then(|result| result.previous.as_ref()),
            duration_ms: result.map(|result| result.duration_ms),
            built: result.map(|result| result.built),
            builds: builds.remove(host),
            substituted: result.map(|result| &result.substituted),
            fetched: result.map(|result| &result.fetched),
            hit_rate: result.and_then(|result| result.hits().ratio()),
            error: result.and_then(|result| result.error.as_deref()),
            findings: json::findings(result.map_or(&[], |result| &result.findings)),
        }
    });
    RunJson {
        run: &run.run.0,
        began_at: run.began_at,
        ended_at: run.ended_at,
        left_at,
        title: &run.title,
        revision: run.revision.as_deref(),
        duration_ms: run.duration_ms,
        gaps: run
            .gaps
            .iter()
            .map(|(why, lines, events)| GapJson { why: *why, lines: *lines, events: *events })
            .collect(),
        findings: json::findings(&run.findings),
        hosts: hosts.collect(),
    }
}

/// Returns the runs as a table with a line per host, and below it what went wrong.
/// `stand` says how a run without an end stands.
fn text(runs: &[RunRow], zone: &TimeZone, stand: impl Fn(&RunRow) -> &'static str) -> String {
    let head =
        ["RUN", "BEGAN", "WHAT", "REVISION", "HOST", "OUTCOME", "TOOK", "HIT RATE", "ORIGIN"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut notes = Vec::new();
    for run in runs {
        let began = run.began_at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
        let revision = run.revision.as_deref().map(short_revision);
        let mut first = vec![run.run.to_string(), began, run.title.clone(), or_unknown(revision)];
        let gaps = run.gaps.iter().map(|(why, lines, events)| why.sentence(*lines, *events));
        notes.extend(gaps.map(|gap| format!("run {}: {gap}", run.run)));
        let wrong = run.findings.iter().map(|found| format!("{} [{}]", found.cause, found.code));
        notes.extend(wrong.map(|why| format!("run {}: {why}", run.run)));
        let unfinished = stand(run);
        for (host, result) in &run.hosts {
            let mut row = std::mem::replace(&mut first, vec![String::new(); 4]);
            row.push(host.clone());
            row.extend(match result {
                Some(result) => host_cells(result),
                None => [unfinished, "–", "–", "–"].map(str::to_owned),
            });
            rows.push(row);
            if let Some(error) = result.as_ref().and_then(HostResult::told) {
                notes.push(format!("run {} {host}: {}", run.run, without_name(host, &error)));
            }
        }
    }
    let mut text = table(&rows);
    if !notes.is_empty() {
        text.push('\n');
        text.push_str(&notes.join("\n"));
        text.push('\n');
    }
    text
}

fn host_cells(result: &HostResult) -> [String; 4] {
    let mut origin = Vec::new();
    if result.built > 0 || !result.substituted.is_empty() {
        let from = print::origins(&result.substituted);
        origin.push(format!("builder: {} built{from}", result.built));
    }
    if !result.fetched.is_empty() {
        let from = print::origins(&result.fetched);
        origin.push(format!("host: {}", from.trim_start_matches(", ")));
    }
    [
        result.outcome.spoken(),
        duration(Duration::from_millis(result.duration_ms)),
        or_unknown(result.hits().ratio().map(percent)),
        or_unknown((!origin.is_empty()).then(|| origin.join("; "))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Code, Finding, RunId, Subject};

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, hours) in [("12h", 12), ("7d", 168), ("1w", 168), ("1d 2h", 26)] {
            assert_eq!(span(text), Ok(SignedDuration::from_hours(hours)), "{text}");
        }
        for text in ["", "7", "1mo", "-7d", "0h", "soon"] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_note_names_its_host_once() {
        let row = |error: &str| {
            let error = Some(error.to_owned());
            let result = HostResult { error, ..HostResult::ended(Outcome::Failed) };
            RunRow {
                run: RunId("3".to_owned()),
                began_at: Timestamp::UNIX_EPOCH,
                ended_at: None,
                title: String::new(),
                revision: None,
                duration_ms: None,
                gaps: Vec::new(),
                findings: Vec::new(),
                hosts: vec![("samsung".to_owned(), Some(result))],
            }
        };
        for error in ["samsung could not be built", "samsung: could not be built"] {
            let text = text(&[row(error)], &TimeZone::UTC, |_| "");
            assert_eq!(text.lines().last(), Some("run 3 samsung: could not be built"), "{text}");
        }
    }

    #[test]
    fn builds_are_those_of_the_run_and_not_of_another_one_of_its_number() {
        let dir = tempfile::tempdir().unwrap();
        let folders = Runs::open(dir.path()).unwrap();
        let mut writer = folders.begin(None).unwrap();
        let (run, at) = (writer.run().clone(), Timestamp::UNIX_EPOCH);
        let builds = HostBuilds { built: 3, ..HostBuilds::default() };
        let host = "samsung".to_owned();
        for what in [
            RunWhat::begin(vec![host.clone()], "build".to_owned()),
            RunWhat::Builds { host: host.clone(), builds: builds.clone() },
        ] {
            writer.write(&RunEvent { run: run.clone(), at, what });
        }
        writer.finish();
        let row = crate::cli::run_row::row(&run, &folders.outline(&run));
        assert_eq!(builds_of(&folders, &row), BTreeMap::from([(host, builds)]));
        let other = RunRow { began_at: Timestamp::MAX, ..row };
        assert!(builds_of(&folders, &other).is_empty());
    }

    #[test]
    fn a_run_has_a_line_per_host_and_its_errors_below() {
        let result = HostResult {
            duration_ms: 31_000,
            built: 3,
            substituted: BTreeMap::from([(
                "nixos".to_owned(),
                Fetched { paths: 9, bytes: 5_000_000, timed: None },
            )]),
            fetched: BTreeMap::from([(
                "p620".to_owned(),
                Fetched { paths: 12, bytes: 7_000_000, timed: None },
            )]),
            ..HostResult::ended(Outcome::Switched)
        };
        let failed = HostResult {
            outcome: Outcome::Offline,
            built: 0,
            substituted: BTreeMap::new(),
            fetched: BTreeMap::new(),
            error: Some("it did not answer".to_owned()),
            ..result.clone()
        };
        let run = RunRow {
            run: RunId("7".to_owned()),
            began_at: Timestamp::UNIX_EPOCH,
            ended_at: None,
            title: "switch via-cache".to_owned(),
            revision: Some("0123456789abcdef0123456789abcdef01234567-dirty".to_owned()),
            duration_ms: None,
            gaps: vec![(DropReason::DiskFull, 1204, 1)],
            findings: vec![Finding::new(
                Subject::Run { run: "7".to_owned(), host: None },
                Code::GateFailed,
                "gate quorum failed after wave 1: 2 of 3",
                "",
            )],
            hosts: vec![
                ("samsung".to_owned(), Some(result)),
                ("razer".to_owned(), Some(failed)),
                ("p510".to_owned(), None),
            ],
        };
        insta::assert_snapshot!(text(&[run], &TimeZone::UTC, |_| "no end"), @"
        RUN  BEGAN             WHAT              REVISION         HOST     OUTCOME   TOOK  HIT RATE  ORIGIN
        7    1970-01-01 00:00  switch via-cache  012345678-dirty  samsung  switched  31 s  75 %      builder: 3 built, 9 from nixos (5.00 MB); host: 12 from p620 (7.00 MB)
                                                                  razer    offline   31 s  –         –
                                                                  p510     no end    –     –         –

        run 7: 1204 log lines and 1 other event were not recorded, because the disk was full or could not be written
        run 7: gate quorum failed after wave 1: 2 of 3 [gate-failed]
        run 7 razer: it did not answer
        ");
    }
}
