//! What each host makes of the selected tier, and how much of its closure the tier holds.

use crate::dash::panes::problems::snippet_facts;
use crate::dash::theme::Role;
use crate::dash::widgets::facts::{Fact, told};
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::text::count;
use crate::dash::words::tiers::is_bad_on_host;
use crate::dash::words::{bytes_of, finding_role, since};
use crate::dash::world::{HostModel, is_current};
use crate::fleet::words::on_host::if_down;
use crate::fleet::words::spoken;
use crate::fleet::{
    Finding, Fleet, Host, SettingsView, Tier, TierFacts, TierOnHost, TierState, bytes, grouped,
};

/// Returns what each host makes of the tier, and how much of its closure the tier holds.
pub(in crate::dash) fn hosts(paint: &Paint<'_>, tier: &Tier, facts: &TierFacts) -> Vec<Fact> {
    let fleet = &paint.model.world.fleet;
    let groups = groups(fleet, facts);
    let mut all = Vec::new();
    for (host, view) in fleet.hosts.iter().zip(&paint.model.world.hosts) {
        let on_host = facts.hosts.get(&host.name);
        if !tier.kind.is_substituter() {
            all.extend(wrong_on_host(&groups, tier, host));
            continue;
        }
        let mut words = vec![coverage(paint, tier, view)];
        if let Some(on_host) = on_host {
            words.extend(on_host_words(paint, host, tier, on_host));
        }
        let bad = on_host.is_some_and(is_bad_on_host);
        let sign = if bad { "▲ " } else { "" };
        let role = if bad { Role::Warn } else { Role::Text };
        all.push(told(&format!("for {}", host.name), role, format!("{sign}{}", words.join(" · "))));
        all.extend(next(paint, tier, view).map(|next| told("", Role::Text, next)));
        let silenced = on_host.into_iter().flat_map(|on_host| &on_host.findings);
        let silenced = silenced.filter(|finding| finding.is_silenced());
        all.extend(silenced.map(|finding| told("", Role::Dim, finding.sentence())));
        all.extend(wrong_on_host(&groups, tier, host));
    }
    all
}

/// A finding, and the hosts of which it is known.
type Group<'a> = (Vec<&'a str>, &'a Finding);

/// Returns what is wrong with the tier for hosts, and is not told of the tier itself.
fn groups<'a>(fleet: &'a Fleet, facts: &'a TierFacts) -> Vec<Group<'a>> {
    let hosts = fleet.hosts.iter().map(|host| {
        let on_host = facts.hosts.get(&host.name);
        (host.name.as_str(), on_host.map(|on_host| &on_host.findings[..]).unwrap_or_default())
    });
    let of_tier = |found: &Finding| facts.findings.iter().any(|known| known.says_the_same(found));
    grouped(hosts).into_iter().filter(|(_, found)| !of_tier(found)).collect()
}

