//! The matrix as a table in Markdown: a row per fault, a column per phase.

use super::Pair;
use super::fault::FAULTS;
use super::pair::Cell;
use super::phase::PHASES;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Returns the table, with every fault of which something was tried, and below it what is wrong.
pub(super) fn markdown(cells: &BTreeMap<Pair, Cell>) -> String {
    let mut text = String::from("| fault |");
    for phase in PHASES {
        let _ = write!(text, " {} |", phase.name());
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(PHASES.len()));
    text.push('\n');
    for fault in FAULTS {
        if !cells.keys().any(|pair| pair.fault == fault) {
            continue;
        }
        let _ = write!(text, "| {} |", fault.name());
        for phase in PHASES {
            let cell = cells.get(&Pair { fault, phase }).map(Cell::text);
            let _ = write!(text, " {} |", cell.unwrap_or_default());
        }
        text.push('\n');
    }
    let good = cells.values().filter(|cell| cell.is_good()).count();
    let _ = writeln!(text, "\n{good} of {} accounts were true and in time.", cells.len());
    for (pair, cell) in cells.iter().filter(|(_, cell)| !cell.is_good()) {
        let why: String = cell.why().lines().next().unwrap_or_default().chars().take(400).collect();
        let _ = writeln!(text, "- {}: {why}", pair.name());
    }
    text
}
