//! Which file of the source uses which, by its `use` lines and paths.

use super::{files, is_test, source};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A path of modules, without `crate`.
pub(super) type Names = Vec<String>;

/// A file of the source.
pub(super) struct SourceFile {
    pub(super) path: PathBuf,
    /// The paths that its code names.
    used: Vec<Names>,
    /// What it passes on from its children, by name.
    passed_on: BTreeMap<String, Names>,
}

/// Returns the code of a file: without its tests and comments.
pub(super) fn code(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    let lines = before_tests.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns every path of a tree such as `a::{b, c::d as e}` at the beginning of a text, and what
/// follows.
fn tree<'a>(text: &'a str, before: &Names, found: &mut Vec<Names>) -> &'a str {
    let mut rest = text.trim_start();
    if let Some(group) = rest.strip_prefix('{') {
        rest = group.trim_start_matches([',', ' ', '\n']);
        while !rest.is_empty() && !rest.starts_with('}') {
            let after = tree(rest, before, found);
            // What is no path, such as a block of code, ends it.
            if after.len() == rest.len() {
                return after;
            }
            rest = after.trim_start_matches([',', ' ', '\n']);
        }
        return rest.strip_prefix('}').unwrap_or(rest);
    }
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let mut names = before.clone();
    if end > 0 {
        names.push(rest[..end].to_owned());
    }
    rest = &rest[end..];
    if let Some(deeper) = rest.trim_start().strip_prefix("::") {
        return tree(deeper, &names, found);
    }
    found.push(names);
    let named = rest.trim_start().strip_prefix("as ").map(str::trim_start);
    named.map_or(rest, |name| name.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Returns the paths below `crate::` that code names, groups too.
pub(super) fn crate_paths(code: &str) -> Vec<Names> {
    let mut found = Vec::new();
    for (at, word) in code.match_indices("crate::") {
        let is_word = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if is_word {
            tree(&code[at + word.len()..], &Vec::new(), &mut found);
        }
    }
    found
}

/// Reads all files, by the path of their modules.
pub(super) fn read() -> BTreeMap<Names, SourceFile> {
    let mut all = BTreeMap::new();
    for path in files(&source()).into_iter().filter(|path| !is_test(path)) {
        let name = path.strip_prefix(source()).unwrap().with_extension("");
        let mut names: Names = name.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if names.last().is_some_and(|last| last == "mod") {
            names.pop();
        }
        let text = code(&std::fs::read_to_string(&path).unwrap());
        let mut used = crate_paths(&text);
        let mut passed_on = BTreeMap::new();
        for line in statements(&text) {
            let (is_passed_on, tail) = match line.split_once("use ") {
                Some((before, tail)) => (before.trim_start().starts_with("pub"), tail),
                None => continue,
            };
            let mut found = Vec::new();
            let up = tail.matches("super::").count();
            let is_up = tail.starts_with("super::");
            if is_up && up <= names.len() {
                let base = names[..names.len() - up].to_vec();
                tree(tail.trim_start_matches("super::"), &base, &mut found);
                used.append(&mut found);
            } else if !["crate::", "std::"].iter().any(|word| tail.starts_with(word)) {
                tree(tail, &names, &mut found);
                if is_passed_on {
                    let last = |path: &Names| Some((path.last()?.clone(), path.clone()));
                    passed_on.extend(found.iter().filter_map(last));
                } else {
                    used.append(&mut found);
                }
            }
        }
        all.insert(names, SourceFile { path, used, passed_on });
    }
    all
}

/// Returns the `use` statements of code, each in one piece.
fn statements(code: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut is_open = false;
    for line in code.lines() {
        let bare = line.trim_start();
        let bare = bare
            .strip_prefix("pub")
            .map_or(bare, |rest| rest.split_once(" use ").map_or(rest, |_| line.trim_start()));
        if bare.starts_with("use ") || bare.starts_with("pub") && bare.contains(" use ") {
            found.push(line.to_owned());
            is_open = !line.contains(';');
        } else if is_open {
            let last = found.last_mut().expect("a statement is open");
            last.push_str(bare);
            is_open = !line.contains(';');
        }
    }
    found
}

/// Returns the file that a path leads to, past what modules pass on from their children.
fn resolve(all: &BTreeMap<Names, SourceFile>, path: &[String], depth: usize) -> Option<Names> {
    for length in (1..=path.len()).rev() {
        let (module, rest) = path.split_at(length);
        let Some(file) = all.get(module) else { continue };
        let passed_on = rest.first().and_then(|name| file.passed_on.get(name));
        return match passed_on {
            Some(target) if depth < 5 => {
                let target: Vec<String> = target.iter().chain(&rest[1..]).cloned().collect();
                resolve(all, &target, depth + 1)
            }
            _ => Some(module.to_vec()),
        };
    }
    None
}

/// Returns which files each file uses.
pub(super) fn edges(all: &BTreeMap<Names, SourceFile>) -> BTreeMap<Names, BTreeSet<Names>> {
    let of = |names: &Names, file: &SourceFile| {
        let used = file.used.iter().filter_map(|path| resolve(all, path, 0));
        used.filter(|used| used != names).collect()
    };
    all.iter().map(|(names, file)| (names.clone(), of(names, file))).collect()
}

/// Returns the files that a file uses, and those that they use, and so on.
pub(super) fn reachable(edges: &BTreeMap<Names, BTreeSet<Names>>, from: &Names) -> BTreeSet<Names> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(next) = open.pop() {
        for used in edges.get(next).into_iter().flatten() {
            if found.insert(used.clone()) {
                open.push(used);
            }
        }
    }
    found
}

/// Returns the folders that a file is at home in: its own, and the one whose face it is.
pub(super) fn homes(path: &Path) -> BTreeSet<PathBuf> {
    let folder = path.parent().unwrap().to_owned();
    let other = if path.ends_with("mod.rs") {
        folder.parent().unwrap().to_owned()
    } else {
        path.with_extension("")
    };
    BTreeSet::from([folder, other])
}
