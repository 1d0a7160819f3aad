//! Nix's base 32, and hashes in the spellings that Nix accepts.
//!
//! The alphabet lacks `e`, `o`, `u` and `t`, and bits are taken from the end of the bytes (Nix's
//! `libutil/base-nix-32`). Narinfos write it; fingerprints are over exactly this spelling.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The alphabet.
const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Encodes bytes as Nix base 32.
pub fn encode(bytes: &[u8]) -> String {
    let length = (bytes.len() * 8).div_ceil(5);
    (0..length)
        .rev()
        .map(|position| {
            let bit = position * 5;
            let (byte, shift) = (bit / 8, bit % 8);
            let low = u16::from(bytes[byte]);
            let high = bytes.get(byte + 1).copied().map_or(0, u16::from);
            let index = ((low | high << 8) >> shift) & 0x1f;
            char::from(ALPHABET[usize::from(index)])
        })
        .collect()
}

/// Decodes Nix base 32; nothing for other characters, or bits that do not fit.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0_u8; text.len() * 5 / 8];
    for (position, c) in text.bytes().rev().enumerate() {
        let digit = u16::try_from(ALPHABET.iter().position(|&letter| letter == c)?).ok()?;
        let bit = position * 5;
        let (byte, shift) = (bit / 8, bit % 8);
        let value = digit << shift;
        let low = (value & 0xff) as u8;
        let high = (value >> 8) as u8;
        match bytes.get_mut(byte) {
            Some(target) => *target |= low,
            None if low == 0 => {}
            None => return None,
        }
        match bytes.get_mut(byte + 1) {
            Some(target) => *target |= high,
            None if high == 0 => {}
            None => return None,
        }
    }
    Some(bytes)
}

/// Returns a SHA-256 hash as `sha256:<52 characters of Nix base 32>`, from any spelling that Nix
/// reads: base 32, base 16, base 64, or SRI (`sha256-…`).
pub fn sha256(text: &str) -> Option<String> {
    let digest = text.strip_prefix("sha256:").or_else(|| text.strip_prefix("sha256-"))?;
    let bytes = match digest.len() {
        52 => decode(digest)?,
        64 => (0..32)
            .map(|index| u8::from_str_radix(digest.get(index * 2..index * 2 + 2)?, 16).ok())
            .collect::<Option<Vec<u8>>>()?,
        44 => STANDARD.decode(digest).ok()?,
        _ => return None,
    };
    (bytes.len() == 32).then(|| format!("sha256:{}", encode(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_hash_reads_the_same_in_every_spelling() {
        // What `nix hash to-base32` says of the empty text's SHA-256.
        let expected = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
        for text in [
            expected,
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        ] {
            assert_eq!(sha256(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "sha256:",
            "md5:x",
            "sha256:é",
            "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c7é",
        ] {
            assert_eq!(sha256(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn any_text_is_survived(text in any::<String>()) {
            let _ = decode(&text);
            let _ = sha256(&text);
        }
    }
}
