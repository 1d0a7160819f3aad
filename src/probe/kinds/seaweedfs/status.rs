//! Reads what SeaweedFS's masters say of themselves and their volumes, and judges it. Pure.
//!
//! A master forgets a dead volume server at once and never lists it as down, and no metric says
//! which volumes have too few copies. So servers that were seen are remembered, and copies are
//! counted: a volume of replication xyz needs `1 + x + y + z` of them (SeaweedFS's
//! `replica_placement.go`). `weed shell`'s `volume.fix.replication` counts the same way.

use crate::fleet::words::clusters::{self, volumes};
use crate::fleet::{Detail, Finding, Tier, bytes, printable_line};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How long a volume server that is gone is remembered when `volume_servers` does not say how many
/// there should be.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A cluster with less room than this share is about to be full.
const LITTLE_ROOM: f64 = 0.1;

/// Most volumes that are named one by one.
const NAMED: usize = 12;

/// `/cluster/status` of a master. `IsLeader` is absent where it would be false.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ClusterStatus {
    /// The leader's address, at times with its gRPC port behind another dot.
    pub(super) leader: Option<String>,
}

impl ClusterStatus {
    /// Returns the leader's `host:port`; nothing when the master knows of none.
    pub(super) fn leader(&self) -> Option<String> {
        let leader = self.leader.as_deref().filter(|leader| !leader.is_empty())?;
        let plain = match leader.rsplit_once('.') {
            // `10.0.0.1:9333.19333`: the dot behind the port begins the gRPC port.
            Some((plain, _)) if plain.contains(':') => plain,
            Some(_) | None => leader,
        };
        Some(printable_line(plain))
    }
}

/// `/dir/status` of the leader.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct DirStatus {
    topology: DirTopology,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct DirTopology {
    max: u64,
    free: u64,
    data_centers: Option<Vec<DataCenter>>,
    layouts: Option<Vec<Layout>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct DataCenter {
    racks: Option<Vec<Rack>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Rack {
    data_nodes: Option<Vec<DataNode>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct DataNode {
    url: String,
    ec_shards: u64,
}

/// Which volumes of one kind take new data; its keys are in lower case.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Layout {
    writables: Option<Vec<u32>>,
}

/// `/vol/status` of the leader: volumes by data centre, rack and server.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct VolStatus {
    volumes: VolTopology,
}

/// The volumes of each server of a rack.
type VolumesByServer = BTreeMap<String, Option<Vec<VolumeInfo>>>;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct VolTopology {
    data_centers: Option<BTreeMap<String, BTreeMap<String, VolumesByServer>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct VolumeInfo {
    id: u32,
    collection: String,
    replica_placement: Placement,
    size: u64,
    deleted_byte_count: u64,
    read_only: bool,
}

/// How many further copies go to the same rack, to other racks, to other data centres; zeros are
/// left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Placement {
    node: u32,
    rack: u32,
    dc: u32,
}

impl Placement {
    /// Reads a replication such as `001`: other data centres, other racks, other servers.
    fn read(replication: &str) -> Self {
        let mut digits = replication.chars().map(|digit| digit.to_digit(10).unwrap_or(0));
        let mut next = || digits.next().unwrap_or(0);
        Self { dc: next(), rack: next(), node: next() }
    }

    fn copies(self) -> u32 {
        1 + self.node + self.rack + self.dc
    }

    /// Returns what is wanted where both are: the wider spread of each.
    fn wider(self, other: Self) -> Self {
        Self {
            node: self.node.max(other.node),
            rack: self.rack.max(other.rack),
            dc: self.dc.max(other.dc),
        }
    }
}

/// One volume, with all its copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Volume {
    /// The collection; a bucket's name, or empty.
    pub(super) collection: String,
    /// The copies that its replication asks for, and where.
    pub(super) wanted: Placement,
    /// The servers that hold one.
    pub(super) holders: BTreeSet<String>,
    /// The racks that hold one, each with its data centre before it.
    pub(super) racks: BTreeSet<(String, String)>,
    /// Bytes of the largest copy, deleted ones left out.
    pub(super) bytes: u64,
    /// Bytes of all copies.
    pub(super) physical: u64,
    /// Whether a copy takes no new data.
    pub(super) read_only: bool,
}

