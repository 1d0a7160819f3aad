//! Snapshots of every view at the sizes that people use.

use crate::dash::demo::{self, model, now};
use crate::dash::demo_tiers;
use crate::dash::tests::keys::press;
use crate::dash::tests::starting::two_generations;
use crate::dash::words::glossary::signs_in;
use crate::dash::{Depth, Look, Model, Msg, Screen, Theme, update, view};
use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

/// The sizes that have a snapshot of every view.
pub(super) const SIZES: [(u16, u16); 4] = [(200, 50), (110, 30), (80, 24), (40, 10)];

/// Returns the look of a plain terminal.
pub(super) fn look(ascii: bool) -> Look {
    let theme = Theme::named("terminal").unwrap();
    Look::new(theme, Depth::Ansi16, ascii, TimeZone::UTC)
}

/// Draws a model at its size.
pub(super) fn draw(model: &Model, look: &Look) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(model.size.0, model.size.1)).unwrap();
    terminal.draw(|frame| view(model, look, frame, now())).unwrap();
    terminal.backend().buffer().clone()
}

/// Returns what was drawn as text, without blanks at line ends.
pub(super) fn text(buffer: &Buffer) -> String {
    let mut out = String::new();
    for row in buffer.content.chunks(usize::from(buffer.area.width).max(1)) {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Snapshots a model at every size, after the same keys.
pub(super) fn snap(name: &str, make: impl Fn(u16, u16) -> Model) {
    snap_at(name, &SIZES, make);
}

/// Snapshots a model at these sizes.
fn snap_at(name: &str, sizes: &[(u16, u16)], make: impl Fn(u16, u16) -> Model) {
    for &(columns, rows) in sizes {
        let shown = text(&draw(&make(columns, rows), &look(false)));
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("{name}-{columns}x{rows}"), shown);
        });
    }
}

fn troubled_and_fetching() -> Vec<crate::fleet::Event> {
    let mut events = demo::troubled();
    events.extend(demo::run_until_plan());
    events.extend(demo::run_in_fetch());
    events
}

fn with_answer(columns: u16, rows: u16) -> Model {
    let mut model = model(demo::troubled(), columns, rows);
    press(&mut model, "3");
    for event in demo::run_until_plan() {
        demo::happen(&mut model, event);
    }
    press(&mut model, "y");
    for event in demo::run_in_fetch() {
        demo::happen(&mut model, event);
    }
    model
}

#[test]
fn the_key_of_the_view_that_is_shown_leaves_the_details() {
    for screen in ["1", "2"] {
        let mut model = model(demo::well(), 80, 24);
        press(&mut model, &format!("{screen}j\n"));
        assert!(model.zoom);
        press(&mut model, screen);
        assert!(!model.zoom, "{screen}");
    }
}

#[test]
fn fleet_before_anything_was_measured() {
    snap("fleet-new", |columns, rows| model([], columns, rows));
}

#[test]
fn fleet_that_is_well() {
    snap("fleet-well", |columns, rows| model(demo::well(), columns, rows));
}

#[test]
fn fleet_in_trouble() {
    snap("fleet-troubled", |columns, rows| {
        let mut model = model(demo::troubled(), columns, rows);
        press(&mut model, "jj");
        model
    });
}

#[test]
fn fleet_while_a_run_is_at_work() {
    snap("fleet-run", |columns, rows| {
        let mut model = with_answer(columns, rows);
        press(&mut model, "1G");
        model
    });
}

#[test]
fn the_three_main_views_in_odd_panes() {
    let odd = [(120, 35), (60, 15), (20, 5)];
    snap_at("odd-fleet", &odd, |columns, rows| model(demo::troubled(), columns, rows));
    snap_at("odd-deploy", &odd, |columns, rows| {
        let mut model = with_answer(columns, rows);
        press(&mut model, "j");
        model
    });
    snap_at("odd-filter", &odd, |columns, rows| {
        let mut model = model(demo::troubled(), columns, rows);
        press(&mut model, "/lap\n");
        model
    });
}

#[test]
fn details_of_one_host() {
    snap("details", |columns, rows| {
        let mut model = model(demo::troubled(), columns, rows);
        press(&mut model, "jj\n");
        model
    });
}

#[test]
fn caches_by_hosts() {
    snap("caches", |columns, rows| {
        let mut model = model(demo::troubled(), columns, rows);
        press(&mut model, "2jj");
        model
    });
}

