//! What each host makes of the tiers: whether it asks them, in which order, and whose key it trusts.
//!
//! Read from the settings that the host's Nix daemon works with, and asked with the host's own curl.
//! Which order follows from them is pure.

use crate::fleet::{
    Fleet, PublicKey, SignatureState, Tier, TierFacts, TierKind, TierOnHost, TierState,
    printable_line, redact,
};
use crate::nix::cache_info::CacheInfo;
use crate::nix::settings::Settings;
use crate::nix::signature::parse_public_key;
use crate::probe::clock::milliseconds;
use crate::probe::curl::{Base, Place, Seen};
use crate::probe::kinds::http::{SLOW_MS, judge};
use crate::probe::kinds::s3::refused_on_host;
use crate::probe::memory::Memory;
use crate::probe::witness::{Taken, Witness};
use crate::remote::{Hands, Output, Script};
use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// Prints the settings of a host's Nix.
const SETTINGS: &str = include_str!("scripts/settings.sh");

/// How long that may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Caches that a host is made to ask at once.
const WIDTH: usize = 4;

/// Most caches of one host that are asked.
const MOST: usize = 16;

/// What one host's Nix is set up to do, and what it sees of its caches.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct HostView {
    /// The caches that it is told to ask, in the order they are listed.
    pub(super) listed: Vec<Listed>,
    /// The keys that it trusts.
    keys: Vec<PublicKey>,
    /// Whether it takes what nobody signed.
    takes_unsigned: bool,
    /// Whether it looks for substitutes at all.
    substitutes: bool,
    /// Whether root was there to ask with: what the daemon sees.
    pub(super) root: bool,
    /// Where its daemon has credentials for caches.
    pub(super) netrc: Option<String>,
    /// Whose certificates its daemon trusts.
    pub(super) authorities: Option<String>,
    /// Why the settings could not be read; what is above is then not known.
    error: Option<String>,
    /// Why nothing can be asked from there.
    no_curl: Option<String>,
    /// When this was measured.
    measured_at: Timestamp,
}

/// A cache that a host is told to ask.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Listed {
    /// Where its files are; none of a store that is no cache, such as `daemon`.
    base: Option<Base>,
    /// `?priority=` of its address.
    priority: Option<u32>,
    /// Whether its address says `?trusted=true`.
    is_trusted: bool,
    /// What the host sees of it.
    seen: Option<Seen>,
}

/// Reads a host's settings and lets it ask the caches that they name. Never fails: what went wrong
/// is part of the view.
pub(super) async fn look(hands: &dyn Hands, host: &str, now: Timestamp) -> HostView {
    let mut view = match settings(hands, host).await {
        Ok(output) => parse(host, &output.stdout, now),
        Err(error) => {
            return HostView { error: Some(error), measured_at: now, ..HostView::default() };
        }
    };
    if view.no_curl.is_some() {
        return view;
    }
    let mut listed = std::mem::take(&mut view.listed);
    let place = view.place(hands, host);
    let looks: Vec<_> = listed.iter().take(MOST).map(|listed| see(&place, listed)).collect();
    let asked: Vec<Option<Seen>> = stream::iter(looks).buffered(WIDTH).collect().await;
    for (listed, seen) in listed.iter_mut().zip(asked) {
        listed.seen = seen;
    }
    view.listed = listed;
    view
}

/// Lets a host ask one of its caches what it is.
async fn see(place: &Place<'_>, listed: &Listed) -> Option<Seen> {
    let files = ["nix-cache-info".to_owned()];
    let answer = place.get(listed.base.as_ref()?, &files).await;
    answer.unwrap_or_else(|fault| vec![Seen::fault(fault)]).into_iter().next()
}

/// Runs the script that prints settings, as root where that is possible.
async fn settings(hands: &dyn Hands, host: &str) -> Result<Output, String> {
    let script = Script::new(SETTINGS).limit(LIMIT);
    let as_root = hands.run(host, &script.clone().root()).await;
    let output = match as_root {
        Ok(output) if output.is_ok() => output,
        // sudo asked for a password, or the host has none.
        Ok(_) => hands.run(host, &script).await.map_err(|error| error.to_string())?,
        Err(error) => return Err(error.to_string()),
    };
    if output.is_ok() {
        return Ok(output);
    }
    Err(format!(
        "the Nix settings of {host} could not be read: {}; try `nix config show` there",
        redact(&output.complaint())
    ))
}

