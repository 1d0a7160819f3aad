//! The caches of GitHub Actions: of the Magic Nix Cache, of cache-nix-action, of anything else.
//!
//! They are reached inside of CI runs only, so there is nothing to prove and no host asks them;
//! what GitHub tells is how full they are, what is in them, and what is about to go. Every answer
//! has an entity tag: asked with it, GitHub answers 304, and does not count that.

mod caches;
mod jobs;
mod runs;

use crate::fleet::words::kinds;
use crate::fleet::{
    SizeFacts, StorePath, Tier, TierFacts, TierKind, TierState, ago, bytes, bytes_of, duration,
    percent, printable_line,
};
use crate::probe::asking::{Asking, TierFuture, TierProbe};
use crate::probe::checks::answer::{detail, failed, nonsense, read_json, refused, since, size, up};
use crate::probe::memory::MemoryPart;
use crate::probe::schedule::Pace;
use crate::probe::transport::{
    DeclaredRequest, HttpReply, HttpRequest, Method, RequestError, RestWish, Rules, asks_for_rest,
};
use crate::probe::words::NOTHING_TO_DO;
use crate::remote::Secret;
use caches::{CachesPage, Entry, Family, Headers, LIMIT, Usage, families};
use jiff::{SignedDuration, Timestamp};
use jobs::RunsPage;
use runs::KnownRuns;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Most pages of a hundred entries that are read.
const PAGES: usize = 10;

/// Most families that are named.
const FAMILIES: usize = 8;

/// A token that expires within this time is named.
const EXPIRES_SOON: SignedDuration = SignedDuration::from_hours(7 * 24);

/// From which share on a full cache is a finding: GitHub removes what is over the limit.
const FULL: f64 = 0.9;

/// What GitHub is asked.
const REQUESTS: &[DeclaredRequest] = &[
    (Method::Get, "*/actions/cache/usage"),
    (Method::Get, "*/actions/caches"),
    (Method::Get, "*/actions/runs"),
    (Method::Get, "*/actions/runs/*/jobs"),
    (Method::Get, "*/actions/jobs/*/logs"),
];

/// Longest answer with a list that is read, in bytes.
const LIST_LIMIT: usize = 4 << 20;

/// How gently it is asked.
static RULES: Rules = Rules { wish: asks_github_for_rest, ..Rules::new(REQUESTS) };

/// Returns whether GitHub asks us to leave it alone: 403 does too when it says how long, which is its
/// word for too many requests.
fn asks_github_for_rest(reply: &HttpReply, now: Timestamp) -> RestWish {
    let spent = spent_until(reply).map(|reset| now.duration_until(reset));
    let time = spent.map(|time| std::time::Duration::try_from(time).unwrap_or_default());
    match (reply.status, reply.retry_after(now).or(time)) {
        (403 | 429 | 503, Some(time)) => RestWish::RestFor(time),
        (_, Some(_) | None) => asks_for_rest(reply, now),
    }
}

/// Returns when GitHub's hour is over, when its requests are used up.
fn spent_until(reply: &HttpReply) -> Option<Timestamp> {
    let number = |name| reply.header(name)?.trim().parse::<i64>().ok();
    let is_spent = number("x-ratelimit-remaining") == Some(0);
    let reset = number("x-ratelimit-reset").filter(|_| is_spent)?;
    Timestamp::from_second(reset).ok()
}

/// An answer of GitHub with its entity tag.
#[derive(Clone)]
struct Tagged<T> {
    tag: String,
    value: T,
}

/// What is remembered of a repository: answers with their entity tags, and the runs that are known.
#[derive(Default)]
struct RepositoryMemory {
    usage: Option<Tagged<Usage>>,
    /// By number, from 1.
    pages: BTreeMap<usize, Tagged<CachesPage>>,
    runs: Option<Tagged<RunsPage>>,
    /// The list of runs that was read last.
    last_runs: Option<RunsPage>,
    known: KnownRuns,
}

impl MemoryPart for RepositoryMemory {}

/// Does something with what is remembered of a repository.
fn remembered<R>(asking: &Asking<'_>, work: impl FnOnce(&mut RepositoryMemory) -> R) -> R {
    asking.memory.part(asking.tier, work)
}

/// A question whose answer is kept with its entity tag, and where.
trait GithubQuestion: Copy {
    /// What GitHub answers.
    type Answer: DeserializeOwned + Clone + Send + 'static;

    /// Returns what follows the repository's address.
    fn path(self) -> String;

