//! What is typed in the pane of logs: what to look for, and the name of a file.

use crate::dash::command::Command;
use crate::dash::input::LineInput;
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::panes::logs::asked::Sought;
use crate::dash::panes::logs::pattern::LinePattern;
use crate::dash::panes::logs::state::{LogTyping, PanePlace};
use crate::dash::panes::logs::update::begin_search;
use crate::dash::panes::logs::wanted::rows_of;
use crossterm::event::KeyEvent;
use jiff::Timestamp;

/// Begins to type what to look for.
pub(super) fn begin_find(model: &mut Model) {
    let last = &model.log.last_pattern;
    let input = LineInput::after(last.text.clone());
    model.log.typing = Some(LogTyping::Find { input, is_regex: last.is_regex });
}

/// Begins to type the name of a file.
pub(super) fn begin_save(model: &mut Model) {
    let Some(of) = rows_of(model) else { return };
    let host = match &of.hosts[..] {
        [host] => host.as_str(),
        _ => "all",
    };
    let package = of.build.map_or(String::new(), |build| format!("-{}", build.package));
    let name = format!("run-{}-{host}{package}.log", of.run);
    model.log.typing = Some(LogTyping::Save { input: LineInput::with(name) });
}

/// Types a key.
pub(in crate::dash) fn type_key(model: &mut Model, event: KeyEvent) {
    if let Some(input) = input(model) {
        input.edit(event);
    }
}

/// Types what was pasted.
pub(in crate::dash) fn paste(model: &mut Model, text: &str) {
    if let Some(input) = input(model) {
        input.paste(text);
    }
}

fn input(model: &mut Model) -> Option<&mut LineInput> {
    match &mut model.log.typing {
        Some(LogTyping::Find { input, .. } | LogTyping::Save { input }) => Some(input),
        None => None,
    }
}

/// Does a command while something is typed.
pub(in crate::dash) fn typing(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    match command {
        Command::OtherPattern => {
            if let Some(LogTyping::Find { is_regex, .. }) = &mut model.log.typing {
                *is_regex = !*is_regex;
            }
        }
        Command::LastTyped => {
            if let Some(input) = input(model) {
                input.take_last();
            }
        }
        Command::Accept => return accept(model, now),
        _ => model.log.typing = None,
    }
    Vec::new()
}

/// Takes what was typed.
fn accept(model: &mut Model, now: Timestamp) -> Vec<Effect> {
    match model.log.typing.take() {
        Some(LogTyping::Save { input }) => {
            let file = input.text().trim().to_owned();
            match rows_of(model) {
                Some(of) if !file.is_empty() => {
                    return vec![Effect::SaveRows { of: Box::new(of), file }];
                }
                Some(_) | None => {}
            }
        }
        Some(LogTyping::Find { input, is_regex }) => {
            let pattern = LinePattern { text: input.text().to_owned(), is_regex };
            match pattern.matcher() {
                Err(_) if !pattern.is_empty() => {
                    let key = model.keymap.press("other-pattern");
                    let text =
                        format!("this is not a regular expression; {key} takes it as a text");
                    model.say(text, true, now);
                    model.log.typing = Some(LogTyping::Find { input, is_regex });
                }
                Ok(_) | Err(_) => find(model, pattern),
            }
        }
        None => {}
    }
    Vec::new()
}

/// Looks for a pattern: from the cursor down, or from the newest line up. Where nothing was typed, the last
/// one is looked for again. Where only lines that match are shown, each of them is one: the nearest to the
/// cursor is shown.
fn find(model: &mut Model, typed: LinePattern) {
    let pane = &mut model.log;
    let pattern = if typed.is_empty() { pane.last_pattern.clone() } else { typed };
    if pattern.is_empty() {
        return;
    }
    pane.last_pattern = pattern.clone();
    if pane.only_matching {
        pane.hold_line();
        pane.pattern = pattern;
        return;
    }
    pane.pattern = pattern.clone();
    match pane.place {
        PanePlace::At { cursor, .. } => begin_search(pane, Sought::Pattern(pattern), cursor, true),
        PanePlace::Follow | PanePlace::Seek(_) => {
            begin_search(pane, Sought::Pattern(pattern), u64::MAX, false);
        }
    }
}
