//! The screen: a model, what changes it, and what draws it.
//!
//! [`update()`] and [`view()`] are pure: the first folds a [`Msg`] into the [`Model`] and returns
//! [`Effect`]s as plain data, the second draws the model. So a recorded list of events replays to
//! the same screen. Only [`run`] touches the outside; whoever calls it joins its two channels to the
//! probes and to the engine.
//!
//! Drawing never reads a clock: `now` comes in, and every age on the screen is counted from it.
//!
//! The floors, from the top down. A file uses those of its own floor and of the floors above it, never
//! those below; a view uses no other view (`tests/it/layers/dash.rs` reads this table).
//!
//! | floor | job |
//! |---|---|
//! | `colour` `background` `theme` `look` `key` `input` `filter` `split` `program` | colours by role, keys, a line that is typed, what a filter lets through, where a border is, a program that gets the terminal |
//! | `world` | what is known: facts of hosts and tiers, runs, figures of the history |
//! | `matched` `sorting` | what the rows of each list are matched against when a filter is typed, and how they are put in order |
//! | `generations` `silencing` `units` `panes::fleet::groups` `panes::fleet::sort` `panes::fleet::state` `panes::caches::sort` `panes::caches::state` `panes::deploy::state` `panes::history::sort` `panes::history::state` `panes::logs::activity` `panes::logs::asked` `panes::logs::pattern` `panes::logs::state` | what single panes know |
//! | `over_time` `past` | what panes of the past know |
//! | `msg` `overlay` | what comes in and what is asked for; what lies over a view, as plain data |
//! | `model` `lists` `fleet_rows` `session` | the world and how it is looked at; the rows that filters let through; how the dashboard was left |
//! | `command` | the one table of commands, and where each means something |
//! | `layout` `moves` `begin` `run_orders` `shell` | where the parts of the screen are; what several views do alike |
//! | `look_back` | opens what the history knows |
//! | `widgets` | what several views are drawn with |
//! | `words` `status_line` | hosts, tiers and runs in words |
//! | `practice` | the line of the practice fleet that names the next thing to try |
//! | `panes` | the views: a folder for each |
//! | `obstacle` | why a command cannot be given now |
//! | `overlays` | what lies over a view: a file for each |
//! | `able` | which commands can be given now |
//! | `frame` | the header and the footer |
//! | `update` `view` | what changes the model, and what draws it |
//! | `terminal` | the outside |

mod able;
mod background;
mod begin;
mod colour;
mod command;
mod filter;
mod fleet_rows;
mod frame;
mod generations;
mod input;
mod key;
mod layout;
mod lists;
mod look;
mod look_back;
mod matched;
mod model;
mod moves;
mod msg;
mod obstacle;
mod over_time;
mod overlay;
mod overlays;
mod panes;
mod past;
mod practice;
mod program;
mod run_orders;
mod session;
mod shell;
mod silencing;
mod sorting;
mod split;
mod status_line;
mod terminal;
mod theme;
mod units;
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
pub use background::Background;
pub use colour::Depth;
pub use command::{COMMANDS, Command, CommandEntry, Context, page_of_shortcuts};
pub use filter::Filter;
pub use generations::{DiffPane, GenerationsPane};
pub use input::LineInput;
pub use key::{Key, Keymap};
pub use look::{Look, ascii, ascii_from, depth_from};
pub use model::{Model, Screen, Toast};
pub use msg::{Effect, JournalNews, LogOf, LogsInView, Msg, Trend, Wish};
pub use over_time::OverTimePane;
pub use overlay::{HostKeyForm, Overlay, PasswordForm, Prompt, StartChoices, StartForm, StartFrom};
pub use panes::caches::{CachesPane, TierSort};
pub use panes::deploy::{DeployPane, RunLeft};
pub use panes::fleet::{FleetPane, Grouping, HostSort};
pub use panes::history::{HistoryPane, RunSort};
pub use panes::logs::{
    ActivityShown, BuildCompared, BuildComparison, BuildDifference, BuildLines, BuildRow,
    ComparedBuild, CountedRows, DifferenceKind, DifferenceRow, FailureShown, LineAt, LineLevels,
    LineMatcher, LinePattern, LogFace, LogNews, LogPane, LogTyping, PanePlace, PaneRow, PaneWanted,
    RowSearch, RowsAt, RowsOf, RowsShown, RowsTaken, Sought, TimeShown, TransferRow,
    activity_shown,
};
pub use panes::sort_at;
pub use past::PastPane;
pub use program::{FailureTeller, KeptFile, ProgramEnd, TerminalProgram};
pub use session::keep_session;
pub use silencing::{SilenceForm, SilenceTime};
pub use sorting::{SortBy, Sorting};
pub use split::Split;
pub use status_line::status_line;
pub use terminal::{DashEnd, DashError, run};
pub use theme::{FOLLOWING, Role, THEMES, Theme, ThemeError, ThemePair};
pub use units::{JournalPane, UnitsPane};
pub use update::{recall, update, view_logs};
pub use view::view;
pub use words::tiers::dead_words;
pub use world::{
    Extent, Figures, FirstStep, FlakeHere, FoundHere, FoundPart, HostCounts, HostModel, HostRun,
    LogRing, MachineHere, MeanCoverage, PhaseView, Practice, PracticeStep, RunSign, RunView,
    ScreenWorld, Starting, Summary, TierFigures, TierView, shown_flake,
};
