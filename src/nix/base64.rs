//! Base64 as Nix reads it (`libutil/base-n.cc`, the same from 2.8 to 2.35 and in Lix).
//!
//! It is more forgiving than the standard: padding may be missing, line ends are skipped, and
//! whatever follows the first `=` is ignored. So a key that other programs refuse may be one that
//! Nix takes, and what is shown of a host must go by Nix.

/// The alphabet, in order.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Decodes a text as Nix does; nothing where Nix refuses it for a character.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut held, mut bits) = (0_u32, 0_u32);
    for letter in text.bytes() {
        match letter {
            b'=' => break,
            b'\n' => continue,
            _ => {}
        }
        let digit = ALPHABET.iter().position(|known| *known == letter)?;
        held = held << 6 | u32::try_from(digit).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_may_be_missing_and_what_follows_it_is_ignored() {
        for (text, bytes) in [
            ("aGVsbG8=", Some(&b"hello"[..])),
            ("aGVsbG8", Some(b"hello")),
            ("aGVs\nbG8=!!!", Some(b"hello")),
            ("", Some(b"")),
            ("=", Some(b"")),
            ("A", Some(b"")),
            ("aGVsbG8!", None),
            ("aGVs bG8=", None),
            ("aGVsbG8_", None),
        ] {
            assert_eq!(decode(text).as_deref(), bytes, "{text}");
        }
    }
}
