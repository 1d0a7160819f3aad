//! `[hosts.NAME]`: the machines.

use crate::config::error::MistakeReport;
use crate::config::flake::flake;
use crate::config::hooks;
use crate::config::keys::KeyTable;
use crate::config::secret::{self, Paths, Sources};
use crate::config::section::{At, Section, nearest};
use crate::config::value;
use crate::config::words::{did_you_mean, one_of};
use crate::fleet::{
    ActivationSettings, Address, Elevate, Goal, Host, RootAccess, Strategy, SudoPassword, WakeOnLan,
};
use std::collections::{BTreeMap, HashMap};
use toml::Spanned;
use toml::de::DeValue;

/// Where each address (host and port) was first seen: the section that has it.
pub(super) type SeenAddresses = HashMap<(String, u16), String>;

/// The names that other sections may call hosts by.
pub(super) struct HostNames<'a> {
    /// None where `[hosts]` itself is no table: that is reported, and no name is judged.
    names: Option<Vec<&'a str>>,
    /// The tags of the hosts, as they are written.
    tags: Vec<&'a str>,
}

impl<'a> HostNames<'a> {
    /// Takes every name in `[hosts]`, also of hosts with mistakes: they are meant to be there.
    pub(super) fn of(root: &Section<'a>) -> Self {
        let table = match root.raw("hosts").map(|hosts| hosts.get_ref().as_table()) {
            None => return Self { names: Some(Vec::new()), tags: Vec::new() },
            Some(None) => return Self { names: None, tags: Vec::new() },
            Some(Some(table)) => table,
        };
        let hosts = Section::new("[hosts]", table, 0).entries();
        let tags = hosts.iter().flat_map(|(_, host)| tags_written(host)).collect();
        Self { names: Some(hosts.into_iter().map(|(name, _)| name.value).collect()), tags }
    }

    /// Returns whether a host has this name.
    pub(super) fn has_host(&self, name: &str) -> bool {
        self.names.as_ref().is_some_and(|names| names.contains(&name))
    }

    /// Returns whether a host has this tag.
    pub(super) fn has_tag(&self, tag: &str) -> bool {
        self.tags.contains(&tag)
    }

    /// Reads the name of a host, and reports one that no host has.
    pub(super) fn named(
        &self,
        report: &mut MistakeReport<'_>,
        section: &Section<'_>,
        key: &str,
    ) -> Option<String> {
        let one_host = |_: &str| "this key takes the name of one host".to_owned();
        self.named_beside_tags(report, section, key, one_host)
    }

    /// Does the same where a tag may be named too; `as_tag` says how that is written.
    pub(super) fn named_beside_tags(
        &self,
        report: &mut MistakeReport<'_>,
        section: &Section<'_>,
        key: &str,
        as_tag: impl FnOnce(&str) -> String,
    ) -> Option<String> {
        let name = section.text(report, key)?;
        if let Some(names) = &self.names
            && !names.contains(&name.value)
        {
            let tag = name.value.strip_prefix('@').unwrap_or(name.value);
            let (fault, hint) = if self.has_tag(tag) {
                (format!("{:?} is a tag, not a host", name.value), as_tag(tag))
            } else {
                (format!("there is no host {:?}", name.value), Self::advice(name.value, names))
            };
            report.error(name.at, format!("`{key}` in {}: {fault}", section.name()), hint);
        }
        Some(name.value.to_owned())
    }

    /// Says which host may be meant by a name that none has.
    fn advice(name: &str, names: &[&str]) -> String {
        match nearest(name, names) {
            Some(near) => did_you_mean(near),
            None if names.is_empty() => "the file has no hosts; add [hosts.NAME]".to_owned(),
            None => format!("the hosts are: {}", names.join(", ")),
        }
    }
}

