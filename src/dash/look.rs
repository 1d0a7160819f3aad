//! What the terminal can show: the theme at its colour depth, and plain ASCII where it must be.

use crate::dash::background::Background;
use crate::dash::colour::{
    ANSI, Depth, Ground, MARK_CONTRAST, TEXT_CONTRAST, contrast, reduce, rgb,
};
use crate::dash::theme::{ROLES, Role, ThemePair};
use crate::fleet::TextStyle;
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

/// Contrast with the other rows by which the ground of the selected one is seen.
const SELECTION_CONTRAST: f64 = 1.2;

/// How the screen is to look.
#[derive(Clone, Debug)]
pub struct Look {
    styles: [Style; ROLES],
    hosts: Vec<Style>,
    /// How many colours the texts of logs have: none where the theme has none.
    of_logs: Depth,
    themes: ThemePair,
    /// The themes that others are shown instead of for a while.
    before: Option<ThemePair>,
    background: Background,
    depth: Depth,
    /// Whether only ASCII characters may be written.
    pub ascii: bool,
    /// The zone in which times of day are shown.
    pub zone: TimeZone,
}

impl Look {
    /// Returns a theme as a terminal of that depth can show it: each colour by the nearest that can be
    /// read, and the selected row so that it is seen.
    pub fn new(themes: impl Into<ThemePair>, depth: Depth, ascii: bool, zone: TimeZone) -> Self {
        Self { themes: themes.into(), depth, ascii, zone, ..Self::plain() }.fitted()
    }

    /// Returns it on another background.
    #[must_use]
    pub fn on(self, background: Background) -> Self {
        Self { background, ..self }.fitted()
    }

    /// Returns it with the theme of that name for a while; without a name that is known, with the one that
    /// was there before.
    #[must_use]
    pub fn with_theme(mut self, name: Option<&str>) -> Self {
        let before = self.before.take().unwrap_or_else(|| self.themes.clone());
        match name.and_then(ThemePair::named) {
            Some(themes) => Self { themes, before: Some(before), ..self }.fitted(),
            None => Self { themes: before, ..self }.fitted(),
        }
    }

    /// Returns it with the theme that is shown for good.
    #[must_use]
    pub fn let_theme_stay(self) -> Self {
        Self { before: None, ..self }
    }

    /// Returns whether it must be known on what the text stands.
    pub(super) fn follows(&self) -> bool {
        self.depth != Depth::None && self.themes.follows()
    }

    /// Fits the theme to the terminal.
    fn fitted(self) -> Self {
        let depth = self.depth;
        let theme = self.themes.on(self.background).at(depth);
        let bare = |style: Style| style.bg.and_then(|colour| reduce(colour, depth, &[]));
        let text = Style { bg: bare(theme.style(Role::Text)), ..theme.style(Role::Text) };
        let selection = selection(theme.style(Role::Selection), text, depth);
        let seen = |style: Style, contrast: f64, selected: f64| {
            let on = [(text.bg, contrast), (selection.bg, selected)];
            let on = on.iter().filter_map(|(ground, contrast)| {
                Some(Ground { rgb: (*ground).and_then(rgb)?, contrast: *contrast })
            });
            let grounds: Vec<Ground> = on.collect();
            let fg = style.fg.and_then(|colour| reduce(colour, depth, &grounds));
            Style { fg, bg: bare(style), ..style }
        };
        let styles = Role::ALL.map(|role| match role {
            Role::Selection => Style { bg: selection.bg, ..seen(selection, 1.0, TEXT_CONTRAST) },
            Role::Text => seen(theme.style(role), TEXT_CONTRAST, TEXT_CONTRAST),
            Role::Border => seen(theme.style(role), MARK_CONTRAST, 1.0),
            Role::Graph => seen(theme.style(role), MARK_CONTRAST, MARK_CONTRAST),
            Role::Ok
            | Role::Warn
            | Role::Error
            | Role::Busy
            | Role::Dim
            | Role::Title
            | Role::Accent => seen(theme.style(role), TEXT_CONTRAST, MARK_CONTRAST),
        });
        let host = |colour| seen(Style::new().fg(colour), TEXT_CONTRAST, MARK_CONTRAST);
        let hosts = theme.hosts.iter().copied().map(host).collect();
        let is_coloured = |role: Role| theme.style(role).fg.or(theme.style(role).bg).is_some();
        let of_logs = if Role::ALL.into_iter().any(is_coloured) { depth } else { Depth::None };
        Self { styles, hosts, of_logs, ..self }
    }

