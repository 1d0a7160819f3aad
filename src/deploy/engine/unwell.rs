//! Whether a host that an earlier run or attempt left degraded is well now: nothing would be done there, and nobody
//! would see that it is still not well.
//!
//! What can be seen is looked at again: checks, units of the system, and what the host was started with. What nobody
//! can see, such as a pinned boot default, is wrong still.

use super::check;
use super::marks::{self, Does};
use super::reboot::unfinished_start;
use super::scripts::WELL;
use super::step::Step;
use crate::deploy::report::SeenBy;
use crate::deploy::words::FAILED_UNITS_UNREAD;
use crate::deploy::{Failure, LeftWrong, Preflight, Reason};
use crate::fleet::{Code, Goal, StorePath, printable_line};
use crate::remote::Script;
use std::collections::BTreeSet;

/// The ends of names of units (systemd.unit(5)).
const KINDS: [&str; 11] = [
    ".service",
    ".socket",
    ".device",
    ".mount",
    ".automount",
    ".swap",
    ".target",
    ".path",
    ".timer",
    ".slice",
    ".scope",
];

/// Looks again at a host that was left degraded, where it has what it is to get. Returns what is still wrong.
pub(super) async fn look(step: &Step, found: &Preflight) -> Result<Option<Reason>, Failure> {
    let (host, toplevel) = (&step.host, step.known.toplevel.as_ref());
    let Some((left, toplevel)) = host.degraded.as_ref().zip(toplevel) else { return Ok(None) };
    if !found.runs(toplevel) {
        // What only boots the system shows nothing of it.
        let boots = host.goal == Goal::Boot && found.profile.as_ref() == Some(toplevel);
        return Ok(boots.then(|| left.why.clone()));
    }
    if !is_seen(&left.why, found, toplevel) {
        return Ok(Some(left.why.clone()));
    }
    let commands = &step.config()?.check;
    let mut script = Script::new(WELL).root().limit(check::limit(commands.len())).arg("");
    script.args.extend(commands.iter().cloned());
    let output = step.run(&host.name, &script).await?;
    if !output.is_ok() {
        return Ok(Some(not_looked_at(left, &output.complaint())));
    }
    let wrong = still_wrong(&host.name, left, commands, &output.stdout);
    if wrong.is_none() {
        marks::remember(step, Does::Well).await?;
    }
    Ok(wrong)
}

/// Leaves of the units that have failed those that had failed before an earlier run or attempt changed the host to this
/// system: the others are of that deploy, and excuse nothing after a restart or while a wave has to stay well.
pub(super) fn leave_what_failed_before(step: &Step, found: &mut Preflight) {
    let (left, toplevel) = (step.host.degraded.as_ref(), step.known.toplevel.as_ref());
    if let Some((left, _)) = left.zip(toplevel).filter(|(_, toplevel)| found.runs(toplevel)) {
        leave_those_before(&mut found.failed_units, left);
    }
}

/// Leaves those units that had failed before the host was changed.
fn leave_those_before(failed: &mut BTreeSet<String>, left: &LeftWrong) {
    failed.retain(|unit| !is_of_the_deploy(unit, left));
}

/// Returns whether it can be seen now that this is wrong no more.
fn is_seen(why: &Reason, found: &Preflight, toplevel: &StorePath) -> bool {
    match why.seen_by() {
        SeenBy::Look => true,
        SeenBy::Start => found.booted.is_some() && !found.started_another(toplevel),
        SeenBy::Nothing => false,
    }
}

/// Says what is still wrong, where something is: checks, and units. `text` is what the host said, of its checks by
/// their numbers.
fn still_wrong(host: &str, left: &LeftWrong, commands: &[String], text: &str) -> Option<Reason> {
    let said = |wanted: &str| {
        let lines = text.lines().filter_map(|line| line.split_once('\t'));
        let values = lines.filter(|(key, _)| *key == wanted);
        values.map(|(_, value)| printable_line(value.trim())).collect::<Vec<_>>()
    };
    let mut units = said("failed");
    units.retain(|unit| is_of_the_deploy(unit, left));
    let broken: Vec<String> =
        said("broken").iter().map(|number| check::command(commands, number)).collect();
    let state = said("state").pop().unwrap_or_default();
    let is_unfinished = left.why.code == Code::SystemDegraded && unfinished_start(&state).is_some();
    // As after a restart: what the next look may not see comes first.
    let mut all = Vec::new();
    if is_unfinished {
        let text = format!(
            "systemd calls it {}; see `systemctl list-jobs` there",
            if state.is_empty() { "nothing" } else { &state }
        );
        all.push(Reason::new(Code::SystemDegraded, text));
    }
    if let Some(first) = units.first() {
        let text = format!("{} still failed; see `systemctl status` there", units.join(", "));
        all.push(Reason::units_failed(text, first));
    }
    if !broken.is_empty() {
        let text = format!("a check still fails: {}", broken.join("; "));
        all.push(Reason::new(Code::CheckFailed, text));
    }
    if said("units").is_empty() {
        return Some(not_looked_at(left, FAILED_UNITS_UNREAD));
    }
    Reason::of_all(&format!("{host} runs this system, and "), all, "; and ")
}

