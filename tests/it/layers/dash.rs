//! The floors inside of the screen, as the table in `src/dash/mod.rs` tells them.

use super::source;
use super::uses::{self, Names};
use std::collections::BTreeMap;
use std::fs;

/// Views that show the details of what is selected in them: the view, and the folder of the details.
const SHOWS: [(&str, &str); 2] = [("fleet", "host"), ("caches", "cache")];

/// Returns the modules of each floor, from the top down, out of the first column of the table.
fn floors() -> Vec<Vec<Names>> {
    let text = fs::read_to_string(source().join("dash/mod.rs")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | `"));
    let of_row = |row: &str| -> Vec<Names> {
        let first = row.split(" | ").next().unwrap_or_default();
        let names = first.split('`').filter(|name| !name.trim().is_empty());
        names.map(|name| name.split("::").map(str::to_owned).collect()).collect()
    };
    rows.map(of_row).collect()
}

/// Returns on which floor a module of the screen is: that of the longest name that it begins with.
fn floor_of(floors: &[Vec<Names>], module: &[String]) -> Option<usize> {
    let known = floors.iter().enumerate().flat_map(|(floor, names)| {
        let fitting = names.iter().filter(|name| module.starts_with(name));
        fitting.map(move |name| (name.len(), floor))
    });
    known.max_by_key(|(length, _)| *length).map(|(_, floor)| floor)
}

/// Returns the modules of the screen, without the demonstration, and those that each of them uses; all
/// without `dash`.
fn modules() -> BTreeMap<Names, Vec<Names>> {
    let all = uses::read();
    let inside = |names: &Names| {
        let rest = names.strip_prefix(&["dash".to_owned()])?;
        let is_code = rest.first().is_some_and(|first| !first.starts_with("demo"));
        is_code.then(|| rest.to_vec())
    };
    let edges = uses::edges(&all).into_iter();
    let of = edges.filter_map(|(file, used)| {
        Some((inside(&file)?, used.iter().filter_map(inside).collect()))
    });
    of.collect()
}

#[test]
fn no_file_of_the_screen_uses_one_on_a_floor_below_it() {
    let floors = floors();
    assert!(floors.len() > 5, "the table is gone: {floors:?}");
    let mut wrong = Vec::new();
    for (file, used) in modules() {
        let Some(floor) = floor_of(&floors, &file) else {
            wrong.push(format!("{} is on no floor", file.join("::")));
            continue;
        };
        let below = used.iter().filter(|other| floor_of(&floors, other) > Some(floor));
        wrong.extend(below.map(|other| format!("{} uses {}", file.join("::"), other.join("::"))));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_view_uses_another_one() {
    let view = |module: &Names| {
        let is_folder = |name: &&String| source().join("dash/panes").join(name).is_dir();
        module.get(1).filter(|_| module[0] == "panes").filter(is_folder).cloned()
    };
    let mut wrong = Vec::new();
    let mut shown = Vec::new();
    for (file, used) in modules() {
        let Some(one) = view(&file) else { continue };
        for other in used.iter().filter_map(view).filter(|other| *other != one) {
            match SHOWS.iter().find(|(view, details)| *view == one && *details == other) {
                Some(known) => shown.push(known),
                None => wrong.push(format!("{} uses {other}", file.join("::"))),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(SHOWS.iter().all(|known| shown.contains(&known)), "one is gone: {shown:?}");
}
