//! The text of a narinfo as nix-serve writes it, and the fingerprint that its signature is made over.

use std::fmt::Write;

use crate::lab::keys::CacheKey;

/// What the store knows about a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathInfo {
    /// The full store path.
    pub(crate) path: String,
    /// SHA-256 of the nar, in Nix's base 32.
    pub(crate) nar_hash: String,
    /// Bytes of the nar.
    pub(crate) nar_size: u64,
    /// Full store paths, sorted.
    pub(crate) references: Vec<String>,
    /// The derivation it was built from; empty when unknown.
    pub(crate) deriver: String,
}

impl PathInfo {
    /// What a signature signs: `1;PATH;HASH;SIZE;REFERENCES`.
    fn fingerprint(&self) -> String {
        format!(
            "1;{};sha256:{};{};{}",
            self.path,
            self.nar_hash,
            self.nar_size,
            self.references.join(",")
        )
    }

    /// The narinfo, signed.
    pub(crate) fn narinfo(&self, key: &CacheKey) -> String {
        let hash_part = self
            .path
            .get("/nix/store/".len()..)
            .and_then(|name| name.get(..32))
            .unwrap_or_default();
        let mut text = format!(
            "StorePath: {}\nURL: nar/{hash_part}-{}.nar\nCompression: none\nNarHash: sha256:{}\nNarSize: {}\n",
            self.path, self.nar_hash, self.nar_hash, self.nar_size
        );
        if !self.references.is_empty() {
            let names: Vec<&str> = self.references.iter().map(|path| base_name(path)).collect();
            let _ = writeln!(text, "References: {}", names.join(" "));
        }
        if !self.deriver.is_empty() {
            let _ = writeln!(text, "Deriver: {}", base_name(&self.deriver));
        }
        let _ = writeln!(text, "Sig: {}", key.sign(&self.fingerprint()));
        text
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Nix's base 32 of a hash that is given in base 16: least significant bits last, without e, o, t, u.
pub(crate) fn base32(base16: &str) -> Option<String> {
    const DIGITS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";
    if !base16.len().is_multiple_of(2) {
        return None;
    }
    let bytes: Vec<u8> = (0..base16.len() / 2)
        .map(|index| u8::from_str_radix(base16.get(index * 2..index * 2 + 2)?, 16).ok())
        .collect::<Option<_>>()?;
    let length = (bytes.len() * 8).div_ceil(5);
    let digit = |place: usize| {
        let bit = place * 5;
        let (index, shift) = (bit / 8, bit % 8);
        let low = u16::from(bytes[index]) >> shift;
        let high = bytes.get(index + 1).map_or(0, |byte| u16::from(*byte) << (8 - shift));
        char::from(DIGITS[usize::from((low | high) & 0x1f)])
    };
    Some((0..length).rev().map(digit).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_written_as_nix_writes_it() {
        // `nix-store -q --hash` and `nix-store --dump-db` of one path.
        assert_eq!(
            base32("c593b8995187c80e3985284c38500a640f009573c882338bfd080bdc3b495ac4").as_deref(),
            Some("1i2s94xxq2q8zn5k70n8ffah03v41983hk18hlwhxj47a6cvi4y5")
        );
        assert_eq!(base32("xy"), None);
    }

    #[test]
    fn a_narinfo_reads_as_nix_serve_writes_it() {
        let info = PathInfo {
            path: "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-top".into(),
            nar_hash: "125f3rvnz67hv48c422g4j4jxn2br38f5xhldz50p21dviwvfl1i".into(),
            nar_size: 189_144,
            references: vec!["/nix/store/a0znnv1nxsr0ry7gmadkh49s1d0hycgd-x".into()],
            deriver: String::new(),
        };
        let key = CacheKey::generate("p620-1").unwrap();
        let text = info.narinfo(&key);
        let (unsigned, signature) = text.split_once("Sig: p620-1:").unwrap();
        assert_eq!(
            unsigned,
            "StorePath: /nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-top\n\
             URL: nar/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-125f3rvnz67hv48c422g4j4jxn2br38f5xhldz50p21dviwvfl1i.nar\n\
             Compression: none\n\
             NarHash: sha256:125f3rvnz67hv48c422g4j4jxn2br38f5xhldz50p21dviwvfl1i\n\
             NarSize: 189144\n\
             References: a0znnv1nxsr0ry7gmadkh49s1d0hycgd-x\n"
        );
        assert_eq!(signature.trim().len(), 88);
        assert!(!info.narinfo(&key.wrong()).contains(signature.trim()));
    }
}
