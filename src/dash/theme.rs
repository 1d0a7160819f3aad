//! Colour themes: what a role looks like, from TOML.
//!
//! Code asks for a [`Role`], never for a colour. A theme names colours of the terminal (`red`,
//! `bright-blue`), numbers of the 256-colour table, or `#rrggbb`. [`Look`](crate::dash::Look) fits it
//! to the colours that the terminal has.

use crate::dash::background::Background;
use crate::dash::colour::Depth;
use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

/// What a piece of the screen means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Plain text and the background.
    Text,
    /// Proven to be well.
    Ok,
    /// To be looked at.
    Warn,
    /// Wrong.
    Error,
    /// At work.
    Busy,
    /// Old, unknown, or beside the point.
    Dim,
    /// The selected row.
    Selection,
    /// Lines between panes.
    Border,
    /// Headings.
    Title,
    /// Keys and marks.
    Accent,
    /// Small graphs and bars.
    Graph,
}

impl Role {
    /// Every role, in the order in which they are numbered.
    pub(super) const ALL: [Self; ROLES] = [
        Self::Text,
        Self::Ok,
        Self::Warn,
        Self::Error,
        Self::Busy,
        Self::Dim,
        Self::Selection,
        Self::Border,
        Self::Title,
        Self::Accent,
        Self::Graph,
    ];
}

/// Number of roles.
pub(super) const ROLES: usize = 11;

/// The themes that come with the program: name and TOML.
pub const THEMES: [(&str, &str); 12] = [
    ("terminal", include_str!("../../themes/terminal.toml")),
    ("catppuccin-latte", include_str!("../../themes/catppuccin-latte.toml")),
    ("catppuccin-frappe", include_str!("../../themes/catppuccin-frappe.toml")),
    ("catppuccin-macchiato", include_str!("../../themes/catppuccin-macchiato.toml")),
    ("catppuccin-mocha", include_str!("../../themes/catppuccin-mocha.toml")),
    ("gruvbox-dark", include_str!("../../themes/gruvbox-dark.toml")),
    ("gruvbox-light", include_str!("../../themes/gruvbox-light.toml")),
    ("nord", include_str!("../../themes/nord.toml")),
    ("solarized-dark", include_str!("../../themes/solarized-dark.toml")),
    ("solarized-light", include_str!("../../themes/solarized-light.toml")),
    ("deuteranopia", include_str!("../../themes/deuteranopia.toml")),
    ("monochrome", include_str!("../../themes/monochrome.toml")),
];

/// Names that follow the terminal's background: the dark theme that each stands for, and the light one.
pub const FOLLOWING: [(&str, &str, &str); 3] = [
    ("auto", "catppuccin-mocha", "catppuccin-latte"),
    ("gruvbox", "gruvbox-dark", "gruvbox-light"),
    ("solarized", "solarized-dark", "solarized-light"),
];

/// The colours that tell hosts apart where a theme names none: those of the terminal's own palette
/// that say nothing of how something is.
const HOSTS: [Color; 6] = [
    Color::Cyan,
    Color::Magenta,
    Color::Blue,
    Color::LightCyan,
    Color::LightMagenta,
    Color::LightBlue,
];

/// A theme that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThemeError {
    /// It is not TOML, or has a role or property that does not exist.
    #[error("the theme cannot be read: {0}")]
    Toml(String),
    /// A colour is not one.
    #[error(
        "{colour:?} is not a colour; write a name such as \"red\" or \"bright-blue\", a number of \
         the 256-colour table, or \"#rrggbb\""
    )]
    Colour {
        /// What was written.
        colour: String,
    },
}

/// How each role looks, before the terminal's abilities are taken into account.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Theme {
    styles: [Style; ROLES],
    /// The colours of the roles where the terminal has only its own sixteen, as far as the theme says them.
    sixteen: [Option<Color>; ROLES],
    /// The colours that tell hosts apart; none where their names alone do.
    pub(super) hosts: Vec<Color>,
}

/// What is shown on a dark background, and what on a light one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ThemePair {
    dark: Theme,
    light: Theme,
}

