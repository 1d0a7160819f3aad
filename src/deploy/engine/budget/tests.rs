//! Claims of places in budgets: what is asked of which host, and what the script says.

use super::*;
use crate::deploy::engine::telling::Teller;
use crate::deploy::{GatedHost, Listener, Request, RunFacts, setup};
use crate::fleet::{Gate, GateQuestion, Goal, RunId, RunOptions, RunWhat};
use crate::remote::{FakeRunner, KeyTrouble};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

#[expect(clippy::unnecessary_wraps, reason = "as a host answers")]
fn said(stdout: &str) -> Result<Output, RemoteError> {
    Ok(Output { stdout: stdout.to_owned(), ..Output::default() })
}

#[test]
fn a_host_whose_sudo_wants_a_password_is_told_as_that_and_not_waited_for() {
    let cause = "sudo asks for a password";
    let error = || RemoteError::not_root("b", NotRoot::PasswordNeeded, cause);
    let found = rival("b", "etcd", Err(error())).unwrap();
    assert!(found.words.contains("sudo asks for a password"), "{}", found.words);
    assert!(!found.words.contains("reached"), "{}", found.words);
    let budget = |in_flight| Budget { name: "etcd".into(), tag: "etcd".into(), in_flight };
    assert_eq!(never_free("a", &budget(2), std::slice::from_ref(&found)), None);
    let failure = never_free("a", &budget(1), &[found]).unwrap();
    assert_eq!(failure.reason.code, Code::SudoPasswordNeeded);
    for part in ["a: no place in the budget etcd", "[hosts.b]", "`--ask-sudo-password`"] {
        assert!(failure.reason.text.contains(part), "{part}: {}", failure.reason.text);
    }
}

/// Returns what is to be done to host a.
fn request() -> Request {
    Request {
        set_aside: BTreeMap::new(),
        degraded: BTreeMap::new(),
        options: RunOptions::default(),
        hosts: vec!["a".to_owned()],
        goal: Goal::Switch,
        allow_protected: Vec::new(),
        asks: false,
        goals: BTreeMap::new(),
        given: BTreeMap::new(),
        reboot: None,
    }
}

/// Returns a run over host a, which shares a place with host b, and what is asked of both: `answers` says what a
/// host prints in a mode of the script.
pub(in crate::deploy::engine) fn sharing_a_place(
    answers: impl Fn(&str, &str) -> &'static str + Send + Sync + 'static,
) -> (Arc<RunContext>, Arc<Mutex<Vec<String>>>) {
    sharing_and_telling(answers, Arc::new(drop))
}

/// Returns the same, and what the run tells is heard.
fn sharing_and_telling(
    answers: impl Fn(&str, &str) -> &'static str + Send + Sync + 'static,
    listener: Listener,
) -> (Arc<RunContext>, Arc<Mutex<Vec<String>>>) {
    let text = "[fleet]\nflake = \"github:me/nixos\"\nevaluate = \"builder\"\nstrategy = \"direct\"\n\
                [hosts.a]\naddresses = [\"root@a.lan\"]\ntags = [\"etcd\"]\n\
                [hosts.b]\naddresses = [\"root@b.lan\"]\ntags = [\"etcd\"]\n";
    let path = Path::new("hosts.toml");
    let mut fleet = crate::config::parse(text, path, None).unwrap();
    fleet.budgets = vec![Budget { name: "etcd".into(), tag: "etcd".into(), in_flight: 1 }];
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    let runner = FakeRunner::new(move |host, script: &Script| {
        let mode = &script.args[0];
        heard.lock().unwrap().push(format!("{mode} {host}"));
        said(answers(host, mode))
    });
    let run = RunId("7".to_owned());
    let teller = Teller::new(run.clone(), listener);
    let setup = setup(&fleet, &request()).unwrap();
    let (fleet, runner) = (Arc::new(fleet), Arc::new(runner));
    let shared = RunContext::new(fleet, runner, run, "run-7-x".to_owned(), &setup, teller);
    (Arc::new(shared), asked)
}

const FREE: &str = "free\tetcd\t\n";
const TAKEN: &str = "taken\tetcd\tid=run-9-b state=hold who=you@desk run=9 since=1\n";

/// Returns what host a says whose claim was forgotten, while host b says this.
fn forgotten(b_says: &'static str) -> impl Fn(&str, &str) -> &'static str + Send + Sync + 'static {
    move |host, mode| match (host, mode) {
        ("b", _) => b_says,
        (_, "renew") => "lost\tetcd\t\n",
        (_, "hold") => "held\tetcd\t\n",
        _ => "mine\tetcd\t\n",
    }
}

fn claim_of(shared: &Arc<RunContext>) -> HostClaim {
    HostClaim::new(Arc::clone(shared), "a", &["etcd".to_owned()])
}

