//! What an earlier run was about, read from its record, so that it can be tried again.

use crate::cli::deploy::RebootArgs;
use crate::cli::retry::RetryError;
use crate::deploy::Reason;
use crate::fleet::{
    AskedOfHost, DeployedFrom, Finding, Goal, HostResult, Outcome, Plan, RolloutNews, RunEvent,
    RunId, RunOptions, RunWhat, StorePath, begins_way_back,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What an earlier run was about.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EarlierRun {
    pub(super) goal: Goal,
    /// What was asked of it besides.
    pub(super) options: RunOptions,
    /// The hosts that did not end well.
    pub(super) failed: Vec<FailedHost>,
    /// What was wrong with it as a whole, such as a gate that failed.
    pub(super) wrong: Option<String>,
    /// Whether hosts were restarted, as its plan says.
    restarts: bool,
}

/// A host that did not end well in an earlier run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FailedHost {
    pub(super) name: String,
    /// What was to be done to it.
    pub(super) goal: Goal,
    /// The system that it was to get, as far as that was known.
    pub(super) system: Option<StorePath>,
    /// Its derivation.
    pub(super) drv: Option<StorePath>,
    /// The generation that it was to go to.
    pub(super) generation: Option<u64>,
    /// What the system was built from.
    pub(super) built_from: Option<DeployedFrom>,
    /// What is wrong there, where it has the new system.
    pub(super) degraded: Option<Reason>,
}

impl EarlierRun {
    /// Reads what a run was about from what happened in it.
    pub(super) fn read(run: &RunId, events: &[RunEvent]) -> Result<Self, RetryError> {
        let mut told = EarlierEvents::default();
        for event in events {
            told.take(&event.what);
        }
        let Some(goal) = told.goal() else { return Err(RetryError::NoPlan(run.clone())) };
        let failed = told.hosts.iter().filter_map(|host| told.failed(host, goal)).collect();
        let of_hosts = told.plan.map_or(&[][..], |plan| &plan.hosts[..]);
        let restarts = of_hosts.iter().any(|host| host.reboots);
        Ok(Self { goal, options: told.options, failed, wrong: told.wrong, restarts })
    }

    /// Returns a run in which these hosts did not end well.
    #[cfg(test)]
    pub(super) fn of(goal: Goal, failed: Vec<FailedHost>) -> Self {
        Self { goal, options: RunOptions::default(), failed, wrong: None, restarts: false }
    }

    /// Returns how long a restart was given; nothing where no host was to be restarted.
    pub(super) fn restart_limit(&self) -> Option<Duration> {
        let said = self.options.reboot_limit_s.map(Duration::from_secs);
        // An older nixdash did not say it.
        said.or_else(|| self.restarts.then(RebootArgs::usual))
    }
}

/// What the events of a run tell.
#[derive(Default)]
struct EarlierEvents<'a> {
    hosts: &'a [String],
    is_build: bool,
    options: RunOptions,
    /// What was asked for hosts; nothing in the records of an older nixdash.
    asked: Option<&'a BTreeMap<String, AskedOfHost>>,
    plan: Option<&'a Plan>,
    results: BTreeMap<&'a str, &'a HostResult>,
    /// The systems that hosts were to get: the result of a way back names the one that ran before.
    brought: BTreeMap<&'a str, &'a StorePath>,
    /// The hosts that were taken back.
    goes_back: BTreeSet<&'a str>,
    wrong: Option<String>,
}

impl<'a> EarlierEvents<'a> {
    fn take(&mut self, what: &'a RunWhat) {
        match what {
            RunWhat::Begin { hosts, title, options, asked } => {
                self.hosts = hosts;
                self.options = *options;
                self.is_build = *title == Goal::Build.word();
                self.asked = Some(asked).filter(|asked| !asked.is_empty());
            }
            RunWhat::Plan { plan, .. } => self.plan = Some(plan),
            RunWhat::Rollout(RolloutNews::Again { host, goes_back, goal, .. }) => {
                if begins_way_back(*goes_back, *goal, self.goal()) {
                    self.goes_back.insert(host);
                } else {
                    self.goes_back.remove(&host[..]);
                }
            }
            RunWhat::Rollout(RolloutNews::Decided { host, toplevel: Some(system), .. }) => {
                self.brought.insert(host, system);
            }
            RunWhat::Result { host, result } => {
                self.results.insert(host, result);
                let system = result.toplevel.as_ref();
                if let Some(system) = system.filter(|_| !self.goes_back.contains(&host[..])) {
                    self.brought.insert(host, system);
                }
            }
            RunWhat::Summary { findings, .. } => {
                let of_run = Finding::of_whole_run(findings);
                self.wrong =
                    of_run.first().map(|found| format!("{} [{}]", found.cause, found.code));
            }
            RunWhat::Phase { .. }
            | RunWhat::Progress { .. }
            | RunWhat::Log { .. }
            | RunWhat::Usual { .. }
            | RunWhat::Builds { .. }
            | RunWhat::Command { .. }
            | RunWhat::Rollout(_)
            | RunWhat::Reattached { .. }
            | RunWhat::Waiting { .. }
            | RunWhat::Dropped { .. } => {}
        }
    }

