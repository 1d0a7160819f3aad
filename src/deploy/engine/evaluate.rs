//! Evaluate: derivation and output path of a host's system.
//!
//! Here, when this machine has a recent Nix, and the derivations are then copied to the host that
//! builds; or there, from a copy of the flake's source. Always as the login user.

use super::scripts::{DISCARD, EVALUATE, ROOT_DRV, UNPACK};
use super::step::Step;
use crate::deploy::{Failure, Report};
use crate::fleet::{Code, Evaluate, StorePath};
use crate::nix::argv;
use crate::nix::version::Version;
use crate::remote::{Output, Program, Script, ScriptRunner};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long an evaluation may take.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// The oldest Nix that today's nixpkgs can be evaluated with.
const OLDEST: Version = Version::new(2, 18, 0);

/// What `nix eval` prints.
#[derive(Deserialize)]
struct EvalOutput {
    drv: String,
    out: String,
}

pub(super) async fn evaluate(step: &Step) -> Result<Report, Failure> {
    let flake = step.shared.fleet.flake.as_deref().unwrap_or_default();
    let attribute = step.config()?.attribute.clone();
    let command = |flake: &str| {
        argv::eval_toplevel(flake, &attribute).map_err(|error| not_evaluated(step, &error))
    };
    let folder = folder_of(flake);
    let here = runs_here(step).await?;
    let _turn = step.shared.evaluations.acquire().await;
    let output = if here {
        step.log("evaluating here").await;
        let reference = folder.as_ref().map_or(flake.to_owned(), |dir| dir.display().to_string());
        let args = command(&reference)?;
        let program = Program::new(&args[0], &args[1..]).limit(LIMIT);
        let (_, output) = program.run().await.map_err(|error| not_evaluated(step, &error))?;
        output
    } else {
        let there = &step.host.build_on;
        step.log(&format!("evaluating on {there}")).await;
        let reference = match &folder {
            Some(dir) => format!("path:{}", source_on(step, there, dir).await?),
            None => flake.to_owned(),
        };
        let mut script = Script::new(EVALUATE).limit(LIMIT);
        script.args = command(&reference)?;
        step.run(there, &script).await.map_err(|failure| step.about_builder(failure))?
    };
    let (drv, toplevel) = read(step, &output).await?;
    if here {
        copy_to_builder(step, &drv).await?;
    }
    Ok(Report::Evaluated { drv: drv.to_string(), toplevel })
}

/// Returns the failure of a host for which Nix could not even be asked.
fn not_evaluated(step: &Step, error: &impl std::fmt::Display) -> Failure {
    Failure::failed(Code::EvaluationFailed, format!("{}: {error}", step.host.name))
}

/// Returns the folder of a flake reference that names one.
fn folder_of(flake: &str) -> Option<PathBuf> {
    let path = flake.strip_prefix("path:").or_else(|| flake.strip_prefix("git+file://"));
    let path = Path::new(path.unwrap_or(flake));
    path.is_dir().then(|| path.to_path_buf())
}

/// Returns whether to evaluate on this machine.
async fn runs_here(step: &Step) -> Result<bool, Failure> {
    match step.shared.fleet.evaluate {
        Evaluate::Here => Ok(true),
        Evaluate::Builder => Ok(false),
        Evaluate::Auto => {
            let Ok((_, output)) = Program::new("nix", ["--version"]).run().await else {
                return Ok(false);
            };
            let version = Version::parse(&output.stdout);
            Ok(version.is_some_and(|version| version >= OLDEST))
        }
    }
}

/// Reads what Nix printed.
async fn read(step: &Step, output: &Output) -> Result<(StorePath, StorePath), Failure> {
    let host = &step.host.name;
    if !output.is_ok() {
        for line in output.stderr.lines() {
            step.log(line).await;
        }
        let said = output
            .stderr
            .lines()
            .rev()
            .find_map(|line| line.trim_start().strip_prefix("error:"))
            .map_or_else(|| output.complaint(), |text| text.trim().to_owned());
        let said = crate::fleet::printable_line(&said);
        let text = format!("{host}: its configuration could not be evaluated: {said}");
        return Err(Failure::failed(Code::EvaluationFailed, text));
    }
    let odd = |why: String| {
        let text = format!("{host}: nix eval answered oddly: {why}");
        Failure::failed(Code::EvaluationFailed, text)
    };
    let found: EvalOutput =
        serde_json::from_str(output.stdout.trim()).map_err(|error| odd(error.to_string()))?;
    let toplevel = StorePath::parse(&found.out).map_err(|error| odd(error.to_string()))?;
    let drv = StorePath::parse(&found.drv).map_err(|error| odd(error.to_string()))?;
    Ok((drv, toplevel))
}

