//! What was measured of tiers, and of what they hold. `None` means: not measured, and is shown as
//! unknown.

use crate::fleet::{
    CacheRecord, ClosurePath, Fetched, Finding, LostFacts, SettingsView, SpeedSeen, StoreDepth,
    StorePath, UniqueFacts, Validity, WhenDown, told,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Used and total bytes of something that fills up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    /// Bytes in use.
    pub used: u64,
    /// Bytes in all.
    pub total: u64,
}

impl Bytes {
    /// Returns the bytes that are left.
    pub fn free(self) -> u64 {
        self.total.saturating_sub(self.used)
    }

    /// Returns the used share, 0 to 1; nothing for a total of 0.
    pub fn share(self) -> Option<f64> {
        (self.total > 0).then(|| self.used as f64 / self.total as f64)
    }
}

/// Whether a tier answers and can be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TierState {
    /// It answered as it should.
    Up,
    /// It answers, but takes more than a second for it.
    Slow,
    /// It answers, but not as it should: 5xx, 429, fewer servers or copies than it should have.
    Degraded,
    /// 401 or 403 where it means that: hosts skip such a tier, older Nix silently.
    Unauthorized,
    /// It serves another store directory.
    WrongStore,
    /// It is well, but no host trusts its key.
    Untrusted,
    /// It says that it holds a path whose nar it does not serve.
    NarMissing,
    /// What it serves is not what Nix reads: hosts fail on it, or stop.
    Malformed,
    /// The proxy on the way to it does not let us through.
    Proxy,
    /// It did not answer.
    Down,
    /// Not asked yet, or something kept it from being asked.
    #[default]
    Unknown,
}

impl TierState {
    /// Returns whether such a tier answers what hosts ask of it, as far as is known.
    pub fn answers_hosts(self) -> bool {
        match self {
            Self::Up | Self::Slow | Self::Untrusted | Self::NarMissing => true,
            Self::Degraded
            | Self::Unauthorized
            | Self::WrongStore
            | Self::Malformed
            | Self::Proxy
            | Self::Down
            | Self::Unknown => false,
        }
    }
}

/// What the proof of a tier's signature found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignatureState {
    /// A narinfo was fetched and its signature verifies under the tier's key.
    Valid,
    /// A signature carries the key's name but does not verify: a changed key, or tampering.
    Invalid,
    /// The narinfo carries no signature of the tier's key.
    Untrusted,
    /// Nothing to prove with, or not asked yet.
    #[default]
    Unchecked,
}

/// The last nar of a tier that was fetched whole and compared with its narinfo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedNar {
    /// The path: one whose nar was wrong, where several were verified together.
    pub path: StorePath,
    /// Size of its nar in bytes.
    pub nar_size: u64,
    /// How many nars were compared together.
    pub count: usize,
    /// What was wrong.
    pub finding: Option<Finding>,
    /// When.
    pub verified_at: Timestamp,
}

