//! Where a system is built and how its bytes reach the target: what is asked for, and what is done.

use crate::fleet::Code;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a system is built and how its bytes reach the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Build on the builder, publish in its cache, let the target pull.
    #[default]
    ViaCache,
    /// Build on the target.
    Direct,
    /// Build on the builder, copy from there to the target over ssh.
    Push,
    /// The best of these for each host, by how the fleet is when the run begins.
    Auto,
}

impl Strategy {
    /// Every strategy, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::ViaCache, Self::Direct, Self::Push, Self::Auto];

    /// Returns the word of `hosts.toml` and the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::ViaCache => "via-cache",
            Self::Direct => "direct",
            Self::Push => "push",
            Self::Auto => "auto",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A way that was given up during a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUpRoute {
    /// The way.
    #[serde(flatten)]
    pub route: Route,
    /// Why.
    pub why: String,
    /// What kind of thing that is; none in the records of older runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

/// By which way a host really got its system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenRoute {
    /// The way.
    #[serde(flatten)]
    pub route: Route,
    /// Those that were given up before, the first first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given_up: Vec<GivenUpRoute>,
}

/// By which way one host of a run gets its system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "strategy", rename_all = "kebab-case")]
pub enum Route {
    /// It is built where it is to run.
    Direct,
    /// The builder builds it, and the target pulls it from a tier.
    ViaCache {
        /// The host that builds.
        builder: String,
        /// The tier.
        tier: String,
    },
    /// The builder builds it, and copies it to the target over ssh.
    Push {
        /// The host that builds.
        builder: String,
    },
}

impl Route {
    /// Returns the host that builds for a host.
    pub fn builder<'a>(&'a self, host: &'a str) -> &'a str {
        match self {
            Self::Direct => host,
            Self::ViaCache { builder, .. } | Self::Push { builder } => builder,
        }
    }

    /// Returns the tier that the target pulls from.
    pub fn tier(&self) -> Option<&str> {
        match self {
            Self::ViaCache { tier, .. } => Some(tier),
            Self::Direct | Self::Push { .. } => None,
        }
    }

    /// Returns whether the system is built elsewhere than where it is to run.
    pub fn travels(&self) -> bool {
        match self {
            Self::Direct => false,
            Self::ViaCache { .. } | Self::Push { .. } => true,
        }
    }

    /// Returns the way in words, as they stand behind "goes" or "by".
    pub fn words(&self) -> String {
        match self {
            Self::Direct => "direct".to_owned(),
            Self::ViaCache { tier, .. } => format!("via-cache from {tier}"),
            Self::Push { builder } => format!("push from {builder}"),
        }
    }

    /// Returns the strategy that it carries out.
    pub fn strategy(&self) -> Strategy {
        match self {
            Self::Direct => Strategy::Direct,
            Self::ViaCache { .. } => Strategy::ViaCache,
            Self::Push { .. } => Strategy::Push,
        }
    }
}
