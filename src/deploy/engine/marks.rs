//! What a host remembers of how its system does, where no supervisor decides that: after a restart, and when a host
//! that was left degraded is found well.
//!
//! A rollback to the generation before passes over a system that failed on the host, and a later deploy of it is a
//! canary again.

use super::owner::Owner;
use super::scripts::MARK;
use super::step::Step;
use crate::deploy::Failure;
use crate::remote::Script;
use std::time::Duration;

/// How long the host may take to write it down.
const LIMIT: Duration = Duration::from_secs(20);

/// How a system does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    /// All that can be seen is well.
    Well,
    /// Something is wrong with it.
    Badly,
}

/// Lets the host remember how its new system does. What a run takes a host back to was there before, and is left as
/// it is. Where it cannot be written down, the log says so, and the host ends as it would.
pub(super) async fn remember(step: &Step, does: Does) -> Result<(), Failure> {
    if step.host.way_back.as_ref().is_some_and(|back| back.withdraws.is_some()) {
        return Ok(());
    }
    let word = match does {
        Does::Well => "well",
        Does::Badly => "failed",
    };
    let owner = Owner::of_this_process(&step.shared.run).to_text();
    let script = Script::new(MARK).root().limit(LIMIT);
    let script = script.arg(step.toplevel()?.as_str()).arg(word).arg(owner);
    let why = match step.runner.run(&step.host.name, &script).await {
        Ok(output) if output.is_ok() => return Ok(()),
        Ok(output) => output.complaint(),
        Err(error) => error.cause,
    };
    step.log(&format!("how it does could not be written down on the host: {why}")).await;
    Ok(())
}
