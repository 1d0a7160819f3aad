//! Values as small pictures: graphs, bars, and the sign of what is at work.

use jiff::Timestamp;

/// Returns a small graph of that many columns, newest value at its right; missing ones are blank.
///
/// The scale reaches from zero to `full`, or to the highest value when that is more.
pub(in crate::dash) fn spark(
    values: impl DoubleEndedIterator<Item = f64>,
    full: f64,
    columns: usize,
) -> String {
    let mut newest: Vec<f64> = values.rev().take(columns).collect();
    newest.reverse();
    let most = newest.iter().copied().fold(full, f64::max);
    let share = |value: f64| if most > 0.0 { value / most } else { 0.0 };
    let bars: String = newest.iter().map(|value| level(share(*value))).collect();
    format!("{}{bars}", " ".repeat(columns - newest.len()))
}

/// Returns a share of 0 to 1 as one character that is filled so far.
pub(in crate::dash) fn level(share: f64) -> char {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    LEVELS[((share.clamp(0.0, 1.0) * 7.0).round() as usize).min(7)]
}

/// Returns a bar of that many columns inside its two ends, filled to a share of 0 to 1.
pub(in crate::dash) fn bar(share: f64, columns: usize) -> String {
    const PARTS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (share.clamp(0.0, 1.0) * columns as f64 * 8.0).floor() as usize;
    let mut bar = "█".repeat(eighths / 8);
    if let Some(part) = (eighths % 8).checked_sub(1) {
        bar.push(PARTS[part]);
    }
    let fill = columns.saturating_sub(bar.chars().count());
    format!("▕{bar}{}▏", " ".repeat(fill))
}

/// Returns the frame of a small moving sign.
pub(in crate::dash) fn spinner(now: Timestamp) -> char {
    const FRAMES: [char; 4] = ['◐', '◓', '◑', '◒'];
    FRAMES[(now.as_millisecond().rem_euclid(1000) / 250) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fill_as_much_as_they_are() {
        assert_eq!(bar(0.5, 4), "▕██  ▏");
        assert_eq!(spark([0.0, 8.0].into_iter(), 4.0, 3), " ▁█");
    }
}
