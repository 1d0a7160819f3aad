//! Findings that a person wants to hear no more of: which, why and until when.
//!
//! A silenced finding stays a finding: it is counted and shown as silenced. When its time is over it
//! is active again, and says that it was silenced.

use crate::fleet::{Code, Finding};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Units that stand behind a figure in a cause, and change with it.
const UNITS: [&str; 14] =
    ["B", "kB", "MB", "GB", "TB", "%", "ms", "s", "min", "h", "d", "day", "days", "commits"];

/// When a silence ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SilenceEnd {
    /// At a point in time.
    At(Timestamp),
    /// With the end of a day, in UTC.
    Day(Date),
}

impl SilenceEnd {
    /// Returns whether that lies behind.
    pub fn is_over(self, now: Timestamp) -> bool {
        now >= self.instant()
    }

    /// Returns the first moment in which nothing is silenced any more.
    fn instant(self) -> Timestamp {
        match self {
            Self::At(end) => end,
            Self::Day(day) => {
                let next = day.tomorrow().and_then(|next| next.to_zoned(TimeZone::UTC));
                next.map_or(Timestamp::MAX, |next| next.timestamp())
            }
        }
    }
}

impl fmt::Display for SilenceEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(end) => write!(f, "{}", end.strftime("%Y-%m-%d %H:%M UTC")),
            Self::Day(day) => write!(f, "{day}"),
        }
    }
}

/// Where it is written that something is silenced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SilenceOrigin {
    /// In hosts.toml: whoever wants to end it changes that file.
    #[default]
    HostsToml,
    /// In nixdash's own state: a person said it on the screen or with `nixdash silence`.
    State,
}

/// Findings that a person does not want to hear of for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// What kind of finding.
    pub code: Code,
    /// The host that it is about; none means any, or none.
    pub host: Option<String>,
    /// The tier that it is about; none means any, or none.
    pub tier: Option<String>,
    /// Why it need not be told.
    pub reason: String,
    /// Until when.
    pub until: SilenceEnd,
    /// What the finding says, without its figures, where it is silenced only as long as it says that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saying: Option<String>,
    /// Where it is written.
    #[serde(skip)]
    pub origin: SilenceOrigin,
}

impl Silence {
    /// Returns whether it is about a finding, now or formerly.
    fn is_about(&self, finding: &Finding) -> bool {
        let is = |wanted: &Option<String>, name: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == name)
        };
        self.code == finding.code
            && is(&self.host, finding.subject.host_name())
            && is(&self.tier, finding.subject.tier_name())
            && self.saying.as_ref().is_none_or(|saying| *saying == saying_of(finding))
    }

    /// Returns whether another one is about the same findings.
    pub fn is_for_the_same(&self, other: &Self) -> bool {
        (self.code, &self.host, &self.tier) == (other.code, &other.host, &other.tier)
    }
}

/// Returns what a finding says, without the figures in it: how bad it is, and its cause.
pub fn saying_of(finding: &Finding) -> String {
    let is_figure = |word: &&str| word.contains(|c: char| c.is_ascii_digit());
    let words = finding.cause.split_whitespace();
    let words = words.filter(|word| !is_figure(word) && !UNITS.contains(&word.trim_matches(',')));
    let words: Vec<&str> = words.collect();
    format!("{}: {}", finding.severity.word(), words.join(" "))
}

/// Marks what is silenced now, and what was until lately; every earlier mark is taken away.
pub fn silence(findings: &mut [Finding], silences: &[Silence], now: Timestamp) {
    for finding in findings {
        let about = silences.iter().filter(|silence| silence.is_about(finding));
        // Of several the one that holds longest.
        let longest = about.max_by_key(|silence| silence.until.instant());
        finding.silenced = longest.map(|silence| Silenced {
            reason: silence.reason.clone(),
            until: silence.until,
            is_over: silence.until.is_over(now),
            until_it_changes: silence.saying.is_some(),
            origin: silence.origin,
        });
    }
}

/// That a person does not want to hear of a finding for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silenced {
    /// Why.
    pub reason: String,
    /// Until when.
    pub until: SilenceEnd,
    /// Whether that is over, so that the finding is active again.
    pub is_over: bool,
    /// Whether it ends before, as soon as the finding says something else.
    #[serde(default)]
    pub until_it_changes: bool,
    /// Where it is written.
    #[serde(default)]
    pub origin: SilenceOrigin,
}

impl Silenced {
    /// Returns it as a clause: `silenced until 2026-12-24: a bigger disk is on its way`.
    pub fn words(&self) -> String {
        let was = if self.is_over { "was " } else { "" };
        let Self { reason, until, .. } = self;
        if self.until_it_changes && !self.is_over {
            return format!("silenced until it changes, {until} at the latest: {reason}");
        }
        format!("{was}silenced until {until}: {reason}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Severity, Subject};

    fn low(cause: &str) -> Finding {
        Finding::new(Subject::host("p510"), Code::DiskLow, cause, "make room")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn until(until: SilenceEnd, saying: Option<String>) -> Silence {
        Silence {
            code: Code::DiskLow,
            host: Some("p510".to_owned()),
            tier: None,
            reason: "a bigger disk".to_owned(),
            until,
            saying,
            origin: SilenceOrigin::State,
        }
    }

    #[test]
    fn one_until_a_point_in_time_ends_there_and_comes_back_from_json() {
        let silence_it = until(SilenceEnd::At(at("2026-11-21T13:00:00Z")), None);
        let mut found = [low("only 1.2 GB is left")];
        silence(&mut found, std::slice::from_ref(&silence_it), at("2026-11-21T12:59:59Z"));
        let silenced = found[0].silenced.clone().unwrap();
        assert_eq!(silenced.words(), "silenced until 2026-11-21 13:00 UTC: a bigger disk");
        silence(&mut found, std::slice::from_ref(&silence_it), at("2026-11-21T13:00:00Z"));
        assert!(found[0].is_trouble());
        for end in [silence_it.until, SilenceEnd::Day(Date::constant(2026, 12, 24))] {
            let json = serde_json::to_string(&end).unwrap();
            assert_eq!(serde_json::from_str::<SilenceEnd>(&json).unwrap(), end, "{json}");
        }
    }

    #[test]
    fn one_until_it_changes_outlives_its_figures_and_nothing_else() {
        let now = at("2026-11-21T12:00:00Z");
        let first = low("only 900 MB is left for /nix/store on p510");
        let end = SilenceEnd::At(at("2027-01-01T00:00:00Z"));
        let silences = [until(end, Some(saying_of(&first)))];
        let worse = low("only 40 MB is left for /nix/store on p510").rated(Severity::Error);
        let other = low("only 900 MB is left for /nix on p510");
        let mut found = [low("only 1.2 GB is left for /nix/store on p510"), worse, other];
        silence(&mut found, &silences, now);
        assert_eq!(found.each_ref().map(Finding::is_silenced), [true, false, false]);
        assert!(found[0].sentence().ends_with(
            "silenced until it changes, 2027-01-01 00:00 UTC at the latest: a bigger disk"
        ));
    }
}
