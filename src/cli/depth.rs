//! `nixdash caches --deep`: what hard links save in hosts' stores, and what is dead there.

use crate::cli::status::{interrupted, or_unknown, table};
use crate::cli::{CliError, EXIT_FAILED, EXIT_INTERRUPTED, earlier, history, selectors as typed};
use crate::fleet::{Fleet, StoreDepth, TierKind, bytes, select};
use crate::probe::{depth, note_depths};
use crate::record::{Runs, state_home};
use crate::remote::Remote;
use futures_util::future::join_all;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

/// What `caches --deep --json` prints.
#[derive(Serialize)]
struct DepthsJson {
    hosts: BTreeMap<String, DepthJson>,
}

/// What was found of one host, or why not.
#[derive(Clone, Debug, Serialize)]
struct DepthJson {
    #[serde(flatten)]
    found: Option<StoreDepth>,
    error: Option<String>,
}

/// Looks closely at the stores of hosts, all at once; refuses while a run is at work.
pub(super) async fn run(
    fleet: Fleet,
    selectors: &[String],
    json: bool,
) -> Result<ExitCode, CliError> {
    let all = ["all".to_owned()];
    let hosts =
        select(&fleet, &typed::read(if selectors.is_empty() { &all[..] } else { selectors })?)?;
    let runs = Runs::open(&state_home())?;
    if let Some(run) = runs.active() {
        return Err(CliError::RunAtWork(run));
    }
    let fleet = Arc::new(fleet);
    let runner = Remote::new(Arc::clone(&fleet));
    let looks = hosts.iter().map(|host| depth(&runner, host, Some(&runs)));
    let found = tokio::select! {
        found = join_all(looks) => found,
        () = interrupted() => {
            runner.close().await;
            return Ok(ExitCode::from(EXIT_INTERRUPTED));
        }
    };
    runner.close().await;
    let found: BTreeMap<String, DepthJson> = hosts
        .into_iter()
        .zip(found)
        .map(|(host, found)| {
            let (found, error) = match found {
                Ok(found) => (Some(found), None),
                Err(error) => (None, Some(error.to_string())),
            };
            (host, DepthJson { found, error })
        })
        .collect();
    remember(&fleet, &found).await;
    let failed = found.values().any(|found| found.error.is_some());
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &DepthsJson { hosts: found })
            .map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", text(&found))?;
    }
    Ok(if failed { ExitCode::from(EXIT_FAILED) } else { ExitCode::SUCCESS })
}

/// Keeps what was found, so that the dashboard shows it with its age.
async fn remember(fleet: &Arc<Fleet>, found: &BTreeMap<String, DepthJson>) {
    let memory = earlier::read(fleet).memory;
    let Some(recorder) = history::recorder(fleet, |line| tell_aside!("nixdash: {line}")) else {
        return;
    };
    for tier in fleet.tiers.iter().filter(|tier| tier.kind == TierKind::Local) {
        let fresh = found.iter().filter_map(|(host, depth)| Some((host.clone(), depth.found?)));
        note_depths(&memory, tier, fresh.collect());
        for (name, value) in memory.take_changes(tier) {
            recorder.remember(&tier.name, name, value);
        }
    }
    recorder.flush().await;
}

/// Returns what was found as a table, and below it what was not and why.
fn text(found: &BTreeMap<String, DepthJson>) -> String {
    let mut rows =
        vec![["HOST", "HARD LINKS SAVE", "GARBAGE", "GARBAGE PATHS"].map(str::to_owned).to_vec()];
    rows.extend(found.iter().map(|(host, DepthJson { found, .. })| {
        vec![
            host.clone(),
            or_unknown(found.map(|found| bytes(found.saved_bytes))),
            or_unknown(found.map(|found| bytes(found.dead_bytes))),
            or_unknown(found.map(|found| found.dead_paths.to_string())),
        ]
    }));
    let mut text = table(&rows);
    if found.values().any(|found| found.found.is_some_and(|found| found.dead_bytes > 0)) {
        text.push_str("garbage: NAR sizes; collecting frees less where files are hard-linked\n");
    }
    let errors: Vec<&str> = found.values().filter_map(|found| found.error.as_deref()).collect();
    if !errors.is_empty() {
        text.push('\n');
        text.push_str(&errors.join("\n"));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_could_not_be_looked_at_is_unknown_with_the_reason() {
        let known = StoreDepth {
            saved_bytes: 2_000_000,
            dead_paths: 3,
            dead_bytes: 3_000_336,
            measured_at: "2026-11-21T08:00:00Z".parse().unwrap(),
        };
        let away = DepthJson { found: None, error: Some("razer: No route to host".to_owned()) };
        let found = [
            ("razer".to_owned(), away),
            ("samsung".to_owned(), DepthJson { found: Some(known), error: None }),
        ]
        .into();
        assert_eq!(
            text(&found),
            "HOST     HARD LINKS SAVE  GARBAGE  GARBAGE PATHS\n\
             razer    –                –        –\n\
             samsung  2.00 MB          3.00 MB  3\n\
             garbage: NAR sizes; collecting frees less where files are hard-linked\n\n\
             razer: No route to host\n"
        );
        let json = serde_json::to_value(DepthsJson { hosts: found }).unwrap();
        assert_eq!(json["hosts"]["samsung"]["dead_bytes"], 3_000_336);
        assert_eq!(json["hosts"]["razer"]["error"], "razer: No route to host");
    }
}
