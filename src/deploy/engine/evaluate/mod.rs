//! Evaluate: derivation and output path of a host's system.
//!
//! Here, when this machine has a recent Nix, and the derivations are then copied to the host that
//! builds; or there, from a copy of the flake's source. Always as the login user.

mod commit;
mod evaluator;
mod failure;
mod jobs;
mod kept;
mod place;
mod repository;
mod source;

pub(super) use commit::{FlakeCommit, NoCommit};
pub(super) use evaluator::Evaluating;
pub(super) use jobs::Batch;
pub(super) use source::{Arrived, Packed};

use super::flake::LocalFlake;
use super::lost::through_cuts;
use super::scripts::DISCARD;
use super::step::Step;
use crate::deploy::{Failure, Report};
use crate::fleet::{Code, Evaluate, StorePath};
use crate::nix::argv;
use crate::nix::version::Version;
use crate::remote::{Output, Program, Script, ScriptRunner};
use evaluator::Evaluator;
use failure::{failure, not_evaluated};
use kept::EvaluationKey;
use place::{LIMIT, Place};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The oldest Nix that today's nixpkgs can be evaluated with.
pub(super) const OLDEST: Version = Version::new(2, 18, 0);

/// What `nix eval` prints.
#[derive(Deserialize)]
struct EvalOutput {
    drv: String,
    out: String,
}

/// A system as it was evaluated.
struct EvaluatedSystem {
    drv: StorePath,
    toplevel: StorePath,
}

/// Evaluates a host's system, unless that was done before with the same answer.
pub(super) async fn evaluate(step: &Step) -> Result<Report, Failure> {
    // Which commit it is, is found out here while the evaluator is asked.
    let ((), evaluating) = tokio::join!(kept::find_commit(step), evaluating(step));
    let (evaluating, here) = evaluating?;
    let known = known(step, &evaluating, here).await?;
    let found = match &known {
        Some(known) => kept::look_up(step, known).await,
        None => None,
    };
    let found = match found {
        Some(kept) => EvaluatedSystem { drv: kept.drv, toplevel: kept.toplevel },
        None => evaluate_anew(step, &evaluating, here, known.as_ref()).await?,
    };
    Ok(Report::Evaluated { drv: found.drv.to_string(), toplevel: found.toplevel })
}

/// Evaluates once more, since the derivation is not valid any more where it is to be built.
pub(super) async fn evaluate_again(step: &Step) -> Result<(), Failure> {
    let (evaluating, here) = evaluating(step).await?;
    let known = known(step, &evaluating, here).await?;
    if let Some(known) = &known {
        kept::forget(step, known);
    }
    let found = evaluate_anew(step, &evaluating, here, known.as_ref()).await?;
    if found.drv.as_str() == step.drv()? && found.toplevel == *step.toplevel()? {
        return Ok(());
    }
    if let Some(known) = &known {
        kept::forget(step, known);
    }
    let (name, builder) = (&step.host.name, step.host.build_on());
    if step.host.given.is_some() {
        let text = format!(
            "{name}: {builder} does not have the derivation of the earlier run any more, and the flake says another \
             system now; deploy it with `nixdash deploy {name}`"
        );
        return Err(Failure::failed(Code::EvaluationFailed, text));
    }
    let what = "its configuration was evaluated twice, with different results; was the flake changed meanwhile?";
    Err(changed_meanwhile(step, what))
}

/// Returns the failure of a host of which nobody can say from which revision it was evaluated.
fn changed_meanwhile(step: &Step, what: &str) -> Failure {
    let text = format!("{}: {what} Deploy again", step.host.name);
    Failure::failed(Code::EvaluationFailed, text)
}

