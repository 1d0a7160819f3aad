//! `nixdash retry`: tries the hosts again that did not end well in a run, with the systems of that run.
//!
//! What the run built or fetched is not built or fetched again: it begins with the phase that failed, after
//! preflight, compare and verify, which are always made again.

use crate::cli::awake::AwakeRunner;
use crate::cli::deploy::{ConsentArgs, FaceArgs, OptionArgs, RebootArgs, run as carry_out};
use crate::cli::given::GivenSystems;
use crate::cli::rollback::{RollbackTargets, given as back_to, targets};
use crate::cli::{CliError, wait};
use crate::deploy::engine::{lost, place_again};
use crate::deploy::{Failure, GivenPlace, GivenSystem, HostSetup, Reason, Request, Setup, setup};
use crate::fleet::{
    DeployedFrom, Finding, Fleet, Goal, Outcome, Plan, RunEvent, RunId, RunOptions, RunWhat,
    StorePath, select,
};
use crate::record::{Runs, state_home};
use crate::remote::{Remote, ScriptRunner};
use clap::Args;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Arguments of `nixdash retry`.
#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    /// The number of the run, or last
    #[arg(value_name = "RUN")]
    run: String,
    #[command(flatten)]
    consent: ConsentArgs,
    #[command(flatten)]
    options: OptionArgs,
    #[command(flatten)]
    reboot: RebootArgs,
    #[command(flatten)]
    face: FaceArgs,
}

/// A run cannot be tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetryError {
    /// There is no such run.
    #[error("there is no run {0} of this fleet here; nixdash history lists the runs")]
    NoRun(String),
    /// It has not ended.
    #[error("run {0} has not ended; wait for its end, or stop it first")]
    GoesOn(RunId),
    /// Every host ended well.
    #[error(
        "there is nothing to try again: every host of run {run} ended well{}",
        although(why.as_deref())
    )]
    NothingFailed {
        /// The run.
        run: RunId,
        /// What was wrong with the run as a whole, where something was.
        why: Option<String>,
    },
    /// Its folder does not say what it was for.
    #[error(
        "run {0} ended before it had a plan, so it is not known what it was to do; deploy again"
    )]
    NoPlan(RunId),
}

/// What an earlier run was about.
#[derive(Debug, PartialEq, Eq)]
struct EarlierRun {
    goal: Goal,
    /// What was asked of it besides.
    options: RunOptions,
    /// The hosts that did not end well, each with its system and derivation as far as they were known.
    failed: Vec<(String, Option<StorePath>, Option<StorePath>)>,
    /// What it was for on hosts where that was something else.
    goals: BTreeMap<String, Goal>,
    /// What was wrong with hosts that run their new system.
    degraded: BTreeMap<String, String>,
    /// What the systems of hosts were built from, where that was known.
    built_from: BTreeMap<String, DeployedFrom>,
    /// The generations that hosts were to go to.
    generations: BTreeMap<String, u64>,
    reboots: bool,
    /// What was wrong with it as a whole, such as a gate that failed.
    wrong: Option<String>,
}

impl EarlierRun {
    /// Returns how long a restart was given; nothing where no host was to be restarted.
    fn restart_limit(&self) -> Option<Duration> {
        let said = self.options.reboot_limit_s.map(Duration::from_secs);
        self.reboots.then(|| said.unwrap_or_else(RebootArgs::usual))
    }
}

/// Says that a run has failed though its hosts have not.
fn although(why: Option<&str>) -> String {
    why.map(|why| format!(". The run itself failed: {why}; look at that first")).unwrap_or_default()
}

pub(super) async fn run(fleet: Fleet, args: RetryArgs) -> Result<ExitCode, CliError> {
    select(&fleet, &args.consent.allow_protected)?;
    let runs = Runs::open(&state_home())?;
    let run = find(&runs, &fleet, &args.run)?;
    if runs.is_alive(&run) {
        return Err(RetryError::GoesOn(run).into());
    }
    let mut earlier = read(&run, &runs.decided(&run))?;
    // A host may have left the fleet meanwhile.
    earlier.failed.retain(|(host, ..)| fleet.host(host).is_some());
    if earlier.failed.is_empty() {
        return Err(RetryError::NothingFailed { run, why: earlier.wrong }.into());
    }
    let fleet = Arc::new(fleet);
    let asks = !args.consent.yes && earlier.goal.changes();
    let mut request = Request {
        set_aside: BTreeMap::new(),
        degraded: earlier.degraded.clone(),
        hosts: in_order(&fleet, &earlier),
        goal: earlier.goal,
        goals: earlier.goals.clone(),
        options: earlier.options.given_anew(args.options.options()),
        allow_protected: args.consent.allow_protected,
        asks,
        given: BTreeMap::new(),
        reboot: args.reboot.limit_or(earlier.restart_limit())?,
    };
    // What is wrong with the request needs no host to be found.
    let planned = setup(&fleet, &request)?;
    args.face.check(asks)?;
    let remote = Remote::new(Arc::clone(&fleet));
    let awake = AwakeRunner::new(&fleet, &remote, args.face.is_detached());
    let what = format!("looking where the systems of run {run} are …");
    let looked = choose(&awake, &planned, &earlier, &run, &mut request);
    let evaluated = wait::saying(&what, looked).await?;
    for sentence in evaluated.iter().filter(|_| !args.face.is_detached()) {
        wait::line(sentence);
    }
    carry_out(fleet, remote, &request, &args.face).await
}

