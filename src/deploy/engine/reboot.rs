//! Reboot: restarts a host whose new system is permanent, waits until another start of the machine answers,
//! and looks whether that is well: it runs the new system, no unit failed anew, its checks hold, and it still
//! answers over another fresh connection when it has settled. What was not measured is not claimed.

use super::check;
use super::marks::{self, Does};
use super::resumed::RESTART;
use super::scripts::{REBOOT, RESTARTED};
use super::settle::addresses_lost;
use super::step::Step;
use super::supervised::clock;
use crate::deploy::words::{FAILED_UNITS_UNREAD, UNREAD_SYSTEM};
use crate::deploy::{Ending, FailedUnit, Failure, Reason, Report};
use crate::fleet::{Code, Outcome, Progress, duration, printable_line};
use crate::remote::{NotStarted, Presence, RemoteError, Script, Started, wait_until_started};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// How long the units of a fresh start may take, in seconds.
const UNITS_LIMIT_S: u64 = 120;

/// Restarts the host and says how it is afterwards.
pub(super) async fn reboot(step: &Step) -> Result<Report, Failure> {
    let name = &step.host.name;
    let limit = step.host.reboot.unwrap_or_default();
    let toplevel = step.toplevel()?;
    let before = match start_to_end(step, limit).await {
        Ok(before) => before,
        Err(ending) => return Ok(Report::Rebooted(ending)),
    };
    if let Some(before) = &before {
        // Whoever goes on with the run knows then that the host may be restarting.
        drop(step.job_to_start(name, RESTART).await?);
        let script = Script::new(REBOOT).root().arg("order").arg(toplevel.as_str()).arg(before);
        match step.runner.run(name, &script).await {
            Ok(output) if output.is_ok() => {}
            Ok(output) => return Ok(Report::Rebooted(not_restarted(name, &output.complaint()))),
            // The connection may break while the machine goes down already.
            Err(error) if error.may_have_run() => step.log(&error.cause).await,
            Err(error) => return Ok(Report::Rebooted(not_restarted(name, &error.to_string()))),
        }
        step.log(&format!("restarting; it may take {}", duration(limit))).await;
    } else {
        step.log("it was restarted already since its new system was activated").await;
    }
    match wait(step, before.as_deref(), limit).await {
        Ok(started) => look(step, before.as_deref(), &started).await.map(Report::Rebooted),
        Err(ending) => Ok(Report::Rebooted(ending)),
    }
}

/// Returns which start of the machine is to end, by its boot id: none where that is over. Preflight may have seen
/// another one long ago, so the host is asked. Fails with the end of a host that cannot be asked.
async fn start_to_end(step: &Step, limit: Duration) -> Result<Option<String>, Ending> {
    let name = &step.host.name;
    let job = step.job(name, "activate");
    let seen = step.known.preflight.boot_id.as_str();
    let script = Script::new(REBOOT).root().arg("look").arg(job.name()).arg(seen);
    let mut found = step.runner.run(name, &script).await;
    if found.as_ref().is_err_and(RemoteError::is_passing) {
        if step.shared.resumed.is_some() {
            // An earlier process may have ordered the restart, which is under way then.
            wait(step, None, limit).await?;
        }
        found = step.runner.run(name, &script).await;
    }
    match found {
        Ok(output) if output.is_ok() => Ok(read_start(&output.stdout)),
        Ok(output) => Err(not_restarted(name, &output.complaint())),
        Err(error) => Err(not_restarted(name, &error.to_string())),
    }
}

/// Reads which start of the machine is to end, as `reboot.sh look` says it.
fn read_start(text: &str) -> Option<String> {
    let found = text.lines().find_map(|line| line.strip_prefix("before\t"))?;
    Some(printable_line(found.trim()))
}

