//! What boots next, as the files of a boot loader say.

use super::host::FolderHost;
use std::process::Command;

/// Returns what a host boots next.
fn next_boot(host: &FolderHost) -> String {
    let facts = include_str!("../../../../probe/scripts/host-facts.sh");
    let asked = format!("root='{}'\n{facts}\nnext_boot", host.path("").display());
    let output = Command::new("/bin/sh").args(["-c", &asked]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_entry_of_systemd_boot_starts_the_last_system_that_its_options_name() {
    let host = FolderHost::new();
    host.write("boot/loader/loader.conf", "timeout 5\ndefault\ndefault\tnew.conf\t\r\n");
    for (entry, system) in [
        ("title x\noptions init=/nix/store/a/init quiet\n", "/nix/store/a"),
        ("options\tquiet init=/nix/store/a/init", "/nix/store/a"),
        ("options quiet\noptions rdinit=/x/init init=/nix/store/b/init\n", "/nix/store/b"),
        ("options init=/nix/store/a/init * init=/nix/store/b/init\n", "/nix/store/b"),
        ("title x\r\noptions init=/nix/store/a/init\r\n", "/nix/store/a"),
    ] {
        host.write("boot/loader/entries/new.conf", entry);
        assert_eq!(next_boot(&host), format!("{system}\t\n"), "{entry:?}");
    }
    host.write("boot/loader/entries/new.conf", "options quiet\n");
    assert_eq!(next_boot(&host), "", "it names none");
}

#[test]
fn of_several_entries_that_a_pattern_fits_none_is_taken() {
    let host = FolderHost::new();
    host.write("boot/loader/loader.conf", "default new*\n");
    host.write("boot/loader/entries/new.conf", "options init=/nix/store/a/init\n");
    assert_eq!(next_boot(&host), "/nix/store/a\t\n");
    host.write("boot/loader/entries/new+2.conf", "options init=/nix/store/b/init\n");
    assert_eq!(next_boot(&host), "");
}
