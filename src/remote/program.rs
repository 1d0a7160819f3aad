//! Runs a program of this machine (git, tar, nix), as an argument list, never through a shell.

use super::kept_output::{Keep, KeptOutput};
use super::own_group::OwnGroup;
use crate::remote::Output;
use futures_util::FutureExt;
use std::ffi::OsStr;
use std::path::Path;
use std::pin::Pin;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;

/// What is said of a program that was stopped until its time was over.
const AT_TERMINAL: &str =
    "it stood still, since it asked at the terminal, which it does not have\n";

/// How long the output of a program is waited for that has ended: a child that it left behind may hold
/// the pipe open. What the program itself printed stands in the pipe already.
const OUTPUT_MOMENT: Duration = Duration::from_millis(200);

/// How much of an output is read at once, in bytes.
const PIECE: usize = 32 * 1024;

/// A program could not be run here.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It is not installed, or could not be started.
    #[error("could not run {program}: {source}; is it installed and in PATH?")]
    Start {
        /// Its name.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// It took too long.
    #[error("{program} did not end within {} and was stopped", crate::fleet::duration(*limit))]
    Slow {
        /// Its name.
        program: String,
        /// How long it was given.
        limit: Duration,
        /// What it had printed until then; its code is none of the program's.
        said: Box<Output>,
    },
}

/// A program of this machine with its arguments.
pub struct Program {
    command: tokio::process::Command,
    name: String,
    stdin: Vec<u8>,
    limit: Duration,
    keep: Keep,
    /// Whether it is ended together with its children.
    has_own_group: bool,
}

impl Program {
    /// Makes a program with arguments, limited to one minute.
    pub fn new(name: &str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let mut command = tokio::process::Command::new(name);
        command.args(args);
        let (stdin, limit) = (Vec::new(), Duration::from_secs(60));
        let (name, keep) = (name.to_owned(), Keep::All);
        Self { command, name, stdin, limit, keep, has_own_group: false }
    }

    /// Makes it run in a folder.
    #[must_use]
    pub fn in_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Leaves a variable out of its environment.
    #[must_use]
    pub fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Gives it bytes to read.
    #[must_use]
    pub fn stdin(mut self, bytes: Vec<u8>) -> Self {
        self.stdin = bytes;
        self
    }

    /// Limits its time.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Limits how much is kept of what it prints.
    #[must_use]
    pub fn keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    /// Gives it a process group of its own: where it is given up or takes too long, it and every child of it
    /// are told to end, and killed after 5 seconds. It cannot ask at a terminal then.
    #[must_use]
    pub fn own_group(mut self) -> Self {
        self.command.process_group(0);
        self.has_own_group = true;
        self
    }

    /// Runs it to its end and returns what it printed, as text. What a child prints that it left behind is
    /// not waited for.
    ///
    /// Dropping the future ends the program.
    pub async fn run(self) -> Result<Output, ProgramError> {
        let (stdout, output) = self.run_for_bytes().await?;
        Ok(Output { stdout: String::from_utf8_lossy(&stdout).into_owned(), ..output })
    }

