//! What is known of one derivation.

use super::rank::UsedUp;
use super::tail::OutputTail;
use super::telling::Telling;
use crate::fleet::{TextStyle, printable_line, style_behind};
use std::time::Duration;

/// How far a derivation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildState {
    /// Nix said that it will be built.
    Planned,
    /// It could begin, but waits.
    Waiting(WaitsFor),
    /// It is being built.
    Running,
    /// It was built to its end.
    Built,
    /// Its builder, or the check of what it made, failed.
    Failed,
    /// It was not built, because another that it needs failed.
    DependencyFailed,
    /// It began and was stopped before its end.
    Interrupted,
}

/// What a build waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// Another process of Nix has locked its outputs.
    Lock,
    /// All build machines are busy.
    Machine,
    /// All users that build are busy.
    BuildUser,
    /// The derivation that it turned out to be.
    Resolved,
    /// Something that is not known here.
    Other,
}

/// One derivation, however often it was begun: a build through `ssh-ng` begins here and there.
#[derive(Clone, Debug)]
pub struct BuildNode {
    drv: String,
    package: String,
    machine: Option<String>,
    pub(super) state: BuildState,
    pub(super) reason: Option<String>,
    /// Whether only a counter says that it failed, and no message.
    pub(super) is_guess: bool,
    phase: Option<(String, Option<Duration>)>,
    began: Option<Duration>,
    ended: Option<Duration>,
    /// How many activities build it now.
    running: usize,
    lines: u64,
    /// How its last line began to look, and how it ended.
    began_to_look: TextStyle,
    looks: TextStyle,
    tail: OutputTail,
    telling: Telling,
}

impl BuildNode {
    /// Makes one that will be built.
    pub(super) fn new(drv: &str) -> Self {
        Self {
            drv: drv.to_owned(),
            package: super::names::package_of(drv),
            machine: None,
            state: BuildState::Planned,
            reason: None,
            is_guess: false,
            phase: None,
            began: None,
            ended: None,
            running: 0,
            lines: 0,
            began_to_look: TextStyle::default(),
            looks: TextStyle::default(),
            tail: OutputTail::default(),
            telling: Telling::default(),
        }
    }

    /// Returns the path of the derivation, as Nix wrote it.
    pub fn drv(&self) -> &str {
        &self.drv
    }

    /// Returns the package, such as `firefox`, printable.
    pub fn package(&self) -> &str {
        &self.package
    }

    /// Returns the machine that builds it, such as `ssh-ng://p620`, printable; none for this one.
    pub fn machine(&self) -> Option<&str> {
        self.machine.as_deref()
    }

    /// Returns how far it is.
    pub fn state(&self) -> BuildState {
        self.state
    }

    /// Returns why it failed, in Nix's words, printable; none where Nix did not say.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Returns the phase that it is in, or was in last, printable, and since when.
    pub fn phase(&self) -> Option<(&str, Option<Duration>)> {
        self.phase.as_ref().map(|(phase, since)| (phase.as_str(), *since))
    }

    /// Returns how long it took, or takes so far; none where lines came without their times.
    pub fn time(&self, now: Duration) -> Option<Duration> {
        let until = if self.running > 0 { now } else { self.ended? };
        Some(until.saturating_sub(self.began?))
    }

    /// Returns how long it took from its begin to its end.
    pub fn time_taken(&self) -> Option<Duration> {
        Some(self.ended?.saturating_sub(self.began?))
    }

    /// Returns how many lines it wrote.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Returns how its last line began to look: as the line before it ended.
    pub(super) fn began_to_look(&self) -> TextStyle {
        self.began_to_look
    }

    /// Returns its last lines, printable, the oldest first.
    pub fn last_lines(&self) -> impl Iterator<Item = String> {
        self.tail.printable()
    }

    /// Returns the line of its output that says most about a failure, printable; the last one where
    /// none says more than another.
    pub fn said(&self) -> Option<String> {
        let line = self.telling.line().or_else(|| self.tail.last())?;
        Some(printable_line(line).trim().to_owned()).filter(|line| !line.is_empty())
    }

    /// Returns whether that line says what went wrong, and is not only the last one or a summary.
    pub fn names_a_cause(&self) -> bool {
        self.telling.names_a_cause()
    }

    /// Returns what its output says was used up.
    pub(super) fn used_up(&self) -> Option<UsedUp> {
        self.telling.used_up()
    }

    /// Notes that it begins; once more, when it is built again.
    pub(super) fn start(&mut self, machine: &str, now: Option<Duration>) {
        if self.running == 0 {
            (self.began, self.ended, self.phase) = (now, None, None);
            (self.reason, self.is_guess) = (None, false);
            self.looks = TextStyle::default();
        }
        if !machine.is_empty() {
            self.machine = Some(printable_line(machine));
        }
        self.running += 1;
        self.state = BuildState::Running;
    }

    /// Notes that an activity that builds it stopped; says whether it was the last one.
    pub(super) fn stop(&mut self, now: Option<Duration>) -> bool {
        self.running = self.running.saturating_sub(1);
        if self.running == 0 {
            self.ended = now;
        }
        self.running == 0
    }

    /// Notes that all that built it is over.
    pub(super) fn stop_all(&mut self, now: Option<Duration>) {
        if self.running > 0 {
            (self.running, self.ended) = (0, now);
        }
    }

    /// Notes a phase.
    pub(super) fn set_phase(&mut self, phase: &str, now: Option<Duration>) {
        self.phase = Some((printable_line(phase), now));
    }

    /// Notes a line of its output.
    pub(super) fn output(&mut self, line: &str) {
        self.lines = self.lines.saturating_add(1);
        self.began_to_look = self.looks;
        self.looks = style_behind(line, self.looks);
        self.tail.push(line);
        self.telling.take(line);
    }

    /// Forgets its times: the lines that come now were written earlier.
    pub(super) fn forget_begin(&mut self) {
        if self.running > 0 {
            self.began = None;
            if let Some((_, since)) = &mut self.phase {
                *since = None;
            }
        }
    }
}
