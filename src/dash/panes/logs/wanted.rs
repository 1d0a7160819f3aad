//! Which rows the pane needs for what it shows: asked for once, until it needs others.

use crate::dash::model::{Model, Screen};
use crate::dash::panes::logs::asked::{PaneWanted, RowsAt, RowsOf};
use crate::dash::panes::logs::state::PanePlace;

/// Returns which lines are the rows of the pane; none without a run.
pub(in crate::dash) fn rows_of(model: &Model) -> Option<RowsOf> {
    let (run, host) = (model.shown_run()?, model.shown_host_run()?);
    let pane = &model.log;
    let hosts = if pane.shows_all_hosts() {
        run.hosts.iter().map(|host| host.host.clone()).collect()
    } else {
        vec![host.host.clone()]
    };
    let only = (pane.only_matching && !pane.pattern.is_empty()).then(|| pane.pattern.clone());
    Some(RowsOf {
        run: run.id.clone(),
        hosts,
        build: pane.alone.as_ref().map(|(build, _)| build.clone()),
        levels: pane.levels,
        only,
        folds: pane.folds,
    })
}

/// Returns what the pane needs, when so many rows are in sight; nothing while it is not shown.
pub(in crate::dash) fn wanted(model: &Model, page: u16) -> Option<Box<PaneWanted>> {
    if model.screen != Screen::Logs {
        return None;
    }
    let of = rows_of(model)?;
    let pane = &model.log;
    let page = u64::from(page.max(1));
    let at = match pane.place {
        PanePlace::Follow => RowsAt::Newest,
        PanePlace::Seek(line) => RowsAt::Around(line),
        PanePlace::At { top, .. } => from_top(model, &of, top, page),
    };
    let pattern = pane.pattern_now();
    let counting = (!pattern.is_empty() && of.only.is_none()).then_some(pattern);
    let activity = (!pane.shows_all_hosts()).then(|| of.hosts.first().cloned()).flatten();
    Some(Box::new(PaneWanted {
        of,
        at,
        count: page as usize * 3,
        counting,
        search: pane.search.as_ref().map(|(search, _)| search.clone()),
        activity,
        compared: pane.compared.as_ref().filter(|it| it.found.is_none()).map(|it| it.asked.clone()),
    }))
}

/// Returns which rows are needed when this one is the first in sight: those that are there already,
/// while they are enough.
fn from_top(model: &Model, of: &RowsOf, top: u64, page: u64) -> RowsAt {
    let anew = RowsAt::From(top.saturating_sub(page));
    let Some(shown) = model.log.shown.as_ref().filter(|shown| shown.of == *of) else {
        return anew;
    };
    let end = shown.first + shown.shown.len() as u64;
    // The row before the first is needed for the time since it.
    let is_enough = shown.first <= top.saturating_sub(1) && end >= (top + page).min(shown.rows);
    if is_enough { RowsAt::From(shown.first) } else { anew }
}
