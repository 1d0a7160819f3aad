//! Findings that a person wants to hear no more of: which, why and until when.
//!
//! A silenced finding stays a finding: it is counted and shown as silenced. When its time is over it
//! is active again, and says that it was silenced.

use crate::fleet::{Code, Finding, Severity, SilenceEnd, SilenceOrigin, Silenced};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

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
    /// How bad the finding is, where it is silenced only as long as it is that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// What the finding says without its figures, where it is silenced only as long as it says that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Where it is written.
    #[serde(skip)]
    pub origin: SilenceOrigin,
}

impl Silence {
    /// Returns whether it is about a finding, now or formerly.
    pub fn is_about(&self, finding: &Finding) -> bool {
        let is = |wanted: &Option<String>, name: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == name)
        };
        self.code == finding.code
            && is(&self.host, finding.subject.host_name())
            && is(&self.tier, finding.subject.tier_name())
            && self.severity.is_none_or(|severity| severity == finding.severity)
            && self.detail.as_ref().is_none_or(|said| *said == without_figures(&finding.cause))
    }

    /// Returns one that ends as soon as a finding says something else, is more or less bad, or is gone.
    #[must_use]
    pub fn until_it_changes(self, finding: &Finding) -> Self {
        let detail = Some(without_figures(&finding.cause));
        Self { severity: Some(finding.severity), detail, ..self }
    }

    /// Returns whether it ends as soon as the finding changes.
    pub fn ends_with_a_change(&self) -> bool {
        self.severity.is_some()
    }

    /// Returns whether it is over now, since what it was about has changed or is gone.
    pub(super) fn is_over_since(&self, before: &[Finding], now: &[Finding]) -> bool {
        let is_there = |findings: &[Finding]| findings.iter().any(|it| self.is_about(it));
        self.ends_with_a_change()
            && self.origin == SilenceOrigin::State
            && is_there(before)
            && !is_there(now)
    }

    /// Returns whether another one is about the same findings.
    pub fn is_for_the_same(&self, other: &Self) -> bool {
        (self.code, &self.host, &self.tier) == (other.code, &other.host, &other.tier)
    }
}

/// Returns a text without its figures, which differ with each look: each is `#`, with its unit.
fn without_figures(text: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '%');
        let is_figure = bare.starts_with(|c: char| c.is_ascii_digit());
        let is_unit = words.last() == Some(&"#") && UNITS.contains(&bare);
        if is_figure && words.last() != Some(&"#") {
            words.push("#");
        } else if !is_figure && !is_unit {
            words.push(word);
        }
    }
    words.join(" ")
}

/// What may stand behind a figure and changes with its size.
const UNITS: [&str; 16] = [
    "%", "B", "kB", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB", "ms", "s", "min", "h", "d",
];

/// How long a silence lasts at most that ends as soon as the finding changes.
pub const UNTIL_IT_CHANGES: SignedDuration = SignedDuration::from_hours(90 * 24);

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
            until_it_changes: silence.ends_with_a_change(),
            origin: silence.origin,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Subject;
    use jiff::civil::Date;

    fn low(cause: &str) -> Finding {
        Finding::new(Subject::host("p510"), Code::DiskLow, cause, "make room")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn until(until: SilenceEnd, severity: Option<Severity>) -> Silence {
        Silence {
            code: Code::DiskLow,
            host: Some("p510".to_owned()),
            tier: None,
            reason: "a bigger disk".to_owned(),
            until,
            severity,
            detail: None,
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
    fn one_until_it_changes_outlives_its_figures_and_ends_when_it_gets_worse() {
        let now = at("2026-11-21T12:00:00Z");
        let end = SilenceEnd::At(at("2027-01-01T00:00:00Z"));
        let silences = [until(end, Some(Severity::Warning))];
        let worse = low("only 40 MB is left").rated(Severity::Error);
        let mut found = [low("only 900 MB is left"), low("only 1.2 GB is left"), worse];
        silence(&mut found, &silences, now);
        assert_eq!(found.each_ref().map(Finding::is_silenced), [true, true, false]);
        assert!(found[0].sentence().ends_with(
            "silenced until it changes, 2027-01-01 00:00 UTC at the latest: a bigger disk"
        ));
    }

    #[test]
    fn one_until_it_changes_ends_when_the_finding_says_something_else_than_other_figures() {
        let end = SilenceEnd::At(at("2027-01-01T00:00:00Z"));
        let failed = |cause: &str| {
            Finding::new(Subject::host("p510"), Code::UnitsFailed, cause, "look at its journal")
        };
        let silence_it = Silence { code: Code::UnitsFailed, ..until(end, None) }
            .until_it_changes(&failed("1 unit failed: bluetooth.service, 14 min ago"));
        let is_silenced = |cause: &str| {
            let mut found = [failed(cause)];
            silence(&mut found, std::slice::from_ref(&silence_it), at("2026-11-21T12:00:00Z"));
            found[0].is_silenced()
        };
        assert!(is_silenced("1 unit failed: bluetooth.service, 3 h 20 min ago"));
        assert!(!is_silenced("2 units failed: bluetooth.service, sshd.service, 20 min ago"));
        assert!(!is_silenced("1 unit failed: sshd.service, 14 min ago"));
        let text = serde_json::to_string(&silence_it).unwrap();
        let read: Silence = serde_json::from_str(&text).unwrap();
        assert_eq!(Silence { origin: SilenceOrigin::State, ..read }, silence_it);
        let older = text.replace(",\"detail\":\"# unit failed: bluetooth.service, # ago\"", "");
        assert_ne!(older, text);
        let read: Silence = serde_json::from_str(&older).unwrap();
        assert_eq!(read.detail, None, "one that was made before says nothing of the text");
    }

    #[test]
    fn one_is_over_when_what_it_was_about_is_gone_or_says_something_else() {
        let end = SilenceEnd::At(at("2027-01-01T00:00:00Z"));
        let before = [low("only 900 MB is left")];
        let silence_it = until(end, None).until_it_changes(&before[0]);
        let is_over = |now: &[Finding]| silence_it.is_over_since(&before, now);
        assert!(is_over(&[]) && is_over(&[low("none is left")]));
        assert!(!is_over(&[low("only 1.2 GB is left")]));
        assert!(!silence_it.is_over_since(&[], &[]), "it was not seen yet");
        assert!(!until(end, None).is_over_since(&before, &[]), "one for a time stays");
        let in_file = Silence { origin: SilenceOrigin::HostsToml, ..silence_it };
        assert!(!in_file.is_over_since(&before, &[]), "nixdash does not write hosts.toml");
    }

    #[test]
    fn a_text_without_figures_keeps_names() {
        for (text, without) in [
            ("only 1.2 GB is left (3 %)", "only # is left #"),
            ("1 356 of 2 000 paths", "# of # paths"),
            ("unit foo1.service failed 14 min 3 s ago", "unit foo1.service failed # ago"),
            ("it does not answer", "it does not answer"),
            ("", ""),
        ] {
            assert_eq!(without_figures(text), without, "{text}");
        }
    }
}
