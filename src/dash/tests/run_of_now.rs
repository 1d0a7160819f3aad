//! Which run is shown and answered: the one that matters now, from every view.

use crate::dash::demo::{self, ago_s, model, now, result, run_event};
use crate::dash::tests::keys::{fold, id, press};
use crate::dash::tests::screens::{draw, look, text};
use crate::dash::{Effect, Model, Msg, Overlay, Screen, update};
use crate::fleet::{
    BootChoice, DeployFacts, Event, HostFacts, Outcome, RolloutNews, RunWhat, UpkeepFacts,
    WaveState,
};
use crate::record::RunElsewhere;
use jiff::SignedDuration;

/// Returns a run of razer that began and ended so long ago.
fn ended(run: &str, seconds: i64, outcome: Outcome) -> [Event; 3] {
    let begin = RunWhat::begin(vec!["razer".to_owned()], "switch direct".to_owned());
    let end = RunWhat::Summary {
        outcomes: [(outcome, 1)].into(),
        duration_ms: 9_000,
        findings: Vec::new(),
    };
    [
        run_event(run, seconds, begin),
        run_event(run, seconds, result("razer", outcome, None)),
        run_event(run, seconds, end),
    ]
}

/// Returns a dashboard in which run 5 was begun and ended well.
fn with_own_run() -> Model {
    let mut model = model(demo::well(), 80, 24);
    model.world.opened_at = ago_s(3_600);
    press(&mut model, "jjd\n");
    update(&mut model, Msg::RunNumber(id("5")), now());
    fold(&mut model, ended("5", 900, Outcome::Switched));
    press(&mut model, "1");
    model
}

fn shown(model: &Model) -> String {
    model.shown_run().map(|run| run.id.0.clone()).unwrap_or_default()
}

fn gone(model: &mut Model, run: &str) {
    let why = "its process ended before the run did; c goes on with it".to_owned();
    update(model, Msg::RunGone { run: id(run), why, can_go_on: true }, now());
}

fn begun(run: &str) -> Event {
    run_event(run, 1, RunWhat::begin(vec!["razer".to_owned()], "switch direct".to_owned()))
}

#[test]
fn view_3_does_not_stick_to_the_run_that_was_begun_here() {
    let mut model = with_own_run();
    fold(&mut model, ended("6", 600, Outcome::Switched));
    press(&mut model, "3");
    assert_eq!(shown(&model), "6", "the newest");
    // It stays while the person stays in the view.
    press(&mut model, "5gg\n");
    let chosen = shown(&model);
    fold(&mut model, ended("7", 300, Outcome::Switched));
    assert_eq!((shown(&model), model.screen), (chosen, Screen::Deploy));
}

#[test]
fn a_run_that_went_wrong_is_shown_until_somebody_looked_at_it() {
    let mut model = with_own_run();
    fold(&mut model, ended("23", 10, Outcome::RolledBack));
    fold(&mut model, ended("24", 5, Outcome::Switched));
    press(&mut model, "3");
    assert_eq!(shown(&model), "23");
    press(&mut model, "13");
    assert_eq!(shown(&model), "24");
}

#[test]
fn a_run_that_was_left_is_shown_and_gone_on_with_from_every_view() {
    for keys in ["1", "2", "3", "4", "5", "13"] {
        let mut model = with_own_run();
        fold(&mut model, [begun("29")]);
        gone(&mut model, "29");
        fold(&mut model, ended("30", 0, Outcome::Switched));
        press(&mut model, keys);
        let screen = text(&draw(&model, &look(false)));
        assert!(screen.contains("run #29: nobody watches it"), "{screen}");
        assert_eq!(press(&mut model, "c"), [Effect::Reattach { run: id("29") }], "{keys}");
        assert_eq!(shown(&model), "29");
    }
}

#[test]
fn a_plan_that_waits_is_shown_by_its_key_in_every_view() {
    for keys in ["1", "2", "3", "4", "5", "5gg\n"] {
        let mut model = with_own_run();
        press(&mut model, keys);
        fold(&mut model, demo::run_until_plan());
        assert_eq!(model.overlay(), None);
        let said = &model.toast.as_ref().unwrap().text;
        assert_eq!(said, "run #41 waits for your answer: o shows its plan");
        assert!(text(&draw(&model, &look(false))).contains("o plan"), "{keys}");
        press(&mut model, "o");
        let over = Overlay::Plan { run: id("41"), yes: false, scroll: 0 };
        assert_eq!(model.overlay(), Some(&over), "{keys}");
        assert_eq!(press(&mut model, "y"), [Effect::Answer { run: id("41"), yes: true }]);
    }
}

#[test]
fn a_run_of_another_file_is_no_quiet_fleet() {
    let mut model = model(demo::well(), 200, 50);
    let elsewhere = |hosts: &[&str]| {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        Msg::RunsElsewhere(vec![RunElsewhere { run: id("14"), hosts }])
    };
    update(&mut model, elsewhere(&["node05", "samsung"]), now());
    let screen = text(&draw(&model, &look(false)));
    assert!(screen.contains("run #14 of another hosts.toml: samsung"), "{screen}");
    update(&mut model, elsewhere(&["node05"]), now());
    assert!(text(&draw(&model, &look(false))).contains("no run"), "none of its hosts is here");
    update(&mut model, Msg::RunsElsewhere(Vec::new()), now());
    assert!(text(&draw(&model, &look(false))).contains("no run"));
}

