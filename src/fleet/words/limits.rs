//! What a host's figures say is wrong by the limits of `[alarms]`, in words.

use crate::fleet::{
    Bytes, Code, FilePlace, Finding, HostFacts, Limits, NIX_FREE_NEEDED, NixSnippet, OldRoot,
    RUN_FREE_NEEDED, Severity, Subject, bytes, duration, percent,
};
use jiff::Timestamp;
use std::time::Duration;

/// Fewer files left than this share of what the store's file system can have and it is low on them.
const FILES_LEFT: f64 = 0.02;

/// Roots that are named at most.
const NAMED_ROOTS: usize = 3;

/// What collects garbage by itself from now on.
const COLLECT: &str = "\
nix.gc.automatic = true;
nix.gc.options = \"--delete-older-than 30d\";";

/// Returns what is wrong with the store's file system and other places.
pub(super) fn of_room(host: &str, facts: &HostFacts, limits: &Limits) -> Vec<Finding> {
    let mut all: Vec<Finding> = read_only(host, facts).into_iter().collect();
    all.extend(facts.disk.and_then(|disk| disk_low(host, disk, limits)));
    all.extend(files_low(host, facts));
    all.extend(facts.places.iter().filter_map(|(place, room)| {
        // The same file system need not be told twice.
        let is_told = facts.disk.is_some_and(|disk| is_same_room(disk, *room));
        if is_told { None } else { place_low(host, *place, *room, limits) }
    }));
    all
}

/// Returns whether two figures are about the same room: what is left is as much, but for what was
/// written between two looks.
fn is_same_room(one: Bytes, other: Bytes) -> bool {
    one.free().abs_diff(other.free()) <= one.free() / 50
}

/// Says that nothing can be written below `/nix`.
fn read_only(host: &str, facts: &HostFacts) -> Option<Finding> {
    let cause = format!("nothing can be written below /nix on {host}: it is mounted read-only");
    let fix = "read `journalctl --dmesg` there: a file system is mounted read-only after an error";
    let finding = Finding::new(Subject::host(host), Code::StoreReadOnly, &cause, fix);
    (facts.store_writable == Some(false)).then_some(finding)
}

/// Says that little room is left for the store; so little that a deploy is refused is an error.
fn disk_low(host: &str, disk: Bytes, limits: &Limits) -> Option<Finding> {
    let free = disk.free();
    if disk.total == 0 || free >= limits.nix_free.max(NIX_FREE_NEEDED) {
        return None;
    }
    let left = bytes(free);
    let fix = "make room there with nix-collect-garbage";
    let (severity, cause) = if free < NIX_FREE_NEEDED {
        (Severity::Error, format!("only {left} is left for /nix/store on {host}: no deploy fits"))
    } else {
        (Severity::Warning, format!("only {left} is left for /nix/store on {host}"))
    };
    let finding = Finding::new(Subject::host(host), Code::DiskLow, &cause, fix);
    let finding = finding.with_snippet(NixSnippet::lines(COLLECT));
    Some(finding.rated(severity).in_short(&format!("{left} left")))
}

/// Says that the store's file system can have few more files.
fn files_low(host: &str, facts: &HostFacts) -> Option<Finding> {
    let files = facts.files?;
    let left = files.total.saturating_sub(files.have);
    if left as f64 >= files.total as f64 * FILES_LEFT {
        return None;
    }
    let total = files.total;
    let cause = format!("only {left} of {total} inodes are left for /nix/store on {host} (df -i)");
    let fix = "collect garbage there; `nix-store --optimise` saves files too";
    let finding = Finding::new(Subject::host(host), Code::FilesLow, &cause, fix);
    let finding = finding.with_snippet(NixSnippet::lines(COLLECT));
    Some(if left == 0 { finding.rated(Severity::Error) } else { finding })
}

/// Says that little room is left in another place.
fn place_low(host: &str, place: FilePlace, room: Bytes, limits: &Limits) -> Option<Finding> {
    let (path, limit, code, fix) = match place {
        FilePlace::Boot => (
            "/boot",
            limits.boot_free,
            Code::BootLow,
            "remove old generations there, then run `nixos-rebuild boot`",
        ),
        FilePlace::Var => {
            ("/var", limits.var_free, Code::VarLow, "see what fills it with `du -xsh /var/*`")
        }
        FilePlace::Tmp => {
            ("/tmp", limits.tmp_free, Code::TmpLow, "see what fills it with `du -xsh /tmp/*`")
        }
        FilePlace::Run => {
            ("/run", RUN_FREE_NEEDED, Code::RunLow, "see what fills it with `du -xsh /run/*`")
        }
    };
    // What can hold no more than that is meant to be so small; a boot menu needs its room anyway.
    let is_meant_small = matches!(place, FilePlace::Var | FilePlace::Tmp);
    let limit = if is_meant_small { limit.min(room.total / 2) } else { limit };
    if room.total == 0 || room.free() >= limit {
        return None;
    }
    let cause = format!("only {} is left on {path} of {host}", bytes(room.free()));
    let finding = Finding::new(Subject::host(host), code, &cause, fix);
    let short = format!("{path} {} left", bytes(room.free()));
    Some(finding.in_short(&short))
}

