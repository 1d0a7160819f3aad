//! What is made of answers of any kind: refusals, haste, details, and long texts that are read aside.

use crate::fleet::words::tiers;
use crate::fleet::{
    Code, Detail, Finding, SignatureState, SizeFacts, Tier, TierFacts, TierState, printable_line,
};
use crate::nix::signature::is_key;
use crate::probe::asking::Asking;
use crate::probe::checks::up::SLOW_MS;
use crate::probe::clock::milliseconds;
use crate::probe::memory::Dated;
use crate::probe::prometheus::Metrics;
use crate::probe::transport::{HttpReply, RequestError, RequestTrouble, RestWish};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Returns the facts of a tier that could not be asked.
pub(in crate::probe) fn failed(tier: &Tier, error: &RequestError) -> TierFacts {
    TierFacts::of(error.state(), not_asked(tier, error))
}

/// Returns why a tier could not be asked, as a finding.
pub(in crate::probe) fn not_asked(tier: &Tier, error: &RequestError) -> Finding {
    let code = match error.trouble {
        RequestTrouble::NoAnswer => Code::TierUnreachable,
        RequestTrouble::Certificate => Code::CertificateExpired,
        RequestTrouble::Proxy => Code::ProxyRefused,
        RequestTrouble::Redirect => Code::RedirectRefused,
        RequestTrouble::Rest => Code::LeftAlone,
        RequestTrouble::Spent => Code::RequestsSpent,
        RequestTrouble::Setup => Code::SetupFailed,
    };
    tiers::not_asked(tier, code, &error.url, &error.cause, &error.hint)
}

/// Compares the keys that a server says it signs with to that of hosts.toml; one that names none says
/// nothing of it.
pub(in crate::probe) fn compare_keys(tier: &Tier, theirs: &[&str], facts: &mut TierFacts) {
    let Some(ours) = &tier.public_key else { return };
    if theirs.is_empty() || theirs.iter().any(|text| is_key(text, ours)) {
        return;
    }
    let finding = tiers::key_mismatch(tier, &printable_line(&theirs.join(", ")), ours);
    facts.signature = SignatureState::Invalid;
    facts.proof = Some(finding.cause.clone());
    facts.findings.push(finding);
}

/// Returns the facts of a tier that has just answered well.
pub(in crate::probe) fn up(reply: &HttpReply) -> TierFacts {
    let latency = milliseconds(reply.first_byte);
    let state = if latency > SLOW_MS { TierState::Slow } else { TierState::Up };
    TierFacts { state, latency_ms: Some(latency), ..TierFacts::default() }
}

/// Returns the facts of a tier that answered, but not as asked. `what` is what was asked for,
/// `let_in` what to do when it does not let us in.
pub(in crate::probe) fn refused(
    asking: &Asking<'_>,
    what: &str,
    reply: &HttpReply,
    let_in: &str,
) -> TierFacts {
    let status = reply.status;
    let (state, code, fix) = match status {
        _ if (asking.kind.rules().wish)(reply, asking.now) != RestWish::None => {
            (TierState::Degraded, Code::RateLimited, haste(asking, reply))
        }
        401 | 403 => (TierState::Unauthorized, Code::AccessDenied, let_in.to_owned()),
        500..=599 => (TierState::Degraded, Code::ServerFailing, "read its log".to_owned()),
        _ => {
            let fix = "see whether url is right".to_owned();
            (TierState::Degraded, Code::AnswerUnexpected, fix)
        }
    };
    let said = said(reply);
    let finding = tiers::answered(asking.tier, code, (status, what), said.as_deref(), &fix);
    TierFacts { state, findings: vec![finding], ..up(reply) }
}

/// Returns the facts of a tier whose answer makes no sense.
pub(in crate::probe) fn nonsense(tier: &Tier, what: &str, reply: &HttpReply) -> TierFacts {
    let findings = vec![tiers::nonsense(tier, what)];
    TierFacts { state: TierState::Degraded, findings, ..up(reply) }
}

