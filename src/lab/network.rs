//! The lab's network: one bridge in a namespace of its own (so that no firewall of this machine sees what the hosts say to
//! each other), one namespace for each host and for the static cache, and one interface by which the operator takes part.
//!
//! ```text
//!   this machine          nd-N-net                  nd-N-p620 …
//!   nd-N 10.213.N.1 ───── up0 ─ br0 ─ p620 ──────── host0 10.213.N.10
//! ```

use std::path::Path;

use super::error::LabError;
use super::names::{LabHost, Subnet, subnet_candidates};
use super::state::Shelf;
use super::tool::Tool;

/// The name of the static cache's namespace and of its port.
pub(crate) const STATIC: &str = "static";

/// The name of the SeaweedFS cluster's namespace and of its port, where there is a cluster.
pub(crate) const WEED: &str = "weed";

/// Picks a network that no other lab and no interface of this machine has.
pub(crate) fn choose(shelf: &Shelf, name: &str) -> Result<Subnet, LabError> {
    let taken: Vec<u8> = shelf.records().iter().map(|record| record.subnet).collect();
    let addresses = Tool::new("looking at this machine's addresses", "ip")
        .args(["-4", "route", "show", "table", "all"])
        .run()?;
    subnet_candidates(name)
        .find(|number| !taken.contains(number) && !addresses.contains(&format!("10.213.{number}.")))
        .map(Subnet)
        .ok_or(LabError::NoSubnet)
}

/// Whether all of it is there.
pub(crate) fn is_up(subnet: Subnet, hosts: &[LabHost]) -> bool {
    Path::new("/sys/class/net").join(subnet.prefix()).exists()
        && ends(hosts).all(|(end, _)| namespace_exists(&subnet.namespace(end)))
}

fn namespace_exists(name: &str) -> bool {
    Path::new("/run/netns").join(name).exists()
}

/// Everything that hangs on the bridge, with the last number of its address.
fn ends(hosts: &[LabHost]) -> impl Iterator<Item = (&'static str, u8)> {
    hosts
        .iter()
        .map(|host| (host.name, host.number))
        .chain([(STATIC, Subnet(0).static_cache().octets()[3])])
}

/// Makes it, from nothing.
pub(crate) fn create(subnet: Subnet, hosts: &[LabHost]) -> Result<(), LabError> {
    let bridge = subnet.namespace("net");
    let prefix = subnet.prefix();
    let mut outside = vec![format!("netns add {bridge}")];
    outside.extend(ends(hosts).map(|(end, _)| format!("netns add {}", subnet.namespace(end))));
    outside.extend([
        format!("link add {prefix} type veth peer name up0 netns {bridge}"),
        format!("address add {}/24 dev {prefix}", subnet.operator()),
        format!("link set {prefix} up"),
    ]);
    let mut on_bridge: Vec<String> =
        ["link set lo up", "link add br0 type bridge forward_delay 0", "link set br0 up"]
            .map(str::to_owned)
            .into();
    on_bridge.extend(["link set up0 master br0", "link set up0 up"].map(str::to_owned));
    for (end, _) in ends(hosts) {
        on_bridge.extend(cable(subnet, end));
    }
    batch("making the lab's network", &[], outside.join("\n"))?;
    batch("making the lab's bridge", &["-n", &bridge], on_bridge.join("\n"))?;
    for (end, number) in ends(hosts) {
        set_up(subnet, end, number)?;
    }
    Ok(())
}

/// Adds the place of the SeaweedFS cluster, where it is not there.
pub(crate) fn add_weed(subnet: Subnet) -> Result<(), LabError> {
    let namespace = subnet.namespace(WEED);
    if namespace_exists(&namespace) {
        return Ok(());
    }
    batch("making the cluster's network", &[], format!("netns add {namespace}"))?;
    let bridge = subnet.namespace("net");
    let made =
        batch("making the cluster's network", &["-n", &bridge], cable(subnet, WEED).join("\n"))
            .and_then(|()| set_up(subnet, WEED, subnet.weed().octets()[3]));
    if made.is_err() {
        Tool::new("removing half a network", "ip").args(["netns", "delete", &namespace]).try_run();
    }
    made
}

/// A cable from the bridge into a namespace, as seen from the bridge.
fn cable(subnet: Subnet, end: &str) -> [String; 3] {
    [
        format!("link add {end} type veth peer name host0 netns {}", subnet.namespace(end)),
        format!("link set {end} master br0"),
        format!("link set {end} up"),
    ]
}

/// Gives a namespace its address.
fn set_up(subnet: Subnet, end: &str, number: u8) -> Result<(), LabError> {
    let octets = subnet.operator().octets();
    let address = format!("{}.{}.{}.{number}/24", octets[0], octets[1], octets[2]);
    let inside = format!("link set lo up\naddress add {address} dev host0\nlink set host0 up\n");
    batch("setting up a host's interface", &["-n", &subnet.namespace(end)], inside)
}

/// Takes it all away, however much of it there is.
pub(crate) fn remove(subnet: Subnet, hosts: &[LabHost]) {
    let ip = |arguments: &[&str]| {
        Tool::new("removing the lab's network", "ip").args(arguments).try_run();
    };
    if Path::new("/sys/class/net").join(subnet.prefix()).exists() {
        ip(&["link", "delete", &subnet.prefix()]);
    }
    for end in ends(hosts).map(|(end, _)| end).chain([WEED, "net"]) {
        let namespace = subnet.namespace(end);
        if namespace_exists(&namespace) {
            ip(&["netns", "delete", &namespace]);
        }
    }
}

/// The beginning of a command that runs in a network namespace.
pub(crate) fn in_namespace(namespace: &str, doing: &str) -> Tool {
    Tool::new(doing, "nsenter").arg(format!("--net=/run/netns/{namespace}"))
}

fn batch(doing: &str, options: &[&str], commands: String) -> Result<(), LabError> {
    Tool::new(doing, "ip").args(options).args(["-batch", "-"]).input(commands).run().map(|_| ())
}
