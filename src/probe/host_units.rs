//! The units of a host and the journal of one: asked when a person wants to see them.

use crate::fleet::{HostUnit, HostUnits, JournalWanted, UnitState, printable_line};
use crate::remote::{LineSplitter, Output, RemoteError, Script, ScriptRunner, Trouble};
use jiff::Timestamp;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::mpsc;

const UNITS: &str = concat!(include_str!("scripts/says.sh"), include_str!("scripts/units.sh"));

const JOURNAL: &str = concat!(include_str!("scripts/says.sh"), include_str!("scripts/journal.sh"));

/// How long a host may take to tell of its units, or of the newest lines of a journal.
const LIMIT: Duration = Duration::from_secs(30);

/// How long a journal is followed at most; whoever reads on asks again.
const FOLLOW_LIMIT: Duration = Duration::from_secs(12 * 3600);

/// Asks a host for its units that failed, and for its services that run.
pub async fn host_units(runner: &dyn ScriptRunner, host: &str) -> Result<HostUnits, RemoteError> {
    let output = runner.run(host, &Script::new(UNITS).limit(LIMIT)).await?;
    let units = parse(&output.stdout).ok_or_else(|| {
        let cause = format!("could not list its units: {}", output.complaint());
        let hint = "try `systemctl list-units` there".to_owned();
        RemoteError { hint, ..RemoteError::new(host, Trouble::Here, &cause) }
    })?;
    Ok(HostUnits::new(units, Timestamp::now()))
}

fn script_for(wanted: &JournalWanted, root: bool) -> Script {
    let limit = if wanted.follow { FOLLOW_LIMIT } else { LIMIT };
    let script = Script::new(JOURNAL)
        .arg(wanted.unit.as_str())
        .arg(wanted.lines.to_string())
        .arg(if wanted.follow { "follow" } else { "once" })
        .limit(limit);
    if root { script.root() } else { script }
}

/// Sends the lines of a journal, printable, in groups as they come; returns when that was all, or when
/// nobody receives any more. It is read as root, and as the login user where that is refused.
pub async fn journal(
    runner: &dyn ScriptRunner,
    wanted: &JournalWanted,
    lines: mpsc::Sender<Vec<String>>,
) -> Result<(), RemoteError> {
    let output = match read(runner, wanted, script_for(wanted, true), &lines).await {
        Err(error) if matches!(error.trouble, Trouble::NotRoot(_)) => {
            read(runner, wanted, script_for(wanted, false), &lines).await?
        }
        read => read?,
    };
    if output.is_ok() || lines.is_closed() {
        return Ok(());
    }
    let cause = format!("could not read the journal of {}: {}", wanted.unit, output.complaint());
    let hint = format!("try `journalctl --unit {}` there", wanted.unit);
    Err(RemoteError { hint, ..RemoteError::new(&wanted.host, Trouble::Here, &cause) })
}

async fn read(
    runner: &dyn ScriptRunner,
    wanted: &JournalWanted,
    script: Script,
    lines: &mpsc::Sender<Vec<String>>,
) -> Result<Output, RemoteError> {
    let (sender, mut pieces) = mpsc::channel::<Vec<u8>>(16);
    let split = async {
        let mut splitter = LineSplitter::default();
        while let Some(piece) = pieces.recv().await {
            let (mut rest, mut found) = (piece.as_slice(), Vec::new());
            while let Some(line) = splitter.next(&mut rest) {
                found.push(printable_line(&line.text()));
            }
            if !found.is_empty() && lines.send(found).await.is_err() {
                return;
            }
        }
        if let Some(line) = splitter.rest() {
            // Nobody may listen any more.
            drop(lines.send(vec![printable_line(&line.text())]).await);
        }
    };
    let (output, ()) = tokio::join!(runner.follow(&wanted.host, &script, sender), split);
    output
}

/// Reads what the script printed; nothing when it broke off.
fn parse(text: &str) -> Option<Vec<HostUnit>> {
    let mut whole = false;
    let mut units = Vec::new();
    let mut properties: HashMap<&str, &str> = HashMap::new();
    for line in text.lines() {
        whole |= line == "end\tyes";
        match line.split_once('=') {
            Some((key, value)) => drop(properties.insert(key, value)),
            None => units.extend(unit(&std::mem::take(&mut properties))),
        }
    }
    whole.then_some(units)
}

