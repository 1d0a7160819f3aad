//! The JSON that other programs read: times in RFC 3339, bytes as integers, unknown as null.

use crate::cli::next::{self, NextJson, NextPartJson};
use crate::fleet::{
    Bytes, CacheRecord, ClosurePath, Code, FilePlace, Finding, Fleet, HostState, KernelPart,
    LostFacts, NixFacts, NixSnippet, RunEvent, RunWhat, ServedFacts, SettingsView, Severity, Share,
    SignatureState, Silenced, SizeFacts, SpeedSeen, StoreDepth, StorePath, TierFacts, TierOnHost,
    TierState, UniqueFacts, UpkeepFacts, Validity, VerifiedNar, WhenDown, troubles,
};
use crate::probe::Snapshot;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// What `status --json` prints.
#[derive(Serialize)]
pub(super) struct StatusJson<'a> {
    /// Why hosts.toml is not trusted, and what to do; null when it is.
    untrusted: Option<&'a str>,
    /// How many findings of hosts and tiers are how bad; what is silenced is counted there alone.
    findings: FindingCounts,
    hosts: Vec<HostJson<'a>>,
    tiers: Vec<TierJson<'a>>,
}

/// How many findings there are.
#[derive(Default, Serialize)]
struct FindingCounts {
    error: u64,
    warning: u64,
    note: u64,
    silenced: u64,
}

impl FindingCounts {
    fn of<'a>(findings: impl Iterator<Item = &'a Finding>) -> Self {
        let mut counts = Self::default();
        for finding in findings {
            let count = match finding.severity {
                _ if finding.is_silenced() => &mut counts.silenced,
                Severity::Error => &mut counts.error,
                Severity::Warning => &mut counts.warning,
                Severity::Note => &mut counts.note,
            };
            *count += 1;
        }
        counts
    }
}

#[derive(Serialize)]
struct HostJson<'a> {
    name: &'a str,
    state: HostState,
    /// The state as people read it, with what is worst.
    condition: String,
    address: Option<&'a str>,
    latency_ms: Option<f64>,
    toplevel: Option<&'a StorePath>,
    booted: Option<&'a StorePath>,
    profile: Option<&'a StorePath>,
    generation: Option<u64>,
    running_generation: Option<u64>,
    nixos_version: Option<&'a str>,
    other_system: Option<&'a str>,
    nix_version: Option<&'a str>,
    nix: Option<&'a NixFacts>,
    /// Whether a restart is needed for kernel, initrd or modules, and for which of them.
    reboot_needed: Option<bool>,
    reboot_for: &'a [KernelPart],
    load1: Option<f64>,
    load5: Option<f64>,
    cpus: Option<u32>,
    memory: Option<Bytes>,
    disk: Option<Bytes>,
    /// Files of the file system of the store, and how many it can have.
    files: Option<Share>,
    store_writable: Option<bool>,
    /// How full other places are.
    places: &'a BTreeMap<FilePlace, Bytes>,
    clock_ahead_s: Option<f64>,
    upkeep: Option<&'a UpkeepFacts>,
    store: Option<StoreJson>,
    failed_units: Option<&'a [String]>,
    uptime_s: Option<u64>,
    next: Option<NextJson<'a>>,
    findings: Vec<FindingJson<'a>>,
    error: Option<String>,
    /// When the figures were measured.
    measured_at: Option<Timestamp>,
    asked_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct StoreJson {
    paths: u64,
    bytes: u64,
    /// When it was counted.
    measured_at: Timestamp,
}

#[derive(Serialize)]
struct TierJson<'a> {
    name: &'a str,
    kind: &'static str,
    via: Option<&'a str>,
    state: TierState,
    since: Option<Timestamp>,
    latency_ms: Option<f64>,
    connect_ms: Option<f64>,
    priority: Option<i32>,
    store_dir: Option<&'a str>,
    signature: SignatureState,
    proof: Option<&'a str>,
    nar_proof: Option<&'a str>,
    verified: Option<&'a VerifiedNar>,
    size: Option<&'a SizeFacts>,
    served: Option<ServedJson>,
    details: Vec<DetailJson<'a>>,
    hosts: BTreeMap<&'a str, TierOnHostJson<'a>>,
    depths: &'a BTreeMap<String, StoreDepth>,
    coverage: BTreeMap<&'a str, CoverageJson<'a>>,
    next: BTreeMap<&'a str, NextPartJson<'a>>,
    certificate: Option<Validity>,
    token: Option<Validity>,
    speed: Option<SpeedSeen>,
    unique: Option<&'a UniqueFacts>,
    lost: Option<&'a LostFacts>,
    requests_this_month: Option<u64>,
    findings: Vec<FindingJson<'a>>,
    error: Option<String>,
    measured_at: Option<Timestamp>,
    asked_at: Option<Timestamp>,
}

