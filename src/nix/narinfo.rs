//! The narinfo: what a binary cache says of one store path.
//!
//! Lines of `Key: value`, as `libstore/nar-info` reads them: unknown keys are ignored, required
//! ones are `StorePath`, `URL`, `NarHash` and `NarSize`.

use crate::fleet::{PublicKey, SignatureState, StorePath};
use crate::nix::{base32, signature};
use std::collections::BTreeSet;

/// Longest narinfo that is read, in bytes.
pub const SIZE_LIMIT: usize = 1 << 20;

/// What a binary cache says of one store path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NarInfo {
    /// The path.
    pub store_path: StorePath,
    /// Where its NAR is, relative to the cache or absolute.
    pub url: String,
    /// How the NAR is compressed: `xz`, `zstd`, `none` …; absent means `bzip2`.
    pub compression: Option<String>,
    /// Size of the compressed NAR in bytes.
    pub file_size: Option<u64>,
    /// Hash of the NAR: `sha256:` and Nix base 32.
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

/// A text that is not a narinfo, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NarInfoError {
    /// It is longer than [`SIZE_LIMIT`].
    #[error("the narinfo is longer than 1 MiB")]
    TooLong,
    /// A line has no colon.
    #[error("line {0} of the narinfo has no colon")]
    NoColon(usize),
    /// A required key is absent.
    #[error("the narinfo has no {0}")]
    Missing(&'static str),
    /// A value does not mean what its key says.
    #[error("the {0} of the narinfo is not one")]
    Malformed(&'static str),
}

impl NarInfo {
    /// Parses a narinfo.
    pub fn parse(text: &str) -> Result<Self, NarInfoError> {
        if text.len() > SIZE_LIMIT {
            return Err(NarInfoError::TooLong);
        }
        let mut fields = Fields::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_end_matches('\r');
            if line.is_empty() {
                continue;
            }
            let (key, value) = line.split_once(':').ok_or(NarInfoError::NoColon(number + 1))?;
            fields.take(key, value.trim())?;
        }
        fields.whole()
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

/// What was read so far.
#[derive(Default)]
struct Fields {
    store_path: Option<StorePath>,
    url: Option<String>,
    compression: Option<String>,
    file_size: Option<u64>,
    nar_hash: Option<String>,
    nar_size: Option<u64>,
    references: BTreeSet<StorePath>,
    deriver: Option<String>,
    signatures: Vec<String>,
    content_address: Option<String>,
}

impl Fields {
    /// Takes one line.
    fn take(&mut self, key: &str, value: &str) -> Result<(), NarInfoError> {
        let some = |value: &str| (!value.is_empty()).then(|| value.to_owned());
        match key {
            "StorePath" => {
                let path = StorePath::parse(value);
                self.store_path = Some(path.map_err(|_| NarInfoError::Malformed("StorePath"))?);
            }
            "URL" => self.url = some(value),
            "Compression" => self.compression = some(value),
            "FileSize" => self.file_size = value.parse().ok(),
            "NarHash" => {
                let hash = base32::sha256(value);
                self.nar_hash = Some(hash.ok_or(NarInfoError::Malformed("NarHash"))?);
            }
            "NarSize" => {
                let size = value.parse().ok().filter(|size| *size != 0);
                self.nar_size = Some(size.ok_or(NarInfoError::Malformed("NarSize"))?);
            }
            "References" => {
                for base in value.split_ascii_whitespace() {
                    let path = StorePath::from_base_name(base);
                    self.references
                        .insert(path.map_err(|_| NarInfoError::Malformed("References"))?);
                }
            }
            "Deriver" => self.deriver = some(value).filter(|name| name != "unknown-deriver"),
            "Sig" => self.signatures.extend(some(value)),
            "CA" => self.content_address = some(value),
            _ => {}
        }
        Ok(())
    }

    /// Returns the narinfo when nothing required is missing.
    fn whole(self) -> Result<NarInfo, NarInfoError> {
        Ok(NarInfo {
            store_path: self.store_path.ok_or(NarInfoError::Missing("StorePath"))?,
            url: self.url.ok_or(NarInfoError::Missing("URL"))?,
            compression: self.compression,
            file_size: self.file_size,
            nar_hash: self.nar_hash.ok_or(NarInfoError::Missing("NarHash"))?,
            nar_size: self.nar_size.ok_or(NarInfoError::Missing("NarSize"))?,
            references: self.references,
            deriver: self.deriver,
            signatures: self.signatures,
            content_address: self.content_address,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nix::signature::parse_public_key;
    use proptest::prelude::*;

    /// Written by Nix 2.34.8 (zstd), and by Nix 2.8.0 (xz), each with its key.
    const REAL: [(&str, &str); 2] = [
        (
            "StorePath: /nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-top\n\
             URL: nar/0w25cq1id1s0jvwqknxrqcccnqik2q6nglbrr373f6m1qxfmvyw6.nar.zst\n\
             Compression: zstd\n\
             FileHash: sha256:0w25cq1id1s0jvwqknxrqcccnqik2q6nglbrr373f6m1qxfmvyw6\n\
             FileSize: 12830\n\
             NarHash: sha256:125f3rvnz67hv48c422g4j4jxn2br38f5xhldz50p21dviwvfl1i\n\
             NarSize: 189144\n\
             References: 0hy12vxk42lyxgf9i5sxmsh4syvi2zr1-b j4xb6mcrn8nw7nmgncklpxyslsdf80y6-c \
             vs1v26l79mdllhw80afx3d6ll4749kca-a\n\
             Deriver: 7w85jyaqg6p2rfnn880ymv98vp5nmpf5-top.drv\n\
             Sig: test-1:MTIqw5FNg9MHc4YMMo8e38ewhiyTd/3l8hmFMKL6UNM1yJyYplTQuO/IMMKcd9MpbbQ0XWD2ICpEqYnJsTRKAw==\n",
            "test-1:NiNfYW82Gw9o49ng/jhUKy3RmtBlesa/LQ0HuCcuSeU=",
        ),
        (
            "StorePath: /nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-a-1.0\n\
             URL: nar/0593r8argg5rycvnhxgrgl3c7b7pwk498802a4lawbkwm8hma5nn.nar.xz\n\
             Compression: xz\n\
             FileHash: sha256:0593r8argg5rycvnhxgrgl3c7b7pwk498802a4lawbkwm8hma5nn\n\
             FileSize: 124\n\
             NarHash: sha256:0p3l2z3riilylr2rxb1aq2blxdfxg55wbgp4gxkns93srbr4bwyq\n\
             NarSize: 120\n\
             References: \n\
             Deriver: m4r7f51v2ji8n3nzg4qbs5bkvyj72fav-a-1.0.drv\n\
             Sig: test-1:kSf2Du9hukyeeNYSa2bKdTH8PrXtZddli5mvfdYfaNnED+dN+qtmdEsnA9OuiKt+MwOhE5K71hLSbyqDAdWeAg==\n",
            "test-1:84lYE1B4WYBhgRnr4i3CGQuBrqMejfmimNytE5731+M=",
        ),
    ];

    #[test]
    fn signatures_of_real_caches_verify() {
        for (text, key) in REAL {
            let narinfo = NarInfo::parse(text).unwrap();
            let key = parse_public_key(key).unwrap();
            assert_eq!(narinfo.verdict(&key), SignatureState::Valid, "{}", narinfo.fingerprint());
            assert_eq!(narinfo.signers(), ["test-1"]);
        }
    }

    #[test]
    fn another_key_of_the_same_name_makes_it_invalid_and_another_name_untrusted() {
        let narinfo = NarInfo::parse(REAL[0].0).unwrap();
        let same_name = parse_public_key(REAL[1].1).unwrap();
        assert_eq!(narinfo.verdict(&same_name), SignatureState::Invalid);
        let text = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
        assert_eq!(narinfo.verdict(&parse_public_key(text).unwrap()), SignatureState::Untrusted);
    }

    #[test]
    fn a_changed_narinfo_does_not_verify() {
        let key = parse_public_key(REAL[0].1).unwrap();
        for (from, to) in [("189144", "189145"), ("-top\n", "-tip\n"), ("-b j4xb", "-b k4xb")] {
            let narinfo = NarInfo::parse(&REAL[0].0.replace(from, to)).unwrap();
            assert_eq!(narinfo.verdict(&key), SignatureState::Invalid, "{from} → {to}");
        }
    }

    #[test]
    fn what_is_not_in_the_fingerprint_may_change() {
        let key = parse_public_key(REAL[0].1).unwrap();
        let text = REAL[0].0.replace("URL: nar/", "Strange: yes\nURL: elsewhere/");
        assert_eq!(NarInfo::parse(&text).unwrap().verdict(&key), SignatureState::Valid);
    }

    #[test]
    fn what_is_required_must_be_there() {
        let without = |key: &str| {
            let lines = REAL[0].0.lines().filter(|line| !line.starts_with(key));
            lines.collect::<Vec<_>>().join("\n")
        };
        for key in ["StorePath", "URL", "NarHash", "NarSize"] {
            assert_eq!(NarInfo::parse(&without(key)), Err(NarInfoError::Missing(key)));
        }
        for key in ["FileHash", "FileSize", "References", "Deriver", "Sig", "Compression"] {
            assert!(NarInfo::parse(&without(key)).is_ok(), "{key}");
        }
        assert_eq!(NarInfo::parse("No such path.\n"), Err(NarInfoError::NoColon(1)));
        assert_eq!(NarInfo::parse(&"x".repeat(SIZE_LIMIT + 1)), Err(NarInfoError::TooLong));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in any::<String>()) {
            let _ = NarInfo::parse(&text);
        }
    }
}
