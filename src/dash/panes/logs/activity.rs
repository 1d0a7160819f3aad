//! What Nix does for a host, made small: of thousands of derivations and paths those that somebody
//! wants to see.
//!
//! Pure: whoever folds the stream of a job hands over its [`ActivityLog`]. What failed comes first, then
//! what is built, then what waits; of what is done, and of what has not begun, only the count is told
//! beyond a few.

use crate::dash::panes::logs::asked::BuildLines;
use crate::fleet::{Fetched, StorePath, duration, printable_line};
use crate::nix::activity::{
    ActivityLog, BuildState, CopyDirection, CopyState, FailureKind, PathCopy, TreeRow, words,
};
use std::time::Duration;

/// How many derivations are shown that were built, that were not built because of another, and that
/// have not begun.
const FEW: usize = 6;

/// How many derivations, and how many copies, are shown at most.
const MOST: usize = 500;

/// A derivation.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildRow {
    /// How many rows above it need it.
    pub depth: usize,
    /// Its path.
    pub drv: String,
    /// Its name with its version, such as `firefox-145.0`.
    pub name: String,
    /// Its package, as its lines in the log are marked.
    pub package: String,
    /// How it stands.
    pub state: BuildState,
    /// Whether it is there, though this Nix did not build it.
    pub is_made_elsewhere: bool,
    /// How long it took, or takes so far.
    pub time: Option<Duration>,
    /// How long it usually takes.
    pub usual: Option<Duration>,
    /// The phase it is in or was in last, where it is built, or why it is not.
    pub words: String,
}

/// A path that is or was copied.
#[derive(Clone, Debug, PartialEq)]
pub struct TransferRow {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub state: CopyState,
    /// Which way it goes.
    pub direction: CopyDirection,
    /// Where it comes from, or where it goes when it comes from the store there.
    pub place: String,
    /// Bytes that came, as far as that is known.
    pub done: Option<u64>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// Bytes a second, over all of its time.
    pub rate: Option<f64>,
}

/// Why it failed.
#[derive(Clone, Debug, PartialEq)]
pub struct FailureShown {
    /// The name of the derivation that failed, where one did.
    pub name: Option<String>,
    /// Its lines in the log.
    pub lines: Option<BuildLines>,
    /// The cause in Nix's words.
    pub cause: String,
    /// The line of its output that says most.
    pub said: Option<String>,
    /// Whether that line says what went wrong, and is not only the last one or a summary.
    pub names_a_cause: bool,
    /// What needed it, from near to far, by name; none where that is not known.
    pub needed_by: Vec<String>,
    /// How many derivations were not built because of it.
    pub not_built: u64,
    /// What to do.
    pub advice: Option<&'static str>,
}

/// What Nix does, or did, for a host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ActivityShown {
    /// Whether anything was kept of it.
    pub is_kept: bool,
    /// The share of the streams that was read, from 0 to 1.
    pub share: f32,
    /// The derivations.
    pub builds: Vec<BuildRow>,
    /// How many more there are, by what is said of them.
    pub more_builds: Vec<String>,
    /// What is to be known of the order of the derivations.
    pub shape: Option<String>,
    /// What it came to.
    pub summary: String,
    /// The copies.
    pub transfers: Vec<TransferRow>,
    /// How many more copies there are.
    pub more_transfers: u64,
    /// Why it failed.
    pub failure: Option<FailureShown>,
}

/// Returns what is shown of what Nix does: of one process after the other, each with the present as a
/// time since it began. `usual` tells how long a package usually takes.
pub fn activity_shown(
    logs: &[(&ActivityLog, Duration)],
    usual: &dyn Fn(&str) -> Option<Duration>,
) -> ActivityShown {
    let mut shown = ActivityShown { share: 1.0, ..ActivityShown::default() };
    let mut counts = [0_usize; 3];
    let mut hidden = 0;
    for (log, now) in logs {
        for row in log.tree().rows() {
            let few = match row.node.state() {
                BuildState::Planned | BuildState::Waiting(_) if row.is_made_elsewhere => Some(0),
                BuildState::Built => Some(0),
                BuildState::DependencyFailed => Some(1),
                BuildState::Planned => Some(2),
                BuildState::Failed
                | BuildState::Interrupted
                | BuildState::Running
                | BuildState::Waiting(_) => None,
            };
            if let Some(few) = few {
                counts[few] += 1;
                if counts[few] > FEW {
                    continue;
                }
            } else if shown.builds.len() >= MOST {
                hidden += 1;
                continue;
            }
            shown.builds.push(build_row(log, &row, *now, usual));
        }
        shown.transfers.extend(log.copies().iter().map(|copy| transfer_row(copy, *now)));
        shown.failure = shown.failure.take().or_else(|| failure_shown(log));
        shown.shape = shown.shape.take().or_else(|| words::shape(log.tree()));
    }
    for (count, word) in [
        (hidden, "more"),
        (counts[2].saturating_sub(FEW), "more not begun"),
        (counts[1].saturating_sub(FEW), "more not built because of what failed"),
        (counts[0].saturating_sub(FEW), "more done"),
    ] {
        if count > 0 {
            shown.more_builds.push(format!("{count} {word}"));
        }
    }
    let summaries = logs.iter().map(|(log, _)| log.totals()).filter(has_anything);
    let summaries: Vec<String> = summaries.map(|totals| words::summary(&totals)).collect();
    shown.summary = summaries.join("; ");
    sort_transfers(&mut shown.transfers);
    shown.more_transfers = shown.transfers.len().saturating_sub(MOST) as u64;
    shown.transfers.truncate(MOST);
    shown
}

