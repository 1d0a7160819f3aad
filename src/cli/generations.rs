//! `nixdash generations`: the systems that a host can go back to, and what differs between two.

use crate::cli::status::{interrupted, or_unknown, table};
use crate::cli::{CliError, EXIT_FAILED, EXIT_INTERRUPTED, complete, wait};
use crate::fleet::words::changes as words;
use crate::fleet::words::deploys::short_revision;
use crate::fleet::{
    Fleet, Generation, GenerationMark, Generations, RestartReason, StorePath, SystemChanges, bytes,
    select,
};
use crate::probe::{Comparison, compare_systems, generations, restart_reasons};
use crate::remote::{Remote, RemoteError, ScriptRunner};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::io::Write;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

/// Arguments of `nixdash generations`.
#[derive(Debug, Args)]
pub(super) struct GenerationsArgs {
    /// The host
    #[arg(value_name = "HOST", add = complete::hosts())]
    host: String,
    /// Prints one JSON document
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: Option<GenerationsCommand>,
}

#[derive(Debug, Subcommand)]
enum GenerationsCommand {
    /// Says what differs between two generations: versions, what is added and removed, sizes
    Diff {
        /// A number, or running, booted, next
        #[arg(value_name = "A")]
        old: WantedGeneration,
        /// A number, or running, booted, next
        #[arg(value_name = "B")]
        new: WantedGeneration,
    },
}

/// A generation as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WantedGeneration {
    Number(u64),
    Running,
    Booted,
    Next,
}

impl FromStr for WantedGeneration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "running" => Ok(Self::Running),
            "booted" => Ok(Self::Booted),
            "next" => Ok(Self::Next),
            number => number
                .parse()
                .map(Self::Number)
                .map_err(|_| "it is a number, or running, booted, next".to_owned()),
        }
    }
}

impl WantedGeneration {
    /// Returns the system that is meant, with what it is called.
    fn find(self, host: &str, found: &Generations) -> Result<(String, StorePath), CliError> {
        let (name, system) = match self {
            Self::Number(number) => {
                let target = found.rollback_target(host, Some(number))?;
                (format!("generation {number}"), Some(target.system))
            }
            Self::Running => ("the running system".to_owned(), found.running.clone()),
            Self::Booted => ("the booted system".to_owned(), found.booted.clone()),
            Self::Next => ("what boots next".to_owned(), found.next_boot.system.clone()),
        };
        match system {
            Some(system) => Ok((name, system)),
            None => Err(CliError::GenerationUnknown { host: host.to_owned(), name }),
        }
    }
}

/// What `generations HOST --json` prints.
#[derive(Serialize)]
struct GenerationsJson<'a> {
    host: &'a str,
    running: Option<&'a StorePath>,
    booted: Option<&'a StorePath>,
    /// What starts at the next boot; null where the boot loader could not be read.
    next_boot: Option<&'a StorePath>,
    /// What pins that choice.
    next_boot_pinned: Option<&'a str>,
    generations: Vec<GenerationJson<'a>>,
}

#[derive(Serialize)]
struct GenerationJson<'a> {
    generation: u64,
    made_at: Timestamp,
    system: &'a StorePath,
    nixos_version: Option<&'a str>,
    kernel: Option<&'a str>,
    revision: Option<&'a str>,
    /// What a run took back, or what failed there; null where neither is known.
    mark: Option<&'a GenerationMark>,
    specialisations: Vec<&'a str>,
    bytes: Option<u64>,
    running: bool,
    booted: bool,
    /// Null where it is not known what boots next.
    next_boot: Option<bool>,
}

/// What `generations HOST diff A B --json` prints.
#[derive(Serialize)]
struct DiffJson<'a> {
    host: &'a str,
    from: &'a StorePath,
    to: &'a StorePath,
    #[serde(flatten)]
    changes: &'a SystemChanges,
    /// By how many bytes the closure grows.
    bytes_grown: Option<i64>,
    /// What only a restart from the one into the other brings.
    restart: &'a [RestartReason],
}

