//! Latency on a host's cable: netem where the kernel has it, else a relay that carries each frame a little later.
//!
//! The relay stands between the lab's bridge and the host's port, each with a TAP device on its side:
//!
//! ```text
//!   br0 ─ a12 ══ relay.pl ══ b12 ─ l12 ─ samsung ──── host0
//! ```

use std::path::Path;

use crate::lab::error::LabError;
use crate::lab::names::{LabHost, Subnet};
use crate::lab::network::in_namespace;
use crate::lab::process;
use crate::lab::state::{Places, write};
use crate::lab::tool::Tool;

const RELAY: &str = include_str!("../guest/relay.pl");

/// Makes every round trip so many milliseconds longer, instead of any earlier latency.
pub(crate) fn set(places: &Places, subnet: Subnet, host: LabHost, ms: u32) -> Result<(), LabError> {
    clear(places, subnet, host)?;
    let bridge = subnet.namespace("net");
    let netem = Tool::new("adding latency", "tc")
        .args([
            "-n",
            &bridge,
            "qdisc",
            "add",
            "dev",
            host.name,
            "root",
            "netem",
            "delay",
            &format!("{ms}ms"),
        ])
        .args(["limit", "100000"])
        .run();
    if netem.is_ok() {
        return Ok(());
    }
    if !Path::new("/dev/net/tun").exists() {
        return Err(LabError::Usage(
            "this kernel has neither netem nor /dev/net/tun, so there can be no latency; try `modprobe sch_netem` or `modprobe tun`"
                .to_owned(),
        ));
    }
    let RelayNames { outer, inner, link } = RelayNames::of(host);
    let commands = format!(
        "tuntap add dev {outer} mode tap\ntuntap add dev {inner} mode tap\n\
         link add {link} type bridge forward_delay 0\nlink set {link} up\n\
         link set {outer} master br0\nlink set {outer} up\nlink set {inner} master {link}\nlink set {inner} up\n\
         link set {} master {link}\n",
        host.name
    );
    ip(&bridge, "putting a relay into the cable", &commands)?;
    let script = places.file("run/relay.pl");
    write(&script, RELAY, 0o755)?;
    let half = format!("{}", f64::from(ms) / 2.0);
    let command = in_namespace(&bridge, "").arg("perl").arg(&script).args([&outer, &inner, &half]);
    process::launch(places, &process_name(host), &subnet.namespace(&process_name(host)), &command)?;
    ip(&bridge, "forgetting old ways", "link set br0 type bridge fdb_flush\n")
}

/// Takes the latency away; the host's port is on the bridge again, unless it was cut.
pub(crate) fn clear(places: &Places, subnet: Subnet, host: LabHost) -> Result<(), LabError> {
    let bridge = subnet.namespace("net");
    Tool::new("removing latency", "tc")
        .args(["-n", &bridge, "qdisc", "del", "dev", host.name, "root"])
        .try_run();
    let RelayNames { outer, inner, link } = RelayNames::of(host);
    if !exists(&bridge, &link) {
        return Ok(());
    }
    process::kill(places, &process_name(host), None)?;
    process::remove_groups(&subnet.namespace(&process_name(host)));
    let commands = format!(
        "link set {} master br0\nlink delete {outer}\nlink delete {inner}\nlink delete {link}\n\
         link set br0 type bridge fdb_flush\n",
        host.name
    );
    ip(&bridge, "taking the relay out of the cable", &commands)
}

/// Cuts the cable on the bridge's side of the relay, where there is one.
pub(crate) fn cut(subnet: Subnet, host: LabHost) -> Result<(), LabError> {
    let bridge = subnet.namespace("net");
    let RelayNames { outer, link, .. } = RelayNames::of(host);
    if exists(&bridge, &link) {
        ip(&bridge, "cutting the cable", &format!("link set {outer} nomaster\n"))
    } else {
        Ok(())
    }
}

/// What the relay is recorded as.
fn process_name(host: LabHost) -> String {
    format!("relay-{}", host.name)
}

/// The devices of one relay.
struct RelayNames {
    outer: String,
    inner: String,
    link: String,
}

impl RelayNames {
    fn of(host: LabHost) -> Self {
        let number = host.number;
        Self {
            outer: format!("a{number}"),
            inner: format!("b{number}"),
            link: format!("l{number}"),
        }
    }
}

fn exists(namespace: &str, device: &str) -> bool {
    Tool::new("looking for a device", "ip")
        .args(["-n", namespace, "link", "show", "dev", device])
        .run()
        .is_ok()
}

fn ip(namespace: &str, doing: &str, commands: &str) -> Result<(), LabError> {
    Tool::new(doing, "ip").args(["-n", namespace, "-batch", "-"]).input(commands).run().map(|_| ())
}