#[tokio::test]
async fn a_lost_place_is_taken_again_without_a_look_only_by_a_host_that_has_begun() {
    for (b_says, has_begun, has_it, expected) in [
        (FREE, false, true, vec!["claim a", "look b", "hold a"]),
        (TAKEN, false, false, vec!["claim a", "look b", "release a"]),
        (TAKEN, true, true, vec!["claim a", "hold a"]),
    ] {
        let (shared, asked) = sharing_a_place(forgotten(b_says));
        assert_eq!(claim_of(&shared).take_again(has_begun).await, Ok(has_it));
        assert_eq!(*asked.lock().unwrap(), expected);
    }
}

/// A phase of host a.
fn step(shared: &Arc<RunContext>, phase: Phase, only_restarts: bool) -> Step {
    let host = setup(&shared.fleet, &request()).unwrap().hosts.remove(0);
    let known = RunFacts { only_restarts, ..RunFacts::default() };
    Step::new(Arc::clone(shared), host, phase, known)
}

#[tokio::test]
async fn a_host_whose_place_was_forgotten_begins_where_a_place_is_free_and_else_fails() {
    for (b_says, begins) in [(FREE, true), (TAKEN, false)] {
        let (shared, asked) = sharing_a_place(forgotten(b_says));
        let step = step(&shared, Phase::Activate, false);
        let lost = is_lost(&step, &["etcd".to_owned()]).await;
        assert_eq!(
            lost.as_ref().map(|failure| failure.reason.code),
            (!begins).then_some(Code::BudgetLost)
        );
        assert_eq!(*shared.begun.cell("a").lock().await, begins);
        assert_eq!(asked.lock().unwrap()[..3], ["renew a", "claim a", "look b"]);
    }
}

#[tokio::test]
async fn a_host_that_is_only_restarted_checks_its_place_before_that() {
    for (only_restarts, checks) in [(true, true), (false, false)] {
        let (shared, asked) = sharing_a_place(forgotten(TAKEN));
        let step = step(&shared, Phase::Reboot, only_restarts);
        assert_eq!(step.lost_its_place().await.is_some(), checks);
        assert_eq!(!asked.lock().unwrap().is_empty(), checks);
    }
}

#[tokio::test]
async fn a_place_that_was_held_all_the_time_is_held_at_once_by_a_run_that_is_gone_on_with() {
    let (shared, asked) = sharing_a_place(|_, _| "held\tetcd\t\n");
    let (tell, _answers) = mpsc::channel(1);
    assert_eq!(claim_of(&shared).claim(&tell).await, ClaimAnswer::Held);
    assert_eq!(*asked.lock().unwrap(), ["claim a"]);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_has_begun_to_change_keeps_its_places_whoever_has_them_meanwhile() {
    let (shared, asked) = sharing_a_place(forgotten(TAKEN));
    *shared.begun.cell("a").lock().await = true;
    let keeps = claim_of(&shared).keep(CancellationToken::new());
    drop(tokio::time::timeout(RENEW * 3 / 2, keeps).await);
    let once = ["renew a", "claim a", "hold a"];
    assert_eq!(*asked.lock().unwrap(), [once, once].concat());
}

/// Runs the script on claims in a folder, and returns the first word that it says.
fn word_of_script(claims: &Path, who: &str, mode: &str) -> String {
    let output = String::from_utf8(run_script(claims, who, mode).stdout).unwrap();
    output.split('\t').next().unwrap_or_default().to_owned()
}

/// Runs the script on claims in a folder.
fn run_script(claims: &Path, who: &str, mode: &str) -> std::process::Output {
    let body = BUDGET.replace("/run/nixdash", &claims.display().to_string());
    let mut script = std::process::Command::new("/bin/sh");
    script.args(["-c", &body, "sh", mode, who, "who=me@desk run=7", "etcd"]);
    script.output().unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_run_beside_the_phases_is_told_once_on_each_host() {
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&told);
    let listener: Listener = Arc::new(move |event| {
        if let RunWhat::Command { host, command, .. } = event.what {
            let words = [&command.on, &command.script, &command.args[0]];
            heard.lock().unwrap().push(format!("{host}: {}", words.map(String::as_str).join(" ")));
        }
    });
    let answers = |_: &str, mode: &str| if mode == "hold" { "held\tetcd\t\n" } else { FREE };
    let (shared, _) = sharing_and_telling(answers, listener);
    let (tell, mut answers) = mpsc::channel(8);
    for _ in 0..2 {
        let claim = claim_of(&shared);
        let stop = CancellationToken::new();
        let work = tokio::spawn(claim.work(stop.clone(), tell.clone()));
        assert_eq!(answers.recv().await, Some(ClaimAnswer::Held));
        stop.cancel();
        work.await.unwrap();
    }
    let asks = GateQuestion::Command(vec!["true".to_owned()]);
    let (name, limit) = ("up".to_owned(), Duration::from_secs(60));
    let (delay, interval) = (Duration::ZERO, Duration::from_secs(1));
    let gate = Gate { name, asks, delay, interval, successes_in_a_row: 1, failures: 0, limit };
    let known = RunFacts::default();
    let host = GatedHost {
        name: "a".to_owned(),
        known,
        may_run_before: false,
        boot_id: None,
        ended_at: None,
    };
    crate::deploy::engine::gate::ask(&shared, &gate, &[host]).await;
    let expected =
        ["a: a budget.sh claim", "a: b budget.sh look", "a: a budget.sh hold", "a: a gate.sh 60"];
    assert_eq!(*told.lock().unwrap(), expected);
}

#[test]
fn a_claim_that_cannot_be_written_is_no_claim() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.path().join("budget-etcd.new")).unwrap();
    let output = run_script(folder.path(), "a", "claim");
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert!(!output.stderr.is_empty(), "the reason is told");
    // What had been claimed when there was room is held no more than that.
    std::fs::remove_file(folder.path().join("budget-etcd.new")).unwrap();
    assert_eq!(word_of_script(folder.path(), "a", "claim"), "mine");
    std::os::unix::fs::symlink("/dev/full", folder.path().join("budget-etcd.new")).unwrap();
    assert!(!run_script(folder.path(), "a", "hold").status.success());
    assert_eq!(word_of_script(folder.path(), "b", "look"), "taken");
}

