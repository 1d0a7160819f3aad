//! What of a lab is up: the document behind `nixdash lab status --json`.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::container;
use super::names::HOSTS;
use super::state::{Places, Record};

/// A lab, its hosts and its caches.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The configuration file of the fleet.
    pub hosts_file: PathBuf,
    /// The git repository of its flake.
    pub flake: PathBuf,
    /// Every host.
    pub hosts: Vec<HostStatus>,
    /// Both caches.
    pub caches: Vec<CacheStatus>,
}

/// One host.
#[derive(Debug, Clone, Serialize)]
pub struct HostStatus {
    /// Its name.
    pub name: &'static str,
    /// Where ssh finds it, as `user@address`.
    pub address: String,
    /// Its process 1, seen from outside; killing it is a power cut. Null when it is off.
    pub pid: Option<u32>,
    /// `up`, `unreachable` (its sshd does not answer here) or `off`.
    pub state: &'static str,
}

/// One cache.
#[derive(Debug, Clone, Serialize)]
pub struct CacheStatus {
    /// Its name.
    pub name: &'static str,
    /// Where it answers.
    pub url: String,
    /// The key it signs with, as trusted-public-keys wants it.
    pub public_key: String,
    /// `up`, or `down` when it does not answer here.
    pub state: &'static str,
}

pub(crate) fn status(places: &Places, record: &Record, keys: [String; 2]) -> Status {
    let subnet = record.subnet();
    let [builder_key, static_key] = keys;
    std::thread::scope(|scope| {
        let hosts = HOSTS.map(|host| {
            scope.spawn(move || HostStatus {
                name: host.name,
                address: format!("{}@{}", host.user, subnet.of(host)),
                pid: container::leader(record, host),
                state: container::state(record, host).word(),
            })
        });
        let cache = |name, url: String, public_key, address: Ipv4Addr, port| {
            let state = if cache_answers(address, port) { "up" } else { "down" };
            CacheStatus { name, url, public_key, state }
        };
        let caches = vec![
            cache("p620", subnet.builder_cache_url(), builder_key, subnet.of(HOSTS[0]), 5000),
            cache("static", subnet.static_cache_url(), static_key, subnet.static_cache(), 80),
        ];
        Status {
            hosts_file: places.hosts_file(),
            flake: places.flake(),
            hosts: hosts.into_iter().filter_map(|host| host.join().ok()).collect(),
            caches,
        }
    })
}

/// Whether a cache answers for its nix-cache-info.
fn cache_answers(address: Ipv4Addr, port: u16) -> bool {
    const LIMIT: Duration = Duration::from_secs(1);
    let Ok(mut stream) = TcpStream::connect_timeout(&(address, port).into(), LIMIT) else {
        return false;
    };
    let request = b"GET /nix-cache-info HTTP/1.1\r\nHost: cache\r\nConnection: close\r\n\r\n";
    let mut answer = [0; 12];
    stream.set_read_timeout(Some(LIMIT)).is_ok()
        && stream.write_all(request).is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && answer.ends_with(b"200")
}
