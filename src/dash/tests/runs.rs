//! Runs of many hosts on the screen.

use crate::dash::demo::{self, model, result, run_event};
use crate::dash::tests::keys::{fold, id, press};
use crate::dash::tests::screens::{draw, look, text};
use crate::dash::{Effect, Model, Msg, Screen, update};
use crate::fleet::{Outcome, Phase, PhaseState, RunWhat, Wait};
use jiff::SignedDuration;

#[test]
fn hosts_that_went_wrong_or_ask_stand_first_where_there_are_many() {
    let mut model = model(demo::well(), 120, 35);
    let hosts = ["a1", "a2", "a3", "a4", "a5", "a6"].map(str::to_owned).to_vec();
    let begin = RunWhat::begin(hosts, "switch".to_owned());
    demo::happen(&mut model, run_event("77", 9, begin));
    press(&mut model, "3jj");
    let decide =
        Wait::Decision { wave: 1, why: "the gate web could not be made".to_owned(), until: None };
    for what in [
        result("a4", Outcome::Switched, None),
        RunWhat::waiting("a6", Some(decide), demo::now()),
        result("a5", Outcome::RolledBack, Some("nobody could reach it")),
    ] {
        demo::happen(&mut model, run_event("77", 5, what));
    }
    // Not while somebody moves.
    update(&mut model, Msg::Tick, demo::now() + SignedDuration::from_secs(3));
    let run = model.shown_run().unwrap();
    let order: Vec<&str> = run.hosts.iter().map(|host| host.host.as_str()).collect();
    assert_eq!(order, ["a5", "a6", "a1", "a2", "a3", "a4"]);
    assert_eq!(model.shown_host_run().unwrap().host, "a3", "the selection stays on its host");
}

/// Returns the hosts of the shown run in their order, then the selected one.
fn order(model: &Model) -> (Vec<&str>, &str) {
    let hosts = model.shown_run().unwrap().hosts.iter().map(|host| host.host.as_str());
    (hosts.collect(), &model.shown_host_run().unwrap().host)
}

/// Returns the end of a run in which some hosts failed and some were skipped.
fn end_of_failed_and_skipped(failed: u64, skipped: u64) -> RunWhat {
    let outcomes = [(Outcome::Failed, failed), (Outcome::Skipped, skipped)].into();
    RunWhat::Summary { outcomes, duration_ms: 9_000, findings: Vec::new() }
}

#[test]
fn trouble_comes_first_and_is_selected_at_every_size_once_the_run_is_over() {
    for (columns, rows) in [(40, 10), (80, 24), (110, 30), (200, 50)] {
        let mut model = model(demo::well(), columns, rows);
        press(&mut model, "3");
        let hosts = ["p620", "razer", "samsung"].map(str::to_owned).to_vec();
        fold(&mut model, [run_event("77", 9, RunWhat::begin(hosts, "switch".to_owned()))]);
        fold(&mut model, [run_event("77", 5, result("p620", Outcome::Skipped, None))]);
        fold(&mut model, [run_event("77", 5, result("samsung", Outcome::Failed, Some("no room")))]);
        let stacked = (vec!["samsung", "p620", "razer"], "samsung");
        let beside = (vec!["p620", "razer", "samsung"], "p620");
        let is_beside = columns == 200;
        assert_eq!(order(&model), if is_beside { beside } else { stacked }, "{columns}");
        fold(&mut model, [run_event("77", 4, result("razer", Outcome::Switched, None))]);
        let end = end_of_failed_and_skipped(1, 1);
        fold(&mut model, [run_event("77", 3, end)]);
        assert_eq!(order(&model), (vec!["samsung", "p620", "razer"], "samsung"), "{columns}");
        let shown = text(&draw(&model, &look(false)));
        assert!(shown.contains("samsung"), "{shown}");
    }
}

#[test]
fn a_screen_that_becomes_narrow_puts_trouble_first_and_keeps_the_host_that_was_chosen() {
    let mut model = model(demo::well(), 200, 50);
    press(&mut model, "3");
    let hosts = ["p620", "razer", "samsung"].map(str::to_owned).to_vec();
    fold(&mut model, [run_event("77", 9, RunWhat::begin(hosts, "switch".to_owned()))]);
    fold(&mut model, [run_event("77", 5, result("samsung", Outcome::Failed, Some("no room")))]);
    press(&mut model, "\t");
    assert_eq!(order(&model), (vec!["p620", "razer", "samsung"], "razer"));
    update(&mut model, Msg::Resize(80, 24), demo::now());
    assert_eq!(order(&model), (vec!["samsung", "p620", "razer"], "razer"));
}

