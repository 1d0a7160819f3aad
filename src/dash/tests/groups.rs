//! Hosts in groups by their tags.

use crate::dash::demo::{self, many, model, of_many};
use crate::dash::panes::fleet::groups::HostGroup;
use crate::dash::tests::keys::press;
use crate::dash::tests::screens::{draw, look, snap, text};
use crate::dash::{Effect, Model};

fn large(columns: u16, rows: u16, keys: &str) -> Model {
    let mut model = demo::model_of(many(), of_many(), columns, rows);
    press(&mut model, keys);
    model
}

fn shown(model: &Model) -> String {
    text(&draw(model, &look(false)))
}

fn row(model: &Model, name: &str) -> String {
    let all = shown(model);
    let row = all.lines().find(|line| line.contains(name)).unwrap_or_default();
    row.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_long_list_is_one_row_for_each_tag() {
    let model = large(110, 30, "#");
    assert_eq!(model.rows().len(), 15);
    assert_eq!(row(&model, "@rack03"), "▸ @rack03 10 hosts 9 up · 1 offline · 1 low disk");
    assert!(row(&model, "@rack01").starts_with("› ▸ @rack01"), "the group of the selected host");
    assert!(!shown(&model).contains("rack01-0"), "{}", shown(&model));
}

#[test]
fn enter_opens_and_folds_a_group_and_the_second_press_of_the_key_ends_the_groups() {
    let mut model = large(110, 30, "#");
    assert!(shown(&model).contains("enter unfold"), "{}", shown(&model));
    press(&mut model, "\n");
    assert!(row(&model, "@rack01").starts_with("› ▾ @rack01"));
    assert!(shown(&model).contains("enter fold"), "{}", shown(&model));
    press(&mut model, "j");
    assert_eq!(model.selected().unwrap().0.name, "rack01-0");
    press(&mut model, "k\n");
    assert_eq!(model.rows().len(), 15);
    press(&mut model, "j#");
    assert_eq!(model.rows().len(), 150);
    assert_eq!(model.selected().unwrap().0.name, "rack02-0", "the first of the selected group");
}

#[test]
fn marking_a_group_marks_its_hosts_and_it_is_deployed_and_measured_as_a_whole() {
    let mut model = large(110, 30, "#");
    let names: Vec<String> = (0..10).map(|at| format!("rack01-{at}")).collect();
    assert_eq!(press(&mut model, "r"), [Effect::Probe { hosts: names.clone() }]);
    press(&mut model, " ");
    assert_eq!(model.chosen(), names);
    assert!(row(&model, "@rack01").starts_with("◆ ▸ @rack01"), "{}", shown(&model));
    assert!(row(&model, "@rack02").starts_with("› ▸"), "the selection goes on as among hosts");
    press(&mut model, "k ");
    assert!(model.fleet.marked.is_empty());
}

#[test]
fn the_next_problem_opens_the_group_that_hides_it() {
    let model = large(110, 30, "#p");
    assert_eq!(model.selected().unwrap().0.name, "rack03-4");
    assert!(row(&model, "@rack03").starts_with("▾ @rack03"), "{}", shown(&model));
}

#[test]
fn a_filter_shows_what_it_lets_through_and_without_it_groups_are_folded_as_before() {
    let mut model = large(110, 30, "#/offline\n");
    assert_eq!((model.match_count(), model.rows().len()), (6, 12), "a group has one of them each");
    assert!(shown(&model).contains("6 of 150 hosts match"), "{}", shown(&model));
    press(&mut model, "j");
    assert_eq!(model.selected().unwrap().0.name, "rack03-4");
    press(&mut model, "\u{1b}");
    assert_eq!(model.rows().len(), 15);
    assert!(row(&model, "@rack03").starts_with("› ▸ @rack03"), "{}", shown(&model));
}

#[test]
fn hosts_are_sorted_inside_of_their_groups() {
    let mut model = large(110, 30, "#\nsss");
    while model.fleet.sorting.by() != crate::dash::HostSort::Load {
        press(&mut model, "s");
    }
    let rows = model.rows();
    assert_eq!(rows[..4], [150, 9, 8, 7], "the highest load first");
    assert_eq!(rows[11], 151, "behind its hosts comes the next group");
}

#[test]
fn a_host_without_a_tag_stands_in_the_last_group() {
    let mut model = model(demo::well(), 80, 24);
    let mut fleet = (*model.world.fleet).clone();
    fleet.hosts[0].tags.clear();
    fleet.hosts[1].tags.push("second".to_owned());
    model.world.fleet = fleet.into();
    press(&mut model, "#");
    let names: Vec<String> = model.host_groups().iter().map(HostGroup::name).collect();
    assert_eq!(names, ["@laptop", "@server", "no tag"]);
    assert_eq!(model.selected_group().unwrap().name(), "no tag");
}

#[test]
fn groups_at_every_size() {
    snap("groups", |columns, rows| large(columns, rows, "#jj\njj"));
}
