//! Activate, acknowledge, persist: the talk with the supervisor on the target.
//!
//! Whatever happens to the connection or to this program, the supervisor on the target decides
//! alone and leaves its decision in a file; these phases only read it. A host that was restarted
//! has no supervisor any more: then its boot id and running system are the truth.

use super::check;
use super::step::{Plain, Step};
use crate::deploy::engine::job::{Job, JobState};
use crate::deploy::{Activation, Ending, Failure, Report};
use crate::fleet::{Action, Outcome, StorePath, printable_line};
use crate::remote::{Script, Way};
use std::time::{Duration, Instant};

const SUPERVISE: &str = include_str!("../scripts/supervise.sh");
const ACKNOWLEDGE: &str = include_str!("../scripts/acknowledge.sh");
const WORD: &str = include_str!("../scripts/word.sh");
const KEEP: &str = include_str!("../scripts/keep.sh");

/// How long switch-to-configuration may take, in seconds.
const ACTIVATION_LIMIT_S: u64 = 600;

/// How long a host may be away beyond its own time to go back: for the way back, or a restart.
const AWAY: Duration = Duration::from_secs(90);

/// Starts the supervisor and follows it until the system runs, or until it has decided.
pub(super) async fn activate(step: &Step) -> Result<Report, Failure> {
    let mut job = supervisor(step, step.shared.action).await?;
    let state = follow(step, &mut job, "activated").await?;
    let report = match (&state.outcome, &state.activated) {
        (None, Some(activated)) if activated.ends_with(" ok") => {
            let units_failed = activated.starts_with("4 ");
            step.shared.supervisors.lock().await.insert(step.host.name.clone(), job);
            return Ok(Report::Activated(Activation::Runs { units_failed }));
        }
        (None, Some(_)) => {
            // It goes back, or persists for a reboot: that takes another moment.
            let state = follow(step, &mut job, "exit").await?;
            ending(step, &state).await?
        }
        (_, None) | (Some(_), Some(_)) => ending(step, &state).await?,
    };
    Ok(Report::Activated(Activation::Decided(report)))
}

/// Starts the supervisor as a job.
async fn supervisor(step: &Step, action: Action) -> Result<Job, Failure> {
    let job = step.job(&step.host.name, "activate");
    let word_limit = 60 + (check::COMMAND_LIMIT_S + 5) * step.config()?.check.len() as u64;
    let args = [
        job.dir().to_owned(),
        step.toplevel()?.to_string(),
        action.word().to_owned(),
        step.host.confirm_timeout.as_secs().to_string(),
        word_limit.to_string(),
        ACTIVATION_LIMIT_S.to_string(),
        owner(&step.shared.run.0),
    ];
    job.start(SUPERVISE, &args).await?;
    Ok(job)
}

/// Returns who deploys, for the second operator: login name, machine and run.
fn owner(run: &str) -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain = |text: &str| -> String {
        text.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect()
    };
    format!("{}@{} run {}", plain(&user.unwrap_or_default()), plain(&machine), plain(run))
}

/// Follows the supervisor; a host may be away until it has gone back by itself, and some.
async fn follow(step: &Step, job: &mut Job, awaited: &str) -> Result<JobState, Failure> {
    let patience = step.host.confirm_timeout + AWAY;
    job.follow(awaited, patience, &mut Plain(step)).await.map_err(|failure| Failure {
        error: format!(
            "{}; it goes back to the previous system by itself, look at it when it is back",
            failure.error
        ),
        ..failure
    })
}

