//! Nix's public keys and signatures: ed25519 over a narinfo's fingerprint.
//!
//! A key is written `name:base64` of 32 bytes, a signature `name:base64` of 64 bytes; a signature
//! is matched to a key by name first and verified then (Nix's `libutil/signature`). The base 64 is
//! read as Nix reads it, so a key or a signature without its padding is as good as one with it.

use crate::fleet::PublicKey;
use crate::nix::base64;
use ed25519_dalek::{Signature, VerifyingKey};

/// A text that is not a public key of Nix, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no colon, or nothing before it.
    #[error("it does not begin with a name and a colon")]
    NoName,
    /// What follows the colon is not base64.
    #[error("what follows the colon is not base64")]
    NotBase64,
    /// The key has another length; a secret key has 64 bytes.
    #[error("it holds {0} bytes where a public key has 32")]
    Length(usize),
    /// It is a secret key.
    #[error("it is a secret key: never write it here")]
    Secret,
    /// The bytes are no ed25519 key that can sign anything, such as a row of `A`s.
    #[error("its bytes are no ed25519 key (a placeholder?)")]
    Placeholder,
}

/// Parses a public key: `name:base64` of 32 bytes that are an ed25519 key.
pub fn parse_public_key(text: &str) -> Result<PublicKey, KeyError> {
    let (name, encoded) = text.split_once(':').ok_or(KeyError::NoName)?;
    if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(KeyError::NoName);
    }
    let bytes = base64::decode(encoded).ok_or(KeyError::NotBase64)?;
    let bytes: [u8; 32] = match bytes.len() {
        64 => return Err(KeyError::Secret),
        length => bytes.try_into().map_err(|_| KeyError::Length(length))?,
    };
    let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Placeholder)?;
    if key.is_weak() {
        return Err(KeyError::Placeholder);
    }
    Ok(PublicKey { name: name.to_owned(), bytes, text: text.to_owned() })
}

/// Returns the name of the key that a signature was made with, if the text is a signature at all.
pub fn signature_name(signature: &str) -> Option<&str> {
    let (name, encoded) = signature.split_once(':')?;
    (!name.is_empty() && !encoded.is_empty()).then_some(name)
}

/// Returns the bytes of a signature and the name of its key; the bytes are none where what follows
/// the name is not base 64. Nothing for a text without a name.
pub fn parts(signature: &str) -> Option<(&str, Option<Vec<u8>>)> {
    let (name, encoded) = signature.split_once(':')?;
    (!name.is_empty()).then(|| (name, base64::decode(encoded)))
}

/// Returns whether a signature (`name:base64`) of that message was made with that key.
pub fn verifies(signature: &str, message: &[u8], key: &PublicKey) -> bool {
    let Some((name, Some(bytes))) = parts(signature) else { return false };
    if name != key.name {
        return false;
    }
    let Ok(signature) = Signature::from_slice(&bytes) else { return false };
    let Ok(key) = VerifyingKey::from_bytes(&key.bytes) else { return false };
    key.verify_strict(message, &signature).is_ok()
}

/// Returns whether a text is this key, however it is written: with or without padding, for instance.
pub fn is_key(text: &str, key: &PublicKey) -> bool {
    parse_public_key(text).is_ok_and(|other| other.name == key.name && other.bytes == key.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::base64::Engine as _;
    use ::base64::engine::general_purpose::STANDARD;

    #[test]
    fn the_key_of_cache_nixos_org_is_a_key() {
        let text = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
        let key = parse_public_key(text).unwrap();
        assert_eq!(key.name, "cache.nixos.org-1");
        assert_eq!(key.text, text);
    }

    #[test]
    fn a_key_without_its_padding_is_the_same_key() {
        let padded =
            parse_public_key("cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=");
        let bare =
            parse_public_key("cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY");
        assert_eq!(padded.unwrap().bytes, bare.unwrap().bytes);
    }

    #[test]
    fn what_is_no_key_says_why() {
        let row_of_a = format!("p620-1:{}=", "A".repeat(43));
        let secret = format!("p620-1:{}", STANDARD.encode([7_u8; 64]));
        let short = format!("p620-1:{}", STANDARD.encode([7_u8; 31]));
        for (text, error) in [
            ("", KeyError::NoName),
            ("6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=", KeyError::NoName),
            (":6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=", KeyError::NoName),
            ("a:not base64", KeyError::NotBase64),
            (row_of_a.as_str(), KeyError::Placeholder),
            (secret.as_str(), KeyError::Secret),
            (short.as_str(), KeyError::Length(31)),
        ] {
            assert_eq!(parse_public_key(text), Err(error), "{text}");
        }
    }
}
