//! The line of the practice fleet that names the next thing to try.
//!
//! ```text
//!  Try next: press d on samsung: its flake has a new commit                             H hides this
//! ```
//!
//! What was tried is what the model has seen: a run that ended so, a view that was open. No step is
//! proposed that cannot be done now.

use crate::dash::model::{Model, Screen};
use crate::dash::msg::Effect;
use crate::dash::overlay::Overlay;
use crate::dash::theme::Role;
use crate::dash::widgets::paint::{Paint, put_spread};
use crate::dash::world::{HostModel, Practice, PracticeStep, RunView};
use crate::fleet::{Host, Outcome};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

/// Notes what the model shows; called whenever something has changed it, with what was known of the
/// practice fleet before. Returns what is to be kept now, where that is something else.
pub(in crate::dash) fn note(model: &mut Model, before: Option<&Practice>) -> Option<Effect> {
    let mut practice = model.practice.take()?;
    if practice.next().is_some() {
        note_tried(model, &mut practice);
    }
    let kept = (before != Some(&practice)).then(|| Effect::KeepPractice(practice.clone()));
    model.practice = Some(practice);
    kept
}

fn note_tried(model: &Model, practice: &mut Practice) {
    let revision = &model.world.revision;
    if practice.revision.is_none() {
        practice.revision.clone_from(revision);
    }
    let mut tried = |step: PracticeStep| practice.tried.insert(step);
    let deployed = [Outcome::Switched, Outcome::Booted, Outcome::Tested, Outcome::RolledBack];
    let has_run = model.shown_run().is_some();
    let mut ended = false;
    if newest_run(model, &deployed).is_some() {
        ended |= tried(PracticeStep::Deploy);
    }
    if newest_run(model, &[Outcome::RolledBack]).is_some() {
        ended |= tried(PracticeStep::Break);
    }
    let saw_rollback = model.shown_run().is_some_and(|run| ended_so(run, &[Outcome::RolledBack]));
    let seen = if model.overlay().is_none() { Some(model.screen) } else { None };
    match seen {
        Some(Screen::Deploy) if has_run => {
            tried(PracticeStep::Watch);
            if saw_rollback {
                tried(PracticeStep::SeeRollback);
            }
        }
        Some(Screen::Logs) if has_run => drop(tried(PracticeStep::ReadLog)),
        Some(Screen::Caches) => drop(tried(PracticeStep::Caches)),
        Some(Screen::History) if has_run => drop(tried(PracticeStep::History)),
        Some(_) | None => {}
    }
    if ended {
        practice.revision.clone_from(revision);
    }
}

/// Returns the newest run in which a host ended so.
fn newest_run<'m>(model: &'m Model, outcomes: &[Outcome]) -> Option<&'m RunView> {
    model.world.runs.iter().rev().find(|run| ended_so(run, outcomes))
}

fn ended_so(run: &RunView, outcomes: &[Outcome]) -> bool {
    run.results().any(|(_, result)| outcomes.contains(&result.outcome))
}

/// Returns what to try next, as a sentence; nothing where there is nothing to say.
pub(in crate::dash) fn sentence(model: &Model) -> Option<String> {
    let step = model.practice.as_ref()?.next()?;
    let key = |name: &str| model.keymap.press(name);
    if let Some(asking) = run_at_work(model) {
        return Some(asking);
    }
    let (name, has_commit) = host_to_deploy(model)?;
    let deploy = |because: &str| {
        let deploy = key("deploy");
        if model.screen == Screen::Fleet {
            format!("press {deploy} on {name}: {because}")
        } else {
            format!("press {}, then {deploy} on {name}: {because}", key("fleet"))
        }
    };
    let press = |name: &str, for_what: &str| format!("press {}: {for_what}", key(name));
    Some(match step {
        PracticeStep::Deploy if has_commit => deploy("its flake has a new commit"),
        PracticeStep::Deploy => format!("in another terminal: nixdash lab bump {name}"),
        PracticeStep::Watch => press("run", "what the run did on each host"),
        PracticeStep::ReadLog => press("logs", "the log of the run"),
        PracticeStep::Caches => press("caches", "which cache holds how much of each host"),
        PracticeStep::Break if has_commit => deploy("its new system cannot be activated"),
        PracticeStep::Break => {
            format!("in another terminal: nixdash lab bump {name} --break activation")
        }
        PracticeStep::SeeRollback => {
            let run = newest_run(model, &[Outcome::RolledBack])?;
            if model.shown_run().is_some_and(|shown| shown.id == run.id) {
                press("run", "why the host was rolled back")
            } else {
                let history = key("history");
                format!("press {history} and open run #{}: its host was rolled back", run.id)
            }
        }
        PracticeStep::History => press("history", "all runs, each with its log"),
    })
}

/// Says how to go on with a run that is at work, or waits for somebody.
fn run_at_work(model: &Model) -> Option<String> {
    let run = model.world.active_runs().next_back()?;
    let key = |name: &str| model.keymap.press(name);
    if let Some(Overlay::Plan { .. }) = model.overlay() {
        return Some(format!("read the plan, then press {}: the run begins", key("plan-yes")));
    }
    let view = key("run");
    if run.waits {
        let plan = key("plan");
        return Some(format!(
            "press {view}, then {plan}: the plan of run #{} waits for you",
            run.id
        ));
    }
    Some(if model.screen == Screen::Deploy {
        format!("watch run #{}, phase by phase", run.id)
    } else {
        format!("press {view}: run #{} is at work", run.id)
    })
}

/// Returns the host that is to be deployed, and whether its flake has a new commit.
fn host_to_deploy(model: &Model) -> Option<(&str, bool)> {
    let world = &model.world;
    let is_behind = |host: &Host, view: &HostModel| {
        world.ancestry(host, view).is_some_and(|ancestry| ancestry.behind > 0)
    };
    let may = |host: &Host| {
        !host.protected && !host.read_only && world.fleet.builder.as_deref() != Some(&host.name)
    };
    let hosts = || world.fleet.hosts.iter().zip(&world.hosts).filter(|(host, _)| may(host));
    if let Some((host, _)) = hosts().rev().find(|(host, view)| is_behind(host, view)) {
        return Some((&host.name, true));
    }
    let practice = model.practice.as_ref()?;
    let is_new = practice.revision.is_some() && world.revision != practice.revision;
    hosts().next_back().map(|(host, _)| (host.name.as_str(), is_new))
}

/// Draws the line in its row.
pub(in crate::dash) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, row: Rect) {
    let Some(sentence) = sentence(paint.model) else { return };
    let left = vec![Span::raw(" "), paint.span(Role::Title, "Try next: "), Span::raw(sentence)];
    let hide = format!("{} hides this ", paint.model.keymap.press("hide-next-try"));
    put_spread(buffer, row, left, vec![paint.span(Role::Dim, hide)]);
}
