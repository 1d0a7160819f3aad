//! Goes over the list of a bucket, page by page.
//!
//! A big bucket has hundreds of pages, and a list that was broken off (by a limit of time, a
//! failure) goes on where it was: the next page and the sums so far are remembered after every page.
//! What is not counted to its end is "at least".

use crate::fleet::{SizeFacts, Tier};
use crate::nix::s3_url::bucket_of;
use crate::probe::asking::Asking;
use crate::probe::checks::answer::read_aside;
use crate::probe::kinds::s3::list::{Contents, Page};
use crate::probe::kinds::s3::{bucket_url, remembered};
use crate::probe::transport::{HttpRequest, RequestError};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::Instant;

/// Longest page of a list that is read, in bytes: 1000 keys of 1 kB, and some.
const PAGE_LIMIT: usize = 4 << 20;

/// Most pages that are asked for in a row: two million objects.
const PAGES: usize = 2000;

/// How long they may take in a row: less than the poller gives a size.
const TIME: Duration = Duration::from_mins(4);

/// How long a place in the list is good for: servers do not say.
const AGE: SignedDuration = SignedDuration::from_hours(1);

/// A place in a list: which list, and where its next page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cursor {
    version: u8,
    next: Option<String>,
}

/// A list that is not at its end, and what was counted so far.
#[derive(Clone)]
pub(super) struct Listing {
    at: Timestamp,
    cursor: Cursor,
    contents: Contents,
    /// The first key of every page.
    firsts: HashSet<String>,
}

/// How it goes on after a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// There are more.
    More,
    /// That was the last.
    End,
    /// There are more, and the server does not say where, or leads in a circle: why, in a sentence.
    Stuck(&'static str),
}

/// Why a list that is said to go on cannot be followed.
const NO_PLACE: &str = "the server says that there are more objects and not where its list goes on, so there are at \
     least as many as were counted";

/// Why a list that comes back to where it was is not followed.
const CIRCLE: &str = "the server sends a page of its list again instead of the next one, so there are at least as \
     many objects as were counted";

/// Why a bucket was not listed.
enum Unlisted {
    /// It may not be listed with these keys, or without any.
    Refused,
    /// The place where it should go on is not taken.
    Lost,
    /// Something went wrong.
    Trouble(RequestError),
}

impl Cursor {
    /// Begins with the newer list.
    fn first() -> Self {
        Self { version: 2, next: None }
    }
}

/// Returns the hashes of all narinfos of a bucket by its list; nothing when it cannot be listed to
/// its end.
pub(super) async fn narinfos(asking: &Asking<'_>) -> Option<HashSet<String>> {
    let mut hashes = HashSet::new();
    let (mut cursor, mut firsts) = (Cursor::first(), HashSet::new());
    for _ in 0..PAGES {
        let (page, after) = page(asking, true, &mut cursor).await.ok()?;
        if is_repeated(&page, &mut firsts) {
            return None;
        }
        let keys = page.objects.iter().filter_map(|(key, _)| key.strip_suffix(".narinfo"));
        hashes.extend(keys.map(str::to_owned));
        match after {
            After::More => {}
            After::End => return Some(hashes),
            After::Stuck(_) => return None,
        }
    }
    None
}

/// Counts what a bucket holds, from where the last count was broken off; nothing when it may not be
/// listed. Broken off again, it says what is known so far.
pub(super) async fn measure(asking: &Asking<'_>) -> Result<Option<SizeFacts>, RequestError> {
    // From here it would be asked without the keys of the host that it is to be asked from.
    if asking.tier.via.is_some() {
        return Ok(None);
    }
    let began = Instant::now();
    let fresh = || Listing {
        at: asking.now,
        cursor: Cursor::first(),
        contents: Contents::default(),
        firsts: HashSet::new(),
    };
    let kept = remembered(asking, |bucket| bucket.listing.clone());
    let kept = kept.filter(|listing| asking.now.duration_since(listing.at) < AGE);
    let mut may_begin_anew = kept.is_some();
    let mut listing = kept.unwrap_or_else(fresh);
    for _ in 0..PAGES {
        let (page, after) = match page(asking, false, &mut listing.cursor).await {
            Ok(found) => found,
            Err(Unlisted::Lost) if may_begin_anew => {
                (listing, may_begin_anew) = (fresh(), false);
                continue;
            }
            Err(Unlisted::Refused | Unlisted::Lost) => {
                remembered(asking, |bucket| bucket.listing = None);
                return Ok(None);
            }
            Err(Unlisted::Trouble(error)) => return so_far(asking).map(Some).ok_or(error),
        };
        may_begin_anew = false;
        let after = if is_repeated(&page, &mut listing.firsts) {
            After::Stuck(CIRCLE)
        } else {
            for (key, bytes) in &page.objects {
                listing.contents.add(key, *bytes);
            }
            after
        };
        listing.at = asking.now;
        match after {
            After::End => return Ok(Some(finish(asking, &listing.contents))),
            After::Stuck(why) => {
                remembered(asking, |bucket| (bucket.listing, bucket.endless) = (None, Some(why)));
                return Ok(Some(size(asking, &listing.contents, false)));
            }
            After::More => {
                let listing = Some(listing.clone());
                remembered(asking, |bucket| bucket.listing = listing);
            }
        }
        if began.elapsed() > TIME {
            break;
        }
    }
    Ok(so_far(asking))
}

