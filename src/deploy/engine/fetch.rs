//! Fetch: the target pulls its system from its own substituters, as a job; or the builder copies it there.

use super::ear::NixEar;
use super::lost::{AWAY_LIMIT, lost, not_started, through_restarts};
use super::push;
use super::routes::{after_given_up, turn};
use super::scripts::FETCH;
use super::step::{PlainLog, Step};
use super::verify::check;
use crate::deploy::words::{again_after_restart, ended_from_outside};
use crate::deploy::{Failure, Reason, Report};
use crate::fleet::{Code, Fetched, Fleet, Outcome, Route, TakenRoute, Tier};
use crate::nix::activity::{ActivityLog, FailureKind, NixFailure};
use crate::nix::settings::bare_url;
use crate::remote::job::{Job, JobKind, JobState};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Names the job of the fetch, or of the copy in its place.
pub(super) fn job(step: &Step) -> Job {
    match &step.taken().route {
        Route::Push { builder } => push::job(step, builder),
        Route::ViaCache { .. } | Route::Direct => {
            step.job(&step.host.name, &step.way_now().job_name())
        }
    }
}

/// Brings the system to the target by its way, and by the next one that works when a cache fails. Says
/// what came from where, and by which way; where all ways fail, what went wrong first comes first.
pub(super) async fn fetch(step: &Step) -> Result<Report, Failure> {
    let arrived = Arrivals::default();
    loop {
        let taken = step.taken();
        let ended = match &taken.route {
            Route::Push { builder } => push::push(step, builder, &arrived).await,
            // Only that cache, when it was turned to: those that failed hold the fetch up.
            Route::ViaCache { .. } | Route::Direct => {
                pull(step, step.tier()?, &taken, &arrived).await
            }
        };
        match ended {
            Ok(()) => return Ok(Report::Fetched { fetched: arrived.all(), taken }),
            Err(failure) => {
                let turned = step.unless_stopped(another_way(step, failure)).await;
                turned.map_err(|last| after_given_up(&taken, last))?;
            }
        }
    }
}

/// What arrived on the target so far and where it came from: by tries that failed, too.
#[derive(Default)]
pub(super) struct Arrivals(Mutex<BTreeMap<String, Fetched>>);

impl Arrivals {
    /// Adds what one try brought.
    pub(super) fn add(&self, brought: BTreeMap<String, Fetched>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (from, got) in brought {
            all.entry(from).or_default().add(got);
        }
    }

