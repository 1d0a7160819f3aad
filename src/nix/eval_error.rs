//! What Nix says when it cannot evaluate something: the cause in one line, out of a long trace.
//!
//! Nix prints the cause last, after a trace of how it came there: `error:` alone or with a text, and
//! below it what to do (`Did you mean samsung?`, `git -C … add …`), then places in files with pieces of
//! their text. Older versions (before 2.20) print the cause first and the places below it.

use crate::fleet::printable_line;

/// Most characters of a cause that are kept.
const LIMIT: usize = 600;

/// Returns the cause and Nix's own advice as one line; nothing when no error was printed.
pub fn cause(stderr: &str) -> Option<String> {
    let lines: Vec<&str> = stderr.lines().map(str::trim).collect();
    let begins = |line: &&str| line.starts_with("error:");
    let errors = lines.iter().enumerate().rev().filter(|(_, line)| begins(line));
    let cause = errors.map(|(at, _)| sentence(&lines[at..])).find(|cause| !cause.is_empty())?;
    if !cause.contains("program 'git' failed") {
        return Some(cause);
    }
    // What git said stands above what Nix says of it.
    let said = lines.iter().rev().find_map(|line| line.strip_prefix("fatal:"));
    Some(said.map_or(cause.clone(), |said| format!("{cause}: {}", printable_line(said.trim()))))
}

/// Returns the text of an error, without the places in files that follow it.
fn sentence(lines: &[&str]) -> String {
    let first = lines.first().and_then(|line| line.strip_prefix("error:")).unwrap_or_default();
    let rest = lines.iter().skip(1).take_while(|line| !line.starts_with("error:"));
    let rest = rest.copied().take_while(|line| !is_of_a_trace(line));
    let words = std::iter::once(first.trim()).chain(rest).filter(|line| !line.is_empty());
    let text = printable_line(&words.collect::<Vec<&str>>().join(" "));
    text.chars().take(LIMIT).collect()
}

/// Returns whether a line tells where something stands, and no longer what is wrong.
fn is_of_a_trace(line: &str) -> bool {
    let is_of_a_file = line
        .split_once('|')
        .is_some_and(|(number, _)| number.trim().bytes().all(|byte| byte.is_ascii_digit()));
    line.starts_with('…') || line.starts_with("at ") || line.starts_with("(use ") || is_of_a_file
}

/// Returns whether an error says that a flake has no such attribute.
pub fn lacks_attribute(cause: &str) -> bool {
    cause.contains("does not provide attribute")
}

/// Returns every path that an error names, each as it is written there.
pub fn paths(cause: &str) -> Vec<&str> {
    cause
        .split(|c: char| c.is_whitespace() || "'\"«»()`,;?".contains(c))
        .map(|word| word.trim_end_matches(['.', ':']))
        .map(|word| {
            word.find('/')
                .map_or(word, |at| if word[..at].contains(':') { &word[at..] } else { word })
        })
        .filter(|word| word.len() > 1 && word.contains('/'))
        .collect()
}

/// Returns what stands in a flake's source below a path of an error: the path itself, or one below
/// `root` or below a copy of a source in the store.
pub fn below<'p>(path: &'p str, root: &str) -> &'p str {
    let path = path.trim_start_matches("//");
    if let Some(rest) = path.strip_prefix(root).and_then(|rest| rest.strip_prefix('/')) {
        return rest;
    }
    let in_store = path.strip_prefix("/nix/store/").and_then(|path| path.split_once('/'));
    match in_store {
        Some((copy, rest)) if copy.ends_with("-source") => rest,
        Some(_) | None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Nix 2.34 prints for a file that git does not track.
    const UNTRACKED: &str = "error:\n       … while evaluating a branch condition\n         at \
        «nix-internal»/derivation-internal.nix:37:12:\n           36|\n\n       error: Path \
        'nixos/x.nix' in the repository \"/x/source-1/flake\" is not tracked by Git.\n\n       To make \
        it visible to Nix, run:\n\n       git -C \"/x/source-1/flake\" add \"nixos/x.nix\"\n";

    #[test]
    fn the_last_error_of_a_trace_is_the_cause_with_its_advice() {
        let found = cause(UNTRACKED).unwrap();
        assert_eq!(
            found,
            "Path 'nixos/x.nix' in the repository \"/x/source-1/flake\" is not tracked by Git. To make it \
             visible to Nix, run: git -C \"/x/source-1/flake\" add \"nixos/x.nix\""
        );
        let missing = "warning: Git tree '/r' is dirty\nerror: flake 'git+file:///r' does not provide \
            attribute 'nixosConfigurations.\"samsng\".config'\n       Did you mean samsung?\n";
        let found = cause(missing).unwrap();
        assert!(found.ends_with("Did you mean samsung?") && lacks_attribute(&found), "{found}");
    }

    #[test]
    fn an_older_nix_says_the_cause_before_the_places() {
        let old = "error: undefined variable 'hosts'\n\n       at /nix/store/x-source/a.nix:3:4:\n\n     \
            2|   x\n            3|   hosts\n              |   ^\n(use '--show-trace' to show detailed location information)\n";
        assert_eq!(cause(old).as_deref(), Some("undefined variable 'hosts'"));
        assert_eq!(cause("error:\n").as_deref(), None);
        assert_eq!(cause("all is well\n"), None);
        let git = "fatal: couldn't find remote ref refs/heads/master\nerror: program 'git' failed with exit code 128\n";
        let said =
            "program 'git' failed with exit code 128: couldn't find remote ref refs/heads/master";
        assert_eq!(cause(git).as_deref(), Some(said));
    }

    #[test]
    fn paths_in_an_error_are_found_and_mapped_to_the_source() {
        let said =
            "getting status of '/nix/store/0h67-source/nixos/x.nix': No such file or directory";
        let found = paths(said);
        assert_eq!(found, ["/nix/store/0h67-source/nixos/x.nix"]);
        assert_eq!(below(found[0], "/x"), "nixos/x.nix");
        let found = cause(UNTRACKED).unwrap();
        let below: Vec<&str> =
            paths(&found).into_iter().map(|path| below(path, "/x/source-1/flake")).collect();
        assert!(below.contains(&"nixos/x.nix"), "{below:?}");
        let url = paths("at «git+file:///x/flake?dir=nixos»/nixos/x.nix:4:14:");
        assert!(url.contains(&"/nixos/x.nix:4:14"), "{url:?}");
    }
}
