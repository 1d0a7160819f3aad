//! `nixdash init`: proposes a `hosts.toml` from what is there, and writes it when a person says so.
//!
//! The sources (`flake`, `ssh_config`, `machine`) find, `join` makes one proposal of it, `ask` completes
//! it with what the hosts say, `file` makes the text, and `write` shows and writes it. A file that is there is only added to.

pub(super) mod around;
mod ask;
mod file;
mod flake;
mod join;
mod machine;
mod ssh_config;
mod tiers;
mod write;

pub(super) use write::InitError;

use crate::cli::words::most_processors;
use crate::cli::{CliError, EXIT_FAILED, EXIT_INTERRUPTED, load, status, strategies, trust, wait};
use crate::config;
use crate::fleet::{Fleet, printable_json, printable_line};
use crate::nix::argv::HiveOutput;
use crate::record::state_home;
use clap::{Args, ValueHint};
use join::{Builder, FoundSources, Proposal, join};
use machine::ThisMachine;
use serde_json::json;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Arguments of `nixdash init`.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The flake with the nixosConfigurations: a folder, or a reference such as github:me/nixos
    /// [default: the current folder, where it has a flake.nix]
    #[arg(value_name = "FLAKE", value_hint = ValueHint::DirPath)]
    flake: Option<String>,
    /// The configuration of ssh to read and to name in the file [default: ~/.ssh/config]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    ssh_config: Option<PathBuf>,
    /// Asks whether to write what was shown: into --hosts FILE or ./hosts.toml
    #[arg(long, conflicts_with_all = ["output", "json"])]
    write: bool,
    /// Writes what was found into this file without asking; it must not be there yet
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// Prints what was found, and the text of the file, as JSON
    #[arg(long)]
    json: bool,
}

impl InitArgs {
    /// Returns whether a file may be written.
    pub(super) fn writes(&self) -> bool {
        self.write || self.output.is_some()
    }
}

/// The text of the file before and after.
struct Texts {
    path: PathBuf,
    is_there: bool,
    before: String,
    after: String,
}

pub(super) async fn run(hosts: Option<&Path>, args: InitArgs) -> Result<ExitCode, CliError> {
    tokio::select! {
        done = propose(hosts, args) => done,
        // At a question too: what was typed there is then nobody's.
        () = status::interrupted() => Ok(ExitCode::from(EXIT_INTERRUPTED)),
    }
}

/// Finds out what belongs into the file, shows it and writes it.
async fn propose(hosts: Option<&Path>, args: InitArgs) -> Result<ExitCode, CliError> {
    if args.write && !io::stdin().is_terminal() {
        return Err(InitError::NobodyToAsk.into());
    }
    let path = match (&args.output, hosts) {
        (Some(path), _) if path.symlink_metadata().is_ok() => {
            return Err(InitError::IsThere(path.clone()).into());
        }
        (Some(path), _) => path.clone(),
        (None, hosts) => load::find(hosts).unwrap_or_else(|| PathBuf::from("hosts.toml")),
    };
    // A file with mistakes is mended first: what is added to it could not be checked.
    let is_there = path.symlink_metadata().is_ok();
    let before = if is_there { load::read_whole(&path)?.text } else { String::new() };
    let mut found = wait::saying("reading the flake …", look(&path, &args)).await?;
    let mut proposal = join(&found);
    if !is_there && !args.json && knows_no_host(&found) {
        tell_problems(&found);
        let why = "Nothing is proposed, because no host of the flake is known.";
        writeln!(io::stdout(), "{why}")?;
        return Ok(ExitCode::from(EXIT_FAILED));
    }
    let add = |proposal: &Proposal| {
        file::add(&before, proposal).map_err(|why| InitError::CannotAdd { path: path.clone(), why })
    };
    // The hosts are asked as the file reaches them that comes out of it.
    let fleet = Arc::new(fleet_of(&path, &add(&proposal)?)?);
    if let Some(doubt) = doubt(hosts, &path, is_there, &before)? {
        found.problems.push(format!("No host was asked: {doubt}."));
    } else {
        let what =
            format!("waiting for {} hosts to say which caches they use …", fleet.hosts.len());
        let said = wait::saying(&what, ask::ask(&fleet)).await;
        let problems = ask::complete(&mut proposal, &fleet, &join::places(&found), &said);
        found.problems.extend(problems);
    }
    if !is_there && proposal.builder.is_none() && can_ask(&args) {
        proposal.builder = asked_builder(&proposal).await?;
    }
    let after = add(&proposal)?;
    check(&path, &after)?;
    let texts = Texts { path, is_there, before, after };
    if args.json {
        print_json(&found, &proposal, &texts)?;
    }
    finish(&args, &found, &proposal, &texts).await
}

