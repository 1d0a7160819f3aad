//! The log of a build as a cache serves it below `log/`.
//!
//! Nix uploads it as it is or, to a bucket with `log-compression`, compressed, and then only the header
//! `Content-Encoding` says so, which not every server keeps. What its first bytes say is believed before that.

use crate::fleet::StorePath;
use crate::nix::unpack::reader;
use std::io::Read as _;

/// The largest log that is read, in bytes, unpacked: a small file that unpacks to a huge one costs no more time
/// than this, and no memory.
const BIGGEST: usize = 256 << 20;

/// How much is unpacked at a time, in bytes.
const CHUNK: usize = 64 << 10;

/// How compressed files begin, and what their formats are called.
const BEGINNINGS: [(&[u8], &str); 4] = [
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
];

/// Why a log that is there cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildLogError {
    /// It is compressed in another way.
    #[error("it is compressed with {0}, which nixdash does not read")]
    FormatUnknown(String),
    /// It ends too soon, or is something else.
    #[error("it cannot be unpacked as {label}: {why}")]
    Damaged {
        /// What it seems to be compressed with.
        label: &'static str,
        /// What the unpacker said.
        why: String,
    },
    /// There is too much of it.
    #[error("it has more than 256 MB")]
    TooBig,
}

/// Returns where a cache has the log of a derivation, below its own address.
pub fn log_path(drv: &StorePath) -> String {
    format!("log/{}", drv.base_name())
}

/// Returns the end of a log as text, at most so many bytes; `encoding` is what the server says of it.
pub fn end_of_log(
    encoding: Option<&str>,
    served: &[u8],
    most: usize,
) -> Result<String, BuildLogError> {
    let seen = BEGINNINGS.iter().find(|(begin, _)| served.starts_with(begin));
    let label = match (seen, encoding) {
        (Some((_, label)), _) => label,
        // What is said to be one of these and does not begin so was unpacked on its way.
        (None, None | Some("" | "identity" | "xz" | "zstd" | "gzip" | "bzip2")) => "none",
        (None, Some("br")) => return Err(BuildLogError::FormatUnknown("brotli".to_owned())),
        (None, Some(other)) => return Err(BuildLogError::FormatUnknown(other.to_owned())),
    };
    let Some(mut unpacked) = reader(label, served) else {
        return Err(BuildLogError::FormatUnknown(label.to_owned()));
    };
    let (mut end, mut size, mut chunk) = (Vec::new(), 0, vec![0; CHUNK]);
    loop {
        let read = unpacked.read(&mut chunk);
        let count =
            read.map_err(|error| BuildLogError::Damaged { label, why: error.to_string() })?;
        if count == 0 {
            break;
        }
        size += count;
        if size > BIGGEST {
            return Err(BuildLogError::TooBig);
        }
        end.extend_from_slice(&chunk[..count]);
        if end.len() > 2 * most {
            end.drain(..end.len() - most);
        }
    }
    end.drain(..end.len().saturating_sub(most));
    Ok(String::from_utf8_lossy(&end).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Write as _};

    fn gzipped(plain: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(plain).unwrap();
        out.finish().unwrap()
    }

    const LOG: &[u8] = b"checking for gcc... no\nerror: no compiler\n";

    /// The same, as `xz` compresses it.
    const XZ: &[u8] =
        b"\xfd7zXZ\x00\x00\x01i\x22\xde6\x02\x00!\x01\x16\x00\x00\x00t/\xe5\xa3\x01\x00)checking f\
        or gcc... no\x0aerror: no compiler\x0a\x00\x00\x00\xdf\xf2\xc5\xe0\x00\x01>*\x80g\xf8\
        \xba\x90B\x99\x0d\x01\x00\x00\x00\x00\x01YZ";

    #[test]
    fn a_log_is_read_however_it_is_compressed_and_whatever_the_server_says() {
        let zstd = zstd::encode_all(LOG, 1).unwrap();
        for (name, served) in
            [("none", LOG.to_vec()), ("gzip", gzipped(LOG)), ("xz", XZ.to_vec()), ("zstd", zstd)]
        {
            for encoding in [None, Some("xz"), Some("identity")] {
                let read = end_of_log(encoding, &served, 1000).unwrap();
                assert_eq!(read.as_bytes(), LOG, "{name} said to be {encoding:?}");
            }
            assert_eq!(end_of_log(None, &served, 10).unwrap(), " compiler\n", "{name}");
        }
        assert_eq!(end_of_log(None, b"", 10).unwrap(), "");
    }

    #[test]
    fn what_cannot_be_read_says_why_in_a_sentence() {
        let error =
            |encoding, served: &[u8]| end_of_log(encoding, served, 10).unwrap_err().to_string();
        assert!(error(Some("br"), b"\x0b\x02\x80").contains("with brotli, which nixdash does not"));
        assert!(error(None, b"BZh91AY&SY").contains("with bzip2, which nixdash does not read"));
        let whole = gzipped(&[b'x'; 1000]);
        assert!(error(None, &whole[..whole.len() / 2]).contains("cannot be unpacked as gzip"));
    }

    #[test]
    fn a_small_file_that_unpacks_to_a_huge_one_is_refused() {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::copy(&mut io::repeat(b'x').take(BIGGEST as u64 + 1), &mut out).unwrap();
        let served = out.finish().unwrap();
        assert!(served.len() < 2 << 20);
        assert_eq!(end_of_log(None, &served, 10), Err(BuildLogError::TooBig));
    }
}
