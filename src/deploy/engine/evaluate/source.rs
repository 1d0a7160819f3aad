//! The source of a flake on its way to the host that evaluates it: everything that Nix would read of
//! this machine.
//!
//! A git repository arrives as one, so that `self.rev`, submodules, `?ref=` and a flake in a subfolder
//! that reads `../x` mean there what they mean here. Inputs that only this machine has, or may fetch
//! (`path:`, `git+file:`, `git+ssh:`), go along: there they are put into the store, where Nix looks
//! for what is locked before it fetches anything.

use super::repository::{
    self, Submodules, Wanted, copy, copy_folder, fetch, is_there, printed, without_git,
};
use crate::deploy::Failure;
use crate::deploy::engine::flake::{LocalFlake, locate};
use crate::deploy::engine::scripts::UNPACK;
use crate::deploy::engine::step::Step;
use crate::fleet::Code;
use crate::nix::flake_lock::{InputPlace, PrivateInput, private_inputs};
use crate::nix::flake_url::{FlakeKind, FlakeUrl};
use crate::remote::{Program, Script};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::OnceCell;

/// How long sending and unpacking may take.
const SEND_LIMIT: Duration = Duration::from_secs(300);

/// A packed source.
pub(in crate::deploy::engine) struct Packed {
    /// A tar archive: the source in `flake`, inputs in `inputs/NUMBER/source`.
    archive: Vec<u8>,
    /// How Nix is to read it: `git+file` or `path`.
    scheme: &'static str,
    /// The folder with `flake.nix` below the source.
    dir: String,
    /// Whether commits are missing in it.
    is_shallow: bool,
    /// What a person calls the source: a folder of this machine, or an address.
    name: String,
}

/// A source that has arrived on a host.
#[derive(Clone, Debug)]
pub(in crate::deploy::engine) struct Arrived {
    /// The folder there that is removed when the run has ended.
    pub(in crate::deploy::engine) folder: String,
    /// The flake reference to evaluate there.
    pub(super) reference: String,
    /// The folder there with the source.
    pub(super) source: String,
    /// What a person calls the source.
    pub(super) name: String,
}

/// Sends the flake's source to a host, once per run; nothing of a flake that the host fetches by
/// itself.
pub(super) async fn source_on(
    step: &Step,
    host: &str,
    url: &FlakeUrl,
) -> Result<Option<Arrived>, Failure> {
    let packing = step.shared.packed.cell(step.flake());
    let Some(packed) = packed(step, url, &packing).await? else { return Ok(None) };
    let cell = step.shared.sources.cell((host.to_owned(), step.flake().to_owned()));
    let arrived = cell.get_or_try_init(|| send(step, host, url, packed)).await?;
    Ok(Some(arrived.clone()))
}

/// Returns the packed source, packing it once per run and flake.
async fn packed<'s>(
    step: &Step,
    url: &FlakeUrl,
    packing: &'s OnceCell<Option<Packed>>,
) -> Result<Option<&'s Packed>, Failure> {
    let packed = packing.get_or_try_init(|| async {
        let place = tempfile::tempdir().map_err(|error| not_packed(step, &error.to_string()))?;
        let found = collect(step, url, place.path()).await;
        found.map_err(|why| not_packed(step, &why))
    });
    Ok(packed.await?.as_ref())
}

/// Returns the failure of a source that cannot be packed.
fn not_packed(step: &Step, why: &str) -> Failure {
    let flake = step.flake();
    let text = format!(
        "{}: the flake {flake} could not be packed on this machine, to be evaluated on {}: {why}",
        step.host.name,
        step.host.build_on()
    );
    Failure::failed(Code::SourceNotSent, text)
}

