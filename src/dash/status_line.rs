//! The fleet in one short line, for a status bar: `3● 1○ p620 98% weed ▲ 2 of 3 servers, +2▲`.
//!
//! Hosts are counted by state; then comes the mean coverage of the tier that deploys publish to
//! (or of the first that hosts ask), then the tiers that are known to be bad, three by name and with
//! what is wrong, the rest counted.

use crate::dash::model::{Model, RunSign, coverage_tier, mean_coverage};
use crate::dash::view::trouble;
use crate::fleet::{CoverageFacts, Fleet, HostFacts, HostState, TierFacts, percent};
use std::collections::BTreeMap;

/// How many tiers that are known to be bad are named.
const NAMED: usize = 3;

/// Returns the fleet in one short line; hosts and tiers that are missing count as unknown.
pub fn status_line(
    fleet: &Fleet,
    hosts: &BTreeMap<String, HostFacts>,
    tiers: &BTreeMap<String, TierFacts>,
    coverage: &BTreeMap<String, CoverageFacts>,
) -> String {
    let unknown = (HostFacts::default(), TierFacts::default(), CoverageFacts::default());
    let hosts: Vec<(&HostFacts, &CoverageFacts)> = fleet
        .hosts
        .iter()
        .map(|host| {
            let facts = hosts.get(&host.name).unwrap_or(&unknown.0);
            (facts, coverage.get(&host.name).unwrap_or(&unknown.2))
        })
        .collect();
    let tiers: Vec<&TierFacts> =
        fleet.tiers.iter().map(|tier| tiers.get(&tier.name).unwrap_or(&unknown.1)).collect();
    line(fleet, &hosts, &tiers, true)
}

/// Returns the line for what the screen knows, with the run that is active.
pub(super) fn status_line_of(model: &Model) -> String {
    let hosts: Vec<_> = model.hosts.iter().map(|host| (&host.facts, &host.coverage)).collect();
    let tiers: Vec<_> = model.tiers.iter().map(|tier| &tier.facts).collect();
    // Where only one line is left, there is no room for words.
    let line = line(&model.fleet, &hosts, &tiers, false);
    match model.run_sign() {
        RunSign::None | RunSign::Starting => line,
        RunSign::Waits(id) => format!("#{id}? {line}"),
        RunSign::Works { id, done, of, .. } => format!("#{id} {done}/{of} {line}"),
    }
}

fn line(
    fleet: &Fleet,
    hosts: &[(&HostFacts, &CoverageFacts)],
    tiers: &[&TierFacts],
    words_too: bool,
) -> String {
    let mut words = Vec::new();
    for (state, sign) in [
        (HostState::Up, '●'),
        (HostState::Degraded, '▲'),
        (HostState::Denied, '✗'),
        (HostState::Locked, '◇'),
        (HostState::Offline, '○'),
        (HostState::Unknown, '–'),
    ] {
        let count = hosts.iter().filter(|(facts, _)| facts.state == state).count();
        if count > 0 {
            words.push(format!("{count}{sign}"));
        }
    }
    let named = coverage_tier(fleet).map(|tier| tier.name.as_str());
    let mut troubled = Vec::new();
    for (tier, facts) in fleet.tiers.iter().zip(tiers) {
        if let Some(trouble) = trouble(facts) {
            let trouble = if words_too { format!(" {trouble}") } else { String::new() };
            troubled.push(format!("{} ▲{trouble}", tier.name));
        } else if Some(tier.name.as_str()) == named {
            let share = mean_coverage(hosts.iter().copied(), &tier.name);
            let share = share.map_or("–".to_owned(), |share| percent(share).replace(' ', ""));
            words.push(format!("{} {share}", tier.name));
        }
    }
    let more = troubled.len().saturating_sub(NAMED);
    troubled.truncate(NAMED);
    if more > 0 {
        troubled.push(format!("+{more}▲"));
    }
    let troubled = troubled.join(if words_too { ", " } else { " " });
    words.extend((!troubled.is_empty()).then_some(troubled));
    words.join(" ")
}
