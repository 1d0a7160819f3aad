//! What keys do: keys in, effects and model out.

use crate::dash::demo::{self, model, now, run_event};
use crate::dash::demo_tiers;
use crate::dash::tests::screens::{draw, look, text};
use crate::dash::{Effect, Model, Msg, Overlay, Screen, Trend, status_line, update};
use crate::fleet::{Event, RunId, RunWhat};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::BTreeMap;

/// Presses keys: characters as they are, `\n` enter, `\t` tab, `\x1b` escape, `\x03` ctrl-c.
pub(super) fn press(model: &mut Model, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for c in keys.chars() {
        let key = match c {
            '\n' => KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE),
            '\t' => KeyEvent::new(KeyCode::Tab, KeyModifiers::NONE),
            '\u{1b}' => KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE),
            '\u{3}' => KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL),
            '\u{8}' => KeyEvent::new(KeyCode::Backspace, KeyModifiers::NONE),
            c => KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE),
        };
        effects.extend(update(model, Msg::Key(key), now()));
    }
    effects
}

pub(super) fn fold(model: &mut Model, events: impl IntoIterator<Item = Event>) -> Vec<Effect> {
    events.into_iter().flat_map(|event| demo::happen(model, event)).collect()
}

pub(super) fn id(text: &str) -> RunId {
    RunId(text.to_owned())
}

#[test]
fn quitting_without_a_run_asks_nothing() {
    let mut model = model(demo::well(), 80, 24);
    assert_eq!(press(&mut model, "q"), [Effect::Quit { cancel: vec![] }]);
    assert_eq!(press(&mut model, "\u{3}"), [Effect::Quit { cancel: vec![] }]);
}

#[test]
fn quitting_with_a_run_asks_what_becomes_of_it() {
    let mut events = demo::run_until_plan();
    events.push(run_event("41", 40, RunWhat::Plan { plan: demo::plan(), waits: false }));
    let mut model = model(events, 80, 24);
    assert_eq!(press(&mut model, "q"), []);
    assert_eq!(model.overlay(), Some(&Overlay::Quit));
    assert_eq!(press(&mut model, "\u{1b}"), []);
    assert_eq!(press(&mut model, "qq"), [Effect::Quit { cancel: vec![] }]);
    model.close();
    assert_eq!(press(&mut model, "qx"), [Effect::Quit { cancel: vec![id("41")] }]);
}

#[test]
fn quitting_answers_no_to_a_plan_that_nobody_can_answer_any_more() {
    let mut model = model(demo::run_until_plan(), 80, 24);
    let effects = press(&mut model, "q\n");
    let answer = Effect::Answer { run: id("41"), yes: false };
    assert_eq!(effects, [answer, Effect::Quit { cancel: vec![] }]);
}

#[test]
fn a_host_that_no_run_had_says_so_when_its_log_is_asked_for() {
    let mut model = model(demo::well(), 80, 24);
    press(&mut model, "l");
    assert_eq!(model.screen, Screen::Fleet);
    let said = model.toast.as_ref().unwrap().text.as_str();
    assert!(said.starts_with("no log of p620 yet"), "{said}");
}

#[test]
fn the_flake_is_named_below_the_persons_home() {
    for (home, shown) in
        [("/home/me", "~/nixos"), ("/home/me/", "~/nixos"), ("/home/m", "/home/me/nixos")]
    {
        let fleet =
            crate::fleet::Fleet { flake: Some("/home/me/nixos".to_owned()), ..demo::fleet() };
        let model = Model::new(std::sync::Arc::new(fleet), now()).with_home(home);
        assert_eq!(model.world.flake.as_deref(), Some(shown));
    }
}

