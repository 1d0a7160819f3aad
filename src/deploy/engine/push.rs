//! Push: the host that builds copies a system straight to its target, over ssh, and the target checks every
//! signature (`ssh-ng`).
//!
//! The builder uses its own key and the hosts that it knows. Where those do not let it in, the agent of the
//! operator is lent to it for this copy, which then ends with the connection; the target's host keys come
//! from the target, over the connection that was verified from here. No byte of the system comes through this
//! machine.

use super::ear::NixEar;
use super::fetch::{Arrivals, why};
use super::lost::{AWAY_LIMIT, lost, through_restarts};
use super::push_way::{ALIAS, PushWay, prepare};
use super::scripts::{PUSH, ROOT_AHEAD};
use super::step::Step;
use super::wake;
use crate::deploy::words::{again_after_restart, ended_from_outside};
use crate::deploy::{Failure, Reason};
use crate::fleet::{Code, Fetched, Outcome};
use crate::nix::activity::ActivityLog;
use crate::nix::copy_failure::is_cut;
use crate::remote::job::{Job, JobState, LineSink as _};
use crate::remote::{LineReceiver, Output, Script, Way};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a copy in a session may take.
const SESSION_LIMIT: Duration = Duration::from_secs(6 * 3600);

/// Pieces of an output that may wait between the connection and the parser.
const PIECE_QUEUE: usize = 16;

/// How long to wait before each further copy where only the connection between builder and target failed: the line
/// may be cut, or the target be restarted.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
];

/// Names the job of the copy that the builder makes by itself now.
pub(super) fn job(step: &Step, builder: &str) -> Job {
    step.job(builder, &job_name(step.broken_copies()))
}

/// Returns what the job of a copy is called after some that broke off: each copy has its own, since a job is begun
/// once.
fn job_name(broken: usize) -> String {
    if broken == 0 { "push".to_owned() } else { format!("push-{}", broken + 1) }
}

impl Step {
    /// Returns how many copies broke off.
    fn broken_copies(&self) -> usize {
        self.shared.broken_copies.cell(self.host.name.as_str()).load(Ordering::Acquire)
    }

    /// Notes how many copies broke off.
    fn note_broken_copies(&self, count: usize) {
        let cell = self.shared.broken_copies.cell(self.host.name.as_str());
        cell.store(count, Ordering::Release);
    }
}

/// Copies the system to the target. What came from the builder is added to what arrived.
pub(super) async fn push(step: &Step, builder: &str, arrived: &Arrivals) -> Result<(), Failure> {
    let way = step.unless_stopped(begin(step, builder)).await?;
    // Whoever goes on with the run finds the jobs of earlier copies again, and what became of them.
    step.note_broken_copies(0);
    loop {
        let (exit, log) = copy(step, builder, &way, arrived).await?;
        match exit {
            Some(0) => return Ok(()),
            Some(code) => {
                // No cache takes part that could be at fault.
                let (_, said) = why(log.failure(), code, Code::FetchFailed);
                // What ends by a signal was ended on purpose.
                let only_cut = code <= 128 && is_cut(&said);
                if !only_cut || !is_worth_another(step, builder, &said).await? {
                    return Err(refused(step, builder, &said));
                }
            }
            None => {
                let job = format!("the copy from {builder} to {}", step.host.name);
                let text = ended_from_outside(&job, builder);
                return Err(Failure::failed(Code::JobEnded, text));
            }
        }
    }
}

/// Does what comes before the first copy; returns how the builder reaches the target.
async fn begin(step: &Step, builder: &str) -> Result<Arc<PushWay>, Failure> {
    let way = prepare(step, builder).await?;
    step.log(&format!("no cache takes part: {builder} copies it straight to {}", way.store)).await;
    root_on_target(step).await?;
    if way.lent.is_some() {
        sign(step, builder, &way).await?;
    }
    Ok(way)
}

/// Copies once; returns the exit code, and what Nix said.
async fn copy(
    step: &Step,
    builder: &str,
    way: &PushWay,
    arrived: &Arrivals,
) -> Result<(Option<i32>, ActivityLog), Failure> {
    let Some(known) = &way.lent else {
        let again = again_after_restart(builder, "copying");
        let copy = || copy_as_job(step, builder, way, arrived);
        let (state, log) = through_restarts(step, &again, copy).await?;
        return Ok((state.own_exit(), log));
    };
    step.unless_stopped(copy_in_session(step, builder, way, known, arrived)).await
}

/// Returns whether a copy of which only the connection failed is worth another one, which takes up what has arrived:
/// the target answers, and it was not tried too often. Waits before. Fails where the target does not answer.
async fn is_worth_another(step: &Step, builder: &str, said: &str) -> Result<bool, Failure> {
    let (name, broken) = (&step.host.name, step.broken_copies());
    step.log(&format!("the connection from {builder} to {name} failed: {said}")).await;
    let pause = PAUSES.get(broken);
    step.pause(pause.copied().unwrap_or_default()).await?;
    // It is asked for a while.
    let asked = step.unless_stopped(step.run(name, &Script::new(":"))).await;
    asked.map_err(|Failure { outcome, reason }| {
        let text = format!("the copy from {builder} broke off: {}", reason.text);
        Failure { outcome, reason: Reason { text, ..reason } }
    })?;
    if pause.is_some() {
        step.log(&format!("{name} answers; {builder} copies again what has not arrived")).await;
        step.note_broken_copies(broken + 1);
    }
    Ok(pause.is_some())
}