impl Volume {
    fn have(&self) -> u32 {
        count(self.holders.len())
    }

    fn holds_every_copy(&self) -> bool {
        self.have() >= self.wanted.copies()
    }

    /// Returns whether its copies are spread at least as wide as a placement asks: on other racks
    /// of one data centre, and in other data centres. Wider is no fault, unlike for `weed shell`.
    fn is_spread(&self, wanted: Placement) -> bool {
        let mut racks: BTreeMap<&str, u32> = BTreeMap::new();
        for (center, _) in &self.racks {
            *racks.entry(center).or_default() += 1;
        }
        let centers = count(racks.len());
        centers > wanted.dc && racks.into_values().max().unwrap_or(0) > wanted.rack
    }
}

/// A cluster as its leader sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cluster {
    /// The volume servers that are there, by `host:port`.
    pub(super) servers: BTreeSet<String>,
    /// The volumes that have at least one copy.
    pub(super) volumes: BTreeMap<u32, Volume>,
    /// Volumes that take new data.
    pub(super) writable: BTreeSet<u32>,
    /// Room for so many volumes in all, and left.
    pub(super) slots: (u64, u64),
    /// Erasure-coded shards, which are not among the volumes.
    pub(super) ec_shards: u64,
}

impl Cluster {
    /// Joins both answers.
    pub(super) fn new(dir: DirStatus, vol: VolStatus) -> Self {
        let topology = dir.topology;
        let nodes: Vec<DataNode> = topology
            .data_centers
            .into_iter()
            .flatten()
            .flat_map(|center| center.racks.unwrap_or_default())
            .flat_map(|rack| rack.data_nodes.unwrap_or_default())
            .collect();
        let mut volumes = BTreeMap::new();
        let centers = vol.volumes.data_centers.into_iter().flatten();
        let racks = centers.flat_map(|(center, racks)| {
            racks.into_iter().map(move |(rack, servers)| ((center.clone(), rack), servers))
        });
        let servers = racks.flat_map(|(rack, servers)| {
            servers.into_iter().map(move |(server, found)| (rack.clone(), server, found))
        });
        for (rack, server, found) in servers {
            for info in found.unwrap_or_default() {
                let volume = volumes.entry(info.id).or_insert_with(|| Volume {
                    collection: printable_line(&info.collection),
                    wanted: info.replica_placement,
                    holders: BTreeSet::new(),
                    racks: BTreeSet::new(),
                    bytes: 0,
                    physical: 0,
                    read_only: false,
                });
                volume.holders.insert(printable_line(&server));
                volume.racks.insert(rack.clone());
                volume.bytes = volume.bytes.max(info.size.saturating_sub(info.deleted_byte_count));
                volume.physical += info.size;
                volume.read_only |= info.read_only;
            }
        }
        let layouts = topology.layouts.into_iter().flatten();
        Self {
            servers: nodes.iter().map(|node| printable_line(&node.url)).collect(),
            volumes,
            writable: layouts.flat_map(|layout| layout.writables.unwrap_or_default()).collect(),
            slots: (topology.max, topology.free),
            ec_shards: nodes.iter().map(|node| node.ec_shards).sum(),
        }
    }

    /// Returns the bytes of a collection: of one copy, and of all.
    pub(super) fn bytes_of(&self, collection: &str) -> (u64, u64) {
        self.volumes
            .values()
            .filter(|volume| volume.collection == collection)
            .fold((0, 0), |(one, all), volume| (one + volume.bytes, all + volume.physical))
    }

    /// Returns volumes that lack copies, by the copies that are left.
    fn lacking(&self) -> BTreeMap<u32, Vec<u32>> {
        let mut lacking: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (id, volume) in &self.volumes {
            if !volume.holds_every_copy() {
                lacking.entry(volume.have()).or_default().push(*id);
            }
        }
        lacking
    }
}

/// What was seen of a cluster before; kept from poll to poll.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SeenCluster {
    /// When each volume server was there last.
    servers: BTreeMap<String, Timestamp>,
    /// Who held each volume when it was there last.
    volumes: BTreeMap<u32, BTreeSet<String>>,
}