/// Waits until the machine answers, of another start than that one, and tells meanwhile how it stands. Fails with
/// the end of a host that does not come.
async fn wait(step: &Step, before: Option<&str>, limit: Duration) -> Result<Started, Ending> {
    let name = &step.host.name;
    let began = Timestamp::now();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel::<Presence>();
    // Who listens ends with the waiting.
    let waiting = async move {
        let runner = step.runner.as_ref();
        let hear = |presence: &Presence| drop(tell.send(presence.clone()));
        wait_until_started(runner, name, before, limit, hear).await
    };
    let telling = async {
        while let Some(presence) = told.recv().await {
            say(step, presence.to_string()).await;
        }
    };
    tokio::join!(waiting, telling).0.map_err(|error| not_back(name, began, &error))
}

/// Returns the end of a host that did not come back from its restart.
fn not_back(name: &str, ordered: Timestamp, error: &NotStarted) -> Ending {
    if error.last == Presence::StillUp {
        let waited = duration(error.limit);
        return not_restarted(name, &format!("it answers, and has not gone down within {waited}"));
    }
    let text = format!(
        "{name}: its new system is permanent, but after the restart {error}. It was not seen since {}, \
         and what it runs is not known. Look at it; the boot menu still has the previous generation",
        clock(ordered)
    );
    unknown(code_of(&error.last), text)
}

/// Returns the end of a host that came back from its restart and was lost again.
fn lost_again(name: &str, seen: Timestamp, code: Code, why: &str) -> Ending {
    let text = format!(
        "{name} came back after its restart and was last seen at {} ({why}). What it runs since then is not \
         known. Look at it; the boot menu still has the previous generation",
        clock(seen)
    );
    unknown(code, text)
}

/// Says how a machine stands that had answered and does not any more.
fn no_longer(last: &Presence) -> String {
    match last {
        Presence::Silent => "nothing answers any more".to_owned(),
        Presence::NoSshYet => "the machine answers, its ssh server does not".to_owned(),
        Presence::StillUp => "the start of the machine from before its restart answers".to_owned(),
        Presence::WaitsForUnlock | Presence::OtherHostKey | Presence::Refuses(_) => {
            last.to_string()
        }
    }
}

/// Returns the end of a host of which it is not known what it runs.
fn unknown(code: Code, text: String) -> Ending {
    Ending { outcome: Outcome::Unknown, reason: Some(Reason::new(code, text)) }
}

