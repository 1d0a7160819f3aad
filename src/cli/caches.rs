//! `nixdash caches`: every tier, measured once, beside what the history knows of it.

mod text;

use crate::cli::history::{self, span};
use crate::cli::json::{self, FindingJson, TierOnHostJson};
use crate::cli::next::{self, NextJson, NextPartJson};
use crate::cli::status::{interrupted, waited_for};
use crate::cli::verify;
use crate::cli::{CliError, EXIT_FAILED, EXIT_INTERRUPTED, complete, depth, earlier, wait};
use crate::fleet::{
    Fetched, Fleet, LostFacts, NixFacts, Share, SignatureState, SpeedSeen, StoreDepth, Tier,
    TierFacts, TierState, UniqueFacts, Validity,
};
use crate::probe::{Snapshot, Thoroughness, measure_once};
use crate::record::{Growth, History, HistoryError, share_served};
use crate::remote::Remote;
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

/// The times that figures are always given for, in days.
const DAYS: [i64; 3] = [1, 7, 30];

/// Arguments of `nixdash caches`.
#[derive(Debug, Args)]
pub(super) struct CachesArgs {
    /// With --deep: names, globs, @tag, or all; - reads them from standard input [default: all]
    #[arg(value_name = "SELECTOR", requires = "deep", add = complete::selectors())]
    selectors: Vec<String>,
    /// Measures the hosts' own stores instead: what hard links save and how much is garbage; as
    /// root, at idle priority. Takes the garbage collector's lock, so builds there wait; refused
    /// while a run is at work
    #[arg(long, conflicts_with = "since")]
    deep: bool,
    /// Fetches whole nars from a cache and compares them with their narinfos: the nar of this path,
    /// or of one signed path of about 1 MB
    #[arg(
        long,
        value_names = ["TIER", "PATH"],
        num_args = 1..=2,
        conflicts_with_all = ["deep", "next", "since"],
        add = complete::tiers()
    )]
    verify: Option<Vec<String>>,
    /// With --verify: checks this many nars, of held paths chosen at random
    #[arg(long, value_name = "N", requires = "verify")]
    sample: Option<usize>,
    /// The time that hit rate, share served and growth are counted over, such as 12h or 7d
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = span)]
    since: SignedDuration,
    /// Evaluates the next systems of these hosts (names, globs, @tag, or all; - reads them from standard
    /// input; without a name, all), and says what must be built and what each tier holds of them. Nothing
    /// is built. Without this option only systems that were built and not deployed yet are shown
    #[arg(long, value_name = "SELECTOR", num_args = 0.., add = complete::selectors())]
    next: Option<Vec<String>>,
    /// Prints one JSON document
    #[arg(long)]
    json: bool,
}

/// Figures of several times: 1, 7 and 30 days, and the time that was asked for.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Windows<T> {
    #[serde(rename = "1d")]
    pub(super) day: T,
    #[serde(rename = "7d")]
    pub(super) week: T,
    #[serde(rename = "30d")]
    pub(super) month: T,
    pub(super) since: T,
}

impl<T> Windows<T> {
    /// Makes the figures of each time from when it began.
    fn try_new<E>(
        now: Timestamp,
        since: SignedDuration,
        figure: impl Fn(Timestamp) -> Result<T, E>,
    ) -> Result<Self, E> {
        let at = |time: SignedDuration| now.checked_sub(time).unwrap_or(Timestamp::UNIX_EPOCH);
        let days = |days: i64| figure(at(SignedDuration::from_hours(24 * days)));
        let [day, week, month] = DAYS;
        Ok(Self {
            day: days(day)?,
            week: days(week)?,
            month: days(month)?,
            since: figure(at(since))?,
        })
    }

    /// Returns the figures of each time made into others.
    fn map<U>(&self, make: impl Fn(&T) -> U) -> Windows<U> {
        Windows {
            day: make(&self.day),
            week: make(&self.week),
            month: make(&self.month),
            since: make(&self.since),
        }
    }
}

/// A part and the whole, in paths and, where it is known, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct PartOfWhole {
    pub(super) paths: [u64; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<[u64; 2]>,
    pub(super) share: Option<f64>,
}

fn pair(share: Share) -> [u64; 2] {
    [share.have, share.total]
}

/// What the history knows.
#[derive(Default)]
pub(super) struct Remembered {
    /// What was delivered, by tier.
    delivered: Windows<BTreeMap<String, Fetched>>,
    /// Hit rates, by host.
    hits: Windows<BTreeMap<String, Share>>,
    tiers: BTreeMap<String, RememberedTier>,
}

#[derive(Default)]
struct RememberedTier {
    answered: Windows<Option<Share>>,
    growth: Option<Growth>,
    requests: Option<u64>,
}

