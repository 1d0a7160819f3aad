//! Figures over time as a history would tell them.

use super::now;
use crate::fleet::{Figure, FigureOverTime, OverTime, TimePoint, TimeSpan};

/// Figures of a host: a busy evening, one peak, and a while in which it was not asked.
pub(in crate::dash) fn of_a_host(span: TimeSpan, parts: usize) -> OverTime {
    let figures = [
        figure(Figure::Load, parts, |at, wave| {
            let peak = if (0.395..0.4).contains(&at) { 5.6 } else { 0.0 };
            [0.2 + wave, 0.4 + 2.0 * wave, 0.9 + 3.0 * wave + peak]
        }),
        figure(Figure::Memory, parts, |_, wave| [0.2, 0.24 + wave / 8.0, 0.3 + wave / 6.0]),
        figure(Figure::FreeRoom, parts, |at, _| [418e9 - at * 12e9; 3]),
        FigureOverTime { figure: Figure::HostLatency, points: vec![None; parts], newest: None },
    ];
    over(span, figures.to_vec())
}

/// Figures of a tier whose server does not count its answers.
pub(in crate::dash) fn of_a_tier(span: TimeSpan, parts: usize) -> OverTime {
    let figures = [
        figure(Figure::TierLatency, parts, |_, wave| [2.0, 3.0 + wave, 4.0 + 30.0 * wave]),
        FigureOverTime { figure: Figure::Answered, points: vec![None; parts], newest: None },
        figure(
            Figure::Coverage,
            parts,
            |at, _| {
                if at > 0.9 { [0.91, 0.95, 1.0] } else { [1.0; 3] }
            },
        ),
    ];
    over(span, figures.to_vec())
}

fn over(span: TimeSpan, figures: Vec<FigureOverTime>) -> OverTime {
    OverTime { from: now() - span.length(), until: now(), figures }
}

/// Makes a figure out of where a part is in the time, 0 to 1, and of a wave that goes from 0 to 1.
fn figure(figure: Figure, parts: usize, value: impl Fn(f64, f64) -> [f64; 3]) -> FigureOverTime {
    let point = |index: usize| {
        let at = index as f64 / parts as f64;
        let [low, mean, high] = value(at, (at * 9.0).sin().abs());
        (!(0.62..0.7).contains(&at)).then_some(TimePoint { low, mean, high })
    };
    let points: Vec<Option<TimePoint>> = (0..parts).map(point).collect();
    let newest = points.iter().rev().flatten().next().map(|point| point.mean);
    FigureOverTime { figure, points, newest }
}
