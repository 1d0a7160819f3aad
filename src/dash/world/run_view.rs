//! A run as the screen knows it: folded from its events.

use crate::dash::world::{HostCounts, HostRun, LogRing};
use crate::fleet::{
    ANSWER_LIMIT, Finding, HostResult, LiveRun, LogLine, OpenQuestion, Outcome, Plan, RolloutNews,
    RunEvent, RunId, RunWhat, Wait, WaveState,
};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// Hosts that can stand side by side, each with its log.
pub(in crate::dash) const SIDE_BY_SIDE: usize = 4;

/// How a run ended, host by host counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How many hosts ended how.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// How long the run took.
    pub duration: Duration,
    /// When it ended.
    pub at: Timestamp,
    /// What went wrong, the first first.
    pub findings: Vec<Finding>,
}

impl Summary {
    /// Returns whether every host got what was asked for.
    pub fn is_good(&self) -> bool {
        self.counts().well() == self.counts().all()
    }

    /// Returns how its hosts ended, counted.
    pub fn counts(&self) -> HostCounts {
        HostCounts { outcomes: self.outcomes.clone(), ..HostCounts::default() }
    }

    /// Returns the counts in words, the bad ones first: `1 failed · 2 switched`.
    pub fn words(&self) -> String {
        self.counts().words()
    }
}

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunView {
    /// Its name.
    pub id: RunId,
    /// What was asked for, in words.
    pub title: String,
    /// When it began.
    pub began_at: Timestamp,
    /// Its hosts, in the order of the run.
    pub hosts: Vec<HostRun>,
    /// What it will do.
    pub plan: Option<Plan>,
    /// Whether it waits for a yes or no to the plan.
    pub waits: bool,
    /// Since when it waits so, and how long it did before: nobody worked meanwhile.
    asked_at: Option<Timestamp>,
    waited: Duration,
    /// Until when it waits so.
    pub answer_until: Option<Timestamp>,
    /// Whether it was asked to stop.
    pub stopping: bool,
    /// How it ended.
    pub summary: Option<Summary>,
    /// When its newest event happened.
    pub newest_at: Timestamp,
    /// Why the process that carried it out is gone.
    pub gone: Option<String>,
    /// Whether another process may go on with it.
    pub can_go_on: bool,
    /// Whether somebody paused it.
    pub paused: bool,
    /// What somebody has to decide.
    pub question: Option<OpenQuestion>,
    /// How many waves it has; none where nothing is told of any.
    pub(in crate::dash) all_waves: Option<usize>,
    /// Why no other host begins.
    pub halted: Option<Finding>,
    /// The newest news of its waves, which holds until the next one, and when it came.
    pub news: Option<(Timestamp, RolloutNews)>,
    /// What was said or decided last, which is news for a moment only, and when it came.
    pub said: Option<(Timestamp, RolloutNews)>,
}

impl RunView {
    /// Returns a run that has just become known.
    pub fn new(id: RunId, at: Timestamp) -> Self {
        Self {
            id,
            title: String::new(),
            began_at: at,
            hosts: Vec::new(),
            plan: None,
            waits: false,
            asked_at: None,
            waited: Duration::ZERO,
            answer_until: None,
            stopping: false,
            summary: None,
            newest_at: at,
            gone: None,
            can_go_on: false,
            paused: false,
            question: None,
            all_waves: None,
            halted: None,
            news: None,
            said: None,
        }
    }

    /// Returns whether the run goes on.
    pub fn is_active(&self) -> bool {
        self.summary.is_none() && self.gone.is_none()
    }

    /// Returns whether its process ended before it did, and another one may go on with it.
    pub(in crate::dash) fn is_left(&self) -> bool {
        !self.is_active() && self.can_go_on
    }

    /// Returns the hosts that did not end well.
    pub fn not_well(&self) -> Vec<String> {
        let ended_well =
            |host: &&HostRun| host.result.as_ref().is_some_and(HostResult::is_as_asked);
        self.hosts.iter().filter(|host| !ended_well(host)).map(|host| host.host.clone()).collect()
    }

    /// Returns whether it has ended, and hosts of it can be tried again.
    pub fn can_be_tried_again(&self) -> bool {
        !self.is_active() && !self.not_well().is_empty()
    }

    /// Returns the named host's part.
    pub fn host(&self, name: &str) -> Option<&HostRun> {
        self.hosts.iter().find(|host| host.host == name)
    }

    /// Returns the wave of a host, from 1; none where nothing is known of any. One of which the plan knew no
    /// system is in the last wave.
    pub(in crate::dash) fn wave_of(&self, name: &str) -> Option<usize> {
        let mut planned = self.plan.iter().flat_map(|plan| &plan.hosts);
        let planned = planned.find(|planned| planned.host == name);
        planned.and_then(|planned| planned.wave).or(self.all_waves)
    }

    /// Returns whether it goes on, in several waves.
    pub(in crate::dash) fn has_waves(&self) -> bool {
        self.is_active() && self.several_waves().is_some()
    }

