//! A real Nix of another version, run from a file system of its own without entering it.

use super::cache::{Cache, Item};
use super::cache_info::Opened;
use nixdash::nix::narinfo::rules::NarInfoRules;
use nixdash::nix::version::{NixRelease, Version};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

/// What Nix made of a narinfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Found {
    RefusedAtParse,
    OfAnotherPath,
    RefusedAtImport,
    Unsigned,
    Taken,
    NotKnown,
}

impl Found {
    /// Returns the word for the table.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::RefusedAtParse => "refused at parse",
            Self::OfAnotherPath => "another path",
            Self::RefusedAtImport => "refused at import",
            Self::Unsigned => "unsigned",
            Self::Taken => "taken",
            Self::NotKnown => "not known",
        }
    }

    /// Returns whether Nix read the narinfo and took it for the path's.
    fn was_read(self) -> bool {
        match self {
            Self::RefusedAtParse | Self::OfAnotherPath => false,
            Self::RefusedAtImport | Self::Unsigned | Self::Taken | Self::NotKnown => true,
        }
    }
}

/// A Nix in a file system.
pub(super) struct RealNix {
    root: PathBuf,
    pub(super) version: Version,
    pub(super) rules: NarInfoRules,
}

impl RealNix {
    /// Returns those that `NIXDASH_NIX_ROOTS` names, without versions that nixdash does not know.
    pub(super) fn all() -> Vec<Self> {
        let roots = std::env::var("NIXDASH_NIX_ROOTS").expect("NIXDASH_NIX_ROOTS names them");
        let named = roots.split(':').filter(|root| !root.is_empty());
        let all: Vec<Self> = named.filter_map(|root| Self::in_root(Path::new(root))).collect();
        assert!(!all.is_empty(), "none of {roots} has a Nix whose source was read");
        all
    }

