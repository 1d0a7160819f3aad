//! How a script travels: the command for the login shell, the bytes that follow it, and the marks
//! between which everything stands that the script prints.
//!
//! The remote command is `/bin/sh -c 'LC_ALL=C; s=$(head -c N); case "$s" in *END) eval "$s";; *)
//! exit 74;; esac'`, which every login shell (fish and nushell too) takes as it stands. The text
//! (N bytes) follows on standard input and ends with a word that stands nowhere else in it: a text
//! that was cut short by a lost connection does not have it, and nothing of it runs. As root the
//! same step is made a second time, behind the program that makes us root (`scripts/elevate.sh`).
//!
//! A password for sudo travels in a block of fixed size before the script. On the host it goes to
//! sudo through a pipe of its own, and what stands between the block and a line that nobody can know
//! is discarded unread, so that it can never become a line of the script or of its input.
//!
//! A login shell's own start files, a lecture of sudo or a message of the day may print before and
//! after the script. So the text prints a mark first and another one last, on both outputs, made
//! of random numbers that nobody on the host can know before; what stands outside is noise.

use crate::fleet::Secret;
use crate::remote::Script;
use crate::remote::root::{RootWay, ToldWay};
use std::hash::{BuildHasher, RandomState};
use zeroize::Zeroizing;

/// Exit code of a script whose text did not arrive as a whole; nothing of it has run.
const CUT_SHORT: i32 = 74;

/// Becomes root and runs the next step there.
const ELEVATE: &str = include_str!("scripts/elevate.sh");

/// Size of the block that holds a password in its first line; `elevate.sh` knows it too.
const PASSWORD_BLOCK: usize = 1024;

/// Most bytes of noise that are kept, for the case that there is nothing else to show.
const NOISE_LIMIT: usize = 4096;

/// Sets the search path: a transient unit's and a stock sshd's do not hold everything, and sudo of a machine
/// that is not NixOS leaves out where an installer put Nix.
const PRELUDE: &str = "PATH=\"/run/wrappers/bin:/run/current-system/sw/bin:${PATH:-/usr/bin:/bin}:/nix/var/nix/profiles/default/bin\"
LC_ALL=C
export PATH LC_ALL
";

/// Runs scripts that follow, one after the other.
const SHELL: &str = include_str!("scripts/shell.sh");

/// Ends the script when the other side of its standard input goes away, also where it does not
/// listen to TERM.
const WATCHER: &str = "exec 3<&0 </dev/null
{ trap '' TERM; cat <&3 >/dev/null; kill -TERM 0; sleep 1; kill -KILL 0; } >/dev/null 2>&1 &
nixdash_watcher=$!
exec 3<&-
";

/// Random words of one run of a script.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    begin: [String; 2],
    end: [String; 2],
    last: String,
    /// Stands before the word for the way to root.
    way: [String; 2],
    /// Stands behind a password, as a line of its own.
    start: String,
}

impl Marks {
    /// Makes new ones.
    pub(super) fn new() -> Self {
        // SipHash under keys that the operating system made: 64 bits that nobody can guess.
        let word = |salt: u8| format!("{:016x}", RandomState::new().hash_one(salt));
        let half = |name: &str| format!("nixdash-{name}-{}", word(0));
        Self {
            begin: [half("begin"), word(1)],
            end: [half("end"), word(2)],
            last: format!("nixdash-last-{}{}", word(3), word(4)),
            way: [half("way"), word(5)],
            start: format!("nixdash-start-{}{}", word(6), word(7)),
        }
    }

    /// Returns the commands that print the first mark. Each mark is printed in two pieces, so that
    /// a shell that echoes what it reads prints no mark.
    fn print_begin(&self) -> String {
        let [first, second] = &self.begin;
        let print = format!("printf '%s%s\\n' {first} {second}");
        format!("{print}; {print} >&2\n")
    }

    /// Returns the commands that print the second mark with the exit code.
    fn print_end(&self) -> String {
        let [first, second] = &self.end;
        let print = format!("printf '%s%s %d\\n' {first} {second} \"$nixdash_code\"");
        format!("nixdash_code=$?\n{print}; {print} >&2\n")
    }

