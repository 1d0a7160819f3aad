//! Polls hosts that answer and hosts that do not.

use super::*;
use crate::fleet::{Code, HostState, KindName, PathAnswer, ServedFacts, SignatureState, TierState};
use crate::probe::server::{KEY, NARINFO, PATH, Server, narinfo_of};
use crate::remote::{Answer, FakeRunner, Output, Script};
use std::path::Path;

const TOP: &str = "/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-top";

/// A runner whose host `razer` never answers at all, while others do at once.
struct HalfDead(FakeRunner);

impl HalfDead {
    fn new() -> Self {
        Self(FakeRunner::new(|_, script| {
            let stdout = if script.body.contains("--print-dead") {
                "saved\t1\ndead\t2\t3\n".to_owned()
            } else if script.body.contains("path-info --all") {
                "10\t1000\n".to_owned()
            } else if script.body.contains("--recursive") {
                format!("root\t{TOP}\n{TOP}\t216\n")
            } else {
                format!("running\t{TOP}\nend\tok\n")
            };
            Ok(Output { stdout, ..Output::default() })
        }))
    }
}

impl ScriptRunner for HalfDead {
    fn run<'a>(&'a self, host: &'a str, script: &'a Script) -> Answer<'a, Output> {
        if host == "razer" {
            return Box::pin(std::future::pending());
        }
        self.0.run(host, script)
    }

    fn follow<'a>(
        &'a self,
        host: &'a str,
        script: &'a Script,
        _pieces: mpsc::Sender<Vec<u8>>,
    ) -> Answer<'a, Output> {
        self.run(host, script)
    }

    fn address(&self, _host: &str) -> Option<String> {
        None
    }
}

/// Starts polling a fleet of a dead razer and a living samsung.
fn start() -> (Handle, mpsc::Receiver<Event>, CancellationToken) {
    start_with(
        "[hosts.razer]\n[hosts.samsung]\n[[tiers]]\nname = \"ci\"\nkind = \"github-actions\"\n\
         repo = \"me/x\"\n",
    )
}

/// Starts polling a fleet.
fn start_with(text: &str) -> (Handle, mpsc::Receiver<Event>, CancellationToken) {
    let fleet = crate::config::parse(text, Path::new("hosts.toml"), None).unwrap();
    let (sender, receiver) = mpsc::channel(4);
    let cancel = CancellationToken::new();
    let runner = Arc::new(HalfDead::new());
    let handle = Poller::spawn(Arc::new(fleet), runner, sender, Record::default(), cancel.clone());
    (handle, receiver, cancel)
}

