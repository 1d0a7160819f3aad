//! What a kind of server may be asked, and how gently.

use crate::probe::transport::{DeclaredRequest, HttpReply};
use jiff::Timestamp;
use std::time::Duration;

/// Connections of HTTP/1.1 that are open to one server at most.
const CONNECTIONS: usize = 25;

/// What a kind of server may be asked, and how gently.
pub struct Rules {
    /// Every request that may be made; a transport refuses all others.
    pub requests: &'static [DeclaredRequest],
    /// How many requests such a server bears at once over HTTP/2.
    pub at_once: usize,
    /// Whether an answer asks us to leave the tier alone.
    pub wish: fn(&HttpReply, Timestamp) -> RestWish,
    /// Whether only the tier's own address can wish that: a master of a cluster that is overloaded
    /// says nothing of the gateway that hosts read from.
    pub wishes_at_own_address_only: bool,
}

impl Rules {
    /// Makes the rules of a kind that may be asked this, and bears what most kinds bear; a kind says
    /// what is different.
    pub const fn new(requests: &'static [DeclaredRequest]) -> Self {
        Self { requests, at_once: 100, wish: asks_for_rest, wishes_at_own_address_only: false }
    }

    /// Returns how many requests to have open at once: connections over HTTP/1.1, streams of one
    /// connection over HTTP/2.
    pub(super) fn width(&self, is_http2: bool) -> usize {
        if is_http2 { self.at_once } else { self.at_once.min(CONNECTIONS) }
    }
}

/// Whether an answer asks us to leave the tier alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestWish {
    /// It does not.
    None,
    /// It does, and leaves it to us for how long.
    Rest,
    /// It says for how long.
    RestFor(Duration),
}

/// Returns whether an answer asks us to leave the tier alone: 429 and 503 do. 403 means a refusal or
/// a miss, whatever stands beside it.
pub(in crate::probe) fn asks_for_rest(reply: &HttpReply, now: Timestamp) -> RestWish {
    match (reply.status, reply.retry_after(now)) {
        (429 | 503, None) => RestWish::Rest,
        (429 | 503, Some(time)) => RestWish::RestFor(time),
        _ => RestWish::None,
    }
}