/// A finding; what it is about is the object that it stands in.
#[derive(Serialize)]
pub(super) struct FindingJson<'a> {
    code: Code,
    severity: Severity,
    cause: &'a str,
    fix: &'a str,
    /// The fix as lines of the host's NixOS configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    snippet: Option<&'a NixSnippet>,
    /// Whether it is silenced, or was until lately.
    #[serde(skip_serializing_if = "Option::is_none")]
    silenced: Option<&'a Silenced>,
}

/// What a kind of tier has to say. What is wrong stands here too, as it did before findings had
/// codes: such entries are alarms.
#[derive(Serialize)]
struct DetailJson<'a> {
    label: &'a str,
    text: String,
    alarm: bool,
}

/// What one host makes of a tier.
#[derive(Serialize)]
pub(super) struct TierOnHostJson<'a> {
    configured: Option<bool>,
    rank: Option<u32>,
    trusted: Option<bool>,
    speed: Option<SpeedSeen>,
    state: TierState,
    findings: Vec<FindingJson<'a>>,
    error: Option<String>,
    when_down: Option<WhenDown>,
    record: Option<CacheRecord>,
    settings: Option<SettingsView>,
    via: Option<&'a str>,
    measured_at: Option<Timestamp>,
}

/// What a server counts of its own requests, pairs as `[have, total]`.
#[derive(Serialize)]
struct ServedJson {
    answered: Option<[u64; 2]>,
    requests_per_s: Option<f64>,
    not_found: Option<f64>,
}

#[derive(Serialize)]
struct CoverageJson<'a> {
    paths: [u64; 2],
    bytes: [u64; 2],
    /// Whether it holds less perhaps.
    at_most: bool,
    /// The biggest paths that are missing, the biggest first.
    missing: &'a [ClosurePath],
    /// When the oldest answer was given.
    measured_at: Timestamp,
}

impl FindingJson<'_> {
    /// Returns whether it is about how a host's Nix is set up.
    pub(super) fn is_of_nix(&self) -> bool {
        self.code.is_of_nix()
    }
}

/// Returns findings as they are printed.
pub(super) fn findings(all: &[Finding]) -> Vec<FindingJson<'_>> {
    let json = all.iter().map(|finding| FindingJson {
        code: finding.code,
        severity: finding.severity,
        cause: &finding.cause,
        fix: &finding.fix,
        snippet: finding.snippet.as_ref(),
        silenced: finding.silenced.as_ref(),
    });
    json.collect()
}

/// Returns what hosts make of a tier as it is printed.
pub(super) fn on_hosts(hosts: &BTreeMap<String, TierOnHost>) -> BTreeMap<&str, TierOnHostJson<'_>> {
    hosts.iter().map(|(host, found)| (host.as_str(), on_host(found))).collect()
}

/// Returns what one host makes of a tier as it is printed.
fn on_host(found: &TierOnHost) -> TierOnHostJson<'_> {
    TierOnHostJson {
        configured: found.configured,
        rank: found.rank,
        trusted: found.trusted,
        speed: found.speed,
        state: found.state,
        findings: findings(&found.findings),
        error: found.error(),
        when_down: found.when_down,
        record: found.record,
        settings: found.view,
        via: found.via.as_deref(),
        measured_at: found.measured_at,
    }
}

/// Returns what the kind has to say, and what is wrong as alarms.
fn details(facts: &TierFacts) -> Vec<DetailJson<'_>> {
    let alarms = troubles(&facts.findings).into_iter().map(|finding| DetailJson {
        label: finding.code.label(),
        text: finding.sentence(),
        alarm: true,
    });
    let others = facts.details.iter().map(|detail| DetailJson {
        label: &detail.label,
        text: detail.text.clone(),
        alarm: false,
    });
    alarms.chain(others).collect()
}

/// Returns how many of how many as a pair.
fn pair(share: Share) -> [u64; 2] {
    [share.have, share.total]
}

/// Returns a server's own figures as they are printed.
fn served(facts: ServedFacts) -> ServedJson {
    let ServedFacts { answered, requests_per_s, not_found } = facts;
    ServedJson { answered: answered.map(pair), requests_per_s, not_found }
}

