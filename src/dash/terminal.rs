//! The terminal: the only file of this room that touches the outside.
//!
//! One loop waits for signals, keys, messages and the passing of time; what changed the model is
//! drawn at most thirty times a second, and nothing is drawn while nothing changes. The terminal is
//! given back as it was however the loop ends: by its own end, a signal or a panic.

mod background;
mod screen;

use self::background::{HeardKeys, LateAnswer};
use self::screen::ChangesOnly;
use crate::dash::background::Background;
use crate::dash::look::Look;
use crate::dash::model::Model;
use crate::dash::msg::{Effect, Msg, Wish};
use crate::dash::world::{FirstStep, Practice};
use crate::dash::{update, view, view_logs};
use crate::fleet::printable_line;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crossterm::cursor::{Hide, Show};
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange,
    Event as TerminalEvent, EventStream, KeyCode,
};
use crossterm::execute;
use crossterm::terminal::{
    EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use futures_util::StreamExt;
use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::layout::Rect;
use signal_hook::consts::{SIGCONT, SIGSTOP, SIGTSTP};
use std::future::ready;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

/// Shortest time between two frames.
const FRAME: Duration = Duration::from_millis(33);

/// Shortest time between two frames while somebody looks elsewhere.
const FRAME_UNFOCUSED: Duration = Duration::from_millis(200);

/// Time between two frames of what moves by itself.
const SPIN: Duration = Duration::from_millis(250);

/// How long the first thing that was measured on a beat waits for the others, so that all of it is one
/// frame; while a run goes on, nothing waits.
const SETTLE: Duration = Duration::from_millis(200);

/// Messages that are folded before keys are looked at again.
const BATCH: usize = 4096;

/// Bytes of output that are collected before they are written.
const OUTPUT: usize = 1 << 16;

/// Whether the terminal is ours at the moment.
static OURS: AtomicBool = AtomicBool::new(false);

/// Why the dashboard could not go on.
#[derive(Debug, thiserror::Error)]
pub enum DashError {
    /// Standard output is not a terminal.
    #[error(
        "the dashboard needs a terminal, and standard output is not one; `nixdash status` prints the \
         same facts"
    )]
    NoTerminal,
    /// The terminal refused to be set up.
    #[error("setting the terminal up for the dashboard failed: {0}")]
    SetUp(#[source] io::Error),
    /// Nothing can be written any more.
    #[error("drawing the dashboard failed: {0}; the terminal may have been closed")]
    Draw(#[source] io::Error),
    /// No key can be read any more.
    #[error("reading keys failed: {0}; the terminal may have been closed")]
    Keys(#[source] io::Error),
}

/// How the dashboard ended.
#[derive(Debug)]
pub struct DashEnd {
    /// What the person wants to do first, where there is no `hosts.toml`.
    pub first_step: Option<FirstStep>,
    /// What was tried of the practice fleet.
    pub practice: Option<Practice>,
}

impl DashEnd {
    fn of(model: Model) -> Self {
        Self { first_step: model.first_step, practice: model.practice }
    }
}

type TerminalScreen = Terminal<ChangesOnly<BufWriter<Stdout>>>;

/// Shows the dashboard until the person quits or a signal ends it.
///
/// `events` brings what happens; `effects` takes what is to be done and is never waited for: when
/// it is full, the person is told. The last effect is [`Effect::Quit`]. `first_tick` is when
/// the first second of the screen ends: ages are looked at then and every second after it. Returns how it
/// ended.
pub async fn run(
    mut model: Model,
    mut look: Look,
    mut events: Receiver<Msg>,
    effects: Sender<Effect>,
    first_tick: Instant,
) -> Result<DashEnd, DashError> {
    if !io::stdout().is_terminal() {
        return Err(DashError::NoTerminal);
    }
    let mut signals = Signals::listen().map_err(DashError::SetUp)?;
    let _guard = Guard::take().map_err(DashError::SetUp)?;
    let backend = ChangesOnly::new(BufWriter::with_capacity(OUTPUT, io::stdout()));
    let mut screen = Terminal::new(backend).map_err(DashError::SetUp)?;
    let size = screen.size().map_err(DashError::SetUp)?;
    update(&mut model, Msg::Resize(size.width, size.height), Timestamp::now());

    let mut late = None;
    let mut typed = Vec::new();
    if look.follows() {
        // The first frame is on the screen before the terminal is asked anything.
        draw(&mut screen, &mut model, &look)?;
        let answers = background::ask().await;
        late = answers.background.is_none().then(|| LateAnswer::new(Instant::now().into_std()));
        if let Some(background) = answers.background {
            stand_on(&mut look, &mut model, background);
        }
        typed.extend(answers.typed.chars().map(|c| Msg::Key(KeyCode::Char(c).into())));
    }
    let mut keys = EventStream::new();
    let mut tick = interval_at(first_tick, Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut last_frame: Option<Instant> = None;
    let mut events_open = true;
    let mut settled = None;
    loop {
        let frame = if model.focused { FRAME } else { FRAME_UNFOCUSED };
        let next_frame = last_frame.map_or_else(Instant::now, |last| last + frame);
        let next_frame = settled.map_or(next_frame, |settled| next_frame.max(settled));
        let next_spin = last_frame.map_or_else(Instant::now, |last| last + SPIN);
        let mut messages = std::mem::take(&mut typed);
        tokio::select! {
            biased;
            () = ready(()), if !messages.is_empty() => {}
            caught = signals.next() => match caught {
                Caught::End => {
                    drop(effects.try_send(Effect::Quit { cancel: Vec::new() }));
                    return Ok(DashEnd::of(model));
                }
                Caught::Stop => {
                    suspend(&mut screen)?;
                    model.dirty = true;
                }
                Caught::Continue => {
                    retake(&mut screen)?;
                    model.dirty = true;
                }
            },
            key = keys.next() => match key {
                Some(Ok(event)) => {
                    let events = hear(&mut late, event, &mut look, &mut model);
                    messages.extend(events.into_iter().filter_map(message));
                }
                Some(Err(error)) => return Err(DashError::Keys(error)),
                None => return Err(DashError::Keys(io::ErrorKind::UnexpectedEof.into())),
            },
            () = sleep_until(next_frame), if model.dirty => {
                draw(&mut screen, &mut model, &look)?;
                last_frame = Some(Instant::now());
                settled = None;
            }
            received = events.recv(), if events_open => match received {
                Some(first) => {
                    messages.push(first);
                    while messages.len() < BATCH && let Ok(next) = events.try_recv() {
                        messages.push(next);
                    }
                }
                None => events_open = false,
            },
            _ = tick.tick() => messages.push(Msg::Tick),
            () = sleep_until(next_spin), if model.animates() => model.dirty = true,
        }
        let was_dirty = model.dirty;
        let is_measured = messages.iter().all(is_measured);
        for message in messages {
            for effect in update(&mut model, message, Timestamp::now()) {
                match effect {
                    Effect::Terminal(wish) => {
                        grant(&mut screen, &wish)?;
                        model.dirty = true;
                    }
                    Effect::Quit { .. } => {
                        // The one effect that must arrive; a runtime that hangs cannot hold us.
                        drop(timeout(Duration::from_secs(1), effects.send(effect)).await);
                        return Ok(DashEnd::of(model));
                    }
                    effect => hand_over(&mut model, &effects, effect),
                }
            }
        }
        if !is_measured || model.world.active_runs().next().is_some() {
            settled = None;
        } else if model.dirty && !was_dirty {
            settled = Some(Instant::now() + SETTLE);
        }
        for effect in view_logs(&mut model) {
            hand_over(&mut model, &effects, effect);
        }
        if !OURS.load(Ordering::Acquire) {
            // A panic elsewhere gave the terminal back; its message waits on the first screen.
            retake(&mut screen)?;
            let text = "a part of nixdash broke; L shows its log".to_owned();
            update(&mut model, Msg::Notice(text), Timestamp::now());
        }
    }
}

/// Returns whether a message tells what was measured, which nobody waits for at once.
fn is_measured(message: &Msg) -> bool {
    matches!(message, Msg::Event(_) | Msg::Tick)
}

/// Draws from now on for that background.
fn stand_on(look: &mut Look, model: &mut Model, background: Background) {
    *look = look.clone().on(background);
    model.dirty = true;
}

/// Returns the events that are for the model: all but those that are a late answer of the terminal.
fn hear(
    late: &mut Option<LateAnswer>,
    event: TerminalEvent,
    look: &mut Look,
    model: &mut Model,
) -> Vec<TerminalEvent> {
    let Some(waiting) = late else { return vec![event] };
    match waiting.hear(event, Instant::now().into_std()) {
        HeardKeys::Events(events) => events,
        HeardKeys::Background(background) => {
            *late = None;
            stand_on(look, model, background);
            Vec::new()
        }
    }
}

/// Hands an effect to the runtime without waiting for it.
fn hand_over(model: &mut Model, effects: &Sender<Effect>, effect: Effect) {
    let why = match effects.try_send(effect) {
        Ok(()) => return,
        Err(TrySendError::Full(_)) => "nixdash is busy and did not do that; try again",
        Err(TrySendError::Closed(_)) => "a part of nixdash has ended; quit and start nixdash again",
    };
    update(model, Msg::Notice(why.to_owned()), Timestamp::now());
}

/// Returns what an event of the terminal means to the model.
fn message(event: TerminalEvent) -> Option<Msg> {
    match event {
        TerminalEvent::Key(key) => Some(Msg::Key(key)),
        TerminalEvent::Resize(columns, rows) => Some(Msg::Resize(columns, rows)),
        TerminalEvent::Paste(text) => Some(Msg::Paste(text)),
        TerminalEvent::FocusGained => Some(Msg::Focus(true)),
        TerminalEvent::FocusLost => Some(Msg::Focus(false)),
        TerminalEvent::Mouse(_) => None,
    }
}

/// Draws a frame.
fn draw(screen: &mut TerminalScreen, model: &mut Model, look: &Look) -> Result<(), DashError> {
    model.take_dirty();
    let now = Timestamp::now();
    screen.draw(|frame| view(model, look, frame, now)).map(drop).map_err(DashError::Draw)
}

/// Does what the screen asks of the terminal.
fn grant(screen: &mut TerminalScreen, wish: &Wish) -> Result<(), DashError> {
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
    }
}

/// Stops the process as the shell expects it, and goes on when the shell says so.
fn suspend(screen: &mut TerminalScreen) -> Result<(), DashError> {
    give_back();
    signal_hook::low_level::raise(SIGSTOP).map_err(DashError::SetUp)?;
    retake(screen)
}

/// Takes the terminal again after something else used it.
fn retake(screen: &mut TerminalScreen) -> Result<(), DashError> {
    take().map_err(DashError::SetUp)?;
    clear(screen)
}

/// Forgets what the terminal shows, so that the next frame is drawn in full.
///
/// `Terminal::clear` would ask the terminal where its cursor is, and the answer would be taken for
/// keys by the stream that reads them.
fn clear(screen: &mut TerminalScreen) -> Result<(), DashError> {
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
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, EnableFocusChange, Hide)
    });
    if taken.is_err() {
        give_back();
    }
    taken
}

/// Gives the terminal back as it was; does nothing when it is not ours. Errors have no remedy here.
fn give_back() {
    if OURS.swap(false, Ordering::AcqRel) {
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
struct Guard;

impl Guard {
    fn take() -> io::Result<Self> {
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

/// What a signal asks for.
enum Caught {
    End,
    Stop,
    Continue,
}

/// The signals that concern the terminal.
struct Signals {
    terminate: Signal,
    hangup: Signal,
    interrupt: Signal,
    stop: Signal,
    go_on: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            stop: signal(SignalKind::from_raw(SIGTSTP))?,
            go_on: signal(SignalKind::from_raw(SIGCONT))?,
        })
    }

    async fn next(&mut self) -> Caught {
        tokio::select! {
            _ = self.terminate.recv() => Caught::End,
            _ = self.hangup.recv() => Caught::End,
            _ = self.interrupt.recv() => Caught::End,
            _ = self.stop.recv() => Caught::Stop,
            _ = self.go_on.recv() => Caught::Continue,
        }
    }
}
