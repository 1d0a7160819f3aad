//! Makes connections: in which order, how many at once, and when not at all.
//!
//! A host that did not answer last time, or whose turn for a login has not come, is asked with a
//! plain connection first, many at once, so that machines that sleep hold up nobody. Hosts that
//! live are spared that: OpenSSH 9.8 and later count each connection that ends without a login, and
//! lock an address out that makes more than one in a second for 15 seconds, as `watch -n 1 nixdash
//! status` would. A login that was refused is not tried again for minutes, for the same reason.

use crate::fleet::{Address, Host};
use crate::remote::master::{Master, NoMaster};
use crate::remote::route::{REFUSED, SshRoute};
use crate::remote::sockets::Sockets;
use crate::remote::turn::Turn;
use crate::remote::{RemoteError, Trouble, unlock};
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// ssh processes that may make a connection, or read their configuration, at once.
const LOGINS: usize = 32;

/// Connections through other hosts that may be made at once: the host between drops new ones at
/// random above ten.
const HIDDEN_LOGINS: usize = 6;

/// Hosts whose addresses are asked with a plain connection at once.
const GREETINGS: usize = 200;

/// How long one login may take: the person may have to touch a key.
const LOGIN_LIMIT: Duration = Duration::from_secs(25);

/// How long the person's ssh configuration is taken to say the same of an address.
const ROUTE_AGE: Duration = Duration::from_secs(5 * 60);

/// How long a refused login is not tried again, at first and at most.
const HOLD: (Duration, Duration) = (Duration::from_secs(2 * 60), Duration::from_secs(15 * 60));

/// Makes connections for all hosts of a fleet.
pub(super) struct Logins {
    config: Option<PathBuf>,
    /// Made with the first connection.
    sockets: Mutex<Option<Sockets>>,
    processes: Semaphore,
    /// Logins to hosts that were never asked, without a look at them first.
    untried: Semaphore,
    hidden: Semaphore,
    greetings: Semaphore,
    routes: Mutex<HashMap<Address, (Instant, Arc<SshRoute>)>>,
}

/// What is known of logins to one host.
#[derive(Default)]
pub(super) struct LoginPast {
    state: Mutex<LoginState>,
}

/// How the last login went.
#[derive(Clone, Default)]
enum LoginState {
    /// There was none yet.
    #[default]
    Untried,
    /// No address answered.
    Silent,
    /// It succeeded.
    Alive,
    /// It was refused, so many times in a row.
    Refused { since: Instant, times: u32, error: RemoteError },
}

impl LoginPast {
    fn state(&self) -> MutexGuard<'_, LoginState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the error of a refused login that it is too early to try again.
    pub(super) fn held(&self) -> Option<RemoteError> {
        match &*self.state() {
            LoginState::Refused { since, times, error } if since.elapsed() < hold(*times) => {
                Some(error.clone())
            }
            LoginState::Refused { .. }
            | LoginState::Untried
            | LoginState::Silent
            | LoginState::Alive => None,
        }
    }

    /// Returns whether the last login succeeded.
    fn is_alive(&self) -> bool {
        matches!(*self.state(), LoginState::Alive)
    }

    /// Returns whether there was no login yet.
    fn is_untried(&self) -> bool {
        matches!(*self.state(), LoginState::Untried)
    }

    /// Notes how a login went.
    fn note<T>(&self, result: &Result<T, RemoteError>) {
        let mut state = self.state();
        *state = match result {
            Ok(_) => LoginState::Alive,
            Err(error) if error.trouble == Trouble::Denied => {
                let before = match &*state {
                    LoginState::Refused { times, .. } => *times,
                    LoginState::Untried | LoginState::Silent | LoginState::Alive => 0,
                };
                let times = before.saturating_add(1);
                LoginState::Refused { since: Instant::now(), times, error: error.clone() }
            }
            Err(_) => LoginState::Silent,
        };
    }
}

/// Returns how long a login is not tried again that was refused so many times in a row.
fn hold(times: u32) -> Duration {
    let (first, most) = HOLD;
    first.saturating_mul(2_u32.saturating_pow(times.saturating_sub(1).min(10))).min(most)
}

