//! Redirects by servers at several addresses of this machine, which stand for other places.

use super::*;
use crate::fleet::{KindName, Login, SecretSource, TierState};
use crate::probe::server::{EndlessServer, Server};
use crate::probe::transport::names::Names;
use crate::probe::transport::{CACHE_REQUESTS, RequestTrouble};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const FILE: &str = "/x.narinfo";

static RULES: Rules = Rules::new(CACHE_REQUESTS);

/// Takes 127.0.0.1 for this machine, and its other loopback addresses for the world outside.
fn reach(address: IpAddr) -> Reach {
    match Reach::of(address) {
        Reach::Loopback if address.to_canonical() != IpAddr::from([127, 0, 0, 1]) => Reach::Public,
        other => other,
    }
}

/// Makes a client for which every name means these addresses, one list after the other.
fn web(answers: &'static [&'static [&'static str]]) -> HttpClient {
    let asked = Arc::new(AtomicUsize::new(0));
    let names = Names::with(
        move |_| {
            let at = asked.fetch_add(1, Ordering::SeqCst).min(answers.len().saturating_sub(1));
            let found = answers.get(at).copied().unwrap_or_default();
            Box::pin(async move { Ok(found.iter().map(|text| text.parse().unwrap()).collect()) })
        },
        reach,
    );
    HttpClient::new().unwrap().with_names(names)
}

/// Asks a server for the file, and follows.
async fn ask(web: &HttpClient, server: &Server) -> Result<HttpReply, RequestError> {
    let tier = Tier::new("x", KindName::Http, &server.url);
    web.ask(&tier, &RULES, HttpRequest::get(format!("{}{FILE}", server.url)).follow()).await
}

#[tokio::test]
async fn a_redirect_to_another_question_is_not_followed() {
    let master = Server::start(&[("/col/delete?collection=nix", 200, "{}")]).await;
    let to = format!("{}/col/delete?collection=nix", master.url);
    let server = Server::start(&[(FILE, 302, &to)]).await;
    let error = ask(&HttpClient::new().unwrap(), &server).await.unwrap_err();
    assert_eq!((error.trouble, error.state()), (RequestTrouble::Redirect, TierState::Degraded));
    assert!(error.cause.contains("/col/delete, where nixdash does not follow"), "{error}");
    assert_eq!(master.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn the_same_question_elsewhere_is_asked_without_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "hunter2").unwrap();
    let mirror = Server::start(&[(FILE, 200, "there")]).await;
    let server = Server::start(&[("/y.narinfo", 200, "here")]).await;
    let mut tier = Tier::new("x", KindName::Http, &server.url);
    tier.access.login = Login::Token(SecretSource::File(file));
    let web = HttpClient::new().unwrap();
    for (to, body) in
        [(format!("{}{FILE}", mirror.url), "there"), ("/y.narinfo".to_owned(), "here")]
    {
        server.set(FILE, 307, &to);
        let ask = HttpRequest::get(format!("{}{FILE}", server.url)).follow();
        assert_eq!(web.ask(&tier, &RULES, ask).await.unwrap().text(), body);
    }
    assert_eq!(server.authorized(), [FILE, FILE]);
    assert_eq!((mirror.asked().len(), mirror.authorized().len()), (1, 0));
}

#[tokio::test]
async fn a_server_far_away_sends_us_to_nothing_near() {
    if is_proxied(&Tier::new("x", KindName::Http, "http://x")) {
        return;
    }
    let near = Server::start(&[(FILE, 200, "secret")]).await;
    let port = near.url.rsplit(':').next().unwrap().to_owned();
    for (host, web) in [
        ("127.0.0.1", web(&[])),
        ("[::ffff:127.0.0.1]", web(&[])),
        ("inner.example", web(&[&["127.0.0.1"]])),
        // A name that is harmless when it is judged, and means something else right after.
        ("rebound.example", web(&[&["127.0.0.3"], &["127.0.0.1"]])),
    ] {
        let far = Server::start_at("127.0.0.2", &[]).await;
        far.set(FILE, 302, &format!("http://{host}:{port}{FILE}"));
        let error = ask(&web, &far).await.unwrap_err();
        assert_eq!(error.trouble, RequestTrouble::Redirect, "{host}: {error}");
        assert!(error.cause.contains("a public address sends to a loopback"), "{host}: {error}");
        assert_eq!((far.asked().len(), near.asked().len()), (1, 0), "{host}");
    }
    // Who is as near may.
    let beside = Server::start(&[(FILE, 302, &format!("{}{FILE}", near.url))]).await;
    assert_eq!(ask(&web(&[]), &beside).await.unwrap().text(), "secret");
}

#[tokio::test]
async fn of_a_name_with_several_addresses_only_those_far_away_are_asked() {
    if is_proxied(&Tier::new("x", KindName::Http, "http://x")) {
        return;
    }
    let far = Server::start_at("127.0.0.3", &[(FILE, 200, "mirror")]).await;
    let port = far.url.rsplit(':').next().unwrap();
    let near = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await.unwrap();
    let to = format!("http://both.example:{port}{FILE}");
    let server = Server::start_at("127.0.0.2", &[(FILE, 302, &to)]).await;
    let web = web(&[&["127.0.0.1", "127.0.0.3"]]);
    assert_eq!(ask(&web, &server).await.unwrap().text(), "mirror");
    assert_eq!(web.budget.requests_this_month("x"), 2, "both requests count");
    drop(near);
}

#[tokio::test]
async fn a_server_that_another_names_is_asked_as_one_that_it_redirects_to() {
    let near = Server::start(&[(FILE, 200, "secret")]).await;
    let tier = Tier::new("x", KindName::Http, &near.url);
    let web = web(&[]);
    let ask = |by: &str| {
        let ask = HttpRequest::get(format!("{}{FILE}", near.url)).told_by(by);
        web.ask(&tier, &RULES, ask)
    };
    let error = ask("http://127.0.0.2:1").await.unwrap_err();
    assert_eq!((error.trouble, near.asked().len()), (RequestTrouble::Redirect, 0));
    assert_eq!(ask("http://127.0.0.1:1").await.unwrap().text(), "secret");
}

#[tokio::test]
async fn at_most_three_redirects_are_followed() {
    let server = Server::start(&[(FILE, 302, FILE)]).await;
    let error = ask(&HttpClient::new().unwrap(), &server).await.unwrap_err();
    assert!(error.cause.contains("more than three redirects"), "{error}");
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn an_answer_without_an_end_is_read_to_the_limit() {
    let server = EndlessServer::start().await;
    let tier = Tier::new("x", KindName::Http, &server.url);
    let ask = HttpRequest::get(format!("{}{FILE}", server.url)).follow();
    let reply = HttpClient::new().unwrap().ask(&tier, &RULES, ask).await.unwrap();
    assert_eq!(reply.body.len(), crate::nix::narinfo::SIZE_LIMIT);
    assert!(server.sent() < 64 << 20, "{}", server.sent());
}
