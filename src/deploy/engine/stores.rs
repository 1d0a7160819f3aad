//! A host that builds its own system while no cache is asked: what the builder or this machine has of it comes
//! over ssh, and the rest is compiled.
//!
//! The stores are named for one command only and replace the host's substituters there. The host checks
//! signatures as always: what nobody signed that it trusts is compiled.

use super::push_way::{complete, way_script};
use super::scripts::PUSH_TARGET;
use super::step::Step;
use crate::deploy::words::{NO_ANSWER, without_question};
use crate::deploy::{Failure, Reason};
use crate::fleet::{Code, Outcome, StorePath, printable_line};
use crate::nix::argv;
use crate::remote::{Program, Script};
use std::sync::Arc;
use std::time::Duration;

/// How long a copy from this machine may take.
const COPY_LIMIT: Duration = Duration::from_secs(6 * 3600);

/// The stores that a host takes paths from instead of its caches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OnlyStores {
    /// The stores, as Nix wants them; empty where there are none.
    list: String,
    /// Options for ssh.
    options: String,
    /// What the person should know before saying yes.
    pub(super) note: Option<Reason>,
}

impl OnlyStores {
    /// Returns what scripts are told that realise something.
    pub(super) fn arguments(&self) -> [String; 2] {
        [self.list.clone(), self.options.clone()]
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
    let alone = |why: String| {
        let text =
            format!("no cache is asked, and {name} compiles all that it lacks, because {why}");
        let note = Some(Reason::new(Code::CachesSkipped, text));
        Ok(OnlyStores { note, ..OnlyStores::default() })
    };
    let builder = fleet.builder_of(step.config()?).filter(|builder| builder != name);
    let Some(builder) = builder.and_then(|builder| fleet.host(builder)) else {
        return alone("hosts.toml names no other host that builds for it".to_owned());
    };
    let there = &builder.name;
    if builder.addresses.is_empty() {
        return alone(format!("hosts.toml names no address of {there}"));
    }
    let user = match step.run(there, &Script::new(PUSH_TARGET)).await {
        Ok(output) => {
            output.stdout.lines().find_map(|line| line.strip_prefix("user\t")).map(printable_line)
        }
        Err(failure) => {
            let why = without_question(&failure.reason.text);
            return alone(format!("{there} cannot be asked ({why})"));
        }
    };
    let user = user.unwrap_or_else(|| "root".to_owned());
    let script = way_script(None, &builder.addresses, &user, "").root();
    let output = step.run(name, &script).await?;
    let said = |word: &str| {
        output.stdout.lines().find_map(|line| line.strip_prefix(word).map(str::to_owned))
    };
    let reached = said("reached\t").and_then(|number| number.trim().parse::<usize>().ok());
    let Some(address) = reached.and_then(|reached| builder.addresses.get(reached)) else {
        let why = said("refused\t").unwrap_or_else(|| NO_ANSWER.to_owned());
        let why = printable_line(why.split_once('\t').map_or(why.as_str(), |(_, why)| why));
        return alone(format!("root of {name} cannot log in to {there} ({why})"));
    };
    let address = complete(address, &user);
    let text =
        format!("no cache is asked: {name} takes what {there} has over ssh, and compiles the rest");
    Ok(OnlyStores {
        list: argv::push_store(&address),
        options: argv::ssh_options(&address, None).unwrap_or_default(),
        note: Some(Reason::new(Code::CachesSkipped, text)),
    })
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
    let copy = Program::new(&args[0], &args[1..]).env("NIX_SSHOPTS", options).limit(COPY_LIMIT);
    match copy.run().await {
        Ok(output) if output.is_ok() => {}
        Ok(output) => step.log(&format!("{name} did not take it: {}", output.complaint())).await,
        Err(error) => step.log(&format!("it could not be copied: {error}")).await,
    }
    Ok(())
}
