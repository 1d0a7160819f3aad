//! Names in store paths, as Nix shows them.

use crate::fleet::printable_line;

/// Returns the name of a store path or derivation: what follows the hash.
pub(super) fn name_of(path: &str) -> &str {
    let base = path.rsplit('/').next().unwrap_or(path);
    base.split_once('-').map_or(base, |(_, name)| name)
}

/// Returns the name of a derivation with its version, such as `firefox-145.0`, printable.
pub(super) fn full_name(drv: &str) -> String {
    let name = name_of(drv);
    printable_line(name.strip_suffix(".drv").unwrap_or(name))
}

/// Returns the package of a derivation, such as `firefox` of `…-firefox-145.0.drv`: as Nix does,
/// what stands before the first dash that no letter follows.
pub fn package_of(drv: &str) -> String {
    let name = name_of(drv);
    let name = name.strip_suffix(".drv").unwrap_or(name);
    let bytes = name.as_bytes();
    let end = (1..bytes.len().saturating_sub(1))
        .find(|&index| bytes[index] == b'-' && !bytes[index + 1].is_ascii_alphabetic());
    printable_line(&name[..end.unwrap_or(name.len())])
}

/// Returns the derivation that a message names in quotes, alone or with its outputs
/// (`….drv!*`, `….drv^out`).
pub fn derivation_in(line: &str) -> Option<&str> {
    line.split('\'').find_map(|word| {
        let path = &word[..word.find(".drv")? + ".drv".len()];
        let outputs = &word[path.len()..];
        let is_whole = outputs.is_empty() || outputs.starts_with(['!', '^']);
        (path.starts_with('/') && is_whole).then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_named_as_nix_names_them() {
        for (drv, package) in [
            ("/nix/store/x-firefox-145.0.drv", "firefox"),
            ("/nix/store/x-nixos-system-p620-26.05.drv", "nixos-system-p620"),
            ("/nix/store/x-etc.drv", "etc"),
            ("/nix/store/x-unit-sshd.service.drv", "unit-sshd.service"),
            ("", ""),
        ] {
            assert_eq!(package_of(drv), package);
        }
    }

    #[test]
    fn a_derivation_is_found_with_and_without_its_outputs() {
        for (line, drv) in [
            ("builder for '/nix/store/x-a.drv' failed", Some("/nix/store/x-a.drv")),
            ("building of '/nix/store/x-a.drv!*' from .drv file", Some("/nix/store/x-a.drv")),
            ("needs '/nix/store/x-a.drv^out,dev'", Some("/nix/store/x-a.drv")),
            ("path '/nix/store/x-a.drvs' of 'b.drv'", None),
            ("no derivation", None),
        ] {
            assert_eq!(derivation_in(line), drv);
        }
    }
}
