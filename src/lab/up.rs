//! Sets a lab up: shared parts, its own files, the network, the static cache, the hosts; each step only where it is needed.

use std::path::Path;

use super::container;
use super::error::{ErrorContext, LabError};
use super::flake;
use super::names::{self, HOSTS, LabHost};
use super::network;
use super::process;
use super::runtime;
use super::seed::{self, Seed};
use super::state::{LabRecord, Places, Shelf, make_dir, read, remove_tree, write};
use super::status::{self, LabCache};
use super::texts::{self, Facts};
use super::tool::Tool;
use super::{UpOptions, base, seaweed, tools, upstream};

/// The host that `--newer-nix` is for: nobody builds on it and nobody asks it.
const NEWER_NIX_HOST: &str = "p510";

pub(crate) fn up(
    shelf: &Shelf,
    places: &Places,
    name: &str,
    options: &UpOptions,
) -> Result<(), LabError> {
    let record = {
        let _shared = shelf.lock()?;
        if let Some(record) = places.record()? {
            same_number(&record, options)?;
            record
        } else {
            let hosts = number_of_hosts(options.hosts)?;
            seed::ensure_all(shelf, options.mirror.as_deref(), options.newer_nix, hosts)?;
            prepare(shelf, places, name, options.newer_nix, hosts)?
        }
    };
    let _own = places.lock()?;
    if !network::is_up(record.subnet(), record.hosts()) {
        network::remove(record.subnet(), record.hosts());
        network::create(record.subnet(), record.hosts())?;
    }
    runtime::ensure(places)?;
    start_static_cache(places, &record)?;
    start_hosts(shelf, places, &record)?;
    status::wait_for_cache(places, record.subnet(), LabCache::Static)?;
    status::wait_for_cache(places, record.subnet(), LabCache::Builder)?;
    if options.seaweed || record.seaweed { add_seaweed(shelf, places, record) } else { Ok(()) }
}

/// How many hosts a new lab gets: as many as were asked for, where this machine has room for them.
fn number_of_hosts(asked: Option<u8>) -> Result<u8, LabError> {
    let least = HOSTS.len();
    let hosts = asked.map_or(least, usize::from);
    if !(least..=names::ALL.len()).contains(&hosts) {
        return Err(LabError::Usage(format!(
            "a practice fleet has {least} to {} hosts; {hosts} were asked for",
            names::ALL.len()
        )));
    }
    tools::check_room(hosts)?;
    Ok(u8::try_from(hosts).unwrap_or(u8::MAX))
}

/// Refuses another number of hosts than a lab was made with.
fn same_number(record: &LabRecord, options: &UpOptions) -> Result<(), LabError> {
    match options.hosts {
        Some(asked) if asked != record.hosts => Err(LabError::Usage(format!(
            "this practice fleet was made with {} hosts; to have {asked}, end it first: \
             nixdash lab down --name {}",
            record.hosts, record.name
        ))),
        Some(_) | None => Ok(()),
    }
}

/// Adds the SeaweedFS cluster, also to a lab that was made without it, or starts what of it does not run.
fn add_seaweed(shelf: &Shelf, places: &Places, mut record: LabRecord) -> Result<(), LabError> {
    seaweed::ensure(shelf, places, &record)?;
    if record.seaweed {
        return Ok(());
    }
    record.seaweed = true;
    let keys = public_keys(shelf, &record)?;
    let facts = facts(places, &record, &keys);
    write(&places.hosts_file(), texts::hosts_toml(&facts, &flake::platform()), 0o644)?;
    places.write_record(&record)
}

/// Makes the files of a new lab. Its record is written last: a lab without one is made again from nothing.
fn prepare(
    shelf: &Shelf,
    places: &Places,
    name: &str,
    newer_nix: bool,
    hosts: u8,
) -> Result<LabRecord, LabError> {
    remove_tree(places.root())?;
    let record = LabRecord {
        name: name.to_owned(),
        subnet: network::choose(shelf, name)?.0,
        base: base::BaseKind::Stable.key(),
        seed: seed::key(),
        newer_base: newer_nix.then(|| base::BaseKind::NewerNix.key()),
        seaweed: false,
        hosts,
    };
    let seed = Seed::at(shelf.seed(&record.seed));
    make_dir(&places.file("run"))?;
    ssh_key(&places.file("id"), "operator")?;
    let mut known_hosts = Vec::new();
    for host in record.hosts() {
        let key = places.host(*host, "host_key");
        ssh_key(&key, host.name)?;
        let public = read(&key.with_extension("pub"))?;
        known_hosts.push(texts::known_host(record.subnet(), *host, &public));
    }
    write(&places.file("known_hosts"), known_hosts.concat(), 0o644)?;
    let keys = public_keys(shelf, &record)?;
    let facts = facts(places, &record, &keys);
    write(&places.file("ssh_config"), texts::ssh_config(&facts), 0o644)?;
    write(&places.hosts_file(), texts::hosts_toml(&facts, &flake::platform()), 0o644)?;
    flake::create(&places.flake(), record.hosts())?;
    for host in record.hosts() {
        container::write_files(places, &seed, &facts, *host)?;
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

fn start_static_cache(places: &Places, record: &LabRecord) -> Result<(), LabError> {
    if process::running(places, network::STATIC).is_some() {
        return Ok(());
    }
    let namespace = record.subnet().namespace(network::STATIC);
    let command = network::in_namespace(&namespace, "")
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
fn start_hosts(shelf: &Shelf, places: &Places, record: &LabRecord) -> Result<(), LabError> {
    let running = |host| {
        container::leader(record, host).is_some() && process::running(places, host.name).is_some()
    };
    std::thread::scope(|scope| {
        let start = |host: LabHost| {
            scope.spawn(move || {
                if !running(host) {
                    start_host(shelf, places, record, host)?;
                }
                container::wait_until_up(places, record, host)
            })
        };
        let starts: Vec<_> = record.hosts().iter().copied().map(start).collect();
        starts.into_iter().try_for_each(|start| start.join().unwrap_or(Ok(())))
    })
}

/// Starts one host that does not run, and returns at once.
pub(crate) fn start_host(
    shelf: &Shelf,
    places: &Places,
    record: &LabRecord,
    host: LabHost,
) -> Result<(), LabError> {
    // Half of a host may be left: a container without its supervisor, or the other way round.
    container::kill(places, record, host)?;
    let key =
        record.newer_base.as_ref().filter(|_| host.name == NEWER_NIX_HOST).unwrap_or(&record.base);
    let base = shelf.base(key);
    std::fs::metadata(&base).at("finding the base file system", &base)?;
    let more = record.hosts().len() > HOSTS.len();
    container::mount(places, &base, &Seed::at(shelf.seed(&record.seed)), host, more)?;
    container::start(places, record, host)
}

/// The public keys of p620's cache and of the static one.
pub(crate) fn public_keys(shelf: &Shelf, record: &LabRecord) -> Result<[String; 2], LabError> {
    let seed = Seed::at(shelf.seed(&record.seed));
    Ok([seed.public_key("p620")?, seed.public_key("static")?])
}

/// What the texts of a lab are made from.
pub(crate) fn facts<'a>(
    places: &'a Places,
    record: &LabRecord,
    keys: &'a [String; 2],
) -> Facts<'a> {
    Facts {
        subnet: record.subnet(),
        hosts: record.hosts(),
        root: places.root(),
        builder_key: &keys[0],
        static_key: &keys[1],
        weed_keys: record.seaweed.then(|| seaweed::key_files(places)),
    }
}
