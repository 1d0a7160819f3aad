//! Small values that a probe keeps from poll to poll: counters, seen servers, entity tags.

use crate::fleet::Tier;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// What probes remember, by tier and name; gone when nixdash ends.
#[derive(Default)]
pub struct Memory {
    values: Mutex<HashMap<(String, &'static str), serde_json::Value>>,
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
}
