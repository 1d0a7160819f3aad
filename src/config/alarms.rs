//! Reads `[alarms]`: when a figure of a host is a finding, and what is silenced.

use crate::config::error::MistakeReport;
use crate::config::hosts::HostNames;
use crate::config::keys::KeyTable;
use crate::config::section::{Section, nearest};
use crate::config::value::{self, Meaning};
use crate::config::words::{did_you_mean, out_of_bounds};
use crate::fleet::{Alarms, Code, Limits, Silence, SilenceEnd, SilenceOrigin, Tier};
use jiff::civil::Date;
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

/// How an entry looks.
const ENTRY: &str =
    "[[alarms.silence]] with code, host or tier (or both), reason, and until = 2026-12-31";

/// A day, in seconds.
const DAY: u64 = 24 * 60 * 60;

/// Reads the section; `tiers` are those of the file.
pub(super) fn read(
    report: &mut MistakeReport<'_>,
    section: &Section<'_>,
    hosts: &HostNames<'_>,
    tiers: &[Tier],
) -> Alarms {
    section.check_keys(report, &KeyTable::Alarms.names());
    let mut limits = Limits::default();
    for (key, limit) in [
        ("nix_free", &mut limits.nix_free),
        ("boot_free", &mut limits.boot_free),
        ("var_free", &mut limits.var_free),
        ("tmp_free", &mut limits.tmp_free),
    ] {
        if let Some(size) = section.parsed(report, key, value::size) {
            *limit = size.value;
        }
    }
    if let Some(share) = section.share(report, "memory") {
        limits.memory = share;
    }
    if let Some(load) = section.number(report, "load_per_cpu", 0.1, 1000.0) {
        limits.load_per_cpu = load;
    }
    for (key, limit, bounds) in [
        ("latency", &mut limits.latency, 0..=600),
        ("not_seen", &mut limits.not_seen, 60..=3650 * DAY),
        ("clock", &mut limits.clock, 2..=DAY),
        ("root_age", &mut limits.root_age, DAY..=36_500 * DAY),
    ] {
        if let Some(time) = section.parsed(report, key, |text| time_within(text, &bounds)) {
            *limit = time.value;
        }
    }
    Alarms { limits, silences: silences(report, section, hosts, tiers) }
}

/// Parses a duration within bounds in seconds; `"500ms"` is one too.
fn time_within(text: &str, bounds: &RangeInclusive<u64>) -> Meaning<Duration> {
    let milliseconds = text
        .strip_suffix("ms")
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse::<u32>().ok());
    let time = match milliseconds {
        Some(number) if number > 0 => Duration::from_millis(u64::from(number)),
        Some(_) | None => value::duration(text)?,
    };
    if !bounds.contains(&time.as_secs()) || time.is_zero() {
        let least = match *bounds.start() {
            0 => "1 ms".to_owned(),
            seconds => crate::fleet::ago(Duration::from_secs(seconds)),
        };
        let hint =
            format!("from {least} to {}", crate::fleet::ago(Duration::from_secs(*bounds.end())));
        return Err((out_of_bounds(text), hint));
    }
    Ok(time)
}

/// Reads `[[alarms.silence]]`.
fn silences(
    report: &mut MistakeReport<'_>,
    section: &Section<'_>,
    hosts: &HostNames<'_>,
    tiers: &[Tier],
) -> Vec<Silence> {
    let Some(value) = section.raw("silence") else { return Vec::new() };
    let Some(array) = value.get_ref().as_array() else {
        section.wrong(report, "silence", value, ENTRY);
        return Vec::new();
    };
    let mut all = Vec::new();
    for (index, item) in array.iter().enumerate() {
        let Some(table) = item.get_ref().as_table() else {
            section.wrong(report, "silence", item, ENTRY);
            continue;
        };
        let title = format!("entry {} of [[alarms.silence]]", index + 1);
        let entry =
            Section::new(title, table, item.span().start).requiring(&["code", "reason", "until"]);
        all.extend(silence(report, &entry, hosts, tiers));
    }
    all
}

