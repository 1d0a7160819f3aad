//! What keys do: keys in, effects and model out.

use crate::dash::demo::{self, model, now, result, run_event};
use crate::dash::demo_tiers;
use crate::dash::tests::screens::{draw, look, text};
use crate::dash::{
    Effect, LogOf, LogsInView, Model, Msg, Overlay, Screen, Trend, Wish, status_line, update,
    view_logs,
};
use crate::fleet::{
    BootChoice, Event, Generation, Generations, Goal, LogLine, Outcome, RunId, RunWhat, Strategy,
};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::BTreeMap;

/// Presses keys: characters as they are, `\n` enter, `\t` tab, `\x1b` escape, `\x03` ctrl-c.
pub(super) fn press(model: &mut Model, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for c in keys.chars() {
        let key = match c {
            '\n' => KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE),
            '\t' => KeyEvent::new(KeyCode::Tab, KeyModifiers::NONE),
            '\u{1b}' => KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE),
            '\u{3}' => KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL),
            '\u{8}' => KeyEvent::new(KeyCode::Backspace, KeyModifiers::NONE),
            c => KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE),
        };
        effects.extend(update(model, Msg::Key(key), now()));
    }
    effects
}

pub(super) fn fold(model: &mut Model, events: impl IntoIterator<Item = Event>) -> Vec<Effect> {
    events.into_iter().flat_map(|event| demo::happen(model, event)).collect()
}

fn id(text: &str) -> RunId {
    RunId(text.to_owned())
}

fn deploy(hosts: &[&str]) -> Effect {
    Effect::StartRun {
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        goal: Goal::Switch,
        own_actions: false,
        strategy: None,
        allow_protected: Vec::new(),
        first: false,
    }
}