/// What one probe of a tier found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TierFacts {
    /// Whether it answers.
    pub state: TierState,
    /// Since when it is in this state.
    pub since: Option<Timestamp>,
    /// Time to the first byte on a warm connection, in milliseconds.
    pub latency_ms: Option<f64>,
    /// Time to connect, TLS included, in milliseconds; none while a kept connection serves.
    pub connect_ms: Option<f64>,
    /// `Priority` of its `nix-cache-info`; lower is asked first.
    pub priority: Option<i32>,
    /// `StoreDir` of its `nix-cache-info`.
    pub store_dir: Option<String>,
    /// The proof of its signature.
    pub signature: SignatureState,
    /// What the proof was made with, or why there is none.
    pub proof: Option<String>,
    /// The proof that a nar is served: the path it was made with.
    pub nar_proof: Option<String>,
    /// The last nar that was fetched whole and compared with its narinfo.
    #[serde(default)]
    pub verified: Option<VerifiedNar>,
    /// How big it is.
    pub size: Option<SizeFacts>,
    /// What the server itself counts of its requests.
    pub served: Option<ServedFacts>,
    /// What else the kind has to say, as label and text: servers, volumes, pins, key families …
    pub details: Vec<Detail>,
    /// What each host makes of the tier.
    pub hosts: BTreeMap<String, TierOnHost>,
    /// What a close look at hosts' stores found, by host; only of the kind `local`.
    #[serde(default)]
    pub depths: BTreeMap<String, StoreDepth>,
    /// From when until when its TLS certificate is good; none without TLS, and where that was not seen.
    #[serde(default)]
    pub certificate: Option<Validity>,
    /// Until when the token is good that it is asked with; none where that is not known.
    #[serde(default)]
    pub token: Option<Validity>,
    /// How fast it sent big files to hosts and builders in the last seven days; none when nothing was
    /// seen.
    #[serde(default)]
    pub speed: Option<SpeedSeen>,
    /// What only it holds of the closures that hosts run or will run; none when it was not asked.
    #[serde(default)]
    pub unique: Option<UniqueFacts>,
    /// What it lost in the last seven days of closures that hosts still run.
    #[serde(default)]
    pub lost: Option<LostFacts>,
    /// Requests that nixdash made of it this calendar month; none when nobody counts.
    pub requests_this_month: Option<u64>,
    /// What is wrong with it, or worth knowing; what one host makes of it is in `hosts`.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// When it last answered; none before the first answer.
    pub measured_at: Option<Timestamp>,
    /// When it was last asked, answered or not.
    pub asked_at: Option<Timestamp>,
}

impl TierFacts {
    /// Makes the facts of a tier that is in this state because of a finding.
    pub fn of(state: TierState, finding: Finding) -> Self {
        Self { state, findings: vec![finding], ..Self::default() }
    }

    /// Returns what is wrong with it, then what is wrong with it for single hosts.
    pub fn all_findings(&self) -> Vec<Finding> {
        let on_hosts = self.hosts.values().flat_map(|on_host| &on_host.findings);
        self.findings.iter().chain(on_hosts).cloned().collect()
    }

    /// Returns why it does not serve as it should, with what to do, in one sentence; none for one
    /// that serves, whatever else is wrong.
    pub fn error(&self) -> Option<String> {
        match self.state {
            TierState::Up | TierState::Slow => None,
            TierState::Degraded
            | TierState::Unauthorized
            | TierState::WrongStore
            | TierState::Untrusted
            | TierState::NarMissing
            | TierState::Malformed
            | TierState::Proxy
            | TierState::Down
            | TierState::Unknown => told(&self.findings),
        }
    }
}

impl TierOnHost {
    /// Returns what is wrong with it for this host, with what to do, in one sentence.
    pub fn error(&self) -> Option<String> {
        told(&self.findings)
    }
}

/// How big a tier is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SizeFacts {
    /// Bytes that it holds.
    pub bytes: u64,
    /// Objects or paths that it holds.
    pub objects: Option<u64>,
    /// Bytes that it may hold: configured, or what the server says.
    pub limit: Option<u64>,
    /// Whether `bytes` is exact; else there are at least so many.
    pub exact: bool,
    /// When this was measured.
    pub measured_at: Option<Timestamp>,
}

impl SizeFacts {
    /// Returns the filled share of a tier that has a limit; more than 1 when it is over it.
    pub fn fullness(&self) -> Option<f64> {
        let limit = self.limit.filter(|limit| *limit > 0)?;
        Some(self.bytes as f64 / limit as f64)
    }

    /// Returns whether a tier is about to be full, as far as its size is known exactly.
    pub fn is_nearly_full(&self) -> bool {
        const NEARLY: f64 = 0.9;
        self.exact && self.fullness().is_some_and(|share| share >= NEARLY)
    }
}

/// What a server counts of its own requests; shares are 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServedFacts {
    /// Narinfo requests since the last probe: answered with a narinfo, and all. Only where the
    /// server tells narinfos from the rest.
    pub answered: Option<Share>,
    /// Requests per second since the last probe.
    pub requests_per_s: Option<f64>,
    /// Share of requests answered 404 since the last probe.
    pub not_found: Option<f64>,
}

/// One more thing that a kind of tier has to say; what is wrong is a finding instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// A word or two: `volumes`.
    pub label: String,
    /// What there is to say, printable.
    pub text: String,
}

