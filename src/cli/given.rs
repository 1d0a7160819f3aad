//! Systems that hosts are given by name, instead of those that the flake says.

use crate::cli::{CliError, history};
use crate::deploy::engine::{PlaceError, place_of};
use crate::deploy::{Failure, GivenPlace, GivenSystem};
use crate::fleet::{Code, DeployedFrom, Fleet, Host, RunEvent, RunWhat, StorePath, StorePathError};
use crate::probe::built_systems;
use crate::record::{RunRow, Runs, state_home};
use crate::remote::ScriptRunner;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// How many runs that brought a system are read for what it was built from.
const RUNS_READ: usize = 5;

/// A system that was named cannot be deployed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GivenError {
    /// The text is no path of a system.
    #[error("{0}; name a system such as /nix/store/…-nixos-system-samsung-26.05")]
    NoPath(#[from] StorePathError),
    /// The name says that it is something else.
    #[error(
        "{0} is {1}, and no system; name a system such as /nix/store/…-nixos-system-samsung-26.05"
    )]
    NoSystem(StorePath, &'static str),
    /// A system is that of one host.
    #[error(
        "a system is made for one host, and several are selected: {0}; name one of them, or leave out --to"
    )]
    Several(String),
    /// The name of the system says that it is another host's.
    #[error(
        "by its name {system} is the system of {other}, not of {host}; deploy it to {other}, or \
         build one for {host}"
    )]
    OtherHost {
        /// The system.
        system: StorePath,
        /// Whose it is.
        other: String,
        /// The host that was selected.
        host: String,
    },
    /// Nothing was built that is not deployed.
    #[error(
        "no built system of {host} waits to be deployed; build one with `nixdash build {host}`"
    )]
    NotBuilt {
        /// The host.
        host: String,
    },
    /// The host that builds was not there to ask.
    #[error(
        "it is not known what was built for {host}: its builder did not answer, or it has none; \
         see `nixdash status`"
    )]
    BuilderSilent {
        /// The host.
        host: String,
    },
    /// It is nowhere, or that could not be found out.
    #[error("{0}")]
    Place(#[from] PlaceError),
}

/// Returns what hosts are given where one system is named.
pub(super) async fn named(
    fleet: &Fleet,
    runner: &dyn ScriptRunner,
    hosts: &[String],
    path: &str,
) -> Result<BTreeMap<String, GivenSystem>, CliError> {
    let toplevel = StorePath::parse(path.trim_end_matches('/')).map_err(GivenError::NoPath)?;
    if let Some(what) = what_else(&toplevel) {
        return Err(GivenError::NoSystem(toplevel, what).into());
    }
    let [name] = hosts else { return Err(GivenError::Several(hosts.join(", ")).into()) };
    let Some(host) = fleet.host(name) else { return Ok(BTreeMap::new()) };
    if let Some(other) = other_owner(fleet, host, &toplevel) {
        let (other, host) = (other.to_owned(), name.clone());
        return Err(GivenError::OtherHost { system: toplevel, other, host }.into());
    }
    let place = place_of(fleet, runner, host, &toplevel).await.map_err(GivenError::Place)?;
    let built_from = built_in_runs(name, &toplevel);
    let given = GivenSystem { built_from, ..GivenSystem::new(toplevel, place) };
    Ok([(name.clone(), given)].into())
}

/// Returns what the runs here say that a host's system was built from.
fn built_in_runs(host: &str, system: &StorePath) -> Option<DeployedFrom> {
    let runs = Runs::open(&state_home()).ok()?;
    let names = [host.to_owned()];
    let read = history::read(|history| history.runs(&names, Timestamp::UNIX_EPOCH, usize::MAX));
    let rows = read.inspect_err(|error| tracing::debug!(%error, "earlier runs")).ok()?;
    let is_of = |row: &&RunRow| {
        let mut results = row.hosts.iter().filter_map(|(_, result)| result.as_ref());
        results.any(|result| result.toplevel.as_ref() == Some(system))
    };
    let mut with_it = rows.iter().filter(is_of).take(RUNS_READ);
    with_it.find_map(|row| built_in(&runs.decided(&row.run), host, system))
}

/// Returns what the plan of a run says that a host's system was built from.
fn built_in(events: &[RunEvent], host: &str, system: &StorePath) -> Option<DeployedFrom> {
    events.iter().find_map(|event| {
        let RunWhat::Plan { plan, .. } = &event.what else { return None };
        let mut hosts = plan.hosts.iter();
        let planned = hosts.find(|one| one.host == host && one.toplevel == *system)?;
        planned.built_from.as_ref()?.checked()
    })
}

