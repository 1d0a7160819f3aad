//! `nixdash config check`: says whether the configuration is right, and what it means.

use crate::cli::{CliError, load, strategies, themes};
use crate::config::{self, ConfigError};
use crate::dash::{Keymap, page_of_shortcuts};
use crate::deploy::{builds_for, locate, tracks_flake_file};
use crate::fleet::{Fleet, number_of};
use crate::nix::flake_url::FlakeUrl;
use crate::remote::Remote;
use clap::Subcommand;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Checks hosts.toml and names every mistake with its place and a hint
    Check,
    /// Prints every key of hosts.toml with its values and what it means, in Markdown
    Keys,
    /// Prints every key that can be pressed in the dashboard and what it does, in Markdown
    Shortcuts,
}

pub(super) async fn run(
    hosts: Option<&Path>,
    command: &ConfigCommand,
) -> Result<ExitCode, CliError> {
    match command {
        ConfigCommand::Check => check(hosts).await,
        ConfigCommand::Keys => {
            write!(std::io::stdout().lock(), "{}", config::page_of_keys())?;
            Ok(ExitCode::SUCCESS)
        }
        ConfigCommand::Shortcuts => {
            write!(std::io::stdout().lock(), "{}", page_of_shortcuts())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Something that is no mistake in the file but hardly meant, and what to do about it.
type Warning = (String, String);

/// Says whether the configuration is right.
async fn check(hosts: Option<&Path>) -> Result<ExitCode, CliError> {
    let Some(path) = load::find(hosts) else {
        let text = "no hosts.toml: nixdash shows this machine and cache.nixos.org";
        writeln!(std::io::stdout(), "{text}")?;
        return Ok(ExitCode::SUCCESS);
    };
    let fleet = load::read(&path)?;
    let mut mistakes = strategies::mistakes(&fleet);
    mistakes.extend(themes::mistake(&fleet));
    let (_, wrong_keys) = Keymap::of(&fleet);
    let placed = |wrong: ConfigError| {
        let ConfigError { line, column, message, hint, .. } = wrong;
        (format!("line {line}, column {column}: {message}"), hint)
    };
    mistakes.extend(wrong_keys.into_iter().map(placed));
    if !mistakes.is_empty() {
        return Err(CliError::Mistakes { path, mistakes });
    }
    // Only a trusted file may say how hosts are reached.
    let trusted = load::load(hosts)?;
    let mut warnings = empty_fleet(&fleet);
    warnings.extend(flake_warning(&fleet).await);
    warnings.extend(system_warnings(&fleet, trusted).await);
    let hosts = number_of(fleet.hosts.len(), "host");
    let tiers = number_of(fleet.tiers.len(), "tier");
    let right = match warnings.len() {
        0 => "right".to_owned(),
        number => format!("right, with {}", number_of(number, "warning")),
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}: {right}; {hosts}, {tiers}", path.display())?;
    if fleet.hosts.is_empty() && !fleet.tiers.is_empty() {
        let how = "add [hosts.NAME] for each machine, or let `nixdash init` propose what it finds";
        writeln!(out, "the file names no host: {how}")?;
    }
    for (message, hint) in warnings {
        writeln!(out, "warning: {message}\n  hint: {hint}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Warns of a file that names nothing. One that names hosts only, or tiers only, is looked at as it is.
fn empty_fleet(fleet: &Fleet) -> Vec<Warning> {
    if fleet.hosts.is_empty() && fleet.tiers.is_empty() {
        let hint = "add [hosts.NAME] for a machine, or [[tiers]] for a cache";
        vec![("the file names no host and no tier".to_owned(), hint.to_owned())]
    } else {
        Vec::new()
    }
}

/// Looks whether a flake of this machine is there, and whether Nix will see it.
async fn flake_warning(fleet: &Fleet) -> Option<Warning> {
    let url = FlakeUrl::parse(fleet.flake.as_deref()?);
    let warning =
        |message: String, hint: String| Some((format!("`flake` in [fleet]: {message}"), hint));
    match locate(&url)? {
        Err(problem) => warning(problem.to_string(), problem.hint().to_owned()),
        Ok(_) if url.param("ref").is_some() || url.param("rev").is_some() => None,
        Ok(flake) if tracks_flake_file(&flake).await => None,
        Ok(flake) => {
            let file = Path::new(&flake.dir).join("flake.nix");
            let (root, file) = (flake.root.display(), file.display());
            warning(
                format!("git does not track {file} in {root}, and Nix reads only what git tracks"),
                format!("run `git -C {root} add {file}`"),
            )
        }
    }
}

/// Hosts of another system than the host that builds for them, by builder: name and system.
type Foreign<'a> = BTreeMap<&'a str, Vec<(&'a str, &'a str)>>;

/// Returns the hosts whose builder has another system, or one that is not written.
fn foreign_hosts(fleet: &Fleet) -> Foreign<'_> {
    let mut foreign = Foreign::new();
    for host in &fleet.hosts {
        let (Some(system), Some(builder)) = (host.system.as_deref(), fleet.build_on(host)) else {
            continue;
        };
        let builders = fleet.host(builder).and_then(|host| host.system.as_deref());
        if builder != host.name && builders != Some(system) {
            foreign.entry(builder).or_default().push((&host.name, system));
        }
    }
    foreign
}

/// Asks builders whether they can build for hosts of other systems, and names those hosts that have
/// no builder.
async fn system_warnings(fleet: &Fleet, trusted: Fleet) -> Vec<Warning> {
    let foreign = foreign_hosts(fleet);
    if foreign.is_empty() {
        return Vec::new();
    }
    let doubt = trusted.trust.doubt().map(|_| "hosts.toml is not trusted yet".to_owned());
    let runner = Remote::new(Arc::new(trusted));
    let mut warnings = Vec::new();
    for (builder, hosts) in foreign {
        let known = match &doubt {
            Some(doubt) => Err(doubt.clone()),
            None => builds_for(&runner, builder).await.map_err(|why| why.to_string()),
        };
        warnings.extend(hosts.iter().filter_map(|host| system_warning(builder, *host, &known)));
    }
    runner.close().await;
    warnings
}

/// Warns of a host that its builder cannot build for, or may not be able to.
fn system_warning(
    builder: &str,
    (host, system): (&str, &str),
    known: &Result<Vec<String>, String>,
) -> Option<Warning> {
    let message = match known {
        Ok(systems) if systems.iter().any(|known| known == system) => return None,
        Ok(systems) => format!(
            "{host} is {system}, and its builder {builder} builds only for {}",
            systems.join(", ")
        ),
        Err(why) => format!(
            "{host} is {system}, and it is not known whether its builder {builder} builds for \
             {system}: {why}"
        ),
    };
    let hint = format!(
        "on {builder} set boot.binfmt.emulatedSystems = [ \"{system}\" ], name a builder of that system in \
         [builders], or let {host} build its own system: strategy = \"direct\" in [hosts.{host}]"
    );
    Some((message, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_its_builder_cannot_build_for_is_named() {
        let text = "[fleet]\nbuilder = \"p620\"\n[hosts.p620]\nsystem = \"x86_64-linux\"\n\
            [hosts.pi]\nsystem = \"aarch64-linux\"\n[hosts.own]\nsystem = \"aarch64-linux\"\n\
            strategy = \"direct\"\n[hosts.razer]\nsystem = \"x86_64-linux\"\n[hosts.any]\n";
        let fleet = crate::config::parse(text, Path::new("hosts.toml"), None).unwrap();
        let foreign = foreign_hosts(&fleet);
        assert_eq!(foreign, BTreeMap::from([("p620", vec![("pi", "aarch64-linux")])]));
        let plain = Ok(vec!["x86_64-linux".to_owned(), "i686-linux".to_owned()]);
        let (message, hint) = system_warning("p620", ("pi", "aarch64-linux"), &plain).unwrap();
        assert_eq!(
            message,
            "pi is aarch64-linux, and its builder p620 builds only for x86_64-linux, i686-linux"
        );
        assert!(hint.contains("binfmt") && hint.contains("direct"), "{hint}");
        let emulating = Ok(vec!["x86_64-linux".to_owned(), "aarch64-linux".to_owned()]);
        assert_eq!(system_warning("p620", ("pi", "aarch64-linux"), &emulating), None);
        let asleep = Err("p620: no route".to_owned());
        let (message, _) = system_warning("p620", ("pi", "aarch64-linux"), &asleep).unwrap();
        assert!(
            message.contains("it is not known whether") && message.contains(": p620: no route"),
            "{message}"
        );
    }
}
