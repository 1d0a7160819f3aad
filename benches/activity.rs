//! How many lines a second of Nix's internal-json are folded, on one core.
//!
//! `cargo bench --bench activity` folds two streams of a million lines that it makes itself: one
//! nearly all progress, as Nix writes it while it copies, and one of nine tenths build output with
//! colours and long lines. `cargo bench --bench activity -- FILE` folds a recording. Three columns:
//! reading the lines only, folding them, and folding them with every line made printable, as a run's
//! log has it.

use nixdash::nix::activity::ActivityLog;
use nixdash::nix::internal_json::{JsonLine, parse_line};
use std::error::Error;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How many lines each stream has.
const LINES: usize = 1_000_000;

/// How often each stream is folded; the fastest counts.
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let files: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    println!(
        "{:<24} {:>9} {:>7} {:>12} {:>12} {:>12}",
        "lines/s", "lines", "MB", "read", "fold", "printable"
    );
    for file in &files {
        measure(file, &String::from_utf8_lossy(&std::fs::read(file)?));
    }
    if files.is_empty() {
        measure("progress of copies", &progress()?);
        measure("build output", &output()?);
    }
    Ok(())
}

/// Folds a stream and prints how fast that went.
fn measure(name: &str, stream: &str) {
    let lines = stream.lines().count();
    let read = fastest(|| {
        let plain = stream.lines().filter(|line| matches!(parse_line(line), JsonLine::Plain(_)));
        black_box(plain.count());
    });
    let fold = fastest(|| {
        let mut log = ActivityLog::new();
        for (number, line) in (0..).zip(stream.lines()) {
            log.fold(line, Some(Duration::from_micros(number)), &mut |piece| {
                black_box(piece);
            });
        }
        black_box(log.progress());
    });
    let printable = fastest(|| {
        let mut log = ActivityLog::new();
        for line in stream.lines() {
            black_box(log.feed(line));
        }
        black_box(log.progress());
    });
    let per_second = |took: Duration| format!("{:.2} M", lines as f64 / took.as_secs_f64() / 1e6);
    let [read, fold, printable] = [read, fold, printable].map(per_second);
    let size = stream.len() / 1_000_000;
    println!("{name:<24} {lines:>9} {size:>7} {read:>12} {fold:>12} {printable:>12}");
}

/// Returns the shortest time of some rounds.
fn fastest(mut work: impl FnMut()) -> Duration {
    let rounds = (0..ROUNDS).map(|_| {
        let began = Instant::now();
        work();
        began.elapsed()
    });
    rounds.min().unwrap_or_default()
}

/// Makes a stream that is nearly all progress: sixteen paths at a time.
fn progress() -> Result<String, std::fmt::Error> {
    const BASE: usize = 281_474_976_710_656;
    let mut stream = String::new();
    writeln!(
        stream,
        r#"@nix {{"action":"start","id":{BASE},"level":0,"parent":0,"text":"","type":103}}"#
    )?;
    for line in 0..LINES {
        let (round, slot) = (line / 3200, line % 16);
        let id = BASE + 1 + round * 16 + slot;
        let at = line % 3200 / 16;
        match at {
            0 => writeln!(
                stream,
                r#"@nix {{"action":"start","fields":["/nix/store/{id:032}-package-{id}","https://cache.nixos.org","local"],"id":{id},"level":3,"parent":0,"text":"copying path '/nix/store/{id:032}-package-{id}' from 'https://cache.nixos.org'","type":100}}"#
            )?,
            199 => writeln!(stream, r#"@nix {{"action":"stop","id":{id}}}"#)?,
            _ => writeln!(
                stream,
                r#"@nix {{"action":"result","fields":[{},3145728,0,0],"id":{id},"type":105}}"#,
                at * 16_384
            )?,
        }
    }
    Ok(stream)
}

/// Makes a stream of nine tenths build output: compilers' command lines, warnings with colours.
fn output() -> Result<String, std::fmt::Error> {
    const BASE: usize = 281_474_976_710_656;
    const FLAGS: &str = "-O2 -fPIC -Wall -Wformat -Wformat-security -D_FORTIFY_SOURCE=3 -I/build/source/include -I/nix/store/0fw1bfyqd91wy1ww7ch76cjs3sf33mw5-zstd-1.5.7/include";
    let mut stream = String::new();
    for build in 0..8 {
        writeln!(
            stream,
            r#"@nix {{"action":"start","fields":["/nix/store/{build:032}-package-{build}-1.0.drv","",1,1],"id":{},"level":3,"parent":0,"text":"building","type":105}}"#,
            BASE + build
        )?;
    }
    for line in 0..LINES - 16 {
        let id = BASE + line % 8;
        match line % 20 {
            0 => writeln!(
                stream,
                r#"@nix {{"action":"result","fields":["buildPhase"],"id":{id},"type":104}}"#
            )?,
            1 => writeln!(
                stream,
                r#"@nix {{"action":"result","fields":[{line},2000000,8,0],"id":{BASE},"type":105}}"#
            )?,
            2..5 => writeln!(
                stream,
                r#"@nix {{"action":"result","fields":["\u001b[01m\u001b[Ksrc/part{line}.c:118:17:\u001b[m\u001b[K \u001b[01;35m\u001b[Kwarning: \u001b[m\u001b[Kunused variable \u2018n\u2019"],"id":{id},"type":101}}"#
            )?,
            _ => writeln!(
                stream,
                r#"@nix {{"action":"result","fields":["[{line}/1000000] gcc {FLAGS} -c src/part{line}.c -o build/part{line}.o"],"id":{id},"type":101}}"#
            )?,
        }
    }
    for build in 0..8 {
        writeln!(stream, r#"@nix {{"action":"stop","id":{}}}"#, BASE + build)?;
    }
    Ok(stream)
}
