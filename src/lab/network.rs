//! The lab's network: one bridge in a namespace of its own (so that no firewall of this machine sees what the hosts say to
//! each other), one namespace for each host and for the static cache, and one interface by which the operator takes part.
//!
//! ```text
//!   this machine          nd-N-net                  nd-N-p620 …
//!   nd-N 10.213.N.1 ───── up0 ─ br0 ─ p620 ──────── host0 10.213.N.10
//! ```

use std::path::Path;

use super::error::LabError;
use super::names::{HOSTS, Subnet, subnet_candidates};
use super::state::Shelf;
use super::tool::Tool;

/// The name of the static cache's namespace and of its port.
pub(crate) const STATIC: &str = "static";

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
pub(crate) fn is_up(subnet: Subnet) -> bool {
    Path::new("/sys/class/net").join(subnet.prefix()).exists()
        && ends().all(|(end, _)| namespace_exists(&subnet.namespace(end)))
}

fn namespace_exists(name: &str) -> bool {
    Path::new("/run/netns").join(name).exists()
}

/// Everything that hangs on the bridge, with the last number of its address.
fn ends() -> impl Iterator<Item = (&'static str, u8)> {
    HOSTS
        .into_iter()
        .map(|host| (host.name, host.number))
        .chain([(STATIC, Subnet(0).static_cache().octets()[3])])
}

/// Makes it, from nothing.
pub(crate) fn create(subnet: Subnet) -> Result<(), LabError> {
    let bridge = subnet.namespace("net");
    let prefix = subnet.prefix();
    let mut outside = format!("netns add {bridge}\n");
    let mut on_bridge =
        String::from("link set lo up\nlink add br0 type bridge forward_delay 0\nlink set br0 up\n");
    for (end, _) in ends() {
        outside += &format!("netns add {}\n", subnet.namespace(end));
    }
    outside += &format!("link add {prefix} type veth peer name up0 netns {bridge}\n");
    outside +=
        &format!("address add {}/24 dev {prefix}\nlink set {prefix} up\n", subnet.operator());
    on_bridge += "link set up0 master br0\nlink set up0 up\n";
    for (end, _) in ends() {
        let namespace = subnet.namespace(end);
        on_bridge += &format!("link add {end} type veth peer name host0 netns {namespace}\n");
        on_bridge += &format!("link set {end} master br0\nlink set {end} up\n");
    }
    batch("making the lab's network", &[], outside)?;
    batch("making the lab's bridge", &["-n", &bridge], on_bridge)?;
    for (end, number) in ends() {
        let octets = subnet.operator().octets();
        let address = format!("{}.{}.{}.{number}/24", octets[0], octets[1], octets[2]);
        let inside =
            format!("link set lo up\naddress add {address} dev host0\nlink set host0 up\n");
        batch("setting up a host's interface", &["-n", &subnet.namespace(end)], inside)?;
    }
    Ok(())
}

/// Takes it all away, however much of it there is.
pub(crate) fn remove(subnet: Subnet) {
    let ip = |arguments: &[&str]| {
        Tool::new("removing the lab's network", "ip").args(arguments).try_run()
    };
    if Path::new("/sys/class/net").join(subnet.prefix()).exists() {
        ip(&["link", "delete", &subnet.prefix()]);
    }
    for end in ends().map(|(end, _)| end).chain(["net"]) {
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
