//! Passwords for sudo and host keys on the screen: keys in, effects and pictures out.

use crate::dash::demo::{self, model, now};
use crate::dash::tests::keys::press;
use crate::dash::tests::screens::{draw, look, text};
use crate::dash::{Effect, Model, Msg, Overlay, update};
use crate::fleet::{
    Budget, Code, Finding, HostKey, HostKeyState, HostResult, KnownKeyOf, Outcome, RunId, RunWhat,
    Strategy, Subject, SudoPassword,
};

/// A key that a host showed.
fn host_key(state: HostKeyState) -> HostKey {
    let known = KnownKeyOf {
        kind: "ssh-ed25519".to_owned(),
        fingerprint: "SHA256:8OFTxaDl7MyXhuB2j0d4GjxvNbF9gYkPpo1iW9ZzcQE".to_owned(),
        file: "/home/me/.ssh/known_hosts".into(),
        is_own: true,
    };
    HostKey {
        host: "razer".to_owned(),
        place: "razer.lan".to_owned(),
        is_on_the_way: false,
        name: "razer.lan".to_owned(),
        kind: "ssh-ed25519".to_owned(),
        key: "AAAA".to_owned(),
        fingerprint: "SHA256:uNiVztksCsDhcc0u9e8BrXmVEdB5UxX5Y2S8iD3Wz0k".to_owned(),
        known: if state == HostKeyState::Changed { vec![known] } else { Vec::new() },
        state,
        same_as: vec!["10.0.0.7".to_owned()],
        file: "/home/me/.ssh/known_hosts".into(),
        hashed: false,
    }
}

/// Shows a key to a model.
fn show_key(model: &mut Model, state: HostKeyState) {
    let found = vec![host_key(state)];
    let msg = Msg::HostKeys { host: "razer".to_owned(), found, errors: Vec::new() };
    update(model, msg, now());
}

/// A fleet whose sudo asks for a password that is typed.
fn asking() -> Model {
    let mut model = model(demo::well(), 80, 24);
    let mut fleet = (*model.world.fleet).clone();
    fleet.root_access.sudo_password = Some(SudoPassword::Ask);
    model.world.fleet = std::sync::Arc::new(fleet);
    model
}

#[test]
fn a_password_for_sudo_is_typed_once_before_the_first_run() {
    let mut model = asking();
    assert_eq!(press(&mut model, "jd\n"), []);
    assert!(
        matches!(model.overlay(), Some(Overlay::Password(form)) if form.hosts == ["p620", "razer"])
    );
    assert_eq!(press(&mut model, "\n"), [], "an empty one is none");
    let effects = press(&mut model, "hunterx\u{8}2\n");
    let [Effect::KeepPassword { hosts, password }, Effect::StartRun { .. }] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!((hosts.join(" ").as_str(), password.expose()), ("p620 razer", "hunter2"));
    assert!(!format!("{effects:?} {model:?}").contains("hunter"), "it is in no debug output");
    press(&mut model, "1");
    let again = press(&mut model, "d\n");
    assert!(matches!(&again[..], [Effect::StartRun { .. }]), "{again:?}");
}

#[test]
fn a_password_that_is_not_typed_forgets_the_deploy() {
    let mut model = asking();
    assert_eq!(press(&mut model, "jd\nhunter\u{1b}"), []);
    assert_eq!((model.overlay(), &model.world.starting), (None, &None));
    assert!(model.passwords_given.is_empty());
}

#[test]
fn a_password_that_sudo_refused_is_asked_for_anew() {
    let mut model = asking();
    press(&mut model, "jd\nwrong\n");
    let finding = Finding::new(
        Subject::host("razer"),
        Code::SudoPasswordWrong,
        "sudo refused the password",
        "deploy again",
    );
    let RunWhat::Result { result, .. } = demo::result("razer", Outcome::Failed, None) else {
        unreachable!("it is one")
    };
    let result = HostResult { findings: vec![finding], ..result };
    let what = RunWhat::Result { host: "razer".to_owned(), result };
    update(&mut model, Msg::Event(demo::run_event("41", 0, what)), now());
    press(&mut model, "1d\n");
    // They share the answer, which was wrong.
    assert!(
        matches!(model.overlay(), Some(Overlay::Password(form)) if form.hosts == ["p620", "razer"])
    );
}

