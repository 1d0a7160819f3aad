//! Requests against a small server.

use super::*;
use crate::fleet::{KindName, Login, SecretSource, TierState};
use crate::probe::server::Server;
use crate::probe::transport::budget::Rest;
use crate::probe::transport::login::from_netrc;
use crate::probe::transport::{
    Method, RequestTrouble, RestWish, asks_for_rest, is_declared, is_for_login, own_origin,
};
use reqwest::Url;

static GET: Rules = Rules::new(&[(Method::Get, "*")]);

/// Makes an answer with that status and header.
fn reply(status: u16, retry_after: Option<&str>) -> HttpReply {
    let header = retry_after.map(|text| ("retry-after".to_owned(), text.to_owned()));
    HttpReply {
        status,
        headers: header.into_iter().collect(),
        body: Vec::new(),
        first_byte: Duration::ZERO,
        connect: None,
        is_http2: false,
    }
}

#[test]
fn a_server_that_is_asked_too_often_is_left_alone_for_as_long_as_it_says() {
    let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
    let until = |rest: &Rest| rest.until.map_or(0, |until| until.duration_since(at(0)).as_secs());
    let mut rest = Rest::default();
    let mut note = |reply: &HttpReply, asked_at: i64, now: i64| {
        rest.note(&GET, reply, at(asked_at), at(now));
        (until(&rest), rest.times)
    };
    assert_eq!(note(&reply(429, Some("120")), 0, 1), (121, 1));
    // What was asked before it said so neither adds to it nor ends it.
    assert_eq!(note(&reply(429, None), 0, 2), (121, 1));
    assert_eq!(note(&reply(200, None), 0, 3), (121, 1));
    assert_eq!(note(&reply(503, None), 121, 121), (241, 2), "twice a minute: the second time");
    assert_eq!(note(&reply(503, None), 250, 250), (490, 3));
    assert_eq!(note(&reply(503, Some("99999")), 500, 500), (1400, 4));
    assert_eq!(note(&reply(200, None), 1400, 1401), (0, 0));
    let date = reply(429, Some("Sat, 21 Nov 2020 08:00:00 GMT"));
    assert_eq!(date.retry_after(at(0)), Some(Duration::ZERO));
    let before: Timestamp = "2020-11-21T07:58:00Z".parse().unwrap();
    assert_eq!(date.retry_after(before), Some(Duration::from_secs(120)));
}

#[test]
fn only_429_and_503_ask_to_be_left_alone() {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    assert_eq!(asks_for_rest(&reply(403, Some("60")), now), RestWish::None);
    assert_eq!(asks_for_rest(&reply(503, None), now), RestWish::Rest);
    let minute = RestWish::RestFor(Duration::from_secs(60));
    assert_eq!(asks_for_rest(&reply(429, Some("60")), now), minute);
}

