//! Systems that were built earlier: what they were built from.

use super::target::{NEW, fleet, found_by_preflight, switch};
use super::ways::{FLEET, WaysStory, deploy_requested, prints, requested};
use crate::deploy::engine::ancestry::source_of;
use crate::deploy::engine::context::RunContext;
use crate::deploy::engine::step::Step;
use crate::deploy::engine::telling::Teller;
use crate::deploy::{GivenPlace, GivenSystem, LaterSystem, RunFacts};
use crate::fleet::{
    Code, DeployedFrom, FlakeSource, Goal, Outcome, Phase, RunId, RunOptions, StorePath, Strategy,
};
use crate::remote::{FakeRunner, Output};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// Makes a flake with two commits, and returns their names; the newer one is checked out.
fn flake_with_two_commits(dir: &Path) -> [String; 2] {
    let git = |args: &[&str]| {
        let who = ["-c", "user.name=me", "-c", "user.email=me@desk", "-c", "commit.gpgsign=false"];
        let output = Command::new("git").args(who).args(args).current_dir(dir).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "-q"]);
    std::fs::write(dir.join("flake.nix"), "{ outputs = _: { }; }").unwrap();
    git(&["add", "."]);
    ["first", "second"].map(|message| {
        git(&["commit", "-q", "--allow-empty", "-m", message]);
        git(&["rev-parse", "HEAD"])
    })
}

/// Deploys a system that its builder built from one revision to a host that runs another one.
async fn deploy_built(
    flake: &Path,
    (built, runs): (&str, &str),
    place: GivenPlace,
    options: RunOptions,
) -> WaysStory {
    let toplevel = StorePath::parse(NEW).unwrap();
    let mut request = requested(&["samsung"], options);
    let given = GivenSystem::new(toplevel, place.clone());
    request.given.insert("samsung".into(), given);
    let remembered = format!("{built}\t/home/me/fleet\tme@desk\t1\n");
    let preflight =
        found_by_preflight("1", &format!("built_from\t{runs}\t/home/me/fleet\tme@desk\t1\n"));
    // What a host ran before it remembers itself.
    let remembers = if place == GivenPlace::Host { "samsung" } else { "p620" };
    let answers = move |host: &str, name: &str, _: &_| match (host, name) {
        ("samsung", "preflight") => prints(&preflight),
        (host, "built-from") if host == remembers => prints(&remembered),
        _ => None,
    };
    let flake = flake.to_str().unwrap();
    deploy_requested(&request, (flake, FLEET), None, Box::new(answers)).await
}

// git runs here: the clock is the real one.
#[tokio::test]
async fn what_was_built_earlier_is_deployed_as_the_revision_that_it_was_built_from() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = flake_with_two_commits(dir.path());
    let push = || RunOptions { strategy: Some(Strategy::Push), ..RunOptions::default() };
    let told = |story: &WaysStory| {
        let args = story.job("samsung", "activate").unwrap_or_default().to_vec();
        args.into_iter()
            .filter(|arg| arg.starts_with("revision=") || arg.starts_with("flake="))
            .collect::<Vec<_>>()
    };
    let of = |revision: &str| [format!("revision={revision}"), "flake=/home/me/fleet".to_owned()];

    let newer = deploy_built(dir.path(), (&second, &first), GivenPlace::Builder, push()).await;
    assert_eq!(newer.result.outcome, Outcome::Switched, "{:?}", newer.result.error);
    assert_eq!(told(&newer), of(&second));

    // The flake is at the newer revision, and what was built earlier is not.
    let older = deploy_built(dir.path(), (&first, &second), GivenPlace::Builder, push()).await;
    assert_eq!(older.result.outcome, Outcome::Failed);
    assert_eq!(older.result.findings[0].code, Code::RevisionNotContained);
    assert!(older.result.error.unwrap().contains("takes 1 commit away"), "who is not asked");

    let allowed = RunOptions { allow_older: true, ..push() };
    let older = deploy_built(dir.path(), (&first, &second), GivenPlace::Builder, allowed).await;
    assert_eq!(older.result.outcome, Outcome::Switched, "{:?}", older.result.error);
    assert_eq!(told(&older), of(&first));

    // One that the host has already is no other: only a rollback goes back on purpose.
    let back = deploy_built(dir.path(), (&first, &second), GivenPlace::Host, push()).await;
    assert_eq!(back.result.findings[0].code, Code::RevisionNotContained);
    let allowed = RunOptions { allow_older: true, ..push() };
    let back = deploy_built(dir.path(), (&first, &second), GivenPlace::Host, allowed).await;
    assert_eq!(back.result.outcome, Outcome::Switched, "{:?}", back.result.error);
    assert_eq!(told(&back), of(&first));
    assert_eq!(back.revision().as_deref(), Some(&first[..9]), "the plan names it");
}

