//! Hands copied text to where other programs find it, and says by which way it went.
//!
//! In tmux it goes to tmux, which hands it on to the terminal around it. On the machine of the person a
//! program of the desktop takes it, where there is one. Elsewhere, and over ssh, the terminal is asked
//! (OSC 52), which some terminals refuse and none answers.

use crate::dash::Msg;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// Most bytes that terminals take at once: 74 994 in base 64.
const TERMINAL: usize = 56_244;

/// Most bytes that are copied.
const MOST: usize = 1 << 20;

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// A program that takes text from its standard input, with its arguments.
type Taker = &'static [&'static str];

/// Makes the text tmux's newest buffer, and the clipboard of the terminal around it.
const TMUX: Taker = &["tmux", "load-buffer", "-w", "-"];

/// What takes a text for the clipboard of the desktop, by the variable that says which desktop this is.
const DESKTOPS: [(&str, Taker); 3] = [
    ("WAYLAND_DISPLAY", &["wl-copy"]),
    ("DISPLAY", &["xclip", "-selection", "clipboard"]),
    ("DISPLAY", &["xsel", "--clipboard", "--input"]),
];

/// Where text goes that is copied here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClipboardWays {
    /// Programs that may take it, the best first.
    takers: Vec<Taker>,
    /// Whether the terminal is on another machine.
    is_over_ssh: bool,
}

impl ClipboardWays {
    /// Returns the ways of this process.
    pub(super) fn here() -> Self {
        Self::of(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
    }

    /// Returns the ways, by which variables of the environment have a value.
    fn of(has: impl Fn(&str) -> bool) -> Self {
        let is_over_ssh = has("SSH_CONNECTION") || has("SSH_TTY");
        let takers = if has("TMUX") {
            vec![TMUX]
        } else if is_over_ssh {
            // The desktop that is known here is not the one that the person sees.
            Vec::new()
        } else if cfg!(target_os = "macos") {
            vec![&["pbcopy"][..]]
        } else {
            let known = DESKTOPS.iter().filter(|(variable, _)| has(variable));
            known.map(|(_, taker)| *taker).collect()
        };
        Self { takers, is_over_ssh }
    }

    /// Hands text over and says so; `what` is what it is, such as `3 lines`.
    pub(super) async fn copy(&self, text: String, what: String) -> Msg {
        if text.len() > MOST {
            let said = format!("{what}: too much to be copied; save it in a file instead");
            return Msg::Said { text: said, bad: true };
        }
        for taker in &self.takers {
            if takes(taker, &text).await {
                return Msg::Said { text: format!("copied {what} {}", way(taker)), bad: false };
            }
        }
        if text.len() > TERMINAL {
            let said =
                format!("{what}: more than terminals take (56 kB); save it in a file instead");
            return Msg::Said { text: said, bad: true };
        }
        let place = if self.is_over_ssh { "over ssh to your terminal" } else { "to your terminal" };
        let told = format!("copied {what} {place} (OSC 52), if the terminal allows that");
        Msg::Clip { text, told }
    }
}

/// Says by which way a text went.
fn way(taker: Taker) -> String {
    match taker {
        ["tmux", ..] => "to tmux, which hands it on to your terminal".to_owned(),
        [program, ..] => format!("to the clipboard ({program})"),
        [] => "to the clipboard".to_owned(),
    }
}

/// Gives text to a program; returns whether it took it.
async fn takes(taker: Taker, text: &str) -> bool {
    let given = async {
        let (program, args) = taker.split_first()?;
        let mut running = tokio::process::Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .ok()?;
        running.stdin.take()?.write_all(text.as_bytes()).await.ok()?;
        Some(running.wait().await.ok()?.success())
    };
    tokio::time::timeout(PATIENCE, given).await.ok().flatten().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways(set: &[&str]) -> ClipboardWays {
        ClipboardWays::of(|name| set.contains(&name))
    }

    #[test]
    fn tmux_comes_first_then_the_desktop_and_over_ssh_the_terminal_alone() {
        let names = |set: &[&str]| -> Vec<&str> {
            ways(set).takers.iter().filter_map(|taker| taker.first()).copied().collect()
        };
        assert_eq!(names(&["TMUX", "WAYLAND_DISPLAY", "SSH_TTY"]), ["tmux"]);
        assert_eq!(names(&["SSH_CONNECTION", "DISPLAY", "WAYLAND_DISPLAY"]), [""; 0]);
        if !cfg!(target_os = "macos") {
            assert_eq!(names(&["DISPLAY", "WAYLAND_DISPLAY"]), ["wl-copy", "xclip", "xsel"]);
            assert_eq!(names(&[]), [""; 0]);
        }
    }

    /// Returns what is said of a copy.
    async fn told(ways: ClipboardWays, text: &str) -> (String, bool) {
        match ways.copy(text.to_owned(), "3 lines".to_owned()).await {
            Msg::Clip { told, .. } => (told, false),
            Msg::Said { text, bad } => (text, bad),
            other => unreachable!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_is_said_names_the_way_that_was_taken() {
        let with = |takers: Vec<Taker>| ClipboardWays { takers, is_over_ssh: false };
        let ssh = ClipboardWays { takers: Vec::new(), is_over_ssh: true };
        let terminal = "copied 3 lines to your terminal (OSC 52), if the terminal allows that";
        for (ways, expected) in [
            (with(vec![&["cat"]]), "copied 3 lines to the clipboard (cat)"),
            (with(vec![&["false"], &["cat"]]), "copied 3 lines to the clipboard (cat)"),
            (with(vec![&["no-such-program"]]), terminal),
            (with(Vec::new()), terminal),
            (ssh, "copied 3 lines over ssh to your terminal (OSC 52), if the terminal allows that"),
        ] {
            assert_eq!(told(ways, "text").await, (expected.to_owned(), false));
        }
        assert_eq!(way(TMUX), "to tmux, which hands it on to your terminal");
    }

    #[tokio::test]
    async fn what_is_too_much_is_said_with_what_to_do() {
        let terminal = ClipboardWays { takers: Vec::new(), is_over_ssh: false };
        let (said, bad) = told(terminal.clone(), &"x".repeat(TERMINAL + 1)).await;
        assert!(bad && said.contains("more than terminals take (56 kB); save it"), "{said}");
        let (said, bad) = told(terminal, &"x".repeat(MOST + 1)).await;
        assert!(bad && said.contains("too much to be copied"), "{said}");
    }
}
