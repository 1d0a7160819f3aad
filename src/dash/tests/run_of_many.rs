//! A run of more hosts than the screen has rows for what each of them does.

use crate::dash::Model;
use crate::dash::demo::{ago_s, model, now, phase, result, run_event};
use crate::dash::tests::keys::{fold, press};
use crate::dash::tests::screens::{draw, look, text};
use crate::fleet::{
    Event, Outcome, Phase, PhaseState, RolloutNews, RunOrder, RunWhat, Wait, WaveState,
};
use jiff::SignedDuration;
use std::collections::BTreeMap;

/// The hosts of the run.
const HOSTS: usize = 12;

fn host(number: usize) -> String {
    format!("rack-{number}")
}

/// Returns a run in which every host waits for this.
fn all_wait(wait: &Wait) -> Vec<Event> {
    let hosts: Vec<String> = (1..=HOSTS).map(host).collect();
    let waiting = |host: &String| RunWhat::waiting(host, Some(wait.clone()), now());
    let waits = hosts.iter().map(|host| run_event("41", 30, waiting(host)));
    let begin = run_event("41", 40, RunWhat::begin(hosts.clone(), "switch direct".to_owned()));
    std::iter::once(begin).chain(waits).collect()
}

/// Returns what the screen shows as one line.
fn said(model: &Model) -> String {
    let shown = text(&draw(model, &look(false)));
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_selected_host_says_what_it_waits_for_at_every_size() {
    let next = now() + SignedDuration::from_secs(20);
    let offline = Wait::Offline { since: ago_s(70), every_s: Some(30) };
    let way = Wait::Way { why: "no cache answers".to_owned(), until: Some(next) };
    for wait in [offline, way] {
        let sentence = format!("waiting for {}", wait.sentence(now()));
        for (columns, rows) in [(40, 10), (80, 24), (110, 30), (200, 50)] {
            for keys in ["3", "3G", "3z"] {
                let mut model = model(all_wait(&wait), columns, rows);
                press(&mut model, keys);
                assert!(said(&model).contains(&sentence), "{columns} {keys}: {}", said(&model));
            }
        }
    }
}

#[test]
fn the_question_whether_to_stop_a_run_says_what_becomes_of_all_its_hosts_at_every_size() {
    let mut events = all_wait(&Wait::Place { places: 2, hosts: Vec::new() });
    let begun = |number, of| run_event("41", 20, phase(&host(number), of, PhaseState::Started));
    events.extend((1..=3).map(|number| begun(number, Phase::Activate)));
    events.extend((4..=5).map(|number| begun(number, Phase::Persist)));
    for (columns, rows) in [(40, 10), (80, 24), (110, 30), (200, 50)] {
        let mut model = model(events.clone(), columns, rows);
        press(&mut model, "3x");
        let shown = said(&model);
        // A border may stand between words.
        let shown = shown.replace(" │ │ ", " ");
        for becomes in [
            "3 hosts go back to what they ran",
            "2 hosts keep their new systems",
            "7 hosts stay as they are",
        ] {
            assert!(shown.contains(becomes), "{columns}: {shown}");
        }
        assert!(shown.contains("Yes, stop it"), "{shown}");
        assert_eq!(shown.contains("rack-6, rack-7"), columns > 40, "{shown}");
    }
}

#[test]
fn a_host_on_its_way_back_is_not_said_to_keep_its_system_when_the_run_is_stopped() {
    let goal = crate::fleet::Goal::Rollback;
    let again = RolloutNews::Again {
        host: host(1),
        goal,
        goes_back: true,
        attempt: 2,
        reason: "why".to_owned(),
    };
    let mut events = all_wait(&Wait::Place { places: 2, hosts: Vec::new() });
    events.push(run_event("41", 20, RunWhat::Rollout(again)));
    events.push(run_event("41", 10, phase(&host(1), Phase::Persist, PhaseState::Started)));
    let mut model = model(events, 80, 24);
    press(&mut model, "3x");
    assert!(said(&model).contains("rack-1 goes back to what it ran"), "{}", said(&model));
}

/// Returns what happened so many seconds ago to how the run moves over its hosts.
fn news(seconds: i64, news: RolloutNews) -> Event {
    run_event("41", seconds, RunWhat::Rollout(news))
}

#[test]
fn what_was_said_is_news_for_a_moment_and_how_the_wave_stands_is_told_again() {
    let state = WaveState::Began;
    let wave = RolloutNews::Wave { wave: 1, of: 2, state, reason: None, until: None };
    let shown = |seconds| {
        let order = RolloutNews::Order { order: RunOrder::Resume, refused: None };
        let mut events = all_wait(&Wait::Place { places: 2, hosts: Vec::new() });
        events.push(news(100, wave.clone()));
        events.push(news(seconds, order));
        events.push(news(seconds, RolloutNews::Paused { paused: false }));
        let mut model = model(events, 80, 24);
        press(&mut model, "3");
        said(&model)
    };
    assert!(shown(5).contains("the run goes on"), "{}", shown(5));
    assert!(!shown(15).contains("the run goes on"), "{}", shown(15));
    assert!(shown(15).contains("wave 1 of 2 begins"), "{}", shown(15));
}

#[test]
fn a_paused_run_that_is_stopped_says_that_it_stops() {
    let mut events = all_wait(&Wait::Paused);
    events.push(news(9, RolloutNews::Paused { paused: true }));
    let mut model = model(events, 80, 24);
    press(&mut model, "3");
    assert!(said(&model).contains("paused: no host begins"), "{}", said(&model));
    // Somebody stops it elsewhere.
    fold(&mut model, [news(3, RolloutNews::Cancelled { nothing_activates: false })]);
    let shown = said(&model);
    assert!(shown.contains("▲ the operator stopped the run"), "{shown}");
    assert!(!shown.contains("lets the run go on"), "{shown}");
    let stopping = model.shown_run().map(|run| (run.stopping, run.paused));
    assert_eq!(stopping, Some((true, false)));
}

#[test]
fn a_run_in_which_several_went_wrong_says_too_where_its_time_went() {
    let mut events = all_wait(&Wait::Place { places: 2, hosts: Vec::new() });
    for number in 1..=HOSTS {
        let outcome = if number <= 2 { Outcome::Failed } else { Outcome::Switched };
        let error = (number <= 2).then_some("the disk is full");
        events.push(run_event("41", 9, result(&host(number), outcome, error)));
    }
    let finding = crate::fleet::Finding::new(
        crate::fleet::Subject::host(&host(1)),
        crate::fleet::Code::FetchFailed,
        "the disk is full",
        "",
    );
    let outcomes = BTreeMap::from([(Outcome::Failed, 2), (Outcome::Switched, 10)]);
    let end = RunWhat::Summary { outcomes, duration_ms: 9_000, findings: vec![finding] };
    events.push(run_event("41", 8, end));
    for ((columns, rows), sums) in [((110, 30), true), ((40, 10), false)] {
        let mut model = model(events.clone(), columns, rows);
        press(&mut model, "3");
        let shown = said(&model);
        assert!(shown.contains("rack-1 went wrong first [fetch-failed]"), "{shown}");
        assert_eq!(shown.contains("which worked longest"), sums, "{shown}");
    }
}

#[test]
fn the_time_of_a_host_that_ended_is_never_cut() {
    let mut events = all_wait(&Wait::Place { places: 2, hosts: Vec::new() });
    let RunWhat::Result { host, mut result } = result(&host(1), Outcome::Interrupted, None) else {
        unreachable!("it is one");
    };
    result.duration_ms = 104_000;
    events.push(run_event("41", 8, RunWhat::Result { host, result }));
    let mut model = model(events, 80, 24);
    press(&mut model, "3");
    assert!(said(&model).contains("interrupted in 1 min 44 s "), "{}", said(&model));
}
