//! Why an evaluation failed: where, what Nix said in the person's own paths, and what to do.

use super::place::Place;
use super::source;
use crate::deploy::Failure;
use crate::deploy::engine::step::Step;
use crate::fleet::{Code, printable_line};
use crate::nix::flake_url::FlakeUrl;
use crate::nix::{argv, eval_error};
use crate::remote::Output;

/// Returns the failure of a host for which Nix could not even be asked.
pub(super) fn not_evaluated(step: &Step, error: &impl std::fmt::Display) -> Failure {
    Failure::failed(Code::EvaluationFailed, format!("{}: {error}", step.host.name))
}

/// Says why an evaluation failed: where, what Nix said in the person's own paths, and what to do.
pub(super) async fn failure(step: &Step, place: &Place, output: &Output) -> Failure {
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
    let flake = step.flake();
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
    let flake = step.flake();
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
