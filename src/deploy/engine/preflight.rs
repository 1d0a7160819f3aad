//! Preflight: is the target there, may we become root, is nobody else at it, is there room.

use super::account;
use super::ancestry;
use super::evaluate::OLDEST;
use super::lost::lost;
use super::owner::Owner;
use super::routes;
use super::scripts::PREFLIGHT;
use super::step::Step;
use super::systems;
use super::touch;
use super::unwell;
use super::verify::accepted;
use super::wake;
use crate::deploy::{Failure, Preflight, Reason, Report};
use crate::fleet::words::deploys;
use crate::fleet::words::limits::clock_differs;
use crate::fleet::{
    Code, DeployedFrom, Finding, Limits, NIX_FREE_NEEDED, Outcome, RUN_FREE_NEEDED, Specialisation,
    StorePath, Strategy, Tier, bytes, printable_line,
};
use crate::nix::settings::Settings;
use crate::nix::version::{NixRelease, Version};
use crate::probe::{Power, clock_ahead, note_part};
use crate::remote::{Output, Script};
use jiff::Timestamp;
use std::time::Duration;

/// Less charge than this on battery and the plan says so, in percent.
const BATTERY_NOTED: u64 = 30;

/// The oldest Nix that a deploy can work with on a target: the first with its log in JSON.
const OLDEST_NIX: Version = Version::new(2, 4, 0);

pub(super) async fn preflight(step: &Step) -> Result<Report, Failure> {
    if !step.host.goal.deploys() {
        // Nothing is done on the host, which need not be there.
        return routes::choose_builder(step).await;
    }
    // They say what it takes from a cache, and of which system it is.
    let may_travel = step.host.route.travels() || step.host.asked == Strategy::Auto;
    let asks_settings = if may_travel { "settings" } else { "" };
    let script = Script::new(PREFLIGHT).root().arg(asks_settings).limit(Duration::from_secs(40));
    let began = Timestamp::now();
    let asked = step.run(&step.host.name, &script);
    let answering = step.runner.answering(&step.host.name);
    let (output, mut answering, ()) =
        tokio::join!(asked, answering, systems::ask_for_systems(step));
    let output = match output {
        Ok(output) => output,
        Err(failure) if wake::after(step, &step.host.name, &failure).await => {
            answering = step.runner.answering(&step.host.name).await;
            step.run(&step.host.name, &script).await?
        }
        Err(failure) => return Err(failure),
    };
    if !output.is_ok() {
        return Err(refused(&step.host.name, &output));
    }
    let text = if output.stdout.lines().any(|line| line.starts_with("intent\t")) {
        recover(step).await?;
        step.run(&step.host.name, &script).await?.stdout
    } else {
        output.stdout
    };
    let (facts, settings) = text.split_once("\n--- settings\n").unwrap_or((&text, ""));
    let limits = &step.shared.fleet.alarms.limits;
    let times = (began, Timestamp::now());
    let mut found = read(&step.host.name, facts, limits, step.host.first, times)?;
    let settings = Settings::parse(settings);
    step.shared.settings.note(&step.host.name, &settings);
    takes_from_the_tier(step, &settings)?;
    found.source = ancestry::source_of(step).await;
    found.deploys.ancestry = ancestry::to_what_runs(step, &found).await;
    found.notes.extend(ancestry::of_host(step, &found)?);
    // What could not be asked is not required afterwards.
    found.answering = answering.unwrap_or_default();
    routes::settle(step, &mut found, &settings).await?;
    found.notes.extend(touch::note(step));
    found.unwell = unwell::look(step, &found).await?;
    unwell::leave_what_failed_before(step, &mut found);
    if step.known.was_away {
        found.newest = (step.shared.newest)(&step.host.name);
    }
    Ok(Report::Preflight(Box::new(found)))
}

/// Checks that the host asks the tier that it shall pull from and trusts its key: else a build would
/// be in vain. What cannot be read is seen by verify and fetch.
fn takes_from_the_tier(step: &Step, settings: &Settings) -> Result<(), Failure> {
    let chooses = step.host.asked == Strategy::Auto;
    if chooses || step.host.route.tier().is_none() {
        return Ok(());
    }
    let refused = |reason| Failure { outcome: Outcome::Failed, reason };
    takes_from(step, step.tier()?, settings).map_err(refused)
}

