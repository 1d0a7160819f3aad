//! Probes of tiers as the dashboard uses them, poll after poll, without its screen.

use jiff::Timestamp;
use nixdash::fleet::{CoverageFacts, Fleet, SizeFacts, StorePath, Tier, TierFacts};
use nixdash::probe::{
    Answers, Closure, HostClosure, HttpClient, HttpReply, HttpRequest, Memory, Method,
    RequestError, Rules, Tools, look_at_tier, measure_coverage,
};
use nixdash::remote::FakeRunner;
use std::path::Path;
use std::sync::Mutex;

/// A fleet, and what its probes remember.
pub(crate) struct Eyes {
    pub(crate) fleet: Fleet,
    web: HttpClient,
    memory: Memory,
    runner: FakeRunner,
    runtime: tokio::runtime::Runtime,
}

impl Eyes {
    /// Reads a fleet from a text of `hosts.toml`.
    pub(crate) fn of(text: &str) -> Self {
        let fleet = nixdash::config::parse(text, Path::new("/hosts.toml"), None)
            .unwrap_or_else(|errors| panic!("{errors}"));
        Self {
            fleet,
            web: HttpClient::new().unwrap(),
            memory: Memory::default(),
            runner: FakeRunner::new(|_, _| panic!("no host is asked")),
            runtime: tokio::runtime::Runtime::new().unwrap(),
        }
    }

    /// Returns a tier by its name.
    pub(crate) fn tier(&self, name: &str) -> &Tier {
        self.fleet.tiers.iter().find(|tier| tier.name == name).unwrap()
    }

    fn tools(&self) -> Tools<'_> {
        Tools { web: &self.web, runner: &self.runner, fleet: &self.fleet, memory: &self.memory }
    }

    /// Asks a tier once.
    pub(crate) fn probe(&self, tier: &str, candidates: &[StorePath]) -> TierFacts {
        self.probe_at(tier, candidates, Timestamp::now())
    }

    /// Asks a tier once, with this machine's clock at a time.
    pub(crate) fn probe_at(
        &self,
        tier: &str,
        candidates: &[StorePath],
        now: Timestamp,
    ) -> TierFacts {
        let asking = self.tools().asking(self.tier(tier), candidates, &[], now);
        self.runtime.block_on(look_at_tier(&asking, None))
    }

    /// Asks a tier which paths it holds.
    pub(crate) fn holds(&self, tier: &str, paths: &[StorePath]) -> Result<Vec<bool>, RequestError> {
        let tier = self.tier(tier);
        let asking = self.tools().asking(tier, &[], &[], Timestamp::now());
        let paths: Vec<&StorePath> = paths.iter().collect();
        self.runtime.block_on(asking.kind.holds(&asking, &paths))
    }

    /// Gets a file of a tier.
    pub(crate) fn get(&self, tier: &str, file: &str) -> HttpReply {
        let tier = self.tier(tier);
        let ask = HttpRequest::get(format!("{}{file}", tier.url));
        let rules = Rules::new(&[(Method::Get, "*")]);
        self.runtime.block_on(self.web.ask(tier, &rules, ask)).unwrap()
    }

    /// Asks all tiers how much of a closure they hold, without knowing anything.
    pub(crate) fn coverage(&self, closure: &Closure) -> CoverageFacts {
        let asked = [HostClosure { host: "here", closure }];
        let answers = Mutex::new(Answers::default());
        let mut found = self.runtime.block_on(measure_coverage(self.tools(), &asked, &answers));
        found.remove("here").unwrap()
    }

    /// Measures a tier's size.
    pub(crate) fn size(&self, tier: &str) -> Result<Option<SizeFacts>, RequestError> {
        let tier = self.tier(tier);
        let asking = self.tools().asking(tier, &[], &[], Timestamp::now());
        self.runtime.block_on(asking.kind.size(&asking))
    }
}

/// Returns what a kind says under a label.
pub(crate) fn detail<'a>(facts: &'a TierFacts, label: &str) -> &'a str {
    let found = facts.details.iter().find(|detail| detail.label == label);
    &found.unwrap_or_else(|| panic!("no {label}: {:?}", facts.details)).text
}