/// Returns what decides the answer, where it can be kept; the log says why not.
async fn known(
    step: &Step,
    evaluating: &Evaluating,
    here: bool,
) -> Result<Option<EvaluationKey>, Failure> {
    if step.shared.kept.is_none() {
        return Ok(None);
    }
    let attribute = &step.config()?.attribute;
    match kept::known(step, attribute, &evaluating.evaluator, here).await {
        Ok(known) => Ok(Some(known)),
        Err(why) => {
            step.log(&format!("evaluated at every deploy, since {why}")).await;
            Ok(None)
        }
    }
}

/// Evaluates a host's system and brings the derivation to where it is built.
async fn evaluate_anew(
    step: &Step,
    evaluating: &Evaluating,
    here: bool,
    known: Option<&EvaluationKey>,
) -> Result<EvaluatedSystem, Failure> {
    let attribute = step.config()?.attribute.clone();
    let together = if evaluating.evaluator.has_eval_jobs {
        jobs::evaluate(step, evaluating, here, &attribute).await
    } else {
        None
    };
    let turn = evaluating.turns.acquire().await;
    let place = Place::prepare(step, here).await?;
    let args = argv::eval_toplevel(place.reference(), &attribute)
        .map_err(|error| not_evaluated(step, &error))?;
    let is_whole = async {
        match known {
            Some(known) => kept::lock_is_whole(step, &place, known).await,
            None => false,
        }
    };
    let alone = async {
        match together {
            Some(found) => Ok(found),
            None => read(step, &place, &place.run(step, args).await?).await,
        }
    };
    let (found, is_whole) = tokio::join!(alone, is_whole);
    drop(turn);
    let found = found?;
    // Somebody may have edited it meanwhile: what came of that is of no commit.
    let is_still = match known {
        Some(known) => kept::is_still(step, known).await,
        None => true,
    };
    if !is_still && here {
        let what = "the flake was changed while its configuration was evaluated, so nobody knows what it would get.";
        return Err(changed_meanwhile(step, what));
    }
    if here {
        copy_to_builder(step, &found.drv).await?;
    }
    if !is_still {
        // The copy of it was made when the run began.
        step.log("the flake was changed meanwhile: this evaluation is not kept").await;
    }
    if let Some(known) = known.filter(|_| is_whole && is_still) {
        kept::keep(step, known, &found.drv, &found.toplevel).await;
    }
    Ok(found)
}

/// Returns what evaluates the host's system, and whether that is on this machine.
async fn evaluating(step: &Step) -> Result<(Arc<Evaluating>, bool), Failure> {
    let here = match step.shared.fleet.evaluate {
        Evaluate::Here => true,
        Evaluate::Builder => false,
        Evaluate::Auto => {
            let here = evaluating_on(step, None).await?;
            here.evaluator.version().is_some_and(|version| version >= OLDEST)
        }
    };
    let place = (!here).then(|| step.host.build_on());
    Ok((evaluating_on(step, place).await?, here))
}

/// Returns what evaluates on a host, or on this machine; asked once per run.
async fn evaluating_on(step: &Step, host: Option<&str>) -> Result<Arc<Evaluating>, Failure> {
    let cell = step.shared.evaluating.cell(host.unwrap_or_default());
    let asked = cell.get_or_try_init(|| async {
        let evaluator = match host {
            None => Evaluator::here().await,
            Some(host) => {
                let asked = step.run(host, &Evaluator::script()).await;
                Evaluator::from_output(&asked.map_err(|failure| step.about_builder(failure))?)
            }
        };
        Ok(Arc::new(Evaluating::new(evaluator)))
    });
    asked.await.cloned()
}

/// Reads what Nix printed.
async fn read(step: &Step, place: &Place, output: &Output) -> Result<EvaluatedSystem, Failure> {
    let host = &step.host.name;
    if !output.is_ok() {
        return Err(failure(step, place, output).await);
    }
    let odd = |why: String| {
        let text =
            format!("{host}: nix eval {} printed something unexpected: {why}", place.words());
        Failure::failed(Code::EvaluationFailed, text)
    };
    let found: EvalOutput =
        serde_json::from_str(output.stdout.trim()).map_err(|error| odd(error.to_string()))?;
    let toplevel = StorePath::parse(&found.out).map_err(|error| odd(error.to_string()))?;
    let drv = StorePath::parse(&found.drv).map_err(|error| odd(error.to_string()))?;
    Ok(EvaluatedSystem { drv, toplevel })
}

