//! The reader of the pane's logs on real files.

use super::elsewhere::{RowsElsewhere, copy};
use super::rows::PaneRows;
use super::taken::{save_in, text_of};
use super::{ActivityReader, PaneReader, RowsReader};
use crate::dash::{
    ActivityShown, BuildLines, LineAt, LineLevels, LinePattern, LogNews, Msg, PaneWanted,
    RowSearch, RowsAt, RowsOf, RowsShown, RowsTaken, Sought,
};
use crate::fleet::{LogLine, Phase, RunId, StorePath, printable_coloured};
use crate::nix::activity::{ActivityLog, BuildState, CopyState};
use crate::nix::derivation::Derivation;
use crate::record::{KnownDerivation, LineLevel, Runs};
use jiff::{SignedDuration, Timestamp};
use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

/// Returns a state folder with an empty run.
fn a_run() -> (tempfile::TempDir, Runs, RunId) {
    let dir = tempfile::tempdir().unwrap();
    let runs = Runs::open(dir.path()).unwrap();
    let run = runs.begin(None).unwrap().run().clone();
    (dir, runs, run)
}

/// Writes the log of a host: a second of the day and a text for each line.
fn write(runs: &Runs, run: &RunId, host: &str, lines: impl IntoIterator<Item = (u64, String)>) {
    let mut text = String::new();
    for (second, line) in lines {
        let (hours, minutes, seconds) = (second / 3600 % 24, second / 60 % 60, second % 60);
        writeln!(text, "2026-11-21T{hours:02}:{minutes:02}:{seconds:02}Z build       {line}")
            .unwrap();
    }
    fs::write(runs.folder(run).join(format!("{host}.log")), text).unwrap();
}

fn of(run: &RunId, hosts: &[&str]) -> RowsOf {
    RowsOf {
        run: run.clone(),
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        build: None,
        levels: LineLevels::All,
        only: None,
        folds: false,
    }
}

fn wanted(of: &RowsOf, at: RowsAt) -> PaneWanted {
    PaneWanted {
        of: of.clone(),
        at,
        count: 60,
        counting: None,
        search: None,
        activity: None,
        compared: None,
    }
}

fn pattern(text: &str) -> LinePattern {
    LinePattern { text: text.to_owned(), is_regex: false }
}

/// Lets a reader look once and returns what it told.
fn look(reader: &mut impl PaneReader, wanted: &PaneWanted) -> Vec<LogNews> {
    let mut told = Vec::new();
    reader.look(wanted, &|| true, &mut |message| match message {
        Msg::Logs(news) => told.push(news),
        other => panic!("{other:?}"),
    });
    told
}

fn rows(news: &[LogNews]) -> Option<&RowsShown> {
    news.iter().rev().find_map(|news| match news {
        LogNews::Rows(shown) => Some(&**shown),
        _ => None,
    })
}

fn texts(shown: &RowsShown) -> Vec<&str> {
    shown.shown.iter().map(|row| row.text.as_str()).collect()
}

/// Returns all rows by their texts.
fn all(runs: &Runs, of: &RowsOf) -> Vec<String> {
    let mut rows = PaneRows::new(runs, of);
    rows.look().unwrap();
    while !rows.go_on(Instant::now() + Duration::from_secs(9), &|| true).unwrap() {}
    rows.rows(0..u64::MAX).unwrap().into_iter().map(|row| row.text).collect()
}