    /// Returns the answer that is kept.
    fn kept(self, memory: &RepositoryMemory) -> Option<Tagged<Self::Answer>>;

    /// Keeps an answer.
    fn keep(self, memory: &mut RepositoryMemory, answer: Tagged<Self::Answer>);
}

/// How full the caches are.
#[derive(Clone, Copy)]
struct UsageQuestion;

impl GithubQuestion for UsageQuestion {
    type Answer = Usage;

    fn path(self) -> String {
        "/actions/cache/usage".to_owned()
    }

    fn kept(self, memory: &RepositoryMemory) -> Option<Tagged<Usage>> {
        memory.usage.clone()
    }

    fn keep(self, memory: &mut RepositoryMemory, answer: Tagged<Usage>) {
        memory.usage = Some(answer);
    }
}

/// One page of the list of entries, from 1; those first that were not used for longest.
#[derive(Clone, Copy)]
struct PageQuestion(usize);

impl GithubQuestion for PageQuestion {
    type Answer = CachesPage;

    fn path(self) -> String {
        let sort = "sort=last_accessed_at&direction=asc";
        format!("/actions/caches?per_page=100&page={}&{sort}", self.0)
    }

    fn kept(self, memory: &RepositoryMemory) -> Option<Tagged<CachesPage>> {
        memory.pages.get(&self.0).cloned()
    }

    fn keep(self, memory: &mut RepositoryMemory, answer: Tagged<CachesPage>) {
        memory.pages.insert(self.0, answer);
    }
}

/// The kind `github-actions`.
pub(super) struct GithubActions;

impl TierProbe for GithubActions {
    fn rules(&self) -> &'static Rules {
        &RULES
    }

    fn target(&self, _tier: &Tier) -> Pace {
        Pace::GithubTier
    }

    fn look<'a>(&'a self, asking: &'a Asking<'a>) -> TierFuture<'a, TierFacts> {
        Box::pin(look(asking))
    }

    fn holds<'a>(
        &'a self,
        asking: &'a Asking<'a>,
        _paths: &'a [&'a StorePath],
    ) -> TierFuture<'a, Result<Vec<bool>, RequestError>> {
        let cause = "no host can be served by it: it is reached inside of CI runs only";
        let error = RequestError::new(&asking.tier.url, cause, NOTHING_TO_DO);
        Box::pin(std::future::ready(Err(error)))
    }

    fn size<'a>(
        &'a self,
        asking: &'a Asking<'a>,
    ) -> TierFuture<'a, Result<Option<SizeFacts>, RequestError>> {
        Box::pin(async move {
            let answer = match ask(asking, UsageQuestion).await {
                Ok(answer) => answer,
                Err(Unanswered::HttpClient(error)) => return Err(error),
                Err(refused) => {
                    let cause = refused.facts(asking.tier).error().unwrap_or_default();
                    return Err(RequestError::new(&asking.tier.url, &cause, ""));
                }
            };
            Ok(Some(usage_size(asking, &answer.value)))
        })
    }
}

/// An answer, new or kept.
struct Current<T> {
    value: T,
    reply: HttpReply,
}

/// Why there is none.
enum Unanswered {
    /// It could not be asked.
    HttpClient(RequestError),
    /// It answered something else.
    Facts(Box<TierFacts>),
    /// GitHub does not keep it any more, or never did.
    Gone,
}

impl Unanswered {
    /// Returns the facts.
    fn facts(self, tier: &Tier) -> TierFacts {
        match self {
            Self::HttpClient(error) => failed(tier, &error),
            Self::Facts(facts) => *facts,
            Self::Gone => TierFacts::default(),
        }
    }
}

