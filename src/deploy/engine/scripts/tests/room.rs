//! Room for a new system, looked at for real on a host that is a folder.

use super::host::FolderHost;
use crate::deploy::engine::scripts::ROOM;
use std::fs;

/// Makes a system with a kernel and an initrd of these sizes in KiB.
fn with_kernel(host: &FolderHost, system: &str, kernel: (&str, usize), initrd: (&str, usize)) {
    for (link, (package, kib)) in [("kernel", kernel), ("initrd", initrd)] {
        let folder = format!("nix/store/{package}");
        fs::create_dir_all(host.path(&folder)).unwrap();
        let file = host.path(&format!("{folder}/{link}-image"));
        let text = package.repeat(kib * 1024 / package.len() + 1);
        fs::write(&file, &text[..kib * 1024]).unwrap();
        let at = host.path(&format!("nix/store/{system}/{link}"));
        drop(fs::remove_file(&at));
        std::os::unix::fs::symlink(file, at).unwrap();
    }
}

/// Copies a file of a system to a boot partition, as a boot loader calls it.
fn copy(host: &FolderHost, folder: &str, package: &str, link: &str, suffix: &str) {
    fs::create_dir_all(host.path(folder)).unwrap();
    let from = host.path(&format!("nix/store/{package}/{link}-image"));
    fs::copy(from, host.path(&format!("{folder}/{package}-{link}-image{suffix}"))).unwrap();
}

/// Makes a host whose boot partition has what its old system starts with.
fn host() -> FolderHost {
    let host = FolderHost::new();
    host.program("bin/df", "#!/bin/sh\necho head\necho \"fs 1 1 $(cat \"$root/free\") 1% /\"\n");
    host.program("bin/bootctl", "#!/bin/sh\nexit 1\n");
    host.write("free", "1000000");
    with_kernel(&host, "old", ("aa-linux-1", 100), ("ab-initrd-1", 200));
    copy(&host, "boot/EFI/nixos", "aa-linux-1", "kernel", ".efi");
    copy(&host, "boot/EFI/nixos", "ab-initrd-1", "initrd", ".efi");
    host
}

/// Returns the places, each with what is free and what is needed, in KiB.
fn places(host: &FolderHost) -> Vec<(String, u64, u64)> {
    let root = host.path("");
    let root = root.to_str().unwrap().trim_end_matches('/').to_owned();
    let new = host.path("nix/store/new").display().to_string();
    let said = host.run_as_is(ROOM, &[&root, "boot", &new]);
    let mut found = Vec::new();
    for line in said.lines().filter_map(|line| line.strip_prefix("boot\t")) {
        let fields: Vec<&str> = line.split('\t').collect();
        let kib = |text: &str| text.parse::<u64>().unwrap() / 1024;
        found.push((fields[0].to_owned(), kib(fields[1]), kib(fields[2])));
    }
    found
}

#[test]
fn what_is_there_already_needs_no_room() {
    let host = host();
    with_kernel(&host, "new", ("aa-linux-1", 100), ("ab-initrd-1", 200));
    assert_eq!(places(&host), [("/boot".to_owned(), 976, 0)]);
    with_kernel(&host, "new", ("aa-linux-1", 100), ("ac-initrd-2", 300));
    assert_eq!(places(&host), [("/boot".to_owned(), 976, 300)]);
}

#[test]
fn the_same_bytes_under_another_name_are_there_too() {
    let host = host();
    with_kernel(&host, "new", ("aa-linux-1", 100), ("ab-initrd-1", 200));
    let folder = host.path("boot/EFI/nixos");
    fs::rename(folder.join("aa-linux-1-kernel-image.efi"), folder.join("kernel-1.efi")).unwrap();
    assert_eq!(places(&host)[0].2, 0);
}

#[test]
fn a_file_that_a_full_disk_cut_off_is_not_there() {
    let host = host();
    with_kernel(&host, "new", ("aa-linux-1", 100), ("ab-initrd-1", 200));
    host.write("boot/EFI/nixos/ab-initrd-1-initrd-image.efi", "only the beginning");
    assert_eq!(places(&host)[0].2, 200);
    // Secrets make an initrd bigger than what was built.
    host.write("boot/EFI/nixos/ab-initrd-1-initrd-image.efi", &"x".repeat(300 * 1024));
    assert_eq!(places(&host)[0].2, 0);
}