/// Returns the tags in the table of a host, as they are written; its mistakes are reported elsewhere.
fn tags_written<'a>(host: &'a Spanned<DeValue<'a>>) -> Vec<&'a str> {
    let tags = host.get_ref().get("tags").and_then(|tags| tags.get_ref().as_array());
    tags.into_iter().flatten().filter_map(|tag| tag.get_ref().as_str()).collect()
}

/// Reads a strategy.
pub(super) fn strategy(text: &str) -> value::Meaning<Strategy> {
    if let Some(strategy) = Strategy::ALL.into_iter().find(|strategy| strategy.word() == text) {
        return Ok(strategy);
    }
    let words = Strategy::ALL.map(Strategy::word);
    let hint = match nearest(text, &words) {
        Some(near) => did_you_mean(near),
        None => one_of(&words),
    };
    Err((format!("{text:?} is not a strategy"), hint))
}

/// Checks the attribute below `nixosConfigurations`.
fn attribute(text: &str) -> value::Meaning<String> {
    if crate::nix::is_attribute(text) {
        Ok(text.to_owned())
    } else {
        Err((
            format!("{text:?} cannot be quoted for Nix"),
            "an attribute has no quotes, backslashes, dollar signs or control characters"
                .to_owned(),
        ))
    }
}

/// Checks the path of a secret key on a host.
fn sign_key(text: &str) -> value::Meaning<String> {
    let fail = |message: &str, hint: &str| Err((message.to_owned(), hint.to_owned()));
    if !text.starts_with('/') || text.chars().any(char::is_control) {
        return fail(
            "it is not a path from the root of a file system",
            "name a file on that host, such as \"/etc/nix/secret-key\"",
        );
    }
    if text.starts_with("/nix/store/") {
        return fail(
            "everybody can read what is in /nix/store",
            "keep the key in a file that only root can read, such as \"/etc/nix/secret-key\"",
        );
    }
    Ok(text.to_owned())
}

/// What is needed beside the table of a host.
pub(super) struct HostContext<'a> {
    /// The addresses of the hosts before.
    pub(super) seen: SeenAddresses,
    /// The names of all hosts.
    pub(super) names: &'a HostNames<'a>,
    /// From where paths start.
    pub(super) paths: Paths<'a>,
}

/// Reads `[builders]`: which host builds for which system.
pub(super) fn builders(
    report: &mut MistakeReport<'_>,
    section: &Section<'_>,
    names: &HostNames<'_>,
) -> BTreeMap<String, String> {
    let mut builders = BTreeMap::new();
    for (system, _) in section.entries() {
        if let Err((message, hint)) = value::system(system.value) {
            report.error(system.at, format!("a key of [builders]: {message}"), hint);
        } else if let Some(host) = names.named(report, section, system.value) {
            builders.insert(system.value.to_owned(), host);
        }
    }
    builders
}

/// Reads one host; reports what is wrong and still returns what could be read, since others
/// may name it.
pub(super) fn read(
    report: &mut MistakeReport<'_>,
    named: At<&str>,
    value: &Spanned<DeValue<'_>>,
    context: &mut HostContext<'_>,
) -> Option<Host> {
    let (name, name_at) = (named.value, named.at);
    if let Err((message, hint)) = value::name(name) {
        report.error(name_at, format!("this cannot be the name of a host: {message}"), hint);
    }
    let Some(table) = value.get_ref().as_table() else {
        report.error(
            value.span().start,
            format!("`{name}` in [hosts] is not a table"),
            format!("write [hosts.{name}] and the host's settings below it"),
        );
        return None;
    };
    let section = Section::new(format!("[hosts.{name}]"), table, name_at);
    section.check_keys(report, &KeyTable::Hosts.names());
    let addresses = addresses(report, &section, name, &mut context.seen);
    let Paths { home, folder } = context.paths;
    let flake = section.parsed(report, "flake", |text| flake(text, home, folder));
    let tags = tags(report, &section);
    let check = section.texts(report, "check").unwrap_or_default();
    Some(Host {
        name: name.to_owned(),
        addresses,
        system: section.parsed(report, "system", value::system).map(|system| system.value),
        tags,
        protected: section.boolean(report, "protected").unwrap_or(false),
        read_only: section.boolean(report, "read_only").unwrap_or(false),
        check: check.iter().map(|command| command.value.to_owned()).collect(),
        hooks: hooks::read(report, &section),
        attribute: section
            .parsed(report, "attribute", attribute)
            .map_or_else(|| name.to_owned(), |attribute| attribute.value),
        flake: flake.map(|flake| flake.value),
        builder: context.names.named(report, &section, "builder"),
        sign_key: section.parsed(report, "sign_key", sign_key).map(|file| file.value),
        strategy: section.parsed(report, "strategy", strategy).map(|strategy| strategy.value),
        action: action(report, &section),
        confirm_timeout: section
            .parsed(report, "confirm_timeout", value::confirm_timeout)
            .map(|time| time.value),
        activation: activation(report, &section),
        wake: wake(report, &section, name, context.names),
        root_access: root_access(report, &section, context.paths),
    })
}

