//! A run: what is deployed, by which way, through which phases it goes, what it waits for and how
//! it ends. One file per noun.

mod builds;
mod command;
mod goal;
mod id;
mod news;
mod options;
mod order;
mod outcome;
mod phase;
mod plan;
mod question;
mod route;
mod wait;

pub use builds::{DerivationTime, HostBuilds, UsualBuilds};
pub use command::RemoteCommand;
pub use goal::Goal;
pub use id::RunId;
pub use news::{RolloutNews, WaveState, begins_way_back};
pub use options::{AskedOfHost, RunOptions};
pub use order::{RollbackScope, RunOrder, back_to_before};
pub use outcome::{HostResult, Outcome};
pub use phase::{Phase, PhaseState, Progress, UsualTimes};
pub use plan::{HostPlan, Plan, PlannedChanges, RefusedPaths, ReplacedRevision};
pub use question::OpenQuestion;
pub use route::{GivenUpRoute, Route, Strategy, TakenRoute};
pub use wait::{ANSWER_LIMIT, Wait};
