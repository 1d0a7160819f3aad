//! A copy of this program that runs inside a host of the lab, whatever C library the host has: the program and the libraries
//! it was started with here, and a script that starts the one with the others.

use std::path::PathBuf;

use super::error::{ErrorContext, LabError};
use super::state::{Places, make_dir, remove_tree, write};
use super::tool::Tool;

/// Where a host sees the copy.
pub(crate) const INSIDE: &str = "/opt/nixdash-lab";

/// Where the copy lies here.
pub(crate) fn directory(places: &Places) -> PathBuf {
    places.file("runtime")
}

/// The script that starts it here.
pub(crate) fn program(places: &Places) -> PathBuf {
    directory(places).join("run")
}

/// Makes the copy, where it is not there.
pub(crate) fn ensure(places: &Places) -> Result<(), LabError> {
    let directory = directory(places);
    if program(places).exists() {
        return Ok(());
    }
    remove_tree(&directory)?;
    make_dir(&directory.join("lib"))?;
    let own = std::env::current_exe().at("finding", "/proc/self/exe")?;
    copy(&own, &directory.join("nixdash"))?;
    let listing =
        Tool::new("finding this program's libraries", "ldd").arg(&own).run().unwrap_or_default();
    let libraries = libraries(&listing);
    for library in &libraries {
        if let Some(name) = library.file_name() {
            copy(library, &directory.join("lib").join(name))?;
        }
    }
    write(&program(places), starter(&libraries), 0o755)
}

fn copy(from: &std::path::Path, to: &std::path::Path) -> Result<(), LabError> {
    std::fs::copy(from, to).at("copying", from).map(|_| ())
}

/// The files that `ldd` lists: `NAME => PATH (0x…)` or, for the loader, `PATH (0x…)`.
fn libraries(listing: &str) -> Vec<PathBuf> {
    listing
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(PathBuf::from)
        .collect()
}

/// A script that starts the program by the loader it came with; a static program has none.
fn starter(libraries: &[PathBuf]) -> String {
    let loader = libraries
        .iter()
        .filter_map(|library| library.file_name().and_then(|name| name.to_str()))
        .find(|name| name.starts_with("ld-"));
    let head = "#!/bin/sh\nhere=${0%/*}\n";
    match loader {
        Some(loader) => format!(
            "{head}exec \"$here/lib/{loader}\" --library-path \"$here/lib\" \"$here/nixdash\" \"$@\"\n"
        ),
        None => format!("{head}exec \"$here/nixdash\" \"$@\"\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibgcc_s.so.1 => /lib/x86_64-linux-gnu/libgcc_s.so.1 (0x00007f)\n\
                           \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";

    #[test]
    fn the_loader_and_the_libraries_are_found() {
        let found = libraries(LISTING);
        assert_eq!(found.len(), 2);
        assert!(starter(&found).contains("exec \"$here/lib/ld-linux-x86-64.so.2\" --library-path"));
    }

    #[test]
    fn a_static_program_starts_by_itself() {
        assert!(starter(&[]).ends_with("exec \"$here/nixdash\" \"$@\"\n"));
    }
}