/// Tells how a machine stands that restarts, in its log and as what is done now.
async fn say(step: &Step, text: String) {
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

/// Returns the end of a host that was told to restart and does not.
fn not_restarted(host: &str, why: &str) -> Ending {
    let text = format!(
        "{host}: its new system is permanent, but it could not be restarted: {why}; restart it by hand \
         (`systemctl reboot`)"
    );
    let reason = Some(Reason::new(Code::NotRestarted, text));
    Ending { outcome: Outcome::Degraded, reason }
}

/// Looks at a host that is back, until it has settled. `before` is the start of the machine that was to end.
async fn look(step: &Step, before: Option<&str>, back: &Started) -> Result<Ending, Failure> {
    let name = &step.host.name;
    let (mut seen, answered) = (Timestamp::now(), Instant::now());
    say(step, "it is back: its units and checks are looked at".to_owned()).await;
    let FreshStart { running, mut failed, were_units_read, state, .. } = match units(step).await {
        Ok(found) => found,
        Err(why) => return Ok(lost_again(name, seen, Code::NotSeenSince, &why)),
    };
    seen = Timestamp::now();
    let mut broken = Vec::new();
    if step.host.activation.magic_rollback() {
        match check::look(step).await {
            Ok((units, checks)) => (failed, broken, seen) = (units, checks, Timestamp::now()),
            Err(why) => broken.push(check::nothing_checked(&why)),
        }
    } else if !were_units_read {
        broken.push(FAILED_UNITS_UNREAD.to_owned());
    }
    failed.retain(|unit| !step.known.preflight.failed_units.contains(&unit.name));
    // Everything has begun anew, the network too.
    let left = step.host.activation.settle(true).saturating_sub(answered.elapsed());
    if !left.is_zero() {
        say(step, format!("must stay reachable for {} more", duration(left))).await;
        tokio::time::sleep(left).await;
    }
    let (runner, limit) = (step.runner.as_ref(), step.host.confirm_timeout);
    let now = match wait_until_started(runner, name, before, limit, |_| ()).await {
        Ok(now) => now,
        Err(error) => {
            let (code, why) = (code_of(&error.last), no_longer(&error.last));
            return Ok(lost_again(name, seen, code, &why));
        }
    };
    let lost = addresses_lost(step).await;
    let restarted_again = now.boot_id != back.boot_id;
    let found = AfterRestart {
        running: now.running.unwrap_or(running),
        failed,
        broken,
        lost,
        restarted_again,
        unfinished: unfinished_start(&state),
    };
    let ending = judge(name, step.toplevel()?.as_str(), &found);
    remember(step, &ending).await?;
    if ending.outcome == Outcome::Switched {
        step.log("it runs the new system after its restart").await;
    }
    Ok(ending)
}

/// Lets the host remember how its new system does, as after an activation.
async fn remember(step: &Step, ending: &Ending) -> Result<(), Failure> {
    let does = match &ending.reason {
        // It is not the system that started.
        Some(reason) if reason.code == Code::OtherSystemStarted => return Ok(()),
        Some(_) => Does::Badly,
        None => {
            // A restart does not show everything.
            let runs_checks = step.host.activation.magic_rollback();
            if step.known.wrong_after_any_restart(runs_checks).is_some() {
                return Ok(());
            }
            Does::Well
        }
    };
    marks::remember(step, does).await
}

/// Waits until all that starts with the machine has started, and returns what it says then; fails with the
/// reason why it does not say.
async fn units(step: &Step) -> Result<FreshStart, String> {
    let script = Script::new(RESTARTED)
        .root()
        .limit(Duration::from_secs(UNITS_LIMIT_S + 30))
        .arg(UNITS_LIMIT_S.to_string());
    let name = &step.host.name;
    let mut output = step.runner.run(name, &script).await;
    if output.as_ref().is_err_and(RemoteError::is_passing) {
        output = step.runner.run(name, &script).await;
    }
    match output {
        Ok(output) if output.is_ok() => {
            let found = read(&output.stdout);
            found.is_whole.then_some(found).ok_or_else(|| "its answer broke off".to_owned())
        }
        Ok(output) => Err(output.complaint()),
        Err(error) => Err(error.cause),
    }
}

/// What a machine said that was restarted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct FreshStart {
    /// The system that it runs; empty where it could not be read.
    running: String,
    failed: Vec<FailedUnit>,
    /// Whether it said which units failed.
    were_units_read: bool,
    /// What `systemctl is-system-running` said when its start had ended, or had taken too long; empty where it said
    /// nothing.
    state: String,
    /// Whether it said all that it was asked.
    is_whole: bool,
}

/// Reads what a machine said that was restarted.
fn read(text: &str) -> FreshStart {
    let mut found = FreshStart::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once('\t')) {
        match key {
            "running" => found.running = printable_line(value.trim()),
            "failed" => {
                let name = printable_line(value.trim());
                found.failed.push(FailedUnit { name, said: String::new() });
            }
            "units" => found.were_units_read = true,
            "state" => found.state = printable_line(value.trim()),
            "end" => found.is_whole = true,
            _ => {}
        }
    }
    found
}

/// Says that a machine has not started, where that is so. `state` is what `systemctl is-system-running` says of it
/// (systemctl(1)).
pub(super) fn unfinished_start(state: &str) -> Option<String> {
    match state {
        // In the second units failed, which are named.
        "running" | "degraded" => None,
        "starting" | "initializing" => Some(format!(
            "its start has not ended within {} (systemd calls it {state})",
            duration(Duration::from_secs(UNITS_LIMIT_S))
        )),
        "" => Some("systemd did not say whether its start has ended".to_owned()),
        other => Some(format!("systemd calls it {other}")),
    }
}

