//! Which theme the dashboard has: one that comes along, by its name, or that of a file.

use crate::config::nearest;
use crate::dash::{Msg, Theme, ThemePair};
use crate::fleet::{Fleet, printable_line};
use crate::record::state_home;
use std::path::{Path, PathBuf};

/// The theme when nothing names one.
pub(super) const DEFAULT_THEME: &str = "terminal";

/// Biggest file that is taken for a theme's, in bytes.
const SIZE_LIMIT: u64 = 64 << 10;

/// Why a theme cannot be shown, and what to do about it.
pub(super) type ThemeMistake = (String, String);

/// Returns the theme of that name, or that of that file: whatever is a path is a whole one, since
/// `hosts.toml` was read so.
pub(super) fn find(name: &str) -> Result<ThemePair, ThemeMistake> {
    if let Some(theme) = ThemePair::named(name) {
        return Ok(theme);
    }
    if !name.contains('/') {
        let names: Vec<&str> = ThemePair::names().collect();
        let all = format!("the themes are {}, or the path of a file", names.join(", "));
        let hint = match nearest(name, &names) {
            Some(near) => format!("did you mean {near:?}? {all}"),
            None => all,
        };
        return Err((format!("no theme is called {name:?}"), hint));
    }
    let shown = printable_line(name);
    let text = read(name).map_err(|error| {
        let hint = "make the file readable, or name a built-in theme, such as \"nord\"";
        (format!("the theme {shown} could not be read: {error}"), hint.to_owned())
    })?;
    Theme::parse(&text).map(ThemePair::from).map_err(|error| {
        let error = printable_line(&error.to_string());
        let hint = "correct the file, or name a built-in theme, such as \"nord\"";
        (format!("the theme {shown} has a mistake: {error}"), hint.to_owned())
    })
}

/// Reads the file of a theme.
fn read(path: &str) -> std::io::Result<String> {
    let data = std::fs::metadata(path)?;
    if !data.is_file() || data.len() > SIZE_LIMIT {
        return Err(std::io::Error::other("it is not a file of at most 64 KiB"));
    }
    std::fs::read_to_string(path)
}

/// Returns what is wrong with the theme that `hosts.toml` names.
pub(super) fn mistake(fleet: &Fleet) -> Option<ThemeMistake> {
    let (message, hint) = find(fleet.theme.as_deref()?).err()?;
    Some((format!("`theme` in [ui]: {message}"), hint))
}

/// Returns the file that keeps the theme of this user.
fn kept_file(state: &Path) -> PathBuf {
    state.join("theme")
}

/// Returns the theme that this user keeps.
fn kept(state: &Path) -> Option<String> {
    let text = read(kept_file(state).to_str()?).ok()?;
    Some(text.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Keeps a theme for this user, and says how everybody would get it.
pub(super) fn keep(state: &Path, theme: &str) -> Msg {
    let file = kept_file(state);
    let written =
        std::fs::create_dir_all(state).and_then(|()| std::fs::write(&file, format!("{theme}\n")));
    let (text, bad) = match written {
        Ok(()) => {
            let line = format!("theme = {theme:?}");
            let told = format!(
                "{theme} is kept for you; for everybody, write {line} in [ui] of hosts.toml"
            );
            (told, false)
        }
        Err(error) => (
            format!("{theme} is shown, but could not be kept in {}: {error}", file.display()),
            true,
        ),
    };
    Msg::Said { text, bad }
}

/// Returns the name of the theme that the dashboard shows: the one that this user keeps, else that of
/// hosts.toml.
pub(super) fn name(fleet: &Fleet) -> String {
    chosen(fleet, kept(&state_home()))
}

fn chosen(fleet: &Fleet, kept: Option<String>) -> String {
    kept.or_else(|| fleet.theme.clone()).unwrap_or_else(|| DEFAULT_THEME.to_owned())
}

/// Returns the theme of that name; where it cannot be shown, the default and a sentence that says so.
pub(super) fn of(name: &str) -> (ThemePair, Option<String>) {
    match find(name) {
        Ok(theme) => (theme, None),
        Err((message, _)) => {
            let text = format!("{message}, so {DEFAULT_THEME} is shown: nixdash config check");
            (find(DEFAULT_THEME).unwrap_or_default(), Some(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dash::THEMES;

    fn fleet(theme: &str) -> Fleet {
        Fleet { theme: Some(theme.to_owned()), ..crate::config::fallback() }
    }

    #[test]
    fn an_unknown_theme_is_a_mistake_with_the_nearest_name() {
        let (message, hint) = mistake(&fleet("gruvbox-drak")).unwrap();
        assert_eq!(message, "`theme` in [ui]: no theme is called \"gruvbox-drak\"");
        assert!(
            hint.starts_with("did you mean \"gruvbox-dark\"? the themes are terminal, "),
            "{hint}"
        );
        let (_, hint) = mistake(&fleet("dark")).unwrap();
        assert!(hint.starts_with("the themes are") && hint.contains("solarized-dark"), "{hint}");
        assert_eq!(mistake(&fleet("nord")), None);
        assert_eq!(mistake(&fleet("auto")), None);
        assert_eq!(mistake(&crate::config::fallback()), None);
    }

    #[test]
    fn a_theme_of_a_file_is_read_and_its_mistakes_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.toml");
        let name = path.to_str().unwrap();
        assert!(mistake(&fleet(name)).unwrap().0.contains("could not be read"));
        std::fs::write(&path, THEMES[0].1.replace("\"yellow\"", "\"yelow\"")).unwrap();
        assert!(mistake(&fleet(name)).unwrap().0.contains("\"yelow\" is not a colour"));
        std::fs::write(&path, THEMES[0].1).unwrap();
        assert_eq!(mistake(&fleet(name)), None);
    }

    #[test]
    fn the_dashboard_opens_with_another_theme_and_says_why() {
        let (theme, why) = of("dark");
        assert_eq!(Some(theme), ThemePair::named(DEFAULT_THEME));
        let why = why.unwrap();
        assert_eq!(why, "no theme is called \"dark\", so terminal is shown: nixdash config check");
        let (theme, why) = of("nord");
        assert_eq!((Some(theme), why), (ThemePair::named("nord"), None));
    }

    #[test]
    fn what_this_user_keeps_comes_before_hosts_toml() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        assert_eq!(chosen(&fleet("nord"), kept(&state)), "nord");
        assert_eq!(chosen(&crate::config::fallback(), kept(&state)), DEFAULT_THEME);
        let text = "gruvbox is kept for you; for everybody, write theme = \"gruvbox\" in [ui] of \
             hosts.toml";
        assert_eq!(keep(&state, "gruvbox"), Msg::Said { text: text.to_owned(), bad: false });
        assert_eq!(chosen(&fleet("nord"), kept(&state)), "gruvbox");
        std::fs::write(kept_file(&state), "\n").unwrap();
        assert_eq!(chosen(&fleet("nord"), kept(&state)), "nord", "an empty file keeps nothing");
        let Msg::Said { text, bad } = keep(&kept_file(&state), "nord") else { panic!() };
        assert!(bad && text.contains("nord is shown, but could not be kept in"), "{text}");
    }
}
