//! The hosts of a run below each other, then the log of the selected one.

use crate::dash::panes::deploy::why;
use crate::dash::panes::log_tail;
use crate::dash::theme::Role;
use crate::dash::widgets::paint::{Paint, below, put, put_all, top};
use crate::dash::widgets::places::ClickTarget;
use crate::dash::widgets::table::{self, Window};
use crate::dash::widgets::text::{cut, left, line_width, right, width, wrap};
use crate::dash::words::runs::{PhaseNames, doing, host_run_mark, named_phases, phases, progress};
use crate::dash::world::{HostRun, RunView};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Columns of how a host stands, and of the gap behind it; a longer one takes from the gap.
const STATE: usize = 26;
const GAP: usize = 2;

/// Rows that a log needs to be worth its rule.
const LOG: usize = 4;

/// Rows that the hosts and the log have at least where a person has moved the border.
const LEAST: (u16, u16) = (2, 4);

/// Rows of a log that has its own, by which the hosts need not leave room for it.
const APART: usize = 7;

/// What of each host is shown: its state, its phases in words, what it does.
#[derive(Clone, Copy)]
struct StackedRows {
    words: bool,
    doing: bool,
    /// Whether what went wrong stands below each host in whole.
    whole: bool,
    /// Columns of the names, and of what stands below a state.
    names: usize,
    columns: usize,
}

impl StackedRows {
    /// Returns how many rows a host takes at least.
    fn count(self) -> usize {
        1 + usize::from(self.words) + usize::from(self.doing)
    }

    /// Returns whether all that a host waits for stands below its name, or it waits for nothing.
    fn says_what_is_waited_for(self, paint: &Paint<'_>, run: &RunView, host: &HostRun) -> bool {
        let fits = |text: &str| self.doing && width(text) <= self.columns;
        why::waited_for(paint, run, host).is_none_or(|(_, text)| fits(&text))
    }

    /// Returns the lines below a host: what it does, or why it failed.
    fn below(self, paint: &Paint<'_>, run: &RunView, host: &HostRun) -> Vec<(Role, String)> {
        if !self.doing {
            return Vec::new();
        }
        let (role, text) = match why::of(host, self.columns) {
            Some(told) if self.whole => {
                let lines = wrap(&told.text(), self.columns).into_iter();
                return lines.map(|line| (told.role, line)).collect();
            }
            Some(told) => (told.role, told.first),
            None => doing(paint, run, host),
        };
        vec![(role, cut(&text, self.columns))]
    }
}

/// Draws hosts of the run below each other, then the log of the selected one.
pub(super) fn draw(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    run: &RunView,
    hosts: &[(usize, &HostRun)],
) {
    let at = hosts.iter().position(|(index, _)| *index == paint.model.deploy.host);
    let selected = at.map(|at| hosts[at].1);
    let split = paint.model.deploy.split;
    let is_moved = split.is_moved() && selected.is_some() && area.height >= LEAST.0 + LEAST.1;
    // What the hosts have: all that the log does not need, or what a person gave them.
    let list = if is_moved { top(area, split.rows(0, area.height, LEAST)) } else { area };
    let rows = choose(paint, list, if is_moved { APART } else { 0 }, run, hosts, selected);
    let shown = match (rows.whole, is_moved) {
        (true, _) => hosts.len(),
        (false, true) => (usize::from(list.height) / rows.count()).clamp(1, hosts.len().max(1)),
        (false, false) => fitting(paint, area, run, rows, hosts, selected),
    };
    let window =
        Window::new(hosts.len(), at.unwrap_or_default(), shown).begin_at(paint.model.list_from);
    let mut rest = list;
    for &(index, host) in hosts.iter().skip(window.from).take(window.rows) {
        let is_selected = index == paint.model.deploy.host;
        let taken = host_rows(paint, buffer, rest, run, host, is_selected, rows);
        paint.places.add(top(rest, taken), ClickTarget::Row { index, from: window.from });
        rest = below(rest, taken);
    }
    if let Some(host) = selected {
        let rest = if is_moved { below(area, list.height) } else { rest };
        let log = if rows.says_what_is_waited_for(paint, run, host) {
            why::draw(paint, buffer, rest, host, rows.whole)
        } else {
            why::draw_wait(paint, buffer, rest, run, host)
        };
        log_tail::draw(paint, buffer, log, host);
        if log.height >= 2 && area.height >= LEAST.0 + LEAST.1 {
            // Why the host failed moves with the log.
            let above = log.y - rest.y;
            paint.places.add_border(Rect { y: area.y + above, ..area }, log.y);
        }
    }
}

/// Returns how many hosts are shown, so that why the selected one failed or what it waits for, or its log,
/// has room too.
fn fitting(
    paint: &Paint<'_>,
    area: Rect,
    run: &RunView,
    rows: StackedRows,
    hosts: &[(usize, &HostRun)],
    selected: Option<&HostRun>,
) -> usize {
    let (columns, height) = (why::columns(area), usize::from(area.height));
    let text = selected.and_then(|host| match why::of(host, columns) {
        Some(told) => Some(told.text()),
        None if rows.says_what_is_waited_for(paint, run, host) => None,
        None => why::waited_for(paint, run, host).map(|(_, text)| text),
    });
    let wanted = text.map_or(0, |text| wrap(&text, columns).len());
    let wanted = wanted.min(height.saturating_sub(2 * rows.count())).max(LOG);
    (height.saturating_sub(wanted) / rows.count()).clamp(1, hosts.len().max(1))
}

