//! The keys in force: those of the table, and those that `[keys]` in hosts.toml gives instead.
//!
//! It is resolved once; what dispatches a key, the footer, the help, the palette and every sentence that
//! names a key read it. What is wrong in `[keys]` is told with its place, and only that is left out.

use super::{COMMANDS, Command, CommandEntry, Context};
use crate::config::{ConfigError, nearest};
use crate::dash::key::{Key, Keymap};
use crate::fleet::{Fleet, KeyBinding};
use std::path::{Path, PathBuf};

/// How a key is taken away.
const NO_KEY: &str = "none";

/// A command with the keys that a line of `[keys]` gives it.
struct GivenKeys<'a> {
    entry: &'static CommandEntry,
    keys: Vec<Key>,
    binding: &'a KeyBinding,
}

impl Keymap {
    /// Returns the keys in force for a fleet, and what is wrong in its `[keys]`, in the file's order.
    pub fn of(fleet: &Fleet) -> (Self, Vec<ConfigError>) {
        let file = fleet.file.clone().unwrap_or_else(|| PathBuf::from("hosts.toml"));
        let mut mistakes = Vec::new();
        let mut given = Vec::new();
        for binding in &fleet.key_bindings {
            match read(binding) {
                Ok(one) => given.push(one),
                Err((message, hint)) => mistakes.push(mistake(&file, binding, &message, hint)),
            }
        }
        while let Some((at, message)) = conflict(&given) {
            let hint = "give one of them another key; docs/keys.md shows which are taken";
            mistakes.push(mistake(&file, given[at].binding, &message, hint.to_owned()));
            given.remove(at);
        }
        mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
        let given = given.into_iter().map(|one| (one.entry.name, one.keys)).collect();
        (Self { given }, mistakes)
    }

    /// Returns the keys of a command; the footer shows the first.
    pub(in crate::dash) fn keys(&self, entry: &CommandEntry) -> &[Key] {
        self.given.get(entry.name).map_or(entry.keys, Vec::as_slice)
    }

    /// Returns which of some commands a key stands for in a context. What lies over a view has its own keys
    /// before those of the terminal.
    pub(in crate::dash) fn meant(
        &self,
        key: Key,
        context: Context,
        among: impl Iterator<Item = &'static CommandEntry>,
    ) -> Option<&'static CommandEntry> {
        let meant = among.filter(|entry| entry.is_meant(self.keys(entry), key, context));
        meant.min_by_key(|entry| entry.command.is_of_terminal())
    }

    /// Returns what to press for the command of that name, for sentences: its first key, or what is typed
    /// where it has none.
    pub fn press(&self, name: &str) -> String {
        let entry = COMMANDS.iter().find(|entry| entry.name == name);
        let key = entry.and_then(|entry| self.keys(entry).first());
        key.map_or_else(|| format!(":{name}"), ToString::to_string)
    }
}

/// Reads a line of `[keys]`; else what is wrong, and a hint.
fn read(binding: &KeyBinding) -> Result<GivenKeys<'_>, (String, String)> {
    let name = binding.command.as_str();
    let Some(entry) = COMMANDS.iter().find(|entry| entry.name == name) else {
        let names: Vec<&str> = COMMANDS.iter().map(|entry| entry.name).collect();
        let hint = nearest(name, &names).map_or_else(
            || "docs/keys.md names every command".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        return Err((format!("no command is called {name:?}"), hint));
    };
    let takes_away = |key: &String| key == NO_KEY;
    let keys = if binding.keys.iter().all(takes_away) {
        Vec::new()
    } else {
        let read = |key: &String| Key::read(key).map_err(|hint| (key.clone(), hint));
        let keys: Result<Vec<Key>, _> = binding.keys.iter().map(read).collect();
        keys.map_err(|(key, hint)| (format!("{key:?} of `{name}` is not a key"), hint))?
    };
    let leaves = matches!(entry.command, Command::Close | Command::No | Command::Quit);
    if keys.is_empty() && leaves {
        let hint = "give it a key: nothing else leads out of there";
        return Err((format!("`{name}` has no key"), hint.to_owned()));
    }
    let is_typed = keys.iter().find(|key| matches!(key, Key::Char(_)));
    let types = entry.contexts.iter().any(|context| context.types());
    if let Some(key) = is_typed.filter(|_| types && !entry.command.is_of_terminal()) {
        let hint = "give it a key that types nothing, such as \"ctrl-g\" or \"f5\"";
        return Err((
            format!("`{name}` cannot have the key `{key}`: text is typed there"),
            hint.to_owned(),
        ));
    }
    Ok(GivenKeys { entry, keys, binding })
}

