//! A fleet that fits no screen: 150 hosts and 12 tiers.

use crate::dash::Model;
use crate::dash::demo::{self, many, now, of_many};
use crate::dash::tests::keys::press;
use crate::dash::tests::screens::{draw, look, snap, text};
use crate::fleet::{
    Ancestry, BootChoice, DeployFacts, DeployedFrom, HostState, ReplacedRevision, UpkeepFacts,
};

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

/// Lets a host run what was built from a revision that is so far from the flake.
fn runs_from(model: &mut Model, host: usize, revision: &str, ancestry: Ancestry) {
    let from = DeployedFrom {
        revision: revision.to_owned(),
        flake: None,
        by: Some("me@desk".to_owned()),
        at: Some(now() - jiff::SignedDuration::from_hours(2)),
    };
    let fleet = &model.world.fleet;
    let flake = fleet.flake_of(&fleet.hosts[host]).unwrap().to_owned();
    model.world.ancestries.insert((flake, from.commit().to_owned()), Some(ancestry));
    model.world.hosts[host].facts.upkeep = Some(UpkeepFacts {
        boot: BootChoice::default(),
        running_generation: None,
        deploys: DeployFacts { built_from: Some(from), ..DeployFacts::default() },
        roots: Vec::new(),
        systems: [None, None],
        switching: false,
        measured_at: now(),
    });
}

#[test]
fn the_details_of_a_host_say_what_it_was_built_from_and_how_far_that_is_behind() {
    let mut model = large(200, 50, "");
    runs_from(&mut model, 0, "8f2c1abcd012-dirty", Ancestry { behind: 3, ahead: 0 });
    let told = text(&draw(&model, &look(false)));
    let words =
        "revision 8f2c1abcd-dirty (deployed by me@desk 2 h ago), with uncommitted changes, 3";
    assert!(told.contains(words) && told.contains(" commits behind the flake"), "{told}");
    runs_from(&mut model, 0, "8f2c1abcd012", Ancestry { behind: 1, ahead: 2 });
    let told = text(&draw(&model, &look(false)));
    assert!(!told.contains("uncommitted"), "{told}");
    assert!(told.contains("▲ 1 commit behind the flake, with 2"), "{told}");
    model.world.ancestries.clear();
    let told = text(&draw(&model, &look(false)));
    assert!(told.contains("2 h ago), how far behind the flake"), "{told}");
}

#[test]
fn a_host_that_runs_changes_of_no_revision_is_not_shown_as_simply_up_to_date() {
    let mut model = large(200, 50, "");
    for (revision, shown) in [("8f2c1abcd012-dirty", true), ("8f2c1abcd012", false)] {
        runs_from(&mut model, 0, revision, Ancestry { behind: 0, ahead: 0 });
        let told = text(&draw(&model, &look(false)));
        assert_eq!(told.contains(" 0 * "), shown, "{told}");
    }
}

#[test]
fn history_and_the_plan_say_how_far_what_they_deploy_and_replace_is_behind() {
    let mut model = demo::model(demo::well(), 120, 35);
    runs_from(&mut model, 1, "8f2c1abcd012", Ancestry { behind: 3, ahead: 0 });
    let newest = Some(Ancestry { behind: 12, ahead: 0 });
    let flake = model.world.fleet.flake.clone().unwrap();
    model.world.ancestries.insert((flake, "3f2c1ab09d8e7f6a5b4c".to_owned()), newest);
    for event in demo::run_until_plan() {
        demo::happen(&mut model, event);
    }
    press(&mut model, "5");
    let told = text(&draw(&model, &look(false)));
    assert!(told.contains("REVISION         BEHIND"), "{told}");
    assert!(told.contains("3f2c1ab09 dirty  12 "), "{told}");
    // What was replaced stands in the plan, whatever the host runs by now.
    let mut planned = model.world.runs[0].plan.clone().unwrap();
    let razer = planned.hosts.iter_mut().find(|host| host.host == "razer").unwrap();
    let ancestry = Some(Ancestry { behind: 3, ahead: 0 });
    razer.replaces = Some(ReplacedRevision { revision: "8f2c1abcd012-dirty".to_owned(), ancestry });
    model.world.runs[0].plan = Some(planned);
    model.world.hosts[1].facts.system.running = None;
    press(&mut model, "3o");
    let told = text(&draw(&model, &look(false)));
    assert!(told.contains("(cccccccc), built from 8f2c1abcd dirty, 3"), "{told}");
}

#[test]
fn a_wide_fleet_says_from_which_revision_each_host_runs_and_how_far_behind_it_is() {
    let mut model = large(200, 50, "");
    runs_from(&mut model, 0, "8f2c1abcd012-dirty", Ancestry { behind: 3, ahead: 0 });
    let shown = text(&draw(&model, &look(false)));
    let words = |name: &str| {
        let row = shown.lines().find(|line| line.contains(name)).unwrap_or_default();
        row.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let told = words("› rack01-0");
    let at = told.iter().position(|word| word == "8f2c1abcd").expect("the revision is shown");
    assert_eq!(told[at + 1..at + 3], ["dirty", "3"], "{shown}");
    assert!(words("rack01-1 ").contains(&"?".to_owned()), "of the others it is not known: {shown}");
}

#[test]
fn the_last_of_many_hosts_is_seen_and_those_above_it_are_counted() {
    let shown = text(&draw(&large(110, 30, "G"), &look(false)));
    assert!(shown.contains("› rack15-9 ⚷"), "{shown}");
    assert!(shown.contains("above"), "{shown}");
}

#[test]
fn what_is_true_of_many_hosts_is_said_once_before_they_are_deployed() {
    let mut model = large(120, 35, "A");
    for view in &mut model.world.hosts {
        view.facts.state = HostState::Offline;
    }
    press(&mut model, "d");
    let words = |model: &Model| {
        let shown = text(&draw(model, &look(false))).replace('│', " ");
        shown.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let shown = words(&model);
    assert!(shown.contains("┌ Deploy 150 hosts ─"), "{shown}");
    assert!(
        shown.contains("○ 150 of 150 did not answer when they were last asked: rack01-0,"),
        "{shown}"
    );
    assert!(shown.contains("and 138 more"), "{shown}");
    assert_eq!(shown.matches("did not answer").count(), 1, "{shown}");
    assert!(
        shown.contains("Nothing changes before you have seen the plan and said yes."),
        "{shown}"
    );
    let mut one = large(120, 35, "");
    one.world.hosts[0].facts.state = HostState::Offline;
    press(&mut one, "ggd");
    let shown = words(&one);
    assert!(shown.contains("rack01-0 did not answer when it was last asked."), "{shown}");
}

#[test]
fn every_host_is_shown_where_its_details_have_no_room() {
    let mut fleet = many();
    fleet.hosts.truncate(6);
    let names: Vec<String> = fleet.hosts.iter().map(|host| host.name.clone()).collect();
    for (columns, rows) in [(40, 8), (40, 10), (60, 9), (80, 10)] {
        let model = demo::model_of(fleet.clone(), [], columns, rows);
        let shown = text(&draw(&model, &look(false)));
        let seen = names.iter().filter(|name| shown.contains(name.as_str())).count();
        assert_eq!(seen, names.len().min(usize::from(rows) - 2), "{columns}x{rows}\n{shown}");
    }
}
