//! What comes back from the reader of the files, folded into the pane.

use crate::dash::model::{Model, Screen};
use crate::dash::panes::logs::asked::{LogNews, RowSearch, RowsShown, Sought};
use crate::dash::panes::logs::layout::Sight;
use crate::dash::panes::logs::state::{CountedRows, LogFace, PanePlace};
use crate::dash::panes::logs::update::{begin_search, show_failure, turn_search};
use crate::dash::panes::logs::wanted::rows_of;
use crate::fleet::HostResult;
use jiff::Timestamp;

/// Folds what came, where so much is in sight.
pub(in crate::dash) fn news(model: &mut Model, news: LogNews, sight: Sight, now: Timestamp) {
    model.dirty |= model.screen == Screen::Logs;
    match news {
        LogNews::Rows(shown) => rows(model, *shown, sight),
        LogNews::Counted { pattern, of, rows, read } => {
            model.log.counted = Some(CountedRows { pattern, of: *of, rows, read });
        }
        LogNews::Searching { id, share } => {
            if let Some((search, told)) = &mut model.log.search
                && search.id == id
            {
                *told = share;
            }
        }
        LogNews::Found { id, row } => {
            let is_this = |(search, _): &mut (RowSearch, f32)| search.id == id;
            if let Some((search, _)) = model.log.search.take_if(is_this) {
                found(model, &search, row, sight, now);
            }
        }
        LogNews::Compared { id, found } => {
            if let Some(compared) = model.log.compared.as_mut().filter(|it| it.asked.id == id) {
                compared.found = Some(found);
            }
        }
        LogNews::Activity { run, host, shown } => {
            let is_read = shown.share >= 1.0;
            model.log.activity = Some((run, host, shown));
            if is_read {
                open_failure(model);
            }
        }
    }
}

/// Takes rows that were asked for, as long as they are those of now.
fn rows(model: &mut Model, shown: RowsShown, sight: Sight) {
    if rows_of(model).as_ref() != Some(&shown.of) {
        return;
    }
    let pane = &mut model.log;
    if let (PanePlace::Seek(line), Some((around, row))) = (pane.place, shown.around)
        && line == around
    {
        pane.place = in_sight(row, sight);
    }
    pane.shown = Some(shown);
}

/// Returns the place of a row with something above it.
fn in_sight(row: u64, sight: Sight) -> PanePlace {
    PanePlace::At { top: sight.above(row), cursor: row }
}

/// Shows what was found, or looks for it from the other end of the log; where it is nowhere, says so.
fn found(model: &mut Model, search: &RowSearch, row: Option<u64>, sight: Sight, now: Timestamp) {
    let what = match &search.sought {
        Sought::Pattern(_) => "match",
        Sought::Trouble | Sought::TroubleIn(_) | Sought::Text(_) => "error",
    };
    if let Some(row) = row {
        model.log.place = in_sight(row, sight);
        if model.log.has_turned {
            let (side, end) = if search.is_down { ("below", "first") } else { ("above", "last") };
            model.say(format!("no {what} {side}: this is the {end} one"), false, now);
        }
        return;
    }
    match &search.sought {
        Sought::Pattern(_) | Sought::Trouble if turn_search(&mut model.log, search) => {}
        Sought::Pattern(pattern) => {
            model.say(format!("no line matches “{}”", pattern.text), false, now);
        }
        Sought::Trouble if !model.log.is_unasked => say_no_error(model, now),
        // The phase that failed says nothing that looks like an error: the last one of the log is the best there is.
        Sought::TroubleIn(_) => begin_search(&mut model.log, Sought::Trouble, u64::MAX, false),
        Sought::Trouble | Sought::Text(_) => {}
    }
}

/// Says that no line of the log tells of an error; of a host that failed, that why stands above the log.
fn say_no_error(model: &mut Model, now: Timestamp) {
    let result = model.shown_host_run().and_then(|host| host.result.as_ref());
    let error = result.filter(|result| !result.outcome.is_good()).and_then(HostResult::told);
    let is_whole = model.log.alone.is_none() && model.log.pattern.is_empty();
    match error.filter(|_| is_whole && !model.log.all_hosts) {
        Some(error) => {
            let text = format!("no line of the log looks like an error; the host failed: {error}");
            model.say(text, false, now);
        }
        None => model.say("no line tells of an error", false, now),
    }
}

/// Shows why the host failed when its log is opened: once, and only while nobody looks at something
/// else of it.
fn open_failure(model: &mut Model) {
    let (Some(run), Some(host)) = (model.shown_run(), model.shown_host_run()) else { return };
    let has_failed = host.result.as_ref().is_some_and(|result| !result.outcome.is_good());
    let this = (run.id.clone(), host.host.clone());
    let pane = &model.log;
    let is_untouched = pane.place == PanePlace::Follow
        && pane.face == LogFace::Log
        && pane.alone.is_none()
        && pane.pattern.is_empty()
        && pane.typing.is_none()
        && !pane.all_hosts;
    if has_failed && is_untouched && pane.failure_of.as_ref() != Some(&this) {
        model.log.is_unasked = true;
        show_failure(model);
    }
}
