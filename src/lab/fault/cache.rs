//! Faults of p620's cache: its service stopped, or told by a file what to do wrong.

use super::CacheFault;
use crate::lab::container;
use crate::lab::error::{ErrorContext, LabError};
use crate::lab::inside;
use crate::lab::names::HOSTS;
use crate::lab::serve::fault::Faults;
use crate::lab::state::{LabRecord, Places, write};
use crate::lab::status::{self, LabCache};

/// Where the server looks, seen from inside p620.
const FILE: &str = "etc/nixdash-lab/cache-fault";

/// Carries a fault out; faults add up until they are cleared.
pub(crate) fn apply(
    places: &Places,
    record: &LabRecord,
    fault: CacheFault,
) -> Result<(), LabError> {
    let path = places.host(HOSTS[0], "root").join(FILE);
    let mut faults = Faults::read(&path);
    match fault {
        CacheFault::Down => return service(record, "stop"),
        CacheFault::Slow(ms) => faults.slow_ms = Some(u64::from(ms)),
        CacheFault::CorruptNar => faults.corrupt_nar = true,
        CacheFault::NarMissing => faults.nar_missing = true,
        CacheFault::WrongKey => faults.wrong_key = true,
        CacheFault::TokenExpired => faults.token_expired = true,
        CacheFault::Clear => {
            if path.exists() {
                std::fs::remove_file(&path).at("removing", &path)?;
            }
            // A p620 without power starts its cache when it gets it back.
            if container::leader(record, HOSTS[0]).is_none() {
                return Ok(());
            }
            service(record, "start")?;
            return status::wait_for_cache(places, record.subnet(), LabCache::Builder);
        }
    }
    write(&path, faults.text(), 0o644)
}

fn service(record: &LabRecord, verb: &str) -> Result<(), LabError> {
    inside::command(record, HOSTS[0], &format!("asking systemd to {verb} the cache"))?
        .args(["systemctl", verb, "nix-serve.service"])
        .run()
        .map(|_| ())
}
