//! The narinfo: what a binary cache says of one store path, read exactly as Nix reads it.
//!
//! [`NarInfo::parse`] takes what the Nix that takes the most would take; [`refused_since`] says from
//! which version on a narinfo is refused; [`verdict()`] says what one version makes of it in the end.

mod fields;
pub mod rules;
mod verdict;

use crate::fleet::{PublicKey, SignatureState, StorePath};
use crate::nix::signature;
use crate::nix::version::Version;
use rules::NarInfoRules;
use std::collections::BTreeSet;
pub use verdict::{ImportFault, NarSeen, Verdict, verdict};

/// Longest narinfo that is read, in bytes.
pub const SIZE_LIMIT: usize = 1 << 20;

/// Versions of Nix that began to refuse, while they parse, what older ones take.
const STRICTER: [Version; 3] = [rules::STRICT_SIGNATURES, rules::KNOWN_LABELS, rules::DASH_WANTED];

/// What a binary cache says of one store path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NarInfo {
    /// The path.
    pub store_path: StorePath,
    /// Where its NAR is, relative to the cache or absolute.
    pub url: String,
    /// How the NAR is compressed: `xz`, `zstd`, `none` …; absent means `bzip2`.
    pub compression: Option<String>,
    /// Hash of the compressed NAR, such as `sha256:` and Nix base 32. Nix does not compare it.
    pub file_hash: Option<String>,
    /// Size of the compressed NAR in bytes. Nix does not compare it.
    pub file_size: Option<u64>,
    /// Hash of the NAR: the algorithm and Nix base 32. Only SHA-256 can be imported.
    pub nar_hash: String,
    /// Size of the NAR in bytes; never 0.
    pub nar_size: u64,
    /// The paths it refers to, itself perhaps among them.
    pub references: BTreeSet<StorePath>,
    /// Base name of the derivation it was built by.
    pub deriver: Option<String>,
    /// Signatures: `name:base64`.
    pub signatures: Vec<String>,
    /// The content address of a path that needs no signature.
    pub content_address: Option<String>,
}

/// A text that Nix does not take for a narinfo, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NarInfoError {
    /// It is longer than [`SIZE_LIMIT`].
    #[error("the narinfo is longer than 1 MiB")]
    TooLong,
    /// There is no colon from this line on.
    #[error("line {0} of the narinfo has no colon")]
    NoColon(usize),
    /// The line does not end.
    #[error("line {0} of the narinfo has no line end")]
    NoLineEnd(usize),
    /// A required key is absent.
    #[error("the narinfo has no {0}")]
    Missing(&'static str),
    /// A key stands twice.
    #[error("line {line} of the narinfo is a second {key}")]
    Twice {
        /// The line, from 1.
        line: usize,
        /// The key.
        key: &'static str,
    },
    /// A value does not mean what its key says.
    #[error("line {line} of the narinfo has a {key} that Nix cannot read")]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// The key.
        key: &'static str,
    },
}

impl NarInfo {
    /// Parses a narinfo by the rules of the Nix that takes the most.
    pub fn parse(text: &str) -> Result<Self, NarInfoError> {
        if text.len() > SIZE_LIMIT {
            return Err(NarInfoError::TooLong);
        }
        let fields = fields::parse(text, NarInfoRules::LOOSEST)?;
        // A path whose hash is not followed by a dash is taken up to Nix 2.35.1, and can be no path
        // here.
        let path = |base: &str, key| {
            StorePath::from_base_name(base).map_err(|_| NarInfoError::Malformed { line: 0, key })
        };
        let references = fields.references.iter().map(|base| path(base, "References"));
        Ok(Self {
            store_path: path(&fields.store_path, "StorePath")?,
            url: fields.url,
            compression: fields.compression,
            file_hash: fields.file_hash.map(|hash| hash.to_string()),
            file_size: fields.file_size,
            nar_hash: fields.nar_hash.to_string(),
            nar_size: fields.nar_size,
            references: references.collect::<Result<_, _>>()?,
            deriver: fields.deriver,
            signatures: fields.signatures,
            content_address: fields.content_address.map(|address| address.to_string()),
        })
    }

    /// Returns the text that signatures are over: path, hash, size and references.
    pub fn fingerprint(&self) -> String {
        let references: Vec<&str> = self.references.iter().map(StorePath::as_str).collect();
        format!(
            "1;{};{};{};{}",
            self.store_path,
            self.nar_hash,
            self.nar_size,
            references.join(",")
        )
    }

    /// Returns what the signatures say about a key: valid when one of that name verifies, invalid
    /// when none of that name does, untrusted when none has the name.
    pub fn verdict(&self, key: &PublicKey) -> SignatureState {
        let mut named = self
            .signatures
            .iter()
            .filter(|text| signature::signature_name(text) == Some(key.name.as_str()))
            .peekable();
        if named.peek().is_none() {
            return SignatureState::Untrusted;
        }
        let fingerprint = self.fingerprint();
        if named.any(|text| signature::verifies(text, fingerprint.as_bytes(), key)) {
            SignatureState::Valid
        } else {
            SignatureState::Invalid
        }
    }

    /// Returns the names of the keys that signed it.
    pub fn signers(&self) -> Vec<&str> {
        self.signatures.iter().filter_map(|text| signature::signature_name(text)).collect()
    }
}

/// Returns the first version of Nix that refuses a narinfo which older ones take, and what it
/// refuses; nothing for one that every known version takes, or none.
pub fn refused_since(text: &str) -> Option<(Version, NarInfoError)> {
    fields::parse(text, NarInfoRules::LOOSEST).ok()?;
    STRICTER.into_iter().find_map(|version| {
        let rules = NarInfoRules::of_plain_nix(version)?;
        Some((version, fields::parse(text, rules).err()?))
    })
}

#[cfg(test)]
mod tests;
