//! Clusters whole, hurt and empty, on answers of a real one.

use super::*;
use crate::fleet::{Code, KindName};

const BOTH: [&str; 2] = [
    include_str!("../../../../../tests/answers/seaweedfs/healthy-dir-status.json"),
    include_str!("../../../../../tests/answers/seaweedfs/healthy-vol-status.json"),
];
const LOST_ONE: [&str; 2] = [
    include_str!("../../../../../tests/answers/seaweedfs/lost-one-dir-status.json"),
    include_str!("../../../../../tests/answers/seaweedfs/lost-one-vol-status.json"),
];
const LEADER: &str =
    include_str!("../../../../../tests/answers/seaweedfs/healthy-cluster-status.json");

fn cluster([dir, vol]: [&str; 2]) -> Cluster {
    Cluster::new(serde_json::from_str(dir).unwrap(), serde_json::from_str(vol).unwrap())
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_250_000 + seconds).unwrap()
}

/// What is said of a cluster, the faults as their causes.
struct ToldOfCluster {
    faults: Vec<String>,
    codes: Vec<Code>,
    details: Vec<Detail>,
}

/// Judges a cluster.
fn find_faults(
    cluster: &Cluster,
    seen: &mut SeenCluster,
    expected: Option<usize>,
    replication: Option<&str>,
    now: Timestamp,
) -> ToldOfCluster {
    let weed = Tier::new("weed", KindName::Seaweedfs, "http://weed:8333/nix-cache");
    let ClusterVerdict { faults, details, .. } =
        super::find_faults(&weed, cluster, seen, expected, replication, now);
    let codes = faults.iter().map(|finding| finding.code).collect();
    ToldOfCluster {
        faults: faults.into_iter().map(|finding| finding.cause).collect(),
        codes,
        details,
    }
}

fn text<'a>(verdict: &'a ToldOfCluster, label: &str) -> &'a str {
    &verdict.details.iter().find(|detail| detail.label == label).unwrap().text
}

#[test]
fn a_whole_cluster_has_nothing_to_complain_about() {
    let cluster = cluster(BOTH);
    let mut seen = SeenCluster::default();
    let verdict = find_faults(&cluster, &mut seen, Some(3), Some("001"), at(0));
    assert_eq!(verdict.faults, Vec::<String>::new());
    assert_eq!(text(&verdict, "servers"), "3: 127.0.0.1:8081, 127.0.0.1:8082, 127.0.0.1:8083");
    assert_eq!(text(&verdict, "replication"), "held: 6 volumes with every copy");
    assert_eq!(text(&verdict, "volumes"), "6 of 6 take new data");
    assert_eq!(text(&verdict, "room"), "48 of 60 volumes can still be made");
    assert_eq!(cluster.bytes_of("nix-cache"), (3_602_184, 6_303_488), "as its metrics say");
}

#[test]
fn a_lost_volume_server_is_named_with_the_volumes_that_lack_a_copy() {
    let mut seen = SeenCluster::default();
    find_faults(&cluster(BOTH), &mut seen, Some(3), Some("001"), at(0));
    let verdict = find_faults(&cluster(LOST_ONE), &mut seen, Some(3), Some("001"), at(10));
    assert_eq!(
        verdict.faults,
        [
            "2 of 3 volume servers are there; 127.0.0.1:8083 is gone, last seen 2026-11-21 08:33:20 \
             UTC",
            "2 volumes have only one copy: 3, 4"
        ]
    );
    assert_eq!(verdict.codes, [Code::ServersMissing, Code::CopiesMissing]);
    assert_eq!(text(&verdict, "volumes"), "4 of 6 take new data");
}