#[test]
fn every_view_counts_what_failed_and_what_was_skipped_apart() {
    for (columns, rows, at_work, over) in [
        (40, 10, "1✗ 1○ 0/4", "2✗ 2○ 0/4"),
        (110, 30, "1 failed · 1 skipped · 1 running · 1 waiting", "2 failed · 2 skipped"),
    ] {
        let mut model = model(demo::well(), columns, rows);
        press(&mut model, "3");
        let hosts = ["p620", "razer", "samsung", "p510"].map(str::to_owned).to_vec();
        let begin = RunWhat::begin(hosts, "switch".to_owned());
        let works = demo::phase("p510", Phase::Build, PhaseState::Started);
        let mut events = vec![
            begin,
            result("p620", Outcome::Skipped, None),
            result("samsung", Outcome::Failed, None),
            works,
        ];
        fold(&mut model, events.drain(..).map(|what| run_event("77", 5, what)));
        let shown = text(&draw(&model, &look(false)));
        assert!(shown.contains(at_work), "{shown}");
        let in_words = "run #77  1 failed · 1 skipped · 1 running · 1 waiting";
        let overview =
            ["run #77 1✗ 1○ 0/4", "run #77  1 went wrong · 1 left out · 0 of 4 done", in_words];
        assert!(overview.iter().any(|words| shown.contains(words)), "the overview: {shown}");
        fold(&mut model, [run_event("77", 1, end_of_failed_and_skipped(2, 2))]);
        let shown = text(&draw(&model, &look(false)));
        assert!(shown.contains(over) || shown.contains("✗ 2 of 4 went wrong"), "{shown}");
        assert!(!shown.contains("4 of 4") && !shown.contains("4/4"), "{shown}");
    }
}

/// Seconds from the present back to 2026-11-20 14:02.
const DAY_BEFORE: i64 = 79_351;

#[test]
fn an_old_run_says_its_date_and_lets_view_3_show_the_run_of_now_again() {
    let hosts = vec!["samsung".to_owned()];
    let begin = RunWhat::begin(hosts, "switch via-cache".to_owned());
    let end = RunWhat::Summary {
        outcomes: [(Outcome::Switched, 1)].into(),
        duration_ms: 9,
        findings: Vec::new(),
    };
    let mut events = vec![run_event("40", DAY_BEFORE, begin), run_event("40", DAY_BEFORE, end)];
    events.extend(demo::run_until_plan());
    for (columns, rows) in [(80, 24), (40, 10)] {
        let mut model = model(events.clone(), columns, rows);
        let shown = |model: &crate::dash::Model| text(&draw(model, &look(false)));
        press(&mut model, "5gj\n");
        assert_eq!(model.screen, Screen::Deploy);
        assert!(shown(&model).contains("run #40 of 2026-11-20 14:02"), "{}", shown(&model));
        press(&mut model, "4\u{1b}\u{1b}");
        assert_eq!(model.screen, Screen::History, "the way back is the way that was come");
        press(&mut model, "\n3");
        assert_eq!(model.shown_run().unwrap().id, id("41"));
        assert!(!shown(&model).contains("run #41 of"), "{}", shown(&model));
        press(&mut model, "\u{1b}");
        assert_eq!(model.screen, Screen::Fleet);
    }
}

#[test]
fn view_3_shows_the_run_that_was_begun_here_before_that_of_somebody_else() {
    let mut model = model(demo::well(), 80, 24);
    press(&mut model, "jjd\n");
    update(&mut model, Msg::RunNumber(id("41")), demo::now());
    fold(&mut model, demo::run_until_plan());
    let begin = RunWhat::begin(vec!["razer".to_owned()], "switch via-cache".to_owned());
    fold(&mut model, [run_event("42", 1, begin)]);
    press(&mut model, "\u{1b}5gg3");
    assert_eq!(model.shown_run().unwrap().id, id("41"));
}

#[test]
fn a_run_that_nobody_watches_is_not_shown_at_work() {
    let mut events = demo::run_until_plan();
    events.extend(demo::run_in_fetch());
    for (columns, rows) in [(200, 50), (80, 24), (40, 10)] {
        let mut model = model(events.clone(), columns, rows);
        let why = "its process ended before the run did; look at the hosts".to_owned();
        update(&mut model, Msg::RunGone { run: id("41"), why, can_go_on: false }, demo::now());
        for view in ["3j", "5"] {
            press(&mut model, view);
            let shown = text(&draw(&model, &look(false)));
            let is_at_work = |c| "◐◓◑◒".contains(c);
            assert!(!shown.contains("running") && !shown.contains(is_at_work), "{shown}");
            assert!(!shown.contains(" left"), "nobody knows how long: {shown}");
            let is_narrow_list = view == "5" && columns < 80;
            assert!(is_narrow_list || shown.contains("nobody watches"), "{shown}");
        }
    }
}

