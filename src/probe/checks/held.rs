//! Which paths a cache holds: those of which it serves the narinfo.
//!
//! A status is not enough: a login page answers 200 for everything. Where whole answers are asked for,
//! each is read. Where only the status is affordable (HEAD, and a host's curl), five held paths of each
//! batch are fetched whole. What Nix cannot read is not held, and is a finding; a cache of which no
//! answer can be read holds nothing that anybody knows.

use crate::fleet::words::tiers;
use crate::fleet::{Finding, StorePath, Tier, TierFacts, TierState};
use crate::probe::asking::Asking;
use crate::probe::checks::proof::NarinfoAnswer;
use crate::probe::checks::served;
use crate::probe::memory::{Dated, Memory, MemoryPart};
use crate::probe::transport::{AnswerPart, HttpRequest, Method, RequestError};
use futures_util::stream::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

/// How many held paths of a batch are fetched whole where only their status was asked for.
const SAMPLE: usize = 5;

/// How many of those are asked for at once.
const SAMPLE_WIDTH: usize = 2;

/// How long a narinfo that cannot be read is told, where it is not asked for again.
const TOLD: SignedDuration = SignedDuration::from_mins(30);

/// What was seen of narinfos that Nix cannot read.
#[derive(Default)]
pub(in crate::probe) struct Unreadable {
    /// The paths whose narinfos could not be read.
    paths: HashSet<StorePath>,
    /// What is said of one of them.
    last: Option<Dated<Finding>>,
    /// Whether it is one of a sample: then others may be so too.
    is_sampled: bool,
}

impl MemoryPart for Unreadable {}

/// An answer for the narinfo of a path.
#[derive(Debug)]
enum NarinfoPresence {
    /// It is there: Nix can read it, or nobody has looked.
    There,
    /// It is not there.
    Missing,
    /// 403: it is not there, or nobody is let in.
    Refused,
    /// Something is there that Nix cannot read, and why.
    Unreadable(String),
}

impl NarinfoPresence {
    fn is_there(&self) -> bool {
        match self {
            Self::There => true,
            Self::Missing | Self::Refused | Self::Unreadable(_) => false,
        }
    }
}

/// Asks which paths a cache has a narinfo of.
pub(in crate::probe) async fn held(
    asking: &Asking<'_>,
    paths: &[&StorePath],
) -> Result<Vec<bool>, RequestError> {
    // Over a host's curl whole answers come one after the other.
    let is_whole = asking.transport.asker().is_none();
    let part = if is_whole { AnswerPart::Whole } else { AnswerPart::Status };
    let width = asking.kind.rules().at_once;
    let mut answers = ask(asking, paths, Method::Get, part, width).await?;
    // A bucket that may not be listed answers 403 for what it lacks, and so does one that lets
    // nobody in: what it says of itself tells which it is.
    let is_refused = |answer: &NarinfoPresence| matches!(answer, NarinfoPresence::Refused);
    if !answers.is_empty() && answers.iter().all(is_refused) {
        let reply = asking.send(HttpRequest::get(asking.info_url()).follow()).await?;
        if matches!(reply.status, 401 | 403) {
            return Err(closed(asking.tier, reply.status));
        }
    }
    if !is_whole {
        sample(asking, paths, &mut answers).await?;
    }
    conclude(asking, paths, &answers, !is_whole)
}

/// Does what [`held`] does, for servers that answer HEAD as they should.
pub(in crate::probe) async fn held_by_head(
    asking: &Asking<'_>,
    paths: &[&StorePath],
) -> Result<Vec<bool>, RequestError> {
    let width = asking.kind.rules().at_once;
    let mut answers = ask(asking, paths, Method::Head, AnswerPart::Status, width).await?;
    if !asking.kind.reading_counts_as_use() {
        sample(asking, paths, &mut answers).await?;
    }
    conclude(asking, paths, &answers, true)
}

/// Fetches a few narinfos whole that are said to be there, and notes what is there in truth.
async fn sample(
    asking: &Asking<'_>,
    paths: &[&StorePath],
    answers: &mut [NarinfoPresence],
) -> Result<(), RequestError> {
    let known = asking.memory.part(asking.tier, |memory: &mut Unreadable| memory.paths.clone());
    let chance = RandomState::new();
    let there = answers.iter().enumerate().filter(|(_, answer)| answer.is_there());
    let mut places: Vec<usize> = there.map(|(place, _)| place).collect();
    // Those that could not be read before come first.
    places.sort_by_cached_key(|place| (!known.contains(paths[*place]), chance.hash_one(place)));
    places.truncate(SAMPLE);
    let chosen: Vec<&StorePath> = places.iter().map(|place| paths[*place]).collect();
    let found = ask(asking, &chosen, Method::Get, AnswerPart::Whole, SAMPLE_WIDTH).await?;
    for (place, answer) in places.into_iter().zip(found) {
        served::narinfo(asking, if matches!(answer, NarinfoPresence::Missing) { 404 } else { 200 });
        answers[place] = answer;
    }
    Ok(())
}

