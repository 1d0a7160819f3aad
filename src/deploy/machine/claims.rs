//! Places in budgets: which hosts claim them, and what is heard of that.

use super::host::{Claim, HostProgress, Stage};
use super::stuck::DECISION_LIMIT;
use super::watch::later;
use super::{Machine, MachineCommand};
use crate::deploy::{ClaimAnswer, Failure, Reason};
use crate::fleet::{Budget, Code, Outcome, Phase, Wait, duration};
use jiff::Timestamp;

impl Machine {
    /// Claims a host's places in budgets before it changes; returns what it waits for until then.
    pub(super) fn claim(
        &mut self,
        index: usize,
        phase: Phase,
        out: &mut Vec<MachineCommand>,
    ) -> Option<Wait> {
        let host = &self.hosts[index];
        if !host.setup.goal.changes() || phase != host.changes_at() {
            return None;
        }
        let budgets = self.budgets_of(index);
        match &host.claim {
            _ if budgets.is_empty() => return None,
            Claim::Held => return None,
            Claim::Asked(wait) => return Some(wait.clone()),
            Claim::None => {}
        }
        // This run's own hosts need not be asked.
        for budget in &budgets {
            let claimed = self.hosts.iter().filter(|other| {
                other.claim != Claim::None && other.setup.tags.contains(&budget.tag)
            });
            let hosts: Vec<String> = claimed.map(|other| other.setup.name.clone()).collect();
            if hosts.len() >= budget.in_flight {
                return Some(Wait::place_in(&budget.name, hosts));
            }
        }
        let wait = being_asked(&budgets)?;
        let budgets = budgets.iter().map(|budget| budget.name.clone()).collect();
        let host = &mut self.hosts[index];
        host.claim = Claim::Asked(wait.clone());
        host.claims = host.claims.saturating_add(1);
        let (name, claim) = (host.setup.name.clone(), host.claims);
        out.push(MachineCommand::Claim { host: name, budgets, claim, has_begun: false });
        Some(wait)
    }

    /// Returns the budgets in which a host needs a place before it changes.
    fn budgets_of(&self, index: usize) -> Vec<&Budget> {
        let tags = &self.hosts[index].setup.tags;
        self.setup.budgets.iter().filter(|budget| tags.contains(&budget.tag)).collect()
    }

    /// Returns whether a host has begun to change with its places in budgets.
    pub fn has_begun_with_places(&self, name: &str) -> bool {
        let host = self.index_of(name).map(|index| &self.hosts[index]);
        host.is_some_and(|host| host.claim == Claim::Held && host.has_begun())
    }

    /// Takes how far a host's claim is. What is heard of a claim that was given back since then counts for nothing.
    pub(super) fn claimed(
        &mut self,
        name: &str,
        claim: u64,
        answer: ClaimAnswer,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) {
        let Some(index) = self.index_of(name) else { return };
        let host = &mut self.hosts[index];
        if !matches!(host.claim, Claim::Asked(_)) || host.claims != claim {
            return;
        }
        match answer {
            ClaimAnswer::Held => host.claim = Claim::Held,
            ClaimAnswer::Waits { budget, taken_by, silent } => {
                let until = host.waits_for_silent(&budget);
                let until = until.unwrap_or_else(|| later(now, DECISION_LIMIT));
                let until = Some(until).filter(|_| !silent.is_empty());
                host.claim = Claim::Asked(Wait::Budget { budget, hosts: taken_by, silent, until });
            }
            ClaimAnswer::Failed(Failure { outcome, reason }) => {
                self.leave_out(index, outcome, reason, now, out);
            }
        }
    }

    /// Lets hosts that have not begun to change claim the places again that they had: nobody renewed them for a while,
    /// and somebody else may have them.
    pub(super) fn claim_again(&mut self) {
        for index in 0..self.hosts.len() {
            let asked = being_asked(&self.budgets_of(index));
            let host = &mut self.hosts[index];
            if host.claim == Claim::Held && !host.has_begun() {
                host.claim = asked.map_or(Claim::None, Claim::Asked);
            }
        }
    }
}

impl Machine {
    /// Ends the hosts that have waited long enough for places which only hosts take that do not answer, with the other
    /// hosts of the run that wait for the same places: they would wait as long, one after the other.
    pub(super) fn end_without_place(&mut self, now: Timestamp, out: &mut Vec<MachineCommand>) {
        if self.paused {
            return;
        }
        let over = self.hosts.iter().find_map(|host| match &host.claim {
            Claim::Asked(Wait::Budget { budget, silent, until: Some(until), .. })
                if *until <= now =>
            {
                Some((budget.clone(), silent.clone()))
            }
            Claim::Asked(_) | Claim::None | Claim::Held => None,
        });
        let Some((name, silent)) = over else { return };
        for index in 0..self.hosts.len() {
            let host = &self.hosts[index];
            let waits =
                matches!(&host.waits_for, Some(Wait::Budget { budget, .. }) if *budget == name);
            if waits && host.claim != Claim::Held && matches!(host.stage, Stage::Waiting(_)) {
                let why = no_place(&host.setup.name, &name, &silent);
                self.leave_out(index, Outcome::Failed, why, now, out);
            }
        }
    }
}

impl HostProgress {
    /// Returns until when it waits for a place in a budget that only hosts take which do not answer; none where it does
    /// not wait for such a place.
    pub(super) fn waits_for_silent(&self, name: &str) -> Option<Timestamp> {
        match &self.claim {
            Claim::Asked(Wait::Budget { budget, until, .. }) if budget == name => *until,
            Claim::Asked(_) | Claim::None | Claim::Held => None,
        }
    }
}

/// Says that a host got no place in a budget, since only hosts take its places that do not answer.
fn no_place(host: &str, budget: &str, silent: &[String]) -> Reason {
    let limit = duration(DECISION_LIMIT);
    let text = format!(
        "{host}: for {limit} every place in the budget {budget} was taken by hosts that do not answer and may be \
         changing ({}), so nothing was changed. Wake them or, where they stay off, take the tag of the budget from \
         them in hosts.toml; then deploy again",
        silent.join(", ")
    );
    Reason::new(Code::BudgetLost, text)
}

/// Returns what a host waits for whose places in budgets are being asked for; nothing where it needs none.
fn being_asked(budgets: &[&Budget]) -> Option<Wait> {
    let budget = budgets.first()?.name.clone();
    Some(Wait::place_in(&budget, Vec::new()))
}
