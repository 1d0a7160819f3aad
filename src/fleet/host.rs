//! A machine of the fleet and the addresses it answers at.

use crate::fleet::{ActivationSettings, Goal, Hook, RootAccess, Strategy, WakeOnLan};
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// One way to reach a host over ssh: `[user@]host[:port]`.
///
/// What is missing is left to the person's `~/.ssh/config`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Address {
    /// The login name, when the address names one.
    pub user: Option<String>,
    /// A host name, an alias of `~/.ssh/config`, or an IP address (IPv6 without brackets).
    pub host: String,
    /// The port, when the address names one.
    pub port: Option<u16>,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match self.port {
            Some(port) if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

/// A machine of the fleet; it may be builder, cache and target at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The name in `hosts.toml`; unique in the fleet.
    pub name: String,
    /// Ways to reach it, tried in order; empty means: this machine, without ssh.
    pub addresses: Vec<Address>,
    /// Nix's system double, such as `x86_64-linux`.
    pub system: Option<String>,
    /// Words for selectors: `@laptop`.
    pub tags: Vec<String>,
    /// Deploys only when its name is typed.
    pub protected: bool,
    /// Nothing is changed there: it is only looked at.
    pub read_only: bool,
    /// Shell commands that must succeed on the host after an activation, run as root.
    pub check: Vec<String>,
    /// Commands before and after what deploys do.
    pub hooks: Vec<Hook>,
    /// The attribute below `nixosConfigurations`.
    pub attribute: String,
    /// The flake that its configuration is in, instead of the fleet's.
    pub flake: Option<String>,
    /// The host that builds for it, instead of the fleet's builder.
    pub builder: Option<String>,
    /// A file on this host with the secret key that it signs with what it builds and pushes.
    pub sign_key: Option<String>,
    /// The host's own strategy, instead of the fleet's.
    pub strategy: Option<Strategy>,
    /// What a deploy does there, where the person names no action; none: it switches.
    pub action: Option<Goal>,
    /// The host's own time to wait for an acknowledgement, instead of the fleet's.
    pub confirm_timeout: Option<Duration>,
    /// The host's own settings of activations, instead of the fleet's.
    pub activation: ActivationSettings,
    /// How it is woken when it sleeps; none: it is not.
    pub wake: Option<WakeOnLan>,
    /// How the login user becomes root, instead of the fleet's way.
    pub root_access: RootAccess,
}

impl Host {
    /// Returns whether the host is this machine, reached without ssh.
    pub fn is_local(&self) -> bool {
        self.addresses.is_empty()
    }
}
