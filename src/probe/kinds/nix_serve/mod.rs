//! nix-serve and nix-serve-ng: a binary cache like any other, whose host has a log of its requests.
//!
//! Neither counts anything. nix-serve-ng writes every request into its unit's journal, as Apache
//! does, so its host counts narinfos answered 200 and 404 there (`scripts/requests.sh`), from where
//! it stopped the last time. Our own requests name themselves there and are nobody's. nix-serve
//! writes nothing unless Starman is given `--access-log`; then nothing is known, and that is said.

use crate::fleet::{
    Detail, ServedFacts, Share, SizeFacts, StorePath, Tier, TierFacts, TierKind, TierState, ago,
    duration, printable_line,
};
use crate::probe::asking::{Asking, TierFuture, TierProbe};
use crate::probe::checks::answer::{detail, since};
use crate::probe::checks::held::held;
use crate::probe::checks::up;
use crate::probe::kinds::local::size_of_host;
use crate::probe::memory::MemoryPart;
use crate::probe::schedule::Pace;
use crate::probe::transport::{CACHE_REQUESTS, RequestError, Rules};
use crate::remote::{Output, RemoteError, Script, Trouble};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// Counts requests in a host's journal.
const SCRIPT: &str = include_str!("../../scripts/requests.sh");

/// The unit that is asked about when `hosts.toml` names none: NixOS' `services.nix-serve`.
const UNIT: &str = "nix-serve.service";

/// How often the log is read.
const EVERY: SignedDuration = SignedDuration::from_secs(60);

/// How long that may take.
const LIMIT: Duration = Duration::from_secs(6);

/// Most lines that are read at once; a server that writes more is read up to its end later.
const LINES: u32 = 100_000;

/// So often in a row must our own requests be missing before the log is taken not to tell of them:
/// nix-serve-ng writes what it has every second, so the last one may not be there yet.
const PATIENCE: u32 = 2;

/// How gently it is asked: it has five workers, one a connection, and more than two of them taken by
/// probes would starve a deploy.
static RULES: Rules = Rules { at_once: 2, ..Rules::new(CACHE_REQUESTS) };

/// The kind `nix-serve`.
pub(super) struct NixServe;

impl TierProbe for NixServe {
    fn rules(&self) -> &'static Rules {
        &RULES
    }

    fn target(&self, _tier: &Tier) -> Pace {
        Pace::LanTier
    }

    fn counts_requests(&self) -> bool {
        true
    }

    fn bears_no_fetches(&self) -> bool {
        true
    }

    fn look<'a>(&'a self, asking: &'a Asking<'a>) -> TierFuture<'a, TierFacts> {
        Box::pin(up::look(asking))
    }

    fn add_figures<'a>(
        &'a self,
        asking: &'a Asking<'a>,
        facts: &'a mut TierFacts,
    ) -> TierFuture<'a, ()> {
        Box::pin(read_log(asking, facts))
    }

    fn holds<'a>(
        &'a self,
        asking: &'a Asking<'a>,
        paths: &'a [&'a StorePath],
    ) -> TierFuture<'a, Result<Vec<bool>, RequestError>> {
        Box::pin(held(asking, paths))
    }

    fn size<'a>(
        &'a self,
        asking: &'a Asking<'a>,
    ) -> TierFuture<'a, Result<Option<SizeFacts>, RequestError>> {
        Box::pin(async move { Ok(size_of_host(asking).await) })
    }
}

/// What is known of a server's log.
#[derive(Clone, Debug, Default, PartialEq)]
struct Log {
    /// When it was read last, or that was tried.
    tried_at: Timestamp,
    /// Where reading stopped, and when.
    read_to: Option<(String, Timestamp)>,
    /// How often in a row our own requests were missing.
    silent: u32,
    /// Whether root cannot be had, so that the login user reads it.
    as_user: bool,
    /// What was counted last, and in which time.
    counted: Option<(LogCounts, Duration)>,
    /// Why nothing was.
    why_not: Option<String>,
}

/// What is remembered of a server's log; nothing before the first look.
#[derive(Default)]
struct LogMemory {
    log: Option<Log>,
}

impl MemoryPart for LogMemory {}

/// Requests of others, as a log has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct LogCounts {
    /// Narinfos answered with 200.
    hits: u64,
    /// Narinfos answered with 404.
    misses: u64,
    /// Nars, however answered.
    nars: u64,
    /// Nars answered with 404.
    gone: u64,
}

/// What the script found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct LogFound {
    /// The place of the last line; none where there was no line.
    cursor: Option<String>,
    /// Our own requests.
    own: u64,
    /// Everybody else's, of any kind.
    others: u64,
    /// Lines that journald did not take.
    dropped: u64,
    counts: LogCounts,
}

/// Adds what the log of a server says, and reads it when it is time.
///
/// The first look only notes that there will be others: who asks once has no use for a place in a
/// log. Of two looks between which it was not read, the second says nothing of narinfos, so that
/// none is counted twice.
async fn read_log(asking: &Asking<'_>, facts: &mut TierFacts) {
    let Some(host) = asking.tier.host.as_deref() else { return };
    let begun = |memory: &mut LogMemory| {
        let known = memory.log.clone();
        memory.log.get_or_insert_default();
        known
    };
    let Some(mut log) = asking.memory.part(asking.tier, begun) else { return };
    let answers = !matches!(facts.state, TierState::Down | TierState::Proxy | TierState::Unknown);
    let mut is_new = false;
    if answers && asking.now.duration_since(log.tried_at) >= EVERY {
        log.tried_at = asking.now;
        is_new = true;
        match count(asking, host, &mut log).await {
            Ok(found) => log.take(asking, found),
            Err(why) => (log.counted, log.why_not) = (None, Some(why)),
        }
        let log = Some(log.clone());
        asking.memory.part(asking.tier, |memory: &mut LogMemory| memory.log = log);
    }
    if answers {
        facts.served = log.served(is_new);
    }
    facts.details.extend(log.detail(asking));
}

