//! A bucket in each state, on answers of real servers.

use super::*;
use crate::fleet::KindName;
use crate::probe::asking::Tools;
use crate::probe::memory::Memory;
use crate::probe::server::Server;
use crate::probe::transport::http::HttpClient;
use crate::remote::FakeRunner;

const INFO: &str = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 45\n";
const DENIED: &str = include_str!("../../../../tests/answers/s3/seaweedfs-denied.xml");
const V1: &str = include_str!("../../../../tests/answers/s3/seaweedfs-list-v1.xml");
const V2: &str = include_str!("../../../../tests/answers/s3/seaweedfs-list-v2.xml");
const LAST: &str = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents>\
    <Key>nar/x</Key><Size>7</Size></Contents></ListBucketResult>";

/// A bucket `b` on a server, and what its probe remembers.
struct TestBucket {
    server: Server,
    tier: Tier,
    web: HttpClient,
    memory: Memory,
    runner: FakeRunner,
    fleet: crate::fleet::Fleet,
}

impl TestBucket {
    async fn with(files: &[(&str, u16, &str)]) -> Self {
        let server = Server::start(files).await;
        let url = format!("s3://b?endpoint={}&region=eu-1", server.url);
        let text = format!("[[tiers]]\nname = \"b\"\nkind = \"s3\"\nurl = \"{url}\"\n");
        let fleet = crate::config::parse(&text, std::path::Path::new("/hosts.toml"), None).unwrap();
        Self {
            server,
            tier: Tier::new("b", KindName::S3, &url),
            web: HttpClient::new().unwrap(),
            memory: Memory::default(),
            runner: FakeRunner::unreachable(),
            fleet,
        }
    }

    fn asking(&self) -> Asking<'_> {
        let Self { web, runner, fleet, memory, .. } = self;
        Tools { web, runner, fleet, memory }.asking(&self.tier, &[], &[], Timestamp::now())
    }

    async fn facts(files: &[(&str, u16, &str)]) -> TierFacts {
        S3.look(&Self::with(files).await.asking()).await
    }
}

fn error(code: &str) -> String {
    DENIED.replace("AccessDenied", code)
}

#[tokio::test]
async fn a_bucket_that_lets_us_read_is_up() {
    let facts = TestBucket::facts(&[("/b/nix-cache-info", 200, INFO)]).await;
    assert_eq!((facts.state, facts.priority, facts.error()), (TierState::Up, Some(45), None));
}

#[tokio::test]
async fn what_refuses_us_says_what_to_do() {
    for (code, word) in [
        ("AccessDenied", "add access_key"),
        ("SignatureDoesNotMatch", "region is another"),
        ("InvalidAccessKeyId", "not known there"),
        ("RequestTimeTooSkewed", "clock of this machine is off"),
        ("ExpiredToken", "have expired"),
    ] {
        let facts = TestBucket::facts(&[("/b/nix-cache-info", 403, &error(code))]).await;
        let said = facts.error().unwrap();
        assert_eq!(facts.state, TierState::Unauthorized, "{said}");
        assert!(said.contains(code) && said.contains(word), "{said}");
    }
    let facts = TestBucket::facts(&[("/b/nix-cache-info", 401, "")]).await;
    assert_eq!(facts.state, TierState::Unauthorized);
}

