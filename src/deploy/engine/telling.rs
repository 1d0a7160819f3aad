//! Tells everybody what happens in a run: all of it, and which scripts a phase runs on hosts.

use super::Listener;
use super::script_names::{is_of_jobs, name_of};
use crate::fleet::{Phase, RemoteCommand, RunEvent, RunId, RunWhat, Wait, printable_line};
use crate::remote::job::job_script;
use crate::remote::{Answer, Output, Script, ScriptRunner};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// Tells everybody what happens in a run.
#[derive(Clone)]
pub(super) struct Teller {
    run: RunId,
    listener: Listener,
    waits: Arc<Mutex<ToldWaits>>,
}

/// What was told that hosts wait for.
#[derive(Default)]
struct ToldWaits {
    /// By the machine.
    decided: BTreeMap<String, Wait>,
    /// Those that wait in the middle of a phase.
    in_phase: BTreeSet<String>,
}

impl Teller {
    pub(super) fn new(run: RunId, listener: Listener) -> Self {
        Self { run, listener, waits: Arc::default() }
    }

    fn told_waits(&self) -> MutexGuard<'_, ToldWaits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what the machine decided.
    pub(super) fn decided(&self, what: RunWhat) {
        let mut waits = self.told_waits();
        match &what {
            RunWhat::Waiting { host, wait: Some(wait), .. } => {
                waits.decided.insert(host.clone(), wait.clone());
            }
            RunWhat::Waiting { host, wait: None, .. } => {
                waits.decided.remove(host);
            }
            // Who is done waits for nothing, and that is not told.
            RunWhat::Result { host, .. } => {
                waits.decided.remove(host);
                waits.in_phase.remove(host);
            }
            _ => {}
        }
        drop(waits);
        self.tell(what);
    }

    /// Returns whether it is told of a host that it waits for something.
    pub(super) fn is_waiting(&self, host: &str) -> bool {
        let waits = self.told_waits();
        waits.decided.contains_key(host) || waits.in_phase.contains(host)
    }

    /// Tells what a host waits for in the middle of a phase, of which the machine does not know. None: that is
    /// over, and it waits again for what the machine said.
    pub(super) fn waits(&self, host: &str, wait: Option<Wait>) {
        let mut waits = self.told_waits();
        let wait = if wait.is_some() {
            waits.in_phase.insert(host.to_owned());
            wait
        } else {
            waits.in_phase.remove(host);
            waits.decided.get(host).cloned()
        };
        drop(waits);
        self.tell(RunWhat::waiting(host, wait, Timestamp::now()));
    }

    /// Tells something; never waits, whoever listens.
    pub(super) fn tell(&self, what: RunWhat) {
        self.tell_at(Timestamp::now(), what);
    }

    /// Tells something that happened at another time.
    pub(super) fn tell_at(&self, at: Timestamp, what: RunWhat) {
        (self.listener)(RunEvent { run: self.run.clone(), at, what });
    }
}

