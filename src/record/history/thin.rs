//! Thinning: samples get wider with age.
//!
//! As measured for 48 hours, one per 5 minutes for 30 days, one per hour for 2 years. Of the
//! samples that become one, rates, latencies and what is in use are averaged, counts added, and of
//! what is a state the last is kept. Of what is drawn over time the lowest and the highest value stay
//! beside the mean, in a table of extremes.

use super::{History, HistoryError};
use jiff::{SignedDuration, Timestamp};
use rusqlite::params;

/// Five minutes, in milliseconds.
const FIVE_MINUTES: i64 = 5 * 60 * 1000;

/// An hour, in milliseconds.
const HOUR: i64 = 60 * 60 * 1000;

/// How long samples of a width are kept, and what they become then; after the last nothing.
const AGES: [(i64, SignedDuration, Option<i64>); 3] = [
    (0, SignedDuration::from_hours(48), Some(FIVE_MINUTES)),
    (FIVE_MINUTES, SignedDuration::from_hours(30 * 24), Some(HOUR)),
    (HOUR, SignedDuration::from_hours(2 * 365 * 24), None),
];

/// Samples of so much time are thinned in one go, so that other writers need not wait long.
const PORTION: i64 = 6 * HOUR;

/// How the values of several samples become one.
#[derive(Clone, Copy)]
enum Reduction {
    /// The mean of what was measured.
    Mean,
    /// The mean of what was measured, as a whole number.
    WholeMean,
    /// The sum of what was measured.
    Sum,
    /// The last.
    Last,
}

/// A table of samples: what a sample is of, and its values.
struct Table {
    name: &'static str,
    of: &'static [&'static str],
    values: &'static [(&'static str, Reduction)],
    extremes: Option<Extremes>,
}

/// The table that keeps the lowest and the highest values of a table of samples.
struct Extremes {
    name: &'static str,
    /// What its columns begin with, and the value of a sample as measured.
    values: &'static [(&'static str, &'static str)],
}

/// Every table of samples.
const TABLES: [Table; 5] = [
    Table {
        name: "host_samples",
        of: &["host"],
        values: &[
            ("probes", Reduction::Sum),
            ("answered", Reduction::Sum),
            ("state", Reduction::Last),
            ("latency_ms", Reduction::Mean),
            ("load1", Reduction::Mean),
            ("memory_used", Reduction::WholeMean),
            ("memory_total", Reduction::Last),
            ("disk_used", Reduction::WholeMean),
            ("disk_total", Reduction::Last),
            ("failed_units", Reduction::Last),
            ("generation", Reduction::Last),
        ],
        extremes: Some(Extremes {
            name: "host_extremes",
            values: &[
                ("latency_ms", "latency_ms"),
                ("load1", "load1"),
                ("memory_used", "memory_used"),
                ("disk_used", "disk_used"),
            ],
        }),
    },
    Table {
        name: "store_samples",
        of: &["host"],
        values: &[("paths", Reduction::Last), ("bytes", Reduction::Last)],
        extremes: None,
    },
    Table {
        name: "tier_samples",
        of: &["tier"],
        values: &[
            ("probes", Reduction::Sum),
            ("usable", Reduction::Sum),
            ("state", Reduction::Last),
            ("latency_ms", Reduction::Mean),
            ("connect_ms", Reduction::Mean),
            ("answered", Reduction::Sum),
            ("answered_of", Reduction::Sum),
            ("requests_per_s", Reduction::Mean),
            ("not_found", Reduction::Mean),
        ],
        extremes: Some(Extremes {
            name: "tier_extremes",
            values: &[
                ("latency_ms", "latency_ms"),
                ("answered", "1.0 * answered / nullif(answered_of, 0)"),
            ],
        }),
    },
    Table {
        name: "size_samples",
        of: &["tier"],
        values: &[
            ("bytes", Reduction::Last),
            ("objects", Reduction::Last),
            ("limit_bytes", Reduction::Last),
            ("exact", Reduction::Last),
        ],
        extremes: None,
    },
    Table {
        name: "coverage_samples",
        of: &["host", "tier"],
        values: &[
            ("paths", Reduction::Last),
            ("paths_of", Reduction::Last),
            ("bytes", Reduction::Last),
            ("bytes_of", Reduction::Last),
        ],
        extremes: Some(Extremes {
            name: "coverage_extremes",
            values: &[("paths", "1.0 * paths / nullif(paths_of, 0)")],
        }),
    },
];

