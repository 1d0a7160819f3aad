//! Folds what Nix said for the host in view, from the streams that are kept of its jobs.
//!
//! A stream is what one job printed; where the job was begun once more, another one follows. When its
//! lines were written is noted beside it; those that come while it is looked at are written now.

use super::PaneReader;
use super::streams::{KeptStream, kept_streams};
use crate::dash::{ActivityShown, LogNews, Msg, PaneWanted, activity_shown};
use crate::fleet::{RunId, RunWhat, UsualBuilds};
use crate::nix::activity::ActivityLog;
use crate::record::{History, Runs, state_home};
use crate::remote::LineSplitter;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How many bytes are read at once.
const CHUNK: usize = 256 * 1024;

/// Longest line that is held, in bytes; a longer one means nothing.
const LONGEST: usize = 16 << 20;

/// How often it is told what Nix does, at most.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// How often it is looked whether more is known of which derivation needs which.
const LEARN_EVERY: Duration = Duration::from_secs(2);

/// How often it is told while nothing is new: times grow.
const TELL_TIMES: Duration = Duration::from_secs(1);

/// What Nix said for one host of a run, job by job.
struct HostActivity {
    run: RunId,
    host: String,
    jobs: BTreeMap<String, JobActivity>,
    /// The streams that are known.
    streams: BTreeSet<String>,
    /// How long packages usually take to be built where this host's are.
    usual: UsualBuilds,
    /// When it was looked last which derivation needs which.
    learned_at: Option<Instant>,
    /// Whether the run has ended, and what it did not end was interrupted.
    has_ended: bool,
}

/// What Nix said in one job.
struct JobActivity {
    log: ActivityLog,
    /// The streams that are folded after each other, and how far.
    streams: Vec<(KeptStream, u64)>,
    /// Which of them is being folded.
    at: usize,
    /// Cuts the stream that is being folded into lines.
    lines: LineSplitter,
    /// When it began; times are counted from then.
    began_at: Option<Timestamp>,
    /// Whether lines come as they are written.
    is_live: bool,
}

/// Tells the pane what Nix does.
pub(super) struct ActivityReader {
    runs: Runs,
    now: Option<HostActivity>,
    told: Option<(Instant, ActivityShown)>,
}

impl ActivityReader {
    /// Begins with nothing.
    pub(super) fn new(runs: Runs) -> Self {
        Self { runs, now: None, told: None }
    }

    /// Tells what Nix does, when that is something else than was told last and enough time has passed.
    fn tell(&mut self, is_new: bool, tell: &mut dyn FnMut(Msg)) {
        let Some(now) = &self.now else { return };
        let pause = match is_new {
            _ if now.has_ended => Duration::ZERO,
            true => TELL_EVERY,
            false => TELL_TIMES,
        };
        let is_whole = now.share() >= 1.0;
        let was_whole = self.told.as_ref().is_some_and(|(_, told)| told.share >= 1.0);
        let is_soon = self.told.as_ref().is_some_and(|(at, _)| at.elapsed() < pause);
        if is_soon && is_whole == was_whole {
            return;
        }
        let shown = now.shown();
        if self.told.as_ref().is_some_and(|(_, told)| *told == shown) {
            return;
        }
        self.told = Some((Instant::now(), shown.clone()));
        let (run, host) = (now.run.clone(), now.host.clone());
        tell(Msg::Logs(LogNews::Activity { run, host, shown: Box::new(shown) }));
    }
}

impl HostActivity {
    fn new(runs: &Runs, run: RunId, host: String) -> Self {
        let usual = usual_builds(runs, &run, &host);
        let (jobs, streams) = (BTreeMap::new(), BTreeSet::new());
        Self { run, host, jobs, streams, usual, learned_at: None, has_ended: false }
    }

    /// Looks which derivation needs which, while that is not known of all of them.
    fn learn(&mut self, runs: &Runs, is_last: bool) {
        let is_due = is_last || self.learned_at.is_none_or(|at| at.elapsed() >= LEARN_EVERY);
        let is_unread = |job: &JobActivity| job.log.tree().unread().next().is_some();
        if !is_due || !self.jobs.values().any(is_unread) {
            return;
        }
        self.learned_at = Some(Instant::now());
        let known = runs.edges(&self.run, &self.host);
        for job in self.jobs.values_mut() {
            for known in &known {
                job.log.tree_mut().learn(&known.drv, &known.read);
            }
        }
    }

    /// Looks for streams that are not known yet; those of an earlier attempt count no more.
    fn find(&mut self, runs: &Runs) {
        let is_known = |name: &str| self.streams.contains(name);
        for stream in kept_streams(runs, &self.run, &self.host, is_known) {
            self.streams.insert(stream.name.clone());
            let newest = self.jobs.get(stream.job()).and_then(|job| job.streams.first());
            let attempt = newest.map(|(newest, _)| newest.attempt());
            if attempt.is_some_and(|attempt| attempt > stream.attempt()) {
                continue;
            }
            if attempt.is_none_or(|attempt| attempt < stream.attempt()) {
                self.jobs.insert(stream.job().to_owned(), JobActivity::new());
            }
            if let Some(job) = self.jobs.get_mut(stream.job()) {
                job.streams.push((stream, 0));
            }
        }
    }

