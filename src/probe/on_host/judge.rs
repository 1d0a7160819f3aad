//! What a host's settings, and what it sees, mean for a tier: pure.

use super::{HostView, Listed};
use crate::fleet::{
    Detail, Fleet, PublicKey, SignatureState, Tier, TierFacts, TierKind, TierOnHost, TierState,
    printable_line,
};
use crate::probe::clock::milliseconds;
use crate::probe::curl::{Fault, Seen};
use crate::probe::kinds::http::{SLOW_MS, judge};
use crate::probe::kinds::s3::refused_on_host;
use crate::probe::memory::Memory;
use crate::probe::witness::{Taken, Witness};
use std::collections::BTreeMap;

/// The label of what is said of a tier that no host asks.
const UNUSED: &str = "unused";

/// What a judgement is made by, beside a host's own view.
#[derive(Clone, Copy)]
pub(super) struct By<'a> {
    /// The fleet.
    pub(super) fleet: &'a Fleet,
    /// What the tier was last seen to serve.
    pub(super) witness: Option<&'a Witness>,
    /// Whether a host that does not ask the tier is told to: not one that is of no use now.
    pub(super) advises: bool,
}

/// Says what one host makes of a tier.
pub(super) fn judge_one(by: By<'_>, tier: &Tier, host: &str, view: &HostView) -> TierOnHost {
    let By { fleet, witness, advises } = by;
    let mut found = TierOnHost { measured_at: Some(view.measured_at), ..TierOnHost::default() };
    if let Some(error) = &view.error {
        found.error = Some(error.clone());
        return found;
    }
    let entry = view.entry(tier).filter(|_| view.substitutes);
    let serves_itself = tier.host.as_deref() == Some(host);
    found.configured = Some(entry.is_some());
    found.trusted = view.trusts(entry, witness);
    let mut wrong: Vec<String> = Vec::new();
    if let Some(listed) = entry {
        let order = view.order(fleet);
        found.rank =
            order.iter().find(|(other, ..)| other.name == tier.name).map(|(_, rank, _)| *rank);
        sight(&mut found, &mut wrong, tier, host, view, listed);
        wrong.extend(asked_first(tier, listed));
        wrong.extend(misplaced(fleet, tier, &order));
    } else if !view.substitutes {
        wrong.push("asks no cache at all: its settings say substitute = false".to_owned());
    } else if !serves_itself && advises {
        let url = &tier.url;
        wrong.push(format!("does not ask it: add \"{url}\" to its nix.settings.substituters"));
    }
    if !serves_itself {
        wrong.extend(distrust(tier, view, entry, witness));
        if found.trusted == Some(false) && matches!(found.state, TierState::Up | TierState::Slow) {
            found.state = TierState::Untrusted;
        }
    }
    found.error = (!wrong.is_empty()).then(|| wrong.join("; "));
    found
}

/// Fills in what the host itself sees of a tier that it asks.
fn sight(
    found: &mut TierOnHost,
    wrong: &mut Vec<String>,
    tier: &Tier,
    host: &str,
    view: &HostView,
    listed: &Listed,
) {
    wrong.extend(view.no_curl.clone());
    let Some(seen) = &listed.seen else { return };
    found.via = Some(host.to_owned());
    let facts = state_of(tier, host, seen, view.root);
    found.state = facts.state;
    wrong.extend(facts.error);
}

/// Says what a host's look at a tier's `nix-cache-info` means.
pub(in crate::probe) fn state_of(tier: &Tier, host: &str, seen: &Seen, root: bool) -> TierFacts {
    let Some(reply) = &seen.reply else {
        let (state, error) = match &seen.fault {
            Some(Fault::NotAsked(why)) => {
                (TierState::Unknown, format!("{}: not known from {host}: {why}", tier.url))
            }
            Some(Fault::NoAnswer(why)) => {
                (TierState::Down, format!("{host} does not reach {}: {why}", tier.url))
            }
            None => (TierState::Down, format!("{host} does not reach {}: no answer", tier.url)),
        };
        return TierFacts { state, error: Some(error), ..TierFacts::default() };
    };
    let mut facts = judge(tier, reply);
    facts.connect_ms = seen.connect.map(milliseconds);
    if facts.state == TierState::Unauthorized && !root {
        facts.state = TierState::Unknown;
        facts.error = Some(format!(
            "{}: answered {} to the login user of {host}, who cannot read root's netrc; let it \
             use sudo to know what the daemon gets",
            tier.url, reply.status
        ));
    } else if facts.state == TierState::Unauthorized && tier.kind == TierKind::S3 {
        facts.error = Some(refused_on_host(tier, host, reply));
    }
    facts.error = facts.error.map(|error| format!("asked from {host}: {error}"));
    if facts.state == TierState::Up && facts.latency_ms.is_some_and(|ms| ms > SLOW_MS) {
        facts.state = TierState::Slow;
    }
    facts
}

