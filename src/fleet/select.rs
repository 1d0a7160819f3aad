//! Selectors: names, globs, `@tag` and `all`.

use crate::fleet::Fleet;

/// A selector that selects nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// No host has that name or matches that glob.
    #[error("no host is called or matches {selector:?}; the {among} has: {known}")]
    NoHost {
        /// What was typed.
        selector: String,
        /// Whose hosts are meant: `fleet` or `run`.
        among: &'static str,
        /// The names there are.
        known: String,
    },
    /// No host has that name, and hosts have it as a tag.
    #[error("no host is called {tag:?}, but it is a tag: write @{tag} for the hosts that have it")]
    IsTag {
        /// What was typed.
        tag: String,
    },
    /// There is nothing to select from.
    #[error("the fleet has no hosts; add [hosts.NAME] to hosts.toml")]
    Empty,
    /// No host has that tag.
    #[error("no host of the {among} has the tag {tag:?}; the tags are: {known}")]
    NoTag {
        /// What was typed, without the `@`.
        tag: String,
        /// Whose hosts are meant: `fleet` or `run`.
        among: &'static str,
        /// The tags there are.
        known: String,
    },
}

/// Returns the names of the selected hosts, each once, in the fleet's order.
///
/// A selector is a host's name, a glob with `*` and `?`, `@tag`, or `all`; several are joined.
/// A selector that selects nothing is an error, so that a typing mistake never passes as success.
pub fn select(fleet: &Fleet, selectors: &[String]) -> Result<Vec<String>, SelectError> {
    if fleet.hosts.is_empty() && !selectors.is_empty() {
        return Err(SelectError::Empty);
    }
    let hosts = fleet.hosts.iter().map(|host| (host.name.as_str(), &host.tags[..]));
    select_among("fleet", &hosts.collect::<Vec<_>>(), selectors)
}

/// Does what [`select`] does, among the hosts of a `fleet` or a `run`, each with its tags.
pub fn select_among(
    among: &'static str,
    hosts: &[(&str, &[String])],
    selectors: &[String],
) -> Result<Vec<String>, SelectError> {
    let mut chosen = vec![false; hosts.len()];
    for selector in selectors {
        let mut any = false;
        for ((name, tags), chosen) in hosts.iter().zip(&mut chosen) {
            let hit = if selector == "all" {
                true
            } else if let Some(tag) = selector.strip_prefix('@') {
                tags.iter().any(|have| have == tag)
            } else {
                glob(selector.as_bytes(), name.as_bytes())
            };
            *chosen |= hit;
            any |= hit;
        }
        if !any {
            return Err(nothing(among, hosts, selector));
        }
    }
    let chosen = hosts.iter().zip(chosen).filter(|(_, chosen)| *chosen);
    Ok(chosen.map(|((name, _), _)| (*name).to_owned()).collect())
}

/// Returns the names of the selected hosts, as [`select`] does; without a selector those of all hosts. A
/// fleet of tiers has none, and that is no mistake.
pub fn select_or_all(fleet: &Fleet, selectors: &[String]) -> Result<Vec<String>, SelectError> {
    if selectors.is_empty() {
        return Ok(fleet.hosts.iter().map(|host| host.name.clone()).collect());
    }
    select(fleet, selectors)
}

/// Returns the error for a selector without a match, with what could have been meant.
fn nothing(among: &'static str, hosts: &[(&str, &[String])], selector: &str) -> SelectError {
    let mut tags: Vec<&str> =
        hosts.iter().flat_map(|(_, tags)| *tags).map(String::as_str).collect();
    tags.sort_unstable();
    tags.dedup();
    if let Some(tag) = selector.strip_prefix('@') {
        return SelectError::NoTag { tag: tag.to_owned(), among, known: tags.join(", ") };
    }
    if tags.contains(&selector) {
        return SelectError::IsTag { tag: selector.to_owned() };
    }
    let known = hosts.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    SelectError::NoHost { selector: selector.to_owned(), among, known }
}

/// Returns whether a text matches a glob of `*` (any text) and `?` (any one byte).
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == b'?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star_p, star_t)) = star {
            star = Some((star_p, star_t + 1));
            p = star_p + 1;
            t = star_t + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_a_shell_does() {
        for (pattern, text, expected) in [
            ("samsung", "samsung", true),
            ("sam*", "samsung", true),
            ("*", "p620", true),
            ("p???", "p620", true),
            ("p??", "p620", false),
            ("*m*g", "samsung", true),
            ("*x*", "samsung", false),
            ("", "a", false),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
