//! Places in budgets: how many hosts of a tag may be in flight, over all runs and operators.
//!
//! A claim is a file on the claiming host itself. Whoever wants a place writes their own claim first
//! and looks at every other host of the tag then: of two that look at the same time at least one sees
//! the other. A host that cannot be reached may be anything, so it counts. Who sees too many lets go,
//! unless all that stand in the way only claim too and have a later name: so somebody gets through.

use super::context::RunContext;
use super::lost::lost as not_reached;
use super::owner::Owner;
use super::scripts::BUDGET;
use super::step::Step;
use crate::deploy::{ClaimAnswer, Failure, Reason};
use crate::fleet::{Budget, Code, Phase, printable_line};
use crate::remote::{NotRoot, Output, RemoteError, Script, ScriptRunner as _, Trouble};
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long to wait before the hosts are looked at again.
const AGAIN: Duration = Duration::from_secs(2);

/// How often a held claim is renewed; `budget.sh` forgets one after a minute.
const RENEW: Duration = Duration::from_secs(10);

/// How long a look at a host may take.
const LOOK_LIMIT: Duration = Duration::from_secs(15);

/// How many times in a row the claiming host itself may not answer, and how many looks in a row have to show
/// that waiting is of no use.
const TRIES: u32 = 3;

/// A host's claim of its places.
#[derive(Clone)]
pub(super) struct HostClaim {
    shared: Arc<RunContext>,
    host: String,
    budgets: Vec<Budget>,
}

/// What stands in the way of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rival {
    host: String,
    /// Whether it has its place, or may have.
    holds: bool,
    /// For people.
    words: String,
    /// Whether it did not answer: it may have a place.
    is_silent: bool,
    /// Why it cannot be asked, where waiting does not change that: somebody has to do something first.
    never: Option<Reason>,
}

/// Why a host has no place yet.
struct InTheWay {
    /// What it waits for.
    waits: ClaimAnswer,
    /// Whether it keeps its claim meanwhile.
    keeps: bool,
    /// Why waiting is of no use, as far as one look shows that.
    never: Option<Failure>,
}

impl HostClaim {
    /// Names the places that a host wants.
    pub(super) fn new(shared: Arc<RunContext>, host: &str, names: &[String]) -> Self {
        let budgets = shared.fleet.budgets.iter();
        let budgets = budgets.filter(|budget| names.contains(&budget.name)).cloned().collect();
        Self { shared, host: host.to_owned(), budgets }
    }

    /// Claims until it has its places, then keeps them, until it is told to stop.
    pub(super) async fn work(self, stop: CancellationToken, tell: mpsc::Sender<ClaimAnswer>) {
        tokio::select! {
            () = self.claim_and_keep(tell) => {}
            () = stop.cancelled() => {}
        }
    }

    /// Keeps the places of a host that has begun to change while another process carried its run out, until it is
    /// told to stop: it is in flight, whatever became of its claim.
    pub(super) async fn keep(self, stop: CancellationToken) {
        self.shared.note_use(&self.host);
        tokio::select! {
            () = self.renew_for_ever() => {}
            () = stop.cancelled() => {}
        }
    }

    /// Gives the places back. Those of a host that does not answer are forgotten by it soon.
    pub(super) async fn release(self) {
        *self.shared.begun.cell(self.host.as_str()).lock().await = false;
        drop(self.own("release").await);
    }

    async fn claim_and_keep(&self, tell: mpsc::Sender<ClaimAnswer>) {
        self.shared.note_use(&self.host);
        let answer = self.claim(&tell).await;
        let is_held = answer == ClaimAnswer::Held;
        // The run's loop outlives every claim.
        drop(tell.send(answer).await);
        if !is_held {
            return;
        }
        tokio::time::sleep(RENEW).await;
        self.renew_for_ever().await;
    }

