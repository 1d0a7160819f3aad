//! `nixdash rollback`: takes hosts to a system that they had, through everything that a deploy goes through.
//!
//! A host that does not answer, or has nothing to go back to, is set aside; the others go back.

use crate::cli::awake::AwakeRunner;
use crate::cli::deploy::{ConsentArgs, FaceArgs, RebootArgs, run as carry_out};
use crate::cli::{CliError, complete, read_only, selectors, wait};
use crate::deploy::engine::lost;
use crate::deploy::{Failure, GivenPlace, GivenSystem, Request, setup};
use crate::fleet::{
    Code, Fleet, Goal, RollbackError, RollbackTarget, RunOptions, in_a_list, select,
};
use crate::probe::generations;
use crate::remote::{Remote, ScriptRunner};
use clap::Args;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

/// Arguments of `nixdash rollback`.
#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// Names, globs, @tag, or all; - reads them from standard input
    #[arg(required = true, value_name = "SELECTOR", add = complete::selectors())]
    selectors: Vec<String>,
    /// The generation to go to, of one host [default: the one before the running one, by number]
    #[arg(long, value_name = "N")]
    to: Option<u64>,
    /// Activates the system itself on hosts that run a specialisation
    #[arg(long)]
    without_specialisation: bool,
    #[command(flatten)]
    consent: ConsentArgs,
    #[command(flatten)]
    reboot: RebootArgs,
    #[command(flatten)]
    face: FaceArgs,
}

pub(super) async fn run(fleet: Fleet, args: RollbackArgs) -> Result<ExitCode, CliError> {
    select(&fleet, &args.consent.allow_protected)?;
    let typed = selectors::read(&args.selectors)?;
    let hosts = select(&fleet, &typed)?;
    let left_alone = read_only::left_alone(&fleet, &hosts, &typed);
    let others = read_only::others(&hosts, &left_alone);
    check_generation(args.to, &hosts)?;
    let fleet = Arc::new(fleet);
    let mut request = Request {
        set_aside: BTreeMap::new(),
        degraded: BTreeMap::new(),
        hosts,
        goal: Goal::Rollback,
        allow_protected: args.consent.allow_protected,
        asks: !args.consent.yes,
        options: RunOptions {
            without_specialisation: args.without_specialisation,
            ..RunOptions::default()
        },
        goals: BTreeMap::new(),
        given: BTreeMap::new(),
        reboot: args.reboot.limit()?,
    };
    let nobody_asked = |error| selectors::after_reading(error, &args.selectors);
    args.face.check(request.asks).map_err(nobody_asked)?;
    let remote = Remote::new(Arc::clone(&fleet));
    let awake = AwakeRunner::new(&fleet, &remote, args.face.is_detached());
    let looked = targets(&awake, &others, args.to, args.without_specialisation);
    let what = format!("waiting for {} to list generations …", in_a_list(&others));
    let RollbackTargets { goes, mut set_aside, first_error } = wait::saying(&what, looked).await;
    if let (true, Some(error)) = (goes.is_empty(), first_error) {
        return Err(error);
    }
    set_aside.extend(left_alone);
    request.set_aside = set_aside;
    for (host, target) in goes.iter().filter(|_| !args.face.is_detached()) {
        // Standard error may be gone; the plan says it too.
        drop(writeln!(std::io::stderr(), "nixdash: {}", sentence(host, target)));
    }
    request.given = goes.into_iter().map(|(host, target)| (host, given(target))).collect();
    setup(&fleet, &request)?;
    carry_out(fleet, remote, &request, &args.face).await
}

/// Refuses a generation for several hosts: each has numbers of its own.
fn check_generation(wanted: Option<u64>, hosts: &[String]) -> Result<(), CliError> {
    if wanted.is_some() && hosts.len() > 1 {
        return Err(CliError::GenerationOfSeveral(in_a_list(hosts)));
    }
    Ok(())
}

/// What hosts go to.
pub(super) struct RollbackTargets {
    /// What each host goes to that can.
    pub(super) goes: Vec<(String, RollbackTarget)>,
    /// Why others cannot.
    pub(super) set_aside: BTreeMap<String, Failure>,
    /// The first of these reasons.
    pub(super) first_error: Option<CliError>,
}

/// Returns what each host goes to.
pub(super) async fn targets(
    runner: &dyn ScriptRunner,
    hosts: &[String],
    wanted: Option<u64>,
    without_specialisation: bool,
) -> RollbackTargets {
    let asked = join_all(hosts.iter().map(|host| generations(runner, host))).await;
    let (mut goes, mut set_aside) = (Vec::new(), BTreeMap::new());
    let mut first_error = None;
    for (host, found) in hosts.iter().zip(asked) {
        let (failure, error) = match found {
            Ok(found) => match found.rollback_target(host, wanted).and_then(|target| {
                let all = || has_what_runs(host, &target);
                if without_specialisation { Ok(()) } else { all() }.map(|()| target)
            }) {
                Ok(target) => {
                    goes.push((host.clone(), target));
                    continue;
                }
                Err(error) => {
                    let failure = Failure::failed(Code::NoGeneration, error.to_string());
                    (failure, CliError::from(error))
                }
            },
            Err(error) => (lost(&error), CliError::NotAsked(error.to_string())),
        };
        first_error.get_or_insert(error);
        set_aside.insert(host.clone(), failure);
    }
    RollbackTargets { goes, set_aside, first_error }
}