/// Returns which paths are held, and keeps what could not be read. Fails when nothing could be read
/// at all: that is no cache, but something between it and us.
fn conclude(
    asking: &Asking<'_>,
    paths: &[&StorePath],
    answers: &[NarinfoPresence],
    is_sampled: bool,
) -> Result<Vec<bool>, RequestError> {
    let bad: Vec<(&StorePath, &str)> = paths
        .iter()
        .zip(answers)
        .filter_map(|(path, answer)| match answer {
            NarinfoPresence::Unreadable(why) => Some((*path, why.as_str())),
            NarinfoPresence::There | NarinfoPresence::Missing | NarinfoPresence::Refused => None,
        })
        .collect();
    let looked_at = if is_sampled {
        SAMPLE.min(bad.len() + answers.iter().filter(|answer| answer.is_there()).count())
    } else {
        answers.len()
    };
    let held = answers.iter().map(NarinfoPresence::is_there).collect();
    asking.memory.part(asking.tier, |memory: &mut Unreadable| {
        // What is known to be bad may well be asked for alone.
        let is_known = bad.iter().all(|(path, _)| memory.paths.contains(*path));
        if let Some((_, why)) = bad.first()
            && bad.len() >= looked_at
            && !is_known
        {
            return Err(nothing_readable(asking.tier, bad.len(), why));
        }
        memory.paths.retain(|path| !paths.contains(&path));
        memory.paths.extend(bad.iter().map(|(path, _)| (*path).clone()));
        if let Some((path, why)) = bad.first() {
            let finding = tiers::narinfo_malformed(asking.tier, path.name(), why).at(asking.now);
            memory.last = Some(Dated { at: asking.now, value: finding });
            memory.is_sampled = is_sampled;
        } else if memory.paths.is_empty() {
            memory.last = None;
        }
        Ok(held)
    })
}

/// Says that nothing is known of what a cache holds of which Nix can read no narinfo.
fn nothing_readable(tier: &Tier, count: usize, why: &str) -> RequestError {
    let cause = format!(
        "answered something for {count} narinfos that Nix cannot read ({why}), and no narinfo: \
         what it holds is not known"
    );
    let fix = "see whether a login page or a proxy answers in its place";
    RequestError::new(&tier.url, &cause, fix)
}

/// Puts into the facts of a tier that is up what was seen of narinfos that cannot be read.
pub(in crate::probe) fn add_unreadable(asking: &Asking<'_>, facts: &mut TierFacts) {
    let last = asking.memory.part(asking.tier, |memory: &mut Unreadable| memory.last.clone());
    let Some(Dated { at, value: finding }) = last else { return };
    if asking.now.duration_since(at) > TOLD {
        return;
    }
    if facts.findings.iter().any(|known| known.code == finding.code) {
        return;
    }
    match facts.state {
        TierState::Up | TierState::Slow | TierState::Untrusted => {
            facts.state = TierState::Malformed;
            facts.findings.push(finding);
        }
        TierState::Malformed => facts.findings.push(finding),
        TierState::Degraded
        | TierState::Unauthorized
        | TierState::WrongStore
        | TierState::NarMissing
        | TierState::Proxy
        | TierState::Down
        | TierState::Unknown => {}
    }
}

/// Returns whether more narinfos of a tier may be unreadable than are known to be.
pub(in crate::probe) fn is_upper_bound(memory: &Memory, tier: &Tier, now: Timestamp) -> bool {
    memory.part(tier, |memory: &mut Unreadable| {
        let is_recent = |at: Timestamp| now.duration_since(at) <= TOLD;
        memory.is_sampled && memory.last.as_ref().is_some_and(|last| is_recent(last.at))
    })
}

/// Says that nothing is known of what a cache holds that lets nobody in.
fn closed(tier: &Tier, status: u16) -> RequestError {
    let cause = format!("answered {status} for nix-cache-info too: what it holds is not known");
    RequestError::new(&tier.url, &cause, "see why it does not let nixdash in")
}

/// Asks for many narinfos; returns what was answered for each. Ends with the first answer that says
/// nothing about the path.
async fn ask(
    asking: &Asking<'_>,
    paths: &[&StorePath],
    method: Method,
    part: AnswerPart,
    width: usize,
) -> Result<Vec<NarinfoPresence>, RequestError> {
    let one = |path: &&StorePath| {
        let url = asking.narinfo_url(path);
        let ask =
            if method == Method::Head { HttpRequest::head(url) } else { HttpRequest::get(url) };
        ask.part(part).follow()
    };
    let asks = paths.iter().map(one).collect();
    let mut answers = asking.transport.send_all(asking.tier, asking.kind.rules(), asks, width);
    let mut found = Vec::with_capacity(paths.len());
    while let Some(answer) = answers.next().await {
        let reply = answer?;
        let path = paths.get(found.len());
        found.push(match (reply.status, path) {
            (200 | 204, Some(path)) if part == AnswerPart::Whole => {
                match NarinfoAnswer::read(path, &reply) {
                    NarinfoAnswer::Malformed(why) => NarinfoPresence::Unreadable(why),
                    NarinfoAnswer::Narinfo { .. }
                    | NarinfoAnswer::Missing
                    | NarinfoAnswer::Refused(_)
                    | NarinfoAnswer::Odd(_) => NarinfoPresence::There,
                }
            }
            (200 | 204, _) => NarinfoPresence::There,
            (404 | 410, _) => NarinfoPresence::Missing,
            (403, _) => NarinfoPresence::Refused,
            (status, path) => {
                let name = path.map_or("a path", |path| path.name());
                let cause = format!("answered {status} for the narinfo of {name}");
                return Err(RequestError::new(
                    &asking.tier.url,
                    &cause,
                    "see the log of the cache",
                ));
            }
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
