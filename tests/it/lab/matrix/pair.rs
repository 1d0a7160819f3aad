//! One pair: a deploy, a fault in one of its phases, and whether the account of it is true.

use super::super::attack::{Stands, other_system, running, wait_until_quiet};
use super::super::{Deployed, Lab, assert_ok, lab, on, power_cycle, wait_for};
use super::fault::{Fault, Scene};
use super::{Pair, fleet};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Child;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// What came of a pair.
pub(super) struct Cell {
    /// How the host ended, as the run said.
    outcome: String,
    /// Why, where the run said so.
    said: String,
    /// How long after the end of the fault the run ended.
    after: Duration,
    /// What is wrong with the account.
    wrong: Option<String>,
}

impl Cell {
    /// Returns whether the account was true and in time.
    pub(super) fn is_good(&self) -> bool {
        self.wrong.is_none()
    }

    /// Returns what is wrong.
    pub(super) fn why(&self) -> &str {
        self.wrong.as_deref().unwrap_or("nothing")
    }

    /// Returns the cell as it stands in the table.
    pub(super) fn text(&self) -> String {
        let mark = if self.is_good() { "" } else { "**WRONG** " };
        format!("{mark}{} {} s", self.outcome, self.after.as_secs())
    }

    /// Returns the cell with the first line of what is wrong, else with why the host ended so.
    pub(super) fn line(&self) -> String {
        let wrong = self.wrong.as_deref().and_then(|why| why.lines().next());
        let why = wrong.unwrap_or(&self.said);
        format!("{} {why}", self.text())
    }
}

/// A deploy that is listened to while it runs.
struct Listened {
    child: Child,
    /// Says how it ended, when it has.
    ended: mpsc::Receiver<Deployed>,
    /// Says that the phase has begun.
    begun: mpsc::Receiver<()>,
}

impl Listened {
    /// Begins to deploy a host.
    fn begin(fleet: &Lab, host: &str, phase: &'static str) -> Self {
        let mut child = fleet.deploying(&[host]);
        let stdout = child.stdout.take().expect("its output");
        let mut stderr = child.stderr.take().expect("its complaints");
        let (tell_begun, begun) = mpsc::channel();
        let (tell_ended, ended) = mpsc::channel();
        let complaints = std::thread::spawn(move || {
            let mut text = String::new();
            let _cut_off = stderr.read_to_string(&mut text);
            text
        });
        let host = host.to_owned();
        std::thread::spawn(move || {
            let mut events = Vec::new();
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // The last line of one that was killed may be half there.
                let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
                let begins = event["event"] == "phase"
                    && event["host"] == host.as_str()
                    && event["phase"] == phase
                    && event["state"] == "started";
                if begins {
                    let _nobody_waits = tell_begun.send(());
                }
                events.push(event);
            }
            let stderr = complaints.join().unwrap_or_default();
            let _nobody_waits = tell_ended.send(Deployed { code: None, events, stderr });
        });
        Self { child, ended, begun }
    }

    /// Waits for the end; one that takes too long is killed.
    fn finish(mut self, limit: Duration) -> Result<Deployed, String> {
        let ended = self.ended.recv_timeout(limit);
        if ended.is_err() {
            let _gone = self.child.kill();
        }
        let code = self.child.wait().ok().and_then(|status| status.code());
        if let Ok(deployed) = ended {
            return Ok(Deployed { code, ..deployed });
        }
        let story = self.ended.recv_timeout(Duration::from_secs(10));
        let story = story.map(|deployed| deployed.story()).unwrap_or_default();
        Err(format!("it had not ended {} s after the fault\n{story}", limit.as_secs()))
    }
}

/// Carries a pair out.
pub(super) fn attack(pair: Pair, host: &str) -> Cell {
    let (outcome, said) = ("?".to_owned(), String::new());
    let mut cell = Cell { outcome, said, after: Duration::ZERO, wrong: None };
    let tried = catch_unwind(AssertUnwindSafe(|| carry_out(pair, host, &mut cell)));
    if let Err(panic) = tried {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        cell.wrong = Some(text.unwrap_or_else(|| "it panicked".to_owned()));
    }
    cell
}

