//! The fault matrix: every fault in every phase in which it makes sense, injected at the moment at which
//! `nixdash deploy --json` says that the phase begins. Afterwards the truth about the host (what runs,
//! /etc, profile, boot default, units; and all of it again after a power cut) has to equal the account
//! that the run gave, and the run has to have ended in time.
//!
//! `tests/run.sh matrix` runs all of it on a fleet of its own and prints the table; CI runs [`FIXED`].
//! Faults of one host, and of nixdash, are tried on as many hosts at once as the fleet has to spare;
//! those of the builder and of its cache one after the other.
//!
//! `NIXDASH_MATRIX=partition-5s,killed/fetch` runs only these faults or pairs; `NIXDASH_MATRIX_TABLE`
//! names a file for the table.

mod fault;
mod pair;
mod phase;
mod table;

use super::attack::reset_to_first;
use super::{Lab, assert_ok, lab, on};
use fault::{FAULTS, Fault};
use pair::Cell;
use phase::{PHASES, Phase};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

/// One fault in one phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    fault: Fault,
    phase: Phase,
}

impl Pair {
    /// Returns how the pair is written, `killed/fetch`.
    fn name(self) -> String {
        format!("{}/{}", self.fault.name(), self.phase.name())
    }
}

/// What CI tries: each phase, and each fault but those of [`LEFT_OUT`], where it found something or is
/// likeliest to.
const FIXED: [(Fault, Phase); 26] = [
    (Fault::SshCut, Phase::Activate),
    (Fault::SshCut, Phase::Fetch),
    (Fault::PartitionFiveSeconds, Phase::Activate),
    (Fault::PartitionFiveSeconds, Phase::Check),
    (Fault::SshdStopped, Phase::Acknowledge),
    (Fault::PowerCycle, Phase::Activate),
    (Fault::PowerCycle, Phase::Fetch),
    (Fault::PowerCycle, Phase::Settle),
    (Fault::PowerCycle, Phase::Persist),
    (Fault::BuilderCut, Phase::Build),
    (Fault::TierDown, Phase::Fetch),
    (Fault::CorruptNar, Phase::Verify),
    (Fault::WrongKey, Phase::Publish),
    (Fault::SecondOperator, Phase::Activate),
    (Fault::Killed, Phase::Build),
    (Fault::Killed, Phase::Fetch),
    (Fault::Killed, Phase::Activate),
    (Fault::Killed, Phase::Settle),
    (Fault::Killed, Phase::Persist),
    (Fault::CtrlC, Phase::Fetch),
    (Fault::Term, Phase::Settle),
    (Fault::Hup, Phase::Evaluate),
    (Fault::Stop, Phase::Evaluate),
    (Fault::Stop, Phase::Acknowledge),
    (Fault::Gc, Phase::Fetch),
    (Fault::NixosRebuild, Phase::Settle),
];

/// What only the whole matrix tries, since each of these takes minutes: the host or its disk stays as it is
/// until the deploy has given up, and is put right afterwards.
const LEFT_OUT: [Fault; 4] =
    [Fault::PartitionForEver, Fault::PowerOff, Fault::DiskFull, Fault::BuilderDiskFull];

#[test]
#[ignore = "needs a practice fleet of more hosts: tests/run.sh"]
fn fixed() {
    run(FIXED.map(|(fault, phase)| Pair { fault, phase }).to_vec());
}

#[test]
#[ignore = "needs a practice fleet of more hosts: tests/run.sh matrix"]
fn whole() {
    run(all());
}

#[test]
fn the_fixed_part_is_of_the_matrix_and_has_every_phase_and_fault_but_the_long_ones() {
    let all = all();
    for (fault, phase) in FIXED {
        let pair = Pair { fault, phase };
        assert!(all.contains(&pair), "{} makes no sense", pair.name());
    }
    for phase in PHASES {
        assert!(FIXED.iter().any(|(_, fixed)| *fixed == phase), "{phase:?}");
    }
    for fault in FAULTS {
        let is_tried = FIXED.iter().any(|(fixed, _)| *fixed == fault);
        assert_ne!(is_tried, LEFT_OUT.contains(&fault), "{}", fault.name());
    }
    assert!(all.len() > 120, "{}", all.len());
}

