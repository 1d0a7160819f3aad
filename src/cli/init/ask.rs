//! Asks the hosts that are proposed what they are and which caches they use, and completes the
//! proposal with what they say.

use crate::cli::init::join::{Builder, Proposal};
use crate::cli::init::tiers::{AskedHost, ProposedTier, tiers};
use crate::fleet::Fleet;
use crate::nix::settings::bare_url;
use crate::probe::{HostCaches, host_caches};
use crate::remote::{Remote, RemoteError};
use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Hosts that are asked at once.
const WIDTH: usize = 16;

/// What each host said, or why it said nothing: the cause and what to do, in one sentence.
pub(super) type SaidByHosts = BTreeMap<String, Result<HostCaches, String>>;

/// Asks every host of a fleet once.
pub(super) async fn ask(fleet: &Arc<Fleet>) -> SaidByHosts {
    let runner = Remote::new(Arc::clone(fleet));
    let one = |name: &str| {
        let (runner, name) = (runner.clone(), name.to_owned());
        async move {
            let said = host_caches(&runner, &name, Timestamp::now()).await;
            (name, said.map_err(|error| words(&error)))
        }
    };
    let looks: Vec<_> = fleet.hosts.iter().map(|host| one(&host.name)).collect();
    let said = stream::iter(looks).buffer_unordered(WIDTH).collect().await;
    runner.close().await;
    said
}

/// Says why a host did not answer and what to do, without its name.
fn words(error: &RemoteError) -> String {
    if error.hint.is_empty() {
        error.cause.clone()
    } else {
        format!("{}; {}", error.cause, error.hint)
    }
}

/// Completes a proposal with what hosts said, for a file whose fleet has what is in it already.
/// Returns what could not be found out, in whole sentences.
pub(super) fn complete(
    proposal: &mut Proposal,
    fleet: &Fleet,
    places: &BTreeMap<String, Vec<String>>,
    said: &SaidByHosts,
) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, said) in said {
        match said {
            Err(cause) => problems.push(format!("{name} did not answer: {cause}")),
            Ok(HostCaches { error: Some(cause), .. }) => problems.push(format!(
                "The caches of {name} are not known, because its Nix did not say its settings: {cause}."
            )),
            Ok(_) => {}
        }
    }
    complete_hosts(proposal, said);
    let asked: Vec<AskedHost<'_>> = said
        .iter()
        .map(|(name, said)| AskedHost {
            name,
            places: places
                .get(name)
                .into_iter()
                .flatten()
                .map(String::as_str)
                .chain(written(fleet, name))
                .collect(),
            said: said.as_ref().ok(),
        })
        .collect();
    let (tiers, notes) = tiers(&asked);
    proposal.notes.extend(notes);
    let is_there = |tier: &ProposedTier| {
        fleet.tiers.iter().any(|known| bare_url(&known.url) == bare_url(&tier.url))
    };
    proposal.tiers = tiers.into_iter().filter(|tier| !is_there(tier)).collect();
    for at in 0..proposal.tiers.len() {
        let before = proposal.tiers[..at].iter().map(|tier| tier.name.clone());
        let taken: Vec<String> =
            fleet.tiers.iter().map(|tier| tier.name.clone()).chain(before).collect();
        let tier = &mut proposal.tiers[at];
        tier.name = super::tiers::free_name(&tier.name, &taken);
    }
    proposal.builder = builder(&proposal.tiers);
    proposal.strongest = strongest(said);
    problems
}

/// Returns the addresses that the file has for a host.
fn written<'f>(fleet: &'f Fleet, host: &str) -> impl Iterator<Item = &'f str> {
    let addresses = fleet.host(host).into_iter().flat_map(|host| &host.addresses);
    addresses.map(|address| address.host.as_str())
}

/// Adds to the hosts what they said. Without a flake, only what answers as a NixOS is a host.
fn complete_hosts(proposal: &mut Proposal, said: &SaidByHosts) {
    let has_flake = proposal.flake.is_some();
    let mut others = Vec::new();
    proposal.hosts.retain_mut(|host| {
        match said.get(&host.name) {
            Some(Ok(said)) if said.is_nixos || has_flake => {
                host.system = said.system.clone().or(host.system.take());
                if !said.is_nixos {
                    host.notes.push("It does not run NixOS yet.".to_owned());
                }
            }
            Some(Err(_)) if has_flake => host.notes.push(
                "It did not answer when this was written, so its system and its caches are not known."
                    .to_owned(),
            ),
            Some(_) => {
                others.push(host.name.clone());
                return false;
            }
            None => {}
        }
        true
    });
    if !others.is_empty() {
        proposal.notes.push(format!(
            "{} did not answer as a NixOS machine and is left out. Add [hosts.NAME] for one that is to \
             be watched.",
            others.join(", ")
        ));
    }
}

