//! Making a system permanent: what is written when, and what is put back when it fails.

use super::host::{BOOT, FolderHost, WELL};
use crate::deploy::engine::scripts::{MARK, RECOVER};
use crate::fleet::Code;
use std::os::unix::fs::symlink;
use std::process::Command;

/// A host that has the new system as generation 4, and two newer generations of the old one's kind.
fn with_generations() -> FolderHost {
    let mut host = FolderHost::new();
    let new = host.path("nix/store/new");
    symlink(new, host.path("nix/var/nix/profiles/system-4-link")).unwrap();
    symlink(host.path("nix/store/old"), host.path("nix/var/nix/profiles/system-6-link")).unwrap();
    host.option("generation=4");
    host
}

/// Returns the link of the system profile.
fn profile_link(host: &FolderHost) -> String {
    let link = std::fs::read_link(host.path("nix/var/nix/profiles/system")).unwrap();
    link.to_string_lossy().into_owned()
}

#[test]
fn a_rollback_goes_to_the_generation_and_makes_no_new_one() {
    let host = with_generations();
    assert_eq!(host.deploy("commit").0, "switched", "{}", host.log());
    assert_eq!(profile_link(&host), "system-4-link");
    assert!(!host.path("nix/var/nix/profiles/system-7-link").exists());
    assert_eq!(host.systems(), ["new", "new", "new"], "{}", host.log());
    host.assert_tidy();
}

#[test]
fn a_way_back_goes_to_a_generation_that_is_there_and_marks_what_it_leaves() {
    let mut host = FolderHost::new();
    host.option("owner=who=me@desk run=9 process=1-2");
    host.option("revision=1234abc");
    assert_eq!(host.deploy("commit").0, "switched", "{}", host.log());
    assert_eq!(profile_link(&host), "system-2-link");
    let (old, new) = (host.path("nix/store/old"), host.path("nix/store/new"));
    // The way back: the old system is the one to come.
    for result in ["outcome", "activated", "facts"] {
        host.write(&super::host::job(result), "");
    }
    host.option(&format!("toplevel={}", old.display()));
    host.option("generation=any");
    host.option(&format!("withdraws={}", new.display()));
    assert_eq!(host.deploy("commit").0, "switched", "{}", host.log());
    assert_eq!(profile_link(&host), "system-1-link", "the one before, and no new one");
    assert!(!host.path("nix/var/nix/profiles/system-3-link").exists());
    assert_eq!(host.systems(), ["old", "old", "old"], "{}", host.log());
    let marked = std::fs::read_to_string(host.path("nix/var/nixdash/marked")).unwrap();
    assert!(marked.starts_with(&format!("{}\twithdrawn\t9\tme@desk\t", new.display())), "{marked}");
    assert_eq!(marked.lines().count(), 1);
    // It is deployed again, and does well.
    for result in ["outcome", "activated", "facts"] {
        host.write(&super::host::job(result), "");
    }
    host.option(&format!("toplevel={}", new.display()));
    host.option("generation=");
    host.option("withdraws=");
    assert_eq!(host.deploy("commit").0, "switched", "{}", host.log());
    assert_eq!(std::fs::read_to_string(host.path("nix/var/nixdash/marked")).unwrap(), "");
}

/// Deploys the new system once more, and returns how it is marked then.
fn mark_after_another_deploy(host: &FolderHost) -> String {
    for result in ["outcome", "activated", "facts"] {
        host.write(&super::host::job(result), "");
    }
    assert_eq!(host.deploy("commit").0, "switched", "{}", host.log());
    let marked = std::fs::read_to_string(host.path("nix/var/nixdash/marked")).unwrap_or_default();
    let fields: Vec<_> = marked.lines().flat_map(|line| line.split('\t').skip(1).take(2)).collect();
    fields.join(" in run ")
}

#[test]
fn a_system_that_is_kept_with_units_that_failed_is_marked_until_it_does_well() {
    let host = FolderHost::new();
    host.write("failed-units", "old.service loaded failed\n");
    assert_eq!(mark_after_another_deploy(&host), "", "that one had failed before");
    let fails = format!("echo 'dead.service loaded failed' >>\"$root/failed-units\"\n{WELL}exit 0");
    host.activation("new", &fails);
    assert_eq!(mark_after_another_deploy(&host), "failed in run 41");
    host.activation("new", &format!("{WELL}exit 0"));
    host.write("systemd-is-silent", "");
    assert_eq!(mark_after_another_deploy(&host), "failed in run 41", "nobody knows it better");
    std::fs::remove_file(host.path("systemd-is-silent")).unwrap();
    assert_eq!(mark_after_another_deploy(&host), "");
}