/// Reads one entry.
fn silence(
    report: &mut MistakeReport<'_>,
    entry: &Section<'_>,
    hosts: &HostNames<'_>,
    tiers: &[Tier],
) -> Option<Silence> {
    entry.check_keys(report, &KeyTable::Silence.names());
    for key in ["code", "reason", "until"] {
        if entry.key(key).is_none() {
            let message = format!("{} has no `{key}`", entry.name());
            report.error(entry.at(), message, format!("write {ENTRY}"));
        }
    }
    if entry.key("host").is_none() && entry.key("tier").is_none() {
        let message = format!("{} names no host and no tier", entry.name());
        report.error(entry.at(), message, "add host = \"NAME\" or tier = \"NAME\"");
    }
    let code = entry.parsed(report, "code", code);
    let host = hosts.named(report, entry, "host");
    let tier = entry.parsed(report, "tier", |text| tier(text, tiers));
    let reason = entry.text(report, "reason");
    let until = entry.raw("until").and_then(|value| until(report, entry, value));
    Some(Silence {
        code: code?.value,
        host,
        tier: tier.map(|tier| tier.value),
        reason: crate::fleet::printable_line(reason?.value),
        until: SilenceEnd::Day(until?),
        severity: None,
        detail: None,
        origin: SilenceOrigin::HostsToml,
    })
}

/// Checks the code of a finding.
fn code(text: &str) -> Meaning<Code> {
    if let Some(code) = Code::of_word(text) {
        return Ok(code);
    }
    let words: Vec<&str> = Code::ALL.iter().map(|code| code.word()).collect();
    let hint = match nearest(text, &words) {
        Some(near) => did_you_mean(near),
        None => "`nixdash findings` prints every code".to_owned(),
    };
    Err((format!("{text:?} is not the code of a finding"), hint))
}

/// Checks the name of a tier.
fn tier(text: &str, tiers: &[Tier]) -> Meaning<String> {
    let names: Vec<&str> = tiers.iter().map(|tier| tier.name.as_str()).collect();
    if names.contains(&text) {
        return Ok(text.to_owned());
    }
    let hint = match nearest(text, &names) {
        Some(near) => did_you_mean(near),
        None => format!("the tiers are: {}", names.join(", ")),
    };
    Err((format!("there is no tier {text:?}"), hint))
}

/// Reads a date, with or without quotes.
fn until(
    report: &mut MistakeReport<'_>,
    entry: &Section<'_>,
    value: &Spanned<DeValue<'_>>,
) -> Option<Date> {
    let text = match value.get_ref() {
        DeValue::String(text) => text.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => String::new(),
    };
    let date = text.parse().ok();
    if date.is_some() {
        return date;
    }
    if text.is_empty() {
        entry.wrong(report, "until", value, "the last day, such as 2026-12-31");
    } else {
        let message = format!("`until` in {} is {text:?}, which is not a date", entry.name());
        report.error(value.span().start, message, "write the last day, such as 2026-12-31");
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::fleet::{Code, SilenceEnd};
    use jiff::civil::Date;
    use std::path::Path;
    use std::time::Duration;

    #[test]
    fn limits_and_silences_are_read_and_what_is_not_written_is_as_usual() {
        let text = "[hosts.p510]\n[[tiers]]\nname = \"weed\"\nkind = \"http\"\nurl = \"http://w\"\n\
            [alarms]\nnix_free = \"10GB\"\nmemory = 0.8\nload_per_cpu = 2\nlatency = \"250ms\"\n\
            not_seen = \"14d\"\n[[alarms.silence]]\ncode = \"disk-low\"\nhost = \"p510\"\n\
            reason = \"a bigger disk is on its way\"\nuntil = 2026-12-24\n\
            [[alarms.silence]]\ncode = \"room-low\"\ntier = \"weed\"\nreason = \"x\"\n\
            until = \"2027-01-31\"\n";
        let alarms = crate::config::parse(text, Path::new("hosts.toml"), None).unwrap().alarms;
        assert_eq!((alarms.limits.nix_free, alarms.limits.boot_free), (10_000_000_000, 64 << 20));
        assert_eq!(alarms.limits.latency, Duration::from_millis(250));
        assert_eq!(alarms.limits.not_seen, Duration::from_secs(14 * 86_400));
        assert!((alarms.limits.load_per_cpu - 2.0).abs() < f64::EPSILON);
        let [first, second] = &alarms.silences[..] else { unreachable!("two entries") };
        assert_eq!((first.code, first.host.as_deref()), (Code::DiskLow, Some("p510")));
        assert_eq!(first.until, SilenceEnd::Day(Date::constant(2026, 12, 24)));
        assert_eq!(second.tier.as_deref(), Some("weed"));
        assert_eq!(second.until, SilenceEnd::Day(Date::constant(2027, 1, 31)));
    }
}
