//! The hosts that ssh's configuration names: `Host` entries that are single names, with the address,
//! the user and the port that hold for them.
//!
//! Read as text. `Include` is followed as ssh follows it; `Match` is skipped, since it may run a
//! program to find out whether it holds. What a person wrote decides as in ssh: the first value wins.

use serde::Serialize;
use std::path::{Path, PathBuf};

/// How deep files that include each other are followed, as ssh does.
const INCLUDES: usize = 16;

/// A host of ssh's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct SshHost {
    /// The name that ssh is given.
    pub(super) name: String,
    /// `HostName`; none where ssh takes the name itself.
    pub(super) host_name: Option<String>,
    /// `User`; none where ssh takes that of whoever runs it.
    pub(super) user: Option<String>,
    /// `Port`; none where ssh takes 22.
    pub(super) port: Option<u16>,
}

impl SshHost {
    /// Returns where ssh goes for it.
    pub(super) fn place(&self) -> &str {
        self.host_name.as_deref().unwrap_or(&self.name)
    }

    /// Returns whether it is there for git: nobody logs in as `git` to look at a machine.
    pub(super) fn is_git_server(&self) -> bool {
        self.user.as_deref() == Some("git")
    }

    /// Returns where ssh goes for it, in words.
    pub(super) fn words(&self) -> String {
        let user = self.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        let port = self.port.map(|port| format!(", port {port}")).unwrap_or_default();
        format!("{user}{}{port}", self.place())
    }
}

/// A line that says something: its keyword in small letters, and its words.
type SshLine = (String, Vec<String>);

/// Reads the hosts of a configuration. `read` returns the text of a file, and `files` the files that
/// a pattern of `Include` means, in their order.
pub(super) fn hosts(
    text: &str,
    read: &dyn Fn(&Path) -> Option<String>,
    files: &dyn Fn(&str) -> Vec<PathBuf>,
) -> Vec<SshHost> {
    let mut lines = Vec::new();
    collect(text, read, files, INCLUDES, &mut lines);
    let mut found: Vec<SshHost> = Vec::new();
    let entries = lines.iter().filter(|(keyword, _)| keyword == "host");
    for name in entries.flat_map(|(_, words)| words).filter(|word| is_single(word)) {
        if !found.iter().any(|host| host.name == *name) {
            found.push(of_name(name, &lines));
        }
    }
    found
}

/// Returns whether a word of `Host` is the name of one host.
fn is_single(word: &str) -> bool {
    !word.is_empty() && !word.contains(['*', '?', '!'])
}

/// Returns what holds for a name: of every keyword the first value, in the blocks that mean it.
fn of_name(name: &str, lines: &[SshLine]) -> SshHost {
    let mut host = SshHost { name: name.to_owned(), ..SshHost::default() };
    let mut holds = true;
    for (keyword, words) in lines {
        let first = words.first();
        match keyword.as_str() {
            "host" => holds = is_meant(name, words),
            // Whether it holds is not asked.
            "match" => holds = false,
            "hostname" if holds && host.host_name.is_none() => {
                host.host_name = first.map(|word| word.replace("%h", name));
            }
            "user" if holds && host.user.is_none() => host.user = first.cloned(),
            "port" if holds && host.port.is_none() => {
                host.port = first.and_then(|word| word.parse().ok());
            }
            _ => {}
        }
    }
    host.host_name = host.host_name.filter(|place| *place != name);
    host
}

/// Returns whether patterns of `Host` mean a name: one of them fits, and none with `!` does.
fn is_meant(name: &str, patterns: &[String]) -> bool {
    let fits = |pattern: &str| fits(pattern.as_bytes(), name.as_bytes());
    let denied = patterns.iter().filter_map(|word| word.strip_prefix('!')).any(fits);
    !denied && patterns.iter().any(|word| !word.starts_with('!') && fits(word))
}

/// Returns whether a pattern with `*` and `?` fits a text.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|at| fits(rest, &text[at..])),
        Some((b'?', rest)) => text.split_first().is_some_and(|(_, text)| fits(rest, text)),
        Some((byte, rest)) => {
            text.split_first().is_some_and(|(first, text)| first == byte && fits(rest, text))
        }
    }
}

/// Collects the lines of a file and of those that it includes, where they are included.
fn collect(
    text: &str,
    read: &dyn Fn(&Path) -> Option<String>,
    files: &dyn Fn(&str) -> Vec<PathBuf>,
    depth: usize,
    lines: &mut Vec<SshLine>,
) {
    // What an included file says below its own `Host` ends with it.
    let mut block: SshLine = ("host".to_owned(), vec!["*".to_owned()]);
    for line in text.lines().filter_map(line_of) {
        if line.0 != "include" {
            if line.0 == "host" || line.0 == "match" {
                block = line.clone();
            }
            lines.push(line);
            continue;
        }
        for file in line.1.iter().flat_map(|pattern| files(pattern)) {
            if let Some(text) = read(&file).filter(|_| depth > 0) {
                collect(&text, read, files, depth - 1, lines);
                lines.push(block.clone());
            }
        }
    }
}

