//! `nixdash trust`: says that a `hosts.toml` found in the current folder may be used in full.
//!
//! Trust is kept per file, in a file of its own below the state folder: the hash of `hosts.toml` and
//! of every file that it names. Whatever of these changes makes nixdash ask again. A file of
//! somebody else's, or one that others may write, is never trusted.

use crate::cli::{CliError, load};
use crate::fleet::Fleet;
use crate::nix::hash::to_base16;
use crate::record::state_home;
use clap::{Args, ValueHint};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, Metadata};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Keywords of ssh's configuration whose words may be files that run something.
const SSH_KEYWORDS: [&str; 8] = [
    "include",
    "match",
    "proxycommand",
    "localcommand",
    "knownhostscommand",
    "pkcs11provider",
    "securitykeyprovider",
    "xauthlocation",
];

/// How deep files that ssh's configuration includes are followed.
const INCLUDES: usize = 8;

/// Arguments of `nixdash trust`.
#[derive(Debug, Args)]
pub(super) struct TrustArgs {
    /// The file [default: ./hosts.toml]
    #[arg(value_name = "FILE", default_value = "hosts.toml", hide_default_value = true, value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Takes the trust back
    #[arg(long)]
    revoke: bool,
}

/// Why a file is not trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Nobody has trusted it so far.
    New,
    /// It was trusted, and this file is another one since then.
    Changed(PathBuf),
    /// This file or folder belongs to somebody else.
    Foreign(PathBuf, u32),
    /// This file or folder can be written by others.
    Writable(PathBuf),
    /// This could not be looked at.
    Unreadable(PathBuf, String),
}

impl Doubt {
    /// Says of a file why it is not trusted, what that means and what to do.
    pub(super) fn sentence(&self, file: &Path) -> String {
        let file = file.display();
        let meaning = "until then nixdash asks its caches without a login and logs in to no host";
        match self {
            Self::New => format!(
                "{file} is not trusted yet: look at it, then run `nixdash trust`; {meaning}"
            ),
            Self::Changed(changed) => format!(
                "{} was changed since {file} was trusted: look at it, then run `nixdash trust`; \
                 {meaning}",
                changed.display()
            ),
            Self::Foreign(what, uid) => format!(
                "{file} is not trusted: {} belongs to user {uid}, and not to you or root; make it \
                 yours with chown, or name the file with --hosts; {meaning}",
                what.display()
            ),
            Self::Writable(what) => format!(
                "{file} is not trusted: others can write {}; run `chmod go-w {}` and then `nixdash \
                 trust`; {meaning}",
                what.display(),
                what.display()
            ),
            Self::Unreadable(what, why) => format!(
                "{file} is not trusted: {} could not be looked at: {why}; {meaning}",
                what.display()
            ),
        }
    }

    /// Returns whether a person may trust the file as it is.
    pub(super) fn can_be_trusted(&self) -> bool {
        match self {
            Self::New | Self::Changed(_) => true,
            Self::Foreign(..) | Self::Writable(_) | Self::Unreadable(..) => false,
        }
    }
}

/// Returns why a fleet's file is not trusted; nothing when it is. `text` is what was read of it.
pub(super) fn doubt(state: &Path, file: &Path, text: &str, fleet: &Fleet) -> Option<Doubt> {
    if let Some(doubt) = bad_owner(file) {
        return Some(doubt);
    }
    let Ok(known) = fs::File::open(note(state, file)) else { return Some(Doubt::New) };
    // A note that somebody else could have written says nothing.
    let is_private = |data: &Metadata| data.mode().trailing_zeros() >= 6;
    let ours = known.metadata().is_ok_and(|data| data.uid() == user() && is_private(&data));
    let mut trusted = String::new();
    if !ours || known.take(4 << 20).read_to_string(&mut trusted).is_err() {
        return Some(Doubt::New);
    }
    let now = fingerprint(file, text, fleet);
    if trusted == lines(&now) {
        return None;
    }
    let changed = now.iter().find(|(hash, path)| {
        !trusted.lines().any(|line| line == format!("{hash}  {}", path.display()))
    });
    Some(Doubt::Changed(changed.map_or_else(|| file.to_path_buf(), |(_, path)| path.clone())))
}