/// Chooses what the hosts of a request are given. Returns sentences about those that are evaluated again, since
/// what an earlier run evaluated is gone; fails where no host is left.
async fn choose(
    runner: &dyn ScriptRunner,
    planned: &Setup,
    earlier: &EarlierRun,
    run: &RunId,
    request: &mut Request,
) -> Result<Vec<String>, CliError> {
    GivenSystems { given: request.given, set_aside: request.set_aside } =
        given(runner, planned, earlier, run).await;
    let is_open = |host: &&String| {
        !request.given.contains_key(*host) && !request.set_aside.contains_key(*host)
    };
    if request.goal == Goal::Rollback {
        let open = request.hosts.iter().filter(|host| !request.given.contains_key(*host));
        let open: Vec<String> = open.cloned().collect();
        go_back(runner, &open, request).await?;
        return Ok(Vec::new());
    }
    let open: Vec<&String> = request.hosts.iter().filter(is_open).collect();
    if let (true, true, Some(why)) =
        (open.is_empty(), request.given.is_empty(), request.set_aside.values().next())
    {
        return Err(CliError::NotAsked(why.reason.text.clone()));
    }
    let had_a_system = |host: &&String| {
        let mut failed = earlier.failed.iter();
        failed.any(|(name, system, _)| name == *host && system.is_some())
    };
    let sentence = |host: &String| {
        let planned = planned.hosts.iter().find(|planned| planned.name == *host);
        let build_on = planned.map_or(host.as_str(), HostSetup::build_on);
        format!(
            "{build_on} has neither the system of {host} in run {run} nor its derivation any more, so {host} is \
             evaluated again"
        )
    };
    Ok(open.into_iter().filter(had_a_system).map(sentence).collect())
}

/// Chooses what hosts go back to that were set aside in the earlier run: nothing that is evaluated.
async fn go_back(
    runner: &dyn ScriptRunner,
    open: &[String],
    request: &mut Request,
) -> Result<(), CliError> {
    let without = request.options.without_specialisation;
    let RollbackTargets { goes, set_aside, first_error } =
        targets(runner, open, None, without).await;
    request.set_aside = set_aside;
    request.given.extend(goes.into_iter().map(|(host, target)| (host, back_to(target))));
    match first_error {
        Some(error) if request.given.is_empty() => Err(error),
        Some(_) | None => Ok(()),
    }
}

/// Finds the run that is meant, among those of this fleet.
fn find(runs: &Runs, fleet: &Fleet, text: &str) -> Result<RunId, CliError> {
    let mut all = runs.list()?;
    all.retain(|run| runs.belongs_to(run, fleet.file.as_deref()));
    let wanted = text.trim_start_matches('#');
    let found = match wanted {
        "last" => all.pop(),
        number => all.into_iter().find(|run| run.0 == number),
    };
    Ok(found.ok_or_else(|| RetryError::NoRun(text.to_owned()))?)
}

/// Returns the hosts to be tried again, in the fleet's order.
fn in_order(fleet: &Fleet, earlier: &EarlierRun) -> Vec<String> {
    let failed = |name: &String| earlier.failed.iter().any(|(host, ..)| host == name);
    fleet.hosts.iter().map(|host| host.name.clone()).filter(failed).collect()
}

