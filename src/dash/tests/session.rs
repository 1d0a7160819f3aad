//! A dashboard that begins as it was left.

use crate::dash::demo::{self, many, now, of_many, run_event};
use crate::dash::session::session_left;
use crate::dash::tests::keys::{id, press};
use crate::dash::tests::screens::{draw, look, text};
use crate::dash::{Effect, Model, Msg, Screen, keep_session, update};
use crate::fleet::{Event, Fleet, Outcome, RunWhat};
use jiff::SignedDuration;
use std::collections::BTreeMap;

fn shown(model: &Model) -> String {
    text(&draw(model, &look(false)))
}

/// Returns a dashboard that keeps how it is left, and began as one was left.
fn opened(fleet: Fleet, events: Vec<Event>, left: Option<&str>) -> Model {
    let mut model = demo::model_of(fleet, [], 110, 30);
    keep_session(&mut model, left, now()).unwrap();
    for event in events {
        demo::happen(&mut model, event);
    }
    // Rows are put in order again as soon as that is due.
    update(&mut model, Msg::Tick, now() + SignedDuration::from_secs(6));
    model
}

/// Returns how a dashboard is left after these keys.
fn left_after(fleet: Fleet, events: Vec<Event>, keys: &str) -> (Model, String) {
    let mut model = opened(fleet, events, None);
    press(&mut model, keys);
    model.toast = None;
    let left = session_left(&model).unwrap();
    (model, left)
}

/// Runs 38 to 41: the last one waits for an answer, the others have ended.
fn runs() -> Vec<Event> {
    let mut events = demo::troubled();
    for (number, seconds) in [("38", 3000), ("39", 2000), ("40", 1000)] {
        let hosts = ["razer", "samsung"].map(str::to_owned).to_vec();
        let began = RunWhat::begin(hosts.clone(), "switch via-cache".to_owned());
        events.push(run_event(number, seconds, began));
        for host in &hosts {
            let result = demo::result(host, Outcome::Switched, None);
            events.push(run_event(number, seconds - 10, result));
        }
        let ended = RunWhat::Summary {
            outcomes: BTreeMap::from([(Outcome::Switched, 2)]),
            duration_ms: 10_000,
            findings: Vec::new(),
        };
        events.push(run_event(number, seconds - 10, ended));
    }
    events.extend(demo::run_until_plan());
    events
}

#[test]
fn the_next_dashboard_shows_what_the_last_one_showed() {
    let all = [
        "",
        "jj",
        "j\n",
        "sss",
        "ssS",
        "#",
        "#j\njj",
        "/lap\nj",
        "/nobody\n",
        "2",
        "2jj",
        "2j\n",
        "2sss",
        "2sS",
        "2/nixos\n",
        "3",
        "3jj",
        "3z",
        "3/sam\n",
        "4",
        "5",
        "5j",
        "5jj\n",
        "5jl",
        "5s",
        "5ssS",
        "5/40\n",
        "+++",
        "2--",
        "3+",
        "5-",
        "5z",
        "z",
        "2z",
    ];
    for keys in all {
        let (before, left) = left_after(demo::fleet(), runs(), keys);
        let after = opened(demo::fleet(), runs(), Some(&left));
        assert_eq!(shown(&after), shown(&before), "after {keys:?}: {left}");
        assert_eq!(session_left(&after).unwrap(), left, "after {keys:?}");
    }
    let (before, left) = left_after(many(), of_many(), "#jj");
    let after = opened(many(), of_many(), Some(&left));
    assert_eq!(shown(&after), shown(&before), "a group that is selected: {left}");
}

#[test]
fn a_filter_that_was_left_stands_above_the_list_and_esc_takes_it_away() {
    for (keys, what) in [("/sam\n", "hosts"), ("2/weed\n", "tiers"), ("5/40\n", "runs")] {
        let (_, left) = left_after(demo::fleet(), runs(), keys);
        let mut after = opened(demo::fleet(), runs(), Some(&left));
        let filter = keys.trim_start_matches(char::is_numeric).trim_end();
        assert!(shown(&after).contains(&format!("{what} match")), "{}", shown(&after));
        assert!(shown(&after).contains(&format!("“{filter}”; esc shows all")), "{keys:?}");
        press(&mut after, "\u{1b}");
        assert!(!after.is_filtered() && !shown(&after).contains("esc shows all"), "{keys:?}");
    }
}

