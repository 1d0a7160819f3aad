//! The floors of the house: a room uses the rooms above it, never those below.

mod dash;
mod uses;

use nixdash::fleet::redact;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, from the top floor down.
const ROOMS: [&str; 10] =
    ["fleet", "nix", "config", "remote", "record", "probe", "deploy", "lab", "dash", "cli"];

/// Returns all Rust files below a folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Returns the rooms that a file names as `crate::ROOM`, or in a group.
fn used(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let paths = uses::crate_paths(&lines.collect::<Vec<_>>().join("\n")).into_iter();
    let rooms = paths.filter_map(|path| path.into_iter().next());
    rooms.filter(|name| ROOMS.contains(&name.as_str())).collect()
}

/// Returns whether a file is one of tests.
fn is_test(file: &Path) -> bool {
    file.ends_with("tests.rs") || file.components().any(|part| part.as_os_str() == "tests")
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn no_room_uses_one_below_it() {
    let mut wrong = Vec::new();
    for (floor, room) in ROOMS.iter().enumerate() {
        for file in files(&source().join(room)) {
            let text = fs::read_to_string(&file).unwrap();
            for name in used(&text) {
                let below = ROOMS.iter().position(|room| *room == name).unwrap() > floor;
                // The screen shows a model and returns effects: it runs nothing itself.
                let runner =
                    *room == "dash" && ["remote", "probe", "deploy"].contains(&name.as_str());
                if below || runner {
                    wrong.push(format!("{} uses {name}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn pure_rooms_know_no_clock_and_do_no_io() {
    let forbidden = [
        "std::fs",
        "std::net::Tcp",
        "std::net::Udp",
        "ToSocketAddrs",
        "std::process",
        "tokio::",
        "Timestamp::now",
        "Instant::now",
        "SystemTime::now",
        "std::env",
    ];
    let mut wrong = Vec::new();
    let pure = files(&source().join("fleet"))
        .into_iter()
        .chain(files(&source().join("nix")))
        .chain(files(&source().join("config")))
        .chain(files(&source().join("deploy/machine")))
        .chain([source().join("deploy/setup.rs")]);
    for file in pure.filter(|file| !is_test(file)) {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for word in forbidden.iter().filter(|word| code.contains(**word)) {
            wrong.push(format!("{} has {word}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nobody_reads_a_sentence_to_learn_what_it_says() {
    let sentences = [
        ".cause",
        ".fix",
        ".sentence()",
        ".error()",
        "detail.text",
        "reason.text",
        "why.text",
        ".told()",
        "result.error",
    ];
    let readers = ["contains", "starts_with", "ends_with", "split", "find", "strip_prefix"];
    let mut wrong = Vec::new();
    for file in files(&source()).into_iter().filter(|file| !is_test(file)) {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for sentence in sentences {
            for reader in readers.map(|reader| format!("{sentence}.{reader}")) {
                if code.contains(&reader) {
                    wrong.push(format!("{} has {reader}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "a code or a severity says it: {wrong:#?}");
}

/// Returns the texts between quotes of Rust code, with `x` where a value is put in.
fn quoted(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n").replace("'\"'", "");
    let mut rest = code.as_str();
    while let Some((_, after)) = rest.split_once('"') {
        let mut end = after.len();
        let mut escaped = false;
        for (at, c) in after.char_indices() {
            if c == '"' && !escaped {
                end = at;
                break;
            }
            escaped = c == '\\' && !escaped;
        }
        let pieces: Vec<&str> = after[..end].split("\\\n").map(str::trim_start).collect();
        let text = pieces.concat();
        let parts = text.split('{').map(|part| part.split_once('}').map_or(part, |(_, rest)| rest));
        found.push(parts.collect::<Vec<_>>().join("x"));
        rest = after.get(end + 1..).unwrap_or_default();
    }
    found
}

#[test]
fn no_sentence_of_our_own_is_taken_for_a_secret() {
    assert_eq!(quoted("f(\"a \\\n  {b:?}\", '\"', \"c\\\"d\") // \"e\""), ["a x", "c\\\"d", "e"]);
    let mut wrong = Vec::new();
    for room in ["fleet/finding", "fleet/words", "remote", "probe", "deploy"] {
        let files = files(&source().join(room)).into_iter();
        for file in files.filter(|file| !is_test(file)) {
            let text = fs::read_to_string(&file).unwrap();
            let texts = quoted(text.split("#[cfg(test)]").next().unwrap()).into_iter();
            let sentences = texts.filter(|text| text.split(' ').count() > 2);
            let hidden = sentences.filter(|text| redact(text) != text.as_str());
            wrong.extend(hidden.map(|text| format!("{} has {text:?}", file.display())));
        }
    }
    assert!(wrong.is_empty(), "a word such as token stands before a colon: {wrong:#?}");
}

#[test]
fn the_map_of_the_house_names_every_room() {
    let map = fs::read_to_string(source().join("lib.rs")).unwrap();
    for room in ROOMS {
        assert!(map.contains(&format!("| [`{room}`] |")), "{room} is not on the map");
        assert!(map.contains(&format!("pub mod {room};")), "{room} is not there");
    }
}

#[test]
fn groups_and_further_lines_of_a_use_are_seen() {
    let text = "use crate::{fleet::{Tier, words::tiers as t}, nix};\nuse crate::probe::\n    look;\n\
                // crate::lab::x\nlet x = crate::remote::Script::new();";
    let rooms: Vec<String> = used(text).into_iter().collect();
    assert_eq!(rooms, ["fleet", "nix", "probe", "remote"]);
}

/// Circles that are meant: the folder, and why.
const MEANT: [(&str, &str); 1] =
    [("deploy/engine", "a step carries out every phase, and phases work on the step")];

#[test]
fn no_files_of_different_folders_use_each_other_in_a_circle() {
    let all = uses::read();
    let edges = uses::edges(&all);
    let reached: BTreeMap<_, _> =
        all.keys().map(|file| (file, uses::reachable(&edges, file))).collect();
    let (mut wrong, mut meant) = (BTreeSet::new(), BTreeSet::new());
    for (file, found) in &reached {
        let circle: BTreeSet<_> =
            found.iter().filter(|other| reached[other].contains(*file)).collect();
        let homes = circle.iter().map(|file| uses::homes(&all[*file].path));
        let common = homes.reduce(|one, other| &one & &other);
        let paths: Vec<&Path> = circle.iter().map(|file| all[*file].path.as_path()).collect();
        let is_meant = |(folder, _): &(&str, &str)| {
            paths.iter().all(|path| path.starts_with(source().join(folder)))
        };
        if common.is_some_and(|common| common.is_empty()) {
            match MEANT.iter().find(|circle| is_meant(circle)) {
                Some((folder, _)) => drop(meant.insert(*folder)),
                None => drop(wrong.insert(paths)),
            }
        }
    }
    assert!(wrong.is_empty(), "a newcomer never gets out: {wrong:#?}");
    let listed: BTreeSet<&str> = MEANT.iter().map(|(folder, _)| *folder).collect();
    assert_eq!(meant, listed, "a circle that is gone needs no excuse any more");
}

/// Returns the names of the types that a file makes; a type inside of a trait or of its
/// implementation is none of its own.
fn types(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for line in text.lines() {
        let bare = line.trim_start();
        let bare = match bare.strip_prefix("pub") {
            Some(rest) => rest.split_once(' ').map_or(rest, |(_, rest)| rest),
            None => bare,
        };
        // Of `pub(in crate::probe) struct`, the words in between.
        let bare =
            bare.split_once(") ").filter(|_| line.contains("pub(in")).map_or(bare, |it| it.1);
        let Some((word, rest)) = bare.split_once(' ') else { continue };
        let is_type = matches!(word, "struct" | "enum" | "trait")
            || word == "type" && !line.starts_with(char::is_whitespace);
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if is_type && rest.starts_with(char::is_uppercase) {
            found.push(&rest[..end]);
        }
    }
    found
}

#[test]
fn no_two_types_have_the_same_name() {
    let text = "pub(in crate::probe) struct A {\nenum B {\n    type C = D;\ntype E<'a> = F;\n";
    assert_eq!(types(text), ["A", "B", "E"]);
    let mut known: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for file in files(&source()) {
        for name in types(&fs::read_to_string(&file).unwrap()) {
            known.entry(name.to_owned()).or_default().push(file.clone());
        }
    }
    known.retain(|_, files| files.len() > 1);
    assert!(known.is_empty(), "one name, two things: {known:#?}");
}
