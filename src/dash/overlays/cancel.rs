//! The question whether to stop a run.
//!
//! ```text
//! ┌ Stop run #41? ──────────────────┐
//! │ switch via-cache                │
//! │ samsung  fetch                  │
//! │ [ No ]    Yes, stop it          │
//! └─────────────────────────────────┘
//! ```

use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::{Popup, buttons};
use crate::dash::widgets::text::left;
use crate::fleet::RunId;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws the question whether to stop a run.
pub(in crate::dash) fn draw(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    run: &RunId,
    yes: bool,
) {
    let Some(run) = paint.model.world.run_by_id(run) else { return };
    let popup = Popup::new(area, 56);
    let mut lines = vec![Line::raw(run.title.clone())];
    for host in run.hosts.iter().filter(|host| host.result.is_none()) {
        let phase = host.current().map_or("not begun", |(phase, _)| phase.word());
        lines.push(Line::raw(format!("{}  {phase}", left(&host.host, 12))));
    }
    let foot = [Line::default(), buttons(paint, "No", "Yes, stop it", yes)];
    popup.draw(paint, buffer, &format!("Stop run #{}?", run.id), &lines, 0, &foot);
}