/// What was found on a host that was restarted.
#[derive(Clone, Debug, Default)]
struct AfterRestart {
    /// The system that runs; empty where it could not be read.
    running: String,
    /// Units that had not failed before the deploy.
    failed: Vec<FailedUnit>,
    /// Configured checks that did not hold.
    broken: Vec<String>,
    /// Addresses that answered before the deploy and do not any more.
    lost: Vec<String>,
    /// Whether it was restarted once more since it came back.
    restarted_again: bool,
    /// Why its start does not count as ended.
    unfinished: Option<String>,
}

/// Says how a host is that was restarted.
fn judge(name: &str, toplevel: &str, found: &AfterRestart) -> Ending {
    let wrong = wrong(name, toplevel, found);
    let outcome = if wrong.is_some() { Outcome::Degraded } else { Outcome::Switched };
    Ending { outcome, reason: wrong }
}

/// Returns what is wrong with a host that was restarted, the worst first.
fn wrong(name: &str, toplevel: &str, found: &AfterRestart) -> Option<Reason> {
    let AfterRestart { running, failed, broken, lost, restarted_again, unfinished } = found;
    if running != toplevel {
        let runs = if running.is_empty() { UNREAD_SYSTEM } else { running };
        let text = format!(
            "{name}: after its restart it runs {runs} and not the system that was made permanent; see what its boot loader starts"
        );
        return Some(Reason::new(Code::OtherSystemStarted, text));
    }
    if *restarted_again {
        let text = format!(
            "{name} was restarted once more while it was looked at after its restart; see why with \
             `journalctl --boot=-1` there"
        );
        return Some(Reason::new(Code::HostRestarted, text));
    }
    // What a later look may not see comes first: it looks at checks whatever was wrong, and at units that are named.
    let mut all = Vec::new();
    if !lost.is_empty() {
        let text = format!(
            "{} answered before the deploy and does not any more after its restart",
            lost.join(", ")
        );
        all.push(Reason::new(Code::AddressLost, text));
    }
    if let Some(why) = unfinished {
        let text = format!(
            "it was restarted with its new system, and {why}; see `systemctl list-jobs` there"
        );
        all.push(Reason::new(Code::SystemDegraded, text));
    }
    if let Some(first) = failed.first() {
        let units: Vec<String> = failed.iter().map(ToString::to_string).collect();
        let text =
            format!("{} failed after its restart; see `systemctl status` there", units.join(", "));
        all.push(Reason::units_failed(text, &first.name));
    }
    if !broken.is_empty() {
        let text = format!(
            "a check failed after its restart: {}. Its new system stays; the boot menu still has the previous \
             generation",
            broken.join("; ")
        );
        all.push(Reason::new(Code::CheckFailed, text));
    }
    Reason::of_all(&format!("{name}: "), all, ". Besides, ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "/nix/store/m0znnv1nxsr0ry7gmadkh49s1d0hycgd-new";

    fn running(system: &str) -> AfterRestart {
        AfterRestart { running: system.to_owned(), ..AfterRestart::default() }
    }

    fn judged(found: &AfterRestart) -> Ending {
        judge("samsung", NEW, found)
    }

    #[test]
    fn a_restarted_host_must_run_the_new_system_with_no_unit_failed_anew() {
        assert_eq!(judged(&running(NEW)), Ending { outcome: Outcome::Switched, reason: None });
        let other = judged(&running("/nix/store/x-old"));
        assert_eq!(other.outcome, Outcome::Degraded);
        let said = other.reason.unwrap();
        assert_eq!(said.code, Code::OtherSystemStarted);
        assert!(
            said.text.contains("runs /nix/store/x-old and not the system that was made permanent"),
            "{said}"
        );
        let said = read(&format!("running\t{NEW}\nfailed\tnginx.service\nend\tok\n"));
        let units = judged(&AfterRestart { failed: said.failed, ..running(&said.running) });
        let said = units.reason.unwrap().finding("samsung");
        assert_eq!(said.code, Code::UnitsFailed);
        assert_eq!(said.fix, "read its journal there with `journalctl --unit nginx.service`");
        assert_eq!(
            judged(&running("")).outcome,
            Outcome::Degraded,
            "what is not known is not well"
        );
    }

    #[test]
    fn all_that_is_wrong_after_a_restart_is_told_and_first_what_a_later_look_needs_to_know() {
        let unit = FailedUnit { name: "backup.service".to_owned(), said: String::new() };
        let mut found = AfterRestart {
            failed: vec![unit],
            broken: vec!["curl -f localhost".to_owned()],
            ..running(NEW)
        };
        let said = judged(&found).reason.unwrap();
        assert_eq!(said.code, Code::UnitsFailed);
        assert!(
            said.text.starts_with("samsung: backup.service failed after its restart")
                && said
                    .text
                    .contains(". Besides, a check failed after its restart: curl -f localhost"),
            "{said}"
        );
        found.unfinished = unfinished_start("starting");
        found.lost = vec!["samsung.lan".to_owned()];
        let said = judged(&found).reason.unwrap();
        assert_eq!(said.code, Code::AddressLost, "no later look shows that");
        for part in ["samsung.lan answered", "systemd calls it starting", "backup.service failed"] {
            assert!(said.text.contains(part), "{part}: {said}");
        }
    }

    #[test]
    fn a_host_whose_start_has_not_ended_is_not_well() {
        let after = |state: &str| {
            let said = read(&format!("state\t{state}\nrunning\t{NEW}\nunits\tread\nend\tok\n"));
            assert!(said.is_whole && said.were_units_read);
            let unfinished = unfinished_start(&said.state);
            judged(&AfterRestart { unfinished, ..running(&said.running) })
        };
        for well in ["running", "degraded"] {
            assert_eq!(after(well).outcome, Outcome::Switched, "{well}: a unit had failed before");
        }
        for (state, why) in [
            ("starting", "its start has not ended within 2 min"),
            ("initializing", "its start has not ended within 2 min"),
            ("maintenance", "systemd calls it maintenance"),
            ("stopping", "systemd calls it stopping"),
            ("", "systemd did not say whether its start has ended"),
        ] {
            let ending = after(state);
            let said = ending.reason.unwrap();
            assert_eq!((ending.outcome, said.code), (Outcome::Degraded, Code::SystemDegraded));
            assert!(said.text.contains(why), "{said}");
        }
        assert!(!read(&format!("state\trunning\nrunning\t{NEW}\n")).is_whole, "it broke off");
    }

    #[test]
    fn the_start_that_is_to_end_is_the_one_that_the_host_names() {
        assert_eq!(read_start("before\tb2\n").as_deref(), Some("b2"));
        assert_eq!(read_start("restarted\n"), None);
    }

    #[test]
    fn a_restarted_host_that_lost_an_address_or_restarts_again_is_not_well() {
        let lost = judged(&AfterRestart { lost: vec!["10.0.0.7".to_owned()], ..running(NEW) });
        assert_eq!(lost.reason.unwrap().code, Code::AddressLost);
        let again = judged(&AfterRestart { restarted_again: true, ..running(NEW) });
        assert_eq!(again.reason.unwrap().code, Code::HostRestarted);
    }

    #[test]
    fn a_host_that_is_lost_again_is_told_as_it_stands() {
        for (last, code, why) in [
            (Presence::Silent, Code::NotSeenSince, "nothing answers any more"),
            (Presence::NoSshYet, Code::NotSeenSince, "its ssh server does not"),
            (Presence::WaitsForUnlock, Code::DiskLocked, "it waits for its disk to be unlocked"),
            (Presence::OtherHostKey, Code::HostKeyRefused, "another host key"),
        ] {
            assert_eq!(code_of(&last), code);
            let ending = lost_again("samsung", Timestamp::UNIX_EPOCH, code, &no_longer(&last));
            let said = ending.reason.unwrap();
            assert_eq!((ending.outcome, said.code), (Outcome::Unknown, code));
            assert!(said.text.contains(why) && !said.text.contains(" yet"), "{said}");
        }
    }

    #[test]
    fn a_disk_that_is_not_unlocked_is_told_as_that() {
        assert_eq!(code_of(&Presence::WaitsForUnlock), Code::DiskLocked);
        assert_eq!(code_of(&Presence::Silent), Code::NotSeenSince);
    }
}
