//! A made-up target that answers the engine's scripts as a host would.

use crate::deploy::engine::scripts;
use crate::deploy::{Control, Deploy, Request, RunBegin, RunJournal, Setup, setup};
use crate::fleet::{
    Code, Fleet, Goal, HostResult, Outcome, Phase, PhaseState, RunEvent, RunId, RunWhat, Subject,
};
use crate::record::RunStreams;
use crate::remote::job;
use crate::remote::{FakeRunner, Output, RemoteError, Script, Trouble};
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

pub(super) const OLD: &str = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-old";
pub(super) const NEW: &str = "/nix/store/m0znnv1nxsr0ry7gmadkh49s1d0hycgd-new";

/// Returns what preflight prints of a host that runs the old system, and more.
pub(super) fn found_by_preflight(boot: &str, more: &str) -> String {
    format!(
        "running\t{OLD}\nprofile\t{OLD}\nboot_id\t{boot}\nnix_free\t90000000000\nunits\tread\n{more}"
    )
}

/// What a script of the engine is called here.
pub(super) fn name_of(script: &Script) -> &'static str {
    for (body, name) in [
        (scripts::ACCOUNT, "account"),
        (scripts::ACKNOWLEDGE, "acknowledge"),
        (scripts::BUILD_LOG, "build-log"),
        (scripts::BUILT_FROM, "built-from"),
        (scripts::CHECK, "check"),
        (scripts::COMPARE, "compare"),
        (scripts::EVALUATE, "evaluate"),
        (scripts::EVALUATOR, "evaluator"),
        (job::scripts::FOLLOW, "follow"),
        (scripts::HOOK, "hook"),
        (scripts::KEEP, "keep"),
        (scripts::MARK, "mark"),
        (scripts::HOLDS, "holds"),
        (scripts::PREFLIGHT, "preflight"),
        (scripts::PUSH_TARGET, "push-target"),
        (scripts::PUSH_WAY, "push-way"),
        (scripts::REBOOT, "reboot"),
        (scripts::RECOVER, "recover"),
        (scripts::RESTARTED, "restarted"),
        (scripts::ROOM, "room"),
        (scripts::ROOT, "root"),
        (scripts::ROOT_AHEAD, "root-ahead"),
        (job::scripts::START, "start"),
        (job::scripts::STOP, "stop"),
        (scripts::SIGNATURES, "signatures"),
        (scripts::SIGN_PATHS, "sign-paths"),
        (scripts::SYSTEMS, "systems"),
        (scripts::TIDY, "tidy"),
        (scripts::UNPACK, "unpack"),
        (scripts::VERIFY, "verify"),
        (scripts::UNROOT, "unroot"),
        (scripts::WELL, "well"),
        (scripts::WORD, "word"),
        (scripts::LAST_WORD, "word"),
    ] {
        if script.body == body {
            return name;
        }
    }
    // Those of other rooms: one prints what derivations say, one which start of the machine answers.
    if script.body.contains("Derive(") {
        "derivations"
    } else if script.body.contains("print_specialisations") {
        "changes"
    } else if script.body.contains("initrd-release") {
        "presence"
    } else {
        "unknown"
    }
}

/// How the made-up target stands.
pub(super) struct Target {
    /// Whether jobs are there before they are started here: another process started them.
    pub(super) is_there: bool,
    /// How often each job was begun.
    pub(super) begun: BTreeMap<String, u32>,
    /// What the supervisor leaves as `activated`.
    pub(super) activated: &'static str,
    /// What it decides when it is told to commit; told to go back it rolls back.
    pub(super) outcome: &'static str,
    /// What it decides without a word; nothing while it waits for one.
    pub(super) decides: Option<&'static str>,
    /// What its log says.
    pub(super) log: String,
    /// The exit code of jobs that are no supervisors.
    pub(super) exit: i32,
    /// The word that it was given.
    pub(super) word: Option<String>,
    /// The host's boot id.
    pub(super) boot: &'static str,
    /// The boot id that preflight saw, where the host was restarted before it began to change.
    pub(super) boot_before: Option<&'static str>,
    /// What `account` says besides the boot id.
    pub(super) account: String,
    /// What `build-log` prints.
    pub(super) build_log: String,
    /// What `derivations` prints.
    pub(super) derivations: String,
    /// Whether the system is built already.
    pub(super) built: bool,
    /// Whether no root can be made where it is built.
    pub(super) cannot_root: bool,
    /// Whether the supervisor's job is neither running nor ended.
    pub(super) dead: bool,
    /// How often nothing is left of a build or fetch, since the host restarts.
    pub(super) restarts: u32,
    /// What `check` prints.
    pub(super) check: &'static str,
    /// What `restarted` prints at its end, with how its start stands.
    pub(super) started: &'static str,
    /// What its scripts print of whether systemd said which units failed.
    pub(super) units: &'static str,
    /// What `preflight` prints besides.
    pub(super) preflight: &'static str,
    /// Troubles to come, by script: the script is not run; `None` lets it run.
    pub(super) troubles: BTreeMap<&'static str, VecDeque<Option<Trouble>>>,
    /// A trouble that never ends, by script.
    pub(super) always: BTreeMap<&'static str, Trouble>,
    /// Where what its jobs print is kept.
    pub(super) streams: Option<RunStreams>,
    /// What its jobs noted of when their logs were how long, where they are not of an older nixdash.
    pub(super) marks: Option<&'static str>,
    /// Scripts whose answer is lost after they have run, once each.
    pub(super) answers_lost: Vec<&'static str>,
}

