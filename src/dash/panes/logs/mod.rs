//! The pane of logs: what was said in a run, what Nix builds, and what it copies.
//!
//! `state` is what the pane knows, `update` what changes it, `draw` what is seen of it. It reads no
//! file: `wanted` says which rows it needs, `asked` is the plain data that goes out and comes back.

mod activity;
mod asked;
mod builds;
mod compared;
mod draw;
mod failure;
mod layout;
mod mouse;
mod news;
mod pane;
mod pattern;
mod rows;
mod state;
mod transfers;
mod typing;
mod update;
mod wanted;

pub use activity::{ActivityShown, BuildRow, FailureShown, TransferRow, activity_shown};
pub use asked::{
    BuildCompared, BuildDifference, BuildLines, ComparedBuild, DifferenceKind, DifferenceRow,
    LineAt, LineLevels, LogNews, PaneRow, PaneWanted, RowSearch, RowsAt, RowsOf, RowsShown,
    RowsTaken, Sought,
};
pub(in crate::dash) use draw::{sight, typed};
pub(in crate::dash) use mouse::{select, wheel};
pub(in crate::dash) use news::news;
pub(in crate::dash::panes) use pane::PANE;
pub use pattern::{LineMatcher, LinePattern};
pub use state::{BuildComparison, CountedRows, LogFace, LogPane, LogTyping, PanePlace, TimeShown};
pub(in crate::dash) use typing::{paste, type_key, typing};
pub(in crate::dash) use wanted::wanted;