#[test]
fn a_system_that_failed_stays_marked_until_a_restart_has_shown_that_it_does_well() {
    let mut host = FolderHost::new();
    let new = host.path("nix/store/new");
    host.option("action=boot");
    let mark = |host: &FolderHost, word: &str| {
        let script = MARK.replace("\troot=''\n", "");
        host.run_as_is(&script, &[new.to_str().unwrap(), word, "who=eve@p620 run=9 process=1"]);
        std::fs::read_to_string(host.path("nix/var/nixdash/marked")).unwrap_or_default()
    };
    assert_eq!(mark(&host, "well"), "", "there is nothing to remember");
    let marked = mark(&host, "failed");
    assert!(marked.starts_with(&format!("{}\tfailed\t9\teve@p620\t", new.display())), "{marked}");
    let boots = |host: &FolderHost| {
        for result in ["outcome", "activated", "facts"] {
            host.write(&super::host::job(result), "");
        }
        assert_eq!(host.supervise().outcome().0, "booted", "{}", host.log());
        std::fs::read_to_string(host.path("nix/var/nixdash/marked")).unwrap()
    };
    assert_eq!(boots(&host), marked, "it has not started yet");
    assert_eq!(mark(&host, "well"), "");
    host.write("nix/var/nixdash/marked", &marked.replace("\tfailed\t", "\twithdrawn\t"));
    assert_eq!(boots(&host), "", "somebody wants it once more");
}

#[test]
fn units_count_as_failed_anew_only_where_it_is_known_what_had_failed_before() {
    let host = FolderHost::new();
    host.write("failed-units", "old.service loaded failed\n");
    host.write("systemd-is-silent", "");
    host.activation("new", &format!("rm -f \"$root/systemd-is-silent\"\n{WELL}exit 0"));
    assert_eq!(mark_after_another_deploy(&host), "");
}

#[test]
fn a_way_back_to_a_system_of_no_generation_makes_one() {
    let mut host = FolderHost::new();
    host.option("generation=any");
    assert_eq!(host.deploy("commit").0, "switched", "{}", host.log());
    assert_eq!(profile_link(&host), "system-2-link");
    assert_eq!(host.systems(), ["new", "new", "new"], "{}", host.log());
}

#[test]
fn a_power_cut_while_a_system_is_made_permanent_loses_nothing_of_what_is_remembered_of_it() {
    let mut host = FolderHost::new();
    host.option("revision=1234abc");
    // What is there while the boot menu is written is what a power cut leaves.
    let looks = "cp \"$root/nix/var/nixdash/deployed\" \"$root/seen\"; exit 1";
    host.switch_to_configuration("new", WELL, looks);
    assert_eq!(host.deploy("commit").0, "degraded", "{}", host.log());
    let seen = std::fs::read_to_string(host.path("seen")).unwrap();
    assert!(seen.contains("\t1234abc\t"), "{seen}");
    // Its generation is there, and no rollback goes to that by itself.
    let marked = std::fs::read_to_string(host.path("nix/var/nixdash/marked")).unwrap();
    assert!(marked.contains("/new\tfailed\t41\t"), "{marked}");
}

#[test]
fn a_rollback_that_cannot_be_activated_without_a_restart_is_installed() {
    for activation in ["echo \"Pre-switch check 'switchInhibitors' failed\"; exit 1", "exit 100"] {
        let host = with_generations();
        host.activation("new", activation);
        assert_eq!(host.deploy("commit").0, "needs-reboot", "{}", host.log());
        assert_eq!(profile_link(&host), "system-4-link", "the generation, and no new one");
        assert_eq!(host.systems(), ["old", "new", "new"]);
        host.assert_tidy();
    }
}

#[test]
fn a_rollback_that_is_not_confirmed_leaves_the_profile_alone() {
    let host = with_generations();
    assert_eq!(host.deploy("abort check-failed a check did not hold").0, "rolled-back");
    assert_eq!(profile_link(&host), "system-1-link");
    assert_eq!(host.systems(), ["old", "old", "old"], "{}", host.log());
}

#[test]
fn a_generation_that_is_another_system_by_now_is_not_gone_to() {
    let host = with_generations();
    let link = host.path("nix/var/nix/profiles/system-4-link");
    std::fs::remove_file(&link).unwrap();
    symlink(host.path("nix/store/old"), &link).unwrap();
    let (word, reason) = host.deploy("commit");
    assert_eq!(word, "degraded", "{}", host.log());
    assert!(reason.contains("generation 4 is not"), "{reason}");
    assert_eq!(profile_link(&host), "system-1-link");
}

