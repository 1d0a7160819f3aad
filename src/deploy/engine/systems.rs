//! Which systems a host builds for.

use super::scripts::SYSTEMS;
use crate::fleet::printable_line;
use crate::remote::{Script, ScriptRunner};
use std::time::Duration;

/// How long the question may take.
const LIMIT: Duration = Duration::from_secs(15);

/// Returns the systems (`x86_64-linux`, …) that a host builds for: its own and those that it emulates.
/// Fails with the reason why it does not say.
pub async fn builds_for(runner: &dyn ScriptRunner, host: &str) -> Result<Vec<String>, String> {
    let script = Script::new(SYSTEMS).limit(LIMIT);
    let output = runner.run(host, &script).await.map_err(|error| error.to_string())?;
    let systems: Vec<String> = output.stdout.lines().map(printable_line).collect();
    if systems.is_empty() {
        return Err(format!("{host}: Nix there does not say for which systems it builds"));
    }
    Ok(systems)
}
