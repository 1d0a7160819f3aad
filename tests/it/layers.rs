//! The floors of the house: a room uses the rooms above it, never those below.

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
                // The screen shows a model and returns effects: it has no hands.
                let hands = *room == "dash" && ["remote", "probe", "deploy"].contains(&name);
                if below || hands {
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
fn the_map_of_the_house_names_every_room() {
    let map = fs::read_to_string(source().join("lib.rs")).unwrap();
    for room in ROOMS {
        assert!(map.contains(&format!("| [`{room}`] |")), "{room} is not on the map");
        assert!(map.contains(&format!("pub mod {room};")), "{room} is not there");
    }
}
