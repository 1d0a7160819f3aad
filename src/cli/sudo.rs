//! Passwords for sudo: asked on the terminal without being shown, or taken from the dashboard
//! through standard input. They are kept in memory only.

use crate::cli::CliError;
use crate::fleet::{Fleet, RootHosts, Secret, SudoQuestion};
use crate::remote::Remote;
use clap::Args;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use zeroize::Zeroizing;

/// Most bytes that the dashboard sends.
const SENT_LIMIT: u64 = 1 << 20;

/// The argument with which a run reads passwords from its standard input.
pub(super) const FROM_STDIN: &str = "--sudo-passwords-from-stdin";

/// Arguments that say how a run becomes root on its hosts.
#[derive(Debug, Default, Args)]
pub(super) struct SudoArgs {
    /// Asks once for the password that sudo on the hosts wants, in place of every source that hosts.toml names;
    /// it is kept in memory only
    #[arg(long)]
    ask_sudo_password: bool,
    /// Reads passwords from standard input, as the dashboard writes them
    #[arg(long, hide = true)]
    sudo_passwords_from_stdin: bool,
}

/// Passwords, each with the hosts that it is for.
#[derive(Debug, Default)]
pub(super) struct SudoPasswords(Vec<(Vec<String>, Secret)>);

impl SudoPasswords {
    /// Gives each host its password.
    pub(super) fn give_to(&self, remote: &Remote) {
        for (hosts, password) in &self.0 {
            for host in hosts {
                remote.give_sudo_password(host, password.clone());
            }
        }
    }
}

impl SudoPasswords {
    /// Returns whether one of them is a host's.
    pub(super) fn are_for(&self, host: &str) -> bool {
        self.0.iter().any(|(hosts, _)| hosts.iter().any(|one| one == host))
    }

    /// Keeps a password for hosts, instead of what was kept for them; an empty one is none.
    pub(super) fn keep(&mut self, hosts: Vec<String>, password: Secret) {
        for (known, _) in &mut self.0 {
            known.retain(|host| !hosts.contains(host));
        }
        self.0.retain(|(known, _)| !known.is_empty());
        if !password.is_empty() {
            self.0.push((hosts, password));
        }
    }

    /// Returns the passwords as a run that the dashboard starts reads them, a line of hosts and a
    /// line with their password; nothing where there is none.
    pub(super) fn sent(&self) -> Option<Zeroizing<Vec<u8>>> {
        let size = self.0.iter().map(|(hosts, password)| {
            hosts.iter().map(|host| host.len() + 1).sum::<usize>() + password.expose().len() + 1
        });
        let mut sent = Zeroizing::new(Vec::with_capacity(size.sum()));
        for (hosts, password) in &self.0 {
            sent.extend_from_slice(hosts.join("\t").as_bytes());
            sent.push(b'\n');
            sent.extend_from_slice(password.expose().as_bytes());
            sent.push(b'\n');
        }
        (!self.0.is_empty()).then_some(sent)
    }
}

/// Gets the passwords that the work on these hosts takes. Asks nothing where `hosts.toml` and the
/// arguments ask for nothing. One that a run may do without is left out with enter, and where nobody can be asked.
pub(super) fn passwords(
    fleet: &Fleet,
    hosts: &RootHosts,
    args: &SudoArgs,
) -> Result<SudoPasswords, CliError> {
    if args.sudo_passwords_from_stdin {
        let mut sent = Zeroizing::new(Vec::new());
        io::stdin().lock().take(SENT_LIMIT).read_to_end(&mut sent)?;
        return Ok(read_sent(&sent));
    }
    let mut found = Vec::new();
    for SudoQuestion { hosts, is_needed } in fleet.sudo_questions(hosts, args.ask_sudo_password) {
        let list = crate::fleet::printable_line(&hosts.join(", "));
        let mut terminal = match Terminal::open() {
            Ok(terminal) => terminal,
            Err(_) if is_needed => return Err(CliError::NoTerminalForPassword(list)),
            Err(_) => {
                tell_aside!(
                    "nixdash: there is no terminal to ask for the sudo password on {list}, so nobody can ask \
                     whether a budget has a place there"
                );
                continue;
            }
        };
        let about = if is_needed {
            ""
        } else {
            "only asked about places in budgets: enter leaves it out, and there may be none; "
        };
        let question =
            format!("sudo password for {list} ({about}not shown, kept in memory only): ");
        let password = terminal.ask(&question)?.ok_or(CliError::NoPassword)?;
        match password.is_empty() {
            true if is_needed => return Err(CliError::NoPassword),
            true => {}
            false => found.push((hosts, password)),
        }
    }
    Ok(SudoPasswords(found))
}

