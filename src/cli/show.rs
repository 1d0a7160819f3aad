//! How a run shows itself on standard output and standard error.
//!
//! Whoever reads may be slow, or stop reading: `deploy --json | (sleep 60; cat)`. So output is
//! written by threads of their own behind queues. Log lines that do not fit are left out with a
//! count; phases, plans, results and the summary always come through.

use crate::cli::{EXIT_FAILED, json, print};
use crate::deploy::Control;
use crate::fleet::{
    ANSWER_LIMIT, DropReason, Goal, HostResult, Plan, RunEvent, RunId, RunWhat, duration,
};
use crate::record::{EventReceiver, EventSender, event_queue};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;
use tokio::io::AsyncBufReadExt;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// Log lines that may wait for whoever reads the output.
const LINES: usize = 4096;

/// Events that are written at once.
const BATCH: usize = 256;

/// How long the last words on standard error may take.
const NOTICE_LIMIT: Duration = Duration::from_secs(1);

/// How often how far a host is is written as JSON.
const PROGRESS_EVERY: SignedDuration = SignedDuration::from_secs(1);

/// How a run shows itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Face {
    /// Everything as plain lines.
    Lines,
    /// Everything as plain lines, and what is run on hosts.
    Verbose,
    /// Plain lines without the logs.
    Quiet,
    /// JSON Lines.
    Json {
        /// Whether what is run on hosts is among them.
        verbose: bool,
    },
    /// Not at all: somebody reads the run's folder.
    Nothing,
}

impl Face {
    /// Returns whether lines of logs are shown.
    pub(super) fn shows_lines(self) -> bool {
        match self {
            Self::Lines | Self::Verbose | Self::Json { .. } => true,
            Self::Quiet | Self::Nothing => false,
        }
    }
}

/// What is needed to show a run.
pub(super) struct Display {
    /// How to show it.
    pub(super) face: Face,
    /// How wide the column of hosts is.
    pub(super) width: usize,
    /// What the run is for, as long as its plan was not told.
    pub(super) goal: Goal,
    /// Where the answer to the plan goes.
    pub(super) control: mpsc::Sender<Control>,
    /// The hosts, in the order of the run; empty where it was not told yet.
    pub(super) hosts: Vec<String>,
}

/// When it was written last how far each host is.
#[derive(Debug, Default)]
struct ProgressTimes(HashMap<String, Timestamp>);

impl ProgressTimes {
    /// Returns whether an event is to be written: how far a host is, once a second at most.
    fn is_due(&mut self, event: &RunEvent) -> bool {
        let RunWhat::Progress { host, .. } = &event.what else { return true };
        let is_soon = |last: &Timestamp| event.at.duration_since(*last).abs() < PROGRESS_EVERY;
        if self.0.get(host).is_some_and(is_soon) {
            return false;
        }
        self.0.insert(host.clone(), event.at);
        true
    }
}

/// A display at work on its thread.
pub(super) struct RunDisplay {
    /// Where events go in; none where nothing is shown.
    pub(super) events: Option<EventSender>,
    done: oneshot::Receiver<io::Result<()>>,
}

impl Display {
    /// Starts the thread that writes to standard output.
    pub(super) fn start(self) -> RunDisplay {
        let (tell_done, done) = oneshot::channel();
        if self.face == Face::Nothing {
            return RunDisplay { events: None, done };
        }
        let (sender, receiver) = event_queue(LINES, DropReason::SlowReader);
        let runtime = Handle::current();
        let ask = move |control| drop(runtime.spawn(answer(control)));
        let work = move || {
            let shown = self.show(&receiver, &mut io::stdout().lock(), ask);
            // From here on nothing waits to be shown.
            drop(receiver);
            // Nobody waits any more.
            let _gone = tell_done.send(shown);
        };
        // Without a thread nothing is shown; the run's folder has everything.
        let started = std::thread::Builder::new().name("display".to_owned()).spawn(work);
        RunDisplay { events: started.is_ok().then_some(sender), done }
    }

