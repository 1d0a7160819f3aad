//! What Nix does with a cache that fails: by program, version and settings.
//!
//! Read in the sources of Nix 2.5 to 2.35 (`http-binary-cache-store.cc`, `filetransfer.cc`,
//! `build/substitution-goal.cc`), of Lix 2.90 to 2.95 and of Determinate Nix 3.0 to 3.22, and tried
//! with Nix 2.26.3 and 2.34.8. Of every other release nothing is claimed.

use crate::fleet::{Reaction, WhenDown};
use crate::nix::settings::Settings;
use crate::nix::substituter::Substituter;
use crate::nix::version::{Implementation, NixRelease, Version};

/// How a cache fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheFailure {
    /// It does not answer, or with an error of the server.
    Down,
    /// It answers 401 or 407: it wants a login.
    Unauthorized,
    /// It answers 403, which a bucket also does for what is not there.
    Forbidden,
}

/// Releases that treat a failing cache alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behaviour {
    /// A cache that is down stops the build; a 401 is a miss.
    Stops,
    /// The next cache is asked; a 401 is a miss.
    AsksNext,
    /// The next cache is asked; a 401 is told as an error.
    AsksNextTells401,
}

/// How long the attempts to reach a cache take, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attempts {
    /// Where the address refuses at once: the pauses between them.
    refused_ms: u64,
    /// Where nothing answers: the time that each takes to give up, too.
    silent_ms: u64,
}

/// How long Linux tries to connect where Nix sets no limit, in milliseconds (`tcp_syn_retries` 6).
const KERNEL_MS: u64 = 127_000;

/// Most attempts that are counted: whoever sets more waits without end.
const MOST_ATTEMPTS: u64 = 100;

impl Behaviour {
    /// Returns how a release treats a failing cache; nothing for one whose source was not read.
    fn of(release: NixRelease) -> Option<Self> {
        let version = release.version;
        let within = |version: Version, from: (u32, u32), to: (u32, u32)| {
            let known = (version.major, version.minor);
            from <= known && known <= to
        };
        match release.implementation {
            Implementation::Nix if within(version, (2, 5), (2, 31)) => Some(Self::Stops),
            Implementation::Nix if within(version, (2, 32), (2, 34)) => Some(Self::AsksNext),
            Implementation::Nix if within(version, (2, 35), (2, 35)) => {
                Some(Self::AsksNextTells401)
            }
            Implementation::Lix if within(version, (2, 90), (2, 94)) => Some(Self::Stops),
            Implementation::Lix if within(version, (2, 95), (2, 95)) => Some(Self::AsksNext),
            Implementation::Determinate { own } if within(own, (3, 0), (3, 11)) => {
                Some(Self::Stops)
            }
            Implementation::Determinate { own } if within(own, (3, 12), (3, 20)) => {
                Some(Self::AsksNext)
            }
            Implementation::Determinate { own } if within(own, (3, 21), (3, 22)) => {
                Some(Self::AsksNextTells401)
            }
            Implementation::Nix
            | Implementation::Lix
            | Implementation::Determinate { .. }
            | Implementation::Other => None,
        }
    }
}

/// Returns what a release does when a cache that it keeps a record of fails at a narinfo; nothing
/// where that is not known.
pub fn reaction(release: NixRelease, fallback: bool, failure: CacheFailure) -> Option<Reaction> {
    let behaviour = Behaviour::of(release)?;
    let as_down = match (behaviour, fallback) {
        // Before 2.18 Nix may crash there: it throws where nobody catches.
        (_, true) if release.version < Version::new(2, 18, 0) => None,
        (_, true) => Some(Reaction::Skips),
        (Behaviour::Stops, false) => Some(Reaction::Stops),
        (Behaviour::AsksNext | Behaviour::AsksNextTells401, false) => Some(Reaction::NeedsAnother),
    };
    match (failure, behaviour) {
        (CacheFailure::Down, _) | (CacheFailure::Unauthorized, Behaviour::AsksNextTells401) => {
            as_down
        }
        (CacheFailure::Forbidden, _)
        | (CacheFailure::Unauthorized, Behaviour::Stops | Behaviour::AsksNext) => {
            Some(Reaction::SkipsSilently)
        }
    }
}

/// Returns what a release does when a cache fails at its `nix-cache-info`, which is read where the
/// host keeps no record of the cache: it warns and goes on without the cache.
pub fn reaction_without_record(release: NixRelease) -> Option<Reaction> {
    Behaviour::of(release).map(|_| Reaction::Skips)
}