/// Keeps that a file is trusted as it is now.
fn keep(state: &Path, file: &Path, text: &str, fleet: &Fleet) -> io::Result<()> {
    let note = note(state, file);
    let Some(folder) = note.parent() else { return Ok(()) };
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
    fresh.write_all(lines(&fingerprint(file, text, fleet)).as_bytes())?;
    // Temporary files are their owner's alone.
    fresh.persist(&note).map(drop).map_err(|error| error.error)
}

/// Returns where the trust in a file is kept.
fn note(state: &Path, file: &Path) -> PathBuf {
    let whole = fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
    state.join("trusted").join(hex(whole.as_os_str().as_encoded_bytes()))
}

/// Returns the user that this process acts as.
fn user() -> u32 {
    fs::metadata("/proc/self").map_or(u32::MAX, |data| data.uid())
}

/// Returns what is wrong with the owner or the mode of a file or of a folder that it is in.
fn bad_owner(file: &Path) -> Option<Doubt> {
    let real = match fs::canonicalize(file) {
        Ok(real) => real,
        Err(error) => return Some(Doubt::Unreadable(file.to_path_buf(), error.to_string())),
    };
    // Whoever may write a link's folder chooses where it leads.
    let places = [Some(real.as_path()), real.parent(), file.parent()];
    places.into_iter().flatten().filter(|path| !path.as_os_str().is_empty()).find_map(|path| {
        match fs::metadata(path) {
            Ok(data) => judge(path, &data, user()),
            Err(error) => Some(Doubt::Unreadable(path.to_path_buf(), error.to_string())),
        }
    })
}

/// Judges owner and mode of a file or folder for a user.
fn judge(path: &Path, data: &Metadata, user: u32) -> Option<Doubt> {
    if data.uid() != user && data.uid() != 0 {
        Some(Doubt::Foreign(path.to_path_buf(), data.uid()))
    } else if data.mode() & 0o022 != 0 {
        Some(Doubt::Writable(path.to_path_buf()))
    } else {
        None
    }
}

/// Returns the hash of a fleet's file and of every file that it names, in a fixed order.
fn fingerprint(file: &Path, text: &str, fleet: &Fleet) -> Vec<(String, PathBuf)> {
    let mut files = fleet.named_files();
    if let Some(config) = &fleet.ssh_config {
        let folder = file.parent().unwrap_or(Path::new(""));
        ssh_files(config, folder, INCLUDES, &mut files);
    }
    files.sort();
    files.dedup();
    let named = files.into_iter().filter(|path| !is_of_the_system(path)).filter_map(|path| {
        // A word of a command that is no file may become one: then this is another list.
        let bytes =
            fs::metadata(&path).is_ok_and(|data| data.is_file()).then(|| fs::read(&path))?;
        let hash = bytes.map_or_else(|_| "unreadable".to_owned(), |bytes| hex(&bytes));
        Some((hash, path))
    });
    std::iter::once((hex(text.as_bytes()), file.to_path_buf())).chain(named).collect()
}

/// Returns whether a file is the system's own: an update of the system is no change of the fleet's.
fn is_of_the_system(path: &Path) -> bool {
    let folders =
        ["/usr", "/bin", "/sbin", "/lib", "/nix/store", "/run/current-system", "/run/wrappers"];
    let is_plain = path.components().all(|part| part != std::path::Component::ParentDir);
    is_plain && folders.iter().any(|folder| path.starts_with(folder))
}

