//! Carries out what the screen asks for.

use crate::cli::generations::difference;
use crate::cli::logs::{LogScreen, where_log_is};
use crate::cli::session::SessionKeeper;
use crate::cli::silence::SilenceError;
use crate::cli::started::{StartedGoal, rollback_args, start_args};
use crate::cli::sudo::{FROM_STDIN, SudoPasswords};
use crate::cli::units::UnitReader;
use crate::cli::viewer::{self, Viewer};
use crate::cli::{over_time, practice, shell, themes, verify};
use crate::dash::{Effect, LogsInView, Msg, TerminalProgram, dead_words};
use crate::fleet::{Fleet, HostKey, OverTimeOf, RunId, Silence, StoreDepth, StorePath, TimeSpan};
use crate::probe::{Handle, generations};
use crate::record::{KeptSilences, RunStands, Runs, Word, state_home};
use crate::remote::{Remote, ScriptRunner, accept_host_key, host_keys};
use futures_util::future::join_all;
use jiff::Timestamp;
use std::ffi::OsString;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{Notify, mpsc, watch};

/// Changes what is silenced; returns all that there is then.
type ChangeSilences = fn(&KeptSilences, &Silence, Timestamp) -> std::io::Result<Vec<Silence>>;

/// Carries out what the screen asks for.
pub(super) struct Runtime {
    pub(super) fleet: Arc<Fleet>,
    pub(super) runs: Runs,
    pub(super) handle: Handle,
    pub(super) messages: mpsc::Sender<Msg>,
    pub(super) started: Arc<Notify>,
    pub(super) logs: watch::Sender<LogsInView>,
    /// What reads the logs that can be scrolled.
    pub(super) log_screen: LogScreen,
    pub(super) runner: Arc<dyn ScriptRunner>,
    pub(super) remote: Remote,
    pub(super) units: UnitReader,
    /// What to press to silence a finding, or to make it an alarm again.
    pub(super) silence_key: String,
    /// Keeps how the dashboard is left, where it does.
    pub(super) session: Option<SessionKeeper>,
    /// What was typed for sudo since the dashboard was opened.
    pub(super) passwords: SudoPasswords,
    /// Where it is kept what was tried of the practice fleet; none of another fleet.
    pub(super) practice_file: Option<PathBuf>,
}

impl Runtime {
    /// Carries out one effect after the other; ends when the dashboard does.
    pub(super) async fn carry_out(mut self, mut wanted: mpsc::Receiver<Effect>) {
        while let Some(effect) = wanted.recv().await {
            let Some(effect) = self.log_screen.carry_out(effect) else { continue };
            match effect {
                Effect::StartRun {
                    hosts,
                    goal,
                    own_actions,
                    strategy,
                    choices,
                    allow_protected,
                    first,
                } => {
                    let goal = StartedGoal { goal, own_actions, strategy, first };
                    let mut args = start_args(goal, choices);
                    if goal.goal.deploys() {
                        args.extend(allowed(allow_protected));
                    }
                    self.start(args, hosts).await;
                }
                Effect::RollBack { host, generation, choices, allow_protected } => {
                    let mut args = rollback_args(generation, choices);
                    args.extend(allowed(allow_protected));
                    self.start(args, vec![host]).await;
                }
                Effect::Retry { run, allow_protected } => {
                    let mut args = vec!["retry".to_owned()];
                    args.extend(allowed(allow_protected));
                    self.start(args, vec![run.0]).await;
                }
                Effect::ListGenerations { host } => self.list_generations(host),
                Effect::ListUnits { host } => self.units.list(host),
                Effect::ReadJournal(wanted) => self.units.read_journal(wanted),
                Effect::CompareGenerations { host, generation, old, new } => {
                    self.compare_generations(host, generation, old, new);
                }
                Effect::ReadOverTime { of, span, parts } => self.read_over_time(of, span, parts),
                Effect::ReadPast { of } => self.read_past(of),
                Effect::KeepPassword { hosts, password } => self.passwords.keep(hosts, password),
                Effect::FetchHostKeys { host } => self.fetch_keys(&host),
                Effect::AcceptHostKey { key } => self.accept_key(*key).await,
                Effect::Answer { run, yes } => {
                    self.say(&run, if yes { Word::Yes } else { Word::No }).await;
                }
                Effect::Reattach { run } => {
                    let args = ["reattach", "--detached", &run.0].map(OsString::from);
                    self.spawn(args.to_vec(), &run).await;
                }
                Effect::Silence(silence) => {
                    let key = &self.silence_key;
                    let then = format!("is silenced; {key} makes it an alarm again");
                    let add: ChangeSilences = |kept, silence, now| kept.add(silence.clone(), now);
                    self.silence(&silence, add, &then).await;
                }
                Effect::EndSilence(silence) => {
                    self.silence(&silence, KeptSilences::end, "is an alarm again").await;
                }
                Effect::ForgetSilence(silence) => {
                    let then = "has changed or is gone, and is no longer silenced";
                    self.silence(&silence, KeptSilences::end, then).await;
                }
                Effect::CancelRun { run } => self.say(&run, Word::Cancel).await,
                Effect::Order { run, order } => self.say(&run, Word::Order(order)).await,
                Effect::Probe { hosts } => self.probe(&hosts),
                Effect::EditHostsFile => {
                    if let Some(file) = &self.fleet.file {
                        let program = Box::new(edited_hosts_file(file));
                        drop(self.messages.send(Msg::Program(program)).await);
                    }
                }
                Effect::OpenShell { host } => shell::open(&self.remote, host, &self.messages),
                Effect::LookClosely { hosts } => self.look_closely(hosts),
                Effect::Verify { tier } => self.verify(tier),
                Effect::ViewLogs(logs) => drop(self.logs.send_replace(logs)),
                Effect::KeepTheme { theme } => {
                    let told = themes::keep(&state_home(), &theme);
                    drop(self.messages.send(told).await);
                }
                Effect::KeepSession(text) => {
                    if let Some(session) = &mut self.session {
                        session.keep(&text);
                    }
                }
                Effect::KeepPractice(tried) => {
                    if let Some(file) = &self.practice_file {
                        practice::keep(file, &tried);
                    }
                }
                Effect::OpenLog { run, host } => {
                    self.notice(where_log_is(&self.runs, &run, &host)).await;
                }
                Effect::Quit { cancel } => {
                    for run in cancel {
                        self.say(&run, Word::Cancel).await;
                    }
                    return;
                }
                // Carried out by the terminal itself, or already.
                Effect::Terminal(_)
                | Effect::ShowLogs(_)
                | Effect::Copy { .. }
                | Effect::CopyRows { .. }
                | Effect::SaveRows { .. }
                | Effect::PageRows { .. }
                | Effect::EditRows { .. } => {}
            }
        }
    }

