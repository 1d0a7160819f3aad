//! What is exported: every figure of hosts, tiers, coverage and runs.
//!
//! What was not measured has no sample; what is old has the time it was measured beside it.

use super::exposition::{MetricFamily, MetricKind, MetricSample, MetricsFormat, MetricsPage};
use crate::cli::caches::{PartOfWhole, Remembered, Windows};
use crate::fleet::{
    Alarms, CoverageFacts, Event, Fleet, HostFacts, HostState, NextFacts, SignatureState, Silence,
    StoreFacts, Tier, TierFacts, TierState,
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The last of everything that was measured.
#[derive(Default)]
pub(super) struct FleetFigures {
    /// What is silenced now.
    alarms: Alarms,
    hosts: BTreeMap<String, HostFacts>,
    stores: BTreeMap<String, StoreFacts>,
    pub(super) tiers: BTreeMap<String, TierFacts>,
    pub(super) coverage: BTreeMap<String, CoverageFacts>,
    pub(super) next: BTreeMap<String, NextFacts>,
    /// What the history knows, and how many hosts ended how.
    pub(super) past: Option<(Remembered, BTreeMap<String, u64>)>,
}

impl FleetFigures {
    /// Returns figures of nothing yet, of which this is silenced.
    pub(super) fn with(alarms: Alarms) -> Self {
        Self { alarms, ..Self::default() }
    }

    /// Keeps what was measured. Returns the silences that end with it, since their findings changed or are gone.
    pub(super) fn take(&mut self, mut event: Event, now: Timestamp) -> Vec<Silence> {
        event.silence(&self.alarms, now);
        match event {
            Event::Host { host, facts } => {
                let before = self.hosts.get(&host);
                let over = before.map(|before| self.alarms.over_with_host(before, &facts));
                self.hosts.insert(host, *facts);
                return over.unwrap_or_default();
            }
            Event::Tier { tier, facts } => {
                let before = self.tiers.get(&tier);
                let over = before.map(|before| self.alarms.over_with_tier(before, &facts));
                self.tiers.insert(tier, *facts);
                return over.unwrap_or_default();
            }
            Event::Store { host, facts } => drop(self.stores.insert(host, facts)),
            Event::Coverage { host, facts } => drop(self.coverage.insert(host, facts)),
            Event::Next { host, facts } => drop(self.next.insert(host, *facts)),
            Event::Asking { .. } | Event::Run(_) => {}
        }
        Vec::new()
    }

    /// Takes what is silenced in nixdash's own state now, and marks all findings again.
    pub(super) fn set_silences(&mut self, kept: Vec<Silence>, now: Timestamp) {
        self.alarms.set_kept(kept);
        for facts in self.hosts.values_mut() {
            self.alarms.silence_host(facts, now);
        }
        for facts in self.tiers.values_mut() {
            self.alarms.silence_tier(facts, now);
        }
    }

    /// Returns everything as a text that Prometheus reads.
    pub(super) fn page(&self, fleet: &Fleet, format: MetricsFormat) -> String {
        let mut page = MetricsPage::new(format);
        let family = MetricFamily {
            name: "nixdash_build",
            kind: MetricKind::Info,
            unit: None,
            help: "The program that measures.",
        };
        page.add(&family, [MetricSample::new([("version", env!("CARGO_PKG_VERSION"))], 1.0)]);
        self.hosts(&mut page);
        self.tiers(&mut page, fleet);
        self.per_host(&mut page);
        self.findings(&mut page);
        self.past(&mut page, fleet);
        page.end()
    }

    fn hosts(&self, page: &mut MetricsPage) {
        let states = self.hosts.iter().flat_map(|(host, facts)| {
            HostState::ALL.iter().map(move |state| {
                let holds = if facts.state == *state { 1.0 } else { 0.0 };
                let labels = [("host", host.as_str()), ("nixdash_host_state", state.word())];
                MetricSample::new(labels, holds)
            })
        });
        let family = MetricFamily {
            name: "nixdash_host_state",
            kind: MetricKind::StateSet,
            unit: None,
            help: "Whether the host answers and is well.",
        };
        page.add(&family, states);
        let mut gauge = |name, unit, help, figure: &dyn Fn(&HostFacts) -> Option<f64>| {
            let samples = self.hosts.iter().filter_map(|(host, facts)| {
                Some(MetricSample::new([("host", host.as_str())], figure(facts)?))
            });
            page.add(&MetricFamily { name, kind: MetricKind::Gauge, unit, help }, samples);
        };
        gauge(
            "nixdash_host_measured_timestamp_seconds",
            Some("seconds"),
            "When the host last answered.",
            &|facts| facts.measured_at.map(seconds),
        );
        gauge(
            "nixdash_host_latency_seconds",
            Some("seconds"),
            "One round trip over the open connection.",
            &|facts| facts.latency_ms.map(|ms| ms / 1000.0),
        );
        gauge("nixdash_host_load1", None, "Load average over one minute.", &|facts| facts.load1);
        gauge("nixdash_host_cpus", None, "Processors.", &|facts| facts.cpus.map(f64::from));
        gauge("nixdash_host_memory_used_bytes", Some("bytes"), "Main memory in use.", &|facts| {
            facts.memory.map(|memory| memory.used as f64)
        });
        gauge("nixdash_host_memory_size_bytes", Some("bytes"), "Main memory.", &|facts| {
            facts.memory.map(|memory| memory.total as f64)
        });
        gauge(
            "nixdash_host_disk_used_bytes",
            Some("bytes"),
            "Bytes used on the file system that holds the store.",
            &|facts| facts.disk.map(|disk| disk.used as f64),
        );
        gauge(
            "nixdash_host_disk_size_bytes",
            Some("bytes"),
            "Size of the file system that holds the store.",
            &|facts| facts.disk.map(|disk| disk.total as f64),
        );
        gauge("nixdash_host_failed_units", None, "Units that systemd calls failed.", &|facts| {
            facts.failed_units.as_ref().map(|units| units.len() as f64)
        });
        gauge(
            "nixdash_host_generation",
            None,
            "The newest generation of the system profile.",
            &|facts| facts.system.generation.map(|number| number as f64),
        );
        gauge(
            "nixdash_host_reboot_needed",
            None,
            "1 when the host runs another kernel, initrd or modules than its system has.",
            &|facts| facts.system.reboot_needed.map(|needed| if needed { 1.0 } else { 0.0 }),
        );
        gauge("nixdash_host_uptime_seconds", Some("seconds"), "Time since boot.", &|facts| {
            facts.uptime_s.map(|uptime| uptime as f64)
        });
        let mut store = |name, unit, help, figure: fn(&StoreFacts) -> u64| {
            let samples = self.stores.iter().map(|(host, facts)| {
                MetricSample::new([("host", host.as_str())], figure(facts) as f64)
            });
            page.add(&MetricFamily { name, kind: MetricKind::Gauge, unit, help }, samples);
        };
        store("nixdash_store_paths", None, "Valid paths in the store.", |facts| facts.paths);
        store("nixdash_store_size_bytes", Some("bytes"), "NAR sizes in the store.", |facts| {
            facts.bytes
        });
    }

    fn tiers(&self, page: &mut MetricsPage, fleet: &Fleet) {
        let known = || {
            let order = fleet.tiers.iter();
            order.filter_map(|tier| Some((tier, self.tiers.get(&tier.name)?)))
        };
        let states = known().flat_map(|(tier, facts)| {
            TierState::ALL.iter().map(move |state| {
                let holds = if facts.state == *state { 1.0 } else { 0.0 };
                let labels = [
                    ("tier", tier.name.as_str()),
                    ("kind", tier.kind.word()),
                    ("nixdash_tier_state", state.word()),
                ];
                MetricSample::new(labels, holds)
            })
        });
        let family = MetricFamily {
            name: "nixdash_tier_state",
            kind: MetricKind::StateSet,
            unit: None,
            help: "Whether the tier answers and can be used.",
        };
        page.add(&family, states);
        let mut gauge = |name, unit, help, figure: &dyn Fn(&Tier, &TierFacts) -> Option<f64>| {
            let samples = known().filter_map(|(tier, facts)| {
                let labels = [("tier", tier.name.as_str()), ("kind", tier.kind.word())];
                Some(MetricSample::new(labels, figure(tier, facts)?))
            });
            page.add(&MetricFamily { name, kind: MetricKind::Gauge, unit, help }, samples);
        };
        gauge(
            "nixdash_tier_measured_timestamp_seconds",
            Some("seconds"),
            "When the tier last answered.",
            &|_, facts| facts.measured_at.map(seconds),
        );
        gauge(
            "nixdash_tier_latency_seconds",
            Some("seconds"),
            "Time to the first byte on a warm connection.",
            &|_, facts| facts.latency_ms.map(|ms| ms / 1000.0),
        );
        gauge(
            "nixdash_tier_connect_seconds",
            Some("seconds"),
            "Time to connect, TLS included.",
            &|_, facts| facts.connect_ms.map(|ms| ms / 1000.0),
        );
        gauge(
            "nixdash_tier_priority",
            None,
            "Priority that it serves; lower is asked first.",
            &|_, facts| facts.priority.map(f64::from),
        );
        gauge(
            "nixdash_tier_signature_valid",
            None,
            "1 when the signature of a fetched narinfo is good, 0 when it is not.",
            &|_, facts| match facts.signature {
                SignatureState::Valid => Some(1.0),
                SignatureState::Invalid | SignatureState::Untrusted => Some(0.0),
                SignatureState::Unchecked => None,
            },
        );
        gauge(
            "nixdash_tier_size_bytes",
            Some("bytes"),
            "Bytes that it holds; at least so many where nixdash_tier_size_exact is 0.",
            &|_, facts| facts.size.as_ref().map(|size| size.bytes as f64),
        );
        gauge("nixdash_tier_size_exact", None, "1 when its size is exact.", &|_, facts| {
            facts.size.as_ref().map(|size| if size.exact { 1.0 } else { 0.0 })
        });
        gauge("nixdash_tier_objects", None, "Objects or paths that it holds.", &|_, facts| {
            facts.size.as_ref().and_then(|size| size.objects).map(|objects| objects as f64)
        });
        gauge(
            "nixdash_tier_limit_bytes",
            Some("bytes"),
            "Bytes that it may hold.",
            &|tier, facts| {
                let told = facts.size.as_ref().and_then(|size| size.limit);
                tier.max_size.or(told).map(|limit| limit as f64)
            },
        );
        gauge(
            "nixdash_tier_certificate_expiry_timestamp_seconds",
            Some("seconds"),
            "When its TLS certificate expires.",
            &|_, facts| facts.certificate.map(|certificate| seconds(certificate.until)),
        );
        gauge(
            "nixdash_tier_token_expiry_timestamp_seconds",
            Some("seconds"),
            "When the token for the tier expires.",
            &|_, facts| facts.token.map(|token| seconds(token.until)),
        );
        gauge(
            "nixdash_tier_speed_bytes_per_second",
            None,
            "How fast it sent files of 1 MB or more to hosts and builders: the median of 7 days.",
            &|_, facts| facts.speed.map(|speed| speed.bytes_per_s),
        );
        gauge(
            "nixdash_tier_unique_bytes",
            Some("bytes"),
            "Bytes of what hosts run or will run that no other tier holds.",
            &|_, facts| facts.unique.as_ref().map(|unique| unique.only_here.bytes as f64),
        );
        gauge(
            "nixdash_tier_lost_paths",
            None,
            "Paths of systems that hosts still run which it held in the last 7 days and lost.",
            &|_, facts| facts.lost.as_ref().map(|lost| lost.lost.paths as f64),
        );
        gauge(
            "nixdash_tier_server_requests_per_second",
            None,
            "Requests that its server counts per second.",
            &|_, facts| facts.served.and_then(|served| served.requests_per_s),
        );
        gauge(
            "nixdash_tier_server_not_found_ratio",
            Some("ratio"),
            "Share of its server's requests that were answered 404.",
            &|_, facts| facts.served.and_then(|served| served.not_found),
        );
    }

    /// Adds what is wrong and what is worth knowing: a sample per code, severity and subject.
    fn findings(&self, page: &mut MetricsPage) {
        let of_tiers = self.tiers.values().flat_map(|facts| {
            let on_hosts = facts.hosts.values().flat_map(|on_host| &on_host.findings);
            facts.findings.iter().chain(on_hosts)
        });
        // Several findings of one subject may have one code, and a sample may stand once.
        let of_hosts = self.hosts.values().flat_map(|facts| &facts.findings);
        let found: BTreeSet<_> = of_hosts
            .chain(of_tiers)
            .map(|finding| {
                let (host, tier) = (finding.subject.host_name(), finding.subject.tier_name());
                let (host, tier) = (host.unwrap_or_default(), tier.unwrap_or_default());
                (finding.code, finding.severity, host, tier, finding.is_silenced())
            })
            .collect();
        let family = MetricFamily {
            name: "nixdash_finding",
            kind: MetricKind::Gauge,
            unit: None,
            help: "1 while the finding is there; docs/findings.md says what each code means.",
        };
        let samples = found.into_iter().map(|(code, severity, host, tier, silenced)| {
            let (code, severity) = (("code", code.word()), ("severity", severity.word()));
            let silenced = ("silenced", if silenced { "true" } else { "false" });
            MetricSample::new([code, severity, ("host", host), ("tier", tier), silenced], 1.0)
        });
        page.add(&family, samples);
    }

    fn past(&self, page: &mut MetricsPage, fleet: &Fleet) {
        let Some((known, outcomes)) = &self.past else { return };
        let family = MetricFamily {
            name: "nixdash_run_hosts",
            kind: MetricKind::Counter,
            unit: None,
            help: "Hosts of all runs, by how they ended.",
        };
        let ended = outcomes.iter().map(|(outcome, count)| {
            MetricSample::new([("outcome", outcome.as_str())], *count as f64)
        });
        page.add(&family, ended);
        let family = MetricFamily {
            name: "nixdash_hit_rate_ratio",
            kind: MetricKind::Gauge,
            unit: Some("ratio"),
            help: "Of the paths missing on the builder when a run began, the share from caches.",
        };
        let rates: Vec<(&str, Windows<Option<PartOfWhole>>)> =
            known.hosts().into_iter().map(|host| (host, known.hit_rate(Some(host)))).collect();
        page.add(&family, rates.iter().flat_map(|(host, rate)| windows("host", host, rate)));
        let served: Vec<(&str, Windows<Option<PartOfWhole>>)> =
            fleet.tiers.iter().map(|tier| (tier.name.as_str(), known.served(&tier.name))).collect();
        let family = MetricFamily {
            name: "nixdash_share_served_ratio",
            kind: MetricKind::Gauge,
            unit: Some("ratio"),
            help: "Of all bytes delivered to hosts and builders in runs, the share of this tier.",
        };
        page.add(&family, served.iter().flat_map(|(tier, share)| windows("tier", tier, share)));
        let answered: Vec<(&str, Windows<Option<PartOfWhole>>)> = fleet
            .tiers
            .iter()
            .map(|tier| (tier.name.as_str(), known.answered(&tier.name)))
            .collect();
        let family = MetricFamily {
            name: "nixdash_tier_answered_ratio",
            kind: MetricKind::Gauge,
            unit: Some("ratio"),
            help: "Of the narinfo requests that its server counts, the share that it answered.",
        };
        page.add(&family, answered.iter().flat_map(|(tier, share)| windows("tier", tier, share)));
        let family = MetricFamily {
            name: "nixdash_tier_requests_this_month",
            kind: MetricKind::Gauge,
            unit: None,
            help: "Requests that nixdash made of the tier in this calendar month (UTC).",
        };
        let requests = fleet.tiers.iter().filter_map(|tier| {
            let count = known.requests(&tier.name)?;
            Some(MetricSample::new([("tier", tier.name.as_str())], count as f64))
        });
        page.add(&family, requests);
    }
}

/// Returns a sample per time that a share is known of.
fn windows<'a>(
    label: &'static str,
    name: &'a str,
    shares: &Windows<Option<PartOfWhole>>,
) -> Vec<MetricSample<'a>> {
    [("1d", shares.day), ("7d", shares.week), ("30d", shares.month)]
        .into_iter()
        .filter_map(|(window, part)| {
            Some(MetricSample::new([(label, name), ("window", window)], part?.share?))
        })
        .collect()
}

