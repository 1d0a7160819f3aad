//! From one problem to the next, and its fix to where other programs find it.

use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::fleet::{Finding, troubles};
use jiff::Timestamp;

/// Returns whether something is wrong with any row that the view shows.
pub(super) fn any(model: &Model, is_problem: fn(&Model, usize) -> bool) -> bool {
    model.unfolded_rows().into_iter().any(|row| is_problem(model, row))
}

/// Selects the next row with which something is wrong, around the end; a group that hides it opens.
pub(super) fn next(model: &mut Model, is_problem: fn(&Model, usize) -> bool, now: Timestamp) {
    let rows = model.unfolded_rows();
    let at = rows.iter().position(|row| *row == model.selected_row());
    let behind = at.map_or(0, |at| at + 1);
    let found = rows[behind..].iter().chain(&rows[..behind]).find(|row| is_problem(model, **row));
    match found {
        Some(row) if at.is_none_or(|at| rows[at] != *row) => {
            model.reveal(*row);
            model.details_scroll = 0;
        }
        Some(_) => model.say("this is the only problem in the list", false, now),
        None => {}
    }
}

/// Returns the worst of what is wrong that somebody can do something about.
pub(super) fn worst_with_fix(findings: &[Finding]) -> Option<&Finding> {
    troubles(findings).into_iter().find(|finding| !finding.fix.is_empty())
}

/// Copies what to do about the worst of what is wrong.
pub(super) fn copy_fix(model: &mut Model, findings: &[Finding], now: Timestamp) -> Vec<Effect> {
    let Some(finding) = worst_with_fix(findings) else { return Vec::new() };
    let what = format!("what to do about “{}”", finding.code.label());
    model.clip(finding.fix.clone(), &what, now)
}
