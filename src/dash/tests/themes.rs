//! Every theme that comes along: each role set, read on its ground at every depth, the selected row seen,
//! and the theme for eyes that do not tell red from green.

use crate::dash::colour::{Rgb, contrast, lab, linear, rgb};
use crate::dash::demo::{self, model};
use crate::dash::tests::screens::draw;
use crate::dash::{Background, Depth, Look, Role, THEMES, Theme, ThemePair};
use jiff::tz::TimeZone;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier, Style};

const DEPTHS: [Depth; 4] = [Depth::True, Depth::Ansi256, Depth::Ansi16, Depth::None];

/// What eyes without cones for green see, and those without cones for red: linear light after Machado,
/// Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency"
/// (2009), at full severity.
const BLINDNESS: [(&str, [[f64; 3]; 3]); 2] = [
    (
        "deuteranopia",
        [
            [0.367_322, 0.860_646, -0.227_968],
            [0.280_085, 0.672_501, 0.047_413],
            [-0.011_820, 0.042_940, 0.968_881],
        ],
    ),
    (
        "protanopia",
        [
            [0.152_286, 1.052_583, -0.204_868],
            [0.114_503, 0.786_281, 0.099_216],
            [-0.003_882, -0.048_116, 1.051_998],
        ],
    ),
];

fn themes() -> impl Iterator<Item = (&'static str, Theme)> {
    THEMES.iter().map(|(name, _)| (*name, Theme::named(name).unwrap()))
}

fn look(theme: &Theme, depth: Depth) -> Look {
    Look::new(theme.clone(), depth, false, TimeZone::UTC)
}

/// Returns the contrast of a style with a ground, where both are known.
fn contrast_on(style: Style, ground: Style) -> Option<f64> {
    Some(contrast(style.fg.and_then(rgb)?, ground.bg.and_then(rgb)?))
}

#[test]
fn every_role_has_a_value_in_every_theme() {
    for (name, theme) in themes() {
        for role in Role::ALL {
            assert_ne!(theme.style(role), Style::new(), "{role:?} in {name}");
        }
        assert!(name == "monochrome" || theme.hosts.len() >= 6, "{name}");
    }
}

#[test]
fn the_page_of_keys_names_every_theme() {
    let page = crate::config::page_of_keys();
    for name in ThemePair::names() {
        assert!(page.contains(&format!("`\"{name}\"`")), "{name}");
    }
}

