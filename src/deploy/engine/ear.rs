//! Hears a job that prints Nix's internal-json: what it says is logged, counted and told, and kept byte
//! for byte in the run's folder.
//!
//! A process that goes on with the run folds what is kept there once more, and reads the job's log on
//! behind it. Each line of a host's log knows which line of the stream it was made of, so none is logged
//! twice and none is left out.

use super::edges;
use super::silence::HostSilence;
use super::step::Step;
use crate::fleet::{LogFrom, LogMark, Progress, UsualBuilds};
use crate::nix::activity::{ActivityLog, words};
use crate::record::{StreamEnd, StreamFile};
use crate::remote::ReadLine;
use crate::remote::job::{Job, LineSink};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Progress is told at most this often.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// How long the disk may take to keep a piece of a stream.
const PATIENCE: Duration = Duration::from_secs(3);

/// How many bytes of a stream are read at once.
const CHUNK: usize = 256 * 1024;

/// Hears a job that prints Nix's internal-json.
pub(super) struct NixEar<'a> {
    step: &'a Step,
    /// What the job is called in the run's folder, such as `build`; none for what is no job.
    job: Option<String>,
    /// Where what it prints is kept, as long as that works.
    file: Option<StreamFile>,
    /// What that is called.
    stream: Arc<str>,
    /// Up to where an earlier process logged it: what comes before is counted, and not logged once more.
    logged: Option<LogFrom>,
    log: ActivityLog,
    /// What packages usually take, where something is built.
    usual: Option<Arc<UsualBuilds>>,
    began: Instant,
    /// The same moment by the clock, and when the first line was written.
    began_at: Timestamp,
    first_at: Option<Timestamp>,
    /// When the next line was written; none for now.
    at: Option<Timestamp>,
    /// When the last line was written, since the first.
    heard: Duration,
    told: Option<(Instant, Progress)>,
    silence: HostSilence<'a>,
    /// Whether it was said that nothing happens, since something happened last.
    standstill_said: bool,
}

impl<'a> NixEar<'a> {
    /// Hears something that nobody heard before.
    pub(super) fn new(step: &'a Step) -> Self {
        Self {
            step,
            job: None,
            file: None,
            stream: "".into(),
            logged: None,
            log: ActivityLog::new(),
            usual: None,
            began: Instant::now(),
            began_at: Timestamp::now(),
            first_at: None,
            at: None,
            heard: Duration::ZERO,
            told: None,
            silence: HostSilence::new(step),
            standstill_said: false,
        }
    }

    /// Hears a job that was started, from its beginning on: first what earlier processes kept of it.
    /// `name` tells it from the other jobs for the host.
    pub(super) async fn of_job(step: &'a Step, job: &mut Job, name: &str) -> NixEar<'a> {
        let mut ear = NixEar::new(step);
        ear.hear_before(job, name).await;
        ear
    }

    /// Hears what earlier processes kept of a job, and keeps from now on what it prints.
    async fn hear_before(&mut self, job: &mut Job, name: &str) {
        let Some(streams) = self.step.shared.streams.clone() else { return };
        let (host, name) = (&self.step.host.name, self.step.shared.stream_name(name, self.step));
        let opened = if job.was_there() {
            streams.open(host, &name)
        } else {
            streams.begin_anew(host, &name)
        };
        self.job = Some(name);
        let file = match opened {
            Ok(file) => file,
            Err(error) => return self.say_not_kept(0, &error.to_string()).await,
        };
        self.stream = file.name().into();
        // Runs of a nixdash that kept no streams noted it in the journal.
        let noted = self.step.read_before(job);
        let noted = LogFrom { stream: Arc::clone(&self.stream), offset: noted, lines: 0 };
        self.logged = streams.logged(host, &self.stream).or(Some(noted));
        let marks = file.marks();
        if marks.is_empty() && file.length() > 0 {
            self.log.lines_are_late();
        }
        job.times_before(marks);
        let mut offset = 0;
        while offset < file.length() {
            match file.read(offset, CHUNK) {
                Ok(piece) if piece.is_empty() => break,
                Ok(piece) => {
                    offset += piece.len() as u64;
                    job.heard_before(&piece, self).await;
                }
                Err(error) => return self.say_not_kept(offset, &error.to_string()).await,
            }
        }
        // What follows must stand behind what it has.
        self.file = (offset == file.length()).then_some(file);
    }

    /// Returns what is heard for which phase of which host.
    pub(super) fn step(&self) -> &'a Step {
        self.step
    }