    /// Shows events until the last one; fails when the output takes no more. `ask` is called when the
    /// plan was shown and waits for an answer.
    fn show(
        mut self,
        events: &EventReceiver,
        out: &mut impl Write,
        ask: impl Fn(mpsc::Sender<Control>),
    ) -> io::Result<()> {
        let mut batch = Vec::new();
        let mut progress = ProgressTimes::default();
        let mut results: BTreeMap<String, HostResult> = BTreeMap::new();
        let is_json = matches!(self.face, Face::Json { .. });
        while events.take(&mut batch, BATCH) {
            for event in batch.drain(..) {
                if let RunWhat::Begin { hosts, .. } = &event.what {
                    self.hosts.clone_from(hosts);
                }
                if let RunWhat::Plan { plan, .. } = &event.what {
                    self.goal = plan.goal;
                }
                let mut line = self.line(&event, &mut progress);
                if let RunWhat::Result { host, result } = &event.what {
                    results.insert(host.clone(), result.clone());
                }
                if !is_json && matches!(event.what, RunWhat::Summary { .. }) {
                    line = line.map(|line| print::sums(&line, &results));
                }
                if let Some(line) = line {
                    writeln!(out, "{line}")?;
                }
                if let RunWhat::Plan { waits: true, plan } = &event.what {
                    out.flush()?;
                    let limit = duration(ANSWER_LIMIT);
                    write_error(&format!("{}? [y/N; no after {limit}] ", asked(plan)));
                    ask(self.control.clone());
                }
            }
            out.flush()?;
        }
        Ok(())
    }

    /// Returns what is written for an event.
    fn line(&self, event: &RunEvent, progress: &mut ProgressTimes) -> Option<String> {
        match self.face {
            Face::Quiet if event.what.may_be_dropped() => None,
            Face::Verbose if matches!(event.what, RunWhat::Command { .. }) => {
                print::command(event, self.width)
            }
            Face::Lines | Face::Verbose | Face::Quiet => {
                print::event(event, self.width, self.goal, &self.hosts)
            }
            Face::Json { verbose: false } if matches!(event.what, RunWhat::Command { .. }) => None,
            Face::Json { .. } if !progress.is_due(event) => None,
            Face::Json { .. } => json::run_event(event),
            Face::Nothing => None,
        }
    }
}

impl RunDisplay {
    /// Waits until everything is written, the reader is gone, or somebody wants to leave. Returns why the
    /// output could not be written, where that is not because nobody reads it any more.
    pub(super) async fn end(self, leaves: impl Future<Output = ()>) -> Option<io::Error> {
        let events = self.events?;
        events.close();
        let shown = tokio::select! {
            shown = self.done => shown.unwrap_or(Ok(())),
            () = leaves => Ok(()),
        };
        shown.err().filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
    }
}

/// Says that the output could not be written, and returns the exit code then: whoever reads it lacks
/// something, though the run may have gone well.
pub(super) fn told(
    unwritten: Option<io::Error>,
    run: &RunId,
    code: ExitCode,
    notices: &Notices,
) -> ExitCode {
    let Some(error) = unwritten else { return code };
    notices.say(&format!(
        "nixdash: standard output could not be written ({error}), so some of it is missing; \
         `nixdash logs {run}` and `nixdash history --json` have everything\n"
    ));
    if code == ExitCode::SUCCESS { ExitCode::from(EXIT_FAILED) } else { code }
}

/// Returns what is asked below a plan.
fn asked(plan: &Plan) -> &'static str {
    let restarts = plan.changing().any(|host| host.reboots);
    match (plan.goal == Goal::Rollback, restarts) {
        (true, false) => "roll back",
        (true, true) => "roll back, and restart",
        (false, false) => "deploy this",
        (false, true) => "deploy this, and restart",
    }
}

/// Reads the answer from the terminal; anything but yes is no.
async fn answer(control: mpsc::Sender<Control>) {
    let mut line = String::new();
    let mut stdin = tokio::io::BufReader::new(tokio::io::stdin());
    // An error reads as an empty line, which is no.
    drop(stdin.read_line(&mut line).await);
    let yes = matches!(line.trim().to_lowercase().as_str(), "y" | "yes");
    // The run may be over already.
    let _over = control.send(Control::Answer(yes)).await;
}

/// Writes to standard error, so that `--json` stays JSON Lines; it may be closed.
fn write_error(text: &str) {
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}

/// Something for the thread that writes to standard error.
enum Notice {
    /// A text to write.
    Text(String),
    /// Somebody wants to know when all before this is written.
    Written(oneshot::Sender<()>),
}

/// Writes to standard error from a thread of its own: a terminal that was stopped with ctrl-s
/// holds up nobody who has something to say. Cheap to clone.
#[derive(Clone)]
pub(super) struct Notices(std::sync::mpsc::Sender<Notice>);