#[test]
fn a_host_that_needs_a_reboot_boots_the_new_system_next_time() {
    let at = demo::failures()
        .into_iter()
        .find(|it| it.phase == Phase::Activate && it.outcome == Outcome::NeedsReboot);
    let mut model = model(demo::well(), 120, 35);
    fold(&mut model, demo::failed("52", &[("samsung", &at.unwrap())]));
    press(&mut model, "jj");
    let shown = text(&draw(&model, &look(false)));
    assert!(shown.contains("needs reboot in") && shown.contains(": boots the"), "{shown}");
}

#[test]
fn a_wrong_name_stays_to_be_mended_and_says_so_beside_it() {
    for (columns, rows) in [(80, 24), (40, 10)] {
        let mut model = model(demo::well(), columns, rows);
        press(&mut model, "Gd\np51\n");
        let shown = text(&draw(&model, &look(false)));
        assert!(shown.contains("p51▏") && shown.contains("✗ that is not p510"), "{shown}");
        let started = press(&mut model, "0\n");
        assert!(matches!(started[..], [Effect::StartRun { .. }]), "{started:?}");
    }
}

#[test]
fn a_run_whose_plan_nobody_confirmed_is_no_failure() {
    let begin = RunWhat::begin(vec!["samsung".to_owned()], "switch via-cache".to_owned());
    let end = RunWhat::Summary {
        outcomes: [(Outcome::Skipped, 1)].into(),
        duration_ms: 9,
        findings: Vec::new(),
    };
    let why = "the plan was not confirmed";
    let mut events = demo::well();
    events.extend([
        run_event("40", 9, begin),
        run_event("40", 8, result("samsung", Outcome::Skipped, Some(why))),
    ]);
    events.push(run_event("40", 8, end));
    let mut model = model(events, 110, 30);
    press(&mut model, "5");
    let shown = |model: &crate::dash::Model| text(&draw(model, &look(false)));
    assert!(shown(&model).contains("○ 1 skipped"), "{}", shown(&model));
    press(&mut model, "\n");
    let deploy = shown(&model);
    assert!(deploy.contains(why) && deploy.contains("○ skipped"), "{deploy}");
    assert!(!deploy.contains('✗') && !deploy.contains("copy the error"), "{deploy}");
    assert!(!deploy.contains("log at the error"), "{deploy}");
}

/// Returns the demonstration with a run whose process ended before it did.
fn with_left_run() -> crate::dash::Model {
    let mut events = demo::well();
    events.extend(demo::run_until_plan());
    events.extend(demo::run_in_fetch());
    let mut model = model(events, 110, 30);
    let gone = Msg::RunGone { run: id("41"), why: "its process ended".to_owned(), can_go_on: true };
    update(&mut model, gone, demo::now());
    model
}

#[test]
fn a_run_that_nobody_watches_is_told_in_every_view() {
    let mut model = with_left_run();
    press(&mut model, "1");
    let shown = text(&draw(&model, &look(false)));
    assert!(shown.contains("▲ run #41: nobody watches it"), "{shown}");
    assert!(shown.contains("▲ run #41 left"), "{shown}");
}

#[test]
fn a_run_that_was_left_can_be_tried_again_until_somebody_ended_it() {
    let mut model = with_left_run();
    let view = |model: &crate::dash::Model| {
        let run = model.world.runs.iter().find(|run| run.id == id("41")).unwrap();
        (run.can_go_on, run.gone.is_some())
    };
    model.world.runs[0].can_go_on = false;
    update(&mut model, Msg::StillLeft { run: id("41") }, demo::now());
    assert_eq!(view(&model), (true, true), "whoever tried it may try again");
    let (outcomes, findings) = ([(Outcome::Switched, 3)].into(), Vec::new());
    let end = RunWhat::Summary { outcomes, duration_ms: 1, findings };
    demo::happen(&mut model, run_event("41", 1, end));
    assert_eq!(view(&model), (false, false), "its hosts were asked");
    update(&mut model, Msg::StillLeft { run: id("41") }, demo::now());
    assert_eq!(view(&model), (false, false));
}

#[test]
fn a_key_that_has_nothing_to_act_on_says_why() {
    let mut model = model(demo::well(), 110, 30);
    for (key, why) in [
        ("M", "nothing is wrong with what is selected"),
        ("o", "no run waits for an answer to its plan"),
    ] {
        model.toast = None;
        assert_eq!(press(&mut model, key), []);
        let said = model.toast.as_ref().map(|toast| toast.text.clone());
        assert_eq!(said.as_deref(), Some(format!("{key} does nothing now: {why}").as_str()));
    }
    model.toast = None;
    press(&mut model, "kkk\u{1b}");
    assert!(model.toast.is_none(), "the end of a list explains itself");
}

