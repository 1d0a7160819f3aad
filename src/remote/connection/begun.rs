//! A new connection that is begun before the script that takes it.

use super::Inner;
use crate::fleet::Address;
use crate::remote::master::Master;
use crate::remote::turn::Turn;
use crate::remote::{RemoteError, Trouble};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// How long one may take that is begun before its script.
const LIMIT: Duration = Duration::from_secs(8);

/// How old one may be when its script takes it: it shall prove that the host can be reached now.
const AGE: Duration = Duration::from_secs(10);

/// A connection, with the address that it leads to.
type Made = (Arc<Master>, Address);

/// A connection on its way, since when.
type OnItsWay = (Instant, AbortOnDropHandle<Option<Result<Made, RemoteError>>>);

/// The connection that was begun for the next script of a host that takes a new one.
#[derive(Default)]
pub(super) struct BegunConnection(Mutex<Option<OnItsWay>>);

impl BegunConnection {
    /// Puts one in the place of what was begun before, which ends.
    fn set(&self, begun: Option<OnItsWay>) -> Option<OnItsWay> {
        std::mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), begun)
    }

    /// Gives up what was begun.
    pub(super) fn forget(&self) {
        drop(self.set(None));
    }

    /// Takes the connection that was begun, where it was made or refused. What was not reached may be reached
    /// by now.
    pub(super) async fn take(&self) -> Option<Result<Made, RemoteError>> {
        let (since, begun) = self.set(None)?;
        if since.elapsed() > AGE {
            return None;
        }
        let made = begun.await.ok()??;
        let may_be_reached = |error: &RemoteError| {
            matches!(error.trouble, Trouble::Unreachable | Trouble::Lost | Trouble::Slow(_))
        };
        Some(made).filter(|made| !made.as_ref().is_err_and(may_be_reached))
    }
}

impl Inner {
    /// Begins to make a connection to a host, for the next script that takes a new one.
    pub(super) fn begin_connection(self: &Arc<Self>, name: &str) {
        let Ok((host, place)) = self.find(name) else { return };
        if host.is_local() || self.fleet.trust.doubt().is_some() {
            return;
        }
        let (inner, name) = (Arc::clone(self), name.to_owned());
        let work = tokio::spawn(async move {
            let (host, place) = inner.find(&name).ok()?;
            let turn = Turn::new(LIMIT);
            let made = async {
                let last = place.link.lock().await.address.clone();
                inner.logins.connect(host, &place.past, last.as_ref(), &turn).await
            };
            turn.within(made).await
        });
        drop(place.begun.set(Some((Instant::now(), AbortOnDropHandle::new(work)))));
    }
}
