//! Paths that need no signature because their name is made from what they hold.
//!
//! A narinfo says so with `CA: …`; Nix believes it only when the path follows from it (libstore's
//! `makeStorePath`), and so does this.

use crate::fleet::StorePath;
use crate::nix::base32;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Bytes of the hash part of a store path.
const HASH_BYTES: usize = 20;

/// Returns whether a path follows from a content address, as a narinfo writes it
/// (`text:sha256:…`, `fixed:sha256:…`, `fixed:r:sha256:…`), and from the paths it refers to.
pub fn is_made_from(path: &StorePath, address: &str, references: &BTreeSet<StorePath>) -> bool {
    expected_hash(path, address, references).is_some_and(|hash| hash == path.hash())
}

/// Returns the hash part that a path with this name, address and references has; nothing for an
/// address of a kind that is not known.
fn expected_hash(
    path: &StorePath,
    address: &str,
    references: &BTreeSet<StorePath>,
) -> Option<String> {
    let (method, hash) = if let Some(hash) = address.strip_prefix("text:") {
        ("text", hash)
    } else {
        let rest = address.strip_prefix("fixed:")?;
        rest.strip_prefix("r:").map_or(("flat", rest), |hash| ("r", hash))
    };
    let hash = in_base16(hash)?;
    let is_sha256 = hash.starts_with("sha256:");
    let (kind, hash) = match method {
        "text" if is_sha256 => (with_references("text", path, references), hash),
        "r" if is_sha256 => (with_references("source", path, references), hash),
        "text" => return None,
        // What is not hashed with SHA-256 as a whole tree cannot refer to anything.
        _ if !references.is_empty() => return None,
        _ => {
            let tree = if method == "r" { "r:" } else { "" };
            let inner = hex(&Sha256::digest(format!("fixed:out:{tree}{hash}:")));
            ("output:out".to_owned(), format!("sha256:{inner}"))
        }
    };
    let text = format!("{kind}:{hash}:/nix/store:{}", path.name());
    let mut folded = [0_u8; HASH_BYTES];
    for (index, byte) in Sha256::digest(text).iter().enumerate() {
        folded[index % HASH_BYTES] ^= byte;
    }
    Some(base32::encode(&folded))
}

/// Returns a kind of path with everything it refers to, itself as the last.
fn with_references(kind: &str, path: &StorePath, references: &BTreeSet<StorePath>) -> String {
    let mut text = kind.to_owned();
    for reference in references.iter().filter(|reference| *reference != path) {
        text.push(':');
        text.push_str(reference.as_str());
    }
    if references.contains(path) {
        text.push_str(":self");
    }
    text
}

/// Returns `algorithm:<Nix base 32>` as `algorithm:<base 16>`.
fn in_base16(hash: &str) -> Option<String> {
    let (algorithm, digest) = hash.split_once(':')?;
    Some(format!("{algorithm}:{}", hex(&base32::decode(digest)?)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "/nix/store/50midknzqiidprfjf06394nx2ad4wwx0-t";

    /// Paths that Nix 2.8 made: a tree, a flat file, a tree under SHA-1, a text, and a text that
    /// refers to the first one.
    const MADE: [(&str, &str, &[&str]); 5] = [
        (
            "/nix/store/nhbkbjb42fmcsbd97h5mqx8nya2bks1c-f.txt",
            "fixed:r:sha256:0sg9f58l1jj88w6pdrfdpj5x9b1zrwszk84j81zvby36q9whhhqa",
            &[],
        ),
        (
            "/nix/store/h3l41b48w4vk3d4g7q5raj8fgyn0vqix-f.txt",
            "fixed:sha256:094qif9n4cq4fdg459qzbhg1c6wywawwaaivx0k0x8xhbyx4vwic",
            &[],
        ),
        (
            "/nix/store/y5s46vla3c9arab3a0fmhpfbq5qh0jb9-f.txt",
            "fixed:r:sha1:x5zjnshbjrrhpg88n2da87884cmn2i2i",
            &[],
        ),
        (PLAIN, "text:sha256:0x84z5jxhhafpx5r0zf36j3aqllgv07x65rklhs7f86n8vnwj5m1", &[]),
        (
            "/nix/store/pf6iab7g4v67mxi5dhzf985dvpp1nz8m-u",
            "text:sha256:07vw7z9ralgb5k2lmd2lif48aavpyh96sa0z28rxinmfk4r06z87",
            &[PLAIN],
        ),
    ];

    fn set(paths: &[&str]) -> BTreeSet<StorePath> {
        paths.iter().map(|path| StorePath::parse(path).unwrap()).collect()
    }

    #[test]
    fn a_path_follows_from_its_address() {
        for (path, address, references) in MADE {
            let path = StorePath::parse(path).unwrap();
            assert!(is_made_from(&path, address, &set(references)), "{path}");
        }
    }

    #[test]
    fn an_address_of_something_else_is_none() {
        let (path, address, _) = MADE[0];
        let path = StorePath::parse(path).unwrap();
        for other in [MADE[1].1, MADE[2].1, MADE[3].1, "", "fixed:", "git:sha256:x", "text:md5:0"] {
            assert!(!is_made_from(&path, other, &BTreeSet::new()), "{other}");
        }
        assert!(!is_made_from(&path, address, &set(&[PLAIN])));
        let renamed = StorePath::parse(&format!("{path}2")).unwrap();
        assert!(!is_made_from(&renamed, address, &BTreeSet::new()));
        let flat = StorePath::parse(MADE[1].0).unwrap();
        assert!(!is_made_from(&flat, MADE[1].1, &set(&[PLAIN])));
    }
}
