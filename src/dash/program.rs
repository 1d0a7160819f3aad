//! A program of this machine that gets the terminal until it ends: what it is, and what its end means.

use crate::fleet::printable_line;
use signal_hook::low_level::signal_name;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use tempfile::TempPath;

/// A program of this machine that gets the terminal until it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminalProgram {
    /// The program and its arguments, which it gets as they are: no shell reads them.
    pub words: Vec<OsString>,
    /// What it is, such as `the shell on samsung`.
    pub name: String,
    /// What is told before it starts; nothing of a program that fills the screen itself.
    pub before: Option<String>,
    /// What to do when it cannot be started.
    pub hint: String,
    /// How its end is read.
    pub end: ProgramEnd,
    /// What is told when it ended well.
    pub then: Option<String>,
    /// A file that was made for it.
    pub file: Option<KeptFile>,
}

/// How the end of a program is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramEnd {
    /// Every exit code but 0 tells of a failure.
    Code,
    /// The exit code is that of the last thing a person did in it, and tells nothing.
    Shell,
    /// As that of a shell, but 255 means that ssh itself failed; this tells why.
    Ssh(FailureTeller),
}

/// Tells why a program failed, where that is known.
#[derive(Clone)]
pub struct FailureTeller(Arc<dyn Fn() -> Option<String> + Send + Sync>);

impl FailureTeller {
    /// Makes one that asks this.
    pub fn new(tell: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }
}

impl fmt::Debug for FailureTeller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailureTeller").finish_non_exhaustive()
    }
}

impl PartialEq for FailureTeller {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for FailureTeller {}

/// A file that is removed when nobody has it any more.
#[derive(Clone, Debug)]
pub struct KeptFile(Arc<TempPath>);

impl KeptFile {
    /// Keeps a file.
    pub fn new(path: TempPath) -> Self {
        Self(Arc::new(path))
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl PartialEq for KeptFile {
    fn eq(&self, other: &Self) -> bool {
        self.path() == other.path()
    }
}

impl Eq for KeptFile {}

impl TerminalProgram {
    /// Has this told when it ended well.
    #[must_use]
    pub fn then_told(mut self, text: &str) -> Self {
        self.then = Some(text.to_owned());
        self
    }

    /// Returns what is told of its end; nothing where it ended as it should.
    pub fn ended(&self, status: ExitStatus) -> Option<String> {
        let name = &self.name;
        if let Some(signal) = status.signal() {
            let called = signal_name(signal).map_or_else(String::new, |name| format!(" ({name})"));
            return Some(format!("{name} was ended by signal {signal}{called}; open it again"));
        }
        match (&self.end, status.code()?) {
            (_, 0) | (ProgramEnd::Shell, _) => None,
            (ProgramEnd::Code, code) => Some(format!("{name} ended with code {code}")),
            (ProgramEnd::Ssh(why), 255) => (why.0)(),
            (ProgramEnd::Ssh(_), _) => None,
        }
    }

    /// Returns what is told when it could not be started.
    pub fn not_started(&self, why: &std::io::Error) -> String {
        let program = self.words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
        let program = printable_line(&program);
        format!("{} could not start: {program}: {why}; {}", self.name, self.hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(end: ProgramEnd) -> TerminalProgram {
        TerminalProgram {
            words: vec!["ssh".into()],
            name: "the shell on samsung".to_owned(),
            before: None,
            hint: "install it".to_owned(),
            end,
            then: None,
            file: None,
        }
    }

    fn code(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    #[test]
    fn what_a_person_did_last_in_a_shell_is_no_failure_of_the_shell() {
        assert_eq!(program(ProgramEnd::Shell).ended(code(130)), None);
        let failed = program(ProgramEnd::Code).ended(code(1)).unwrap();
        assert_eq!(failed, "the shell on samsung ended with code 1");
        let killed = program(ProgramEnd::Shell).ended(ExitStatus::from_raw(9)).unwrap();
        assert_eq!(killed, "the shell on samsung was ended by signal 9 (SIGKILL); open it again");
    }

    #[test]
    fn ssh_that_failed_tells_why_and_what_ran_on_the_host_does_not() {
        let why = FailureTeller::new(|| Some("samsung: Permission denied".to_owned()));
        let ssh = program(ProgramEnd::Ssh(why));
        assert_eq!(ssh.ended(code(1)), None);
        assert_eq!(ssh.ended(code(255)).unwrap(), "samsung: Permission denied");
    }

    #[test]
    fn a_file_goes_with_the_last_who_has_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_owned();
        let kept = KeptFile::new(file.into_temp_path());
        let other = kept.clone();
        drop(kept);
        assert!(other.path() == path && path.exists());
        drop(other);
        assert!(!path.exists());
    }

    #[test]
    fn a_program_that_is_not_there_is_told_with_what_to_do() {
        let why = std::io::Error::from_raw_os_error(2);
        let said = program(ProgramEnd::Shell).not_started(&why);
        assert!(said.starts_with("the shell on samsung could not start: ssh: No such file"));
        assert!(said.ends_with("; install it"), "{said}");
    }
}