#[test]
fn a_log_of_a_million_lines_is_searched_in_its_file() {
    let (_dir, runs, run) = a_run();
    let line = |number: u64| match number {
        3 | 654_321 => format!("firefox> the needle at {number}"),
        _ => format!("firefox> cc -c part{number}.c -o part{number}.o"),
    };
    write(&runs, &run, "p620", (0..1_000_000).map(|number| (number / 100, line(number))));
    let mut reader = RowsReader::new(runs);
    let of = of(&run, &["p620"]);
    let news = look(&mut reader, &wanted(&of, RowsAt::Newest));
    let shown = rows(&news).unwrap();
    assert_eq!((shown.rows, shown.first, shown.shown.len()), (1_000_000, 999_940, 60));
    assert!(shown.shown[59].text.contains("part999999.c"));
    let search = |id, from, is_down| RowSearch {
        id,
        sought: Sought::Pattern(pattern("needle")),
        from,
        is_down,
    };
    for (id, from, is_down, row) in [
        (1, 0, true, Some(3)),
        (2, 4, true, Some(654_321)),
        (3, 654_322, true, None),
        (4, u64::MAX, false, Some(654_321)),
        (5, 654_321, false, Some(3)),
    ] {
        let wanted =
            PaneWanted { search: Some(search(id, from, is_down)), ..wanted(&of, RowsAt::Newest) };
        assert!(look(&mut reader, &wanted).contains(&LogNews::Found { id, row }), "{id}");
        // What was found is told once.
        let again = look(&mut reader, &wanted);
        assert!(!again.iter().any(|news| matches!(news, LogNews::Found { .. })));
    }
    let counting = Some(pattern("needle"));
    let news = look(&mut reader, &PaneWanted { counting, ..wanted(&of, RowsAt::From(654_300)) });
    assert!(
        news.iter()
            .any(|news| matches!(news, LogNews::Counted { rows: 2, read, .. } if read.is_empty()))
    );
    assert!(rows(&news).unwrap().shown[21].text.contains("needle"));
    let only = RowsOf { only: Some(pattern("NEEDLE needle")), ..of.clone() };
    assert_eq!(rows(&look(&mut reader, &wanted(&only, RowsAt::Newest))).unwrap().rows, 0);
    let only = RowsOf { only: Some(pattern("needle")), ..of };
    let news = look(&mut reader, &wanted(&only, RowsAt::Around(LineAt { host: 0, line: 500 })));
    let shown = rows(&news).unwrap();
    assert_eq!(texts(shown), ["firefox> the needle at 3", "firefox> the needle at 654321"]);
    assert_eq!((shown.around.unwrap().1, shown.lines), (1, 1_000_000));
}

#[test]
fn a_search_that_is_given_up_ends_and_begins_again_later() {
    let (_dir, runs, run) = a_run();
    write(&runs, &run, "p620", (0..200_000).map(|number| (0, format!("line {number}"))));
    let mut reader = RowsReader::new(runs);
    let of = RowsOf { folds: true, ..of(&run, &["p620"]) };
    let search =
        RowSearch { id: 1, sought: Sought::Text("line 199999".to_owned()), from: 0, is_down: true };
    let wanted = PaneWanted { search: Some(search), ..wanted(&of, RowsAt::Newest) };
    let mut told = 0;
    reader.look(&wanted, &|| false, &mut |_| told += 1);
    assert!(told <= 1);
    let news = look(&mut reader, &wanted);
    assert!(news.contains(&LogNews::Found { id: 1, row: Some(199_999) }));
}

#[test]
fn rows_are_those_of_a_package_a_level_and_a_pattern_and_equal_ones_fold() {
    let (_dir, runs, run) = a_run();
    let lines = [
        "building '/nix/store/0c0p5y9yl1vkdlnxhrrjaqqlbhsgbpgj-linux-6.12.58.drv'",
        "linux> CC main.o",
        "linux-firmware> copying",
        "linux> checking",
        "linux> checking",
        "linux> checking",
        "linux> main.c:1:2: error: no",
        "error: builder for '/nix/store/0c0p5y9yl1vkdlnxhrrjaqqlbhsgbpgj-linux-6.12.58.drv' failed",
    ];
    write(&runs, &run, "a", lines.iter().map(|line| (0, (*line).to_owned())));
    let plain = of(&run, &["a"]);
    assert_eq!(all(&runs, &plain), lines);
    let linux = BuildLines { package: "linux".to_owned(), build: None };
    let package = RowsOf { build: Some(linux), ..plain.clone() };
    assert_eq!(all(&runs, &package).len(), 7);
    let folded = RowsOf { folds: true, ..package.clone() };
    assert_eq!(all(&runs, &folded).len(), 5);
    let messages = RowsOf { levels: LineLevels::Messages, ..plain.clone() };
    assert_eq!(all(&runs, &messages), [lines[0], lines[6], lines[7]]);
    let errors = RowsOf { levels: LineLevels::Errors, ..package.clone() };
    assert_eq!(all(&runs, &errors), [lines[6], lines[7]]);
    let other = RowsOf { only: Some(pattern("!linux>")), ..plain.clone() };
    assert_eq!(all(&runs, &other), [lines[0], lines[2], lines[7]]);
    // A row is found by each of its lines.
    let mut rows = PaneRows::new(&runs, &folded);
    rows.look().unwrap();
    rows.go_on(Instant::now() + Duration::from_secs(9), &|| true).unwrap();
    let row = |line| rows.row_of(LineAt { host: 0, line });
    assert_eq!([row(0), row(1), row(2), row(3), row(5), row(6), row(99)], [0, 1, 2, 2, 2, 3, 4]);
    assert_eq!(rows.rows(2..3).unwrap()[0].times, 3);
}