#[test]
fn a_boot_action_activates_nothing() {
    let mut host = FolderHost::new();
    host.option("action=boot");
    assert_eq!(host.supervise().outcome().0, "booted");
    assert_eq!(host.systems(), ["old", "new", "new"]);
    assert_eq!(host.called(), ["new boot"]);
}

#[test]
fn a_test_action_persists_nothing() {
    let mut host = FolderHost::new();
    host.option("action=test");
    assert_eq!(host.deploy("commit").0, "tested");
    assert_eq!(host.systems(), ["new", "old", "old"]);
}

#[test]
fn a_boot_menu_that_cannot_be_written_leaves_the_old_one() {
    let host = FolderHost::new();
    host.switch_to_configuration(
        "new",
        WELL,
        "echo half >\"$root/boot/loader/loader.conf\"; exit 1",
    );
    let (word, reason) = host.deploy("commit");
    assert_eq!(word, "degraded");
    assert_eq!(host.code(), Some(Code::BootMenuFailed));
    assert!(
        reason.contains("boot exited with 1") && reason.contains("next boot starts"),
        "{reason}"
    );
    assert_eq!(host.systems(), ["new", "old", "old"], "{}", host.log());
    assert_eq!(host.called(), ["new test", "new boot", "old boot"]);
    host.assert_tidy();
}

/// Pins a generation as what the boot loader starts.
fn pin(host: &FolderHost, generation: u32) {
    let folder = host.path("sys/firmware/efi/efivars");
    std::fs::create_dir_all(&folder).unwrap();
    let mut bytes = vec![7, 0, 0, 0];
    let entry = format!("nixos-generation-{generation}.conf\0");
    bytes.extend(entry.encode_utf16().flat_map(u16::to_le_bytes));
    let name = "LoaderEntryDefault-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
    std::fs::write(folder.join(name), bytes).unwrap();
}

/// Lets a host have another system as a generation, with its entry in the boot menu.
fn add_generation(host: &FolderHost, generation: u32, system: &str) {
    host.add_system(system);
    host.link(&format!("nix/var/nix/profiles/system-{generation}-link"), system);
    let init = host.path(&format!("nix/store/{system}/init"));
    let entry = format!("boot/loader/entries/nixos-generation-{generation}.conf");
    host.write(&entry, &format!("options init={} quiet\n", init.display()));
}

#[test]
fn a_host_that_goes_back_boots_what_was_pinned_before_its_run() {
    // Generation 1 is what runs, and what the run brought.
    for (pinned, back, ends) in
        [(3, true, "switched"), (3, false, "degraded"), (1, true, "degraded")]
    {
        let mut host = FolderHost::new();
        add_generation(&host, 3, "third");
        pin(&host, pinned);
        if back {
            host.option("back=yes");
        }
        let (word, reason) = host.deploy("commit");
        assert_eq!(word, ends, "{pinned} {back} {reason}");
    }
}

#[test]
fn a_host_that_goes_back_to_a_tried_system_boots_what_it_booted() {
    let tried = || {
        let mut host = FolderHost::new();
        add_generation(&host, 3, "third");
        let third = host.path("nix/store/third");
        host.option("back=yes");
        host.option(&format!("permanent={}", third.display()));
        host
    };
    let host = tried();
    assert_eq!(host.deploy("commit").0, "switched", "{}", host.log());
    assert_eq!(host.systems(), ["new", "third", "third"]);
    assert_eq!(host.called(), ["new test", "third boot"]);
    host.assert_tidy();

    let host = tried();
    host.activation("new", "exit 100");
    assert_eq!(host.deploy("commit").0, "needs-reboot", "{}", host.log());
    assert_eq!(host.systems(), ["old", "third", "third"]);

    let host = tried();
    assert_eq!(host.deploy("abort check-failed enough").0, "rolled-back");
    host.assert_untouched();

    let host = tried();
    host.switch_to_configuration("third", WELL, "exit 1");
    let (word, reason) = host.deploy("commit");
    assert_eq!(word, "degraded", "{}", host.log());
    assert!(reason.starts_with("it runs the previous system, but"), "{reason}");
    assert_eq!(host.systems(), ["new", "old", "old"], "what the run brought is permanent still");
}

#[test]
fn a_pinned_boot_default_is_no_success() {
    let host = FolderHost::new();
    pin(&host, 1);
    let (word, reason) = host.deploy("commit");
    assert_eq!(word, "degraded", "{}", host.log());
    assert_eq!(host.code(), Some(Code::BootDefaultPinned));
    assert!(reason.starts_with("the next boot starts "), "{reason}");
    assert!(reason.contains("bootctl set-default") && reason.contains("/old because"), "{reason}");
}

