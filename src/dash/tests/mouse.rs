//! What the mouse does, at the places that were drawn.

use super::keys::{id, press};
use super::screens::{draw, look, text};
use crate::dash::demo::{self, many, model, now, of_many};
use crate::dash::view::places;
use crate::dash::widgets::places::ClickTarget;
use crate::dash::{Effect, HostSort, Model, Msg, Overlay, PanePlace, Screen, Wish, update};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use jiff::SignedDuration;
use ratatui::layout::Rect;

fn shown(model: &Model) -> String {
    text(&draw(model, &look(false)))
}

/// Returns the column and the row where a text stands on the screen, in its last row that has it.
fn place_of(model: &Model, wanted: &str) -> (u16, u16) {
    let shown = shown(model);
    let found = shown.lines().enumerate().filter_map(|(row, line)| {
        let at = line.find(wanted)?;
        Some((line[..at].chars().count() as u16, row as u16))
    });
    found.last().unwrap_or_else(|| unreachable!("no {wanted:?} on\n{shown}"))
}

fn mouse(model: &mut Model, kind: MouseEventKind, at: (u16, u16), after_ms: i64) -> Vec<Effect> {
    let event = MouseEvent { kind, column: at.0, row: at.1, modifiers: KeyModifiers::NONE };
    update(model, Msg::Mouse(event), now() + SignedDuration::from_millis(after_ms))
}

fn click_after(model: &mut Model, at: (u16, u16), after_ms: i64) -> Vec<Effect> {
    mouse(model, MouseEventKind::Down(MouseButton::Left), at, after_ms)
}

fn click(model: &mut Model, at: (u16, u16)) -> Vec<Effect> {
    click_after(model, at, 0)
}

fn wheel_down(model: &mut Model, at: (u16, u16)) {
    mouse(model, MouseEventKind::ScrollDown, at, 0);
}

fn row_of(model: &Model, wanted: usize) -> Rect {
    let is_it = |target| matches!(target, ClickTarget::Row { index, .. } if index == wanted);
    places(model, now()).of(is_it).unwrap_or_else(|| unreachable!("row {wanted} is not seen"))
}

fn selected(model: &Model) -> &str {
    model.selected().map_or("", |(host, _)| &host.name)
}

#[test]
fn a_click_selects_the_row_that_is_there_and_a_second_one_opens_it() {
    for size in [(200, 50), (110, 30), (80, 24), (40, 10)] {
        let mut model = model(demo::well(), size.0, size.1);
        let row = row_of(&model, 2);
        let name = model.world.fleet.hosts[2].name.clone();
        let line = shown(&model).lines().nth(usize::from(row.y)).unwrap_or_default().to_owned();
        assert!(line.contains(&name), "{name} is not in {line:?}");
        let at = (row.x + 5, row.y);
        click(&mut model, at);
        assert_eq!(selected(&model), name);
        click_after(&mut model, at, 401);
        assert!(!model.zoom, "two clicks that are no double click");
        click_after(&mut model, at, 800);
        assert!(model.zoom, "at {size:?}");
    }
}

#[test]
fn two_clicks_on_two_rows_open_neither() {
    let mut model = model(demo::well(), 110, 30);
    for index in [1, 2] {
        let row = row_of(&model, index);
        click(&mut model, (row.x + 5, row.y));
    }
    assert!(!model.zoom && selected(&model) == model.world.fleet.hosts[2].name);
}

#[test]
fn no_row_moves_below_a_click_in_a_list_that_is_scrolled() {
    let mut model = demo::model_of(many(), of_many(), 110, 30);
    press(&mut model, "G");
    let names = |model: &Model| -> Vec<String> {
        let shown = shown(model);
        shown.lines().skip(5).take(8).map(|line| line.chars().skip(3).take(10).collect()).collect()
    };
    let before = names(&model);
    let row = row_of(&model, 147);
    click(&mut model, (10, row.y));
    assert_eq!(selected(&model), model.world.fleet.hosts[147].name);
    assert_eq!(names(&model), before);
    // Keys scroll it as always.
    press(&mut model, "gg");
    assert_eq!(row_of(&model, 0).y, 5);
}

