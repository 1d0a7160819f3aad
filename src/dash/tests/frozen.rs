//! A screen that stands while measuring goes on.

use super::keys::{fold, press};
use super::screens::{draw, look, snap, text};
use crate::dash::demo::{self, model, now};
use crate::dash::{Model, Msg, update, view};
use crate::fleet::Fleet;
use jiff::SignedDuration;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

fn shown_at(model: &Model, seconds: i64) -> String {
    let later = now() + SignedDuration::from_secs(seconds);
    let mut terminal = Terminal::new(TestBackend::new(model.size.0, model.size.1)).unwrap();
    terminal.draw(|frame| view(model, &look(false), frame, later)).unwrap();
    text(terminal.backend().buffer())
}

#[test]
fn a_frozen_screen() {
    snap("frozen", |columns, rows| {
        let mut model = model(demo::troubled(), columns, rows);
        press(&mut model, "Z");
        model
    });
}

#[test]
fn the_screen_stands_with_its_ages_while_measuring_goes_on() {
    let mut model = model([], 110, 30);
    press(&mut model, "Z");
    let frozen = text(&draw(&model, &look(false)));
    model.take_dirty();
    fold(&mut model, demo::troubled());
    update(&mut model, Msg::Tick, now() + SignedDuration::from_secs(90));
    assert!(!model.take_dirty(), "nothing is drawn");
    assert_eq!(shown_at(&model, 90), frozen);
    press(&mut model, "jx");
    assert_eq!(shown_at(&model, 90), frozen, "other keys do nothing");
    press(&mut model, "Z");
    assert!(model.take_dirty());
    let live = shown_at(&model, 90);
    assert!(live.contains("samsung") && live != frozen && !live.contains("frozen since"), "{live}");
}

#[test]
fn a_frozen_screen_can_be_left_by_esc_and_by_quitting() {
    let mut model = model(demo::well(), 80, 24);
    press(&mut model, "Z\u{1b}");
    assert!(model.still.is_none());
    let effects = press(&mut model, "Zq");
    assert!(matches!(effects.as_slice(), [crate::dash::Effect::Quit { .. }]), "{effects:?}");
}

#[test]
fn what_is_said_of_the_whole_screen_stands_behind_the_flake_and_outlives_it() {
    let fleet = Fleet { read_only: true, ..demo::fleet() };
    for columns in 60..=130 {
        let mut model = demo::model_of(fleet.clone(), demo::well(), columns, 24);
        let path = "/home/somebody/long/way/down/to/practice/flake";
        (model.world.flake, model.world.revision) =
            (Some(path.to_owned()), Some("3c1ff98".to_owned()));
        press(&mut model, "Z");
        let shown = text(&draw(&model, &look(false)));
        let title = shown.lines().next().unwrap();
        let notices = "   read-only   frozen since 12:04: Z goes on";
        assert!(title.contains(notices), "{columns} columns: {title}");
        let behind = &title[title.find(notices).unwrap() + notices.len()..];
        assert!(matches!(behind.trim(), "" | "12:04"), "{columns} columns: {title}");
        if columns >= 90 {
            assert!(
                title.contains("/flake 3c1ff98 clean   read-only"),
                "{columns} columns: {title}"
            );
        }
    }
}