/// What one host makes of a tier.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TierOnHost {
    /// Whether the host's effective settings name it as a substituter.
    pub configured: Option<bool>,
    /// In which place the host asks it, from 1.
    pub rank: Option<u32>,
    /// Whether the host trusts what it serves.
    pub trusted: Option<bool>,
    /// How fast it sent big files to the host in the last seven days; none when nothing was seen.
    #[serde(default)]
    pub speed: Option<SpeedSeen>,
    /// What the tier is as seen from the host; unknown where it was not asked from there.
    pub state: TierState,
    /// What is wrong with it for this host.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// What happens there when it is down; none where that is not known.
    #[serde(default)]
    pub when_down: Option<WhenDown>,
    /// What the host keeps of it and goes by, where it does.
    #[serde(default)]
    pub record: Option<CacheRecord>,
    /// Whose settings this is about.
    #[serde(default)]
    pub view: Option<SettingsView>,
    /// From where the state was measured.
    pub via: Option<String>,
    /// When this was measured.
    pub measured_at: Option<Timestamp>,
}

/// How many of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// What is there.
    pub have: u64,
    /// What there could be.
    pub total: u64,
}

impl Share {
    /// Returns the share, 0 to 1; nothing for a total of 0.
    pub fn ratio(self) -> Option<f64> {
        (self.total > 0).then(|| self.have as f64 / self.total as f64)
    }
}

/// How much of one host's running closure one tier holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Paths.
    pub paths: Share,
    /// Bytes (NAR size).
    pub bytes: Share,
    /// When the oldest of its answers was given.
    pub measured_at: Timestamp,
    /// Whether it holds less perhaps: of a sample of its narinfos, Nix could not read one.
    #[serde(default)]
    pub at_most: bool,
}

impl Coverage {
    /// Returns what is written before a figure of it: the sign of an upper bound, or nothing.
    pub fn bound(&self) -> &'static str {
        upper_bound(self.at_most)
    }
}

/// Returns what is written before a figure: the sign of an upper bound, or nothing.
pub fn upper_bound(at_most: bool) -> &'static str {
    if at_most { "≤ " } else { "" }
}

/// Coverage of one host's running closure, by tier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageFacts {
    /// The closure's root.
    pub toplevel: Option<StorePath>,
    /// Answers by name of the tier; a tier that did not answer is absent.
    pub tiers: BTreeMap<String, Coverage>,
    /// The biggest paths that a tier lacks, the biggest first, by name of the tier.
    #[serde(default)]
    pub missing: BTreeMap<String, Vec<ClosurePath>>,
}

/// How much of what one host runs next one tier holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextCoverage {
    /// Paths.
    pub paths: Share,
    /// Bytes (NAR size); none before the system is built, when sizes are not known.
    pub bytes: Option<Share>,
    /// When the oldest of its answers was given.
    pub measured_at: Timestamp,
}

/// The system that a host runs next: what its flake said last, or what was built for it and not
/// deployed yet; what must be built for it, and which tier holds how much of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextFacts {
    /// The system; none when nothing is known to come.
    pub toplevel: Option<StorePath>,
    /// Its derivation, where it was evaluated.
    pub drv: Option<StorePath>,
    /// When it was evaluated or built.
    pub known_at: Option<Timestamp>,
    /// Whether it is not built yet: then `tiers` is about the outputs that a dry run comes across,
    /// and not about the closure, which nobody knows.
    pub partial: bool,
    /// Derivations to build, given what is valid on the host that builds and what the tiers hold
    /// that it asks; none when that was not found out.
    pub to_build: Option<u64>,
    /// Names of some of them, what the others wait for first.
    pub to_build_names: Vec<String>,
    /// Of the closure, what the running one lacks (NAR size); none before it is built.
    pub new: Option<Fetched>,
    /// Answers by name of the tier; a tier that did not answer is absent.
    pub tiers: BTreeMap<String, NextCoverage>,
    /// The biggest paths of the closure that a tier lacks, the biggest first, by name of the tier.
    pub missing: BTreeMap<String, Vec<ClosurePath>>,
    /// Why it could not be evaluated or looked at, with what to do.
    pub error: Option<String>,
}
