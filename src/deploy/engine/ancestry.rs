//! What a run deploys and what its hosts run already: revisions, changes that are not committed, and
//! what the person should know of them before the answer to the plan.

use super::flake::{LocalFlake, locate};
use super::owner::this_person;
use super::scripts::BUILT_FROM;
use super::step::Step;
use crate::deploy::{Failure, GivenPlace, Preflight, Reason};
use crate::fleet::words::deploys;
use crate::fleet::{
    Ancestry, Code, DeployedFrom, Finding, FlakeSource, Goal, Outcome, StorePath, redact,
};
use crate::nix::flake_lock::locked_input;
use crate::nix::flake_url::FlakeUrl;
use crate::remote::{GitHead, Script, git_ancestry, git_commit, git_file, git_head, git_revision};
use jiff::Timestamp;
use std::time::Duration;

/// What is checked out, as git calls it.
const HEAD: &str = "HEAD";

/// How long a builder may take to say what it remembers of a system.
const BUILT_FROM_LIMIT: Duration = Duration::from_secs(10);

/// What of a git repository of this machine a flake is.
struct InRepository {
    flake: LocalFlake,
    /// The name of the branch or commit that is meant; none where the work tree is.
    named: Option<String>,
}

impl InRepository {
    /// Finds it; nothing for a flake that lies elsewhere.
    fn of(flake: &str) -> Option<Self> {
        let url = FlakeUrl::parse(flake);
        let flake = locate(&url)?.ok().filter(|flake| flake.is_git)?;
        let named = url.param("rev").or(url.param("ref")).map(str::to_owned);
        // A bare repository has no work tree.
        let named = named.or_else(|| (!flake.root.join(".git").exists()).then(|| HEAD.to_owned()));
        Some(Self { flake, named })
    }
}

/// Returns what a flake in a git repository of this machine is at; nothing of another one.
pub async fn flake_source(flake: &str) -> Option<FlakeSource> {
    let InRepository { flake: found, named } = InRepository::of(flake)?;
    let (root, lock_file) = (&found.root, found.file("flake.lock"));
    let (head, lock) = match named {
        Some(name) => {
            let commit = git_commit(root, &name).await?;
            let lock = git_file(root, &commit, &lock_file).await;
            (GitHead { commit, changed: Vec::new() }, lock)
        }
        None => (git_head(root).await?, std::fs::read_to_string(root.join(lock_file)).ok()),
    };
    Some(FlakeSource {
        // It travels as one word, and stands on hosts.
        flake: redact(flake).split_whitespace().collect(),
        commit: head.commit,
        changed: head.changed,
        locked: lock.and_then(|lock| locked_input(&lock)),
    })
}

/// Returns the revision of a flake in a git repository of this machine; nothing of another one.
pub async fn flake_revision(flake: &str) -> Option<String> {
    let InRepository { flake, named } = InRepository::of(flake)?;
    match named {
        Some(name) => git_commit(&flake.root, &name).await,
        None => git_revision(&flake.root).await,
    }
}

/// Counts by how many commits what a host runs is behind and ahead of a flake of this machine; nothing
/// where that cannot be known.
pub async fn flake_ancestry(flake: &str, from: &DeployedFrom) -> Option<Ancestry> {
    let InRepository { flake, named } = InRepository::of(flake)?;
    let to = match named {
        Some(name) => git_commit(&flake.root, &name).await?,
        None => HEAD.to_owned(),
    };
    git_ancestry(&flake.root, from.commit(), &to).await
}

