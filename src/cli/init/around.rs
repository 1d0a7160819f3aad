//! What is found around a nixdash that has no `hosts.toml`, for its first screen.
//!
//! Nothing is fetched, built or written for it: who only opens the dashboard has asked for nothing yet.

use crate::cli::init::flake;
use crate::cli::init::machine::ThisMachine;
use crate::cli::init::ssh_config::{self, SshHost};
use crate::dash::{FlakeHere, FoundPart, MachineHere, Msg};
use crate::fleet::{Fleet, printable_line};
use crate::nix::version::NixRelease;
use crate::probe::host_caches;
use crate::remote::{Program, ScriptRunner};
use jiff::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// How long Nix may take to say its version.
const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// Looks at this machine, which is the one host of that fleet, and tells each part as it is found.
pub(in crate::cli) async fn tell(
    fleet: Arc<Fleet>,
    runner: Arc<dyn ScriptRunner>,
    messages: Sender<Msg>,
) {
    // A screen that is gone needs no telling.
    let tell = async |part| drop(messages.send(Msg::Found(part)).await);
    tokio::join!(
        async { tell(FoundPart::SshHosts(ssh_hosts())).await },
        async { tell(FoundPart::Machine(machine().await)).await },
        async { tell(FoundPart::Flake(flake_here().await)).await },
        async {
            if let Some(host) = fleet.hosts.first() {
                tell(FoundPart::Caches(caches(runner.as_ref(), &host.name).await)).await;
            }
        },
    );
}

async fn machine() -> MachineHere {
    let found = ThisMachine::look();
    let version = Program::new("nix", ["--version"]).limit(VERSION_LIMIT).run().await;
    let version = version.ok().and_then(|output| NixRelease::parse(&output.stdout));
    MachineHere {
        name: found.name.as_deref().map(printable_line),
        system: found.system,
        is_nixos: found.is_nixos,
        nix: version.map(|version| version.to_string()),
    }
}

/// Returns the hosts of ssh's configuration, without those that are there for git.
fn ssh_hosts() -> Result<Vec<String>, String> {
    let hosts = ssh_config::look(None, std::env::home_dir().as_deref())?;
    let hosts = hosts.iter().filter(|host| !host.is_git_server());
    Ok(hosts.map(|host: &SshHost| printable_line(&host.name)).collect())
}

async fn flake_here() -> FlakeHere {
    if !Path::new("flake.nix").is_file() {
        return FlakeHere::Absent;
    }
    let Ok(whole) = super::whole_flake(".") else {
        return FlakeHere::Unknown(
            "the path of the current folder is no reference to a flake".to_owned(),
        );
    };
    match flake::hosts_at_hand(&whole).await {
        Ok(names) => FlakeHere::Hosts(names.iter().map(|name| printable_line(name)).collect()),
        Err(why) => FlakeHere::Unknown(printable_line(&why)),
    }
}

async fn caches(runner: &dyn ScriptRunner, host: &str) -> Result<Vec<String>, String> {
    let found = host_caches(runner, host, Timestamp::now()).await;
    let found = found.map_err(|error| printable_line(&error.cause))?;
    match found.error {
        Some(why) => Err(printable_line(&why)),
        None => Ok(found.caches.iter().map(|cache| printable_line(cache)).collect()),
    }
}
