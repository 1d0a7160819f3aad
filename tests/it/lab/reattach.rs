//! Runs whose nixdash is killed, and that are gone on with: one account, which is the truth.

use super::attack::{Stands, assert_on, bump_broken, fresh, repair, running, wait_until_quiet};
use super::{Lab, assert_ok, events_below, lab, on, wait_for};
use serde_json::Value;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How often nixdash is killed.
const KILLS: u64 = 20;

/// The hosts that are deployed.
const HOSTS: [&str; 2] = ["samsung", "p510"];

/// What deploys them.
const BOTH: [&str; 4] = ["samsung", "p510", "--allow-protected", "p510"];

/// Random numbers that a seed repeats.
struct Dice(u64);

impl Dice {
    /// Returns a number below this one.
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

impl Lab {
    /// Begins `nixdash reattach`.
    fn reattaching(&self, args: &[&str]) -> Child {
        let mut command = self.nixdash(&["reattach", "--json"]);
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Returns the events of the only run, without its log lines.
    fn decided(&self) -> Vec<Value> {
        let events = events_below(&self.state.path().join("nixdash/runs"));
        let is_few = |event: &Value| event["event"] != "log" && event["event"] != "progress";
        events.into_iter().filter(is_few).collect()
    }

    /// Returns whether the only run has its end.
    fn is_over(&self) -> bool {
        self.decided().iter().any(|event| event["event"] == "summary")
    }

    /// Returns what the history says of the newest run.
    fn newest(&self) -> Value {
        let output = self.nixdash(&["history", "--json", "--limit", "1"]).output().unwrap();
        assert_ok(&output);
        let history: Value = serde_json::from_slice(&output.stdout).unwrap();
        history["runs"][0].clone()
    }
}

/// Kills a process without mercy after a time, unless it has ended before; returns what it printed.
fn kill_after(mut child: Child, time: Duration) -> Output {
    let began = Instant::now();
    while began.elapsed() < time {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    // It may have ended by itself.
    let _ = child.kill();
    child.wait_with_output().unwrap()
}

/// Checks that a run has one beginning, one result per host and one end, and that the history says
/// the same. Returns the results.
fn assert_one_account(fleet: &Lab, story: &str) -> Vec<(String, Value)> {
    let decided = fleet.decided();
    let of = |kind: &str| decided.iter().filter(|event| event["event"] == kind).count();
    assert_eq!((of("begin"), of("summary")), (1, 1), "{story}\n{decided:#?}");
    assert!(of("plan") <= 1, "{story}\n{decided:#?}");
    let mut results = Vec::new();
    let history = fleet.newest();
    assert!(history["ended_at"].is_string(), "{story}\n{history}");
    for host in HOSTS {
        let told: Vec<&Value> = decided
            .iter()
            .filter(|event| event["event"] == "result" && event["host"] == host)
            .collect();
        assert_eq!(told.len(), 1, "{host}: {story}\n{decided:#?}");
        let row = history["hosts"].as_array().unwrap().iter().find(|row| row["host"] == host);
        assert_eq!(row.unwrap()["outcome"], told[0]["outcome"], "{host}: {story}\n{history}");
        results.push((host.to_owned(), told[0].clone()));
    }
    results
}

/// Checks that a host is where its result says.
fn assert_is_truth(host: &str, result: &Value, before: &str, story: &str) {
    wait_until_quiet(host);
    let now = Stands::of(host);
    match result["outcome"].as_str().unwrap() {
        "switched" => assert_eq!(now, Stands::on(result["toplevel"].as_str().unwrap()), "{story}"),
        "degraded" | "unknown" => panic!("{host} is {result}: {story}"),
        _ => assert_eq!(now, Stands::on(before), "{host} is {result}: {story}"),
    }
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_run_that_is_killed_at_random_moments_and_gone_on_with_has_one_account() {
    let seed = std::env::var("NIXDASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    let mut dice = Dice(seed);
    let mut outcomes = Vec::new();
    let mut kills = 0;
    let mut round = 0;
    while kills < KILLS {
        round += 1;
        assert!(round <= 12, "after {kills} kills in {round} rounds: {outcomes:?}");
        for host in HOSTS {
            drop(fresh(host));
        }
        let fleet = fresh("samsung").with("settle = \"2s\"");
        let before: Vec<String> = HOSTS.iter().map(|host| running(host)).collect();
        for host in HOSTS {
            bump_broken(host, &["slow", "2"]);
        }
        let mut story = vec![format!("seed {seed}, round {round}")];
        let mut child = fleet.deploying(&BOTH);
        // As often as three times in a run; the last one may end it.
        for turn in 0..4 {
            let time =
                Duration::from_millis(if turn == 3 { 240_000 } else { 200 + dice.below(9000) });
            let output = kill_after(child, time);
            let was_killed = output.status.code().is_none();
            kills += u64::from(was_killed);
            story.push(format!(
                "after {time:?} killed: {was_killed}\n{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            ));
            if fleet.is_over() {
                break;
            }
            assert!(was_killed, "it ended without an end:\n{}", story.join("\n"));
            // Away for a while, now and then so long that hosts go back.
            let away = if dice.below(4) == 0 { 20_000 } else { dice.below(3000) };
            std::thread::sleep(Duration::from_millis(away));
            assert!(turn < 3, "it does not end: {}", story.join("\n"));
            child = fleet.reattaching(&[]);
        }
        let story = story.join("\n");
        for ((host, result), before) in assert_one_account(&fleet, &story).iter().zip(&before) {
            outcomes.push(result["outcome"].as_str().unwrap().to_owned());
            assert_is_truth(host, result, before, &story);
        }
    }
    println!("{kills} kills in {round} rounds: {outcomes:?}");
    let fleet = Lab::healthy();
    for host in HOSTS {
        repair(&fleet, host);
    }
}

/// Deploys samsung and kills nixdash as soon as a phase begins.
fn kill_in(fleet: &Lab, phase: &str) {
    let mut child = fleet.deploying(&["samsung"]);
    let runs = fleet.state.path().join("nixdash/runs");
    let begun = |event: &Value| {
        event["event"] == "phase" && event["phase"] == phase && event["state"] == "started"
    };
    wait_for(phase, Duration::from_secs(90), || events_below(&runs).iter().any(begun));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_run_is_gone_on_with_from_every_phase() {
    let phases = [
        "preflight",
        "evaluate",
        "build",
        "verify",
        "fetch",
        "activate",
        "acknowledge",
        "check",
        "settle",
        "persist",
    ];
    for phase in phases {
        let fleet = fresh("samsung").with("settle = \"4s\"");
        bump_broken("samsung", &["slow-boot", "3"]);
        kill_in(&fleet, phase);
        // Nobody ends it meanwhile.
        let left = fleet.newest();
        assert!(left["ended_at"].is_null() && left["left_at"].is_string(), "{phase}: {left}");
        let output = fleet.reattaching(&[]).wait_with_output().unwrap();
        let story = format!(
            "killed in {phase}\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success(), "{story}");
        assert!(story.contains("\"event\":\"reattached\""), "{story}");
        let decided = fleet.decided();
        let results: Vec<_> = decided.iter().filter(|event| event["event"] == "result").collect();
        assert_eq!(results.len(), 1, "{story}");
        assert_eq!(results[0]["outcome"], "switched", "{story}");
        wait_until_quiet("samsung");
        assert_eq!(on("samsung", "ls /run/nixdash/jobs"), "", "{story}");
        assert_on("samsung", results[0]["toplevel"].as_str().unwrap(), &story);
    }
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_host_that_went_back_alone_is_told_so_when_its_run_is_gone_on_with() {
    let fleet = fresh("samsung").with("settle = \"1s\"");
    let before = running("samsung");
    assert_ok(&lab(&["bump", "samsung"]));
    kill_in(&fleet, "acknowledge");
    wait_until_quiet("samsung");
    let output = fleet.reattaching(&[]).wait_with_output().unwrap();
    let story = String::from_utf8_lossy(&output.stdout).into_owned();
    let result = fleet.decided().into_iter().find(|event| event["event"] == "result").unwrap();
    assert_eq!(result["outcome"], "rolled-back", "{story}");
    let error = result["error"].as_str().unwrap();
    assert!(error.contains("no nixdash worked on this run from"), "{error}");
    assert_on("samsung", &before, &story);
    repair(&fleet, "samsung");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn one_process_alone_goes_on_with_a_run_and_others_follow_it() {
    let fleet = fresh("samsung").with("settle = \"6s\"");
    bump_broken("samsung", &["slow", "4"]);
    kill_in(&fleet, "activate");
    let children = [fleet.reattaching(&[]), fleet.reattaching(&[]), fleet.reattaching(&[])];
    let outputs = children.map(|child| child.wait_with_output().unwrap());
    let said: Vec<String> =
        outputs.iter().map(|output| String::from_utf8_lossy(&output.stderr).into_owned()).collect();
    let other = |text: &String| {
        text.contains("goes on with run")
            || text.contains("another nixdash is working on run")
            || text.contains("this only follows it")
    };
    assert_eq!(said.iter().filter(|text| other(text)).count(), 2, "{said:#?}");
    let decided = fleet.decided();
    let count = |kind: &str| decided.iter().filter(|event| event["event"] == kind).count();
    assert_eq!((count("reattached"), count("result"), count("summary")), (1, 1, 1));
    assert_eq!(fleet.newest()["hosts"][0]["outcome"], "switched");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_run_that_was_left_is_ended_when_asked_to_or_when_its_host_is_deployed_anew() {
    for anew in [false, true] {
        let fleet = fresh("samsung");
        let before = running("samsung");
        bump_broken("samsung", &["slow", "1"]);
        kill_in(&fleet, "fetch");
        if anew {
            let deployed = fleet.deploy(&["razer"]);
            assert!(deployed.stderr.contains("nixdash reattach 1"), "{}", deployed.stderr);
            assert!(
                fleet
                    .decided()
                    .iter()
                    .all(|event| event["run"] != "1" || event["event"] != "summary")
            );
            fleet.deploy(&["samsung"]).assert_outcome("samsung", "switched");
        } else {
            let output = fleet.nixdash(&["reattach", "1", "--end"]).output().unwrap();
            assert_ok(&output);
            assert_eq!(running("samsung"), before);
        }
        let first: Vec<Value> =
            fleet.decided().into_iter().filter(|event| event["run"] == "1").collect();
        let result = first.iter().find(|event| event["event"] == "result").unwrap();
        assert_eq!(result["outcome"], "interrupted");
        assert!(first.iter().any(|event| event["event"] == "summary"));
        let output = fleet.nixdash(&["reattach", "1"]).output().unwrap();
        assert_ok(&output);
        assert!(String::from_utf8_lossy(&output.stderr).contains("run 1 has ended"));
        repair(&fleet, "samsung");
    }
}

/// Sends a signal to a process.
fn signal(child: &Child, name: &str) {
    assert_ok(&Command::new("kill").args([name, &child.id().to_string()]).output().unwrap());
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn signals_in_every_part_of_a_run_leave_one_true_account() {
    for (name, phase) in [
        ("-INT", "build"),
        ("-INT", "fetch"),
        ("-INT", "settle"),
        ("-TERM", "fetch"),
        ("-TERM", "activate"),
        ("-TERM", "settle"),
        ("-HUP", "fetch"),
        ("-HUP", "activate"),
        ("-STOP", "acknowledge"),
        ("-STOP", "fetch"),
    ] {
        let fleet = fresh("samsung").with("settle = \"2s\"");
        let before = running("samsung");
        bump_broken("samsung", &["slow", "2"]);
        let child = fleet.deploying(&["samsung"]);
        let begun = |event: &Value| {
            event["event"] == "phase" && event["phase"] == phase && event["state"] == "started"
        };
        fleet.wait_for_event(phase, begun);
        signal(&child, name);
        if name == "-STOP" {
            let follower = fleet.reattaching(&[]);
            std::thread::sleep(Duration::from_secs(25));
            signal(&follower, "-INT");
            let said = follower.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&said.stderr).into_owned();
            assert!(said.contains("kill -CONT"), "{said}");
            signal(&child, "-CONT");
        }
        let deployed = super::attack::finish(child);
        let story = format!("{name} in {phase}\n{}", deployed.story());
        wait_until_quiet("samsung");
        let result = deployed.result("samsung");
        assert_is_truth("samsung", result, &before, &story);
        let outcome = result["outcome"].as_str().unwrap();
        match (name, phase) {
            ("-HUP", _) | ("-STOP", "fetch") => assert_eq!(outcome, "switched", "{story}"),
            ("-STOP", _) => assert_eq!(outcome, "rolled-back", "{story}"),
            (_, "build" | "fetch") => assert_eq!(outcome, "interrupted", "{story}"),
            _ => assert!(["rolled-back", "switched"].contains(&outcome), "{story}"),
        }
        repair(&fleet, "samsung");
    }
}
