//! `nixdash completions` and `nixdash man`, both made from the arguments' own description,
//! `nixdash findings`, made from the table of codes, and `nixdash scripts`.

use crate::cli::{Cli, CliError};
use crate::deploy::engine::scripts as scripts_of_deploys;
use crate::fleet::words;
use clap::{Args, CommandFactory, ValueHint};
use clap_complete::Shell;
use clap_complete::env::Shells;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The variable by which a shell asks for what can follow.
const VARIABLE: &str = "NIXDASH_COMPLETE";

/// Arguments of `nixdash man`.
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The subcommand whose page is wanted [default: the page of nixdash itself]
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Writes every page into this folder instead, as nixdash.1, nixdash-deploy.1 and so on
    #[arg(long, value_name = "DIR", conflicts_with = "command", value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

/// Arguments of `nixdash scripts`.
#[derive(Debug, Args)]
pub(super) struct ScriptsArgs {
    /// The script whose text is wanted [default: the names of all]
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Prints the names of the scripts that a deploy runs on hosts, or the text of one.
pub(super) fn scripts(args: &ScriptsArgs) -> Result<ExitCode, CliError> {
    let Some(name) = &args.name else {
        let names: Vec<&str> = scripts_of_deploys().map(|(name, _)| name).collect();
        return print(format!("{}\n", names.join("\n")).as_bytes());
    };
    match scripts_of_deploys().find(|(known, _)| known == name) {
        Some((_, text)) => print(text.as_bytes()),
        None => Err(CliError::NoScript { name: name.clone() }),
    }
}

/// Answers a shell that asks what can follow, and ends the process then.
pub fn answer_shell() {
    clap_complete::CompleteEnv::with_factory(Cli::command).var(VARIABLE).complete();
}

pub(super) fn completions(shell: Shell) -> Result<ExitCode, CliError> {
    let mut text = Vec::new();
    let known = Shells::builtins();
    let name = shell.to_string();
    // The shell asks the program by its name on PATH: it may be updated in between.
    match known.completer(&name) {
        Some(completer) => {
            completer.write_registration(VARIABLE, "nixdash", "nixdash", "nixdash", &mut text)?;
        }
        None => clap_complete::generate(shell, &mut Cli::command(), "nixdash", &mut text),
    }
    print(&text)
}

pub(super) fn man(args: &ManArgs) -> Result<ExitCode, CliError> {
    if let Some(dir) = &args.dir {
        return write_pages(dir).map(|()| ExitCode::SUCCESS);
    }
    let mut command = built();
    let mut before = "nixdash".to_owned();
    for word in &args.command {
        let known: Vec<String> =
            visible(&command).map(|below| below.get_name().to_owned()).collect();
        let Some(below) = visible(&command).find(|below| below.get_name() == word).cloned() else {
            return Err(CliError::NoPage { word: word.clone(), before, known });
        };
        before = format!("{before} {word}");
        command = below;
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text)?;
    print(&text)
}

/// Writes the page of every subcommand into a folder, which is made where it is not there.
fn write_pages(dir: &Path) -> Result<(), CliError> {
    let failed = |source| CliError::WritePages { dir: dir.display().to_string(), source };
    std::fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), dir).map_err(failed)
}

/// Returns the description of the arguments with everything that pages need filled in.
fn built() -> clap::Command {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    command
}

/// Returns the subcommands that a person is shown.
fn visible(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command.get_subcommands().filter(|below| !below.is_hide_set())
}

pub(super) fn findings() -> Result<ExitCode, CliError> {
    print(words::page::findings().as_bytes())
}

fn print(text: &[u8]) -> Result<ExitCode, CliError> {
    std::io::Write::write_all(&mut std::io::stdout().lock(), text)?;
    Ok(ExitCode::SUCCESS)
}
