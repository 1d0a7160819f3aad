//! The table of malformed caches: what each version of Nix makes of them, and nixdash.
//!
//! Kept as `tests/answers/narinfo/verdicts.md`; `RENEW=1` writes it anew.

use super::cache::{Item, Maker};
use super::nix::Found;
use nixdash::nix::narinfo::rules::NarInfoRules;
use nixdash::nix::narinfo::{NarInfo, NarSeen, Verdict, refused_since, verdict};
use nixdash::nix::version::Version;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/answers/narinfo/verdicts.md");

const COLUMNS: [(&str, Version); 3] = [
    ("Nix 2.26", Version::new(2, 26, 3)),
    ("Nix 2.34", Version::new(2, 34, 8)),
    ("Nix 2.35", Version::new(2, 35, 2)),
];

const BEGINNING: &str = "# Malformed caches: what Nix makes of them, and nixdash\n\n\
    2.26.3 and 2.34.8 were run (`tests/it/narinfo_truth`), 2.35.2 is from its source. Each narinfo \
    is changed as\nits row says, after it was signed.\n\n";

/// Returns the table as nixdash fills it.
pub(super) fn text(items: &[Item], maker: &Maker) -> String {
    let mut text = BEGINNING.to_owned();
    text.push_str("| change | Nix 2.26 | Nix 2.34 | Nix 2.35 | nixdash |\n|---|---|---|---|---|\n");
    for item in items {
        let _ = write!(text, "| {} |", item.name);
        for (_, version) in COLUMNS {
            let _ = write!(text, " {} |", word(item, version, maker));
        }
        let _ = writeln!(text, " {} |", said(item));
    }
    text
}

fn word(item: &Item, version: Version, maker: &Maker) -> &'static str {
    let rules = NarInfoRules::of_plain_nix(version).unwrap();
    let nar =
        NarSeen::Whole { start: item.start, hash: &item.nar_hash, size: item.nar.len() as u64 };
    let found = match verdict(&item.text, &item.path, rules, &[maker.key()], nar) {
        Verdict::RefusedAtParse(_) => Found::RefusedAtParse,
        Verdict::OfAnotherPath(_) => Found::OfAnotherPath,
        Verdict::RefusedAtImport(_) => Found::RefusedAtImport,
        Verdict::Unsigned => Found::Unsigned,
        Verdict::Taken => Found::Taken,
        Verdict::NotKnown => Found::NotKnown,
    };
    found.word()
}

/// Returns what nixdash says of the narinfo itself.
fn said(item: &Item) -> String {
    match (NarInfo::parse(&item.text), refused_since(&item.text)) {
        (Err(error), _) => error.to_string(),
        (Ok(_), Some((version, error))) => format!("from Nix {version}: {error}"),
        (Ok(_), None) => "a narinfo".to_owned(),
    }
}

/// Compares the table with the one that is kept.
pub(super) fn check(text: &str) {
    if std::env::var_os("RENEW").is_some() {
        std::fs::create_dir_all(std::path::Path::new(FILE).parent().unwrap()).unwrap();
        std::fs::write(FILE, text).unwrap();
    }
    let kept = std::fs::read_to_string(FILE).unwrap_or_default();
    assert_eq!(kept, text, "RENEW=1 writes {FILE} anew");
}

/// Returns the kept table: change, column, word.
pub(super) fn rows() -> HashMap<String, BTreeMap<&'static str, String>> {
    let kept = std::fs::read_to_string(FILE).unwrap();
    let rows = kept.lines().filter(|line| line.starts_with("| ")).skip(1).map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        let name = cells.next().unwrap_or_default();
        (name, COLUMNS.iter().map(|(column, _)| *column).zip(cells).collect())
    });
    rows.collect()
}
