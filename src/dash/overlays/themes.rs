//! Which theme the dashboard has: each is shown while it is selected.
//!
//! ```text
//! ┌ Theme ────────────────────────┐
//! │   terminal                    │
//! │ › nord                        │
//! │   solarized   dark or light   │
//! └───────────────────────────────┘
//! ```

use crate::dash::command::Command;
use crate::dash::model::Model;
use crate::dash::msg::{Effect, Wish};
use crate::dash::overlay::Overlay;
use crate::dash::theme::{FOLLOWING, Role, ThemePair};
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::table::Window;
use crate::dash::widgets::text::left;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Columns of a name, with the gap behind it.
const NAME: usize = 22;

/// Draws the names.
pub(super) fn draw(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    names: &[String],
    selected: usize,
) {
    let popup = Popup::new(area, 48);
    let around = if popup.is_whole() { 1 } else { 4 };
    let window =
        Window::new(names.len(), selected, usize::from(area.height).saturating_sub(around).max(1));
    let mut lines = Vec::new();
    for (index, name) in names.iter().enumerate().skip(window.from).take(window.rows) {
        let is_selected = index == selected;
        let follows = FOLLOWING.iter().any(|(known, _, _)| known == name);
        lines.push(Line::from(vec![
            paint.span(Role::Accent, if is_selected { "› " } else { "  " }),
            paint.span(if is_selected { Role::Title } else { Role::Text }, left(name, NAME)),
            paint.span(Role::Dim, if follows { "dark or light" } else { "" }),
        ]));
    }
    popup.draw(paint, buffer, "Theme", &lines, 0, &[]);
}

/// Opens the choice; the theme that is shown is selected.
pub(in crate::dash) fn open(model: &mut Model) {
    let mut names: Vec<String> = ThemePair::names().map(str::to_owned).collect();
    if !model.theme.is_empty() && !names.contains(&model.theme) {
        names.insert(0, model.theme.clone());
    }
    let selected = names.iter().position(|name| *name == model.theme).unwrap_or_default();
    model.open(Overlay::Themes { names, selected });
}

/// Selects and shows a theme, keeps it, or gives the one before back.
pub(super) fn update(model: &mut Model, command: Command) -> Vec<Effect> {
    let Some(Overlay::Themes { names, selected }) = model.overlay_mut() else { return Vec::new() };
    let last = names.len().saturating_sub(1);
    *selected = match command {
        Command::Up => selected.saturating_sub(1),
        Command::Down => (*selected + 1).min(last),
        Command::PageUp | Command::Top => 0,
        Command::PageDown | Command::Bottom => last,
        _ => *selected,
    };
    let name = names.get(*selected).cloned().unwrap_or_default();
    match command {
        command if command.moves() => vec![shown(model, name)],
        Command::Accept => {
            model.close();
            keep(model, name)
        }
        _ => {
            model.close();
            vec![Effect::Terminal(Wish::ShowTheme(None))]
        }
    }
}

/// Shows a theme and keeps it for this user.
pub(in crate::dash) fn keep(model: &mut Model, theme: String) -> Vec<Effect> {
    let shown = shown(model, theme.clone());
    model.theme.clone_from(&theme);
    vec![shown, Effect::Terminal(Wish::LetThemeStay), Effect::KeepTheme { theme }]
}

/// Returns what shows a theme; the one that is there already may be that of a file.
fn shown(model: &Model, name: String) -> Effect {
    Effect::Terminal(Wish::ShowTheme(Some(name).filter(|name| *name != model.theme)))
}
