//! `nixdash rollback`: takes hosts to a system that they had, through everything that a deploy goes through.

use crate::cli::deploy::{ConsentArgs, FaceArgs, RebootArgs, run as carry_out};
use crate::cli::{CliError, complete, selectors};
use crate::deploy::{GivenPlace, GivenSystem, Request, setup};
use crate::fleet::{Fleet, Goal, RollbackError, RollbackTarget, RunOptions, select};
use crate::probe::generations;
use crate::remote::Remote;
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
    let hosts = select(&fleet, &selectors::read(&args.selectors)?)?;
    if args.to.is_some() && hosts.len() > 1 {
        return Err(CliError::SeveralHosts(hosts.join(", ")));
    }
    let fleet = Arc::new(fleet);
    let mut request = Request {
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
        reboot: args.reboot.limit(),
    };
    args.face.check(request.asks)?;
    let remote = Remote::new(Arc::clone(&fleet));
    let targets = targets(&remote, &request.hosts, args.to).await?;
    if !args.without_specialisation {
        targets.iter().try_for_each(|(host, target)| has_what_runs(host, target))?;
    }
    for (host, target) in targets.iter().filter(|_| !args.face.is_detached()) {
        // Standard error may be gone; the plan says it too.
        drop(writeln!(std::io::stderr(), "nixdash: {}", sentence(host, target)));
    }
    request.given = targets.into_iter().map(|(host, target)| (host, given(target))).collect();
    setup(&fleet, &request)?;
    carry_out(fleet, remote, &request, &args.face).await
}

/// Returns what each host goes to.
async fn targets(
    remote: &Remote,
    hosts: &[String],
    wanted: Option<u64>,
) -> Result<Vec<(String, RollbackTarget)>, CliError> {
    let asked = join_all(hosts.iter().map(|host| generations(remote, host))).await;
    let mut targets = Vec::new();
    for (host, found) in hosts.iter().zip(asked) {
        let found = found.map_err(|error| CliError::NotAsked(error.to_string()))?;
        targets.push((host.clone(), found.rollback_target(host, wanted)?));
    }
    Ok(targets)
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
fn given(target: RollbackTarget) -> GivenSystem {
    let RollbackTarget { generation, system, .. } = target;
    GivenSystem { toplevel: system, generation: Some(generation), place: GivenPlace::Kept }
}

/// Says which generation is meant.
fn sentence(host: &str, target: &RollbackTarget) -> String {
    let from = match target.from {
        Some(number) => format!("generation {number}, which runs now"),
        None => "what runs now and is not a generation".to_owned(),
    };
    format!(
        "{host} goes from {from}, to generation {} ({})",
        target.generation,
        target.system.name()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::StorePath;

    #[test]
    fn the_generation_that_is_meant_is_said() {
        let path = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-nixos-system-samsung-26.05";
        let target = RollbackTarget {
            generation: 75,
            system: StorePath::parse(path).unwrap(),
            from: Some(77),
            lacks: Some("gaming".to_owned()),
        };
        let refused = has_what_runs("samsung", &target).unwrap_err().to_string();
        for part in ["the specialisation gaming", "generation 75", "--without-specialisation"] {
            assert!(refused.contains(part), "{refused}");
        }
        assert_eq!(
            sentence("samsung", &target),
            "samsung goes from generation 77, which runs now, to generation 75 (nixos-system-samsung-26.05)"
        );
        let target = RollbackTarget { from: None, lacks: None, ..target };
        assert_eq!(has_what_runs("samsung", &target), Ok(()));
        assert!(sentence("samsung", &target).contains("what runs now and is not a generation"));
    }
}
