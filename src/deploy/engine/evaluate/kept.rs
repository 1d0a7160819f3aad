//! What was evaluated before, and need not be evaluated again.
//!
//! An answer holds for one commit of a flake whose inputs are all pinned, on one machine with one Nix
//! and the same settings. It is only taken where the derivation is still valid on the host that
//! builds: [`compare`](crate::deploy::engine::build::compare) looks at that and else evaluates again.

use super::commit::{FlakeCommit, NoCommit, commit_of};
use super::evaluator::Evaluator;
use super::place::Place;
use crate::deploy::engine::step::Step;
use crate::fleet::words::deploys::short_revision;
use crate::fleet::{StorePath, ago};
use crate::nix::argv;
use crate::nix::flake_lock::content_hashes;
use crate::nix::flake_url::FlakeUrl;
use crate::record::{EvaluationInputs, KeptEvaluation};
use jiff::Timestamp;
use std::sync::Arc;

/// Changes when the same inputs would be evaluated to something else than before.
const FORMAT: &str = "1";

/// What of an evaluation decides the answer, when it is known for sure.
pub(in crate::deploy::engine) struct EvaluationKey {
    inputs: EvaluationInputs,
    commit: Arc<FlakeCommit>,
}

/// Returns what decides what the host's system is evaluated to; else why an answer cannot be kept.
pub(super) async fn known(
    step: &Step,
    attribute: &str,
    evaluator: &Evaluator,
    here: bool,
) -> Result<EvaluationKey, &'static str> {
    let commit = commit(step).await.map_err(NoCommit::words)?;
    let settings = evaluator.deciding_settings().ok_or("the settings of Nix are not known")?;
    let place = if here { "here".to_owned() } else { format!("host {}", step.host.build_on()) };
    let inputs = EvaluationInputs::new(vec![
        ("format", FORMAT.to_owned()),
        ("commit", commit.commit.clone()),
        ("folder", commit.dir.clone()),
        ("ways", commit.ways.clone()),
        ("lock", commit.lock.clone()),
        ("attribute", attribute.to_owned()),
        ("nix", evaluator.nix.clone()),
        ("settings", settings),
        ("place", place),
    ]);
    Ok(EvaluationKey { inputs, commit })
}

/// Finds out which commit the host's flake is, where that is of use: it is known at once later.
pub(super) async fn find_commit(step: &Step) {
    if step.shared.kept.is_some() {
        // Who needs it hears why it is none.
        drop(commit(step).await);
    }
}

/// Returns the commit that the host's flake is; asked once per run and flake.
async fn commit(step: &Step) -> Result<Arc<FlakeCommit>, NoCommit> {
    let cell = step.shared.commits.cell(step.flake());
    let found = cell
        .get_or_init(|| async { commit_of(&FlakeUrl::parse(step.flake())).await.map(Arc::new) });
    found.await.clone()
}

/// Returns whether the flake is still the commit that it was when the run began.
pub(super) async fn is_still(step: &Step, known: &EvaluationKey) -> bool {
    let now = commit_of(&FlakeUrl::parse(step.flake())).await;
    now.is_ok_and(|commit| commit == *known.commit)
}

/// Returns the answer that was kept.
pub(super) async fn look_up(step: &Step, known: &EvaluationKey) -> Option<KeptEvaluation> {
    let found = step.shared.kept.as_ref()?.get(&known.inputs)?;
    let short = short_revision(&known.commit.commit);
    step.log(&format!(
        "not evaluated again: commit {short} was evaluated before (age of the answer: {}), and flake.lock \
         pins all of its inputs",
        ago(found.age(Timestamp::now()))
    ))
    .await;
    Some(found)
}

/// Keeps an answer. What the disk refuses is evaluated again the next time.
pub(super) async fn keep(
    step: &Step,
    known: &EvaluationKey,
    drv: &StorePath,
    toplevel: &StorePath,
) {
    let Some(kept) = &step.shared.kept else { return };
    let (drv, toplevel) = (drv.clone(), toplevel.clone());
    let found = KeptEvaluation { drv, toplevel, at: Timestamp::now() };
    if let Err(error) = kept.keep(&known.inputs, &found) {
        step.log(&format!("the evaluation could not be kept: {error}")).await;
    }
}

/// Forgets an answer, since another one came out.
pub(super) fn forget(step: &Step, known: &EvaluationKey) {
    if let Some(kept) = &step.shared.kept {
        kept.forget(&known.inputs);
    }
}

/// Returns whether Nix takes every input from `flake.lock`: one that `flake.nix` names and the lock
/// lacks is looked up at each evaluation. Asked once per run, flake and place.
pub(super) async fn lock_is_whole(step: &Step, place: &Place, known: &EvaluationKey) -> bool {
    let key = format!("{}\n{}", place.words(), place.reference());
    let cell = step.shared.whole_locks.cell(key);
    let asked = cell.get_or_init(|| async {
        let Ok(args) = argv::flake_metadata(place.reference()) else { return false };
        let Ok(output) = place.run(step, args).await else { return false };
        let Ok(all) = serde_json::from_str::<serde_json::Value>(output.stdout.trim()) else {
            return false;
        };
        content_hashes(&all["locks"].to_string()) == content_hashes(&known.commit.lock)
    });
    *asked.await
}
