//! A git repository, made again in another folder so that Nix sees the same in it: the same files,
//! the same revision, the same number of commits, and whether it is clean.
//!
//! It has every commit, but only the files of the one that counts. Nothing else of the repository goes
//! with it: no remotes (their addresses may hold passwords), no configuration, no hooks.

use crate::remote::{Output, Program, git_in};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a command of git may take.
const LIMIT: Duration = Duration::from_secs(300);

/// The branch of a repository whose own cannot be told.
const BRANCH: &str = "nixdash";

/// What of a repository is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The files that git tracks, as they are in the work tree now.
    WorkTree,
    /// A commit, by whatever name git knows it.
    Commit(String),
}

/// Which submodules of a repository are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Submodules<'a> {
    /// None.
    No,
    /// All; one that is not here is a failure.
    All,
    /// Those that are here, where this `flake.nix` asks Nix for them (`inputs.self.submodules`, since Nix 2.27), or
    /// may: Nix alone can read it.
    AskedFor(&'a str),
    /// Those that are here.
    Here,
}

impl Submodules<'_> {
    /// Returns all of them, or none.
    pub(super) fn all_if(wanted: bool) -> Self {
        if wanted { Self::All } else { Self::No }
    }

    /// Returns which submodules of a submodule are wanted.
    fn inside(self) -> Submodules<'static> {
        match self {
            Self::No => Submodules::No,
            Self::All => Submodules::All,
            Self::AskedFor(_) | Self::Here => Submodules::Here,
        }
    }

    /// Returns whether they are wanted, of a repository whose other files are in a folder already.
    fn are_asked_for(self, copied: &Path) -> bool {
        match self {
            Self::No => false,
            Self::All | Self::Here => true,
            Self::AskedFor(file) => {
                let asks = |text: String| text.contains("submodules");
                fs::read_to_string(copied.join(file)).is_ok_and(asks)
            }
        }
    }
}

/// Runs git in a folder and returns what it printed, or what it complained of.
async fn git(dir: &Path, args: &[&str], stdin: Vec<u8>) -> Result<Vec<u8>, String> {
    printed(git_in(dir, args).limit(LIMIT).stdin(stdin)).await
}

/// Runs git in a folder that was made here, where no setting of a person changes what comes out.
async fn git_plain(dir: &Path, args: &[&str], stdin: Vec<u8>) -> Result<Vec<u8>, String> {
    let program = git_in(dir, args)
        .limit(LIMIT)
        .stdin(stdin)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    printed(program).await
}

/// Runs a program and returns what it printed, or what it complained of.
pub(super) async fn printed(program: Program) -> Result<Vec<u8>, String> {
    let (bytes, output) = program.run_for_bytes().await.map_err(|error| error.to_string())?;
    if output.is_ok() {
        return Ok(bytes);
    }
    Err(Output { stdout: String::from_utf8_lossy(&bytes).into_owned(), ..output }.complaint())
}

/// Returns what git printed as one line.
pub(super) fn line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// Returns whether git can be run here.
pub(super) async fn is_there() -> bool {
    git(Path::new("/"), &["--version"], Vec::new()).await.is_ok()
}

/// Makes a repository again in an empty folder; returns whether commits are missing in it, as in a
/// shallow clone.
pub(super) async fn copy(
    repo: &Path,
    wanted: &Wanted,
    submodules: Submodules<'_>,
    into: &Path,
) -> Result<bool, String> {
    let head = match wanted {
        // There is none before the first commit.
        Wanted::WorkTree => {
            git(repo, &["rev-parse", "-q", "--verify", "HEAD^{commit}"], Vec::new())
                .await
                .ok()
                .map(|bytes| line(&bytes))
        }
        Wanted::Commit(name) => {
            let commit = format!("{name}^{{commit}}");
            let args = ["rev-parse", "-q", "--verify", "--end-of-options", &commit];
            let found = git(repo, &args, Vec::new()).await;
            // `--end-of-options` is printed by rev-parse itself.
            let found = found.map_err(|_| format!("it has no commit called {name}"))?;
            Some(line(&found).lines().last().unwrap_or_default().to_owned())
        }
    };
    fs::create_dir_all(into).map_err(|error| error.to_string())?;
    git_plain(into, &["init", "-q", "--template=", "."], Vec::new()).await?;
    let is_shallow = match &head {
        Some(head) => copy_history(repo, head, into).await?,
        None => false,
    };
    let links = match wanted {
        Wanted::WorkTree => copy_work_tree(repo, into).await?,
        Wanted::Commit(_) => check_out(into).await?,
    };
    for (path, commit) in links {
        let place = into.join(&path);
        fs::create_dir_all(&place).map_err(|error| error.to_string())?;
        if !submodules.are_asked_for(into) {
            continue;
        }
        let of_it = |why: String| format!("its submodule {path}: {why}");
        let (source, wanted) = submodule(repo, wanted, &path, commit).await.map_err(of_it)?;
        // Nix says that one is not here where it needs it. One that is here and cannot be copied is no such one: with
        // its folder empty, another system might be built.
        if submodules == Submodules::All || is_here(&source, &wanted).await.map_err(of_it)? {
            let inside = submodules.inside();
            Box::pin(copy_submodule(repo, &path, (&source, &wanted), inside, &place)).await?;
        }
    }
    Ok(is_shallow)
}