/// Reads what the script printed.
pub(super) fn parse(host: &str, text: &str, now: Timestamp) -> HostView {
    let (head, body) = text.split_once("---\n").unwrap_or(("", text));
    let said = |word: &str| head.lines().any(|line| line == format!("{word}\tyes"));
    let settings = Settings::parse(body);
    let mut seen = HashSet::new();
    let listed = settings.substituters().into_iter().filter(|url| seen.insert(*url));
    let keys = settings.trusted_public_keys();
    let file = |name: &str| settings.get(name).filter(|file| !file.is_empty()).map(str::to_owned);
    let error = settings.is_empty().then(|| {
        format!("the Nix settings of {host} could not be read; try `nix config show` there")
    });
    HostView {
        listed: listed.map(Listed::parse).collect(),
        keys: keys.into_iter().filter_map(|key| parse_public_key(key).ok()).collect(),
        takes_unsigned: settings.flag("require-sigs") == Some(false),
        substitutes: settings.flag("substitute") != Some(false),
        root: said("root"),
        netrc: file("netrc-file"),
        authorities: file("ssl-cert-file"),
        error,
        no_curl: (!said("curl"))
            .then(|| format!("{host} has no curl to ask with; add it to its system")),
        measured_at: now,
    }
}

impl Listed {
    /// Reads a substituter as settings name it.
    fn parse(url: &str) -> Self {
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let parameter = |name: &str| {
            query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)
        };
        Self {
            base: Base::parse(url),
            priority: parameter("priority").and_then(|(_, value)| value.parse().ok()),
            is_trusted: parameter("trusted").is_some_and(|(_, value)| value == "true"),
            seen: None,
        }
    }

    /// Returns what the cache says of itself, asked from the host; none where it did not answer.
    fn info(&self) -> Option<CacheInfo> {
        let reply = self.seen.as_ref()?.reply.as_ref()?;
        let info = CacheInfo::parse(&reply.text());
        (reply.status == 200 && info.store_dir.is_some()).then_some(info)
    }

    /// Returns by which number Nix sorts it, lowest first; none when that is not known, since it
    /// was not reached: Nix leaves such a cache out.
    fn rank_by(&self) -> Option<u32> {
        self.priority.or_else(|| Some(self.info()?.priority.unwrap_or(0)))
    }
}

impl HostView {
    /// Returns whether the settings could be read.
    pub(super) fn is_known(&self) -> bool {
        self.error.is_none()
    }