impl Notices {
    /// Starts the thread; it ends when all clones are gone.
    pub(super) fn start() -> Self {
        let (sender, notices) = std::sync::mpsc::channel();
        let write = move || {
            for notice in notices {
                match notice {
                    Notice::Text(text) => write_error(&text),
                    Notice::Written(done) => drop(done.send(())),
                }
            }
        };
        // Without a thread nothing is said; the run goes on.
        drop(std::thread::Builder::new().name("notices".to_owned()).spawn(write));
        Self(sender)
    }

    /// Writes a text, which ends its line itself, as soon as the terminal takes it.
    pub(super) fn say(&self, text: &str) {
        // Nobody writes any more: there is nobody to tell.
        drop(self.0.send(Notice::Text(text.to_owned())));
    }

    /// Waits until everything is written, for a second at most.
    pub(super) async fn written(&self) {
        let (tell_done, done) = oneshot::channel();
        if self.0.send(Notice::Written(tell_done)).is_ok() {
            drop(tokio::time::timeout(NOTICE_LIMIT, done).await);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Outcome, Phase, PhaseState};
    use std::sync::mpsc as gate;

    /// A writer that takes nothing until it is let.
    struct Gated {
        gate: gate::Receiver<()>,
        waits: gate::Sender<()>,
        open: bool,
        text: Vec<u8>,
    }

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if !self.open {
                self.waits.send(()).unwrap();
                self.open = self.gate.recv().is_ok();
            }
            self.text.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn event(what: RunWhat) -> RunEvent {
        RunEvent { run: RunId("7".to_owned()), at: Timestamp::UNIX_EPOCH, what }
    }

    fn display(face: Face) -> Display {
        let control = mpsc::channel(1).0;
        Display { face, width: 7, goal: Goal::Switch, control, hosts: Vec::new() }
    }

    /// Sends what a long build tells while the writer takes nothing, then opens it; returns what
    /// was written.
    fn shown_to_a_reader_that_pauses(face: Face, lines: usize) -> String {
        let (sender, receiver) = event_queue(LINES, DropReason::SlowReader);
        let (open, gate) = gate::channel();
        let (waits, is_waiting) = gate::channel();
        let writer = std::thread::spawn(move || {
            let mut out = Gated { gate, waits, open: false, text: Vec::new() };
            display(face).show(&receiver, &mut out, |_| {}).unwrap();
            String::from_utf8(out.text).unwrap()
        });
        let host = "samsung".to_owned();
        let phase = |phase, state| event(RunWhat::Phase { host: host.clone(), phase, state });
        sender.send(phase(Phase::Preflight, PhaseState::Finished));
        is_waiting.recv_timeout(Duration::from_secs(60)).unwrap();
        // From here on the writer hangs. Each of these returns, or the test does not end.
        for number in 0..lines {
            let line = format!("line {number}");
            sender.send(event(RunWhat::log(host.clone(), Phase::Build, line)));
        }
        for phase_now in [Phase::Build, Phase::Activate, Phase::Acknowledge, Phase::Persist] {
            sender.send(phase(phase_now, PhaseState::Finished));
        }
        let outcomes = BTreeMap::from([(Outcome::Switched, 1)]);
        sender.send(event(RunWhat::Summary { outcomes, duration_ms: 1000, findings: Vec::new() }));
        sender.close();
        assert_eq!(sender.taken(), 1, "the writer took more than it could have written");
        open.send(()).unwrap();
        writer.join().unwrap()
    }

    #[test]
    fn a_reader_that_pauses_holds_nobody_up_and_misses_no_phase() {
        let text = shown_to_a_reader_that_pauses(Face::Json { verbose: false }, 12_000);
        let values: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let count = |kind: &str| values.iter().filter(|value| value["event"] == kind).count();
        assert_eq!((count("phase"), count("log"), count("summary")), (5, LINES, 1));
        let dropped: Vec<_> = values.iter().filter(|value| value["event"] == "dropped").collect();
        assert_eq!(dropped.len(), 1, "{dropped:?}");
        let missing = (12_000 - LINES) as u64;
        assert_eq!(dropped[0]["lines"], missing);
        assert_eq!(dropped[0]["hosts"]["samsung"], missing);
        assert_eq!(dropped[0]["why"], "slow-reader");
    }

    #[test]
    fn plain_lines_say_how_many_are_left_out_and_where_they_are() {
        let text = shown_to_a_reader_that_pauses(Face::Lines, 12_000);
        let said = "7904 log lines were left out here, because this output was read too slowly; \
                    the run's folder has every line";
        assert_eq!(text.lines().filter(|line| *line == said).count(), 1, "{text}");
        assert!(text.ends_with("1 switched in 1.0 s\n"), "{text}");
    }

    #[test]
    fn a_build_prints_what_was_built_also_for_who_learns_from_its_plan_that_it_is_one() {
        let built = "/nix/store/m0znnv1nxsr0ry7gmadkh49s1d0hycgd-nixos-system-samsung";
        let plan = |goal| {
            let (strategy, hosts) = (crate::fleet::Strategy::Direct, Vec::new());
            let (findings, set_aside) = (Vec::new(), BTreeMap::new());
            let (revision, source) = (None, None);
            let waited_for = Vec::new();
            let plan =
                Plan { goal, strategy, revision, source, findings, hosts, set_aside, waited_for };
            RunWhat::Plan { plan, waits: false }
        };
        let shown = |goal| {
            let (sender, receiver) = event_queue(LINES, DropReason::SlowReader);
            let toplevel = crate::fleet::StorePath::parse(built).ok();
            let result = HostResult { toplevel, ..HostResult::ended(Outcome::Built) };
            sender.send(event(plan(goal)));
            sender.send(event(RunWhat::Result { host: "samsung".to_owned(), result }));
            sender.close();
            let mut out = Vec::new();
            display(Face::Lines).show(&receiver, &mut out, |_| {}).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(shown(Goal::Build).contains(built));
        assert!(!shown(Goal::Switch).contains(built));
    }

    #[test]
    fn json_says_who_takes_part_how_far_hosts_are_and_on_request_what_is_run_there() {
        let written = |verbose| {
            let (sender, receiver) = event_queue(LINES, DropReason::SlowReader);
            let (samsung, razer) = ("samsung".to_owned(), "razer".to_owned());
            let hosts = vec![samsung.clone(), razer.clone()];
            sender.send(event(RunWhat::begin(hosts, "switch".to_owned())));
            let command = crate::fleet::RemoteCommand {
                on: "p620".to_owned(),
                root: true,
                script: "build.sh".to_owned(),
                args: Vec::new(),
            };
            let phase = Phase::Build;
            sender.send(event(RunWhat::Command { host: samsung.clone(), phase, command }));
            for (host, ms) in [(&samsung, 0), (&samsung, 900), (&razer, 900), (&samsung, 1100)] {
                let progress = crate::fleet::Progress::default();
                let what = RunWhat::Progress { host: host.clone(), phase, progress };
                let at = Timestamp::from_millisecond(ms).unwrap();
                sender.send(RunEvent { at, ..event(what) });
            }
            sender.close();
            let mut out = Vec::new();
            display(Face::Json { verbose }).show(&receiver, &mut out, |_| {}).unwrap();
            let text = String::from_utf8(out).unwrap();
            let values = text.lines().map(|line| serde_json::from_str(line).unwrap());
            let kinds = values.map(|value: serde_json::Value| value["event"].clone());
            kinds.collect::<Vec<_>>()
        };
        assert_eq!(written(false), ["begin", "progress", "progress", "progress"]);
        assert_eq!(written(true), ["begin", "command", "progress", "progress", "progress"]);
    }

    #[test]
    fn a_reader_that_goes_away_ends_the_display_and_nothing_else() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let (sender, receiver) = event_queue(LINES, DropReason::SlowReader);
        let begin = RunWhat::begin(Vec::new(), "switch".to_owned());
        sender.send(event(begin.clone()));
        let shown = display(Face::Lines).show(&receiver, &mut Closed, |_| {});
        assert_eq!(shown.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        sender.send(event(begin));
        assert_eq!(sender.taken(), 1);
    }

    #[tokio::test]
    async fn an_output_that_takes_nothing_more_is_told_and_no_success() {
        let ended = |kind: io::ErrorKind| {
            let (tell_done, done) = oneshot::channel();
            tell_done.send(Err(kind.into())).unwrap();
            let (sender, _receiver) = event_queue(LINES, DropReason::SlowReader);
            RunDisplay { events: Some(sender), done }.end(std::future::pending())
        };
        assert!(ended(io::ErrorKind::BrokenPipe).await.is_none(), "nobody wants to read it");
        let full = ended(io::ErrorKind::StorageFull).await;
        let (run, notices) = (RunId("7".to_owned()), Notices::start());
        let code = told(full, &run, ExitCode::SUCCESS, &notices);
        assert_eq!(code, ExitCode::from(EXIT_FAILED));
        assert_eq!(told(None, &run, ExitCode::SUCCESS, &notices), ExitCode::SUCCESS);
    }
}
