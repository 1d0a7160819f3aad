//! Sets a lab up: shared parts, its own files, the network, the static cache, the hosts; each step only where it is needed.

use std::path::{Path, PathBuf};

use super::container;
use super::error::{At, LabError};
use super::flake;
use super::names::HOSTS;
use super::network;
use super::process;
use super::runtime;
use super::seed::{self, Seed};
use super::state::{Places, Record, Shelf, make_dir, read, remove_tree, write};
use super::texts::{self, Facts};
use super::tool::Tool;
use super::{UpOptions, base, upstream};

pub(crate) fn up(
    shelf: &Shelf,
    places: &Places,
    name: &str,
    options: &UpOptions,
) -> Result<(), LabError> {
    let record = {
        let _shared = shelf.lock()?;
        match places.record()? {
            Some(record) => record,
            None => {
                seed::ensure_all(shelf, options.mirror.as_deref(), options.newer_nix)?;
                prepare(shelf, places, name, options.newer_nix)?
            }
        }
    };
    let _own = places.lock()?;
    let seed = Seed::at(shelf.seed(&record.seed));
    if !network::is_up(record.subnet()) {
        network::remove(record.subnet());
        network::create(record.subnet())?;
    }
    runtime::ensure(places)?;
    start_static_cache(places, &record)?;
    start_hosts(shelf, places, &record, &seed)
}

/// Makes the files of a new lab. Its record is written last: a lab without one is made again from nothing.
fn prepare(
    shelf: &Shelf,
    places: &Places,
    name: &str,
    newer_nix: bool,
) -> Result<Record, LabError> {
    remove_tree(places.root())?;
    let record = Record {
        name: name.to_owned(),
        subnet: network::choose(shelf, name)?.0,
        base: base::Kind::Stable.key(),
        seed: seed::key(),
        newer_base: newer_nix.then(|| base::Kind::NewerNix.key()),
    };
    let seed = Seed::at(shelf.seed(&record.seed));
    make_dir(&places.file("run"))?;
    ssh_key(&places.file("id"), "operator")?;
    let mut known_hosts = String::new();
    for host in HOSTS {
        let key = places.host(host, "host_key");
        ssh_key(&key, host.name)?;
        known_hosts +=
            &format!("{} {}", record.subnet().of(host), read(&key.with_extension("pub"))?);
    }
    write(&places.file("known_hosts"), known_hosts, 0o644)?;
    let keys = [seed.public_key("p620")?, seed.public_key("static")?];
    let facts = Facts {
        subnet: record.subnet(),
        root: places.root(),
        builder_key: &keys[0],
        static_key: &keys[1],
    };
    write(&places.file("ssh_config"), texts::ssh_config(&facts), 0o644)?;
    write(&places.hosts_file(), texts::hosts_toml(&facts, &flake::platform()), 0o644)?;
    flake::create(&places.flake())?;
    for host in HOSTS {
        container::write_files(places, &seed, &facts, host)?;
    }
    Tool::new("copying the static cache", "cp")
        .args(["--archive", "--link"])
        .args([seed.file("static"), places.file("static")])
        .run()?;
    upstream::prepare(places, &seed)?;
    places.write_record(&record)?;
    Ok(record)
}

fn ssh_key(path: &Path, comment: &str) -> Result<(), LabError> {
    if let Some(parent) = path.parent() {
        make_dir(parent)?;
    }
    Tool::new("making an ssh key", "ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"])
        .arg(path)
        .run()
        .map(|_| ())
}

fn start_static_cache(places: &Places, record: &Record) -> Result<(), LabError> {
    if process::running(places, network::STATIC).is_some() {
        return Ok(());
    }
    let namespace = record.subnet().namespace(network::STATIC);
    let command = Tool::new("", "nsenter")
        .arg(format!("--net=/run/netns/{namespace}"))
        .arg(runtime::program(places))
        .args([
            "lab",
            "serve",
            "files",
            "--listen",
            &format!("{}:80", record.subnet().static_cache()),
        ])
        .arg("--directory")
        .arg(places.file("static"));
    process::launch(places, network::STATIC, &namespace, &command)
}

/// Starts the hosts that do not run, all at once, and waits until they answer.
fn start_hosts(
    shelf: &Shelf,
    places: &Places,
    record: &Record,
    seed: &Seed,
) -> Result<(), LabError> {
    for host in HOSTS {
        if container::leader(record, host).is_some()
            && process::running(places, host.name).is_some()
        {
            continue;
        }
        container::kill(places, record, host)?;
        container::mount(places, &base_of(shelf, record, host.name)?, seed, host)?;
        container::start(places, record, host)?;
    }
    std::thread::scope(|scope| {
        let waits =
            HOSTS.map(|host| scope.spawn(move || container::wait_until_up(places, record, host)));
        for wait in waits {
            wait.join().unwrap_or(Ok(()))?;
        }
        Ok(())
    })
}

/// The base that a host stands on.
pub(crate) fn base_of(shelf: &Shelf, record: &Record, host: &str) -> Result<PathBuf, LabError> {
    let key = record.newer_base.as_ref().filter(|_| host == "p510").unwrap_or(&record.base);
    let base = shelf.base(key);
    std::fs::metadata(&base).at("finding the base file system", &base)?;
    Ok(base)
}
