//! The real hands: one ssh connection per host, kept open, and this machine without ssh.
//!
//! Scripts share the connection as channels (at most eight: sshd allows ten sessions), probes share
//! one persistent shell on it, and a [`Way::Fresh`] script gets a connection of its own.

use crate::fleet::{Address, Fleet, Host};
use crate::remote::channel::{self, Sink};
use crate::remote::shell::Shell;
use crate::remote::sockets::Sockets;
use crate::remote::{Answer, Hands, Output, RemoteError, Script, Trouble, Way};
use openssh::{ControlPersist, KnownHosts, Session, SessionBuilder};
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// How long one address may take to answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How often ssh asks a silent host whether it is still there; after three silences it gives up.
const ALIVE_INTERVAL: Duration = Duration::from_secs(4);

/// How long an unused connection of a nixdash that died may stay open, in seconds.
const PERSIST_SECONDS: usize = 90;

/// How long closing all connections may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Channels that may be open on one connection at once; sshd's default limit is ten.
const CHANNELS: usize = 8;

/// Connections that may be made at once: sshd drops unauthenticated ones at random above ten.
const CONNECTS: usize = 6;

/// The open connection of one host.
struct Link {
    session: Option<Arc<Session>>,
    address: Option<Address>,
    shell: Option<Shell>,
}

/// A host with its connection and the limits on it.
struct Place {
    link: tokio::sync::Mutex<Link>,
    shell_turn: tokio::sync::Mutex<()>,
    channels: Semaphore,
    address: Mutex<Option<String>>,
}

impl Place {
    fn new() -> Self {
        Self {
            link: tokio::sync::Mutex::new(Link { session: None, address: None, shell: None }),
            shell_turn: tokio::sync::Mutex::new(()),
            channels: Semaphore::new(CHANNELS),
            address: Mutex::new(None),
        }
    }
}

/// Runs scripts on the hosts of a fleet over ssh, and on this machine.
#[derive(Clone)]
pub struct Remote {
    inner: Arc<Inner>,
}

struct Inner {
    /// Made with the first connection.
    sockets: Mutex<Option<Sockets>>,
    fleet: Arc<Fleet>,
    places: HashMap<String, Place>,
    connects: Semaphore,
}

impl Remote {
    /// Makes hands for a fleet; connects to nothing yet.
    pub fn new(fleet: Arc<Fleet>) -> Self {
        let places = fleet.hosts.iter().map(|host| (host.name.clone(), Place::new())).collect();
        let connects = Semaphore::new(CONNECTS);
        Self { inner: Arc::new(Inner { sockets: Mutex::default(), fleet, places, connects }) }
    }

