//! What a run deploys and what its hosts run already: revisions, changes that are not committed, and
//! what the person should know of them before the answer to the plan.

use super::flake::locate;
use super::scripts::BUILT_FROM;
use super::step::Step;
use crate::deploy::{Failure, GivenPlace, Preflight, Reason};
use crate::fleet::words::deploys;
use crate::fleet::{
    Ancestry, Code, DeployedFrom, Finding, FlakeSource, Goal, Outcome, commit_of, redact,
};
use crate::nix::flake_lock::locked_input;
use crate::nix::flake_url::FlakeUrl;
use crate::remote::{Script, git_ancestry, git_head};
use jiff::Timestamp;
use std::path::PathBuf;
use std::time::Duration;

/// What is checked out, as git calls it.
const HEAD: &str = "HEAD";

/// How long a builder may take to say what it remembers of a system.
const BUILT_FROM_LIMIT: Duration = Duration::from_secs(10);

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
    git_ancestry(&root, from.commit(), HEAD).await
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

/// What a host's system is built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BuiltOf {
    /// The revision; it ends in `-dirty` where the work tree had other changes.
    pub(super) revision: String,
    /// The flake, without credentials.
    pub(super) flake: String,
}

/// Returns what a host's system is built from: what the flake is at or, of a system that was built earlier,
/// what its builder remembers. Nothing where nobody knows, for a host with a flake of its own, and for a
/// generation that the host has: that was not built from what the flake says now.
pub(super) async fn source_of(step: &Step) -> Option<BuiltOf> {
    let has_its_own = step.config().is_ok_and(|host| host.flake.is_some());
    if has_its_own || step.host.goal == Goal::Rollback {
        return None;
    }
    let Some(given) = &step.host.given else {
        let source = step.shared.source.as_ref()?;
        return Some(BuiltOf { revision: source.revision(), flake: source.flake.clone() });
    };
    if given.place == GivenPlace::Kept {
        return None;
    }
    let asked = (step.host.build_on().to_owned(), given.toplevel.clone());
    let cell = step.shared.built_from.cell(asked);
    let script = Script::new(BUILT_FROM).arg(given.toplevel.as_str()).limit(BUILT_FROM_LIMIT);
    // A builder that does not answer is told by the phases that need it, and not asked again for this.
    let ask = async {
        let output = step.runner.run(step.host.build_on(), &script).await.ok()?;
        DeployedFrom::parse(output.stdout.trim())
    };
    let from = cell.get_or_init(|| ask).await.clone()?;
    Some(BuiltOf { revision: from.revision, flake: from.flake? })
}

/// Says that what runs on a host is not contained in what is deployed, or that nobody knows.
async fn not_contained(step: &Step, found: &Preflight) -> Option<Finding> {
    // What the host has already ran there before: whoever names it goes back on purpose.
    if step.host.given.as_ref().is_some_and(|given| given.place == GivenPlace::Host) {
        return None;
    }
    let (from, source) = (found.deploys.built_from.as_ref()?, source_of(step).await?);
    let (root, _) = work_tree(step.shared.fleet.flake.as_deref()?)?;
    // A system that was built earlier is not what the flake says now.
    let to = if step.host.given.is_some() { commit_of(&source.revision) } else { HEAD };
    let ancestry = git_ancestry(&root, from.commit(), to).await;
    deploys::not_contained(&step.host.name, from, ancestry, &source.revision, Timestamp::now())
}
