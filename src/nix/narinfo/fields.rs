//! The lines of a narinfo, byte for byte as `libstore/nar-info` takes them apart.
//!
//! A key goes to the next colon, wherever that is; the character after the colon is dropped, whatever
//! it is; the value goes to the next line end after that. So a blank line becomes part of the next
//! key (which is then unknown and ignored), and `References:` without its blank takes the next line as
//! its value. Unknown keys are ignored, and of a key that stands twice the last one counts, with two
//! exceptions.

use super::NarInfoError;
use super::rules::{DotNames, HashSeparator, LabelReading, NarInfoRules, SignatureReading};
use crate::nix::content_address::ContentAddress;
use crate::nix::hash::NixHash;
use crate::nix::signature;
use std::collections::BTreeSet;

/// Characters of the hash part of a store path.
const HASH_LEN: usize = 32;

/// Labels that Nix knows from 2.35 on (`libutil/compression-algo`).
pub(super) const LABELS: [&str; 13] = [
    "none", "br", "bzip2", "compress", "grzip", "gzip", "lrzip", "lz4", "lzip", "lzma", "lzop",
    "xz", "zstd",
];

/// What the lines of a narinfo say; store paths are base names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    pub store_path: String,
    pub url: String,
    /// Never empty: no label means `bzip2`, which stays absent.
    pub compression: Option<String>,
    pub file_hash: Option<NixHash>,
    pub file_size: Option<u64>,
    pub nar_hash: NixHash,
    pub nar_size: u64,
    pub references: BTreeSet<String>,
    pub deriver: Option<String>,
    pub signatures: Vec<String>,
    pub content_address: Option<ContentAddress>,
    /// A name begins with a dot, and the rules do not say whether that is allowed.
    pub has_doubtful_name: bool,
}

/// Takes a narinfo apart by the rules of a version.
pub(super) fn parse(text: &str, rules: NarInfoRules) -> Result<Fields, NarInfoError> {
    let mut parser = Parser { rules, line: 1, found: Found::default() };
    let mut rest = text;
    while !rest.is_empty() {
        let line = parser.line;
        let (key, after) = rest.split_once(':').ok_or(NarInfoError::NoColon(line))?;
        let (value, next) = line_after(after).ok_or(NarInfoError::NoLineEnd(line))?;
        parser.line += key.matches('\n').count();
        parser.take(key, value)?;
        // The dropped character may have been a line end.
        let dropped = rest.len() - key.len() - 1 - value.len() - 1 - next.len();
        parser.line += usize::from(after[..dropped].contains('\n')) + 1;
        rest = next;
    }
    parser.found.whole()
}

/// Returns the value after a colon, without the character that is dropped, and the lines after it.
fn line_after(after_colon: &str) -> Option<(&str, &str)> {
    let dropped = after_colon.chars().next()?;
    after_colon[dropped.len_utf8()..].split_once('\n')
}

/// What was found so far.
#[derive(Default)]
struct Found {
    store_path: Option<String>,
    url: String,
    compression: String,
    file_hash: Option<NixHash>,
    file_size: Option<u64>,
    nar_hash: Option<NixHash>,
    nar_size: u64,
    references: BTreeSet<String>,
    deriver: Option<String>,
    signatures: Vec<String>,
    content_address: Option<ContentAddress>,
    has_doubtful_name: bool,
}

struct Parser {
    rules: NarInfoRules,
    line: usize,
    found: Found,
}

impl Parser {
    /// Takes the value of a key.
    fn take(&mut self, key: &str, value: &str) -> Result<(), NarInfoError> {
        match key {
            "StorePath" => {
                let base = base_of_path(value).ok_or_else(|| self.bad("StorePath"))?;
                self.found.store_path = Some(self.name(&base, "StorePath")?);
            }
            "URL" => value.clone_into(&mut self.found.url),
            "Compression" => self.label(value)?,
            "FileHash" => self.found.file_hash = Some(self.hash(value, "FileHash")?),
            "FileSize" => self.found.file_size = Some(self.number(value, "FileSize")?),
            "NarHash" => self.found.nar_hash = Some(self.hash(value, "NarHash")?),
            "NarSize" => self.found.nar_size = self.number(value, "NarSize")?,
            "References" => self.references(value)?,
            "Deriver" if value == "unknown-deriver" => {}
            "Deriver" => self.found.deriver = Some(self.name(value, "Deriver")?),
            "Sig" => self.signature(value)?,
            "CA" => self.content_address(value)?,
            _ => {}
        }
        Ok(())
    }

    fn bad(&self, key: &'static str) -> NarInfoError {
        NarInfoError::Malformed { line: self.line, key }
    }

    fn hash(&self, value: &str, key: &'static str) -> Result<NixHash, NarInfoError> {
        NixHash::parse(value).ok_or_else(|| self.bad(key))
    }