impl Default for Target {
    fn default() -> Self {
        Self {
            is_there: false,
            begun: BTreeMap::new(),
            activated: "0 ok",
            outcome: "switched\t\t",
            decides: None,
            log: "activating the configuration...\nsetting up /etc...\n".to_owned(),
            exit: 0,
            word: None,
            boot: "1",
            boot_before: None,
            account: String::new(),
            build_log: String::new(),
            derivations: String::new(),
            built: false,
            cannot_root: false,
            dead: false,
            restarts: 0,
            check: "",
            started: "state\trunning\nend\tok\n",
            units: "units\tread\n",
            preflight: "",
            troubles: BTreeMap::new(),
            always: BTreeMap::new(),
            streams: None,
            marks: None,
            answers_lost: Vec::new(),
        }
    }
}

impl Target {
    /// Answers a script.
    pub(super) fn answer(&mut self, script: &Script) -> Result<Output, RemoteError> {
        let name = name_of(script);
        let error = |trouble: &Trouble| RemoteError::new("samsung", trouble.clone(), "it broke");
        if let Some(trouble) = self.always.get(name) {
            return Err(error(trouble));
        }
        if let Some(Some(trouble)) = self.troubles.get_mut(name).and_then(VecDeque::pop_front) {
            return Err(error(&trouble));
        }
        let stdout = self.run(name, &script.args);
        if let Some(at) = self.answers_lost.iter().position(|lost| *lost == name) {
            self.answers_lost.remove(at);
            return Err(error(&Trouble::Lost));
        }
        // What is built already is named by no line.
        let stderr = if name == "compare" && !self.built {
            format!("this derivation will be built:\n  {NEW}.drv\n")
        } else {
            String::new()
        };
        Ok(Output { code: 0, stdout, stderr })
    }

    /// Does what a script does, and returns what it prints.
    fn run(&mut self, name: &str, args: &[String]) -> String {
        match name {
            "preflight" => {
                found_by_preflight(self.boot_before.unwrap_or(self.boot), self.preflight)
            }
            "evaluate" => format!("{{\"drv\":\"{NEW}.drv\",\"out\":\"{NEW}\"}}"),
            "start" => {
                let begun = self.begun.entry(args[0].clone()).or_default();
                // As on a real host: a job that is there is not begun again.
                let was_there = if self.is_there || *begun > 0 { "there\n" } else { "" };
                *begun = 1;
                // The exchange ends here, so that what is told is told by the one that follows.
                format!("{was_there}{}\tbegun\n", args[4])
            }
            "follow" => self.follow(args),
            "acknowledge" => {
                let (job, decided) = (self.job_there(), self.decided());
                format!("boot_id\t{}\n{job}running\t{NEW}\n{decided}", self.boot)
            }
            "word" => {
                if self.word.is_none() {
                    // As on a real host: what is wrong is said beside the word.
                    self.word = Some(args[1].trim_end_matches(" degraded").to_owned());
                }
                let word = self.word.clone().unwrap_or_default();
                // Where it is asked to follow, the exchange ends as it does for a start.
                let begun = args.get(4).map(|mark| format!("{mark}\tbegun\n"));
                let (job, begun) = (self.job_there(), begun.unwrap_or_default());
                format!("boot_id\t{}\n{job}word\t{word}\n{begun}", self.boot)
            }
            "account" => format!("boot_id\t{}\n{}{}", self.boot, self.account, self.units),
            "compare" if self.cannot_root => "unrooted\tln: the disk is full\n".to_owned(),
            "compare" if self.built => "rooted\n".to_owned(),
            "check" => format!("{}{}", self.check, self.units),
            "reboot" if args[0] == "look" => {
                if self.boot != args[2] && !self.begun.contains_key(&args[1]) {
                    "restarted\n".to_owned()
                } else {
                    format!("before\t{}\n", self.boot)
                }
            }
            "presence" => format!("boot_id\tafter-the-restart\nrunning\t{NEW}\n"),
            "restarted" => format!("running\t{NEW}\n{}{}", self.units, self.started),
            "well" => format!("running\t{NEW}\nstate\trunning\n{}", self.units),
            "build-log" => self.build_log.clone(),
            "derivations" => self.derivations.clone(),
            _ => String::new(),
        }
    }

