//! Which hosts go after which others: what a host waits for since `order` says so, and what becomes of it when one
//! that goes first does not get its system.

use super::{Machine, MachineCommand};
use crate::deploy::Reason;
use crate::fleet::{Code, Outcome, Wait};
use jiff::Timestamp;
use std::collections::BTreeSet;

impl Machine {
    /// Returns the hosts of the run that have to be done before a host, since `order` says so.
    pub(super) fn goes_after(&self, index: usize) -> Vec<usize> {
        self.ordered_after(index).into_iter().flat_map(|(hosts, _)| hosts).collect()
    }

    /// Returns for each rule of the order that means a host whom it waits for, and why. Nobody waits for a host that is
    /// read-only: no run changes it.
    fn ordered_after(&self, index: usize) -> Vec<(Vec<usize>, &str)> {
        let setup = &self.hosts[index].setup;
        let rules = self.setup.rollout.order.iter();
        rules
            .filter(|rule| rule.who.means(&setup.name, &setup.tags))
            .map(|rule| {
                let others = self.hosts.iter().enumerate().filter(|(other, host)| {
                    let is_meant = rule.after.means(&host.setup.name, &host.setup.tags);
                    is_meant && *other != index && !host.setup.is_read_only()
                });
                (others.map(|(other, _)| other).collect(), rule.reason.as_str())
            })
            .collect()
    }

    /// Says of each host that it is to go after one that is away or set aside. One about which nobody is asked
    /// is not deployed then, and neither is who goes after that.
    pub(super) fn judge_order(&mut self, now: Timestamp, out: &mut Vec<MachineCommand>) {
        if !self.setup.goal.changes() {
            return;
        }
        let mut told = BTreeSet::new();
        loop {
            let mut open = (0..self.hosts.len())
                .filter(|index| !told.contains(index) && !self.hosts[*index].is_over());
            let found = open.find_map(|index| {
                let missing = self.missing_before(index);
                (!missing.is_empty()).then_some((index, missing))
            });
            let Some((index, missing)) = found else { return };
            told.insert(index);
            if self.setup.asks {
                for (others, reason) in missing {
                    self.hosts[index].known.preflight.notes.push(reason);
                    self.hosts[index].goes_without.extend(others);
                }
            } else if let Some((_, reason)) = missing.into_iter().next() {
                let text = format!(
                    "{}; nothing was done. Deploy what goes first, or confirm the plan without --yes",
                    reason.text
                );
                self.end(index, Outcome::Failed, Some(Reason { text, ..reason }), now, out);
            }
        }
    }

    /// Returns the hosts that are away or set aside and that a host is to go after, by rule, and says so of each rule.
    fn missing_before(&self, index: usize) -> Vec<(Vec<usize>, Reason)> {
        let is_missing = |other: &usize| self.hosts[*other].away.is_some() || self.is_lost(*other);
        let mut all = Vec::new();
        for (others, why) in self.ordered_after(index) {
            let missing: Vec<usize> = others.into_iter().filter(is_missing).collect();
            let names: Vec<&str> =
                missing.iter().map(|other| self.hosts[*other].setup.name.as_str()).collect();
            let verb = if names.len() == 1 { "is" } else { "are" };
            let text = format!(
                "{} is to go after {} ({why}), which {verb} not deployed in this run",
                self.hosts[index].setup.name,
                names.join(", ")
            );
            if !missing.is_empty() {
                all.push((missing, Reason::new(Code::OrderNotHeld, text)));
            }
        }
        all
    }

    /// Returns whether a host is done in this run and did not get its system well.
    fn is_lost(&self, index: usize) -> bool {
        self.hosts[index].outcome().is_some_and(|outcome| !outcome.is_good())
    }

    /// Returns whether a host may go though another one, which it is to go after, did not get its system: somebody
    /// confirmed a plan that says so, or nothing is changed.
    fn goes_without(&self, index: usize, other: usize) -> bool {
        !self.setup.goal.changes() || self.hosts[index].goes_without.contains(&other)
    }

    /// Says that a host that a confirmed plan lets another one go after did not get its system, where that is so.
    pub(super) fn order_broken(&self, index: usize) -> Option<Reason> {
        if !self.asked || self.confirmed != Some(true) {
            return None;
        }
        self.ordered_after(index).into_iter().find_map(|(others, why)| {
            let is_broken =
                |other: &usize| self.is_lost(*other) && !self.goes_without(index, *other);
            let lost = &self.hosts[others.into_iter().find(is_broken)?];
            let ended = lost.outcome()?.spoken();
            let text = format!(
                "{} is to go after {} ({why}), which ended as {ended}",
                self.hosts[index].setup.name, lost.setup.name
            );
            Some(Reason::new(Code::OrderNotHeld, text))
        })
    }

    /// Leaves hosts out that have not begun to change, when one that goes first did not get its system; then those that
    /// go after these as well.
    pub(super) fn leave_followers_out(&mut self, now: Timestamp, out: &mut Vec<MachineCommand>) {
        let broken = |machine: &Self, index: usize| {
            let host = &machine.hosts[index];
            let is_open = !host.is_over() && !host.has_begun();
            let can = is_open && host.back.is_none() && host.leaves.is_none();
            can.then(|| machine.order_broken(index)).flatten()
        };
        while let Some((index, reason)) =
            (0..self.hosts.len()).find_map(|index| Some((index, broken(self, index)?)))
        {
            let text = format!("not begun: {}", reason.text);
            self.leave_out(index, Outcome::Skipped, Reason { text, ..reason }, now, out);
        }
    }

    /// Returns what a host waits for since the order says so.
    pub(super) fn order_before(&self, index: usize) -> Option<Wait> {
        self.ordered_after(index).into_iter().find_map(|(hosts, reason)| {
            let busy = hosts.iter().filter(|other| self.waits_in_order(index, **other));
            let hosts: Vec<String> =
                busy.map(|other| self.hosts[*other].setup.name.clone()).collect();
            let reason = reason.to_owned();
            (!hosts.is_empty()).then_some(Wait::Order { hosts, reason })
        })
    }

    /// Returns whether a host waits for another one that it is to go after. One that may go without the other waits
    /// neither for it to wake, nor for a later wave, which waits for its own.
    fn waits_in_order(&self, index: usize, other: usize) -> bool {
        let is_far = self.hosts[other].away.is_some() || self.wave_of(other) > self.wave_of(index);
        !(self.hosts[other].is_over() || is_far && self.goes_without(index, other))
    }
}