    /// Returns how many waves it has or had, where those are several.
    pub(in crate::dash) fn several_waves(&self) -> Option<usize> {
        self.all_waves.filter(|count| *count > 1)
    }

    /// Returns the results so far, each with its host.
    pub fn results(&self) -> impl Iterator<Item = (&str, &HostResult)> {
        self.hosts.iter().filter_map(|host| Some((host.host.as_str(), host.result.as_ref()?)))
    }

    /// Returns how its hosts stand, counted; once it has ended, as it was counted then.
    pub fn counts(&self) -> HostCounts {
        match &self.summary {
            Some(summary) => summary.counts(),
            None => HostCounts::of(&self.hosts),
        }
    }

    /// Returns how long the run took, or takes so far, without the time that its plan waited for an
    /// answer.
    pub fn elapsed(&self, now: Timestamp) -> Duration {
        if let Some(summary) = &self.summary {
            return summary.duration;
        }
        let until = if self.gone.is_some() { self.newest_at } else { now };
        let until = self.asked_at.map_or(until, |asked_at| until.min(asked_at));
        let time: Duration = until.duration_since(self.began_at).try_into().unwrap_or_default();
        time.saturating_sub(self.waited)
    }

    /// Notes that the plan is waited for from a time on.
    fn wait_for_answer(&mut self, from: Timestamp) {
        self.answer_until = from.checked_add(ANSWER_LIMIT).ok().filter(|_| self.waits);
    }

    /// Notes at a time that the plan was answered.
    fn answered(&mut self, at: Timestamp) {
        self.waits = false;
        if let Some(asked_at) = self.asked_at.take() {
            self.waited += Duration::try_from(at.duration_since(asked_at)).unwrap_or_default();
        }
    }

    /// Folds an event of this run.
    pub fn fold(&mut self, event: RunEvent) {
        let at = event.at;
        self.newest_at = self.newest_at.max(at);
        // An older nixdash did not tell the answer to the plan: work behind it shows that it was given.
        if event.what.is_work_after_plan() && self.asked_at.is_some() {
            self.answered(at);
        }
        match event.what {
            RunWhat::Begin { hosts, title, .. } => {
                self.began_at = at;
                self.title = title;
                let mut old = std::mem::take(&mut self.hosts);
                for name in &hosts {
                    let known = old.iter().position(|host| host.host == *name);
                    self.hosts.push(known.map_or_else(|| HostRun::new(name), |i| old.remove(i)));
                }
                self.hosts.append(&mut old);
            }
            RunWhat::Phase { host, phase, state } => {
                self.host_mut(&host).phase(phase, state, at);
            }
            // How far the run is comes as [`RunView::live`], its logs when they are looked at; marks
            // stand in the logs.
            RunWhat::Progress { .. }
            | RunWhat::Log { .. }
            | RunWhat::Builds { .. }
            | RunWhat::Dropped { .. } => {}
            RunWhat::Plan { plan, waits } => {
                for planned in &plan.hosts {
                    self.host_mut(&planned.host).to_build = planned.to_build;
                }
                self.plan = Some(plan);
                self.waits = waits;
                self.asked_at = waits.then_some(at);
                self.wait_for_answer(at);
            }
            RunWhat::Usual { hosts } => {
                for (host, usual) in hosts {
                    self.host_mut(&host).usual = usual;
                }
            }
            RunWhat::Command { host, phase, command } => {
                let (host, command) = (self.host_mut(&host), (phase, command));
                // Each attempt runs the same.
                if !host.commands.contains(&command) {
                    host.commands.push(command);
                }
            }
            RunWhat::Reattached { .. } => {
                self.gone = None;
                self.can_go_on = false;
                // A plan that waited for an answer waits for it again.
                self.waits = self.asked_at.is_some();
                self.wait_for_answer(at);
            }
            RunWhat::Waiting { host, wait, .. } => self.host_mut(&host).waiting = wait,
            RunWhat::Result { host, result } => {
                // Who waits for many hosts is not told of each that is done.
                for other in self.hosts.iter_mut().filter_map(|host| host.waiting.as_mut()) {
                    other.forget(&host);
                }
                let host = self.host_mut(&host);
                host.waiting = None;
                host.ended_at = Some(at);
                host.result = Some(result);
            }
            RunWhat::Rollout(news) => self.fold_news(news, at),
            RunWhat::Summary { outcomes, duration_ms, findings } => {
                self.waits = false;
                // Whoever ended it asked its hosts.
                self.gone = None;
                self.can_go_on = false;
                let duration = Duration::from_millis(duration_ms);
                self.summary = Some(Summary { outcomes, duration, at, findings });
            }
        }
    }

    /// Returns whether it waits for somebody to decide: about its plan, a check that could not be made, or
    /// a host to which no way is left.
    pub fn asks_somebody(&self) -> bool {
        self.waits || self.is_active() && (self.question.is_some() || self.without_way().is_some())
    }

