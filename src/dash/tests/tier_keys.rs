//! What keys do among the tiers, and in open details.

use crate::dash::demo::{self, model};
use crate::dash::demo_tiers;
use crate::dash::tests::keys::{fold, press};
use crate::dash::{Effect, Screen};

#[test]
fn capital_d_on_hosts_stores_asks_before_it_takes_the_collectors_lock() {
    let fresh = || demo::model_of(demo_tiers::every_kind(), demo_tiers::of_every_kind(), 80, 24);
    let mut model = fresh();
    assert_eq!(press(&mut model, "2D"), [], "a tier that is no store has none");
    let said = model.toast.as_ref().map(|toast| toast.text.as_str());
    assert_eq!(said, Some("D measures the hosts' stores: select a tier of kind local"));
    press(&mut model, "jjjjjjj");
    assert_eq!(press(&mut model, "D\n"), [], "the answer is no unless another is chosen");
    assert_eq!(model.overlay(), None);
    let [Effect::LookClosely { hosts }] = &press(&mut model, "Dy")[..] else { panic!() };
    assert!(hosts.contains(&"p620".to_owned()) && !hosts.contains(&"p510".to_owned()), "{hosts:?}");
    let mut model = fresh();
    press(&mut model, " 2jjjjjjjD\t");
    let looked = [Effect::LookClosely { hosts: vec!["p620".to_owned()] }];
    assert_eq!(press(&mut model, "\n"), looked, "the marked ones");
}

#[test]
fn m_in_a_fleet_without_a_tier_of_stores_says_how_to_add_one() {
    let mut model = model(demo::well(), 80, 24);
    assert_eq!(press(&mut model, "2D"), []);
    assert_eq!(model.overlay(), None);
    let said = model.toast.unwrap().text;
    assert!(said.ends_with("add a tier of kind local to hosts.toml first"), "{said}");
}

#[test]
fn in_details_arrows_scroll_to_the_last_line_and_tab_turns_to_the_next() {
    let (fleet, events) = (demo_tiers::every_kind(), demo_tiers::of_every_kind());
    let mut model = demo::model_of(fleet, events, 40, 10);
    press(&mut model, "2jjjjj\njj");
    assert_eq!((model.caches.selected, model.details_scroll), (5, 2));
    press(&mut model, "Gjjj");
    let end = model.details_scroll;
    assert!(end > 2, "{end}");
    press(&mut model, "k");
    assert_eq!(model.details_scroll, end - 1, "nothing is scrolled beyond the end");
    press(&mut model, "\n");
    assert!(model.zoom, "enter opens and does not close");
    press(&mut model, "\t");
    assert_eq!((model.caches.selected, model.details_scroll, model.zoom), (6, 0, true));
    press(&mut model, "\u{1b}\t");
    assert_eq!((model.screen, model.zoom, model.caches.selected), (Screen::Caches, false, 6));
    press(&mut model, "1\n\t ");
    assert_eq!(
        (model.fleet.selected, model.details_scroll),
        (1, 0),
        "a mark does not leave the details"
    );
    press(&mut model, "jz");
    assert_eq!((model.fleet.selected, model.zoom), (1, false));
}

#[test]
fn no_store_is_looked_at_while_a_run_is_at_work() {
    let mut model = demo::model_of(demo_tiers::every_kind(), demo_tiers::of_every_kind(), 80, 24);
    press(&mut model, "2jjjjjjjD");
    fold(&mut model, demo::run_until_plan());
    assert_eq!(press(&mut model, "\t\n"), [], "it began while the question stood there");
    assert!(model.toast.as_ref().is_some_and(|toast| toast.bad), "{:?}", model.toast);
    model.toast = None;
    model.screen = Screen::Caches;
    assert_eq!(press(&mut model, "D"), []);
    assert_eq!(model.overlay(), None);
    assert!(model.toast.is_some_and(|toast| toast.text.contains("at work")));
}

#[test]
fn a_fleet_of_tiers_only_opens_at_its_caches_and_fits_every_view() {
    use crate::dash::tests::screens::{draw, look, text};
    for (columns, rows) in [(200, 50), (110, 30), (80, 24), (40, 10), (10, 3)] {
        let mut fleet = demo_tiers::every_kind();
        fleet.hosts.clear();
        let mut model = demo::model_of(fleet, demo_tiers::of_every_kind(), columns, rows);
        assert_eq!(model.screen, Screen::Caches);
        for keys in ["", "1", "2", "\n", "3", "4", "5"] {
            press(&mut model, keys);
            let shown = text(&draw(&model, &look(false)));
            let read = shown.split_whitespace().collect::<Vec<_>>().join(" ");
            for says in
                ["[hosts.NAME]", "ctrl-e opens the file", "`nixdash init`", "2 shows the caches"]
            {
                assert!(keys != "1" || columns < 80 || read.contains(says), "{says}: {shown}");
            }
        }
    }
}

#[test]
fn coverage_that_is_an_upper_bound_says_so_in_the_fleet_too() {
    use crate::dash::tests::screens::{draw, look, text};
    let mut model = model(demo::well(), 200, 50);
    for host in &mut model.world.hosts {
        for found in host.coverage.tiers.values_mut() {
            (found.paths.have, found.paths.total, found.at_most) = (9, 10, true);
        }
    }
    let shown = text(&draw(&model, &look(false)));
    let row = shown.lines().find(|line| line.contains(" razer ")).unwrap();
    assert!(row.contains("≤ 90 %"), "{shown}");
    press(&mut model, "2");
    let shown = text(&draw(&model, &look(false)));
    assert!(shown.contains("≤ 90 %"), "{shown}");
    press(&mut model, "1\n");
    let shown = text(&draw(&model, &look(false)));
    assert!(shown.contains("≤ 9 of 10 paths"), "{shown}");
}

#[test]
fn capital_v_fetches_a_nar_of_the_selected_tier_and_shows_that_it_is_at_work_and_what_came_of_it() {
    use crate::dash::tests::screens::{draw, look, text};
    use crate::dash::{Msg, update};
    let mut model = model(demo::well(), 120, 35);
    let tier = model.world.fleet.tiers[0].name.clone();
    press(&mut model, "2");
    assert!(text(&draw(&model, &look(false))).contains("V verify"));
    assert_eq!(press(&mut model, "V"), [Effect::Verify { tier: tier.clone() }]);
    let shown = text(&draw(&model, &look(false)));
    assert!(shown.contains("fetching a nar whole, "), "{shown}");
    assert_eq!(press(&mut model, "V"), [], "once is enough");
    let said = "the content of a-1.0 matches its narinfo".to_owned();
    update(&mut model, Msg::Verified { tier, text: said, bad: false }, demo::now());
    let shown = text(&draw(&model, &look(false)));
    assert!(
        shown.contains("the content of a-1.0 matches its") && !shown.contains("verifying"),
        "{shown}"
    );
}

#[test]
fn v_on_a_tier_that_serves_no_nars_says_why_not() {
    let mut model = demo::model_of(demo_tiers::every_kind(), demo_tiers::of_every_kind(), 80, 24);
    press(&mut model, "2jjjjjjj");
    assert_eq!(press(&mut model, "V"), []);
    let toast = model.toast.unwrap();
    assert!(toast.bad && toast.text.contains("which serves no nars over HTTP"), "{toast:?}");
}
