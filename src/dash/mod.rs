//! The screen: a model, what changes it, and what draws it.
//!
//! [`update()`] and [`view()`] are pure: the first folds a [`Msg`] into the [`Model`] and returns
//! [`Effect`]s as plain data, the second draws the model. So a recorded list of events replays to
//! the same screen. Only [`run`] touches the outside; whoever calls it joins its two channels to the
//! probes and to the engine.
//!
//! Drawing never reads a clock: `now` comes in, and every age on the screen is counted from it.

mod able;
mod begin;
mod command;
mod filter;
mod frame;
mod generations;
mod input;
mod key;
mod layout;
mod look;
mod model;
mod moves;
mod msg;
mod overlay;
mod overlays;
mod panes;
mod run_orders;
mod status_line;
mod terminal;
mod theme;
mod update;
mod view;
mod widgets;
mod words;
mod world;

#[cfg(test)]
mod demo;
#[cfg(test)]
mod demo_logs;
#[cfg(test)]
mod demo_tiers;
#[cfg(test)]
mod tests;
pub use command::{COMMANDS, Command, CommandEntry, Context};
pub use filter::Filter;
pub use generations::{DiffPane, GenerationsPane};
pub use input::LineInput;
pub use key::Key;
pub use look::{Depth, Look, ascii, ascii_from, depth_from};
pub use model::{Model, Screen, Toast};
pub use msg::{Effect, LogOf, LogsInView, Msg, Trend, Wish};
pub use overlay::{HostKeyForm, Overlay, PasswordForm, Prompt, StartForm, StartFrom};
pub use panes::logs::{
    ActivityShown, BuildRow, CountedRows, FailureShown, LineAt, LineLevels, LineMatcher,
    LinePattern, LogFace, LogNews, LogPane, LogTyping, PanePlace, PaneRow, PaneWanted, RowSearch,
    RowsAt, RowsOf, RowsShown, RowsTaken, Sought, TimeShown, TransferRow, activity_shown,
};
pub use status_line::status_line;
pub use terminal::{DashError, run};
pub use theme::{Role, THEMES, Theme, ThemeError};
pub use update::{recall, update, view_logs};
pub use view::view;
pub use words::tiers::dead_words;
pub use world::{
    Extent, Figures, HostModel, HostRun, LogRing, MeanCoverage, PhaseView, RunSign, RunView,
    ScreenWorld, Starting, Summary, TierFigures, TierView, shown_flake,
};
