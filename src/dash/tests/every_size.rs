//! Every view and every pane over it at every size, in a fleet with runs, a large one, an empty one, and one
//! whose hosts say strange things: nothing panics, nothing is drawn outside of its place, and no key of the
//! footer is cut.

use crate::dash::demo::{self, now};
use crate::dash::tests::keys::press;
use crate::dash::tests::screens::{draw, look, text};
use crate::dash::tests::starting::two_generations;
use crate::dash::widgets::paint::Paint;
use crate::dash::{
    DiffPane, GenerationsPane, Model, Msg, Overlay, PasswordForm, Split, StartForm, StartFrom,
    update,
};
use crate::dash::{overlays, panes};
use crate::fleet::{Fleet, Goal, RollbackScope, RunId, RunOrder, RunWhat, Secret};
use proptest::prelude::*;
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;

/// Keys that lead to every view, and to the panes that keys open.
const KEYS: [&str; 27] = [
    "1", "1jj", "1\n", "1/a", "2", "2\n", "2j\nG", "3", "3jj", "3z", "3/none\n", "3o", "3C", "3x",
    "3B", "3s", "4", "4v", "4a", "5", "5j", "5z", "1?", "1:re", "1Ad", "1L", "1q",
];

/// How many panes are opened without keys.
const OPENED: usize = 8;

/// Every world, at no size yet.
fn worlds() -> Vec<Model> {
    let mut of_runs = demo::troubled();
    of_runs.extend(demo::failed("40", &[("p620", &demo::failures()[0])]));
    of_runs.extend(demo::run_until_plan());
    of_runs.extend(demo::run_in_fetch());
    let mut of_many = demo::of_many();
    let many = demo::many();
    let hosts = many.hosts.iter().map(|host| host.name.clone()).collect();
    of_many.push(demo::run_event("7", 9, RunWhat::begin(hosts, "switch via-cache".to_owned())));
    let empty = Fleet { hosts: Vec::new(), tiers: Vec::new(), ..demo::fleet() };
    let (strange, of_strange) = demo::strange();
    vec![
        demo::model(of_runs, 80, 24),
        demo::model_of(many, of_many, 80, 24),
        demo::model_of(empty, [], 80, 24),
        demo::model_of(strange, of_strange, 80, 24),
    ]
}

/// Opens the view or the pane of that number.
fn open(model: &mut Model, number: usize) {
    if let Some(keys) = KEYS.get(number) {
        press(model, keys);
        return;
    }
    let host = model.world.fleet.hosts.last().map_or("nobody".to_owned(), |host| host.name.clone());
    let form = StartForm::new(vec![host.clone()], Goal::Switch, StartFrom::Flake);
    let run = model.world.runs.last().map_or(RunId("0".to_owned()), |run| run.id.clone());
    let mut list = GenerationsPane::new(host.clone());
    let overlay = match number - KEYS.len() {
        0 => Overlay::TypeName(StartForm { refused: Some(String::new()), ..form }),
        1 => {
            let hosts = vec![host; 9];
            Overlay::Password(Box::new(PasswordForm {
                form,
                hosts,
                is_needed: false,
                typed: Secret::default(),
            }))
        }
        2 => Overlay::Look { hosts: vec![host; 9], yes: false },
        3 => Overlay::Generations(list),
        4 => {
            list.found = Some(Ok(two_generations()));
            Overlay::Generations(list)
        }
        5 => {
            list.found = Some(Err(host));
            Overlay::Generations(list)
        }
        6 => {
            let lines = Some(Ok(vec![host.clone(); 90]));
            Overlay::Difference(DiffPane { host, generation: 7, lines, scroll: 60 })
        }
        _ => {
            let order = RunOrder::Rollback { scope: RollbackScope::Run };
            Overlay::Order { run, order, yes: true }
        }
    };
    model.open(overlay);
}

/// Returns a world with something open, at that size, with every border at that share of its rows.
fn opened(world: &Model, number: usize, (columns, rows): (u16, u16), border: Split) -> Model {
    let mut model = world.clone();
    model.fleet.split = border;
    model.caches.split = border;
    model.deploy.split = border;
    model.history.split = border;
    update(&mut model, Msg::Resize(columns, rows), now());
    open(&mut model, number);
    model
}

/// Checks all there is to check about one screen.
fn check(model: &Model) {
    let (columns, rows) = model.size;
    let drawn = draw(model, &look(false));
    // Until the program hears of it, a terminal may be smaller than it knows.
    let mut smaller = model.clone();
    smaller.size = (columns + 9, rows + 9);
    let mut buffer = Buffer::empty(Rect::new(0, 0, columns, rows));
    let look = look(false);
    let paint = Paint::new(&smaller, &look, now());
    panes::draw(&paint, &mut buffer, Rect::new(0, 0, columns, rows));
    stays_inside(model);
    if rows >= 6 && columns >= 20 {
        keys_are_whole(model, &text(&drawn));
    }
}

/// Checks that a view and what lies over it leave alone what is around them.
fn stays_inside(model: &Model) {
    let (columns, rows) = model.size;
    let all = Rect::new(0, 0, columns + 4, rows + 4);
    let inside = Rect::new(2, 2, columns, rows);
    let look = look(false);
    let paint = Paint::new(model, &look, now());
    for part in [panes::draw, overlays::draw] {
        let mut buffer = Buffer::filled(all, Cell::new("#"));
        part(&paint, &mut buffer, inside);
        for place in all.positions().filter(|place| !inside.contains(*place)) {
            assert_eq!(buffer[place].symbol(), "#", "{place:?} of {columns}x{rows}");
        }
    }
}

/// Checks that the footer names keys in whole: each of them is one that a wider footer names.
fn keys_are_whole(model: &Model, shown: &str) {
    let is_typed = model.prompt.is_some() || model.log.typing.is_some();
    if is_typed || model.toast.is_some() {
        return;
    }
    let mut wide = model.clone();
    wide.size = (400, 20);
    let wide = text(&draw(&wide, &look(false)));
    let items = |text: &str| -> Vec<String> {
        let last = text.lines().last().unwrap_or_default();
        last.split("  ").map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
    };
    let mut known = items(&wide);
    // Whether there is more than is seen depends on the size.
    known.push("↑↓ scroll".to_owned());
    for item in items(shown) {
        assert!(known.contains(&item), "{item:?} of {:?} is none of {known:?}", model.size);
    }
}

/// Sizes at which something appears or goes, and those at the ends.
const CORNERS: [(u16, u16); 10] =
    [(1, 1), (60, 1), (1, 60), (19, 3), (20, 4), (20, 6), (40, 10), (60, 20), (60, 60), (300, 80)];

/// Returns a border that was moved to so many thousandths of its rows.
fn at(share: u16) -> Split {
    let mut border = Split::default();
    border.put(share, 1000);
    border
}

#[test]
fn every_view_and_pane_of_every_world_is_drawn_at_the_corners() {
    for world in worlds() {
        for number in 0..KEYS.len() + OPENED {
            for (index, size) in CORNERS.into_iter().enumerate() {
                let end = if (number + index) % 2 == 0 { 0 } else { 1000 };
                for border in [Split::default(), at(end)] {
                    check(&opened(&world, number, size, border));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn every_view_and_pane_of_every_world_is_drawn_at_every_size(
        sizes in proptest::collection::vec((1u16..=60, 1u16..=60, 0u16..=1000), KEYS.len() + OPENED),
    ) {
        for world in worlds() {
            for (number, &(columns, rows, border)) in sizes.iter().enumerate() {
                check(&opened(&world, number, (columns, rows), at(border)));
            }
        }
    }
}
