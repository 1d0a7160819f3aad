//! The one room for the words of states and the sentences of findings.
//!
//! A state has one word: on the screen, on the command line, in JSON and from the exporter. In
//! sentences a word of two parts is written with a space ([`spoken`]). A finding's sentence says
//! what happened, where and why; its fix says what to do next.

pub mod changes;
pub mod clusters;
pub mod deploys;
pub mod holdings;
pub mod hosts;
pub mod kinds;
pub mod limits;
pub mod nix_settings;
pub mod on_host;
pub mod page;
pub mod rollout;
pub mod runs;
pub mod tiers;
mod waits;

use crate::fleet::{
    Code, Finding, HostFacts, HostState, Outcome, Severity, SignatureState, TierFacts, TierState,
    duration, troubles, worst,
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// How a host of a run is that has to wait: for an answer, for a free place, for another host.
pub const WAITING: &str = "waiting";

/// How a host of a run is that waits for somebody who does not answer any more.
pub const NO_ANSWER: &str = "no answer";

/// What is said of a host that waits for its cache to answer again.
pub const CACHE_DOWN: &str = "cache down";

/// What is said of a host about which somebody has to decide.
pub const TO_DECIDE: &str = "to decide";

impl HostState {
    /// Every state, the best first.
    pub const ALL: [Self; 6] =
        [Self::Up, Self::Degraded, Self::Offline, Self::Denied, Self::Locked, Self::Unknown];

    /// Returns the state's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Offline => "offline",
            Self::Denied => "denied",
            Self::Locked => "disk-locked",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the state as it is said in a sentence: `disk locked`.
    pub fn spoken(self) -> String {
        spoken(self.word())
    }
}

impl HostFacts {
    /// Returns how the host is, in a few words: of one that answers what is worst of what is wrong
    /// with it, behind its state where that is not `up`; else its state.
    pub fn condition(&self) -> String {
        let wrong = self.worst_told();
        match (self.state, wrong) {
            (HostState::Degraded, Some(finding)) => {
                format!("{}, {}", self.state.word(), finding.words())
            }
            (_, Some(finding)) => finding.words().to_owned(),
            (_, None) => self.state_words(),
        }
    }

    /// Returns the worst finding that says more than the state does: of a host that answered, or why one is not
    /// reached.
    fn worst_told(&self) -> Option<&Finding> {
        let worst = worst(&self.findings)?;
        let says_more = self.state.has_answered() || worst.code == Code::HostUnreachable;
        says_more.then_some(worst)
    }

    /// Returns the same where there is little room.
    pub fn condition_in_short(&self) -> String {
        let wrong = self.worst_told();
        match wrong {
            Some(finding) if !finding.code.is_degraded() => finding.words().to_owned(),
            Some(_) | None => self.state_words(),
        }
    }

    /// Returns how the host is, as people read it: its state, or `not asked` before it was asked.
    pub fn state_words(&self) -> String {
        if self.state == HostState::Unknown && self.asked_at.is_none() {
            return "not asked".to_owned();
        }
        self.state.spoken()
    }
}

impl TierState {
    /// Every state, the best first.
    pub const ALL: [Self; 11] = [
        Self::Up,
        Self::Slow,
        Self::Degraded,
        Self::Unauthorized,
        Self::WrongStore,
        Self::Untrusted,
        Self::NarMissing,
        Self::Malformed,
        Self::Proxy,
        Self::Down,
        Self::Unknown,
    ];

    /// Returns the state's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Slow => "slow",
            Self::Degraded => "degraded",
            Self::Unauthorized => "unauthorized",
            Self::WrongStore => "wrong-store",
            Self::Untrusted => "untrusted",
            Self::NarMissing => "nar-missing",
            Self::Malformed => "malformed",
            Self::Proxy => "proxy",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}

impl TierFacts {
    /// Returns how the tier is, as people read it: its state, or `not asked` before it was asked.
    pub fn state_words(&self) -> String {
        if self.state == TierState::Unknown && self.asked_at.is_none() {
            return "not asked".to_owned();
        }
        spoken(self.state.word())
    }
}

impl SignatureState {
    /// Every state, the best first.
    pub const ALL: [Self; 4] = [Self::Valid, Self::Invalid, Self::Untrusted, Self::Unchecked];

    /// Returns the state's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Untrusted => "untrusted",
            Self::Unchecked => "unchecked",
        }
    }
}