    fn in_root(root: &Path) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let output = command(root, "nix", dir.path()).arg("--version").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let release = NixRelease::parse(&text).unwrap_or_else(|| panic!("{text:?}"));
        let Some(rules) = NarInfoRules::of(release) else {
            println!("{release}: what it makes of narinfos was not read, so it is left out");
            return None;
        };
        Some(Self { root: root.to_owned(), version: release.version, rules })
    }

    /// Returns the column of the table that this version belongs to.
    pub(super) fn column(&self) -> &'static str {
        match self.version {
            version if version < Version::new(2, 34, 0) => "Nix 2.26",
            version if version < Version::new(2, 35, 0) => "Nix 2.34",
            _ => "Nix 2.35",
        }
    }

    /// Returns what Nix makes of each item, and what it said. What is expected decides only what
    /// is tried together: what did not go as expected is tried again alone.
    pub(super) fn judge(
        &self,
        cache: &Cache,
        items: &[(&Item, Found)],
        key: &str,
    ) -> Vec<(Found, String)> {
        let together = |wanted: fn(Found) -> bool| {
            items.iter().filter(|(_, found)| wanted(*found)).map(|(item, _)| *item).collect()
        };
        let read: Vec<&Item> = together(Found::was_read);
        let all_read = self.path_info(cache, &read).status.success();
        let taken: Vec<&Item> = together(|found| found == Found::Taken);
        let all_taken = self.realise(cache, &taken, key).status.success();
        let results: Vec<Mutex<Option<(Found, String)>>> =
            items.iter().map(|_| Mutex::new(None)).collect();
        let next = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        let Some((item, expected)) = items.get(index) else { return };
                        let known = match expected {
                            Found::Taken if all_read && all_taken => (Found::Taken, String::new()),
                            _ => self.alone(cache, item, key),
                        };
                        *results[index].lock().unwrap() = Some(known);
                    }
                });
            }
        });
        results.into_iter().map(|result| result.into_inner().unwrap().unwrap()).collect()
    }

    /// Returns what Nix makes of one item.
    fn alone(&self, cache: &Cache, item: &Item, key: &str) -> (Found, String) {
        let output = self.path_info(cache, &[item]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            let is_missing = said.contains("is not valid") && !said.contains("is not a valid");
            let found = if is_missing { Found::OfAnotherPath } else { Found::RefusedAtParse };
            return (found, said);
        }
        let output = self.realise(cache, &[item], key);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let found = if output.status.success() {
            Found::Taken
        } else if said.contains("' but got '") {
            // What Nix has in memory it no longer compares while it looks the path up.
            Found::OfAnotherPath
        } else if said.contains("not signed by any of the keys") {
            Found::Unsigned
        } else {
            Found::RefusedAtImport
        };
        (found, said)
    }

    /// Lets Nix bring an item into an empty store from a cache, else from a good one; returns what
    /// opening the first of them led to.
    pub(super) fn open(&self, cache: &Cache, good: &Cache, item: &Item, key: &str) -> Opened {
        let dir = tempfile::tempdir().unwrap();
        let urls = format!("{} {}", cache.url, good.url);
        let output = self.realise_in(dir.path(), &urls, &[item], key);
        if !output.status.success() {
            return Opened::Stops;
        }
        let folder = dir.path().join("cache/nix");
        let names = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
        let file = names
            .filter(|path| path.extension().is_some_and(|extension| extension == "sqlite"))
            .find(|path| path.to_string_lossy().contains("binary-cache-v"))
            .unwrap();
        let database = rusqlite::Connection::open(file).unwrap();
        let query = "select priority from BinaryCaches where url = ?1";
        database
            .query_row(query, [&cache.url], |row| row.get(0))
            .map_or(Opened::PassedOver, Opened::Asked)
    }

    /// Lets Nix read the narinfos of items.
    fn path_info(&self, cache: &Cache, items: &[&Item]) -> Output {
        let dir = tempfile::tempdir().unwrap();
        let mut command = command(&self.root, "nix", dir.path());
        command.args(["--extra-experimental-features", "nix-command", "path-info", "--store"]);
        command.arg(&cache.url).args(items.iter().map(|item| item.path.as_str()));
        command.output().unwrap()
    }

    /// Lets Nix bring items into an empty store.
    fn realise(&self, cache: &Cache, items: &[&Item], key: &str) -> Output {
        self.realise_in(tempfile::tempdir().unwrap().path(), &cache.url, items, key)
    }

    /// Does what [`RealNix::realise`] does, in a folder that outlives it.
    fn realise_in(&self, dir: &Path, urls: &str, items: &[&Item], key: &str) -> Output {
        let mut command = command(&self.root, "nix-store", dir);
        command.arg("--store").arg(dir.join("store"));
        command.args(["--option", "substituters", urls]);
        command.args(["--option", "trusted-public-keys", key]);
        command.arg("--realise").args(items.iter().map(|item| item.path.as_str()));
        command.output().unwrap()
    }
}

/// Returns a program of a file system, run by the loader and with the libraries of that file system,
/// and with an empty folder for everything that it keeps.
fn command(root: &Path, program: &str, dir: &Path) -> Command {
    let loaders = [
        ("lib64/ld-linux-x86-64.so.2", "x86_64-linux-gnu"),
        ("lib/ld-linux-aarch64.so.1", "aarch64-linux-gnu"),
    ];
    let usr = root.join("usr");
    let (loader, triple) = loaders
        .into_iter()
        .flat_map(|(loader, triple)| [(usr.join(loader), triple), (root.join(loader), triple)])
        .find(|(loader, _)| loader.exists())
        .unwrap_or_else(|| panic!("{} has no loader", root.display()));
    let libraries = [format!("usr/lib/{triple}"), format!("usr/lib/{triple}/nix")]
        .map(|folder| root.join(folder).display().to_string());
    let mut command = Command::new(loader);
    command.arg("--library-path").arg(libraries.join(":"));
    command.arg(root.join("usr/bin").join(program));
    command.env_clear().env("HOME", dir).env("XDG_CACHE_HOME", dir.join("cache"));
    command.env("NIX_CONF_DIR", dir).env("TMPDIR", dir);
    let settings = "build-users-group =\nsandbox = false\nconnect-timeout = 5\n\
                    download-attempts = 1\nsubstituters =\n";
    command.env("NIX_CONFIG", settings);
    command
}
