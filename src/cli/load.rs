//! Finds and reads `hosts.toml`.

use crate::cli::CliError;
use crate::cli::trust::{self, Doubt};
use crate::config;
use crate::fleet::{Fleet, Trust};
use crate::record::{KeptSilences, state_home};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Biggest file that is taken for a fleet's, in bytes.
const SIZE_LIMIT: u64 = 4 << 20;

/// A file that was read.
pub(super) struct HostsFile {
    /// Its whole path.
    pub(super) file: PathBuf,
    /// What is in it.
    pub(super) text: String,
    /// What that means.
    pub(super) fleet: Fleet,
}

/// Returns the file to read: the one that was named, else the first that is there; and whether it
/// is the one in the current folder, which nobody named.
///
/// A file named by `--hosts` or `$NIXDASH_HOSTS` must be there; the others may be missing.
fn look(named: Option<&Path>) -> Option<(PathBuf, bool)> {
    if let Some(path) = named {
        return Some((path.to_path_buf(), false));
    }
    if let Some(path) = std::env::var_os("NIXDASH_HOSTS").filter(|path| !path.is_empty()) {
        return Some((PathBuf::from(path), false));
    }
    let here = PathBuf::from("hosts.toml");
    if here.is_file() {
        return Some((here, true));
    }
    let config = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".config")))
        .map(|dir| dir.join("nixdash/hosts.toml"));
    config.filter(|path| path.is_file()).map(|path| (path, false))
}

/// Returns the file to read, as [`look`] finds it.
pub(super) fn find(named: Option<&Path>) -> Option<PathBuf> {
    look(named).map(|(path, _)| path)
}

/// Reads a file and returns the fleet.
pub(super) fn read(path: &Path) -> Result<Fleet, CliError> {
    read_whole(path).map(|found| found.fleet)
}

/// Reads a file.
pub(super) fn read_whole(path: &Path) -> Result<HostsFile, CliError> {
    let failed = |source| CliError::ReadConfig { path: path.display().to_string(), source };
    let data = std::fs::metadata(path).map_err(failed)?;
    if !data.is_file() || data.len() > SIZE_LIMIT {
        return Err(failed(std::io::Error::other("it is not a file of at most 4 MiB")));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let home = std::env::home_dir();
    // What the file names is used from other folders too: a deploy outlives the one it began in,
    // and Nix takes `nixos` for a name in its registry rather than for a folder.
    let file = std::path::absolute(path).map_err(failed)?;
    let fleet = config::parse(&text, &file, home.as_deref()).map_err(|mut errors| {
        for error in &mut errors.0 {
            path.clone_into(&mut error.file);
        }
        errors
    })?;
    Ok(HostsFile { file, text, fleet })
}

/// Returns the fleet to work on: from the file, or this machine and cache.nixos.org. Of a file that
/// was found in the current folder and is not trusted only what it may show.
pub(super) fn load(named: Option<&Path>) -> Result<Fleet, CliError> {
    load_asking(named, |_, _| Ok(false))
}

/// Does what [`load`] does, and lets a person trust the file first: `ask` returns whether they did.
pub(super) fn load_asking(
    named: Option<&Path>,
    ask: impl Fn(&HostsFile, &Doubt) -> Result<bool, CliError>,
) -> Result<Fleet, CliError> {
    let Some((path, is_here)) = look(named) else { return Ok(silenced(config::fallback())) };
    let mut found = read_whole(&path)?;
    found.fleet = silenced(found.fleet);
    if !is_here {
        return Ok(found.fleet);
    }
    match trust::doubt(&state_home(), &found.file, &found.text, &found.fleet) {
        Some(doubt) if !ask(&found, &doubt)? => {
            Ok(found.fleet.untrusted(doubt.sentence(&found.file)))
        }
        Some(_) | None => Ok(found.fleet),
    }
}

/// Returns a fleet with what a person silenced on the screen or with `nixdash silence`. Where that cannot
/// be read, more is told than somebody wants to hear, and why.
fn silenced(mut fleet: Fleet) -> Fleet {
    match KeptSilences::of(&state_home(), fleet.file.as_deref()).all() {
        Ok(kept) => fleet.alarms.silences.extend(kept),
        Err(error) => tracing::warn!("what is silenced could not be read: {error}"),
    }
    fleet
}

/// Does what [`load`] does, for what needs a trusted file.
pub(super) fn load_trusted(named: Option<&Path>) -> Result<Fleet, CliError> {
    let fleet = load(named)?;
    match fleet.trust {
        Trust::Trusted => Ok(fleet),
        Trust::Untrusted(why) => Err(CliError::Untrusted(why)),
    }
}

/// Does what [`load`] does, and says on standard error when the file is not trusted.
pub(super) fn load_saying(named: Option<&Path>) -> Result<Fleet, CliError> {
    let fleet = load(named)?;
    if let Some(why) = fleet.trust.doubt() {
        // Nobody may be there to read it.
        drop(writeln!(std::io::stderr(), "nixdash: {why}"));
    }
    Ok(fleet)
}
