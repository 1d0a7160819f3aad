//! What keys change in the pane of logs.

use crate::dash::command::Command;
use crate::dash::model::Model;
use crate::dash::moves::moved;
use crate::dash::msg::Effect;
use crate::dash::panes::logs::asked::{
    BuildCompared, BuildLines, ComparedBuild, LineLevels, PaneRow, RowSearch, RowsTaken, Sought,
};
use crate::dash::panes::logs::layout::Sight;
use crate::dash::panes::logs::state::{BuildComparison, LogFace, LogPane, PanePlace};
use crate::dash::panes::logs::typing;
use crate::dash::panes::logs::wanted::rows_of;
use crate::fleet::Phase;
use crate::nix::activity::BuildState;
use crate::record::output_of;
use jiff::Timestamp;

/// Columns by which long lines are moved.
const SIDEWAYS: usize = 20;

/// Does a command of the pane, of which so much is in sight.
pub(in crate::dash) fn command(
    model: &mut Model,
    command: Command,
    sight: Sight,
    now: Timestamp,
) -> Vec<Effect> {
    match command {
        command if command.moves() => go(model, command, sight),
        Command::TurnFace => model.log.face = model.log.face.next(),
        Command::CompareBuild => compare(model, now),
        Command::AllHosts => {
            let all = !model.log.all_hosts;
            model.log.leave_host();
            model.log.all_hosts = all;
        }
        Command::Open => open(model, now),
        Command::Follow => follow(&mut model.log, sight),
        Command::Wrap => model.log.wrap = !model.log.wrap,
        Command::Fold => {
            model.log.folds = !model.log.folds;
            model.log.hold_line();
        }
        Command::Levels => {
            model.log.levels = model.log.levels.next();
            model.log.hold_line();
        }
        Command::Times => model.log.time = model.log.time.next(),
        Command::ScrollLeft => model.log.sideways = model.log.sideways.saturating_sub(SIDEWAYS),
        Command::ScrollRight => scroll_right(&mut model.log, sight),
        Command::FindText => typing::begin_find(model),
        Command::NextMatch => search(&mut model.log, Sought::Pattern, true),
        Command::PreviousMatch => search(&mut model.log, Sought::Pattern, false),
        Command::OnlyMatching => {
            model.log.only_matching = !model.log.only_matching;
            model.log.hold_line();
        }
        Command::NextError => search(&mut model.log, |_| Sought::Trouble, true),
        Command::PreviousError => search(&mut model.log, |_| Sought::Trouble, false),
        Command::Failure => {
            model.log.is_unasked = false;
            show_failure(model);
        }
        Command::Select => select(&mut model.log, sight),
        Command::Copy => return copy(model, false),
        Command::CopyError => return copy(model, true),
        Command::SaveLog => typing::begin_save(model),
        Command::MarkLine => mark(model),
        Command::NextMark => next_mark(model, now),
        _ => {}
    }
    Vec::new()
}

/// Leaves what was chosen last in the pane; returns whether there was anything.
pub(in crate::dash) fn leave(model: &mut Model) -> bool {
    let pane = &mut model.log;
    if pane.search.is_some() {
        pane.search = None;
    } else if pane.anchor.is_some() {
        pane.anchor = None;
    } else if pane.leave_comparison() {
        return true;
    } else if pane.face != LogFace::Log {
        pane.face = LogFace::Log;
    } else if let Some((_, before)) = pane.alone.take() {
        pane.face = before;
        pane.hold_line();
    } else if !pane.pattern.is_empty() || pane.levels != LineLevels::All {
        pane.forget_pattern();
        pane.levels = LineLevels::All;
        pane.hold_line();
    } else if pane.all_hosts {
        pane.leave_host();
        pane.all_hosts = false;
    } else {
        return false;
    }
    true
}

/// Moves the cursor, or selects another derivation or copy.
pub(super) fn go(model: &mut Model, command: Command, sight: Sight) {
    let pane = &mut model.log;
    let page = sight.height.saturating_sub(1).max(1);
    match pane.face {
        LogFace::Log => scroll(pane, command, sight),
        LogFace::Builds => {
            let at = pane.build_index();
            let Some((_, _, shown)) = &pane.activity else { return };
            let to = moved(at, shown.builds.len(), command, page);
            pane.build = shown.builds.get(to).map(|row| row.drv.clone());
        }
        LogFace::Transfers => {
            let Some((_, _, shown)) = &pane.activity else { return };
            pane.transfer = moved(pane.transfer, shown.transfers.len(), command, page);
        }
        LogFace::Compared => {
            let Some(compared) = &mut pane.compared else { return };
            if let Some(ComparedBuild::Found(found)) = &compared.found {
                compared.row = moved(compared.row, found.rows.len(), command, page);
            }
        }
    }
}

