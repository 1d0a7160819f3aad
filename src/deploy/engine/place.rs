//! Where a system is that somebody names: on the host that is to run it, on the host that builds, or in a
//! tier.

use super::scripts::VERIFY;
use crate::deploy::GivenPlace;
use crate::fleet::{Fleet, Host, StorePath};
use crate::probe::invalid_paths;
use crate::remote::{RemoteError, Script, ScriptRunner};
use futures_util::future::join_all;

/// A system is in none of the places that it could be deployed from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Everybody who could have it was asked, and nobody has it.
    #[error(
        "{system} was not found: it is not in the store of {asked}, and no tier that {host} can \
         ask serves it; build it first, or copy it to one of them with nix copy"
    )]
    Nowhere {
        /// The system.
        system: StorePath,
        /// The host that is to run it.
        host: String,
        /// The hosts whose stores were looked into.
        asked: String,
    },
    /// The host could not be asked.
    #[error("{0}")]
    Remote(#[from] RemoteError),
}

/// Finds the place that a system is deployed to a host from: the nearest one that has it.
pub async fn place_of(
    fleet: &Fleet,
    runner: &dyn ScriptRunner,
    host: &Host,
    system: &StorePath,
) -> Result<GivenPlace, PlaceError> {
    if is_valid(runner, &host.name, system).await? {
        return Ok(GivenPlace::Host);
    }
    let builder = fleet.build_on(host).filter(|builder| *builder != host.name);
    if let Some(builder) = builder
        && is_valid(runner, builder, system).await?
    {
        return Ok(GivenPlace::Builder);
    }
    let asked = fleet.tiers.iter().filter(|tier| tier.url.starts_with("http"));
    let asked = asked.map(|tier| async move {
        let script = Script::new(VERIFY).root().arg(&tier.url).arg(system.hash());
        let output = runner.run(&host.name, &script).await.ok()?;
        let status = output.stdout.rsplit_once("\n--- status ")?.1;
        status.starts_with("200").then(|| tier.name.clone())
    });
    match join_all(asked).await.into_iter().flatten().next() {
        Some(tier) => Ok(GivenPlace::Tier(tier)),
        None => Err(PlaceError::Nowhere {
            system: system.clone(),
            host: host.name.clone(),
            asked: [Some(host.name.as_str()), builder]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" or "),
        }),
    }
}

/// Returns whether a path is valid in a host's store.
async fn is_valid(
    runner: &dyn ScriptRunner,
    host: &str,
    path: &StorePath,
) -> Result<bool, RemoteError> {
    Ok(invalid_paths(runner, host, std::iter::once(path)).await?.is_empty())
}

/// Finds the place of what an earlier run was about: the system where it is, else the derivation that it
/// is built from, where the host that builds for it now still has it. Nothing where it must be evaluated
/// again. The hosts are the one that is to run it and the one that builds for it.
pub async fn place_again(
    runner: &dyn ScriptRunner,
    (host, builder): (&str, &str),
    system: &StorePath,
    drv: Option<&StorePath>,
) -> Option<GivenPlace> {
    // What is already fetched is verified all the same.
    if is_valid(runner, builder, system).await.unwrap_or(false) {
        return Some(GivenPlace::Builder);
    }
    if is_valid(runner, host, system).await.unwrap_or(false) {
        return Some(GivenPlace::Host);
    }
    let drv = drv?;
    let is_there = is_valid(runner, builder, drv).await.unwrap_or(false);
    is_there.then(|| GivenPlace::Derivation(drv.to_string()))
}