#[test]
fn two_derivations_of_one_name_are_shown_each_alone() {
    let (_dir, runs, run) = a_run();
    let drv = |digit: char| format!("/nix/store/{digit}c0p5y9yl1vkdlnxhrrjaqqlbhsgbpgj-source.drv");
    let mut log = ActivityLog::new();
    let mut lines = Vec::new();
    let mut feed = |line: serde_json::Value| {
        let items = log.feed(&format!("@nix {line}"));
        lines.extend(items.into_iter().map(|item| LogLine {
            build: item.build(),
            ..LogLine::plain(Some(Timestamp::UNIX_EPOCH), Some(Phase::Build), item.line())
        }));
    };
    for (id, digit) in [(1, '0'), (2, '1')] {
        let fields = serde_json::json!([drv(digit), "", 1, 1]);
        let text = format!("building '{}'", drv(digit));
        feed(
            serde_json::json!({"action": "start", "id": id, "level": 3, "type": 105, "text": text, "fields": fields}),
        );
    }
    // Of the third nobody said what it builds.
    for (id, said) in [(1, "first"), (2, "second"), (7, "unknown"), (9, "other"), (1, "last")] {
        feed(serde_json::json!({"action": "result", "id": id, "type": 101, "fields": [said]}));
    }
    let written: String = lines.iter().map(LogLine::written).collect();
    fs::write(runs.folder(&run).join("a.log"), written).unwrap();
    let plain = of(&run, &["a"]);
    let alone = |lines: BuildLines| all(&runs, &RowsOf { build: Some(lines), ..plain.clone() });
    for (digit, said) in [('0', &["first", "last"][..]), ('1', &["second"])] {
        let told = alone(BuildLines::of_derivation(&drv(digit), "source"));
        let said = said.iter().map(|said| format!("source> {said}"));
        let wanted: Vec<String> =
            std::iter::once(format!("building '{}'", drv(digit))).chain(said).collect();
        assert_eq!(told, wanted);
    }
    let (package, build) = ("build".to_owned(), lines[4].build);
    assert_eq!(alone(BuildLines { package, build }), ["build> unknown"]);
    // All of them where nobody knows which is meant.
    let package = "source".to_owned();
    assert_eq!(alone(BuildLines { package, build: None }).len(), 5);
}

