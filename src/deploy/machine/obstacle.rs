//! What a host of a run has to wait for before its next phase.

use super::Machine;
use super::away::AWAY_AGAIN;
use super::host::Stage;
use super::rollout::question;
use super::watch::WatchState;
use crate::fleet::{Phase, Wait};
use jiff::Timestamp;

impl Machine {
    /// Returns what a host has to wait for before a phase.
    pub(super) fn obstacle(&self, index: usize, phase: Phase, now: Timestamp) -> Option<Wait> {
        let host = &self.hosts[index];
        if let Some((since, next)) = host.away
            && phase == Phase::Preflight
            && now < next
        {
            return Some(Wait::Offline { since, every_s: Some(AWAY_AGAIN.as_secs()) });
        }
        if let Some(stuck) = &host.stuck {
            let until = self.decided_until(stuck.until);
            return Some(Wait::Way { why: stuck.why.text.clone(), until });
        }
        if self.paused && !host.has_begun() && host.back.is_none() {
            return Some(Wait::Paused);
        }
        if host.back.is_none() {
            if phase <= Phase::Compare {
                return None;
            }
            if self.setup.goal.deploys() && self.confirmed != Some(true) {
                return Some(Wait::Confirmation { until: self.answer_until });
            }
        }
        if host.has_begun() {
            return None;
        }
        let ahead = self.setup.goal.deploys() && phase >= Phase::Fetch;
        if ahead && host.back.is_none() && !self.asked {
            return Some(Wait::Plan { hosts: self.not_compared() });
        }
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
        let places = self.setup.parallel;
        let taken = self.hosts.iter().filter(|host| host.has_place);
        let needs_one = phase >= Phase::Fetch && !host.has_place;
        (needs_one && taken.clone().count() >= places).then(|| Wait::Place {
            places,
            hosts: taken.map(|host| host.setup.name.clone()).collect(),
        })
    }

    /// Returns the hosts that a host builds or serves a cache for, as long as they are not done: its
    /// own switch restarts the cache, the Nix daemon or the network of the others. One that only
    /// sleeps, or waits for it or its wave, is not among them.
    fn served_by(&self, index: usize) -> Vec<String> {
        let waits = |other: usize| {
            let is_later = self.wave_of(other) > self.wave_of(index);
            let stands =
                matches!(self.hosts[other].stage, Stage::Waiting(phase) if phase >= Phase::Fetch);
            is_later && stands || self.waits_for_last(other, self.hosts.len())
        };
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
        let own = self.wave_of(index);
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
                WatchState::Asks { gate, why, until } => {
                    let (wave, why) = (number + 1, question(&gate, &why));
                    Some(Wait::Decision { wave, why, until: self.decided_until(until) })
                }
                WatchState::Undecided { .. } | WatchState::Failed { .. } | WatchState::Passed => {
                    None
                }
            },
        }
    }
}
