//! Hosts on which hosts.toml says that nothing is changed (`read_only = true`), where they are selected with others.

use crate::deploy::Failure;
use crate::fleet::Fleet;
use std::collections::BTreeMap;

/// Returns why selected hosts are left alone that hosts.toml calls read-only. None is where no other host is left, and
/// none that was named itself: whoever names such a host is refused.
pub(super) fn left_alone(
    fleet: &Fleet,
    hosts: &[String],
    selectors: &[String],
) -> BTreeMap<String, Failure> {
    let is_named = |name: &String| name != "all" && selectors.contains(name);
    let is_read_only = |name: &&String| fleet.host(name).is_some_and(|host| host.read_only);
    if hosts.iter().all(|name| is_read_only(&name)) {
        return BTreeMap::new();
    }
    let left = hosts.iter().filter(is_read_only).filter(|name| !is_named(name));
    left.map(|name| (name.clone(), Failure::of_read_only(name))).collect()
}

/// Returns the hosts that are not left alone.
pub(super) fn others(hosts: &[String], left: &BTreeMap<String, Failure>) -> Vec<String> {
    hosts.iter().filter(|name| !left.contains_key(*name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::select;

    #[test]
    fn a_read_only_host_is_left_alone_unless_it_is_named_or_alone() {
        let text = "[hosts.p620]\ntags = [\"x\"]\n[hosts.heron]\nread_only = true\ntags = [\"x\", \"own\"]\n";
        let fleet = crate::config::parse(text, std::path::Path::new("hosts.toml"), None).unwrap();
        let left = |selectors: &[&str]| {
            let selectors: Vec<String> = selectors.iter().map(|&one| one.to_owned()).collect();
            let hosts = select(&fleet, &selectors).unwrap();
            let left = left_alone(&fleet, &hosts, &selectors);
            assert_eq!(others(&hosts, &left).len(), hosts.len() - left.len());
            left.into_keys().collect::<Vec<_>>()
        };
        for with_others in [&["all"][..], &["*"], &["@x"], &["p620", "@own"]] {
            assert_eq!(left(with_others), ["heron"], "{with_others:?}");
        }
        for refused in [&["heron"][..], &["@own"], &["p620", "heron"], &["all", "heron"]] {
            assert!(left(refused).is_empty(), "{refused:?}");
        }
        assert!(left(&["p620"]).is_empty());
    }
}
