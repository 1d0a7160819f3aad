//! What a host's settings, and what it sees, mean for a tier: pure.

use super::{HostView, Listed};
use crate::fleet::words::{nix_settings, on_host, tiers};
use crate::fleet::{
    Code, Finding, Fleet, HostFacts, KindName, NixFacts, PublicKey, Reaction, Severity,
    SignatureState, Tier, TierFacts, TierOnHost, TierState, UnlistedCache, WhenDown,
    printable_line,
};
use crate::nix::s3_url::{PREFIX_SINCE, bucket_of};
use crate::nix::substituter::StoreKind;
use crate::nix::substitution::{CacheFailure, reaction, reaction_without_record, when_down};
use crate::nix::version::Implementation;
use crate::probe::checks::up::{mark_slow, seen_from};
use crate::probe::kinds::kind_of;
use crate::probe::memory::Memory;
use crate::probe::signed::{SignedNarinfo, Taken};
use crate::probe::transport::Asker;
use std::collections::BTreeMap;

/// What a judgement is made by, beside a host's own view.
#[derive(Clone, Copy)]
pub(super) struct VerdictBasis<'a> {
    /// The fleet.
    pub(super) fleet: &'a Fleet,
    /// What the tier was last seen to serve.
    pub(super) witness: Option<&'a SignedNarinfo>,
    /// Whether a host that does not ask the tier is told to: not one that is of no use now.
    pub(super) advises: bool,
}

/// Says what one host makes of a tier.
pub(super) fn host_verdict(
    by: VerdictBasis<'_>,
    tier: &Tier,
    host: &str,
    view: &HostView,
) -> TierOnHost {
    let VerdictBasis { fleet, witness, advises } = by;
    let mut found = TierOnHost { measured_at: Some(view.measured_at), ..TierOnHost::default() };
    if let Some(why) = &view.error {
        let finding = on_host::settings_unreadable(tier, host, why);
        found.findings.push(finding.at(view.measured_at));
        return found;
    }
    let entry = view.entry(tier).filter(|_| view.substitutes);
    let serves_itself = tier.host.as_deref() == Some(host);
    found.configured = Some(entry.is_some());
    found.trusted = view.trusts(entry, witness);
    let mut wrong: Vec<Finding> = Vec::new();
    if let Some(listed) = entry {
        let order = view.order(fleet);
        found.rank =
            order.iter().find(|(other, ..)| other.name == tier.name).map(|(_, rank, _)| *rank);
        found.view = view.view;
        found.record = view.record_in_use(listed);
        found.when_down = view.when_down(listed);
        sight(&mut found, &mut wrong, tier, host, view, listed);
        wrong.extend(cost_of_failure(&found, tier, host, view));
        wrong.extend(left_out(tier, host, listed));
        let first = fleet.tiers.iter().find(|other| view.entry(other).is_some());
        let is_meant_first = first.is_some_and(|first| first.name == tier.name);
        wrong.extend(asked_first(tier, host, view, listed).filter(|_| !is_meant_first));
        wrong.extend(prefix_not_known(tier, host, view));
        wrong.extend(old_record(tier, host, view, listed));
        wrong.extend(misplaced(fleet, tier, host, &order));
    } else if !view.substitutes {
        wrong.push(on_host::substitution_off(tier, host));
    } else if !serves_itself && advises {
        wrong.push(on_host::not_configured(tier, host));
    }
    if !serves_itself {
        wrong.extend(distrust(tier, host, view, entry, witness));
        if found.trusted == Some(false) && matches!(found.state, TierState::Up | TierState::Slow) {
            found.state = TierState::Untrusted;
        }
    }
    found.findings = wrong.into_iter().map(|finding| finding.at(view.measured_at)).collect();
    found
}

/// Fills in what the host itself sees of a tier that it asks.
fn sight(
    found: &mut TierOnHost,
    wrong: &mut Vec<Finding>,
    tier: &Tier,
    host: &str,
    view: &HostView,
    listed: &Listed,
) {
    if view.no_curl.is_some() {
        wrong.push(on_host::no_curl(tier, host));
    }
    let Some(seen) = &listed.seen else { return };
    found.via = Some(host.to_owned());
    let asker = Asker { host, root: view.root };
    let mut facts = seen_from(kind_of(tier), tier, asker, seen);
    mark_slow(&mut facts);
    found.state = facts.state;
    let status = seen.as_ref().ok().map(|reply| reply.status);
    let refused = status.filter(|_| facts.state == TierState::Unauthorized);
    match refused.and_then(|status| refusal(tier, host, view, listed, status)) {
        Some(finding) => wrong.push(finding),
        None => wrong.extend(facts.findings),
    }
}