/// Looks at every source.
async fn look(path: &Path, args: &InitArgs) -> Result<FoundSources, CliError> {
    let mut found = FoundSources { machine: ThisMachine::look(), ..FoundSources::default() };
    // The file may lie in another folder than this one.
    found.ssh_config = args.ssh_config.as_deref().map(std::path::absolute).transpose()?;
    match ssh_config::look(found.ssh_config.as_deref(), std::env::home_dir().as_deref()) {
        Ok(hosts) => found.ssh_hosts = hosts,
        Err(problem) => found.problems.push(problem),
    }
    let named =
        args.flake.clone().or_else(|| Path::new("flake.nix").is_file().then(|| ".".to_owned()));
    let Some(named) = named else { return Ok(found) };
    let whole = whole_flake(&named)?;
    let configurations = flake::hosts(&whole).await;
    let has_none = matches!(configurations, Ok(None));
    match configurations {
        Ok(names) => found.configurations = names.unwrap_or_default(),
        Err(problem) => found.problems.push(problem),
    }
    // A flake that Nix cannot read has no more to say.
    for hive in HiveOutput::ALL.into_iter().take(if found.problems.is_empty() { 3 } else { 0 }) {
        match flake::nodes(&whole, hive).await {
            Ok(nodes) => found.nodes.extend(nodes),
            Err(problem) => found.problems.push(problem),
        }
    }
    if has_none && found.problems.is_empty() {
        found.problems.push(flake::without_configurations(&whole, &found.nodes));
    }
    // A file in the current folder may say it as it was typed, and be moved together with the flake.
    let is_here = path.parent().is_none_or(|folder| folder.as_os_str().is_empty());
    found.flake = Some(if is_here { named } else { whole });
    Ok(found)
}

/// Returns a flake with its path made whole, as `hosts.toml` in the current folder would mean it.
fn whole_flake(named: &str) -> Result<String, CliError> {
    let mut document = toml_edit::DocumentMut::new();
    document["fleet"]["flake"] = toml_edit::value(named);
    let file = std::path::absolute("hosts.toml")?;
    let home = std::env::home_dir();
    let fleet = config::parse(&document.to_string(), &file, home.as_deref()).map_err(|errors| {
        let first = errors.0.first().map(|error| format!("{}; {}", error.message, error.hint));
        InitError::Flake(first.unwrap_or_default())
    })?;
    Ok(fleet.flake.unwrap_or_else(|| named.to_owned()))
}

/// Returns the fleet that a text means.
fn fleet_of(path: &Path, text: &str) -> Result<Fleet, CliError> {
    let file = std::path::absolute(path)?;
    config::parse(text, &file, std::env::home_dir().as_deref())
        .map_err(|errors| InitError::NotRight(errors.to_string()).into())
}

/// Says why the file that is there may not say how hosts are reached; nothing where it may.
fn doubt(
    named: Option<&Path>,
    path: &Path,
    is_there: bool,
    text: &str,
) -> Result<Option<String>, CliError> {
    if named.is_some() || !is_there || path != Path::new("hosts.toml") {
        return Ok(None);
    }
    let file = std::path::absolute(path)?;
    let doubt = trust::doubt(&state_home(), &file, text, &fleet_of(path, text)?);
    Ok(doubt.map(|doubt| doubt.sentence(&file)))
}