    /// Returns the first host to which no way is left and about which nobody has decided yet, why, and
    /// until when it waits.
    pub fn without_way(&self) -> Option<(&str, &str, Option<Timestamp>)> {
        self.hosts.iter().find_map(|host| match &host.waiting {
            Some(Wait::Way { why, until }) => Some((host.host.as_str(), why.as_str(), *until)),
            _ => None,
        })
    }

    /// Puts hosts that went wrong, then those that go back, wait for somebody to decide, or for somebody who does
    /// not answer, before the others.
    pub(in crate::dash) fn put_trouble_first(&mut self) {
        let is_over = !self.is_active();
        self.hosts.sort_by_key(|host| host.urgency(is_over));
    }

    /// Takes how far the run is.
    pub fn live(&mut self, live: LiveRun) {
        for (name, live) in live.hosts {
            let told = live.progress.as_ref().map(|progress| progress.at);
            let newest = told.max(live.last.as_ref().and_then(|line| line.at));
            self.newest_at = newest.map_or(self.newest_at, |newest| self.newest_at.max(newest));
            self.host_mut(&name).live(live);
        }
    }

    /// Takes lines of a host's log; with `earlier` they take the place of all before, and so many stand
    /// before them in the log.
    pub fn log(&mut self, host: &str, earlier: Option<u64>, lines: Vec<LogLine>) {
        let host = self.host_mut(host);
        if let Some(earlier) = earlier {
            host.log = LogRing::after(earlier);
        }
        for line in lines {
            host.log.push(line);
        }
    }

    /// Folds what happened to how the run moves over its hosts.
    fn fold_news(&mut self, news: RolloutNews, at: Timestamp) {
        self.question = OpenQuestion::after(self.question.take(), &news);
        match &news {
            RolloutNews::Wave { of, state, .. } => {
                self.all_waves = Some(*of);
                if *state == WaveState::Began {
                    // What a gate said was said of the wave before.
                    self.said.take_if(|(_, said)| matches!(said, RolloutNews::Gate { .. }));
                }
            }
            RolloutNews::Paused { paused } => self.paused = *paused,
            // The hosts show it.
            RolloutNews::Answered { .. } => return self.answered(at),
            RolloutNews::Halted { finding, .. } => self.halted = Some(finding.clone()),
            // Nothing is paused any more: no host begins, and those that go back do so at once.
            RolloutNews::Cancelled { .. } => (self.stopping, self.paused) = (true, false),
            RolloutNews::Again { host, goes_back, .. } => {
                self.host_mut(host).begin_again(*goes_back);
            }
            RolloutNews::Gate { .. } | RolloutNews::Order { .. } | RolloutNews::Decided { .. } => {}
        }
        let told = if news.is_of_the_moment() { &mut self.said } else { &mut self.news };
        *told = Some((at, news));
    }

    fn host_mut(&mut self, name: &str) -> &mut HostRun {
        let index = self.hosts.iter().position(|host| host.host == name).unwrap_or_else(|| {
            self.hosts.push(HostRun::new(name));
            self.hosts.len() - 1
        });
        &mut self.hosts[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Phase, RemoteCommand};

    #[test]
    fn what_each_try_runs_stands_once_and_who_is_done_is_waited_for_no_longer() {
        let (id, at) = (RunId("7".to_owned()), Timestamp::UNIX_EPOCH);
        let mut run = RunView::new(id.clone(), at);
        let command = RemoteCommand {
            on: "razer".to_owned(),
            root: true,
            script: "preflight".to_owned(),
            args: Vec::new(),
        };
        let host = "razer".to_owned();
        let tried = RunWhat::Command { host: host.clone(), phase: Phase::Preflight, command };
        let hosts = vec!["samsung".to_owned(), "p510".to_owned()];
        let waits = RunWhat::waiting("razer", Some(Wait::Wave { wave: 2, hosts }), at);
        let result = HostResult::ended(Outcome::Switched);
        let ends = RunWhat::Result { host: "samsung".to_owned(), result };
        for what in [tried.clone(), tried, waits, ends] {
            run.fold(RunEvent { run: id.clone(), at, what });
        }
        let razer = run.host("razer").unwrap();
        assert_eq!(razer.commands.len(), 1);
        let left = Wait::Wave { wave: 2, hosts: vec!["p510".to_owned()] };
        assert_eq!(razer.waiting, Some(left));
    }

    #[test]
    fn what_a_gate_said_of_a_wave_is_not_told_once_the_next_one_begins() {
        let (id, at) = (RunId("7".to_owned()), Timestamp::UNIX_EPOCH);
        let mut run = RunView::new(id.clone(), at);
        let gate = "sshd".to_owned();
        let passed = RolloutNews::Gate { wave: 2, gate, passed: Some(true), said: None };
        let begins = |wave| {
            let (state, reason, until) = (WaveState::Began, None, None);
            RolloutNews::Wave { wave, of: 3, state, reason, until }
        };
        for (news, is_told) in [(begins(2), false), (passed, true), (begins(3), false)] {
            run.fold(RunEvent { run: id.clone(), at, what: RunWhat::Rollout(news) });
            assert_eq!(run.said.is_some(), is_told);
        }
        assert_eq!(run.news, Some((at, begins(3))));
    }
}
