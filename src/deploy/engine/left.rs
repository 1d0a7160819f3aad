//! Hosts of a run whose nixdash was killed: what became of them is asked afterwards.
//!
//! The supervisor decided without anybody and left its decision on the host, so the account is the
//! host's own; where the host was restarted since, what it runs and boots is the account.

use super::account::{Account, of_a_newer_nixdash, parse};
use super::context::job_name;
use super::resumed::unwatched;
use super::scripts::{ACCOUNT, RECOVER};
use crate::deploy::attempt::{HadBefore, counted, with_what_was_found};
use crate::deploy::words::systems;
use crate::deploy::{Ending, HostEnding, Reason};
use crate::fleet::{Code, Goal, Outcome, Phase, StorePath};
use crate::record::{LeftHost, LeftRun};
use crate::remote::{Script, ScriptRunner};
use futures_util::future::join_all;
use std::time::Duration;

/// How long one host may take to answer.
const LIMIT: Duration = Duration::from_secs(12);

/// How long putting right what a power cut left may take: it writes the boot menu.
const RECOVER_LIMIT: Duration = Duration::from_secs(10 * 60);

/// What became of a host of such a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeftEnding {
    /// It has ended so.
    Ended(HostEnding),
    /// It cannot be said yet, for this reason.
    NotYet(String),
}

/// Asks every host of a run that has no result yet what became of it.
pub async fn end_left(runner: &dyn ScriptRunner, left: &LeftRun) -> Vec<(String, LeftEnding)> {
    let open = left.hosts.iter().filter(|(_, host)| !host.ended);
    join_all(open.map(|(name, host)| async move {
        (name.clone(), end_host(runner, left, name, host).await)
    }))
    .await
}

/// Says what became of one host.
async fn end_host(
    runner: &dyn ScriptRunner,
    left: &LeftRun,
    name: &str,
    host: &LeftHost,
) -> LeftEnding {
    let goes_back = host.goes_back.is_some();
    let goal = if goes_back { Goal::Rollback } else { host.goal.unwrap_or(left.goal) };
    // One that is only restarted comes to no phase in between.
    let first = goal.changes_at(false);
    if host.phase.is_none_or(|phase| phase < first) {
        let text = format!("{name}: nixdash was ended before anything was activated there");
        let reason = Some(Reason::new(Code::RunEnded, text));
        let ending = Ending { outcome: Outcome::Interrupted, reason };
        return LeftEnding::Ended(counted(before(host), ending));
    }
    let job = job_name(&left.tag, "activate", name, host.attempt);
    let mut found = match ask(runner, name, &job).await {
        Ok(found) => found,
        Err(why) => return LeftEnding::NotYet(why),
    };
    if found.outcome.is_none() && !found.is_busy && found.intent.is_some() {
        // A power cut came after nixdash was killed; the next look tells what came of this.
        let script = Script::new(RECOVER).root().arg("").limit(RECOVER_LIMIT);
        drop(runner.run(name, &script).await);
        found = match ask(runner, name, &job).await {
            Ok(found) => found,
            Err(why) => return LeftEnding::NotYet(why),
        };
    }
    if let Some(ending) = of_a_newer_nixdash(name, &found) {
        return LeftEnding::Ended(counted(before(host), ending));
    }
    let wrong = host.wrong.as_ref().map(Reason::of_finding);
    // What the supervisor decided before a restart does not say what the restart came to.
    let restarts = host.phase == Some(Phase::Reboot);
    if let Some(decision) = found.outcome.as_ref().filter(|_| !restarts) {
        let ending = decision.ending(name, goes_back);
        let ending = unwatched(name, ending, "no nixdash worked on this run any more");
        let ending = with_what_was_found(wrong, ending);
        return LeftEnding::Ended(counted(before(host), ending));
    }
    if found.is_busy {
        let (the_new, _) = systems(goes_back);
        return LeftEnding::NotYet(format!(
            "{name}: its supervisor is still at work; unless it was told to keep {the_new}, it leaves that by itself"
        ));
    }
    let ending = with_what_was_found(wrong, judge(name, &found, host, goal));
    LeftEnding::Ended(seen(before(host), ending))
}