/// Looks whether what a host goes to has the specialisation that it runs: nothing is begun otherwise.
fn has_what_runs(host: &str, target: &RollbackTarget) -> Result<(), RollbackError> {
    match &target.lacks {
        None => Ok(()),
        Some(name) => Err(RollbackError::LacksSpecialisation {
            host: host.to_owned(),
            wanted: target.generation,
            name: name.clone(),
        }),
    }
}

/// Returns the system that a host is given.
pub(super) fn given(target: RollbackTarget) -> GivenSystem {
    let RollbackTarget { generation, system, .. } = target;
    let generation = Some(generation);
    GivenSystem { generation, ..GivenSystem::new(system, GivenPlace::Kept) }
}

/// Says which generation is meant.
fn sentence(host: &str, target: &RollbackTarget) -> String {
    let from = match target.from {
        Some(number) => format!("generation {number}, running now"),
        None => "the running system, which is not a generation".to_owned(),
    };
    let mark = target.mark.as_ref().map(|mark| format!(", {mark}")).unwrap_or_default();
    let (generation, name) = (target.generation, target.system.name());
    format!("{host} goes from {from}, to generation {generation} ({name}{mark})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{GenerationMark, Outcome, StorePath};
    use crate::remote::{FakeRunner, Output, RemoteError, Trouble};

    #[test]
    fn a_generation_is_named_for_one_host_and_a_rollback_may_be_of_several() {
        let hosts = ["samsung".to_owned(), "razer".to_owned()];
        let error = check_generation(Some(1), &hosts).unwrap_err().to_string();
        assert!(error.starts_with("--to names a generation of one host"), "{error}");
        assert!(error.contains("samsung and razer"), "{error}");
        assert!(check_generation(None, &hosts).is_ok());
        assert!(check_generation(Some(1), &hosts[..1]).is_ok());
    }

    #[tokio::test]
    async fn a_host_that_is_away_or_has_nothing_older_is_set_aside() {
        let path = |name: &str| format!("/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-{name}");
        let (old, new) = (path("old"), path("new"));
        let runner = FakeRunner::new(move |host, _| {
            let older = format!("generation\t4\t1700000000\t{old}\n");
            let older = match host {
                "razer" => return Err(RemoteError::new(host, Trouble::Unreachable, "no route")),
                "p620" => "",
                _ => &older,
            };
            let stdout = format!(
                "{older}generation\t5\t1700000100\t{new}\nrunning\t{new}\nprofile\tsystem-5-link\nend\tok\n"
            );
            Ok(Output { stdout, ..Output::default() })
        });
        let hosts = ["razer", "p620", "samsung"].map(str::to_owned);
        let found = targets(&runner, &hosts, None, false).await;
        let goes: Vec<_> = found.goes.iter().map(|(host, to)| (&host[..], to.generation)).collect();
        assert_eq!(goes, [("samsung", 4)]);
        assert_eq!(found.set_aside["razer"].outcome, Outcome::Offline);
        assert_eq!(found.set_aside["p620"].reason.code, Code::NoGeneration);
        assert!(matches!(found.first_error, Some(CliError::NotAsked(_))));
    }

    #[test]
    fn the_generation_that_is_meant_is_said() {
        let path = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-nixos-system-samsung-26.05";
        let target = RollbackTarget {
            generation: 75,
            system: StorePath::parse(path).unwrap(),
            from: Some(77),
            lacks: Some("gaming".to_owned()),
            mark: None,
        };
        let refused = has_what_runs("samsung", &target).unwrap_err().to_string();
        for part in ["the specialisation gaming", "generation 75", "--without-specialisation"] {
            assert!(refused.contains(part), "{refused}");
        }
        assert_eq!(
            sentence("samsung", &target),
            "samsung goes from generation 77, running now, to generation 75 \
             (nixos-system-samsung-26.05)"
        );
        let target = RollbackTarget { from: None, lacks: None, ..target };
        assert_eq!(has_what_runs("samsung", &target), Ok(()));
        assert!(sentence("samsung", &target).contains("which is not a generation"));
        let mark = GenerationMark::parse("failed\t9\tme@desk\t1");
        let said = sentence("samsung", &RollbackTarget { mark, ..target });
        assert!(said.ends_with("26.05, failed in run 9 of me@desk)"), "{said}");
    }
}
