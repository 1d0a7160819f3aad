//! What events, notices and lost runs change.

use crate::dash::layout::layout;
use crate::dash::model::{Model, Screen};
use crate::dash::msg::{Effect, Trend, Wish};
use crate::dash::overlay::Overlay;
use crate::dash::panes::deploy::stand_side_by_side;
use crate::dash::sorting::is_quiet;
use crate::dash::theme::Role;
use crate::dash::words::summary_mark;
use crate::dash::world::{HISTORY, RunView, age};
use crate::fleet::words::runs::last_run_failed;
use crate::fleet::{
    Code, Event, HostFacts, HostResult, HostState, RunEvent, RunId, RunWhat, Silence, TierFacts,
    duration,
};
use jiff::Timestamp;
use std::collections::VecDeque;
use std::time::Duration;

/// Runs that are kept; the oldest that is done leaves first.
const RUNS: usize = 100;

/// A run that took longer than this rings when it ends.
const LONG_RUN: Duration = Duration::from_secs(30);

/// An end that lies further back than this is history, not news.
const NEWS: Duration = Duration::from_secs(20);

/// Returns whether an event may change what is shown: that a host is asked again is not.
pub(super) fn is_seen(model: &Model, event: &Event) -> bool {
    match event {
        Event::Asking { host } => {
            model.world.host(host).is_some_and(|view| view.facts.state == HostState::Unknown)
        }
        Event::Host { .. }
        | Event::Store { .. }
        | Event::Coverage { .. }
        | Event::Next { .. }
        | Event::Tier { .. }
        | Event::Run(_) => true,
    }
}

/// Folds an event.
pub(super) fn event(model: &mut Model, mut event: Event, now: Timestamp) -> Vec<Effect> {
    if let Event::Host { host, facts } = &mut event {
        add_last_run(model, host, facts, now);
    }
    event.silence(&model.world.alarms, now);
    let over = over_with(model, &event);
    match event {
        Event::Asking { host } => {
            with_host(model, &host, |view| view.asking = true);
        }
        Event::Host { host, facts } => with_host(model, &host, |view| {
            view.asking = false;
            measured(&mut view.loads, &view.facts, &facts);
            view.facts = *facts;
        }),
        Event::Store { host, facts } => {
            with_host(model, &host, |view| view.store = Some(facts));
        }
        Event::Coverage { host, facts } => {
            with_host(model, &host, |view| view.coverage = facts);
        }
        Event::Next { host, facts } => with_host(model, &host, |view| view.next = *facts),
        Event::Tier { tier, facts } => {
            if let Some(view) = model.world.tier_mut(&tier) {
                timed(&mut view.latencies, &view.facts, &facts);
                view.facts = *facts;
            }
        }
        Event::Run(event) => {
            if let RunWhat::Result { result, .. } = &event.what {
                note_result(model, result);
            }
            return run(model, event, now);
        }
    }
    over.into_iter().map(|silence| Effect::ForgetSilence(Box::new(silence))).collect()
}

/// Returns the silences that end with what was measured, since their findings changed or are gone. What was
/// found before this dashboard was opened may have been looked at in less depth, and is compared with nothing.
fn over_with(model: &Model, event: &Event) -> Vec<Silence> {
    let (world, alarms) = (&model.world, &model.world.alarms);
    let is_own = |asked_at: Option<Timestamp>| asked_at.is_some_and(|at| at >= world.opened_at);
    if world.fleet.read_only {
        return Vec::new();
    }
    match event {
        Event::Host { host, facts } => {
            let before = world.host(host).map(|view| &view.facts);
            let before = before.filter(|before| is_own(before.asked_at));
            before.map_or_else(Vec::new, |before| alarms.over_with_host(before, facts))
        }
        Event::Tier { tier, facts } => {
            let before = world.tier(tier).map(|view| &view.facts);
            let before = before.filter(|before| is_own(before.asked_at));
            before.map_or_else(Vec::new, |before| alarms.over_with_tier(before, facts))
        }
        Event::Asking { .. }
        | Event::Store { .. }
        | Event::Coverage { .. }
        | Event::Next { .. }
        | Event::Run(_) => Vec::new(),
    }
}