/// Looks at the caches of a repository.
async fn look(asking: &Asking<'_>) -> TierFacts {
    let usage = match ask(asking, UsageQuestion).await {
        Ok(answer) => answer,
        Err(refused) => return refused.facts(asking.tier),
    };
    let mut facts = up(&usage.reply);
    let whole = usage_size(asking, &usage.value);
    let limit = whole.limit.unwrap_or(LIMIT);
    let share = whole.bytes as f64 / limit as f64;
    let text = format!(
        "{} of {} ({}) in {} entries",
        bytes(whole.bytes),
        bytes(limit),
        percent(share),
        usage.value.count
    );
    if share >= FULL {
        let used = bytes_of(whole.bytes, limit);
        facts.findings.push(kinds::nearly_full(asking.tier, &text, &used));
    } else {
        facts.details.push(detail("usage", &text));
    }
    facts.size = Some(whole);
    let headers = Headers::read(|name| usage.reply.header(name));
    let mut is_listed = true;
    match list(asking).await {
        Ok((entries, total)) => {
            describe(asking, &families(&entries, asking.now), &mut facts);
            if (entries.len() as u64) < total {
                let text = format!("of {total} entries the {} oldest were read", entries.len());
                facts.details.push(detail("list", &text));
            }
        }
        Err(refused) => {
            let refused = refused.facts(asking.tier);
            facts.state = refused.state;
            facts.findings.extend(refused.findings);
            is_listed = false;
        }
    }
    if is_listed {
        facts.details.extend(runs::describe(asking, &headers).await);
    }
    access(asking, &headers, &mut facts);
    facts
}

/// Returns how full the caches are.
fn usage_size(asking: &Asking<'_>, usage: &Usage) -> SizeFacts {
    size(asking, usage.bytes, Some(usage.count), Some(LIMIT), true)
}

/// Reads the list, those first that were not used for longest; returns how many there are too.
async fn list(asking: &Asking<'_>) -> Result<(Vec<Entry>, u64), Unanswered> {
    let mut entries = Vec::new();
    let mut total = 0;
    for number in 1..=PAGES {
        let page = ask(asking, PageQuestion(number)).await?;
        total = page.value.total_count;
        let was_empty = page.value.entries.is_empty();
        entries.extend(page.value.entries);
        if was_empty || entries.len() as u64 >= total {
            break;
        }
    }
    Ok((entries, total))
}

/// Asks GitHub, with the entity tag of the answer that is kept.
async fn ask<Q: GithubQuestion>(
    asking: &Asking<'_>,
    asked: Q,
) -> Result<Current<Q::Answer>, Unanswered> {
    let kept = remembered(asking, |memory| asked.kept(memory));
    let mut ask = question(asking, &asked.path()).limit(LIST_LIMIT);
    if let Some(kept) = &kept {
        ask = ask.header("if-none-match", Secret::new(kept.tag.clone()));
    }
    let reply = asking.send(ask).await.map_err(Unanswered::HttpClient)?;
    match (reply.status, kept) {
        (304, Some(kept)) => return Ok(Current { value: kept.value, reply }),
        (200, _) => {}
        _ => return Err(Unanswered::Facts(Box::new(denied(asking, &reply)))),
    }
    let Ok(value) = read_json::<Q::Answer>(reply.body.clone()).await else {
        let facts = nonsense(asking.tier, "answer of GitHub", &reply);
        return Err(Unanswered::Facts(Box::new(facts)));
    };
    if let Some(tag) = reply.header("etag") {
        let tagged = Tagged { tag, value: value.clone() };
        remembered(asking, |memory| asked.keep(memory, tagged));
    }
    Ok(Current { value, reply })
}

/// Asks GitHub for what does not change, at most so many bytes of it; logs are elsewhere, where
/// GitHub sends us without our token.
async fn plain(asking: &Asking<'_>, what: &str, limit: usize) -> Result<HttpReply, Unanswered> {
    let ask = question(asking, what).limit(limit).follow();
    let reply = asking.send(ask).await.map_err(Unanswered::HttpClient)?;
    match reply.status {
        200 => Ok(reply),
        404 | 410 => Err(Unanswered::Gone),
        _ => Err(Unanswered::Facts(Box::new(denied(asking, &reply)))),
    }
}

/// Makes a request as GitHub wants it.
fn question(asking: &Asking<'_>, what: &str) -> HttpRequest {
    HttpRequest::get(format!("{}{what}", asking.tier.url))
        .header("accept", Secret::new("application/vnd.github+json"))
        .header("x-github-api-version", Secret::new("2022-11-28"))
}