/// Says that a tier is asked before every other because it does not name its place.
fn asked_first(tier: &Tier, listed: &Listed) -> Option<String> {
    let served = listed.info()?.priority;
    let is_first = listed.priority.is_none() && served.unwrap_or(0) == 0;
    let what = if served.is_none() { "no Priority" } else { "Priority 0" };
    let joint = if tier.url.contains('?') { '&' } else { '?' };
    is_first.then(|| {
        format!(
            "asks it before every other cache, since its nix-cache-info has {what}: add \
             `Priority: 45` there, or ask \"{}{joint}priority=45\"",
            tier.url
        )
    })
}

/// Says that a host asks a tier only after some that hosts.toml means it to ask later, when it does.
fn misplaced(fleet: &Fleet, tier: &Tier, order: &[(&Tier, u32, u32)]) -> Option<String> {
    let meant = |name: &str| fleet.tiers.iter().position(|tier| tier.name == name);
    let at = order.iter().position(|(other, ..)| other.name == tier.name)?;
    let mine = meant(&tier.name);
    let (before, _) = order.split_at(at);
    let early: Vec<String> = before
        .iter()
        .filter(|(other, ..)| meant(&other.name) > mine)
        .map(|(other, _, priority)| format!("{} (priority {priority})", other.name))
        .collect();
    (!early.is_empty()).then(|| {
        format!(
            "asks {} before {} (priority {}), which hosts.toml has first: add ?priority= to its \
             substituters, lowest first",
            early.join(", "),
            tier.name,
            order[at].2
        )
    })
}

/// Says what a host does not take of a tier, and whose key it lacks, if it does.
fn distrust(
    tier: &Tier,
    view: &HostView,
    entry: Option<&Listed>,
    witness: Option<&Witness>,
) -> Option<String> {
    if view.takes_all(entry) {
        return None;
    }
    let taken = witness.map(|witness| (witness, witness.taken(&view.keys)));
    if view.trusts_key(tier, entry) == Some(false) {
        let key = tier.public_key.as_ref()?;
        let lacks = lacking(key, view);
        return Some(match taken {
            Some((witness, Taken::Under(other))) if other.name == key.name => format!(
                "trusts another key under the name {}, and {} is signed with that one: mend \
                 public_key in hosts.toml",
                key.name, witness.name
            ),
            Some((witness, Taken::Under(other))) => format!(
                "{lacks} (it takes {} by the signature of {}, but nothing that only the tier's \
                 key signed)",
                witness.name, other.name
            ),
            Some((_, Taken::Unsigned | Taken::Never)) | None => lacks,
        });
    }
    let (witness, Taken::Never) = taken? else { return None };
    let known = |name: &str| view.keys.iter().any(|key| key.name == name);
    let signers = witness.signers();
    Some(printable_line(&match signers.iter().find(|name| known(name)) {
        Some(name) => format!(
            "does not take {}: its signature of {name} is not by the key of that name that it \
             trusts; another key signs there now, or the narinfo was changed",
            witness.name
        ),
        None if signers.is_empty() => format!("does not take {}: nobody signed it", witness.name),
        None => {
            format!("trusts none of the keys that signed {} ({})", witness.name, signers.join(", "))
        }
    }))
}

/// Says which key a host lacks.
fn lacking(key: &PublicKey, view: &HostView) -> String {
    let same_name = view.keys.iter().any(|have| have.name == key.name);
    if same_name {
        format!("trusts another key under the name {}: it must be \"{}\"", key.name, key.text)
    } else {
        format!(
            "does not trust the key {}: add \"{}\" to its nix.settings.trusted-public-keys",
            key.name, key.text
        )
    }
}

