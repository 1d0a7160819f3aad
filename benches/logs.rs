//! How fast a finished log is on a screen, and searched: plain, and compressed as it is kept.
//!
//! `cargo bench --bench logs` writes a run with a log of ten million lines of ordinary build output into a
//! temporary folder (about 1 GB; `-- LINES` for another count), then measures the first screen, a line far
//! inside, and searches of the whole log, each on the plain file and on the compressed one. What ripgrep
//! (`rg -j1`, or the program that `RG` names; `grep` where there is none) needs for the same search on the
//! plain file stands beside it. Each figure is the best of five; the file is in the kernel's memory.

use jiff::Timestamp;
use nixdash::fleet::{Phase, Retention, RunEvent, RunId, RunWhat};
use nixdash::record::{LineLevel, LogPattern, Runs, SearchDirection, SearchNews};
use std::collections::BTreeMap;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How many lines the log has.
const LINES: u64 = 10_000_000;

/// How often everything is measured.
const ROUNDS: usize = 5;

/// The lines of a screen.
const SCREEN: u64 = 50;

/// What is searched for: what stands nowhere, in one of a million lines, in one of a thousand, and without
/// regard to capitals.
const WORDS: [&str; 4] = ["Unobtainium", "Needle", "Thousandth", "needle"];

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let lines = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(LINES);
    let dir = tempfile::tempdir()?;
    let runs = Runs::open(dir.path())?;
    let began = Instant::now();
    let run = write(&runs, lines)?;
    let log = runs.logs(&run, "p620").remove(0);
    let size = log.metadata()?.len();
    println!(
        "{lines} lines, {} MB, written in {:.1} s",
        size / 1_000_000,
        began.elapsed().as_secs_f64()
    );
    let plain = measure(&runs, &run, lines)?;
    let others: Vec<Duration> =
        WORDS.iter().map(|word| fastest(|| other(word, &log))).collect::<Result<_, _>>()?;
    let began = Instant::now();
    runs.tidy(Some(&run), None, &Retention::default(), Timestamp::now())?;
    let took = began.elapsed().as_secs_f64();
    let packed_size = runs.logs(&run, "p620").remove(0).metadata()?.len();
    println!("compressed to {} MB in {took:.1} s", packed_size / 1_000_000);
    let packed = measure(&runs, &run, lines)?;
    println!("\n{:<24} {:>12} {:>12} {:>12}", "", "plain", "compressed", "ripgrep");
    let names = ["first screen", "line nine tenths in", "next error", "filter, line by line"];
    for (place, name) in names.into_iter().enumerate() {
        println!("{name:<24} {:>12} {:>12}", text(plain[place]), text(packed[place]));
    }
    for (place, word) in WORDS.iter().enumerate() {
        let (plain, packed) = (plain[names.len() + place], packed[names.len() + place]);
        let other = others[place];
        let share = |took: Duration| other.as_secs_f64() / took.as_secs_f64();
        println!(
            "search {word:<17} {:>12} {:>12} {:>12}   {:.2} x   {:.2} x",
            text(plain),
            text(packed),
            text(other),
            share(plain),
            share(packed)
        );
    }
    Ok(())
}

/// Writes a run of which nothing more comes.
fn write(runs: &Runs, lines: u64) -> Result<RunId, Failure> {
    let mut writer = runs.begin(None)?.with_limit(1 << 40);
    let run = writer.run().clone();
    let begin = RunWhat::begin(vec!["p620".to_owned()], "switch via-cache".to_owned());
    writer.write(&RunEvent { run: run.clone(), at: Timestamp::now(), what: begin });
    let mut seed = 88_172_645_463_325_252_u64;
    for number in 0..lines {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let at = Timestamp::from_second(1_795_262_400 + (number / 1000).cast_signed())?;
        let what = RunWhat::log("p620".to_owned(), Phase::Build, line(number, seed));
        writer.write(&RunEvent { run: run.clone(), at, what });
        if number % 10_000 == 0 {
            writer.flush()?;
        }
    }
    let (outcomes, findings) = (BTreeMap::new(), Vec::new());
    let what = RunWhat::Summary { outcomes, duration_ms: 1, findings };
    writer.write(&RunEvent { run: run.clone(), at: Timestamp::now(), what });
    writer.finish();
    Ok(run)
}

