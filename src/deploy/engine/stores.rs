//! A host that builds its own system while no cache is asked: what the builder or this machine has of it comes
//! over ssh, and the rest is compiled.
//!
//! The stores are named for one command only and replace the host's substituters there. The host checks
//! signatures as always: what nobody signed that it trusts is compiled. A builder with a key signs what it gives first.

use super::lost::through_cuts;
use super::push_way::{KeysToTell, complete, signing_key, way_script};
use super::scripts::{PUSH_TARGET, SIGN_PATHS, SIGNATURES};
use super::step::Step;
use super::takes::Takes;
use super::verify::trusts;
use super::wake;
use crate::deploy::words::{NO_ANSWER, without_question};
use crate::deploy::{Failure, Reason};
use crate::fleet::{Address, Code, Host, Outcome, StorePath, printable_line};
use crate::nix::argv;
use crate::nix::settings::Settings;
use crate::nix::trusted_keys::TrustedKeys;
use crate::probe::invalid_paths;
use crate::remote::{Program, Script};
use std::sync::Arc;
use std::time::Duration;

/// How long it may take to say who signed some thousand paths.
const SIGNATURES_LIMIT: Duration = Duration::from_secs(60);

/// How long a copy from this machine may take.
const COPY_LIMIT: Duration = Duration::from_secs(6 * 3600);

/// The stores that a host takes paths from instead of its caches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OnlyStores {
    /// The stores, as Nix wants them; empty where there are none.
    list: String,
    /// Options for ssh.
    options: String,
    /// What the host asks of what comes.
    takes: Takes,
    /// The host that has the store, and the file with the key that it signs with before anything is taken; no
    /// file where it signs nothing, or with a key that is not trusted.
    lender: Option<(String, Option<String>)>,
    /// What the person should know before saying yes.
    pub(super) note: Option<Reason>,
}

impl OnlyStores {
    /// Returns what scripts are told that realise something.
    pub(super) fn arguments(&self) -> [String; 2] {
        [self.list.clone(), self.options.clone()]
    }

    /// Returns whether what comes is signed before.
    pub(super) fn signs(&self) -> bool {
        self.lender.as_ref().is_some_and(|(_, key)| key.is_some())
    }
}

/// Looks once per run which stores a host can take paths from.
pub(super) async fn prepare(step: &Step) -> Result<Arc<OnlyStores>, Failure> {
    let cell = step.shared.stores.cell(step.host.name.as_str());
    let found = cell.get_or_try_init(|| async { look(step).await.map(Arc::new) });
    found.await.cloned()
}

/// Looks whether the host can log in to its builder.
async fn look(step: &Step) -> Result<OnlyStores, Failure> {
    let (name, fleet) = (&step.host.name, &step.shared.fleet);
    let settings = Settings::told(&step.run(name, &Script::new(PUSH_TARGET)).await?.stdout);
    let takes = Takes::of(&settings);
    let alone = |why: String| {
        let text =
            format!("no cache is asked, and {name} compiles all that it lacks, because {why}");
        let note = Some(Reason::new(Code::CachesSkipped, text));
        Ok(OnlyStores { note, takes: takes.clone(), ..OnlyStores::default() })
    };
    let builder = fleet.builder_of(step.config()?).filter(|builder| builder != name);
    let Some(builder) = builder.and_then(|builder| fleet.host(builder)) else {
        return alone("hosts.toml names no other host that builds for it".to_owned());
    };
    let there = &builder.name;
    if builder.addresses.is_empty() {
        return alone(format!("hosts.toml names no address of {there}"));
    }
    let address = match reached(step, builder).await? {
        Ok(address) => address,
        Err(why) => return alone(why),
    };
    let (key, takes_what, why) = match &takes {
        Takes::All => (None, format!("what {there} has over ssh"), String::new()),
        Takes::Signed(_) => match signer(step, builder, &settings).await {
            Ok(key) => {
                (Some(key), format!("what {there} has over ssh and signs first"), String::new())
            }
            Err(why) => {
                let takes = format!(
                    "from {there} over ssh what a key signed that {name} trusts (the plan compares only the names of \
                     keys)"
                );
                (None, takes, format!("; {there} signs nothing itself: {why}"))
            }
        },
    };
    let text = format!("no cache is asked: {name} takes {takes_what}, and compiles the rest{why}");
    Ok(OnlyStores {
        list: argv::push_store(&address),
        options: argv::ssh_options(&address, None).unwrap_or_default(),
        lender: Some((there.clone(), key)),
        note: Some(Reason::new(Code::CachesSkipped, text)),
        takes,
    })
}

/// Returns the address by which a host logs in to its builder; the error says why it cannot.
async fn reached(step: &Step, builder: &Host) -> Result<Result<Address, String>, Failure> {
    let (name, there) = (&step.host.name, &builder.name);
    let user = match wake::run_awake(step, there, &Script::new(PUSH_TARGET)).await {
        Ok(output) => {
            output.stdout.lines().find_map(|line| line.strip_prefix("user\t")).map(printable_line)
        }
        Err(failure) => {
            let why = without_question(&failure.reason.text);
            return Ok(Err(format!("{there} cannot be asked ({why})")));
        }
    };
    let user = user.unwrap_or_else(|| "root".to_owned());
    let script = way_script(KeysToTell::None, &builder.addresses, &user, "").root();
    let output = step.run(name, &script).await?;
    let said = |word: &str| {
        output.stdout.lines().find_map(|line| line.strip_prefix(word).map(str::to_owned))
    };
    let reached = said("reached\t").and_then(|number| number.trim().parse::<usize>().ok());
    let address = reached.and_then(|reached| builder.addresses.get(reached));
    Ok(address.map(|address| complete(address, &user)).ok_or_else(|| {
        let why = said("refused\t").unwrap_or_else(|| NO_ANSWER.to_owned());
        let why = printable_line(why.split_once('\t').map_or(why.as_str(), |(_, why)| why));
        format!("root of {name} cannot log in to {there} ({why})")
    }))
}

