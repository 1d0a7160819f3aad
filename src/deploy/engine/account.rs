//! The account of a host whose supervisor is gone and left no outcome: it was restarted, or somebody
//! killed the supervisor and what should have gone back after it.
//!
//! It looks at the running system, /etc, failed units, the profile and the boot default, and claims
//! nothing that it did not see.

use super::decision::Decision;
use super::scripts::{ACCOUNT, RECOVER};
use super::step::Step;
use crate::deploy::words::{FAILED_UNITS_UNREAD, UNREAD_SYSTEM, systems};
use crate::deploy::{Ending, Reason, RunFacts};
use crate::fleet::{Code, Goal, Outcome, Specialisation, StorePath, printable_line};
use crate::remote::job::{Job, Patience};
use crate::remote::{Output, RemoteError, Script};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a host may be away for a restart.
const AWAY: Duration = Duration::from_secs(120);

/// How much longer than an activation putting right what a power cut left may take.
const RECOVER_MARGIN: Duration = Duration::from_secs(60);

/// What a host says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) boot_id: String,
    pub(super) running: Option<StorePath>,
    pub(super) specialisation: Option<Specialisation>,
    pub(super) profile: Option<StorePath>,
    pub(super) boots: Option<StorePath>,
    pub(super) pinned: String,
    pub(super) etc_is_of_the_running_system: Option<bool>,
    pub(super) failed_units: BTreeSet<String>,
    /// Whether the host said which units failed.
    pub(super) were_units_read: bool,
    pub(super) outcome: Option<Decision>,
    /// The format of the job's folder; none where there is no folder, or the host said nothing of it.
    pub(super) format: Option<u32>,
    pub(super) is_busy: bool,
    pub(super) intent: Option<String>,
}

/// Looks at a host and says what became of it; nothing while something is still being done there.
pub(super) async fn account(
    step: &Step,
    job: &Job,
    told: bool,
) -> Result<Option<Ending>, RemoteError> {
    let mut found = ask(step, job).await?;
    if found.is_busy {
        return Ok(None);
    }
    if found.outcome.is_none() && found.intent.is_some() {
        recover(step).await?;
        // Where that failed, what is wrong is seen by the next look.
        found = ask(step, job).await?;
    }
    let name = &step.host.name;
    if let Some(ending) = of_a_newer_nixdash(name, &found) {
        return Ok(Some(ending));
    }
    if let Some(decision) = &found.outcome {
        return Ok(Some(decision.ending(name, step.host.goes_back())));
    }
    let permanent = step.known.toplevel.as_ref().map(|system| step.host.permanent(system));
    let meant = Meant { goal: step.host.goal, told, goes_back: step.host.goes_back(), permanent };
    Ok(Some(judge(name, &found, &step.known, &meant)))
}

/// The newest format of a job's folder that this nixdash reads; `results.sh` has the same figure.
const JOB_FORMAT: u32 = 1;

/// Says that a newer nixdash began the deploy, whose folder this one cannot read: what became of the
/// host is not guessed.
pub(super) fn of_a_newer_nixdash(name: &str, found: &Account) -> Option<Ending> {
    let format = found.format.filter(|format| *format > JOB_FORMAT)?;
    let text = format!(
        "{name}: a newer nixdash began this deploy (its folder has format {format}, and this nixdash reads {JOB_FORMAT}); the host ends it by itself. Use the newer nixdash to see how"
    );
    let reason = Some(Reason::new(Code::NixdashOld, text));
    Some(Ending { outcome: Outcome::Unknown, reason })
}

/// Puts right what a power cut left of a deploy, and logs what was done.
pub(super) async fn recover(step: &Step) -> Result<Output, RemoteError> {
    let limit = step.host.activation.timeout() + RECOVER_MARGIN;
    let script = Script::new(RECOVER).root().arg("").limit(limit);
    let output = step.runner.run(&step.host.name, &script).await?;
    for line in output.stdout.lines().chain(output.stderr.lines()) {
        step.log(line).await;
    }
    Ok(output)
}

