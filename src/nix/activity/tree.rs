//! The derivations of one process of Nix: which is planned, waits, is built, was built, failed.
//!
//! There is one node for each derivation, however often it begins. The stream does not say which
//! needs which: [`BuildTree::learn`] takes that from the derivations' own files, and until then the
//! tree is a flat list. That a build stopped does not say that it ended well; a counter or a
//! message does, and what neither speaks of was interrupted.

use super::edges::DerivationEdges;
use super::node::{BuildNode, BuildState, WaitsFor};
use super::settling::Settling;
use crate::fleet::StorePath;
use crate::nix::derivation::Derivation;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

/// A line of the tree.
#[derive(Clone, Copy, Debug)]
pub struct TreeRow<'a> {
    /// How many rows above it need it; 0 in a flat list.
    pub depth: usize,
    /// The derivation.
    pub node: &'a BuildNode,
    /// Whether it is there, though this Nix did not build it.
    pub is_made_elsewhere: bool,
}

/// How much of the order between derivations is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeShape {
    /// No derivation was read: a list.
    Flat,
    /// So many derivations were not read, and stand at the top.
    Partial(usize),
    /// All of them were read.
    Whole,
}

/// The derivations, in the order in which the stream named them.
#[derive(Clone, Debug, Default)]
pub struct BuildTree {
    nodes: Vec<BuildNode>,
    by_drv: HashMap<String, usize>,
    edges: DerivationEdges,
    settling: Settling,
}

impl BuildTree {
    /// Takes what a derivation's own file says; the same a second time changes nothing.
    pub fn learn(&mut self, drv: &StorePath, read: &Derivation) {
        self.edges.learn(drv, read);
    }

    /// Returns the derivations whose files were not read yet.
    pub fn unread(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(BuildNode::drv).filter(|drv| !self.edges.knows(drv))
    }

    /// Returns all derivations, in the order in which the stream named them.
    pub fn nodes(&self) -> &[BuildNode] {
        &self.nodes
    }

    /// Returns a derivation by its path.
    pub fn node(&self, drv: &str) -> Option<&BuildNode> {
        self.by_drv.get(drv).and_then(|index| self.nodes.get(*index))
    }

    /// Returns how many derivations are in a state.
    pub fn count(&self, is: impl Fn(BuildState) -> bool) -> u64 {
        self.nodes.iter().filter(|node| is(node.state)).count() as u64
    }

    /// Returns how much of the order between derivations is known.
    pub fn shape(&self) -> TreeShape {
        match self.unread().count() {
            _ if self.edges.is_empty() => TreeShape::Flat,
            0 => TreeShape::Whole,
            unread => TreeShape::Partial(unread),
        }
    }

    /// Returns the derivations that failed by themselves and because of which this one could not be
    /// built; itself where it failed by itself. None where that cannot be known: nothing that it
    /// needs failed, or derivations were not read.
    pub fn causes(&self, drv: &str) -> Option<Vec<&BuildNode>> {
        let node = self.node(drv)?;
        if node.state == BuildState::Failed {
            return Some(vec![node]);
        }
        let above = self.above_the_failed();
        if !above.contains(drv) || node.state == BuildState::Built {
            return None;
        }
        let is_built =
            |drv: &str| self.node(drv).is_some_and(|node| node.state == BuildState::Built);
        let causes = self.edges.causes(node.drv(), |drv| above.contains(drv) && !is_built(drv));
        let causes: Vec<&BuildNode> = causes.into_iter().filter_map(|drv| self.node(drv)).collect();
        let is_known = causes.iter().all(|cause| cause.state == BuildState::Failed);
        (is_known && !causes.is_empty()).then_some(causes)
    }

    /// Returns every derivation that failed, and all that need one of those, near or far. Nix does
    /// not name each of them.
    fn above_the_failed(&self) -> HashSet<&str> {
        let failed = self.nodes.iter().filter(|node| node.state == BuildState::Failed);
        let mut open: Vec<&str> = failed.map(BuildNode::drv).collect();
        let mut above: HashSet<&str> = open.iter().copied().collect();
        while let Some(drv) = open.pop() {
            let next = self.edges.needed_by(drv).iter().map(String::as_str);
            open.extend(next.filter(|drv| above.insert(drv)));
        }
        above
    }

    /// Returns the way from a derivation up to the one that was asked for: what waits for it.
    pub fn way_up<'a>(&'a self, drv: &'a str) -> Vec<&'a str> {
        self.edges.way_up(drv)
    }