/// Adds to the findings of a host that its newest run failed there.
fn add_last_run(model: &Model, host: &str, facts: &mut HostFacts, now: Timestamp) {
    let Some((run, part)) = model.world.last_run(host) else { return };
    let ended = part.ended_at.unwrap_or(run.newest_at);
    let Some(result) = part.result.as_ref() else { return };
    if let Some(finding) = last_run_failed(host, (&run.id, result, ended), facts, now) {
        facts.findings.push(finding);
    }
}

/// Takes in what was measured before the dashboard was opened. Graphs get that from elsewhere.
pub fn recall(model: &mut Model, event: Event) {
    match event {
        Event::Host { host, facts } => with_host(model, &host, |view| view.facts = *facts),
        Event::Store { host, facts } => with_host(model, &host, |view| view.store = Some(facts)),
        Event::Coverage { host, facts } => with_host(model, &host, |view| view.coverage = facts),
        Event::Tier { tier, facts } => {
            if let Some(view) = model.world.tier_mut(&tier) {
                view.facts = *facts;
            }
        }
        Event::Asking { .. } | Event::Next { .. } | Event::Run(_) => {}
    }
}

/// Notes that the nar of a tier was compared, and says what came of it.
pub(super) fn verified(model: &mut Model, tier: &str, text: String, bad: bool, now: Timestamp) {
    if let Some(view) = model.world.tier_mut(tier) {
        view.verifying = None;
    }
    model.say(text, bad, now);
}

/// Changes what is known of a host; a host that the fleet does not have is not shown.
fn with_host(model: &mut Model, name: &str, change: impl FnOnce(&mut crate::dash::HostModel)) {
    if let Some(view) = model.world.host_mut(name) {
        change(view);
    }
}

fn measured(loads: &mut VecDeque<f64>, old: &HostFacts, new: &HostFacts) {
    if let Some(load) = new.load1.filter(|_| new.measured_at != old.measured_at) {
        push(loads, load);
    }
}

fn timed(latencies: &mut VecDeque<f64>, old: &TierFacts, new: &TierFacts) {
    if let Some(latency) = new.latency_ms.filter(|_| new.measured_at != old.measured_at) {
        push(latencies, latency);
    }
}

/// Puts what was measured earlier before what was measured since.
pub(super) fn trends(model: &mut Model, trends: Vec<Trend>) {
    for trend in trends {
        match trend {
            Trend::HostLoad(host, earlier) => {
                with_host(model, &host, |view| before(&mut view.loads, earlier));
            }
            Trend::TierLatency(tier, earlier) => {
                if let Some(view) = model.world.tier_mut(&tier) {
                    before(&mut view.latencies, earlier);
                }
            }
        }
    }
}

/// Puts values before others, as many as there is room for, the newest of them.
fn before(values: &mut VecDeque<f64>, earlier: Vec<f64>) {
    for value in earlier.into_iter().rev().take(HISTORY.saturating_sub(values.len())) {
        values.push_front(value);
    }
}

fn push(values: &mut VecDeque<f64>, value: f64) {
    if values.len() == HISTORY {
        values.pop_front();
    }
    values.push_back(value);
}

/// Folds an event of a run.
fn run(model: &mut Model, event: RunEvent, now: Timestamp) -> Vec<Effect> {
    let id = event.run.clone();
    let index = index_of(model, &event);
    let before = model.world.runs[index].summary.is_some();
    let asked_before = model.world.runs[index].asks_somebody();
    let begins = matches!(event.what, RunWhat::Begin { .. });
    let asks = matches!(event.what, RunWhat::Plan { waits: true, .. });
    let is_news = event.at >= model.world.opened_at;
    // What began before the dashboard was opened is told of run by run, the oldest first.
    let is_earlier = !is_news && model.last_key.is_none();
    let host = selected_in(model, index);
    model.world.runs[index].fold(event);
    put_in_order(model, index, host, now);
    if begins {
        begun(model, index, is_earlier);
    }
    if asks && !(is_earlier && model.screen == Screen::Deploy) {
        plan_waits(model, index, is_news, now);
    }
    if model.world.runs[index].summary.is_some() && !before {
        return ended(model, &id, now);
    }
    // Who looks at the screen sees it there.
    if is_news && !model.focused && !asked_before && model.world.runs[index].asks_somebody() {
        let text = format!("run #{id} waits for your answer");
        return vec![Effect::Terminal(Wish::Notify(text))];
    }
    Vec::new()
}

