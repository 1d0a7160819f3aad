//! What is run on hosts for one host of a run, step by step.
//!
//! ```text
//! ┌ What is run for samsung ──────────────────────────────────────────────┐
//! │ build      on p620 as root: build.sh                                  │
//! │            /nix/store/2c4f…-nixos-system-samsung.drv                  │
//! │            /nix/var/nix/gcroots/nixdash/samsung.run-41-9f3c           │
//! │ fetch      on samsung as root: fetch.sh                               │
//! │            …                                                          │
//! │                                                                       │
//! │ `nixdash scripts NAME` prints what a script says.                     │
//! └───────────────────────────────────────────────────────────────────────┘
//! ```

use crate::dash::theme::Role;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::text::{left, wrap};
use crate::fleet::{Phase, RemoteCommand, RunId};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Columns of the phase.
const PHASE: usize = 13;

/// Draws what was run so far.
pub(super) fn draw(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    run: &RunId,
    host: &str,
    scroll: u16,
) {
    let Some(host) = paint.model.world.run_by_id(run).and_then(|run| run.host(host)) else {
        return;
    };
    let popup = Popup::new(area, 110);
    let mut lines = Vec::new();
    let mut before: Option<Phase> = None;
    for (phase, command) in &host.commands {
        let label = if before == Some(*phase) { "" } else { phase.word() };
        before = Some(*phase);
        lines.extend(command_lines(paint, &popup, label, command));
    }
    let hint = wrap("`nixdash scripts NAME` prints what a script says.", popup.room());
    let hint = hint.into_iter().map(|line| Line::from(paint.span(Role::Dim, line)));
    let foot: Vec<_> = std::iter::once(Line::default()).chain(hint).collect();
    let title = format!("What is run for {}", host.host);
    popup.draw(paint, buffer, &title, &lines, scroll, &foot);
}

/// Returns a command: where it runs, then its arguments, each on a line of its own.
fn command_lines(
    paint: &Paint<'_>,
    popup: &Popup,
    phase: &str,
    command: &RemoteCommand,
) -> Vec<Line<'static>> {
    let who = if command.root { " as root" } else { "" };
    let what = format!("on {}{who}: {}", command.on, command.script);
    let room = popup.room().saturating_sub(PHASE).max(8);
    let mut lines = Vec::new();
    let mut label = left(phase, PHASE);
    let parts = wrap(&what, room).into_iter().map(|part| (Role::Text, part));
    let args = command.args.iter().flat_map(|arg| wrap(arg, room)).map(|part| (Role::Dim, part));
    for (role, part) in parts.chain(args) {
        let label = std::mem::replace(&mut label, " ".repeat(PHASE));
        lines.push(Line::from(vec![paint.span(Role::Title, label), paint.span(role, part)]));
    }
    lines
}