/// Returns whether git tracks the `flake.nix` of a flake; where there is no git, nothing is missing.
pub async fn tracks_flake_file(flake: &LocalFlake) -> bool {
    let file = format!("{}/flake.nix", flake.dir);
    !flake.is_git || repository::is_tracked(&flake.root, file.trim_start_matches('/')).await
}

/// How many derivations are copied at once to one host: each copy is a login of its own, and an ssh server refuses
/// some of those that come at once (`MaxStartups`).
const COPIES: usize = 4;

/// The turns of copies of derivations to one host.
pub(super) struct DerivationTurns(Semaphore);

impl Default for DerivationTurns {
    fn default() -> Self {
        Self(Semaphore::new(COPIES))
    }
}

impl DerivationTurns {
    /// Copies when it is its turn.
    async fn copy<T>(&self, copy: impl Future<Output = T>) -> T {
        // It is never closed.
        let _turn = self.0.acquire().await;
        copy.await
    }
}

/// Copies a derivation with everything it needs to the host that builds.
async fn copy_to_builder(step: &Step, drv: &StorePath) -> Result<(), Failure> {
    let shared = &step.shared;
    let builder = step.host.build_on();
    let Some(host) = shared.fleet.host(builder).filter(|host| !host.is_local()) else {
        return Ok(());
    };
    // Whoever answers now is the one to copy to.
    step.run(builder, &Script::new(":")).await.map_err(|failure| step.about_builder(failure))?;
    let answering = shared.runner.address(builder);
    let address = host
        .addresses
        .iter()
        .find(|address| Some(address.to_string()) == answering)
        .or(host.addresses.first());
    let Some(address) = address else { return Ok(()) };
    step.log(&format!("copying the derivation to {builder}")).await;
    let args = argv::copy_closure_to(address, drv);
    let failed = |text: String| Failure::failed(Code::DerivationNotCopied, text);
    let options = argv::ssh_options(address, shared.fleet.ssh_config.as_deref())
        .map_err(|error| failed(error.to_string()))?;
    let copy =
        || Program::new(&args[0], &args[1..]).env("NIX_SSHOPTS", &options).limit(LIMIT).run();
    let turns = shared.derivation_turns.cell(builder);
    let copied = through_cuts(step, builder, || turns.copy(copy())).await;
    let output = copied.map_err(|error| failed(error.to_string()))?;
    if output.is_ok() {
        return Ok(());
    }
    let said = output.complaint();
    let why = argv::login_shell_prints(builder, &output.stderr).unwrap_or(said);
    Err(failed(format!(
        "the derivation of {} could not be copied from this machine to {builder}: {why}",
        step.host.name,
    )))
}

/// Removes a source folder; what stays behind after a failure is removed by the next run.
pub(super) async fn discard(runner: &dyn ScriptRunner, host: &str, dir: &str) {
    let script = Script::new(DISCARD).arg(dir).limit(Duration::from_secs(5));
    drop(runner.run(host, &script).await);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test(start_paused = true)]
    async fn of_many_hosts_four_derivations_are_copied_at_once_to_one_builder() {
        let (turns, now, most) =
            (DerivationTurns::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        let copy = || async {
            most.fetch_max(now.fetch_add(1, Ordering::AcqRel) + 1, Ordering::AcqRel);
            tokio::time::sleep(Duration::from_secs(1)).await;
            now.fetch_sub(1, Ordering::AcqRel);
        };
        futures_util::future::join_all((0..20).map(|_| turns.copy(copy()))).await;
        assert_eq!(most.load(Ordering::Acquire), 4);
    }
}
