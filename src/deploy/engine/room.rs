//! Room: is there place for the new system, before anything is copied and before anything is activated.
//!
//! What is not there yet counts, with a fifth more for the store; and on every partition that the boot
//! menu copies kernels and initrds to, those that are not there yet.

use super::scripts::{CLOSURE_SIZE, ROOM};
use super::step::Step;
use super::supervised::activated_specialisation;
use crate::deploy::Failure;
use crate::deploy::report::lacks_specialisation;
use crate::fleet::{Code, StorePath, bytes, printable_line};
use crate::remote::{Output, RemoteError, Script};
use std::time::Duration;

/// How long asking for the sizes of a closure may take: some thousand paths.
const LIMIT: Duration = Duration::from_secs(60);

/// What must be left on a boot partition besides new kernels: entries, and the loader itself.
const BOOT_MARGIN: u64 = 1 << 20;

/// What must be left there for entries alone, where every kernel is there already.
const ENTRIES_MARGIN: u64 = 64 << 10;

/// Checks, before a system is copied to its host, that it can be activated and that its disk has room for
/// what is not there yet. What cannot be asked is no reason to refuse: the copy itself will tell.
pub(super) async fn before_fetch(step: &Step) -> Result<(), Failure> {
    let (name, builder) = (&step.host.name, step.host.build_on());
    let toplevel = step.toplevel()?;
    let changes = step.known.changes.as_ref().and_then(|changes| changes.system.as_ref());
    let known = changes.filter(|changes| !changes.partial).and_then(|changes| changes.bytes_after);
    let size = closure_size(step, toplevel, SizeAsked::Size { known });
    let (size, free) = tokio::join!(size, store(step, String::new()));
    let (Some(closure), Some(store_now)) = (size, free) else {
        step.log(&format!("how much room {name} needs could not be asked from {builder}")).await;
        return Ok(());
    };
    if closure.cannot_switch {
        return Err(cannot_switch(name, toplevel));
    }
    if let Some(special) = closure.lacks {
        return Err(lacks_specialisation(name, &special));
    }
    if with_margin(closure.size) <= store_now.free {
        return Ok(());
    }
    // Only part of it may have to be copied.
    let Some(paths) = closure_size(step, toplevel, SizeAsked::Paths).await else { return Ok(()) };
    let Some(found) = store(step, paths.lines).await else { return Ok(()) };
    judge_store(name, &found)
}

/// Checks, before a system is activated and before hooks run for that, that it can be, has the specialisation that is
/// activated, and that the boot partitions have room.
pub(super) async fn before_activation(step: &Step) -> Result<(), Failure> {
    let (name, toplevel) = (&step.host.name, step.toplevel()?);
    let special = activated_specialisation(step).unwrap_or_default();
    let script = Script::new(ROOM).root().arg("").arg("boot").arg(toplevel.as_str()).arg(special);
    let script = script.limit(LIMIT);
    let Some(text) = answer(step.runner.run(name, &script).await) else {
        let text = format!("how much room is on the boot partitions of {name} could not be asked");
        step.log(&text).await;
        return Ok(());
    };
    if let Some(note) = judge_boot(name, toplevel, &text, step.host.goal.persists())? {
        step.log(&note).await;
    }
    Ok(())
}

/// Returns what a script printed, where it ran well.
fn answer(result: Result<Output, RemoteError>) -> Option<String> {
    result.ok().filter(Output::is_ok).map(|output| output.stdout)
}

/// How big a closure is.
#[derive(Debug, Default, PartialEq, Eq)]
struct ClosureSize {
    /// The sum of its paths, in bytes.
    size: u64,
    /// Whether it has nothing that activates it.
    cannot_switch: bool,
    /// The specialisation that it is to have and lacks.
    lacks: Option<String>,
    /// `SIZE<TAB>PATH` of each path, where that was asked for.
    lines: String,
}

/// What is asked about a closure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SizeAsked {
    /// Its size in bytes, unless compare found that out already, and whether it can be activated.
    Size { known: Option<u64> },
    /// The size of each of its paths too.
    Paths,
}

/// Asks the host that has the system how big it is.
async fn closure_size(step: &Step, toplevel: &StorePath, asked: SizeAsked) -> Option<ClosureSize> {
    let (paths, known) = match asked {
        SizeAsked::Size { known } => ("", known.map(|size| size.to_string())),
        SizeAsked::Paths => ("paths", None),
    };
    let script = Script::new(CLOSURE_SIZE).arg(toplevel.as_str()).arg(paths);
    let special = activated_specialisation(step).unwrap_or_default();
    let script = script.arg(known.unwrap_or_default()).arg(special).limit(LIMIT);
    let text = answer(step.runner.run(step.host.build_on(), &script).await)?;
    read_closure(&text)
}

