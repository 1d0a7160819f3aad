//! A line of text that is being typed.

use crate::dash::theme::Role;
use crate::dash::widgets::paint::Paint;
use ratatui::text::Span;

/// Returns a label, what was typed behind it, and the cursor.
pub(in crate::dash) fn typed(
    paint: &Paint<'_>,
    label: impl Into<String>,
    text: impl Into<String>,
) -> Vec<Span<'static>> {
    vec![paint.span(Role::Accent, label), Span::raw(text.into()), paint.span(Role::Accent, "▏")]
}
