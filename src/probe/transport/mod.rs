//! How requests reach a tier: over HTTP from this machine, or with the curl of a host.
//!
//! Both transports take the same [`HttpRequest`] and give the same [`HttpReply`], and both are bound by the same
//! rules: only declared requests are made ([`Rules`]), redirects are judged here (`redirect`), a login
//! goes to the tier's own address only, and an answer has a limit of bytes and time.

mod budget;
mod certificate;
pub(super) mod curl;
mod error;
pub(super) mod http;
mod login;
mod names;
pub(super) mod redirect;
mod request;
mod rules;
mod sign;

pub use error::{RequestError, RequestTrouble};
pub use request::{AnswerPart, DeclaredRequest, HttpReply, HttpRequest, Method};
pub(super) use request::{CACHE_REQUESTS, is_declared, nothing_came};
pub(super) use rules::asks_for_rest;
pub use rules::{RestWish, Rules};

use crate::fleet::Tier;
use crate::nix::s3_url::web_url;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use reqwest::Url;
use std::time::Duration;

/// A way to a tier.
pub trait Transport: Send + Sync {
    /// Makes one request, which the rules must declare.
    fn send<'a>(
        &'a self,
        tier: &'a Tier,
        rules: &'a Rules,
        ask: HttpRequest,
    ) -> BoxFuture<'a, Result<HttpReply, RequestError>>;

    /// Makes many requests, at most so many at once and no more than the rules allow; answers come in
    /// the order of the requests. Whoever has seen enough drops the stream.
    fn send_all<'a>(
        &'a self,
        tier: &'a Tier,
        rules: &'a Rules,
        asks: Vec<HttpRequest>,
        at_once: usize,
    ) -> BoxStream<'a, Result<HttpReply, RequestError>>;

    /// Returns the host whose curl asks; none for this machine.
    fn asker(&self) -> Option<Asker<'_>> {
        None
    }

    /// Returns the shortest time to a first byte on a kept connection since the last call: what a
    /// server takes by itself, without the making of a connection before. None where connections
    /// are not kept.
    fn take_warm(&self, tier: &Tier) -> Option<Duration> {
        let _ = tier;
        None
    }
}

/// A host that asks in place of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker<'a> {
    /// Its name.
    pub host: &'a str,
    /// Whether its root asks, as its daemon does: without root its login is not read, and a refusal
    /// says nothing.
    pub root: bool,
}

/// Says until when a tier is left alone.
pub(super) fn left_alone(until: Timestamp) -> String {
    format!("left alone until {} UTC", until.strftime("%H:%M:%S"))
}

/// Returns whether a URL has scheme, host and port of where a tier's login is for.
fn is_for_login(tier: &Tier, url: &Url) -> bool {
    let login = tier.login_url();
    if login == tier.url {
        return own_origin(tier, url);
    }
    Url::parse(login).is_ok_and(|login| login.origin() == url.origin())
}

/// Returns whether a URL has scheme, host and port of the tier's own.
fn own_origin(tier: &Tier, url: &Url) -> bool {
    Url::parse(&web_url(tier)).is_ok_and(|own| own.origin() == url.origin())
}
