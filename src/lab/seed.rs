//! The seed of a lab: every host's first generation and the static cache, built once and then only copied.
//!
//! Everything in it is made by the real Nix of the base file system: upstream packages are built and signed into the static
//! cache, the builder takes them from there and builds the rest, the other hosts fetch both. So each store path has the
//! signatures and the history that it would have in a fleet that was deployed before.

use std::path::{Path, PathBuf};

use super::base::{self, BaseKind};
use super::error::{ErrorContext, LabError};
use super::flake;
use super::keys::CacheKey;
use super::names::{ALL, HOSTS, LabHost, fnv};
use super::state::{Shelf, make_dir, read, remove_tree, write};
use super::tool::Tool;

const ENTER: &str = include_str!("guest/enter.sh");
const COMMON: &str = include_str!("guest/common.sh");
const STAGE_2: &str = include_str!("guest/stage-2.sh");
const NETWORK_LATER: &str = include_str!("guest/network-later.sh");
const SEED: &str = include_str!("guest/seed.sh");

/// The host that those beyond the four are like: they stand on its layer.
const MODEL: &str = "samsung";

/// The layer in which the builder has the systems of the hosts beyond the four.
const MORE_OF_BUILDER: &str = "p620-more";

/// The file that says that the layers of the hosts beyond the four are whole.
const MORE_IS_MADE: &str = "more";

/// The layers and files of a seed.
#[derive(Debug, Clone)]
pub(crate) struct Seed {
    root: PathBuf,
}

impl Seed {
    /// A seed that has been made.
    pub(crate) fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// A file or directory of it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The public half of a cache's key: of `p620` or of `static`.
    pub(crate) fn public_key(&self, cache: &str) -> Result<String, LabError> {
        Ok(read(&self.file(&format!("keys/{cache}.public")))?.trim().to_owned())
    }

    /// The layer that every host stands on, over the base.
    pub(crate) fn common(&self) -> PathBuf {
        self.root.join("layers/common/upper")
    }

    /// A layer of its own: a host's first generation, or `upstream`, where the static cache is built.
    pub(crate) fn layer(&self, name: &str) -> PathBuf {
        self.root.join("layers").join(name).join("upper")
    }

    /// The layers that are a host's own, as an overlay wants them; with `more` in a lab of more than the four hosts.
    pub(crate) fn layers(&self, host: LabHost, more: bool) -> String {
        let names: &[&str] = match host.name {
            "p620" if more => &[MORE_OF_BUILDER, "p620"],
            name if HOSTS.contains(&host) => &[name],
            name => &[name, MODEL],
        };
        let layers: Vec<String> =
            names.iter().map(|name| self.layer(name).display().to_string()).collect();
        layers.join(":")
    }
}

/// The name of the seed's directory: changes with anything that goes into it.
pub(crate) fn key() -> String {
    let mut parts: Vec<&[u8]> =
        [ENTER, COMMON, STAGE_2, NETWORK_LATER, SEED].map(str::as_bytes).to_vec();
    for (name, text) in flake::FILES {
        parts.extend([name.as_bytes(), text.as_bytes()]);
    }
    let base = BaseKind::Stable.key();
    parts.push(base.as_bytes());
    format!("{:012x}", fnv(&parts) >> 16)
}

/// Returns the seed, making it first where it is not there. Takes some seconds then.
pub(crate) fn ensure(shelf: &Shelf, base: &Path) -> Result<Seed, LabError> {
    let root = shelf.seed(&key());
    if root.is_dir() {
        return Ok(Seed::at(root));
    }
    tell_aside!("lab: building the first generation of every host (once, a few seconds)");
    let making = Seed::at(shelf.seed("making"));
    remove_tree(&making.root)?;
    prepare(&making)?;
    let common = base.display().to_string();
    run(&making, "common", &common, "/mnt/guest/common.sh", &[])?;
    let lower = format!("{}:{common}", making.common().display());
    run(&making, "upstream", &lower, "/mnt/guest/seed.sh", &["upstream"])?;
    let builder = HOSTS[0].name;
    let mut arguments = vec!["builder"];
    arguments.extend(HOSTS.map(|host| host.name));
    run(&making, builder, &lower, "/mnt/guest/seed.sh", &arguments)?;
    for host in &HOSTS[1..] {
        let toplevel = read(&making.file("toplevels").join(host.name))?;
        run(
            &making,
            host.name,
            &lower,
            "/mnt/guest/seed.sh",
            &["target", host.name, toplevel.trim()],
        )?;
    }
    remove_tree(&making.file("builder-cache"))?;
    std::fs::rename(&making.root, &root).at("putting in place", &root)?;
    Ok(Seed::at(root))
}

