//! Which system a host gets that was away: the newest that a person confirmed for it.

use crate::deploy::NewestSystem;
use crate::fleet::{DeployedFrom, Goal, RolloutNews, RunEvent, RunId, RunWhat};
use crate::record::Runs;
use std::path::Path;

/// Returns the newest system that was confirmed for a host in a run after this one; nothing where
/// this run's own is the newest.
pub(super) fn newest_confirmed(
    runs: &Runs,
    own: &RunId,
    fleet: Option<&Path>,
    host: &str,
) -> Option<NewestSystem> {
    let later = runs.list().ok()?.into_iter().rev().take_while(|run| run != own);
    later
        .filter(|run| runs.belongs_to(run, fleet))
        .find_map(|run| confirmed_in(&run, &runs.decided(&run), host))
}

/// Returns the system that a run's plan has for a host, when the plan was confirmed.
fn confirmed_in(run: &RunId, events: &[RunEvent], host: &str) -> Option<NewestSystem> {
    let plan = events.iter().find_map(|event| match &event.what {
        RunWhat::Plan { plan, .. } => Some(plan),
        _ => None,
    })?;
    // An older nixdash did not tell the answer, and nobody is asked where a run may begin at once.
    let confirmed = events.iter().any(|event| {
        let is_yes = matches!(event.what, RunWhat::Rollout(RolloutNews::Answered { yes: true }));
        is_yes || event.what.is_work_after_plan()
    });
    let planned = plan.hosts.iter().find(|planned| planned.host == host && confirmed)?;
    if !matches!(planned.goal.unwrap_or(plan.goal), Goal::Switch | Goal::Boot) {
        return None;
    }
    let drv = planned.drv.as_ref()?.to_string();
    let built_from = planned.built_from.as_ref().and_then(DeployedFrom::checked);
    let toplevel = planned.toplevel.clone();
    Some(NewestSystem { run: run.clone(), drv, toplevel, built_from })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Goal, HostPlan, Phase, PhaseState, Plan, Route, StorePath, Strategy};
    use jiff::Timestamp;
    use std::collections::BTreeMap;

    fn path(name: &str) -> StorePath {
        StorePath::parse(&format!("/nix/store/m0znnv1nxsr0ry7gmadkh49s1d0hycgd-{name}")).unwrap()
    }

    fn plan() -> RunWhat {
        let host = HostPlan {
            goal: None,
            host: "samsung".to_owned(),
            route: Route::Direct,
            toplevel: path("new"),
            built_from: None,
            drv: Some(path("new.drv")),
            running: None,
            replaces: None,
            profile: None,
            to_build: None,
            to_download: None,
            changes: None,
            generation: None,
            reboots: false,
            why: None,
            wave: None,
            unchanged: false,
            notes: Vec::new(),
            findings: Vec::new(),
        };
        let plan = Plan {
            goal: Goal::Switch,
            strategy: Strategy::Direct,
            revision: None,
            source: None,
            findings: Vec::new(),
            hosts: vec![host],
            set_aside: BTreeMap::new(),
            waited_for: Vec::new(),
        };
        RunWhat::Plan { plan, waits: true }
    }

    #[test]
    fn only_a_plan_that_was_confirmed_counts() {
        let run = RunId("9".to_owned());
        let event = |what| RunEvent { run: run.clone(), at: Timestamp::UNIX_EPOCH, what };
        let phase = |host: &str, phase, state| {
            event(RunWhat::Phase { host: host.to_owned(), phase, state })
        };
        let begun = |of| phase("samsung", of, PhaseState::Started);
        // What one host leaves out, or has done already, is told before anybody is asked.
        let asked = vec![
            begun(Phase::Compare),
            phase("razer", Phase::Build, PhaseState::Skipped),
            phase("p620", Phase::Build, PhaseState::Finished),
            event(plan()),
        ];
        assert_eq!(confirmed_in(&run, &asked, "samsung"), None);
        let answered = |yes| {
            let answer = event(RunWhat::Rollout(RolloutNews::Answered { yes }));
            confirmed_in(&run, &[asked.clone(), vec![answer]].concat(), "samsung")
        };
        assert_eq!(answered(false), None);
        assert!(answered(true).is_some(), "though nothing has begun yet");
        let confirmed = [asked.clone(), vec![begun(Phase::Build)]].concat();
        let found = confirmed_in(&run, &confirmed, "samsung").unwrap();
        assert_eq!((found.run, found.toplevel), (run.clone(), path("new")));
        assert_eq!(confirmed_in(&run, &confirmed, "razer"), None);
    }
}