    /// Returns where to ask from.
    pub(super) fn place<'a>(&'a self, hands: &'a dyn Hands, host: &'a str) -> Place<'a> {
        Place {
            hands,
            host,
            root: self.root,
            netrc: self.netrc.as_deref(),
            authorities: self.authorities.as_deref(),
        }
    }

    /// Returns what the host is told to ask, in the order in which Nix does: by priority, and as
    /// listed among equals.
    fn asked(&self) -> Vec<(&Listed, u32)> {
        let mut asked: Vec<(&Listed, u32)> =
            self.listed.iter().filter_map(|listed| Some((listed, listed.rank_by()?))).collect();
        asked.sort_by_key(|(_, priority)| *priority);
        asked
    }

    /// Returns the entry of the host's list that is this tier.
    fn entry(&self, tier: &Tier) -> Option<&Listed> {
        let identity = Base::parse(&tier.url)?.identity();
        let is_it =
            |listed: &&Listed| listed.base.as_ref().is_some_and(|base| base.identity() == identity);
        self.listed.iter().find(is_it)
    }

    /// Returns whether the host takes whatever the tier serves, signed or not.
    fn takes_all(&self, entry: Option<&Listed>) -> bool {
        self.takes_unsigned || entry.is_some_and(|listed| listed.is_trusted)
    }

    /// Returns whether the host takes what the tier was last seen to serve; nothing is known of
    /// one that was not seen to serve anything.
    fn trusts(&self, entry: Option<&Listed>, witness: Option<&Witness>) -> Option<bool> {
        if self.takes_all(entry) {
            return Some(true);
        }
        Some(witness?.taken(&self.keys) != Taken::Never)
    }

    /// Returns whether the host takes what only the tier's own key signed; nothing is known of a
    /// tier without a key.
    fn trusts_key(&self, tier: &Tier, entry: Option<&Listed>) -> Option<bool> {
        if self.takes_all(entry) {
            return Some(true);
        }
        let key = tier.public_key.as_ref()?;
        Some(self.keys.iter().any(|have| have.name == key.name && have.bytes == key.bytes))
    }

    /// Returns the fleet's tiers that the host asks, in the order in which it does, each with its
    /// place among all that it asks, from 1.
    fn order<'a>(&self, fleet: &'a Fleet) -> Vec<(&'a Tier, u32, u32)> {
        let asked = self.asked();
        let mut order: Vec<(&Tier, u32, u32)> = fleet
            .tiers
            .iter()
            .filter_map(|tier| {
                let entry = self.entry(tier)?;
                let place = asked.iter().position(|(listed, _)| std::ptr::eq(*listed, entry))?;
                Some((tier, u32::try_from(place + 1).ok()?, asked[place].1))
            })
            .collect();
        order.sort_by_key(|(_, rank, _)| *rank);
        order
    }
}