/// Reads what `closure-size.sh` printed; nothing where it is not whole.
fn read_closure(text: &str) -> Option<ClosureSize> {
    let mut found = ClosureSize::default();
    let mut size = None;
    for (key, value) in text.lines().filter_map(|line| line.split_once('\t')) {
        match key {
            "switch" => found.cannot_switch = value == "no",
            "lacks" => found.lacks = Some(printable_line(value)),
            "size" => size = value.trim().parse().ok(),
            _ if value.starts_with("/nix/store/") => {
                found.lines.push_str(key);
                found.lines.push('\t');
                found.lines.push_str(value);
                found.lines.push('\n');
            }
            _ => {}
        }
    }
    found.size = size?;
    Some(found)
}

/// What the disk of a store has and needs, in bytes.
#[derive(Debug, PartialEq, Eq)]
struct StoreRoom {
    free: u64,
    needed: u64,
}

/// Asks the target how much room its store has, and how much of these paths is not there.
async fn store(step: &Step, paths: String) -> Option<StoreRoom> {
    let script = Script::new(ROOM).root().arg("").arg("store").stdin(paths).limit(LIMIT);
    let text = answer(step.runner.run(&step.host.name, &script).await)?;
    let figure = |key: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('\t'));
        lines.find(|(name, _)| *name == key)?.1.trim().parse().ok()
    };
    Some(StoreRoom { free: figure("nix_free")?, needed: figure("needed")? })
}

/// Returns a size with a fifth more: file systems need more than what is in a nar.
fn with_margin(size: u64) -> u64 {
    size.saturating_add(size / 5)
}

/// Judges whether what is not there yet fits.
fn judge_store(host: &str, found: &StoreRoom) -> Result<(), Failure> {
    let needed = with_margin(found.needed);
    if needed <= found.free {
        return Ok(());
    }
    let text = format!(
        "{host}: the new system needs {} more below /nix (a fifth of that to spare), and {} are free; nothing was copied. Make room there with `nix-collect-garbage --delete-older-than 14d`, then deploy again",
        bytes(needed),
        bytes(found.free)
    );
    Err(Failure::failed(Code::DiskLow, text))
}

/// Judges what `room.sh boot` printed; returns what is worth knowing though it is no reason to refuse. `persists`
/// says whether a boot menu will be written.
fn judge_boot(
    host: &str,
    toplevel: &StorePath,
    text: &str,
    persists: bool,
) -> Result<Option<String>, Failure> {
    let mut note = None;
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields.as_slice() {
            ["system", "no"] => return Err(no_system(host, toplevel)),
            ["switch", "no"] => return Err(cannot_switch(host, toplevel)),
            ["lacks", special] => return Err(lacks_specialisation(host, &printable_line(special))),
            ["boot", place, free, needed, rest @ ..] if persists => {
                let (Ok(free), Ok(needed)) = (free.parse::<u64>(), needed.trim().parse::<u64>())
                else {
                    continue;
                };
                let margin = if needed > 0 { BOOT_MARGIN } else { ENTRIES_MARGIN };
                let needs = needed.saturating_add(margin);
                let perhaps = rest.first().and_then(|bytes| bytes.trim().parse().ok());
                if needs > free && perhaps.is_some_and(|perhaps: u64| needs <= perhaps) {
                    note = Some(perhaps_room(place));
                } else if needs > free {
                    return Err(no_room_to_boot(host, place, free, needed));
                }
            }
            ["unmeasured", place] if persists => note = Some(unmeasured(place)),
            _ => {}
        }
    }
    Ok(note)
}

/// Says that it is not known whether a boot partition has room.
fn unmeasured(place: &str) -> String {
    format!(
        "{} holds unified kernel images, as lanzaboote writes them: whether those of the new system find room \
         there was not measured",
        printable_line(place)
    )
}

/// Says that a boot partition has room only where the boot menu drops its oldest generation.
fn perhaps_room(place: &str) -> String {
    format!(
        "{} has room for the new kernel and initrd only if the boot menu drops its oldest generation; \
         the configurationLimit of the new system could not be read",
        printable_line(place)
    )
}

/// Says that a boot partition has no room for what the new system starts with.
fn no_room_to_boot(host: &str, place: &str, free: u64, needed: u64) -> Failure {
    let place = printable_line(place);
    let text = format!(
        "{host}: {place} has {} free for kernels and initrds, and those of the new system that are not there yet need {}; nothing was activated. Remove old generations there (`nix-collect-garbage --delete-older-than 14d`, then `/run/current-system/bin/switch-to-configuration boot`), set boot.loader's configurationLimit, or make {place} bigger, then deploy again",
        bytes(free),
        bytes(needed)
    );
    Failure::failed(Code::BootLow, text)
}