    /// Returns the line by which a host that was restarted before its activation says that the job is there.
    fn job_there(&self) -> &'static str {
        if self.boot_before.is_some() { "job\tthere\n" } else { "" }
    }

    /// Returns the line of an outcome that is decided already.
    fn decided(&self) -> String {
        self.decides.map_or_else(
            || format!("activated\t{}\n", self.activated),
            |outcome| format!("outcome\t{outcome}\n"),
        )
    }

    /// Prints the log from an offset, and how the job stands.
    fn follow(&mut self, args: &[String]) -> String {
        let offset: usize = args[1].parse().unwrap();
        let (awaited, mark) = (&args[2], &args[3]);
        let log = self.log.get(offset..).unwrap_or_default().to_owned();
        if !args[0].contains("-activate-") {
            if self.restarts > 0 {
                self.restarts -= 1;
                self.begun.clear();
                return format!("\n{mark}\tgone\n");
            }
            let (now, length) = (Timestamp::now().as_second(), self.log.len());
            let head = |marks| format!("{mark}\tmarks\t{now}\t{length}\t{marks}\n");
            let head = self.marks.map(head).unwrap_or_default();
            return format!("{head}{log}\n{mark}\tover\t\t{}\t\t\n", self.exit);
        }
        if self.dead {
            return format!("\n{mark}\tgone\n");
        }
        let outcome = match (&self.word, self.decides) {
            (_, Some(decides)) => decides.to_owned(),
            (Some(word), None) if word == "commit" => self.outcome.to_owned(),
            (Some(word), None) => {
                let (code, why) = word.trim_start_matches("abort ").split_once(' ').unwrap();
                format!("rolled-back\t{code}\t{why}")
            }
            // Nobody came: it went back by itself.
            (None, None) => "rolled-back\tnetwork-lost\tnobody could reach it".to_owned(),
        };
        let (exit, outcome) = if awaited == "exit" { ("0", outcome) } else { ("", String::new()) };
        format!("{log}\n{mark}\tover\t\t{exit}\t{}\t{outcome}\n", self.activated)
    }
}

/// How a deploy of the target went.
pub(super) struct Story {
    pub(super) result: HostResult,
    pub(super) events: Vec<RunEvent>,
    pub(super) asked: Vec<(String, Script)>,
    /// What was asked of connections that are begun before their script.
    pub(super) fresh: Vec<&'static str>,
    pub(super) target: Target,
    /// How long it took by the paused clock.
    pub(super) took: std::time::Duration,
}

impl Story {
    /// Returns the host's error, or nothing.
    pub(super) fn error(&self) -> &str {
        self.result.error.as_deref().unwrap_or_default()
    }

    /// Returns the code of the host's only finding, or nothing when it has none.
    pub(super) fn code(&self) -> Option<Code> {
        let findings = &self.result.findings;
        assert!(findings.len() < 2, "{findings:?}");
        let finding = findings.first()?;
        assert_eq!(finding.subject, Subject::host("samsung"));
        assert_eq!(finding.cause, self.error());
        assert_eq!(finding.severity, finding.code.severity());
        Some(finding.code)
    }

    /// Returns what was logged in a phase.
    pub(super) fn logged(&self, wanted: Phase) -> Vec<&str> {
        let line = |event: &'_ RunEvent| matches!(&event.what, RunWhat::Log { phase, .. } if *phase == wanted);
        let logged = self.events.iter().filter(|event| line(event));
        logged
            .filter_map(|event| match &event.what {
                RunWhat::Log { line, .. } => Some(line.as_str()),
                _ => None,
            })
            .collect()
    }

    /// Returns how a phase ended.
    pub(super) fn ended(&self, wanted: Phase) -> PhaseState {
        let mut states = self.events.iter().rev().filter_map(|event| match &event.what {
            RunWhat::Phase { phase, state, .. } if *phase == wanted => Some(*state),
            _ => None,
        });
        states.next().unwrap()
    }

