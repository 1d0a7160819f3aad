use super::*;
use crate::fleet::{LogLine, Phase, RunWhat};
use crate::record::RunWriter;
use std::fs::{self, OpenOptions};
use std::io::Write;

/// Returns a state folder, its runs and the writer of one, whose logs may take so many bytes.
fn a_run(limit: u64) -> (tempfile::TempDir, Runs, RunWriter) {
    let dir = tempfile::tempdir().unwrap();
    let runs = Runs::open(dir.path()).unwrap();
    let writer = runs.begin(None).unwrap().with_limit(limit);
    (dir, runs, writer)
}

fn log(writer: &mut RunWriter, number: i64) {
    let at = Timestamp::from_second(number).unwrap();
    let (host, line) = ("a".to_owned(), number.to_string());
    let what = RunWhat::log(host, Phase::Build, line);
    writer.write(&RunEvent { run: writer.run().clone(), at, what });
}

/// Takes all lines that are there now.
fn texts(lines: &mut LogLines) -> Vec<String> {
    let mut texts = Vec::new();
    while lines.advance().unwrap() {
        texts.push(LogLine::read(lines.line()).text);
    }
    texts
}

fn numbers(texts: &[String]) -> Vec<i64> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

/// Adds bytes to the log of the host `a`.
fn add(runs: &Runs, run: &RunId, bytes: &[u8]) {
    let path = runs.folder(run).join("a.log");
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn all_lines_come_once_and_in_order_while_the_log_grows_over_its_parts() {
    let (_dir, runs, mut writer) = a_run(20_000);
    let run = writer.run().clone();
    let mut lines = runs.log_lines(&run, "a");
    assert!(texts(&mut lines).is_empty());
    let mut seen = Vec::new();
    for number in 0..2000 {
        log(&mut writer, number);
        if number % 10 == 0 {
            writer.flush().unwrap();
            seen.extend(numbers(&texts(&mut lines)));
        }
    }
    writer.finish();
    seen.extend(numbers(&texts(&mut lines)));
    assert_eq!(seen, (0..2000).collect::<Vec<i64>>());
    // Whoever comes later reads what was kept, with marks between.
    let late = texts(&mut runs.log_lines(&run, "a"));
    let kept = numbers(&late);
    assert!(kept.is_sorted() && kept.first() == Some(&0) && kept.last() == Some(&1999));
    assert!(late.iter().any(|text| text.contains("max_run_size")));
    assert_eq!(runs.log_sizes(&run)[0].0, "a");
}

#[test]
fn who_reads_a_part_that_was_removed_meanwhile_is_told_that_lines_are_missing() {
    let (_dir, runs, mut writer) = a_run(20_000);
    let run = writer.run().clone();
    log(&mut writer, 0);
    writer.flush().unwrap();
    let mut lines = runs.log_lines(&run, "a");
    assert_eq!(numbers(&texts(&mut lines)), [0]);
    for number in 1..2000 {
        log(&mut writer, number);
    }
    writer.finish();
    let rest = texts(&mut lines);
    assert!(rest.iter().any(|text| text.contains("log lines are missing here")), "{rest:?}");
    assert_eq!(numbers(&rest).last(), Some(&1999));
}

#[test]
fn a_half_line_comes_when_it_is_whole_or_when_it_is_asked_for() {
    let (_dir, runs, writer) = a_run(1 << 30);
    let run = writer.run().clone();
    add(&runs, &run, b"whole\nhal");
    let mut lines = runs.log_lines(&run, "a");
    assert_eq!(texts(&mut lines), ["whole"]);
    add(&runs, &run, b"f\nto");
    assert_eq!(texts(&mut lines), ["half"]);
    assert!(lines.advance_to_torn());
    assert_eq!(lines.line(), b"to");
    assert!(!lines.advance_to_torn());
}

#[test]
fn a_line_that_is_too_long_is_cut_and_the_next_one_is_whole() {
    let (_dir, runs, writer) = a_run(1 << 30);
    let run = writer.run().clone();
    let long = "x".repeat(3 * LONGEST);
    add(&runs, &run, format!("first\n{long}\nlast\n").as_bytes());
    let mut lines = runs.log_lines(&run, "a");
    let mut lengths = Vec::new();
    while lines.advance().unwrap() {
        lengths.push(lines.line().len());
        assert!(lines.buffer.len() <= LONGEST + 2 * CHUNK, "{}", lines.buffer.len());
    }
    assert_eq!((lengths.len(), lengths[0], lengths[2]), (3, 5, 4));
    assert!((LONGEST..3 * LONGEST).contains(&lengths[1]), "{lengths:?}");
}

#[test]
fn a_log_that_is_cut_short_is_read_on_from_its_end() {
    let (_dir, runs, writer) = a_run(1 << 30);
    let run = writer.run().clone();
    add(&runs, &run, b"one\ntwo\nthree\n");
    let mut lines = runs.log_lines(&run, "a");
    assert_eq!(texts(&mut lines), ["one", "two", "three"]);
    let path = runs.folder(&run).join("a.log");
    // Once in the middle of a line, once at its end.
    for (size, added, seen) in [(6, &b"o\nfour\n"[..], "four"), (4, b"five\n", "five")] {
        OpenOptions::new().write(true).open(&path).unwrap().set_len(size).unwrap();
        assert!(texts(&mut lines).is_empty());
        add(&runs, &run, added);
        assert_eq!(texts(&mut lines), [seen]);
    }
    fs::remove_file(path).unwrap();
    assert!(texts(&mut lines).is_empty());
}

#[test]
fn lines_before_a_time_are_passed_over_by_the_index_and_without_one_all_are_read() {
    let (_dir, runs, mut writer) = a_run(1 << 30);
    let run = writer.run().clone();
    for number in 0..20_000 {
        log(&mut writer, number);
    }
    writer.finish();
    let since = |second: i64| {
        let mut lines = runs.log_lines(&run, "a");
        lines.skip_to(Timestamp::from_second(second).unwrap()).unwrap();
        numbers(&texts(&mut lines))
    };
    let late = since(15_000);
    assert!(late[0] > 10_000 && late[0] <= 15_000, "{}", late[0]);
    assert_eq!(late.last(), Some(&19_999));
    assert_eq!(since(0).len(), 20_000);
    let index = runs.folder(&run).join("a.index");
    let text = fs::read_to_string(&index).unwrap();
    // One that means other places, a broken one, and none.
    let wrong = text.replace("\"line\":0,\"offset\":0,", "\"line\":1,\"offset\":7,");
    for index_text in [wrong, text.replace("\"offset\":6", "\"offset\":7"), "{\"li".to_owned()] {
        fs::write(&index, index_text).unwrap();
        assert!(since(15_000).ends_with(&(15_000..20_000).collect::<Vec<_>>()));
    }
    fs::remove_file(&index).unwrap();
    assert_eq!(since(15_000).len(), 20_000);
}

#[test]
fn blocks_that_nobody_needs_are_not_read_and_what_is_added_is() {
    let (_dir, runs, mut writer) = a_run(1 << 30);
    let run = writer.run().clone();
    let line = |writer: &mut RunWriter, number: i64| {
        let package = if number / 20_000 == 2 { "b" } else { "a" };
        let text = format!("{package}> {number}");
        let what = RunWhat::log("a".to_owned(), Phase::Build, text);
        writer.write(&RunEvent { run: writer.run().clone(), at: Timestamp::UNIX_EPOCH, what });
    };
    for number in 0..100_000 {
        line(&mut writer, number);
    }
    writer.flush().unwrap();
    let mut lines = runs.log_lines(&run, "a");
    lines.skip_blocks(|block| block.packages.as_ref().is_none_or(|names| names.contains("b")));
    let found = texts(&mut lines);
    let wanted: Vec<String> = (40_000..60_000).map(|number| format!("b> {number}")).collect();
    assert_eq!(
        found.iter().filter(|text| text.starts_with("b>")).cloned().collect::<Vec<_>>(),
        wanted
    );
    // What is left of the last block is not in the index yet.
    assert!(found.len() < 30_000, "{}", found.len());
    assert_eq!(found.last().unwrap(), "a> 99999");
    line(&mut writer, 100_000);
    writer.flush().unwrap();
    assert_eq!(texts(&mut lines), ["a> 100000"]);
}

#[test]
fn of_a_compressed_log_only_blocks_are_read_that_may_have_the_word() {
    let (_dir, runs, mut writer) = a_run(1 << 30);
    let run = writer.run().clone();
    for number in 0..100_000 {
        let text = if number == 60_000 { "the Needle" } else { "x> a line like many others" };
        let what = RunWhat::log("a".to_owned(), Phase::Build, text.to_owned());
        writer.write(&RunEvent { run: run.clone(), at: Timestamp::UNIX_EPOCH, what });
    }
    writer.finish();
    runs.pack_whole(&run);
    let read = |lines: &mut LogLines| {
        let bytes = |lines: &LogLines| {
            lines.unwanted.iter().map(|(_, range)| range.end - range.start).sum::<u64>()
        };
        (bytes(lines), texts(lines).iter().filter(|text| text.contains("Needle")).count())
    };
    let mut lines = runs.log_lines(&run, "a");
    lines.skip_unlike(&LogPattern::substring("Needle").unwrap());
    let size: u64 = runs.log_sizes(&run).iter().map(|(_, size)| size).sum();
    let (passed_over, found) = read(&mut lines);
    assert!(passed_over > size / 4 * 3, "{passed_over} of {size}");
    assert_eq!(found, 1);
    // What stands in a block counts, too, and a pattern that is no word is looked for everywhere.
    let mut lines = runs.log_lines(&run, "a");
    lines.skip_unlike(&LogPattern::substring("Needle").unwrap());
    lines.skip_blocks(|_| false);
    assert_eq!(read(&mut lines).1, 0);
    let mut lines = runs.log_lines(&run, "a");
    lines.skip_unlike(&LogPattern::regex("N.edle").unwrap());
    assert_eq!(read(&mut lines), (0, 1));
}

#[test]
fn lines_that_cannot_match_are_passed_over_and_no_other() {
    let (_dir, runs, mut writer) = a_run(1 << 30);
    let run = writer.run().clone();
    for number in 0..30_000 {
        log(&mut writer, number);
    }
    writer.flush().unwrap();
    add(&runs, &run, b"1970-01-01T00:00:00Z build       77");
    for pattern in ["77", "^77", "7{2}$", "nothing"] {
        let pattern = LogPattern::regex(pattern).unwrap();
        let mut lines = runs.log_lines(&run, "a");
        lines.skip_unlike(&pattern);
        let found: Vec<String> =
            texts(&mut lines).into_iter().filter(|text| pattern.is_match(text)).collect();
        let all = (0..30_000).map(|number| number.to_string());
        assert_eq!(found, all.filter(|text| pattern.is_match(text)).collect::<Vec<_>>());
        // What has no end is given to who asks for it.
        assert!(lines.advance_to_torn());
    }
}
