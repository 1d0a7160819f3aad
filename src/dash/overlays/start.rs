//! The choice before a run.
//!
//! ```text
//! ┌ Deploy samsung, razer ────────────────────────────────────────┐
//! │ action    switch: activate now and boot it from now on      a │
//! │ strategy  as configured: via-cache                          s │
//! │                                                               │
//! │ Nothing changes before you have seen the plan and said yes.   │
//! └───────────────────────────────────────────────────────────────┘
//! ```

use crate::dash::begin::begin;
use crate::dash::command::Command;
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::{Overlay, StartForm};
use crate::dash::theme::Role;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::places::ClickTarget;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::text::{left, wrap};
use crate::dash::words::runs::action_words;
use crate::fleet::{Goal, HostState, Strategy};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Draws the choice.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, form: &StartForm) {
    let popup = Popup::new(area, 74);
    let hosts = form.hosts.join(", ");
    let title =
        if form.goal.deploys() { format!("Deploy {hosts}") } else { format!("Build {hosts}") };
    let mut lines = Vec::new();
    if form.goal.deploys() {
        lines.extend(choice(paint, &popup, "a", "action", &chosen_action(paint, form)));
    }
    let actions = lines.len();
    lines.extend(choice(paint, &popup, "s", "strategy", &strategy_words(paint, form)));
    let strategies = lines.len() - actions;
    lines.push(Line::default());
    let mut say = |role: Role, text: &str| {
        for line in wrap(text, popup.room()) {
            lines.push(Line::from(paint.span(role, line)));
        }
    };
    for host in &form.hosts {
        warnings(paint, form, host, &mut say);
    }
    let what_changes = if form.goal.deploys() {
        "Nothing changes before you have seen the plan and said yes."
    } else {
        "Builds only; no host is changed."
    };
    say(Role::Text, what_changes);
    let inside = popup.draw(paint, buffer, &title, &lines, 0, &[]);
    inside.note(paint, 0, actions, ClickTarget::Command(Command::CycleAction));
    inside.note(paint, actions, strategies, ClickTarget::Command(Command::CycleStrategy));
}

fn choice(
    paint: &Paint<'_>,
    popup: &Popup,
    key: &str,
    label: &str,
    text: &str,
) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for (at, line) in wrap(text, popup.room().saturating_sub(13)).into_iter().enumerate() {
        let (key, label) = if at == 0 { (key, label) } else { ("", "") };
        lines.push(Line::from(vec![
            paint.span(Role::Accent, left(key, 3)),
            paint.span(Role::Dim, left(label, 10)),
            Span::raw(line),
        ]));
    }
    lines
}

/// Says what should be known of a host before it takes part.
fn warnings(paint: &Paint<'_>, form: &StartForm, host: &str, say: &mut impl FnMut(Role, &str)) {
    let model = paint.model;
    if form.goal.deploys() && model.world.is_protected(host) {
        say(Role::Warn, &format!("⚷ {host} is protected: its name must be typed next."));
    }
    if form.goal.deploys() && model.world.has_no_system(host) {
        say(
            Role::Warn,
            &format!(
                "▲ {host} runs no system of NixOS: this is its first deploy, with nothing to go back to. \
                 Its name must be typed next."
            ),
        );
    }
    if let Some(run) = model.world.active_runs().find(|run| run.host(host).is_some()) {
        say(Role::Warn, &format!("▲ run #{} works on {host} now.", run.id));
    }
    let index = model.world.fleet.hosts.iter().position(|known| known.name == host);
    let state = index.and_then(|index| model.world.hosts.get(index)).map(|view| view.facts.state);
    match state {
        Some(HostState::Offline) => {
            say(Role::Warn, &format!("○ {host} did not answer when it was last asked."));
        }
        Some(HostState::Denied) => {
            say(Role::Warn, &format!("✗ {host} answered, but refused the login."));
        }
        Some(HostState::Locked) => {
            say(Role::Warn, &format!("◇ {host} waits for its disk to be unlocked."));
        }
        Some(HostState::Up | HostState::Degraded | HostState::Unknown) | None => {}
    }
}

/// Says what a deploy does: the chosen action, or each host's own.
fn chosen_action(paint: &Paint<'_>, form: &StartForm) -> String {
    if !form.own_actions {
        return action_words(form.goal).to_owned();
    }
    let hosts = form.hosts.iter().filter_map(|name| paint.model.world.fleet.host(name));
    let own = hosts.filter_map(|host| Some(format!("{} {}", host.name, host.action?)));
    format!("as hosts.toml says: {}; else {}", own.collect::<Vec<_>>().join(", "), form.goal)
}

fn strategy_words(paint: &Paint<'_>, form: &StartForm) -> String {
    let fleet = &paint.model.world.fleet;
    match form.strategy {
        Some(Strategy::ViaCache) => {
            let builder = fleet.builder.as_deref().unwrap_or("the builder");
            match fleet.publish_tier() {
                Some(tier) => {
                    format!("via-cache: build on {builder}, hosts fetch from {}", tier.name)
                }
                None => format!("via-cache: build on {builder}, hosts fetch from its cache"),
            }
        }
        Some(Strategy::Push) => {
            let builder = fleet.builder.as_deref().unwrap_or("the builder");
            format!("push: build on {builder}, which copies to the hosts over ssh")
        }
        Some(Strategy::Auto) => {
            "auto: the best way for each host now; the plan says which and why".to_owned()
        }
        Some(Strategy::Direct) => "direct: each host builds its own system".to_owned(),
        None => {
            let mut words: Vec<&str> = form
                .hosts
                .iter()
                .filter_map(|name| fleet.host(name))
                .map(|host| fleet.strategy_of(host).word())
                .collect();
            words.sort_unstable();
            words.dedup();
            format!("as configured: {}", words.join(", "))
        }
    }
}

/// Chooses what to start, and starts it.
pub(super) fn update(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let Some(Overlay::Start(mut form)) = model.overlays.pop() else { return Vec::new() };
    match command {
        Command::CycleAction if form.own_actions => form.own_actions = false,
        Command::CycleAction => form.goal = next_action(form.goal),
        Command::CycleStrategy => form.strategy = next_strategy(form.strategy),
        Command::Accept => return begin(model, form, now),
        _ => return Vec::new(),
    }
    model.open(Overlay::Start(form));
    Vec::new()
}

fn next_action(goal: Goal) -> Goal {
    match goal {
        Goal::Switch => Goal::Boot,
        Goal::Boot => Goal::Test,
        Goal::Test => Goal::DryActivate,
        Goal::DryActivate => Goal::Switch,
        // Not chosen in this form.
        Goal::Build | Goal::Rollback => goal,
    }
}

fn next_strategy(strategy: Option<Strategy>) -> Option<Strategy> {
    match strategy {
        None => Some(Strategy::ViaCache),
        Some(Strategy::ViaCache) => Some(Strategy::Direct),
        Some(Strategy::Direct) => Some(Strategy::Push),
        Some(Strategy::Push) => Some(Strategy::Auto),
        Some(Strategy::Auto) => None,
    }
}
