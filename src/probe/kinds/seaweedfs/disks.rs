//! How full the disks of a cluster's volume servers are; the masters do not know it.
//!
//! The servers are asked one by one where the masters say they are, seldom, briefly and without
//! credentials: hosts.toml does not name them. One that is not reached from here is not known.

use crate::fleet::words::clusters;
use crate::fleet::{Tier, TierFacts, printable_line};
use crate::probe::asking::Asking;
use crate::probe::checks::answer::{detail, recent};
use crate::probe::kinds::seaweedfs::{ClusterMemory, seaweed};
use crate::probe::memory::Dated;
use crate::probe::transport::HttpRequest;
use futures_util::future::join_all;
use jiff::SignedDuration;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long an answer is believed.
const AGE: SignedDuration = SignedDuration::from_mins(10);

/// How long a server may take.
const LIMIT: Duration = Duration::from_secs(2);

/// Most servers that are asked: whoever answers as a master chooses them.
const MOST: usize = 64;

/// From which percentage on a disk is a finding.
const FULL: f64 = 90.0;

/// `/status` of a volume server.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ServerStatus {
    disk_statuses: Option<Vec<DiskStatus>>,
}

/// One of its disks; its keys are in lower case.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DiskStatus {
    dir: String,
    percent_used: Option<f64>,
}

/// How full a disk is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Disk {
    /// The server and the folder.
    place: String,
    /// 0 to 100.
    percent: f64,
}

/// Returns how full the servers' disks are, asked again when the last time was long ago.
pub(super) async fn disks(asking: &Asking<'_>, servers: &BTreeSet<String>) -> Vec<Disk> {
    let known = asking
        .memory
        .part(asking.tier, |memory: &mut ClusterMemory| recent(asking, memory.disks.as_ref(), AGE));
    if let Some(known) = known {
        return known;
    }
    let asked = servers.iter().take(MOST).map(|server| ask(asking, server));
    let found: Vec<Disk> = join_all(asked).await.into_iter().flatten().collect();
    let dated = Some(Dated { at: asking.now, value: found.clone() });
    asking.memory.part(asking.tier, |memory: &mut ClusterMemory| memory.disks = dated);
    found
}

/// Asks one server; nothing when it does not answer, or is no plain `host:port`.
async fn ask(asking: &Asking<'_>, server: &str) -> Vec<Disk> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    let masters = seaweed(asking.tier).masters;
    let masters = masters.first();
    let scheme = masters.and_then(|master| master.split_once("://")).map(|(scheme, _)| scheme);
    let (Some(scheme), true) = (scheme, server.chars().all(is_plain)) else { return Vec::new() };
    let url = format!("{scheme}://{server}/status");
    let told_by = masters.cloned().unwrap_or_default();
    let work = asking.send(HttpRequest::get(&url).told_by(told_by));
    let Ok(Ok(reply)) = tokio::time::timeout(LIMIT, work).await else { return Vec::new() };
    let status: ServerStatus = serde_json::from_slice(&reply.body).unwrap_or_default();
    let disks =
        status.disk_statuses.unwrap_or_default().into_iter().filter(|_| reply.status == 200);
    disks
        .filter_map(|disk| {
            let place = printable_line(&format!("{server} {}", disk.dir));
            Some(Disk { place, percent: disk.percent_used? })
        })
        .collect()
}

/// Says which disks are nearly full, or how full the fullest is.
pub(super) fn fullness(tier: &Tier, disks: &[Disk], facts: &mut TierFacts) {
    let fullest = disks.iter().max_by(|one, other| one.percent.total_cmp(&other.percent));
    let Some(fullest) = fullest else { return };
    let words = |disk: &Disk| format!("{} {:.0} %", disk.place, disk.percent);
    let full: Vec<String> = disks.iter().filter(|disk| disk.percent >= FULL).map(words).collect();
    if full.is_empty() {
        facts.details.push(detail("disks", &format!("the fullest: {}", words(fullest))));
    } else {
        facts.findings.push(clusters::disks_full(tier, &full));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::KindName;

    #[test]
    fn a_disk_that_is_nearly_full_is_named() {
        let disk = |place: &str, percent| Disk { place: place.to_owned(), percent };
        let some = [disk("a:8080 /data", 45.9), disk("b:8080 /data", 89.9)];
        let weed = Tier::new("weed", KindName::Seaweedfs, "http://weed:8333/b");
        let found = |disks: &[Disk]| {
            let mut facts = TierFacts::default();
            fullness(&weed, disks, &mut facts);
            facts
        };
        let well = found(&some);
        assert_eq!(well.details[0].text, "the fullest: b:8080 /data 90 %");
        assert_eq!(well.findings, []);
        let full = found(&[some[0].clone(), disk("b:8080 /data", 91.0)]);
        assert!(full.findings[0].cause.ends_with("nearly full: b:8080 /data 91 %"), "{full:?}");
        assert_eq!(found(&[]), TierFacts::default());
    }
}
