use super::*;
use crate::fleet::LogLine;
use crate::record::runs::level::LineLevel;
use proptest::prelude::*;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;

/// Returns lines of a log, some long and some short.
fn lines(count: u64) -> Vec<String> {
    let line = |number: u64| {
        let at = Timestamp::from_second(i64::try_from(number).unwrap()).unwrap();
        let text = format!("{number} {}", "x".repeat((number * 37 % 300) as usize));
        LogLine::plain(Some(at), Some(Phase::Build), text).written()
    };
    (0..count).map(line).collect()
}

/// Writes a log in batches with its index; returns their folder and the log.
fn written(lines: &[String], batch: usize) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("samsung.log");
    let (mut builder, mut text, mut index) = (IndexBuilder::default(), Vec::new(), Vec::new());
    for batch in lines.chunks(batch) {
        let added = batch.concat().into_bytes();
        index.extend(builder.take(text.len() as u64, &added));
        text.extend(added);
    }
    fs::write(&log, text).unwrap();
    fs::write(index_of(&log), index).unwrap();
    (dir, log)
}

fn read(log: &Path) -> LogIndex {
    LogIndex::read(&StoredFile::open(log).unwrap(), &index_of(log)).unwrap()
}

#[test]
fn entries_stand_about_every_64_kib_and_name_their_lines() {
    let lines = lines(5000);
    for batch in [1, 7, 5000] {
        let (_dir, log) = written(&lines, batch);
        let (index, text) = (read(&log), fs::read(&log).unwrap());
        assert_eq!((index.lines, index.length), (5000, text.len() as u64));
        assert!(index.entries.len() as u64 >= text.len() as u64 / EVERY / 2);
        for entry in &index.entries {
            let found =
                LogLine::read(text[entry.offset as usize..].split(|b| *b == b'\n').next().unwrap());
            assert!(found.text.starts_with(&format!("{} ", entry.line)), "{entry:?}");
            if entry.block.is_some() {
                assert_eq!((entry.at, entry.phase), (found.at, found.phase));
            }
        }
    }
}

/// Returns the whole index of a log, as if nobody had been killed.
fn whole_index(text: &[u8]) -> Vec<u8> {
    let mut builder = IndexBuilder::default();
    let mut index = builder.take(0, text);
    index.extend(builder.finish());
    index
}

#[test]
fn what_an_index_lacks_is_read_from_the_log_and_what_does_not_fit_is_not_used() {
    let lines = lines(5000);
    let (_dir, log) = written(&lines, 100);
    let whole = read(&log);
    let text = fs::read_to_string(index_of(&log)).unwrap();
    let half: String = text.split_inclusive('\n').take(4).collect();
    let wrong = format!(
        "{half}{{\"line\":1,\"offset\":99999999,\"at\":null,\"phase\":null}}\nno json\n{{\"li"
    );
    let newer = text.replace("\"index\":2", "\"index\":3");
    for index in [String::new(), half, wrong, newer] {
        fs::write(index_of(&log), index).unwrap();
        let found = read(&log);
        assert_eq!((found.lines, found.length), (whole.lines, whole.length));
        let lines = fs::read(&log).unwrap();
        for entry in &found.entries {
            let before = lines[..entry.offset as usize].split(|b| *b == b'\n').count() - 1;
            assert_eq!(before as u64, entry.line);
        }
    }
}

