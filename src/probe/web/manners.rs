//! Good manners: how much a server bears, and when it wants to be left alone.

use crate::fleet::TierKind;
use crate::probe::web::Reply;
use jiff::civil::Date;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a server is left alone that wants it without saying how long; doubled each time.
const REST: Duration = Duration::from_secs(60);

/// Longest time that a server is left alone.
const REST_LIMIT: Duration = Duration::from_secs(15 * 60);

/// How long a tier wants to be left alone.
#[derive(Clone, Copy, Default)]
pub(super) struct Rest {
    pub(super) until: Option<Instant>,
    /// How often in a row it said so.
    pub(super) times: u32,
    /// How it said so: 429 or 503.
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

/// Keeps how long a tier wants to be left alone; an answer to a request that was made before it
/// said so changes nothing.
pub(super) fn note_rest(rest: &Mutex<Rest>, reply: &Reply, asked_at: Instant) {
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

/// Returns how many requests a kind of server bears at once over HTTP/2.
///
/// nix-serve has five workers, one a connection: more than two of them taken by probes would starve
/// a deploy.
pub(super) fn requests(kind: TierKind) -> usize {
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
pub(in crate::probe) fn width(kind: TierKind, is_http2: bool) -> usize {
    if is_http2 { requests(kind) } else { requests(kind).min(25) }
}
