//! `flake.lock`: which inputs of a flake are on the machine where it was locked, or are fetched with a
//! login. Another machine cannot get at those by itself.

use crate::nix::flake_url::decoded;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where an input that another machine cannot fetch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputPlace {
    /// A folder of this machine, as it is.
    Folder(PathBuf),
    /// A commit of a git repository of this machine.
    Repository(PathBuf),
    /// A commit of a git repository that is fetched over ssh; its address.
    Ssh(String),
}

/// An input that another machine cannot fetch. Its content is locked, so that Nix takes it from the
/// store when it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateInput {
    /// The name of its node in the lock file.
    pub name: String,
    /// Where it is.
    pub place: InputPlace,
    /// The commit; none of a folder.
    pub rev: Option<String>,
    /// The branch or tag that the commit was found on, where one is written.
    pub branch: Option<String>,
    /// Whether its submodules belong to it.
    pub submodules: bool,
}

/// The whole file, as far as it is read.
#[derive(Deserialize)]
struct LockFile {
    #[serde(default)]
    nodes: BTreeMap<String, Node>,
    /// The node that is the flake itself.
    root: Option<String>,
}

/// A node.
#[derive(Deserialize)]
struct Node {
    locked: Option<Locked>,
    #[serde(default)]
    inputs: BTreeMap<String, Value>,
}

/// What an input is locked to.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Locked {
    #[serde(rename = "type")]
    kind: String,
    path: Option<String>,
    url: Option<String>,
    rev: Option<String>,
    #[serde(rename = "ref")]
    branch: Option<String>,
    nar_hash: Option<String>,
    last_modified: Option<i64>,
    #[serde(default)]
    submodules: bool,
}

/// Returns the inputs that another machine cannot fetch; none of a text that is no lock file.
pub fn private_inputs(text: &str) -> Vec<PrivateInput> {
    let Ok(lock) = serde_json::from_str::<LockFile>(text) else { return Vec::new() };
    lock.nodes.into_iter().filter_map(|(name, node)| private_input(name, node.locked?)).collect()
}

/// Returns how old a flake's inputs are: the one called nixpkgs where there is one, else the newest of
/// those that the flake names itself, with the time of what it is locked to.
pub fn locked_input(text: &str) -> Option<(String, Timestamp)> {
    let lock = serde_json::from_str::<LockFile>(text).ok()?;
    let root = lock.nodes.get(lock.root.as_deref().unwrap_or("root"))?;
    let mut newest: Option<(String, Timestamp)> = None;
    for (name, node) in &root.inputs {
        // An input that follows another one is a list.
        let Some(locked) = node.as_str().and_then(|node| lock.nodes.get(node)?.locked.as_ref())
        else {
            continue;
        };
        let Some(at) = locked.last_modified.and_then(|at| Timestamp::from_second(at).ok()) else {
            continue;
        };
        if name == "nixpkgs" {
            return Some((name.clone(), at));
        }
        if newest.as_ref().is_none_or(|(_, before)| *before < at) {
            newest = Some((name.clone(), at));
        }
    }
    newest
}

/// Returns whether a text is a lock file in which the content of every input is fixed, so that one commit
/// of the flake means one system. A `path:` input never counts as fixed: people change such folders in
/// place.
pub fn is_locked(text: &str) -> bool {
    let Ok(lock) = serde_json::from_str::<LockFile>(text) else { return false };
    // The root has no content of its own, and every lock file has one.
    let root = lock.root.unwrap_or_default();
    let mut inputs = lock.nodes.iter().filter(|(name, _)| **name != root);
    lock.nodes.contains_key(&root)
        && inputs.all(|(_, node)| {
            node.locked
                .as_ref()
                .is_some_and(|locked| locked.kind != "path" && locked.nar_hash.is_some())
        })
}

/// Returns the hashes of the contents that inputs are locked to, in order; nothing of a text that is no
/// lock file.
pub fn content_hashes(text: &str) -> Option<Vec<String>> {
    let lock: LockFile = serde_json::from_str(text).ok()?;
    let hash = |node: Node| node.locked.and_then(|locked| locked.nar_hash).unwrap_or_default();
    let root = lock.root.unwrap_or_default();
    let inputs = lock.nodes.into_iter().filter(|(name, _)| *name != root);
    let mut hashes: Vec<String> = inputs.map(|(_, node)| hash(node)).collect();
    hashes.sort_unstable();
    Some(hashes)
}

