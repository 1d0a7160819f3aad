//! Which derivation needs which, of those that are built for a host: read from their files on the host that
//! builds, once per run, beside the phases.
//!
//! Nothing waits for it but a build that failed: only with it can be said what failed because of what.
//! Where it cannot be had, the derivations are a list.

use super::step::Step;
use crate::fleet::StorePath;
use crate::nix::activity::ActivityLog;
use crate::probe;
use crate::record::KnownDerivation;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Derivations that are read at once: a few hundred kilobytes.
const AT_ONCE: usize = 500;

/// Derivations that are read at most: of more, nobody reads a tree.
const MOST: usize = 10_000;

/// How long a build that failed waits for it.
const LIMIT: Duration = Duration::from_secs(15);

/// What is known of derivations, and which of them were asked for.
pub(super) type Edges = Arc<Vec<KnownDerivation>>;

/// Begins to read the derivations that are to be built; nobody waits for it.
pub(super) fn begin(step: &Step, to_build: &[StorePath]) {
    if to_build.is_empty() {
        return;
    }
    let (step, to_build) = (step.clone(), to_build.to_vec());
    let beside = Arc::clone(&step.shared);
    beside.beside.go_on(async move {
        step.shared.edges.cell(key(&step)).get_or_init(|| read(&step, to_build)).await;
    });
}

/// Tells a log what is known by now of the derivations in it.
pub(super) fn tell(step: &Step, log: &mut ActivityLog) {
    match step.shared.edges.cell(key(step)).get() {
        Some(known) => learn(log, known),
        None => learn(log, &kept(step)),
    }
}

/// Tells the log of a build that failed which derivation needs which, and reads what is not known yet, for
/// some seconds at most.
pub(super) async fn tell_whole(step: &Step, log: &mut ActivityLog) {
    let reading = async {
        let cell = step.shared.edges.cell(key(step));
        let known = cell.get_or_init(|| read(step, unread(log))).await;
        learn(log, known);
        // Such as what a derivation turned out to be whose inputs depend on what was built.
        let more = unread(log);
        if !more.is_empty() {
            learn(log, &read(step, more).await);
        }
    };
    if tokio::time::timeout(LIMIT, reading).await.is_err() {
        tracing::debug!(host = step.host.name, "which derivation needs which: too late");
    }
}

/// Returns what the edges of an attempt of a host are found by.
fn key(step: &Step) -> (String, u32) {
    (step.host.name.clone(), step.known.attempt)
}

/// Returns the derivations in a log of which nothing is known.
fn unread(log: &ActivityLog) -> Vec<StorePath> {
    log.tree().unread().filter_map(|drv| StorePath::parse(drv).ok()).collect()
}

/// Tells a log what derivations need.
fn learn(log: &mut ActivityLog, known: &[KnownDerivation]) {
    for known in known {
        log.tree_mut().learn(&known.drv, &known.read);
    }
}

/// Returns what the run's folder has, as of a process that was killed.
fn kept(step: &Step) -> Vec<KnownDerivation> {
    step.shared.streams.as_ref().map_or(Vec::new(), |streams| streams.edges(&step.host.name))
}

/// Reads these derivations where they are built, but for those that the run's folder has, and keeps there
/// what is new.
async fn read(step: &Step, wanted: Vec<StorePath>) -> Edges {
    let mut known = kept(step);
    let there: BTreeSet<&StorePath> = known.iter().map(|known| &known.drv).collect();
    let lacking: Vec<StorePath> =
        wanted.into_iter().filter(|drv| !there.contains(drv)).take(MOST).collect();
    let mut found = Vec::new();
    for part in lacking.chunks(AT_ONCE) {
        match probe::derivations(step.runner.as_ref(), step.host.build_on(), part).await {
            Ok(read) => {
                found.extend(read.into_iter().map(|(drv, read)| KnownDerivation { drv, read }));
            }
            Err(error) => {
                tracing::debug!(%error, "which derivation needs which");
                break;
            }
        }
    }
    found.sort_by(|one, other| one.drv.cmp(&other.drv));
    if !found.is_empty() {
        keep(step, &found).await;
    }
    known.append(&mut found);
    Arc::new(known)
}

/// Keeps in the run's folder what was read. Where the disk refuses it, the screen shows a list.
async fn keep(step: &Step, found: &[KnownDerivation]) {
    let Some(streams) = step.shared.streams.clone() else { return };
    let (host, found) = (step.host.name.clone(), found.to_vec());
    let kept = tokio::task::spawn_blocking(move || streams.add_edges(&host, &found)).await;
    if let Ok(Err(error)) = kept {
        tracing::debug!(%error, "which derivation needs which is not kept");
    }
}
