//! `[rollout]` and `[budget.NAME]`: how a run moves over its hosts.

use crate::config::error::MistakeReport;
use crate::config::hosts::HostNames;
use crate::config::keys::KeyTable;
use crate::config::section::{Section, ValuePlace, nearest};
use crate::config::value::{self, Meaning, fail};
use crate::config::words::did_you_mean;
use crate::config::{gates, section};
use crate::fleet::{
    Budget, Host, HostOrTag, OnFailure, OrderRule, Quota, Rollout, WaveRule, printable_line,
};
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

/// How an entry of `waves` is written.
const WAVE: &str = "\"@tag\", \"25%\", a number or \"rest\"";

/// How `max_failed` is written.
const QUOTA: &str = "a number, or a percentage such as \"10%\"";

/// How an entry of the order is written.
const ORDER: &str = "[[rollout.order]] with host = \"NAME\" or tag = \"NAME\", after = \"NAME\" or \"@tag\", and reason";

/// Reads `[rollout]`; `fleet` are the hosts of the file.
pub(super) fn read(
    report: &mut MistakeReport<'_>,
    section: &Section<'_>,
    hosts: &HostNames<'_>,
    fleet: &[Host],
) -> Rollout {
    section.check_keys(report, &KeyTable::Rollout.names());
    let usual = Rollout::default();
    let number = |report: &mut MistakeReport<'_>, key, least| {
        let number = section.integer(report, key, least..=1000)?;
        usize::try_from(number).ok()
    };
    let canary = number(report, "canary", 0);
    let actions = [("halt", OnFailure::Halt), ("rollback", OnFailure::Rollback)];
    Rollout {
        parallel: number(report, "parallel", 1).unwrap_or(usual.parallel),
        waves: waves(report, section, hosts, fleet),
        canary: canary.unwrap_or(usual.canary),
        canary_is_written: canary.is_some(),
        soak: section.parsed(report, "soak", soak).map_or(usual.soak, |time| time.value),
        gates: gates::read(report, section),
        max_failed: section
            .raw("max_failed")
            .and_then(|value| {
                quota(report, section, ("max_failed", ValuePlace::Value), value, 0..=1000)
            })
            .unwrap_or(usual.max_failed),
        on_failure: section
            .word(report, "on_failure", &actions)
            .map_or(usual.on_failure, |word| word.value),
        order: order(report, section, hosts, fleet),
    }
}

/// Reads `[budget.NAME]`, in the file's order.
pub(super) fn budgets(
    report: &mut MistakeReport<'_>,
    root: &Section<'_>,
    fleet: &[Host],
) -> Vec<Budget> {
    let Some(section) = root.section(report, "budget", "[budget]") else { return Vec::new() };
    let mut budgets = Vec::new();
    for (name, value) in section.entries() {
        if let Err((message, hint)) = value::name(name.value) {
            report.error(name.at, format!("this cannot be the name of a budget: {message}"), hint);
            continue;
        }
        let Some(table) = value.get_ref().as_table() else {
            let message = format!("`{}` in [budget] is not a table", name.value);
            let hint = format!("write [budget.{}] with tag and in_flight below it", name.value);
            report.error(value.span().start, message, hint);
            continue;
        };
        let title = format!("[budget.{}]", name.value);
        let entry = Section::new(title, table, name.at).requiring(&["tag"]);
        entry.check_keys(report, &KeyTable::Budget.names());
        if entry.key("tag").is_none() {
            let message = format!("{} has no `tag`", entry.name());
            report.error(entry.at(), message, "write tag = \"NAME\": the hosts that it is for");
        }
        let tag = entry.parsed(report, "tag", |text| tag_of(text, fleet));
        let in_flight = entry.integer(report, "in_flight", 1..=1000).unwrap_or(1);
        budgets.extend(tag.map(|tag| Budget {
            name: name.value.to_owned(),
            tag: tag.value,
            in_flight: usize::try_from(in_flight).unwrap_or(1),
        }));
    }
    budgets
}