/// Says what the host's Nix does with a cache that refuses it, where that is known. A bucket has
/// words of its own.
fn refusal(
    tier: &Tier,
    host: &str,
    view: &HostView,
    listed: &Listed,
    status: u16,
) -> Option<Finding> {
    let release = view.release.filter(|_| tier.kind.name() != KindName::S3)?;
    let failure = match status {
        403 => CacheFailure::Forbidden,
        _ => CacheFailure::Unauthorized,
    };
    let reaction = match view.has_record(listed) {
        Some(false) => reaction_without_record(release)?,
        Some(true) | None => reaction(release, view.settings.flag("fallback")?, failure)?,
    };
    Some(on_host::login_refused(tier, host, status, &release.to_string(), reaction))
}

/// Says what it costs that a cache is down, or would cost.
fn cost_of_failure(
    found: &TierOnHost,
    tier: &Tier,
    host: &str,
    view: &HostView,
) -> Option<Finding> {
    let (when, release) = (found.when_down?, view.release?);
    let is_down = found.state == TierState::Down;
    let finding = on_host::cost_of_failure(tier, host, &release.to_string(), &when)?;
    Some(match (is_down, when.reaction) {
        (true, Reaction::Stops) => finding.rated(Severity::Error),
        (true, Reaction::NeedsAnother) => finding.rated(Severity::Warning),
        (true, Reaction::Skips | Reaction::SkipsSilently) | (false, _) => finding,
    })
}

/// Says that Nix leaves a cache out because it cannot read its address, when it does.
fn left_out(tier: &Tier, host: &str, listed: &Listed) -> Option<Finding> {
    let why = listed.substituter.refused.as_ref()?;
    Some(on_host::left_out(tier, host, &listed.substituter.text, why))
}

/// Says that a host goes by an older priority of a cache than the cache serves, when it does.
fn old_record(tier: &Tier, host: &str, view: &HostView, listed: &Listed) -> Option<Finding> {
    let record = view.record_in_use(listed)?;
    let served = listed.served()?;
    let is_old = listed.substituter.priority.is_none() && record.priority != served;
    is_old.then(|| on_host::record_old(tier, host, &record, served))
}

/// Says that a host's Nix takes a prefix in a bucket for a part of the bucket's name. Of other
/// implementations than Nix, and Determinate Nix which follows it, that is not known.
fn prefix_not_known(tier: &Tier, host: &str, view: &HostView) -> Option<Finding> {
    let bucket = bucket_of(tier)?;
    let prefix = bucket.prefix?;
    let release = view.release?;
    let follows_nix = match release.implementation {
        Implementation::Nix | Implementation::Determinate { .. } => true,
        Implementation::Lix | Implementation::Other => false,
    };
    let whole = format!("{}/{prefix}", bucket.bucket);
    (follows_nix && release.version < PREFIX_SINCE)
        .then(|| on_host::prefix_not_known(tier, host, &release.to_string(), &whole))
}

/// Says that a tier is asked before every other because it does not name its place.
fn asked_first(tier: &Tier, host: &str, view: &HostView, listed: &Listed) -> Option<Finding> {
    let served = listed.info()?.priority;
    let goes_by = view.priority(listed)?;
    let is_first = listed.substituter.priority.is_none() && served.unwrap_or(0) == 0;
    (is_first && goes_by == 0).then(|| on_host::priority_missing(tier, host, served))
}

/// Says that a host asks a tier only after some that hosts.toml means it to ask later, when it does.
fn misplaced(
    fleet: &Fleet,
    tier: &Tier,
    host: &str,
    order: &[(&Tier, u32, i32)],
) -> Option<Finding> {
    let meant = |name: &str| fleet.tiers.iter().position(|tier| tier.name == name);
    let at = order.iter().position(|(other, ..)| other.name == tier.name)?;
    let mine = meant(&tier.name);
    let (before, _) = order.split_at(at);
    let early: Vec<(&str, i32)> = before
        .iter()
        .filter(|(other, ..)| meant(&other.name) > mine)
        .map(|(other, _, priority)| (other.name.as_str(), *priority))
        .collect();
    (!early.is_empty()).then(|| on_host::order_wrong(tier, host, &early, order[at].2))
}