#[test]
fn the_page_of_themes_names_every_theme_and_every_role() {
    let page = include_str!("../../../docs/themes.md");
    for name in ThemePair::names() {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
    for role in Role::ALL {
        let role = format!("{role:?}").to_lowercase();
        assert!(page.contains(&format!("\n| `{role}` |")), "{role}");
    }
}

#[test]
fn a_theme_that_follows_the_background_is_that_of_its_name_on_each() {
    for (name, dark, light) in crate::dash::FOLLOWING {
        let pair = ThemePair::named(name).unwrap();
        assert!(pair.follows(), "{name}");
        for (background, theme) in [(Background::Dark, dark), (Background::Light, light)] {
            assert_eq!(pair.on(background), &Theme::named(theme).unwrap(), "{name}");
            let ground = pair.on(background).style(Role::Text).bg.and_then(rgb).unwrap();
            assert_eq!(Background::of(ground), background, "{theme}");
        }
        let look = Look::new(pair, Depth::True, false, TimeZone::UTC);
        let grounds = [Background::Dark, Background::Light]
            .map(|background| look.clone().on(background).style(Role::Text).bg);
        assert_ne!(grounds[0], grounds[1], "{name}");
    }
    assert!(!ThemePair::named("terminal").unwrap().follows());
}

#[test]
fn every_role_is_read_on_the_ground_of_its_theme() {
    let mut with_ground = 0;
    for (name, theme) in themes() {
        for depth in [Depth::True, Depth::Ansi256, Depth::Ansi16] {
            let look = look(&theme, depth);
            let text = look.style(Role::Text);
            with_ground += usize::from(text.bg.and_then(rgb).is_some());
            for role in Role::ALL.into_iter().filter(|role| *role != Role::Selection) {
                let needed = if matches!(role, Role::Border | Role::Graph) { 3.0 } else { 4.5 };
                let found = contrast_on(look.style(role), text).unwrap_or(21.0);
                assert!(found >= needed, "{role:?} in {name} at {depth:?}: {found:.2}");
            }
            for number in 0..theme.hosts.len() {
                let found = contrast_on(look.host_style(number), text).unwrap_or(21.0);
                assert!(found >= 4.5, "host {number} in {name} at {depth:?}: {found:.2}");
            }
        }
    }
    assert_eq!(with_ground, 2 * (THEMES.len() - 2), "all but terminal and monochrome have one");
}

/// How different two colours must be to be told apart at a glance, in CIE L\*a\*b\*.
const TOLD_APART: f64 = 18.0;

#[test]
fn well_to_be_looked_at_wrong_and_keys_have_colours_that_are_told_apart() {
    let eyes = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    let roles = [Role::Ok, Role::Warn, Role::Error, Role::Accent];
    for (name, theme) in themes().filter(|(name, _)| *name != "monochrome") {
        for depth in [Depth::True, Depth::Ansi256, Depth::Ansi16] {
            let look = look(&theme, depth);
            let ground = look.style(Role::Text).bg.and_then(rgb);
            let colour = |role| look.style(role).fg.and_then(rgb).unwrap();
            for (at, one) in roles.into_iter().enumerate() {
                let others = roles[at + 1..].iter().map(|other| (Some(*other), colour(*other)));
                for (other, rgb) in others.chain(ground.map(|ground| (None, ground))) {
                    let found = difference(colour(one), rgb, &eyes);
                    assert!(
                        found >= TOLD_APART,
                        "{one:?} and {other:?} in {name} at {depth:?}: {found:.1}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_key_stands_out_from_what_is_beside_the_point() {
    for (name, theme) in themes() {
        for depth in DEPTHS {
            let look = look(&theme, depth);
            let (key, dim) = (look.style(Role::Accent), look.style(Role::Dim));
            assert!(!key.add_modifier.contains(Modifier::DIM), "{name} at {depth:?}");
            assert_ne!(key, dim, "{name} at {depth:?}");
            if let (Some(key), Some(dim)) = (key.fg.and_then(rgb), dim.fg.and_then(rgb)) {
                let ground = look.style(Role::Text).bg.and_then(rgb).unwrap_or([0; 3]);
                let (key, dim) = (contrast(key, ground), contrast(dim, ground));
                assert!(key >= dim * 0.9, "{name} at {depth:?}: {key:.1} and {dim:.1}");
            }
        }
    }
}

#[test]
fn sixteen_colours_are_the_terminal_s_own_on_its_own_ground() {
    let terminal = look(&Theme::named("terminal").unwrap(), Depth::Ansi16);
    for (name, theme) in themes().filter(|(name, _)| !["monochrome", "deuteranopia"].contains(name))
    {
        let look = look(&theme, Depth::Ansi16);
        for role in Role::ALL {
            let (shown, own) = (look.style(role), terminal.style(role));
            assert_eq!((shown.fg, shown.bg), (own.fg, own.bg), "{role:?} in {name}");
        }
        for number in 0..6 {
            assert_eq!(look.host_style(number), terminal.host_style(number), "{name}");
        }
    }
    let own = "fg = \"#123456\"\nfg16 = \"bright-magenta\"";
    let (_, text) = THEMES[0];
    let theme = Theme::parse(&text.replace("fg = \"green\"", own)).unwrap();
    assert_eq!(look(&theme, Depth::Ansi16).style(Role::Ok).fg, Some(Color::LightMagenta));
    assert_eq!(look(&theme, Depth::True).style(Role::Ok).fg, Some(Color::Rgb(0x12, 0x34, 0x56)));
}

#[test]
fn what_is_said_on_the_selected_row_is_read_too() {
    for (name, theme) in themes() {
        for depth in [Depth::True, Depth::Ansi256] {
            let look = look(&theme, depth);
            let selected = look.style(Role::Selection);
            for role in Role::ALL {
                let needed = match role {
                    Role::Text => 4.5,
                    Role::Border | Role::Selection => continue,
                    _ => 3.0,
                };
                let found = contrast_on(look.style(role), selected).unwrap_or(21.0);
                assert!(found >= needed, "{role:?} in {name} at {depth:?}: {found:.2}");
            }
        }
    }
}

#[test]
fn the_terminal_s_own_themes_leave_its_colours_to_it() {
    for name in ["terminal", "monochrome"] {
        let theme = Theme::named(name).unwrap();
        let colours = Role::ALL.map(|role| theme.style(role)).into_iter();
        let colours = colours.flat_map(|style| [style.fg, style.bg]).flatten();
        for colour in colours.chain(theme.hosts.iter().copied()) {
            assert!(!matches!(colour, Color::Rgb(..) | Color::Indexed(_)), "{name}: {colour:?}");
            assert!(name == "terminal" || colour == Color::Reset, "{name}: {colour:?}");
        }
    }
}

/// Returns the cells of the row of the fleet's view that says this.
fn row<'a>(buffer: &'a Buffer, host: &str) -> &'a [Cell] {
    let mut rows = buffer.content.chunks(usize::from(buffer.area.width));
    let says = |row: &&[Cell]| {
        let text: String = row.iter().map(Cell::symbol).collect();
        text.trim_start_matches([' ', '›']).starts_with(host)
    };
    rows.find(says).unwrap()
}

#[test]
fn the_selected_row_is_seen_in_every_theme_at_every_depth() {
    let model = model(demo::troubled(), 110, 30);
    for (name, theme) in themes() {
        for depth in DEPTHS {
            let buffer = draw(&model, &look(&theme, depth));
            let (selected, other) = (&row(&buffer, "p620")[40], &row(&buffer, "razer")[40]);
            let reversed = |cell: &Cell| cell.modifier.contains(Modifier::REVERSED);
            let is_lit = match (rgb(selected.bg), rgb(other.bg)) {
                (Some(a), Some(b)) => contrast(a, b) >= 1.2,
                _ => false,
            };
            let is_seen = is_lit || (reversed(selected) && !reversed(other));
            assert!(is_seen, "{name} at {depth:?}: {selected:?} beside {other:?}");
            if depth == Depth::None {
                let plain = |cell: &Cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset);
                assert!(buffer.content.iter().all(plain), "{name}");
            }
        }
    }
}

/// Returns a colour as those eyes see it, in CIE L\*a\*b\*.
fn seen(colour: Rgb, blindness: &[[f64; 3]; 3]) -> [f64; 3] {
    let light = colour.map(linear);
    let mixed = |row: &[f64; 3]| row.iter().zip(light).map(|(a, b)| a * b).sum::<f64>();
    lab(blindness.map(|row| mixed(&row).clamp(0.0, 1.1)))
}

/// Returns how different two colours are for those eyes; from about 2 on one sees a difference side by
/// side.
fn difference(a: Rgb, b: Rgb, blindness: &[[f64; 3]; 3]) -> f64 {
    let squares = seen(a, blindness).into_iter().zip(seen(b, blindness));
    squares.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn eyes_that_do_not_tell_red_from_green_tell_well_from_wrong() {
    let theme = Theme::named("deuteranopia").unwrap();
    for depth in [Depth::True, Depth::Ansi256, Depth::Ansi16] {
        let look = look(&theme, depth);
        let colour = |role| look.style(role).fg.and_then(rgb).unwrap();
        for (eyes, matrix) in &BLINDNESS {
            let pairs =
                [(Role::Ok, Role::Warn), (Role::Ok, Role::Error), (Role::Warn, Role::Error)];
            for (a, b) in pairs {
                let found = difference(colour(a), colour(b), matrix);
                assert!(found >= 25.0, "{a:?} and {b:?} at {depth:?}, {eyes}: {found:.1}");
            }
        }
    }
    // The matrix does what it is for: a red and a green of one brightness become alike.
    let (red, green) = ([0xc0, 0x50, 0x30], [0x80, 0x78, 0x20]);
    assert!(difference(red, green, &BLINDNESS[0].1) < 15.0);
}

#[test]
fn well_from_wrong_is_told_without_any_colour() {
    for (name, theme) in themes() {
        let look = look(&theme, Depth::None);
        let [ok, warn, error] = [Role::Ok, Role::Warn, Role::Error].map(|role| look.style(role));
        assert!(ok != warn && warn != error && ok != error, "{name}");
    }
}
