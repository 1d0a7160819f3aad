//! What one version of Nix makes of a narinfo: refused, unsigned, or taken.
//!
//! Pure: text, rules and keys in, verdict out. What can only be seen in the nar is passed as what was
//! seen of it ([`NarSeen`]). Nix checks in this order (`libstore/build/substitution-goal`,
//! `LocalStore::addToStore`): it parses, compares the path, checks signatures, unpacks, compares hash
//! and size, and at the end the content address.

use super::fields::{self, Fields, LABELS};
use super::rules::{LabelReading, NarInfoRules, SignatureReading};
use super::{NarInfoError, SIZE_LIMIT};
use crate::fleet::{PublicKey, StorePath};
use crate::nix::content_address::AddressCheck;
use crate::nix::hash::{HashAlgorithm, NixHash};
use crate::nix::nar::{LabelFit, NarStart};
use crate::nix::signature;

/// Bytes of an ed25519 signature.
const SIGNATURE_BYTES: usize = 64;

/// What one version of Nix makes of a narinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It cannot be read. Up to Nix 2.31 without `fallback` that stops the build, whatever other
    /// caches hold; from 2.32 the next cache is asked.
    RefusedAtParse(NarInfoError),
    /// It is the narinfo of another path: Nix goes on as if the cache did not hold the path.
    OfAnotherPath(String),
    /// It is read, but the path cannot be brought into the store.
    RefusedAtImport(ImportFault),
    /// No trusted key signed it, so the cache is passed over with a warning.
    Unsigned,
    /// The path is taken.
    Taken,
    /// What Nix does is not known for this narinfo and this version.
    NotKnown,
}

/// Why a narinfo that can be read leads to no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportFault {
    /// Nix stops at this signature, even where another one is good.
    #[error("the signature of {0} is not 64 bytes in base64, which stops Nix")]
    SignatureLength(String),
    /// Nix stops: such a content address cannot have these references.
    #[error("its CA cannot belong to a path with these references, which stops Nix")]
    AddressStops,
    /// The path does not follow from the content address.
    #[error("its CA is not that of the path")]
    AddressDiffers,
    /// Nix cannot unpack what is labelled so.
    #[error("Nix knows no compression {0:?}")]
    LabelUnknown(String),
    /// The nar is not what the label says.
    #[error("its nar is not packed as {0}")]
    LabelDiffers(String),
    /// The hash of the nar was made with something else than SHA-256.
    #[error("its NarHash is {0}, and Nix compares only sha256")]
    HashAlgorithm(&'static str),
    /// The nar has another hash.
    #[error("its nar hashes to {0}")]
    HashDiffers(String),
    /// The nar has another size.
    #[error("its nar has {0} bytes")]
    SizeDiffers(u64),
}

/// What was seen of the nar that a narinfo names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NarSeen<'a> {
    /// Nothing.
    Nothing,
    /// Its first bytes, as the cache serves them.
    Start(NarStart),
    /// All of it: its first bytes as served, and hash and size of what was unpacked.
    Whole {
        /// The first bytes, as served.
        start: NarStart,
        /// The SHA-256 hash of the unpacked nar.
        hash: &'a NixHash,
        /// The size of the unpacked nar in bytes.
        size: u64,
    },
}

/// Returns what a version of Nix makes of a narinfo that it asked for, when it trusts these keys.
///
/// Of two keys with the same name only the first may be among them, as Nix uses only that one.
pub fn verdict(
    text: &str,
    wanted: &StorePath,
    rules: NarInfoRules,
    keys: &[PublicKey],
    nar: NarSeen<'_>,
) -> Verdict {
    if text.len() > SIZE_LIMIT {
        return Verdict::NotKnown;
    }
    let fields = match fields::parse(text, rules) {
        Ok(fields) => fields,
        Err(error) => return Verdict::RefusedAtParse(error),
    };
    if fields.has_doubtful_name {
        return Verdict::NotKnown;
    }
    if fields.store_path != wanted.base_name() {
        return Verdict::OfAnotherPath(fields.store_path);
    }
    match is_trusted(&fields, rules, keys) {
        Err(fault) => return Verdict::RefusedAtImport(fault),
        Ok(false) => return Verdict::Unsigned,
        Ok(true) => {}
    }
    import_fault(&fields, rules, nar).map_or(Verdict::Taken, Verdict::RefusedAtImport)
}

