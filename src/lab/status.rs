//! What of a lab is up: the document behind `nixdash lab status --json`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::container;
use super::error::LabError;
use super::names::{HOSTS, LabHost, Subnet};
use super::network::STATIC;
use super::process;
use super::seaweed;
use super::state::{LabRecord, Places};

/// A lab, its hosts and its caches.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The configuration file of the fleet.
    pub hosts_file: PathBuf,
    /// The git repository of its flake.
    pub flake: PathBuf,
    /// Every host.
    pub hosts: Vec<HostStatus>,
    /// Both caches, and the cluster's bucket where there is one.
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

pub(crate) fn status(places: &Places, record: &LabRecord, keys: [String; 2]) -> Status {
    let subnet = record.subnet();
    let [builder_key, static_key] = keys;
    std::thread::scope(|scope| {
        let look = |host: LabHost| {
            scope.spawn(move || HostStatus {
                name: host.name,
                address: format!("{}@{}", host.user, subnet.of(host)),
                pid: container::leader(record, host),
                state: container::state(record, host).word(),
            })
        };
        let hosts: Vec<_> = record.hosts().iter().copied().map(look).collect();
        let cache = |name, url: String, public_key, cache| {
            let state = if answers(subnet, cache) { "up" } else { "down" };
            CacheStatus { name, url, public_key, state }
        };
        let mut caches = vec![
            cache("p620", subnet.builder_cache_url(), builder_key.clone(), LabCache::Builder),
            cache("static", subnet.static_cache_url(), static_key, LabCache::Static),
        ];
        if record.seaweed {
            caches.push(CacheStatus {
                name: "weed",
                url: seaweed::Addresses::of(subnet).bucket(),
                public_key: builder_key,
                state: if seaweed::answers(subnet) { "up" } else { "down" },
            });
        }
        Status {
            hosts_file: places.hosts_file(),
            flake: places.flake(),
            hosts: hosts.into_iter().filter_map(|host| host.join().ok()).collect(),
            caches,
        }
    })
}

/// A cache of the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LabCache {
    /// p620's.
    Builder,
    /// The one that stands in for a public cache.
    Static,
}

/// Whether a cache answers for its nix-cache-info.
pub(crate) fn answers(subnet: Subnet, cache: LabCache) -> bool {
    const LIMIT: Duration = Duration::from_secs(1);
    let address = match cache {
        LabCache::Builder => (subnet.of(HOSTS[0]), 5000),
        LabCache::Static => (subnet.static_cache(), 80),
    };
    let Ok(mut stream) = TcpStream::connect_timeout(&address.into(), LIMIT) else { return false };
    let request = b"GET /nix-cache-info HTTP/1.1\r\nHost: cache\r\nConnection: close\r\n\r\n";
    let mut answer = [0; 12];
    stream.set_read_timeout(Some(LIMIT)).is_ok()
        && stream.write_all(request).is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && answer.ends_with(b"200")
}

/// Waits until a cache that was just started answers.
pub(crate) fn wait_for_cache(
    places: &Places,
    subnet: Subnet,
    cache: LabCache,
) -> Result<(), LabError> {
    const LIMIT: Duration = Duration::from_secs(15);
    if process::wait_for(LIMIT, || answers(subnet, cache)) {
        return Ok(());
    }
    let (name, log) = match cache {
        LabCache::Builder => {
            ("p620's cache", "`nixdash lab shell p620 journalctl -u nix-serve` says why".to_owned())
        }
        LabCache::Static => {
            ("the static cache", format!("its output is in {}", places.log(STATIC).display()))
        }
    };
    Err(LabError::TimedOut {
        doing: format!("{name} answering"),
        seconds: LIMIT.as_secs(),
        hint: log,
    })
}
