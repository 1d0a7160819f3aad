//! Findings that a person wants to hear no more of: which, why and until when.
//!
//! A silenced finding stays a finding: it is counted and shown as silenced. When its time is over it
//! is active again, and says that it was silenced.

use crate::fleet::{Code, Finding, Severity, SilenceEnd, SilenceOrigin, Silenced};
use jiff::Timestamp;
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
            && self.severity.is_none_or(|severity| severity == finding.severity)
    }

    /// Returns whether another one is about the same findings.
    pub fn is_for_the_same(&self, other: &Self) -> bool {
        (self.code, &self.host, &self.tier) == (other.code, &other.host, &other.tier)
    }
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
            until_it_changes: silence.severity.is_some(),
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
}
