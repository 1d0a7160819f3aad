//! How nixdash becomes root on a host, where the login user is not root.

use crate::fleet::{Fleet, Host, SecretSource};
use serde::Serialize;

/// The program that makes a login user root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Elevate {
    /// The first of sudo, doas and run0 that asks for nothing; else sudo with a password, where
    /// one was given.
    #[default]
    Auto,
    /// sudo, with a password where it asks for one and one was given.
    Sudo,
    /// doas, without a password.
    Doas,
    /// systemd's run0, without a password.
    Run0,
    /// Nothing: the login user is root.
    None,
}

impl Elevate {
    /// Returns whether a password for sudo may be of use.
    pub fn takes_password(self) -> bool {
        match self {
            Self::Auto | Self::Sudo => true,
            Self::Doas | Self::Run0 | Self::None => false,
        }
    }
}

/// Where the password for sudo comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SudoPassword {
    /// A person types it, once for each nixdash.
    Ask,
    /// It is read where it is needed.
    From(SecretSource),
}

/// What a host, or the whole fleet, says about becoming root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootAccess {
    /// The program.
    pub elevate: Option<Elevate>,
    /// The password.
    pub sudo_password: Option<SudoPassword>,
}

impl Fleet {
    /// Returns by which program the login user of a host becomes root.
    pub fn elevate_of(&self, host: &Host) -> Elevate {
        host.root_access.elevate.or(self.root_access.elevate).unwrap_or_default()
    }

    /// Returns where the password for sudo on a host comes from; nothing where none is used.
    pub fn sudo_password_of<'a>(&'a self, host: &'a Host) -> Option<&'a SudoPassword> {
        let written = host.root_access.sudo_password.as_ref();
        written
            .or(self.root_access.sudo_password.as_ref())
            .filter(|_| self.elevate_of(host).takes_password())
    }

    /// Returns whether sudo on a host may want a password: who logs in there as root needs none.
    pub fn may_want_sudo_password(&self, host: &Host) -> bool {
        let known_root = host.addresses.iter().all(|at| at.user.as_deref() == Some("root"));
        let is_root = known_root && !host.is_local();
        self.elevate_of(host).takes_password() && !is_root
    }

    /// Returns the hosts that are asked, as root, whether a budget has a place for these hosts: all others that have
    /// its tag.
    pub fn asked_for_budgets(&self, names: &[String]) -> Vec<String> {
        let chosen = || self.hosts.iter().filter(|host| names.contains(&host.name));
        let budgets = self.budgets.iter();
        let tags: Vec<&String> = budgets
            .map(|budget| &budget.tag)
            .filter(|tag| chosen().any(|host| host.tags.contains(tag)))
            .collect();
        let asked = self.hosts.iter().filter(|host| {
            !names.contains(&host.name) && tags.iter().any(|tag| host.tags.contains(tag))
        });
        asked.map(|host| host.name.clone()).collect()
    }

    /// Returns the questions for passwords of sudo. Hosts for which the whole fleet says so share one answer, a host
    /// that says so itself has its own. With `all_ask` hosts without a source share that answer too, and so do
    /// deployed ones that have one: who asks for the question means the answer. No other host is given a password
    /// that was not meant for it.
    pub fn sudo_questions(&self, of: &RootHosts, all_ask: bool) -> Vec<SudoQuestion> {
        let (mut shared, mut own) = (Vec::new(), Vec::new());
        for host in &self.hosts {
            let name = &host.name;
            if !(of.is_needed(name) || of.asked.contains(name))
                || !self.may_want_sudo_password(host)
            {
                continue;
            }
            match (&host.root_access.sudo_password, self.sudo_password_of(host)) {
                (Some(SudoPassword::Ask), _) => own.push(vec![name.clone()]),
                (_, Some(SudoPassword::Ask)) => shared.push(name.clone()),
                (_, None) if all_ask => shared.push(name.clone()),
                (_, Some(SudoPassword::From(_))) if all_ask && of.deployed.contains(name) => {
                    shared.push(name.clone());
                }
                (_, Some(SudoPassword::From(_)) | None) => {}
            }
        }
        let shared = Some(shared).filter(|names| !names.is_empty());
        let all = shared.into_iter().chain(own);
        all.map(|hosts| {
            let is_needed = hosts.iter().any(|host| of.is_needed(host));
            SudoQuestion { hosts, is_needed }
        })
        .collect()
    }
}

/// The hosts on which something of a run runs as root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootHosts {
    /// Those that are deployed.
    pub deployed: Vec<String>,
    /// Those that build for them.
    pub builders: Vec<String>,
    /// Those that are only asked whether a budget has a place: a run may do without their answer.
    pub asked: Vec<String>,
}

impl RootHosts {
    /// Returns whether a run cannot do without a host.
    pub fn is_needed(&self, host: &String) -> bool {
        self.deployed.contains(host) || self.builders.contains(host)
    }
}

/// A password of sudo that a person is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SudoQuestion {
    /// The hosts that it is for.
    pub hosts: Vec<String>,
    /// Whether a run cannot do without it.
    pub is_needed: bool,
}
