//! What boots next, as the files of a boot loader say.

use super::host::FolderHost;
use std::process::Command;

/// Returns what a command of `host-facts.sh` prints of a host.
fn facts(host: &FolderHost, command: &str) -> String {
    let facts = include_str!("../../../../probe/scripts/host-facts.sh");
    let asked = format!("root='{}'\n{facts}\n{command}", host.path("").display());
    let output = Command::new("/bin/sh").args(["-c", &asked]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Returns what a host boots next.
fn next_boot(host: &FolderHost) -> String {
    facts(host, "next_boot")
}

/// Sets a variable of systemd-boot.
fn set_variable(host: &FolderHost, name: &str, text: &str) {
    let value: String = text.chars().flat_map(|letter| [letter, '\0']).collect();
    let at = format!("sys/firmware/efi/efivars/{name}-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f");
    host.write(&at, &format!("\u{7}\0\0\0{value}\0\0"));
}

#[test]
fn an_overlay_of_etc_is_known_by_its_layer_of_names_alone() {
    let host = FolderHost::new();
    host.write("sys/class/block/loop0/loop/backing_file", "/sysroot/nix/store/a-metadata.erofs\n");
    // As findmnt says it after a start, and after an activation of the same system.
    let started = "lowerdir=/run/nixos-etc-metadata::/etc-basedir";
    let activated = "lowerdir=/run/nixos-etc-metadata.AbCd::/nix/store/b-etc-lowerdir";
    let with = |options: &str, source: &str| {
        let findmnt = format!(
            "findmnt() {{ case $2 in FSTYPE) echo overlay ;; OPTIONS) echo 'ro,{options}' ;; \
             SOURCE) case $4 in /run/*) echo '{source}' ;; esac ;; esac; }}; etc_source"
        );
        facts(&host, &findmnt)
    };
    assert_eq!(with(started, "/dev/loop0"), "/nix/store/a-metadata.erofs ");
    assert_eq!(with(activated, "/nix/store/a-metadata.erofs"), "/nix/store/a-metadata.erofs ");
    assert_eq!(with(activated, "/nix/store/c-metadata.erofs"), "/nix/store/c-metadata.erofs ");
    // Nothing but folders: they are all that is known.
    assert_eq!(with("lowerdir=/nix/store/a:/nix/store/b", ""), "/nix/store/a /nix/store/b ");
}

#[test]
fn the_first_entry_that_systemd_boot_is_told_to_start_and_has_is_the_next_one() {
    let host = FolderHost::new();
    host.write("boot/loader/loader.conf", "default nixos-generation-9.conf\n");
    for (number, system) in [(3, "old"), (9, "new")] {
        let entry = format!("boot/loader/entries/nixos-generation-{number}.conf");
        host.write(&entry, &format!("options init=/nix/store/{system}/init\n"));
    }
    assert_eq!(next_boot(&host), "/nix/store/new\t\n");
    // Written after a generation that is gone.
    set_variable(&host, "LoaderEntryDefault", "nixos-generation-2.conf");
    assert_eq!(next_boot(&host), "/nix/store/new\t\n");
    set_variable(&host, "LoaderEntryPreferred", "nixos-generation-3.conf");
    let preferred = "/nix/store/old\tthe entry nixos-generation-3.conf (bootctl set-preferred)\n";
    assert_eq!(next_boot(&host), preferred);
    // What is preferred is passed over where boot counting has given it up.
    let entries = host.path("boot/loader/entries");
    let (counted, given_up) = ("nixos-generation-3.conf", "nixos-generation-3+0-3.conf");
    std::fs::rename(entries.join(counted), entries.join(given_up)).unwrap();
    assert_eq!(next_boot(&host), "/nix/store/new\t\n");
    set_variable(&host, "LoaderEntryOneShot", "auto-windows");
    assert_eq!(next_boot(&host), "", "it starts what is no system of ours");
}

#[test]
fn an_entry_that_grub_always_starts_is_told() {
    let host = FolderHost::new();
    let menu = |lines: &str| {
        let text =
            format!("{lines}\nmenuentry \"NixOS\" {{\n linux /k init=/nix/store/new/init\n}}\n");
        host.write("boot/grub/grub.cfg", &text);
        next_boot(&host)
    };
    let once = "if [ \"${saved_entry}\" ]; then\n  set default=\"${saved_entry}\"\nelse\n";
    assert_eq!(menu(&format!("{once}  set default=0\nfi")), "/nix/store/new\t\n");
    let fixed = "another system\tGRUB's default entry 2 (boot.loader.grub.default)\n";
    assert_eq!(menu(&format!("{once}  set default=2\nfi")), fixed);
    assert_eq!(menu("set default=\"2\""), fixed);
    assert_eq!(menu("set default=\"${saved_entry}\""), "/nix/store/new\t\n");
}

#[test]
fn a_boot_loader_that_has_just_taken_the_place_of_systemd_boot_is_not_judged() {
    let host = FolderHost::new();
    host.write("boot/loader/loader.conf", "default old.conf\n");
    host.write("boot/loader/entries/old.conf", "options init=/nix/store/old/init\n");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let conf = std::fs::File::open(host.path("boot/loader/loader.conf")).unwrap();
    conf.set_modified(long_ago).unwrap();
    set_variable(&host, "LoaderInfo", "systemd-boot 257");
    assert_eq!(next_boot(&host), "/nix/store/old\t\n");
    host.write("boot/limine/limine.conf", "");
    assert_eq!(next_boot(&host), "");
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
