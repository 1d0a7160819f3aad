//! A shell on a host: who is asked first, and what is said while it is made.

use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::Overlay;
use jiff::Timestamp;

/// Opens a shell on a host; of a protected one it is asked first.
pub(super) fn open(model: &mut Model, host: String, now: Timestamp) -> Vec<Effect> {
    if model.world.is_protected(&host) {
        model.open(Overlay::Shell { host, yes: false });
        return Vec::new();
    }
    opened(model, host, now)
}

/// Opens a shell on a host.
pub(super) fn opened(model: &mut Model, host: String, now: Timestamp) -> Vec<Effect> {
    model.say(format!("opening a shell on {host}"), false, now);
    vec![Effect::OpenShell { host }]
}