#[test]
fn a_click_on_a_tab_shows_its_view() {
    let mut model = model(demo::well(), 80, 24);
    for screen in [Screen::History, Screen::Caches, Screen::Logs, Screen::Deploy, Screen::Fleet] {
        let (column, _) = place_of(&model, screen.title());
        click(&mut model, (column, 2));
        assert_eq!(model.screen, screen);
    }
}

#[test]
fn a_click_on_the_head_of_a_column_sorts_by_it_and_one_more_turns_it_around() {
    let mut model = model(demo::well(), 110, 30);
    let (column, row) = place_of(&model, "/NIX FREE");
    click(&mut model, (column + 3, row));
    assert_eq!(model.fleet.sorting.by(), HostSort::Free);
    assert!(shown(&model).contains("▴/NIX FREE"));
    click(&mut model, (column + 3, row));
    assert!(shown(&model).contains("▾/NIX FREE"));
}

#[test]
fn a_click_on_a_button_presses_it_and_what_is_below_the_box_hears_nothing() {
    let ask = || {
        let mut events = demo::run_until_plan();
        events.extend(demo::run_in_fetch());
        let mut model = model(events, 110, 30);
        press(&mut model, "3x");
        assert!(matches!(model.overlay(), Some(Overlay::Cancel { .. })));
        model
    };
    let mut model = ask();
    let tab = place_of(&model, "2 Caches");
    assert_eq!(click(&mut model, tab), []);
    assert_eq!(model.screen, Screen::Deploy);
    assert!(model.overlay().is_some());
    let yes = place_of(&model, "Yes, stop it");
    assert_eq!(click(&mut model, yes), [Effect::CancelRun { run: id("41") }]);
    let mut model = ask();
    let no = place_of(&model, "[ No ]");
    assert_eq!(click(&mut model, no), []);
    assert!(model.overlay().is_none());
    let beside = (place_of(&ask(), "Yes, stop it").0 + 20, no.1);
    let mut model = ask();
    assert_eq!(click(&mut model, beside), []);
    assert!(model.overlay().is_some(), "a click beside the buttons answers nothing");
}

#[test]
fn a_plan_is_answered_by_its_buttons() {
    let mut model = model(demo::well(), 110, 30);
    press(&mut model, "3");
    for event in demo::run_until_plan() {
        demo::happen(&mut model, event);
    }
    let yes = place_of(&model, "Deploy to ");
    let effects = click(&mut model, yes);
    assert_eq!(effects, [Effect::Answer { run: id("41"), yes: true }]);
}

#[test]
fn a_click_on_a_key_in_the_footer_gives_its_command_at_every_size() {
    for (columns, rows) in [(200, 50), (110, 30), (80, 24), (40, 10)] {
        for keys in ["1", "1\n", "2", "3", "4", "5", "1?", "1:", "1d", "1/"] {
            let mut model = model(demo::well(), columns, rows);
            press(&mut model, keys);
            let footer = shown(&model).lines().last().unwrap_or_default().to_owned();
            let all = places(&model, now());
            let mut known = 0;
            for column in 0..columns {
                let Some(ClickTarget::Command(command)) = all.at(column, rows - 1) else {
                    continue;
                };
                let Some(place) = all.of(|target| target == ClickTarget::Command(command)) else {
                    continue;
                };
                let text: String = footer
                    .chars()
                    .skip(usize::from(place.x))
                    .take(usize::from(place.width))
                    .collect();
                let is_named = crate::dash::COMMANDS.iter().any(|entry| {
                    let key = entry.keys.first().map(ToString::to_string).unwrap_or_default();
                    entry.command == command && text.starts_with(&format!("{key} "))
                });
                assert!(place.y != rows - 1 || is_named, "{command:?} at {text:?} in {footer:?}");
                known += 1;
            }
            assert!(known > 0, "no key of {footer:?} can be clicked");
        }
    }
    let mut model = model(demo::well(), 110, 30);
    let deploy = place_of(&model, "d deploy");
    click(&mut model, deploy);
    assert!(matches!(model.overlay(), Some(Overlay::Start(_))));
    let action = place_of(&model, "action");
    let before = shown(&model);
    click(&mut model, action);
    assert_ne!(shown(&model), before, "the next action is chosen");
}