    /// Makes a filter for one output of the script.
    pub(super) fn filter(&self) -> Between {
        let whole = |[first, second]: &[String; 2], rest: &str| {
            format!("{first}{second}{rest}").into_bytes()
        };
        Between {
            begin: whole(&self.begin, "\n"),
            end: whole(&self.end, " "),
            way: whole(&self.way, " "),
            told: None,
            cut: false,
            part: FramePart::Before,
            held: Vec::new(),
            noise: Vec::new(),
            code: Vec::new(),
        }
    }

    /// Returns a script between its marks, in a subshell with these redirections, as a text for
    /// `/bin/sh`.
    pub(super) fn around(&self, script: &Script, redirections: &str) -> String {
        let (begin, end) = (self.print_begin(), self.print_end());
        format!("{begin}(\n{}){redirections}\n{end}", script.text())
    }

    /// Returns a script as an open shell takes it, between its marks.
    pub(super) fn in_shell(&self, script: &Script, redirections: &str) -> String {
        let (around, last) = (self.around(script, redirections), &self.last);
        let text = format!("{around}#{last}");
        format!("{} {last}\n{text}", text.len())
    }
}

/// A script as it goes over the wire.
pub(super) struct Wire {
    /// What the login shell is asked to run.
    pub(super) command: String,
    /// What follows on standard input; overwritten when it is dropped.
    pub(super) input: Zeroizing<Vec<u8>>,
    /// What its output stands between.
    pub(super) marks: Marks,
}

/// Returns the remote command and the bytes for its standard input that open a shell for scripts which
/// follow ([`Marks::in_shell`]); both outputs begin with a mark when it is open.
pub(super) fn begin_shell(way: Option<&RootWay>) -> Wire {
    let marks = Marks::new();
    let inner = format!("{PRELUDE}INPUT_BYTES=0\n{}{SHELL}#{}", marks.print_begin(), marks.last);
    carried(&inner, &[], way, marks)
}

/// Returns the remote command and the bytes for its standard input; a script that does not run as
/// root goes no way there.
pub(super) fn wire(script: &Script, way: Option<&RootWay>) -> Wire {
    let marks = Marks::new();
    let last = &marks.last;
    let (watcher, unwatch) = if script.stdin.is_empty() {
        (WATCHER, "kill -KILL \"$nixdash_watcher\" 2>/dev/null\n")
    } else {
        ("", "")
    };
    let length = script.stdin.len();
    let inner = format!(
        "{PRELUDE}{watcher}INPUT_BYTES={length}\n{}{unwatch}exit \"$nixdash_code\"\n#{last}",
        marks.around(script, "")
    );
    carried(&inner, &script.stdin, way, marks)
}

/// Returns how a text gets to a host that ends with the last word of these marks, with bytes that follow it
/// there.
fn carried(inner: &str, behind: &[u8], way: Option<&RootWay>, marks: Marks) -> Wire {
    let last = &marks.last;
    let read = |count: usize| {
        format!(
            "LC_ALL=C; s=$(head -c {count}); \
             case \"$s\" in *{last}) eval \"$s\";; *) exit {CUT_SHORT};; esac"
        )
    };
    let outer = way.map(|way| {
        let [first, second] = &marks.way;
        let words = [way.word(), &read(inner.len()), first, second, &marks.start];
        let elevate = words.into_iter().fold(Script::new(ELEVATE), Script::arg);
        format!("{}#{last}", elevate.text())
    });
    let first = outer.as_ref().map_or(inner.len(), String::len);
    let command = format!("/bin/sh -c '{}'", read(first));
    let outer = outer.unwrap_or_default();
    // Made at once in its full size: a place that it grows out of would keep the password.
    let size = outer.len() + PASSWORD_BLOCK + marks.start.len() + 1 + inner.len() + behind.len();
    let mut input = Zeroizing::new(Vec::with_capacity(size));
    input.extend_from_slice(outer.as_bytes());
    if let Some(password) = way.and_then(RootWay::password) {
        put_password(&mut input, password);
        input.extend_from_slice(marks.start.as_bytes());
        input.push(b'\n');
    }
    input.extend_from_slice(inner.as_bytes());
    input.extend_from_slice(behind);
    Wire { command, input, marks }
}

/// Writes the block that holds a password in its first line. One that does not fit, which is
/// refused long before, is left out.
fn put_password(input: &mut Vec<u8>, password: &Secret) {
    let text = password.expose().as_bytes();
    let text = if text.len() < PASSWORD_BLOCK { text } else { &[] };
    input.extend_from_slice(text);
    input.extend(std::iter::repeat_n(b'\n', PASSWORD_BLOCK - text.len()));
}

