//! In what the implementations and versions of Nix differ when they read a narinfo.
//!
//! Taken from their sources: Nix 2.8 to 2.36 (as it stood in August 2026), Lix 2.90 to 2.95, and
//! Determinate Nix, which reads narinfos as the Nix that it is made from. 2.26 and 2.34 are also
//! compared with the real programs, in `tests/it/narinfo_truth`.

use crate::nix::version::{Implementation, NixRelease, Version};

/// When signatures (`Sig:`) are looked at, and what a bad one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureReading {
    /// When they are checked, and only those under a trusted name: one that is no base 64, or has
    /// another length, stops Nix there.
    WhenTrusted,
    /// When they are checked, all of them: one that is no base 64 stops Lix, whatever its name.
    WhenChecked,
    /// While the narinfo is parsed: one without a name, or without base 64 after it, refuses the
    /// whole narinfo.
    WhileParsing,
}

/// What is made of the label of the nar (`Compression:`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelReading {
    /// Nothing, unless it is `none` or `br`: the nar is unpacked by what it is.
    Ignored,
    /// The nar is unpacked by it; a label that libarchive does not know fails then.
    AppliedWhenUnpacking {
        /// Whether `identity` means the same as `none`.
        identity: bool,
    },
    /// A label that Nix does not know refuses the whole narinfo.
    KnownWhileParsing,
}

/// What may stand between hash and name of a store path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashSeparator {
    /// Any byte: nobody looks.
    Any,
    /// A dash.
    Dash,
}

/// Which names that begin with a dot are names of store paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DotNames {
    /// It changed from patch to patch: such a name is not judged.
    NotKnown,
    /// All but `.`, `..`, and those whose first part before a dash is one of them.
    AllButDots,
}

/// How one version of one implementation reads narinfos.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NarInfoRules {
    /// When signatures are looked at.
    pub signatures: SignatureReading,
    /// What is made of the label.
    pub label: LabelReading,
    /// What stands after the hash of a store path.
    pub separator: HashSeparator,
    /// Which names may begin with a dot.
    pub dot_names: DotNames,
}

/// The first version of Nix that checks every signature while it parses.
pub const STRICT_SIGNATURES: Version = Version::new(2, 34, 0);

/// The first version of Nix that refuses an unknown label while it parses.
pub const KNOWN_LABELS: Version = Version::new(2, 35, 0);

/// The first version of Nix that unpacks a nar by its label.
pub const LABELS_APPLIED: Version = Version::new(2, 22, 0);

/// The first version of Nix that wants a dash after the hash of a store path.
pub const DASH_WANTED: Version = Version::new(2, 35, 2);

impl NarInfoRules {
    /// The rules of the Nix that takes the most while it parses, among those in use.
    pub const LOOSEST: Self = Self {
        signatures: SignatureReading::WhenTrusted,
        label: LabelReading::AppliedWhenUnpacking { identity: true },
        separator: HashSeparator::Any,
        dot_names: DotNames::AllButDots,
    };

    /// Returns the rules of a release; nothing for one whose source nobody has read.
    pub fn of(release: NixRelease) -> Option<Self> {
        match release.implementation {
            Implementation::Nix => Self::of_nix(release.version, Version::new(2, 37, 0)),
            Implementation::Determinate { .. } => {
                Self::of_nix(release.version, Version::new(2, 36, 0))
            }
            Implementation::Lix => Self::of_lix(release.version),
            Implementation::Other => None,
        }
    }

    /// Returns the rules of a version of Nix itself; nothing for one whose source nobody has read.
    pub fn of_plain_nix(version: Version) -> Option<Self> {
        Self::of(NixRelease { implementation: Implementation::Nix, version })
    }

    /// Returns the rules of a version of Nix before `unknown`.
    fn of_nix(version: Version, unknown: Version) -> Option<Self> {
        if version < Version::new(2, 8, 0) || version >= unknown {
            return None;
        }
        let label = if version < LABELS_APPLIED {
            LabelReading::Ignored
        } else if version < KNOWN_LABELS {
            let identity = version >= Version::new(2, 31, 0);
            LabelReading::AppliedWhenUnpacking { identity }
        } else {
            LabelReading::KnownWhileParsing
        };
        let is_strict = version >= STRICT_SIGNATURES;
        let has_dash = version >= DASH_WANTED;
        let dots_known = version >= Version::new(2, 21, 0);
        Some(Self {
            signatures: if is_strict {
                SignatureReading::WhileParsing
            } else {
                SignatureReading::WhenTrusted
            },
            label,
            separator: if has_dash { HashSeparator::Dash } else { HashSeparator::Any },
            dot_names: if dots_known { DotNames::AllButDots } else { DotNames::NotKnown },
        })
    }

    /// Returns the rules of a version of Lix, which went its own way from Nix 2.18 on.
    fn of_lix(version: Version) -> Option<Self> {
        if version < Version::new(2, 90, 0) || version >= Version::new(2, 96, 0) {
            return None;
        }
        let checks_all = version >= Version::new(2, 94, 0);
        Some(Self {
            signatures: if checks_all {
                SignatureReading::WhenChecked
            } else {
                SignatureReading::WhenTrusted
            },
            label: LabelReading::Ignored,
            separator: HashSeparator::Any,
            dot_names: DotNames::AllButDots,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Option<NarInfoRules> {
        NarInfoRules::of(NixRelease::parse(text).unwrap())
    }

    #[test]
    fn each_change_is_at_its_version() {
        let nix = |minor, patch| NarInfoRules::of_plain_nix(Version::new(2, minor, patch)).unwrap();
        assert_eq!(nix(21, 9).label, LabelReading::Ignored);
        assert_eq!(nix(22, 0).label, LabelReading::AppliedWhenUnpacking { identity: false });
        assert_eq!(nix(31, 0).label, LabelReading::AppliedWhenUnpacking { identity: true });
        assert_eq!(nix(35, 0).label, LabelReading::KnownWhileParsing);
        assert_eq!(nix(33, 6).signatures, SignatureReading::WhenTrusted);
        assert_eq!(nix(34, 0).signatures, SignatureReading::WhileParsing);
        assert_eq!(
            (nix(35, 1).separator, nix(35, 2).separator),
            (HashSeparator::Any, HashSeparator::Dash)
        );
    }

    #[test]
    fn lix_is_not_a_nix_newer_than_2_35() {
        let lix = rules("nix (Lix, like Nix) 2.93.0").unwrap();
        assert_eq!(
            (lix.label, lix.signatures),
            (LabelReading::Ignored, SignatureReading::WhenTrusted)
        );
        let lix = rules("nix (Lix, like Nix) 2.95.3").unwrap();
        assert_eq!(lix.signatures, SignatureReading::WhenChecked);
    }

    #[test]
    fn a_version_that_nobody_has_read_has_no_rules() {
        for text in [
            "nix (Nix) 2.7.0",
            "nix (Nix) 2.37.0",
            "nix (Nix) 3.0.0",
            "nix (Determinate Nix 3.30.0) 2.36.0",
            "nix (Lix, like Nix) 2.18.0",
            "nix (Lix, like Nix) 2.96.0",
            "nix (Tvix) 2.30.0",
        ] {
            assert_eq!(rules(text), None, "{text}");
        }
        let determinate = rules("nix (Determinate Nix 3.22.2) 2.35.2").unwrap();
        assert_eq!(Some(determinate), NarInfoRules::of_plain_nix(Version::new(2, 35, 2)));
    }
}