/// Adds to a seed the first generations of the hosts beyond the four, where they are not there. Takes some seconds then.
fn ensure_more(seed: &Seed, base: &Path) -> Result<(), LabError> {
    if seed.file(MORE_IS_MADE).exists() {
        return Ok(());
    }
    tell_aside!("lab: building the first generation of more hosts (once, half a minute)");
    let more = &ALL[HOSTS.len()..];
    for name in more.iter().map(|host| host.name).chain([MORE_OF_BUILDER]) {
        remove_tree(&seed.file("layers").join(name))?;
    }
    flake::write_files(&seed.file("flake"), &ALL)?;
    let common = format!("{}:{}", seed.common().display(), base.display());
    let builder = format!("{}:{common}", seed.layer(HOSTS[0].name).display());
    let mut arguments = vec!["more"];
    arguments.extend(more.iter().map(|host| host.name));
    run(seed, MORE_OF_BUILDER, &builder, "/mnt/guest/seed.sh", &arguments)?;
    let model = format!("{}:{common}", seed.layer(MODEL).display());
    for host in more {
        let toplevel = read(&seed.file("toplevels").join(host.name))?;
        let arguments = ["anew", host.name, toplevel.trim()];
        run(seed, host.name, &model, "/mnt/guest/seed.sh", &arguments)?;
    }
    remove_tree(&seed.file("builder-cache"))?;
    write(&seed.file(MORE_IS_MADE), "", 0o644)
}

fn prepare(seed: &Seed) -> Result<(), LabError> {
    for (name, text) in [
        ("enter.sh", ENTER),
        ("common.sh", COMMON),
        ("stage-2.sh", STAGE_2),
        ("network-later.sh", NETWORK_LATER),
        ("seed.sh", SEED),
    ] {
        write(&seed.file("guest").join(name), text, 0o755)?;
    }
    for name in ["p620", "static"] {
        let key = CacheKey::generate(&format!("{name}-1"))?;
        write(&seed.file(&format!("keys/{name}.secret")), key.secret(), 0o600)?;
        write(&seed.file(&format!("keys/{name}.public")), key.public(), 0o644)?;
    }
    make_dir(&seed.file("toplevels"))?;
    flake::write_files(&seed.file("flake"), &HOSTS)
}

/// Runs one of the seed's scripts in a layer of it.
fn run(
    seed: &Seed,
    layer: &str,
    lower: &str,
    script: &str,
    arguments: &[&str],
) -> Result<(), LabError> {
    let directory = seed.file("layers").join(layer);
    enter(&directory, lower, &seed.root, script, arguments)
}

/// Runs a script of `shared` (seen as /mnt) over `lower`; what it writes stays in `directory/upper`.
pub(crate) fn enter(
    directory: &Path,
    lower: &str,
    shared: &Path,
    script: &str,
    arguments: &[&str],
) -> Result<(), LabError> {
    let [upper, work, root] = ["upper", "work", "root"].map(|part| directory.join(part));
    for part in [&upper, &work, &root] {
        make_dir(part)?;
    }
    let what = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Tool::new(format!("preparing the layer '{what}'"), "unshare")
        .args(["--mount", "--pid", "--fork", "--kill-child", "sh"])
        .arg(shared.join("guest/enter.sh"))
        .arg(lower)
        .args([&upper, &work, &root])
        .arg(shared)
        .args(["/bin/sh", script])
        .args(arguments)
        .run()
        .map(|_| ())
}

/// Makes sure of the base, of the one with the newer Nix where that is asked for, and of the seed for so many hosts.
pub(crate) fn ensure_all(
    shelf: &Shelf,
    mirror: Option<&str>,
    newer: bool,
    hosts: u8,
) -> Result<(), LabError> {
    let base = base::ensure(shelf, BaseKind::Stable, mirror)?;
    if newer {
        base::ensure(shelf, BaseKind::NewerNix, mirror)?;
    }
    let seed = ensure(shelf, &base)?;
    if usize::from(hosts) > HOSTS.len() { ensure_more(&seed, &base) } else { Ok(()) }
}

/// Removes seeds and bases that no lab stands on and no lab would be made from now. Called with the shelf locked.
pub(crate) fn prune(shelf: &Shelf) -> Result<(), LabError> {
    let records = shelf.records();
    let seeds = records.iter().map(|record| record.seed.clone()).chain([key()]);
    keep_only(&shelf.root().join("seed"), &seeds.collect::<Vec<_>>())?;
    let bases = records
        .iter()
        .flat_map(|record| [Some(record.base.clone()), record.newer_base.clone()])
        .flatten();
    let current = [BaseKind::Stable.key(), BaseKind::NewerNix.key()];
    keep_only(&shelf.root().join("base"), &bases.chain(current).collect::<Vec<_>>())
}

fn keep_only(directory: &Path, names: &[String]) -> Result<(), LabError> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Ok(()) };
    for entry in entries.flatten() {
        if !names.iter().any(|name| entry.file_name() == name.as_str()) {
            remove_tree(&entry.path())?;
        }
    }
    Ok(())
}
