//! What a run will do, and the question whether it shall.
//!
//! ```text
//! ┌ Plan of run #41 ──────────────────────────────────────────────────────┐
//! │ switch via-cache  3f2c1ab8                                            │
//! │                                                                       │
//! │ samsung   samsung-26.05.20261121.3f2c1ab (2c4f8d1a)                   │
//! │           instead of samsung-26.05.20261118.8f2c1ab (9b1c0e77), built │
//! │           from 8f2c1abc, 3 commits behind the new system              │
//! │           41 to build on p620, 12 to download there; fetches from p620│
//! │           upgraded    firefox  144.0 → 145.0  +3.20 MB                │
//! │           1 upgraded, 46 paths come and 44 go, 7.90 GB in all         │
//! │           restart needed for kernel 6.12.57 → 6.12.58                 │
//! │           ▲ on battery, 41 %                                          │
//! │ razer     unchanged, nothing to do                                    │
//! │ p510      ○ set aside: does not answer                                │
//! │                                                                       │
//! │ [ Cancel ]    Deploy                                                  │
//! └───────────────────────────────────────────────────────────────────────┘
//! ```

use crate::dash::command::Command;
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::Overlay;
use crate::dash::overlays::reading;
use crate::dash::theme::Role;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::{Popup, buttons};
use crate::dash::widgets::text::{count, cut, left, width, wrap};
use crate::dash::words::runs::{action_words, revision_words};
use crate::dash::words::system_words;
use crate::dash::world::RunView;
use crate::fleet::words::changes;
use crate::fleet::{Ancestry, ChangeKind, Goal, HostPlan, Plan, RunId};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// What the button says that leaves everything as it is.
const CANCEL: &str = "Cancel";

/// Columns of the longest name of a host that is shown whole, and of the gap behind the names.
const NAME: usize = 16;
const GAP: usize = 2;

/// Columns of the box, where its lines need no more, and where they need any number.
const NARROWEST: usize = 96;
const WIDEST: usize = 160;

/// Draws the plan of a run, with buttons while it waits for an answer.
pub(super) fn draw(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    run: &RunId,
    yes: bool,
    scroll: u16,
) {
    let Some(run) = paint.model.world.run_by_id(run) else { return };
    let Some(plan) = &run.plan else { return };
    let popup = Popup::new(area, columns(plan));
    let lines = lines(paint, &popup, run, plan);
    let mut foot = Vec::new();
    let mut answer = None;
    if run.waits {
        let count = plan.changing().count();
        let go_on = match count {
            0 => "Go on".to_owned(),
            1 if plan.goal == Goal::Rollback => "Roll back 1 host".to_owned(),
            count if plan.goal == Goal::Rollback => format!("Roll back {count} hosts"),
            1 => "Deploy to 1 host".to_owned(),
            count => format!("Deploy to {count} hosts"),
        };
        foot.push(Line::default());
        foot.push(buttons(paint, CANCEL, &go_on, yes));
        answer = Some(go_on);
    }
    let title = format!("Plan of run #{}", run.id);
    let inside = popup.draw(paint, buffer, &title, &lines, scroll, &foot);
    if let Some(go_on) = answer {
        inside.note_buttons(paint, CANCEL, &go_on);
    }
}

/// Returns the columns that the box needs to show a package that changes in one line.
fn columns(plan: &Plan) -> u16 {
    let hosts = plan.hosts.iter().filter(|host| !host.unchanged);
    let systems = hosts.filter_map(|host| host.changes.as_deref()?.system.as_ref());
    let lines = systems.flat_map(changes::package_lines);
    let longest = lines.map(|line| width(&line)).max().unwrap_or_default();
    // Beside the names and the gap, two columns at each side are the border's.
    let wanted = longest + names_width(plan) + 4;
    wanted.clamp(NARROWEST, WIDEST) as u16
}

/// Returns the columns of the names of the hosts, and of the gap behind them.
fn names_width(plan: &Plan) -> usize {
    let names = plan.hosts.iter().map(|host| width(&host.host));
    let names = names.chain(plan.set_aside.keys().map(|name| width(name))).max().unwrap_or(4);
    names.clamp(4, NAME) + GAP
}

/// Returns a line of a table without what aligns its columns, where it has no room else.
fn fitting(line: String, room: usize) -> String {
    if width(&line) <= room {
        return line;
    }
    let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
    cells.collect::<Vec<_>>().join("  ")
}

