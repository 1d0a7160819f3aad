//! The first screen of who has no `hosts.toml`: what was found here, and what to do.
//!
//! ```text
//! ┌ There is no hosts.toml yet ───────────────────────────────────────────────┐
//! │ nixdash reads which hosts there are from hosts.toml. There is none, so it │
//! │ shows this machine and cache.nixos.org.                                   │
//! │                                                                           │
//! │ machine    p620, x86_64-linux, NixOS, Nix 2.31.2                          │
//! │ flake      nixosConfigurations: p620, razer, samsung                      │
//! │ ssh hosts  looking …                                                      │
//! │ caches     https://cache.nixos.org                                        │
//! │                                                                           │
//! │ i          make a hosts.toml from this: `nixdash init` shows it and asks  │
//! │            before it writes                                               │
//! │ l          practise first: `nixdash lab` sets up four small real hosts on │
//! │            this machine                                                   │
//! │ esc        look at this machine and cache.nixos.org                       │
//! └───────────────────────────────────────────────────────────────────────────┘
//! ```

use crate::dash::command::{Command, Context, in_context};
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlays::reading;
use crate::dash::theme::Role;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::text::{left, wrap};
use crate::dash::words::some_of;
use crate::dash::world::{FirstStep, FlakeHere, FoundHere, MachineHere};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Why this is shown.
const ABOUT: &str = "nixdash reads from hosts.toml which hosts and caches there are. It found no such file, \
                     so it shows this machine and cache.nixos.org.";

/// Columns of what stands before a line.
const LABEL: usize = 11;

/// Draws it, from a first line on.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, scroll: u16) {
    let popup = Popup::new(area, 84);
    let Some(found) = &paint.model.world.found_here else { return };
    let mut lines: Vec<Line<'static>> = Vec::new();
    if !popup.is_whole() {
        lines.extend(wrap(ABOUT, popup.room()).into_iter().map(Line::raw));
        lines.push(Line::default());
    }
    for (label, words) in words(found) {
        let role = if words.is_some() { Role::Text } else { Role::Dim };
        let words = words.unwrap_or_else(|| "looking …".to_owned());
        row(paint, &popup, &mut lines, paint.span(Role::Dim, left(label, LABEL)), role, &words);
    }
    lines.push(Line::default());
    for entry in in_context(Context::FirstSteps).filter(|entry| entry.label.is_some()) {
        let key =
            paint.model.keymap.keys(entry).first().map(ToString::to_string).unwrap_or_default();
        let key = paint.span(Role::Accent, left(&key, LABEL));
        row(paint, &popup, &mut lines, key, Role::Text, entry.about);
    }
    popup.draw(paint, buffer, "There is no hosts.toml yet", &lines, scroll, &[]);
}

/// Adds a text with what stands before it, on as many lines as it needs.
fn row(
    paint: &Paint<'_>,
    popup: &Popup,
    lines: &mut Vec<Line<'static>>,
    label: Span<'static>,
    role: Role,
    text: &str,
) {
    let mut label = Some(label);
    for part in wrap(text, popup.room().saturating_sub(LABEL)) {
        let before = label.take().unwrap_or_else(|| Span::raw(" ".repeat(LABEL)));
        lines.push(Line::from(vec![before, paint.span(role, part)]));
    }
}

/// Returns what was found in words; none for what is still looked for.
fn words(found: &FoundHere) -> [(&'static str, Option<String>); 4] {
    [
        ("machine", found.machine.as_ref().map(machine)),
        ("flake", found.flake.as_ref().map(flake)),
        ("ssh hosts", found.ssh_hosts.as_ref().map(|hosts| listed(hosts, "none in ~/.ssh/config"))),
        ("caches", found.caches.as_ref().map(|caches| listed(caches, "Nix asks none"))),
    ]
}

fn machine(machine: &MachineHere) -> String {
    let nixos = if machine.is_nixos { "NixOS" } else { "not NixOS" };
    let nix = machine.nix.as_deref().unwrap_or("no Nix");
    let words = [Some(machine.system.as_str()), Some(nixos), Some(nix)];
    let words = [machine.name.as_deref()].into_iter().chain(words);
    words.flatten().collect::<Vec<_>>().join(", ")
}

fn flake(flake: &FlakeHere) -> String {
    match flake {
        FlakeHere::Absent => "none: the current folder has no flake.nix".to_owned(),
        FlakeHere::Hosts(hosts) if hosts.is_empty() => "it has no nixosConfigurations".to_owned(),
        FlakeHere::Hosts(hosts) => format!("nixosConfigurations: {}", some_of(hosts)),
        FlakeHere::Unknown(why) => format!("its hosts are not known yet, because {why}"),
    }
}

fn listed(found: &Result<Vec<String>, String>, none: &str) -> String {
    match found {
        Ok(names) if names.is_empty() => none.to_owned(),
        Ok(names) => some_of(names),
        Err(why) => format!("not known: {why}"),
    }
}

/// Begins with one of the steps, or closes it.
pub(super) fn update(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let step = match command {
        Command::MakeHostsFile => FirstStep::Init,
        Command::Practise => FirstStep::Lab,
        _ => {
            reading::update(model, command, now);
            return Vec::new();
        }
    };
    if model.world.fleet.read_only {
        let why =
            "nixdash was started with --read-only, and this writes files; start it without that";
        model.say(why, true, now);
        return Vec::new();
    }
    model.first_step = Some(step);
    vec![Effect::Quit { cancel: Vec::new() }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_told_from_what_is_not_known() {
        assert_eq!(listed(&Ok(Vec::new()), "Nix asks none"), "Nix asks none");
        assert_eq!(listed(&Err("no Nix".to_owned()), "none"), "not known: no Nix");
        let found = FoundHere::default();
        assert!(words(&found).iter().all(|(_, words)| words.is_none()));
    }
}