/// Copies all commits before a commit, and the files of that one; returns whether it is shallow.
async fn copy_history(repo: &Path, head: &str, into: &Path) -> Result<bool, String> {
    let mut objects = git(repo, &["rev-list", head], Vec::new()).await?;
    let files = git(repo, &["rev-list", "--objects", "--no-walk", head], Vec::new()).await?;
    for line in files.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        objects.extend_from_slice(line.split(|byte| *byte == b' ').next().unwrap_or_default());
        objects.push(b'\n');
    }
    let pack = git(repo, &["pack-objects", "-q", "--stdout"], objects).await?;
    git_plain(into, &["index-pack", "--stdin"], pack).await?;
    let inside = into.join(".git");
    let failed = |error: std::io::Error| error.to_string();
    let shallow = line(&git(repo, &["rev-parse", "--git-path", "shallow"], Vec::new()).await?);
    let shallow = repo.join(shallow);
    let is_shallow = shallow.is_file();
    if is_shallow {
        fs::copy(&shallow, inside.join("shallow")).map_err(failed)?;
    }
    let branch = git(repo, &["symbolic-ref", "-q", "--short", "HEAD"], Vec::new()).await;
    let branch = branch.map_or_else(|_| BRANCH.to_owned(), |bytes| line(&bytes));
    git_plain(into, &["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")], Vec::new()).await?;
    git_plain(into, &["update-ref", "HEAD", head], Vec::new()).await?;
    Ok(is_shallow)
}

/// A submodule: its folder, and the commit that is meant.
type SubmoduleLink = (String, String);

/// Copies what git tracks as it is in the work tree now, and returns the submodules.
async fn copy_work_tree(repo: &Path, into: &Path) -> Result<Vec<SubmoduleLink>, String> {
    let index = git(repo, &["ls-files", "-s", "-z"], Vec::new()).await?;
    let (names, links) = entries(&index);
    let mut present = Vec::new();
    for name in names {
        if repo.join(&name).symlink_metadata().is_ok() {
            present.extend_from_slice(name.as_bytes());
            present.push(0);
        }
    }
    git_plain(into, &["update-index", "-z", "--index-info"], index).await?;
    if !present.is_empty() {
        let args = ["-cf", "-", "--null", "--verbatim-files-from", "--files-from=-"];
        let tar = Program::new("tar", args).in_dir(repo).limit(LIMIT).stdin(present);
        unpack(tar, into).await?;
    }
    Ok(links)
}

/// Reads `git ls-files -s -z`: the names of files, and the submodules. A name that is no UTF-8 is
/// left out, as Nix refuses it.
fn entries(index: &[u8]) -> (Vec<String>, Vec<SubmoduleLink>) {
    let (mut names, mut links) = (Vec::new(), Vec::new());
    for entry in index.split(|byte| *byte == 0) {
        let Ok(entry) = std::str::from_utf8(entry) else { continue };
        let Some((what, name)) = entry.split_once('\t') else { continue };
        let mut words = what.split(' ');
        match (words.next(), words.next()) {
            (Some("160000"), Some(commit)) => links.push((name.to_owned(), commit.to_owned())),
            // A file in a conflict has several entries.
            (Some(_), Some(_)) if names.last().is_none_or(|last| last != name) => {
                names.push(name.to_owned());
            }
            _ => {}
        }
    }
    (names, links)
}

