//! What keys do in the pane of a host's generations, and what the host's answers do to it.

use crate::dash::command::Command;
use crate::dash::generations::{DiffPane, GenerationsPane};
use crate::dash::input::LineInput;
use crate::dash::layout::layout;
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::{Overlay, StartForm, StartFrom};
use crate::dash::update::overlay::begin;
use crate::fleet::{Generations, Goal};
use jiff::Timestamp;

/// Opens the pane of the selected host and asks the host.
pub(super) fn open(model: &mut Model) -> Vec<Effect> {
    let Some(host) = model.selected().map(|(host, _)| host.name.clone()) else { return Vec::new() };
    model.overlay = Some(Overlay::Generations(GenerationsPane::new(host.clone())));
    vec![Effect::ListGenerations { host }]
}

/// Takes a host's list, where its pane is still open.
pub(super) fn listed(model: &mut Model, host: &str, found: Result<Generations, String>) {
    if let Some(Overlay::Generations(pane)) = &mut model.overlay
        && pane.host == host
    {
        // What runs is what a person wants to compare with.
        if let Ok(list) = &found
            && let Some(running) = list.running_number()
        {
            let at = list.all.iter().rev().position(|one| one.number == running);
            pane.selected = at.unwrap_or_default();
        }
        pane.found = Some(found);
    }
}

/// Takes what differs between two systems, where that is still wanted.
pub(super) fn compared(
    model: &mut Model,
    host: &str,
    generation: u64,
    lines: Result<Vec<String>, String>,
) {
    if let Some(Overlay::Generations(pane)) = &mut model.overlay
        && pane.host == host
        && let Some(diff) = pane.diff.as_mut().filter(|diff| diff.generation == generation)
    {
        diff.lines = Some(lines);
    }
}

/// Does a command in the pane.
pub(super) fn pane(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let page = layout(model).page();
    let Some(Overlay::Generations(pane)) = &mut model.overlay else { return Vec::new() };
    if let Some(diff) = &mut pane.diff {
        match command {
            Command::Up => diff.scroll = diff.scroll.saturating_sub(1),
            Command::Down => diff.scroll = diff.scroll.saturating_add(1).min(1000),
            Command::PageUp => diff.scroll = diff.scroll.saturating_sub(page),
            Command::PageDown => diff.scroll = diff.scroll.saturating_add(page).min(1000),
            Command::Top => diff.scroll = 0,
            Command::Bottom => diff.scroll = 1000,
            Command::Close => pane.diff = None,
            Command::RollBack => return roll_back(model, now),
            _ => {}
        }
        return Vec::new();
    }
    let count = pane.list().map_or(0, |list| list.all.len());
    let last = count.saturating_sub(1);
    match command {
        Command::Up => pane.selected = pane.selected.saturating_sub(1),
        Command::Down => pane.selected = (pane.selected + 1).min(last),
        Command::PageUp => pane.selected = pane.selected.saturating_sub(usize::from(page)),
        Command::PageDown => pane.selected = (pane.selected + usize::from(page)).min(last),
        Command::Top => pane.selected = 0,
        Command::Bottom => pane.selected = last,
        Command::Compare => return compare(pane),
        Command::RollBack => return roll_back(model, now),
        Command::Close => model.overlay = None,
        _ => {}
    }
    Vec::new()
}

/// Asks what differs between what runs and the selected generation.
fn compare(pane: &mut GenerationsPane) -> Vec<Effect> {
    let running = pane.list().and_then(|list| list.running.clone());
    let (Some(old), Some(chosen)) = (running, pane.chosen()) else { return Vec::new() };
    let (generation, new) = (chosen.number, chosen.system.clone());
    pane.diff = Some(DiffPane { generation, lines: None, scroll: 0 });
    vec![Effect::CompareGenerations { host: pane.host.clone(), generation, old, new }]
}

/// Begins a rollback to the selected generation; its plan asks before anything changes.
fn roll_back(model: &mut Model, now: Timestamp) -> Vec<Effect> {
    let Some(Overlay::Generations(pane)) = &model.overlay else { return Vec::new() };
    let Some(chosen) = pane.chosen() else { return Vec::new() };
    let form = StartForm {
        hosts: vec![pane.host.clone()],
        goal: Goal::Rollback,
        own_actions: false,
        strategy: None,
        typed: Vec::new(),
        input: LineInput::default(),
        from: StartFrom::Generation(chosen.number),
    };
    model.overlay = None;
    begin(model, form, now)
}

/// Tries the hosts of the shown run again that did not end well.
pub(super) fn retry(model: &mut Model, now: Timestamp) -> Vec<Effect> {
    let Some(run) = model.shown_run().filter(|run| run.can_be_tried_again()) else {
        return Vec::new();
    };
    let goal = run.plan.as_ref().map_or(Goal::Build, |plan| plan.goal);
    let form = StartForm {
        hosts: run.not_well(),
        goal,
        own_actions: false,
        strategy: None,
        typed: Vec::new(),
        input: LineInput::default(),
        from: StartFrom::Run(run.id.clone()),
    };
    begin(model, form, now)
}
