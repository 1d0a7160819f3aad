//! What is asked before a run begins, and what begins then.

use crate::dash::demo::{self, model, now, run_event};
use crate::dash::tests::keys::{fold, id, press};
use crate::dash::tests::screens::{draw, look, text};
use crate::dash::{Effect, Model, Msg, Overlay, Screen, StartChoices, update};
use crate::fleet::{
    BootChoice, DeployFacts, Generation, Generations, Goal, RunWhat, Specialisation, Strategy,
    UpkeepFacts,
};

fn deploy(hosts: &[&str]) -> Effect {
    Effect::StartRun {
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        goal: Goal::Switch,
        own_actions: false,
        strategy: None,
        choices: StartChoices::default(),
        allow_protected: Vec::new(),
        first: false,
    }
}

#[test]
fn waiting_restarting_and_skipping_caches_are_chosen_before_the_start() {
    let chosen = |keys: &str| {
        let mut model = model(demo::well(), 80, 24);
        match press(&mut model, keys).pop() {
            Some(Effect::StartRun { choices, .. }) => choices,
            effect => panic!("nothing started: {effect:?}"),
        }
    };
    let no = StartChoices::default();
    assert_eq!(chosen("dwr\n"), StartChoices { wait_offline: true, reboot: true, ..no });
    assert_eq!(chosen("dssc\n"), StartChoices { skip_caches: true, ..no });
    // Only a host that builds its own system can do without caches, and test makes nothing permanent.
    assert_eq!(chosen("dcraa\n"), no);
    assert_eq!(chosen("dsscs\n"), no);
    assert_eq!(chosen("bw\n"), no);
}

#[test]
fn what_is_chosen_before_a_start_can_be_read_in_a_small_pane_too() {
    let mut model = model(demo::well(), 40, 10);
    press(&mut model, "AdG");
    let shown = text(&draw(&model, &look(false)));
    assert!(shown.contains("said yes."), "{shown}");
    assert!(shown.contains("11 of 11") || shown.contains(" scroll"), "{shown}");
}

#[test]
fn d_and_enter_deploy_the_selected_host() {
    let mut model = model(demo::well(), 80, 24);
    assert_eq!(press(&mut model, "jjd"), []);
    assert_eq!(press(&mut model, "\n"), [deploy(&["samsung"])]);
    assert_eq!(model.screen, Screen::Deploy);
    assert!(model.world.starting.is_some());
}

#[test]
fn marked_hosts_are_deployed_in_the_fleets_order() {
    let mut model = model(demo::well(), 80, 24);
    press(&mut model, "jj gg");
    press(&mut model, " ");
    assert_eq!(press(&mut model, "d\n"), [deploy(&["p620", "samsung"])]);
    assert!(model.fleet.marked.is_empty());
}

#[test]
fn action_and_strategy_are_chosen_before_the_start() {
    let mut model = model(demo::well(), 80, 24);
    let Some(Effect::StartRun { goal, strategy, .. }) = press(&mut model, "daass\n").pop() else {
        panic!("nothing started");
    };
    assert_eq!((goal, strategy), (Goal::Test, Some(Strategy::Direct)));
}

#[test]
fn b_builds_and_asks_for_no_protected_name() {
    let mut model = model(demo::well(), 80, 24);
    let effects = press(&mut model, "Gb\n");
    assert!(
        matches!(&effects[..], [Effect::StartRun { goal: Goal::Build, hosts, .. }] if hosts == &["p510"])
    );
}

#[test]
fn a_protected_host_deploys_only_when_its_name_is_typed() {
    let mut model = model(demo::well(), 80, 24);
    assert_eq!(press(&mut model, "Gd\n"), []);
    assert!(matches!(model.overlay(), Some(Overlay::TypeName(_))));
    assert_eq!(press(&mut model, "p520\n"), []);
    update(&mut model, Msg::Paste("p510".to_owned()), now());
    assert_eq!(press(&mut model, "\n"), []);
    // What was typed is still there.
    let effects = press(&mut model, "\u{8}\u{8}1x\u{8}0\n");
    assert!(
        matches!(&effects[..], [Effect::StartRun { allow_protected, .. }] if allow_protected == &["p510"])
    );
}

