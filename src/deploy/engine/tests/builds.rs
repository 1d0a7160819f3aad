//! What is told of a build: what failed because of what.

use super::target::{NEW, Story, Target, assert_ends, deploy};
use crate::fleet::{Code, HostBuilds, Outcome, Phase, RunId, RunWhat};
use crate::record::Runs;
use crate::remote::Trouble;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

/// A build of four derivations of which the first fails, as Nix 2.26 printed it.
const FAILED: &str = include_str!("../../../../tests/nix-logs/deps-2.26.log");

/// Their files, as the script prints them.
fn derivations() -> String {
    include_str!("../../../../tests/nix-logs/deps-2.26.drvs").replace('\t', "\n")
}

/// A target of which the build fails.
fn fails() -> Target {
    Target { log: FAILED.to_owned(), exit: 1, derivations: derivations(), ..Target::default() }
}

/// Returns what was told that the build came to.
fn builds(story: &Story) -> Option<HostBuilds> {
    story.events.iter().find_map(|event| match &event.what {
        RunWhat::Builds { host, builds } if host == "samsung" => Some(builds.clone()),
        _ => None,
    })
}

/// Returns the lines of the log that say that something is not known.
fn unknown(story: &Story) -> usize {
    let logged = story.logged(Phase::Build);
    logged.iter().filter(|line| line.contains("could not be read on samsung")).count()
}

#[tokio::test(start_paused = true)]
async fn a_failed_build_names_what_failed_because_of_what() {
    let dir = tempfile::tempdir().unwrap();
    let runs = Runs::open(dir.path()).unwrap();
    let run = runs.begin(None).unwrap().run().clone();
    let streams = Some(runs.streams(&run, 1 << 30));
    let story = assert_ends("", Target { streams, ..fails() }, Outcome::Failed).await;
    assert_eq!(story.code(), Some(Code::BuildFailed));
    let error = story.error();
    let begins =
        "samsung could not be built on samsung: part77.c:3:10: error: implicit declaration";
    let ends = "; libgit-1.8 and top-1 failed because of zlib-1.3";
    assert!(error.starts_with(begins) && error.ends_with(ends), "{error}");
    assert!(error.contains(" (builder for '"), "{error}");
    assert_eq!(unknown(&story), 0);
    assert_eq!(runs.edges(&run, "samsung").len(), 4);
    assert_eq!(runs.edges(&RunId("8".to_owned()), "samsung").len(), 0);
    // What is to be built is read once, behind compare; here the builds of the recording are others.
    let asked: Vec<String> = story
        .scripts("derivations")
        .iter()
        .map(|script| String::from_utf8_lossy(&script.stdin).into_owned())
        .collect();
    assert_eq!(asked[0], format!("{NEW}.drv\n"));
}

