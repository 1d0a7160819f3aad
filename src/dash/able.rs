//! Which commands can be given now, and which of them the footer names.

use crate::dash::command::{Command, CommandEntry, Context, in_context};
use crate::dash::layout::is_one_line;
use crate::dash::model::Model;
use crate::dash::world::RunView;
use crate::dash::{overlays, panes};
use crate::fleet::{Code, HostFacts, can_be_verified};

/// Returns the commands that can be given now.
pub(super) fn available(model: &Model) -> impl Iterator<Item = &'static CommandEntry> {
    in_context(Context::of(model)).filter(|entry| match model.overlay() {
        Some(overlay) => overlays::can(overlay, entry.command),
        None => panes::can(model, entry.command),
    })
}

/// Returns what closes, or answers with no, what lies over the view.
pub(super) fn closing(model: &Model) -> Option<&'static CommandEntry> {
    available(model).find(|entry| matches!(entry.command, Command::Close | Command::No))
}

/// Returns whether something lies over the view that is not seen, since the terminal is too small: only what
/// closes it can be meant.
pub(super) fn is_unseen(model: &Model) -> bool {
    let (columns, rows) = model.size;
    is_one_line(columns, rows) && Context::of(model).title().is_some()
}

/// Returns whether a command that can be given is named in the footer; one that only says what to
/// do first is not.
pub(super) fn is_named(model: &Model, command: Command) -> bool {
    match command {
        Command::LookClosely => model.selects_stores(),
        Command::OverTime | Command::Events => panes::shows_details(model),
        // In a run of one wave that is the whole run.
        Command::TakeWaveBack => model.shown_run().is_some_and(RunView::has_waves),
        Command::Compare | Command::RollBack => !overlays::generations::is_awaited(model),
        Command::HostKey => model.selected().is_some_and(|(_, view)| has_key_trouble(&view.facts)),
        Command::Verify => {
            model.selected_tier().is_some_and(|(tier, _)| can_be_verified(tier).is_ok())
        }
        _ => true,
    }
}

/// Returns whether a host was not asked because of its ssh key.
fn has_key_trouble(facts: &HostFacts) -> bool {
    let codes = [Code::HostKeyUnknown, Code::HostKeyChanged, Code::HostKeyRefused];
    facts.findings.iter().any(|finding| codes.contains(&finding.code))
}
