//! Who deploys to a host now: what stands in its lock, for a second operator.

use crate::fleet::{RunId, duration, printable_line};
use jiff::Timestamp;
use std::time::Duration;

/// A host whose operator was not heard of for so long has none any more, in seconds.
const SILENT_S: i64 = 15;

/// Who holds the lock of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Owner {
    /// Login name and machine.
    who: String,
    /// The run, on that machine.
    run: String,
    /// The process there, with its start time.
    process: String,
    /// Since when, in seconds since 1970 by the host's clock.
    since: Option<i64>,
    /// Until when at most.
    until: Option<i64>,
    /// What the host's clock says now.
    now: Option<i64>,
    /// When the host was last heard of the operator's nixdash.
    heard: Option<i64>,
}

impl Owner {
    /// Returns what this process writes into a lock.
    pub(super) fn of_this_process(run: &RunId) -> Self {
        let pid = std::process::id();
        Self {
            who: this_person(),
            run: plain(&run.0),
            process: format!("{pid}-{}", started(pid).unwrap_or_default()),
            ..Self::default()
        }
    }

    /// Returns the words of a lock that an operator knows; the host adds the others.
    pub(super) fn to_text(&self) -> String {
        format!("who={} run={} process={}", self.who, self.run, self.process)
    }

    /// Reads a lock; nothing when it names nobody.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut owner = Self::default();
        for (key, value) in text.split_whitespace().filter_map(|word| word.split_once('=')) {
            let number = value.parse().ok();
            match key {
                "who" => owner.who = printable_line(value),
                "run" => owner.run = printable_line(value),
                "process" => owner.process = printable_line(value),
                "since" => owner.since = number,
                "until" => owner.until = number,
                "now" => owner.now = number,
                "heard" => owner.heard = number.filter(|heard| *heard > 0),
                _ => {}
            }
        }
        (!owner.who.is_empty()).then_some(owner)
    }

    /// Returns who it is, since when, for how long at most, and whether they are still there. `now`
    /// stands in for the host's clock where that was not asked.
    pub(super) fn sentence(&self, now: Timestamp) -> String {
        let now = self.now.unwrap_or_else(|| now.as_second());
        let time = |seconds: i64| duration(Duration::from_secs(seconds.max(0).unsigned_abs()));
        let began = self.since.map(|since| format!(" for {}", time(now - since)));
        let is_alive = self.is_alive_here();
        // The limit counts as long as somebody works on it: without an operator the host goes back sooner.
        let until = self.until.filter(|_| is_alive != Some(false));
        let ends = until.map(|until| format!(", and may need {} more", time(until - now)));
        let heard = match (is_alive, self.heard) {
            (Some(true), _) => "; that nixdash still runs".to_owned(),
            (Some(false), _) if self.is_ours() => format!(
                "; that nixdash is gone: `nixdash reattach {}` goes on with it, and without that the host goes \
                 back to its previous system by itself",
                self.run
            ),
            (Some(false), _) => {
                "; that nixdash is gone, so the host goes back to its previous system by itself"
                    .to_owned()
            }
            (None, Some(heard)) if now - heard > SILENT_S => format!(
                "; the last sign of that nixdash was {} ago, so the host may be going back by \
                 itself",
                time(now - heard)
            ),
            (None, Some(heard)) => {
                format!("; the last sign of that nixdash was {} ago", time(now - heard))
            }
            (None, None) => String::new(),
        };
        format!(
            "{} has been deploying to it with run {}{}{}{heard}",
            self.who,
            self.run,
            began.unwrap_or_default(),
            ends.unwrap_or_default()
        )
    }

    /// Returns whether it is a run of this person on this machine.
    fn is_ours(&self) -> bool {
        self.who == this_person()
    }

    /// Returns whether the process still runs; nothing when it is one of another machine.
    fn is_alive_here(&self) -> Option<bool> {
        let (_, machine) = self.who.split_once('@')?;
        if machine != this_machine() {
            return None;
        }
        let (pid, start) = self.process.split_once('-')?;
        let pid = pid.parse().ok()?;
        Some(started(pid).is_some_and(|found| found == start))
    }
}

/// Returns whose process this is: login name and machine.
pub(super) fn this_person() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let user = user.unwrap_or_else(|_| user_number());
    format!("{}@{}", plain(&user), this_machine())
}

/// Returns who this process belongs to, where the environment does not say.
fn user_number() -> String {
    use std::os::unix::fs::MetadataExt;
    match std::fs::metadata("/proc/self").map(|data| data.uid()) {
        Ok(0) => "root".to_owned(),
        Ok(number) => format!("user-{number}"),
        Err(_) => "somebody".to_owned(),
    }
}

/// Keeps what a name is made of.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect()
}

/// Returns this machine's name.
fn this_machine() -> String {
    plain(&std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default())
}

/// Returns when a process started, in the kernel's ticks.
fn started(pid: u32) -> Option<String> {
    crate::record::ProcessStat::of_living(pid).map(|stat| stat.started.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_operator_is_told_who_since_when_and_for_how_long() {
        let text = "who=me@desk run=41 process=7-8 unit=nixdash-x dir=/x since=100 until=400 now=160 heard=158";
        assert_eq!(
            Owner::parse(text).unwrap().sentence(Timestamp::UNIX_EPOCH),
            "me@desk has been deploying to it with run 41 for 1 min 00 s, and may need 4 min 00 s more; the last sign of that nixdash was 2.0 s ago"
        );
    }

    #[test]
    fn an_operator_that_is_not_heard_of_any_more_is_told_so() {
        let text = "who=me@desk run=41 since=100 until=400 now=160 heard=110";
        let said = Owner::parse(text).unwrap().sentence(Timestamp::UNIX_EPOCH);
        assert!(said.contains("the last sign of that nixdash was 50 s ago"), "{said}");
    }

    #[test]
    fn a_process_of_this_machine_is_looked_up() {
        let run = RunId("3".to_owned());
        let said = Owner::of_this_process(&run).sentence(Timestamp::UNIX_EPOCH);
        assert!(said.ends_with("that nixdash still runs"), "{said}");
        let gone = Owner { process: "1-1".to_owned(), ..Owner::of_this_process(&run) };
        let gone = Owner { since: Some(100), until: Some(2154), now: Some(101), ..gone };
        let said = gone.sentence(Timestamp::UNIX_EPOCH);
        assert!(said.contains("is gone: `nixdash reattach 3` goes on with it"), "{said}");
        assert!(!said.contains("may need"), "nobody works for so long any more: {said}");
        let other = Owner { who: format!("somebody-else@{}", this_machine()), ..gone };
        let said = other.sentence(Timestamp::UNIX_EPOCH);
        assert!(said.contains("is gone, so") && !said.contains("reattach"), "{said}");
    }

    #[test]
    fn a_lock_that_names_nobody_is_nobody() {
        assert_eq!(Owner::parse(""), None);
        assert_eq!(Owner::parse("unit=x since=soon"), None);
    }
}
