//! `nixdash runs`: lists runs, writes one as a file, and shows such a file.

use crate::cli::chosen_run::find_own_run;
use crate::cli::run_row::row;
use crate::cli::{CliError, history, load, view_run};
use crate::config;
use crate::dash::shown_flake;
use crate::fleet::{Fleet, Host, KindName, KnownSecrets, SecretSource, SecretText, Tier};
use crate::record::{ExportError, ExportedRun, Runs, WrittenExport, state_home};
use crate::remote::resolve;
use clap::{Args, Subcommand, ValueHint};
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `nixdash runs`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct RunsArgs {
    #[command(subcommand)]
    command: Option<RunsCommand>,
    #[command(flatten)]
    list: history::HistoryArgs,
}

/// What is done with a run.
#[derive(Debug, Subcommand)]
enum RunsCommand {
    /// Writes a run as one file: its events, journal, logs and what Nix said, without secrets
    Export(ExportArgs),
    /// Shows an exported run on any machine, as it looked where it was made
    View(ViewArgs),
}

/// Arguments of `nixdash runs export`.
#[derive(Debug, Args)]
struct ExportArgs {
    /// The run's number, as `nixdash runs` lists it; `last` is the newest of this hosts.toml
    #[arg(value_name = "RUN")]
    run: String,
    /// The file, or - for standard output [default: nixdash-run-RUN.jsonl.gz]
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
}

/// Arguments of `nixdash runs view`.
#[derive(Debug, Args)]
struct ViewArgs {
    /// The file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Prints how it ended as one JSON document
    #[arg(long)]
    json: bool,
}

/// What the screen of a run needs to know of the fleet that it belongs to.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct FleetNames {
    flake: Option<String>,
    builder: Option<String>,
    hosts: Vec<HostName>,
    tiers: Vec<TierName>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct HostName {
    name: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    protected: bool,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct TierName {
    name: String,
    kind: String,
    url: String,
    #[serde(default)]
    host: Option<String>,
}

impl FleetNames {
    /// Describes a fleet; the flake as the screen names it.
    fn of(fleet: &Fleet, home: &str) -> Self {
        let hosts = fleet.hosts.iter().map(|host| HostName {
            name: host.name.clone(),
            tags: host.tags.clone(),
            protected: host.protected,
        });
        let tiers = fleet.tiers.iter().map(|tier| TierName {
            name: tier.name.clone(),
            kind: tier.kind.name().word().to_owned(),
            url: tier.url.clone(),
            host: tier.host.clone(),
        });
        Self {
            flake: fleet.flake.as_deref().map(|flake| shown_flake(flake, home)),
            builder: fleet.builder.clone(),
            hosts: hosts.collect(),
            tiers: tiers.collect(),
        }
    }

    /// Returns a fleet of these names, of which nothing can be reached: it is only shown.
    fn fleet(self) -> Fleet {
        let template = config::fallback();
        let host = |named: HostName| {
            let HostName { name, tags, protected } = named;
            let attribute = name.clone();
            let like = template.hosts.first().cloned();
            like.map(|like| Host { name, tags, protected, attribute, ..like })
        };
        let tier = |named: TierName| {
            // A kind of a newer nixdash is shown as any cache over HTTP.
            let kinds = KindName::ALL.into_iter();
            let kind = kinds.clone().find(|kind| kind.word() == named.kind);
            let kind = kind.unwrap_or(KindName::Http);
            Tier { host: named.host, ..Tier::new(&named.name, kind, &named.url) }
        };
        Fleet {
            flake: self.flake,
            builder: self.builder,
            hosts: self.hosts.into_iter().filter_map(host).collect(),
            tiers: self.tiers.into_iter().map(tier).collect(),
            ..template
        }
    }
}

/// Runs `nixdash runs`. With `only_looks` no host is asked what became of a run that was left.
pub(super) async fn run(
    hosts: Option<&Path>,
    args: RunsArgs,
    only_looks: bool,
) -> Result<ExitCode, CliError> {
    match args.command {
        None => {
            let fleet = load::load_saying(hosts)?;
            args.list.refuse_a_command(&fleet)?;
            history::run(fleet, &args.list, only_looks).await
        }
        Some(RunsCommand::Export(args)) => export(load::load_saying(hosts)?, &args).await,
        Some(RunsCommand::View(args)) => view(hosts, &args).await,
    }
}

/// Writes a run as a file.
async fn export(fleet: Fleet, args: &ExportArgs) -> Result<ExitCode, CliError> {
    let runs = Runs::open(&state_home())?;
    let run = find_own_run(&runs, fleet.file.as_deref(), &args.run)?;
    // A run of no file has the hosts and tiers that there are without one, and no secrets.
    let is_of_file = runs.fleet_file(&run).is_some();
    let fleet = &if is_of_file { fleet } else { config::fallback() };
    let home = std::env::var("HOME").unwrap_or_default();
    let names = serde_json::to_value(FleetNames::of(fleet, &home)).map_err(io::Error::from)?;
    if args.output.as_deref() == Some(Path::new("-")) {
        if io::stdout().is_terminal() {
            return Err(CliError::BinaryToTerminal);
        }
        let secrets = known_secrets(fleet).await;
        say_unread(&runs.export(&run, names, &secrets, io::stdout().lock()).map_err(to_output)?);
        return Ok(ExitCode::SUCCESS);
    }
    runs.check_exportable(&run)?;
    let name = || PathBuf::from(format!("nixdash-run-{run}.jsonl.gz"));
    let path = args.output.clone().unwrap_or_else(name);
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(&path);
    let file = file.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => CliError::ExportIsThere(path.clone()),
        _ => CliError::WriteExport { path: path.clone(), source },
    })?;
    let secrets = known_secrets(fleet).await;
    let written = match runs.export(&run, names, &secrets, file) {
        Ok(written) => written,
        Err(error) => {
            // A half file is no run.
            drop(std::fs::remove_file(&path));
            return Err(error.into());
        }
    };
    let size = std::fs::metadata(&path).map(|data| crate::fleet::bytes(data.len()));
    let size = size.map(|size| format!(", {size}")).unwrap_or_default();
    say_unread(&written);
    let mut out = io::stdout();
    writeln!(out, "wrote run {run} to {}: {} lines{size}", path.display(), written.lines)?;
    writeln!(out, "`nixdash runs view {}` shows it on any machine", path.display())?;
    Ok(ExitCode::SUCCESS)
}

