//! The journal of a unit: its newest lines, and those that come where it is followed.
//!
//! ```text
//! ┌ Journal of sshd.service on samsung ────────────────────────────────────┐
//! │ 11-25 23:41:02 sshd[812]: Server listening on 0.0.0.0 port 22.         │
//! │ 09:12:44 sshd[1204]: Accepted publickey for me from 192.168.1.2        │
//! │                                                                        │
//! │ the newest 2 lines                                                     │
//! └────────────────────────────────────────────────────────────────────────┘
//! ```

use crate::dash::command::Command;
use crate::dash::layout::layout;
use crate::dash::model::Model;
use crate::dash::moves::moved;
use crate::dash::msg::{Effect, JournalNews};
use crate::dash::overlay::Overlay;
use crate::dash::overlays::difference::failure_lines;
use crate::dash::theme::Role;
use crate::dash::units::JournalPane;
use crate::dash::widgets::graph::spinner;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::text::wrap;
use crate::fleet::{JournalWanted, number_of};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use std::ops::Range;

/// Columns of the widest pane.
const WIDTH: u16 = 200;

/// How many of the newest lines are read.
const LINES: u32 = 500;

/// Draws the pane; it is as high as the view.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, pane: &JournalPane) {
    let popup = Popup::new(area, WIDTH);
    let room = room(area);
    let mut lines: Vec<Line<'static>> = Vec::new();
    let look = JournalLook { zone: &paint.look.zone, now: paint.now, columns: popup.room() };
    for line in pane.lines.range(seen(pane, &look, room)) {
        lines.extend(look.lines(line).into_iter().map(Line::raw));
    }
    // Of a line that is higher than the pane its end is seen.
    lines.drain(..lines.len().saturating_sub(room));
    match &pane.ended {
        Some(Err(error)) => lines.extend(failure_lines(paint, &popup, error)),
        Some(Ok(())) if pane.lines.is_empty() => {
            lines.push(Line::from(paint.span(Role::Dim, "the journal has no line of this unit")));
        }
        None if pane.lines.is_empty() => {
            let text = format!("{} waiting for {}", spinner(paint.now), pane.host);
            lines.push(Line::from(paint.span(Role::Dim, text)));
        }
        Some(Ok(())) | None => {}
    }
    lines.resize(lines.len().max(room), Line::default());
    let foot = Line::from(paint.span(Role::Dim, note(pane)));
    let title = format!("Journal of {} on {}", pane.unit, pane.host);
    popup.draw(paint, buffer, &title, &lines, 0, &[foot]);
}

/// Returns what is told below the lines.
fn note(pane: &JournalPane) -> String {
    let lines = number_of(pane.lines.len(), "line");
    let below = if pane.below > 0 { format!("   ▼ {} more", pane.below) } else { String::new() };
    if pane.following {
        format!("following, {lines}{below}")
    } else {
        format!("the newest {lines}{below}")
    }
}

/// Returns how many rows of lines are seen at once.
fn room(area: Rect) -> usize {
    usize::from(area.height.saturating_sub(5)).max(1)
}

/// How lines of a journal are shown.
struct JournalLook<'a> {
    zone: &'a TimeZone,
    now: Timestamp,
    columns: usize,
}

impl JournalLook<'_> {
    /// Returns the rows of a line: its time in the person's zone, as everywhere on the screen, with the day
    /// where that is not today.
    fn lines(&self, line: &str) -> Vec<String> {
        let Some((at, text)) = stamped(line) else { return wrap(line, self.columns) };
        let (at, now) = (at.to_zoned(self.zone.clone()), self.now.to_zoned(self.zone.clone()));
        let form = if at.date() == now.date() { "%H:%M:%S" } else { "%m-%d %H:%M:%S" };
        wrap(&format!("{} {text}", at.strftime(form)), self.columns)
    }
}