fn lines(paint: &Paint<'_>, popup: &Popup, run: &RunView, plan: &Plan) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let small = popup.is_whole();
    let action = if small { plan.goal.word() } else { action_words(plan.goal) };
    let action = paint.span(Role::Title, action);
    // A generation is on its host already, and was not built from what the flake says now.
    let source = if plan.goal == Goal::Rollback { Vec::new() } else { source(paint, plan) };
    if small {
        let gap = Span::raw(if source.is_empty() { "" } else { " " });
        lines.push(Line::from([vec![action, gap], source].concat()));
    } else {
        lines.push(Line::from(action));
        lines.extend((!source.is_empty()).then(|| Line::from(source)));
        lines.push(Line::default());
    }
    let names = names_width(plan);
    let room = popup.room().saturating_sub(names).max(8);
    let mut add = |name: &str, texts: Vec<(Role, String)>| {
        let mut name = name.to_owned();
        for (role, text) in texts {
            for line in wrap(&fitting(text, room), room) {
                let label = left(&cut(&name, names - GAP), names);
                let label = paint.span(Role::Title, label);
                lines.push(Line::from(vec![label, paint.span(role, line)]));
                name.clear();
            }
        }
    };
    for note in plan.told() {
        add("flake", vec![(Role::Warn, format!("▲ {note}"))]);
    }
    for host in &plan.hosts {
        let mut words = host_words(host, small);
        if let Some(revision) = plan.other_revision(host).filter(|_| !host.unchanged) {
            words.push((Role::Text, format!("built from {}", revision_words(revision))));
        }
        if let Some(wave) = host.wave {
            words.push((Role::Dim, format!("wave {wave}")));
        }
        add(&host.host, words);
    }
    for (name, why) in changes::set_aside(plan, run.hosts.iter().map(|host| host.host.as_str())) {
        add(name, vec![(Role::Warn, format!("○ {why}"))]);
    }
    lines
}

/// Returns by which strategy hosts get what the plan brings, and which revision that is.
fn source(paint: &Paint<'_>, plan: &Plan) -> Vec<Span<'static>> {
    let revision = match &plan.revision {
        Some(revision) => paint.span(Role::Text, revision_words(revision)),
        None => paint.span(Role::Dim, "no git revision"),
    };
    vec![Span::raw(format!("{}, ", plan.strategy)), revision]
}

/// Returns what will be done to a host; in a small pane, without the systems' names.
fn host_words(host: &HostPlan, small: bool) -> Vec<(Role, String)> {
    let mut words = Vec::new();
    if host.unchanged {
        let system = if small { String::new() } else { system_words(&host.toplevel) };
        words.push((Role::Dim, format!("unchanged  {system}").trim_end().to_owned()));
    } else {
        if !small {
            words.push((Role::Text, system_words(&host.toplevel)));
            if let Some(replaced) = changes::replaced(host) {
                let lacks = host.replaces.as_ref().and_then(|replaced| replaced.ancestry);
                let is_kept = lacks.is_none_or(Ancestry::is_contained);
                let role = if is_kept { Role::Dim } else { Role::Warn };
                words.push((role, format!("instead of {replaced}")));
            }
        }
        words.push((Role::Text, if small { work_in_short(host) } else { changes::work(host) }));
        words.extend(changes_of(host));
    }
    if let Some(why) = host.why.as_ref().filter(|_| !host.unchanged) {
        words.push((Role::Dim, format!("{}: {why}", host.route.words())));
    }
    for note in host.told() {
        words.push((Role::Warn, format!("▲ {note}")));
    }
    words
}

/// Returns what changes on a host, a line for each package; what is older than before stands out.
fn changes_of(host: &HostPlan) -> Vec<(Role, String)> {
    let system = host.changes.as_deref().and_then(|changes| changes.system.as_ref());
    let packages = system.map_or(&[][..], |system| &system.packages[..]);
    let role = |index: usize| match packages.get(index).map(|change| change.kind) {
        Some(ChangeKind::Downgraded) => Role::Warn,
        Some(ChangeKind::Resized) => Role::Dim,
        Some(
            ChangeKind::Upgraded | ChangeKind::Changed | ChangeKind::Added | ChangeKind::Removed,
        )
        | None => Role::Text,
    };
    let lines = changes::of_plan(host).into_iter().enumerate();
    lines.map(|(index, line)| (role(index), line)).collect()
}

/// Returns what must be done in a small pane; first what is done to a host, where that is not what the plan is for.
fn work_in_short(host: &HostPlan) -> String {
    let action = host.goal.map(|goal| format!("{goal}: ")).unwrap_or_default();
    if let Some(generation) = host.generation {
        return format!("{action}to generation {generation}");
    }
    let number = |number: Option<u64>| number.map_or("?".to_owned(), count);
    format!("{action}{} to build, {} to get", number(host.to_build), number(host.to_download))
}

/// Answers a plan, or reads it.
pub(super) fn update(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let Some(Overlay::Plan { run, yes, .. }) = model.overlay_mut() else { return Vec::new() };
    let run = run.clone();
    match command {
        Command::OtherButton => *yes = !*yes,
        Command::Accept => {
            let yes = *yes;
            return answer(model, run, yes, now);
        }
        Command::Yes => return answer(model, run, true, now),
        Command::No => return answer(model, run, false, now),
        _ => reading::update(model, command, now),
    }
    Vec::new()
}

fn answer(model: &mut Model, run: RunId, yes: bool, now: Timestamp) -> Vec<Effect> {
    model.close();
    if let Some(view) = model.world.runs.iter_mut().find(|view| view.id == run) {
        view.waits = false;
    }
    if !yes {
        model.say(format!("run #{run}: the plan was not carried out"), false, now);
    }
    vec![Effect::Answer { run, yes }]
}