    /// Changes what is silenced; the screen is told what is silenced then, and what becomes of the finding.
    async fn silence(&self, silence: &Silence, change: ChangeSilences, then: &str) {
        let kept = KeptSilences::of(&state_home(), self.fleet.file.as_deref());
        let what = silence.code.label();
        let about =
            silence.tier.iter().chain(&silence.host).cloned().collect::<Vec<_>>().join(" on ");
        let text = format!("{what} of {about} {then}");
        let done = change(&kept, silence, Timestamp::now());
        match done {
            Ok(all) => {
                drop(self.messages.send(Msg::Silences(all)).await);
                drop(self.messages.send(Msg::Said { text, bad: false }).await);
            }
            Err(error) => {
                let text = SilenceError::Keep(error).to_string();
                drop(self.messages.send(Msg::Said { text, bad: true }).await);
            }
        }
    }

    /// Asks the ssh servers of a host for their keys, beside everything else.
    fn fetch_keys(&self, host: &str) {
        let Some(host) = self.fleet.host(host).cloned() else { return };
        let (fleet, messages) = (Arc::clone(&self.fleet), self.messages.clone());
        tokio::spawn(async move {
            let (mut found, mut errors) = (Vec::new(), Vec::new());
            for shown in host_keys(&fleet, &host).await {
                match shown {
                    Ok(key) => found.push(key),
                    Err(error) => errors.push(error.to_string()),
                }
            }
            drop(messages.send(Msg::HostKeys { host: host.name, found, errors }).await);
        });
    }

    /// Writes a key that a person accepted, and asks the host again; behind a machine on the way
    /// there may be another key to look at.
    async fn accept_key(&self, key: HostKey) {
        match accept_host_key(&key).await {
            Ok(()) => {
                let file = key.file.display();
                self.notice(format!("the key of {} is in {file} now", key.name)).await;
                self.handle.ask(&key.host);
                if key.is_on_the_way {
                    self.fetch_keys(&key.host);
                }
            }
            Err(error) => self.notice(error.to_string()).await,
        }
    }

    /// Starts a run of hosts as a process that outlives this one, in a folder that is made here: so the
    /// screen knows which run is its own.
    async fn start(&self, args: Vec<String>, hosts: Vec<String>) {
        if let Some(why) = self.fleet.trust.doubt() {
            self.notice(why.to_owned()).await;
            return;
        }
        let run = match self.runs.reserve(self.fleet.file.as_deref()) {
            Ok(run) => run,
            Err(error) => {
                self.notice(error.to_string()).await;
                return;
            }
        };
        let mut all: Vec<OsString> = args.into_iter().map(OsString::from).collect();
        all.extend(["--detached", "--run", &run.0, "--"].map(OsString::from));
        all.extend(hosts.into_iter().map(OsString::from));
        // Before the run can begin.
        drop(self.messages.send(Msg::RunNumber(run.clone())).await);
        if !self.spawn(all, &run).await {
            self.runs.give_back(&run);
        }
    }

