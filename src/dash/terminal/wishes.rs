//! What the screen asks of the terminal in passing: a fresh picture, the clipboard, a bell.

use super::modes::{clear, listen_to_mouse, mouse, suspend};
use super::{DashError, TerminalScreen};
use crate::dash::msg::Wish;
use crate::fleet::printable_line;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::io::Write;

/// Does what the screen asks of the terminal, all but to run a program in it and to look
/// otherwise.
pub(super) fn grant(screen: &mut TerminalScreen, wish: &Wish) -> Result<(), DashError> {
    match wish {
        Wish::Redraw => clear(screen),
        Wish::Suspend => suspend(screen),
        Wish::Clip(text) => {
            let out = screen.backend_mut();
            write!(out, "\u{1b}]52;c;{}\u{7}", BASE64.encode(text))
                .and_then(|()| Write::flush(out))
                .map_err(DashError::Draw)
        }
        Wish::Notify(text) => {
            let told = notification(text, |name| std::env::var(name).ok());
            let out = screen.backend_mut();
            write!(out, "{told}").and_then(|()| Write::flush(out)).map_err(DashError::Draw)
        }
        Wish::Mouse(wanted) => {
            listen_to_mouse(*wanted);
            let out = screen.backend_mut();
            mouse(out, *wanted).and_then(|()| Write::flush(out)).map_err(DashError::Draw)
        }
        Wish::ShowTheme(_) | Wish::LetThemeStay | Wish::Run(_) => Ok(()),
    }
}

/// Returns what rings and has the desktop show a sentence; `var` reads a variable of the environment.
///
/// One of the two ways is taken, since some terminals know both and would show it twice: OSC 777 of
/// rxvt, foot and those made with VTE, else OSC 9 of iTerm2. In tmux nothing tells which
/// terminal is around it, so OSC 9 is taken there.
fn notification(text: &str, var: impl Fn(&str) -> Option<String>) -> String {
    let text: String = printable_line(text).chars().take(200).collect();
    if var("TMUX").is_some() {
        return format!("\u{7}\u{1b}Ptmux;\u{1b}\u{1b}]9;{text}\u{7}\u{1b}\\");
    }
    let term = var("TERM").unwrap_or_default();
    if term.starts_with("rxvt") || term.starts_with("foot") || var("VTE_VERSION").is_some() {
        return format!("\u{7}\u{1b}]777;notify;nixdash;{text}\u{1b}\\");
    }
    format!("\u{7}\u{1b}]9;{text}\u{1b}\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_goes_the_way_that_the_terminal_knows_and_carries_no_control_bytes() {
        let told = |set: &[(&str, &str)]| {
            notification("run #41: done\u{1b}]0;x\u{7}", |name| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        let osc_9 = told(&[("TERM", "xterm-256color")]);
        assert!(osc_9.starts_with("\u{7}\u{1b}]9;run #41: done"), "{osc_9:?}");
        for set in [[("TERM", "foot")], [("TERM", "rxvt-unicode")], [("VTE_VERSION", "7600")]] {
            let osc_777 = told(&set);
            let begins = "\u{7}\u{1b}]777;notify;nixdash;run #41: done";
            assert!(osc_777.starts_with(begins), "{osc_777:?}");
            assert_eq!(osc_777.matches('\u{1b}').count(), 2, "{osc_777:?}");
        }
        let in_tmux = told(&[("TMUX", "/tmp/tmux"), ("VTE_VERSION", "7600")]);
        assert!(in_tmux.starts_with("\u{7}\u{1b}Ptmux;\u{1b}\u{1b}]9;run"), "{in_tmux:?}");
    }
}