/// Returns what of each host is shown in that area, of which the log has so many rows elsewhere.
fn choose(
    paint: &Paint<'_>,
    area: Rect,
    apart: usize,
    run: &RunView,
    hosts: &[(usize, &HostRun)],
    selected: Option<&HostRun>,
) -> StackedRows {
    let (count, height) = (hosts.len().max(1), usize::from(area.height));
    let names = run.hosts.iter().map(|host| width(&host.host)).max().unwrap_or(4);
    let names = names.clamp(4, 16).min(usize::from(area.width) / 3) + wave_columns(run, area.width);
    let columns = usize::from(area.width).saturating_sub(names + 6).max(8);
    let room = usize::from(area.width).saturating_sub(names + 5);
    let words = |room: usize| {
        let (_, host) = hosts.first()?;
        named_phases(paint, run, host, room).map(|words| line_width(&words))
    };
    let (below, beside) = (words(room), words(room.saturating_sub(STATE + GAP)));
    let mut rows = StackedRows { words: below.is_some(), doing: true, whole: true, names, columns };
    // A row of their own is for names that are longer there.
    if height + apart < count * rows.count() + 7 || beside == below {
        rows.words = false;
    }
    if height + apart < count * rows.count() + 5 || area.width < 60 {
        rows.doing = false;
    }
    let taken = hosts.iter().map(|(_, host)| rows.count() - 1 + rows.below(paint, run, host).len());
    let to_do = selected.map_or(0, |host| why::to_do_rows(paint, host, area));
    rows.whole = rows.doing && taken.sum::<usize>() + to_do <= height;
    rows
}

/// Narrower than this, a row has no room for the wave of its host.
const WITH_WAVES: u16 = 70;

/// Returns the columns of the wave of each host, behind its name: none where there are not several.
fn wave_columns(run: &RunView, columns: u16) -> usize {
    let waves = run.several_waves().filter(|_| columns >= WITH_WAVES);
    waves.map_or(0, |count| format!(" w{count}").len())
}

/// Draws one host from the top of an area; returns the rows that it takes.
fn host_rows(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    run: &RunView,
    host: &HostRun,
    selected: bool,
    rows: StackedRows,
) -> u16 {
    let several = run.hosts.len() > 1;
    let cursor = if selected && several { " › " } else { "   " };
    let waves = wave_columns(run, area.width);
    let name = Span::raw(left(&host.host, rows.names - waves));
    let mut spans = vec![paint.span(Role::Accent, cursor), name];
    if waves > 0 {
        let wave = run.wave_of(&host.host).map(|wave| format!("w{wave}")).unwrap_or_default();
        spans.push(paint.span(Role::Dim, right(&wave, waves)));
    }
    spans.push(Span::raw("  "));
    let room = usize::from(area.width).saturating_sub(line_width(&spans));
    spans.extend(state_and_phases(paint, run, host, room, rows.words));
    put(buffer, area, 0, &Line::from(spans));
    if selected && several {
        table::select(paint, buffer, area, 0);
    }
    let indent = Span::raw(" ".repeat(rows.names + 5));
    let mut lines: Vec<Line<'static>> = Vec::new();
    if rows.words {
        let room = usize::from(area.width).saturating_sub(rows.names + 5);
        let words = named_phases(paint, run, host, room).unwrap_or_default();
        lines.push(Line::from([vec![indent.clone()], words].concat()));
    }
    for (role, text) in rows.below(paint, run, host) {
        lines.push(Line::from(vec![indent.clone(), paint.span(role, text)]));
    }
    put_all(buffer, below(area, 1), &lines, 0);
    1 + lines.len() as u16
}

/// Returns how a host stands, its phases as signs or words, and a bar, as many as fit.
fn state_and_phases(
    paint: &Paint<'_>,
    run: &RunView,
    host: &HostRun,
    room: usize,
    words_below: bool,
) -> Vec<Span<'static>> {
    let mark = host_run_mark(paint, run, host);
    let state = (STATE + GAP).max(width(&mark.text()) + 1).min(room.max(GAP));
    let mut spans = vec![paint.span(mark.role, left(&mark.text(), state))];
    let used = |spans: &[Span<'_>]| room.saturating_sub(line_width(spans));
    if words_below {
        spans.extend(progress(paint, run, host, used(&spans).saturating_sub(8).min(30)));
        return spans;
    }
    if let Some(words) = named_phases(paint, run, host, used(&spans)) {
        spans.extend(words);
        spans.push(Span::raw(" "));
    } else if used(&spans) >= 14 {
        spans.extend(phases(paint, run, host, PhaseNames::None));
        spans.push(Span::raw("  "));
    } else if let Some(share) = host.share().filter(|_| run.is_active()) {
        let text = format!("{} {}", mark.text(), crate::fleet::percent(share));
        return vec![paint.span(mark.role, cut(&text, room))];
    }
    if used(&spans) >= 12 {
        spans.extend(progress(paint, run, host, (used(&spans) - 8).min(14)));
    } else if let Some(share) = host.share().filter(|_| run.is_active() && used(&spans) >= 5) {
        spans.push(Span::raw(crate::fleet::percent(share)));
    }
    spans
}
