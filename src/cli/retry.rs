//! `nixdash retry`: tries the hosts again that did not end well in a run, with the systems of that run.
//!
//! What the run built or fetched is not built or fetched again: it begins with the phase that failed, after
//! preflight, compare and verify, which are always made again.

use crate::cli::awake::AwakeRunner;
use crate::cli::chosen_run::begun;
use crate::cli::deploy::{ConsentArgs, FaceArgs, OptionArgs, RebootArgs, run as carry_out};
use crate::cli::earlier_run::{EarlierRun, FailedHost};
use crate::cli::given::GivenSystems;
use crate::cli::rollback::{RollbackTargets, given as back_to, targets};
use crate::cli::{CliError, complete, read_only, selectors, wait};
use crate::deploy::engine::{lost, place_again};
use crate::deploy::{Failure, GivenPlace, GivenSystem, HostSetup, Reason, Request, Setup, setup};
use crate::fleet::{Fleet, Goal, RunId, in_a_list, select};
use crate::record::{Runs, state_home};
use crate::remote::{Remote, ScriptRunner};
use clap::Args;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

/// Arguments of `nixdash retry`.
#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    /// The number of the run, or last
    #[arg(value_name = "RUN")]
    run: String,
    /// Only these of them: names, globs, @tag; - reads them from standard input [default: all that did not end well]
    #[arg(value_name = "SELECTOR", add = complete::selectors())]
    selectors: Vec<String>,
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
    /// The hosts that failed are not in the fleet any more.
    #[error(
        "nothing of run {run} can be tried again: {hosts} did not end well there, and hosts.toml does not name \
         {} any more",
        if hosts.contains(' ') { "them" } else { "it" }
    )]
    HostsGone {
        /// The run.
        run: RunId,
        /// The hosts, in a list.
        hosts: String,
    },
    /// None of the hosts that were named is to be tried again.
    #[error("{selector} names no host that did not end well in run {run}; those are {hosts}")]
    EndedWell {
        /// The run.
        run: RunId,
        /// What was typed.
        selector: String,
        /// The hosts that can be tried again, in a list.
        hosts: String,
    },
    /// Its folder does not say what it was for.
    #[error(
        "run {0} ended before it had a plan, so it is not known what it was to do; deploy again"
    )]
    NoPlan(RunId),
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
    let mut earlier = EarlierRun::read(&run, &runs.decided(&run))?;
    if earlier.failed.is_empty() {
        return Err(RetryError::NothingFailed { run, why: earlier.wrong }.into());
    }
    // A host may have left the fleet meanwhile.
    let (here, gone) = earlier.failed.into_iter().partition(|one| fleet.host(&one.name).is_some());
    earlier.failed = here;
    if earlier.failed.is_empty() {
        let gone: Vec<FailedHost> = gone;
        let gone: Vec<String> = gone.into_iter().map(|host| host.name).collect();
        return Err(RetryError::HostsGone { run, hosts: in_a_list(&gone) }.into());
    }
    let typed = selectors::read(&args.selectors)?;
    earlier.failed = chosen_of(&fleet, earlier.failed, &run, &typed)?;
    let fleet = Arc::new(fleet);
    let mut request = request(&fleet, &earlier, args.consent, args.options, args.reboot)?;
    if request.goal.deploys() {
        request.set_aside = read_only::left_alone(&fleet, &request.hosts, &typed);
        earlier.failed.retain(|host| !request.set_aside.contains_key(&host.name));
    }
    let nobody_asked = |error| selectors::after_reading(error, &args.selectors);
    args.face.check(request.asks).map_err(nobody_asked)?;
    let remote = Remote::new(Arc::clone(&fleet));
    let awake = AwakeRunner::new(&fleet, &remote, args.face.is_detached());
    let what = format!("looking where the systems of run {run} are …");
    let looked = choose(&awake, &fleet, &earlier, &run, &mut request);
    let evaluated = wait::saying(&what, looked).await?;
    for sentence in evaluated.iter().filter(|_| !args.face.is_detached()) {
        wait::line(sentence);
    }
    carry_out(fleet, remote, &request, &args.face).await
}

/// Returns those of the hosts to be tried again that are named; all of them where none is.
fn chosen_of(
    fleet: &Fleet,
    mut failed: Vec<FailedHost>,
    run: &RunId,
    selectors: &[String],
) -> Result<Vec<FailedHost>, CliError> {
    if selectors.is_empty() {
        return Ok(failed);
    }
    let mut chosen = Vec::new();
    for selector in selectors {
        let named = select(fleet, std::slice::from_ref(selector))?;
        let found = named.into_iter().filter(|name| failed.iter().any(|one| one.name == *name));
        let before = chosen.len();
        chosen.extend(found);
        if chosen.len() == before {
            let names: Vec<String> = failed.into_iter().map(|host| host.name).collect();
            let (run, selector) = (run.clone(), selector.clone());
            return Err(RetryError::EndedWell { run, selector, hosts: in_a_list(&names) }.into());
        }
    }
    failed.retain(|host| chosen.contains(&host.name));
    Ok(failed)
}

