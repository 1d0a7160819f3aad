//! HTTP as probes need it: declared requests only, short limits, capped answers, few connections
//! per tier, credentials for the tier's own origin alone.

use crate::fleet::{Tier, TierKind, printable_line};
use crate::nix::s3_url::web_url;
use crate::probe::sign::Keys;
use crate::remote::{Secret, resolve};
use base64::Engine as _;
use jiff::Timestamp;
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
    /// Whether the proxy on the way is to blame.
    pub is_proxy: bool,
}

impl WebError {
    /// Makes an error of a tier's answer.
    pub fn new(url: &str, cause: &str, hint: &str) -> Self {
        Self {
            url: printable_line(url.split('?').next().unwrap_or_default()),
            cause: printable_line(cause),
            hint: hint.to_owned(),
            is_proxy: false,
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
    /// Time to the status line, the connecting included where there was no open connection.
    pub first_byte: Duration,
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

    /// Returns how long the server asks us to stay away, where it says so in seconds.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers.get("retry-after")?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    }
}

/// What is kept per tier: its client, its credentials, its limit.
struct Place {
    client: reqwest::Client,
    limit: Semaphore,
    credentials: OnceCell<Result<Option<Credentials>, WebError>>,
}

/// What a tier wants to see before it answers.
enum Credentials {
    /// A value of the authorization header.
    Header(Secret),
    /// Keys that sign each request.
    Keys(Keys),
}

/// Asks tiers over HTTP; cheap to share.
pub struct Web {
    places: Mutex<HashMap<String, Arc<Place>>>,
    counts: Mutex<HashMap<String, u64>>,
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
        answer
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
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.remove(tier).unwrap_or(0)
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
            self.count(&tier.name);
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

    /// Counts a request.
    fn count(&self, tier: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(tier.to_owned()).or_insert(0) += 1;
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
    let mut response = request.send().await?;
    let first_byte = began.elapsed();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers =
        response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
    let mut reply = Reply {
        status: response.status().as_u16(),
        headers: headers.collect(),
        body: Vec::new(),
        first_byte,
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
        TierKind::NixServe | TierKind::Harmonia => 2,
        TierKind::Http
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
    WebError { is_proxy, ..WebError::new(url, &cause, &hint) }
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