/// Returns the file with the key that a builder signs with for a host of these settings; the error says why it does
/// not.
async fn signer(step: &Step, builder: &Host, settings: &Settings) -> Result<String, String> {
    let there = &builder.name;
    let file = builder.sign_key.clone().ok_or_else(|| {
        format!("name a key of {there} as sign_key in [hosts.{there}] of hosts.toml")
    })?;
    let key = signing_key(step, there, &file).await.map_err(|failure| failure.reason.text)??;
    let trusted = TrustedKeys::parse(&settings.trusted_public_keys());
    trusts(&step.host.name, &key, &trusted).map_err(|(_, why)| why)?;
    Ok(file)
}

/// Returns those of the paths that Nix would take from the store, and that the host refuses: no key that it trusts
/// signed them, and none will. None where the store cannot be asked.
pub(super) async fn refused(step: &Step, paths: &[StorePath]) -> Result<Vec<StorePath>, Failure> {
    let stores = prepare(step).await?;
    let Some((lender, None)) = &stores.lender else { return Ok(Vec::new()) };
    if paths.is_empty() || stores.takes == Takes::All {
        return Ok(Vec::new());
    }
    let script = Script::new(SIGNATURES).stdin(lines(paths)).limit(SIGNATURES_LIMIT);
    let (said, why) = match step.run(lender, &script).await {
        Ok(output) if output.is_ok() => (output.stdout, None),
        Ok(output) => {
            let complaint = output.complaint();
            (output.stdout, Some(complaint))
        }
        // It is not the target that is away, and the target may compile everything.
        Err(failure) => (String::new(), Some(failure.reason.text)),
    };
    if let Some(why) = why {
        step.log(&format!("who signed what {lender} has is not known: {why}")).await;
    }
    Ok(stores.takes.refused(&said))
}

/// Lets the host that has the store sign the paths that come from it. Where it cannot, the target compiles what
/// nobody signed that it trusts.
pub(super) async fn sign(step: &Step, paths: &[StorePath]) -> Result<(), Failure> {
    let stores = prepare(step).await?;
    let Some((lender, Some(key))) = &stores.lender else { return Ok(()) };
    if paths.is_empty() {
        return Ok(());
    }
    step.log(&format!("{lender} signs the {} paths that come from there", paths.len())).await;
    let script = Script::new(SIGN_PATHS).root().limit(COPY_LIMIT).arg(key).stdin(lines(paths));
    let why = match step.run(lender, &script).await {
        Ok(output) if output.is_ok() => return Ok(()),
        Ok(output) => output.complaint(),
        Err(failure) => failure.reason.text,
    };
    let host = &step.host.name;
    step.log(&format!(
        "what {lender} has could not be signed with {key} there, so {host} compiles what no key signed that it \
         trusts: {why}"
    ))
    .await;
    Ok(())
}

/// Returns paths as a script reads them.
fn lines(paths: &[StorePath]) -> String {
    paths.iter().fold(String::new(), |lines, path| lines + path.as_str() + "\n")
}

/// Returns how many paths of the system the host would refuse from the store of this machine, of those that it
/// lacks.
pub(super) async fn refused_from_here(step: &Step) -> Result<usize, Failure> {
    let stores = prepare(step).await?;
    let words =
        ["--extra-experimental-features", "nix-command", "path-info", "--sigs", "--recursive"];
    let words = words.into_iter().chain([step.toplevel()?.as_str()]);
    let asked = Program::new("nix", words).run().await;
    // What is not known here is told by the copy.
    let refused = asked.map(|said| stores.takes.refused(&said.stdout)).unwrap_or_default();
    let lacking = invalid_paths(step.runner.as_ref(), &step.host.name, refused.iter()).await;
    Ok(lacking.map_or(refused.len(), |lacking| lacking.len()))
}

/// Returns whether a path is valid in the store of this machine.
pub(super) async fn is_here(path: &StorePath) -> bool {
    let asked = Program::new("nix-store", ["--check-validity", path.as_str()]).run().await;
    asked.is_ok_and(|output| output.is_ok())
}

/// Copies the system from the store of this machine to its host, which checks the signatures. One that it
/// does not take is compiled.
pub(super) async fn copy_from_here(step: &Step) -> Result<(), Failure> {
    let (name, config) = (&step.host.name, step.config()?);
    let answering = step.shared.runner.address(name);
    let written = config.addresses.iter().find(|address| Some(address.to_string()) == answering);
    let Some(address) = written.or(config.addresses.first()) else { return Ok(()) };
    step.log("the system is in the store of this machine: copying it from here").await;
    let failed = |text: String| Failure {
        outcome: Outcome::Failed,
        reason: Reason::new(Code::FetchFailed, text),
    };
    let options = argv::ssh_options(address, step.shared.fleet.ssh_config.as_deref())
        .map_err(|error| failed(error.to_string()))?;
    let args = argv::copy_to(&argv::push_store(address), step.toplevel()?);
    let copy =
        || Program::new(&args[0], &args[1..]).env("NIX_SSHOPTS", &options).limit(COPY_LIMIT).run();
    match through_cuts(step, name, copy).await {
        Ok(output) if output.is_ok() => {}
        Ok(output) => step.log(&format!("{name} did not take it: {}", output.complaint())).await,
        Err(error) => step.log(&format!("it could not be copied: {error}")).await,
    }
    Ok(())
}
