//! A host that is away while its run goes on: set aside, tried now and then, and gone on with when it is
//! back.

use super::host::{HostProgress, Stage};
use super::{Machine, MachineCommand, tell_phase, tell_wait, watch};
use crate::deploy::Reason;
use crate::fleet::{Phase, PhaseState, Wait};
use jiff::Timestamp;
use std::time::Duration;

/// How long after a try a host that was away is tried again.
pub(super) const AWAY_AGAIN: Duration = Duration::from_secs(30);

impl Machine {
    /// Lets a host that is away sleep: it is tried again now and then. Its system is evaluated
    /// meanwhile, where another host does that, so that the plan shows what it will get.
    pub(super) fn set_aside(
        &mut self,
        index: usize,
        reason: Reason,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) {
        let host = &mut self.hosts[index];
        let name = host.setup.name.clone();
        let first = host.away.is_none();
        host.known.blemish = Some(reason);
        host.away =
            Some((host.away.map_or(now, |(since, _)| since), watch::later(now, AWAY_AGAIN)));
        let elsewhere = host.setup.build_on() != name && !host.done.contains(&Phase::Evaluate);
        if first && elsewhere {
            tell_phase(out, &name, Phase::Preflight, PhaseState::Failed);
            host.stage = Stage::Waiting(Phase::Evaluate);
        } else {
            host.stage = Stage::Waiting(Phase::Preflight);
        }
    }

    /// Tells that a host that was away answers: each try before was told by nothing but the first one's end.
    pub(super) fn tell_answer(
        &mut self,
        index: usize,
        phase: Phase,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) {
        let host = &mut self.hosts[index];
        if host.is_tried_again(phase) {
            host.waits_for = None;
            tell_wait(out, host, now);
            tell_phase(out, &host.setup.name, phase, PhaseState::Started);
        }
    }

    /// Moves a host on that was away: one that was only evaluated waits for it to wake; one that
    /// answers takes part from now on.
    pub(super) fn next_of_sleeper(
        &mut self,
        index: usize,
        phase: Phase,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) {
        let host = &mut self.hosts[index];
        if phase != Phase::Preflight {
            host.stage = Stage::Waiting(Phase::Preflight);
            return;
        }
        host.away = None;
        host.known.blemish = None;
        self.decide_for_awake(index, out);
        self.next(index, phase, now, out);
    }
}

impl HostProgress {
    /// Returns whether a phase is only tried again, while everybody was told that the host is away.
    pub(super) fn is_tried_again(&self, phase: Phase) -> bool {
        phase == Phase::Preflight && matches!(self.waits_for, Some(Wait::Offline { .. }))
    }
}
