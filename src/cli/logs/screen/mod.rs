//! Reads for the screen what its pane of logs wants: rows of logs, searches in them, and what Nix does.
//!
//! The pane says what it wants; what it wanted before is given up at once. Nothing here is done on the
//! thread of the screen. `rows` knows which lines are rows, `reader` gives those that are in sight,
//! `activity` folds what Nix said, `compare` compares builds, `taken` copies and saves.

mod activity;
mod compare;
mod elsewhere;
mod reader;
mod rows;
mod streams;
mod taken;

use crate::cli::clipboard::ClipboardWays;
use crate::cli::viewer::Viewer;
use crate::dash::{Effect, Msg, PaneWanted};
use crate::record::Runs;
use activity::ActivityReader;
use compare::CompareReader;
use reader::RowsReader;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// How often files are looked at while they grow.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How often they are looked at otherwise.
const LOOK_IDLE: Duration = Duration::from_millis(700);

/// For how long after the last news a file is taken to grow.
const LIVELY: Duration = Duration::from_secs(10);

/// What the pane wants now; it may want something else while that is looked for.
type WatchedPane = watch::Receiver<Option<Box<PaneWanted>>>;

/// What reads something for the pane.
trait PaneReader: Send + 'static {
    /// Reads what is wanted, tells it, and returns whether anything was new. Ends early where something
    /// else is wanted.
    fn look(
        &mut self,
        wanted: &PaneWanted,
        still: &dyn Fn() -> bool,
        tell: &mut dyn FnMut(Msg),
    ) -> bool;

    /// Forgets everything: nothing is wanted any more.
    fn forget(&mut self);
}

/// Reads what the pane of logs wants, beside everything else. It ends with the screen.
pub(in crate::cli) struct LogScreen {
    wanted: watch::Sender<Option<Box<PaneWanted>>>,
    runs: Runs,
    messages: mpsc::Sender<Msg>,
}

impl LogScreen {
    /// Begins to read for a screen that takes these messages.
    pub(in crate::cli) fn begin(runs: Runs, messages: mpsc::Sender<Msg>) -> Self {
        let (wanted, receiver) = watch::channel(None);
        let rows = RowsReader::new(runs.clone());
        tokio::spawn(read(rows, receiver.clone(), messages.clone()));
        let activity = ActivityReader::new(runs.clone());
        tokio::spawn(read(activity, receiver.clone(), messages.clone()));
        let compared = CompareReader::new(runs.clone());
        tokio::spawn(read(compared, receiver, messages.clone()));
        Self { wanted, runs, messages }
    }

    /// Does what the pane of logs asks for; gives anything else back.
    pub(in crate::cli) fn carry_out(&self, effect: Effect) -> Option<Effect> {
        match effect {
            Effect::ShowLogs(wanted) => drop(self.wanted.send_replace(wanted)),
            Effect::CopyRows { of, what } => {
                tokio::spawn(taken::copy(self.runs.clone(), *of, what, self.messages.clone()));
            }
            Effect::Copy { text, what } => {
                let messages = self.messages.clone();
                tokio::spawn(async move {
                    let told = ClipboardWays::here().copy(text, what).await;
                    // A screen that is gone needs no telling.
                    drop(messages.send(told).await);
                });
            }
            Effect::SaveRows { of, file } => {
                tokio::spawn(taken::save(self.runs.clone(), *of, file, self.messages.clone()));
            }
            Effect::PageRows { of, row } => {
                let rows = elsewhere::RowsElsewhere { runs: self.runs.clone(), of: *of, row };
                tokio::spawn(elsewhere::open(Viewer::Pager, rows, self.messages.clone()));
            }
            Effect::EditRows { of, row } => {
                let rows = elsewhere::RowsElsewhere { runs: self.runs.clone(), of: *of, row };
                tokio::spawn(elsewhere::open(Viewer::Editor, rows, self.messages.clone()));
            }
            other => return Some(other),
        }
        None
    }
}

/// Reads what is wanted, again and again, until the screen is gone.
async fn read(mut reader: impl PaneReader, mut wanted: WatchedPane, messages: mpsc::Sender<Msg>) {
    let mut lively = Instant::now();
    loop {
        let now = wanted.borrow_and_update().clone();
        let is_wanted = now.is_some();
        if let Some(now) = now {
            let (watched, tell) = (wanted.clone(), messages.clone());
            let looked = tokio::task::spawn_blocking(move || {
                let still = || !watched.has_changed().unwrap_or(true) && !tell.is_closed();
                // A screen that is gone needs no telling.
                let is_new = reader.look(&now, &still, &mut |message| {
                    drop(tell.blocking_send(message));
                });
                (reader, is_new)
            });
            // The thread ends early only with the whole program.
            let Ok((back, is_new)) = looked.await else { return };
            reader = back;
            if is_new {
                lively = Instant::now() + LIVELY;
            }
        } else {
            reader.forget();
        }
        let pause = if Instant::now() < lively { LOOK_EVERY } else { LOOK_IDLE };
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() {
                return;
            },
            () = tokio::time::sleep(pause), if is_wanted => {}
            () = messages.closed() => return,
        }
    }
}

/// Returns what the pane is told of what it wants, once.
#[cfg(test)]
pub(in crate::cli) fn look_once(runs: &Runs, wanted: &PaneWanted) -> Vec<Msg> {
    let mut told = Vec::new();
    let mut tell = |message| told.push(message);
    RowsReader::new(runs.clone()).look(wanted, &|| true, &mut tell);
    ActivityReader::new(runs.clone()).look(wanted, &|| true, &mut tell);
    CompareReader::new(runs.clone()).look(wanted, &|| true, &mut tell);
    told
}

#[cfg(test)]
mod tests;
