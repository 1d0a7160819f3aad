//! Jobs: work on a host that goes on when the connection ends.
//!
//! A job is a transient systemd unit with a folder below `/var/lib/nixdash/jobs`: its log is
//! followed from an offset, so a lost connection is made anew and nothing of the log is missed.
//! What a job left in its folder is the truth about it, never the unit's state.

use crate::deploy::Failure;
use crate::deploy::engine::step::Ear;
use crate::fleet::{Outcome, printable_line};
use crate::remote::{Hands, RemoteError, Script, Trouble};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const START: &str = include_str!("../scripts/start.sh");
const FOLLOW: &str = include_str!("../scripts/follow.sh");
const STOP: &str = include_str!("../scripts/stop.sh");

/// Longest time that one follow may take before it is begun anew.
const FOLLOW_LIMIT: Duration = Duration::from_secs(6 * 3600);

/// A follow that lasted longer than this had a connection.
const CONNECTED: Duration = Duration::from_secs(7);

/// Lines that may wait between the connection and the parser.
const LINE_QUEUE: usize = 1024;

/// What a job's folder said when the follow ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct JobState {
    /// The job's exit code, when it has ended.
    pub(super) exit: Option<i32>,
    /// What it wrote into `activated`.
    pub(super) activated: Option<String>,
    /// What it wrote into `outcome`: word and reason.
    pub(super) outcome: Option<(String, String)>,
    /// Whether it is neither running nor properly ended: killed, or the host restarted.
    pub(super) is_dead: bool,
}

/// A job on a host.
pub(super) struct Job {
    hands: Arc<dyn Hands>,
    /// The host.
    pub(super) host: String,
    dir: String,
    unit: String,
    offset: u64,
}

impl Job {
    /// Names a job; starts nothing.
    pub(super) fn new(hands: Arc<dyn Hands>, host: &str, name: &str) -> Self {
        let unit = format!("nixdash-{name}");
        let dir = format!("/var/lib/nixdash/jobs/{name}");
        Self { hands, host: host.to_owned(), dir, unit, offset: 0 }
    }

    /// Returns the job's folder on the host.
    pub(super) fn dir(&self) -> &str {
        &self.dir
    }

    /// Starts it; the arguments are store paths, numbers and words without `$`.
    pub(super) async fn start(&self, body: &'static str, args: &[String]) -> Result<(), Failure> {
        let mut script = Script::new(START).root().arg(&self.dir).arg(&self.unit).stdin(body);
        script.args.extend_from_slice(args);
        let output = self.hands.run(&self.host, &script).await.map_err(|e| lost(&e))?;
        if output.is_ok() {
            return Ok(());
        }
        Err(Failure::failed(format!(
            "{}: could not start {}: {}",
            self.host,
            self.unit,
            output.complaint()
        )))
    }

    /// Stops it and waits until it is gone.
    pub(super) async fn stop(&self) {
        let script = Script::new(STOP).root().arg(&self.unit);
        // A host that cannot be reached ends the phase by itself.
        drop(self.hands.run(&self.host, &script).await);
    }