/// Asks until the host answers.
pub(super) async fn ask(step: &Step, job: &Job) -> Result<Account, RemoteError> {
    let script = Script::new(ACCOUNT).root().arg(job.name()).limit(Duration::from_secs(20));
    let mut patience = Patience::new(AWAY);
    loop {
        let pause = match step.runner.run(&step.host.name, &script).await {
            Ok(output) if output.is_ok() => return Ok(parse(&output.stdout)),
            Ok(output) => {
                let trouble = crate::remote::Trouble::Lost;
                let error = RemoteError::new(&step.host.name, trouble, &output.complaint());
                patience.again(&error).ok_or(error)?
            }
            Err(error) => patience.again(&error).ok_or(error)?,
        };
        tokio::time::sleep(pause).await;
    }
}

/// Reads the lines of `account.sh`.
pub(super) fn parse(text: &str) -> Account {
    let mut found = Account::default();
    let (mut etc, mut running_etc, mut overlay) = (String::new(), String::new(), false);
    for (key, value) in text.lines().filter_map(|line| line.split_once('\t')) {
        let path = || StorePath::parse(value.trim()).ok();
        match key {
            "boot_id" => found.boot_id = printable_line(value.trim()),
            "running" => found.running = path(),
            "specialisation" => found.specialisation = Specialisation::parse(value),
            "profile" => found.profile = path(),
            "boots" => found.boots = path(),
            "pinned" => found.pinned = printable_line(value.trim()),
            "etc" => value.trim().clone_into(&mut etc),
            "running_etc" => value.trim().clone_into(&mut running_etc),
            "overlay" => overlay = true,
            "failed" => {
                found.failed_units.insert(printable_line(value));
            }
            "units" => found.were_units_read = true,
            "format" => found.format = value.trim().parse().ok(),
            "outcome" => found.outcome = Decision::parse(value),
            "busy" => found.is_busy = true,
            "intent" => found.intent = Some(printable_line(value)),
            _ => {}
        }
    }
    // The layers of an overlay do not name the system.
    found.etc_is_of_the_running_system =
        (!overlay && !etc.is_empty() && !running_etc.is_empty()).then(|| etc == running_etc);
    found
}

/// What a host was to become.
#[derive(Clone, Copy, Debug, Default)]
struct Meant<'a> {
    /// What was done to it.
    goal: Goal,
    /// Whether its supervisor was told to keep the new system; one that only lets it boot need not be told.
    told: bool,
    /// Whether it was to go back to what it was before the run.
    goes_back: bool,
    /// The system that was to be made permanent.
    permanent: Option<&'a StorePath>,
}

