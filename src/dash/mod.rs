//! The screen: a model, what changes it, and what draws it.
//!
//! [`update()`] and [`view()`] are pure: the first folds a [`Msg`] into the [`Model`] and returns
//! [`Effect`]s as plain data, the second draws the model. So a recorded list of events replays to
//! the same screen. Only [`run`] touches the outside; whoever calls it joins its two channels to the
//! probes and to the engine.
//!
//! Drawing never reads a clock: `now` comes in, and every age on the screen is counted from it.

mod command;
mod figures;
mod filter;
mod generations;
mod host_run;
mod input;
mod key;
mod log_ring;
mod look;
mod mean_coverage;
mod model;
mod moves;
mod msg;
mod overlay;
mod panes;
mod run_view;
mod status_line;
mod terminal;
mod theme;
mod update;
mod view;

#[cfg(test)]
mod demo;
#[cfg(test)]
mod demo_logs;
#[cfg(test)]
mod demo_tiers;
#[cfg(test)]
mod tests;
pub use command::{COMMANDS, Command, CommandEntry, Context};
pub use figures::{Figures, TierFigures};
pub use filter::Filter;
pub use generations::{DiffPane, GenerationsPane};
pub use host_run::{Extent, HostRun, PhaseView};
pub use input::LineInput;
pub use key::Key;
pub use log_ring::LogRing;
pub use look::{Depth, Look, ascii, ascii_from, depth_from};
pub use model::{HostModel, Model, RunSign, Screen, Starting, TierView, Toast, shown_flake};
pub use msg::{Effect, LogOf, LogsInView, Msg, Trend, Wish};
pub use overlay::{HostKeyForm, Overlay, PasswordForm, Prompt, StartForm, StartFrom};
pub use panes::logs::{
    ActivityShown, BuildRow, CountedRows, FailureShown, LineAt, LineLevels, LineMatcher,
    LinePattern, LogFace, LogNews, LogPane, LogTyping, PanePlace, PaneRow, PaneWanted, RowSearch,
    RowsAt, RowsOf, RowsShown, RowsTaken, Sought, TimeShown, TransferRow, activity_shown,
};
pub use run_view::{RunView, Summary};
pub use status_line::status_line;
pub use terminal::{DashError, run};
pub use theme::{Role, THEMES, Theme, ThemeError};
pub use update::{recall, update, view_logs};
pub use view::{dead_words, view};
