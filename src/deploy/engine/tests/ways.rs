//! Ways by which a system reaches its host: push, auto, a cache that fails, and what was evaluated before.

use super::failover::cache_is_down;
use super::target::{NEW, OLD, Target, found_by_preflight, name_of};
use crate::deploy::{Control, Deploy, Request, RunBegin, RunJournal, setup};
use crate::fleet::{
    Code, Goal, HostPlan, HostResult, Outcome, Phase, PhaseState, Route, RunEvent, RunId,
    RunOptions, RunWhat, Strategy,
};
use crate::record::KeptEvaluations;
use crate::remote::{FakeRunner, Output, RemoteError, Script, Trouble};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// The public half of the builder's key.
const KEY: &str = "p620-1:84lYE1B4WYBhgRnr4i3CGQuBrqMejfmimNytE5731+M=";

/// A fleet of a builder with a cache, and a target.
pub(super) const FLEET: &str = "[hosts.p620]\naddresses = [\"root@p620.lan\"]\nsystem = \"x86_64-linux\"\n\
    sign_key = \"/etc/nix/secret-key\"\n[hosts.samsung]\naddresses = [\"samsung.lan:2222\"]\n\
    [[tiers]]\nname = \"cache\"\nkind = \"nix-serve\"\nurl = \"http://p620.lan:5000\"\nhost = \"p620\"\n\
    public_key = \"p620-1:84lYE1B4WYBhgRnr4i3CGQuBrqMejfmimNytE5731+M=\"\n";

/// How a deploy over two hosts went.
pub(super) struct WaysStory {
    pub(super) result: HostResult,
    pub(super) events: Vec<RunEvent>,
    asked: Vec<(String, Script)>,
}

impl WaysStory {
    /// Returns the scripts of a name that were run on a host.
    pub(super) fn scripts(&self, host: &str, name: &str) -> Vec<&Script> {
        let named = |(on, script): &&(String, Script)| on == host && name_of(script) == name;
        self.asked.iter().filter(named).map(|(_, script)| script).collect()
    }

    /// Returns the plan of the target.
    pub(super) fn plan(&self) -> &HostPlan {
        let plan = self.events.iter().find_map(|event| match &event.what {
            RunWhat::Plan { plan, .. } => plan.hosts.first(),
            _ => None,
        });
        plan.unwrap()
    }

    /// Returns the revision that the plan names.
    pub(super) fn revision(&self) -> Option<String> {
        let plan = self.events.iter().find_map(|event| match &event.what {
            RunWhat::Plan { plan, .. } => Some(plan),
            _ => None,
        });
        plan.unwrap().revision.clone()
    }

    /// Returns whether a phase was skipped.
    fn skipped(&self, wanted: Phase) -> bool {
        self.events.iter().any(|event| {
            matches!(&event.what, RunWhat::Phase { phase, state: PhaseState::Skipped, .. } if *phase == wanted)
        })
    }