    /// Starts nixdash with these arguments as the process of a run; returns whether it was started.
    /// Passwords go through its standard input.
    async fn spawn(&self, mut args: Vec<OsString>, run: &RunId) -> bool {
        let Ok(program) = std::env::current_exe() else {
            self.notice("nixdash's own program file was not found".to_owned()).await;
            return false;
        };
        let mut all: Vec<OsString> = Vec::new();
        if let Some(file) = &self.fleet.file {
            let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
            all.extend(["--hosts".into(), file.into_os_string()]);
        }
        let passwords = self.passwords.sent();
        if passwords.is_some() {
            args.insert(1, FROM_STDIN.into());
        }
        all.extend(args);
        let Ok(said) = tempfile::tempfile() else {
            self.notice("no temporary file can be made; is the disk full?".to_owned()).await;
            return false;
        };
        let messages = self.messages.clone();
        let spawned = said.try_clone().and_then(|stderr| {
            // In a group of its own, closing the terminal does not end the run before it has left
            // the terminal by itself (`deploy --detached`).
            tokio::process::Command::new(program)
                .args(all)
                .process_group(0)
                .stdin(if passwords.is_some() { Stdio::piped() } else { Stdio::null() })
                .stdout(Stdio::null())
                .stderr(stderr)
                .spawn()
        });
        match spawned {
            Ok(mut child) => {
                self.started.notify_one();
                if let (Some(bytes), Some(mut stdin)) = (passwords, child.stdin.take()) {
                    // A run that ended already says why by itself.
                    drop(stdin.write_all(&bytes).await);
                }
                tokio::spawn(report_end(child, said, messages, self.runs.clone(), run.clone()));
                true
            }
            Err(error) => {
                self.notice(format!("the run could not be started: {error}")).await;
                false
            }
        }
    }

    /// Says something to a run.
    async fn say(&self, run: &RunId, word: Word) {
        if let Err(error) = self.runs.say(run, &word) {
            self.notice(error.to_string()).await;
        }
    }

    /// Measures now.
    fn probe(&self, hosts: &[String]) {
        if hosts.is_empty() {
            self.handle.ask_all();
        }
        for host in hosts {
            self.handle.ask(host);
        }
    }

    /// Looks closely at stores, each beside everything else, and tells what was found in all when
    /// the last is done.
    fn look_closely(&self, hosts: Vec<String>) {
        let (handle, messages) = (self.handle.clone(), self.messages.clone());
        tokio::spawn(async move {
            let looks = join_all(hosts.iter().map(|host| handle.look_closely(host))).await;
            let (mut found, mut errors) = (Vec::new(), Vec::new());
            for look in looks.into_iter().flatten() {
                match look {
                    Ok(depth) => found.push(depth),
                    Err(error) => errors.push(error.to_string()),
                }
            }
            if !found.is_empty() || !errors.is_empty() {
                drop(messages.send(Msg::Notice(looked(&hosts, &found, &errors))).await);
            }
        });
    }

    /// Asks a host for its generations, beside everything else.
    fn list_generations(&self, host: String) {
        let (runner, messages) = (Arc::clone(&self.runner), self.messages.clone());
        tokio::spawn(async move {
            let found = generations(runner.as_ref(), &host).await;
            let found = found.map_err(|error| error.to_string());
            // A screen that is gone needs no telling.
            drop(messages.send(Msg::Generations { host, found }).await);
        });
    }

    /// Asks a host what differs between two of its systems, beside everything else.
    fn compare_generations(&self, host: String, generation: u64, old: StorePath, new: StorePath) {
        let (runner, messages) = (Arc::clone(&self.runner), self.messages.clone());
        tokio::spawn(async move {
            let lines = difference(runner.as_ref(), &host, &old, &new).await;
            // A screen that is gone needs no telling.
            drop(messages.send(Msg::Compared { host, generation, lines }).await);
        });
    }

    /// Reads figures over time, beside everything else.
    fn read_over_time(&self, of: OverTimeOf, span: TimeSpan, parts: usize) {
        let (fleet, messages) = (Arc::clone(&self.fleet), self.messages.clone());
        tokio::spawn(async move {
            let found = over_time::read(fleet, of.clone(), span, parts).await;
            // A screen that is gone needs no telling.
            drop(messages.send(Msg::OverTime { of, span, found }).await);
        });
    }