/// Returns the unit with these properties; nothing where it has no name or no known state.
fn unit(properties: &HashMap<&str, &str>) -> Option<HostUnit> {
    let text = |key| properties.get(key).map(|text| printable_line(text)).unwrap_or_default();
    let number = |key: &str| properties.get(key).and_then(|text| text.parse().ok());
    let seconds = properties.get("StateChangeTimestamp").and_then(|text| text.strip_prefix('@'));
    let since = seconds.and_then(|seconds| Timestamp::from_second(seconds.parse().ok()?).ok());
    let state = UnitState::parse(properties.get("ActiveState")?)?;
    let failed = state == UnitState::Failed;
    let result = Some(text("Result")).filter(|result| failed && !result.is_empty());
    Some(HostUnit {
        name: Some(text("Id")).filter(|name| !name.is_empty())?,
        description: text("Description"),
        state,
        sub_state: text("SubState"),
        exit_code: properties
            .get("ExecMainStatus")
            .filter(|_| failed)
            .and_then(|code| code.parse().ok()),
        result,
        since: since.filter(|since| *since > Timestamp::UNIX_EPOCH),
        restarts: number("NRestarts"),
        // systemd writes the greatest number where it is not known.
        memory: number("MemoryCurrent").filter(|bytes| *bytes < u64::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::{FakeRunner, NotRoot};

    const SHOWN: &str = "Id=sshd.service\nDescription=SSH Daemon\nActiveState=active\n\
        SubState=running\nResult=success\nExecMainStatus=0\nStateChangeTimestamp=@1763726400\n\
        NRestarts=0\nMemoryCurrent=5242880\n\n\
        Id=backup.service\nDescription=Back\u{1b}]0;x\u{7}up\nActiveState=failed\nSubState=failed\n\
        Result=exit-code\nExecMainStatus=3\nStateChangeTimestamp=@1763726460\nNRestarts=2\n\
        MemoryCurrent=[not set]\n\n\
        Id=tidy.service\nActiveState=inactive\nSubState=dead\n\n\
        Id=data.mount\nActiveState=failed\nResult=timeout\nSubState=failed\nStateChangeTimestamp=\n\n\
        Id=x.timer\nActiveState=active\nSubState=waiting\n\nend\tyes\n";

    fn answering(text: &'static str) -> FakeRunner {
        FakeRunner::new(move |_, _| Ok(Output { stdout: text.to_owned(), ..Output::default() }))
    }

    #[tokio::test]
    async fn what_failed_comes_first_then_what_runs() {
        let runner = answering(SHOWN);
        let found = host_units(&runner, "samsung").await.unwrap();
        let names: Vec<_> = found.units.iter().map(|unit| unit.name.as_str()).collect();
        assert_eq!(names, ["backup.service", "data.mount", "sshd.service"]);
        let words: Vec<_> = found.units.iter().map(HostUnit::state_words).collect();
        assert_eq!(words, ["failed (exit code 3)", "failed (timeout)", "running"]);
        let (backup, sshd) = (&found.units[0], &found.units[2]);
        assert_eq!((backup.description.as_str(), backup.memory), ("Backup", None));
        assert_eq!((sshd.memory, found.units[1].since, found.failed()), (Some(5_242_880), None, 2));
    }

    #[tokio::test]
    async fn a_list_that_broke_off_is_no_list() {
        let runner = answering("Id=sshd.service\nActiveState=active\n");
        let error = host_units(&runner, "samsung").await.unwrap_err().to_string();
        assert!(error.starts_with("samsung: could not list its units: "), "{error}");
    }

    fn wanted(unit: &str) -> JournalWanted {
        let (host, unit) = ("samsung".to_owned(), unit.to_owned());
        JournalWanted { host, unit, lines: 200, follow: true }
    }

    #[tokio::test]
    async fn a_journal_is_read_by_the_login_user_where_nobody_becomes_root() {
        let runner = FakeRunner::new(|host, script| {
            if script.root {
                return Err(RemoteError::not_root(host, NotRoot::PasswordNeeded, "no"));
            }
            Ok(Output { stdout: "one\ntw\u{1b}[2Jo\nrest".to_owned(), ..Output::default() })
        });
        let (sender, mut lines) = mpsc::channel(8);
        journal(&runner, &wanted("sshd.service"), sender).await.unwrap();
        let mut all = Vec::new();
        while let Some(some) = lines.recv().await {
            all.extend(some);
        }
        assert_eq!(all, ["one", "two", "rest"]);
        assert_eq!(runner.asked().len(), 2);
    }

    #[test]
    fn the_unit_is_an_argument_and_never_part_of_the_script() {
        let script = script_for(&wanted("x'; reboot;.service"), true);
        assert_eq!(script.args, ["x'; reboot;.service", "200", "follow"]);
        assert!(script.root && !script.body.contains("reboot"));
    }
}