/// Moves the cursor; going below the last row follows again.
fn scroll(pane: &mut LogPane, command: Command, sight: Sight) {
    let Some(last) = pane.rows().checked_sub(1) else { return };
    let (top, cursor) = match pane.place {
        PanePlace::Follow => (sight.tail(pane), last),
        PanePlace::At { top, cursor } => (top, cursor.min(last)),
        PanePlace::Seek(_) => return,
    };
    let page = u64::from(sight.height.saturating_sub(1).max(1));
    let (top, to) = match command {
        Command::Up => (top, cursor.saturating_sub(1)),
        Command::PageUp => (top.saturating_sub(page), cursor.saturating_sub(page)),
        Command::PageDown => (top.saturating_add(page), cursor.saturating_add(page)),
        Command::Top => (0, 0),
        Command::Bottom => (top, u64::MAX),
        _ => (top, cursor + 1),
    };
    pane.search = None;
    if to > last && pane.anchor.is_none() {
        pane.place = PanePlace::Follow;
        return;
    }
    let cursor = to.min(last);
    pane.place = PanePlace::At { top: sight.with_cursor(pane, top, cursor), cursor };
}

/// Follows the newest row, or holds what is in sight.
fn follow(pane: &mut LogPane, sight: Sight) {
    let place = match (pane.place, pane.rows().checked_sub(1)) {
        (PanePlace::Follow, Some(cursor)) => PanePlace::At { top: sight.tail(pane), cursor },
        _ => PanePlace::Follow,
    };
    pane.go_to(place);
}

/// Leaves out more columns at the left, as long as something is left of the longest line.
fn scroll_right(pane: &mut LogPane, sight: Sight) {
    let rows = pane.shown.iter().flat_map(|shown| &shown.shown);
    let longest = rows.map(|row| row.text.chars().count()).max().unwrap_or_default();
    if pane.sideways + sight.room < longest {
        pane.sideways += SIDEWAYS;
    }
}

/// Begins to look for something from the cursor on.
fn search(pane: &mut LogPane, sought: impl FnOnce(super::LinePattern) -> Sought, is_down: bool) {
    let from = match (pane.place, is_down) {
        (PanePlace::At { cursor, .. }, true) => cursor + 1,
        (PanePlace::At { cursor, .. }, false) => cursor,
        (PanePlace::Follow | PanePlace::Seek(_), true) => 0,
        (PanePlace::Follow | PanePlace::Seek(_), false) => u64::MAX,
    };
    pane.is_unasked = false;
    let sought = sought(pane.pattern.clone());
    begin_search(pane, sought, from, is_down);
}

/// Begins to look for something from a row on.
pub(super) fn begin_search(pane: &mut LogPane, sought: Sought, from: u64, is_down: bool) {
    pane.searches += 1;
    pane.has_turned = false;
    pane.search = Some((RowSearch { id: pane.searches, sought, from, is_down }, 0.0));
}

/// Goes on with a search from the other end of the log; returns whether there is more of the log than was
/// looked through.
pub(super) fn turn_search(pane: &mut LogPane, search: &RowSearch) -> bool {
    let end = if search.is_down { 0 } else { u64::MAX };
    let turns = !pane.has_turned && search.from != end;
    if turns {
        begin_search(pane, search.sought.clone(), end, search.is_down);
        pane.has_turned = true;
    }
    turns
}

/// Shows the log of the selected derivation alone, or of the one that the line at the cursor is of.
fn open(model: &mut Model, now: Timestamp) {
    let pane = &mut model.log;
    match pane.face {
        LogFace::Builds => {
            let index = pane.build_index();
            let Some((_, _, shown)) = &pane.activity else { return };
            let Some(row) = shown.builds.get(index).cloned() else { return };
            if row.is_made_elsewhere {
                let text = format!("{} was built elsewhere: it has no log here", row.name);
                model.say(text, false, now);
                return;
            }
            if matches!(row.state, BuildState::Planned | BuildState::Waiting(_)) {
                model.say(format!("{} has not begun: it has no log yet", row.name), false, now);
                return;
            }
            alone(pane, BuildLines::of_derivation(&row.drv, &row.package), LogFace::Builds);
            if row.state == BuildState::Failed && !row.words.is_empty() {
                begin_search(pane, Sought::Text(row.words), 0, true);
            }
        }
        LogFace::Log => {
            let Some(row) = pane.at_cursor() else { return };
            let (place, lines) = (row.place, output_lines(row));
            match lines {
                Some(lines) if pane.alone.is_none() => {
                    alone(pane, lines, LogFace::Log);
                    pane.go_to(PanePlace::Seek(place));
                }
                Some(_) => {}
                None => model.say("this line is not the output of a build", false, now),
            }
        }
        LogFace::Transfers | LogFace::Compared => {}
    }
}

