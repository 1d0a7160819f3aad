//! The question whether to look closely at hosts' stores.

use crate::dash::command::Command;
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::Overlay;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::{Popup, buttons};
use crate::dash::widgets::text::wrap;
use crate::dash::words::{hosts_in_short, some_of};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws the question whether to look closely at hosts' stores.
pub(super) fn draw(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    hosts: &[String],
    yes: bool,
) {
    let popup = Popup::new(area, 64);
    let text = format!(
        "Measures on {} what hard links save and how much is garbage. It takes the lock of Nix's \
         garbage collector there: builds wait until it ends, ten minutes at most. Nothing is \
         deleted.",
        some_of(hosts)
    );
    let lines: Vec<Line<'static>> = wrap(&text, popup.room()).into_iter().map(Line::raw).collect();
    let foot = [Line::default(), buttons(paint, "No", "Yes, measure", yes)];
    let inside = popup.draw(paint, buffer, "Measure garbage?", &lines, 0, &foot);
    inside.note_buttons(paint, "No", "Yes, measure");
}

/// Looks closely at stores, or leaves them alone.
pub(super) fn update(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let Some(Overlay::Look { hosts, yes }) = model.overlay_mut() else { return Vec::new() };
    match command {
        Command::OtherButton => *yes = !*yes,
        Command::Accept if !*yes => model.close(),
        Command::Accept | Command::Yes => {
            let hosts = std::mem::take(hosts);
            model.close();
            // One may have begun while the question stood there.
            if let Some(why) = model.world.run_in_the_way() {
                model.say(why, true, now);
                return Vec::new();
            }
            model.say(format!("looking at the stores of {}", hosts_in_short(&hosts)), false, now);
            return vec![Effect::LookClosely { hosts }];
        }
        _ => model.close(),
    }
    Vec::new()
}
