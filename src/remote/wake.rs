//! Sends the packet that wakes a sleeping machine, from here or from another host's network.

use crate::fleet::{Host, WakeOnLan, duration};
use crate::remote::{Presence, Script, ScriptRunner, wait_until_started};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

/// Sends the packet from a host.
const WAKE: &str = include_str!("scripts/wake.sh");

/// How long that may take.
const LIMIT: Duration = Duration::from_secs(10);

/// How long a machine may take from the packet until it answers, where something waits for it.
const AWAKE_LIMIT: Duration = Duration::from_secs(180);

/// The port that packets are sent to; a network card does not look at it.
const PORT: u16 = 9;

/// How a packet was sent, in words.
pub type SentHow = String;

/// A host could not be woken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WakeError {
    /// Nobody knows the address of its network card.
    #[error(
        "{host} cannot be woken: hosts.toml does not name the address of its network card; add \
         mac = \"…\" to [hosts.{host}] (`ip link` on {host} shows it)"
    )]
    NoMac {
        /// The host.
        host: String,
    },
    /// The packet could not be sent from here.
    #[error("{host} cannot be woken: the packet could not be sent from this machine: {cause}")]
    Send {
        /// The host.
        host: String,
        /// Why.
        cause: String,
    },
    /// The packet could not be sent from another host.
    #[error("{host} cannot be woken: the packet could not be sent from {via}: {cause}")]
    Via {
        /// The host.
        host: String,
        /// The host that was to send it.
        via: String,
        /// Why.
        cause: String,
    },
}

/// Sends the packet that wakes a host; returns how, in words. That it was sent does not say that it was
/// heard.
pub async fn wake(runner: &dyn ScriptRunner, host: &Host) -> Result<SentHow, WakeError> {
    let name = host.name.clone();
    let Some(WakeOnLan { mac, via }) = &host.wake else {
        return Err(WakeError::NoMac { host: name });
    };
    let Some(via) = via else {
        let places = broadcasts(&std::fs::read_to_string("/proc/net/route").unwrap_or_default());
        send(&mac.magic_packet(), &places)
            .map_err(|error| WakeError::Send { host: name, cause: error.to_string() })?;
        return Ok(format!("a packet for {mac} was sent from this machine"));
    };
    let failed = |cause| WakeError::Via { host: name.clone(), via: via.clone(), cause };
    let script = Script::new(WAKE).arg(mac.to_string().replace(':', "")).limit(LIMIT);
    let output = runner.run(via, &script).await.map_err(|error| failed(error.to_string()))?;
    if !output.is_ok() {
        return Err(failed(output.complaint()));
    }
    Ok(format!("a packet for {mac} was sent from {via}, {}", output.complaint()))
}

/// What is told while a host is woken, in whole sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WakeNews {
    /// What was done, or how the machine stands.
    Said(String),
    /// What is waited for from now on.
    Waits(String),
}

impl WakeNews {
    /// Returns the sentence.
    pub fn sentence(&self) -> &str {
        match self {
            Self::Said(sentence) | Self::Waits(sentence) => sentence,
        }
    }
}

/// Wakes a host that does not answer, and waits up to three minutes until it answers; returns whether it does.
/// `tell` hears what is done meanwhile.
pub async fn rouse(
    runner: &dyn ScriptRunner,
    host: &Host,
    tell: impl Fn(WakeNews) + Send + Sync,
) -> bool {
    let name = &host.name;
    match wake(runner, host).await {
        Ok(how) => tell(WakeNews::Said(format!("{name} does not answer: {how}"))),
        Err(error) => {
            tell(WakeNews::Said(error.to_string()));
            return false;
        }
    }
    tell(WakeNews::Waits(format!("waiting up to {} until {name} is awake", duration(AWAKE_LIMIT))));
    let hear = |presence: &Presence| tell(WakeNews::Said(format!("{name}: {presence}")));
    match wait_until_started(runner, name, None, AWAKE_LIMIT, hear).await {
        Ok(_) => {
            tell(WakeNews::Said(format!("{name} is awake")));
            true
        }
        Err(error) => {
            tell(WakeNews::Said(format!("{name} was not woken: {error}")));
            false
        }
    }
}

/// Sends a packet to every one of these places; fails when none took it.
fn send(packet: &[u8], places: &[SocketAddrV4]) -> std::io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_broadcast(true)?;
    let mut failure = std::io::Error::other("this machine is in no network");
    let mut is_sent = false;
    for place in places {
        match socket.send_to(packet, place) {
            Ok(_) => is_sent = true,
            Err(error) => failure = error,
        }
    }
    if is_sent { Ok(()) } else { Err(failure) }
}

/// Returns the broadcast address of every network that this machine is in, and the one of all, from
/// the kernel's table of routes (`/proc/net/route`: addresses as hexadecimal, the last byte first).
fn broadcasts(routes: &str) -> Vec<SocketAddrV4> {
    let mut found: Vec<Ipv4Addr> = routes.lines().skip(1).filter_map(broadcast).collect();
    found.push(Ipv4Addr::BROADCAST);
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|address| SocketAddrV4::new(address, PORT)).collect()
}

