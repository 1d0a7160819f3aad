//! One exchange with a tier: a request with its credentials, and the redirects that may be followed.

use crate::fleet::{Tier, Validity};
use crate::nix::nar::START_BYTES;
use crate::probe::transport::certificate::{not_good_now, validity};
use crate::probe::transport::error::innermost;
use crate::probe::transport::http::connect::timed;
use crate::probe::transport::http::{
    CONNECT_LIMIT, HttpClient, REQUEST_LIMIT, TierClient, follower, is_proxied,
};
use crate::probe::transport::login::{Credentials, credentials};
use crate::probe::transport::names::Refused;
use crate::probe::transport::redirect::{REDIRECTS, Reach, leads_on, shown};
use crate::probe::transport::{
    AnswerPart, HttpReply, HttpRequest, Method, RequestError, RequestTrouble, Rules, is_for_login,
};
use crate::probe::words::IS_URL_RIGHT;
use crate::remote::Secret;
use jiff::Timestamp;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION, RANGE};
use reqwest::tls::TlsInfo;
use std::net::IpAddr;
use std::sync::PoisonError;
use std::time::Instant;

/// Most bytes of a redirect's own body that are read, so that its connection can be kept.
const REDIRECT_BODY: usize = 16 << 10;

impl HttpClient {
    /// Makes a request and follows its redirects, where it may.
    pub(super) async fn exchange(
        &self,
        tier: &Tier,
        place: &TierClient,
        rules: &Rules,
        ask: &HttpRequest,
        mut url: Url,
    ) -> Result<Result<HttpReply, RequestError>, reqwest::Error> {
        let first = match ask.told_by.as_ref().and_then(|by| Url::parse(by).ok()) {
            Some(by) => {
                let from = self.names.reach_of(&by).await;
                self.named(tier, place, ask, from, (&by, &url)).await?
            }
            None => self.first(tier, place, ask, &url).await?,
        };
        let (mut reply, mut peer) = match first {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error)),
        };
        for _ in 0..REDIRECTS {
            let Some(target) = redirect(ask, &reply, &url) else { return Ok(Ok(reply)) };
            if let Err(why) = leads_on(rules.requests, ask.method, &url, &target) {
                let error = RequestError::of_redirect(url.as_str(), &shown(&target), &why);
                return Ok(Err(error));
            }
            let from = self.distance(tier, &url, peer).await;
            (reply, peer) = match self.named(tier, place, ask, from, (&url, &target)).await? {
                Ok(answer) => answer,
                Err(error) => return Ok(Err(error)),
            };
            url = target;
        }
        if redirect(ask, &reply, &url).is_none() {
            return Ok(Ok(reply));
        }
        Ok(Err(RequestError::new(url.as_str(), "more than three redirects", IS_URL_RIGHT)))
    }

    /// Makes a request that a server at that distance led to, from its address to another; without
    /// credentials.
    async fn named(
        &self,
        tier: &Tier,
        place: &TierClient,
        ask: &HttpRequest,
        from: Reach,
        (by, target): (&Url, &Url),
    ) -> Result<Result<(HttpReply, Option<IpAddr>), RequestError>, reqwest::Error> {
        let no = |why: &str| Ok(Err(RequestError::of_redirect(by.as_str(), &shown(target), why)));
        if let Some(why) = self.names.objection(from, target).await {
            return no(&why);
        }
        if let Err(error) = self.budget.may_follow(tier) {
            return Ok(Err(error));
        }
        let client = match place.follower(tier, self, from) {
            Ok(client) => client,
            Err(error) => return Ok(Err(error)),
        };
        self.budget.note_requests(tier, 1);
        match once(&client, ask, target.clone(), Identity::Nobody).await {
            Ok((reply, peer, _)) => Ok(Ok((reply, peer))),
            Err(error) => match refused(&error) {
                Some(why) => no(&why),
                None => Err(error),
            },
        }
    }

    /// Makes the request itself, with the tier's credentials where it goes to the tier.
    async fn first(
        &self,
        tier: &Tier,
        place: &TierClient,
        ask: &HttpRequest,
        url: &Url,
    ) -> Result<Result<(HttpReply, Option<IpAddr>), RequestError>, reqwest::Error> {
        let (mut identity, mut asked) = (Identity::Asker(None), url.clone());
        if is_for_login(tier, url) {
            match place.credentials.get_or_init(|| credentials(tier)).await {
                Ok(Some(Credentials::Header(value))) => identity = Identity::Asker(Some(value)),
                Ok(Some(Credentials::Keys(keys))) => {
                    asked = keys.sign(ask.method, url, Timestamp::now());
                }
                Ok(None) => {}
                Err(error) => return Ok(Err(error.clone())),
            }
        }
        self.budget.note_requests(tier, 1);
        let (reply, peer, certificate) = once(&place.client, ask, asked, identity).await?;
        if let Some(certificate) = certificate {
            place.note_certificate(url, certificate);
        }
        if reply.connect.is_none() {
            let mut warm = place.warm.lock().unwrap_or_else(PoisonError::into_inner);
            *warm = Some(warm.map_or(reply.first_byte, |warm| warm.min(reply.first_byte)));
        }
        Ok(Ok((reply, peer)))
    }

    /// Returns how far away the server is that just answered: by the address that was connected to,
    /// unless that was a proxy's.
    async fn distance(&self, tier: &Tier, url: &Url, peer: Option<IpAddr>) -> Reach {
        match peer.filter(|_| !is_proxied(tier)) {
            Some(address) => self.names.reach(address),
            None => self.names.reach_of(url).await,
        }
    }
}