#[test]
fn specialisations_count_once_each() {
    let host = host();
    with_kernel(&host, "new", ("aa-linux-1", 100), ("ac-initrd-2", 300));
    host.specialise("new", "gaming", "new-gaming");
    with_kernel(&host, "new-gaming", ("ad-linux-2", 50), ("ac-initrd-2", 300));
    assert_eq!(places(&host)[0].2, 350);
}

#[test]
fn every_mirror_and_xbootldr_counts_and_what_is_not_used_does_not() {
    let host = host();
    with_kernel(&host, "new", ("aa-linux-1", 100), ("ac-initrd-2", 300));
    // A mirror has the entries too; this one lacks the kernel.
    host.write(
        "etc/fstab",
        "# boot\n/dev/x /boot-mirror vfat noauto 0 0\n/dev/y /old-esp vfat x 0 0\n",
    );
    for folder in ["boot-mirror/EFI/nixos", "boot-mirror/loader/entries", "old-esp/EFI/nixos"] {
        fs::create_dir_all(host.path(folder)).unwrap();
    }
    host.write("boot-mirror/loader/entries/nixos-generation-1.conf", "");
    let found = places(&host);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found.iter().find(|place| place.0 == "/boot-mirror").unwrap().2, 400);
    assert_eq!(found.iter().find(|place| place.0 == "/boot").unwrap().2, 300);
    // Newer menus call an entry after a hash, and name the system in it.
    fs::remove_file(host.path("boot-mirror/loader/entries/nixos-generation-1.conf")).unwrap();
    for (system, count) in [("gone", 1), ("old", 2)] {
        let text = format!("title NixOS\noptions init=/nix/store/{system}/init quiet\n");
        host.write("boot-mirror/loader/entries/nixos-0a1b2c.conf", &text);
        assert_eq!(places(&host).len(), count, "{system}");
    }
}

#[test]
fn grub_and_its_mirrors_copy_kernels_too() {
    let host = host();
    fs::remove_dir_all(host.path("boot/EFI")).unwrap();
    with_kernel(&host, "new", ("aa-linux-1", 100), ("ac-initrd-2", 300));
    host.write("etc/fstab", "/dev/x /boot2 ext4 x 0 0\n");
    for place in ["boot", "boot2"] {
        fs::create_dir_all(host.path(&format!("{place}/grub"))).unwrap();
        host.write(&format!("{place}/grub/grub.cfg"), "");
        copy(&host, &format!("{place}/kernels"), "aa-linux-1", "kernel", "");
    }
    let found = places(&host);
    let needed: Vec<(&str, u64)> = found.iter().map(|(at, _, kib)| (at.as_str(), *kib)).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(needed.contains(&("/boot", 300)) && needed.contains(&("/boot2", 300)), "{found:?}");
}

#[test]
fn what_no_generation_needs_any_more_is_removed_by_systemd_boot_first() {
    let host = host();
    with_kernel(&host, "new", ("ad-linux-2", 100), ("ac-initrd-2", 300));
    host.add_system("gone");
    with_kernel(&host, "gone", ("ae-linux-0", 500), ("af-initrd-0", 1));
    copy(&host, "boot/EFI/nixos", "ae-linux-0", "kernel", ".efi");
    assert_eq!(places(&host), [("/boot".to_owned(), 976 + 500, 400)]);
    // With a limit of one entry the old system's are removed too.
    host.set_profile(2, "old");
    host.link("nix/var/nix/profiles/system-1-link", "gone");
    fs::rename(
        host.path("boot/loader/entries/nixos-generation-1.conf"),
        host.path("boot/loader/entries/nixos-generation-2.conf"),
    )
    .unwrap();
    assert_eq!(places(&host)[0].1, 976 + 800);
}

/// Lets the new system name a file that writes systemd-boot's menu, in which this stands.
fn with_menu_writer(host: &FolderHost, text: &str) {
    let store = "/nix/store/abcdfghijklmnpqrsvwxyz0123456789-";
    let (installer, writer) = (
        format!("{store}install-systemd-boot.sh"),
        format!("{store}systemd-boot/bin/systemd-boot"),
    );
    fs::create_dir_all(host.path(&format!("{store}systemd-boot/bin")[1..])).unwrap();
    host.write(&writer[1..], text);
    host.write(&installer[1..], &format!("#!/bin/sh\n{writer} \"$@\"\n"));
    host.program(
        "nix/store/new/bin/switch-to-configuration",
        &format!("#!/bin/sh\nexport INSTALL_BOOTLOADER='{installer}'\n"),
    );
}