    /// Returns what arrived.
    fn all(self) -> BTreeMap<String, Fetched> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Turns to another way where the cache is at fault for a fetch that failed.
async fn another_way(step: &Step, failure: Failure) -> Result<(), Failure> {
    // A job that was ended from outside was ended on purpose.
    let is_over = failure.outcome != Outcome::Failed || failure.reason.code == Code::JobEnded;
    let taken = step.taken();
    let Some(tier) = taken.route.tier().and_then(|tier| step.shared.fleet.tier(tier)) else {
        return Err(failure);
    };
    if is_over {
        return Err(failure);
    }
    if failure.is_of_tier() {
        return turn(step, failure).await;
    }
    match check(step, tier).await {
        Err(at_fault) if at_fault.is_of_tier() => turn(step, at_fault).await,
        Ok(()) | Err(_) => Err(failure),
    }
}

/// Lets the target pull from its own substituters, or from one tier only.
async fn pull(
    step: &Step,
    tier: &Tier,
    taken: &TakenRoute,
    arrived: &Arrivals,
) -> Result<(), Failure> {
    let host = &step.host.name;
    let again = again_after_restart(host, "fetching");
    let once = || pull_once(step, tier, taken, arrived);
    let (state, log) = through_restarts(step, &again, once).await?;
    match state.own_exit() {
        Some(0) => Ok(()),
        Some(code) => {
            let (code, said) = why(log.failure(), code, Code::FetchFailed);
            let text = format!(
                "{host} could not fetch its system, which tier {} serves: {said}",
                tier.name
            );
            Err(Failure::failed(code, text))
        }
        None => {
            let text = ended_from_outside(&format!("the fetch on {host}"), host);
            Err(Failure::failed(Code::JobEnded, text))
        }
    }
}

/// Lets a job fetch the system; returns how it ended, and what Nix said.
async fn pull_once(
    step: &Step,
    tier: &Tier,
    taken: &TakenRoute,
    arrived: &Arrivals,
) -> Result<(JobState, ActivityLog), Failure> {
    let name = step.way_now().job_name();
    let mut job = step.job_to_start(&step.host.name, &name).await?;
    let only = !taken.given_up.is_empty();
    let mut args = vec![step.toplevel()?.to_string(), step.fetch_root()];
    let adds = step.shared.fleet.bootstrap_trust;
    if only || adds {
        args.push(tier.url.clone());
        args.extend(tier.public_key.as_ref().filter(|_| adds).map(|key| key.text.clone()));
    }
    job.start(JobKind::Work, FETCH, &args, AWAY_LIMIT, &mut PlainLog::new(step))
        .await
        .map_err(not_started)?;
    let mut lines = NixEar::of_job(step, &mut job, &name).await;
    let state = job.follow("exit", AWAY_LIMIT, &mut lines).await.map_err(|error| {
        let Failure { outcome, reason } = lost(&error);
        let text = format!("the connection was lost during the fetch: {}", reason.text);
        Failure { outcome, reason: Reason { text, ..reason } }
    })?;
    let log = lines.finish().await;
    arrived.add(by_tier(&step.shared.fleet, log.fetched()));
    Ok((state, log))
}

/// Says why a process of Nix failed that ended with this exit code, and which kind of failure that
/// is: a cache that is down, breaks off in the middle, or does not give what it says it has, is no failed build.
pub(super) fn why(failure: Option<NixFailure>, exit: i32, code: Code) -> (Code, String) {
    let Some(NixFailure { kind, text }) = failure else {
        return (code, format!("nix-store exited with {exit}"));
    };
    let code = match kind {
        FailureKind::CacheDown => Code::NotReached,
        FailureKind::CacheLacksFile => Code::PathMissing,
        FailureKind::CacheFailing => Code::ServerFailing,
        FailureKind::CacheCorrupt => Code::AnswerUnexpected,
        FailureKind::Builder
        | FailureKind::HashMismatch
        | FailureKind::Memory
        | FailureKind::Disk
        | FailureKind::TimedOut
        | FailureKind::Evaluation
        | FailureKind::Interrupted
        | FailureKind::Other => code,
    };
    (code, text)
}

/// Names the tiers that served; a URL that no tier has stays a URL.
pub(super) fn by_tier(
    fleet: &Fleet,
    fetched: BTreeMap<String, Fetched>,
) -> BTreeMap<String, Fetched> {
    let mut named: BTreeMap<String, Fetched> = BTreeMap::new();
    for (url, got) in fetched {
        let tier = fleet.tiers.iter().find(|tier| bare_url(&tier.url) == url);
        let name = tier.map_or_else(|| url.clone(), |tier| tier.name.clone());
        named.entry(name).or_default().add(got);
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::write_program;
    use std::process::Command;
    use std::time::{Duration, Instant};

    const SYSTEM: &str = "/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-nixos-system-a";

    /// Runs the script with a `nix-store` of these lines, below a folder; returns whether it ended well,
    /// and what it printed.
    fn fetched(folder: &std::path::Path, nix_store: &str, args: &[&str]) -> (bool, String) {
        write_program(&folder.join("nix-store"), &format!("#!/bin/sh\n{nix_store}\n"));
        fetched_with(folder, args)
    }

    /// Runs the script with the programs of a folder.
    fn fetched_with(folder: &std::path::Path, args: &[&str]) -> (bool, String) {
        let path = std::env::var("PATH").unwrap_or_default();
        let root = folder.join("roots/fetched");
        let output = Command::new("/bin/sh")
            .args(["-c", FETCH, "sh", SYSTEM])
            .arg(root)
            .args(args)
            .env("PATH", format!("{}:{path}", folder.display()))
            .env("HOME", folder)
            .env("XDG_CACHE_HOME", folder)
            .env("NIX_CONF_DIR", folder)
            .env_remove("NIX_REMOTE")
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    #[test]
    fn both_tries_give_a_silent_cache_up_soon() {
        let folder = tempfile::tempdir().unwrap();
        let (is_ok, said) = fetched(folder.path(), "echo \"$@\"; exit 1", &["http://one"]);
        assert!(!is_ok);
        let tries: Vec<&str> = said.lines().filter(|line| line.starts_with("--realise")).collect();
        assert_eq!(tries.len(), 2, "{said}");
        for one in tries {
            for option in [
                "--option connect-timeout 5",
                "--option stalled-download-timeout 15",
                "--option download-attempts 2",
                "--option substituters http://one",
            ] {
                assert!(one.contains(option), "{option}: {one}");
            }
        }
    }

    #[test]
    fn what_the_daemon_is_given_is_taken_over_and_no_daemon_is_started_beside_its_socket() {
        let folder = tempfile::tempdir().unwrap();
        let program = |name: &str, lines: &str| {
            write_program(&folder.path().join(name), &format!("#!/bin/sh\n{lines}\n"));
        };
        program("nix-store", "echo \"proxy ${HTTPS_PROXY-none} secret ${OTHER-none}\"");
        let calls = folder.path().join("calls");
        let systemctl = |lines: &str| {
            program("systemctl", &format!("echo \"$*\" >>{}\n{lines}", calls.display()));
            fetched_with(folder.path(), &[]).1
        };
        let each = "case $* in *Accept*) printf 'Accept=yes\\n\\nMainPID=0\\n' ;; \
                    *Environment*) echo 'OTHER=x \"HTTPS_PROXY=http://a b\"' ;; esac";
        assert!(systemctl(each).contains("proxy http://a b secret none"));
        let asked = std::fs::read_to_string(&calls).unwrap();
        assert!(!asked.lines().any(|line| line.starts_with("start")), "{asked}");
        let idle = "case $* in *Accept*) printf 'Accept=no\\n\\nMainPID=0\\n' ;; esac";
        assert!(systemctl(idle).contains("proxy none"));
        let asked = std::fs::read_to_string(&calls).unwrap();
        assert!(asked.lines().any(|line| line == "start nix-daemon.service"), "{asked}");
    }

    #[test]
    fn the_second_try_waits_for_a_cache_that_answers_a_small_question() {
        for (asked, dead, args, patient) in [
            ("http://own?priority=9 http://other/", "none", &["http://one/?priority=1"][..], true),
            ("http://own?priority=9 http://other/", "http://one", &["http://one"], false),
            ("http://own?priority=9 http://other/ s3://bucket", "none", &[], true),
            ("http://own?priority=9 http://other/", "http://other", &[], false),
            ("s3://bucket", "none", &[], false),
            ("http://own", "none", &["http://added", "added-1:AAAA"], true),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let program = |name: &str, lines: &str| {
                write_program(&folder.path().join(name), &format!("#!/bin/sh\n{lines}\n"));
            };
            program("nix-store", "echo \"$@\"; exit 1");
            program("nix", &format!("echo '{asked}'"));
            let log = folder.path().join("asked");
            let line = format!("for last; do :; done; echo \"$last\" >>{}", log.display());
            program("curl", &format!("{line}; case $last in {dead}*) exit 28 ;; esac"));
            let (is_ok, said) = fetched_with(folder.path(), args);
            assert!(!is_ok);
            let tries: Vec<_> = said.lines().filter(|line| line.starts_with("--realise")).collect();
            assert_eq!(tries.len(), 2, "{said}");
            let waits = |one: &str| {
                one.contains("--option stalled-download-timeout 90")
                    && one.contains("--option download-attempts 5")
            };
            assert_eq!((waits(tries[0]), waits(tries[1])), (false, patient), "{dead}: {said}");
            assert!(said.contains("; asking the caches again"), "{said}");
            let asked = std::fs::read_to_string(log).unwrap_or_default();
            for line in asked.lines() {
                let is_address = line.starts_with("http://") && !line.contains('?');
                assert!(is_address && line.ends_with("/nix-cache-info"), "{line}");
                assert!(!line.contains("//nix-cache-info"), "{line}");
            }
        }
    }

    #[test]
    fn progress_that_says_nothing_new_is_left_out_and_the_exit_code_stays() {
        let folder = tempfile::tempdir().unwrap();
        let progress = |id: u32, done: u32| {
            format!(
                "@nix {{\"action\":\"result\",\"fields\":[{done},9,0,0],\"id\":{id},\"type\":105}}"
            )
        };
        let other = "@nix {\"action\":\"result\",\"fields\":[1,2],\"id\":1,\"type\":106}";
        let (one, two) = (progress(1, 5), progress(2, 5));
        let said = [&one, &two, &one, &two, &progress(1, 9), other, other, "plain", "plain"];
        let lines = said.map(|line| format!("echo '{line}' >&2\n")).concat();
        let (is_ok, heard) = fetched(folder.path(), &format!("{lines}exit 0"), &[]);
        let left = [&one, &two, &progress(1, 9), other, other, "plain", "plain"];
        assert!(is_ok);
        assert_eq!(heard.lines().collect::<Vec<_>>(), left);
        let (is_ok, heard) = fetched(folder.path(), "echo \"$1\"; exit 1", &[]);
        assert!(!is_ok);
        assert_eq!(heard.lines().filter(|line| *line == "--realise").count(), 2, "{heard}");
    }

    #[test]
    fn of_the_progress_of_a_large_file_some_lines_pass_and_the_last_one() {
        let folder = tempfile::tempdir().unwrap();
        let progress = |done: u32, of: u32, running: u32| {
            let fields = format!("[{done},{of},{running},0]");
            format!("@nix {{\"action\":\"result\",\"fields\":{fields},\"id\":71,\"type\":105}}")
        };
        let passed = |said: &[String]| {
            let lines: Vec<_> = said.iter().map(|line| format!("echo '{line}' >&2\n")).collect();
            let (is_ok, heard) = fetched(folder.path(), &(lines.concat() + "exit 0"), &[]);
            assert!(is_ok);
            heard.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let stop = "@nix {\"action\":\"stop\",\"id\":71}".to_owned();
        // A small file: each eighth, and the end.
        let steps = |to: u32, of: u32| (0..=to).map(move |step| progress(step * 1_000, of, 0));
        let heard = passed(&steps(80, 80_000).collect::<Vec<_>>());
        let wanted: Vec<_> = (0..=8).map(|part| progress(part * 10_000, 80_000, 0)).collect();
        assert_eq!(heard, wanted);
        // A large one, that breaks off: each sixteenth line, and the last.
        let said: Vec<_> = steps(40, 1_000_000_000).chain([stop.clone()]).collect();
        let of = |step: u32| progress(step * 1_000, 1_000_000_000, 0);
        assert_eq!(passed(&said), [of(0), of(16), of(32), of(40), stop.clone()]);
        // How many run, and a whole that is not known, is always told.
        let said = [
            progress(1, 900, 1),
            progress(2, 900, 2),
            progress(2, 900, 1),
            progress(3, 0, 0),
            progress(4, 0, 0),
        ];
        assert_eq!(passed(&said), said);
        // What comes under the number of another one later is told as of a new one.
        let said = [progress(1, 900, 0), stop.clone(), progress(1, 900, 0)];
        assert_eq!(passed(&said), said);
    }

    #[test]
    fn the_nix_of_this_machine_knows_these_options_and_leaves_a_cache_that_hangs() {
        let Ok(found) = Command::new("sh").args(["-c", "command -v nix-store"]).output() else {
            return;
        };
        let nix_store = String::from_utf8_lossy(&found.stdout).trim().to_owned();
        if nix_store.is_empty() {
            return;
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            // Takes every connection, reads what is asked, and never answers.
            let mut open = Vec::new();
            for stream in listener.incoming().flatten() {
                open.push(stream);
            }
        });
        let folder = tempfile::tempdir().unwrap();
        // A limit of one second shows that the options count, and is as good as one of fifteen.
        let call = format!(
            "exec '{nix_store}' --store '{}/store' \"$@\" --option stalled-download-timeout 1",
            folder.path().display()
        );
        let began = Instant::now();
        let (is_ok, said) = fetched(folder.path(), &call, &[&url]);
        assert!(!is_ok && !said.contains("unknown setting"), "{said}");
        assert!(said.contains("asking the caches again"), "{said}");
        assert!(began.elapsed() < Duration::from_secs(60), "it took {:?}", began.elapsed());
    }

    #[test]
    fn a_cache_that_does_not_give_what_it_has_lets_another_way_be_tried() {
        for (kind, is_of_tier) in [
            (FailureKind::CacheDown, true),
            (FailureKind::CacheLacksFile, true),
            (FailureKind::CacheFailing, true),
            (FailureKind::CacheCorrupt, true),
            (FailureKind::Disk, false),
            (FailureKind::Other, false),
        ] {
            let failure = NixFailure { kind, text: "x".to_owned() };
            let (code, text) = why(Some(failure), 1, Code::FetchFailed);
            assert_eq!(Failure::failed(code, text).is_of_tier(), is_of_tier, "{kind:?}");
        }
        assert_eq!(why(None, 1, Code::FetchFailed).0, Code::FetchFailed);
    }
}
