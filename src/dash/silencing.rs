//! The form in which a finding is silenced: what it holds.

use crate::dash::input::LineInput;
use crate::fleet::{
    Finding, Severity, Silence, SilenceEnd, SilenceOrigin, Subject, UNTIL_IT_CHANGES,
};
use jiff::{SignedDuration, Timestamp};

/// For how long something is silenced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SilenceTime {
    /// An hour.
    Hour,
    /// A working day.
    #[default]
    EightHours,
    /// A day.
    Day,
    /// A week.
    Week,
    /// As long as the finding is there, says the same and is as bad as now, for 90 days at most.
    UntilItChanges,
}

impl SilenceTime {
    /// Every choice, the shortest first.
    pub const ALL: [Self; 5] =
        [Self::Hour, Self::EightHours, Self::Day, Self::Week, Self::UntilItChanges];

    /// Returns it in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Hour => "1 h",
            Self::EightHours => "8 h",
            Self::Day => "1 d",
            Self::Week => "7 d",
            Self::UntilItChanges => "until it changes",
        }
    }

    /// Returns the next choice, around the end.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Hour => Self::EightHours,
            Self::EightHours => Self::Day,
            Self::Day => Self::Week,
            Self::Week => Self::UntilItChanges,
            Self::UntilItChanges => Self::Hour,
        }
    }

    /// Returns when that ends.
    fn end(self, now: Timestamp) -> SilenceEnd {
        let hours = match self {
            Self::Hour => 1,
            Self::EightHours => 8,
            Self::Day => 24,
            Self::Week => 7 * 24,
            Self::UntilItChanges => return SilenceEnd::At(now + UNTIL_IT_CHANGES),
        };
        SilenceEnd::At(now + SignedDuration::from_hours(hours))
    }
}

/// Which finding is silenced, why and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilenceForm {
    /// The host or the tier whose findings these are.
    pub name: String,
    /// What may be silenced, and what is.
    pub findings: Vec<Finding>,
    /// Which of them is meant.
    pub selected: usize,
    /// Why.
    pub reason: LineInput,
    /// For how long.
    pub time: SilenceTime,
}

impl SilenceForm {
    /// Returns the form for the findings of a host or a tier: those that are trouble, and those that are
    /// silenced; none where there is neither.
    pub(super) fn of(name: &str, findings: &[Finding]) -> Option<Self> {
        let findings = told_once(findings.iter().filter(|it| it.severity > Severity::Note));
        (!findings.is_empty()).then(|| Self {
            name: name.to_owned(),
            findings,
            selected: 0,
            reason: LineInput::default(),
            time: SilenceTime::default(),
        })
    }

    /// Returns the finding that is meant.
    pub(super) fn chosen(&self) -> Option<&Finding> {
        self.findings.get(self.selected)
    }

    /// Returns who silenced the finding that is meant; none where nobody did.
    pub(super) fn silenced_by(&self) -> Option<SilenceOrigin> {
        let finding = self.chosen().filter(|finding| finding.is_silenced())?;
        finding.silenced.as_ref().map(|silenced| silenced.origin)
    }

    /// Returns what the form says.
    pub(super) fn silence(&self, now: Timestamp) -> Option<Silence> {
        let finding = self.chosen()?;
        let silence = Silence {
            code: finding.code,
            host: finding.subject.host_name().map(str::to_owned),
            tier: finding.subject.tier_name().map(str::to_owned),
            reason: self.reason.text().trim().to_owned(),
            until: self.time.end(now),
            severity: None,
            detail: None,
            origin: SilenceOrigin::State,
        };
        let until_it_changes = self.time == SilenceTime::UntilItChanges;
        Some(if until_it_changes { silence.until_it_changes(finding) } else { silence })
    }
}

/// Returns findings, and what several hosts say of a tier in the same words once: that is about the tier,
/// whoever says it.
fn told_once<'a>(findings: impl Iterator<Item = &'a Finding>) -> Vec<Finding> {
    let mut all: Vec<Finding> = Vec::new();
    for finding in findings {
        let tier = finding.subject.tier_name();
        let same = all.iter_mut().find(|known| {
            tier.is_some() && known.subject.tier_name() == tier && known.says_the_same(finding)
        });
        match (same, tier) {
            (Some(known), Some(tier)) => known.subject = Subject::Tier { tier: tier.to_owned() },
            (Some(_), None) | (None, _) => all.push(finding.clone()),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Code, KindName, Tier};

    #[test]
    fn what_several_hosts_say_of_a_tier_is_silenced_at_once() {
        let tier = Tier::new("weed", KindName::Http, "http://weed");
        let found = |host: &str, cause: &str| {
            Finding::new(Subject::tier_on_host(&tier, host), Code::OrderWrong, cause, "fix it")
        };
        let all = [found("razer", "early"), found("p510", "early"), found("p510", "late")];
        let mut form = SilenceForm::of("weed", &all).unwrap();
        assert_eq!(form.findings.len(), 2);
        let now = Timestamp::UNIX_EPOCH;
        let both = form.silence(now).unwrap();
        assert_eq!((both.tier.as_deref(), both.host), (Some("weed"), None));
        form.selected = 1;
        assert_eq!(form.silence(now).unwrap().host.as_deref(), Some("p510"));
        assert!(SilenceForm::of("weed", &[]).is_none());
    }
}
