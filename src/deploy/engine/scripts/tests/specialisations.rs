//! A host that runs a specialisation keeps running it: the same one of the new system.

use super::host::FolderHost;
use super::persisting::recover;
use crate::fleet::Code;

/// Finds which specialisation runs.
const FIND: &str = concat!(
    include_str!("../../../../probe/scripts/specialisations.sh"),
    "running_specialisation \"$1\"\n"
);

/// Makes a host that runs the specialisation `gaming` of its system.
fn host() -> FolderHost {
    let mut host = FolderHost::new();
    host.specialise("old", "gaming", "old-gaming");
    host.link("run/current-system", "old-gaming");
    host.link("etc/static", "old-gaming/etc");
    host.option("specialisation=gaming");
    host
}

#[test]
fn the_same_specialisation_of_the_new_system_is_activated_and_the_system_is_made_permanent() {
    let host = host();
    host.specialise("new", "gaming", "new-gaming");
    assert_eq!(host.deploy("commit").0, "switched", "{}", host.log());
    assert_eq!(host.systems(), ["new-gaming", "new", "new"]);
    assert_eq!(host.called(), ["new-gaming test", "new boot"]);
    host.assert_tidy();
}

#[test]
fn it_goes_back_to_the_specialisation() {
    let host = host();
    host.specialise("new", "gaming", "new-gaming");
    let (word, reason) = host.deploy("abort check-failed enough");
    assert_eq!(word, "rolled-back", "{reason}");
    assert_eq!(host.systems(), ["old-gaming", "old", "old"]);
    assert_eq!(host.called(), ["new-gaming test", "old-gaming test"]);
}

#[test]
fn a_new_system_without_it_is_not_begun() {
    let host = host();
    let (word, reason) = host.deploy("commit");
    assert_eq!((word.as_str(), host.code()), ("failed", Some(Code::SpecialisationMissing)));
    assert!(
        reason.contains("the specialisation gaming, which the new system does not have"),
        "{reason}"
    );
    assert!(host.called().is_empty());
}

#[test]
fn a_supervisor_that_was_killed_after_the_word_keeps_the_specialisation() {
    let host = host();
    host.specialise("new", "gaming", "new-gaming");
    let supervisor = host.supervise();
    host.wait_until("the activation", |host| host.result("activated").is_some());
    supervisor.kill();
    host.say("commit");
    assert_eq!(host.after().0, "switched", "{}", host.log());
    assert_eq!(host.systems(), ["new-gaming", "new", "new"]);
}

#[test]
fn a_power_cut_in_the_boot_menu_does_not_undo_a_running_specialisation() {
    let host = host();
    host.specialise("new", "gaming", "new-gaming");
    host.link("run/current-system", "new-gaming");
    host.set_profile(2, "new");
    std::fs::create_dir_all(host.path("nix/var/nixdash")).unwrap();
    let path = |system: &str| host.path(&format!("nix/store/{system}")).display().to_string();
    let intent = format!("boot\tsystem-1-link\t{}\t{}\n", path("old"), path("new"));
    host.write("nix/var/nixdash/intent", &intent);
    assert!(recover(&host).contains("and boots it"));
    assert_eq!(host.systems(), ["new-gaming", "new", "new"]);
}

#[test]
fn which_specialisation_of_which_system_runs_is_found() {
    let host = host();
    let path = |system: &str| host.path(&format!("nix/store/{system}")).display().to_string();
    assert_eq!(host.run(FIND, &[&path("old-gaming")]), format!("{}\tgaming\n", path("old")));
    assert_eq!(host.run(FIND, &[&path("old")]), "", "an ordinary system");
    assert_eq!(host.run(FIND, &[&path("new")]), "", "a system of no generation");
    assert_eq!(host.run(FIND, &[""]), "", "no system at all");
    // The system it belongs to is an older generation: a newer one is what boots.
    host.set_profile(2, "new");
    assert_eq!(host.run(FIND, &[&path("old-gaming")]), format!("{}\tgaming\n", path("old")));
}