impl TierClient {
    /// Notes the validity of the certificate that a server showed.
    fn note_certificate(&self, url: &Url, certificate: Validity) {
        let server = url.origin().ascii_serialization();
        let mut known = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(server, certificate);
    }

    /// Returns the client for what a server at that distance redirects to.
    fn follower(
        &self,
        tier: &Tier,
        web: &HttpClient,
        from: Reach,
    ) -> Result<reqwest::Client, RequestError> {
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = followers.iter().find(|(known, _)| *known == from) {
            return Ok(client.clone());
        }
        let client = follower(tier, &web.names, from)?;
        followers.push((from, client.clone()));
        Ok(client)
    }
}

/// Who asks.
enum Identity<'a> {
    /// Somebody with headers of his own, and with the tier's authorization where it needs one.
    Asker(Option<&'a Secret>),
    /// Somebody whom a redirect led here: he says nothing of himself.
    Nobody,
}

/// Returns where an answer sends us, when it does and the request follows.
fn redirect(ask: &HttpRequest, reply: &HttpReply, url: &Url) -> Option<Url> {
    let is_redirect = matches!(reply.status, 301 | 302 | 303 | 307 | 308);
    if !ask.follow || ask.method == Method::Post || !is_redirect {
        return None;
    }
    reply.headers.get(LOCATION.as_str()).and_then(|to| url.join(to).ok())
}

