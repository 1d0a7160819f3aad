//! `nixdash wake`: wakes sleeping hosts and waits until they answer.

use crate::cli::status::interrupted;
use crate::cli::{CliError, EXIT_FAILED, EXIT_INTERRUPTED, complete, selectors, wait};
use crate::fleet::{Fleet, Host, duration, select};
use crate::remote::{Presence, Remote, ScriptRunner, wait_until_started, wake};
use clap::Args;
use futures_util::future::join_all;
use serde::Serialize;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a machine is given to start when nothing else is said.
const LIMIT: &str = "5m";

/// Arguments of `nixdash wake`.
#[derive(Debug, Args)]
pub(super) struct WakeArgs {
    /// Names, globs, @tag, or all; - reads them from standard input
    #[arg(required = true, value_name = "SELECTOR", add = complete::selectors())]
    selectors: Vec<String>,
    /// How long a host may take until it answers, such as 90s or 5m; 0s sends the packet and waits for
    /// nothing
    #[arg(long, value_name = "TIME", default_value = LIMIT, value_parser = wait::limit)]
    limit: Duration,
    /// Prints one JSON document
    #[arg(long)]
    json: bool,
}

/// What `wake --json` prints of each host.
#[derive(Serialize)]
struct WokenJson<'a> {
    host: &'a str,
    /// How the packet was sent; null when it was not.
    sent: Option<String>,
    /// Whether the host answers; null where nobody waited for that.
    awake: Option<bool>,
    took_ms: Option<u64>,
    error: Option<String>,
}

pub(super) async fn run(fleet: Fleet, args: WakeArgs) -> Result<ExitCode, CliError> {
    let names = select(&fleet, &selectors::read(&args.selectors)?)?;
    let fleet = Arc::new(fleet);
    let runner = Remote::new(Arc::clone(&fleet));
    let hosts: Vec<&Host> = names.iter().filter_map(|name| fleet.host(name)).collect();
    let all = hosts.iter().map(|host| wake_one(&runner, host, args.limit));
    let found = tokio::select! {
        found = join_all(all) => found,
        () = interrupted() => {
            runner.close().await;
            return Ok(ExitCode::from(EXIT_INTERRUPTED));
        }
    };
    runner.close().await;
    let failed = found.iter().any(|one| one.error.is_some());
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &found).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        for one in &found {
            writeln!(out, "{}", line(one))?;
        }
    }
    Ok(if failed { ExitCode::from(EXIT_FAILED) } else { ExitCode::SUCCESS })
}

/// Wakes a host, and says on standard error what is waited for.
async fn wake_one<'a>(runner: &dyn ScriptRunner, host: &'a Host, limit: Duration) -> WokenJson<'a> {
    let began = Instant::now();
    let name = host.name.as_str();
    let mut woken = WokenJson { host: name, sent: None, awake: None, took_ms: None, error: None };
    match wake(runner, host).await {
        Ok(how) => woken.sent = Some(how),
        Err(error) => {
            woken.error = Some(error.to_string());
            return woken;
        }
    }
    if limit.is_zero() {
        return woken;
    }
    let tell = |presence: &Presence| {
        // Standard error may be gone; what was found is printed at the end.
        drop(writeln!(std::io::stderr(), "nixdash: {name}: {presence}"));
    };
    let started = wait_until_started(runner, name, None, limit, tell).await;
    woken.awake = Some(started.is_ok());
    woken.took_ms = Some(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
    woken.error = started.err().map(|error| {
        format!(
            "{name}: {error}; see whether Wake-on-LAN is switched on in its firmware and with \
             `networking.interfaces.NAME.wakeOnLan.enable`, and whether the packet is sent in its \
             network (wake_via)"
        )
    });
    woken
}

/// Returns what became of a host in one line.
fn line(one: &WokenJson<'_>) -> String {
    let took = one.took_ms.map(|took| duration(Duration::from_millis(took)));
    match (&one.error, &one.sent, one.awake) {
        (Some(error), ..) => error.clone(),
        (None, _, Some(true)) => format!("{}: awake after {}", one.host, took.unwrap_or_default()),
        (None, Some(sent), _) => format!("{}: {sent}", one.host),
        (None, None, _) => format!("{}: nothing was sent", one.host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_one_line_that_says_what_became_of_it() {
        let one = |sent: Option<&str>, awake, error: Option<&str>| WokenJson {
            host: "samsung",
            sent: sent.map(str::to_owned),
            awake,
            took_ms: awake.map(|_| 31_000),
            error: error.map(str::to_owned),
        };
        let sent = Some("a packet for 0a:1b:2c:3d:4e:5f was sent from p620, by broadcast");
        assert_eq!(line(&one(sent, Some(true), None)), "samsung: awake after 31 s");
        assert_eq!(
            line(&one(sent, None, None)),
            "samsung: a packet for 0a:1b:2c:3d:4e:5f was sent from p620, by broadcast"
        );
        assert_eq!(line(&one(sent, Some(false), Some("samsung: no"))), "samsung: no");
    }
}
