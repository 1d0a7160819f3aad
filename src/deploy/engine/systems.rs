//! Of which system a host is, and for which systems another one builds.

use super::lost::lost;
use super::once::SharedTry;
use super::scripts::SYSTEMS;
use super::step::Step;
use super::wake;
use crate::deploy::{Failure, GivenPlace, Reason};
use crate::fleet::{Code, Host, printable_line};
use crate::nix::settings::Settings;
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

impl Step {
    /// Asks once per run for which systems a host builds. One that sleeps is woken and asked once more; one that
    /// did not answer is asked again by whoever needs it later.
    pub(super) async fn builds_for(&self, builder: &str) -> Result<Vec<String>, UnknownSystems> {
        let answer = self.shared.builders.cell(builder);
        let runner = self.shared.runner.as_ref();
        let ask = |shared| answer.get(shared, || builds_for(runner, builder));
        match ask(SharedTry::UnderWay).await {
            Err(UnknownSystems::Remote(error))
                if wake::after(self, builder, &lost(&error)).await =>
            {
                ask(SharedTry::Later).await
            }
            asked => asked,
        }
    }
}

/// Returns the system that a host is of, such as `x86_64-linux`: as hosts.toml says, else as its own Nix says.
pub(super) fn system_of<'a>(host: &'a Host, settings: &'a Settings) -> Option<&'a str> {
    host.system.as_deref().or_else(|| settings.get("system"))
}

/// Says how a host of another system than its builder is built: by emulation, or by nobody. What was built earlier
/// needs nobody who builds it.
pub(super) async fn foreign_system(
    step: &Step,
    system: Option<&str>,
    builder: &str,
) -> Result<Option<Reason>, Failure> {
    let is_built = match step.host.given.as_ref().map(|given| &given.place) {
        None | Some(GivenPlace::Derivation(_)) => false,
        Some(GivenPlace::Kept | GivenPlace::Host | GivenPlace::Builder | GivenPlace::Tier(_)) => {
            true
        }
    };
    let own = step.shared.fleet.host(builder).and_then(|builder| builder.system.as_deref());
    let Some(system) = system.filter(|system| own != Some(system) && !is_built) else {
        return Ok(None);
    };
    // One that does not answer is told by the phases that need it.
    let Ok(systems) = step.builds_for(builder).await else { return Ok(None) };
    let is_declared = step.config().is_ok_and(|host| host.system.is_some());
    match judge_systems(&step.host.name, system, builder, &systems) {
        // What it runs on does not say where it is built: that may be cross-compiled, or be in a cache.
        Err(_) if !is_declared => {
            let text = format!(
                "it is {system}, and its builder {builder} builds only for {}: what is not built yet and in no cache \
                 fails there, unless its configuration is cross-compiled",
                systems.join(", ")
            );
            Ok(Some(Reason::new(Code::NoBuilder, text)))
        }
        judged => judged,
    }
}

/// Asks the builder of a host for which systems it builds, where hosts.toml names the system of neither: preflight
/// wants to know it when the host has answered. One that does not answer is asked again then.
pub(super) async fn ask_for_systems(step: &Step) {
    let Ok(host) = step.config() else { return };
    let fleet = &step.shared.fleet;
    let route = &step.host.route;
    let builder = fleet.host(route.builder(&host.name)).filter(|_| route.travels());
    if let Some(builder) = builder
        && step.host.given.is_none()
        && host.system.is_none()
        && builder.system.is_none()
    {
        let runner = step.shared.runner.as_ref();
        let ask = || builds_for(runner, &builder.name);
        drop(step.shared.builders.cell(builder.name.as_str()).get(SharedTry::UnderWay, ask).await);
    }
}

/// Judges whether a builder builds for a system; its own comes first among those that it builds for.
fn judge_systems(
    host: &str,
    system: &str,
    builder: &str,
    systems: &[String],
) -> Result<Option<Reason>, Failure> {
    if systems.first().is_some_and(|native| native == system) {
        return Ok(None);
    }
    if systems.iter().any(|known| known == system) {
        let text = format!(
            "{builder} builds for {system} by emulation or through a machine that its own Nix knows, since it \
             is {}",
            systems.first().map_or("of an unknown system", String::as_str)
        );
        return Ok(Some(Reason::new(Code::BuildEmulated, text)));
    }
    let text = format!(
        "{host}: nobody builds for it: it is {system}, and its builder {builder} builds only for {}. Set \
         boot.binfmt.emulatedSystems = [ \"{system}\" ] on {builder}, name a builder of that system in [builders] \
         of hosts.toml, or let {host} build its own system with --strategy direct",
        systems.join(", ")
    );
    Err(Failure::failed(Code::NoBuilder, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_of_another_system_is_told_who_builds_for_it() {
        let systems =
            |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let judge = |list: &[&str]| judge_systems("pi", "aarch64-linux", "p620", &systems(list));
        assert_eq!(judge(&["aarch64-linux"]), Ok(None), "its own system");
        let emulated = judge(&["x86_64-linux", "i686-linux", "aarch64-linux"]).unwrap().unwrap();
        assert_eq!(emulated.code, Code::BuildEmulated);
        assert!(
            emulated.text.starts_with("p620 builds for aarch64-linux by emulation"),
            "{emulated}"
        );
        let nobody = judge(&["x86_64-linux"]).unwrap_err().reason;
        assert_eq!(nobody.code, Code::NoBuilder);
        for part in ["nobody builds for it", "[builders]", "--strategy direct", "emulatedSystems"] {
            assert!(nobody.text.contains(part), "{nobody}");
        }
    }
}
