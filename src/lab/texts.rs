//! The configuration files that a lab writes: those by which the operator reaches the hosts, and those of each host.
//! Pure: from names, addresses and keys to text.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::names::{HOSTS, LabHost, MOVED_PORT, Subnet};
use super::seaweed::{Addresses, VOLUME_SERVERS};

/// Where things lie that the texts refer to.
pub(crate) struct Facts<'a> {
    pub(crate) subnet: Subnet,
    /// The lab's hosts.
    pub(crate) hosts: &'static [LabHost],
    /// The lab's directory.
    pub(crate) root: &'a Path,
    /// p620-1's public key.
    pub(crate) builder_key: &'a str,
    /// static-1's public key.
    pub(crate) static_key: &'a str,
    /// Whether there is a SeaweedFS cluster, and where the keys of its bucket are.
    pub(crate) weed_keys: Option<[PathBuf; 2]>,
}

/// The fleet as nixdash reads it.
pub(crate) fn hosts_toml(facts: &Facts<'_>, platform: &str) -> String {
    let Facts { subnet, hosts, root, builder_key, static_key, weed_keys } = facts;
    let root = root.display();
    let mut text = format!(
        "# The practice fleet, written by `nixdash lab up`.\n\
         [fleet]\n\
         flake = \"{root}/flake\"\n\
         builder = \"p620\"\n\
         strategy = \"via-cache\"\n\
         evaluate = \"auto\"\n\
         ssh_config = \"{root}/ssh_config\"\n\
         confirm_timeout = \"15s\"\n"
    );
    for host in *hosts {
        let about = match host.name {
            "p620" => "tags = [\"desktop\"]\n",
            "samsung" => "tags = [\"laptop\"]\ncheck = [\"systemctl is-active sshd\"]\n",
            "p510" => "tags = [\"server\"]\nprotected = true\n",
            "razer" => "tags = [\"laptop\"]\n",
            _ => "tags = [\"node\"]\ncheck = [\"systemctl is-active sshd\"]\n",
        };
        let _ = write!(
            text,
            "\n[hosts.{}]\naddresses = [\"{}@{}\"]\nsystem = \"{platform}\"\n{about}",
            host.name,
            host.user,
            subnet.of(*host)
        );
    }
    // In the order in which hosts ask them, by the Priority that each serves.
    let _ = write!(
        text,
        "\n[[tiers]]\nname = \"static\"\nkind = \"http\"\nurl = \"{}\"\npublic_key = \"{static_key}\"\n\
         \n[[tiers]]\nname = \"p620\"\nkind = \"nix-serve\"\nurl = \"{}\"\npublic_key = \"{builder_key}\"\nhost = \"p620\"\n",
        subnet.static_cache_url(),
        subnet.builder_cache_url()
    );
    if let Some([access, secret]) = weed_keys {
        let weed = Addresses::of(*subnet);
        let _ = write!(
            text,
            "\n[[tiers]]\nname = \"weed\"\nkind = \"seaweedfs\"\nmasters = [\"{}\"]\ns3 = \"{}\"\nmetrics = \"{}\"\n\
             replication = \"001\"\nvolume_servers = {VOLUME_SERVERS}\npublic_key = \"{builder_key}\"\n\
             access_key = {{ file = \"{}\" }}\nsecret_key = {{ file = \"{}\" }}\n",
            weed.master(),
            weed.bucket(),
            weed.metrics(),
            access.display(),
            secret.display()
        );
    }
    text.push_str("\n[[tiers]]\nname = \"stores\"\nkind = \"local\"\n");
    text
}

/// How the operator's ssh reaches the hosts, and nobody else.
pub(crate) fn ssh_config(facts: &Facts<'_>) -> String {
    let root = facts.root.display();
    format!(
        "Host 10.213.{}.*\n  IdentityFile {root}/id\n  IdentitiesOnly yes\n  UserKnownHostsFile {root}/known_hosts\n  \
         GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n",
        facts.subnet.0
    )
}

/// A host's nix.conf: the tiers it asks and the keys it trusts. The builder does not ask itself.
pub(crate) fn nix_conf(facts: &Facts<'_>, host: LabHost, trust_builder: bool) -> String {
    let mut tiers = vec![facts.subnet.static_cache_url()];
    if host != HOSTS[0] {
        tiers.insert(0, facts.subnet.builder_cache_url());
    }
    let mut keys = vec![facts.static_key];
    if trust_builder {
        keys.insert(0, facts.builder_key);
    }
    format!(
        "build-users-group =\nsandbox = false\nmax-jobs = 4\ntrusted-users = root\nsubstituters = {}\n\
         trusted-public-keys = {}\nconnect-timeout = 5\nfallback = true\n",
        tiers.join(" "),
        keys.join(" ")
    )
}

