//! A host to which no way is left: somebody decides whether it is tried again or left out.
//!
//! Every cache that could serve its system is down, and its builder cannot copy it. Where somebody
//! confirmed the plan, somebody is asked; a run that asked nobody ends the host at once.

use super::host::{Claim, Stage, Stuck};
use super::{Machine, MachineCommand, tell_phase, watch};
use crate::deploy::{Failure, Reason};
use crate::fleet::{ANSWER_LIMIT, Outcome, Phase, PhaseState, Wait};
use jiff::Timestamp;
use std::time::Duration;

/// How long a host, or a wave, waits for somebody to decide: as long as a plan waits for its answer.
pub(super) const DECISION_LIMIT: Duration = ANSWER_LIMIT;

impl Machine {
    /// Returns whether somebody is asked what becomes of a host whose phase failed so.
    pub(super) fn asks_about(&self, index: usize, phase: Phase, failure: &Failure) -> bool {
        let host = &self.hosts[index];
        let may_go_on = !self.cancelled && host.leaves.is_none() && host.back.is_none();
        let needs_a_way = matches!(phase, Phase::Verify | Phase::Fetch) && failure.is_of_tier();
        self.setup.asks && may_go_on && needs_a_way
    }

    /// Lets a host wait for somebody to decide.
    pub(super) fn ask_about(
        &mut self,
        index: usize,
        phase: Phase,
        why: Reason,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) {
        let host = &mut self.hosts[index];
        tell_phase(out, &host.setup.name, phase, PhaseState::Failed);
        host.stuck = Some(Stuck { why, until: watch::later(now, DECISION_LIMIT) });
        host.stage = Stage::Waiting(phase);
        host.has_place = false;
    }

    /// Returns the hosts that wait for somebody to decide.
    pub(super) fn stuck_hosts(&self) -> Vec<usize> {
        (0..self.hosts.len()).filter(|index| self.hosts[*index].stuck.is_some()).collect()
    }

    /// Waits for what somebody has to decide, and for hooks that are run again, as long as if that had begun now.
    pub(super) fn wait_anew(&mut self, now: Timestamp) {
        let until = watch::later(now, DECISION_LIMIT);
        self.waves.iter_mut().for_each(|wave| wave.decide_later(until));
        if let Some(answer_until) = &mut self.answer_until {
            *answer_until = watch::later(now, ANSWER_LIMIT);
        }
        for host in &mut self.hosts {
            if let Some(stuck) = &mut host.stuck {
                stuck.until = until;
            }
            if let Claim::Asked(Wait::Budget { until: Some(told), .. }) = &mut host.claim {
                *told = until;
            }
            match &mut host.waits_for {
                Some(
                    Wait::Way { until: Some(told), .. }
                    | Wait::Decision { until: Some(told), .. }
                    | Wait::Confirmation { until: Some(told) }
                    | Wait::Budget { until: Some(told), .. },
                ) => *told = until,
                Some(Wait::Hook { moment, .. }) => {
                    let moment = *moment;
                    host.waits_for = Some(host.hook_wait(moment, now));
                }
                Some(_) | None => {}
            }
        }
    }

    /// Returns until when somebody has to decide; without end while the run is paused.
    pub(super) fn decided_until(&self, until: Timestamp) -> Option<Timestamp> {
        (!self.paused).then_some(until)
    }

    /// Ends the hosts about which nobody decided in time. Whoever paused the run decides when it goes on.
    pub(super) fn end_undecided(&mut self, now: Timestamp, out: &mut Vec<MachineCommand>) {
        if self.paused {
            return;
        }
        for index in self.stuck_hosts() {
            let over = self.hosts[index].stuck.take_if(|stuck| stuck.until <= now);
            if let Some(Stuck { why, .. }) = over {
                self.end(index, Outcome::Failed, Some(why), now, out);
            }
        }
    }
}