/// Returns whether there is something to be said of totals.
fn has_anything(totals: &crate::nix::activity::StreamTotals) -> bool {
    let paths = |stores: &std::collections::BTreeMap<String, Fetched>| {
        stores.values().any(|fetched| fetched.paths > 0)
    };
    let builds =
        totals.built + totals.failed + totals.running + totals.waiting + totals.interrupted;
    builds > 0 || paths(&totals.downloads) || paths(&totals.uploads)
}

/// Returns the name of a store path or derivation, printable.
fn name_of(path: &str) -> String {
    let name = match StorePath::parse(path) {
        Ok(path) => path.name().to_owned(),
        Err(_) => path.rsplit('/').next().unwrap_or(path).to_owned(),
    };
    printable_line(name.strip_suffix(".drv").unwrap_or(&name))
}

fn build_row(
    log: &ActivityLog,
    row: &TreeRow<'_>,
    now: Duration,
    usual: &dyn Fn(&str) -> Option<Duration>,
) -> BuildRow {
    let node = row.node;
    let phase = node.phase().map(|(phase, _)| phase.to_owned());
    let machine = node.machine().map(|machine| format!("on {machine}"));
    let at_work =
        || phase.clone().into_iter().chain(machine.clone()).collect::<Vec<_>>().join(", ");
    let words = match node.state() {
        BuildState::Planned | BuildState::Waiting(_) if row.is_made_elsewhere => {
            "built elsewhere".to_owned()
        }
        BuildState::Running => at_work(),
        BuildState::Failed => {
            node.said().or_else(|| node.reason().map(str::to_owned)).unwrap_or_default()
        }
        BuildState::Interrupted => "interrupted".to_owned(),
        BuildState::Waiting(_) => words::state(node, now),
        BuildState::DependencyFailed => words::because(log.tree(), node)
            .unwrap_or_else(|| "not built: something that it needs failed".to_owned()),
        BuildState::Planned => "not begun".to_owned(),
        BuildState::Built => String::new(),
    };
    BuildRow {
        depth: row.depth,
        drv: node.drv().to_owned(),
        name: name_of(node.drv()),
        package: node.package().to_owned(),
        state: node.state(),
        is_made_elsewhere: row.is_made_elsewhere,
        time: node.time(now),
        usual: usual(node.package()),
        words,
    }
}

fn transfer_row(copy: &PathCopy, now: Duration) -> TransferRow {
    let direction = copy.direction();
    let until = if copy.state == CopyState::Running { Some(now) } else { copy.ended };
    let time = until.zip(copy.began).map(|(end, begin)| end.saturating_sub(begin).as_secs_f64());
    let done = match copy.state {
        CopyState::Done => copy.bytes.or(Some(copy.done).filter(|done| *done > 0)),
        CopyState::Running | CopyState::Broken => Some(copy.done),
    };
    // What took no time that was measured has no speed.
    let rate = time.filter(|time| *time >= 0.2).zip(done).map(|(time, done)| done as f64 / time);
    TransferRow {
        name: name_of(&copy.path),
        state: copy.state,
        direction,
        place: if direction == CopyDirection::Upload { copy.to.clone() } else { copy.from.clone() },
        done,
        size: copy.bytes,
        rate: rate.filter(|rate| *rate > 0.0),
    }
}

/// Puts what is copied first, then what did not arrive, then the newest.
fn sort_transfers(transfers: &mut [TransferRow]) {
    transfers.reverse();
    transfers.sort_by_key(|transfer| match transfer.state {
        CopyState::Running => 0,
        CopyState::Broken => 1,
        CopyState::Done => 2,
    });
}

fn failure_shown(log: &ActivityLog) -> Option<FailureShown> {
    let report = log.failure_report()?;
    let interrupted = report.kind == FailureKind::Interrupted;
    let node = report.drv.as_deref().and_then(|drv| log.tree().node(drv));
    let way = report.drv.as_deref().map(|drv| log.tree().way_up(drv)).unwrap_or_default();
    Some(FailureShown {
        name: report.drv.as_deref().map(name_of),
        lines: node.map(|node| BuildLines::of_derivation(node.drv(), node.package())),
        cause: report.cause.clone(),
        said: report.said.filter(|_| !interrupted),
        names_a_cause: report.names_a_cause,
        needed_by: way.into_iter().skip(1).map(name_of).collect(),
        not_built: log.tree().count(|state| state == BuildState::DependencyFailed),
        advice: words::advice(report.kind),
    })
}

/// Returns what is said of a derivation's time: `3 min 12 s (usually 3 min 40 s)`.
pub(super) fn time_words(row: &BuildRow) -> String {
    let usual = row.usual.map(|usual| format!("usually {}", duration(usual)));
    match (row.time.map(duration), usual) {
        (Some(time), Some(usual)) => format!("{time} ({usual})"),
        (Some(time), None) => time,
        (None, Some(usual)) if row.state == BuildState::Running => usual,
        (None, _) => String::new(),
    }
}