/// Says what is worth knowing of a host before the answer: which specialisation is kept, that nothing
/// would go back, and that what runs there is not contained in what is deployed. The last one stops a
/// host that nobody is asked about.
pub(super) fn of_host(step: &Step, found: &Preflight) -> Result<Vec<Reason>, Failure> {
    let mut notes = Vec::new();
    // What is only installed starts as the system itself.
    let is_left = step.shared.without_specialisation || step.known.leaves_specialisation;
    let is_kept = !is_left && step.host.goal != Goal::Boot;
    if let Some(special) = found.deploys.specialisation.as_ref().filter(|_| is_kept) {
        notes.push(Reason::new(
            Code::SpecialisationKept,
            format!(
                "it runs the specialisation {}: the one of that name of the new system is activated. Where the new \
                 system turns out to have none, nothing is activated",
                special.name
            ),
        ));
    }
    if !step.host.activation.magic_rollback() {
        let text =
            "magic_rollback = false: the new system is kept even if nobody can reach the host";
        notes.push(Reason::new(Code::RollbackOff, text));
    }
    notes.extend(of_own_flake(step));
    let Some(finding) = not_contained(step, found) else { return Ok(notes) };
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

/// Says, of a host that gets another system, that what it runs was built from changes which are in no revision: no
/// revision contains them. Stops a host that nobody is asked about. Whoever deployed them may go on with their own work.
pub(super) fn of_uncommitted(step: &Step) -> Result<Option<Reason>, Failure> {
    let found = &step.known.preflight;
    let from = found.deploys.built_from.as_ref().filter(|from| from.is_dirty());
    let Some(from) = from.filter(|_| step.host.goal.deploys() && !goes_back(step)) else {
        return Ok(None);
    };
    let is_told = found.notes.iter().any(|note| note.code == Code::RevisionNotContained);
    if is_told || found.runs(step.toplevel()?) || is_own_work(from, found.source.as_ref()) {
        return Ok(None);
    }
    let finding = deploys::not_committed(&step.host.name, from, Timestamp::now());
    let reason = Reason { fix: Some(finding.fix), ..Reason::new(finding.code, finding.cause) };
    if !step.shared.refuses_older {
        return Ok(Some(reason));
    }
    let text = format!(
        "{}; nothing was done. Commit those changes and deploy them, or deploy with --allow-older",
        reason.text
    );
    Err(Failure { outcome: Outcome::Failed, reason: Reason { text, ..reason } })
}

/// Returns whether a host goes back to what it has, which takes away what it runs on purpose.
fn goes_back(step: &Step) -> bool {
    step.host.goal == Goal::Rollback || step.host.goes_back()
}

/// Returns whether this person deployed the changes that run, and goes on with them: in a work tree that has changes
/// still, or in a later commit. The same commit without them leaves them out.
fn is_own_work(runs: &DeployedFrom, source: Option<&DeployedFrom>) -> bool {
    let goes_on = |source: &DeployedFrom| source.is_dirty() || source.commit() != runs.commit();
    source.is_some_and(goes_on) && runs.by.as_ref() == Some(&this_person())
}

/// Returns what a host's system is built from: what its flake is at or, of a system that was built earlier,
/// what the run that built it says, its builder, or the host itself. Nothing where nobody knows, for a system of
/// a later run that does not say it, and for a
/// generation that the host goes back to: that was not built from what the flake says now.
pub(super) async fn source_of(step: &Step) -> Option<DeployedFrom> {
    if step.host.goal == Goal::Rollback {
        return None;
    }
    // A host that was away may have got the system of a later run since its preflight.
    if let Some(later) = &step.known.later {
        return later.built_from.clone();
    }
    if let Some(source) = &step.known.preflight.source {
        return Some(source.clone());
    }
    let Some(given) = &step.host.given else {
        let source = step.shared.source_for(&step.host)?;
        let flake = Some(source.flake.clone());
        return Some(DeployedFrom { revision: source.revision(), flake, by: None, at: None });
    };
    if given.place == GivenPlace::Kept {
        return None;
    }
    if given.built_from.is_some() {
        return given.built_from.clone();
    }
    let remembered = remembered(step, step.host.build_on(), &given.toplevel).await;
    match remembered {
        None if step.host.build_on() != step.host.name => {
            self::remembered(step, &step.host.name, &given.toplevel).await
        }
        known => known,
    }
}

/// Returns what a machine remembers that a system was built from: one that built it, or one that ran it.
async fn remembered(step: &Step, machine: &str, system: &StorePath) -> Option<DeployedFrom> {
    let cell = step.shared.built_from.cell((machine.to_owned(), system.clone()));
    let script = Script::new(BUILT_FROM).arg(system.as_str()).limit(BUILT_FROM_LIMIT);
    // A machine that does not answer is told by the phases that need it, and not asked again for this.
    let ask = async {
        let output = step.runner.run(machine, &script).await.ok()?;
        DeployedFrom::parse(output.stdout.trim())
    };
    let from = cell.get_or_init(|| ask).await.clone()?;
    // Who deployed it then, and when, is not said of this deploy.
    Some(DeployedFrom { by: None, at: None, ..from })
}

/// Counts by how many commits what runs on a host is behind and ahead of what it gets; nothing where that cannot
/// be known, and for a host that goes back.
pub(super) async fn to_what_runs(step: &Step, found: &Preflight) -> Option<Ancestry> {
    if step.host.goal == Goal::Rollback {
        return None;
    }
    let (from, source) = (found.deploys.built_from.as_ref()?, found.source.as_ref()?);
    let here = InRepository::of(step.flake())?;
    git_ancestry(&here.flake.root, from.commit(), source.commit()).await
}

/// Says that what runs on a host is not contained in what is deployed, or that nobody knows. A rollback leaves out
/// what runs there on purpose.
fn not_contained(step: &Step, found: &Preflight) -> Option<Finding> {
    if step.host.goal == Goal::Rollback {
        return None;
    }
    let (name, now) = (&step.host.name, Timestamp::now());
    let from = found.deploys.built_from.as_ref()?;
    let Some(source) = &found.source else {
        return Some(deploys::contains_unknown(name, from, now));
    };
    deploys::not_contained(name, from, found.deploys.ancestry, &source.revision, now)
}

/// Says what is worth knowing of the flake that a host has of its own; that of the fleet is told once for all.
fn of_own_flake(step: &Step) -> Vec<Reason> {
    let has_its_own = step.host.flake.is_some() && step.host.is_evaluated();
    let Some(source) = step.shared.source_for(&step.host).filter(|_| has_its_own) else {
        return Vec::new();
    };
    let findings = deploys::of_source(&step.shared.run.0, source, Timestamp::now());
    let told = findings.into_iter().map(|finding| {
        Reason::new(finding.code, format!("its own flake {}: {}", source.flake, finding.cause))
    });
    told.collect()
}
