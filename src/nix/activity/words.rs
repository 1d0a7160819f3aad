//! Sentences for the screen: what is done now, how a derivation stands, what it all came to.
//!
//! All of them are printable: what came from Nix or a builder was made so before.

use super::names::{full_name, name_of};
use super::{
    ActivityLog, BuildNode, BuildState, BuildTree, CopyDirection, CopyState, FailureKind, PathCopy,
    StreamTotals, TreeShape, WaitsFor,
};
use crate::fleet::{HostBuilds, bytes, bytes_of, duration, number_of, printable_line};
use std::time::Duration;

/// Derivations that took less than this are not named, in milliseconds.
const WORTH_NAMING: u64 = 1000;

/// At most so many derivations are named that took longest.
const LONGEST_NAMED: usize = 3;

/// Returns what is built: `firefox (buildPhase)`.
pub fn building(node: &BuildNode) -> String {
    match node.phase() {
        Some((phase, _)) => format!("{} ({phase})", node.package()),
        None => node.package().to_owned(),
    }
}

/// Returns what is copied: `curl-8 from https://cache.nixos.org`.
pub fn copying(copy: &PathCopy) -> String {
    let name = name_of(&copy.path);
    printable_line(&match copy.direction() {
        CopyDirection::Download | CopyDirection::Between => format!("{name} from {}", copy.from),
        CopyDirection::Upload => format!("{name} to {}", copy.to),
    })
}

/// Says what stands still in a process of Nix that has printed nothing for a time: downloads, or nothing that it told
/// of. None where something is built, which may be silent for long.
pub fn standstill(log: &ActivityLog, since: Duration) -> Option<String> {
    if log.is_building() {
        return None;
    }
    let since = duration(since);
    let running = |copy: &&PathCopy| copy.state == CopyState::Running;
    let mut copies = log.copies().iter().filter(running);
    let Some(first) = copies.next() else {
        return Some(format!(
            "Nix has said nothing for {since}, and neither builds nor copies anything now: a cache may not answer, or \
             another process of Nix may hold a lock"
        ));
    };
    let others = match copies.count() {
        0 => String::new(),
        count => format!(", and {} with it", number_of(count as u64, "other path")),
    };
    Some(format!("nothing has come for {since}: {} stands still{others}", copying(first)))
}

/// Returns how a derivation stands: `building for 2 min 04 s, buildPhase`, `failed: …`.
pub fn state(node: &BuildNode, now: Duration) -> String {
    let time = node.time(now).map(duration);
    let after = |word: &str| match &time {
        Some(time) => format!("{word} {time}"),
        None => String::new(),
    };
    match node.state() {
        BuildState::Planned => "not begun".to_owned(),
        BuildState::Waiting(what) => waiting(what).to_owned(),
        BuildState::Running => {
            let machine = node.machine().map_or(String::new(), |machine| format!(" on {machine}"));
            let phase = node.phase().map_or(String::new(), |(phase, _)| format!(", {phase}"));
            format!("building{machine}{}{phase}", after(" for"))
        }
        BuildState::Built => format!("built{}", after(" in")),
        BuildState::Failed => match node.reason() {
            Some(reason) => format!("failed{}: {reason}", after(" after")),
            None => format!("failed{}", after(" after")),
        },
        BuildState::DependencyFailed => "not built: a derivation that it needs failed".to_owned(),
        BuildState::Interrupted => format!("interrupted{}", after(" after")),
    }
}

/// Returns what a build waits for.
fn waiting(what: WaitsFor) -> &'static str {
    match what {
        WaitsFor::Lock => "waiting: another process of Nix has locked it",
        WaitsFor::Machine => "waiting for a build machine",
        WaitsFor::BuildUser => "waiting for a build user",
        WaitsFor::Resolved => "waiting for the derivation that it resolves to",
        WaitsFor::Other => "waiting",
    }
}

/// Returns how a copy stands: `12.0 of 30.1 MB`, `30.1 MB in 4.0 s`, `not complete`.
pub fn copied(copy: &PathCopy) -> String {
    match (copy.state, copy.bytes) {
        (CopyState::Running, Some(total)) => bytes_of(copy.done.min(total), total),
        (CopyState::Running, None) => "begun".to_owned(),
        (CopyState::Done, size) => {
            let size = size.map_or("size unknown".to_owned(), bytes);
            let time = copy.ended.zip(copy.began).map(|(end, begin)| end.saturating_sub(begin));
            time.map_or(size.clone(), |time| format!("{size} in {}", duration(time)))
        }
        (CopyState::Broken, _) => "not complete".to_owned(),
    }
}

/// Returns why a derivation was not built: `not built because openssl failed`; none where that is
/// not known.
pub fn because(tree: &BuildTree, node: &BuildNode) -> Option<String> {
    let causes = tree.causes(node.drv()).filter(|_| node.state() != BuildState::Failed)?;
    let names: Vec<&str> = causes.iter().map(|cause| cause.package()).collect();
    Some(format!("not built because {} failed", enumerate(&names)))
}