    /// Reads a number as `boost::lexical_cast` does, which is as Rust does.
    fn number(&self, value: &str, key: &'static str) -> Result<u64, NarInfoError> {
        value.parse().map_err(|_| self.bad(key))
    }

    /// Reads the base name of a store path.
    fn name(&mut self, base: &str, key: &'static str) -> Result<String, NarInfoError> {
        let bytes = base.as_bytes();
        let (Some(hash), Some(separator)) = (bytes.get(..HASH_LEN), bytes.get(HASH_LEN)) else {
            return Err(self.bad(key));
        };
        let name = &bytes[HASH_LEN + 1..];
        let is_hash = hash.iter().all(|byte| b"0123456789abcdfghijklmnpqrsvwxyz".contains(byte));
        let is_separated = match self.rules.separator {
            HashSeparator::Any => true,
            HashSeparator::Dash => *separator == b'-',
        };
        if !is_hash || !is_separated || !is_name(name) {
            return Err(self.bad(key));
        }
        if name[0] == b'.' {
            match self.rules.dot_names {
                DotNames::NotKnown => self.found.has_doubtful_name = true,
                DotNames::AllButDots if begins_with_dots(name) => return Err(self.bad(key)),
                DotNames::AllButDots => {}
            }
        }
        Ok(base.to_owned())
    }

    fn label(&mut self, value: &str) -> Result<(), NarInfoError> {
        match self.rules.label {
            LabelReading::KnownWhileParsing if !value.is_empty() && !LABELS.contains(&value) => {
                return Err(self.bad("Compression"));
            }
            LabelReading::KnownWhileParsing
            | LabelReading::Ignored
            | LabelReading::AppliedWhenUnpacking { .. } => {}
        }
        value.clone_into(&mut self.found.compression);
        Ok(())
    }

    fn references(&mut self, value: &str) -> Result<(), NarInfoError> {
        if !self.found.references.is_empty() {
            return Err(NarInfoError::Twice { line: self.line, key: "References" });
        }
        for base in value.split(' ').filter(|base| !base.is_empty()) {
            let base = self.name(base, "References")?;
            self.found.references.insert(base);
        }
        Ok(())
    }

    fn signature(&mut self, value: &str) -> Result<(), NarInfoError> {
        let is_whole = || {
            signature::parts(value)
                .is_some_and(|(_, bytes)| bytes.is_some_and(|bytes| !bytes.is_empty()))
        };
        match self.rules.signatures {
            SignatureReading::WhileParsing if !is_whole() => return Err(self.bad("Sig")),
            SignatureReading::WhileParsing
            | SignatureReading::WhenTrusted
            | SignatureReading::WhenChecked => {}
        }
        self.found.signatures.push(value.to_owned());
        Ok(())
    }

    fn content_address(&mut self, value: &str) -> Result<(), NarInfoError> {
        if self.found.content_address.is_some() {
            return Err(NarInfoError::Twice { line: self.line, key: "CA" });
        }
        if !value.is_empty() {
            let address = ContentAddress::parse(value).ok_or_else(|| self.bad("CA"))?;
            self.found.content_address = Some(address);
        }
        Ok(())
    }
}

impl Found {
    /// Returns the fields when nothing required is missing.
    fn whole(self) -> Result<Fields, NarInfoError> {
        let store_path = self.store_path.ok_or(NarInfoError::Missing("StorePath"))?;
        let nar_hash = self.nar_hash.ok_or(NarInfoError::Missing("NarHash"))?;
        if self.url.is_empty() {
            return Err(NarInfoError::Missing("URL"));
        }
        if self.nar_size == 0 {
            return Err(NarInfoError::Missing("NarSize"));
        }
        Ok(Fields {
            store_path,
            url: self.url,
            compression: Some(self.compression).filter(|label| !label.is_empty()),
            file_hash: self.file_hash,
            file_size: self.file_size,
            nar_hash,
            nar_size: self.nar_size,
            references: self.references,
            deriver: self.deriver,
            signatures: self.signatures,
            content_address: self.content_address,
            has_doubtful_name: self.has_doubtful_name,
        })
    }
}

/// Returns the base name of an absolute path that lies in `/nix/store` itself, once `.`, `..` and
/// double slashes are resolved.
fn base_of_path(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.strip_prefix('/')?.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    match parts.as_slice() {
        ["nix", "store", base] => Some((*base).to_owned()),
        _ => None,
    }
}

/// Returns whether bytes are the name of a store path, apart from dots at its beginning.
fn is_name(name: &[u8]) -> bool {
    (1..=211).contains(&name.len())
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-._?=".contains(byte))
}

/// Returns whether the first part of a name before a dash is `.` or `..`.
fn begins_with_dots(name: &[u8]) -> bool {
    let first = name.split(|byte| *byte == b'-').next().unwrap_or_default();
    first == b"." || first == b".."
}