    /// Runs it to its end and returns its standard output as bytes; the text beside them is empty,
    /// since a packed repository may be gigabytes.
    ///
    /// Dropping the future ends the program.
    pub async fn run_for_bytes(mut self) -> Result<(Vec<u8>, Output), ProgramError> {
        let start = |source| ProgramError::Start { program: self.name.clone(), source };
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // One that has a group is told to end first.
            .kill_on_drop(!self.has_own_group)
            .spawn()
            .map_err(start)?;
        let group = if self.has_own_group {
            OwnGroup::of(&child).map_err(|error| {
                // Nothing else would end it.
                drop(child.start_kill());
                start(error)
            })?
        } else {
            None
        };
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let bytes = self.stdin;
        let write = async move {
            if let Some(mut stdin) = stdin {
                // A program that does not read its input is judged by its exit code.
                drop(stdin.write_all(&bytes).await);
            }
        };
        let (mut printed, mut said) = (KeptOutput::new(self.keep), KeptOutput::new(self.keep));
        let asked_at_terminal;
        let ended = {
            let pipes = async {
                tokio::join!(write, read(stdout, &mut printed), read(stderr, &mut said));
            };
            let pipes = pipes.fuse();
            tokio::pin!(pipes);
            let work = async {
                tokio::select! {
                    () = &mut pipes => child.wait().await,
                    status = child.wait() => {
                        // Whoever holds them open is not the program.
                        drop(tokio::time::timeout(OUTPUT_MOMENT, &mut pipes).await);
                        status
                    }
                }
            };
            let ended = tokio::time::timeout(self.limit, work).await;
            asked_at_terminal = group.is_some() && ended.is_err() && is_stopped(&child);
            match group {
                Some(group) if ended.is_ok() => group.leave().await,
                Some(group) => end_group(group, &mut child, pipes.as_mut()).await,
                None => {}
            }
            ended
        };
        let (printed, said) = (printed.into_bytes(), said.into_bytes());
        let stderr = String::from_utf8_lossy(&said).into_owned();
        let (program, limit) = (self.name, self.limit);
        match ended {
            Ok(Ok(status)) => {
                let code = status.code().unwrap_or(-1);
                Ok((printed, Output { code, stdout: String::new(), stderr }))
            }
            Ok(Err(source)) => Err(ProgramError::Start { program, source }),
            Err(_) => {
                let stdout = String::from_utf8_lossy(&printed).into_owned();
                let stderr = if asked_at_terminal { stderr + AT_TERMINAL } else { stderr };
                let said = Box::new(Output { code: -1, stdout, stderr });
                Err(ProgramError::Slow { program, limit, said })
            }
        }
    }
}

/// Returns whether the kernel stopped a program: in a group of its own it may not ask at the terminal.
fn is_stopped(child: &Child) -> bool {
    let stat = child.id().and_then(|id| std::fs::read_to_string(format!("/proc/{id}/stat")).ok());
    // The name before it may have anything in it.
    let state = stat.as_deref().and_then(|stat| stat.rsplit_once(") ")).map(|(_, state)| state);
    state.is_some_and(|state| state.starts_with('T'))
}

/// Ends the process group of a program that took too long. What it prints while it ends is read too.
async fn end_group(
    group: OwnGroup,
    leader: &mut Child,
    mut pipes: Pin<&mut (impl Future<Output = ()> + Send)>,
) {
    let end = group.end(leader);
    tokio::pin!(end);
    tokio::select! {
        () = &mut end => drop(tokio::time::timeout(OUTPUT_MOMENT, pipes).await),
        () = &mut pipes => end.await,
    }
}

