//! Hooks: commands of `hosts.toml` before and after what a deploy does, here or on the host.

use super::ancestry::source_of;
use super::scripts::HOOK;
use super::step::Step;
use crate::deploy::{Activation, Ending, Failure, Reason, Report};
use crate::fleet::{
    Code, Fleet, Goal, Hook, HookMoment, Outcome, Phase, Trust, duration, printable_line, redact,
};
use crate::remote::{Keep, Output, Program, ProgramError, Script, ends_of};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How much longer than the hook itself the way to a host may take.
const WAY_MARGIN: Duration = Duration::from_secs(15);

/// Runs the hooks before a build.
pub(super) async fn before(step: &Step) -> Result<(), Failure> {
    if step.phase != Phase::Build {
        return Ok(());
    }
    stopping(step, HookMoment::BeforeBuild).await
}

/// Runs the hooks that come before a host begins to change.
pub(super) async fn prepare(step: &Step) -> Result<(), Failure> {
    match HookMoment::before_activation(step.host.goal, step.host.goes_back()) {
        Some(moment) => stopping(step, moment).await,
        None => Ok(()),
    }
}

/// Runs hooks of which one that fails stops the host: nothing was changed there yet.
async fn stopping(step: &Step, moment: HookMoment) -> Result<(), Failure> {
    run_all(step, moment, None).await.map_err(|reason| Failure { outcome: Outcome::Failed, reason })
}

/// Runs the hooks after what a phase found. One that fails after a change is told with the host's end.
pub(super) async fn after(step: &Step, report: Report) -> Result<Report, Failure> {
    match report {
        Report::Built { .. } => {
            stopping(step, HookMoment::AfterBuild).await?;
            Ok(report)
        }
        Report::Persisted(ending) => Ok(Report::Persisted(at_the_end(step, ending).await)),
        Report::Activated(Activation::Decided(ending)) => {
            Ok(Report::Activated(Activation::Decided(at_the_end(step, ending).await)))
        }
        other => Ok(other),
    }
}

/// Runs the hooks of how a host ended, and adds what failed of them to its end.
async fn at_the_end(step: &Step, ending: Ending) -> Ending {
    let (goal, goes_back, outcome) = (step.host.goal, step.host.goes_back(), ending.outcome);
    let before = HookMoment::before_activation(goal, goes_back);
    let follows = before.filter(|moment| step.host.hooks.contains_key(moment));
    let moment = match follows {
        Some(_) => HookMoment::after_attempt(goal, goes_back, outcome),
        None => after_activation(goal, goes_back, outcome),
    };
    let Some(moment) = moment else { return ending };
    match run_all(step, moment, Some(outcome)).await {
        Ok(()) => ending,
        Err(failed) => ending.with_failed_hook(failed),
    }
}

/// Returns the moment after a host ended so on which no hooks ran before; none where no system was activated, or none of
/// ours.
fn after_activation(goal: Goal, goes_back: bool, outcome: Outcome) -> Option<HookMoment> {
    match outcome {
        Outcome::RolledBack => Some(HookMoment::AfterRollback),
        Outcome::Switched | Outcome::Tested | Outcome::Degraded if goal.activates() => {
            let is_back = goal == Goal::Rollback || goes_back;
            Some(if is_back { HookMoment::AfterRollback } else { HookMoment::AfterActivate })
        }
        Outcome::Switched
        | Outcome::Tested
        | Outcome::Degraded
        | Outcome::Booted
        | Outcome::Dry
        | Outcome::Built
        | Outcome::Unchanged
        | Outcome::NeedsReboot
        | Outcome::Superseded
        | Outcome::Unknown
        | Outcome::Failed
        | Outcome::Offline
        | Outcome::Skipped
        | Outcome::Interrupted => None,
    }
}