impl Logins {
    /// Makes connections with this file as ssh's configuration, else the person's own.
    pub(super) fn new(config: Option<PathBuf>) -> Self {
        Self {
            config,
            sockets: Mutex::default(),
            processes: Semaphore::new(LOGINS),
            untried: Semaphore::new(LOGINS),
            hidden: Semaphore::new(HIDDEN_LOGINS),
            greetings: Semaphore::new(GREETINGS),
            routes: Mutex::default(),
        }
    }

    /// Makes a connection to the first address that answers; the one that answered last time is
    /// tried first. Waiting for others does not count against the turn.
    pub(super) async fn connect(
        &self,
        host: &Host,
        past: &LoginPast,
        last: Option<&Address>,
        turn: &Turn,
    ) -> Result<(Arc<Master>, Address), RemoteError> {
        let made = self.try_addresses(host, past, last, turn).await;
        past.note(&made);
        made
    }

    /// Tries one address after the other.
    async fn try_addresses(
        &self,
        host: &Host,
        past: &LoginPast,
        last: Option<&Address>,
        turn: &Turn,
    ) -> Result<(Arc<Master>, Address), RemoteError> {
        let mut failed: Vec<(Address, RemoteError)> = Vec::new();
        let mut order =
            last.into_iter().chain(host.addresses.iter().filter(|at| Some(*at) != last));
        // Who let us in just now is asked for a login at once, and so is who was never asked, while
        // no other host waits for its login.
        let first = if past.is_untried() { self.untried.try_acquire().ok() } else { None };
        if (past.is_alive() || first.is_some())
            && let Some(address) = order.next()
        {
            match self.log_in(host, address, turn).await {
                Ok(master) => return Ok((master, address.clone())),
                Err(error) => failed.push((address.clone(), error)),
            }
        }
        drop(first);
        let rest: Vec<&Address> = order.collect();
        let greeted = self.greet(host, &rest, turn).await;
        for (address, greeting) in rest.into_iter().zip(greeted) {
            let refused = failed.iter().any(|(known, error)| {
                error.trouble == Trouble::Denied && known.user == address.user
            });
            // Another address of the machine that has just refused this user.
            if refused {
                continue;
            }
            let tried = match greeting {
                Ok(()) => self.log_in(host, address, turn).await,
                Err(error) => Err(error),
            };
            match tried {
                Ok(master) => return Ok((master, address.clone())),
                Err(error) => failed.push((address.clone(), error)),
            }
        }
        // The first of those that tell most.
        let errors = failed.into_iter().rev().map(|(_, error)| error);
        Err(errors.max_by_key(RemoteError::weight).unwrap_or_else(|| {
            RemoteError::new(&host.name, Trouble::Here, "the host has no address")
        }))
    }

    /// Asks addresses at once whether an ssh server greets there.
    async fn greet(
        &self,
        host: &Host,
        addresses: &[&Address],
        turn: &Turn,
    ) -> Vec<Result<(), RemoteError>> {
        let mut routes = Vec::new();
        for address in addresses {
            routes.push(self.route(address, turn).await);
        }
        let _permit = turn.wait(self.greetings.acquire()).await;
        let asked = routes.iter().zip(addresses).map(|(route, address)| async move {
            if route.is_hidden {
                return Ok(());
            }
            route.greet().await.map_err(|cause| {
                // What the configuration says may have changed.
                self.forget_route(address);
                let denied = cause.contains(REFUSED);
                let trouble = if denied { Trouble::Denied } else { Trouble::Unreachable };
                RemoteError::new(&host.name, trouble, &cause)
            })
        });
        futures_util::future::join_all(asked).await
    }

    /// Returns which addresses of a host answer now.
    pub(super) async fn answering(&self, host: &Host, turn: &Turn) -> Vec<String> {
        let mut open = Vec::new();
        for address in &host.addresses {
            if !self.route(address, turn).await.is_hidden {
                open.push(address);
            }
        }
        let greeted = self.greet(host, &open, turn).await;
        let answered = open.iter().zip(greeted).filter(|(_, greeting)| greeting.is_ok());
        answered.map(|(address, _)| address.to_string()).collect()
    }