/// Returns the unit that serves a tier.
fn unit(tier: &Tier) -> &str {
    let TierKind::NixServe { unit: Some(unit) } = &tier.kind else { return UNIT };
    unit
}

/// Lets a host count, as root where that is possible; says why it could not.
async fn count(asking: &Asking<'_>, host: &str, log: &mut Log) -> Result<LogFound, String> {
    let unit = unit(asking.tier);
    let from = log.read_to.as_ref().map_or("", |(cursor, _)| cursor.as_str());
    let script = Script::new(SCRIPT).arg(unit).arg(from).arg(LINES.to_string()).limit(LIMIT);
    let lost = |error: RemoteError| format!("not read: {error}");
    if !log.as_user {
        let as_root = asking.runner.run(host, &script.clone().root()).await;
        match as_root {
            Ok(output) if output.is_ok() => return Ok(read(&output.stdout)),
            // sudo asked for a password, or the host has none.
            Err(error) if matches!(error.trouble, Trouble::NotRoot(_)) => {}
            Ok(_) => {}
            Err(error) => return Err(lost(error)),
        }
    }
    let output = asking.runner.run(host, &script).await.map_err(lost)?;
    log.as_user = output.is_ok();
    if output.is_ok() {
        return Ok(read(&output.stdout));
    }
    // The place may be what the journal does not take: it is begun again.
    log.read_to = None;
    Err(complaint(host, &output))
}

/// Says why the script failed, and what to do.
fn complaint(host: &str, output: &Output) -> String {
    let said = output.complaint();
    match output.code {
        77 => format!(
            "not read: {said} of {host}; put that user into the group systemd-journal there, or let \
             it use sudo"
        ),
        _ => format!("not read: {host}: {said}; does `journalctl` work there?"),
    }
}

/// Reads what the script printed.
fn read(text: &str) -> LogFound {
    let mut found = LogFound::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once('\t')) {
        let number = || value.parse().unwrap_or(0);
        match key {
            "cursor" => found.cursor = Some(printable_line(value)),
            "own" => found.own = number(),
            "others" => found.others = number(),
            "dropped" => found.dropped = number(),
            "hits" => found.counts.hits = number(),
            "misses" => found.counts.misses = number(),
            "nars" => found.counts.nars = number(),
            "gone" => found.counts.gone = number(),
            _ => {}
        }
    }
    found
}

impl Log {
    /// Takes what was found since the last time.
    fn take(&mut self, asking: &Asking<'_>, found: LogFound) {
        let Some((from, at)) = self.read_to.take() else {
            self.read_to = found.cursor.map(|cursor| (cursor, asking.now));
            (self.counted, self.why_not) = (None, None);
            return;
        };
        self.silent = if found.own == 0 { self.silent.saturating_add(1) } else { 0 };
        self.read_to = Some((found.cursor.unwrap_or(from), asking.now));
        let unit = unit(asking.tier);
        if found.dropped > 0 {
            self.counted = None;
            self.why_not = Some(format!(
                "journald dropped {} lines of {unit}, so the rest cannot be counted; give the unit \
                 LogRateLimitIntervalSec=0",
                found.dropped
            ));
            return;
        }
        if self.silent < PATIENCE {
            self.counted = Some((found.counts, since(asking, at)));
            self.why_not = None;
            return;
        }
        self.counted = None;
        self.why_not = Some(if found.others == 0 {
            format!(
                "{unit} says nothing of requests: nix-serve-ng does unless told to be quiet or \
                 verbose, nix-serve with extraParams = \"--access-log /dev/stderr\""
            )
        } else {
            format!(
                "{unit} names none of nixdash's own requests, so they cannot be told from others; \
                 does something between drop the User-Agent?"
            )
        });
    }

    /// Returns the figures; how many narinfos there were only when they were counted now.
    fn served(&self, is_new: bool) -> Option<ServedFacts> {
        let (counts, time) = self.counted?;
        let LogCounts { hits, misses, nars, gone } = counts;
        let requests = (hits + misses + nars) as f64;
        Some(ServedFacts {
            answered: is_new.then_some(Share { have: hits, total: hits + misses }),
            requests_per_s: (!time.is_zero()).then(|| requests / time.as_secs_f64()),
            not_found: (requests > 0.0).then(|| (misses + gone) as f64 / requests),
        })
    }

    /// Returns what was counted last, with its age, or why nothing was.
    fn detail(&self, asking: &Asking<'_>) -> Option<Detail> {
        if let Some(why) = &self.why_not {
            return Some(detail("log", why));
        }
        let (counts, time) = self.counted?;
        let LogCounts { hits, misses, nars, gone } = counts;
        let age = ago(since(asking, self.tried_at));
        let read = if age == "now" { "just now".to_owned() } else { format!("{age} ago") };
        let (narinfos, time) = (hits + misses, duration(time));
        let text = if narinfos + nars == 0 {
            format!("no requests in the last {time} (read {read})")
        } else {
            let sent = nars.saturating_sub(gone);
            format!(
                "{hits} of {narinfos} narinfos and {sent} of {nars} nars found in the last {time} \
                 (read {read})"
            )
        };
        Some(detail("log", &text))
    }
}

#[cfg(test)]
mod tests;
