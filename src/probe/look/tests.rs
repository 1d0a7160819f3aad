//! A tier that is asked from a host.

use super::*;
use crate::fleet::{KindName, Share, SignatureState, Tier};
use crate::nix::signature::parse_public_key;
use crate::probe::coverage::covered;
use crate::probe::memory::Memory;
use crate::probe::on_host::parse;
use crate::probe::server::{KEY, NARINFO, PATH, Server};
use crate::probe::transport::http::HttpClient;
use crate::remote::{Remote, Script, ScriptRunner as _};
use std::sync::Arc;

const OTHER: &str = "/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-b-2.0";

#[tokio::test]
async fn a_tier_is_probed_by_the_curl_of_a_host() {
    let server = Server::start(&[
        ("/nix-cache-info", 200, "StoreDir: /nix/store\nPriority: 30\n"),
        ("/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo", 200, NARINFO),
        ("/nar/x.nar.xz", 200, "the whole nar, whatever was asked for"),
    ])
    .await;
    // A host without an address is this machine, which has a curl of its own.
    let mut fleet = crate::config::fallback();
    fleet.hosts[0].name = "here".to_owned();
    let runner = Remote::new(Arc::new(fleet.clone()));
    if !runner.run("here", &Script::new("command -v curl")).await.unwrap().is_ok() {
        return;
    }
    let (web, memory) = (HttpClient::new().unwrap(), Memory::default());
    let settings = "curl\tyes\n---\nrequire-sigs = false\n";
    on_host::put_view(&memory, "here", parse("here", settings, Timestamp::now()));
    let tools = Tools { web: &web, runner: &runner, fleet: &fleet, memory: &memory };
    let tier = Tier {
        via: Some("here".to_owned()),
        public_key: parse_public_key(KEY).ok(),
        ..Tier::new("x", KindName::NixServe, &server.url)
    };
    let paths = [OTHER, PATH].map(|path| StorePath::parse(path).unwrap());
    let asking = tools.asking(&tier, &paths, &[], Timestamp::now());
    let facts = look(&asking, None).await;
    assert_eq!((facts.state, facts.signature), (TierState::Up, SignatureState::Valid));
    assert_eq!(facts.proof.as_deref(), Some("a-1.0, signed by test-1, asked from here"));
    assert_eq!(facts.nar_proof.as_deref(), Some("a-1.0 answers (content not checked)"));
    assert!(facts.latency_ms.is_some() && facts.connect_ms.is_some());
    let all: Vec<&StorePath> = paths.iter().collect();
    assert_eq!(holds(&asking, &all).await, Ok(vec![false, true]));
    assert_eq!(web.budget.requests_this_month("x"), 7);
    assert!(server.most_open() <= 2);
    let entries = paths.clone().map(|path| crate::fleet::ClosurePath { path, nar_size: 1 });
    assert_eq!(covered(&entries, |path| path.as_str() == PATH).0, Share { have: 1, total: 2 });
}
