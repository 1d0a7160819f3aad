//! The last answer of every host, whole, for the next nixdash to show at once.

use super::write::clean;
use super::{History, HistoryError};
use crate::fleet::{CoverageFacts, Host, HostFacts, KeptHost, StoreFacts, printable_line};
use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Returns what a host is known by: its name and how it is reached.
fn host_key(host: &Host) -> [String; 2] {
    let addresses: Vec<String> = host.addresses.iter().map(ToString::to_string).collect();
    [printable_line(&host.name), printable_line(&addresses.join(" "))]
}

/// Returns something as the text of a JSON document that may be kept.
fn document(value: &impl Serialize) -> String {
    serde_json::to_value(value).map(clean).unwrap_or_default().to_string()
}

/// Reads a document; one of another version that cannot be read is as good as none.
fn parsed<T: DeserializeOwned>(text: Option<String>) -> Option<T> {
    serde_json::from_str(&text?).ok()
}

impl History {
    /// Keeps the figures of a host, in place of those before; nothing for one that never answered.
    pub fn keep_host(&mut self, host: &Host, facts: &HostFacts) -> Result<(), HistoryError> {
        let Some(at) = facts.measured_at else { return Ok(()) };
        let [name, reach] = host_key(host);
        let write = || {
            self.db
                .prepare_cached(
                    "INSERT INTO host_facts (host, reach, at, facts) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (host, reach) DO UPDATE SET at = excluded.at, facts = excluded.facts
                     WHERE excluded.at >= host_facts.at",
                )?
                .execute(params![name, reach, at.as_millisecond(), document(facts)])
        };
        write().map(drop).map_err(self.failed("write into"))
    }

    /// Keeps the count of a host's store beside its figures.
    pub fn keep_store(&mut self, host: &Host, facts: &StoreFacts) -> Result<(), HistoryError> {
        self.keep_beside(host, "store", &document(facts))
    }

    /// Keeps what tiers hold of a host's closure beside its figures.
    pub fn keep_coverage(
        &mut self,
        host: &Host,
        facts: &CoverageFacts,
    ) -> Result<(), HistoryError> {
        self.keep_beside(host, "coverage", &document(facts))
    }

    /// Keeps a document in a column of a host whose figures are kept.
    fn keep_beside(
        &mut self,
        host: &Host,
        column: &'static str,
        text: &str,
    ) -> Result<(), HistoryError> {
        let [name, reach] = host_key(host);
        let write = || {
            let update =
                format!("UPDATE host_facts SET {column} = ?3 WHERE host = ?1 AND reach = ?2");
            self.db.prepare_cached(&update)?.execute(params![name, reach, text])
        };
        write().map(drop).map_err(self.failed("write into"))
    }

    /// Returns what any nixdash of this machine last found of a host; none when it never answered.
    pub fn kept_host(&self, host: &Host) -> Result<Option<KeptHost>, HistoryError> {
        let [name, reach] = host_key(host);
        let read = || {
            self.db
                .prepare_cached(
                    "SELECT facts, store, coverage FROM host_facts WHERE host = ?1 AND reach = ?2",
                )?
                .query_row(params![name, reach], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()
        };
        let found: Option<(Option<String>, Option<String>, Option<String>)> =
            read().map_err(self.failed("read"))?;
        Ok(found.and_then(|(facts, store, coverage)| {
            let facts: HostFacts = parsed(facts)?;
            let coverage = parsed(coverage).unwrap_or_default();
            Some(KeptHost { facts: facts.from_before(), store: parsed(store), coverage })
        }))
    }
}
