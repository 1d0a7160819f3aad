//! The log pane: the log of a host or of all hosts of a run, what Nix builds, or what it copies.
//!
//! ```text
//!  samsung ─ run #41 ──────────────────────────────────── 1 204 lines · following ──
//!  12:04:19  build    firefox> CC gfx/skia/SkFont.cpp
//!  12:04:22  fetch    copying path '/nix/store/8f…-linux-6.12.58' from 'http://p620:5000'
//! ```

use crate::dash::model::Model;
use crate::dash::panes::logs::asked::{LineLevels, RowsOf, RowsShown};
use crate::dash::panes::logs::layout::{Sight, text_room};
use crate::dash::panes::logs::rows::{RowLook, RowSigns};
use crate::dash::panes::logs::state::{LogFace, LogPane, LogTyping, PanePlace};
use crate::dash::panes::logs::wanted::rows_of;
use crate::dash::panes::logs::{builds, compared, failure, transfers};
use crate::dash::theme::Role;
use crate::dash::widgets::paint::{Paint, below, put, put_wrapped, top};
use crate::dash::widgets::places::ClickTarget;
use crate::dash::widgets::text::{count, wrap};
use crate::dash::words::runs::run_name;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws what is shown of the selected host of the shown run.
pub(in crate::dash) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    let model = paint.model;
    let (Some(of), Some(run)) = (rows_of(model), model.shown_run()) else {
        let [fleet, deploy] = ["fleet", "deploy"].map(|name| model.keymap.press(name));
        let text = format!(
            "No log yet: logs belong to runs. Press {fleet} for the fleet, then {deploy} to deploy."
        );
        put_wrapped(paint, buffer, area, Role::Dim, &text);
        return;
    };
    let host = match &of.hosts[..] {
        [host] => host.clone(),
        [_, _] => "both hosts".to_owned(),
        hosts => format!("all {} hosts", hosts.len()),
    };
    let mut title = format!("{host} ─ {}", run_name(paint, run));
    match (model.log.face, &of.build) {
        (LogFace::Log, Some(build)) => title = format!("{title} ─ {} alone", build.package),
        (LogFace::Log, None) => {}
        (face @ (LogFace::Builds | LogFace::Transfers | LogFace::Compared), _) => {
            title = format!("{title} ─ {}", face.word());
        }
    }
    paint.places.add(area, ClickTarget::Logs);
    match model.log.face {
        LogFace::Log => draw_log(paint, buffer, area, &of, &title),
        LogFace::Builds => builds::draw(paint, buffer, area, &title),
        LogFace::Transfers => transfers::draw(paint, buffer, area, &title),
        LogFace::Compared => compared::draw(paint, buffer, area, &title),
    }
}

/// Returns what is said above the log, each line with its role: why the host failed, and that not all
/// rows are shown.
fn above(model: &Model, columns: u16, rows: u16) -> Vec<(Role, String)> {
    let mut lines = failure::lines(model, columns, rows);
    let of = rows_of(model);
    let is_cut = |shown: &&RowsShown| shown.is_cut && Some(&shown.of) == of.as_ref();
    if let Some(shown) = model.log.shown.as_ref().filter(is_cut)
        && model.log.face == LogFace::Log
    {
        let text = format!(
            "Too many lines match: only the first {} are shown. A filter that fewer lines match \
             shows the later ones.",
            count(shown.rows)
        );
        let room = usize::from(columns).saturating_sub(2).max(8);
        let most = usize::from(rows / 4).max(1);
        lines.extend(
            wrap(&text, room).into_iter().take(most).map(|line| (Role::Warn, format!(" {line}"))),
        );
    }
    lines
}

/// Returns how much of a log is in sight in the body of the view.
pub(in crate::dash) fn sight(model: &Model, body: Rect) -> Sight {
    let failure = above(model, body.width, body.height).len() as u16;
    let hosts = rows_of(model).map(|of| of.hosts).unwrap_or_default();
    Sight {
        height: body.height.saturating_sub(1 + failure).max(1),
        room: text_room(body.width, &hosts),
    }
}

fn draw_log(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, of: &RowsOf, title: &str) {
    let pane = &paint.model.log;
    let why = above(paint.model, area.width, area.height);
    for (row, (role, text)) in why.iter().enumerate() {
        let at = below(area, row as u16);
        put(buffer, at, 0, &Line::from(paint.span(*role, text.clone())));
    }
    let area = below(area, why.len() as u16);
    // Rows of the same hosts are shown until those come that were asked for.
    let is_theirs = |shown: &&RowsShown| shown.of.run == of.run && shown.of.hosts == of.hosts;
    let shown = pane.shown.as_ref().filter(is_theirs);
    paint.rule(buffer, top(area, 1), title, &note(paint.model, of, shown));
    let list = below(area, 1);
    let Some(shown) = shown.filter(|shown| !shown.shown.is_empty()) else {
        let text = match shown {
            None => "reading the log …".to_owned(),
            Some(shown) if shown.read.start < shown.read.end => "looking for lines …".to_owned(),
            Some(shown) if shown.lines == 0 => "nothing logged yet".to_owned(),
            Some(_) => {
                let key = paint.model.keymap.press("back");
                format!("no line matches; {key} shows all lines")
            }
        };
        put_wrapped(paint, buffer, list, Role::Dim, &text);
        return;
    };
    draw_rows(paint, buffer, list, &shown.of);
}