/// Says why a server wants to be left alone, and what a person can do about it.
fn haste(asking: &Asking<'_>, reply: &HttpReply) -> String {
    let who = if reply.status == 503 { "it is overloaded" } else { "too many requests" };
    match asking.tier.every {
        Some(_) => format!("{who}: ask it less often (`every` in hosts.toml)"),
        None => format!("{who}: ask it less often, every = \"5m\""),
    }
}

/// Long answers that are read at once.
static READERS: Semaphore = Semaphore::const_new(2);

/// How long reading one may take.
const READING_LIMIT: Duration = Duration::from_secs(5);

/// Answers up to this length are read where they come in, in bytes.
const SHORT: usize = 16 << 10;

/// Reads an answer with a function. A long one is read beside what else happens, few of them at a
/// time and none for long, since servers choose what is in it; nothing when it takes too long.
pub(in crate::probe) async fn read_aside<T: Send + 'static>(
    body: Vec<u8>,
    read: impl FnOnce(&[u8]) -> T + Send + 'static,
) -> Option<T> {
    if body.len() <= SHORT {
        return Some(read(&body));
    }
    let work = async {
        let turn = READERS.acquire().await.ok()?;
        // The turn ends with the work, not with the waiting for it.
        let task = tokio::task::spawn_blocking(move || {
            let found = read(&body);
            drop(turn);
            found
        });
        task.await.ok()
    };
    tokio::time::timeout(READING_LIMIT, work).await.ok().flatten()
}

/// Reads an answer in JSON; says why not. Nested deeper than 128 it is not read.
pub(in crate::probe) async fn read_json<T: DeserializeOwned + Send + 'static>(
    body: Vec<u8>,
) -> Result<T, String> {
    let found =
        read_aside(body, |body| serde_json::from_slice(body).map_err(|error| error.to_string()));
    found.await.unwrap_or_else(|| Err("reading it took too long".to_owned()))
}

/// Reads an answer as Prometheus scrapes it.
pub(in crate::probe) async fn read_metrics(body: Vec<u8>) -> Option<Metrics> {
    read_aside(body, |body| Metrics::parse(&String::from_utf8_lossy(body))).await.flatten()
}

/// Returns the server's own words for what is wrong, when its answer is JSON that has some.
fn said(reply: &HttpReply) -> Option<String> {
    let short = Some(&reply.body).filter(|body| body.len() <= SHORT)?;
    let value: serde_json::Value = serde_json::from_slice(short).ok()?;
    let text = ["message", "error"].iter().find_map(|key| value.get(key)?.as_str())?;
    let text = printable_line(text);
    (!text.is_empty()).then(|| text.chars().take(200).collect())
}

/// Makes a detail.
pub(in crate::probe) fn detail(label: &str, text: &str) -> Detail {
    Detail { label: label.to_owned(), text: printable_line(text) }
}

/// Returns a value that is younger than an age.
pub(in crate::probe) fn recent<T: Clone>(
    asking: &Asking<'_>,
    value: Option<&Dated<T>>,
    age: SignedDuration,
) -> Option<T> {
    let value = value.filter(|value| asking.now.duration_since(value.at) < age)?;
    Some(value.value.clone())
}

/// Makes a size that was measured now; its limit is the configured one, else the server's.
pub(in crate::probe) fn size(
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
pub(in crate::probe) fn since(asking: &Asking<'_>, at: Timestamp) -> Duration {
    Duration::try_from(asking.now.duration_since(at)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_long_answer_is_read_beside_everything_else() {
        let here = std::thread::current().id();
        let thread = |_: &[u8]| std::thread::current().id();
        assert_eq!(read_aside(vec![0; SHORT], thread).await, Some(here));
        assert_ne!(read_aside(vec![0; SHORT + 1], thread).await, Some(here));
    }

    #[tokio::test]
    async fn json_without_a_bottom_is_refused() {
        let deep = "[".repeat(1 << 20).into_bytes();
        let found: Result<serde_json::Value, String> = read_json(deep).await;
        assert!(found.unwrap_err().contains("recursion limit"));
    }
}
