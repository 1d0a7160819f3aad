//! What each host makes of the tiers: whether it asks them, in which order, and whose key it trusts.
//!
//! Read from the settings that the host's Nix daemon works with, and asked with the host's own curl.
//! Which order follows from them is pure, and so is what that means for a tier (`verdicts`).

mod daemon;
mod records;
mod verdicts;

use crate::fleet::{CacheRecord, Fleet, PublicKey, SettingsView, Tier, redact};
use crate::nix::cache_info::CacheInfo;
use crate::nix::disk_cache::RecordedCache;
use crate::nix::settings::Settings;
use crate::nix::substituter::{StoreKind, Substituter, places};
use crate::nix::trusted_keys::TrustedKeys;
use crate::nix::version::NixRelease;
use crate::probe::memory::{Memory, MemoryPart};
use crate::probe::signed::{SignedNarinfo, Taken};
use crate::probe::transport::curl::{CacheAddress, CurlHost};
use crate::probe::transport::{HttpReply, RequestError, RequestTrouble};
use crate::remote::{Output, Script, ScriptRunner, Trouble};
pub(super) use daemon::remember;
use daemon::{DaemonStart, DaemonState, SettingsFiles, relate};
use futures_util::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;
pub(super) use verdicts::{add_host_verdicts, add_nix_facts, host_verdicts};

/// Prints how a host's Nix is set up.
const SETTINGS: &str =
    concat!(include_str!("scripts/says.sh"), include_str!("scripts/settings.sh"));

/// How long that may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Caches that a host is made to ask at once.
const WIDTH: usize = 4;

/// Most caches of one host that are asked.
const MOST: usize = 16;

/// How long Nix goes by its record of a cache, where no setting says so.
const RECORD_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What one host's Nix is set up to do, and what it sees of its caches.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct HostView {
    /// The caches that it is told to ask, in the order they are listed.
    pub(super) listed: Vec<Listed>,
    /// The keys that it trusts, as its Nix reads them.
    keys: TrustedKeys,
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
    /// Its program and version, where they are known.
    release: Option<NixRelease>,
    /// The settings that are gone by.
    settings: Settings,
    /// Whose they are.
    view: Option<SettingsView>,
    /// The settings that were changed since its daemon started.
    changed: Vec<String>,
    /// What is remembered of its daemon.
    start: Option<DaemonStart>,
    /// What it keeps of caches; nothing where that could not be read.
    records: Option<Vec<RecordedCache>>,
    /// Why the settings could not be read; what is above is then not known.
    error: Option<String>,
    /// Why nothing can be asked from there.
    no_curl: Option<String>,
    /// When this was measured.
    measured_at: Timestamp,
    /// What the files said, and of which daemon: see [`HostView::after`].
    read: Read,
}

/// What was read on a host, before it is known whether its daemon works with it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Read {
    daemon: DaemonState,
    files: Option<SettingsFiles>,
    settings: Settings,
    /// What folders that are caches say of themselves, by address.
    folders: Vec<(String, String)>,
}

/// A cache that a host is told to ask.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Listed {
    /// How its settings name it.
    substituter: Substituter,
    /// Where its files are; none of a store that is asked by anything else than HTTP.
    base: Option<CacheAddress>,
    /// What it says of itself, of a folder.
    folder: Option<CacheInfo>,
    /// What the host sees of it.
    seen: Option<Result<HttpReply, RequestError>>,
}