impl Remembered {
    /// Reads what the history knows of the fleet's tiers.
    pub(super) fn read(
        history: &History,
        fleet: &Fleet,
        now: Timestamp,
        since: SignedDuration,
    ) -> Result<Self, HistoryError> {
        let mut tiers = BTreeMap::new();
        for tier in &fleet.tiers {
            let from = now.checked_sub(since).unwrap_or(Timestamp::UNIX_EPOCH);
            let known = RememberedTier {
                answered: Windows::try_new(now, since, |at| history.answered(tier, at))?,
                growth: history.growth(tier, from)?,
                requests: history.requests_in_month(tier, now)?,
            };
            tiers.insert(tier.name.clone(), known);
        }
        Ok(Self {
            delivered: Windows::try_new(now, since, |at| history.delivered(at))?,
            hits: Windows::try_new(now, since, |at| history.hits(at))?,
            tiers,
        })
    }

    /// Returns the share that a tier served.
    pub(super) fn served(&self, tier: &str) -> Windows<Option<PartOfWhole>> {
        self.delivered.map(|delivered| {
            share_served(delivered, tier).map(|(paths, bytes)| PartOfWhole {
                paths: pair(paths),
                bytes: Some(pair(bytes)),
                share: bytes.ratio(),
            })
        })
    }

    /// Returns the hit rate of one host, or of all.
    pub(super) fn hit_rate(&self, host: Option<&str>) -> Windows<Option<PartOfWhole>> {
        self.hits.map(|hits| {
            let chosen = hits.iter().filter(|(name, _)| host.is_none_or(|host| host == *name));
            let sum = chosen.fold(Share::default(), |sum, (_, share)| Share {
                have: sum.have.saturating_add(share.have),
                total: sum.total.saturating_add(share.total),
            });
            let share = sum.ratio();
            share.map(|_| PartOfWhole { paths: pair(sum), bytes: None, share })
        })
    }

    /// Returns the hosts that a hit rate is known of, over any of the times.
    pub(super) fn hosts(&self) -> Vec<&str> {
        let Windows { day, week, month, since } = &self.hits;
        let mut names: Vec<&str> = [day, week, month, since]
            .iter()
            .flat_map(|hits| hits.keys().map(String::as_str))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Returns the requests made of a tier in this calendar month.
    pub(super) fn requests(&self, tier: &str) -> Option<u64> {
        self.tiers.get(tier)?.requests
    }

    /// Returns what a tier's server says that it answered.
    pub(super) fn answered(&self, tier: &str) -> Windows<Option<PartOfWhole>> {
        let answered = self.tiers.get(tier).map(|tier| &tier.answered);
        answered.map_or_else(Windows::default, |windows| {
            windows.map(|share| {
                share.map(|share| PartOfWhole {
                    paths: pair(share),
                    bytes: None,
                    share: share.ratio(),
                })
            })
        })
    }
}

/// What `caches --json` prints.
#[derive(Serialize)]
struct CachesJson<'a> {
    since: Timestamp,
    hit_rate: HitRateJson<'a>,
    next: BTreeMap<&'a str, NextJson<'a>>,
    hosts: BTreeMap<&'a str, HostNixJson<'a>>,
    tiers: Vec<CacheTierJson<'a>>,
}

/// How the Nix of a host is set up, and what is wrong with that.
#[derive(Serialize)]
struct HostNixJson<'a> {
    #[serde(flatten)]
    nix: &'a NixFacts,
    findings: Vec<FindingJson<'a>>,
}

#[derive(Serialize)]
struct HitRateJson<'a> {
    target: Option<f64>,
    all: Windows<Option<PartOfWhole>>,
    hosts: BTreeMap<&'a str, Windows<Option<PartOfWhole>>>,
}

#[derive(Serialize)]
struct CacheTierJson<'a> {
    name: &'a str,
    kind: &'static str,
    state: TierState,
    since: Option<Timestamp>,
    findings: Vec<FindingJson<'a>>,
    error: Option<String>,
    latency_ms: Option<f64>,
    signature: SignatureState,
    size: Option<SizeJson>,
    share_served: Windows<Option<PartOfWhole>>,
    answered: Windows<Option<PartOfWhole>>,
    coverage: BTreeMap<&'a str, CoverageOfHostJson>,
    next: BTreeMap<&'a str, NextPartJson<'a>>,
    hosts: BTreeMap<&'a str, TierOnHostJson<'a>>,
    depths: &'a BTreeMap<String, StoreDepth>,
    certificate: Option<Validity>,
    token: Option<Validity>,
    speed: Option<SpeedSeen>,
    unique: Option<&'a UniqueFacts>,
    lost: Option<&'a LostFacts>,
    requests_this_month: Option<u64>,
    measured_at: Option<Timestamp>,
}

/// How much of a host's running closure a tier holds.
#[derive(Serialize)]
struct CoverageOfHostJson {
    #[serde(flatten)]
    part: PartOfWhole,
    /// Whether it holds less perhaps.
    at_most: bool,
}

#[derive(Serialize)]
struct SizeJson {
    bytes: u64,
    exact: bool,
    objects: Option<u64>,
    limit: Option<u64>,
    growth_per_day: Option<f64>,
    days_until_full: Option<f64>,
    measured_at: Option<Timestamp>,
}