#[test]
fn a_password_that_only_a_budget_needs_may_be_left_out_and_the_kept_one_is_forgotten() {
    let mut model = model(demo::well(), 80, 24);
    let mut fleet = (*model.world.fleet).clone();
    let (name, tag) = ("laptops".to_owned(), "laptop".to_owned());
    fleet.budgets = vec![Budget { name, tag: tag.clone(), in_flight: 1 }];
    for host in &mut fleet.hosts {
        host.tags = Vec::new();
        if ["razer", "p510"].contains(&host.name.as_str()) {
            host.tags.push(tag.clone());
        }
        if host.name == "p510" {
            host.root_access.sudo_password = Some(SudoPassword::Ask);
        }
    }
    model.world.fleet = std::sync::Arc::new(fleet);
    assert_eq!(press(&mut model, "jd\n"), []);
    assert!(matches!(model.overlay(), Some(Overlay::Password(form)) if form.hosts == ["p510"]));
    assert!(text(&draw(&model, &look(false))).contains("enter leaves it out"));
    let effects = press(&mut model, "\n");
    let [Effect::KeepPassword { hosts, password }, Effect::StartRun { .. }] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert!(hosts.join(" ") == "p510" && password.is_empty());
}

#[test]
fn a_password_is_asked_for_before_a_run_is_gone_on_with() {
    let mut model = model(demo::run_until_plan(), 80, 24);
    let mut fleet = (*model.world.fleet).clone();
    fleet.root_access.sudo_password = Some(SudoPassword::Ask);
    model.world.fleet = std::sync::Arc::new(fleet);
    model.world.opened_at = demo::ago_s(120);
    press(&mut model, "3");
    let run = RunId("41".to_owned());
    let gone = Msg::RunGone { run: run.clone(), why: "it was killed".to_owned(), can_go_on: true };
    update(&mut model, gone, now());
    assert_eq!(press(&mut model, "c"), []);
    assert!(matches!(model.overlay(), Some(Overlay::Password(_))), "{:?}", model.overlay());
    assert_eq!(press(&mut model, "\u{1b}"), [], "whoever types none leaves it as it is");
    press(&mut model, "c");
    let effects = press(&mut model, "hunter2\n");
    let [Effect::KeepPassword { .. }, Effect::Reattach { run: gone_on }] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(gone_on, &run);
}

#[test]
fn a_new_host_key_is_accepted_only_by_yes() {
    for (keys, yes) in [("\n", false), ("n", false), ("q", false), ("y", true), ("\t\n", true)] {
        let mut model = model(demo::well(), 80, 24);
        let asked = press(&mut model, "jK");
        assert_eq!(asked, [Effect::FetchHostKeys { host: "razer".to_owned() }]);
        show_key(&mut model, HostKeyState::Unknown);
        let key = Box::new(host_key(HostKeyState::Unknown));
        let expected = if yes { vec![Effect::AcceptHostKey { key }] } else { Vec::new() };
        assert_eq!(press(&mut model, keys), expected, "{keys:?}");
        assert_eq!(model.overlay(), None);
    }
}

#[test]
fn keys_of_one_host_are_asked_about_one_after_the_other_until_a_no() {
    let key = |place: &str| HostKey { place: place.to_owned(), ..host_key(HostKeyState::Unknown) };
    let (first, second) = (key("jump.lan"), key("razer.lan"));
    let asked = || {
        let mut model = model(demo::well(), 80, 24);
        let (host, found) = ("razer".to_owned(), vec![first.clone(), second.clone()]);
        update(&mut model, Msg::HostKeys { host, found, errors: Vec::new() }, now());
        model
    };
    let accept = |key: &HostKey| vec![Effect::AcceptHostKey { key: Box::new(key.clone()) }];
    let mut model = asked();
    assert_eq!(press(&mut model, "y"), accept(&first));
    assert_eq!(press(&mut model, "y"), accept(&second));
    assert_eq!(model.overlay(), None);
    let mut model = asked();
    assert_eq!(press(&mut model, "n"), []);
    assert_eq!(model.overlay(), None, "the other key is not asked about");
}