/// Returns why the host would take nothing from a tier, as far as its settings are known. With
/// `bootstrap_trust` the fetch brings the tier and its key along.
pub(super) fn takes_from(step: &Step, tier: &Tier, settings: &Settings) -> Result<(), Reason> {
    match &tier.public_key {
        Some(key) if !settings.is_empty() && !step.shared.fleet.bootstrap_trust => {
            accepted(&step.host.name, tier, key, settings)
        }
        Some(_) | None => Ok(()),
    }
}

/// Puts right what a power cut left of an earlier deploy, before this one looks at what is there.
async fn recover(step: &Step) -> Result<(), Failure> {
    let name = &step.host.name;
    let output = account::recover(step).await.map_err(|error| lost(&error))?;
    if output.is_ok() {
        return Ok(());
    }
    let text = format!(
        "{name}: an earlier deploy was cut off while it was made permanent, and that could not be \
         repaired: {}",
        output.complaint()
    );
    Err(Failure::failed(Code::SystemUnexpected, text))
}

/// Returns what it means when the script did not run as root.
fn refused(host: &str, output: &Output) -> Failure {
    let said = output.complaint();
    let hint = if said.contains("sudo") || said.contains("password") {
        "; allow the login user sudo without a password, or name root@ in its address"
    } else {
        ""
    };
    let text = format!("{host}: preflight could not run as root: {said}{hint}");
    Failure::failed(Code::PrivilegesMissing, text)
}

/// Judges a host on which no system of NixOS runs: a first deploy may begin there, with a note that
/// nothing can go back. `os` is what runs there, `marked` whether NixOS may be activated on it.
fn without_system(host: &str, os: &str, marked: bool, first: bool) -> Result<Reason, Failure> {
    let runs = if os.is_empty() { "an unknown system" } else { os };
    if !first {
        let text = format!(
            "{host} runs {runs}, not NixOS (there is no /run/current-system). If this machine is \
             to become NixOS, make its first deploy with `nixdash deploy {host} --first`: there is \
             no system to go back to"
        );
        return Err(Failure::failed(Code::NotNixos, text));
    }
    if !marked {
        let text = format!(
            "{host}: it runs {runs}, and NixOS is activated only where the file /etc/NIXOS is. If this \
             machine is to become NixOS, run `touch /etc/NIXOS` there and deploy again"
        );
        return Err(Failure::failed(Code::NotNixos, text));
    }
    let text = format!(
        "first deploy: {runs} runs there, so there is no system of NixOS to go back to. NixOS only \
         installs a first system, which starts at the next restart; a first system that is \
         activated at once stays until that restart, confirmed or not"
    );
    Ok(Reason::new(Code::FirstDeploy, text))
}

/// Reads the script's lines. `first` says whether a host without a system of NixOS may take part,
/// `times` when it was asked and when it had answered.
fn read(
    host: &str,
    text: &str,
    limits: &Limits,
    first: bool,
    times: (Timestamp, Timestamp),
) -> Result<Preflight, Failure> {
    let mut found = Preflight::default();
    let mut power = Power::default();
    let (mut os, mut marked, mut were_units_read) = (String::new(), false, false);
    for (key, value) in text.lines().filter_map(|line| line.split_once('\t')) {
        let value = value.trim();
        match key {
            "running" => found.running = StorePath::parse(value).ok(),
            "booted" => found.booted = StorePath::parse(value).ok(),
            "part" => note_part(&mut found.started, value),
            "profile" => found.profile = StorePath::parse(value).ok(),
            "specialisation" => found.deploys.specialisation = Specialisation::parse(value),
            "built_from" => found.deploys.built_from = DeployedFrom::parse(value),
            "deployer" => found.deploys.by_themselves.push(printable_line(value)),
            "os" => os = printable_line(value),
            "marked" => marked = true,
            "confirmed" => found.confirmed.extend(StorePath::parse(value).ok()),
            "boot_id" => found.boot_id = printable_line(value),
            "failed" => {
                found.failed_units.insert(printable_line(value));
            }
            "units" => were_units_read = true,
            "mains" | "battery" | "battery_status" => power.take(key, value),
            "built_on" => found.built_on = Some(printable_line(value)),
            "locked" => return Err(locked(host, value)),
            "read_only" => return Err(read_only(host, value)),
            _ => {}
        }
        found.notes.extend(note(host, key, value, limits, times)?);
    }
    let on_battery = power.facts().filter(|power| power.on_mains == Some(false));
    found.on_battery = on_battery.and_then(|power| power.battery).map(u64::from);
    if let Some(charge) = found.on_battery.filter(|&charge| charge < BATTERY_NOTED) {
        found.notes.push(Reason::new(Code::OnBattery, format!("on battery, {charge} %")));
    }
    let others = deploys::deployed_by_others(host, &found.deploys.by_themselves);
    found.notes.extend(others.map(|finding| Reason::new(finding.code, finding.cause)));
    if found.running.is_none() {
        found.notes.insert(0, without_system(host, &os, marked, first)?);
    } else if !were_units_read {
        return Err(systemd_silent(host));
    }
    Ok(found)
}

