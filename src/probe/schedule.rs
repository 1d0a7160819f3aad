//! When to ask again.

use crate::fleet::{HostState, Tier};
use crate::nix::s3_url::web_url;
use std::time::Duration;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// A host.
    Host,
    /// A tier in the own network.
    LanTier,
    /// A public tier: somebody else's, asked seldom.
    PublicTier,
    /// GitHub, which counts requests by the hour.
    GithubTier,
    /// A host's store and closure.
    Store,
}

impl Pace {
    /// Returns the time between two successful probes.
    pub fn interval(self) -> Duration {
        Duration::from_secs(match self {
            Self::Host => 5,
            Self::LanTier => 10,
            Self::PublicTier => 60,
            Self::GithubTier => 5 * 60,
            Self::Store => 15 * 60,
        })
    }

    /// Returns what a tier is by where it is: in the own network when it serves a host's store, or its
    /// address is private or has no public name.
    pub fn of_address(tier: &Tier) -> Self {
        let host = reqwest::Url::parse(&web_url(tier))
            .ok()
            .and_then(|url| url.host_str().map(str::to_ascii_lowercase))
            .unwrap_or_default();
        let serves_a_host = tier.host.is_some();
        let private_name = !host.contains('.')
            || [".lan", ".local", ".home", ".internal", ".home.arpa"]
                .iter()
                .any(|ending| host.ends_with(ending));
        let private_address = match host.trim_matches(['[', ']']).parse() {
            Ok(std::net::IpAddr::V4(v4)) => {
                let [a, b, ..] = v4.octets();
                v4.is_private() || v4.is_loopback() || v4.is_link_local()
                    // Addresses of overlay networks such as tailscale's (RFC 6598).
                    || (a == 100 && (64..128).contains(&b))
            }
            Ok(std::net::IpAddr::V6(v6)) => {
                v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()
            }
            Err(_) => false,
        };
        if serves_a_host || private_name || private_address {
            Self::LanTier
        } else {
            Self::PublicTier
        }
    }
}

/// The longest time that failures alone stretch the interval to.
const BACKOFF_LIMIT: Duration = Duration::from_secs(60);

/// The shortest time between two probes of a tier, whatever is asked for.
pub(super) const SHORTEST: Duration = Duration::from_secs(1);

/// Returns how long to wait after a probe.
///
/// `failures` counts the failed probes in a row: each doubles the interval, to a minute at most
/// (or the interval itself, where that is longer). `jitter` is a number from 0 to 1 that spreads
/// the time by ±10 %.
pub fn next_delay(interval: Duration, failures: u32, jitter: f64) -> Duration {
    let limit = interval.max(BACKOFF_LIMIT);
    let stretched = interval.saturating_mul(2_u32.saturating_pow(failures.min(10))).min(limit);
    stretched.mul_f64(0.9 + 0.2 * jitter.clamp(0.0, 1.0))
}

/// Time between two new logins to a host that answers: a kept connection proves nothing about
/// whether somebody can log in.
const PROOF: Duration = Duration::from_secs(60);

/// The shortest time between two tries of a login that was refused, whoever asks for it.
const REFUSED_SHORTEST: Duration = Duration::from_secs(20);

/// How long to wait after a refused login, at first and at most: OpenSSH 9.8 and later lock an
/// address out that fails again and again.
const REFUSED: (Duration, Duration) = (Duration::from_secs(2 * 60), Duration::from_secs(15 * 60));

/// When a host is asked over a new login instead of its kept connection.
///
/// Times are those since the first look.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LoginSchedule {
    /// When the next new login is due.
    due: Duration,
    /// Whether only a new login can say how the host is: one failed, or somebody else saw it fail.
    doubted: bool,
    /// Refused logins in a row, and when the last one was.
    refusals: u32,
    refused_at: Duration,
}

impl LoginSchedule {
    /// Begins; `spread` is a number from 0 to 1 that keeps the logins of many hosts apart. The
    /// first look makes a connection anyway.
    pub(super) fn new(spread: f64) -> Self {
        let due = PROOF.mul_f64(0.5 + spread.clamp(0.0, 1.0));
        Self { due, doubted: false, refusals: 0, refused_at: Duration::ZERO }
    }

    /// Notes that somebody else could not log in, or that much may have changed.
    pub(super) fn doubt(&mut self) {
        self.doubted = true;
    }

    /// Returns whether the next look is over a new login. A key that asks to be touched is never
    /// asked for only to see whether it is well.
    pub(super) fn is_due(&self, now: Duration, asks_for_touch: bool) -> bool {
        self.refusals > 0 || (!asks_for_touch && (self.doubted || now >= self.due))
    }

    /// Returns how long a refused login is to rest yet, though somebody wants to know now.
    pub(super) fn rest(&self, now: Duration) -> Option<Duration> {
        let until = self.refused_at + REFUSED_SHORTEST;
        (self.refusals > 0 && now < until).then(|| until.saturating_sub(now))
    }