/// Runs the hooks after an attempt that ended outside of its activation, or in one that could not be followed to its
/// end: those before it ran.
pub(super) async fn conclude(step: &Step, outcome: Outcome) -> Result<(), Reason> {
    match HookMoment::after_attempt(step.host.goal, step.host.goes_back(), outcome) {
        Some(moment) => run_all(step, moment, Some(outcome)).await,
        None => Ok(()),
    }
}

/// Runs all hooks of a moment, one after the other, until one fails.
async fn run_all(step: &Step, moment: HookMoment, outcome: Option<Outcome>) -> Result<(), Reason> {
    let Ok(host) = step.config() else { return Ok(()) };
    for hook in host.hooks.iter().filter(|hook| hook.moment == moment) {
        let words = hook.words();
        step.log(&format!("hook {words}")).await;
        let facts = facts(step, moment, outcome).await;
        let ran = if hook.on_host {
            there(step, hook, &facts).await
        } else {
            here(step, hook, &facts).await
        };
        let failed = |why: &str| {
            let text = format!("{}: its hook {words} {}", step.host.name, printable_line(why));
            Reason::new(Code::HookFailed, text)
        };
        let (output, is_late) = match ran.map_err(|why| failed(&why))? {
            HookEnd::Ended(output) => (output, false),
            HookEnd::Late(output) => (output, true),
        };
        for line in output.stdout.lines().chain(output.stderr.lines()) {
            step.log(&redact(line)).await;
        }
        if is_late {
            return Err(failed(&late(hook.limit, &output)));
        }
        if output.code != 0 {
            return Err(failed(&exited(&output)));
        }
    }
    Ok(())
}

/// Says how a hook ended that failed, and what it printed last.
fn exited(output: &Output) -> String {
    match output.last_line() {
        Some(line) => format!("exited with {}: {line}", output.code),
        None => format!("exited with {}", output.code),
    }
}

/// Says that a hook took too long, and what it printed last.
fn late(limit: Duration, output: &Output) -> String {
    let limit = duration(limit);
    match output.last_line() {
        Some(line) => format!("did not end within {limit}; its last line: {line}"),
        None => format!("did not end within {limit}"),
    }
}

/// How a hook ended, with what is kept of its output.
#[derive(Debug, PartialEq, Eq)]
enum HookEnd {
    /// By itself.
    Ended(Output),
    /// It was stopped since it took too long.
    Late(Output),
}

