//! What the screen asks of the terminal in passing: a fresh picture, the clipboard, a bell.

use super::modes::{clear, listen_to_mouse, mouse, suspend};
use super::{DashError, TerminalScreen};
use crate::dash::msg::Wish;
use crate::fleet::printable_line;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::io::Write;

/// Does what the screen asks of the terminal, all but to run a program in it.
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
            let text: String = printable_line(text).chars().take(200).collect();
            let osc = if std::env::var_os("TMUX").is_some() {
                format!("\u{1b}Ptmux;\u{1b}\u{1b}]9;{text}\u{7}\u{1b}\\")
            } else {
                format!("\u{1b}]9;{text}\u{1b}\\")
            };
            let out = screen.backend_mut();
            write!(out, "\u{7}{osc}").and_then(|()| Write::flush(out)).map_err(DashError::Draw)
        }
        Wish::Mouse(wanted) => {
            listen_to_mouse(*wanted);
            let out = screen.backend_mut();
            mouse(out, *wanted).and_then(|()| Write::flush(out)).map_err(DashError::Draw)
        }
        Wish::Run(_) => Ok(()),
    }
}
