//! What is exported of hosts and tiers together: who asks whom, what holds whose systems, what is
//! in hosts' own stores.

use super::exposition::{MetricFamily, MetricKind, MetricSample, MetricsPage};
use super::families::{FleetFigures, seconds};
use crate::fleet::{Coverage, NextCoverage, NextFacts, StoreDepth, TierOnHost};

impl FleetFigures {
    /// Adds what is known of hosts and tiers together.
    pub(super) fn per_host(&self, page: &mut MetricsPage) {
        self.views(page);
        self.coverage(page);
        self.next(page);
        self.depths(page);
    }

    /// Adds what hosts make of tiers.
    fn views(&self, page: &mut MetricsPage) {
        let mut gauge = |name, help, figure: fn(&TierOnHost) -> Option<f64>| {
            let samples = self.tiers.iter().flat_map(|(tier, facts)| {
                facts.hosts.iter().filter_map(move |(host, view)| {
                    let labels = [("host", host.as_str()), ("tier", tier.as_str())];
                    Some(MetricSample::new(labels, figure(view)?))
                })
            });
            page.add(&MetricFamily { name, kind: MetricKind::Gauge, unit: None, help }, samples);
        };
        gauge("nixdash_tier_on_host_asked", "1 when the host's Nix asks the tier.", |view| {
            view.configured.map(flag)
        });
        gauge(
            "nixdash_tier_on_host_rank",
            "The place of the tier in the order in which the host asks.",
            |view| view.rank.map(f64::from),
        );
        gauge(
            "nixdash_tier_on_host_trusted",
            "1 when the host accepts what the tier serves.",
            |view| view.trusted.map(flag),
        );
    }

    fn coverage(&self, page: &mut MetricsPage) {
        let mut gauge = |name, unit, help, figure: fn(&Coverage) -> u64| {
            let samples = self.coverage.iter().flat_map(|(host, facts)| {
                facts.tiers.iter().map(move |(tier, found)| {
                    let labels = [("host", host.as_str()), ("tier", tier.as_str())];
                    MetricSample::new(labels, figure(found) as f64)
                })
            });
            page.add(&MetricFamily { name, kind: MetricKind::Gauge, unit, help }, samples);
        };
        gauge(
            "nixdash_coverage_held_paths",
            None,
            "Paths of the host's running closure that the tier holds.",
            |found| found.paths.have,
        );
        gauge(
            "nixdash_coverage_closure_paths",
            None,
            "Paths of the host's running closure.",
            |found| found.paths.total,
        );
        gauge(
            "nixdash_coverage_held_bytes",
            Some("bytes"),
            "NAR sizes of the host's running closure that the tier holds.",
            |found| found.bytes.have,
        );
        gauge(
            "nixdash_coverage_closure_bytes",
            Some("bytes"),
            "NAR sizes of the host's running closure.",
            |found| found.bytes.total,
        );
        gauge(
            "nixdash_coverage_at_most",
            None,
            "1 when the tier may hold less than nixdash_coverage_held_paths says.",
            |found| u64::from(found.at_most),
        );
    }

    /// Adds what is known of what hosts run next.
    fn next(&self, page: &mut MetricsPage) {
        let known = || self.next.iter().filter(|(_, facts)| facts.toplevel.is_some());
        let mut gauge = |name, help, figure: fn(&NextFacts) -> Option<f64>| {
            let samples = known().filter_map(|(host, facts)| {
                Some(MetricSample::new([("host", host.as_str())], figure(facts)?))
            });
            page.add(&MetricFamily { name, kind: MetricKind::Gauge, unit: None, help }, samples);
        };
        gauge("nixdash_next_built", "1 when the host's next system is built.", |facts| {
            Some(flag(!facts.partial))
        });
        gauge(
            "nixdash_next_to_build",
            "Derivations to build for the host's next system.",
            |facts| facts.to_build.map(|count| count as f64),
        );
        let mut gauge = |name, help, figure: fn(&NextCoverage) -> u64| {
            let samples = known().flat_map(|(host, facts)| {
                facts.tiers.iter().map(move |(tier, found)| {
                    let labels = [("host", host.as_str()), ("tier", tier.as_str())];
                    MetricSample::new(labels, figure(found) as f64)
                })
            });
            page.add(&MetricFamily { name, kind: MetricKind::Gauge, unit: None, help }, samples);
        };
        gauge(
            "nixdash_next_held_paths",
            "Paths of the host's next system that the tier holds.",
            |found| found.paths.have,
        );
        gauge(
            "nixdash_next_closure_paths",
            "Paths of the next system's closure; where it is not built, those of a dry run.",
            |found| found.paths.total,
        );
    }

