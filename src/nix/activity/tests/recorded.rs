//! Streams recorded with Nix 2.8, 2.26 and 2.34 on one machine without a network: what each build
//! came to, counted by hand.

use super::super::*;
use crate::fleet::StorePath;
use crate::nix::derivation::Derivation;

/// The derivations of the builds that fail, each with its path before a tab.
const DERIVATIONS: &str = include_str!("../../../../tests/nix-logs/deps-2.26.drvs");

/// Includes a recorded stream.
macro_rules! stream {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/nix-logs/", $name, ".log"))
    };
}

/// Folds a stream, a tenth of a second for each line.
fn fold(stream: &str) -> ActivityLog {
    let mut log = ActivityLog::new();
    for (number, line) in (0..).zip(stream.lines()) {
        log.fold(line, Some(Duration::from_millis(100 * number)), &mut |_| {});
    }
    log
}

/// Returns the state of each package.
fn states(log: &ActivityLog) -> Vec<(&str, BuildState)> {
    log.tree().nodes().iter().map(|node| (node.package(), node.state())).collect()
}

/// Teaches a log the derivations of the builds that fail.
fn learn(log: &mut ActivityLog) {
    for line in DERIVATIONS.lines() {
        let (path, text) = line.split_once('\t').unwrap();
        let path = StorePath::parse(path).unwrap();
        log.tree_mut().learn(&path, &Derivation::parse(text).unwrap());
    }
}

#[test]
fn a_failed_dependency_is_told_in_the_words_of_its_compiler() {
    for stream in [stream!("deps-2.8"), stream!("deps-2.26")] {
        let log = fold(stream);
        let expected = [
            ("zlib", BuildState::Failed),
            ("libgit", BuildState::DependencyFailed),
            ("openssl", BuildState::Built),
            ("top", BuildState::DependencyFailed),
        ];
        assert_eq!(states(&log), expected);
        let report = log.failure_report().unwrap();
        assert_eq!(report.kind, FailureKind::Builder);
        assert!(report.drv.as_deref().is_some_and(|drv| drv.ends_with("-zlib-1.3.drv")));
        let said = report.said.as_deref().unwrap();
        assert!(
            said.starts_with("part77.c:3:10: error: implicit declaration of function"),
            "{said}"
        );
        let zlib = &log.tree().nodes()[0];
        assert_eq!(zlib.reason(), Some("builder failed with exit code 2"));
        assert_eq!(zlib.phase().map(|(phase, _)| phase), Some("buildPhase"));
        assert_eq!((zlib.lines(), zlib.last_lines().count()), (9, 9));
        assert_eq!(zlib.last_lines().last().unwrap(), "make: *** [Makefile:3: part77.o] Error 1");
        let totals = log.totals();
        assert_eq!((totals.built, totals.failed, totals.dependency_failed), (1, 1, 2));
        assert_eq!((totals.running, totals.planned, totals.already_there), (0, 0, None));
        assert_eq!(totals.unknown, UnknownLines::default());
    }
}

#[test]
fn with_the_derivations_it_is_known_because_of_which_one_another_was_not_built() {
    for stream in [stream!("deps-2.8"), stream!("deps-2.26")] {
        let mut log = fold(stream);
        let top = log.tree().nodes()[3].drv().to_owned();
        assert_eq!(log.tree().shape(), TreeShape::Flat);
        assert!(log.tree().causes(&top).is_none());
        assert!(words::shape(log.tree()).unwrap().starts_with("a list"));
        learn(&mut log);
        let tree = log.tree();
        assert_eq!((tree.shape(), words::shape(tree)), (TreeShape::Whole, None));
        let causes: Vec<_> = tree.causes(&top).unwrap().iter().map(|node| node.package()).collect();
        assert_eq!(causes, ["zlib"]);
        let because = words::because(tree, tree.node(&top).unwrap());
        assert_eq!(because.as_deref(), Some("not built because zlib failed"));
        let rows: Vec<_> = tree.rows().iter().map(|row| (row.depth, row.node.package())).collect();
        assert_eq!(rows, [(0, "top"), (1, "libgit"), (2, "zlib"), (1, "openssl")]);
        let way: Vec<_> =
            tree.way_up(causes_path(tree)).into_iter().map(names::package_of).collect();
        assert_eq!(way, ["zlib", "libgit", "top"]);
        let chain = words::chain(tree, causes_path(tree));
        assert_eq!(chain.as_deref(), Some("libgit-1.8 and top-1 failed because of zlib-1.3"));
        assert_eq!(words::chain(tree, &top), None, "nothing needs it");
        assert_eq!(log.totals().already_there, Some(0));
    }
}