#[tokio::test]
async fn a_host_with_a_flake_of_its_own_is_deployed_as_the_revision_of_that() {
    let (fleet_dir, own_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    flake_with_two_commits(fleet_dir.path());
    let [first, second] = flake_with_two_commits(own_dir.path());
    let own = own_dir.path().to_str().unwrap();
    let hosts =
        FLEET.replace("[hosts.samsung]\n", &format!("[hosts.samsung]\nflake = \"{own}\"\n"));
    std::fs::write(own_dir.path().join("flake.nix"), "{ outputs = _: { }; } # changed").unwrap();
    let preflight = found_by_preflight("1", &format!("built_from\t{first}\n"));
    let answers = move |host: &str, name: &str, _: &_| match (host, name) {
        ("samsung", "preflight") => prints(&preflight),
        ("p620", "evaluate") => prints(&format!("{{\"drv\":\"{NEW}.drv\",\"out\":\"{NEW}\"}}")),
        _ => None,
    };
    let options = RunOptions { strategy: Some(Strategy::Push), ..RunOptions::default() };
    let request = requested(&["samsung"], options);
    let flakes = (fleet_dir.path().to_str().unwrap(), hosts.as_str());
    let story = deploy_requested(&request, flakes, None, Box::new(answers)).await;
    let plan = story.plan();
    let built_from = plan.built_from.as_ref().unwrap();
    assert_eq!(built_from.revision, format!("{second}-dirty"));
    assert_eq!(built_from.flake.as_deref(), Some(own));
    assert_eq!(story.revision(), Some(format!("{}-dirty", &second[..9])));
    let told = plan.notes.join("\n");
    assert!(told.contains(&format!("its own flake {own}: the work tree")), "{told}");
}

/// Deploys what a flake says to a host that runs a revision.
async fn deploy_flake(flake: &str, runs: &str) -> WaysStory {
    let preflight = found_by_preflight("1", &format!("built_from\t{runs}\n"));
    let answers = move |host: &str, name: &str, _: &_| match (host, name) {
        ("samsung", "preflight") => prints(&preflight),
        _ => None,
    };
    let options = RunOptions { strategy: Some(Strategy::Push), ..RunOptions::default() };
    let request = requested(&["samsung"], options);
    deploy_requested(&request, (flake, FLEET), None, Box::new(answers)).await
}

#[tokio::test]
async fn a_flake_at_a_branch_or_commit_is_asked_whether_it_contains_what_runs() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = flake_with_two_commits(dir.path());
    let done = Command::new("git").args(["branch", "old", &first]).current_dir(dir.path()).status();
    assert!(done.unwrap().success());
    let flake = format!("git+file://{}", dir.path().display());
    for older in ["ref=old".to_owned(), format!("rev={first}")] {
        let story = deploy_flake(&format!("{flake}?{older}"), &second).await;
        assert_eq!(story.result.findings[0].code, Code::RevisionNotContained, "{older}");
        assert_eq!(story.result.outcome, Outcome::Failed, "{older}");
    }
    let story = deploy_flake(&format!("{flake}?rev={second}"), &first).await;
    assert_eq!(story.result.outcome, Outcome::Switched, "{:?}", story.result.error);
    assert_eq!(story.revision().as_deref(), Some(&second[..9]), "the plan names it");
    let codes = story.plan().findings.iter().map(|finding| finding.code).collect::<Vec<_>>();
    assert!(!codes.contains(&Code::RevisionUnknown), "{codes:?}");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_knows_the_revision_of_is_deployed_with_a_note() {
    let story = deploy_flake("github:me/x", "0123456789abcdef").await;
    // Nobody is asked, and a note refuses nothing.
    assert_eq!(story.result.outcome, Outcome::Switched, "{:?}", story.result.error);
    let found = story.plan().findings.iter().find(|one| one.code == Code::RevisionUnknown).unwrap();
    assert!(found.cause.contains("samsung runs revision 012345678"), "{found:?}");
}

#[tokio::test]
async fn a_later_runs_system_is_built_from_what_that_run_says_and_not_from_this_runs_flake() {
    let fleet = fleet("");
    let setup = switch(&fleet, Goal::Switch);
    let runner = Arc::new(FakeRunner::new(|_, _| Ok(Output::default())));
    let run = RunId("7".to_owned());
    let teller = Teller::new(run.clone(), Arc::new(drop));
    let flake = FlakeSource {
        flake: "/home/me/fleet".to_owned(),
        commit: "3f2c1ab09d8e".to_owned(),
        changed: Vec::new(),
        locked: None,
    };
    let shared = RunContext::new(Arc::new(fleet), runner, run, "tag".to_owned(), &setup, teller);
    let shared = Arc::new(shared.with_sources(Some(flake), BTreeMap::new()));
    let source = async |later: Option<LaterSystem>| {
        let known = RunFacts { later, ..RunFacts::default() };
        let step = Step::new(Arc::clone(&shared), setup.hosts[0].clone(), Phase::Activate, known);
        source_of(&step).await.map(|source| source.revision)
    };
    assert_eq!(source(None).await.as_deref(), Some("3f2c1ab09d8e"));
    let of = |built_from| Some(LaterSystem { run: RunId("9".to_owned()), built_from });
    assert_eq!(source(of(None)).await, None);
    let other = DeployedFrom::parse("8f2c1abcd012");
    assert_eq!(source(of(other)).await.as_deref(), Some("8f2c1abcd012"));
}

/// Deploys what a flake with uncommitted changes, or without, says to a host that remembers this of what it runs.
async fn deploy_over(flake: &Path, remembers: &str, options: RunOptions) -> WaysStory {
    let preflight = found_by_preflight("1", &format!("built_from\t{remembers}\n"));
    let answers = move |host: &str, name: &str, _: &_| match (host, name) {
        ("samsung", "preflight") => prints(&preflight),
        ("p620", "evaluate") => prints(&format!("{{\"drv\":\"{NEW}.drv\",\"out\":\"{NEW}\"}}")),
        _ => None,
    };
    let options = RunOptions { strategy: Some(Strategy::Push), ..options };
    let request = requested(&["samsung"], options);
    deploy_requested(&request, (flake.to_str().unwrap(), FLEET), None, Box::new(answers)).await
}

#[tokio::test]
async fn changes_that_are_in_no_revision_are_not_overwritten_where_nobody_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = flake_with_two_commits(dir.path());
    let me = crate::deploy::engine::owner::this_person();
    let none = RunOptions::default;
    // The commit contains what the changes were made on, and not the changes.
    for base in [&first, &second] {
        let remembers = format!("{base}-dirty\tflake\tyou@desk\t1");
        let story = deploy_over(dir.path(), &remembers, none()).await;
        assert_eq!(story.result.outcome, Outcome::Failed);
        assert_eq!(story.result.findings[0].code, Code::RevisionNotContained);
        let error = story.result.error.as_ref().unwrap();
        for part in ["in no revision", "deployed by you@desk", "nothing was done", "--allow-older"]
        {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert_eq!(story.job("p620", "build"), None);
        let allowed = RunOptions { allow_older: true, ..none() };
        let story = deploy_over(dir.path(), &remembers, allowed).await;
        assert_eq!(story.result.outcome, Outcome::Switched, "{:?}", story.result.error);
        let found = &story.plan().findings;
        assert!(found.iter().any(|one| one.code == Code::RevisionNotContained), "{found:?}");
    }
    // Whoever made them has committed them since, or left them out.
    for (base, outcome) in [(&first, Outcome::Switched), (&second, Outcome::Failed)] {
        let remembers = format!("{base}-dirty\tflake\t{me}\t1");
        let story = deploy_over(dir.path(), &remembers, none()).await;
        assert_eq!(story.result.outcome, outcome, "{base}: {:?}", story.result.error);
    }
    // The same work tree again, with other changes.
    std::fs::write(dir.path().join("flake.nix"), "{ outputs = _: { }; } # changed").unwrap();
    for (by, base, outcome) in [
        (me.as_str(), &second, Outcome::Switched),
        (me.as_str(), &first, Outcome::Switched),
        ("you@desk", &second, Outcome::Failed),
    ] {
        let remembers = format!("{base}-dirty\tflake\t{by}\t1");
        let story = deploy_over(dir.path(), &remembers, none()).await;
        assert_eq!(story.result.outcome, outcome, "{by} {base}: {:?}", story.result.error);
    }
}
