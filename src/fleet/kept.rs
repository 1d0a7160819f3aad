//! What an earlier nixdash found: figures with their age, which say nothing about the present.

use crate::fleet::{
    CoverageFacts, HostFacts, HostState, SignatureState, StoreFacts, TierFacts, TierState,
};

/// What was found of a host before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeptHost {
    /// Its figures, with the time when they were measured.
    pub facts: HostFacts,
    /// The count of its store.
    pub store: Option<StoreFacts>,
    /// What tiers held of its running closure.
    pub coverage: CoverageFacts,
}

impl HostFacts {
    /// Returns old figures for a host that was not asked since. They lack the findings and the speed
    /// of then, which say nothing about now.
    #[must_use]
    pub fn from_before(self) -> Self {
        Self {
            state: HostState::Unknown,
            latency_ms: None,
            findings: Vec::new(),
            asked_at: None,
            ..self
        }
    }
}

impl TierFacts {
    /// Returns old figures for a tier that was not asked since. They lack the state and the proofs
    /// of then, which say nothing about now.
    #[must_use]
    pub fn from_before(mut self) -> Self {
        for on_host in self.hosts.values_mut() {
            on_host.state = TierState::Unknown;
            on_host.findings.clear();
        }
        Self {
            state: TierState::Unknown,
            since: None,
            latency_ms: None,
            connect_ms: None,
            signature: SignatureState::Unchecked,
            proof: None,
            nar_proof: None,
            served: None,
            details: Vec::new(),
            findings: Vec::new(),
            asked_at: None,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Code, Finding, Subject, Tier, TierKind, TierOnHost};
    use jiff::Timestamp;

    #[test]
    fn figures_stay_with_their_age_and_nothing_is_called_well_or_ill() {
        let then = Some(Timestamp::UNIX_EPOCH);
        let finding = Finding::new(Subject::host("p510"), Code::DiskLow, "1 GB is left", "");
        let facts = HostFacts {
            state: HostState::Up,
            load1: Some(0.5),
            latency_ms: Some(4.0),
            findings: vec![finding],
            measured_at: then,
            asked_at: then,
            ..HostFacts::default()
        };
        let kept = facts.from_before();
        assert_eq!((kept.load1, kept.measured_at), (Some(0.5), then));
        assert_eq!((kept.latency_ms, kept.findings.len()), (None, 0));
        assert_eq!(kept.state_words(), "not asked");
        let weed = Tier::new("weed", TierKind::Http, "http://weed");
        let bad = Finding::of_tier(&weed, Code::TierUnreachable, "no answer", "");
        let on_host = TierOnHost {
            state: TierState::Down,
            rank: Some(2),
            findings: vec![bad.clone()],
            ..TierOnHost::default()
        };
        let facts = TierFacts {
            priority: Some(30),
            hosts: [("p510".to_owned(), on_host)].into(),
            measured_at: then,
            ..TierFacts::of(TierState::Down, bad)
        };
        let kept = facts.from_before();
        assert_eq!((kept.priority, kept.measured_at), (Some(30), then));
        assert_eq!((kept.state, kept.findings.len()), (TierState::Unknown, 0));
        let on_host = &kept.hosts["p510"];
        assert_eq!((on_host.rank, on_host.state), (Some(2), TierState::Unknown));
        assert!(on_host.findings.is_empty());
    }
}