#[test]
fn a_saved_entry_of_grub_is_seen() {
    let host = FolderHost::new();
    std::fs::remove_dir_all(host.path("boot/loader")).unwrap();
    std::fs::create_dir_all(host.path("boot/grub")).unwrap();
    let menu = "echo \"menuentry x { linux k init=$system/init }\" >>\"$root/boot/grub/grub.cfg\"";
    host.write("boot/grub/grub.cfg", "set default=\"${saved_entry}\"\n");
    host.write(
        "boot/grub/grubenv",
        "# GRUB Environment Block\nsaved_entry=NixOS - Configuration 1\n",
    );
    host.switch_to_configuration("new", WELL, menu);
    let (word, reason) = host.deploy("commit");
    assert_eq!(word, "degraded", "{}", host.log());
    assert!(reason.contains("GRUB's saved entry NixOS - Configuration 1"), "{reason}");
}

#[test]
fn an_entry_without_tries_left_is_seen() {
    let host = FolderHost::new();
    host.switch_to_configuration("new", WELL, "rm -f \"$root\"/boot/loader/entries/*
        printf 'default nixos-*\\n' >\"$root/boot/loader/loader.conf\"
        echo \"options init=$system/init\" >\"$root/boot/loader/entries/nixos-generation-2+0-3.conf\"");
    let (word, reason) = host.deploy("commit");
    assert_eq!(word, "degraded", "{}", host.log());
    assert_eq!(host.code(), Some(Code::BootDefaultPinned));
    assert!(reason.contains("no tries left"), "{reason}");
}