/// Parses the time a wave must stay well: at most a day.
fn soak(text: &str) -> Meaning<Duration> {
    value::within(text, 0, 86_400, "from \"0s\" to \"1d\"")
}

/// Parses a percentage.
fn percent(text: &str) -> Option<u8> {
    let digits = text.strip_suffix('%')?.trim_end();
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|percent| plain && *percent <= 100)
}

/// Reads a number or a percentage.
fn quota(
    report: &mut MistakeReport<'_>,
    section: &Section<'_>,
    (key, place): (&str, ValuePlace),
    value: &Spanned<DeValue<'_>>,
    bounds: std::ops::RangeInclusive<usize>,
) -> Option<Quota> {
    let found = match value.get_ref() {
        DeValue::Integer(number) => usize::from_str_radix(number.as_str(), number.radix())
            .ok()
            .filter(|number| bounds.contains(number))
            .map(Quota::Count),
        DeValue::String(text) => percent(text).map(Quota::Percent),
        DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => None,
    };
    if found.is_none() {
        let name = section.name();
        let expected = format!("{QUOTA} (numbers from {} to {})", bounds.start(), bounds.end());
        match value.get_ref() {
            DeValue::String(text) => {
                let message = format!("`{key}` in {name} is {text:?}, which is not a percentage");
                report.error(value.span().start, message, format!("write {expected}"));
            }
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => section.wrong_number(report, key, value, place, &expected),
        }
    }
    found
}

/// Reads `waves`.
fn waves(
    report: &mut MistakeReport<'_>,
    section: &Section<'_>,
    hosts: &HostNames<'_>,
    fleet: &[Host],
) -> Vec<WaveRule> {
    let Some(value) = section.raw("waves") else { return Vec::new() };
    let Some(array) = value.get_ref().as_array() else {
        let expected = format!("a list of waves, each {WAVE}");
        section.wrong(report, "waves", value, &expected);
        return Vec::new();
    };
    let mut waves = Vec::new();
    for item in array {
        let at = item.span().start;
        if waves.contains(&WaveRule::Rest) {
            let message = format!("`waves` in {} goes on after \"rest\"", section.name());
            report.error(at, message, "\"rest\" is every host that is left: write it last");
            break;
        }
        let rule = match item.get_ref().as_str() {
            Some("rest") => Some(WaveRule::Rest),
            Some(text) if text.starts_with('@') => match tag_of(&text[1..], fleet) {
                Ok(tag) => Some(WaveRule::Tag(tag)),
                Err((message, hint)) => {
                    let message = format!("`waves` in {}: {message}", section.name());
                    report.error(at, message, hint);
                    None
                }
            },
            Some(text) if percent(text).is_none_or(|percent| percent == 0) => {
                let (message, hint) = no_wave(text, hosts);
                report.error(at, format!("`waves` in {}: {message}", section.name()), hint);
                None
            }
            Some(_) | None => {
                let key = ("waves", ValuePlace::Item);
                quota(report, section, key, item, 1..=1000).map(WaveRule::Some)
            }
        };
        waves.extend(rule);
    }
    waves
}

/// Says why a text is not a wave, and what to write instead.
fn no_wave(text: &str, hosts: &HostNames<'_>) -> (String, String) {
    if hosts.has_tag(text) {
        return (format!("{text:?} is a tag"), format!("write {:?}", format!("@{text}")));
    }
    if hosts.has_host(text) {
        let hint = format!("waves name tags: give {text} a tag of its own, and write \"@TAG\"");
        return (format!("{text:?} is a host"), hint);
    }
    (format!("{text:?} is not a wave"), format!("write {WAVE}"))
}

/// Checks a tag: a host must have it.
fn tag_of(text: &str, fleet: &[Host]) -> Meaning<String> {
    let mut tags: Vec<&str> =
        fleet.iter().flat_map(|host| host.tags.iter().map(String::as_str)).collect();
    if tags.contains(&text) {
        return Ok(text.to_owned());
    }
    tags.sort_unstable();
    tags.dedup();
    let hint = match nearest(text, &tags) {
        Some(near) => did_you_mean(near),
        None if tags.is_empty() => "no host has tags; add tags = [\"NAME\"] to a host".to_owned(),
        None => format!("the tags are: {}", tags.join(", ")),
    };
    fail(format!("no host has the tag {text:?}"), hint)
}

