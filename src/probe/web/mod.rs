//! HTTP as probes need it: declared requests only, short limits, capped answers, few connections
//! per tier, credentials for the tier's own origin alone.

mod ask;
mod credentials;
mod exchange;
mod manners;
mod names;
pub(super) mod redirect;
mod trouble;

pub(super) use ask::is_declared;
pub use ask::{Ask, Declared, Method, Reply};
use credentials::{Credentials, credentials};
use manners::{Count, Rest, requests};
pub(super) use manners::{Wish, width, wish};
use names::{Guarded, Names, has_proxy_in_environment};
use redirect::Reach;
pub use trouble::{WebError, WebTrouble};
use trouble::{explain, innermost};

use crate::fleet::{KindName, Tier};
use crate::nix::s3_url::web_url;
use crate::probe::connect::TimingLayer;
use crate::remote::Secret;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use reqwest::Url;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OnceCell, Semaphore};

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long a whole request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// What is kept per tier: its client, its credentials and its limit.
struct Place {
    client: reqwest::Client,
    /// Clients for what servers redirect to, by how far away those servers are.
    followers: Mutex<Vec<(Reach, reqwest::Client)>>,
    limit: Semaphore,
    credentials: OnceCell<Result<Option<Credentials>, WebError>>,
    /// The shortest time to a first byte on a kept connection since somebody asked.
    warm: Mutex<Option<Duration>>,
}

/// Asks tiers over HTTP; cheap to share.
pub struct Web {
    places: Mutex<HashMap<String, Arc<Place>>>,
    counts: Mutex<HashMap<String, Count>>,
    rests: Mutex<HashMap<String, Rest>>,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    names: Names,
}

impl Web {
    /// Makes clients for tiers as they are needed; fails when this machine has no usable TLS.
    pub fn new() -> Result<Self, WebError> {
        Self::with_clock(Timestamp::now)
    }

