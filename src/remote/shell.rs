//! An open shell on a host, in which one script runs after the other: each costs one round trip, instead of
//! a channel, a login shell and the way to root.
//!
//! Each script runs in a subshell with no input, between marks that nobody on the host can know
//! (see `wire`). The shell reads from a watcher, which ends the whole process group when this side
//! goes away, so that a script that hangs is not left behind.

use crate::remote::channel::{Ran, Sink, pass_on};
use crate::remote::master::{Master, chain};
use crate::remote::root::{RootWay, ToldWay, refusal};
use crate::remote::wire::{Between, Marks, Wire, begin_shell};
use crate::remote::{Output, RemoteError, Script, Trouble, Way};
use openssh::{Child, ChildStderr, ChildStdin, ChildStdout, Session, Stdio};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;

/// An open `/bin/sh` on a host.
pub(super) struct Shell {
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
    master: Arc<Master>,
    /// Whether it became root, and in which way.
    told: Option<ToldWay>,
    is_for_root: bool,
    // Keeps the channel open, and its place among those of the connection.
    _child: Child<Arc<Session>>,
    _permit: OwnedSemaphorePermit,
}

/// A script that did not come to its end in a shell, which is in an unknown state then and must be
/// dropped.
pub(super) struct Broken {
    /// What happened.
    pub(super) error: RemoteError,
    /// Whether the script had begun.
    pub(super) has_begun: bool,
}

impl Shell {
    /// Opens a shell on a connection, as root by a way, in a place among its channels.
    pub(super) async fn open(
        host: &str,
        master: &Arc<Master>,
        way: Option<&RootWay>,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self, RemoteError> {
        let lost = |cause: &str| RemoteError::new(host, Trouble::Lost, cause);
        let Wire { command, input, marks } = begin_shell(way);
        let mut child = Arc::clone(master.session())
            .arc_raw_command(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .await
            .map_err(|error| lost(&chain(&error)))?;
        let ends = (child.stdin().take(), child.stdout().take(), child.stderr().take());
        let (Some(stdin), Some(stdout), Some(stderr)) = ends else {
            return Err(lost("the shell has no standard input or output"));
        };
        let (master, is_for_root) = (Arc::clone(master), way.is_some());
        let mut shell = Self {
            stdin,
            stdout,
            stderr,
            master,
            told: None,
            is_for_root,
            _child: child,
            _permit: permit,
        };
        shell
            .write(&input)
            .await
            .map_err(|error| lost(&format!("could not write to the shell: {error}")))?;
        let mut read = Reading::new(&marks);
        let opened = shell.read(&mut read, &Sink::Keep, Reading::has_begun).await;
        shell.told = read.err.told();
        if let Err(cause) = opened {
            let said = read.noise();
            return Err(match (way, shell.told) {
                (Some(way), Some(told)) => refusal(host, way, told, &said),
                _ => lost(&cause),
            });
        }
        Ok(shell)
    }

    /// Returns the connection that the shell is open on.
    pub(super) fn master(&self) -> &Arc<Master> {
        &self.master
    }

    /// Returns whether its scripts run as root.
    pub(super) fn is_for_root(&self) -> bool {
        self.is_for_root
    }

    /// Runs a script that has no input of its own. What a probe prints on standard error is part of
    /// its standard output.
    pub(super) async fn run(
        &mut self,
        host: &str,
        script: &Script,
        sink: &Sink,
    ) -> Result<Ran, Broken> {
        let marks = Marks::new();
        let redirections = if script.way == Way::InTurn { " 2>&1" } else { "" };
        let text = marks.in_shell(script, redirections);
        let broken = |cause: &str, has_begun| Broken {
            error: RemoteError::new(host, Trouble::Lost, cause),
            has_begun,
        };
        if let Err(error) = self.write(text.as_bytes()).await {
            return Err(broken(&format!("could not write to the shell: {error}"), false));
        }
        let mut read = Reading::new(&marks);
        if let Err(cause) = self.read(&mut read, sink, |read| read.code().is_some()).await {
            return Err(broken(&cause, read.has_begun()));
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = read.code().unwrap_or(-1);
        let output = Output { code, stdout: text(&read.stdout), stderr: text(&read.stderr) };
        Ok((output, self.told))
    }

    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stdin.write_all(bytes).await?;
        self.stdin.flush().await
    }

    /// Reads both outputs until something holds of what was read; an error says in words why it never
    /// will.
    async fn read(
        &mut self,
        reading: &mut Reading,
        sink: &Sink,
        is_enough: impl Fn(&Reading) -> bool,
    ) -> Result<(), String> {
        let (mut out, mut err) = (vec![0; 32 * 1024], vec![0; 4 * 1024]);
        let (mut out_ended, mut err_ended) = (false, false);
        while !is_enough(reading) {
            let (is_out, count) = tokio::select! {
                count = self.stdout.read(&mut out), if !out_ended => (true, count),
                count = self.stderr.read(&mut err), if !err_ended => (false, count),
                else => return Err(reading.ended()),
            };
            let count = count.map_err(|error| format!("could not read from the shell: {error}"))?;
            out_ended |= is_out && count == 0;
            err_ended |= !is_out && count == 0;
            let heard = if is_out {
                let printed = reading.out.feed(&out[..count]);
                pass_on(printed, &mut reading.stdout, sink).await
            } else {
                let printed = reading.err.feed(&err[..count]);
                pass_on(printed, &mut reading.stderr, &Sink::Keep).await
            };
            if !heard {
                return Err("nobody reads what the script prints".to_owned());
            }
        }
        Ok(())
    }
}

/// What was read of one script.
struct Reading {
    out: Between,
    err: Between,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Reading {
    fn new(marks: &Marks) -> Self {
        let (out, err) = (marks.filter(), marks.filter());
        Self { out, err, stdout: Vec::new(), stderr: Vec::new() }
    }

    /// Returns whether both outputs have come to the script.
    fn has_begun(&self) -> bool {
        self.out.has_begun() && self.err.has_begun()
    }

    /// Returns the script's exit code, when both outputs have come to its end.
    fn code(&self) -> Option<i32> {
        self.out.code().and(self.err.code())
    }

    /// Says that the shell ended, with what its login shell said of that.
    fn ended(&self) -> String {
        match self.noise().lines().rfind(|line| !line.trim().is_empty()) {
            Some(line) => format!("the login shell ended: {line}"),
            None => "the shell ended".to_owned(),
        }
    }

    /// Returns what was printed before the script began.
    fn noise(&self) -> String {
        format!("{}\n{}", self.out.noise(), self.err.noise())
    }
}