#[test]
fn a_first_deploy_says_so_and_wants_the_name_typed() {
    let mut model = model(demo::well(), 80, 24);
    let samsung = model.world.fleet.hosts.iter().position(|host| host.name == "samsung").unwrap();
    let system = &mut model.world.hosts[samsung].facts.system;
    *system = crate::fleet::SystemFacts {
        other_system: Some("Debian GNU/Linux 13 (trixie)".to_owned()),
        ..crate::fleet::SystemFacts::default()
    };
    assert_eq!(press(&mut model, "jjd\n"), []);
    assert!(matches!(model.overlay(), Some(Overlay::TypeName(_))));
    let effects = press(&mut model, "samsung\n");
    assert!(
        matches!(&effects[..], [Effect::StartRun { first: true, hosts, .. }] if hosts == &["samsung"]),
        "{effects:?}"
    );
}

#[test]
fn leaving_the_name_forgets_the_deploy() {
    let mut model = model(demo::well(), 80, 24);
    assert_eq!(press(&mut model, "Gd\np510\u{1b}"), []);
    assert_eq!(model.overlay(), None);
    assert_eq!(model.world.starting, None);
}

#[test]
fn a_run_that_was_asked_for_is_shown_when_it_begins() {
    let mut model = model(demo::well(), 80, 24);
    press(&mut model, "Ad");
    press(&mut model, "\np510\n");
    update(&mut model, Msg::RunNumber(id("41")), now());
    fold(&mut model, demo::run_until_plan());
    assert_eq!(model.world.starting, None);
    assert_eq!(model.shown_run().map(|run| run.id.clone()), Some(id("41")));
    assert!(matches!(model.overlay(), Some(Overlay::Plan { .. })));
}

#[test]
fn a_run_that_cannot_start_says_why_where_it_was_expected() {
    let mut model = model(demo::well(), 80, 24);
    press(&mut model, "d\n");
    update(&mut model, Msg::Notice("the flake has no such host".to_owned()), now());
    let failed = model.world.starting.as_ref().and_then(|starting| starting.failed.clone());
    assert_eq!(failed.as_deref(), Some("the deploy did not start: the flake has no such host"));
    press(&mut model, "\u{1b}");
    assert_eq!((model.screen, model.world.starting), (Screen::Fleet, None));
}

#[test]
fn another_run_of_the_same_hosts_is_not_taken_for_the_one_that_was_asked_for() {
    let mut model = model(demo::well(), 80, 24);
    press(&mut model, "d\n");
    update(&mut model, Msg::RunNumber(id("42")), now());
    let begin = |run| {
        let hosts = vec!["p620".to_owned()];
        run_event(run, 0, RunWhat::begin(hosts, "switch".to_owned()))
    };
    fold(&mut model, [begin("41")]);
    assert!(model.world.starting.is_some());
    fold(&mut model, [begin("42")]);
    assert!(model.world.starting.is_none());
    assert_eq!(model.shown_run().map(|run| run.id.clone()), Some(id("42")));
}

/// Generations 75 and 77 of samsung, of which the newer runs.
pub(super) fn two_generations() -> Generations {
    let one = |number, letter| Generation {
        mark: None,
        number,
        made_at: now(),
        system: demo::path(letter, "nixos-system-samsung-26.05"),
        nixos_version: Some(format!("26.05.{number}")),
        kernel: Some("6.12.58".to_owned()),
        revision: None,
        specialisations: std::collections::BTreeMap::new(),
        bytes: Some(7_900_000_000),
    };
    Generations {
        all: vec![one(75, 'a'), one(77, 'b')],
        running: Some(demo::path('b', "nixos-system-samsung-26.05")),
        booted: Some(demo::path('a', "nixos-system-samsung-26.05")),
        profile: Some(77),
        next_boot: BootChoice::default(),
    }
}

