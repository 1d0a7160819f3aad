//! The terminal: the only folder of this room that touches the outside.
//!
//! One loop waits for signals, keys, messages and the passing of time; what changed the model is
//! drawn at most thirty times a second, and nothing is drawn while nothing changes. The terminal is
//! given back as it was however the loop ends: by its own end, a signal or a panic.
//!
//! A program may have the terminal for a while (`guest`). The stream of keys is dropped before it starts
//! and made again when it has ended, since it would take keys that are typed for the program. What is
//! measured meanwhile is folded in, and nothing is drawn.

mod background;
mod guest;
mod modes;
mod screen;
mod signals;
mod wishes;

use self::background::{HeardKeys, LateAnswer};
use self::guest::TerminalGuest;
use self::modes::{Guard, give_back, is_ours, retake, suspend};
use self::screen::ChangesOnly;
use self::signals::{Caught, Signals};
use self::wishes::grant;
use crate::dash::background::Background;
use crate::dash::look::Look;
use crate::dash::model::Model;
use crate::dash::msg::{Effect, Msg, Wish};
use crate::dash::session::session_left;
use crate::dash::world::FirstStep;
use crate::dash::{update, view, view_logs};
use crossterm::event::{Event as TerminalEvent, EventStream, KeyCode};
use futures_util::StreamExt;
use futures_util::stream::{SelectAll, select_all};
use jiff::Timestamp;
use ratatui::Terminal;
use std::future::{pending, ready};
use std::io::{self, BufWriter, IsTerminal, Stdout};
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout};

/// Shortest time between two frames.
const FRAME: Duration = Duration::from_millis(33);

/// Shortest time between two frames while somebody looks elsewhere.
const FRAME_UNFOCUSED: Duration = Duration::from_millis(200);

/// Time between two frames of what moves by itself.
const SPIN: Duration = Duration::from_millis(250);

/// How long the first thing that was measured on a beat waits for the others, so that all of it is one
/// frame; while a run goes on, nothing waits.
const SETTLE: Duration = Duration::from_millis(100);

/// Messages that are folded before keys are looked at again.
const BATCH: usize = 4096;

/// Bytes of output that are collected before they are written.
const OUTPUT: usize = 1 << 16;

/// How long after the end of a program a ctrl-c is taken for the one that ended it: both got it.
const HEARD_LATE: Duration = Duration::from_millis(300);

/// How long the thread that reads keys for a stream has to leave, after the stream was dropped.
const LEAVING: Duration = Duration::from_millis(10);

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
    /// How it was left, where that is kept.
    pub session: Option<String>,
}

impl DashEnd {
    fn of(model: &Model) -> Self {
        Self { first_step: model.first_step, session: session_left(model) }
    }
}

/// The events of the terminal. Its stream is looked at when it has something: each look takes turns for a
/// lock that the thread which reads for the stream has, and yields the processor some times over.
type TerminalKeys = SelectAll<EventStream>;