/// Returns the folder on a host with the flake's source, sending it there once per run.
async fn source_on(step: &Step, host: &str, dir: &Path) -> Result<String, Failure> {
    let cell = {
        let mut sources = step.shared.sources.lock().await;
        Arc::clone(sources.entry(host.to_owned()).or_default())
    };
    let folder = cell
        .get_or_try_init(|| async {
            let archive = pack(dir).await?;
            let script = Script::new(UNPACK).stdin(archive).limit(Duration::from_secs(120));
            let output =
                step.run(host, &script).await.map_err(|failure| step.about_builder(failure))?;
            let folder = output.stdout.trim().to_owned();
            let tail = folder.rsplit_once("/nixdash/source-").map(|(_, tail)| tail);
            let fits =
                tail.is_some_and(|tail| tail.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            if output.is_ok() && fits && folder.starts_with('/') {
                return Ok(folder);
            }
            let said = output.complaint();
            let text = format!("{host}: the flake's source could not be unpacked there: {said}");
            Err(Failure::failed(Code::SourceNotSent, text))
        })
        .await?;
    Ok(folder.clone())
}

/// Returns a flake's source as a tar archive: of a git work tree the tracked files as they are
/// now, as Nix sees them; of another folder everything.
async fn pack(dir: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |what: &str, why: String| {
        let text = format!("the flake {} could not be {what}: {why}", dir.display());
        Failure::failed(Code::SourceNotSent, text)
    };
    let listed = Program::new("git", ["ls-files", "-z", "--cached", "."]).in_dir(dir).run().await;
    let tar = match listed {
        Ok((names, output)) if output.is_ok() => {
            let mut present = Vec::with_capacity(names.len());
            for name in names.split_inclusive(|byte| *byte == 0) {
                let text = String::from_utf8_lossy(name);
                if dir.join(text.trim_end_matches('\0')).symlink_metadata().is_ok() {
                    present.extend_from_slice(name);
                }
            }
            Program::new("tar", ["-cf", "-", "--null", "--verbatim-files-from", "--files-from=-"])
                .stdin(present)
        }
        Ok(_) | Err(_) => Program::new("tar", ["-cf", "-", "--exclude=./.git", "."]),
    };
    let (archive, output) =
        tar.in_dir(dir).run().await.map_err(|error| failed("packed", error.to_string()))?;
    if !output.is_ok() {
        return Err(failed("packed", output.complaint()));
    }
    Ok(archive)
}

/// Copies a derivation with everything it needs to the host that builds.
async fn copy_to_builder(step: &Step, drv: &StorePath) -> Result<(), Failure> {
    let shared = &step.shared;
    let builder = &step.host.build_on;
    let Some(host) = shared.fleet.host(builder).filter(|host| !host.is_local()) else {
        return Ok(());
    };
    // Whoever answers now is the one to copy to.
    step.run(builder, &Script::new(":")).await.map_err(|failure| step.about_builder(failure))?;
    let answering = shared.runner.address(builder);
    let address = host
        .addresses
        .iter()
        .find(|address| Some(address.to_string()) == answering)
        .or(host.addresses.first());
    let Some(address) = address else { return Ok(()) };
    step.log(&format!("copying the derivation to {builder}")).await;
    let args = argv::copy_closure_to(address, drv);
    let failed = |text: String| Failure::failed(Code::DerivationNotCopied, text);
    let options = argv::ssh_options(address, shared.fleet.ssh_config.as_deref())
        .map_err(|error| failed(error.to_string()))?;
    let program = Program::new(&args[0], &args[1..]).env("NIX_SSHOPTS", options).limit(LIMIT);
    let (_, output) = program.run().await.map_err(|error| failed(error.to_string()))?;
    if output.is_ok() {
        return Ok(());
    }
    let said = output.complaint();
    let why = argv::login_shell_prints(builder, &output.stderr).unwrap_or(said);
    Err(failed(format!(
        "the derivation of {} could not be copied to {builder}: {why}",
        step.host.name,
    )))
}

/// Roots the derivation where it is built: a garbage collection between its evaluation and its build
/// would take it. A root that cannot be made is no failure: the build says so, should it matter.
pub(super) async fn root_derivation(step: &Step, drv: &str) {
    let builder = &step.host.build_on;
    step.shared.note_use(builder);
    let root = format!("{}.drv", step.build_root());
    let script = Script::new(ROOT_DRV).root().arg(drv).arg(root);
    match step.shared.runner.run(builder, &script).await {
        Ok(output) if output.is_ok() => {}
        Ok(output) => {
            step.log(&format!("the derivation is not rooted: {}", output.complaint())).await;
        }
        Err(error) => step.log(&format!("the derivation is not rooted: {}", error.cause)).await,
    }
}

/// Removes a source folder; what stays behind after a failure is removed by the next run.
pub(super) async fn discard(runner: &dyn ScriptRunner, host: &str, dir: &str) {
    let script = Script::new(DISCARD).arg(dir).limit(Duration::from_secs(5));
    drop(runner.run(host, &script).await);
}
