//! Draws the model: the frame around every view, then the view, then what lies over it.
//!
//! ```text
//!  nixdash  ~/nixos 3f2c1ab clean                                       12:04    title
//!  4 hosts  3 up · 1 unreachable    coverage  p620 98 % · nixos.org 61 %   no run    overview
//!  1 Fleet   2 Caches   3 Deploy   4 Logs   5 History                            tabs
//! ───────────────────────────────────────────────────────────────────────────
//!  the view                                                                      body
//! ─────────────────────────────────────────────── run #41: 2 switched in 31 s    toast
//!  ↑↓ select   d deploy   b build   / filter   : palette   ? help   q quit       footer
//! ```
//!
//! A smaller terminal loses the title, the tabs and the rules first, then the footer; below 20
//! columns or 4 rows only the one line that `nixdash status --line` prints is left.

mod access;
mod caches;
mod columns;
mod commands;
mod confirm;
mod deploy;
mod fleet;
mod footer;
mod generations;
mod help;
mod history;
mod host;
mod overview;
mod own_log;
mod palette;
mod plan;
mod start;
mod tier;
mod tier_columns;

use crate::dash::layout::{ScreenLayout, layout};
use crate::dash::look::Look;
use crate::dash::model::{Model, Screen};
use crate::dash::msg::{LogOf, LogsInView};
use crate::dash::overlay::Overlay;
use crate::dash::panes::logs as log_pane;
use crate::dash::theme::Role;
use crate::dash::widgets::paint::{Paint, below};
use crate::dash::world::HostRun;
use jiff::Timestamp;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Draws the model.
pub fn view(model: &Model, look: &Look, frame: &mut Frame<'_>, now: Timestamp) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    let paint = Paint { model, look, now };
    buffer.set_style(area, look.style(Role::Text));
    if area.width < 20 || area.height < 4 {
        overview::one_line(&paint, buffer, area);
    } else {
        draw(&paint, buffer, area);
    }
    look.finish(buffer);
}

/// Returns how far the open details can be scrolled: to where their last line is seen.
pub(super) fn details_end(model: &Model, now: Timestamp) -> u16 {
    let look = Look::plain();
    let paint = Paint { model, look: &look, now };
    let area = below(layout(model).body, 1);
    let rows = match model.screen {
        Screen::Fleet => host::rows(&paint, area.width),
        Screen::Caches => tier::rows(&paint, area.width),
        Screen::Deploy | Screen::Logs | Screen::History => 0,
    };
    rows.saturating_sub(area.height)
}

/// How many lines of a log are wanted where its end is shown beside other things: more than any screen
/// has rows.
const END_OF_LOG: usize = 300;

/// Returns the logs whose ends are drawn now.
pub(super) fn logs_in_view(model: &Model) -> LogsInView {
    let Some(run) = model.shown_run() else { return LogsInView::default() };
    let beside = || !model.zoom && deploy::stand_beside(run, below(layout(model).body, 1));
    let selected = || model.shown_host_run().into_iter().collect();
    let (hosts, lines): (Vec<&HostRun>, usize) = match model.screen {
        Screen::Deploy if model.world.starting.is_some() => return LogsInView::default(),
        Screen::Deploy if beside() => (run.hosts.iter().collect(), END_OF_LOG),
        Screen::Deploy => (selected(), END_OF_LOG),
        Screen::Fleet | Screen::Caches | Screen::Logs | Screen::History => {
            return LogsInView::default();
        }
    };
    let of = |host: &HostRun| LogOf { run: run.id.clone(), host: host.host.clone() };
    LogsInView { logs: hosts.into_iter().map(of).collect(), lines }
}

/// Returns how much of a log is in sight in the pane of logs.
pub(super) fn log_sight(model: &Model) -> log_pane::Sight {
    log_pane::sight(model, layout(model).body)
}

fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    let parts = ScreenLayout::of(area);
    if let Some(row) = parts.title {
        overview::title(paint, buffer, row);
    }
    overview::overview(paint, buffer, parts.overview);
    if let Some(row) = parts.tabs {
        overview::tabs(paint, buffer, row);
    }
    for row in parts.top_rule.into_iter().chain(parts.bottom_rule) {
        paint.rule(buffer, row, "", "");
    }
    match paint.model.screen {
        Screen::Fleet => fleet::draw(paint, buffer, parts.body),
        Screen::Caches => caches::draw(paint, buffer, parts.body),
        Screen::Deploy => deploy::draw(paint, buffer, parts.body),
        Screen::Logs => log_pane::draw(paint, buffer, parts.body),
        Screen::History => history::draw(paint, buffer, parts.body),
    }
    let over = parts.over;
    match &paint.model.overlay {
        None => {}
        Some(Overlay::Help { scroll }) => help::draw(paint, buffer, over, *scroll),
        Some(Overlay::Palette { input, selected }) => {
            palette::draw(paint, buffer, over, input, *selected);
        }
        Some(Overlay::Start(form)) => start::draw(paint, buffer, over, form),
        Some(Overlay::TypeName(form)) => start::type_name(paint, buffer, over, form),
        Some(Overlay::Password(form)) => access::password(paint, buffer, over, form),
        Some(Overlay::HostKey(form)) => access::host_key(paint, buffer, over, form),
        Some(Overlay::Plan { run, yes, scroll }) => {
            plan::draw(paint, buffer, over, run, *yes, *scroll);
        }
        Some(Overlay::Commands { run, host, scroll }) => {
            commands::draw(paint, buffer, over, run, host, *scroll);
        }
        Some(Overlay::Cancel { run, yes }) => confirm::cancel(paint, buffer, over, run, *yes),
        Some(Overlay::Order { run, order, yes }) => {
            confirm::order(paint, buffer, over, run, order, *yes);
        }
        Some(Overlay::Look { hosts, yes }) => confirm::look(paint, buffer, over, hosts, *yes),
        Some(Overlay::Generations(pane)) => generations::draw(paint, buffer, over, pane),
        Some(Overlay::Quit) => confirm::quit(paint, buffer, over),
        Some(Overlay::OwnLog) => own_log::draw(paint, buffer, over),
    }
    if let Some(row) = parts.footer {
        footer::draw(paint, buffer, row);
    }
    if let Some(row) = parts.toast {
        footer::toast(paint, buffer, row, parts.bottom_rule.is_some());
    }
}
