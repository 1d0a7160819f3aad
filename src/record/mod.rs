//! Memory: runs and the history on disk.
//!
//! A run is a folder below `$XDG_STATE_HOME/nixdash/runs`: its events as JSON Lines, a complete log
//! per host, and the process that carries it out. Whoever wants to watch a run reads the folder,
//! so a run outlives the screen that started it, and a second nixdash sees it too. What was measured
//! and how runs ended is kept in the history, `nixdash.db` beside that folder; what a person silenced, in
//! `silences/`, and how the dashboard was left, in `sessions/`.

mod evaluations;
mod history;
mod left;
mod place;
mod process;
mod runs;
mod sessions;
mod silences;
mod trends;

pub use evaluations::{EvaluationInputs, KeptEvaluation, KeptEvaluations};
pub use history::{Asked, Growth, History, HistoryError, Recorder, RunRow, share_served};
pub use left::{EndingLock, LeftHost, LeftRun};
pub use place::state_home;
pub use process::ProcessStat;
pub use runs::{
    BuildOutput, ClaimError, EventReceiver, EventSender, ExportDamage, ExportError, ExportedRun,
    GoodBuild, Journal, JournalEntry, JournalError, JournalWriter, KnownDerivation, LevelCounts,
    LineLevel, LogBlock, LogLines, LogPart, LogPattern, LogReader, NumberedLog, RecordError,
    RemovedLogs, RemovedWhy, RunElsewhere, RunNews, RunRecord, RunRecorder, RunStands, RunStreams,
    RunWatch, RunWriter, Runs, SearchDirection, SearchNews, StoredFile, StoredReader, StreamEnd,
    StreamFile, UnreadFile, Word, WrittenExport, event_queue, output_of, share_of_logs,
};
pub use sessions::KeptSession;
pub use silences::KeptSilences;
pub use trends::{Prometheus, Series, TrendError};
