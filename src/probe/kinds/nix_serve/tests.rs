use super::*;
use crate::fleet::{KindName, Tier};
use crate::probe::asking::Tools;
use crate::probe::look::look;
use crate::probe::memory::Memory;
use crate::probe::server::Server;
use crate::probe::transport::http::HttpClient;
use crate::remote::write_program;
use crate::remote::{FakeRunner, Trouble};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// A minute with 14 narinfos of others, two of them missing.
const BUSY: &str = "cursor\ts=1;i=9\nread\t40\nown\t6\nothers\t27\nhits\t12\nmisses\t2\nnars\t12\n\
                    gone\t1\n";

/// A tier whose host answers as it is told to.
struct Scene {
    server: Server,
    web: HttpClient,
    memory: Memory,
    tier: Tier,
    runner: FakeRunner,
    says: Arc<Mutex<Result<Output, RemoteError>>>,
    now: Timestamp,
}

impl Scene {
    /// Makes one that is up.
    async fn new() -> Self {
        let says = Arc::new(Mutex::new(Ok(Output::default())));
        let said = Arc::clone(&says);
        let server =
            Server::start(&[("/nix-cache-info", 200, "StoreDir: /nix/store\nPriority: 30\n")])
                .await;
        let tier = Tier {
            host: Some("p620".to_owned()),
            ..Tier::new("p620", KindName::NixServe, &server.url)
        };
        Self {
            tier,
            server,
            web: HttpClient::new().unwrap(),
            memory: Memory::default(),
            runner: FakeRunner::new(move |_, _| said.lock().unwrap().clone()),
            says,
            now: "2026-11-21T08:00:00Z".parse().unwrap(),
        }
    }

    /// Lets the host answer so from now on.
    fn say(&self, code: i32, stdout: &str, stderr: &str) {
        let (stdout, stderr) = (stdout.to_owned(), stderr.to_owned());
        *self.says.lock().unwrap() = Ok(Output { code, stdout, stderr });
    }

    /// Looks so many seconds later.
    async fn look(&mut self, seconds: i64) -> TierFacts {
        self.now += SignedDuration::from_secs(seconds);
        let fleet = crate::config::fallback();
        let tools =
            Tools { web: &self.web, runner: &self.runner, fleet: &fleet, memory: &self.memory };
        look(&tools.asking(&self.tier, &[], &[], self.now), None).await
    }

    /// Looks twice, so that a place in the log is known.
    async fn begun() -> Self {
        let mut scene = Self::new().await;
        scene.say(0, "cursor\ts=1;i=1\nread\t1\n", "");
        assert_eq!(scene.look(0).await.served, None);
        assert!(scene.runner.asked().is_empty(), "who asks once has no use for a place in a log");
        assert_eq!(scene.look(10).await.served, None);
        assert_eq!(scene.runner.asked()[0].1.args, ["nix-serve.service", "", "100000"]);
        scene
    }
}

fn log_of(facts: &TierFacts) -> &str {
    facts.details.iter().find(|detail| detail.label == "log").unwrap().text.as_str()
}

#[tokio::test]
async fn narinfos_are_counted_from_where_reading_stopped_and_once() {
    let mut scene = Scene::begun().await;
    scene.say(0, BUSY, "");
    assert_eq!(scene.look(50).await.served, None, "it is not time yet");
    let facts = scene.look(10).await;
    let served = facts.served.unwrap();
    assert_eq!(served.answered, Some(Share { have: 12, total: 14 }));
    assert!((served.requests_per_s.unwrap() - 26.0 / 60.0).abs() < 1e-9, "{served:?}");
    assert!((served.not_found.unwrap() - 3.0 / 26.0).abs() < 1e-9, "{served:?}");
    assert_eq!(
        log_of(&facts),
        "12 of 14 narinfos and 11 of 12 nars found in the last 1 min 00 s (read just now)"
    );
    let facts = scene.look(20).await;
    assert_eq!(facts.served, Some(ServedFacts { answered: None, ..served }));
    assert!(log_of(&facts).ends_with("(read 20 s ago)"), "{facts:?}");
    scene.look(40).await;
    let asked = scene.runner.asked();
    let from: Vec<&str> = asked.iter().map(|(_, script)| script.args[1].as_str()).collect();
    assert_eq!(from, ["", "s=1;i=1", "s=1;i=9"]);
    assert!(asked.iter().all(|(host, script)| host == "p620" && script.root));
}

#[tokio::test]
async fn a_log_that_says_nothing_of_requests_is_no_hit_rate_of_nothing() {
    let mut scene = Scene::begun().await;
    scene.tier.kind = TierKind::NixServe { unit: Some("cache.service".to_owned()) };
    scene.say(0, "read\t0\nown\t0\nothers\t0\nhits\t0\nmisses\t0\nnars\t0\ngone\t0\n", "");
    scene.look(60).await;
    let facts = scene.look(60).await;
    assert_eq!((facts.state, facts.served), (TierState::Up, None));
    assert!(log_of(&facts).starts_with("cache.service says nothing of requests"), "{facts:?}");
    let asked = scene.runner.asked();
    assert_eq!(asked.last().unwrap().1.args[..2], ["cache.service", "s=1;i=1"]);
    scene.say(0, BUSY, "");
    assert!(scene.look(60).await.served.is_some());
}

#[tokio::test]
async fn requests_that_cannot_be_told_from_ours_are_not_counted() {
    let mut scene = Scene::begun().await;
    scene.say(0, &BUSY.replace("own\t6", "own\t0"), "");
    scene.look(60).await;
    let facts = scene.look(60).await;
    assert_eq!(facts.served, None);
    assert!(log_of(&facts).contains("cannot be told from others"), "{facts:?}");
}