/// Reads a host's settings and lets it ask the caches that they name. Never fails: what went wrong
/// is part of the view. What is remembered of its daemon is added by [`HostView::after`].
pub(super) async fn look(runner: &dyn ScriptRunner, host: &str, now: Timestamp) -> HostView {
    let mut view = match settings(runner, host).await {
        Ok(output) => parse(host, &output.stdout, now),
        Err(error) => {
            return HostView { error: Some(error), measured_at: now, ..HostView::default() };
        }
    };
    let mut listed = std::mem::take(&mut view.listed);
    let most = if view.no_curl.is_some() { 0 } else { MOST };
    let place = view.place(runner, host);
    let looks: Vec<_> = listed.iter().take(most).map(|listed| see(&place, listed)).collect();
    let asked = stream::iter(looks).buffered(WIDTH).collect();
    let is_root = view.root;
    let records = async { if is_root { records::read(runner, host).await } else { None } };
    let (records, asked): (_, Vec<Option<Result<HttpReply, RequestError>>>) =
        tokio::join!(records, asked);
    view.records = records;
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
        Ok(_) => runner.run(host, &script).await.map_err(|error| error.to_string())?,
        // sudo asked for a password, or the host has none.
        Err(error) if matches!(error.trouble, Trouble::NotRoot(_)) => {
            runner.run(host, &script).await.map_err(|error| error.to_string())?
        }
        Err(error) => return Err(error.to_string()),
    };
    if output.is_ok() {
        return Ok(output);
    }
    Err(redact(&output.complaint()).into_owned())
}

/// Reads what the script printed.
pub(super) fn parse(host: &str, text: &str, now: Timestamp) -> HostView {
    let (head, body) = text
        .split_once("\n---\n")
        .or_else(|| text.strip_prefix("---\n").map(|body| ("", body)))
        .unwrap_or(("", text));
    let all = |key: &str| {
        let lines = head.lines().filter_map(|line| line.split_once('\t'));
        let key = key.to_owned();
        lines.filter(move |(known, _)| *known == key).map(|(_, value)| value.trim())
    };
    let said = |key: &str| all(key).next();
    let settings = Settings::parse(body);
    let folder = |line: &str| {
        let (address, line) = line.split_once(' ')?;
        Some((address.to_owned(), line.to_owned()))
    };
    let view = HostView {
        root: said("root") == Some("yes"),
        release: said("nix").and_then(NixRelease::parse),
        error: settings.is_empty().then(|| "Nix printed none".to_owned()),
        no_curl: (said("curl") != Some("yes"))
            .then(|| format!("{host} has no curl to ask with; add it to its system")),
        measured_at: now,
        read: Read {
            daemon: said("daemon").map(DaemonState::parse).unwrap_or_default(),
            files: said("files").and_then(SettingsFiles::parse),
            settings,
            folders: all("folder").filter_map(folder).collect(),
        },
        ..HostView::default()
    };
    view.after(None)
}

impl Listed {
    /// Reads a substituter as settings name it.
    fn parse(text: &str, folders: &[(String, String)]) -> Self {
        let substituter = Substituter::parse(text);
        let lines = folders.iter().filter(|(address, _)| address == text);
        let info = lines.map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n");
        let folder = (substituter.kind == StoreKind::Folder).then(|| CacheInfo::parse(&info));
        Self { base: CacheAddress::parse(text), substituter, folder, seen: None }
    }

    /// Returns what the cache says of itself, as seen from the host; none where it did not answer.
    fn info(&self) -> Option<CacheInfo> {
        if let Some(info) = &self.folder {
            return Some(info.clone());
        }
        let reply = self.seen.as_ref()?.as_ref().ok()?;
        let info = CacheInfo::parse(&reply.text());
        (reply.status == 200 && info.fault.is_none()).then_some(info)
    }

    /// Returns the priority that the cache itself says; Nix's default where it says none.
    fn served(&self) -> Option<i32> {
        Some(self.info()?.priority.unwrap_or(0))
    }

    /// Returns whether the host tried to reach it and could not.
    fn is_down(&self) -> bool {
        let seen = self.seen.as_ref().filter(|_| self.base.is_some());
        let error = seen.and_then(|seen| seen.as_ref().err());
        error.is_some_and(|error| match error.trouble {
            RequestTrouble::NoAnswer | RequestTrouble::Certificate | RequestTrouble::Proxy => true,
            RequestTrouble::Redirect
            | RequestTrouble::Rest
            | RequestTrouble::Spent
            | RequestTrouble::Setup => false,
        })
    }
}