#[test]
fn a_session_is_kept_when_it_has_changed_and_not_more_often_than_every_three_seconds() {
    let mut model = opened(demo::fleet(), demo::well(), None);
    let tick = |model: &mut Model, keys: &str, seconds| -> Vec<Effect> {
        press(model, keys);
        update(model, Msg::Tick, now() + SignedDuration::from_secs(seconds))
    };
    assert_eq!(tick(&mut model, "", 60), [], "nothing has changed");
    let [Effect::KeepSession(kept)] = &tick(&mut model, "jj", 61)[..] else { panic!() };
    assert!(kept.contains("samsung"), "{kept}");
    assert_eq!(tick(&mut model, "k", 63), [], "two seconds later");
    assert!(matches!(&tick(&mut model, "", 64)[..], [Effect::KeepSession(_)]));
    assert_eq!(tick(&mut model, "j", 65), []);
    assert_eq!(tick(&mut model, "k", 70), [], "it is as it was kept");
    let mut of_nobody = demo::model(demo::well(), 110, 30);
    assert_eq!(tick(&mut of_nobody, "jj", 60), [], "a screen that keeps none");
    assert_eq!(session_left(&of_nobody), None);
}

#[test]
fn what_is_no_session_changes_nothing_and_is_told() {
    let (_, left) = left_after(demo::fleet(), runs(), "2j");
    for wrong in [
        String::new(),
        "{\"form\":1}".to_owned(),
        left.replace("\"form\":1", "\"form\":0"),
        left.replace("\"caches\"", "\"kitchen\""),
        left[..left.len() / 2].to_owned(),
    ] {
        let mut model = demo::model_of(demo::fleet(), [], 110, 30);
        keep_session(&mut model, Some(&wrong), now()).unwrap_err();
        assert_eq!((model.screen, model.caches.selected), (Screen::Fleet, 0), "{wrong}");
        assert!(session_left(&model).is_some(), "it is kept from now on");
    }
}

#[test]
fn rows_are_found_by_their_names_in_a_hosts_file_that_has_changed() {
    let (_, left) = left_after(demo::fleet(), demo::well(), "jj\u{1b}2j");
    let mut fleet = demo::fleet();
    fleet.hosts.remove(0);
    fleet.tiers.reverse();
    let after = opened(fleet, demo::well(), Some(&left));
    assert_eq!(after.selected().unwrap().0.name, "samsung");
    assert_eq!(after.selected_tier().unwrap().0.name, "nixos.org");
    let mut fleet = demo::fleet();
    fleet.hosts.truncate(2);
    let after = opened(fleet, demo::well(), Some(&left.replace("caches", "fleet")));
    assert_eq!(after.selected().unwrap().0.name, "p620", "the host is gone");
}

#[test]
fn tiers_sorted_by_a_host_stay_sorted_by_that_host_or_by_nothing() {
    use crate::dash::TierSort;
    let (mut model, _) = left_after(demo::fleet(), demo::well(), "2");
    model.caches.sorting.choose(TierSort::Host(2));
    let left = session_left(&model).unwrap();
    let mut fleet = demo::fleet();
    fleet.hosts.remove(0);
    let by = |fleet: Fleet| opened(fleet, demo::well(), Some(&left)).caches.sorting.by();
    assert_eq!(by(fleet.clone()), TierSort::Host(1));
    fleet.hosts.remove(1);
    assert_eq!(by(fleet), TierSort::File);
}

#[test]
fn a_run_that_was_looked_at_is_shown_again_and_the_run_of_that_time_gives_way_to_a_newer_one() {
    let ended = || {
        let mut events = runs();
        events.retain(|event| !matches!(event, Event::Run(event) if event.run == id("41")));
        events
    };
    let (_, old) = left_after(demo::fleet(), ended(), "5jj\n");
    let (_, newest) = left_after(demo::fleet(), ended(), "3");
    let mut more = ended();
    let began = |seconds| {
        let began = RunWhat::begin(vec!["p510".to_owned()], "switch via-cache".to_owned());
        run_event("42", seconds, began)
    };
    more.push(began(30));
    let shown_run = |model: &Model| model.shown_run().map(|run| run.id.clone());
    assert_eq!(shown_run(&opened(demo::fleet(), more.clone(), Some(&old))), Some(id("38")));
    let mut model = opened(demo::fleet(), more, Some(&newest));
    assert_eq!(shown_run(&model), Some(id("42")));
    assert_eq!(model.overlay(), None, "no question opens by itself");
    press(&mut model, "5jjj3");
    assert_eq!(shown_run(&model), Some(id("42")));
}

#[test]
fn nothing_that_was_measured_is_kept_and_no_mark() {
    let (_, plain) = left_after(demo::fleet(), Vec::new(), "");
    let (_, marked) = left_after(demo::fleet(), demo::troubled(), "A");
    assert_eq!(marked, plain);
}
