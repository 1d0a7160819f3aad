//! The world outside the fleet: after a bump it has built the new upstream packages and put them into its public cache.

use super::error::LabError;
use super::seed::{self, Seed};
use super::state::{LabRecord, Places, Shelf, read, write};

/// The parts of the seed that a lab needs beside its own flake and static cache to build upstream packages.
const PARTS: [&str; 5] = [
    "guest/enter.sh",
    "guest/seed.sh",
    "keys/static.secret",
    "keys/static.public",
    "keys/p620.public",
];

/// Copies into a new lab what its later bumps need.
pub(crate) fn prepare(places: &Places, seed: &Seed) -> Result<(), LabError> {
    for part in PARTS {
        write(&places.file(part), read(&seed.file(part))?, 0o600)?;
    }
    Ok(())
}

/// Builds what the flake now wants of upstream, in a layer of its own, and adds it to the static cache.
pub(crate) fn publish(shelf: &Shelf, places: &Places, record: &LabRecord) -> Result<(), LabError> {
    let seed = Seed::at(shelf.seed(&record.seed));
    let lower = format!(
        "{}:{}:{}",
        seed.layer("upstream").display(),
        seed.common().display(),
        shelf.base(&record.base).display()
    );
    seed::enter(
        &places.file("upstream"),
        &lower,
        places.root(),
        "/mnt/guest/seed.sh",
        &["upstream"],
    )
}
