//! What the palette finds, and what choosing does.

use crate::dash::demo::{self, model};
use crate::dash::tests::keys::{id, press};
use crate::dash::tests::screens::{draw, look, text};
use crate::dash::{Effect, HostSort, Model, Overlay, Role, Screen};
use crate::fleet::Event;

fn with_run() -> Vec<Event> {
    let mut events = demo::troubled();
    events.extend(demo::run_until_plan());
    events.extend(demo::run_in_fetch());
    events
}

/// Returns the first row that is found for a text.
fn first(model: &mut Model, typed: &str) -> String {
    press(model, &format!(":{typed}"));
    let shown = text(&draw(model, &look(false)));
    press(model, "\u{1b}");
    let row = shown.lines().find(|line| line.contains('›') && line.contains('│'));
    row.unwrap_or_default().split('›').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn hosts_caches_runs_and_settings_are_found_by_letters_of_their_names_with_their_kind() {
    let mut model = model(with_run(), 120, 35);
    for (typed, kind, name) in [
        ("smsg", "host", "samsung"),
        ("SAMSUNG", "host", "samsung"),
        ("commun", "cache", "community"),
        ("run 41", "run", "run 41"),
        ("41", "run", "run 41"),
        ("sort load", "setting", "sort load"),
        ("dpl", "command", "deploy"),
        ("help", "command", "help"),
    ] {
        let row = first(&mut model, typed);
        assert!(row.trim_start().starts_with(kind) && row.contains(name), "{typed}: {row}");
    }
    press(&mut model, ":qqqq");
    let shown = text(&draw(&model, &look(false)));
    assert!(shown.contains("nothing has this name; other settings are in hosts.toml"), "{shown}");
    press(&mut model, "\u{1b}");
    let row = first(&mut model, "");
    assert!(
        row.trim_start().starts_with("command") && !row.contains("  up "),
        "keys that move come last: {row}"
    );
}

#[test]
fn choosing_goes_to_what_was_found() {
    let mut model = model(with_run(), 120, 35);
    press(&mut model, "2:samsung\n");
    assert_eq!((model.screen, model.fleet.selected), (Screen::Fleet, 2));
    press(&mut model, ":community\n");
    assert_eq!((model.screen, model.caches.selected), (Screen::Caches, 2));
    press(&mut model, ":run 41\n");
    assert_eq!(model.screen, Screen::Deploy);
    assert_eq!(model.shown_run().map(|run| run.id.clone()), Some(id("41")));
    press(&mut model, "1:sort load\n");
    assert_eq!(model.fleet.sorting.by(), HostSort::Load);
    let said = model.toast.as_ref().map(|toast| toast.text.as_str());
    assert_eq!(said, Some("hosts by load, the highest on top"));
}

#[test]
fn a_filter_and_a_folded_group_hide_nothing_that_was_chosen() {
    let mut model = model(demo::troubled(), 120, 35);
    press(&mut model, "/razer\n:samsung\n");
    assert!(!model.is_filtered() && model.shows_selected());
    assert_eq!(model.selected().map(|(host, _)| host.name.as_str()), Some("samsung"));
    press(&mut model, "#:p620\n");
    assert!(model.rows().contains(&0), "its group is open");
    assert_eq!(model.selected().map(|(host, _)| host.name.as_str()), Some("p620"));
}

#[test]
fn what_cannot_be_given_now_says_why_and_is_not_done() {
    let mut model = model(demo::well(), 120, 35);
    let row = first(&mut model, "skip-host");
    assert!(row.contains("skip-host") && row.contains("only in Deploy"), "{row}");
    assert_eq!(press(&mut model, ":skip-host\n"), []);
    assert!(matches!(model.overlay(), Some(Overlay::Palette { .. })), "it stays, with the reason");
    press(&mut model, "\u{1b}");
    assert!(first(&mut model, "next-problem").contains("nothing is wrong"));
    let mut fleet = (*model.world.fleet).clone();
    fleet.read_only = true;
    model.world.fleet = std::sync::Arc::new(fleet);
    assert!(first(&mut model, "deploy").contains("--read-only"));
    assert_eq!(press(&mut model, ":quit\n"), [Effect::Quit { cancel: vec![] }]);
}

#[test]
fn letters_that_were_typed_are_marked_in_what_was_found() {
    let mut model = model(demo::well(), 120, 35);
    press(&mut model, ":smsg");
    let look = look(false);
    let buffer = draw(&model, &look);
    let (columns, accent) = (usize::from(buffer.area.width), look.style(Role::Accent).fg);
    let rows: Vec<String> = text(&buffer).lines().map(str::to_owned).collect();
    let row = rows.iter().position(|line| line.contains("host     samsung")).unwrap();
    let cells = &buffer.content[row * columns..(row + 1) * columns];
    let start = cells.iter().position(|cell| cell.symbol() == "›").unwrap() + 2 + 9;
    let marked: String = cells[start..start + 7]
        .iter()
        .filter(|cell| accent == Some(cell.fg))
        .map(ratatui::buffer::Cell::symbol)
        .collect();
    assert_eq!(marked, "smsg");
}