#[test]
fn every_overlay_in_which_nothing_is_typed_closes_with_q() {
    for keys in ["?", "L", "Ad", "3o", "3x", "q"] {
        let mut model = model(demo::run_until_plan(), 80, 24);
        press(&mut model, keys);
        assert!(model.overlay().is_some(), "{keys}");
        let quits = press(&mut model, "q").iter().any(|e| matches!(e, Effect::Quit { .. }));
        assert!(model.overlay().is_none() || (quits && keys == "q"), "{keys}");
    }
}

#[test]
fn every_key_that_the_footer_shows_does_something() {
    use crate::dash::able::available;
    let mut events = demo::troubled();
    events.extend(demo::run_until_plan());
    events.extend(demo::run_in_fetch());
    for view in
        ["1\n", "2\n", "1", "2", "3", "4", "5", "1?", "1d", "3x", "1/", "1:", "1L", "1q", "3o"]
    {
        let mut before = model(events.clone(), 80, 24);
        press(&mut before, view);
        for entry in available(&before).filter(|entry| entry.label.is_some()) {
            let mut after = before.clone();
            let key = match entry.keys[0] {
                crate::dash::Key::Char(c) => KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE),
                crate::dash::Key::Ctrl(c) => KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL),
                crate::dash::Key::Code(code) => KeyEvent::new(code, KeyModifiers::NONE),
            };
            let effects = update(&mut after, Msg::Key(key), now());
            let state = |model: &Model| {
                let toast = model.toast.clone();
                format!("{:?}", (model.screen, model.overlay(), &model.prompt, toast, &model.log))
                    + &format!(
                        "{:?}",
                        (
                            model.zoom,
                            model.deploy.host,
                            &model.fleet.marked,
                            model.fleet.selected,
                            model.caches.selected
                        )
                    )
            };
            let stays = state(&before) == state(&after) && effects.is_empty();
            assert!(!stays, "{} in {view:?}", entry.name);
        }
    }
}

#[test]
fn the_filter_narrows_and_escape_widens() {
    let mut model = model(demo::well(), 80, 24);
    press(&mut model, "/laptop\n");
    assert_eq!(model.visible_hosts(), [1, 2]);
    assert_eq!(model.selected().map(|(host, _)| host.name.as_str()), Some("razer"));
    press(&mut model, "Ad\n");
    assert_eq!(model.world.starting.as_ref().unwrap().hosts, ["razer", "samsung"]);
    press(&mut model, "1/\u{8}\u{1b}");
    assert_eq!(model.fleet.filter.text(), "laptop", "escape keeps the filter as it was");
    press(&mut model, "\u{1b}");
    assert_eq!(model.visible_hosts().len(), 4);
}

#[test]
fn r_measures_the_selected_host_and_ctrl_r_everything() {
    let mut model = model(demo::well(), 80, 24);
    let ctrl_r = KeyEvent::new(KeyCode::Char('r'), KeyModifiers::CONTROL);
    assert_eq!(press(&mut model, "r"), [Effect::Probe { hosts: vec!["p620".to_owned()] }]);
    assert_eq!(update(&mut model, Msg::Key(ctrl_r), now()), [Effect::Probe { hosts: vec![] }]);
    assert_eq!(press(&mut model, "2r"), [Effect::Probe { hosts: vec![] }]);
}

#[test]
fn the_palette_does_what_its_row_says() {
    let mut model = model(demo::well(), 80, 24);
    press(&mut model, ":cach\n");
    assert_eq!(model.screen, Screen::Caches);
    assert_eq!(press(&mut model, ":quit\n"), [Effect::Quit { cancel: vec![] }]);
    press(&mut model, ":q");
    assert_eq!(press(&mut model, "\u{3}"), []);
    assert_eq!(model.overlay(), None);
}

#[test]
fn time_alone_redraws_only_when_an_age_reads_differently() {
    let mut model = model(demo::well(), 80, 24);
    update(&mut model, Msg::Tick, now());
    model.take_dirty();
    update(&mut model, Msg::Tick, now());
    assert!(!model.take_dirty());
    update(&mut model, Msg::Tick, now() + jiff::SignedDuration::from_secs(1));
    assert!(!model.take_dirty(), "from 2 to 3 s, which both read as now");
    update(&mut model, Msg::Tick, now() + jiff::SignedDuration::from_secs(4));
    assert!(model.take_dirty());
}