impl SeenCluster {
    /// Takes in what is there now, and returns servers that are missing with the time they were
    /// there last, and volumes of which no copy is left.
    ///
    /// As many servers as there should be are a whole cluster, whatever there was before. A volume
    /// of which a holder is still there was deleted or moved; one whose holders are all gone is
    /// lost, even when other servers have come in their place.
    pub(super) fn update(
        &mut self,
        cluster: &Cluster,
        expected: Option<usize>,
        now: Timestamp,
    ) -> (BTreeMap<String, Timestamp>, Vec<u32>) {
        let whole = expected.is_some_and(|expected| cluster.servers.len() >= expected);
        for server in &cluster.servers {
            self.servers.insert(server.clone(), now);
        }
        self.servers.retain(|server, last| {
            let here = cluster.servers.contains(server);
            let kept = expected.is_some() || now.duration_since(*last) < REMEMBERED;
            here || (!whole && kept)
        });
        let missing: BTreeMap<String, Timestamp> = self
            .servers
            .iter()
            .filter(|(server, _)| !cluster.servers.contains(*server))
            .map(|(server, last)| (server.clone(), *last))
            .collect();
        for (id, volume) in &cluster.volumes {
            self.volumes.insert(*id, volume.holders.clone());
        }
        self.volumes.retain(|id, holders| {
            cluster.volumes.contains_key(id) || holders.is_disjoint(&cluster.servers)
        });
        let lost = self.volumes.keys().filter(|id| !cluster.volumes.contains_key(id));
        let lost = lost.copied().collect();
        (missing, lost)
    }
}

/// What is to say about a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ClusterVerdict {
    /// What it has less of than it should; empty when it does what it should.
    pub(super) faults: Vec<Finding>,
    /// What will be a fault some day.
    pub(super) notices: Vec<Finding>,
    /// Everything else that there is to say.
    pub(super) details: Vec<Detail>,
}

/// Judges a cluster by itself, by what was seen before, and by what it should be.
pub(super) fn find_faults(
    tier: &Tier,
    cluster: &Cluster,
    seen: &mut SeenCluster,
    expected: Option<usize>,
    replication: Option<&str>,
    now: Timestamp,
) -> ClusterVerdict {
    let mut verdict = ClusterVerdict::default();
    let (missing, lost) = seen.update(cluster, expected, now);
    servers(tier, &mut verdict, cluster, &missing, expected);
    copies_held(tier, &mut verdict, cluster, &lost);
    let replication = replication.map(|text| (text, Placement::read(text)));
    placement(tier, &mut verdict, cluster, replication);
    room(tier, &mut verdict, cluster);
    verdict
}

/// Says which servers are there, and which are not.
fn servers(
    tier: &Tier,
    verdict: &mut ClusterVerdict,
    cluster: &Cluster,
    missing: &BTreeMap<String, Timestamp>,
    expected: Option<usize>,
) {
    let here = cluster.servers.len();
    let all = expected.unwrap_or(0).max(here + if expected.is_none() { missing.len() } else { 0 });
    if here != all {
        let gone = missing.iter().take(NAMED);
        let gone =
            gone.map(|(server, last)| format!("{server} is gone, last seen {}", clock(*last)));
        let gone: Vec<String> = gone.collect();
        verdict.faults.push(clusters::servers_missing(tier, here, all, &gone));
    }
    if here > 0 {
        let text = format!("{here}: {}", list(cluster.servers.iter(), NAMED));
        verdict.details.push(detail("servers", text));
    }
}

/// Says whether every volume has the copies that its replication asks for.
fn copies_held(tier: &Tier, verdict: &mut ClusterVerdict, cluster: &Cluster, lost: &[u32]) {
    let lacking = cluster.lacking();
    if !lost.is_empty() {
        verdict.faults.push(clusters::volumes_lost(tier, lost.len(), &list(lost, NAMED)));
    }
    for (have, ids) in &lacking {
        let list = list(ids, NAMED);
        verdict.faults.push(clusters::copies_missing(tier, ids.len(), *have, &list));
    }
    if lost.is_empty() && lacking.is_empty() {
        let text = format!("held: {} with every copy", volumes(cluster.volumes.len()));
        verdict.details.push(detail("replication", text));
    }
}

