//! Lines in any order, torn, mixed, doubled, and of any bytes: nothing is lost and nothing breaks.

use super::super::*;
use proptest::prelude::*;

/// Every recorded stream.
const STREAMS: [&str; 12] = [
    include_str!("../../../../tests/nix-logs/build-2.8.log"),
    include_str!("../../../../tests/nix-logs/build-2.34.log"),
    include_str!("../../../../tests/nix-logs/fail-2.34.log"),
    include_str!("../../../../tests/nix-logs/fetch-2.26.log"),
    include_str!("../../../../tests/nix-logs/fetch-nar-2.34.log"),
    include_str!("../../../../tests/nix-logs/deps-2.8.log"),
    include_str!("../../../../tests/nix-logs/deps-2.26.log"),
    include_str!("../../../../tests/nix-logs/hash-2.26.log"),
    include_str!("../../../../tests/nix-logs/interrupted-2.26.log"),
    include_str!("../../../../tests/nix-logs/remote-2.26.log"),
    include_str!("../../../../tests/nix-logs/copy-to-2.26.log"),
    include_str!("../../../../tests/nix-logs/multi-2.26.log"),
];

/// Asks a log for everything it can say, and holds that all of it is printable and adds up.
fn ask(log: &ActivityLog) {
    let totals = log.totals();
    let (tree, nodes) = (log.tree(), log.tree().nodes());
    let states = [
        totals.built,
        totals.failed,
        totals.dependency_failed,
        totals.interrupted,
        totals.running,
        totals.waiting,
        totals.planned,
    ];
    assert_eq!(states.iter().sum::<u64>(), nodes.len() as u64);
    assert_eq!(tree.rows().len(), nodes.len(), "each derivation once");
    let mut sentences = vec![words::summary(&totals)];
    for node in nodes {
        sentences.push(words::state(node, Duration::MAX));
        sentences.extend(words::because(tree, node));
        sentences.extend(node.last_lines());
        sentences.extend(node.said());
        let _ = tree.way_up(node.drv());
    }
    sentences
        .extend(log.copies().iter().flat_map(|copy| [words::copied(copy), words::copying(copy)]));
    sentences.extend(log.failure().map(|failure| failure.text));
    for sentence in sentences {
        assert!(!sentence.chars().any(char::is_control), "{sentence:?}");
    }
    let _ = (log.progress(), log.times(), log.fetched());
}

/// Folds lines of any bytes.
fn fold<'a>(lines: impl Iterator<Item = &'a [u8]>) -> ActivityLog {
    let mut log = ActivityLog::new();
    for (number, line) in (0..).zip(lines) {
        let now = (number % 3 > 0).then(|| Duration::from_millis(number));
        log.fold_bytes(line, now, &mut |_| {});
    }
    log
}

