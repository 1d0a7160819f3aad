//! A real SeaweedFS cluster that loses a volume server, and its S3 gateway as a bucket.

use super::{Lab, assert_ok, lab, on};
use crate::eyes::{Eyes, detail};
use nixdash::fleet::{Code, SignatureState, StorePath, TierKind, TierState};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The cluster of the fleet under test, whole again.
struct Cluster {
    fleet: Lab,
    text: String,
}

impl Cluster {
    fn healthy() -> Self {
        let fleet = Lab::healthy();
        assert_ok(&lab(&["fault", "seaweed", "clear"]));
        let text = std::fs::read_to_string(&fleet.hosts_file).unwrap();
        Self { fleet, text }
    }

    fn eyes(&self) -> Eyes {
        Eyes::of(&self.text)
    }

    /// Returns the volumes that SeaweedFS's own shell calls under-replicated.
    fn shell_says(&self) -> BTreeSet<u32> {
        let shared = self.fleet.hosts_file.parent().unwrap().parent().unwrap().join("weed");
        let program = std::fs::read_dir(shared)
            .unwrap()
            .map(|entry| entry.unwrap().path().join("bin/weed"))
            .find(|program: &PathBuf| program.is_file())
            .expect("the cluster's program");
        let eyes = self.eyes();
        let TierKind::Seaweedfs(seaweed) = &eyes.tier("weed").kind else { panic!("no cluster") };
        let master = seaweed.masters[0].trim_start_matches("http://").to_owned();
        // The shell announces its own address to the master, so it runs inside the namespace.
        let network = master.split('.').nth(2).unwrap().to_owned();
        let mut child = Command::new("nsenter")
            .arg(format!("--net=/run/netns/nd-{network}-weed"))
            .arg(program)
            .args(["shell", "-master", &master])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, b"volume.fix.replication -apply=false\n").unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert_ok(&output);
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        said.lines()
            .filter(|line| line.contains("under replicated"))
            .map(|line| line.split(' ').nth(1).unwrap().parse().unwrap())
            .collect()
    }
}

/// Returns the paths of a host's running system.
fn closure(host: &str) -> Vec<StorePath> {
    let text = on(host, "nix-store -qR $(readlink -f /run/current-system)");
    text.lines().map(|line| StorePath::parse(line).unwrap()).collect()
}

