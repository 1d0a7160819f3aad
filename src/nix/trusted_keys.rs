//! The keys that a host's Nix trusts, as Nix reads them (`libstore/keys.cc`).
//!
//! Three things surprise people. One text among them that is no key stops Nix at every check of a
//! signature, whatever else is there. Of two keys with one name only the first counts. And a key
//! made of zeros is a key: it breaks nothing and verifies nothing.

use crate::fleet::PublicKey;
use crate::nix::base64;
use crate::nix::signature::KeyError;

/// How many bytes a public key has.
const LENGTH: usize = 32;

/// How many bytes a secret key has; its text must not be shown.
const SECRET_LENGTH: usize = 64;

/// A text among the trusted keys that Nix cannot read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedKey {
    /// What to call it: the text, of a secret key the name alone.
    pub text: String,
    /// What is wrong with it.
    pub why: KeyError,
}

/// The keys that a host's Nix trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedKeys {
    /// The keys that count, each name once.
    pub keys: Vec<PublicKey>,
    /// Keys that do not count, because another key of the same name stands before them.
    pub shadowed: Vec<PublicKey>,
    /// What is no key; with one of these Nix cannot check any signature.
    pub malformed: Vec<MalformedKey>,
}

impl TrustedKeys {
    /// Reads the words of `trusted-public-keys`.
    pub fn parse(words: &[&str]) -> Self {
        let mut found = Self::default();
        for word in words {
            match parse_key(word) {
                Ok(key) => match found.named(&key.name) {
                    None => found.keys.push(key),
                    Some(first) if first.bytes == key.bytes => {}
                    Some(_) => found.shadowed.push(key),
                },
                Err(malformed) => found.malformed.push(malformed),
            }
        }
        found
    }

    /// Returns the keys that signatures are checked with; nothing where Nix stops instead, because
    /// something among them is no key.
    pub fn usable(&self) -> Option<&[PublicKey]> {
        self.malformed.is_empty().then_some(&self.keys)
    }

    /// Returns the key that counts under a name.
    pub fn named(&self, name: &str) -> Option<&PublicKey> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Returns whether a key is among those that count, whatever way it is written in.
    pub fn has(&self, key: &PublicKey) -> bool {
        self.named(&key.name).is_some_and(|have| have.bytes == key.bytes)
    }

    /// Returns whether a key stands there but does not count, because of one before it.
    pub fn shadows(&self, key: &PublicKey) -> bool {
        self.shadowed.iter().any(|have| have.name == key.name && have.bytes == key.bytes)
    }
}

/// Reads one key as Nix does.
fn parse_key(text: &str) -> Result<PublicKey, MalformedKey> {
    let malformed = |why| MalformedKey { text: text.to_owned(), why };
    let (name, encoded) = text.split_once(':').ok_or_else(|| malformed(KeyError::NoName))?;
    if name.is_empty() {
        return Err(malformed(KeyError::NoName));
    }
    let bytes = base64::decode(encoded).ok_or_else(|| malformed(KeyError::NotBase64))?;
    let length = bytes.len();
    let bytes: [u8; LENGTH] = bytes.try_into().map_err(|_| match length {
        SECRET_LENGTH => MalformedKey { text: name.to_owned(), why: KeyError::Secret },
        length => malformed(KeyError::Length(length)),
    })?;
    Ok(PublicKey { name: name.to_owned(), bytes, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "good-1:sl3parnYfHW6Mh6T8VL2EQFVry2WAqIGIn6FJMi9L2Y=";
    const OTHER: &str = "good-1:NiNfYW82Gw9o49ng/jhUKy3RmtBlesa/LQ0HuCcuSeU=";

    /// A secret key with zeros for its bytes.
    fn secret() -> String {
        format!("good-1:{}==", "A".repeat(86))
    }

    #[test]
    fn one_text_that_is_no_key_leaves_none_to_check_with() {
        // Each of these made Nix 2.26.3 and 2.34.8 stop with "key is corrupt" or "public key is
        // not valid", with a good key before it.
        let long = format!("{}A", GOOD.trim_end_matches('='));
        let nameless = GOOD.replace("good-1", "");
        for (text, why) in [
            ("broken", KeyError::NoName),
            (nameless.as_str(), KeyError::NoName),
            ("x:", KeyError::Length(0)),
            ("x:AAAA", KeyError::Length(3)),
            ("x:not*base64", KeyError::NotBase64),
            (long.as_str(), KeyError::Length(33)),
            (secret().as_str(), KeyError::Secret),
        ] {
            let keys = TrustedKeys::parse(&[GOOD, text]);
            assert_eq!(keys.malformed.len(), 1, "{text}");
            assert_eq!((keys.malformed[0].why.clone(), keys.usable()), (why, None), "{text}");
            assert_eq!(keys.keys.len(), 1, "the good one is still told");
        }
    }

    #[test]
    fn a_secret_key_is_never_told() {
        let keys = TrustedKeys::parse(&[&secret()]);
        assert_eq!(keys.malformed[0].text, "good-1");
    }

    #[test]
    fn what_nix_takes_is_a_key() {
        // Each of these was taken by Nix 2.26.3 and 2.34.8.
        let unpadded = GOOD.trim_end_matches('=');
        let followed = format!("{GOOD}!!!");
        for text in [GOOD, unpadded, &followed] {
            let keys = TrustedKeys::parse(&[text]);
            let good = TrustedKeys::parse(&[GOOD]).keys.remove(0);
            assert_eq!(keys.usable().map(<[PublicKey]>::len), Some(1), "{text}");
            assert!(keys.has(&good), "{text}");
        }
        assert_eq!(TrustedKeys::parse(&[]).usable(), Some(&[][..]));
    }

    #[test]
    fn a_row_of_a_is_a_key_and_breaks_nothing() {
        let zeros = format!("p620-1:{}=", "A".repeat(43));
        let keys = TrustedKeys::parse(&[&zeros, GOOD]);
        assert_eq!(keys.usable().map(<[PublicKey]>::len), Some(2));
    }

    #[test]
    fn of_two_keys_with_one_name_the_first_counts() {
        let of = |text: &str| TrustedKeys::parse(&[text]).keys.remove(0);
        let keys = TrustedKeys::parse(&[OTHER, GOOD, OTHER]);
        assert!(keys.has(&of(OTHER)) && !keys.has(&of(GOOD)) && keys.shadows(&of(GOOD)));
        assert_eq!(keys.shadowed.len(), 1, "the same key twice is no trouble");
    }
}