    /// Tells from now on what is left of a build, from what packages usually take and which derivation
    /// needs which, as far as that is known by now.
    pub(super) async fn expect(&mut self) {
        self.usual = Some(self.step.shared.usual_builds(self.step.host.build_on()).await);
        edges::tell(self.step, &mut self.log);
    }

    /// Returns what was heard so far.
    pub(super) fn log(&self) -> &ActivityLog {
        &self.log
    }

    /// Takes the log of a derivation that came from elsewhere. In the host's log its lines stand behind those
    /// of the job, once.
    pub(super) async fn take_log(&mut self, drv: &str, log: &str) {
        let mut offset = self.file.as_ref().map(StreamFile::length);
        for line in log.split_inclusive('\n') {
            let from = offset.map(|offset| {
                let stream = Arc::clone(&self.stream);
                LogFrom { stream, offset, lines: 1 }
            });
            offset = offset.map(|offset| offset + line.len() as u64);
            let Some(item) = self.log.feed_log(drv, line) else { continue };
            if !from.as_ref().is_some_and(|from| self.is_logged(from.offset, from.lines)) {
                self.step.log_item(&item, from, None).await;
            }
        }
    }

    /// Tells the last progress and returns what was heard.
    pub(super) async fn finish(mut self) -> ActivityLog {
        self.told = None;
        self.tell_progress().await;
        self.log
    }

    /// Tells the progress when it has changed and enough time has passed.
    async fn tell_progress(&mut self) {
        if self.told.as_ref().is_some_and(|(at, _)| at.elapsed() < PROGRESS_EVERY) {
            return;
        }
        let left_ms = self.usual.as_ref().and_then(|usual| self.left_ms(usual));
        let progress = Progress { left_ms, ..self.log.progress() };
        if self.told.as_ref().is_none_or(|(_, told)| *told != progress) {
            self.step.progress(progress.clone()).await;
            self.told = Some((Instant::now(), progress));
        }
    }

    /// Returns what is left of a build in milliseconds, in whole seconds.
    fn left_ms(&self, usual: &UsualBuilds) -> Option<u64> {
        Some(self.log.tree().time_left(self.heard, usual)?.as_secs() * 1000)
    }

    /// Says that what the job prints is kept up to a byte only, and why.
    async fn say_not_kept(&self, offset: u64, why: &str) {
        let text = format!(
            "the output of this job is kept in full only up to byte {offset}: {why}. The log of \
             the host goes on; when nixdash ends before the job does, the rest is read again from \
             the job's host"
        );
        self.step.log(&text).await;
    }

    /// Returns how long after the first line the next one was written.
    fn since_first(&mut self) -> Duration {
        let began_at = self.began_at;
        let first = *self.first_at.get_or_insert(self.at.map_or(began_at, |at| at.min(began_at)));
        let since_first =
            |at: Timestamp| Duration::try_from(at.duration_since(first)).unwrap_or_default();
        match self.at {
            Some(at) => since_first(at),
            None => since_first(began_at) + self.began.elapsed(),
        }
    }

    /// Returns whether an earlier process logged this.
    fn is_logged(&self, offset: u64, lines: u32) -> bool {
        let logged = self.logged.as_ref();
        logged.is_some_and(|logged| (offset, lines) <= (logged.offset, logged.lines))
    }
}

