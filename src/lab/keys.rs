//! Signing keys of the lab's caches, in Nix's own text form: `NAME:BASE64`.

use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};

use super::error::{ErrorContext, LabError};
use super::state::read;

/// A secret key with the name that its signatures carry.
#[derive(Clone)]
pub(crate) struct CacheKey {
    name: String,
    key: SigningKey,
}

impl CacheKey {
    /// A fresh key.
    pub(crate) fn generate(name: &str) -> Result<Self, LabError> {
        let path = Path::new("/dev/urandom");
        let mut seed = [0; 32];
        std::fs::File::open(path)
            .and_then(|mut file| file.read_exact(&mut seed))
            .at("reading", path)?;
        Ok(Self { name: name.to_owned(), key: SigningKey::from_bytes(&seed) })
    }

    /// The key that the `wrong-key` fault signs with: another one, under the same name.
    pub(crate) fn wrong(&self) -> Self {
        let mut seed = self.key.to_bytes();
        seed[0] ^= 1;
        Self { name: self.name.clone(), key: SigningKey::from_bytes(&seed) }
    }

    /// Reads a secret key as Nix writes it: the name, and base64 of the seed and the public half.
    pub(crate) fn read(path: &Path) -> Result<Self, LabError> {
        Self::parse(&read(path)?).ok_or_else(|| LabError::Damaged {
            path: path.to_owned(),
            cause: "it is not a secret signing key".to_owned(),
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let (name, encoded) = text.trim().split_once(':')?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let seed: [u8; 32] = bytes.get(..32)?.try_into().ok()?;
        Some(Self { name: name.to_owned(), key: SigningKey::from_bytes(&seed) })
    }

    /// The secret half, as `nix key generate-secret` writes it.
    pub(crate) fn secret(&self) -> String {
        format!("{}:{}", self.name, STANDARD.encode(self.key.to_keypair_bytes()))
    }

    /// The public half, as trusted-public-keys wants it.
    pub(crate) fn public(&self) -> String {
        format!("{}:{}", self.name, STANDARD.encode(self.key.verifying_key().to_bytes()))
    }

    /// Signs a narinfo's fingerprint: `NAME:BASE64`.
    pub(crate) fn sign(&self, fingerprint: &str) -> String {
        format!(
            "{}:{}",
            self.name,
            STANDARD.encode(self.key.sign(fingerprint.as_bytes()).to_bytes())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_being_written_and_read() {
        let key = CacheKey::generate("p620-1").unwrap();
        let again = CacheKey::parse(&key.secret()).unwrap();
        assert_eq!(key.public(), again.public());
        assert_eq!(key.sign("1;x"), again.sign("1;x"));
    }

    #[test]
    fn the_wrong_key_has_the_same_name_and_another_signature() {
        let key = CacheKey::generate("p620-1").unwrap();
        assert!(key.wrong().public().starts_with("p620-1:"));
        assert_ne!(key.public(), key.wrong().public());
    }
}