/// Says that what was brought to a host is something else than a system. A cache from which it came need not say
/// what is in it, so that it is seen only then.
fn no_system(host: &str, path: &StorePath) -> Failure {
    let text = format!(
        "{host}: {path} is no system of NixOS: it has neither nixos-version nor bin/switch-to-configuration; nothing was activated. Name a system such as /nix/store/…-nixos-system-{host}-26.05"
    );
    Failure::failed(Code::NotASystem, text)
}

/// Says that a system cannot be activated.
fn cannot_switch(host: &str, toplevel: &StorePath) -> Failure {
    let text = format!(
        "{host}: {} has no bin/switch-to-configuration, so nothing can activate it or write its boot menu; set system.switch.enable = true in the configuration of {host}, then deploy again",
        toplevel.name()
    );
    Failure::failed(Code::SwitchDisabled, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn system() -> StorePath {
        StorePath::parse("/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-nixos-system-samsung")
            .unwrap()
    }

    #[test]
    fn what_is_not_there_yet_must_fit_with_a_fifth_to_spare() {
        let room = |free, needed| judge_store("samsung", &StoreRoom { free, needed });
        assert_eq!(room(120 * MIB, 100 * MIB), Ok(()));
        let failure = room(119 * MIB, 100 * MIB).unwrap_err();
        assert_eq!(failure.reason.code, Code::DiskLow);
        for part in ["needs 126 MB more below /nix", "125 MB are free", "nix-collect-garbage"] {
            assert!(failure.reason.text.contains(part), "{}", failure.reason);
        }
        assert_eq!(room(0, 0), Ok(()), "all of it is there");
    }

    #[test]
    fn every_boot_partition_must_have_room_for_kernels_and_initrds() {
        let judged = |text: &str, persists| judge_boot("samsung", &system(), text, persists);
        let enough = format!("boot\t/boot\t{}\t{}\n", 80 * MIB, 60 * MIB);
        assert_eq!(judged(&enough, true), Ok(None));
        let mirror = format!("{enough}boot\t/boot-mirror\t{}\t{}\n", 20 * MIB, 60 * MIB);
        let failure = judged(&mirror, true).unwrap_err();
        assert_eq!(failure.reason.code, Code::BootLow);
        assert!(
            failure.reason.text.contains("/boot-mirror has 21.0 MB free"),
            "{}",
            failure.reason
        );
        assert_eq!(judged(&mirror, false), Ok(None), "a test writes no boot menu");
        assert_eq!(judged("boot\t/boot\t70000\t0\n", true), Ok(None), "all of it is there");
        assert!(judged("boot\t/boot\t0\t0\n", true).is_err(), "not even an entry fits");
        assert_eq!(judged("boot\t/boot\tx\ty\nodd\n", true), Ok(None));
        let dropped = format!("boot\t/boot\t{}\t{}\t{}\n", 20 * MIB, 60 * MIB, 80 * MIB);
        let note = judged(&dropped, true).unwrap().unwrap();
        assert!(note.starts_with("/boot has room") && note.contains("oldest generation"), "{note}");
        let note = judged("unmeasured\t/boot\n", true).unwrap().unwrap();
        assert!(note.starts_with("/boot holds unified") && note.contains("not measured"), "{note}");
    }

    #[test]
    fn a_system_without_switch_to_configuration_is_refused_with_what_to_do() {
        let failure = judge_boot("samsung", &system(), "switch\tno\n", false).unwrap_err();
        assert_eq!(failure.reason.code, Code::SwitchDisabled);
        assert!(failure.reason.text.contains("system.switch.enable = true"), "{}", failure.reason);
        let package = judge_boot("samsung", &system(), "system\tno\nswitch\tno\n", false);
        let failure = package.unwrap_err();
        assert_eq!(failure.reason.code, Code::NotASystem);
        assert!(failure.reason.text.contains("nothing was activated"), "{}", failure.reason);
    }

    #[test]
    fn a_system_that_lacks_the_specialisation_that_runs_is_refused_with_what_to_do() {
        let failure = judge_boot("samsung", &system(), "lacks\tgaming\n", true).unwrap_err();
        assert_eq!(failure.reason.code, Code::SpecialisationMissing);
        for part in ["the specialisation gaming", "nothing was activated", "--without-spec"] {
            assert!(failure.reason.text.contains(part), "{}", failure.reason);
        }
        assert_eq!(read_closure("lacks\tgaming\nsize\t3\n").unwrap().lacks.unwrap(), "gaming");
    }

    #[test]
    fn the_size_of_a_closure_is_read_and_half_an_answer_is_none() {
        let text = "switch\tno\nsize\t300\n100\t/nix/store/a\n200\t/nix/store/b\n";
        let found = read_closure(text).unwrap();
        assert_eq!((found.size, found.cannot_switch), (300, true));
        assert_eq!(found.lines, "100\t/nix/store/a\n200\t/nix/store/b\n");
        assert_eq!(read_closure("switch\tyes\n"), None);
    }
}