    /// Follows the log until the job leaves the awaited file or ends; a broken connection is made
    /// anew for as long as `patience` without an answer.
    pub(super) async fn follow(
        &mut self,
        awaited: &str,
        patience: Duration,
        ear: &mut impl Ear,
    ) -> Result<JobState, Failure> {
        let mut silent_since: Option<Instant> = None;
        loop {
            let (before, began) = (self.offset, Instant::now());
            match self.follow_once(awaited, ear).await {
                Ok(Some(state)) => return Ok(state),
                Ok(None) => {}
                Err(error) if error.is_passing() => {
                    let spoke = self.offset > before || began.elapsed() > CONNECTED;
                    if spoke || silent_since.is_none() {
                        silent_since = Some(Instant::now());
                        ear.hear(&format!("connection lost, trying again: {}", error.cause)).await;
                    }
                    if silent_since.is_some_and(|since| since.elapsed() > patience) {
                        return Err(lost(&error));
                    }
                }
                Err(error) => return Err(lost(&error)),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Follows once; nothing when the follow ended without its last line.
    async fn follow_once(
        &mut self,
        awaited: &str,
        ear: &mut impl Ear,
    ) -> Result<Option<JobState>, RemoteError> {
        let random = std::hash::RandomState::new();
        let mark = format!("end-{:016x}", std::hash::BuildHasher::hash_one(&random, &self.unit));
        let script = Script::new(FOLLOW)
            .root()
            .limit(FOLLOW_LIMIT)
            .arg(&self.dir)
            .arg(self.offset.to_string())
            .arg(awaited)
            .arg(&self.unit)
            .arg(&mark);
        let (sender, mut lines) = mpsc::channel(LINE_QUEUE);
        let hands = Arc::clone(&self.hands);
        let host = self.host.clone();
        let follow = hands.follow(&host, &script, sender);
        tokio::pin!(follow);
        let mut held: Option<Vec<u8>> = None;
        let mut state = None;
        let mut ended = None;
        loop {
            let line = tokio::select! {
                biased;
                line = lines.recv() => line,
                result = &mut follow, if ended.is_none() => {
                    ended = Some(result);
                    continue;
                }
            };
            let Some(line) = line else { break };
            if let Some(last) = line.strip_prefix(mark.as_bytes()) {
                state = Some(parse_last_line(&String::from_utf8_lossy(last)));
                // The script's own empty line, or the log's last line without an end.
                if let Some(rest) = held.take().filter(|rest| !rest.is_empty()) {
                    self.offset += rest.len() as u64;
                    ear.hear(&String::from_utf8_lossy(&rest)).await;
                }
                continue;
            }
            if let Some(line) = held.replace(line) {
                self.offset += line.len() as u64 + 1;
                ear.hear(&String::from_utf8_lossy(&line)).await;
            }
        }
        let result = match ended {
            Some(result) => result,
            None => follow.await,
        };
        match state {
            Some(state) => Ok(Some(state)),
            None => result.and_then(|output| {
                if output.is_ok() {
                    return Ok(None);
                }
                Err(RemoteError::new(&host, Trouble::Lost, &output.complaint()))
            }),
        }
    }
}

/// Reads the line with which `follow.sh` ends.
fn parse_last_line(text: &str) -> JobState {
    let mut fields = text.trim_end_matches('\n').split('\t').skip(1);
    let is_dead = fields.next() != Some("over");
    let exit = fields.next().and_then(|code| code.parse().ok());
    let activated = fields.next().filter(|text| !text.is_empty()).map(printable_line);
    let outcome = fields.next().filter(|word| !word.is_empty()).map(|word| {
        let reason: Vec<&str> = fields.collect();
        (printable_line(word), printable_line(&reason.join(" ")))
    });
    JobState { exit, activated, outcome, is_dead }
}

/// Returns the failure for a host that cannot be reached any more.
pub(super) fn lost(error: &RemoteError) -> Failure {
    let outcome = match error.trouble {
        Trouble::Unreachable | Trouble::Lost | Trouble::Slow(_) => Outcome::Offline,
        Trouble::Denied | Trouble::Here => Outcome::Failed,
    };
    Failure { outcome, error: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_tells_how_the_job_stands() {
        assert_eq!(
            parse_last_line("\tover\t0\t\t"),
            JobState { exit: Some(0), ..JobState::default() }
        );
        assert_eq!(
            parse_last_line("\tover\t\t4 ok\t"),
            JobState { activated: Some("4 ok".to_owned()), ..JobState::default() }
        );
        assert_eq!(
            parse_last_line("\tover\t0\t2 failed\trolled-back\tits script failed"),
            JobState {
                exit: Some(0),
                activated: Some("2 failed".to_owned()),
                outcome: Some(("rolled-back".to_owned(), "its script failed".to_owned())),
                is_dead: false,
            }
        );
        assert!(parse_last_line("\tgone").is_dead);
        assert!(parse_last_line("\tdead\t\t\t").is_dead);
    }
}
