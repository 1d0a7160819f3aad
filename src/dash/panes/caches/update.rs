//! What keys do among the tiers.

use crate::dash::command::Command;
use crate::dash::layout::layout;
use crate::dash::look_back;
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::Overlay;
use crate::dash::panes::caches::columns::{Shape, sorts};
use crate::dash::panes::caches::hosts::HostsShown;
use crate::dash::panes::{cache, details, problems};
use crate::dash::silencing::SilenceForm;
use crate::dash::words::tiers::{is_bad, is_bad_on_host};
use crate::fleet::{Host, HostState, OverTimeOf, TierKind, can_be_verified};
use jiff::Timestamp;
use ratatui::layout::Rect;

/// Does a command of the view.
pub(super) fn update(
    model: &mut Model,
    command: Command,
    body: Rect,
    now: Timestamp,
) -> Vec<Effect> {
    match command {
        command if command.moves() => details::go(model, command, body, cache::rows, now),
        Command::NextDetails => details::turn(model, true),
        Command::PreviousDetails => details::turn(model, false),
        Command::Open | Command::Zoom => model.toggle_zoom(),
        Command::NextProblem => problems::next(model, is_problem, now),
        Command::CopyFix => {
            let findings = model.selected_tier().map(|(_, view)| view.facts.all_findings());
            return problems::copy_fix(&findings.unwrap_or_default());
        }
        Command::Silence => {
            let found = model.selected_tier();
            let found = found.map(|(tier, view)| (tier.name.clone(), view.facts.all_findings()));
            let (name, findings) = found.unwrap_or_default();
            problems::silence(model, &name, &findings);
        }
        Command::Sort => {
            let all = sorts(model, body.width);
            model.caches.sorting.choose(model.caches.sorting.next(&all));
            sorted(model, now);
        }
        Command::TurnSort => {
            model.caches.sorting.turn();
            sorted(model, now);
        }
        Command::ScrollRight => scroll_hosts(model, body, true),
        Command::ScrollLeft => scroll_hosts(model, body, false),
        Command::OverTime => {
            let tier = model.selected_tier().map(|(tier, _)| tier.name.clone());
            return look_back::over_time(model, tier.map(OverTimeOf::Tier), now);
        }
        Command::Events => {
            let tier = model.selected_tier().map(|(tier, _)| tier.name.clone());
            let of = tier.filter(|_| shows_details(model)).map(OverTimeOf::Tier);
            return look_back::past(model, of, now);
        }
        Command::LookClosely => look_closely(model, now),
        Command::Verify => return verify(model, now),
        _ => {}
    }
    Vec::new()
}

/// Returns whether the details of what is selected have the whole body.
pub(super) fn shows_details(model: &Model) -> bool {
    model.zoom && model.selected_tier().is_some()
}

/// Returns whether a command has something to act on.
pub(super) fn can(model: &Model, command: Command) -> bool {
    match command {
        Command::Open => !shows_details(model) && model.selected_tier().is_some(),
        Command::Silence => model.selected_tier().is_some_and(|(tier, view)| {
            SilenceForm::of(&tier.name, &view.facts.all_findings()).is_some()
        }),
        Command::Sort | Command::TurnSort => !shows_details(model) && model.row_count() > 1,
        Command::ScrollRight => {
            let shown = hosts_shown(model, layout(model).body);
            shown.hides_some() && shown.places.end < shown.all
        }
        Command::ScrollLeft => {
            let shown = hosts_shown(model, layout(model).body);
            shown.hides_some() && shown.places.start > 0
        }
        Command::NextProblem => problems::any(model, is_problem),
        Command::CopyFix => model.selected_tier().is_some_and(|(_, view)| {
            problems::worst_with_fix(&view.facts.all_findings()).is_some()
        }),
        Command::Zoom | Command::OverTime | Command::Verify => model.selected_tier().is_some(),
        Command::NextDetails | Command::PreviousDetails => {
            shows_details(model) && model.visible_tiers().len() > 1
        }
        _ => true,
    }
}

/// Closes the details, else takes the filter away.
pub(super) fn leave(model: &mut Model) -> bool {
    std::mem::take(&mut model.zoom) || model.clear_filter()
}

/// Puts the tiers in the order that was chosen, and says which it is.
fn sorted(model: &mut Model, now: Timestamp) {
    model.sort_rows(now);
    model.say(model.caches.sorting.sentence("tiers"), false, now);
}

/// Returns which hosts have a column in this body; none behind details.
fn hosts_shown(model: &Model, body: Rect) -> HostsShown {
    if shows_details(model) {
        return HostsShown::default();
    }
    Shape::without_hosts(model, usize::from(body.width)).hosts
}

/// Shows the hosts behind those that are shown, or before them.
fn scroll_hosts(model: &mut Model, body: Rect, forward: bool) {
    let shown = hosts_shown(model, body);
    let by = shown.places.len();
    model.caches.first_host = if forward {
        shown.places.end.min(shown.all.saturating_sub(by))
    } else {
        shown.places.start.saturating_sub(by)
    };
}

/// Returns whether something is known to be wrong with a tier, or with what a host makes of it.
fn is_problem(model: &Model, index: usize) -> bool {
    model
        .world
        .tiers
        .get(index)
        .is_some_and(|view| is_bad(&view.facts) || view.facts.hosts.values().any(is_bad_on_host))
}

/// Asks whether to look closely at the stores of the marked hosts, or of all that answer.
fn look_closely(model: &mut Model, now: Timestamp) {
    if !model.selects_stores() {
        let known = model.world.fleet.tiers.iter().any(|tier| tier.kind == TierKind::Local);
        let next = if known {
            "select a tier of kind local"
        } else {
            "add a tier of kind local to hosts.toml first"
        };
        let key = model.keymap.press("dead-paths");
        return model.say(format!("{key} measures the hosts' stores: {next}"), false, now);
    }
    if let Some(why) = model.world.run_in_the_way() {
        return model.say(why, true, now);
    }
    let answers = |host: &&Host| {
        let view = model.world.fleet.hosts.iter().position(|known| known.name == host.name);
        let state =
            view.and_then(|index| model.world.hosts.get(index)).map(|view| view.facts.state);
        let chosen = model.fleet.marked.is_empty() || model.fleet.marked.contains(&host.name);
        chosen && matches!(state, Some(HostState::Up | HostState::Degraded))
    };
    let hosts: Vec<String> =
        model.world.fleet.hosts.iter().filter(answers).map(|host| host.name.clone()).collect();
    if hosts.is_empty() {
        return model.say("no host answers, so no store can be measured", true, now);
    }
    model.open(Overlay::Look { hosts, yes: false });
}

/// Fetches a nar of the selected tier whole, unless that goes on already or cannot be done.
fn verify(model: &mut Model, now: Timestamp) -> Vec<Effect> {
    let Some((tier, _)) = model.selected_tier() else { return Vec::new() };
    let name = tier.name.clone();
    if let Err(why) = can_be_verified(tier) {
        model.say(why.to_string(), true, now);
        return Vec::new();
    }
    let Some(view) = model.world.tiers.get_mut(model.caches.selected) else { return Vec::new() };
    if view.verifying.is_some() {
        model.say(format!("a nar of {name} is being fetched already"), false, now);
        return Vec::new();
    }
    view.verifying = Some(now);
    model.say(
        format!("fetching a nar of {name} whole, to compare it with its narinfo"),
        false,
        now,
    );
    vec![Effect::Verify { tier: name }]
}
