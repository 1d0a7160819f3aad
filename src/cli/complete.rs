//! What a shell offers for half a word: the hosts, tags and tiers of the fleet that the line names.
//!
//! The shell asks nixdash itself (`nixdash completions SHELL` prints how), so a host that was added a
//! moment ago is offered too. Only hosts.toml is read; nothing that it names is run or asked.

use crate::cli::{chosen_run, load};
use crate::fleet::{Fleet, RunWhat, can_be_verified};
use crate::record::{Runs, state_home};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use std::ffi::OsString;
use std::path::PathBuf;

/// Offers what selectors may be: names, tags and `all`.
pub(super) fn selectors() -> ArgValueCandidates {
    ArgValueCandidates::new(|| fleet().map(|fleet| selector_candidates(&fleet)).unwrap_or_default())
}

/// Offers the names of hosts.
pub(super) fn hosts() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let fleet = fleet();
        let hosts = fleet.iter().flat_map(|fleet| &fleet.hosts);
        hosts.map(|host| CompletionCandidate::new(&host.name)).collect()
    })
}

/// Offers the names of protected hosts.
pub(super) fn protected() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let fleet = fleet();
        let hosts = fleet.iter().flat_map(|fleet| &fleet.hosts).filter(|host| host.protected);
        hosts.map(|host| CompletionCandidate::new(&host.name)).collect()
    })
}

/// Offers the newest runs, each with what it was for, and `last`.
pub(super) fn runs() -> ArgValueCandidates {
    ArgValueCandidates::new(|| match Runs::open(&state_home()) {
        Ok(runs) => run_candidates(&runs),
        Err(_) => Vec::new(),
    })
}

/// Offers the hosts of the run that the line names.
pub(super) fn hosts_of_run() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let named = named_run(std::env::args_os());
        let runs = Runs::open(&state_home()).ok();
        let hosts = runs.zip(named).and_then(|(runs, named)| chosen_run::host_names(&runs, &named));
        hosts.unwrap_or_default().into_iter().map(CompletionCandidate::new).collect()
    })
}

/// How many runs are offered.
const OFFERED_RUNS: usize = 20;

/// Returns the newest runs, the newest first.
fn run_candidates(runs: &Runs) -> Vec<CompletionCandidate> {
    let newest = runs.list().unwrap_or_default().into_iter().rev().take(OFFERED_RUNS);
    let mut found: Vec<CompletionCandidate> = newest
        .map(|run| {
            let title = runs.outline(&run).into_iter().find_map(|event| {
                let RunWhat::Begin { hosts, title, .. } = event.what else { return None };
                Some(format!("{title} of {}", hosts.join(", ")))
            });
            CompletionCandidate::new(&run.0).help(title.map(Into::into))
        })
        .collect();
    if !found.is_empty() {
        found.push(CompletionCandidate::new("last").help(Some("the newest run".into())));
    }
    found
}

/// Returns the run behind `logs` in a line that is being typed.
fn named_run(words: impl Iterator<Item = OsString>) -> Option<String> {
    let words = words.skip_while(|word| word != "--").skip_while(|word| word != "logs").skip(1);
    let mut words = words.filter_map(|word| word.into_string().ok());
    words.find(|word| {
        let number = word.trim_start_matches('#');
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number || word == "last"
    })
}

/// Offers the hosts of a practice fleet.
pub(super) fn lab_hosts() -> ArgValueCandidates {
    ArgValueCandidates::new(|| names(lab_host_names()))
}

/// Offers what can break in a practice fleet.
pub(super) fn lab_targets() -> ArgValueCandidates {
    ArgValueCandidates::new(|| names(lab_host_names().chain(["cache", "seaweed"])))
}

fn lab_host_names() -> impl Iterator<Item = &'static str> {
    crate::lab::names::ALL.into_iter().map(|host| host.name)
}

/// Offers the tiers of the fleet that serve nars, for a word that may be a path after one.
pub(super) fn tiers() -> ArgValueCandidates {
    ArgValueCandidates::new(|| fleet().map(|fleet| tier_candidates(&fleet)).unwrap_or_default())
}

