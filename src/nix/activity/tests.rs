//! Folds real logs of several versions of Nix: what the users of the log rely on.

use super::*;
use crate::fleet::TimedBytes;

mod properties;
mod recorded;
mod tools;

const BUILD: &str = include_str!("../../../tests/nix-logs/build-2.8.log");
const FETCH: &str = include_str!("../../../tests/nix-logs/fetch-2.8.log");
const FETCH_2_26: &str = include_str!("../../../tests/nix-logs/fetch-2.26.log");
/// Each line with the seconds after which it was read: two caches, of which one sends 5 MB/s.
const TIMED_2_26: &str = include_str!("../../../tests/nix-logs/fetch-2.26-timed.log");
const BUILD_2_34: &str = include_str!("../../../tests/nix-logs/build-2.34.log");
const FAIL_2_34: &str = include_str!("../../../tests/nix-logs/fail-2.34.log");
const FAIL: &str = include_str!("../../../tests/nix-logs/fail-2.8.log");

/// Feeds a whole log and returns its lines.
fn read(text: &str) -> (ActivityLog, Vec<String>) {
    let mut log = ActivityLog::new();
    let lines = text.lines().flat_map(|line| log.feed(line)).map(|item| item.line()).collect();
    (log, lines)
}

#[test]
fn a_real_build_says_what_was_built() {
    for text in [BUILD, BUILD_2_34] {
        let (log, lines) = read(text);
        assert_eq!(log.built(), 3);
        assert!(log.fetched().is_empty());
        let progress = log.progress();
        assert_eq!((progress.done, progress.expected, progress.bytes), (3, 3, None));
        assert_eq!(progress.builds, Some(Share { have: 3, total: 3 }));
        assert!(lines.contains(&"a> line one of a-1.0".to_owned()), "{lines:#?}");
        assert!(lines.iter().any(|line| line.starts_with("building '/nix/store/")));
    }
}

