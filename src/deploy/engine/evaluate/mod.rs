//! Evaluate: derivation and output path of a host's system.
//!
//! Here, when this machine has a recent Nix, and the derivations are then copied to the host that
//! builds; or there, from a copy of the flake's source. Always as the login user.

mod repository;
mod source;

pub(super) use source::{Arrived, Packed};

use super::flake::{LocalFlake, locate};
use super::scripts::{DISCARD, EVALUATE, ROOT_DRV};
use super::step::Step;
use crate::deploy::{Failure, Report};
use crate::fleet::{Code, Evaluate, StorePath, printable_line};
use crate::nix::flake_url::FlakeUrl;
use crate::nix::version::Version;
use crate::nix::{argv, eval_error};
use crate::remote::{Output, Program, Script, ScriptRunner};
use serde::Deserialize;
use std::time::Duration;

/// How long an evaluation may take.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// The oldest Nix that today's nixpkgs can be evaluated with.
pub(super) const OLDEST: Version = Version::new(2, 18, 0);

/// What `nix eval` prints.
#[derive(Deserialize)]
struct EvalOutput {
    drv: String,
    out: String,
}

/// Where a flake is evaluated.
enum Place {
    /// On this machine, by the reference that Nix is given.
    Here(String),
    /// On a host, where the source has arrived, or which fetches it by itself.
    There {
        /// The host.
        host: String,
        /// The reference that Nix is given.
        reference: String,
        /// The source, where it was sent.
        arrived: Option<Arrived>,
    },
}

pub(super) async fn evaluate(step: &Step) -> Result<Report, Failure> {
    let attribute = step.config()?.attribute.clone();
    let here = runs_here(step).await?;
    let _turn = step.shared.evaluations.acquire().await;
    let place = place(step, here).await?;
    let args = argv::eval_toplevel(place.reference(), &attribute)
        .map_err(|error| not_evaluated(step, &error))?;
    let output = place.run(step, args).await?;
    let (drv, toplevel) = read(step, &place, &output).await?;
    if here {
        copy_to_builder(step, &drv).await?;
    }
    Ok(Report::Evaluated { drv: drv.to_string(), toplevel })
}

/// Says where the flake is evaluated, and brings its source there.
async fn place(step: &Step, here: bool) -> Result<Place, Failure> {
    let flake = step.shared.fleet.flake.as_deref().unwrap_or_default();
    if here {
        step.log("evaluating here").await;
        return Ok(Place::Here(flake.to_owned()));
    }
    let host = step.host.build_on().to_owned();
    step.log(&format!("evaluating on {host}")).await;
    let arrived = source::source_on(step, &host, &FlakeUrl::parse(flake)).await?;
    let reference = arrived.as_ref().map_or(flake, |arrived| &arrived.reference).to_owned();
    Ok(Place::There { host, reference, arrived })
}

impl Place {
    /// Returns the flake reference that Nix is given.
    fn reference(&self) -> &str {
        match self {
            Self::Here(reference) | Self::There { reference, .. } => reference,
        }
    }

    /// Returns the place in words.
    fn words(&self) -> String {
        match self {
            Self::Here(_) => "on this machine".to_owned(),
            Self::There { host, .. } => format!("on {host}"),
        }
    }

    /// Runs Nix there.
    async fn run(&self, step: &Step, args: Vec<String>) -> Result<Output, Failure> {
        match self {
            Self::Here(_) => {
                let program = Program::new(&args[0], &args[1..]).limit(LIMIT);
                program.run().await.map_err(|error| not_evaluated(step, &error))
            }
            Self::There { host, .. } => {
                let mut script = Script::new(EVALUATE).limit(LIMIT);
                script.args = args;
                step.run(host, &script).await.map_err(|failure| step.about_builder(failure))
            }
        }
    }

    /// Returns where copies of the source are, and what a person calls it: a folder, or an address.
    async fn copies(&self, step: &Step, stderr: &str) -> Copies {
        let flake = step.shared.fleet.flake.as_deref().unwrap_or_default();
        let (name, mut places) = match self {
            Self::There { arrived: Some(arrived), .. } => {
                (arrived.name.clone(), vec![arrived.source.clone()])
            }
            Self::There { arrived: None, .. } | Self::Here(_) => {
                let local = locate(&FlakeUrl::parse(flake)).and_then(Result::ok);
                let name = local
                    .map_or_else(|| flake.to_owned(), |flake| flake.root.display().to_string());
                (name, Vec::new())
            }
        };
        if stderr.contains("-source") {
            places.extend(self.in_store(step).await);
        }
        Copies { name, places }
    }

    /// Returns the source's path in the store.
    async fn in_store(&self, step: &Step) -> Option<String> {
        let output = self.run(step, argv::flake_metadata(self.reference()).ok()?).await.ok()?;
        let found: Metadata = serde_json::from_str(output.stdout.trim()).ok()?;
        StorePath::parse(&found.path).ok().map(|path| path.to_string())
    }
}

/// What is read of `nix flake metadata`.
#[derive(Deserialize)]
struct Metadata {
    path: String,
}

/// Where copies of a source are.
struct Copies {
    /// What a person calls the source.
    name: String,
    /// The copies, in whose paths Nix speaks.
    places: Vec<String>,
}

impl Copies {
    /// Returns a text with the person's own paths instead of those of copies.
    fn in_own_paths(&self, text: &str) -> String {
        let text = text.to_owned();
        self.places.iter().fold(text, |text, place| text.replace(place, &self.name))
    }
}

/// Returns the failure of a host for which Nix could not even be asked.
fn not_evaluated(step: &Step, error: &impl std::fmt::Display) -> Failure {
    Failure::failed(Code::EvaluationFailed, format!("{}: {error}", step.host.name))
}

