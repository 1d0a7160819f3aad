//! Figures over time, in as many parts as somebody has room for.
//!
//! Samples are read once, in the order of their key, and folded into parts of equal length. A sample
//! holds until the next one, but not longer than a few probes take: behind that nothing is known, and
//! the part stays empty. A probe that was not answered ends what the one before it measured.

use super::write::find_tier;
use super::{History, HistoryError, time};
use crate::fleet::{Figure, FigureOverTime, OverTime, Tier, TimePoint, TimeSpan};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, Row, params_from_iter};

/// Widths of samples in milliseconds, the oldest samples first: thinned twice, once, as measured.
const STEPS: [i64; 3] = [60 * 60 * 1000, 5 * 60 * 1000, 0];

/// How many probes may be missing before it counts as not measured.
const MISSED: i32 = 3;

/// How a figure is read from a table of samples.
struct Column {
    figure: Figure,
    /// The value of a sample.
    value: &'static str,
    /// The lowest and the highest of what became a wide sample.
    extremes: [&'static str; 2],
    /// What counts in the mean; none where time does.
    count: Option<&'static str>,
}

/// A table of samples with its table of extremes.
struct Source {
    samples: &'static str,
    extremes: &'static str,
    /// What a sample is of; the numbers are given in this order.
    of: &'static [&'static str],
    columns: &'static [Column],
}

const HOSTS: Source = Source {
    samples: "host_samples",
    extremes: "host_extremes",
    of: &["host"],
    columns: &[
        Column {
            figure: Figure::Load,
            value: "load1",
            extremes: ["load1_low", "load1_high"],
            count: None,
        },
        Column {
            figure: Figure::Memory,
            value: "1.0 * memory_used / nullif(memory_total, 0)",
            extremes: [
                "1.0 * memory_used_low / nullif(memory_total, 0)",
                "1.0 * memory_used_high / nullif(memory_total, 0)",
            ],
            count: None,
        },
        Column {
            figure: Figure::FreeRoom,
            value: "1.0 * (disk_total - disk_used)",
            extremes: ["1.0 * (disk_total - disk_used_high)", "1.0 * (disk_total - disk_used_low)"],
            count: None,
        },
        Column {
            figure: Figure::HostLatency,
            value: "latency_ms",
            extremes: ["latency_ms_low", "latency_ms_high"],
            count: None,
        },
    ],
};

const TIERS: Source = Source {
    samples: "tier_samples",
    extremes: "tier_extremes",
    of: &["tier"],
    columns: &[
        Column {
            figure: Figure::TierLatency,
            value: "latency_ms",
            extremes: ["latency_ms_low", "latency_ms_high"],
            count: None,
        },
        Column {
            figure: Figure::Answered,
            value: "1.0 * answered / nullif(answered_of, 0)",
            extremes: ["answered_low", "answered_high"],
            count: Some("1.0 * answered_of"),
        },
    ],
};

const COVERAGE: Source = Source {
    samples: "coverage_samples",
    extremes: "coverage_extremes",
    of: &["tier", "host"],
    columns: &[Column {
        figure: Figure::Coverage,
        value: "1.0 * paths / nullif(paths_of, 0)",
        extremes: ["paths_low", "paths_high"],
        count: None,
    }],
};

impl Source {
    /// Returns the statement that reads samples of one width from a time to another: when each began,
    /// then of every figure its value, its extremes and what counts, as far as they are kept.
    fn select(&self, step: i64) -> String {
        let (samples, extremes) = (self.samples, self.extremes);
        let mut read = vec!["at".to_owned()];
        for column in self.columns {
            read.push(column.value.to_owned());
            if step > 0 {
                let both = column.extremes.iter();
                read.extend(both.map(|end| format!("coalesce({end}, {})", column.value)));
            }
            read.extend(column.count.map(str::to_owned));
        }
        let join = if step > 0 {
            format!("LEFT JOIN {extremes} USING ({}, step, at)", self.of.join(", "))
        } else {
            String::new()
        };
        let of: Vec<String> =
            (4..).zip(self.of).map(|(number, name)| format!("{name} = ?{number}")).collect();
        format!(
            "SELECT {} FROM {samples} {join}
             WHERE step = ?1 AND at >= ?2 AND at < ?3 AND {} ORDER BY at",
            read.join(", "),
            of.join(" AND "),
        )
    }
}

