//! Hosts by tag: a group for each tag, which is open or folded.
//!
//! A host with several tags stands under the one that hosts.toml names first. The groups stand as their
//! first hosts do there, whatever the hosts in them are sorted by; hosts without a tag come last.

use crate::fleet::{Fleet, Host};
use std::collections::BTreeSet;

/// The hosts of one tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dash) struct HostGroup {
    /// The tag; none of hosts without one.
    pub(in crate::dash) tag: Option<String>,
    /// The hosts, as indices into the fleet.
    pub(in crate::dash) hosts: Vec<usize>,
}

impl HostGroup {
    /// Returns the group as it is named: `@laptop`.
    pub(in crate::dash) fn name(&self) -> String {
        self.tag.as_ref().map_or_else(|| "no tag".to_owned(), |tag| format!("@{tag}"))
    }
}

/// Returns the tag under which a host stands.
fn tag_of(host: &Host) -> Option<&str> {
    host.tags.first().map(String::as_str)
}

/// Returns all groups of a fleet, each with those of the given hosts that are in it, in the given order.
pub(in crate::dash) fn groups(fleet: &Fleet, hosts: &[usize]) -> Vec<HostGroup> {
    let mut all: Vec<HostGroup> = Vec::new();
    let tags = fleet.hosts.iter().map(tag_of);
    let (tagged, untagged): (Vec<_>, Vec<_>) = tags.partition(Option::is_some);
    for tag in tagged.into_iter().chain(untagged) {
        if !all.iter().any(|group| group.tag.as_deref() == tag) {
            all.push(HostGroup { tag: tag.map(str::to_owned), hosts: Vec::new() });
        }
    }
    for index in hosts {
        let tag = fleet.hosts.get(*index).and_then(tag_of);
        if let Some(group) = all.iter_mut().find(|group| group.tag.as_deref() == tag) {
            group.hosts.push(*index);
        }
    }
    all
}

/// Whether hosts stand in groups, and which groups are open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grouping {
    /// The tags of the open groups; none where hosts do not stand in groups.
    open: Option<BTreeSet<Option<String>>>,
}

impl Grouping {
    /// Returns whether hosts stand in groups.
    pub fn is_on(&self) -> bool {
        self.open.is_some()
    }

    /// Returns a grouping with these groups open; without them, hosts stand in none.
    pub(in crate::dash) fn with_open(open: Option<BTreeSet<Option<String>>>) -> Self {
        Self { open }
    }

    /// Returns the tags of the open groups; none where hosts do not stand in groups.
    pub(in crate::dash) fn open(&self) -> Option<&BTreeSet<Option<String>>> {
        self.open.as_ref()
    }

    /// Puts hosts in groups, all of them folded, or lets them stand as one list again.
    pub(in crate::dash) fn turn(&mut self) {
        self.open = if self.is_on() { None } else { Some(BTreeSet::new()) };
    }

    /// Returns whether the hosts of a tag are shown.
    pub(in crate::dash) fn is_open(&self, tag: Option<&str>) -> bool {
        self.open.as_ref().is_none_or(|open| open.contains(&tag.map(str::to_owned)))
    }

    /// Opens a group or folds it.
    pub(in crate::dash) fn fold(&mut self, tag: Option<String>) {
        if let Some(open) = &mut self.open
            && !open.remove(&tag)
        {
            open.insert(tag);
        }
    }

    /// Opens the group in which a host stands.
    pub(in crate::dash) fn reveal(&mut self, host: &Host) {
        if let Some(open) = &mut self.open {
            open.insert(tag_of(host).map(str::to_owned));
        }
    }
}
