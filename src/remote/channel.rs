//! Runs one script: on a channel of an ssh connection, or in a process of this machine.
//!
//! What goes over the wire: the remote command is `/bin/sh -c 'eval "$(head -c N)"'`, which every
//! login shell takes as it stands; the script's text (N bytes) follows on standard input, and
//! after it the script's own input. A script without input keeps a watcher on its standard input:
//! when this side goes away, the channel closes and the watcher ends the script's process group,
//! so nothing is left running behind a cancelled call.

use crate::remote::connection::chain;
use crate::remote::{Output, RemoteError, Script, Trouble};
use openssh::{Session, Stdio};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

/// Longest line that is passed on, in bytes; the rest of a longer one is dropped.
const LINE_LIMIT: usize = 1 << 20;

/// Most bytes of standard output that are kept.
const OUTPUT_LIMIT: usize = 64 << 20;

/// Sets the search path: a transient unit's and a stock sshd's do not hold everything.
const PRELUDE: &str = "PATH=\"/run/wrappers/bin:/run/current-system/sw/bin:${PATH:-/usr/bin:/bin}\"
LC_ALL=C
export PATH LC_ALL
";

/// Ends the script when the other side of its standard input goes away.
const WATCHER: &str = "exec 3<&0 </dev/null
{ cat <&3 >/dev/null; kill -TERM 0; } >/dev/null 2>&1 &
exec 3<&-
";

/// Where standard output goes.
#[derive(Clone)]
pub(super) enum Sink {
    /// Into the returned output.
    Keep,
    /// Line by line to somebody.
    Lines(mpsc::Sender<Vec<u8>>),
}

/// Returns the remote command and the bytes for its standard input.
pub(super) fn wire(script: &Script) -> (String, Vec<u8>) {
    let watcher = if script.stdin.is_empty() { WATCHER } else { "" };
    let inner = format!("{PRELUDE}{watcher}{}", script.text());
    let read = |count: usize| format!("eval \"$(head -c {count})\"");
    let outer = if script.root {
        let step = read(inner.len());
        format!("if [ \"$(id -u)\" = 0 ]; then {step}; else exec sudo -n /bin/sh -c '{step}'; fi\n")
    } else {
        String::new()
    };
    let first = if script.root { outer.len() } else { inner.len() };
    let mut input = outer.into_bytes();
    input.extend_from_slice(inner.as_bytes());
    input.extend_from_slice(&script.stdin);
    (format!("/bin/sh -c '{}'", read(first)), input)
}

/// Runs a script on a channel of a connection.
pub(super) async fn run(
    host: &str,
    session: &Arc<Session>,
    script: &Script,
    sink: Sink,
) -> Result<Output, RemoteError> {
    let lost = |error: &openssh::Error| RemoteError::new(host, Trouble::Lost, &chain(error));
    let (command, input) = wire(script);
    let mut child = Arc::clone(session)
        .arc_raw_command(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .await
        .map_err(|error| lost(&error))?;
    let stdin = child.stdin().take();
    let stdout = child.stdout().take();
    let stderr = child.stderr().take();
    let (stdout, stderr) = talk(stdin, input, script.stdin.is_empty(), stdout, stderr, sink).await;
    let code = match child.wait().await {
        Ok(status) => status.code().unwrap_or(-1),
        // The crate's way to say exit code 127.
        Err(openssh::Error::Remote(_)) => 127,
        Err(openssh::Error::RemoteProcessTerminated) if session.check().await.is_ok() => -1,
        Err(error) => return Err(lost(&error)),
    };
    Ok(Output { code, stdout, stderr })
}

/// Runs a script in a process of this machine.
pub(super) async fn run_here(
    host: &str,
    script: &Script,
    sink: Sink,
) -> Result<Output, RemoteError> {
    let here = |error: std::io::Error| {
        RemoteError::new(host, Trouble::Here, &format!("could not run /bin/sh: {error}"))
    };
    let (command, input) = wire(script);
    let mut child = tokio::process::Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(here)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = talk(stdin, input, script.stdin.is_empty(), stdout, stderr, sink).await;
    let status = child.wait().await.map_err(here)?;
    Ok(Output { code: status.code().unwrap_or(-1), stdout, stderr })
}

/// Writes the input, reads both outputs to their end and returns them as text.
///
/// The input stays open until the script ends when the script has a watcher on it.
async fn talk<I, O, E>(
    stdin: Option<I>,
    input: Vec<u8>,
    keep_open: bool,
    stdout: Option<O>,
    stderr: Option<E>,
    sink: Sink,
) -> (String, String)
where
    I: tokio::io::AsyncWrite + Unpin,
    O: AsyncRead + Unpin,
    E: AsyncRead + Unpin,
{
    let write = async {
        let mut stdin = stdin?;
        // A script that ends before it has read everything is judged by its exit code.
        let written = stdin.write_all(&input).await;
        let flushed = stdin.flush().await;
        (written.is_ok() && flushed.is_ok() && keep_open).then_some(stdin)
    };
    let read = async {
        let out = async {
            match stdout {
                Some(stdout) => drain(stdout, sink).await,
                None => Vec::new(),
            }
        };
        let err = async {
            match stderr {
                Some(stderr) => drain(stderr, Sink::Keep).await,
                None => Vec::new(),
            }
        };
        tokio::join!(out, err)
    };
    let (held, (out, err)) = tokio::join!(write, read);
    drop(held);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(out), text(err))
}

