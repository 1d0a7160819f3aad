//! Machines that fall asleep while a run goes on, and are woken.

use super::target::{NEW, name_of, switch};
use super::ways::{FLEET, deploy_requested, requested};
use crate::deploy::engine::context::RunContext;
use crate::deploy::engine::lost::{AWAY_LIMIT, lost, through_cuts};
use crate::deploy::engine::step::Step;
use crate::deploy::engine::telling::Teller;
use crate::deploy::engine::wake::after;
use crate::deploy::{GivenPlace, GivenSystem, RunFacts};
use crate::fleet::{Goal, Outcome, Phase, RunId, RunOptions, StorePath, Strategy};
use crate::remote::{FakeRunner, Output, RemoteError, Script, Trouble};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Returns the fleet of the tests of ways, with a builder that can be woken by another host.
fn sleeping_fleet() -> String {
    let wakes = "[hosts.p620]\nmac = \"0a:1b:2c:3d:4e:5f\"\nwake_via = \"razer\"\n";
    FLEET.replace("[hosts.p620]\n", wakes) + "[hosts.razer]\naddresses = [\"razer.lan\"]\n"
}

/// Returns what a host that nobody reaches answers.
fn silence(host: &str) -> RemoteError {
    RemoteError::new(host, Trouble::Unreachable, "No route to host")
}