#[test]
fn the_wheel_scrolls_what_is_below_it_and_nothing_else() {
    let mut model = model(demo::well(), 110, 30);
    let row = row_of(&model, 1);
    wheel_down(&mut model, (10, row.y));
    assert_eq!(selected(&model), model.world.fleet.hosts[1].name);
    for place in [(10, 0), (10, 2), (10, 29), (10, 20)] {
        wheel_down(&mut model, place);
        assert_eq!(selected(&model), model.world.fleet.hosts[1].name, "the wheel at {place:?}");
    }
    press(&mut model, "?");
    wheel_down(&mut model, (50, 15));
    assert_eq!(model.overlay(), Some(&Overlay::Help { scroll: 3 }));
    press(&mut model, "q:");
    wheel_down(&mut model, (50, 15));
    assert!(matches!(model.overlay(), Some(Overlay::Palette { selected: 1, .. })));
}

#[test]
fn in_the_palette_two_clicks_choose_a_command() {
    let mut model = model(demo::well(), 110, 30);
    press(&mut model, ":hist");
    let at = place_of(&model, "history ");
    click(&mut model, at);
    assert!(model.overlay().is_some());
    click_after(&mut model, at, 200);
    assert_eq!((model.overlay(), model.screen), (None, Screen::History));
}

#[test]
fn a_frozen_screen_hears_of_its_footer_alone() {
    let mut model = model(demo::well(), 110, 30);
    press(&mut model, "Z");
    let before = shown(&model);
    let row = row_of(&model, 2);
    click(&mut model, (10, row.y));
    wheel_down(&mut model, (10, row.y));
    let tab = place_of(&model, "2 Caches");
    click(&mut model, tab);
    assert_eq!((shown(&model), model.fleet.selected), (before, 0));
    let go_on = place_of(&model, "go on");
    click(&mut model, go_on);
    assert!(model.still.is_none());
}

#[test]
fn a_key_leaves_the_mouse_to_the_terminal_and_takes_it_back() {
    let mut model = model(demo::well(), 80, 24);
    for wanted in [false, true] {
        let key = KeyEvent::new(KeyCode::Char('t'), KeyModifiers::CONTROL);
        let effects = update(&mut model, Msg::Key(key), now());
        assert_eq!(effects, [Effect::Terminal(Wish::Mouse(wanted))]);
        let said = model.toast.as_ref().map_or("", |toast| &toast.text);
        assert!(said.contains("mouse") && said.contains("ctrl-t"), "{said}");
        assert!(shown(&model).contains(said), "it is cut at 80 columns");
    }
}

#[test]
fn in_the_log_a_click_moves_the_cursor_and_the_wheel_the_lines() {
    let (mut model, logs) = super::logs::lines(100);
    let list = |model: &Model| {
        places(model, now())
            .of(|target| matches!(target, ClickTarget::LogRow { .. }))
            .unwrap_or_default()
    };
    let first = list(&model);
    assert!(!first.is_empty(), "{}", shown(&model));
    let before = shown(&model);
    mouse(&mut model, MouseEventKind::ScrollUp, (20, first.y), 0);
    logs.settle(&mut model);
    let PanePlace::At { top, cursor } = model.log.place else {
        unreachable!("it follows still: {:?}", model.log.place)
    };
    assert!(cursor >= top);
    let line = |text: &str, row: u16| text.lines().nth(usize::from(row)).map(str::to_owned);
    let moved = shown(&model);
    assert_eq!(line(&moved, first.y + 3), line(&before, first.y), "it moved by three lines");
    click(&mut model, (20, first.y + 2));
    assert_eq!(model.log.place, PanePlace::At { top, cursor: top + 2 });
    for _ in 0..2 {
        wheel_down(&mut model, (20, first.y));
        logs.settle(&mut model);
    }
    assert_eq!(model.log.place, PanePlace::Follow, "below the last line it follows again");
}