/// Returns what a host had from the run when its last attempt began.
fn before(host: &LeftHost) -> HadBefore {
    match (&host.goes_back, &host.brought) {
        (Some(why), _) => HadBefore::GoesBack(Reason::new(Code::RunRolledBack, why.clone())),
        (None, Some(result)) => HadBefore::System(Reason::of_result(result)),
        (None, None) => HadBefore::Nothing,
    }
}

/// Returns how a host ends whose supervisor left nothing, by what it was seen to run and boot.
fn seen(before: HadBefore, ending: Ending) -> HostEnding {
    match before {
        // Nobody looked whether what was wrong with its system still is.
        HadBefore::System(_) if ending.outcome.is_good() => {
            counted(before, Ending { outcome: Outcome::Interrupted, ..ending })
        }
        // It does not have that system any more, or something else is wrong now.
        HadBefore::System(_) => counted(HadBefore::Nothing, ending),
        HadBefore::Nothing | HadBefore::GoesBack(_) => counted(before, ending),
    }
}

/// Asks a host how it stands; fails with the reason why it does not say.
async fn ask(runner: &dyn ScriptRunner, name: &str, job: &str) -> Result<Account, String> {
    let script = Script::new(ACCOUNT).root().arg(job).limit(LIMIT);
    match runner.run(name, &script).await {
        Ok(output) if output.is_ok() => Ok(parse(&output.stdout)),
        Ok(output) => Err(format!("{name}: {}", output.complaint())),
        Err(error) => Err(error.to_string()),
    }
}

