//! Reads the logs that the screen shows, from the folders of runs.

use crate::dash::{LogOf, LogsInView, Msg};
use crate::record::{LogPart, LogReader, Runs};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// How often logs are looked at while they grow.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How often they are looked at otherwise.
const LOOK_IDLE: Duration = Duration::from_millis(700);

/// For how long after the last line a log is taken to grow.
const LIVELY: Duration = Duration::from_secs(10);

/// Sends the newest lines of the logs that are wanted, then what is added to them, until nobody wants
/// any. Only logs in view are read: what lies in the others costs nothing.
pub(super) async fn follow_logs(
    runs: Runs,
    mut wanted: watch::Receiver<LogsInView>,
    messages: mpsc::Sender<Msg>,
) {
    let mut readers: Vec<(LogOf, LogReader)> = Vec::new();
    let mut lively = Instant::now();
    loop {
        let (kept, parts) = look(readers).await;
        readers = kept;
        let grows = !parts.is_empty();
        if grows {
            lively = Instant::now() + LIVELY;
        }
        for (of, LogPart { earlier, lines }) in parts {
            if messages.send(Msg::Log { of, earlier, lines }).await.is_err() {
                return;
            }
        }
        let pause = if Instant::now() < lively { LOOK_EVERY } else { LOOK_IDLE };
        tokio::select! {
            changed = wanted.changed() => {
                if changed.is_err() {
                    return;
                }
                let wanted = wanted.borrow_and_update().clone();
                readers = turn_to(&runs, wanted, readers);
                lively = Instant::now() + LIVELY;
            }
            () = tokio::time::sleep(pause), if !readers.is_empty() => {}
        }
    }
}

/// Returns readers of the logs that are wanted now; one that is read already goes on, unless more or
/// fewer lines of it are wanted.
fn turn_to(
    runs: &Runs,
    wanted: LogsInView,
    mut readers: Vec<(LogOf, LogReader)>,
) -> Vec<(LogOf, LogReader)> {
    let reader = |of: LogOf| {
        let goes_on =
            |(known, reader): &(LogOf, LogReader)| *known == of && reader.newest() == wanted.lines;
        if let Some(index) = readers.iter().position(goes_on) {
            return readers.swap_remove(index);
        }
        let reader = runs.read_log(&of.run, &of.host, wanted.lines);
        (of, reader)
    };
    wanted.logs.into_iter().map(reader).collect()
}

/// Reads what is new in each log, on a thread that may wait for the disk.
async fn look(
    mut readers: Vec<(LogOf, LogReader)>,
) -> (Vec<(LogOf, LogReader)>, Vec<(LogOf, LogPart)>) {
    if readers.is_empty() {
        return (readers, Vec::new());
    }
    let looked = tokio::task::spawn_blocking(move || {
        let parts = readers
            .iter_mut()
            .filter_map(|(of, reader)| Some((of.clone(), reader.look()?)))
            .collect();
        (readers, parts)
    });
    // The thread ends early only with the whole program.
    looked.await.unwrap_or_default()
}

/// Returns the newest lines of logs as messages, once.
#[cfg(test)]
pub(super) fn look_once(runs: &Runs, logs: LogsInView) -> Vec<Msg> {
    let readers = turn_to(runs, logs, Vec::new()).into_iter();
    let parts = readers.filter_map(|(of, mut reader)| Some((of, reader.look()?)));
    parts.map(|(of, LogPart { earlier, lines })| Msg::Log { of, earlier, lines }).collect()
}
