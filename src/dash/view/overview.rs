//! The lines at the top: title, overview, tabs.
//!
//! ```text
//!  nixdash  ~/nixos 3f2c1ab clean                                              12:04
//!  4 hosts  3 ok · 1 offline     coverage  p620 98 % · nixos.org 61 %     run #41 2/3
//!  1 Fleet   2 Caches   3 Deploy   4 Logs   5 History
//! ```
//!
//! A percentage is the mean over all hosts of the share of paths of the host's running closure that
//! the tier holds. A tier that is known to be bad carries `▲`.

use crate::dash::model::{RunSign, Screen};
use crate::dash::status_line::status_line_of;
use crate::dash::theme::Role;
use crate::dash::view::paint::{Paint, line_width, put, put_spread};
use crate::dash::view::tier_words::{is_bad, tier_mark};
use crate::fleet::{HostState, percent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Draws the title: what is shown, and the time of day.
pub(super) fn title(paint: &Paint<'_>, buffer: &mut Buffer, row: Rect) {
    let mut left = vec![Span::raw(" "), paint.span(Role::Title, "nixdash")];
    if let Some(flake) = &paint.model.flake {
        left.push(paint.span(Role::Dim, format!("  {flake}")));
    }
    if let Some(revision) = &paint.model.revision {
        let (hash, dirty) = match revision.split_once('-') {
            Some((hash, dirty)) => (hash, Some(dirty)),
            None => (revision.as_str(), None),
        };
        let hash: String = hash.chars().take(8).collect();
        left.push(Span::raw(format!(" {hash} ")));
        left.push(match dirty {
            Some(dirty) => Span::raw(dirty.to_owned()),
            None => paint.span(Role::Dim, "clean"),
        });
    }
    let right = vec![paint.span(Role::Dim, format!("{} ", paint.clock(paint.now, false)))];
    put_spread(buffer, row, left, right);
}

/// Draws the one line that is always there.
pub(super) fn overview(paint: &Paint<'_>, buffer: &mut Buffer, row: Rect) {
    let room = usize::from(row.width);
    let run = run(paint);
    let mut shown = Vec::new();
    let mut fits = false;
    for (counts, caches) in [
        (Counts::Long, Caches::All),
        (Counts::Words, Caches::All),
        (Counts::Words, Caches::Named { words: usize::MAX }),
        (Counts::Words, Caches::Named { words: 3 }),
        (Counts::Words, Caches::Named { words: 2 }),
        (Counts::Words, Caches::Named { words: 1 }),
        (Counts::Words, Caches::Named { words: 0 }),
        (Counts::Words, Caches::Bad),
        (Counts::Signs, Caches::Bad),
        (Counts::Signs, Caches::Count),
    ] {
        shown = vec![Span::raw(" ")];
        shown.extend(hosts(paint, counts));
        let long = caches == Caches::All;
        let caches = self::caches(paint, caches);
        if !caches.is_empty() {
            shown.push(Span::raw(if long { "     " } else { "   " }));
            shown.extend(caches);
        }
        if line_width(&shown) + line_width(&run) + 3 <= room {
            fits = true;
            break;
        }
    }
    if !fits {
        one_line(paint, buffer, row);
        return;
    }
    put_spread(buffer, row, shown, run);
}

/// How hosts are counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counts {
    /// All of them, then by state.
    Long,
    /// By state.
    Words,
    /// By state, with a sign for it.
    Signs,
}

/// Which tiers the overview names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caches {
    /// Every tier; a bad one with what is wrong.
    All,
    /// The one that deploys publish to, and every bad one, so many of them with what is wrong.
    Named {
        /// How many.
        words: usize,
    },
    /// Only those that are bad, without words.
    Bad,
    /// How many are bad.
    Count,
}

/// Draws the whole screen as one line, for a terminal that has room for nothing else.
pub(super) fn one_line(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    put(buffer, area, 0, &Line::raw(status_line_of(paint.model)));
}

