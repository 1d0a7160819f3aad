//! States in words: a sign, a word and a role for each, the same in every view.

pub(in crate::dash) mod figures;
pub(in crate::dash) mod glossary;
pub(in crate::dash) mod reasons;
pub(in crate::dash) mod runs;
pub(in crate::dash) mod strategies;
pub(in crate::dash) mod tiers;
pub(in crate::dash) mod ways;

use crate::dash::model::Model;
use crate::dash::theme::Role;
use crate::dash::widgets::text::width;
use crate::dash::world::Summary;
use crate::dash::world::{HostModel, shown_age};
pub(in crate::dash) use crate::fleet::bytes_of;
use crate::fleet::words::WAITING;
pub(in crate::dash) use crate::fleet::words::changes::system_words;
use crate::fleet::{
    Code, Finding, HostFacts, HostState, Outcome, Severity, number_of, troubles, worst,
};
use jiff::Timestamp;
use std::ops::Range;

/// A state as it is shown: never by its colour alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dash) struct Mark {
    /// The sign.
    pub(in crate::dash) sign: char,
    /// The word.
    pub(in crate::dash) word: String,
    /// What it means.
    pub(in crate::dash) role: Role,
}

impl Mark {
    pub(in crate::dash) fn new(sign: char, word: impl Into<String>, role: Role) -> Self {
        Self { sign, word: word.into(), role }
    }

    /// Returns sign and word.
    pub(in crate::dash) fn text(&self) -> String {
        format!("{} {}", self.sign, self.word)
    }
}

/// Returns how a host is, within so many columns: of one that answers what is worst of what is wrong
/// with it, else its state.
pub(in crate::dash) fn host_mark(view: &HostModel, columns: usize) -> Mark {
    let facts = &view.facts;
    let (sign, role) = match facts.state {
        HostState::Up | HostState::Degraded => match worst(&facts.findings) {
            Some(finding) => ('▲', finding_role(finding)),
            None if facts.state == HostState::Up => ('●', Role::Ok),
            None => ('▲', Role::Warn),
        },
        HostState::Offline => match worst(&facts.findings) {
            Some(finding) if finding.code == Code::HostAway => ('○', Role::Warn),
            Some(_) | None => ('○', Role::Dim),
        },
        HostState::Denied => ('✗', Role::Error),
        HostState::Locked => ('◇', Role::Warn),
        HostState::Unknown if view.asking => return Mark::new('–', "asking", Role::Dim),
        HostState::Unknown => ('–', Role::Dim),
    };
    let whole = Mark::new(sign, facts.condition(), role);
    if width(&whole.text()) <= columns {
        return whole;
    }
    Mark::new(sign, facts.condition_in_short(), role)
}

/// Returns how many hosts are in which state.
pub(in crate::dash) fn state_counts<'a>(
    hosts: &(impl Iterator<Item = &'a HostFacts> + Clone),
) -> Vec<(Role, String)> {
    let states = [
        (HostState::Up, Role::Text),
        (HostState::Degraded, Role::Warn),
        (HostState::Denied, Role::Error),
        (HostState::Locked, Role::Warn),
        (HostState::Offline, Role::Text),
        (HostState::Unknown, Role::Dim),
    ];
    let counted = states.into_iter().filter_map(|(state, role)| {
        let count = hosts.clone().filter(|facts| facts.state == state).count();
        (count > 0).then(|| (role, format!("{count} {}", state.spoken())))
    });
    counted.collect()
}

/// Returns the role of a figure: that of the worst finding which is about it.
pub(in crate::dash) fn figure_role(facts: &HostFacts, codes: &[Code]) -> Role {
    let about = troubles(&facts.findings).into_iter().find(|it| codes.contains(&it.code));
    about.map_or(Role::Text, finding_role)
}

/// Returns the role of what is wrong.
pub(in crate::dash) fn finding_role(finding: &Finding) -> Role {
    severity_role(finding.severity)
}

/// Returns the role of what is so bad.
pub(in crate::dash) fn severity_role(severity: Severity) -> Role {
    match severity {
        Severity::Error => Role::Error,
        Severity::Warning => Role::Warn,
        Severity::Note => Role::Text,
    }
}

/// Names that are shown of a list; the rest is counted.
const NAMES: usize = 12;

/// Returns the first names of a list, and how many more there are.
pub(in crate::dash) fn some_of(names: &[String]) -> String {
    first_of(names, NAMES)
}