/// Returns what is asked for: what was asked of the earlier run, for the hosts that did not end well there.
fn request(
    fleet: &Fleet,
    earlier: &EarlierRun,
    consent: ConsentArgs,
    options: OptionArgs,
    reboot: RebootArgs,
) -> Result<Request, CliError> {
    let failed = || earlier.failed.iter();
    let degraded = |host: &FailedHost| Some((host.name.clone(), host.degraded.clone()?.into()));
    let others = failed().filter(|host| host.goal != earlier.goal);
    Ok(Request {
        set_aside: BTreeMap::new(),
        degraded: failed().filter_map(degraded).collect(),
        hosts: in_order(fleet, earlier),
        goal: earlier.goal,
        goals: others.map(|host| (host.name.clone(), host.goal)).collect(),
        options: earlier.options.given_anew(options.options()),
        allow_protected: consent.allow_protected,
        asks: !consent.yes && failed().any(|host| host.goal.changes()),
        given: BTreeMap::new(),
        reboot: reboot.limit_or(earlier.restart_limit())?,
    })
}

/// Chooses what the hosts of a request are given. Returns sentences about those that are evaluated again, since
/// what an earlier run evaluated is gone; fails where the request is wrong, or no host is left.
async fn choose(
    runner: &dyn ScriptRunner,
    fleet: &Fleet,
    earlier: &EarlierRun,
    run: &RunId,
    request: &mut Request,
) -> Result<Vec<String>, CliError> {
    if request.goal == Goal::Rollback {
        go_back(runner, earlier, request).await?;
        return Ok(Vec::new());
    }
    let planned = setup(fleet, &Request { given: provisional(earlier), ..request.clone() })?;
    let GivenSystems { given, set_aside } = given(runner, &planned, earlier, run).await;
    let why = set_aside.values().next().map(|failure| failure.reason.text.clone());
    request.given = given;
    request.set_aside.extend(set_aside);
    let is_open = |host: &&String| {
        !request.given.contains_key(*host) && !request.set_aside.contains_key(*host)
    };
    let open: Vec<&String> = request.hosts.iter().filter(is_open).collect();
    if let (true, true, Some(why)) = (open.is_empty(), request.given.is_empty(), why) {
        return Err(CliError::NotAsked(why));
    }
    let had_a_system = |host: &&String| {
        let mut failed = earlier.failed.iter();
        failed.any(|one| one.name == **host && one.system.is_some())
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

/// Returns systems as they may be given, before it is known where they are: what is wrong with the request needs no
/// host to be found, and a host that is given a system needs no flake.
fn provisional(earlier: &EarlierRun) -> BTreeMap<String, GivenSystem> {
    let known = |host: &FailedHost| {
        let (toplevel, place) = (host.system.clone()?, GivenPlace::Host);
        let given = GivenSystem::new(toplevel, place);
        Some((host.name.clone(), given))
    };
    earlier.failed.iter().filter_map(known).collect()
}

/// Chooses what hosts go back to: the generation that was asked for, or, on hosts that were set aside in the earlier
/// run, the one before. Nothing is evaluated.
async fn go_back(
    runner: &dyn ScriptRunner,
    earlier: &EarlierRun,
    request: &mut Request,
) -> Result<(), CliError> {
    let kept = |host: &FailedHost| {
        let (toplevel, generation) = (host.system.clone()?, Some(host.generation?));
        let place = GivenPlace::Kept;
        let given = GivenSystem { generation, ..GivenSystem::new(toplevel, place) };
        Some((host.name.clone(), given))
    };
    request.given = earlier.failed.iter().filter_map(kept).collect();
    let is_open = |host: &&String| {
        !request.given.contains_key(*host) && !request.set_aside.contains_key(*host)
    };
    let open: Vec<String> = request.hosts.iter().filter(is_open).cloned().collect();
    let without = request.options.without_specialisation;
    let RollbackTargets { goes, set_aside, first_error } =
        targets(runner, &open, None, without).await;
    request.set_aside.extend(set_aside);
    request.given.extend(goes.into_iter().map(|(host, target)| (host, back_to(target))));
    match first_error {
        Some(error) if request.given.is_empty() => Err(error),
        Some(_) | None => Ok(()),
    }
}

/// Finds the run that is meant, among those of this fleet.
fn find(runs: &Runs, fleet: &Fleet, text: &str) -> Result<RunId, CliError> {
    let mut all = begun(runs)?;
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
    let failed = |name: &String| earlier.failed.iter().any(|host| host.name == *name);
    fleet.hosts.iter().map(|host| host.name.clone()).filter(failed).collect()
}

/// Returns what hosts are given: the system of the earlier run, where it is there or can still be built
/// from its derivation. Others are evaluated again; one of which that is not known is set aside.
async fn given(
    runner: &dyn ScriptRunner,
    planned: &Setup,
    earlier: &EarlierRun,
    run: &RunId,
) -> GivenSystems {
    let all = earlier.failed.iter().map(|failed| async move {
        let FailedHost { name, drv, built_from, .. } = failed;
        let toplevel = failed.system.clone()?;
        let build_on = planned.hosts.iter().find(|planned| planned.name == *name)?.build_on();
        // A host that is only built for need not be there.
        let host = if failed.goal.deploys() { name } else { build_on };
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
        let built_from = built_from.clone();
        Some((name, Ok(GivenSystem { built_from, ..GivenSystem::new(toplevel, place) })))
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
    use crate::fleet::{Outcome, StorePath};
    use crate::remote::{FakeRunner, Output, RemoteError, Trouble};

    fn path(name: &str) -> StorePath {
        StorePath::from_base_name(&format!("l0znnv1nxsr0ry7gmadkh49s1d0hycgd-{name}")).unwrap()
    }

    fn failed(host: &str, goal: Goal, drv: Option<StorePath>) -> FailedHost {
        FailedHost {
            name: host.to_owned(),
            goal,
            system: Some(path("new")),
            drv,
            generation: None,
            built_from: None,
            degraded: None,
        }
    }

    fn no_args() -> (ConsentArgs, OptionArgs, RebootArgs) {
        Default::default()
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
        let samsung = failed("samsung", goal, Some(path("new.drv")));
        let earlier = EarlierRun::of(goal, vec![samsung, failed("p510", goal, None)]);
        let (consent, options, reboot) = no_args();
        let mut request = request(&fleet, &earlier, consent, options, reboot).unwrap();
        let said = choose(&runner, &fleet, &earlier, &run, &mut request).await;
        (said, request)
    }

    #[test]
    fn some_of_the_hosts_of_a_run_are_tried_again() {
        let text =
            "[hosts.p620]\n[hosts.samsung]\ntags = [\"laptop\"]\n[hosts.p510]\nprotected = true\n";
        let fleet = crate::config::parse(text, std::path::Path::new("hosts.toml"), None).unwrap();
        let run = RunId("41".to_owned());
        let chosen = |selectors: &[&str]| {
            let all = ["samsung", "p510"].map(|host| failed(host, Goal::Switch, None)).to_vec();
            let selectors: Vec<String> = selectors.iter().map(|&one| one.to_owned()).collect();
            let names =
                |all: Vec<FailedHost>| all.into_iter().map(|one| one.name).collect::<Vec<_>>();
            chosen_of(&fleet, all, &run, &selectors).map(names)
        };
        let names = |names: &[&str]| names.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
        assert_eq!(chosen(&[]).unwrap(), names(&["samsung", "p510"]));
        assert_eq!(
            chosen(&["@laptop"]).unwrap(),
            names(&["samsung"]),
            "the protected one is left out"
        );
        assert_eq!(chosen(&["p*"]).unwrap(), names(&["p510"]));
        let error = chosen(&["samsung", "p620"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "p620 names no host that did not end well in run 41; those are samsung and p510"
        );
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

    #[tokio::test]
    async fn a_rollback_that_did_not_begin_goes_to_its_generation_and_needs_neither_flake_nor_builder()
     {
        let fleet =
            crate::config::parse("[hosts.samsung]\n", std::path::Path::new("hosts.toml"), None);
        let fleet = fleet.unwrap();
        // Nobody is asked where it is: the host's own generations keep it.
        let runner = FakeRunner::new(|host, _| {
            Err(RemoteError::new(host, Trouble::Unreachable, "No route to host"))
        });
        let samsung =
            FailedHost { generation: Some(75), ..failed("samsung", Goal::Rollback, None) };
        let earlier = EarlierRun::of(Goal::Rollback, vec![samsung]);
        let (consent, options, reboot) = no_args();
        let mut request = request(&fleet, &earlier, consent, options, reboot).unwrap();
        let run = RunId("41".to_owned());
        choose(&runner, &fleet, &earlier, &run, &mut request).await.unwrap();
        let given = &request.given["samsung"];
        assert_eq!((given.generation, &given.place), (Some(75), &GivenPlace::Kept));
        assert_eq!(setup(&fleet, &request).unwrap().goal, Goal::Rollback);
    }

    #[tokio::test]
    async fn a_host_keeps_what_was_to_be_done_to_it() {
        let text = "[fleet]\nflake = \"github:me/x\"\nstrategy = \"direct\"\n[hosts.samsung]\n[hosts.p510]\n";
        let fleet = crate::config::parse(text, std::path::Path::new("hosts.toml"), None).unwrap();
        let all = vec![failed("samsung", Goal::Switch, None), failed("p510", Goal::Boot, None)];
        let earlier = EarlierRun::of(Goal::Switch, all);
        let (consent, options, reboot) = no_args();
        let request = request(&fleet, &earlier, consent, options, reboot).unwrap();
        let goals: Vec<Goal> =
            setup(&fleet, &request).unwrap().hosts.iter().map(|host| host.goal).collect();
        assert_eq!(goals, [Goal::Switch, Goal::Boot]);
    }
}
