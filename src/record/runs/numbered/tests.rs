use super::search::PIECE;
use super::*;
use crate::fleet::{Phase, RunEvent, RunWhat, printable_coloured};
use crate::record::{LogPattern, RunWriter};
use proptest::prelude::*;
use std::fs;

/// Returns a state folder, its runs and the writer of one, whose logs may take so many bytes.
fn a_run(limit: u64) -> (tempfile::TempDir, Runs, RunWriter) {
    let dir = tempfile::tempdir().unwrap();
    let runs = Runs::open(dir.path()).unwrap();
    let writer = runs.begin(None).unwrap().with_limit(limit);
    (dir, runs, writer)
}

fn log(writer: &mut RunWriter, number: u64, text: &str) {
    let at = Timestamp::from_second(i64::try_from(number).unwrap()).unwrap();
    let what = RunWhat::log("a".to_owned(), Phase::Build, text.to_owned());
    writer.write(&RunEvent { run: writer.run().clone(), at, what });
}

/// Returns the numbers of all lines that a search tells.
fn found(log: &NumberedLog, text: &str, from: u64, direction: SearchDirection) -> Vec<u64> {
    let mut numbers = Vec::new();
    let pattern = LogPattern::regex(text).unwrap();
    let ended = log.search(&pattern, from, direction, &mut |news| {
        match news {
            SearchNews::Hit(number) => numbers.push(number),
            SearchNews::Searched { bytes, of } => assert!(bytes <= of),
        }
        ControlFlow::Continue(())
    });
    assert_eq!(ended.unwrap(), ControlFlow::Continue(()));
    numbers
}

fn texts(log: &NumberedLog, wanted: Range<u64>) -> Vec<String> {
    log.lines(wanted).unwrap().into_iter().map(|line| line.text).collect()
}

#[test]
fn lines_have_numbers_over_all_parts_and_while_the_log_grows() {
    let (_dir, runs, mut writer) = a_run(400_000);
    let run = writer.run().clone();
    let mut numbered = runs.numbered_log(&run, "a");
    assert!(!numbered.look().unwrap());
    for number in 0..4000 {
        log(&mut writer, number, &format!("line {number}"));
        if number % 100 == 99 {
            writer.flush().unwrap();
            assert!(numbered.look().unwrap());
            assert_eq!(numbered.count(), number + 1);
        }
    }
    assert!(runs.log_parts(&run, "a").len() == 1 || numbered.parts.len() > 1);
    assert_eq!(texts(&numbered, 3998..5000), ["line 3998", "line 3999"]);
    for begin in [0, 1, 1234, 2600, 3990] {
        let wanted: Vec<String> =
            (begin..begin + 10).map(|number| format!("line {number}")).collect();
        assert_eq!(texts(&numbered, begin..begin + 10), wanted);
    }
    let at = |second| numbered.line_at(Timestamp::from_second(second).unwrap()).unwrap();
    assert_eq!((at(0), at(1777), at(3999), at(9999)), (0, 1777, 3999, 4000));
    assert!(!numbered.look().unwrap());
}

#[test]
fn a_search_goes_both_ways_tells_how_far_it_is_and_can_be_ended() {
    let (_dir, runs, mut writer) = a_run(1 << 30);
    let run = writer.run().clone();
    for number in 0..20_000 {
        let text = if number % 5000 == 7 { "a Needle here" } else { "hay, and more of it" };
        log(&mut writer, number, text);
    }
    writer.finish();
    let mut numbered = runs.numbered_log(&run, "a");
    numbered.look().unwrap();
    let (forward, backward) = (SearchDirection::Forward, SearchDirection::Backward);
    assert_eq!(found(&numbered, "needle", 0, forward), [7, 5007, 10_007, 15_007]);
    assert_eq!(found(&numbered, "needle", 5007, forward), [5007, 10_007, 15_007]);
    assert_eq!(found(&numbered, "needle", 10_007, backward), [5007, 7]);
    assert_eq!(found(&numbered, "^a Needle here$", 5008, forward), [10_007, 15_007]);
    // Time and phase, which stand before the text, are not searched.
    assert!(found(&numbered, "build|1970", 0, forward).is_empty());
    // Nothing matches over the end of a line.
    assert!(found(&numbered, r"of it\s", 0, forward).is_empty());
    let mut told = Vec::new();
    let pattern = LogPattern::substring("Needle").unwrap();
    let ended = numbered.search(&pattern, 0, forward, &mut |news| {
        told.push(news);
        ControlFlow::Break(())
    });
    assert_eq!((ended.unwrap(), told), (ControlFlow::Break(()), vec![SearchNews::Hit(7)]));
}

#[test]
fn a_search_that_ends_early_costs_no_more_in_a_long_log() {
    let (_dir, runs, mut writer) = a_run(1 << 30);
    let run = writer.run().clone();
    log(&mut writer, 0, "line");
    writer.flush().unwrap();
    let mut numbered = runs.numbered_log(&run, "a");
    numbered.look().unwrap();
    // As of a log of a hundred million lines.
    let blocks = 200_000;
    let entry = |number: u64| IndexEntry {
        line: number * 500,
        offset: number * 65_536,
        at: None,
        phase: None,
        block: None,
    };
    let index = &mut numbered.parts[0].index;
    index.entries = (0..blocks).map(entry).collect();
    (index.lines, index.length) = (blocks * 500, blocks * 65_536);
    let per_piece = usize::try_from(PIECE / 65_536).unwrap();
    // Where each looked at every block it would be an hour.
    for block in 0..blocks {
        let piece = |direction| numbered.pieces(block * 500 + 7, direction, PIECE).next().unwrap();
        let last = usize::try_from(block).unwrap();
        let forward = piece(SearchDirection::Forward);
        assert_eq!(forward.entries, last..(last + per_piece).min(200_000));
        assert_eq!(forward.line, block * 500);
        assert_eq!(
            piece(SearchDirection::Backward).entries,
            (last + 1).saturating_sub(per_piece)..last + 1
        );
        let of = numbered.bytes(block * 500 + 7, SearchDirection::Forward);
        assert_eq!(of, (blocks - block) * 65_536);
    }
}

