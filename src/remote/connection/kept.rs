//! The kept connection of a host, and the scripts that share it: each in a shell that stays open for the
//! next one, or on a channel of its own.

use super::begun::BegunConnection;
use super::{Elevated, Inner};
use crate::fleet::{Address, Host};
use crate::remote::channel::{self, Channel, Ran, Sink};
use crate::remote::login::LoginPast;
use crate::remote::master::Master;
use crate::remote::root::{RootPast, RootWay};
use crate::remote::shell::Shell;
use crate::remote::shells::Shells;
use crate::remote::turn::Turn;
use crate::remote::{RemoteError, Trouble, Way};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Channels that may be open on one connection at once; sshd's default limit is ten.
const CHANNELS: usize = 8;

/// How long what has ended may take to leave its session on its host, each time that is looked at.
const LEAVING: Duration = Duration::from_millis(100);

/// How often it is looked whether what has ended has left.
const LEAVING_LOOKS: u32 = 10;

/// The kept connection of one host.
#[derive(Default)]
pub(super) struct Link {
    pub(super) master: Option<Arc<Master>>,
    pub(super) address: Option<Address>,
    pub(super) shells: Shells,
}

/// A host with its connection and the limits on it.
pub(super) struct HostConnection {
    pub(super) link: tokio::sync::Mutex<Link>,
    pub(super) in_turn: tokio::sync::Mutex<()>,
    channels: Arc<Semaphore>,
    pub(super) past: LoginPast,
    /// The connection that was begun for the next script that takes a new one.
    pub(super) begun: BegunConnection,
    shown: Mutex<ConnectionStatus>,
    pub(super) root: RootPast,
}

/// What is told of a host's connection without waiting for it.
#[derive(Clone, Default)]
pub(super) struct ConnectionStatus {
    pub(super) address: Option<String>,
    pub(super) asks_for_touch: bool,
}

impl HostConnection {
    pub(super) fn new() -> Self {
        Self {
            link: tokio::sync::Mutex::new(Link::default()),
            in_turn: tokio::sync::Mutex::new(()),
            channels: Arc::new(Semaphore::new(CHANNELS)),
            past: LoginPast::default(),
            begun: BegunConnection::default(),
            shown: Mutex::default(),
            root: RootPast::default(),
        }
    }