impl LineSink for NixEar<'_> {
    async fn take(&mut self, line: &ReadLine<'_>) {
        if names_a_root(&line.text()) {
            return;
        }
        let text = if line.is_cut && line.bytes.starts_with(b"@nix ") {
            // Half of it means nothing.
            format!("a line of Nix with {} bytes is too long to be read", line.length).into()
        } else {
            line.text()
        };
        let mut lines = 0;
        self.standstill_said = false;
        self.heard = self.since_first();
        for item in self.log.feed_at(&text, self.heard) {
            lines += 1;
            if !self.is_logged(line.offset, lines) {
                let stream = Arc::clone(&self.stream);
                let from = LogFrom { stream, offset: line.offset, lines };
                let from = self.job.is_some().then_some(from);
                self.step.log_item(&item, from, self.at).await;
            }
        }
        self.tell_progress().await;
    }

    async fn note(&mut self, text: &str) {
        self.step.log(text).await;
    }

    fn falls_silent(&mut self, host: &str, since: Timestamp, until: Timestamp) {
        self.silence.begins(host, since, Some(until));
    }

    fn silence_ends(&mut self) {
        self.silence.ends();
    }

    async fn came(&mut self, piece: &[u8]) {
        let Some(mut file) = self.file.take() else { return };
        let (piece, length) = (piece.to_vec(), file.length());
        let kept = tokio::task::spawn_blocking(move || {
            let kept = file.append(&piece);
            if kept.is_ok() {
                file.note_time(Timestamp::now());
            }
            (file, kept)
        });
        match tokio::time::timeout(PATIENCE, kept).await {
            Ok(Ok((file, Ok(())))) => self.file = Some(file),
            Ok(Ok((file, Err(end)))) => {
                let why = match end {
                    StreamEnd::RunSize => end.to_string(),
                    StreamEnd::Disk(error) => format!("the disk refused it ({error})"),
                };
                self.say_not_kept(file.length(), &why).await;
            }
            Ok(Err(_)) | Err(_) => self.say_not_kept(length, "the disk does not answer").await,
        }
    }

    async fn stands_still(&mut self, since: Duration) {
        if self.standstill_said {
            return;
        }
        if let Some(sentence) = words::standstill(&self.log, since) {
            self.step.log(&sentence).await;
            self.standstill_said = true;
        }
    }

    async fn begins_anew(&mut self) {
        (self.log, self.logged, self.file) = (ActivityLog::new(), None, None);
        let (Some(streams), Some(job)) = (&self.step.shared.streams, &self.job) else { return };
        match streams.begin_anew(&self.step.host.name, job) {
            Ok(file) => (self.stream, self.file) = (file.name().into(), Some(file)),
            Err(error) => self.say_not_kept(0, &error.to_string()).await,
        }
    }

    fn lines_are_late(&mut self) {
        self.log.lines_are_late();
    }

    fn learn_times(&mut self, marks: &[LogMark]) {
        self.log.times_are_rough();
        if let Some(file) = &mut self.file {
            file.learn_times(marks);
        }
    }

    fn written_at(&mut self, at: Option<Timestamp>) {
        self.at = at;
    }
}

/// Where what nixdash keeps from the garbage collector is linked.
const ROOTS: &str = "/nix/var/nix/gcroots/nixdash/";

/// Returns whether a line is only the root that Nix made for what it built or fetched, as it was told to: it says
/// nothing to whoever reads the log.
fn names_a_root(line: &str) -> bool {
    let line = line.trim();
    line.starts_with(ROOTS) && !line.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_that_nix_prints_is_no_line_of_the_log() {
        assert!(names_a_root("/nix/var/nix/gcroots/nixdash/fetched.run-5-bc26ef02\n"));
        assert!(!names_a_root("error: /nix/var/nix/gcroots/nixdash/fetched.run-5 is a folder"));
        assert!(!names_a_root("/nix/var/nix/gcroots/nixdash/a is no link"));
        assert!(!names_a_root("/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-a"));
    }
}