/// Returns so many names of a list, and how many more there are; how many hosts there are where none is
/// to be named.
pub(in crate::dash) fn first_of(names: &[String], shown: usize) -> String {
    if shown == 0 {
        return number_of(names.len(), "host");
    }
    let first = names.iter().take(shown).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(shown) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// Returns lines about hosts with as many of their names as have room in so many rows: `lines` makes them with
/// at most so many names of a list.
pub(in crate::dash) fn naming_within<T>(rows: usize, lines: impl Fn(usize) -> Vec<T>) -> Vec<T> {
    let mut all = (0..=NAMES).rev().map(&lines);
    all.find(|lines| lines.len() <= rows).unwrap_or_else(|| lines(0))
}

/// Columns of hosts in a title or in a sentence of the moment.
const HOSTS: usize = 40;

/// Returns hosts by their names where those have room in a title, else how many there are.
pub(in crate::dash) fn hosts_in_short(names: &[String]) -> String {
    let all = names.join(", ");
    if names.len() > 1 && width(&all) > HOSTS { number_of(names.len(), "host") } else { all }
}

/// Returns what an active run does to a host, with how far it is; or that nobody watches the run that
/// was at it.
pub(in crate::dash) fn busy_mark(model: &Model, name: &str) -> Option<Mark> {
    let Some(host) = model.world.busy(name) else {
        let run = model.world.left_with(name)?;
        return Some(Mark::new('▲', format!("run #{} left", run.id), Role::Warn));
    };
    if host.is_going_back() {
        return Some(Mark::new('◐', "going back", Role::Warn));
    }
    if let Some(alert) = host.alert() {
        return Some(Mark::new('▲', alert, Role::Warn));
    }
    if host.waiting.is_some() {
        return Some(Mark::new('○', WAITING, Role::Busy));
    }
    let word = match host.current() {
        Some((phase, _)) => match host.share() {
            Some(share) => format!("{} {}", phase.word(), crate::fleet::percent(share)),
            None => phase.word().to_owned(),
        },
        None if host.phases.is_empty() => WAITING.to_owned(),
        None => "working".to_owned(),
    };
    Some(Mark::new('◐', word, Role::Busy))
}

/// Returns how a host's run ended.
pub(in crate::dash) fn outcome_mark(outcome: Outcome) -> Mark {
    let (sign, role) = match outcome {
        Outcome::Switched | Outcome::Booted | Outcome::Tested => ('●', Role::Ok),
        Outcome::Dry | Outcome::Built | Outcome::Unchanged => ('●', Role::Text),
        Outcome::NeedsReboot => ('▲', Role::Warn),
        Outcome::Degraded => ('▲', Role::Error),
        Outcome::RolledBack | Outcome::Unknown | Outcome::Failed => ('✗', Role::Error),
        Outcome::Superseded | Outcome::Interrupted => ('✗', Role::Warn),
        Outcome::Offline => ('○', Role::Warn),
        Outcome::Skipped => ('○', Role::Dim),
    };
    Mark::new(sign, outcome.spoken(), role)
}

/// Returns the sign and the colour of a run that has ended: those of what went wrong most, or of a run
/// in which all went well.
pub(in crate::dash) fn summary_mark(summary: &Summary) -> (char, Role) {
    let rank = |role: Role| match role {
        Role::Error => 2,
        Role::Warn => 1,
        _ => 0,
    };
    let bad = summary.outcomes.iter().filter(|(outcome, count)| !outcome.is_good() && **count > 0);
    let marks = bad.map(|(outcome, _)| outcome_mark(*outcome));
    let worst = marks.max_by_key(|mark| rank(mark.role));
    worst.map_or(('●', Role::Text), |mark| (mark.sign, mark.role))
}

/// Returns a text in which store paths are names alone: without the store and the hash.
pub(in crate::dash) fn short_paths(text: &str) -> String {
    let mut out = String::new();
    let mut from = 0;
    for hash in store_hashes(text) {
        out.push_str(&text[from..hash.start]);
        from = hash.end;
    }
    out.push_str(&text[from..]);
    out
}

/// Returns where the store and the hash of each store path of a text stand, its name left out.
pub(in crate::dash) fn store_hashes(text: &str) -> Vec<Range<usize>> {
    const STORE: &str = "/nix/store/";
    const HASH: usize = 32;
    let is_hash = |(at, _): &(usize, &str)| {
        let path = &text.as_bytes()[at + STORE.len()..];
        let hash = path.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        hash == HASH && path.get(HASH) == Some(&b'-')
    };
    let found = text.match_indices(STORE).filter(is_hash);
    found.map(|(at, store)| at..at + store.len() + HASH + 1).collect()
}

/// Narrower than this, a pane shows store paths by their names alone.
pub(in crate::dash) const WITH_HASHES: u16 = 100;

/// Returns whether a text shows store paths by their names alone in a pane of that many columns, of which
/// the text has so many: there the names say more than the hashes.
pub(in crate::dash) fn hides_hashes(text: &str, columns: u16, room: usize) -> bool {
    columns < WITH_HASHES || width(text) > room
}

/// Returns how long ago something was, for a sentence: `now`, `5 s ago`, `3 h ago`.
pub(in crate::dash) fn since(now: Timestamp, then: Timestamp) -> String {
    match shown_age(now, then).as_str() {
        "now" => "now".to_owned(),
        age => format!("{age} ago"),
    }
}

/// Returns NixOS's version without what follows its third part.
pub(in crate::dash) fn short_version(version: &str) -> String {
    version.splitn(4, '.').take(3).collect::<Vec<_>>().join(".")
}

/// Returns milliseconds as read: `0.8 ms`, `61 ms`.
pub(in crate::dash) fn milliseconds(ms: f64) -> String {
    if ms < 9.95 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_counted_from_some_names_on() {
        let names: Vec<String> = (1..=14).map(|number| format!("node{number}")).collect();
        assert!(some_of(&names).ends_with("node11, node12 and 2 more"));
        assert_eq!(some_of(&names[..2]), "node1, node2");
        assert_eq!(hosts_in_short(&names), "14 hosts");
        assert_eq!(hosts_in_short(&names[..2]), "node1, node2");
        let long = ["a-name-that-has-no-room-in-the-title-of-a-box".to_owned()];
        assert_eq!(hosts_in_short(&long), long[0], "a single host has a name");
    }

    #[test]
    fn store_paths_are_shortened_to_their_names() {
        let hash = "2c4f8d1a2c4f8d1a2c4f8d1a2c4f8d1a";
        let line = format!("copying path '/nix/store/{hash}-linux-6.12' from 'http://p620:5000'");
        assert_eq!(short_paths(&line), "copying path 'linux-6.12' from 'http://p620:5000'");
        let two = format!("/nix/store/{hash}-a/nix/store/{hash}-b/bin");
        assert_eq!(short_paths(&two), "ab/bin");
        for whole in ["/nix/store/.links", "/nix/store/", "no path", "/nix/store/äöü-x"] {
            assert_eq!(short_paths(whole), whole);
        }
    }
}