/// Returns whether somebody is there to answer a question.
fn can_ask(args: &InitArgs) -> bool {
    !args.json && io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Asks which host builds for the others; nothing named is nobody.
async fn asked_builder(proposal: &Proposal) -> Result<Option<Builder>, CliError> {
    let names: Vec<&str> = proposal.hosts.iter().map(|host| host.name.as_str()).collect();
    if proposal.flake.is_none() || names.len() < 2 {
        return Ok(None);
    }
    if let Some((host, cpus)) = &proposal.strongest {
        writeln!(io::stdout(), "{}", most_processors(host, *cpus))?;
    }
    let question = format!(
        "Which host builds for the others: {}? Enter alone lets each host build for itself: ",
        names.join(", ")
    );
    loop {
        let answer = answered(&question).await?;
        if answer.is_empty() {
            return Ok(None);
        }
        if names.contains(&answer.as_str()) {
            let serves = |tier: &tiers::ProposedTier| {
                tier.host.as_deref() == Some(&answer) && tier.public_key.is_some()
            };
            return Ok(Some(Builder {
                serves: proposal.tiers.iter().any(serves),
                note: "You named it as the host that builds for the others.".to_owned(),
                host: answer,
            }));
        }
        writeln!(io::stdout(), "There is no such host.")?;
    }
}

/// Checks a text as `nixdash config check` does.
fn check(path: &Path, text: &str) -> Result<(), CliError> {
    let fleet = fleet_of(path, text)?;
    let mistakes = strategies::mistakes(&fleet);
    if mistakes.is_empty() {
        return Ok(());
    }
    let lines = mistakes.iter().map(|(mistake, hint)| format!("{mistake}\n  hint: {hint}"));
    Err(InitError::NotRight(lines.collect::<Vec<_>>().join("\n")).into())
}

/// Prints what was found, what is proposed and the text as JSON.
fn print_json(found: &FoundSources, proposal: &Proposal, texts: &Texts) -> Result<(), CliError> {
    let mut document = json!({
        "found": found,
        "proposed": proposal,
        "file": texts.path,
        "adds": texts.before != texts.after,
    });
    printable_json(&mut document);
    // It is a whole file: its line ends stay.
    document["text"] = json!(write::printable_lines(&texts.after));
    let text = serde_json::to_string_pretty(&document).map_err(io::Error::from)?;
    writeln!(io::stdout(), "{text}")?;
    Ok(())
}

/// Shows what would be added and writes it where that is wanted; says what could not be found out.
async fn finish(
    args: &InitArgs,
    found: &FoundSources,
    proposal: &Proposal,
    texts: &Texts,
) -> Result<ExitCode, CliError> {
    tell_problems(found);
    let shown = texts.path.display();
    let code = ExitCode::from(if found.problems.is_empty() { 0 } else { EXIT_FAILED });
    if !args.json {
        show(proposal, texts)?;
    }
    if let Some(path) = &args.output {
        write::make(path, &texts.after)?;
    } else if texts.before == texts.after || args.json {
        return Ok(code);
    } else if !args.write {
        writeln!(
            io::stdout(),
            "Nothing was written. `nixdash init --write` writes it after asking."
        )?;
        return Ok(code);
    } else if !asked_yes(&format!("Write this to {shown}? [y/N] ")).await? {
        writeln!(io::stdout(), "Nothing was written.")?;
        return Ok(code);
    } else if texts.is_there {
        write::replace(&texts.path, &texts.before, &texts.after)?;
    } else {
        write::make(&texts.path, &texts.after)?;
    }
    if !args.json {
        writeln!(
            io::stdout(),
            "{shown} was written. Look at it, then run `nixdash trust {shown}` and `nixdash status`."
        )?;
    }
    Ok(code)
}

/// Returns whether a flake is there and none of its hosts is known. Whoever ssh knows beside that may be
/// none of them.
fn knows_no_host(found: &FoundSources) -> bool {
    found.flake.is_some()
        && !found.problems.is_empty()
        && found.configurations.is_empty()
        && found.nodes.is_empty()
}

/// Says what could not be found out.
fn tell_problems(found: &FoundSources) {
    for problem in &found.problems {
        // Nobody may be there to read it.
        drop(writeln!(io::stderr(), "nixdash: {}", printable_line(problem)));
    }
}

/// Shows what the file gains, and what is not in it.
fn show(proposal: &Proposal, texts: &Texts) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if texts.before == texts.after {
        writeln!(out, "{} has everything that was found.", texts.path.display())?;
    }
    write!(out, "{}", write::diff(&texts.path, &texts.before, &texts.after))?;
    if texts.is_there {
        for note in &proposal.notes {
            writeln!(out, "{}", printable_line(note))?;
        }
    }
    Ok(())
}

/// Asks for a yes; anything else is no.
async fn asked_yes(question: &str) -> io::Result<bool> {
    Ok(matches!(answered(question).await?.to_lowercase().as_str(), "y" | "yes"))
}

/// Asks something and returns the answer, without spaces around it; who stops waiting for it leaves a
/// thread that reads on, so the program must end then.
async fn answered(question: &str) -> io::Result<String> {
    write!(io::stdout(), "{question}")?;
    io::stdout().flush()?;
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    Ok(read.await.map_err(io::Error::other)??.trim().to_owned())
}
