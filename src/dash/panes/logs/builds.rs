//! What Nix builds for a host: each derivation once, what failed first.
//!
//! ```text
//!  samsung ─ run #41 ─ builds ──────────────────────── 17 of 41 built, 2 building ──
//!  ✗ openssl-3.5.1         1 min 02 s                       part77.c:118: error: …
//!  ◐ firefox-145.0         3 min 12 s (usually 3 min 40 s)  buildPhase
//!  ○ curl-8.17                                              waiting for a build machine
//!    … 41 more done
//! ```

use crate::dash::panes::logs::activity::{ActivityShown, BuildRow, time_words};
use crate::dash::theme::Role;
use crate::dash::widgets::paint::{Paint, below, put, put_wrapped};
use crate::dash::widgets::places::ClickTarget;
use crate::dash::widgets::text::{cut, left, width, wrap};
use crate::dash::words::{hides_hashes, short_paths};
use crate::nix::activity::BuildState;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Draws the derivations.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, title: &str) {
    let known = shown(paint);
    paint.rule(buffer, area, title, &known.map_or(String::new(), note));
    let mut area = below(area, 1);
    let text = match known {
        None => Some("reading what Nix said …"),
        Some(shown) if !shown.is_kept => Some(
            "nothing that Nix said is kept here: this host has built nothing in this run, its logs were \
             removed, or an older nixdash ran or exported it",
        ),
        Some(shown) if shown.builds.is_empty() => Some("Nix has built nothing for this host"),
        Some(_) => None,
    };
    if let Some(text) = text {
        put_wrapped(paint, buffer, area, Role::Dim, text);
        return;
    }
    let Some(shown) = known else { return };
    if let Some(shape) = shown.shape.as_ref().filter(|_| area.height > 6) {
        put(buffer, area, 0, &Line::from(paint.span(Role::Dim, format!(" {shape}"))));
        area = below(area, 1);
    }
    let columns = BuildColumns::of(&shown.builds, area.width);
    let more = shown
        .more_builds
        .iter()
        .map(|text| Line::from(paint.span(Role::Dim, format!("    … {text}"))));
    let selected = paint.model.log.build_index();
    let rows = shown
        .builds
        .iter()
        .enumerate()
        .map(|(index, row)| columns.line(paint, row, area.width, index == selected));
    let lines: Vec<Line<'_>> = rows.chain(more).collect();
    let about = about(&columns, shown.builds.get(selected), area);
    let (area, below_list) = split(area, about.len());
    list(paint, buffer, area, &lines, selected);
    for (row, text) in about.into_iter().enumerate() {
        put(buffer, below_list, row as u16, &Line::from(paint.span(Role::Text, text)));
    }
}

/// Returns what is said of the selected derivation, where its row has no room for all of it.
fn about(columns: &BuildColumns, row: Option<&BuildRow>, area: Rect) -> Vec<String> {
    let all = usize::from(area.width);
    let Some(row) = row.filter(|_| area.height >= 8) else { return Vec::new() };
    let words = short_paths(&row.words);
    if width(&words) <= columns.words(area.width) {
        return Vec::new();
    }
    let mut lines = wrap(&format!("{}: {words}", row.name), all.saturating_sub(2));
    lines.truncate(3);
    lines.into_iter().map(|line| format!(" {line}")).collect()
}

/// Returns an area without its last rows, and those.
fn split(area: Rect, rows: usize) -> (Rect, Rect) {
    let rows = (rows as u16).min(area.height);
    (Rect { height: area.height - rows, ..area }, below(area, area.height - rows))
}

/// Draws lines of which one is selected, so that it and what follows are in sight.
pub(super) fn list(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    lines: &[Line<'_>],
    selected: usize,
) {
    let height = usize::from(area.height);
    let most = lines.len().saturating_sub(height);
    let least = (selected + 2).saturating_sub(height).min(most);
    let first = paint.model.list_from.clamp(least, selected.min(most).max(least));
    for (row, line) in lines.iter().skip(first).take(height).enumerate() {
        let (index, from) = ((first + row) as u64, first as u64);
        let place = Rect { y: area.y + row as u16, height: 1, ..area };
        paint.places.add(place, ClickTarget::LogRow { index, from });
        put(buffer, area, row as u16, line);
    }
}

/// Returns what is known of the selected host.
pub(super) fn shown<'a>(paint: &Paint<'a>) -> Option<&'a ActivityShown> {
    let model = paint.model;
    model.log.activity_of(&model.shown_run()?.id, &model.shown_host_run()?.host)
}

