//! Which paths a tier is likely to hold, to prove its signature with.

use crate::fleet::{StorePath, Tier};
use crate::probe::store::Closure;
use std::collections::HashSet;

/// How many candidates are named.
const COUNT: usize = 20;

/// What is known of a host's system when a tier is asked.
pub(super) struct Known<'a> {
    pub(super) host: &'a str,
    pub(super) toplevel: Option<&'a StorePath>,
    pub(super) closure: Option<&'a Closure>,
}

/// Returns paths that the tier can hold, the likeliest first.
///
/// A tier that serves a host's store has that host's own system, and those of the hosts that were
/// deployed from it. Any other holds what it was seen to hold, else perhaps the biggest paths of
/// running systems: small ones (units, `/etc`) were built at home.
pub(super) fn candidates(
    tier: &Tier,
    known: &[Known<'_>],
    held: impl Fn(&StorePath) -> bool,
) -> Vec<StorePath> {
    let mut systems: Vec<(bool, &StorePath)> = Vec::new();
    if let Some(serving) = &tier.host {
        systems = known
            .iter()
            .filter_map(|known| known.toplevel.map(|path| (known.host != serving, path)))
            .collect();
        systems.sort_by_key(|(other, _)| *other);
    }
    let mut paths: Vec<_> = known
        .iter()
        .filter_map(|known| known.closure)
        .flat_map(|closure| &closure.paths)
        .map(|entry| (!held(&entry.path), std::cmp::Reverse(entry.nar_size), &entry.path))
        .collect();
    paths.sort_unstable();
    let mut seen = HashSet::new();
    systems
        .into_iter()
        .map(|(_, path)| path)
        .chain(paths.into_iter().map(|(_, _, path)| path))
        .filter(|path| seen.insert(*path))
        .take(COUNT)
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{ClosurePath, KindName};

    /// Makes a path of a name.
    fn path(name: &str) -> StorePath {
        StorePath::parse(&format!("/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-{name}")).unwrap()
    }

    /// Makes a tier, of a host or of nobody.
    fn tier(host: Option<&str>) -> Tier {
        Tier { host: host.map(str::to_owned), ..Tier::new("x", KindName::Http, "http://x") }
    }

    #[test]
    fn a_serving_host_proves_with_systems_and_a_public_tier_with_what_it_holds_or_big_paths() {
        let entry = |name: &str, nar_size| ClosurePath { path: path(name), nar_size };
        let closure = Closure {
            root: path("system-razer"),
            paths: vec![entry("etc", 1), entry("glibc", 100), entry("linux", 900)],
        };
        let (razer, p620) = (path("system-razer"), path("system-p620"));
        let known = [
            Known { host: "razer", toplevel: Some(&razer), closure: Some(&closure) },
            Known { host: "p620", toplevel: Some(&p620), closure: None },
        ];
        let names = |paths: Vec<StorePath>| {
            paths.iter().map(|path| path.name().to_owned()).collect::<Vec<_>>()
        };
        let serving = names(candidates(&tier(Some("p620")), &known, |_| false));
        assert_eq!(serving, ["system-p620", "system-razer", "linux", "glibc", "etc"]);
        let public = names(candidates(&tier(None), &known, |path| path.name() == "glibc"));
        assert_eq!(public, ["glibc", "linux", "etc"]);
    }
}
