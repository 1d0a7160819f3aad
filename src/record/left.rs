//! Runs whose nixdash was killed: what their hosts were at, and how they are ended afterwards.

use crate::fleet::{
    Finding, Goal, HostResult, Phase, PhaseState, RolloutNews, RunEvent, RunId, RunWhat, StorePath,
    begins_way_back,
};
use crate::record::Runs;
use crate::record::runs::EVENTS;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// How many of the newest runs are looked at, of all fleets.
const NEWEST: usize = 500;

/// How many bytes of a run's file are read first to find its last event; most are shorter.
const END: u64 = 4 * 1024;

/// So many lines may stand behind the last event of a run that ended.
const LINES_BEHIND: usize = 8;

/// The name of the file that is locked while a run is being ended.
const ENDING: &str = "ending";

/// The name of the file with the hosts that keep something of a run.
const UNTIDY: &str = "untidy";

/// A run whose nixdash is gone, and that has no end.
#[derive(Clone, Debug, PartialEq)]
pub struct LeftRun {
    /// The run.
    pub run: RunId,
    /// What its jobs and roots on hosts are called.
    pub tag: String,
    /// When it began.
    pub began_at: Timestamp,
    /// What was asked for.
    pub goal: Goal,
    /// Its hosts.
    pub hosts: BTreeMap<String, LeftHost>,
    /// The hosts that build for them.
    pub builders: BTreeSet<String>,
    /// What the history must know of it: its beginning, its plan and the results that it has. The
    /// history may know nothing of a run that was killed early.
    pub events: Vec<RunEvent>,
}

/// What a host was at when nixdash was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftHost {
    /// Which attempt of the run it was, from 1.
    pub attempt: u32,
    /// Why it was taken back, where that attempt was its way back to the system that ran before the run.
    pub goes_back: Option<String>,
    /// What was done to it, where that was not what the run was for.
    pub goal: Option<Goal>,
    /// The phase that was begun last.
    pub phase: Option<Phase>,
    /// Whether its run has ended.
    pub ended: bool,
    /// How its attempt before ended, where the host had the new system then.
    pub brought: Option<HostResult>,
    /// What was found wrong with its new system before its nixdash ended, where that is known.
    pub wrong: Option<Finding>,
    /// The system that it was to get.
    pub toplevel: Option<StorePath>,
    /// The system that ran before.
    pub previous: Option<StorePath>,
    /// The system that its profile was before the run; none in the records of older runs.
    pub profile: Option<StorePath>,
}

impl Default for LeftHost {
    /// Returns a host of which nothing was begun.
    fn default() -> Self {
        Self {
            attempt: 1,
            goes_back: None,
            goal: None,
            phase: None,
            ended: false,
            brought: None,
            wrong: None,
            toplevel: None,
            previous: None,
            profile: None,
        }
    }
}

/// Keeps others from ending the same run at the same time.
pub struct EndingLock {
    _file: File,
}

impl Runs {
    /// Returns the runs of the fleet in that file which were left without an end, oldest first.
    pub fn left(&self, fleet: Option<&Path>) -> Vec<LeftRun> {
        let all = self.list().unwrap_or_default();
        let newest = all.len().saturating_sub(NEWEST);
        all[newest..]
            .iter()
            .filter(|run| !self.is_alive(run) && self.belongs_to(run, fleet))
            .filter_map(|run| self.read_left(run))
            .collect()
    }

    /// Takes the right to end a run; nothing while somebody else has it.
    pub fn lock_ending(&self, run: &RunId) -> Option<EndingLock> {
        let path = self.folder(run).join(ENDING);
        let file = OpenOptions::new().create(true).append(true).open(path).ok()?;
        file.try_lock().ok()?;
        Some(EndingLock { _file: file })
    }

    /// Notes the hosts that keep something of a run, for the next nixdash.
    pub fn note_untidy(&self, run: &RunId, hosts: &[String]) {
        let path = self.folder(run).join(UNTIDY);
        // What cannot be noted is removed on the hosts themselves, a day later.
        if hosts.is_empty() {
            drop(fs::remove_file(path));
        } else {
            drop(fs::write(path, hosts.join("\n")));
        }
    }

    /// Returns the runs of the fleet in that file of which hosts keep something: what their jobs and
    /// roots are called, and the hosts.
    pub fn untidy(&self, fleet: Option<&Path>) -> Vec<(RunId, String, Vec<String>)> {
        let all = self.list().unwrap_or_default();
        let newest = all.len().saturating_sub(NEWEST);
        let noted = |run: &RunId| {
            let text = fs::read_to_string(self.folder(run).join(UNTIDY)).ok()?;
            let hosts = text.lines().map(str::to_owned).collect();
            Some((run.clone(), self.tag(run)?, hosts))
        };
        let ours = all[newest..].iter().filter(|run| self.belongs_to(run, fleet));
        ours.filter_map(noted).collect()
    }