/// Reads `[[rollout.order]]`, and looks whether it goes round in a circle.
fn order(
    report: &mut MistakeReport<'_>,
    section: &Section<'_>,
    hosts: &HostNames<'_>,
    fleet: &[Host],
) -> Vec<OrderRule> {
    let mut rules: Vec<(OrderRule, Section<'_>)> = Vec::new();
    for entry in section::entries(report, section, "order", ORDER) {
        let required = keys_of_order(entry.key("host"), entry.key("tag"));
        let entry = entry.requiring(required);
        entry.check_keys(report, &KeyTable::Order.names());
        for key in ["after", "reason"] {
            if entry.key(key).is_none() {
                let message = format!("{} has no `{key}`", entry.name());
                report.error(entry.at(), message, format!("write {ORDER}"));
            }
        }
        if entry.key("host").is_some() == entry.key("tag").is_some() {
            let has = if entry.key("tag").is_some() { "both" } else { "neither" };
            let message = format!("{} has {has} of `host` and `tag`", entry.name());
            report.error(entry.at(), message, format!("write {ORDER}"));
        }
        let as_tag = |tag: &str| format!("write tag = {tag:?} in place of host");
        let host = hosts.named_beside_tags(report, &entry, "host", as_tag).map(HostOrTag::Host);
        let tag = entry.parsed(report, "tag", |text| tag_of(text, fleet));
        let after = after(report, &entry, hosts, fleet);
        let reason = entry.text(report, "reason");
        let who = host.or_else(|| tag.map(|tag| HostOrTag::Tag(tag.value)));
        if let (Some(who), Some(after), Some(reason)) = (who, after, reason) {
            let reason = printable_line(reason.value);
            rules.push((OrderRule { who, after, reason }, entry));
        }
    }
    report_circle(report, &rules, fleet);
    rules.into_iter().map(|(rule, _)| rule).collect()
}

/// Returns the keys that an entry of the order must have, when it names a host, a tag, or both.
fn keys_of_order(host: Option<usize>, tag: Option<usize>) -> &'static [&'static str] {
    match (host, tag) {
        (Some(_), None) => &["host", "after", "reason"],
        (None, Some(_)) => &["tag", "after", "reason"],
        (Some(_), Some(_)) | (None, None) => &["after", "reason"],
    }
}

/// Reads for whom is waited: the name of a host, or a tag behind an `@`.
fn after(
    report: &mut MistakeReport<'_>,
    entry: &Section<'_>,
    hosts: &HostNames<'_>,
    fleet: &[Host],
) -> Option<HostOrTag> {
    let is_tag = entry.raw("after")?.get_ref().as_str().is_some_and(|text| text.starts_with('@'));
    if is_tag {
        let tag = entry.parsed(report, "after", |text| tag_of(&text[1..], fleet));
        return tag.map(|tag| HostOrTag::Tag(tag.value));
    }
    let as_tag = |tag: &str| format!("write {:?}", format!("@{tag}"));
    hosts.named_beside_tags(report, entry, "after", as_tag).map(HostOrTag::Host)
}

