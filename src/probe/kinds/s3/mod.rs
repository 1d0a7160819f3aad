//! A bucket of S3: Oracle, AWS, `MinIO`, or the gateway of SeaweedFS.
//!
//! Read like any cache over HTTP, each request signed where the tier has keys. Servers refuse
//! signatures of a machine whose clock is off by a quarter of an hour, so the clock is compared
//! with theirs. The size is found by listing; a bucket that may not be listed has none.

mod list;
mod pages;

use crate::fleet::words::kinds;
use crate::fleet::{
    Code, Detail, Finding, Login, SizeFacts, StorePath, Tier, TierFacts, TierState, bytes,
};
use crate::nix::s3_url::{bucket_of, web_url};
use crate::probe::asking::{Asking, TierFuture, TierProbe};
use crate::probe::checks::answer::detail;
use crate::probe::checks::held::held as held_by_narinfos;
use crate::probe::checks::{one_request, up};
use crate::probe::memory::MemoryPart;
use crate::probe::schedule::Pace;
use crate::probe::transport::{
    DeclaredRequest, HttpReply, HttpRequest, Method, RequestError, Rules,
};
use jiff::{SignedDuration, Timestamp};
use list::{Contents, error_code};
use pages::Listing;
use std::time::Duration;

/// What a bucket is asked: the cache's files, the bucket itself, and its list.
const REQUESTS: &[DeclaredRequest] = &[
    (Method::Get, "*/nix-cache-info"),
    (Method::Get, "*.narinfo"),
    (Method::Get, "*/nar/*"),
    (Method::Head, "*/"),
    (Method::Get, "*/"),
];

/// Servers refuse signatures from clocks that are off by more.
const SKEW_LIMIT: SignedDuration = SignedDuration::from_mins(15);

/// A clock that is off by more is worth a word.
const SKEW_WORTH: SignedDuration = SignedDuration::from_mins(1);

/// How often the bucket itself is asked, whether the keys still fit.
const HEAD_AGE: SignedDuration = SignedDuration::from_mins(15);

/// Keys on one page.
const PAGE_KEYS: u64 = 1000;

/// Narinfos that are asked in the time of one page: pages come one after the other.
const NARINFOS_PER_PAGE: u64 = 25;

/// How gently it is asked.
static RULES: Rules = Rules::new(REQUESTS);

/// What is remembered of a bucket.
#[derive(Default)]
struct BucketMemory {
    /// When the bucket itself was asked last.
    head_at: Option<Timestamp>,
    /// What it holds, by its last whole list.
    contents: Option<Contents>,
    /// The size that was measured last, to the end of the list.
    whole: Option<SizeFacts>,
    /// A list that is not at its end.
    listing: Option<Listing>,
    /// Why the last list did not come to its end, where it never will.
    endless: Option<&'static str>,
}

impl MemoryPart for BucketMemory {}

/// Does something with what is remembered of a bucket.
fn remembered<R>(asking: &Asking<'_>, work: impl FnOnce(&mut BucketMemory) -> R) -> R {
    asking.memory.part(asking.tier, work)
}

/// The kind `s3`.
pub(super) struct S3;

impl TierProbe for S3 {
    fn rules(&self) -> &'static Rules {
        &RULES
    }

    fn interval(&self, _tier: &Tier) -> Duration {
        Pace::PublicTier.interval()
    }

    fn is_asked_one_thing(&self, _tier: &Tier) -> bool {
        true
    }

    fn denied_on_host(&self, tier: &Tier, host: &str, reply: &HttpReply) -> Option<Finding> {
        Some(refused_on_host(tier, host, reply))
    }

    fn look<'a>(&'a self, asking: &'a Asking<'a>) -> TierFuture<'a, TierFacts> {
        Box::pin(look_at(asking))
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
        Box::pin(pages::measure(asking))
    }

    fn size_so_far(&self, asking: &Asking<'_>) -> Option<SizeFacts> {
        pages::so_far(asking)
    }
}

/// Asks whether a bucket is well.
pub(in crate::probe::kinds) async fn look_at(asking: &Asking<'_>) -> TierFacts {
    let mut facts = match look_at_one_thing(asking).await {
        Some(facts) => facts,
        None => look_whole(asking).await,
    };
    let (contents, endless) = remembered(asking, |bucket| (bucket.contents, bucket.endless));
    facts.details.extend(contents.map(objects));
    facts.details.extend(endless.map(|why| detail("list", why)));
    facts
}

