//! Persist: reads what the supervisor made of the word that it was given.

use super::resumed;
use super::scripts::{KEEP, UNROOT};
use super::step::Step;
use super::supervised::Supervised;
use crate::deploy::words::order_not_arrived;
use crate::deploy::{Failure, GivenPlace, Reason, Report};
use crate::fleet::Goal;
use crate::remote::Script;

/// Gives the word where it was not given yet, and reads what came of it.
pub(super) async fn persist(step: &Step) -> Result<Report, Failure> {
    let mut supervised = match step.host.goal {
        Goal::Boot => {
            if let Some(ending) = resumed::look_again(step).await? {
                return Ok(Report::Persisted(ending));
            }
            Supervised::start(step, Goal::Boot).await?
        }
        Goal::Build | Goal::Switch | Goal::Test | Goal::DryActivate | Goal::Rollback => {
            step.take_supervised().await?
        }
    };
    if let Some(why) = &step.known.abort {
        send_abort(step, why).await;
    }
    let ending = supervised.decided(step).await?;
    if ending.outcome.is_good() {
        begin_to_keep_root(step);
    }
    Ok(Report::Persisted(ending))
}

/// Tells the supervisor to go back. A word that does not arrive lets it go back all the same, later.
async fn send_abort(step: &Step, why: &Reason) {
    let (shared, name) = (&step.shared, &step.host.name);
    if let Err(error) = shared.abort(name, why).await {
        step.log(&order_not_arrived("to go back", &error.cause)).await;
        drop(shared.abort(name, why).await);
    }
}

/// Begins to make the root of the build the host's lasting one, behind the phases.
pub(super) fn begin_to_keep_root(step: &Step) {
    step.shared.note_keeping(step.host.build_on());
    let kept = step.clone();
    step.shared.beside.go_on_silently(async move { keep_root(&kept).await });
}

/// Makes the root of the build the host's lasting one, and lets go of the one that another machine
/// kept when it built this host. What cannot be reached now is put right by the next deploy.
async fn keep_root(step: &Step) {
    if step.host.given.as_ref().is_some_and(|given| given.place == GivenPlace::Kept) {
        // Its own generations keep it; who built it is not known any more.
        return;
    }
    let (name, builder) = (&step.host.name, step.host.build_on());
    let keep = Script::new(KEEP).root().arg(name).arg(&step.shared.tag);
    drop(step.runner.run(builder, &keep).await);
    let before = step.known.preflight.built_on.as_ref().filter(|before| *before != builder);
    if let Some(before) = before.filter(|name| step.shared.fleet.host(name).is_some()) {
        let unroot = Script::new(UNROOT).root().arg(name);
        drop(step.runner.run(before, &unroot).await);
    }
}