/// Reads to the end; returns the bytes, or sends them line by line.
async fn drain(mut from: impl AsyncRead + Unpin, sink: Sink) -> Vec<u8> {
    let mut chunk = vec![0; 32 * 1024];
    let mut kept = Vec::new();
    loop {
        let count = match from.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        match &sink {
            Sink::Keep => {
                let room = OUTPUT_LIMIT.saturating_sub(kept.len());
                kept.extend_from_slice(&chunk[..count.min(room)]);
            }
            Sink::Lines(lines) => {
                for piece in chunk[..count].split_inclusive(|byte| *byte == b'\n') {
                    let room = LINE_LIMIT.saturating_sub(kept.len());
                    kept.extend_from_slice(&piece[..piece.len().min(room)]);
                    if piece.ends_with(b"\n") {
                        let mut line = std::mem::take(&mut kept);
                        if line.ends_with(b"\n") {
                            line.pop();
                        }
                        if lines.send(line).await.is_err() {
                            return Vec::new();
                        }
                    }
                }
            }
        }
    }
    if let Sink::Lines(lines) = &sink {
        let rest = std::mem::take(&mut kept);
        if !rest.is_empty() {
            // Nobody listens any more: the exit code still counts.
            drop(lines.send(rest).await);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_script_sees_its_arguments_and_its_input() {
        let script = Script::new("printf '%s|' \"$@\"; cat").arg("a b").arg("it's").stdin("data");
        let output = run_here("here", &script, Sink::Keep).await.unwrap();
        assert_eq!((output.code, output.stdout.as_str()), (0, "a b|it's|data"));
    }

    #[tokio::test]
    async fn lines_arrive_one_by_one_and_the_exit_code_last() {
        let (sender, mut lines) = mpsc::channel(8);
        let script = Script::new("echo one; printf 'two'; echo oops >&2; exit 7");
        let output = run_here("here", &script, Sink::Lines(sender)).await.unwrap();
        assert_eq!(lines.recv().await.unwrap(), b"one");
        assert_eq!(lines.recv().await.unwrap(), b"two");
        assert_eq!((output.code, output.complaint().as_str()), (7, "oops"));
    }

    #[tokio::test]
    async fn a_dropped_call_ends_its_process() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let script = Script::new("sleep 300 & echo $! >\"$1.new\"; mv \"$1.new\" \"$1\"; wait")
            .arg(file.to_string_lossy());
        let call = run_here("here", &script, Sink::Keep);
        let started = async {
            while !file.exists() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            _ = call => unreachable!("the script sleeps"),
            () = started => {}
        }
        let pid = std::fs::read_to_string(&file).unwrap();
        let process = std::path::PathBuf::from(format!("/proc/{}/cmdline", pid.trim()));
        let gone = async {
            // A zombie that nobody has reaped yet has an empty command line.
            while std::fs::read(&process).is_ok_and(|line| !line.is_empty()) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), gone).await.unwrap();
    }

    #[test]
    fn as_root_the_text_goes_through_sudo_without_a_password() {
        let (command, input) = wire(&Script::new("id").root());
        assert!(command.starts_with("/bin/sh -c 'eval \"$(head -c "), "{command}");
        assert!(!command.contains('\\'), "fish reads backslashes in quotes: {command}");
        let text = String::from_utf8(input).unwrap();
        assert!(text.contains("exec sudo -n /bin/sh -c 'eval \"$(head -c "), "{text}");
    }
}
