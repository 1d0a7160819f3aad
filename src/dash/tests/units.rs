//! The units of a host and the journal of one.

use super::keys::press;
use super::screens::{draw, look, snap, text};
use crate::dash::demo::{self, ago_s, model, now};
use crate::dash::{Effect, JournalNews, Model, Msg, Overlay, update};
use crate::fleet::{HostUnit, HostUnits, JournalWanted, UnitState};

fn unit(name: &str, state: UnitState, sub_state: &str, description: &str) -> HostUnit {
    let failed = state == UnitState::Failed;
    HostUnit {
        name: name.to_owned(),
        description: description.to_owned(),
        state,
        sub_state: sub_state.to_owned(),
        result: failed.then(|| "exit-code".to_owned()),
        exit_code: failed.then_some(1),
        since: Some(ago_s(if failed { 14 * 60 } else { 2 * 86_400 })),
        restarts: Some(0),
        memory: (!failed).then_some(5_242_880),
    }
}

fn units() -> HostUnits {
    let all = vec![
        unit("sshd.service", UnitState::Active, "running", "SSH Daemon"),
        unit("bluetooth.service", UnitState::Failed, "failed", "Bluetooth service"),
        unit("nix-daemon.service", UnitState::Active, "running", "Nix Daemon"),
        unit("fwupd.service", UnitState::Activating, "auto-restart", "Firmware update daemon"),
    ];
    HostUnits::new(all, ago_s(3))
}

/// A model that shows the units of samsung.
fn with_units(columns: u16, rows: u16) -> Model {
    let mut model = model(demo::troubled(), columns, rows);
    press(&mut model, "jju");
    let found = Ok(units());
    update(&mut model, Msg::Units { host: "samsung".to_owned(), found }, now());
    model
}

fn wanted(follow: bool) -> JournalWanted {
    let (host, unit) = ("samsung".to_owned(), "bluetooth.service".to_owned());
    JournalWanted { host, unit, lines: 500, follow }
}

fn come(model: &mut Model, follow: bool, news: JournalNews) {
    update(model, Msg::Journal { of: wanted(follow), news }, now());
}

fn lines(from: usize, count: usize) -> JournalNews {
    let line =
        |n| format!("2026-11-21T12:00:{:02}+0000 bluetoothd[41]: line {n} of the journal", n % 60);
    JournalNews::Lines((from..from + count).map(line).collect())
}

fn with_journal(columns: u16, rows: u16) -> Model {
    let mut model = with_units(columns, rows);
    press(&mut model, "\n");
    come(&mut model, false, lines(0, 100));
    come(&mut model, false, JournalNews::Ended(Ok(())));
    model
}

#[test]
fn the_units_of_a_host() {
    snap("units", with_units);
}

#[test]
fn every_column_of_units_has_a_heading() {
    let shown = text(&draw(&with_units(110, 30), &look(false)));
    let at = |line: &str, word: &str| {
        let column = |line: &str| line.find(word).map(|at| line[..at].chars().count());
        shown
            .lines()
            .find(|it| it.contains(line))
            .and_then(column)
            .unwrap_or_else(|| panic!("{shown}"))
    };
    assert_eq!(at("UNIT", "STATE"), at("sshd.service", "running"));
    assert_eq!(
        at("UNIT", "MEMORY") + "MEMORY".len(),
        at("sshd.service", "5.24 MB") + "5.24 MB".len()
    );
    assert_eq!(at("UNIT", "DESCRIPTION"), at("sshd.service", "SSH Daemon"));
}

#[test]
fn the_journal_of_a_unit() {
    snap("journal", with_journal);
}

#[test]
fn units_are_asked_for_and_those_that_failed_come_first() {
    let mut asking = model(demo::troubled(), 80, 24);
    let list = Effect::ListUnits { host: "samsung".to_owned() };
    assert_eq!(press(&mut asking, "jju"), std::slice::from_ref(&list));
    let mut model = with_units(80, 24);
    assert_eq!(press(&mut model, "r"), [list]);
    assert_eq!(press(&mut model, "\n"), [Effect::ReadJournal(Some(wanted(false)))]);
    assert_eq!(press(&mut model, "q"), [Effect::ReadJournal(None)]);
    assert!(matches!(model.overlay(), Some(Overlay::Units(_))), "back to the list");
}

#[test]
fn a_filter_is_typed_and_kept_and_taken_away_before_the_pane_closes() {
    let mut model = with_units(80, 24);
    press(&mut model, "/nix q");
    let Some(Overlay::Units(pane)) = model.overlay() else { panic!("the pane is open") };
    assert_eq!((pane.filter.text(), pane.shown().len()), ("nix q", 0));
    press(&mut model, "\u{8}\u{8}\n");
    let Some(Overlay::Units(pane)) = model.overlay() else { panic!("the pane is open") };
    assert_eq!(pane.chosen().unwrap().name, "nix-daemon.service");
    press(&mut model, "q");
    let Some(Overlay::Units(pane)) = model.overlay() else { panic!("the pane is open") };
    assert_eq!(pane.shown().len(), 4);
    press(&mut model, "q");
    assert_eq!(model.overlay(), None);
}

#[test]
fn a_journal_is_followed_anew_and_lines_of_another_reading_are_not_taken() {
    let mut model = with_journal(80, 24);
    assert_eq!(press(&mut model, "f"), [Effect::ReadJournal(Some(wanted(true)))]);
    come(&mut model, false, lines(100, 7));
    come(&mut model, true, lines(0, 3));
    let Some(Overlay::Journal(pane)) = model.overlay() else { panic!("the pane is open") };
    assert_eq!((pane.lines.len(), pane.following), (3, true));
    assert_eq!(press(&mut model, "f"), [Effect::ReadJournal(None)]);
}

#[test]
fn the_lines_that_are_seen_are_copied() {
    let mut model = with_journal(110, 30);
    press(&mut model, "kk");
    let effects = press(&mut model, "y");
    let [Effect::Copy { text, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(text.ends_with("line 97 of the journal"), "{text}");
    assert!(text.lines().count() > 10 && text.lines().count() < 30);
    press(&mut model, "g");
    let effects = press(&mut model, "y");
    let [Effect::Copy { text, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(text.starts_with("2026-11-21T12:00:00+0000 bluetoothd[41]: line 0 of"), "{text}");
}