/// Puts the files of the commit into the work tree, and returns the submodules.
async fn check_out(into: &Path) -> Result<Vec<SubmoduleLink>, String> {
    git_plain(into, &["read-tree", "HEAD"], Vec::new()).await?;
    git_plain(into, &["checkout-index", "-a", "-f", "-u"], Vec::new()).await?;
    let index = git_plain(into, &["ls-files", "-s", "-z"], Vec::new()).await?;
    Ok(entries(&index).1)
}

/// Returns where the repository of a submodule is, and what of it is wanted.
async fn submodule(
    repo: &Path,
    wanted: &Wanted,
    path: &str,
    commit: String,
) -> Result<(PathBuf, Wanted), String> {
    let inside = repo.join(path);
    let checked_out = inside.join(".git").exists();
    Ok(match wanted {
        Wanted::WorkTree if checked_out => (inside, Wanted::WorkTree),
        Wanted::Commit(_) if checked_out => (inside, Wanted::Commit(commit)),
        Wanted::Commit(_) | Wanted::WorkTree => {
            let modules = git(repo, &["rev-parse", "--git-path", "modules"], Vec::new()).await?;
            (repo.join(line(&modules)).join(path), Wanted::Commit(commit))
        }
    })
}

/// Returns whether a repository is here, and with it the commit that is wanted.
async fn is_here(repo: &Path, wanted: &Wanted) -> Result<bool, String> {
    // The folder of one may be there only since the repository of another one is below it.
    let is_repository = repo.join(".git").exists() || repo.join("HEAD").exists();
    let Wanted::Commit(commit) = wanted else { return Ok(is_repository) };
    if !is_repository {
        return Ok(false);
    }
    let look = git_in(repo, &["cat-file", "-e", commit]).limit(LIMIT);
    let output = look.run().await.map_err(|error| error.to_string())?;
    match output.code {
        0 => Ok(true),
        // So git says that it has no such object.
        1 => Ok(false),
        _ => Err(output.complaint()),
    }
}

/// Makes a submodule again below its repository.
async fn copy_submodule(
    repo: &Path,
    path: &str,
    (source, wanted): (&Path, &Wanted),
    inside: Submodules<'static>,
    into: &Path,
) -> Result<(), String> {
    if !source.exists() {
        return Err(format!(
            "its submodule {path} is not here; run `git -C {} submodule update --init --recursive`",
            repo.display()
        ));
    }
    copy(source, wanted, inside, into)
        .await
        .map(drop)
        .map_err(|why| format!("its submodule {path}: {why}"))
}

/// Copies a folder as it is; without the git repository in it when that is not wanted.
pub(super) async fn copy_folder(folder: &Path, into: &Path, with_git: bool) -> Result<(), String> {
    let exclude: &[&str] = if with_git { &[] } else { &["--exclude=./.git"] };
    let args = ["-cf", "-"].iter().chain(exclude).chain(&["."]);
    unpack(Program::new("tar", args).in_dir(folder).limit(LIMIT), into).await
}

/// Unpacks what tar packs.
async fn unpack(pack: Program, into: &Path) -> Result<(), String> {
    fs::create_dir_all(into).map_err(|error| error.to_string())?;
    let archive = printed(pack).await?;
    let args = ["-xf", "-", "--no-same-owner"];
    let tar = Program::new("tar", args).in_dir(into).limit(LIMIT).stdin(archive);
    printed(tar).await.map(drop)
}

/// Fetches a repository over ssh into an empty folder, with the keys and the agent of whoever runs
/// nixdash, and asks nobody for anything. `wanted` are names of branches, tags or commits: the first
/// that the server gives is taken. Returns its commit.
pub(super) async fn fetch(url: &str, wanted: &[&str], into: &Path) -> Result<String, String> {
    fs::create_dir_all(into).map_err(|error| error.to_string())?;
    git_plain(into, &["init", "-q", "--bare", "--template=", "."], Vec::new()).await?;
    let own = git(into, &["config", "core.sshCommand"], Vec::new()).await.map(|bytes| line(&bytes));
    let given = std::env::var("GIT_SSH_COMMAND").ok().filter(|command| !command.is_empty());
    let command = given.or(own.ok()).unwrap_or_else(|| "ssh".to_owned());
    let mut why = String::new();
    for name in wanted {
        let program = git_in(into, &["fetch", "-q", "--no-tags", "--", url, name])
            .limit(LIMIT)
            .env("GIT_SSH_COMMAND", format!("{command} -o BatchMode=yes -o ConnectTimeout=15"));
        let output = program.run().await.map_err(|error| error.to_string())?;
        if output.is_ok() {
            let args = ["rev-parse", "-q", "--verify", "FETCH_HEAD^{commit}"];
            return git(into, &args, Vec::new()).await.map(|bytes| line(&bytes));
        }
        let said = crate::fleet::printable_line(output.stderr.lines().next().unwrap_or_default());
        why = if said.is_empty() { output.complaint() } else { said };
    }
    Err(why)
}

