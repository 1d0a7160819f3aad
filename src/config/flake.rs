//! `flake` in `[fleet]`: a folder, which is made whole, or a reference that Nix understands.

use crate::config::value::{Meaning, fail, path};
use crate::fleet::redact;
use crate::nix::flake_url::{decoded, encoded, is_local_scheme, scheme};
use std::path::Path;

/// Checks a flake reference; every path in one becomes whole, as [`path`] says.
///
/// A text without a scheme is a path: in Nix it can be a name of the registry too, which it is or is
/// not by the folder that one happens to be in.
pub(super) fn flake(text: &str, home: Option<&Path>, folder: &Path) -> Meaning<String> {
    if has_password(text) {
        return fail(
            "there is a password or a token in it",
            "a secret is never written here: let git ask for it (`git config credential.helper`), \
             use git+ssh://, or put it into Nix's access-tokens or netrc-file",
        );
    }
    if text.contains('#') {
        return fail(
            "there is an attribute in it",
            "name only the flake here; a host's `attribute` names what to build",
        );
    }
    if text.starts_with('-') || text.chars().any(char::is_control) {
        return fail(
            format!("{text:?} is not a flake reference"),
            "a folder, or github:owner/name",
        );
    }
    let (place, query) = match text.split_once('?') {
        Some((place, query)) => (place, format!("?{query}")),
        None => (text, String::new()),
    };
    match scheme(place) {
        None => Ok(format!("{}{query}", whole(place, home, folder)?)),
        Some((scheme, rest)) if is_local_scheme(scheme) => {
            let rest = match rest.strip_prefix("//") {
                Some(path) if path.starts_with('/') => path,
                Some(_) => {
                    return fail(
                        format!("after {scheme}:// a machine would be named"),
                        format!(
                            "write {scheme}:./FOLDER for a folder beside this file, or {scheme}:///FOLDER \
                             for a whole path"
                        ),
                    );
                }
                None => rest,
            };
            let path = encoded(&whole(&decoded(rest), home, folder)?);
            let slashes = if scheme == "path" { "" } else { "//" };
            Ok(format!("{scheme}:{slashes}{path}{query}"))
        }
        Some(_) => Ok(text.to_owned()),
    }
}

/// Returns a path as a whole one, without a slash at its end.
fn whole(text: &str, home: Option<&Path>, folder: &Path) -> Meaning<String> {
    let last = text.rsplit('/').next().unwrap_or_default();
    if last == "flake.nix" {
        return fail("this is the file of a flake", "name the folder that flake.nix is in");
    }
    // A folder may be called so too, such as `dotfiles.nix`; any other file is told when it is read.
    let files = [
        "configuration.nix",
        "hardware-configuration.nix",
        "default.nix",
        "hive.nix",
        "network.nix",
    ];
    if files.contains(&last) {
        return fail(
            format!("{last:?} is a file of Nix, and no flake"),
            "nixdash reads flakes only, and no hive or configuration.nix without one: write a flake.nix \
             with nixosConfigurations.NAME for every host, and name its folder here",
        );
    }
    let text = if text == "." { "" } else { text };
    let path = path(text, home, folder)?;
    let path = path.to_string_lossy();
    let trimmed = path.trim_end_matches('/');
    Ok(if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() })
}

/// Returns whether a secret is written in a flake reference. A user alone is none, unless it is as
/// long as a token.
fn has_password(text: &str) -> bool {
    let login = text.split_once("://").and_then(|(_, rest)| {
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        authority.rsplit_once('@').map(|(login, _)| login)
    });
    match login {
        Some(user) if !user.contains(':') && user.len() < 20 => {
            let text = text.replacen(&format!("{user}@"), "", 1);
            redact(&text) != text
        }
        Some(_) => true,
        None => redact(text) != text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Checks a reference in `/etc/fleet/hosts.toml`.
    fn found(text: &str) -> Meaning<String> {
        flake(text, Some(Path::new("/home/me")), Path::new("/etc/fleet"))
    }

    #[test]
    fn every_relative_path_starts_from_the_folder_of_the_file() {
        for (text, whole) in [
            (".", "/etc/fleet"),
            ("./x", "/etc/fleet/x"),
            ("lab/fleet", "/etc/fleet/lab/fleet"),
            ("nixos", "/etc/fleet/nixos"),
            ("../nixos/", "/etc/fleet/../nixos"),
            ("~/nixos", "/home/me/nixos"),
            ("/srv/nixos", "/srv/nixos"),
            (".?dir=nixos&submodules=1", "/etc/fleet?dir=nixos&submodules=1"),
            ("path:nixos", "path:/etc/fleet/nixos"),
            ("path:./nixos?dir=a", "path:/etc/fleet/nixos?dir=a"),
            ("path:/srv/nixos", "path:/srv/nixos"),
            ("path:~/nixos", "path:/home/me/nixos"),
            ("git+file:../nixos?ref=main", "git+file:///etc/fleet/../nixos?ref=main"),
            ("git+file:///srv/my%20nixos", "git+file:///srv/my%20nixos"),
            ("git+file:~/my nixos", "git+file:///home/me/my%20nixos"),
            ("tarball+file:nixos.tar.gz", "tarball+file:///etc/fleet/nixos.tar.gz"),
        ] {
            assert_eq!(found(text).as_deref(), Ok(whole), "{text}");
        }
    }

    #[test]
    fn what_nix_fetches_from_elsewhere_stays_as_it_is() {
        for text in [
            "github:me/nixos",
            "flake:nixos",
            "git+ssh://git@x/nixos",
            "git+https://me@x/nixos?ref=main",
            "https://x/n.tar.gz",
        ] {
            assert_eq!(found(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_password_is_not_repeated() {
        for text in [
            "git+https://me:hunter2@x/nixos",
            "git+https://ghp_0123456789hunter2@x/nixos",
            "https://x/nixos.tar.gz?private_token=hunter2",
            "github:me/nixos?token=hunter2",
        ] {
            let (message, hint) = found(text).unwrap_err();
            assert!(!format!("{message}{hint}").contains("hunter2"), "{message}; {hint}");
        }
    }

    #[test]
    fn what_is_no_flake_says_what_to_name_instead() {
        for (text, hint) in [
            ("./flake.nix", "name the folder"),
            ("hive.nix", "no hive"),
            ("git+file://nixos", "git+file:./FOLDER"),
            ("/x#y", "attribute"),
        ] {
            let (_, said) = found(text).unwrap_err();
            assert!(said.contains(hint), "{text}: {said}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_no_path_stays_relative(text in any::<String>()) {
            if let Ok(found) = found(&text) && scheme(&found).is_none() {
                prop_assert!(found.starts_with('/'), "{}", found);
            }
        }
    }
}
