//! Borders between a list and what stands below it, moved by keys and with the mouse.

use crate::dash::demo::{self, model, now};
use crate::dash::split::BorderRows;
use crate::dash::tests::keys::press;
use crate::dash::tests::screens::{draw, look, snap, text};
use crate::dash::view::places;
use crate::dash::{Effect, Model, Msg, update};
use crate::fleet::Event;
use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use jiff::SignedDuration;

fn shown(model: &Model) -> String {
    text(&draw(model, &look(false)))
}

/// Returns the row in which the border of the view stands.
fn border(model: &Model) -> Option<(u16, BorderRows)> {
    places(model, now()).border()
}

fn mouse(model: &mut Model, kind: MouseEventKind, row: u16, after_ms: i64) -> Vec<Effect> {
    let event = MouseEvent { kind, column: 9, row, modifiers: KeyModifiers::NONE };
    update(model, Msg::Mouse(event), now() + SignedDuration::from_millis(after_ms))
}

fn drag(model: &mut Model, from: u16, to: u16) {
    mouse(model, MouseEventKind::Down(MouseButton::Left), from, 0);
    mouse(model, MouseEventKind::Drag(MouseButton::Left), to, 10);
    mouse(model, MouseEventKind::Up(MouseButton::Left), to, 20);
}

fn events() -> Vec<Event> {
    let mut events = demo::troubled();
    events.extend(demo::run_until_plan());
    events.extend(demo::run_in_fetch());
    events
}

/// Every view that has a border, with the title of what stands below it.
const VIEWS: [(&str, &str); 4] =
    [("1jj", " samsung ──"), ("2", " p620 ──"), ("3", "─ log ──"), ("5", " run #41")];

#[test]
fn the_border_of_every_view_is_dragged_to_where_the_pointer_is() {
    for size in [(200, 50), (110, 30), (80, 24)] {
        for (keys, title) in VIEWS {
            let mut model = model(events(), size.0, size.1);
            press(&mut model, keys);
            let (row, rows) = border(&model).unwrap_or_else(|| panic!("{keys}: no border"));
            let line = |model: &Model, row: u16| {
                shown(model).lines().nth(usize::from(row)).unwrap_or_default().to_owned()
            };
            assert!(line(&model, row).contains(title), "{keys} at {size:?}:\n{}", shown(&model));
            for to in [rows.top + 4, rows.top + 8, row, rows.top + rows.height - 6] {
                let from = border(&model).unwrap().0;
                drag(&mut model, from, to);
                assert!(line(&model, to).contains(title), "{keys} to {to}:\n{}", shown(&model));
            }
            mouse(&mut model, MouseEventKind::Drag(MouseButton::Left), rows.top + 4, 30);
            assert_ne!(border(&model).unwrap().0, rows.top + 4, "the button is not held");
        }
    }
}

#[test]
fn two_clicks_on_a_border_let_it_stand_where_it_fits() {
    let mut model = model(events(), 110, 30);
    let before = shown(&model);
    let (row, rows) = border(&model).unwrap();
    drag(&mut model, row, rows.top + 5);
    assert_ne!(shown(&model), before);
    for after in [1000, 1200] {
        let down = MouseEventKind::Down(MouseButton::Left);
        mouse(&mut model, down, rows.top + 5, after);
    }
    assert_eq!(shown(&model), before);
}

#[test]
fn keys_move_the_border_by_a_tenth_and_as_far_as_both_parts_can_be_read() {
    for (keys, _) in VIEWS {
        let mut model = model(events(), 110, 30);
        press(&mut model, keys);
        let (before, rows) = border(&model).unwrap();
        press(&mut model, "+");
        assert_eq!(border(&model).unwrap().0, before + rows.height / 10, "{keys}");
        press(&mut model, "-");
        assert_eq!(border(&model).unwrap().0, before, "{keys}");
        press(&mut model, &"+".repeat(30));
        let lowest = border(&model).unwrap().0;
        assert!(lowest < rows.top + rows.height - 3, "{keys}: {lowest} of {rows:?}");
        press(&mut model, "-");
        assert!(border(&model).unwrap().0 < lowest, "{keys}: presses at the end do not add up");
        press(&mut model, &"-".repeat(30));
        assert!(border(&model).unwrap().0 >= rows.top + 2, "{keys}");
    }
}

#[test]
fn each_view_has_a_border_of_its_own_and_what_has_all_rows_has_none() {
    let mut model = model(events(), 110, 30);
    press(&mut model, "+");
    let moved = border(&model).unwrap().0;
    press(&mut model, "2--");
    press(&mut model, "1");
    assert_eq!(border(&model).unwrap().0, moved);
    press(&mut model, "z");
    assert_eq!(border(&model), None);
    press(&mut model, "z?");
    drag(&mut model, moved, moved + 3);
    press(&mut model, "\u{1b}");
    assert_eq!(border(&model).unwrap().0, moved, "the help lay over it");
    let mut small = demo::model(events(), 40, 10);
    press(&mut small, "+");
    assert!(!small.fleet.split.is_moved());
    assert!(small.toast.unwrap().text.contains("no border to move"));
}

#[test]
fn the_hosts_of_a_run_have_the_whole_view_of_history_until_esc() {
    let mut model = model(events(), 80, 24);
    press(&mut model, "5z");
    assert!(!shown(&model).contains("HOW IT ENDED"), "{}", shown(&model));
    assert!(shown(&model).contains("run #41"));
    press(&mut model, "\u{1b}");
    assert!(shown(&model).contains("HOW IT ENDED"));
}

#[test]
fn borders_that_were_moved_at_every_size() {
    for (name, keys) in
        [("fleet", "jj+++"), ("caches", "2--"), ("deploy", "3+"), ("history", "5++")]
    {
        snap(&format!("border-{name}"), |columns, rows| {
            let mut model = model(events(), columns, rows);
            press(&mut model, keys);
            model.toast = None;
            model
        });
    }
}