/// Returns the status of a fleet as it is printed.
pub(super) fn status<'a>(fleet: &'a Fleet, found: &'a Snapshot) -> StatusJson<'a> {
    let hosts = found.hosts.iter().map(|(name, facts)| HostJson {
        name,
        state: facts.state,
        condition: facts.condition(),
        address: facts.address.as_deref(),
        latency_ms: facts.latency_ms,
        toplevel: facts.system.running.as_ref(),
        booted: facts.system.booted.as_ref(),
        profile: facts.system.profile.as_ref(),
        generation: facts.system.generation,
        running_generation: facts.running_generation(),
        nixos_version: facts.system.nixos_version.as_deref(),
        other_system: facts.system.other_system.as_deref(),
        nix_version: facts.system.nix_version.as_deref(),
        nix: facts.nix.as_deref(),
        reboot_needed: facts.system.reboot_needed,
        reboot_for: &facts.system.reboot_for,
        load1: facts.load1,
        load5: facts.load5,
        cpus: facts.cpus,
        memory: facts.memory,
        disk: facts.disk,
        files: facts.files,
        store_writable: facts.store_writable,
        places: &facts.places,
        clock_ahead_s: facts.clock_ahead_s,
        upkeep: facts.upkeep.as_ref(),
        store: found.stores.get(name).map(|store| StoreJson {
            paths: store.paths,
            bytes: store.bytes,
            measured_at: store.measured_at,
        }),
        failed_units: facts.failed_units.as_deref(),
        uptime_s: facts.uptime_s,
        next: next::of_host(found, name),
        findings: findings(&facts.findings),
        error: facts.error(),
        measured_at: facts.measured_at,
        asked_at: facts.asked_at,
    });
    let tiers = found.tiers.iter().filter_map(|(name, facts)| {
        let tier = fleet.tier(name)?;
        let coverage = found.coverage.iter().filter_map(|(host, coverage)| {
            let found = coverage.tiers.get(name)?;
            let json = CoverageJson {
                paths: pair(found.paths),
                bytes: pair(found.bytes),
                at_most: found.at_most,
                missing: coverage.missing.get(name).map(Vec::as_slice).unwrap_or_default(),
                measured_at: found.measured_at,
            };
            Some((host.as_str(), json))
        });
        Some(TierJson {
            name,
            kind: tier.kind.word(),
            via: tier.via.as_deref(),
            state: facts.state,
            since: facts.since,
            latency_ms: facts.latency_ms,
            connect_ms: facts.connect_ms,
            priority: facts.priority,
            store_dir: facts.store_dir.as_deref(),
            signature: facts.signature,
            proof: facts.proof.as_deref(),
            nar_proof: facts.nar_proof.as_deref(),
            verified: facts.verified.as_ref(),
            size: facts.size.as_ref(),
            served: facts.served.map(served),
            details: details(facts),
            hosts: on_hosts(&facts.hosts),
            depths: &facts.depths,
            coverage: coverage.collect(),
            next: next::on_tier(&found.next, name),
            certificate: facts.certificate,
            token: facts.token,
            speed: facts.speed,
            unique: facts.unique.as_ref(),
            lost: facts.lost.as_ref(),
            requests_this_month: facts.requests_this_month,
            findings: findings(&facts.findings),
            error: facts.error(),
            measured_at: facts.measured_at,
            asked_at: facts.asked_at,
        })
    });
    StatusJson {
        untrusted: fleet.trust.doubt(),
        findings: FindingCounts::of(found.findings()),
        hosts: hosts.collect(),
        tiers: tiers.collect(),
    }
}

/// Returns the line that `deploy --json` prints for an event; nothing for what phases usually take, which only
/// the screen needs.
pub(super) fn run_event(event: &RunEvent) -> Option<String> {
    match event.what {
        RunWhat::Begin { .. }
        | RunWhat::Phase { .. }
        | RunWhat::Progress { .. }
        | RunWhat::Command { .. }
        | RunWhat::Builds { .. }
        | RunWhat::Log { .. }
        | RunWhat::Dropped { .. }
        | RunWhat::Reattached { .. }
        | RunWhat::Waiting { .. }
        | RunWhat::Rollout(_) => serde_json::to_string(event).ok(),
        RunWhat::Summary { findings: ref found, .. } => {
            let mut json = serde_json::to_value(event).ok()?;
            if !found.is_empty() {
                json["findings"] = serde_json::to_value(findings(found)).ok()?;
            }
            Some(json.to_string())
        }
        RunWhat::Result { ref result, .. } => {
            let mut json = serde_json::to_value(event).ok()?;
            if !result.findings.is_empty() {
                json["findings"] = serde_json::to_value(findings(&result.findings)).ok()?;
            }
            Some(json.to_string())
        }
        RunWhat::Plan { ref plan, .. } => {
            let mut json = serde_json::to_value(event).ok()?;
            for (index, host) in plan.hosts.iter().enumerate() {
                let known = serde_json::to_value(findings(&host.findings)).ok()?;
                json["plan"]["hosts"][index]["findings"] = known;
            }
            Some(json.to_string())
        }
        RunWhat::Usual { .. } => None,
    }
}

#[cfg(test)]
mod tests;