#[test]
fn tiers_of_every_kind() {
    let make = |columns, rows, keys: &str| {
        let events = demo_tiers::of_every_kind();
        let mut model = demo::model_of(demo_tiers::every_kind(), events, columns, rows);
        crate::dash::update(&mut model, crate::dash::Msg::Figures(demo_tiers::figures()), now());
        press(&mut model, keys);
        model
    };
    snap("caches-kinds", |columns, rows| make(columns, rows, "2jjjjj"));
    snap("caches-s3", |columns, rows| make(columns, rows, "2jjjj\n"));
    snap("caches-scrolled", |columns, rows| make(columns, rows, "2jjjjj\njjj"));
    snap("caches-store", |columns, rows| make(columns, rows, "2jjjjjjj\n"));
    snap("dead-paths", |columns, rows| make(columns, rows, "2jjjjjjjD"));
    snap("fleet-kinds", |columns, rows| make(columns, rows, ""));
}

#[test]
fn what_is_wrong_for_several_hosts_in_the_same_words_is_said_once() {
    use crate::fleet::{Code, Event, Finding, Subject, TierOnHost, TierState};
    let shown = |tier: usize| {
        let fleet = demo_tiers::every_kind();
        let name = fleet.tiers[tier].name.clone();
        let mut model = demo::model_of(fleet.clone(), demo_tiers::of_every_kind(), 80, 60);
        let mut facts = model.world.tiers[tier].facts.clone();
        for host in ["p510", "razer", "samsung"] {
            let subject = Subject::tier_on_host(&fleet.tiers[tier], host);
            let findings = vec![Finding::new(subject, Code::NotReached, "it is the same", "")];
            let on_host = TierOnHost { state: TierState::Down, findings, ..TierOnHost::default() };
            facts.hosts.insert(host.to_owned(), on_host);
        }
        let event = Event::Tier { tier: name, facts: Box::new(facts) };
        demo::happen(&mut model, event);
        press(&mut model, &format!("2{}\n", "j".repeat(tier)));
        text(&draw(&model, &look(false)))
    };
    let asked = shown(0);
    assert_eq!(asked.matches("the same").count(), 1, "{asked}");
    let (before, after) = asked.split_once("razer, samsung, p510: it is the same").unwrap();
    assert!(before.contains("for p510") && !after.contains("for "), "{asked}");
    let own = shown(7);
    assert!(own.contains("on 3 hosts  razer, samsung, p510: it is the same"), "{own}");
}

#[test]
fn many_tiers_that_are_down_are_named_as_far_as_they_fit() {
    use crate::fleet::{Event, TierFacts, TierState};
    let overview = |columns, rows| {
        let fleet = demo_tiers::every_kind();
        let names: Vec<String> = fleet.tiers.iter().map(|tier| tier.name.clone()).collect();
        let down = TierFacts { state: TierState::Down, ..TierFacts::default() };
        let events =
            names.into_iter().map(|tier| Event::Tier { tier, facts: Box::new(down.clone()) });
        let shown = text(&draw(&demo::model_of(fleet, events, columns, rows), &look(false)));
        let row = usize::from(rows >= 20);
        shown.lines().nth(row).unwrap().split("   ").nth(1).unwrap().to_owned()
    };
    let all =
        "p620, nixos.org, community, p510, oracle, weed, cachix, store, ci, attic, ncps ▲ down";
    assert_eq!(overview(120, 35), all);
    assert_eq!(overview(80, 24), "p620, nixos.org, community, p510 ▲ down · 7 more ▲");
    assert_eq!(overview(40, 10), "p620 ▲ down · 10 more ▲");
}

#[test]
fn tiers_in_every_trouble() {
    snap("caches-trouble", |columns, rows| {
        let (fleet, events) = demo_tiers::every_trouble();
        let mut model = demo::model_of(fleet, events, columns, rows);
        press(&mut model, "2jjjjj");
        model
    });
    snap_at("odd-caches", &[(120, 35), (60, 15), (40, 10)], |columns, rows| {
        let (mut fleet, events) = demo_tiers::every_trouble();
        fleet.tiers.extend(demo_tiers::every_kind().tiers);
        let events = events.into_iter().chain(demo_tiers::of_every_kind());
        let mut model = demo::model_of(fleet, events, columns, rows);
        press(&mut model, "2jjjjjjjjj");
        model
    });
}

#[test]
fn a_deploy_that_builds() {
    snap("deploy-build", |columns, rows| {
        let mut model = model(demo::well(), columns, rows);
        press(&mut model, "3");
        for event in demo::run_until_plan() {
            demo::happen(&mut model, event);
        }
        press(&mut model, "y");
        for event in demo::run_in_build() {
            demo::happen(&mut model, event);
        }
        model
    });
}

#[test]
fn a_deploy_at_work() {
    snap("deploy", |columns, rows| {
        let mut model = with_answer(columns, rows);
        press(&mut model, "\tj");
        model
    });
}

#[test]
fn a_deploy_that_failed() {
    snap("deploy-failed", |columns, rows| {
        let mut model = with_answer(columns, rows);
        for event in demo::run_ended() {
            demo::happen(&mut model, event);
        }
        model
    });
}