/// A host's /etc/hosts: every host by its name.
pub(crate) fn etc_hosts(subnet: Subnet, hosts: &[LabHost]) -> String {
    let mut text = String::from("127.0.0.1 localhost\n::1 localhost\n");
    for host in hosts {
        let _ = writeln!(text, "{} {}", subnet.of(*host), host.name);
    }
    text
}

/// What a host's activation script sets its interface to.
pub(crate) fn network(subnet: Subnet, host: LabHost) -> String {
    format!("ADDRESS={}/24\nSECOND={}/24\n", subnet.of(host), subnet.second_of(host))
}

/// A host's line among the keys that the operator knows, under each address and port that it may have. `public` is its key.
pub(crate) fn known_host(subnet: Subnet, host: LabHost, public: &str) -> String {
    let (first, second) = (subnet.of(host), subnet.second_of(host));
    format!("{first},{second},[{first}]:{MOVED_PORT},[{second}]:{MOVED_PORT} {public}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::names;

    fn facts() -> Facts<'static> {
        Facts {
            subnet: Subnet(7),
            hosts: names::first(4),
            root: Path::new("/state/practice"),
            builder_key: "p620-1:AAAA",
            static_key: "static-1:BBBB",
            weed_keys: None,
        }
    }

    #[test]
    fn hosts_toml_names_every_host_and_both_caches() {
        let value: toml::Table = toml::from_str(&hosts_toml(&facts(), "x86_64-linux")).unwrap();
        assert_eq!(value["hosts"].as_table().unwrap().len(), 4);
        assert_eq!(value["hosts"]["razer"]["addresses"][0].as_str(), Some("me@10.213.7.11"));
        assert_eq!(value["hosts"]["p510"]["protected"].as_bool(), Some(true));
        assert_eq!(value["tiers"][1]["url"].as_str(), Some("http://10.213.7.10:5000"));
        assert_eq!(value["tiers"][0]["url"].as_str(), Some("http://10.213.7.40"));
        assert_eq!(value["tiers"][2]["kind"].as_str(), Some("local"));
    }

    #[test]
    fn more_hosts_are_nodes_that_are_checked_as_samsung_is() {
        let facts = Facts { hosts: names::first(12), ..facts() };
        let value: toml::Table = toml::from_str(&hosts_toml(&facts, "x86_64-linux")).unwrap();
        assert_eq!(value["hosts"].as_table().unwrap().len(), 12);
        let node = &value["hosts"]["node12"];
        assert_eq!(node["addresses"][0].as_str(), Some("root@10.213.7.21"));
        assert_eq!(node["tags"][0].as_str(), Some("node"));
        assert_eq!(node["check"], value["hosts"]["samsung"]["check"]);
        assert!(etc_hosts(Subnet(7), facts.hosts).ends_with("10.213.7.21 node12\n"));
    }

    #[test]
    fn a_cluster_is_a_tier_with_its_keys_in_files() {
        let keys = ["/state/practice/weed/a", "/state/practice/weed/b"].map(PathBuf::from);
        let facts = Facts { weed_keys: Some(keys), ..facts() };
        let text = hosts_toml(&facts, "x86_64-linux");
        let value: toml::Table = toml::from_str(&text).unwrap();
        let tier = &value["tiers"][2];
        assert_eq!(tier["s3"].as_str(), Some("http://10.213.7.50:8333/nix-cache"));
        assert_eq!(tier["masters"][0].as_str(), Some("http://10.213.7.50:9333"));
        assert_eq!(tier["secret_key"]["file"].as_str(), Some("/state/practice/weed/b"));
    }

    #[test]
    fn the_builder_does_not_ask_itself() {
        let own = nix_conf(&facts(), HOSTS[0], true);
        assert!(own.contains("substituters = http://10.213.7.40\n"), "{own}");
        let other = nix_conf(&facts(), HOSTS[2], true);
        assert!(
            other.contains("substituters = http://10.213.7.10:5000 http://10.213.7.40\n"),
            "{other}"
        );
        assert!(!other.contains("experimental-features"));
    }

    #[test]
    fn a_host_that_does_not_trust_the_builder_lacks_its_key_only() {
        let text = nix_conf(&facts(), HOSTS[2], false);
        assert!(text.contains("trusted-public-keys = static-1:BBBB\n"), "{text}");
    }

    #[test]
    fn a_host_is_known_by_its_second_address_and_on_the_other_port() {
        let line = known_host(Subnet(7), HOSTS[2], "ssh-ed25519 AAAA");
        let names = "10.213.7.12,10.213.7.112,[10.213.7.12]:2222,[10.213.7.112]:2222";
        assert_eq!(line, format!("{names} ssh-ed25519 AAAA"));
        assert!(network(Subnet(7), HOSTS[2]).ends_with("SECOND=10.213.7.112/24\n"));
    }

    #[test]
    fn ssh_is_configured_for_the_labs_own_network_alone() {
        assert!(
            ssh_config(&facts())
                .starts_with("Host 10.213.7.*\n  IdentityFile /state/practice/id\n")
        );
    }
}