fn carry_out(pair: Pair, host: &str, cell: &mut Cell) {
    let Pair { fault, phase } = pair;
    let fleet = fleet(phase);
    let before = running(host);
    assert_eq!(Stands::of(host), Stands::on_at(&before, host), "not whole before the deploy");
    let other = (fault == Fault::NixosRebuild).then(|| other_system(&fleet, host));
    let before = if other.is_some() { running(host) } else { before };
    let mut bump = vec!["bump", host];
    bump.extend(phase.slow());
    assert_ok(&lab(&bump));
    let deploy = Listened::begin(&fleet, host, phase.name());
    if deploy.begun.recv_timeout(Duration::from_secs(120)).is_err() {
        let story = deploy
            .finish(Duration::from_secs(5))
            .map_or_else(|why| why, |deployed| deployed.story());
        panic!("the phase did not begin: {story}");
    }
    let scene = Scene { host, nixdash: deploy.child.id(), other: other.as_deref() };
    let second = (fault == Fault::SecondOperator).then(|| deploy_as_another(&fleet, host));
    fault.strike(&scene);
    let over = Instant::now();
    let ended = deploy.finish(phase.limit());
    cell.after = over.elapsed();
    fault.take_back(host);
    let mut deployed = ended.unwrap_or_else(|why| panic!("{why}"));
    if fault == Fault::Killed {
        deployed.events.extend(account(&fleet, host));
        cell.after = over.elapsed();
    }
    wait_until_quiet(host);
    let story = deployed.story();
    outcome_of(&deployed, host).clone_into(&mut cell.outcome);
    let why = result_of(&deployed, host).and_then(|result| result["error"].as_str());
    why.unwrap_or_default().clone_into(&mut cell.said);
    if cell.outcome == "unknown" && is_half_persisted(host) {
        // A power cut between the profile and the boot menu: it was said that nobody knows, and the
        // next deploy puts it right before it begins.
        return assert_is_mended(&fleet, host, &story);
    }
    if let Some(second) = second {
        assert_is_true(host, &before, None, &second);
    }
    assert_is_true(host, &before, other.as_deref(), &deployed);
    assert!(
        !fault.is_survived(phase) || cell.outcome == "switched",
        "the deploy should have survived that: {story}"
    );
    let stands = Stands::of(host);
    power_cycle(host);
    let booted = Stands::of(host);
    // Where something is wrong or somebody else's and said, what boots may be another system, and whole.
    let same = !["degraded", "unknown", "superseded"].contains(&cell.outcome.as_str());
    assert!(!same || booted == stands, "after a power cut {booted:?}, before {stands:?}: {story}");
    // A rebuild of somebody else that met our activation has set the profile, and ended at its lock.
    let theirs = other.filter(|other| cell.outcome == "superseded" && booted.profile == **other);
    let mut whole = Stands::on_at(&booted.running, host);
    whole.profile = theirs.unwrap_or(whole.profile);
    assert_eq!(booted, whole, "after a power cut: {story}");
    if booted.profile != booted.running {
        // Whoever was refused by that lock would switch again; the next pair begins with a whole host.
        on(host, "/nix/var/nix/profiles/system/bin/switch-to-configuration switch >/dev/null 2>&1");
    }
}

/// Returns whether a host was cut off while its new system was made permanent.
fn is_half_persisted(host: &str) -> bool {
    !on(host, "ls /nix/var/nixdash/intent 2>/dev/null; true").is_empty()
}

/// Deploys a host as one does after an accident, and checks that it is whole then.
fn assert_is_mended(fleet: &Lab, host: &str, story: &str) {
    assert_ok(&lab(&["bump", host]));
    let again = super::super::attack::finish(fleet.deploying(&[host]));
    let outcome = outcome_of(&again, host);
    assert_eq!(outcome, "switched", "the next deploy: {}\nafter: {story}", again.story());
    assert!(!is_half_persisted(host), "{story}");
    let now = running(host);
    assert_eq!(Stands::of(host), Stands::on_at(&now, host), "{story}");
}

