//! The first screen of who has no hosts.toml: what was found, and what to do.

use crate::dash::demo::{model, now};
use crate::dash::tests::keys::press;
use crate::dash::tests::screens::{draw, look, snap, text};
use crate::dash::{
    Effect, FirstStep, FlakeHere, FoundPart, MachineHere, Model, Msg, Overlay, update,
};

fn opened(columns: u16, rows: u16) -> Model {
    model([], columns, rows).with_first_steps()
}

fn found(columns: u16, rows: u16) -> Model {
    let mut model = opened(columns, rows);
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let machine = MachineHere {
        name: Some("p620".to_owned()),
        system: "x86_64-linux".to_owned(),
        is_nixos: true,
        nix: Some("Nix 2.31.2".to_owned()),
    };
    for part in [
        FoundPart::Machine(machine),
        FoundPart::Flake(FlakeHere::Hosts(names(&["p620", "razer", "samsung"]))),
        FoundPart::SshHosts(Ok(names(&["p620", "nas"]))),
        FoundPart::Caches(Ok(names(&["https://cache.nixos.org", "http://p620.lan:5000"]))),
    ] {
        update(&mut model, Msg::Found(part), now());
    }
    model
}

#[test]
fn first_steps_with_what_was_found() {
    snap("first-steps", found);
}

#[test]
fn what_is_still_looked_for_is_no_answer() {
    let shown = text(&draw(&opened(80, 24), &look(false)));
    assert_eq!(shown.matches("looking …").count(), 4, "{shown}");
    let mut model = opened(80, 24);
    let why = "Nix could not read the flake from what is on this machine: no network".to_owned();
    update(&mut model, Msg::Found(FoundPart::Flake(FlakeHere::Unknown(why))), now());
    update(&mut model, Msg::Found(FoundPart::SshHosts(Ok(Vec::new()))), now());
    let shown = text(&draw(&model, &look(false)));
    assert!(shown.contains("its hosts are not known yet, because Nix could not"), "{shown}");
    assert!(shown.contains("none in ~/.ssh/config"), "{shown}");
}

#[test]
fn a_key_ends_the_dashboard_for_the_step_that_it_names() {
    for (key, step) in [("i", FirstStep::Init), ("l", FirstStep::Lab)] {
        let mut model = found(80, 24);
        assert_eq!(press(&mut model, key), [Effect::Quit { cancel: Vec::new() }]);
        assert_eq!(model.first_step, Some(step));
    }
}

#[test]
fn nothing_is_begun_where_nothing_may_be_changed() {
    let mut model = found(80, 24);
    let mut fleet = (*model.world.fleet).clone();
    fleet.read_only = true;
    model.world.fleet = std::sync::Arc::new(fleet);
    assert_eq!(press(&mut model, "i"), []);
    assert_eq!(model.first_step, None);
    assert!(model.toast.is_some_and(|toast| toast.text.contains("--read-only")));
}

#[test]
fn esc_leads_to_this_machine_and_a_key_back() {
    let mut model = found(80, 24);
    press(&mut model, "\u{1b}");
    assert_eq!(model.overlay(), None);
    assert!(text(&draw(&model, &look(false))).contains("i first steps"));
    press(&mut model, "i");
    assert!(matches!(model.overlay(), Some(Overlay::FirstSteps { .. })));
    let mut other = crate::dash::demo::model([], 80, 24);
    press(&mut other, "i");
    assert_eq!(other.overlay(), None, "who has a file is shown none of it");
}
