//! docs/messages.txt: every text of the program that people read, gathered from the source.
//!
//! Reading that one page is reading all that nixdash says. [`rust`] and [`shell`] find the texts of a
//! file; what they take for a text is decided in [`reads_as_words`].

mod rust;
mod shell;

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What the page begins with.
const HEAD: &str = "\
Every text of nixdash that people read, as it is in the source: {…} and $… stand for what is filled in.
Made by `NIXDASH_WRITE=messages cargo test --test it messages`; a test fails when it is out of date.
";

/// Files and folders whose texts other programs read, or that are compared with what others say.
const NOT_READ: &[&str] = &[
    "src/cli/exporter/exposition.rs",
    "src/cli/exporter/server.rs",
    "src/lab/fleet/",
    "src/lab/guest/",
    "src/lab/network.rs",
    "src/lab/serve/",
    "src/lab/texts.rs",
    "src/nix/activity/fold.rs",
    "src/nix/activity/rank.rs",
    "src/nix/copy_failure.rs",
    "src/nix/dry_run.rs",
    "src/nix/eval_error.rs",
    "src/probe/server.rs",
    "src/record/history/thin.rs",
    "src/remote/fake.rs",
    "src/remote/host_key/mod.rs",
    "src/remote/wire.rs",
];

/// Returns whether a text of the source is one for people: it has two words in it.
fn reads_as_words(text: &str) -> bool {
    let is_sql =
        ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "CREATE ", "ALTER ", "PRAGMA ", "DROP "];
    if is_sql.iter().any(|verb| text.trim_start().starts_with(verb)) {
        return false;
    }
    let words = text.split_whitespace().filter(|word| {
        let word = word.trim_matches(|c: char| c.is_ascii_punctuation() || matches!(c, '…' | '’'));
        word.chars().count() > 1 && word.chars().all(|c| c.is_alphabetic() || c == '-' || c == '\'')
    });
    words.count() > 1
}

/// Returns the files of a folder and of those below it, in the order of their names.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut all: Vec<_> = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    all.sort();
    for path in all {
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Returns whether nobody reads the texts of a file.
fn is_left_out(path: &str) -> bool {
    let is_of_tests = |part: &str| matches!(part, "tests" | "tests.rs") || part.starts_with("demo");
    path.split('/').any(is_of_tests) || NOT_READ.iter().any(|start| path.starts_with(start))
}

/// Returns the page.
fn page() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    files(&root.join("src"), &mut all);
    let mut page = HEAD.to_owned();
    for path in all {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let read = match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => rust::texts,
            Some("sh") => shell::texts,
            _ => continue,
        };
        if is_left_out(&name) {
            continue;
        }
        let texts = read(&std::fs::read_to_string(path).unwrap());
        let lines = texts.iter().flat_map(|text| text.lines()).map(str::trim);
        let mut said: Vec<&str> = Vec::new();
        for line in lines.filter(|line| reads_as_words(line)) {
            if !said.contains(&line) {
                said.push(line);
            }
        }
        if !said.is_empty() {
            writeln!(page, "\n{name}").unwrap();
            for line in said {
                writeln!(page, "    {line}").unwrap();
            }
        }
    }
    page
}

#[test]
fn the_page_of_all_messages_is_what_the_source_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/messages.txt");
    let now = page();
    if std::env::var("NIXDASH_WRITE").is_ok_and(|what| what == "messages") {
        std::fs::write(&path, &now).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = now.lines().zip(written.lines()).find(|(now, written)| now != written);
    assert!(
        now == written,
        "docs/messages.txt is out of date, first at {differs:?}: \
         run NIXDASH_WRITE=messages cargo test --test it messages"
    );
}

#[test]
fn a_text_for_people_has_two_words() {
    for text in ["no answer", "{name} is offline", "razer's own key", "wrong-store: look again"] {
        assert!(reads_as_words(text), "{text}");
    }
    for text in ["--query", "offline", "SELECT name FROM runs", "/nix/store", "{a}: {b}", "key = 3"]
    {
        assert!(!reads_as_words(text), "{text}");
    }
}