/// Says what one host makes of a tier, by what that was last seen to serve.
fn judge_one(
    fleet: &Fleet,
    tier: &Tier,
    host: &str,
    view: &HostView,
    witness: Option<&Witness>,
) -> TierOnHost {
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
        wrong.extend(asked_first(tier, host, listed));
        wrong.extend(misplaced(fleet, tier, host, &order));
    } else if !view.substitutes {
        wrong.push(format!("{host} asks no cache at all: its settings say substitute = false"));
    } else if !serves_itself {
        wrong.push(format!(
            "{host} does not ask {}: add \"{}\" to nix.settings.substituters of {host}",
            tier.name, tier.url
        ));
    }
    if !serves_itself {
        wrong.extend(distrust(tier, host, view, entry, witness));
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
pub(super) fn state_of(tier: &Tier, host: &str, seen: &Seen, root: bool) -> TierFacts {
    let Some(reply) = &seen.reply else {
        let why = seen.fault.as_deref().unwrap_or("no answer");
        let error = Some(format!("{host} does not reach {}: {why}", tier.url));
        return TierFacts { state: TierState::Down, error, ..TierFacts::default() };
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
fn asked_first(tier: &Tier, host: &str, listed: &Listed) -> Option<String> {
    let served = listed.info()?.priority;
    let is_first = listed.priority.is_none() && served.unwrap_or(0) == 0;
    let what = if served.is_none() { "no Priority" } else { "Priority 0" };
    is_first.then(|| {
        format!(
            "its nix-cache-info has {what}, so {host} asks it before every other cache: add \
             `Priority: 45` there, or ask \"{}?priority=45\"",
            tier.url
        )
    })
}

/// Says that a host asks a tier before or after one that it should not, when it does.
fn misplaced(
    fleet: &Fleet,
    tier: &Tier,
    host: &str,
    order: &[(&Tier, u32, u32)],
) -> Option<String> {
    let meant = |name: &str| fleet.tiers.iter().position(|tier| tier.name == name);
    let at = order.iter().position(|(other, ..)| other.name == tier.name)?;
    let mine = meant(&tier.name);
    let turned = |(place, (other, ..)): (usize, &(&Tier, u32, u32))| {
        (place < at) != (meant(&other.name) < mine) && place != at
    };
    if !order.iter().enumerate().any(turned) {
        return None;
    }
    let real: Vec<String> = order
        .iter()
        .map(|(tier, _, priority)| format!("{} (priority {priority})", tier.name))
        .collect();
    let mut meant_order: Vec<&Tier> = order.iter().map(|(tier, ..)| *tier).collect();
    meant_order.sort_by_key(|tier| meant(&tier.name));
    let names: Vec<&str> = meant_order.iter().map(|tier| tier.name.as_str()).collect();
    Some(format!(
        "{host} asks in another order than hosts.toml: {}, not {}; add ?priority= to its \
         substituters, lowest first",
        real.join(", "),
        names.join(", ")
    ))
}

/// Says what a host does not take of a tier, and whose key it lacks, if it does.
fn distrust(
    tier: &Tier,
    host: &str,
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
        let lacks = lacking(key, host, view);
        return Some(match taken {
            Some((witness, Taken::Under(other))) if other.name == key.name => format!(
                "{host} trusts another key under the name {}, and {} is signed with that one: mend \
                 public_key in hosts.toml",
                key.name, witness.name
            ),
            Some((witness, Taken::Under(other))) => format!(
                "{lacks} ({host} takes {} by the signature of {}, but nothing that only the \
                 tier's key signed)",
                witness.name, other.name
            ),
            Some((_, Taken::Unsigned | Taken::Never)) | None => lacks,
        });
    }
    let (witness, Taken::Never) = taken? else { return None };
    Some(printable_line(&match witness.signers() {
        Some(signers) => {
            format!("{host} trusts none of the keys that signed {} ({signers})", witness.name)
        }
        None => format!("nobody signed {}, so {host} does not take it", witness.name),
    }))
}

/// Says which key a host lacks.
fn lacking(key: &PublicKey, host: &str, view: &HostView) -> String {
    let same_name = view.keys.iter().any(|have| have.name == key.name);
    if same_name {
        format!(
            "{host} trusts another key under the name {}: it must be \"{}\"",
            key.name, key.text
        )
    } else {
        format!(
            "{host} does not trust the key {}: add \"{}\" to nix.settings.trusted-public-keys of \
             {host}",
            key.name, key.text
        )
    }
}

/// Says what every host makes of a tier, by what is remembered of both.
pub(super) fn judge_all(
    fleet: &Fleet,
    tier: &Tier,
    memory: &Memory,
) -> BTreeMap<String, TierOnHost> {
    let (views, witness) = (memory.views(), Witness::recall(memory, tier));
    let judge = |(host, view): (&String, &HostView)| {
        (host.clone(), judge_one(fleet, tier, host, view, witness.as_ref()))
    };
    views.iter().map(judge).collect()
}

/// Puts into a tier's facts what hosts make of it: a tier whose key none of them trusts is of no
/// use, however well it is.
pub(super) fn settle(facts: &mut TierFacts, tier: &Tier, fleet: &Fleet, memory: &Memory) {
    if matches!(tier.kind, TierKind::Local | TierKind::GithubActions) {
        return;
    }
    let before = std::mem::replace(&mut facts.hosts, judge_all(fleet, tier, memory));
    for (host, found) in &mut facts.hosts {
        // Another nixdash may have seen what the tier serves.
        found.trusted = found.trusted.or_else(|| before.get(host)?.trusted);
    }
    let views = memory.views();
    let known = views.values().filter(|view| view.is_known());
    let known: Vec<bool> = known
        .filter_map(|view| view.trusts_key(tier, view.entry(tier).filter(|_| view.substitutes)))
        .collect();
    let Some(key) = &tier.public_key else { return };
    let nobody = !known.is_empty() && !known.contains(&true);
    if nobody && matches!(facts.state, TierState::Up | TierState::Slow) {
        facts.state = TierState::Untrusted;
        if facts.signature == SignatureState::Invalid {
            // Hosts that were told to trust it would trust the wrong key.
            let proof = facts.proof.as_deref().unwrap_or("its signatures do not verify");
            facts.error = Some(printable_line(&format!(
                "{}: no host trusts the key that hosts.toml has, and the tier does not sign with it: \
                 {proof}; mend public_key in hosts.toml, unless the tier should have that key",
                tier.url
            )));
            return;
        }
        facts.error = Some(printable_line(&format!(
            "{}: no host trusts its key {} (asked: {}), so none takes anything from it: add \
             \"{}\" to nix.settings.trusted-public-keys",
            tier.url,
            key.name,
            known.len(),
            key.text
        )));
    }
}

#[cfg(test)]
mod tests;
