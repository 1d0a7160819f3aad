//! A bucket of S3: Oracle, AWS, `MinIO`, or the gateway of SeaweedFS.
//!
//! Read like any cache over HTTP, each request signed where the tier has keys. Servers refuse
//! signatures of a machine whose clock is off by a quarter of an hour, so the clock is compared
//! with theirs. The size is found by listing; a bucket that may not be listed has none.

use crate::fleet::words::kinds;
use crate::fleet::{
    Code, Detail, Finding, Login, SizeFacts, StorePath, Tier, TierFacts, TierState, bytes,
};
use crate::nix::s3_url::web_url;
use crate::probe::kinds::answers::failed;
use crate::probe::kinds::s3_list::{Contents, error_code};
use crate::probe::kinds::{http, s3_pages, thrift};
use crate::probe::tier::{Answer, Asking, TierProbe};
use crate::probe::web::{Ask, Declared, Method, Reply, WebError};
use jiff::{SignedDuration, Timestamp};

/// What a bucket is asked: the cache's files, the bucket itself, and its list.
pub(super) const REQUESTS: &[Declared] = &[
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

/// What it holds, by its last whole list.
pub(super) const CONTENTS: &str = "contents";

/// When the bucket itself was asked last.
const HEAD: &str = "head";

/// Keys on one page.
const PAGE_KEYS: u64 = 1000;

/// Narinfos that are asked in the time of one page: pages come one after the other.
const NARINFOS_PER_PAGE: u64 = 25;

/// The probe of buckets.
pub(in crate::probe) struct S3Probe;

impl TierProbe for S3Probe {
    fn requests(&self) -> &'static [Declared] {
        REQUESTS
    }

    fn probe<'a>(&'a self, asking: &'a Asking<'a>) -> Answer<'a, TierFacts> {
        Box::pin(look_at(asking, REQUESTS))
    }

    fn holds<'a>(
        &'a self,
        asking: &'a Asking<'a>,
        paths: &'a [&'a StorePath],
    ) -> Answer<'a, Result<Vec<bool>, WebError>> {
        Box::pin(held(asking, paths))
    }

    fn size<'a>(
        &'a self,
        asking: &'a Asking<'a>,
    ) -> Answer<'a, Result<Option<SizeFacts>, WebError>> {
        Box::pin(s3_pages::measure(asking))
    }

    fn size_so_far(&self, asking: &Asking<'_>) -> Option<SizeFacts> {
        s3_pages::so_far(asking)
    }
}

/// Asks whether a bucket is well.
pub(in crate::probe) async fn look_at(asking: &Asking<'_>, declared: &[Declared]) -> TierFacts {
    let mut facts = match look_thriftily(asking, declared).await {
        Some(facts) => facts,
        None => look_whole(asking, declared).await,
    };
    facts.details.extend(asking.memory.get(asking.tier, CONTENTS).map(objects));
    facts
}

/// Makes one request, the one that is due, when the last look found all well; nothing when that is
/// `nix-cache-info`, or not all is well any more.
async fn look_thriftily(asking: &Asking<'_>, declared: &[Declared]) -> Option<TierFacts> {
    let (mut facts, reply) = if has_keys(asking.tier) && head_is_due(asking) {
        let facts = thrift::kept(asking)?;
        let reply = head(asking, declared).await.ok().filter(|reply| reply.status == 200)?;
        asking.memory.put(asking.tier, HEAD, &asking.now);
        let facts = thrift::timed(facts, &reply);
        thrift::keep(asking, &facts);
        (facts, reply)
    } else {
        thrift::by_canary(asking, declared).await?
    };
    facts.findings.retain(|finding| finding.code != Code::ClockSkew);
    facts.findings.extend(clock(asking.tier, skew(&reply, asking.now)));
    facts.details.clear();
    Some(facts)
}

/// Asks for `nix-cache-info`, and for all that is due beside it.
async fn look_whole(asking: &Asking<'_>, declared: &[Declared]) -> TierFacts {
    let tier = asking.tier;
    let url = format!("{}/nix-cache-info", web_url(tier));
    let reply = match asking.web.send(tier, declared, Ask::get(url)).await {
        Ok(reply) => reply,
        Err(error) => return failed(tier, &error),
    };
    let skew = skew(&reply, asking.now);
    let mut facts = http::weigh(asking, declared, &reply).await;
    match reply.status {
        401 | 403 => facts.findings = vec![refused(tier, &reply, skew)],
        404 => missing(asking, declared, &reply, &mut facts).await,
        _ => {}
    }
    if reply.status == 200 && has_keys(tier) {
        check_keys(asking, declared, skew, &mut facts).await;
    }
    thrift::keep(asking, &facts);
    facts.findings.extend(clock(tier, skew));
    facts
}