#[test]
fn generations_are_listed_compared_and_gone_back_to() {
    let mut model = model(demo::well(), 120, 35);
    let host = || "samsung".to_owned();
    assert_eq!(press(&mut model, "jje"), [Effect::ListGenerations { host: host() }]);
    let shown = text(&draw(&model, &look(false)));
    assert!(shown.contains("asking samsung for its generations"), "{shown}");
    assert!(!shown.contains("R roll back") && !shown.contains("enter compare"), "{shown}");
    for key in ["R", "\n"] {
        assert_eq!(press(&mut model, key), [], "nothing is listed yet");
        let said = model.toast.take().unwrap().text;
        assert_eq!(said, "nothing was done: waiting for samsung to list its generations");
    }
    let found = Ok(two_generations());
    update(&mut model, Msg::Generations { host: host(), found }, now());
    let asked = press(&mut model, "j\n");
    let old = demo::path('b', "nixos-system-samsung-26.05");
    let new = demo::path('a', "nixos-system-samsung-26.05");
    let compare = Effect::CompareGenerations { host: host(), generation: 75, old, new };
    assert_eq!(asked, [compare]);
    let lines = Ok(vec!["upgraded  firefox  144.0 → 145.0".to_owned()]);
    update(&mut model, Msg::Compared { host: host(), generation: 75, lines }, now());
    assert!(matches!(model.overlay(), Some(Overlay::Difference(diff)) if diff.lines.is_some()));
    assert!(text(&draw(&model, &look(false))).contains("144.0 → 145.0"));
    press(&mut model, "\u{1b}");
    assert!(matches!(model.overlay(), Some(Overlay::Generations(_))), "the list is below");
    assert_eq!(press(&mut model, "R"), []);
    let shown = text(&draw(&model, &look(false)));
    assert!(shown.contains("Roll back samsung to generation 75"), "{shown}");
    assert!(!shown.contains("strategy") && !shown.contains("are away"), "{shown}");
    press(&mut model, "\u{1b}");
    assert!(matches!(model.overlay(), Some(Overlay::Generations(_))), "the list is below");
    let back = |choices| {
        let (host, allow_protected) = (host(), Vec::new());
        Effect::RollBack { host, generation: 75, choices, allow_protected }
    };
    let mut other = model.clone();
    assert_eq!(press(&mut model, "R\n"), [back(StartChoices::default())]);
    assert_eq!(model.screen, Screen::Deploy, "its plan is shown there, and asks");
    assert_eq!(model.overlay(), None);
    let restarted = StartChoices { reboot: true, ..StartChoices::default() };
    assert_eq!(press(&mut other, "Rraw\n"), [back(restarted)], "there is no action to choose");
}

#[test]
fn a_protected_host_goes_back_only_when_its_name_is_typed() {
    let mut model = model(demo::well(), 120, 35);
    press(&mut model, "Ge");
    let found = Ok(two_generations());
    update(&mut model, Msg::Generations { host: "p510".to_owned(), found }, now());
    assert_eq!(press(&mut model, "jR\n"), []);
    let effects = press(&mut model, "p510\n");
    assert!(
        matches!(&effects[..], [Effect::RollBack { allow_protected, .. }] if allow_protected == &["p510"]),
        "{effects:?}"
    );
}

#[test]
fn nothing_can_be_started_when_the_filter_hides_everything() {
    let mut model = model(demo::well(), 80, 24);
    press(&mut model, "/nobody\n");
    assert_eq!(press(&mut model, "d\nb\n"), []);
}

#[test]
fn a_dashboard_that_is_read_only_refuses_what_changes_something_and_says_so() {
    let fleet = crate::fleet::Fleet { read_only: true, ..demo::fleet() };
    let mut model = model(demo::well(), 80, 24);
    model.world.fleet = std::sync::Arc::new(fleet);
    for key in ["d", "b"] {
        assert!(press(&mut model, key).is_empty());
        assert!(model.overlay().is_none(), "{key} opens nothing");
        let toast = model.toast.as_ref().expect("it is said");
        assert!(toast.text.contains("--read-only"), "{}", toast.text);
        model.toast = None;
    }
    let shown = text(&draw(&model, &look(false)));
    assert!(!shown.contains("d deploy") && !shown.contains("b build"), "{shown}");
    // Looking is allowed.
    assert!(press(&mut model, "r").iter().any(|effect| matches!(effect, Effect::Probe { .. })));
}