/// Proves over a connection of its own that the host can be reached, and tells the supervisor so.
pub(super) async fn acknowledge(step: &Step) -> Result<Report, Failure> {
    let name = &step.host.name;
    let Some(job) = step.shared.supervisors.lock().await.remove(name) else {
        return Err(Failure::failed(format!("{name}: no supervisor to acknowledge to")));
    };
    let script = Script::new(ACKNOWLEDGE)
        .root()
        .way(Way::Fresh)
        .limit(Duration::from_secs(8))
        .arg(job.dir());
    let began = Instant::now();
    loop {
        match step.shared.hands.run(name, &script).await {
            Ok(output) if output.is_ok() => {
                let decided = read_acknowledgement(step, &output.stdout);
                if decided.is_none() {
                    step.log("reached over a new connection").await;
                    step.shared.supervisors.lock().await.insert(name.clone(), job);
                    return Ok(Report::Done);
                }
                return after_silence(step, job).await;
            }
            Ok(output) => step.log(&format!("not acknowledged: {}", output.complaint())).await,
            Err(error) => step.log(&format!("not acknowledged: {}", error.cause)).await,
        }
        if began.elapsed() > step.host.confirm_timeout {
            return after_silence(step, job).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Reads the answer to an acknowledgement; something when it came too late or the host restarted.
fn read_acknowledgement(step: &Step, text: &str) -> Option<()> {
    let mut fields = text.lines().filter_map(|line| line.split_once('\t'));
    let late = fields.any(|(key, value)| match key {
        "outcome" => true,
        "activated" => !value.trim_end().ends_with(" ok"),
        "boot_id" => value.trim() != step.known.preflight.boot_id,
        _ => false,
    });
    late.then_some(())
}

/// Waits for what the supervisor decided without us.
async fn after_silence(step: &Step, mut job: Job) -> Result<Report, Failure> {
    step.log("waiting for the host to come back").await;
    let state = follow(step, &mut job, "exit").await?;
    Ok(Report::Activated(Activation::Decided(ending(step, &state).await?)))
}

/// Gives the word after the checks and reads what came of it.
pub(super) async fn persist(step: &Step) -> Result<Report, Failure> {
    let name = &step.host.name;
    let waiting = step.shared.supervisors.lock().await.remove(name);
    let mut job = match waiting {
        Some(job) => job,
        None if step.shared.action == Action::Boot => supervisor(step, Action::Boot).await?,
        None => return Err(Failure::failed(format!("{name}: no supervisor to tell"))),
    };
    if step.shared.action != Action::Boot {
        let word = match &step.known.abort {
            Some(why) => format!("abort {}", printable_line(why)),
            None => "commit".to_owned(),
        };
        let script = Script::new(WORD).root().arg(job.dir()).arg(word);
        if let Err(error) = step.shared.hands.run(name, &script).await {
            step.log(&format!("the word did not arrive, trying again: {}", error.cause)).await;
            // A word that does not arrive at all makes the supervisor go back.
            drop(step.shared.hands.run(name, &script).await);
        }
    }
    let state = follow(step, &mut job, "exit").await?;
    let ending = ending(step, &state).await?;
    if ending.outcome.is_good() {
        let script = Script::new(KEEP).root().arg(name);
        // The root of the build stays as `.next` when the builder is gone: nothing is lost.
        drop(step.shared.hands.run(&step.host.build_on, &script).await);
    }
    Ok(Report::Persisted(ending))
}

/// Says in our words what the supervisor decided, or what a restart means.
async fn ending(step: &Step, state: &JobState) -> Result<Ending, Failure> {
    let Some((word, reason)) = &state.outcome else {
        return after_restart(step).await;
    };
    let reason = (!reason.is_empty()).then(|| reason.clone());
    let name = &step.host.name;
    let told = |text: &str| {
        let reason = reason.as_deref().unwrap_or("no reason given");
        Some(format!("{name}: {text}{reason}"))
    };
    let (outcome, reason) = match word.as_str() {
        "switched" => (Outcome::Switched, None),
        "tested" => (Outcome::Tested, None),
        "booted" => (Outcome::Booted, None),
        "dry" => (Outcome::Dry, None),
        "needs-reboot" => (Outcome::NeedsReboot, told("")),
        "rolled-back" => (Outcome::RolledBack, told("back on the previous system: ")),
        "failed" => (Outcome::Failed, told("not activated: ")),
        "degraded" => (Outcome::Degraded, told("")),
        "stuck" => (Outcome::Degraded, told("needs your hands: ")),
        "locked" => (Outcome::Failed, told("another deploy holds the lock: ")),
        other => (Outcome::Failed, Some(format!("{name}: the supervisor said {other:?}"))),
    };
    Ok(Ending { outcome, reason })
}

/// Says what became of a host whose supervisor is gone: it was restarted or killed.
async fn after_restart(step: &Step) -> Result<Ending, Failure> {
    let name = &step.host.name;
    let script = Script::new(ACKNOWLEDGE).root().arg("/nonexistent").limit(Duration::from_secs(8));
    let began = Instant::now();
    let output = loop {
        match step.shared.hands.run(name, &script).await {
            Ok(output) if output.is_ok() => break output,
            Ok(output) if began.elapsed() > AWAY => {
                return Err(Failure::failed(format!("{name}: {}", output.complaint())));
            }
            Err(error) if began.elapsed() > AWAY => {
                return Err(crate::deploy::engine::job::lost(&error));
            }
            Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    };
    let field = |name: &str| {
        output
            .stdout
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .find_map(|(key, value)| (key == name).then(|| value.trim().to_owned()))
    };
    let restarted = field("boot_id").is_some_and(|id| id != step.known.preflight.boot_id);
    let running = field("running").and_then(|path| StorePath::parse(&path).ok());
    let what = if restarted { "it was restarted" } else { "its supervisor was ended" };
    let (outcome, system) = if running.is_some() && running == step.known.preflight.running {
        (Outcome::RolledBack, "it runs the previous system".to_owned())
    } else if running.is_some() && running == step.known.toplevel {
        (Outcome::Degraded, "it runs the new system, but may not boot it next time".to_owned())
    } else {
        let path = running.map_or_else(|| "an unknown system".to_owned(), |path| path.to_string());
        (Outcome::Degraded, format!("it runs {path}"))
    };
    let reason = format!("{name}: {what} before it was confirmed; {system}");
    Ok(Ending { outcome, reason: Some(reason) })
}