/// Adds the files that an ssh configuration names where ssh runs or reads them.
fn ssh_files(config: &Path, folder: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let Ok(text) = fs::read_to_string(config) else { return };
    let home = std::env::home_dir().unwrap_or_default();
    for line in text.lines() {
        let mut words = line.split([' ', '\t', '=', '"', '\'']).filter(|word| !word.is_empty());
        let Some(keyword) = words.next().map(str::to_ascii_lowercase) else { continue };
        if !SSH_KEYWORDS.contains(&keyword.as_str()) {
            continue;
        }
        for word in words {
            let word =
                word.strip_prefix("~/").map_or_else(|| PathBuf::from(word), |w| home.join(w));
            for path in [folder.join(&word), home.join(".ssh").join(&word)] {
                for found in matching(&path) {
                    if files.contains(&found) {
                        continue;
                    }
                    files.push(found.clone());
                    if keyword == "include" && depth > 0 {
                        ssh_files(&found, folder, depth - 1, files);
                    }
                }
            }
        }
    }
}

/// Returns the file of a path; all files of its folder where its name is a pattern.
fn matching(path: &Path) -> Vec<PathBuf> {
    let is_pattern = path.file_name().is_some_and(|name| {
        name.as_encoded_bytes().iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
    });
    if !is_pattern {
        return path.is_file().then(|| path.to_path_buf()).into_iter().collect();
    }
    let entries = path.parent().and_then(|folder| fs::read_dir(folder).ok());
    let files = entries.into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    files.filter(|path| path.is_file()).collect()
}

/// Writes a fingerprint as `sha256sum` does.
fn lines(fingerprint: &[(String, PathBuf)]) -> String {
    fingerprint.iter().fold(String::new(), |mut text, (hash, path)| {
        // Writing into a text does not fail.
        let _ = writeln!(text, "{hash}  {}", path.display());
        text
    })
}

/// Returns the SHA-256 of bytes in hexadecimal.
fn hex(bytes: &[u8]) -> String {
    to_base16(&Sha256::digest(bytes))
}

/// Returns the SHA-256 of a file in hexadecimal; nothing for one that cannot be read.
pub(super) fn hash_of(file: Option<&Path>) -> Option<String> {
    fs::read(file?).ok().map(|bytes| hex(&bytes))
}

