//! What all caches that speak the binary cache protocol are asked, written once: whether one is up,
//! whether its signature verifies, whether it serves its nars, and which paths it holds.
//!
//! A check works over whatever [`Transport`](crate::probe::transport::Transport) it is given.

pub(super) mod answer;
pub(super) mod content;
pub(super) mod expiry;
pub(super) mod held;
pub(super) mod one_request;
pub(super) mod proof;
pub(super) mod served;
pub(super) mod up;
pub(super) mod verify;

use crate::fleet::{Code, TierFacts, TierState};
use crate::probe::asking::Asking;

/// Proves the signature of a cache and that it serves its nars, or takes what was proven a while ago
/// where the server is somebody else's.
pub(super) async fn prove(asking: &Asking<'_>, facts: &mut TierFacts) {
    if proof::recall(asking, facts) {
        return;
    }
    let verdict = proof::search(asking).await;
    take_verdict(asking, verdict, facts).await;
    proof::remember(asking, facts);
}

/// Puts a verdict on the signature into the facts, and proves that the nar is served which it was
/// made with.
pub(super) async fn take_verdict(
    asking: &Asking<'_>,
    verdict: proof::SignatureVerdict,
    facts: &mut TierFacts,
) {
    facts.signature = verdict.signature;
    facts.proof = Some(verdict.proof);
    if let Some(narinfo) = &verdict.narinfo {
        content::prove(asking, narinfo, facts).await;
    }
    if verdict.unreadable.iter().any(|finding| finding.code == Code::NarinfoMalformed) {
        facts.state = TierState::Malformed;
    }
    facts.findings.extend(verdict.unreadable);
    if let Some(denied) = verdict.denied {
        facts.state = TierState::Unauthorized;
        facts.findings.push(denied);
    }
}
