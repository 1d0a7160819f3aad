//! Reboot: restarts a host whose new system is permanent, waits until another start of the machine answers,
//! and looks whether that is well.

use super::scripts::{REBOOT, RESTARTED};
use super::step::Step;
use crate::deploy::words::UNREAD_SYSTEM;
use crate::deploy::{Ending, Failure, Reason, Report};
use crate::fleet::{Code, Outcome, Progress, duration, printable_line};
use crate::remote::{Presence, RemoteError, Script, wait_until_started};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long the units of a fresh start may take, in seconds.
const UNITS_LIMIT_S: u64 = 120;

/// Restarts the host and says how it is afterwards.
pub(super) async fn reboot(step: &Step) -> Result<Report, Failure> {
    let name = &step.host.name;
    let limit = step.host.reboot.unwrap_or_default();
    let toplevel = step.toplevel()?;
    let before = step.known.preflight.boot_id.as_str();
    let script = Script::new(REBOOT).root().arg(toplevel.as_str()).arg(before);
    match step.runner.run(name, &script).await {
        Ok(output) if output.is_ok() => {}
        Ok(output) => return Ok(not_restarted(name, &output.complaint())),
        // The connection may break while the machine goes down already.
        Err(error) if error.may_have_run() => step.log(&error.cause).await,
        Err(error) => return Ok(not_restarted(name, &error.to_string())),
    }
    step.log(&format!("restarting; it may take {}", duration(limit))).await;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel::<Presence>();
    // Who listens ends with the waiting.
    let waiting = async move {
        let runner = step.runner.as_ref();
        let hear = |presence: &Presence| drop(tell.send(presence.clone()));
        wait_until_started(runner, name, Some(before), limit, hear).await
    };
    let telling = async {
        while let Some(presence) = told.recv().await {
            say(step, &presence).await;
        }
    };
    match tokio::join!(waiting, telling).0 {
        Ok(_) => look(step).await,
        Err(error) => {
            let text = format!(
                "{name}: its new system is permanent, but after the restart {error}. Look at it; the \
                 boot menu still has the previous generation"
            );
            let reason = Some(Reason::new(code_of(&error.last), text));
            Ok(Report::Rebooted(Ending { outcome: Outcome::Unknown, reason }))
        }
    }
}

/// Tells how a machine stands that restarts.
async fn say(step: &Step, presence: &Presence) {
    let text = presence.to_string();
    step.log(&text).await;
    step.progress(Progress { doing: Some(text), ..Progress::default() }).await;
}

/// Returns the code of a machine that did not come back.
fn code_of(last: &Presence) -> Code {
    match last {
        Presence::WaitsForUnlock => Code::DiskLocked,
        Presence::OtherHostKey => Code::HostKeyRefused,
        Presence::Refuses(_) => Code::LoginRefused,
        Presence::Silent | Presence::StillUp | Presence::NoSshYet => Code::NotSeenSince,
    }
}

/// Returns the report of a host that was told to restart and does not.
fn not_restarted(host: &str, why: &str) -> Report {
    let text = format!(
        "{host}: its new system is permanent, but it could not be restarted: {why}; restart it by hand \
         (`systemctl reboot`)"
    );
    let reason = Some(Reason::new(Code::NotRestarted, text));
    Report::Rebooted(Ending { outcome: Outcome::Degraded, reason })
}

/// Looks at a host that is back.
async fn look(step: &Step) -> Result<Report, Failure> {
    let name = &step.host.name;
    let script = Script::new(RESTARTED)
        .root()
        .limit(Duration::from_secs(UNITS_LIMIT_S + 20))
        .arg(UNITS_LIMIT_S.to_string());
    let mut output = step.runner.run(name, &script).await;
    if output.as_ref().is_err_and(RemoteError::is_passing) {
        output = step.runner.run(name, &script).await;
    }
    let text = match output {
        Ok(output) => output.stdout,
        Err(error) => {
            let text =
                format!("{name} came back after the restart, but could not be checked: {error}");
            let reason = Some(Reason::new(Code::NotSeenSince, text));
            return Ok(Report::Rebooted(Ending { outcome: Outcome::Unknown, reason }));
        }
    };
    let ending = judge(name, step.toplevel()?.as_str(), &step.known.preflight.failed_units, &text);
    if ending.outcome == Outcome::Switched {
        step.log("it runs the new system after its restart").await;
    }
    Ok(Report::Rebooted(ending))
}

/// Says how a host is that was restarted. `before` are the units that had failed before the deploy.
fn judge(name: &str, toplevel: &str, before: &BTreeSet<String>, text: &str) -> Ending {
    let (mut running, mut failed) = (String::new(), Vec::new());
    for (key, value) in text.lines().filter_map(|line| line.split_once('\t')) {
        match key {
            "running" => running = printable_line(value.trim()),
            "failed" => failed.push(printable_line(value.trim())),
            _ => {}
        }
    }
    failed.retain(|unit| !before.contains(unit));
    let wrong = if running == toplevel {
        failed.first().map(|first| {
            let units = failed.join(", ");
            let text =
                format!("{name}: {units} failed after its restart; see `systemctl status` there");
            Reason::units_failed(text, first)
        })
    } else {
        let runs = if running.is_empty() { UNREAD_SYSTEM } else { &running };
        let text = format!(
            "{name}: after its restart it runs {runs} and not the new system; see what its boot loader starts"
        );
        Some(Reason::new(Code::SystemUnexpected, text))
    };
    let outcome = if wrong.is_some() { Outcome::Degraded } else { Outcome::Switched };
    Ending { outcome, reason: wrong }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "/nix/store/m0znnv1nxsr0ry7gmadkh49s1d0hycgd-new";

    fn judged(text: &str) -> Ending {
        judge("samsung", NEW, &["old.service".to_owned()].into(), text)
    }

    #[test]
    fn a_restarted_host_must_run_the_new_system_with_no_unit_failed_anew() {
        let well = format!("state\trunning\nrunning\t{NEW}\nfailed\told.service\nend\tok\n");
        assert_eq!(judged(&well), Ending { outcome: Outcome::Switched, reason: None });
        let other = judged("running\t/nix/store/x-old\n");
        assert_eq!(other.outcome, Outcome::Degraded);
        let said = other.reason.unwrap();
        assert_eq!(said.code, Code::SystemUnexpected);
        assert!(said.text.contains("runs /nix/store/x-old and not the new system"), "{said}");
        let units = judged(&format!("running\t{NEW}\nfailed\tnginx.service\n"));
        let said = units.reason.unwrap().finding("samsung");
        assert_eq!(said.code, Code::UnitsFailed);
        assert_eq!(said.fix, "read its journal there with `journalctl --unit nginx.service`");
        assert_eq!(judged("").outcome, Outcome::Degraded, "what is not known is not well");
    }

    #[test]
    fn a_disk_that_is_not_unlocked_is_told_as_that() {
        assert_eq!(code_of(&Presence::WaitsForUnlock), Code::DiskLocked);
        assert_eq!(code_of(&Presence::Silent), Code::NotSeenSince);
    }
}
