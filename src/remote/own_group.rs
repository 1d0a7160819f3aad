//! The process group of a program that runs here: whoever gives the program up ends its children too.
//!
//! A watcher, a small shell script, has it in hand: the group ends also where this process is killed. A program
//! that ended by itself may leave children behind, and they stay.

use std::io;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

/// Ends the group when its standard input ends without a line.
const WATCHER: &str = include_str!("scripts/own-group.sh");

/// How long a group that was told to end may take for that, in tenths of a second: as on hosts
/// (`deploy/scripts/limited.sh`).
const GRACE_TENTHS: u32 = 50;

/// How long the end of a group is waited for at most.
const END_LIMIT: Duration = Duration::from_secs(8);

/// The group of a program that runs. Dropping it ends every process of the group: each is told to end, and
/// killed after 5 seconds.
pub(super) struct OwnGroup {
    watcher: Child,
    /// Ends with this process too.
    stdin: ChildStdin,
}

impl OwnGroup {
    /// Watches the group that a program leads; nothing of one that has ended already.
    pub(super) fn of(leader: &Child) -> io::Result<Option<Self>> {
        let Some(group) = leader.id() else { return Ok(None) };
        let mut watcher = Command::new("/bin/sh")
            .args(["-c", WATCHER, "nixdash-own-group"])
            .args([group.to_string(), GRACE_TENTHS.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let stdin = watcher.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Some(Self { watcher, stdin }))
    }

    /// Lets the group go: its program ended by itself.
    pub(super) async fn leave(mut self) {
        // A watcher that is gone ends nothing.
        drop(self.stdin.write_all(b"ended\n").await);
        drop(timeout(END_LIMIT, self.watcher.wait()).await);
    }

    /// Ends the group, and waits until no process of it is left.
    pub(super) async fn end(self, leader: &mut Child) {
        let Self { mut watcher, stdin } = self;
        drop(stdin);
        // A leader that nobody asked for its end counts as one that is there.
        let all = async { tokio::join!(leader.wait(), watcher.wait()) };
        drop(timeout(END_LIMIT, all).await);
    }
}
