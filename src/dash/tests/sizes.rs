//! Every view at every size: never a panic, never outside, whatever keys were pressed.

use crate::dash::command::in_context;
use crate::dash::demo::{self, model, now};
use crate::dash::tests::keys::press;
use crate::dash::tests::screens::{draw, look, text};
use crate::dash::{Command, CommandEntry, Context, Model, Msg, update};
use proptest::prelude::*;

/// Keys that lead to every view and every overlay.
const PATHS: [&str; 25] = [
    "L", "", "z", "2", "3", "3z", "4", "5", "?", ":", ":re", "Ad", "Ad\n", "3o", "3x", "q", "/sam",
    "2/p", "3/sam", "3/none", "5/41", "I", "2I", "E", "E/x",
];

fn asking(columns: u16, rows: u16) -> Model {
    let mut events = demo::troubled();
    events.extend(demo::run_until_plan());
    model(events, columns, rows)
}

fn busy(columns: u16, rows: u16) -> Model {
    let mut model = asking(columns, rows);
    for event in demo::run_in_fetch() {
        demo::happen(&mut model, event);
    }
    model
}

#[test]
fn every_view_fits_every_size() {
    let look = look(false);
    let busy = PATHS.iter().map(|path| (busy(80, 24), *path));
    for (mut model, path) in busy.chain([(asking(80, 24), "3o"), (asking(80, 24), "o\tG")]) {
        press(&mut model, path);
        for columns in 0..=60 {
            for rows in (0..=60).step_by(if columns % 7 == 0 { 1 } else { 5 }) {
                update(&mut model, Msg::Resize(columns, rows), now());
                draw(&model, &look);
            }
        }
    }
}

#[test]
fn tiers_of_every_kind_fit_every_size() {
    use crate::dash::demo_tiers;
    let look = look(false);
    let (fleet, events) = demo_tiers::every_trouble();
    let kinds = demo::model_of(demo_tiers::every_kind(), demo_tiers::of_every_kind(), 80, 24);
    for mut model in [kinds, demo::model_of(fleet, events, 80, 24)] {
        update(&mut model, Msg::Figures(demo_tiers::figures()), now());
        for keys in ["2jjjjj", "\n", "\nG"] {
            press(&mut model, keys);
            for columns in (0..=220).step_by(3) {
                update(&mut model, Msg::Resize(columns, 1 + columns / 4), now());
                draw(&model, &look);
            }
        }
    }
}

#[test]
fn the_smallest_terminal_shows_the_status_line() {
    let shown = text(&draw(&busy(60, 3), &look(false)));
    assert_eq!(shown.lines().next(), Some("#41 1○ 2/4: 2● 1▲ 1○ p620 98% community ▲"));
}

#[test]
fn what_cannot_be_seen_says_how_it_is_closed_and_hears_nothing_else() {
    for (keys, what) in [("d", "What to start"), ("?", "The help"), ("/", "A filter that is typed")]
    {
        let mut model = model(demo::well(), 10, 3);
        press(&mut model, keys);
        let shown = text(&draw(&model, &look(false)));
        let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(shown.starts_with("esc cancel: ") || shown.starts_with("q close: "), "{shown}");
        assert_eq!(press(&mut model, "\n"), [], "{keys}");
        assert_eq!(press(&mut model, "x\n"), [], "{keys}");
        update(&mut model, Msg::Resize(60, 3), now());
        assert!(text(&draw(&model, &look(false))).contains(what), "{keys}");
        press(&mut model, "\u{1b}");
        assert!(model.overlay().is_none() && model.prompt.is_none(), "{keys}");
        assert_eq!(
            text(&draw(&model, &look(false))).lines().next().map(str::is_empty),
            Some(false)
        );
    }
}

#[test]
fn whatever_lies_over_a_view_can_be_closed() {
    for (context, _) in Context::OVER_VIEWS.into_iter().filter(|(it, _)| *it != Context::Frozen) {
        let closes = |entry: &&CommandEntry| matches!(entry.command, Command::Close | Command::No);
        assert!(in_context(context).any(|entry| closes(&entry)), "{context:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_key_breaks_the_screen(
        keys in "[a-zA-Z0-9/:&? \n\t\u{1b}\u{8}]{0,40}",
        columns in 0u16..=60,
        rows in 0u16..=60,
    ) {
        let mut model = busy(columns, rows);
        press(&mut model, &keys);
        draw(&model, &look(true));
    }

    #[test]
    fn events_in_any_order_never_break_the_screen(
        order in proptest::collection::vec(0usize..1000, 0..80),
        columns in 0u16..=120,
        rows in 0u16..=40,
    ) {
        let mut events = demo::troubled();
        events.extend(demo::run_until_plan());
        events.extend(demo::run_in_fetch());
        events.extend(demo::run_ended());
        let chosen = order.into_iter().map(|index| events[index % events.len()].clone());
        let mut model = model(chosen, columns, rows);
        for key in ["", "2", "3", "4", "5"] {
            press(&mut model, key);
            draw(&model, &look(false));
        }
    }
}
