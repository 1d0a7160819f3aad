//! Reads this machine's apt sources: the hosts are made from the mirror that this machine itself uses.

use std::path::Path;

/// Debian's code names: who serves one of these with `main` serves Debian.
const CODE_NAMES: [&str; 7] = ["sid", "buster", "bullseye", "bookworm", "trixie", "forky", "duke"];

/// Names that third parties use too: taken only where the address says Debian.
const STAGES: [&str; 5] = ["oldoldstable", "oldstable", "stable", "testing", "unstable"];

/// The mirror that the machine's sources name first for Debian's own archive.
pub(crate) fn machine_mirror() -> Option<String> {
    let mut files = vec![Path::new("/etc/apt/sources.list").to_owned()];
    if let Ok(entries) = std::fs::read_dir("/etc/apt/sources.list.d") {
        let mut more: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        more.sort();
        files.extend(more);
    }
    files.iter().find_map(|file| {
        let text = std::fs::read_to_string(file).ok()?;
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => from_list(&text),
            Some("sources") => from_deb822(&text),
            _ => None,
        }
    })
}

/// Finds the mirror in one-line format: `deb [options] URI SUITE COMPONENT…`.
fn from_list(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        if words.next()? != "deb" {
            return None;
        }
        let mut words = words.peekable();
        if words.peek()?.starts_with('[') {
            while !words.next()?.ends_with(']') {}
        }
        let (uri, suite) = (words.next()?, words.next()?);
        acceptable(uri, &[suite], &words.collect::<Vec<_>>()).then(|| uri.to_owned())
    })
}

/// Finds the mirror in deb822 format: stanzas of `Key: value`, continued by lines that begin with a space.
fn from_deb822(text: &str) -> Option<String> {
    text.split("\n\n").find_map(|stanza| {
        let field = |name: &str| -> Vec<&str> {
            let mut found = false;
            stanza
                .lines()
                .filter(|line| !line.starts_with('#'))
                .flat_map(|line| {
                    let value = if line.starts_with([' ', '\t']) {
                        line
                    } else {
                        let (key, value) = line.split_once(':').unwrap_or((line, ""));
                        found = key.eq_ignore_ascii_case(name);
                        value
                    };
                    if found { value.split_whitespace().collect() } else { Vec::new() }
                })
                .collect()
        };
        let enabled =
            !field("Enabled").first().is_some_and(|value| value.eq_ignore_ascii_case("no"));
        let uri = *field("URIs").first()?;
        let usable = enabled
            && field("Types").contains(&"deb")
            && acceptable(uri, &field("Suites"), &field("Components"));
        usable.then(|| uri.to_owned())
    })
}

fn acceptable(uri: &str, suites: &[&str], components: &[&str]) -> bool {
    ["http://", "https://", "file:", "mirror+"].iter().any(|scheme| uri.starts_with(scheme))
        && suites.iter().any(|suite| {
            CODE_NAMES.contains(suite) || STAGES.contains(suite) && uri.contains("debian")
        })
        && components.contains(&"main")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_sources_are_read_past_options_and_comments() {
        let text = "# deb http://old.test/debian bookworm main\n\
                    deb [arch=amd64 signed-by=/k.gpg] http://third.test/apt stable contrib\n\
                    deb https://dl.test/browser/deb/ stable main\n\
                    deb-src http://src.test/debian bookworm main\n\
                    deb http://sec.test/debian-security bookworm-security main\n\
                    deb [ trusted=yes ] http://mirror.test/debian bookworm main contrib # ours\n";
        assert_eq!(from_list(text).as_deref(), Some("http://mirror.test/debian"));
    }

    #[test]
    fn stanzas_are_read_with_continued_lines() {
        let text = "Types: deb\nURIs: http://sec.test/debian-security\nSuites: bookworm-security\nComponents: main\n\n\
                    Enabled: no\nTypes: deb\nURIs: http://off.test/debian\nSuites: bookworm\nComponents: main\n\n\
                    Types: deb deb-src\n# why\nURIs:\n http://mirror.test/debian\nSuites: bookworm bookworm-updates\nComponents: main\n";
        assert_eq!(from_deb822(text).as_deref(), Some("http://mirror.test/debian"));
    }

    #[test]
    fn a_machine_without_debian_sources_has_no_mirror() {
        assert_eq!(from_list("deb http://u.test/ubuntu noble main\n"), None);
        assert_eq!(
            from_deb822(
                "Types: deb\nURIs: http://u.test/ubuntu\nSuites: noble\nComponents: main\n"
            ),
            None
        );
    }
}