/// Returns whether to evaluate on this machine.
async fn runs_here(step: &Step) -> Result<bool, Failure> {
    match step.shared.fleet.evaluate {
        Evaluate::Here => Ok(true),
        Evaluate::Builder => Ok(false),
        Evaluate::Auto => {
            let Ok(output) = Program::new("nix", ["--version"]).run().await else {
                return Ok(false);
            };
            let version = Version::parse(&output.stdout);
            Ok(version.is_some_and(|version| version >= OLDEST))
        }
    }
}

/// Reads what Nix printed.
async fn read(
    step: &Step,
    place: &Place,
    output: &Output,
) -> Result<(StorePath, StorePath), Failure> {
    let host = &step.host.name;
    if !output.is_ok() {
        return Err(failure(step, place, output).await);
    }
    let odd = |why: String| {
        let text = format!("{host}: nix eval answered oddly {}: {why}", place.words());
        Failure::failed(Code::EvaluationFailed, text)
    };
    let found: EvalOutput =
        serde_json::from_str(output.stdout.trim()).map_err(|error| odd(error.to_string()))?;
    let toplevel = StorePath::parse(&found.out).map_err(|error| odd(error.to_string()))?;
    let drv = StorePath::parse(&found.drv).map_err(|error| odd(error.to_string()))?;
    Ok((drv, toplevel))
}

/// Says why an evaluation failed: where, what Nix said in the person's own paths, and what to do.
async fn failure(step: &Step, place: &Place, output: &Output) -> Failure {
    let copies = place.copies(step, &output.stderr).await;
    for line in output.stderr.lines() {
        step.log(&copies.in_own_paths(line)).await;
    }
    let cause = eval_error::cause(&output.stderr).unwrap_or_else(|| output.complaint());
    let said = copies.in_own_paths(&cause);
    let what = match advice(step, &said).await {
        Some(advice) => advice,
        None if eval_error::lacks_attribute(&cause) => {
            missing_attribute(step, place).await.unwrap_or(said)
        }
        None => said,
    };
    let text = format!(
        "{}: its configuration could not be evaluated {}: {}",
        step.host.name,
        place.words(),
        printable_line(&what)
    );
    Failure::failed(Code::EvaluationFailed, text)
}

/// Returns what to do about a file that is there, but that git does not track.
async fn advice(step: &Step, said: &str) -> Option<String> {
    let flake = step.shared.fleet.flake.as_deref().unwrap_or_default();
    let (root, dir) = source::work_tree(&FlakeUrl::parse(flake))?;
    let shown = root.display().to_string();
    let named = eval_error::paths(said).into_iter();
    let mut names: Vec<String> =
        named.map(|path| eval_error::below(path, &shown).to_owned()).collect();
    names.push(format!("{dir}/flake.nix").trim_start_matches('/').to_owned());
    let name = source::untracked(&root, &names).await?;
    Some(format!(
        "git does not track {name}, and of a git repository Nix reads only what git tracks; run `git -C \
         {shown} add {name}`"
    ))
}

/// Returns what to write instead of an attribute that the flake does not have, by asking for those
/// that it has.
async fn missing_attribute(step: &Step, place: &Place) -> Option<String> {
    let flake = step.shared.fleet.flake.as_deref().unwrap_or_default();
    let name = &step.host.name;
    let attribute = &step.config().ok()?.attribute;
    let args = argv::eval_hosts(place.reference()).ok()?;
    let output = place.run(step, args).await.ok()?;
    if !output.is_ok() {
        return eval_error::cause(&output.stderr).filter(|cause| eval_error::lacks_attribute(cause)).map(
            |_| format!("{flake} has no nixosConfigurations; write nixosConfigurations.{attribute} there"),
        );
    }
    let known: Vec<String> = serde_json::from_str(output.stdout.trim()).ok()?;
    if known.contains(attribute) {
        // It lacks something further in.
        return None;
    }
    let near = known.iter().min_by_key(|known| strsim::damerau_levenshtein(known, attribute))?;
    Some(format!(
        "{flake} has no nixosConfigurations.{attribute}; it has {}. Write it there, or name another in \
         hosts.toml: [hosts.{name}] attribute = \"{near}\"",
        known.join(", ")
    ))
}

/// Returns whether git tracks the `flake.nix` of a flake; where there is no git, nothing is missing.
pub async fn tracks_flake_file(flake: &LocalFlake) -> bool {
    let file = format!("{}/flake.nix", flake.dir);
    !flake.is_git || repository::is_tracked(&flake.root, file.trim_start_matches('/')).await
}

/// Copies a derivation with everything it needs to the host that builds.
async fn copy_to_builder(step: &Step, drv: &StorePath) -> Result<(), Failure> {
    let shared = &step.shared;
    let builder = step.host.build_on();
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
    let output = program.run().await.map_err(|error| failed(error.to_string()))?;
    if output.is_ok() {
        return Ok(());
    }
    let said = output.complaint();
    let why = argv::login_shell_prints(builder, &output.stderr).unwrap_or(said);
    Err(failed(format!(
        "the derivation of {} could not be copied from this machine to {builder}: {why}",
        step.host.name,
    )))
}

/// Roots the derivation where it is built: a garbage collection between its evaluation and its build
/// would take it. A root that cannot be made is no failure: the build says so, should it matter.
pub(super) async fn root_derivation(step: &Step, drv: &str) {
    let builder = step.host.build_on();
    step.shared.note_use(builder);
    let root = format!("{}.drv", step.build_root());
    let script = Script::new(ROOT_DRV).root().arg(drv).arg(root);
    match step.runner.run(builder, &script).await {
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
