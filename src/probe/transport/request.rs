//! Requests that kinds declare and make, and the answers.

use crate::fleet::printable_line;
use crate::probe::transport::{RequestError, Rules};
use crate::probe::words::{IS_URL_RIGHT, OUR_MISTAKE};
use crate::remote::Secret;
use jiff::Timestamp;
use reqwest::Url;
use std::collections::HashMap;
use std::time::Duration;

/// Longest answer that is read when the request does not say, in bytes, unpacked.
const BODY_LIMIT: usize = crate::nix::narinfo::SIZE_LIMIT;

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
pub type DeclaredRequest = (Method, &'static str);

/// What the binary cache protocol needs.
pub(in crate::probe) const CACHE_REQUESTS: &[DeclaredRequest] =
    &[(Method::Get, "*/nix-cache-info"), (Method::Get, "*.narinfo"), (Method::Get, "*/nar/*")];

/// Which part of an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerPart {
    /// All of it.
    Whole,
    /// Its status: a body is thrown away, so that the connection can be kept.
    Status,
    /// Its first 32 bytes, after which we hang up: proof that something is served, and
    /// what it is. Over a host's curl only whether something came is known.
    Start,
}

/// Says that a good answer had nothing in it.
pub(in crate::probe) fn nothing_came(status: u16) -> String {
    format!("answered {status}, then sent nothing")
}

/// One request.
#[derive(Clone)]
pub struct HttpRequest {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, Secret)>,
    pub(super) body: Option<Vec<u8>>,
    pub(super) part: AnswerPart,
    pub(super) follow: bool,
    pub(super) told_by: Option<String>,
    pub(super) limit: usize,
}

impl HttpRequest {
    /// Gets a URL.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: Method::Get,
            url: url.into(),
            headers: Vec::new(),
            body: None,
            part: AnswerPart::Whole,
            follow: false,
            told_by: None,
            limit: BODY_LIMIT,
        }
    }

    /// Returns its address; fails when the rules do not declare the request.
    pub(super) fn declared_url(&self, rules: &Rules) -> Result<Url, RequestError> {
        let url = Url::parse(&self.url)
            .map_err(|error| RequestError::new(&self.url, &error.to_string(), IS_URL_RIGHT))?;
        if !is_declared(rules.requests, self.method, url.path()) {
            let cause = format!("{:?} {} is not a request of this kind", self.method, url.path());
            return Err(RequestError::new(&self.url, &cause, OUR_MISTAKE));
        }
        Ok(url)
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

    /// Asks for a part of the answer.
    #[must_use]
    pub fn part(mut self, part: AnswerPart) -> Self {
        self.part = part;
        self
    }

    /// Follows at most three redirects, to what the kind declares (`redirect.rs`) and without
    /// credentials.
    #[must_use]
    pub fn follow(mut self) -> Self {
        self.follow = true;
        self
    }

    /// Says which server named the address: it is asked as one that this server redirects to,
    /// without credentials and at nothing nearer than the server itself.
    #[must_use]
    pub fn told_by(mut self, url: impl Into<String>) -> Self {
        self.told_by = Some(url.into());
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
pub struct HttpReply {
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

impl HttpReply {
    /// Returns the body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns a header, printable.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(|value| printable_line(value))
    }

    /// Returns how long the server asks us to stay away (`Retry-After`, seconds or a date).
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        let text = self.headers.get("retry-after")?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        Some(until.duration_since(now).try_into().unwrap_or_default())
    }
}

/// Returns whether a kind has declared a request.
pub(in crate::probe) fn is_declared(
    declared: &[DeclaredRequest],
    method: Method,
    path: &str,
) -> bool {
    declared.iter().any(|(known, pattern)| *known == method && matches(pattern, path))
}

/// Returns whether a path fits a pattern, in which `*` stands for any text.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((before, after)) => path.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len())
                .filter(|at| rest.is_char_boundary(*at))
                .any(|at| matches(after, &rest[at..]))
        }),
    }
}