/// Judges one line of the script: what the person should know, or why nothing may be begun.
fn note(
    host: &str,
    key: &str,
    value: &str,
    limits: &Limits,
    times: (Timestamp, Timestamp),
) -> Result<Option<Reason>, Failure> {
    let of = |finding: Finding| Reason::new(finding.code, finding.cause);
    match key {
        "nix_free" | "run_free" | "boot_free" => match value.parse() {
            Ok(free) => room(host, key, free, limits),
            Err(_) => Ok(None),
        },
        "time" => {
            let ahead = value.parse().ok().and_then(|said| clock_ahead(said, times.0, times.1));
            Ok(clock_differs(host, ahead, limits).map(of))
        }
        "nix" if value.is_empty() => {
            let text = format!(
                "{host}: there is no Nix there, so it can take no system (a NixOS with nix.enable = false has \
                 none); let its configuration enable Nix, and activate that by hand once"
            );
            Err(Failure::failed(Code::NixMissing, text))
        }
        "nix" => match NixRelease::parse(value).map(|release| release.version) {
            Some(version) if version < OLDEST_NIX => {
                let text = format!(
                    "{host}: its Nix {version} is older than {OLDEST_NIX}, the oldest that a \
                     deploy works with; update its Nix by hand first"
                );
                Err(Failure::failed(Code::NixOld, text))
            }
            Some(version) if version < OLDEST => {
                Ok(Some(of(deploys::nix_old(host, &version.to_string(), &OLDEST.to_string()))))
            }
            Some(_) | None => Ok(None),
        },
        _ => Ok(None),
    }
}

/// Says that somebody else is at it: who, since when, and until when at most.
fn locked(host: &str, value: &str) -> Failure {
    let who = Owner::parse(value).map_or_else(
        || "somebody is deploying to it now".to_owned(),
        |owner| owner.sentence(Timestamp::now()),
    );
    Failure::failed(Code::LockHeld, format!("{host}: {who}; wait for that to end"))
}

/// Says that systemd does not answer: nothing could be activated there, and units that had failed before would be taken
/// for new ones.
fn systemd_silent(host: &str) -> Failure {
    let text = format!(
        "{host}: systemd did not say within 10 s, asked twice, which units have failed, so nothing can be \
         activated there now; see with `systemctl is-system-running` whether it answers, and deploy again"
    );
    Failure::failed(Code::SystemdSilent, text)
}

/// Says that nothing can be written where a deploy writes. `place` is what is mounted read-only.
fn read_only(host: &str, place: &str) -> Failure {
    let text = format!(
        "{host}: the file system of {} is mounted read-only, so nothing can be deployed; read \
         `journalctl --dmesg` there: a file system is mounted read-only after an error",
        printable_line(place)
    );
    Failure::failed(Code::StoreReadOnly, text)
}

