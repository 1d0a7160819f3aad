//! Every kind of tier that has no real server in the tests, against a recorded one.

mod attic;
mod cachix;
mod github;
mod harmonia;
mod ncps;
mod nix_serve;
mod server;
mod thrift;

use jiff::{SignedDuration, Timestamp};
use nixdash::fleet::{
    ClosurePath, Code, Fleet, KindName, Login, SecretSource, SizeFacts, StorePath, Tier, TierFacts,
    TierState,
};
use nixdash::nix::signature::parse_public_key;
use nixdash::probe::{HttpClient, Memory, RequestError, Tools, kind_of, look_at_tier};
use nixdash::remote::FakeRunner;
use server::Recorded;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A path whose narinfo is signed by [`KEY`].
pub(crate) const PATH: &str = "/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-a-1.0";

/// Its hash.
pub(crate) const HASH: &str = "p21fy4sc5b87h3ma8y0mbiph36v5yfk7";

/// A path that no recorded cache holds.
pub(crate) const MISSING: &str = "/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-b-2.0";

/// The key that signed the narinfo of [`PATH`].
pub(crate) const KEY: &str = "test-1:84lYE1B4WYBhgRnr4i3CGQuBrqMejfmimNytE5731+M=";

/// Another key of that name.
pub(crate) const OTHER_KEY: &str = "test-1:NiNfYW82Gw9o49ng/jhUKy3RmtBlesa/LQ0HuCcuSeU=";

/// A secret that must be in no output.
pub(crate) const CANARY: &str = "canary-secret-5f1d";

/// A tier with what its probe works with, and a clock that is turned by hand.
pub(crate) struct Scene {
    pub(crate) tier: Tier,
    pub(crate) now: Timestamp,
    web: HttpClient,
    clock: Arc<Mutex<Timestamp>>,
    memory: Memory,
    fleet: Fleet,
    secrets: tempfile::TempDir,
}

impl Scene {
    /// Makes a tier of a kind at an address.
    pub(crate) fn new(kind: KindName, url: &str) -> Self {
        // What was captured of a real atticd is signed by the key that it made for itself.
        let key = if kind == KindName::Attic { attic::KEY } else { KEY };
        let tier = Tier { public_key: parse_public_key(key).ok(), ..Tier::new("x", kind, url) };
        let now: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
        let clock = Arc::new(Mutex::new(now));
        let shown = Arc::clone(&clock);
        Self {
            tier,
            now,
            web: HttpClient::with_clock(move || *shown.lock().unwrap()).unwrap(),
            clock,
            memory: Memory::default(),
            fleet: nixdash::config::fallback(),
            secrets: tempfile::tempdir().unwrap(),
        }
    }

    /// Gives the tier a token.
    pub(crate) fn token(mut self, token: &str) -> Self {
        self.tier.access.login = Login::Token(self.secret("token", token));
        self
    }

    /// Writes a secret into a file.
    pub(crate) fn secret(&self, name: &str, text: &str) -> SecretSource {
        let path = self.secrets.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        SecretSource::File(path)
    }

    /// Lets time pass.
    pub(crate) fn later(&mut self, time: SignedDuration) {
        self.now += time;
        *self.clock.lock().unwrap() = self.now;
    }

    /// Looks at the tier, with two paths to prove with.
    pub(crate) async fn look(&self) -> TierFacts {
        let paths = [MISSING, PATH].map(|path| StorePath::parse(path).unwrap());
        let runner = FakeRunner::unreachable();
        let tools =
            Tools { web: &self.web, runner: &runner, fleet: &self.fleet, memory: &self.memory };
        let facts = look_at_tier(&tools.asking(&self.tier, &paths, &[], self.now), None).await;
        let json = serde_json::to_string(&facts).unwrap();
        assert!(!json.contains(CANARY), "a secret is shown: {json}");
        facts
    }

    /// Asks which of these the tier holds.
    pub(crate) async fn holds(&self, paths: &[&str]) -> Result<Vec<bool>, RequestError> {
        let paths: Vec<StorePath> = paths.iter().map(|p| StorePath::parse(p).unwrap()).collect();
        let paths: Vec<&StorePath> = paths.iter().collect();
        let runner = FakeRunner::unreachable();
        let tools =
            Tools { web: &self.web, runner: &runner, fleet: &self.fleet, memory: &self.memory };
        let asking = tools.asking(&self.tier, &[], &[], self.now);
        asking.kind.holds(&asking, &paths).await
    }