/// Says what it means that GitHub does not answer what it was asked.
fn denied(asking: &Asking<'_>, reply: &HttpReply) -> TierFacts {
    let headers = Headers::read(|name| reply.header(name));
    let repo = match &asking.tier.kind {
        TierKind::GithubActions { repo } => repo.as_str(),
        _ => "the repository",
    };
    let spent = headers.remaining == Some(0);
    let mut facts = match reply.status {
        403 | 429 if spent => {
            let again = headers.reset.map(|reset| asking.now.duration_until(reset));
            let again = again.and_then(|time| std::time::Duration::try_from(time).ok());
            let again = again.map_or("later".to_owned(), |time| format!("in {}", duration(time)));
            let limit = headers.limit.map_or("its".to_owned(), |limit| format!("{limit}"));
            let findings = vec![kinds::github_spent(asking.tier, &limit, &again)];
            TierFacts { state: TierState::Degraded, findings, ..up(reply) }
        }
        404 => {
            let findings = vec![kinds::github_has_no_repository(asking.tier, repo)];
            TierFacts { state: TierState::Unauthorized, findings, ..up(reply) }
        }
        _ => {
            let let_in = format!(
                "make a new token that may read actions of {repo} (a classic one: scope repo)"
            );
            refused(asking, "the caches of GitHub Actions", reply, &let_in)
        }
    };
    access(asking, &headers, &mut facts);
    facts
}

/// Says what is in the caches, and what is about to go.
fn describe(asking: &Asking<'_>, families: &[Family], facts: &mut TierFacts) {
    for family in families.iter().take(FAMILIES) {
        let age = ago(since(asking, family.used_at));
        let mut text = format!(
            "{}: {} in {}, last used {age} ago, {} of them used again after they were made",
            printable_line(&family.name),
            bytes(family.bytes),
            entries(family.entries),
            family.reused
        );
        // A family that goes as a whole is missed by the next run.
        if family.leaving == family.entries {
            facts.findings.push(kinds::family_leaves(asking.tier, &text));
        } else {
            if family.leaving > 0 {
                text = format!("{text}; {} within a day", leave(family.leaving));
            }
            facts.details.push(detail("keys", &text));
        }
    }
    if families.len() > FAMILIES {
        let rest = &families[FAMILIES..];
        let sum: u64 = rest.iter().map(|family| family.bytes).sum();
        facts.details.push(detail("keys", &format!("{} in {} others", bytes(sum), rest.len())));
    }
    let leaving: u64 = families.iter().map(|family| family.leaving).sum();
    if leaving > 0 {
        let text = format!("{} within a day: not used for 6 of 7 days", leave(leaving));
        facts.details.push(detail("leaving", &text));
    }
}

/// Returns `1 entry` or `2 entries`.
fn entries(count: u64) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") }
}

/// Returns `1 entry goes` or `2 entries go`.
fn leave(count: u64) -> String {
    let verb = if count == 1 { "goes" } else { "go" };
    format!("{} {verb}", entries(count))
}

/// Says what the token may do, when it expires, and how often GitHub may still be asked.
fn access(asking: &Asking<'_>, headers: &Headers, facts: &mut TierFacts) {
    if !asking.tier.access.login.is_token() {
        facts.details.push(detail("token", "none: only what is public is shown"));
    } else if let Some(scopes) = &headers.scopes {
        let scopes = if scopes.is_empty() { "what is public" } else { scopes };
        facts.details.push(detail("token", &format!("classic, may: {scopes}")));
    }
    if let Some(expires) = headers.expires {
        let left = asking.now.duration_until(expires);
        match std::time::Duration::try_from(left) {
            Ok(time) if left < EXPIRES_SOON => {
                facts.findings.push(kinds::token_expires(asking.tier, &duration(time)));
            }
            Ok(time) => {
                facts.details.push(detail("token", &format!("expires in {}", duration(time))));
            }
            Err(_) => facts.findings.push(kinds::token_expired(asking.tier, "")),
        }
    }
    if let (Some(limit), Some(remaining)) = (headers.limit, headers.remaining) {
        let text = format!("{remaining} of {limit} left in this hour");
        if remaining.saturating_mul(10) < limit {
            facts.findings.push(kinds::github_requests_low(asking.tier, remaining, limit));
        } else {
            facts.details.push(detail("requests", &text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::time::Duration;

    #[test]
    fn a_403_that_says_how_long_is_a_wish_to_be_left_alone() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let reply = |headers: &[(&str, &str)]| {
            let headers =
                headers.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
            let headers: HashMap<String, String> = headers.collect();
            let first_byte = Duration::ZERO;
            let body = Vec::new();
            HttpReply { status: 403, headers, body, first_byte, connect: None, is_http2: false }
        };
        let minute = RestWish::RestFor(Duration::from_secs(60));
        assert_eq!(asks_github_for_rest(&reply(&[("retry-after", "60")]), now), minute);
        assert_eq!(asks_github_for_rest(&reply(&[]), now), RestWish::None);
        let spent = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1800000060")];
        assert_eq!(asks_github_for_rest(&reply(&spent), now), minute);
    }
}
