//! Joins what was found into what is proposed for `hosts.toml`: one host per name.
//!
//! Pure. What is not known for sure becomes a sentence, which the file has as a comment.

use crate::cli::init::machine::ThisMachine;
use crate::config;
use serde::Serialize;

/// What was found, each by its source.
#[derive(Debug, Default, Serialize)]
pub(super) struct FoundSources {
    /// The flake as `hosts.toml` names it; none where there is none.
    pub(super) flake: Option<String>,
    /// The names of its configurations.
    pub(super) configurations: Vec<String>,
    /// This machine.
    pub(super) machine: ThisMachine,
    /// What could not be found out: the cause and what to do, in whole sentences.
    pub(super) problems: Vec<String>,
}

/// What is proposed for the file.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Proposal {
    /// The flake; none where there is none.
    pub(super) flake: Option<String>,
    /// The hosts, by their name.
    pub(super) hosts: Vec<ProposedHost>,
    /// What is not in the file, and why, in whole sentences.
    pub(super) notes: Vec<String>,
}

/// A host that is proposed.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct ProposedHost {
    pub(super) name: String,
    /// Where it is reached: none stands for its name, an empty list for this machine.
    pub(super) addresses: Option<Vec<String>>,
    /// Its system; none where that is not known.
    pub(super) system: Option<String>,
    /// What a person should know of it, in whole sentences.
    pub(super) notes: Vec<String>,
}

/// Joins what was found.
pub(super) fn join(found: &FoundSources) -> Proposal {
    let mut proposal = Proposal { flake: found.flake.clone(), ..Proposal::default() };
    for name in names(found) {
        match config::mistake_in_name(&name) {
            Some(mistake) => proposal.notes.push(format!(
                "The configuration {name:?} is left out, because a host cannot be called so: \
                 {mistake}."
            )),
            None => proposal.hosts.push(host(found, name)),
        }
    }
    if found.flake.is_none() {
        proposal.notes.push(
            "No flake was found, so nothing can be deployed yet. Add flake = \"FOLDER\" to [fleet], \
             where FOLDER has the flake.nix with nixosConfigurations."
                .to_owned(),
        );
    }
    proposal
}

/// Returns the names of all hosts, each once, in their order.
fn names(found: &FoundSources) -> Vec<String> {
    let mut names = found.configurations.clone();
    if names.is_empty() && found.machine.is_nixos {
        names.extend(found.machine.name.clone());
    }
    names.sort();
    names.dedup();
    names
}

/// Joins what is known of one host.
fn host(found: &FoundSources, name: String) -> ProposedHost {
    let mut host = ProposedHost { name, ..ProposedHost::default() };
    if found.machine.is(&host.name) {
        host.addresses = Some(Vec::new());
        host.system = Some(found.machine.system.clone());
        host.notes
            .push("This machine has the same name, so nixdash uses no ssh for it.".to_owned());
    }
    host
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(configurations: &[&str]) -> FoundSources {
        FoundSources {
            flake: Some(".".to_owned()),
            configurations: configurations.iter().map(|&name| name.to_owned()).collect(),
            machine: ThisMachine {
                name: Some("razer".to_owned()),
                system: "x86_64-linux".to_owned(),
                is_nixos: true,
            },
            problems: Vec::new(),
        }
    }

    #[test]
    fn every_configuration_is_a_host_and_this_machine_needs_no_ssh() {
        let proposal = join(&found(&["samsung", "razer"]));
        let hosts: Vec<(&str, Option<&[String]>)> = proposal
            .hosts
            .iter()
            .map(|host| (host.name.as_str(), host.addresses.as_deref()))
            .collect();
        assert_eq!(hosts, [("razer", Some(&[][..])), ("samsung", None)]);
        assert_eq!(proposal.hosts[0].system.as_deref(), Some("x86_64-linux"));
        assert!(proposal.notes.is_empty());
    }

    #[test]
    fn a_name_that_no_host_may_have_is_left_out_and_said_so() {
        let proposal = join(&found(&["all", "samsung"]));
        assert_eq!(proposal.hosts.len(), 1);
        assert_eq!(
            proposal.notes,
            ["The configuration \"all\" is left out, because a host cannot be called so: \"all\" \
              means every host."]
        );
    }

    #[test]
    fn without_a_flake_this_machine_is_the_fleet() {
        let proposal = join(&FoundSources { flake: None, ..found(&[]) });
        assert_eq!(proposal.hosts[0].name, "razer");
        assert!(proposal.notes[0].starts_with("No flake was found"), "{:?}", proposal.notes);
    }
}