    /// Returns what the run was for: what its plan says, or what was asked for one of its hosts. What each host
    /// gets is known besides.
    fn goal(&self) -> Option<Goal> {
        let planned = self.plan.map(|plan| plan.goal);
        let build = self.is_build.then_some(Goal::Build);
        let asked = || Some(self.asked?.values().next()?.goal);
        planned.or(build).or_else(asked)
    }

    /// Returns a host of a run for this goal, where it did not end well.
    fn failed(&self, name: &str, goal: Goal) -> Option<FailedHost> {
        let result = self.results.get(name);
        if result.is_some_and(|result| result.is_as_asked()) {
            return None;
        }
        let planned = self.plan.and_then(|plan| plan.hosts.iter().find(|one| one.host == name));
        let asked = self.asked.and_then(|asked| asked.get(name));
        let brought = self.brought.get(name).copied();
        let system = brought.or_else(|| planned.map(|planned| &planned.toplevel));
        let system = system.or_else(|| asked?.system.as_ref()).cloned();
        // What the plan knows, it knows of its own system alone.
        let of_system = planned.filter(|planned| Some(&planned.toplevel) == system.as_ref());
        let has_new = result.filter(|result| result.outcome == Outcome::Degraded);
        let is_back = self.goes_back.contains(name);
        Some(FailedHost {
            name: name.to_owned(),
            goal: asked.map(|asked| asked.goal).or_else(|| planned?.goal).unwrap_or(goal),
            drv: of_system.and_then(|planned| planned.drv.clone()),
            generation: asked.and_then(|asked| asked.generation).or_else(|| planned?.generation),
            built_from: of_system.and_then(|planned| planned.built_from.as_ref()?.checked()),
            degraded: has_new.filter(|_| !is_back).and_then(|result| Reason::of_result(result)),
            system,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Code, HostPlan, HostResult, Route, Strategy, Subject};
    use jiff::Timestamp;

    fn path(name: &str) -> StorePath {
        StorePath::from_base_name(&format!("l0znnv1nxsr0ry7gmadkh49s1d0hycgd-{name}")).unwrap()
    }

    fn event(what: RunWhat) -> RunEvent {
        RunEvent { run: RunId("7".to_owned()), at: Timestamp::UNIX_EPOCH, what }
    }

    fn begin(title: &str) -> RunEvent {
        let hosts = ["razer", "samsung", "p510"].map(str::to_owned).to_vec();
        let options = RunOptions { wait_offline: true, ..RunOptions::default() };
        let asked = BTreeMap::new();
        event(RunWhat::Begin { hosts, title: title.to_owned(), options, asked })
    }

    fn result(host: &str, outcome: Outcome, toplevel: Option<&str>) -> RunEvent {
        let result = HostResult {
            toplevel: toplevel.map(path),
            duration_ms: 1,
            ..HostResult::ended(outcome)
        };
        event(RunWhat::Result { host: host.to_owned(), result })
    }

    fn plan(goal: Goal, generation: Option<u64>) -> RunEvent {
        let host = HostPlan {
            goal: (goal == Goal::Switch).then_some(Goal::Boot),
            wave: None,
            host: "samsung".to_owned(),
            route: Route::Push { builder: "p620".to_owned() },
            why: None,
            toplevel: path("new"),
            built_from: DeployedFrom::parse("0123abcd-dirty\t/home/me/fleet"),
            drv: Some(path("new.drv")),
            running: Some(path("old")),
            replaces: None,
            profile: None,
            to_build: Some(1),
            to_download: None,
            changes: None,
            generation,
            reboots: false,
            unchanged: false,
            notes: Vec::new(),
            findings: Vec::new(),
        };
        let plan = Plan {
            goal,
            strategy: Strategy::ViaCache,
            revision: None,
            source: None,
            findings: Vec::new(),
            hosts: vec![host],
            set_aside: BTreeMap::new(),
            waited_for: Vec::new(),
        };
        event(RunWhat::Plan { plan, waits: true })
    }

    #[test]
    fn only_hosts_that_did_not_end_well_are_tried_again_with_their_systems() {
        let run = RunId("7".to_owned());
        let events = [
            begin("boot via-cache"),
            plan(Goal::Boot, None),
            result("razer", Outcome::Booted, Some("new")),
            result("samsung", Outcome::Failed, Some("new")),
        ];
        let found = EarlierRun::read(&run, &events).unwrap();
        assert_eq!(found.goal, Goal::Boot);
        assert!(found.options.wait_offline, "what was asked of the run is asked of it again");
        // p510 has no result: the run was killed before.
        let [samsung, p510] = &found.failed[..] else { panic!("{found:?}") };
        assert_eq!((&samsung.system, &samsung.drv), (&Some(path("new")), &Some(path("new.drv"))));
        let built_from = samsung.built_from.as_ref().unwrap();
        assert_eq!(built_from.revision, "0123abcd-dirty", "what the run knew is taken over");
        assert_eq!((&p510.name[..], &p510.system, &p510.drv), ("p510", &None, &None));
    }

    #[test]
    fn a_build_has_no_plan_and_a_deploy_without_one_is_not_guessed() {
        let run = RunId("7".to_owned());
        let failed = result("razer", Outcome::Failed, None);
        let found = EarlierRun::read(&run, &[begin("build"), failed.clone()]).unwrap();
        assert_eq!(found.goal, Goal::Build);
        let error = EarlierRun::read(&run, &[begin("switch via-cache"), failed]).unwrap_err();
        assert_eq!(error, RetryError::NoPlan(run));
    }

    #[test]
    fn a_host_with_an_action_of_its_own_is_tried_again_with_that() {
        let run = RunId("7".to_owned());
        let events = [
            begin("switch via-cache"),
            plan(Goal::Switch, None),
            result("samsung", Outcome::Failed, Some("new")),
        ];
        let found = EarlierRun::read(&run, &events).unwrap();
        let goals = found.failed.iter().map(|host| (&host.name[..], host.goal));
        let wanted = [("razer", Goal::Switch), ("samsung", Goal::Boot), ("p510", Goal::Switch)];
        assert_eq!(goals.collect::<Vec<_>>(), wanted);
        assert_eq!(found.goal, Goal::Switch);
    }

    #[test]
    fn a_run_of_which_only_the_gate_failed_says_so() {
        let run = RunId("7".to_owned());
        let subject = Subject::Run { run: run.0.clone(), host: None };
        let failed = Finding::new(subject, Code::GateFailed, "gate quorum failed", "");
        let events = [
            begin("switch via-cache"),
            plan(Goal::Switch, None),
            event(RunWhat::Summary {
                outcomes: BTreeMap::new(),
                duration_ms: 1,
                findings: vec![failed],
            }),
        ];
        let why = EarlierRun::read(&run, &events).unwrap().wrong;
        let told = RetryError::NothingFailed { run, why }.to_string();
        assert!(told.ends_with("gate quorum failed [gate-failed]; look at that first"), "{told}");
    }

    #[test]
    fn a_restart_keeps_its_limit() {
        let run = RunId("7".to_owned());
        let RunWhat::Plan { mut plan, waits } = plan(Goal::Switch, None).what else { return };
        plan.hosts[0].reboots = true;
        let limit = |reboot_limit_s| {
            let options = RunOptions { reboot_limit_s, ..RunOptions::default() };
            let (hosts, title) = (vec!["samsung".to_owned()], "switch via-cache".to_owned());
            let asked = BTreeMap::new();
            let begin = event(RunWhat::Begin { hosts, title, options, asked });
            let events = [begin, event(RunWhat::Plan { plan: plan.clone(), waits })];
            EarlierRun::read(&run, &events).unwrap().restart_limit()
        };
        assert_eq!(limit(Some(1800)), Some(Duration::from_secs(1800)));
        assert_eq!(limit(None), Some(Duration::from_secs(600)), "an older nixdash did not say it");
    }

    #[test]
    fn a_rollback_is_tried_again_with_its_generation() {
        let run = RunId("7".to_owned());
        let events = [
            begin("rollback"),
            plan(Goal::Rollback, Some(75)),
            result("samsung", Outcome::RolledBack, Some("new")),
        ];
        let found = EarlierRun::read(&run, &events).unwrap();
        let of =
            |name: &str| found.failed.iter().find(|host| host.name == name).unwrap().generation;
        assert_eq!((of("samsung"), of("p510")), (Some(75), None));
    }

    /// Returns the beginning of a run in which this was asked for samsung.
    fn asked(title: &str, options: RunOptions, asked: AskedOfHost) -> RunEvent {
        let (hosts, title) = (vec!["samsung".to_owned()], title.to_owned());
        let asked = BTreeMap::from([("samsung".to_owned(), asked)]);
        event(RunWhat::Begin { hosts, title, options, asked })
    }

    #[test]
    fn what_was_asked_is_known_of_a_host_that_fell_before_the_plan() {
        let run = RunId("7".to_owned());
        let back =
            AskedOfHost { goal: Goal::Rollback, system: Some(path("old")), generation: Some(75) };
        let fell = result("samsung", Outcome::Failed, Some("old"));
        let begun = asked("rollback", RunOptions::default(), back);
        let found = EarlierRun::read(&run, &[begun, fell]).unwrap();
        let samsung = &found.failed[0];
        assert_eq!((found.goal, samsung.goal), (Goal::Rollback, Goal::Rollback));
        assert_eq!((samsung.generation, &samsung.system), (Some(75), &Some(path("old"))));

        let boot = AskedOfHost { goal: Goal::Boot, system: None, generation: None };
        let options = RunOptions { reboot_limit_s: Some(1800), ..RunOptions::default() };
        let begun = asked("switch via-cache", options, boot);
        let found = EarlierRun::read(&run, &[begun]).unwrap();
        assert_eq!(found.failed[0].goal, Goal::Boot);
        assert_eq!(found.restart_limit(), Some(Duration::from_secs(1800)));
    }

    #[test]
    fn a_host_that_was_taken_back_gets_the_system_of_the_run_again() {
        let run = RunId("7".to_owned());
        let again = |goal, goes_back| {
            let (host, reason) = ("samsung".to_owned(), "c failed".to_owned());
            let news = RolloutNews::Again { host, goal, goes_back, attempt: 2, reason };
            event(RunWhat::Rollout(news))
        };
        let told = |again: RunEvent, ended: Outcome| {
            let events = [
                begin("switch via-cache"),
                plan(Goal::Switch, None),
                result("samsung", Outcome::Switched, Some("new")),
                again,
                result("samsung", ended, Some("old")),
            ];
            let found = EarlierRun::read(&run, &events).unwrap();
            found.failed.into_iter().find(|host| host.name == "samsung").unwrap()
        };
        // Older records tell a way back by its goal alone.
        for (goal, goes_back) in
            [(Goal::Rollback, true), (Goal::Rollback, false), (Goal::Test, true)]
        {
            let samsung = told(again(goal, goes_back), Outcome::RolledBack);
            assert_eq!(samsung.system, Some(path("new")), "{goal} {goes_back}");
            assert_eq!(samsung.drv, Some(path("new.drv")));
        }
        let samsung = told(again(Goal::Rollback, true), Outcome::Degraded);
        assert_eq!((samsung.system, samsung.degraded), (Some(path("new")), None));
        // Somebody tried it again, and another system was evaluated: what the plan knows is not of that one.
        let samsung = told(again(Goal::Switch, false), Outcome::Failed);
        assert_eq!((samsung.system, samsung.drv), (Some(path("old")), None));
    }

    #[test]
    fn what_was_wrong_is_taken_over_with_its_code() {
        let run = RunId("7".to_owned());
        let told = |result: HostResult| {
            let ended = event(RunWhat::Result { host: "samsung".to_owned(), result });
            let found = EarlierRun::read(
                &run,
                &[begin("switch via-cache"), plan(Goal::Switch, None), ended],
            );
            found.unwrap().failed.into_iter().find(|host| host.name == "samsung").unwrap()
        };
        let pinned = Finding::new(
            Subject::host("samsung"),
            Code::BootDefaultPinned,
            "the next boot starts old",
            "unpin",
        );
        let degraded = HostResult {
            findings: vec![pinned],
            error: Some("the next boot starts old".to_owned()),
            ..HostResult::ended(Outcome::Degraded)
        };
        let why = told(degraded.clone()).degraded.unwrap();
        assert_eq!((why.code, why.fix.as_deref()), (Code::BootDefaultPinned, Some("unpin")));
        // An older nixdash wrote no findings: nobody knows what could be looked at again.
        let older = HostResult { findings: Vec::new(), ..degraded.clone() };
        assert_eq!(told(older).degraded.unwrap().code, Code::SystemUnexpected);
        let failed = HostResult { outcome: Outcome::Failed, ..degraded };
        assert_eq!(told(failed).degraded, None, "it does not have the system");
    }
}