#[test]
fn the_status_line_is_short_and_says_what_is_bad() {
    let model = model(demo::troubled(), 80, 24);
    let names = || model.world.fleet.hosts.iter().map(|host| host.name.clone());
    let hosts: BTreeMap<_, _> =
        names().zip(model.world.hosts.iter().map(|host| host.facts.clone())).collect();
    let coverage: BTreeMap<_, _> =
        names().zip(model.world.hosts.iter().map(|host| host.coverage.clone())).collect();
    let tiers: BTreeMap<_, _> = model
        .world
        .fleet
        .tiers
        .iter()
        .map(|tier| tier.name.clone())
        .zip(model.world.tiers.iter().map(|tier| tier.facts.clone()))
        .collect();
    let line = status_line(&model.world.fleet, &hosts, &tiers, &coverage);
    assert_eq!(line, "2● 1▲ 1○ 1 boots another p620 98% community ▲ unauthorized");
    let nothing =
        status_line(&model.world.fleet, &BTreeMap::new(), &BTreeMap::new(), &BTreeMap::new());
    assert_eq!(nothing, "4– p620 –");
    let (fleet, events) = demo_tiers::every_trouble();
    let model = demo::model_of(fleet, events, 80, 24);
    let facts = model.world.tiers.iter().map(|tier| tier.facts.clone());
    let tiers = model.world.fleet.tiers.iter().map(|tier| tier.name.clone()).zip(facts).collect();
    let line = status_line(&model.world.fleet, &BTreeMap::new(), &tiers, &BTreeMap::new());
    let few = "slow ▲ slow, degraded ▲ degraded, unauthorized ▲ unauthorized, +8▲";
    assert_eq!(line, format!("4– {few}"));
}

#[test]
fn what_was_measured_before_the_screen_stands_before_what_is_measured_now() {
    let mut model = model(demo::well(), 80, 24);
    let kept = model.world.tiers[0].latencies.clone();
    assert!(!kept.is_empty());
    let earlier: Vec<f64> = (0..100).map(f64::from).collect();
    let trends = vec![
        Trend::TierLatency("p620".to_owned(), earlier.clone()),
        Trend::HostLoad("samsung".to_owned(), earlier),
        Trend::HostLoad("nobody".to_owned(), vec![1.0]),
    ];
    update(&mut model, Msg::Trends(trends), now());
    let shown = &model.world.tiers[0].latencies;
    assert_eq!(shown.len(), crate::dash::world::HISTORY);
    assert!(shown.iter().rev().zip(kept.iter().rev()).all(|(a, b)| a.to_bits() == b.to_bits()));
    assert!((shown[shown.len() - kept.len() - 1] - 99.0).abs() < 1e-9);
    assert_eq!(model.world.hosts[2].loads.len(), crate::dash::world::HISTORY);
}

#[test]
fn keys_of_hosts_toml_are_pressed_and_shown_and_the_usual_ones_do_nothing() {
    use crate::dash::tests::screens::{draw, look, text};
    let lines = "[keys]\ndeploy = \"D\"\nhelp = [\"f1\", \"?\"]\nbuild = \"none\"\n";
    let fleet = crate::config::parse(lines, std::path::Path::new("hosts.toml"), None).unwrap();
    let (keymap, mistakes) = crate::dash::Keymap::of(&fleet);
    assert_eq!(mistakes, []);
    let mut model = model(demo::well(), 110, 30).with_keys(keymap);
    let shown = text(&draw(&model, &look(false)));
    assert!(shown.contains(" D deploy ") && shown.contains(" f1 help"), "{shown}");
    assert!(!shown.contains(" build"), "{shown}");
    press(&mut model, "db");
    assert_eq!(model.overlay(), None);
    press(&mut model, "?");
    let shown = text(&draw(&model, &look(false)));
    assert!(shown.contains("│ D  ") && shown.contains("│ :build"), "{shown}");
    press(&mut model, "q:build");
    assert!(text(&draw(&model, &look(false))).contains("› command  build"));
    press(&mut model, "\u{1b}D");
    assert!(matches!(model.overlay(), Some(Overlay::Start(_))));
    press(&mut model, "\u{1b}l");
    let said = model.toast.as_ref().unwrap().text.as_str();
    assert!(said.ends_with("D deploys, :build builds"), "{said}");
}

