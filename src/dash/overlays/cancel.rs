//! The question whether to stop a run.
//!
//! ```text
//! ┌ Stop run #41? ──────────────────────────────────────┐
//! │ switch via-cache                                    │
//! │ razer         activate: goes back to what it ran    │
//! │ samsung       fetch: stays as it is                 │
//! │                                                     │
//! │ [ No ]    Yes, stop it                              │
//! └─────────────────────────────────────────────────────┘
//! ```

use crate::dash::command::{Command, has_begun};
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::Overlay;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::{Popup, buttons};
use crate::dash::widgets::text::{cut, left};
use crate::dash::world::HostRun;
use crate::fleet::{Phase, RunId};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws the question whether to stop a run.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, run: &RunId, yes: bool) {
    let Some(run) = paint.model.world.run_by_id(run) else { return };
    let popup = Popup::new(area, 56);
    let mut lines = vec![Line::raw(run.title.clone())];
    for host in run.hosts.iter().filter(|host| host.result.is_none()) {
        let phase = host.current().map_or("not begun", |(phase, _)| phase.word());
        let name = left(&cut(&host.host, 12), 12);
        lines.push(Line::raw(format!("{name}  {phase}: {}", becomes(host))));
    }
    let foot = [Line::default(), buttons(paint, "No", "Yes, stop it", yes)];
    let inside = popup.draw(paint, buffer, &format!("Stop run #{}?", run.id), &lines, 0, &foot);
    inside.note_buttons(paint, "No", "Yes, stop it");
}

/// Returns what becomes of a host when the run is stopped.
fn becomes(host: &HostRun) -> &'static str {
    if host.phases.contains_key(&Phase::Persist) {
        return "keeps the new system";
    }
    if has_begun(host) { "goes back to what it ran" } else { "stays as it is" }
}

/// Stops a run, or lets it go on.
pub(super) fn update(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let Some(Overlay::Cancel { run, yes }) = model.overlay_mut() else { return Vec::new() };
    let run = run.clone();
    match command {
        Command::OtherButton => *yes = !*yes,
        Command::Accept if !*yes => model.close(),
        Command::Accept | Command::Yes => {
            model.close();
            if let Some(view) = model.world.runs.iter_mut().find(|view| view.id == run) {
                view.stopping = true;
            }
            model.say(format!("run #{run} is asked to stop"), false, now);
            return vec![Effect::CancelRun { run }];
        }
        _ => model.close(),
    }
    Vec::new()
}
