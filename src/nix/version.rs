//! Which Nix a machine has, as `nix --version` prints it.
//!
//! Lix and Determinate Nix are programs of their own with versions of their own: Lix 2.93 is no
//! newer Nix than 2.35. What is known of one says nothing of another, so an [`Implementation`]
//! stands beside every version that behaviour is judged by.

use std::fmt;

/// Which program a `nix` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Implementation {
    /// Nix itself.
    Nix,
    /// Lix, which went its own way from Nix 2.18.
    Lix,
    /// Determinate Nix, which follows Nix with changes of its own.
    Determinate {
        /// Its own version: what its behaviour goes by.
        own: Version,
    },
    /// A program that this version of nixdash does not know.
    Other,
}

/// A program and its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NixRelease {
    /// The program.
    pub implementation: Implementation,
    /// The version that it calls its own; of Determinate Nix the Nix that it was made from.
    pub version: Version,
}

impl NixRelease {
    /// Parses what `nix --version` prints: `nix (Nix) 2.31.2+1`, `nix (Lix, like Nix) 2.93.0` or
    /// `nix (Determinate Nix 3.8.5) 2.30.2`. Nothing where no version is in it.
    pub fn parse(text: &str) -> Option<Self> {
        let line = text.lines().find(|line| line.starts_with("nix ("))?;
        let version = Version::parse(line)?;
        let (_, rest) = line.split_once('(')?;
        let (name, _) = rest.split_once(')')?;
        let implementation = match name.split([' ', ',']).next() {
            Some("Nix") => Implementation::Nix,
            Some("Lix") => Implementation::Lix,
            Some("Determinate") => Version::parse(name)
                .map_or(Implementation::Other, |own| Implementation::Determinate { own }),
            Some(_) | None => Implementation::Other,
        };
        Some(Self { implementation, version })
    }
}

impl fmt::Display for NixRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.implementation {
            Implementation::Nix => write!(f, "Nix {}", self.version),
            Implementation::Lix => write!(f, "Lix {}", self.version),
            Implementation::Determinate { own } => write!(f, "Determinate Nix {own}"),
            Implementation::Other => write!(f, "an unknown Nix {}", self.version),
        }
    }
}

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
    fn a_program_stands_beside_its_version() {
        let own = Version::new(3, 8, 5);
        for (text, implementation, version, shown) in [
            ("nix (Nix) 2.26.3\n", Implementation::Nix, (2, 26, 3), "Nix 2.26.3"),
            ("warning: x\nnix (Nix) 2.31.2+1", Implementation::Nix, (2, 31, 2), "Nix 2.31.2"),
            ("nix (Lix, like Nix) 2.93.0", Implementation::Lix, (2, 93, 0), "Lix 2.93.0"),
            ("nix (Lix, like Nix) 2.95.0-dev", Implementation::Lix, (2, 95, 0), "Lix 2.95.0"),
            (
                "nix (Determinate Nix 3.8.5) 2.30.2",
                Implementation::Determinate { own },
                (2, 30, 2),
                "Determinate Nix 3.8.5",
            ),
            ("nix (Snix) 0.1", Implementation::Other, (0, 1, 0), "an unknown Nix 0.1.0"),
        ] {
            let (major, minor, patch) = version;
            let version = Version::new(major, minor, patch);
            let release = NixRelease::parse(text);
            assert_eq!(release, Some(NixRelease { implementation, version }), "{text}");
            assert_eq!(release.unwrap().to_string(), shown);
        }
        for text in ["", "nix", "2.18", "nix (Nix)", "bash: nix: not found", "nix (Nix 2.3"] {
            assert_eq!(NixRelease::parse(text), None, "{text}");
        }
    }

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