/// Says what an account means.
fn judge(name: &str, found: &Account, known: &RunFacts, meant: &Meant<'_>) -> Ending {
    let goal = meant.goal;
    let told = meant.told || goal == Goal::Boot;
    let (the_new, the_old) = systems(meant.goes_back);
    // Where the job's folder is there, the host was not restarted since, but at most before it began to change.
    let restarted = found.format.is_none() && found.boot_id != known.preflight.boot_id;
    let what = match (restarted, told) {
        (true, true) => format!("it was restarted while {the_new} was made permanent"),
        (true, false) if meant.goes_back => {
            format!("it was restarted before {the_new} was confirmed")
        }
        (true, false) => "it was restarted before its new system was confirmed".to_owned(),
        (false, _) => {
            "its supervisor was ended, and so was the process that should have taken it back"
                .to_owned()
        }
    };
    let old = known.preflight.running.as_ref();
    // A restart ends what ran only for now: a tried system, or a specialisation.
    let before = &known.preflight;
    let booted_old = restarted && found.running == before.profile;
    let runs_old = found.running.is_some() && (found.running.as_ref() == old || booted_old);
    let specialised = found.specialisation.as_ref().map(|special| &special.system);
    let new = known.toplevel.as_ref();
    // A restart starts what was made permanent.
    let started = meant.permanent.filter(|_| restarted);
    let is_running = |system: Option<&StorePath>| {
        system.is_some() && (found.running.as_ref() == system || specialised == system)
    };
    let runs_new = is_running(new) || is_running(started);
    // It was to boot the new system, and to run the previous one until then.
    let boots_new =
        goal == Goal::Boot && !restarted && new.is_some() && found.profile.as_ref() == new;
    let mut wrong = Vec::new();
    if found.etc_is_of_the_running_system == Some(false) {
        wrong.push("its /etc is of another system".to_owned());
    }
    let keeps_new = runs_new || boots_new;
    let expected =
        if keeps_new { meant.permanent.or(new) } else { known.preflight.profile.as_ref() };
    if found.profile.as_ref() != expected {
        wrong.push(format!("its profile is {}", said(found.profile.as_ref())));
    }
    if !found.pinned.is_empty() || (found.boots.is_some() && found.boots.as_ref() != expected) {
        wrong.push(format!("the next boot starts {}", said(found.boots.as_ref())));
    }
    let failed: Vec<&str> =
        found.failed_units.difference(&known.preflight.failed_units).map(String::as_str).collect();
    if !failed.is_empty() {
        wrong.push(format!("units that failed since: {}", failed.join(", ")));
    }
    if !found.were_units_read {
        wrong.push(FAILED_UNITS_UNREAD.to_owned());
    }
    let system = if runs_old {
        format!("it runs {the_old}")
    } else if runs_new {
        format!("it runs {the_new}")
    } else {
        format!("it runs {}", said(found.running.as_ref()))
    };
    // A first deploy has no system to be back on.
    let none_again = old.is_none() && found.running.is_none();
    let system = if none_again {
        "no system of NixOS runs there again, as before".to_owned()
    } else {
        system
    };
    // One that was not restarted runs what somebody activated there.
    let third = found.running.is_some() && !runs_old && !runs_new && !restarted;
    let outcome = match (runs_old, runs_new, wrong.is_empty()) {
        _ if third => Outcome::Superseded,
        (_, _, true) if boots_new => Outcome::Booted,
        (_, _, true) if none_again => Outcome::Failed,
        (_, true, true) if told => Outcome::Switched,
        (true, _, true) => Outcome::RolledBack,
        (..) => Outcome::Degraded,
    };
    let but = if wrong.is_empty() { String::new() } else { format!(", but {}", wrong.join("; ")) };
    let code = match (outcome, restarted) {
        (Outcome::Superseded, _) => Code::Superseded,
        (Outcome::Degraded, _) => Code::SystemUnexpected,
        (_, true) => Code::HostRestarted,
        (_, false) => Code::JobEnded,
    };
    let reason = Reason::new(code, format!("{name}: {what}; {system}{but}"));
    let is_done = matches!(outcome, Outcome::Switched | Outcome::Booted);
    Ending { outcome, reason: (!is_done).then_some(reason) }
}