#[tokio::test(start_paused = true)]
async fn without_the_derivations_only_what_failed_by_itself_is_named() {
    for target in [
        Target { derivations: String::new(), ..fails() },
        Target { always: [("derivations", Trouble::Unreachable)].into(), ..fails() },
    ] {
        let story = assert_ends("", target, Outcome::Failed).await;
        let begins = "samsung could not be built on samsung: part77.c:3:10: error: implicit";
        assert!(story.error().starts_with(begins), "{}", story.error());
        assert_eq!(unknown(&story), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_build_came_to_is_told_whether_it_failed_or_not() {
    let story = assert_ends("", fails(), Outcome::Failed).await;
    let builds = builds(&story).unwrap();
    assert_eq!((builds.build_on.as_str(), builds.built, builds.failed), ("samsung", 1, 1));
    assert_eq!((builds.dependency_failed, builds.already_there), (2, Some(0)));
    let said = "1 built, 1 failed, 2 not built because of that";
    let logged = story.logged(Phase::Build);
    assert!(logged.contains(&said), "{logged:?}");
    let nothing = Target { built: true, ..Target::default() };
    assert_eq!(self::builds(&deploy("", nothing).await), None);
}

#[tokio::test(start_paused = true)]
async fn a_build_that_works_waits_for_no_derivation() {
    let always = [("derivations", Trouble::Slow(std::time::Duration::from_secs(30)))].into();
    let story = deploy("", Target { always, ..Target::default() }).await;
    assert_eq!(story.result.outcome, Outcome::Switched, "{}", story.error());
    let built = Target { built: true, ..Target::default() };
    let story = deploy("", built).await;
    assert_eq!(story.scripts("derivations").len(), 0, "nothing is to be built");
}

/// The same build where no line of what failed was printed, as a machine does that builds quietly.
fn quiet() -> String {
    let is_output = |line: &&str| line.contains("\"type\":101");
    FAILED
        .lines()
        .filter(|line| !is_output(line))
        .fold(String::new(), |all, line| all + line + "\n")
}

/// Its log as the store keeps it.
const LOG: &str = "here\n@nix { \"action\": \"setPhase\", \"phase\": \"buildPhase\" }\ngcc -c part77.c\r\n\
                   part77.c:3:10: error: implicit declaration of function\u{1b}]0;x\u{7}\n@nix is no word\n\
                   make: *** [Makefile:3: part77.o] Error 1\n";

#[tokio::test(start_paused = true)]
async fn the_log_of_what_failed_is_fetched_where_the_build_did_not_print_it() {
    let target = Target { log: quiet(), build_log: LOG.to_owned(), ..fails() };
    let story = assert_ends("", target, Outcome::Failed).await;
    let error = story.error();
    let said = ": part77.c:3:10: error: implicit declaration of function (";
    assert!(error.contains(said), "{error}");
    let logged = story.logged(Phase::Build);
    let at = logged.iter().position(|line| line.starts_with("the build printed nothing")).unwrap();
    let wanted = [
        "the build printed nothing of zlib; this is its log, from the store of samsung:",
        "zlib> gcc -c part77.c",
        "zlib> part77.c:3:10: error: implicit declaration of function",
        "zlib> @nix is no word",
        "zlib> make: *** [Makefile:3: part77.o] Error 1",
    ];
    assert_eq!(logged[at..at + 5], wanted);
    let script = story.scripts("build-log")[0];
    assert!(script.root && script.args[0].ends_with("-zlib-1.3.drv"), "{script:?}");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_nobody_has_is_said_and_one_that_was_printed_is_not_fetched() {
    let story = assert_ends("", Target { log: quiet(), ..fails() }, Outcome::Failed).await;
    let logged = story.logged(Phase::Build);
    let said = "the build printed nothing of zlib; its log is not in the store of samsung, and no cache has it";
    assert!(logged.contains(&said), "{logged:?}");
    assert!(story.error().contains("failed with exit code 2; "), "{}", story.error());
    let story = assert_ends("", fails(), Outcome::Failed).await;
    assert_eq!(story.scripts("build-log").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_build_is_told_from_what_its_packages_usually_take() {
    // All four are planned, and nothing has begun.
    let planned: String = FAILED
        .lines()
        .take_while(|line| !line.contains("\"type\":105"))
        .fold(String::new(), |all, line| all + line + "\n");
    let story = deploy("", Target { log: planned, ..Target::default() }).await;
    let mut left = story.events.iter().filter_map(|event| match &event.what {
        RunWhat::Progress { phase: Phase::Build, progress, .. } => progress.left_ms,
        _ => None,
    });
    assert_eq!(left.next_back(), Some(138_000));
}

/// Serves this to whoever asks for a log, and says that it is encoded so; returns the address.
fn serves_log(encoding: &'static str, body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (connection, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
        let asked = lines.next().unwrap().unwrap();
        assert!(asked.starts_with("GET /log/") && asked.contains("-zlib-1.3.drv "), "{asked}");
        while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\ncontent-encoding: {encoding}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        (&connection).write_all(&[head.as_bytes(), &body].concat()).unwrap();
    });
    address
}

// The clock is not paused: a tier is asked over a real connection.
#[tokio::test]
async fn a_log_that_only_this_machine_can_fetch_is_fetched_from_the_tier() {
    let log = LOG.split_once('\n').unwrap().1.as_bytes();
    let packed = zstd::encode_all(log, 1).unwrap();
    for (encoding, body, said) in [
        ("zstd", packed, "this is its log, from mine:"),
        ("identity", log.to_vec(), "this is its log, from mine:"),
        (
            "br",
            vec![1],
            "mine has its log, and it is compressed with brotli, which nixdash does not read",
        ),
    ] {
        let url = serves_log(encoding, body);
        let tier = format!("[[tiers]]\nname = \"mine\"\nkind = \"http\"\nurl = \"{url}\"\n");
        let story = assert_ends(&tier, Target { log: quiet(), ..fails() }, Outcome::Failed).await;
        let said = format!("the build printed nothing of zlib; {said}");
        let logged = story.logged(Phase::Build);
        assert!(logged.contains(&said.as_str()), "{logged:?}");
        let is_read = story.error().contains(" error: implicit declaration of function (");
        assert_eq!(is_read, encoding != "br", "{}", story.error());
    }
}
