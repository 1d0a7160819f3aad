//! Takes a lab down: ends what it started, and leaves no mount, namespace, interface, control group or file of its own behind.
//! It goes by what lies on the disk and in the kernel, not by what `up` got done, so a lab that stopped half-way goes too.

use super::container;
use super::error::{ErrorContext, LabError};
use super::names;
use super::network;
use super::process;
use super::state::{Places, remove_tree};

pub(crate) fn down(places: &Places) -> Result<(), LabError> {
    if !places.root().exists() {
        return Ok(());
    }
    let lock = places.lock()?;
    // A damaged record must not keep the rest from being removed.
    let record = places.record().ok().flatten();
    // Hosts always: a container may be left whose start was never recorded.
    let mut all = process::names(places);
    let hosts = record.as_ref().map_or(&names::ALL[..], |record| record.hosts());
    all.extend(hosts.iter().map(|host| host.name.to_owned()));
    for what in &all {
        let host = hosts.iter().copied().find(|host| host.name == what);
        let inner =
            record.as_ref().zip(host).and_then(|(record, host)| container::leader(record, host));
        process::kill(places, what, inner)?;
    }
    for host in hosts {
        container::unmount(places, *host)?;
    }
    if let Some(record) = &record {
        network::remove(record.subnet(), hosts);
        for what in &all {
            process::remove_groups(&record.subnet().namespace(what));
        }
    }
    remove_tree(places.root())?;
    let path = places.root().with_extension("lock");
    std::fs::remove_file(&path).at("removing", &path)?;
    drop(lock);
    Ok(())
}
