//! Names and the addresses behind them, as redirects are judged by them.
//!
//! A name is looked up where the connection is made, and only addresses that may be asked are given
//! to it: what is judged is what is connected to, so a name that changes its address in between
//! gains nothing. Where a proxy looks names up, that is not in our hands: there a redirect is judged
//! by what the name means here, and by addresses that are written out.

use crate::probe::transport::redirect::{Reach, too_near};
use futures_util::future::BoxFuture;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Looks a name up.
type Lookup = dyn Fn(String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> + Send + Sync;

/// Looks names up, and says how far away addresses are.
#[derive(Clone)]
pub(super) struct Names {
    lookup: Arc<Lookup>,
    reach: fn(IpAddr) -> Reach,
}

/// An address that is not asked, with the reason.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(pub(super) String);

impl Names {
    /// Looks names up as this machine does.
    pub(super) fn system() -> Self {
        Self::with(
            |name| {
                Box::pin(async move {
                    let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
                    Ok(found.map(|address| address.ip()).collect())
                })
            },
            Reach::of,
        )
    }

    /// Looks names up with a function, and judges addresses with another.
    pub(super) fn with(
        lookup: impl Fn(String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>>
        + Send
        + Sync
        + 'static,
        reach: fn(IpAddr) -> Reach,
    ) -> Self {
        Self { lookup: Arc::new(lookup), reach }
    }

    /// Returns how far away an address is.
    pub(super) fn reach(&self, address: IpAddr) -> Reach {
        (self.reach)(address)
    }

    /// Returns how far away the server of a URL is, as far as this machine can tell; the farthest
    /// where its name means several addresses, or none.
    pub(super) async fn reach_of(&self, url: &Url) -> Reach {
        let found = match literal(url) {
            Some(address) => vec![address],
            None => self.find(url.host_str().unwrap_or_default()).await.unwrap_or_default(),
        };
        let reaches: Vec<Reach> = found.into_iter().map(|address| self.reach(address)).collect();
        match reaches.as_slice() {
            [one, rest @ ..] if rest.iter().all(|other| other == one) => *one,
            _ => Reach::Public,
        }
    }

    /// Says why a URL is not asked that a server at `from` sent us to, when that shows before a
    /// connection is made.
    pub(super) async fn objection(&self, from: Reach, url: &Url) -> Option<String> {
        if let Some(address) = literal(url) {
            return too_near(from, self.reach(address));
        }
        let found = self.find(url.host_str().unwrap_or_default()).await.ok()?;
        allowed(self, from, &found).err()
    }

    async fn find(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        (self.lookup)(name.to_owned()).await
    }
}

/// Returns the address that is written out in a URL.
fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Returns those of a name's addresses that may be asked; when there are none, why.
fn allowed(names: &Names, from: Reach, found: &[IpAddr]) -> Result<Vec<IpAddr>, String> {
    let may = |address: &&IpAddr| from.may_send_to(names.reach(**address));
    let kept: Vec<IpAddr> = found.iter().filter(may).copied().collect();
    match (kept.is_empty(), found.first()) {
        (true, Some(first)) => {
            let why = too_near(from, names.reach(*first)).unwrap_or_default();
            Err(format!("{why} ({first})"))
        }
        _ => Ok(kept),
    }
}

/// Gives a connection only addresses that a server at `from` may send us to.
pub(super) struct Guarded {
    pub(super) names: Names,
    pub(super) from: Reach,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, from) = (self.names.clone(), self.from);
        Box::pin(async move {
            let found = names.find(name.as_str()).await?;
            let kept = allowed(&names, from, &found).map_err(Refused)?;
            let addresses = kept.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

/// Returns whether this machine's environment names a proxy, as the HTTP client reads it.
pub(super) fn has_proxy_in_environment() -> bool {
    ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}