/// Returns what is wrong with a host at which nobody could look again: the same as before, so that the next look knows
/// what to look for. What is to be done now is to see why.
fn not_looked_at(left: &LeftWrong, why: &str) -> Reason {
    let fix = Some(format!("see why it could not be looked at again: {why}"));
    Reason { fix, ..left.why.clone() }
}

/// Returns whether a unit that failed is none that had failed before the host was changed. Where that is not known, it
/// is one that was named or, where units failed and none was named, any.
fn is_of_the_deploy(unit: &str, left: &LeftWrong) -> bool {
    let LeftWrong { why, failed_before } = left;
    if let Some(before) = failed_before {
        return !before.contains(unit);
    }
    let names_none = || !words(&why.text).any(|word| KINDS.iter().any(|kind| word.ends_with(kind)));
    names_unit(&why.text, unit) || why.code == Code::UnitsFailed && names_none()
}

/// Returns whether a sentence names a unit, and not one whose name only ends or begins in the same way.
pub(super) fn names_unit(sentence: &str, unit: &str) -> bool {
    words(sentence).any(|word| word == unit)
}

/// Returns the words of a sentence that may be names of units.
fn words(sentence: &str) -> impl Iterator<Item = &str> {
    // What names of units are made of (systemd.unit(5)).
    let is_of_a_name =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '\\' | '@');
    sentence.split(move |c| !is_of_a_name(c)).map(|word| word.trim_end_matches(['.', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: &str = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-new";
    const OTHER: &str = "/nix/store/m0znnv1nxsr0ry7gmadkh49s1d0hycgd-old";

    fn left(code: Code, text: &str) -> LeftWrong {
        Reason::new(code, text).into()
    }

    #[test]
    fn a_host_that_was_left_degraded_is_well_when_its_units_and_checks_are() {
        let before =
            left(Code::UnitsFailed, "fleet-migrate.service failed; see `systemctl status` there");
        let checks = ["curl -f localhost".to_owned()];
        let look = |text: &str| still_wrong("razer", &before, &checks, text);
        let units =
            look("running\t/x\nfailed\told.service\nfailed\tfleet-migrate.service\nunits\tread\n")
                .unwrap();
        assert_eq!(units.code, Code::UnitsFailed);
        assert!(units.text.contains("fleet-migrate.service still failed"), "{units}");
        assert!(!units.text.contains("old.service"), "it had failed before that run: {units}");
        let check = look("broken\t0\nunits\tread\n").unwrap();
        assert_eq!(check.code, Code::CheckFailed);
        assert!(check.text.ends_with("a check still fails: curl -f localhost"), "{check}");
        assert_eq!(look("running\t/x\nfailed\told.service\nunits\tread\n"), None);
        let other = look("failed\tmigrate.service\nunits\tread\n");
        assert_eq!(other, None, "its name only ends so");
        let silent = look("running\t/x\n").unwrap();
        assert_eq!(silent.code, Code::UnitsFailed, "what was wrong may be so still");
    }

    #[test]
    fn nothing_that_was_wrong_is_forgotten_by_a_look_that_sees_only_a_part_of_it() {
        let checks = ["curl -f localhost".to_owned()];
        let look = |before: &LeftWrong, text: &str| still_wrong("razer", before, &checks, text);
        let all = "state\tstarting\nfailed\tweb.service\nbroken\t0\nunits\tread\n";
        let before = left(
            Code::SystemDegraded,
            "razer: its start has not ended within 2 min. Besides, web.service failed after its restart",
        );
        let first = look(&before, all).unwrap();
        assert_eq!(first.code, Code::SystemDegraded);
        for part in ["calls it starting", "web.service still failed", "fails: curl -f localhost"] {
            assert!(first.text.contains(part), "{part}: {first}");
        }
        // Nobody could look, and then one thing after the other is well again.
        let silent = look(&first.clone().into(), "broken\t0\n").unwrap();
        assert_eq!(silent.code, Code::SystemDegraded);
        let silent = look(&silent.into(), "running\t/x\n").unwrap();
        assert_eq!(silent.text, first.text, "all of it stays");
        let fix = silent.fix.as_ref().unwrap();
        assert!(fix.ends_with("looked at again: systemd did not say which units failed"), "{fix}");
        let units =
            look(&silent.into(), "state\tdegraded\nfailed\tweb.service\nunits\tread\n").unwrap();
        assert_eq!(units.code, Code::UnitsFailed, "{units}");
        assert_eq!(look(&units.into(), "state\trunning\nunits\tread\n"), None);
    }

    #[test]
    fn units_that_nobody_named_are_those_that_had_not_failed_before() {
        let mut before = left(Code::UnitsFailed, "units failed during the activation");
        let look = |before: &LeftWrong, text: &str| {
            still_wrong("razer", before, &[], &format!("{text}units\tread\n"))
        };
        assert!(look(&before, "failed\told.service\n").is_some(), "it may be of the deploy");
        assert_eq!(look(&before, "running\t/x\n"), None, "they recovered");
        before.failed_before = Some(BTreeSet::from(["old.service".to_owned()]));
        assert_eq!(look(&before, "failed\told.service\n"), None);
        assert!(look(&before, "failed\told.service\nfailed\tnew.service\n").is_some());
        let check = left(Code::CheckFailed, "a check failed: true");
        assert_eq!(look(&check, "failed\told.service\n"), None, "no unit was at fault");
    }

    #[test]
    fn a_unit_of_the_deploy_is_none_that_had_failed_before() {
        let mut before =
            left(Code::UnitsFailed, "web.service failed; see `systemctl status` there");
        let leave = |before: &LeftWrong| {
            let mut failed = BTreeSet::from(["old.service".to_owned(), "web.service".to_owned()]);
            leave_those_before(&mut failed, before);
            failed.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(leave(&before), ["old.service"]);
        before.failed_before = Some(BTreeSet::from(["web.service".to_owned()]));
        assert_eq!(leave(&before), ["web.service"]);
    }

    #[test]
    fn a_start_that_had_not_ended_is_looked_at_again() {
        let before = left(Code::SystemDegraded, "its start has not ended within 2 min");
        let look = |state: &str| {
            let text = format!("running\t/x\nstate\t{state}\nunits\tread\n");
            still_wrong("razer", &before, &[], &text).map(|why| why.code)
        };
        assert_eq!(look("running"), None);
        assert_eq!(look("degraded"), None, "by a unit that had failed before");
        assert_eq!(look("starting"), Some(Code::SystemDegraded));
    }

    #[test]
    fn what_nobody_can_see_again_is_not_called_well() {
        let path = |text| StorePath::parse(text).ok();
        let system = StorePath::parse(SYSTEM).unwrap();
        let started = |with: &'static str| Preflight {
            running: path(SYSTEM),
            booted: path(with),
            ..Preflight::default()
        };
        for (code, seen, seen_after_a_start) in [
            (Code::UnitsFailed, true, true),
            (Code::CheckFailed, true, true),
            (Code::SystemDegraded, true, true),
            (Code::NotRestarted, false, true),
            (Code::OtherSystemStarted, false, true),
            (Code::UserUnitsFailed, false, false),
            (Code::BootDefaultPinned, false, false),
            (Code::AddressLost, false, false),
            (Code::HostRestarted, false, false),
            (Code::SystemUnexpected, false, false),
        ] {
            let why = Reason::new(code, "it was wrong");
            assert_eq!(is_seen(&why, &started(OTHER), &system), seen, "{code}");
            assert_eq!(is_seen(&why, &started(SYSTEM), &system), seen_after_a_start, "{code}");
        }
        let nothing_known = Preflight { running: path(SYSTEM), ..Preflight::default() };
        let why = Reason::new(Code::OtherSystemStarted, "it was wrong");
        assert!(!is_seen(&why, &nothing_known, &system));
    }
}
