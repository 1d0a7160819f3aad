//! The first bytes of a nar, as a cache serves it: what they are, and whether a narinfo's label
//! (`Compression:`) fits them.
//!
//! An uncompressed nar begins with the length of a word, then `nix-archive-1`, so its mark is at
//! byte 8; compressed ones begin with the mark of their format. Brotli has none: such a nar can only
//! be judged by unpacking it.

/// How many of the first bytes are needed to judge a nar.
pub const START_BYTES: usize = 32;

/// What the first bytes of a nar show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NarStart {
    /// Fewer bytes than a mark needs.
    Short,
    /// A nar that is not compressed.
    Plain,
    /// A compressed file; the word is the label that fits.
    Packed(&'static str),
    /// A frame that zstd and lz4 share: either label may fit.
    ZstdOrLz4,
    /// A web page or other text: no nar.
    Text,
    /// Nothing that has a mark: brotli, or no nar.
    Unmarked,
}

/// Whether a label fits the first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelFit {
    /// It does.
    Fits,
    /// It does not; Nix cannot unpack the nar, or finds no nar in it.
    Differs,
    /// The bytes cannot tell.
    NotKnown,
}

/// Marks of formats that libarchive unpacks, by the label that Nix has for each.
const MARKS: [(&[u8], &str); 11] = [
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\x1f\x8b", "gzip"),
    (b"\x1f\x9d", "compress"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x02\x21\x4c\x18", "lz4"),
    (b"LZIP", "lzip"),
    (b"LRZI", "lrzip"),
    (b"\x89LZO\0\x0d\x0a\x1a\x0a", "lzop"),
    (b"GRZipII\0\x02\x04:)", "grzip"),
];

/// What every uncompressed nar begins with.
const PLAIN: &[u8] = b"\x0d\0\0\0\0\0\0\0nix-archive-1\0\0\0";

/// Labels that Nix hands to libarchive and that this module knows a mark of.
const MARKED: [&str; 10] =
    ["xz", "zstd", "bzip2", "gzip", "compress", "lz4", "lzip", "lrzip", "lzop", "grzip"];

impl NarStart {
    /// Reads the first bytes; more than [`START_BYTES`] are not needed.
    pub fn of(bytes: &[u8]) -> Self {
        if bytes.starts_with(PLAIN) {
            return Self::Plain;
        }
        if let Some((_, label)) = MARKS.iter().find(|(mark, _)| bytes.starts_with(mark)) {
            return Self::Packed(label);
        }
        if bytes.len() >= 4 && bytes[0] & 0xf0 == 0x50 && bytes[1..4] == *b"\x2a\x4d\x18" {
            return Self::ZstdOrLz4;
        }
        if is_text(bytes) {
            return Self::Text;
        }
        if bytes.len() < PLAIN.len() {
            return Self::Short;
        }
        Self::Unmarked
    }

    /// Returns whether a label fits, for a Nix that unpacks by the label (2.22 and later). No label
    /// means bzip2.
    pub fn fits(self, label: Option<&str>) -> LabelFit {
        let label = label.unwrap_or("bzip2");
        let is_plain = matches!(label, "none" | "identity");
        match self {
            Self::Plain if is_plain => LabelFit::Fits,
            Self::Packed(found) if found == label => LabelFit::Fits,
            // Every byte may begin a brotli file, though these marks would be a strange accident.
            Self::Plain | Self::Packed(_) | Self::ZstdOrLz4 if label == "br" => LabelFit::NotKnown,
            Self::ZstdOrLz4 if matches!(label, "zstd" | "lz4") => LabelFit::Fits,
            Self::Unmarked if is_plain || MARKED.contains(&label) => LabelFit::Differs,
            Self::Plain | Self::Packed(_) | Self::ZstdOrLz4 | Self::Text => LabelFit::Differs,
            Self::Unmarked | Self::Short => LabelFit::NotKnown,
        }
    }

    /// Returns in words what it is.
    pub fn words(self) -> &'static str {
        match self {
            Self::Short => "too short for a nar",
            Self::Plain => "a nar that is not packed",
            Self::Packed(label) => label,
            Self::ZstdOrLz4 => "zstd or lz4",
            Self::Text => "text, perhaps a page",
            Self::Unmarked => "in no known format",
        }
    }

    /// Returns whether a Nix that looks for itself (to 2.21, and Lix) unpacks it under a label.
    pub fn is_unpacked_under(self, label: Option<&str>) -> LabelFit {
        match (self, label) {
            (_, Some("none" | "br")) => self.fits(label),
            (Self::Packed(_) | Self::ZstdOrLz4, _) => LabelFit::Fits,
            (Self::Plain | Self::Text, _) => LabelFit::Differs,
            // lzma files have no mark to speak of.
            (Self::Unmarked | Self::Short, _) => LabelFit::NotKnown,
        }
    }
}