/// How every host is set up, by its name.
#[derive(Default)]
struct HostViews(BTreeMap<String, HostView>);

impl MemoryPart for HostViews {}

/// Keeps how a host is set up. Of a look that failed stays what the settings said before; what the
/// host saw of caches then is not known any more.
pub(super) fn put_view(memory: &Memory, host: &str, view: HostView) {
    memory.fleet_part(|HostViews(views)| match views.get_mut(host) {
        Some(known) if known.is_known() && !view.is_known() => {
            for listed in &mut known.listed {
                listed.seen = None;
            }
        }
        Some(_) | None => drop(views.insert(host.to_owned(), view)),
    });
}

/// Returns how every host is set up, as far as is known.
pub(super) fn views(memory: &Memory) -> BTreeMap<String, HostView> {
    memory.fleet_part(|HostViews(views)| views.clone())
}

impl HostView {
    /// Returns it with what follows from what is remembered of the host's daemon.
    #[must_use]
    fn after(mut self, remembered: Option<&DaemonStart>) -> Self {
        if self.error.is_some() {
            return self;
        }
        let read = &self.read;
        let found = relate(&read.daemon, read.files.as_ref(), &read.settings, remembered);
        let mut known = std::mem::take(&mut self.listed);
        let mut words = HashSet::new();
        let texts = found.settings.substituters().into_iter().filter(|text| words.insert(*text));
        self.listed = texts
            .map(|text| {
                let seen = known.iter_mut().find(|listed| listed.substituter.text == text);
                let seen = seen.and_then(|listed| listed.seen.take());
                Listed { seen, ..Listed::parse(text, &read.folders) }
            })
            .collect();
        let settings = &found.settings;
        let file = |name: &str| settings.get(name).filter(|file| !file.is_empty());
        self.keys = TrustedKeys::parse(&settings.trusted_public_keys());
        self.takes_unsigned = settings.flag("require-sigs") == Some(false);
        self.substitutes = settings.flag("substitute") != Some(false);
        self.netrc = file("netrc-file").map(str::to_owned);
        self.authorities = file("ssl-cert-file").map(str::to_owned);
        self.view = Some(found.view);
        self.changed = found.changed;
        self.start = found.start;
        self.settings = found.settings;
        self
    }

    /// Returns whether the settings could be read.
    pub(super) fn is_known(&self) -> bool {
        self.error.is_none()
    }

    /// Returns why the settings could not be read.
    pub(super) fn trouble(&self) -> Option<String> {
        self.error.clone()
    }

    /// Returns the keys that the host trusts.
    pub(super) fn trusted(&self) -> Vec<PublicKey> {
        self.keys.keys.clone()
    }