/// Says what a host does not take of a tier, and whose key it lacks, if it does.
fn distrust(
    tier: &Tier,
    host: &str,
    view: &HostView,
    entry: Option<&Listed>,
    witness: Option<&SignedNarinfo>,
) -> Option<Finding> {
    if view.takes_all(entry) {
        return None;
    }
    let Some(keys) = view.keys.usable() else {
        let malformed = view.keys.malformed.first()?;
        let text = printable_line(&malformed.text);
        return Some(on_host::nothing_checked(tier, host, &text, &malformed.why.to_string()));
    };
    let taken = witness.map(|witness| (witness, witness.taken(keys)));
    if view.trusts_key(tier, entry) == Some(false) {
        let key = tier.public_key.as_ref()?;
        return Some(match taken {
            Some((witness, Taken::Under(other))) if other.name == key.name => {
                on_host::our_key_is_old(tier, host, key, &witness.name)
            }
            Some((witness, Taken::Under(other))) => {
                lacking(tier, host, key, view, Some((&witness.name, &other.name)))
            }
            Some((_, Taken::Unsigned | Taken::Never)) | None => {
                lacking(tier, host, key, view, None)
            }
        });
    }
    let (witness, Taken::Never) = taken? else { return None };
    let known = |name: &str| view.keys.named(name).is_some();
    let signers = witness.signers();
    Some(match signers.iter().find(|name| known(name)) {
        Some(name) => on_host::signature_invalid(tier, host, &witness.name, name),
        None => on_host::signer_not_trusted(tier, host, &witness.name, &signers),
    })
}

/// Says which key a host lacks, or has in another form; `takes` is a path that it takes all the
/// same, and who signed that.
fn lacking(
    tier: &Tier,
    host: &str,
    key: &PublicKey,
    view: &HostView,
    takes: Option<(&str, &str)>,
) -> Finding {
    if view.keys.shadows(key) {
        return on_host::key_shadowed(tier, host, key);
    }
    match view.keys.named(&key.name).filter(|_| takes.is_none()) {
        Some(other) if other.bytes == [0; 32] => on_host::key_placeholder(tier, host, key),
        Some(_) => on_host::key_replaced(tier, host, key),
        None => on_host::key_not_trusted(tier, host, key, takes),
    }
}

/// Says how a host's Nix is set up, and what is wrong with that for every cache.
pub(super) fn nix_facts(fleet: &Fleet, host: &str, view: &HostView) -> (NixFacts, Vec<Finding>) {
    let mut wrong = Vec::new();
    if let Some(malformed) = view.keys.malformed.first().filter(|_| !view.takes_unsigned) {
        let text = printable_line(&malformed.text);
        wrong.push(nix_settings::key_malformed(host, &text, &malformed.why.to_string()));
    }
    if !view.changed.is_empty() {
        wrong.push(nix_settings::daemon_older(host, &view.changed));
    }
    let is_known = |listed: &Listed| fleet.tiers.iter().any(|tier| listed.is_tier(tier));
    let all = view.listed.iter().zip(view.places());
    let unlisted: Vec<UnlistedCache> = all
        .filter(|(listed, _)| view.substitutes && !is_known(listed))
        .map(|(listed, place)| UnlistedCache {
            url: printable_line(&listed.substituter.text),
            rank: place,
            priority: view.priority(listed),
            left_out: listed.substituter.refused.clone().map(|why| printable_line(&why)),
        })
        .collect();
    wrong.extend((!unlisted.is_empty()).then(|| nix_settings::unlisted(host, &unlisted)));
    let facts = NixFacts {
        release: view.release.map(|release| release.to_string()),
        view: view.view,
        fallback: view.settings.flag("fallback"),
        unlisted,
        measured_at: Some(view.measured_at),
    };
    (facts, wrong.into_iter().map(|finding| finding.at(view.measured_at)).collect())
}

/// Adds to what is known of a host how its Nix is set up, where that was read.
pub(in crate::probe) fn add_nix_facts(
    facts: &mut HostFacts,
    fleet: &Fleet,
    host: &str,
    memory: &Memory,
) {
    let views = super::views(memory);
    let Some(view) = views.get(host).filter(|view| view.is_known()) else { return };
    let (nix, wrong) = nix_facts(fleet, host, view);
    facts.findings.retain(|finding| !finding.code.is_of_nix());
    if facts.state.has_answered() {
        facts.findings.extend(wrong);
    }
    facts.nix = Some(Box::new(nix));
}