pub(super) async fn run(fleet: Fleet, args: GenerationsArgs) -> Result<ExitCode, CliError> {
    let host = one_host(&fleet, &args.host)?;
    let runner = Remote::new(Arc::new(fleet));
    let what = format!("waiting for {host} to list its generations …");
    let work = look(&runner, &host, &args);
    let done = tokio::select! {
        done = wait::saying(&what, work) => done,
        () = interrupted() => {
            runner.close().await;
            return Ok(ExitCode::from(EXIT_INTERRUPTED));
        }
    };
    runner.close().await;
    let text = match done {
        Ok(text) => text?,
        Err(error) => {
            // Standard error may be gone; the exit code says it too.
            drop(writeln!(std::io::stderr(), "nixdash: {error}"));
            return Ok(ExitCode::from(EXIT_FAILED));
        }
    };
    write!(std::io::stdout().lock(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the name of the one host that is meant.
pub(super) fn one_host(fleet: &Fleet, name: &str) -> Result<String, CliError> {
    let found = select(fleet, &[name.to_owned()])?;
    match <[String; 1]>::try_from(found) {
        Ok([host]) => Ok(host),
        Err(several) => Err(CliError::SeveralHosts(several.join(", "))),
    }
}

/// Asks the host and returns what is printed; the outer error is that of the connection.
async fn look(
    runner: &dyn ScriptRunner,
    host: &str,
    args: &GenerationsArgs,
) -> Result<Result<String, CliError>, RemoteError> {
    let found = generations(runner, host).await?;
    let Some(GenerationsCommand::Diff { old, new }) = &args.what else {
        return Ok(if args.json {
            pretty(&generations_json(host, &found))
        } else {
            Ok(list_text(&found, &TimeZone::system()))
        });
    };
    let (old, new) = match (old.find(host, &found), new.find(host, &found)) {
        (Ok(old), Ok(new)) => (old, new),
        (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
    };
    let compared = compare_systems(runner, host, &old.1, &new.1).await?;
    let restart = restart_reasons(&compared.before, &compared.after);
    Ok(match compared.paths {
        None => Err(CliError::GenerationUnknown { host: host.to_owned(), name: old.0 }),
        Some(compared) if args.json => pretty(&DiffJson {
            host,
            from: &old.1,
            to: &new.1,
            changes: &compared.changes,
            bytes_grown: compared.changes.growth(),
            restart: &restart,
        }),
        Some(compared) => {
            let title = format!("{host}: {} → {}", old.0, new.0);
            Ok(diff_text(title, &compared.changes, &restart))
        }
    })
}

/// Returns what differs between two systems of a host, as lines, or why that is not known.
pub(super) async fn difference(
    runner: &dyn ScriptRunner,
    host: &str,
    old: &StorePath,
    new: &StorePath,
) -> Result<Vec<String>, String> {
    let compared = compare_systems(runner, host, old, new).await;
    let compared = compared.map_err(|error| error.to_string())?;
    let restart = restart_reasons(&compared.before, &compared.after);
    let Some(Comparison { changes, .. }) = compared.paths else {
        return Err(format!("{host} does not have both systems any more"));
    };
    let mut lines = words::package_lines(&changes);
    lines.push(words::summary(&changes));
    lines.extend(words::restart(&restart));
    Ok(lines)
}

/// Returns a document as it is printed.
fn pretty(document: &impl Serialize) -> Result<String, CliError> {
    let text = serde_json::to_string_pretty(document).map_err(std::io::Error::from)?;
    Ok(format!("{text}\n"))
}

fn generations_json<'a>(host: &'a str, found: &'a Generations) -> GenerationsJson<'a> {
    let next = found.next_number();
    let is_known = found.next_boot.system.is_some();
    let one = |generation: &'a Generation| GenerationJson {
        generation: generation.number,
        made_at: generation.made_at,
        system: &generation.system,
        nixos_version: generation.nixos_version.as_deref(),
        kernel: generation.kernel.as_deref(),
        revision: generation.revision.as_deref(),
        mark: generation.mark.as_ref(),
        specialisations: generation.specialisations.keys().map(String::as_str).collect(),
        bytes: generation.bytes,
        running: found.running_number() == Some(generation.number),
        booted: found.booted_number() == Some(generation.number),
        next_boot: is_known.then_some(next == Some(generation.number)),
    };
    GenerationsJson {
        host,
        running: found.running.as_ref(),
        booted: found.booted.as_ref(),
        next_boot: found.next_boot.system.as_ref(),
        next_boot_pinned: found.next_boot.pinned.as_deref(),
        generations: found.all.iter().map(one).collect(),
    }
}

/// Returns generations as a table, the oldest first, and below it what is worth knowing.
fn list_text(found: &Generations, zone: &TimeZone) -> String {
    if found.all.is_empty() {
        return "no generations: the host has no system profile\n".to_owned();
    }
    let head = ["GENERATION", "MADE", "NIXOS", "KERNEL", "REVISION", "SIZE", "IN USE"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(found.all.iter().map(|one| {
        let revision = one.revision.as_deref().map(short_revision);
        let mut uses = words::in_use(found, one.number);
        if !one.specialisations.is_empty() {
            let names: Vec<&str> = one.specialisations.keys().map(String::as_str).collect();
            let also = format!("specialisations: {}", names.join(", "));
            uses = if uses.is_empty() { also } else { format!("{uses}; {also}") };
        }
        vec![
            one.number.to_string(),
            one.made_at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
            or_unknown(one.nixos_version.clone()),
            or_unknown(one.kernel.clone()),
            or_unknown(revision),
            or_unknown(one.bytes.map(bytes)),
            uses,
        ]
    }));
    let mut text = table(&rows);
    for note in words::notes(found) {
        text.push_str(&note);
        text.push('\n');
    }
    text
}

/// Returns a difference as lines.
fn diff_text(title: String, changes: &SystemChanges, restart: &[RestartReason]) -> String {
    let mut lines = vec![title];
    lines.extend(words::package_lines(changes));
    lines.push(words::summary(changes));
    lines.extend(words::restart(restart));
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::BootChoice;
    use std::collections::BTreeMap;

    fn path(name: &str) -> StorePath {
        StorePath::from_base_name(&format!("l0znnv1nxsr0ry7gmadkh49s1d0hycgd-{name}")).unwrap()
    }

    fn found() -> Generations {
        let one = |number, system: &str| Generation {
            number,
            made_at: Timestamp::UNIX_EPOCH,
            system: path(system),
            nixos_version: Some(format!("26.05.{number}")),
            kernel: Some("6.12.58".to_owned()),
            revision: None,
            mark: None,
            specialisations: BTreeMap::new(),
            bytes: Some(7_900_000_000),
        };
        let specialisations = [("gaming".to_owned(), path("c-gaming"))].into();
        let gaming = Generation { specialisations, ..one(12, "c") };
        let mark = GenerationMark::parse("withdrawn\t9\tme@desk\t1700000000");
        Generations {
            all: vec![Generation { bytes: None, mark, ..one(7, "a") }, one(9, "b"), gaming],
            running: Some(path("b")),
            booted: Some(path("a")),
            profile: Some(12),
            next_boot: BootChoice { system: Some(path("c")), pinned: None },
        }
    }

    #[test]
    fn generations_are_a_table_that_says_which_is_in_use_for_what() {
        insta::assert_snapshot!(list_text(&found(), &TimeZone::UTC), @"
        GENERATION  MADE              NIXOS     KERNEL   REVISION  SIZE     IN USE
        7           1970-01-01 00:00  26.05.7   6.12.58  –         –        booted, withdrawn in run 9 of me@desk
        9           1970-01-01 00:00  26.05.9   6.12.58  –         7.90 GB  running
        12          1970-01-01 00:00  26.05.12  6.12.58  –         7.90 GB  next boot; specialisations: gaming
        ");
    }

    #[test]
    fn what_is_not_known_of_the_next_boot_is_said_and_null_in_json() {
        let unknown = Generations { next_boot: BootChoice::default(), ..found() };
        let text = list_text(&unknown, &TimeZone::UTC);
        assert!(text.contains("what starts at the next boot is not known"), "{text}");
        let json = serde_json::to_value(generations_json("samsung", &unknown)).unwrap();
        assert_eq!(json["generations"][0]["next_boot"], serde_json::Value::Null);
        let json = serde_json::to_value(generations_json("samsung", &found())).unwrap();
        assert_eq!(json["generations"][2]["next_boot"], true);
        assert_eq!(json["generations"][1]["next_boot"], false);
    }

    #[test]
    fn a_generation_is_a_number_or_a_word() {
        let found = found();
        let name = |text: &str| {
            let wanted: WantedGeneration = text.parse().unwrap();
            wanted.find("samsung", &found).map(|(_, system)| system)
        };
        assert_eq!(name("7").unwrap(), path("a"));
        assert_eq!(name("running").unwrap(), path("b"));
        assert_eq!(name("next").unwrap(), path("c"));
        assert!(name("8").unwrap_err().to_string().contains("it has 7, 9 and 12"));
        assert!("newest".parse::<WantedGeneration>().is_err());
    }
}