/// Draws the rows in sight.
fn draw_rows(paint: &Paint<'_>, buffer: &mut Buffer, list: Rect, of: &RowsOf) {
    let pane = &paint.model.log;
    let sight = Sight { height: list.height.max(1), room: text_room(list.width, &of.hosts) };
    let (first, cursor) = sight.place(pane);
    let look = RowLook {
        paint,
        of,
        columns: list.width,
        matcher: Some(pane.pattern_now())
            .filter(|it| !it.is_empty())
            .and_then(|it| it.matcher().ok()),
        dims_others: matches!(pane.typing, Some(LogTyping::Find { .. })),
        began_at: paint.model.shown_run().map_or(paint.now, |run| run.began_at),
    };
    let selected = pane.selected().filter(|_| pane.anchor.is_some());
    let (mut number, mut height) = (first, 0);
    while height < list.height {
        let Some(row) = pane.row(number) else {
            if number >= pane.rows() {
                break;
            }
            // It was asked for, and its place stays free.
            (number, height) = (number + 1, height + 1);
            continue;
        };
        let before = number.checked_sub(1).and_then(|before| pane.row(before)).and_then(|it| it.at);
        let signs = RowSigns {
            has_cursor: cursor == Some(number),
            is_selected: selected.as_ref().is_some_and(|selected| selected.contains(&number)),
            is_marked: is_marked(pane, of, row.place.host, row.place.line),
        };
        for line in look.lines(row, before, signs) {
            let place = top(below(list, height), 1);
            paint.places.add(place, ClickTarget::LogRow { index: number, from: first });
            put(buffer, list, height, &line);
            height += 1;
        }
        number += 1;
    }
}

/// Returns whether a line was marked.
fn is_marked(pane: &LogPane, of: &RowsOf, host: usize, line: u64) -> bool {
    !pane.marks.is_empty()
        && of
            .hosts
            .get(host)
            .is_some_and(|host| pane.marks.contains(&(of.run.0.clone(), host.clone(), line)))
}

/// Returns what is to be known about the log as a whole.
fn note(model: &Model, of: &RowsOf, shown: Option<&RowsShown>) -> String {
    let pane = &model.log;
    let mut words = Vec::new();
    if let Some(shown) = shown {
        if is_all(&shown.of) {
            words.push(lines(shown.lines));
        } else {
            words.push(format!("{} of {}", count(shown.rows), lines(shown.lines)));
        }
        if shown.read.start < shown.read.end {
            words.push(format!("reading {}", percent(shown.read.start, shown.read.end)));
        }
    }
    match of.levels {
        LineLevels::All => {}
        LineLevels::Messages => words.push("no output of builds".to_owned()),
        LineLevels::Errors => words.push("errors alone".to_owned()),
    }
    if of.folds {
        words.push("equal lines folded".to_owned());
    }
    if !pane.pattern.is_empty() && pane.typing.is_none() {
        let what = if of.only.is_some() { "only" } else { "finding" };
        words.push(format!("{what} “{}”{}", pane.pattern.text, matches(pane, of)));
    }
    if let Some((_, share)) = &pane.search {
        let key = model.keymap.press("back");
        words.push(format!("searching {:.0} % ({key} stops)", share * 100.0));
    }
    words.push(match pane.place {
        PanePlace::Follow => "following".to_owned(),
        PanePlace::Seek(_) => "held".to_owned(),
        PanePlace::At { cursor, .. } => match pane.row(cursor) {
            Some(row) => format!("line {}", count(row.place.line + 1)),
            None => "held".to_owned(),
        },
    });
    words.join(" · ")
}

/// Returns whether every line is a row.
fn is_all(of: &RowsOf) -> bool {
    of.build.is_none() && of.levels == LineLevels::All && of.only.is_none() && !of.folds
}

/// Returns how many rows match, as a part of a sentence.
fn matches(pane: &LogPane, of: &RowsOf) -> String {
    let is_this = |counted: &&crate::dash::panes::logs::state::CountedRows| {
        counted.of == *of && counted.pattern == pane.pattern_now()
    };
    match pane.counted.as_ref().filter(is_this) {
        Some(counted) if counted.read.start < counted.read.end => {
            let read = percent(counted.read.start, counted.read.end);
            format!(" in {} so far ({read})", lines(counted.rows))
        }
        Some(counted) => format!(" in {}", lines(counted.rows)),
        None => String::new(),
    }
}

/// Returns how many lines.
fn lines(number: u64) -> String {
    if number == 1 { "1 line".to_owned() } else { format!("{} lines", count(number)) }
}

/// Returns a part of a whole in percent.
fn percent(part: u64, whole: u64) -> String {
    format!("{:.0} %", part as f64 / whole.max(1) as f64 * 100.0)
}

/// Returns what stands in the footer while something is typed: what for, the text, and what comes of it.
pub(in crate::dash) fn typed(model: &Model) -> Option<(&'static str, String, String)> {
    let pane = &model.log;
    match pane.typing.as_ref()? {
        LogTyping::Save { input } => Some(("save as ", input.text().to_owned(), String::new())),
        LogTyping::Find { input, is_regex } => {
            let sign = if *is_regex { "regex /" } else { "/" };
            let pattern = pane.pattern_now();
            let note = match pattern.matcher() {
                _ if pattern.is_empty() => String::new(),
                Err(error) => error.lines().last().unwrap_or_default().trim().to_owned(),
                Ok(_) => {
                    let of = rows_of(model)?;
                    let rows = pane.shown.as_ref().map_or(0, |shown| shown.rows);
                    let found = matches(pane, &of);
                    if found.is_empty() {
                        "counting".to_owned()
                    } else {
                        format!("{} of {}", found.trim_start_matches(" in "), count(rows))
                    }
                }
            };
            Some((sign, input.text().to_owned(), note))
        }
    }
}