    /// Adds what a close look at hosts' own stores found.
    fn depths(&self, page: &mut MetricsPage) {
        let Some(depths) =
            self.tiers.values().map(|facts| &facts.depths).find(|all| !all.is_empty())
        else {
            return;
        };
        let mut gauge = |name, unit, help, figure: fn(&StoreDepth) -> f64| {
            let samples = depths
                .iter()
                .map(|(host, depth)| MetricSample::new([("host", host.as_str())], figure(depth)));
            page.add(&MetricFamily { name, kind: MetricKind::Gauge, unit, help }, samples);
        };
        gauge(
            "nixdash_store_looked_at_timestamp_seconds",
            Some("seconds"),
            "When the store was looked at closely.",
            |depth| seconds(depth.measured_at),
        );
        gauge(
            "nixdash_store_saved_bytes",
            Some("bytes"),
            "Bytes that hard links save in the store.",
            |depth| depth.saved_bytes as f64,
        );
        gauge(
            "nixdash_store_dead_bytes",
            Some("bytes"),
            "NAR sizes of paths that no root keeps alive.",
            |depth| depth.dead_bytes as f64,
        );
        gauge("nixdash_store_dead_paths", None, "Paths that no root keeps alive.", |depth| {
            depth.dead_paths as f64
        });
    }
}

/// Returns what OpenMetrics has for yes and no.
fn flag(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exporter::exposition::MetricsFormat;
    use crate::fleet::{Event, StorePath, TierFacts};
    use jiff::Timestamp;

    #[test]
    fn hosts_views_next_systems_and_stores_are_exported() {
        let mut figures = FleetFigures::default();
        let view = TierOnHost { trusted: Some(false), rank: Some(2), ..TierOnHost::default() };
        let depth = StoreDepth {
            saved_bytes: 5,
            dead_bytes: 7,
            dead_paths: 1,
            measured_at: Timestamp::UNIX_EPOCH,
        };
        let mut facts = TierFacts::default();
        facts.hosts.insert("razer".to_owned(), view);
        facts.depths.insert("razer".to_owned(), depth);
        figures.take(
            Event::Tier { tier: "weed".to_owned(), facts: Box::new(facts) },
            Timestamp::UNIX_EPOCH,
        );
        let toplevel = StorePath::parse("/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-top").ok();
        let next =
            NextFacts { toplevel, partial: true, to_build: Some(41), ..NextFacts::default() };
        figures.take(
            Event::Next { host: "razer".to_owned(), facts: Box::new(next) },
            Timestamp::UNIX_EPOCH,
        );
        figures.take(
            Event::Next { host: "p620".to_owned(), facts: Box::default() },
            Timestamp::UNIX_EPOCH,
        );
        let page = figures.page(&crate::config::fallback(), MetricsFormat::OpenMetrics);
        for line in [
            "nixdash_tier_on_host_trusted{host=\"razer\",tier=\"weed\"} 0\n",
            "nixdash_tier_on_host_rank{host=\"razer\",tier=\"weed\"} 2\n",
            "nixdash_next_built{host=\"razer\"} 0\n",
            "nixdash_next_to_build{host=\"razer\"} 41\n",
            "nixdash_store_dead_bytes{host=\"razer\"} 7\n",
        ] {
            assert!(page.contains(line), "{line} is not in {page}");
        }
        assert!(!page.contains("on_host_asked{"), "not known: {page}");
        assert!(!page.contains("nixdash_next_built{host=\"p620\"}"), "nothing comes: {page}");
    }
}