/// Judges how much room there is before anything is known of the new system.
fn room(host: &str, key: &str, free: u64, limits: &Limits) -> Result<Option<Reason>, Failure> {
    let left = bytes(free);
    match key {
        "run_free" if free < RUN_FREE_NEEDED => {
            let text = format!(
                "{host}: only {left} are free on /run, which a deploy needs for its results; see \
                 what fills it with `du -xsh /run/*` there"
            );
            Err(Failure::failed(Code::WriteFailed, text))
        }
        "nix_free" if free < NIX_FREE_NEEDED => {
            let text = format!(
                "{host}: only {left} are free below /nix; make room there with nix-collect-garbage"
            );
            Err(Failure::failed(Code::DiskLow, text))
        }
        "nix_free" if free < limits.nix_free => {
            Ok(Some(Reason::new(Code::DiskLow, format!("only {left} are free below /nix"))))
        }
        "boot_free" if free < limits.boot_free => {
            Ok(Some(Reason::new(Code::BootLow, format!("only {left} are free on /boot"))))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: &str = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-nixos-system-samsung";

    /// Reads what an ordinary host says, with the usual limits.
    fn read(host: &str, text: &str) -> Result<Preflight, Failure> {
        read_of(host, text, false)
    }

    fn read_of(host: &str, text: &str, first: bool) -> Result<Preflight, Failure> {
        let now = Timestamp::from_second(1_000_000).unwrap();
        // A host says so unless its systemd is silent.
        let text = format!("{text}\nunits\tread\n");
        super::read(host, &text, &Limits::default(), first, (now, now))
    }

    #[test]
    fn a_healthy_host_passes() {
        let text =
            format!("running\t{SYSTEM}\nboot_id\tabc\nnix_free\t90000000000\nfailed\ta.service\n");
        let found = read("samsung", &text).unwrap();
        assert_eq!(found.running.unwrap().as_str(), SYSTEM);
        assert!(found.failed_units.contains("a.service"));
        assert!(found.notes.is_empty());
    }

    #[test]
    fn a_systemd_that_does_not_answer_stops_the_host() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let text = format!("running\t{SYSTEM}\nboot_id\tabc\n");
        let limits = Limits::default();
        let why = super::read("samsung", &text, &limits, false, (now, now)).unwrap_err().reason;
        assert_eq!(why.code, Code::SystemdSilent);
        assert!(why.text.contains("did not say within 10 s, asked twice"), "{why}");
        // A machine that becomes NixOS may have none.
        let text = "os\tAlpine\nmarked\tyes\nboot_id\tabc\n";
        assert!(super::read("samsung", text, &limits, true, (now, now)).is_ok());
    }

    #[test]
    fn a_full_disk_stops_the_host_and_says_what_to_do() {
        let error = read("samsung", &format!("running\t{SYSTEM}\nnix_free\t1000\n")).unwrap_err();
        assert_eq!(error.reason.code, Code::DiskLow);
        assert!(error.reason.text.contains("nix-collect-garbage"), "{}", error.reason);
        let error = read("samsung", &format!("running\t{SYSTEM}\nrun_free\t1000\n")).unwrap_err();
        assert_eq!(error.reason.code, Code::WriteFailed);
    }

    #[test]
    fn a_machine_that_becomes_nixos_is_deployed_only_as_a_first_deploy() {
        let text = "os\tDebian GNU/Linux 13 (trixie)\nboot_id\tabc\n";
        let error = read_of("samsung", text, false).unwrap_err().reason;
        assert_eq!(error.code, Code::NotNixos);
        for part in [
            "samsung runs Debian GNU/Linux 13 (trixie), not NixOS",
            "nixdash deploy samsung --first",
        ] {
            assert!(error.text.contains(part), "{error}");
        }
        let unmarked = read_of("samsung", text, true).unwrap_err().reason;
        assert!(unmarked.text.contains("touch /etc/NIXOS"), "{unmarked}");
        let found = read_of("samsung", &format!("{text}marked\tyes\n"), true).unwrap();
        assert_eq!(found.running, None);
        let note = &found.notes[0];
        assert_eq!(note.code, Code::FirstDeploy);
        assert!(note.text.contains("no system of NixOS to go back to"), "{note}");
        let ordinary = read_of("samsung", &format!("running\t{SYSTEM}\n"), true).unwrap();
        assert_eq!(ordinary.notes, [], "a host with a system goes back to it");
    }

    #[test]
    fn a_second_operator_is_told_who_is_at_it() {
        let error = read("samsung", "locked\twho=me@desk run=7 now=9 since=2\n").unwrap_err();
        assert_eq!(error.reason.code, Code::LockHeld);
        assert!(
            error.reason.text.contains("me@desk has been deploying to it with run 7 for 7"),
            "{}",
            error.reason
        );
    }

    #[test]
    fn a_low_battery_is_noted_only_off_mains() {
        let off = read("s", &format!("running\t{SYSTEM}\nmains\t0\nbattery\t12\n")).unwrap();
        assert_eq!(off.notes, [Reason::new(Code::OnBattery, "on battery, 12 %")]);
        let on = read("s", &format!("running\t{SYSTEM}\nmains\t1\nbattery\t12\n")).unwrap();
        assert!(on.notes.is_empty());
    }

    #[test]
    fn little_room_is_noted_with_a_code_of_its_own() {
        let text = format!("running\t{SYSTEM}\nnix_free\t1000000000\nboot_free\t1000000\n");
        let notes = read("s", &text).unwrap().notes;
        assert_eq!(
            notes.iter().map(|note| note.code).collect::<Vec<_>>(),
            [Code::DiskLow, Code::BootLow]
        );
    }

    /// Returns the codes of what is noted of a host that says this besides what it runs.
    fn noted(text: &str) -> Vec<Code> {
        let found = read("s", &format!("running\t{SYSTEM}\n{text}")).unwrap();
        found.notes.iter().map(|note| note.code).collect()
    }

    #[test]
    fn a_clock_that_differs_an_old_nix_and_another_deployer_are_told_on_the_plan() {
        assert_eq!(noted("time\t1000000\nnix\tnix (Nix) 2.26.3\n"), []);
        assert_eq!(noted("time\t1000100\n"), [Code::ClockDiffers]);
        assert_eq!(noted("nix\tnix (Nix) 2.8.0\n"), [Code::NixOld]);
        assert_eq!(noted("deployer\tcomin.service\n"), [Code::DeployedByOthers]);
        let found = read("s", &format!("running\t{SYSTEM}\ntime\t999900\n")).unwrap();
        assert!(found.notes[0].text.contains("behind that of this machine"), "{}", found.notes[0]);
    }

    #[test]
    fn a_laptop_that_usb_feeds_is_on_battery_only_while_it_is_not_connected() {
        let charge =
            |text: &str| read("s", &format!("running\t{SYSTEM}\n{text}")).unwrap().on_battery;
        assert_eq!(charge("mains\t0\nbattery\t41\n"), Some(41));
        assert_eq!(charge("mains\t0\nmains\t2\nbattery\t41\n"), None);
        assert_eq!(charge("battery\t41\nbattery_status\tDischarging\n"), Some(41));
        assert_eq!(charge("battery\t41\nbattery_status\tCharging\n"), None);
    }

    #[test]
    fn a_read_only_store_and_a_nix_that_is_too_old_stop_the_host() {
        for (line, code, part) in [
            ("read_only\t/nix/store", Code::StoreReadOnly, "mounted read-only"),
            ("nix\tnix (Nix) 2.3.16", Code::NixOld, "older than 2.4.0"),
            ("nix\t", Code::NixMissing, "no Nix there"),
        ] {
            let error = read("s", &format!("running\t{SYSTEM}\n{line}\n")).unwrap_err().reason;
            assert_eq!(error.code, code);
            assert!(error.text.contains(part), "{error}");
        }
    }

    #[test]
    fn a_specialisation_is_its_system_to_a_comparison() {
        let special = SYSTEM.replace("l0z", "m0z");
        let text = format!("running\t{special}\nspecialisation\t{SYSTEM}\tgaming\n");
        let found = read("s", &text).unwrap();
        let system = StorePath::parse(SYSTEM).unwrap();
        assert!(found.runs(&system) && found.runs(&StorePath::parse(&special).unwrap()));
        assert!(!read("s", &format!("running\t{special}\n")).unwrap().runs(&system));
    }

    #[test]
    fn sudo_that_asks_for_a_password_is_explained() {
        let output =
            Output { code: 1, stderr: "sudo: a password is required".into(), ..Output::default() };
        let reason = refused("razer", &output).reason;
        assert_eq!(reason.code, Code::PrivilegesMissing);
        assert!(reason.text.contains("without a password"));
    }
}
