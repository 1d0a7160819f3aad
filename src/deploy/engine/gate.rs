//! Gates: checks after a wave, on its hosts or from this machine.

use super::check;
use super::context::RunContext;
use super::scripts::{GATE, WELL};
use super::unwell::names_unit;
use crate::deploy::words::FAILED_UNITS_UNREAD;
use crate::deploy::{GateAnswer, GatedHost};
use crate::fleet::{Gate, GateQuestion, Phase, StorePath, printable_line, public_url};
use crate::remote::{Output, RemoteError, Script, ScriptRunner as _};
use futures_util::future::join_all;
use jiff::Timestamp;
use std::error::Error;
use std::time::Duration;

/// How much longer than its limit a gate's command may take: for the way there and back.
const SLACK: Duration = Duration::from_secs(15);

/// Asks a gate. Where one of several hosts says no, the answer is no; where one cannot be asked and no
/// other says no, the check could not be made.
pub(super) async fn ask(shared: &RunContext, gate: &Gate, hosts: &[GatedHost]) -> GateAnswer {
    match &gate.asks {
        GateQuestion::Url(url) => ask_url(url, gate.limit).await,
        GateQuestion::Command(command) => {
            let script = Script::new(GATE).root().limit(gate.limit + SLACK);
            let mut script = script.arg(gate.limit.as_secs().to_string());
            script.args.extend(command.iter().cloned());
            let script = &script;
            join(join_all(hosts.iter().map(|GatedHost { name, .. }| async move {
                let runner = shared.beside(name, Phase::Check);
                judge_command(name, gate.limit, runner.run(name, script).await)
            })))
            .await
        }
        GateQuestion::Well => {
            join(join_all(hosts.iter().map(|host| async move {
                let commands = shared.fleet.host(&host.name).map(|host| host.check.clone());
                let commands = commands.unwrap_or_default();
                let limit = check::limit(commands.len());
                let toplevel = host.known.toplevel.as_ref().map_or("", StorePath::as_str);
                let mut script = Script::new(WELL).root().limit(limit).arg(toplevel);
                script.args.extend(commands.iter().cloned());
                let runner = shared.beside(&host.name, Phase::Check);
                judge_well(host, &commands, runner.run(&host.name, &script).await)
            })))
            .await
        }
    }
}

/// So much the clocks of a host and of this machine may differ over a soak.
const START_SLACK: Duration = Duration::from_secs(2);

/// Joins what several hosts answered.
async fn join(answers: impl Future<Output = Vec<GateAnswer>>) -> GateAnswer {
    let (mut failed, mut not_made) = (Vec::new(), Vec::new());
    for answer in answers.await {
        match answer {
            GateAnswer::Passed => {}
            GateAnswer::Failed(why) => failed.push(why),
            GateAnswer::NotMade(why) => not_made.push(why),
        }
    }
    if !failed.is_empty() {
        GateAnswer::Failed(failed.join("; "))
    } else if !not_made.is_empty() {
        GateAnswer::NotMade(not_made.join("; "))
    } else {
        GateAnswer::Passed
    }
}

/// Returns the values of a key in what a script printed, printable.
fn values<'a>(output: &'a Output, key: &'a str) -> impl Iterator<Item = String> + 'a {
    let lines = output.stdout.lines().filter_map(|line| line.split_once('\t'));
    lines.filter(move |(found, _)| *found == key).map(|(_, value)| printable_line(value))
}

/// Judges what the command of a gate came to on a host.
fn judge_command(host: &str, limit: Duration, done: Result<Output, RemoteError>) -> GateAnswer {
    let output = match done {
        Ok(output) if output.is_ok() => output,
        Ok(output) => return GateAnswer::NotMade(format!("{host}: {}", output.complaint())),
        Err(error) => return GateAnswer::NotMade(format!("{host}: {}", error.cause)),
    };
    let how = values(&output, "code").next().unwrap_or_default();
    let is_late = how.trim() == "late";
    let code = how.trim().parse::<u8>().ok();
    let said = values(&output, "said").next().filter(|said| !said.trim().is_empty());
    let said = said.map(|said| format!(": {said}")).unwrap_or_default();
    match code {
        None if is_late => GateAnswer::NotMade(format!(
            "{host}: the command took longer than {}{said}",
            crate::fleet::duration(limit)
        )),
        Some(0) => GateAnswer::Passed,
        Some(code @ (125..=127)) => GateAnswer::NotMade(format!(
            "{host}: the command cannot be run (exit code {code}){said}"
        )),
        Some(code) => GateAnswer::Failed(format!("{host}: exit code {code}{said}")),
        None => GateAnswer::NotMade(format!("{host}: the command left no exit code")),
    }
}

