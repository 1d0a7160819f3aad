//! The person's own pager and editor: which program that is, and how it is told a line.
//!
//! Their settings are read as git reads them. Words are split here; a setting that only a shell
//! understands is run by one, and the file's name is an argument in both cases.

use crate::dash::{KeptFile, ProgramEnd, TerminalProgram};
use std::ffi::OsString;
use std::path::Path;

/// What reads and writes files for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Viewer {
    /// Shows a file.
    Pager,
    /// Changes a file.
    Editor,
}

impl Viewer {
    /// Returns the variables that name the program, the first that is set counts; and what it is
    /// without any.
    fn settings(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Pager => (&["PAGER"], "less"),
            Self::Editor => (&["VISUAL", "EDITOR"], "vi"),
        }
    }

    /// Returns what to do where the program cannot be started.
    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::Pager => "set PAGER to a program that is there, such as less",
            Self::Editor => "set VISUAL or EDITOR to a program that is there, such as nano",
        }
    }

    /// Returns the program for a file at a line, counted from 1, and its arguments; `var` reads the
    /// environment.
    pub(super) fn words(
        self,
        var: impl Fn(&str) -> Option<String>,
        file: &Path,
        line: Option<u64>,
    ) -> Vec<OsString> {
        let (names, without) = self.settings();
        let set = names.iter().filter_map(|name| var(name)).find(|text| !text.trim().is_empty());
        let setting = set.unwrap_or_else(|| without.to_owned());
        let split = shlex::split(&setting).filter(|words| !words.is_empty());
        let program = split.as_deref().and_then(<[String]>::first).map_or("", String::as_str);
        let place = at_line(program, file, line);
        if let Some(words) = split.filter(|_| !needs_shell(&setting)) {
            return words.into_iter().map(OsString::from).chain(place).collect();
        }
        let script = format!("{setting} \"$@\"");
        let shell = ["/bin/sh", "-c", &script, &setting].map(OsString::from);
        shell.into_iter().chain(place).collect()
    }
}

/// Returns the program that opens a file, which is called `what`; a copy goes when it has ended.
pub(super) fn program(
    viewer: Viewer,
    what: &str,
    file: &Path,
    line: Option<u64>,
    copy: Option<KeptFile>,
) -> TerminalProgram {
    let name = match viewer {
        Viewer::Pager => format!("the pager with {what}"),
        Viewer::Editor => format!("the editor with {what}"),
    };
    TerminalProgram {
        words: viewer.words(|name| std::env::var(name).ok(), file, line),
        name,
        before: None,
        hint: viewer.hint().to_owned(),
        end: ProgramEnd::Code,
        then: None,
        file: copy,
    }
}

/// Returns whether a setting has characters that only a shell understands.
fn needs_shell(setting: &str) -> bool {
    setting.contains(|c: char| "$`|&;<>()*?[]~#".contains(c))
}

/// Returns the arguments that open a file at a line, in the way of this program.
fn at_line(program: &str, file: &Path, line: Option<u64>) -> Vec<OsString> {
    let plain = || vec![file.as_os_str().to_owned()];
    let Some(line) = line else { return plain() };
    let behind_colon = || {
        let mut word = file.as_os_str().to_owned();
        word.push(format!(":{line}"));
        word
    };
    let name = Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match name {
        "vi" | "vim" | "nvim" | "view" | "nano" | "emacs" | "emacsclient" | "micro" | "kak"
        | "joe" | "jed" | "mg" | "ne" | "mcedit" | "more" | "most" | "moar" | "moor" => {
            vec![format!("+{line}").into(), file.into()]
        }
        "less" => vec![format!("+{line}g").into(), file.into()],
        "hx" | "helix" | "subl" | "zed" | "zeditor" => vec![behind_colon()],
        "code" | "codium" => vec!["--wait".into(), "--goto".into(), behind_colon()],
        _ => plain(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(viewer: Viewer, vars: &[(&str, &str)], line: Option<u64>) -> Vec<String> {
        let var = |name: &str| {
            let found = vars.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let words = viewer.words(var, Path::new("/tmp/a b.log"), line);
        words.into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn each_program_is_told_the_line_in_its_own_way() {
        for (program, expected) in [
            ("nvim", &["nvim", "+7", "/tmp/a b.log"][..]),
            ("/run/bin/hx", &["/run/bin/hx", "/tmp/a b.log:7"]),
            ("code -n", &["code", "-n", "--wait", "--goto", "/tmp/a b.log:7"]),
            ("ed", &["ed", "/tmp/a b.log"]),
            ("'my editor' -x", &["my editor", "-x", "/tmp/a b.log"]),
        ] {
            assert_eq!(words(Viewer::Editor, &[("EDITOR", program)], Some(7)), expected);
        }
        assert_eq!(
            words(Viewer::Pager, &[("PAGER", " ")], Some(7)),
            ["less", "+7g", "/tmp/a b.log"]
        );
        let both = [("EDITOR", "nano"), ("VISUAL", "vim")];
        assert_eq!(words(Viewer::Editor, &both, None), ["vim", "/tmp/a b.log"]);
        assert_eq!(words(Viewer::Editor, &[], None), ["vi", "/tmp/a b.log"]);
    }

    #[test]
    fn what_only_a_shell_understands_is_run_by_one_and_the_file_stays_an_argument() {
        let found = words(Viewer::Pager, &[("PAGER", "less | cat")], None);
        assert_eq!(found, ["/bin/sh", "-c", "less | cat \"$@\"", "less | cat", "/tmp/a b.log"]);
        let unfinished = words(Viewer::Editor, &[("EDITOR", "vim '")], None);
        assert_eq!(unfinished[..2], ["/bin/sh", "-c"]);
    }
}
