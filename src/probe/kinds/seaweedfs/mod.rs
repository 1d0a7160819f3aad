//! A SeaweedFS cluster: its masters, its volume servers, and the bucket that hosts read.
//!
//! Reads go on while a volume server is gone, and no metric says that volumes have too few copies;
//! so the masters' own lists are asked. Their addresses serve `/col/delete` and the like on a plain
//! GET: only what is declared here is asked.

mod disks;
mod status;

use crate::fleet::words::clusters;
use crate::fleet::{
    Finding, Seaweed, ServedFacts, SizeFacts, StorePath, Tier, TierFacts, TierKind, TierState,
};
use crate::probe::asking::{Asking, TierFuture, TierProbe};
use crate::probe::checks::answer::{read_json, read_metrics};
use crate::probe::checks::held::held;
use crate::probe::kinds::s3;
use crate::probe::memory::{Dated, MemoryPart, read_kept, to_kept};
use crate::probe::prometheus::{Metrics, Sample, grown};
use crate::probe::transport::{DeclaredRequest, HttpRequest, Method, RequestError, Rules};
use crate::probe::words::IS_URL_RIGHT;
use disks::{Disk, disks, fullness};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use status::{
    Cluster, ClusterStatus, ClusterVerdict, DirStatus, SeenCluster, VolStatus, collections, detail,
    find_faults,
};
use std::collections::BTreeMap;

/// What a cluster is asked: the bucket's files, the masters' lists, the servers' disks, the gateway's
/// counters.
const REQUESTS: &[DeclaredRequest] = &[
    (Method::Get, "*/nix-cache-info"),
    (Method::Get, "*.narinfo"),
    (Method::Get, "*/nar/*"),
    (Method::Head, "*/"),
    (Method::Get, "/cluster/status"),
    (Method::Get, "/dir/status"),
    (Method::Get, "/vol/status"),
    // Of the volume servers.
    (Method::Get, "/status"),
    (Method::Get, "*/metrics"),
];

/// Longest list of volumes that is read, in bytes: about a hundred thousand of them.
const LIST_LIMIT: usize = 32 << 20;

/// Longest text of metrics that is read, in bytes.
const METRICS_LIMIT: usize = 8 << 20;

/// The counter of the gateway's requests, by bucket, code and type. HEAD counts as GET, and
/// narinfos are not told from nars: its shares are no hit rate.
const REQUESTS_TOTAL: &str = "SeaweedFS_s3_request_total";

/// The name under which the history keeps what was seen of a cluster.
const SEEN: &str = "seen";

/// How gently it is asked.
static RULES: Rules = Rules { wishes_at_own_address_only: true, ..Rules::new(REQUESTS) };

/// What is remembered of a cluster.
#[derive(Default)]
struct ClusterMemory {
    /// Servers and volumes that were seen. Kept.
    seen: SeenCluster,
    /// The gateway's counters at the last look.
    counters: Option<Counters>,
    /// How full the servers' disks are.
    disks: Option<Dated<Vec<Disk>>>,
}

impl MemoryPart for ClusterMemory {
    fn kept(&self) -> Option<(&'static str, Json)> {
        let is_known = self.seen != SeenCluster::default();
        Some((SEEN, to_kept(Some(&self.seen).filter(|_| is_known)?)?))
    }

    fn recall(kept: &BTreeMap<String, Json>) -> Self {
        Self { seen: read_kept(kept, SEEN).unwrap_or_default(), ..Self::default() }
    }
}

/// The kind `seaweedfs`.
pub(super) struct Seaweedfs;

impl TierProbe for Seaweedfs {
    fn rules(&self) -> &'static Rules {
        &RULES
    }

    fn counts_requests(&self) -> bool {
        true
    }

    fn look<'a>(&'a self, asking: &'a Asking<'a>) -> TierFuture<'a, TierFacts> {
        Box::pin(look(asking))
    }

    fn holds<'a>(
        &'a self,
        asking: &'a Asking<'a>,
        paths: &'a [&'a StorePath],
    ) -> TierFuture<'a, Result<Vec<bool>, RequestError>> {
        Box::pin(held(asking, paths))
    }
}

/// Asks whether the bucket is read, and how the cluster behind it is.
async fn look(asking: &Asking<'_>) -> TierFacts {
    let (mut facts, cluster, metrics) =
        futures_util::join!(s3::look_at(asking), cluster(asking), metrics(asking));
    let mut faults: Vec<Finding> = Vec::new();
    match cluster {
        Ok((leader, cluster)) => {
            if let Some(leader) = leader {
                facts.details.push(detail("leader", leader));
            } else {
                faults.push(clusters::no_leader(asking.tier));
            }
            let verdict = compare_with_before(asking, &cluster);
            faults.extend(verdict.faults);
            facts.details.extend(verdict.details);
            facts.details.extend(collections(&cluster));
            facts.findings.extend(verdict.notices);
            let disks = disks(asking, &cluster.servers).await;
            fullness(asking.tier, &disks, &mut facts);
            facts.size = Some(size(asking, &cluster, metrics.as_ref()));
        }
        Err(error) => {
            faults.push(clusters::masters_silent(asking.tier, &error.to_string()));
        }
    }
    if let Some(metrics) = &metrics {
        facts.served = served(asking, metrics);
    }
    if !faults.is_empty() {
        // A bucket that cannot be read at all is worse, and comes first.
        if matches!(facts.state, TierState::Up | TierState::Slow) {
            facts.state = TierState::Degraded;
        }
        facts.findings.extend(faults);
    }
    facts
}

