//! HTTP as probes need it: declared requests only, short limits, capped answers, few connections
//! per tier, credentials for the tier's own origin alone.

use crate::fleet::{Tier, TierKind, TierState, duration, printable_line};
use crate::nix::s3_url::web_url;
use crate::probe::connect::{TimingLayer, timed};
use crate::probe::sign::Keys;
use crate::remote::{Secret, resolve};
use base64::Engine as _;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION, RANGE};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OnceCell, Semaphore};

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long a whole request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// Longest answer that is read when the request does not say, in bytes, unpacked.
const BODY_LIMIT: usize = crate::nix::narinfo::SIZE_LIMIT;

/// How long a server is left alone that wants it without saying how long; doubled each time.
const REST: Duration = Duration::from_secs(60);

/// Longest time that a server is left alone.
const REST_LIMIT: Duration = Duration::from_secs(15 * 60);

/// Most redirects that are followed.
const REDIRECTS: usize = 3;

/// What a request does; nothing that a probe asks for changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Gets.
    Get,
    /// Gets the headers only.
    Head,
    /// Asks for many paths at once.
    Post,
}

/// A request that a kind may make: method, and path with `*` for any text.
///
/// The client refuses every other one: a SeaweedFS master deletes a collection on a plain GET.
pub type Declared = (Method, &'static str);

/// What kind of trouble kept a tier from answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebTrouble {
    /// It did not answer, or not in HTTP.
    NoAnswer,
    /// The proxy on the way is to blame.
    Proxy,
    /// It was not asked: it said 429 or 503 and wants to be left alone.
    Rest,
    /// It was not asked: the month's requests are used.
    Spent,
}

/// Why a tier could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url}: {cause}; {hint}")]
pub struct WebError {
    /// What was asked, without query and credentials.
    pub url: String,
    /// What was observed, printable.
    pub cause: String,
    /// What to do about it.
    pub hint: String,
    /// What kind of trouble it is.
    pub trouble: WebTrouble,
}

impl WebError {
    /// Makes an error of a tier's answer.
    pub fn new(url: &str, cause: &str, hint: &str) -> Self {
        Self {
            url: printable_line(url.split('?').next().unwrap_or_default()),
            cause: printable_line(cause),
            hint: hint.to_owned(),
            trouble: WebTrouble::NoAnswer,
        }
    }

    /// Returns the state of a tier that this befell.
    pub fn state(&self) -> TierState {
        match self.trouble {
            WebTrouble::NoAnswer => TierState::Down,
            WebTrouble::Proxy => TierState::Proxy,
            WebTrouble::Rest => TierState::Degraded,
            WebTrouble::Spent => TierState::Unknown,
        }
    }
}

/// One request.
pub struct Ask {
    method: Method,
    url: String,
    headers: Vec<(&'static str, Secret)>,
    body: Option<Vec<u8>>,
    first_byte_only: bool,
    follow: bool,
    limit: usize,
}

impl Ask {
    /// Gets a URL.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: Method::Get,
            url: url.into(),
            headers: Vec::new(),
            body: None,
            first_byte_only: false,
            follow: false,
            limit: BODY_LIMIT,
        }
    }

    /// Gets the headers of a URL.
    pub fn head(url: impl Into<String>) -> Self {
        Self { method: Method::Head, ..Self::get(url) }
    }

    /// Posts JSON to a URL.
    pub fn post_json(url: impl Into<String>, body: &impl serde::Serialize) -> Self {
        // Plain lists and maps of texts always have a JSON form.
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self { method: Method::Post, body: Some(body), ..Self::get(url) }
            .header("content-type", Secret::new("application/json"))
    }

    /// Adds a header; its value is never shown.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: Secret) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Asks for the first byte only, and hangs up after it: proof that something is served.
    #[must_use]
    pub fn first_byte_only(mut self) -> Self {
        self.first_byte_only = true;
        self
    }

    /// Follows at most three redirects; credentials go to the tier's own origin only.
    #[must_use]
    pub fn follow(mut self) -> Self {
        self.follow = true;
        self
    }

    /// Takes at most so many bytes of the answer.
    #[must_use]
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }
}

