//! A program that has the terminal while it runs.
//!
//! It gets the terminal's own standard input and outputs and stays in the process group of nixdash, so
//! that keys, ctrl-c and ctrl-z are its own. Where it stops, nixdash stops with it: the shell that
//! started nixdash then has the terminal, and its `fg` continues both.

use crate::dash::program::TerminalProgram;
use crate::record::ProcessStat;
use rustix::process::{
    Pid, Signal as Number, WaitId, WaitIdOptions, getppid, kill_process, waitid,
};
use signal_hook::consts::SIGSTOP;
use std::io::{self, IsTerminal, Write};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long a program may take to end after it was told to, before it is ended by force.
const ENDING: Duration = Duration::from_secs(2);

/// A program that has the terminal while it runs.
pub(super) struct TerminalGuest {
    program: TerminalProgram,
    child: Child,
    children: Signal,
}

impl TerminalGuest {
    /// Starts a program in the terminal, which must have been given back.
    pub(super) fn start(program: TerminalProgram) -> Result<Self, String> {
        match start(&program) {
            Ok((child, children)) => Ok(Self { program, child, children }),
            Err(error) => Err(program.not_started(&error)),
        }
    }

    /// Waits until it has ended, and returns what is told of that, and whether it is bad. Dropping the future loses nothing.
    pub(super) async fn ended(&mut self) -> Option<(String, bool)> {
        loop {
            tokio::select! {
                ended = self.child.wait() => return self.told(ended),
                _ = self.children.recv() => self.stop_with_it(),
            }
        }
    }

    fn told(&self, ended: io::Result<ExitStatus>) -> Option<(String, bool)> {
        let failed = match ended {
            Ok(status) => self.program.ended(status),
            Err(error) => Some(format!("{} is lost: {error}", self.program.name)),
        };
        let then = self.program.then.clone().map(|text| (text, false));
        failed.map(|text| (text, true)).or(then)
    }

    /// Ends it by a signal; by force where it does not end soon.
    pub(super) async fn end(&mut self, by: Number) {
        if let Some(process) = self.process() {
            let _gone = kill_process(process, by);
            // One that had stopped could not hear it.
            let _gone = kill_process(process, Number::CONT);
        }
        if tokio::time::timeout(ENDING, self.child.wait()).await.is_err() {
            // It ends with the drop otherwise.
            drop(self.child.kill().await);
        }
    }

    /// Stops nixdash where the program has stopped, and continues both together. Where no shell could
    /// continue them, the program goes on at once.
    fn stop_with_it(&self) {
        let Some(process) = self.process() else { return };
        let stopped = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
        let Ok(Some(_)) = waitid(WaitId::Pid(process), stopped) else { return };
        if has_shell() {
            // Only a wrong number could fail.
            drop(signal_hook::low_level::raise(SIGSTOP));
        }
        let _gone = kill_process(process, Number::CONT);
    }

    fn process(&self) -> Option<Pid> {
        self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?))
    }
}

fn start(program: &TerminalProgram) -> io::Result<(Child, Signal)> {
    let children = signal(SignalKind::child())?;
    let (name, args) = program.words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    if let Some(text) = &program.before {
        // Whoever cannot read it sees what comes all the same.
        drop(writeln!(io::stdout(), "{text}"));
    }
    let mut command = Command::new(name);
    command.args(args).kill_on_drop(true);
    if !io::stdin().is_terminal() {
        let terminal = std::fs::File::options().read(true).write(true).open("/dev/tty")?;
        command.stdin(Stdio::from(terminal));
    }
    Ok((command.spawn()?, children))
}

/// Returns whether a shell started nixdash, which continues what has stopped.
fn has_shell() -> bool {
    let session = |pid: u32| ProcessStat::of(pid).map(|stat| stat.session);
    let parent = getppid().and_then(|parent| u32::try_from(parent.as_raw_nonzero().get()).ok());
    parent.is_some_and(|parent| session(parent) == session(std::process::id()))
}
