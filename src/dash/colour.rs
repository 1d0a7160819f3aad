//! Colours as numbers: what a colour of the terminal looks like, how well one is read on another, and
//! the nearest that a terminal with fewer colours has.
//!
//! Contrast is that of the Web Content Accessibility Guidelines 2.2 (success criteria 1.4.3 and
//! 1.4.11): from 1, not seen at all, to 21, black on white.

use ratatui::style::Color;

/// Red, green and blue, from 0 to 255.
pub(super) type Rgb = [u8; 3];

/// Contrast with its ground that text needs.
pub(super) const TEXT_CONTRAST: f64 = 4.5;

/// Contrast with its ground that lines and bars need.
pub(super) const MARK_CONTRAST: f64 = 3.0;

/// How many colours the terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// None: only bold, dim and reversed text.
    None,
    /// The sixteen of the terminal's own palette.
    Ansi16,
    /// The table of 256.
    Ansi256,
    /// 24 bits.
    True,
}

/// What a colour is seen on, and the contrast that it needs there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ground {
    /// The ground's colour.
    pub(super) rgb: Rgb,
    /// The contrast that is needed.
    pub(super) contrast: f64,
}

/// The sixteen colours of a terminal, as most of them show them.
pub(super) const ANSI: [(Color, Rgb); 16] = [
    (Color::Black, [0, 0, 0]),
    (Color::Red, [205, 0, 0]),
    (Color::Green, [0, 205, 0]),
    (Color::Yellow, [205, 205, 0]),
    (Color::Blue, [0, 0, 238]),
    (Color::Magenta, [205, 0, 205]),
    (Color::Cyan, [0, 205, 205]),
    (Color::Gray, [229, 229, 229]),
    (Color::DarkGray, [127, 127, 127]),
    (Color::LightRed, [255, 0, 0]),
    (Color::LightGreen, [0, 255, 0]),
    (Color::LightYellow, [255, 255, 0]),
    (Color::LightBlue, [92, 92, 255]),
    (Color::LightMagenta, [255, 0, 255]),
    (Color::LightCyan, [0, 255, 255]),
    (Color::White, [255, 255, 255]),
];

/// Levels of red, green and blue in the 6×6×6 cube of the 256-colour table.
const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// Returns what a colour looks like; nothing for the terminal's default, which nobody knows.
pub(super) fn rgb(colour: Color) -> Option<Rgb> {
    match colour {
        Color::Rgb(r, g, b) => Some([r, g, b]),
        Color::Indexed(index) => Some(indexed(index)),
        named => ANSI.iter().find(|(known, _)| *known == named).map(|(_, rgb)| *rgb),
    }
}