/// Reads what a deploy does to a host where the person names no action.
fn action(report: &mut MistakeReport<'_>, section: &Section<'_>) -> Option<Goal> {
    let words = [Goal::Switch, Goal::Boot, Goal::Test].map(|goal| (goal.word(), goal));
    section.word(report, "action", &words).map(|action| action.value)
}

/// Reads the settings of activations, which a host and the whole fleet may have.
pub(super) fn activation(
    report: &mut MistakeReport<'_>,
    section: &Section<'_>,
) -> ActivationSettings {
    ActivationSettings {
        settle: section.parsed(report, "settle", value::settle).map(|time| time.value),
        timeout: section
            .parsed(report, "activation_timeout", value::activation_timeout)
            .map(|time| time.value),
        reboot_to_recover: section.boolean(report, "reboot_to_recover"),
        connectivity: section
            .parsed(report, "connectivity", value::connectivity)
            .map(|place| place.value),
        // A key of hosts only: the fleet's table does not know it.
        magic_rollback: section.boolean(report, "magic_rollback"),
    }
}

/// Reads how login users become root, which a host and the whole fleet may say.
pub(super) fn root_access(
    report: &mut MistakeReport<'_>,
    section: &Section<'_>,
    paths: Paths<'_>,
) -> RootAccess {
    let ways = [
        ("auto", Elevate::Auto),
        ("sudo", Elevate::Sudo),
        ("doas", Elevate::Doas),
        ("run0", Elevate::Run0),
        ("none", Elevate::None),
    ];
    let elevate = section.word(report, "elevate", &ways);
    let asks = section.raw("sudo_password").and_then(|value| value.get_ref().as_str());
    let sudo_password = if asks == Some("ask") {
        Some(SudoPassword::Ask)
    } else {
        secret::read(report, section, "sudo_password", Sources::AnyOrAsk, paths)
            .map(SudoPassword::From)
    };
    if let (Some(way), Some(at)) = (elevate, section.key("sudo_password"))
        && !way.value.takes_password()
    {
        report.error(
            at,
            format!("`sudo_password` in {} is of no use with this `elevate`", section.name()),
            "only sudo is given a password: remove the key, or write elevate = \"sudo\"",
        );
    }
    RootAccess { elevate: elevate.map(|way| way.value), sudo_password }
}

/// Reads how a host is woken.
fn wake(
    report: &mut MistakeReport<'_>,
    section: &Section<'_>,
    name: &str,
    names: &HostNames<'_>,
) -> Option<WakeOnLan> {
    let mac = section.parsed(report, "mac", value::mac).map(|mac| mac.value);
    let via = names.named(report, section, "wake_via");
    let at = section.key("wake_via").unwrap_or(section.at());
    if via.as_deref() == Some(name) {
        let message = format!("`wake_via` in {} names the host itself", section.name());
        report.error(at, message, "name a host that is awake in the same network, or remove it");
    }
    if via.is_some() && section.key("mac").is_none() {
        let message = format!("{} has `wake_via` and no `mac`", section.name());
        report.error(at, message, "add mac = \"…\", the address of its network card (`ip link`)");
    }
    mac.map(|mac| WakeOnLan { mac, via })
}

