//! What a build printed that the last good build of the same package did not, and the other way round.
//!
//! ```text
//!  samsung ─ run #41 ─ compared ──────────────────────────── 3 new · 413 missing ──
//!  Compared with openssl-3.5.0 of run 38 (razer, 3 d ago): 3 lines are new here, and 413 lines are missing.
//!     … 74 equal lines
//!     gcc -Iinclude -c crypto/part77.c
//!  +  crypto/part77.c:118:17: error: implicit declaration of function 'ossl_frob'
//!  -  … 412 more lines that are missing
//! ```

use crate::dash::model::Model;
use crate::dash::panes::logs::asked::{
    BuildDifference, ComparedBuild, DifferenceKind, DifferenceRow,
};
use crate::dash::panes::logs::builds::list;
use crate::dash::panes::logs::state::BuildComparison;
use crate::dash::theme::Role;
use crate::dash::widgets::paint::{Paint, below, put, top};
use crate::dash::widgets::text::{count, cut, wrap};
use crate::dash::words::{hides_hashes, short_paths};
use crate::dash::world::RunView;
use crate::fleet::ago;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws the comparison.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, title: &str) {
    let Some(compared) = &paint.model.log.compared else { return };
    let found = match &compared.found {
        Some(ComparedBuild::Found(found)) => Some(&**found),
        Some(ComparedBuild::NoneBefore | ComparedBuild::Failed(_)) | None => None,
    };
    let note = found.map_or(String::new(), |found| {
        format!("{} new · {} missing", count(found.added), count(found.missing))
    });
    paint.rule(buffer, top(area, 1), title, &note);
    let mut area = below(area, 1);
    let room = usize::from(area.width).saturating_sub(2).max(8);
    let most = usize::from((area.height / 2).max(1));
    for text in sentences(paint.model, compared, paint.now)
        .iter()
        .flat_map(|sentence| wrap(sentence, room))
        .take(most)
    {
        put(buffer, area, 0, &Line::from(paint.span(Role::Dim, format!(" {text}"))));
        area = below(area, 1);
    }
    let Some(found) = found else { return };
    let selected = compared.row.min(found.rows.len().saturating_sub(1));
    let rows = found.rows.iter().enumerate();
    let lines: Vec<Line<'_>> =
        rows.map(|(number, row)| line(paint, row, number == selected, area.width)).collect();
    list(paint, buffer, area, &lines, selected);
}

/// Returns what is said of the comparison as a whole.
fn sentences(model: &Model, compared: &BuildComparison, now: Timestamp) -> Vec<String> {
    let package = &compared.asked.lines.package;
    match &compared.found {
        None => vec![format!("comparing {package} with its last good build …")],
        Some(ComparedBuild::NoneBefore) => vec![format!(
            "No older run on this machine has the log of a build of {package} that went well, so there is nothing \
             to compare with."
        )],
        Some(ComparedBuild::Failed(why)) => vec![why.clone()],
        Some(ComparedBuild::Found(found)) => of_difference(model, package, found, now),
    }
}

/// Returns what is said of a difference.
fn of_difference(
    model: &Model,
    package: &str,
    found: &BuildDifference,
    now: Timestamp,
) -> Vec<String> {
    let BuildDifference { run, host, .. } = found;
    let name = found.name.as_deref().unwrap_or(package);
    let age = ago(now.duration_since(found.at).try_into().unwrap_or_default());
    let went = match (found.added, found.missing) {
        (0, 0) => "no line differs, apart from hashes, times and numbers".to_owned(),
        (added, 0) => format!("{} here, and none is missing", are(added, "new")),
        (added, missing) => format!("{} here, and {}", are(added, "new"), are(missing, "missing")),
    };
    let mut sentences =
        vec![format!("Compared with {name} of run {run} ({host}, {age} ago): {went}.")];
    if let Some(last) = found.only_last {
        sentences.push(format!("Only the last {} lines of each log were compared.", count(last)));
    }
    if found.is_rough {
        sentences.push(
            "The logs differ too much to be compared in full: some lines that both have are shown \
             as new and missing."
                .to_owned(),
        );
    }
    if found.more > 0 {
        sentences.push(format!("The last {} rows are left out.", count(found.more)));
    }
    let is_running = model.shown_run().is_some_and(RunView::is_active);
    if is_running && found.missing > 0 {
        sentences.push("The run goes on: lines may still come.".to_owned());
    }
    sentences
}

/// Returns how many lines are so.
fn are(lines: u64, word: &str) -> String {
    match lines {
        0 => format!("no line is {word}"),
        1 => format!("1 line is {word}"),
        _ => format!("{} lines are {word}", count(lines)),
    }
}

/// Returns a row.
fn line(paint: &Paint<'_>, row: &DifferenceRow, has_cursor: bool, columns: u16) -> Line<'static> {
    let room = usize::from(columns).saturating_sub(4).max(8);
    let (sign, role) = match row.kind {
        DifferenceKind::Equal => (" ", Role::Text),
        DifferenceKind::Added => ("+", Role::Ok),
        DifferenceKind::Missing => ("-", Role::Error),
    };
    let (text, role) = match &row.text {
        Some(text) if hides_hashes(text, columns, room) => (short_paths(text), role),
        Some(text) => (text.clone(), role),
        None => (left_out(row), Role::Dim),
    };
    let cursor = paint.span(Role::Accent, if has_cursor { "›" } else { " " });
    let text = cut(&text, room);
    Line::from(vec![cursor, paint.span(role, format!("{sign} {text}"))])
}

/// Returns how many lines are left out, and of which kind.
fn left_out(row: &DifferenceRow) -> String {
    let lines = if row.lines == 1 { "line" } else { "lines" };
    let kind = match row.kind {
        DifferenceKind::Equal => format!("equal {lines}"),
        DifferenceKind::Added => {
            format!("more {lines} that {} new", if row.lines == 1 { "is" } else { "are" })
        }
        DifferenceKind::Missing => {
            format!("more {lines} that {} missing", if row.lines == 1 { "is" } else { "are" })
        }
    };
    format!("… {} {kind}", count(row.lines))
}
