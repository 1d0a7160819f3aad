//! What commands do in a view: those that mean the same everywhere here, the others in the view's own
//! folder.

use crate::dash::command::Command;
use crate::dash::input::LineInput;
use crate::dash::model::{Model, Screen};
use crate::dash::msg::{Effect, Wish};
use crate::dash::overlay::Overlay;
use crate::dash::overlays::themes;
use crate::dash::panes;
use crate::dash::run_orders;
use crate::dash::update::{READ_ONLY, borders, fold};
use crate::dash::words::hosts_in_short;
use jiff::Timestamp;

/// Does a command of a view.
pub(super) fn view(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    if model.world.fleet.read_only && command.changes_something() {
        fold::notice(model, READ_ONLY.to_owned(), now);
        return Vec::new();
    }
    match command {
        // Whoever asks for the view that is shown wants all of it, not the details of one row.
        Command::Show(screen) if screen == model.screen && model.zoom => model.toggle_zoom(),
        Command::Show(Screen::Deploy) => {
            model.show_run_of_now();
            model.show(Screen::Deploy);
        }
        Command::Show(screen) => {
            // The log of a run that was opened among the runs still belongs to it.
            model.deploy.from_history &= screen == Screen::Logs;
            model.show(screen);
        }
        Command::PreviousView => turn_view(model, Screen::ALL.len() - 1),
        Command::NextView => turn_view(model, 1),
        Command::Refresh => return probe(model, panes::targets(model), now),
        Command::RefreshAll => return probe(model, vec![], now),
        Command::Palette => {
            model.open(Overlay::Palette { input: LineInput::default(), selected: 0 });
        }
        Command::Filter => model.type_filter(),
        Command::Theme => themes::open(model),
        Command::Help => model.open(Overlay::Help { scroll: 0 }),
        Command::OwnLog => model.open(Overlay::OwnLog),
        Command::HideNextTry => {
            if let Some(practice) = &mut model.practice {
                practice.is_hidden = true;
            }
        }
        Command::Plan => run_orders::show_plan(model),
        Command::Reattach => return run_orders::reattach(model, now),
        Command::FirstSteps => model.open(Overlay::FirstSteps { scroll: 0 }),
        Command::Back => panes::back(model),
        Command::LongerList => borders::step(model, true, now),
        Command::ShorterList => borders::step(model, false, now),
        Command::Freeze => model.freeze(now),
        Command::Mouse => return mouse(model, now),
        Command::Redraw => return vec![Effect::Terminal(Wish::Redraw)],
        Command::Suspend => return vec![Effect::Terminal(Wish::Suspend)],
        Command::Quit => return quit(model),
        _ => return panes::update(model, command, now),
    }
    Vec::new()
}

/// Hears of the mouse from now on, or leaves it to the terminal.
fn mouse(model: &mut Model, now: Timestamp) -> Vec<Effect> {
    model.mouse = !model.mouse;
    let key = model.keymap.press("mouse");
    let text = if model.mouse {
        format!("nixdash uses the mouse; {key} leaves it to the terminal")
    } else {
        format!("the mouse is the terminal's, to select text; {key} takes it back")
    };
    model.say(text, false, now);
    vec![Effect::Terminal(Wish::Mouse(model.mouse))]
}

fn turn_view(model: &mut Model, by: usize) {
    let at = Screen::ALL.iter().position(|screen| *screen == model.screen).unwrap_or_default();
    let screen = Screen::ALL[(at + by) % Screen::ALL.len()];
    if screen == Screen::Deploy {
        model.show_run_of_now();
    }
    model.show(screen);
}

fn probe(model: &mut Model, hosts: Vec<String>, now: Timestamp) -> Vec<Effect> {
    let what =
        if hosts.is_empty() { "every host and tier".to_owned() } else { hosts_in_short(&hosts) };
    model.say(format!("measuring {what}"), false, now);
    vec![Effect::Probe { hosts }]
}

/// Ends the dashboard, or asks what becomes of the runs.
fn quit(model: &mut Model) -> Vec<Effect> {
    if model.world.active_runs().next().is_some() {
        model.open(Overlay::Quit);
        return Vec::new();
    }
    vec![Effect::Quit { cancel: Vec::new() }]
}