/// Returns every pair that makes sense.
fn all() -> Vec<Pair> {
    let pairs = FAULTS.iter().flat_map(|fault| PHASES.map(|phase| Pair { fault: *fault, phase }));
    pairs.filter(|pair| pair.fault.makes_sense_in(pair.phase)).collect()
}

/// Returns whether a pair was asked for.
fn is_wanted(pair: Pair, asked: &str) -> bool {
    asked.split(',').any(|word| word == pair.fault.name() || word == pair.name())
}

/// Tries the pairs, prints the table, and fails when an account was untrue.
fn run(mut pairs: Vec<Pair>) {
    if let Ok(asked) = std::env::var("NIXDASH_MATRIX") {
        pairs.retain(|pair| is_wanted(*pair, &asked));
    }
    let hosts = spare_hosts();
    assert!(!hosts.is_empty(), "the fleet has no nodes: nixdash lab up --hosts 8");
    heal(&hosts);
    let alone: Vec<Pair> = pairs.iter().copied().filter(|pair| pair.fault.is_shared()).collect();
    let many: VecDeque<Pair> =
        pairs.iter().copied().filter(|pair| !pair.fault.is_shared()).collect();
    let cells = Mutex::new(BTreeMap::new());
    let todo = Mutex::new(many);
    let next = || todo.lock().unwrap().pop_front();
    std::thread::scope(|scope| {
        for host in &hosts {
            let (next, cells) = (&next, &cells);
            scope.spawn(move || {
                while let Some(pair) = next() {
                    try_one(pair, host, cells);
                }
            });
        }
    });
    for (place, pair) in alone.into_iter().enumerate() {
        try_one(pair, &hosts[place % hosts.len()], &cells);
    }
    let cells = cells.into_inner().unwrap();
    let table = table::markdown(&cells);
    println!("{table}");
    if let Ok(file) = std::env::var("NIXDASH_MATRIX_TABLE") {
        std::fs::write(file, &table).unwrap();
    }
    let bad = cells.iter().filter(|(_, cell)| !cell.is_good());
    let bad: Vec<String> =
        bad.map(|(pair, cell)| format!("{}: {}", pair.name(), cell.why())).collect();
    assert!(
        bad.is_empty(),
        "{} of {} pairs are wrong:\n{}",
        bad.len(),
        cells.len(),
        bad.join("\n")
    );
}

/// Tries one pair and notes what came of it.
fn try_one(pair: Pair, host: &str, cells: &Mutex<BTreeMap<Pair, Cell>>) {
    let cell = pair::attack(pair, host);
    println!("{:<32} {:<8} {}", pair.name(), host, cell.line());
    let is_good = cell.is_good();
    cells.lock().unwrap().insert(pair, cell);
    if !is_good {
        // The next pair begins with a whole host, whatever this one left.
        let _again = std::panic::catch_unwind(|| {
            pair.fault.take_back(host);
            reset_to_first(host);
        });
    }
}

/// Returns the hosts beside the four, which no other test uses.
fn spare_hosts() -> Vec<String> {
    let output = lab(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let names = status["hosts"].as_array().unwrap().iter().filter_map(|host| host["name"].as_str());
    names.filter(|name| name.starts_with("node")).map(str::to_owned).collect()
}

/// Heals the hosts, the builder and its cache of what an earlier test left.
fn heal(hosts: &[String]) {
    for host in hosts.iter().map(String::as_str).chain(["p620", "cache"]) {
        assert_ok(&lab(&["fault", host, "clear"]));
    }
    on("p620", "mkdir -p /run/nixdash-lab");
    for host in hosts {
        reset_to_first(host);
    }
}

/// Returns the fleet as a pair sees it, with a state folder of its own.
fn fleet(phase: Phase) -> Lab {
    let output = lab(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let hosts_file = status["hosts_file"].as_str().expect("a hosts file").into();
    let fleet = Lab { hosts_file, state: tempfile::tempdir().unwrap() };
    phase.configure(fleet)
}