/// Returns the path of the system that every host of the fleet began with and the bucket holds.
fn first_system() -> StorePath {
    StorePath::parse(&on("samsung", "readlink -f /nix/var/nix/profiles/system-1-link")).unwrap()
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_lost_volume_server_is_named_with_the_volumes_that_lack_a_copy() {
    let cluster = Cluster::healthy();
    let eyes = cluster.eyes();
    let facts = eyes.probe("weed", &[first_system()]);
    assert_eq!(facts.state, TierState::Up, "{facts:?}");
    assert_eq!(facts.signature, SignatureState::Valid, "{facts:?}");
    assert!(facts.nar_proof.is_some(), "{facts:?}");
    assert_eq!(facts.findings, [], "{facts:?}");
    assert_eq!(cluster.shell_says(), BTreeSet::new());

    // Of three servers with two copies of everything, at least one pair shares volumes.
    assert_ok(&lab(&["fault", "seaweed", "volume-server-down", "1"]));
    let mut facts = eyes.probe("weed", &[first_system()]);
    if facts.state == TierState::Up {
        facts = eyes.probe("weed", &[first_system()]);
    }
    assert_eq!(facts.state, TierState::Degraded, "{facts:?}");
    let error = facts.error().unwrap();
    assert!(error.contains("2 of 3 volume servers are there; 10.213."), "{error}");
    assert!(error.contains(":8081 is gone"), "{error}");
    let lacking = facts.findings.iter().find(|found| found.code == Code::CopiesMissing);
    let replication = lacking.unwrap().cause.clone();
    let (counted, list) = replication.rsplit_once(": ").unwrap();
    // A long list ends in dots.
    let ids = list.split(", ").filter(|id| *id != "…");
    let named: BTreeSet<u32> = ids.map(|id| id.parse().unwrap()).collect();
    let mut lacking = cluster.shell_says();
    assert!(counted.contains(&format!("{} ", lacking.len())), "{replication} {lacking:?}");
    if list.ends_with('…') {
        lacking.retain(|id| named.last().is_none_or(|last| id <= last));
    }
    assert_eq!(named, lacking, "{replication}");
    assert!(!named.is_empty());
    // What `nixdash status` says, of its first look.
    let status = cluster.fleet.status();
    let tiers = status["tiers"].as_array().unwrap();
    let weed = tiers.iter().find(|tier| tier["name"] == "weed").unwrap();
    assert_eq!(weed["state"], "degraded", "{weed}");
    assert_eq!(weed["signature"], "valid", "reads go on: {weed}");

    assert_ok(&lab(&["fault", "seaweed", "clear"]));
    let facts = eyes.probe("weed", &[first_system()]);
    assert_eq!((facts.state, &facts.findings[..]), (TierState::Up, &[][..]));
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn the_gateway_counts_requests_and_the_volumes_their_bytes() {
    let cluster = Cluster::healthy();
    let eyes = cluster.eyes();
    let facts = eyes.probe("weed", &[]);
    assert_eq!(facts.served, None, "nothing to compare with yet");
    let bucket = eyes.tier("weed").url.clone();
    for file in ["nix-cache-info", "nope.narinfo"] {
        let url = format!("{bucket}/{file}");
        Command::new("curl").args(["--silent", "--noproxy", "*", &url]).output().unwrap();
    }
    let facts = eyes.probe("weed", &[]);
    let served = facts.served.expect("counters");
    assert_eq!(served.answered, None, "narinfos are not told from nars: no hit rate");
    assert!(served.requests_per_s.unwrap() > 0.0, "{served:?}");
    let missed = served.not_found.unwrap();
    assert!(missed > 0.0 && missed < 1.0, "{served:?}");
    let size = facts.size.unwrap();
    assert!(size.exact && size.bytes > 1_000_000, "{size:?}");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn the_gateway_is_a_bucket_with_right_wrong_and_no_keys() {
    let cluster = Cluster::healthy();
    let weed = cluster.eyes();
    let (endpoint, _) = weed.tier("weed").url.rsplit_once('/').unwrap();
    let line = |key: &str| cluster.text.lines().find(|line| line.starts_with(key)).unwrap();
    let (access, secret) = (line("access_key"), line("secret_key"));
    let public = weed.tier("weed").public_key.as_ref().unwrap().text.clone();
    let tier = |name: &str, bucket: &str, more: &str| {
        format!(
            "[[tiers]]\nname = \"{name}\"\nkind = \"s3\"\npublic_key = \"{public}\"\n\
             url = \"s3://{bucket}?endpoint={endpoint}&region=us-east-1\"\n{more}\n"
        )
    };
    let wrong = "secret_key = { command = [\"echo\", \"canary-secret\"] }";
    let unknown = format!("access_key = {{ command = [\"echo\", \"NOBODY\"] }}\n{wrong}");
    let eyes = Eyes::of(
        &[
            tier("right", "nix-cache", &format!("{access}\n{secret}")),
            tier("wrong", "nix-cache", &format!("{access}\n{wrong}")),
            tier("unknown", "nix-cache", &unknown),
            tier("none", "nix-cache", ""),
            tier("no-bucket", "another", &format!("{access}\n{secret}")),
        ]
        .concat(),
    );
    let system = [first_system()];
    let facts = eyes.probe("right", &system);
    assert_eq!((facts.state, facts.signature), (TierState::Up, SignatureState::Valid), "{facts:?}");
    let facts = eyes.probe("none", &system);
    assert_eq!((facts.state, facts.signature), (TierState::Up, SignatureState::Valid), "{facts:?}");
    for (name, state, word) in [
        ("wrong", TierState::Unauthorized, "SignatureDoesNotMatch"),
        ("unknown", TierState::Unauthorized, "InvalidAccessKeyId"),
        ("no-bucket", TierState::Degraded, "no such bucket"),
    ] {
        let facts = eyes.probe(name, &system);
        let error = facts.error().unwrap();
        assert_eq!(facts.state, state, "{name}: {error}");
        assert!(error.contains(word) && !error.contains("canary-secret"), "{name}: {error}");
    }

    // A clock that goes wrong is named, before and after signatures are refused for it.
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(10);
    let facts = eyes.probe_at("right", &system, later);
    let clock = facts.findings.iter().find(|found| found.code == Code::ClockSkew).unwrap();
    assert!(clock.cause.contains("10 min ahead of"), "{facts:?}");

    // Every narinfo of the copy, and nothing else, is held.
    let held = eyes.holds("right", &closure("samsung")).unwrap();
    let held_by_name = weed.holds("weed", &closure("samsung")).unwrap();
    assert_eq!(held, held_by_name);
    let size = eyes.size("right").unwrap().unwrap();
    let by_volume = weed.probe("weed", &[]).size.unwrap();
    assert_eq!(eyes.size("none").unwrap(), None, "it may not be listed without keys");
    // The volumes pack small texts, and put some bytes of their own around each object.
    assert!(size.exact && size.bytes.abs_diff(by_volume.bytes) < size.bytes / 100);
    let facts = eyes.probe("right", &system);
    let narinfos = detail(&facts, "objects").split(' ').next().unwrap().to_owned();
    // Every narinfo has a nar of its own or shares one; all are of samsung's first system.
    let first = on("samsung", "nix-store -qR /nix/var/nix/profiles/system-1-link/ | wc -l");
    assert_eq!(narinfos, first);
}