/// Makes one request; returns the answer, the address that it came from, and the validity of the
/// server's certificate where a connection was made with one.
async fn once(
    client: &reqwest::Client,
    ask: &HttpRequest,
    url: Url,
    identity: Identity<'_>,
) -> Result<(HttpReply, Option<IpAddr>, Option<Validity>), reqwest::Error> {
    let began = Instant::now();
    let mut request = match ask.method {
        Method::Get => client.get(url),
        Method::Head => client.head(url),
        Method::Post => client.post(url),
    };
    request = request.headers(headers(ask, &identity));
    if let Some(body) = &ask.body {
        request = request.body(body.clone());
    }
    let (response, connect) = timed(request.send()).await;
    let first_byte = began.elapsed().saturating_sub(connect.unwrap_or_default());
    let mut response = response?;
    let peer = response.remote_addr().map(|address| address.ip());
    let shown = response.extensions().get::<TlsInfo>().filter(|_| connect.is_some());
    let certificate = shown.and_then(TlsInfo::peer_certificate).and_then(validity);
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers =
        response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
    let mut reply = HttpReply {
        status: response.status().as_u16(),
        headers: headers.collect(),
        body: Vec::new(),
        first_byte,
        connect,
        is_http2: response.version() == reqwest::Version::HTTP_2,
    };
    let limit = match ask {
        _ if ask.follow && response.status().is_redirection() => ask.limit.min(REDIRECT_BODY),
        ask if ask.part == AnswerPart::Start => START_BYTES,
        ask => ask.limit,
    };
    while reply.body.len() < limit
        && let Some(chunk) = response.chunk().await?
    {
        reply.body.extend_from_slice(&chunk[..chunk.len().min(limit - reply.body.len())]);
    }
    Ok((reply, peer, certificate))
}

/// Returns the headers of a request.
fn headers(ask: &HttpRequest, identity: &Identity<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Identity::Asker(authorization) = identity {
        let own = ask.headers.iter().map(|(name, value)| (HeaderName::from_static(name), value));
        for (name, value) in own.chain(authorization.map(|value| (AUTHORIZATION, value))) {
            // A secret with a character that no header can hold is refused when it is read.
            if let Ok(mut value) = HeaderValue::from_str(value.expose()) {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
    }
    if ask.part == AnswerPart::Start {
        headers.insert(RANGE, HeaderValue::from_static("bytes=0-31"));
    }
    headers
}

/// Says what went wrong and what to do.
pub(super) fn explain(tier: &Tier, url: &str, error: &reqwest::Error) -> RequestError {
    let cause = innermost(error);
    let machine = tier.host.as_deref().unwrap_or("the server");
    let place = tier.host.as_ref().map_or(String::new(), |host| format!(" on {host}"));
    let lower = cause.to_lowercase();
    let is_proxy = tier.access.proxy.is_some() && (error.is_connect() || lower.contains("proxy"));
    if let Some(why) = not_good_now(error) {
        let cause = format!("its TLS certificate is refused: {why}");
        let hint = "renew the certificate, or set the clock of this machine if its time is wrong";
        return RequestError {
            trouble: RequestTrouble::Certificate,
            ..RequestError::new(url, &cause, hint)
        };
    }
    let (cause, hint) = if is_proxy {
        (cause, "the proxy on the way does not let nixdash through; check `proxy`".to_owned())
    } else if error.is_timeout() {
        let limit = if error.is_connect() { CONNECT_LIMIT } else { REQUEST_LIMIT };
        let cause = format!("no answer within {} s", limit.as_secs());
        (cause, format!("is {machine} overloaded or asleep, or does a firewall block it?"))
    } else if cause.contains("certificate") || cause.contains("UnknownIssuer") {
        (
            cause,
            "its certificate is not trusted here; a private authority goes into ca_file".to_owned(),
        )
    } else if lower.contains("dns") || lower.contains("lookup") || lower.contains("resolve") {
        (cause, "its name does not resolve here; is the name right, is there a network?".to_owned())
    } else if lower.contains("refused") {
        (cause, format!("nothing listens there; is the cache running{place}?"))
    } else if error.is_connect() {
        (cause, format!("is {machine} on and in this network?"))
    } else {
        (cause, "it does not speak HTTP as a cache does".to_owned())
    };
    let trouble = if is_proxy { RequestTrouble::Proxy } else { RequestTrouble::NoAnswer };
    RequestError { trouble, ..RequestError::new(url, &cause, &hint) }
}

/// Returns why an address was refused that a redirect led to, when that is what went wrong.
fn refused(error: &reqwest::Error) -> Option<String> {
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        if let Some(Refused(why)) = error.downcast_ref::<Refused>() {
            return Some(why.clone());
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests;
