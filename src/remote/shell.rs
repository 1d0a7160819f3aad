//! The persistent shell of a host: a probe costs one round trip instead of a new process tree.
//!
//! Each script runs in a subshell with no input; a line with a number that the script cannot know
//! marks its end and carries its exit code. Standard error is part of standard output here.

use crate::remote::connection::chain;
use crate::remote::{Output, RemoteError, Script, Trouble};
use openssh::{Child, ChildStdin, ChildStdout, Session, Stdio};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// Most bytes that one script may print here.
const OUTPUT_LIMIT: usize = 32 << 20;

/// An open `/bin/sh` on a host.
pub(super) struct Shell {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    // Keeps the channel open.
    _child: Child<Arc<Session>>,
    count: u64,
    secret: u64,
}

impl Shell {
    /// Opens a shell on a connection.
    pub(super) async fn open(host: &str, session: &Arc<Session>) -> Result<Self, RemoteError> {
        let lost = |cause: &str| RemoteError::new(host, Trouble::Lost, cause);
        let mut child = Arc::clone(session)
            .arc_raw_command("/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .await
            .map_err(|error| lost(&chain(&error)))?;
        let (Some(stdin), Some(stdout)) = (child.stdin().take(), child.stdout().take()) else {
            return Err(lost("the shell has no standard input or output"));
        };
        let secret = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), host);
        let mut shell = Self {
            stdin,
            stdout: BufReader::with_capacity(32 * 1024, stdout),
            _child: child,
            count: 0,
            secret,
        };
        shell.run(host, &Script::new(":")).await?;
        Ok(shell)
    }

    /// Runs a script; after an error the shell is in an unknown state and must be dropped.
    pub(super) async fn run(&mut self, host: &str, script: &Script) -> Result<Output, RemoteError> {
        let lost = |cause: String| RemoteError::new(host, Trouble::Lost, &cause);
        self.count += 1;
        let mark = format!("nixdash-end-{:016x}-{}", self.secret, self.count);
        let text = format!(
            "(\nPATH=\"/run/wrappers/bin:/run/current-system/sw/bin:${{PATH:-/usr/bin:/bin}}\" LC_ALL=C\nexport PATH LC_ALL\n{}) </dev/null 2>&1\nprintf '\\n%s %d\\n' {mark} $?\n",
            script.text()
        );
        self.stdin
            .write_all(text.as_bytes())
            .await
            .map_err(|error| lost(format!("could not write to the shell: {error}")))?;
        let mut stdout = Vec::new();
        loop {
            let before = stdout.len();
            let read = self
                .stdout
                .read_until(b'\n', &mut stdout)
                .await
                .map_err(|error| lost(format!("could not read from the shell: {error}")))?;
            if read == 0 {
                return Err(lost("the shell ended".to_owned()));
            }
            if stdout.len() > OUTPUT_LIMIT {
                return Err(lost("the script printed more than 32 MiB".to_owned()));
            }
            let line = String::from_utf8_lossy(&stdout[before..]).into_owned();
            if let Some(code) = line.strip_prefix(&mark) {
                stdout.truncate(before);
                if stdout.ends_with(b"\n") {
                    stdout.pop();
                }
                return Ok(Output {
                    code: code.trim().parse().unwrap_or(-1),
                    stdout: String::from_utf8_lossy(&stdout).into_owned(),
                    stderr: String::new(),
                });
            }
        }
    }
}
