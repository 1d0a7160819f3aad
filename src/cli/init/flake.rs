//! What a flake says of its hosts, asked of Nix on this machine: the names of `nixosConfigurations`.
//!
//! Only names are evaluated, no system. Nothing is built, and nothing is written into the flake.

use crate::nix::{argv, eval_error};
use crate::remote::{Output, Program};
use std::time::Duration;

/// How long an evaluation may take, the download of the flake's inputs included.
const LIMIT: Duration = Duration::from_secs(300);

/// Returns the names of the configurations of a flake, or a sentence that says why they are not
/// known and what to do.
pub(super) async fn hosts(flake: &str) -> Result<Vec<String>, String> {
    let argv = argv::eval_hosts(flake).map_err(|error| format!("{error}."))?;
    let output = evaluate(argv).await?;
    match of_output(flake, "nixosConfigurations", &output)? {
        Some(text) => names(flake, text),
        None => Err(format!(
            "The flake {flake} has no nixosConfigurations. Name another one: `nixdash init FLAKE`."
        )),
    }
}

/// Runs Nix.
async fn evaluate(argv: Vec<String>) -> Result<Output, String> {
    let (program, args) = argv.split_first().ok_or("There is nothing to run.")?;
    Program::new(program, args).limit(LIMIT).run().await.map_err(|error| {
        format!("What is in the flake is not known, because Nix did not say it: {error}.")
    })
}

/// Returns what Nix printed of an output of a flake; nothing where the flake has no such output.
fn of_output<'o>(flake: &str, name: &str, output: &'o Output) -> Result<Option<&'o str>, String> {
    if output.is_ok() {
        return Ok(Some(output.stdout.trim()));
    }
    let cause = eval_error::cause(&output.stderr).unwrap_or_else(|| output.complaint());
    if eval_error::lacks_attribute(&cause) {
        return Ok(None);
    }
    Err(format!(
        "Nix could not read {name} of the flake {flake}: {}. Mend the flake and run `nixdash init` \
         again.",
        cause.trim_end_matches('.')
    ))
}

/// Reads a list of names.
fn names(flake: &str, text: &str) -> Result<Vec<String>, String> {
    serde_json::from_str(text).map_err(|error| {
        format!("Nix printed no list of names for the flake {flake}: {error}. Is it another Nix?")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(code: i32, stdout: &str, stderr: &str) -> Output {
        Output { code, stdout: stdout.to_owned(), stderr: stderr.to_owned() }
    }

    #[test]
    fn names_are_what_nix_lists() {
        let printed = output(0, "[\"p620\",\"razer\"]\n", "warning: Git tree is dirty\n");
        let text = of_output("/f", "nixosConfigurations", &printed).unwrap().unwrap();
        assert_eq!(names("/f", text).unwrap(), ["p620", "razer"]);
        assert!(names("/f", "{}").unwrap_err().contains("no list of names for the flake /f"));
    }

    #[test]
    fn a_flake_without_the_output_is_no_failure() {
        let said = "error: flake 'path:/f' does not provide attribute 'packages.x86_64-linux.deploy', \
                    'legacyPackages.x86_64-linux.deploy' or 'deploy'\n";
        assert_eq!(of_output("/f", "deploy", &output(1, "", said)), Ok(None));
    }

    #[test]
    fn a_flake_that_cannot_be_evaluated_is_named_with_the_cause() {
        let said = "error: syntax error, unexpected end of file\n       at /f/flake.nix:9:1:\n";
        let error = of_output("/f", "nixosConfigurations", &output(1, "", said)).unwrap_err();
        assert_eq!(
            error,
            "Nix could not read nixosConfigurations of the flake /f: syntax error, unexpected end of \
             file. Mend the flake and run `nixdash init` again."
        );
    }
}
