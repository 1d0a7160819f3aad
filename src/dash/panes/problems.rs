//! From one problem to the next, and its fix to where other programs find it.

use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::Overlay;
use crate::dash::silencing::SilenceForm;
use crate::dash::theme::Role;
use crate::dash::widgets::facts::{Fact, told};
use crate::fleet::{Finding, NixSnippet, troubles};
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

/// Opens the form in which a finding of a host or a tier is silenced.
pub(super) fn silence(model: &mut Model, name: &str, findings: &[Finding]) {
    if let Some(form) = SilenceForm::of(name, findings) {
        model.open(Overlay::Silence(Box::new(form)));
    }
}

/// Returns the worst of what is wrong that somebody can do something about.
pub(super) fn worst_with_fix(findings: &[Finding]) -> Option<&Finding> {
    troubles(findings).into_iter().find(|finding| !finding.fix.is_empty())
}

/// Returns the lines for the NixOS configuration that fix something, for the rows below it.
pub(super) fn snippet_facts(finding: &Finding) -> Vec<Fact> {
    let lines = finding.snippet.iter().flat_map(NixSnippet::all);
    lines.map(|line| told("", Role::Dim, line.as_str())).collect()
}

/// Copies what to do about the worst of what is wrong: as lines for the NixOS configuration where there
/// are some.
pub(super) fn copy_fix(findings: &[Finding]) -> Vec<Effect> {
    let Some(finding) = worst_with_fix(findings) else { return Vec::new() };
    let label = finding.code.label();
    let (text, what) = match &finding.snippet {
        Some(snippet) => {
            (snippet.all().join("\n"), format!("lines for the NixOS configuration, for “{label}”"))
        }
        None => (finding.fix.clone(), format!("what to do about “{label}”")),
    };
    vec![Effect::Copy { text, what }]
}