/// Returns the input of a node, when it is such a one.
fn private_input(name: String, locked: Locked) -> Option<PrivateInput> {
    // Without it Nix does not look into the store.
    locked.nar_hash.as_ref()?;
    let place = match locked.kind.as_str() {
        // A relative one lies in the source of the flake itself.
        "path" => {
            InputPlace::Folder(PathBuf::from(locked.path.filter(|path| path.starts_with('/'))?))
        }
        "git" => {
            let url = locked.url?;
            locked.rev.as_ref()?;
            match url.strip_prefix("file://") {
                Some(path) => InputPlace::Repository(PathBuf::from(decoded(path))),
                None if url.starts_with("ssh://") => InputPlace::Ssh(url),
                None => return None,
            }
        }
        _ => return None,
    };
    let Locked { rev, branch, submodules, .. } = locked;
    Some(PrivateInput { name, place, rev, branch, submodules })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_nixpkgs_counts_else_that_of_the_newest_input() {
        let lock = |inputs: &str| {
            format!(
                r#"{{"root": "root", "nodes": {{"root": {{"inputs": {{{inputs}}}}},
                "a": {{"locked": {{"type": "github", "lastModified": 100}}}},
                "b": {{"locked": {{"type": "github", "lastModified": 200}}}},
                "c": {{"locked": {{"type": "github"}}}}}}}}"#
            )
        };
        let found =
            |inputs: &str| locked_input(&lock(inputs)).map(|(name, at)| (name, at.as_second()));
        assert_eq!(found(r#""x": "a", "y": "b""#), Some(("y".to_owned(), 200)));
        assert_eq!(found(r#""nixpkgs": "a", "y": "b""#), Some(("nixpkgs".to_owned(), 100)));
        assert_eq!(found(r#""x": "c", "y": ["nixpkgs"], "z": "missing""#), None);
        assert_eq!((locked_input(""), locked_input("{}")), (None, None));
    }

    #[test]
    fn only_what_another_machine_cannot_fetch_is_named() {
        let text = r#"{"nodes": {
            "root": {"inputs": {"a": "a"}},
            "nixpkgs": {"locked": {"type": "github", "owner": "NixOS", "repo": "nixpkgs", "rev": "x", "narHash": "sha256-x"}},
            "own": {"locked": {"type": "path", "path": "/home/me/own", "narHash": "sha256-x", "lastModified": 1}},
            "inside": {"locked": {"type": "path", "path": "./inside"}, "parent": []},
            "repo": {"locked": {"type": "git", "url": "file:///home/me/my%20repo", "rev": "abc", "ref": "main", "narHash": "sha256-x", "submodules": true}},
            "secret": {"locked": {"type": "git", "url": "ssh://git@host/secret", "rev": "def", "narHash": "sha256-x"}},
            "public": {"locked": {"type": "git", "url": "https://host/x", "rev": "def", "narHash": "sha256-x"}},
            "open": {"locked": {"type": "path", "path": "/home/me/open"}}
        }, "root": "root", "version": 7}"#;
        let found = private_inputs(text);
        let names: Vec<&str> = found.iter().map(|input| input.name.as_str()).collect();
        assert_eq!(names, ["own", "repo", "secret"]);
        assert_eq!(found[0].place, InputPlace::Folder("/home/me/own".into()));
        assert_eq!(found[1].place, InputPlace::Repository("/home/me/my repo".into()));
        assert_eq!((found[1].rev.as_deref(), found[1].submodules), (Some("abc"), true));
        assert_eq!(found[2].place, InputPlace::Ssh("ssh://git@host/secret".into()));
        for odd in ["", "{", "[]", "{\"nodes\": 3}"] {
            assert_eq!(private_inputs(odd), []);
        }
    }

    #[test]
    fn only_a_lock_that_fixes_every_input_is_locked() {
        let lock = |nodes: &str| {
            format!("{{\"nodes\": {{\"root\": {{}}{nodes}}}, \"root\": \"root\", \"version\": 7}}")
        };
        assert!(is_locked(&lock("")), "a flake without inputs");
        let github = r#", "n": {"locked": {"type": "github", "rev": "x", "narHash": "sha256-x"}}"#;
        assert!(is_locked(&lock(github)));
        for open in [
            r#", "n": {"locked": {"type": "path", "path": "/x", "narHash": "sha256-x"}}"#,
            r#", "n": {"locked": {"type": "path", "path": "./x"}, "parent": []}"#,
            r#", "n": {"locked": {"type": "git", "url": "https://x", "rev": "x"}}"#,
            r#", "n": {"original": {"type": "indirect"}}"#,
        ] {
            assert!(!is_locked(&lock(&format!("{github}{open}"))), "{open}");
        }
        for odd in ["", "{", "[]", "{}", "{\"nodes\": {}}", "{\"nodes\": 3}"] {
            assert!(!is_locked(odd), "{odd}");
        }
    }
}
