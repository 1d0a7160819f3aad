//! Finds and reads `hosts.toml`.

use crate::cli::CliError;
use crate::config;
use crate::fleet::Fleet;
use std::path::{Path, PathBuf};

/// Biggest file that is taken for a fleet's, in bytes.
const SIZE_LIMIT: u64 = 4 << 20;

/// Returns the file to read: the one that was named, else the first that is there.
///
/// A file named by `--hosts` or `$NIXDASH_HOSTS` must be there; the others may be missing.
pub(super) fn find(named: Option<&Path>) -> Option<PathBuf> {
    if let Some(path) = named {
        return Some(path.to_path_buf());
    }
    if let Some(path) = std::env::var_os("NIXDASH_HOSTS").filter(|path| !path.is_empty()) {
        return Some(PathBuf::from(path));
    }
    let config = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".config")))
        .map(|dir| dir.join("nixdash/hosts.toml"));
    [Some(PathBuf::from("hosts.toml")), config].into_iter().flatten().find(|path| path.is_file())
}

/// Reads a file and returns the fleet.
pub(super) fn read(path: &Path) -> Result<Fleet, CliError> {
    let failed = |source| CliError::ReadConfig { path: path.display().to_string(), source };
    let data = std::fs::metadata(path).map_err(failed)?;
    if !data.is_file() || data.len() > SIZE_LIMIT {
        return Err(failed(std::io::Error::other("it is not a file of at most 4 MiB")));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let home = std::env::home_dir();
    // What the file names is used from other folders too: a deploy outlives the one it began in,
    // and Nix takes `nixos` for a name in its registry rather than for a folder.
    let whole = std::path::absolute(path).map_err(failed)?;
    config::parse(&text, &whole, home.as_deref()).map_err(|mut errors| {
        for error in &mut errors.0 {
            path.clone_into(&mut error.file);
        }
        errors.into()
    })
}

/// Returns the fleet to work on: from the file, or this machine and cache.nixos.org.
pub(super) fn load(named: Option<&Path>) -> Result<Fleet, CliError> {
    let Some(path) = find(named) else { return Ok(config::fallback()) };
    read(&path)
}
