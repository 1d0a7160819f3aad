//! What is wrong with a storage cluster behind a tier, in words.

use crate::fleet::{Code, Finding, Tier, number_of};

/// Returns `1 volume` or `3 volumes`.
pub fn volumes(count: usize) -> String {
    number_of(count, "volume")
}

/// Says that no master answers.
pub fn masters_silent(tier: &Tier, why: &str) -> Finding {
    let cause = format!("no master answers: {why}");
    Finding::of_tier(tier, Code::MastersUnreachable, &cause, "")
}

/// Says that the masters have no leader.
pub fn no_leader(tier: &Tier) -> Finding {
    let cause = "the masters have no leader, since they have no majority: nothing can be written";
    Finding::of_tier(tier, Code::LeaderMissing, cause, "start the masters that are down")
}

/// Says that volume servers are missing: `gone` names some of them and says when they were seen.
pub fn servers_missing(tier: &Tier, here: usize, all: usize, gone: &[String]) -> Finding {
    let mut all_words = vec![format!("{here} of {all} volume servers are there")];
    all_words.extend_from_slice(gone);
    let cause = all_words.join("; ");
    let fix = "start the missing servers again";
    let finding = Finding::of_tier(tier, Code::ServersMissing, &cause, fix);
    finding.in_short(&format!("{here} of {all} servers"))
}

/// Says that no copy of some volumes is left.
pub fn volumes_lost(tier: &Tier, count: usize, list: &str) -> Finding {
    let cause = format!("{} lost, no copy is left: {list}", volumes(count));
    let fix = "bring the servers that held them back, or publish again what is lost";
    let finding = Finding::of_tier(tier, Code::VolumesLost, &cause, fix);
    finding.in_short(&format!("{} lost", volumes(count)))
}

/// Says that some volumes have so many copies, which is fewer than they should.
pub fn copies_missing(tier: &Tier, count: usize, have: u32, list: &str) -> Finding {
    let copies = if have == 1 { "one copy".to_owned() } else { format!("{have} copies") };
    let verb = if count == 1 { "has" } else { "have" };
    let cause = format!("{} {verb} only {copies}: {list}", volumes(count));
    let fix = "run `volume.fix.replication` in `weed shell` when all servers are there";
    let finding = Finding::of_tier(tier, Code::CopiesMissing, &cause, fix);
    finding.in_short("replication not held")
}

/// Says that some volumes were made for fewer copies than hosts.toml wants.
pub fn replication_low(tier: &Tier, count: usize, wanted: &str, list: &str) -> Finding {
    let cause =
        format!("{} made for fewer copies than replication {wanted} wants: {list}", volumes(count));
    let fix = "run `volume.configure.replication` in `weed shell`";
    Finding::of_tier(tier, Code::ReplicationLow, &cause, fix)
}

/// Says that copies of some volumes are too near to each other.
pub fn placement_narrow(tier: &Tier, count: usize, list: &str) -> Finding {
    let cause = format!("{} with copies on too few racks or data centres: {list}", volumes(count));
    let fix = "move copies with `volume.move` in `weed shell`";
    Finding::of_tier(tier, Code::PlacementNarrow, &cause, fix).in_short("placement not held")
}

/// Says that some volumes take no new data though they are not full.
pub fn volumes_read_only(tier: &Tier, count: usize, list: &str) -> Finding {
    let verb = if count == 1 { "is" } else { "are" };
    let cause = format!("{} {verb} read-only: {list}", volumes(count));
    let fix = "see the volume servers' log, then run `volume.mark -writable` in `weed shell`";
    let finding = Finding::of_tier(tier, Code::VolumesReadOnly, &cause, fix);
    finding.in_short(&format!("{} read-only", volumes(count)))
}

/// Says that there is little room for new volumes, or none at all: then nothing can be written.
pub fn room_low(tier: &Tier, free: u64, max: u64, is_stuck: bool) -> Finding {
    let stuck = if is_stuck { ", and no volume takes new data" } else { "" };
    let cause = format!("{free} of {max} volumes can still be made{stuck}");
    let fix = "add a volume server, or raise its -max";
    let finding = Finding::of_tier(tier, Code::RoomLow, &cause, fix);
    finding.in_short(&format!("room for {}", volumes(free.try_into().unwrap_or(usize::MAX))))
}

/// Says that disks of volume servers are nearly full: `full` names them and says how full.
pub fn disks_full(tier: &Tier, full: &[String]) -> Finding {
    let cause = format!("disks of volume servers are nearly full: {}", full.join(", "));
    let fix = "add a server, or make the disks bigger";
    Finding::of_tier(tier, Code::DiskLow, &cause, fix).in_short("disks nearly full")
}
