//! Which finding of a host or a tier nobody wants to hear of, why, and for how long.
//!
//! ```text
//! ┌ Silence a finding of samsung ──────────────────────────────┐
//! │ › low disk      only 1.2 GB is left for /nix/store on samsu…│
//! │   1 unit failed silenced until 2026-12-24: known            │
//! │                                                             │
//! │ for     1 h   [8 h]   1 d   7 d   until it changes          │
//! │ reason  a bigger disk is on its way▏                        │
//! └─────────────────────────────────────────────────────────────┘
//! ```

use crate::dash::command::Command;
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::Overlay;
use crate::dash::silencing::{SilenceForm, SilenceTime};
use crate::dash::theme::Role;
use crate::dash::widgets::input::typed;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::places::ClickTarget;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::text::{cut, left, line_width, width, wrap};
use crate::dash::words::finding_role;
use crate::fleet::{Finding, SilenceOrigin, Silenced, Subject};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Draws the form.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, form: &SilenceForm) {
    let popup = Popup::new(area, 84);
    let room = popup.room();
    let labels = form.findings.iter().map(|finding| width(finding.words())).max();
    let labels = labels.unwrap_or_default().min(room / 3);
    let all = form.findings.iter().enumerate();
    let rows: Vec<Vec<Line<'static>>> = all
        .map(|(index, finding)| row(paint, finding, index == form.selected, labels, room))
        .collect();
    let mut lines = rows.concat();
    lines.push(Line::default());
    let foot = match form.silenced_by() {
        Some(SilenceOrigin::HostsToml) => {
            wrap("It is silenced in hosts.toml, which nixdash does not write: end it there.", room)
                .into_iter()
                .map(|line| Line::from(paint.span(Role::Warn, line)))
                .collect()
        }
        Some(SilenceOrigin::State) => vec![Line::raw("Enter makes it an alarm again.")],
        None => {
            vec![
                times(paint, form.time, room),
                Line::from(typed(paint, "reason  ", form.reason.text())),
            ]
        }
    };
    let title = format!("Silence a finding of {}", form.name);
    // Where there is little room, the form is seen and of the findings those around the selected one.
    let skipped = form.selected.saturating_sub(usize::from(area.height).saturating_sub(8)) as u16;
    let inside = popup.draw(paint, buffer, &title, &lines, skipped, &foot);
    let mut line = 0;
    for (index, row) in rows.iter().enumerate() {
        inside.note(paint, line, row.len(), ClickTarget::Row { index, from: 0 });
        line += row.len();
    }
}

/// Returns a finding with its cause, or with what is said of its silence: the selected one whole.
fn row(
    paint: &Paint<'_>,
    finding: &Finding,
    selected: bool,
    labels: usize,
    room: usize,
) -> Vec<Line<'static>> {
    let silenced = finding.silenced.as_ref().filter(|_| finding.is_silenced());
    let role = if silenced.is_some() { Role::Dim } else { finding_role(finding) };
    let text = silenced.map_or_else(|| cause(finding), Silenced::words);
    let columns = room.saturating_sub(labels + 4);
    let text = if selected { wrap(&text, columns) } else { vec![cut(&text, columns)] };
    let line = |(at, text): (usize, String)| {
        let (sign, label) = if at == 0 { ("› ", finding.words()) } else { ("  ", "") };
        Line::from(vec![
            paint.span(Role::Accent, if selected { sign } else { "  " }),
            paint.span(role, left(label, labels)),
            paint.span(Role::Dim, format!("  {text}")),
        ])
    };
    text.into_iter().enumerate().map(line).collect()
}

/// Returns the cause, with the host that it is about where the form is that of a tier.
fn cause(finding: &Finding) -> String {
    match &finding.subject {
        Subject::TierOnHost { host, .. } => format!("on {host}: {}", finding.cause),
        Subject::Host { .. } | Subject::Tier { .. } | Subject::Run { .. } => finding.cause.clone(),
    }
}

/// Returns for how long it may be silenced, with what is chosen in brackets; that alone where there is no
/// room for all.
fn times(paint: &Paint<'_>, chosen: SilenceTime, room: usize) -> Line<'static> {
    let label = paint.span(Role::Accent, "for    ");
    let mut spans = vec![label.clone()];
    for time in SilenceTime::ALL {
        let is_chosen = time == chosen;
        let (before, behind) = if is_chosen { ("[", "]") } else { (" ", " ") };
        let role = if is_chosen { Role::Title } else { Role::Dim };
        spans.push(paint.span(role, format!("{before}{}{behind}", time.words())));
        spans.push(Span::raw(" "));
    }
    if line_width(&spans) > room {
        spans = vec![label, paint.span(Role::Title, format!("[{}]", chosen.words()))];
    }
    Line::from(spans)
}

/// Silences what is meant, or ends that; a reason must be typed.
pub(super) fn update(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let Some(Overlay::Silence(form)) = model.overlay_mut() else { return Vec::new() };
    match command {
        Command::Up => form.selected = form.selected.saturating_sub(1),
        Command::Down => form.selected = (form.selected + 1).min(form.findings.len().max(1) - 1),
        Command::NextTime => form.time = form.time.next(),
        Command::Accept => return accept(model, now),
        _ => model.close(),
    }
    Vec::new()
}

fn accept(model: &mut Model, now: Timestamp) -> Vec<Effect> {
    let Some(Overlay::Silence(form)) = model.overlay() else { return Vec::new() };
    let (by, Some(silence)) = (form.silenced_by(), form.silence(now)) else { return Vec::new() };
    match by {
        Some(SilenceOrigin::HostsToml) => Vec::new(),
        Some(SilenceOrigin::State) => {
            model.close();
            vec![Effect::EndSilence(Box::new(silence))]
        }
        None if silence.reason.is_empty() => {
            model.say("type why it needs no alarm; others who look see the text", true, now);
            Vec::new()
        }
        None => {
            model.close();
            vec![Effect::Silence(Box::new(silence))]
        }
    }
}