#[tokio::test]
async fn what_is_no_cache_is_told_apart() {
    let no_bucket = error("NoSuchBucket");
    let no_key = error("NoSuchKey");
    for (files, state, word) in [
        (
            vec![("/b/nix-cache-info", 404, no_bucket.as_str())],
            TierState::Degraded,
            "no such bucket",
        ),
        (
            vec![("/b/nix-cache-info", 404, no_key.as_str()), ("/b/", 200, "")],
            TierState::Degraded,
            "without Priority",
        ),
        (vec![("/b/nix-cache-info", 503, "")], TierState::Degraded, "503"),
        (vec![("/b/nix-cache-info", 429, "")], TierState::Degraded, "too many requests"),
        (
            vec![("/b/nix-cache-info", 200, "StoreDir: /gnu/store\n")],
            TierState::WrongStore,
            "/gnu/store",
        ),
    ] {
        let facts = TestBucket::facts(&files).await;
        let said = facts.error().unwrap().replace('\n', " ");
        assert_eq!(facts.state, state, "{said}");
        assert!(said.contains(word), "{said}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_down() {
    let mut bucket = TestBucket::with(&[]).await;
    bucket.tier = Tier::new("b", KindName::S3, "s3://b?endpoint=http://127.0.0.1:1");
    let facts = S3.look(&bucket.asking()).await;
    assert_eq!(facts.state, TierState::Down);
    assert!(facts.error().unwrap().contains("127.0.0.1:1/b/nix-cache-info"));
}

#[tokio::test]
async fn a_server_with_the_older_list_only_is_counted_too() {
    let old = V1.replace("<NextMarker>11.narinfo</NextMarker>", "");
    for (status, first) in [(501, DENIED), (200, V1), (200, &old)] {
        let bucket = TestBucket::with(&[
            ("/b/?list-type=2&max-keys=1000", status, first),
            ("/b/?max-keys=1000", 200, V1),
            ("/b/?marker=11.narinfo&max-keys=1000", 200, LAST),
        ])
        .await;
        let size = S3.size(&bucket.asking()).await.unwrap().unwrap();
        assert_eq!((size.objects, size.bytes, size.exact), (Some(4), 3 * 51 + 7, true), "{first}");
    }
}

#[tokio::test]
async fn the_newer_list_goes_on_by_its_token() {
    let bucket = TestBucket::with(&[
        ("/b/?list-type=2&max-keys=1000", 200, V2),
        ("/b/?continuation-token=11.narinfo&list-type=2&max-keys=1000", 200, LAST),
        ("/b/nix-cache-info", 200, INFO),
    ])
    .await;
    let size = S3.size(&bucket.asking()).await.unwrap().unwrap();
    assert_eq!((size.objects, size.exact), (Some(4), true));
    let facts = S3.look(&bucket.asking()).await;
    assert_eq!(facts.details[0].text, "3 narinfos, 1 nars of 7 B, 0 others");
    assert_eq!(bucket.server.asked().len(), 3);
}

#[tokio::test]
async fn a_bucket_that_may_not_be_listed_has_no_size() {
    let bucket = TestBucket::with(&[("/b/?list-type=2&max-keys=1000", 403, DENIED)]).await;
    assert_eq!(S3.size(&bucket.asking()).await.unwrap(), None);
    let bucket = TestBucket::with(&[("/b/?list-type=2&max-keys=1000", 500, "")]).await;
    assert!(S3.size(&bucket.asking()).await.is_err());
}

#[test]
fn clocks_are_compared_with_the_date_of_the_answer() {
    let reply = |date: &str| HttpReply {
        status: 403,
        headers: [("date".to_owned(), date.to_owned())].into(),
        body: Vec::new(),
        first_byte: std::time::Duration::ZERO,
        connect: None,
        is_http2: false,
    };
    let now: Timestamp = "2026-11-21T08:36:18Z".parse().unwrap();
    let date = reply("Sat, 21 Nov 2026 08:56:18 GMT");
    let off = skew(&date, now).unwrap();
    assert_eq!(clock_words(off), "this machine's clock is 20 min behind the server's");
    let tier = Tier::new("b", KindName::S3, "s3://b");
    let said = refused(&tier, &date, Some(off)).sentence();
    assert!(said.contains("20 min behind the server's: set it"), "{said}");
    assert_eq!(clock(&tier, Some(off)).unwrap().code, Code::ClockSkew);
    assert_eq!(clock(&tier, Some(SignedDuration::from_secs(30))), None);
    assert_eq!(skew(&reply("yesterday"), now), None);
}

#[test]
fn the_bucket_and_its_list_are_declared() {
    assert!(REQUESTS.contains(&(Method::Head, "*/")));
    let tier = Tier::new("b", KindName::S3, "s3://b?endpoint=http://h:1");
    assert_eq!(bucket_url(&tier), "http://h:1/b/");
}
