//! What is asked once per run and then known to all of its hosts, each answer by its key.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// Answers that are asked for once each, whoever needs them first.
pub(super) struct OnceEach<K, T> {
    cells: Mutex<HashMap<K, Arc<OnceCell<T>>>>,
}

impl<K, T> Default for OnceEach<K, T> {
    fn default() -> Self {
        Self { cells: Mutex::default() }
    }
}

impl<K: Clone + Eq + Hash, T> OnceEach<K, T> {
    /// Returns the place of one answer.
    pub(super) fn cell(&self, key: impl Into<K>) -> Arc<OnceCell<T>> {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cells.entry(key.into()).or_default())
    }

    /// Returns all places so far.
    pub(super) fn all(&self) -> Vec<(K, Arc<OnceCell<T>>)> {
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        cells.iter().map(|(key, cell)| (key.clone(), Arc::clone(cell))).collect()
    }
}
