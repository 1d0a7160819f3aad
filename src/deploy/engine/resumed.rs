//! What a run that is gone on with has on its hosts, and what happened while nobody carried it out.
//!
//! docs/reattach.md says which phases are followed and which are run again, and why.

use super::account;
use super::lost::lost;
use super::step::Step;
use super::supervised::{Supervised, ToldToKeep, clock, not_seen_since};
use super::telling::Teller;
use crate::deploy::words::systems;
use crate::deploy::{Ending, Failure, JobNote, Reason, Replayed, SupervisedSince, Untold};
use crate::fleet::words::without_name;
use crate::fleet::{Code, Outcome, Phase, RunWhat};
use crate::remote::RemoteError;
use crate::remote::job::Job;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

/// What the restart of a host is called among the jobs of its run: it is noted before it is ordered.
pub(super) const RESTART: &str = "reboot";

/// What is left of the process that carried the run out before.
#[derive(Clone, Debug)]
pub(super) struct Resumed {
    /// When it was heard of last.
    pub(super) left_at: Timestamp,
    /// When the run was gone on with.
    pub(super) again_at: Timestamp,
    /// The jobs that may be there, by name.
    jobs: BTreeMap<String, JobNote>,
    /// How far their logs were read.
    read: BTreeMap<String, u64>,
    /// The supervisors that wait, by host.
    supervised: BTreeMap<String, SupervisedSince>,
}

impl Resumed {
    /// Returns what is left, of a run that is gone on with now.
    pub(super) fn new(replayed: &Replayed, again_at: Timestamp) -> Self {
        Self {
            left_at: replayed.last_at,
            again_at,
            jobs: replayed.jobs.clone(),
            read: replayed.read.clone(),
            supervised: replayed.supervised.clone(),
        }
    }

    /// Returns the hosts on which the run may have something.
    pub(super) fn used(&self) -> impl Iterator<Item = &str> {
        self.jobs.values().map(|job| job.on.as_str())
    }

    /// Returns up to which byte the log of a job stands in the run's folder.
    pub(super) fn read(&self, job: &str) -> u64 {
        self.read.get(job).copied().unwrap_or(0)
    }

    /// Returns whether a job may have been started.
    fn may_be_there(&self, job: &str) -> bool {
        self.jobs.contains_key(job)
    }

    /// Returns the jobs of a phase that may have been started.
    pub(super) fn jobs_of(&self, step: &Step) -> impl Iterator<Item = Job> {
        let notes = self.jobs.values();
        let own = notes.filter(|job| job.host == step.host.name && job.phase == step.phase);
        own.map(|job| Job::new(Arc::clone(&step.runner), &job.on, &job.name))
    }

    /// Says from when until when nobody carried the run out.
    pub(super) fn gap(&self) -> String {
        format!(
            "no nixdash worked on this run from {} to {}",
            clock(self.left_at),
            clock(self.again_at)
        )
    }

    /// Tells what was decided and not told, and that the run is gone on with: in every log that is not
    /// at its end.
    pub(super) fn tell(&self, replayed: &Replayed, untold: Vec<Untold>, teller: &Teller) {
        for Untold { at, what } in untold {
            teller.tell_at(at, what);
        }
        let process = std::process::id();
        teller.tell(RunWhat::Reattached { left_at: self.left_at, process });
        // What a phase waited for in its middle ended with the process that waited.
        for (host, wait) in replayed.machine.waits() {
            teller.decided(RunWhat::waiting(&host, wait, self.again_at));
        }
        let over: Vec<String> =
            replayed.machine.outcomes().into_iter().map(|(host, _)| host).collect();
        for host in replayed.begun.setup.hosts.iter().filter(|host| !over.contains(&host.name)) {
            let phase = replayed.open.get(&host.name).map_or(Phase::Preflight, |open| open.phase);
            let line = format!("{}; process {process} goes on with it", self.gap());
            teller.tell(RunWhat::log(host.name.clone(), phase, line));
        }
    }

    /// Returns the supervisor of a host that an earlier process started.
    pub(super) fn supervised(&self, step: &Step) -> Option<Supervised> {
        let since = self.supervised.get(&step.host.name)?;
        let mut job = step.job(&step.host.name, "activate");
        job.read_from(self.read(job.name()));
        let age = Timestamp::now().duration_since(since.activated_at).unsigned_abs();
        let now = Instant::now();
        Some(Supervised {
            job,
            activated_at: now.checked_sub(age).unwrap_or(now),
            told: since.told(step.phase),
        })
    }
}

