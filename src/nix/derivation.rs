//! Derivations, as far as a dry run reads them, and what it finds on its way through their graph.
//!
//! The walk is that of `Store::queryMissing` in Nix (`src/libstore/misc.cc`): an output that is
//! valid, or that somebody has, needs nothing; for every other its derivation must be built, and
//! the outputs that this one needs are wanted in turn. It goes in rounds, so that whoever feeds it
//! asks for many paths at once.

use crate::fleet::StorePath;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// What a dry run reads of a derivation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Derivation {
    /// Where each output goes; none where that depends on what is built.
    pub outputs: BTreeMap<String, Option<StorePath>>,
    /// Derivations that it needs, each with the outputs that it needs of them.
    pub inputs: Vec<(StorePath, Vec<String>)>,
    /// Whether it is built even where somebody has its outputs (`allowSubstitutes = false`).
    pub local: bool,
}

impl Derivation {
    /// Reads the beginning of a derivation, `Derive([outputs],[inputs]…`, in the format that
    /// Nix keeps derivations in; `local ` before it says that it must not be substituted.
    ///
    /// None for what is no such text, derivations with inputs that are made while building
    /// (`DrvWithVersion`) among them.
    pub fn parse(text: &str) -> Option<Self> {
        let (local, text) = match text.strip_prefix("local ") {
            // More than one reason may have been found.
            Some(rest) => (true, rest.trim_start_matches("local ")),
            None => (false, text),
        };
        let mut term = Term(text);
        term.skip("Derive(")?;
        let outputs = term.outputs()?;
        term.skip(",")?;
        let inputs = term.inputs()?;
        Some(Self { outputs: outputs.into_iter().collect(), inputs, local })
    }
}

/// Reads the environment of a builder from the whole text of its derivation; none for what is no such text.
pub fn environment(text: &str) -> Option<BTreeMap<String, String>> {
    let mut term = Term(text);
    term.skip("Derive(")?;
    term.outputs()?;
    term.skip(",")?;
    term.inputs()?;
    term.skip(",")?;
    // Files, the system, the builder and its arguments.
    term.list(Term::string)?;
    term.skip(",")?;
    term.string()?;
    term.skip(",")?;
    term.string()?;
    term.skip(",")?;
    term.list(Term::string)?;
    term.skip(",")?;
    let variables = term.list(|term| {
        term.skip("(")?;
        let name = term.string()?;
        term.skip(",")?;
        let value = term.string()?;
        term.skip(")")?;
        Some((name, value))
    })?;
    Some(variables.into_iter().collect())
}

/// What is left of a text in the `ATerm` format.
struct Term<'a>(&'a str);

impl Term<'_> {
    /// Reads the outputs of a derivation, each with its path where that is known before it is built.
    fn outputs(&mut self) -> Option<Vec<(String, Option<StorePath>)>> {
        self.list(|term| {
            term.skip("(")?;
            let name = term.string()?;
            term.skip(",")?;
            let path = term.string()?;
            term.skip(",")?;
            term.string()?;
            term.skip(",")?;
            term.string()?;
            term.skip(")")?;
            Some((name, StorePath::parse(&path).ok()))
        })
    }

    /// Reads the derivations that one needs, each with the outputs that it needs of them.
    fn inputs(&mut self) -> Option<Vec<(StorePath, Vec<String>)>> {
        self.list(|term| {
            term.skip("(")?;
            let path = StorePath::parse(&term.string()?).ok()?;
            term.skip(",")?;
            let outputs = term.list(Term::string)?;
            term.skip(")")?;
            Some((path, outputs))
        })
    }

    /// Passes over a text that must come next.
    fn skip(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    /// Reads a text in quotes.
    fn string(&mut self) -> Option<String> {
        self.skip("\"")?;
        let mut found = String::new();
        let mut chars = self.0.char_indices();
        loop {
            match chars.next()? {
                (at, '"') => {
                    self.0 = &self.0[at + 1..];
                    return Some(found);
                }
                (_, '\\') => found.push(match chars.next()?.1 {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    other => other,
                }),
                (_, other) => found.push(other),
            }
        }
    }

    /// Reads a list in brackets.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        self.skip("[")?;
        let mut found = Vec::new();
        if self.skip("]").is_some() {
            return Some(found);
        }
        loop {
            found.push(item(self)?);
            if self.skip("]").is_some() {
                return Some(found);
            }
            self.skip(",")?;
        }
    }
}