impl Outcome {
    /// Returns the outcome as it is said in a sentence: `rolled back`. No host was started where the next start is
    /// what brings its system.
    pub fn spoken(self) -> String {
        match self {
            Self::Booted => "set for the next boot".to_owned(),
            Self::Dry => "dry run done".to_owned(),
            Self::Switched
            | Self::Tested
            | Self::Built
            | Self::Unchanged
            | Self::Degraded
            | Self::NeedsReboot
            | Self::RolledBack
            | Self::Superseded
            | Self::Unknown
            | Self::Failed
            | Self::Offline
            | Self::Skipped
            | Self::Interrupted => spoken(self.word()),
        }
    }
}

impl Code {
    /// Returns whether it is what the word `degraded` says of a host.
    pub fn is_degraded(self) -> bool {
        [Self::UnitsFailed, Self::SystemDegraded, Self::SystemdSilent].contains(&self)
    }

    /// Returns how many hosts have such a finding, or of how many runs findings tell, in words: `1 low disk`,
    /// `2 low disks`.
    fn counted(self, count: usize) -> String {
        let known = COUNTED.iter().find(|(code, _, _)| *code == self);
        let words =
            known.map_or(self.label(), |(_, one, many)| if count == 1 { one } else { many });
        format!("{count} {words}")
    }
}

/// What is counted in other words than those of its label: of one host, of more.
const COUNTED: &[(Code, &str, &str)] = &[
    (Code::DiskLow, "low disk", "low disks"),
    (Code::FilesLow, "low on inodes", "low on inodes"),
    (Code::StoreReadOnly, "read-only store", "read-only stores"),
    (Code::BootLow, "low /boot", "low /boot"),
    (Code::VarLow, "low /var", "low /var"),
    (Code::TmpLow, "low /tmp", "low /tmp"),
    (Code::RunLow, "full /run", "full /run"),
    (Code::MemoryLow, "low on memory", "low on memory"),
    (Code::LoadHigh, "high load", "high loads"),
    (Code::ClockDiffers, "wrong clock", "wrong clocks"),
    (Code::NeedsReboot, "needs reboot", "need reboot"),
    (Code::BootDiffers, "boots another", "boot another"),
    (Code::LastRunFailed, "failed run", "failed runs"),
    (Code::BootDefaultPinned, "boot pinned", "boots pinned"),
];

/// Returns what is wrong with hosts beside their state, each with how many hosts it is wrong with, the worst
/// first. A run that failed on several hosts is one run.
pub fn counted<'a>(hosts: impl IntoIterator<Item = &'a HostFacts>) -> Vec<(Severity, String)> {
    let mut counts: BTreeMap<Code, (Severity, usize)> = BTreeMap::new();
    let mut runs = Vec::new();
    for facts in hosts.into_iter().filter(|facts| facts.state.has_answered()) {
        let mut seen = Vec::new();
        for finding in troubles(&facts.findings) {
            if finding.code.is_degraded() || seen.contains(&finding.code) {
                continue;
            }
            seen.push(finding.code);
            let (severity, count) = counts.entry(finding.code).or_insert((finding.severity, 0));
            *severity = finding.severity.max(*severity);
            let run = finding.run.as_ref().map(|run| (finding.code, run));
            let is_counted = run.is_some_and(|run| runs.contains(&run));
            runs.extend(run.filter(|_| !is_counted));
            *count += usize::from(!is_counted);
        }
    }
    let mut all: Vec<_> = counts.into_iter().collect();
    all.sort_by_key(|(_, (severity, _))| std::cmp::Reverse(*severity));
    all.into_iter().map(|(code, (severity, count))| (severity, code.counted(count))).collect()
}

/// Says how long it is until then: no time where that is over.
pub fn time_left(until: Timestamp, now: Timestamp) -> String {
    duration(until.duration_since(now).try_into().unwrap_or_default())
}

/// Returns a sentence about a host without the host's name at its beginning: `samsung: its disk is full` and
/// `samsung could not be built` are said where that name stands already.
pub fn without_name<'a>(host: &str, text: &'a str) -> &'a str {
    let rest = text.strip_prefix(host);
    let rest = rest.and_then(|rest| rest.strip_prefix(": ").or_else(|| rest.strip_prefix(' ')));
    rest.filter(|rest| !rest.is_empty()).unwrap_or(text)
}