impl ThemePair {
    /// Returns the theme of that name, or those that a name of [`FOLLOWING`] stands for.
    pub fn named(name: &str) -> Option<Self> {
        match FOLLOWING.iter().find(|(known, _, _)| *known == name) {
            Some((_, dark, light)) => {
                Some(Self { dark: Theme::named(dark)?, light: Theme::named(light)? })
            }
            None => Theme::named(name).map(Self::from),
        }
    }

    /// Returns every name that [`Self::named`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let following = FOLLOWING.iter().map(|(name, _, _)| *name);
        THEMES.iter().map(|(name, _)| *name).chain(following)
    }

    /// Returns whether it must be known on what the text stands.
    pub(super) fn follows(&self) -> bool {
        self.dark != self.light
    }

    /// Returns the theme for a background.
    pub(super) fn on(&self, background: Background) -> &Theme {
        match background {
            Background::Dark => &self.dark,
            Background::Light => &self.light,
        }
    }
}

impl From<Theme> for ThemePair {
    fn from(theme: Theme) -> Self {
        Self { light: theme.clone(), dark: theme }
    }
}

/// A theme as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTheme {
    hosts: Option<Vec<String>>,
    #[serde(default)]
    text: RawStyle,
    ok: RawStyle,
    warn: RawStyle,
    error: RawStyle,
    busy: RawStyle,
    dim: RawStyle,
    selection: RawStyle,
    border: RawStyle,
    title: RawStyle,
    accent: RawStyle,
    graph: RawStyle,
}

/// A style as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawStyle {
    fg: Option<String>,
    fg16: Option<String>,
    bg: Option<String>,
    bold: bool,
    dim: bool,
    italic: bool,
    underline: bool,
    reverse: bool,
}

impl Theme {
    /// Returns the built-in theme of that name; see [`THEMES`].
    pub fn named(name: &str) -> Option<Self> {
        let (_, text) = THEMES.iter().find(|(known, _)| *known == name)?;
        Self::parse(text).ok()
    }

    /// Reads a theme from TOML: one table per role.
    pub fn parse(text: &str) -> Result<Self, ThemeError> {
        let raw: RawTheme =
            toml::from_str(text).map_err(|error| ThemeError::Toml(error.to_string()))?;
        let in_order = [
            raw.text,
            raw.ok,
            raw.warn,
            raw.error,
            raw.busy,
            raw.dim,
            raw.selection,
            raw.border,
            raw.title,
            raw.accent,
            raw.graph,
        ];
        let mut styles = [Style::new(); ROLES];
        let mut sixteen = [None; ROLES];
        for (index, raw) in in_order.iter().enumerate() {
            styles[index] = raw.style()?;
            sixteen[index] = raw.fg16.as_deref().map(colour).transpose()?;
        }
        let hosts = match raw.hosts {
            Some(hosts) => hosts.iter().map(|text| colour(text)).collect::<Result<_, _>>()?,
            None => HOSTS.to_vec(),
        };
        Ok(Self { styles, sixteen, hosts })
    }

    /// Returns the theme as a terminal of that depth can tell its roles apart. What the sixteen colours of
    /// a terminal look like, only the terminal knows: a colour that is not one of them is not guessed, but
    /// is the one that the theme `terminal` has for the role. Without colours, roles differ as they do
    /// in `monochrome`.
    pub(super) fn at(&self, depth: Depth) -> Self {
        let name = match depth {
            Depth::None => "monochrome",
            Depth::Ansi16 => "terminal",
            Depth::Ansi256 | Depth::True => return self.clone(),
        };
        let Some(plain) = Self::named(name) else { return self.clone() };
        let is_lost = |colour: Option<Color>| colour.is_some_and(|it| !is_terminal_s_own(it));
        let styles = Role::ALL.map(|role| {
            let (own, stand_in) = (self.style(role), plain.style(role));
            let is_kept = depth == Depth::Ansi16 && !is_lost(own.fg) && !is_lost(own.bg);
            if is_kept {
                return own;
            }
            let fg = if is_lost(own.fg) { stand_in.fg } else { own.fg };
            let bg = if is_lost(own.bg) { stand_in.bg } else { own.bg };
            Style { fg: self.sixteen[role as usize].or(fg), bg, ..own }
                .add_modifier(stand_in.add_modifier)
        });
        let has_lost = self.hosts.iter().any(|host| !is_terminal_s_own(*host));
        let hosts = if has_lost { plain.hosts } else { self.hosts.clone() };
        Self { styles, hosts, ..self.clone() }
    }