    /// Adds events to a run whose nixdash is gone.
    pub fn append(&self, run: &RunId, events: &[RunEvent]) -> io::Result<()> {
        let path = self.folder(run).join(EVENTS);
        let mut bytes = Vec::new();
        // Its last line may be half.
        if !ends_with_a_line(&path)? {
            bytes.push(b'\n');
        }
        for event in events {
            serde_json::to_writer(&mut bytes, event)?;
            bytes.push(b'\n');
        }
        let mut file = OpenOptions::new().append(true).open(&path)?;
        file.write_all(&bytes)
    }

    /// Reads a run that has no end; nothing when it has one.
    pub fn read_left(&self, run: &RunId) -> Option<LeftRun> {
        let path = self.folder(run).join(EVENTS);
        if has_an_end(&path).unwrap_or(true) {
            return None;
        }
        let mut left = LeftRun {
            run: run.clone(),
            tag: self.tag(run)?,
            began_at: Timestamp::UNIX_EPOCH,
            goal: Goal::default(),
            hosts: BTreeMap::new(),
            builders: BTreeSet::new(),
            events: Vec::new(),
        };
        for event in self.decided(run) {
            left.take(event);
        }
        Some(left)
    }
}

impl LeftRun {
    /// Takes what happened in the run.
    fn take(&mut self, event: RunEvent) {
        if matches!(
            event.what,
            RunWhat::Begin { .. } | RunWhat::Plan { .. } | RunWhat::Result { .. }
        ) {
            self.events.push(event.clone());
        }
        match event.what {
            RunWhat::Begin { hosts, .. } => {
                self.began_at = event.at;
                self.hosts.extend(hosts.into_iter().map(|host| (host, LeftHost::default())));
            }
            RunWhat::Phase { host, phase, state: PhaseState::Started } => {
                self.hosts.entry(host).or_default().phase = Some(phase);
            }
            RunWhat::Plan { plan, .. } => {
                self.goal = plan.goal;
                for planned in plan.hosts {
                    self.builders.insert(planned.build_on().to_owned());
                    let host = self.hosts.entry(planned.host).or_default();
                    host.goal = planned.goal;
                    host.toplevel = Some(planned.toplevel);
                    host.previous = planned.running;
                    host.profile = planned.profile;
                }
            }
            RunWhat::Result { host, result } => {
                let host = self.hosts.entry(host).or_default();
                host.ended = true;
                host.brought = Some(result).filter(|result| result.outcome.is_new_system());
            }
            RunWhat::Rollout(RolloutNews::Decided { host, toplevel: Some(system), .. }) => {
                self.hosts.entry(host).or_default().toplevel = Some(system);
            }
            RunWhat::Rollout(RolloutNews::Again { host, goal, attempt, goes_back, reason }) => {
                let goes_back = begins_way_back(goes_back, goal, Some(self.goal));
                let host = self.hosts.entry(host).or_default();
                if goes_back && host.goes_back.is_none() {
                    std::mem::swap(&mut host.toplevel, &mut host.previous);
                }
                host.goes_back = goes_back.then_some(reason);
                host.attempt = attempt;
                host.ended = false;
                host.phase = None;
            }
            RunWhat::Phase { .. }
            | RunWhat::Progress { .. }
            | RunWhat::Log { .. }
            | RunWhat::Waiting { .. }
            | RunWhat::Rollout(_)
            | RunWhat::Usual { .. }
            | RunWhat::Builds { .. }
            | RunWhat::Command { .. }
            | RunWhat::Dropped { .. }
            | RunWhat::Reattached { .. }
            | RunWhat::Summary { .. } => {}
        }
    }
}

/// Returns whether a run's file has its last event. That may be long, with every error of many hosts.
pub(super) fn has_an_end(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let is_end = |line: &[u8]| {
        serde_json::from_slice::<RunEvent>(line)
            .is_ok_and(|event| matches!(event.what, RunWhat::Summary { .. }))
    };
    let mut wanted = END;
    loop {
        let from = size.saturating_sub(wanted);
        file.seek(SeekFrom::Start(from))?;
        let mut end = Vec::new();
        (&file).take(size - from).read_to_end(&mut end)?;
        let lines: Vec<&[u8]> = end.split(|byte| *byte == b'\n').collect();
        if lines.iter().any(|line| is_end(line)) {
            return Ok(true);
        }
        if from == 0 || lines.len() > LINES_BEHIND + 1 {
            return Ok(false);
        }
        wanted = wanted.saturating_mul(8);
    }
}

