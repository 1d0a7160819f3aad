//! `nixdash silence`: which findings nobody wants to hear of, as `M` does on the screen.
//!
//! What is silenced here is kept in the state folder; hosts.toml, which may silence too, is only read.

use crate::cli::{CliError, complete, earlier};
use crate::fleet::{
    Code, Event, Finding, Fleet, Silence, SilenceEnd, SilenceOrigin, UNTIL_IT_CHANGES,
    printable_line,
};
use crate::record::{KeptSilences, state_home};
use clap::{Args, Subcommand};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

/// How often the dashboard looks whether something else is silenced.
const EVERY: Duration = Duration::from_secs(5);

/// Arguments of `nixdash silence`.
#[derive(Debug, Args)]
pub(super) struct SilenceArgs {
    #[command(subcommand)]
    what: Option<SilenceCommand>,
    /// Prints what is silenced, after the change, as JSON
    #[arg(long, global = true)]
    json: bool,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
enum SilenceCommand {
    /// Lists what is silenced, in hosts.toml and here; this is the default
    List,
    /// Silences a finding of a host or a tier for a while
    Add {
        /// The code of the finding; `nixdash findings` prints them all
        #[arg(value_parser = code)]
        code: Code,
        #[command(flatten)]
        about: About,
        /// Why the finding needs no alarm; others see this text
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// For how long, as in `8h` or `7d`
        #[arg(
            long = "for",
            value_name = "TIME",
            required_unless_present_any = ["until", "until_it_changes"],
            conflicts_with_all = ["until", "until_it_changes"]
        )]
        time: Option<Span>,
        /// Until the end of this day, in UTC
        #[arg(long, value_name = "DATE", conflicts_with = "until_it_changes")]
        until: Option<Date>,
        /// Until the finding changes its text or severity, or is gone; 90 days at most
        #[arg(long)]
        until_it_changes: bool,
    },
    /// Ends what was silenced here
    End {
        /// The code of the finding
        #[arg(value_parser = code)]
        code: Code,
        #[command(flatten)]
        about: About,
    },
}

impl SilenceCommand {
    /// Returns whether it changes what is silenced.
    fn changes(&self) -> bool {
        match self {
            Self::List => false,
            Self::Add { .. } | Self::End { .. } => true,
        }
    }
}

impl SilenceArgs {
    /// Returns whether the command changes what is silenced.
    pub(super) fn changes(&self) -> bool {
        self.what.as_ref().is_some_and(SilenceCommand::changes)
    }
}

/// What a finding is about.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct About {
    /// The host that it is about
    #[arg(long, value_name = "HOST", add = complete::hosts())]
    host: Option<String>,
    /// The tier that it is about
    #[arg(long, value_name = "TIER")]
    tier: Option<String>,
}

/// Why a silence cannot be made or ended.
#[derive(Debug, thiserror::Error)]
pub enum SilenceError {
    /// hosts.toml names no such host or tier.
    #[error("hosts.toml names no {kind} {name:?}; it names {known}")]
    Unknown {
        /// Host or tier.
        kind: &'static str,
        /// What was typed.
        name: String,
        /// What there is.
        known: String,
    },
    /// The end does not lie ahead.
    #[error(
        "that end is not in the future; write a time such as --for 8h, or a day such as --until \
         2026-12-31"
    )]
    Past,
    /// No such finding is known.
    #[error(
        "that finding was not there when nixdash last looked, so no change of it can be noticed; \
         measure with `nixdash status`, or silence it with --for or --until"
    )]
    NotFound,
    /// Hosts have different findings of that code about the tier.
    #[error("the hosts do not agree about that tier; name one host with --host")]
    Several,
    /// Nothing is silenced so.
    #[error(
        "nothing is silenced here with that code for that host and tier; `nixdash silence` lists what is"
    )]
    NotThere,
    /// hosts.toml silences it.
    #[error(
        "hosts.toml silences this finding, and nixdash does not write that file; remove the entry \
         of [[alarms.silence]] there"
    )]
    InHostsToml,
    /// What is silenced could not be read or kept.
    #[error(
        "what is silenced could not be read or kept: {0}; is the disk full, or does the state \
         folder belong to somebody else?"
    )]
    Keep(#[from] std::io::Error),
}