#[test]
fn rows_beyond_the_limit_are_told_and_not_kept() {
    let (_dir, runs, run) = a_run();
    write(&runs, &run, "a", (0..9000).map(|number| (0, format!("cc> line {}", number % 3))));
    let searched = RowsOf { only: Some(pattern("line 1")), ..of(&run, &["a"]) };
    let cc = BuildLines { package: "cc".to_owned(), build: None };
    let read = RowsOf { build: Some(cc), ..searched.clone() };
    for (of, most, count, is_cut) in [
        (&searched, 3000, 3000, false),
        (&searched, 2999, 2999, true),
        (&read, 3000, 3000, false),
        (&read, 2999, 2999, true),
        (&read, 7, 7, true),
    ] {
        let mut rows = PaneRows::new(&runs, of).with_most(most);
        rows.look().unwrap();
        while !rows.go_on(Instant::now() + Duration::from_secs(9), &|| true).unwrap() {}
        assert_eq!((rows.count(), rows.is_cut()), (count, is_cut), "{most} of {of:?}");
        assert!(rows.read().is_empty());
        assert_eq!(rows.rows(0..u64::MAX).unwrap().len() as u64, count);
        // What is added later changes nothing of it.
        assert!(rows.go_on(Instant::now() + Duration::from_secs(9), &|| true).unwrap());
        assert_eq!(rows.is_cut(), is_cut);
    }
}

#[test]
fn hosts_are_merged_by_time_and_what_comes_late_is_marked() {
    let (_dir, runs, run) = a_run();
    write(&runs, &run, "a", [1, 3, 5].map(|second| (second, format!("a{second}"))));
    write(&runs, &run, "b", [2, 3, 9].map(|second| (second, format!("b{second}"))));
    let of = of(&run, &["a", "b"]);
    assert_eq!(all(&runs, &of), ["a1", "b2", "a3", "b3", "a5", "b9"]);
    let mut rows = PaneRows::new(&runs, &of);
    let mut read = |lines: [u64; 5]| {
        write(&runs, &run, "a", lines.map(|second| (second, format!("a{second}"))));
        rows.look().unwrap();
        rows.go_on(Instant::now() + Duration::from_secs(9), &|| true).unwrap();
        let all = rows.rows(0..99).unwrap();
        all.into_iter().map(|row| (row.text, row.is_late)).collect::<Vec<_>>()
    };
    read([1, 3, 5, 5, 5]);
    fs::write(runs.folder(&run).join("b.log"), {
        let before = fs::read_to_string(runs.folder(&run).join("b.log")).unwrap();
        before + "2026-11-21T00:00:04Z build       late\n"
    })
    .unwrap();
    let all = read([1, 3, 5, 5, 5]);
    assert_eq!(all.last().unwrap(), &("late".to_owned(), true));
    assert_eq!(all.iter().filter(|(_, is_late)| *is_late).count(), 1);
}

#[test]
fn hosts_are_merged_by_the_millisecond_and_what_is_just_written_waits() {
    let (_dir, runs, run) = a_run();
    let add = |host: &str, at: Timestamp, text: &str| {
        let line = LogLine::plain(Some(at), Some(Phase::Build), text).written();
        let path = runs.folder(&run).join(format!("{host}.log"));
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, before + &line).unwrap();
    };
    let at =
        |millisecond: i64| Timestamp::from_millisecond(1_795_262_400_000 + millisecond).unwrap();
    let mut rows = PaneRows::new(&runs, &of(&run, &["a", "b"]));
    let read = |rows: &mut PaneRows| {
        rows.look().unwrap();
        while !rows.go_on(Instant::now() + Duration::from_secs(9), &|| true).unwrap() {}
        let all = rows.rows(0..99).unwrap().into_iter();
        all.map(|row| format!("{}{}", row.text, if row.is_late { " late" } else { "" }))
            .collect::<Vec<_>>()
    };
    for (host, millisecond) in [("a", 10), ("b", 20), ("a", 30), ("b", 25), ("a", 950)] {
        add(host, at(millisecond), &format!("{host}{millisecond}"));
    }
    let first = ["a10", "b20", "b25", "a30", "a950"];
    assert_eq!(read(&mut rows), first);
    // Nearly at the same time is not late, nor is a time that is known to the second only.
    add("b", at(870), "b870");
    add("b", at(0), "b0");
    add("b", at(840), "b840");
    assert_eq!(read(&mut rows)[5..], ["b870", "b0", "b840 late"]);
    // A line of this moment waits for those of other hosts.
    let now = Timestamp::now();
    add("a", now, "now");
    let before = now.checked_sub(SignedDuration::from_millis(50)).unwrap();
    let seen = read(&mut rows);
    if now.duration_until(Timestamp::now()) < SignedDuration::from_millis(100) {
        assert_eq!(seen.len(), 8, "{seen:?}");
        assert!(rows.read().is_empty(), "nothing is left but what waits");
        add("b", before, "before");
        while read(&mut rows).len() < 10 {
            std::thread::yield_now();
        }
        assert_eq!(read(&mut rows)[8..], ["before", "now"]);
    }
}