/// Collects a source and its inputs below a folder and packs it.
async fn collect(step: &Step, url: &FlakeUrl, place: &Path) -> Result<Option<Packed>, String> {
    let source = place.join("flake");
    let mut packed = match (&url.kind, locate(url)) {
        (FlakeKind::GitSsh(address), _) => {
            match collect_remote(step, url, address, place, &source).await {
                Some(packed) => packed,
                None => return Ok(None),
            }
        }
        (_, None) => return Ok(None),
        (_, Some(Err(problem))) => return Err(format!("{problem}; {}", problem.hint())),
        (_, Some(Ok(flake))) => collect_local(step, url, &flake, &source).await?,
    };
    let lock = std::fs::read_to_string(source.join(&packed.dir).join("flake.lock"));
    let is_fetched = matches!(url.kind, FlakeKind::GitSsh(_));
    for (number, input) in private_inputs(&lock.unwrap_or_default()).iter().enumerate() {
        // A lock file that came from elsewhere gets nothing of this machine.
        if is_fetched && !matches!(input.place, InputPlace::Ssh(_)) {
            continue;
        }
        collect_input(step, input, place, &place.join(format!("inputs/{number}"))).await;
    }
    // What git fetched lies beside them.
    let names = ["flake", "inputs"].into_iter().filter(|name| place.join(name).exists());
    let args = ["-cf", "-"].into_iter().chain(names);
    let tar = Program::new("tar", args).in_dir(place).limit(SEND_LIMIT);
    packed.archive = printed(tar).await?;
    Ok(Some(packed))
}

/// Collects a flake of this machine.
async fn collect_local(
    step: &Step,
    url: &FlakeUrl,
    flake: &LocalFlake,
    into: &Path,
) -> Result<Packed, String> {
    let mut packed = Packed {
        archive: Vec::new(),
        scheme: "path",
        dir: flake.dir.clone(),
        is_shallow: false,
        name: flake.root.display().to_string(),
    };
    if !flake.is_git {
        copy_folder(&flake.root, into, false).await?;
        return Ok(packed);
    }
    if !is_there().await {
        step.log(
            "git is not installed on this machine: files that it does not track are sent too, and \
             self.rev is not known",
        )
        .await;
        copy_folder(&flake.root, into, false).await?;
        return Ok(packed);
    }
    let is_bare = !flake.root.join(".git").exists();
    let wanted = match url.param("rev").or(url.param("ref")) {
        Some(commit) => Wanted::Commit(commit.to_owned()),
        None if is_bare => Wanted::Commit("HEAD".to_owned()),
        None => Wanted::WorkTree,
    };
    packed.scheme = "git+file";
    let flake_file = flake.file("flake.nix");
    packed.is_shallow = copy(&flake.root, &wanted, submodules(url, &flake_file), into).await?;
    Ok(packed)
}

/// Returns which submodules of a flake's repository Nix may read. `flake_file` is where its `flake.nix` lies in it.
fn submodules<'a>(url: &FlakeUrl, flake_file: &'a str) -> Submodules<'a> {
    if url.is_set("submodules") { Submodules::All } else { Submodules::AskedFor(flake_file) }
}

/// Fetches a flake that is reached over ssh, with the keys and the agent of the person here: those of
/// the login user on the builder may not be let in. Nothing when it cannot be fetched here: then the
/// builder tries.
async fn collect_remote(
    step: &Step,
    url: &FlakeUrl,
    address: &str,
    place: &Path,
    into: &Path,
) -> Option<Packed> {
    let bare = place.join("fetched");
    let wanted: Vec<&str> = [url.param("ref"), url.param("rev")].into_iter().flatten().collect();
    let wanted = if wanted.is_empty() { vec!["HEAD"] } else { wanted };
    let fetched = async {
        let found = fetch(address, &wanted, &bare).await?;
        let commit = url.param("rev").map_or(found, str::to_owned);
        let flake_file = Path::new(url.dir()).join("flake.nix").display().to_string();
        copy(&bare, &Wanted::Commit(commit), submodules(url, &flake_file), into).await
    };
    match fetched.await {
        Ok(is_shallow) => {
            step.log(&format!("fetched {address} on this machine, with your keys")).await;
            Some(Packed {
                archive: Vec::new(),
                scheme: "git+file",
                dir: url.dir().to_owned(),
                is_shallow,
                name: address.to_owned(),
            })
        }
        Err(why) => {
            let there = step.host.build_on();
            step.log(&format!(
                "{address} could not be fetched on this machine ({why}); {there} tries it with the keys of \
                 its login user"
            ))
            .await;
            None
        }
    }
}

