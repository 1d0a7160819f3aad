//! Hosts, tiers and runs by what their columns show.

use crate::dash::demo::{self, model, now};
use crate::dash::tests::keys::press;
use crate::dash::tests::problems::{large, selected};
use crate::dash::tests::screens::{draw, look, text};
use crate::dash::{HostSort, Model, Msg, TierSort, update};
use crate::fleet::{Bytes, Event, RunWhat};
use jiff::SignedDuration;

/// Returns the names of the first hosts on the screen.
fn first(model: &Model, count: usize) -> Vec<&str> {
    let hosts = model.visible_hosts().into_iter().take(count);
    hosts.map(|at| model.world.fleet.hosts[at].name.as_str()).collect()
}

/// Presses the key that sorts until hosts are sorted so.
fn sort_by(model: &mut Model, by: HostSort) {
    for _ in 0..20 {
        if model.fleet.sorting.by() == by {
            return;
        }
        press(model, "s");
    }
    unreachable!("no column of this size sorts by {by:?}");
}

fn heads(model: &Model) -> String {
    let shown = text(&draw(model, &look(false)));
    shown.lines().find(|line| line.contains("STATE")).unwrap_or_default().to_owned()
}

#[test]
fn a_key_sorts_by_each_column_that_is_shown_and_then_as_in_the_file_again() {
    use HostSort as S;
    let mut model = large(110, 30, "");
    let mut seen = Vec::new();
    for _ in 0..11 {
        seen.push(model.fleet.sorting.by());
        press(&mut model, "s");
    }
    let shown = [S::Generation, S::Load, S::Memory, S::Free, S::Age];
    assert!(!seen.contains(&S::Behind), "it is known of no host");
    assert_eq!(seen[..3], [S::File, S::Problems, S::Name]);
    assert!(shown.iter().all(|by| seen.contains(by)), "{seen:?}");
    assert_eq!(seen.iter().filter(|by| **by == S::Load).count(), 1, "its graph is no other order");
    assert_eq!(seen.iter().filter(|by| **by == S::File).count(), 2, "{seen:?}");
}

#[test]
fn the_head_of_the_sorted_column_has_a_sign_and_no_title_moves() {
    for columns in [200, 110, 80, 60] {
        let mut model = large(columns, 30, "");
        let plain = heads(&model);
        for _ in 0..16 {
            press(&mut model, "s");
            for _ in 0..2 {
                press(&mut model, "S");
                let signed = heads(&model);
                let signs = signed.chars().filter(|c| matches!(c, '▴' | '▾')).count();
                let wanted = usize::from(model.fleet.sorting.by() != HostSort::File);
                assert_eq!(signs, wanted, "{:?} in {signed}", model.fleet.sorting.by());
                assert_eq!(signed.replace(['▴', '▾'], " ").trim_end(), plain);
            }
        }
    }
    let mut model = large(110, 30, "");
    sort_by(&mut model, HostSort::Free);
    assert!(heads(&model).contains("▴/NIX FREE"), "{}", heads(&model));
    press(&mut model, "S");
    assert!(heads(&model).contains("▾/NIX FREE"), "{}", heads(&model));
    let said = &model.toast.as_ref().unwrap().text;
    assert_eq!(said, "hosts by free room below /nix, the most on top");
}

#[test]
fn what_is_not_known_is_last_in_both_directions_and_the_selection_stays_with_its_host() {
    let mut model = large(110, 30, "jj");
    model.world.hosts[7].facts.memory = None;
    model.world.hosts[9].facts.memory = Some(Bytes { used: 99, total: 100 });
    sort_by(&mut model, HostSort::Memory);
    assert_eq!(first(&model, 1), ["rack01-9"]);
    assert_eq!(model.visible_hosts().last(), Some(&7));
    press(&mut model, "S");
    assert_eq!(model.visible_hosts()[148..], [9, 7]);
    assert_eq!(selected(&model), "rack01-2");
}

#[test]
fn rows_do_not_move_under_a_person_who_presses_keys() {
    let mut model = model(demo::well(), 110, 30);
    sort_by(&mut model, HostSort::Load);
    let before = model.visible_hosts();
    let last = *before.last().unwrap();
    model.world.hosts[last].facts.load1 = Some(99.0);
    let at = |seconds| now() + SignedDuration::from_secs(seconds);
    update(&mut model, Msg::Tick, at(4));
    assert_eq!(model.visible_hosts(), before, "the order is 4 s old");
    press(&mut model, "j");
    model.last_key = Some(at(5));
    update(&mut model, Msg::Tick, at(6));
    assert_eq!(model.visible_hosts(), before, "a key was pressed 1 s ago");
    model.take_dirty();
    update(&mut model, Msg::Tick, at(7));
    assert_eq!(model.visible_hosts()[0], last);
    assert!(model.take_dirty(), "what moved is drawn");
}

