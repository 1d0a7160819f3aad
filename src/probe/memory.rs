//! Small values that a probe keeps from poll to poll: counters, seen servers, entity tags.

use crate::fleet::{StoreFacts, Tier};
use crate::probe::depth::DEPTHS;
use crate::probe::kinds::proof::CANARY;
use crate::probe::kinds::seaweedfs::SEEN;
use crate::probe::kinds::served::BASE;
use crate::probe::on_host::HostView;
use crate::probe::witness::WITNESS;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Names of what the next nixdash must know too, since it cannot be measured anew.
const KEPT: [&str; 5] = [CANARY, WITNESS, SEEN, DEPTHS, BASE];

/// What probes remember, by tier and name; all but a few names is gone when nixdash ends.
#[derive(Default)]
pub struct Memory {
    values: Mutex<Values>,
    views: Mutex<BTreeMap<String, HostView>>,
    stores: Mutex<BTreeMap<String, StoreFacts>>,
}

/// Values, and which of those to keep are others than those that were kept last.
#[derive(Default)]
struct Values {
    by_name: HashMap<(String, &'static str), Json>,
    changed: HashSet<(String, &'static str)>,
}

impl Values {
    /// Sets a value, or takes it away.
    fn set(&mut self, tier: &Tier, name: &'static str, value: Option<Json>) {
        let key = (tier.name.clone(), name);
        if KEPT.contains(&name) && self.by_name.get(&key) != value.as_ref() {
            self.changed.insert(key.clone());
        }
        match value {
            Some(value) => drop(self.by_name.insert(key, value)),
            None => drop(self.by_name.remove(&key)),
        }
    }
}

impl Memory {
    /// Returns what was put last; nothing when it was of another type.
    pub fn get<T: DeserializeOwned>(&self, tier: &Tier, name: &'static str) -> Option<T> {
        let value = self.values().by_name.get(&(tier.name.clone(), name))?.clone();
        serde_json::from_value(value).ok()
    }

    /// Keeps a value.
    pub fn put(&self, tier: &Tier, name: &'static str, value: &impl Serialize) {
        // What has no JSON form is not remembered: the next poll begins anew.
        if let Ok(value) = serde_json::to_value(value) {
            self.values().set(tier, name, Some(value));
        }
    }

    /// Forgets a value.
    pub fn forget(&self, tier: &Tier, name: &'static str) {
        self.values().set(tier, name, None);
    }

    /// Changes a value; one that is not there, or of another type, is its default first.
    pub(super) fn change<T: DeserializeOwned + Default + Serialize>(
        &self,
        tier: &Tier,
        name: &'static str,
        change: impl FnOnce(&mut T),
    ) {
        let mut values = self.values();
        let old = values.by_name.get(&(tier.name.clone(), name)).cloned();
        let mut value = old.and_then(|old| serde_json::from_value(old).ok()).unwrap_or_default();
        change(&mut value);
        if let Ok(value) = serde_json::to_value(value) {
            values.set(tier, name, Some(value));
        }
    }

    /// Takes in what was kept of a tier before this nixdash began; what was put since stays.
    pub fn recall(&self, tier: &Tier, kept: Vec<(String, Json)>) {
        let mut values = self.values();
        for (name, value) in kept {
            if let Some(name) = KEPT.into_iter().find(|known| *known == name) {
                values.by_name.entry((tier.name.clone(), name)).or_insert(value);
            }
        }
    }

    /// Returns what is to be kept of a tier and has changed since the last call; nothing where it
    /// was forgotten.
    pub fn take_changes(&self, tier: &Tier) -> Vec<(&'static str, Option<Json>)> {
        let mut values = self.values();
        let mut found = Vec::new();
        for name in KEPT {
            let key = (tier.name.clone(), name);
            if values.changed.remove(&key) {
                found.push((name, values.by_name.get(&key).cloned()));
            }
        }
        found
    }

    fn values(&self) -> MutexGuard<'_, Values> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what was put last, and forgets it.
    pub fn take<T: DeserializeOwned>(&self, tier: &Tier, name: &'static str) -> Option<T> {
        let value = self.get(tier, name);
        self.forget(tier, name);
        value
    }

    /// Keeps how a host is set up; a look that failed does not replace one that did not.
    pub(super) fn put_view(&self, host: &str, view: HostView) {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        if view.is_known() || !views.get(host).is_some_and(HostView::is_known) {
            views.insert(host.to_owned(), view);
        }
    }

    /// Keeps how big a host's store is.
    pub(super) fn put_store(&self, host: &str, facts: StoreFacts) {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        stores.insert(host.to_owned(), facts);
    }

    /// Returns how big the stores of hosts are, as far as they were counted.
    pub(super) fn stores(&self) -> BTreeMap<String, StoreFacts> {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns how every host is set up, as far as is known.
    pub(super) fn views(&self) -> BTreeMap<String, HostView> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::KindName;

    #[test]
    fn only_what_cannot_be_measured_anew_is_kept_and_only_when_it_changed() {
        let memory = Memory::default();
        let weed = Tier::new("weed", KindName::Seaweedfs, "http://weed:8333/b");
        memory.put(&weed, "counters", &1);
        memory.put(&weed, SEEN, &1);
        assert_eq!(memory.take_changes(&weed), [(SEEN, Some(1.into()))]);
        memory.put(&weed, SEEN, &1);
        assert_eq!(memory.take_changes(&weed), []);
        memory.forget(&weed, SEEN);
        assert_eq!(memory.take_changes(&weed), [(SEEN, None)]);
    }

    #[test]
    fn what_was_put_since_is_not_replaced_by_what_was_kept_before() {
        let memory = Memory::default();
        let weed = Tier::new("weed", KindName::Seaweedfs, "http://weed:8333/b");
        memory.put(&weed, SEEN, &2);
        let kept = [(SEEN, 1), (CANARY, 1), ("of another version", 1)];
        memory.recall(&weed, kept.map(|(name, value)| (name.to_owned(), value.into())).into());
        assert_eq!(memory.get::<u64>(&weed, SEEN), Some(2));
        assert_eq!(memory.get::<u64>(&weed, CANARY), Some(1));
        assert_eq!(memory.take_changes(&weed).len(), 1, "what was kept already is not kept again");
    }
}