/// Reads the list of tags.
fn tags(report: &mut MistakeReport<'_>, section: &Section<'_>) -> Vec<String> {
    let key = "tags";
    let mut names = Vec::new();
    for text in section.texts(report, key).unwrap_or_default() {
        match value::name(text.value) {
            Ok(name) => names.push(name),
            Err((message, hint)) => {
                let message = format!("`{key}` in {}: {message}", section.name());
                report.error(text.at, message, hint);
            }
        }
    }
    names
}

/// Reads the addresses; without the key the host's name is its address, and an empty list means
/// this machine.
fn addresses(
    report: &mut MistakeReport<'_>,
    section: &Section<'_>,
    name: &str,
    seen: &mut SeenAddresses,
) -> Vec<Address> {
    let mut addresses = Vec::new();
    if section.key("addresses").is_none() {
        if let Ok(address) = value::address(name) {
            keep(report, section, section.at(), &mut addresses, address, seen);
        }
        return addresses;
    }
    let Some(texts) = section.texts(report, "addresses") else { return addresses };
    if texts.is_empty() {
        let here = (String::new(), 0);
        let at = section.key("addresses").unwrap_or(section.at());
        if let Some(other) = seen.insert(here, section.name().to_owned()) {
            report.error(
                at,
                format!("{} and {other} are both this machine", section.name()),
                "an empty list of addresses means: this machine, without ssh",
            );
        }
    }
    for text in texts {
        match value::address(text.value) {
            Ok(address) => keep(report, section, text.at, &mut addresses, address, seen),
            Err((message, hint)) => {
                report.error(
                    text.at,
                    format!("`addresses` in {}: {message}", section.name()),
                    hint,
                );
            }
        }
    }
    addresses
}