/// Roots the system on the target before it is there: nothing of it may be collected in between.
async fn root_on_target(step: &Step) -> Result<(), Failure> {
    let name = &step.host.name;
    step.shared.note_use(name);
    let script =
        Script::new(ROOT_AHEAD).root().arg(step.toplevel()?.as_str()).arg(step.fetch_root());
    let output = step.run(name, &script).await?;
    if output.is_ok() {
        return Ok(());
    }
    let text = format!(
        "{name}: the new system could not be kept from garbage collection there: {}",
        output.complaint()
    );
    Err(Failure::failed(Code::WriteFailed, text))
}

/// Returns the arguments of the script that copies.
fn arguments(step: &Step, way: &PushWay, key: &str, known: &str) -> Result<Vec<String>, Failure> {
    let system = step.toplevel()?.to_string();
    let words = [&system, &way.store, &way.options, key, known, ALIAS];
    Ok(words.map(str::to_owned).to_vec())
}

/// Lets the builder copy as a job: it goes on when the connection ends.
async fn copy_as_job(
    step: &Step,
    builder: &str,
    way: &PushWay,
    arrived: &Arrivals,
) -> Result<(JobState, ActivityLog), Failure> {
    let name = job_name(step.broken_copies());
    let mut job = step.job_to_start(builder, &name).await?;
    let args = arguments(step, way, way.sign_key.as_deref().unwrap_or_default(), "")?;
    wake::start_awake(step, &mut job, PUSH, &args)
        .await
        .map_err(|failure| step.about_builder(failure))?;
    let mut lines = NixEar::of_job(step, &mut job, &name).await;
    let state = job
        .follow("exit", AWAY_LIMIT, &mut lines)
        .await
        .map_err(|error| step.about_builder(lost(&error)))?;
    let log = lines.finish().await;
    arrived.add(copied(builder, log.fetched()));
    Ok((state, log))
}

/// Signs on the builder, as root, before a copy that is made as its login user.
async fn sign(step: &Step, builder: &str, way: &PushWay) -> Result<(), Failure> {
    let Some(key) = &way.sign_key else { return Ok(()) };
    let script = Script::new(super::scripts::SIGN).root().limit(SESSION_LIMIT);
    let script = script.arg(step.toplevel()?.as_str()).arg(key);
    let output: Output = step.run(builder, &script).await?;
    if output.is_ok() {
        return Ok(());
    }
    let text = format!(
        "{}: what {builder} built could not be signed with {key} there: {}",
        step.host.name,
        output.complaint()
    );
    Err(Failure::failed(Code::SetupFailed, text))
}

/// Lets the builder copy in a session to which the operator's agent is lent.
async fn copy_in_session(
    step: &Step,
    builder: &str,
    way: &PushWay,
    known: &str,
    arrived: &Arrivals,
) -> Result<(Option<i32>, ActivityLog), Failure> {
    let mut lines = NixEar::new(step);
    let mut script = Script::new(PUSH).way(Way::Agent).limit(SESSION_LIMIT);
    script.args = arguments(step, way, "", known)?;
    let (sender, said) = mpsc::channel(PIECE_QUEUE);
    let follow = step.runner.follow(builder, &script, sender);
    let hear = async {
        let mut said = LineReceiver::new(said);
        while let Some(line) = said.next().await {
            lines.take(&line).await;
        }
    };
    let (output, ()) = tokio::join!(follow, hear);
    let log = lines.finish().await;
    arrived.add(copied(builder, log.fetched()));
    let output = output.map_err(|error| {
        let Failure { outcome, reason } = step.about_builder(lost(&error));
        let text = format!("the copy ended with the connection to {builder}: {}", reason.text);
        Failure { outcome, reason: Reason { text, ..reason } }
    })?;
    Ok((Some(output.code), log))
}

/// Says that a target did not take what was copied, and what it asks for.
fn refused(step: &Step, builder: &str, said: &str) -> Failure {
    let name = &step.host.name;
    let is_unsigned =
        ["lacks a signature", "not signed by any"].iter().any(|part| said.contains(part));
    let (code, hint) = if is_unsigned {
        let hint = format!(
            "; {name} takes only what one of its trusted-public-keys signed, and trusted-users does not change that \
             here: name a key of {builder} as sign_key in [hosts.{builder}] of hosts.toml, and its public half in \
             nix.settings.trusted-public-keys of {name}"
        );
        (Code::SignatureMissing, hint)
    } else {
        (Code::FetchFailed, String::new())
    };
    let failure = format!("{builder} could not copy the system to {name}: {said}{hint}");
    Failure { outcome: Outcome::Failed, reason: Reason::new(code, failure) }
}

/// Returns all that was copied as what came from the builder.
fn copied(builder: &str, by_source: BTreeMap<String, Fetched>) -> BTreeMap<String, Fetched> {
    let mut all = Fetched::default();
    for got in by_source.into_values() {
        all.add(got);
    }
    if all.paths == 0 { BTreeMap::new() } else { [(format!("ssh-ng://{builder}"), all)].into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_was_copied_came_from_the_builder() {
        let got = |paths| Fetched { paths, bytes: paths * 10, timed: None };
        let all = [("daemon".to_owned(), got(2)), ("local".to_owned(), got(1))].into();
        assert_eq!(copied("p620", all), [("ssh-ng://p620".to_owned(), got(3))].into());
        assert_eq!(copied("p620", BTreeMap::new()), BTreeMap::new());
    }
}
