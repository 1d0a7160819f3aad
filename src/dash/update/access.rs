//! Passwords for sudo that are typed before a run, and host keys that are looked at and accepted.

use crate::dash::command::Command;
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::{HostKeyForm, Overlay, PasswordForm, StartForm};
use crate::dash::update::overlay;
use crate::fleet::{Code, HostKey, HostKeyState, HostResult, Secret};
use jiff::Timestamp;

/// Returns the hosts whose password is asked for next before a run starts; none when every password
/// that is to be typed was typed since the dashboard was opened.
pub(super) fn next_question(model: &Model, form: &StartForm) -> Option<Vec<String>> {
    let fleet = &model.world.fleet;
    let mut names = form.hosts.clone();
    let chosen = form.hosts.iter().filter_map(|name| fleet.host(name));
    names.extend(chosen.filter_map(|host| fleet.build_on(host)).map(str::to_owned));
    names.extend(fleet.builder.clone());
    names.sort_unstable();
    names.dedup();
    let questions = fleet.sudo_questions(&names, false).into_iter();
    let mut open = questions.map(|hosts| {
        hosts.into_iter().filter(|host| !model.passwords_given.contains(host)).collect::<Vec<_>>()
    });
    open.find(|hosts| !hosts.is_empty())
}

/// Takes a typed password, asks for the next one or starts the run.
pub(super) fn password(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let Some(Overlay::Password(asked)) = model.overlay.take() else { return Vec::new() };
    let PasswordForm { form, hosts, typed } = *asked;
    match command {
        Command::Accept if typed.is_empty() => {
            model.say("no password was typed; esc cancels", true, now);
            model.overlay = Some(Overlay::Password(Box::new(PasswordForm { form, hosts, typed })));
            Vec::new()
        }
        Command::Accept => {
            model.passwords_given.extend(hosts.iter().cloned());
            let mut effects = vec![Effect::KeepPassword { hosts, password: typed }];
            effects.extend(overlay::start_or_ask(model, form, now));
            effects
        }
        _ => Vec::new(),
    }
}

/// Forgets that a password was given where sudo refused it: the next run asks anew.
pub(super) fn note_result(model: &mut Model, host: &str, result: &HostResult) {
    if result.findings.iter().any(|finding| finding.code == Code::SudoPasswordWrong) {
        model.passwords_given.remove(host);
    }
}

/// Asks for the keys that the selected host shows.
pub(super) fn fetch_keys(model: &mut Model, now: Timestamp) -> Vec<Effect> {
    let Some((host, _)) = model.selected() else { return Vec::new() };
    let host = host.name.clone();
    model.say(format!("asking {host} for its ssh key, without a login"), false, now);
    vec![Effect::FetchHostKeys { host }]
}

/// Takes in the keys that a host showed: the first that is not known opens the question.
pub(super) fn keys(
    model: &mut Model,
    host: &str,
    found: Vec<HostKey>,
    errors: &[String],
    now: Timestamp,
) {
    let known: Vec<String> = found
        .iter()
        .filter(|key| key.state == HostKeyState::Known)
        .map(|key| format!("{} {} of {}", key.kind_word(), key.fingerprint, key.place))
        .collect();
    let open = |key: &HostKey| key.state != HostKeyState::Known;
    let mut rest: Vec<HostKey> = found.into_iter().filter(open).collect();
    if rest.is_empty() {
        let bad = !errors.is_empty();
        let text = if bad {
            errors.join("; ")
        } else {
            format!("{host}: the key is known: {}", known.join(", "))
        };
        model.say(text, bad, now);
        return;
    }
    if model.overlay.is_some() || model.prompt.is_some() {
        model.say(format!("{host} shows a key that is not known; K shows it"), true, now);
        return;
    }
    model.toast = None;
    let key = rest.remove(0);
    let form = HostKeyForm { key, rest, yes: false, input: crate::dash::LineInput::default() };
    model.overlay = Some(Overlay::HostKey(Box::new(form)));
}

/// Accepts a key, or leaves it.
pub(super) fn host_key(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let Some(Overlay::HostKey(mut form)) = model.overlay.take() else { return Vec::new() };
    let typed = form.key.state == HostKeyState::Changed;
    let accepted = match command {
        Command::OtherButton => {
            form.yes = !form.yes;
            model.overlay = Some(Overlay::HostKey(form));
            return Vec::new();
        }
        Command::Accept if typed => {
            if form.input.text().trim() != form.key.host {
                let text = format!("that is not {:?}; esc cancels", form.key.host);
                model.say(text, true, now);
                form.input = crate::dash::LineInput::default();
                model.overlay = Some(Overlay::HostKey(form));
                return Vec::new();
            }
            true
        }
        Command::Accept => form.yes,
        Command::Yes => true,
        _ => false,
    };
    if !accepted || form.key.state == HostKeyState::Revoked {
        model.say(format!("the key of {} was not accepted", form.key.place), false, now);
        return Vec::new();
    }
    let HostKeyForm { key, mut rest, .. } = *form;
    if !rest.is_empty() {
        let next = rest.remove(0);
        let input = crate::dash::LineInput::default();
        let form = HostKeyForm { key: next, rest, yes: false, input };
        model.overlay = Some(Overlay::HostKey(Box::new(form)));
    }
    vec![Effect::AcceptHostKey { key: Box::new(key) }]
}

/// Adds a character to a password that is being typed, or removes the last.
pub(super) fn type_password(typed: &mut Secret, event: crossterm::event::KeyEvent) {
    use crossterm::event::{KeyCode, KeyModifiers};
    let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
    match event.code {
        KeyCode::Char('u') if ctrl => *typed = Secret::default(),
        KeyCode::Char('h') if ctrl => typed.pop(),
        KeyCode::Backspace => typed.pop(),
        KeyCode::Char(c) if !ctrl && !event.modifiers.contains(KeyModifiers::ALT) => typed.push(c),
        _ => {}
    }
}
