//! What Nix says it would do: the standard error of `nix-store --realise --dry-run`.

use super::versions::name_and_version;
use crate::fleet::StorePath;
use std::collections::HashSet;

/// Most that is kept of each list: that of a large system down to its first compiler.
const NAMED: u64 = 20_000;

/// What Nix would build and fetch.
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// The derivations that would be built.
    pub build: Vec<StorePath>,
    /// The paths that would be fetched.
    pub fetch: Vec<StorePath>,
    /// The paths that Nix would fetch and the host refuses, so that they are built.
    pub refused: Vec<StorePath>,
}

impl DryRun {
    /// Returns the names of what would be built, without `.drv`.
    pub fn build_names(&self) -> impl Iterator<Item = &str> {
        let refused = self.one_of_each_build().into_iter().map(StorePath::name);
        self.build.iter().map(|drv| drv.name().trim_end_matches(".drv")).chain(refused)
    }

    /// Returns one path of each build that brings what the host refuses, besides those that Nix names. Which
    /// derivation makes a path is not known: paths of one package and version are taken for outputs of one, and a
    /// path without a version for the only one.
    fn one_of_each_build(&self) -> Vec<&StorePath> {
        let named = self.build.iter().map(|drv| name_and_version(drv.name()));
        let mut known: HashSet<(&str, &str)> = named.collect();
        let refused = self.refused.iter().filter(|path| {
            let package = name_and_version(path.name());
            package.1.is_empty() || known.insert(package)
        });
        refused.collect()
    }

    /// Counts what brings the paths that the host refuses as built, and the paths not as fetched. What building
    /// them needs is not known.
    pub fn refuse(&mut self, refused: Vec<StorePath>) {
        if refused.is_empty() {
            return;
        }
        self.fetch.retain(|path| !refused.contains(path));
        self.to_fetch = self.to_fetch.saturating_sub(refused.len() as u64);
        // Nix says the sum only.
        (self.download_bytes, self.unpacked_bytes) = (None, None);
        self.refused = refused;
        self.to_build += self.one_of_each_build().len() as u64;
    }
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
                List::Build => {
                    found.to_build += 1;
                    found.build.extend(path_in(line).filter(|_| found.to_build <= NAMED));
                }
                List::Fetch => {
                    found.to_fetch += 1;
                    found.fetch.extend(path_in(line).filter(|_| found.to_fetch <= NAMED));
                }
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

/// Returns the store path in a line.
fn path_in(line: &str) -> Option<StorePath> {
    StorePath::parse(line.trim()).ok()
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
                ..DryRun::default()
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
    fn what_would_be_built_and_fetched_is_named() {
        let text = "these 2 derivations will be built:\n  \
                    /nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-linux-6.12.58.drv\n  \
                    /nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-top.drv\nthis path will be fetched \
                    (12.0 KiB download, 40.0 KiB unpacked):\n  \
                    /nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-glibc-2.42\n";
        let found = parse(text);
        assert_eq!(found.build_names().collect::<Vec<_>>(), ["linux-6.12.58", "top"]);
        assert_eq!(found.fetch[0].name(), "glibc-2.42");
    }

    #[test]
    fn what_the_host_refuses_is_built_and_not_fetched() {
        let path = |name: &str| format!("/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-{name}");
        let text = format!(
            "this derivation will be built:\n  {}\nthese 2 paths will be fetched (12.0 KiB download, 40.0 KiB \
             unpacked):\n  {}\n  {}\n",
            path("top.drv"),
            path("glibc-2.42"),
            path("less-695")
        );
        let mut found = parse(&text);
        let before = found.clone();
        found.refuse(Vec::new());
        assert_eq!(found, before);
        found.refuse(vec![StorePath::parse(&path("less-695")).unwrap()]);
        assert_eq!((found.to_build, found.to_fetch, found.download_bytes), (2, 1, None));
        assert_eq!(found.build_names().collect::<Vec<_>>(), ["top", "less-695"]);
        assert_eq!(found.fetch.len(), 1);
    }

    #[test]
    fn outputs_of_one_derivation_that_are_refused_are_built_once() {
        let path = |name: &str| format!("/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-{name}");
        let fetched =
            ["openssl-3.6.0", "openssl-3.6.0-dev", "top-1-doc", "etc-a", "etc-b"].map(path);
        let text = format!(
            "this derivation will be built:\n  {}\nthese 5 paths will be fetched:\n  {}\n",
            path("top-1.drv"),
            fetched.join("\n  ")
        );
        let mut found = parse(&text);
        found.refuse(fetched.iter().map(|path| StorePath::parse(path).unwrap()).collect());
        assert_eq!((found.to_build, found.to_fetch, found.refused.len()), (4, 0, 5));
        let names = ["top-1", "openssl-3.6.0", "etc-a", "etc-b"];
        assert_eq!(found.build_names().collect::<Vec<_>>(), names);
    }

    #[test]
    fn nothing_to_do_and_nothing_known_differ() {
        assert_eq!(parse(""), DryRun::default());
        let unknown = "don't know how to build these paths:\n  /nix/store/x\nerror: oh no\n";
        assert_eq!(parse(unknown).unknown, 1);
        assert_eq!(parse("warning: x\n  /nix/store/x\n"), DryRun::default());
    }
}