/// Returns what is wrong with the tier for a host; what is wrong for several in the same words
/// stands once, at the last of them.
fn wrong_on_host(groups: &[Group<'_>], tier: &Tier, host: &Host) -> Vec<Fact> {
    let asked = tier.kind.is_substituter();
    let ours = groups.iter().filter(|(names, _)| names.last() == Some(&host.name.as_str()));
    ours.flat_map(|(names, found)| {
        let role = finding_role(found);
        let told = match &names[..] {
            [name] if !asked => told(&format!("on {name}"), role, found.sentence()),
            // Below the host's own line.
            [_] => told("", role, found.sentence()),
            names => {
                let label = if asked { String::new() } else { format!("on {} hosts", names.len()) };
                told(&label, role, format!("{}: {}", names.join(", "), found.sentence()))
            }
        };
        std::iter::once(told).chain(snippet_facts(found))
    })
    .collect()
}

/// Returns whether a host asks the tier, in which place, whether it trusts it, and how it sees it.
fn on_host_words(
    paint: &Paint<'_>,
    host: &Host,
    tier: &Tier,
    on_host: &TierOnHost,
) -> Option<String> {
    let mut words = Vec::new();
    match (on_host.configured, on_host.rank) {
        (Some(false), _) if tier.host.as_ref() == Some(&host.name) => {
            words.push("its own store, not asked".to_owned());
        }
        (Some(false), _) => words.push("not asked".to_owned()),
        (_, Some(rank)) => {
            let meant = meant_rank(paint, host, tier);
            let meant = meant.filter(|meant| *meant != rank);
            let meant = meant.map(|meant| format!(" (hosts.toml wants {})", nth(meant)));
            let (place, meant) = (nth(rank), meant.unwrap_or_default());
            words.push(format!("{place} in {}'s order{meant}", host.name));
        }
        (Some(true), None) => words.push("asked".to_owned()),
        (None, None) => {}
    }
    match on_host.trusted {
        Some(true) => words.push("key trusted".to_owned()),
        Some(false) => words.push("not trusted".to_owned()),
        None => {}
    }
    // What is well as seen from here, and was not asked from there, needs no word.
    if on_host.via.is_some() || !matches!(on_host.state, TierState::Unknown | TierState::Up) {
        let via = on_host.via.as_ref().map(|via| format!(" from {via}")).unwrap_or_default();
        let seen = on_host.measured_at.map(|then| format!(", {}", since(paint.now, then)));
        let is_up = on_host.state == TierState::Up;
        let state = if is_up { "reachable".to_owned() } else { spoken(on_host.state.word()) };
        words.push(format!("{state}{via}{}", seen.unwrap_or_default()));
    }
    if let Some(when) = &on_host.when_down {
        words.push(format!("if it is down, {}", if_down(when)));
    }
    match on_host.view {
        Some(SettingsView::File) => words.push("by the settings in its files".to_owned()),
        Some(SettingsView::Daemon) => words.push("by its daemon's settings".to_owned()),
        None => {}
    }
    (!words.is_empty()).then(|| words.join(" · "))
}

/// Returns in which place hosts.toml means a host to ask the tier, of those that the host asks.
fn meant_rank(paint: &Paint<'_>, host: &Host, tier: &Tier) -> Option<u32> {
    let model = paint.model;
    let tiers = model.world.fleet.tiers.iter().zip(&model.world.tiers);
    let asked = tiers.filter(|(_, view)| {
        view.facts.hosts.get(&host.name).is_some_and(|on_host| on_host.rank.is_some())
    });
    let place = asked.into_iter().position(|(known, _)| known.name == tier.name)?;
    u32::try_from(place + 1).ok()
}

/// Returns a place in a list: `1st`, `2nd`.
fn nth(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (1, last) if last != 11 => "st",
        (2, last) if last != 12 => "nd",
        (3, last) if last != 13 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

fn coverage(paint: &Paint<'_>, tier: &Tier, view: &HostModel) -> String {
    let Some(coverage) = view.coverage.tiers.get(&tier.name) else {
        return "– not measured".to_owned();
    };
    if !is_current(&view.facts, &view.coverage) {
        return "– measured for an earlier system".to_owned();
    }
    let (paths, sizes) = (coverage.paths, coverage.bytes);
    let oldest = since(paint.now, coverage.measured_at);
    let bound = coverage.bound();
    if paths.have == paths.total {
        let all = format!("{bound}all {} paths, {}", count(paths.total), bytes(sizes.total));
        return format!("{all}, oldest answer {oldest}");
    }
    format!(
        "{bound}{} of {} paths, {}, oldest answer {oldest}",
        count(paths.have),
        count(paths.total),
        bytes_of(sizes.have, sizes.total),
    )
}

/// Returns how much of the host's next system the tier holds, where one is known to come.
fn next(paint: &Paint<'_>, tier: &Tier, view: &HostModel) -> Option<String> {
    let runs = view.facts.system.running.as_ref();
    view.next.toplevel.as_ref().filter(|next| runs != Some(*next))?;
    let found = view.next.tiers.get(&tier.name)?;
    let partial = if view.next.partial { "partial, " } else { "" };
    Some(format!(
        "next {} of {} paths ({partial}{})",
        count(found.paths.have),
        count(found.paths.total),
        since(paint.now, found.measured_at),
    ))
}