/// Returns a system's path, or that it is not known.
fn said(path: Option<&StorePath>) -> String {
    path.map_or_else(|| UNREAD_SYSTEM.to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::Preflight;

    const OLD: &str = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-old";
    const NEW: &str = "/nix/store/m0znnv1nxsr0ry7gmadkh49s1d0hycgd-new";

    fn known() -> RunFacts {
        let old = StorePath::parse(OLD).ok();
        RunFacts {
            preflight: Preflight {
                running: old.clone(),
                profile: old,
                boot_id: "1".to_owned(),
                failed_units: ["old.service".to_owned()].into(),
                ..Preflight::default()
            },
            toplevel: StorePath::parse(NEW).ok(),
            ..RunFacts::default()
        }
    }

    /// Judges a host with this boot id that runs, has as profile, and boots these.
    fn judged(boot: &str, [running, profile, boots]: [&str; 3], more: &str, told: bool) -> Ending {
        let text = format!(
            "boot_id\t{boot}\nrunning\t{running}\nprofile\t{profile}\nboots\t{boots}\nfailed\told.service\nunits\tread\n{more}"
        );
        let meant = Meant { goal: Goal::Switch, told, ..Meant::default() };
        judge("samsung", &parse(&text), &known(), &meant)
    }

    #[test]
    fn a_restarted_host_on_the_old_system_is_rolled_back() {
        let found = judged("2", [OLD, OLD, OLD], "", false);
        assert_eq!(found.outcome, Outcome::RolledBack);
        let text = "samsung: it was restarted before its new system was confirmed; it runs the \
                    previous system";
        assert_eq!(found.reason, Some(Reason::new(Code::HostRestarted, text)));
        let killed = judged("1", [OLD, OLD, OLD], "", false).reason.unwrap();
        assert_eq!(killed.code, Code::JobEnded);
        // It was restarted after preflight and before its supervisor began: that one was killed.
        let killed = judged("2", [OLD, OLD, OLD], "format\t1\n", false).reason.unwrap();
        assert_eq!(killed.code, Code::JobEnded);
    }

    #[test]
    fn a_profile_that_stayed_new_is_not_rolled_back() {
        let found = judged("2", [OLD, NEW, OLD], "", true);
        assert_eq!(found.outcome, Outcome::Degraded);
        let reason = found.reason.unwrap();
        assert_eq!(reason.code, Code::SystemUnexpected);
        assert!(reason.text.contains("its profile is"));
    }

    #[test]
    fn a_restart_after_the_system_was_made_permanent_is_a_switch() {
        let found = judged("2", [NEW, NEW, NEW], "", true);
        assert_eq!((found.outcome, found.reason), (Outcome::Switched, None));
        assert_eq!(judged("2", [NEW, NEW, OLD], "", true).outcome, Outcome::Degraded);
    }

    #[test]
    fn a_system_that_was_only_to_boot_is_kept_without_a_word() {
        let judged = |boot: &str, running: &str, profile: &str| {
            let text = format!(
                "boot_id\t{boot}\nrunning\t{running}\nprofile\t{profile}\nboots\t{profile}\nfailed\told.service\nunits\tread\n"
            );
            let meant = Meant { goal: Goal::Boot, ..Meant::default() };
            judge("samsung", &parse(&text), &known(), &meant)
        };
        for (boot, running, profile, outcome) in [
            ("2", NEW, NEW, Outcome::Switched),
            ("1", OLD, NEW, Outcome::Booted),
            ("1", OLD, OLD, Outcome::RolledBack),
            ("2", OLD, NEW, Outcome::Degraded),
        ] {
            let found = judged(boot, running, profile);
            assert_eq!(found.outcome, outcome, "{boot} {running} {profile}: {:?}", found.reason);
        }
        assert_eq!(judged("2", NEW, NEW).reason, None);
    }

    #[test]
    fn a_system_that_somebody_else_deployed_is_superseded_and_one_that_a_restart_brought_is_not() {
        const THIRD: &str = "/nix/store/n0znnv1nxsr0ry7gmadkh49s1d0hycgd-third";
        let found = judged("1", [THIRD, THIRD, THIRD], "", false);
        assert_eq!(found.outcome, Outcome::Superseded);
        assert_eq!(found.reason.unwrap().code, Code::Superseded);
        let restarted = judged("2", [THIRD, OLD, OLD], "", false);
        assert_eq!(restarted.outcome, Outcome::Degraded);
    }

    #[test]
    fn a_specialisation_of_the_new_system_is_the_new_system() {
        const SPECIAL: &str = "/nix/store/n0znnv1nxsr0ry7gmadkh49s1d0hycgd-gaming";
        let special = format!("specialisation\t{NEW}\tgaming\n");
        assert_eq!(judged("1", [SPECIAL, NEW, NEW], &special, true).outcome, Outcome::Switched);
        // It ran a specialisation before, and a restart started the system itself.
        let mut known = known();
        known.preflight.running = StorePath::parse(SPECIAL).ok();
        let text = format!(
            "boot_id\t2\nrunning\t{OLD}\nprofile\t{OLD}\nboots\t{OLD}\nfailed\told.service\nunits\tread\n"
        );
        assert_eq!(
            judge("samsung", &parse(&text), &known, &Meant::default()).outcome,
            Outcome::RolledBack
        );
    }

    #[test]
    fn a_way_back_names_its_systems_by_what_they_are_and_ends_with_the_profile_from_before() {
        const BEFORE: &str = "/nix/store/n0znnv1nxsr0ry7gmadkh49s1d0hycgd-before";
        // It ran OLD, which its profile was not, and is on its way there from NEW.
        let (old, new, before) = (
            StorePath::parse(OLD).ok(),
            StorePath::parse(NEW).ok(),
            StorePath::parse(BEFORE).unwrap(),
        );
        let mut known = RunFacts { toplevel: old, ..known() };
        (known.preflight.running, known.preflight.profile) = (new.clone(), new);
        let meant =
            |told| Meant { goal: Goal::Rollback, told, goes_back: true, permanent: Some(&before) };
        let judged = |boot: &str, running: &str, profile: &str, told: bool| {
            let text =
                format!("boot_id\t{boot}\nrunning\t{running}\nprofile\t{profile}\nunits\tread\n");
            judge("samsung", &parse(&text), &known, &meant(told))
        };
        let kept = judged("1", NEW, NEW, false);
        assert_eq!(kept.outcome, Outcome::RolledBack, "the way back was undone");
        let text = kept.reason.unwrap().text;
        assert!(text.ends_with("it runs the system that this run brought"), "{text}");
        assert_eq!(judged("1", OLD, BEFORE, true).outcome, Outcome::Switched);
        assert_eq!(judged("2", BEFORE, BEFORE, true).outcome, Outcome::Switched);
        let odd = judged("1", OLD, OLD, true);
        assert_eq!(odd.outcome, Outcome::Degraded, "it would boot what was only tried");
        assert!(odd.reason.unwrap().text.contains("it runs the previous system, but"));
    }

    #[test]
    fn a_folder_of_a_newer_nixdash_is_not_guessed_at() {
        let of = |text: &str| of_a_newer_nixdash("samsung", &parse(text));
        assert_eq!(of("format\t1\noutcome\tswitched\t\t\n"), None);
        assert_eq!(of("outcome\tswitched\t\t\n"), None, "an older one wrote no format");
        let ending = of("format\t2\noutcome\tswitched\t\t\n").unwrap();
        assert_eq!(ending.outcome, Outcome::Unknown);
        assert_eq!(ending.reason.unwrap().code, Code::NixdashOld);
    }

    #[test]
    fn half_of_an_activation_is_seen_in_etc_and_in_units() {
        let etc = "etc\t/nix/store/new/etc\nrunning_etc\t/nix/store/old/etc\n";
        let found = judged("1", [OLD, OLD, OLD], etc, false);
        assert_eq!(found.outcome, Outcome::Degraded);
        assert!(found.reason.unwrap().text.contains("/etc is of another system"));
        let found = judged("1", [OLD, OLD, OLD], "failed\tdead.service\n", false);
        assert_eq!(found.outcome, Outcome::Degraded);
        let reason = found.reason.unwrap();
        assert!(reason.text.ends_with("units that failed since: dead.service"), "{reason}");
    }

    #[test]
    fn a_host_whose_systemd_does_not_answer_is_not_called_well() {
        for (runs, told) in [(OLD, false), (NEW, true)] {
            let text = format!("boot_id\t1\nrunning\t{runs}\nprofile\t{runs}\nboots\t{runs}\n");
            let judged = |text: &str| {
                let meant = Meant { goal: Goal::Switch, told, ..Meant::default() };
                judge("samsung", &parse(text), &known(), &meant)
            };
            assert_ne!(judged(&format!("{text}units\tread\n")).outcome, Outcome::Degraded);
            let silent = judged(&text);
            assert_eq!(silent.outcome, Outcome::Degraded);
            let reason = silent.reason.unwrap().text;
            assert!(reason.ends_with("but systemd did not say which units failed"), "{reason}");
        }
    }

    #[test]
    fn an_outcome_that_is_there_after_all_is_read() {
        let found =
            parse("boot_id\t1\noutcome\trolled-back\tnetwork-lost\tnobody came\nbusy\tyes\n");
        assert_eq!(found.outcome, Decision::parse("rolled-back\tnetwork-lost\tnobody came"));
        assert!(found.is_busy);
    }
}