    /// Returns the look of a terminal without colours in UTC, for measuring what will be drawn.
    pub(super) fn plain() -> Self {
        let styles = [Style::default(); ROLES];
        let (themes, background) = (ThemePair::default(), Background::default());
        let (hosts, depth, zone) = (Vec::new(), Depth::None, TimeZone::UTC);
        let before = None;
        Self {
            styles,
            hosts,
            of_logs: depth,
            themes,
            before,
            background,
            depth,
            ascii: false,
            zone,
        }
    }

    /// Returns how a role looks.
    pub fn style(&self, role: Role) -> Style {
        self.styles[role as usize]
    }

    /// Returns how the name of the host of that number looks where lines of several hosts stand below
    /// each other.
    pub fn host_style(&self, number: usize) -> Style {
        let number = number.checked_rem(self.hosts.len()).unwrap_or_default();
        self.hosts.get(number).copied().unwrap_or_default()
    }

    /// Returns how a piece of a log looks that a program coloured: red, green and yellow as the theme
    /// shows what is wrong, well and to be looked at, so that they can be read and told apart in it.
    pub fn log_style(&self, text: TextStyle) -> Style {
        if self.of_logs == Depth::None {
            return Style::default();
        }
        let colour = |colour: u8| {
            let role = match colour {
                1 | 9 => Some(Role::Error),
                2 | 10 => Some(Role::Ok),
                3 | 11 => Some(Role::Warn),
                _ => None,
            };
            let usual = || match ANSI.get(usize::from(colour)) {
                Some((named, _)) => Some(*named),
                None => reduce(Color::Indexed(colour), self.of_logs, &[]),
            };
            role.and_then(|role| self.style(role).fg).or_else(usual)
        };
        let mut modifiers = Modifier::empty();
        modifiers.set(Modifier::BOLD, text.bold);
        modifiers.set(Modifier::DIM, text.dim);
        modifiers.set(Modifier::UNDERLINED, text.underlined);
        Style {
            fg: text.foreground.and_then(colour),
            bg: text.background.and_then(colour),
            ..Style::default()
        }
        .add_modifier(modifiers)
    }

    /// Writes what was drawn in ASCII, when only that may be written.
    pub(super) fn finish(&self, buffer: &mut Buffer) {
        if !self.ascii {
            return;
        }
        for cell in &mut buffer.content {
            if !cell.symbol().is_ascii() {
                let plain = cell.symbol().chars().next().map_or(' ', to_ascii);
                cell.set_char(plain);
            }
        }
    }
}

/// Returns how the selected row looks on a terminal of that depth: reversed where its own ground is
/// not seen or is lost.
fn selection(style: Style, text: Style, depth: Depth) -> Style {
    let bg = style.bg.and_then(|colour| reduce(colour, depth, &[]));
    let is_far = match (bg.and_then(rgb), text.bg.and_then(rgb)) {
        (Some(a), Some(b)) => contrast(a, b) >= SELECTION_CONTRAST,
        (Some(_), None) => true,
        (None, _) => false,
    };
    // Of the sixteen colours only the terminal knows what they look like.
    let is_kept = depth != Depth::Ansi16 || bg == style.bg;
    if is_far && is_kept {
        Style { bg, ..style }
    } else {
        Style { bg: None, ..style }.add_modifier(Modifier::REVERSED)
    }
}

/// Returns the colour depth that the environment asks for; `var` reads a variable.
///
/// `NO_COLOR` wins over everything, then `COLORTERM`, then `TERM`.
pub fn depth_from(var: impl Fn(&str) -> Option<String>) -> Depth {
    if var("NO_COLOR").is_some_and(|text| !text.is_empty()) {
        return Depth::None;
    }
    let colorterm = var("COLORTERM").unwrap_or_default();
    if colorterm == "truecolor" || colorterm == "24bit" {
        return Depth::True;
    }
    let term = var("TERM").unwrap_or_default();
    if term == "dumb" || term.ends_with("-m") || term.ends_with("-mono") {
        Depth::None
    } else if term.ends_with("-direct") {
        Depth::True
    } else if term.contains("256color") {
        Depth::Ansi256
    } else {
        Depth::Ansi16
    }
}