/// Makes a line of a build.
fn line(number: u64, seed: u64) -> String {
    let (a, b, c) = (seed % 97, seed % 9973, seed % 1009);
    if number % 1_000_000 == 777_777 {
        return format!(
            "llvm> lib/Target/part{b}.cpp:{c}:7: error: no member named 'Needle' in 'X{a}'"
        );
    }
    if number % 1000 == 500 {
        return format!("llvm> -- Performing Test Thousandth_{b} - Success");
    }
    match seed % 5 {
        0 => format!("linux>   CC      drivers/net/wireless/vendor{a}/file{b}.o"),
        1 => format!("firefox> gcc -O2 -fPIC -Wall -Iinclude -c src/part{b}.c -o build/part{c}.o"),
        2 => format!(
            "llvm> [{}/7000] Building CXX object lib/Target/X86/{seed:x}.cpp.o",
            number % 7000
        ),
        3 => format!("rustc>    Compiling crate-{c} v{}.{}.{}", a % 3, b % 17, c % 31),
        _ => format!("python3> test_{a}_{c} (test.test_{b}.Case.test_{c}) ... ok"),
    }
}

/// Measures a log: first screen, a line far inside, the next error from there, a filter, and each search.
fn measure(runs: &Runs, run: &RunId, lines: u64) -> Result<Vec<Duration>, Failure> {
    let (far, forward) = (lines / 10 * 9, SearchDirection::Forward);
    let opened = || {
        let mut log = runs.numbered_log(run, "p620");
        log.look().map(|_| log)
    };
    let mut took = vec![fastest(|| {
        let shown = opened()?.lines(lines - SCREEN..lines)?;
        check(shown.len() as u64 == SCREEN, "the last lines")
    })?];
    let log = opened()?;
    took.push(fastest(|| {
        let shown = log.lines(far..far + SCREEN)?;
        check(shown.len() as u64 == SCREEN, "the lines far inside")
    })?);
    took.push(fastest(|| {
        let error = log.next_of(LineLevel::Error, far, forward)?;
        check(error.is_some() == (lines >= 1_000_000), "an error")
    })?);
    // As a filter of the screen finds its lines: from each to the next.
    took.push(fastest(|| {
        let pattern = LogPattern::substring("Thousandth")?;
        let (mut from, mut hits) = (0, 0);
        loop {
            let mut next = None;
            let _ended = log.search(&pattern, from, forward, &mut |news| match news {
                SearchNews::Hit(line) => {
                    next = Some(line + 1);
                    ControlFlow::Break(())
                }
                SearchNews::Searched { .. } => ControlFlow::Continue(()),
            })?;
            match next {
                Some(next) => (from, hits) = (next, hits + 1),
                None => return check(hits == lines / 1000, "the lines of a filter"),
            }
        }
    })?);
    for word in WORDS {
        let pattern = LogPattern::substring(word)?;
        let wanted = match word {
            "Needle" | "needle" => lines / 1_000_000,
            "Thousandth" => lines / 1000,
            _ => 0,
        };
        took.push(fastest(|| {
            let mut hits = 0;
            let _ended = log.search(&pattern, 0, forward, &mut |news| {
                hits += u64::from(matches!(news, SearchNews::Hit(_)));
                ControlFlow::Continue(())
            })?;
            check(hits == wanted, word)
        })?);
    }
    Ok(took)
}

/// Counts the lines with a word in a file by another program.
fn other(word: &str, log: &Path) -> Result<(), Failure> {
    let rg = std::env::var_os("RG").map_or_else(|| PathBuf::from("rg"), PathBuf::from);
    let insensitive = (!word.contains(char::is_uppercase)).then_some("-i");
    let run = |program: &Path, options: &[&str]| {
        let mut command = Command::new(program);
        command.args(options).args(insensitive).args(["-c", "-F", word]).arg(log);
        command.stdout(Stdio::null()).env("LC_ALL", "C").status()
    };
    if run(&rg, &["-j1"]).is_err() {
        run(Path::new("grep"), &[])?;
    }
    Ok(())
}

fn check(is_right: bool, what: &str) -> Result<(), Failure> {
    if is_right { Ok(()) } else { Err(format!("{what}: another result than was written").into()) }
}

/// Returns the shortest time of some rounds.
fn fastest(mut work: impl FnMut() -> Result<(), Failure>) -> Result<Duration, Failure> {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        work()?;
        best = best.min(began.elapsed());
    }
    Ok(best)
}

fn text(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1000.0)
}