/// Looks at a host before its supervisor is started in a run that is gone on with. Returns how the
/// host stands where its supervisor was started before and is gone without a decision.
///
/// Nobody looked at the host while no nixdash carried the run out: one that runs another system than in
/// its plan, or was restarted, is left alone.
pub(super) async fn look_again(step: &Step) -> Result<Option<Ending>, Failure> {
    let Some(resumed) = &step.shared.resumed else { return Ok(None) };
    let job = step.job(&step.host.name, "activate");
    let unseen = |error: RemoteError| unseen(step, resumed, &job, &error);
    let found = account::ask(step, &job).await.map_err(unseen)?;
    if found.is_busy || found.outcome.is_some() {
        return Ok(None);
    }
    let before = &step.known.preflight;
    let name = &step.host.name;
    let what = if found.running != before.running {
        "it runs another system than when its plan was made"
    } else if found.profile != before.profile {
        "its system profile is another one than when its plan was made"
    } else if found.boot_id != before.boot_id {
        "it was restarted since its plan was made"
    } else {
        return Ok(None);
    };
    if resumed.may_be_there(job.name()) {
        let ending = account::account(step, &job, false).await.map_err(unseen)?;
        return Ok(ending.map(|ending| explained(step, &job, ending)));
    }
    let text = format!(
        "{name}: {what} ({}), so nothing was activated there; deploy it again to see what would change now",
        resumed.gap()
    );
    Err(Failure::failed(Code::SystemUnexpected, text))
}

/// Returns the failure of a host that could not be looked at again. Where its supervisor may have been started,
/// that one decides, and nobody knows what: nothing failed.
fn unseen(step: &Step, resumed: &Resumed, job: &Job, error: &RemoteError) -> Failure {
    if !resumed.may_be_there(job.name()) {
        return lost(error);
    }
    let since = clock(resumed.left_at);
    not_seen_since(said_of_unseen(&step.host.name, &since, step.host.goes_back(), &error.cause))
}

/// Says of a host that it was not seen since then, and what it does by itself. `cause` is why it cannot be asked.
fn said_of_unseen(name: &str, since: &str, goes_back: bool, cause: &str) -> String {
    let (the_new, the_old) = systems(goes_back);
    format!(
        "{name}: not seen since {since}, when nixdash ended during its activation ({cause}). It was not told to \
         keep {the_new}, so it goes back to {the_old} by itself. Look at it when it is back"
    )
}

/// Returns whether the phase with which a host begins to change was begun by an earlier process.
pub(super) fn goes_on(step: &Step) -> bool {
    let begins = step.begins();
    let job = if begins == Phase::Reboot { RESTART } else { "activate" };
    let job = step.shared.job_name(job, &step.host.name);
    let resumed = step.shared.resumed.as_ref();
    step.phase == begins && resumed.is_some_and(|resumed| resumed.may_be_there(&job))
}

/// Returns an ending with the words that explain it, where the supervisor of a job heard nothing since
/// no nixdash carried the run out.
pub(super) fn explained(step: &Step, job: &Job, ending: Ending) -> Ending {
    let Some(resumed) = &step.shared.resumed else { return ending };
    if !resumed.may_be_there(job.name()) {
        return ending;
    }
    unwatched(&step.host.name, ending, &resumed.gap())
}

/// Returns how a host ended that went back by itself while no nixdash worked on its run: that nobody reached it, or
/// told it to keep the new system, says nothing of its network then. `gap` says that none worked on it.
pub(super) fn unwatched(name: &str, ending: Ending, gap: &str) -> Ending {
    let reason = ending.reason.map(|why| {
        let was_silent = matches!(why.code, Code::NetworkLost | Code::ConfirmationMissing);
        if !was_silent || ending.outcome != Outcome::RolledBack {
            return why;
        }
        let said = without_name(name, &why.text);
        Reason::new(Code::ConfirmationMissing, format!("{name}: {gap}: {said}"))
    });
    Ending { reason, ..ending }
}

impl SupervisedSince {
    /// Returns what is known of the word to keep the system, in a phase.
    fn told(self, phase: Phase) -> ToldToKeep {
        match (self.kept_at, phase) {
            (Some(at), _) => ToldToKeep::Yes(at),
            // It may have been on its way when nixdash ended.
            (None, Phase::Settle) => ToldToKeep::Due(self.activated_at),
            (None, _) => ToldToKeep::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_on_its_way_back_is_not_said_to_go_back_to_what_it_goes_to() {
        let said = said_of_unseen("web", "12:00", false, "no route");
        assert!(said.contains("not told to keep the new system, so it goes back to the previous"));
        let said = said_of_unseen("web", "12:00", true, "no route");
        let back = "keep the previous system, so it goes back to the system that this run brought";
        assert!(said.contains(back), "{said}");
    }

    #[test]
    fn the_network_is_not_blamed_for_what_a_nixdash_that_was_gone_did_not_do() {
        let ending = |code| Ending {
            outcome: Outcome::RolledBack,
            reason: Some(Reason::new(code, "samsung: nobody reached it within 15 s")),
        };
        let found = unwatched("samsung", ending(Code::NetworkLost), "no nixdash worked on it");
        let text = "samsung: no nixdash worked on it: nobody reached it within 15 s";
        assert_eq!(found.reason, Some(Reason::new(Code::ConfirmationMissing, text)));
        let found = unwatched("samsung", ending(Code::CheckFailed), "no nixdash worked on it");
        assert_eq!(found, ending(Code::CheckFailed));
    }
}
