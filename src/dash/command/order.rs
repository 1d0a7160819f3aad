//! What a command says to a run that goes on, and which hosts it takes back.

use super::{Command, CommandEntry};
use crate::dash::model::Model;
use crate::dash::overlay::Overlay;
use crate::dash::world::{HostRun, RunView};
use crate::fleet::{Goal, Phase, PhaseState, RollbackScope, RunOrder, SilenceOrigin, Wait};

/// Returns what a command says to the shown run; nothing where it has nothing to say.
pub(in crate::dash) fn order(model: &Model, command: Command) -> Option<RunOrder> {
    let run = model.shown_run().filter(|run| run.is_active() && !run.waits && !run.stopping)?;
    let host = model.shown_host_run();
    match command {
        Command::PauseRun => {
            let stands = run.paused || run.question.is_some() || run.hosts.iter().any(is_stuck);
            Some(if stands { RunOrder::Resume } else { RunOrder::Pause })
        }
        Command::AcceptCheck => run.question.as_ref().map(|_| RunOrder::Accept),
        Command::SkipHost => {
            let host = host.filter(|host| host.result.is_none() && !has_begun(host))?;
            Some(RunOrder::Skip { host: host.host.clone() })
        }
        Command::TryHost => {
            let host = host.filter(|host| {
                let result = host.result.as_ref();
                is_stuck(host) || result.is_some_and(|result| !result.outcome.is_good())
            })?;
            run.halted.is_none().then(|| RunOrder::Retry { host: host.host.clone() })
        }
        Command::TakeWaveBack => rollback(run, RollbackScope::Wave),
        Command::TakeRunBack => rollback(run, RollbackScope::Run),
        _ => None,
    }
}

/// Returns what the footer says of a command: what it does now, where that is not always the same.
pub(in crate::dash) fn label(model: &Model, entry: &CommandEntry) -> Option<&'static str> {
    match entry.command {
        Command::TurnFace => return Some(model.log.face.next().word()),
        Command::Levels => return Some(model.log.levels.next().word()),
        Command::AllHosts if model.log.all_hosts => return Some("one host"),
        Command::Open if model.selected_group().is_some_and(|group| model.is_open(&group)) => {
            return Some("fold");
        }
        Command::Open if model.selected_group().is_some() => return Some("unfold"),
        Command::Accept if ends_silence(model) => return Some("end the silence"),
        Command::Yes if asks_to_roll_back(model) => return Some("yes, roll back"),
        Command::OnlyMatching if model.log.only_matching => return Some("all lines"),
        _ => {}
    }
    let run = model.shown_run().filter(|_| entry.command == Command::PauseRun);
    match run {
        Some(run) if run.question.is_some() => Some("check again"),
        Some(run) if run.paused => Some("go on"),
        Some(run) if run.without_way().is_some() => Some("try again"),
        Some(_) | None => entry.label,
    }
}

/// Returns whether the form that is open would end a silence.
fn ends_silence(model: &Model) -> bool {
    let Some(Overlay::Silence(form)) = model.overlay() else { return false };
    form.silenced_by() == Some(SilenceOrigin::State)
}

/// Returns whether the plan that is open takes hosts back.
fn asks_to_roll_back(model: &Model) -> bool {
    let Some(Overlay::Plan { run, .. }) = model.overlay() else { return false };
    let plan = model.world.run_by_id(run).and_then(|run| run.plan.as_ref());
    plan.is_some_and(|plan| plan.goal == Goal::Rollback)
}

/// Returns whether a host waits for somebody to decide, since no way to it is left.
fn is_stuck(host: &HostRun) -> bool {
    matches!(host.waiting, Some(Wait::Way { .. }))
}

/// Returns whether a host is being changed: it has begun to activate, and is not done.
pub(in crate::dash) fn has_begun(host: &HostRun) -> bool {
    let mut reached = host.phases.iter().filter(|(_, view)| view.state != PhaseState::Skipped);
    host.result.is_none() && reached.any(|(phase, _)| *phase >= Phase::Activate)
}

/// Returns the order to take hosts back, where any can be.
fn rollback(run: &RunView, scope: RollbackScope) -> Option<RunOrder> {
    let any = !taken_back(run, scope).is_empty() || run.hosts.iter().any(has_begun);
    any.then_some(RunOrder::Rollback { scope })
}

/// Returns the hosts that go back: those that have their new system from this run, or are getting it.
pub(in crate::dash) fn taken_back(run: &RunView, scope: RollbackScope) -> Vec<String> {
    let fresh = run
        .hosts
        .iter()
        .filter(|host| (host.has_new_system() || has_begun(host)) && !host.goes_back);
    scope.taken_back(fresh.map(|host| (host.host.clone(), run.wave_of(&host.host))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{
        Code, Finding, HostResult, Outcome, RolloutNews, RunEvent, RunId, RunWhat, Subject,
    };
    use jiff::Timestamp;

    #[test]
    fn hosts_that_are_just_getting_their_system_go_back_too() {
        let mut run = RunView::new(RunId("7".to_owned()), Timestamp::UNIX_EPOCH);
        let mut fold = |what| {
            let (run_id, at) = (RunId("7".to_owned()), Timestamp::UNIX_EPOCH);
            run.fold(RunEvent { run: run_id, at, what });
        };
        let ended = |host: &str, outcome| RunWhat::Result {
            host: host.to_owned(),
            result: HostResult::ended(outcome),
        };
        let phase =
            |host: &str, phase, state| RunWhat::Phase { host: host.to_owned(), phase, state };
        fold(ended("a", Outcome::Switched));
        fold(phase("b", Phase::Persist, PhaseState::Started));
        // Nothing has begun there.
        fold(phase("c", Phase::Activate, PhaseState::Skipped));
        assert_eq!(taken_back(&run, RollbackScope::Run), ["a", "b"]);
        let mut fold = |what| {
            let (run_id, at) = (RunId("7".to_owned()), Timestamp::UNIX_EPOCH);
            run.fold(RunEvent { run: run_id, at, what });
        };
        // Who is tried again has its system until that ends.
        let again = |name: &str, goes_back| {
            RunWhat::Rollout(RolloutNews::Again {
                host: name.to_owned(),
                goal: if goes_back { Goal::Rollback } else { Goal::Switch },
                goes_back,
                attempt: 2,
                reason: "why".to_owned(),
            })
        };
        fold(ended("a", Outcome::Degraded));
        fold(again("a", false));
        assert_eq!(taken_back(&run, RollbackScope::Run), ["a", "b"]);
        let mut fold = |what| {
            let (run_id, at) = (RunId("7".to_owned()), Timestamp::UNIX_EPOCH);
            run.fold(RunEvent { run: run_id, at, what });
        };
        // Who goes back already is not taken back once more.
        let finding = Finding::new(Subject::host("b"), Code::RunRolledBack, "why", "");
        fold(RunWhat::Rollout(RolloutNews::Halted { finding, rollback: true }));
        fold(ended("b", Outcome::Switched));
        fold(again("b", true));
        fold(phase("b", Phase::Activate, PhaseState::Started));
        assert_eq!(taken_back(&run, RollbackScope::Run), ["a"]);
    }
}
