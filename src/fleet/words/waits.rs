//! What a host waits for, in one sentence.

use crate::fleet::{Wait, duration};
use jiff::Timestamp;

impl Wait {
    /// Says in one sentence for what, for whom and until when it is waited: after "waiting for".
    pub fn sentence(&self, now: Timestamp) -> String {
        match self {
            Self::Confirmation => "confirmation of the plan".to_owned(),
            Self::Place { places } => format!("one of {places} places"),
            Self::Served { hosts } => {
                format!("{} to be done: it builds or serves for them", hosts.join(", "))
            }
            Self::Wave { wave, hosts } => {
                format!("wave {wave}: {} must be done before it", hosts.join(", "))
            }
            Self::Soak { wave, until } => {
                let left = until.duration_since(now).try_into().unwrap_or_default();
                format!("wave {wave} to stay well for {} more", duration(left))
            }
            Self::Budget { budget, hosts } => {
                format!("a place in the budget {budget}, which {} has", hosts.join(", "))
            }
            Self::Lock { owner } => format!("the lock of the host: {owner}"),
            Self::Activation => {
                "its activation to end, which cannot be interrupted; then it goes back".to_owned()
            }
            Self::WayBack => "its way back to the previous system".to_owned(),
        }
    }
}