impl HostView {
    /// Returns what happens on the host when a cache is down, where that is known.
    fn when_down(&self, listed: &Listed) -> Option<WhenDown> {
        if !matches!(listed.substituter.kind, StoreKind::Http | StoreKind::S3) {
            return None;
        }
        when_down(self.release?, &self.settings, &listed.substituter, self.has_record(listed))
    }
}

/// Says what every host makes of a tier that is in this state, and whether any of them asks it.
fn host_verdicts_in_state(
    fleet: &Fleet,
    tier: &Tier,
    memory: &Memory,
    state: TierState,
) -> (BTreeMap<String, TierOnHost>, bool) {
    let (views, witness) =
        (super::views(memory), memory.with(tier, |memory| memory.signed.clone()));
    let mut others = views
        .iter()
        .filter(|(host, view)| view.is_known() && tier.host.as_ref() != Some(*host))
        .peekable();
    let nobody = others.peek().is_some() && others.all(|(_, view)| view.entry(tier).is_none());
    let advises = state.answers_hosts() && !nobody;
    let by = VerdictBasis { fleet, witness: witness.as_ref(), advises };
    let judged =
        views.iter().map(|(host, view)| (host.clone(), host_verdict(by, tier, host, view)));
    (judged.collect(), nobody)
}

/// Says what every host makes of a tier, by what is remembered of both.
pub(in crate::probe) fn host_verdicts(
    fleet: &Fleet,
    tier: &Tier,
    memory: &Memory,
) -> BTreeMap<String, TierOnHost> {
    host_verdicts_in_state(fleet, tier, memory, TierState::Up).0
}

/// Puts into a tier's facts what hosts make of it: a tier that none of them takes anything from is
/// of no use, however well it is.
pub(in crate::probe) fn add_host_verdicts(
    facts: &mut TierFacts,
    tier: &Tier,
    fleet: &Fleet,
    memory: &Memory,
) {
    if !tier.kind.name().is_substituter() {
        return;
    }
    let (hosts, nobody_asks) = host_verdicts_in_state(fleet, tier, memory, facts.state);
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
    let looked_at = facts.hosts.values().filter_map(|on_host| on_host.measured_at).max();
    let dated = |finding: Finding| match looked_at {
        Some(then) => finding.at(then),
        None => finding,
    };
    // What another nixdash was told has it already, where it holds.
    let ours = [Code::NotUsed, Code::SignatureMissing];
    facts.findings.retain(|finding| !ours.contains(&finding.code));
    if nobody_asks && facts.state.answers_hosts() {
        facts.findings.push(dated(tiers::not_used(tier)));
    }
    if !matches!(facts.state, TierState::Up | TierState::Slow) {
        return;
    }
    if let Some(finding) = refused(facts, tier, memory) {
        facts.state = TierState::Untrusted;
        // A server that names another key than ours was told of already, by that key.
        let is_told = finding.code == Code::SignatureInvalid
            && facts.findings.iter().any(|known| known.code == Code::KeyMismatch);
        facts.findings.extend((!is_told).then(|| dated(finding)));
    } else if facts.signature == SignatureState::Untrusted {
        let proof = facts.proof.as_deref().unwrap_or("what this cache serves lacks its signature");
        facts.findings.push(dated(tiers::signature_missing(tier, proof)));
    }
}

/// Says why a tier that is well is of no use to hosts, when that is so.
fn refused(facts: &TierFacts, tier: &Tier, memory: &Memory) -> Option<Finding> {
    let others = facts.hosts.iter().filter(|(host, _)| tier.host.as_ref() != Some(*host));
    let taken: Vec<bool> = others.filter_map(|(_, on_host)| on_host.trusted).collect();
    if facts.signature == SignatureState::Invalid {
        let proof = facts.proof.as_deref().unwrap_or("its signature does not verify");
        return Some(tiers::signature_invalid(tier, proof, &taken));
    }
    let views = super::views(memory);
    let known = views.values().filter(|view| view.is_known());
    let keys: Vec<bool> = known
        .filter_map(|view| view.trusts_key(tier, view.entry(tier).filter(|_| view.substitutes)))
        .collect();
    if let Some(key) = &tier.public_key
        && !keys.is_empty()
        && !keys.contains(&true)
    {
        return Some(tiers::key_trusted_by_none(tier, key, keys.len()));
    }
    (!taken.is_empty() && !taken.contains(&true))
        .then(|| tiers::taken_by_none(tier, facts.proof.as_deref(), taken.len()))
}
