//! One row of a log on the screen.

use crate::dash::panes::logs::asked::{PaneRow, RowsOf};
use crate::dash::panes::logs::layout::{PrefixColumns, TIME, text_parts, text_room};
use crate::dash::panes::logs::pattern::LineMatcher;
use crate::dash::panes::logs::state::TimeShown;
use crate::dash::theme::Role;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::text::{left, right, width};
use crate::dash::words::{hides_hashes, store_hashes};
use crate::fleet::LineColours;
use crate::record::{LineLevel, output_of};
use jiff::Timestamp;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use std::ops::Range;

/// How a row is drawn.
pub(super) struct RowLook<'a> {
    pub(super) paint: &'a Paint<'a>,
    /// Which rows they are.
    pub(super) of: &'a RowsOf,
    pub(super) columns: u16,
    /// What is looked for, where it can be read.
    pub(super) matcher: Option<LineMatcher>,
    /// Whether lines that do not match would be hidden.
    pub(super) dims_others: bool,
    /// When the run began.
    pub(super) began_at: Timestamp,
}

/// How a row stands out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RowSigns {
    pub(super) has_cursor: bool,
    pub(super) is_selected: bool,
    pub(super) is_marked: bool,
}

impl RowLook<'_> {
    /// Returns a row as lines of the screen. `before` is when the row before it was.
    pub(super) fn lines(
        &self,
        row: &PaneRow,
        before: Option<Timestamp>,
        signs: RowSigns,
    ) -> Vec<Line<'static>> {
        let pane = &self.paint.model.log;
        let room = text_room(self.columns, &self.of.hosts);
        let takes = |matcher: &LineMatcher| matcher.takes(&row.text);
        let is_dim = self.dims_others && !self.matcher.as_ref().is_none_or(takes);
        let styles = self.styles(row, is_dim);
        let plain = LineColours::default();
        let colours = if is_dim { &plain } else { &row.colours };
        let marks =
            self.matcher.as_ref().map(|matcher| matcher.marks(&row.text)).unwrap_or_default();
        let repeats = if row.times > 1 { format!(" × {}", row.times) } else { String::new() };
        let room = room.saturating_sub(width(&repeats));
        let mut lines = Vec::new();
        let hidden = self.hidden(&row.text, room, &marks);
        for (at, part) in text_parts(&row.text, &hidden, pane, room).into_iter().enumerate() {
            let mut spans = if at == 0 {
                self.prefix(row, before, signs)
            } else {
                vec![Span::raw(" ".repeat(PrefixColumns::of(self.columns, &self.of.hosts).width()))]
            };
            let is_cut = !pane.wrap && part.end < row.text.len();
            for shown in without(part, &hidden) {
                spans.extend(self.text(&row.text, shown, colours, &styles, &marks));
            }
            if is_cut {
                shorten(&mut spans, self.paint.span(Role::Dim, "…"));
            }
            if at == 0 && !repeats.is_empty() {
                spans.push(self.paint.span(Role::Accent, repeats.clone()));
            }
            if signs.is_selected {
                for span in &mut spans {
                    span.style = span.style.add_modifier(Modifier::REVERSED);
                }
            }
            lines.push(Line::from(spans));
        }
        lines
    }

    /// Returns the parts of a text that are left out: where it has too little room for whole store paths,
    /// the hashes in which nothing was found. Wrapped lines are whole.
    fn hidden(&self, text: &str, room: usize, marks: &[Range<usize>]) -> Vec<Range<usize>> {
        if self.paint.model.log.wrap || !hides_hashes(text, self.columns, room) {
            return Vec::new();
        }
        let mut hidden = store_hashes(text);
        hidden.retain(|hash| {
            !marks.iter().any(|mark| mark.start < hash.end && mark.end > hash.start)
        });
        hidden
    }

    /// Returns what stands before the text: a sign, the time, the host and the phase.
    fn prefix(
        &self,
        row: &PaneRow,
        before: Option<Timestamp>,
        signs: RowSigns,
    ) -> Vec<Span<'static>> {
        let paint = self.paint;
        let columns = PrefixColumns::of(self.columns, &self.of.hosts);
        let sign = match signs {
            RowSigns { is_marked: true, .. } => "◆",
            RowSigns { has_cursor: true, .. } => "›",
            RowSigns { .. } => " ",
        };
        let quiet = if signs.has_cursor { Role::Selection } else { Role::Dim };
        let mut spans = vec![paint.span(Role::Accent, sign)];
        if columns.has_time {
            let time = self.time(row, before);
            let role = if row.is_late { Role::Warn } else { quiet };
            let late = if row.is_late { "▲ " } else { "  " };
            spans.push(paint.span(role, format!("{time}{late}")));
        }
        let gap = if columns.has_time { "  " } else { " " };
        if let Some(wide) = columns.name {
            let name = self.of.hosts.get(row.place.host).map_or("", String::as_str);
            let style = paint.look.host_style(row.place.host);
            spans.push(Span::styled(format!("{}{gap}", left(name, wide)), style));
        }
        let phase = row.phase.map_or("", |phase| columns.phases.of(phase));
        spans.push(paint.span(quiet, format!("{}{gap}", left(phase, columns.phases.columns()))));
        spans
    }

    /// Returns the time that stands before a row.
    fn time(&self, row: &PaneRow, before: Option<Timestamp>) -> String {
        let Some(at) = row.at else { return " ".repeat(TIME) };
        let since = |then: Timestamp| at.duration_since(then).as_secs();
        match self.paint.model.log.time {
            TimeShown::Clock => left(&self.paint.clock(at, true), TIME),
            TimeShown::SinceStart => right(&span_words(since(self.began_at)), TIME),
            TimeShown::SincePrevious => match before.map(since) {
                None | Some(0) => " ".repeat(TIME),
                Some(seconds) => right(&with_sign(seconds), TIME),
            },
        }
    }

    /// Returns the styles of a text: that of the package's name up to a byte, then that of the rest.
    fn styles(&self, row: &PaneRow, is_dim: bool) -> (usize, Style, Style) {
        let paint = self.paint;
        let name = output_of(&row.text).map_or(0, |(package, _)| package.len() + 1);
        let role = match row.level {
            _ if is_dim => Role::Dim,
            LineLevel::Error => Role::Error,
            LineLevel::Warning => Role::Warn,
            LineLevel::Message | LineLevel::Output => Role::Text,
        };
        let rest = if role == Role::Text { Style::default() } else { paint.style(role) };
        (name, paint.style(Role::Dim), rest)
    }

    /// Returns a part of a text in its own colours, with its matches marked.
    fn text(
        &self,
        text: &str,
        part: Range<usize>,
        colours: &LineColours,
        (name, of_name, of_rest): &(usize, Style, Style),
        marks: &[Range<usize>],
    ) -> Vec<Span<'static>> {
        let marked = self.paint.style(Role::Accent).add_modifier(Modifier::REVERSED);
        let mut cuts: Vec<usize> = marks.iter().flat_map(|mark| [mark.start, mark.end]).collect();
        cuts.extend([*name, part.end]);
        cuts.extend(colours.changes().map(|(at, _)| at));
        cuts.retain(|cut| *cut > part.start && *cut <= part.end);
        cuts.sort_unstable();
        cuts.dedup();
        let (mut spans, mut from) = (Vec::new(), part.start);
        for cut in cuts {
            let style = if marks.iter().any(|mark| mark.contains(&from)) {
                marked
            } else if from < *name {
                *of_name
            } else {
                of_rest.patch(self.paint.look.log_style(colours.style_at(from)))
            };
            spans.push(Span::styled(text[from..cut].to_owned(), style));
            from = cut;
        }
        spans
    }
}

/// Returns what is left of a part of a text without these parts, which stand in their order.
fn without(part: Range<usize>, hidden: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut left = Vec::new();
    let mut from = part.start;
    for hidden in hidden {
        left.push(from..hidden.start.clamp(from, part.end));
        from = hidden.end.clamp(from, part.end);
    }
    left.push(from..part.end);
    left.retain(|part| !part.is_empty());
    left
}

/// Puts a sign in the place of the last character.
fn shorten(spans: &mut Vec<Span<'static>>, sign: Span<'static>) {
    if let Some(last) = spans.last_mut() {
        let mut text = last.content.to_string();
        text.pop();
        last.content = text.into();
    }
    spans.push(sign);
}

/// Returns seconds with a sign before them.
fn with_sign(seconds: i64) -> String {
    let sign = if seconds < 0 { "" } else { "+" };
    format!("{sign}{}", span_words(seconds))
}

/// Returns seconds as `04:05` or `1:04:05`.
fn span_words(seconds: i64) -> String {
    let (sign, seconds) = if seconds < 0 { ("-", -seconds) } else { ("", seconds) };
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{sign}{hours}:{minutes:02}:{rest:02}")
    } else {
        format!("{sign}{minutes:02}:{rest:02}")
    }
}