/// Judges whether a host is still well. `commands` are its checks.
fn judge_well(
    gated: &GatedHost,
    commands: &[String],
    done: Result<Output, RemoteError>,
) -> GateAnswer {
    let GatedHost { name: host, known, .. } = gated;
    let output = match done {
        Ok(output) if output.is_ok() => output,
        Ok(output) => return GateAnswer::NotMade(format!("{host}: {}", output.complaint())),
        // It was reached a moment ago: whether its network is gone or ours is not known.
        Err(error) => return GateAnswer::NotMade(format!("{host}: {}", error.cause)),
    };
    let Some(running) = values(&output, "running").next() else {
        return GateAnswer::NotMade(format!("{host} did not say which system it runs"));
    };
    if let Some(why) = left_its_system(gated, &running, &output) {
        return GateAnswer::Failed(why);
    }
    let already = &known.preflight.failed_units;
    let noted = known.blemish.as_ref().map_or("", |reason| reason.text.as_str());
    let failed: Vec<String> = values(&output, "failed")
        .filter(|unit| !already.contains(unit) && !names_unit(noted, unit))
        .collect();
    let numbers = values(&output, "broken");
    let broken: Vec<String> = numbers.map(|number| check::command(commands, &number)).collect();
    if !failed.is_empty() {
        return GateAnswer::Failed(format!(
            "{host}: {} failed after its deploy",
            failed.join(", ")
        ));
    }
    if !broken.is_empty() {
        return GateAnswer::Failed(format!("{host}: a check failed: {}", broken.join("; ")));
    }
    if values(&output, "units").next().is_none() {
        return GateAnswer::NotMade(format!("{host}: {FAILED_UNITS_UNREAD}"));
    }
    GateAnswer::Passed
}

/// Says that a host does not run any more what it ran when its deploy ended, or runs it in another start of the
/// machine, where that is so: it may have crashed. `running` is the system that it runs.
fn left_its_system(gated: &GatedHost, running: &str, output: &Output) -> Option<String> {
    let GatedHost { name, known, may_run_before, boot_id, ended_at } = gated;
    let now = values(output, "boot_id").next().filter(|id| !id.is_empty());
    let is_another = boot_id.is_some() && now.is_some() && *boot_id != now;
    let up = values(output, "up").next().and_then(|seconds| seconds.parse::<u64>().ok());
    let is_later = ended_at.zip(up).is_some_and(|(ended_at, up)| {
        let since = Duration::try_from(Timestamp::now().duration_since(ended_at));
        since.is_ok_and(|since| Duration::from_secs(up) + START_SLACK < since)
    });
    let was_restarted = is_another || is_later;
    // One whose specialisation runs names the system that this belongs to.
    let system = values(output, "system").next();
    let runs = |path: &Option<StorePath>| {
        let path = path.as_ref().map(StorePath::as_str);
        path.is_some() && (path == Some(running) || path == system.as_deref())
    };
    // A start of the machine should have brought the new one.
    let waits_for_start = *may_run_before && !was_restarted && runs(&known.preflight.running);
    let runs_new = runs(&known.toplevel);
    match (runs_new || waits_for_start, was_restarted) {
        (false, true) => Some(format!(
            "{name} was restarted after its deploy and runs another system now: {running}"
        )),
        (false, false) => Some(format!("{name} runs another system now: {running}")),
        (true, true) if !may_run_before => Some(format!(
            "{name} was restarted after its deploy; see why with `journalctl --boot=-1` there"
        )),
        (true, _) => None,
    }
}

