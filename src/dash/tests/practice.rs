//! The line of the practice fleet: what it proposes follows what was seen.

use crate::dash::demo::{self, model, now, result, run_event};
use crate::dash::tests::keys::{fold, press};
use crate::dash::tests::screens::{draw, look, snap, text};
use crate::dash::{Effect, Model, Msg, Practice, update};
use crate::fleet::{Outcome, RunWhat};

fn practising(columns: u16, rows: u16) -> Model {
    model(demo::well(), columns, rows).with_practice(Some(Practice::default()))
}

/// Returns what is proposed.
fn proposed(model: &Model) -> String {
    let shown = text(&draw(model, &look(false)));
    let line = shown.lines().find_map(|line| line.trim().strip_prefix("Try next: "));
    line.map(|line| line.trim_end_matches(" H hides this").trim().to_owned()).unwrap_or_default()
}

/// Runs a deploy of samsung to its end.
fn deploy(model: &mut Model, run: &str, outcome: Outcome) {
    let begin = RunWhat::begin(vec!["samsung".to_owned()], "switch via-cache".to_owned());
    let outcomes = [(outcome, 1)].into();
    let summary = RunWhat::Summary { outcomes, duration_ms: 31_400, findings: Vec::new() };
    for what in [begin, result("samsung", outcome, None), summary] {
        fold(model, [run_event(run, 3, what)]);
    }
}

#[test]
fn a_line_of_the_practice_fleet_says_what_to_try_next() {
    snap("practice", practising);
}

#[test]
fn what_is_proposed_follows_what_was_seen() {
    let mut model = practising(120, 35);
    update(&mut model, Msg::Tick, now());
    assert!(proposed(&model).ends_with("nixdash lab bump samsung"), "{}", proposed(&model));
    update(&mut model, Msg::Revision(Some("91aa00c".to_owned())), now());
    assert!(proposed(&model).contains("press d on samsung"), "{}", proposed(&model));
    deploy(&mut model, "41", Outcome::Switched);
    assert!(proposed(&model).starts_with("press 3"), "{}", proposed(&model));
    press(&mut model, "3");
    assert!(proposed(&model).starts_with("press 4"), "{}", proposed(&model));
    press(&mut model, "4");
    assert!(proposed(&model).starts_with("press 2"), "{}", proposed(&model));
    press(&mut model, "2");
    assert!(proposed(&model).contains("--break activation"), "{}", proposed(&model));
    deploy(&mut model, "42", Outcome::RolledBack);
    assert!(proposed(&model).contains("press 3: why"), "{}", proposed(&model));
    press(&mut model, "3");
    assert!(proposed(&model).starts_with("press 5"), "{}", proposed(&model));
    press(&mut model, "5");
    assert_eq!(proposed(&model), "", "all was tried");
}

#[test]
fn a_key_hides_the_line_for_good_and_gives_its_row_back() {
    let mut model = practising(80, 24);
    let rows = |model: &Model| text(&draw(model, &look(false))).lines().count();
    let before = rows(&model);
    assert_ne!(proposed(&model), "");
    press(&mut model, "H");
    assert_eq!((proposed(&model).as_str(), rows(&model)), ("", before));
    update(&mut model, Msg::Revision(Some("91aa00c".to_owned())), now());
    assert_eq!(proposed(&model), "");
}

#[test]
fn what_was_tried_is_kept_when_it_changes_and_not_at_the_end() {
    let mut model = practising(80, 24);
    let revision = Msg::Revision(Some("91aa00c".to_owned()));
    let kept = update(&mut model, revision.clone(), now());
    assert_eq!(kept, [Effect::KeepPractice(model.practice.clone().unwrap())]);
    assert_eq!(update(&mut model, revision, now()), [], "nothing else was tried");
    press(&mut model, "1");
    assert_eq!(update(&mut model, Msg::Tick, now()), []);
    for key in ["2", "H"] {
        let kept = press(&mut model, key);
        assert_eq!(kept, [Effect::KeepPractice(model.practice.clone().unwrap())], "{key}");
    }
}
