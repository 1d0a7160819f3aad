//! `hosts.toml`: raw → checked.
//!
//! [`parse`] takes the text and gives back a whole [`Fleet`], or every mistake in it with line,
//! column and a hint. It reads no file and resolves no secret: the command line reads, and
//! [`crate::remote`] resolves.

mod advice;
mod alarms;
mod error;
mod flake;
mod gates;
mod hooks;
mod hosts;
mod key_bindings;
mod keys;
mod rollout;
mod secret;
mod section;
mod server;
mod tier_keys;
mod tiers;
mod value;
mod words;

pub use error::{ConfigError, ConfigErrors};
pub use keys::page as page_of_keys;

use crate::fleet::{
    ActivationSettings, Alarms, Evaluate, Fleet, Host, NotifyWay, Retention, Rollout, RootAccess,
    Strategy, Targets, Tier, TierKind, Trust,
};
use crate::nix::signature::parse_public_key;
use error::MistakeReport;
use hosts::HostNames;
use keys::KeyTable;
use secret::Paths;
use section::Section;
pub use section::nearest;
use server::RawServer;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use toml::de::DeTable;

/// How long a host waits for the acknowledgement when nothing else is written.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(30);

/// The key of cache.nixos.org.
const NIXOS_KEY: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";

/// Checks the text of `hosts.toml` and returns the fleet, or every mistake in it.
///
/// `file` is where the text came from: errors name it, and relative paths in the text start from
/// its folder. `~/` stands for `home`.
pub fn parse(text: &str, file: &Path, home: Option<&Path>) -> Result<Fleet, ConfigErrors> {
    let mut report = MistakeReport::new(file, text);
    let (root, mistakes) = DeTable::parse_recoverable(text);
    if !mistakes.is_empty() {
        for mistake in mistakes {
            let at = mistake.span().map_or(0, |span| span.start);
            report.error(at, mistake.message().replace('\n', " "), "the file is not TOML here");
        }
        let fleet = fallback();
        return report.end().map(|()| fleet);
    }
    let root = Section::new("the file", root.get_ref(), 0);
    let folder = file.parent().unwrap_or(Path::new(""));
    let fleet = read(&mut report, &root, file, home, folder);
    report.end().map(|()| fleet)
}

/// Returns what is wrong with the name of a host or a tier, as a clause; nothing of a usable one.
pub fn mistake_in_name(text: &str) -> Option<String> {
    value::name(text).err().map(|(mistake, _)| mistake)
}

/// Returns the fleet that nixdash shows without a file: this machine and cache.nixos.org.
pub fn fallback() -> Fleet {
    let this_machine = Host {
        name: "localhost".to_owned(),
        addresses: Vec::new(),
        system: None,
        tags: Vec::new(),
        protected: false,
        read_only: false,
        check: Vec::new(),
        hooks: Vec::new(),
        attribute: "localhost".to_owned(),
        flake: None,
        builder: None,
        sign_key: None,
        strategy: None,
        action: None,
        confirm_timeout: None,
        activation: ActivationSettings::default(),
        wake: None,
        root_access: RootAccess::default(),
    };
    let tier = Tier {
        public_key: parse_public_key(NIXOS_KEY).ok(),
        ..Tier::new("cache.nixos.org", TierKind::Http, "https://cache.nixos.org")
    };
    Fleet { hosts: vec![this_machine], tiers: vec![tier], ..empty() }
}

/// Returns a fleet of nothing, with what holds when nothing is written.
fn empty() -> Fleet {
    Fleet {
        file: None,
        trust: Trust::Trusted,
        flake: None,
        builder: None,
        builders: BTreeMap::new(),
        strategy: Strategy::default(),
        evaluate: Evaluate::default(),
        ssh_config: None,
        confirm_timeout: CONFIRM_TIMEOUT,
        activation: ActivationSettings::default(),
        root_access: RootAccess::default(),
        bootstrap_trust: false,
        hosts: Vec::new(),
        tiers: Vec::new(),
        rollout: Rollout::default(),
        budgets: Vec::new(),
        targets: Targets::default(),
        retention: Retention::default(),
        alarms: Alarms::default(),
        prometheus: None,
        theme: None,
        mouse: true,
        notify: NotifyWay::default(),
        restore: true,
        key_bindings: Vec::new(),
        read_only: false,
    }
}

