//! What each host makes of the tiers: whether it asks them, in which order, and whose key it trusts.
//!
//! Read from the settings that the host's Nix daemon works with, and asked with the host's own curl.
//! Which order follows from them is pure, and so is what that means for a tier (`judge`).

mod judge;

use crate::fleet::{Fleet, PublicKey, Tier, printable_line, redact};
use crate::nix::cache_info::CacheInfo;
use crate::nix::settings::Settings;
use crate::nix::signature::parse_public_key;
use crate::probe::signed::{SignedNarinfo, Taken};
use crate::probe::transport::curl::{CacheAddress, CurlHost};
use crate::probe::transport::{HttpReply, RequestError};
use crate::remote::{Output, Script, ScriptRunner};
use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
pub(super) use judge::{judge_all, settle};
use std::collections::HashSet;
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
    /// What stands among them and is no key.
    malformed_keys: Vec<String>,
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
    base: Option<CacheAddress>,
    /// `?priority=` of its address.
    priority: Option<u32>,
    /// Whether its address says `?trusted=true`.
    is_trusted: bool,
    /// What the host sees of it.
    seen: Option<Result<HttpReply, RequestError>>,
}

/// Reads a host's settings and lets it ask the caches that they name. Never fails: what went wrong
/// is part of the view.
pub(super) async fn look(runner: &dyn ScriptRunner, host: &str, now: Timestamp) -> HostView {
    let mut view = match settings(runner, host).await {
        Ok(output) => parse(host, &output.stdout, now),
        Err(error) => {
            return HostView { error: Some(error), measured_at: now, ..HostView::default() };
        }
    };
    if view.no_curl.is_some() {
        return view;
    }
    let mut listed = std::mem::take(&mut view.listed);
    let place = view.place(runner, host);
    let looks: Vec<_> = listed.iter().take(MOST).map(|listed| see(&place, listed)).collect();
    let asked: Vec<Option<Result<HttpReply, RequestError>>> =
        stream::iter(looks).buffered(WIDTH).collect().await;
    for (listed, seen) in listed.iter_mut().zip(asked) {
        listed.seen = seen;
    }
    view.listed = listed;
    view
}

/// Lets a host ask one of its caches what it is.
async fn see(place: &CurlHost<'_>, listed: &Listed) -> Option<Result<HttpReply, RequestError>> {
    let files = ["nix-cache-info".to_owned()];
    let base = listed.base.as_ref()?;
    let answer = place.get(base, &files).await;
    let not_asked = |why: String| vec![Err(RequestError::setup(&base.url, &why, ""))];
    answer.unwrap_or_else(not_asked).into_iter().next()
}

/// Runs the script that prints settings, as root where that is possible.
async fn settings(runner: &dyn ScriptRunner, host: &str) -> Result<Output, String> {
    let script = Script::new(SETTINGS).limit(LIMIT);
    let as_root = runner.run(host, &script.clone().root()).await;
    let output = match as_root {
        Ok(output) if output.is_ok() => output,
        // sudo asked for a password, or the host has none.
        Ok(_) => runner.run(host, &script).await.map_err(|error| error.to_string())?,
        Err(error) => return Err(error.to_string()),
    };
    if output.is_ok() {
        return Ok(output);
    }
    Err(redact(&output.complaint()).into_owned())
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
    let error = settings.is_empty().then(|| "Nix printed none".to_owned());
    let (good, bad): (Vec<_>, Vec<_>) =
        keys.into_iter().map(|key| (key, parse_public_key(key))).partition(|(_, key)| key.is_ok());
    let malformed = bad.into_iter().map(|(text, _)| printable_line(text));
    HostView {
        listed: listed.map(Listed::parse).collect(),
        keys: good.into_iter().filter_map(|(_, key)| key.ok()).collect(),
        malformed_keys: malformed.collect(),
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
            base: CacheAddress::parse(url),
            priority: parameter("priority").and_then(|(_, value)| value.parse().ok()),
            is_trusted: parameter("trusted").is_some_and(|(_, value)| value == "true"),
            seen: None,
        }
    }

    /// Returns what the cache says of itself, asked from the host; none where it did not answer.
    fn info(&self) -> Option<CacheInfo> {
        let reply = self.seen.as_ref()?.as_ref().ok()?;
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
    pub(super) fn place<'a>(&'a self, runner: &'a dyn ScriptRunner, host: &'a str) -> CurlHost<'a> {
        CurlHost {
            runner,
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
        let identity = CacheAddress::parse(&tier.url)?.identity();
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
    fn trusts(&self, entry: Option<&Listed>, witness: Option<&SignedNarinfo>) -> Option<bool> {
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

#[cfg(test)]
mod tests;