/// What a tier answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers, untrusted; names in lower case.
    pub headers: HashMap<String, String>,
    /// The body, untrusted, cut at the request's limit.
    pub body: Vec<u8>,
    /// Time from an open connection to the status line.
    pub first_byte: Duration,
    /// Time to connect, TLS included; none where a connection was open.
    pub connect: Option<Duration>,
    /// Whether it came over HTTP/2.
    pub is_http2: bool,
}

impl Reply {
    /// Returns the body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns a header, printable.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(|value| printable_line(value))
    }

    /// Returns how long the server asks us to stay away, in seconds or until a date.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get("retry-after")?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        Some(until.duration_since(Timestamp::now()).try_into().unwrap_or_default())
    }
}

/// What is kept per tier: its client, its credentials, its limit, and its wish to be left alone.
struct Place {
    client: reqwest::Client,
    limit: Semaphore,
    credentials: OnceCell<Result<Option<Credentials>, WebError>>,
    rest: Mutex<Rest>,
}

/// What a tier wants to see before it answers.
enum Credentials {
    /// A value of the authorization header.
    Header(Secret),
    /// Keys that sign each request.
    Keys(Keys),
}

/// How long a tier wants to be left alone.
#[derive(Clone, Copy, Default)]
struct Rest {
    until: Option<Instant>,
    /// How often in a row it said so.
    times: u32,
    /// How it said so: 429 or 503.
    status: u16,
}

/// Requests made of a tier.
#[derive(Clone, Copy, Default)]
struct Count {
    /// Those that nobody has recorded yet.
    fresh: u64,
    /// Those of this calendar month.
    month: u64,
    /// The first day of that month.
    since: Option<Date>,
}

/// Asks tiers over HTTP; cheap to share.
pub struct Web {
    places: Mutex<HashMap<String, Arc<Place>>>,
    counts: Mutex<HashMap<String, Count>>,
}