#[test]
fn errors_are_found_with_and_without_an_index() {
    let (_dir, runs, mut writer) = a_run(1 << 30);
    let run = writer.run().clone();
    for number in 0..5000 {
        let is_error = [3, 2500, 4999].contains(&number);
        log(&mut writer, number, if is_error { "x> a.c:1:2: error: no" } else { "x> cc -c a.c" });
    }
    writer.finish();
    for removes in [false, true] {
        if removes {
            fs::remove_file(runs.folder(&run).join("a.index")).unwrap();
        }
        let mut numbered = runs.numbered_log(&run, "a");
        numbered.look().unwrap();
        let next = |from, direction| numbered.next_of(LineLevel::Error, from, direction).unwrap();
        assert_eq!(next(0, SearchDirection::Forward), Some(3));
        assert_eq!(next(4, SearchDirection::Forward), Some(2500));
        assert_eq!(next(4999, SearchDirection::Backward), Some(2500));
        assert_eq!(next(3, SearchDirection::Backward), None);
        assert_eq!(next(5000, SearchDirection::Forward), None);
        assert_eq!(numbered.levels().unwrap().of(LineLevel::Error), 3);
        assert_eq!(numbered.levels().unwrap().of(LineLevel::Output), 4997);
    }
}

#[test]
fn what_several_threads_find_is_told_in_order_until_nobody_listens() {
    let (_dir, runs, mut writer) = a_run(1 << 30);
    let run = writer.run().clone();
    for number in 0..150_000 {
        log(&mut writer, number, &format!("{number:>40}"));
    }
    writer.finish();
    for packs in [false, true] {
        if packs {
            assert!(runs.pack_whole(&run) > 6 * PIECE, "more pieces than threads");
        }
        let mut numbered = runs.numbered_log(&run, "a");
        numbered.look().unwrap();
        let wanted: Vec<u64> =
            (0..150_000).filter(|number| number.to_string().contains("77")).collect();
        assert_eq!(found(&numbered, "77", 0, SearchDirection::Forward), wanted);
        let backward: Vec<u64> = wanted.iter().rev().copied().collect();
        assert_eq!(found(&numbered, "77", 150_000, SearchDirection::Backward), backward);
        let mut told = Vec::new();
        let pattern = LogPattern::substring("77").unwrap();
        let ended = numbered.search(&pattern, 0, SearchDirection::Forward, &mut |news| {
            if let SearchNews::Hit(number) = news {
                told.push(number);
            }
            if told.last() > Some(&100_000) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert_eq!(ended.unwrap(), ControlFlow::Break(()));
        assert_eq!(told, wanted[..told.len()]);
        assert_eq!(told.last(), Some(&100_077));
        let mut searched = Vec::new();
        let _all = numbered.search(&pattern, 0, SearchDirection::Forward, &mut |news| {
            if let SearchNews::Searched { bytes, of } = news {
                searched.push((bytes, of));
            }
            ControlFlow::Continue(())
        });
        assert!(searched.is_sorted() && searched.len() > 6);
        assert!(searched.last().is_some_and(|(bytes, of)| bytes == of));
    }
}

/// Patterns that a search in blocks could read otherwise than one in a line.
const PATTERNS: [&str; 12] =
    ["a", "ab", "B", "^a", "b$", "[^a]+x", r"a\s", r"\sx", "(a|b)*x", r"\bx", r"x\b", "ä"];

proptest! {
    #[test]
    fn a_search_in_blocks_finds_what_one_line_by_line_does(
        lines in prop::collection::vec("[ab^.x ]{0,12}|(x|ä|\u{1b}\\[[0-9;]{0,3}m|a|b){0,9}|ä+", 1..60),
        pattern in prop::sample::select(PATTERNS.to_vec()),
        from in 0_u64..60,
    ) {
        let (_dir, runs, writer) = a_run(1 << 30);
        let run = writer.run().clone();
        let text: String = lines
            .iter()
            .map(|text| {
                let (text, colours) = printable_coloured(text);
                let plain = LogLine::plain(Some(Timestamp::UNIX_EPOCH), None, text);
                LogLine { colours, ..plain }.written()
            })
            .collect();
        fs::write(runs.folder(&run).join("a.log"), &text).unwrap();
        let mut numbered = runs.numbered_log(&run, "a");
        numbered.look().unwrap();
        let matcher = LogPattern::regex(pattern).unwrap();
        let wanted: Vec<u64> = (0..)
            .zip(text.lines())
            .filter(|(_, line)| matcher.is_match(&LogLine::read(line.as_bytes()).text))
            .map(|(number, _)| number)
            .collect();
        let (before, behind): (Vec<u64>, Vec<u64>) = wanted.iter().partition(|number| **number < from);
        prop_assert_eq!(found(&numbered, pattern, from, SearchDirection::Forward), behind);
        let backward: Vec<u64> = before.into_iter().rev().collect();
        prop_assert_eq!(found(&numbered, pattern, from, SearchDirection::Backward), backward);
    }
}
