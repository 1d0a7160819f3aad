//! What comes into the screen and what it asks for in return.

use crate::dash::overlay::StartChoices;
use crate::dash::panes::logs::{LogNews, PaneWanted, RowsOf, RowsTaken};
use crate::dash::program::TerminalProgram;
use crate::dash::world::{Figures, FoundPart, Practice};
use crate::fleet::{
    Ancestry, Event, Generations, Goal, HostKey, HostUnits, JournalWanted, LiveRun, LogLine,
    OverTime, OverTimeOf, PastEvent, RunId, RunOrder, Secret, Silence, StorePath, Strategy,
    TimeSpan,
};
use crate::record::RunElsewhere;
use crossterm::event::{KeyEvent, MouseEvent};
use std::collections::BTreeMap;

/// Something that happened to the screen.
#[derive(Clone, Debug, PartialEq)]
pub enum Msg {
    /// Something was measured or happened in a run.
    Event(Event),
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse was used.
    Mouse(MouseEvent),
    /// The terminal has this many columns and rows now.
    Resize(u16, u16),
    /// A second went by.
    Tick,
    /// Something of the logs that the pane wanted ([`Effect::ShowLogs`]).
    Logs(LogNews),
    /// Text that was to be copied, for the terminal to take: there is nobody else who could.
    Clip {
        /// The text, printable.
        text: String,
        /// What is told of it, as a sentence.
        told: String,
    },
    /// This is silenced in nixdash's own state, and nothing else any more.
    Silences(Vec<Silence>),
    /// A program that was asked for, to be run in the terminal.
    Program(Box<TerminalProgram>),
    /// A sentence about what was asked for.
    Said {
        /// The sentence.
        text: String,
        /// Whether it is bad news.
        bad: bool,
    },
    /// Text was pasted.
    Paste(String),
    /// The terminal gained or lost the focus.
    Focus(bool),
    /// What was measured before the screen was opened.
    Trends(Vec<Trend>),
    /// The flake's git revision is this now, with `-dirty` when its work tree has changes; none
    /// when it is in no git repository.
    Revision(Option<String>),
    /// By how many commits revisions that hosts run are behind their flakes now, by flake and commit; none where
    /// git does not know one.
    Ancestries(BTreeMap<(String, String), Option<Ancestry>>),
    /// What the history tells of the last days.
    Figures(Figures),
    /// Something was found around a nixdash that has no `hosts.toml`.
    Found(FoundPart),
    /// A sentence for the person, such as the error of an effect.
    Notice(String),
    /// A nar of a tier was compared with its narinfo, or could not be.
    Verified {
        /// The tier.
        tier: String,
        /// What came of it, as a sentence.
        text: String,
        /// Whether it is bad news.
        bad: bool,
    },
    /// Keys that the ssh servers of a host showed.
    HostKeys {
        /// The host.
        host: String,
        /// The keys.
        found: Vec<HostKey>,
        /// Why some could not be seen, a sentence each.
        errors: Vec<String>,
    },
    /// The run that was asked for has this number.
    RunNumber(RunId),
    /// How far a run is now.
    Live {
        /// The run.
        run: RunId,
        /// How far its hosts are; one that is not named is as far as before.
        live: LiveRun,
    },
    /// Lines of a log that is in view ([`Effect::ViewLogs`]).
    Log {
        /// Whose log it is.
        of: LogOf,
        /// Where the lines take the place of all that came before: how many stand before them in the
        /// log.
        earlier: Option<u64>,
        /// The lines, oldest first.
        lines: Vec<LogLine>,
    },
    /// A host listed its generations, or why it did not.
    Generations {
        /// The host.
        host: String,
        /// What was found.
        found: Result<Generations, String>,
    },
    /// A host told of its units, or why it did not.
    Units {
        /// The host.
        host: String,
        /// What was found.
        found: Result<HostUnits, String>,
    },
    /// What came of a journal that was asked for.
    Journal {
        /// What was asked for.
        of: JournalWanted,
        /// What came.
        news: JournalNews,
    },
    /// What runs on a host was compared with one of its generations.
    Compared {
        /// The host.
        host: String,
        /// The generation.
        generation: u64,
        /// What differs, as lines, or why that is not known.
        lines: Result<Vec<String>, String>,
    },
    /// Figures over time were read, or why they were not.
    OverTime {
        /// Whose they are.
        of: OverTimeOf,
        /// How far back they reach.
        span: TimeSpan,
        /// What was found.
        found: Result<OverTime, String>,
    },
    /// What happened was read, or why it was not.
    Past {
        /// To what; none means to all.
        of: Option<OverTimeOf>,
        /// What was found, the newest first.
        found: Result<Vec<PastEvent>, String>,
    },
    /// These runs of other files of this machine go on.
    RunsElsewhere(Vec<RunElsewhere>),
    /// The process that carried a run out is gone without a summary.
    RunGone {
        /// The run.
        run: RunId,
        /// Why, and what to do.
        why: String,
        /// Whether another process may go on with it.
        can_go_on: bool,
    },
    /// Somebody tried in vain to go on with a run that was left: it is left still.
    StillLeft {
        /// The run.
        run: RunId,
    },
}

