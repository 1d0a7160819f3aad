//! When a figure of a host is a finding, and what is silenced.

use crate::fleet::{Finding, HostFacts, Silence, SilenceOrigin, TierFacts, TierState, silence};
use jiff::Timestamp;
use std::time::Duration;

/// Less free room than this below `/nix` and a deploy is refused, in bytes.
pub const NIX_FREE_NEEDED: u64 = 64 << 20;

/// Less free room than this on `/run` and a deploy is refused, in bytes.
pub const RUN_FREE_NEEDED: u64 = 1 << 20;

/// A day, in seconds.
const DAY: u64 = 24 * 60 * 60;

/// `[alarms]` of hosts.toml.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alarms {
    /// When a figure is a finding.
    pub limits: Limits,
    /// What is silenced: in the file, in its order, then what a person silenced elsewhere.
    pub silences: Vec<Silence>,
}

/// When a figure of a host is a finding. Of what is equal to its limit nothing is said.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The least room below `/nix`, in bytes; a deploy's plan says so too.
    pub nix_free: u64,
    /// The least room where the boot loader reads kernels, in bytes; a deploy's plan says so too.
    pub boot_free: u64,
    /// The least room on `/var`, in bytes.
    pub var_free: u64,
    /// The least room on `/tmp`, in bytes.
    pub tmp_free: u64,
    /// The greatest share of main memory in use, 0 to 1.
    pub memory: f64,
    /// The greatest load average over five minutes for each processor.
    pub load_per_cpu: f64,
    /// The longest round trip over an open connection.
    pub latency: Duration,
    /// How long a host may be away.
    pub not_seen: Duration,
    /// By how much two clocks may differ.
    pub clock: Duration,
    /// How old a root of the garbage collector may get.
    pub root_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            nix_free: 2 << 30,
            boot_free: 64 << 20,
            var_free: 256 << 20,
            tmp_free: 256 << 20,
            memory: 0.95,
            load_per_cpu: 8.0,
            latency: Duration::from_secs(1),
            not_seen: Duration::from_secs(7 * DAY),
            clock: Duration::from_secs(30),
            root_age: Duration::from_secs(90 * DAY),
        }
    }
}

impl Alarms {
    /// Takes what is silenced in nixdash's own state, in the place of what was.
    pub fn set_kept(&mut self, kept: Vec<Silence>) {
        self.silences.retain(|silence| silence.origin == SilenceOrigin::HostsToml);
        self.silences.extend(kept);
    }

    /// Returns the silences that ended with a change of a host's findings, from one answer to the next. Of a
    /// host that does not answer nothing is known.
    pub fn over_with_host(&self, before: &HostFacts, now: &HostFacts) -> Vec<Silence> {
        if now.state.has_answered() {
            self.over(&before.findings, &now.findings)
        } else {
            Vec::new()
        }
    }

    /// Returns the silences that ended with a change of a tier's findings, and of those that hosts have of it.
    /// Of a tier that does not answer, or that not all hosts of before were asked about, nothing is known.
    pub fn over_with_tier(&self, before: &TierFacts, now: &TierFacts) -> Vec<Silence> {
        let answers = !matches!(now.state, TierState::Unknown | TierState::Down | TierState::Proxy);
        let is_whole = before.hosts.keys().all(|host| now.hosts.contains_key(host));
        if answers && is_whole {
            self.over(&before.all_findings(), &now.all_findings())
        } else {
            Vec::new()
        }
    }

    fn over(&self, before: &[Finding], now: &[Finding]) -> Vec<Silence> {
        let all = self.silences.iter();
        all.filter(|silence| silence.is_over_since(before, now)).cloned().collect()
    }

    /// Marks what is silenced of a host.
    pub fn silence_host(&self, facts: &mut HostFacts, now: Timestamp) {
        silence(&mut facts.findings, &self.silences, now);
    }

