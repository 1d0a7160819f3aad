//! The fleet's flake: its files, its git repository, and the edits that `lab bump` commits to it.

use std::path::Path;

use jiff::civil::date;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::LabError;
use super::names::{LabHost, fnv};
use super::state::{read, write};
use super::tool::Tool;

/// The files that are the same in every lab.
pub(crate) const FILES: [(&str, &str); 15] = [
    ("flake.nix", include_str!("fleet/flake.nix")),
    ("flake.lock", include_str!("fleet/flake.lock")),
    ("fleet.nix", include_str!("fleet/fleet.nix")),
    ("packages.nix", include_str!("fleet/packages.nix")),
    ("build.nix", include_str!("fleet/build.nix")),
    ("package.sh", include_str!("fleet/package.sh")),
    ("system-path.sh", include_str!("fleet/system-path.sh")),
    ("initrd.sh", include_str!("fleet/initrd.sh")),
    ("units.sh", include_str!("fleet/units.sh")),
    ("etc.sh", include_str!("fleet/etc.sh")),
    ("toplevel.sh", include_str!("fleet/toplevel.sh")),
    ("activate.sh", include_str!("fleet/activate.sh")),
    ("dry-activate.sh", include_str!("fleet/dry-activate.sh")),
    ("switch-to-configuration.sh", include_str!("fleet/switch-to-configuration.sh")),
    ("versions.json", include_str!("fleet/versions.json")),
];

/// What a host carries that not every host does. The hosts beyond the four carry what samsung does.
fn own_packages(host: &str) -> &'static [&'static str] {
    match host {
        "p620" => &["firefox", "ccache"],
        "razer" => &["firefox", "tlp", "openrazer"],
        "p510" => &["postgresql"],
        _ => &["firefox", "tlp"],
    }
}

/// Packages of a public cache that nothing else depends on: a bump takes two of them in turn.
const LEAVES: [&str; 8] = ["git", "htop", "nano", "tmux", "less", "ripgrep", "man-db", "iproute2"];

/// What the next system of a host is to do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Break {
    /// A package of it does not build.
    Build,
    /// A package of it prints 200000 (or --amount) lines while it is built, 25000 a second.
    Loud,
    /// Its activation script fails: switch-to-configuration exits 2.
    Activation,
    /// The part of its activation script named `setupSecrets` fails: switch-to-configuration exits 2.
    Snippet,
    /// As `snippet`, with the older switch-to-configuration in Perl, which says nothing of it and exits 2.
    PerlSnippet,
    /// As `perl-snippet`, with a unit that fails too, so that it exits 4.
    PerlSnippetUnit,
    /// Its activation takes the network down.
    Network,
    /// It takes the network down 2 s (or --amount) after its activation has ended, also when it is booted.
    NetworkLater,
    /// Its activation restarts systemd-networkd, which takes the network down --amount seconds later, or never.
    NetworkUnit,
    /// Its activation takes the network down, and no other activation brings it back: only a restart does.
    NetworkStuck,
    /// It gives up the host's second address.
    Address,
    /// It moves sshd to port 2222.
    SshdPort,
    /// One of its units fails: switch-to-configuration exits 4.
    Unit,
    /// Units of a user's session fail, and none of the system's: switch-to-configuration exits 4.
    UserUnits,
    /// Its activation takes 30 s (or --amount), all of it after /etc was changed and before the running system is.
    Slow,
    /// Its boot menu takes 30 s (or --amount) to write.
    SlowBoot,
    /// Its activation never ends, after /etc was changed, and ignores TERM.
    Stubborn,
    /// It can only be started by a reboot: switch-to-configuration exits 100.
    Reboot,
    /// A switch inhibitor refuses it before anything is changed; only a reboot starts it.
    Inhibited,
    /// Another pre-switch check, `diskSpace`, refuses it before anything is changed.
    PreSwitch,
    /// As `pre-switch`, with an older switch-to-configuration that exits with an error number: 11 (or --amount).
    Errno,
}