/// Returns what went wrong with standard output: where its reader went away, no disk is to blame.
fn to_output(error: ExportError) -> CliError {
    match error {
        ExportError::Write { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => {
            CliError::Output(source)
        }
        error => error.into(),
    }
}

/// Says what of a run could not be read, and is not in its file.
fn say_unread(written: &WrittenExport) {
    for unread in &written.unread {
        tell_aside!("nixdash: {unread}; the rest of the run is in the file");
    }
}

/// Returns the secrets that the fleet names, and says which cannot be known: then only what looks like one
/// is hidden. No program is run for this, since it may ask a person or unlock something.
async fn known_secrets(fleet: &Fleet) -> KnownSecrets {
    let mut known = KnownSecrets::default();
    if fleet.trust.doubt().is_some() {
        tell_aside!(
            "nixdash: which secrets hosts.toml names is not read as long as that file is not trusted, so the \
             file hides them only where they look like one; look through the file before you pass it on"
        );
    }
    for (what, text, source) in fleet.secret_sources() {
        let read = match source {
            SecretSource::Command { .. } => Err("a program prints it".to_owned()),
            SecretSource::Env(_) | SecretSource::File(_) => {
                resolve(source).await.map_err(|error| error.to_string())
            }
        };
        let why = match (read, text) {
            (Ok(secret), SecretText::Secret) => {
                known.add(&secret);
                continue;
            }
            (Ok(netrc), SecretText::Netrc) => {
                known.add_netrc(&netrc);
                continue;
            }
            (Err(why), _) => why,
        };
        tell_aside!(
            "nixdash: {what} is not known here ({why}), so the file hides it only where it looks \
             like a secret; look through the file before you pass it on"
        );
    }
    known
}

/// Shows a run that was exported: on the screen, or as an account of how it ended.
async fn view(hosts: Option<&Path>, args: &ViewArgs) -> Result<ExitCode, CliError> {
    let folder = tempfile::tempdir()?;
    let runs = Runs::open(folder.path())?;
    let exported = runs.import(&args.file)?;
    for damage in &exported.damage {
        tell_aside!("nixdash: {} is damaged: {damage}", args.file.display());
    }
    let events = runs.decided(&exported.run);
    if args.json || !io::stdout().is_terminal() {
        return history::print_runs(&[row(&exported.run, &events)], args.json, &runs);
    }
    let mut fleet = fleet_of(&exported);
    // Only how the screen looks is taken from the fleet here; without one it looks as it does by itself.
    fleet.theme = load::load(hosts).ok().and_then(|fleet| fleet.theme);
    view_run::show_run(fleet, runs, exported).await
}

/// Returns the fleet that an exported run names; nothing for what cannot be read.
fn fleet_of(exported: &ExportedRun) -> Fleet {
    serde_json::from_value::<FleetNames>(exported.fleet.clone()).unwrap_or_default().fleet()
}

#[cfg(test)]
mod tests;
