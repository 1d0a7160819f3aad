//! The log of a derivation that failed, where the build did not print it: a machine to which the build was given
//! may keep it to itself.

use super::ear::NixEar;
use super::scripts::BUILD_LOG;
use super::step::Step;
use crate::fleet::StorePath;
use crate::nix::activity::{BuildNode, FailureKind};
use crate::probe::{HttpClient, TierLog, build_log};
use crate::remote::Script;
use std::time::Duration;

/// How much of a log is read, in bytes: its end.
const MOST: usize = 1 << 20;

/// How long it may take: the store is asked, then a machine, then caches.
const LIMIT: Duration = Duration::from_secs(40);

/// Reads the log of the derivation that failed, where the stream has no line of it, and logs it. Where it cannot
/// be had, the log says so.
pub(super) async fn read_missing(ear: &mut NixEar<'_>) {
    let Some((drv, package, machine)) = missing(ear) else { return };
    let step = ear.step();
    let builder = step.host.build_on();
    let said = read(step, &drv, &machine).await;
    let said = said.as_deref().and_then(|said| said.split_once('\n'));
    let found = match said {
        Some(("machine", log)) => Some((format!("from {machine}"), log.to_owned())),
        Some(("cache", log)) => Some(("from a cache".to_owned(), log.to_owned())),
        Some((_, log)) => Some((format!("from the store of {builder}"), log.to_owned())),
        None => match from_tiers(step, &drv).await {
            Some(TierLog { tier, log: Ok(log) }) => Some((format!("from {tier}"), log)),
            Some(TierLog { tier, log: Err(why) }) => {
                let text = format!(
                    "the build printed nothing of {package}; {tier} has its log, and {why}"
                );
                return step.log(&text).await;
            }
            None => None,
        },
    };
    let Some((from, log)) = found else {
        let text = format!(
            "the build printed nothing of {package}; its log is not in the store of {builder}, and no cache has it"
        );
        return step.log(&text).await;
    };
    let (log, begin) = end_of(&log);
    step.log(&format!("the build printed nothing of {package}; {begin} log, {from}:")).await;
    ear.take_log(&drv, log).await;
}

/// Returns the derivation that failed and of which nothing was printed, its package, and the machine that it
/// was given to, or nothing.
fn missing(ear: &NixEar<'_>) -> Option<(String, String, String)> {
    let report = ear.log().failure_report()?;
    match report.kind {
        FailureKind::Builder | FailureKind::Memory | FailureKind::Disk | FailureKind::TimedOut => {}
        FailureKind::CacheDown
        | FailureKind::CacheLacksFile
        | FailureKind::CacheFailing
        | FailureKind::CacheCorrupt
        | FailureKind::HashMismatch
        | FailureKind::Evaluation
        | FailureKind::Interrupted
        | FailureKind::Other => return None,
    }
    let node = report.drv.as_deref().and_then(|drv| ear.log().tree().node(drv));
    let node = node.filter(|node| node.lines() == 0)?;
    let machine = node.machine().unwrap_or_default().to_owned();
    Some((node.drv().to_owned(), BuildNode::package(node).to_owned(), machine))
}

/// Asks the host that builds; none where it has no log, or does not answer.
async fn read(step: &Step, drv: &str, machine: &str) -> Option<String> {
    let caches: Vec<&str> = step.shared.fleet.tiers.iter().map(|tier| tier.url.as_str()).collect();
    // Where no cache is asked, that is meant for logs, too.
    let caches = if step.shared.skips_caches { String::new() } else { caches.join(" ") };
    let script = Script::new(BUILD_LOG).root().limit(LIMIT);
    let script = script.arg(drv).arg(machine).arg(caches).arg(MOST.to_string());
    let output = step.runner.run(step.host.build_on(), &script).await;
    let output = output.inspect_err(|error| tracing::debug!(%error, "the log of a build")).ok()?;
    (!output.stdout.is_empty()).then_some(output.stdout)
}

/// Asks the tiers from this machine: it may reach one that the host that builds does not.
async fn from_tiers(step: &Step, drv: &str) -> Option<TierLog> {
    if step.shared.skips_caches {
        return None;
    }
    let (drv, web) = (StorePath::parse(drv).ok()?, HttpClient::new().ok()?);
    build_log(&web, &step.shared.fleet.tiers, &drv, MOST).await
}

/// Returns the whole lines of a log, and whether they are all of it or its end.
fn end_of(log: &str) -> (&str, &'static str) {
    if log.len() < MOST {
        return (log, "this is its");
    }
    (log.split_once('\n').map_or(log, |(_, rest)| rest), "this is the end of its")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::write_program;
    use std::process::Command;

    /// Runs the script with these in the place of nix-store and nix; returns what it printed.
    fn printed(nix_store: &str, nix: &str, machine: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        write_program(&folder.path().join("nix-store"), &format!("#!/bin/sh\n{nix_store}\n"));
        write_program(&folder.path().join("nix"), &format!("#!/bin/sh\n{nix}\n"));
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("/bin/sh")
            .args(["-c", BUILD_LOG, "sh", "/nix/store/x-a.drv", machine, "http://a http://b", "8"])
            .env("PATH", format!("{}:{path}", folder.path().display()))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn the_store_is_asked_before_the_machine_and_that_before_caches() {
        let says = r#"case "$*" in *--store*) echo machine ;; *"extra-substituters http://a http://b"*) echo cache ;; esac"#;
        let nothing = "echo 'error: no log' >&2; exit 1";
        assert_eq!(printed("seq 1 9", says, "ssh-ng://far"), "here\n6\n7\n8\n9\n", "only its end");
        assert_eq!(printed(nothing, says, "ssh-ng://far"), "machine\nmachine\n");
        assert_eq!(printed(nothing, says, ""), "cache\ncache\n");
        assert_eq!(printed(nothing, nothing, "ssh-ng://far"), "");
    }

    #[test]
    fn of_a_log_that_is_cut_only_whole_lines_are_taken() {
        assert_eq!(end_of("a\nb\n"), ("a\nb\n", "this is its"));
        let long = format!("{}\nlast\n", "x".repeat(MOST));
        assert_eq!(end_of(&long), ("last\n", "this is the end of its"));
    }
}