/// A break, with its number where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    what: Break,
    amount: Option<u32>,
}

impl Broken {
    /// Puts together what was typed: the break, and a number where that break takes one.
    pub fn new(what: Break, amount: Option<u32>) -> Result<Self, LabError> {
        let usual = match what {
            Break::NetworkLater => Some(2),
            Break::Slow | Break::SlowBoot => Some(30),
            Break::Errno => Some(11),
            Break::Loud => Some(200_000),
            Break::NetworkUnit => None,
            Break::Build
            | Break::Activation
            | Break::Snippet
            | Break::PerlSnippet
            | Break::PerlSnippetUnit
            | Break::Network
            | Break::NetworkStuck
            | Break::Address
            | Break::SshdPort
            | Break::Unit
            | Break::UserUnits
            | Break::Stubborn
            | Break::Reboot
            | Break::Inhibited
            | Break::PreSwitch => {
                if amount.is_some() {
                    return Err(LabError::Usage(format!("{} takes no number", what.name())));
                }
                None
            }
        };
        if what == Break::Errno && amount.is_some_and(|code| !(1..=255).contains(&code)) {
            return Err(LabError::Usage("an exit code is a number from 1 to 255".to_owned()));
        }
        Ok(Self { what, amount: amount.or(usual) })
    }
}

impl Break {
    /// The word that asks for it.
    fn name(self) -> String {
        use clap::ValueEnum;
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// `versions.json`: what all hosts share.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct SharedVersions {
    /// How many bumps there have been.
    bumps: u32,
    nixos: String,
    system: String,
    versions: std::collections::BTreeMap<String, String>,
}

/// `hosts/NAME.json`: what is a host's own.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct HostVersions {
    #[serde(rename = "break")]
    broken: Option<Break>,
    /// The number of the break: seconds or an exit code.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    amount: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    nixos: Option<String>,
    packages: Vec<String>,
    versions: std::collections::BTreeMap<String, String>,
}

/// The Nix name of this machine's platform, for instance `x86_64-linux`.
pub(crate) fn platform() -> String {
    format!("{}-linux", std::env::consts::ARCH)
}

/// Writes the flake's files as they are before the first bump.
pub(crate) fn write_files(flake: &Path, hosts: &[LabHost]) -> Result<(), LabError> {
    for (name, text) in FILES {
        write(&flake.join(name), text.replace("@system@", &platform()), 0o644)?;
    }
    for host in hosts {
        let packages = own_packages(host.name).iter().map(|name| (*name).to_owned()).collect();
        write_json(
            &flake.join(format!("hosts/{}.json", host.name)),
            &HostVersions { packages, ..HostVersions::default() },
        )?;
    }
    Ok(())
}

/// Makes the git repository with one commit.
pub(crate) fn create(flake: &Path, hosts: &[LabHost]) -> Result<(), LabError> {
    write_files(flake, hosts)?;
    git(flake, &["init", "--quiet", "--initial-branch=main"])?;
    commit(flake, "The practice fleet")
}