proptest! {
    #[test]
    fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        ask(&fold(bytes.split(|byte| *byte == b'\n')));
    }

    #[test]
    fn real_streams_survive_cuts_shuffles_and_strange_bytes(
        first in 0..STREAMS.len(),
        second in 0..STREAMS.len(),
        order in any::<u64>(),
        cuts in prop::collection::vec((any::<u16>(), any::<u16>(), any::<u8>()), 0..12),
    ) {
        let mut lines: Vec<Vec<u8>> =
            STREAMS[first].lines().chain(STREAMS[second].lines()).map(|line| line.as_bytes().to_vec()).collect();
        // A shuffle without a generator of its own.
        let key = |index: usize| (index as u64 + 1).wrapping_mul(order | 1).rotate_left(17);
        let mut indexed: Vec<usize> = (0..lines.len()).collect();
        if order % 2 == 0 {
            indexed.sort_by_key(|index| key(*index));
        }
        for (line, at, byte) in cuts {
            let count = lines.len();
            let line = &mut lines[usize::from(line) % count];
            let at = usize::from(at) % (line.len() + 1);
            if byte % 2 == 0 {
                line.truncate(at);
            } else if at < line.len() {
                line[at] = byte;
            }
        }
        let log = fold(indexed.iter().map(|index| lines[*index].as_slice()));
        ask(&log);
    }

    #[test]
    fn a_cut_anywhere_leaves_no_more_built_than_the_whole(which in 0..STREAMS.len(), cut in any::<usize>()) {
        let stream = STREAMS[which].as_bytes();
        let whole = fold(stream.split(|byte| *byte == b'\n'));
        let cut = fold(stream[..cut % (stream.len() + 1)].split(|byte| *byte == b'\n'));
        ask(&cut);
        // One that stopped counts as built until the message comes that names its failure.
        prop_assert!(cut.built() <= whole.built() + 1);
    }

    #[test]
    fn no_order_of_lines_breaks_it(
        lines in prop::collection::vec(
            (0_u64..4, prop::sample::select(vec![0_u64, 100, 101, 103, 104, 105, 106, 107, 108, 109, 110, 111, 113, 999]),
                0_usize..4, any::<u64>(), any::<u64>(), ".{0,12}"),
            0..60,
        )
    ) {
        let mut log = ActivityLog::new();
        for (id, kind, action, a, b, text) in lines {
            let line = match action {
                0 => serde_json::json!({"action": "start", "id": id, "type": kind, "level": 3, "text": text, "fields": [text, text]}),
                1 => serde_json::json!({"action": "result", "id": id, "type": kind, "fields": [a, b, a, b]}),
                2 => serde_json::json!({"action": "result", "id": id, "type": kind, "fields": [text]}),
                _ => serde_json::json!({"action": "stop", "id": id}),
            };
            for item in log.feed(&format!("@nix {line}")) {
                prop_assert!(!item.line().chars().any(char::is_control));
            }
        }
        ask(&log);
    }
}

