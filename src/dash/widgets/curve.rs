//! A figure over time as a picture: for each part of the time what lies between its lowest and its
//! highest value, and its mean; nothing where nothing was measured.
//!
//! ```text
//!   10 ┤              ⡆
//!    5 │    ⣀⣠⣤⡤⠤⠤⠤⠤⠤⠒⠓⠒⠒⠒⠒⠒
//!    0 ┤⠤⠤⠒⠒
//! ```
//!
//! In braille where the terminal has more than ASCII, else in blocks that [`Look::finish`] replaces.
//!
//! [`Look::finish`]: crate::dash::look::Look

use crate::dash::look_back::{POINTS, SCALE};
use crate::dash::theme::Role;
use crate::dash::widgets::graph::level;
use crate::dash::widgets::paint::{Paint, put};
use crate::dash::widgets::text::right;
use crate::fleet::TimePoint;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::Widget;
use ratatui::widgets::canvas::{Canvas, Painter, Shape};

/// Dots that stand above each other in one row of braille.
const DOTS: u16 = 4;

/// From which value to which a picture reaches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::dash) struct Scale {
    pub(in crate::dash) bottom: f64,
    pub(in crate::dash) top: f64,
}

/// Round numbers between 1 and 10.
const ROUND: [f64; 8] = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 8.0, 10.0];

impl Scale {
    /// Returns a scale from zero to a round number that is no less than a value.
    pub(in crate::dash) fn from_zero(high: f64) -> Self {
        let top = if high > 0.0 { round_up(high) } else { 1.0 };
        Self { bottom: 0.0, top }
    }

    /// Returns a scale between the round numbers around two values, for what changes little beside
    /// what it is.
    pub(in crate::dash) fn around(low: f64, high: f64) -> Self {
        let least = if high > 0.0 { high / 50.0 } else { 1.0 };
        let step = round_up((high - low).max(least) / 2.0);
        let bottom = ((low / step).floor() * step).max(0.0);
        let top = (high / step).ceil() * step;
        Self { bottom, top: if top > bottom { top } else { bottom + step } }
    }

    /// Returns how far up a value stands, 0 to 1.
    fn share(self, value: f64) -> f64 {
        ((value - self.bottom) / (self.top - self.bottom)).clamp(0.0, 1.0)
    }
}

/// Returns the smallest round number that is no less than a value above zero.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let round = ROUND.into_iter().find(|round| round * power >= value * (1.0 - 1e-9));
    round.unwrap_or(10.0) * power
}

/// Draws a picture with its scale at the left; `name` writes a value of the scale.
pub(in crate::dash) fn draw(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    (points, scale): (&[Option<TimePoint>], Scale),
    name: impl Fn(f64) -> String,
) {
    let area = area.intersection(buffer.area);
    if area.width <= SCALE || area.height == 0 {
        return;
    }
    let named = |row: u16| match row {
        0 => Some(scale.top),
        row if row + 1 == area.height => Some(scale.bottom),
        row if area.height >= 5 && area.height % 2 == 1 && row == area.height / 2 => {
            Some(f64::midpoint(scale.bottom, scale.top))
        }
        _ => None,
    };
    for row in 0..area.height {
        let text = match named(row) {
            Some(value) => format!("{} ┤", right(&name(value), usize::from(SCALE) - 2)),
            None => format!("{} │", " ".repeat(usize::from(SCALE) - 2)),
        };
        put(buffer, area, row, &Line::from(paint.span(Role::Dim, text)));
    }
    let picture = Rect { x: area.x + SCALE, width: area.width - SCALE, ..area };
    if paint.look.ascii {
        blocks(paint, buffer, picture, points, scale);
    } else {
        braille(paint, buffer, picture, points, scale);
    }
}

/// Returns so many points of those, joined where there are more and repeated where there are fewer.
fn fitted(points: &[Option<TimePoint>], count: usize) -> Vec<Option<TimePoint>> {
    let place = |index: usize| index * points.len() / count.max(1);
    let joined = |index: usize| {
        let (from, to) = (place(index), place(index + 1).max(place(index) + 1));
        points.get(from..to.min(points.len())).and_then(join)
    };
    (0..count).map(joined).collect()
}

/// Joins points that stand beside each other; none where nothing was measured in any.
fn join(points: &[Option<TimePoint>]) -> Option<TimePoint> {
    let known = || points.iter().flatten();
    let count = known().count();
    (count > 0).then(|| TimePoint {
        low: known().map(|point| point.low).fold(f64::INFINITY, f64::min),
        mean: known().map(|point| point.mean).sum::<f64>() / count as f64,
        high: known().map(|point| point.high).fold(f64::NEG_INFINITY, f64::max),
    })
}