/// Runs `nixdash trust`.
pub(super) fn run(args: &TrustArgs) -> Result<ExitCode, CliError> {
    let state = state_home();
    let mut out = io::stdout().lock();
    if args.revoke {
        match fs::remove_file(note(&state, &args.file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(CliError::KeepTrust(error));
            }
            Ok(()) | Err(_) => {}
        }
        writeln!(out, "{} is not trusted any more", args.file.display())?;
        return Ok(ExitCode::SUCCESS);
    }
    let found = load::read_whole(&args.file)?;
    if let Some(doubt) = bad_owner(&found.file) {
        return Err(CliError::Untrusted(doubt.sentence(&args.file)));
    }
    keep(&state, &found.file, &found.text, &found.fleet).map_err(CliError::KeepTrust)?;
    writeln!(out, "{} is trusted until it, or a file that it names, changes", args.file.display())?;
    for line in found.fleet.named_words() {
        writeln!(out, "  {line}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks on the terminal, before the dashboard opens, whether a file is to be trusted; returns
/// whether it is now. Where nobody can be asked the answer is no.
pub(super) fn ask(found: &load::HostsFile, doubt: &Doubt) -> Result<bool, CliError> {
    if !doubt.can_be_trusted() || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(false);
    }
    let mut err = io::stderr().lock();
    writeln!(err, "{}", doubt.sentence(&found.file))?;
    for line in found.fleet.named_words() {
        writeln!(err, "  {line}")?;
    }
    write!(err, "trust it now? [y/N] ")?;
    err.flush()?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    if !matches!(line.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(false);
    }
    keep(&state_home(), &found.file, &found.text, &found.fleet).map_err(CliError::KeepTrust)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    /// A folder with a fleet that names files.
    struct Project {
        dir: tempfile::TempDir,
        state: tempfile::TempDir,
    }

    impl Project {
        fn new() -> Self {
            let project =
                Self { dir: tempfile::tempdir().unwrap(), state: tempfile::tempdir().unwrap() };
            fs::set_permissions(project.dir.path(), Permissions::from_mode(0o700)).unwrap();
            project.write(
                "hosts.toml",
                "[fleet]\nssh_config = \"ssh\"\n[[tiers]]\nname = \"x\"\nkind = \"http\"\n\
                 url = \"http://x\"\ntoken = { command = [\"sh\", \"token.sh\"] }\n",
            );
            project.write("ssh", "Include more\nHost *\n  ProxyCommand ./proxy %h\n");
            for name in ["token.sh", "more", "proxy"] {
                project.write(name, "x");
            }
            project
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.dir.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        }

        fn found(&self) -> load::HostsFile {
            load::read_whole(&self.dir.path().join("hosts.toml")).unwrap()
        }

        fn doubt(&self) -> Option<Doubt> {
            let found = self.found();
            doubt(self.state.path(), &found.file, &found.text, &found.fleet)
        }

        fn trust(&self) {
            let found = self.found();
            keep(self.state.path(), &found.file, &found.text, &found.fleet).unwrap();
        }
    }

    #[test]
    fn trust_ends_when_one_byte_of_the_file_or_of_a_file_it_names_changes() {
        let project = Project::new();
        assert_eq!(project.doubt(), Some(Doubt::New));
        project.trust();
        assert_eq!(project.doubt(), None);
        for name in ["token.sh", "ssh", "more", "proxy"] {
            let path = project.dir.path().join(name);
            let before = fs::read_to_string(&path).unwrap();
            project.write(name, &format!("{before} "));
            let Some(Doubt::Changed(changed)) = project.doubt() else { panic!("{name}") };
            assert!(changed.ends_with(name), "{}", changed.display());
            project.write(name, &before);
            assert_eq!(project.doubt(), None, "{name}");
        }
        // A word of the command becomes a file, which sh would rather take.
        project.write("sh", "x");
        assert!(matches!(project.doubt(), Some(Doubt::Changed(_))));
        project.trust();
        fs::remove_file(project.dir.path().join("sh")).unwrap();
        assert!(matches!(project.doubt(), Some(Doubt::Changed(_))));
        let own = fs::read_to_string(project.dir.path().join("hosts.toml")).unwrap();
        project.trust();
        project.write("hosts.toml", &format!("{own}\n"));
        let Some(Doubt::Changed(changed)) = project.doubt() else { panic!("hosts.toml") };
        assert!(changed.ends_with("hosts.toml"));
    }

    #[test]
    fn what_others_may_write_is_never_trusted() {
        let project = Project::new();
        project.trust();
        let file = project.dir.path().join("hosts.toml");
        for mode in [0o602, 0o620] {
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            let doubt = project.doubt().unwrap();
            assert!(matches!(doubt, Doubt::Writable(_)) && !doubt.can_be_trusted());
            assert!(doubt.sentence(&file).contains("chmod go-w"));
        }
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(project.dir.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(project.doubt(), Some(Doubt::Writable(_))));
    }

    #[test]
    fn a_file_of_somebody_else_is_named_with_its_owner() {
        let data = fs::metadata(tempfile::tempdir().unwrap().path()).unwrap();
        let path = Path::new("/project/hosts.toml");
        assert_eq!(judge(path, &data, data.uid()), None);
        if data.uid() != 0 {
            let foreign = Some(Doubt::Foreign(path.to_path_buf(), data.uid()));
            assert_eq!(judge(path, &data, data.uid() + 1), foreign);
        }
        let root = fs::metadata("/proc/1").unwrap();
        assert_eq!(judge(path, &root, 4711), None, "root's own is as good as ours");
    }

    #[test]
    fn the_note_of_a_trusted_file_is_nobody_elses() {
        let project = Project::new();
        project.trust();
        let note = note(project.state.path(), &project.found().file);
        assert_eq!(fs::metadata(&note).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&note, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(project.doubt(), Some(Doubt::New));
    }
}
