//! The persistent shell of a host: a probe costs one round trip instead of a new process tree.
//!
//! Each script runs in a subshell with no input, between marks that nobody on the host can know
//! (see `wire`). The shell reads from a watcher, which ends the whole process group when this side
//! goes away, so that a script that hangs is not left behind. Standard error is part of standard
//! output here.

use crate::remote::master::{Master, chain};
use crate::remote::wire::{Marks, PRELUDE};
use crate::remote::{Output, RemoteError, Script, Trouble};
use openssh::{Child, ChildStdin, ChildStdout, Session, Stdio};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Most bytes that one script may print here.
const OUTPUT_LIMIT: usize = 32 << 20;

/// What the login shell is asked to run.
const COMMAND: &str = "/bin/sh -c '{ trap \"\" TERM; cat; kill -TERM 0; sleep 1; kill -KILL 0; } \
                       | exec /bin/sh'";

/// An open `/bin/sh` on a host.
pub(super) struct Shell {
    stdin: ChildStdin,
    stdout: ChildStdout,
    master: Arc<Master>,
    // Keeps the channel open.
    _child: Child<Arc<Session>>,
}

impl Shell {
    /// Opens a shell on a connection.
    pub(super) async fn open(host: &str, master: &Arc<Master>) -> Result<Self, RemoteError> {
        let lost = |cause: &str| RemoteError::new(host, Trouble::Lost, cause);
        let mut child = Arc::clone(master.session())
            .arc_raw_command(COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .await
            .map_err(|error| lost(&chain(&error)))?;
        let (Some(stdin), Some(stdout)) = (child.stdin().take(), child.stdout().take()) else {
            return Err(lost("the shell has no standard input or output"));
        };
        let mut shell = Self { stdin, stdout, master: Arc::clone(master), _child: child };
        shell
            .stdin
            .write_all(PRELUDE.as_bytes())
            .await
            .map_err(|error| lost(&format!("could not write to the shell: {error}")))?;
        shell.run(host, &Script::new(":")).await?;
        Ok(shell)
    }

    /// Returns the connection that the shell is open on.
    pub(super) fn master(&self) -> &Arc<Master> {
        &self.master
    }

    /// Runs a script; after an error the shell is in an unknown state and must be dropped.
    pub(super) async fn run(&mut self, host: &str, script: &Script) -> Result<Output, RemoteError> {
        let lost = |cause: String| RemoteError::new(host, Trouble::Lost, &cause);
        let marks = Marks::new();
        // What the shell itself says on standard error is dropped: the first mark goes there too.
        let around = marks.around(script, " 2>&1");
        let text = format!("{{\n{around}}} </dev/null 2>/dev/null\n");
        self.stdin
            .write_all(text.as_bytes())
            .await
            .map_err(|error| lost(format!("could not write to the shell: {error}")))?;
        let mut filter = marks.filter();
        let mut printed = Vec::new();
        let mut chunk = vec![0; 32 * 1024];
        loop {
            let count = self
                .stdout
                .read(&mut chunk)
                .await
                .map_err(|error| lost(format!("could not read from the shell: {error}")))?;
            if count == 0 {
                let noise = filter.noise();
                let last = noise.lines().rfind(|line| !line.trim().is_empty());
                return Err(lost(match last {
                    Some(line) => format!("the login shell ended: {line}"),
                    None => "the shell ended".to_owned(),
                }));
            }
            printed.extend(filter.feed(&chunk[..count]));
            if printed.len() > OUTPUT_LIMIT {
                return Err(lost("the script printed more than 32 MiB".to_owned()));
            }
            if let Some(code) = filter.code() {
                let stdout = String::from_utf8_lossy(&printed).into_owned();
                return Ok(Output { code, stdout, stderr: String::new() });
            }
        }
    }
}
