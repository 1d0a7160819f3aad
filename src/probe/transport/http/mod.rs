//! HTTP from this machine: declared requests only, short limits, capped answers, few connections per
//! tier, credentials for the tier's own origin alone.

mod connect;
mod exchange;

use crate::fleet::{Tier, TierKind, Validity};
use crate::probe::transport::budget::RequestBudget;
use crate::probe::transport::error::innermost;
use crate::probe::transport::login::{Credentials, credentials};
use crate::probe::transport::names::{Guarded, Names, has_proxy_in_environment};
use crate::probe::transport::redirect::Reach;
use crate::probe::transport::{HttpReply, HttpRequest, RequestError, Rules, Transport};
use crate::remote::Secret;
use connect::TimingLayer;
use exchange::explain;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OnceCell, Semaphore};

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long a whole request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// How old a client may be that is asked for a certificate which ends soon.
const CLIENT_AGE: Duration = Duration::from_secs(10 * 60);

/// What is kept per tier: its client, its credentials and its limit.
struct TierClient {
    client: reqwest::Client,
    made_at: Instant,
    /// Clients for what servers redirect to, by how far away those servers are.
    followers: Mutex<Vec<(Reach, reqwest::Client)>>,
    limit: Semaphore,
    credentials: OnceCell<Result<Option<Credentials>, RequestError>>,
    /// The shortest time to a first byte on a kept connection since somebody asked.
    warm: Mutex<Option<Duration>>,
    /// The validity of the certificates of its servers, by their origin.
    certificates: Mutex<HashMap<String, Validity>>,
    /// The version of HTTP that it answered with last; 0 before it answered.
    version: AtomicU8,
}

/// Asks tiers over HTTP; cheap to share.
pub struct HttpClient {
    places: Mutex<HashMap<String, Arc<TierClient>>>,
    names: Names,
    /// How often tiers were asked, and until when they want to be left alone.
    pub budget: RequestBudget,
}

impl HttpClient {
    /// Makes clients for tiers as they are needed; fails when this machine has no usable TLS.
    pub fn new() -> Result<Self, RequestError> {
        Self::with_clock(Timestamp::now)
    }

    /// Does what [`HttpClient::new`] does, and takes the time from a clock: how long tiers are left alone
    /// and which month it is are judged by it.
    pub fn with_clock(
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Result<Self, RequestError> {
        // Fails when one is installed already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        client(&Tier::new("any", TierKind::Http, "https://any"), None)?;
        Ok(Self {
            places: Mutex::default(),
            names: Names::system(),
            budget: RequestBudget::with_clock(clock),
        })
    }

    /// Judges redirects by other names and addresses than this machine's.
    #[cfg(test)]
    fn with_names(mut self, names: Names) -> Self {
        self.names = names;
        self
    }

    /// Makes a request that the rules declare.
    ///
    /// Waits for its turn where the tier has as many requests open as its kind bears. A request
    /// that failed on a kept connection is made once more on a fresh one.
    pub async fn ask(
        &self,
        tier: &Tier,
        rules: &Rules,
        ask: HttpRequest,
    ) -> Result<HttpReply, RequestError> {
        let url = ask.declared_url(rules)?;
        let place = self.place(tier, rules)?;
        let _turn = place.limit.acquire().await;
        self.budget.may_ask(tier, rules, &url)?;
        let asked_at = self.budget.now();
        let answer = match self.exchange(tier, &place, rules, &ask, url.clone()).await {
            Err(error) if error.is_request() && !error.is_connect() && !error.is_timeout() => {
                self.exchange(tier, &place, rules, &ask, url.clone()).await
            }
            result => result,
        };
        let answer =
            answer.map_err(|error| explain(tier, &ask.url, &error)).and_then(|reply| reply);
        let unreadable = matches!(place.credentials.get(), Some(Err(_)));
        if unreadable || answer.as_ref().is_ok_and(|reply| reply.status == 401) {
            self.forget_client(tier);
        }
        answer.inspect(|reply| {
            place.version.store(if reply.is_http2 { 2 } else { 1 }, Ordering::Relaxed);
            self.budget.note_reply(tier, rules, &url, reply, asked_at);
        })
    }

    /// Lets the next request read the secret of a tier again, over a new connection: somebody may have
    /// mended or renewed it.
    pub(in crate::probe) fn forget_client(&self, tier: &Tier) {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).remove(&tier.name);
    }

