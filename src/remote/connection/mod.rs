//! The real runner of scripts: one ssh connection per host, kept open, and this machine without ssh.
//!
//! Scripts share the connection, each in a shell or on a channel of its own (at most eight: sshd allows
//! ten sessions); shells stay open for the scripts that follow (`shells`). A [`Way::Fresh`] script gets
//! a connection of its own, which takes the place of the kept one when the script succeeded. How
//! connections are made is in `login`.

mod begun;
mod kept;

use crate::fleet::{Address, Fleet, Host, Secret, SudoPassword};
use crate::remote::channel::{self, Ran, Sink};
use crate::remote::login::Logins;
use crate::remote::master::Master;
use crate::remote::root::{PasswordStep, RootWay};
use crate::remote::turn::Turn;
use crate::remote::words::{NO_SUCH_HOST, no_answer_within};
use crate::remote::{
    Answer, NotRoot, Output, RemoteError, Script, ScriptRunner, Trouble, Way, resolve,
};
use kept::HostConnection;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// A script, and the way in which it becomes root where it has to.
type Elevated<'a> = (&'a Script, Option<&'a RootWay>);

/// How long closing all connections may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// How long a connection for a person's shell may take: a key may have to be touched.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// How long it may take to ask all addresses of a host whether they answer.
const ANSWERING_LIMIT: Duration = Duration::from_secs(10);

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
            place.root.give(host, password, None);
        }
    }

    /// Returns the address of the open connection of a host and its control socket, and makes one where
    /// there is none; nothing of this machine.
    pub(super) async fn connected(
        &self,
        name: &str,
    ) -> Result<Option<(Address, PathBuf)>, RemoteError> {
        let (host, place) = self.inner.find(name)?;
        if self.inner.fleet.trust.doubt().is_some() {
            return Err(untrusted(name));
        }
        if host.is_local() {
            return Ok(None);
        }
        let turn = Turn::new(CONNECT_LIMIT);
        let work = self.inner.living_master(host, place, &turn);
        let slow = || {
            RemoteError::new(name, Trouble::Slow(CONNECT_LIMIT), &no_answer_within(CONNECT_LIMIT))
        };
        let master = turn.within(work).await.ok_or_else(slow)??;
        let address = place.link.lock().await.address.clone();
        let address = address.or_else(|| host.addresses.first().cloned());
        Ok(address.map(|address| (address, master.socket())))
    }

    /// Returns the file that ssh reads instead of the person's own.
    pub(super) fn ssh_config(&self) -> Option<PathBuf> {
        self.inner.fleet.ssh_config.clone()
    }

    /// Closes every connection that is open, within two seconds; scripts that still run are lost.
    pub async fn close(&self) {
        let all = self.inner.places.values().map(|place| async {
            let mut link = place.link.lock().await;
            link.shells.clear();
            link.master = None;
            place.begun.forget();
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
            _ => Err(RemoteError::new(name, Trouble::Here, NO_SUCH_HOST)),
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
        let begun = turn.wait(place.begun.take()).await;
        let (master, address) = if let Some(made) = begun {
            made?
        } else {
            let last = turn.wait(place.link.lock()).await.address.clone();
            self.logins.connect(host, &place.past, last.as_ref(), turn).await?
        };
        let (ran, shell) = self.run_on(host, place, &master, (script, sink), turn).await?;
        if ran.0.is_ok() {
            let mut link = place.link.lock().await;
            link.keep(place, &master, address);
            link.put_back(place, shell);
        }
        Ok(ran)
    }

    /// Forgets a connection that broke, unless another one has taken its place already.
    async fn forget(&self, place: &HostConnection, broken: &Arc<Master>) {
        let mut link = place.link.lock().await;
        if link.master.as_ref().is_some_and(|master| Arc::ptr_eq(master, broken)) {
            link.master = None;
            link.shells.clear();
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
            None => Err(RemoteError::new(
                name,
                Trouble::Slow(script.limit),
                &no_answer_within(script.limit),
            )),
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
            Way::InTurn => {
                let _turn = turn.wait(place.in_turn.lock()).await;
                self.over_kept_connection(host, place, (script, sink), turn).await
            }
            Way::Beside => self.over_kept_connection(host, place, (script, sink), turn).await,
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
                    return Err(place.root.note_refusal(way, error));
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
                Ok(secret) => place.root.give(&host.name, secret, Some(source)),
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

    fn begin_fresh(&self, host: &str) {
        self.inner.begin_connection(host);
    }

    fn forget_fresh(&self, host: &str) {
        if let Ok((_, place)) = self.inner.find(host) {
            place.begun.forget();
        }
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