#[test]
fn what_begins_shows_that_what_it_needs_was_built_elsewhere() {
    let made = |log: &ActivityLog| -> Vec<String> {
        let rows = log.tree().rows().into_iter().filter(|row| row.is_made_elsewhere);
        rows.map(|row| row.node.package().to_owned()).collect()
    };
    let mut log = fold(stream!("deps-2.26"));
    learn(&mut log);
    assert_eq!(made(&log), [""; 0], "what failed kept the rest from being begun");
    // Another process builds zlib, and with that libgit: of this one, only the top is left to build.
    let mut log = ActivityLog::new();
    learn(&mut log);
    let drvs: Vec<String> = fold(stream!("deps-2.26"))
        .tree()
        .nodes()
        .iter()
        .map(|node| node.drv().to_owned())
        .collect();
    for drv in &drvs {
        log.tree_mut().index(drv);
    }
    assert_eq!(made(&log), [""; 0], "nothing has begun");
    let top = log.tree_mut().start(&drvs[3], "", None);
    assert_eq!(made(&log), ["libgit", "zlib", "openssl"]);
    log.tree_mut().stop(top, None);
    assert_eq!(made(&log), ["libgit", "zlib", "openssl"]);
}

/// Returns the path of the derivation that failed.
fn causes_path(tree: &BuildTree) -> &str {
    tree.nodes().iter().find(|node| node.state() == BuildState::Failed).unwrap().drv()
}

#[test]
fn what_somebody_stopped_is_not_built() {
    for stream in [stream!("interrupted-2.8"), stream!("interrupted-2.26")] {
        let log = fold(stream);
        let expected = [("quick", BuildState::Built), ("wait", BuildState::Interrupted)];
        assert_eq!(states(&log), expected);
        assert_eq!(log.built(), 1);
        assert_eq!(log.failure_report().unwrap().kind, FailureKind::Interrupted);
    }
}

#[test]
fn a_process_that_was_killed_leaves_what_it_built_unfinished() {
    // The stream ends before the second derivation does.
    let lines: Vec<&str> = stream!("interrupted-2.26").lines().collect();
    let at = lines.iter().position(|line| line.contains("\"started\"")).unwrap();
    let mut log = fold(&lines[..=at].join("\n"));
    assert_eq!(states(&log)[1], ("wait", BuildState::Running));
    log.process_ended();
    assert_eq!(states(&log)[1], ("wait", BuildState::Interrupted));
    assert_eq!(log.built(), 1);
}

#[test]
fn several_outputs_are_one_derivation_and_odd_lines_are_shown_clean() {
    for stream in [stream!("multi-2.8"), stream!("multi-2.26")] {
        let log = fold(stream);
        assert_eq!(states(&log), [("lib", BuildState::Built)]);
        let lines: Vec<String> = log.tree().nodes()[0].last_lines().collect();
        assert_eq!(lines, ["hi", "100 %", "caf\u{fffd} red"]);
        assert_eq!(words::summary(&log.totals()), "1 built");
    }
}

#[test]
fn what_is_no_fault_of_the_source_is_told_by_its_kind() {
    for (stream, kind, cause) in [
        (stream!("hash-2.8"), FailureKind::HashMismatch, "specified: sha256-AAAA"),
        (stream!("hash-2.26"), FailureKind::HashMismatch, "specified: sha256-AAAA"),
        (stream!("killed-2.8"), FailureKind::Memory, "due to signal 9"),
        (stream!("killed-2.26"), FailureKind::Memory, "due to signal 9"),
        (stream!("full-2.8"), FailureKind::Disk, "failed with exit code 1"),
        (stream!("full-2.26"), FailureKind::Disk, "failed with exit code 1"),
        (stream!("timeout-2.8"), FailureKind::TimedOut, "timed out after 2 seconds"),
        (stream!("timeout-2.26"), FailureKind::TimedOut, "timed out after 2 seconds"),
    ] {
        let log = fold(stream);
        let report = log.failure_report().unwrap();
        assert_eq!(report.kind, kind, "{report:?}");
        assert!(report.cause.contains(cause), "{report:?}");
        assert!(words::advice(kind).is_some());
        let node = &log.tree().nodes()[0];
        assert_eq!((log.built(), node.state()), (0, BuildState::Failed), "{report:?}");
        assert!(node.reason().is_some(), "{report:?}");
    }
    let hash = fold(stream!("hash-2.26")).failure().unwrap().text;
    assert!(hash.contains(", got: sha256-"), "{hash}");
    let full = fold(stream!("full-2.26")).failure().unwrap().text;
    assert!(full.starts_with("cat: write error: No space left on device (builder"), "{full}");
}

#[test]
fn the_last_error_of_an_evaluation_is_its_cause() {
    let log = fold(stream!("eval-2.26"));
    let report = log.failure_report().unwrap();
    assert_eq!(report.kind, FailureKind::Evaluation);
    assert!(report.cause.starts_with("no such host: samsng"), "{report:?}");
    assert_eq!(log.totals().evaluated_files, 1);
}