    /// Folds what was not folded yet, until `still` says no; returns whether there was anything.
    fn fold(&mut self, still: &dyn Fn() -> bool) -> bool {
        let mut is_new = false;
        for job in self.jobs.values_mut() {
            is_new |= job.fold(still);
        }
        is_new
    }

    /// Returns the share of the streams that was read.
    fn share(&self) -> f32 {
        let (mut read, mut size) = (0, 0);
        for (stream, offset) in self.jobs.values().flat_map(|job| &job.streams) {
            (read, size) = (read + offset, size + stream.length().max(*offset));
        }
        if size == 0 { 1.0 } else { (read as f64 / size as f64) as f32 }
    }

    /// Returns what is shown of it.
    fn shown(&self) -> ActivityShown {
        let now = Timestamp::now();
        let logs: Vec<_> = self.jobs.values().map(|job| (&job.log, job.since(now))).collect();
        let usual = |package: &str| self.usual.get(package).copied().map(Duration::from_millis);
        let shown = activity_shown(&logs, &usual);
        ActivityShown { is_kept: !self.streams.is_empty(), share: self.share(), ..shown }
    }
}

/// Returns how long packages usually take to be built where those of a host are; nothing where the run has no
/// plan.
fn usual_builds(runs: &Runs, run: &RunId, host: &str) -> UsualBuilds {
    let build_on = runs.outline(run).into_iter().rev().find_map(|event| match event.what {
        RunWhat::Plan { plan, .. } => {
            let planned = plan.hosts.iter().find(|planned| planned.host == host)?;
            Some(planned.route.builder(host).to_owned())
        }
        _ => None,
    });
    build_on
        .map(|build_on| History::usual_builds_below(&state_home(), &build_on))
        .unwrap_or_default()
}

impl JobActivity {
    fn new() -> Self {
        Self {
            log: ActivityLog::new(),
            streams: Vec::new(),
            at: 0,
            lines: LineSplitter::keeping(LONGEST),
            began_at: None,
            is_live: false,
        }
    }

    /// Folds what was added, stream by stream; returns whether there was anything.
    fn fold(&mut self, still: &dyn Fn() -> bool) -> bool {
        let mut is_new = false;
        let mut chunk = vec![0; CHUNK];
        while still() {
            let Some((stream, offset)) = self.streams.get(self.at) else { break };
            let read = stream.read_at(&mut chunk, *offset);
            if self.began_at.is_none() {
                self.began_at = stream.began_at().or(self.is_live.then(Timestamp::now));
            }
            if read > 0 {
                is_new = true;
                self.take(&chunk[..read]);
                self.streams[self.at].1 += read as u64;
            } else if self.at + 1 < self.streams.len() {
                // The job was begun once more: that is another process of Nix.
                self.log.process_ended();
                self.lines = LineSplitter::keeping(LONGEST);
                self.at += 1;
            } else {
                self.is_live = true;
                break;
            }
        }
        is_new
    }

    /// Returns how long it has been going on at a time.
    fn since(&self, now: Timestamp) -> Duration {
        let began_at = self.began_at.unwrap_or(now);
        now.duration_since(began_at).try_into().unwrap_or_default()
    }

    /// Returns when a line was written that ends before this byte, since the job began; none where that is
    /// not known.
    fn written(&self, end: u64) -> Option<Duration> {
        if self.is_live {
            return Some(self.since(Timestamp::now()));
        }
        let (stream, _) = self.streams.get(self.at)?;
        stream.written_at(end).map(|at| self.since(at))
    }

    /// Folds the lines of a piece.
    fn take(&mut self, mut piece: &[u8]) {
        while let Some(line) = self.lines.next(&mut piece) {
            let now = self.written(line.end());
            if !line.is_cut {
                self.log.fold_bytes(&line.bytes, now, &mut |_| {});
            }
        }
    }
}

impl PaneReader for ActivityReader {
    fn look(
        &mut self,
        wanted: &PaneWanted,
        still: &dyn Fn() -> bool,
        tell: &mut dyn FnMut(Msg),
    ) -> bool {
        let Some(host) = &wanted.activity else {
            self.forget();
            return false;
        };
        let run = &wanted.of.run;
        if self.now.as_ref().is_none_or(|now| now.run != *run || now.host != *host) {
            self.now = Some(HostActivity::new(&self.runs, run.clone(), host.clone()));
            self.told = None;
        }
        let Some(now) = &mut self.now else { return false };
        // Asked before the streams are read: what was written before the end is read, too.
        let has_ended = self.runs.has_ended(run);
        if now.has_ended {
            return false;
        }
        now.find(&self.runs);
        let is_new = now.fold(still);
        now.learn(&self.runs, has_ended);
        if has_ended && now.share() >= 1.0 {
            now.has_ended = true;
            now.jobs.values_mut().for_each(|job| job.log.process_ended());
        }
        self.tell(is_new, tell);
        is_new
    }

    fn forget(&mut self) {
        (self.now, self.told) = (None, None);
    }
}
