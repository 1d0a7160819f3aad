//! Selectors as they are typed: names, globs, `@tag`, `all`, and `-` for those on standard input.

use crate::cli::CliError;
use std::io::Read;

/// The selector that stands for those on standard input.
const STDIN: &str = "-";

/// Most that is read from standard input, in bytes: the names of thousands of hosts.
const LIMIT: u64 = 1 << 20;

/// Returns the selectors, with those of standard input in the place of `-`.
pub(super) fn read(selectors: &[String]) -> Result<Vec<String>, CliError> {
    read_from(selectors, &mut std::io::stdin().lock())
}

/// Says, where nobody could be asked, that it was `-` which took standard input; other errors stay.
pub(super) fn after_reading(error: CliError, selectors: &[String]) -> CliError {
    match error {
        CliError::NobodyToAsk if selectors.iter().any(|one| one == STDIN) => {
            CliError::InputNamedHosts
        }
        error => error,
    }
}

/// Does what [`read`] does, with another input. `-` reads it once, wherever it stands.
fn read_from(selectors: &[String], input: &mut impl Read) -> Result<Vec<String>, CliError> {
    let mut words = Vec::new();
    let mut was_read = false;
    for selector in selectors {
        if selector != STDIN {
            words.push(selector.clone());
        } else if !was_read {
            was_read = true;
            let mut text = String::new();
            input.take(LIMIT).read_to_string(&mut text).map_err(CliError::ReadSelectors)?;
            let found = selectors_in(&text);
            if found.is_empty() {
                return Err(CliError::NoSelectors);
            }
            words.extend(found);
        }
    }
    Ok(words)
}

/// Returns the words of a text; what stands behind a `#` is a comment.
fn selectors_in(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines.flat_map(str::split_whitespace).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(selectors: &[&str], text: &str) -> Result<Vec<String>, CliError> {
        let selectors: Vec<String> = selectors.iter().map(|&one| one.to_owned()).collect();
        read_from(&selectors, &mut text.as_bytes())
    }

    #[test]
    fn a_question_that_cannot_be_answered_is_told_with_what_took_the_input() {
        let selectors = |one: &str| [one.to_owned()];
        let error = after_reading(CliError::NobodyToAsk, &selectors("-"));
        assert!(error.to_string().contains("was read for the names of the hosts"), "{error}");
        assert_eq!(error.exit_code(), CliError::NobodyToAsk.exit_code());
        let named = after_reading(CliError::NobodyToAsk, &selectors("samsung"));
        assert!(matches!(named, CliError::NobodyToAsk), "{named}");
        let other = after_reading(CliError::NoSelectors, &selectors("-"));
        assert!(matches!(other, CliError::NoSelectors), "{other}");
    }

    #[test]
    fn a_tag_that_is_named_like_a_host_is_told_with_how_it_is_written() {
        let text = "[hosts.samsung]\ntags = [\"laptop\"]\n[hosts.p620]\n";
        let fleet = crate::config::parse(text, std::path::Path::new("hosts.toml"), None).unwrap();
        let said = |selector: &str| {
            crate::fleet::select(&fleet, &[selector.to_owned()]).unwrap_err().to_string()
        };
        assert!(said("laptop").contains("is a tag: write @laptop"), "{}", said("laptop"));
        assert!(said("lapto").contains("no host is called or matches"), "{}", said("lapto"));
    }

    #[test]
    fn a_dash_stands_for_what_standard_input_names() {
        let found = read_text(&["p620", "-"], "razer samsung # the laptops\n\n@server\n").unwrap();
        assert_eq!(found, ["p620", "razer", "samsung", "@server"]);
        assert_eq!(read_text(&["p620"], "razer").unwrap(), ["p620"], "nobody asked for it");
        assert_eq!(read_text(&["-", "-"], "razer").unwrap(), ["razer"], "it is read once");
    }

    #[test]
    fn standard_input_without_a_name_is_a_mistake() {
        let error = read_text(&["-"], "# nothing\n").unwrap_err().to_string();
        assert!(error.contains("names of hosts from standard input, and none came"), "{error}");
    }
}
