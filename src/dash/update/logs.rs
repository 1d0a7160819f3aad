//! Scrolling, following and finding in the log of one host.

use crate::dash::command::Command;
use crate::dash::log_ring::LogRing;
use crate::dash::model::Model;
use crate::dash::msg::{Effect, LogOf};
use crate::dash::view::{first_log_line, logs_in_view, page};
use crate::fleet::LogLine;
use jiff::Timestamp;

/// Returns what asks for the logs that are in view, where these are others than before; the lines of
/// logs that are not in view any more are forgotten.
pub fn view_logs(model: &mut Model) -> Option<Effect> {
    let now = logs_in_view(model);
    if now == model.logs_asked {
        return None;
    }
    for old in std::mem::replace(&mut model.logs_asked, now.clone()).logs {
        let run = model.runs.iter_mut().find(|run| run.id == old.run);
        let host = run.and_then(|run| run.hosts.iter_mut().find(|host| host.host == old.host));
        if let Some(host) = host.filter(|_| !now.logs.contains(&old)) {
            host.log = LogRing::default();
        }
    }
    Some(Effect::ViewLogs(now))
}

/// Takes lines of a log.
pub(super) fn add(model: &mut Model, of: &LogOf, earlier: Option<u64>, lines: Vec<LogLine>) {
    let seen = logs_in_view(model).logs.contains(of);
    if let Some(run) = model.runs.iter_mut().find(|run| run.id == of.run) {
        run.log(&of.host, earlier, lines);
        model.dirty |= seen;
    }
}

/// Scrolls; going below the last page follows again.
pub(super) fn scroll(model: &mut Model, command: Command) {
    let steps = match command {
        Command::PageUp | Command::PageDown => page(model).max(1),
        _ => 1,
    };
    let tail = first_log_line(model, None);
    let Some(host) = model.shown_host_run() else { return };
    let shows = |number: u64| host.log.line(number).is_some_and(|l| model.log.shows(&l.text));
    let mut top = model.log.top.unwrap_or(tail).max(host.log.first());
    let top = match command {
        Command::Up | Command::PageUp => {
            for _ in 0..steps {
                let above = host.log.before(top).map(|(n, _)| n).find(|n| shows(*n));
                top = above.unwrap_or(top);
            }
            Some(top)
        }
        Command::Top => host.log.from(0).map(|(n, _)| n).find(|n| shows(*n)),
        Command::Bottom => None,
        _ => {
            for _ in 0..steps {
                let below = host.log.from(top + 1).map(|(n, _)| n).find(|n| shows(*n));
                top = below.unwrap_or(top);
            }
            (model.log.top.is_some() && top < tail).then_some(top)
        }
    };
    model.log.top = top;
}

/// Follows the newest line, or holds what is shown.
pub(super) fn follow(model: &mut Model) {
    model.log.top = match model.log.top {
        None => Some(first_log_line(model, None)),
        Some(_) => None,
    };
}

/// Goes to the next match downwards (or upwards) and shows all lines around it.
pub(super) fn find(model: &mut Model, down: bool, now: Timestamp) {
    let Some(host) = model.shown_host_run() else { return };
    let found = match model.log.top {
        None if down => matching(&host.log, 0, true, model),
        None => matching(&host.log, u64::MAX, false, model),
        Some(top) => matching(&host.log, if down { top + 1 } else { top }, down, model),
    };
    if let Some(number) = found {
        model.log.only_matching = false;
        model.log.top = Some(number);
    } else {
        let side = if down { "below" } else { "above" };
        model.say(format!("no match {side}"), false, now);
    }
}

/// Returns the first matching line from a number on, or before it.
fn matching(log: &LogRing, number: u64, down: bool, model: &Model) -> Option<u64> {
    let passes = |text: &str| model.log.filter.passes(text);
    if down {
        log.from(number).find(|(_, line)| passes(&line.text)).map(|(n, _)| n)
    } else {
        log.before(number).find(|(_, line)| passes(&line.text)).map(|(n, _)| n)
    }
}
