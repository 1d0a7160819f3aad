//! What `nixdash caches` prints for people.

use super::{CacheTierJson, DAYS, PartOfWhole, Remembered, Windows};
use crate::cli::notes;
use crate::cli::status::{or_unknown, table};
use crate::fleet::words::{holdings, on_host};
use crate::fleet::{Fleet, NixFacts, Share, TierFacts, ago, bytes, duration, percent, upper_bound};
use crate::probe::Snapshot;
use jiff::{SignedDuration, Timestamp};

/// Returns how the Nix of each host is set up, of those that were asked.
fn nix_of_hosts(found: &Snapshot) -> impl Iterator<Item = (&str, &NixFacts)> {
    found.hosts.iter().filter_map(|(host, facts)| Some((host.as_str(), facts.nix.as_deref()?)))
}

/// Returns what happens on each host when a cache is down, a cache a row; none where nothing is
/// known.
fn if_down(found: &Snapshot) -> Vec<Vec<String>> {
    let hosts: Vec<&str> = nix_of_hosts(found).map(|(host, _)| host).collect();
    let cell = |facts: &TierFacts, host: &str| {
        let when = facts.hosts.get(host).and_then(|on_host| on_host.when_down.as_ref());
        or_unknown(when.map(on_host::if_down_in_short))
    };
    let known = |facts: &TierFacts| facts.hosts.values().any(|it| it.when_down.is_some());
    let head = std::iter::once("IF IT IS DOWN".to_owned());
    let mut rows = vec![head.chain(hosts.iter().map(|host| (*host).to_owned())).collect()];
    rows.extend(found.tiers.iter().filter(|(_, facts)| known(facts)).map(|(name, facts)| {
        std::iter::once(name.clone()).chain(hosts.iter().map(|host| cell(facts, host))).collect()
    }));
    if rows.len() > 1 { rows } else { Vec::new() }
}

/// Returns the tiers as a table, the hit rates below it, and what is wrong.
pub(super) fn text(
    fleet: &Fleet,
    found: &Snapshot,
    tiers: &[CacheTierJson<'_>],
    known: &Remembered,
    (since, now): (SignedDuration, Timestamp),
) -> String {
    let last = format!("LAST {}", duration(since.unsigned_abs()).to_uppercase());
    // A column of its own only for a time that has none.
    let is_asked = !DAYS.iter().any(|days| SignedDuration::from_hours(24 * days) == since);

    let head = [
        "TIER",
        "KIND",
        "STATE",
        "SIZE",
        "LIMIT",
        "A DAY",
        "FULL IN",
        "SERVED",
        "ANSWERED",
        "SPEED 7 D",
        "ONLY HERE",
        "COVERAGE",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(tiers.iter().map(tier_row));
    let mut rates = vec![["HIT RATE OF PATHS", "1 D", "7 D", "30 D"].map(str::to_owned).to_vec()];
    rates[0].extend(is_asked.then_some(last));
    let rate_row = |name: &str, rate: &Windows<Option<PartOfWhole>>| {
        let Windows { day, week, month, since } = rate;
        let shown = [day, week, month].into_iter().chain(is_asked.then_some(since));
        let cells = shown.map(|part| or_unknown(part.and_then(share_of)));
        std::iter::once(name.to_owned()).chain(cells).collect()
    };
    rates.push(rate_row("all hosts", &known.hit_rate(None)));
    rates.extend(known.hosts().iter().map(|host| rate_row(host, &known.hit_rate(Some(host)))));
    let mut text = format!("{}\n{}", table(&rows), table(&rates));
    if let Some(target) = fleet.targets.hit_rate {
        text.push_str("wanted: ");
        text.push_str(&percent(target));
        text.push('\n');
    }
    let only = only_here(tiers, now);
    if !only.is_empty() {
        text.push('\n');
        text.push_str(&only);
    }
    let down = if_down(found);
    if !down.is_empty() {
        text.push('\n');
        text.push_str(&table(&down));
    }
    let notes = notes::of_tiers(found);
    if !notes.is_empty() {
        text.push('\n');
        text.push_str(&notes.join("\n"));
        text.push('\n');
    }
    text
}

/// Returns a line per tier with what only it holds, and how old that is.
fn only_here(tiers: &[CacheTierJson<'_>], now: Timestamp) -> String {
    let lines = tiers.iter().filter_map(|tier| {
        let unique = tier.unique?;
        let age = now.duration_since(unique.measured_at).try_into().unwrap_or_default();
        let held = holdings::only_here(unique);
        let age = match ago(age).as_str() {
            "now" => "now".to_owned(),
            age => format!("{age} ago"),
        };
        Some(format!("only in {}: {held} (oldest answer {age})\n", tier.name))
    });
    lines.collect()
}

fn share_of(part: PartOfWhole) -> Option<String> {
    part.share.map(|share| format!("{} of {}", percent(share), part.paths[1]))
}

fn tier_row(tier: &CacheTierJson<'_>) -> Vec<String> {
    let size = tier.size.as_ref();
    let shown =
        size.map(|size| format!("{}{}", if size.exact { "" } else { "≥ " }, bytes(size.bytes)));
    let growth = size.and_then(|size| size.growth_per_day).map(|growth| {
        let sign = if growth < 0.0 { "−" } else { "+" };
        format!("{sign}{}", bytes(growth.abs().round() as u64))
    });
    let full = size.and_then(|size| size.days_until_full).map(|days| format!("{days:.0} d"));
    let served = tier.share_served.since.map(|part| {
        let paths = Share { have: part.paths[0], total: part.paths[1] }.ratio().map(percent);
        format!("{} ({} of paths)", or_unknown(part.share.map(percent)), or_unknown(paths))
    });
    let covered: Vec<String> = tier
        .coverage
        .iter()
        .map(|(host, found)| {
            let [have, total] = found.part.paths;
            format!("{host} {}{have}/{total}", upper_bound(found.at_most))
        })
        .collect();
    vec![
        tier.name.to_owned(),
        tier.kind.to_owned(),
        tier.state.word().to_owned(),
        or_unknown(shown),
        or_unknown(size.and_then(|size| size.limit).map(bytes)),
        or_unknown(growth),
        or_unknown(full),
        or_unknown(served),
        or_unknown(tier.answered.since.and_then(|part| part.share).map(percent)),
        or_unknown(tier.speed.map(|speed| speed.rate())),
        or_unknown(tier.unique.map(|unique| bytes(unique.only_here.bytes))),
        or_unknown((!covered.is_empty()).then(|| covered.join("  "))),
    ]
}
