//! Unpacks a nar that was fetched whole, and measures what Nix compares: hash and size of the nar.
//!
//! The nar itself is not kept. Unpacking stops as soon as there is more than the narinfo promises,
//! so that a small file that unpacks to a huge one costs no more than an honest one.

use crate::nix::hash::NixHash;
use crate::nix::nar::NarStart;
use crate::nix::narinfo::{ImportFault, NarInfo};
use sha2::{Digest as _, Sha256};
use std::io::{self, Read};

/// How much is unpacked at a time, in bytes.
const CHUNK: usize = 64 << 10;

/// Largest window of an xz file, in KiB: more than any that `xz` makes by a level.
const XZ_MEMORY_KIB: u32 = 128 << 10;

/// What was found when a nar was unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnpackedNar {
    /// What its first bytes are, as the cache served them.
    pub start: NarStart,
    /// SHA-256 of the file, as it was served.
    pub file_hash: NixHash,
    /// Size of the file in bytes.
    pub file_size: u64,
    /// SHA-256 of the nar.
    pub nar_hash: NixHash,
    /// Size of the nar in bytes; one more than promised where unpacking was stopped.
    pub nar_size: u64,
}

/// Why a nar could not be unpacked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// nixdash does not unpack this format; that says nothing of the nar.
    #[error("nixdash does not unpack {0}")]
    FormatUnknown(String),
    /// The file is damaged, or not packed as its label says.
    #[error("it cannot be unpacked as {label}: {why}")]
    Damaged {
        /// What its label says.
        label: String,
        /// What the unpacker said.
        why: String,
    },
}

/// What a comparison of a narinfo with its nar found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NarCheck {
    /// What Nix would refuse the path for.
    pub fault: Option<ImportFault>,
    /// In what the file differs from `FileSize` and `FileHash`, which Nix does not compare.
    pub file: Option<String>,
}

/// Unpacks a nar by its label (no label means `bzip2`), and stops after `promised` bytes.
pub fn unpack(
    label: Option<&str>,
    served: &[u8],
    promised: u64,
) -> Result<UnpackedNar, UnpackError> {
    let label = label.unwrap_or("bzip2");
    let Some(reader) = reader(label, served) else {
        return Err(UnpackError::FormatUnknown(label.to_owned()));
    };
    let damaged = |error: io::Error| {
        let why = error.to_string();
        // A window that is larger than what is unpacked here says nothing of the file.
        if why.to_ascii_lowercase().contains("window") {
            return UnpackError::FormatUnknown(format!("{label} with a large window"));
        }
        UnpackError::Damaged { label: label.to_owned(), why }
    };
    let (nar_hash, nar_size) = measure(reader, promised).map_err(damaged)?;
    Ok(UnpackedNar {
        start: NarStart::of(served),
        file_hash: NixHash::sha256(Sha256::digest(served).into()),
        file_size: served.len() as u64,
        nar_hash,
        nar_size,
    })
}

/// Returns what unpacks a file as its label says; none for formats that nixdash does not unpack. Whoever reads
/// limits how much.
pub(super) fn reader<'a>(label: &str, served: &'a [u8]) -> Option<Box<dyn Read + 'a>> {
    Some(match label {
        "none" | "identity" => Box::new(served),
        "xz" => Box::new(lzma_rust2::XzReader::new_mem_limit(served, true, XZ_MEMORY_KIB)),
        "zstd" => Box::new(ZstdFrames { rest: served, frame: None }),
        "gzip" => Box::new(flate2::read::MultiGzDecoder::new(served)),
        _ => return None,
    })
}

/// Returns hash and size of what a reader gives, of one byte more than `promised` at most.
fn measure(reader: impl Read, promised: u64) -> io::Result<(NixHash, u64)> {
    let mut limited = reader.take(promised.saturating_add(1));
    let mut digest = Sha256::new();
    let (mut size, mut chunk) = (0_u64, vec![0_u8; CHUNK]);
    loop {
        let count = limited.read(&mut chunk)?;
        if count == 0 {
            return Ok((NixHash::sha256(digest.finalize().into()), size));
        }
        digest.update(&chunk[..count]);
        size += count as u64;
    }
}

/// Compares a narinfo with its nar.
pub fn compare(narinfo: &NarInfo, nar: &UnpackedNar) -> NarCheck {
    let fault = if nar.nar_size != narinfo.nar_size {
        Some(ImportFault::SizeDiffers(nar.nar_size))
    } else if nar.nar_hash.to_string() != narinfo.nar_hash {
        Some(ImportFault::HashDiffers(nar.nar_hash.to_string()))
    } else {
        None
    };
    let file = match (narinfo.file_size, &narinfo.file_hash) {
        (Some(size), _) if size != nar.file_size => {
            Some(format!("has {} bytes, not the {size} of its FileSize", nar.file_size))
        }
        (_, Some(hash)) if hash.starts_with("sha256:") && *hash != nar.file_hash.to_string() => {
            Some(format!("hashes to {}, not to its FileHash", nar.file_hash))
        }
        _ => None,
    };
    NarCheck { fault, file }
}

/// Reads the frames of a zstd file one after the other; Nix from 2.35 on writes several.
struct ZstdFrames<'a> {
    rest: &'a [u8],
    frame: Option<ruzstd::decoding::StreamingDecoder<&'a [u8], ruzstd::decoding::FrameDecoder>>,
}

