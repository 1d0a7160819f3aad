//! The signals that concern the terminal.

use rustix::process::Signal as Number;
use signal_hook::consts::{SIGCONT, SIGTSTP};
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
pub(super) enum Caught {
    /// To end; a program that has the terminal ends by the same signal.
    End(Number),
    /// To end, as ctrl-c does where it is no key; it is for the program that has the terminal.
    Interrupt,
    /// To stop until the shell says more; it is for the program that has the terminal.
    Stop,
    /// To go on.
    Continue,
}

/// The signals that concern the terminal.
pub(super) struct Signals {
    terminate: Signal,
    hangup: Signal,
    interrupt: Signal,
    stop: Signal,
    go_on: Signal,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            stop: signal(SignalKind::from_raw(SIGTSTP))?,
            go_on: signal(SignalKind::from_raw(SIGCONT))?,
        })
    }

    pub(super) async fn next(&mut self) -> Caught {
        tokio::select! {
            _ = self.terminate.recv() => Caught::End(Number::TERM),
            _ = self.hangup.recv() => Caught::End(Number::HUP),
            _ = self.interrupt.recv() => Caught::Interrupt,
            _ = self.stop.recv() => Caught::Stop,
            _ = self.go_on.recv() => Caught::Continue,
        }
    }
}
