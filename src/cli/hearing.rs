//! What is said to a run that this process carries out: through its folder, and by signals.

use crate::cli::EXIT_INTERRUPTED;
use crate::cli::show::Notices;
use crate::deploy::Control;
use crate::fleet::words::rollout::STOP_GOES_BACK;
use crate::fleet::{ANSWER_LIMIT, RunId};
use crate::record::{Runs, Word};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How often the run's folder is asked for words.
const WORDS_EVERY: Duration = Duration::from_millis(200);

/// Reads what is said to a run through its folder, on a thread of its own: where the disk hangs,
/// signals are heard all the same. So many words were heard before.
pub(super) fn words(runs: Runs, run: RunId, mut heard: usize) -> mpsc::Receiver<Word> {
    let (sender, words) = mpsc::channel(8);
    let read = move || {
        while !sender.is_closed() {
            // What cannot be read now is read the next time; nothing of it was heard yet.
            for word in runs.said(&run).into_iter().flatten().skip(heard) {
                // Nobody listens any more: the run is over.
                let _over = sender.blocking_send(word);
                heard += 1;
            }
            std::thread::sleep(WORDS_EVERY);
        }
    };
    // Without a thread only signals and the terminal are heard.
    drop(std::thread::Builder::new().name("words".to_owned()).spawn(read));
    words
}

/// Hears what is said to a run: through its folder, and by signals.
pub(super) struct RunHearing {
    /// What is said through the folder.
    pub(super) words: mpsc::Receiver<Word>,
    /// Where it goes.
    pub(super) control: mpsc::Sender<Control>,
    /// Where a person is told that it was heard.
    pub(super) notices: Notices,
    /// Hears that the plan was shown and waits for an answer.
    pub(super) asked: Arc<Notify>,
    /// Whether the plan waits from the beginning: the run is gone on with.
    pub(super) waits: bool,
}

impl RunHearing {
    /// Passes on what is said, and notes in `stopped` whether somebody stopped the run.
    pub(super) async fn listen(mut self, stopped: Arc<AtomicBool>) {
        let mut interrupt = signal(SignalKind::interrupt()).ok();
        let mut terminate = signal(SignalKind::terminate()).ok();
        // Heard and passed over: a run goes on when its terminal is closed.
        let mut hangup = signal(SignalKind::hangup()).ok();
        let given_up = tokio::time::sleep(ANSWER_LIMIT);
        tokio::pin!(given_up);
        let mut waits = self.waits;
        loop {
            let said = tokio::select! {
                () = next(&mut interrupt) => {
                    if stopped.load(Ordering::Acquire) {
                        // What runs on hosts is safe without us: supervisors go back.
                        std::process::exit(i32::from(EXIT_INTERRUPTED));
                    }
                    self.notices.say(&format!(
                        "stopping; {STOP_GOES_BACK} (press ctrl-c again to leave at once)\n"
                    ));
                    Control::Cancel
                }
                () = next(&mut terminate) => Control::Cancel,
                () = next(&mut hangup) => continue,
                Some(word) = self.words.recv() => match word {
                    Word::Yes => Control::Answer(true),
                    Word::No => Control::Answer(false),
                    Word::Cancel => Control::Cancel,
                    Word::Order(order) => Control::Order(order),
                },
                () = self.asked.notified(), if !waits => {
                    waits = true;
                    given_up.as_mut().reset(tokio::time::Instant::now() + ANSWER_LIMIT);
                    continue;
                }
                () = &mut given_up, if waits => {
                    waits = false;
                    Control::Unanswered
                }
            };
            if said == Control::Cancel {
                stopped.store(true, Ordering::Release);
            }
            if self.control.send(said).await.is_err() {
                return;
            }
        }
    }
}

/// Hears, from the moment it is made, who wants a process to leave whose run is over.
pub(super) struct Leaving {
    asked: CancellationToken,
    hearing: JoinHandle<()>,
}

impl Leaving {
    /// Begins to hear: a signal that comes before anybody waits for it counts. Whoever asks twice by ctrl-c
    /// waits for nothing any more.
    pub(super) fn hear() -> Self {
        let mut interrupt = signal(SignalKind::interrupt()).ok();
        let mut terminate = signal(SignalKind::terminate()).ok();
        let asked = CancellationToken::new();
        let leave = asked.clone();
        let hearing = tokio::spawn(async move {
            tokio::select! {
                () = next(&mut interrupt) => {}
                () = next(&mut terminate) => {}
            }
            leave.cancel();
            next(&mut interrupt).await;
            std::process::exit(i32::from(EXIT_INTERRUPTED));
        });
        Self { asked, hearing }
    }

    /// Waits until somebody wants this process to leave.
    pub(super) async fn asked(&self) {
        self.asked.cancelled().await;
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.hearing.abort();
    }
}

/// Waits for a signal; without end, where signals cannot be heard.
pub(super) async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_plan_that_waits_when_its_run_is_gone_on_with_is_given_up_in_time_too() {
        let (control, mut said) = mpsc::channel(8);
        let (_nothing, words) = mpsc::channel(1);
        let asked = Arc::new(Notify::new());
        let notices = Notices::start();
        let hearing = RunHearing { words, control, notices, asked, waits: true };
        let began = tokio::time::Instant::now();
        let hearing = tokio::spawn(hearing.listen(Arc::new(AtomicBool::new(false))));
        assert_eq!(said.recv().await, Some(Control::Unanswered));
        assert!(began.elapsed() >= ANSWER_LIMIT);
        hearing.abort();
    }
}
