//! What Nix says it would do: the standard error of `nix-store --realise --dry-run`.

/// What Nix would build and fetch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DryRun {
    /// Derivations that would be built.
    pub to_build: u64,
    /// Paths that would be fetched.
    pub to_fetch: u64,
    /// Bytes that would be downloaded (rounded by Nix); none when nothing is fetched or it is not
    /// said.
    pub download_bytes: Option<u64>,
    /// Bytes that this would take up unpacked (rounded by Nix).
    pub unpacked_bytes: Option<u64>,
    /// Paths that nobody can build or has.
    pub unknown: u64,
}

/// Which list the lines belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    None,
    Build,
    Fetch,
    Unknown,
}

/// Parses the text in the phrases of Nix 2.3 to 2.36; nothing printed means nothing to do.
pub fn parse(text: &str) -> DryRun {
    let mut found = DryRun::default();
    let mut list = List::None;
    for line in text.lines() {
        if line.starts_with([' ', '\t']) && line.trim_start().starts_with('/') {
            match list {
                List::None => {}
                List::Build => found.to_build += 1,
                List::Fetch => found.to_fetch += 1,
                List::Unknown => found.unknown += 1,
            }
            continue;
        }
        list = if line.contains("will be built") {
            List::Build
        } else if line.contains("will be fetched") {
            (found.download_bytes, found.unpacked_bytes) = sizes(line);
            List::Fetch
        } else if line.contains("don't know how to build") {
            List::Unknown
        } else {
            List::None
        };
    }
    found
}

/// Reads `(1.23 MiB download, 4.5 MiB unpacked)`.
fn sizes(line: &str) -> (Option<u64>, Option<u64>) {
    let inside = line.split_once('(').map_or("", |(_, inside)| inside);
    let find = |word: &str| {
        inside.split([',', ')']).find(|part| part.trim_end().ends_with(word)).and_then(size)
    };
    (find("download"), find("unpacked"))
}

/// Reads a number and a unit of 1024.
fn size(part: &str) -> Option<u64> {
    let mut words = part.split_whitespace();
    let number: f64 = words.next()?.parse().ok()?;
    let power = match words.next()? {
        "B" | "bytes" => 0,
        "KiB" => 1,
        "MiB" => 2,
        "GiB" => 3,
        "TiB" => 4,
        _ => return None,
    };
    (number >= 0.0).then(|| (number * 1024_f64.powi(power)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_counted_whatever_the_phrase() {
        let new = "these 2 derivations will be built:\n  /nix/store/a.drv\n  /nix/store/b.drv\n\
                   these 3 paths will be fetched (1.50 MiB download, 2.00 GiB unpacked):\n  \
                   /nix/store/x\n  /nix/store/y\n  /nix/store/z\n";
        assert_eq!(
            parse(new),
            DryRun {
                to_build: 2,
                to_fetch: 3,
                download_bytes: Some(1_572_864),
                unpacked_bytes: Some(2_147_483_648),
                unknown: 0
            }
        );
        let one = "this derivation will be built:\n  /nix/store/a.drv\nthis path will be fetched \
                   (12.0 KiB download, 40.0 KiB unpacked):\n  /nix/store/x\n";
        assert_eq!((parse(one).to_build, parse(one).to_fetch), (1, 1));
        assert_eq!(parse(one).download_bytes, Some(12_288));
        let old = "these derivations will be built:\n  /nix/store/a.drv\nthese paths will be \
                   fetched:\n  /nix/store/x\n";
        assert_eq!((parse(old).to_build, parse(old).to_fetch), (1, 1));
        assert_eq!(parse(old).download_bytes, None);
    }

    #[test]
    fn nothing_to_do_and_nothing_known_differ() {
        assert_eq!(parse(""), DryRun::default());
        let unknown = "don't know how to build these paths:\n  /nix/store/x\nerror: oh no\n";
        assert_eq!(parse(unknown).unknown, 1);
        assert_eq!(parse("warning: x\n  /nix/store/x\n"), DryRun::default());
    }
}