/// Collects an input that the other host cannot fetch. Where that fails, Nix looks there by itself.
async fn collect_input(step: &Step, input: &PrivateInput, place: &Path, into: &Path) {
    // What the store calls it.
    let source = into.join("source");
    let commit = Wanted::Commit(input.rev.clone().unwrap_or_default());
    let collected = async {
        match &input.place {
            InputPlace::Folder(folder) => return copy_folder(folder, &source, true).await,
            InputPlace::Repository(repo) => {
                copy(repo, &commit, Submodules::all_if(input.submodules), &source).await?;
            }
            InputPlace::Ssh(address) => {
                let bare = place.join(format!("fetched-{}", input.name.replace('/', "-")));
                let wanted = [input.rev.as_deref(), input.branch.as_deref(), Some("HEAD")];
                let wanted: Vec<&str> = wanted.into_iter().flatten().collect();
                fetch(address, &wanted, &bare).await?;
                copy(&bare, &commit, Submodules::all_if(input.submodules), &source).await?;
            }
        }
        without_git(&source).map_err(|error| error.to_string())
    };
    if let Err(why) = collected.await {
        // Half of it would have another hash, and be of no use.
        drop(std::fs::remove_dir_all(into));
        step.log(&format!(
            "the input {} of the flake could not be sent along ({why}); {} fetches it by itself, when it can",
            input.name, step.host.build_on()
        ))
        .await;
    }
}

/// Sends a packed source to a host.
async fn send(
    step: &Step,
    host: &str,
    url: &FlakeUrl,
    packed: &Packed,
) -> Result<Arrived, Failure> {
    let script = Script::new(UNPACK).stdin(packed.archive.clone()).limit(SEND_LIMIT);
    let output = step.run(host, &script).await.map_err(|failure| step.about_builder(failure))?;
    let folder = output.stdout.trim().to_owned();
    let tail = folder.rsplit_once("/nixdash/source-").map(|(_, tail)| tail);
    let fits = tail.is_some_and(|tail| tail.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    if !output.is_ok() || !fits || !folder.starts_with('/') {
        let said = output.complaint();
        let text = format!(
            "{}: the flake's source could not be unpacked on {host}: {said}",
            step.host.name
        );
        return Err(Failure::failed(Code::SourceNotSent, text));
    }
    let source = format!("{folder}/flake");
    let reference = url.at(packed.scheme, &source, &packed.dir, packed.is_shallow);
    Ok(Arrived { folder, reference, source, name: packed.name.clone() })
}

/// Returns what git does not track of what an error names, though it is there: Nix reads only what git
/// tracks.
pub(super) async fn untracked(root: &Path, names: &[String]) -> Option<String> {
    for name in names {
        let is_inside = !name.is_empty()
            && Path::new(name)
                .components()
                .all(|part| matches!(part, std::path::Component::Normal(_)));
        if !is_inside || root.join(name).symlink_metadata().is_err() {
            continue;
        }
        if !repository::is_tracked(root, name).await {
            return Some(name.clone());
        }
    }
    None
}

/// Returns the git work tree of a flake of this machine, where it is in one and evaluated as it is.
pub(super) fn work_tree(url: &FlakeUrl) -> Option<(PathBuf, String)> {
    let flake = locate(url)?.ok().filter(|flake| flake.is_git)?;
    let as_it_is = url.param("ref").is_none() && url.param("rev").is_none();
    (as_it_is && flake.root.join(".git").exists()).then_some((flake.root, flake.dir))
}
