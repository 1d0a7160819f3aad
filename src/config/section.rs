//! Reads typed values out of a parsed table and reports what is not of the type.
//!
//! Every reader returns nothing for an absent key, and nothing (with an error in the report) for
//! a value of another type, so that one pass over the file finds every mistake.

use crate::config::advice::advice;
use crate::config::error::MistakeReport;
use crate::config::words::{did_you_mean, one_of};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

/// A value with the byte offset where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) at: usize,
}

/// A table of the file with the name that messages call it by.
pub(super) struct Section<'a> {
    name: String,
    table: &'a DeTable<'a>,
    at: usize,
    hidden: Vec<String>,
    required: &'static [&'static str],
}

impl<'a> Section<'a> {
    /// Names a table that stands at a byte offset.
    pub(super) fn new(name: impl Into<String>, table: &'a DeTable<'a>, at: usize) -> Self {
        Self { name: name.into(), table, at, hidden: Vec::new(), required: &[] }
    }

    /// Names the keys that must be there: a hint about one of them never says to remove it.
    #[must_use]
    pub(super) fn requiring(self, keys: &'static [&'static str]) -> Self {
        Self { required: keys, ..self }
    }

    /// Leaves keys out from here on: those that were reported as such need no look at their values.
    #[must_use]
    pub(super) fn without(self, keys: Vec<String>) -> Self {
        Self { hidden: keys, ..self }
    }

    /// Returns the name that messages call it by.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns where it stands.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Reports keys that are not among the known ones, with the nearest.
    pub(super) fn check_keys(&self, report: &mut MistakeReport<'_>, known: &[&str]) {
        for (key, _) in self.entries() {
            let word = key.value;
            if known.contains(&word) {
                continue;
            }
            let hint = match (nearest(word, known), advice(&self.name, word)) {
                (Some(near), None) => format!("did you mean `{near}`?"),
                (_, Some(advice)) => advice.to_owned(),
                (None, None) if known.is_empty() => "this version has no settings here".to_owned(),
                (None, None) => format!("known keys here: {}", known.join(", ")),
            };
            report.error(key.at, format!("unknown key {word:?} in {}", self.name), hint);
        }
    }

    /// Returns keys and values in the file's order.
    pub(super) fn entries(&self) -> Vec<(At<&'a str>, &'a Spanned<DeValue<'a>>)> {
        let mut entries: Vec<_> = self
            .table
            .iter()
            .filter(|(key, _)| !self.is_hidden(key.get_ref()))
            .map(|(key, value)| (At { value: key.get_ref().as_ref(), at: key.span().start }, value))
            .collect();
        entries.sort_by_key(|(key, _)| key.at);
        entries
    }

    /// Returns where a key stands, when it is there.
    pub(super) fn key(&self, key: &str) -> Option<usize> {
        let found = self.table.get_key_value(key).filter(|_| !self.is_hidden(key));
        found.map(|(found, _)| found.span().start)
    }

    /// Reads a text that is not empty.
    pub(super) fn text(&self, report: &mut MistakeReport<'_>, key: &str) -> Option<At<&'a str>> {
        let value = self.raw(key)?;
        let Some(text) = value.get_ref().as_str() else {
            self.wrong(report, key, value, "a text in quotes");
            return None;
        };
        let at = value.span().start;
        if text.trim().is_empty() {
            let hint = if self.required.contains(&key) {
                "fill it: this key must have a value"
            } else {
                "remove it or fill it"
            };
            report.error(at, format!("`{key}` in {} is empty", self.name), hint);
            return None;
        }
        self.without_nul(report, key, At { value: text, at })
    }

    /// Returns a text, or reports a NUL character in it: nothing that is given one can read on behind it.
    fn without_nul<'t>(
        &self,
        report: &mut MistakeReport<'_>,
        key: &str,
        text: At<&'t str>,
    ) -> Option<At<&'t str>> {
        if text.value.contains('\0') {
            let message = format!("`{key}` in {} has a NUL character in it", self.name);
            report.error(text.at, message, "remove the \\u0000: no program can be given one");
            return None;
        }
        Some(text)
    }

    /// Reads a text and gives it a meaning; the function returns what is wrong and a hint.
    pub(super) fn parsed<T>(
        &self,
        report: &mut MistakeReport<'_>,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, (String, String)>,
    ) -> Option<At<T>> {
        let text = self.text(report, key)?;
        match parse(text.value) {
            Ok(value) => Some(At { value, at: text.at }),
            Err((message, hint)) => {
                report.error(text.at, format!("`{key}` in {}: {message}", self.name), hint);
                None
            }
        }
    }

    /// Reads one of a few words.
    pub(super) fn word<T: Copy>(
        &self,
        report: &mut MistakeReport<'_>,
        key: &str,
        words: &[(&str, T)],
    ) -> Option<At<T>> {
        self.parsed(report, key, |text| {
            if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
                return Ok(*value);
            }
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let hint = match nearest(text, &known) {
                Some(near) => did_you_mean(near),
                None => one_of(&known),
            };
            Err((format!("{text:?} is not a word known here"), hint))
        })
    }

    /// Reads `true` or `false`.
    pub(super) fn boolean(&self, report: &mut MistakeReport<'_>, key: &str) -> Option<bool> {
        let value = self.raw(key)?;
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            self.wrong(report, key, value, "true or false, without quotes");
        }
        boolean
    }

    /// Reads a whole number within bounds.
    pub(super) fn integer(
        &self,
        report: &mut MistakeReport<'_>,
        key: &str,
        bounds: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let value = self.raw(key)?;
        let number = value.get_ref().as_integer().and_then(whole).filter(|n| bounds.contains(n));
        if number.is_none() {
            let expected = format!("a whole number from {} to {}", bounds.start(), bounds.end());
            self.wrong_number(report, key, value, ValuePlace::Value, &expected);
        }
        number
    }

    /// Reports a value that is not the whole number which is wanted: one that is out of bounds, one that is
    /// not whole, or a value of another type.
    pub(super) fn wrong_number(
        &self,
        report: &mut MistakeReport<'_>,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        place: ValuePlace,
        expected: &str,
    ) {
        let (found, fault) = match value.get_ref() {
            DeValue::Integer(number) => (number.to_string(), ", which is out of bounds"),
            DeValue::Float(number) => (number.to_string(), ", which is not a whole number"),
            DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => (type_of(value.get_ref()).to_owned(), ""),
        };
        let message = format!("`{key}` in {} {}{fault}", self.name, place.holds(&found));
        report.error(value.span().start, message, format!("write {expected}"));
    }

    /// Reads a share from 0 to 1.
    pub(super) fn share(&self, report: &mut MistakeReport<'_>, key: &str) -> Option<f64> {
        self.within(report, key, 0.0..=1.0, "a share from 0 to 1, such as 0.85")
    }

    /// Reads a number from one to another.
    pub(super) fn number(
        &self,
        report: &mut MistakeReport<'_>,
        key: &str,
        least: f64,
        most: f64,
    ) -> Option<f64> {
        self.within(report, key, least..=most, &format!("a number from {least} to {most}"))
    }

    /// Reads a number within bounds, whole or not.
    fn within(
        &self,
        report: &mut MistakeReport<'_>,
        key: &str,
        bounds: std::ops::RangeInclusive<f64>,
        expected: &str,
    ) -> Option<f64> {
        let value = self.raw(key)?;
        let text = match value.get_ref() {
            DeValue::Float(number) => Some(number.as_str()),
            DeValue::Integer(number) => Some(number.as_str()),
            DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => None,
        };
        let number =
            text.and_then(|text| text.parse::<f64>().ok()).filter(|number| bounds.contains(number));
        match (number, text) {
            (None, Some(text)) => {
                let message = format!("`{key}` in {} is {text}, which is out of bounds", self.name);
                report.error(value.span().start, message, format!("write {expected}"));
            }
            (None, None) => self.wrong(report, key, value, expected),
            (Some(_), _) => {}
        }
        number
    }

    /// Reads a list of texts, none of them empty.
    pub(super) fn texts(
        &self,
        report: &mut MistakeReport<'_>,
        key: &str,
    ) -> Option<Vec<At<&'a str>>> {
        let value = self.raw(key)?;
        let Some(array) = value.get_ref().as_array() else {
            self.wrong(report, key, value, "a list of texts, such as [\"one\", \"two\"]");
            return None;
        };
        let mut texts = Vec::new();
        for item in array {
            let at = item.span().start;
            match item.get_ref().as_str() {
                Some(text) if !text.trim().is_empty() => {
                    texts.extend(self.without_nul(report, key, At { value: text, at }));
                }
                Some(_) => {
                    let holds = ValuePlace::Item.holds("an empty text");
                    let message = format!("`{key}` in {} {holds}", self.name);
                    report.error(at, message, "remove the empty text or fill it");
                }
                None => {
                    let holds = ValuePlace::Item.holds(type_of(item.get_ref()));
                    let message = format!("`{key}` in {} {holds}", self.name);
                    report.error(at, message, "write only texts in quotes in this list");
                }
            }
        }
        Some(texts)
    }

    /// Reads a table below this one.
    pub(super) fn section(
        &self,
        report: &mut MistakeReport<'_>,
        key: &str,
        name: impl Into<String>,
    ) -> Option<Section<'a>> {
        let value = self.raw(key)?;
        let Some(table) = value.get_ref().as_table() else {
            self.wrong(report, key, value, "a table");
            return None;
        };
        Some(Section::new(name, table, self.key(key).unwrap_or(value.span().start)))
    }

    /// Returns the raw value of a key.
    pub(super) fn raw(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table.get(key).filter(|_| !self.is_hidden(key))
    }

    /// Returns whether a key was left out.
    fn is_hidden(&self, key: &str) -> bool {
        self.hidden.iter().any(|hidden| hidden == key)
    }

    /// Reports a value of the wrong type, without repeating it: it could be a secret.
    pub(super) fn wrong(
        &self,
        report: &mut MistakeReport<'_>,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        expected: &str,
    ) {
        let message = format!("`{key}` in {} is {}", self.name, type_of(value.get_ref()));
        report.error(value.span().start, message, format!("write {expected}"));
    }
}

