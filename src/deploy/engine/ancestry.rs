//! What a run deploys and what its hosts run already: revisions, changes that are not committed, and
//! what the person should know of them before the answer to the plan.

use super::flake::locate;
use super::step::Step;
use crate::deploy::{Failure, Preflight, Reason};
use crate::fleet::words::deploys;
use crate::fleet::{Ancestry, Code, DeployedFrom, Finding, FlakeSource, Goal, Outcome, redact};
use crate::nix::flake_lock::locked_input;
use crate::nix::flake_url::FlakeUrl;
use crate::remote::{git_ancestry, git_head};
use jiff::Timestamp;
use std::path::PathBuf;

/// Returns what a flake in a git work tree of this machine is at; nothing of another one, and of one
/// that names a branch or commit.
pub async fn flake_source(flake: &str) -> Option<FlakeSource> {
    let (root, dir) = work_tree(flake)?;
    let head = git_head(&root).await?;
    let lock = std::fs::read_to_string(root.join(dir).join("flake.lock")).ok();
    Some(FlakeSource {
        // It travels as one word, and stands on hosts.
        flake: redact(flake).split_whitespace().collect(),
        commit: head.commit,
        changed: head.changed,
        locked: lock.and_then(|lock| locked_input(&lock)),
    })
}

/// Counts by how many commits what a host runs is behind and ahead of a flake of this machine; nothing
/// where that cannot be known.
pub async fn flake_ancestry(flake: &str, from: &DeployedFrom) -> Option<Ancestry> {
    let (root, _) = work_tree(flake)?;
    git_ancestry(&root, from.commit()).await
}

/// Returns the git work tree that a flake lies in, and its folder below that.
fn work_tree(flake: &str) -> Option<(PathBuf, String)> {
    let url = FlakeUrl::parse(flake);
    if url.param("ref").is_some() || url.param("rev").is_some() {
        return None;
    }
    let found = locate(&url)?.ok()?;
    found.is_git.then_some((found.root, found.dir))
}

/// Says what is worth knowing of a host before the answer: which specialisation is kept, that nothing
/// would go back, and that what runs there is not contained in what is deployed. The last one stops a
/// host that nobody is asked about.
pub(super) async fn of_host(step: &Step, found: &Preflight) -> Result<Vec<Reason>, Failure> {
    let mut notes = Vec::new();
    let kept = found.deploys.specialisation.as_ref();
    if let Some(special) = kept.filter(|_| !step.shared.without_specialisation) {
        notes.push(Reason::new(
            Code::SpecialisationKept,
            format!(
                "it runs the specialisation {}: the same one of the new system is activated",
                special.name
            ),
        ));
    }
    if !step.host.activation.magic_rollback() {
        let text =
            "magic_rollback = false: the new system is kept even if nobody can reach the host";
        notes.push(Reason::new(Code::RollbackOff, text));
    }
    let Some(finding) = not_contained(step, found).await else { return Ok(notes) };
    let reason = Reason::new(finding.code, finding.cause);
    if reason.code == Code::RevisionNotContained && step.shared.refuses_older {
        let text = format!(
            "{}; nothing was done. Merge that revision, or deploy with --allow-older",
            reason.text
        );
        return Err(Failure { outcome: Outcome::Failed, reason: Reason { text, ..reason } });
    }
    notes.push(reason);
    Ok(notes)
}

/// Returns what a host's system is built from, where that is known here: not of a system that is there
/// already, nor of a host with a flake of its own.
pub(super) fn source_of(step: &Step) -> Option<&FlakeSource> {
    let has_its_own = step.config().is_ok_and(|host| host.flake.is_some());
    let source = step.shared.source.as_ref();
    source.filter(|_| !has_its_own && step.host.given.is_none())
}

/// Says that what runs on a host is not contained in what is deployed, or that nobody knows.
async fn not_contained(step: &Step, found: &Preflight) -> Option<Finding> {
    // A generation that the host has was not built from what the flake says now.
    if step.host.goal == Goal::Rollback {
        return None;
    }
    let (from, source) = (found.deploys.built_from.as_ref()?, source_of(step)?);
    let flake = step.shared.fleet.flake.as_deref()?;
    let ancestry = flake_ancestry(flake, from).await;
    deploys::not_contained(&step.host.name, from, ancestry, &source.revision(), Timestamp::now())
}