/// Returns what is wrong with how much a host has to do, and how it is reached.
pub(super) fn of_work(host: &str, facts: &HostFacts, limits: &Limits) -> Vec<Finding> {
    let all = [
        memory_low(host, facts, limits),
        load_high(host, facts, limits),
        latency_high(host, facts, limits),
        clock_differs(host, facts.clock_ahead_s, limits),
    ];
    all.into_iter().flatten().collect()
}

/// Says that nearly all memory is in use.
fn memory_low(host: &str, facts: &HostFacts, limits: &Limits) -> Option<Finding> {
    let share = facts.memory?.share().filter(|share| *share > limits.memory)?;
    let used = percent(share);
    let cause = format!("{used} of the main memory of {host} is in use");
    let fix = "see what uses it with `systemd-cgtop --order=memory` there";
    let finding = Finding::new(Subject::host(host), Code::MemoryLow, &cause, fix);
    Some(finding.in_short(&format!("memory {used}")))
}

/// Says that far more wants to run than can.
fn load_high(host: &str, facts: &HostFacts, limits: &Limits) -> Option<Finding> {
    let (load, cpus) = (facts.load5?, facts.cpus.filter(|cpus| *cpus > 0)?);
    if load / f64::from(cpus) <= limits.load_per_cpu {
        return None;
    }
    let cause = format!("the load of {host} was {load:.0} over five minutes, on {cpus} processors");
    let fix = "see what runs there with `top`; nix.settings.max-jobs and cores limit its builds";
    let finding = Finding::new(Subject::host(host), Code::LoadHigh, &cause, fix);
    Some(finding.in_short(&format!("load {load:.0}")))
}

/// Says that a round trip takes long.
fn latency_high(host: &str, facts: &HostFacts, limits: &Limits) -> Option<Finding> {
    let latency = Duration::try_from_secs_f64(facts.latency_ms? / 1000.0).ok()?;
    if latency <= limits.latency {
        return None;
    }
    let time = duration(latency);
    let cause = format!("a round trip to {host} takes {time}");
    let fix = "see whether it is overloaded, or the network is bad";
    let finding = Finding::new(Subject::host(host), Code::LatencyHigh, &cause, fix);
    Some(finding.in_short(&format!("round trip {time}")))
}

/// Says that two clocks differ.
pub fn clock_differs(host: &str, ahead: Option<f64>, limits: &Limits) -> Option<Finding> {
    let ahead = ahead?;
    let by = Duration::try_from_secs_f64(ahead.abs()).ok()?;
    if by <= limits.clock {
        return None;
    }
    let (time, way) = (duration(by), if ahead > 0.0 { "ahead of" } else { "behind" });
    let cause = format!("the clock of {host} is {time} {way} that of this machine");
    let fix = "compare both with `timedatectl`, and let both use NTP";
    Some(Finding::new(Subject::host(host), Code::ClockDiffers, &cause, fix))
}