/// Makes the next system of the given hosts differ from the one before, and commits that. `every` are the hosts of the lab.
/// Returns what changed, in words.
pub(crate) fn bump(
    flake: &Path,
    hosts: &[LabHost],
    every: &[LabHost],
    broken: Option<Broken>,
) -> Result<String, LabError> {
    let mut shared: SharedVersions = read_json(&flake.join("versions.json"))?;
    let first = initial()?;
    shared.bumps += 1;
    let count = shared.bumps;
    let nixos = release(count);
    let mut changed = vec!["fleet-lib", "fleet-tools"];
    let turn = count as usize * 2;
    changed.extend([LEAVES[turn % LEAVES.len()], LEAVES[(turn + 1) % LEAVES.len()]]);
    if count.is_multiple_of(3) {
        changed.extend(["linux", "linux-modules"]);
    }
    let news: Vec<(String, String)> = changed
        .iter()
        .filter_map(|pname| Some(((*pname).to_owned(), raised(first.versions.get(*pname)?, count))))
        .collect();
    let all = hosts.len() == every.len();
    if all {
        shared.nixos.clone_from(&nixos);
        shared.versions.extend(news.iter().cloned());
    }
    write_json(&flake.join("versions.json"), &shared)?;
    for host in hosts {
        edit_host(flake, *host, |own| {
            own.broken = broken.map(|broken| broken.what);
            own.amount = broken.and_then(|broken| broken.amount);
            own.nixos = Some(nixos.clone());
            own.versions.extend(news.iter().cloned());
            if all {
                own.nixos = None;
                own.versions.clear();
            }
        })?;
    }
    let who = if all { "all hosts".to_owned() } else { names_of(hosts) };
    let what = news
        .iter()
        .map(|(pname, version)| format!("{pname} {version}"))
        .collect::<Vec<_>>()
        .join(", ");
    let harm = broken.map(|broken| format!(" ({} breaks)", broken.what.name())).unwrap_or_default();
    let message = format!("{who}: {what}{harm}");
    commit(flake, &message)?;
    Ok(message)
}

/// Takes back what `--break` asked for, on the given hosts, and commits that. Returns whether anything was broken.
pub(crate) fn fix(flake: &Path, hosts: &[LabHost]) -> Result<bool, LabError> {
    let mut fixed = Vec::new();
    for host in hosts {
        edit_host(flake, *host, |own| {
            own.amount = None;
            if own.broken.take().is_some() {
                fixed.push(*host);
            }
        })?;
    }
    if fixed.is_empty() {
        return Ok(false);
    }
    commit(flake, &format!("{}: works again", names_of(&fixed)))?;
    Ok(true)
}

fn edit_host(
    flake: &Path,
    host: LabHost,
    edit: impl FnOnce(&mut HostVersions),
) -> Result<(), LabError> {
    let path = flake.join(format!("hosts/{}.json", host.name));
    let mut own: HostVersions = read_json(&path)?;
    edit(&mut own);
    write_json(&path, &own)
}

fn names_of(hosts: &[LabHost]) -> String {
    hosts.iter().map(|host| host.name).collect::<Vec<_>>().join(", ")
}

fn initial() -> Result<SharedVersions, LabError> {
    let text = include_str!("fleet/versions.json");
    serde_json::from_str(text).map_err(|error| LabError::Damaged {
        path: "versions.json".into(),
        cause: error.to_string(),
    })
}

/// NixOS's version after so many bumps: one day later each, with a revision that looks like one.
fn release(bumps: u32) -> String {
    let day = date(2025, 11, 18).saturating_add(jiff::Span::new().days(i64::from(bumps)));
    let revision = fnv(&[b"nixpkgs", &bumps.to_le_bytes()]) & 0x0fff_ffff;
    format!("25.11.{}.{revision:07x}", day.strftime("%Y%m%d"))
}

