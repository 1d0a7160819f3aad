//! The choice before a run.
//!
//! ```text
//! ┌ Deploy samsung, razer ────────────────────────────────────────┐
//! │ action    switch: activate now and boot it from now on      a │
//! │ strategy  as configured: via-cache                          s │
//! │ away      hosts that are away are set aside                 w │
//! │ restart   no                                                r │
//! │                                                               │
//! │ Nothing changes before you have seen the plan and said yes.   │
//! └───────────────────────────────────────────────────────────────┘
//! ```

use crate::dash::begin::begin;
use crate::dash::command::Command;
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::{Overlay, StartForm, StartFrom};
use crate::dash::overlays::reading;
use crate::dash::theme::Role;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::places::ClickTarget;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::text::{left, wrap};
use crate::dash::words::runs::action_words;
use crate::dash::words::strategies::strategy_words;
use crate::dash::words::{hosts_in_short, some_of};
use crate::fleet::{Goal, HostState, Strategy};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Draws the choice.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, form: &StartForm) {
    let popup = Popup::new(area, 74);
    let hosts = hosts_in_short(&form.hosts);
    let title = match form.from {
        StartFrom::Generation(number) => format!("Roll back {hosts} to generation {number}"),
        StartFrom::Flake | StartFrom::Run(_) | StartFrom::Left(_) => {
            let what = if form.goal.deploys() { "Deploy" } else { "Build" };
            format!("{what} {hosts}")
        }
    };
    let mut lines = Vec::new();
    let mut clicks = Vec::new();
    for (command, key, label, text) in choices(paint, form) {
        let from = lines.len();
        lines.extend(choice(paint, &popup, key, label, &text));
        clicks.push((from, lines.len() - from, ClickTarget::Command(command)));
    }
    lines.push(Line::default());
    let mut say = |role: Role, text: &str| {
        for line in wrap(text, popup.room()) {
            lines.push(Line::from(paint.span(role, line)));
        }
    };
    warnings(paint.model, form, &mut say);
    let what_changes = if form.goal.deploys() {
        "Nothing changes before you have seen the plan and said yes."
    } else {
        "Builds only; no host is changed."
    };
    say(Role::Text, what_changes);
    let inside = popup.draw(paint, buffer, &title, &lines, form.scroll, &[]);
    for (from, count, target) in clicks {
        inside.note(paint, from, count, target);
    }
}