/// Reads what a run was about from what happened in it.
fn read(run: &RunId, events: &[RunEvent]) -> Result<EarlierRun, RetryError> {
    let mut plan: Option<&Plan> = None;
    let mut hosts: &[String] = &[];
    let mut is_build = false;
    let mut asked_for = RunOptions::default();
    let mut results = BTreeMap::new();
    let mut wrong = None;
    for event in events {
        match &event.what {
            RunWhat::Begin { hosts: all, title, options } => {
                hosts = all;
                asked_for = *options;
                is_build = *title == Goal::Build.word();
            }
            RunWhat::Plan { plan: shown, .. } => plan = Some(shown),
            RunWhat::Result { host, result } => {
                results.insert(host.clone(), result);
            }
            RunWhat::Summary { findings, .. } => {
                let of_run = Finding::of_whole_run(findings);
                wrong = of_run.first().map(|found| format!("{} [{}]", found.cause, found.code));
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
    let goal = match plan {
        Some(plan) => plan.goal,
        None if is_build => Goal::Build,
        None => return Err(RetryError::NoPlan(run.clone())),
    };
    let planned = |host: &String| plan?.hosts.iter().find(|planned| planned.host == *host);
    let failed = hosts.iter().filter_map(|host| {
        let result = results.get(host);
        if result.is_some_and(|result| result.outcome.is_good()) {
            return None;
        }
        let system = result.and_then(|result| result.toplevel.clone());
        let system = system.or_else(|| planned(host).map(|planned| planned.toplevel.clone()));
        let drv = planned(host).and_then(|planned| planned.drv.clone());
        Some((host.clone(), system, drv))
    });
    let degraded = results.iter().filter(|(_, result)| result.outcome == Outcome::Degraded);
    let degraded =
        degraded.filter_map(|(host, result)| Some((host.clone(), result.error.clone()?)));
    let of_hosts = plan.map_or(&[][..], |plan| &plan.hosts[..]);
    let goals = of_hosts.iter().filter_map(|one| Some((one.host.clone(), one.goal?)));
    let generations = of_hosts.iter().filter_map(|one| Some((one.host.clone(), one.generation?)));
    let failed: Vec<_> = failed.collect();
    let built_from = failed.iter().filter_map(|(host, system, _)| {
        let planned = planned(host).filter(|planned| Some(&planned.toplevel) == system.as_ref())?;
        Some((host.clone(), planned.built_from.as_ref()?.checked()?))
    });
    let built_from = built_from.collect();
    Ok(EarlierRun {
        goal,
        options: asked_for,
        failed,
        built_from,
        goals: goals.collect(),
        degraded: degraded.collect(),
        generations: generations.collect(),
        reboots: of_hosts.iter().any(|host| host.reboots),
        wrong,
    })
}

/// Returns what hosts are given: the system of the earlier run, where it is there or can still be built
/// from its derivation. Others are evaluated again; one of which that is not known is set aside.
async fn given(
    runner: &dyn ScriptRunner,
    planned: &Setup,
    earlier: &EarlierRun,
    run: &RunId,
) -> GivenSystems {
    let all = earlier.failed.iter().map(|(name, system, drv)| async move {
        let toplevel = system.clone()?;
        if let Some(generation) = earlier.generations.get(name) {
            let (generation, place) = (Some(*generation), GivenPlace::Kept);
            return Some((name, Ok(GivenSystem { toplevel, generation, place, built_from: None })));
        }
        let build_on = planned.hosts.iter().find(|planned| planned.name == *name)?.build_on();
        // A host that is only built for need not be there.
        let host = if earlier.goal.deploys() { name } else { build_on };
        let place = place_again(runner, (host, build_on), &toplevel, drv.as_ref()).await;
        let place = match place.transpose()? {
            Ok(place) => place,
            Err(error) => {
                let Failure { outcome, reason } = lost(&error);
                let text = format!(
                    "{name}: it is not known where its system of run {run} is: {}",
                    reason.text
                );
                return Some((name, Err(Failure { outcome, reason: Reason { text, ..reason } })));
            }
        };
        let built_from = earlier.built_from.get(name).cloned();
        Some((name, Ok(GivenSystem { toplevel, generation: None, place, built_from })))
    });
    let mut systems = GivenSystems::default();
    for (name, found) in join_all(all).await.into_iter().flatten() {
        match found {
            Ok(system) => drop(systems.given.insert(name.clone(), system)),
            Err(failure) => drop(systems.set_aside.insert(name.clone(), failure)),
        }
    }
    systems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Code, HostPlan, HostResult, Route, Strategy, Subject};
    use crate::remote::{FakeRunner, Output, RemoteError, Trouble};
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
        event(RunWhat::Begin { hosts, title: title.to_owned(), options })
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
        let found = read(&run, &events).unwrap();
        assert_eq!(found.goal, Goal::Boot);
        assert!(found.options.wait_offline, "what was asked of the run is asked of it again");
        let samsung = ("samsung".to_owned(), Some(path("new")), Some(path("new.drv")));
        let built_from = &found.built_from["samsung"];
        assert_eq!(built_from.revision, "0123abcd-dirty", "what the run knew is taken over");
        // p510 has no result: the run was killed before.
        assert_eq!(found.failed, [samsung, ("p510".to_owned(), None, None)]);
    }

    #[test]
    fn a_build_has_no_plan_and_a_deploy_without_one_is_not_guessed() {
        let run = RunId("7".to_owned());
        let failed = result("razer", Outcome::Failed, None);
        let found = read(&run, &[begin("build"), failed.clone()]).unwrap();
        assert_eq!(found.goal, Goal::Build);
        let error = read(&run, &[begin("switch via-cache"), failed]).unwrap_err();
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
        let found = read(&run, &events).unwrap();
        assert_eq!((found.goal, found.goals["samsung"]), (Goal::Switch, Goal::Boot));
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
        let why = read(&run, &events).unwrap().wrong;
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
            let begin = event(RunWhat::Begin { hosts, title, options });
            let events = [begin, event(RunWhat::Plan { plan: plan.clone(), waits })];
            read(&run, &events).unwrap().restart_limit()
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
        assert_eq!(read(&run, &events).unwrap().generations["samsung"], 75);
    }

    /// Chooses what samsung and p510 are given after a run that failed on both, of which p510's system was named
    /// and not evaluated. `answers` says whether p620, which builds, answers; it has nothing.
    async fn chosen(answers: bool, goal: Goal) -> (Result<Vec<String>, CliError>, Request) {
        let text = "[fleet]\nflake = \"github:me/x\"\nbuilder = \"p620\"\nstrategy = \"push\"\n[hosts.p620]\n\
                    [hosts.samsung]\n[hosts.p510]\n";
        let fleet = crate::config::parse(text, std::path::Path::new("hosts.toml"), None).unwrap();
        let runner = FakeRunner::new(move |host, script| {
            if host == "p620" && !answers {
                return Err(RemoteError::new(host, Trouble::Unreachable, "No route to host"));
            }
            let stdout = String::from_utf8(script.stdin.clone()).unwrap();
            Ok(Output { stdout, ..Output::default() })
        });
        let run = RunId("41".to_owned());
        let failed = |host: &str, drv: Option<StorePath>| (host.to_owned(), Some(path("new")), drv);
        let earlier = EarlierRun {
            goal,
            options: RunOptions::default(),
            failed: vec![failed("samsung", Some(path("new.drv"))), failed("p510", None)],
            goals: BTreeMap::new(),
            degraded: BTreeMap::new(),
            built_from: BTreeMap::new(),
            generations: BTreeMap::new(),
            reboots: false,
            wrong: None,
        };
        let mut request = Request {
            set_aside: BTreeMap::new(),
            degraded: BTreeMap::new(),
            hosts: in_order(&fleet, &earlier),
            goal,
            goals: BTreeMap::new(),
            options: RunOptions::default(),
            allow_protected: Vec::new(),
            asks: false,
            given: BTreeMap::new(),
            reboot: None,
        };
        let planned = setup(&fleet, &request).unwrap();
        let said = choose(&runner, &planned, &earlier, &run, &mut request).await;
        (said, request)
    }

    #[tokio::test]
    async fn nothing_is_evaluated_again_while_the_builder_does_not_answer() {
        let (said, request) = chosen(false, Goal::Switch).await;
        assert_eq!(said.unwrap(), Vec::<String>::new());
        let samsung = &request.given["samsung"].place;
        assert_eq!(*samsung, GivenPlace::Derivation(path("new.drv").to_string()));
        let p510 = &request.set_aside["p510"];
        assert_eq!(p510.outcome, Outcome::Offline);
        let told = &p510.reason.text;
        let begins = "p510: it is not known where its system of run 41 is: p620: No route to host";
        assert!(told.starts_with(begins), "{told}");
    }

    #[tokio::test]
    async fn what_is_evaluated_again_is_said() {
        let (said, request) = chosen(true, Goal::Switch).await;
        assert!(request.given.is_empty() && request.set_aside.is_empty());
        let said = said.unwrap();
        assert_eq!(said.len(), 2);
        let samsung = "p620 has neither the system of samsung in run 41 nor its derivation any more, so samsung is \
                       evaluated again";
        assert!(said.iter().any(|sentence| sentence == samsung), "{said:?}");
    }
}
