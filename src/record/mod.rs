//! Memory: runs and the history on disk.
//!
//! A run is a folder below `$XDG_STATE_HOME/nixdash/runs`: its events as JSON Lines, a complete log
//! per host, and the process that carries it out. Whoever wants to watch a run reads the folder,
//! so a run outlives the screen that started it, and a second nixdash sees it too. What was measured
//! and how runs ended is kept in the history, `nixdash.db` beside that folder.

mod history;
mod left;
mod place;
mod queue;
mod run_files;
mod run_recorder;
mod run_writer;
mod runs;
mod trends;
mod watch;

pub use history::{Asked, Growth, History, HistoryError, Recorder, RunRow, share_served};
pub use left::{EndingLock, LeftHost, LeftRun};
pub use place::state_home;
pub use queue::{EventReceiver, EventSender, event_queue};
pub use run_recorder::{RunRecord, RunRecorder};
pub use run_writer::RunWriter;
pub use runs::{RecordError, Runs, Word, start_of};
pub use trends::{Prometheus, Series, TrendError};
pub use watch::{RunNews, RunWatch};