/// Makes one request, the one that is due, when the last look found all well; nothing when that is
/// `nix-cache-info`, or not all is well any more.
async fn look_at_one_thing(asking: &Asking<'_>) -> Option<TierFacts> {
    let (mut facts, reply) = if has_keys(asking.tier) && head_is_due(asking) {
        let facts = one_request::kept(asking)?;
        let reply = head(asking).await.ok().filter(|reply| reply.status == 200)?;
        remembered(asking, |bucket| bucket.head_at = Some(asking.now));
        let facts = one_request::timed(facts, &reply);
        one_request::keep(asking, &facts);
        (facts, reply)
    } else {
        one_request::by_probe_path(asking).await?
    };
    facts.findings.retain(|finding| finding.code != Code::ClockSkew);
    facts.findings.extend(clock(asking.tier, skew(&reply, asking.now)));
    facts.details.clear();
    Some(facts)
}

/// Asks for `nix-cache-info`, and for all that is due beside it.
async fn look_whole(asking: &Asking<'_>) -> TierFacts {
    let tier = asking.tier;
    let answer = asking.send(HttpRequest::get(asking.info_url())).await;
    let mut facts = up::weigh(asking, &answer).await;
    let Ok(reply) = answer else { return facts };
    let skew = skew(&reply, asking.now);
    match reply.status {
        401 | 403 => facts.findings = vec![refused(tier, &reply, skew)],
        404 => missing(asking, &reply, &mut facts).await,
        _ => {}
    }
    if reply.status == 200 && has_keys(tier) {
        check_keys(asking, skew, &mut facts).await;
    }
    one_request::keep(asking, &facts);
    facts.findings.extend(clock(tier, skew));
    facts
}

/// Returns whether the bucket itself is to be asked again.
fn head_is_due(asking: &Asking<'_>) -> bool {
    let last = remembered(asking, |bucket| bucket.head_at);
    last.is_none_or(|last| asking.now.duration_since(last) >= HEAD_AGE)
}

/// Returns whether requests are signed.
fn has_keys(tier: &Tier) -> bool {
    matches!(tier.access.login, Login::Keys { .. }) || tier.url.contains("profile=")
}

/// Returns the URL of the bucket itself.
fn bucket_url(tier: &Tier) -> String {
    let bucket = bucket_of(tier);
    format!("{}/", bucket.map_or_else(|| web_url(tier).into_owned(), |bucket| bucket.root))
}

/// Says what is wrong when there is no `nix-cache-info`: no bucket, or a bucket that is no cache.
async fn missing(asking: &Asking<'_>, reply: &HttpReply, facts: &mut TierFacts) {
    let tier = asking.tier;
    facts.state = TierState::Degraded;
    let no_bucket = error_code(&reply.text()).is_some_and(|code| code == "NoSuchBucket")
        || head(asking).await.is_ok_and(|reply| reply.status == 404);
    facts.findings =
        vec![if no_bucket { kinds::no_bucket(tier) } else { kinds::bucket_without_info(tier) }];
}

/// Asks now and then for the bucket itself: keys that do not fit any more show there even while
/// everybody may read its files.
async fn check_keys(asking: &Asking<'_>, skew: Option<SignedDuration>, facts: &mut TierFacts) {
    let tier = asking.tier;
    if !head_is_due(asking) {
        return;
    }
    match head(asking).await {
        Ok(reply) if matches!(reply.status, 401 | 403) => {
            facts.state = TierState::Unauthorized;
            facts.findings.push(refused(tier, &reply, skew));
        }
        Ok(_) => remembered(asking, |bucket| bucket.head_at = Some(asking.now)),
        // What the files said counts.
        Err(_) => {}
    }
}

/// Asks for the bucket itself.
async fn head(asking: &Asking<'_>) -> Result<HttpReply, RequestError> {
    asking.send(HttpRequest::head(bucket_url(asking.tier))).await
}

