//! What is wrong: found, put first, copied.

use crate::dash::demo::{self, many, model, of_many};
use crate::dash::tests::keys::press;
use crate::dash::tests::screens::{draw, look, snap, text};
use crate::dash::{Effect, Model};
use crate::fleet::{Code, Finding, Subject};

/// Returns a large fleet after these keys.
pub(super) fn large(columns: u16, rows: u16, keys: &str) -> Model {
    let mut model = demo::model_of(many(), of_many(), columns, rows);
    press(&mut model, keys);
    model
}

/// Returns the name of the selected host.
pub(super) fn selected(model: &Model) -> &str {
    model.selected().map_or("", |(host, _)| &host.name)
}

#[test]
fn a_key_goes_from_problem_to_problem_around_the_end() {
    let mut model = large(110, 30, "p");
    assert_eq!(selected(&model), "rack03-4", "it is offline");
    press(&mut model, "p");
    assert_eq!(selected(&model), "rack03-6", "it is low on disk");
    press(&mut model, &"p".repeat(11));
    assert_eq!(selected(&model), "rack03-6", "there are 11 problems; the walk began at the second");
}

#[test]
fn where_nothing_is_wrong_there_is_no_key_to_the_next_problem() {
    let mut well = large(200, 50, "/rack01\n");
    let shown = text(&draw(&well, &look(false)));
    assert!(!shown.contains("next problem") && !shown.contains("copy fix"), "{shown}");
    press(&mut well, "p");
    assert_eq!(selected(&well), "rack01-0");
}

#[test]
fn the_only_problem_says_that_it_is() {
    let mut model = large(110, 30, "/rack03-4\npp");
    assert_eq!(selected(&model), "rack03-4");
    let said = model.toast.take().unwrap().text;
    assert_eq!(said, "this is the only problem in the list");
}

#[test]
fn tiers_have_problems_too() {
    let mut model = large(110, 30, "2p");
    assert_eq!(model.selected_tier().unwrap().0.name, "cache-05");
    let copied = press(&mut model, "y");
    assert!(matches!(&copied[..], [Effect::Copy { text, .. }] if text == "start it"), "{copied:?}");
}

#[test]
fn problems_stand_first_and_the_selected_host_stays_selected() {
    let model = large(110, 30, "jjs");
    assert_eq!(selected(&model), "rack01-2");
    let hosts = &model.world.fleet.hosts;
    let first = model.visible_hosts().into_iter().take(6).map(|at| hosts[at].name.as_str());
    let wanted = ["rack03-6", "rack06-6", "rack09-6", "rack12-6", "rack15-6", "rack03-4"];
    assert_eq!(first.collect::<Vec<_>>(), wanted, "what is low on disk, then who is away");
}

#[test]
fn the_fix_of_the_worst_is_copied() {
    let mut model = large(110, 30, "/disk-low\n");
    let copied = |model: &mut Model| match &press(model, "y")[..] {
        [Effect::Copy { text, what }] => (text.clone(), what.clone()),
        other => unreachable!("{other:?}"),
    };
    let (text, what) = copied(&mut model);
    let lines = "nix.gc.automatic = true;\nnix.gc.options = \"--delete-older-than 30d\";";
    assert_eq!(text, lines);
    assert_eq!(what, "lines for the NixOS configuration, for “disk low”");
    let at = model.fleet.selected;
    let fix = "run `nixdash trust-host rack03-6` first";
    let finding = Finding::new(Subject::host("rack03-6"), Code::HostKeyUnknown, "a new key", fix);
    model.world.hosts[at].facts.findings.push(finding);
    assert_eq!(copied(&mut model).0, fix, "the worst counts");
}

#[test]
fn where_there_is_no_room_the_header_names_the_worst_and_counts_the_rest() {
    let mut model = model(demo::well(), 80, 24);
    let codes = [Code::BootLow, Code::ClockDiffers, Code::LoadHigh, Code::MemoryLow, Code::VarLow];
    for code in codes.into_iter().chain([Code::StoreReadOnly]) {
        let finding = Finding::new(Subject::host("p620"), code, "it is so", "fix it");
        model.world.hosts[0].facts.findings.push(finding);
    }
    let header = |model: &Model| text(&draw(model, &look(false))).lines().nth(1).map(str::to_owned);
    let narrow = header(&model).unwrap();
    assert!(narrow.contains("1 read-only store") && narrow.contains("5 more ▲"), "{narrow}");
    model.size = (200, 50);
    let wide = header(&model).unwrap();
    assert!(wide.contains("low /boot") && !wide.contains("more ▲"), "{wide}");
}

#[test]
fn problems_first_at_every_size() {
    snap("problems-first", |columns, rows| large(columns, rows, "sGg"));
}

#[test]
fn a_narrow_footer_names_the_way_to_the_details_before_all_else() {
    let shown = text(&draw(&large(80, 24, "p"), &look(false)));
    let footer = shown.lines().last().unwrap();
    assert!(footer.starts_with(" ↑↓ select  enter details  d deploy"), "{footer}");
    assert!(footer.contains("p next problem"), "{footer}");
}
