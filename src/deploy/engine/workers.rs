//! What goes on at once in a run: a task per phase and host, per question of a gate, and per claim.

use super::budget::HostClaim;
use super::context::RunContext;
use super::step::Step;
use super::{carry_out, gate, prepare};
use crate::deploy::{Input, MachineCommand};
use crate::fleet::Phase;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long giving places in budgets back may take at the end of a run.
const RELEASE_LIMIT: Duration = Duration::from_secs(20);

/// A phase of a host that begins when all is heard that was decided with it.
struct BegunStep {
    step: Step,
    /// Whether only the hooks before it run.
    prepares: bool,
}

/// The tasks of a run.
pub(super) struct Workers {
    shared: Arc<RunContext>,
    done: mpsc::Sender<Input>,
    stops: HashMap<String, CancellationToken>,
    /// What was begun and does not run yet.
    begun: Vec<BegunStep>,
    claims: HashMap<String, (CancellationToken, HostClaim)>,
    releases: JoinSet<()>,
}

impl Workers {
    /// Makes them; what they find goes to `done`.
    pub(super) fn new(shared: Arc<RunContext>, done: mpsc::Sender<Input>) -> Self {
        let (stops, claims) = (HashMap::new(), HashMap::new());
        Self { shared, done, stops, begun: Vec::new(), claims, releases: JoinSet::new() }
    }

    /// Does all that the machine wants done at once. What is told to stop among it does not begin: a run that is
    /// gone on with hears of both at once.
    pub(super) fn begin_all(&mut self, commands: impl IntoIterator<Item = MachineCommand>) {
        for command in commands {
            self.begin(command);
        }
        for BegunStep { step, prepares } in self.begun.drain(..) {
            let done = self.done.clone();
            if prepares {
                tokio::spawn(prepare(step, done));
            } else {
                tokio::spawn(carry_out(step, done));
            }
        }
    }

    /// Begins what the machine wants done; what is told or waited for is not theirs.
    fn begin(&mut self, command: MachineCommand) {
        let shared = Arc::clone(&self.shared);
        match command {
            MachineCommand::Run { host, phase, known } => {
                shared.note_attempt(&host.name, known.attempt);
                if phase == Phase::Preflight {
                    // A new attempt goes the way that is planned, not the one that another took.
                    shared.forget_route(&host.name);
                }
                self.begin_step(Step::new(shared, host, phase, *known), false);
            }
            MachineCommand::Prepare { host, phase, known } => {
                shared.note_attempt(&host.name, known.attempt);
                self.begin_step(Step::new(shared, host, phase, *known), true);
            }
            MachineCommand::Stop { host, .. } => {
                if let Some(token) = self.stops.get(&host) {
                    token.cancel();
                }
            }
            MachineCommand::Abort { host, why } => {
                // One that does not arrive is given again by the phase that reads the decision.
                tokio::spawn(async move { drop(shared.abort(&host, &why).await) });
            }
            MachineCommand::Ask { wave, gate, asking, hosts } => {
                let done = self.done.clone();
                tokio::spawn(async move {
                    let answer = gate::ask(&shared, &gate, &hosts).await;
                    let gate = gate.name;
                    // The run's loop may be over.
                    drop(done.send(Input::Gated { wave, gate, asking, answer }).await);
                });
            }
            MachineCommand::Claim { host, budgets } => self.claim(host, &budgets),
            MachineCommand::Release { host } => self.release(&host),
            MachineCommand::WakeAt(_) | MachineCommand::Tell(_) | MachineCommand::Finish => {}
        }
    }

    /// Begins a phase, or the hooks before it.
    fn begin_step(&mut self, step: Step, prepares: bool) {
        self.stops.insert(step.host.name.clone(), step.stop.clone());
        self.begun.push(BegunStep { step, prepares });
    }

    /// Begins to claim a host's places. A claim that it had before is given back first.
    fn claim(&mut self, host: String, budgets: &[String]) {
        let claim = HostClaim::new(Arc::clone(&self.shared), &host, budgets);
        let stop = CancellationToken::new();
        self.claims.insert(host.clone(), (stop.clone(), claim.clone()));
        let (tell, mut answers) = mpsc::channel(1);
        let done = self.done.clone();
        tokio::spawn(async move {
            while let Some(answer) = answers.recv().await {
                drop(done.send(Input::Claimed { host: host.clone(), answer }).await);
            }
        });
        tokio::spawn(claim.work(stop, tell));
    }

    /// Gives a host's places back.
    fn release(&mut self, host: &str) {
        if let Some((stop, claim)) = self.claims.remove(host) {
            stop.cancel();
            self.releases.spawn(claim.release());
        }
    }

    /// Waits until all places are given back, for a while at most: hosts forget them soon.
    pub(super) async fn end(mut self) {
        let all = async { while self.releases.join_next().await.is_some() {} };
        drop(tokio::time::timeout(RELEASE_LIMIT, all).await);
    }
}
