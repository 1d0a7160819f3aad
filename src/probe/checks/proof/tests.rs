//! Probe paths that can be read, and some that can be read no more.

use super::*;
use crate::fleet::{KindName, Tier};
use crate::nix::signature::parse_public_key;
use crate::probe::asking::Tools;
use crate::probe::look::look;
use crate::probe::memory::Memory;
use crate::probe::server::{KEY, NARINFO, PATH, Server};
use crate::probe::transport::http::HttpClient;
use crate::remote::FakeRunner;
use jiff::Timestamp;

const FILE: &str = "/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo";
const OTHER: &str = "/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-b-2.0";
const OTHER_FILE: &str = "/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a.narinfo";

/// A cache at a test's server, probed again and again.
struct ProofTrial {
    server: Server,
    web: HttpClient,
    memory: Memory,
    tier: Tier,
}

impl ProofTrial {
    async fn start() -> Self {
        let server = Server::start(&[
            ("/nix-cache-info", 200, "StoreDir: /nix/store\nPriority: 30\n"),
            (FILE, 200, NARINFO),
            ("/nar/x.nar.xz", 206, "x"),
        ])
        .await;
        let tier = Tier {
            public_key: parse_public_key(KEY).ok(),
            ..Tier::new("x", KindName::Http, &server.url)
        };
        Self { server, web: HttpClient::new().unwrap(), memory: Memory::default(), tier }
    }

    async fn probe(&self) -> TierFacts {
        let (fleet, runner) = (crate::config::fallback(), FakeRunner::unreachable());
        let (web, memory) = (&self.web, &self.memory);
        let tools = Tools { web, runner: &runner, fleet: &fleet, memory };
        let paths = [OTHER, PATH].map(|path| StorePath::parse(path).unwrap());
        look(&tools.asking(&self.tier, &paths, &[], Timestamp::now()), None).await
    }

    /// Returns whether what the tier said before is not to be believed.
    fn lost_probe_path(&self) -> bool {
        self.memory.with(&self.tier, |memory| std::mem::take(&mut memory.is_probe_path_lost))
    }
}

#[tokio::test]
async fn a_403_is_a_miss_until_the_path_could_be_read_before() {
    let trial = ProofTrial::start().await;
    trial.server.set(OTHER_FILE, 403, "");
    let facts = trial.probe().await;
    assert_eq!((facts.state, facts.signature), (TierState::Up, SignatureState::Valid));
    assert!(!trial.lost_probe_path());
    // A token ran out: what Nix would call "not there" from now on.
    trial.server.set(FILE, 403, "");
    let facts = trial.probe().await;
    assert_eq!(facts.state, TierState::Unauthorized);
    assert!(facts.error().unwrap().contains("could read before"), "{facts:?}");
    assert!(trial.lost_probe_path());
    trial.server.set(FILE, 200, NARINFO);
    let facts = trial.probe().await;
    assert_eq!((facts.state, facts.findings), (TierState::Up, Vec::new()));
}

#[tokio::test]
async fn a_401_is_a_refusal_anywhere() {
    let trial = ProofTrial::start().await;
    trial.server.set(OTHER_FILE, 401, "");
    let facts = trial.probe().await;
    assert_eq!(facts.state, TierState::Unauthorized);
    assert!(facts.error().unwrap().contains("valid token"), "{facts:?}");
}

#[tokio::test]
async fn a_probe_path_that_is_gone_or_changed_takes_all_answers_with_it() {
    let trial = ProofTrial::start().await;
    trial.probe().await;
    trial.server.set(FILE, 404, "");
    let facts = trial.probe().await;
    assert_eq!((facts.state, facts.signature), (TierState::Up, SignatureState::Unchecked));
    assert!(trial.lost_probe_path());
    trial.probe().await;
    assert!(!trial.lost_probe_path(), "said once, not with every probe");
    trial.server.set(FILE, 200, NARINFO);
    trial.probe().await;
    trial.server.set(FILE, 200, &NARINFO.replace("NarSize: 120", "NarSize: 121"));
    let facts = trial.probe().await;
    assert_eq!(facts.signature, SignatureState::Invalid);
    assert!(trial.lost_probe_path());
}

#[tokio::test]
async fn a_path_that_needs_no_signature_proves_only_where_nothing_else_does() {
    let trial = ProofTrial::start().await;
    let address = "CA: fixed:r:sha256:0p3l2z3riilylr2rxb1aq2blxdfxg55wbgp4gxkns93srbr4bwyq\n";
    trial.server.set(FILE, 200, &format!("{NARINFO}{address}"));
    let facts = trial.probe().await;
    assert_eq!(facts.signature, SignatureState::Valid);
    assert!(trial.memory.with(&trial.tier, |memory| memory.signed.is_some()));
    trial.server.set(FILE, 404, "");
    trial.probe().await;
    assert!(
        trial.memory.with(&trial.tier, |memory| memory.signed.is_none()),
        "it is served no more"
    );
}

#[tokio::test]
async fn a_tier_of_somebody_else_is_asked_one_thing_a_minute() {
    let trial = ProofTrial::start().await;
    let (fleet, runner) = (crate::config::fallback(), FakeRunner::unreachable());
    let tools = Tools { web: &trial.web, runner: &runner, fleet: &fleet, memory: &trial.memory };
    let whole = TierFacts {
        state: TierState::Up,
        signature: SignatureState::Valid,
        proof: Some("a".to_owned()),
        nar_proof: Some("a is served".to_owned()),
        ..TierFacts::default()
    };
    let public = Tier::new("nixos", KindName::Http, "https://cache.nixos.org");
    for (tier, kept) in [(&public, true), (&trial.tier, false)] {
        let now = Timestamp::now();
        let mut facts = TierFacts { state: TierState::Up, ..TierFacts::default() };
        remember(&tools.asking(tier, &[], &[], now), &whole);
        assert_eq!(recall(&tools.asking(tier, &[], &[], now), &mut facts), kept);
        assert_eq!(facts == whole, kept);
        let later = tools.asking(tier, &[], &[], now + PUBLIC_AGE);
        assert!(!recall(&later, &mut facts), "ten minutes later it is proven anew");
    }
}
