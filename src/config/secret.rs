//! Where a secret is: `{ env = "…" }`, `{ file = "…" }` or `{ command = ["…"] }`.
//!
//! Only the place is read here, never the secret; [`crate::remote`] fetches it as late as possible.

use crate::config::error::MistakeReport;
use crate::config::section::Section;
use crate::config::value;
use crate::fleet::SecretSource;
use std::path::Path;
use toml::de::DeValue;

/// From where paths of the file start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paths<'a> {
    /// What `~` stands for.
    pub(super) home: Option<&'a Path>,
    /// The folder of `hosts.toml`.
    pub(super) folder: &'a Path,
}

/// Where a secret of a key may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sources {
    /// A variable, a file, or what a program prints.
    Any,
    /// The same, or `"ask"`: a person types it.
    AnyOrAsk,
    /// A file only, since a program reads it there.
    File,
}

impl Sources {
    /// Returns the words of the table.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Any | Self::AnyOrAsk => &["env", "file", "command"],
            Self::File => &["file"],
        }
    }

    /// Returns what to write instead.
    fn shape(self) -> &'static str {
        match self {
            Self::Any => "write { env = \"…\" }, { file = \"…\" } or { command = [\"…\"] }",
            Self::AnyOrAsk => {
                "write \"ask\", { env = \"…\" }, { file = \"…\" } or { command = [\"…\"] }"
            }
            Self::File => "write { file = \"…\" }",
        }
    }
}

/// Reads where a secret is: a table that names one source, never the secret itself.
pub(super) fn read(
    report: &mut MistakeReport<'_>,
    section: &Section<'_>,
    key: &str,
    sources: Sources,
    paths: Paths<'_>,
) -> Option<SecretSource> {
    let value = section.raw(key)?;
    let at = value.span().start;
    match value.get_ref() {
        DeValue::Table(table) => {
            let source = Section::new(format!("`{key}` of {}", section.name()), table, at);
            one_source(report, source, sources, paths)
        }
        DeValue::String(_) => {
            report.error(
                at,
                format!("`{key}` in {} is written in the file", section.name()),
                format!("a secret is never written here: {}", sources.shape()),
            );
            None
        }
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => {
            section.wrong(report, key, value, sources.shape().trim_start_matches("write "));
            None
        }
    }
}

/// Reads the table of a secret.
fn one_source(
    report: &mut MistakeReport<'_>,
    source: Section<'_>,
    sources: Sources,
    paths: Paths<'_>,
) -> Option<SecretSource> {
    let words = sources.words();
    source.check_keys(report, words);
    let given = words.iter().filter(|word| source.key(word).is_some()).count();
    // The only one cannot be removed.
    let source = if given == 1 { source.requiring(words) } else { source };
    let all_known = source.entries().iter().all(|(key, _)| words.contains(&key.value));
    if given != 1 && all_known {
        report.error(
            source.at(),
            format!("{} does not name exactly one source", source.name()),
            sources.shape(),
        );
    }
    let env = source.parsed(report, "env", variable).map(|name| SecretSource::Env(name.value));
    let file = source
        .parsed(report, "file", |text| value::path(text, paths.home, paths.folder))
        .map(|path| SecretSource::File(path.value));
    let command = source.texts(report, "command").and_then(|words| {
        if words.is_empty() {
            let at = source.key("command").unwrap_or(source.at());
            let message = format!("`command` in {} is empty", source.name());
            report.error(at, message, "a program and its arguments: [\"pass\", \"show\", \"x\"]");
            return None;
        }
        let words = words.into_iter().map(|word| word.value.to_owned()).collect();
        Some(SecretSource::Command { words, folder: paths.folder.to_owned() })
    });
    if given == 1 && all_known { env.or(file).or(command) } else { None }
}

/// Checks the name of a variable; does not repeat it: it could be the secret itself.
fn variable(text: &str) -> value::Meaning<String> {
    let fits = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !text.starts_with(|c: char| c.is_ascii_digit());
    if fits {
        return Ok(text.to_owned());
    }
    let message = "it is not the name of a variable".to_owned();
    Err((message, "letters, digits and '_'; the name, not its value".to_owned()))
}
