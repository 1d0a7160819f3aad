//! `nixdash config check`: says whether the configuration is right, and what it means.

use crate::cli::{CliError, load};
use clap::Subcommand;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Checks it and says every mistake with its place and a hint
    Check,
}

pub(super) fn run(hosts: Option<&Path>, command: &ConfigCommand) -> Result<ExitCode, CliError> {
    let ConfigCommand::Check = command;
    let mut out = std::io::stdout().lock();
    let Some(path) = load::find(hosts) else {
        writeln!(out, "no hosts.toml: nixdash shows this machine and cache.nixos.org")?;
        return Ok(ExitCode::SUCCESS);
    };
    let fleet = load::read(&path)?;
    let hosts = counted(fleet.hosts.len(), "host");
    let tiers = counted(fleet.tiers.len(), "tier");
    writeln!(out, "{}: right; {hosts}, {tiers}", path.display())?;
    Ok(ExitCode::SUCCESS)
}

/// Returns a number with the word it counts.
fn counted(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}
