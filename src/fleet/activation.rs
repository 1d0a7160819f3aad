//! How a freshly activated system is watched before it is made permanent.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a fresh system must stay well when nothing else is written.
const SETTLE: Duration = Duration::from_secs(3);

/// How long it must stay well after an activation that touched what carries the network.
const SETTLE_NETWORK: Duration = Duration::from_secs(15);

/// How long an activation may take when nothing else is written.
const TIMEOUT: Duration = Duration::from_secs(600);

/// What answers a host that is connected, when nothing else is written: its gateway.
const CONNECTIVITY: &str = "gateway";

/// Settings of activations, as a host or the whole fleet has them; what is none is decided elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivationSettings {
    /// How long a fresh system must stay well, counted from the end of its activation, before it is
    /// made permanent.
    pub settle: Option<Duration>,
    /// How long switch-to-configuration may take.
    pub timeout: Option<Duration>,
    /// Whether a host that went back and stays cut off may restart itself.
    pub reboot_to_recover: Option<bool>,
    /// What answers a host that is connected: `gateway` or `HOST:PORT`.
    pub connectivity: Option<String>,
    /// Whether a system that nobody confirms is undone.
    pub magic_rollback: Option<bool>,
}

impl ActivationSettings {
    /// Returns these settings, and where they say nothing those.
    #[must_use]
    pub fn or(&self, those: &Self) -> Self {
        Self {
            settle: self.settle.or(those.settle),
            timeout: self.timeout.or(those.timeout),
            reboot_to_recover: self.reboot_to_recover.or(those.reboot_to_recover),
            connectivity: self.connectivity.clone().or_else(|| those.connectivity.clone()),
            magic_rollback: self.magic_rollback.or(those.magic_rollback),
        }
    }

    /// Returns how long a fresh system must stay well: what was written, else three seconds, or
    /// fifteen when the activation touched what carries the network: networks break late.
    pub fn settle(&self, touched_network: bool) -> Duration {
        self.settle.unwrap_or(if touched_network { SETTLE_NETWORK } else { SETTLE })
    }

    /// Returns how long switch-to-configuration may take.
    pub fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT)
    }

    /// Returns whether a host that went back and stays cut off may restart itself.
    pub fn may_reboot(&self) -> bool {
        self.reboot_to_recover.unwrap_or(false)
    }

    /// Returns whether a system that nobody confirms is undone: it is, unless hosts.toml says otherwise.
    pub fn magic_rollback(&self) -> bool {
        self.magic_rollback.unwrap_or(true)
    }

    /// Returns what answers a host that is connected.
    pub fn connectivity(&self) -> &str {
        self.connectivity.as_deref().unwrap_or(CONNECTIVITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_says_counts_before_what_the_fleet_says() {
        let seconds = |n| Some(Duration::from_secs(n));
        let host = ActivationSettings { settle: seconds(0), ..ActivationSettings::default() };
        let fleet = ActivationSettings {
            settle: seconds(9),
            timeout: seconds(60),
            ..ActivationSettings::default()
        };
        let both = host.or(&fleet);
        assert_eq!(both.settle(true), Duration::ZERO);
        assert_eq!(both.timeout(), Duration::from_secs(60));
        assert_eq!(both.connectivity(), "gateway");
        assert!(!both.may_reboot());
    }

    #[test]
    fn a_touched_network_settles_longer_unless_it_is_written_otherwise() {
        let none = ActivationSettings::default();
        assert_eq!(none.settle(false), Duration::from_secs(3));
        assert_eq!(none.settle(true), Duration::from_secs(15));
    }
}