/// Deploys the same host as somebody else would.
fn deploy_as_another(fleet: &Lab, host: &str) -> Deployed {
    let other = Lab { hosts_file: fleet.hosts_file.clone(), state: tempfile::tempdir().unwrap() };
    super::super::attack::finish(other.deploying(&[host]))
}

/// Returns the last result of a host.
fn result_of<'a>(deployed: &'a Deployed, host: &str) -> Option<&'a Value> {
    let mut last_first = deployed.events.iter().rev();
    last_first.find(|event| event["event"] == "result" && event["host"] == host)
}

/// Returns how a host ended.
fn outcome_of<'a>(deployed: &'a Deployed, host: &str) -> &'a str {
    let result = result_of(deployed, host);
    result.and_then(|result| result["outcome"].as_str()).unwrap_or("nothing")
}

/// Checks that a host is where its account says.
fn assert_is_true(host: &str, before: &str, other: Option<&str>, deployed: &Deployed) {
    let outcome = outcome_of(deployed, host);
    let story = deployed.story();
    let result = result_of(deployed, host);
    let toplevel = result.and_then(|result| result["toplevel"].as_str());
    let stands = Stands::of(host);
    let is_on = |system: &str| stands == Stands::on_at(system, host);
    let is_true = match outcome {
        "switched" | "unchanged" => toplevel.is_some_and(is_on),
        // Something is wrong, or not known, and said: no half host all the same.
        "degraded" => toplevel == Some(stands.running.as_str()) || stands.running == before,
        "unknown" => {
            let known = [Some(before), toplevel, other];
            known.contains(&Some(stands.running.as_str())) && is_on(&stands.running)
        }
        "superseded" => other.is_some_and(is_on) || runs_ours_under_theirs(result, &stands, other),
        // One that was killed before it had begun with the host says nothing of it.
        "nothing" => deployed.code.is_none() && is_on(before),
        // What a second operator was refused says nothing of what the first one does.
        _ if deployed.code.is_some() && other.is_none() && is_refused(result) => true,
        _ => is_on(before) || other.is_some_and(is_on),
    };
    assert!(
        is_true,
        "it was said to be {outcome}, and stands so: {stands:?}, before: {before}: {story}"
    );
}

/// Returns whether a host runs the new system under a profile that somebody else set, and that was said.
fn runs_ours_under_theirs(result: Option<&Value>, stands: &Stands, other: Option<&str>) -> bool {
    let said = result.and_then(|result| result["error"].as_str()).unwrap_or_default();
    let toplevel = result.and_then(|result| result["toplevel"].as_str());
    toplevel == Some(stands.running.as_str())
        && other == Some(stands.profile.as_str())
        && [
            "it runs the new system until it is restarted",
            "while the new system was made permanent: its profile is",
        ]
        .iter()
        .any(|sentence| said.contains(sentence))
}

/// Returns whether a host was left alone, since somebody else deploys to it.
fn is_refused(result: Option<&Value>) -> bool {
    let findings = result.and_then(|result| result["findings"].as_array());
    findings.is_some_and(|all| all.iter().any(|finding| finding["code"] == "lock-held"))
        || result.is_some_and(|result| {
            result["error"].as_str().is_some_and(|error| error.contains("deploying to it"))
        })
}

/// Goes on with a run whose nixdash was killed, and returns how its host ended, as a result.
fn account(fleet: &Lab, host: &str) -> Option<Value> {
    let mut run = Value::Null;
    wait_for("the run to have an end", Duration::from_secs(180), || {
        drop(fleet.nixdash(&["reattach", "1", "--yes"]).output().unwrap());
        let output = fleet.nixdash(&["history", "--json"]).output().unwrap();
        assert_ok(&output);
        let history: Value = serde_json::from_slice(&output.stdout).unwrap();
        run = history["runs"][0].clone();
        run["ended_at"].is_string()
    });
    let mut result = run["hosts"]
        .as_array()?
        .iter()
        .find(|entry| entry["host"] == host || entry["name"] == host)?
        .clone();
    result["event"] = "result".into();
    result["host"] = host.into();
    Some(result)
}
