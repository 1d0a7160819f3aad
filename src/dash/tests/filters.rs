//! A filter in every list.

use crate::dash::demo::{self, many, model, now, of_many};
use crate::dash::tests::keys::press;
use crate::dash::tests::screens::{draw, look, snap, text};
use crate::dash::{Context, Effect, Model, Msg, Screen, update};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

fn large(keys: &str) -> Model {
    let mut model = demo::model_of(many(), of_many(), 110, 30);
    press(&mut model, keys);
    model
}

/// Returns a run of three hosts, of which two fetch.
fn fetching(columns: u16, rows: u16) -> Model {
    let mut events = demo::troubled();
    events.extend(demo::run_until_plan());
    events.extend(demo::run_in_fetch());
    model(events, columns, rows)
}

fn shown(model: &Model) -> String {
    text(&draw(model, &look(false)))
}

#[test]
fn hosts_are_found_by_name_tag_state_and_the_code_of_a_finding() {
    for (keys, count) in [
        ("/offline\n", 6),
        ("/disk-low\n", 5),
        ("/@rack01\n", 10),
        ("/!@rack01\n", 140),
        ("/@rack03 offline\n", 1),
        ("/rack03 !offline\n", 9),
    ] {
        let model = large(keys);
        assert_eq!(model.visible_hosts().len(), count, "{keys}");
        assert!(shown(&model).contains(&format!(" {count} of 150 hosts match")), "{keys}");
    }
}

#[test]
fn tiers_are_found_by_name_and_state() {
    let down = large("2/down\n");
    assert_eq!(down.visible_tiers(), [4]);
    assert_eq!(down.selected_tier().map(|(tier, _)| tier.name.as_str()), Some("cache-05"));
    let text = shown(&down);
    assert!(text.contains("1 of 12 tiers matches “/down”; esc shows all"), "{text}");
    assert!(text.contains(" › 5  cache-05"), "it keeps its place in the order: {text}");
    assert!(!text.contains("cache-06"), "{text}");
}

#[test]
fn hosts_of_a_run_are_found_by_phase_and_tag_and_keys_reach_only_those() {
    let mut run = fetching(110, 30);
    press(&mut run, "3/!@server !@desktop !razer\n");
    let names = |model: &Model| {
        let hosts = &model.shown_run().unwrap().hosts;
        let names = model.visible_host_runs().into_iter().map(|at| hosts[at].host.clone());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&run), ["samsung"]);
    assert_eq!(run.shown_host_run().unwrap().host, "samsung");
    press(&mut run, "kj\t");
    assert_eq!(run.shown_host_run().unwrap().host, "samsung");
    press(&mut run, "\u{1b}");
    assert_eq!((run.screen, names(&run).len()), (Screen::Deploy, 4), "the view stays");
}

#[test]
fn runs_are_found_by_what_they_were_and_by_their_hosts() {
    for (keys, found) in [("5/razer", true), ("5/nobody", false), ("5/!razer", false)] {
        let mut model = fetching(110, 30);
        press(&mut model, keys);
        assert_eq!(!model.visible_runs().is_empty(), found, "{keys}");
    }
}

#[test]
fn nothing_is_done_to_what_the_filter_hides() {
    let mut fleet = large("/nobody\n");
    assert_eq!(press(&mut fleet, "d\n"), []);
    assert!(fleet.overlay().is_none() && fleet.selected().is_none());
    let mut tiers = large("2/nobody\n");
    assert_eq!(press(&mut tiers, "V\n"), []);
    assert!(!tiers.zoom);
    let mut runs = fetching(110, 30);
    assert_eq!(press(&mut runs, "5/nobody\n\n"), []);
    assert_eq!(runs.screen, Screen::History);
}

#[test]
fn a_marked_host_that_the_filter_hides_takes_part_in_nothing_and_is_told() {
    let mut model = large(" /rack05-9\n");
    let hidden = model.fleet.marked.first().unwrap().clone();
    assert_ne!(hidden, "rack05-9");
    assert_eq!(model.chosen(), ["rack05-9"], "the selected one");
    assert!(shown(&model).contains("; 1 marked host is hidden and left out"), "{}", shown(&model));
    press(&mut model, " ");
    assert_eq!(model.chosen(), ["rack05-9"], "the marked one that is shown");
    model.clear_filter();
    assert_eq!(model.chosen().len(), 2);
    // The filter of a run has nothing to do with marks.
    let mut run = fetching(110, 30);
    press(&mut run, "1g /samsung\n3/samsung\n");
    assert_eq!(run.hidden_marks(), 1);
    assert!(shown(&run).contains("match") && !shown(&run).contains("left out"), "{}", shown(&run));
}

#[test]
fn a_host_that_leaves_the_filter_is_selected_no_more_and_no_other_is_for_it() {
    let mut model = large("/offline\n");
    assert_eq!(model.selected().unwrap().0.name, "rack03-4");
    let at = model.fleet.selected;
    model.world.hosts[at] = model.world.hosts[0].clone();
    assert!(model.selected().is_none());
    assert_eq!(press(&mut model, "b"), []);
    press(&mut model, "j");
    assert_eq!(model.selected().unwrap().0.name, "rack05-9");
}

#[test]
fn each_view_keeps_its_own_filter() {
    let mut model = large("/rack02\n2/cache-1\n1");
    assert_eq!(model.visible_hosts().len(), 10);
    assert_eq!(model.visible_tiers().len(), 3);
    assert_eq!(press(&mut model, "r"), [Effect::Probe { hosts: vec!["rack02-0".to_owned()] }]);
    press(&mut model, "\u{1b}");
    assert_eq!((model.visible_hosts().len(), model.visible_tiers().len()), (150, 3));
}

#[test]
fn a_filter_is_typed_anew_and_the_last_one_is_a_key_away() {
    let key = |model: &mut Model, code| {
        update(model, Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)), now());
    };
    let mut model = large("/rack02\n/rack03");
    assert_eq!(model.visible_hosts().len(), 10);
    press(&mut model, "\u{1b}");
    assert!(shown(&model).contains("10 of 150 hosts match “/rack02”"), "{}", shown(&model));
    press(&mut model, "/");
    assert_eq!(model.visible_hosts().len(), 150);
    assert!(shown(&model).contains("↑ the last one"), "{}", shown(&model));
    key(&mut model, KeyCode::Up);
    press(&mut model, "-7\n");
    assert_eq!(model.visible_hosts().len(), 1);
    press(&mut model, "/\n");
    assert_eq!(model.visible_hosts().len(), 150, "nothing was typed");
}

#[test]
fn a_view_without_rows_asks_for_no_filter() {
    let mut none = model([], 80, 24);
    press(&mut none, "5/");
    assert_eq!(Context::of(&none), Context::View(Screen::History));
}

#[test]
fn filtered_lists_at_every_size() {
    let at = |columns, rows, keys: &str| {
        let mut model = demo::model_of(many(), of_many(), columns, rows);
        press(&mut model, keys);
        model
    };
    snap("filter-fleet", |columns, rows| at(columns, rows, "/offline !rack03\n"));
    snap("filter-typed", |columns, rows| at(columns, rows, "/disk"));
    snap("filter-caches", |columns, rows| at(columns, rows, "2/cache-1\n"));
    snap("filter-deploy", |columns, rows| {
        let mut model = fetching(columns, rows);
        press(&mut model, "3/samsung\n");
        model
    });
}