impl Web {
    /// Makes clients for tiers as they are needed; fails when this machine has no usable TLS.
    pub fn new() -> Result<Self, WebError> {
        // Fails when one is installed already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        client(&Tier::new("any", TierKind::Http, "https://any"))?;
        Ok(Self { places: Mutex::default(), counts: Mutex::default() })
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
        let place = self.place(tier)?;
        let _turn = place.limit.acquire().await;
        self.may_ask(tier)?;
        let asked_at = Instant::now();
        let answer = match self.exchange(tier, &place, &ask, url.clone()).await {
            Err(error) if error.is_request() && !error.is_connect() && !error.is_timeout() => {
                self.exchange(tier, &place, &ask, url).await
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
        answer.inspect(|reply| note_rest(&place.rest, reply, asked_at))
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
        let place = self.place(tier).ok()?;
        let until = place.rest.lock().unwrap_or_else(PoisonError::into_inner).until?;
        until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// Lets a tier be asked again that wanted to be left alone; should it say so once more, it is
    /// left alone for longer.
    pub(super) fn end_rest(&self, tier: &Tier) {
        if let Ok(place) = self.place(tier) {
            place.rest.lock().unwrap_or_else(PoisonError::into_inner).until = None;
        }
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

    /// Refuses to ask a tier that wants to be left alone, or whose month is used up.
    fn may_ask(&self, tier: &Tier) -> Result<(), WebError> {
        if let Some(error) = self.budget_spent(tier) {
            return Err(error);
        }
        let Some(left) = self.rest_of(tier) else { return Ok(()) };
        let status = self.place(tier)?.rest.lock().unwrap_or_else(PoisonError::into_inner).status;
        let cause = format!("it answered {status}, and is left alone for {}", duration(left));
        let hint = "ask it less often (every) if this comes again";
        Err(WebError { trouble: WebTrouble::Rest, ..WebError::new(&tier.url, &cause, hint) })
    }

    /// Does something with a tier's count of this month.
    fn with_count<T>(&self, tier: &str, work: impl FnOnce(&mut Count) -> T) -> T {
        let month = Timestamp::now().to_zoned(TimeZone::UTC).date().first_of_month();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(tier.to_owned()).or_default();
        if count.since != Some(month) {
            (count.since, count.month) = (Some(month), 0);
        }
        work(count)
    }

    /// Makes a request and follows its redirects, when it may.
    async fn exchange(
        &self,
        tier: &Tier,
        place: &Place,
        ask: &Ask,
        mut url: Url,
    ) -> Result<Result<Reply, WebError>, reqwest::Error> {
        for _ in 0..=REDIRECTS {
            let (mut authorization, mut place_asked) = (None, url.clone());
            if own_origin(tier, &url) {
                match place.credentials.get_or_init(|| credentials(tier)).await {
                    Ok(Some(Credentials::Header(value))) => authorization = Some(value),
                    Ok(Some(Credentials::Keys(keys))) => {
                        place_asked = keys.sign(ask.method, &url, Timestamp::now());
                    }
                    Ok(None) => {}
                    Err(error) => return Ok(Err(error.clone())),
                }
            }
            self.note_requests(tier, 1);
            let reply = once(&place.client, ask, place_asked, authorization).await?;
            let target = reply.headers.get(LOCATION.as_str()).and_then(|to| url.join(to).ok());
            match target {
                Some(target)
                    if ask.follow && matches!(reply.status, 301 | 302 | 303 | 307 | 308) =>
                {
                    url = target;
                }
                Some(_) | None => return Ok(Ok(reply)),
            }
        }
        Ok(Err(WebError::new(url.as_str(), "more than three redirects", "is the url right?")))
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
            client: client(tier)?,
            limit: Semaphore::new(requests(tier.kind)),
            credentials: OnceCell::new(),
            rest: Mutex::default(),
        });
        places.insert(tier.name.clone(), Arc::clone(&place));
        Ok(place)
    }
}

/// Makes the client of a tier, with its own authority and proxy.
fn client(tier: &Tier) -> Result<reqwest::Client, WebError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("nixdash/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_LIMIT)
        .timeout(REQUEST_LIMIT)
        .connector_layer(TimingLayer)
        .redirect(reqwest::redirect::Policy::none());
    let wrong = |what: &str, cause: &dyn std::fmt::Display| {
        WebError::new(&tier.url, &format!("{what}: {cause}"), "mend it in hosts.toml")
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
        WebError::new(&tier.url, &innermost(&error), hint)
    })
}

/// Keeps how long a tier wants to be left alone; an answer to a request that was made before it
/// said so changes nothing.
fn note_rest(rest: &Mutex<Rest>, reply: &Reply, asked_at: Instant) {
    let mut rest = rest.lock().unwrap_or_else(PoisonError::into_inner);
    let wants = matches!(reply.status, 429 | 503);
    let is_known = rest.until.is_some_and(|until| until > asked_at);
    if !wants && !is_known {
        *rest = Rest::default();
    } else if wants && !is_known {
        let own = REST.saturating_mul(2_u32.saturating_pow(rest.times.min(10)));
        let time = reply.retry_after().unwrap_or(own).min(REST_LIMIT);
        *rest = Rest {
            until: Some(Instant::now() + time),
            times: rest.times.saturating_add(1),
            status: reply.status,
        };
    }
}

/// Makes one request.
async fn once(
    client: &reqwest::Client,
    ask: &Ask,
    url: Url,
    authorization: Option<&Secret>,
) -> Result<Reply, reqwest::Error> {
    let began = Instant::now();
    let mut request = match ask.method {
        Method::Get => client.get(url),
        Method::Head => client.head(url),
        Method::Post => client.post(url),
    };
    let mut headers = HeaderMap::new();
    let own = ask.headers.iter().map(|(name, value)| (HeaderName::from_static(name), value));
    for (name, value) in own.chain(authorization.map(|value| (AUTHORIZATION, value))) {
        // A secret with a character that no header can hold is refused when it is read.
        if let Ok(mut value) = HeaderValue::from_str(value.expose()) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    if ask.first_byte_only {
        headers.insert(RANGE, HeaderValue::from_static("bytes=0-0"));
    }
    request = request.headers(headers);
    if let Some(body) = &ask.body {
        request = request.body(body.clone());
    }
    let (response, connect) = timed(request.send()).await;
    let first_byte = began.elapsed().saturating_sub(connect.unwrap_or_default());
    let mut response = response?;
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers =
        response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
    let mut reply = Reply {
        status: response.status().as_u16(),
        headers: headers.collect(),
        body: Vec::new(),
        first_byte,
        connect,
        is_http2: response.version() == reqwest::Version::HTTP_2,
    };
    let limit = if ask.first_byte_only { 1 } else { ask.limit };
    while reply.body.len() < limit
        && let Some(chunk) = response.chunk().await?
    {
        reply.body.extend_from_slice(&chunk[..chunk.len().min(limit - reply.body.len())]);
    }
    Ok(reply)
}

/// Returns whether a kind has declared a request.
fn is_declared(declared: &[Declared], method: Method, path: &str) -> bool {
    declared.iter().any(|(known, pattern)| *known == method && matches(pattern, path))
}

/// Returns whether a path fits a pattern, in which `*` stands for any text.
fn matches(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((before, after)) => path.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len())
                .filter(|at| rest.is_char_boundary(*at))
                .any(|at| matches(after, &rest[at..]))
        }),
    }
}