/// Returns whether bytes are the beginning of a page or a message: printable ASCII that begins as
/// one, and enough of it.
fn is_text(bytes: &[u8]) -> bool {
    if bytes.len() < 8 {
        return false;
    }
    let text = bytes.trim_ascii_start();
    let begins =
        text.first().is_some_and(|first| b"<{[".contains(first) || first.is_ascii_alphabetic());
    begins && bytes.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAR: &[u8] = b"\x0d\0\0\0\0\0\0\0nix-archive-1\0\0\0\x01\0\0\0\0\0\0\0(";

    #[test]
    fn marks_are_known_at_their_place() {
        for (bytes, start) in [
            (NAR, NarStart::Plain),
            (&NAR[..20], NarStart::Short),
            (b"", NarStart::Short),
            (b"x", NarStart::Short),
            (b"\xfd7zXZ\0\0\x04", NarStart::Packed("xz")),
            (b"\x28\xb5\x2f\xfd\x04", NarStart::Packed("zstd")),
            (b"BZh91AY&SY", NarStart::Packed("bzip2")),
            (b"\x50\x2a\x4d\x18\0\0\0\0", NarStart::ZstdOrLz4),
            (b"<!DOCTYPE html><html><head>", NarStart::Text),
            (b"Not found\n", NarStart::Text),
            (b"\x8b\x02\x80nix-archive-1 in brotli....", NarStart::Unmarked),
        ] {
            assert_eq!(NarStart::of(bytes), start, "{bytes:?}");
        }
    }

    #[test]
    fn a_label_must_fit_the_bytes() {
        for (bytes, label, fit) in [
            (NAR, Some("none"), LabelFit::Fits),
            (NAR, Some("xz"), LabelFit::Differs),
            (NAR, None, LabelFit::Differs),
            (NAR, Some("br"), LabelFit::NotKnown),
            (b"\xfd7zXZ\0\0\x04", Some("xz"), LabelFit::Fits),
            (b"\xfd7zXZ\0\0\x04", Some("zstd"), LabelFit::Differs),
            (b"\xfd7zXZ\0\0\x04", Some("none"), LabelFit::Differs),
            (b"BZh91AY&SY", None, LabelFit::Fits),
            (b"<!DOCTYPE html><html><head>", Some("br"), LabelFit::Differs),
            (b"\x8b\x02\x80nix-archive-1 in brotli....", Some("br"), LabelFit::NotKnown),
            (b"\x8b\x02\x80nix-archive-1 in brotli....", Some("none"), LabelFit::Differs),
            (b"\x8b\x02\x80nix-archive-1 in brotli....", Some("lzma"), LabelFit::NotKnown),
        ] {
            assert_eq!(NarStart::of(bytes).fits(label), fit, "{bytes:?} {label:?}");
        }
    }

    #[test]
    fn a_nix_that_looks_for_itself_takes_any_label_of_a_packed_nar() {
        let xz = NarStart::of(b"\xfd7zXZ\0\0\x04");
        assert_eq!(xz.is_unpacked_under(Some("zstd")), LabelFit::Fits);
        assert_eq!(xz.is_unpacked_under(Some("none")), LabelFit::Differs);
        assert_eq!(NarStart::of(NAR).is_unpacked_under(Some("xz")), LabelFit::Differs);
        assert_eq!(NarStart::of(NAR).is_unpacked_under(Some("none")), LabelFit::Fits);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = NarStart::of(&bytes).fits(Some("xz"));
        }
    }
}