#[test]
fn tiers_are_sorted_by_what_is_wrong_and_by_their_columns() {
    let mut model = model(demo::troubled(), 110, 30);
    press(&mut model, "2s");
    let name = |at: usize| model.world.fleet.tiers[at].name.clone();
    assert_eq!(name(model.visible_tiers()[0]), "community", "it refuses the password");
    while model.caches.sorting.by() != TierSort::Latency {
        press(&mut model, "s");
    }
    assert!(heads(&model).contains("▾LATENCY"), "{}", heads(&model));
    let latency = |at: &usize| model.world.tiers[*at].facts.latency_ms;
    let shown: Vec<_> = model.visible_tiers().iter().map(latency).collect();
    let known: Vec<f64> = shown.iter().copied().flatten().collect();
    assert!(known.is_sorted_by(|one, other| one >= other) && known.len() > 1, "{shown:?}");
    assert!(shown[known.len()..].iter().all(Option::is_none), "{shown:?}");
    assert!(text(&draw(&model, &look(false))).contains("tiers by latency, the slowest on top"));
}

#[test]
fn runs_are_sorted_by_how_long_they_took_and_one_that_goes_on_is_last() {
    let begin = |run: &str, at| {
        demo::run_event(run, at, RunWhat::begin(vec!["razer".to_owned()], "switch".to_owned()))
    };
    let end = |run: &str, duration_ms| {
        let what = RunWhat::Summary { outcomes: [].into(), duration_ms, findings: Vec::new() };
        demo::run_event(run, 40, what)
    };
    let events: Vec<Event> =
        vec![begin("1", 300), begin("2", 200), begin("3", 100), end("1", 90_000), end("2", 7_000)];
    let mut model = model(events, 110, 30);
    let shown = |model: &Model| {
        let runs = model.visible_runs().into_iter().map(|at| model.world.runs[at].id.0.clone());
        runs.collect::<Vec<_>>().join(" ")
    };
    press(&mut model, "5");
    assert_eq!(shown(&model), "3 2 1", "the newest first");
    press(&mut model, "S");
    assert_eq!(shown(&model), "1 2 3");
    press(&mut model, "s");
    assert_eq!(shown(&model), "1 2 3", "the longest first");
    press(&mut model, "S");
    assert_eq!(shown(&model), "2 1 3");
    assert!(text(&draw(&model, &look(false))).contains("TOOK▴"));
}

#[test]
fn a_host_whose_figures_are_old_says_so_by_their_age() {
    use crate::dash::{Depth, Look, Theme};
    let mut model = model(demo::well(), 110, 30);
    let theme = Theme::named("terminal").unwrap();
    let look = Look::new(theme, Depth::Ansi16, false, jiff::tz::TimeZone::UTC);
    let age_of_razer = |model: &Model| {
        let drawn = draw(model, &look);
        let shown = text(&drawn);
        let row = shown.lines().position(|line| line.contains("razer")).unwrap() as u16;
        let end = shown.lines().nth(row.into()).unwrap().chars().count() as u16 - 1;
        drawn[(end, row)].fg
    };
    let plain = age_of_razer(&model);
    model.world.hosts[1].facts.measured_at = Some(demo::ago_s(90));
    let warn = look.style(crate::dash::Role::Warn).fg.unwrap();
    assert_ne!(plain, warn);
    assert_eq!(age_of_razer(&model), warn);
}

/// Points at a word of the line of headings.
fn point_at(model: &mut Model, word: &str) -> bool {
    let shown = text(&draw(model, &look(false)));
    let row = shown
        .lines()
        .position(|line| line.contains("TIER") || line.contains("HOST ") || line.contains("WHAT"))
        .unwrap();
    let line = shown.lines().nth(row).unwrap();
    let column = line[..line.find(word).unwrap()].chars().count();
    crate::dash::sort_at(model, column as u16, row as u16, now())
}

#[test]
fn a_heading_that_is_pointed_at_sorts_and_turns_the_second_time() {
    let mut model = large(110, 30, "/rack\n");
    assert!(point_at(&mut model, "/NIX"));
    assert_eq!(model.fleet.sorting.by(), HostSort::Free);
    assert_eq!(first(&model, 1), ["rack03-6"], "it has least");
    assert!(point_at(&mut model, "/NIX"));
    assert_eq!(model.visible_hosts().last(), Some(&146), "and now it is among the last");
    assert!(!crate::dash::sort_at(&mut model, 0, 5, now()), "beside the headings");
    press(&mut model, "2");
    assert!(point_at(&mut model, "LATENCY"));
    assert_eq!(model.caches.sorting.by(), TierSort::Latency);
    assert!(
        point_at(&mut model, "rack15-9"),
        "a host's column sorts tiers by what they hold of it"
    );
    assert_eq!(model.caches.sorting.by(), TierSort::Host(149));
    press(&mut model, "?");
    assert!(!point_at_row(&mut model), "below an overlay nothing is pointed at");
}

fn point_at_row(model: &mut Model) -> bool {
    crate::dash::sort_at(model, 4, 4, now())
}
