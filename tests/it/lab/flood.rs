//! A build that prints much and fast, while nixdash is killed again and again: every line is in the run's
//! log, and none is there twice.

use super::attack::{bump_broken, fresh, repair};
use super::{Lab, assert_ok};
use nixdash::fleet::RunId;
use nixdash::record::Runs;
use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// How many lines the build prints, 25,000 a second.
const LINES: u32 = 300_000;

/// How often nixdash is killed.
const KILLS: u32 = 10;

impl Lab {
    /// Begins to go on with the only run.
    fn going_on(&self) -> Child {
        let mut command = self.nixdash(&["reattach", "--json"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Returns how many lines of the build the run's log has.
    fn lines_so_far(&self) -> u64 {
        let runs = Runs::open(&self.state.path().join("nixdash")).unwrap();
        let lines = |run: &RunId| {
            let mut log = runs.numbered_log(run, "samsung");
            log.look().unwrap();
            log.count()
        };
        runs.list().unwrap().iter().map(lines).sum()
    }
}

/// Returns the number of a line of the build, in any of its three forms.
fn number_of(line: &str) -> Option<u32> {
    let (_, said) = line.split_once("fleet-tools> ")?;
    let digits = if let Some(rest) = said.strip_prefix("loud ") {
        rest.split(' ').next()?
    } else if let Some(rest) = said.strip_prefix("gcc -O2 -c part") {
        rest.split(".c").next()?
    } else {
        said.split_once("src/fleet-tools/part")?.1.strip_suffix(".c: unused variable")?
    };
    digits.parse().ok()
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn of_a_flood_no_line_is_lost_and_none_is_there_twice_when_nixdash_is_killed_ten_times() {
    let fleet = fresh("samsung");
    bump_broken("samsung", &["loud", &LINES.to_string()]);
    let mut child = fleet.deploying(&["samsung"]);
    let mut seen = 0;
    for kill in 1..=KILLS {
        // Each time when more of the build has come than the time before.
        let began = Instant::now();
        while fleet.lines_so_far() <= seen && child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(120), "nothing comes after {kill} kills");
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(u64::from(kill * 37 % 100)));
        assert!(child.try_wait().unwrap().is_none(), "it ended before {kill} kills");
        child.kill().unwrap();
        child.wait().unwrap();
        seen = fleet.lines_so_far();
        child = fleet.going_on();
    }
    assert!(child.wait().unwrap().success());
    let output = fleet.nixdash(&["logs", "last", "samsung", "--phase", "build"]).output().unwrap();
    assert_ok(&output);
    let mut times: BTreeMap<u32, u32> = BTreeMap::new();
    for number in String::from_utf8_lossy(&output.stdout).lines().filter_map(number_of) {
        *times.entry(number).or_default() += 1;
    }
    let missing: Vec<u32> = (1..=LINES).filter(|number| !times.contains_key(number)).collect();
    let twice: Vec<_> = times.iter().filter(|(_, count)| **count > 1).collect();
    let few = |all: usize| format!("{all} of {LINES}");
    assert!(
        missing.is_empty(),
        "{} lost: {:?} …",
        few(missing.len()),
        &missing[..missing.len().min(9)]
    );
    assert!(twice.is_empty(), "{} twice: {:?} …", few(twice.len()), &twice[..twice.len().min(9)]);
    repair(&fleet, "samsung");
}