#[tokio::test]
async fn what_is_left_of_a_log_that_lost_lines_is_no_count() {
    let mut scene = Scene::begun().await;
    let dropped = journal(&["Suppressed 120 messages from nix-serve.service"]);
    scene.say(0, &format!("{BUSY}{}", count_in(&dropped, "s=a;i=0", "9").stdout), "");
    let facts = scene.look(60).await;
    assert_eq!(facts.served, None);
    assert!(log_of(&facts).starts_with("journald dropped 120 lines"), "{facts:?}");
}

#[tokio::test]
async fn a_journal_that_may_not_be_read_says_what_to_do() {
    let mut scene = Scene::new().await;
    scene.look(0).await;
    scene.say(77, "", "me may not read the journal\n");
    let facts = scene.look(10).await;
    assert_eq!((facts.state, facts.served), (TierState::Up, None));
    let said = log_of(&facts);
    assert!(said.contains("me may not read the journal of p620"), "{said}");
    assert!(said.contains("systemd-journal"), "{said}");
    let asked = scene.runner.asked();
    assert_eq!(asked.iter().map(|(_, script)| script.root).collect::<Vec<_>>(), [true, false]);
}

#[tokio::test]
async fn a_host_that_is_away_keeps_its_place_in_the_log() {
    let mut scene = Scene::begun().await;
    *scene.says.lock().unwrap() =
        Err(RemoteError::new("p620", Trouble::Unreachable, "No route to host"));
    let facts = scene.look(60).await;
    assert_eq!((facts.state, facts.served), (TierState::Up, None));
    assert!(log_of(&facts).contains("No route to host"), "{facts:?}");
    scene.say(0, BUSY, "");
    let facts = scene.look(60).await;
    assert_eq!(facts.served.unwrap().answered, Some(Share { have: 12, total: 14 }));
    let asked = scene.runner.asked().len();
    scene.server.set("/nix-cache-info", 200, "StoreDir: /nix/store\nPriority: 30\n");
    scene.tier.url = "http://127.0.0.1:1".to_owned();
    scene.tier.name = "p620".to_owned();
    scene.web = HttpClient::new().unwrap();
    assert_eq!(scene.look(60).await.served, None);
    assert_eq!(scene.runner.asked().len(), asked, "a server that is down is not asked about");
}

/// Runs the script with a journalctl that prints a file whatever it is asked.
fn count_in(lines: &str, from: &str, limit: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    std::fs::write(&log, lines).unwrap();
    let program = folder.path().join("journalctl");
    write_program(&program, "#!/bin/sh\nexec cat \"${0%/*}/log\"\n");
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let output = Command::new("/bin/sh")
        .args(["-c", SCRIPT, "sh", "nix-serve.service", from, limit])
        .env("PATH", path)
        .output()
        .unwrap();
    Output {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Lines of a journal as `journalctl --output=json` prints them.
fn journal(messages: &[&str]) -> String {
    let line = |(number, message): (usize, &&str)| {
        let line = serde_json::json!({"__CURSOR": format!("s=a;i={number}"), "MESSAGE": message});
        format!("{line}\n")
    };
    messages.iter().enumerate().map(line).collect()
}

const HASH: &str = "p21fy4sc5b87h3ma8y0mbiph36v5yfk7";

#[test]
fn the_script_tells_whose_requests_there_were_and_how_they_ended() {
    let request = |what: &str, status: u16, agent: &str| {
        format!(
            "192.168.1.7 - - [21/Nov/2026:08:00:00 +0000] \"{what} HTTP/1.1\" {status} 441 \"\" \
             \"{agent}\""
        )
    };
    let narinfo = format!("GET /{HASH}.narinfo");
    let nix = "curl/8.14.1 Nix/2.31.2";
    let lines = [
        "Started nix-serve binary cache server.".to_owned(),
        request(&narinfo, 200, nix),
        request(&format!("{narinfo}?x=1"), 404, nix),
        request(&narinfo, 404, ""),
        request(&narinfo, 200, "nixdash/0.1.0"),
        request(&narinfo, 404, "nixdash/verify"),
        request(&narinfo, 500, nix),
        request(&format!("HEAD /{HASH}.narinfo"), 200, nix),
        request("GET /nix-cache-info", 200, nix),
        request("GET /short.narinfo", 400, nix),
        request(&format!("GET /nar/{HASH}-1.nar"), 200, "a \\ \" client"),
        request(&format!("GET /nar/{HASH}-2.nar"), 404, nix),
        format!("GET /{HASH}.narinfo 200"),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let output = count_in(&journal(&lines), "s=a;i=0", "1000");
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
    let counts = LogCounts { hits: 1, misses: 2, nars: 2, gone: 1 };
    let cursor = Some("s=a;i=12".to_owned());
    assert_eq!(read(&output.stdout), LogFound { cursor, own: 2, others: 9, dropped: 0, counts });
    let part = read(&count_in(&journal(&lines), "s=a;i=0", "2").stdout);
    assert_eq!((part.cursor.as_deref(), part.others), (Some("s=a;i=1"), 1));
    let none = read(&count_in("", "s=a;i=0", "1000").stdout);
    assert_eq!(none, LogFound::default());
}

#[test]
fn the_script_says_when_the_journal_may_not_be_read() {
    let output = count_in("", "", "1000");
    assert_eq!(output.code, 77);
    assert!(output.complaint().ends_with(" may not read the journal"), "{output:?}");
    let first = read(&count_in(&journal(&["anything"]), "", "1000").stdout);
    assert_eq!(first.cursor.as_deref(), Some("s=a;i=0"));
}