#[test]
fn a_server_is_missed_by_number_or_by_memory() {
    let lost = cluster(LOST_ONE);
    let mut seen = SeenCluster::default();
    let verdict = find_faults(&lost, &mut seen, Some(3), None, at(0));
    assert_eq!(verdict.faults[0], "2 of 3 volume servers are there", "never seen, so not named");
    let verdict = find_faults(&lost, &mut SeenCluster::default(), None, None, at(0));
    assert_eq!(verdict.faults, ["2 volumes have only one copy: 3, 4"]);
    let mut seen = SeenCluster::default();
    find_faults(&cluster(BOTH), &mut seen, None, None, at(0));
    let verdict = find_faults(&lost, &mut seen, None, None, at(60));
    assert!(
        verdict.faults[0].starts_with("2 of 3 volume servers are there; 127.0.0.1:8083 is gone")
    );
    let verdict = find_faults(&lost, &mut seen, None, None, at(8 * 86_400));
    assert_eq!(verdict.faults, ["2 volumes have only one copy: 3, 4"], "forgotten after a week");
    let mut seen = SeenCluster::default();
    find_faults(&cluster(BOTH), &mut seen, Some(2), None, at(0));
    let verdict = find_faults(&lost, &mut seen, Some(2), None, at(60));
    assert_eq!(
        verdict.faults,
        ["2 volumes have only one copy: 3, 4"],
        "as many as there should be"
    );
}

#[test]
fn a_volume_without_replication_is_lost_with_its_server() {
    let [dir, vol] = BOTH.map(|text| text.replace("{\"node\":1}", "{}"));
    // Volume 9 exists on the third server only.
    let vol = vol.replacen(
        "\"127.0.0.1:8083\":[",
        "\"127.0.0.1:8083\":[{\"Collection\":\"\",\"ReplicaPlacement\":{},\"Size\":8,\"Id\":9},",
        1,
    );
    let mut seen = SeenCluster::default();
    let verdict = find_faults(&cluster([&dir, &vol]), &mut seen, Some(3), Some("001"), at(0));
    assert_eq!(
        verdict.faults,
        ["7 volumes made for fewer copies than replication 001 wants: 1, 2, 3, 4, 5, 6, 9"]
    );
    let lost = LOST_ONE.map(|text| text.replace("{\"node\":1}", "{}"));
    let lost = cluster([&lost[0], &lost[1]]);
    let verdict = find_faults(&lost, &mut seen, Some(3), None, at(10));
    assert_eq!(verdict.faults[1], "1 volume lost, no copy is left: 9");
    // Another server in its place brings nothing back.
    let verdict = find_faults(&lost, &mut seen, Some(2), None, at(20));
    assert_eq!(verdict.faults, ["1 volume lost, no copy is left: 9"]);
    // It comes back: nothing is lost any more.
    let verdict = find_faults(&cluster([&dir, &vol]), &mut seen, Some(3), None, at(30));
    assert_eq!(verdict.faults, Vec::<String>::new());
    // Deleted while all its servers are there: not lost.
    let verdict = find_faults(
        &cluster([&dir, &BOTH[1].replace("{\"node\":1}", "{}")]),
        &mut seen,
        Some(3),
        None,
        at(40),
    );
    assert_eq!(verdict.faults, Vec::<String>::new());
}

#[test]
fn volumes_that_take_no_new_data_are_told_apart() {
    let [dir, vol] = BOTH;
    let dir = dir.replace("[1,2,3,4,5,6]", "[1,2,3,4]");
    let vol = vol.replacen("\"ReadOnly\":false", "\"ReadOnly\":true", 1);
    let verdict =
        find_faults(&cluster([&dir, &vol]), &mut SeenCluster::default(), None, None, at(0));
    assert_eq!(verdict.faults, ["1 volume is read-only: 1"]);
    assert_eq!(text(&verdict, "volumes"), "4 of 6 take new data; 1 read-only; 2 full: 5, 6");
    let dir = dir.replace("\"Free\":48", "\"Free\":0").replace("[1,2,3,4]", "[]");
    let verdict =
        find_faults(&cluster([&dir, BOTH[1]]), &mut SeenCluster::default(), None, None, at(0));
    assert_eq!(verdict.faults, ["0 of 60 volumes can still be made, and no volume takes new data"]);
}

