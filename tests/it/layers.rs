//! The floors of the house: a room uses the rooms above it, never those below.

use nixdash::fleet::redact;
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

/// Returns the rooms that a file names as `crate::ROOM`.
fn used(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| {
            line.match_indices("crate::").map(move |(at, word)| &line[at + word.len()..])
        })
        .filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next())
        .filter(|name| ROOMS.contains(name))
        .collect()
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
                let runner = *room == "dash" && ["remote", "probe", "deploy"].contains(&name);
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
        .chain([source().join("deploy/machine.rs"), source().join("deploy/setup.rs")]);
    for file in pure {
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
