//! Store paths, and the paths of a closure with their sizes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The directory that every store path of NixOS lies in.
const STORE_DIR: &str = "/nix/store/";

/// Number of characters of the hash part of a store path.
const HASH_LEN: usize = 32;

/// The alphabet of Nix's base 32: no `e`, `o`, `u`, `t`.
const NIX_BASE32: &[u8] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// A store path: `/nix/store/<32 characters of Nix base 32>-<name>`, without a trailing part.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StorePath(String);

/// A text that is not a store path, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a store path: {why}")]
pub struct StorePathError {
    text: String,
    why: &'static str,
}

impl StorePath {
    /// Parses a full store path; text after the name (`/bin/sh`) is refused.
    pub fn parse(text: &str) -> Result<Self, StorePathError> {
        let fail = |why| Err(StorePathError { text: text.chars().take(200).collect(), why });
        let Some(base) = text.strip_prefix(STORE_DIR) else {
            return fail("it does not begin with /nix/store/");
        };
        let Some((hash, name)) = base.split_at_checked(HASH_LEN) else {
            return fail("the hash part is too short");
        };
        if !hash.bytes().all(|byte| NIX_BASE32.contains(&byte)) {
            return fail("the hash part is not Nix base 32");
        }
        let Some(name) = name.strip_prefix('-') else {
            return fail("there is no '-' after the hash part");
        };
        if name.is_empty() || name.len() > 211 {
            return fail("the name must have 1 to 211 characters");
        }
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._?=".contains(&b)) {
            return fail("the name has a character that Nix does not allow");
        }
        Ok(Self(text.to_owned()))
    }

    /// Parses the base name (`<hash>-<name>`), as narinfos list references.
    pub fn from_base_name(base: &str) -> Result<Self, StorePathError> {
        Self::parse(&format!("{STORE_DIR}{base}"))
    }

    /// Returns the whole path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the 32 characters of the hash part.
    pub fn hash(&self) -> &str {
        &self.0[STORE_DIR.len()..STORE_DIR.len() + HASH_LEN]
    }

    /// Returns the name after the hash, such as `firefox-145.0`.
    pub fn name(&self) -> &str {
        &self.0[STORE_DIR.len() + HASH_LEN + 1..]
    }

    /// Returns hash and name without the store directory.
    pub fn base_name(&self) -> &str {
        &self.0[STORE_DIR.len()..]
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for StorePath {
    type Error = StorePathError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<StorePath> for String {
    fn from(path: StorePath) -> Self {
        path.0
    }
}

/// One path of a closure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosurePath {
    /// The path.
    pub path: StorePath,
    /// Size of its NAR serialisation in bytes, as Nix's database has it.
    pub nar_size: u64,
}

/// What a tier said of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathAnswer {
    /// The path.
    pub path: StorePath,
    /// Whether the tier holds it.
    pub holds: bool,
    /// When it said so.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-top";

    #[test]
    fn a_store_path_has_a_hash_and_a_name() {
        let path = StorePath::parse(PATH).unwrap();
        assert_eq!(path.hash(), "l0znnv1nxsr0ry7gmadkh49s1d0hycgd");
        assert_eq!(path.name(), "top");
        assert_eq!(path.base_name(), "l0znnv1nxsr0ry7gmadkh49s1d0hycgd-top");
    }

    #[test]
    fn what_is_no_store_path_is_refused() {
        for text in [
            "",
            "/nix/store/",
            "/nix/store/short-name",
            "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd",
            "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-",
            "/nix/store/e0znnv1nxsr0ry7gmadkh49s1d0hycgd-top",
            "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-top/bin/sh",
            "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-to p",
            "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycé-top",
        ] {
            assert!(StorePath::parse(text).is_err(), "{text}");
        }
    }
}