/// Begins to read the events of the terminal.
fn terminal_keys() -> TerminalKeys {
    select_all([EventStream::new()])
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
    modes::listen_to_mouse(model.mouse);
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
    let mut keys = Some(terminal_keys());
    let mut guest: Option<TerminalGuest> = None;
    let mut guest_left: Option<Instant> = None;
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
            caught = signals.next() => match (caught, &mut guest) {
                (Caught::End(by), Some(guest)) => {
                    guest.end(by).await;
                    drop(effects.try_send(Effect::Quit { cancel: Vec::new() }));
                    return Ok(DashEnd::of(&model));
                }
                (Caught::Interrupt, None)
                    if guest_left.is_some_and(|left| left.elapsed() < HEARD_LATE) => {}
                (Caught::End(_) | Caught::Interrupt, None) => {
                    drop(effects.try_send(Effect::Quit { cancel: Vec::new() }));
                    return Ok(DashEnd::of(&model));
                }
                (Caught::Stop, None) => {
                    suspend(&mut screen)?;
                    model.dirty = true;
                }
                (Caught::Continue, None) => {
                    retake(&mut screen)?;
                    model.dirty = true;
                }
                (Caught::Interrupt | Caught::Stop | Caught::Continue, Some(_)) => {}
            },
            told = ended(&mut guest) => {
                guest = None;
                guest_left = Some(Instant::now());
                come_back(&mut screen, &mut model)?;
                keys = Some(terminal_keys());
                messages.extend(told.map(|(text, bad)| Msg::Said { text, bad }));
            }
            key = next_key(&mut keys) => match key {
                Some(Ok(event)) => {
                    let events = hear(&mut late, event, &mut look, &mut model);
                    messages.extend(events.into_iter().map(message));
                }
                Some(Err(error)) => return Err(DashError::Keys(error)),
                None => return Err(DashError::Keys(io::ErrorKind::UnexpectedEof.into())),
            },
            () = sleep_until(next_frame), if model.dirty && guest.is_none() => {
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
            () = sleep_until(next_spin), if model.animates() && guest.is_none() => {
                model.dirty = true;
            }
        }
        let was_dirty = model.dirty;
        let is_measured = messages.iter().all(is_measured);
        for message in messages {
            for effect in update(&mut model, message, Timestamp::now()) {
                match effect {
                    // One program at a time: of two that were asked for, the person saw the first.
                    Effect::Terminal(Wish::Run(_)) if guest.is_some() => {}
                    Effect::Terminal(Wish::Run(program)) => {
                        leave_to_program(&mut keys).await;
                        match TerminalGuest::start(*program) {
                            Ok(started) => guest = Some(started),
                            Err(text) => {
                                come_back(&mut screen, &mut model)?;
                                keys = Some(terminal_keys());
                                update(&mut model, Msg::Said { text, bad: true }, Timestamp::now());
                            }
                        }
                    }
                    Effect::Terminal(Wish::ShowTheme(theme)) => {
                        look = look.with_theme(theme.as_deref());
                        model.dirty = true;
                    }
                    Effect::Terminal(Wish::LetThemeStay) => look = look.let_theme_stay(),
                    Effect::Terminal(wish) => {
                        grant(&mut screen, &wish, model.world.fleet.notify)?;
                        model.dirty = true;
                    }
                    Effect::Quit { .. } => {
                        // The one effect that must arrive; a runtime that hangs cannot hold us.
                        drop(timeout(Duration::from_secs(1), effects.send(effect)).await);
                        return Ok(DashEnd::of(&model));
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
        if guest.is_none() && !is_ours() {
            // A panic elsewhere gave the terminal back; its message waits on the first screen.
            retake(&mut screen)?;
            let key = model.keymap.press("own-log");
            let text = format!("a part of nixdash broke; {key} shows its log");
            update(&mut model, Msg::Notice(text), Timestamp::now());
        }
    }
}

/// Returns whether a message tells what was measured, which nobody waits for at once.
fn is_measured(message: &Msg) -> bool {
    matches!(message, Msg::Event(_) | Msg::Tick)
}

/// Returns the next event of the terminal; waits without end while a program has it.
async fn next_key(keys: &mut Option<TerminalKeys>) -> Option<io::Result<TerminalEvent>> {
    match keys {
        Some(keys) => keys.next().await,
        None => pending().await,
    }
}

/// Returns what is told of the end of the program that has the terminal; waits without end if there is none.
async fn ended(guest: &mut Option<TerminalGuest>) -> Option<(String, bool)> {
    match guest {
        Some(guest) => guest.ended().await,
        None => pending().await,
    }
}

/// Stops reading keys and gives the terminal back, for a program that starts now.
///
/// The end of the stream wakes the thread that reads for it, which then leaves. Nothing else may read
/// meanwhile: it would take the call, and the thread would stay and take the program's keys.
async fn leave_to_program(keys: &mut Option<TerminalKeys>) {
    drop(keys.take());
    sleep(LEAVING).await;
    give_back();
}

/// Takes the terminal again after a program had it. Whoever ended that looks here.
fn come_back(screen: &mut TerminalScreen, model: &mut Model) -> Result<(), DashError> {
    retake(screen)?;
    let size = screen.size().map_err(DashError::Draw)?;
    let now = Timestamp::now();
    update(model, Msg::Resize(size.width, size.height), now);
    update(model, Msg::Focus(true), now);
    model.dirty = true;
    Ok(())
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
fn message(event: TerminalEvent) -> Msg {
    match event {
        TerminalEvent::Key(key) => Msg::Key(key),
        TerminalEvent::Mouse(event) => Msg::Mouse(event),
        TerminalEvent::Resize(columns, rows) => Msg::Resize(columns, rows),
        TerminalEvent::Paste(text) => Msg::Paste(text),
        TerminalEvent::FocusGained => Msg::Focus(true),
        TerminalEvent::FocusLost => Msg::Focus(false),
    }
}

/// Draws a frame.
fn draw(screen: &mut TerminalScreen, model: &mut Model, look: &Look) -> Result<(), DashError> {
    model.take_dirty();
    let now = Timestamp::now();
    screen.draw(|frame| view(model, look, frame, now)).map(drop).map_err(DashError::Draw)
}
