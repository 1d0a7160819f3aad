//! Why a host did not get its system: read without scrolling, with what to do and the keys that do it.

use crate::dash::demo::{self, DemoFailure, model, now};
use crate::dash::tests::keys::press;
use crate::dash::tests::screens::{draw, look, snap, text};
use crate::dash::{Effect, Model, Msg, Overlay, update};
use crate::fleet::{Code, Outcome};

/// Returns a screen on a run in which the failures at these places of the list befell these hosts.
fn screen(hosts: &[(&str, usize)], columns: u16, rows: u16) -> Model {
    let all = demo::failures();
    let hosts: Vec<_> = hosts.iter().map(|(host, at)| (*host, &all[*at])).collect();
    let mut events = demo::well();
    events.extend(demo::failed("52", &hosts));
    let mut model = model(events, columns, rows);
    press(&mut model, "3");
    model
}

/// Returns what is drawn as one line, as a person reads it who goes on at the left of the next row.
fn read(model: &Model) -> String {
    let shown = text(&draw(model, &look(false)));
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_reason_is_read_in_whole_with_what_to_do_and_its_keys() {
    for (at, failure) in demo::failures().iter().enumerate() {
        for (columns, rows) in [(80, 24), (120, 35), (200, 50)] {
            let shown = read(&screen(&[("samsung", at)], columns, rows));
            for (code, said) in &failure.said {
                // Where a store path is shortened, its name is left.
                let words = said.split_whitespace().filter(|word| !word.contains("/nix/store/"));
                let last = words.clone().next_back().unwrap();
                assert!(shown.contains(last), "{last}: {shown}");
                assert!(shown.contains(&format!("[{code}]")), "{code}: {shown}");
            }
            let fix = failure.said[0].0.fix();
            assert!(shown.contains(&format!("to do: {fix}")), "{fix}: {shown}");
            assert!(shown.contains("enter log at the error"), "{shown}");
            assert!(shown.contains("y copy the error"), "{shown}");
            let retried = !failure.outcome.is_good();
            assert_eq!(shown.contains("t try again"), retried, "{shown}");
            assert!(shown.contains("d deploy again"), "{shown}");
            let leaves = failure.outcome.is_new_system();
            assert_eq!(shown.contains("e roll back"), leaves, "{shown}");
        }
    }
}

#[test]
fn the_first_error_stands_before_what_going_back_met() {
    let check = demo::failures().iter().position(|it| it.said.len() == 2).unwrap();
    let shown = read(&screen(&[("samsung", check)], 80, 24));
    let first = shown.find("a check did not hold").unwrap();
    assert!(first < shown.find("Then, going back: its profile").unwrap(), "{shown}");
}

#[test]
fn in_a_corner_of_tmux_the_error_takes_the_place_of_the_log() {
    let shown = read(&screen(&[("samsung", 5)], 40, 10));
    let all = "nobody reached the host within 15 s of its activation; it is back on the previous system [network-lost]";
    assert!(shown.contains(all), "{shown}");
    assert!(!shown.contains('…'), "{shown}");
}

#[test]
fn a_host_that_needs_a_reboot_says_which_system_it_boots() {
    let at = demo::failures().iter().position(|it| it.outcome == Outcome::NeedsReboot).unwrap();
    let shown = read(&screen(&[("samsung", at)], 80, 24));
    assert!(shown.contains("the new system is installed and starts at the next reboot"), "{shown}");
}

#[test]
fn the_reason_is_copied_as_it_was_told_and_generations_lead_back() {
    let all = demo::failures();
    let mut model = screen(&[("samsung", 0)], 80, 24);
    let copied = press(&mut model, "y");
    let [Effect::Copy { text: copied, .. }] = &copied[..] else { panic!("{copied:?}") };
    assert!(copied.starts_with(all[0].said[0].1), "{copied}");
    assert_eq!(press(&mut model, "e"), [], "nothing was changed on it");
    let degraded = all.iter().position(|it| it.outcome == Outcome::Degraded).unwrap();
    let mut model = screen(&[("samsung", degraded)], 80, 24);
    let asked = press(&mut model, "e");
    assert_eq!(asked, [Effect::ListGenerations { host: "samsung".to_owned() }]);
    assert!(matches!(model.overlay(), Some(Overlay::Generations(_))));
}

#[test]
fn the_details_of_a_host_whose_last_run_failed_say_why_first() {
    for (columns, rows) in [(80, 24), (100, 30)] {
        let mut model = screen(&[("samsung", 4)], columns, rows);
        press(&mut model, "1jj\n");
        let shown = read(&model);
        let why =
            shown.find("✗ last run #52 rolled back in 5.1 s").unwrap_or_else(|| panic!("{shown}"));
        assert!(why < shown.find("reach").unwrap(), "{shown}");
        assert!(shown.contains("unknown state version 9"), "{shown}");
        assert!(shown.contains("l its log at the error · d deploy again"), "{shown}");
        assert!(!shown.contains("roll back"), "it runs what it ran before: {shown}");
    }
}

#[test]
fn a_flake_that_changed_since_the_run_comes_before_the_old_system() {
    let mut model = screen(&[("samsung", 0)], 80, 24);
    let deployed = model.shown_run().unwrap().plan.as_ref().unwrap().revision.clone();
    update(&mut model, Msg::Revision(deployed), now());
    assert!(read(&model).contains("t try again d deploy again"), "{}", read(&model));
    update(&mut model, Msg::Revision(Some("91aa00c".to_owned())), now());
    let ways = "d deploy the changed flake t try the old system again";
    assert!(read(&model).contains(ways), "{}", read(&model));
}

#[test]
fn a_run_in_which_units_failed_leads_to_their_journals() {
    let units = |it: &DemoFailure| it.said[0].0 == Code::UnitsFailed;
    let at = demo::failures().iter().position(units).unwrap();
    let mut model = screen(&[("samsung", at)], 80, 24);
    assert!(read(&model).contains("u units and their journals"), "{}", read(&model));
    assert_eq!(press(&mut model, "u"), [Effect::ListUnits { host: "samsung".to_owned() }]);
    assert_eq!(press(&mut screen(&[("samsung", 0)], 80, 24), "u"), [], "no unit failed there");
}

#[test]
fn one_host_that_failed() {
    snap("deploy-why", |columns, rows| screen(&[("samsung", 0)], columns, rows));
}

#[test]
fn three_hosts_that_failed() {
    snap("deploy-why-three", |columns, rows| {
        let mut model = screen(&[("p620", 0), ("razer", 4), ("samsung", 2)], columns, rows);
        press(&mut model, "j");
        model
    });
}
