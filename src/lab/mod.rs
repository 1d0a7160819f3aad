//! A practice fleet: four small real hosts on this machine, with their caches, their flake, and faults on demand.
//!
//! The hosts are systemd containers that are as unkind as real NixOS where a deploy can feel it. Nothing here knows the rest of
//! nixdash; the rest reaches the hosts over ssh, as it would any other. `cli::lab` calls this room; tests do too.

pub mod error;
pub mod fault;
pub mod flake;
pub mod names;
pub mod state;
pub mod status;

pub(crate) mod serve;

mod apt;
mod base;
mod container;
mod down;
mod inside;
mod keys;
mod leftovers;
mod network;
mod process;
mod runtime;
mod seaweed;
mod seaweed_install;
mod seed;
mod table;
mod texts;
mod tool;
mod tools;
mod up;
mod upstream;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use leftovers::Leftovers;

use error::LabError;
use fault::Fault;
use names::LabHost;
use state::{LabRecord, Places, Shelf};

/// What `lab up` may be told.
#[derive(Debug, Clone, Default)]
pub struct UpOptions {
    /// Install missing packages without asking.
    pub yes: bool,
    /// The Debian mirror; the machine's own where not given.
    pub mirror: Option<String>,
    /// One host (p510) runs a newer Nix.
    pub newer_nix: bool,
    /// A SeaweedFS cluster stands beside the hosts.
    pub seaweed: bool,
    /// How many hosts a new lab gets; four where not given.
    pub hosts: Option<u8>,
}

/// A lab, by its name, whether it is up or not.
#[derive(Debug, Clone)]
pub struct Lab {
    shelf: Shelf,
    places: Places,
    name: String,
}

impl Lab {
    /// The lab of this name.
    pub fn named(name: &str) -> Result<Self, LabError> {
        let shelf = Shelf::of_user()?;
        Ok(Self { places: shelf.lab(name)?, shelf, name: name.to_owned() })
    }

    /// The fleet's configuration file.
    pub fn hosts_file(&self) -> PathBuf {
        self.places.hosts_file()
    }

    /// Where it is kept what a person has tried of it; gone when it is ended.
    pub fn practice_file(&self) -> PathBuf {
        self.places.file("practice.json")
    }

    /// Sets it up and starts what does not run. Harmless when all of it is up.
    pub fn up(&self, options: &UpOptions) -> Result<(), LabError> {
        tools::check_machine()?;
        let installed = tools::ensure(options.yes, options.seaweed)?;
        leftovers::note_packages(&self.shelf, &installed)?;
        up::up(&self.shelf, &self.places, &self.name, options)
    }

    /// Ends it and removes everything of it but the parts that all labs share; with `all` also those,
    /// unless another lab stands on them. Harmless when there is nothing. Returns what was there of the
    /// shared parts, or is.
    pub fn down(&self, all: bool) -> Result<Leftovers, LabError> {
        tools::check_machine()?;
        down::down(&self.places)?;
        let _shared = self.shelf.lock()?;
        seed::prune(&self.shelf)?;
        let left = Leftovers::of(&self.shelf);
        if all {
            leftovers::remove(&self.shelf)?;
        }
        Ok(left)
    }

    /// Its hosts, the builder first.
    pub fn hosts(&self) -> Result<&'static [LabHost], LabError> {
        Ok(self.record()?.hosts())
    }

    /// What is up, and where.
    pub fn status(&self) -> Result<status::Status, LabError> {
        let record = self.record()?;
        let keys = up::public_keys(&self.shelf, &record)?;
        Ok(status::status(&self.places, &record, keys))
    }

    /// Runs a command as root on a host, or a shell, past the network. Returns its exit code.
    pub fn shell(&self, host: LabHost, command: &[String]) -> Result<u8, LabError> {
        tools::check_machine()?;
        let record = self.record()?;
        inside::interactive(&record, names::host_of(record.hosts(), host.name)?, command)
    }

    /// Commits a change to the flake that gives these hosts (all, when none is named) something to deploy, and lets the public
    /// cache build its part of it. Returns what changed, in words.
    pub fn bump(
        &self,
        hosts: &[LabHost],
        broken: Option<flake::Broken>,
    ) -> Result<String, LabError> {
        tools::check_machine()?;
        let record = self.record()?;
        let _own = self.places.lock_part("flake")?;
        let hosts = own_hosts(&record, hosts)?;
        let said = flake::bump(&self.places.flake(), &hosts, record.hosts(), broken)?;
        upstream::publish(&self.shelf, &self.places, &record)?;
        Ok(said)
    }

    /// Takes back the breaks of these hosts (of all, when none is named). Returns what changed, in words.
    pub fn fix(&self, hosts: &[LabHost]) -> Result<String, LabError> {
        tools::check_machine()?;
        let record = self.record()?;
        let _own = self.places.lock_part("flake")?;
        let fixed = flake::fix(&self.places.flake(), &own_hosts(&record, hosts)?)?;
        Ok(if fixed { "nothing is broken any more" } else { "nothing was broken" }.to_owned())
    }

    /// Carries a fault out. Faults add up until they are cleared.
    pub fn fault(&self, fault: Fault) -> Result<(), LabError> {
        tools::check_machine()?;
        let record = self.record()?;
        match fault {
            Fault::Host(host, fault) => {
                let host = names::host_of(record.hosts(), host.name)?;
                let _own = self.places.lock_part(host.name)?;
                fault::host::apply(&self.shelf, &self.places, &record, host, fault)
            }
            Fault::LabCache(fault) => {
                let _own = self.places.lock_part("cache")?;
                fault::cache::apply(&self.places, &record, fault)
            }
            Fault::Seaweed(fault) => {
                let _own = self.places.lock_part("seaweed")?;
                fault::seaweed::apply(&self.shelf, &self.places, &record, fault)
            }
        }
    }

    fn record(&self) -> Result<LabRecord, LabError> {
        self.places.record()?.ok_or_else(|| LabError::NotUp(self.name.clone()))
    }
}

/// The named hosts, which have to be of the lab; all of it, when none is named.
fn own_hosts(record: &LabRecord, hosts: &[LabHost]) -> Result<Vec<LabHost>, LabError> {
    if hosts.is_empty() {
        return Ok(record.hosts().to_vec());
    }
    hosts.iter().map(|host| names::host_of(record.hosts(), host.name)).collect()
}

/// Serves this host's live store as nix-serve would; returns only on failure.
pub async fn serve_store(
    listen: SocketAddr,
    secret_key: PathBuf,
    fault_file: PathBuf,
) -> Result<(), LabError> {
    serve::store::serve(listen, &secret_key, fault_file).await
}

/// Serves a directory; returns only on failure.
pub async fn serve_files(listen: SocketAddr, directory: PathBuf) -> Result<(), LabError> {
    serve::files::serve(listen, directory).await
}
