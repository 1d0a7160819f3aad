//! Joins what was found into what is proposed for `hosts.toml`: one host per name.
//!
//! Pure. What is not known for sure becomes a sentence, which the file has as a comment.

use crate::cli::init::flake::HiveNode;
use crate::cli::init::machine::ThisMachine;
use crate::cli::init::ssh_config::SshHost;
use crate::cli::init::tiers::ProposedTier;
use crate::config;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What was found, each by its source.
#[derive(Debug, Default, Serialize)]
pub(super) struct FoundSources {
    /// The flake as `hosts.toml` names it; none where there is none.
    pub(super) flake: Option<String>,
    /// The names of its configurations.
    pub(super) configurations: Vec<String>,
    /// The hosts of deploy-rs and colmena in the flake.
    pub(super) nodes: Vec<HiveNode>,
    /// The hosts that ssh's configuration names.
    pub(super) ssh_hosts: Vec<SshHost>,
    /// That configuration, where it is not the usual one.
    pub(super) ssh_config: Option<PathBuf>,
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
    /// The configuration that ssh reads, where it is not the usual one.
    pub(super) ssh_config: Option<PathBuf>,
    /// The hosts, by their name.
    pub(super) hosts: Vec<ProposedHost>,
    /// The caches, in the order in which hosts ask them.
    pub(super) tiers: Vec<ProposedTier>,
    /// The host that builds for the others; none where that is not known.
    pub(super) builder: Option<Builder>,
    /// The host with the most processors, and how many it has.
    pub(super) strongest: Option<(String, u32)>,
    /// What is not in the file, and why, in whole sentences.
    pub(super) notes: Vec<String>,
}

