//! Taking the terminal and giving it back: raw mode, the second screen, and what else is switched on.
//!
//! However the dashboard ends, by its own end, a signal or a panic, the terminal is as it was.

use super::{DashError, TerminalScreen};
use crossterm::cursor::{Hide, Show};
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange,
};
use crossterm::execute;
use crossterm::terminal::{
    EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use ratatui::layout::Rect;
use signal_hook::consts::SIGSTOP;
use std::io::{self, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the terminal is ours at the moment.
static OURS: AtomicBool = AtomicBool::new(false);

/// Whether the terminal tells of the mouse while it is ours.
static MOUSE: AtomicBool = AtomicBool::new(false);

/// Has the terminal tell of the mouse whenever it is taken from now on, or never.
pub(super) fn listen_to_mouse(wanted: bool) {
    MOUSE.store(wanted, Ordering::Release);
}

/// Writes that the terminal is to tell of the buttons and the wheel of the mouse, and of movements while a
/// button is held (mode 1002; a terminal without it has 1000), or not.
///
/// crossterm's own command asks for each movement too, which would wake us while nothing changes.
pub(super) fn mouse(out: &mut impl Write, wanted: bool) -> io::Result<()> {
    let end = if wanted { 'h' } else { 'l' };
    write!(out, "\u{1b}[?1000{end}\u{1b}[?1002{end}\u{1b}[?1006{end}")
}

/// Returns whether the terminal is ours at the moment.
pub(super) fn is_ours() -> bool {
    OURS.load(Ordering::Acquire)
}

/// Stops the process as the shell expects it, and goes on when the shell says so.
pub(super) fn suspend(screen: &mut TerminalScreen) -> Result<(), DashError> {
    give_back();
    signal_hook::low_level::raise(SIGSTOP).map_err(DashError::SetUp)?;
    retake(screen)
}

/// Takes the terminal again after something else used it.
pub(super) fn retake(screen: &mut TerminalScreen) -> Result<(), DashError> {
    take().map_err(DashError::SetUp)?;
    clear(screen)
}

/// Forgets what the terminal shows, so that the next frame is drawn in full.
///
/// `Terminal::clear` would ask the terminal where its cursor is, and the answer would be taken for
/// keys by the stream that reads them.
pub(super) fn clear(screen: &mut TerminalScreen) -> Result<(), DashError> {
    let size = screen.size().map_err(DashError::Draw)?;
    screen.resize(Rect::new(0, 0, size.width, size.height)).map_err(DashError::Draw)
}

/// Takes the terminal; what fails half-way is undone.
///
/// After `kill -STOP` and `fg` the shell has set the terminal to what it likes, and nobody could hear
/// that. crossterm still believes that raw mode is on, and `enable_raw_mode` then does nothing; so
/// its belief is ended first, which also keeps the mode from before the very first time.
fn take() -> io::Result<()> {
    OURS.store(true, Ordering::Release);
    let taken = disable_raw_mode().and_then(|()| enable_raw_mode()).and_then(|()| {
        if MOUSE.load(Ordering::Acquire) {
            mouse(&mut io::stdout(), true)?;
        }
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, EnableFocusChange, Hide)
    });
    if taken.is_err() {
        give_back();
    }
    taken
}

/// Gives the terminal back as it was; does nothing when it is not ours. Errors have no remedy here.
pub(super) fn give_back() {
    if OURS.swap(false, Ordering::AcqRel) {
        drop(mouse(&mut io::stdout(), false));
        drop(execute!(
            io::stdout(),
            EndSynchronizedUpdate,
            DisableFocusChange,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            Show
        ));
        drop(disable_raw_mode());
    }
}

/// The terminal while it is ours.
pub(super) struct Guard;

impl Guard {
    pub(super) fn take() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let report = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                give_back();
                report(info);
            }));
        });
        take().map(|()| Self)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        give_back();
    }
}