/// A time in equal parts, in milliseconds.
#[derive(Clone, Copy)]
struct Parts {
    from: i64,
    length: i64,
    count: i64,
}

impl Parts {
    /// Divides a span that ends now; parts begin where they began before, so that a picture of them
    /// moves by whole parts.
    fn of(span: TimeSpan, now: Timestamp, count: usize) -> Self {
        let count = i64::try_from(count).unwrap_or(i64::MAX).max(1);
        let span = span.length().as_millis() as i64;
        let length = (span / count).max(1);
        let until = (now.as_millisecond().div_euclid(length) + 1) * length;
        Self { from: until - length * count, length, count }
    }

    fn until(self) -> i64 {
        self.from + self.length * self.count
    }

    /// Returns how many parts there are.
    fn len(self) -> usize {
        usize::try_from(self.count).unwrap_or_default()
    }
}

/// What was measured in one part so far.
#[derive(Clone, Copy)]
struct PartSum {
    low: f64,
    high: f64,
    sum: f64,
    weight: f64,
}

/// One value that holds for a while.
#[derive(Clone, Copy)]
struct Held {
    point: TimePoint,
    /// What counts in the mean over its whole time; none where time does.
    count: Option<f64>,
}

/// One figure, folded into parts.
struct Fold {
    parts: Parts,
    sums: Vec<Option<PartSum>>,
    newest: Option<f64>,
}

impl Fold {
    fn new(parts: Parts) -> Self {
        Self { parts, sums: vec![None; parts.len()], newest: None }
    }

    /// Adds a value that held from one time to another, to every part in which it did.
    fn add(&mut self, held: Held, from: i64, until: i64) {
        let Parts { from: begin, length, .. } = self.parts;
        let (first, last) = (from.max(begin), until.min(self.parts.until()));
        if first >= last {
            return;
        }
        self.newest = Some(held.point.mean);
        let whole = (until - from) as f64;
        for part in (first - begin) / length..=(last - 1 - begin) / length {
            let (low, high) = (begin + part * length, begin + (part + 1) * length);
            let time = (last.min(high) - first.max(low)) as f64;
            let weight = held.count.map_or(time, |count| count * time / whole);
            let Some(place) = self.sums.get_mut(part as usize) else { continue };
            let sum = place.get_or_insert(PartSum {
                low: f64::INFINITY,
                high: f64::NEG_INFINITY,
                sum: 0.0,
                weight: 0.0,
            });
            sum.low = sum.low.min(held.point.low);
            sum.high = sum.high.max(held.point.high);
            sum.sum += held.point.mean * weight;
            sum.weight += weight;
        }
    }

    fn points(&self) -> Vec<Option<TimePoint>> {
        let point = |sum: &PartSum| TimePoint {
            low: sum.low,
            mean: (sum.sum / sum.weight).clamp(sum.low, sum.high),
            high: sum.high,
        };
        self.sums.iter().map(|sum| sum.as_ref().map(point)).collect()
    }
}

impl History {
    /// Returns the figures of a host over a time that ends now, in so many parts; `interval` is the
    /// time between two probes.
    pub fn host_over_time(
        &self,
        host: &str,
        interval: SignedDuration,
        (span, now, count): (TimeSpan, Timestamp, usize),
    ) -> Result<OverTime, HistoryError> {
        let parts = Parts::of(span, now, count);
        let read = || match self.host_number(host)? {
            Some(id) => self.figures(&HOSTS, &[id], interval, parts),
            None => Ok(nothing(&HOSTS, parts)),
        };
        Ok(over(parts, read().map_err(self.failed("read"))?))
    }

    /// Returns the figures of a tier over a time that ends now, in so many parts: its own by the time
    /// between two probes, and what it holds of these hosts' systems by that between two looks.
    pub fn tier_over_time(
        &self,
        tier: &Tier,
        hosts: &[&str],
        [interval, coverage]: [SignedDuration; 2],
        (span, now, count): (TimeSpan, Timestamp, usize),
    ) -> Result<OverTime, HistoryError> {
        let parts = Parts::of(span, now, count);
        let read = || {
            let Some(id) = find_tier(&self.db, tier)? else {
                return Ok([nothing(&TIERS, parts), nothing(&COVERAGE, parts)].concat());
            };
            let mut figures = self.figures(&TIERS, &[id], interval, parts)?;
            let mut of_hosts = Vec::new();
            for host in hosts {
                if let Some(host) = self.host_number(host)? {
                    of_hosts.extend(self.figures(&COVERAGE, &[id, host], coverage, parts)?);
                }
            }
            figures.push(mean_of(Figure::Coverage, &of_hosts, parts));
            Ok(figures)
        };
        Ok(over(parts, read().map_err(self.failed("read"))?))
    }