/// Reads a line: `Keyword words` or `Keyword=words`, words in double quotes where they have spaces.
fn line_of(line: &str) -> Option<SshLine> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=')?;
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    let mut words = Vec::new();
    for (at, part) in rest.split('"').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    if let Some(comment) = words.iter().position(|word| word.starts_with('#')) {
        words.truncate(comment);
    }
    Some((keyword.to_ascii_lowercase(), words))
}

/// Reads the hosts of the file that a person named, or of `~/.ssh/config`; none for one that is not
/// there.
pub(super) fn look(named: Option<&Path>, home: Option<&Path>) -> Result<Vec<SshHost>, String> {
    let Some(folder) = home.map(|home| home.join(".ssh")) else { return Ok(Vec::new()) };
    let path = named.map_or_else(|| folder.join("config"), Path::to_path_buf);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Vec::new());
        }
        Err(error) => {
            return Err(format!(
                "The hosts of ssh are not known, because {} could not be read: {error}. Name another \
                 file with --ssh-config FILE.",
                path.display()
            ));
        }
    };
    let files = |pattern: &str| included(pattern, &folder, home);
    Ok(hosts(&text, &|path| std::fs::read_to_string(path).ok(), &files))
}

/// Returns the files that a pattern of `Include` means: below `~/.ssh` where it is no whole path.
fn included(pattern: &str, folder: &Path, home: Option<&Path>) -> Vec<PathBuf> {
    let path = match (pattern.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => folder.join(pattern),
    };
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
    let name = name.to_string_lossy().into_owned();
    if is_single(&name) {
        return vec![path];
    }
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| fits(name.as_bytes(), entry.file_name().as_encoded_bytes()))
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a text that includes nothing.
    fn of(text: &str) -> Vec<SshHost> {
        hosts(text, &|_| None, &|_| Vec::new())
    }

    #[test]
    fn single_names_are_hosts_and_patterns_only_say_what_holds_for_them() {
        let text = "User early\nHost razer rz\n  HostName razer.lan\n  Port = 2222\n\n# no host\n\
                    Host *.lan !old\n  User late\nHost p620\n\thostname \"10.0.0.2\" # by cable\n\
                    Host samsung-?\nHost *\n  User last\n  HostName %h.lan\n";
        let found = of(text);
        let shown: Vec<String> =
            found.iter().map(|host| format!("{}: {}", host.name, host.words())).collect();
        assert_eq!(
            shown,
            [
                "razer: early@razer.lan, port 2222",
                "rz: early@razer.lan, port 2222",
                "p620: early@10.0.0.2"
            ]
        );
    }

    #[test]
    fn the_first_value_wins_and_a_denied_name_gets_none() {
        let found = of("Host a\n User one\nHost * !a\n Port 7\nHost a\n User two\nHost b\n");
        assert_eq!((found[0].user.as_deref(), found[0].port), (Some("one"), None));
        assert_eq!((found[1].name.as_str(), found[1].port), ("b", Some(7)));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn nothing_is_run_to_find_out_whether_a_match_holds() {
        let found =
            of("Host a\nMatch exec \"touch /tmp/x\"\n  HostName evil\nHost b\n HostName b.lan\n");
        assert_eq!(found[0].host_name, None);
        assert_eq!(found[1].host_name.as_deref(), Some("b.lan"));
    }

    #[test]
    fn included_files_stand_where_they_are_included() {
        let home = tempfile::tempdir().unwrap();
        let ssh = home.path().join(".ssh");
        std::fs::create_dir_all(ssh.join("conf.d")).unwrap();
        std::fs::write(ssh.join("conf.d/2.conf"), "Host two\n HostName 2.lan\n").unwrap();
        std::fs::write(ssh.join("conf.d/1.conf"), "Host one\n HostName 1.lan\n").unwrap();
        std::fs::write(ssh.join("self"), "Include self\nHost self\n").unwrap();
        let text = "Host main\n Include conf.d/*.conf\n User me\nInclude ~/.ssh/self\n";
        std::fs::write(ssh.join("config"), text).unwrap();
        let found = look(None, Some(home.path())).unwrap();
        let names: Vec<&str> = found.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(names, ["main", "one", "two", "self"]);
        assert_eq!(found[0].user.as_deref(), Some("me"), "the block goes on after the file");
        assert_eq!(found[1].user, None);
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(look(None, Some(home.path())), Ok(Vec::new()));
        let named = home.path().join("ssh_config");
        let error = look(Some(&named), Some(home.path())).unwrap_err();
        assert!(error.contains("could not be read") && error.contains("--ssh-config"), "{error}");
    }
}