#[test]
fn the_script_renews_what_is_held_and_a_claim_takes_nothing_from_that() {
    let folder = tempfile::tempdir().unwrap();
    let run = |who: &str, mode: &str| word_of_script(folder.path(), who, mode);
    for (who, mode, says) in [
        ("a", "renew", "lost"),
        ("a", "claim", "mine"),
        ("a", "renew", "lost"),
        ("b", "look", "taken"),
        ("a", "hold", "held"),
        ("a", "renew", "held"),
        ("a", "claim", "held"),
        ("a", "renew", "held"),
        ("b", "claim", "taken"),
        ("b", "renew", "lost"),
        ("b", "release", "taken"),
        ("a", "release", "free"),
        ("a", "renew", "lost"),
    ] {
        assert_eq!(run(who, mode), says, "{who} {mode}");
    }
}

#[test]
fn a_claim_is_forgotten_when_it_is_old_and_when_the_clock_was_set_back_since() {
    let folder = tempfile::tempdir().unwrap();
    let run = |who: &str, mode: &str| word_of_script(folder.path(), who, mode);
    for (written, says) in [(-30, "taken"), (30, "taken"), (-300, "free"), (7200, "free")] {
        assert_eq!(run("a", "claim"), "mine", "{written}");
        let claim = std::fs::File::options().append(true).open(folder.path().join("budget-etcd"));
        let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(written);
        claim.unwrap().set_modified(at.into()).unwrap();
        assert_eq!(run("b", "look"), says, "written {written} s from now");
    }
}

#[test]
fn who_claims_who_holds_and_who_cannot_be_reached_is_in_flight() {
    assert_eq!(rival("b", "etcd", said("free\tetcd\t\n")), None);
    let claim = "taken\tetcd\tid=run-1-b state=claim who=me@desk run=4 since=1\n";
    let found = rival("b", "etcd", said(claim)).unwrap();
    assert_eq!((found.holds, found.words.as_str()), (false, "b (me@desk, run 4)"));
    let held = claim.replace("state=claim", "state=hold");
    assert!(rival("b", "etcd", said(&held)).unwrap().holds);
    let busy = "free\tetcd\t\nbusy\t\twho=you@desk run=9 unit=x\n";
    assert_eq!(rival("b", "etcd", said(busy)).unwrap().words, "b (you@desk, run 9)");
    let away = RemoteError::new("b", Trouble::Unreachable, "no route");
    let away = rival("b", "etcd", Err(away)).unwrap();
    assert!(away.holds && away.never.is_none(), "it may come back");
    let busy = RemoteError::not_root("b", NotRoot::Failed, "sudo: cannot open /etc/sudoers");
    let busy = rival("b", "etcd", Err(busy)).unwrap();
    assert!(busy.holds && busy.never.is_none(), "it may be activated just now");
    let changed = RemoteError::new("b", Trouble::HostKey(KeyTrouble::Changed), "another key");
    assert!(rival("b", "etcd", Err(changed)).unwrap().never.is_some(), "somebody has to look");
    assert!(rival("b", "etcd", said("")).unwrap().holds, "no answer is no free place");
}

#[test]
fn hosts_that_do_not_answer_are_named_where_they_alone_take_all_places() {
    let budget = |in_flight| Budget { name: "etcd".into(), tag: "etcd".into(), in_flight };
    let away = |host: &str| {
        rival(host, "etcd", Err(RemoteError::new(host, Trouble::Unreachable, "no route"))).unwrap()
    };
    let held = rival("d", "etcd", said(TAKEN)).unwrap();
    let rivals = [away("b"), held, away("c")];
    assert_eq!(all_silent(&budget(2), &rivals), ["b", "c"]);
    assert!(all_silent(&budget(2), &rivals[..2]).is_empty(), "what d has becomes free");
    assert!(all_silent(&budget(1), &rivals[1..2]).is_empty());
}