/// Returns whether a URL has scheme, host and port of the tier's own.
fn own_origin(tier: &Tier, url: &Url) -> bool {
    Url::parse(&web_url(tier)).is_ok_and(|own| own.origin() == url.origin())
}

/// Returns what a tier wants to see: keys that sign, else the value of the authorization header.
async fn credentials(tier: &Tier) -> Result<Option<Credentials>, WebError> {
    if let Some(keys) = Keys::of(tier).await? {
        return Ok(Some(Credentials::Keys(keys)));
    }
    Ok(authorization(tier).await?.map(Credentials::Header))
}

/// Returns the value of the authorization header for a tier, when it needs one.
async fn authorization(tier: &Tier) -> Result<Option<Secret>, WebError> {
    let access = &tier.access;
    let failed = |error: &crate::remote::SecretError| {
        WebError::new(&tier.url, &error.to_string(), "mend it in hosts.toml")
    };
    if let Some(source) = &access.token {
        let token = resolve(source).await.map_err(|error| failed(&error))?;
        return Ok(Some(Secret::new(format!("Bearer {}", token.expose()))));
    }
    if let (Some(user), Some(source)) = (&access.user, &access.password) {
        let password = resolve(source).await.map_err(|error| failed(&error))?;
        return Ok(Some(basic(user, password.expose())));
    }
    if let Some(source) = &access.netrc {
        let netrc = resolve(source).await.map_err(|error| failed(&error))?;
        let host = Url::parse(&tier.url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let found = host.and_then(|host| from_netrc(netrc.expose(), &host));
        return match found {
            Some((user, password)) => Ok(Some(basic(&user, &password))),
            None => Err(WebError::new(
                &tier.url,
                "its netrc has no entry for this host",
                "add a line: machine HOST login NAME password TOKEN",
            )),
        };
    }
    Ok(None)
}

/// Returns the header of basic authentication.
fn basic(user: &str, password: &str) -> Secret {
    let pair = format!("{user}:{password}");
    let text = base64::engine::general_purpose::STANDARD.encode(pair);
    Secret::new(format!("Basic {text}"))
}

/// Returns login and password of a host in a netrc; `default` serves every host.
fn from_netrc(text: &str, host: &str) -> Option<(String, String)> {
    let mut words = text.split_whitespace();
    let (mut ours, mut login, mut password) = (false, None, None);
    while let Some(word) = words.next() {
        match word {
            "machine" | "default" => {
                if ours && password.is_some() {
                    break;
                }
                (login, password) = (None, None);
                ours = word == "default" || words.next() == Some(host);
            }
            "login" if ours => login = words.next().map(str::to_owned),
            "password" if ours => password = words.next().map(str::to_owned),
            _ => {}
        }
    }
    Some((login.unwrap_or_default(), password?))
}

/// Returns how many requests a kind of server bears at once over HTTP/2.
///
/// nix-serve has five workers, one a connection: more than two of them taken by probes would starve
/// a deploy.
fn requests(kind: TierKind) -> usize {
    match kind {
        TierKind::NixServe => 2,
        TierKind::Harmonia
        | TierKind::Http
        | TierKind::Cachix
        | TierKind::S3
        | TierKind::Seaweedfs
        | TierKind::Local
        | TierKind::GithubActions
        | TierKind::Attic
        | TierKind::Ncps => 100,
    }
}

/// Returns how many requests to have open at once: connections over HTTP/1.1, streams of one
/// connection over HTTP/2.
pub(super) fn width(kind: TierKind, is_http2: bool) -> usize {
    if is_http2 { requests(kind) } else { requests(kind).min(25) }
}

/// Says what went wrong and what to do.
fn explain(tier: &Tier, url: &str, error: &reqwest::Error) -> WebError {
    let cause = innermost(error);
    let machine = tier.host.as_deref().unwrap_or("the server");
    let lower = cause.to_lowercase();
    let is_proxy = tier.access.proxy.is_some() && (error.is_connect() || lower.contains("proxy"));
    let (cause, hint) = if is_proxy {
        (cause, "the proxy on the way does not let us through; check `proxy`".to_owned())
    } else if error.is_timeout() {
        ("no answer in time".to_owned(), format!("is {machine} asleep, or a firewall between?"))
    } else if cause.contains("certificate") || cause.contains("UnknownIssuer") {
        (
            cause,
            "its certificate is not trusted here; a private authority goes into ca_file".to_owned(),
        )
    } else if lower.contains("dns") || lower.contains("lookup") || lower.contains("resolve") {
        (cause, "its name does not resolve here; is the name right, is there a network?".to_owned())
    } else if lower.contains("refused") {
        (cause, format!("nothing listens there; does the cache run on {machine}?"))
    } else if error.is_connect() {
        (cause, format!("is {machine} on and in this network?"))
    } else {
        (cause, "it does not speak HTTP as a cache does".to_owned())
    };
    let trouble = if is_proxy { WebTrouble::Proxy } else { WebTrouble::NoAnswer };
    WebError { trouble, ..WebError::new(url, &cause, &hint) }
}

/// Returns the cause at the bottom, printable: the upper ones only say that sending failed.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut bottom = error;
    while let Some(source) = bottom.source() {
        bottom = source;
    }
    printable_line(&bottom.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::server::Server;

    const GET: &[Declared] = &[(Method::Get, "*")];

    /// Makes an answer with that status and header.
    fn reply(status: u16, retry_after: Option<&str>) -> Reply {
        let header = retry_after.map(|text| ("retry-after".to_owned(), text.to_owned()));
        Reply {
            status,
            headers: header.into_iter().collect(),
            body: Vec::new(),
            first_byte: Duration::ZERO,
            connect: None,
            is_http2: false,
        }
    }

    #[test]
    fn a_server_that_is_asked_too_often_is_left_alone_for_as_long_as_it_says() {
        let rest = Mutex::new(Rest::default());
        let left = |rest: &Mutex<Rest>| {
            let until = rest.lock().unwrap().until;
            until.map_or(0, |until| until.duration_since(Instant::now()).as_secs() + 1)
        };
        let later = |rest: &Mutex<Rest>| {
            rest.lock().unwrap().until = Some(Instant::now());
            Instant::now() + Duration::from_millis(1)
        };
        note_rest(&rest, &reply(429, Some("120")), Instant::now());
        assert_eq!(left(&rest), 120);
        // What was asked before it said so neither adds to it nor ends it.
        note_rest(&rest, &reply(429, None), Instant::now());
        note_rest(&rest, &reply(200, None), Instant::now());
        assert_eq!(left(&rest), 120);
        let asked_at = later(&rest);
        note_rest(&rest, &reply(503, None), asked_at);
        assert_eq!(left(&rest), 120, "twice a minute: it is the second time");
        let asked_at = later(&rest);
        note_rest(&rest, &reply(503, Some("99999")), asked_at);
        assert_eq!(left(&rest), 900);
        let asked_at = later(&rest);
        note_rest(&rest, &reply(200, None), asked_at);
        assert_eq!(rest.lock().unwrap().times, 0);
        let date = reply(429, Some("Sat, 21 Nov 2020 08:00:00 GMT"));
        assert_eq!(date.retry_after(), Some(Duration::ZERO));
    }

    #[tokio::test]
    async fn a_tier_whose_month_is_used_up_or_that_wants_rest_is_not_asked() {
        let server = Server::start(&[("/a", 200, "a"), ("/busy", 429, "")]).await;
        let web = Web::new().unwrap();
        let mut tier = Tier::new("x", TierKind::Http, &server.url);
        tier.max_requests_per_month = Some(3);
        web.begin_month_with("x", 1);
        let get = |path: &str| Ask::get(format!("{}{path}", server.url));
        let first = web.send(&tier, GET, get("/a")).await.unwrap();
        assert!(first.connect.is_some(), "the first request connects");
        let second = web.send(&tier, GET, get("/a")).await.unwrap();
        assert_eq!(second.connect, None, "the second one finds the connection open");
        let error = web.send(&tier, GET, get("/a")).await.unwrap_err();
        assert_eq!(error.trouble, WebTrouble::Spent);
        assert!(error.cause.contains("3 of 3 requests"), "{error}");
        assert_eq!((web.take_count("x"), web.take_count("x")), (2, 0));
        assert_eq!(web.requests_this_month("x"), 3);
        tier.max_requests_per_month = None;
        assert_eq!(web.send(&tier, GET, get("/busy")).await.unwrap().status, 429);
        let error = web.send(&tier, GET, get("/a")).await.unwrap_err();
        assert_eq!(error.trouble, WebTrouble::Rest);
        assert!(error.cause.contains("left alone"), "{error}");
        assert_eq!(server.asked().len(), 3);
    }

    #[test]
    fn only_declared_requests_are_made() {
        let declared = [(Method::Get, "*/nix-cache-info"), (Method::Get, "/dir/status")];
        for (method, path, expected) in [
            (Method::Get, "/nix-cache-info", true),
            (Method::Get, "/cache/nix-cache-info", true),
            (Method::Head, "/nix-cache-info", false),
            (Method::Get, "/dir/status", true),
            (Method::Get, "/col/delete", false),
            (Method::Get, "/dir/status/x", false),
        ] {
            assert_eq!(is_declared(&declared, method, path), expected, "{path}");
        }
    }

    #[test]
    fn a_netrc_gives_the_entry_of_the_host() {
        let text = "machine a.example login me password one\nmachine b.example password two";
        assert_eq!(from_netrc(text, "a.example"), Some(("me".to_owned(), "one".to_owned())));
        assert_eq!(from_netrc(text, "b.example"), Some((String::new(), "two".to_owned())));
        assert_eq!(from_netrc(text, "c.example"), None);
    }

    #[test]
    fn credentials_are_for_the_tiers_own_origin() {
        let tier = Tier::new("x", TierKind::Http, "https://cache.example");
        for (url, own) in [
            ("https://cache.example/x", true),
            ("http://cache.example/x", false),
            ("https://cache.example:8443/x", false),
            ("https://evil.example/x", false),
        ] {
            assert_eq!(own_origin(&tier, &Url::parse(url).unwrap()), own, "{url}");
        }
    }
}