/// Reads an output to its end.
async fn read(from: Option<impl AsyncRead + Unpin>, into: &mut KeptOutput) {
    let Some(mut from) = from else { return };
    let mut piece = vec![0; PIECE];
    // One that cannot be read any more has ended.
    while let Ok(count) = from.read(&mut piece).await
        && count > 0
    {
        into.take(&piece[..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn shell(script: &str) -> Program {
        Program::new("/bin/sh", ["-c", script]).limit(Duration::from_secs(30))
    }

    #[tokio::test]
    async fn a_child_that_is_left_behind_does_not_keep_a_program_from_its_end() {
        let began = Instant::now();
        let output = shell("sleep 60 & echo bg; echo err >&2; exit 3").run().await.unwrap();
        assert_eq!((output.code, output.stdout.as_str()), (3, "bg\n"));
        assert_eq!(output.stderr, "err\n");
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_program_that_is_stopped_has_said_what_it_printed_until_then() {
        let slow = shell("echo half; echo why >&2; exec sleep 60").limit(Duration::from_secs(1));
        let Err(ProgramError::Slow { said, .. }) = slow.run().await else {
            unreachable!("it sleeps for longer")
        };
        assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("half\n", "why\n"));
    }

    #[tokio::test]
    async fn a_program_that_stood_still_says_that_it_may_not_ask_at_the_terminal() {
        // As the kernel does with one that reads the terminal from the background.
        let still = shell("kill -STOP $$; echo on").own_group().limit(Duration::from_secs(1));
        let Err(ProgramError::Slow { said, .. }) = still.run().await else {
            unreachable!("it stands still")
        };
        assert!(said.stderr.contains("asked at the terminal"), "{}", said.stderr);
    }

    /// Returns a program in a group of its own that notes the process of a child, then what stands in `then`.
    fn with_child(noted: &Path, then: &str) -> Program {
        let script = format!("sleep 60 & echo $! >{}; {then}", noted.display());
        shell(&script).own_group()
    }

    /// Waits until a program has noted its child, and returns where the system tells of the child.
    async fn child_of(noted: &Path) -> std::path::PathBuf {
        loop {
            let number = std::fs::read_to_string(noted).unwrap_or_default();
            match number.strip_suffix('\n') {
                Some(number) => break Path::new("/proc").join(number),
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    /// Waits until a process has ended.
    async fn until_gone(process: &Path) {
        let began = Instant::now();
        let is_there = || {
            // Nobody may have asked for its end.
            let state = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
            state.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
        };
        while is_there() {
            assert!(began.elapsed() < Duration::from_secs(20), "it goes on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn a_program_that_is_given_up_ends_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let noted = folder.path().join("child");
        let running = tokio::spawn(with_child(&noted, "wait").run());
        let child = child_of(&noted).await;
        running.abort();
        until_gone(&child).await;
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_may_say_so_before_it_ends_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let noted = folder.path().join("child");
        let then = "trap 'echo told; exit' TERM; wait";
        let slow = with_child(&noted, then).limit(Duration::from_secs(1)).run().await;
        let Err(ProgramError::Slow { said, .. }) = slow else {
            unreachable!("it sleeps for longer")
        };
        assert_eq!(said.stdout, "told\n");
        until_gone(&child_of(&noted).await).await;
    }

    #[tokio::test]
    async fn a_program_that_does_not_listen_is_killed_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let noted = folder.path().join("child");
        let script =
            format!("trap '' TERM; sleep 60 & echo $! >{}; echo deaf; wait", noted.display());
        let slow = shell(&script).own_group().limit(Duration::from_secs(1)).run().await;
        assert!(matches!(slow, Err(ProgramError::Slow { .. })));
        until_gone(&child_of(&noted).await).await;
    }

    #[tokio::test]
    async fn a_program_that_ended_by_itself_may_leave_a_child_behind() {
        let folder = tempfile::tempdir().unwrap();
        let noted = folder.path().join("child");
        let output = with_child(&noted, "exit 3").run().await.unwrap();
        assert_eq!(output.code, 3);
        let child = child_of(&noted).await;
        assert!(child.exists(), "it goes on");
        let number = child.file_name().unwrap();
        std::process::Command::new("kill").arg(number).status().unwrap();
    }

    #[tokio::test]
    async fn a_program_that_prints_without_measure_is_read_to_its_end_and_kept_in_part() {
        let prints = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i + 1)); done; exit 4";
        let output = shell(prints).keep(Keep::Ends).run().await.unwrap();
        assert_eq!((output.code, output.stdout.lines().count()), (4, 201));
        assert!(output.stdout.ends_with("line 19999\n"), "{}", output.stdout);
        let output = shell(prints).keep(Keep::First(6)).run().await.unwrap();
        assert_eq!((output.code, output.stdout.as_str()), (4, "line 0"));
    }

    #[tokio::test]
    async fn a_program_that_reads_its_input_gets_all_of_it() {
        let input = vec![b'x'; 1 << 20];
        let output = shell("wc -c").stdin(input).run().await.unwrap();
        assert_eq!(output.stdout.trim(), "1048576");
    }
}