    /// Returns the derivations that were there already, needed by those that were to be built: none
    /// of their outputs is among `copied`. None while no derivation was read.
    pub fn already_there(&self, copied: &HashSet<&str>) -> Option<u64> {
        if self.edges.is_empty() {
            return None;
        }
        let inputs = self.nodes.iter().flat_map(|node| self.edges.inputs(node.drv()));
        let inputs: BTreeSet<&str> = inputs.map(String::as_str).collect();
        let is_there = |drv: &&str| {
            let outputs = self.edges.outputs(drv);
            self.node(drv).is_none() && !outputs.iter().any(|path| copied.contains(path.as_str()))
        };
        Some(inputs.into_iter().filter(is_there).count() as u64)
    }

    /// Returns each derivation once, below one that needs it, the most urgent first: what failed,
    /// what is built, what waits, what is done. Depth is 0 throughout while nothing was read.
    pub fn rows(&self) -> Vec<TreeRow<'_>> {
        let (urgency, is_made_elsewhere) = (self.urgency(), self.made_elsewhere());
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        order.sort_by_key(|index| (urgency[*index], *index));
        let is_top = |index: &&usize| {
            let needed_by = self.edges.needed_by(self.nodes[**index].drv());
            needed_by.iter().all(|above| !self.by_drv.contains_key(above))
        };
        let mut open: Vec<(usize, usize)> =
            order.iter().filter(is_top).map(|index| (0, *index)).collect();
        open.reverse();
        // What needs itself in a circle has no top; it comes last, so that nothing is lost.
        open.splice(0..0, order.iter().rev().map(|index| (0, *index)));
        let (mut rows, mut is_shown) = (Vec::new(), vec![false; self.nodes.len()]);
        while let Some((depth, index)) = open.pop() {
            if std::mem::replace(&mut is_shown[index], true) {
                continue;
            }
            let node = &self.nodes[index];
            rows.push(TreeRow { depth, node, is_made_elsewhere: is_made_elsewhere[index] });
            let inputs = self.edges.inputs(node.drv()).iter();
            let mut below: Vec<usize> =
                inputs.filter_map(|input| self.by_drv.get(input).copied()).collect();
            below.sort_by_key(|index| std::cmp::Reverse((urgency[*index], *index)));
            open.extend(below.into_iter().map(|index| (depth + 1, index)));
        }
        rows
    }

    /// Returns of each derivation whether it is there, though this Nix did not build it: something that needs
    /// it, near or far, has begun, and Nix begins nothing of which an input is missing. Another process built
    /// or fetched it, such as the build of another host.
    pub(super) fn made_elsewhere(&self) -> Vec<bool> {
        let has_begun = |state| {
            matches!(state, BuildState::Running | BuildState::Built | BuildState::Interrupted)
        };
        let begun = self.nodes.iter().enumerate().filter(|(_, node)| has_begun(node.state));
        let mut open: Vec<usize> = begun.map(|(index, _)| index).collect();
        let mut found = vec![false; self.nodes.len()];
        while let Some(index) = open.pop() {
            for input in self.inputs_of(index) {
                let is_left = match self.nodes[input].state {
                    BuildState::Planned | BuildState::Waiting(_) => true,
                    BuildState::Running
                    | BuildState::Built
                    | BuildState::Failed
                    | BuildState::DependencyFailed
                    | BuildState::Interrupted => false,
                };
                if is_left && !std::mem::replace(&mut found[input], true) {
                    open.push(input);
                }
            }
        }
        found
    }

    /// Returns how urgent each derivation is, the most urgent of what it needs counted in; 0 first.
    fn urgency(&self) -> Vec<u8> {
        let own = |node: &BuildNode| match node.state {
            BuildState::Failed => 0,
            BuildState::Interrupted => 1,
            BuildState::Running => 2,
            BuildState::Waiting(_) => 3,
            BuildState::DependencyFailed => 4,
            BuildState::Planned => 5,
            BuildState::Built => 6_u8,
        };
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        order.sort_by_key(|index| own(&self.nodes[*index]));
        let mut found: Vec<Option<u8>> = vec![None; self.nodes.len()];
        for start in order {
            let rank = own(&self.nodes[start]);
            let mut open = vec![start];
            while let Some(index) = open.pop() {
                if found[index].is_none() {
                    found[index] = Some(rank);
                    let above = self.edges.needed_by(self.nodes[index].drv()).iter();
                    open.extend(above.filter_map(|drv| self.by_drv.get(drv)));
                }
            }
        }
        found.into_iter().map(Option::unwrap_or_default).collect()
    }

    /// Returns the numbers of the derivations that one needs, as far as that is known.
    pub(super) fn inputs_of(&self, index: usize) -> impl Iterator<Item = usize> {
        let inputs = self.nodes.get(index).map_or(&[][..], |node| self.edges.inputs(node.drv()));
        inputs.iter().filter_map(|input| self.by_drv.get(input).copied())
    }

    /// Returns the number of a derivation, which is new until now or not.
    pub(super) fn index(&mut self, drv: &str) -> usize {
        if let Some(index) = self.by_drv.get(drv) {
            return *index;
        }
        self.nodes.push(BuildNode::new(drv));
        let index = self.nodes.len() - 1;
        self.by_drv.insert(drv.to_owned(), index);
        index
    }

    /// Returns a derivation by its number.
    pub(super) fn at(&mut self, index: usize) -> Option<&mut BuildNode> {
        self.nodes.get_mut(index)
    }

    /// Notes that a derivation begins, here or on a machine, and returns its number.
    pub(super) fn start(&mut self, drv: &str, machine: &str, now: Option<Duration>) -> usize {
        let index = self.index(drv);
        self.settling.forget(index);
        self.nodes[index].start(machine, now);
        index
    }

    /// Notes that an activity that builds a derivation stopped.
    pub(super) fn stop(&mut self, index: usize, now: Option<Duration>) {
        let Some(node) = self.nodes.get_mut(index) else { return };
        if node.stop(now) && node.state == BuildState::Running {
            // Until a counter or a message says otherwise.
            node.state = BuildState::Built;
            self.settling.stopped(index);
            self.settle();
        }
    }

    /// Notes what a derivation waits for, or that it does not any more.
    pub(super) fn wait(&mut self, index: usize, what: Option<WaitsFor>) {
        let Some(node) = self.nodes.get_mut(index) else { return };
        if let BuildState::Planned | BuildState::Waiting(_) = node.state {
            node.state = what.map_or(BuildState::Planned, BuildState::Waiting);
        }
    }

    /// Notes that so many more derivations were built, and so many more have failed.
    pub(super) fn counted(&mut self, built: u64, failed: u64) {
        self.settling.count(built, failed);
        self.settle();
    }

    /// Gives what stopped the end that was counted for it.
    fn settle(&mut self) {
        while let Some((index, is_built)) = self.settling.settle() {
            let Some(node) = self.nodes.get_mut(index) else { continue };
            if !is_built {
                (node.state, node.is_guess) = (BuildState::Failed, true);
            }
        }
    }

    /// Notes that nothing is counted any more: what stopped without being counted was interrupted.
    pub(super) fn counting_ended(&mut self) {
        for index in self.settling.end() {
            if let Some(node) = self.nodes.get_mut(index) {
                node.state = BuildState::Interrupted;
            }
        }
    }

    /// Notes that a message says that a derivation failed, and why.
    pub(super) fn fail(&mut self, drv: &str, reason: String) {
        let index = self.index(drv);
        let node = &mut self.nodes[index];
        let (was, was_guess) = (node.state, node.is_guess);
        if was == BuildState::Failed && !was_guess {
            node.reason.get_or_insert(reason);
            return;
        }
        (node.state, node.is_guess, node.reason) = (BuildState::Failed, false, Some(reason));
        self.settling.forget(index);
        if was == BuildState::Built {
            // The counter was taken for another one that stopped at the same time.
            if let Some(other) = self.nodes.iter_mut().find(|node| node.is_guess) {
                (other.state, other.is_guess) = (BuildState::Built, false);
            }
        }
        if !was_guess {
            self.settling.take_failure();
        }
    }

    /// Notes that a derivation was not built because of another.
    pub(super) fn dependency_failed(&mut self, drv: &str) {
        let index = self.index(drv);
        if let Some(node) = self.nodes.get_mut(index)
            && matches!(node.state, BuildState::Planned | BuildState::Waiting(_))
        {
            node.state = BuildState::DependencyFailed;
        }
    }

    /// Notes that the process is over: what it did not end was interrupted.
    pub(super) fn end(&mut self, now: Option<Duration>) {
        self.counting_ended();
        for node in &mut self.nodes {
            if node.state == BuildState::Running {
                node.stop_all(now);
                node.state = BuildState::Interrupted;
            } else if let BuildState::Waiting(_) = node.state {
                node.state = BuildState::Planned;
            }
        }
    }

    /// Notes that lines come later than they were written.
    pub(super) fn lines_are_late(&mut self) {
        self.nodes.iter_mut().for_each(BuildNode::forget_begin);
    }
}