/// Returns what a hook is told in its environment.
async fn facts(
    step: &Step,
    moment: HookMoment,
    outcome: Option<Outcome>,
) -> Vec<(&'static str, String)> {
    let (known, shared, source) = (&step.known, &step.shared, source_of(step).await);
    let path = |path: Option<&crate::fleet::StorePath>| path.map(ToString::to_string);
    let all = [
        ("NIXDASH_HOOK", Some(moment.word().to_owned())),
        ("NIXDASH_HOST", Some(step.host.name.clone())),
        ("NIXDASH_RUN", Some(shared.run.0.clone())),
        ("NIXDASH_GOAL", Some(step.host.goal.word().to_owned())),
        ("NIXDASH_BUILD_ON", Some(step.host.build_on().to_owned())),
        ("NIXDASH_TOPLEVEL", path(known.toplevel.as_ref())),
        ("NIXDASH_RUNNING", path(known.preflight.running.as_ref())),
        ("NIXDASH_REVISION", source.as_ref().map(|source| source.revision.clone())),
        ("NIXDASH_FLAKE", source.and_then(|source| source.flake)),
        ("NIXDASH_OUTCOME", outcome.map(|outcome| outcome.word().to_owned())),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Runs a hook on the host, as root.
async fn there(
    step: &Step,
    hook: &Hook,
    facts: &[(&'static str, String)],
) -> Result<HookEnd, String> {
    let mut script = Script::new(HOOK).root().limit(hook.limit + WAY_MARGIN);
    script = script.arg(hook.limit.as_secs().to_string());
    script.args.extend(facts.iter().map(|(name, value)| format!("{name}={value}")));
    script.args.extend(hook.run.iter().cloned());
    let ran = step.runner.run(&step.host.name, &script).await;
    let output = ran.map_err(|error| format!("could not be run there: {}", error.cause))?;
    Ok(ended_there(&output))
}

/// Reads how a hook ended on a host: the last line of the script says it.
fn ended_there(output: &Output) -> HookEnd {
    let (stdout, how) = match output.stdout.rsplit_once("\nhook-ended\t") {
        Some((stdout, how)) => (ends_of(stdout), how.lines().next().unwrap_or_default().trim()),
        // The script itself could not be run to its end.
        None => (ends_of(&output.stdout), ""),
    };
    let code = how.parse().unwrap_or(output.code);
    let is_late = how == "late";
    let output = Output { code, stdout, stderr: ends_of(&output.stderr) };
    if is_late { HookEnd::Late(output) } else { HookEnd::Ended(output) }
}

/// Runs a hook here, as who runs nixdash, in the folder of hosts.toml.
async fn here(
    step: &Step,
    hook: &Hook,
    facts: &[(&'static str, String)],
) -> Result<HookEnd, String> {
    let fleet = &step.shared.fleet;
    if fleet.trust != Trust::Trusted {
        return Err("was not run: hosts.toml is not trusted; look at it, then run `nixdash trust`"
            .to_owned());
    }
    let Some((program, args)) = hook.run.split_first() else {
        return Ok(HookEnd::Ended(Output::default()));
    };
    let folder = folder_of(fleet);
    // A name is looked up in PATH; a path starts from the folder of hosts.toml.
    let program = if program.contains('/') {
        folder.join(program).display().to_string()
    } else {
        program.clone()
    };
    let run = Program::new(&program, args).in_dir(&folder).limit(hook.limit).keep(Keep::Ends);
    let run = run.own_group();
    let run = facts.iter().fold(run, |run, (name, value)| run.env(name, value));
    match run.run().await {
        Ok(output) => Ok(HookEnd::Ended(output)),
        Err(ProgramError::Slow { said, .. }) => Ok(HookEnd::Late(*said)),
        Err(error @ ProgramError::Start { .. }) => Err(format!("failed: {error}")),
    }
}

/// Returns the folder of hosts.toml.
fn folder_of(fleet: &Fleet) -> PathBuf {
    let file = fleet.file.as_deref().and_then(|file| std::path::absolute(file).ok());
    file.as_deref().and_then(Path::parent).map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_hook_stands_behind_what_was_wrong_before() {
        let failed = || Reason::new(Code::HookFailed, "its hook failed");
        let good = Ending { outcome: Outcome::Switched, reason: None }.with_failed_hook(failed());
        assert_eq!((good.outcome, good.reason), (Outcome::Switched, Some(failed())));
        let bad = Reason::new(Code::CheckFailed, "a check failed");
        let ending = Ending { outcome: Outcome::RolledBack, reason: Some(bad) };
        let reason = ending.with_failed_hook(failed()).reason.unwrap();
        assert_eq!(reason, Reason::new(Code::CheckFailed, "a check failed; its hook failed"));
    }

    #[test]
    fn a_host_that_is_taken_back_has_the_hooks_of_a_rollback_whatever_its_run_was_for() {
        use HookMoment::{AfterActivate, AfterRollback, BeforeActivate, BeforeRollback};
        for (goal, goes_back, ends, moments) in [
            (Goal::Test, false, Outcome::Tested, (BeforeActivate, AfterActivate)),
            (Goal::Test, true, Outcome::Tested, (BeforeRollback, AfterRollback)),
            (Goal::Rollback, true, Outcome::Switched, (BeforeRollback, AfterRollback)),
            (Goal::Rollback, false, Outcome::Switched, (BeforeRollback, AfterRollback)),
            (Goal::Switch, false, Outcome::Switched, (BeforeActivate, AfterActivate)),
            (Goal::Switch, false, Outcome::RolledBack, (BeforeActivate, AfterRollback)),
        ] {
            let before = HookMoment::before_activation(goal, goes_back);
            let after = after_activation(goal, goes_back, ends);
            assert_eq!((before, after), (Some(moments.0), Some(moments.1)), "{goal} {goes_back}");
        }
        assert_eq!(after_activation(Goal::Boot, true, Outcome::Booted), None);
    }

    fn there(printed: &str) -> HookEnd {
        ended_there(&Output { stdout: printed.to_owned(), ..Output::default() })
    }

    #[test]
    fn a_hook_that_exits_with_the_code_of_a_timeout_ended_by_itself() {
        for code in [0, 1, 124, 137] {
            let HookEnd::Ended(output) = there(&format!("a\n\nhook-ended\t{code}\n")) else {
                unreachable!("it was not stopped")
            };
            assert_eq!((output.code, output.stdout.as_str()), (code, "a\n"));
        }
        assert!(
            matches!(there("half\nhook-ended\tlate\n"), HookEnd::Late(output) if output.stdout == "half\n")
        );
    }

    #[test]
    fn the_script_of_a_hook_tells_a_late_one_from_one_that_exits_with_124() {
        let run = |command: &str| {
            let mut hook = std::process::Command::new("/bin/sh");
            hook.args(["-c", HOOK, "sh", "1", "A=b", "/bin/sh", "-c", command]);
            there(&String::from_utf8(hook.output().unwrap().stdout).unwrap())
        };
        assert!(matches!(run("exit 124"), HookEnd::Ended(output) if output.code == 124));
        assert!(matches!(run("exit 137"), HookEnd::Ended(output) if output.code == 137));
        assert!(
            matches!(run("echo half; exec sleep 60"), HookEnd::Late(output) if output.stdout == "half\n")
        );
    }

    #[test]
    fn the_script_of_a_hook_that_is_ended_ends_the_hook() {
        use std::os::unix::process::CommandExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("number");
        let command = format!("echo $$ >{}; exec sleep 60", file.display());
        let mut script = std::process::Command::new("/bin/sh");
        script.args(["-c", HOOK, "sh", "60", "A=b", "/bin/sh", "-c", &command]).process_group(0);
        let mut script = script.spawn().unwrap();
        let wait = |holds: &dyn Fn() -> bool| {
            let began = std::time::Instant::now();
            while !holds() && began.elapsed() < Duration::from_secs(60) {
                std::thread::sleep(Duration::from_millis(10));
            }
            assert!(holds());
        };
        let number = || std::fs::read_to_string(&file).unwrap_or_default().trim().to_owned();
        wait(&|| !number().is_empty());
        // As the watcher of a shell on a host does.
        let group = format!("-{}", script.id());
        std::process::Command::new("kill").args(["-TERM", "--", &group]).status().unwrap();
        assert_eq!(script.wait().unwrap().code(), Some(143));
        let hook = Path::new("/proc").join(number());
        wait(&|| !hook.exists());
    }

    #[test]
    fn a_hook_that_printed_nothing_is_told_with_its_exit_code_once() {
        let output =
            |stderr: &str| Output { code: 1, stderr: stderr.to_owned(), ..Output::default() };
        assert_eq!(exited(&output("\n")), "exited with 1");
        assert_eq!(exited(&output("no network\n")), "exited with 1: no network");
        let limit = Duration::from_secs(30);
        assert_eq!(late(limit, &output("")), "did not end within 30 s");
        let waits = late(limit, &output("Password:\n"));
        assert_eq!(waits, "did not end within 30 s; its last line: Password:");
    }

    #[test]
    fn only_hooks_before_a_change_stop_a_host() {
        let stops = HookMoment::ALL.map(HookMoment::stops);
        assert_eq!(stops, [true, true, true, false, true, false]);
    }
}