/// Returns when a line of a journal was written, and what stands behind that; none where it does not begin
/// with a time.
fn stamped(line: &str) -> Option<(Timestamp, &str)> {
    let (at, text) = line.split_once(' ')?;
    Some((at.parse().ok()?, text))
}

/// Returns which lines are seen in so many rows.
fn seen(pane: &JournalPane, look: &JournalLook<'_>, rows: usize) -> Range<usize> {
    let end = pane.lines.len().saturating_sub(pane.below);
    let (mut from, mut used) = (end, 0);
    while from > 0 && used < rows {
        used += look.lines(&pane.lines[from - 1]).len();
        from -= 1;
    }
    from..end
}

/// Asks for the journal of a unit, and shows it when it comes.
pub(super) fn open(model: &mut Model, host: String, unit: String) -> Vec<Effect> {
    let pane = JournalPane::new(host, unit);
    let wanted = wanted(&pane);
    model.open(Overlay::Journal(pane));
    vec![Effect::ReadJournal(Some(wanted))]
}

fn wanted(pane: &JournalPane) -> JournalWanted {
    JournalWanted {
        host: pane.host.clone(),
        unit: pane.unit.clone(),
        lines: LINES,
        follow: pane.following,
    }
}

/// Takes what came of a journal, where its pane is still open and wants this.
pub(in crate::dash) fn came(model: &mut Model, of: &JournalWanted, news: JournalNews) {
    let Some(Overlay::Journal(pane)) = model.overlay_mut() else { return };
    if wanted(pane) != *of {
        return;
    }
    match news {
        JournalNews::Lines(lines) => pane.add(lines),
        JournalNews::Ended(ended) => pane.ended = Some(ended),
    }
}

/// Does a command in the pane.
pub(super) fn update(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let area = layout(model).over;
    let (columns, rows) = (Popup::new(area, WIDTH).room(), room(area));
    let Some(Overlay::Journal(pane)) = model.overlay_mut() else { return Vec::new() };
    match command {
        command if command.moves() => {
            // The last line that is seen, which is never the first ones' whole pane.
            let all = pane.lines.len();
            let page = u16::try_from(rows.saturating_sub(1)).unwrap_or(u16::MAX);
            let last = moved(all.saturating_sub(pane.below + 1), all, command, page);
            pane.below = all.saturating_sub(last.max(rows.min(all).saturating_sub(1)) + 1);
            Vec::new()
        }
        Command::Follow if pane.following => {
            pane.following = false;
            pane.ended = Some(Ok(()));
            vec![Effect::ReadJournal(None)]
        }
        Command::Follow => {
            pane.begin_anew(true);
            vec![Effect::ReadJournal(Some(wanted(pane)))]
        }
        Command::Copy => {
            // The zone matters only for whether a line of last night has its day.
            let look = JournalLook { zone: &TimeZone::UTC, now, columns };
            let lines: Vec<String> = pane.lines.range(seen(pane, &look, rows)).cloned().collect();
            let what = number_of(lines.len(), "line");
            vec![Effect::Copy { text: lines.join("\n"), what }]
        }
        _ => {
            model.close();
            vec![Effect::ReadJournal(None)]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_time_of_the_person_who_reads_and_the_day_where_it_is_another() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now = "2026-11-26T12:00:00Z".parse().unwrap();
        let look = JournalLook { zone: &zone, now, columns: 30 };
        for (line, shown) in [
            ("2026-11-26T09:17:17+0000 a[1]: x", "11:17:17 a[1]: x"),
            ("2026-11-26T09:17:17+00:00 a[1]: x", "11:17:17 a[1]: x"),
            ("2026-11-25T22:17:17+0000 a[1]: x", "00:17:17 a[1]: x"),
            ("2026-11-25T21:17:17+00:00 a[1]: x", "11-25 23:17:17 a[1]: x"),
            ("-- Boot 1f2e --", "-- Boot 1f2e --"),
        ] {
            assert_eq!(look.lines(line), [shown]);
        }
    }
}