/// Judges a host on which nothing of the run is left: by what it runs, and what it boots.
fn judge(name: &str, found: &Account, host: &LeftHost, goal: Goal) -> Ending {
    let is =
        |path: Option<&StorePath>, wanted: Option<&StorePath>| path.is_some() && path == wanted;
    // A specialisation that runs counts as its system.
    let special = found.specialisation.as_ref().map(|special| &special.system);
    let runs = |wanted| is(found.running.as_ref(), wanted) || is(special, wanted);
    let (new, old) = (host.toplevel.as_ref(), host.previous.as_ref());
    let goes_back = host.goes_back.is_some();
    // What its profile was before the run is what a restart starts, where it ran something else only for now.
    let before = host.profile.as_ref();
    let of_old = before.filter(|_| !goes_back && before != new);
    let of_new = before.filter(|_| goes_back && before != old);
    let runs_new = runs(new) || runs(of_new);
    let profile_new = is(found.profile.as_ref(), new) || is(found.profile.as_ref(), of_new);
    let boots_new = found
        .boots
        .as_ref()
        .map_or(profile_new, |boots| is(Some(boots), new) || is(Some(boots), of_new));
    let runs_old = runs(old) || runs(of_old);
    // A first deploy has no system to be back on.
    let none_again = old.is_none() && found.running.is_none();
    let (the_new, the_old) = systems(goes_back);
    let (outcome, what) = match (runs_new, runs_old, profile_new && boots_new) {
        (false, false, true) if none_again && goal == Goal::Boot => {
            (Outcome::Booted, format!("the host now boots {the_new}"))
        }
        (false, false, false) if none_again && !profile_new => {
            (Outcome::Failed, "still no system of NixOS runs there".to_owned())
        }
        (true, _, true)
            if matches!(goal, Goal::Switch | Goal::Rollback | Goal::Boot)
                || host.phase == Some(Phase::Reboot) =>
        {
            (Outcome::Switched, format!("it now runs {the_new} and boots it"))
        }
        (true, ..) if goal == Goal::Test => (Outcome::Tested, format!("it now runs {the_new}")),
        (_, true, true) if goal == Goal::Boot => {
            (Outcome::Booted, format!("the host now boots {the_new}"))
        }
        (_, true, false) if !profile_new => {
            (Outcome::RolledBack, format!("it now runs {the_old} and boots it"))
        }
        (_, true, _) => (Outcome::Degraded, format!("it now runs {the_old}, but boots {the_new}")),
        (true, ..) => (Outcome::Degraded, format!("it now runs {the_new}, but does not boot it")),
        // It was away when the run was planned, and nobody noted what it ran when it came back.
        (false, false, _) if old.is_none() && before.is_none() && found.running.is_some() => {
            let what = "it does not run the new system, and what it ran before is not known";
            (Outcome::Failed, what.to_owned())
        }
        (false, false, _) if found.running.is_some() && found.running == found.profile => {
            let what = "somebody else deployed meanwhile: another system runs there now";
            (Outcome::Superseded, what.to_owned())
        }
        (false, false, _) => {
            (Outcome::Degraded, format!("it now runs neither {the_old} nor {the_new}"))
        }
    };
    let code = match outcome {
        Outcome::Degraded => Code::SystemUnexpected,
        Outcome::Superseded => Code::Superseded,
        _ => Code::RunEnded,
    };
    let text = format!("{name}: nixdash was ended during this run; {what}");
    Ending { outcome, reason: Some(Reason::new(code, text)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Finding, HostResult, RunId, Subject};
    use crate::remote::{FakeRunner, Output, RemoteError, Trouble};
    use jiff::Timestamp;
    use std::collections::{BTreeMap, BTreeSet};

    const OLD: &str = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-old";
    const NEW: &str = "/nix/store/m0znnv1nxsr0ry7gmadkh49s1d0hycgd-new";

    fn left(phase: Option<Phase>) -> LeftRun {
        let host = LeftHost {
            phase,
            toplevel: StorePath::parse(NEW).ok(),
            previous: StorePath::parse(OLD).ok(),
            ..LeftHost::default()
        };
        LeftRun {
            run: RunId("4".to_owned()),
            tag: "run-4-x".to_owned(),
            began_at: Timestamp::UNIX_EPOCH,
            goal: Goal::Switch,
            hosts: BTreeMap::from([("samsung".to_owned(), host)]),
            builders: BTreeSet::new(),
            events: Vec::new(),
        }
    }

    /// Asks a host that says this.
    async fn ask(phase: Option<Phase>, said: &'static str) -> LeftEnding {
        let runner = FakeRunner::new(move |_, _| {
            Ok(Output { stdout: said.to_owned(), ..Output::default() })
        });
        end_left(&runner, &left(phase)).await.remove(0).1
    }

    fn code(ending: &LeftEnding) -> Option<Code> {
        match ending {
            LeftEnding::Ended(ending) => ending.reasons.first().map(|reason| reason.code),
            LeftEnding::NotYet(_) => None,
        }
    }

    fn outcome(ending: &LeftEnding) -> Option<Outcome> {
        match ending {
            LeftEnding::Ended(ending) => Some(ending.outcome),
            LeftEnding::NotYet(_) => None,
        }
    }

    #[tokio::test]
    async fn a_host_on_which_nothing_was_activated_is_interrupted_without_asking() {
        for phase in [None, Some(Phase::Build), Some(Phase::Diff)] {
            let runner = FakeRunner::unreachable();
            let found = end_left(&runner, &left(phase)).await.remove(0).1;
            assert_eq!(outcome(&found), Some(Outcome::Interrupted));
            assert_eq!(code(&found), Some(Code::RunEnded));
            assert!(runner.asked().is_empty());
        }
    }

    #[tokio::test]
    async fn what_the_supervisor_decided_alone_is_read() {
        let found =
            ask(Some(Phase::Settle), "outcome\trolled-back\tnetwork-lost\tno word came\n").await;
        assert_eq!(outcome(&found), Some(Outcome::RolledBack));
        assert_eq!(code(&found), Some(Code::ConfirmationMissing));
    }

    #[tokio::test]
    async fn the_account_of_the_last_attempt_is_read() {
        let said = |_: &str, script: &Script| {
            let line = match script.args[0].as_str() {
                "run-4-x-activate-samsung" => "outcome\trolled-back\tcheck-failed\tthe first\n",
                "run-4-x-activate-samsung-2" => "outcome\tswitched\t\t\n",
                other => panic!("{other}"),
            };
            Ok(Output { stdout: line.to_owned(), ..Output::default() })
        };
        let runner = FakeRunner::new(said);
        for (attempt, wanted) in [(1, Outcome::RolledBack), (2, Outcome::Switched)] {
            let mut left = left(Some(Phase::Persist));
            left.hosts.get_mut("samsung").unwrap().attempt = attempt;
            let found = end_left(&runner, &left).await.remove(0).1;
            assert_eq!(outcome(&found), Some(wanted), "attempt {attempt}");
        }
        // The second attempt was its way back, and arrived there.
        let mut left = left(Some(Phase::Persist));
        let host = left.hosts.get_mut("samsung").unwrap();
        (host.attempt, host.goes_back) = (2, Some("c failed".to_owned()));
        let found = end_left(&runner, &left).await.remove(0).1;
        assert_eq!(outcome(&found), Some(Outcome::RolledBack));
    }

    /// Returns how a host ends in its second attempt that says this; `host` says what the first one left.
    async fn second(said: String, host: LeftHost) -> HostEnding {
        let runner =
            FakeRunner::new(move |_, _| Ok(Output { stdout: said.clone(), ..Output::default() }));
        let mut left = left(host.phase);
        let of_first = left.hosts["samsung"].clone();
        let (mut toplevel, mut previous) = (of_first.toplevel, of_first.previous);
        if host.goes_back.is_some() {
            std::mem::swap(&mut toplevel, &mut previous);
        }
        left.hosts
            .insert("samsung".to_owned(), LeftHost { attempt: 2, toplevel, previous, ..host });
        match end_left(&runner, &left).await.remove(0).1 {
            LeftEnding::Ended(ending) => ending,
            LeftEnding::NotYet(why) => panic!("{why}"),
        }
    }

    /// Returns a host whose first attempt brought it the system, with a unit that failed.
    fn tried_again(phase: Option<Phase>) -> LeftHost {
        let subject = Subject::host("samsung");
        let unit = Finding::new(subject, Code::UnitsFailed, "web.service failed", "look");
        let findings = vec![unit];
        let brought = HostResult { findings, ..HostResult::ended(Outcome::Degraded) };
        LeftHost { phase, brought: Some(brought), ..LeftHost::default() }
    }

    /// Returns a host that its run was taking back.
    fn going_back(phase: Phase) -> LeftHost {
        let goes_back = Some("c failed".to_owned());
        LeftHost { phase: Some(phase), goes_back, ..LeftHost::default() }
    }

    #[tokio::test]
    async fn a_host_that_was_tried_again_has_what_the_attempt_before_brought_it() {
        let back = "outcome\trolled-back\tcheck-failed\tthe check\n";
        for phase in [None, Some(Phase::Persist)] {
            let found = second(back.to_owned(), tried_again(phase)).await;
            assert_eq!(found.outcome, Outcome::Degraded, "{phase:?}");
            let error = found.error().unwrap();
            assert!(error.starts_with("web.service failed. Then, tried again: "), "{error}");
            assert_eq!(found.reasons[0].code, Code::UnitsFailed, "what is to be looked at again");
        }
    }

    #[tokio::test]
    async fn a_host_that_was_tried_again_is_not_well_because_it_has_its_system_still() {
        let account = |runs: &str| format!("running\t{runs}\nprofile\t{runs}\n");
        let found = second(account(NEW), tried_again(Some(Phase::Activate))).await;
        assert_eq!(found.outcome, Outcome::Degraded, "nobody looked at its units");
        assert_eq!(found.reasons[0].code, Code::UnitsFailed);
        let found = second(account(OLD), tried_again(Some(Phase::Activate))).await;
        assert_eq!(found.outcome, Outcome::RolledBack, "it does not have that system any more");
        let decided = "outcome\tswitched\t\t\n".to_owned();
        let found = second(decided, tried_again(Some(Phase::Persist))).await;
        assert_eq!(found.outcome, Outcome::Switched, "its supervisor saw it well");
    }

    #[tokio::test]
    async fn the_end_of_a_way_back_counts_as_in_a_run_that_goes_on() {
        for (said, ends) in [
            ("switched\t\t", Outcome::RolledBack),
            // It is back, and a unit fails there.
            ("degraded\tunits-failed\tweb.service failed", Outcome::RolledBack),
            // Its previous system starts only with the next restart.
            ("needs-reboot\tswitch-inhibited\tit cannot be activated", Outcome::Degraded),
            ("rolled-back\tcheck-failed\tthe check", Outcome::Degraded),
            ("locked\tlock-held\t", Outcome::Degraded),
            ("failed\twrite-failed\tno room", Outcome::Degraded),
            ("superseded\tsuperseded\tit runs x", Outcome::Superseded),
        ] {
            let found = second(format!("outcome\t{said}\n"), going_back(Phase::Persist)).await;
            assert_eq!(found.outcome, ends, "{said}");
            assert_eq!(found.reasons[0].code, Code::RunRolledBack);
            assert!(found.error().unwrap().contains("c failed"), "{found:?}");
        }
        let unasked = second(String::new(), going_back(Phase::Compare)).await;
        assert_eq!(unasked.outcome, Outcome::Degraded);
    }

    #[tokio::test]
    async fn the_two_systems_of_a_way_back_are_called_by_what_they_are() {
        for (runs, boots, ends, said) in [
            (
                NEW,
                NEW,
                Outcome::Degraded,
                "it now runs the system that this run brought and boots it",
            ),
            (
                NEW,
                OLD,
                Outcome::Degraded,
                "it now runs the system that this run brought, but boots the previous system",
            ),
            (OLD, NEW, Outcome::Degraded, "it now runs the previous system, but does not boot it"),
        ] {
            let account = format!("running\t{runs}\nprofile\t{boots}\n");
            let found = second(account, going_back(Phase::Persist)).await;
            assert_eq!(found.outcome, ends, "{runs} {boots}");
            let error = found.error().unwrap();
            assert!(error.ends_with(said), "{error}");
        }
        let account = format!("running\t{OLD}\nprofile\t{OLD}\n");
        let back = second(account, going_back(Phase::Persist)).await;
        assert_eq!(back.outcome, Outcome::RolledBack);
        assert_eq!(back.error().unwrap(), "taken back to the previous system: c failed");
    }

    #[tokio::test]
    async fn a_host_that_is_still_at_work_or_away_is_asked_later() {
        let busy = ask(Some(Phase::Activate), "running\t/nix/store/x\nbusy\tyes\n").await;
        assert_eq!(outcome(&busy), None);
        let away = FakeRunner::new(|host, _| {
            Err(RemoteError::new(host, Trouble::Unreachable, "No route to host"))
        });
        let found = end_left(&away, &left(Some(Phase::Persist))).await.remove(0).1;
        assert_eq!(outcome(&found), None);
    }

    #[tokio::test]
    async fn what_was_decided_before_a_restart_says_nothing_of_what_came_of_it() {
        for (running, goal, wanted) in [
            (NEW, Goal::Boot, Outcome::Switched),
            (OLD, Goal::Boot, Outcome::Booted),
            (OLD, Goal::Switch, Outcome::Degraded),
        ] {
            let said = format!("running\t{running}\nprofile\t{NEW}\noutcome\tswitched\t\t\n");
            let runner = FakeRunner::new(move |_, _| {
                Ok(Output { stdout: said.clone(), ..Output::default() })
            });
            let left = LeftRun { goal, ..left(Some(Phase::Reboot)) };
            let found = end_left(&runner, &left).await.remove(0).1;
            assert_eq!(outcome(&found), Some(wanted), "{running} {goal}");
        }
    }

    #[tokio::test]
    async fn what_checks_had_found_wrong_stays_wrong_when_the_run_is_ended() {
        let found_wrong = Reason::new(Code::UnitsFailed, "web.service failed").finding("samsung");
        for (said, phase, wanted) in [
            ("outcome\tswitched\t\t\n".to_owned(), Phase::Persist, Outcome::Degraded),
            (format!("running\t{NEW}\nprofile\t{NEW}\n"), Phase::Persist, Outcome::Degraded),
            (format!("running\t{OLD}\nprofile\t{OLD}\n"), Phase::Persist, Outcome::RolledBack),
        ] {
            let runner = FakeRunner::new(move |_, _| {
                Ok(Output { stdout: said.clone(), ..Output::default() })
            });
            let mut left = left(Some(phase));
            left.hosts.get_mut("samsung").unwrap().wrong = Some(found_wrong.clone());
            let found = end_left(&runner, &left).await.remove(0).1;
            assert_eq!(outcome(&found), Some(wanted));
            let is_units = code(&found) == Some(Code::UnitsFailed);
            assert_eq!(is_units, wanted == Outcome::Degraded, "{:?}", code(&found));
        }
    }

    #[tokio::test]
    async fn nobody_is_blamed_where_it_is_not_known_what_a_host_ran_before() {
        let said = format!("running\t{OLD}\nprofile\t{OLD}\n");
        let runner =
            FakeRunner::new(move |_, _| Ok(Output { stdout: said.clone(), ..Output::default() }));
        let mut left = left(Some(Phase::Persist));
        let host = left.hosts.get_mut("samsung").unwrap();
        (host.previous, host.profile) = (None, None);
        let found = end_left(&runner, &left).await.remove(0).1;
        assert_eq!(outcome(&found), Some(Outcome::Failed));
        let LeftEnding::Ended(ending) = found else { panic!("it is known") };
        let error = ending.error().unwrap();
        assert!(error.contains("what it ran before is not known"), "{error}");
    }

    #[tokio::test]
    async fn a_host_that_was_restarted_into_the_system_that_it_was_to_boot_has_switched() {
        let said = format!("running\t{NEW}\nprofile\t{NEW}\nboots\t{NEW}\n");
        let runner =
            FakeRunner::new(move |_, _| Ok(Output { stdout: said.clone(), ..Output::default() }));
        let left = LeftRun { goal: Goal::Boot, ..left(Some(Phase::Persist)) };
        let found = end_left(&runner, &left).await.remove(0).1;
        assert_eq!(
            (outcome(&found), code(&found)),
            (Some(Outcome::Switched), Some(Code::RunEnded))
        );
    }

    #[tokio::test]
    async fn a_restart_that_ended_a_specialisation_or_a_tried_system_is_nobody_elses_deploy() {
        const SPECIAL: &str = "/nix/store/n0znnv1nxsr0ry7gmadkh49s1d0hycgd-gaming";
        const THIRD: &str = "/nix/store/p0znnv1nxsr0ry7gmadkh49s1d0hycgd-third";
        let path = |text| StorePath::parse(text).ok();
        let special = |of| format!("specialisation\t{of}\tgaming\n");
        for (goes_back, running, profile, more, wanted) in [
            // Its own system was the profile, and a specialisation of that ran.
            (false, OLD, OLD, String::new(), Outcome::RolledBack),
            (false, SPECIAL, OLD, special(OLD), Outcome::RolledBack),
            (false, THIRD, NEW, special(NEW), Outcome::Switched),
            (false, THIRD, THIRD, String::new(), Outcome::Superseded),
            (true, OLD, OLD, String::new(), Outcome::RolledBack),
            (true, SPECIAL, OLD, special(OLD), Outcome::RolledBack),
            (true, NEW, NEW, String::new(), Outcome::Degraded),
        ] {
            let said = format!("running\t{running}\nprofile\t{profile}\n{more}");
            let runner = FakeRunner::new(move |_, _| {
                Ok(Output { stdout: said.clone(), ..Output::default() })
            });
            let mut left = left(Some(Phase::Persist));
            let host = left.hosts.get_mut("samsung").unwrap();
            (host.previous, host.profile) = (path(SPECIAL), path(OLD));
            if goes_back {
                host.goes_back = Some("c failed".to_owned());
                std::mem::swap(&mut host.toplevel, &mut host.previous);
            }
            let found = end_left(&runner, &left).await.remove(0).1;
            assert_eq!(outcome(&found), Some(wanted), "{goes_back} {running} {profile}");
        }
    }

    #[tokio::test]
    async fn a_restarted_host_is_judged_by_what_it_runs_and_boots() {
        for (running, profile, wanted) in [
            (NEW, NEW, Outcome::Switched),
            (OLD, OLD, Outcome::RolledBack),
            (OLD, NEW, Outcome::Degraded),
            (NEW, OLD, Outcome::Degraded),
        ] {
            let said: &'static str =
                Box::leak(format!("running\t{running}\nprofile\t{profile}\n").into_boxed_str());
            let found = ask(Some(Phase::Persist), said).await;
            assert_eq!(outcome(&found), Some(wanted), "{running} {profile}");
            let is_odd = wanted == Outcome::Degraded;
            let wanted = if is_odd { Code::SystemUnexpected } else { Code::RunEnded };
            assert_eq!(code(&found), Some(wanted));
        }
    }
}