/// Says which volumes were made with fewer copies than hosts.toml wants, and whose copies are all
/// there but nearer to each other than wanted: one rack's end would be theirs too.
fn placement(
    tier: &Tier,
    verdict: &mut ClusterVerdict,
    cluster: &Cluster,
    replication: Option<(&str, Placement)>,
) {
    let (text, wanted) = replication.unwrap_or_default();
    let ids = |holds: &dyn Fn(&Volume) -> bool| -> Vec<u32> {
        cluster.volumes.iter().filter(|(_, volume)| holds(volume)).map(|(id, _)| *id).collect()
    };
    let weak = ids(&|volume| volume.wanted.copies() < wanted.copies());
    let near =
        ids(&|volume| volume.holds_every_copy() && !volume.is_spread(volume.wanted.wider(wanted)));
    if !weak.is_empty() {
        let list = list(&weak, NAMED);
        verdict.faults.push(clusters::replication_low(tier, weak.len(), text, &list));
    }
    if !near.is_empty() {
        let list = list(&near, NAMED);
        verdict.faults.push(clusters::placement_narrow(tier, near.len(), &list));
    }
}

/// Says which volumes take no new data, and how much room there is.
fn room(tier: &Tier, verdict: &mut ClusterVerdict, cluster: &Cluster) {
    let ids = |wanted: &dyn Fn(u32, &Volume) -> bool| -> Vec<u32> {
        let found = cluster.volumes.iter().filter(|(id, volume)| wanted(**id, volume));
        found.map(|(id, _)| *id).collect()
    };
    let read_only = ids(&|_, volume| volume.read_only);
    // Without any layout the master has not told yet what is writable.
    let full = ids(&|id, volume| {
        !volume.read_only
            && volume.holds_every_copy()
            && !cluster.writable.is_empty()
            && !cluster.writable.contains(&id)
    });
    let mut parts =
        vec![format!("{} of {} take new data", cluster.writable.len(), cluster.volumes.len())];
    if !read_only.is_empty() {
        parts.push(format!("{} read-only", read_only.len()));
    }
    if !full.is_empty() {
        parts.push(format!("{} full: {}", full.len(), list(&full, NAMED)));
    }
    if cluster.ec_shards > 0 {
        parts.push(format!("{} erasure-coded shards beside them", cluster.ec_shards));
    }
    if !read_only.is_empty() {
        let list = list(&read_only, NAMED);
        verdict.faults.push(clusters::volumes_read_only(tier, read_only.len(), &list));
    }
    verdict.details.push(detail("volumes", parts.join("; ")));
    let (max, free) = cluster.slots;
    let stuck = free == 0 && cluster.writable.is_empty() && !cluster.volumes.is_empty();
    let little = max > 0 && (free as f64) < LITTLE_ROOM * max as f64;
    if stuck {
        verdict.faults.push(clusters::room_low(tier, free, max, true));
    } else if little {
        verdict.notices.push(clusters::room_low(tier, free, max, false));
    } else {
        let text = format!("{free} of {max} volumes can still be made");
        verdict.details.push(detail("room", text));
    }
}

/// Says how big each collection is.
pub(super) fn collections(cluster: &Cluster) -> Option<Detail> {
    let names: BTreeSet<&str> =
        cluster.volumes.values().map(|volume| volume.collection.as_str()).collect();
    let texts: Vec<String> = names
        .into_iter()
        .map(|name| {
            let (one, all) = cluster.bytes_of(name);
            let name = if name.is_empty() { "(none)" } else { name };
            format!("{name} {}, {} with its copies", bytes(one), bytes(all))
        })
        .collect();
    (!texts.is_empty()).then(|| detail("collections", texts.join("; ")))
}

/// Makes a detail.
pub(super) fn detail(label: &str, text: String) -> Detail {
    Detail { label: label.to_owned(), text }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Names the first few, and says when there are more.
fn list<T: std::fmt::Display>(all: impl IntoIterator<Item = T>, most: usize) -> String {
    let all: Vec<String> = all.into_iter().map(|item| item.to_string()).collect();
    let more = if all.len() > most { ", …" } else { "" };
    format!("{}{more}", all[..all.len().min(most)].join(", "))
}

/// Writes a time of day in UTC, with its date.
fn clock(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests;
