//! What happened: what keys do there, and how it looks.

use crate::dash::demo::{self, ago_s, model, now};
use crate::dash::tests::keys::press;
use crate::dash::tests::screens::{draw, look, snap, text};
use crate::dash::{Effect, Model, Msg, Overlay, PastPane, Screen, update};
use crate::fleet::{OverTimeOf, PastEvent, PastWhat, TroubleEnd};

/// Returns a screen after these keys, on which events are read as soon as they are asked for.
fn shown(keys: &str, (columns, rows): (u16, u16)) -> Model {
    let mut model = model(demo::troubled(), columns, rows);
    for event in demo::run_until_plan() {
        demo::happen(&mut model, event);
    }
    for key in keys.split_inclusive('E') {
        for effect in press(&mut model, key) {
            let Effect::ReadPast { of } = effect else { continue };
            let found = Ok(demo::past::of_the_fleet());
            update(&mut model, Msg::Past { of, found }, now());
        }
    }
    model
}

fn pane(model: &Model) -> &PastPane {
    let Some(Overlay::Past(pane)) = model.overlay() else { panic!("{:?}", model.overlay()) };
    pane
}

#[test]
fn events_of_the_fleet() {
    snap("events", |columns, rows| shown("Ej", (columns, rows)));
}

#[test]
fn events_are_those_of_the_fleet_or_of_whose_details_are_shown() {
    let asked = |keys: &str| press(&mut model(demo::troubled(), 80, 24), keys).pop();
    let read = |of| Some(Effect::ReadPast { of });
    assert_eq!(asked("E"), read(None));
    assert_eq!(asked("\nE"), read(Some(OverTimeOf::Host("p620".to_owned()))));
    assert_eq!(asked("2E"), read(None));
    assert_eq!(asked("2j\nE"), read(Some(OverTimeOf::Tier("nixos.org".to_owned()))));
}

#[test]
fn a_filter_reads_names_tags_codes_and_whether_it_goes_on() {
    for (filter, count) in
        [("offline", 2), ("@laptop", 3), ("!@laptop", 2), ("#40", 1), ("goes", 1), ("restart", 1)]
    {
        let mut model = shown("E", (80, 24));
        press(&mut model, &format!("/{filter}\n"));
        assert_eq!(model.rows().len(), count, "{filter}");
        assert!(text(&draw(&model, &look(false))).contains(&format!("“/{filter}”")));
        press(&mut model, "\u{1b}");
        assert_eq!(model.rows().len(), 5, "esc takes the filter away first");
        press(&mut model, "\u{1b}");
        assert!(model.overlay().is_none());
    }
}

#[test]
fn enter_goes_to_the_host_the_tier_or_the_run() {
    let mut model = shown("Ej\n", (80, 24));
    assert_eq!((model.screen, model.zoom), (Screen::Fleet, true));
    assert_eq!(model.selected().unwrap().0.name, "samsung");
    model = shown("/p510\nEG\n", (80, 24));
    assert_eq!(
        (model.screen, model.selected_tier().unwrap().0.name.as_str()),
        (Screen::Caches, "p620")
    );
    // A filter that hides the host goes.
    model = shown("/p510\nEj\n", (80, 24));
    assert_eq!(model.selected().unwrap().0.name, "samsung");
    model = shown("Ejj\n", (80, 24));
    assert!(model.overlay().is_some() && model.toast.is_some(), "run #40 is not here");
    let began_at = model.world.runs[0].began_at;
    let PastWhat::Run { title, hosts, .. } = demo::past::of_the_fleet().remove(2).what else {
        panic!("the third is a run")
    };
    let run = model.world.runs[0].id.clone();
    let what = PastWhat::Run { run, title, hosts, ended_at: None };
    let found = Ok(vec![PastEvent { at: began_at, what }]);
    update(&mut model, Msg::Past { of: None, found }, now());
    press(&mut model, "\n");
    assert_eq!((model.screen, model.overlay().is_none()), (Screen::Deploy, true));
}

#[test]
fn a_system_that_no_run_brought_is_told_found_and_leads_to_its_host() {
    let mut model = shown("E", (110, 30));
    let what = PastWhat::OtherSystem {
        host: "samsung".to_owned(),
        running: "/nix/store/b-nixos-system-samsung".to_owned(),
        generation: Some(79),
        version: Some("26.05.20261121".to_owned()),
        before: "/nix/store/a-nixos-system-samsung".to_owned(),
        seen_at: ago_s(70),
    };
    let mut found = demo::past::of_the_fleet();
    found.insert(0, PastEvent { at: ago_s(60), what });
    update(&mut model, Msg::Past { of: None, found: Ok(found) }, now());
    press(&mut model, "/other\n");
    let sentence = "other system, not deployed by nixdash here: generation 79, 26.05.20261121";
    assert!(text(&draw(&model, &look(false))).contains(sentence));
    press(&mut model, "\n");
    assert_eq!(model.selected().unwrap().0.name, "samsung");
    assert!(model.zoom && model.overlay().is_none());
}

#[test]
fn what_is_selected_stays_selected_when_something_happens() {
    let mut model = shown("Ejjj", (80, 24));
    assert_eq!(update(&mut model, Msg::Tick, ago_s(-4)), []);
    assert_eq!(update(&mut model, Msg::Tick, ago_s(-5)), [Effect::ReadPast { of: None }]);
    let mut found = demo::past::of_the_fleet();
    if let PastWhat::Trouble { end, .. } = &mut found[3].what {
        *end = TroubleEnd::GoesOn;
    }
    let newer = PastEvent { at: now(), what: PastWhat::Restart { host: "p620".to_owned() } };
    found.insert(0, newer);
    update(&mut model, Msg::Past { of: None, found: Ok(found) }, now());
    assert_eq!(pane(&model).selected, 4);
    update(&mut model, Msg::Past { of: None, found: Ok(Vec::new()) }, now());
    assert_eq!(pane(&model).selected, 0);
    assert!(text(&draw(&model, &look(false))).contains("Nothing happened in 90 days"));
}