    /// Asks how big the tier is, when closures have these paths of these sizes.
    pub(crate) async fn size(
        &self,
        closure: &[(&str, u64)],
    ) -> Result<Option<SizeFacts>, RequestError> {
        let closure: Vec<ClosurePath> = closure
            .iter()
            .map(|(path, nar_size)| ClosurePath {
                path: StorePath::parse(path).unwrap(),
                nar_size: *nar_size,
            })
            .collect();
        let runner = FakeRunner::unreachable();
        let tools =
            Tools { web: &self.web, runner: &runner, fleet: &self.fleet, memory: &self.memory };
        let asking = tools.asking(&self.tier, &[], &closure, self.now);
        asking.kind.size(&asking).await
    }
}

/// Returns the error of facts that have one, and checks the state.
pub(crate) fn error(facts: &TierFacts, state: TierState) -> String {
    assert_eq!(facts.state, state, "{facts:#?}");
    facts.error().unwrap()
}

/// Returns the texts of the details with a label.
pub(crate) fn details(facts: &TierFacts, label: &str) -> Vec<String> {
    let wanted = facts.details.iter().filter(|detail| detail.label == label);
    wanted.map(|detail| detail.text.clone()).collect()
}

/// Returns the causes of the findings with a code.
pub(crate) fn causes(facts: &TierFacts, code: Code) -> Vec<&str> {
    let wanted = facts.findings.iter().filter(|finding| finding.code == code);
    wanted.map(|finding| finding.cause.as_str()).collect()
}

/// Returns an address at which nothing listens.
pub(crate) fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Puts a server into each state in which any server fails, and checks what a kind makes of it.
/// `address` makes the tier's address of the server's.
pub(crate) async fn every_way_to_fail(
    kind: KindName,
    server: &Recorded,
    address: impl Fn(&str) -> String,
    let_in: &[(&str, &str)],
) {
    let scene = || Scene::new(kind, &address(&server.url));
    for (file, word) in let_in {
        server.always(Some(file));
        let facts = scene().look().await;
        let said = error(&facts, TierState::Unauthorized);
        assert!(said.contains(word), "{file}: {said}");
    }
    for file in ["500.http", "garbage.http"] {
        server.always(Some(file));
        let facts = scene().look().await;
        let said = error(&facts, TierState::Degraded);
        assert!(
            said.contains(if file == "500.http" { "500" } else { "no valid " }),
            "{file}: {said}"
        );
    }
    server.always(Some("429.http"));
    let mut throttled = scene();
    let facts = throttled.look().await;
    let said = error(&facts, TierState::Degraded);
    assert!(said.contains("429") && said.contains("left alone until 08:02:00 UTC"), "{said}");
    assert!(facts.measured_at.is_some());
    server.always(None);
    // Asked to stay away for two minutes, it is left alone for two minutes.
    server.take_asked();
    throttled.later(SignedDuration::from_secs(60));
    assert_eq!(throttled.look().await, facts, "what it was when it said so");
    assert_eq!(server.take_lines(), Vec::<String>::new());
    throttled.later(SignedDuration::from_secs(61));
    assert_eq!(throttled.look().await.state, TierState::Up);
    server.delay(Duration::from_millis(1100));
    let slow = scene().look().await;
    assert_eq!(slow.state, TierState::Slow, "{slow:#?}");
    server.delay(Duration::ZERO);
    let down = Scene::new(kind, &address(&nowhere())).look().await;
    assert!(error(&down, TierState::Down).contains("nothing listens there"), "{down:#?}");
    assert_eq!((down.latency_ms, down.measured_at), (None, None));
}

/// Checks that the product's own list of requests is the one kept with the answers.
pub(crate) fn declares_what_is_kept(kind: KindName, server: &Recorded) {
    let mut own: Vec<String> = kind_of(&Tier::new("x", kind, ""))
        .rules()
        .requests
        .iter()
        .map(|(method, pattern)| format!("{} {pattern}", format!("{method:?}").to_uppercase()))
        .collect();
    let mut kept = server.declared();
    own.sort();
    kept.sort();
    assert_eq!(own, kept);
}
