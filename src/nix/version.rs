//! Nix's version, as `nix --version` prints it.

use std::fmt;

/// A version of Nix, comparable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 2, so far.
    pub major: u32,
    /// The minor version.
    pub minor: u32,
    /// The patch; 0 when it is not written.
    pub patch: u32,
}

impl Version {
    /// Makes a version to compare with.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// Parses `nix (Nix) 2.31.2+1`, `nix (Lix, like Nix) 2.93.0` or a plain `2.8`.
    ///
    /// The last word counts; what follows the figures (`pre20251217_…`, `+1`) does not.
    pub fn parse(text: &str) -> Option<Self> {
        let word = text.lines().next()?.split_whitespace().last()?;
        let figures = word.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let mut parts = figures.split('.').map(str::parse);
        let major = parts.next()?.ok()?;
        let minor = parts.next()?.ok()?;
        let patch = parts.next().and_then(Result::ok).unwrap_or(0);
        Some(Self { major, minor, patch })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared_as_numbers() {
        for (text, version) in [
            ("nix (Nix) 2.8.0", Some(Version::new(2, 8, 0))),
            ("nix (Nix) 2.31.2+1\nmore", Some(Version::new(2, 31, 2))),
            ("nix (Nix) 2.34.0pre20251217_b6add8d", Some(Version::new(2, 34, 0))),
            ("nix (Lix, like Nix) 2.93.0", Some(Version::new(2, 93, 0))),
            ("nix (Determinate Nix 3.8.5) 2.30.2", Some(Version::new(2, 30, 2))),
            ("2.18", Some(Version::new(2, 18, 0))),
            ("", None),
            ("nix", None),
            ("nix 99999999999.1", None),
        ] {
            assert_eq!(Version::parse(text), version, "{text}");
        }
        assert!(Version::new(2, 8, 0) < Version::new(2, 18, 0));
    }
}
