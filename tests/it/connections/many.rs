//! Many hosts: living ones, and dead ones beside one that lives.

use super::{Sshd, processes_with};
use nixdash::fleet::HostState;
use nixdash::probe::{EarlierLooks, Thoroughness, measure_once};
use nixdash::remote::{Script, ScriptRunner};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Returns so many hosts with an address of the loopback network each.
fn hosts(count: usize, port: u16) -> String {
    let mut text = String::new();
    for n in 0..count {
        let address = format!("127.7.{}.{}", n / 200, n % 200 + 1);
        writeln!(text, "[hosts.h{n}]\naddresses = [\"{address}:{port}\"]").unwrap();
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks; 200 logins take a while"]
async fn two_hundred_living_hosts_are_all_measured() {
    let sshd = Sshd::listen("0.0.0.0", "MaxSessions 10");
    // Both ends of every login run here: a key exchange that is cheap for the processor.
    let client = sshd.client("Host *\n  KexAlgorithms curve25519-sha256");
    let (fleet, runner) = Sshd::runner(&client, &hosts(200, sshd.port()));
    let mut names: Vec<String> = fleet.hosts.iter().map(|host| host.name.clone()).collect();
    let began = Instant::now();
    let mut error = None;
    // A machine that is busy with something else may be too slow for all of them at the first look.
    for _ in 0..5 {
        let (care, earlier) = (Thoroughness::Ordinary, EarlierLooks::default());
        let found = measure_once(&fleet, &runner, &names, care, &earlier, &[]).await;
        let is_up = |state| matches!(state, HostState::Up | HostState::Degraded);
        error = found.hosts.iter().find_map(|(_, facts)| facts.error());
        names = found
            .hosts
            .iter()
            .filter(|(_, facts)| !is_up(facts.state))
            .map(|(name, _)| name.clone())
            .collect();
        println!("{} of 200 after {:?}", 200 - names.len(), began.elapsed());
        if names.is_empty() {
            break;
        }
    }
    assert!(names.is_empty(), "{names:?}: {error:?}");
    runner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn one_living_host_among_five_hundred_dead_ones_does_not_wait_for_them() {
    let sshd = Sshd::start("");
    // Half of them accept and never speak, half of them have nothing at that port.
    let silent = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut text = hosts(500, port);
    for n in (0..500).step_by(2) {
        let address = format!("127.7.{}.{}:", n / 200, n % 200 + 1);
        text = text.replace(&format!("\"{address}{port}\""), &format!("\"{address}{closed}\""));
    }
    let alive = format!("[hosts.alive]\naddresses = [\"127.0.0.1:{}\"]\n", sshd.port());
    let client = sshd.client("");
    let script = Script::new(":").limit(Duration::from_secs(5));
    // How long it takes alone, on a machine as busy as this one is now.
    let (_, runner) = Sshd::runner(&client, &alive);
    let began = Instant::now();
    runner.run("alive", &script).await.unwrap();
    let alone = began.elapsed();
    runner.close().await;
    let (fleet, runner) = Sshd::runner(&client, &format!("{text}{alive}"));
    let known = client.display().to_string();
    let (most, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let count = std::thread::spawn({
        let (most, over) = (Arc::clone(&most), Arc::clone(&over));
        move || {
            while !over.load(Ordering::Relaxed) {
                most.fetch_max(processes_with(&known).len(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    });
    let began = Instant::now();
    let asked = fleet.hosts.iter().map(|host| async {
        let answer = runner.run(&host.name, &script).await;
        (host.name.as_str(), answer.is_ok(), began.elapsed())
    });
    let answers = futures_util::future::join_all(asked).await;
    over.store(true, Ordering::Relaxed);
    count.join().unwrap();
    let (_, answered, took) = answers.into_iter().find(|(name, ..)| *name == "alive").unwrap();
    println!("alive after {took:?}, at most {} ssh processes", most.load(Ordering::Relaxed));
    let limit = Duration::from_secs(10).max(50 * alone);
    assert!(answered && took < limit, "{answered} {took:?}, alone {alone:?}");
    assert!(most.load(Ordering::Relaxed) <= 32);
    runner.close().await;
}