/// Returns the selected host of a run, where the run is looked at.
fn selected_in(model: &Model, index: usize) -> Option<String> {
    let host = model.shown_host_run().filter(|_| model.deploy.run == index)?;
    Some(host.host.clone())
}

/// Selects a host of a run again, wherever it stands now; the first where nobody chose it, unless its log
/// is read alone.
fn select_again(model: &mut Model, index: usize, host: Option<String>) {
    let Some(host) = host else { return };
    let is_read = model.screen == Screen::Logs || model.zoom;
    let found = if model.deploy.is_host_chosen || is_read {
        model.world.runs[index].hosts.iter().position(|shown| shown.host == host)
    } else {
        Some(0)
    };
    model.deploy.host = found.unwrap_or(model.deploy.host);
}

/// Puts the hosts of a run in their order and selects the same one again; later where somebody moves among them,
/// so that no row jumps under the cursor.
fn put_in_order(model: &mut Model, index: usize, host: Option<String>, now: Timestamp) {
    let is_looked_at = model.screen == Screen::Deploy && model.deploy.run == index;
    if is_looked_at && model.deploy.is_host_chosen && !is_quiet(model.last_key, now) {
        model.deploy.order_is_due = true;
        return;
    }
    put_trouble_first(model, index);
    select_again(model, index, host);
}

/// Puts the hosts of the shown run in their order, where that had to wait; returns whether it did.
pub(super) fn tick(model: &mut Model, now: Timestamp) -> bool {
    let is_due = model.deploy.order_is_due && is_quiet(model.last_key, now);
    if is_due {
        model.deploy.order_is_due = false;
        resized(model);
    }
    is_due
}

/// Puts what went wrong in a run first. Hosts that stand side by side keep their places while the run goes on.
fn put_trouble_first(model: &mut Model, index: usize) {
    let run = &model.world.runs[index];
    let body = layout(model).body;
    if !run.is_active() || !stand_side_by_side(model, body, run.hosts.len()) {
        model.world.runs[index].put_trouble_first();
    }
}

/// Puts what went wrong first in every run, where the screen has another size now.
pub(super) fn resized(model: &mut Model) {
    for index in 0..model.world.runs.len() {
        let host = selected_in(model, index);
        put_trouble_first(model, index);
        select_again(model, index, host);
    }
}

/// Returns where the event's run is, after making room for one that is not known.
fn index_of(model: &mut Model, event: &RunEvent) -> usize {
    if let Some(index) = model.world.runs.iter().position(|run| run.id == event.run) {
        return index;
    }
    if model.world.runs.len() >= RUNS
        && let Some(oldest) = model.world.runs.iter().position(|run| !run.is_active())
    {
        model.world.runs.remove(oldest);
        model.deploy.run =
            if model.deploy.run > oldest { model.deploy.run - 1 } else { model.deploy.run };
    }
    model.world.runs.push(RunView::new(event.run.clone(), event.at));
    model.world.runs.len() - 1
}

/// Shows a run that has begun: at once when it was asked for here, else when nothing is watched.
fn begun(model: &mut Model, index: usize, is_earlier: bool) {
    if is_earlier && begun_as_left(model, index) {
        return;
    }
    let run = &model.world.runs[index];
    let asked_for = model.world.starting.as_ref().and_then(|starting| starting.run.as_ref());
    let ours = asked_for == Some(&run.id);
    let watching = !ours
        && model.deploy.run != index
        && (!is_earlier && matches!(model.screen, Screen::Deploy | Screen::Logs)
            || model.shown_run().is_some_and(RunView::is_active));
    if ours {
        model.world.starting = None;
        model.deploy.own = Some(model.world.runs[index].id.clone());
        model.deploy.from_history = false;
    }
    if !watching {
        model.deploy.run = index;
        model.deploy.host = 0;
        model.deploy.is_host_chosen = false;
        model.log.leave_host();
    }
}

