//! How urgently somebody should look at a host.

use crate::fleet::{Code, Finding, HostFacts, HostState, Severity, worst};

/// How urgently somebody should look at a host; the most urgent is the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::dash) enum Urgency {
    /// Something does not work.
    Error,
    /// Something works, but not as it should.
    Warning,
    /// It does not answer, as laptops do that sleep.
    Away,
    /// It was not measured: nobody knows whether something is wrong.
    Unknown,
    /// Nothing is known to be wrong, or a person wants to hear no more of it.
    Well,
}

impl Urgency {
    /// Returns how urgently somebody should look at a host of which this was measured.
    pub(in crate::dash) fn of(facts: &HostFacts) -> Self {
        let worst = worst(&facts.findings);
        if worst.is_none() && facts.findings.iter().any(Finding::is_silenced) {
            return Self::Well;
        }
        let is_error = worst.is_some_and(|finding| finding.severity == Severity::Error);
        match facts.state {
            HostState::Denied => Self::Error,
            HostState::Offline if worst.is_some_and(|it| it.code == Code::HostAway) => {
                Self::Warning
            }
            HostState::Offline => Self::Away,
            HostState::Locked | HostState::Degraded | HostState::Up | HostState::Unknown
                if is_error =>
            {
                Self::Error
            }
            HostState::Locked | HostState::Degraded => Self::Warning,
            HostState::Up | HostState::Unknown if worst.is_some() => Self::Warning,
            HostState::Up => Self::Well,
            HostState::Unknown => Self::Unknown,
        }
    }

    /// Returns whether something is known to be wrong.
    pub(in crate::dash) fn is_problem(self) -> bool {
        self <= Self::Away
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{SilenceEnd, SilenceOrigin, Silenced, Subject};
    use jiff::civil::Date;

    fn of(state: HostState, codes: &[Code]) -> HostFacts {
        let finding = |code: &Code| Finding::new(Subject::host("p620"), *code, "it is so", "mend");
        HostFacts { state, findings: codes.iter().map(finding).collect(), ..HostFacts::default() }
    }

    #[test]
    fn errors_come_first_then_warnings_then_who_is_away_then_what_is_not_known() {
        let in_order = [
            of(HostState::Denied, &[Code::LoginRefused]),
            of(HostState::Degraded, &[]),
            of(HostState::Offline, &[Code::HostUnreachable]),
            of(HostState::Unknown, &[]),
            of(HostState::Up, &[Code::OnBattery]),
        ];
        assert!(in_order.windows(2).all(|two| Urgency::of(&two[0]) < Urgency::of(&two[1])));
        let is_problem = in_order.each_ref().map(|facts| Urgency::of(facts).is_problem());
        assert_eq!(is_problem, [true, true, true, false, false]);
        assert_eq!(Urgency::of(&of(HostState::Up, &[Code::DiskLow])), Urgency::Warning);
        assert_eq!(Urgency::of(&of(HostState::Unknown, &[Code::HostKeyUnknown])), Urgency::Error);
        assert_eq!(Urgency::of(&of(HostState::Offline, &[Code::HostAway])), Urgency::Warning);
    }

    #[test]
    fn what_is_silenced_is_no_problem() {
        let mut facts = of(HostState::Offline, &[Code::HostUnreachable]);
        facts.findings[0].silenced = Some(Silenced {
            reason: "on holiday".to_owned(),
            until: SilenceEnd::Day(Date::constant(2026, 12, 24)),
            is_over: false,
            until_it_changes: false,
            origin: SilenceOrigin::HostsToml,
        });
        assert_eq!(Urgency::of(&facts), Urgency::Well);
    }
}