/// Says what every host makes of a tier that is in this state, and whether any of them asks it.
fn judge_by_state(
    fleet: &Fleet,
    tier: &Tier,
    memory: &Memory,
    state: TierState,
) -> (BTreeMap<String, TierOnHost>, bool) {
    let (views, witness) = (memory.views(), Witness::recall(memory, tier));
    let mut others = views
        .iter()
        .filter(|(host, view)| view.is_known() && tier.host.as_ref() != Some(*host))
        .peekable();
    let nobody = others.peek().is_some() && others.all(|(_, view)| view.entry(tier).is_none());
    let advises = state.answers_hosts() && !nobody;
    let by = By { fleet, witness: witness.as_ref(), advises };
    let judged = views.iter().map(|(host, view)| (host.clone(), judge_one(by, tier, host, view)));
    (judged.collect(), nobody)
}

/// Says what every host makes of a tier, by what is remembered of both.
pub(in crate::probe) fn judge_all(
    fleet: &Fleet,
    tier: &Tier,
    memory: &Memory,
) -> BTreeMap<String, TierOnHost> {
    judge_by_state(fleet, tier, memory, TierState::Up).0
}

/// Puts into a tier's facts what hosts make of it: a tier that none of them takes anything from is
/// of no use, however well it is.
pub(in crate::probe) fn settle(facts: &mut TierFacts, tier: &Tier, fleet: &Fleet, memory: &Memory) {
    if !tier.kind.is_substituter() {
        return;
    }
    let (hosts, nobody_asks) = judge_by_state(fleet, tier, memory, facts.state);
    let before = std::mem::replace(&mut facts.hosts, hosts);
    // Another nixdash may have looked at hosts after us, or at others, and have seen what the tier
    // serves.
    for (host, told) in before {
        match facts.hosts.get_mut(&host) {
            Some(found) if told.configured.is_some() && told.measured_at > found.measured_at => {
                *found = told;
            }
            Some(found) => found.trusted = found.trusted.or(told.trusted),
            None if fleet.host(&host).is_some() => drop(facts.hosts.insert(host, told)),
            None => {}
        }
    }
    facts.details.retain(|detail| detail.label != UNUSED);
    if nobody_asks && facts.state.answers_hosts() {
        let text = format!(
            "no host asks it; add \"{}\" to nix.settings.substituters of those that should",
            tier.url
        );
        facts.details.push(Detail { label: UNUSED.to_owned(), text, alarm: true });
    }
    if matches!(facts.state, TierState::Up | TierState::Slow)
        && let Some(why) = refused(facts, tier, memory)
    {
        facts.state = TierState::Untrusted;
        facts.error = Some(printable_line(&format!("{}: {why}", tier.url)));
    }
}

/// Says why a tier that is well is of no use to hosts, when that is so.
fn refused(facts: &TierFacts, tier: &Tier, memory: &Memory) -> Option<String> {
    let others = facts.hosts.iter().filter(|(host, _)| tier.host.as_ref() != Some(*host));
    let taken: Vec<bool> = others.filter_map(|(_, on_host)| on_host.trusted).collect();
    if facts.signature == SignatureState::Invalid {
        let proof = facts.proof.as_deref().unwrap_or("its signature does not verify");
        // Hosts that were told to trust the key of hosts.toml would trust the wrong one.
        return Some(if taken.contains(&true) {
            format!(
                "{proof}; hosts take it by a key that hosts.toml does not have: mend public_key \
                 there, unless the tier should sign with that one"
            )
        } else if taken.is_empty() {
            format!(
                "{proof}; mend public_key in hosts.toml, unless the tier should sign with that one"
            )
        } else {
            format!("hosts refuse what it serves: {proof}")
        });
    }
    let views = memory.views();
    let known = views.values().filter(|view| view.is_known());
    let keys: Vec<bool> = known
        .filter_map(|view| view.trusts_key(tier, view.entry(tier).filter(|_| view.substitutes)))
        .collect();
    if let Some(key) = &tier.public_key
        && !keys.is_empty()
        && !keys.contains(&true)
    {
        return Some(format!(
            "no host trusts its key {} (asked: {}), so none takes anything from it: add \"{}\" to \
             nix.settings.trusted-public-keys",
            key.name,
            keys.len(),
            key.text
        ));
    }
    (!taken.is_empty() && !taken.contains(&true)).then(|| {
        let what = facts.proof.as_deref().unwrap_or("what it serves");
        format!("no host takes what it serves (asked: {}): {what}", taken.len())
    })
}
