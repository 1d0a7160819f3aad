use super::*;
use crate::fleet::{Code, KindName};
use crate::probe::asking::Tools;
use crate::probe::look::holds;
use crate::probe::server::{NARINFO, PATH, Server};
use crate::probe::transport::http::HttpClient;
use crate::remote::FakeRunner;
use jiff::Timestamp;

const PAGE: &str = "<!DOCTYPE html><html><body>Log in: <a href=\"x\">here</a></body></html>\n";

/// Returns a path and its narinfo; nothing in it is signed.
fn entry(number: u32) -> (StorePath, String) {
    let path =
        format!("/nix/store/{}-v-{number}", format!("{number:032}").replace(['e', 'o'], "0"));
    let path = StorePath::parse(&path).unwrap();
    let text = NARINFO.replace(PATH, path.as_str());
    (path, text)
}

/// What a cache of some kind said of paths, and of itself afterwards.
struct HeldTrial {
    held: Result<Vec<bool>, RequestError>,
    facts: TierFacts,
    at_most: bool,
    asked: Vec<String>,
}

/// Asks a cache that answers this for each of these paths.
async fn ask_cache(kind: KindName, answers: &[(u16, String)], paths: &[StorePath]) -> HeldTrial {
    let server = Server::start(&[]).await;
    for (path, (status, body)) in paths.iter().zip(answers) {
        server.set(&format!("/{}.narinfo", path.hash()), *status, body);
    }
    server.set("/version", 200, "harmonia-cache 3.2.0");
    let (fleet, runner) = (crate::config::fallback(), FakeRunner::unreachable());
    let (web, memory) = (HttpClient::new().unwrap(), Memory::default());
    let tools = Tools { web: &web, runner: &runner, fleet: &fleet, memory: &memory };
    let tier = Tier::new("x", kind, &server.url);
    let asking = tools.asking(&tier, &[], &[], Timestamp::now());
    let all: Vec<&StorePath> = paths.iter().collect();
    let held = holds(&asking, &all).await;
    let mut facts = TierFacts { state: TierState::Up, ..TierFacts::default() };
    add_unreadable(&asking, &mut facts);
    HeldTrial {
        held,
        facts,
        at_most: is_upper_bound(&memory, &tier, Timestamp::now()),
        asked: server.asked(),
    }
}

#[tokio::test]
async fn a_page_is_no_narinfo_and_410_is_missing() {
    let entries: Vec<(StorePath, String)> = (0..4).map(entry).collect();
    let paths: Vec<StorePath> = entries.iter().map(|(path, _)| path.clone()).collect();
    let answers = [
        (200, entries[0].1.clone()),
        (200, PAGE.to_owned()),
        (410, String::new()),
        // The narinfo of another path.
        (200, entries[0].1.clone()),
    ];
    for kind in [KindName::Http, KindName::NixServe] {
        let said = ask_cache(kind, &answers, &paths).await;
        assert_eq!(said.held.unwrap(), [true, false, false, false], "{kind:?}");
        assert_eq!(said.facts.state, TierState::Malformed);
        let finding = &said.facts.findings[0];
        assert_eq!(finding.code, Code::NarinfoMalformed);
        assert!(finding.cause.contains(paths[1].name()), "{}", finding.cause);
        // Every answer was read: the figure is exact.
        assert!(!said.at_most);
    }
}

#[tokio::test]
async fn behind_a_login_page_nothing_is_known() {
    let paths: Vec<StorePath> = (0..9).map(|number| entry(number).0).collect();
    let answers = vec![(200, PAGE.to_owned()); 9];
    for kind in [KindName::Http, KindName::NixServe, KindName::Harmonia] {
        let said = ask_cache(kind, &answers, &paths).await;
        let error = said.held.unwrap_err();
        assert!(error.cause.contains("what it holds is not known"), "{kind:?}: {}", error.cause);
    }
}

#[tokio::test]
async fn where_only_heads_are_asked_for_five_are_read() {
    let entries: Vec<(StorePath, String)> = (0..40).map(entry).collect();
    let paths: Vec<StorePath> = entries.iter().map(|(path, _)| path.clone()).collect();
    let good: Vec<(u16, String)> = entries.iter().map(|(_, text)| (200, text.clone())).collect();
    let said = ask_cache(KindName::Harmonia, &good, &paths).await;
    assert_eq!(said.held.unwrap(), [true; 40]);
    assert_eq!((said.facts.state, said.at_most), (TierState::Up, false));
    // A request may be made twice where a kept connection ended.
    let reads = said.asked.iter().filter(|asked| asked.contains("narinfo")).count();
    assert!((40 + SAMPLE..60).contains(&reads), "{reads}");
    // Half of them are pages: of five, one is (nearly) always among them, and not all are.
    let half: Vec<(u16, String)> = good
        .iter()
        .enumerate()
        .map(|(at, answer)| if at % 2 == 0 { answer.clone() } else { (200, PAGE.to_owned()) })
        .collect();
    let mut seen = 0;
    for _ in 0..8 {
        let said = ask_cache(KindName::Harmonia, &half, &paths).await;
        if said.at_most {
            assert_eq!(said.facts.state, TierState::Malformed);
            assert!(said.held.unwrap().iter().filter(|holds| **holds).count() < 40);
            seen += 1;
        }
    }
    assert!(seen > 0, "eight samples of five found none of twenty pages");
}

#[tokio::test]
async fn what_is_known_to_be_bad_is_asked_for_alone_without_an_error() {
    let (good, bad) = (entry(1), entry(2));
    let server = Server::start(&[]).await;
    server.set(&format!("/{}.narinfo", good.0.hash()), 200, &good.1);
    server.set(&format!("/{}.narinfo", bad.0.hash()), 200, PAGE);
    let (fleet, runner) = (crate::config::fallback(), FakeRunner::unreachable());
    let (web, memory) = (HttpClient::new().unwrap(), Memory::default());
    let tools = Tools { web: &web, runner: &runner, fleet: &fleet, memory: &memory };
    let tier = Tier::new("x", KindName::Http, &server.url);
    let asking = tools.asking(&tier, &[], &[], Timestamp::now());
    assert_eq!(holds(&asking, &[&good.0, &bad.0]).await.unwrap(), [true, false]);
    assert_eq!(holds(&asking, &[&bad.0]).await.unwrap(), [false]);
    // Once it is mended, nothing is said of it any more.
    server.set(&format!("/{}.narinfo", bad.0.hash()), 200, &bad.1);
    assert_eq!(holds(&asking, &[&bad.0]).await.unwrap(), [true]);
    let mut facts = TierFacts { state: TierState::Up, ..TierFacts::default() };
    add_unreadable(&asking, &mut facts);
    assert_eq!((facts.state, facts.findings.len()), (TierState::Up, 0));
}
