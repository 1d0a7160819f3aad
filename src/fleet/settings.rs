//! The checked fleet: what `hosts.toml` means.

use crate::fleet::{
    ActivationSettings, Alarms, Budget, Host, KeyBinding, Plan, Rollout, RootAccess, Strategy,
    Tier, Trust,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Where Nix expressions are evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evaluate {
    /// Here when this machine has Nix 2.18 or newer, else on the builder.
    #[default]
    Auto,
    /// On this machine.
    Here,
    /// On the builder, from a copy of the flake's source.
    Builder,
}

/// Figures that the person wants to reach.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Targets {
    /// The hit rate that is wanted, 0 to 1.
    pub hit_rate: Option<f64>,
}

/// How much is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How much the logs of one run may take on disk, in bytes; at least 1 MB. Of more the middle
    /// is left out.
    pub max_run_size: u64,
    /// How long the logs of a run are kept after its end; at least an hour.
    pub max_logs_age: Duration,
    /// How much the logs of all runs may take on disk together, in bytes; at least 1 MB. Of more the
    /// oldest are removed.
    pub max_logs_size: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            max_run_size: 1_000_000_000,
            max_logs_age: Duration::from_secs(365 * 86_400),
            max_logs_size: 10_000_000_000,
        }
    }
}

/// How the terminal tells of a run that needs somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NotifyWay {
    /// A bell, and a notification of the desktop by the way that the terminal knows.
    #[default]
    Auto,
    /// A bell alone.
    Bell,
    /// A bell and OSC 9: iTerm2, kitty, ghostty, Windows Terminal.
    Osc9,
    /// A bell and OSC 777: rxvt, foot, terminals made with VTE.
    Osc777,
    /// Nothing.
    Off,
}

impl NotifyWay {
    /// Every way, by the word that stands for it in hosts.toml.
    pub const WORDS: [(&str, Self); 5] = [
        ("auto", Self::Auto),
        ("bell", Self::Bell),
        ("osc9", Self::Osc9),
        ("osc777", Self::Osc777),
        ("off", Self::Off),
    ];
}

/// A whole fleet: settings, hosts and tiers, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Fleet {
    /// The file this was read from; none when nixdash shows this machine only.
    pub file: Option<PathBuf>,
    /// Whether what it names may be used.
    pub trust: Trust,
    /// A flake reference, or the folder of a flake, in which `nixosConfigurations.NAME` are.
    pub flake: Option<String>,
    /// Name of the host that builds.
    pub builder: Option<String>,
    /// Names of hosts that build for hosts of one system (`aarch64-linux`) instead.
    pub builders: BTreeMap<String, String>,
    /// The strategy of hosts that name none.
    pub strategy: Strategy,
    /// Where to evaluate.
    pub evaluate: Evaluate,
    /// A configuration file for ssh instead of the person's own.
    pub ssh_config: Option<PathBuf>,
    /// How long a freshly activated host waits for the acknowledgement before it goes back.
    pub confirm_timeout: Duration,
    /// Settings of activations, for hosts that have none of their own.
    pub activation: ActivationSettings,
    /// How login users become root, on hosts that say nothing else.
    pub root_access: RootAccess,
    /// Whether the fetch may add the tier and its key to what the target trusts (first deploys).
    pub bootstrap_trust: bool,
    /// The hosts, in the file's order.
    pub hosts: Vec<Host>,
    /// The tiers, in the order that is meant.
    pub tiers: Vec<Tier>,
    /// How a run moves over hosts.
    pub rollout: Rollout,
    /// How many hosts of a tag may be in flight at once, over all runs.
    pub budgets: Vec<Budget>,
    /// What the person wants to reach.
    pub targets: Targets,
    /// How much is kept.
    pub retention: Retention,
    /// When a figure is a finding, and what is silenced.
    pub alarms: Alarms,
    /// A Prometheus server to draw trends from, instead of from the history here.
    pub prometheus: Option<String>,
    /// Name of the colour theme.
    pub theme: Option<String>,
    /// Whether the dashboard hears of the mouse.
    pub mouse: bool,
    /// How the terminal tells of a run that needs somebody.
    pub notify: NotifyWay,
    /// Whether the dashboard begins as it was left.
    pub restore: bool,
    /// Which keys commands of the dashboard have instead of their usual ones, in the file's order.
    pub key_bindings: Vec<KeyBinding>,
    /// Whether this nixdash was started with `--read-only`: it changes nothing.
    pub read_only: bool,
}

impl Fleet {
    /// Returns the host of that name.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// Returns the tier of that name.
    pub fn tier(&self, name: &str) -> Option<&Tier> {
        self.tiers.iter().find(|tier| tier.name == name)
    }

    /// Returns the tier that a deploy publishes to: the first that serves the builder's store.
    pub fn publish_tier(&self) -> Option<&Tier> {
        self.tier_of(self.builder.as_deref()?)
    }

    /// Returns the first tier that serves the store of a host.
    pub fn tier_of(&self, builder: &str) -> Option<&Tier> {
        self.tiers.iter().find(|tier| tier.host.as_deref() == Some(builder))
    }

    /// Returns the flake that a host's configuration is in.
    pub fn flake_of<'a>(&'a self, host: &'a Host) -> Option<&'a str> {
        host.flake.as_deref().or(self.flake.as_deref())
    }

    /// Returns the flake that the revision of a plan is of: the fleet's, or where no host gets what that says now, that
    /// of the hosts.
    pub fn flake_of_plan<'a>(&'a self, plan: &Plan) -> Option<&'a str> {
        match plan.hosts.first() {
            Some(host) if plan.source.is_none() => self.flake_of(self.host(&host.host)?),
            Some(_) | None => self.flake.as_deref(),
        }
    }

    /// Returns the name of the host that builds for a host unless it builds itself: its own builder,
    /// that of its system, or the fleet's.
    pub fn builder_of<'a>(&'a self, host: &'a Host) -> Option<&'a str> {
        self.builder_for(host, host.system.as_deref())
    }

    /// Returns the same of a host that is known to be of this system.
    pub fn builder_for<'a>(&'a self, host: &'a Host, system: Option<&str>) -> Option<&'a str> {
        let of_system = || self.builders.get(system?).map(String::as_str);
        host.builder.as_deref().or_else(of_system).or(self.builder.as_deref())
    }

    /// Returns whether a host builds for others, or may.
    pub fn builds(&self, name: &str) -> bool {
        let mut named = self.builder.iter().chain(self.builders.values());
        named.any(|builder| builder == name)
            || self.hosts.iter().any(|host| host.builder.as_deref() == Some(name))
    }

    /// Returns the strategy that holds for a host.
    pub fn strategy_of(&self, host: &Host) -> Strategy {
        host.strategy.unwrap_or(self.strategy)
    }

    /// Returns the name of the host that builds for a host; none where the fleet names no builder.
    pub fn build_on<'a>(&'a self, host: &'a Host) -> Option<&'a str> {
        self.build_on_by(host, self.strategy_of(host))
    }

    /// Returns the same where a host is deployed by this strategy.
    pub fn build_on_by<'a>(&'a self, host: &'a Host, strategy: Strategy) -> Option<&'a str> {
        match strategy {
            Strategy::Direct => Some(&host.name),
            Strategy::ViaCache | Strategy::Push => self.builder_of(host),
            Strategy::Auto => self.builder_of(host).or(Some(&host.name)),
        }
    }
}