/// Returns whether the bucket itself is to be asked again.
fn head_is_due(asking: &Asking<'_>) -> bool {
    let last: Option<Timestamp> = asking.memory.get(asking.tier, HEAD);
    last.is_none_or(|last| asking.now.duration_since(last) >= HEAD_AGE)
}

/// Returns whether requests are signed.
fn has_keys(tier: &Tier) -> bool {
    matches!(tier.access.login, Login::Keys { .. }) || tier.url.contains("profile=")
}

/// Returns the URL of the bucket itself.
pub(super) fn bucket_url(tier: &Tier) -> String {
    format!("{}/", web_url(tier))
}

/// Says what is wrong when there is no `nix-cache-info`: no bucket, or a bucket that is no cache.
async fn missing(asking: &Asking<'_>, declared: &[Declared], reply: &Reply, facts: &mut TierFacts) {
    let tier = asking.tier;
    facts.state = TierState::Degraded;
    let no_bucket = error_code(&reply.text()).is_some_and(|code| code == "NoSuchBucket")
        || head(asking, declared).await.is_ok_and(|reply| reply.status == 404);
    facts.findings =
        vec![if no_bucket { kinds::no_bucket(tier) } else { kinds::bucket_without_info(tier) }];
}

/// Asks now and then for the bucket itself: keys that do not fit any more show there even while
/// everybody may read its files.
async fn check_keys(
    asking: &Asking<'_>,
    declared: &[Declared],
    skew: Option<SignedDuration>,
    facts: &mut TierFacts,
) {
    let tier = asking.tier;
    if !head_is_due(asking) {
        return;
    }
    match head(asking, declared).await {
        Ok(reply) if matches!(reply.status, 401 | 403) => {
            facts.state = TierState::Unauthorized;
            facts.findings.push(refused(tier, &reply, skew));
        }
        Ok(_) => asking.memory.put(tier, HEAD, &asking.now),
        // What the files said counts.
        Err(_) => {}
    }
}

async fn head(asking: &Asking<'_>, declared: &[Declared]) -> Result<Reply, WebError> {
    asking.web.send(asking.tier, declared, Ask::head(bucket_url(asking.tier))).await
}

/// Says why a bucket does not let us in, and what to do.
fn refused(tier: &Tier, reply: &Reply, skew: Option<SignedDuration>) -> Finding {
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
             (root's AWS credentials): they skip this cache, older Nix without a word"
                .to_owned()
        }
    };
    kinds::bucket_denied(tier, reply.status, code.as_deref(), &why)
}

/// Says why a bucket does not let a host in, which signs with keys of its own, and what to do.
pub(in crate::probe) fn refused_on_host(tier: &Tier, host: &str, reply: &Reply) -> Finding {
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
             cache, older Nix without a word"
        ),
    };
    kinds::bucket_denied(tier, reply.status, code.as_deref(), &why)
}

/// Returns how far this machine's clock is ahead of the server's, which may be behind it.
fn skew(reply: &Reply, now: Timestamp) -> Option<SignedDuration> {
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
async fn held(asking: &Asking<'_>, paths: &[&StorePath]) -> Result<Vec<bool>, WebError> {
    let contents: Option<Contents> = asking.memory.get(asking.tier, CONTENTS);
    let pages = contents.map(|contents| contents.narinfos / PAGE_KEYS + 1);
    let worth = pages.is_some_and(|pages| pages * NARINFOS_PER_PAGE <= paths.len() as u64);
    if worth {
        // Nars lie in a folder of their own, and are left out. Who may not list any more is asked
        // for each.
        if let Some(hashes) = s3_pages::narinfos(asking).await {
            return Ok(paths.iter().map(|path| hashes.contains(path.hash())).collect());
        }
    }
    http::held(asking, REQUESTS, paths).await
}

#[cfg(test)]
mod tests;
