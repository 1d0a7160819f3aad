//! What each host makes of the selected tier, and how much of its closure the tier holds: first what is the
//! same for most hosts, then a line for each with what differs.
//!
//! ```text
//!  for every host  1st in its order · key trusted · if the cache is down, it is skipped after 4.5 s
//!  for p620        all 1 356 paths, 7.90 GB, oldest answer 3 s ago
//!  for razer       1 204 of 1 356 paths, 7.10 of 7.90 GB, oldest answer 3 s ago · reachable from p620
//! ```

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
use std::collections::BTreeMap;

/// Returns what each host makes of the tier, and how much of its closure the tier holds.
pub(in crate::dash) fn hosts(paint: &Paint<'_>, tier: &Tier, facts: &TierFacts) -> Vec<Fact> {
    let fleet = &paint.model.world.fleet;
    let groups = groups(fleet, facts);
    let asked = fleet.hosts.iter().filter(|_| tier.kind.is_substituter());
    let words = asked.filter_map(|host| {
        let on_host = facts.hosts.get(&host.name)?;
        Some((host.name.as_str(), on_host_words(paint, host, tier, on_host)))
    });
    let words: BTreeMap<&str, OnHostWords> = words.collect();
    let common = common(&words);
    let mut all: Vec<Fact> = common_fact(&words, &common, fleet.hosts.len()).into_iter().collect();
    for (host, view) in fleet.hosts.iter().zip(&paint.model.world.hosts) {
        let on_host = facts.hosts.get(&host.name);
        if !tier.kind.is_substituter() {
            all.extend(wrong_on_host(&groups, tier, host));
            continue;
        }
        let mut told_of_host = vec![coverage(paint, tier, view)];
        let own = words.get(host.name.as_str()).into_iter().flatten().zip(&common);
        let differs = own.filter_map(|(word, common)| {
            let word = word.as_ref()?;
            (common.as_ref() != Some(&word.of_each)).then(|| word.own.clone())
        });
        told_of_host.extend(differs);
        let bad = on_host.is_some_and(is_bad_on_host);
        let sign = if bad { "▲ " } else { "" };
        let role = if bad { Role::Warn } else { Role::Text };
        all.push(told(
            &format!("for {}", host.name),
            role,
            format!("{sign}{}", told_of_host.join(" · ")),
        ));
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

/// What is told of one side of how a host sees the tier.
struct HostWord {
    /// Of that host alone.
    own: String,
    /// The same of several hosts: equal where it is the same for them.
    of_each: String,
}

impl HostWord {
    /// Returns what is told of one host and of several in the same words.
    fn plain(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { own: text.clone(), of_each: text }
    }
}

/// Its place in the host's order, whether its key is trusted, how it is seen, what happens when it is down,
/// and by whose settings all that is so.
type OnHostWords = [Option<HostWord>; 5];

/// Returns what is told of most hosts in the same words, of each side; nothing for one host alone.
fn common(words: &BTreeMap<&str, OnHostWords>) -> [Option<String>; 5] {
    std::array::from_fn(|side| {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for word in words.values().filter_map(|words| words[side].as_ref()) {
            *counts.entry(word.of_each.as_str()).or_default() += 1;
        }
        let (text, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        (count >= 2 && count * 2 > words.len()).then(|| text.to_owned())
    })
}

/// Returns what is told of most hosts at once.
fn common_fact(
    words: &BTreeMap<&str, OnHostWords>,
    common: &[Option<String>; 5],
    hosts: usize,
) -> Option<Fact> {
    let told_of = |words: &OnHostWords| {
        let texts = words.iter().map(|word| word.as_ref().map(|word| &word.of_each));
        texts.zip(common).all(|(text, common)| common.is_none() || text == common.as_ref())
    };
    let is_every = words.len() == hosts && words.values().all(told_of);
    let label = if is_every { "for every host" } else { "for most hosts" };
    let texts: Vec<&str> = common.iter().flatten().map(String::as_str).collect();
    (!texts.is_empty()).then(|| told(label, Role::Text, texts.join(" · ")))
}

/// Returns what a host makes of the tier.
fn on_host_words(paint: &Paint<'_>, host: &Host, tier: &Tier, on_host: &TierOnHost) -> OnHostWords {
    let trusted = on_host
        .trusted
        .map(|trusted| HostWord::plain(if trusted { "key trusted" } else { "not trusted" }));
    let when_down = on_host.when_down.as_ref().map(|when| HostWord {
        own: format!("if it is down, {}", if_down(when)),
        of_each: format!("if the cache is down, {}", if_down(when)),
    });
    let view = on_host.view.map(|view| {
        HostWord::plain(match view {
            SettingsView::File => "by the settings in its files",
            SettingsView::Daemon => "by its daemon's settings",
        })
    });
    [place(paint, host, tier, on_host), trusted, seen(paint, host, on_host), when_down, view]
}

/// Returns whether a host asks the tier, and in which place.
fn place(paint: &Paint<'_>, host: &Host, tier: &Tier, on_host: &TierOnHost) -> Option<HostWord> {
    match (on_host.configured, on_host.rank) {
        (Some(false), _) if tier.host.as_ref() == Some(&host.name) => {
            Some(HostWord::plain("its own store, not asked"))
        }
        (Some(false), _) => Some(HostWord::plain("not asked")),
        (_, Some(rank)) => {
            let meant = meant_rank(paint, host, tier);
            let meant = meant.filter(|meant| *meant != rank);
            let meant = meant.map(|meant| format!(" (hosts.toml wants {})", nth(meant)));
            let (place, meant) = (nth(rank), meant.unwrap_or_default());
            Some(HostWord {
                own: format!("{place} in {}'s order{meant}", host.name),
                of_each: format!("{place} in its order{meant}"),
            })
        }
        (Some(true), None) => Some(HostWord::plain("asked")),
        (None, None) => None,
    }
}

/// Returns how a host sees the tier. What is well as seen from here, and was not asked from there, needs no
/// word.
fn seen(paint: &Paint<'_>, host: &Host, on_host: &TierOnHost) -> Option<HostWord> {
    if on_host.via.is_none() && matches!(on_host.state, TierState::Unknown | TierState::Up) {
        return None;
    }
    let is_up = on_host.state == TierState::Up;
    let state = if is_up { "reachable".to_owned() } else { spoken(on_host.state.word()) };
    let from = |via: &str| format!("{state} from {via}");
    let of_each = match &on_host.via {
        Some(via) if *via == host.name => from("there"),
        Some(via) => from(via),
        None => state.clone(),
    };
    let age = on_host.measured_at.map(|then| format!(", {}", since(paint.now, then)));
    let own = on_host.via.as_deref().map_or(state.clone(), from);
    Some(HostWord { own: format!("{own}{}", age.unwrap_or_default()), of_each })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_for_most_hosts_is_told_once() {
        let place = |own: &str| {
            let of_each = own.replace("its", "its own");
            Some(HostWord { own: own.to_owned(), of_each })
        };
        let words = |place: Option<HostWord>| {
            [place, Some(HostWord::plain("key trusted")), None, None, None]
        };
        let mut all = BTreeMap::from([
            ("p620", words(place("1st in its order"))),
            ("razer", words(place("1st in its order"))),
            ("samsung", words(place("2nd in its order"))),
        ]);
        let text = |all: &BTreeMap<&str, OnHostWords>, hosts: usize| {
            let (label, pieces) = common_fact(all, &common(all), hosts)?;
            Some(format!("{label}: {}", pieces[0].1))
        };
        let shown = text(&all, 3);
        assert_eq!(shown.as_deref(), Some("for most hosts: 1st in its own order · key trusted"));
        all.remove("samsung");
        let shown = text(&all, 2);
        assert_eq!(shown.as_deref(), Some("for every host: 1st in its own order · key trusted"));
        assert!(text(&all, 3).unwrap().starts_with("for most"), "one was not asked yet");
        all.remove("razer");
        assert_eq!(text(&all, 1), None, "one host has a line of its own");
    }
}