/// Returns what it came to.
fn note(shown: &ActivityShown) -> String {
    reading(shown).unwrap_or_else(|| shown.summary.clone())
}

/// Returns how far the streams were read, until they were.
pub(super) fn reading(shown: &ActivityShown) -> Option<String> {
    (shown.share < 1.0).then(|| format!("reading {:.0} %", shown.share * 100.0))
}

/// The columns of the list.
struct BuildColumns {
    name: usize,
    time: usize,
}

impl BuildColumns {
    fn of(rows: &[BuildRow], columns: u16) -> Self {
        let all = usize::from(columns);
        let longest =
            |of: &dyn Fn(&BuildRow) -> usize| rows.iter().map(of).max().unwrap_or_default();
        let name = longest(&|row| indent(row) + width(&row.name)).min(all * 2 / 5);
        let time = longest(&|row| width(&time_words(row))).min(all / 3);
        // In a narrow pane what it does says more than for how long.
        Self { name, time: if all < 60 { 0 } else { time } }
    }

    fn line(
        &self,
        paint: &Paint<'_>,
        row: &BuildRow,
        columns: u16,
        is_selected: bool,
    ) -> Line<'static> {
        let (sign, role) = sign(row);
        let name = format!("{}{}", " ".repeat(indent(row)), row.name);
        let name = left(&name, self.name);
        let quiet = matches!(row.state, BuildState::Built | BuildState::Planned);
        let name_role = if is_selected {
            Role::Selection
        } else if quiet {
            Role::Dim
        } else {
            Role::Text
        };
        let words = match row.state {
            BuildState::Failed => Role::Error,
            BuildState::Running => Role::Text,
            BuildState::Interrupted => Role::Warn,
            BuildState::Waiting(_)
            | BuildState::Built
            | BuildState::Planned
            | BuildState::DependencyFailed => Role::Dim,
        };
        let mut spans: Vec<Span<'static>> = vec![
            paint.span(Role::Accent, if is_selected { "›" } else { " " }),
            paint.span(role, format!("{sign} ")),
            paint.span(name_role, format!("{name}  ")),
        ];
        if self.time > 0 {
            let time = left(&cut(&time_words(row), self.time), self.time);
            spans.push(paint.span(Role::Dim, format!("{time}  ")));
        }
        let room = self.words(columns);
        let text = &row.words;
        let text = if hides_hashes(text, columns, room) { short_paths(text) } else { text.clone() };
        spans.push(paint.span(words, cut(&text, room)));
        Line::from(spans)
    }

    /// Returns the columns that are left for words.
    fn words(&self, columns: u16) -> usize {
        let time = if self.time > 0 { self.time + 2 } else { 0 };
        usize::from(columns).saturating_sub(3 + self.name + 2 + time)
    }
}

/// Returns how far a row is moved in: a deep tree keeps room for names.
fn indent(row: &BuildRow) -> usize {
    row.depth.min(8) * 2
}

/// Returns the sign of how a derivation stands.
fn sign(row: &BuildRow) -> (char, Role) {
    match row.state {
        BuildState::Planned | BuildState::Waiting(_) if row.is_made_elsewhere => ('✓', Role::Dim),
        BuildState::Failed => ('✗', Role::Error),
        BuildState::Interrupted => ('▲', Role::Warn),
        BuildState::Running => ('◐', Role::Busy),
        BuildState::Waiting(_) => ('○', Role::Text),
        BuildState::DependencyFailed => ('–', Role::Dim),
        BuildState::Planned => ('·', Role::Dim),
        BuildState::Built => ('✓', Role::Dim),
    }
}
