//! A fix as lines of a NixOS configuration, such as `nix.settings.fallback = true;`.

use crate::fleet::printable_line;
use serde::{Deserialize, Serialize};

/// Lines that somebody puts into the NixOS configuration of a host to fix something.
///
/// What comes from elsewhere stands in strings, so that Nix reads it as text whatever it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NixSnippet(Vec<String>);

impl NixSnippet {
    /// Makes a snippet of lines that are right as they are.
    pub fn lines(lines: &'static str) -> Self {
        Self(lines.lines().map(str::to_owned).collect())
    }

    /// Makes a snippet that adds a text to an option which is a list.
    pub fn list(option: &'static str, text: &str) -> Self {
        Self(vec![format!("{option} = [ {} ];", nix_string(text))])
    }

    /// Returns the snippet with another below it.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0.into_iter().chain(other.0).collect())
    }

    /// Returns the lines.
    pub fn all(&self) -> &[String] {
        &self.0
    }
}

/// Returns a string of Nix that means the text; nothing in it is interpolated or ends the string.
fn nix_string(text: &str) -> String {
    let text = printable_line(text).replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace("${", "\\${"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns what Nix makes of a string: the manual's "String literals".
    fn read(string: &str) -> Option<String> {
        let mut out = String::new();
        let mut rest = string.strip_prefix('"')?.strip_suffix('"')?.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '\\' => out.push(rest.next()?),
                '"' => return None,
                '$' if rest.peek() == Some(&'{') => return None,
                c => out.push(c),
            }
        }
        Some(out)
    }

    #[test]
    fn a_value_stays_text_whatever_it_says() {
        let key = NixSnippet::list("nix.settings.trusted-public-keys", "p620-1:abc=");
        assert_eq!(key.all(), ["nix.settings.trusted-public-keys = [ \"p620-1:abc=\" ];"]);
        assert_eq!(nix_string(r#"a"b\c${d}$e"#), r#""a\"b\\c\${d}$e""#);
        assert_eq!(nix_string("$${x}"), r#""$\${x}""#);
        assert_eq!(nix_string("a\u{1b}[31mb\n\"]; evil"), r#""ab \"]; evil""#);
    }

    proptest! {
        #[test]
        fn nix_reads_what_was_written(text in r#"[a-z"\\${} ]{0,20}"#) {
            prop_assert_eq!(read(&nix_string(&text)), Some(printable_line(&text)));
        }
    }
}
