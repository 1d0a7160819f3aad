//! What a run does to one host, as the screen knows it: folded from events and from how far it is.

use crate::dash::world::{LogRing, age};
use crate::fleet::words::{CACHE_DOWN, NO_ANSWER, TO_DECIDE};
use crate::fleet::{
    Bytes, HostResult, LiveHost, LiveProgress, LogLine, Outcome, Phase, PhaseState, Progress,
    RemoteCommand, Share, UsualTimes, Wait,
};
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How far back the speed of a copy is averaged.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// Less time than this is not told as what is left of a phase.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// One phase of one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseView {
    /// How it stands.
    pub state: PhaseState,
    /// When it began; of a skipped one, when that was said.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// How far a phase is, in the unit that it counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Derivations built.
    Built(Share),
    /// Bytes copied.
    Copied(Bytes),
    /// Paths copied, where no bytes are told.
    Paths(Share),
}

impl Extent {
    /// Returns the share that is done, 0 to 1.
    pub fn share(self) -> Option<f64> {
        let share = match self {
            Self::Built(share) | Self::Paths(share) => share.ratio()?,
            Self::Copied(bytes) => bytes.share()?,
        };
        Some(share.clamp(0.0, 1.0))
    }
}

/// What a run does to one host.
#[derive(Clone, Debug, PartialEq)]
pub struct HostRun {
    /// The host.
    pub host: String,
    /// The phases that were reached.
    pub phases: BTreeMap<Phase, PhaseView>,
    /// How far the current phase is.
    pub progress: Option<(Phase, Progress)>,
    /// Derivations to build for it, as its plan says.
    pub to_build: Option<u64>,
    /// What the host waits for.
    pub waiting: Option<Wait>,
    /// How it ended.
    pub result: Option<HostResult>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Whether it began again in order to go back to what it ran before the run.
    pub(in crate::dash) goes_back: bool,
    /// Whether an earlier attempt of this run gave it the new system.
    has_new: bool,
    /// What its phases usually take, in milliseconds.
    pub usual: UsualTimes,
    /// What was run for it, oldest first.
    pub commands: Vec<(Phase, RemoteCommand)>,
    /// The last line that it logged.
    pub last: Option<LogLine>,
    /// Its newest log lines, as long as its log is in view.
    pub log: LogRing,
    /// Bytes done at points in time, to tell the speed from.
    samples: VecDeque<(Timestamp, u64)>,
}

