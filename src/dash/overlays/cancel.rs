//! The question whether to stop a run.
//!
//! ```text
//! ┌ Stop run #41? ──────────────────────────────────────┐
//! │ switch via-cache                                    │
//! │ razer goes back to what it ran                      │
//! │ 3 hosts stay as they are: samsung, p510, heron      │
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
use crate::dash::widgets::text::wrap;
use crate::dash::words::{first_of, naming_within};
use crate::dash::world::{HostRun, RunView};
use crate::fleet::{Phase, RunId};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws the question whether to stop a run. What becomes of its hosts stands there in whole; of their names as
/// many as have room.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, run: &RunId, yes: bool) {
    let Some(run) = paint.model.world.run_by_id(run) else { return };
    let popup = Popup::new(area, 56);
    let foot = [Line::default(), buttons(paint, "No", "Yes, stop it", yes)];
    let mut lines = wrap(&run.title, popup.room());
    let rows = popup.rows().saturating_sub(lines.len() + foot.len());
    lines.extend(naming_within(rows, |shown| {
        let all = Becomes::ALL.into_iter().filter_map(|becomes| becomes.sentence(run, shown));
        all.flat_map(|sentence| wrap(&sentence, popup.room())).collect()
    }));
    let lines: Vec<Line<'static>> = lines.into_iter().map(Line::raw).collect();
    let inside = popup.draw(paint, buffer, &format!("Stop run #{}?", run.id), &lines, 0, &foot);
    inside.note_buttons(paint, "No", "Yes, stop it");
}

/// What becomes of a host when the run is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Becomes {
    /// It has begun to activate.
    GoesBack,
    /// Its new system is permanent already.
    Keeps,
    /// Nothing was changed there.
    Stays,
}

impl Becomes {
    /// What changes most first.
    const ALL: [Self; 3] = [Self::GoesBack, Self::Keeps, Self::Stays];

    /// Returns what becomes of a host that is not done.
    fn of(host: &HostRun) -> Self {
        let is_permanent = host.phases.contains_key(&Phase::Persist);
        if host.goes_back || has_begun(host) && !is_permanent {
            Self::GoesBack
        } else if is_permanent {
            Self::Keeps
        } else {
            Self::Stays
        }
    }

    /// Says of which hosts of a run it is true, with so many names at most; nothing where of none.
    fn sentence(self, run: &RunView, shown: usize) -> Option<String> {
        let open = run.hosts.iter().filter(|host| host.result.is_none());
        let hosts = open.filter(|host| Self::of(host) == self).map(|host| host.host.clone());
        let hosts: Vec<String> = hosts.collect();
        let (of_one, of_several) = match self {
            Self::GoesBack => ("goes back to what it ran", "go back to what they ran"),
            Self::Keeps => ("keeps the new system", "keep their new systems"),
            Self::Stays => ("stays as it is", "stay as they are"),
        };
        match &hosts[..] {
            [] => None,
            [host] => Some(format!("{host} {of_one}")),
            _ if shown == 0 => Some(format!("{} hosts {of_several}", hosts.len())),
            _ => {
                let names = first_of(&hosts, shown);
                Some(format!("{} hosts {of_several}: {names}", hosts.len()))
            }
        }
    }
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