/// Waits for an event of that kind.
async fn wait_for(events: &mut mpsc::Receiver<Event>, mut is: impl FnMut(&Event) -> bool) -> Event {
    loop {
        let event = events.recv().await.expect("the poller goes on");
        if is(&event) {
            return event;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_host_delays_no_other() {
    let (_handle, mut events, _cancel) = start();
    let is_host = |event: &Event| matches!(event, Event::Host { .. });
    for _ in 0..3 {
        let Event::Host { host, facts } = wait_for(&mut events, is_host).await else {
            continue;
        };
        assert_eq!((host.as_str(), facts.state), ("samsung", HostState::Up));
    }
    wait_for(&mut events, |event| matches!(event, Event::Store { .. })).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_is_followed_by_every_probe_of_its_host() {
    let (handle, mut events, _cancel) = start();
    let is_store = |event: &Event| matches!(event, Event::Store { host, .. } if host == "samsung");
    wait_for(&mut events, is_store).await;
    let began = tokio::time::Instant::now();
    handle.after_run("samsung");
    wait_for(&mut events, is_store).await;
    assert!(began.elapsed() < Duration::from_secs(60), "not the next one by itself");
    handle.ask("no such host");
    handle.ask_all();
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_poller_ends() {
    let (handle, mut events, cancel) = start();
    events.recv().await;
    cancel.cancel();
    drop(handle);
    while events.recv().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn nix_serve_is_left_alone_while_a_run_fetches_from_it() {
    let (handle, _events, _cancel) = start();
    let serve = Tier::new("p620", KindName::NixServe, "http://p620:5000");
    let other = Tier::new("nixos", KindName::Http, "https://cache.nixos.org");
    let is_busy = |tier: &Tier| handle.shared.is_busy(tier);
    let note = |run: &str, what: RunWhat| {
        handle.note_run(&RunEvent { run: RunId(run.to_owned()), at: Timestamp::now(), what });
    };
    let fetch =
        |state: PhaseState| RunWhat::Phase { host: "razer".to_owned(), phase: Phase::Fetch, state };
    note("1", fetch(PhaseState::Started));
    note("2", fetch(PhaseState::Started));
    assert!(is_busy(&serve) && !is_busy(&other));
    note("1", fetch(PhaseState::Finished));
    assert!(is_busy(&serve), "the other run still fetches");
    handle.note_run_gone(&RunId("2".to_owned()));
    assert!(!is_busy(&serve));
}

/// A fleet with a cache at a server, and a history that another nixdash writes too.
fn beside(server: &Server, dir: &Path) -> (Arc<Fleet>, Recorder) {
    let text = format!(
        "[hosts.samsung]\n[[tiers]]\nname = \"p620\"\nkind = \"nix-serve\"\nurl = \"{}\"\n",
        server.url
    );
    let fleet = Arc::new(crate::config::parse(&text, Path::new("hosts.toml"), None).unwrap());
    let recorder = Recorder::start(dir, Arc::clone(&fleet), |_| {}).unwrap();
    (fleet, recorder)
}

#[tokio::test]
async fn what_another_nixdash_was_told_just_now_is_not_asked_again_unless_somebody_wants_it() {
    let server =
        Server::start(&[("/nix-cache-info", 200, "StoreDir: /nix/store\nPriority: 30\n")]).await;
    let dir = tempfile::tempdir().unwrap();
    let told = TierFacts {
        state: TierState::Slow,
        latency_ms: Some(1234.0),
        asked_at: Some(Timestamp::now()),
        served: Some(ServedFacts::default()),
        ..TierFacts::default()
    };
    let (fleet, recorder) = beside(&server, dir.path());
    recorder.record(&Event::Tier { tier: "p620".to_owned(), facts: Box::new(told.clone()) });
    let path = StorePath::parse(TOP).unwrap();
    let answer = PathAnswer { path, holds: true, at: Timestamp::now() };
    recorder.record_answers("p620", vec![answer]);
    recorder.flush().await;
    let (sender, mut events) = mpsc::channel(64);
    let record = Record { recorder: Some(recorder), runs: None };
    let runner = Arc::new(HalfDead::new());
    let handle = Poller::spawn(fleet, runner, sender, record, CancellationToken::new());
    let (mut latency, mut held) = (None, None);
    wait_for(&mut events, |event| {
        match event {
            Event::Tier { facts, .. } => latency = facts.latency_ms,
            Event::Coverage { facts, .. } => held = Some(facts.tiers["p620"].paths.have),
            _ => {}
        }
        latency.is_some() && held.is_some()
    })
    .await;
    assert_eq!(latency, told.latency_ms);
    assert_eq!(held, Some(1), "the other one was told that it is held");
    assert_eq!(server.asked().len(), 0, "and nobody asked");
    handle.ask_tier("p620");
    let is_up =
        |event: &Event| matches!(event, Event::Tier { facts, .. } if facts.state == TierState::Up);
    wait_for(&mut events, is_up).await;
}

#[tokio::test]
async fn a_probe_path_that_is_gone_takes_all_coverage_with_it() {
    const OTHER: &str = "/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-b-2.0";
    const PROBE_FILE: &str = "/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo";
    const SECOND: &str = "/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a.narinfo";
    let server = Server::start(&[
        ("/nix-cache-info", 200, "StoreDir: /nix/store\nPriority: 30\n"),
        (PROBE_FILE, 200, NARINFO),
        (SECOND, 200, &narinfo_of(OTHER)),
        ("/nar/x.nar.xz", 206, "x"),
    ])
    .await;
    let text = format!(
        "[hosts.samsung]\n[[tiers]]\nname = \"x\"\nkind = \"http\"\nurl = \"{}\"\n\
         public_key = \"{KEY}\"\nevery = \"1s\"\n",
        server.url
    );
    let fleet = crate::config::parse(&text, Path::new("hosts.toml"), None).unwrap();
    let runner = FakeRunner::new(|_, script| {
        let stdout = if script.body.contains("--recursive") {
            format!("root\t{PATH}\n{PATH}\t216\n{OTHER}\t100\n")
        } else {
            format!("running\t{PATH}\nend\tok\n")
        };
        Ok(Output { stdout, ..Output::default() })
    });
    let (sender, mut events) = mpsc::channel(4);
    let cancel = CancellationToken::new();
    let handle =
        Poller::spawn(Arc::new(fleet), Arc::new(runner), sender, Record::default(), cancel.clone());
    let held = |event: &Event| {
        let Event::Coverage { facts, .. } = event else { return None };
        Some(facts.tiers.get("x")?.paths.have)
    };
    let proven = |event: &Event| {
        let Event::Tier { facts, .. } = event else { return false };
        facts.signature == SignatureState::Valid
    };
    let story = async {
        let (mut is_proven, mut is_covered) = (false, false);
        wait_for(&mut events, |event| {
            is_proven |= proven(event);
            is_covered |= held(event) == Some(2);
            is_proven && is_covered
        })
        .await;
        // What it was seen to hold is believed: a path that is gone since is not noticed yet.
        server.set(SECOND, 404, "");
        handle.after_run("samsung");
        let Event::Coverage { facts, .. } = wait_for(&mut events, |e| held(e).is_some()).await
        else {
            panic!("no coverage");
        };
        assert_eq!(facts.tiers["x"].paths.have, 2);
        server.set(PROBE_FILE, 404, "");
        handle.ask_tier("x");
        wait_for(&mut events, |event| held(event) == Some(0)).await;
    };
    tokio::time::timeout(Duration::from_secs(30), story).await.expect("coverage is asked anew");
}

#[tokio::test(start_paused = true)]
async fn a_store_is_looked_at_closely_but_not_in_the_first_minutes() {
    let text = "[hosts.samsung]\n[[tiers]]\nname = \"store\"\nkind = \"local\"\n";
    let (handle, mut events, _cancel) = start_with(text);
    let began = tokio::time::Instant::now();
    let depths = |event: &Event| match event {
        Event::Tier { facts, .. } => facts.depths.get("samsung").copied(),
        _ => None,
    };
    let found = wait_for(&mut events, |event| depths(event).is_some()).await;
    assert!(began.elapsed() >= Duration::from_secs(600), "{:?}", began.elapsed());
    let first = depths(&found).unwrap();
    assert_eq!((first.saved_bytes, first.dead_paths, first.dead_bytes), (1, 2, 3));
    // It is not due again, but somebody may ask.
    let again = handle.look_closely("samsung");
    let told = wait_for(&mut events, |event| depths(event).is_some_and(|depth| depth != first));
    let (again, _) = tokio::join!(again, told);
    assert!(again.unwrap().unwrap().measured_at > first.measured_at);
}

#[tokio::test]
async fn a_nar_is_verified_when_somebody_asks_and_the_tier_tells_it() {
    let narinfo = narinfo_of(TOP);
    let files = [
        ("/nix-cache-info", 200, "StoreDir: /nix/store\nPriority: 30\n"),
        ("/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo", 200, narinfo.as_str()),
    ];
    let server = Server::start(&files).await;
    let text = format!(
        "[hosts.samsung]\n[[tiers]]\nname = \"x\"\nkind = \"http\"\nurl = \"{}\"\n\
         [[tiers]]\nname = \"store\"\nkind = \"local\"\n",
        server.url
    );
    let (handle, mut events, _cancel) = start_with(&text);
    let none = handle.verify("store").await.unwrap().unwrap_err();
    assert!(matches!(none, VerifyError::ServesNone { .. }), "{none}");
    assert!(handle.verify("y").await.is_none(), "the fleet has no such tier");
    let story = async {
        wait_for(&mut events, |event| matches!(event, Event::Coverage { .. })).await;
        let found = handle.verify("x");
        let is_told = |event: &Event| match event {
            Event::Tier { tier, facts } => {
                tier == "x" && facts.findings.iter().any(|one| one.code == Code::NarMissing)
            }
            _ => false,
        };
        let (found, _) = tokio::join!(found, wait_for(&mut events, is_told));
        found.unwrap().unwrap()
    };
    let found = tokio::time::timeout(Duration::from_secs(30), story).await.expect("it is verified");
    assert_eq!(found.is_same, Some(false), "its nar is not there: {found:?}");
}
