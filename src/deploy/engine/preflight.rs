//! Preflight: is the target there, may we become root, is nobody else at it, is there room.

use super::account;
use super::lost::lost;
use super::owner::Owner;
use super::scripts::PREFLIGHT;
use super::step::Step;
use crate::deploy::{Failure, Preflight, Reason, Report};
use crate::fleet::{
    Code, Limits, NIX_FREE_NEEDED, RUN_FREE_NEEDED, StorePath, bytes, printable_line,
};
use crate::remote::{Output, Script};
use jiff::Timestamp;
use std::time::Duration;

/// Less charge than this on battery and the plan says so, in percent.
const BATTERY_NOTED: u64 = 30;

pub(super) async fn preflight(step: &Step) -> Result<Report, Failure> {
    let script = Script::new(PREFLIGHT).root().limit(Duration::from_secs(25));
    let asked = step.run(&step.host.name, &script);
    let (output, answering) = tokio::join!(asked, step.runner.answering(&step.host.name));
    let output = output?;
    if !output.is_ok() {
        return Err(refused(&step.host.name, &output));
    }
    let text = if output.stdout.lines().any(|line| line.starts_with("intent\t")) {
        recover(step).await?;
        step.run(&step.host.name, &script).await?.stdout
    } else {
        output.stdout
    };
    let limits = &step.shared.fleet.alarms.limits;
    let mut found = read(&step.host.name, &text, limits, step.host.first)?;
    // What could not be asked is not required afterwards.
    found.answering = answering.unwrap_or_default();
    Ok(Report::Preflight(found))
}

/// Puts right what a power cut left of an earlier deploy, before this one looks at what is there.
async fn recover(step: &Step) -> Result<(), Failure> {
    let name = &step.host.name;
    let output = account::recover(step).await.map_err(|error| lost(&error))?;
    if output.is_ok() {
        return Ok(());
    }
    let text = format!(
        "{name}: an earlier deploy was cut off while it was made permanent, and that could not be put right: {}",
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
            "{host}: it runs {runs}, and no system of NixOS (there is no /run/current-system). If this machine \
             becomes NixOS, make its first deploy with `nixdash deploy {host} --first`: it has nothing to go \
             back to"
        );
        return Err(Failure::failed(Code::NotNixos, text));
    }
    if !marked {
        let text = format!(
            "{host}: it runs {runs}, and NixOS is activated only where the file /etc/NIXOS is. If this \
             machine becomes NixOS, run `touch /etc/NIXOS` there and deploy again"
        );
        return Err(Failure::failed(Code::NotNixos, text));
    }
    let text = format!(
        "first deploy: {runs} runs there, and no system of NixOS to go back to. NixOS installs a first system \
         for the next restart; one that is activated at once stays until then, confirmed or not"
    );
    Ok(Reason::new(Code::FirstDeploy, text))
}

/// Reads the script's lines. `first` says whether a host without a system of NixOS may take part.
fn read(host: &str, text: &str, limits: &Limits, first: bool) -> Result<Preflight, Failure> {
    let mut found = Preflight::default();
    let mut on_mains = None;
    let mut battery = None;
    let (mut os, mut marked) = (String::new(), false);
    for (key, value) in text.lines().filter_map(|line| line.split_once('\t')) {
        let number = value.trim().parse::<u64>().ok();
        match key {
            "running" => found.running = StorePath::parse(value).ok(),
            "profile" => found.profile = StorePath::parse(value).ok(),
            "os" => os = printable_line(value.trim()),
            "marked" => marked = true,
            "boot_id" => found.boot_id = printable_line(value),
            "failed" => {
                found.failed_units.insert(printable_line(value));
            }
            "mains" => on_mains = Some(on_mains == Some(true) || number == Some(1)),
            "battery" => battery = number,
            "locked" => {
                let who = Owner::parse(value).map_or_else(
                    || "somebody is deploying to it now".to_owned(),
                    |owner| owner.sentence(Timestamp::now()),
                );
                let text = format!("{host}: {who}; wait for that to end");
                return Err(Failure::failed(Code::LockHeld, text));
            }
            "built_on" => found.built_on = Some(printable_line(value.trim())),
            "run_free" => match number {
                Some(free) if free < RUN_FREE_NEEDED => {
                    let text = format!(
                        "{host}: only {} free on /run, which a deploy needs for its results; see what fills it with `du -xsh /run/*` there",
                        bytes(free)
                    );
                    return Err(Failure::failed(Code::WriteFailed, text));
                }
                Some(_) | None => {}
            },
            "nix_free" => match number {
                Some(free) if free < NIX_FREE_NEEDED => {
                    let text = format!(
                        "{host}: only {} free below /nix; make room there with nix-collect-garbage",
                        bytes(free)
                    );
                    return Err(Failure::failed(Code::DiskLow, text));
                }
                Some(free) if free < limits.nix_free => {
                    let text = format!("only {} free below /nix", bytes(free));
                    found.notes.push(Reason::new(Code::DiskLow, text));
                }
                Some(_) | None => {}
            },
            "boot_free" if number.is_some_and(|free| free < limits.boot_free) => {
                let text = format!("only {} free on /boot", bytes(number.unwrap_or(0)));
                found.notes.push(Reason::new(Code::BootLow, text));
            }
            _ => {}
        }
    }
    if let (Some(false), Some(charge)) = (on_mains, battery)
        && charge < BATTERY_NOTED
    {
        found.notes.push(Reason::new(Code::OnBattery, format!("on battery, {charge} %")));
    }
    if found.running.is_none() {
        found.notes.insert(0, without_system(host, &os, marked, first)?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: &str = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-nixos-system-samsung";

    /// Reads what an ordinary host says, with the usual limits.
    fn read(host: &str, text: &str) -> Result<Preflight, Failure> {
        super::read(host, text, &Limits::default(), false)
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
        let error = super::read("samsung", text, &Limits::default(), false).unwrap_err().reason;
        assert_eq!(error.code, Code::NotNixos);
        for part in ["it runs Debian GNU/Linux 13 (trixie)", "nixdash deploy samsung --first"] {
            assert!(error.text.contains(part), "{error}");
        }
        let unmarked = super::read("samsung", text, &Limits::default(), true).unwrap_err().reason;
        assert!(unmarked.text.contains("touch /etc/NIXOS"), "{unmarked}");
        let found =
            super::read("samsung", &format!("{text}marked\tyes\n"), &Limits::default(), true)
                .unwrap();
        assert_eq!(found.running, None);
        let note = &found.notes[0];
        assert_eq!(note.code, Code::FirstDeploy);
        assert!(note.text.contains("no system of NixOS to go back to"), "{note}");
        let ordinary =
            super::read("samsung", &format!("running\t{SYSTEM}\n"), &Limits::default(), true)
                .unwrap();
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

    #[test]
    fn sudo_that_asks_for_a_password_is_explained() {
        let output =
            Output { code: 1, stderr: "sudo: a password is required".into(), ..Output::default() };
        let reason = refused("razer", &output).reason;
        assert_eq!(reason.code, Code::PrivilegesMissing);
        assert!(reason.text.contains("without a password"));
    }
}
