//! Small values that a probe keeps from poll to poll: counters, seen servers, entity tags.

use crate::fleet::Tier;
use crate::probe::on_host::HostView;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

/// What probes remember, by tier and name; gone when nixdash ends.
#[derive(Default)]
pub struct Memory {
    values: Mutex<HashMap<(String, &'static str), serde_json::Value>>,
    views: Mutex<BTreeMap<String, HostView>>,
}

impl Memory {
    /// Returns what was put last; nothing when it was of another type.
    pub fn get<T: DeserializeOwned>(&self, tier: &Tier, name: &'static str) -> Option<T> {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let value = values.get(&(tier.name.clone(), name))?.clone();
        serde_json::from_value(value).ok()
    }

    /// Keeps a value.
    pub fn put(&self, tier: &Tier, name: &'static str, value: &impl Serialize) {
        // What has no JSON form is not remembered: the next poll begins anew.
        if let Ok(value) = serde_json::to_value(value) {
            let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
            values.insert((tier.name.clone(), name), value);
        }
    }

    /// Forgets a value.
    pub fn forget(&self, tier: &Tier, name: &'static str) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.remove(&(tier.name.clone(), name));
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

    /// Returns how every host is set up, as far as is known.
    pub(super) fn views(&self) -> BTreeMap<String, HostView> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