/// Reads every section.
fn read(
    report: &mut MistakeReport<'_>,
    root: &Section<'_>,
    file: &Path,
    home: Option<&Path>,
    folder: &Path,
) -> Fleet {
    let mut tables = KeyTable::ALL.map(KeyTable::word).to_vec();
    tables.dedup();
    root.check_keys(report, &tables);
    let mut fleet = Fleet { file: Some(file.to_owned()), ..empty() };
    let (names, paths) = (HostNames::of(root), Paths { home, folder });
    fleet.hosts = hosts(report, root, &names, paths);
    fleet.tiers = tiers(report, root, &names, paths);
    if let Some(section) = root.section(report, "fleet", "[fleet]") {
        read_fleet(report, &section, &mut fleet, &names, paths);
    }
    if let Some(section) = root.section(report, "builders", "[builders]") {
        fleet.builders = hosts::builders(report, &section, &names);
    }
    if let Some(section) = root.section(report, "rollout", "[rollout]") {
        fleet.rollout = rollout::read(report, &section, &names, &fleet.hosts);
    }
    fleet.budgets = rollout::budgets(report, root, &fleet.hosts);
    if let Some(section) = root.section(report, "targets", "[targets]") {
        section.check_keys(report, &KeyTable::Targets.names());
        fleet.targets.hit_rate = section.share(report, "hit_rate");
    }
    if let Some(section) = root.section(report, "alarms", "[alarms]") {
        fleet.alarms = alarms::read(report, &section, &names, &fleet.tiers);
    }
    if let Some(section) = root.section(report, "history", "[history]") {
        section.check_keys(report, &KeyTable::History.names());
        let server =
            section.parsed(report, "prometheus", |text| server::url(text, RawServer::Prometheus));
        fleet.prometheus = server.map(|server| server.value);
    }
    if let Some(section) = root.section(report, "ui", "[ui]") {
        section.check_keys(report, &KeyTable::Ui.names());
        let theme = section.parsed(report, "theme", |text| value::theme(text, home, folder));
        fleet.theme = theme.map(|theme| theme.value);
        fleet.mouse = section.boolean(report, "mouse").unwrap_or(fleet.mouse);
        if let Some(way) = section.word(report, "notify", &NotifyWay::WORDS) {
            fleet.notify = way.value;
        }
        fleet.restore = section.boolean(report, "restore").unwrap_or(fleet.restore);
    }
    if let Some(section) = root.section(report, "retention", "[retention]") {
        section.check_keys(report, &KeyTable::Retention.names());
        if let Some(size) = section.parsed(report, "max_run_size", value::run_size) {
            fleet.retention.max_run_size = size.value;
        }
        if let Some(age) = section.parsed(report, "max_logs_age", value::logs_age) {
            fleet.retention.max_logs_age = age.value;
        }
        if let Some(size) = section.parsed(report, "max_logs_size", value::logs_size) {
            fleet.retention.max_logs_size = size.value;
        }
    }
    if let Some(section) = root.section(report, "keys", "[keys]") {
        fleet.key_bindings = key_bindings::read(report, &section);
    }
    fleet
}

/// Reads `[fleet]`.
fn read_fleet(
    report: &mut MistakeReport<'_>,
    section: &Section<'_>,
    fleet: &mut Fleet,
    hosts: &HostNames<'_>,
    paths @ Paths { home, folder }: Paths<'_>,
) {
    section.check_keys(report, &KeyTable::Fleet.names());
    let flake = section.parsed(report, "flake", |text| flake::flake(text, home, folder));
    fleet.flake = flake.map(|flake| flake.value);
    fleet.builder = hosts.named(report, section, "builder");
    if let Some(strategy) = section.parsed(report, "strategy", hosts::strategy) {
        fleet.strategy = strategy.value;
    }
    let places =
        [("auto", Evaluate::Auto), ("here", Evaluate::Here), ("builder", Evaluate::Builder)];
    if let Some(evaluate) = section.word(report, "evaluate", &places) {
        fleet.evaluate = evaluate.value;
    }
    let ssh_config = section.parsed(report, "ssh_config", |text| value::path(text, home, folder));
    fleet.ssh_config = ssh_config.map(|path| path.value);
    if let Some(time) = section.parsed(report, "confirm_timeout", value::confirm_timeout) {
        fleet.confirm_timeout = time.value;
    }
    fleet.activation = hosts::activation(report, section);
    fleet.root_access = hosts::root_access(report, section, paths);
    fleet.bootstrap_trust = section.boolean(report, "bootstrap_trust").unwrap_or(false);
}

