//! What tiers lost and what only they hold, in words.

use crate::fleet::{
    ClosurePath, Code, CoverageFall, Fetched, Finding, LostFacts, Share, Tier, UniqueFacts, bytes,
    number_of, percent,
};

/// How many paths a sentence names.
const NAMED: usize = 3;

/// Says that a tier lost paths of closures that hosts still have.
pub fn paths_lost(tier: &Tier, lost: &LostFacts) -> Finding {
    let falls: Vec<String> = lost
        .hosts
        .iter()
        .enumerate()
        .map(|(index, (host, fall))| fall_of(host, fall, index == 0))
        .collect();
    let since = lost.since.strftime("%Y-%m-%d %H:%M UTC");
    let cause = format!(
        "coverage {}: {} {} missing since {since}, the biggest {}{}",
        falls.join(", "),
        paths_of(lost.lost),
        if lost.lost.paths == 1 { "is" } else { "are" },
        named(&lost.biggest, NAMED),
        elsewhere(lost),
    );
    let fix = if lost.nowhere.paths > 0 {
        "publish them again while a host has them, and keep them with a pin, a root or a higher limit"
    } else {
        "see what its garbage collection removes, and keep what hosts run with a pin, a root or a \
         higher limit"
    };
    let finding = Finding::of_tier(tier, Code::PathsLost, &cause, fix);
    finding.in_short(&format!("lost {}", paths_in_short(lost.lost)))
}

/// Says how coverage of one host's closure fell; the first of several has the verb.
fn fall_of(host: &str, fall: &CoverageFall, is_first: bool) -> String {
    let fell = if is_first { " fell" } else { "" };
    let share = |share: Share| share.ratio().map_or_else(|| "–".to_owned(), percent);
    format!("of {host}{fell} from {} to {}", share(fall.before), share(fall.now))
}

/// Says where else what was lost is held.
fn elsewhere(lost: &LostFacts) -> String {
    match lost.nowhere.paths {
        0 => "; other caches hold all of them".to_owned(),
        count if count == lost.lost.paths => "; no other cache is known to hold them".to_owned(),
        count => {
            let size = bytes(lost.nowhere.bytes);
            format!("; no other cache is known to hold {count} of them ({size})")
        }
    }
}

/// Returns a number of paths with their size: `7 paths (230 MB)`.
fn paths_of(fetched: Fetched) -> String {
    format!("{} ({})", paths_in_short(fetched), bytes(fetched.bytes))
}

/// Returns a number of paths.
fn paths_in_short(fetched: Fetched) -> String {
    number_of(fetched.paths, "path")
}

/// Returns paths by name with their sizes, at most so many.
pub fn named(paths: &[ClosurePath], most: usize) -> String {
    let words: Vec<String> = paths
        .iter()
        .take(most)
        .map(|entry| format!("{} ({})", entry.path.name(), bytes(entry.nar_size)))
        .collect();
    words.join(", ")
}

/// Returns what only a tier holds, in one sentence without its age.
pub fn only_here(unique: &UniqueFacts) -> String {
    let closures = match unique.closures {
        1 => "of 1 system".to_owned(),
        count => format!("of {count} systems"),
    };
    let held = if unique.only_here.paths == 0 {
        format!("nothing {closures}")
    } else {
        let biggest = named(&unique.biggest, NAMED);
        format!("{} {closures}: {biggest}", paths_of(unique.only_here))
    };
    let doubtful = unique.doubtful;
    if doubtful.paths == 0 {
        return held;
    }
    let silent: Vec<&str> = unique.silent.iter().map(String::as_str).collect();
    format!("{held}; not known of {}, since {} did not say", paths_of(doubtful), silent.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{KindName, StorePath};
    use jiff::Timestamp;
    use std::collections::BTreeMap;

    fn path(name: &str, nar_size: u64) -> ClosurePath {
        let path = format!("/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-{name}");
        ClosurePath { path: StorePath::parse(&path).unwrap(), nar_size }
    }

    fn count(paths: u64, bytes: u64) -> Fetched {
        Fetched { paths, bytes, timed: None }
    }

    #[test]
    fn what_was_lost_says_whose_coverage_fell_and_names_the_biggest_paths() {
        let p620 = Tier::new("p620", KindName::NixServe, "http://p620:5000");
        let fall = CoverageFall {
            before: Share { have: 57, total: 57 },
            now: Share { have: 50, total: 57 },
        };
        let at: Timestamp = "2026-11-21T14:05:00Z".parse().unwrap();
        let mut lost = LostFacts {
            hosts: BTreeMap::from([("razer".to_owned(), fall), ("samsung".to_owned(), fall)]),
            lost: count(7, 230_000_000),
            nowhere: count(2, 99_000_000),
            biggest: vec![path("linux-6.12.58", 120_000_000), path("firefox-145.0", 90_000_000)],
            since: at,
            held_at: at,
        };
        let found = paths_lost(&p620, &lost);
        assert_eq!(
            found.cause,
            "coverage of razer fell from 100 % to 88 %, of samsung from 100 % to 88 %: 7 paths \
             (230 MB) are missing since 2026-11-21 14:05 UTC, the biggest linux-6.12.58 (120 MB), \
             firefox-145.0 (90.0 MB); no other cache is known to hold 2 of them (99.0 MB)"
        );
        assert_eq!((found.code, found.words()), (Code::PathsLost, "lost 7 paths"));
        lost.nowhere = Fetched::default();
        assert!(paths_lost(&p620, &lost).cause.ends_with("; other caches hold all of them"));
        lost.lost = count(1, 5);
        lost.nowhere = lost.lost;
        let one = paths_lost(&p620, &lost);
        assert!(one.cause.contains(": 1 path (5 B) is missing since"), "{}", one.cause);
        assert!(one.cause.ends_with("; no other cache is known to hold them"), "{}", one.cause);
    }

    #[test]
    fn what_only_one_tier_holds_says_what_is_not_known_too() {
        let mut unique = UniqueFacts { closures: 1, ..UniqueFacts::default() };
        assert_eq!(only_here(&unique), "nothing of 1 system");
        unique.closures = 3;
        unique.only_here = count(2, 300);
        unique.biggest = vec![path("a", 200), path("b", 100)];
        assert_eq!(only_here(&unique), "2 paths (300 B) of 3 systems: a (200 B), b (100 B)");
        unique.doubtful = count(1, 50);
        unique.silent = ["weed".to_owned()].into();
        assert!(
            only_here(&unique).ends_with("; not known of 1 path (50 B), since weed did not say")
        );
    }
}