/// Says why a bucket does not let us in, and what to do.
fn refused(tier: &Tier, reply: &HttpReply, skew: Option<SignedDuration>) -> Finding {
    let code = error_code(&reply.text());
    let off = skew.filter(|skew| skew.abs() >= SKEW_LIMIT);
    let why = match (code.as_deref(), off) {
        (Some("RequestTimeTooSkewed"), None) => {
            "the clock of this machine is off: set it (timedatectl)".to_owned()
        }
        (_, Some(skew)) => format!("{}: set it (timedatectl)", clock_words(skew)),
        (Some("SignatureDoesNotMatch"), None) => {
            "the secret key is not that of the access key, or the region is another".to_owned()
        }
        (Some("InvalidAccessKeyId"), None) => "the access key is not known there".to_owned(),
        (Some("ExpiredToken" | "InvalidToken"), None) => {
            "the keys have expired: get new ones".to_owned()
        }
        (_, None) if has_keys(tier) => {
            "the keys may not read it: give them the right to, or correct them".to_owned()
        }
        (_, None) => {
            "it may not be read without keys: add access_key and secret_key, and give hosts theirs \
             (root's AWS credentials): they skip this cache, older Nix silently"
                .to_owned()
        }
    };
    kinds::bucket_denied(tier, reply.status, code.as_deref(), &why)
}

/// Says why a bucket does not let a host in, which signs with keys of its own, and what to do.
fn refused_on_host(tier: &Tier, host: &str, reply: &HttpReply) -> Finding {
    let code = error_code(&reply.text());
    let why = match code.as_deref() {
        Some("RequestTimeTooSkewed") => format!("the clock of {host} is off: set it (timedatectl)"),
        Some("SignatureDoesNotMatch") => format!(
            "the secret key of root's AWS credentials on {host} is not that of the access key, or \
             the region is another"
        ),
        Some("InvalidAccessKeyId") => {
            format!("the access key of root's AWS credentials on {host} is not known there")
        }
        Some(_) | None => format!(
            "give root on {host} keys that may read it (~/.aws/credentials): its daemon skips this \
             cache, older Nix silently"
        ),
    };
    kinds::bucket_denied(tier, reply.status, code.as_deref(), &why)
}

/// Returns how far this machine's clock is ahead of the server's, which may be behind it.
fn skew(reply: &HttpReply, now: Timestamp) -> Option<SignedDuration> {
    let date = reply.header("date")?;
    let server = jiff::fmt::rfc2822::parse(&date).ok()?.timestamp();
    Some(now.duration_since(server))
}

/// Says that this machine's clock is off, when it is.
fn clock(tier: &Tier, skew: Option<SignedDuration>) -> Option<Finding> {
    let skew = skew.filter(|skew| skew.abs() >= SKEW_WORTH)?;
    Some(kinds::clock_skew(tier, &clock_words(skew)))
}

fn clock_words(skew: SignedDuration) -> String {
    let way = if skew.is_negative() { "behind" } else { "ahead of" };
    format!("this machine's clock is {} min {way} the server's", skew.abs().as_mins())
}

/// Says what the bucket holds.
fn objects(contents: Contents) -> Detail {
    let others = contents.objects - contents.narinfos - contents.nars;
    Detail {
        label: "objects".to_owned(),
        text: format!(
            "{} narinfos, {} nars of {}, {others} others",
            contents.narinfos,
            contents.nars,
            bytes(contents.nar_bytes)
        ),
    }
}

/// Asks which paths a bucket holds: one narinfo each, or its list where that takes less time.
async fn held(asking: &Asking<'_>, paths: &[&StorePath]) -> Result<Vec<bool>, RequestError> {
    let contents = remembered(asking, |bucket| bucket.contents);
    let pages = contents.map(|contents| contents.narinfos / PAGE_KEYS + 1);
    let worth = pages.is_some_and(|pages| pages * NARINFOS_PER_PAGE <= paths.len() as u64);
    if worth {
        // Nars lie in a folder of their own, and are left out. Who may not list any more is asked
        // for each.
        if let Some(hashes) = pages::narinfos(asking).await {
            return Ok(paths.iter().map(|path| hashes.contains(path.hash())).collect());
        }
    }
    held_by_narinfos(asking, paths).await
}

#[cfg(test)]
mod tests;