#[tokio::test(start_paused = true)]
async fn a_builder_that_falls_asleep_before_it_is_needed_again_is_woken() {
    let derivation = || {
        let place = GivenPlace::Derivation(format!("{NEW}.drv"));
        GivenSystem::new(StorePath::parse(NEW).unwrap(), place)
    };
    let on_builder = || GivenSystem { place: GivenPlace::Builder, ..derivation() };
    for (sleeps_at, built, given) in [
        ("compare", false, None),
        ("root", true, None),
        ("start-build", false, None),
        ("start-push", false, None),
        ("compare", false, Some(derivation())),
        ("root", true, Some(on_builder())),
    ] {
        // It is awake, sleeps when it is asked this, and is awake again after the packet.
        let (asleep, slept) = (AtomicBool::new(false), AtomicBool::new(false));
        let answers = move |host: &str, name: &str, script: &Script| {
            if host == "razer" {
                asleep.store(false, Ordering::Release);
            }
            let of = |job: &str| name == "start" && script.args[0].starts_with(job);
            let asked = if of("run-7-x-build") {
                "start-build"
            } else if of("run-7-x-push") {
                "start-push"
            } else {
                name
            };
            if asked == sleeps_at && !slept.swap(true, Ordering::AcqRel) {
                asleep.store(true, Ordering::Release);
            }
            if host == "p620" && asleep.load(Ordering::Acquire) {
                return Some(Err(silence(host)));
            }
            // What is built already is not rooted by compare, so that the build asks for it.
            (built && name == "compare").then(|| Ok(Output::default()))
        };
        let options = RunOptions { strategy: Some(Strategy::Push), ..RunOptions::default() };
        let mut request = requested(&["samsung"], options);
        request.given.extend(given.clone().map(|given| ("samsung".to_owned(), given)));
        let flake = ("github:me/x", sleeping_fleet());
        let story = deploy_requested(&request, (flake.0, &flake.1), None, Box::new(answers)).await;
        let (result, log) = (&story.result, story.log());
        assert_eq!(result.outcome, Outcome::Switched, "{sleeps_at}: {:?}\n{log}", result.error);
        assert!(log.contains("p620 is awake"), "{sleeps_at}, {given:?}: {log}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_silent_again_is_woken_again() {
    let (asleep, packets) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let stays_asleep = Arc::new(AtomicBool::new(false));
    let (sleeper, sent, stays) =
        (Arc::clone(&asleep), Arc::clone(&packets), Arc::clone(&stays_asleep));
    let runner = FakeRunner::new(move |host, script| {
        if host == "razer" {
            sent.fetch_add(1, Ordering::AcqRel);
            sleeper.store(stays.load(Ordering::Acquire), Ordering::Release);
        } else if sleeper.load(Ordering::Acquire) {
            return Err(silence(host));
        }
        let stdout = if name_of(script) == "presence" { "boot_id\t1\n" } else { "by broadcast\n" };
        Ok(Output { stdout: stdout.to_owned(), ..Output::default() })
    });
    let text =
        format!("[fleet]\nflake = \"github:me/x\"\nbuilder = \"p620\"\n{}", sleeping_fleet());
    let fleet = crate::config::parse(&text, Path::new("hosts.toml"), None).unwrap();
    let (setup, run) = (switch(&fleet, Goal::Switch), RunId("7".to_owned()));
    let teller = Teller::new(run.clone(), Arc::new(drop));
    let shared =
        RunContext::new(Arc::new(fleet), Arc::new(runner), run, "tag".to_owned(), &setup, teller);
    let step =
        Step::new(Arc::new(shared), setup.hosts[0].clone(), Phase::Compare, RunFacts::default());
    let failure = lost(&silence("p620"));
    let is_woken = || after(&step, "p620", &failure);
    assert_eq!(tokio::join!(is_woken(), is_woken()), (true, true));
    assert!(is_woken().await);
    assert_eq!(packets.load(Ordering::Acquire), 1);
    tokio::time::sleep(Duration::from_secs(120)).await;
    asleep.store(true, Ordering::Release);
    assert!(is_woken().await);
    assert_eq!(packets.load(Ordering::Acquire), 2, "it sleeps a second time");
    stays_asleep.store(true, Ordering::Release);
    asleep.store(true, Ordering::Release);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(tokio::join!(is_woken(), is_woken(), is_woken()), (false, false, false));
    assert_eq!(packets.load(Ordering::Acquire), 3, "a dead one holds them up once");
    tokio::time::sleep(Duration::from_secs(120)).await;
    stays_asleep.store(false, Ordering::Release);
    assert!(is_woken().await, "a later try sends a packet again");
}

/// Makes a step of a run in which nothing is asked of any host.
fn silent_step() -> Step {
    let text =
        format!("[fleet]\nflake = \"github:me/x\"\nbuilder = \"p620\"\n{}", sleeping_fleet());
    let fleet = crate::config::parse(&text, Path::new("hosts.toml"), None).unwrap();
    let (setup, run) = (switch(&fleet, Goal::Switch), RunId("7".to_owned()));
    let teller = Teller::new(run.clone(), Arc::new(drop));
    let runner = Arc::new(FakeRunner::unreachable());
    let shared = RunContext::new(Arc::new(fleet), runner, run, "tag".to_owned(), &setup, teller);
    Step::new(Arc::new(shared), setup.hosts[0].clone(), Phase::Evaluate, RunFacts::default())
}

#[tokio::test(start_paused = true)]
async fn a_copy_from_here_is_made_again_while_only_its_connection_fails() {
    let step = silent_step();
    let refused = "ssh: connect to host p620.lan port 22: Connection refused";
    let denied = "me@p620.lan: Permission denied (publickey).";
    for (says, fails, copies) in [(refused, 3, 4), (denied, 1, 1), (refused, 1000, 24)] {
        let made = AtomicUsize::new(0);
        let began = tokio::time::Instant::now();
        let copied = through_cuts(&step, "p620", || {
            let is_well = made.fetch_add(1, Ordering::AcqRel) >= fails;
            let code = if is_well { 0 } else { 1 };
            let stderr = if is_well { String::new() } else { says.to_owned() };
            async move { Ok(Output { code, stderr, ..Output::default() }) }
        });
        let copied = copied.await.unwrap();
        assert_eq!(made.load(Ordering::Acquire), copies, "{says}");
        assert_eq!(copied.is_ok(), copies > fails);
        assert!(began.elapsed() <= AWAY_LIMIT + Duration::from_secs(2));
    }
}