/// Returns a line by which Nix tells what a build printed.
fn output(id: u64, text: &str) -> String {
    format!(r#"@nix {{"action":"result","id":{id},"type":101,"fields":["{text}"]}}"#)
}

#[test]
fn a_colour_that_a_build_leaves_on_goes_on_in_its_own_next_lines_only() {
    let begins = |id: u64, name: &str| {
        let fields = format!(r#"["/nix/store/x-{name}.drv","",1,1]"#);
        format!(
            r#"@nix {{"action":"start","id":{id},"level":3,"parent":0,"text":"","type":105,"fields":{fields}}}"#
        )
    };
    let mut log = ActivityLog::new();
    let lines = [
        begins(1, "a"),
        begins(2, "b"),
        output(1, r"\u001b[31mred"),
        output(2, "plain"),
        output(1, r"red too\u001b[0m"),
        output(1, "plain"),
        r#"@nix {"action":"msg","level":0,"msg":"\u001b[33mone\ntwo\u001b[0m\nthree"}"#.to_owned(),
    ];
    let items = lines.iter().flat_map(|line| log.feed(line));
    let painted: Vec<String> =
        items.map(|item| item.colours().painted(&item.line()).into_owned()).collect();
    let expected = [
        "a> \u{1b}[31mred\u{1b}[0m",
        "b> plain",
        "a> \u{1b}[31mred too\u{1b}[0m",
        "a> plain",
        "\u{1b}[33mone\u{1b}[0m",
        "\u{1b}[33mtwo\u{1b}[0m",
        "three",
    ];
    assert_eq!(painted, expected);
}

#[test]
fn a_real_fetch_says_what_came_from_where() {
    let (log, lines) = read(FETCH);
    assert_eq!(log.built(), 0);
    let fetched = log.fetched();
    let total = 3_000_112 + 120 + 168 + 216;
    assert_eq!(fetched["http://127.0.0.1:8977"], Fetched { paths: 4, bytes: total, timed: None });
    assert_eq!(fetched.len(), 1);
    assert_eq!(log.copies().iter().filter(|copy| copy.bytes == Some(3_000_112)).count(), 1);
    assert_eq!(log.progress().bytes.map(|bytes| bytes.total), Some(total));
    assert!(lines.iter().any(|line| line.starts_with("copying path '/nix/store/p21fy4")));
}

/// Feeds a log whose lines begin with the time at which they were read; after so many lines the
/// connection breaks.
fn read_timed(text: &str, breaks_after: usize) -> ActivityLog {
    let mut log = ActivityLog::new();
    for (index, line) in text.lines().enumerate() {
        let (seconds, line) = line.split_once(' ').unwrap();
        if index == breaks_after {
            log.lines_are_late();
        }
        log.feed_at(line, Duration::from_secs_f64(seconds.parse().unwrap()));
    }
    log
}

#[test]
fn a_real_fetch_tells_how_fast_each_cache_sent_big_files() {
    let fetched = read_timed(TIMED_2_26, usize::MAX).fetched();
    let timed = |port: u16| fetched[&format!("http://127.0.0.1:{port}")].timed;
    // Compressed bytes, from the first byte to the end.
    assert_eq!(timed(8971), Some(TimedBytes { bytes: 20_000_577, busy_ms: 4346 }));
    assert_eq!(timed(8972), Some(TimedBytes { bytes: 3_000_187, busy_ms: 133 }));
    let speed = timed(8971).and_then(TimedBytes::bytes_per_s).unwrap();
    assert!((4.5e6..5.0e6).contains(&speed), "{speed}: the server sent 5 MB/s");
    // Nix 2.8 does not say what a file is for, nor how many bytes of a big one came.
    let (log, _) = read(FETCH);
    assert!(log.fetched().values().all(|got| got.timed.is_none()));
}

#[test]
fn a_fetch_during_which_the_connection_broke_keeps_only_the_times_from_before() {
    // The line at which the small file has ended.
    let fetched = read_timed(TIMED_2_26, 45).fetched();
    assert_eq!(fetched["http://127.0.0.1:8971"].timed, None);
    assert_eq!(fetched["http://127.0.0.1:8972"].timed.map(|timed| timed.busy_ms), Some(133));
}

#[test]
fn a_file_of_an_older_nix_is_known_by_its_address() {
    let mut log = ActivityLog::new();
    let line = |kind: u64, id: u64, fields: &str| {
        format!(
            r#"@nix {{"action":"start","fields":{fields},"id":{id},"level":4,"text":"","type":{kind}}}"#
        )
    };
    let copy = |from: &str| format!(r#"["/nix/store/x-{from}","http://{from}","local"]"#);
    let at = Duration::from_millis;
    log.feed_at(&line(100, 1, &copy("a")), at(0));
    log.feed_at(&line(100, 2, &copy("a/deeper")), at(0));
    log.feed_at(&line(101, 3, r#"["http://a/deeper/nar/1.nar.xz"]"#), at(0));
    log.feed_at(&line(101, 4, r#"["http://ab/nar/1.nar.xz"]"#), at(0));
    for id in [3, 4] {
        log.feed_at(
            &format!(
                r#"@nix {{"action":"result","fields":[2000000,2000000,0,0],"id":{id},"type":105}}"#
            ),
            at(400),
        );
        log.feed_at(&format!(r#"@nix {{"action":"stop","id":{id}}}"#), at(500));
    }
    for id in [1, 2] {
        log.feed_at(&format!(r#"@nix {{"action":"stop","id":{id}}}"#), at(600));
    }
    let fetched = log.fetched();
    assert_eq!(fetched["http://a"].timed, None);
    let timed = TimedBytes { bytes: 2_000_000, busy_ms: 500 };
    assert_eq!(fetched["http://a/deeper"].timed, Some(timed));
    assert_eq!(fetched.len(), 2);
}

#[test]
fn bytes_of_two_caches_are_told_apart() {
    let (log, _) = read(FETCH_2_26);
    let fetched = log.fetched();
    let expected = [("http://10.0.0.2:5000", 7, 1_814_728), ("http://10.0.0.9", 2, 699_944)];
    for (url, paths, bytes) in expected {
        assert_eq!(fetched[url], Fetched { paths, bytes, timed: None }, "{url}");
    }
    let progress = log.progress();
    assert_eq!((progress.done, progress.expected), (9, 9));
    assert_eq!(progress.builds, None);
    assert_eq!(progress.bytes, Some(Bytes { used: 2_514_672, total: 2_514_672 }));
}

#[test]
fn a_real_failure_is_not_counted_as_built() {
    for text in [FAIL, FAIL_2_34] {
        let (log, lines) = read(text);
        assert_eq!(log.built(), 0);
        let error = log.failure().unwrap().text;
        assert!(error.contains("-broken-1.0.drv"), "{error}");
        assert!(error.contains("failed with exit code 3"), "{error}");
        assert!(error.starts_with("error: bad thing (") && error.ends_with("3)"), "{error}");
        assert!(lines.contains(&"broken> compiling".to_owned()), "{lines:#?}");
        assert!(lines.iter().all(|line| !line.contains('\u{1b}')));
    }
}

#[test]
fn a_derivation_built_in_two_steps_counts_once() {
    let start = |id: u64| {
        format!(
            r#"@nix {{"action":"start","id":{id},"type":105,"level":3,"fields":["/nix/store/x-a-1.drv","ssh-ng://p620",1,1]}}"#
        )
    };
    let stop = |id: u64| format!(r#"@nix {{"action":"stop","id":{id}}}"#);
    let (log, _) = read(&[start(1), start(2), stop(2), stop(1)].join("\n"));
    assert_eq!(log.built(), 1);
}

#[test]
fn the_phase_of_the_running_build_is_what_it_does() {
    let text = r#"@nix {"action":"start","id":1,"type":105,"level":3,"fields":["/nix/store/x-firefox-145.0.drv"]}
@nix {"action":"result","id":1,"type":104,"fields":["buildPhase"]}
@nix {"action":"start","id":2,"type":100,"level":3,"fields":["/nix/store/x-curl-8","https://cache.nixos.org/","local"]}"#;
    let (mut log, _) = read(text);
    assert_eq!(log.progress().doing.as_deref(), Some("firefox (buildPhase)"));
    log.feed(r#"@nix {"action":"stop","id":1}"#);
    assert_eq!(log.progress().doing.as_deref(), Some("curl-8 from https://cache.nixos.org"));
}

#[test]
fn what_stands_still_is_said_unless_something_is_built() {
    let copy = |id: u32, name: &str| {
        format!(
            "@nix {{\"action\":\"start\",\"id\":{id},\"type\":100,\"level\":3,\"fields\":[\"/nix/store/\
             l0znnv1nxsr0ry7gmadkh49s1d0hycgd-{name}\",\"http://p620:5000\",\"local\"]}}"
        )
    };
    let build = "@nix {\"action\":\"start\",\"id\":9,\"level\":3,\"type\":105,\"fields\":\
                 [\"/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-firefox.drv\",\"\",1,1]}";
    let said = |lines: &[String]| {
        let (log, _) = read(&lines.join("\n"));
        words::standstill(&log, Duration::from_secs(60))
    };
    let nothing = said(&[]).unwrap();
    assert!(nothing.starts_with("Nix has said nothing for 1 min 00 s, and neither"), "{nothing}");
    let one = said(&[copy(1, "curl-8")]).unwrap();
    assert_eq!(one, "nothing has come for 1 min 00 s: curl-8 from http://p620:5000 stands still");
    let two = said(&[copy(1, "curl-8"), copy(2, "less-6")]).unwrap();
    assert!(two.ends_with("stands still, and 1 other path with it"), "{two}");
    assert_eq!(said(&[copy(1, "curl-8"), build.to_owned()]), None, "a build may say nothing");
}