/// Where a wrong value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValuePlace {
    /// It is the value of the key.
    Value,
    /// It is one of those in the list that is the value of the key.
    Item,
}

impl ValuePlace {
    /// Says behind the name of a key that such a value stands there.
    fn holds(self, value: &str) -> String {
        match self {
            Self::Value => format!("is {value}"),
            Self::Item => format!("has {value} in its list"),
        }
    }
}

/// Returns the whole number that is written; none where it does not fit into 64 bits.
fn whole(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// Says of which type a value is.
fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Returns the entries of a list of tables.
pub(super) fn entries<'a>(
    report: &mut MistakeReport<'_>,
    section: &Section<'a>,
    key: &str,
    shape: &str,
) -> Vec<Section<'a>> {
    let Some(value) = section.raw(key) else { return Vec::new() };
    let Some(array) = value.get_ref().as_array() else {
        section.wrong(report, key, value, shape);
        return Vec::new();
    };
    let mut all = Vec::new();
    for (index, item) in array.iter().enumerate() {
        match item.get_ref().as_table() {
            Some(table) => {
                let title = format!("entry {} of [[rollout.{key}]]", index + 1);
                all.push(Section::new(title, table, item.span().start));
            }
            None => section.wrong(report, key, item, shape),
        }
    }
    all
}

/// Returns the known word that is likely meant, when one is near enough.
pub fn nearest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