#[tokio::test]
async fn a_tier_whose_month_is_used_up_or_that_wants_rest_is_not_asked() {
    let server = Server::start(&[("/a", 200, "a"), ("/busy", 429, "")]).await;
    let web = HttpClient::new().unwrap();
    let mut tier = Tier::new("x", KindName::Http, &server.url);
    tier.max_requests_per_month = Some(3);
    web.budget.begin_month_with("x", 1);
    let get = |path: &str| HttpRequest::get(format!("{}{path}", server.url));
    let first = web.ask(&tier, &GET, get("/a")).await.unwrap();
    assert!(first.connect.is_some(), "the first request connects");
    let second = web.ask(&tier, &GET, get("/a")).await.unwrap();
    assert_eq!(second.connect, None, "the second one finds the connection open");
    let error = web.ask(&tier, &GET, get("/a")).await.unwrap_err();
    assert_eq!(error.trouble, RequestTrouble::Spent);
    assert!(error.cause.contains("3 of 3 requests"), "{error}");
    assert_eq!((web.budget.take_count("x"), web.budget.take_count("x")), (2, 0));
    assert_eq!(web.budget.requests_this_month("x"), 3);
    tier.max_requests_per_month = None;
    assert_eq!(web.ask(&tier, &GET, get("/busy")).await.unwrap().status, 429);
    let error = web.ask(&tier, &GET, get("/a")).await.unwrap_err();
    assert_eq!(error.trouble, RequestTrouble::Rest);
    assert!(error.cause.contains("left alone"), "{error}");
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn a_tier_whose_secret_cannot_be_read_is_not_asked_and_says_once_what_to_do() {
    let server = Server::start(&[("/a", 200, "a")]).await;
    let web = HttpClient::new().unwrap();
    let unset = SecretSource::Env("NIXDASH_NO_SUCH_VARIABLE".to_owned());
    let mut tiers =
        [KindName::Http, KindName::Seaweedfs].map(|kind| Tier::new(kind.word(), kind, &server.url));
    tiers[0].access.login = Login::Token(unset.clone());
    tiers[1].access.login = Login::Keys { access: unset.clone(), secret: unset };
    for tier in tiers {
        let error =
            web.ask(&tier, &GET, HttpRequest::get(format!("{}/a", server.url))).await.unwrap_err();
        assert_eq!((error.trouble, error.state()), (RequestTrouble::Setup, TierState::Unknown));
        let text = error.to_string();
        assert_eq!(text.matches("hosts.toml").count(), 1, "{text}");
        assert!(text.contains("NIXDASH_NO_SUCH_VARIABLE is not set; set it"), "{text}");
    }
    assert_eq!(server.asked().len(), 0);
}

#[test]
fn only_declared_requests_are_made() {
    let declared = [(Method::Get, "*/nix-cache-info"), (Method::Get, "/dir/status")];
    for (method, path, expected) in [
        (Method::Get, "/nix-cache-info", true),
        (Method::Get, "/cache/nix-cache-info", true),
        (Method::Head, "/nix-cache-info", false),
        (Method::Get, "/dir/status", true),
        (Method::Get, "/col/delete", false),
        (Method::Get, "/dir/status/x", false),
    ] {
        assert_eq!(is_declared(&declared, method, path), expected, "{path}");
    }
}

#[test]
fn a_netrc_gives_the_entry_of_the_host() {
    let text = "machine a.example login me password one\nmachine b.example password two";
    assert_eq!(from_netrc(text, "a.example"), Some(("me".to_owned(), "one".to_owned())));
    assert_eq!(from_netrc(text, "b.example"), Some((String::new(), "two".to_owned())));
    assert_eq!(from_netrc(text, "c.example"), None);
}

#[test]
fn credentials_are_for_the_tiers_own_origin() {
    let tier = Tier::new("x", KindName::Http, "https://cache.example");
    for (url, own) in [
        ("https://cache.example/x", true),
        ("http://cache.example/x", false),
        ("https://cache.example:8443/x", false),
        ("https://evil.example/x", false),
    ] {
        assert_eq!(own_origin(&tier, &Url::parse(url).unwrap()), own, "{url}");
        assert_eq!(is_for_login(&tier, &Url::parse(url).unwrap()), own, "{url}");
    }
}

#[test]
fn the_token_of_a_niks3_server_does_not_go_to_its_bucket() {
    let kind = TierKind::Niks3 { api: Some("https://niks3.example".to_owned()) };
    let tier = Tier::new("x", kind, "https://bucket.example");
    for (url, own) in [
        ("https://niks3.example/api/stats", true),
        ("http://niks3.example/api/stats", false),
        ("https://bucket.example/nix-cache-info", false),
    ] {
        assert_eq!(is_for_login(&tier, &Url::parse(url).unwrap()), own, "{url}");
    }
    let without = Tier::new("x", TierKind::Niks3 { api: None }, "https://niks3.example");
    assert!(is_for_login(&without, &Url::parse("https://niks3.example/x").unwrap()));
}
