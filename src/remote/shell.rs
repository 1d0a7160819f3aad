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
    /// The way to root that was taken; none where it is not for root.
    way: Option<RootWay>,
    /// Whether it became root, and in which way.
    told: Option<ToldWay>,
    /// What it says while it opens: the first script is sent without waiting for that.
    opening: Option<Filters>,
    // Keeps the channel open, and its place among those of the connection.
    _child: Child<Arc<Session>>,
    _permit: OwnedSemaphorePermit,
}

/// A script that did not come to its end in a shell, which is in an unknown state then and must be
/// dropped.
pub(super) struct BrokenScript {
    /// What happened.
    pub(super) error: RemoteError,
    /// Whether the script had begun.
    pub(super) has_begun: bool,
    /// Whether the shell never opened.
    pub(super) was_opening: bool,
}

impl Shell {
    /// Opens a shell on a connection, as root by a way, in a place among its channels. Whether the host
    /// opens it is known when the first script ran.
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
        let mut shell = Self {
            stdin,
            stdout,
            stderr,
            master: Arc::clone(master),
            way: way.cloned(),
            told: None,
            opening: Some(Filters::new(&marks)),
            _child: child,
            _permit: permit,
        };
        shell
            .write(&input)
            .await
            .map_err(|error| lost(&format!("could not write to the shell: {error}")))?;
        Ok(shell)
    }

    /// Returns the connection that the shell is open on.
    pub(super) fn master(&self) -> &Arc<Master> {
        &self.master
    }

    /// Returns whether its scripts run as root.
    pub(super) fn is_for_root(&self) -> bool {
        self.way.is_some()
    }

    /// Runs a script that has no input of its own. What a probe prints on standard error is part of
    /// its standard output.
    pub(super) async fn run(
        &mut self,
        host: &str,
        script: &Script,
        sink: &Sink,
    ) -> Result<Ran, BrokenScript> {
        let marks = Marks::new();
        let redirections = if script.way == Way::InTurn { " 2>&1" } else { "" };
        let mut reading = Reading::new(&marks, self.opening.take());
        let written = self.write(marks.in_shell(script, redirections).as_bytes()).await;
        // One that ended says why before it is asked what it took.
        let read = self.read(&mut reading, sink).await;
        self.told = reading.told().or(self.told);
        let Some(code) = reading.code() else {
            let cause = match (written, read) {
                (Err(error), _) => format!("could not write to the shell: {error}"),
                (Ok(()), Err(cause)) => cause,
                (Ok(()), Ok(())) => reading.ended(),
            };
            return Err(self.broken(host, &reading, &cause));
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&reading.stdout), text(&reading.stderr));
        Ok((Output { code, stdout, stderr }, self.told))
    }

    /// Says what it means that a script did not come to its end.
    fn broken(&self, host: &str, reading: &Reading, cause: &str) -> BrokenScript {
        let was_opening = reading.opening.as_ref().is_some_and(|opening| !opening.have_begun());
        let error = match (&self.way, self.told) {
            (Some(way), Some(told)) if was_opening => refusal(host, way, told, &reading.noise()),
            _ => RemoteError::new(host, Trouble::Lost, cause),
        };
        BrokenScript { error, has_begun: reading.filters.have_begun(), was_opening }
    }

    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stdin.write_all(bytes).await?;
        self.stdin.flush().await
    }

    /// Reads both outputs until the script has ended, or nothing more comes; an error says in words why
    /// it could not be read further.
    async fn read(&mut self, reading: &mut Reading, sink: &Sink) -> Result<(), String> {
        let (mut out, mut err) = (vec![0; 32 * 1024], vec![0; 4 * 1024]);
        let (mut out_ended, mut err_ended) = (false, false);
        while reading.code().is_none() {
            let (is_out, count) = tokio::select! {
                count = self.stdout.read(&mut out), if !out_ended => (true, count),
                count = self.stderr.read(&mut err), if !err_ended => (false, count),
                else => return Ok(()),
            };
            let count = count.map_err(|error| format!("could not read from the shell: {error}"))?;
            out_ended |= is_out && count == 0;
            err_ended |= !is_out && count == 0;
            let heard = if is_out {
                reading.take_out(&out[..count], sink).await
            } else {
                reading.take_err(&err[..count]).await
            };
            if !heard {
                return Err("nobody reads what the script prints".to_owned());
            }
        }
        Ok(())
    }
}

/// What tells on both outputs what stands between two marks.
struct Filters {
    out: Between,
    err: Between,
}

impl Filters {
    fn new(marks: &Marks) -> Self {
        Self { out: marks.filter(), err: marks.filter() }
    }

    /// Returns whether both outputs have come to the first mark.
    fn have_begun(&self) -> bool {
        self.out.has_begun() && self.err.has_begun()
    }
}

/// What was read of one script.
struct Reading {
    /// Of the first script of a shell: what says that the shell is open, before the script.
    opening: Option<Filters>,
    filters: Filters,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Reading {
    fn new(marks: &Marks, opening: Option<Filters>) -> Self {
        Self { opening, filters: Filters::new(marks), stdout: Vec::new(), stderr: Vec::new() }
    }

    /// Takes a piece of standard output; returns false when nobody listens any more.
    async fn take_out(&mut self, piece: &[u8], sink: &Sink) -> bool {
        let opening = self.opening.as_mut().map(|opening| &mut opening.out);
        let printed = within(opening, &mut self.filters.out, piece);
        pass_on(printed, &mut self.stdout, sink).await
    }

    /// Takes a piece of standard error.
    async fn take_err(&mut self, piece: &[u8]) -> bool {
        let opening = self.opening.as_mut().map(|opening| &mut opening.err);
        let printed = within(opening, &mut self.filters.err, piece);
        pass_on(printed, &mut self.stderr, &Sink::Keep).await
    }

    /// Returns the script's exit code, when both outputs have come to its end.
    fn code(&self) -> Option<i32> {
        self.filters.out.code().and(self.filters.err.code())
    }

    /// Returns in which way the shell became root, where it opened before this script.
    fn told(&self) -> Option<ToldWay> {
        self.opening.as_ref()?.err.told()
    }

    /// Says that the shell ended, with what its login shell said of that.
    fn ended(&self) -> String {
        match self.noise().lines().rfind(|line| !line.trim().is_empty()) {
            Some(line) => format!("the login shell ended: {line}"),
            None => "the shell ended".to_owned(),
        }
    }

    /// Returns what was printed before the script began, or before the shell opened.
    fn noise(&self) -> String {
        let filters = self.opening.as_ref().filter(|opening| !opening.have_begun());
        let filters = filters.unwrap_or(&self.filters);
        format!("{}\n{}", filters.out.noise(), filters.err.noise())
    }
}

/// Returns what of a piece the script printed, behind what says that its shell is open.
fn within(opening: Option<&mut Between>, script: &mut Between, piece: &[u8]) -> Vec<u8> {
    match opening {
        Some(opening) => script.feed(&opening.feed(piece)),
        None => script.feed(piece),
    }
}