/// Generations 75 and 77 of samsung, of which the newer runs.
pub(super) fn two_generations() -> Generations {
    let one = |number, letter| Generation {
        number,
        made_at: now(),
        system: demo::path(letter, "nixos-system-samsung-26.05"),
        nixos_version: Some(format!("26.05.{number}")),
        kernel: Some("6.12.58".to_owned()),
        revision: None,
        specialisations: Vec::new(),
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
    assert_eq!(press(&mut model, "R"), [], "nothing is listed yet");
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
    let back = Effect::RollBack { host: host(), generation: 75, allow_protected: Vec::new() };
    assert_eq!(press(&mut model, "R"), [back]);
    assert_eq!(model.screen, Screen::Deploy, "its plan is shown there, and asks");
}

#[test]
fn a_protected_host_goes_back_only_when_its_name_is_typed() {
    let mut model = model(demo::well(), 120, 35);
    press(&mut model, "Ge");
    let found = Ok(two_generations());
    update(&mut model, Msg::Generations { host: "p510".to_owned(), found }, now());
    assert_eq!(press(&mut model, "jR"), []);
    let effects = press(&mut model, "p510\n");
    assert!(
        matches!(&effects[..], [Effect::RollBack { allow_protected, .. }] if allow_protected == &["p510"]),
        "{effects:?}"
    );
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
    assert!(model.marked.is_empty());
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
    let effects = press(&mut model, "p51x\u{8}0\n");
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
fn a_plan_is_answered_with_no_unless_yes_is_chosen() {
    for (keys, yes) in [("\n", false), ("q", false), ("n", false), ("y", true), ("\t\n", true)] {
        let mut model = model(demo::well(), 80, 24);
        press(&mut model, "3");
        fold(&mut model, demo::run_until_plan());
        assert!(matches!(model.overlay(), Some(Overlay::Plan { yes: false, .. })));
        assert_eq!(press(&mut model, keys), [Effect::Answer { run: id("41"), yes }], "{keys:?}");
        assert_eq!(model.overlay(), None);
    }
}

#[test]
fn a_plan_that_was_answered_elsewhere_waits_no_more() {
    let mut events = demo::run_until_plan();
    events.extend(demo::run_in_fetch());
    let mut model = model(events, 80, 24);
    press(&mut model, "3o");
    assert!(matches!(model.overlay(), Some(Overlay::Plan { .. })));
    assert_eq!(press(&mut model, "yq"), []);
    assert_eq!(model.overlay(), None);
}

#[test]
fn a_plan_that_arrives_elsewhere_takes_no_keys() {
    let mut model = model(demo::well(), 80, 24);
    fold(&mut model, demo::run_until_plan());
    assert_eq!(model.overlay(), None);
    assert_eq!(press(&mut model, "y"), []);
    press(&mut model, "o");
    assert_eq!(press(&mut model, "y"), [Effect::Answer { run: id("41"), yes: true }]);
}

#[test]
fn a_plan_while_a_filter_is_typed_is_not_answered_by_it() {
    let mut model = model(demo::well(), 80, 24);
    press(&mut model, "/raz");
    fold(&mut model, demo::run_until_plan());
    assert_eq!(press(&mut model, "y"), []);
    assert_eq!(model.filter.text(), "razy");
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
fn x_asks_and_stops_only_after_yes() {
    let mut model = model(demo::well(), 80, 24);
    fold(&mut model, demo::run_until_plan());
    press(&mut model, "3");
    assert_eq!(press(&mut model, "x\n"), []);
    assert_eq!(press(&mut model, "xq"), []);
    assert_eq!(press(&mut model, "xy"), [Effect::CancelRun { run: id("41") }]);
    assert_eq!(press(&mut model, "x"), [], "it is stopping already");
}

#[test]
fn quitting_without_a_run_asks_nothing() {
    let mut model = model(demo::well(), 80, 24);
    assert_eq!(press(&mut model, "q"), [Effect::Quit { cancel: vec![] }]);
    assert_eq!(press(&mut model, "\u{3}"), [Effect::Quit { cancel: vec![] }]);
}

#[test]
fn quitting_with_a_run_asks_what_becomes_of_it() {
    let mut events = demo::run_until_plan();
    events.push(run_event("41", 40, RunWhat::Plan { plan: demo::plan(), waits: false }));
    let mut model = model(events, 80, 24);
    assert_eq!(press(&mut model, "q"), []);
    assert_eq!(model.overlay(), Some(&Overlay::Quit));
    assert_eq!(press(&mut model, "\u{1b}"), []);
    assert_eq!(press(&mut model, "qq"), [Effect::Quit { cancel: vec![] }]);
    model.close();
    assert_eq!(press(&mut model, "qx"), [Effect::Quit { cancel: vec![id("41")] }]);
}

#[test]
fn quitting_answers_no_to_a_plan_that_nobody_can_answer_any_more() {
    let mut model = model(demo::run_until_plan(), 80, 24);
    let effects = press(&mut model, "q\n");
    let answer = Effect::Answer { run: id("41"), yes: false };
    assert_eq!(effects, [answer, Effect::Quit { cancel: vec![] }]);
}

#[test]
fn a_long_run_rings_and_a_short_one_does_not() {
    for (duration_ms, focused, rings) in
        [(60_000, true, true), (3_000, true, false), (3_000, false, true)]
    {
        let mut model = model(demo::run_until_plan(), 80, 24);
        update(&mut model, Msg::Focus(focused), now());
        let outcomes = BTreeMap::from([(Outcome::Switched, 1)]);
        let end =
            run_event("41", 0, RunWhat::Summary { outcomes, duration_ms, findings: Vec::new() });
        let effects = fold(&mut model, [end]);
        let rang = matches!(&effects[..], [Effect::Terminal(Wish::Notify(_))]);
        assert_eq!(rang, rings);
        assert!(model.toast.as_ref().unwrap().text.starts_with("run #41: 1 switched in"));
    }
}

#[test]
fn the_end_of_an_old_run_is_no_news() {
    let mut model = model([], 80, 24);
    let outcomes = BTreeMap::from([(Outcome::Failed, 1)]);
    let end = run_event(
        "7",
        3600,
        RunWhat::Summary { outcomes, duration_ms: 60_000, findings: Vec::new() },
    );
    assert_eq!(fold(&mut model, [end]), []);
    assert_eq!(model.toast, None);
}

#[test]
fn a_run_whose_process_is_gone_is_over_and_says_so() {
    let mut model = model(demo::run_until_plan(), 80, 24);
    model.world.opened_at = demo::ago_s(120);
    press(&mut model, "o");
    let why = "it was killed; deploy again".to_owned();
    update(&mut model, Msg::RunGone { run: id("41"), why, can_go_on: false }, now());
    assert_eq!(model.overlay(), None);
    assert_eq!(model.world.active_runs().count(), 0);
    assert!(model.toast.as_ref().is_some_and(|toast| toast.bad));
}

#[test]
fn a_run_that_was_left_is_gone_on_with_by_a_key_and_only_once() {
    let mut model = model(demo::run_until_plan(), 80, 24);
    model.world.opened_at = demo::ago_s(120);
    assert_eq!(press(&mut model, "3c"), [], "a run that goes on needs nobody");
    let why = "it was killed".to_owned();
    update(&mut model, Msg::RunGone { run: id("41"), why, can_go_on: true }, now());
    let said = "nixdash ended during run 41: press c to go on with it";
    assert!(text(&draw(&model, &look(false))).contains(said));
    assert_eq!(press(&mut model, "c"), [Effect::Reattach { run: id("41") }]);
    assert_eq!(press(&mut model, "c"), []);
    let again = RunWhat::Reattached { left_at: demo::ago_s(60), process: 7 };
    fold(&mut model, [run_event("41", 0, again)]);
    assert_eq!(model.world.active_runs().count(), 1);
    assert!(!text(&draw(&model, &look(false))).contains(said));
}

#[test]
fn a_run_that_was_gone_before_the_dashboard_was_opened_is_no_news() {
    let mut model = model(demo::run_until_plan(), 80, 24);
    let why = "it was killed".to_owned();
    model.toast = None;
    assert_eq!(
        update(&mut model, Msg::RunGone { run: id("41"), why, can_go_on: false }, now()),
        []
    );
    assert_eq!((model.world.active_runs().count(), &model.toast), (0, &None));
}

#[test]
fn a_host_that_no_run_had_says_so_when_its_log_is_asked_for() {
    let mut model = model(demo::well(), 80, 24);
    press(&mut model, "l");
    assert_eq!(model.screen, Screen::Fleet);
    let said = model.toast.as_ref().unwrap().text.as_str();
    assert!(said.starts_with("no log of p620 yet"), "{said}");
}

#[test]
fn the_flake_is_named_below_the_persons_home() {
    for (home, shown) in
        [("/home/me", "~/nixos"), ("/home/me/", "~/nixos"), ("/home/m", "/home/me/nixos")]
    {
        let fleet =
            crate::fleet::Fleet { flake: Some("/home/me/nixos".to_owned()), ..demo::fleet() };
        let model = Model::new(std::sync::Arc::new(fleet), now()).with_home(home);
        assert_eq!(model.world.flake.as_deref(), Some(shown));
    }
}

#[test]
fn every_overlay_in_which_nothing_is_typed_closes_with_q() {
    for keys in ["?", "L", "Ad", "3o", "3x", "q"] {
        let mut model = model(demo::run_until_plan(), 80, 24);
        press(&mut model, keys);
        assert!(model.overlay().is_some(), "{keys}");
        let quits = press(&mut model, "q").iter().any(|e| matches!(e, Effect::Quit { .. }));
        assert!(model.overlay().is_none() || (quits && keys == "q"), "{keys}");
    }
}

#[test]
fn every_key_that_the_footer_shows_does_something() {
    use crate::dash::able::available;
    let mut events = demo::troubled();
    events.extend(demo::run_until_plan());
    events.extend(demo::run_in_fetch());
    for view in
        ["1\n", "2\n", "1", "2", "3", "4", "5", "1?", "1d", "3x", "1/", "1:", "1L", "1q", "3o"]
    {
        let mut before = model(events.clone(), 80, 24);
        press(&mut before, view);
        for entry in available(&before).filter(|entry| entry.label.is_some()) {
            let mut after = before.clone();
            let key = match entry.keys[0] {
                crate::dash::Key::Char(c) => KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE),
                crate::dash::Key::Ctrl(c) => KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL),
                crate::dash::Key::Code(code) => KeyEvent::new(code, KeyModifiers::NONE),
            };
            let effects = update(&mut after, Msg::Key(key), now());
            let state = |model: &Model| {
                let toast = model.toast.clone();
                format!("{:?}", (model.screen, model.overlay(), &model.prompt, toast, &model.log))
                    + &format!(
                        "{:?}",
                        (model.zoom, model.run_host, &model.marked, model.host, model.tier)
                    )
            };
            let stays = state(&before) == state(&after) && effects.is_empty();
            assert!(!stays, "{} in {view:?}", entry.name);
        }
    }
}

#[test]
fn the_filter_narrows_and_escape_widens() {
    let mut model = model(demo::well(), 80, 24);
    press(&mut model, "/laptop\n");
    assert_eq!(model.visible_hosts(), [1, 2]);
    assert_eq!(model.selected().map(|(host, _)| host.name.as_str()), Some("razer"));
    press(&mut model, "Ad\n");
    assert_eq!(model.world.starting.as_ref().unwrap().hosts, ["razer", "samsung"]);
    press(&mut model, "1/\u{8}\u{1b}");
    assert_eq!(model.filter.text(), "laptop", "escape keeps the filter as it was");
    press(&mut model, "\u{1b}");
    assert_eq!(model.visible_hosts().len(), 4);
}

#[test]
fn nothing_can_be_started_when_the_filter_hides_everything() {
    let mut model = model(demo::well(), 80, 24);
    press(&mut model, "/nobody\n");
    assert_eq!(press(&mut model, "d\nb\n"), []);
}

#[test]
fn r_measures_the_selected_host_and_capital_r_everything() {
    let mut model = model(demo::well(), 80, 24);
    assert_eq!(press(&mut model, "r"), [Effect::Probe { hosts: vec!["p620".to_owned()] }]);
    assert_eq!(press(&mut model, "R"), [Effect::Probe { hosts: vec![] }]);
    assert_eq!(press(&mut model, "2r"), [Effect::Probe { hosts: vec![] }]);
}

#[test]
fn the_palette_does_what_its_row_says() {
    let mut model = model(demo::well(), 80, 24);
    press(&mut model, ":cach\n");
    assert_eq!(model.screen, Screen::Caches);
    assert_eq!(press(&mut model, ":quit\n"), [Effect::Quit { cancel: vec![] }]);
    press(&mut model, ":q");
    assert_eq!(press(&mut model, "\u{3}"), []);
    assert_eq!(model.overlay(), None);
}

#[test]
fn time_alone_redraws_only_when_an_age_reads_differently() {
    let mut model = model(demo::well(), 80, 24);
    update(&mut model, Msg::Tick, now());
    model.take_dirty();
    update(&mut model, Msg::Tick, now());
    assert!(!model.take_dirty());
    update(&mut model, Msg::Tick, now() + jiff::SignedDuration::from_secs(1));
    assert!(model.take_dirty());
}

#[test]
fn a_log_line_out_of_sight_redraws_nothing() {
    let mut model = model(demo::run_until_plan(), 80, 24);
    let line = || {
        let of = LogOf { run: id("41"), host: "p620".to_owned() };
        let line = LogLine { at: None, phase: None, text: "building".to_owned() };
        Msg::Log { of, earlier: None, lines: vec![line] }
    };
    model.take_dirty();
    update(&mut model, line(), now());
    assert!(!model.take_dirty());
    press(&mut model, "3");
    model.take_dirty();
    update(&mut model, line(), now());
    assert!(model.take_dirty());
}

#[test]
fn another_run_does_not_take_the_screen_from_the_one_that_is_watched() {
    let mut model = model(demo::run_until_plan(), 80, 24);
    press(&mut model, "3");
    let hosts = vec!["razer".to_owned()];
    fold(&mut model, [run_event("42", 1, RunWhat::begin(hosts, String::new()))]);
    assert_eq!(model.shown_run().map(|run| run.id.clone()), Some(id("41")));
    press(&mut model, "5k\n");
    assert_eq!(model.shown_run().map(|run| run.id.clone()), Some(id("42")));
}

#[test]
fn the_status_line_is_short_and_says_what_is_bad() {
    let model = model(demo::troubled(), 80, 24);
    let names = || model.world.fleet.hosts.iter().map(|host| host.name.clone());
    let hosts: BTreeMap<_, _> =
        names().zip(model.world.hosts.iter().map(|host| host.facts.clone())).collect();
    let coverage: BTreeMap<_, _> =
        names().zip(model.world.hosts.iter().map(|host| host.coverage.clone())).collect();
    let tiers: BTreeMap<_, _> = model
        .world
        .fleet
        .tiers
        .iter()
        .map(|tier| tier.name.clone())
        .zip(model.world.tiers.iter().map(|tier| tier.facts.clone()))
        .collect();
    let line = status_line(&model.world.fleet, &hosts, &tiers, &coverage);
    assert_eq!(line, "2● 1▲ 1○ 1 boots another p620 98% community ▲ unauthorized");
    let nothing =
        status_line(&model.world.fleet, &BTreeMap::new(), &BTreeMap::new(), &BTreeMap::new());
    assert_eq!(nothing, "4– p620 –");
    let (fleet, events) = demo_tiers::every_trouble();
    let model = demo::model_of(fleet, events, 80, 24);
    let facts = model.world.tiers.iter().map(|tier| tier.facts.clone());
    let tiers = model.world.fleet.tiers.iter().map(|tier| tier.name.clone()).zip(facts).collect();
    let line = status_line(&model.world.fleet, &BTreeMap::new(), &tiers, &BTreeMap::new());
    let few = "slow ▲ slow, degraded ▲ degraded, unauthorized ▲ unauthorized, +8▲";
    assert_eq!(line, format!("4– {few}"));
}

#[test]
fn a_result_without_a_begin_is_shown_too() {
    let mut model = model([], 80, 24);
    fold(&mut model, [run_event("9", 5, result("razer", Outcome::Switched, None))]);
    assert_eq!(model.world.runs[0].done(), 1);
}

#[test]
fn what_was_measured_before_the_screen_stands_before_what_is_measured_now() {
    let mut model = model(demo::well(), 80, 24);
    let kept = model.world.tiers[0].latencies.clone();
    assert!(!kept.is_empty());
    let earlier: Vec<f64> = (0..100).map(f64::from).collect();
    let trends = vec![
        Trend::TierLatency("p620".to_owned(), earlier.clone()),
        Trend::HostLoad("samsung".to_owned(), earlier),
        Trend::HostLoad("nobody".to_owned(), vec![1.0]),
    ];
    update(&mut model, Msg::Trends(trends), now());
    let shown = &model.world.tiers[0].latencies;
    assert_eq!(shown.len(), crate::dash::world::HISTORY);
    assert!(shown.iter().rev().zip(kept.iter().rev()).all(|(a, b)| a.to_bits() == b.to_bits()));
    assert!((shown[shown.len() - kept.len() - 1] - 99.0).abs() < 1e-9);
    assert_eq!(model.world.hosts[2].loads.len(), crate::dash::world::HISTORY);
}

/// Returns the messages' lines as they come from a log in which so many stand before them.
fn part(host: &str, earlier: Option<u64>, texts: &[&str]) -> Msg {
    let of = LogOf { run: id("41"), host: host.to_owned() };
    let line = |text: &&str| LogLine { at: Some(now()), phase: None, text: (*text).to_owned() };
    Msg::Log { of, earlier, lines: texts.iter().map(line).collect() }
}

#[test]
fn logs_are_asked_for_while_they_are_in_view_and_forgotten_afterwards() {
    let mut model = model(demo::run_until_plan(), 80, 24);
    let asked = |hosts: &[&str], lines| {
        let of = |host: &&str| LogOf { run: id("41"), host: (*host).to_owned() };
        vec![Effect::ViewLogs(LogsInView { logs: hosts.iter().map(of).collect(), lines })]
    };
    assert_eq!(view_logs(&mut model), []);
    press(&mut model, "3");
    assert_eq!(view_logs(&mut model), asked(&["p620"], 300));
    assert_eq!(view_logs(&mut model), []);
    update(&mut model, part("p620", Some(1000), &["one", "two"]), now());
    update(&mut model, part("p620", None, &["three"]), now());
    let log = |model: &Model, host: usize| {
        let log = &model.world.runs[0].hosts[host].log;
        (log.dropped(), log.end(), log.before(u64::MAX).count())
    };
    assert_eq!(log(&model, 0), (1000, 1003, 3));
    // What comes anew takes the place of what was there.
    update(&mut model, part("p620", Some(5000), &["four"]), now());
    assert_eq!(log(&model, 0), (5000, 5001, 1));
    press(&mut model, "\t");
    assert_eq!(view_logs(&mut model), asked(&["razer"], 300));
    assert_eq!(log(&model, 0), (0, 0, 0));
    press(&mut model, "1");
    assert_eq!(view_logs(&mut model), asked(&[], 0));
    // Where hosts stand side by side all of them are in view.
    update(&mut model, Msg::Resize(200, 50), now());
    press(&mut model, "3");
    assert_eq!(view_logs(&mut model), asked(&["p620", "razer", "samsung", "p510"], 300));
    press(&mut model, "z");
    assert_eq!(view_logs(&mut model), asked(&["razer"], 300));
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
    // Looking is allowed.
    assert!(press(&mut model, "r").iter().any(|effect| matches!(effect, Effect::Probe { .. })));
}