/// The host that builds for the others.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Builder {
    pub(super) host: String,
    /// Whether one of the tiers serves its store, so that the others can take from there.
    pub(super) serves: bool,
    /// Why it is this one, in a whole sentence.
    pub(super) note: String,
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
    let mut proposal = Proposal {
        flake: found.flake.clone(),
        ssh_config: found.ssh_config.clone(),
        ..Proposal::default()
    };
    let names = names(found);
    proposal.notes.extend(left_out(found, &names));
    for name in names {
        match config::mistake_in_name(&name) {
            Some(mistake) => proposal.notes.push(format!(
                "{name:?} is left out, because this cannot be the name of a host: {mistake}."
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

/// Returns by which names and addresses others may call each host, beside its name.
pub(super) fn places(found: &FoundSources) -> BTreeMap<String, Vec<String>> {
    let of_host = |name: String| {
        let ssh = ssh_host(found, &name).map(|host| host.place().to_owned());
        let nodes = found.nodes.iter().filter(|node| node.name == name);
        let hosts = nodes.filter_map(|node| node.target.host.clone());
        let all = ssh.into_iter().chain(hosts).collect();
        (name, all)
    };
    names(found).into_iter().map(of_host).collect()
}

/// Returns the names of all hosts, each once, in their order.
fn names(found: &FoundSources) -> Vec<String> {
    let mut names = found.configurations.clone();
    names.extend(found.nodes.iter().map(|node| node.name.clone()));
    if names.is_empty() {
        // Without a flake, whoever ssh knows is a host; git servers are not.
        let hosts = found.ssh_hosts.iter().filter(|host| !host.is_git_server());
        names.extend(hosts.map(|host| host.name.clone()));
        names.extend(found.machine.name.clone().filter(|_| found.machine.is_nixos));
    }
    names.sort();
    names.dedup();
    names
}

/// Names the hosts of ssh that are none of the fleet's.
fn left_out(found: &FoundSources, names: &[String]) -> Option<String> {
    let is_used = |host: &SshHost| {
        names.iter().any(|name| ssh_host(found, name).is_some_and(|used| used.name == host.name))
    };
    let others = found.ssh_hosts.iter().filter(|host| !is_used(host) && !host.is_git_server());
    let others: Vec<&str> = others.map(|host| host.name.as_str()).collect();
    (!others.is_empty()).then(|| {
        format!(
            "ssh's configuration also names {}. They are left out, because the flake has no \
             configuration of these names. Add [hosts.NAME] for one that is to be watched.",
            others.join(", ")
        )
    })
}

/// Returns the entry of ssh that is a host: the one of its name, else one that leads to a machine of
/// its name.
fn ssh_host<'f>(found: &'f FoundSources, name: &str) -> Option<&'f SshHost> {
    let named = found.ssh_hosts.iter().find(|host| host.name == name);
    named.or_else(|| {
        let label = |host: &SshHost| {
            host.place().split('.').next().is_some_and(|label| label.eq_ignore_ascii_case(name))
        };
        found.ssh_hosts.iter().find(|host| label(host) && !host.is_git_server())
    })
}

/// Joins what is known of one host.
fn host(found: &FoundSources, name: String) -> ProposedHost {
    let mut host = ProposedHost { name, ..ProposedHost::default() };
    if found.machine.is(&host.name) {
        host.addresses = Some(Vec::new());
        host.system = Some(found.machine.system.clone());
        host.notes
            .push("This machine has the same name, so nixdash uses no ssh for it.".to_owned());
    } else if let Some(ssh) = ssh_host(found, &host.name) {
        if ssh.name != host.name {
            host.addresses = Some(vec![ssh.name.clone()]);
        }
        if ssh.words() != host.name {
            host.notes.push(format!("ssh's configuration leads to {}.", ssh.words()));
        }
    } else if let Some((tool, address)) = node_address(found, &host.name) {
        host.addresses = Some(vec![address]);
        host.notes.push(format!("The address is the one that {tool} has in the flake."));
    } else {
        host.notes.push(
            "No source names an address, so ssh is given the name of the host. If that does not \
             reach it, write addresses = [\"USER@ADDRESS\"]."
                .to_owned(),
        );
    }
    if found.flake.is_some() && !found.configurations.contains(&host.name) && is_node(found, &host)
    {
        host.notes.push(
            "The flake has no nixosConfigurations of this name, and nixdash deploys nothing else."
                .to_owned(),
        );
    }
    host
}

/// Returns whether a host is one of deploy-rs or colmena.
fn is_node(found: &FoundSources, host: &ProposedHost) -> bool {
    found.nodes.iter().any(|node| node.name == host.name)
}

/// Returns the tool that has an address for a host, and that address.
fn node_address(found: &FoundSources, name: &str) -> Option<(&'static str, String)> {
    let mut nodes = found.nodes.iter().filter(|node| node.name == name);
    nodes.find_map(|node| Some((node.tool, node.target.address()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::init::flake::HiveTarget;

    fn found(configurations: &[&str]) -> FoundSources {
        FoundSources {
            flake: Some(".".to_owned()),
            configurations: configurations.iter().map(|&name| name.to_owned()).collect(),
            machine: ThisMachine {
                name: Some("razer".to_owned()),
                system: "x86_64-linux".to_owned(),
                is_nixos: true,
            },
            ..FoundSources::default()
        }
    }

    fn ssh(name: &str, place: &str, user: &str) -> SshHost {
        SshHost {
            name: name.to_owned(),
            host_name: Some(place.to_owned()),
            user: Some(user.to_owned()),
            port: None,
        }
    }

    #[test]
    fn ssh_reads_the_address_itself_where_it_knows_the_host() {
        let ssh_hosts = vec![
            ssh("p620", "10.0.0.2", "me"),
            ssh("sam", "samsung.lan", "root"),
            ssh("nas", "nas.lan", "me"),
            ssh("github.com", "ssh.github.com", "git"),
        ];
        let proposal = join(&FoundSources { ssh_hosts, ..found(&["p620", "samsung", "iso"]) });
        let [iso, p620, samsung] = &proposal.hosts[..] else { panic!("{proposal:?}") };
        assert_eq!(p620.addresses, None);
        assert_eq!(p620.notes, ["ssh's configuration leads to me@10.0.0.2."]);
        assert_eq!(samsung.addresses, Some(vec!["sam".to_owned()]));
        assert!(iso.notes[0].starts_with("No source names an address"), "{iso:?}");
        assert_eq!(proposal.notes.len(), 1);
        assert!(proposal.notes[0].starts_with("ssh's configuration also names nas. "));
    }

    #[test]
    fn deploy_rs_and_colmena_say_addresses_where_ssh_does_not() {
        let node = |name: &str, tool: &'static str, host: Option<&str>| HiveNode {
            name: name.to_owned(),
            tool,
            target: HiveTarget { host: host.map(str::to_owned), ..HiveTarget::default() },
        };
        let nodes = vec![
            node("p620", "deploy-rs", Some("10.0.0.9")),
            node("samsung", "colmena", None),
            node("samsung", "deploy-rs", Some("samsung.lan")),
            node("pi", "colmena", Some("pi.lan")),
        ];
        let ssh_hosts = vec![ssh("p620", "10.0.0.2", "me")];
        let proposal = join(&FoundSources { nodes, ssh_hosts, ..found(&["p620", "samsung"]) });
        let [p620, pi, samsung] = &proposal.hosts[..] else { panic!("{proposal:?}") };
        assert_eq!(p620.addresses, None, "ssh knows it");
        assert_eq!(samsung.addresses, Some(vec!["samsung.lan".to_owned()]));
        assert_eq!(samsung.notes, ["The address is the one that deploy-rs has in the flake."]);
        assert!(pi.notes[1].starts_with("The flake has no nixosConfigurations of this name"));
    }

    #[test]
    fn without_a_flake_the_hosts_of_ssh_are_the_fleet() {
        let ssh_hosts = vec![ssh("nas", "nas.lan", "me"), ssh("github.com", "x", "git")];
        let proposal = join(&FoundSources { flake: None, ssh_hosts, ..found(&[]) });
        let names: Vec<&str> = proposal.hosts.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(names, ["nas", "razer"]);
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
            [
                "\"all\" is left out, because this cannot be the name of a host: \"all\" means every host."
            ]
        );
    }

    #[test]
    fn without_a_flake_this_machine_is_the_fleet() {
        let proposal = join(&FoundSources { flake: None, ..found(&[]) });
        assert_eq!(proposal.hosts[0].name, "razer");
        assert!(proposal.notes[0].starts_with("No flake was found"), "{:?}", proposal.notes);
    }
}