/// Returns what can be chosen: with which command and key, what it is called, and what is chosen now.
fn choices(
    paint: &Paint<'_>,
    form: &StartForm,
) -> Vec<(Command, &'static str, &'static str, String)> {
    let chosen = form.choices();
    let mut all = Vec::new();
    if form.can_wait() {
        all.push((Command::CycleAction, "a", "action", chosen_action(paint, form)));
    }
    if form.is_of_flake() {
        let strategy = strategy_words(&paint.model.world.fleet, form.strategy, &form.hosts);
        all.push((Command::CycleStrategy, "s", "strategy", strategy));
    }
    if form.can_skip_caches() {
        let text = if chosen.skip_caches {
            "skipped: takes what builder and this machine have, compiles the rest"
        } else {
            "asked"
        };
        all.push((Command::SkipCaches, "c", "caches", text.to_owned()));
    }
    if form.can_wait() {
        let text = if chosen.wait_offline {
            "hosts that are away are waited for"
        } else {
            "hosts that are away are set aside"
        };
        all.push((Command::WaitOffline, "w", "away", text.to_owned()));
    }
    if form.can_restart() {
        let text = if chosen.reboot { "each host, when its new system is permanent" } else { "no" };
        all.push((Command::RestartHosts, "r", "restart", text.to_owned()));
    }
    if form.can_leave_specialisation() {
        let text = specialisation_words(form);
        all.push((Command::LeaveSpecialisation, "p", "system", text));
    }
    all
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

/// Says what should be known of hosts before they take part, once for all of which it is true.
fn warnings(model: &Model, form: &StartForm, say: &mut impl FnMut(Role, &str)) {
    let world = &model.world;
    match &form.read_only[..] {
        [] => {}
        [host] => say(
            Role::Text,
            &format!(
                "⊘ {host} is left out: hosts.toml says read_only = true, so nothing is changed there."
            ),
        ),
        hosts => {
            let (count, all) = (hosts.len(), hosts.len() + form.hosts.len());
            let names = some_of(hosts);
            let text = format!(
                "⊘ {count} of {all} are left out, since hosts.toml says read_only = true for them: {names}"
            );
            say(Role::Text, &text);
        }
    }
    let mut warn = |is_so: &dyn Fn(&str) -> bool, sign: char, of_one: &str, of_several: &str| {
        let hosts: Vec<String> = form.hosts.iter().filter(|host| is_so(host)).cloned().collect();
        match &hosts[..] {
            [] => {}
            [host] => say(Role::Warn, &format!("{sign} {host} {of_one}")),
            hosts => {
                let (count, all) = (hosts.len(), form.hosts.len());
                let text = format!("{sign} {count} of {all} {of_several}: {}", some_of(hosts));
                say(Role::Warn, &text);
            }
        }
    };
    if form.goal.deploys() {
        warn(
            &|host| world.is_protected(host),
            '⚷',
            "is protected: its name must be typed next.",
            "are protected, and the name of each must be typed next",
        );
        warn(
            &|host| world.has_no_system(host),
            '▲',
            "runs no system of NixOS: this is its first deploy, with nothing to go back to. Its name must be \
             typed next.",
            "run no system of NixOS: this is their first deploy, with nothing to go back to. The name of each \
             must be typed next",
        );
    }
    for run in world.active_runs() {
        let words = format!("run #{}", run.id);
        warn(
            &|host| {
                world
                    .active_runs()
                    .find(|it| it.host(host).is_some())
                    .is_some_and(|it| it.id == run.id)
            },
            '▲',
            &format!("is at work in {words} now."),
            &format!("are at work in {words} now"),
        );
    }
    let is = |host: &str, state: HostState| {
        world.host(host).is_some_and(|view| view.facts.state == state)
    };
    warn(
        &|host| is(host, HostState::Offline),
        '○',
        "did not answer when it was last asked.",
        "did not answer when they were last asked",
    );
    warn(
        &|host| is(host, HostState::Denied),
        '✗',
        "answered, but refused the login.",
        "answered, but refused the login",
    );
    warn(
        &|host| is(host, HostState::Locked),
        '◇',
        "waits for its disk to be unlocked.",
        "wait for their disks to be unlocked",
    );
}

/// Says what a deploy does: the chosen action, or each host's own.
fn chosen_action(paint: &Paint<'_>, form: &StartForm) -> String {
    if !form.own_actions {
        return action_words(form.goal).to_owned();
    }
    let hosts = form.hosts.iter().filter_map(|name| paint.model.world.fleet.host(name));
    let own = hosts.filter_map(|host| Some(format!("{} {}", host.name, host.action?)));
    format!("as hosts.toml says: {}; else {}", some_of(&own.collect::<Vec<_>>()), form.goal)
}

/// Says whether hosts keep the specialisations that they run, and which those are.
fn specialisation_words(form: &StartForm) -> String {
    let one = |(host, name): (&String, &String)| format!("{name} on {host}");
    let runs = some_of(&form.specialisations.iter().map(one).collect::<Vec<_>>());
    if form.choices().without_specialisation {
        format!("the system itself, without the specialisation that runs: {runs}")
    } else {
        format!("keeps the specialisation that runs: {runs}")
    }
}

/// Chooses what to start, and starts it.
pub(super) fn update(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    if command.moves() {
        reading::update(model, command, now);
        return Vec::new();
    }
    let Some(Overlay::Start(mut form)) = model.overlays.pop() else { return Vec::new() };
    match command {
        Command::CycleAction if form.own_actions => form.own_actions = false,
        Command::CycleAction => form.goal = next_action(form.goal),
        Command::CycleStrategy => form.strategy = next_strategy(form.strategy),
        Command::SkipCaches => form.choices.skip_caches = !form.choices.skip_caches,
        Command::WaitOffline => form.choices.wait_offline = !form.choices.wait_offline,
        Command::RestartHosts => form.choices.reboot = !form.choices.reboot,
        Command::LeaveSpecialisation => {
            form.choices.without_specialisation = !form.choices.without_specialisation;
        }
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