#[test]
fn the_runs() {
    snap("history", |columns, rows| {
        let mut model = with_answer(columns, rows);
        press(&mut model, "5");
        model
    });
}

#[test]
fn the_choice_before_a_deploy() {
    snap("start", |columns, rows| {
        let mut model = model(demo::troubled(), columns, rows);
        press(&mut model, "jj Gd");
        assert_eq!(model.screen, Screen::Fleet);
        press(&mut model, "q");
        press(&mut model, "Ad");
        model
    });
}

#[test]
fn the_name_of_a_protected_host() {
    snap("type-name", |columns, rows| {
        let mut model = model(demo::troubled(), columns, rows);
        press(&mut model, "Gd\np5");
        model
    });
}

#[test]
fn the_plan() {
    snap("plan", |columns, rows| {
        let mut model = model(demo::troubled(), columns, rows);
        press(&mut model, "3");
        for event in demo::run_until_plan() {
            demo::happen(&mut model, event);
        }
        model
    });
}

#[test]
fn what_is_run_on_hosts_for_a_host() {
    snap("commands", |columns, rows| {
        let mut model = with_answer(columns, rows);
        press(&mut model, "3jjC");
        model
    });
}

#[test]
fn the_generations_of_a_host() {
    snap("generations", |columns, rows| {
        let mut model = model(demo::well(), columns, rows);
        press(&mut model, "jje");
        let found = Ok(two_generations());
        update(&mut model, Msg::Generations { host: "samsung".to_owned(), found }, now());
        press(&mut model, "j");
        model
    });
}

#[test]
fn the_question_whether_to_stop() {
    snap("cancel", |columns, rows| {
        let mut model = with_answer(columns, rows);
        press(&mut model, "x");
        model
    });
}

#[test]
fn the_question_when_quitting() {
    snap("quit", |columns, rows| {
        let mut model = with_answer(columns, rows);
        press(&mut model, "q");
        model
    });
}

#[test]
fn help_and_palette() {
    snap("help", |columns, rows| {
        let mut model = model(demo::troubled(), columns, rows);
        press(&mut model, "?");
        model
    });
    snap("help-signs-and-words", |columns, rows| {
        let mut model = model(demo::troubled(), columns, rows);
        press(&mut model, "?G");
        model
    });
    snap("palette", |columns, rows| {
        let mut model = model(demo::troubled(), columns, rows);
        press(&mut model, ":re");
        model
    });
}

#[test]
fn the_help_explains_every_sign_of_a_view() {
    // What separates words, cuts them, or draws lines and keys needs no explanation.
    let plain = "─│┌┐└┘┬├┤┼…·↑↓←→×▕▏“”";
    let mut seen = 0;
    for screen in ["1", "2", "3", "4", "5"] {
        let mut model = model(troubled_and_fetching(), 200, 50);
        press(&mut model, &format!("{screen}\n"));
        let shown = text(&draw(&model, &look(false)));
        let known: String = signs_in(model.screen).map(|one| one.name).collect();
        for sign in shown.chars().filter(|sign| !sign.is_ascii() && !plain.contains(*sign)) {
            let is_bar = ('▁'..='█').contains(&sign) && known.contains('▄')
                || ('█'..='▎').contains(&sign) && known.contains('▍');
            let turns = "◐◓◑◒".contains(sign) && known.contains('◐');
            assert!(known.contains(sign) || is_bar || turns, "{sign} in view {screen}\n{shown}");
            seen += 1;
        }
    }
    assert!(seen > 50, "only {seen} signs were seen");
}

#[test]
fn every_column_of_generations_has_a_heading_and_none_is_cut_where_it_is_narrow() {
    let mut model = model(demo::well(), 60, 15);
    press(&mut model, "jje");
    let mut list = two_generations();
    list.next_boot.system = list.running.clone();
    list.booted = list.running.clone();
    let found = Ok(list);
    update(&mut model, Msg::Generations { host: "samsung".to_owned(), found }, now());
    let shown = text(&draw(&model, &look(false)));
    let heading =
        shown.lines().find(|line| line.contains("GEN")).unwrap_or_else(|| panic!("{shown}"));
    assert!(heading.contains("IN USE") && heading.contains("MADE"), "{shown}");
    assert!(shown.contains("running, booted, next boot  2026-"), "{shown}");
    model.size = (120, 35);
    let shown = text(&draw(&model, &look(false)));
    assert!(
        shown.contains("NIXOS") && shown.contains("KERNEL") && shown.contains("SIZE"),
        "{shown}"
    );
}

#[test]
fn in_ascii_nothing_else_is_written() {
    let mut model = model(troubled_and_fetching(), 110, 30);
    press(&mut model, "G");
    let shown = text(&draw(&model, &look(true)));
    assert!(shown.is_ascii());
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("fleet-ascii", shown);
    });
}

