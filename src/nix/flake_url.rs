//! References to flakes, as far as nixdash must understand them: which of them are on this machine,
//! and what of them is asked for.
//!
//! The forms are those of the manual's page on `nix flake`: a path, `path:`, `git+file:` and so on.
//! Everything else (`github:`, `tarball+https:`, a name of the registry) is left to Nix.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Parameters that a reference keeps when the same source lies in another place. `ref` and `rev` are
/// not among them: what was fetched for them is the source itself.
const KEPT: [&str; 6] = ["dir", "submodules", "shallow", "lfs", "exportIgnore", "narHash"];

/// What a flake reference names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlakeKind {
    /// A folder by its path alone: Nix looks for the git repository around it.
    Folder(PathBuf),
    /// A folder as it is (`path:`), also where it lies in a git repository.
    Path(PathBuf),
    /// A git repository on this machine (`git+file:`).
    GitFile(PathBuf),
    /// A git repository that is fetched over ssh; its address without `git+` and parameters.
    GitSsh(String),
    /// Something that Nix fetches from elsewhere, or looks up.
    Elsewhere,
}

/// A flake reference, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlakeUrl {
    /// What it names.
    pub kind: FlakeKind,
    /// Its parameters, with their percent signs decoded.
    params: BTreeMap<String, String>,
}

impl FlakeUrl {
    /// Takes a reference apart. A relative path stays relative: `hosts.toml` has none of them any more.
    pub fn parse(text: &str) -> Self {
        let (place, query) = text.split_once('?').unwrap_or((text, ""));
        let kind = match scheme(place) {
            None if place.starts_with('/') => FlakeKind::Folder(PathBuf::from(place)),
            Some(("path", rest)) => FlakeKind::Path(local_path(rest)),
            Some(("git+file", rest)) => FlakeKind::GitFile(local_path(rest)),
            Some(("git+ssh", rest)) => FlakeKind::GitSsh(format!("ssh:{rest}")),
            None | Some(_) => FlakeKind::Elsewhere,
        };
        let params = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (decoded(key), decoded(value)))
            .collect();
        Self { kind, params }
    }

    /// Returns the path of a flake on this machine.
    pub fn path(&self) -> Option<&Path> {
        match &self.kind {
            FlakeKind::Folder(path) | FlakeKind::Path(path) | FlakeKind::GitFile(path) => {
                Some(path)
            }
            FlakeKind::GitSsh(_) | FlakeKind::Elsewhere => None,
        }
    }

    /// Returns a parameter.
    pub fn param(&self, key: &str) -> Option<&str> {
        self.params.get(key).map(String::as_str)
    }

    /// Returns whether a parameter is set to yes, as Nix reads it.
    pub fn is_set(&self, key: &str) -> bool {
        self.param(key) == Some("1")
    }

    /// Returns the folder with `flake.nix` below what is fetched; empty where that is its root.
    pub fn dir(&self) -> &str {
        self.param("dir").unwrap_or_default().trim_matches('/')
    }

    /// Returns the reference of the same flake at another place: `scheme` is `path` or `git+file`,
    /// `dir` the folder with `flake.nix` below the place, `is_shallow` whether commits are missing.
    pub fn at(&self, scheme: &str, place: &str, dir: &str, is_shallow: bool) -> String {
        let mut params = self.params.clone();
        params.retain(|key, _| KEPT.contains(&key.as_str()));
        if scheme == "path" {
            params.retain(|key, _| key == "narHash");
        }
        if is_shallow {
            params.insert("shallow".to_owned(), "1".to_owned());
        }
        params.remove("dir");
        if !dir.is_empty() {
            params.insert("dir".to_owned(), dir.to_owned());
        }
        let query: Vec<String> =
            params.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        // Nix takes `path:` without an authority, and `git+file` only with an empty one.
        let slashes = if scheme == "path" { "" } else { "//" };
        format!("{scheme}:{slashes}{}{mark}{}", encoded(place), query.join("&"))
    }
}

/// Splits a reference into its scheme and what follows the colon; nothing for one without.
pub fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let fits = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    fits.then_some((scheme, rest))
}

/// Returns whether what follows a scheme is a path of this machine.
pub fn is_local_scheme(scheme: &str) -> bool {
    scheme == "path" || scheme == "file" || scheme.ends_with("+file")
}

/// Returns the path in `///path` or `/path`.
fn local_path(rest: &str) -> PathBuf {
    PathBuf::from(decoded(rest.strip_prefix("//").unwrap_or(rest)))
}

/// Decodes percent signs; what is no such code stays as it is.
pub fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// Encodes what cannot stand in a path or value of a URL.
pub fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~:=+@,".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _written = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_on_this_machine_is_known_by_its_scheme() {
        for (text, path) in [
            ("/home/me/nixos", Some("/home/me/nixos")),
            ("/home/me/my nixos?submodules=1", Some("/home/me/my nixos")),
            ("path:/home/me/nixos?dir=x", Some("/home/me/nixos")),
            ("git+file:///home/me/my%20nixos?ref=main", Some("/home/me/my nixos")),
            ("git+file:/home/me/nixos", Some("/home/me/nixos")),
            ("git+ssh://git@example.org/nixos", None),
            ("github:me/nixos", None),
            ("nixos", None),
        ] {
            assert_eq!(FlakeUrl::parse(text).path(), path.map(Path::new), "{text}");
        }
        let ssh = FlakeUrl::parse("git+ssh://git@example.org/nixos?ref=main");
        assert_eq!(ssh.kind, FlakeKind::GitSsh("ssh://git@example.org/nixos".to_owned()));
        assert_eq!(ssh.param("ref"), Some("main"));
    }

    #[test]
    fn the_same_flake_elsewhere_keeps_what_says_how_it_is_read() {
        let url = FlakeUrl::parse(
            "git+file:///r?dir=nixos&ref=main&submodules=1&narHash=sha256-a%2Bb%3D",
        );
        assert_eq!(
            url.at("git+file", "/x/source-1", url.dir(), true),
            "git+file:///x/source-1?dir=nixos&narHash=sha256-a+b=&shallow=1&submodules=1"
        );
        let plain = FlakeUrl::parse("/home/me/nixos");
        assert_eq!(plain.at("path", "/x/a b", "sub dir", false), "path:/x/a%20b?dir=sub%20dir");
        assert_eq!(plain.at("git+file", "/x", "", false), "git+file:///x");
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(text in any::<String>()) {
            prop_assert_eq!(decoded(&encoded(&text)), text);
        }

        #[test]
        fn no_reference_panics(text in any::<String>()) {
            let url = FlakeUrl::parse(&text);
            let _reference = url.at("git+file", "/x", url.dir(), false);
        }
    }
}