/// Asks an address from this machine.
async fn ask_url(url: &str, limit: Duration) -> GateAnswer {
    // It is set already when anything asked a cache.
    drop(rustls::crypto::ring::default_provider().install_default());
    let shown = public_url(url);
    let client = reqwest::Client::builder()
        .timeout(limit)
        .user_agent(concat!("nixdash/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .build();
    let client = match client {
        Ok(client) => client,
        Err(error) => return GateAnswer::NotMade(format!("{shown}: {}", root_cause(error))),
    };
    match client.get(url).send().await {
        Ok(answer) if answer.status().is_success() => GateAnswer::Passed,
        Ok(answer) => GateAnswer::Failed(format!("{shown}: status {}", answer.status().as_u16())),
        Err(error) if was_refused(&error) => {
            GateAnswer::Failed(format!("{shown}: the connection was refused"))
        }
        Err(error) if error.is_timeout() => GateAnswer::NotMade(format!(
            "{shown}: no answer within {}",
            crate::fleet::duration(limit)
        )),
        Err(error) => GateAnswer::NotMade(format!("{shown}: {}", root_cause(error))),
    }
}

/// Returns whether the server's machine answered that nobody listens there.
fn was_refused(error: &reqwest::Error) -> bool {
    let mut source: Option<&dyn Error> = Some(error);
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::ConnectionRefused
        {
            return true;
        }
        source = error.source();
    }
    false
}

/// Returns the innermost cause of an error, which says the most.
fn root_cause(error: reqwest::Error) -> String {
    // Its own words would repeat the whole address.
    let error = error.without_url();
    let mut innermost: &dyn Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    printable_line(&innermost.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::{Reason, RunFacts};
    use crate::remote::Trouble;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const SECOND: Duration = Duration::from_secs(1);

    #[expect(clippy::unnecessary_wraps, reason = "as a host answers")]
    fn output(stdout: &str) -> Result<Output, RemoteError> {
        Ok(Output { stdout: stdout.to_owned(), ..Output::default() })
    }

    /// A host that said which units failed, besides this.
    fn units_read(said: &str) -> Result<Output, RemoteError> {
        output(&format!("{said}units\tread\n"))
    }

    const OLD: &str = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-old";
    const NEW: &str = "/nix/store/m0znnv1nxsr0ry7gmadkh49s1d0hycgd-new";

    /// A host that was switched from the old system to the new one.
    fn switched() -> GatedHost {
        let toplevel = StorePath::parse(NEW).ok();
        let mut known = RunFacts { toplevel, ..RunFacts::default() };
        known.preflight.running = StorePath::parse(OLD).ok();
        let (name, boot_id) = ("a".to_owned(), Some("1".to_owned()));
        GatedHost { name, known, may_run_before: false, boot_id, ended_at: None }
    }

    #[test]
    fn a_command_passes_fails_or_could_not_be_run() {
        let judged =
            |code: &str| judge_command("a", SECOND, output(&format!("code\t{code}\nsaid\tx\n")));
        assert_eq!(judged("0"), GateAnswer::Passed);
        assert_eq!(judged("1"), GateAnswer::Failed("a: exit code 1: x".to_owned()));
        for not_made in ["late", "125", "126", "127", "", "many"] {
            assert!(matches!(judged(not_made), GateAnswer::NotMade(_)), "{not_made}");
        }
        for own in ["124", "137"] {
            assert_eq!(judged(own), GateAnswer::Failed(format!("a: exit code {own}: x")));
        }
        let away = RemoteError::new("a", Trouble::Unreachable, "no route");
        assert!(matches!(judge_command("a", SECOND, Err(away)), GateAnswer::NotMade(_)));
    }

    #[test]
    fn a_host_is_well_while_it_runs_its_system_and_no_more_units_failed() {
        let new = NEW;
        let mut host = switched();
        host.known.preflight.failed_units.insert("old.service".to_owned());
        let judged = |text: &str| judge_well(&host, &["curl -f x".to_owned()], units_read(text));
        assert_eq!(judged(&format!("running\t{new}\nfailed\told.service\n")), GateAnswer::Passed);
        assert!(matches!(
            judged(&format!("running\t{new}\nfailed\tx.service\n")),
            GateAnswer::Failed(_)
        ));
        assert!(matches!(judged("running\t/nix/store/other\n"), GateAnswer::Failed(_)));
        assert_eq!(
            judged(&format!("running\t{new}\nbroken\t0\n")),
            GateAnswer::Failed("a: a check failed: curl -f x".to_owned())
        );
        assert!(matches!(judged("nothing"), GateAnswer::NotMade(_)));
    }

    #[test]
    fn a_host_whose_systemd_does_not_say_which_units_failed_was_not_looked_at() {
        let silent = |text: &str| judge_well(&switched(), &["true".to_owned()], output(text));
        let not_made = "a: systemd did not say which units failed".to_owned();
        assert_eq!(silent(&format!("running\t{NEW}\n")), GateAnswer::NotMade(not_made));
        let broken = silent(&format!("running\t{NEW}\nbroken\t0\n"));
        assert!(matches!(broken, GateAnswer::Failed(_)), "what was seen counts: {broken:?}");
    }

    #[test]
    fn a_unit_that_failed_in_the_deploy_does_not_hide_one_whose_name_is_part_of_its_name() {
        let mut host = switched();
        let text = "my-nginx.service failed; see `systemctl status` there".to_owned();
        host.known.blemish = Some(Reason::units_failed(text, "my-nginx.service"));
        let judged = |unit: &str| {
            judge_well(&host, &[], units_read(&format!("running\t{NEW}\nfailed\t{unit}\n")))
        };
        assert_eq!(judged("my-nginx.service"), GateAnswer::Passed, "it is known");
        let failed = GateAnswer::Failed("a: nginx.service failed after its deploy".to_owned());
        assert_eq!(judged("nginx.service"), failed);
    }

    #[test]
    fn a_host_that_runs_the_system_from_before_again_is_not_well() {
        let judged = |host: &GatedHost, running: &str, boot_id: &str| {
            judge_well(host, &[], units_read(&format!("running\t{running}\nboot_id\t{boot_id}\n")))
        };
        let failed = |why: String| GateAnswer::Failed(why);
        let host = switched();
        assert_eq!(judged(&host, NEW, "1"), GateAnswer::Passed);
        // Somebody put it back by hand.
        assert_eq!(judged(&host, OLD, "1"), failed(format!("a runs another system now: {OLD}")));
        // It crashed, and started the system of its boot menu: the old one after `test`.
        let text = format!("a was restarted after its deploy and runs another system now: {OLD}");
        assert_eq!(judged(&host, OLD, "2"), failed(text));
        let text = "a was restarted after its deploy; see why with `journalctl --boot=-1` there";
        assert_eq!(judged(&host, NEW, "2"), failed(text.to_owned()));
        // What is not known is not held against it.
        assert_eq!(judged(&host, NEW, ""), GateAnswer::Passed);
        assert_eq!(judged(&GatedHost { boot_id: None, ..host }, NEW, "2"), GateAnswer::Passed);
    }

    #[test]
    fn a_host_that_starts_its_system_later_runs_the_old_one_until_then() {
        let host = GatedHost { may_run_before: true, ..switched() };
        let judged = |running: &str, boot_id: &str| {
            judge_well(&host, &[], units_read(&format!("running\t{running}\nboot_id\t{boot_id}\n")))
        };
        assert_eq!(judged(OLD, "1"), GateAnswer::Passed);
        assert_eq!(judged(NEW, "2"), GateAnswer::Passed, "it was restarted, as it was to be");
        assert!(matches!(judged(OLD, "2"), GateAnswer::Failed(_)), "the new one does not start");
        assert!(matches!(judged("/nix/store/other", "1"), GateAnswer::Failed(_)));
    }

    #[test]
    fn a_start_since_the_deploy_is_seen_by_how_long_a_host_has_been_up() {
        let ended_at = Timestamp::now().checked_sub(Duration::from_secs(60)).ok();
        let booted = GatedHost { may_run_before: true, boot_id: None, ended_at, ..switched() };
        let judged = |host: &GatedHost, running: &str, up: u32| {
            judge_well(
                host,
                &[],
                units_read(&format!("running\t{running}\nboot_id\t2\nup\t{up}\n")),
            )
        };
        assert_eq!(judged(&booted, OLD, 5_000), GateAnswer::Passed, "it starts it later");
        assert!(matches!(judged(&booted, OLD, 30), GateAnswer::Failed(_)), "it does not start");
        assert_eq!(judged(&booted, NEW, 30), GateAnswer::Passed);
        let kept = GatedHost { may_run_before: false, ..booted };
        assert!(matches!(judged(&kept, NEW, 30), GateAnswer::Failed(_)), "it crashed");
        assert_eq!(judged(&kept, NEW, 61), GateAnswer::Passed, "it was restarted by the run");
    }

    #[tokio::test]
    async fn one_host_that_says_no_outweighs_one_that_cannot_be_asked() {
        let away = GateAnswer::NotMade("b: away".to_owned());
        let no = GateAnswer::Failed("a: no".to_owned());
        let join = |answers: Vec<GateAnswer>| super::join(async move { answers });
        assert_eq!(join(vec![away.clone(), no.clone(), GateAnswer::Passed]).await, no);
        assert_eq!(join(vec![GateAnswer::Passed, away.clone()]).await, away);
        assert_eq!(join(Vec::new()).await, GateAnswer::Passed);
    }

    #[tokio::test]
    async fn an_address_passes_by_its_status_and_fails_when_nobody_listens() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let url = format!("http://me:hunter2@{address}/health?token=hunter2#hunter2");
        let serve = tokio::spawn(async move {
            for status in ["200 OK", "503 Unavailable"] {
                let (mut stream, _) = server.accept().await.unwrap();
                let mut asked = [0; 1024];
                drop(stream.read(&mut asked).await);
                let answer =
                    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            // Takes the third one and says nothing.
            let (stream, _) = server.accept().await.unwrap();
            std::mem::forget(stream);
        });
        assert_eq!(ask_url(&url, 5 * SECOND).await, GateAnswer::Passed);
        let failed = ask_url(&url, 5 * SECOND).await;
        let silent = ask_url(&url, SECOND).await;
        serve.await.unwrap();
        let refused = ask_url(&url, SECOND).await;
        let shown = format!("http://{address}/health?token=…");
        assert_eq!(failed, GateAnswer::Failed(format!("{shown}: status 503")));
        assert_eq!(silent, GateAnswer::NotMade(format!("{shown}: no answer within 1.0 s")));
        assert_eq!(refused, GateAnswer::Failed(format!("{shown}: the connection was refused")));
    }
}