/// Returns how many hosts are in which state.
fn hosts(paint: &Paint<'_>, counts: Counts) -> Vec<Span<'static>> {
    let views = &paint.model.hosts;
    let mut spans = Vec::new();
    if counts == Counts::Long {
        let plural = if views.len() == 1 { "host" } else { "hosts" };
        spans.push(Span::raw(format!("{} {plural}  ", views.len())));
    }
    let mut first = true;
    for (state, word, sign, role) in [
        (HostState::Up, "ok", '●', Role::Text),
        (HostState::Degraded, "degraded", '▲', Role::Warn),
        (HostState::Denied, "denied", '✗', Role::Error),
        (HostState::Unreachable, "offline", '○', Role::Text),
        (HostState::Unknown, "unknown", '–', Role::Dim),
    ] {
        let count = views.iter().filter(|view| view.facts.state == state).count();
        if count > 0 {
            let signs = counts == Counts::Signs;
            if !first {
                spans.push(paint.span(Role::Dim, if signs { " " } else { " · " }));
            }
            first = false;
            let text = if signs { format!("{count}{sign}") } else { format!("{count} {word}") };
            spans.push(paint.span(role, text));
        }
    }
    spans
}

/// Returns what the tiers hold, and which are bad.
fn caches(paint: &Paint<'_>, which: Caches) -> Vec<Span<'static>> {
    let model = paint.model;
    let mut spans = Vec::new();
    if which == Caches::All && !model.tiers.is_empty() {
        spans.push(paint.span(Role::Dim, "coverage  "));
    }
    if which == Caches::Count {
        let bad = model.tiers.iter().filter(|view| is_bad(&view.facts)).count();
        if bad > 0 {
            let plural = if bad == 1 { "cache" } else { "caches" };
            spans.push(paint.span(Role::Warn, format!("{bad} {plural}▲")));
        }
        return spans;
    }
    let (mut first, mut worded) = (true, 0);
    let publish = model.fleet.publish_tier().or(model.fleet.tiers.first());
    for (tier, view) in model.fleet.tiers.iter().zip(&model.tiers) {
        let bad = is_bad(&view.facts);
        let named = match which {
            Caches::All => true,
            Caches::Named { .. } => bad || publish.is_some_and(|publish| publish.name == tier.name),
            Caches::Bad | Caches::Count => bad,
        };
        if !named {
            continue;
        }
        if !first {
            spans.push(paint.span(Role::Dim, " · "));
        }
        first = false;
        let word = if which != Caches::All && !bad { "in " } else { "" };
        spans.push(Span::raw(format!("{word}{} ", tier.name)));
        if bad {
            let mark = tier_mark(&view.facts);
            let words = match which {
                Caches::All => true,
                Caches::Named { words } => worded < words,
                Caches::Bad | Caches::Count => false,
            };
            worded += 1;
            let text = if words { mark.text() } else { "▲".to_owned() };
            spans.push(paint.span(mark.role, text));
        } else {
            spans.push(match model.mean_coverage(&tier.name) {
                Some(share) => Span::raw(percent(share)),
                None => paint.span(Role::Dim, "–"),
            });
        }
    }
    spans
}

/// Returns what runs.
fn run(paint: &Paint<'_>) -> Vec<Span<'static>> {
    let (text, role) = match paint.model.run_sign() {
        RunSign::None => ("no run".to_owned(), Role::Dim),
        RunSign::Starting => ("starting a run".to_owned(), Role::Busy),
        RunSign::Waits(id) => (format!("▲ run #{id} waits for you"), Role::Warn),
        RunSign::Works { id, done, of, others } => {
            let others = if others > 0 { format!(" +{others}") } else { String::new() };
            (format!("run #{id} {done}/{of}{others}"), Role::Busy)
        }
    };
    vec![paint.span(role, format!("{text} "))]
}

/// Draws the names of the views.
pub(super) fn tabs(paint: &Paint<'_>, buffer: &mut Buffer, row: Rect) {
    let mut spans = vec![Span::raw(" ")];
    for (index, screen) in Screen::ALL.into_iter().enumerate() {
        let chosen = screen == paint.model.screen;
        spans.push(paint.span(Role::Accent, format!("{} ", index + 1)));
        let role = if chosen { Role::Title } else { Role::Dim };
        spans.push(paint.span(role, screen.title()));
        spans.push(Span::raw("   "));
    }
    put(buffer, row, 0, &Line::from(spans));
}