/// Returns what hosts.toml says of the cluster.
pub(super) fn seaweed(tier: &Tier) -> Seaweed {
    match &tier.kind {
        TierKind::Seaweedfs(seaweed) => seaweed.clone(),
        _ => Seaweed::default(),
    }
}

/// Judges the cluster by what was seen of it before.
fn compare_with_before(asking: &Asking<'_>, cluster: &Cluster) -> ClusterVerdict {
    let seaweed = seaweed(asking.tier);
    asking.memory.part(asking.tier, |memory: &mut ClusterMemory| {
        find_faults(
            asking.tier,
            cluster,
            &mut memory.seen,
            seaweed.volume_servers,
            seaweed.replication.as_deref(),
            asking.now,
        )
    })
}

/// Asks the masters, one after the other until one answers; followers pass on what the leader says.
async fn cluster(asking: &Asking<'_>) -> Result<(Option<String>, Cluster), RequestError> {
    let mut trouble = None;
    let mut leaderless = None;
    for master in &seaweed(asking.tier).masters {
        let status: ClusterStatus = match get(asking, &format!("{master}/cluster/status")).await {
            Ok(status) => status,
            Err(error) => {
                trouble.get_or_insert(error);
                continue;
            }
        };
        let (dir, vol) = (format!("{master}/dir/status"), format!("{master}/vol/status"));
        let (dir, vol) =
            futures_util::join!(get::<DirStatus>(asking, &dir), get::<VolStatus>(asking, &vol));
        match (dir, vol, status.leader()) {
            (Ok(dir), Ok(vol), Some(leader)) => return Ok((Some(leader), Cluster::new(dir, vol))),
            (Ok(dir), Ok(vol), None) => leaderless = Some((None, Cluster::new(dir, vol))),
            (Err(error), _, _) | (_, Err(error), _) => {
                trouble.get_or_insert(error);
            }
        }
    }
    match (leaderless, trouble) {
        (Some(found), _) => Ok(found),
        (None, Some(error)) => Err(error),
        (None, None) => Err(RequestError::new(
            &asking.tier.url,
            "hosts.toml names no masters",
            "add masters = […]",
        )),
    }
}

/// Gets JSON.
async fn get<T: DeserializeOwned + Send + 'static>(
    asking: &Asking<'_>,
    url: &str,
) -> Result<T, RequestError> {
    let ask = HttpRequest::get(url).limit(LIST_LIMIT);
    let reply = asking.send(ask).await?;
    if reply.status != 200 {
        let cause = format!("answered {}", reply.status);
        let hint = "is this machine in the masters' whitelist, and is their HTTP not disabled?";
        return Err(RequestError::new(url, &cause, hint));
    }
    read_json(reply.body).await.map_err(|error| {
        RequestError::new(url, &format!("is not a status of SeaweedFS: {error}"), IS_URL_RIGHT)
    })
}

/// Gets the gateway's counters, where hosts.toml says where they are.
async fn metrics(asking: &Asking<'_>) -> Option<Metrics> {
    let url = seaweed(asking.tier).metrics?;
    let ask = HttpRequest::get(url).limit(METRICS_LIMIT);
    let reply = asking.send(ask).await.ok()?;
    if reply.status == 200 { read_metrics(reply.body).await } else { None }
}

/// Returns the name of the bucket, which is the name of its collection too.
fn bucket(tier: &Tier) -> &str {
    tier.url.rsplit('/').next().unwrap_or_default()
}

/// Returns how big the bucket is: what its volumes hold, each counted once.
fn size(asking: &Asking<'_>, cluster: &Cluster, metrics: Option<&Metrics>) -> SizeFacts {
    let bucket = bucket(asking.tier);
    let (bytes, _) = cluster.bytes_of(bucket);
    let objects = metrics.and_then(|metrics| {
        let ours = |sample: &Sample| sample.label("bucket") == Some(bucket);
        let name = "SeaweedFS_s3_bucket_object_count";
        metrics.named(name).find(|sample| ours(sample)).map(|sample| sample.value as u64)
    });
    SizeFacts {
        bytes,
        objects,
        limit: asking.tier.max_size,
        exact: true,
        measured_at: Some(asking.now),
    }
}

/// The gateway's counters at one time: all requests, those that get, and those not found.
type Counters = (Timestamp, f64, f64, f64);

/// Returns what the gateway answered since the last probe; nothing the first time.
fn served(asking: &Asking<'_>, metrics: &Metrics) -> Option<ServedFacts> {
    let bucket = bucket(asking.tier);
    let count = |gets: bool, code: Option<&str>| {
        metrics.sum(REQUESTS_TOTAL, |sample| {
            sample.label("bucket") == Some(bucket)
                && (!gets || sample.label("type") == Some("GET"))
                && (code.is_none() || sample.label("code") == code)
        })
    };
    let counters: Counters =
        (asking.now, count(false, None)?, count(true, None)?, count(true, Some("404"))?);
    let before = asking
        .memory
        .part(asking.tier, |memory: &mut ClusterMemory| memory.counters.replace(counters));
    rates(before?, counters)
}

/// Returns rates between two times.
fn rates(before: Counters, now: Counters) -> Option<ServedFacts> {
    let seconds = now.0.duration_since(before.0).as_secs_f64();
    if seconds <= 0.0 {
        return None;
    }
    let (all, gets, missed) =
        (grown(before.1, now.1), grown(before.2, now.2), grown(before.3, now.3));
    Some(ServedFacts {
        answered: None,
        requests_per_s: Some(all / seconds),
        not_found: (gets > 0.0).then(|| (missed / gets).min(1.0)),
    })
}

#[cfg(test)]
mod tests;