/// Runs the script that puts right what a power cut left.
pub(super) fn recover(host: &FolderHost) -> String {
    let path = format!("{}:{}", host.path("bin").display(), std::env::var("PATH").unwrap());
    let output = Command::new("/bin/sh")
        .args(["-c", RECOVER, "recover"])
        .arg(host.path(""))
        .env("PATH", path)
        .env("root", host.path(""))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Cuts the power while the boot menu is written; returns what the recovery says.
fn cut_in_the_boot_menu(boots: &str) -> (FolderHost, String) {
    let host = FolderHost::new();
    let once = "if [ ! -e \"$root/half\" ]; then : >\"$root/half\"; sleep 60; fi
        printf 'default nixos-generation-2.conf\\n' >\"$root/boot/loader/loader.conf\"
        echo \"options init=$system/init\" >\"$root/boot/loader/entries/nixos-generation-2.conf\"";
    host.switch_to_configuration("new", WELL, once);
    host.acknowledge();
    host.say("commit");
    let supervisor = host.supervise();
    host.wait_until("the boot menu", |host| host.path("half").exists());
    supervisor.kill();
    let system = host.path(&format!("nix/store/{boots}"));
    let current = host.path("run/current-system");
    std::fs::remove_file(&current).unwrap();
    std::os::unix::fs::symlink(system, current).unwrap();
    let said = recover(&host);
    (host, said)
}

#[test]
fn a_power_cut_between_profile_and_boot_menu_is_put_right() {
    let (host, said) = cut_in_the_boot_menu("old");
    assert!(said.contains("the profile is") && said.contains("/old again"), "{said}");
    assert_eq!(host.systems(), ["old", "old", "old"]);
    assert!(!host.path("nix/var/nixdash/intent").exists());
    assert_eq!(recover(&host), "", "there is nothing left to do");
}

#[test]
fn a_power_cut_after_the_boot_menu_is_finished() {
    let (host, said) = cut_in_the_boot_menu("new");
    assert!(said.contains("and boots it"), "{said}");
    assert_eq!(host.systems(), ["new", "new", "new"]);
}

/// Cuts off a host that goes back to a system that had only been tried, when the profile is the one from before and
/// the boot menu is not written.
fn cut_off_on_the_way_back_to_a_tried_system() -> FolderHost {
    let mut host = FolderHost::new();
    add_generation(&host, 3, "third");
    host.option("back=yes");
    host.option(&format!("permanent={}", host.path("nix/store/third").display()));
    let once = format!("if [ ! -e \"$root/half\" ]; then : >\"$root/half\"; sleep 60; fi\n{BOOT}");
    host.switch_to_configuration("third", WELL, &once);
    host.acknowledge();
    host.say("commit");
    let supervisor = host.supervise();
    host.wait_until("the boot menu", |host| host.path("half").exists());
    supervisor.kill();
    host
}

#[test]
fn a_way_back_to_a_tried_system_that_is_cut_off_is_finished_and_not_undone() {
    let host = cut_off_on_the_way_back_to_a_tried_system();
    let said = recover(&host);
    let store = host.path("nix/store").display().to_string();
    let ends = format!("the host runs {store}/new and boots {store}/third\n");
    assert!(said.ends_with(&ends), "{said}");
    assert_eq!(host.systems(), ["new", "third", "third"]);
    assert_eq!(recover(&host), "", "there is nothing left to do");

    // Another system runs, as after a power cut.
    let host = cut_off_on_the_way_back_to_a_tried_system();
    host.link("run/current-system", "old");
    recover(&host);
    assert_eq!(host.systems(), ["old", "old", "old"]);
}

#[test]
fn what_an_older_supervisor_wrote_down_is_put_right_as_before() {
    let host = cut_off_on_the_way_back_to_a_tried_system();
    let intent = host.path("nix/var/nixdash/intent");
    let text = std::fs::read_to_string(&intent).unwrap();
    let (old, runs) = text.split_once('\n').unwrap();
    assert_eq!(old.split('\t').count(), 4, "an older nixdash reads the same first line");
    assert!(runs.starts_with("runs\t") && runs.ends_with("/new\n"), "{runs}");
    std::fs::write(&intent, format!("{old}\n")).unwrap();
    let said = recover(&host);
    assert!(said.contains("the profile is") && said.contains("/old again"), "{said}");
    assert_eq!(host.systems(), ["new", "old", "old"]);
}

#[test]
fn a_supervisor_that_is_killed_while_it_installs_for_a_reboot_finishes_that() {
    let host = FolderHost::new();
    let once = "if [ ! -e \"$root/half\" ]; then : >\"$root/half\"; sleep 60; fi
        printf 'default nixos-generation-2.conf\\n' >\"$root/boot/loader/loader.conf\"
        echo \"options init=$system/init\" >\"$root/boot/loader/entries/nixos-generation-2.conf\"";
    host.switch_to_configuration("new", "exit 100", once);
    let supervisor = host.supervise();
    host.wait_until("the boot menu", |host| host.path("half").exists());
    supervisor.kill();
    assert_eq!(host.after().0, "needs-reboot", "{}", host.log());
    assert_eq!(host.systems(), ["old", "new", "new"]);
}

#[test]
fn a_profile_that_cannot_be_put_back_is_told_and_put_right_later() {
    let host = FolderHost::new();
    let fails = ": >\"$root/nix-env-fails\"; exit 1";
    host.switch_to_configuration("new", WELL, fails);
    let (word, reason) = host.deploy("commit");
    assert_eq!(word, "degraded", "{}", host.log());
    assert!(reason.contains("the profile could not be put back"), "{reason}");
    assert!(host.path("nix/var/nixdash/intent").exists(), "the next look puts it right");
}

#[test]
fn what_a_boot_loader_of_earlier_times_left_decides_nothing() {
    let host = FolderHost::new();
    std::fs::create_dir_all(host.path("boot/grub")).unwrap();
    host.write("boot/grub/grub.cfg", "set default=0\n");
    let menu = "echo \"menuentry x { linux k init=$system/init }\" >\"$root/boot/grub/grub.cfg\"
        touch -d '1 hour ago' \"$root/boot/loader/loader.conf\"";
    host.switch_to_configuration("new", WELL, menu);
    assert_eq!(host.deploy("commit").0, "switched", "{}", host.log());
}

#[test]
fn of_several_entries_that_fit_a_pattern_none_is_guessed() {
    let host = FolderHost::new();
    let menu = "printf 'default nixos-*\\n' >\"$root/boot/loader/loader.conf\"
        echo \"options init=$system/init\" >\"$root/boot/loader/entries/nixos-0aaa+3.conf\"";
    host.switch_to_configuration("new", WELL, menu);
    assert_eq!(host.deploy("commit").0, "switched", "{}", host.log());
}

#[test]
fn what_is_begun_stays_written_down_until_the_old_boot_menu_is_back() {
    let host = FolderHost::new();
    host.switch_to_configuration("new", WELL, "exit 1");
    let old = "[ ! -e \"$root/nix/var/nixdash/intent\" ] || : >\"$root/written-down\"";
    host.switch_to_configuration("old", WELL, old);
    assert_eq!(host.deploy("commit").0, "degraded", "{}", host.log());
    assert!(host.path("written-down").exists(), "a power cut here can be put right");
    host.assert_tidy();
}