/// Returns what happens on a host when a cache is down; nothing where that is not known.
///
/// `has_record` says whether the host keeps a record of the cache: without one Nix leaves it out
/// after the first attempts. Where that is not known, there is one, as with every cache in use.
pub fn when_down(
    release: NixRelease,
    settings: &Settings,
    cache: &Substituter,
    has_record: Option<bool>,
) -> Option<WhenDown> {
    let fallback = settings.flag("fallback")?;
    let reaction = match has_record {
        Some(false) => reaction_without_record(release)?,
        Some(true) | None => reaction(release, fallback, CacheFailure::Down)?,
    };
    let Attempts { refused_ms, silent_ms } = attempts(release, settings, cache)?;
    let each_path = reaction == Reaction::NeedsAnother;
    Some(WhenDown { reaction, each_path, refused_ms, silent_ms })
}

/// Returns how long a release tries to reach a cache.
fn attempts(release: NixRelease, settings: &Settings, cache: &Substituter) -> Option<Attempts> {
    let number = |name: &str| settings.number(name);
    let own =
        cache.retry_attempts.filter(|_| settings.get("filetransfer-retry-attempts").is_some());
    let count = own
        .map(u64::from)
        .or_else(|| number("filetransfer-retry-attempts"))
        .or_else(|| number("download-attempts"))?
        .clamp(1, MOST_ATTEMPTS);
    let pauses = || 0..count.saturating_sub(1);
    let doubled = |first: u64, times: u64| {
        first.saturating_mul(
            1_u64.checked_shl(u32::try_from(times).unwrap_or(63)).unwrap_or(u64::MAX),
        )
    };
    let refused_ms = match number("filetransfer-retry-delay") {
        Some(first) => {
            let longest = number("filetransfer-retry-max-delay").unwrap_or(u64::MAX);
            // With jitter, each pause lasts any time up to that; half of it on average.
            let part =
                if settings.flag("filetransfer-retry-jitter") == Some(false) { 1 } else { 2 };
            pauses().map(|at| doubled(first, at).min(longest) / part).fold(0, u64::saturating_add)
        }
        // 250 ms, doubled each time, times 2 to the power of 0 to 0.5: on average a fifth longer.
        None => {
            pauses().map(|at| doubled(250, at).saturating_mul(6) / 5).fold(0, u64::saturating_add)
        }
    };
    let limit = |seconds: u64| match seconds {
        0 => KERNEL_MS,
        seconds => seconds.saturating_mul(1000).min(KERNEL_MS),
    };
    let connecting = match (release.implementation, number("initial-connect-timeout")) {
        (Implementation::Lix, Some(first)) => {
            let longest = number("max-connect-timeout").unwrap_or(0);
            let most = limit(longest);
            let each = |at| limit(doubled(first, at)).min(most);
            (0..count).map(each).fold(0, u64::saturating_add)
        }
        _ => limit(number("connect-timeout")?).saturating_mul(count),
    };
    Some(Attempts { refused_ms, silent_ms: refused_ms.saturating_add(connecting) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(text: &str) -> NixRelease {
        NixRelease::parse(text).unwrap()
    }

    #[test]
    fn a_release_whose_source_was_not_read_is_not_known() {
        for text in [
            "nix (Nix) 2.36.0",
            "nix (Nix) 2.4.0",
            "nix (Lix, like Nix) 2.96.0",
            "nix (Determinate Nix 3.23.0) 2.36.0",
            "nix (Snix) 2.26.0",
        ] {
            for failure in [CacheFailure::Down, CacheFailure::Unauthorized, CacheFailure::Forbidden]
            {
                assert_eq!(reaction(release(text), false, failure), None, "{text}");
            }
            assert_eq!(reaction_without_record(release(text)), None, "{text}");
        }
        // It throws "substituter is disabled" past everybody (measured: 2.8.0 ends itself).
        assert_eq!(reaction(release("nix (Nix) 2.8.0"), true, CacheFailure::Down), None);
    }

    #[test]
    fn lix_is_no_newer_nix() {
        let unauthorized = |text| reaction(release(text), false, CacheFailure::Unauthorized);
        assert_eq!(unauthorized("nix (Nix) 2.35.2"), Some(Reaction::NeedsAnother));
        assert_eq!(unauthorized("nix (Lix, like Nix) 2.93.0"), Some(Reaction::SkipsSilently));
    }

    #[test]
    fn what_happens_goes_by_program_version_and_fallback() {
        use Reaction::{NeedsAnother, Skips, SkipsSilently, Stops};
        for (text, down, unauthorized) in [
            ("nix (Nix) 2.8.0", Stops, SkipsSilently),
            ("nix (Nix) 2.26.3", Stops, SkipsSilently),
            ("nix (Nix) 2.31.5", Stops, SkipsSilently),
            ("nix (Nix) 2.32.0", NeedsAnother, SkipsSilently),
            ("nix (Nix) 2.34.8", NeedsAnother, SkipsSilently),
            ("nix (Nix) 2.35.0", NeedsAnother, NeedsAnother),
            ("nix (Lix, like Nix) 2.94.2", Stops, SkipsSilently),
            ("nix (Lix, like Nix) 2.95.3", NeedsAnother, SkipsSilently),
            ("nix (Determinate Nix 3.11.3) 2.31.2", Stops, SkipsSilently),
            ("nix (Determinate Nix 3.12.0) 2.32.1", NeedsAnother, SkipsSilently),
            ("nix (Determinate Nix 3.21.0) 2.34.6", NeedsAnother, NeedsAnother),
        ] {
            let found = |fallback, failure| reaction(release(text), fallback, failure).unwrap();
            assert_eq!(found(false, CacheFailure::Down), down, "{text}");
            assert_eq!(found(false, CacheFailure::Unauthorized), unauthorized, "{text}");
            assert_eq!(found(false, CacheFailure::Forbidden), SkipsSilently, "{text}");
            if text != "nix (Nix) 2.8.0" {
                assert_eq!(found(true, CacheFailure::Down), Skips, "{text}");
            }
            assert_eq!(reaction_without_record(release(text)), Some(Skips), "{text}");
        }
    }

    /// What happens with these settings when p620 is down.
    fn down(nix: &str, cache: &str, settings: &str, record: Option<bool>) -> Option<WhenDown> {
        let settings = Settings::parse(settings);
        when_down(release(nix), &settings, &Substituter::parse(cache), record)
    }

    #[test]
    fn the_time_that_a_cache_which_is_down_costs_follows_from_the_settings() {
        let five = "fallback = false\ndownload-attempts = 5\nconnect-timeout = 0\n";
        let found = down("nix (Nix) 2.26.3", "http://p620:5000", five, Some(true)).unwrap();
        assert_eq!((found.reaction, found.each_path), (Reaction::Stops, false));
        // Measured: 4.3 to 5 s.
        assert_eq!((found.refused_ms, found.silent_ms), (4500, 4500 + 5 * KERNEL_MS));
        let limited = five.replace("connect-timeout = 0", "connect-timeout = 15");
        let found = down("nix (Nix) 2.34.8", "http://p620:5000", &limited, None).unwrap();
        assert_eq!((found.reaction, found.each_path), (Reaction::NeedsAnother, true));
        assert_eq!(found.silent_ms, 4500 + 5 * 15_000);
        let newer = "fallback = true\nfiletransfer-retry-attempts = 5\nconnect-timeout = 5\n\
                     filetransfer-retry-delay = 100\nfiletransfer-retry-max-delay = 60000\n\
                     filetransfer-retry-jitter = true\n";
        let found = down("nix (Nix) 2.35.0", "http://p620:5000", newer, Some(true)).unwrap();
        assert_eq!((found.refused_ms, found.silent_ms), (750, 25_750));
        let once = "http://p620:5000?retry-attempts=1";
        let found = down("nix (Nix) 2.35.0", once, newer, Some(true)).unwrap();
        assert_eq!((found.refused_ms, found.silent_ms), (0, 5000));
        let lix = "fallback = false\ndownload-attempts = 3\ninitial-connect-timeout = 5\n\
                   max-connect-timeout = 8\n";
        let found = down("nix (Lix, like Nix) 2.94.0", once, lix, Some(true)).unwrap();
        assert_eq!((found.refused_ms, found.silent_ms), (900, 900 + 5000 + 8000 + 8000));
    }

    #[test]
    fn a_cache_without_a_record_is_left_out_by_every_release() {
        let five = "fallback = false\ndownload-attempts = 5\nconnect-timeout = 5\n";
        let found = down("nix (Nix) 2.26.3", "http://p620:5000", five, Some(false)).unwrap();
        assert_eq!((found.reaction, found.each_path), (Reaction::Skips, false));
    }

    #[test]
    fn settings_that_were_not_told_leave_it_unknown() {
        for settings in ["", "fallback = false\n", "fallback = maybe\ndownload-attempts = 5\n"] {
            assert_eq!(down("nix (Nix) 2.26.3", "http://p620:5000", settings, None), None);
        }
        let endless = "fallback = false\ndownload-attempts = 4294967295\nconnect-timeout = 1\n";
        assert!(down("nix (Nix) 2.26.3", "http://p620:5000", endless, None).is_some());
    }
}
