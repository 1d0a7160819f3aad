//! Which systems a host builds for.

use super::scripts::SYSTEMS;
use crate::fleet::printable_line;
use crate::remote::{RemoteError, Script, ScriptRunner};
use std::time::Duration;

/// How long the question may take.
const LIMIT: Duration = Duration::from_secs(15);

/// Why it is not known for which systems a host builds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownSystems {
    /// The host could not be asked.
    #[error("{0}")]
    Remote(#[from] RemoteError),
    /// Its Nix does not say it.
    #[error("{0}: Nix there does not say for which systems it builds")]
    Untold(String),
}

/// Returns the systems (`x86_64-linux`, …) that a host builds for: its own and those that it emulates.
/// Fails with the reason why it does not say.
pub async fn builds_for(
    runner: &dyn ScriptRunner,
    host: &str,
) -> Result<Vec<String>, UnknownSystems> {
    let script = Script::new(SYSTEMS).limit(LIMIT);
    let output = runner.run(host, &script).await?;
    let systems: Vec<String> = output.stdout.lines().map(printable_line).collect();
    if systems.is_empty() {
        return Err(UnknownSystems::Untold(host.to_owned()));
    }
    Ok(systems)
}