#[test]
fn what_is_unknown_is_counted_and_a_hostile_stream_does_not_fill_the_memory() {
    let mut log = ActivityLog::new();
    for kind in 1000..3000 {
        log.feed(&format!(r#"@nix {{"action":"start","id":{kind},"type":{kind}}}"#));
        log.feed(&format!(
            r#"@nix {{"action":"result","id":{kind},"type":{kind},"payload":{{}}}}"#
        ));
        log.feed(&format!(r#"@nix {{"action":"stop","id":{kind}}}"#));
    }
    log.feed(r#"@nix {"action":"stop","id":7}"#);
    log.feed(r#"@nix {"action":"start","#);
    let unknown = log.totals().unknown;
    assert_eq!(unknown.activities.values().sum::<u64>(), 2000);
    assert_eq!(unknown.results.values().sum::<u64>(), 2000);
    assert!(unknown.activities.len() <= 65);
    assert_eq!((unknown.stops, unknown.torn), (1, 1));
}

#[test]
fn a_line_behind_a_torn_one_counts() {
    let mut log = ActivityLog::new();
    let start = r#"@nix {"action":"start","id":1,"type":105,"level":3,"text":"building","fields":["/nix/store/x-a-1.drv"]}"#;
    let items = log.feed(&format!("Enter passphrase: {start}"));
    let lines: Vec<String> = items.iter().map(LogItem::line).collect();
    assert_eq!(lines, ["Enter passphrase: ", "building"]);
    log.feed(&format!(
        r#"@nix {{"action":"result","id":1,"ty{}"#,
        r#"@nix {"action":"stop","id":1}"#
    ));
    assert_eq!((log.built(), log.totals().unknown.torn), (1, 2));
}

#[test]
fn a_number_that_begins_anew_is_of_another_process() {
    let mut log = ActivityLog::new();
    let start = |drv: &str| {
        format!(
            r#"@nix {{"action":"start","id":1,"type":105,"fields":["/nix/store/x-{drv}.drv"]}}"#
        )
    };
    log.feed(&start("a"));
    log.feed(&start("b"));
    log.feed(r#"@nix {"action":"stop","id":1}"#);
    log.feed(r#"@nix {"action":"stop","id":1}"#);
    let states: Vec<BuildState> = log.tree().nodes().iter().map(BuildNode::state).collect();
    assert_eq!(states, [BuildState::Interrupted, BuildState::Built]);
    let unknown = log.totals().unknown;
    assert_eq!((unknown.displaced, unknown.stops), (1, 1));
    log.feed(&start("c"));
    log.process_ended();
    log.feed(&start("d"));
    assert_eq!(log.totals().unknown.displaced, 1);
    assert_eq!(log.tree().nodes()[2].state(), BuildState::Interrupted);
}

#[test]
fn builds_that_wait_say_for_what_and_two_kinds_of_nix_may_give_a_number_two_meanings() {
    let mut log = ActivityLog::new();
    log.feed(r#"@nix {"action":"start","id":1,"type":111,"level":1,"text":"waiting for a machine to build '\u001b[35;1m/nix/store/x-a-1.drv\u001b[0m'"}"#);
    let node = &log.tree().nodes()[0];
    assert_eq!(node.state(), BuildState::Waiting(WaitsFor::Machine));
    assert_eq!(words::state(node, Duration::ZERO), "waiting for a build machine");
    log.feed(r#"@nix {"action":"stop","id":1}"#);
    assert_eq!(log.tree().nodes()[0].state(), BuildState::Planned);
    // Nix 2.36: a source went into the store.
    log.feed(r#"@nix {"action":"start","id":2,"type":113,"level":4,"fields":["/home/me/x",0]}"#);
    log.feed(r#"@nix {"action":"result","id":2,"type":109,"fields":["/nix/store/x-source"]}"#);
    assert_eq!(log.totals().sources, 1);
    // Determinate Nix: a hash is another one.
    log.feed(r#"@nix {"action":"result","id":3,"type":109,"payload":{"storePath":"/nix/store/x-b.drv","wanted":{},"got":{}}}"#);
    log.feed(r#"@nix {"action":"result","id":3,"type":110,"payload":{"success":false,"status":"DependencyFailed","errorMsg":"","path":{"drvPath":"x-a-1.drv","outputs":["*"]}}}"#);
    let states: Vec<BuildState> = log.tree().nodes().iter().map(BuildNode::state).collect();
    assert_eq!(states, [BuildState::DependencyFailed, BuildState::Failed]);
    assert_eq!(log.totals().unknown, UnknownLines::default());
}

#[test]
fn a_newer_nix_names_the_reason_on_a_line_of_its_own() {
    let mut log = ActivityLog::new();
    log.feed(r#"@nix {"action":"msg","level":3,"msg":"this derivation will be built:\n  /nix/store/x-top-1.drv"}"#);
    for (drv, reason) in
        [("a-1", "builder failed with exit code 2"), ("top-1", "1 dependency failed")]
    {
        let error =
            format!(r"error: Cannot build '/nix/store/x-{drv}.drv'.\n       Reason: {reason}.");
        log.feed(&format!(r#"@nix {{"action":"msg","level":0,"msg":"{error}"}}"#));
    }
    let states: Vec<BuildState> = log.tree().nodes().iter().map(BuildNode::state).collect();
    assert_eq!(states, [BuildState::DependencyFailed, BuildState::Failed]);
    let report = log.failure_report().unwrap();
    assert_eq!(report.drv.as_deref(), Some("/nix/store/x-a-1.drv"));
}

#[test]
fn a_nix_that_was_not_asked_for_json_says_its_error_in_plain_lines() {
    let mut log = ActivityLog::new();
    let said = "warning: Git tree is dirty\nerror:\n       \u{2026} while calling 'throw'\n\n       error: no such host: samsng\n";
    for line in said.lines() {
        log.feed(line);
    }
    let report = log.failure_report().unwrap();
    assert_eq!(
        (report.kind, report.cause.as_str()),
        (FailureKind::Evaluation, "no such host: samsng")
    );
}
