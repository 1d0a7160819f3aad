//! How a run moves over its hosts: what a host has to wait for before its next phase.

use super::Machine;
use crate::fleet::{Goal, Phase, Wait};

impl Machine {
    /// Returns what a host has to wait for before a phase.
    pub(super) fn obstacle(&self, index: usize, phase: Phase) -> Option<Wait> {
        if phase <= Phase::Compare {
            return None;
        }
        if self.setup.goal.deploys() && self.confirmed != Some(true) {
            return Some(Wait::Confirmation);
        }
        let others = || self.hosts.iter().enumerate().filter(|(other, _)| *other != index);
        if self.hosts[index].setup.last && phase > Phase::Diff && phase < Phase::Acknowledge
            || self.hosts[index].setup.last
                && phase == Phase::Persist
                && self.setup.goal == Goal::Boot
        {
            // Its own switch restarts the cache, the Nix daemon or the network of the others.
            let busy: Vec<String> = others()
                .filter(|(_, host)| !host.is_over() && !host.setup.last)
                .map(|(_, host)| host.setup.name.clone())
                .collect();
            if !busy.is_empty() {
                return Some(Wait::Served { hosts: busy });
            }
        }
        if phase >= Phase::Fetch && !self.hosts[index].has_place() {
            let placed = others().filter(|(_, host)| host.has_place()).count();
            if placed >= self.setup.parallel {
                return Some(Wait::Place { places: self.setup.parallel });
            }
        }
        None
    }
}