impl Read for ZstdFrames<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                let count = frame.read(buffer)?;
                if count > 0 || buffer.is_empty() {
                    return Ok(count);
                }
                self.rest = frame.get_ref();
                self.frame = None;
            }
            if self.rest.is_empty() {
                return Ok(0);
            }
            if let Some(after) = after_skippable(self.rest) {
                self.rest = after;
                continue;
            }
            let frame = ruzstd::decoding::StreamingDecoder::new(self.rest);
            self.frame = Some(frame.map_err(|error| io::Error::other(error.to_string()))?);
        }
    }
}

/// Returns what follows a frame that holds no data, where a file begins with one.
fn after_skippable(bytes: &[u8]) -> Option<&[u8]> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    if head[0] & 0xf0 != 0x50 || head[1..4] != *b"\x2a\x4d\x18" {
        return None;
    }
    let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    rest.get(usize::try_from(length).ok()?..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    /// The bytes of a nar that packs well.
    fn nar() -> Vec<u8> {
        let mut nar = b"\x0d\0\0\0\0\0\0\0nix-archive-1\0\0\0".to_vec();
        nar.extend(b"content ".repeat(40_000));
        nar
    }

    /// Returns what a program packs the nar to; nothing where it is not installed.
    fn packed(program: &str) -> Option<Vec<u8>> {
        let mut child = Command::new(program)
            .arg("-c")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut stdin = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || stdin.write_all(&nar()));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        Some(output.stdout)
    }

    fn narinfo(nar_hash: &NixHash, nar_size: u64, more: &str) -> NarInfo {
        NarInfo::parse(&format!(
            "StorePath: /nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-a-1.0\nURL: nar/x\n\
             NarHash: {nar_hash}\nNarSize: {nar_size}\nReferences: \n{more}"
        ))
        .unwrap()
    }

    #[test]
    fn every_format_that_caches_use_is_unpacked() {
        let nar = nar();
        let hash = NixHash::sha256(Sha256::digest(&nar).into());
        let size = nar.len() as u64;
        let plain = Some(nar.clone());
        for (label, served) in [
            ("none", plain),
            ("xz", packed("xz")),
            ("gzip", packed("gzip")),
            ("zstd", packed("zstd")),
        ] {
            let Some(served) = served else { continue };
            let found = unpack(Some(label), &served, size).unwrap();
            assert_eq!((&found.nar_hash, found.nar_size), (&hash, size), "{label}");
            let check = compare(&narinfo(&hash, size, ""), &found);
            assert_eq!(check, NarCheck { fault: None, file: None }, "{label}");
            // A byte that is lost or changed is seen.
            let half = unpack(Some(label), &served[..served.len() / 2], size);
            assert!(half.is_err() || half.is_ok_and(|found| found.nar_hash != hash), "{label}");
        }
    }

    #[test]
    fn several_frames_of_zstd_are_one_nar() {
        // Two frames of raw blocks, `ab` and `c`, with a frame that holds no data between them.
        let one = b"\x28\xb5\x2f\xfd\x20\x02\x11\0\0ab";
        let skip = b"\x52\x2a\x4d\x18\x03\0\0\0xyz";
        let two = b"\x28\xb5\x2f\xfd\x20\x01\x09\0\0c";
        let served = [&one[..], skip, two].concat();
        let found = unpack(Some("zstd"), &served, 3).unwrap();
        assert_eq!(found.nar_hash, NixHash::sha256(Sha256::digest("abc").into()));
    }

    #[test]
    fn what_unpacks_to_more_than_promised_is_not_unpacked_to_its_end() {
        let served = packed("gzip").unwrap();
        let found = unpack(Some("gzip"), &served, 10).unwrap();
        assert_eq!(found.nar_size, 11);
        let check = compare(&narinfo(&found.nar_hash, 10, ""), &found);
        assert_eq!(check.fault, Some(ImportFault::SizeDiffers(11)));
    }

    #[test]
    fn another_nar_is_a_fault_and_another_file_is_not() {
        let nar = nar();
        let found = unpack(Some("none"), &nar, nar.len() as u64).unwrap();
        let other = NixHash::sha256([1; 32]);
        let check = compare(&narinfo(&other, found.nar_size, ""), &found);
        assert_eq!(check.fault, Some(ImportFault::HashDiffers(found.nar_hash.to_string())));
        let more = format!("FileHash: {other}\n");
        let check = compare(&narinfo(&found.nar_hash, found.nar_size, &more), &found);
        assert_eq!(check.fault, None);
        assert!(check.file.unwrap().contains("not to its FileHash"));
        let check = compare(&narinfo(&found.nar_hash, found.nar_size, "FileSize: 1\n"), &found);
        assert!(check.file.unwrap().contains("not the 1 of its FileSize"));
    }

    #[test]
    fn what_is_packed_otherwise_says_so() {
        let nar = nar();
        for label in ["xz", "zstd", "gzip"] {
            let error = unpack(Some(label), &nar, 10).unwrap_err();
            assert!(matches!(error, UnpackError::Damaged { .. }), "{label}: {error}");
        }
        assert_eq!(unpack(None, &nar, 10), Err(UnpackError::FormatUnknown("bzip2".to_owned())));
    }
}