impl HostRun {
    /// Returns a host that has not begun.
    pub fn new(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            phases: BTreeMap::new(),
            progress: None,
            to_build: None,
            waiting: None,
            result: None,
            ended_at: None,
            goes_back: false,
            has_new: false,
            usual: UsualTimes::new(),
            commands: Vec::new(),
            last: None,
            log: LogRing::default(),
            samples: VecDeque::new(),
        }
    }

    /// Returns how soon a person should see it; less is sooner. One that was left out comes before those that
    /// ended well, once the run is over; until then nobody knows which will.
    pub(in crate::dash) fn urgency(&self, is_over: bool) -> u8 {
        match (&self.result, &self.waiting) {
            (Some(result), _) if result.outcome.is_trouble() => 0,
            _ if self.alert().is_some() => 1,
            (None, Some(Wait::Decision { .. })) => 1,
            (None, Some(wait)) if wait.is_way_back() => 1,
            (Some(result), _) if is_over && !result.outcome.is_good() => 2,
            _ => 3,
        }
    }

    /// Returns what is the matter where it waits for somebody to decide, or for somebody who does not answer any more:
    /// that need not be the host itself.
    pub(in crate::dash) fn alert(&self) -> Option<&'static str> {
        match self.waiting.as_ref().filter(|_| self.result.is_none())? {
            Wait::Way { .. } => Some(TO_DECIDE),
            Wait::Cache { .. } => Some(CACHE_DOWN),
            wait => wait.is_for_silent().then_some(NO_ANSWER),
        }
    }

    /// Returns whether it goes back to what it ran before the run.
    pub(in crate::dash) fn is_going_back(&self) -> bool {
        self.waiting.as_ref().is_some_and(Wait::is_way_back)
    }

    /// Returns whether something is done for it now; going back is work too.
    pub(in crate::dash) fn is_at_work(&self) -> bool {
        let works = match &self.waiting {
            None | Some(Wait::Activation { .. }) => true,
            Some(wait) => wait.is_way_back(),
        };
        works && self.result.is_none() && self.current().is_some()
    }

    /// Returns the phase in which it went wrong: the first that failed, or the activation of a system that
    /// was kept with something wrong; none where nothing did.
    pub(in crate::dash) fn failed_in(&self) -> Option<Phase> {
        let failed = self.phases.iter().find(|(_, view)| view.state == PhaseState::Failed);
        let outcome = self.result.as_ref().map(|result| result.outcome);
        failed
            .map(|(phase, _)| *phase)
            .or_else(|| (outcome == Some(Outcome::Degraded)).then_some(Phase::Activate))
    }

    /// Returns the phase that runs now.
    pub fn current(&self) -> Option<(Phase, PhaseView)> {
        let running = |view: &PhaseView| view.state == PhaseState::Started;
        self.phases
            .iter()
            .rev()
            .find(|(_, view)| running(view))
            .map(|(phase, view)| (*phase, *view))
    }

    /// Returns the progress of the phase that runs now.
    pub fn progress_now(&self) -> Option<&Progress> {
        let (phase, _) = self.current()?;
        self.progress.as_ref().filter(|(of, _)| *of == phase).map(|(_, progress)| progress)
    }

    /// Returns how far the current phase is: a build by its derivations, a copy by its bytes.
    pub fn extent(&self) -> Option<Extent> {
        let (phase, _) = self.current()?;
        let progress = self.progress_now();
        let planned = self.to_build.filter(|count| *count > 0 && phase == Phase::Build);
        match progress {
            None => planned.map(|total| Extent::Built(Share { have: 0, total })),
            Some(progress) => {
                let paths = Share { have: progress.done, total: progress.expected };
                let paths = (progress.expected > 0).then_some(Extent::Paths(paths));
                let built = |builds: Share| {
                    // Newer versions of Nix expect more builds than there are.
                    let total = planned.map_or(builds.total, |planned| planned.min(builds.total));
                    Extent::Built(Share { total: total.max(builds.have), ..builds })
                };
                match (phase, progress.builds, progress.bytes) {
                    (Phase::Build, Some(builds), _) => Some(built(builds)),
                    (Phase::Build, None, _) => {
                        planned.map(|total| Extent::Built(Share { have: 0, total })).or(paths)
                    }
                    (_, _, Some(bytes)) => Some(Extent::Copied(bytes)),
                    (_, _, None) => paths,
                }
            }
        }
    }

    /// Returns the share of the current phase that is done, 0 to 1.
    pub fn share(&self) -> Option<f64> {
        self.extent()?.share()
    }

    /// Returns bytes per second of the current copy, averaged over the last ten seconds; nothing where none came
    /// in that time.
    pub fn bytes_per_second(&self, now: Timestamp) -> Option<f64> {
        let Some(Extent::Copied(_)) = self.extent() else { return None };
        let first = self.samples.iter().find(|(at, _)| age(now, *at) <= RATE_WINDOW)?;
        let last = self.samples.back()?;
        let seconds = age(now, first.0).as_secs_f64();
        (seconds >= 1.0 && last.1 > first.1).then(|| (last.1 - first.1) as f64 / seconds)
    }

    /// Returns for how long nothing of the current copy came; nothing where that is less than ten seconds.
    pub fn still_for(&self, now: Timestamp) -> Option<Duration> {
        let Some(Extent::Copied(_)) = self.extent() else { return None };
        let (newest, _) = self.samples.back()?;
        Some(age(now, *newest)).filter(|still| *still > RATE_WINDOW)
    }

    /// Returns how long the current copy will still take at its present speed; a build as its packages
    /// usually do, where that is known of them; of any other phase,
    /// what is left of the time that it usually takes on this host. Nothing where that is over, and of a copy
    /// that stands still.
    pub fn time_left(&self, now: Timestamp) -> Option<Duration> {
        if self.still_for(now).is_some() {
            return None;
        }
        let rate = self.bytes_per_second(now);
        if let (Some(Extent::Copied(bytes)), Some(rate)) = (self.extent(), rate) {
            return Duration::try_from_secs_f64(bytes.free() as f64 / rate).ok();
        }
        if let Some(left) = self.progress_now().and_then(|progress| progress.left_ms) {
            return Some(Duration::from_millis(left)).filter(|left| *left >= WORTH_TELLING);
        }
        let (phase, view) = self.current()?;
        let usual = Duration::from_millis(*self.usual.get(&phase)?);
        usual.checked_sub(age(now, view.started_at)).filter(|left| *left >= WORTH_TELLING)
    }

    /// Returns whether it has its new system from this run: it ended so, and was perhaps tried again since.
    pub(in crate::dash) fn has_new_system(&self) -> bool {
        self.result.as_ref().map_or(self.has_new, |result| result.outcome.is_new_system())
    }

    /// Forgets how its run ended: it begins again, perhaps in order to go back. Its log stays.
    pub(in crate::dash) fn begin_again(&mut self, goes_back: bool) {
        self.has_new = !goes_back && self.has_new_system();
        self.goes_back = goes_back;
        self.phases.clear();
        self.progress = None;
        self.waiting = None;
        self.result = None;
        self.ended_at = None;
        self.samples.clear();
    }

    pub(in crate::dash) fn phase(&mut self, phase: Phase, state: PhaseState, at: Timestamp) {
        let started_at = match (state, self.phases.get(&phase)) {
            (PhaseState::Finished | PhaseState::Failed, Some(view)) => view.started_at,
            _ => at,
        };
        let ended_at = (state != PhaseState::Started).then_some(at);
        self.phases.insert(phase, PhaseView { state, started_at, ended_at });
        if state == PhaseState::Started {
            self.samples.clear();
            // A way back goes on through the phases that are left.
            self.waiting.take_if(|wait| !wait.is_way_back());
        }
    }

    /// Takes how far the host is.
    pub(in crate::dash) fn live(&mut self, live: LiveHost) {
        if let Some(LiveProgress { at, phase, progress }) = live.progress {
            self.progress(phase, progress, at);
        }
        self.last = live.last.or(self.last.take());
    }

    fn progress(&mut self, phase: Phase, progress: Progress, at: Timestamp) {
        // Told again, since something else of the run changed.
        if self.samples.back().is_some_and(|(then, _)| *then == at) {
            return;
        }
        let known = self.samples.back().map(|(_, used)| *used);
        // What is told with as many bytes as before says no more of the copy.
        if let Some(bytes) = progress.bytes.filter(|bytes| known != Some(bytes.used)) {
            let window = jiff::SignedDuration::try_from(RATE_WINDOW).unwrap_or_default();
            self.samples.push_back((at, bytes.used));
            while self.samples.len() > 2
                && self.samples.front().is_some_and(|(then, _)| at.duration_since(*then) > window)
            {
                self.samples.pop_front();
            }
        }
        self.progress = Some((phase, progress));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_764_000_000 + second).unwrap()
    }

    #[test]
    fn a_copy_that_stands_still_has_no_speed_and_no_time_left() {
        let mut host = HostRun::new("samsung");
        host.usual.insert(Phase::Fetch, 60_000);
        host.phase(Phase::Fetch, PhaseState::Started, at(0));
        for second in 1..=8 {
            let bytes = Some(Bytes { used: second * 100, total: 1_600 });
            let progress = Progress { bytes, ..Progress::default() };
            host.progress(Phase::Fetch, progress, at(i64::try_from(second).unwrap()));
        }
        assert_eq!(host.bytes_per_second(at(8)), Some(100.0));
        assert_eq!(host.time_left(at(8)), Some(Duration::from_secs(8)));
        assert_eq!(host.still_for(at(8)), None);
        // Something else of it is told, and no byte came.
        let bytes = Some(Bytes { used: 800, total: 1_600 });
        host.progress(Phase::Fetch, Progress { done: 1, bytes, ..Progress::default() }, at(11));
        assert_eq!(host.bytes_per_second(at(11)), Some(70.0));
        assert_eq!(host.bytes_per_second(at(15)), Some(30.0));
        assert_eq!((host.bytes_per_second(at(20)), host.time_left(at(20))), (None, None));
        assert_eq!(host.still_for(at(20)), Some(Duration::from_secs(12)));
        // It goes on: its speed is not averaged over the time in which nothing came.
        for (second, used) in [(80, 900), (82, 1_100)] {
            let progress =
                Progress { bytes: Some(Bytes { used, total: 1_600 }), ..Progress::default() };
            host.progress(Phase::Fetch, progress, at(second));
        }
        assert_eq!(host.bytes_per_second(at(82)), Some(100.0));
    }
}
