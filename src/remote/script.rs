//! A script with its arguments, and what it printed.

use std::time::Duration;

/// How long a script may take when it does not say.
const DEFAULT_LIMIT: Duration = Duration::from_secs(30);

/// Over what a script travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// The host's open connection, after the other scripts that go this way; what it prints on standard
    /// error is part of its standard output. For probes.
    InTurn,
    /// The host's open connection, beside other scripts.
    #[default]
    Beside,
    /// A new connection that shares nothing with the open one: proof that one can be made.
    Fresh,
    /// A new connection for this script alone, to which the ssh agent of the person here is lent: the host
    /// may log in elsewhere with it while the script runs.
    Agent,
}

/// A POSIX sh script, to be run with arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The text of the script: a file of this repository, never put together at run time.
    pub body: &'static str,
    /// Its arguments: `$1` and so on.
    pub args: Vec<String>,
    /// Bytes for its standard input; empty means none.
    pub stdin: Vec<u8>,
    /// Whether it runs as root, through `sudo -n` where the login user is not root.
    pub root: bool,
    /// How long it may take.
    pub limit: Duration,
    /// Over what it travels.
    pub way: Way,
}

impl Script {
    /// Makes a script without arguments, as the login user, beside others, limited to 30 s.
    pub fn new(body: &'static str) -> Self {
        Self {
            body,
            args: Vec::new(),
            stdin: Vec::new(),
            root: false,
            limit: DEFAULT_LIMIT,
            way: Way::Beside,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Gives it bytes to read.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Runs it as root.
    #[must_use]
    pub fn root(mut self) -> Self {
        self.root = true;
        self
    }

    /// Limits its time.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Chooses over what it travels.
    #[must_use]
    pub fn way(mut self, way: Way) -> Self {
        self.way = way;
        self
    }

    /// Returns the text that `/bin/sh` evaluates: the arguments as positional parameters, then
    /// the script.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.body.len() + 64);
        text.push_str("set --");
        for arg in &self.args {
            text.push(' ');
            text.push_str(&quote(arg));
        }
        text.push('\n');
        text.push_str(self.body);
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text
    }
}

/// Returns a word in single quotes for a POSIX shell; NUL bytes, which no argument can hold, are
/// left out.
pub fn quote(word: &str) -> String {
    let mut quoted = String::with_capacity(word.len() + 2);
    quoted.push('\'');
    for c in word.chars().filter(|c| *c != '\0') {
        if c == '\'' {
            quoted.push_str("'\\''");
        } else {
            quoted.push(c);
        }
    }
    quoted.push('\'');
    quoted
}

/// What a script printed and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output, untrusted.
    pub stdout: String,
    /// Standard error, untrusted.
    pub stderr: String,
}

impl Output {
    /// Returns whether the exit code is 0.
    pub fn is_ok(&self) -> bool {
        self.code == 0
    }

    /// Returns the last line that says something, of standard error or else of standard output,
    /// printable; the exit code where nothing was printed.
    pub fn complaint(&self) -> String {
        self.last_line().unwrap_or_else(|| format!("exit code {}", self.code))
    }

    /// Returns the last line that says something, as [`Self::complaint`] does; none where nothing was printed.
    pub fn last_line(&self) -> Option<String> {
        let last = |text: &str| {
            text.lines()
                .rev()
                .map(crate::fleet::printable_line)
                .find(|line| !line.trim().is_empty())
        };
        last(&self.stderr).or_else(|| last(&self.stdout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    #[test]
    fn arguments_come_before_the_script() {
        let script = Script::new("echo \"$1\"").arg("it's").arg("$(rm -rf /)");
        assert_eq!(script.text(), "set -- 'it'\\''s' '$(rm -rf /)'\necho \"$1\"\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_real_shell_reads_back_what_was_quoted(word in "[^\u{0}]*") {
            let text = Script::new("printf %s \"$1\"").arg(word.as_str()).text();
            let output = Command::new("/bin/sh").arg("-c").arg(text).output().unwrap();
            prop_assert_eq!(output.stdout, word.as_bytes());
        }
    }
}