    /// Returns the number that a host has in the file; none when it is not in it.
    fn host_number(&self, host: &str) -> rusqlite::Result<Option<i64>> {
        self.db
            .prepare_cached("SELECT id FROM hosts WHERE name = ?1")?
            .query_row([host], |row| row.get(0))
            .optional()
    }

    /// Folds the samples of one host or tier.
    fn figures(
        &self,
        source: &Source,
        of: &[i64],
        interval: SignedDuration,
        parts: Parts,
    ) -> rusqlite::Result<Vec<FigureOverTime>> {
        let mut folds: Vec<Fold> = source.columns.iter().map(|_| Fold::new(parts)).collect();
        let at_most = interval.saturating_mul(MISSED).as_millis() as i64;
        for step in STEPS {
            let holds = at_most.max(step);
            let mut statement = self.db.prepare_cached(&source.select(step))?;
            let bound = [step, parts.from - holds, parts.until()];
            let mut rows = statement.query(params_from_iter(bound.iter().chain(of)))?;
            let mut before: Option<(i64, Vec<Option<Held>>)> = None;
            let mut add = |sample: &(i64, Vec<Option<Held>>), until: i64| {
                let end = until.min(sample.0 + holds);
                for (fold, held) in folds.iter_mut().zip(&sample.1) {
                    if let Some(held) = held {
                        fold.add(*held, sample.0, end);
                    }
                }
            };
            while let Some(row) = rows.next()? {
                let (at, values) = sample(row, source, step)?;
                if let Some(before) = &before {
                    add(before, at);
                }
                before = Some((at, values));
            }
            if let Some(last) = &before {
                add(last, i64::MAX);
            }
        }
        let figures = source.columns.iter().zip(folds).map(|(column, fold)| FigureOverTime {
            figure: column.figure,
            points: fold.points(),
            newest: fold.newest,
        });
        Ok(figures.collect())
    }
}

/// Reads a sample: when it began, and what was measured of each figure.
fn sample(row: &Row<'_>, source: &Source, step: i64) -> rusqlite::Result<(i64, Vec<Option<Held>>)> {
    let mut place = 0;
    let mut next = || {
        place += 1;
        place
    };
    let mut values = Vec::with_capacity(source.columns.len());
    for column in source.columns {
        let mean: Option<f64> = row.get(next())?;
        let extremes: [Option<f64>; 2] =
            if step > 0 { [row.get(next())?, row.get(next())?] } else { [mean, mean] };
        let count = match column.count {
            Some(_) => row.get(next())?,
            None => None,
        };
        values.push(mean.map(|mean| {
            let [low, high] = extremes.map(|end| end.unwrap_or(mean));
            Held { point: TimePoint { low, mean, high }, count }
        }));
    }
    Ok((row.get(0)?, values))
}

/// Returns figures of which nothing was measured.
fn nothing(source: &Source, parts: Parts) -> Vec<FigureOverTime> {
    let figures = source.columns.iter().map(|column| FigureOverTime {
        figure: column.figure,
        points: vec![None; parts.len()],
        newest: None,
    });
    figures.collect()
}

/// Returns a figure of several hosts as one: the mean of their means, and the extremes of all.
fn mean_of(figure: Figure, hosts: &[FigureOverTime], parts: Parts) -> FigureOverTime {
    let points = (0..parts.len()).map(|part| {
        let known = || hosts.iter().filter_map(|host| host.points.get(part).copied().flatten());
        let mean = mean(known().map(|point| point.mean))?;
        let low = known().map(|point| point.low).fold(f64::INFINITY, f64::min);
        let high = known().map(|point| point.high).fold(f64::NEG_INFINITY, f64::max);
        Some(TimePoint { low, mean, high })
    });
    let newest = mean(hosts.iter().filter_map(|host| host.newest));
    FigureOverTime { figure, points: points.collect(), newest }
}

/// Returns the mean of values; none of none.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

fn over(parts: Parts, figures: Vec<FigureOverTime>) -> OverTime {
    OverTime { from: time(parts.from), until: time(parts.until()), figures }
}