/// Compares a build with the last good one of its package: the one that is shown alone or selected, that
/// printed the line at the cursor, or that failed.
fn compare(model: &mut Model, now: Timestamp) {
    let Some(of) = rows_of(model) else { return };
    let pane = &mut model.log;
    let at_cursor = pane.at_cursor().filter(|_| pane.face == LogFace::Log);
    let number = at_cursor.map_or(0, |row| row.place.host);
    let failure = of.hosts.first().and_then(|host| pane.activity_of(&of.run, host));
    let failed = failure.and_then(|shown| shown.failure.as_ref()?.lines.clone());
    let lines = match (pane.face, &pane.alone) {
        (LogFace::Compared, _) => return,
        (LogFace::Builds, _) => pane.selected_build(),
        (LogFace::Log, Some((lines, _))) => Some(lines.clone()),
        (LogFace::Log, None) => at_cursor.and_then(output_lines).or(failed),
        (LogFace::Transfers, _) => failed,
    };
    let (Some(lines), Some(host)) = (lines, of.hosts.get(number).cloned()) else {
        let key = model.keymap.press("turn-view");
        let text = format!(
            "no build is chosen: go to a line that one printed, or press {key} and select one"
        );
        model.say(text, false, now);
        return;
    };
    pane.searches += 1;
    let asked = BuildCompared { id: pane.searches, run: of.run, host, lines };
    pane.compared = Some(BuildComparison { asked, before: pane.face, found: None, row: 0 });
    pane.face = LogFace::Compared;
}

/// Returns the build that printed a row.
fn output_lines(row: &PaneRow) -> Option<BuildLines> {
    let (package, _) = output_of(&row.text)?;
    Some(BuildLines { package: package.to_owned(), build: row.build })
}

/// Shows the lines of a build alone.
fn alone(pane: &mut LogPane, lines: BuildLines, before: LogFace) {
    pane.face = LogFace::Log;
    pane.alone = Some((lines, before));
    pane.go_to(PanePlace::Follow);
}

/// Shows why the host failed: the log of the derivation that failed, at the line that says it, or else the
/// first line of the phase that failed which tells of trouble: what follows from it stands below. Before
/// the activation it is the last line: programs that build say much that sounds like an error.
pub(in crate::dash) fn show_failure(model: &mut Model) {
    let (Some(run), Some(host)) = (model.shown_run(), model.shown_host_run()) else { return };
    let phase = host.failed_in().filter(|phase| *phase >= Phase::Activate);
    let (run, host) = (run.id.clone(), host.host.clone());
    let pane = &mut model.log;
    let failure = pane.activity_of(&run, &host).and_then(|shown| shown.failure.as_ref());
    let (lines, said) = match failure {
        Some(failure) => (failure.lines.clone(), failure.said.clone()),
        None => (None, None),
    };
    pane.failure_of = Some((run, host));
    pane.face = LogFace::Log;
    pane.forget_pattern();
    pane.levels = LineLevels::All;
    match (lines, said) {
        (Some(lines), Some(said)) => {
            alone(pane, lines, LogFace::Log);
            begin_search(pane, Sought::Text(said), 0, true);
        }
        (Some(lines), None) => alone(pane, lines, LogFace::Log),
        (None, _) => match phase {
            Some(phase) => begin_search(pane, Sought::TroubleIn(phase), 0, true),
            None => begin_search(pane, Sought::Trouble, u64::MAX, false),
        },
    }
}

/// Begins to select rows at the cursor, or ends it.
fn select(pane: &mut LogPane, sight: Sight) {
    let Some(cursor) = pane.cursor() else { return };
    if pane.anchor.take().is_some() {
        return;
    }
    if pane.place == PanePlace::Follow {
        pane.place = PanePlace::At { top: sight.tail(pane), cursor };
    }
    pane.anchor = Some(cursor);
}

/// Asks for rows to be copied: those that are selected, or an error with the lines around it.
fn copy(model: &mut Model, around_error: bool) -> Vec<Effect> {
    let Some(of) = rows_of(model) else { return Vec::new() };
    let pane = &mut model.log;
    let (Some(rows), Some(cursor)) = (pane.selected(), pane.cursor()) else { return Vec::new() };
    pane.anchor = None;
    let what = if around_error { RowsTaken::AroundTrouble(cursor) } else { RowsTaken::Rows(rows) };
    vec![Effect::CopyRows { of: Box::new(of), what }]
}

/// Marks the line at the cursor, or takes its mark away.
fn mark(model: &mut Model) {
    let Some(of) = rows_of(model) else { return };
    let pane = &mut model.log;
    let Some(place) = pane.at_cursor().map(|row| row.place) else { return };
    let Some(host) = of.hosts.get(place.host) else { return };
    let mark = (of.run.0, host.clone(), place.line);
    if !pane.marks.remove(&mark) {
        pane.marks.insert(mark);
    }
}

/// Goes to the next line that was marked, around the end.
fn next_mark(model: &mut Model, now: Timestamp) {
    let Some(of) = rows_of(model) else { return };
    let pane = &mut model.log;
    let places = pane.marks.iter().filter(|(run, _, _)| *run == of.run.0).filter_map(|mark| {
        let host = of.hosts.iter().position(|host| *host == mark.1)?;
        Some(super::LineAt { host, line: mark.2 })
    });
    let mut places: Vec<_> = places.collect();
    places.sort_unstable();
    let here = pane.at_cursor().map(|row| row.place);
    let next = places.iter().find(|place| Some(**place) > here).or(places.first());
    if let Some(place) = next {
        pane.go_to(PanePlace::Seek(*place));
    } else {
        let key = model.keymap.press("mark-line");
        model.say(format!("no line is marked; {key} marks the one at the cursor"), false, now);
    }
}