    /// Marks what is silenced of a tier, and of it as hosts see it.
    pub fn silence_tier(&self, facts: &mut TierFacts, now: Timestamp) {
        silence(&mut facts.findings, &self.silences, now);
        for on_host in facts.hosts.values_mut() {
            silence(&mut on_host.findings, &self.silences, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{
        Code, Finding, KindName, Severity, SilenceEnd, SilenceOrigin, Subject, Tier, TierOnHost,
        told, worst,
    };
    use jiff::civil::Date;

    fn disk_low(host: &str) -> Finding {
        Finding::new(Subject::host(host), Code::DiskLow, "only 1 GB is left", "make room")
    }

    fn until_christmas(host: Option<&str>, tier: Option<&str>, code: Code) -> Silence {
        Silence {
            code,
            host: host.map(str::to_owned),
            tier: tier.map(str::to_owned),
            reason: "a bigger disk is on its way".to_owned(),
            until: SilenceEnd::Day(Date::constant(2026, 12, 24)),
            severity: None,
            detail: None,
            origin: SilenceOrigin::HostsToml,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_silenced_finding_is_there_but_is_no_trouble() {
        let silences = [until_christmas(Some("p510"), None, Code::DiskLow)];
        let mut found = [disk_low("p510"), disk_low("razer")];
        silence(&mut found, &silences, at("2026-12-24T23:59:59Z"));
        assert!(found[0].is_silenced() && !found[0].is_trouble());
        assert_eq!(found[0].severity, Severity::Warning, "it is as bad as before");
        assert_eq!(worst(&found), Some(&found[1]), "of another host nobody spoke");
        assert_eq!(
            found[0].sentence(),
            "only 1 GB is left; make room; silenced until 2026-12-24: a bigger disk is on its way"
        );
    }

    #[test]
    fn one_whose_time_is_over_is_trouble_again_and_says_so() {
        let silences = [until_christmas(Some("p510"), None, Code::DiskLow)];
        let mut found = [disk_low("p510")];
        silence(&mut found, &silences, at("2026-12-25T00:00:00Z"));
        assert!(found[0].is_trouble() && !found[0].is_silenced());
        assert_eq!(
            told(&found).unwrap(),
            "only 1 GB is left; make room; was silenced until 2026-12-24: a bigger disk is on its way"
        );
        silence(&mut found, &[], at("2026-12-25T00:00:00Z"));
        assert_eq!(found[0].silenced, None, "its entry was removed");
    }

    #[test]
    fn of_two_entries_the_longer_one_counts() {
        let short = until_christmas(None, None, Code::DiskLow);
        let long = Silence { until: SilenceEnd::Day(Date::constant(2027, 1, 31)), ..short.clone() };
        let mut found = [disk_low("p510")];
        silence(&mut found, &[long, short], at("2027-01-01T00:00:00Z"));
        assert!(found[0].is_silenced());
    }

    #[test]
    fn a_tier_and_what_one_host_makes_of_it_are_silenced_by_their_names() {
        let weed = Tier::new("weed", KindName::Seaweedfs, "http://weed:8333/b");
        let late = |host: &str| {
            let subject = Subject::tier_on_host(&weed, host);
            Finding::new(subject, Code::OrderWrong, "too early", "write ?priority=")
        };
        let view = |host: &str| TierOnHost { findings: vec![late(host)], ..TierOnHost::default() };
        let mut facts = TierFacts {
            findings: vec![Finding::of_tier(&weed, Code::RoomLow, "no room", "add a server")],
            hosts: ["razer", "p510"].map(|host| (host.to_owned(), view(host))).into(),
            ..TierFacts::default()
        };
        let alarms = Alarms {
            silences: vec![
                until_christmas(None, Some("weed"), Code::RoomLow),
                until_christmas(Some("razer"), Some("weed"), Code::OrderWrong),
                until_christmas(None, Some("nixos"), Code::OrderWrong),
            ],
            ..Alarms::default()
        };
        alarms.silence_tier(&mut facts, at("2026-12-01T00:00:00Z"));
        assert!(facts.findings[0].is_silenced());
        assert!(facts.hosts["razer"].findings[0].is_silenced());
        assert!(!facts.hosts["p510"].findings[0].is_silenced());
    }
}