/// Returns whether a file's last line is whole.
fn ends_with_a_line(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    if size == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::Start(size - 1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == [b'\n'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Code, Finding, Subject};

    fn event(run: &RunId, what: RunWhat) -> RunEvent {
        RunEvent { run: run.clone(), at: Timestamp::UNIX_EPOCH, what }
    }

    /// Returns a folder of runs with one whose process is gone, and that run.
    fn killed(dir: &Path) -> (Runs, RunId) {
        let runs = Runs::open(dir).unwrap();
        let mut writer = runs.begin(None).unwrap();
        let run = writer.run().clone();
        let hosts = vec!["a".to_owned(), "b".to_owned()];
        writer.write(&event(&run, RunWhat::begin(hosts, "switch direct".to_owned())));
        let (host, phase) = ("a".to_owned(), Phase::Activate);
        writer.write(&event(&run, RunWhat::Phase { host, phase, state: PhaseState::Started }));
        writer.flush().unwrap();
        drop(writer);
        fs::write(runs.folder(&run).join("process"), "1 1\n").unwrap();
        (runs, run)
    }

    #[test]
    fn a_run_whose_nixdash_was_killed_tells_what_its_hosts_were_at() {
        let dir = tempfile::tempdir().unwrap();
        let (runs, run) = killed(dir.path());
        let left = runs.left(None);
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].hosts["a"].phase, Some(Phase::Activate));
        assert_eq!(left[0].hosts["b"].phase, None);
        assert!(left[0].tag.starts_with(&format!("run-{run}-")), "{}", left[0].tag);
        assert!(runs.left(Some(Path::new("/other/hosts.toml"))).is_empty());
    }

    #[test]
    fn a_host_that_began_again_tells_its_last_attempt() {
        let dir = tempfile::tempdir().unwrap();
        let (runs, run) = killed(dir.path());
        let mut left = runs.read_left(&run).unwrap();
        let again = |goal, goes_back, attempt| {
            let (host, reason) = ("a".to_owned(), "the operator tries it again".to_owned());
            let news = RolloutNews::Again { host, goal, goes_back, attempt, reason };
            event(&run, RunWhat::Rollout(news))
        };
        left.take(again(Goal::Switch, false, 2));
        let host = &left.hosts["a"];
        assert_eq!((host.attempt, &host.goes_back, host.phase), (2, &None, None));
        left.hosts.get_mut("a").unwrap().toplevel =
            StorePath::parse("/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-new").ok();
        for (goal, goes_back) in
            [(Goal::Rollback, true), (Goal::Rollback, false), (Goal::Test, true)]
        {
            let mut left = left.clone();
            left.take(again(goal, goes_back, 3));
            let host = &left.hosts["a"];
            assert_eq!((host.attempt, host.goes_back.is_some()), (3, true), "{goal}");
            assert!(
                host.previous.is_some() && host.toplevel.is_none(),
                "it was to leave the new one"
            );
        }
    }

    #[test]
    fn a_host_that_was_away_was_to_get_the_system_that_was_decided_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let (runs, run) = killed(dir.path());
        let mut left = runs.read_left(&run).unwrap();
        let toplevel = StorePath::parse("/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-new").ok();
        let (host, decided) = ("a".to_owned(), toplevel.clone());
        let news = RolloutNews::Decided { host, toplevel: decided, later_run: None };
        left.take(event(&run, RunWhat::Rollout(news)));
        assert_eq!(left.hosts["a"].toplevel, toplevel);
    }

    #[test]
    fn what_is_added_to_a_half_line_ends_the_run() {
        let dir = tempfile::tempdir().unwrap();
        let (runs, run) = killed(dir.path());
        let path = runs.folder(&run).join(EVENTS);
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(b"{\"run\":\"1\",\"at\":").unwrap();
        let end =
            RunWhat::Summary { outcomes: BTreeMap::new(), duration_ms: 1, findings: Vec::new() };
        runs.append(&run, &[event(&run, end)]).unwrap();
        assert!(runs.left(None).is_empty());
    }

    #[test]
    fn a_run_with_a_long_last_event_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let (runs, run) = killed(dir.path());
        let said = "an answer of a whole page ".repeat(20_000);
        let finding = Finding::new(Subject::host("a"), Code::CheckFailed, &said, "look");
        let end =
            RunWhat::Summary { outcomes: BTreeMap::new(), duration_ms: 1, findings: vec![finding] };
        runs.append(&run, &[event(&run, end)]).unwrap();
        assert!(runs.left(None).is_empty() && runs.read_left(&run).is_none());
    }

    #[test]
    fn a_run_is_left_whatever_many_runs_came_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let (runs, run) = killed(dir.path());
        for _ in 0..60 {
            let mut writer = runs.begin(None).unwrap();
            let later = writer.run().clone();
            let (outcomes, findings) = (BTreeMap::new(), Vec::new());
            let end = RunWhat::Summary { outcomes, duration_ms: 1, findings };
            writer.write(&event(&later, end));
            writer.flush().unwrap();
        }
        let left: Vec<RunId> = runs.left(None).into_iter().map(|left| left.run).collect();
        assert_eq!(left, [run]);
    }

    #[test]
    fn hosts_that_keep_something_are_remembered_until_they_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let (runs, run) = killed(dir.path());
        assert!(runs.untidy(None).is_empty());
        runs.note_untidy(&run, &["samsung".to_owned()]);
        let found = runs.untidy(None);
        assert_eq!((&found[0].0, &found[0].2), (&run, &vec!["samsung".to_owned()]));
        runs.note_untidy(&run, &[]);
        assert!(runs.untidy(None).is_empty());
    }

    #[test]
    fn a_living_run_is_not_left_and_one_alone_may_end_it() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let writer = runs.begin(None).unwrap();
        assert!(runs.left(None).is_empty());
        let lock = runs.lock_ending(writer.run());
        assert!(lock.is_some());
        assert!(runs.lock_ending(writer.run()).is_none());
    }
}