#[test]
fn a_block_says_what_stands_in_it() {
    let drv = "/nix/store/0c0p5y9yl1vkdlnxhrrjaqqlbhsgbpgj-firefox-145.0.drv";
    let text: String = [
        &format!("building '{drv}'"),
        "firefox> cc -c a.c",
        "firefox> a.c:1:2: error: expected ';'",
        "nss> a.c:1:2: warning: unused",
    ]
    .into_iter()
    .zip(0..)
    .map(|(text, second)| {
        let at = Timestamp::from_second(second).ok();
        LogLine::plain(at, Some(Phase::Build), text).written()
    })
    .collect();
    let index = whole_index(text.as_bytes());
    let entry = index.split(|byte| *byte == b'\n').nth(1).unwrap();
    let entry: IndexEntry = serde_json::from_slice(entry).unwrap();
    let block = entry.block.unwrap();
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!((block.lines, block.bytes), (4, text.len() as u64));
    assert_eq!(block.packages, names(&["firefox", "nss"]));
    assert_eq!(block.derivations, names(&["0c0p5y9yl1vkdlnxhrrjaqqlbhsgbpgj-firefox-145.0.drv"]));
    assert_eq!(LineLevel::ALL.map(|level| block.levels.of(level)), [1, 1, 1, 1]);
    assert_eq!(
        (entry.at, block.until),
        (Timestamp::from_second(0).ok(), Timestamp::from_second(3).ok())
    );
}

#[test]
fn an_index_of_an_older_nixdash_is_read_and_gone_on_with() {
    let lines = lines(3000);
    let (_dir, log) = written(&lines, 100);
    let whole = read(&log);
    // Its entries said no more than this, and had no line before them.
    let mut old = String::new();
    for IndexEntry { line, offset, .. } in &whole.entries[..3] {
        writeln!(old, "{{\"line\":{line},\"offset\":{offset},\"at\":null,\"phase\":null}}")
            .unwrap();
    }
    fs::write(index_of(&log), old).unwrap();
    let found = read(&log);
    assert_eq!((found.lines, found.length), (whole.lines, whole.length));
    let file = StoredFile::open(&log).unwrap();
    let builder = IndexBuilder::go_on(&file, &index_of(&log), whole.length).unwrap();
    let mut index = OpenOptions::new().append(true).open(index_of(&log)).unwrap();
    index.write_all(&builder.finish()).unwrap();
    let found = read(&log);
    assert_eq!((found.lines, found.length), (whole.lines, whole.length));
    assert!(found.entries[2..].iter().all(|entry| entry.block.is_some()));
    assert_eq!(found.entries[2].offset, whole.entries[2].offset);
}

proptest! {
    #[test]
    fn wherever_the_process_was_killed_the_index_becomes_the_same(
        count in 1_u64..2500,
        cut in 0.0_f64..1.0,
        index_cut in 0.0_f64..1.0,
        batch in 1_usize..700,
    ) {
        let lines = lines(count);
        let text = lines.concat().into_bytes();
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        let written = lines.iter().take((count as f64 * cut) as usize).map(String::len).sum::<usize>();
        fs::write(&log, &text[..written]).unwrap();
        let mut builder = IndexBuilder::default();
        let mut index = builder.take(0, &text[..written]);
        // The index is written behind the log: it may lack the end, and half a line of it is ended.
        index.truncate((index.len() as f64 * index_cut) as usize);
        if index.last().is_some_and(|byte| *byte != b'\n') {
            index.push(b'\n');
        }
        fs::write(index_of(&log), &index).unwrap();
        let mut builder =
            IndexBuilder::go_on(&StoredFile::open(&log).unwrap(), &index_of(&log), written as u64).unwrap();
        let mut offset = written;
        let rest: Vec<&[u8]> = text[written..].split_inclusive(|byte| *byte == b'\n').collect();
        for piece in rest.chunks(batch) {
            let piece = piece.concat();
            index.extend(builder.take(offset as u64, &piece));
            offset += piece.len();
        }
        index.extend(builder.finish());
        fs::write(&log, &text).unwrap();
        fs::write(index_of(&log), &index).unwrap();
        let found = read(&log);
        fs::write(index_of(&log), whole_index(&text)).unwrap();
        prop_assert_eq!(found, read(&log));
    }
}

#[test]
fn a_half_line_at_the_end_is_no_line() {
    let (_dir, log) = written(&lines(10), 10);
    let mut text = fs::read(&log).unwrap();
    let whole = text.len() as u64;
    text.extend(b"2026-11-21T12:04:22Z build       ha");
    fs::write(&log, text).unwrap();
    let index = read(&log);
    assert_eq!((index.lines, index.length), (10, whole));
}