    /// Returns its caches in the order in which it asks them; those that it does not ask, or of
    /// which that is not known, come last.
    pub(super) fn in_order(&self) -> Vec<String> {
        let mut all: Vec<(&Listed, Option<u32>)> = self.listed.iter().zip(self.places()).collect();
        all.sort_by_key(|(_, place)| place.unwrap_or(u32::MAX));
        all.into_iter().map(|(listed, _)| listed.substituter.text.clone()).collect()
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

    /// Returns what the host keeps of a cache, whether it still goes by it or not.
    fn record(&self, listed: &Listed) -> Option<CacheRecord> {
        let address = listed.substituter.address();
        let found = self.records.as_ref()?.iter().find(|record| record.url == address)?;
        let set = self.settings.number("narinfo-cache-meta-ttl");
        let lifetime = set.and_then(|seconds| i64::try_from(seconds).ok());
        Some(found.record(lifetime.map_or(RECORD_LIFETIME, SignedDuration::from_secs)))
    }

    /// Returns the record of a cache that the host goes by now.
    fn record_in_use(&self, listed: &Listed) -> Option<CacheRecord> {
        self.record(listed).filter(|record| record.holds(self.measured_at))
    }

    /// Returns whether the host goes by a record of a cache now, where that is known.
    fn has_record(&self, listed: &Listed) -> Option<bool> {
        let can_have = matches!(listed.substituter.kind, StoreKind::Http | StoreKind::S3);
        self.records.as_ref().filter(|_| can_have).map(|_| self.record_in_use(listed).is_some())
    }

    /// Returns by which number Nix sorts a cache, the lowest first; none for one that it leaves out,
    /// or of which nothing is known.
    fn priority(&self, listed: &Listed) -> Option<i32> {
        let Substituter { kind, priority, refused, .. } = &listed.substituter;
        if refused.is_some() {
            return None;
        }
        if !kind.has_cache_info() {
            return Some(priority.unwrap_or(0));
        }
        if let Some(record) = self.record_in_use(listed) {
            return Some(priority.unwrap_or(record.priority));
        }
        let has_no_record = self.has_record(listed) == Some(false);
        if listed.is_down() && (has_no_record || priority.is_none()) {
            return None;
        }
        priority.or_else(|| listed.served())
    }

    /// Returns the place, from 1, in which the host asks each cache of its list.
    fn places(&self) -> Vec<Option<u32>> {
        let priorities: Vec<Option<i32>> =
            self.listed.iter().map(|listed| self.priority(listed)).collect();
        places(&priorities)
    }

    /// Returns the entry of the host's list that is this tier; of several, the one that is asked
    /// first.
    fn entry(&self, tier: &Tier) -> Option<&Listed> {
        let places = self.places();
        let entries = self.listed.iter().zip(places).filter(|(listed, _)| listed.is_tier(tier));
        let (entry, _) = entries.min_by_key(|(_, place)| place.unwrap_or(u32::MAX))?;
        Some(entry)
    }

    /// Returns whether the host takes whatever the tier serves, signed or not.
    fn takes_all(&self, entry: Option<&Listed>) -> bool {
        self.takes_unsigned || entry.is_some_and(|listed| listed.substituter.is_trusted)
    }

    /// Returns whether the host takes what the tier was last seen to serve; nothing is known of
    /// one that was not seen to serve anything.
    fn trusts(&self, entry: Option<&Listed>, witness: Option<&SignedNarinfo>) -> Option<bool> {
        if self.takes_all(entry) {
            return Some(true);
        }
        match self.keys.usable() {
            Some(keys) => Some(witness?.taken(keys) != Taken::Never),
            // Nix stops before it looks at a signature.
            None => Some(false),
        }
    }

    /// Returns whether the host takes what only the tier's own key signed; nothing is known of a
    /// tier without a key.
    fn trusts_key(&self, tier: &Tier, entry: Option<&Listed>) -> Option<bool> {
        if self.takes_all(entry) {
            return Some(true);
        }
        let key = tier.public_key.as_ref()?;
        Some(self.keys.usable().is_some() && self.keys.has(key))
    }

    /// Returns the fleet's tiers that the host asks, in the order in which it does, each with its
    /// place among all that it asks, from 1, and its priority.
    fn order<'a>(&self, fleet: &'a Fleet) -> Vec<(&'a Tier, u32, i32)> {
        let places = self.places();
        let mut order: Vec<(&Tier, u32, i32)> = fleet
            .tiers
            .iter()
            .filter_map(|tier| {
                let entry = self.entry(tier)?;
                let at = self.listed.iter().position(|listed| std::ptr::eq(listed, entry))?;
                Some((tier, places[at]?, self.priority(entry)?))
            })
            .collect();
        order.sort_by_key(|(_, rank, _)| *rank);
        order
    }
}

impl Listed {
    /// Returns whether it is a tier of the fleet, whatever way its address is written in.
    fn is_tier(&self, tier: &Tier) -> bool {
        let identity = CacheAddress::parse(&tier.url).map(|base| base.identity());
        self.base.as_ref().is_some_and(|base| Some(base.identity()) == identity)
    }
}

#[cfg(test)]
mod tests;
