//! How a kind of tier is asked: the trait that every kind implements, and what it works with.
//!
//! [`TierProbe`] says what is particular to one kind of server: which requests it bears, where its files
//! are, how it is looked at. Everything that caches have in common is in `checks`, written once over
//! a [`Transport`]; `look` calls both.

use crate::fleet::{ClosurePath, Finding, Fleet, SizeFacts, StorePath, Tier, TierFacts};
use crate::nix::s3_url::web_url;
use crate::probe::memory::Memory;
use crate::probe::schedule::{Pace, SHORTEST};
use crate::probe::transport::http::HttpClient;
use crate::probe::transport::{HttpReply, HttpRequest, RequestError, Rules, Transport};
use crate::remote::ScriptRunner;
use jiff::{SignedDuration, Timestamp};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// The future that a [`TierProbe`] returns.
pub type TierFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What all probes share.
#[derive(Clone, Copy)]
pub struct Tools<'a> {
    /// HTTP.
    pub web: &'a HttpClient,
    /// Hosts.
    pub runner: &'a dyn ScriptRunner,
    /// The fleet.
    pub fleet: &'a Fleet,
    /// What probes remember.
    pub memory: &'a Memory,
}

/// One question to one tier, and everything that it takes to ask it.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    /// HTTP from this machine.
    pub web: &'a HttpClient,
    /// How requests reach the tier: from this machine, or with the curl of a host.
    pub transport: &'a dyn Transport,
    /// Hosts.
    pub runner: &'a dyn ScriptRunner,
    /// The fleet.
    pub fleet: &'a Fleet,
    /// The tier that is asked.
    pub tier: &'a Tier,
    /// What is particular to its kind.
    pub kind: &'a dyn TierProbe,
    /// Paths to prove with, the likeliest first.
    pub candidates: &'a [StorePath],
    /// Every path of every host's running closure, once.
    pub closures: &'a [ClosurePath],
    /// What probes remember.
    pub memory: &'a Memory,
    /// The time.
    pub now: Timestamp,
}

impl Asking<'_> {
    /// Makes one request of the tier, which its kind must have declared.
    pub(super) async fn send(&self, ask: HttpRequest) -> Result<HttpReply, RequestError> {
        self.transport.send(self.tier, self.kind.rules(), ask).await
    }

    /// Returns the address of the tier's `nix-cache-info`.
    pub(super) fn info_url(&self) -> String {
        format!("{}/nix-cache-info", web_url(self.tier))
    }

    /// Returns the address of the narinfo of a path.
    pub(super) fn narinfo_url(&self, path: &StorePath) -> String {
        format!("{}/{}.narinfo", self.kind.files_url(self.tier), path.hash())
    }
}

/// What is particular to one kind of tier; a folder of `kinds` each.
pub trait TierProbe: Send + Sync {
    /// Returns which requests the kind may be asked, and how gently.
    fn rules(&self) -> &'static Rules;

    /// Returns the address below which narinfos and nars are asked for, without a trailing slash.
    fn files_url(&self, tier: &Tier) -> String {
        web_url(tier).into_owned()
    }

    /// Returns whether a tier is near or somebody else's: that decides how often it is asked.
    fn target(&self, tier: &Tier) -> Pace {
        Pace::of_address(tier)
    }

    /// Returns the time between two looks when `hosts.toml` does not say.
    fn interval(&self, tier: &Tier) -> Duration {
        self.target(tier).interval()
    }

    /// Returns the time between two looks: as configured, else as the kind bears it.
    fn every(&self, tier: &Tier) -> Duration {
        tier.every.unwrap_or_else(|| self.interval(tier)).max(SHORTEST)
    }

    /// Returns whether a look may be one request only, since the server is somebody else's
    /// (`checks::one_request`).
    fn is_asked_one_thing(&self, tier: &Tier) -> bool {
        self.target(tier) == Pace::PublicTier
    }

    /// Returns how long it is believed that a nar is served.
    fn content_age(&self) -> SignedDuration {
        SignedDuration::from_hours(1)
    }

    /// Returns whether the server takes the reading of a narinfo for use of the path, and keeps it
    /// longer for that: then only what hosts run is read.
    fn reading_counts_as_use(&self) -> bool {
        false
    }

    /// Returns whether such a server, or the host that it runs on, can tell how many requests it
    /// was asked.
    fn counts_requests(&self) -> bool {
        false
    }

    /// Returns whether it counts on from where another nixdash read its counters.
    fn shares_counters(&self) -> bool {
        false
    }

    /// Returns whether it is left alone while a run's host fetches from it.
    fn bears_no_fetches(&self) -> bool {
        false
    }

    /// Returns why such a tier does not let a host in, which logs in with what it has itself; none
    /// where the kind knows no more than the status.
    fn denied_on_host(&self, tier: &Tier, host: &str, reply: &HttpReply) -> Option<Finding> {
        let _ = (tier, host, reply);
        None
    }

    /// Asks whether the tier is well, and proves what can be proven.
    ///
    /// Never fails: what went wrong is part of the facts.
    fn look<'a>(&'a self, asking: &'a Asking<'a>) -> TierFuture<'a, TierFacts>;

    /// Adds what is learned elsewhere than from the tier itself, wherever the tier is asked from:
    /// from its host's log.
    fn add_figures<'a>(
        &'a self,
        asking: &'a Asking<'a>,
        facts: &'a mut TierFacts,
    ) -> TierFuture<'a, ()> {
        let _ = (asking, facts);
        Box::pin(std::future::ready(()))
    }

    /// Asks which of these paths the tier holds; one answer per path.
    fn holds<'a>(
        &'a self,
        asking: &'a Asking<'a>,
        paths: &'a [&'a StorePath],
    ) -> TierFuture<'a, Result<Vec<bool>, RequestError>>;

    /// Measures how big the tier is, where that takes long; asked on a slow timer.
    fn size<'a>(
        &'a self,
        asking: &'a Asking<'a>,
    ) -> TierFuture<'a, Result<Option<SizeFacts>, RequestError>> {
        let _ = asking;
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Returns what is known of the size when measuring it was broken off.
    fn size_so_far(&self, asking: &Asking<'_>) -> Option<SizeFacts> {
        let _ = asking;
        None
    }
}
