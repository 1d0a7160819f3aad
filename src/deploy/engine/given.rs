//! A system that a host is given: nothing is evaluated, and nothing built unless it is nowhere yet.

use super::changes::{self, FoundChanges, UnbuiltSystem};
use super::scripts::ROOT;
use super::step::Step;
use super::wake;
use crate::deploy::{Failure, GivenPlace, Report};
use crate::fleet::Code;
use crate::remote::Script;

/// Keeps the system from the garbage collector of the host that builds, and says what will change.
pub(super) async fn compare(step: &Step) -> Result<Report, Failure> {
    let place = step.host.given.as_ref().map(|given| &given.place);
    let has_both = match place {
        Some(GivenPlace::Kept | GivenPlace::Host) => Some(step.host.name.as_str()),
        Some(GivenPlace::Builder | GivenPlace::Derivation(_)) | None => Some(step.host.build_on()),
        Some(GivenPlace::Tier(_)) => None,
    };
    let comparing = async {
        match has_both {
            Some(host) => changes::on(step, host).await,
            None => FoundChanges::default(),
        }
    };
    let (rooted, found) = tokio::join!(root(step), comparing);
    if place == Some(&GivenPlace::Builder) && !rooted? {
        let (system, builder) = (step.toplevel()?, step.host.build_on());
        let text = format!(
            "{}: {system} is not in the store of {builder} any more; build it again with `nixdash build {}`",
            step.host.name, step.host.name
        );
        return Err(Failure::failed(Code::SystemMissing, text));
    }
    let lacks_specialisation = found.lacks(step, &UnbuiltSystem::default());
    let changes = changes::with_tiers(step, found).await;
    Ok(Report::built_already(Some(Box::new(changes)), lacks_specialisation))
}

/// Roots the system on the host that builds, which serves it to others; returns whether it is there.
async fn root(step: &Step) -> Result<bool, Failure> {
    let builder = step.host.build_on();
    step.shared.note_use(builder);
    let script = Script::new(ROOT).root().arg(step.toplevel()?.as_str()).arg(step.build_root());
    let place = step.host.given.as_ref().map(|given| &given.place);
    let output = if matches!(place, Some(GivenPlace::Kept | GivenPlace::Host)) {
        // Nothing comes from there: it may sleep on.
        step.run(builder, &script).await?
    } else {
        wake::run_awake(step, builder, &script).await?
    };
    Ok(output.is_ok())
}