#[test]
fn every_sentence_names_the_keys_that_hosts_toml_gives() {
    use crate::dash::tests::screens::{draw, look, text};
    let lines = "[keys]\nfleet = \"f1\"\ndeploy = \"f2\"\nbuild = \"f3\"\nfreeze = \"f4\"\n\
        hide-next-try = \"f5\"\ncaches = \"f6\"\nback = \"f7\"\n";
    let fleet = crate::config::parse(lines, std::path::Path::new("hosts.toml"), None).unwrap();
    let keymap = || {
        let (keymap, mistakes) = crate::dash::Keymap::of(&fleet);
        assert_eq!(mistakes, []);
        keymap
    };
    let mut model = model(demo::well(), 130, 30)
        .with_practice(Some(crate::dash::Practice::default()))
        .with_keys(keymap());
    update(&mut model, Msg::Revision(Some("3f2c1ab".to_owned())), now());
    update(&mut model, Msg::Revision(Some("91aa00c".to_owned())), now());
    let shown = |model: &Model| text(&draw(model, &look(false)));
    assert!(shown(&model).contains("Try next: press f2 on"), "{}", shown(&model));
    assert!(shown(&model).contains("f5 hides this"), "{}", shown(&model));
    press(&mut model, "5");
    let empty = "Press f1 for the fleet, then f2 to deploy or f3 to build";
    assert!(shown(&model).contains(empty), "{}", shown(&model));
    press(&mut model, "4");
    assert!(shown(&model).contains("Press f1 for the fleet, then f2 to deploy."));
    let key = |code| Msg::Key(crossterm::event::KeyCode::F(code).into());
    update(&mut model, key(1), now());
    press(&mut model, "/p620\n");
    assert!(shown(&model).contains("; f7 shows all"), "{}", shown(&model));
    update(&mut model, key(4), now());
    assert!(shown(&model).contains(": f4 goes on"), "{}", shown(&model));
}

/// Returns the first line of the page of help that is seen.
fn help_scroll(model: &Model) -> u16 {
    let Some(Overlay::Help { scroll }) = model.overlay() else { return u16::MAX };
    *scroll
}

#[test]
fn what_is_read_goes_no_further_than_its_end_and_comes_back_with_the_first_key() {
    let key = |model: &mut Model, code| {
        update(model, Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)), now());
    };
    let mut model = model(demo::well(), 80, 24);
    press(&mut model, "?");
    for _ in 0..30 {
        key(&mut model, KeyCode::PageDown);
    }
    let end = help_scroll(&model);
    press(&mut model, "G");
    assert_eq!(help_scroll(&model), end);
    press(&mut model, "j");
    assert_eq!(help_scroll(&model), end);
    let before = text(&draw(&model, &look(false)));
    press(&mut model, "k");
    assert_eq!(help_scroll(&model), end - 1);
    assert_ne!(text(&draw(&model, &look(false))), before);
    key(&mut model, KeyCode::PageUp);
    assert!(help_scroll(&model) < end - 1);
    // More of it is seen on a larger screen, and there too the first key moves it.
    press(&mut model, "G");
    update(&mut model, Msg::Resize(80, 40), now());
    let before = text(&draw(&model, &look(false)));
    press(&mut model, "k");
    assert_ne!(text(&draw(&model, &look(false))), before);
}