/// Reports the first circle of an order, with the places of its entries.
fn report_circle(
    report: &mut MistakeReport<'_>,
    rules: &[(OrderRule, Section<'_>)],
    fleet: &[Host],
) {
    // For each host the hosts that it waits for, with the entry that says so. A host that has both
    // tags does not wait for itself.
    let waits = |host: &Host| {
        let mut all = Vec::new();
        for (entry, (rule, _)) in rules.iter().enumerate() {
            if rule.who.means(&host.name, &host.tags) {
                let others = fleet.iter().enumerate().filter(|(_, other)| {
                    let itself = other.name == host.name && rule.who != rule.after;
                    let named = rule.after == HostOrTag::Host(host.name.clone())
                        && rule.who == HostOrTag::Host(host.name.clone());
                    rule.after.means(&other.name, &other.tags) && (!itself || named)
                });
                all.extend(others.map(|(index, _)| (index, entry)));
            }
        }
        all
    };
    let edges: Vec<Vec<(usize, usize)>> = fleet.iter().map(waits).collect();
    let Some(circle) = circle(&edges) else { return };
    let (last, first) = (circle[circle.len() - 1].1, circle[0].1);
    let mut names: Vec<&str> = circle.iter().map(|(host, _)| fleet[*host].name.as_str()).collect();
    names.push(names[0]);
    let (entry, other) = (&rules[first].1, &rules[last].1);
    let message = format!("{} closes a circle: {}", entry.name(), names.join(" after "));
    let hint = if first == last {
        "a host cannot wait for itself: remove the entry or name other hosts".to_owned()
    } else {
        let line = report.line_of(other.at());
        format!("its other end is {} in line {line}: remove one of them", other.name())
    };
    report.error(entry.at(), message, hint);
}

/// Returns the first circle in a graph: for each host in it the entry that leads to the next one.
fn circle(edges: &[Vec<(usize, usize)>]) -> Option<Vec<(usize, usize)>> {
    let mut done = vec![false; edges.len()];
    for start in 0..edges.len() {
        // The way here: each host with the number of the edge that is looked at next.
        let mut way: Vec<(usize, usize)> = vec![(start, 0)];
        while let Some((host, next)) = way.last_mut() {
            let Some(&(other, _)) = edges[*host].get(*next).filter(|_| !done[*host]) else {
                done[*host] = true;
                way.pop();
                continue;
            };
            *next += 1;
            if let Some(from) = way.iter().position(|(host, _)| *host == other) {
                let part = way[from..].iter();
                return Some(part.map(|(host, next)| (*host, edges[*host][*next - 1].1)).collect());
            }
            way.push((other, 0));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const HOSTS: &str =
        "[hosts.a]\ntags = [\"canary\", \"etcd\"]\n[hosts.b]\ntags = [\"etcd\"]\n[hosts.c]\n";

    fn fleet(text: &str) -> Result<crate::fleet::Fleet, crate::config::ConfigErrors> {
        crate::config::parse(&format!("{HOSTS}{text}"), Path::new("hosts.toml"), None)
    }

    #[test]
    fn waves_are_tags_percentages_counts_and_the_rest() {
        let text = "[rollout]\nwaves = [\"@canary\", \"25%\", 3, \"rest\"]\ncanary = 0\nsoak = \"5m\"\n\
            max_failed = \"10%\"\non_failure = \"rollback\"\n";
        let rollout = fleet(text).unwrap().rollout;
        let words: Vec<String> = rollout.waves.iter().map(ToString::to_string).collect();
        assert_eq!(words, ["@canary", "25%", "3", "rest"]);
        assert_eq!((rollout.canaries(9), rollout.soak.as_secs()), (0, 300));
        assert_eq!(rollout.max_failed, Quota::Percent(10));
        assert_eq!(rollout.on_failure, OnFailure::Rollback);
        assert_eq!(fleet("").unwrap().rollout, Rollout::default());
    }

    #[test]
    fn a_number_that_is_wrong_is_out_of_bounds_or_not_whole() {
        let gate = "[[rollout.gates]]\nname = \"x\"\nurl = \"http://x\"\n";
        for (text, fault, hint) in [
            ("[rollout]\ncanary = -1", "is -1, which is out of bounds", "from 0 to 1000"),
            ("[rollout]\ncanary = 2.5", "is 2.5, which is not a whole number", "from 0 to 1000"),
            ("[rollout]\nparallel = 0", "is 0, which is out of bounds", "from 1 to 1000"),
            ("[rollout]\nmax_failed = -1", "is -1, which is out of bounds", "from 0 to 1000"),
            (
                "[rollout]\nmax_failed = 2.5",
                "is 2.5, which is not a whole number",
                "from 0 to 1000",
            ),
            (
                "[rollout]\nwaves = [1001]",
                "has 1001 in its list, which is out of bounds",
                "1 to 1000",
            ),
            ("[rollout]\nwaves = [-5]", "has -5 in its list, which is out of bounds", "1 to 1000"),
            ("[rollout]\nwaves = [true]", "has true or false in its list", "1 to 1000"),
            ("[budget.x]\ntag = \"etcd\"\nin_flight = 1001", "is 1001, which is out", "1 to 1000"),
            (
                &*format!("{gate}successes_in_a_row = 0"),
                "is 0, which is out of bounds",
                "1 to 1000",
            ),
            (&*format!("{gate}failures = -1"), "is -1, which is out of bounds", "0 to 1000"),
        ] {
            let error = fleet(text).unwrap_err().to_string();
            assert!(error.contains(fault) && error.contains(hint), "{text}: {error}");
        }
    }

    #[test]
    fn a_tag_in_place_of_a_host_or_a_wave_is_told_with_how_it_is_written() {
        let order = |host: &str, after: &str| {
            format!("[[rollout.order]]\nhost = {host:?}\nafter = {after:?}\nreason = \"x\"\n")
        };
        for (text, fault, hint) in [
            (
                order("etcd", "c"),
                "\"etcd\" is a tag, not a host",
                "tag = \"etcd\" in place of host",
            ),
            (
                order("@etcd", "c"),
                "\"@etcd\" is a tag, not a host",
                "tag = \"etcd\" in place of host",
            ),
            (order("c", "etcd"), "\"etcd\" is a tag, not a host", "write \"@etcd\""),
            ("[rollout]\nwaves = [\"etcd\"]\n".to_owned(), "\"etcd\" is a tag", "write \"@etcd\""),
            ("[rollout]\nwaves = [\"c\"]\n".to_owned(), "\"c\" is a host", "waves name tags"),
            (
                "[fleet]\nbuilder = \"etcd\"\n".to_owned(),
                "is a tag, not a host",
                "the name of one host",
            ),
        ] {
            let error = fleet(&text).unwrap_err().to_string();
            assert!(error.contains(fault) && error.contains(hint), "{text}: {error}");
        }
    }

    #[test]
    fn a_key_that_must_be_there_is_to_be_filled_and_not_removed() {
        let order = "[[rollout.order]]\nhost = \"c\"\nafter = \"a\"\nreason = \"\"\n";
        let gate = "[[rollout.gates]]\nname = \"\"\nurl = \"\"\n";
        let budget = "[budget.x]\ntag = \"\"\n";
        for (text, mistakes) in [(order, 1), (gate, 2), (budget, 1)] {
            let error = fleet(text).unwrap_err().to_string();
            assert_eq!(
                error.matches("fill it: this key must have a value").count(),
                mistakes,
                "{error}"
            );
            assert!(!error.contains("remove"), "{error}");
        }
        let optional = fleet("[fleet]\nflake = \"\"\n").unwrap_err().to_string();
        assert!(optional.contains("remove it or fill it"), "{optional}");
    }

    #[test]
    fn a_budget_is_for_the_hosts_of_a_tag() {
        let found = fleet("[budget.etcd]\ntag = \"etcd\"\nin_flight = 2\n").unwrap().budgets;
        assert_eq!(
            found,
            [Budget { name: "etcd".to_owned(), tag: "etcd".to_owned(), in_flight: 2 }]
        );
    }

    #[test]
    fn an_order_may_be_long_and_branch_but_not_go_round() {
        let right = "[[rollout.order]]\nhost = \"b\"\nafter = \"a\"\nreason = \"x\"\n\
            [[rollout.order]]\nhost = \"c\"\nafter = \"@etcd\"\nreason = \"x\"\n";
        assert_eq!(fleet(right).unwrap().rollout.order.len(), 2);
        let round =
            format!("{right}[[rollout.order]]\nhost = \"a\"\nafter = \"c\"\nreason = \"x\"\n");
        let error = fleet(&round).unwrap_err().to_string();
        assert!(error.contains("closes a circle: a after c after a"), "{error}");
        assert!(error.contains("of [[rollout.order]] in line"), "{error}");
    }
}
