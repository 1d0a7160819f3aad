//! Which derivation needs which: the stream does not say, so it is told from outside.

use crate::fleet::StorePath;
use crate::nix::derivation::Derivation;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

/// What is known of derivations from their own files.
#[derive(Clone, Debug, Default)]
pub(super) struct DerivationEdges {
    /// The derivations that each needs.
    inputs: HashMap<String, Vec<String>>,
    /// The derivations that need each.
    needed_by: HashMap<String, Vec<String>>,
    /// Where the outputs of each go, as far as that is known before it is built.
    outputs: HashMap<String, Vec<String>>,
}

impl DerivationEdges {
    /// Takes a derivation that was read; the same a second time changes nothing.
    pub(super) fn learn(&mut self, drv: &StorePath, read: &Derivation) {
        let drv = drv.as_str().to_owned();
        if self.inputs.contains_key(&drv) {
            return;
        }
        let inputs: BTreeSet<&str> = read.inputs.iter().map(|(input, _)| input.as_str()).collect();
        for input in &inputs {
            self.needed_by.entry((*input).to_owned()).or_default().push(drv.clone());
        }
        let outputs = read.outputs.values().flatten().map(|path| path.as_str().to_owned());
        self.outputs.insert(drv.clone(), outputs.collect());
        self.inputs.insert(drv, inputs.into_iter().map(str::to_owned).collect());
    }

    /// Returns whether nothing was read.
    pub(super) fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// Returns whether a derivation was read.
    pub(super) fn knows(&self, drv: &str) -> bool {
        self.inputs.contains_key(drv)
    }

    /// Returns the derivations that one needs.
    pub(super) fn inputs(&self, drv: &str) -> &[String] {
        self.inputs.get(drv).map_or(&[], Vec::as_slice)
    }

    /// Returns the derivations that need one.
    pub(super) fn needed_by(&self, drv: &str) -> &[String] {
        self.needed_by.get(drv).map_or(&[], Vec::as_slice)
    }

    /// Returns where the outputs of a derivation go.
    pub(super) fn outputs(&self, drv: &str) -> &[String] {
        self.outputs.get(drv).map_or(&[], Vec::as_slice)
    }

    /// Returns the derivations below one that failed by themselves: those of which `is_failed`
    /// holds, and of none that they need.
    pub(super) fn causes<'a>(
        &'a self,
        drv: &'a str,
        is_failed: impl Fn(&str) -> bool,
    ) -> BTreeSet<&'a str> {
        let (mut causes, mut seen, mut open) = (BTreeSet::new(), HashSet::from([drv]), vec![drv]);
        while let Some(drv) = open.pop() {
            let failed: Vec<&str> = self
                .inputs(drv)
                .iter()
                .map(String::as_str)
                .filter(|input| is_failed(input))
                .collect();
            if failed.is_empty() {
                causes.insert(drv);
            }
            open.extend(failed.into_iter().filter(|input| seen.insert(input)));
        }
        causes
    }

    /// Returns the shortest way from a derivation up to one that no other needs, both included.
    pub(super) fn way_up<'a>(&'a self, drv: &'a str) -> Vec<&'a str> {
        let mut below: HashMap<&str, &str> = HashMap::new();
        let mut open = VecDeque::from([drv]);
        while let Some(top) = open.pop_front() {
            let above = self.needed_by(top);
            if above.is_empty() {
                let mut way: Vec<&str> =
                    std::iter::successors(Some(top), |at| below.get(at).copied()).collect();
                way.reverse();
                return way;
            }
            for next in above.iter().map(String::as_str).filter(|next| *next != drv) {
                if !below.contains_key(next) {
                    below.insert(next, top);
                    open.push_back(next);
                }
            }
        }
        vec![drv]
    }
}