/// Removes every `.git` below a folder: what is left is what a commit holds.
pub(super) fn without_git(folder: &Path) -> std::io::Result<()> {
    let mut open: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                continue;
            }
            if entry.file_name() == ".git" {
                fs::remove_dir_all(entry.path())?;
            } else {
                open.push(entry.path());
            }
        }
    }
    Ok(())
}

/// Returns whether git knows a file or folder of a work tree; unknown is taken for yes.
pub(super) async fn is_tracked(repo: &Path, path: &str) -> bool {
    let args = ["ls-files", "-z", "--cached", "--", path];
    git(repo, &args, Vec::new()).await.map_or(true, |found| !found.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs git for a test.
    async fn run(dir: &Path, args: &[&str]) -> String {
        let config = ["-c", "user.name=me", "-c", "user.email=me@example.org"];
        let args: Vec<&str> = config.iter().chain(args).copied().collect();
        line(&git(dir, &args, Vec::new()).await.unwrap())
    }

    /// Makes a repository of two commits with a remote, a changed file and an untracked one.
    async fn repository() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        run(path, &["init", "-q", "-b", "main", "."]).await;
        fs::create_dir(path.join("nixos")).unwrap();
        fs::write(path.join("nixos/flake.nix"), "one").unwrap();
        run(path, &["add", "."]).await;
        run(path, &["commit", "-q", "-m", "one"]).await;
        fs::write(path.join("nixos/flake.nix"), "two").unwrap();
        run(path, &["commit", "-q", "-a", "-m", "two"]).await;
        run(path, &["remote", "add", "origin", "https://me:hunter2@example.org/x"]).await;
        fs::write(path.join("untracked"), "x").unwrap();
        dir
    }

    #[tokio::test]
    async fn a_copy_has_the_files_and_commits_and_nothing_else_of_a_repository() {
        let (repo, place) = (repository().await, tempfile::tempdir().unwrap());
        let into = place.path().join("copy");
        assert_eq!(copy(repo.path(), &Wanted::WorkTree, Submodules::No, &into).await, Ok(false));
        for args in [["rev-parse", "HEAD"].as_slice(), &["rev-list", "--count", "HEAD"]] {
            assert_eq!(run(&into, args).await, run(repo.path(), args).await);
        }
        assert_eq!(run(&into, &["status", "--porcelain"]).await, "", "it is clean");
        assert!(!into.join("untracked").exists());
        let config = fs::read_to_string(into.join(".git/config")).unwrap();
        assert!(!config.contains("hunter2") && !into.join(".git/hooks").exists(), "{config}");
        fs::write(repo.path().join("nixos/flake.nix"), "three").unwrap();
        let dirty = place.path().join("dirty");
        copy(repo.path(), &Wanted::WorkTree, Submodules::No, &dirty).await.unwrap();
        assert_eq!(run(&dirty, &["status", "--porcelain"]).await, "M nixos/flake.nix");
    }

    #[tokio::test]
    async fn a_commit_is_copied_by_any_name_of_it_and_a_wrong_name_is_told() {
        let (repo, place) = (repository().await, tempfile::tempdir().unwrap());
        let into = place.path().join("copy");
        let earlier = Wanted::Commit("main~1".to_owned());
        copy(repo.path(), &earlier, Submodules::No, &into).await.unwrap();
        assert_eq!(fs::read_to_string(into.join("nixos/flake.nix")).unwrap(), "one");
        assert_eq!(run(&into, &["status", "--porcelain"]).await, "");
        for name in ["gone", "--all"] {
            let wanted = Wanted::Commit(name.to_owned());
            let why = copy(repo.path(), &wanted, Submodules::No, &place.path().join(name)).await;
            assert_eq!(why, Err(format!("it has no commit called {name}")));
        }
    }

    #[tokio::test]
    async fn a_flake_that_asks_for_its_submodules_gets_those_that_are_here() {
        let (repo, module, place) =
            (repository().await, repository().await, tempfile::tempdir().unwrap());
        let path = repo.path();
        let from = module.path().display().to_string();
        for name in ["here", "gone"] {
            let args = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &from];
            run(path, &[&args[..], &[name]].concat()).await;
        }
        run(path, &["commit", "-q", "-m", "submodules"]).await;
        fs::remove_dir_all(path.join("gone")).unwrap();
        fs::remove_dir_all(path.join(".git/modules/gone")).unwrap();
        let wanted = Submodules::AskedFor("nixos/flake.nix");
        for (text, asks) in [("{ inputs.self.submodules = true; }", true), ("{ }", false)] {
            fs::write(path.join("nixos/flake.nix"), text).unwrap();
            let into = place.path().join(asks.to_string());
            copy(path, &Wanted::WorkTree, wanted, &into).await.unwrap();
            assert_eq!(into.join("here/nixos/flake.nix").exists(), asks, "{text}");
            assert!(!into.join("gone/nixos").exists());
        }
        let why = copy(path, &Wanted::WorkTree, Submodules::All, &place.path().join("all")).await;
        assert!(why.unwrap_err().contains("its submodule gone is not here"));
        // One inside of which something is missing, and one of which the commit is missing.
        let inner =
            ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &from, "deep"];
        run(&path.join("here"), &inner).await;
        run(&path.join("here"), &["commit", "-q", "-m", "deep"]).await;
        run(path, &["commit", "-q", "-a", "-m", "moved"]).await;
        fs::remove_dir_all(path.join("here/deep")).unwrap();
        fs::remove_dir_all(path.join(".git/modules/here/modules")).unwrap();
        fs::write(path.join("nixos/flake.nix"), "{ inputs.self.submodules = true; }").unwrap();
        let into = place.path().join("inner");
        copy(path, &Wanted::WorkTree, wanted, &into).await.unwrap();
        assert!(
            into.join("here/nixos/flake.nix").exists() && !into.join("here/deep/nixos").exists()
        );
        let update = format!("160000,{},here", "1".repeat(40));
        run(path, &["update-index", "--cacheinfo", &update]).await;
        run(path, &["commit", "-q", "-m", "nobody has it"]).await;
        let (into, last) = (place.path().join("moved"), Wanted::Commit("HEAD".to_owned()));
        copy(path, &last, wanted, &into).await.unwrap();
        assert!(into.join("here").is_dir() && !into.join("here/nixos").exists());
    }

    #[tokio::test]
    async fn a_submodule_that_is_here_and_cannot_be_copied_is_a_failure() {
        let (repo, module, place) =
            (repository().await, repository().await, tempfile::tempdir().unwrap());
        let (path, from) = (repo.path(), module.path().display().to_string());
        let add =
            ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &from, "here"];
        run(path, &add).await;
        fs::write(path.join("nixos/flake.nix"), "{ inputs.self.submodules = true; }").unwrap();
        run(path, &["commit", "-q", "-a", "-m", "submodule"]).await;
        let tree = run(&path.join("here"), &["rev-parse", "HEAD^{tree}"]).await;
        let (folder, file) = tree.split_at(2);
        let objects = path.join(".git/modules/here/objects");
        fs::remove_file(objects.join(folder).join(file)).unwrap();
        for (number, wanted) in
            [Wanted::WorkTree, Wanted::Commit("HEAD".to_owned())].iter().enumerate()
        {
            let into = place.path().join(number.to_string());
            let wants = Submodules::AskedFor("nixos/flake.nix");
            let why = copy(path, wanted, wants, &into).await.unwrap_err();
            assert!(why.starts_with("its submodule here: "), "{why}");
            assert_eq!(copy(path, wanted, Submodules::No, &into.join("none")).await, Ok(false));
        }
    }

    #[tokio::test]
    async fn a_repository_without_a_commit_and_an_untracked_file_are_seen_as_nix_sees_them() {
        let (repo, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        run(repo.path(), &["init", "-q", "."]).await;
        fs::write(repo.path().join("flake.nix"), "one").unwrap();
        assert!(!is_tracked(repo.path(), "flake.nix").await);
        run(repo.path(), &["add", "flake.nix"]).await;
        assert!(is_tracked(repo.path(), "flake.nix").await);
        let into = place.path().join("copy");
        assert_eq!(copy(repo.path(), &Wanted::WorkTree, Submodules::No, &into).await, Ok(false));
        assert!(into.join("flake.nix").exists());
        without_git(&into).unwrap();
        assert!(!into.join(".git").exists());
    }
}