/// A silence as it is printed.
#[derive(Serialize)]
struct SilenceJson<'a> {
    #[serde(flatten)]
    silence: &'a Silence,
    origin: SilenceOrigin,
    is_over: bool,
}

/// Runs the command; the fleet has what is silenced already.
pub(super) fn run(fleet: &Fleet, args: &SilenceArgs) -> Result<ExitCode, CliError> {
    let kept = KeptSilences::of(&state_home(), fleet.file.as_deref());
    let now = Timestamp::now();
    let all = changed(fleet, &kept, args.what.as_ref(), now, || last_found(fleet))?;
    let text = if args.json { json(&all, now) } else { list(&all, now) };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Tells when something else is silenced than before: somebody may do so beside this nixdash. `hear` returns
/// whether there is still somebody who hears it.
pub(super) async fn watch<F: Future<Output = bool>>(
    kept: KeptSilences,
    mut hear: impl FnMut(Vec<Silence>) -> F,
) {
    let mut told = kept.all().ok();
    loop {
        tokio::time::sleep(EVERY).await;
        // What cannot be read now stays as it was.
        let Ok(all) = kept.all() else { continue };
        if told.as_ref() != Some(&all) {
            told = Some(all.clone());
            if !hear(all).await {
                return;
            }
        }
    }
}

/// Does what was asked for and returns everything that is silenced then.
fn changed(
    fleet: &Fleet,
    kept: &KeptSilences,
    what: Option<&SilenceCommand>,
    now: Timestamp,
    found: impl FnOnce() -> Vec<Finding>,
) -> Result<Vec<Silence>, SilenceError> {
    let here = match what {
        None | Some(SilenceCommand::List) => kept.all()?,
        Some(SilenceCommand::Add { code, about, reason, until_it_changes: true, .. }) => {
            about.check(fleet)?;
            let until = SilenceEnd::At(now + UNTIL_IT_CHANGES);
            let silence = as_it_is(about.silence(*code, reason, until), &found())?;
            kept.add(silence, now)?
        }
        Some(SilenceCommand::Add { code, about, reason, time, until, .. }) => {
            about.check(fleet)?;
            let until = end(time.as_ref(), *until, now).ok_or(SilenceError::Past)?;
            kept.add(about.silence(*code, reason, until), now)?
        }
        Some(SilenceCommand::End { code, about }) => {
            let meant = about.silence(*code, "", SilenceEnd::At(now));
            let is_meant = |known: &Silence| known.is_for_the_same(&meant);
            if !kept.all()?.iter().any(is_meant) {
                let in_file = fleet.alarms.silences.iter().any(is_meant);
                return Err(if in_file {
                    SilenceError::InHostsToml
                } else {
                    SilenceError::NotThere
                });
            }
            kept.end(&meant, now)?
        }
    };
    let in_file = fleet.alarms.silences.iter();
    let in_file = in_file.filter(|silence| silence.origin == SilenceOrigin::HostsToml).cloned();
    Ok(in_file.chain(here).collect())
}

/// Returns a silence that ends when the finding changes that it is about now.
fn as_it_is(silence: Silence, found: &[Finding]) -> Result<Silence, SilenceError> {
    let meant: Vec<&Finding> = found.iter().filter(|it| silence.is_about(it)).collect();
    let first = meant.first().ok_or(SilenceError::NotFound)?;
    let silence = silence.until_it_changes(first);
    if meant.iter().all(|finding| silence.is_about(finding)) {
        Ok(silence)
    } else {
        Err(SilenceError::Several)
    }
}

/// Returns the findings of all hosts and tiers, as any nixdash found them last.
fn last_found(fleet: &Fleet) -> Vec<Finding> {
    let events = earlier::events(fleet, &earlier::read(fleet)).into_iter();
    let findings = events.map(|event| match event {
        Event::Host { facts, .. } => facts.findings,
        Event::Tier { facts, .. } => facts.all_findings(),
        Event::Asking { .. }
        | Event::Store { .. }
        | Event::Coverage { .. }
        | Event::Next { .. }
        | Event::Run(_) => Vec::new(),
    });
    findings.flatten().collect()
}

/// Returns when a silence ends; none where that does not lie ahead.
fn end(time: Option<&Span>, until: Option<Date>, now: Timestamp) -> Option<SilenceEnd> {
    let end = match (time, until) {
        (Some(time), _) => {
            let end = now.to_zoned(TimeZone::UTC).checked_add(*time).ok()?;
            SilenceEnd::At(end.timestamp())
        }
        (None, day) => SilenceEnd::Day(day?),
    };
    (!end.is_over(now)).then_some(end)
}

impl About {
    /// Checks that hosts.toml names what is meant.
    fn check(&self, fleet: &Fleet) -> Result<(), SilenceError> {
        let hosts: Vec<&str> = fleet.hosts.iter().map(|host| host.name.as_str()).collect();
        let tiers: Vec<&str> = fleet.tiers.iter().map(|tier| tier.name.as_str()).collect();
        for (kind, named, known) in [("host", &self.host, hosts), ("tier", &self.tier, tiers)] {
            if let Some(name) = named.as_ref().filter(|name| !known.contains(&name.as_str())) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(SilenceError::Unknown { kind, name: name.clone(), known });
            }
        }
        Ok(())
    }

    fn silence(&self, code: Code, reason: &str, until: SilenceEnd) -> Silence {
        Silence {
            code,
            host: self.host.clone(),
            tier: self.tier.clone(),
            reason: printable_line(reason),
            until,
            severity: None,
            detail: None,
            origin: SilenceOrigin::State,
        }
    }
}

