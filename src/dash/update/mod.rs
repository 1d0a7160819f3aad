//! What changes the model: one message in, effects out; nothing else happens.

mod act;
mod borders;
mod fold;
mod logs;
mod mouse;

pub use fold::recall;
pub use logs::view_logs;

use crate::dash::able::{available, is_unseen};
use crate::dash::command::{Command, Context, in_context};
use crate::dash::filter::Filter;
use crate::dash::key::Key;
use crate::dash::layout::layout;
use crate::dash::model::Model;
use crate::dash::msg::{Effect, Msg, Wish};
use crate::dash::obstacle::obstacle;
use crate::dash::overlay::{Overlay, Prompt};
use crate::dash::overlays;
use crate::dash::overlays::palette::Chosen;
use crate::dash::overlays::{difference, generations, host_key, journal, over_time, past, units};
use crate::dash::panes::logs as log_pane;
use crate::dash::practice;
use crate::dash::session;
use crossterm::event::{KeyEvent, KeyEventKind};
use jiff::Timestamp;

/// What is said to who wants to change something where nothing is changed.
const READ_ONLY: &str = "nixdash was started with --read-only, so it changes nothing";

/// Folds a message into the model and returns what is to be done about it: nothing that changes
/// something, where this nixdash changes nothing.
pub fn update(model: &mut Model, msg: Msg, now: Timestamp) -> Vec<Effect> {
    // What is measured while the screen stands changes nothing that is seen.
    let is_seen =
        model.still.is_none() || matches!(msg, Msg::Key(_) | Msg::Mouse(_) | Msg::Resize(..));
    let was_dirty = model.dirty;
    let practice_before = model.practice.clone();
    let mut effects = fold_message(model, msg, now);
    model.note_run_seen();
    if !is_seen {
        model.dirty = was_dirty;
    }
    effects.extend(practice::note(model, practice_before.as_ref()));
    if model.world.fleet.read_only {
        let count = effects.len();
        effects.retain(|effect| !effect.changes_something());
        if effects.len() < count {
            fold::notice(model, READ_ONLY.to_owned(), now);
        }
    }
    effects
}

/// Folds a message into the model.
fn fold_message(model: &mut Model, msg: Msg, now: Timestamp) -> Vec<Effect> {
    match msg {
        Msg::Event(event) => {
            model.dirty |= fold::is_seen(model, &event);
            return fold::event(model, event, now);
        }
        Msg::Key(key) => {
            if key.kind != KeyEventKind::Release {
                model.dirty = true;
                return press(model, key, now);
            }
        }
        Msg::Mouse(event) => return mouse::mouse(model, event, now),
        Msg::Resize(columns, rows) => {
            model.dirty |= model.size != (columns, rows);
            model.size = (columns, rows);
            if let Some(still) = &mut model.still {
                still.size = model.size;
            }
            fold::resized(model);
        }
        Msg::Tick => {
            tick(model, now);
            let mut effects = over_time::tick(model, now);
            effects.extend(past::tick(model, now));
            effects.extend(session::tick(model, now));
            return effects;
        }
        Msg::Paste(text) if model.still.is_none() && !is_unseen(model) => paste(model, &text),
        Msg::Paste(_) => {}
        Msg::Focus(focused) => model.focused = focused,
        Msg::Trends(trends) => {
            model.dirty = true;
            fold::trends(model, trends);
        }
        Msg::Revision(revision) => {
            model.dirty |= model.world.revision != revision;
            model.world.revision = revision;
        }
        Msg::Ancestries(ancestries) => {
            model.dirty |= model.world.ancestries != ancestries;
            model.world.ancestries = ancestries;
        }
        Msg::Figures(figures) => {
            model.dirty |= model.world.figures != figures;
            model.world.figures = figures;
        }
        Msg::Found(part) => {
            if let Some(found) = &mut model.world.found_here {
                found.take(part);
                model.dirty = true;
            }
        }
        Msg::Notice(text) => {
            model.dirty = true;
            fold::notice(model, text, now);
        }
        Msg::Verified { tier, text, bad } => {
            model.dirty = true;
            fold::verified(model, &tier, text, bad, now);
        }
        Msg::HostKeys { host, found, errors } => {
            model.dirty = true;
            host_key::keys(model, &host, found, &errors, now);
        }
        Msg::RunNumber(run) => {
            if let Some(starting) = &mut model.world.starting {
                starting.run = Some(run);
            }
        }
        Msg::Live { run, live } => {
            let view = model.world.runs.iter_mut().find(|known| known.id == run);
            if let Some(view) = view {
                view.live(live);
                model.dirty = true;
            }
        }
        Msg::Log { of, earlier, lines } => logs::add(model, &of, earlier, lines),
        Msg::Logs(news) => {
            let sight = log_pane::sight(model, layout(model).body);
            log_pane::news(model, news, sight, now);
        }
        Msg::Clip { text, told } => {
            model.dirty = true;
            model.say(told, false, now);
            return vec![Effect::Terminal(Wish::Clip(text))];
        }
        Msg::Silences(kept) => {
            model.dirty = true;
            model.world.set_silences(kept, now);
        }
        Msg::Program(program) => {
            // It said that the program is coming; when that has ended it is no longer true.
            model.toast = None;
            return vec![Effect::Terminal(Wish::Run(program))];
        }
        Msg::Said { text, bad } => {
            model.dirty = true;
            model.say(text, bad, now);
        }
        Msg::Generations { host, found } => {
            model.dirty = true;
            generations::listed(model, &host, found);
        }
        Msg::Units { host, found } => {
            model.dirty = true;
            units::listed(model, &host, found);
        }
        Msg::Journal { of, news } => {
            model.dirty = true;
            journal::came(model, &of, news);
        }
        Msg::Compared { host, generation, lines } => {
            model.dirty = true;
            difference::compared(model, &host, generation, lines);
        }
        Msg::OverTime { of, span, found } => {
            model.dirty = true;
            return over_time::taken(model, &of, span, found, now);
        }
        Msg::Past { of, found } => past::taken(model, of.as_ref(), found),
        Msg::RunsElsewhere(runs) => {
            model.dirty |= model.world.elsewhere != runs;
            model.world.elsewhere = runs;
        }
        Msg::RunGone { run, why, can_go_on } => {
            model.dirty = true;
            return fold::run_gone(model, &run, &why, can_go_on, now);
        }
        Msg::StillLeft { run } => {
            model.dirty = true;
            fold::still_left(model, &run);
        }
    }
    Vec::new()
}