    /// Does the same now and then: a connection that is kept says nothing of a certificate that was
    /// renewed since it was made.
    pub(in crate::probe) fn forget_old_client(&self, tier: &Tier) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.get(&tier.name).is_some_and(|place| place.made_at.elapsed() > CLIENT_AGE) {
            places.remove(&tier.name);
        }
    }

    /// Returns the authorization header that goes to a tier's own origin, when there is one: a kind
    /// may have to know when its token expires.
    pub(in crate::probe) async fn authorization(
        &self,
        tier: &Tier,
        rules: &Rules,
    ) -> Option<Secret> {
        let place = self.place(tier, rules).ok()?;
        let found = place.credentials.get_or_init(|| credentials(tier)).await;
        match found {
            Ok(Some(Credentials::Header(value))) => Some(value.clone()),
            Ok(Some(Credentials::Keys(_)) | None) | Err(_) => None,
        }
    }

    /// Returns the validity of the certificate of a tier's servers that ends first; nothing where none
    /// was seen.
    pub(in crate::probe) fn certificate(&self, tier: &Tier) -> Option<Validity> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let known = places.get(&tier.name)?.certificates.lock();
        let known = known.unwrap_or_else(PoisonError::into_inner);
        known.values().min_by_key(|validity| validity.until).copied()
    }

    /// Returns how many requests a tier may be made at once, as far as its protocol is known; nothing
    /// before it answered.
    fn width(&self, tier: &Tier, rules: &Rules) -> Option<usize> {
        match self.place(tier, rules).ok()?.version.load(Ordering::Relaxed) {
            0 => None,
            version => Some(rules.width(version == 2)),
        }
    }

    /// Returns what is kept for a tier.
    fn place(&self, tier: &Tier, rules: &Rules) -> Result<Arc<TierClient>, RequestError> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(&tier.name) {
            return Ok(Arc::clone(place));
        }
        let place = Arc::new(TierClient {
            client: client(tier, None)?,
            made_at: Instant::now(),
            followers: Mutex::default(),
            limit: Semaphore::new(rules.at_once),
            credentials: OnceCell::new(),
            warm: Mutex::default(),
            certificates: Mutex::default(),
            version: AtomicU8::new(0),
        });
        places.insert(tier.name.clone(), Arc::clone(&place));
        Ok(place)
    }
}

impl Transport for HttpClient {
    fn send<'a>(
        &'a self,
        tier: &'a Tier,
        rules: &'a Rules,
        ask: HttpRequest,
    ) -> BoxFuture<'a, Result<HttpReply, RequestError>> {
        Box::pin(self.ask(tier, rules, ask))
    }

    fn send_all<'a>(
        &'a self,
        tier: &'a Tier,
        rules: &'a Rules,
        asks: Vec<HttpRequest>,
        at_once: usize,
    ) -> BoxStream<'a, Result<HttpReply, RequestError>> {
        let send = move |ask| self.ask(tier, rules, ask);
        if let Some(width) = self.width(tier, rules) {
            return stream::iter(asks).map(send).buffered(width.min(at_once).max(1)).boxed();
        }
        // The first alone, so that the protocol is known and the connection open that others share.
        let mut asks = asks.into_iter();
        let first = asks.next();
        let work = async move {
            let Some(first) = first else { return stream::empty().boxed() };
            let answer = self.ask(tier, rules, first).await;
            let width = self.width(tier, rules).unwrap_or(1).min(at_once).max(1);
            let rest = stream::iter(asks).map(send).buffered(width);
            stream::iter([answer]).chain(rest).boxed()
        };
        stream::once(work).flatten().boxed()
    }

    fn take_warm(&self, tier: &Tier) -> Option<Duration> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.get(&tier.name)?.warm.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Makes a client for what servers of a tier at that distance redirect to.
///
/// Where a proxy is on the way, it is the proxy that looks names up.
fn follower(tier: &Tier, names: &Names, from: Reach) -> Result<reqwest::Client, RequestError> {
    let guard = (!is_proxied(tier)).then(|| Guarded { names: names.clone(), from });
    client(tier, guard)
}

/// Returns whether a tier is asked through a proxy, as far as is known.
fn is_proxied(tier: &Tier) -> bool {
    tier.access.proxy.is_some() || has_proxy_in_environment()
}

/// Makes the client of a tier, with its own authority and proxy.
fn client(tier: &Tier, guard: Option<Guarded>) -> Result<reqwest::Client, RequestError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("nixdash/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_LIMIT)
        .timeout(REQUEST_LIMIT)
        .connector_layer(TimingLayer)
        .tls_info(true)
        .redirect(reqwest::redirect::Policy::none());
    if let Some(guard) = guard {
        builder = builder.dns_resolver(Arc::new(guard));
    }
    let wrong = |what: &str, cause: &dyn std::fmt::Display| {
        RequestError::setup(&tier.url, &format!("{what}: {cause}"), "fix it in hosts.toml")
    };
    if let Some(file) = &tier.access.ca_file {
        let name = file.display();
        let pem = std::fs::read(file).map_err(|error| wrong(&format!("ca_file {name}"), &error))?;
        for certificate in reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|error| wrong(&format!("ca_file {name}"), &error))?
        {
            builder = builder.add_root_certificate(certificate);
        }
    }
    if let Some(proxy) = &tier.access.proxy {
        let proxy = reqwest::Proxy::all(proxy).map_err(|error| wrong("proxy", &error))?;
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| {
        let hint = "does this machine have CA certificates (SSL_CERT_FILE)?";
        RequestError::setup(&tier.url, &innermost(&error), hint)
    })
}

#[cfg(test)]
mod tests;