#[test]
fn what_is_copied_has_no_escape_and_an_error_brings_its_surroundings() {
    let (_dir, runs, run) = a_run();
    let line = |number: u64| match number {
        30 => "cc> a.c:1:2: error: \u{1b}]52;c;aGk=\u{7}ha\u{9b}31m\u{202e}!".to_owned(),
        _ => format!("line {number}"),
    };
    write(&runs, &run, "a", (0..60).map(|number| (number, line(number))));
    let of = of(&run, &["a"]);
    let (text, what) = text_of(&runs, &of, &RowsTaken::Rows(30..32)).unwrap().unwrap();
    assert_eq!((text.as_str(), what.as_str()), ("cc> a.c:1:2: error: ha!\nline 31", "2 lines"));
    for at in [0, 30, 59] {
        let (text, _) = text_of(&runs, &of, &RowsTaken::AroundTrouble(at)).unwrap().unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[20]), (21, "line 20", "line 40"), "{at}");
    }
    write(&runs, &run, "a", [(0, "no trouble".to_owned())]);
    assert_eq!(text_of(&runs, &of, &RowsTaken::AroundTrouble(0)).unwrap(), None);
}

#[test]
fn colours_are_shown_and_neither_searched_nor_copied_nor_saved() {
    let (dir, runs, run) = a_run();
    let line = "gcc> \u{1b}[1ma.c:1:2: \u{1b}[31mer\u{1b}[4mror: \u{1b}[0mno";
    let (text, colours) = printable_coloured(line);
    let plain = LogLine::plain(Some(Timestamp::UNIX_EPOCH), Some(Phase::Build), text);
    let line = LogLine { colours, ..plain };
    fs::write(runs.folder(&run).join("a.log"), line.written()).unwrap();
    let of = of(&run, &["a"]);
    let only = RowsOf { only: Some(pattern("error: no")), ..of.clone() };
    let news = look(&mut RowsReader::new(runs.clone()), &wanted(&only, RowsAt::Newest));
    let [row] = &rows(&news).unwrap().shown[..] else { panic!("{news:?}") };
    assert_eq!((&row.colours, row.text.as_str()), (&line.colours, "gcc> a.c:1:2: error: no"));
    assert_eq!(row.level, LineLevel::Error);
    for colours in ["31", "1;31", "5:1"] {
        let only = RowsOf { only: Some(pattern(colours)), ..of.clone() };
        assert!(all(&runs, &only).is_empty(), "{colours}");
    }
    let (copied, _) = text_of(&runs, &of, &RowsTaken::Rows(0..1)).unwrap().unwrap();
    assert_eq!(copied, "gcc> a.c:1:2: error: no");
    let path = dir.path().join("saved.log");
    save_in(&runs, &of, path.to_str().unwrap()).unwrap();
    let saved = fs::read_to_string(&path).unwrap();
    assert_eq!(saved, "1970-01-01T00:00:00Z build       gcc> a.c:1:2: error: no\n");
}

#[test]
fn a_copy_for_a_program_is_for_its_owner_alone_and_goes_with_the_program() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, runs, run) = a_run();
    write(&runs, &run, "a", (0..5).map(|second| (second, format!("line {second}"))));
    let rows = |row| RowsElsewhere { runs: runs.clone(), of: of(&run, &["a"]), row };
    let (file, line) = copy(&rows(Some(2))).unwrap();
    let text = fs::read_to_string(file.path()).unwrap();
    assert!(text.lines().nth(2).unwrap().ends_with("line 2"), "{text}");
    assert_eq!((text.lines().count(), line), (5, Some(3)));
    assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
    let path = file.path().to_owned();
    drop(file);
    assert!(!path.exists());
    assert_eq!(copy(&rows(None)).unwrap().1, Some(5), "the newest line is in view");
}

