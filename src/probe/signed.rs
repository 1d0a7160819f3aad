//! What a tier was last seen to serve, for hosts to judge: whoever signed it, does a host take it?
//!
//! A host takes a path when any of its signatures verifies under a key that the host trusts, or when
//! its name follows from its content. So a tier may be of use to a host that has never heard of the
//! tier's own key: a copy keeps the signatures of where it came from.

use crate::fleet::PublicKey;
use crate::nix::narinfo::NarInfo;
use crate::nix::{content_address, signature};
use serde::{Deserialize, Serialize};

/// What hosts judge a tier by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SignedNarinfo {
    /// The name of the path.
    pub(super) name: String,
    /// What its signatures are over.
    fingerprint: String,
    /// Its signatures: `name:base64`.
    signatures: Vec<String>,
    /// Whether its path follows from what it holds: everybody takes such a one.
    is_content_addressed: bool,
}

/// Whether a host takes what it is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken<'a> {
    /// This key, which the host trusts, signed it.
    Under(&'a PublicKey),
    /// It needs no signature.
    Unsigned,
    /// No.
    Never,
}

impl SignedNarinfo {
    /// Makes one of a narinfo.
    pub(super) fn of(narinfo: &NarInfo) -> Self {
        let is_made_from = |address: &String| {
            content_address::is_made_from(&narinfo.store_path, address, &narinfo.references)
        };
        Self {
            name: narinfo.store_path.name().to_owned(),
            fingerprint: narinfo.fingerprint(),
            signatures: narinfo.signatures.clone(),
            is_content_addressed: narinfo.content_address.as_ref().is_some_and(is_made_from),
        }
    }

    /// Returns whether somebody takes it who trusts these keys.
    pub(super) fn taken<'a>(&self, keys: &'a [PublicKey]) -> Taken<'a> {
        let message = self.fingerprint.as_bytes();
        let signed = |key: &&PublicKey| {
            self.signatures.iter().any(|text| signature::verifies(text, message, key))
        };
        match keys.iter().find(signed) {
            Some(key) => Taken::Under(key),
            None if self.is_content_addressed => Taken::Unsigned,
            None => Taken::Never,
        }
    }

    /// Returns the names of those who signed it.
    pub(super) fn signers(&self) -> Vec<&str> {
        self.signatures.iter().filter_map(|text| signature::signature_name(text)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nix::signature::parse_public_key;
    use crate::probe::server::{KEY, NARINFO};

    const STRANGER: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";

    fn keys(texts: &[&str]) -> Vec<PublicKey> {
        texts.iter().map(|text| parse_public_key(text).unwrap()).collect()
    }

    /// A content-addressed path without any signature.
    fn source(hash: &str) -> SignedNarinfo {
        let text = format!(
            "StorePath: /nix/store/{hash}-f.txt\nURL: nar/x.nar\nNarSize: 120\n\
             NarHash: sha256:0sg9f58l1jj88w6pdrfdpj5x9b1zrwszk84j81zvby36q9whhhqa\n\
             CA: fixed:r:sha256:0sg9f58l1jj88w6pdrfdpj5x9b1zrwszk84j81zvby36q9whhhqa\n"
        );
        SignedNarinfo::of(&NarInfo::parse(&text).unwrap())
    }

    #[test]
    fn any_signature_under_a_trusted_key_is_enough() {
        let narinfo = SignedNarinfo::of(&NarInfo::parse(NARINFO).unwrap());
        let both = keys(&[STRANGER, KEY]);
        assert_eq!(narinfo.taken(&both), Taken::Under(&both[1]));
        assert_eq!(narinfo.taken(&both[..1]), Taken::Never);
        assert_eq!(narinfo.taken(&[]), Taken::Never);
        let changed = NARINFO.replace("NarSize: 120", "NarSize: 121");
        let changed = SignedNarinfo::of(&NarInfo::parse(&changed).unwrap());
        assert_eq!(changed.taken(&both), Taken::Never);
    }

    #[test]
    fn what_is_named_after_its_content_is_taken_by_all_and_what_only_says_so_by_nobody() {
        let real = source("nhbkbjb42fmcsbd97h5mqx8nya2bks1c");
        assert_eq!((real.taken(&[]), real.signers().len()), (Taken::Unsigned, 0));
        let fake = source("h3l41b48w4vk3d4g7q5raj8fgyn0vqix");
        assert_eq!(fake.taken(&keys(&[KEY])), Taken::Never);
    }
}