/// Returns a time as OpenMetrics has it.
pub(super) fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Coverage, KindName, Share, SizeFacts};

    #[test]
    fn what_was_measured_is_there_and_what_was_not_is_absent() {
        let fleet = Fleet {
            tiers: vec![Tier::new("weed", KindName::Seaweedfs, "http://10.0.0.5:8333/x")],
            ..crate::config::fallback()
        };
        let mut figures = FleetFigures::default();
        let size = SizeFacts { bytes: 7, exact: true, ..SizeFacts::default() };
        let facts = TierFacts { state: TierState::Slow, size: Some(size), ..TierFacts::default() };
        figures.take(
            Event::Tier { tier: "weed".to_owned(), facts: Box::new(facts) },
            Timestamp::UNIX_EPOCH,
        );
        let share = Share { have: 1, total: 2 };
        let found = Coverage {
            paths: share,
            bytes: share,
            measured_at: Timestamp::UNIX_EPOCH,
            at_most: true,
        };
        let tiers = BTreeMap::from([("weed".to_owned(), found)]);
        let facts = CoverageFacts { tiers, ..CoverageFacts::default() };
        figures.take(Event::Coverage { host: "p620".to_owned(), facts }, Timestamp::UNIX_EPOCH);
        let page = figures.page(&fleet, MetricsFormat::OpenMetrics);
        for line in [
            "nixdash_tier_state{tier=\"weed\",kind=\"seaweedfs\",nixdash_tier_state=\"slow\"} 1\n",
            "nixdash_tier_state{tier=\"weed\",kind=\"seaweedfs\",nixdash_tier_state=\"up\"} 0\n",
            "nixdash_tier_size_bytes{tier=\"weed\",kind=\"seaweedfs\"} 7\n",
            "nixdash_coverage_held_paths{host=\"p620\",tier=\"weed\"} 1\n",
            "nixdash_coverage_at_most{host=\"p620\",tier=\"weed\"} 1\n",
        ] {
            assert!(page.contains(line), "{line} is not in {page}");
        }
        assert!(!page.contains("latency") && !page.contains("hit_rate"), "{page}");
        assert!(page.ends_with("# EOF\n"));
    }

    #[test]
    fn what_is_silenced_later_is_served_so_and_ends_when_its_finding_is_gone() {
        use crate::fleet::{Code, Finding, SilenceEnd, SilenceOrigin, Subject};
        let now = Timestamp::UNIX_EPOCH;
        let cause = "only 1.2 GB is left";
        let low = Finding::new(Subject::host("p510"), Code::DiskLow, cause, "make room");
        let measured = |findings: Vec<Finding>| {
            let facts = HostFacts { state: HostState::Up, findings, ..HostFacts::default() };
            Event::Host { host: "p510".to_owned(), facts: Box::new(facts) }
        };
        let mut figures = FleetFigures::default();
        assert_eq!(figures.take(measured(vec![low.clone()]), now), []);
        let silenced = |figures: &FleetFigures| {
            let page = figures.page(&crate::config::fallback(), MetricsFormat::OpenMetrics);
            let line = page.lines().find(|line| line.starts_with("nixdash_finding{"));
            line.is_some_and(|line| line.contains("silenced=\"true\""))
        };
        assert!(!silenced(&figures));
        let silence = Silence {
            code: Code::DiskLow,
            host: Some("p510".to_owned()),
            tier: None,
            reason: "known".to_owned(),
            until: SilenceEnd::At(Timestamp::MAX),
            severity: None,
            detail: None,
            origin: SilenceOrigin::State,
        };
        let silence = silence.until_it_changes(&low);
        figures.set_silences(vec![silence.clone()], now);
        assert!(silenced(&figures));
        assert_eq!(figures.take(measured(vec![low.clone()]), now), []);
        assert!(silenced(&figures), "a new measurement is marked too");
        assert_eq!(figures.take(measured(Vec::new()), now), [silence]);
        figures.set_silences(Vec::new(), now);
        assert_eq!(figures.take(measured(vec![low]), now), []);
        assert!(!silenced(&figures));
    }

    #[test]
    fn findings_are_exported_by_code_and_subject_and_each_stands_once() {
        use crate::fleet::TierOnHost;
        use crate::fleet::words::{clusters, on_host};
        let weed = Tier::new("weed", KindName::Seaweedfs, "http://10.0.0.5:8333/x");
        let twice = [1, 2].map(|have| clusters::copies_missing(&weed, 3, have, "1, 2, 3"));
        let late = on_host::not_configured(&weed, "razer");
        let on_razer = TierOnHost { findings: vec![late], ..TierOnHost::default() };
        let facts = TierFacts {
            findings: twice.to_vec(),
            hosts: [("razer".to_owned(), on_razer)].into(),
            ..TierFacts::default()
        };
        let mut figures = FleetFigures::default();
        figures.take(
            Event::Tier { tier: "weed".to_owned(), facts: Box::new(facts) },
            Timestamp::UNIX_EPOCH,
        );
        let page = figures.page(&crate::config::fallback(), MetricsFormat::OpenMetrics);
        let lines: Vec<&str> =
            page.lines().filter(|line| line.starts_with("nixdash_finding{")).collect();
        assert_eq!(
            lines,
            [
                "nixdash_finding{code=\"copies-missing\",severity=\"warning\",host=\"\",tier=\"weed\",silenced=\"false\"} 1",
                "nixdash_finding{code=\"not-configured\",severity=\"warning\",host=\"razer\",tier=\"weed\",silenced=\"false\"} 1",
            ]
        );
    }
}
