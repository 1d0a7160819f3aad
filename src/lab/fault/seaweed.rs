//! Faults of the SeaweedFS cluster: a volume server without power.

use super::SeaweedFault;
use crate::lab::error::LabError;
use crate::lab::seaweed;
use crate::lab::state::{LabRecord, Places, Shelf};

/// Carries a fault out.
pub(crate) fn apply(
    shelf: &Shelf,
    places: &Places,
    record: &LabRecord,
    fault: SeaweedFault,
) -> Result<(), LabError> {
    if !record.seaweed {
        return Err(LabError::Usage(
            "this practice fleet has no SeaweedFS cluster; add one with `nixdash lab up --seaweed`"
                .to_owned(),
        ));
    }
    match fault {
        SeaweedFault::VolumeServerDown(number) => seaweed::stop_volume_server(places, number),
        SeaweedFault::Clear => seaweed::ensure(shelf, places, record),
    }
}