    /// Returns the scripts of a name that were run, in order.
    pub(super) fn scripts(&self, name: &str) -> Vec<&Script> {
        let named = |(_, script): &&(String, Script)| name_of(script) == name;
        self.asked.iter().filter(named).map(|(_, script)| script).collect()
    }
}

/// What somebody says while a script runs: when this one is asked for, that is said.
pub(super) type Say = (&'static str, Control);

/// Deploys samsung, which builds for itself, with these lines in `[hosts.samsung]`.
pub(super) async fn deploy(lines: &str, target: Target) -> Story {
    deploy_and_say(lines, target, Goal::Switch, None).await
}

/// Deploys samsung, and says something when a script is asked for.
pub(super) async fn deploy_and_say(
    lines: &str,
    target: Target,
    goal: Goal,
    say: Option<Say>,
) -> Story {
    let fleet = fleet(lines);
    let begin = RunBegin::Fresh { setup: Box::new(switch(&fleet, goal)), hosts_file: None };
    carry_out(fleet, target, begin, RunJournal::none(), say).await
}

/// Returns a fleet of samsung alone, which builds for itself.
pub(super) fn fleet(lines: &str) -> Fleet {
    let text = format!(
        "[fleet]\nflake = \"github:me/nixos\"\nevaluate = \"builder\"\nstrategy = \"direct\"\n\
         [hosts.samsung]\naddresses = [\"root@samsung.lan\", \"root@10.0.0.7\"]\n{lines}\n"
    );
    crate::config::parse(&text, Path::new("hosts.toml"), None).unwrap()
}

/// Returns what is to be done to samsung.
pub(super) fn switch(fleet: &Fleet, goal: Goal) -> Setup {
    let request = Request {
        set_aside: BTreeMap::new(),
        degraded: BTreeMap::new(),
        options: crate::fleet::RunOptions::default(),
        hosts: vec!["samsung".to_owned()],
        goal,
        allow_protected: Vec::new(),
        asks: false,
        goals: std::collections::BTreeMap::new(),
        given: std::collections::BTreeMap::new(),
        reboot: None,
    };
    setup(fleet, &request).unwrap()
}

/// Carries a run out on a target.
pub(super) async fn carry_out(
    fleet: Fleet,
    target: Target,
    begin: RunBegin,
    journal: RunJournal,
    say: Option<Say>,
) -> Story {
    let streams = target.streams.clone();
    let target = Arc::new(Mutex::new(target));
    let (control, said) = mpsc::channel(4);
    let told = Mutex::new(say);
    let answering = Arc::clone(&target);
    let runner = Arc::new(FakeRunner::new(move |_, script| {
        let mut say = told.lock().unwrap();
        if say.as_ref().is_some_and(|(name, _)| *name == name_of(script)) {
            control.try_send(say.take().unwrap().1).unwrap();
        }
        answering.lock().unwrap().answer(script)
    }));
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let deploy = Deploy {
        fleet: Arc::new(fleet),
        runner: Arc::clone(&runner) as Arc<dyn crate::remote::ScriptRunner>,
        newest: Arc::new(|_| None),
        package_times: Arc::new(|_| {
            [
                ("openssl".to_owned(), 30_000),
                ("zlib".to_owned(), 100_000),
                ("libgit".to_owned(), 7000),
                ("top".to_owned(), 1000),
            ]
            .into()
        }),
        run: RunId("7".to_owned()),
        tag: "run-7-x".to_owned(),
        begin,
        journal,
        kept: None,
        streams,
    };
    let began = tokio::time::Instant::now();
    let ended = deploy.run(said, Arc::new(move |event| heard.lock().unwrap().push(event))).await;
    ended.tidying.await;
    let took = began.elapsed();
    let events = std::mem::take(&mut *events.lock().unwrap());
    let result = events.iter().find_map(|event: &RunEvent| match &event.what {
        RunWhat::Result { result, .. } => Some(result.clone()),
        _ => None,
    });
    let result = result.unwrap();
    assert_eq!(ended.outcomes, [("samsung".to_owned(), result.outcome)]);
    let target = std::mem::take(&mut *target.lock().unwrap());
    Story { result, events, asked: runner.asked(), fresh: runner.fresh(), target, took }
}

/// Deploys and checks the outcome.
pub(super) async fn assert_ends(lines: &str, target: Target, outcome: Outcome) -> Story {
    let story = deploy(lines, target).await;
    assert_eq!(story.result.outcome, outcome, "{}", story.error());
    story
}