/// A version with its last number raised.
fn raised(version: &str, by: u32) -> String {
    let end = version.rfind(|c: char| c.is_ascii_digit()).map_or(0, |last| last + 1);
    let start = version[..end].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |before| before + 1);
    match version[start..end].parse::<u64>() {
        Ok(number) => format!("{}{}{}", &version[..start], number + u64::from(by), &version[end..]),
        Err(_) => format!("{version}.{by}"),
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, LabError> {
    serde_json::from_str(&read(path)?)
        .map_err(|error| LabError::Damaged { path: path.to_owned(), cause: error.to_string() })
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), LabError> {
    // Through Value, so that keys are in one order whatever the struct says.
    let text = serde_json::to_value(value)
        .and_then(|value: Value| serde_json::to_string_pretty(&value))
        .map_err(|error| LabError::Damaged { path: path.to_owned(), cause: error.to_string() })?;
    write(path, text + "\n", 0o644)
}

fn git(flake: &Path, arguments: &[&str]) -> Result<String, LabError> {
    Tool::new("keeping the fleet's flake in git", "git")
        .arg("-C")
        .arg(flake)
        .args([
            "-c",
            "user.name=lab",
            "-c",
            "user.email=lab@localhost",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(["-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0"])
        .args(arguments)
        .run()
}

fn commit(flake: &Path, message: &str) -> Result<(), LabError> {
    git(flake, &["add", "--all"])?;
    git(flake, &["commit", "--quiet", "--message", message]).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::names::{HOSTS, first};

    #[test]
    fn every_host_of_a_larger_lab_has_a_file_that_the_flake_reads() {
        let directory = tempfile::tempdir().unwrap();
        create(directory.path(), first(6)).unwrap();
        for host in first(6) {
            let path = directory.path().join(format!("hosts/{}.json", host.name));
            let own: HostVersions = read_json(&path).unwrap();
            assert!(!own.packages.is_empty(), "{}", host.name);
        }
        let said = bump(directory.path(), first(6), first(6), None).unwrap();
        assert!(said.starts_with("all hosts: "), "{said}");
    }

    #[test]
    fn versions_are_raised_at_their_last_number() {
        assert_eq!(raised("145.0", 2), "145.2");
        assert_eq!(raised("10.2p1", 3), "10.2p4");
        assert_eq!(raised("20251111", 1), "20251112");
        assert_eq!(raised("unstable", 1), "unstable.1");
    }

    #[test]
    fn a_release_is_a_day_after_the_one_before() {
        assert!(release(0).starts_with("25.11.20251118."));
        assert!(release(14).starts_with("25.11.20251202."));
        assert_eq!(release(3).len(), "25.11.20251118.0123456".len());
    }

    #[test]
    fn every_package_that_a_bump_raises_has_a_version() {
        let shared = initial().unwrap();
        for pname in LEAVES.iter().chain(&["fleet-lib", "fleet-tools", "linux", "linux-modules"]) {
            assert!(shared.versions.contains_key(*pname), "{pname}");
        }
        assert_eq!(shared.nixos, release(0), "the first release");
    }

    #[test]
    fn a_bump_of_one_host_leaves_the_others_alone() {
        let directory = tempfile::tempdir().unwrap();
        create(directory.path(), &HOSTS).unwrap();
        let samsung = crate::lab::names::host("samsung").unwrap();
        let broken = Broken::new(Break::Slow, Some(5)).unwrap();
        bump(directory.path(), &[samsung], &HOSTS, Some(broken)).unwrap();
        let razer: HostVersions = read_json(&directory.path().join("hosts/razer.json")).unwrap();
        assert!(razer.versions.is_empty() && razer.broken.is_none());
        let own: HostVersions = read_json(&directory.path().join("hosts/samsung.json")).unwrap();
        assert_eq!((own.broken, own.amount), (Some(Break::Slow), Some(5)));
        assert!(own.versions.contains_key("fleet-tools"));
        assert!(fix(directory.path(), &HOSTS).unwrap());
        assert!(!fix(directory.path(), &HOSTS).unwrap());
        let own: HostVersions = read_json(&directory.path().join("hosts/samsung.json")).unwrap();
        assert_eq!((own.broken, own.amount), (None, None));
    }

    #[test]
    fn a_break_has_its_usual_number_and_refuses_one_that_means_nothing() {
        assert_eq!(Broken::new(Break::Slow, None).unwrap().amount, Some(30));
        assert_eq!(Broken::new(Break::NetworkLater, Some(5)).unwrap().amount, Some(5));
        assert_eq!(Broken::new(Break::NetworkUnit, None).unwrap().amount, None);
        for (what, amount, says) in
            [(Break::SshdPort, 1, "sshd-port takes no number"), (Break::Errno, 0, "exit code")]
        {
            let error = Broken::new(what, Some(amount)).unwrap_err();
            assert!(error.to_string().contains(says) && error.is_usage(), "{error}");
        }
    }
}