/// Returns whether the environment's locale is not UTF-8; `var` reads a variable.
pub fn ascii_from(var: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| var(name).filter(|text| !text.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
    let locale = locale.unwrap_or_default().to_lowercase();
    !(locale.contains("utf-8") || locale.contains("utf8"))
}

/// Returns a text with every character that is not ASCII replaced by the one that stands in.
pub fn ascii(text: &str) -> String {
    text.chars().map(to_ascii).collect()
}

/// ASCII characters, each with those that it stands in for.
const STAND_INS: [(char, &str); 22] = [
    ('*', "●▇"),
    ('o', "○"),
    ('!', "▲"),
    ('x', "✗×"),
    ('+', "✓▆┌┐└┘├┤┬┴┼╭╮╰╯"),
    ('#', "◆█▉▊"),
    ('P', "⚷"),
    ('R', "⊘"),
    ('>', "›→▸≥"),
    ('<', "←≤"),
    ('^', "↑▴"),
    ('v', "↓▼▾"),
    ('|', "◐│▏▕"),
    ('/', "◓"),
    ('\\', "◒"),
    ('-', "◑–—─━▄"),
    ('_', "▁"),
    ('.', "▂·…"),
    (':', "▃"),
    ('=', "▅▋▌▍▎"),
    ('"', "“”„"),
    ('\'', "‘’"),
];

/// Returns the ASCII character that stands in for another.
fn to_ascii(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    if c.is_whitespace() {
        return ' ';
    }
    let stand_in = STAND_INS.iter().find(|(_, others)| others.contains(c));
    stand_in.map_or('?', |(plain, _)| *plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn the_environment_says_how_many_colours_there_are() {
        for (vars, depth) in [
            (&[("TERM", "xterm")][..], Depth::Ansi16),
            (&[("TERM", "screen-256color")], Depth::Ansi256),
            (&[("TERM", "xterm"), ("COLORTERM", "truecolor")], Depth::True),
            (&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")], Depth::None),
            (&[("NO_COLOR", ""), ("TERM", "xterm-256color")], Depth::Ansi256),
            (&[("TERM", "dumb")], Depth::None),
        ] {
            assert_eq!(depth_from(env(vars)), depth, "{vars:?}");
        }
    }

    #[test]
    fn without_a_utf_8_locale_only_ascii_is_written() {
        assert!(ascii_from(env(&[("LANG", "C")])));
        assert!(ascii_from(env(&[])));
        assert!(!ascii_from(env(&[("LANG", "C"), ("LC_ALL", "C.UTF-8")])));
        assert!(!ascii_from(env(&[("LANG", "de_DE.utf8"), ("LC_ALL", "")])));
        assert_eq!(ascii("p510 ⚷ ○ – ▲"), "p510 P o - !");
    }

    #[test]
    fn colours_of_a_log_are_those_of_the_theme_and_none_where_there_are_none() {
        let red = TextStyle { foreground: Some(1), bold: true, ..TextStyle::default() };
        let blue = TextStyle { foreground: Some(12), underlined: true, ..TextStyle::default() };
        let orange = TextStyle { background: Some(208), ..TextStyle::default() };
        let look = |theme: &str, depth| {
            Look::new(crate::dash::Theme::parse(theme).unwrap(), depth, false, TimeZone::UTC)
        };
        let (_, plain) = crate::dash::THEMES[0];
        let terminal = look(plain, Depth::True);
        assert_eq!(terminal.log_style(red), Style::new().fg(Color::Red).bold());
        assert_eq!(terminal.log_style(blue), Style::new().fg(Color::LightBlue).underlined());
        assert_eq!(terminal.log_style(orange), Style::new().bg(Color::Indexed(208)));
        let pink = look(&plain.replace("\"red\"", "\"#ff79c6\""), Depth::True);
        assert_eq!(pink.log_style(red).fg, Some(Color::Rgb(255, 121, 198)));
        // Without colours nothing of it is left, also not where a theme has none.
        let has_colour =
            |line: &str| ["fg", "bg", "hosts"].iter().any(|word| line.starts_with(word));
        let grey: Vec<&str> = plain.lines().filter(|line| !has_colour(line)).collect();
        for look in [look(plain, Depth::None), look(&grey.join("\n"), Depth::True)] {
            assert_eq!(look.log_style(red), Style::default());
        }
    }
}