/// Says which roots have been there for long. Where there is room, that is only worth knowing.
pub(super) fn old_roots(
    host: &str,
    facts: &HostFacts,
    limits: &Limits,
    now: Timestamp,
) -> Option<Finding> {
    let age = |root: &OldRoot| Duration::try_from(now.duration_since(root.made_at)).ok();
    let roots = &facts.upkeep.as_ref()?.roots;
    let old: Vec<(&OldRoot, Duration)> = roots
        .iter()
        .filter_map(|root| Some((root, age(root).filter(|age| *age > limits.root_age)?)))
        .collect();
    let count = old.len();
    let days = |age: &Duration| age.as_secs() / (24 * 60 * 60);
    let named = old.iter().take(NAMED_ROOTS);
    let named: Vec<String> =
        named.map(|(root, age)| format!("{} ({} d)", root.link, days(age))).collect();
    let more = count.saturating_sub(NAMED_ROOTS);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let (roots, keep) = if count == 1 { ("root", "keeps") } else { ("roots", "keep") };
    let cause =
        format!("{count} old {roots} on {host} {keep} paths alive: {}{more}", named.join(", "));
    let fix = "remove those that nobody needs, then collect garbage";
    let finding = Finding::new(Subject::host(host), Code::RootsOld, &cause, fix);
    let finding = finding.in_short(&format!("{count} old {roots}"));
    let is_low = facts.disk.is_some_and(|disk| disk_low(host, disk, limits).is_some());
    let severity = if is_low { Severity::Warning } else { Severity::Note };
    (count > 0).then(|| finding.rated(severity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::words::hosts::of_figures;
    use crate::fleet::{BootChoice, Share, UpkeepFacts, worst};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn found(facts: &HostFacts) -> Vec<Finding> {
        of_figures("samsung", facts, &Limits::default(), NOW)
    }

    fn codes(facts: &HostFacts) -> Vec<Code> {
        found(facts).iter().map(|finding| finding.code).collect()
    }

    fn left(free: u64) -> Bytes {
        Bytes { used: (100 << 30) - free, total: 100 << 30 }
    }

    #[test]
    fn one_megabyte_below_nix_is_an_error_and_one_gigabyte_a_warning() {
        let host = |free| HostFacts { disk: Some(left(free)), ..HostFacts::default() };
        let full = found(&host(1_000_000));
        assert_eq!((full[0].code, full[0].severity), (Code::DiskLow, Severity::Error));
        assert_eq!(full[0].words(), "1.00 MB left");
        assert_eq!(found(&host(1 << 30))[0].severity, Severity::Warning);
        assert_eq!(codes(&host(2 << 30)), [], "the limit itself is enough");
        for disk in [None, Some(Bytes { used: 0, total: 0 })] {
            assert_eq!(codes(&HostFacts { disk, ..HostFacts::default() }), []);
        }
    }

    #[test]
    fn every_place_has_a_code_of_its_own_and_one_file_system_is_told_once() {
        let room = |free: u64| Bytes { used: (10 << 30) - free, total: 10 << 30 };
        let all = [FilePlace::Boot, FilePlace::Var, FilePlace::Tmp, FilePlace::Run];
        let places = all.map(|place| (place, room(1000))).into();
        let facts = HostFacts { places, ..HostFacts::default() };
        let codes_of_all = [Code::BootLow, Code::VarLow, Code::TmpLow, Code::RunLow];
        assert_eq!(codes(&facts), codes_of_all);
        assert_eq!(worst(&found(&facts)).unwrap().code, Code::RunLow, "a deploy is refused");
        let disk = Some(left(50 << 20));
        let places = [(FilePlace::Var, left(50 << 20)), (FilePlace::Tmp, room(1 << 20))].into();
        let facts = HostFacts { disk, places, ..HostFacts::default() };
        assert_eq!(codes(&facts), [Code::DiskLow, Code::TmpLow]);
    }

    #[test]
    fn a_place_that_is_small_by_design_is_no_alarm() {
        let small = Bytes { used: 1 << 20, total: 50 << 20 };
        let facts = HostFacts { places: [(FilePlace::Tmp, small)].into(), ..HostFacts::default() };
        assert_eq!(codes(&facts), []);
    }

    #[test]
    fn files_run_out_before_bytes_do() {
        let files = |have| Some(Share { have, total: 1_000_000 });
        let host = |have| HostFacts { files: files(have), ..HostFacts::default() };
        assert_eq!(codes(&host(980_000)), []);
        assert_eq!(found(&host(980_001))[0].severity, Severity::Warning);
        assert_eq!(found(&host(1_000_000))[0].severity, Severity::Error);
    }

    #[test]
    fn work_reach_and_clock_have_limits() {
        let memory = |share: u64| Some(Bytes { used: share, total: 100 });
        let well = HostFacts {
            memory: memory(95),
            load5: Some(16.0),
            cpus: Some(2),
            latency_ms: Some(1000.0),
            clock_ahead_s: Some(-30.0),
            store_writable: Some(true),
            ..HostFacts::default()
        };
        assert_eq!(codes(&well), [], "each is equal to its limit");
        let ill = HostFacts {
            memory: memory(96),
            load5: Some(16.1),
            latency_ms: Some(1001.0),
            clock_ahead_s: Some(-30.5),
            store_writable: Some(false),
            ..well
        };
        let all = [
            Code::StoreReadOnly,
            Code::MemoryLow,
            Code::LoadHigh,
            Code::LatencyHigh,
            Code::ClockDiffers,
        ];
        assert_eq!(codes(&ill), all);
        let clock = found(&ill).pop().unwrap();
        assert_eq!(clock.cause, "the clock of samsung is 30 s behind that of this machine");
    }

    #[test]
    fn old_roots_are_a_note_until_room_is_low() {
        let made_at = |days: i64| NOW - jiff::SignedDuration::from_hours(24 * days);
        let root = |days| OldRoot { link: "/home/me/result".to_owned(), made_at: made_at(days) };
        let upkeep = UpkeepFacts {
            deploys: crate::fleet::DeployFacts::default(),
            boot: BootChoice::default(),
            running_generation: None,
            roots: vec![root(214), root(91), root(90)],
            systems: [None, None],
            switching: false,
            measured_at: NOW,
        };
        let facts = HostFacts { upkeep: Some(upkeep), ..HostFacts::default() };
        let roots = found(&facts);
        assert_eq!((roots[0].code, roots[0].severity), (Code::RootsOld, Severity::Note));
        assert!(roots[0].cause.starts_with("2 old roots on samsung keep paths alive"), "{roots:?}");
        let low = HostFacts { disk: Some(left(1 << 30)), ..facts };
        assert_eq!(found(&low)[1].severity, Severity::Warning);
    }
}
