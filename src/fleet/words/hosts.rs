//! What is wrong with a host, in words.

use crate::fleet::{Bytes, Code, Finding, HostFacts, HostState, Subject, SystemFacts, bytes};

/// A store whose file system has less room than this left is low on it, in bytes; a deploy's plan
/// notes it from the same size on.
const DISK_LOW: u64 = 2 << 30;

/// Says why a host could not be asked, by what was observed and what to do.
pub fn not_asked(host: &str, code: Code, cause: &str, fix: &str) -> Finding {
    Finding::new(Subject::host(host), code, &format!("{host}: {cause}"), fix)
}

/// Says that a host's turn did not come within so many seconds.
pub fn time_ran_out(host: &str, seconds: u64) -> Finding {
    let cause = format!("not asked: the other hosts took the whole {seconds} s");
    not_asked(host, Code::TimeRanOut, &cause, "ask again, or for fewer hosts at once")
}

/// Returns what the figures of a host that answered say is wrong, or worth knowing.
pub fn of_figures(host: &str, facts: &HostFacts) -> Vec<Finding> {
    let all = [
        units(host, facts),
        boots_another(host, &facts.system),
        facts.disk.and_then(|disk| disk_low(host, disk)),
        needs_reboot(host, &facts.system),
        on_battery(host, facts),
    ];
    all.into_iter().flatten().collect()
}

/// Says which units failed, or that the system is not well without one that did.
fn units(host: &str, facts: &HostFacts) -> Option<Finding> {
    let subject = Subject::host(host);
    let units = facts.failed_units.as_deref().unwrap_or_default();
    if let [first, others @ ..] = units {
        let count = units.len();
        let (units, what) = (units.join(", "), if others.is_empty() { "unit" } else { "units" });
        let cause = format!("{what} failed on {host}: {units}");
        let fix = format!("read the journal there with `journalctl --unit {first}`");
        let finding = Finding::new(subject, Code::UnitsFailed, &cause, &fix);
        return Some(finding.in_short(&format!("{count} {what} failed")));
    }
    let state = facts.system_state.as_deref().filter(|_| facts.state == HostState::Degraded)?;
    if state == "no answer" {
        let cause = format!("systemd on {host} did not say in time how the system is");
        let fix = "see what `systemctl is-system-running` says there, and whether it is overloaded";
        return Some(Finding::new(subject, Code::SystemdSilent, &cause, fix));
    }
    let cause = format!("systemd calls {host} {state}, though no unit failed");
    let fix = "see what `systemctl list-jobs` says there";
    Some(Finding::new(subject, Code::SystemDegraded, &cause, fix).in_short(state))
}

/// Says that a host will start another system than the one that is running now.
fn boots_another(host: &str, system: &SystemFacts) -> Option<Finding> {
    let (running, profile) = (system.running.as_ref()?, system.profile.as_ref()?);
    if running == profile {
        return None;
    }
    let number = system.generation;
    let next = number.map_or_else(|| profile.name().to_owned(), |it| format!("generation {it}"));
    let cause = format!("{host} starts {next} at its next boot, which is not running now");
    let fix = "restart it, or deploy with `switch` what it should run";
    let finding = Finding::new(Subject::host(host), Code::BootDiffers, &cause, fix);
    Some(match number {
        Some(number) => finding.in_short(&format!("boots gen {number}")),
        None => finding,
    })
}

/// Says that little room is left for the store.
fn disk_low(host: &str, disk: Bytes) -> Option<Finding> {
    if disk.total == 0 || disk.free() >= DISK_LOW {
        return None;
    }
    let free = bytes(disk.free());
    let cause = format!("only {free} is left for /nix/store on {host}");
    let fix = "make room there with nix-collect-garbage";
    let finding = Finding::new(Subject::host(host), Code::DiskLow, &cause, fix);
    Some(finding.in_short(&format!("{free} left")))
}

/// Says that the kernel that runs is not the running system's.
fn needs_reboot(host: &str, system: &SystemFacts) -> Option<Finding> {
    let cause = format!("{host} runs another kernel, initrd or modules than its system has");
    let finding =
        Finding::new(Subject::host(host), Code::NeedsReboot, &cause, "restart it when that suits");
    (system.reboot_needed == Some(true)).then_some(finding)
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
    use crate::fleet::{PowerFacts, StorePath};

    fn codes(facts: &HostFacts) -> Vec<Code> {
        of_figures("samsung", facts).iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn a_host_of_which_nothing_is_known_has_nothing_wrong() {
        assert_eq!(codes(&HostFacts::default()), []);
    }

    #[test]
    fn each_figure_that_is_not_as_it_should_be_is_a_finding_of_its_own() {
        let path = |letter: &str| {
            StorePath::parse(&format!("/nix/store/{}-nixos", letter.repeat(32))).ok()
        };
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
        let all = [
            Code::UnitsFailed,
            Code::BootDiffers,
            Code::DiskLow,
            Code::NeedsReboot,
            Code::OnBattery,
        ];
        assert_eq!(codes(&facts), all);
        let found = of_figures("samsung", &facts);
        assert_eq!(found[0].words(), "2 units failed");
        assert_eq!(found[1].words(), "boots gen 78");
        assert!(found[0].cause.contains("a.service, b.service"), "{}", found[0].cause);
    }

    #[test]
    fn a_system_that_is_not_well_without_a_failed_unit_says_what_systemd_says() {
        let facts = HostFacts {
            state: HostState::Degraded,
            system_state: Some("maintenance".to_owned()),
            failed_units: Some(Vec::new()),
            ..HostFacts::default()
        };
        assert_eq!(of_figures("samsung", &facts)[0].words(), "maintenance");
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
}