/// Returns the contrast of two colours.
pub(super) fn contrast(a: Rgb, b: Rgb) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Returns the relative luminance of a colour, from 0 (black) to 1 (white).
pub(super) fn luminance(rgb: Rgb) -> f64 {
    let [red, green, blue] = rgb.map(linear);
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/// Returns how much light a level of sRGB is, from 0 to 1.
pub(super) fn linear(level: u8) -> f64 {
    let level = f64::from(level) / 255.0;
    if level <= 0.04045 { level / 12.92 } else { ((level + 0.055) / 1.055).powf(2.4) }
}

/// Returns the nearest colour that the depth has and that can be read on every ground, or else the
/// one that is read best; none when the depth has no colours. A colour that the depth has stays as it
/// is. One without grounds is a ground itself.
pub(super) fn reduce(colour: Color, depth: Depth, grounds: &[Ground]) -> Option<Color> {
    match (depth, colour) {
        (Depth::None, _) => None,
        (Depth::Ansi256, Color::Rgb(r, g, b)) => {
            let table = (16..=255).map(|index| (Color::Indexed(index), indexed(index)));
            nearest(table, [r, g, b], grounds)
        }
        (Depth::Ansi16, Color::Rgb(..) | Color::Indexed(_)) => {
            nearest(ANSI.into_iter(), rgb(colour)?, grounds)
        }
        (Depth::Ansi16 | Depth::Ansi256 | Depth::True, colour) => Some(colour),
    }
}

/// Returns the nearest colour of a table that can be read on every ground, or else the one that is
/// read best.
fn nearest(
    table: impl Iterator<Item = (Color, Rgb)>,
    wanted: Rgb,
    grounds: &[Ground],
) -> Option<Color> {
    let enough = |rgb: Rgb| {
        let shares = grounds.iter().map(|ground| contrast(rgb, ground.rgb) / ground.contrast);
        shares.fold(1.0, f64::min)
    };
    let order = |(_, a): &(Color, Rgb), (_, b): &(Color, Rgb)| {
        let far = |rgb: Rgb| distance(rgb, wanted, grounds.is_empty());
        let by_distance = far(*a).total_cmp(&far(*b));
        enough(*b).total_cmp(&enough(*a)).then(by_distance)
    };
    table.min_by(order).map(|(colour, _)| colour)
}

/// Returns how far a colour is from another: what stands on a ground by how different they look, since
/// hues say what it means, and a ground itself by its levels, since of dark colours the lightness is seen first.
fn distance(a: Rgb, b: Rgb, is_ground: bool) -> f64 {
    let [a, b] =
        [a, b].map(|rgb| if is_ground { rgb.map(f64::from) } else { lab(rgb.map(linear)) });
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

/// Returns red, green and blue light in CIE L\*a\*b\* of a D65 white, in which equal distances look equal.
pub(super) fn lab(light: [f64; 3]) -> [f64; 3] {
    let to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]];
    let [x, y, z] = to_xyz.map(|row| row.iter().zip(light).map(|(a, b)| a * b).sum::<f64>());
    let f = |t: f64| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
    let (x, y, z) = (f(x / 0.950_47), f(y), f(z / 1.088_83));
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

/// Returns what an entry of the 256-colour table looks like.
fn indexed(index: u8) -> Rgb {
    match index {
        0..=15 => ANSI[usize::from(index)].1,
        16..=231 => {
            let n = usize::from(index - 16);
            [LEVELS[n / 36], LEVELS[n / 6 % 6], LEVELS[n % 6]]
        }
        232..=255 => [8 + 10 * (index - 232); 3],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_the_nearest_that_the_terminal_has() {
        let plain = |colour, depth| reduce(colour, depth, &[]);
        assert_eq!(plain(Color::Rgb(250, 5, 5), Depth::Ansi16), Some(Color::LightRed));
        assert_eq!(plain(Color::Rgb(255, 135, 0), Depth::Ansi256), Some(Color::Indexed(208)));
        assert_eq!(plain(Color::Indexed(196), Depth::Ansi16), Some(Color::LightRed));
        assert_eq!(plain(Color::Red, Depth::None), None);
        assert_eq!(plain(Color::Reset, Depth::Ansi16), Some(Color::Reset));
    }

    #[test]
    fn a_colour_that_could_not_be_read_gives_way_to_the_nearest_that_can() {
        let white = [Ground { rgb: [255, 255, 255], contrast: TEXT_CONTRAST }];
        let yellow = Color::Rgb(250, 250, 0);
        assert_eq!(reduce(yellow, Depth::Ansi16, &[]), Some(Color::LightYellow));
        let read = reduce(yellow, Depth::Ansi16, &white).and_then(rgb).unwrap();
        assert!(contrast(read, [255, 255, 255]) >= TEXT_CONTRAST, "{read:?}");
        let unreachable = [Ground { rgb: [127, 127, 127], contrast: 22.0 }];
        let best = reduce(yellow, Depth::Ansi16, &unreachable);
        assert_eq!(best, Some(Color::Black), "the best that there is");
    }

    #[test]
    fn contrast_is_that_of_the_guidelines() {
        assert!((contrast([0, 0, 0], [255, 255, 255]) - 21.0).abs() < 1e-9);
        assert!((contrast([0x77; 3], [255; 3]) - 4.48).abs() < 0.01);
    }
}