/// Returns a screen on a fleet in which nothing is to be changed on these hosts.
fn with_read_only(names: &[&str]) -> Model {
    let mut model = model(demo::well(), 80, 24);
    let fleet = std::sync::Arc::make_mut(&mut model.world.fleet);
    for host in &mut fleet.hosts {
        host.read_only = names.contains(&host.name.as_str());
    }
    model
}

#[test]
fn a_read_only_host_has_a_sign_and_is_left_out_when_all_are_deployed() {
    let mut model = with_read_only(&["p510"]);
    let shown = text(&draw(&model, &look(false)));
    assert!(shown.contains("p510 ⊘") && !shown.contains('⚷'), "{shown}");
    press(&mut model, "Ad");
    let shown = text(&draw(&model, &look(false)));
    assert!(shown.contains("⊘ p510 is left out: hosts.toml says read_only = true"), "{shown}");
    // Its name is not asked for, though it is protected too.
    assert_eq!(press(&mut model, "\n"), [deploy(&["p620", "razer", "samsung"])]);
    let mut two = with_read_only(&["p510", "razer"]);
    press(&mut two, "Ad");
    let shown = text(&draw(&two, &look(false)));
    assert!(shown.contains("⊘ 2 of 4 are left out, since"), "{shown}");
}

#[test]
fn nothing_is_started_on_a_host_that_is_read_only_but_a_build() {
    let mut model = with_read_only(&["p510"]);
    assert_eq!(press(&mut model, "Gd"), []);
    assert_eq!(model.overlay(), None);
    let said = model.toast.take().unwrap().text;
    let why =
        "nothing was done: hosts.toml says read_only = true for p510, so nothing is changed there";
    assert_eq!(said, why);
    assert!(matches!(&press(&mut model, "b\n")[..], [Effect::StartRun { goal: Goal::Build, .. }]));
    let mut model = with_read_only(&["p510"]);
    press(&mut model, "Ge");
    let found = Ok(two_generations());
    update(&mut model, Msg::Generations { host: "p510".to_owned(), found }, now());
    assert_eq!(press(&mut model, "jR"), []);
    assert_eq!(model.toast.take().unwrap().text, why);
}

#[test]
fn a_host_may_leave_the_specialisation_that_it_is_known_to_run() {
    let start = |keys: &str| {
        let mut model = model(demo::well(), 80, 24);
        let world = &mut model.world;
        let samsung = world.fleet.hosts.iter().position(|host| host.name == "samsung").unwrap();
        let (system, name) = (demo::path('a', "nixos-system-samsung-26.05"), "gaming".to_owned());
        let specialisation = Some(Specialisation { system, name });
        world.hosts[samsung].facts.upkeep = Some(UpkeepFacts {
            boot: BootChoice::default(),
            running_generation: None,
            deploys: DeployFacts { specialisation, ..DeployFacts::default() },
            roots: Vec::new(),
            systems: [None, None],
            switching: false,
            measured_at: now(),
        });
        let effect = press(&mut model, keys).pop();
        (effect, text(&draw(&model, &look(false))))
    };
    let left = |keys: &str| match start(keys).0 {
        Some(Effect::StartRun { choices, .. }) => choices.without_specialisation,
        effect => panic!("nothing started: {effect:?}"),
    };
    let (_, shown) = start("jjd");
    assert!(shown.contains("keeps the specialisation that runs: gaming on samsung"), "{shown}");
    let (_, shown) = start("jjdp");
    assert!(shown.contains("the system itself, without the specialisation"), "{shown}");
    assert!(left("jjdp\n") && !left("jjd\n") && !left("jjdpp\n"));
    let (_, shown) = start("jd");
    assert!(!shown.contains("specialisation"), "of another host: {shown}");
    assert!(!left("jdp\n"));
}