/// Returns the broadcast address of a route that leads straight to a network of more than two
/// machines.
fn broadcast(route: &str) -> Option<Ipv4Addr> {
    let fields: Vec<&str> = route.split_whitespace().collect();
    let number = |index: usize| {
        let field: &&str = fields.get(index)?;
        u32::from_str_radix(field, 16).ok().map(u32::swap_bytes)
    };
    let (network, gateway, mask) = (number(1)?, number(2)?, number(7)?);
    let is_network = gateway == 0 && mask != 0 && mask.count_ones() < 31;
    let is_loopback = Ipv4Addr::from(network).is_loopback();
    (is_network && !is_loopback).then(|| Ipv4Addr::from(network | !mask))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Fleet, MacAddress};
    use crate::remote::{FakeRunner, Output, Trouble};
    use std::path::Path;

    const ROUTES: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
wg0\t0200000A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0
br0\t0000D50A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
odd
";

    fn fleet() -> Fleet {
        let text = "[hosts.p620]\n[hosts.samsung]\nmac = \"0a:1b:2c:3d:4e:5f\"\nwake_via = \"p620\"\n\
                    [hosts.razer]\n";
        crate::config::parse(text, Path::new("hosts.toml"), None).unwrap()
    }

    #[test]
    fn every_network_of_this_machine_hears_the_packet() {
        let found: Vec<String> = broadcasts(ROUTES).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.213.255.255:9", "192.168.1.255:9", "255.255.255.255:9"]);
        assert_eq!(broadcasts("").len(), 1);
    }

    #[test]
    fn the_packet_arrives_as_it_was_made() {
        let ear = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        ear.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let place = SocketAddrV4::new(Ipv4Addr::LOCALHOST, ear.local_addr().unwrap().port());
        let packet = MacAddress::parse("0a:1b:2c:3d:4e:5f").unwrap().magic_packet();
        send(&packet, &[place]).unwrap();
        let mut heard = [0; 256];
        let length = ear.recv(&mut heard).unwrap();
        assert_eq!(heard[..length], packet);
        assert!(send(&packet, &[]).is_err(), "a packet that went nowhere is not sent");
    }

    #[tokio::test]
    async fn another_host_sends_it_where_hosts_toml_says_so() {
        let fleet = fleet();
        let runner = FakeRunner::new(|_, _| {
            Ok(Output { stdout: "by broadcast\n".to_owned(), ..Output::default() })
        });
        let how = wake(&runner, fleet.host("samsung").unwrap()).await.unwrap();
        assert_eq!(how, "a packet for 0a:1b:2c:3d:4e:5f was sent from p620, by broadcast");
        let asked = runner.asked();
        assert_eq!(
            (asked[0].0.as_str(), &asked[0].1.args[..]),
            ("p620", &["0a1b2c3d4e5f".to_owned()][..])
        );
    }

    #[tokio::test]
    async fn who_cannot_be_woken_is_said_with_what_to_do() {
        let fleet = fleet();
        let runner = FakeRunner::new(|host, _| {
            Err(crate::remote::RemoteError::new(host, Trouble::Unreachable, "No route to host"))
        });
        let error = wake(&runner, fleet.host("razer").unwrap()).await.unwrap_err().to_string();
        assert!(error.contains("add mac = ") && error.contains("[hosts.razer]"), "{error}");
        let error = wake(&runner, fleet.host("samsung").unwrap()).await.unwrap_err().to_string();
        assert!(error.contains("could not be sent from p620: p620: No route to host"), "{error}");
    }

    /// Runs this with the functions of the script, for a card whose address has a byte that ends a line.
    fn with_functions(command: &str) -> std::process::Output {
        let functions = WAKE.split("\nif command").next().unwrap();
        let script = format!("set -- 0a1b2c3d4e5f\n{functions}\n{command}\n");
        std::process::Command::new("/bin/sh").args(["-c", &script]).output().unwrap()
    }

    #[test]
    fn bash_sends_the_packet_in_one_piece() {
        let ear = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        ear.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let place = format!("/dev/udp/127.0.0.1/{}", ear.local_addr().unwrap().port());
        let output = with_functions(&format!("send_with_bash \"$(escapes \"$1\")\" {place}"));
        assert!(output.status.success(), "{output:?}");
        let mut heard = [0; 256];
        let length = ear.recv(&mut heard).unwrap();
        assert_eq!(heard[..length], MacAddress::parse("0a:1b:2c:3d:4e:5f").unwrap().magic_packet());
        ear.set_nonblocking(true).unwrap();
        assert!(ear.recv(&mut heard).is_err(), "nothing follows");
        assert!(!with_functions("send_with_bash x /nowhere/at/all").status.success());
    }

    #[test]
    fn a_real_shell_makes_the_same_packet() {
        let output = with_functions("printf \"$(escapes \"$1\")\"");
        let packet = MacAddress::parse("0a:1b:2c:3d:4e:5f").unwrap().magic_packet();
        assert_eq!(output.stdout, packet, "{}", String::from_utf8_lossy(&output.stderr));
    }
}