/// What comes of a journal that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalNews {
    /// Its next lines, printable.
    Lines(Vec<String>),
    /// That was all; or why no more comes.
    Ended(Result<(), String>),
}

/// Values of one figure over time, oldest first, about as far apart as its probes.
#[derive(Clone, Debug, PartialEq)]
pub enum Trend {
    /// Load averages of a host.
    HostLoad(String, Vec<f64>),
    /// Latencies of a tier, in milliseconds.
    TierLatency(String, Vec<f64>),
}

/// A log: of one host in one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOf {
    /// The run.
    pub run: RunId,
    /// The host.
    pub host: String,
}

/// The logs that are in view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogsInView {
    /// Whose they are.
    pub logs: Vec<LogOf>,
    /// How many of the newest lines of each are wanted.
    pub lines: usize,
}

/// What the screen asks the runtime to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Start a run; it comes back as [`Msg::RunNumber`] and [`crate::fleet::RunWhat::Begin`], or as
    /// [`Msg::Notice`].
    StartRun {
        /// The hosts, in the fleet's order.
        hosts: Vec<String>,
        /// What it is for.
        goal: Goal,
        /// Whether hosts with an action of their own in hosts.toml get that one.
        own_actions: bool,
        /// The strategy; none means each host's own.
        strategy: Option<Strategy>,
        /// What else was chosen.
        choices: StartChoices,
        /// Protected hosts whose names were typed.
        allow_protected: Vec<String>,
        /// Whether hosts take part that run no system of NixOS yet; their names were typed.
        first: bool,
    },
    /// Start a run that takes a host to one of its generations; its plan waits for an answer.
    RollBack {
        /// The host.
        host: String,
        /// The number of the generation.
        generation: u64,
        /// What else was chosen.
        choices: StartChoices,
        /// The host again, where it is protected and its name was typed.
        allow_protected: Vec<String>,
    },
    /// Start a run that tries the hosts again that did not end well in another one.
    Retry {
        /// That run.
        run: RunId,
        /// Protected hosts whose names were typed.
        allow_protected: Vec<String>,
    },
    /// Ask a host for its generations; [`Msg::Generations`] says what came of it.
    ListGenerations {
        /// The host.
        host: String,
    },
    /// Ask a host for its units; [`Msg::Units`] says what came of it.
    ListUnits {
        /// The host.
        host: String,
    },
    /// Read this part of a journal and no other any more; it comes as [`Msg::Journal`].
    ReadJournal(Option<JournalWanted>),
    /// Ask a host what differs between two of its systems; [`Msg::Compared`] says what came of it.
    CompareGenerations {
        /// The host.
        host: String,
        /// The generation that the new system is.
        generation: u64,
        /// The old system.
        old: StorePath,
        /// The new system.
        new: StorePath,
    },
    /// Read figures over time out of the history; they come as [`Msg::OverTime`].
    ReadOverTime {
        /// Whose.
        of: OverTimeOf,
        /// How far back.
        span: TimeSpan,
        /// In how many parts.
        parts: usize,
    },
    /// Read what happened in the last 90 days out of the history; it comes as [`Msg::Past`].
    ReadPast {
        /// To what; none means to all.
        of: Option<OverTimeOf>,
    },
    /// Keep a password for sudo in memory, for the runs that are started from now on.
    KeepPassword {
        /// The hosts that it is for.
        hosts: Vec<String>,
        /// The password.
        password: Secret,
    },
    /// Ask the ssh servers of a host for their keys, without a login; they come as
    /// [`Msg::HostKeys`].
    FetchHostKeys {
        /// The host.
        host: String,
    },
    /// Write a key that was accepted into `known_hosts`, and ask the host again.
    AcceptHostKey {
        /// The key.
        key: Box<HostKey>,
    },
    /// Answer the plan of a waiting run.
    Answer {
        /// The run.
        run: RunId,
        /// Whether to go on.
        yes: bool,
    },
    /// Go on with a run whose process is gone.
    Reattach {
        /// The run.
        run: RunId,
    },
    /// Stop a run.
    CancelRun {
        /// The run.
        run: RunId,
    },
    /// Say something to a run that goes on.
    Order {
        /// The run.
        run: RunId,
        /// What.
        order: RunOrder,
    },
    /// Silence a finding; [`Msg::Silences`] or [`Msg::Said`] says what came of it.
    Silence(Box<Silence>),
    /// Make what this silences an alarm again.
    EndSilence(Box<Silence>),
    /// Forget a silence that held as long as its finding did not change, which it did.
    ForgetSilence(Box<Silence>),
    /// Measure now.
    Probe {
        /// The hosts; empty means every host and every tier.
        hosts: Vec<String>,
    },
    /// Open a shell on a host in the terminal; it comes as [`Msg::Program`], or [`Msg::Said`] says why not.
    OpenShell {
        /// The host.
        host: String,
    },
    /// Look closely at the stores of hosts; what was found, or why not, comes as [`Msg::Notice`]s.
    LookClosely {
        /// The hosts.
        hosts: Vec<String>,
    },
    /// Fetch a nar of a tier whole and compare it with its narinfo; [`Msg::Verified`] says what came
    /// of it.
    Verify {
        /// The tier.
        tier: String,
    },
    /// These logs are in view, and no others: their newest lines come as [`Msg::Log`], then what is added
    /// to them.
    ViewLogs(LogsInView),
    /// The pane of logs needs this, and nothing else any more: it comes as [`Msg::Logs`], now and when it
    /// changes.
    ShowLogs(Option<Box<PaneWanted>>),
    /// Copy a text to where other programs find it; [`Msg::Said`] or [`Msg::Clip`] says how.
    Copy {
        /// The text, printable.
        text: String,
        /// What it is, such as `3 lines`.
        what: String,
    },
    /// Copy rows to where other programs find them; [`Msg::Said`] or [`Msg::Clip`] says how.
    CopyRows {
        /// Of which rows.
        of: Box<RowsOf>,
        /// Which.
        what: RowsTaken,
    },
    /// Save rows in a file that is not there yet; [`Msg::Said`] says what came of it.
    SaveRows {
        /// Which.
        of: Box<RowsOf>,
        /// The file: a path from the folder in which nixdash was started, or one that begins with `~/`.
        file: String,
    },
    /// Show rows in the person's own pager; it comes as [`Msg::Program`], or [`Msg::Said`] says why not.
    PageRows {
        /// Of which rows.
        of: Box<RowsOf>,
        /// The row to begin at.
        row: Option<u64>,
    },
    /// Open rows in the person's own editor; it comes as [`Msg::Program`], or [`Msg::Said`] says why not.
    EditRows {
        /// Of which rows.
        of: Box<RowsOf>,
        /// The row to begin at.
        row: Option<u64>,
    },
    /// Open `hosts.toml` in the person's own editor; it comes as [`Msg::Program`].
    EditHostsFile,
    /// Keep a theme for this user; [`Msg::Said`] says what came of it.
    KeepTheme {
        /// Its name, or the path of its file.
        theme: String,
    },
    /// Keep how the dashboard is left, for the next one of the same hosts.toml.
    KeepSession(String),
    /// Keep what was tried of the practice fleet.
    KeepPractice(Practice),
    /// Say (as [`Msg::Notice`]) where the complete log of a host's run is.
    OpenLog {
        /// The run.
        run: RunId,
        /// The host.
        host: String,
    },
    /// The dashboard ends.
    Quit {
        /// Runs to stop; every other run goes on.
        cancel: Vec<RunId>,
    },
    /// For the terminal itself; carried out there and never sent to the runtime.
    Terminal(Wish),
}