/// Returns a line whose key another command has where both mean something, and a sentence about it: the
/// later one of two lines.
fn conflict(given: &[GivenKeys<'_>]) -> Option<(usize, String)> {
    for (at, one) in given.iter().enumerate().rev() {
        for entry in COMMANDS.iter().filter(|entry| entry.name != one.entry.name) {
            let other = given[..at].iter().find(|other| other.entry.name == entry.name);
            let is_later = given[at + 1..].iter().any(|other| other.entry.name == entry.name);
            let keys = other.map_or(entry.keys, |other| &other.keys);
            let shared = one.keys.iter().find(|key| keys.contains(key));
            let meets = meet(one.entry, entry);
            if let Some(key) = shared.filter(|_| meets && !is_later) {
                let (name, theirs) = (one.entry.name, entry.name);
                let whose = match other {
                    Some(other) => {
                        format!("line {} gives it to `{theirs}` too", other.binding.line)
                    }
                    None => {
                        format!("`{theirs}` has this key, and [keys] gives `{theirs}` no other one")
                    }
                };
                return Some((at, format!("`{name}` cannot have the key `{key}`: {whose}")));
            }
        }
    }
    None
}

/// Returns whether two commands may not have one key. Only in views does a command of the terminal take a key from
/// another: what lies over a view has its own keys first.
fn meet(one: &CommandEntry, other: &CommandEntry) -> bool {
    let only_in_views = one.command.is_of_terminal() != other.command.is_of_terminal();
    let counts = |context: &&Context| !only_in_views || matches!(context, Context::View(_));
    let mut contexts = one.contexts.iter().filter(counts);
    contexts.any(|context| other.contexts.contains(context))
}

fn mistake(file: &Path, binding: &KeyBinding, message: &str, hint: String) -> ConfigError {
    let (line, column) = (binding.line, binding.column);
    ConfigError { file: file.to_owned(), line, column, message: format!("[keys]: {message}"), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the keys of a hosts.toml with these lines below `[keys]`, and its mistakes as a text.
    fn keymap(lines: &str) -> (Keymap, String) {
        let text = format!("[keys]\n{lines}\n");
        let fleet = crate::config::parse(&text, Path::new("hosts.toml"), None).unwrap();
        let (keymap, mistakes) = Keymap::of(&fleet);
        let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        (keymap, mistakes.join("\n"))
    }

    #[test]
    fn commands_get_other_keys_and_may_change_theirs_among_each_other() {
        let (keymap, mistakes) =
            keymap("deploy = \"b\"\nbuild = [\"d\", \"f5\"]\nhelp = \"none\"\nlog = \"ctrl-x\"");
        assert_eq!(mistakes, "");
        let names = ["deploy", "build", "help", "log", "quit"];
        let found = names.map(|name| keymap.press(name));
        assert_eq!(found, ["b", "d", ":help", "ctrl-x", "q"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_the_rest_is_in_force() {
        let (keymap, mistakes) = keymap(
            "depoly = \"D\"\nbuild = \"hyper-q\"\nmark = \"f7\"\nlog = \"d\"\nrefresh = \"f6\"\n\
             generations = \"f6\"\nquit = \"none\"\naccept-find = \"x\"",
        );
        for said in [
            "hosts.toml:2:1: [keys]: no command is called \"depoly\"\n  hint: did you mean `deploy`?",
            "hosts.toml:3:1: [keys]: \"hyper-q\" of `build` is not a key\n  hint: write a character",
            "hosts.toml:5:1: [keys]: `log` cannot have the key `d`: `deploy` has this key",
            "hosts.toml:7:1: [keys]: `generations` cannot have the key `f6`: line 6 gives it to `refresh` too",
            "hosts.toml:8:1: [keys]: `quit` has no key",
            "hosts.toml:9:1: [keys]: `accept-find` cannot have the key `x`: text is typed there",
        ] {
            assert!(mistakes.contains(said), "{said}\n\n{mistakes}");
        }
        assert_eq!(mistakes.matches("hosts.toml:").count(), 6, "{mistakes}");
        let names = ["mark", "refresh", "log", "generations", "build", "quit"];
        let found = names.map(|name| keymap.press(name));
        assert_eq!(found, ["f7", "f6", "l", "e", "b", "q"]);
    }

    #[test]
    fn a_command_of_the_terminal_may_have_a_letter_and_what_lies_over_a_view_may_have_its_key() {
        let (_, mistakes) = keymap("mouse = \"d\"");
        assert!(mistakes.contains("`deploy` has this key"), "{mistakes}");
        let (keymap, mistakes) = keymap("mouse = \"J\"\naccept-find = \"ctrl-z\"");
        assert_eq!(mistakes, "");
        let meant = |key, context| {
            let entry = keymap.meant(key, context, COMMANDS.iter());
            entry.map(|entry| entry.command)
        };
        assert_eq!(meant(Key::Char('J'), Context::Cancel), Some(Command::Mouse));
        assert_eq!(meant(Key::Char('J'), Context::Palette), None, "it is text there");
        assert_eq!(meant(Key::Ctrl('z'), Context::Palette), Some(Command::Suspend));
        assert_eq!(meant(Key::Ctrl('z'), Context::FindLine), Some(Command::Accept));
    }

    #[test]
    fn a_key_that_falls_back_to_its_command_is_taken_from_no_other() {
        let (keymap, mistakes) = keymap("deploy = \"b\"\nbuild = \"hyper-q\"");
        assert_eq!((keymap.press("deploy"), keymap.press("build")), ("d".into(), "b".into()));
        assert_eq!(mistakes.matches("hosts.toml:").count(), 2, "{mistakes}");
    }
}
