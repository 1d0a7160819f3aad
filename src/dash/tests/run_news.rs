//! What runs tell the screen, and what keys answer.

use crate::dash::demo::{self, model, now, phase, result, run_event};
use crate::dash::tests::keys::{fold, id, press};
use crate::dash::tests::screens::{draw, look, text};
use crate::dash::{Effect, LogOf, LogsInView, Model, Msg, Overlay, Wish, update, view_logs};
use crate::fleet::{
    ChangeKind, LogLine, Outcome, PackageChange, Phase, PhaseState, RolloutNews, RunWhat, Wait,
    WaveState,
};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::BTreeMap;

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
fn what_hosts_leave_out_is_no_answer_to_a_plan() {
    let mut model = model(demo::run_until_plan(), 80, 24);
    for (state, waits) in
        [(PhaseState::Skipped, true), (PhaseState::Finished, true), (PhaseState::Started, false)]
    {
        fold(&mut model, [run_event("41", 45, phase("p620", Phase::Build, state))]);
        assert_eq!(model.world.run_by_id(&id("41")).unwrap().waits, waits, "{state:?}");
    }
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
    assert_eq!(model.fleet.filter.text(), "razy");
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
fn a_plan_that_waits_rings_once_and_only_while_nobody_looks() {
    for focused in [true, false] {
        let mut model = model([], 80, 24);
        model.world.opened_at = demo::ago_s(3600);
        update(&mut model, Msg::Focus(focused), now());
        let mut events = demo::run_until_plan();
        let effects = fold(&mut model, events.clone());
        let text = "run #41 waits for your answer".to_owned();
        let wanted = (!focused).then_some(Effect::Terminal(Wish::Notify(text)));
        assert_eq!(effects, Vec::from_iter(wanted));
        let again = events.pop().into_iter();
        assert_eq!(fold(&mut model, again), [], "it was told");
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
    let said = "nobody watches this run: its process ended before the run did. Press c";
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
fn a_result_without_a_begin_is_shown_too() {
    let mut model = model([], 80, 24);
    fold(&mut model, [run_event("9", 5, result("razer", Outcome::Switched, None))]);
    assert_eq!(model.world.runs[0].counts().well(), 1);
}

/// Returns the messages' lines as they come from a log in which so many stand before them.
fn part(host: &str, earlier: Option<u64>, texts: &[&str]) -> Msg {
    let of = LogOf { run: id("41"), host: host.to_owned() };
    let line = |text: &&str| LogLine::plain(Some(now()), None, *text);
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
    // What comes again takes the place of what was there.
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
fn a_log_line_out_of_sight_redraws_nothing() {
    let mut model = model(demo::run_until_plan(), 80, 24);
    let line = || {
        let of = LogOf { run: id("41"), host: "p620".to_owned() };
        let line = LogLine::plain(None, None, "building");
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
fn the_last_run_of_a_host_is_the_one_that_ended_last() {
    let begin = || RunWhat::begin(vec!["razer".to_owned()], String::new());
    let events = [
        run_event("18", 60, begin()),
        run_event("19", 50, begin()),
        run_event("19", 49, result("razer", Outcome::Failed, Some("somebody deploys to it"))),
        run_event("18", 5, result("razer", Outcome::Switched, None)),
    ];
    let model = model(events, 80, 24);
    assert_eq!(model.world.last_run("razer").map(|(run, _)| run.id.clone()), Some(id("18")));
}

#[test]
fn a_host_that_goes_back_says_so_for_as_long_as_it_does() {
    let mut model = model(demo::run_until_plan(), 80, 24);
    press(&mut model, "3");
    let back = RunWhat::waiting("razer", Some(Wait::WayBack), now());
    fold(
        &mut model,
        [
            run_event("41", 9, phase("razer", Phase::Activate, PhaseState::Started)),
            run_event("41", 8, back),
        ],
    );
    assert!(text(&draw(&model, &look(false))).contains("going back"));
    for (at, of) in [(7, Phase::Settle), (6, Phase::Persist)] {
        fold(&mut model, [run_event("41", at, phase("razer", of, PhaseState::Started))]);
        let shown = text(&draw(&model, &look(false)));
        assert!(shown.contains("going back to razer-26.05.20261118.8f2c1ab"), "{shown}");
    }
    fold(&mut model, [run_event("41", 1, result("razer", Outcome::RolledBack, None))]);
    assert!(!text(&draw(&model, &look(false))).contains("going back"));
}

#[test]
fn a_host_that_is_cut_off_says_since_when_and_stands_first_with_a_count_of_its_own() {
    let mut model = model(demo::run_until_plan(), 110, 30);
    press(&mut model, "3");
    let since = demo::ago_s(34);
    let host = "p620".to_owned();
    let until = Some(now() + jiff::SignedDuration::from_secs(11));
    let silent = RunWhat::waiting("razer", Some(Wait::Answer { host, since, until }), now());
    fold(
        &mut model,
        [
            run_event("41", 40, phase("razer", Phase::Build, PhaseState::Started)),
            run_event("41", 34, silent),
        ],
    );
    let shown = text(&draw(&model, &look(false)));
    assert!(shown.contains("▲ no answer  00:34"), "{shown}");
    let said = "waiting for p620 to answer again: no answer for 34 s; nixdash gives up in 11 s";
    assert!(shown.contains(said), "{shown}");
    assert!(shown.contains("1 no answer"), "{shown}");
    assert_eq!(model.shown_run().unwrap().counts().running, 0);
    fold(&mut model, [run_event("41", 1, RunWhat::waiting("razer", None, now()))]);
    assert_eq!(model.shown_run().unwrap().counts().running, 1);
}

#[test]
fn the_keys_that_answer_a_run_come_first_at_every_size() {
    for (columns, rows) in [(40, 10), (80, 24), (110, 30), (200, 50)] {
        let mut model = model(demo::run_until_plan(), columns, rows);
        press(&mut model, "3");
        fold(&mut model, demo::run_in_build());
        let news = RolloutNews::Wave {
            wave: 1,
            of: 2,
            state: WaveState::Asks,
            reason: Some("the gate smoke-test could not be asked: it does not answer".to_owned()),
            until: None,
        };
        fold(&mut model, [run_event("41", 1, RunWhat::Rollout(news))]);
        let shown = text(&draw(&model, &look(false)));
        let footer = shown.lines().last().unwrap_or_default().split_whitespace();
        let footer = footer.collect::<Vec<_>>().join(" ");
        assert!(footer.starts_with("space check again a accept check"), "{shown}");
    }
}

/// Returns a screen on a plan in which so many packages with long versions change on samsung.
fn long_plan(packages: usize, columns: u16, rows: u16) -> Model {
    let mut plan = demo::plan();
    let change = |number: usize| PackageChange {
        name: format!("package-with-a-name-{number}"),
        kind: ChangeKind::Upgraded,
        before: vec![format!("{number}.0-unstable-2026-11-02")],
        after: vec![format!("{number}.1-unstable-2026-11-21")],
        bytes: Some(8),
    };
    let changes = plan.hosts.iter_mut().find_map(|host| host.changes.as_mut()).unwrap();
    changes.system.as_mut().unwrap().packages = (1..=packages).map(change).collect();
    let hosts = plan.hosts.iter().map(|host| host.host.clone()).collect();
    let begin = RunWhat::begin(hosts, String::new());
    let plan = RunWhat::Plan { plan, waits: true };
    let mut model = model([run_event("41", 9, begin), run_event("41", 8, plan)], columns, rows);
    press(&mut model, "3o");
    model
}

#[test]
fn a_package_that_changes_is_one_line_of_the_plan_where_the_screen_is_wide_enough() {
    for (columns, rows) in [(110, 50), (200, 50)] {
        let shown = text(&draw(&long_plan(3, columns, rows), &look(false)));
        let lines = || shown.lines().filter(|line| line.contains("package-with-a-name"));
        assert_eq!(lines().count(), 3, "{shown}");
        assert!(lines().all(|line| line.contains("+8 B")), "{shown}");
    }
}

#[test]
fn a_plan_that_is_longer_than_the_screen_names_the_keys_that_scroll() {
    let footer = |packages, columns, rows| {
        let shown = text(&draw(&long_plan(packages, columns, rows), &look(false)));
        shown.lines().last().unwrap_or_default().to_owned()
    };
    for (columns, rows) in [(40, 10), (80, 24), (110, 30), (200, 50)] {
        let long = footer(90, columns, rows);
        assert!(long.contains("↑↓ scroll") && long.contains("n no"), "{long}");
    }
    assert!(!footer(1, 200, 50).contains("scroll"));
}

#[test]
fn what_every_view_can_do_is_done_while_the_plan_is_shown_too() {
    for waits in [true, false] {
        let mut model = long_plan(3, 80, 24);
        if !waits {
            fold(&mut model, demo::run_in_fetch());
        }
        let ctrl = |c| Msg::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL));
        let mut done = |c| update(&mut model, ctrl(c), now());
        assert_eq!(done('z'), [Effect::Terminal(Wish::Suspend)]);
        assert_eq!(done('l'), [Effect::Terminal(Wish::Redraw)]);
        assert_eq!(done('t').len(), 1);
        assert_eq!(done('c'), []);
        assert_eq!(model.overlay(), Some(&Overlay::Quit), "a run goes on");
        press(&mut model, "n");
        assert!(matches!(model.overlay(), Some(Overlay::Plan { .. })), "it was not answered");
    }
}

#[test]
fn a_long_name_of_a_host_in_the_plan_keeps_its_distance_from_what_is_said_of_it() {
    let mut plan = demo::plan();
    plan.hosts.retain(|host| host.host == "samsung");
    plan.hosts[0].host = "samsung-with-a-very-long-name".to_owned();
    let begin = RunWhat::begin(vec![plan.hosts[0].host.clone()], String::new());
    let plan = RunWhat::Plan { plan, waits: true };
    let mut model = model([run_event("41", 9, begin), run_event("41", 8, plan)], 110, 30);
    press(&mut model, "3o");
    let shown = text(&draw(&model, &look(false)));
    assert!(shown.contains("samsung-with-a-…  samsung-26.05"), "{shown}");
}