/// Returns a word of JSON as it is said in a sentence: `wrong-store` is `wrong store`.
pub fn spoken(word: &str) -> String {
    word.replace('-', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_a_state_is_the_one_that_json_has() {
        let json = |value: serde_json::Result<serde_json::Value>| value.unwrap();
        for state in HostState::ALL {
            assert_eq!(json(serde_json::to_value(state)), state.word());
        }
        for state in TierState::ALL {
            assert_eq!(json(serde_json::to_value(state)), state.word());
        }
        for state in SignatureState::ALL {
            assert_eq!(json(serde_json::to_value(state)), state.word());
        }
        for outcome in [Outcome::RolledBack, Outcome::NeedsReboot, Outcome::Switched] {
            assert_eq!(json(serde_json::to_value(outcome)), outcome.word());
        }
        assert_eq!(Outcome::RolledBack.spoken(), "rolled back");
        assert_eq!(HostState::Locked.spoken(), "disk locked");
    }

    #[test]
    fn the_name_of_a_host_is_left_out_of_what_is_said_of_it() {
        assert_eq!(without_name("razer", "razer: its activation failed"), "its activation failed");
        assert_eq!(without_name("razer", "razer could not be built"), "could not be built");
        for whole in ["razer's disk is full", "razer2: no", "nobody reached razer", "razer: "] {
            assert_eq!(without_name("razer", whole), whole);
        }
    }

    #[test]
    fn a_host_that_was_not_asked_is_not_one_of_which_nothing_is_known() {
        let facts = HostFacts::default();
        assert_eq!(facts.state_words(), "not asked");
        let asked_at = Some(jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(HostFacts { asked_at, ..facts }.state_words(), "unknown");
    }

    #[test]
    fn a_host_is_called_by_its_state_and_what_is_worst() {
        use crate::fleet::{Finding, Subject};
        let of = |code| Finding::new(Subject::host("p510"), code, "it is so", "fix it");
        let units = of(Code::UnitsFailed).in_short("1 unit failed");
        let mut facts = HostFacts { state: HostState::Up, ..HostFacts::default() };
        assert_eq!((facts.condition(), facts.condition_in_short()), ("up".into(), "up".into()));
        facts.findings = vec![of(Code::DiskLow).in_short("1 GB left")];
        assert_eq!(facts.condition(), "1 GB left");
        facts.state = HostState::Degraded;
        facts.findings = vec![units.clone()];
        assert_eq!(facts.condition(), "degraded, 1 unit failed");
        assert_eq!(facts.condition_in_short(), "degraded");
        facts.findings = vec![units, of(Code::StoreReadOnly)];
        assert_eq!(facts.condition(), "degraded, store read-only");
        assert_eq!(facts.condition_in_short(), "store read-only");
        facts.state = HostState::Offline;
        assert_eq!(facts.condition(), "offline", "what is wrong with it is not known now");
    }

    #[test]
    fn findings_of_hosts_are_counted_beside_their_states() {
        use crate::fleet::{Finding, Subject};
        let host = |state, codes: &[Code]| {
            let of = |code: &Code| Finding::new(Subject::host("p510"), *code, "it is so", "");
            HostFacts { state, findings: codes.iter().map(of).collect(), ..HostFacts::default() }
        };
        let hosts = [
            host(HostState::Up, &[Code::DiskLow, Code::DiskLow, Code::NeedsReboot]),
            host(HostState::Degraded, &[Code::UnitsFailed, Code::DiskLow]),
            host(HostState::Up, &[Code::StoreReadOnly, Code::OnBattery]),
            host(HostState::Offline, &[Code::HostUnreachable]),
        ];
        let all: Vec<String> = counted(&hosts).into_iter().map(|(_, words)| words).collect();
        assert_eq!(all, ["1 read-only store", "1 needs reboot", "2 low disks"]);
    }

    #[test]
    fn a_machine_whose_ssh_server_is_off_is_not_called_offline() {
        use crate::fleet::Subject;
        let finding = Finding::new(Subject::host("p510"), Code::HostUnreachable, "it is so", "");
        let host = |finding| HostFacts {
            state: HostState::Offline,
            findings: vec![finding],
            ..HostFacts::default()
        };
        assert_eq!(host(finding.clone()).condition(), "offline");
        assert_eq!(host(finding.in_short("ssh refused")).condition(), "ssh refused");
    }

    #[test]
    fn a_run_that_failed_on_two_hosts_is_one_failed_run() {
        use crate::fleet::{Finding, RunId, Subject};
        let host = |name: &str, run: &str| {
            let found = Finding::new(Subject::host(name), Code::LastRunFailed, "it failed", "");
            let findings = vec![found.of_run(&RunId(run.to_owned()))];
            HostFacts { state: HostState::Up, findings, ..HostFacts::default() }
        };
        let words = |hosts: &[HostFacts]| counted(hosts).pop().map(|(_, words)| words).unwrap();
        let mut hosts = vec![host("razer", "7"), host("samsung", "7")];
        assert_eq!(words(&hosts), "1 failed run");
        hosts.push(host("p620", "8"));
        assert_eq!(words(&hosts), "2 failed runs");
    }
}
