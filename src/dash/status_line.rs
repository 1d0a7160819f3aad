//! The fleet in one short line, for a status bar: `3● 1○ p620 98% weed ▲ 2 of 3 servers, +2▲`.
//!
//! Hosts are counted by sign; then comes what is wrong with them beside their state, the mean coverage of the tier that deploys publish to
//! (or of the first that hosts ask), then the tiers that are known to be bad, three by name and with
//! what is wrong, the rest counted. Without hosts the tiers that are up are counted first.

use crate::dash::model::Model;
use crate::dash::words::tiers::trouble;
use crate::dash::world::{RunSign, coverage_tier, mean_coverage};
use crate::fleet::words::counted;
use crate::fleet::{CoverageFacts, Fleet, HostFacts, HostState, TierFacts, TierState, worst};
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
    let hosts: Vec<_> =
        model.world.hosts.iter().map(|host| (&host.facts, &host.coverage)).collect();
    let tiers: Vec<_> = model.world.tiers.iter().map(|tier| &tier.facts).collect();
    // Where only one line is left, there is no room for words.
    let line = line(&model.world.fleet, &hosts, &tiers, false);
    match model.world.run_sign() {
        RunSign::None | RunSign::Starting | RunSign::Elsewhere { .. } => line,
        RunSign::Waits(id) => format!("#{id}? {line}"),
        RunSign::Left(id) => format!("#{id}▲ {line}"),
        RunSign::Works { id, counts, .. } => format!("#{id} {}: {line}", counts.signs()),
    }
}

/// Returns how many hosts have which sign; a host that is up with something wrong has that of one
/// that is degraded.
pub(super) fn counted_signs<'a>(hosts: impl Iterator<Item = &'a HostFacts>) -> Vec<(char, usize)> {
    let mut all = [('●', 0), ('▲', 0), ('✗', 0), ('◇', 0), ('○', 0), ('–', 0)];
    for facts in hosts {
        let place = match facts.state {
            HostState::Up if worst(&facts.findings).is_none() => 0,
            HostState::Up | HostState::Degraded => 1,
            HostState::Denied => 2,
            HostState::Locked => 3,
            HostState::Offline => 4,
            HostState::Unknown => 5,
        };
        all[place].1 += 1;
    }
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}

fn line(
    fleet: &Fleet,
    hosts: &[(&HostFacts, &CoverageFacts)],
    tiers: &[&TierFacts],
    words_too: bool,
) -> String {
    let facts = || hosts.iter().map(|(facts, _)| *facts);
    let mut words: Vec<String> =
        counted_signs(facts()).into_iter().map(|(sign, count)| format!("{count}{sign}")).collect();
    if words_too {
        words.extend(counted(facts()).into_iter().map(|(_, wrong)| wrong));
    }
    if hosts.is_empty() {
        let up = |facts: &&&TierFacts| facts.state == TierState::Up && trouble(facts).is_none();
        words.push(format!("{}●", tiers.iter().filter(up).count()));
    }
    let named = coverage_tier(fleet).filter(|_| !hosts.is_empty()).map(|tier| tier.name.as_str());
    let mut troubled = Vec::new();
    for (tier, facts) in fleet.tiers.iter().zip(tiers) {
        if let Some(trouble) = trouble(facts) {
            let trouble = if words_too { format!(" {trouble}") } else { String::new() };
            troubled.push(format!("{} ▲{trouble}", tier.name));
        } else if Some(tier.name.as_str()) == named {
            let share = mean_coverage(hosts.iter().copied(), &tier.name);
            let share = share.map_or("–".to_owned(), |share| share.words().replace(' ', ""));
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
