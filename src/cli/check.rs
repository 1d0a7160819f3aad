//! `nixdash config check`: says whether the configuration is right, and what it means.

use crate::cli::{CliError, load};
use crate::config;
use crate::fleet::Fleet;
use clap::Subcommand;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Checks it and says every mistake with its place and a hint
    Check,
    /// Prints every key of hosts.toml with its values and what it means, in Markdown
    Keys,
}

pub(super) fn run(hosts: Option<&Path>, command: &ConfigCommand) -> Result<ExitCode, CliError> {
    match command {
        ConfigCommand::Check => check(hosts),
        ConfigCommand::Keys => {
            write!(std::io::stdout().lock(), "{}", config::page_of_keys())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Says whether the configuration is right.
fn check(hosts: Option<&Path>) -> Result<ExitCode, CliError> {
    let mut out = std::io::stdout().lock();
    let Some(path) = load::find(hosts) else {
        writeln!(out, "no hosts.toml: nixdash shows this machine and cache.nixos.org")?;
        return Ok(ExitCode::SUCCESS);
    };
    let fleet = load::read(&path)?;
    let warnings = warnings(&fleet);
    let hosts = counted(fleet.hosts.len(), "host");
    let tiers = counted(fleet.tiers.len(), "tier");
    let right = match warnings.len() {
        0 => "right".to_owned(),
        number => format!("right, with {}", counted(number, "warning")),
    };
    writeln!(out, "{}: {right}; {hosts}, {tiers}", path.display())?;
    for (message, hint) in warnings {
        writeln!(out, "warning: {message}\n  hint: {hint}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns what is no mistake in the file, but hardly meant, each with what to do about it.
fn warnings(fleet: &Fleet) -> Vec<(String, String)> {
    let mut warnings = Vec::new();
    let nothing = match (fleet.hosts.is_empty(), fleet.tiers.is_empty()) {
        (true, true) => {
            Some(("it names no host and no tier", "add [hosts.NAME], and [[tiers]] for its caches"))
        }
        (true, false) => {
            Some(("it names no host, and `nixdash status` wants one", "add [hosts.NAME]"))
        }
        // A fleet without caches deploys directly.
        (false, _) => None,
    };
    warnings.extend(nothing.map(|(message, hint)| (message.to_owned(), hint.to_owned())));
    if let Some(folder) = fleet.flake.as_deref().and_then(local_flake)
        && !folder.exists()
    {
        let message = format!("`flake` in [fleet]: there is no {} here", folder.display());
        let hint = "name the folder where flake.nix is, or a reference such as github:me/nixos";
        warnings.push((message, hint.to_owned()));
    }
    warnings
}

/// Returns the path of a flake that is one on this machine; of one fetched from elsewhere nothing.
fn local_flake(flake: &str) -> Option<&Path> {
    let path = flake.strip_prefix("path:").or_else(|| flake.strip_prefix("git+file://"));
    let path = path.unwrap_or(flake).split('?').next()?;
    path.starts_with('/').then(|| Path::new(path))
}

/// Returns a number with the word it counts.
fn counted(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_flake_on_this_machine_has_a_path_to_look_for() {
        for (flake, path) in [
            ("/home/me/nixos", Some("/home/me/nixos")),
            ("path:/home/me/nixos?dir=x", Some("/home/me/nixos")),
            ("git+file:///home/me/nixos?ref=main", Some("/home/me/nixos")),
            ("git+ssh://git@example.org/nixos", None),
            ("github:me/nixos", None),
            ("nixos", None),
        ] {
            assert_eq!(local_flake(flake), path.map(Path::new), "{flake}");
        }
    }
}
