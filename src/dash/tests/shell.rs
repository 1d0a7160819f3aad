//! A shell on the selected host: who is asked first, and where it is refused.

use super::keys::press;
use crate::dash::demo::{self, model, now};
use crate::dash::{Effect, Model, Msg, Overlay, ProgramEnd, TerminalProgram, Wish, update};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::sync::Arc;

fn shell_on(host: &str) -> Vec<Effect> {
    vec![Effect::OpenShell { host: host.to_owned() }]
}

#[test]
fn a_shell_is_opened_on_the_selected_host() {
    let mut model = model(demo::well(), 80, 24);
    assert_eq!(press(&mut model, "!"), shell_on("p620"));
    assert_eq!(model.toast.as_ref().unwrap().text, "opening a shell on p620");
    assert_eq!(press(&mut model, "j\n!"), shell_on("razer"), "in its details too");
}

#[test]
fn a_shell_is_opened_on_the_selected_host_of_a_run() {
    let mut model = model(demo::run_until_plan(), 80, 24);
    press(&mut model, "3n");
    let host = model.shown_host_run().unwrap().host.clone();
    assert_eq!(press(&mut model, "!"), shell_on(&host));
}

#[test]
fn a_protected_host_asks_first_and_no_is_chosen() {
    let mut model = model(demo::well(), 80, 24);
    assert_eq!(press(&mut model, "G!"), []);
    assert_eq!(model.overlay(), Some(&Overlay::Shell { host: "p510".to_owned(), yes: false }));
    let mut no = model.clone();
    assert_eq!(press(&mut no, "\n"), []);
    assert_eq!((no.overlay(), press(&mut model, "y")), (None, shell_on("p510")));
}

#[test]
fn a_dashboard_that_is_read_only_opens_no_shell() {
    let fleet = crate::fleet::Fleet { read_only: true, ..demo::fleet() };
    let mut model = Model::new(Arc::new(fleet), now());
    assert_eq!(press(&mut model, "!"), []);
    assert!(model.toast.unwrap().text.contains("--read-only"));
}

#[test]
fn the_log_in_view_is_opened_in_the_pager_and_the_editor() {
    let mut model = model(demo::run_until_plan(), 80, 24);
    let effects = press(&mut model, "3|");
    let [Effect::PageRows { of, row: None }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(of.hosts, [model.shown_host_run().unwrap().host.clone()]);
    let ctrl_e = KeyEvent::new(KeyCode::Char('e'), KeyModifiers::CONTROL);
    let effects = update(&mut model, Msg::Key(ctrl_e), now());
    assert!(matches!(effects.as_slice(), [Effect::EditRows { row: None, .. }]), "{effects:?}");
}

#[test]
fn a_program_that_was_made_gets_the_terminal() {
    let mut model = model(demo::well(), 80, 24);
    let program = Box::new(TerminalProgram {
        words: vec!["ssh".into()],
        name: "the shell on p620".to_owned(),
        before: None,
        hint: String::new(),
        end: ProgramEnd::Shell,
        then: None,
        file: None,
    });
    press(&mut model, "!");
    let effects = update(&mut model, Msg::Program(program.clone()), now());
    assert_eq!(model.toast, None, "nothing is opening any more");
    assert_eq!(effects, [Effect::Terminal(Wish::Run(program))]);
}