#[test]
fn a_long_name_is_whole_where_the_terminal_is_wide() {
    let long = "a-host-with-a-rather-long-name-01";
    let mut fleet = (*demo::model(demo::well(), 200, 50).world.fleet).clone();
    fleet.hosts[0].name = long.to_owned();
    let model = demo::model_of(fleet, demo::well(), 200, 50);
    let shown = text(&draw(&model, &look(false)));
    let row =
        shown.lines().find(|line| line.contains("› a-host-")).unwrap_or_else(|| panic!("{shown}"));
    assert!(row.contains(long), "{shown}");
}

#[test]
fn a_row_dims_when_its_figures_are_older_than_thirty_seconds() {
    let dim = |seconds: i64| {
        let model = model(demo::well(), 80, 24);
        let later = now() + jiff::SignedDuration::from_secs(seconds);
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| view(&model, &look(false), frame, later)).unwrap();
        let cell = terminal.backend().buffer().cell((3, 6)).unwrap().clone();
        assert_eq!(cell.symbol(), "r");
        cell.modifier.contains(ratatui::style::Modifier::DIM)
    };
    assert!(!dim(20));
    assert!(dim(40));
}

#[test]
fn what_was_not_proven_is_never_green() {
    use crate::fleet::{Event, SignatureState, TierFacts, TierState};
    let facts = TierFacts {
        state: TierState::Up,
        signature: SignatureState::Unchecked,
        measured_at: Some(now()),
        ..Default::default()
    };
    let event = Event::Tier { tier: "p620".to_owned(), facts: Box::new(facts) };
    let mut model = model([event], 110, 30);
    press(&mut model, "2");
    let buffer = draw(&model, &look(false));
    assert!(text(&buffer).contains("● up"));
    assert!(buffer.content.iter().all(|cell| cell.fg != ratatui::style::Color::Green));
}

#[test]
fn a_healthy_fleet_is_almost_without_colour() {
    let mut events = demo::well();
    events.push(crate::fleet::Event::Host {
        host: "p510".to_owned(),
        facts: Box::new(crate::fleet::HostFacts {
            state: crate::fleet::HostState::Up,
            measured_at: Some(now()),
            ..Default::default()
        }),
    });
    let buffer = draw(&model(events, 110, 30), &look(false));
    let loud = |cell: &&ratatui::buffer::Cell| {
        use ratatui::style::Color;
        matches!(cell.fg, Color::Red | Color::Yellow | Color::Green)
    };
    let count = buffer.content.iter().filter(loud).count();
    assert!(count < 60, "{count} cells");
}

#[test]
fn what_a_host_runs_next_stands_beside_what_it_runs() {
    use crate::fleet::{Event, Fetched, NextCoverage, NextFacts, Share, StorePath};
    let top = "/nix/store/iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii-nixos-system-samsung-26.05.1.3f2c1ab";
    let found = NextCoverage {
        paths: Share { have: 1299, total: 1340 },
        bytes: None,
        measured_at: now() - jiff::SignedDuration::from_mins(4),
    };
    let facts = NextFacts {
        toplevel: StorePath::parse(top).ok(),
        known_at: Some(now() - jiff::SignedDuration::from_mins(5)),
        partial: true,
        to_build: Some(41),
        tiers: [("p620".to_owned(), found)].into(),
        ..NextFacts::default()
    };
    let shown = |facts: NextFacts, keys: &str| {
        let event = Event::Next { host: "samsung".to_owned(), facts: Box::new(facts) };
        let mut model = model(demo::well().into_iter().chain([event]), 200, 50);
        press(&mut model, keys);
        text(&draw(&model, &look(false)))
    };
    let details = shown(facts.clone(), "jj");
    assert!(details.contains("41 to build, evaluated 5 min ago, partial"), "{details}");
    let caches = shown(facts.clone(), "2");
    assert!(caches.contains("next 1 299 of 1 340 paths (partial, 4 min ago)"), "{caches}");
    let new = Some(Fetched { paths: 9, bytes: 214_000_000, timed: None });
    let built = NextFacts { partial: false, to_build: Some(0), new, ..facts };
    let details = shown(built, "jj");
    assert!(details.contains("built 5 min ago, 9 new paths, 214 MB"), "{details}");
}

#[test]
fn a_file_that_is_not_trusted_is_named_in_the_title() {
    let mut model = model(Vec::new(), 110, 30);
    model.world.fleet = std::sync::Arc::new(demo::fleet().untrusted("why".to_owned()));
    let shown = text(&draw(&model, &look(false)));
    let title = shown.lines().next().unwrap();
    assert!(title.contains("▲ hosts.toml is not trusted: run `nixdash trust`"), "{title}");
}