#[test]
fn what_a_menu_with_as_many_generations_as_its_limit_drops_is_free() {
    let host = host();
    with_kernel(&host, "new", ("ad-linux-2", 100), ("ac-initrd-2", 300));
    let limit = |limit: &str| {
        format!("CONFIGURATION_LIMIT = int(\"{limit}\")\ndef remove_old_entries():\n")
    };
    with_menu_writer(&host, &limit("1"));
    assert_eq!(places(&host), [("/boot".to_owned(), 976 + 300, 400)]);
    for kept in ["0", "2"] {
        with_menu_writer(&host, &limit(kept));
        assert_eq!(places(&host)[0].1, 976, "{kept}");
    }
    // How it was written before.
    with_menu_writer(&host, "    configurationLimit = 1\ndef remove_old_entries():\n");
    assert_eq!(places(&host)[0].1, 976 + 300);
    // The newest one removes only what is left when it has copied.
    with_menu_writer(&host, "CONFIGURATION_LIMIT = int(\"1\")\ndef garbage_collect():\n");
    assert_eq!(places(&host)[0].1, 976);
}

#[test]
fn where_the_limit_cannot_be_read_what_the_oldest_generation_needs_may_become_free() {
    let host = host();
    with_kernel(&host, "new", ("ad-linux-2", 100), ("ac-initrd-2", 300));
    let root = host.path("").display().to_string();
    let new = host.path("nix/store/new").display().to_string();
    let said = host.run_as_is(ROOM, &[root.trim_end_matches('/'), "boot", &new]);
    let line = said.lines().find(|line| line.starts_with("boot\t")).unwrap();
    let perhaps: u64 = line.split('\t').nth(4).unwrap().parse().unwrap();
    assert_eq!(perhaps, 1_000_000 + 300 * 1024, "{line}");
}

#[test]
fn a_system_that_cannot_be_activated_is_told() {
    let host = host();
    let root = host.path("").display().to_string();
    let new = host.path("nix/store/new");
    let ask = |host: &FolderHost| {
        host.run_as_is(ROOM, &[root.trim_end_matches('/'), "boot", new.to_str().unwrap()])
    };
    assert!(!ask(&host).contains("switch\tno"));
    fs::remove_dir_all(host.path("nix/store/new/bin")).unwrap();
    assert!(ask(&host).contains("switch\tno"));
    let is_system = |host: &FolderHost| !ask(host).contains("system\tno");
    assert!(!is_system(&host));
    host.write("nix/store/new/nixos-version", "26.05");
    assert!(is_system(&host), "one that nothing can activate is a system too");
}

#[test]
fn only_what_is_not_there_counts_for_the_store() {
    let host = host();
    let root = host.path("").display().to_string();
    let input = "100\t/nix/store/old\n70\t/nix/store/absent\n30\t/nix/store/absent-too\n";
    let said = host.run_with(ROOM, &[root.trim_end_matches('/'), "store"], input);
    assert_eq!(said, "nix_free\t1000000\nneeded\t100\n");
}

#[test]
fn a_place_of_unified_images_is_named_and_not_passed_over() {
    let host = host();
    with_kernel(&host, "new", ("aa-linux-1", 100), ("ab-initrd-1", 200));
    // As lanzaboote leaves it: no entries, and kernels under names of its own.
    drop(fs::remove_dir_all(host.path("boot/loader")));
    host.write("boot/EFI/Linux/nixos-generation-9-abcd.efi", "");
    let root = host.path("");
    let root = root.to_str().unwrap().trim_end_matches('/').to_owned();
    let new = host.path("nix/store/new").display().to_string();
    let said = host.run_as_is(ROOM, &[&root, "boot", &new]);
    assert!(said.lines().any(|line| line == "unmeasured\t/boot"), "{said}");
    assert!(!said.contains("boot\t/boot"), "{said}");
}

#[test]
fn a_specialisation_that_the_new_system_lacks_is_named() {
    let host = host();
    with_kernel(&host, "new", ("aa-linux-1", 100), ("ab-initrd-1", 200));
    fs::create_dir_all(host.path("nix/store/new/specialisation/gaming")).unwrap();
    let root = host.path("");
    let root = root.to_str().unwrap().trim_end_matches('/').to_owned();
    let new = host.path("nix/store/new").display().to_string();
    let lacks = |name: &str| {
        let said = host.run_as_is(ROOM, &[&root, "boot", &new, name]);
        said.lines().filter(|line| line.starts_with("lacks")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lacks("game"), ["lacks\tgame"]);
    assert_eq!((lacks("gaming").len(), lacks("").len()), (0, 0));
}