/// Shows the run that was shown when the dashboard was left, and keeps to it where it was not just the run of
/// that time; returns whether it did.
fn begun_as_left(model: &mut Model, index: usize) -> bool {
    let Some(left) = model.deploy.left.clone() else { return false };
    let run = &model.world.runs[index];
    if run.id == left.run {
        let host = run.hosts.iter().position(|host| Some(&host.host) == left.host.as_ref());
        model.select_run(index, host);
        return true;
    }
    !left.is_of_now && model.shown_run().is_some_and(|shown| shown.id == left.run)
}

/// Opens the plan when the run is looked at, else says that it waits; keys that are typed into
/// something else must not answer it.
fn plan_waits(model: &mut Model, index: usize, is_news: bool, now: Timestamp) {
    let run = model.world.runs[index].id.clone();
    let looked_at = model.screen == Screen::Deploy && model.deploy.run == index;
    if looked_at && model.overlay().is_none() && model.prompt.is_none() {
        model.open(Overlay::Plan { run, yes: false, scroll: 0 });
    } else if is_news {
        // An older one was answered since, or the header says that it waits.
        let key = model.keymap.press("plan");
        model.say(format!("run #{run} waits for your answer: {key} shows its plan"), false, now);
    }
}

/// Says how a run ended.
fn ended(model: &mut Model, id: &RunId, now: Timestamp) -> Vec<Effect> {
    close_questions(model, id);
    let Some(run) = model.world.run_by_id(id) else { return Vec::new() };
    let Some(summary) = &run.summary else { return Vec::new() };
    if age(now, summary.at) > NEWS {
        return Vec::new();
    }
    let text = format!("run #{id}: {} in {}", summary.words(), duration(summary.duration));
    let long = summary.duration > LONG_RUN;
    let bad = matches!(summary_mark(summary).1, Role::Error | Role::Warn);
    if bad {
        model.deploy.unseen.insert(id.clone());
    }
    model.say(text.clone(), bad, now);
    if long || !model.focused {
        return vec![Effect::Terminal(Wish::Notify(text))];
    }
    Vec::new()
}

/// Notes that the process of a run is gone.
pub(super) fn run_gone(
    model: &mut Model,
    id: &RunId,
    why: &str,
    can_go_on: bool,
    now: Timestamp,
) -> Vec<Effect> {
    let is_it = |run: &RunView| run.id == *id && run.is_active();
    let Some(index) = model.world.runs.iter().position(is_it) else { return Vec::new() };
    let host = selected_in(model, index);
    let run = &mut model.world.runs[index];
    run.waits = false;
    run.gone = Some(why.to_owned());
    run.can_go_on = can_go_on;
    let is_news = run.newest_at >= model.world.opened_at;
    put_in_order(model, index, host, now);
    close_questions(model, id);
    if !is_news {
        return Vec::new();
    }
    let text = format!("nobody watches run #{id}: {why}");
    model.say(text.clone(), true, now);
    vec![Effect::Terminal(Wish::Notify(text))]
}

/// Lets the person try once more to go on with a run.
pub(super) fn still_left(model: &mut Model, id: &RunId) {
    let run = model.world.runs.iter_mut().find(|run| run.id == *id);
    if let Some(run) = run.filter(|run| run.gone.is_some()) {
        run.can_go_on = true;
    }
}

/// Closes the questions about a run that is over.
fn close_questions(model: &mut Model, id: &RunId) {
    model.overlays.retain(|overlay| {
        !matches!(
            overlay,
            Overlay::Plan { run, .. } | Overlay::Cancel { run, .. } | Overlay::Order { run, .. }
                if run == id
        )
    });
}

/// Shows a sentence of the runtime; while a run is starting, it says why it could not.
pub(super) fn notice(model: &mut Model, text: String, now: Timestamp) {
    if let Some(starting) =
        model.world.starting.as_mut().filter(|starting| starting.failed.is_none())
    {
        model.toast = None;
        starting.failed = Some(format!("the {} did not start: {text}", starting.goal.command()));
        return;
    }
    model.say(text, false, now);
}

/// Forgets which passwords were given where sudo refused one: the next run asks again. A host may fail for the
/// password of another one, which is only asked about a budget.
fn note_result(model: &mut Model, result: &HostResult) {
    if result.findings.iter().any(|finding| finding.code == Code::SudoPasswordWrong) {
        model.passwords_given.clear();
    }
}