impl Effect {
    /// Returns whether it changes hosts or runs.
    pub fn changes_something(&self) -> bool {
        match self {
            Self::StartRun { .. }
            | Self::RollBack { .. }
            | Self::Retry { .. }
            | Self::Answer { .. }
            | Self::Reattach { .. }
            | Self::AcceptHostKey { .. }
            | Self::Silence(_)
            | Self::EndSilence(_)
            | Self::ForgetSilence(_)
            | Self::Order { .. }
            | Self::OpenShell { .. }
            | Self::EditHostsFile
            | Self::CancelRun { .. } => true,
            Self::Quit { cancel } => !cancel.is_empty(),
            Self::Probe { .. }
            | Self::LookClosely { .. }
            | Self::Verify { .. }
            | Self::ListGenerations { .. }
            | Self::ListUnits { .. }
            | Self::ReadJournal(_)
            | Self::CompareGenerations { .. }
            | Self::ReadOverTime { .. }
            | Self::ReadPast { .. }
            | Self::KeepPassword { .. }
            | Self::FetchHostKeys { .. }
            | Self::ViewLogs { .. }
            | Self::ShowLogs(_)
            | Self::Copy { .. }
            | Self::CopyRows { .. }
            | Self::SaveRows { .. }
            | Self::PageRows { .. }
            | Self::EditRows { .. }
            | Self::KeepTheme { .. }
            | Self::KeepSession(_)
            | Self::KeepPractice(_)
            | Self::OpenLog { .. }
            | Self::Terminal(_) => false,
        }
    }
}

/// What the screen asks of the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Clear and draw everything again.
    Redraw,
    /// Stop the process until the shell continues it.
    Suspend,
    /// Hand a text to the clipboard of the terminal, as far as it lets programs do that.
    Clip(String),
    /// Ring, and hand the sentence to the desktop where the terminal can.
    Notify(String),
    /// Tell of the mouse, or keep it to itself.
    Mouse(bool),
    /// Show the theme of that name for a while; without one, give back the one that was there before.
    ShowTheme(Option<String>),
    /// Let the theme stay that is shown.
    LetThemeStay,
    /// Give the terminal to a program until that ends.
    Run(Box<TerminalProgram>),
}