impl Table {
    /// Returns the statement that makes samples of width ?1 before ?2 ones of width ?3.
    fn widen(&self) -> String {
        let names: Vec<&str> = self.values.iter().map(|(name, _)| *name).collect();
        let made: Vec<String> = self
            .values
            .iter()
            .map(|(name, way)| match way {
                Reduction::Mean => format!("avg({name}) AS {name}"),
                Reduction::WholeMean => {
                    format!("CAST(round(avg({name})) AS INTEGER) AS {name}")
                }
                Reduction::Sum => format!("sum({name}) AS {name}"),
                // SQLite takes a bare column from the row that has the max() beside it.
                Reduction::Last => name.to_string(),
            })
            .collect();
        let (table, of) = (self.name, self.of.join(", "));
        let (names, made) = (names.join(", "), made.join(", "));
        format!(
            "INSERT OR REPLACE INTO {table} ({of}, step, at, {names})
             SELECT {of}, ?3, slot, {names} FROM (
               SELECT {of}, at / ?3 * ?3 AS slot, max(at) AS newest, {made}
               FROM {table} WHERE step = ?1 AND at < ?2 GROUP BY {of}, slot)"
        )
    }
}

impl Extremes {
    /// Returns the statement that keeps the extremes of samples of width ?1 before ?2 for ones of
    /// width ?3.
    fn widen(&self, of: &Table) -> String {
        let (table, samples) = (self.name, of.name);
        let of = of.of.join(", ");
        let columns = self
            .values
            .iter()
            .flat_map(|(name, _)| ["low", "high"].map(|end| format!("{name}_{end}")));
        let made = self.values.iter().flat_map(|(name, value)| {
            [("min", "low"), ("max", "high")]
                .map(|(function, end)| format!("{function}(coalesce({name}_{end}, {value}))"))
        });
        let (columns, made): (Vec<String>, Vec<String>) = (columns.collect(), made.collect());
        let (columns, made) = (columns.join(", "), made.join(", "));
        format!(
            "INSERT OR REPLACE INTO {table} ({of}, step, at, {columns})
             SELECT {of}, ?3, at / ?3 * ?3 AS slot, {made}
             FROM {samples} LEFT JOIN {table} USING ({of}, step, at)
             WHERE step = ?1 AND at < ?2 GROUP BY {of}, slot"
        )
    }
}

impl History {
    /// Makes old samples wider and drops the oldest.
    pub fn thin(&mut self, now: Timestamp) -> Result<(), HistoryError> {
        for (step, kept, wider) in AGES {
            // Whole samples only, so that the wider one is made once from all that belongs to it.
            let unit = wider.unwrap_or(HOUR);
            let end = (now.as_millisecond() - kept.as_millis() as i64).div_euclid(unit) * unit;
            for table in &TABLES {
                self.thin_table(table, step, end, wider)?;
            }
        }
        self.thin_held(now)?;
        self.thin_builds(now)?;
        self.thin_troubles(now)?;
        self.thin_answers(now)
    }

    /// Thins one table, a portion of time after the other.
    fn thin_table(
        &mut self,
        table: &Table,
        step: i64,
        end: i64,
        wider: Option<i64>,
    ) -> Result<(), HistoryError> {
        let name = table.name;
        let oldest = format!("SELECT min(at) FROM {name} WHERE step = ?1 AND at < ?2");
        let delete = |name| format!("DELETE FROM {name} WHERE step = ?1 AND at < ?2");
        loop {
            let found: Option<i64> = self
                .db
                .query_row(&oldest, [step, end], |row| row.get(0))
                .map_err(self.failed("thin"))?;
            let Some(found) = found else { return Ok(()) };
            let until = ((found.div_euclid(PORTION) + 1) * PORTION).min(end);
            self.together(|history| {
                let work = || {
                    if let Some(extremes) = &table.extremes {
                        if let Some(wider) = wider {
                            let keep = extremes.widen(table);
                            history.db.execute(&keep, params![step, until, wider])?;
                        }
                        history.db.execute(&delete(extremes.name), [step, until])?;
                    }
                    if let Some(wider) = wider {
                        history.db.execute(&table.widen(), params![step, until, wider])?;
                    }
                    history.db.execute(&delete(name), [step, until])
                };
                work().map(drop).map_err(history.failed("thin"))
            })?;
        }
    }
}
