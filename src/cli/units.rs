//! `nixdash units`: the units of a host and the journal of one, here and for the dashboard.

use crate::cli::generations::one_host;
use crate::cli::status::{interrupted, or_unknown, table};
use crate::cli::{CliError, EXIT_FAILED, EXIT_INTERRUPTED, complete, wait};
use crate::dash::{JournalNews, Msg};
use crate::fleet::{Fleet, HostUnits, JournalWanted, ago, bytes};
use crate::probe::{host_units, journal};
use crate::remote::{Remote, RemoteError, ScriptRunner};
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Arguments of `nixdash units`.
#[derive(Debug, Args)]
pub(super) struct UnitsArgs {
    /// The host
    #[arg(value_name = "HOST", add = complete::hosts())]
    host: String,
    /// A unit, whose journal is printed
    #[arg(value_name = "UNIT")]
    unit: Option<String>,
    /// How many of the newest lines of the journal
    #[arg(long, value_name = "N", default_value_t = 200, requires = "unit")]
    lines: u32,
    /// Goes on with new lines as they come
    #[arg(long, requires = "unit")]
    follow: bool,
    /// Prints one JSON document; of a journal one object per line
    #[arg(long)]
    json: bool,
}

/// What `units HOST --json` prints.
#[derive(Serialize)]
struct UnitsJson<'a> {
    host: &'a str,
    #[serde(flatten)]
    units: &'a HostUnits,
}

/// One line of `units HOST UNIT --json`.
#[derive(Serialize)]
struct JournalLineJson<'a> {
    host: &'a str,
    unit: &'a str,
    line: &'a str,
}

/// Prints the units of a host, or the journal of one.
pub(super) async fn run(fleet: Fleet, args: UnitsArgs) -> Result<ExitCode, CliError> {
    let host = one_host(&fleet, &args.host)?;
    let remote = Remote::new(Arc::new(fleet));
    let done = tokio::select! {
        done = print(&remote, &host, &args) => done,
        () = interrupted() => Ok(Ok(ExitCode::from(EXIT_INTERRUPTED))),
    };
    remote.close().await;
    done?.or_else(|error| {
        // Standard error may be gone; the exit code says it too.
        drop(writeln!(std::io::stderr(), "nixdash: {error}"));
        Ok(ExitCode::from(EXIT_FAILED))
    })
}

/// Prints what is asked for; the inner error is that of the host.
async fn print(
    remote: &Remote,
    host: &str,
    args: &UnitsArgs,
) -> Result<Result<ExitCode, RemoteError>, CliError> {
    let Some(unit) = &args.unit else {
        let what = format!("waiting for {host} to list its units …");
        let units = match wait::saying(&what, host_units(remote, host)).await {
            Ok(units) => units,
            Err(error) => return Ok(Err(error)),
        };
        let mut out = std::io::stdout().lock();
        if args.json {
            let document = UnitsJson { host, units: &units };
            let text = serde_json::to_string_pretty(&document).map_err(std::io::Error::from)?;
            writeln!(out, "{text}")?;
        } else {
            out.write_all(list_text(&units).as_bytes())?;
        }
        return Ok(Ok(ExitCode::SUCCESS));
    };
    let (lines, follow) = (args.lines, args.follow);
    let wanted = JournalWanted { host: host.to_owned(), unit: unit.clone(), lines, follow };
    let (sender, mut found) = mpsc::channel::<Vec<String>>(16);
    // The first line that cannot be written ends the reading: nobody receives any more.
    let show = async move {
        while let Some(lines) = found.recv().await {
            let mut out = std::io::stdout().lock();
            for line in &lines {
                if args.json {
                    let object = JournalLineJson { host, unit, line };
                    let text = serde_json::to_string(&object).map_err(std::io::Error::from)?;
                    writeln!(out, "{text}")?;
                } else {
                    writeln!(out, "{line}")?;
                }
            }
            out.flush()?;
        }
        Ok::<(), CliError>(())
    };
    let (read, shown) = tokio::join!(journal(remote, &wanted, sender), show);
    shown?;
    Ok(read.map(|()| ExitCode::SUCCESS))
}

