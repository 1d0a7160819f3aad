//! What is wrong with a host, in words.

use crate::fleet::words::{deploys, limits};
use crate::fleet::{
    BootChoice, Code, Finding, HostFacts, HostState, KernelPart, Limits, Severity, StorePath,
    Subject, SystemFacts, ago, in_a_list,
};
use jiff::Timestamp;
use std::time::Duration;

/// Says why a host could not be asked, by what was observed and what to do.
pub fn not_asked(host: &str, code: Code, cause: &str, fix: &str) -> Finding {
    Finding::new(Subject::host(host), code, &format!("{host}: {cause}"), fix)
}

/// Says that a host's turn did not come within so many seconds.
pub fn time_ran_out(host: &str, seconds: u64) -> Finding {
    let cause = format!("not asked: the other hosts used up the {seconds} s");
    not_asked(host, Code::TimeRanOut, &cause, "ask again, or for fewer hosts at once")
}

/// Says that a host has not answered for longer than the limit; it last did at a time.
pub fn away(
    host: &str,
    last: Option<Timestamp>,
    limits: &Limits,
    now: Timestamp,
) -> Option<Finding> {
    let age = Duration::try_from(now.duration_since(last?)).ok()?;
    if age <= limits.not_seen {
        return None;
    }
    let time = ago(age);
    let cause = format!("{host} has not answered for {time}");
    let fix = "switch it on now and then, or remove it from hosts.toml";
    let finding = Finding::new(Subject::host(host), Code::HostAway, &cause, fix);
    Some(finding.in_short(&format!("away {time}")))
}

/// Returns what the figures of a host that answered say is wrong, or worth knowing.
pub fn of_figures(host: &str, facts: &HostFacts, limits: &Limits, now: Timestamp) -> Vec<Finding> {
    let mut all = limits::of_room(host, facts, limits);
    all.extend(no_system(host, facts));
    all.extend(units(host, facts));
    all.extend(next_boot(host, facts));
    all.extend(limits::of_work(host, facts, limits));
    all.extend(deploys::of_deploys(host, facts));
    all.extend(on_battery(host, facts));
    all.extend(limits::old_roots(host, facts, limits, now));
    all
}

/// Says that no system of NixOS runs, and what does.
fn no_system(host: &str, facts: &HostFacts) -> Option<Finding> {
    let other = facts.system.other_system.as_ref()?;
    let cause = format!("{host} runs {other}, not NixOS");
    let fix = format!(
        "when it is to become NixOS, make its first deploy: `nixdash deploy {host} --first`"
    );
    // It may be meant so for a while: only a deploy fails for it.
    let finding = Finding::new(Subject::host(host), Code::NotNixos, &cause, &fix);
    Some(finding.rated(Severity::Warning))
}

/// Says what to do about a unit that failed.
pub fn read_journal(unit: &str) -> String {
    format!("read its journal there with `journalctl --unit {unit}`")
}

/// Says which units failed, or that the system is not well without one that did.
fn units(host: &str, facts: &HostFacts) -> Option<Finding> {
    let subject = Subject::host(host);
    let units = facts.failed_units.as_deref().unwrap_or_default();
    if let [first, others @ ..] = units {
        let count = units.len();
        let (units, what) = (units.join(", "), if others.is_empty() { "unit" } else { "units" });
        let cause = format!("{what} failed on {host}: {units}");
        let finding = Finding::new(subject, Code::UnitsFailed, &cause, &read_journal(first));
        return Some(finding.in_short(&format!("{count} {what} failed")));
    }
    let state = facts.system_state.as_deref().filter(|_| facts.state == HostState::Degraded)?;
    if state == "no answer" {
        let cause = format!("systemd on {host} did not say in time how the system is");
        let fix = "see what `systemctl is-system-running` says there, and whether it is overloaded";
        return Some(Finding::new(subject, Code::SystemdSilent, &cause, fix));
    }
    if facts.failed_units.is_none() {
        let cause = format!("systemd calls {host} {state}, and did not say which units failed");
        let fix = "see what `systemctl --failed` says there";
        return Some(Finding::new(subject, Code::SystemdSilent, &cause, fix).in_short(state));
    }
    let cause = format!("systemd calls {host} {state}, though no unit failed");
    let fix = "see what `systemctl list-jobs` says there";
    Some(Finding::new(subject, Code::SystemDegraded, &cause, fix).in_short(state))
}