    /// Closes every connection that is open, within two seconds; scripts that still run are lost.
    pub async fn close(&self) {
        let all = self.inner.places.values().map(|place| async {
            let mut link = place.link.lock().await;
            link.shell = None;
            if let Some(session) = link.session.take().and_then(Arc::into_inner) {
                // A connection that cannot be closed ends by itself when it is idle.
                drop(session.close().await);
            }
        });
        let all = futures_util::future::join_all(all);
        drop(tokio::time::timeout(CLOSE_LIMIT, all).await);
        drop(self.inner.sockets.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Inner {
    /// Returns the host and its place.
    fn find(&self, name: &str) -> Result<(&Host, &Place), RemoteError> {
        match (self.fleet.host(name), self.places.get(name)) {
            (Some(host), Some(place)) => Ok((host, place)),
            _ => Err(RemoteError::new(name, Trouble::Here, "no such host in the fleet")),
        }
    }

    /// Makes a connection to the first address that answers; the one that answered last time is
    /// tried first.
    async fn connect(
        &self,
        host: &Host,
        last: Option<Address>,
    ) -> Result<(Session, Address), RemoteError> {
        let _turn = self.connects.acquire().await;
        let others = host.addresses.iter().filter(|address| Some(*address) != last.as_ref());
        let directory = self
            .control_directory()
            .map_err(|error| RemoteError::new(&host.name, Trouble::Here, &error.to_string()))?;
        let mut first_error = None;
        for address in last.iter().chain(others) {
            match self.builder(address, &directory).connect_mux(&address.host).await {
                Ok(session) => return Ok((session, address.clone())),
                Err(error) => {
                    let error = RemoteError::from_ssh(&host.name, &chain(&error));
                    first_error.get_or_insert(error);
                }
            }
        }
        Err(first_error.unwrap_or_else(|| {
            RemoteError::new(&host.name, Trouble::Here, "the host has no address")
        }))
    }

    /// Returns the folder for control sockets.
    fn control_directory(&self) -> std::io::Result<PathBuf> {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        if sockets.is_none() {
            *sockets = Some(Sockets::make()?);
        }
        Ok(sockets.as_ref().map(|sockets| sockets.dir().to_path_buf()).unwrap_or_default())
    }

    /// Returns ssh's options for an address.
    fn builder(&self, address: &Address, directory: &Path) -> SessionBuilder {
        let mut builder = SessionBuilder::default();
        builder
            .known_hosts_check(KnownHosts::Strict)
            .connect_timeout(CONNECT_LIMIT)
            .server_alive_interval(ALIVE_INTERVAL)
            .control_directory(directory);
        if let Some(seconds) = NonZeroUsize::new(PERSIST_SECONDS) {
            builder.control_persist(ControlPersist::IdleFor(seconds));
        }
        if let Some(user) = &address.user {
            builder.user(user.clone());
        }
        if let Some(port) = address.port {
            builder.port(port);
        }
        if let Some(file) = &self.fleet.ssh_config {
            builder.config_file(file);
        }
        builder
    }

    /// Returns the open connection of a host, making one where there is none.
    async fn session(&self, host: &Host, place: &Place) -> Result<Arc<Session>, RemoteError> {
        let mut link = place.link.lock().await;
        if let Some(session) = &link.session {
            return Ok(Arc::clone(session));
        }
        let (session, address) = self.connect(host, link.address.clone()).await?;
        let session = Arc::new(session);
        link.session = Some(Arc::clone(&session));
        set_address(place, &address);
        link.address = Some(address);
        Ok(session)
    }

    /// Forgets a connection that broke, unless another one has taken its place already.
    async fn drop_session(&self, place: &Place, broken: &Arc<Session>) {
        let mut link = place.link.lock().await;
        if link.session.as_ref().is_some_and(|session| Arc::ptr_eq(session, broken)) {
            link.session = None;
            link.shell = None;
        }
    }

    /// Runs a script by its way, within its limit.
    async fn run(&self, name: &str, script: &Script, sink: Sink) -> Result<Output, RemoteError> {
        let (host, place) = self.find(name)?;
        if self.fleet.trust.doubt().is_some() {
            return Err(untrusted(name));
        }
        let work = async {
            if host.is_local() {
                return channel::run_here(name, script, sink).await;
            }
            match script.way {
                Way::Shell => self.over_shell(host, place, script).await,
                Way::Channel => self.over_channel(host, place, script, sink).await,
                Way::Fresh => {
                    let last = place.link.lock().await.address.clone();
                    let (session, _) = self.connect(host, last).await?;
                    let session = Arc::new(session);
                    let output = channel::run(name, &session, script, sink).await;
                    if let Some(session) = Arc::into_inner(session) {
                        // What is left of the connection ends by itself after PERSIST_SECONDS.
                        drop(session.close().await);
                    }
                    output
                }
            }
        };
        match tokio::time::timeout(script.limit, work).await {
            Ok(result) => result,
            Err(_) => Err(RemoteError::new(name, Trouble::Slow(script.limit), "no answer in time")),
        }
    }

    /// Runs a script on a channel; a connection that broke while it was idle is made anew once.
    async fn over_channel(
        &self,
        host: &Host,
        place: &Place,
        script: &Script,
        sink: Sink,
    ) -> Result<Output, RemoteError> {
        let _permit = place.channels.acquire().await;
        let mut session = self.session(host, place).await?;
        if session.check().await.is_err() {
            self.drop_session(place, &session).await;
            session = self.session(host, place).await?;
        }
        let result = channel::run(&host.name, &session, script, sink).await;
        if result.as_ref().is_err_and(|error| error.trouble == Trouble::Lost) {
            self.drop_session(place, &session).await;
        }
        result
    }

    /// Runs a script in the host's persistent shell, one at a time; a shell whose script did not
    /// end is thrown away.
    async fn over_shell(
        &self,
        host: &Host,
        place: &Place,
        script: &Script,
    ) -> Result<Output, RemoteError> {
        let _turn = place.shell_turn.lock().await;
        let _permit = place.channels.acquire().await;
        let idle = place.link.lock().await.shell.take();
        // A shell that broke while it was idle decides nothing: a new one does.
        if let Some(mut shell) = idle
            && let Ok(output) = shell.run(&host.name, script).await
        {
            place.link.lock().await.shell = Some(shell);
            return Ok(output);
        }
        let mut session = self.session(host, place).await?;
        let mut opened = Shell::open(&host.name, &session).await;
        if opened.is_err() {
            self.drop_session(place, &session).await;
            session = self.session(host, place).await?;
            opened = Shell::open(&host.name, &session).await;
        }
        let mut shell = opened?;
        let result = shell.run(&host.name, script).await;
        if result.is_ok() {
            place.link.lock().await.shell = Some(shell);
        } else {
            self.drop_session(place, &session).await;
        }
        result
    }
}

impl Hands for Remote {
    fn run<'a>(&'a self, host: &'a str, script: &'a Script) -> Answer<'a, Output> {
        Box::pin(self.inner.run(host, script, Sink::Keep))
    }

    fn follow<'a>(
        &'a self,
        host: &'a str,
        script: &'a Script,
        lines: mpsc::Sender<Vec<u8>>,
    ) -> Answer<'a, Output> {
        Box::pin(self.inner.run(host, script, Sink::Lines(lines)))
    }

    fn address(&self, host: &str) -> Option<String> {
        let (found, place) = self.inner.find(host).ok()?;
        if found.is_local() {
            return Some("this machine".to_owned());
        }
        place.address.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Says that a host is not asked, since nobody trusts the file that names it.
fn untrusted(host: &str) -> RemoteError {
    RemoteError {
        host: host.to_owned(),
        trouble: Trouble::Here,
        cause: "not asked, because hosts.toml is not trusted".to_owned(),
        hint: "look at the file, then run `nixdash trust`".to_owned(),
    }
}

/// Notes which address answered.
fn set_address(place: &Place, address: &Address) {
    *place.address.lock().unwrap_or_else(PoisonError::into_inner) = Some(address.to_string());
}

/// Returns an error with its causes, one per line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push('\n');
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