/// Lets time pass: ages grow, the toast goes, rows are put in order.
fn tick(model: &mut Model, now: Timestamp) {
    model.dirty |= model.sort_rows(now) | fold::tick(model, now);
    if model.toast.as_ref().is_some_and(|toast| toast.until <= now) {
        model.toast = None;
        model.dirty = true;
    }
    let ages = model.age_words(now);
    let grows_unseen = model.overlay() == Some(&Overlay::OwnLog);
    model.dirty |= ages != model.ages || grows_unseen;
    model.ages = ages;
}

/// Puts pasted text where text is typed; a protected host's name must be typed by hand.
fn paste(model: &mut Model, text: &str) {
    if model.log.typing.is_some() {
        log_pane::paste(model, text);
        model.dirty = true;
    } else if let Some(prompt) = &mut model.prompt {
        prompt.input.paste(text);
        model.dirty = true;
        typed(model);
    } else if let Some(overlay) = model.overlay_mut() {
        model.dirty |= overlays::paste(overlay, text);
    }
}

/// Does what a key means here.
fn press(model: &mut Model, event: KeyEvent, now: Timestamp) -> Vec<Effect> {
    model.last_key = Some(now);
    let Some(key) = Key::of(event) else { return Vec::new() };
    let context = Context::of(model);
    let pressed = model.keymap.meant(key, context, available(model));
    let command = pressed.map(|entry| entry.command);
    if is_unseen(model) && !matches!(command, Some(Command::Close | Command::No)) {
        return Vec::new();
    }
    if let Some(command) = command {
        return run(model, context, command, now);
    }
    if context.types() {
        edit(model, event);
    } else if matches!(context, Context::View(_)) {
        say_why_not(model, context, key, now);
    }
    Vec::new()
}

/// Says why a key does nothing that does something in this view at other times.
fn say_why_not(model: &mut Model, context: Context, key: Key, now: Timestamp) {
    let pressed = model.keymap.meant(key, context, in_context(context));
    let Some(entry) = pressed else { return };
    // At the end of a list there is nothing to explain.
    let is_end =
        matches!(entry.command, Command::Back | Command::ScrollLeft | Command::ScrollRight);
    if is_end || entry.command.moves() {
        return;
    }
    if let Some(why) = obstacle(model, entry) {
        model.say(format!("{key} does nothing now: {why}"), false, now);
    }
}

/// Does a command in its context.
fn run(model: &mut Model, context: Context, command: Command, now: Timestamp) -> Vec<Effect> {
    if command.is_of_terminal() || command == Command::Quit && context != Context::Frozen {
        return act::view(model, command, now);
    }
    match context {
        Context::View(_) => act::view(model, command, now),
        Context::Frozen => {
            model.still = None;
            if command == Command::Quit { act::view(model, command, now) } else { Vec::new() }
        }
        Context::Prompt => {
            prompt(model, command);
            Vec::new()
        }
        Context::FindLine | Context::SaveLog => log_pane::typing(model, command, now),
        Context::Palette => match overlays::palette::update(model, command, now) {
            Chosen::Command(chosen) => act::view(model, chosen, now),
            Chosen::Done(effects) => effects,
        },
        Context::Help
        | Context::FirstSteps
        | Context::Themes
        | Context::Start
        | Context::TypeName
        | Context::Password
        | Context::HostKey
        | Context::TypeHostKey
        | Context::Plan
        | Context::OldPlan
        | Context::Commands
        | Context::Cancel
        | Context::Order
        | Context::Look
        | Context::Silence
        | Context::Generations
        | Context::Difference
        | Context::OverTime
        | Context::Past
        | Context::Quit
        | Context::Shell
        | Context::Units
        | Context::UnitFilter
        | Context::Journal
        | Context::OwnLog => overlays::update(model, command, now),
    }
}

/// Types into whatever is typed in.
fn edit(model: &mut Model, event: KeyEvent) {
    if model.log.typing.is_some() {
        log_pane::type_key(model, event);
        return;
    }
    if let Some(prompt) = &mut model.prompt {
        prompt.input.edit(event);
        typed(model);
        return;
    }
    if let Some(overlay) = model.overlay_mut() {
        overlays::type_key(overlay, event);
    }
}

/// Keeps or forgets a filter that was typed, or takes the last one again.
fn prompt(model: &mut Model, command: Command) {
    match (command, &mut model.prompt) {
        (Command::LastTyped, Some(prompt)) => {
            prompt.input.take_last();
            typed(model);
            return;
        }
        (Command::Close, Some(prompt)) => {
            let before = std::mem::take(&mut prompt.before);
            model.set_filter(before);
        }
        _ => {}
    }
    model.prompt = None;
}

/// Applies the filter as it is typed.
fn typed(model: &mut Model) {
    if let Some(Prompt { input, .. }) = &model.prompt {
        let filter = Filter::new(input.text());
        model.set_filter(filter);
    }
}