    /// Returns everything that was logged.
    pub(super) fn log(&self) -> String {
        let lines = self.events.iter().filter_map(|event| match &event.what {
            RunWhat::Log { line, .. } => Some(line.as_str()),
            _ => None,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Returns the arguments of the job whose name begins so.
    pub(super) fn job(&self, host: &str, name: &str) -> Option<&[String]> {
        let begins = format!("run-7-x-{name}-");
        let jobs = self.scripts(host, "start").into_iter();
        jobs.map(|script| script.args.as_slice()).find(|args| args[0].starts_with(&begins))
    }
}

/// What hosts answer besides; nothing where they answer as usual.
pub(super) type HostAnswers =
    dyn Fn(&str, &str, &Script) -> Option<Result<Output, RemoteError>> + Send + Sync;

/// Prints a text.
#[expect(clippy::unnecessary_wraps, reason = "this is what a host answers")]
pub(super) fn prints(text: &str) -> Option<Result<Output, RemoteError>> {
    Some(Ok(Output { stdout: text.to_owned(), ..Output::default() }))
}

/// Answers as a builder and a target do that can be pushed to.
pub(super) fn usual(name: &str) -> Option<Result<Output, RemoteError>> {
    match name {
        "push-target" => prints(&format!(
            "user\tme\nhost-key\tssh-ed25519 AAAA\nsetting\ttrusted-public-keys = {KEY}\n\
             setting\trequire-sigs = true\n"
        )),
        "push-way" => prints(&format!("key\t{KEY}\nreached\t0\n")),
        "systems" => prints("x86_64-linux\ni686-linux\n"),
        "evaluator" => prints("nix\tnix (Nix) 2.26.3\nsetting\tsystem = x86_64-linux\n"),
        "unpack" => prints("/home/me/.cache/nixdash/source-abc\n"),
        _ => None,
    }
}

/// Deploys samsung by a strategy.
pub(super) async fn deploy(
    flake: &str,
    hosts: &str,
    strategy: Strategy,
    kept: Option<KeptEvaluations>,
    answers: Box<HostAnswers>,
) -> WaysStory {
    deploy_hosts(&["samsung"], (flake, hosts), strategy, kept, answers).await
}

/// Deploys hosts by a strategy; the story's result is the first one's that ended.
async fn deploy_hosts(
    names: &[&str],
    (flake, hosts): (&str, &str),
    strategy: Strategy,
    kept: Option<KeptEvaluations>,
    answers: Box<HostAnswers>,
) -> WaysStory {
    let options = RunOptions { strategy: Some(strategy), ..RunOptions::default() };
    let request = requested(names, options);
    deploy_requested(&request, (flake, hosts), kept, answers).await
}

/// Returns what is asked for where hosts are deployed and nobody is asked.
pub(super) fn requested(names: &[&str], options: RunOptions) -> Request {
    Request {
        set_aside: std::collections::BTreeMap::new(),
        degraded: std::collections::BTreeMap::new(),
        hosts: names.iter().map(|name| (*name).to_owned()).collect(),
        goal: Goal::Switch,
        allow_protected: Vec::new(),
        asks: false,
        goals: std::collections::BTreeMap::new(),
        given: std::collections::BTreeMap::new(),
        reboot: None,
        options,
    }
}

/// Deploys what is asked for; the story's result is that of the first host that ended.
pub(super) async fn deploy_requested(
    request: &Request,
    flake_and_hosts: (&str, &str),
    kept: Option<KeptEvaluations>,
    answers: Box<HostAnswers>,
) -> WaysStory {
    let (_control, said) = mpsc::channel(4);
    deploy_hearing(request, flake_and_hosts, kept, answers, said).await
}

/// Deploys what is asked for, and hears what is said meanwhile.
pub(super) async fn deploy_hearing(
    request: &Request,
    (flake, hosts): (&str, &str),
    kept: Option<KeptEvaluations>,
    answers: Box<HostAnswers>,
    said: mpsc::Receiver<Control>,
) -> WaysStory {
    let text = format!(
        "[fleet]\nflake = \"{flake}\"\nevaluate = \"builder\"\nbuilder = \"p620\"\nsettle = \"0s\"\n{hosts}"
    );
    let fleet = crate::config::parse(&text, Path::new("/f/hosts.toml"), None).unwrap();
    let setup = setup(&fleet, request).unwrap();
    let target = Mutex::new(Target::default());
    let runner = Arc::new(FakeRunner::new(move |host, script| {
        let name = name_of(script);
        let answer = answers(host, name, script).or_else(|| usual(name));
        answer.unwrap_or_else(|| target.lock().unwrap().answer(script))
    }));
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let deploy = Deploy {
        fleet: Arc::new(fleet),
        runner: Arc::clone(&runner) as Arc<dyn crate::remote::ScriptRunner>,
        run: RunId("7".to_owned()),
        tag: "run-7-x".to_owned(),
        begin: RunBegin::Fresh { setup: Box::new(setup), hosts_file: None },
        journal: RunJournal::none(),
        kept,
        streams: None,
        newest: Arc::new(|_| None),
        package_times: Arc::new(|_| crate::fleet::UsualBuilds::new()),
    };
    let ended = deploy.run(said, Arc::new(move |event| heard.lock().unwrap().push(event))).await;
    ended.tidying.await;
    let events = std::mem::take(&mut *events.lock().unwrap());
    let result = events.iter().find_map(|event| match &event.what {
        RunWhat::Result { result, .. } => Some(result.clone()),
        _ => None,
    });
    WaysStory { result: result.unwrap(), events, asked: runner.asked() }
}

#[tokio::test(start_paused = true)]
async fn hosts_are_evaluated_together_where_nix_eval_jobs_is_there() {
    let hosts = format!(
        "{FLEET}[hosts.razer]\naddresses = [\"razer.lan\"]\n[hosts.odd]\naddresses = [\"odd.lan\"]\n"
    );
    let jobs = |_: &str, name: &str, script: &Script| match name {
        "evaluator" => {
            prints("nix\tnix (Nix) 2.31.0\nmemory\t17179869184\nprocessors\t4\neval-jobs\tyes\n")
        }
        "evaluate" if script.args[0] == "nix-eval-jobs" => prints(&format!(
            "{{\"attr\":\"odd\",\"attrPath\":[\"odd\"],\"error\":\"no\"}}\n\
             {{\"attr\":\"samsung\",\"attrPath\":[\"samsung\"],\"drvPath\":\"{NEW}.drv\",\"outputs\":{{\"out\":\"{NEW}\"}}}}\n\
             {{\"attr\":\"razer\",\"attrPath\":[\"razer\"],\"drvPath\":\"{NEW}.drv\",\"outputs\":{{\"out\":\"{NEW}\"}}}}\n"
        )),
        _ => None,
    };
    let names = ["samsung", "razer", "odd"];
    let story =
        deploy_hosts(&names, ("github:me/x", &hosts), Strategy::Push, None, Box::new(jobs)).await;
    let all = story.scripts("p620", "evaluate");
    let together = all.iter().filter(|script| script.args[0] == "nix-eval-jobs").count();
    assert_eq!(
        (together, evaluations(&story)),
        (1, 1),
        "only the one with an error again: {}",
        story.log()
    );
    for event in &story.events {
        if let RunWhat::Result { host, result } = &event.what {
            assert_eq!(result.outcome, Outcome::Switched, "{host}: {:?}", result.error);
        }
    }
}

/// Answers nothing but the usual.
fn as_usual() -> Box<HostAnswers> {
    Box::new(|_, _, _| None)
}

#[tokio::test(start_paused = true)]
async fn a_push_is_a_job_of_the_builder_that_signs_and_lets_the_target_check() {
    let story = deploy("github:me/x", FLEET, Strategy::Push, None, as_usual()).await;
    assert_eq!(story.result.outcome, Outcome::Switched, "{:?}", story.result.error);
    assert!(story.skipped(Phase::Publish) && story.skipped(Phase::Verify));
    let job = story.job("p620", "push").unwrap();
    // What starts the job comes first.
    let job = &job[job.iter().position(|word| word == NEW).unwrap()..];
    assert_eq!(job[..2], [NEW.to_owned(), "ssh-ng://me@samsung.lan".to_owned()]);
    for part in
        ["StrictHostKeyChecking=yes", "BatchMode=yes", "ControlMaster=no", "-p 2222", "ServerAlive"]
    {
        assert!(job[2].contains(part), "{part}: {}", job[2]);
    }
    assert_eq!(job[3], "/etc/nix/secret-key");
    assert!(!job.concat().contains("check-sigs"), "{job:?}");
    assert!(story.job("samsung", "fetch").is_none(), "no cache takes part");
    let taken = story.result.taken.unwrap();
    assert_eq!(taken.route, Route::Push { builder: "p620".to_owned() });
    let root = story.asked.iter().position(|(host, script)| {
        host == "samsung" && name_of(script) == "root-ahead" && script.args[0] == NEW
    });
    let copy = story.asked.iter().position(|(host, script)| {
        host == "p620" && script.args.contains(&"ssh-ng://me@samsung.lan".to_owned())
    });
    assert!(root.unwrap() < copy.unwrap(), "it is rooted before it is there");
}

#[tokio::test(start_paused = true)]
async fn a_builder_that_is_off_is_told_with_the_way_that_needs_none() {
    let off = |host: &str, _: &str, _: &Script| {
        let error = || RemoteError::new(host, Trouble::Unreachable, "Connection refused");
        (host == "p620").then(|| Err(error()))
    };
    let story = deploy("github:me/x", FLEET, Strategy::ViaCache, None, Box::new(off)).await;
    let error = story.result.error.unwrap();
    let way =
        "; or let samsung build its own system with `nixdash deploy samsung --strategy direct`";
    assert!(
        error.starts_with("samsung cannot be built: p620: ") && error.ends_with(way),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_builder_that_restarts_in_the_middle_copies_again() {
    let copies = Mutex::new((0, 0));
    let restarted = move |host: &str, name: &str, script: &Script| {
        let (begun, followed) = &mut *copies.lock().unwrap();
        let of_copy = host == "p620" && script.args.first()?.starts_with("run-7-x-push-");
        match name {
            "start" if of_copy => {
                *begun += 1;
                // Nothing is left of the first one: this one is not there either.
                prints(&format!("{}\tbegun\n", script.args[4]))
            }
            "follow" if of_copy && *followed < 2 => {
                *followed += 1;
                assert_eq!(*begun, *followed);
                prints(&format!("\n{}\tgone\n", script.args[3]))
            }
            _ => None,
        }
    };
    let story = deploy("github:me/x", FLEET, Strategy::Push, None, Box::new(restarted)).await;
    assert_eq!(story.result.outcome, Outcome::Switched, "{:?}", story.result.error);
    let said = "p620 was restarted meanwhile; copying again";
    assert_eq!(story.log().matches(said).count(), 2, "{}", story.log());
}

#[tokio::test(start_paused = true)]
async fn a_copy_whose_connection_fails_is_made_again_by_another_job_and_no_other_is() {
    let cut = "error: cannot open connection to remote store 'ssh-ng://me@samsung.lan': error: failed to start SSH \
               connection to 'me@samsung.lan'";
    let unsigned =
        "error: cannot add path '/nix/store/x' because it lacks a signature by a trusted key";
    for (says, breaks, jobs, ends) in [
        (cut, 2, 3, Outcome::Switched),
        (cut, 9, 5, Outcome::Failed),
        (unsigned, 1, 1, Outcome::Failed),
    ] {
        let followed = Mutex::new(0);
        let answers = move |host: &str, name: &str, script: &Script| {
            let of_copy = host == "p620" && script.args.first()?.starts_with("run-7-x-push-");
            let followed = &mut *followed.lock().unwrap();
            *followed += usize::from(of_copy && name == "follow");
            (of_copy && name == "follow" && *followed <= breaks).then(|| {
                let line = format!("@nix {{\"action\":\"msg\",\"level\":0,\"msg\":\"{says}\"}}");
                let stdout = format!("{line}\n\n{}\tover\t\t1\t\t\n", script.args[3]);
                Ok(Output { stdout, ..Output::default() })
            })
        };
        let story = deploy("github:me/x", FLEET, Strategy::Push, None, Box::new(answers)).await;
        assert_eq!(story.result.outcome, ends, "{:?}\n{}", story.result.error, story.log());
        let mut names: Vec<_> = story
            .scripts("p620", "start")
            .iter()
            .map(|script| script.args[0].clone())
            .filter(|name| name.starts_with("run-7-x-push"))
            .collect();
        names.dedup();
        let expected = ["push", "push-2", "push-3", "push-4", "push-5"];
        let expected = expected.map(|job| format!("run-7-x-{job}-samsung"));
        assert_eq!(names, expected[..jobs]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_push_that_the_target_would_refuse_ends_before_anything_is_built() {
    let untrusting = |_: &str, name: &str, _: &Script| match name {
        "push-target" => {
            prints("user\tme\nsetting\ttrusted-public-keys = \nsetting\trequire-sigs = true\n")
        }
        _ => None,
    };
    let story = deploy("github:me/x", FLEET, Strategy::Push, None, Box::new(untrusting)).await;
    assert_eq!(story.result.findings[0].code, Code::KeyNotTrusted, "{:?}", story.result.error);
    assert!(story.scripts("p620", "evaluate").is_empty());
    let no_key = |_: &str, name: &str, _: &Script| match name {
        "push-way" => prints("no-key\t/etc/nix/secret-key\nreached\t0\n"),
        _ => None,
    };
    let story = deploy("github:me/x", FLEET, Strategy::Push, None, Box::new(no_key)).await;
    let error = story.result.error.unwrap();
    assert!(
        error.contains("sign_key in [hosts.p620]") && error.contains("no such file"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn auto_chooses_by_how_the_fleet_is_and_the_plan_says_why() {
    let up = |_: &str, name: &str, _: &Script| match name {
        "verify" => prints("\n--- narinfo\n\n--- status 404 \n"),
        _ => None,
    };
    let story = deploy("github:me/x", FLEET, Strategy::Auto, None, Box::new(up)).await;
    assert_eq!(story.plan().route.tier(), Some("cache"));
    assert_eq!(story.plan().why.as_deref(), Some("p620 builds for it, and tier cache answers it"));
    let down = |_: &str, name: &str, _: &Script| cache_is_down(name);
    let story = deploy("github:me/x", FLEET, Strategy::Auto, None, Box::new(down)).await;
    assert_eq!(story.plan().route, Route::Push { builder: "p620".to_owned() });
    assert!(story.plan().why.as_ref().unwrap().contains("cannot reach tier cache"));
    assert_eq!(story.result.outcome, Outcome::Switched, "{:?}", story.result.error);
    // One question may fall into a moment without network.
    let questions = Mutex::new(0);
    let hiccup = move |_: &str, name: &str, script: &Script| {
        let asked = &mut *questions.lock().unwrap();
        *asked += usize::from(name == "verify");
        if *asked == 1 { cache_is_down(name) } else { up(name, name, script) }
    };
    let story = deploy("github:me/x", FLEET, Strategy::Auto, None, Box::new(hiccup)).await;
    assert_eq!(story.plan().route.tier(), Some("cache"), "{}", story.log());
    let no_builder = |host: &str, name: &str, _: &Script| match (host, name) {
        ("p620", _) => {
            Some(Err(RemoteError::new("p620", Trouble::Unreachable, "No route to host")))
        }
        (_, "preflight") => prints(&found_by_preflight("1", "mains\t0\nbattery\t41\n")),
        _ => None,
    };
    let story = deploy("github:me/x", FLEET, Strategy::Auto, None, Box::new(no_builder)).await;
    assert_eq!(story.plan().route, Route::Direct);
    let why = story.plan().why.clone().unwrap();
    assert!(why.contains("p620 does not answer") && why.ends_with("on battery, 41 %"), "{why}");
    assert!(!why.contains('?'), "a clause follows: {why}");
    let foreign =
        FLEET.replace("[hosts.samsung]\n", "[hosts.samsung]\nsystem = \"aarch64-linux\"\n");
    let story = deploy("github:me/x", &foreign, Strategy::Auto, None, as_usual()).await;
    assert_eq!(story.plan().route, Route::Direct);
    let why = story.plan().why.clone().unwrap();
    assert!(
        why.starts_with("p620 builds for x86_64-linux, i686-linux, but samsung is aarch64-linux"),
        "{why}"
    );
    let story = deploy("github:me/x", &foreign, Strategy::Push, None, as_usual()).await;
    assert_eq!(story.result.findings[0].code, Code::NoBuilder, "{:?}", story.result.error);
}

#[tokio::test(start_paused = true)]
async fn of_which_system_a_host_is_is_known_from_its_own_nix_where_hosts_toml_does_not_say_it() {
    let of = |system: &'static str| -> Box<HostAnswers> {
        Box::new(move |host, name, script| match (host, name) {
            ("samsung", "preflight") => {
                assert_eq!(script.args, ["settings"]);
                let settings = format!(
                    "\n--- settings\nsystem = {system}\nsubstituters = http://p620.lan:5000\n\
                     trusted-public-keys = {KEY}\n"
                );
                prints(&found_by_preflight("1", &settings))
            }
            ("pi", "systems") => prints("aarch64-linux\n"),
            (_, "verify") => prints("\n--- narinfo\n\n--- status 404 \n"),
            _ => None,
        })
    };
    let arm = || of("aarch64-linux");
    let flake = "github:me/x";
    let story = deploy(flake, FLEET, Strategy::Auto, None, arm()).await;
    assert_eq!(story.plan().route, Route::Direct);
    let why = story.plan().why.clone().unwrap();
    assert!(why.contains("but samsung is aarch64-linux"), "{why}");
    // It may be cross-compiled, or be in a cache: only where hosts.toml says it, it is refused.
    let declared =
        FLEET.replace("[hosts.samsung]\n", "[hosts.samsung]\nsystem = \"aarch64-linux\"\n");
    for strategy in [Strategy::ViaCache, Strategy::Push] {
        let story = deploy(flake, FLEET, strategy, None, arm()).await;
        assert_eq!(
            story.result.outcome,
            Outcome::Switched,
            "{strategy:?} {:?}",
            story.result.error
        );
        let notes = story.plan().notes.join("\n");
        assert!(
            notes.contains("it is aarch64-linux, and its builder p620 builds only for"),
            "{notes}"
        );
        let story = deploy(flake, &declared, strategy, None, arm()).await;
        let findings = &story.result.findings;
        assert_eq!(findings[0].code, Code::NoBuilder, "{strategy:?} {:?}", story.result.error);
    }
    // A builder of that system is named.
    let builders = format!("[builders]\naarch64-linux = \"pi\"\n{FLEET}[hosts.pi]\n");
    let story = deploy(flake, &builders, Strategy::Auto, None, arm()).await;
    assert_eq!(story.plan().route.builder("samsung"), "pi", "{:?}", story.plan().why);
    // Nobody asks the builder for what both are.
    let story = deploy(flake, FLEET, Strategy::Push, None, of("x86_64-linux")).await;
    assert_eq!(story.result.outcome, Outcome::Switched, "{:?}", story.result.error);
    assert!(story.scripts("p620", "systems").is_empty());
    // Where it names no system at all, both are asked.
    let unnamed = FLEET.replace("system = \"x86_64-linux\"\n", "");
    let story = deploy(flake, &unnamed, Strategy::Push, None, arm()).await;
    assert_eq!(story.result.outcome, Outcome::Switched, "{:?}", story.result.error);
    assert!(story.plan().notes.join("\n").contains("it is aarch64-linux"), "{:?}", story.plan());
    assert_eq!(story.scripts("p620", "systems").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_caches_what_the_builder_does_not_sign_is_compiled_and_what_it_signs_is_signed_first()
 {
    let path = |name: &str| format!("/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-{name}");
    let (signed, bare) = (path("glibc-2.42"), path("less-695"));
    let request = requested(
        &["samsung"],
        RunOptions { strategy: Some(Strategy::Direct), skip_caches: true, ..RunOptions::default() },
    );
    let answers = |signs: bool| {
        let (signed, bare) = (signed.clone(), bare.clone());
        move |host: &str, name: &str, _: &Script| match (host, name) {
            ("samsung", "compare") => {
                let stderr = format!(
                    "this derivation will be built:\n  {NEW}.drv\nthese 2 paths will be fetched (0.00 MiB download, \
                     1.00 MiB unpacked):\n  {signed}\n  {bare}\n"
                );
                Some(Ok(Output { stderr, ..Output::default() }))
            }
            ("p620", "signatures") => {
                assert!(!signs, "all of it will be signed");
                prints(&format!("{signed}\tultimate p620-1:AAAA==\n{bare}\tultimate\n"))
            }
            _ => None,
        }
    };
    let flake = "github:me/x";
    let story = deploy_requested(&request, (flake, FLEET), None, Box::new(answers(true))).await;
    assert_eq!(story.result.outcome, Outcome::Switched, "{:?}", story.result.error);
    assert_eq!((story.plan().to_build, story.plan().to_download), (Some(1), Some(2)));
    let signing = story.scripts("p620", "sign-paths");
    assert_eq!((signing.len(), signing[0].root), (1, true));
    assert_eq!(signing[0].args, ["/etc/nix/secret-key"]);
    assert_eq!(signing[0].stdin, format!("{signed}\n{bare}\n").into_bytes());

    let no_key = FLEET.replace("sign_key = \"/etc/nix/secret-key\"\n", "");
    let story = deploy_requested(&request, (flake, &no_key), None, Box::new(answers(false))).await;
    assert_eq!(story.result.outcome, Outcome::Switched, "{:?}", story.result.error);
    let plan = story.plan();
    assert_eq!((plan.to_build, plan.to_download), (Some(2), Some(1)));
    let changes = plan.changes.as_ref().unwrap();
    let refused = changes.refused.as_ref().unwrap();
    assert_eq!((refused.count, refused.on.as_str(), changes.download_bytes), (1, "p620", None));
    assert!(story.scripts("p620", "sign-paths").is_empty());
    let notes = plan.notes.join("\n");
    assert!(notes.contains("signs nothing itself: name a key of p620 as sign_key"), "{notes}");
}

#[tokio::test(start_paused = true)]
async fn a_builder_that_goes_away_is_no_failure_of_a_host_that_builds_for_itself() {
    let request = requested(
        &["samsung"],
        RunOptions { strategy: Some(Strategy::Direct), skip_caches: true, ..RunOptions::default() },
    );
    let path = "/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-less-695";
    let no_key = FLEET.replace("sign_key = \"/etc/nix/secret-key\"\n", "");
    for (fleet, lost, said) in [
        (FLEET, "sign-paths", "p620 has could not be signed with /etc/nix/secret-key there"),
        (no_key.as_str(), "signatures", "who signed what p620 has is not known: "),
    ] {
        for is_gone in [true, false] {
            let answers = move |host: &str, name: &str, _: &Script| match (host, name) {
                ("samsung", "compare") => {
                    let stderr = format!(
                        "this derivation will be built:\n  {NEW}.drv\nthis path will be fetched (0.00 MiB \
                         download, 1.00 MiB unpacked):\n  {path}\n"
                    );
                    Some(Ok(Output { stderr, ..Output::default() }))
                }
                ("p620", name) if name == lost && is_gone => {
                    Some(Err(RemoteError::new("p620", Trouble::Unreachable, "No route to host")))
                }
                ("p620", name) if name == lost => {
                    Some(Ok(Output { code: 1, stderr: "error: no".into(), ..Output::default() }))
                }
                _ => None,
            };
            let flake = "github:me/x";
            let story = deploy_requested(&request, (flake, fleet), None, Box::new(answers)).await;
            assert_eq!(story.result.outcome, Outcome::Switched, "{:?}", story.result.error);
            assert!(story.log().contains(said), "{}", story.log());
            assert!(story.job("samsung", "build").is_some(), "{}", story.log());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_told_only_where_somebody_needs_them() {
    let request = requested(
        &["samsung"],
        RunOptions { strategy: Some(Strategy::Direct), skip_caches: true, ..RunOptions::default() },
    );
    for (is_checked, asked) in [(true, 1), (false, 0)] {
        let answers = move |_: &str, name: &str, _: &Script| match name {
            "push-target" if !is_checked => prints("user\tme\nsetting\trequire-sigs = false\n"),
            _ => None,
        };
        let flake = "github:me/x";
        let story = deploy_requested(&request, (flake, FLEET), None, Box::new(answers)).await;
        assert_eq!(story.result.outcome, Outcome::Switched, "{:?}", story.result.error);
        let told = story.scripts("p620", "push-way");
        assert_eq!(told.len(), asked, "{}", story.log());
        assert!(told.iter().all(|script| script.args[..2] == ["file", "/etc/nix/secret-key"]));
        let tried = story.scripts("samsung", "push-way");
        assert_eq!((tried.len(), &tried[0].args[..2]), (1, &["none".into(), String::new()][..]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_builder_that_sleeps_is_waited_for_and_builds() {
    let wakes = "[hosts.p620]\nmac = \"0a:1b:2c:3d:4e:5f\"\nwake_via = \"razer\"\n";
    let fleet =
        FLEET.replace("[hosts.p620]\n", wakes) + "[hosts.razer]\naddresses = [\"razer.lan\"]\n";
    for (goal, strategy) in [
        (Goal::Build, Strategy::Auto),
        (Goal::Switch, Strategy::Auto),
        (Goal::Switch, Strategy::Push),
        (Goal::Switch, Strategy::Direct),
    ] {
        let is_direct = strategy == Strategy::Direct;
        let options = RunOptions {
            strategy: Some(strategy),
            skip_caches: is_direct,
            ..RunOptions::default()
        };
        let request = Request { goal, ..requested(&["samsung"], options) };
        // It answers some time after the packet.
        let looks = Mutex::new(None);
        let sleeps = move |host: &str, name: &str, _: &Script| {
            let mut looks = looks.lock().unwrap();
            match (host, name) {
                ("razer", "unknown") => *looks = Some(0),
                ("p620", "presence") => *looks = looks.map(|count: u32| count + 1),
                _ => {}
            }
            let error = || RemoteError::new("p620", Trouble::Unreachable, "No route to host");
            if host == "p620" && looks.is_none_or(|count| count < 4) {
                return Some(Err(error()));
            }
            drop(looks);
            cache_is_down(name)
        };
        let flake = "github:me/x";
        let story = deploy_requested(&request, (flake, &fleet), None, Box::new(sleeps)).await;
        let ends = if goal == Goal::Build { Outcome::Built } else { Outcome::Switched };
        assert_eq!(story.result.outcome, ends, "{strategy:?}: {:?}", story.result.error);
        let builds_on = if is_direct { "samsung" } else { "p620" };
        assert!(story.job(builds_on, "build").is_some(), "{strategy:?}: {}", story.log());
        assert_eq!(story.scripts("razer", "unknown").len(), 1, "one packet: {}", story.log());
        if goal != Goal::Build {
            let notes = story.plan().notes.join("\n");
            assert_eq!(notes.contains("what p620 has over ssh"), is_direct, "{notes}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn auto_takes_no_copy_that_the_host_would_refuse() {
    let fleet = FLEET.replace("sign_key = \"/etc/nix/secret-key\"\n", "");
    for (keys, pushes) in
        [("reached\t0\n".to_owned(), false), (format!("nix-key\t{KEY}\nreached\t0\n"), true)]
    {
        let unsigned = move |_: &str, name: &str, _: &Script| match name {
            "push-way" => prints(&keys),
            name => cache_is_down(name),
        };
        let story = deploy("github:me/x", &fleet, Strategy::Auto, None, Box::new(unsigned)).await;
        assert_eq!(story.plan().route != Route::Direct, pushes);
        let why = story.plan().why.clone().unwrap();
        assert!(why.contains("cannot reach tier cache"), "{why}");
        assert_eq!(why.contains("p620 signs what it builds with no key"), !pushes, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_build_with_auto_says_who_builds_and_why_and_asks_the_host_nothing() {
    let request = Request {
        goal: Goal::Build,
        ..requested(
            &["samsung"],
            RunOptions { strategy: Some(Strategy::Auto), ..RunOptions::default() },
        )
    };
    let off = |host: &str, _: &str, _: &Script| {
        let error = || RemoteError::new(host, Trouble::Unreachable, "Connection refused");
        (host == "samsung").then(|| Err(error()))
    };
    let story = deploy_requested(&request, ("github:me/x", FLEET), None, Box::new(off)).await;
    assert_eq!(story.result.outcome, Outcome::Built, "{:?}", story.result.error);
    let said = "it is built on p620: p620 answers and builds for it";
    assert!(story.log().contains(said), "{}", story.log());
    assert!(story.job("p620", "build").is_some());
    let off = |host: &str, _: &str, _: &Script| {
        let error = || RemoteError::new(host, Trouble::Unreachable, "Connection refused");
        (host == "p620").then(|| Err(error()))
    };
    let story = deploy_requested(&request, ("github:me/x", FLEET), None, Box::new(off)).await;
    let said = "it is built on samsung: its builder p620 does not answer (";
    assert!(story.log().contains(said), "{}", story.log());
    assert!(story.job("samsung", "build").is_some(), "{:?}", story.result.error);
}

#[tokio::test(start_paused = true)]
async fn auto_takes_no_cache_that_the_host_does_not_trust_or_ask() {
    let other = "other-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
    for (keys, asks, way, part) in [
        (KEY, "http://p620.lan:5000", Some("cache"), "tier cache answers it"),
        (other, "http://p620.lan:5000", None, "samsung does not trust the key p620-1"),
        (KEY, "https://cache.nixos.org", None, "samsung does not ask cache"),
    ] {
        let told = format!("trusted-public-keys = {keys}\nsubstituters = {asks}\n");
        let answers = move |_: &str, name: &str, script: &Script| match name {
            "preflight" if script.args == ["settings"] => {
                prints(&found_by_preflight("1", &format!("\n--- settings\n{told}")))
            }
            "verify" => prints("\n--- narinfo\n\n--- status 404 \n"),
            _ => None,
        };
        let story = deploy("github:me/x", FLEET, Strategy::Auto, None, Box::new(answers)).await;
        assert_eq!(story.plan().route.tier(), way, "{keys} {asks}");
        let why = story.plan().why.clone().unwrap_or_default();
        assert!(why.contains(part), "{part}: {why}");
    }
}

/// Makes a flake in a clean git repository.
fn repository() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("flake.nix"), "{ outputs = { self }: { }; }").unwrap();
    std::fs::write(dir.path().join("flake.lock"), LOCK).unwrap();
    for args in [
        &["init", "-q", "."][..],
        &["add", "."],
        &["-c", "user.name=me", "-c", "user.email=me@x", "commit", "-q", "-m", "x"],
    ] {
        let done = std::process::Command::new("git").args(args).current_dir(dir.path()).status();
        assert!(done.unwrap().success());
    }
    dir
}

/// A lock file of a flake without inputs.
const LOCK: &str = r#"{"nodes": {"root": {}}, "root": "root", "version": 7}"#;

/// Answers what Nix says of a flake whose lock file is whole.
fn locked(name: &str, script: &Script) -> Option<Result<Output, RemoteError>> {
    let is_metadata = name == "evaluate" && script.args.iter().any(|word| word == "metadata");
    if is_metadata { prints(&format!("{{\"path\": \"{OLD}\", \"locks\": {LOCK}}}")) } else { None }
}

/// Returns how often an evaluator was started.
fn evaluations(story: &WaysStory) -> usize {
    let all = story.scripts("p620", "evaluate");
    all.iter().filter(|script| script.args.iter().any(|word| word == "eval")).count()
}

#[tokio::test]
async fn a_clean_commit_is_evaluated_once_and_a_dirty_tree_at_every_deploy() {
    let (flake, state) = (repository(), tempfile::tempdir().unwrap());
    let place = flake.path().display().to_string();
    let kept = || Some(KeptEvaluations::below(state.path()));
    let run = |kept| {
        let answers = |_: &str, name: &str, script: &Script| locked(name, script);
        deploy(&place, FLEET, Strategy::Push, kept, Box::new(answers))
    };
    let first = run(kept()).await;
    assert_eq!(
        (evaluations(&first), first.result.outcome),
        (1, Outcome::Switched),
        "{}",
        first.log()
    );
    let second = run(kept()).await;
    assert_eq!(
        (evaluations(&second), second.result.outcome),
        (0, Outcome::Switched),
        "{}",
        second.log()
    );
    assert!(second.log().contains("not evaluated again"), "{}", second.log());
    assert!(second.scripts("p620", "unpack").is_empty(), "the source is not sent either");
    assert_eq!(evaluations(&run(None).await), 1, "nothing is kept where nothing can be");
    std::fs::write(flake.path().join("flake.nix"), "{ outputs = { self }: { a = 1; }; }").unwrap();
    for _ in 0..2 {
        let dirty = run(kept()).await;
        assert_eq!(evaluations(&dirty), 1);
        assert!(dirty.log().contains("work tree of the flake has changes"), "{}", dirty.log());
    }
}

#[tokio::test]
async fn what_came_of_a_flake_that_was_edited_meanwhile_is_not_kept() {
    let (flake, state) = (repository(), tempfile::tempdir().unwrap());
    let place = flake.path().display().to_string();
    let kept = || Some(KeptEvaluations::below(state.path()));
    let file = flake.path().join("flake.nix");
    let clean = std::fs::read_to_string(&file).unwrap();
    let edited = file.clone();
    let edits = move |_: &str, name: &str, script: &Script| {
        if name == "evaluate" {
            std::fs::write(&edited, "{ outputs = { self }: { a = 1; }; }").unwrap();
        }
        locked(name, script)
    };
    let first = deploy(&place, FLEET, Strategy::Push, kept(), Box::new(edits)).await;
    assert_eq!(first.result.outcome, Outcome::Switched, "{}", first.log());
    assert!(first.log().contains("this evaluation is not kept"), "{}", first.log());
    std::fs::write(&file, clean).unwrap();
    let answers = |_: &str, name: &str, script: &Script| locked(name, script);
    let second = deploy(&place, FLEET, Strategy::Push, kept(), Box::new(answers)).await;
    assert_eq!(evaluations(&second), 1, "{}", second.log());
}

#[tokio::test]
async fn a_derivation_that_is_gone_is_evaluated_again() {
    let (flake, state) = (repository(), tempfile::tempdir().unwrap());
    let place = flake.path().display().to_string();
    let kept = || Some(KeptEvaluations::below(state.path()));
    let answers = |_: &str, name: &str, script: &Script| locked(name, script);
    deploy(&place, FLEET, Strategy::Push, kept(), Box::new(answers)).await;
    let invalid = Mutex::new(true);
    let gone = move |_: &str, name: &str, script: &Script| {
        if name == "compare" && std::mem::take(&mut *invalid.lock().unwrap()) {
            return prints("90000000000\ninvalid\n");
        }
        locked(name, script)
    };
    let story = deploy(&place, FLEET, Strategy::Push, kept(), Box::new(gone)).await;
    assert_eq!(
        (evaluations(&story), story.result.outcome),
        (1, Outcome::Switched),
        "{}",
        story.log()
    );
    assert!(story.log().contains("not in the store of p620 any more"), "{}", story.log());
}

#[tokio::test]
async fn an_input_that_the_lock_lacks_is_looked_up_at_every_deploy() {
    let (flake, state) = (repository(), tempfile::tempdir().unwrap());
    let place = flake.path().display().to_string();
    let more = LOCK.replace(
        "{}}",
        "{}, \"n\": {\"locked\": {\"type\": \"github\", \"narHash\": \"sha256-x\"}}}",
    );
    for _ in 0..2 {
        let more = more.clone();
        let unlocked = move |_: &str, name: &str, script: &Script| {
            locked(name, script)
                .and_then(|_| prints(&format!("{{\"path\": \"{OLD}\", \"locks\": {more}}}")))
        };
        let kept = Some(KeptEvaluations::below(state.path()));
        let story = deploy(&place, FLEET, Strategy::Push, kept, Box::new(unlocked)).await;
        assert_eq!(evaluations(&story), 1, "{}", story.log());
    }
}