/// Returns what a path is by its name, where that is no system. Nix writes such files beside paths.
fn what_else(path: &StorePath) -> Option<&'static str> {
    let endings = [
        (".drv", "a derivation"),
        (".lock", "a lock of Nix"),
        (".chroot", "the folder of a build"),
    ];
    let mut named = endings.into_iter().filter(|(ending, _)| path.name().ends_with(ending));
    named.next().map(|(_, what)| what)
}

/// Returns the other host of the fleet whose system this is by its name.
fn other_owner<'a>(fleet: &'a Fleet, host: &Host, system: &StorePath) -> Option<&'a str> {
    let of = system.name().strip_prefix("nixos-system-")?;
    let fits = |name: &str| of.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'));
    // One host may be called as another one begins: the longest name is meant.
    let fit = |host: &Host| {
        let names = [&host.name, &host.attribute].into_iter();
        names.filter(|name| fits(name)).map(String::len).max()
    };
    let others = fleet.hosts.iter().filter(|other| other.name != host.name);
    let named = others.filter(|other| fit(other) > fit(host)).max_by_key(|other| fit(other));
    named.map(|other| other.name.as_str())
}

/// What hosts are given, and why others are given nothing.
#[derive(Default)]
pub(super) struct GivenSystems {
    /// The systems.
    pub(super) given: BTreeMap<String, GivenSystem>,
    /// Why others get none.
    pub(super) set_aside: BTreeMap<String, Failure>,
}

/// Returns what was built for hosts and not deployed yet; fails where that is nothing at all.
pub(super) async fn built(
    fleet: &Fleet,
    runner: &dyn ScriptRunner,
    hosts: &[String],
) -> Result<GivenSystems, CliError> {
    let selected = hosts.iter().filter_map(|name| fleet.host(name));
    let mut found = built_systems(runner, fleet, selected).await;
    let mut systems = GivenSystems::default();
    let mut first = None;
    for name in hosts {
        let host = name.clone();
        let error = match found.remove(name) {
            None => GivenError::BuilderSilent { host },
            Some(None) => GivenError::NotBuilt { host },
            Some(Some(system)) => {
                let system = GivenSystem::new(system.toplevel, GivenPlace::Builder);
                systems.given.insert(host, system);
                continue;
            }
        };
        let failure = Failure::failed(Code::NotBuilt, error.to_string());
        systems.set_aside.insert(name.clone(), failure);
        first.get_or_insert(error);
    }
    match first {
        Some(error) if systems.given.is_empty() => Err(error.into()),
        Some(_) | None => Ok(systems),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_system_by_its_name_is_refused() {
        for (name, what) in [
            ("nixos-system-samsung-26.05.drv", Some("a derivation")),
            ("less-695.lock", Some("a lock of Nix")),
            ("nixos-system-samsung-26.05.drv.chroot", Some("the folder of a build")),
            ("nixos-system-samsung-26.05", None),
        ] {
            let path = format!("l0znnv1nxsr0ry7gmadkh49s1d0hycgd-{name}");
            assert_eq!(what_else(&StorePath::from_base_name(&path).unwrap()), what);
        }
    }

    #[test]
    fn the_system_of_another_host_is_refused_by_its_name() {
        let text =
            "[hosts.p62]\n[hosts.p620]\n[hosts.p620-b]\n[hosts.samsung]\nattribute = \"galaxy\"\n";
        let fleet = crate::config::parse(text, std::path::Path::new("hosts.toml"), None).unwrap();
        let of = |host: &str, name: &str| {
            let hash = "l0znnv1nxsr0ry7gmadkh49s1d0hycgd";
            let system = StorePath::from_base_name(&format!("{hash}-{name}")).unwrap();
            other_owner(&fleet, fleet.host(host).unwrap(), &system)
        };
        assert_eq!(of("samsung", "nixos-system-p620-26.05"), Some("p620"));
        assert_eq!(of("p62", "nixos-system-p620-26.05"), Some("p620"));
        assert_eq!(of("p620", "nixos-system-p620-26.05"), None);
        assert_eq!(of("p620", "nixos-system-p620-b-26.05"), Some("p620-b"));
        assert_eq!(of("p620-b", "nixos-system-p620-b-26.05"), None);
        assert_eq!(of("p620-b", "nixos-system-p620-26.05"), Some("p620"));
        assert_eq!(of("samsung", "nixos-system-galaxy-26.05"), None, "its attribute's name");
        assert_eq!(of("p620", "nixos-system-galaxy-26.05"), Some("samsung"));
        assert_eq!(of("samsung", "nixos-system-nixos-26.05"), None, "nobody's name says nothing");
    }
}