    /// Notes how a look ended.
    pub(super) fn note(&mut self, fresh: bool, state: HostState, now: Duration, jitter: f64) {
        if state == HostState::Denied {
            self.refusals = self.refusals.saturating_add(1);
            self.refused_at = now;
        } else {
            self.refusals = 0;
        }
        if fresh {
            self.doubted = !state.has_answered();
            self.due = now + PROOF.mul_f64(0.9 + 0.2 * jitter.clamp(0.0, 1.0));
        }
    }

    /// Returns how long to wait after a refused login; nothing when the last one was not.
    pub(super) fn delay(&self, jitter: f64) -> Option<Duration> {
        let doublings = self.refusals.checked_sub(1)?.min(10);
        let (first, most) = REFUSED;
        let delay = first.saturating_mul(2_u32.saturating_pow(doublings)).min(most);
        Some(delay.mul_f64(0.9 + 0.2 * jitter.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::KindName;

    #[test]
    fn failures_stretch_the_interval_to_a_minute() {
        let seconds: Vec<u64> =
            (0..7).map(|n| next_delay(Pace::Host.interval(), n, 0.5).as_secs()).collect();
        assert_eq!(seconds, [5, 10, 20, 40, 60, 60, 60]);
        assert_eq!(next_delay(Pace::PublicTier.interval(), 3, 0.5).as_secs(), 60);
        assert_eq!(next_delay(Pace::Store.interval(), 9, 0.5).as_secs(), 900);
        assert_eq!(next_delay(Pace::Host.interval(), u32::MAX, 0.5).as_secs(), 60);
    }

    /// Returns a time of so many seconds.
    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_new_login_is_due_about_once_a_minute_and_spread_out() {
        let (early, late) = (LoginSchedule::new(0.0), LoginSchedule::new(1.0));
        assert!(!early.is_due(at(29), false) && early.is_due(at(30), false));
        assert!(!late.is_due(at(89), false) && late.is_due(at(90), false));
        let mut logins = early;
        logins.note(true, HostState::Up, at(30), 0.5);
        assert!(!logins.is_due(at(89), false) && logins.is_due(at(90), false));
        logins.note(false, HostState::Up, at(95), 0.5);
        assert!(logins.is_due(at(95), false), "the kept connection proves nothing");
    }

    #[test]
    fn a_login_that_failed_is_proved_by_another_login_alone() {
        let mut logins = LoginSchedule::new(0.5);
        logins.note(true, HostState::Offline, at(60), 0.5);
        assert!(logins.is_due(at(61), false));
        logins.note(true, HostState::Up, at(62), 0.5);
        assert!(!logins.is_due(at(63), false));
        logins.doubt();
        assert!(logins.is_due(at(64), false), "a run said otherwise");
    }

    #[test]
    fn a_key_that_asks_to_be_touched_is_left_alone() {
        let mut logins = LoginSchedule::new(0.0);
        logins.doubt();
        assert!(!logins.is_due(at(3600), true));
    }

    #[test]
    fn a_refused_login_is_tried_again_after_minutes_also_when_somebody_insists() {
        let mut logins = LoginSchedule::new(0.5);
        let mut minutes = Vec::new();
        for _ in 0..5 {
            logins.note(true, HostState::Denied, at(100), 0.5);
            minutes.push(logins.delay(0.5).unwrap().as_secs() / 60);
        }
        assert_eq!(minutes, [2, 4, 8, 15, 15]);
        assert!(logins.is_due(at(101), false), "the kept connection is not asked instead");
        assert_eq!((logins.rest(at(105)), logins.rest(at(120))), (Some(at(15)), None));
        logins.note(true, HostState::Up, at(130), 0.5);
        assert_eq!((logins.delay(0.5), logins.rest(at(130))), (None, None));
    }

    #[test]
    fn jitter_is_a_tenth() {
        assert_eq!(next_delay(Pace::LanTier.interval(), 0, 0.0), Duration::from_secs(9));
        assert_eq!(next_delay(Pace::LanTier.interval(), 0, 1.0), Duration::from_secs(11));
    }

    #[test]
    fn a_private_address_is_in_the_own_network() {
        let tier = |url: &str| Tier::new("x", KindName::Http, url);
        for (url, target) in [
            ("http://10.0.0.5:5000", Pace::LanTier),
            ("http://[fd00::5]:5000", Pace::LanTier),
            ("http://100.64.0.2", Pace::LanTier),
            ("http://p620:5000", Pace::LanTier),
            ("http://p620.lan", Pace::LanTier),
            ("https://cache.nixos.org", Pace::PublicTier),
            ("https://nix-community.cachix.org", Pace::PublicTier),
            ("https://1.2.3.4", Pace::PublicTier),
        ] {
            assert_eq!(Pace::of_address(&tier(url)), target, "{url}");
        }
    }
}
