//! Paths that need no signature because their name is made from what they hold.
//!
//! A narinfo says so with `CA: …`; Nix believes it only when the path follows from it (libstore's
//! `makeStorePath`), and so does this.

use crate::fleet::StorePath;
use crate::nix::base32;
use crate::nix::hash::{HashAlgorithm, NixHash};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt;

/// Bytes of the hash part of a store path.
const HASH_BYTES: usize = 20;

/// How the content of a path was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingestion {
    /// A text, such as a derivation.
    Text,
    /// The bytes of one file.
    Flat,
    /// The NAR of a tree.
    Nar,
}

/// A content address: how the content was hashed, and the hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentAddress {
    /// How the content was hashed.
    pub ingestion: Ingestion,
    /// The hash.
    pub hash: NixHash,
}

/// What comes out when a path is compared with the content address that it is said to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressCheck {
    /// The path follows from the address: it needs no signature.
    Follows,
    /// The path follows from something else.
    Differs,
    /// Nix stops with an error or an assertion: such an address cannot have these references.
    Stops,
}

impl ContentAddress {
    /// Parses it as a narinfo writes it: `text:sha256:…`, `fixed:sha256:…`, `fixed:r:sha256:…`.
    ///
    /// `fixed:git:…` needs an experimental feature and is refused, as Nix does without that.
    pub fn parse(text: &str) -> Option<Self> {
        let (prefix, rest) = text.split_once(':')?;
        let (ingestion, rest) = match prefix {
            "text" => (Ingestion::Text, rest),
            "fixed" => rest
                .strip_prefix("r:")
                .map_or((Ingestion::Flat, rest), |rest| (Ingestion::Nar, rest)),
            _ => return None,
        };
        let (algorithm, digits) = rest.split_once(':')?;
        let hash = NixHash::parse_digits(HashAlgorithm::parse(algorithm)?, digits)?;
        Some(Self { ingestion, hash })
    }

    /// Compares a path (its base name) that refers to others (their base names) with the address.
    pub fn check(&self, base_name: &str, references: &BTreeSet<String>) -> AddressCheck {
        let Some((hash_part, name)) = base_name.split_at_checked(32) else {
            return AddressCheck::Differs;
        };
        let name = name.get(1..).unwrap_or_default();
        let Some(kind) = self.kind(base_name, references) else { return AddressCheck::Stops };
        let hash = match kind {
            FixedKind::Path(_) => self.hash.in_base16(),
            FixedKind::Output => {
                let tree = if self.ingestion == Ingestion::Nar { "r:" } else { "" };
                sha256_in_base16(&format!("fixed:out:{tree}{}:", self.hash.in_base16()))
            }
        };
        let text = format!("{kind}:{hash}:/nix/store:{name}");
        let mut folded = [0_u8; HASH_BYTES];
        for (index, byte) in Sha256::digest(text).iter().enumerate() {
            folded[index % HASH_BYTES] ^= byte;
        }
        if base32::encode(&folded) == hash_part {
            AddressCheck::Follows
        } else {
            AddressCheck::Differs
        }
    }

    /// Returns what the name of the path is made from beside the hash; nothing where Nix stops.
    fn kind(&self, base_name: &str, references: &BTreeSet<String>) -> Option<FixedKind> {
        let is_sha256 = self.hash.algorithm == HashAlgorithm::Sha256;
        let refers_to_itself = references.contains(base_name);
        match self.ingestion {
            // A text cannot hold its own hash.
            Ingestion::Text if !is_sha256 || refers_to_itself => None,
            Ingestion::Text => Some(FixedKind::path("text", base_name, references)),
            Ingestion::Nar if is_sha256 => Some(FixedKind::path("source", base_name, references)),
            // What is not hashed with SHA-256 as a whole tree cannot refer to anything.
            Ingestion::Nar | Ingestion::Flat => references.is_empty().then_some(FixedKind::Output),
        }
    }
}

impl fmt::Display for ContentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match self.ingestion {
            Ingestion::Text => "text",
            Ingestion::Flat => "fixed",
            Ingestion::Nar => "fixed:r",
        };
        write!(f, "{method}:{}", self.hash)
    }
}

/// The beginning of the text that a path's name is made from.
enum FixedKind {
    /// `text` or `source`, with everything the path refers to, itself as the last.
    Path(String),
    /// A fixed output.
    Output,
}

impl FixedKind {
    fn path(word: &str, base_name: &str, references: &BTreeSet<String>) -> Self {
        let mut text = word.to_owned();
        for reference in references.iter().filter(|reference| *reference != base_name) {
            text.push_str(":/nix/store/");
            text.push_str(reference);
        }
        if references.contains(base_name) {
            text.push_str(":self");
        }
        Self::Path(text)
    }
}