#[test]
fn what_an_empty_cluster_leaves_out_is_nothing() {
    let dir = "{\"Topology\":{\"Max\":60,\"Free\":60,\"DataCenters\":null,\"Layouts\":null}}";
    let vol = "{\"Volumes\":{\"DataCenters\":{\"dc1\":{\"r1\":{\"a:1\":null}}}}}";
    let verdict =
        find_faults(&cluster([dir, vol]), &mut SeenCluster::default(), Some(3), None, at(0));
    assert_eq!(verdict.faults, ["0 of 3 volume servers are there"]);
    assert_eq!(collections(&cluster([dir, vol])), None);
    assert_eq!(cluster(["{}", "{}"]), Cluster::default());
}

#[test]
fn a_leader_is_read_with_and_without_its_second_port() {
    let leader = |text: &str| serde_json::from_str::<ClusterStatus>(text).unwrap().leader();
    assert_eq!(leader(LEADER).as_deref(), Some("127.0.0.1:9333"));
    assert_eq!(leader("{\"Leader\":\"10.0.0.1:9333\"}").as_deref(), Some("10.0.0.1:9333"));
    assert_eq!((leader("{}"), leader("{\"Leader\":\"\"}")), (None, None));
}

#[test]
fn copies_are_counted_as_seaweedfs_does() {
    let copies = ["000", "001", "010", "200", "111"].map(|text| Placement::read(text).copies());
    assert_eq!(copies, [1, 2, 2, 3, 4]);
}

/// The whole cluster with its volumes made for a placement, and its third server in another rack.
fn placed(placement: &str, third_in: [&str; 2]) -> Cluster {
    let vol = BOTH[1].replace("{\"node\":1}", placement);
    let mut vol: serde_json::Value = serde_json::from_str(&vol).unwrap();
    let centers = &mut vol["Volumes"]["DataCenters"];
    let third = centers["dc1"]["r1"].as_object_mut().unwrap().remove("127.0.0.1:8083").unwrap();
    let [center, rack] = third_in;
    centers[center][rack]["127.0.0.1:8083"] = third;
    cluster([BOTH[0], &vol.to_string()])
}

#[test]
fn copies_that_share_a_rack_which_should_not_are_named() {
    let faults = |cluster: &Cluster, replication| {
        find_faults(cluster, &mut SeenCluster::default(), Some(3), replication, at(0)).faults
    };
    let near = |ids: &str, number: u32| {
        vec![format!("{number} volumes with copies on too few racks or data centres: {ids}")]
    };
    let one_rack = cluster([BOTH[0], &BOTH[1].replace("{\"node\":1}", "{\"rack\":1}")]);
    assert_eq!(faults(&one_rack, None), near("1, 2, 3, 4, 5, 6", 6));
    let two_racks = placed("{\"rack\":1}", ["dc1", "r2"]);
    let on_one: Vec<u32> = two_racks
        .volumes
        .iter()
        .filter(|(_, volume)| !volume.holders.contains("127.0.0.1:8083"))
        .map(|(id, _)| *id)
        .collect();
    assert!(!on_one.is_empty() && on_one.len() < 6, "{on_one:?}");
    assert_eq!(faults(&two_racks, None), near(&list(&on_one, NAMED), count(on_one.len())));
    // Another data centre is no other rack of the same one, and the other way round.
    let two_centers = placed("{\"rack\":1}", ["dc2", "r1"]);
    assert_eq!(faults(&two_centers, None), near("1, 2, 3, 4, 5, 6", 6));
    let two_centers = placed("{\"dc\":1}", ["dc2", "r1"]);
    assert_eq!(faults(&two_centers, None), near(&list(&on_one, NAMED), count(on_one.len())));
    // What hosts.toml wants counts too; wider than wanted is no fault.
    assert_eq!(faults(&cluster(BOTH), Some("010")), near("1, 2, 3, 4, 5, 6", 6));
    let wide = placed("{\"node\":1}", ["dc1", "r2"]);
    assert_eq!(faults(&wide, Some("001")), Vec::<String>::new());
}