/// Says that a host waits for a restart, or starts something else than it should.
fn next_boot(host: &str, facts: &HostFacts) -> Vec<Finding> {
    let system = &facts.system;
    let none = BootChoice::default();
    let choice = facts.upkeep.as_ref().map_or(&none, |upkeep| &upkeep.boot);
    if let Some(pin) = &choice.pinned {
        let pinned = Some(pinned(host, choice.system.as_ref(), pin));
        return pinned.into_iter().chain(other_kernel(host, system)).collect();
    }
    let next = choice.system.as_ref().or(system.profile.as_ref());
    let (Some(next), Some(running)) = (next, &system.running) else {
        return other_kernel(host, system).into_iter().collect();
    };
    let special = facts.upkeep.as_ref().and_then(|upkeep| upkeep.deploys.specialisation.as_ref());
    // What boots next comes last when a system is switched.
    let switching = facts.upkeep.as_ref().is_some_and(|upkeep| upkeep.switching);
    if switching || next == running || special.is_some_and(|special| special.system == *next) {
        return other_kernel(host, system).into_iter().collect();
    }
    let runs = facts.upkeep.as_ref().and_then(|upkeep| upkeep.running_generation);
    let is_newer = runs.zip(system.generation).is_some_and(|(runs, newest)| runs < newest);
    if is_newer && Some(next) == system.profile.as_ref() {
        vec![waits_for_restart(host, system)]
    } else {
        vec![boots_another(host, system, next)]
    }
}

/// Says that a newer generation starts at the next boot.
fn waits_for_restart(host: &str, system: &SystemFacts) -> Finding {
    let next = system.generation.map_or_else(String::new, |it| format!(" {it}"));
    let cause = format!("{host} waits for a restart: generation{next} starts at its next boot");
    let fix = "restart it when that suits, or deploy with `switch`";
    Finding::new(Subject::host(host), Code::NeedsReboot, &cause, fix)
}

/// Says that the kernel that runs is not the running system's.
fn other_kernel(host: &str, system: &SystemFacts) -> Option<Finding> {
    if system.reboot_needed != Some(true) {
        return None;
    }
    let name = |part: &KernelPart| match part {
        KernelPart::Kernel => "kernel",
        KernelPart::Initrd => "initrd",
        KernelPart::Modules => "modules",
    };
    let parts: Vec<&str> = system.reboot_for.iter().map(name).collect();
    let parts =
        if parts.is_empty() { "kernel, initrd or modules".to_owned() } else { in_a_list(&parts) };
    let cause = format!("{host} waits for a restart: it was started with another {parts}");
    let fix = "restart it when that suits";
    Some(Finding::new(Subject::host(host), Code::NeedsReboot, &cause, fix))
}

/// Says that a host will start another system than the one that is running now, which is no newer
/// generation.
fn boots_another(host: &str, system: &SystemFacts, next: &StorePath) -> Finding {
    let is_profile = system.profile.as_ref() == Some(next);
    let number = system.generation.filter(|_| is_profile);
    let name = number.map_or_else(|| next.name().to_owned(), |it| format!("generation {it}"));
    let cause =
        format!("{host} starts {name} at its next boot, not the system that is running now");
    let fix = if is_profile {
        "restart it, or deploy the system that it should run with `switch`"
    } else {
        "its boot menu is not that of its newest generation: run `nixos-rebuild boot` or deploy again"
    };
    let finding = Finding::new(Subject::host(host), Code::BootDiffers, &cause, fix);
    match number {
        Some(number) => finding.in_short(&format!("boots gen {number}")),
        None => finding,
    }
}

/// Says that the boot loader was told to start a certain system, whatever is the newest.
fn pinned(host: &str, system: Option<&StorePath>, pin: &str) -> Finding {
    let next = system.map_or("another system than the newest one", StorePath::name);
    let cause = format!("{host} starts {next} at its next boot, because of {pin}");
    let fix = "remove what pins it, for example with `bootctl set-default \"\"`";
    Finding::new(Subject::host(host), Code::BootDefaultPinned, &cause, fix)
}

