//! Which build a line of a log is the output of, in few bytes.
//!
//! The name of a package is not enough: one run may build two derivations of the same name.

use std::fmt;

/// How long a tag is, in bytes.
const LENGTH: usize = 8;

/// Tells a build of a run from its others: the first letters of its derivation's hash, or, where the log
/// does not say which derivation that was, the number of Nix's activity behind `#`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildTag([u8; LENGTH]);

impl BuildTag {
    /// Returns the tag of a derivation: of its path, of the name of its file, or of its hash; none where
    /// that has no hash.
    pub fn of_derivation(drv: &str) -> Option<Self> {
        let name = drv.rsplit('/').next()?;
        let hash = name.split('-').next().filter(|hash| hash.len() == 32)?;
        Self::read(hash.as_bytes().get(..LENGTH)?)
    }

    /// Returns the tag of an activity of Nix.
    pub fn of_activity(number: u64) -> Self {
        let mut tag = *b"#0000000";
        let mut rest = number;
        for byte in tag[1..].iter_mut().rev() {
            *byte = b"0123456789abcdef"[(rest % 16) as usize];
            rest /= 16;
        }
        Self(tag)
    }

    /// Reads a tag that stands in a log.
    pub fn read(tag: &[u8]) -> Option<Self> {
        let tag: [u8; LENGTH] = tag.try_into().ok()?;
        let is_letter =
            |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_lowercase() || *byte == b'#';
        tag.iter().all(is_letter).then_some(Self(tag))
    }
}

impl fmt::Display for BuildTag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{}", char::from(*byte)))
    }
}

impl fmt::Debug for BuildTag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "BuildTag({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivations_of_one_name_and_activities_have_tags_of_their_own() {
        let tag = |drv: &str| BuildTag::of_derivation(drv).map(|tag| tag.to_string());
        let hash = "0c0p5y9yl1vkdlnxhrrjaqqlbhsgbpgj";
        for drv in [format!("/nix/store/{hash}-linux-6.12.58.drv"), hash.to_owned()] {
            assert_eq!(tag(&drv).as_deref(), Some("0c0p5y9y"));
        }
        assert_eq!(tag("/nix/store/x-linux.drv"), None);
        assert_eq!(tag(&format!("/nix/store/{}-a.drv", "\u{1b}[31m".repeat(8))), None);
        assert_eq!(BuildTag::of_activity(0x1_0000_012a).to_string(), "#000012a");
        for tag in [BuildTag::of_activity(7), BuildTag::of_derivation(hash).unwrap()] {
            assert_eq!(BuildTag::read(tag.to_string().as_bytes()), Some(tag));
        }
        for tag in ["", "0c0p5y9", "0c0p5y9yl", "0c0p 9yl", "0C0P5Y9Y"] {
            assert_eq!(BuildTag::read(tag.as_bytes()), None, "{tag}");
        }
    }
}