impl fmt::Display for FixedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(text) => f.write_str(text),
            Self::Output => f.write_str("output:out"),
        }
    }
}

/// Returns whether a path follows from a content address, as a narinfo writes it, and from the
/// paths it refers to.
pub fn is_made_from(path: &StorePath, address: &str, references: &BTreeSet<StorePath>) -> bool {
    let references = references.iter().map(|path| path.base_name().to_owned()).collect();
    ContentAddress::parse(address).is_some_and(|address| {
        address.check(path.base_name(), &references) == AddressCheck::Follows
    })
}

fn sha256_in_base16(text: &str) -> String {
    NixHash::sha256(Sha256::digest(text).into()).in_base16()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "/nix/store/50midknzqiidprfjf06394nx2ad4wwx0-t";

    /// Paths that Nix 2.8 made: a tree, a flat file, a tree under SHA-1, a text, and a text that
    /// refers to the first one.
    const MADE: [(&str, &str, &[&str]); 5] = [
        (
            "/nix/store/nhbkbjb42fmcsbd97h5mqx8nya2bks1c-f.txt",
            "fixed:r:sha256:0sg9f58l1jj88w6pdrfdpj5x9b1zrwszk84j81zvby36q9whhhqa",
            &[],
        ),
        (
            "/nix/store/h3l41b48w4vk3d4g7q5raj8fgyn0vqix-f.txt",
            "fixed:sha256:094qif9n4cq4fdg459qzbhg1c6wywawwaaivx0k0x8xhbyx4vwic",
            &[],
        ),
        (
            "/nix/store/y5s46vla3c9arab3a0fmhpfbq5qh0jb9-f.txt",
            "fixed:r:sha1:x5zjnshbjrrhpg88n2da87884cmn2i2i",
            &[],
        ),
        (PLAIN, "text:sha256:0x84z5jxhhafpx5r0zf36j3aqllgv07x65rklhs7f86n8vnwj5m1", &[]),
        (
            "/nix/store/pf6iab7g4v67mxi5dhzf985dvpp1nz8m-u",
            "text:sha256:07vw7z9ralgb5k2lmd2lif48aavpyh96sa0z28rxinmfk4r06z87",
            &[PLAIN],
        ),
    ];

    fn set(paths: &[&str]) -> BTreeSet<StorePath> {
        paths.iter().map(|path| StorePath::parse(path).unwrap()).collect()
    }

    #[test]
    fn a_path_follows_from_its_address() {
        for (path, address, references) in MADE {
            let path = StorePath::parse(path).unwrap();
            assert!(is_made_from(&path, address, &set(references)), "{path}");
        }
    }

    #[test]
    fn an_address_of_something_else_is_none() {
        let (path, address, _) = MADE[0];
        let path = StorePath::parse(path).unwrap();
        for other in [MADE[1].1, MADE[2].1, MADE[3].1, "", "fixed:", "git:sha256:x", "text:md5:0"] {
            assert!(!is_made_from(&path, other, &BTreeSet::new()), "{other}");
        }
        assert!(!is_made_from(&path, address, &set(&[PLAIN])));
        let renamed = StorePath::parse(&format!("{path}2")).unwrap();
        assert!(!is_made_from(&renamed, address, &BTreeSet::new()));
        let flat = StorePath::parse(MADE[1].0).unwrap();
        assert!(!is_made_from(&flat, MADE[1].1, &set(&[PLAIN])));
    }

    #[test]
    fn an_address_that_cannot_have_its_references_stops_nix() {
        let base = "50midknzqiidprfjf06394nx2ad4wwx0-t";
        let itself = BTreeSet::from([base.to_owned()]);
        for text in [
            MADE[3].1,
            "text:sha1:x5zjnshbjrrhpg88n2da87884cmn2i2i",
            MADE[1].1,
            "fixed:r:sha1:x5zjnshbjrrhpg88n2da87884cmn2i2i",
        ] {
            let address = ContentAddress::parse(text).unwrap();
            assert_eq!(address.check(base, &itself), AddressCheck::Stops, "{text}");
            assert_eq!(address.to_string(), text);
        }
        let tree = ContentAddress::parse(MADE[0].1).unwrap();
        assert_eq!(tree.check(base, &itself), AddressCheck::Differs);
    }

    #[test]
    fn what_is_no_content_address_is_none() {
        for text in
            ["", "fixed", "fixed:", "garbage", "git:sha1:x", "text:md5:0", "fixed:git:sha1:"]
        {
            assert_eq!(ContentAddress::parse(text), None, "{text}");
        }
    }
}
