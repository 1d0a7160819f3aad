//! HTTP as probes need it: short limits, capped answers, few connections per tier.

use crate::fleet::{Tier, TierKind, printable_line};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long a whole request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// Longest answer that is read, in bytes, unpacked.
const BODY_LIMIT: usize = crate::nix::narinfo::SIZE_LIMIT;

/// Most redirects that are followed.
const REDIRECTS: usize = 4;

/// Why a tier could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url}: {cause}; {hint}")]
pub struct WebError {
    /// What was asked.
    pub url: String,
    /// What was observed, printable.
    pub cause: String,
    /// What to do about it.
    pub hint: String,
}

/// What a tier answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body, untrusted, at most 1 MiB.
    pub body: String,
    /// Time to the status line, the connecting included where there was no open connection.
    pub first_byte: Duration,
}

/// Asks tiers over HTTP; cheap to share.
pub struct Web {
    client: reqwest::Client,
    limits: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Web {
    /// Makes the one client; fails when this machine has no usable TLS certificates.
    pub fn new() -> Result<Self, WebError> {
        // Fails when one is installed already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder()
            .user_agent(concat!("nixdash/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_LIMIT)
            .timeout(REQUEST_LIMIT)
            .redirect(reqwest::redirect::Policy::limited(REDIRECTS))
            .build()
            .map_err(|error| WebError {
                url: "https".to_owned(),
                cause: innermost(&error),
                hint: "does this machine have CA certificates (SSL_CERT_FILE)?".to_owned(),
            })?;
        Ok(Self { client, limits: Mutex::default() })
    }

    /// Gets a file of a tier, such as `nix-cache-info`.
    ///
    /// Waits for its turn where the tier has as many requests open as its kind bears. A request
    /// whose kept-alive connection the server closed meanwhile is made anew once.
    pub async fn get(&self, tier: &Tier, file: &str) -> Result<Reply, WebError> {
        let limit = self.limit(tier);
        let _turn = limit.acquire().await;
        let url = format!("{}/{file}", tier.url);
        match self.try_get(&url).await {
            Err(error) if error.is_request() && !error.is_connect() && !error.is_timeout() => {
                self.try_get(&url).await.map_err(|error| explain(&url, tier, &error))
            }
            result => result.map_err(|error| explain(&url, tier, &error)),
        }
    }

    /// Makes one request.
    async fn try_get(&self, url: &str) -> Result<Reply, reqwest::Error> {
        let began = Instant::now();
        let mut response = self.client.get(url).send().await?;
        let first_byte = began.elapsed();
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk[..chunk.len().min(BODY_LIMIT - body.len())]);
            if body.len() == BODY_LIMIT {
                break;
            }
        }
        Ok(Reply { status, body: String::from_utf8_lossy(&body).into_owned(), first_byte })
    }

    /// Returns the requests that may be open to a tier at once.
    fn limit(&self, tier: &Tier) -> Arc<Semaphore> {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = limits
            .entry(tier.name.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(connections(tier.kind))));
        Arc::clone(limit)
    }
}

/// Returns how many requests a kind of server bears at once.
///
/// nix-serve has five workers, one a connection: more than two of them taken by probes would starve
/// a deploy.
pub(super) fn connections(kind: TierKind) -> usize {
    match kind {
        TierKind::NixServe | TierKind::Harmonia => 2,
        TierKind::Http
        | TierKind::Cachix
        | TierKind::S3
        | TierKind::Seaweedfs
        | TierKind::Local
        | TierKind::GithubActions
        | TierKind::Attic
        | TierKind::Ncps => 25,
    }
}

/// Says what went wrong and what to do.
fn explain(url: &str, tier: &Tier, error: &reqwest::Error) -> WebError {
    let cause = innermost(error);
    let machine = tier.host.as_deref().unwrap_or("the server");
    let (cause, hint) = if error.is_timeout() {
        ("no answer in time".to_owned(), format!("is {machine} asleep, or a firewall between?"))
    } else if error.is_redirect() {
        (cause, "it redirects in circles; is the url right?".to_owned())
    } else if cause.contains("certificate") || cause.contains("UnknownIssuer") {
        (cause, "its certificate is not trusted here".to_owned())
    } else if cause.contains("dns") || cause.contains("lookup") || cause.contains("resolve") {
        (cause, "its name does not resolve here; is the name right, is there a network?".to_owned())
    } else if cause.to_lowercase().contains("refused") {
        (cause, format!("nothing listens there; does the cache run on {machine}?"))
    } else if error.is_connect() {
        (cause, format!("is {machine} on and in this network?"))
    } else {
        (cause, "it does not speak HTTP as a cache does".to_owned())
    };
    WebError { url: url.to_owned(), cause, hint }
}

/// Returns the cause at the bottom, printable: the upper ones only say that sending failed.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut bottom = error;
    while let Some(source) = bottom.source() {
        bottom = source;
    }
    printable_line(&bottom.to_string())
}
