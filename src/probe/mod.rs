//! Eyes: asks hosts and tiers what they are and have, on a schedule.
//!
//! [`Poller`] asks for ever and sends [`crate::fleet::Event`]s; [`measure_once`] asks once. A host
//! is asked by one script over [`crate::remote::ScriptRunner`], a tier over HTTP by the probe of its kind.
//! What was not measured stays `None`.

mod answers;
mod candidates;
mod clock;
mod connect;
mod coverage;
mod curl;
mod depth;
mod host;
pub mod kinds;
mod local;
mod memory;
mod next;
mod on_host;
mod once;
mod past;
mod poller;
mod schedule;
#[cfg(test)]
mod server;
mod share;
mod sign;
mod store;
mod tier;
mod upkeep;
mod via;
mod web;
mod witness;

pub use answers::Answers;
pub use coverage::{Asked, covered, measure as measure_coverage};
pub(crate) use curl::own_trouble;
pub use depth::{DepthError, depth, depths, note_depths};
pub use host::{merge as merge_host, parse as parse_host, probe as probe_host};
pub use kinds::probe_of;
pub use memory::Memory;
pub use next::Wanted;
pub use once::{Snapshot, Thoroughness, measure_once};
pub use past::Past;
pub use poller::{Handle, Poller, Record};
pub use schedule::{Target, next_delay, tier_interval};
pub use store::{Closure, closure, count as count_store};
pub use tier::{Answer as TierAnswer, Asking, TierProbe, Tools, probe as probe_tier};
pub use web::{Ask, Declared, Method, Reply, Web, WebError, WebTrouble};
