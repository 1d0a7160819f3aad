//! Holdings of three tiers, path by path.

use super::*;

const NOW: Timestamp = Timestamp::constant(1_795_000_000, 0);
const EARLIER: Timestamp = Timestamp::constant(1_794_990_000, 0);
const MISSED: Timestamp = Timestamp::constant(1_794_995_000, 0);

/// Makes a path of a size, named after a letter.
fn path(letter: char, nar_size: u64) -> ClosurePath {
    let hash = letter.to_string().repeat(32);
    let path = StorePath::parse(&format!("/nix/store/{hash}-{letter}-1.0")).unwrap();
    ClosurePath { path, nar_size }
}

/// Makes a closure of paths of 100 bytes each.
fn closure(letters: &str) -> Vec<ClosurePath> {
    letters.chars().map(|letter| path(letter, 100)).collect()
}

/// Answers for tiers by the letters that they hold; `?` before a letter means no answer.
fn said<'a>(tiers: &'a [(&str, &str)]) -> impl Fn(&str, &StorePath) -> Option<Said> + 'a {
    move |tier, path| {
        let (_, letters) = tiers.iter().find(|(name, _)| *name == tier)?;
        let letter = path.name().chars().next()?;
        if letters.contains(&format!("?{letter}")) {
            return None;
        }
        Some(Said { holds: letters.contains(letter), at: NOW })
    }
}

fn held(letter: char, lost_at: Option<Timestamp>) -> HeldPath {
    HeldPath { path: path(letter, 0).path, held_at: EARLIER, lost_at }
}

#[test]
fn what_only_one_tier_holds_is_counted_once_over_all_closures_and_the_biggest_come_first() {
    let (razer, samsung) = ([path('a', 10), path('b', 20), path('c', 30)], closure("bd"));
    let tiers = [("p620", "abcd"), ("nixos", "a"), ("weed", "")];
    let names = tiers.map(|(name, _)| name);
    let holdings = Holdings::new([&razer[..], &samsung[..]], names, said(&tiers));
    let unique = holdings.unique("p620", 2).unwrap();
    let bytes = 20 + 30 + 100;
    assert_eq!(unique.only_here, Fetched { paths: 3, bytes, ..Fetched::default() });
    let names: Vec<&str> = unique.biggest.iter().map(|entry| entry.path.name()).collect();
    assert_eq!(names, ["d-1.0", "c-1.0", "b-1.0"]);
    assert_eq!((unique.measured_at, unique.closures), (NOW, 2));
    assert_eq!(holdings.unique("nixos", 2).unwrap().only_here, Fetched::default());
}

#[test]
fn what_a_silent_tier_may_hold_too_is_in_doubt_and_not_unique() {
    let paths = closure("ab");
    let tiers = [("p620", "ab"), ("nixos", "?a")];
    let holdings = Holdings::new([&paths[..]], ["p620", "nixos"], said(&tiers));
    let unique = holdings.unique("p620", 1).unwrap();
    assert_eq!((unique.only_here.paths, unique.doubtful.paths), (1, 1));
    assert_eq!(unique.silent.iter().collect::<Vec<_>>(), ["nixos"]);
    let silent = [("p620", "ab"), ("nixos", "?a?b")];
    let holdings = Holdings::new([&paths[..]], ["p620", "nixos"], said(&silent));
    assert_eq!(holdings.unique("nixos", 1), None, "a tier that said nothing has no figure");
    assert_eq!(holdings.shared("p620", "nixos"), None);
}

#[test]
fn two_tiers_hold_the_same_as_far_as_the_second_holds_what_the_first_does() {
    let paths = closure("abcd");
    let tiers = [("p620", "abcd"), ("nixos", "abc")];
    let holdings = Holdings::new([&paths[..]], ["p620", "nixos"], said(&tiers));
    assert_eq!(holdings.shared("p620", "nixos"), Some(Share { have: 300, total: 400 }));
    assert_eq!(holdings.shared("nixos", "p620"), Some(Share { have: 300, total: 300 }));
}

#[test]
fn a_fall_of_five_points_names_the_biggest_lost_paths_and_a_smaller_one_is_nothing() {
    let letters = "0123456789abcdfghijk";
    let mut paths = closure(letters);
    paths[3].nar_size = 900;
    let tiers = [("p620", "0124567 89abcdfghijk"), ("nixos", "3")];
    let holdings = Holdings::new([&paths[..]], ["p620", "nixos"], said(&tiers));
    let before = [held('3', Some(MISSED)), held('4', None)];
    let found = holdings.lost("p620", &[("razer", &paths)], &before).unwrap();
    let fall =
        CoverageFall { before: Share { have: 20, total: 20 }, now: Share { have: 19, total: 20 } };
    assert_eq!(found.hosts, BTreeMap::from([("razer".to_owned(), fall)]));
    assert_eq!((found.lost.paths, found.lost.bytes), (1, 900));
    assert_eq!(found.biggest[0].path.name(), "3-1.0");
    assert_eq!((found.since, found.held_at), (MISSED, EARLIER));
    assert_eq!(found.nowhere, Fetched::default(), "another tier holds it");
    // One of 40 paths, and of 40 equal sizes: two and a half points.
    let more = closure("0123456789abcdfghijklmnpqrsvwxyz");
    let tiers = [("p620", "0124567 89abcdfghijklmnpqrsvwxyz")];
    let holdings = Holdings::new([&more[..]], ["p620"], said(&tiers));
    assert_eq!(holdings.lost("p620", &[("razer", &more)], &before[..1]), None);
}

#[test]
fn what_was_never_held_or_is_not_answered_for_is_not_lost() {
    let paths = closure("ab");
    let before = [held('a', None)];
    let lost = |letters: &str, before: &[HeldPath]| {
        let tiers = [("p620", letters)];
        let holdings = Holdings::new([&paths[..]], ["p620"], said(&tiers));
        holdings.lost("p620", &[("razer", &paths)], before)
    };
    assert_eq!(lost("b", &[]), None, "nobody saw it there");
    assert_eq!(lost("?a b", &before), None, "a tier that is silent has lost nothing");
    assert_eq!(lost("ab", &before), None);
    let found = lost("b", &before).unwrap();
    assert_eq!(found.since, NOW, "missed for the first time now");
    assert_eq!(found.nowhere.paths, 1);
    // What another nixdash heard after this answer is newer than it.
    let newer = [HeldPath { held_at: NOW, ..before[0].clone() }];
    assert_eq!(lost("b", &newer), None);
}
