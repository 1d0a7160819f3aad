//! What the screen asks of the terminal in passing: a fresh picture, the clipboard, a bell.

use super::modes::{clear, listen_to_mouse, mouse, suspend};
use super::{DashError, TerminalScreen};
use crate::dash::msg::Wish;
use crate::fleet::{NotifyWay, printable_line};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::io::Write;

/// What rings.
const BELL: &str = "\u{7}";

/// Does what the screen asks of the terminal, all but to run a program in it and to look
/// otherwise.
pub(super) fn grant(
    screen: &mut TerminalScreen,
    wish: &Wish,
    notify: NotifyWay,
) -> Result<(), DashError> {
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
            let told = notification(text, notify, |name| std::env::var(name).ok());
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
/// terminal is around it, so OSC 9 is taken there, unless hosts.toml says otherwise.
fn notification(text: &str, way: NotifyWay, var: impl Fn(&str) -> Option<String>) -> String {
    let text: String = printable_line(text).chars().take(200).collect();
    let is_in_tmux = var("TMUX").is_some();
    let knows_777 = || {
        let term = var("TERM").unwrap_or_default();
        term.starts_with("rxvt") || term.starts_with("foot") || var("VTE_VERSION").is_some()
    };
    let command = match way {
        NotifyWay::Off => return String::new(),
        NotifyWay::Bell => return BELL.to_owned(),
        NotifyWay::Osc777 => format!("]777;notify;nixdash;{text}"),
        NotifyWay::Auto if !is_in_tmux && knows_777() => format!("]777;notify;nixdash;{text}"),
        NotifyWay::Auto | NotifyWay::Osc9 => format!("]9;{text}"),
    };
    if is_in_tmux {
        // tmux hands on what stands between; each escape in it is doubled.
        return format!("{BELL}\u{1b}Ptmux;\u{1b}\u{1b}{command}\u{7}\u{1b}\\");
    }
    format!("{BELL}\u{1b}{command}\u{1b}\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(set: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        let set: Vec<(String, String)> =
            set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        move |name| set.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn a_notification_goes_the_way_that_the_terminal_knows_and_carries_no_control_bytes() {
        let told = |set: &[(&str, &str)]| {
            notification("run #41: done\u{1b}]0;x\u{7}", NotifyWay::Auto, vars(set))
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

    #[test]
    fn what_hosts_toml_says_is_done_whatever_the_terminal_says_of_itself() {
        let told = |way, set: &[(&str, &str)]| notification("done", way, vars(set));
        for set in [&[][..], &[("TERM", "foot")], &[("TMUX", "/tmp/tmux")]] {
            assert_eq!(told(NotifyWay::Off, set), "");
            assert_eq!(told(NotifyWay::Bell, set), "\u{7}");
        }
        let foot = [("TERM", "foot")];
        assert_eq!(told(NotifyWay::Osc9, &foot), "\u{7}\u{1b}]9;done\u{1b}\\");
        let osc_777 = "\u{7}\u{1b}]777;notify;nixdash;done\u{1b}\\";
        assert_eq!(told(NotifyWay::Osc777, &[("TERM", "xterm-kitty")]), osc_777);
        let in_tmux = "\u{7}\u{1b}Ptmux;\u{1b}\u{1b}]777;notify;nixdash;done\u{7}\u{1b}\\";
        assert_eq!(told(NotifyWay::Osc777, &[("TMUX", "/tmp/tmux")]), in_tmux);
    }
}
