//! Good manners: how much a server bears, and when it wants to be left alone.

use crate::fleet::KindName;
use crate::probe::web::Reply;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// How long a server is left alone that wants it without saying how long; doubled each time.
const REST: Duration = Duration::from_secs(60);

/// Longest time that a server is left alone.
const REST_LIMIT: Duration = Duration::from_secs(15 * 60);

/// How long a tier wants to be left alone; nothing else keeps that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rest {
    pub(super) until: Option<Timestamp>,
    /// How often in a row it said so.
    pub(super) times: u32,
    /// How it said so: 429, 503, or GitHub's 403.
    pub(super) status: u16,
}

/// Requests made of a tier.
#[derive(Clone, Copy, Default)]
pub(super) struct Count {
    /// Those that nobody has recorded yet.
    pub(super) fresh: u64,
    /// Those of this calendar month.
    pub(super) month: u64,
    /// The first day of that month.
    pub(super) since: Option<Date>,
}

impl Rest {
    /// Notes what an answer says of it: `asked_at` is when the request was made, `now` when it was
    /// answered. An answer to a request that was made before the tier said so changes nothing.
    pub(super) fn note(
        &mut self,
        kind: KindName,
        reply: &Reply,
        asked_at: Timestamp,
        now: Timestamp,
    ) {
        if self.until.is_some_and(|until| until > asked_at) {
            return;
        }
        let time = match wish(kind, reply, now) {
            Wish::None => {
                *self = Self::default();
                return;
            }
            Wish::Rest => REST.saturating_mul(2_u32.saturating_pow(self.times.min(10))),
            Wish::RestFor(time) => time,
        };
        let time = time.min(REST_LIMIT);
        *self = Self {
            until: Some(now + SignedDuration::try_from(time).unwrap_or_default()),
            times: self.times.saturating_add(1),
            status: reply.status,
        };
    }

    /// Returns until when the tier wants to be left alone, while it does.
    pub(super) fn until(&self, now: Timestamp) -> Option<Timestamp> {
        self.until.filter(|until| *until > now)
    }
}

/// Whether an answer asks us to leave the tier alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::probe) enum Wish {
    /// It does not.
    None,
    /// It does, and leaves it to us for how long.
    Rest,
    /// It says for how long.
    RestFor(Duration),
}

/// Returns whether an answer asks us to leave the tier alone.
///
/// 429 and 503 do, from every kind. 403 does from GitHub alone, when it says how long: that is its
/// word for too many requests; from a bucket 403 means a refusal or a miss, whatever stands beside.
pub(in crate::probe) fn wish(kind: KindName, reply: &Reply, now: Timestamp) -> Wish {
    let is_github = kind == KindName::GithubActions;
    let time = reply.retry_after(now).or_else(|| {
        let reset = is_github.then(|| spent_until(reply)).flatten()?;
        Some(now.duration_until(reset).try_into().unwrap_or_default())
    });
    match (reply.status, time) {
        // With this attic says that a nar is not whole; whoever stands before it sends a page.
        (503, None) if kind == KindName::Attic && is_json(reply) => Wish::None,
        (429 | 503, None) => Wish::Rest,
        (429 | 503, Some(time)) => Wish::RestFor(time),
        (403, Some(time)) if is_github => Wish::RestFor(time),
        _ => Wish::None,
    }
}

/// Returns whether an answer is JSON.
fn is_json(reply: &Reply) -> bool {
    reply.header("content-type").is_some_and(|kind| kind.starts_with("application/json"))
}

/// Returns when GitHub's hour is over, when its requests are used up.
fn spent_until(reply: &Reply) -> Option<Timestamp> {
    let number = |name| reply.header(name)?.trim().parse::<i64>().ok();
    let is_spent = number("x-ratelimit-remaining") == Some(0);
    let reset = number("x-ratelimit-reset").filter(|_| is_spent)?;
    Timestamp::from_second(reset).ok()
}

/// Returns how many requests a kind of server bears at once over HTTP/2.
///
/// nix-serve has five workers, one a connection: more than two of them taken by probes would starve
/// a deploy.
pub(super) fn requests(kind: KindName) -> usize {
    match kind {
        KindName::NixServe => 2,
        KindName::Harmonia
        | KindName::Http
        | KindName::Cachix
        | KindName::S3
        | KindName::Seaweedfs
        | KindName::Local
        | KindName::GithubActions
        | KindName::Attic
        | KindName::Ncps => 100,
    }
}

/// Returns how many requests to have open at once: connections over HTTP/1.1, streams of one
/// connection over HTTP/2.
pub(in crate::probe) fn width(kind: KindName, is_http2: bool) -> usize {
    if is_http2 { requests(kind) } else { requests(kind).min(25) }
}