/// Reads what [`SudoPasswords::sent`] wrote.
fn read_sent(sent: &[u8]) -> SudoPasswords {
    let text = Zeroizing::new(String::from_utf8_lossy(sent).into_owned());
    let mut lines = text.split_terminator('\n');
    let mut found = Vec::new();
    while let (Some(hosts), Some(password)) = (lines.next(), lines.next()) {
        found.push((hosts.split('\t').map(str::to_owned).collect(), Secret::new(password)));
    }
    SudoPasswords(found)
}

/// The terminal, without echo while something is typed.
struct Terminal {
    file: File,
    before: Termios,
}

impl Terminal {
    /// Opens the terminal of this process and lets it show nothing; the drop brings that back.
    fn open() -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&file)?;
        let mut quiet = before.clone();
        // Signals would end us with a terminal that shows nothing: ctrl-c is read as a character.
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&file, OptionalActions::Flush, &quiet)?;
        Ok(Self { file, before })
    }

    /// Asks for a line; nothing when it was given up with ctrl-c or ctrl-d.
    fn ask(&mut self, question: &str) -> io::Result<Option<Secret>> {
        self.file.write_all(question.as_bytes())?;
        let mut line = TypedLine::default();
        let answer = loop {
            let mut byte = Zeroizing::new([0_u8]);
            if self.file.read(byte.as_mut_slice())? == 0 {
                break None;
            }
            match line.take(byte[0]) {
                Typed::More => {}
                Typed::Done => break line.secret(),
                Typed::GivenUp => break None,
            }
        };
        self.file.write_all(b"\n")?;
        Ok(answer)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _gone = tcsetattr(&self.file, OptionalActions::Flush, &self.before);
    }
}

/// A line that is being typed, byte by byte.
struct TypedLine {
    bytes: Zeroizing<Vec<u8>>,
}

impl Default for TypedLine {
    fn default() -> Self {
        // Never grown, so that no copy is left behind.
        Self { bytes: Zeroizing::new(Vec::with_capacity(4096)) }
    }
}

/// What a typed byte means for a line.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    More,
    Done,
    GivenUp,
}

impl TypedLine {
    /// Takes a byte: enter ends the line, ctrl-c and ctrl-d give it up, ctrl-u empties it.
    fn take(&mut self, byte: u8) -> Typed {
        match byte {
            b'\n' | b'\r' => return Typed::Done,
            3 | 4 => return Typed::GivenUp,
            21 => self.bytes.clear(),
            8 | 127 => {
                // A character may have several bytes: those that continue one come off with it.
                while self.bytes.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            byte if self.bytes.len() < self.bytes.capacity() => self.bytes.push(byte),
            _ => {}
        }
        Typed::More
    }

    /// Returns what was typed; nothing when it is no text.
    fn secret(&self) -> Option<Secret> {
        std::str::from_utf8(&self.bytes).ok().map(Secret::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types bytes; returns the text.
    fn typed(bytes: &[u8]) -> Option<String> {
        let mut line = TypedLine::default();
        for byte in bytes {
            match line.take(*byte) {
                Typed::More => {}
                Typed::Done => return line.secret().map(|secret| secret.expose().to_owned()),
                Typed::GivenUp => return None,
            }
        }
        None
    }

    #[test]
    fn a_line_can_be_mended_while_nothing_of_it_is_shown() {
        assert_eq!(typed(b"hunter2\r").as_deref(), Some("hunter2"));
        assert_eq!(typed("abä\u{7f}c\n".as_bytes()).as_deref(), Some("abc"));
        assert_eq!(typed(b"wrong\x15right\n").as_deref(), Some("right"));
        assert_eq!(typed(b"\x7f\x7fa\n").as_deref(), Some("a"));
        assert_eq!(typed(b"abc\x03"), None);
    }

    #[test]
    fn what_the_dashboard_sends_is_what_the_run_reads() {
        let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut kept = SudoPasswords::default();
        assert!(kept.sent().is_none());
        kept.keep(names("razer samsung"), Secret::new("p ä\tb"));
        kept.keep(names("p510"), Secret::new("wrong"));
        kept.keep(names("p510"), Secret::new("right"));
        kept.keep(names("heron"), Secret::new("typed once"));
        kept.keep(names("heron"), Secret::default());
        assert!(!kept.are_for("heron"), "it was left out");
        let read = read_sent(&kept.sent().unwrap());
        assert_eq!(read.0, kept.0);
        assert!(read.are_for("samsung") && !read.are_for("heron"));
        assert_eq!(read.0.last(), Some(&(names("p510"), Secret::new("right"))));
        assert!(read_sent(b"").0.is_empty() && read_sent(b"razer\n").0.is_empty());
    }
}