/// Returns whether Nix trusts the path: it follows from its content address, or a key signed it.
fn is_trusted(
    fields: &Fields,
    rules: NarInfoRules,
    keys: &[PublicKey],
) -> Result<bool, ImportFault> {
    match address_check(fields) {
        Some(AddressCheck::Follows) => return Ok(true),
        Some(AddressCheck::Stops) => return Err(ImportFault::AddressStops),
        Some(AddressCheck::Differs) | None => {}
    }
    let fingerprint = fields.fingerprint();
    let mut is_signed = false;
    // Nix looks at every signature, also after a good one.
    for text in &fields.signatures {
        let Some((name, bytes)) = signature::parts(text) else { continue };
        let stops = || ImportFault::SignatureLength(name.to_owned());
        if bytes.is_none() && rules.signatures == SignatureReading::WhenChecked {
            return Err(stops());
        }
        let Some(key) = keys.iter().find(|key| key.name == name) else { continue };
        if bytes.is_none_or(|bytes| bytes.len() != SIGNATURE_BYTES) {
            return Err(stops());
        }
        is_signed |= signature::verifies(text, fingerprint.as_bytes(), key);
    }
    Ok(is_signed)
}

fn address_check(fields: &Fields) -> Option<AddressCheck> {
    let address = fields.content_address.as_ref()?;
    Some(address.check(&fields.store_path, &fields.references))
}

/// Returns what keeps a trusted path from being imported.
fn import_fault(fields: &Fields, rules: NarInfoRules, nar: NarSeen<'_>) -> Option<ImportFault> {
    label_fault(fields.compression.as_deref(), rules, nar)
        .or_else(|| content_fault(fields, nar))
        .or_else(|| {
            (address_check(fields) == Some(AddressCheck::Differs))
                .then_some(ImportFault::AddressDiffers)
        })
}

/// Returns what keeps Nix from unpacking the nar.
fn label_fault(label: Option<&str>, rules: NarInfoRules, nar: NarSeen<'_>) -> Option<ImportFault> {
    let identity = match rules.label {
        LabelReading::Ignored => None,
        LabelReading::AppliedWhenUnpacking { identity } => Some(identity),
        LabelReading::KnownWhileParsing => Some(false),
    };
    let shown = label.unwrap_or("bzip2");
    if let Some(identity) = identity
        && !(LABELS.contains(&shown) || identity && shown == "identity")
    {
        return Some(ImportFault::LabelUnknown(shown.to_owned()));
    }
    let (NarSeen::Start(start) | NarSeen::Whole { start, .. }) = nar else { return None };
    let fit = match identity {
        None => start.is_unpacked_under(label),
        Some(_) => start.fits(label),
    };
    match fit {
        LabelFit::Fits | LabelFit::NotKnown => None,
        LabelFit::Differs => Some(ImportFault::LabelDiffers(shown.to_owned())),
    }
}

/// Returns in what the unpacked nar differs from the narinfo.
fn content_fault(fields: &Fields, nar: NarSeen<'_>) -> Option<ImportFault> {
    let algorithm = fields.nar_hash.algorithm;
    if algorithm != HashAlgorithm::Sha256 {
        return Some(ImportFault::HashAlgorithm(algorithm.word()));
    }
    match nar {
        NarSeen::Nothing | NarSeen::Start(_) => None,
        NarSeen::Whole { hash, .. } if *hash != fields.nar_hash => {
            Some(ImportFault::HashDiffers(hash.to_string()))
        }
        NarSeen::Whole { size, .. } => {
            (size != fields.nar_size).then_some(ImportFault::SizeDiffers(size))
        }
    }
}

impl Fields {
    /// Returns the text that signatures are over.
    fn fingerprint(&self) -> String {
        let references: Vec<String> =
            self.references.iter().map(|base| format!("/nix/store/{base}")).collect();
        format!(
            "1;/nix/store/{};{};{};{}",
            self.store_path,
            self.nar_hash,
            self.nar_size,
            references.join(",")
        )
    }
}