/// Returns the tiers of which nars can be fetched whole, each with its kind and address.
fn tier_candidates(fleet: &Fleet) -> Vec<CompletionCandidate> {
    let tiers = fleet.tiers.iter().filter(|tier| can_be_verified(tier).is_ok());
    tiers
        .map(|tier| {
            let what = format!("{}, {}", tier.kind, tier.url);
            CompletionCandidate::new(&tier.name).help(Some(what.into()))
        })
        .collect()
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<CompletionCandidate> {
    names.map(CompletionCandidate::new).collect()
}

/// Returns every selector of a fleet, hosts first, each with what it is.
fn selector_candidates(fleet: &Fleet) -> Vec<CompletionCandidate> {
    let mut found = Vec::new();
    for host in &fleet.hosts {
        let addresses: Vec<String> = host.addresses.iter().map(ToString::to_string).collect();
        let where_it_is =
            if addresses.is_empty() { "this machine".to_owned() } else { addresses.join(", ") };
        found.push(CompletionCandidate::new(&host.name).help(Some(where_it_is.into())));
    }
    let mut tags: Vec<&String> = fleet.hosts.iter().flat_map(|host| &host.tags).collect();
    tags.sort();
    tags.dedup();
    for tag in tags {
        let tagged = fleet.hosts.iter().filter(|host| host.tags.contains(tag));
        let hosts = tagged.map(|host| host.name.as_str()).collect::<Vec<_>>().join(", ");
        found.push(CompletionCandidate::new(format!("@{tag}")).help(Some(hosts.into())));
    }
    if !fleet.hosts.is_empty() {
        found.push(CompletionCandidate::new("all").help(Some("every host".into())));
    }
    found
}

/// Reads the fleet that the line names; a file with mistakes offers nothing.
fn fleet() -> Option<Fleet> {
    let named = named_file(std::env::args_os());
    load::read(&load::find(named.as_deref())?).ok()
}

/// Returns the file behind `--hosts` in a line that is being typed.
fn named_file(words: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    let mut words = words.skip_while(|word| word != "--").skip(1);
    while let Some(word) = words.next() {
        if word == "--hosts" {
            return words.next().map(PathBuf::from);
        }
        if let Some(file) = word.to_str().and_then(|word| word.strip_prefix("--hosts=")) {
            return Some(PathBuf::from(file));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_the_one_that_the_line_names() {
        for (line, file) in [
            (&["nixdash", "--", "nixdash", "--hosts", "f.toml", "status", ""][..], Some("f.toml")),
            (&["nixdash", "--", "nixdash", "status", "--hosts=/a b.toml", "s"], Some("/a b.toml")),
            (&["nixdash", "--", "nixdash", "status", "--hosts"], None),
            (&["nixdash", "--hosts", "x", "--", "nixdash", "status"], None),
            (&[], None),
        ] {
            let words = line.iter().map(OsString::from);
            assert_eq!(named_file(words), file.map(PathBuf::from), "{line:?}");
        }
    }

    #[test]
    fn tiers_are_offered_that_serve_nars_to_this_machine() {
        let text = "[hosts.a]\n[[tiers]]\nname = \"weed\"\nkind = \"http\"\n\
                    url = \"http://10.0.0.5:8333\"\n[[tiers]]\nname = \"far\"\nkind = \"http\"\n\
                    url = \"http://10.0.0.6\"\nvia = \"a\"\n[[tiers]]\nname = \"store\"\n\
                    kind = \"local\"\n";
        let fleet = crate::config::parse(text, std::path::Path::new("/f"), None).unwrap();
        let found: Vec<(String, String)> = tier_candidates(&fleet)
            .iter()
            .map(|candidate| {
                let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
                (candidate.get_value().to_string_lossy().into_owned(), help)
            })
            .collect();
        let weed = ("weed".to_owned(), "http, http://10.0.0.5:8333".to_owned());
        assert_eq!(found, [weed]);
    }

    #[test]
    fn hosts_tags_and_all_are_offered_with_what_they_are() {
        let text =
            "[hosts.a]\ntags = [\"laptop\"]\n[hosts.b]\naddresses = []\ntags = [\"laptop\"]\n";
        let fleet = crate::config::parse(text, std::path::Path::new("/f"), None).unwrap();
        let found: Vec<(String, String)> = selector_candidates(&fleet)
            .iter()
            .map(|candidate| {
                let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
                (candidate.get_value().to_string_lossy().into_owned(), help)
            })
            .collect();
        let expected =
            [("a", "a"), ("b", "this machine"), ("@laptop", "a, b"), ("all", "every host")];
        assert_eq!(found, expected.map(|(value, help)| (value.to_owned(), help.to_owned())));
        assert!(selector_candidates(&Fleet { hosts: Vec::new(), ..fleet }).is_empty());
    }
}