    /// Reads what happened, beside everything else.
    fn read_past(&self, of: Option<OverTimeOf>) {
        let messages = self.messages.clone();
        tokio::spawn(async move {
            let found = over_time::read_past(of.clone()).await;
            // A screen that is gone needs no telling.
            drop(messages.send(Msg::Past { of, found }).await);
        });
    }

    /// Fetches a nar of a tier whole, beside everything else, and tells what came of it.
    fn verify(&self, tier: String) {
        let (handle, messages) = (self.handle.clone(), self.messages.clone());
        tokio::spawn(async move {
            let Some(found) = handle.verify(&tier).await else { return };
            let (text, bad) = match found {
                Ok(found) => verify::told(&tier, &found),
                Err(error) => (error.to_string(), true),
            };
            // A screen that is gone needs no telling.
            drop(messages.send(Msg::Verified { tier, text, bad }).await);
        });
    }

    /// Tells the person something; a screen that is gone needs no telling.
    async fn notice(&self, text: String) {
        drop(self.messages.send(Msg::Notice(text)).await);
    }
}

/// Returns the person's editor with `hosts.toml`.
fn edited_hosts_file(file: &Path) -> TerminalProgram {
    let then = "hosts.toml is read when nixdash starts: quit and start it to see what changed";
    viewer::program(Viewer::Editor, "hosts.toml", file, None, None).then_told(then)
}

/// Returns the arguments that let protected hosts take part.
fn allowed(names: Vec<String>) -> impl Iterator<Item = String> {
    names.into_iter().flat_map(|name| ["--allow-protected".to_owned(), name])
}

/// Returns what close looks at hosts' stores found in all, and what went wrong; errors begin with
/// their host's name.
fn looked(hosts: &[String], found: &[StoreDepth], errors: &[String]) -> String {
    let mut words = Vec::new();
    if !found.is_empty() {
        let stores = match (hosts, found.len()) {
            ([host], _) => format!("the store of {host}"),
            (hosts, count) if count == hosts.len() => format!("{count} stores"),
            (hosts, count) => format!("{count} of {} stores", hosts.len()),
        };
        let sum =
            |part: fn(&StoreDepth) -> u64| found.iter().map(part).fold(0_u64, u64::saturating_add);
        let dead = dead_words(sum(|depth| depth.dead_bytes), sum(|depth| depth.dead_paths));
        words.push(format!("looked at {stores}: {dead}"));
    }
    words.extend(errors.iter().cloned());
    words.join("; ")
}

/// Tells why a run could not even begin, and gives its folder back.
async fn report_end(
    mut child: tokio::process::Child,
    mut said: std::fs::File,
    messages: mpsc::Sender<Msg>,
    runs: Runs,
    run: RunId,
) {
    let Ok(status) = child.wait().await else { return };
    runs.give_back(&run);
    let mut text = String::new();
    // What cannot be read is not shown; the exit code still is.
    drop(said.rewind().and_then(|()| said.read_to_string(&mut text)));
    let text = text.trim();
    if status.code() == Some(i32::from(crate::cli::EXIT_USAGE)) || !text.is_empty() {
        let text = text.strip_prefix("nixdash: ").unwrap_or(text);
        let text = if text.is_empty() { "the run could not begin" } else { text };
        drop(messages.send(Msg::Notice(crate::fleet::printable_line(text))).await);
    }
    let (left, read) = (run.clone(), runs.clone());
    let goes_on = move || {
        read.stands(&left) == RunStands::Left && super::left::can_go_on(&read, &left).is_some()
    };
    if tokio::task::spawn_blocking(goes_on).await.unwrap_or_default() {
        drop(messages.send(Msg::StillLeft { run }).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_looks_are_told_in_all_with_what_went_wrong() {
        let depth = |dead_paths, dead_bytes| StoreDepth {
            saved_bytes: 7,
            dead_paths,
            dead_bytes,
            measured_at: jiff::Timestamp::UNIX_EPOCH,
        };
        let hosts = ["p620", "razer"].map(str::to_owned);
        let (one, none) = (depth(1, 31_200), depth(0, 0));
        let lost = ["razer: connect to razer.lan: timed out".to_owned()];
        for (hosts, found, errors, text) in [
            (
                &hosts[..],
                &[one, none][..],
                &[][..],
                "2 stores: at most 31.2 kB of garbage in 1 path",
            ),
            (&hosts[..1], &[none][..], &[][..], "the store of p620: nothing to collect"),
            (
                &hosts[..],
                &[none][..],
                &lost[..],
                "1 of 2 stores: nothing to collect; razer: connect to razer.lan: timed out",
            ),
        ] {
            assert_eq!(looked(hosts, found, errors), format!("looked at {text}"));
        }
        assert_eq!(looked(&hosts[1..], &[], &lost), lost[0]);
    }
}