/// Which scripts were told, each with the host on which it is run and its arguments.
pub(super) type ToldScripts = Mutex<BTreeSet<(String, &'static str, Vec<String>)>>;

/// Tells each script that is run for a phase, once with the same arguments for each host on which it runs, and
/// passes it on. What follows a job is told once: its arguments say how far the log was read.
pub(super) struct TellingRunner {
    inner: Arc<dyn ScriptRunner>,
    teller: Teller,
    host: String,
    phase: Phase,
    told: Arc<ToldScripts>,
}

impl TellingRunner {
    /// Makes the runner of a phase of a host.
    pub(super) fn new(
        inner: Arc<dyn ScriptRunner>,
        teller: Teller,
        host: &str,
        phase: Phase,
    ) -> Self {
        Self { inner, teller, host: host.to_owned(), phase, told: Arc::default() }
    }

    /// Tells what was not told there, and notes it there.
    pub(super) fn noting(self, told: Arc<ToldScripts>) -> Self {
        Self { told, ..self }
    }

    /// Tells a script, the first time that it is run on a host with its arguments.
    fn tell(&self, on: &str, script: &Script) {
        let (body, args) = job_script(script);
        let Some(name) = name_of(body) else { return };
        let told_with = if is_of_jobs(name) { Vec::new() } else { args.to_vec() };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.insert((on.to_owned(), name, told_with)) {
            return;
        }
        drop(told);
        let command = RemoteCommand {
            on: on.to_owned(),
            root: script.root,
            script: name.to_owned(),
            args: args.iter().map(|arg| printable_line(arg)).collect(),
        };
        let (host, phase) = (self.host.clone(), self.phase);
        self.teller.tell(RunWhat::Command { host, phase, command });
    }
}

impl ScriptRunner for TellingRunner {
    fn run<'a>(&'a self, host: &'a str, script: &'a Script) -> Answer<'a, Output> {
        self.tell(host, script);
        self.inner.run(host, script)
    }

    fn follow<'a>(
        &'a self,
        host: &'a str,
        script: &'a Script,
        pieces: mpsc::Sender<Vec<u8>>,
    ) -> Answer<'a, Output> {
        self.tell(host, script);
        self.inner.follow(host, script, pieces)
    }

    fn begin_fresh(&self, host: &str) {
        self.inner.begin_fresh(host);
    }

    fn forget_fresh(&self, host: &str) {
        self.inner.forget_fresh(host);
    }

    fn address(&self, host: &str) -> Option<String> {
        self.inner.address(host)
    }

    fn answering<'a>(&'a self, host: &'a str) -> Answer<'a, Vec<String>> {
        self.inner.answering(host)
    }

    fn asks_for_touch(&self, host: &str) -> bool {
        self.inner.asks_for_touch(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::engine::scripts::{HOOK, PREFLIGHT};
    use crate::fleet::{HostResult, Outcome};
    use crate::remote::FakeRunner;
    use crate::remote::job::scripts::FOLLOW;

    #[tokio::test]
    async fn a_script_is_told_again_with_other_arguments_and_what_follows_a_job_is_not() {
        let told: Arc<Mutex<Vec<RunEvent>>> = Arc::default();
        let heard = Arc::clone(&told);
        let listener: Listener = Arc::new(move |event| heard.lock().unwrap().push(event));
        let teller = Teller::new(RunId("7".to_owned()), listener);
        let inner = Arc::new(FakeRunner::new(|_, _| Ok(Output::default())));
        let runner = TellingRunner::new(inner, teller, "razer", Phase::Activate);
        let hook = |program: &str| Script::new(HOOK).root().arg("60").arg(program);
        let follow = |from: &str| Script::new(FOLLOW).root().arg("job").arg(from);
        for script in [hook("first"), hook("second"), hook("first"), follow("0"), follow("99")] {
            runner.run("razer", &script).await.unwrap();
        }
        let told = told.lock().unwrap();
        let commands = told.iter().filter_map(|event| match &event.what {
            RunWhat::Command { command, .. } => {
                Some((command.script.as_str(), command.args.last().unwrap().as_str()))
            }
            _ => None,
        });
        let commands: Vec<_> = commands.collect();
        assert_eq!(commands, [("hook.sh", "first"), ("hook.sh", "second"), ("follow-job.sh", "0")]);
    }

    #[test]
    fn a_host_that_is_tried_again_waits_for_nothing_of_its_attempt_before() {
        let told: Arc<Mutex<Vec<RunEvent>>> = Arc::default();
        let heard = Arc::clone(&told);
        let listener: Listener = Arc::new(move |event| heard.lock().unwrap().push(event));
        let teller = Teller::new(RunId("7".to_owned()), listener);
        let host = "razer".to_owned();
        teller.decided(RunWhat::waiting(&host, Some(Wait::WayBack), Timestamp::now()));
        assert!(teller.is_waiting(&host));
        // What a phase waits for in its middle goes, and that stays.
        teller.waits(&host, Some(Wait::Paused));
        teller.waits(&host, None);
        let last = told.lock().unwrap().last().unwrap().what.clone();
        assert!(matches!(last, RunWhat::Waiting { wait: Some(Wait::WayBack), .. }), "{last:?}");
        let result = HostResult::ended(Outcome::Failed);
        teller.decided(RunWhat::Result { host: host.clone(), result });
        assert!(!teller.is_waiting(&host));
    }

    #[tokio::test]
    async fn what_is_run_for_a_host_that_is_tried_again_is_told_once() {
        let told: Arc<Mutex<Vec<RunEvent>>> = Arc::default();
        let heard = Arc::clone(&told);
        let listener: Listener = Arc::new(move |event| heard.lock().unwrap().push(event));
        let teller = Teller::new(RunId("7".to_owned()), listener);
        let script = Script::new(PREFLIGHT);
        let tries: Arc<ToldScripts> = Arc::default();
        for _ in 0..3 {
            let inner = Arc::new(FakeRunner::new(|_, _| Ok(Output::default())));
            let runner = TellingRunner::new(inner, teller.clone(), "razer", Phase::Preflight);
            runner.noting(Arc::clone(&tries)).run("razer", &script).await.unwrap();
        }
        assert_eq!(told.lock().unwrap().len(), 1);
    }
}
