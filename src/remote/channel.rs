//! Runs one script: on a channel of an ssh connection, or in a process of this machine.
//!
//! How it gets there and how its output is told from what others print is in `wire`. A script
//! without input keeps a watcher on its standard input: when this side goes away, the channel
//! closes and the watcher ends the script's process group, so nothing is left running behind a
//! cancelled call.

use crate::fleet::{Address, printable_line};
use crate::remote::master::{Master, chain, destination};
use crate::remote::root::{RootWay, ToldWay, refusal};
use crate::remote::wire::{Between, Marks, Wire, wire};
use crate::remote::{Output, RemoteError, Script, Trouble};
use openssh::{Child, Session, Stdio};
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// Most bytes of standard output that are kept.
const OUTPUT_LIMIT: usize = 64 << 20;

/// Where standard output goes.
#[derive(Clone)]
pub(super) enum Sink {
    /// Into the returned output.
    Keep,
    /// To somebody, in pieces as they come.
    Pieces(mpsc::Sender<Vec<u8>>),
}

/// What became of a script, and in which way it became root.
pub(super) type Ran = (Output, Option<ToldWay>);

/// A channel of a connection, with a script on its way.
pub(super) struct Channel {
    child: Child<Arc<Session>>,
    input: Zeroizing<Vec<u8>>,
    marks: Marks,
}

/// Opens a channel on a connection for a script, as root by a way; of one that fails nothing has run.
pub(super) async fn open(
    host: &str,
    master: &Arc<Master>,
    (script, way): (&Script, Option<&RootWay>),
) -> Result<Channel, RemoteError> {
    let Wire { command, input, marks } = wire(script, way);
    let child = Arc::clone(master.session())
        .arc_raw_command(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .await
        .map_err(|error| RemoteError::new(host, Trouble::Lost, &chain(&error)))?;
    Ok(Channel { child, input, marks })
}

/// Runs a script on the channel that was opened for it.
pub(super) async fn run(
    host: &str,
    master: &Arc<Master>,
    channel: Channel,
    (script, way): (&Script, Option<&RootWay>),
    sink: Sink,
) -> Result<Ran, RemoteError> {
    let lost = |error: &openssh::Error| RemoteError::new(host, Trouble::Lost, &chain(error));
    let Channel { mut child, input, marks } = channel;
    let stdin = child.stdin().take();
    let stdout = child.stdout().take();
    let stderr = child.stderr().take();
    let keep_open = script.stdin.is_empty();
    let said = talk((stdin, input, keep_open), stdout, stderr, &marks, sink).await;
    let ended = child.wait().await;
    if let Some(code) = said.code {
        // The script itself told how it ended: what its login shell made of that is not asked.
        return Ok((Output { code, stdout: said.stdout, stderr: said.stderr }, said.told));
    }
    let code = match ended {
        Ok(status) => status.code().unwrap_or(-1),
        // The crate's way to say exit code 127.
        Err(openssh::Error::Remote(_)) => 127,
        Err(openssh::Error::RemoteProcessTerminated) if master.session().check().await.is_ok() => {
            -1
        }
        Err(error) => return Err(lost(&error)),
    };
    said.without_end(host, way, code)
}

/// Runs a script in a process of this machine, as root by a way.
pub(super) async fn run_here(
    host: &str,
    (script, way): (&Script, Option<&RootWay>),
    sink: Sink,
) -> Result<Ran, RemoteError> {
    let wire = wire(script, way);
    let mut command = tokio::process::Command::new("/bin/sh");
    command.arg("-c").arg(&wire.command);
    run_process(host, command, wire, (script, way), sink).await
}

/// Runs a script over an ssh process of its own, which lends the person's agent to the host.
pub(super) async fn run_with_agent(
    host: &str,
    (address, config): (&Address, Option<&Path>),
    (script, way): (&Script, Option<&RootWay>),
    sink: Sink,
) -> Result<Ran, RemoteError> {
    let wire = wire(script, way);
    let mut command = tokio::process::Command::new("ssh");
    for setting in
        ["ForwardAgent=yes", "ControlMaster=no", "ControlPath=none", "ServerAliveInterval=4"]
    {
        command.arg("-o").arg(setting);
    }
    command.args(destination(address, config)).arg(&wire.command);
    match run_process(host, command, wire, (script, way), sink).await {
        // ssh's own exit code, of a login that failed or a connection that broke.
        Ok((output, _)) if output.code == 255 => Err(RemoteError::from_ssh(host, &output.stderr)),
        result => result,
    }
}

/// Runs a process that takes a script on its standard input, here or at the other end of it.
async fn run_process(
    host: &str,
    mut command: tokio::process::Command,
    wire: Wire,
    (script, way): (&Script, Option<&RootWay>),
    sink: Sink,
) -> Result<Ran, RemoteError> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let here = |error: std::io::Error| {
        RemoteError::new(host, Trouble::Here, &format!("could not run {program}: {error}"))
    };
    let mut child = command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(here)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let keep_open = script.stdin.is_empty();
    let said = talk((stdin, wire.input, keep_open), stdout, stderr, &wire.marks, sink).await;
    let status = child.wait().await.map_err(here)?;
    match said.code {
        Some(code) => Ok((Output { code, stdout: said.stdout, stderr: said.stderr }, said.told)),
        None => said.without_end(host, way, status.code().unwrap_or(-1)),
    }
}

