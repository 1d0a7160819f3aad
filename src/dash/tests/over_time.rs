//! Figures over time: what keys do there, and how they look.

use crate::dash::demo::{self, ago_s, model, now};
use crate::dash::tests::keys::press;
use crate::dash::tests::screens::{draw, look, snap, text};
use crate::dash::{Effect, Model, Msg, OverTimePane, Overlay, update};
use crate::fleet::{OverTime, OverTimeOf, TimeSpan};

/// Answers what the screen asks the history for.
fn answer(model: &mut Model, effects: Vec<Effect>) {
    for effect in effects {
        let Effect::ReadOverTime { of, span, parts } = effect else { continue };
        let found = match &of {
            OverTimeOf::Host(_) => demo::over_time::of_a_host(span, parts),
            OverTimeOf::Tier(_) => demo::over_time::of_a_tier(span, parts),
        };
        update(model, Msg::OverTime { of, span, found: Ok(found) }, now());
    }
}

/// Returns a screen that shows figures over time after these keys.
fn shown(keys: &str, (columns, rows): (u16, u16)) -> Model {
    let mut model = model(demo::troubled(), columns, rows);
    let effects = press(&mut model, keys);
    answer(&mut model, effects);
    model
}

fn pane(model: &Model) -> &OverTimePane {
    let Some(Overlay::OverTime(pane)) = model.overlay() else { panic!("{:?}", model.overlay()) };
    pane
}

#[test]
fn a_host_and_a_tier_over_time() {
    snap("over-time-host", |columns, rows| shown("jj\nI", (columns, rows)));
    snap("over-time-tier", |columns, rows| shown("2\nI", (columns, rows)));
    let plain = text(&draw(&shown("jj\nI", (80, 24)), &look(true)));
    assert!(plain.is_ascii() && plain.contains("0 +######"), "{plain}");
}

#[test]
fn what_could_not_be_read_and_what_is_being_read_is_said() {
    let mut model = model(demo::well(), 80, 24);
    press(&mut model, "I");
    assert!(text(&draw(&model, &look(false))).contains("Reading the history …"));
    let of = OverTimeOf::Host("p620".to_owned());
    let found = Err("could not read the history /x: it is locked".to_owned());
    update(&mut model, Msg::OverTime { of, span: TimeSpan::Day, found }, now());
    assert!(text(&draw(&model, &look(false))).contains("could not read the history /x"));
}

#[test]
fn plus_and_minus_choose_a_time_and_stop_at_both_ends() {
    let mut model = shown("I", (80, 24));
    let of = OverTimeOf::Host("p620".to_owned());
    let read = |span| Effect::ReadOverTime { of: of.clone(), span, parts: 142 };
    assert_eq!(press(&mut model, "--"), [read(TimeSpan::Week), read(TimeSpan::Month)]);
    assert!(pane(&model).found.is_some(), "what is shown stays until the other was read");
    press(&mut model, "----");
    assert_eq!(pane(&model).span, TimeSpan::Quarter);
    press(&mut model, "+++++++");
    assert_eq!(press(&mut model, "+"), []);
    assert_eq!(pane(&model).span, TimeSpan::TenMinutes);
    // An answer that comes too late is of another time.
    let found = OverTime { from: now(), until: now(), figures: Vec::new() };
    let late = Msg::OverTime { of: of.clone(), span: TimeSpan::Week, found: Ok(found) };
    update(&mut model, late, now());
    assert_eq!(pane(&model).figures().len(), 4);
}

#[test]
fn tab_goes_to_the_next_host_or_tier_and_esc_back_to_its_details() {
    let mut model = shown("\nI", (80, 24));
    let razer = OverTimeOf::Host("razer".to_owned());
    let parts = 142;
    let read = Effect::ReadOverTime { of: razer, span: TimeSpan::Day, parts };
    assert_eq!(press(&mut model, "\t"), [read]);
    assert_eq!(pane(&model).found, None, "what was shown is of another host");
    press(&mut model, "\u{1b}");
    assert!(model.overlay().is_none() && model.zoom);
    assert_eq!(model.selected().unwrap().0.name, "razer");
    let mut model = shown("2\nI\t", (80, 24));
    assert_eq!(pane(&model).of, OverTimeOf::Tier("nixos.org".to_owned()));
    press(&mut model, "I");
    assert!(model.overlay().is_none(), "the key that opened it closes it");
}

#[test]
fn what_has_no_room_is_scrolled_to() {
    let mut model = shown("I", (40, 10));
    let title = |model: &Model| text(&draw(model, &look(false))).lines().nth(1).unwrap().to_owned();
    assert!(title(&model).contains("figure 1 of 4"), "{}", title(&model));
    press(&mut model, "jjjjjj");
    assert!(title(&model).contains("figures 3–4 of 4"), "{}", title(&model));
    press(&mut model, "kg");
    assert!(title(&model).contains("figure 1 of 4"), "{}", title(&model));
    update(&mut model, Msg::Resize(200, 50), now());
    assert!(!title(&model).contains("of 4"));
}

#[test]
fn the_picture_goes_on_while_it_is_looked_at_and_is_read_anew_for_another_width() {
    let mut model = shown("I", (80, 24));
    assert_eq!(update(&mut model, Msg::Tick, ago_s(-1)), []);
    let again = update(&mut model, Msg::Tick, ago_s(-61));
    let of = OverTimeOf::Host("p620".to_owned());
    let read = |parts| Effect::ReadOverTime { of: of.clone(), span: TimeSpan::Day, parts };
    assert_eq!(again, [read(142)]);
    update(&mut model, Msg::Resize(120, 35), now());
    draw(&model, &look(false));
    assert_eq!(update(&mut model, Msg::Tick, ago_s(-62)), [read(222)]);
}