#[test]
fn a_key_for_the_run_that_goes_on_says_which_key_shows_it_where_another_is_shown() {
    let mut model = model(demo::well(), 110, 30);
    let begin = || RunWhat::begin(vec!["razer".to_owned()], "switch via-cache".to_owned());
    demo::happen(&mut model, run_event("51", 60, begin()));
    let (outcomes, findings) = ([(Outcome::Switched, 1)].into(), Vec::new());
    demo::happen(&mut model, run_event("51", 50, result("razer", Outcome::Switched, None)));
    let end = RunWhat::Summary { outcomes, duration_ms: 9_000, findings };
    demo::happen(&mut model, run_event("51", 49, end));
    demo::happen(&mut model, run_event("52", 40, begin()));
    press(&mut model, "5");
    let ended = model.world.runs.iter().position(|run| run.id == id("51")).unwrap();
    model.select_run(ended, None);
    model.show(crate::dash::model::Screen::Deploy);
    for key in ["W", "R"] {
        model.toast = None;
        assert_eq!(press(&mut model, key), []);
        let said = model.toast.as_ref().map(|toast| toast.text.clone());
        let why = "run #51, which is shown, has ended; 3 shows run #52, which goes on";
        assert_eq!(said.as_deref(), Some(format!("{key} does nothing now: {why}").as_str()));
    }
    press(&mut model, "3");
    assert_eq!(model.shown_run().map(|run| run.id.clone()), Some(id("52")));
}

/// Returns History with a run that failed, one that nobody watches, and one that went well.
fn history(columns: u16, rows: u16) -> crate::dash::Model {
    let why = demo::failures();
    let mut model = model(demo::failed("40", &[("samsung", &why[0])]), columns, rows);
    let begin = || RunWhat::begin(vec!["razer".to_owned()], "switch via-cache".to_owned());
    demo::happen(&mut model, run_event("41", 60, begin()));
    let gone =
        Msg::RunGone { run: id("41"), why: "its process is gone".to_owned(), can_go_on: true };
    update(&mut model, gone, demo::now());
    demo::happen(&mut model, run_event("42", 50, begin()));
    demo::happen(&mut model, run_event("42", 40, result("razer", Outcome::Switched, None)));
    demo::happen(
        &mut model,
        run_event(
            "42",
            39,
            RunWhat::Summary {
                outcomes: [(Outcome::Switched, 1)].into(),
                duration_ms: 9_000,
                findings: Vec::new(),
            },
        ),
    );
    model.toast = None;
    press(&mut model, "5");
    model
}

#[test]
fn columns_of_the_history_never_touch() {
    for columns in 28..=160 {
        let shown = text(&draw(&history(columns, 10), &look(false)));
        // How the others ended has no such letters.
        let is_row = |line: &&str| ["#40", "#41", "WHAT"].iter().any(|it| line.contains(it));
        let rows = shown.lines().filter(is_row);
        let mut found = 0;
        for row in rows {
            for what in ["swi", "WHAT"] {
                let Some(at) = row.find(what) else { continue };
                let gap = if what == "WHAT" { " " } else { "  " };
                assert!(row[..at].ends_with(gap), "{columns} columns: {row}");
                found += 1;
            }
        }
        assert!(found >= 2, "{columns} columns: {shown}");
    }
}

#[test]
fn why_a_host_failed_takes_the_rows_that_are_free() {
    for columns in [40, 60, 80, 110] {
        let mut model = history(columns, 24);
        press(&mut model, "G");
        let (_, result) = crate::dash::words::runs::doing(
            &crate::dash::widgets::paint::Paint::new(&model, &look(false), demo::now()),
            model.shown_run().unwrap(),
            &model.shown_run().unwrap().hosts[0],
        );
        let shown = text(&draw(&model, &look(false)));
        let (_, below) = shown.split_once("run #40").unwrap();
        let words: Vec<&str> = below.split_whitespace().collect();
        let last = result.split_whitespace().last().unwrap();
        assert!(words.contains(&last), "{columns} columns: {last} in\n{shown}");
    }
}

#[test]
fn phases_have_one_name_wherever_it_has_room() {
    let shown = |columns: u16, rows: u16, keys: &str| {
        let mut events = demo::run_until_plan();
        events.extend(demo::run_in_fetch());
        let mut model = model(events, columns, rows);
        press(&mut model, keys);
        text(&draw(&model, &look(false)))
    };
    for (columns, rows) in [(200, 50), (150, 50), (140, 40)] {
        for keys in ["3", "3z"] {
            let shown = shown(columns, rows, keys);
            assert!(shown.contains("preflight ✓") && shown.contains("evaluate ✓"), "{shown}");
            assert!(!shown.contains("pre ✓") && !shown.contains(" cmp "), "{shown}");
        }
    }
    assert!(shown(80, 24, "3z").contains("pre ✓"));
}