/// What came back of a script.
struct CollectedOutput {
    stdout: String,
    stderr: String,
    /// The code with which the script ended, when it came to its end.
    code: Option<i32>,
    /// Whether the script began at all.
    has_begun: bool,
    /// In which way it became root, or tried to.
    told: Option<ToldWay>,
}

impl CollectedOutput {
    /// Says what it means that the script did not come to its end and its channel gave a code.
    fn without_end(self, host: &str, way: Option<&RootWay>, code: i32) -> Result<Ran, RemoteError> {
        let said = match way.and_then(RootWay::password) {
            // What a host prints before the script may be what it was given.
            Some(password) => password.hide_in(&self.stderr),
            None => self.stderr,
        };
        if self.told == Some(ToldWay::Proven) {
            return Ok((Output::default(), self.told));
        }
        if let (false, Some(way), Some(told)) = (self.has_begun, way, self.told) {
            return Err(refusal(host, way, told, &said));
        }
        if code != 0 {
            return Ok((Output { code, stdout: self.stdout, stderr: said }, self.told));
        }
        if self.has_begun {
            let cause = "the script broke off before its end";
            return Err(RemoteError::new(host, Trouble::Lost, cause));
        }
        let printed = said.lines().map(printable_line).find(|line| !line.trim().is_empty());
        let cause = match printed {
            Some(line) => {
                format!("its login runs something else than the command it was given: {line}")
            }
            None => "its login runs something else than the command it was given".to_owned(),
        };
        let hint = "this user needs a POSIX or fish-like login shell and no forced command; try \
                    `ssh ADDRESS /bin/sh -c true` by hand, with the address that hosts.toml has";
        Err(RemoteError {
            hint: hint.to_owned(),
            ..RemoteError::new(host, Trouble::Denied, &cause)
        })
    }
}

/// Writes the input, reads both outputs to their end and returns what the script printed as text.
///
/// The input stays open until the script ends when the script has a watcher on it.
async fn talk<I, O, E>(
    (stdin, input, keep_open): (Option<I>, Zeroizing<Vec<u8>>, bool),
    stdout: Option<O>,
    stderr: Option<E>,
    marks: &Marks,
    sink: Sink,
) -> CollectedOutput
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
        drop(input);
        (written.is_ok() && flushed.is_ok() && keep_open).then_some(stdin)
    };
    let read = async { tokio::join!(drain(stdout, sink, marks), drain(stderr, Sink::Keep, marks)) };
    let (held, (out, err)) = tokio::join!(write, read);
    drop(held);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (out_filter, err_filter) = (out.1, err.1);
    let has_begun = out_filter.has_begun();
    let stderr = if has_begun {
        text(err.0)
    } else {
        // It did not run: whatever was printed says why.
        format!("{}\n{}{}", out_filter.noise(), err_filter.noise(), text(err.0))
    };
    let told = err_filter.told();
    CollectedOutput { stdout: text(out.0), stderr, code: out_filter.code(), has_begun, told }
}

/// Reads an output to its end; returns what the script printed, or sends it piece by piece.
async fn drain(
    from: Option<impl AsyncRead + Unpin>,
    sink: Sink,
    marks: &Marks,
) -> (Vec<u8>, Between) {
    let mut filter = marks.filter();
    let mut kept = Vec::new();
    let Some(mut from) = from else { return (kept, filter) };
    let mut chunk = vec![0; 32 * 1024];
    loop {
        let count = match from.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        let printed = filter.feed(&chunk[..count]);
        if !pass_on(printed, &mut kept, &sink).await {
            return (Vec::new(), filter);
        }
    }
    // Nobody may listen any more: the exit code still counts.
    let printed = filter.finish();
    let _heard = pass_on(printed, &mut kept, &sink).await;
    (kept, filter)
}

/// Keeps what was printed, or sends it; returns false when nobody listens any more.
pub(super) async fn pass_on(printed: Vec<u8>, kept: &mut Vec<u8>, sink: &Sink) -> bool {
    match sink {
        Sink::Keep => {
            let room = OUTPUT_LIMIT.saturating_sub(kept.len());
            kept.extend_from_slice(&printed[..printed.len().min(room)]);
            true
        }
        Sink::Pieces(pieces) => printed.is_empty() || pieces.send(printed).await.is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_script_sees_its_arguments_and_its_input() {
        let script = Script::new("printf '%s|' \"$@\"; cat").arg("a b").arg("it's").stdin("data");
        let output = run_here("here", (&script, None), Sink::Keep).await.unwrap().0;
        assert_eq!((output.code, output.stdout.as_str()), (0, "a b|it's|data"));
    }

    #[tokio::test]
    async fn every_byte_arrives_as_it_was_printed_and_the_exit_code_last() {
        let (sender, mut pieces) = mpsc::channel(8);
        let script = Script::new("printf 'one\\n\\000\\377'; printf 'two'; echo oops >&2; exit 7");
        let output = run_here("here", (&script, None), Sink::Pieces(sender)).await.unwrap().0;
        let mut printed = Vec::new();
        while let Some(piece) = pieces.recv().await {
            printed.extend(piece);
        }
        assert_eq!(printed, b"one\n\0\xfftwo");
        assert_eq!((output.code, output.complaint().as_str()), (7, "oops"));
    }

    #[tokio::test]
    async fn a_dropped_call_ends_its_process() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let script = Script::new("sleep 300 & echo $! >\"$1.new\"; mv \"$1.new\" \"$1\"; wait")
            .arg(file.to_string_lossy());
        let call = run_here("here", (&script, None), Sink::Keep);
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
}
