//! What a host of a run has to wait for before its next phase.

use super::Machine;
use super::rollout::question;
use super::watch::WatchState;
use crate::deploy::Reason;
use crate::fleet::{Code, Phase, Wait};
use jiff::Timestamp;

impl Machine {
    /// Returns the hosts of the run that have to be done before a host, since `order` says so.
    pub(super) fn goes_after(&self, index: usize) -> Vec<usize> {
        self.ordered_after(index).into_iter().flat_map(|(hosts, _)| hosts).collect()
    }

    /// Returns for each rule of the order that means a host whom it waits for, and why.
    fn ordered_after(&self, index: usize) -> Vec<(Vec<usize>, &str)> {
        let setup = &self.hosts[index].setup;
        let rules = self.setup.rollout.order.iter();
        rules
            .filter(|rule| rule.who.means(&setup.name, &setup.tags))
            .map(|rule| {
                let others = self.hosts.iter().enumerate().filter(|(other, host)| {
                    *other != index && rule.after.means(&host.setup.name, &host.setup.tags)
                });
                (others.map(|(other, _)| other).collect(), rule.reason.as_str())
            })
            .collect()
    }

    /// Says that a host is to go after others that are away or set aside, where that is so.
    pub(super) fn order_not_held(&self, index: usize) -> Option<Reason> {
        let is_set_aside = |other: &usize| {
            let host = &self.hosts[*other];
            host.away.is_some() || host.outcome().is_some_and(|outcome| !outcome.is_good())
        };
        self.ordered_after(index).into_iter().find_map(|(others, why)| {
            let missing = others.into_iter().filter(is_set_aside);
            let names: Vec<&str> =
                missing.map(|other| self.hosts[other].setup.name.as_str()).collect();
            let verb = if names.len() == 1 { "is" } else { "are" };
            let text = format!(
                "{} is to go after {} ({why}), which {verb} not deployed in this run",
                self.hosts[index].setup.name,
                names.join(", ")
            );
            (!names.is_empty()).then(|| Reason::new(Code::OrderNotHeld, text))
        })
    }

    /// Returns what a host has to wait for before a phase.
    pub(super) fn obstacle(&self, index: usize, phase: Phase, now: Timestamp) -> Option<Wait> {
        let host = &self.hosts[index];
        if let Some((since, next)) = host.away
            && phase == Phase::Preflight
            && now < next
        {
            return Some(Wait::Offline { since, next });
        }
        if let Some(stuck) = &host.stuck {
            return Some(Wait::Way { why: stuck.why.text.clone(), until: stuck.until });
        }
        if self.paused && !host.has_begun() && host.back.is_none() {
            return Some(Wait::Paused);
        }
        if host.back.is_none() {
            if phase <= Phase::Compare {
                return None;
            }
            if self.setup.goal.deploys() && self.confirmed != Some(true) {
                return Some(Wait::Confirmation);
            }
        }
        if host.has_begun() {
            return None;
        }
        let ahead = self.setup.goal.deploys() && phase >= Phase::Fetch;
        if ahead && host.back.is_none() {
            let wait = self.wave_before(index, now).or_else(|| self.order_before(index));
            if wait.is_some() {
                return wait;
            }
        }
        if ahead && host.setup.last && phase > Phase::Diff {
            let busy = self.served_by(index);
            if !busy.is_empty() {
                return Some(Wait::Served { hosts: busy });
            }
        }
        if phase >= Phase::Fetch && !host.has_place() {
            let others = self.hosts.iter().enumerate().filter(|(other, _)| *other != index);
            let placed =
                others.filter(|(_, host)| host.has_place() && !host.is_held_back()).count();
            if placed >= self.setup.parallel {
                return Some(Wait::Place { places: self.setup.parallel });
            }
        }
        None
    }

    /// Returns the hosts that a host builds or serves a cache for, as long as they are not done: its
    /// own switch restarts the cache, the Nix daemon or the network of the others. One that only
    /// sleeps, or waits for it, is not among them.
    fn served_by(&self, index: usize) -> Vec<String> {
        let waits = |other: usize| self.waits_for_last(other, self.hosts.len());
        let others = self.hosts.iter().enumerate().filter(|(other, host)| {
            *other != index
                && !host.is_over()
                && !host.setup.last
                && host.away.is_none()
                && !waits(*other)
        });
        others.map(|(_, host)| host.setup.name.clone()).collect()
    }

    /// Returns whether the order lets a host wait for one that activates last.
    fn waits_for_last(&self, index: usize, depth: usize) -> bool {
        depth > 0
            && self
                .goes_after(index)
                .into_iter()
                .any(|other| self.hosts[other].setup.last || self.waits_for_last(other, depth - 1))
    }

    /// Returns what a host waits for of the waves before its own.
    fn wave_before(&self, index: usize, now: Timestamp) -> Option<Wait> {
        // One that woke late, or was not in the plan, comes after all of them.
        let own = self.hosts[index].wave.unwrap_or(self.waves.len());
        let number = (0..own.min(self.waves.len())).find(|number| !self.waves[*number].passed)?;
        let wave = &self.waves[number];
        match &wave.watch {
            None => {
                let earlier = self.waves[..=number].iter().flat_map(|wave| &wave.hosts);
                let busy = earlier.filter(|host| !self.hosts[**host].is_over());
                let hosts = busy.map(|host| self.hosts[*host].setup.name.clone()).collect();
                Some(Wait::Wave { wave: own + 1, hosts })
            }
            Some(watch) => match watch.state(now) {
                WatchState::Soaks(until) => Some(Wait::Soak { wave: number + 1, until }),
                WatchState::Checks { gate, said, next } => {
                    Some(Wait::Gate { wave: number + 1, gate, said, next })
                }
                WatchState::Asks { gate, why } => {
                    Some(Wait::Decision { wave: number + 1, why: question(&gate, &why) })
                }
                WatchState::Failed { .. } | WatchState::Passed => None,
            },
        }
    }

    /// Returns what a host waits for since the order says so.
    fn order_before(&self, index: usize) -> Option<Wait> {
        self.ordered_after(index).into_iter().find_map(|(hosts, reason)| {
            let busy = hosts.iter().filter(|other| {
                !self.hosts[**other].is_over() && self.hosts[**other].away.is_none()
            });
            let hosts: Vec<String> =
                busy.map(|other| self.hosts[*other].setup.name.clone()).collect();
            let reason = reason.to_owned();
            (!hosts.is_empty()).then_some(Wait::Order { hosts, reason })
        })
    }
}