    /// Makes a connection to an address.
    async fn log_in(
        &self,
        host: &Host,
        address: &Address,
        turn: &Turn,
    ) -> Result<Arc<Master>, RemoteError> {
        let route = self.route(address, turn).await;
        let _hidden =
            if route.is_hidden { Some(turn.wait(self.hidden.acquire()).await) } else { None };
        // The way through another host is a second ssh process.
        let count = if route.is_hidden { 2 } else { 1 };
        let _permit = turn.wait(self.processes.acquire_many(count)).await;
        let here = |error: &io::Error| {
            let cause = format!("no folder for the control sockets of ssh: {error}");
            RemoteError::new(&host.name, Trouble::Here, &cause)
        };
        let folder = self.folder().map_err(|error| here(&error))?;
        let start = Master::start(address, self.config.as_deref(), &folder);
        let failed = match tokio::time::timeout(LOGIN_LIMIT, start).await {
            Ok(Ok(master)) => return Ok(Arc::new(master)),
            Ok(Err(failed)) => failed,
            Err(_) => {
                let cause = format!("the login took longer than {} s", LOGIN_LIMIT.as_secs());
                return Err(RemoteError::new(&host.name, Trouble::Unreachable, &cause));
            }
        };
        let error = failed.error(&host.name);
        if let (Trouble::HostKey(_), NoMaster::Ssh(log)) = (&error.trouble, &failed)
            && let Some(cause) = unlock::known_elsewhere(log, host, address, &route).await
        {
            return Err(RemoteError::new(&host.name, Trouble::Locked, &cause));
        }
        Err(error)
    }

    /// Returns where an address leads.
    async fn route(&self, address: &Address, turn: &Turn) -> Arc<SshRoute> {
        let known = lock(&self.routes).get(address).cloned();
        if let Some((at, route)) = known
            && at.elapsed() < ROUTE_AGE
        {
            return route;
        }
        let _permit = turn.wait(self.processes.acquire()).await;
        let route = Arc::new(SshRoute::ask(address, self.config.as_deref()).await);
        lock(&self.routes).insert(address.clone(), (Instant::now(), Arc::clone(&route)));
        route
    }

    /// Forgets where an address leads.
    fn forget_route(&self, address: &Address) {
        let mut routes = lock(&self.routes);
        if routes.get(address).is_some_and(|(at, _)| at.elapsed() > Duration::from_secs(30)) {
            routes.remove(address);
        }
    }

    /// Returns the folder for control sockets; one that somebody removed, or opened for others, is
    /// made again.
    fn folder(&self) -> io::Result<PathBuf> {
        let mut sockets = lock(&self.sockets);
        let known = sockets.take().filter(Sockets::is_intact);
        let sockets = sockets.insert(match known {
            Some(known) => known,
            None => Sockets::make()?,
        });
        Ok(sockets.dir().to_path_buf())
    }

    /// Removes the folder for control sockets, after all connections were ended.
    pub(super) fn close(&self) {
        drop(lock(&self.sockets).take());
    }
}

/// Locks; a panic in another task leaves what is shared usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_login_is_tried_again_after_minutes() {
        let minutes: Vec<u64> = (1..6).map(|times| hold(times).as_secs() / 60).collect();
        assert_eq!(minutes, [2, 4, 8, 15, 15]);
        let past = LoginPast::default();
        assert_eq!(past.held(), None);
        let refused = RemoteError::new("samsung", Trouble::Denied, "Permission denied (publickey)");
        past.note(&Err::<(), _>(refused.clone()));
        assert_eq!(past.held(), Some(refused));
        past.note(&Ok(()));
        assert!(past.held().is_none() && past.is_alive());
        let away = RemoteError::new("samsung", Trouble::Unreachable, "timed out");
        past.note(&Err::<(), _>(away));
        assert!(past.held().is_none() && !past.is_alive(), "nobody is locked out of what sleeps");
    }
}