/// Returns what is known of the size of a bucket while its list is not at its end: the size of its
/// last whole list, with its age, else what was counted so far.
pub(super) fn so_far(asking: &Asking<'_>) -> Option<SizeFacts> {
    let (listing, whole) =
        remembered(asking, |bucket| (bucket.listing.clone(), bucket.whole.clone()));
    let listing = listing?;
    // More than there was is news, though it is not all.
    let whole = whole.filter(|whole| whole.bytes >= listing.contents.bytes);
    Some(whole.unwrap_or_else(|| size(asking, &listing.contents, false)))
}

/// Returns whether a page was there before: then its objects are counted already. Servers differ in the
/// order of their lists, but none begins two pages with one key.
fn is_repeated(page: &Page, firsts: &mut HashSet<String>) -> bool {
    page.objects.first().is_some_and(|(key, _)| !firsts.insert(key.clone()))
}

/// Keeps what a whole list said.
fn finish(asking: &Asking<'_>, contents: &Contents) -> SizeFacts {
    let size = size(asking, contents, true);
    remembered(asking, |bucket| {
        (bucket.listing, bucket.endless) = (None, None);
        bucket.contents = Some(*contents);
        bucket.whole = Some(size.clone());
    });
    size
}

/// Makes a size that was measured now.
fn size(asking: &Asking<'_>, contents: &Contents, exact: bool) -> SizeFacts {
    SizeFacts {
        bytes: contents.bytes,
        objects: Some(contents.objects),
        limit: asking.tier.max_size,
        exact,
        measured_at: Some(asking.now),
    }
}

/// Reads the page at a place of the list, all of it or what lies outside of folders, and moves on.
///
/// Servers that do not know the newer list answer an error, or the older list, which has no token
/// for its next page: then that one is asked for.
async fn page(
    asking: &Asking<'_>,
    top_only: bool,
    cursor: &mut Cursor,
) -> Result<(Page, After), Unlisted> {
    loop {
        let url = list_url(asking.tier, cursor, top_only);
        let ask = HttpRequest::get(url).limit(PAGE_LIMIT);
        let reply = asking.send(ask).await.map_err(Unlisted::Trouble)?;
        let is_old = cursor.version == 1;
        let page = match reply.status {
            200 => read_aside(reply.body, |body| Page::parse(&String::from_utf8_lossy(body)))
                .await
                .flatten(),
            401 | 403 => return Err(Unlisted::Refused),
            _ => None,
        };
        let prefix = bucket_of(asking.tier).and_then(|bucket| bucket.prefix);
        let page = page.map(|page| page.below(prefix.as_deref()));
        if let Some(page) = page.filter(|page| is_old || !page.truncated || page.token.is_some()) {
            let next = if is_old { page.marker.clone() } else { page.token.clone() };
            let after = match &next {
                None if page.truncated => After::Stuck(NO_PLACE),
                None => After::End,
                _ if next == cursor.next => After::Stuck(CIRCLE),
                Some(_) => After::More,
            };
            cursor.next = next;
            return Ok((page, after));
        }
        let is_first = cursor.next.is_none();
        if !is_old && is_first && !matches!(reply.status, 429 | 503) {
            cursor.version = 1;
            continue;
        }
        if !is_first && matches!(reply.status, 400..=428) {
            return Err(Unlisted::Lost);
        }
        let cause = format!("answered {} for its list", reply.status);
        let hint = "without the list, the size is not known and coverage is found more slowly";
        return Err(Unlisted::Trouble(RequestError::new(&asking.tier.url, &cause, hint)));
    }
}

