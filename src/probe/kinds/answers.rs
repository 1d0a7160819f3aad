//! What kinds with an interface of their own make of its answers: refusals, haste, details.

use crate::fleet::{Detail, SizeFacts, Tier, TierFacts, TierState, printable_line};
use crate::probe::clock::milliseconds;
use crate::probe::kinds::http::SLOW_MS;
use crate::probe::tier::Asking;
use crate::probe::web::{Reply, WebError, Wish, wish};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// Returns the facts of a tier that could not be asked.
pub(super) fn failed(error: &WebError) -> TierFacts {
    TierFacts { state: error.state(), error: Some(error.to_string()), ..TierFacts::default() }
}

/// Returns the facts of a tier that has just answered well.
pub(super) fn up(reply: &Reply) -> TierFacts {
    let latency = milliseconds(reply.first_byte);
    let state = if latency > SLOW_MS { TierState::Slow } else { TierState::Up };
    TierFacts { state, latency_ms: Some(latency), ..TierFacts::default() }
}

/// Returns the facts of a tier that answered, but not as asked. `what` is what was asked for,
/// `let_in` what to do when it does not let us in.
pub(super) fn refused(asking: &Asking<'_>, what: &str, reply: &Reply, let_in: &str) -> TierFacts {
    let status = reply.status;
    let (state, hint) = match status {
        _ if wish(asking.tier.kind, reply, asking.now) != Wish::None => {
            (TierState::Degraded, haste(asking, reply))
        }
        401 | 403 => (TierState::Unauthorized, let_in.to_owned()),
        500..=599 => (TierState::Degraded, "see its log".to_owned()),
        _ => (TierState::Degraded, "is the url right?".to_owned()),
    };
    let said = said(reply).map(|said| format!(" ({said})")).unwrap_or_default();
    let error = format!("{}: answered {status} for {what}{said}; {hint}", asking.tier.url);
    TierFacts { state, error: Some(error), ..up(reply) }
}

/// Returns the facts of a tier whose answer makes no sense.
pub(super) fn nonsense(tier: &Tier, what: &str, reply: &Reply) -> TierFacts {
    let error = format!(
        "{}: answered something that is no {what}; is the url right, or a login page between?",
        tier.url
    );
    TierFacts { state: TierState::Degraded, error: Some(error), ..up(reply) }
}

/// Says why a server wants to be left alone, and what a person can do about it.
fn haste(asking: &Asking<'_>, reply: &Reply) -> String {
    let who = if reply.status == 503 { "it is overloaded" } else { "too many requests" };
    match asking.tier.every {
        Some(_) => format!("{who}: ask it less often (every)"),
        None => format!("{who}: ask it less often, every = \"5m\""),
    }
}

/// Returns the server's own words for what is wrong, when its answer is JSON that has some.
fn said(reply: &Reply) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(&reply.body).ok()?;
    let text = ["message", "error"].iter().find_map(|key| value.get(key)?.as_str())?;
    let text = crate::fleet::redact(&printable_line(text));
    (!text.is_empty()).then(|| text.chars().take(200).collect())
}

/// Makes a detail that nobody has to look at.
pub(super) fn detail(label: &str, text: &str) -> Detail {
    Detail { label: label.to_owned(), text: printable_line(text), alarm: false }
}

/// Makes a detail that somebody should look at.
pub(super) fn alarm(label: &str, text: &str) -> Detail {
    Detail { alarm: true, ..detail(label, text) }
}

/// Returns what is remembered under a name when it is younger than an age.
pub(super) fn recent<T: serde::de::DeserializeOwned>(
    asking: &Asking<'_>,
    name: &'static str,
    age: SignedDuration,
) -> Option<T> {
    let (at, value): (Timestamp, T) = asking.memory.get(asking.tier, name)?;
    (asking.now.duration_since(at) < age).then_some(value)
}

/// Remembers a value with the time, for [`recent`].
pub(super) fn remember(asking: &Asking<'_>, name: &'static str, value: &impl serde::Serialize) {
    asking.memory.put(asking.tier, name, &(asking.now, value));
}

/// Makes a size that was measured now; its limit is the configured one, else the server's.
pub(super) fn size(
    asking: &Asking<'_>,
    bytes: u64,
    objects: Option<u64>,
    limit: Option<u64>,
    exact: bool,
) -> SizeFacts {
    let limit = asking.tier.max_size.or(limit);
    SizeFacts { bytes, objects, limit, exact, measured_at: Some(asking.now) }
}

/// Returns how long ago something was; nothing for what is to come.
pub(super) fn since(asking: &Asking<'_>, at: Timestamp) -> Duration {
    Duration::try_from(asking.now.duration_since(at)).unwrap_or_default()
}