/// A dry run's way through the graph of derivations.
///
/// Until [`Walk::is_done`]: read the derivations of [`Walk::unread`], ask for [`Walk::asked`], and
/// [`Walk::step`].
#[derive(Clone, Debug, Default)]
pub struct Walk {
    read: HashMap<StorePath, Option<Derivation>>,
    /// The outputs that were ever wanted of each derivation.
    wanted: HashMap<StorePath, BTreeSet<String>>,
    /// Those that are to be judged in this round; no names mean every output.
    open: Vec<(StorePath, Vec<String>)>,
    /// In the order they were found.
    to_build: Vec<StorePath>,
    building: HashSet<StorePath>,
    paths: BTreeSet<StorePath>,
}

impl Walk {
    /// Begins with every output of a derivation.
    pub fn new(drv: StorePath) -> Self {
        Self { open: vec![(drv, Vec::new())], ..Self::default() }
    }

    /// Returns whether nothing is open any more.
    pub fn is_done(&self) -> bool {
        self.open.is_empty()
    }

    /// Returns the derivations that must be read before this round's step.
    pub fn unread(&self) -> Vec<&StorePath> {
        let open: BTreeSet<&StorePath> = self.open.iter().map(|(drv, _)| drv).collect();
        open.into_iter().filter(|drv| !self.read.contains_key(*drv)).collect()
    }

    /// Takes a derivation that was read, or nothing when it could not be.
    pub fn put(&mut self, drv: StorePath, read: Option<Derivation>) {
        self.read.insert(drv, read);
    }

    /// Returns the paths that this round wants, each once.
    pub fn asked(&self) -> BTreeSet<&StorePath> {
        self.open.iter().flat_map(|(drv, names)| self.outputs(drv, names)).flatten().collect()
    }

    /// Returns where these outputs of a derivation go; without names, all of them.
    fn outputs<'a>(
        &'a self,
        drv: &StorePath,
        names: &'a [String],
    ) -> impl Iterator<Item = Option<&'a StorePath>> {
        let read = self.read.get(drv).and_then(Option::as_ref);
        read.into_iter().flat_map(move |read| {
            let all = read.outputs.iter();
            all.filter(move |(name, _)| names.is_empty() || names.contains(name))
                .map(|(_, path)| path.as_ref())
        })
    }

    /// Judges what is open: `valid` says what is in the store where it is built, `held` what is
    /// not but can be had.
    pub fn step(&mut self, valid: impl Fn(&StorePath) -> bool, held: impl Fn(&StorePath) -> bool) {
        for (drv, names) in std::mem::take(&mut self.open) {
            let outputs: Vec<Option<StorePath>> =
                self.outputs(&drv, &names).map(Option::<&StorePath>::cloned).collect();
            self.paths.extend(outputs.iter().flatten().cloned());
            let local = self.read.get(&drv).and_then(Option::as_ref).is_some_and(|it| it.local);
            let there = |path: &StorePath| valid(path) || (!local && held(path));
            if outputs.iter().all(|path| path.as_ref().is_some_and(there)) {
                continue;
            }
            self.build(drv);
        }
    }

    /// Notes that a derivation must be built, and opens what it needs.
    fn build(&mut self, drv: StorePath) {
        if !self.building.insert(drv.clone()) {
            return;
        }
        let read = self.read.get(&drv).and_then(Option::as_ref);
        for (input, names) in read.map(|read| read.inputs.clone()).unwrap_or_default() {
            let wanted = self.wanted.entry(input.clone()).or_default();
            let new: Vec<String> =
                names.into_iter().filter(|name| wanted.insert(name.clone())).collect();
            if !new.is_empty() {
                self.open.push((input, new));
            }
        }
        self.to_build.push(drv);
    }

    /// Returns the derivations that must be built, in the order they were found: what needs
    /// others before those.
    pub fn to_build(&self) -> &[StorePath] {
        &self.to_build
    }

    /// Returns every path that was wanted and is known before anything is built.
    pub fn paths(&self) -> &BTreeSet<StorePath> {
        &self.paths
    }

    /// Returns how many derivations could not be read; what they need is not known.
    pub fn unreadable(&self) -> usize {
        self.read.values().filter(|read| read.is_none()).count()
    }
}

#[cfg(test)]
mod tests;
