//! Faults of a host: its cable, its power, its sshd, its disks, its boot loader, its shells, its trust.

use std::time::Duration;

use super::{HostFault, latency};
use crate::lab::container;
use crate::lab::error::{ErrorContext, LabError};
use crate::lab::inside;
use crate::lab::names::{LabHost, Subnet};
use crate::lab::network::in_namespace;
use crate::lab::process::wait_for;
use crate::lab::state::{LabRecord, Places, Shelf, write};
use crate::lab::texts;
use crate::lab::tool::Tool;
use crate::lab::up;

const DISK_FULL: &str = include_str!("../guest/disk-full.sh");

const RUN_FULL: &str = include_str!("../guest/run-full.sh");
const VAR_FULL: &str = include_str!("../guest/var-full.sh");
const BOOT_PINNED: &str = include_str!("../guest/boot-pinned.sh");
const CHATTY: &str = include_str!("../guest/chatty.sh");
const NETWORK_HEAL: &str = include_str!("../guest/network-heal.sh");

/// The file by which `setupSecrets` knows that its key is gone.
const NO_SECRETS_KEY: &str = "etc/nixdash-lab/no-secrets-key";

/// The nftables table of the loss fault, in the host's network namespace.
const LOSS_TABLE: &str = "nixdash_lab";

/// Carries a fault out; faults add up until they are cleared.
pub(crate) fn apply(
    shelf: &Shelf,
    places: &Places,
    record: &LabRecord,
    host: LabHost,
    fault: HostFault,
) -> Result<(), LabError> {
    let subnet = record.subnet();
    match fault {
        HostFault::Partition => partition(subnet, host),
        HostFault::Latency(ms) => latency::set(places, subnet, host, ms),
        HostFault::Loss(percent) => loss(subnet, host, Some(percent)),
        // As on any machine, sessions that are open outlive the server.
        HostFault::SshdStop => systemctl(record, host, &["stop", "ssh.service"]),
        HostFault::PowerOff => container::kill(places, record, host),
        HostFault::PowerCycle => {
            container::kill(places, record, host)?;
            power_on(shelf, places, record, host)
        }
        HostFault::DiskFull => script(record, host, DISK_FULL, &["set"]),
        HostFault::RunFull => script(record, host, RUN_FULL, &["set"]),
        HostFault::VarFull => script(record, host, VAR_FULL, &["set"]),
        HostFault::BootPinned => script(record, host, BOOT_PINNED, &["set"]),
        HostFault::NoSecretsKey => {
            write(&places.host(host, "root").join(NO_SECRETS_KEY), "", 0o644)
        }
        HostFault::Chatty => script(record, host, CHATTY, &["set", host.user]),
        HostFault::Untrust => trust(shelf, places, record, host, false),
        HostFault::Clear => clear(shelf, places, record, host),
    }
}

fn clear(
    shelf: &Shelf,
    places: &Places,
    record: &LabRecord,
    host: LabHost,
) -> Result<(), LabError> {
    let subnet = record.subnet();
    latency::clear(places, subnet, host)?;
    loss(subnet, host, None)?;
    // Into the bridge, where every cable ends.
    port(subnet, host, &["master", "br0"])?;
    trust(shelf, places, record, host, true)?;
    let no_key = places.host(host, "root").join(NO_SECRETS_KEY);
    if no_key.exists() {
        std::fs::remove_file(&no_key).at("removing", &no_key)?;
    }
    if container::leader(record, host).is_none() {
        power_on(shelf, places, record, host)?;
    }
    script(record, host, NETWORK_HEAL, &[])?;
    for disk in [DISK_FULL, RUN_FULL, VAR_FULL] {
        script(record, host, disk, &["clear"])?;
    }
    script(record, host, BOOT_PINNED, &["clear"])?;
    script(record, host, CHATTY, &["clear", host.user])?;
    systemctl(record, host, &["start", "ssh.service"])
}

fn power_on(
    shelf: &Shelf,
    places: &Places,
    record: &LabRecord,
    host: LabHost,
) -> Result<(), LabError> {
    up::start_host(shelf, places, record, host)?;
    // A host whose cable is cut does not answer here, and is on all the same.
    wait_for(Duration::from_secs(15), || {
        container::state(record, host) == container::ContainerState::Up
    });
    Ok(())
}

/// Takes the host's port out of the bridge: the cable stays in, nothing comes through.
fn partition(subnet: Subnet, host: LabHost) -> Result<(), LabError> {
    // With latency on, another port is the one in the bridge.
    latency::cut(subnet, host)?;
    port(subnet, host, &["nomaster"])
}

fn port(subnet: Subnet, host: LabHost, change: &[&str]) -> Result<(), LabError> {
    Tool::new(format!("changing the network port of {}", host.name), "ip")
        .args(["-n", &subnet.namespace("net"), "link", "set", host.name])
        .args(change)
        .run()
        .map(|_| ())
}

fn loss(subnet: Subnet, host: LabHost, percent: Option<u32>) -> Result<(), LabError> {
    // Declared before it is deleted, so that deleting what is not there is no error.
    let mut rules = vec![format!("table inet {LOSS_TABLE}\ndelete table inet {LOSS_TABLE}\n")];
    rules.extend(percent.map(|percent| {
        let drop = format!("numgen random mod 100 < {percent} drop");
        format!(
            "table inet {LOSS_TABLE} {{\n\
             chain come {{ type filter hook input priority 0; iifname \"host0\" {drop}; }}\n\
             chain go {{ type filter hook output priority 0; oifname \"host0\" {drop}; }}\n\
             }}\n"
        )
    }));
    in_namespace(&subnet.namespace(host.name), &format!("setting the packet loss of {}", host.name))
        .args(["nft", "-f", "-"])
        .input(rules.concat())
        .run()
        .map(|_| ())
}

/// Runs one of the lab's scripts on a host.
fn script(
    record: &LabRecord,
    host: LabHost,
    script: &str,
    arguments: &[&str],
) -> Result<(), LabError> {
    inside::command(record, host, "changing what is wrong")?
        .args(["/bin/sh", "-s", "--"])
        .args(arguments)
        .input(script)
        .run()
        .map(|_| ())
}

fn trust(
    shelf: &Shelf,
    places: &Places,
    record: &LabRecord,
    host: LabHost,
    builder: bool,
) -> Result<(), LabError> {
    let keys = up::public_keys(shelf, record)?;
    let text = texts::nix_conf(&up::facts(places, record, &keys), host, builder);
    let path = places.host(host, "root").join("etc/nix/nix.conf");
    if std::fs::read_to_string(&path).is_ok_and(|present| present == text) {
        return Ok(());
    }
    write(&path, text, 0o644)?;
    if container::leader(record, host).is_some() {
        // The daemon reads its configuration when it starts, and only then.
        systemctl(record, host, &["try-restart", "nix-daemon.service"])?;
    }
    Ok(())
}

fn systemctl(record: &LabRecord, host: LabHost, arguments: &[&str]) -> Result<(), LabError> {
    inside::command(record, host, "asking systemd")?
        .arg("systemctl")
        .args(arguments)
        .run()
        .map(|_| ())
}
