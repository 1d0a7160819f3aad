//! Hashes in every spelling that Nix reads: base 16, Nix base 32, base 64, and SRI (`sha256-…`).
//!
//! Follows `libutil/hash`. Algorithms behind an experimental feature (BLAKE3) are refused, as Nix
//! refuses them unless the feature is on.

use crate::nix::{base32, base64};
use std::fmt::{self, Write as _};

/// How a hash was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256: the only one that Nix imports a NAR by.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl HashAlgorithm {
    /// Parses the word that stands before a hash.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "md5" => Some(Self::Md5),
            "sha1" => Some(Self::Sha1),
            "sha256" => Some(Self::Sha256),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    /// Returns the word that stands before a hash.
    pub fn word(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Returns the number of bytes of a hash.
    fn size(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// A hash; shown as narinfos write it, `sha256:` and Nix base 32.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NixHash {
    /// How it was made.
    pub algorithm: HashAlgorithm,
    /// As many bytes as the algorithm has.
    bytes: Vec<u8>,
}

impl NixHash {
    /// Parses a hash with its algorithm before it: `sha256:…` in any base, or SRI.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((word, digits)) = text.split_once(':') {
            return Self::parse_digits(HashAlgorithm::parse(word)?, digits);
        }
        let (word, digits) = text.split_once('-')?;
        Self::of_size(HashAlgorithm::parse(word)?, base64::decode(digits)?)
    }

    /// Parses a hash whose algorithm is known; the number of characters tells the base.
    pub fn parse_digits(algorithm: HashAlgorithm, digits: &str) -> Option<Self> {
        let size = algorithm.size();
        let bytes = match digits.len() {
            length if length == size * 2 => base16(digits)?,
            length if length == (size * 8).div_ceil(5) => base32::decode(digits)?,
            length if length == size.div_ceil(3) * 4 => base64::decode(digits)?,
            _ => return None,
        };
        Self::of_size(algorithm, bytes)
    }

    /// Returns a SHA-256 hash from its bytes.
    pub fn sha256(bytes: [u8; 32]) -> Self {
        Self { algorithm: HashAlgorithm::Sha256, bytes: bytes.to_vec() }
    }

    /// Returns it as `sha256:` and base 16, as store paths are made from it.
    pub fn in_base16(&self) -> String {
        format!("{}:{}", self.algorithm.word(), to_base16(&self.bytes))
    }

    fn of_size(algorithm: HashAlgorithm, bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() == algorithm.size()).then_some(Self { algorithm, bytes })
    }
}

impl fmt::Display for NixHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.word(), base32::encode(&self.bytes))
    }
}

/// Decodes base 16 in either case.
fn base16(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes = digits.as_bytes().chunks(2).map(|pair| {
        let (&[high, low], true) = (pair, digits.is_ascii()) else { return None };
        u8::try_from(digit(high)? << 4 | digit(low)?).ok()
    });
    bytes.collect()
}

/// Returns bytes in base 16, as `sha256sum` writes them.
pub fn to_base16(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What `nix hash to-base32` says of the empty text's SHA-256.
    const EMPTY: &str = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";

    #[test]
    fn a_hash_reads_the_same_in_every_spelling() {
        for text in [
            EMPTY,
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
            "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
            "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        ] {
            assert_eq!(NixHash::parse(text).unwrap().to_string(), EMPTY, "{text}");
        }
        let sha1 = NixHash::parse("sha1:x5zjnshbjrrhpg88n2da87884cmn2i2i").unwrap();
        assert_eq!(sha1.algorithm, HashAlgorithm::Sha1);
    }

    #[test]
    fn what_nix_does_not_take_for_a_hash_is_none() {
        for text in [
            "",
            "sha256:",
            "sha256",
            "md5:x",
            "sha256:é",
            "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73",
            // A base 32 digit too large for the last bit, and one that is not of the alphabet.
            "sha256:2mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73",
            "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c7e",
            // Base 64 without its padding is read in SRI only.
            "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
            "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hS",
            "sha1:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73",
            "blake3:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "SHA256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85g",
        ] {
            assert_eq!(NixHash::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in any::<String>(), size in 0_usize..140) {
            let _ = NixHash::parse(&text);
            let _ = NixHash::parse(&format!("sha256:{text}"));
            let _ = NixHash::parse(&format!("sha512:{}", "é".repeat(size)));
        }
    }
}