/// Keeps an address unless a host has it already.
fn keep(
    report: &mut MistakeReport<'_>,
    section: &Section<'_>,
    at: usize,
    addresses: &mut Vec<Address>,
    address: Address,
    seen: &mut SeenAddresses,
) {
    let key = (address.host.to_ascii_lowercase(), address.port.unwrap_or(22));
    match seen.get(&key) {
        Some(other) if other != section.name() => report.error(
            at,
            format!("{} and {other} have the same address {address}", section.name()),
            "two hosts are two machines: give one of them another address",
        ),
        Some(_) => report.error(
            at,
            format!("the address {address} is listed twice in {}", section.name()),
            "remove one of them",
        ),
        None => {
            seen.insert(key, section.name().to_owned());
            addresses.push(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fleet::{Elevate, Goal, RootHosts, SecretSource, SudoPassword, SudoQuestion};
    use std::path::Path;

    /// Returns which questions are asked for all hosts.
    fn questions(text: &str, all_ask: bool) -> Vec<String> {
        let fleet = crate::config::parse(text, Path::new("/f/hosts.toml"), None).unwrap();
        let deployed = fleet.hosts.iter().map(|host| host.name.clone()).collect();
        let asked = fleet.sudo_questions(&RootHosts { deployed, ..RootHosts::default() }, all_ask);
        asked.into_iter().map(|question| question.hosts.join(" ")).collect()
    }

    #[test]
    fn the_fleets_password_is_asked_for_once_and_a_hosts_own_by_itself() {
        let text = "[fleet]\nsudo_password = \"ask\"\n[hosts.a]\n[hosts.b]\nsudo_password = \"ask\"\n\
                    [hosts.c]\n[hosts.d]\nsudo_password = { env = \"D\" }\n[hosts.e]\nelevate = \"doas\"\n\
                    [hosts.f]\naddresses = [\"root@f\"]\n";
        assert_eq!(questions(text, false), ["a c", "b"]);
        assert_eq!(questions(text, true), ["a c d", "b"], "the option counts before the source");
    }

    #[test]
    fn who_is_only_asked_about_a_budget_keeps_its_own_password_and_holds_nobody_up() {
        let text = "[hosts.a]\nsudo_password = { env = \"A\" }\n[hosts.b]\n[hosts.c]\n\
                    sudo_password = { env = \"C\" }\n[hosts.d]\nsudo_password = \"ask\"\n\
                    [hosts.e]\nsudo_password = { env = \"E\" }\n";
        let fleet = crate::config::parse(text, Path::new("/f/hosts.toml"), None).unwrap();
        let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let (deployed, builders, asked) = (names("a"), names("e"), names("b c d"));
        let hosts = RootHosts { deployed, builders, asked };
        let question = |hosts: &str, is_needed| SudoQuestion { hosts: names(hosts), is_needed };
        assert_eq!(fleet.sudo_questions(&hosts, false), [question("d", false)]);
        let all = fleet.sudo_questions(&hosts, true);
        assert_eq!(all, [question("a b", true), question("d", false)]);
    }

    #[test]
    fn on_request_every_host_whose_user_is_not_root_is_asked_for() {
        let text =
            "[hosts.a]\n[hosts.b]\naddresses = [\"root@b\"]\n[hosts.c]\nelevate = \"none\"\n";
        assert_eq!(questions(text, false), [] as [&str; 0]);
        assert_eq!(questions(text, true), ["a"]);
    }

    #[test]
    fn every_host_of_a_budget_is_asked_whether_it_has_a_place() {
        let text = "[hosts.a]\ntags = [\"etcd\"]\n[hosts.b]\ntags = [\"etcd\"]\n[hosts.c]\n\
                    [budget.etcd]\ntag = \"etcd\"\nin_flight = 1\n";
        let fleet = crate::config::parse(text, Path::new("/f/hosts.toml"), None).unwrap();
        assert_eq!(fleet.asked_for_budgets(&["a".to_owned()]), ["b"]);
        assert_eq!(fleet.asked_for_budgets(&["c".to_owned()]), [] as [&str; 0]);
    }

    #[test]
    fn a_host_may_have_an_action_of_its_own() {
        let read = |text: &str| crate::config::parse(text, Path::new("/f/hosts.toml"), None);
        let fleet = read("[hosts.a]\naction = \"boot\"\n[hosts.b]\n").unwrap();
        let actions: Vec<Option<Goal>> = fleet.hosts.iter().map(|host| host.action).collect();
        assert_eq!(actions, [Some(Goal::Boot), None]);
        let error = read("[hosts.a]\naction = \"bot\"\n").unwrap_err().to_string();
        assert!(error.contains("did you mean \"boot\"?"), "{error}");
        assert!(read("[hosts.a]\naction = \"build\"\n").is_err(), "that is no deploy");
    }

    #[test]
    fn a_host_says_otherwise_than_its_fleet() {
        let text = "[fleet]\nelevate = \"doas\"\n[hosts.a]\n[hosts.b]\nelevate = \"sudo\"\n\
                    sudo_password = { command = [\"pass\", \"show\", \"b\"] }\n";
        let fleet = crate::config::parse(text, Path::new("/f/hosts.toml"), None).unwrap();
        let (a, b) = (fleet.host("a").unwrap(), fleet.host("b").unwrap());
        assert_eq!((fleet.elevate_of(a), fleet.elevate_of(b)), (Elevate::Doas, Elevate::Sudo));
        assert_eq!(fleet.sudo_password_of(a), None);
        let Some(SudoPassword::From(SecretSource::Command { words, .. })) =
            fleet.sudo_password_of(b)
        else {
            unreachable!("it names a program")
        };
        assert_eq!(words.join(" "), "pass show b");
        assert!(
            fleet.named_words().contains(
                &"sudo_password of b, sent to the host's sudo: runs pass show b".to_owned()
            )
        );
    }
}