#[test]
fn a_changed_host_key_wants_the_name_typed() {
    let mut model = model(demo::well(), 80, 24);
    show_key(&mut model, HostKeyState::Changed);
    assert_eq!(press(&mut model, "y\n"), []);
    update(&mut model, Msg::Paste("razer".to_owned()), now());
    assert_eq!(press(&mut model, "\n"), [], "it is typed by hand");
    let effects = press(&mut model, "razer\n");
    assert!(matches!(&effects[..], [Effect::AcceptHostKey { .. }]), "{effects:?}");
}

#[test]
fn a_key_that_is_known_is_only_told() {
    let mut model = model(demo::well(), 80, 24);
    show_key(&mut model, HostKeyState::Known);
    assert_eq!(model.overlay(), None);
    assert!(model.toast.unwrap().text.contains("the key is known: ED25519 SHA256:uNiV"));
}

#[test]
fn both_questions_fit_every_terminal() {
    for (columns, rows) in [(120, 35), (80, 24), (40, 10)] {
        for state in [HostKeyState::Unknown, HostKeyState::Changed] {
            let mut shown = model(demo::well(), columns, rows);
            let name = if state == HostKeyState::Changed { "changed" } else { "unknown" };
            show_key(&mut shown, state);
            snap(&format!("host-key-{name}"), &shown);
        }
        let mut asked = asking();
        asked.size = (columns, rows);
        press(&mut asked, "jd\nhunter2");
        snap("sudo-password", &asked);
    }
}

/// Snapshots a model at its size.
fn snap(name: &str, model: &Model) {
    let (columns, rows) = model.size;
    let shown = text(&draw(model, &look(false)));
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(format!("{name}-{columns}x{rows}"), shown);
    });
}

#[test]
fn the_passwords_of_those_are_asked_that_build_by_the_chosen_strategy() {
    let asked = |keys: &str| {
        let mut model = model(demo::well(), 80, 24);
        let fleet = std::sync::Arc::make_mut(&mut model.world.fleet);
        for host in &mut fleet.hosts {
            if ["p620", "p510"].contains(&host.name.as_str()) {
                host.root_access.sudo_password = Some(SudoPassword::Ask);
            }
            if host.name == "samsung" {
                host.builder = Some("p510".to_owned());
            }
        }
        press(&mut model, keys);
        match model.overlay() {
            Some(Overlay::Password(form)) => form.hosts.clone(),
            _ => Vec::new(),
        }
    };
    assert_eq!(asked("jd\n"), ["p620"], "razer, which the fleet's builder builds for");
    assert!(asked("jdss\n").is_empty(), "razer builds its own system");
    assert_eq!(asked("jjd\n"), ["p510"], "samsung has a builder of its own");
    assert_eq!(asked("jjb\n"), ["p510"]);
}

#[test]
fn a_chosen_strategy_needs_the_builder_of_a_host_that_builds_its_own_system_else() {
    let mut model = model(demo::well(), 80, 24);
    let fleet = std::sync::Arc::make_mut(&mut model.world.fleet);
    fleet.strategy = Strategy::Direct;
    for host in &mut fleet.hosts {
        if host.name == "samsung" {
            host.builder = Some("p510".to_owned());
        }
        if host.name == "p510" {
            host.root_access.sudo_password = Some(SudoPassword::Ask);
        }
    }
    press(&mut model, "jjds\n");
    assert!(matches!(model.overlay(), Some(Overlay::Password(form)) if form.hosts == ["p510"]));
}