    pub(super) fn shown(&self) -> ConnectionStatus {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Link {
    /// Makes a connection the kept one.
    pub(super) fn keep(&mut self, place: &HostConnection, master: &Arc<Master>, address: Address) {
        let shown = ConnectionStatus {
            address: Some(address.to_string()),
            asks_for_touch: master.asks_for_touch(),
        };
        *place.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        self.master = Some(Arc::clone(master));
        self.shells.clear();
        self.address = Some(address);
    }

    /// Keeps a shell for the next script, unless its connection is not the kept one any more, or others
    /// wait for its place.
    pub(super) fn put_back(&mut self, place: &HostConnection, shell: Option<Shell>) {
        let is_kept =
            |shell: &Shell| self.master.as_ref().is_some_and(|it| Arc::ptr_eq(it, shell.master()));
        if let Some(shell) = shell.filter(is_kept)
            && place.channels.available_permits() > 0
        {
            self.shells.put_back(shell);
        }
    }
}

impl Inner {
    /// Runs a script on the kept connection; one that broke while it was idle is made again once.
    ///
    /// A probe changes nothing and may run twice. So it is not asked first whether its connection lives, which
    /// would wake nixdash twice more each time; where it is found dead, the probe runs on another one.
    pub(super) async fn over_kept_connection(
        &self,
        host: &Host,
        place: &HostConnection,
        work: (Elevated<'_>, Sink),
        turn: &Turn,
    ) -> Result<Ran, RemoteError> {
        let ((script, _), sink) = &work;
        if script.way == Way::InTurn && matches!(sink, Sink::Keep) {
            let master = self.master(host, place, turn).await?;
            match self.on_connection(host, place, &master, work.clone(), turn).await {
                Err(error)
                    if error.trouble == Trouble::Lost
                        && master.session().check().await.is_err() => {}
                ran => return ran,
            }
        }
        let master = self.living_master(host, place, turn).await?;
        self.on_connection(host, place, &master, work, turn).await
    }

    /// Runs a script on what was the kept connection, which is forgotten where it breaks.
    async fn on_connection(
        &self,
        host: &Host,
        place: &HostConnection,
        master: &Arc<Master>,
        work: (Elevated<'_>, Sink),
        turn: &Turn,
    ) -> Result<Ran, RemoteError> {
        match self.run_on(host, place, master, work, turn).await {
            Ok((ran, shell)) => {
                place.link.lock().await.put_back(place, shell);
                Ok(ran)
            }
            Err(error) => {
                if error.trouble == Trouble::Lost {
                    self.forget(place, master).await;
                }
                Err(error)
            }
        }
    }

    /// Returns the kept connection; one that broke while it was idle is made again.
    pub(super) async fn living_master(
        &self,
        host: &Host,
        place: &HostConnection,
        turn: &Turn,
    ) -> Result<Arc<Master>, RemoteError> {
        let master = self.master(host, place, turn).await?;
        if master.session().check().await.is_ok() {
            return Ok(master);
        }
        self.forget(place, &master).await;
        self.master(host, place, turn).await
    }

    /// Runs a script on a connection, in a shell where it can, and returns that for the next one.
    pub(super) async fn run_on(
        &self,
        host: &Host,
        place: &HostConnection,
        master: &Arc<Master>,
        ((script, way), sink): (Elevated<'_>, Sink),
        turn: &Turn,
    ) -> Result<(Ran, Option<Shell>), RemoteError> {
        // A password is tried by a process that ends.
        let fits = script.stdin.is_empty() && !matches!(way, Some(RootWay::Prove(_)));
        if fits && let Some(mut shell) = self.shell(host, place, master, way, turn).await? {
            match shell.run(&host.name, script, &sink).await {
                Ok(ran) => return Ok((ran, Some(shell))),
                Err(broken) if matches!(broken.error.trouble, Trouble::NotRoot(_)) => {
                    return Err(broken.error);
                }
                // It did not open, or somebody on the host ended it while it was idle: nothing ran.
                Err(broken) if !broken.has_begun && master.session().check().await.is_ok() => {
                    if broken.was_opening {
                        turn.wait(place.link.lock()).await.shells.refuse_on(master);
                    }
                }
                Err(broken) => return Err(broken.error),
            }
        }
        let _permit = self.room_for_channel(place, turn).await;
        let channel = self.channel(host, place, master, (script, way), turn).await?;
        let ran = channel::run(&host.name, master, channel, (script, way), sink).await?;
        Ok((ran, None))
    }

    /// Opens a channel for a script. A host that allows few sessions may need the place of idle shells for
    /// it, which are closed then, or that of a script which has just ended.
    async fn channel(
        &self,
        host: &Host,
        place: &HostConnection,
        master: &Arc<Master>,
        script: Elevated<'_>,
        turn: &Turn,
    ) -> Result<Channel, RemoteError> {
        let mut opened = channel::open(&host.name, master, script).await;
        for _ in 0..LEAVING_LOOKS {
            if opened.is_ok() || master.session().check().await.is_err() {
                break;
            }
            turn.wait(place.link.lock()).await.shells.refuse_on(master);
            tokio::time::sleep(LEAVING).await;
            opened = channel::open(&host.name, master, script).await;
        }
        opened
    }

    /// Returns an open shell on a connection; nothing where the host opens none, which is not asked
    /// for again on this connection.
    async fn shell(
        &self,
        host: &Host,
        place: &HostConnection,
        master: &Arc<Master>,
        way: Option<&RootWay>,
        turn: &Turn,
    ) -> Result<Option<Shell>, RemoteError> {
        {
            let mut link = turn.wait(place.link.lock()).await;
            if link.shells.are_refused_on(master) {
                return Ok(None);
            }
            if let Some(shell) = link.shells.take(master, way.is_some()) {
                return Ok(Some(shell));
            }
        }
        let Some(permit) = self.room_for_channel(place, turn).await else { return Ok(None) };
        let opened = Shell::open(&host.name, master, way, permit).await;
        if opened.is_err() {
            turn.wait(place.link.lock()).await.shells.refuse_on(master);
        }
        Ok(opened.ok())
    }

    /// Waits for a place among the channels of a host; shells that nobody uses leave theirs.
    async fn room_for_channel(
        &self,
        place: &HostConnection,
        turn: &Turn,
    ) -> Option<OwnedSemaphorePermit> {
        if place.channels.available_permits() == 0 {
            turn.wait(place.link.lock()).await.shells.clear();
        }
        turn.wait(Arc::clone(&place.channels).acquire_owned()).await.ok()
    }
}