/// Where in an output we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FramePart {
    Before,
    Within,
    After,
}

/// Takes an output piece by piece and passes on what stands between the marks.
pub(super) struct Between {
    begin: Vec<u8>,
    end: Vec<u8>,
    part: FramePart,
    /// The end of what came so far, where it may be the beginning of a mark.
    held: Vec<u8>,
    noise: Vec<u8>,
    code: Vec<u8>,
    /// What stands before the word for the way to root.
    way: Vec<u8>,
    told: Option<ToldWay>,
    /// Whether the beginning of the noise was dropped.
    cut: bool,
}

impl Between {
    /// Takes a piece and returns what of it, or of what was held back, the script printed.
    pub(super) fn feed(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.held);
        rest.extend_from_slice(piece);
        let mut within = Vec::new();
        loop {
            let mark = match self.part {
                FramePart::Before => &self.begin,
                FramePart::Within => &self.end,
                FramePart::After => {
                    let room = 16_usize.saturating_sub(self.code.len());
                    self.code.extend_from_slice(&rest[..rest.len().min(room)]);
                    return within;
                }
            };
            let found = position(&rest, mark);
            let until = found.unwrap_or_else(|| rest.len() - overlap(&rest, mark));
            let after = found.map(|at| rest[at + mark.len()..].to_vec());
            let before = &rest[..until];
            match self.part {
                FramePart::Before => {
                    self.noise.extend_from_slice(before);
                    self.look_for_way();
                    let excess = self.noise.len().saturating_sub(NOISE_LIMIT);
                    self.cut |= excess > 0;
                    self.noise.drain(..excess);
                }
                FramePart::Within | FramePart::After => within.extend_from_slice(before),
            }
            let Some(after) = after else {
                self.held = rest.split_off(until);
                return within;
            };
            self.part =
                if self.part == FramePart::Before { FramePart::Within } else { FramePart::After };
            rest = after;
        }
    }

    /// Returns what was held back when nothing more comes: it was no mark after all.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        match self.part {
            FramePart::Before => {
                self.noise.extend_from_slice(&held);
                self.look_for_way();
                Vec::new()
            }
            FramePart::Within => held,
            FramePart::After => Vec::new(),
        }
    }

    /// Returns whether the script began to run.
    pub(super) fn has_begun(&self) -> bool {
        self.part != FramePart::Before
    }

    /// Returns the script's exit code when it came to its end.
    pub(super) fn code(&self) -> Option<i32> {
        if self.part != FramePart::After {
            return None;
        }
        // What stands behind its line is noise again, in any bytes.
        let end = self.code.iter().position(|byte| *byte == b'\n')?;
        std::str::from_utf8(&self.code[..end]).ok()?.trim().parse().ok()
    }

    /// Returns what was printed before the script began, from the word for the way to root on; a
    /// line whose beginning was dropped is left out.
    pub(super) fn noise(&self) -> String {
        let text = String::from_utf8_lossy(&self.noise);
        let text =
            if self.cut { text.split_once('\n').map_or("", |(_, rest)| rest) } else { &text };
        text.to_owned()
    }

    /// Returns in which way the script became root, or tried to.
    pub(super) fn told(&self) -> Option<ToldWay> {
        self.told
    }

    /// Takes the words for the way to root out of the noise, with what stands before them; the last
    /// one counts.
    fn look_for_way(&mut self) {
        while let Some(at) = position(&self.noise, &self.way) {
            let word = at + self.way.len();
            let length = self.noise[word..].iter().position(|byte| *byte == b'\n');
            let Some(length) = length else { return };
            let text = String::from_utf8_lossy(&self.noise[word..word + length]).into_owned();
            self.told = ToldWay::parse(text.trim());
            self.noise.drain(..=word + length);
            self.cut = false;
        }
    }
}

/// Returns where one text begins in another.
pub(super) fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    while let Some(at) = text.get(from..)?.iter().position(|byte| *byte == first) {
        if text[from + at..].starts_with(wanted) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// Returns how many bytes at the end of a text are the beginning of another.
pub(super) fn overlap(text: &[u8], wanted: &[u8]) -> usize {
    let most = text.len().min(wanted.len().saturating_sub(1));
    (1..=most).rev().find(|count| text.ends_with(&wanted[..*count])).unwrap_or(0)
}

#[cfg(test)]
mod tests;
