//! A fleet that fits no screen: 150 hosts and 12 tiers.

use crate::dash::Model;
use crate::dash::demo::{self, many, now, of_many};
use crate::dash::tests::keys::press;
use crate::dash::tests::screens::{draw, look, snap, text};
use crate::fleet::{Ancestry, BootChoice, DeployFacts, DeployedFrom, UpkeepFacts};

/// Returns the large fleet at that size, after keys.
fn large(columns: u16, rows: u16, keys: &str) -> Model {
    let mut model = demo::model_of(many(), of_many(), columns, rows);
    press(&mut model, keys);
    model
}

#[test]
fn many_hosts_and_many_tiers_at_every_size() {
    snap("many-fleet", |columns, rows| large(columns, rows, "GGk"));
    snap("many-caches", |columns, rows| large(columns, rows, "2jjjj"));
    snap("many-caches-right", |columns, rows| large(columns, rows, "2>"));
}

#[test]
fn tiers_say_how_many_hosts_are_not_seen_and_scroll_from_the_worst_to_the_best() {
    let seen = |keys: &str| text(&draw(&large(110, 30, keys), &look(false)));
    let worst = seen("2");
    assert!(worst.contains("  rack15-9  rack15-8"), "its closure is held least: {worst}");
    assert!(worst.contains("hosts 1 to 5 of 150, the worst first; > shows 145 more"), "{worst}");
    let next = seen("2>");
    assert!(next.contains("hosts 6 to 10 of 150, the worst first; > shows 140 more, < goes back"));
    let best = seen(&format!("2{}", ">".repeat(40)));
    assert!(best.contains("rack01-1  rack01-0\n"), "{best}");
    assert!(best.contains("hosts 146 to 150 of 150, the worst first; < goes back"), "{best}");
    assert_eq!(seen("2><"), worst);
    let all = text(&draw(&demo::model(demo::well(), 110, 30), &look(false)));
    assert!(!all.contains("the worst first"), "where all fit, nothing is said: {all}");
}

#[test]
fn a_wide_fleet_says_from_which_revision_each_host_runs_and_how_far_behind_it_is() {
    let mut model = large(200, 50, "");
    let revision = "8f2c1abcd012-dirty".to_owned();
    let from = DeployedFrom { revision, flake: None, by: None, at: None };
    model.world.hosts[0].facts.upkeep = Some(UpkeepFacts {
        boot: BootChoice::default(),
        running_generation: None,
        deploys: DeployFacts { built_from: Some(from), ..DeployFacts::default() },
        roots: Vec::new(),
        systems: [None, None],
        measured_at: now(),
    });
    let ancestry = Some(Ancestry { behind: 3, ahead: 0 });
    model.world.ancestries.insert("8f2c1abcd012".to_owned(), ancestry);
    let shown = text(&draw(&model, &look(false)));
    let words = |name: &str| {
        let row = shown.lines().find(|line| line.contains(name)).unwrap_or_default();
        row.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let told = words("› rack01-0");
    let at = told.iter().position(|word| word == "8f2c1abc").expect("the revision is shown");
    assert_eq!(told[at + 1..at + 3], ["dirty", "3"], "{shown}");
    assert!(words("rack01-1 ").contains(&"?".to_owned()), "of the others it is not known: {shown}");
}

#[test]
fn the_last_of_many_hosts_is_seen_and_those_above_it_are_counted() {
    let shown = text(&draw(&large(110, 30, "G"), &look(false)));
    assert!(shown.contains("› rack15-9 ⚷"), "{shown}");
    assert!(shown.contains("above"), "{shown}");
}