/// Returns units as a table.
fn list_text(found: &HostUnits) -> String {
    if found.units.is_empty() {
        return "no unit failed, and no service runs\n".to_owned();
    }
    let head = ["UNIT", "STATE", "SINCE", "MEMORY", "WHAT IT IS"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(found.units.iter().map(|unit| {
        let age = |since: Timestamp| -> Duration {
            found.measured_at.duration_since(since).try_into().unwrap_or_default()
        };
        vec![
            unit.name.clone(),
            unit.state_words(),
            or_unknown(unit.since.map(|since| ago(age(since)))),
            or_unknown(unit.memory.map(bytes)),
            unit.description.clone(),
        ]
    }));
    table(&rows)
}

/// Asks hosts for what the dashboard shows of units; one journal at a time.
pub(super) struct UnitReader {
    runner: Arc<dyn ScriptRunner>,
    messages: mpsc::Sender<Msg>,
    journal: Option<AbortHandle>,
}

impl UnitReader {
    pub(super) fn new(runner: Arc<dyn ScriptRunner>, messages: mpsc::Sender<Msg>) -> Self {
        Self { runner, messages, journal: None }
    }

    /// Asks a host for its units, beside everything else.
    pub(super) fn list(&self, host: String) {
        let (runner, messages) = (Arc::clone(&self.runner), self.messages.clone());
        tokio::spawn(async move {
            let found = host_units(runner.as_ref(), &host).await;
            let found = found.map_err(|error| error.to_string());
            // A screen that is gone needs no telling.
            drop(messages.send(Msg::Units { host, found }).await);
        });
    }

    /// Reads a journal, beside everything else, and no other any more.
    pub(super) fn read_journal(&mut self, wanted: Option<JournalWanted>) {
        if let Some(earlier) = self.journal.take() {
            earlier.abort();
        }
        let Some(of) = wanted else { return };
        let (runner, messages) = (Arc::clone(&self.runner), self.messages.clone());
        let reading = tokio::spawn(async move {
            let (sender, mut found) = mpsc::channel::<Vec<String>>(16);
            let tell = async {
                while let Some(lines) = found.recv().await {
                    let news = JournalNews::Lines(lines);
                    // A screen that is gone needs no telling.
                    drop(messages.send(Msg::Journal { of: of.clone(), news }).await);
                }
            };
            let (read, ()) = tokio::join!(journal(runner.as_ref(), &of, sender), tell);
            let news = JournalNews::Ended(read.map_err(|error| error.to_string()));
            drop(messages.send(Msg::Journal { of: of.clone(), news }).await);
        });
        self.journal = Some(reading.abort_handle());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{HostUnit, UnitState};

    #[test]
    fn units_are_a_table_that_says_why_and_since_when() {
        let since = |seconds| Some(Timestamp::from_second(seconds).unwrap());
        let unit = |name: &str, state, since| HostUnit {
            name: name.to_owned(),
            description: "SSH Daemon".to_owned(),
            state,
            sub_state: "running".to_owned(),
            result: Some("exit-code".to_owned()),
            exit_code: Some(3),
            since,
            restarts: Some(0),
            memory: None,
        };
        let units = vec![
            unit("sshd.service", UnitState::Active, None),
            unit("data.mount", UnitState::Failed, since(100)),
        ];
        let found = HostUnits::new(units, Timestamp::from_second(220).unwrap());
        insta::assert_snapshot!(list_text(&found), @r"
        UNIT          STATE                 SINCE  MEMORY  WHAT IT IS
        data.mount    failed (exit code 3)  2 min  –       SSH Daemon
        sshd.service  running               –      –       SSH Daemon
        ");
    }
}