    /// Does what [`Web::new`] does, and takes the time from a clock: how long tiers are left alone
    /// and which month it is are judged by it.
    pub fn with_clock(
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Result<Self, WebError> {
        // Fails when one is installed already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        client(&Tier::new("any", KindName::Http, "https://any"), None)?;
        Ok(Self {
            places: Mutex::default(),
            counts: Mutex::default(),
            rests: Mutex::default(),
            clock: Box::new(clock),
            names: Names::system(),
        })
    }

    /// Judges redirects by other names and addresses than this machine's.
    #[cfg(test)]
    fn with_names(mut self, names: Names) -> Self {
        self.names = names;
        self
    }

    /// Makes a request that the kind has declared.
    ///
    /// Waits for its turn where the tier has as many requests open as its kind bears. A request
    /// that failed on a kept connection is made once more on a fresh one.
    pub async fn send(
        &self,
        tier: &Tier,
        declared: &[Declared],
        ask: Ask,
    ) -> Result<Reply, WebError> {
        let url = Url::parse(&ask.url)
            .map_err(|error| WebError::new(&ask.url, &error.to_string(), "is the url right?"))?;
        if !is_declared(declared, ask.method, url.path()) {
            let cause = format!("{:?} {} is not a request of this kind", ask.method, url.path());
            return Err(WebError::new(&ask.url, &cause, "this is a mistake in nixdash"));
        }
        let is_theirs = speaks_for(tier, &url);
        let place = self.place(tier)?;
        let _turn = place.limit.acquire().await;
        self.may_ask(tier, is_theirs)?;
        let asked_at = self.now();
        let answer = match self.exchange(tier, &place, declared, &ask, url.clone()).await {
            Err(error) if error.is_request() && !error.is_connect() && !error.is_timeout() => {
                self.exchange(tier, &place, declared, &ask, url).await
            }
            result => result,
        };
        let answer =
            answer.map_err(|error| explain(tier, &ask.url, &error)).and_then(|reply| reply);
        let unreadable = matches!(place.credentials.get(), Some(Err(_)));
        if unreadable || answer.as_ref().is_ok_and(|reply| reply.status == 401) {
            // The next request reads the secret anew: somebody may have mended or renewed it.
            self.places.lock().unwrap_or_else(PoisonError::into_inner).remove(&tier.name);
        }
        answer.inspect(|reply| {
            if is_theirs {
                self.note_reply(tier, reply, asked_at);
            }
        })
    }

    /// Returns the time by this client's clock.
    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Notes whether an answer, to a request made at a time, asks us to leave the tier alone.
    pub(super) fn note_reply(&self, tier: &Tier, reply: &Reply, asked_at: Timestamp) {
        let mut rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = rests.entry(tier.name.clone()).or_default();
        rest.note(tier.kind.name(), reply, asked_at, self.now());
    }

    /// Returns the authorization header that goes to a tier's own origin, when there is one: a kind
    /// may have to know when its token expires.
    pub(super) async fn authorization(&self, tier: &Tier) -> Option<Secret> {
        let place = self.place(tier).ok()?;
        let found = place.credentials.get_or_init(|| credentials(tier)).await;
        match found {
            Ok(Some(Credentials::Header(value))) => Some(value.clone()),
            Ok(Some(Credentials::Keys(_)) | None) | Err(_) => None,
        }
    }

    /// Returns how many requests were made of a tier since the last call.
    pub fn take_count(&self, tier: &str) -> u64 {
        self.with_count(tier, |count| std::mem::take(&mut count.fresh))
    }

    /// Returns how many requests were made of a tier this calendar month (UTC), as far as is known.
    pub fn requests_this_month(&self, tier: &str) -> u64 {
        self.with_count(tier, |count| count.month)
    }

    /// Tells how many requests all nixdash made of a tier this calendar month, as recorded; those
    /// that nobody has taken yet come on top.
    pub fn begin_month_with(&self, tier: &str, recorded: u64) {
        self.with_count(tier, |count| count.month = recorded.saturating_add(count.fresh));
    }

    /// Returns how long a tier still wants to be left alone.
    pub fn rest_of(&self, tier: &Tier) -> Option<Duration> {
        let now = self.now();
        let (until, _) = self.rest(tier, now)?;
        Some(now.duration_until(until).try_into().unwrap_or_default())
    }

    /// Returns until when a tier wants to be left alone, while it does.
    pub fn rests_until(&self, tier: &Tier) -> Option<Timestamp> {
        self.rest(tier, self.now()).map(|(until, _)| until)
    }

    /// Returns until when a tier wants to be left alone, and the status with which it said so.
    fn rest(&self, tier: &Tier, now: Timestamp) -> Option<(Timestamp, u16)> {
        let rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = rests.get(&tier.name)?;
        Some((rest.until(now)?, rest.status))
    }

    /// Says that the month's requests are used, when they are.
    pub fn budget_spent(&self, tier: &Tier) -> Option<WebError> {
        let limit = tier.max_requests_per_month?;
        let made = self.requests_this_month(&tier.name);
        (made >= limit).then(|| WebError {
            trouble: WebTrouble::Spent,
            ..WebError::new(
                &tier.url,
                &format!("{made} of {limit} requests of this month are used: it is not asked"),
                "raise max_requests_per_month, or wait for the next month (UTC)",
            )
        })
    }

    /// Refuses to ask a tier that wants to be left alone, where its wish is `theirs` who are asked,
    /// or whose month is used up.
    fn may_ask(&self, tier: &Tier, theirs: bool) -> Result<(), WebError> {
        if let Some(error) = self.budget_spent(tier) {
            return Err(error);
        }
        let rest = self.rest(tier, self.now()).filter(|_| theirs);
        let Some((until, status)) = rest else { return Ok(()) };
        let cause = format!("it answered {status}, and is {}", left_alone(until));
        let hint = "ask it less often (every) if this comes again";
        Err(WebError { trouble: WebTrouble::Rest, ..WebError::new(&tier.url, &cause, hint) })
    }

    /// Does something with a tier's count of this month.
    fn with_count<T>(&self, tier: &str, work: impl FnOnce(&mut Count) -> T) -> T {
        let month = self.now().to_zoned(TimeZone::UTC).date().first_of_month();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(tier.to_owned()).or_default();
        if count.since != Some(month) {
            (count.since, count.month) = (Some(month), 0);
        }
        work(count)
    }

    /// Returns the shortest time to a first byte on a kept connection since the last call: what a
    /// server takes by itself, without the making of a connection before.
    pub(super) fn take_warm(&self, tier: &Tier) -> Option<Duration> {
        let place = self.place(tier).ok()?;
        place.warm.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Counts requests that somebody else made of a tier for us.
    pub(super) fn note_requests(&self, tier: &Tier, number: usize) {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        self.with_count(&tier.name, |count| {
            count.fresh = count.fresh.saturating_add(number);
            count.month = count.month.saturating_add(number);
        });
    }

    /// Returns what is kept for a tier.
    fn place(&self, tier: &Tier) -> Result<Arc<Place>, WebError> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(&tier.name) {
            return Ok(Arc::clone(place));
        }
        let place = Arc::new(Place {
            client: client(tier, None)?,
            followers: Mutex::default(),
            limit: Semaphore::new(requests(tier.kind.name())),
            credentials: OnceCell::new(),
            warm: Mutex::default(),
        });
        places.insert(tier.name.clone(), Arc::clone(&place));
        Ok(place)
    }
}

/// Says until when a tier is left alone.
pub(super) fn left_alone(until: Timestamp) -> String {
    format!("left alone until {} UTC", until.strftime("%H:%M:%S"))
}

/// Makes a client for what servers of a tier at that distance redirect to.
///
/// Where a proxy is on the way, it is the proxy that looks names up.
fn follower(tier: &Tier, names: &Names, from: Reach) -> Result<reqwest::Client, WebError> {
    let guard = (!is_proxied(tier)).then(|| Guarded { names: names.clone(), from });
    client(tier, guard)
}

/// Returns whether a tier is asked through a proxy, as far as is known.
fn is_proxied(tier: &Tier) -> bool {
    tier.access.proxy.is_some() || has_proxy_in_environment()
}

/// Makes the client of a tier, with its own authority and proxy.
fn client(tier: &Tier, guard: Option<Guarded>) -> Result<reqwest::Client, WebError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("nixdash/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_LIMIT)
        .timeout(REQUEST_LIMIT)
        .connector_layer(TimingLayer)
        .redirect(reqwest::redirect::Policy::none());
    if let Some(guard) = guard {
        builder = builder.dns_resolver(Arc::new(guard));
    }
    let wrong = |what: &str, cause: &dyn std::fmt::Display| {
        WebError::setup(&tier.url, &format!("{what}: {cause}"), "mend it in hosts.toml")
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
        WebError::setup(&tier.url, &innermost(&error), hint)
    })
}

/// Returns whether a server's wish to be left alone is the tier's: a master of a cluster that is
/// overloaded says nothing of the gateway that hosts read from.
fn speaks_for(tier: &Tier, url: &Url) -> bool {
    tier.kind.name() != KindName::Seaweedfs || own_origin(tier, url)
}

/// Returns whether a URL has scheme, host and port of the tier's own.
fn own_origin(tier: &Tier, url: &Url) -> bool {
    Url::parse(&web_url(tier)).is_ok_and(|own| own.origin() == url.origin())
}

#[cfg(test)]
mod tests;