#[test]
fn the_rows_of_a_run_say_the_wave_of_each_host() {
    let mut model = model(demo::well(), 80, 24);
    press(&mut model, "3");
    let mut plan = demo::plan();
    for (host, wave) in plan.hosts.iter_mut().zip([1, 2, 2]) {
        host.wave = Some(wave);
    }
    let hosts = ["p620", "razer", "samsung"].map(str::to_owned).to_vec();
    let begins =
        RolloutNews::Wave { wave: 1, of: 2, state: WaveState::Began, reason: None, until: None };
    let mut events = vec![
        run_event("41", 9, RunWhat::begin(hosts, "switch".to_owned())),
        run_event("41", 8, RunWhat::Plan { plan, waits: false }),
    ];
    fold(&mut model, events.clone());
    assert!(!text(&draw(&model, &look(false))).contains("razer   w"), "of one wave nothing");
    events = vec![run_event("41", 7, RunWhat::Rollout(begins))];
    fold(&mut model, events);
    let screen = text(&draw(&model, &look(false)));
    assert!(screen.contains("p620    w1") && screen.contains("samsung w2"), "{screen}");
    fold(&mut model, [run_event("41", 6, result("p620", Outcome::Switched, None))]);
    update(&mut model, Msg::Resize(200, 50), now());
    let screen = text(&draw(&model, &look(false)));
    assert!(screen.contains("R roll back") && screen.contains("W roll wave back"), "{screen}");
    let (outcomes, findings) = ([(Outcome::Switched, 3)].into(), Vec::new());
    let ends = [
        run_event("41", 5, result("razer", Outcome::Switched, None)),
        run_event("41", 5, result("samsung", Outcome::Switched, None)),
        run_event("41", 4, RunWhat::Summary { outcomes, duration_ms: 9_000, findings }),
    ];
    fold(&mut model, ends);
    update(&mut model, Msg::Resize(80, 24), now());
    let screen = text(&draw(&model, &look(false)));
    assert!(screen.contains("p620    w1") && screen.contains("samsung w2"), "{screen}");
}

#[test]
fn hosts_keep_their_places_while_a_person_moves_among_them() {
    let mut model = model(demo::well(), 80, 24);
    press(&mut model, "3");
    let hosts = ["a1", "a2", "a3", "a4"].map(str::to_owned).to_vec();
    fold(&mut model, [run_event("77", 9, RunWhat::begin(hosts, "switch".to_owned()))]);
    let order = |model: &Model| {
        let hosts = &model.shown_run().unwrap().hosts;
        hosts.iter().map(|host| host.host.clone()).collect::<Vec<_>>()
    };
    press(&mut model, "j");
    fold(&mut model, [run_event("77", 5, result("a4", Outcome::Failed, None))]);
    assert_eq!(order(&model), ["a1", "a2", "a3", "a4"]);
    update(&mut model, Msg::Tick, now() + SignedDuration::from_secs(3));
    assert_eq!(order(&model), ["a4", "a1", "a2", "a3"]);
    assert_eq!(model.shown_host_run().unwrap().host, "a2", "the selection stays on its host");
}

#[test]
fn a_paused_run_names_the_key_that_lets_it_go_on_at_every_size() {
    for (columns, rows) in [(40, 10), (80, 24)] {
        let mut model = model(demo::run_in_fetch(), columns, rows);
        press(&mut model, "3");
        let paused = RunWhat::Rollout(RolloutNews::Paused { paused: true });
        let run = shown(&model);
        fold(&mut model, [run_event(&run, 1, paused)]);
        let screen = text(&draw(&model, &look(false)));
        let footer = screen.lines().last().unwrap_or_default();
        assert!(footer.trim_start().starts_with("space go on"), "{screen}");
    }
}

#[test]
fn a_run_that_is_at_work_is_told_in_words_where_they_have_room() {
    let mut model = model(demo::run_in_fetch(), 200, 50);
    let run = model.world.active_runs().next().unwrap().id.clone();
    fold(&mut model, [run_event(&run.0, 1, result("razer", Outcome::Failed, None))]);
    let screen = text(&draw(&model, &look(false)));
    assert!(screen.contains(&format!("run #{run}  1 failed")), "{screen}");
}

#[test]
fn the_generation_beside_a_system_is_its_own() {
    let mut model = model(demo::well(), 80, 24);
    let mut facts: HostFacts = model.world.host("samsung").unwrap().facts.clone();
    facts.system.profile.clone_from(&model.world.host("p620").unwrap().facts.system.running);
    facts.system.generation = Some(78);
    facts.upkeep = Some(UpkeepFacts {
        boot: BootChoice::default(),
        running_generation: Some(77),
        deploys: DeployFacts::default(),
        roots: Vec::new(),
        systems: [facts.system.running.clone(), facts.system.profile.clone()],
        switching: false,
        measured_at: now(),
    });
    fold(&mut model, [Event::Host { host: "samsung".to_owned(), facts: Box::new(facts) }]);
    let screen = text(&draw(&model, &look(false)));
    let row = screen.lines().find(|line| line.contains("samsung")).unwrap();
    assert!(row.contains("77 → 78") && !row.contains("gen 78"), "{row}");
}
