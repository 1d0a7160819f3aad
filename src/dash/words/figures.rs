//! Figures over time in words: their names, their values, and the scale that fits them.

use crate::dash::widgets::curve::Scale;
use crate::dash::words::milliseconds;
use crate::fleet::{Figure, bytes, percent};

/// Where the scale of a share begins that is near all of it.
const HIGHEST_BOTTOM: f64 = 0.95;

/// Returns the name of a figure.
pub(in crate::dash) fn name(figure: Figure) -> &'static str {
    match figure {
        Figure::Load => "load",
        Figure::Memory => "memory used",
        Figure::FreeRoom => "free below /nix",
        Figure::HostLatency | Figure::TierLatency => "latency",
        Figure::Answered => "answered",
        Figure::Coverage => "coverage",
    }
}

/// Returns a value with its unit.
pub(in crate::dash) fn spoken(figure: Figure, value: f64) -> String {
    match figure {
        Figure::Load => format!("{value:.2}"),
        Figure::Memory | Figure::Answered | Figure::Coverage => percent(value),
        Figure::FreeRoom => bytes(value.max(0.0) as u64),
        Figure::HostLatency | Figure::TierLatency => milliseconds(value),
    }
}

/// Returns the newest value with its unit; a dash where none is known.
pub(in crate::dash) fn newest_words(figure: Figure, value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| spoken(figure, value))
}

/// Returns a round value as the scale names it.
pub(in crate::dash) fn of_scale(figure: Figure, value: f64) -> String {
    match figure {
        Figure::Load => short(value),
        Figure::HostLatency | Figure::TierLatency => format!("{} ms", short(value)),
        Figure::Memory | Figure::Answered | Figure::Coverage => {
            format!("{} %", short(value * 100.0))
        }
        Figure::FreeRoom => bytes(value.max(0.0) as u64),
    }
}

/// Returns a number without zeros behind its last digit.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Returns the scale of a figure between its lowest and its highest value. What matters by how much it
/// changes beside what it is has one around these, everything else one from zero.
pub(in crate::dash) fn scale(figure: Figure, low: f64, high: f64) -> Scale {
    match figure {
        Figure::Load | Figure::HostLatency | Figure::TierLatency => Scale::from_zero(high),
        Figure::Memory => Scale { bottom: 0.0, top: 1.0 },
        Figure::FreeRoom => Scale::around(low, high),
        Figure::Answered | Figure::Coverage => {
            let around = Scale::around(low, high);
            let bottom = around.bottom.min(HIGHEST_BOTTOM);
            if around.top <= 1.0 { around } else { Scale { bottom, top: 1.0 } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_drawn_above_all_of_it() {
        let whole = scale(Figure::Coverage, 1.0, 1.0);
        assert!(whole.top <= 1.0 && whole.bottom < 1.0, "{whole:?}");
        assert_eq!(of_scale(Figure::Coverage, whole.top), "100 %");
        assert_eq!(of_scale(Figure::Coverage, 0.985), "98.5 %");
        assert_eq!(of_scale(Figure::Load, 0.4), "0.4");
        assert_eq!(of_scale(Figure::TierLatency, 150.0), "150 ms");
        assert_eq!(newest_words(Figure::FreeRoom, Some(412e9)), "412 GB");
        assert_eq!(newest_words(Figure::Load, None), "–");
    }
}
