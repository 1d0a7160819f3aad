//! Runs that travel as one file.

use super::*;
use crate::fleet::{HostResult, LogMark, Outcome, Phase, Progress, RunEvent, RunWhat, StorePath};
use crate::nix::derivation::Derivation;
use crate::record::RemovedWhy;
use crate::record::runs::tidy::FirstError;
use crate::record::{KnownDerivation, RunWriter};
use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::fs::{self, File};

fn runs() -> (tempfile::TempDir, Runs) {
    let dir = tempfile::tempdir().unwrap();
    let runs = Runs::open(dir.path()).unwrap();
    (dir, runs)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn tell(writer: &mut RunWriter, second: i64, what: RunWhat) {
    writer.write(&RunEvent { run: writer.run().clone(), at: at(second), what });
}

/// Returns a derivation that needs another one.
fn top() -> KnownDerivation {
    let path = |name: &str| {
        StorePath::parse(&format!("/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-{name}.drv"))
            .unwrap()
    };
    let inputs = [(path("zlib-1.3"), vec!["out".to_owned()])].into();
    let outputs = [("out".to_owned(), None)].into();
    KnownDerivation { drv: path("top"), read: Derivation { outputs, inputs, local: false } }
}

/// Writes a run with a secret wherever one can stand; returns it.
fn a_run(runs: &Runs, lines: i64) -> RunId {
    let mut writer = runs.begin(None).unwrap().with_limit(20_000);
    let run = writer.run().clone();
    let host = || "samsung".to_owned();
    let title = "switch via-cache".to_owned();
    tell(&mut writer, 0, RunWhat::begin(vec![host()], title));
    for second in 0..lines {
        let line = format!("line {second} of PASSWORD=hunter2");
        tell(&mut writer, second, RunWhat::log(host(), Phase::Build, line));
    }
    let doing = Some("https://me:hunter2@cache.example/nar".to_owned());
    let progress = Progress { doing, ..Progress::default() };
    tell(&mut writer, lines, RunWhat::Progress { host: host(), phase: Phase::Build, progress });
    let result = HostResult {
        duration_ms: 1,
        error: Some("curl -u me https://me:hunter2@cache.example failed".to_owned()),
        ..HostResult::ended(Outcome::Failed)
    };
    tell(&mut writer, lines, RunWhat::Result { host: host(), result });
    let outcomes = BTreeMap::from([(Outcome::Failed, 1)]);
    tell(&mut writer, lines, RunWhat::Summary { outcomes, duration_ms: 1, findings: Vec::new() });
    writer.finish();
    runs.streams(&run, 1 << 20).add_edges("samsung", &[top()]).unwrap();
    let mut journal = runs.begin_journal(&run, 1).unwrap();
    journal.append(at(1), &serde_json::json!({ "token": "hunter2", "host": "samsung" })).unwrap();
    run
}

fn fleet() -> Value {
    serde_json::json!({ "tiers": [{ "url": "https://me:hunter2@cache.example" }] })
}

fn exported(runs: &Runs, run: &RunId, dir: &Path) -> PathBuf {
    let path = dir.join("run.jsonl.gz");
    runs.export(run, fleet(), &KnownSecrets::default(), File::create(&path).unwrap()).unwrap();
    path
}

/// Returns a file's text, decompressed.
fn text(path: &Path) -> String {
    let mut text = String::new();
    GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

/// Writes a text, compressed.
fn packed(path: &Path, text: &str) {
    let mut out = GzEncoder::new(File::create(path).unwrap(), Compression::fast());
    out.write_all(text.as_bytes()).unwrap();
    out.finish().unwrap();
}

#[test]
fn no_secret_leaves_with_a_run() {
    let (dir, runs) = runs();
    let run = a_run(&runs, 3);
    let text = text(&exported(&runs, &run, dir.path()));
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(text.matches("[secret]").count(), 8, "{text}");
    for file in ["events.jsonl", "journal.jsonl", "live.json", "samsung.edges", "samsung.log"] {
        assert!(text.contains(&format!("{{\"file\":\"{file}\"")), "{file} in {text}");
    }
}

#[test]
fn a_secret_that_is_known_leaves_with_no_run_whatever_stands_around_it() {
    let (dir, runs) = runs();
    let mut writer = runs.begin(None).unwrap();
    let run = writer.run().clone();
    let line = "the hook says s3cr3t-Value".to_owned();
    tell(&mut writer, 0, RunWhat::begin(vec!["samsung".to_owned()], "s3cr3t-Value".to_owned()));
    tell(&mut writer, 1, RunWhat::log("samsung".to_owned(), Phase::Build, line));
    writer.finish();
    let mut secrets = KnownSecrets::default();
    secrets.add(&crate::fleet::Secret::new("s3cr3t-Value"));
    let path = dir.path().join("run.jsonl.gz");
    let head = serde_json::json!({ "tiers": [{ "url": "http://s3cr3t-Value" }] });
    runs.export(&run, head, &secrets, File::create(&path).unwrap()).unwrap();
    let text = text(&path);
    assert!(!text.contains("s3cr3t-Value"), "{text}");
    assert_eq!(text.matches("[secret]").count(), 4, "{text}");
}

#[test]
fn a_run_is_elsewhere_what_it_was_here() {
    let (dir, here) = runs();
    for lines in [3, 1000] {
        let run = a_run(&here, lines);
        let path = exported(&here, &run, dir.path());
        let (_dir, there) = runs();
        let head = there.import(&path).unwrap();
        assert_eq!((&head.run, head.version.as_str()), (&run, env!("CARGO_PKG_VERSION")));
        let events = there.decided(&run);
        assert_eq!(events.len(), here.decided(&run).len());
        assert!(matches!(events.last().unwrap().what, RunWhat::Summary { .. }));
        let log = |runs: &Runs| runs.read_log(&run, "samsung", 5000).look().unwrap();
        let (one, other) = (log(&here), log(&there));
        assert_eq!((one.earlier, one.lines.len()), (other.earlier, other.lines.len()));
        let hidden = |line: &LogLine| redact(&line.text).into_owned();
        assert!(one.lines.iter().map(hidden).eq(other.lines.iter().map(hidden)));
        assert_eq!(there.edges(&run, "samsung"), [top()]);
        assert!(!there.is_alive(&run));
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn what_is_no_exported_run_is_named_and_nothing_is_written_elsewhere() {
    let (dir, here) = runs();
    let run = a_run(&here, 3);
    let path = exported(&here, &run, dir.path());
    let whole = text(&path);
    let bytes = fs::read(&path).unwrap();
    let import = |path: &Path| runs().1.import(path).unwrap_err().to_string();
    fs::write(&path, &bytes[..40]).unwrap();
    assert!(import(&path).contains("is not a run"), "{}", import(&path));
    let head: String = whole.split_inclusive('\n').take(1).collect();
    packed(&path, &head);
    assert!(import(&path).contains("cut short, and nothing"), "{}", import(&path));
    packed(&path, &whole.replace("\"nixdash_run\":2", "\"nixdash_run\":3"));
    assert!(import(&path).contains("does not know"));
    for odd in [
        "../evil.log",
        "/tmp/evil.log",
        "process",
        ".ssh.log",
        "tail-x/a.log",
        "a/b.log",
        "tail-1/events.jsonl",
        "tail-1/samsung.edges",
        "tail-1/samsung.build.stream",
        "tail-1/logs-removed.json",
        ".edges",
    ] {
        packed(&path, &whole.replace("\"samsung.log\"", &format!("\"{odd}\"")));
        assert!(import(&path).contains("no run has a file"), "{odd}: {}", import(&path));
    }
    packed(&path, &whole.replace("\"run\":\"1\"", "\"run\":\"../1\""));
    assert!(import(&path).contains("no number"));
    for text in ["", "hello", "{}", "[1]", "null\n"] {
        packed(&path, text);
        assert!(import(&path).contains("is not a run that nixdash exported"), "{text}");
    }
    fs::write(&path, "not compressed").unwrap();
    assert!(import(&path).contains("exported: it is not compressed, and the file of a run is"));
    let missing =
        here.export(&RunId("99".to_owned()), Value::Null, &KnownSecrets::default(), Vec::new());
    let missing = missing.unwrap_err();
    assert!(missing.to_string().contains("no record of run 99"), "{missing}");
}

#[test]
fn of_a_damaged_file_what_can_be_read_is_shown_and_what_cannot_is_named() {
    let (dir, here) = runs();
    let run = a_run(&here, 1000);
    let path = exported(&here, &run, dir.path());
    let (whole, bytes) = (text(&path), fs::read(&path).unwrap());
    let import = |path: &Path| {
        let (_dir, there) = runs();
        let head = there.import(path).unwrap();
        assert!(!there.decided(&run).is_empty(), "what is there is shown");
        head.damage
    };
    assert_eq!(import(&path), []);
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let written = lines.len() as u64 - 2;

    fs::write(&path, &bytes[..bytes.len() - 200]).unwrap();
    let damage = import(&path);
    assert!(matches!(damage[..], [ExportDamage::Cut { after }] if after > 1), "{damage:?}");
    packed(&path, &lines[..4].concat());
    assert_eq!(import(&path), [ExportDamage::Cut { after: 4 }]);
    // The checksum stands in the last eight bytes.
    let mut changed = bytes.clone();
    let at = changed.len() - 6;
    changed[at] ^= 1;
    fs::write(&path, &changed).unwrap();
    assert_eq!(import(&path), [ExportDamage::Changed]);

    let lost: String = [&lines[..9], &lines[12..]].concat().concat();
    packed(&path, &lost);
    assert_eq!(import(&path), [ExportDamage::Counted { written, read: written - 3 }]);
    let mut odd = lines.clone();
    odd[4] = "no JSON\n";
    let torn = lines[2].replace("\\\"at\\\"", "");
    odd[2] = &torn;
    packed(&path, &odd.concat());
    let (line, file) = (3, EVENTS.to_owned());
    assert_eq!(
        import(&path),
        [ExportDamage::NoDocument { line, file }, ExportDamage::NoLine { line: 5 }]
    );
    let none: String = lines.iter().map(|_| "no JSON\n").collect();
    packed(&path, &format!("{}{none}", lines[0]));
    let (_dir, there) = runs();
    let error = there.import(&path).unwrap_err().to_string();
    assert!(error.contains("nothing of the run can be read: line 2 is not"), "{error}");
}

#[test]
fn texts_of_a_file_from_elsewhere_are_made_printable() {
    let (dir, here) = runs();
    let run = a_run(&here, 3);
    let path = exported(&here, &run, dir.path());
    let odd = text(&path)
        .replace("line 1 of", "\\u001b]0;title\\u0007line 1 of")
        .replace("switch via-cache", "\\\\u001b[31mswitch via-cache");
    packed(&path, &odd);
    let (_dir, there) = runs();
    there.import(&path).unwrap();
    for file in ["events.jsonl", "samsung.log"] {
        let text = fs::read_to_string(there.folder(&run).join(file)).unwrap();
        assert!(!text.contains("u001b") && !text.contains('\u{1b}'), "{text}");
    }
}

#[test]
fn a_log_that_is_damaged_is_exported_as_far_as_it_can_be_read() {
    let (dir, here) = runs();
    let mut writer = here.begin(None).unwrap();
    let run = writer.run().clone();
    tell(&mut writer, 0, RunWhat::begin(vec!["samsung".to_owned()], "switch".to_owned()));
    for second in 0..20_000 {
        let line = format!("line {second}");
        tell(&mut writer, second, RunWhat::log("samsung".to_owned(), Phase::Build, line));
    }
    let outcomes = BTreeMap::from([(Outcome::Failed, 1)]);
    tell(&mut writer, 1, RunWhat::Summary { outcomes, duration_ms: 1, findings: Vec::new() });
    writer.finish();
    let other = here.folder(&run).join("p620.log");
    fs::copy(here.folder(&run).join("samsung.log"), &other).unwrap();
    here.pack_whole(&run);
    let packed_log = here.folder(&run).join("samsung.log.zst");
    let mut bytes = fs::read(&packed_log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 200].fill(0xaa);
    fs::write(&packed_log, bytes).unwrap();
    fs::write(here.folder(&run).join("p620.log.zst"), "what is this").unwrap();
    let path = dir.path().join("run.jsonl.gz");
    let out = File::create(&path).unwrap();
    let written = here.export(&run, fleet(), &KnownSecrets::default(), out).unwrap();
    let [none, some] = &written.unread[..] else { panic!("{:?}", written.unread) };
    assert!(none.line == 0 && none.path.ends_with("p620.log"), "{none:?}");
    assert!(some.line > 1_000 && some.path.ends_with("samsung.log"), "{some:?}");
    let (_dir, there) = runs();
    assert_eq!(there.import(&path).unwrap().damage, []);
    assert_eq!(there.decided(&run).len(), 2);
    let read = there.read_log(&run, "samsung", 30_000).look().unwrap().lines;
    let (mark, lines) = read.split_last().unwrap();
    assert_eq!(lines.len() as u64, some.line);
    let last = format!("samsung.log cannot be read behind line {} (", some.line);
    assert!(mark.text.contains(&last) && mark.at == lines.last().unwrap().at, "{mark:?}");
}

#[test]
fn what_takes_no_more_is_named_as_the_file_that_is_written() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (_dir, here) = runs();
    let run = a_run(&here, 3);
    let error = here.export(&run, fleet(), &KnownSecrets::default(), Full).unwrap_err();
    assert!(error.to_string().starts_with("could not write the file of run 1: "), "{error}");
}

#[test]
fn what_jobs_printed_is_elsewhere_with_its_times_and_without_secrets() {
    let (dir, here) = runs();
    let run = a_run(&here, 3);
    let line = |number: u64| {
        let text = format!("\u{1b}[31mnumber {number}\u{1b}[0m of token=hunter2 s3cr3t-Value");
        let said = serde_json::json!({ "action": "msg", "id": u64::MAX, "msg": text });
        format!("@nix {said}\n")
    };
    let mut stream = here.streams(&run, 1 << 20).begin_anew("samsung", "build").unwrap();
    for number in 0..20_u64 {
        let text = line(number);
        stream.append(text.as_bytes()).unwrap();
        let second = i64::try_from(number).unwrap();
        stream.note_time(at(10 + 2 * second));
        if number == 9 {
            // A mark within a line, of which the rest comes later.
            stream.append(b"no JSON of PASSWORD=hunter2 ").unwrap();
            stream.note_time(at(29));
            stream.append(b"and \xff more\n").unwrap();
        }
    }
    stream.append(b"@nix {torn").unwrap();
    drop(stream);
    let mut secrets = KnownSecrets::default();
    secrets.add(&crate::fleet::Secret::new("s3cr3t-Value"));
    let path = dir.path().join("run.jsonl.gz");
    here.export(&run, fleet(), &secrets, File::create(&path).unwrap()).unwrap();
    let exported = text(&path);
    assert!(!exported.contains("hunter2") && !exported.contains("s3cr3t-Value"), "{exported}");
    let (_dir, there) = runs();
    assert_eq!(there.import(&path).unwrap().damage, []);
    let [(name, stream)] = &there.kept_streams(&run, "samsung")[..] else { panic!("one stream") };
    assert_eq!(name, "build");
    let text = io::read_to_string(stream.reader()).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    assert_eq!(lines.len(), 21, "{text}");
    let said: Value = serde_json::from_str(lines[19].strip_prefix("@nix ").unwrap()).unwrap();
    assert_eq!(said["msg"], "number 18 of token=[secret] [secret]");
    assert_eq!(said["id"], u64::MAX);
    assert_eq!(lines[10], "no JSON of PASSWORD=[secret] and \u{fffd} more\n");
    // When each line was written, told from the bytes that stand there.
    let written = |runs: &Runs| {
        let marks = runs.stream_marks(&run, "samsung", "build");
        let [(_, stream)] = &runs.kept_streams(&run, "samsung")[..] else { panic!("one stream") };
        let mut bytes = Vec::new();
        stream.reader().read_to_end(&mut bytes).unwrap();
        let ends = memchr::memchr_iter(b'\n', &bytes).map(|end| end as u64 + 1);
        ends.map(|end| LogMark::written_at(&marks, end)).collect::<Vec<_>>()
    };
    assert_eq!(written(&there), written(&here));
    assert_eq!(written(&there)[3], Some(at(16)));
}

#[test]
fn that_logs_were_removed_is_told_elsewhere_too() {
    let (dir, here) = runs();
    let run = a_run(&here, 3);
    let mut failed = FirstError::default();
    here.remove_logs(&here.old_logs(&run), RemovedWhy::Age, at(9), &mut failed);
    failed.result().unwrap();
    let (_dir, there) = runs();
    there.import(&exported(&here, &run, dir.path())).unwrap();
    assert!(here.removed_logs(&run).is_some());
    assert_eq!(there.removed_logs(&run), here.removed_logs(&run));
}

/// Takes what is written, and removes the logs of a run when the first of it comes.
struct RemovesLogs<'a> {
    runs: &'a Runs,
    run: &'a RunId,
    bytes: Vec<u8>,
}

impl Write for RemovesLogs<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.is_empty() {
            let mut failed = FirstError::default();
            let logs = self.runs.old_logs(self.run);
            self.runs.remove_logs(&logs, RemovedWhy::Age, at(9), &mut failed);
        }
        self.bytes.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn that_logs_are_removed_while_their_run_is_exported_is_in_the_file() {
    let (_dir, runs) = runs();
    // Random words: what is compressed is written while the logs are read.
    let run = a_run(&runs, 10);
    let events = runs.folder(&run).join(EVENTS);
    let mut more = fs::read_to_string(&events).unwrap();
    let mut word = 1_u64;
    for _ in 0..20_000 {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let title = format!("{word:x}");
        let event =
            RunEvent { run: run.clone(), at: at(1), what: RunWhat::begin(Vec::new(), title) };
        more += &(serde_json::to_string(&event).unwrap() + "\n");
    }
    fs::write(&events, more).unwrap();
    let mut out = RemovesLogs { runs: &runs, run: &run, bytes: Vec::new() };
    runs.export(&run, fleet(), &KnownSecrets::default(), &mut out).unwrap();
    let mut text = String::new();
    GzDecoder::new(&out.bytes[..]).read_to_string(&mut text).unwrap();
    assert!(!text.contains("\"file\":\"samsung.log\""), "they are gone");
    assert!(text.contains(&format!("\"file\":\"{REMOVED}\"")), "and that is told");
}

#[test]
fn a_run_that_nobody_could_open_is_not_exported() {
    let (_dir, runs) = runs();
    let run = a_run(&runs, 100);
    let within = |room| {
        let mut out = Vec::new();
        runs.export_within(room, &run, fleet(), &KnownSecrets::default(), &mut out).map(drop)
    };
    within((1 << 20, 1 << 20)).unwrap();
    // Only logs are kept within max_run_size.
    for (room, setting) in [((5_000, 1 << 20), true), ((1 << 20, 1_000), false)] {
        let error = within(room).unwrap_err().to_string();
        assert!(error.contains("too large for one file"), "{error}");
        assert!(error.contains(&format!("`nixdash logs {run}` shows")), "{error}");
        assert_eq!(error.contains("max_run_size"), setting, "{error}");
        assert_eq!(error.contains("is always kept"), !setting, "{error}");
    }
}

#[test]
fn a_host_names_no_file_outside_of_its_run() {
    let (dir, runs) = runs();
    let run = a_run(&runs, 1);
    fs::write(dir.path().join("secret.log"), "of somebody else\n").unwrap();
    for up in 1..4 {
        let host = format!("{}secret", "../".repeat(up));
        assert!(runs.read_log(&run, &host, 10).look().is_none(), "{host}");
    }
}