/// Returns the URL of a page of the list.
fn list_url(tier: &Tier, cursor: &Cursor, top_only: bool) -> String {
    let mut query: Vec<(&str, &str)> = Vec::new();
    if top_only {
        query.push(("delimiter", "/"));
    }
    match (cursor.version, cursor.next.as_deref()) {
        (1, Some(next)) => query.push(("marker", next)),
        (1, None) => {}
        (_, Some(next)) => query.extend([("continuation-token", next), ("list-type", "2")]),
        (_, None) => query.push(("list-type", "2")),
    }
    query.push(("max-keys", "1000"));
    let prefix =
        bucket_of(tier).and_then(|bucket| bucket.prefix).map(|prefix| format!("{prefix}/"));
    query.extend(prefix.as_deref().map(|prefix| ("prefix", prefix)));
    let base = bucket_url(tier);
    match reqwest::Url::parse_with_params(&base, &query) {
        Ok(url) => url.into(),
        Err(_) => base,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::KindName;
    use crate::probe::asking::{TierProbe as _, Tools};
    use crate::probe::kinds::s3::S3;
    use crate::probe::memory::Memory;
    use crate::probe::server::Server;
    use crate::probe::transport::http::HttpClient;
    use crate::remote::FakeRunner;

    const FIRST: &str = "/b/?list-type=2&max-keys=1000";

    /// Returns the path of the page at a token.
    fn at(token: &str) -> String {
        format!("/b/?continuation-token={token}&list-type=2&max-keys=1000")
    }

    /// Makes a page of one object, with the token of the next.
    fn page(bytes: u64, next: Option<&str>) -> String {
        let token =
            next.map(|next| format!("<NextContinuationToken>{next}</NextContinuationToken>"));
        format!(
            "<ListBucketResult><IsTruncated>{}</IsTruncated><Contents><Key>nar/{bytes}</Key>\
             <Size>{bytes}</Size></Contents>{}</ListBucketResult>",
            next.is_some(),
            token.unwrap_or_default()
        )
    }

    /// A bucket of three pages, listed again and again.
    struct PagesTrial {
        server: Server,
        web: HttpClient,
        memory: Memory,
        tier: Tier,
        now: Timestamp,
    }

    impl PagesTrial {
        async fn start() -> Self {
            let server = Server::start(&[]).await;
            server.set(FIRST, 200, &page(1, Some("one")));
            server.set(&at("one"), 200, &page(10, Some("two")));
            server.set(&at("two"), 200, &page(100, None));
            let tier = Tier::new("b", KindName::S3, &format!("s3://b?endpoint={}", server.url));
            let (web, memory) = (HttpClient::new().unwrap(), Memory::default());
            Self { server, web, memory, tier, now: Timestamp::now() }
        }

        /// Measures; returns bytes, whether they are all, and what was asked for.
        async fn size(&self) -> (Result<Option<(u64, bool)>, RequestError>, Vec<String>) {
            let (fleet, runner) = (crate::config::fallback(), FakeRunner::unreachable());
            let tools =
                Tools { web: &self.web, runner: &runner, fleet: &fleet, memory: &self.memory };
            let before = self.server.asked().len();
            let size = S3.size(&tools.asking(&self.tier, &[], &[], self.now)).await;
            let size = size.map(|size| size.map(|size| (size.bytes, size.exact)));
            (size, self.server.asked().split_off(before))
        }
    }

    #[tokio::test]
    async fn a_list_that_was_broken_off_goes_on_where_it_was() {
        let mut trial = PagesTrial::start().await;
        trial.server.set(&at("two"), 500, "");
        assert_eq!(trial.size().await.0, Ok(Some((11, false))), "at least");
        trial.server.set(&at("two"), 200, &page(100, None));
        trial.now += SignedDuration::from_mins(20);
        let (size, asked) = trial.size().await;
        assert_eq!(size, Ok(Some((111, true))));
        assert_eq!(asked, [at("two")]);
        // What is whole is not added to: the next time it begins again.
        trial.now += SignedDuration::from_mins(20);
        let (size, asked) = trial.size().await;
        assert_eq!((size, asked.len()), (Ok(Some((111, true))), 3));
        // Broken off again, the last whole list is what is known, until more than that is counted.
        trial.server.set(&at("two"), 500, "");
        assert_eq!(trial.size().await.0, Ok(Some((111, true))));
        trial.server.set(&at("two"), 200, &page(1000, Some("three")));
        trial.server.set(&at("three"), 500, "");
        assert_eq!(trial.size().await.0, Ok(Some((1011, false))));
    }

    #[tokio::test]
    async fn a_page_that_comes_again_is_not_counted_again_and_the_size_is_not_called_exact() {
        let trial = PagesTrial::start().await;
        // A server that does not know the token sends the first page for it, as the last one.
        trial.server.set(&at("one"), 200, &page(1, None));
        assert_eq!(trial.size().await.0, Ok(Some((1, false))));
        let why = || {
            trial.memory.part(&trial.tier, |bucket: &mut super::super::BucketMemory| bucket.endless)
        };
        assert_eq!(why(), Some(CIRCLE));
        // In a circle of two pages, each is counted once.
        trial.server.set(&at("one"), 200, &page(10, Some("two")));
        trial.server.set(&at("two"), 200, &page(1, Some("one")));
        let (size, asked) = trial.size().await;
        assert_eq!((size, asked.len()), (Ok(Some((11, false))), 3));
        // A list that says that it goes on and not where.
        let cut = page(10, Some("")).replace("<NextContinuationToken></NextContinuationToken>", "");
        trial.server.set(&at("one"), 200, &cut);
        trial.server.set("/b/?marker=nar%2F10&max-keys=1000", 200, &page(5, None));
        assert!(!trial.size().await.0.is_ok_and(|size| size.is_some_and(|(_, exact)| exact)));
        trial.server.set(&at("one"), 200, &page(10, None));
        assert_eq!(trial.size().await.0, Ok(Some((11, true))));
        assert_eq!(why(), None, "what was wrong is forgotten");
    }

    #[tokio::test]
    async fn a_cache_below_a_prefix_counts_its_own_objects_only() {
        let trial = PagesTrial::start().await;
        let url = format!("s3://b/nix?endpoint={}", trial.server.url);
        let list = "<ListBucketResult><IsTruncated>false</IsTruncated>\
            <Contents><Key>nix/a.narinfo</Key><Size>5</Size></Contents>\
            <Contents><Key>nixos/b.narinfo</Key><Size>70</Size></Contents></ListBucketResult>";
        trial.server.set("/b/?list-type=2&max-keys=1000&prefix=nix%2F", 200, list);
        let trial = PagesTrial { tier: Tier { url, ..trial.tier.clone() }, ..trial };
        assert_eq!(trial.size().await.0, Ok(Some((5, true))));
        let contents = trial
            .memory
            .part(&trial.tier, |bucket: &mut super::super::BucketMemory| bucket.contents);
        assert_eq!(contents.map(|contents| contents.narinfos), Some(1));
    }

    #[tokio::test]
    async fn a_list_that_is_dropped_in_the_middle_is_not_lost() {
        let trial = PagesTrial::start().await;
        trial.server.set(&at("two"), 500, "");
        let waits = trial.size();
        // As a limit of time does it: after two pages were read.
        let broken_off = async {
            while trial.server.asked().len() < 3 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = broken_off => {}
            _ = waits => {}
        }
        trial.server.set(&at("two"), 200, &page(100, None));
        let (size, asked) = trial.size().await;
        assert_eq!((size, asked), (Ok(Some((111, true))), vec![at("two")]));
    }

    #[tokio::test]
    async fn a_place_that_is_old_or_not_taken_any_more_leads_to_the_beginning() {
        let mut trial = PagesTrial::start().await;
        trial.server.set(&at("two"), 500, "");
        trial.size().await.0.unwrap();
        trial.server.set(&at("two"), 200, &page(100, None));
        trial.now += AGE;
        let (size, asked) = trial.size().await;
        assert_eq!((size, asked[0].as_str()), (Ok(Some((111, true))), FIRST));

        trial.server.set(&at("two"), 500, "");
        trial.size().await.0.unwrap();
        trial.server.set(&at("two"), 400, "");
        let (size, asked) = trial.size().await;
        assert_eq!(asked[..2], [at("two"), FIRST.to_owned()]);
        assert_eq!(size, Ok(None), "a place that is never taken is the end of it");
        assert_eq!(asked.len(), 4, "and it does not go round and round");
    }

    #[test]
    fn a_page_is_asked_for_by_its_place() {
        let tier = Tier::new("b", KindName::S3, "s3://b?endpoint=http://h:1");
        let cursor = Cursor { version: 2, next: Some("a b".to_owned()) };
        assert_eq!(
            list_url(&tier, &cursor, true),
            "http://h:1/b/?delimiter=%2F&continuation-token=a+b&list-type=2&max-keys=1000"
        );
    }
}
