//! What nixdash makes of a narinfo, compared with what real Nix makes of it.
//!
//! Each narinfo is served over local HTTP as the only cache, to a Nix with an empty store and an
//! empty cache of its own. `NIXDASH_NIX_ROOTS` names file systems with a Nix in them, separated by
//! colons; `tests/run.sh` makes two from Debian packages (2.26 and 2.34). What is known of 2.35 and
//! newer comes from its source and is not compared here.

mod cache;
mod cache_info;
mod nix;
mod random;
mod table;
mod variants;

use cache::{Cache, Item, Maker};
use nix::{Found, RealNix};
use nixdash::nix::narinfo::{NarSeen, Verdict, verdict};
use std::collections::BTreeMap;

/// How many narinfos are made and compared; the random ones have a fixed seed.
const COUNT: usize = 400;

/// Returns what nixdash says of an item, in the words of the comparison.
fn ours(item: &Item, nix: &RealNix, maker: &Maker) -> Found {
    let nar =
        NarSeen::Whole { start: item.start, hash: &item.nar_hash, size: item.nar.len() as u64 };
    let keys = [maker.key()];
    match verdict(&item.text, &item.path, nix.rules, &keys, nar) {
        Verdict::RefusedAtParse(_) => Found::RefusedAtParse,
        Verdict::OfAnotherPath(_) => Found::OfAnotherPath,
        Verdict::RefusedAtImport(_) => Found::RefusedAtImport,
        Verdict::Unsigned => Found::Unsigned,
        Verdict::Taken => Found::Taken,
        Verdict::NotKnown => Found::NotKnown,
    }
}

/// Compares every item with a Nix; returns the differences, each in a line.
fn differences(nix: &RealNix, items: &[Item], maker: &Maker) -> Vec<String> {
    let cache = Cache::serve(items, maker);
    let expected: Vec<(&Item, Found)> =
        items.iter().map(|item| (item, ours(item, nix, maker))).collect();
    let found = nix.judge(&cache, &expected, &maker.key().text);
    let mut counts: BTreeMap<Found, usize> = BTreeMap::new();
    let mut lines = Vec::new();
    for ((item, ours), (theirs, said)) in expected.iter().zip(&found) {
        *counts.entry(*theirs).or_default() += 1;
        if ours != theirs {
            lines.push(format!(
                "{} ({}): Nix {theirs:?}, nixdash {ours:?}\n  said: {}\n{:?}",
                item.name,
                nix.version,
                said.trim(),
                item.text
            ));
        }
    }
    println!("Nix {}: {} narinfos compared: {counts:?}", nix.version, items.len());
    lines
}

#[test]
#[ignore = "needs file systems with other versions of Nix; tests/run.sh makes them"]
fn nixdash_makes_of_a_narinfo_what_nix_makes_of_it() {
    let maker = Maker::new();
    let items = variants::all(&maker, COUNT);
    assert!(items.len() >= COUNT);
    let differences: Vec<String> =
        RealNix::all().iter().flat_map(|nix| differences(nix, &items, &maker)).collect();
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}

#[test]
#[ignore = "needs file systems with other versions of Nix; tests/run.sh makes them"]
fn the_table_of_malformed_caches_is_what_nix_makes_of_them() {
    let maker = Maker::new();
    let items = variants::malformed(&maker);
    let rows = table::rows();
    for nix in RealNix::all() {
        let lines = differences(&nix, &items, &maker);
        assert!(lines.is_empty(), "{}", lines.join("\n"));
        for item in &items {
            let kept = rows.get(&item.name).and_then(|row| row.get(nix.column()));
            let word = ours(item, &nix, &maker).word();
            assert_eq!(kept.map(String::as_str), Some(word), "{} {}", item.name, nix.version);
        }
    }
}

#[test]
fn the_table_of_malformed_caches_is_what_nixdash_says() {
    let maker = Maker::new();
    table::check(&table::text(&variants::malformed(&maker), &maker));
}
