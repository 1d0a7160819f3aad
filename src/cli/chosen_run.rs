//! Which run and which of its hosts are meant.

use crate::cli::CliError;
use crate::fleet::{RunEvent, RunId, RunWhat};
use crate::record::{RecordError, Runs};
use std::path::{Path, PathBuf};

/// What is asked for is not there.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// What was given names no run.
    #[error(
        "{0:?} is not the number of a run; `nixdash logs` lists the runs with their numbers, and last is the newest"
    )]
    Unreadable(String),
    /// There is no run at all.
    #[error("there are no runs here yet; `nixdash build` and `nixdash deploy` begin one")]
    Empty,
    /// There is no such run.
    #[error("there is no run {run}: {}; `nixdash logs` lists them", known(oldest, newest))]
    MissingRun {
        /// The run.
        run: RunId,
        /// The oldest run there is.
        oldest: RunId,
        /// The newest run there is.
        newest: RunId,
    },
    /// No run is of the fleet that was read.
    #[error(
        "{}; `nixdash logs` lists the runs, and a run of another hosts.toml needs \
         --hosts FILE", none_of(fleet.as_deref())
    )]
    NoneOfFleet {
        /// The file of the fleet that was read; none where there is none.
        fleet: Option<PathBuf>,
    },
    /// The run is of another fleet, and only that one's file tells which secrets it may hold.
    #[error("run {run} belongs to {}, which names the secrets that must be hidden: {}", fleet.display(), read_it(fleet))]
    OtherFleet {
        /// The run.
        run: RunId,
        /// The file of its fleet.
        fleet: PathBuf,
    },
    /// The run has no such host.
    #[error("run {run} has no host {host}; {}", those(hosts))]
    MissingHost {
        /// The run.
        run: RunId,
        /// The host.
        host: String,
        /// The hosts it has.
        hosts: Vec<String>,
    },
}

/// A run, and the hosts whose logs are wanted.
#[derive(Debug)]
pub(super) struct ChosenRun {
    /// The run.
    pub(super) run: RunId,
    /// The hosts that were named; none where all are meant.
    named: Vec<String>,
    /// The hosts that the run has.
    known: Vec<String>,
    /// Whether no more hosts will come to be known.
    pub(super) has_all_hosts: bool,
}

impl ChosenRun {
    /// Finds the run of a number, or the newest for `last`, and checks that it has these hosts.
    pub(super) fn find(runs: &Runs, text: &str, named: &[String]) -> Result<Self, CliError> {
        let run = find_run(runs, text)?;
        let (known, has_all_hosts) = hosts_of(runs, &run);
        let is_missing = |host: &&String| has_all_hosts && !known.contains(host);
        if let Some(host) = named.iter().find(is_missing) {
            let host = host.clone();
            return Err(LogsError::MissingHost { run, host, hosts: known }.into());
        }
        let mut chosen = Self { run, named: Vec::new(), known, has_all_hosts };
        for host in named {
            if !chosen.named.contains(host) {
                chosen.named.push(host.clone());
            }
        }
        Ok(chosen)
    }

    /// Returns how wide hosts' names are before lines; none where one host alone is meant.
    pub(super) fn name_width(&self) -> Option<usize> {
        let hosts = if self.named.is_empty() { &self.known } else { &self.named };
        let is_alone = hosts.len() == 1 && (self.has_all_hosts || !self.named.is_empty());
        (!is_alone).then(|| hosts.iter().map(|host| host.chars().count()).max().unwrap_or(0))
    }

    /// Returns the hosts whose logs are wanted, as far as they are known now.
    pub(super) fn hosts_now(&self, runs: &Runs) -> Vec<String> {
        match (self.named.is_empty(), self.has_all_hosts) {
            (false, _) => self.named.clone(),
            (true, true) => self.known.clone(),
            (true, false) => hosts_of(runs, &self.run).0,
        }
    }

    /// Returns the results of those of the hosts that failed.
    pub(super) fn results(&self, runs: &Runs) -> Vec<RunEvent> {
        self.outline(runs, |what| match what {
            RunWhat::Result { host, result } if !result.outcome.is_good() => Some(host),
            _ => None,
        })
    }

    /// Returns what the builds for the hosts came to.
    pub(super) fn builds(&self, runs: &Runs) -> Vec<RunEvent> {
        self.outline(runs, |what| match what {
            RunWhat::Builds { host, .. } => Some(host),
            _ => None,
        })
    }

    /// Returns the events about the hosts that `host_of` wants: it names the host of one.
    fn outline(&self, runs: &Runs, host_of: impl Fn(&RunWhat) -> Option<&String>) -> Vec<RunEvent> {
        let is_meant = |host: &String| self.named.is_empty() || self.named.contains(host);
        let mut events = runs.outline(&self.run);
        events.retain(|event| host_of(&event.what).is_some_and(is_meant));
        events
    }
}