    /// Renews its places now and then, and takes them again where they are lost.
    async fn renew_for_ever(&self) {
        loop {
            if self.own("renew").await.is_ok_and(|output| says(&output, "lost")) {
                // Nobody begins between the claim and the look.
                let begun = self.shared.begun.cell(self.host.as_str());
                let begun = begun.lock().await;
                if *begun {
                    // Its phases do not wait for that.
                    drop(begun);
                    drop(self.take_again(true).await);
                } else {
                    drop(self.take_again(false).await);
                }
            }
            tokio::time::sleep(RENEW).await;
        }
    }

    /// Takes places again that were lost; returns whether it has them. A host that has begun to change is in flight,
    /// whoever has its places meanwhile: a restart took /run away with the claim. One that has not begun takes them
    /// only where a look finds them free; else they stay lost, and it does not begin.
    async fn take_again(&self, has_begun: bool) -> Result<bool, RemoteError> {
        let claimed = self.own("claim").await?;
        let is_free = claimed.is_ok() && taken(&self.host, &claimed).is_none();
        if has_begun || is_free && self.look().await.is_none() {
            let held = self.own("hold").await?;
            return Ok(self.holds_all(&held));
        }
        drop(self.own("release").await);
        Ok(false)
    }

    /// Claims until it has its places, or cannot.
    async fn claim(&self, tell: &mpsc::Sender<ClaimAnswer>) -> ClaimAnswer {
        let (mut silent, mut hopeless) = (0, 0);
        loop {
            let output = match self.own("claim").await {
                Ok(output) => output,
                Err(error) if error.is_passing() && silent < TRIES => {
                    silent += 1;
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
                Err(error) => return ClaimAnswer::Failed(not_reached(&error)),
            };
            silent = 0;
            if !output.is_ok() {
                return ClaimAnswer::Failed(refused(&self.host, &output));
            }
            if self.holds_all(&output) {
                return ClaimAnswer::Held;
            }
            let waits = match taken(&self.host, &output) {
                Some(waits) => Some(waits),
                None => self.look().await,
            };
            let Some(InTheWay { waits, keeps, never }) = waits else {
                match self.own("hold").await {
                    Ok(output) if self.holds_all(&output) => return ClaimAnswer::Held,
                    Ok(output) if !output.is_ok() => {
                        return ClaimAnswer::Failed(refused(&self.host, &output));
                    }
                    Ok(_) | Err(_) => {
                        tokio::time::sleep(AGAIN).await;
                        continue;
                    }
                }
            };
            hopeless = if never.is_some() { hopeless + 1 } else { 0 };
            if let Some(failure) = never.filter(|_| hopeless >= TRIES) {
                return ClaimAnswer::Failed(failure);
            }
            drop(tell.send(waits).await);
            if !keeps {
                drop(self.own("release").await);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Looks at every other host of each tag; returns what stands in the way.
    async fn look(&self) -> Option<InTheWay> {
        for budget in &self.budgets {
            let hosts = self.shared.fleet.hosts.iter();
            let others: Vec<&str> = hosts
                .filter(|host| host.name != self.host && host.tags.contains(&budget.tag))
                .map(|host| host.name.as_str())
                .collect();
            let looks = others.iter().map(|host| async move {
                let script = self.script("look", &[budget]);
                let runner = self.shared.beside(&self.host, Phase::Activate);
                rival(host, &budget.name, runner.run(host, &script).await)
            });
            let rivals: Vec<Rival> = join_all(looks).await.into_iter().flatten().collect();
            if rivals.len() < budget.in_flight {
                continue;
            }
            let never = never_free(&self.host, budget, &rivals);
            let keeps = rivals.iter().all(|rival| !rival.holds && rival.host > self.host);
            let silent = all_silent(budget, &rivals);
            let taken_by = rivals.into_iter().map(|rival| rival.words).collect();
            let waits = ClaimAnswer::Waits { budget: budget.name.clone(), taken_by, silent };
            return Some(InTheWay { waits, keeps, never });
        }
        None
    }

    /// Returns whether the host says that it holds its places. Of a claim that means that it has held them all the
    /// time: a process of this run that ended got them, and nobody else could take them since.
    fn holds_all(&self, output: &Output) -> bool {
        let is_held = |budget: &Budget| {
            lines(output).any(|(key, name, _)| key == "held" && name == budget.name)
        };
        output.is_ok() && self.budgets.iter().all(is_held)
    }

    /// Does something with the claims on the host itself.
    async fn own(&self, mode: &str) -> Result<Output, RemoteError> {
        let budgets: Vec<&Budget> = self.budgets.iter().collect();
        let script = self.script(mode, &budgets);
        let runner = self.shared.beside(&self.host, Phase::Activate);
        runner.run(&self.host, &script).await
    }

    fn script(&self, mode: &str, budgets: &[&Budget]) -> Script {
        let who = format!("{}-{}", self.shared.tag, self.host);
        let about = Owner::of_this_process(&self.shared.run).to_text();
        let script = Script::new(BUDGET).root().limit(LOOK_LIMIT).arg(mode).arg(who).arg(about);
        budgets.iter().fold(script, |script, budget| script.arg(&budget.name))
    }
}

/// Notes that a host begins to change, or has begun: its places are its own from then on, whatever becomes of its
/// claim.
pub(super) async fn note_begun(step: &Step) {
    *step.shared.begun.cell(step.host.name.as_str()).lock().await = true;
}

/// Returns the failure of a host that lost its places before it began to change, and cannot take them again:
/// somebody else may have them now. One that has them begins to change.
pub(super) async fn is_lost(step: &Step, names: &[String]) -> Option<Failure> {
    let claim = HostClaim::new(Arc::clone(&step.shared), &step.host.name, names);
    let begun = step.shared.begun.cell(step.host.name.as_str());
    let mut begun = begun.lock().await;
    let has = match claim.own("renew").await {
        Ok(output) if claim.holds_all(&output) => Ok(true),
        Ok(_) => claim.take_again(*begun).await,
        Err(error) => Err(error),
    };
    match has {
        Ok(true) => {
            *begun = true;
            None
        }
        Ok(false) => {
            let host = &step.host.name;
            let text = format!(
                "{host}: its place in the budget {} was lost before it began to change, because this nixdash \
                 did not renew it for a minute or the host was restarted, and no place is free now; nothing was \
                 changed",
                names.join(", ")
            );
            Some(Failure::failed(Code::BudgetLost, text))
        }
        Err(error) => Some(not_reached(&error)),
    }
}

/// Returns the lines of the script: a key, a budget and a text.
fn lines(output: &Output) -> impl Iterator<Item = (&str, &str, &str)> {
    output.stdout.lines().filter_map(|line| {
        let mut parts = line.splitn(3, '\t');
        Some((parts.next()?, parts.next()?, parts.next().unwrap_or_default()))
    })
}

/// Returns whether the script says something of a budget.
fn says(output: &Output, what: &str) -> bool {
    lines(output).any(|(key, ..)| key == what)
}

/// Returns the value of a word `key=value` in a claim.
fn word<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let words = text.split_whitespace().filter_map(|word| word.split_once('='));
    words.into_iter().find(|(found, _)| *found == key).map(|(_, value)| value)
}

/// Says who has a claim.
fn whose(text: &str) -> String {
    let who = word(text, "who").unwrap_or("somebody");
    let run = word(text, "run").unwrap_or("?");
    printable_line(&format!("{who}, run {run}"))
}

/// Returns what the host itself says against a claim: somebody else has one for it.
fn taken(host: &str, output: &Output) -> Option<InTheWay> {
    let (_, budget, text) = lines(output).find(|(key, ..)| *key == "taken")?;
    let taken_by = vec![format!("{host} ({})", whose(text))];
    let (budget, silent) = (printable_line(budget), Vec::new());
    let waits = ClaimAnswer::Waits { budget, taken_by, silent };
    Some(InTheWay { waits, keeps: false, never: None })
}

/// Reads what another host of the tag says; nothing where it is not in flight.
fn rival(host: &str, budget: &str, done: Result<Output, RemoteError>) -> Option<Rival> {
    let rival = |holds, words: &str| {
        let (host, words) = (host.to_owned(), format!("{host} ({words})"));
        Some(Rival { host, holds, words, is_silent: false, never: None })
    };
    let output = match done {
        Ok(output) if output.is_ok() => output,
        Ok(output) => return rival(true, &format!("not known: {}", output.complaint())),
        Err(error) => return Some(not_asked(host, &error)),
    };
    if let Some((.., text)) = lines(&output).find(|(key, ..)| *key == "busy") {
        return rival(true, &whose(text));
    }
    let claim = lines(&output).find(|(_, name, _)| *name == budget);
    match claim {
        Some(("free", ..)) => None,
        Some((key @ ("taken" | "mine" | "held"), _, text)) => {
            let holds = key == "held" || word(text, "state") == Some("hold");
            rival(holds, &whose(text))
        }
        Some(_) | None => rival(true, "it did not say whether it is in flight"),
    }
}

/// Returns a host of the tag that did not answer: it may be in flight. Of one that nobody may log in to, or that
/// makes nobody root, no answer comes later either.
fn not_asked(host: &str, error: &RemoteError) -> Rival {
    let (cause, hint) = (&error.cause, &error.hint);
    let needs_somebody = match error.trouble {
        // A login may be refused for a while only, and a program may fail while its host is being activated.
        Trouble::Unreachable
        | Trouble::Locked
        | Trouble::Lost
        | Trouble::Slow(_)
        | Trouble::Denied
        | Trouble::NotRoot(NotRoot::NoProgram | NotRoot::Failed) => false,
        Trouble::HostKey(_)
        | Trouble::Untrusted
        | Trouble::Here
        | Trouble::NotRoot(
            NotRoot::PasswordNeeded
            | NotRoot::PasswordWrong
            | NotRoot::NotAllowed
            | NotRoot::WouldAsk
            | NotRoot::TerminalNeeded,
        ) => true,
    };
    let words = if error.is_passing() {
        format!("{host} (cannot be reached: {cause})")
    } else {
        format!("{host} (cannot be asked: {cause}; {hint})")
    };
    let never = needs_somebody.then(|| Reason::new(error.code(), format!("{cause}; {hint}")));
    Rival { host: host.to_owned(), holds: true, words, is_silent: true, never }
}

/// Returns the hosts that do not answer, where they alone take all places of a budget: what the others have of them
/// becomes free when they are done.
fn all_silent(budget: &Budget, rivals: &[Rival]) -> Vec<String> {
    let silent = rivals.iter().filter(|rival| rival.is_silent).map(|rival| rival.host.clone());
    let silent: Vec<String> = silent.collect();
    if silent.len() >= budget.in_flight { silent } else { Vec::new() }
}

/// Returns the failure of a host for which no place becomes free by waiting, since hosts of the tag that may
/// have all of them cannot be asked.
fn never_free(host: &str, budget: &Budget, rivals: &[Rival]) -> Option<Failure> {
    let never = rivals.iter().filter_map(|rival| Some((&rival.host, rival.never.as_ref()?)));
    let never: Vec<_> = never.collect();
    let (first, reason) = *never.first().filter(|_| never.len() >= budget.in_flight)?;
    let names: Vec<&str> = never.iter().map(|(name, _)| name.as_str()).collect();
    let text = format!(
        "{host}: no place in the budget {} can be claimed, because nobody can ask {} whether it is taken there: \
         {first}: {}. Nothing was changed",
        budget.name,
        names.join(", "),
        reason.text
    );
    Some(Failure::failed(reason.code, text))
}

/// Returns the failure of a host on which nothing can be claimed.
fn refused(host: &str, output: &Output) -> Failure {
    let said = output.complaint();
    let text = format!("{host}: a place in its budgets could not be claimed: {said}");
    Failure::failed(Code::WriteFailed, text)
}

#[cfg(test)]
pub(super) mod tests;
