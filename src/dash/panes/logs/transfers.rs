//! What Nix copies for a host: a row for each path.
//!
//! ```text
//!  samsung ─ run #41 ─ transfers ───────────────────── 38 paths (212 MB) fetched ──
//!    PATH                BYTES              RATE        FROM
//!  ◐ linux-6.12.58       12.0 of 30.1 MB    23.4 MB/s   p620
//!  ✓ glibc-2.42          9.2 MB             11.0 MB/s   nixos.org
//! ```

use crate::dash::panes::logs::activity::{ActivityShown, TransferRow};
use crate::dash::panes::logs::builds::{list, reading, shown};
use crate::dash::theme::Role;
use crate::dash::widgets::paint::{Paint, below, put, put_wrapped};
use crate::dash::widgets::text::{left, right, width};
use crate::dash::words::tiers::tier_names;
use crate::fleet::{bytes, bytes_of};
use crate::nix::activity::{CopyDirection, CopyState};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Columns of how many bytes, and of how fast.
const BYTES: usize = 18;
const RATE: usize = 11;

/// Draws the copies.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, title: &str) {
    let known = shown(paint);
    paint.rule(buffer, area, title, &known.map_or(String::new(), note));
    let area = below(area, 1);
    let text = match known {
        None => Some("reading what Nix said …"),
        Some(shown) if shown.transfers.is_empty() => Some("Nix has copied no path for this host"),
        Some(_) => None,
    };
    if let Some(text) = text {
        put_wrapped(paint, buffer, area, Role::Dim, text);
        return;
    }
    let Some(shown) = known else { return };
    let all = usize::from(area.width);
    let has_rate = all >= 60;
    let longest = shown.transfers.iter().map(|row| width(&row.name)).max().unwrap_or_default();
    let fixed = 3 + BYTES + 4 + if has_rate { RATE + 2 } else { 0 };
    let name = longest.max(4).min(all.saturating_sub(fixed + 12).max(8));
    let rate_title = if has_rate { format!("{}  ", right("RATE", RATE)) } else { String::new() };
    let head = format!("   {}  {}  {rate_title}FROM", left("PATH", name), right("BYTES", BYTES));
    put(buffer, area, 0, &Line::from(paint.span(Role::Dim, head)));
    let selected = paint.model.log.transfer.min(shown.transfers.len().saturating_sub(1));
    let mut lines: Vec<Line<'_>> = Vec::new();
    for (index, row) in shown.transfers.iter().enumerate() {
        let (sign, role) = sign(row.state);
        let is_selected = index == selected;
        let quiet = if row.state == CopyState::Running { Role::Text } else { Role::Dim };
        let rate = row.rate.map(|rate| format!("{}/s", bytes(rate as u64)));
        let rate = right(&rate.unwrap_or_else(|| "–".to_owned()), RATE);
        let rate = if has_rate { format!("{rate}  ") } else { String::new() };
        let name_role = if is_selected { Role::Selection } else { Role::Text };
        lines.push(Line::from(vec![
            paint.span(Role::Accent, if is_selected { "›" } else { " " }),
            paint.span(role, format!("{sign} ")),
            paint.span(name_role, format!("{}  ", left(&row.name, name))),
            paint.span(quiet, format!("{}  {rate}", right(&amount(row), BYTES))),
            paint.span(quiet, place(paint, row)),
        ]));
    }
    if shown.more_transfers > 0 {
        let text = format!("    … {} more", shown.more_transfers);
        lines.push(Line::from(paint.span(Role::Dim, text)));
    }
    list(paint, buffer, below(area, 1), &lines, selected);
}

/// Returns how many paths were copied.
fn note(shown: &ActivityShown) -> String {
    if let Some(reading) = reading(shown) {
        return reading;
    }
    let of = |state| shown.transfers.iter().filter(|row| row.state == state).count() as u64;
    let mut words = Vec::new();
    for (count, word) in [
        (of(CopyState::Running), "being copied"),
        (of(CopyState::Broken), "not complete"),
        (of(CopyState::Done) + shown.more_transfers, "copied"),
    ] {
        if count > 0 {
            words.push(format!("{count} {word}"));
        }
    }
    words.join(" · ")
}

/// Returns the sign of a state.
fn sign(state: CopyState) -> (char, Role) {
    match state {
        CopyState::Running => ('◐', Role::Busy),
        CopyState::Broken => ('✗', Role::Error),
        CopyState::Done => ('✓', Role::Dim),
    }
}

/// Returns how much was copied, of how much.
fn amount(row: &TransferRow) -> String {
    match (row.state, row.done, row.size) {
        (CopyState::Running | CopyState::Broken, Some(done), Some(size)) => {
            bytes_of(done.min(size), size)
        }
        (_, Some(done), _) => bytes(done),
        (_, None, Some(size)) => bytes(size),
        (_, None, None) => "–".to_owned(),
    }
}

/// Returns where a path comes from, or goes.
fn place(paint: &Paint<'_>, row: &TransferRow) -> String {
    let place = tier_names(&paint.model.world.fleet, &row.place);
    match row.direction {
        CopyDirection::Download | CopyDirection::Between => place,
        CopyDirection::Upload => format!("to {place}"),
    }
}
