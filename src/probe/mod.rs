//! Eyes: asks hosts and tiers what they are and have, on a schedule.
//!
//! [`Poller`] asks without end and sends [`crate::fleet::Event`]s; [`measure_once`] asks once. A host
//! is asked by one script over [`crate::remote::ScriptRunner`], a tier over HTTP by the probe of its kind.
//! What was not measured stays `None`.

mod answers;
mod asking;
mod build_log;
mod candidates;
mod changes;
mod checks;
mod clock;
mod coverage;
mod depth;
mod earlier;
mod evidence;
mod fetchable;
mod fresh;
mod generations;
mod host;
mod host_caches;
mod host_units;
mod kinds;
mod local;
mod look;
mod memory;
mod next;
mod on_host;
mod once;
mod poller;
mod power;
mod prometheus;
mod schedule;
#[cfg(test)]
mod server;
mod signed;
mod store;
mod transport;
mod upkeep;
mod words;

pub use answers::Answers;
pub use asking::{Asking, TierFuture, TierProbe, Tools};
pub use build_log::{TierLog, build_log};
pub use changes::{
    ComparedSystems, Comparison, SystemParts, compare as compare_systems, note_part,
    parts_of_derivation, restart_reasons, specialisations_of_derivation,
};
pub use checks::verify::{NarChoice, NarVerification, verify as verify_nars};
pub use clock::{next_second, on_beat};
pub use coverage::{HostClosure, covered, measure as measure_coverage};
pub use depth::{DepthError, depth, depths, note_depths};
pub use earlier::EarlierLooks;
pub use evidence::TierPast;
pub use fetchable::held_of;
pub use generations::generations;
pub use host::{clock_ahead, merge as merge_host, parse as parse_host, probe as probe_host};
pub use host_caches::{HostCaches, host_caches};
pub use host_units::{host_units, journal};
pub use kinds::kind_of;
pub use look::look as look_at_tier;
pub use memory::Memory;
pub use next::{NextSystem, built_systems, derivations, invalid as invalid_paths};
pub use once::{Snapshot, Thoroughness, measure_once};
pub use poller::{COVERAGE_INTERVAL, Handle, Poller, Record};
pub use power::Power;
pub use schedule::{Pace, next_delay};
pub use store::{Closure, closure, count as count_store};
pub(crate) use transport::curl::own_trouble;
pub use transport::http::HttpClient;
pub use transport::{
    AnswerPart, DeclaredRequest, HttpReply, HttpRequest, Method, RequestError, RequestTrouble,
    RestWish, Rules, Transport,
};