/// Reads a code.
fn code(text: &str) -> Result<Code, String> {
    Code::of_word(text).ok_or_else(|| {
        "it is not the code of a finding; `nixdash findings` prints them all".to_owned()
    })
}

fn json(all: &[Silence], now: Timestamp) -> String {
    let all: Vec<SilenceJson<'_>> = all
        .iter()
        .map(|silence| SilenceJson {
            silence,
            origin: silence.origin,
            is_over: silence.until.is_over(now),
        })
        .collect();
    // Names and texts always have a JSON form.
    let text = serde_json::to_string_pretty(&all).unwrap_or_default();
    format!("{text}\n")
}

/// Returns what is silenced as lines.
fn list(all: &[Silence], now: Timestamp) -> String {
    if all.is_empty() {
        return "nothing is silenced\n".to_owned();
    }
    let about = |silence: &Silence| match (&silence.tier, &silence.host) {
        (Some(tier), Some(host)) => format!("{tier} on {host}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => "everything".to_owned(),
    };
    let codes = all.iter().map(|silence| silence.code.word().len()).max().unwrap_or_default();
    let names = all.iter().map(|silence| about(silence).chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for silence in all {
        let until = match (silence.ends_with_a_change(), silence.until.is_over(now)) {
            (_, true) => format!("over since {}", silence.until),
            (true, false) => format!("until it changes, {} at the latest", silence.until),
            (false, false) => format!("until {}", silence.until),
        };
        let place = match silence.origin {
            SilenceOrigin::HostsToml => " (hosts.toml)",
            SilenceOrigin::State => "",
        };
        let (code, about) = (silence.code.word(), about(silence));
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{code:codes$}  {about:names$}  {until}: {}{place}", silence.reason);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser as _;

    fn fleet() -> Fleet {
        let text = "[hosts.p510]\n[[alarms.silence]]\ncode = \"boot-low\"\nhost = \"p510\"\n\
            reason = \"small on purpose\"\nuntil = 2099-12-31\n";
        crate::config::parse(text, std::path::Path::new("hosts.toml"), None).unwrap()
    }

    /// What was found last.
    fn found() -> Vec<Finding> {
        let subject = || crate::fleet::Subject::host("p510");
        let low = Finding::new(subject(), Code::DiskLow, "only 1.2 GB is left", "make room");
        let failed = |unit: &str| {
            let cause = format!("{unit} failed 14 min ago");
            Finding::new(subject(), Code::UnitsFailed, &cause, "look at its journal")
        };
        vec![low, failed("sshd.service"), failed("bluetooth.service")]
    }

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    /// Returns what a line asks for, and what is silenced then.
    fn silence(kept: &KeptSilences, line: &str) -> Result<Vec<Silence>, String> {
        let words = ["nixdash", "silence"].into_iter().chain(line.split(' '));
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        let Some(crate::cli::CliCommand::Silence(args)) = cli.command else {
            return Ok(Vec::new());
        };
        changed(&fleet(), kept, args.what.as_ref(), now(), found).map_err(|error| error.to_string())
    }

    #[test]
    fn a_finding_is_silenced_listed_and_loud_again() {
        let state = tempfile::tempdir().unwrap();
        let kept = KeptSilences::of(state.path(), None);
        let all = silence(&kept, "add disk-low --host p510 --reason soon --for 8h").unwrap();
        assert_eq!(
            list(&all, now()),
            "boot-low  p510  until 2099-12-31: small on purpose (hosts.toml)\n\
             disk-low  p510  until 2026-11-21 20:00 UTC: soon\n"
        );
        let json: serde_json::Value = serde_json::from_str(&json(&all, now())).unwrap();
        assert_eq!((&json[1]["code"], &json[1]["origin"]), (&"disk-low".into(), &"state".into()));
        assert_eq!((&json[0]["until"], &json[1]["is_over"]), (&"2099-12-31".into(), &false.into()));
        assert_eq!(silence(&kept, "end disk-low --host p510").unwrap().len(), 1);
        let why = silence(&kept, "end disk-low --host p510").unwrap_err();
        assert!(why.contains("nothing is silenced here"), "{why}");
        let why = silence(&kept, "end boot-low --host p510").unwrap_err();
        assert!(why.contains("does not write that file"), "{why}");
    }

    #[test]
    fn one_until_it_changes_knows_what_the_finding_says_now() {
        let state = tempfile::tempdir().unwrap();
        let kept = KeptSilences::of(state.path(), None);
        let line = "add disk-low --host p510 --reason known --until-it-changes";
        let all = silence(&kept, line).unwrap();
        assert!(all[1].is_about(&found()[0]), "{all:?}");
        let changed = Finding { cause: "none is left".to_owned(), ..found().remove(0) };
        assert!(!all[1].is_about(&changed));
        let until = "until it changes, 2027-02-19 12:00 UTC at the latest: known";
        assert!(list(&all, now()).contains(until), "{}", list(&all, now()));
        for (line, says) in [
            ("add boot-low --host p510 --reason x --until-it-changes", "nixdash status"),
            ("add units-failed --host p510 --reason x --until-it-changes", "do not agree about"),
            ("add disk-low --host p510 --reason x --until-it-changes --for 1h", "cannot be used"),
        ] {
            let why = silence(&kept, line).unwrap_err();
            assert!(why.contains(says), "{line}: {why}");
        }
    }

    #[test]
    fn what_is_not_there_and_what_lies_behind_is_refused_with_what_to_write() {
        let state = tempfile::tempdir().unwrap();
        let kept = KeptSilences::of(state.path(), None);
        for (line, says) in [
            ("add disk-low --host p51 --reason x --for 1h", "names no host \"p51\"; it names p510"),
            ("add disk-low --tier weed --reason x --for 1h", "it names none"),
            ("add disk-low --reason x --for 1h", "--host"),
            ("add disk-low --host p510 --reason x", "--for"),
            ("add no-code --host p510 --reason x --for 1h", "nixdash findings"),
            ("add disk-low --host p510 --reason x --until 2026-11-20", "--for 8h"),
        ] {
            let why = silence(&kept, line).unwrap_err();
            assert!(why.contains(says), "{line}: {why}");
        }
        assert_eq!(kept.all().unwrap(), []);
    }
}