/// Returns the host that builds: the only one that serves its store with a key that hosts trust.
fn builder(tiers: &[ProposedTier]) -> Option<Builder> {
    let mut serving =
        tiers.iter().filter(|tier| tier.public_key.is_some()).filter_map(|tier| tier.host.clone());
    match (serving.next(), serving.next()) {
        (Some(host), None) => Some(Builder {
            note: format!(
                "{host} builds for the others, because it is the only host that serves its store."
            ),
            serves: true,
            host,
        }),
        _ => None,
    }
}

/// Returns the host with the most processors, and how many they are; nothing where several have as
/// many.
fn strongest(said: &SaidByHosts) -> Option<(String, u32)> {
    let cpus = |(name, said): (&String, &Result<HostCaches, String>)| {
        Some((name.clone(), said.as_ref().ok()?.cpus?))
    };
    let all: Vec<(String, u32)> = said.iter().filter_map(cpus).collect();
    let most = all.iter().map(|(_, cpus)| *cpus).max()?;
    let mut strongest = all.into_iter().filter(|(_, cpus)| *cpus == most);
    strongest.next().filter(|_| strongest.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::init::join::ProposedHost;
    use crate::config;
    use crate::nix::signature::parse_public_key;
    use std::path::Path;

    fn fleet(text: &str) -> Fleet {
        config::parse(text, Path::new("/f/hosts.toml"), None).unwrap()
    }

    fn said() -> SaidByHosts {
        let key = "p620-1:MOYk7cam7pmSQgkAgHCqQVzYsjyi9d862m06xgAkwBk=";
        let p620 = HostCaches {
            is_nixos: true,
            system: Some("x86_64-linux".to_owned()),
            cpus: Some(16),
            servers: vec!["harmonia".to_owned()],
            ..HostCaches::default()
        };
        let razer = HostCaches {
            caches: vec!["http://10.0.0.2:5000".to_owned()],
            keys: vec![parse_public_key(key).unwrap()],
            servers: Vec::new(),
            cpus: Some(4),
            ..p620.clone()
        };
        let nas = Err("No route to host; is it up?".to_owned());
        SaidByHosts::from([
            ("p620".to_owned(), Ok(p620)),
            ("razer".to_owned(), Ok(razer)),
            ("nas".to_owned(), nas),
        ])
    }

    fn proposal(flake: Option<&str>) -> Proposal {
        let host =
            |name: &&str| ProposedHost { name: (*name).to_owned(), ..ProposedHost::default() };
        Proposal {
            flake: flake.map(str::to_owned),
            hosts: ["nas", "p620", "razer"].iter().map(host).collect(),
            ..Proposal::default()
        }
    }

    fn places() -> BTreeMap<String, Vec<String>> {
        BTreeMap::from([("p620".to_owned(), vec!["10.0.0.2".to_owned()])])
    }

    #[test]
    fn hosts_say_their_system_and_their_caches_and_who_is_silent_is_named() {
        let mut proposal = proposal(Some("."));
        let problems = complete(&mut proposal, &fleet(""), &places(), &said());
        assert_eq!(problems, ["nas did not answer: No route to host; is it up?"]);
        assert!(proposal.hosts[0].notes[0].starts_with("It did not answer"));
        assert_eq!(proposal.hosts[1].system.as_deref(), Some("x86_64-linux"));
        let tier = &proposal.tiers[0];
        assert_eq!((tier.kind, tier.host.as_deref()), ("harmonia", Some("p620")));
        let builder = proposal.builder.unwrap();
        assert!(builder.serves && builder.host == "p620");
        assert_eq!(proposal.strongest, Some(("p620".to_owned(), 16)));
    }

    #[test]
    fn without_a_flake_only_a_nixos_that_answers_is_a_host() {
        let mut proposal = proposal(None);
        complete(&mut proposal, &fleet(""), &places(), &said());
        assert_eq!(proposal.hosts.len(), 2);
        assert!(proposal.notes[0].starts_with("nas did not answer as a NixOS machine"));
    }

    #[test]
    fn a_cache_is_that_of_the_host_with_the_address_in_the_file() {
        let text = "[hosts.p620]\naddresses = [\"root@10.0.0.2\"]\n";
        let mut proposal = proposal(Some("."));
        complete(&mut proposal, &fleet(text), &BTreeMap::new(), &said());
        assert_eq!(proposal.tiers[0].host.as_deref(), Some("p620"));
    }

    #[test]
    fn a_tier_of_the_file_is_not_added_again() {
        let text = "[[tiers]]\nname = \"p620\"\nkind = \"http\"\nurl = \"http://10.0.0.2:5000/\"\n";
        let mut proposal = proposal(Some("."));
        complete(&mut proposal, &fleet(text), &places(), &said());
        assert!(proposal.tiers.is_empty(), "{:?}", proposal.tiers);
    }
}
