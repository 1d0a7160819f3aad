//! The JSON that other programs read: times in RFC 3339, bytes as integers, unknown as null.

use crate::fleet::{
    Bytes, Fleet, HostState, RunEvent, RunWhat, SignatureState, StorePath, TierState,
};
use crate::probe::Snapshot;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// What `status --json` prints.
#[derive(Serialize)]
pub(super) struct StatusJson<'a> {
    hosts: Vec<HostJson<'a>>,
    tiers: Vec<TierJson<'a>>,
}

#[derive(Serialize)]
struct HostJson<'a> {
    name: &'a str,
    state: HostState,
    address: Option<&'a str>,
    latency_ms: Option<f64>,
    toplevel: Option<&'a StorePath>,
    booted: Option<&'a StorePath>,
    profile: Option<&'a StorePath>,
    generation: Option<u64>,
    nixos_version: Option<&'a str>,
    nix_version: Option<&'a str>,
    load1: Option<f64>,
    memory: Option<Bytes>,
    disk: Option<Bytes>,
    store: Option<StoreJson>,
    failed_units: Option<&'a [String]>,
    uptime_s: Option<u64>,
    error: Option<&'a str>,
    measured_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct StoreJson {
    paths: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct TierJson<'a> {
    name: &'a str,
    kind: &'static str,
    state: TierState,
    latency_ms: Option<f64>,
    priority: Option<u32>,
    store_dir: Option<&'a str>,
    signature: SignatureState,
    proof: Option<&'a str>,
    coverage: BTreeMap<&'a str, CoverageJson>,
    error: Option<&'a str>,
    measured_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct CoverageJson {
    paths: [u64; 2],
    bytes: [u64; 2],
}

/// Returns the status of a fleet as it is printed.
pub(super) fn status<'a>(fleet: &'a Fleet, found: &'a Snapshot) -> StatusJson<'a> {
    let hosts = found.hosts.iter().map(|(name, facts)| HostJson {
        name,
        state: facts.state,
        address: facts.address.as_deref(),
        latency_ms: facts.latency_ms,
        toplevel: facts.system.running.as_ref(),
        booted: facts.system.booted.as_ref(),
        profile: facts.system.profile.as_ref(),
        generation: facts.system.generation,
        nixos_version: facts.system.nixos_version.as_deref(),
        nix_version: facts.system.nix_version.as_deref(),
        load1: facts.load1,
        memory: facts.memory,
        disk: facts.disk,
        store: found
            .stores
            .get(name)
            .map(|store| StoreJson { paths: store.paths, bytes: store.bytes }),
        failed_units: facts.failed_units.as_deref(),
        uptime_s: facts.uptime_s,
        error: facts.error.as_deref(),
        measured_at: facts.measured_at,
    });
    let tiers = found.tiers.iter().filter_map(|(name, facts)| {
        let tier = fleet.tier(name)?;
        let coverage = found.coverage.iter().filter_map(|(host, coverage)| {
            let found = coverage.tiers.get(name)?;
            let pair = |share: crate::fleet::Share| [share.have, share.total];
            Some((
                host.as_str(),
                CoverageJson { paths: pair(found.paths), bytes: pair(found.bytes) },
            ))
        });
        Some(TierJson {
            name,
            kind: tier.kind.word(),
            state: facts.state,
            latency_ms: facts.latency_ms,
            priority: facts.priority,
            store_dir: facts.store_dir.as_deref(),
            signature: facts.signature,
            proof: facts.proof.as_deref(),
            coverage: coverage.collect(),
            error: facts.error.as_deref(),
            measured_at: facts.measured_at,
        })
    });
    StatusJson { hosts: hosts.collect(), tiers: tiers.collect() }
}

/// Returns the line that `deploy --json` prints for an event; nothing for events that only move
/// the screen.
pub(super) fn run_event(event: &RunEvent) -> Option<String> {
    match event.what {
        RunWhat::Phase { .. }
        | RunWhat::Log { .. }
        | RunWhat::Result { .. }
        | RunWhat::Summary { .. } => serde_json::to_string(event).ok(),
        RunWhat::Begin { .. }
        | RunWhat::Progress { .. }
        | RunWhat::Plan { .. }
        | RunWhat::Waiting { .. } => None,
    }
}