    /// Returns how a role looks.
    pub(super) fn style(&self, role: Role) -> Style {
        self.styles[role as usize]
    }
}

impl RawStyle {
    fn style(&self) -> Result<Style, ThemeError> {
        let mut style = Style::new();
        if let Some(text) = &self.fg {
            style = style.fg(colour(text)?);
        }
        if let Some(text) = &self.bg {
            style = style.bg(colour(text)?);
        }
        for (wanted, modifier) in [
            (self.bold, Modifier::BOLD),
            (self.dim, Modifier::DIM),
            (self.italic, Modifier::ITALIC),
            (self.underline, Modifier::UNDERLINED),
            (self.reverse, Modifier::REVERSED),
        ] {
            if wanted {
                style = style.add_modifier(modifier);
            }
        }
        Ok(style)
    }
}

/// Returns whether a colour is the terminal's default or one of its own sixteen.
fn is_terminal_s_own(colour: Color) -> bool {
    !matches!(colour, Color::Rgb(..) | Color::Indexed(16..))
}

/// Returns the colour that a text names.
fn colour(text: &str) -> Result<Color, ThemeError> {
    let bad = || ThemeError::Colour { colour: text.to_owned() };
    Ok(match text {
        "default" => Color::Reset,
        "black" => Color::Black,
        "red" => Color::Red,
        "green" => Color::Green,
        "yellow" => Color::Yellow,
        "blue" => Color::Blue,
        "magenta" => Color::Magenta,
        "cyan" => Color::Cyan,
        "white" => Color::Gray,
        "bright-black" => Color::DarkGray,
        "bright-red" => Color::LightRed,
        "bright-green" => Color::LightGreen,
        "bright-yellow" => Color::LightYellow,
        "bright-blue" => Color::LightBlue,
        "bright-magenta" => Color::LightMagenta,
        "bright-cyan" => Color::LightCyan,
        "bright-white" => Color::White,
        text => match text.strip_prefix('#') {
            Some(hex) if hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
                let value = u32::from_str_radix(hex, 16).map_err(|_| bad())?;
                Color::Rgb((value >> 16) as u8, (value >> 8) as u8, value as u8)
            }
            _ => Color::Indexed(text.parse().map_err(|_| bad())?),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_theme_that_comes_along_can_be_read() {
        for (name, text) in THEMES {
            assert_eq!(Theme::parse(text).map(|_| ()), Ok(()), "{name}");
        }
    }

    #[test]
    fn roles_are_numbered_in_their_order() {
        for (number, role) in Role::ALL.into_iter().enumerate() {
            assert_eq!(role as usize, number);
        }
    }

    #[test]
    fn a_mistake_in_a_theme_is_named() {
        let text = THEMES[0].1;
        let error = Theme::parse(&text.replace("[busy]", "[bussy]")).unwrap_err();
        assert!(error.to_string().contains("bussy"), "{error}");
        let error = colour("reddish").unwrap_err();
        assert!(error.to_string().contains("\"reddish\" is not a colour"), "{error}");
        assert_eq!(colour("#0a0B0c"), Ok(Color::Rgb(10, 11, 12)));
        assert_eq!(colour("208"), Ok(Color::Indexed(208)));
        assert!(colour("#ääa").is_err());
        let hosts = |list: &str| Theme::parse(&text.replacen("hosts = [", list, 1));
        let error = hosts("hosts = [\"reddish\", ").unwrap_err();
        assert!(error.to_string().contains("reddish"), "{error}");
        let without = text.split_once("]\n").unwrap().1;
        assert_eq!(Theme::parse(without).map(|theme| theme.hosts), Ok(HOSTS.to_vec()));
    }
}