/// Returns the hosts of the run that a word means; none where there is no such run.
pub(super) fn host_names(runs: &Runs, run: &str) -> Option<Vec<String>> {
    ChosenRun::find(runs, run, &[]).ok().map(|chosen| chosen.known)
}

/// Returns the hosts of a run: those that it began with, then others that have a log there. And whether
/// these are all: its beginning is known, or its process is gone.
fn hosts_of(runs: &Runs, run: &RunId) -> (Vec<String>, bool) {
    let begun = runs.begun_hosts(run);
    let has_begun = begun.is_some();
    let mut hosts = begun.unwrap_or_default();
    for (host, _) in runs.log_sizes(run) {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    (hosts, has_begun || !runs.is_alive(run))
}

/// Returns the runs that were begun, oldest first.
pub(super) fn begun(runs: &Runs) -> Result<Vec<RunId>, RecordError> {
    let mut all = runs.list()?;
    all.retain(|run| !runs.is_reserved(run));
    Ok(all)
}

/// Returns the run of a number, or the newest.
pub(super) fn find_run(runs: &Runs, text: &str) -> Result<RunId, CliError> {
    let number = text.trim_start_matches('#');
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number && text != "last" {
        return Err(LogsError::Unreadable(text.to_owned()).into());
    }
    let mut all = begun(runs)?;
    let (Some(oldest), Some(newest)) = (all.first().cloned(), all.pop()) else {
        return Err(LogsError::Empty.into());
    };
    if text == "last" || newest.0 == number {
        return Ok(newest);
    }
    let run = RunId(number.to_owned());
    if all.contains(&run) {
        Ok(run)
    } else {
        Err(LogsError::MissingRun { run, oldest, newest }.into())
    }
}

/// Returns the run of a number that belongs to a fleet or to no file, or the newest of that fleet.
pub(super) fn find_own_run(
    runs: &Runs,
    fleet: Option<&Path>,
    text: &str,
) -> Result<RunId, CliError> {
    if text == "last" {
        let newest = begun(runs)?.into_iter().rev().find(|run| runs.belongs_to(run, fleet));
        let fleet = fleet.map(Path::to_path_buf);
        return Ok(newest.ok_or(LogsError::NoneOfFleet { fleet })?);
    }
    let run = find_run(runs, text)?;
    match runs.fleet_file(&run) {
        Some(other) if !runs.belongs_to(&run, fleet) => {
            Err(LogsError::OtherFleet { run, fleet: other }.into())
        }
        Some(_) | None => Ok(run),
    }
}

/// Says that there is no run of the fleet that was read.
fn none_of(file: Option<&Path>) -> String {
    match file {
        Some(file) => format!("no run here belongs to {}", file.display()),
        None => "no run here was made without a hosts.toml".to_owned(),
    }
}

/// Says how the file of another fleet is read.
fn read_it(file: &Path) -> String {
    let option = format!("add --hosts {}", file.display());
    if file.is_file() {
        option
    } else {
        format!("it is not there any more; put it back and {option}")
    }
}

/// Says which runs there are.
fn known(oldest: &RunId, newest: &RunId) -> String {
    if oldest == newest {
        format!("there is only run {newest}")
    } else {
        format!("the runs have numbers from {oldest} to {newest}")
    }
}

/// Says which hosts there are.
fn those(hosts: &[String]) -> String {
    if hosts.is_empty() { "it has none".to_owned() } else { format!("it has {}", hosts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_run_of_another_hosts_toml_is_not_taken_for_one_of_this_fleet() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let (ours, other) = (dir.path().join("ours.toml"), dir.path().join("other.toml"));
        let begin = |fleet: Option<&Path>| runs.begin(fleet).unwrap().run().clone();
        let refused = |fleet: Option<&Path>, text: &str| {
            find_own_run(&runs, fleet, text).unwrap_err().to_string()
        };
        fs::write(&other, "").unwrap();
        let of_other = begin(Some(&other));
        let said = refused(Some(&ours), "last");
        assert!(said.contains(&format!("no run here belongs to {}", ours.display())), "{said}");
        assert!(refused(None, "last").contains("no run here was made without a hosts.toml"));
        let own = begin(Some(&ours));
        let newest = begin(Some(&other));
        let found = |fleet: Option<&Path>, text: &str| find_own_run(&runs, fleet, text).unwrap();
        assert_eq!((found(Some(&ours), "last"), found(Some(&other), "last")), (own, newest));
        for fleet in [Some(ours.as_path()), None] {
            let said = refused(fleet, &of_other.0);
            assert!(said.ends_with(&format!("add --hosts {}", other.display())), "{said}");
        }
        // Without a file there are no secrets, so whoever asks may have it.
        let of_none = begin(None);
        assert_eq!(found(Some(&ours), &of_none.0), of_none);
        assert_eq!(found(None, "last"), of_none);
        fs::remove_file(&other).unwrap();
        let said = refused(Some(&ours), &of_other.0);
        assert!(said.contains("it is not there any more; put it back"), "{said}");
    }
}
