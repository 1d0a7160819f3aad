//! Work: from selected hosts to switched hosts.
//!
//! [`setup()`] turns a request into what is to be done; [`Machine`] is pure and decides what happens
//! next; [`engine`] carries its commands out over [`crate::remote`] and tells it how they ended.
//! The dashboard, the command line and the tests all drive the same machine.

mod attempt;
pub mod engine;
mod journal;
mod machine;
mod report;
mod setup;
mod words;

pub use attempt::HostEnding;
pub use engine::{
    Control, Deploy, Ended, Listener, NoFlake, RunBegin, RunJournal, builds_for, flake_ancestry,
    flake_revision, flake_source, locate, tracks_flake_file,
};
pub use journal::{
    Begun, JOURNAL_FORMAT, JobNote, NIXDASH_VERSION, NotReplayable, OpenPhase, Replayed, RunEntry,
    SupervisedSince, Untold,
};
pub use machine::{Input, KnownOfHost, Machine, MachineCommand};
pub use report::{
    Activation, ChosenRoute, ClaimAnswer, Ending, FailedUnit, Failure, GateAnswer, GatedHost,
    LaterSystem, NewestSystem, Preflight, Reason, Remarks, Report, RunFacts,
};
pub use setup::{
    GivenPlace, GivenSystem, HostSetup, LeftWrong, Request, Setup, SetupError, WayBack, setup,
};