/// What is drawn in braille, dot by dot.
struct Curve {
    points: Vec<Option<TimePoint>>,
    scale: Scale,
    /// Dots above each other.
    dots: usize,
    /// The colours of what lies between the extremes, and of the mean.
    colours: [Color; 2],
}

impl Curve {
    /// Returns on which dot from the top a value is.
    fn dot(&self, value: f64) -> usize {
        let highest = self.dots.saturating_sub(1);
        highest - (self.scale.share(value) * highest as f64).round() as usize
    }
}

impl Shape for Curve {
    fn draw(&self, painter: &mut Painter<'_, '_>) {
        let [between, mean] = self.colours;
        let known = || self.points.iter().enumerate().filter_map(|(x, it)| Some((x, (*it)?)));
        for (x, point) in known() {
            for y in self.dot(point.high)..=self.dot(point.low) {
                painter.paint(x, y, between);
            }
        }
        for (x, point) in known() {
            painter.paint(x, self.dot(point.mean), mean);
        }
    }
}

fn braille(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    points: &[Option<TimePoint>],
    scale: Scale,
) {
    let colour = |role| paint.style(role).fg.unwrap_or(Color::Reset);
    let curve = Curve {
        points: fitted(points, usize::from(area.width * POINTS)),
        scale,
        dots: usize::from(area.height * DOTS),
        colours: [colour(Role::Dim), colour(Role::Graph)],
    };
    Canvas::default()
        .marker(Marker::Braille)
        .background_color(paint.style(Role::Text).bg.unwrap_or(Color::Reset))
        .x_bounds([0.0, 1.0])
        .y_bounds([0.0, 1.0])
        .paint(|context| context.draw(&curve))
        .render(area, buffer);
}

/// Draws in blocks: the highest value fills its cell as far as it reaches, those below it down to the
/// lowest are full.
fn blocks(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    points: &[Option<TimePoint>],
    scale: Scale,
) {
    let rows = f64::from(area.height);
    let row_of = |share: f64| ((1.0 - share) * rows).floor().clamp(0.0, rows - 1.0) as u16;
    let points = fitted(points, usize::from(area.width));
    for (x, point) in (area.x..).zip(points) {
        let Some(point) = point else { continue };
        let (high, low) = (scale.share(point.high), scale.share(point.low));
        let top = row_of(high);
        for row in top..=row_of(low).max(top) {
            let part = high * rows - f64::from(area.height - 1 - row);
            if let Some(cell) = buffer.cell_mut((x, area.y + row)) {
                cell.set_char(level(part)).set_style(paint.style(Role::Graph));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_ends_at_round_numbers() {
        for (high, top) in [
            (0.0, 1.0),
            (0.31, 0.4),
            (1.0, 1.0),
            (4.12, 5.0),
            (5.1, 8.0),
            (9.8, 10.0),
            (61.0, 80.0),
        ] {
            let scale = Scale::from_zero(high);
            assert!((scale.top - top).abs() < 1e-9 && scale.bottom == 0.0, "{high}: {scale:?}");
        }
        for (low, high, bottom, top) in [
            (412e9, 412e9, 410e9, 415e9),
            (388e9, 412e9, 380e9, 420e9),
            (0.95, 1.0, 0.94, 1.02),
            (0.0, 0.0, 0.0, 0.5),
        ] {
            let scale = Scale::around(low, high);
            assert!(scale.bottom <= low && scale.top >= high, "{low} to {high}: {scale:?}");
            assert!((scale.bottom / bottom - 1.0).abs() < 0.03 || bottom == 0.0, "{scale:?}");
            assert!((scale.top / top - 1.0).abs() < 0.03, "{low} to {high}: {scale:?}");
        }
    }

    #[test]
    fn points_are_joined_with_their_peaks_and_a_gap_stays_one() {
        let point = |low, mean, high| Some(TimePoint { low, mean, high });
        let points = [point(1.0, 2.0, 3.0), point(0.0, 4.0, 9.0), None, None];
        assert_eq!(fitted(&points, 2), [point(0.0, 3.0, 9.0), None]);
        assert_eq!(fitted(&points[1..3], 4), [points[1], points[1], None, None]);
        assert_eq!(fitted(&[], 2), [None, None]);
    }
}