#[test]
fn a_build_on_another_machine_begins_twice_and_is_one() {
    let log = fold(stream!("remote-2.26"));
    assert_eq!(states(&log), [("remote", BuildState::Built)]);
    let node = &log.tree().nodes()[0];
    assert_eq!(node.machine(), Some("ssh-ng://far"));
    assert_eq!(node.phase().map(|(phase, _)| phase), Some("installPhase"));
    let progress = log.progress();
    assert_eq!(progress.builds, Some(Share { have: 1, total: 1 }));
    let copy = &log.copies()[0];
    assert_eq!((copy.state, copy.bytes), (CopyState::Done, Some(120)));
    assert_eq!(log.totals().has_parents, Some(true));
}

#[test]
fn copies_to_and_from_a_cache_are_told_apart() {
    for (stream, has_parents) in [(stream!("copy-to-2.8"), false), (stream!("copy-to-2.26"), true)]
    {
        let totals = fold(stream).totals();
        assert!(totals.downloads.is_empty());
        assert_eq!(totals.uploads["file:///tmp/cache"].paths, 3);
        assert_eq!(words::parents(&totals).is_none(), has_parents);
    }
    for stream in [stream!("copy-from-2.8"), stream!("copy-from-2.26")] {
        let totals = fold(stream).totals();
        assert!(totals.uploads.is_empty());
        assert_eq!(totals.downloads["file:///tmp/cache"].paths, 3);
    }
    let totals = fold(stream!("copy-from-2.26")).totals();
    assert_eq!(words::summary(&totals), "3 paths (360 B) fetched");
}

#[test]
fn what_was_built_and_failed_is_the_same_with_every_nix() {
    for stream in [stream!("build-2.8"), stream!("build-2.34")] {
        let totals = fold(stream).totals();
        assert_eq!((totals.built, totals.failed, totals.interrupted), (3, 0, 0));
    }
    for stream in [stream!("fail-2.8"), stream!("fail-2.34")] {
        let log = fold(stream);
        assert_eq!(states(&log), [("broken", BuildState::Failed)]);
        let reason = log.tree().nodes()[0].reason();
        assert_eq!(reason, Some("builder failed with exit code 3"));
    }
}

#[test]
fn each_derivation_has_its_time() {
    let log = fold(stream!("deps-2.26"));
    let times = log.times();
    let names: Vec<&str> = times.iter().map(|(node, _)| node.package()).collect();
    assert_eq!(names, ["zlib", "openssl"]);
    assert!(times[0].1 > times[1].1 && times[1].1 > Duration::ZERO);
    let sentence = words::state(times[1].0, Duration::ZERO);
    assert!(sentence.starts_with("built in "), "{sentence}");
    let builds = log.builds_on("p620");
    let named = builds.times.iter().map(|taken| (taken.name.as_str(), taken.is_built));
    assert_eq!(named.collect::<Vec<_>>(), [("zlib-1.3", false), ("openssl-3.6.0", true)]);
    assert_eq!((builds.built, builds.failed, builds.already_there), (1, 1, None));
    let mut builds = builds;
    builds.times[1].ms = 999;
    let said = words::outcome(&log.totals(), &builds);
    let wanted = "1 built, 1 failed, 2 not built because of that; longest: zlib-1.3 ";
    assert!(said.starts_with(wanted) && !said.contains("openssl"), "{said}");
}

#[test]
fn what_another_process_does_over_again_counts_once() {
    let begin: Vec<&str> = stream!("interrupted-2.26").lines().collect();
    let cut = begin.iter().position(|line| line.contains("\"started\"")).unwrap();
    let again =
        "it waited for a lock that nobody could release, which is a bug of Nix; asking Nix again";
    // The same numbers once more, now to the end.
    let log = fold(&[&begin[..=cut], &[again], &begin[..=cut]].concat().join("\n"));
    let (once, totals) = (fold(&begin[..=cut].join("\n")), log.totals());
    assert_eq!(states(&log), states(&once));
    assert_eq!(totals.unknown, UnknownLines::default());
    // The recording builds its first derivation twice; what is left is left once.
    assert_eq!(totals.progress.builds, Some(Share { have: 2, total: 3 }));

    let whole: Vec<&str> = stream!("fetch-2.26").lines().collect();
    let again = "the first try failed; asking the caches again";
    // Something is expected, and nothing of it came.
    let cut = whole.iter().position(|line| line.contains("[100,")).unwrap() + 1;
    let log = fold(&[&whole[..cut], &[again], &whole[..]].concat().join("\n"));
    assert!(fold(&whole[..cut].join("\n")).bytes_to_copy() > 0);
    assert_eq!(log.totals().downloads, fold(&whole.join("\n")).totals().downloads);
    assert_eq!(log.totals().unknown, UnknownLines::default());
}