#[test]
fn a_file_that_is_there_is_never_overwritten() {
    let (dir, runs, run) = a_run();
    write(&runs, &run, "a", [(0, "one".to_owned()), (1, "one".to_owned())]);
    let path = dir.path().join("saved.log");
    let name = path.to_str().unwrap();
    let folded = RowsOf { folds: true, ..of(&run, &["a"]) };
    let saved = save_in(&runs, &folded, name).unwrap();
    assert_eq!((&saved.path, saved.lines, saved.is_cut), (&path, 2, false));
    let saved = fs::read_to_string(&path).unwrap();
    assert_eq!(saved, "2026-11-21T00:00:00Z build       one (× 2)\n");
    let why = save_in(&runs, &of(&run, &["a"]), name).unwrap_err();
    assert!(why.contains("is there already and stays as it is"), "{why}");
    assert_eq!(fs::read_to_string(&path).unwrap(), saved);
}

/// Returns derivations from lines with their paths and what their files say.
fn derivations(text: &str) -> Vec<KnownDerivation> {
    let known = |line: &str| {
        let (path, text) = line.split_once('\t').unwrap();
        let drv = StorePath::parse(path).unwrap();
        KnownDerivation { drv, read: Derivation::parse(text).unwrap() }
    };
    text.lines().map(known).collect()
}

/// Returns what is told of a host's builds.
fn activity(runs: &Runs, run: &RunId, host: &str) -> ActivityShown {
    let mut reader = ActivityReader::new(runs.clone());
    let wanted =
        PaneWanted { activity: Some(host.to_owned()), ..wanted(&of(run, &[host]), RowsAt::Newest) };
    let news = look(&mut reader, &wanted);
    match &news[..] {
        [LogNews::Activity { shown, .. }] => (**shown).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_nix_did_is_told_from_the_streams_of_the_newest_attempt() {
    let (_dir, runs, run) = a_run();
    assert!(!activity(&runs, &run, "a").is_kept);
    let folder = runs.folder(&run);
    let failed = include_bytes!("../../../../tests/nix-logs/deps-2.26.log");
    fs::write(folder.join("a.build.stream"), failed).unwrap();
    let shown = activity(&runs, &run, "a");
    let failure = shown.failure.unwrap();
    assert!(failure.name.is_some() && failure.said.is_some(), "{failure:?}");
    assert!(shown.builds.iter().any(|row| row.state == BuildState::Failed), "{:?}", shown.builds);
    assert!(shown.shape.is_some_and(|shape| shape.contains("a list")));
    // What needs it is told as soon as the derivations were read.
    let streams = runs.streams(&run, 1 << 30);
    let known = include_str!("../../../../tests/nix-logs/deps-2.26.drvs");
    streams.add_edges("a", &derivations(known)).unwrap();
    let shown = activity(&runs, &run, "a");
    assert_eq!(shown.shape, None);
    assert_eq!(shown.failure.unwrap().needed_by, ["libgit-1.8", "top-1"]);
    assert!(shown.builds.iter().any(|row| row.depth > 0 && row.state == BuildState::Failed));
    // The host was tried again, and its job was begun once more.
    let fetched = include_bytes!("../../../../tests/nix-logs/fetch-2.26.log");
    fs::write(folder.join("a.build.attempt-2.stream"), &failed[..failed.len() / 2]).unwrap();
    fs::write(folder.join("a.build.attempt-2.again-2.stream"), fetched).unwrap();
    fs::write(folder.join("ab.build.stream"), failed).unwrap();
    let shown = activity(&runs, &run, "a");
    assert_eq!(shown.failure, None);
    assert!(!shown.transfers.is_empty());
    assert!(
        shown.transfers.iter().all(|row| row.state == CopyState::Done),
        "{:?}",
        shown.transfers
    );
}
