//! Reads `[keys]`: which keys commands of the dashboard have.
//!
//! Which commands there are and which keys can be pressed is known by the dashboard, so names and keys are
//! taken as they are written here; it checks them.

use crate::config::error::MistakeReport;
use crate::config::section::Section;
use crate::fleet::KeyBinding;

/// Reads every line of the table.
pub(super) fn read(report: &mut MistakeReport<'_>, section: &Section<'_>) -> Vec<KeyBinding> {
    let mut bindings = Vec::new();
    for (name, value) in section.entries() {
        let one = value.get_ref().as_str().map(|key| vec![key.to_owned()]);
        let several = || {
            let list = value.get_ref().as_array()?;
            list.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
        };
        let Some(keys) = one.or_else(several) else {
            let expected = "a key such as \"D\", a list of keys, or \"none\"";
            section.wrong(report, name.value, value, expected);
            continue;
        };
        let (line, column) = report.line_and_column(name.at);
        bindings.push(KeyBinding { command: name.value.to_owned(), keys, line, column });
    }
    bindings
}

#[cfg(test)]
mod tests {
    use crate::config::parse;
    use std::path::Path;

    #[test]
    fn a_command_has_one_key_or_several_and_its_place_is_known() {
        let text = "[keys]\ndeploy = \"D\"\n  build = [\"b\", \"f5\"]\nzoom = \"none\"\n";
        let fleet = parse(text, Path::new("hosts.toml"), None).unwrap();
        let found: Vec<_> = fleet
            .key_bindings
            .iter()
            .map(|one| (one.command.as_str(), one.keys.join(" "), one.line, one.column))
            .collect();
        let expected = [
            ("deploy", "D".to_owned(), 2, 1),
            ("build", "b f5".to_owned(), 3, 3),
            ("zoom", "none".to_owned(), 4, 1),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_key_that_is_no_text_is_a_mistake() {
        for wrong in ["deploy = 1", "deploy = [\"D\", 2]", "deploy = { key = \"D\" }"] {
            let text = format!("[keys]\n{wrong}\n");
            let errors = parse(&text, Path::new("hosts.toml"), None).unwrap_err();
            assert!(errors.to_string().contains("a list of keys"), "{errors}");
        }
    }
}