/// Returns what failed because of a derivation that failed by itself, the nearest first:
/// `firefox-145.0, system-path and 2 more failed because of nss-3.117`; none where nothing needs it,
/// or where that is not known.
pub fn chain(tree: &BuildTree, failed: &str) -> Option<String> {
    let way = tree.way_up(failed);
    let names: Vec<String> = way.iter().map(|drv| full_name(drv)).collect();
    let (cause, above) = names.split_first().filter(|(_, above)| !above.is_empty())?;
    let above: Vec<&str> = above.iter().map(String::as_str).collect();
    Some(format!("{} failed because of {cause}", enumerate(&above)))
}

/// Returns names as a sentence has them: `a`, `a and b`, `a, b and 3 more`.
fn enumerate(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [one, other] => format!("{one} and {other}"),
        [one, other, third] => format!("{one}, {other} and {third}"),
        [one, other, rest @ ..] => format!("{one}, {other} and {} more", rest.len()),
    }
}

/// Returns why the order between derivations is not shown, or not all of it; none when it is.
pub fn shape(tree: &BuildTree) -> Option<String> {
    match tree.shape() {
        TreeShape::Whole => None,
        TreeShape::Flat if tree.nodes().is_empty() => None,
        TreeShape::Flat => Some(
            "a list: which derivation needs which has not been read from the builder".to_owned(),
        ),
        TreeShape::Partial(1) => {
            Some("1 derivation stands at the top because its file could not be read".to_owned())
        }
        TreeShape::Partial(count) => Some(format!(
            "{count} derivations stand at the top because their files could not be read"
        )),
    }
}

/// Returns that this Nix does not say which activity belongs to which; none when it does.
pub fn parents(totals: &StreamTotals) -> Option<&'static str> {
    (totals.has_parents == Some(false))
        .then_some("this Nix (before 2.18) does not say which download belongs to which path")
}

/// Returns what it came to: `3 of 12 built, 1 failed, 40 paths (12.0 MB) fetched`.
pub fn summary(totals: &StreamTotals) -> String {
    let mut parts = Vec::new();
    let all = totals.progress.builds.map_or(0, |builds| builds.total);
    match (totals.built, all) {
        (0, 0) => {}
        (built, all) if all > built => parts.push(format!("{built} of {all} built")),
        (built, _) => parts.push(format!("{built} built")),
    }
    for (count, word) in [
        (totals.failed, "failed"),
        (totals.dependency_failed, "not built because of that"),
        (totals.interrupted, "interrupted"),
        (totals.running, "building"),
        (totals.waiting, "waiting"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    for (stores, word) in [(&totals.downloads, "fetched"), (&totals.uploads, "uploaded")] {
        let (paths, size) = stores.values().fold((0_u64, 0_u64), |(paths, size), got| {
            (paths.saturating_add(got.paths), size.saturating_add(got.bytes))
        });
        if paths > 0 {
            parts.push(format!("{} ({}) {word}", number_of(paths, "path"), bytes(size)));
        }
    }
    if let Some(there) = totals.already_there.filter(|there| *there > 0) {
        parts.push(format!("{there} already there"));
    }
    if parts.is_empty() {
        return match totals.evaluated_files {
            0 => "nothing built, nothing fetched".to_owned(),
            count => format!("evaluating: {count} files read"),
        };
    }
    parts.join(", ")
}

/// Returns what a build came to, with the derivations that took longest: `4 built; longest: firefox-145.0
/// 12 min, nss-3.117 3 min`.
pub fn outcome(totals: &StreamTotals, builds: &HostBuilds) -> String {
    let long = builds.times.iter().filter(|taken| taken.ms >= WORTH_NAMING);
    let long: Vec<String> = long
        .take(LONGEST_NAMED)
        .map(|taken| format!("{} {}", taken.name, duration(Duration::from_millis(taken.ms))))
        .collect();
    let longest =
        if long.is_empty() { String::new() } else { format!("; longest: {}", long.join(", ")) };
    format!("{}{longest}", summary(totals))
}

/// Returns what to do about a failure; none where its own words say all.
pub fn advice(kind: FailureKind) -> Option<&'static str> {
    match kind {
        FailureKind::Memory => Some(
            "The memory of the build machine was used up. Build fewer derivations at once (max-jobs, \
             cores), or give it more memory or swap.",
        ),
        FailureKind::Disk => {
            Some("The disk of the build machine is full. Make room there with nix-collect-garbage.")
        }
        FailureKind::HashMismatch => Some(
            "The source is not the one that the expression names. When the change is meant, put the \
             hash after \"got:\" into the expression.",
        ),
        FailureKind::TimedOut => Some(
            "The build took longer, or was silent for longer, than the settings timeout and \
             max-silent-time allow.",
        ),
        FailureKind::CacheDown => {
            Some("A cache could not be reached. The build itself did not fail: try again.")
        }
        FailureKind::CacheLacksFile | FailureKind::CacheFailing | FailureKind::CacheCorrupt => {
            Some(
                "A cache did not give what it says it has. The build itself did not fail: mend the cache, or take it out of the substituters.",
            )
        }
        FailureKind::Builder
        | FailureKind::Evaluation
        | FailureKind::Interrupted
        | FailureKind::Other => None,
    }
}