/// Reads `[hosts.NAME]`, in the file's order.
fn hosts(
    report: &mut MistakeReport<'_>,
    root: &Section<'_>,
    names: &HostNames<'_>,
    paths: Paths<'_>,
) -> Vec<Host> {
    let Some(section) = root.section(report, "hosts", "[hosts]") else { return Vec::new() };
    let mut context = hosts::HostContext { seen: hosts::SeenAddresses::new(), names, paths };
    section
        .entries()
        .into_iter()
        .filter_map(|(name, value)| hosts::read(report, name, value, &mut context))
        .collect()
}

/// Reads `[[tiers]]` and checks what holds between them.
fn tiers(
    report: &mut MistakeReport<'_>,
    root: &Section<'_>,
    hosts: &HostNames<'_>,
    paths: Paths<'_>,
) -> Vec<Tier> {
    let Some(value) = root.raw("tiers") else { return Vec::new() };
    let Some(array) = value.get_ref().as_array() else {
        root.wrong(report, "tiers", value, "each tier below its own [[tiers]]");
        return Vec::new();
    };
    let mut tiers = Vec::new();
    let mut before = tiers::Before::default();
    for (index, item) in array.iter().enumerate() {
        let Some(table) = item.get_ref().as_table() else {
            root.wrong(report, "tiers", item, "each tier below its own [[tiers]]");
            continue;
        };
        let title = match table.get("name").and_then(|name| name.get_ref().as_str()) {
            Some(name) => format!("tier {name:?}"),
            None => format!("tier number {}", index + 1),
        };
        let section = Section::new(title, table, item.span().start);
        tiers.extend(tiers::read(report, section, paths, hosts, &mut before));
    }
    tiers
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses as the command line does with a file in `/etc/fleet`.
    fn fleet(text: &str) -> Result<Fleet, ConfigErrors> {
        parse(text, Path::new("/etc/fleet/hosts.toml"), Some(Path::new("/home/me")))
    }

    #[test]
    fn without_a_file_there_are_this_machine_and_cache_nixos_org() {
        let fleet = fallback();
        assert!(fleet.hosts[0].is_local());
        assert_eq!(fleet.tiers[0].public_key.as_ref().unwrap().name, "cache.nixos.org-1");
    }

    #[test]
    fn a_prometheus_server_has_no_password_in_its_address() {
        let right = "[history]\nprometheus = \"http://prometheus.lan:9090/\"\n";
        assert!(
            fleet(right).unwrap().prometheus.unwrap().starts_with("http://prometheus.lan:9090")
        );
        for wrong in
            ["prometheus = \"https://me:hunter2@x\"", "prometheus = \"x:9090\"", "promet = 1"]
        {
            assert!(fleet(&format!("[history]\n{wrong}\n")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_tier_knows_its_cluster_and_where_its_secrets_are() {
        use crate::fleet::{Login, Seaweed, SecretSource, TierKind};
        let text = "[[tiers]]\nname = \"weed\"\nkind = \"seaweedfs\"\nmasters = [\"http://m:9333/\"]\n\
            s3 = \"http://s:8333/cache\"\nmetrics = \"http://s:9360/metrics\"\nreplication = \"001\"\n\
            volume_servers = 3\naccess_key = { env = \"KEY\" }\nsecret_key = { file = \"~/secret\" }\n\
            [[tiers]]\nname = \"token\"\nkind = \"http\"\nurl = \"http://x\"\n\
            token = { command = [\"pass\", \"x\"] }\n\
            [[tiers]]\nname = \"netrc\"\nkind = \"http\"\nurl = \"http://x\"\n\
            netrc = { file = \"netrc\" }\n\
            [[tiers]]\nname = \"me\"\nkind = \"http\"\nurl = \"http://x\"\n\
            user = \"me\"\npassword = { env = \"KEY\" }\n";
        let fleet = fleet(text).unwrap();
        let tier = &fleet.tiers[0];
        assert_eq!(tier.url, "http://s:8333/cache");
        let seaweed = Seaweed {
            masters: vec!["http://m:9333".to_owned()],
            metrics: Some("http://s:9360/metrics".to_owned()),
            replication: Some("001".to_owned()),
            volume_servers: Some(3),
        };
        assert_eq!(tier.kind, TierKind::Seaweedfs(seaweed));
        let env = || SecretSource::Env("KEY".to_owned());
        let words = SecretSource::Command {
            words: vec!["pass".to_owned(), "x".to_owned()],
            folder: "/etc/fleet".into(),
        };
        let secret = SecretSource::File("/home/me/secret".into());
        let logins: Vec<&Login> = fleet.tiers.iter().map(|tier| &tier.access.login).collect();
        let expected = [
            Login::Keys { access: env(), secret },
            Login::Token(words),
            Login::Netrc(SecretSource::File("/etc/fleet/netrc".into())),
            Login::Password { user: "me".to_owned(), password: env() },
        ];
        assert_eq!(logins, expected.iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_tier_knows_its_limits_and_where_it_is_asked_from() {
        let text = "[hosts.samsung]\n[[tiers]]\nname = \"x\"\nkind = \"ncps\"\nurl = \"http://x:8501\"\n\
            via = \"samsung\"\nmax_size = \"100GB\"\nevery = \"30s\"\nmax_requests_per_month = 1000\n\
            [[tiers]]\nname = \"ci\"\nkind = \"github-actions\"\nrepo = \"me/nixos\"\n\
            [[tiers]]\nname = \"own\"\nkind = \"github-actions\"\nrepo = \"me/nixos\"\n\
            url = \"https://git.lan/api/v3/\"\n";
        let tiers = fleet(text).unwrap().tiers;
        assert_eq!(tiers[0].via.as_deref(), Some("samsung"));
        assert_eq!(
            (tiers[0].max_size, tiers[0].max_requests_per_month),
            (Some(100_000_000_000), Some(1000))
        );
        assert_eq!(tiers[0].every, Some(std::time::Duration::from_secs(30)));
        let repo = "me/nixos".to_owned();
        assert_eq!(tiers[1].kind, crate::fleet::TierKind::GithubActions { repo });
        assert_eq!(tiers[1].url, "https://api.github.com/repos/me/nixos");
        assert_eq!(tiers[2].url, "https://git.lan/api/v3/repos/me/nixos");
    }

    #[test]
    fn hosts_and_tiers_keep_the_order_of_the_file() {
        let fleet = fleet("[hosts.z]\n[hosts.a]\n[hosts.m]\n").unwrap();
        let names: Vec<&str> = fleet.hosts.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(names, ["z", "a", "m"]);
    }

    #[test]
    fn a_host_without_addresses_answers_to_its_name_and_an_empty_list_is_this_machine() {
        let fleet = fleet("[hosts.p510]\nprotected = true\n[hosts.me]\naddresses = []\n").unwrap();
        assert_eq!(fleet.hosts[0].addresses[0].host, "p510");
        assert!(fleet.hosts[1].is_local());
    }

    #[test]
    fn paths_start_from_the_folder_of_the_file_or_from_home() {
        let fleet =
            fleet("[fleet]\nflake = \"../nixos\"\nssh_config = \"~/.ssh/fleet\"\n").unwrap();
        assert_eq!(fleet.flake.unwrap(), "/etc/fleet/../nixos");
        assert_eq!(fleet.ssh_config.unwrap(), Path::new("/home/me/.ssh/fleet"));
    }

    #[test]
    fn addresses_that_are_to_be_trusted_are_shown_without_secrets() {
        let text = "[hosts.a]\n[[tiers]]\nname = \"oracle\"\nkind = \"s3\"\n\
            url = \"s3://b?endpoint=https://x&secret=hunter2\"\n\
            access_key = { command = [\"sh\", \"x\"] }\nsecret_key = { env = \"X\" }\n\
            [rollout]\ngates = [{ name = \"web\", url = \"https://host/up?key=hunter2\" }]\n";
        let words = fleet(text).unwrap().named_words().join("\n");
        assert!(words.contains("gate web, asked from here: https://host/up?key=…\n"), "{words}");
        assert!(words.contains("sent to s3://b?endpoint=https://x&secret="), "{words}");
        assert!(!words.contains("hunter2"), "{words}");
    }

    #[test]
    fn an_untrusted_file_keeps_names_and_addresses_and_nothing_that_runs_or_logs_in() {
        use crate::fleet::Access;
        let text = "[fleet]\nflake = \".\"\nssh_config = \"ssh\"\n[hosts.a]\ncheck = [\"true\"]\n\
            [[tiers]]\nname = \"oracle\"\nkind = \"s3\"\n\
            url = \"s3://b?profile=me&endpoint=https://x\"\nproxy = \"http://x\"\nvia = \"a\"\n\
            access_key = { command = [\"sh\", \"x\"] }\nsecret_key = { env = \"X\" }\n\
            [history]\nprometheus = \"http://x:9090\"\n";
        let fleet = fleet(text).unwrap();
        assert_eq!(
            fleet.named_files(),
            ["/etc/fleet/ssh", "/etc/fleet/sh", "/etc/fleet/x"].map(std::path::PathBuf::from)
        );
        assert_eq!(fleet.named_words().len(), 6);
        let shown = fleet.untrusted("why".to_owned());
        assert_eq!(shown.trust.doubt(), Some("why"));
        assert_eq!((&shown.flake, &shown.ssh_config, &shown.prometheus), (&None, &None, &None));
        assert_eq!(shown.hosts[0].addresses[0].host, "a");
        assert!(shown.hosts[0].check.is_empty());
        let tier = &shown.tiers[0];
        assert_eq!((&tier.access, tier.via.as_deref()), (&Access::default(), None));
        assert_eq!(tier.url, "s3://b?endpoint=https://x");
    }

    #[test]
    fn a_secret_is_not_repeated_in_an_error() {
        let text = "[[tiers]]\nname = \"x\"\nkind = \"http\"\nurl = \"https://me:hunter2@x\"\n\
                    token = \"hunter2\"\n";
        let errors = fleet(text).unwrap_err();
        assert_eq!(errors.0.len(), 2, "{errors}");
        assert!(!errors.to_string().contains("hunter2"), "{errors}");
    }
}

/// Sample files, one mistake or one family of mistakes each, with the errors they must give.
#[cfg(test)]
mod samples {
    use std::path::{Path, PathBuf};

    /// Returns a path below the repository.
    fn repository(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
    }

    #[test]
    fn every_bad_file_says_what_is_wrong_where_and_what_to_do() {
        let renew = std::env::var_os("RENEW").is_some();
        let mut count = 0;
        for entry in std::fs::read_dir(repository("tests/configs")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let name = path.file_name().unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            let errors = super::parse(&text, Path::new(name), Some(Path::new("/home/me")));
            let found = format!("{}\n", errors.expect_err(&name.to_string_lossy()));
            let expected = path.with_extension("expected");
            if renew {
                std::fs::write(&expected, &found).unwrap();
            }
            let expected = std::fs::read_to_string(&expected).unwrap();
            assert_eq!(found, expected, "{}", name.display());
            count += 1;
        }
        assert!(count >= 10, "only {count} samples");
    }

    #[test]
    fn the_example_of_the_repository_is_right_and_shows_every_kind() {
        let text = std::fs::read_to_string(repository("hosts.toml")).unwrap();
        let fleet = super::parse(&text, Path::new("hosts.toml"), Some(Path::new("/home/me")))
            .unwrap_or_else(|errors| panic!("{errors}"));
        let names: Vec<&str> = fleet.hosts.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(names, ["p620", "razer", "samsung", "p510"]);
        assert!(fleet.host("p510").unwrap().protected);
        assert_eq!(fleet.publish_tier().unwrap().name, "p620");
        for kind in crate::fleet::KindName::ALL {
            assert!(
                fleet.tiers.iter().any(|tier| tier.kind.name() == kind),
                "no tier of kind {kind}"
            );
        }
    }
}
