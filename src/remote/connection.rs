//! The real runner of scripts: one ssh connection per host, kept open, and this machine without ssh.
//!
//! Scripts share the connection as channels (at most eight: sshd allows ten sessions), probes share
//! one persistent shell on it, and a [`Way::Fresh`] script gets a connection of its own, which takes
//! the place of the kept one when the script succeeded. How connections are made is in `login`.

use crate::fleet::{Address, Fleet, Host, Secret, SudoPassword};
use crate::remote::channel::{self, Ran, Sink};
use crate::remote::login::{LoginPast, Logins};
use crate::remote::master::Master;
use crate::remote::root::{PasswordStep, RootPast, RootWay};
use crate::remote::shell::Shell;
use crate::remote::turn::Turn;
use crate::remote::{
    Answer, NotRoot, Output, RemoteError, Script, ScriptRunner, Trouble, Way, resolve,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// A script, and the way in which it becomes root where it has to.
type Elevated<'a> = (&'a Script, Option<&'a RootWay>);

/// How long closing all connections may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Channels that may be open on one connection at once; sshd's default limit is ten.
const CHANNELS: usize = 8;

/// How long it may take to ask all addresses of a host whether they answer.
const ANSWERING_LIMIT: Duration = Duration::from_secs(10);

/// The kept connection of one host.
struct Link {
    master: Option<Arc<Master>>,
    address: Option<Address>,
    shell: Option<Shell>,
}

/// A host with its connection and the limits on it.
struct HostConnection {
    link: tokio::sync::Mutex<Link>,
    shell_turn: tokio::sync::Mutex<()>,
    channels: Semaphore,
    past: LoginPast,
    shown: Mutex<ConnectionStatus>,
    root: RootPast,
}

/// What is told of a host's connection without waiting for it.
#[derive(Clone, Default)]
struct ConnectionStatus {
    address: Option<String>,
    asks_for_touch: bool,
}

impl HostConnection {
    fn new() -> Self {
        Self {
            link: tokio::sync::Mutex::new(Link { master: None, address: None, shell: None }),
            shell_turn: tokio::sync::Mutex::new(()),
            channels: Semaphore::new(CHANNELS),
            past: LoginPast::default(),
            shown: Mutex::default(),
            root: RootPast::default(),
        }
    }

    fn shown(&self) -> ConnectionStatus {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Runs scripts on the hosts of a fleet over ssh, and on this machine.
#[derive(Clone)]
pub struct Remote {
    inner: Arc<Inner>,
}

struct Inner {
    fleet: Arc<Fleet>,
    places: HashMap<String, HostConnection>,
    logins: Logins,
}

impl Remote {
    /// Makes a runner for a fleet; connects to nothing yet.
    pub fn new(fleet: Arc<Fleet>) -> Self {
        let places =
            fleet.hosts.iter().map(|host| (host.name.clone(), HostConnection::new())).collect();
        let logins = Logins::new(fleet.ssh_config.clone());
        Self { inner: Arc::new(Inner { fleet, places, logins }) }
    }

    /// Gives the password that a person typed for sudo on a host; it is kept in memory only.
    pub fn give_sudo_password(&self, host: &str, password: Secret) {
        if let Some(place) = self.inner.places.get(host) {
            place.root.give(host, password);
        }
    }

    /// Closes every connection that is open, within two seconds; scripts that still run are lost.
    pub async fn close(&self) {
        let all = self.inner.places.values().map(|place| async {
            let mut link = place.link.lock().await;
            link.shell = None;
            link.master = None;
        });
        let all = futures_util::future::join_all(all);
        drop(tokio::time::timeout(CLOSE_LIMIT, all).await);
        self.inner.logins.close();
    }
}

impl Inner {
    /// Returns the host and its place.
    fn find(&self, name: &str) -> Result<(&Host, &HostConnection), RemoteError> {
        match (self.fleet.host(name), self.places.get(name)) {
            (Some(host), Some(place)) => Ok((host, place)),
            _ => Err(RemoteError::new(name, Trouble::Here, "no such host in the fleet")),
        }
    }

    /// Returns the open connection of a host, making one where there is none and the last login
    /// was not refused just now.
    async fn master(
        &self,
        host: &Host,
        place: &HostConnection,
        turn: &Turn,
    ) -> Result<Arc<Master>, RemoteError> {
        let mut link = turn.wait(place.link.lock()).await;
        if let Some(master) = &link.master {
            return Ok(Arc::clone(master));
        }
        if let Some(error) = place.past.held() {
            return Err(error);
        }
        let last = link.address.clone();
        let (master, address) = self.logins.connect(host, &place.past, last.as_ref(), turn).await?;
        link.keep(place, &master, address);
        Ok(master)
    }

    /// Runs a script over a connection of its own, which becomes the kept one when the script
    /// succeeded; scripts that still run on the other one go on there.
    async fn over_new_connection(
        &self,
        host: &Host,
        place: &HostConnection,
        (script, sink): (Elevated<'_>, Sink),
        turn: &Turn,
    ) -> Result<Ran, RemoteError> {
        let last = turn.wait(place.link.lock()).await.address.clone();
        let (master, address) = self.logins.connect(host, &place.past, last.as_ref(), turn).await?;
        let ran = channel::run(&host.name, &master, script, sink).await?;
        if ran.0.is_ok() {
            place.link.lock().await.keep(place, &master, address);
        }
        Ok(ran)
    }

    /// Forgets a connection that broke, unless another one has taken its place already.
    async fn forget(&self, place: &HostConnection, broken: &Arc<Master>) {
        let mut link = place.link.lock().await;
        if link.master.as_ref().is_some_and(|master| Arc::ptr_eq(master, broken)) {
            link.master = None;
            link.shell = None;
        }
    }

    /// Runs a script by its way, within its limit, which begins with the host's own turn.
    async fn run(&self, name: &str, script: &Script, sink: Sink) -> Result<Output, RemoteError> {
        let (host, place) = self.find(name)?;
        if self.fleet.trust.doubt().is_some() {
            return Err(untrusted(name));
        }
        let turn = Turn::new(script.limit);
        let work = async {
            if script.root {
                self.run_as_root(host, place, (script, sink), &turn).await
            } else {
                let ran = self.travel(host, place, ((script, None), sink), &turn).await;
                ran.map(|(output, _)| output)
            }
        };
        match turn.within(work).await {
            Some(result) => result,
            None => Err(RemoteError::new(name, Trouble::Slow(script.limit), "no answer in time")),
        }
    }

    /// Runs a script by its way over the network, or here.
    async fn travel(
        &self,
        host: &Host,
        place: &HostConnection,
        (script, sink): (Elevated<'_>, Sink),
        turn: &Turn,
    ) -> Result<Ran, RemoteError> {
        if host.is_local() {
            return channel::run_here(&host.name, script, sink).await;
        }
        match script.0.way {
            Way::Shell if script.1.is_none() => {
                let output = self.over_shell(host, place, script.0, turn).await?;
                Ok((output, None))
            }
            // Whoever is root has a process tree of its own.
            Way::Shell | Way::Channel => self.over_channel(host, place, (script, sink), turn).await,
            Way::Fresh => self.over_new_connection(host, place, (script, sink), turn).await,
            Way::Agent => {
                let last = turn.wait(place.link.lock()).await.address.clone();
                let Some(address) = last.as_ref().or(host.addresses.first()) else {
                    return channel::run_here(&host.name, script, sink).await;
                };
                let config = self.fleet.ssh_config.as_deref();
                channel::run_with_agent(&host.name, (address, config), script, sink).await
            }
        }
    }

    /// Runs a script as root, by the way that worked before; where sudo wants a password, with that.
    async fn run_as_root(
        &self,
        host: &Host,
        place: &HostConnection,
        (script, sink): (&Script, Sink),
        turn: &Turn,
    ) -> Result<Output, RemoteError> {
        let way = place.root.way(self.fleet.elevate_of(host));
        let first = self.travel_as_root(host, place, ((script, &way), sink.clone()), turn).await;
        match first {
            Err(error) if error.trouble == Trouble::NotRoot(NotRoot::PasswordNeeded) => {
                let way = self.password(host, place, error, turn).await?;
                self.travel_as_root(host, place, ((script, &way), sink), turn).await
            }
            other => other,
        }
    }

    /// Runs a script as root by this way, and remembers how that went.
    async fn travel_as_root(
        &self,
        host: &Host,
        place: &HostConnection,
        ((script, way), sink): ((&Script, &RootWay), Sink),
        turn: &Turn,
    ) -> Result<Output, RemoteError> {
        match self.travel(host, place, ((script, Some(way)), sink), turn).await {
            Ok((output, told)) => {
                // Without a word it is not known whether anything made us root.
                if told.is_some() {
                    place.root.note(way, told);
                }
                Ok(output)
            }
            Err(error) => {
                if matches!(error.trouble, Trouble::NotRoot(_)) {
                    place.root.note_refusal(way, &error);
                }
                Err(error)
            }
        }
    }

    /// Returns the way with a password that sudo takes: one that it took before, else one that was
    /// given or can be read, after it was tried once. `needed` is told where there is none.
    async fn password(
        &self,
        host: &Host,
        place: &HostConnection,
        needed: RemoteError,
        turn: &Turn,
    ) -> Result<RootWay, RemoteError> {
        let _alone = turn.wait(place.root.proof.lock()).await;
        if let PasswordStep::Missing = place.root.password()? {
            let Some(SudoPassword::From(source)) = self.fleet.sudo_password_of(host) else {
                return Err(needed);
            };
            match turn.wait(resolve(source)).await {
                Ok(secret) => place.root.give(&host.name, secret),
                Err(error) => {
                    let cause = format!("the password for sudo could not be read: {error}");
                    let hint = error.hint().to_owned();
                    let error = RemoteError::not_root(&host.name, NotRoot::PasswordNeeded, &cause);
                    let error = RemoteError { hint, ..error };
                    place.root.give_up(&error);
                    return Err(error);
                }
            }
        }
        match place.root.password()? {
            PasswordStep::Use(way) => Ok(way),
            PasswordStep::Missing => Err(needed),
            PasswordStep::Prove(secret) => {
                let way = RootWay::Prove(Arc::clone(&secret));
                let nothing = Script::new(":").root();
                place.root.begin_try(&host.name);
                let tried = ((&nothing, &way), Sink::Keep);
                let tried = self.travel_as_root(host, place, tried, turn).await;
                if let Err(error) = &tried
                    && !error.may_have_run()
                    && !matches!(error.trouble, Trouble::NotRoot(_))
                {
                    place.root.not_tried(&secret);
                }
                tried.map(|_| RootWay::Password(secret))
            }
        }
    }

    /// Runs a script on a channel; a connection that broke while it was idle is made anew once.
    async fn over_channel(
        &self,
        host: &Host,
        place: &HostConnection,
        (script, sink): (Elevated<'_>, Sink),
        turn: &Turn,
    ) -> Result<Ran, RemoteError> {
        let _permit = turn.wait(place.channels.acquire()).await;
        let mut master = self.master(host, place, turn).await?;
        if master.session().check().await.is_err() {
            self.forget(place, &master).await;
            master = self.master(host, place, turn).await?;
        }
        let result = channel::run(&host.name, &master, script, sink).await;
        if result.as_ref().is_err_and(|error| error.trouble == Trouble::Lost) {
            self.forget(place, &master).await;
        }
        result
    }

    /// Runs a script in the host's persistent shell, one at a time; a shell whose script did not
    /// end is thrown away.
    async fn over_shell(
        &self,
        host: &Host,
        place: &HostConnection,
        script: &Script,
        turn: &Turn,
    ) -> Result<Output, RemoteError> {
        let _turn = turn.wait(place.shell_turn.lock()).await;
        let _permit = turn.wait(place.channels.acquire()).await;
        let idle = turn.wait(place.link.lock()).await.shell.take();
        // A shell that broke while it was idle decides nothing: a new one does.
        if let Some(mut shell) = idle
            && let Ok(output) = shell.run(&host.name, script).await
        {
            place.link.lock().await.put_back(shell);
            return Ok(output);
        }
        let mut master = self.master(host, place, turn).await?;
        let mut opened = Shell::open(&host.name, &master).await;
        if opened.is_err() {
            self.forget(place, &master).await;
            master = self.master(host, place, turn).await?;
            opened = Shell::open(&host.name, &master).await;
        }
        let mut shell = opened?;
        let result = shell.run(&host.name, script).await;
        if result.is_ok() {
            place.link.lock().await.put_back(shell);
        } else {
            self.forget(place, &master).await;
        }
        result
    }
}

impl Link {
    /// Makes a connection the kept one.
    fn keep(&mut self, place: &HostConnection, master: &Arc<Master>, address: Address) {
        let shown = ConnectionStatus {
            address: Some(address.to_string()),
            asks_for_touch: master.asks_for_touch(),
        };
        *place.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        self.master = Some(Arc::clone(master));
        self.shell = None;
        self.address = Some(address);
    }

    /// Keeps a shell for the next probe, unless its connection is not the kept one any more.
    fn put_back(&mut self, shell: Shell) {
        if self.master.as_ref().is_some_and(|master| Arc::ptr_eq(master, shell.master())) {
            self.shell = Some(shell);
        }
    }
}

impl ScriptRunner for Remote {
    fn run<'a>(&'a self, host: &'a str, script: &'a Script) -> Answer<'a, Output> {
        Box::pin(self.inner.run(host, script, Sink::Keep))
    }

    fn follow<'a>(
        &'a self,
        host: &'a str,
        script: &'a Script,
        pieces: mpsc::Sender<Vec<u8>>,
    ) -> Answer<'a, Output> {
        Box::pin(self.inner.run(host, script, Sink::Pieces(pieces)))
    }

    fn address(&self, host: &str) -> Option<String> {
        let (found, place) = self.inner.find(host).ok()?;
        if found.is_local() {
            return Some("this machine".to_owned());
        }
        place.shown().address
    }

    fn answering<'a>(&'a self, host: &'a str) -> Answer<'a, Vec<String>> {
        Box::pin(async move {
            let (host, _) = self.inner.find(host)?;
            // Of an only address the connection itself is the proof; sshd counts one that ends without a
            // login as an offence.
            if host.is_local() || host.addresses.len() < 2 {
                return Ok(Vec::new());
            }
            let turn = Turn::new(ANSWERING_LIMIT);
            let asked = turn.within(self.inner.logins.answering(host, &turn)).await;
            let slow = || RemoteError::new(&host.name, Trouble::Slow(ANSWERING_LIMIT), "no answer");
            asked.ok_or_else(slow)
        })
    }

    fn asks_for_touch(&self, host: &str) -> bool {
        self.inner.find(host).is_ok_and(|(_, place)| place.shown().asks_for_touch)
    }
}

/// Says that a host is not asked, since nobody trusts the file that names it.
fn untrusted(host: &str) -> RemoteError {
    RemoteError::new(host, Trouble::Untrusted, "not asked, because hosts.toml is not trusted")
}