/// Says that a host runs on its battery.
fn on_battery(host: &str, facts: &HostFacts) -> Option<Finding> {
    let power = facts.power.filter(|power| power.on_mains == Some(false))?;
    let charge = power.battery.map(|percent| format!(", {percent} % charged")).unwrap_or_default();
    let cause = format!("{host} runs on its battery{charge}");
    let fix = "connect mains power before a long deploy";
    Some(Finding::new(Subject::host(host), Code::OnBattery, &cause, fix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Bytes, PowerFacts, Severity, UpkeepFacts};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn found(facts: &HostFacts) -> Vec<Finding> {
        of_figures("samsung", facts, &Limits::default(), NOW)
    }

    fn path(letter: &str) -> Option<StorePath> {
        StorePath::parse(&format!("/nix/store/{}-nixos", letter.repeat(32))).ok()
    }

    /// A host that runs `a` and of which that was looked at.
    fn boots(profile: &str, menu: Option<&str>, runs: Option<u64>) -> HostFacts {
        let system = SystemFacts {
            running: path("a"),
            profile: path(profile),
            generation: Some(78),
            ..SystemFacts::default()
        };
        let upkeep = UpkeepFacts {
            deploys: crate::fleet::DeployFacts::default(),
            boot: BootChoice { system: menu.and_then(path), pinned: None },
            running_generation: runs,
            roots: Vec::new(),
            systems: [system.running.clone(), system.profile.clone()],
            switching: false,
            measured_at: NOW,
        };
        HostFacts { system, upkeep: Some(upkeep), ..HostFacts::default() }
    }

    fn codes(facts: &HostFacts) -> Vec<Code> {
        found(facts).iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn a_host_of_which_nothing_is_known_has_nothing_wrong() {
        assert_eq!(codes(&HostFacts::default()), []);
    }

    #[test]
    fn each_figure_that_is_not_as_it_should_be_is_a_finding_of_its_own() {
        let facts = HostFacts {
            failed_units: Some(vec!["a.service".to_owned(), "b.service".to_owned()]),
            system: SystemFacts {
                running: path("a"),
                profile: path("b"),
                generation: Some(78),
                reboot_needed: Some(true),
                ..SystemFacts::default()
            },
            disk: Some(Bytes { used: 100 << 30, total: 101 << 30 }),
            power: Some(PowerFacts { on_mains: Some(false), battery: Some(41) }),
            ..HostFacts::default()
        };
        let all = [Code::DiskLow, Code::UnitsFailed, Code::BootDiffers, Code::OnBattery];
        assert_eq!(codes(&facts), all);
        let found = found(&facts);
        assert_eq!(found[1].words(), "2 units failed");
        assert_eq!(found[2].words(), "boots gen 78");
        assert!(found[1].cause.contains("a.service, b.service"), "{}", found[1].cause);
    }

    #[test]
    fn a_system_that_is_not_well_without_a_failed_unit_says_what_systemd_says() {
        let facts = HostFacts {
            state: HostState::Degraded,
            system_state: Some("maintenance".to_owned()),
            failed_units: Some(Vec::new()),
            ..HostFacts::default()
        };
        assert_eq!(found(&facts)[0].words(), "maintenance");
        let unread = found(&HostFacts { failed_units: None, ..facts.clone() });
        assert_eq!(unread[0].code, Code::SystemdSilent);
        assert!(unread[0].cause.ends_with("did not say which units failed"), "{unread:?}");
        let silent = HostFacts { system_state: Some("no answer".to_owned()), ..facts };
        assert_eq!(codes(&silent), [Code::SystemdSilent]);
    }

    #[test]
    fn one_disk_that_has_room_and_one_that_was_not_measured_are_no_findings() {
        for disk in
            [None, Some(Bytes { used: 0, total: 0 }), Some(Bytes { used: 9, total: 1 << 40 })]
        {
            assert_eq!(codes(&HostFacts { disk, ..HostFacts::default() }), []);
        }
    }

    #[test]
    fn a_newer_generation_waits_for_a_restart_and_an_older_one_is_another_system() {
        assert_eq!(codes(&boots("a", Some("a"), Some(78))), [], "it runs what it boots");
        let newer = found(&boots("b", Some("b"), Some(77)));
        assert_eq!((newer.len(), newer[0].code), (1, Code::NeedsReboot));
        assert_eq!(newer[0].severity, Severity::Warning);
        assert!(newer[0].cause.contains("generation 78 starts at its next boot"), "{newer:?}");
        for runs in [None, Some(79)] {
            assert_eq!(codes(&boots("b", Some("b"), runs)), [Code::BootDiffers], "{runs:?}");
        }
    }

    #[test]
    fn what_boots_next_is_no_finding_while_the_system_is_switched() {
        let mut facts = boots("b", Some("b"), None);
        facts.upkeep.as_mut().unwrap().switching = true;
        assert_eq!(codes(&facts), []);
    }

    #[test]
    fn the_boot_menu_counts_and_not_the_profile_alone() {
        let stale = found(&boots("a", Some("b"), Some(78)));
        assert_eq!(stale[0].code, Code::BootDiffers);
        assert!(stale[0].fix.contains("boot menu"), "{stale:?}");
        assert_eq!(
            codes(&boots("a", None, Some(78))),
            [],
            "a menu that cannot be read is not an alarm"
        );
        let mut pinned = boots("a", Some("c"), Some(78));
        if let Some(upkeep) = &mut pinned.upkeep {
            upkeep.boot.pinned = Some("the entry old (bootctl set-default)".to_owned());
        }
        assert_eq!(codes(&pinned), [Code::BootDefaultPinned]);
    }

    #[test]
    fn a_restart_is_waited_for_by_the_parts_that_differ() {
        let mut facts = boots("a", None, Some(78));
        facts.system.reboot_needed = Some(true);
        facts.system.reboot_for = vec![KernelPart::Kernel, KernelPart::Modules];
        let found = found(&facts);
        assert_eq!(found[0].words(), "needs reboot");
        assert_eq!(
            found[0].cause,
            "samsung waits for a restart: it was started with another kernel and modules"
        );
    }

    #[test]
    fn a_host_is_away_when_it_was_not_seen_for_a_week() {
        let days =
            |days: i64| NOW.checked_add(jiff::SignedDuration::from_hours(24 * days)).unwrap();
        let limits = Limits::default();
        assert_eq!(away("p510", Some(NOW), &limits, days(7)), None);
        assert_eq!(away("p510", Some(NOW), &limits, days(8)).unwrap().words(), "away 8 d");
        assert_eq!(away("p510", None, &limits, days(8)), None, "it was never seen");
    }
}
