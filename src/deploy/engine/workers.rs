//! What goes on at once in a run: a task per phase and host, per question of a gate, and per claim.

use super::budget::HostClaim;
use super::context::RunContext;
use super::step::Step;
use super::{carry_out, conclude, gate, prepare};
use crate::deploy::{Input, MachineCommand};
use crate::fleet::{Outcome, Phase};
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
    part: StepPart,
}

/// What of a phase is carried out.
enum StepPart {
    /// The phase itself.
    Whole,
    /// The hooks before it.
    HooksBefore,
    /// The hooks after the host's attempt ended so in it.
    HooksAfter(Outcome),
}

/// The tasks of a run.
pub(super) struct Workers {
    shared: Arc<RunContext>,
    done: mpsc::Sender<Input>,
    stops: HashMap<String, CancellationToken>,
    /// What was begun and does not run yet.
    begun: Vec<BegunStep>,
    claims: HashMap<String, (CancellationToken, HostClaim)>,
    /// Of each host whose places were given back, what says that this is done.
    given_back: HashMap<String, CancellationToken>,
    releases: JoinSet<()>,
}

impl Workers {
    /// Makes them; what they find goes to `done`.
    pub(super) fn new(shared: Arc<RunContext>, done: mpsc::Sender<Input>) -> Self {
        Self {
            shared,
            done,
            stops: HashMap::new(),
            begun: Vec::new(),
            claims: HashMap::new(),
            given_back: HashMap::new(),
            releases: JoinSet::new(),
        }
    }

    /// Does all that the machine wants done at once. What is told to stop among it does not begin: a run that is
    /// gone on with hears of both at once.
    pub(super) fn begin_all(&mut self, commands: impl IntoIterator<Item = MachineCommand>) {
        for command in commands {
            self.begin(command);
        }
        for BegunStep { step, part } in self.begun.drain(..) {
            let done = self.done.clone();
            match part {
                StepPart::Whole => tokio::spawn(carry_out(step, done)),
                StepPart::HooksBefore => tokio::spawn(prepare(step, done)),
                StepPart::HooksAfter(outcome) => tokio::spawn(conclude(step, outcome, done)),
            };
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
                self.begin_step(Step::new(shared, host, phase, *known), StepPart::Whole);
            }
            MachineCommand::Prepare { host, phase, known } => {
                shared.note_attempt(&host.name, known.attempt);
                self.begin_step(Step::new(shared, host, phase, *known), StepPart::HooksBefore);
            }
            MachineCommand::Conclude { host, phase, known, outcome } => {
                let step = Step::new(shared, host, phase, *known);
                self.begin_step(step, StepPart::HooksAfter(outcome));
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
            MachineCommand::Claim { host, budgets, claim, has_begun } => {
                self.claim(host, &budgets, claim, has_begun);
            }
            MachineCommand::Release { host } => self.release(&host),
            MachineCommand::WakeAt(_) | MachineCommand::Tell(_) | MachineCommand::Finish => {}
        }
    }

    /// Begins a phase, or the hooks before or after it.
    fn begin_step(&mut self, step: Step, part: StepPart) {
        self.stops.insert(step.host.name.clone(), step.stop.clone());
        self.begun.push(BegunStep { step, part });
    }

    /// Begins to claim a host's places, or to keep those of one that has begun to change. What it had before is given
    /// back first: of two scripts that are on their way to a host, either may come first.
    fn claim(&mut self, host: String, budgets: &[String], claim: u64, has_begun: bool) {
        let places = HostClaim::new(Arc::clone(&self.shared), &host, budgets);
        let stop = CancellationToken::new();
        self.claims.insert(host.clone(), (stop.clone(), places.clone()));
        let given_back = self.given_back.get(&host).cloned();
        let (tell, mut answers) = mpsc::channel(1);
        let done = self.done.clone();
        tokio::spawn(async move {
            while let Some(answer) = answers.recv().await {
                drop(done.send(Input::Claimed { host: host.clone(), claim, answer }).await);
            }
        });
        tokio::spawn(async move {
            until(given_back).await;
            if has_begun {
                places.keep(stop).await;
            } else {
                places.work(stop, tell).await;
            }
        });
    }

    /// Gives a host's places back.
    fn release(&mut self, host: &str) {
        if let Some((stop, claim)) = self.claims.remove(host) {
            stop.cancel();
            let is_done = CancellationToken::new();
            let before = self.given_back.insert(host.to_owned(), is_done.clone());
            self.releases.spawn(async move {
                until(before).await;
                claim.release().await;
                is_done.cancel();
            });
        }
    }

    /// Waits until all places are given back, for a while at most: hosts forget them soon.
    pub(super) async fn end(mut self) {
        let all = async { while self.releases.join_next().await.is_some() {} };
        drop(tokio::time::timeout(RELEASE_LIMIT, all).await);
    }
}

/// Waits until places are given back; not at all where there is nothing to give back.
async fn until(given_back: Option<CancellationToken>) {
    if let Some(given_back) = given_back {
        given_back.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::ClaimAnswer;
    use crate::deploy::engine::budget::tests::sharing_a_place;

    #[tokio::test]
    async fn a_host_claims_again_when_its_places_were_given_back_and_answers_name_the_claim() {
        let (shared, asked) = sharing_a_place(|_, mode| match mode {
            "hold" => "held\tetcd\t\n",
            _ => "free\tetcd\t\n",
        });
        let (done, mut heard) = mpsc::channel(8);
        let mut workers = Workers::new(Arc::clone(&shared), done);
        let (host, budgets) = ("a".to_owned(), ["etcd".to_owned()]);
        let held =
            |claim| Input::Claimed { host: "a".to_owned(), claim, answer: ClaimAnswer::Held };
        workers.claim(host.clone(), &budgets, 1, false);
        assert_eq!(heard.recv().await, Some(held(1)));
        // Somebody looks at its places, and the script that gives them back is not run before that is done.
        let cell = shared.begun.cell("a");
        let looks = cell.lock().await;
        workers.release(&host);
        workers.claim(host, &budgets, 2, false);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(*asked.lock().unwrap(), ["claim a", "look b", "hold a"]);
        drop(looks);
        assert_eq!(heard.recv().await, Some(held(2)));
        let again = ["release a", "claim a", "look b", "hold a"];
        assert_eq!(asked.lock().unwrap()[3..], again);
    }
}