pub(super) async fn run(fleet: Fleet, args: CachesArgs) -> Result<ExitCode, CliError> {
    if let Some(words) = &args.verify {
        return verify::run(fleet, words, args.sample, args.json).await;
    }
    if args.deep {
        return depth::run(fleet, &args.selectors, args.json).await;
    }
    let fleet = Arc::new(fleet);
    let runner = Remote::new(Arc::clone(&fleet));
    let hosts: Vec<String> = fleet.hosts.iter().map(|host| host.name.clone()).collect();
    let known_before = earlier::read(&fleet);
    let (wanted, failed) = match &args.next {
        Some(selectors) => next::evaluate(&fleet, Arc::new(runner.clone()), selectors).await?,
        None => Default::default(),
    };
    let look = measure_once(&fleet, &runner, &hosts, Thoroughness::Patient, &known_before, &wanted);
    let what = waited_for(&fleet, hosts.len());
    let mut found = tokio::select! {
        found = wait::saying(&what, look) => found,
        () = interrupted() => {
            runner.close().await;
            return Ok(ExitCode::from(EXIT_INTERRUPTED));
        }
    };
    runner.close().await;
    found.next.extend(failed);
    let all_known = found.next.values().all(|facts| facts.error.is_none());
    earlier::keep(&fleet, &found, &known_before).await;
    let now = Timestamp::now();
    let known = history::read(|history| Remembered::read(history, &fleet, now, args.since));
    // What was measured now is worth showing without it.
    let known = known.unwrap_or_else(|error| {
        tell_aside!("nixdash: hit rates, shares and growth are not known: {error}");
        Remembered::default()
    });
    let tiers: Vec<CacheTierJson<'_>> = found
        .tiers
        .iter()
        .filter_map(|(name, facts)| Some(tier_json(fleet.tier(name)?, facts, &found, &known)))
        .collect();
    let mut out = std::io::stdout().lock();
    if args.json {
        let hosts = known.hosts().into_iter().map(|host| (host, known.hit_rate(Some(host))));
        let document = CachesJson {
            since: now.checked_sub(args.since).unwrap_or(Timestamp::UNIX_EPOCH),
            hit_rate: HitRateJson {
                target: fleet.targets.hit_rate,
                all: known.hit_rate(None),
                hosts: hosts.collect(),
            },
            next: next::by_host(&found),
            hosts: hosts_json(&found),
            tiers,
        };
        serde_json::to_writer_pretty(&mut out, &document).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", text::text(&fleet, &found, &tiers, &known, (args.since, now)))?;
        let next = next::text(&fleet, &found, now);
        if !next.is_empty() {
            write!(out, "\n{next}")?;
        }
    }
    Ok(if all_known { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

fn tier_json<'a>(
    tier: &'a Tier,
    facts: &'a TierFacts,
    found: &'a Snapshot,
    known: &Remembered,
) -> CacheTierJson<'a> {
    let remembered = known.tiers.get(&tier.name);
    let size = facts.size.as_ref().map(|size| {
        let limit = tier.max_size.or(size.limit);
        let growth = remembered.and_then(|known| known.growth).filter(|_| size.exact);
        SizeJson {
            bytes: size.bytes,
            exact: size.exact,
            objects: size.objects,
            limit,
            growth_per_day: growth.map(|growth| growth.per_day),
            days_until_full: growth.zip(limit).and_then(|(growth, limit)| growth.days_until(limit)),
            measured_at: size.measured_at,
        }
    });
    let coverage = found.coverage.iter().filter_map(|(host, facts)| {
        let found = facts.tiers.get(&tier.name)?;
        let (paths, bytes) = (pair(found.paths), Some(pair(found.bytes)));
        let part = PartOfWhole { paths, bytes, share: found.paths.ratio() };
        Some((host.as_str(), CoverageOfHostJson { part, at_most: found.at_most }))
    });
    CacheTierJson {
        name: &tier.name,
        kind: tier.kind.word(),
        state: facts.state,
        since: facts.since,
        findings: json::findings(&facts.findings),
        error: facts.error(),
        latency_ms: facts.latency_ms,
        signature: facts.signature,
        size,
        share_served: known.served(&tier.name),
        answered: known.answered(&tier.name),
        coverage: coverage.collect(),
        next: next::on_tier(&found.next, &tier.name),
        hosts: json::on_hosts(&facts.hosts),
        depths: &facts.depths,
        certificate: facts.certificate,
        token: facts.token,
        speed: facts.speed,
        unique: facts.unique.as_ref(),
        lost: facts.lost.as_ref(),
        requests_this_month: known.requests(&tier.name),
        measured_at: facts.measured_at,
    }
}

/// Returns how the Nix of each host is set up as it is printed.
fn hosts_json(found: &Snapshot) -> BTreeMap<&str, HostNixJson<'_>> {
    let mut all = BTreeMap::new();
    for (name, facts) in &found.hosts {
        let Some(nix) = facts.nix.as_deref() else { continue };
        let mut findings = json::findings(&facts.findings);
        findings.retain(FindingJson::is_of_nix);
        all.insert(name.as_str(), HostNixJson { nix, findings });
    }
    all
}
