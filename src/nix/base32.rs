//! Nix's base 32.
//!
//! The alphabet lacks `e`, `o`, `u` and `t`, and bits are taken from the end of the bytes (Nix's
//! `libutil/base-nix-32`). Narinfos write it; fingerprints are over exactly this spelling.

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_decodes(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn any_text_is_survived(text in any::<String>()) {
            let _ = decode(&text);
        }
    }
}
