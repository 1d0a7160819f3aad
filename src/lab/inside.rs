//! Reaching into a running host past its network: what the operator of real machines would do at their keyboard.

use super::container;
use super::error::LabError;
use super::names::LabHost;
use super::state::LabRecord;
use super::tool::Tool;

/// What root finds on a NixOS host.
const PATH: &str = "PATH=/run/wrappers/bin:/run/current-system/sw/bin";

/// A command as root on a host; the host has to run.
pub(crate) fn command(record: &LabRecord, host: LabHost, doing: &str) -> Result<Tool, LabError> {
    let leader = container::leader(record, host)
        .ok_or_else(|| LabError::HostOff { host: host.name.to_owned() })?;
    let term = std::env::var("TERM").unwrap_or_else(|_| "dumb".to_owned());
    Ok(Tool::new(format!("{doing} on {}", host.name), "nsenter")
        .arg(format!("--target={leader}"))
        .args([
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--cgroup",
            "--root",
            "--wdns=/root",
            "--",
        ])
        .args(["/usr/bin/env", "-i", PATH, "HOME=/root", "USER=root"])
        .arg(format!("TERM={term}")))
}

/// Runs a command with this terminal, or a shell; returns its exit code.
pub(crate) fn interactive(
    record: &LabRecord,
    host: LabHost,
    words: &[String],
) -> Result<u8, LabError> {
    let tool = command(record, host, "running a command")?;
    let tool = if words.is_empty() { tool.args(["/bin/bash", "--norc"]) } else { tool.args(words) };
    let status = tool.command().status().map_err(|source| LabError::Start {
        doing: format!("running a command on {}", host.name),
        program: "nsenter".to_owned(),
        source,
    })?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
