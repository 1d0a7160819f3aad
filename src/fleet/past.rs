//! What happened to hosts and tiers, as the history tells it.

use crate::fleet::{Outcome, OverTimeOf, RunId, Severity, duration};
use jiff::Timestamp;
use std::time::Duration;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastEvent {
    /// When it happened, or began.
    pub at: Timestamp,
    /// What happened.
    pub what: PastWhat,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PastWhat {
    /// Something was wrong.
    Trouble {
        /// With what.
        of: OverTimeOf,
        /// Which host saw a tier so; none where it is about the tier itself, or about a host.
        on_host: Option<String>,
        /// The code of the finding; one of another version may be unknown here.
        code: String,
        /// How bad it was.
        severity: Severity,
        /// What it was, in a few words.
        words: String,
        /// What was observed when it began.
        cause: String,
        /// How it ended.
        end: TroubleEnd,
    },
    /// A host restarted.
    Restart {
        /// The host.
        host: String,
    },
    /// A host ran another system than before, and no run of this machine had brought it.
    OtherSystem {
        /// The host.
        host: String,
        /// The store path of the system.
        running: String,
        /// The generation of that system, where it was the newest one then.
        generation: Option<u64>,
        /// The version of NixOS.
        version: Option<String>,
        /// The store path of the system before.
        before: String,
        /// When that was seen last.
        seen_at: Timestamp,
    },
    /// A run began.
    Run {
        /// The run.
        run: RunId,
        /// What was asked for.
        title: String,
        /// How each of its hosts ended; none for one that has not.
        hosts: Vec<(String, Option<Outcome>)>,
        /// When it ended; none while it goes on, or when its process died.
        ended_at: Option<Timestamp>,
    },
}

/// How a trouble ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleEnd {
    /// It goes on.
    GoesOn,
    /// Nobody looked since then.
    NotSeenSince(Timestamp),
    /// Then a probe did not find it any more.
    At(Timestamp),
    /// Between these times, in which nobody looked.
    Between(Timestamp, Timestamp),
}

impl PastEvent {
    /// Returns when it ended: of what ended while nobody looked, when it was found to be over.
    pub fn ended_at(&self) -> Option<Timestamp> {
        match &self.what {
            PastWhat::Trouble { end: TroubleEnd::At(at) | TroubleEnd::Between(_, at), .. } => {
                Some(*at)
            }
            PastWhat::Trouble { end: TroubleEnd::GoesOn | TroubleEnd::NotSeenSince(_), .. } => None,
            PastWhat::Restart { .. } | PastWhat::OtherSystem { .. } => Some(self.at),
            PastWhat::Run { ended_at, .. } => *ended_at,
        }
    }

    /// Returns how long it lasted: `3 min 10 s`, `goes on`, `not seen since 4 h`; nothing for what
    /// takes no time, or of a run without an end.
    pub fn lasted(&self, now: Timestamp) -> Option<String> {
        let between = |from: Timestamp, until: Timestamp| {
            let time: Duration = until.duration_since(from).try_into().unwrap_or_default();
            duration(time)
        };
        match &self.what {
            PastWhat::Trouble { end, .. } => Some(match end {
                TroubleEnd::GoesOn => format!("{} so far", between(self.at, now)),
                TroubleEnd::NotSeenSince(seen) => {
                    format!("at least {}", between(self.at, *seen))
                }
                TroubleEnd::At(at) => between(self.at, *at),
                TroubleEnd::Between(seen, at) if *seen <= self.at => {
                    format!("at most {}", between(self.at, *at))
                }
                TroubleEnd::Between(seen, _) => format!("at least {}", between(self.at, *seen)),
            }),
            PastWhat::Restart { .. } | PastWhat::OtherSystem { .. } => None,
            PastWhat::Run { ended_at, .. } => ended_at.map(|at| between(self.at, at)),
        }
    }

    /// Returns of what it is told: a host, a tier and the host that sees it so, a run.
    pub fn about(&self) -> String {
        match &self.what {
            PastWhat::Trouble { of: OverTimeOf::Host(name), .. } => name.clone(),
            PastWhat::Trouble { of: OverTimeOf::Tier(name), on_host: None, .. } => {
                format!("{name} (cache)")
            }
            PastWhat::Trouble { of: OverTimeOf::Tier(name), on_host: Some(host), .. } => {
                format!("{name} on {host}")
            }
            PastWhat::Restart { host } | PastWhat::OtherSystem { host, .. } => host.clone(),
            PastWhat::Run { hosts, .. } => match hosts.as_slice() {
                [(host, _)] => host.clone(),
                hosts => format!("{} hosts", hosts.len()),
            },
        }
    }

    /// Returns what happened as one sentence.
    pub fn sentence(&self) -> String {
        match &self.what {
            PastWhat::Trouble { words, cause, .. } if cause.is_empty() => words.clone(),
            // The name stands beside the sentence already.
            PastWhat::Trouble { of, words, cause, .. } => {
                let cause = cause
                    .strip_prefix(of.name())
                    .and_then(|rest| rest.strip_prefix(": "))
                    .unwrap_or(cause);
                format!("{words}: {cause}")
            }
            PastWhat::Restart { .. } => "restarted".to_owned(),
            PastWhat::OtherSystem { generation, version, .. } => {
                let generation = generation.map(|number| format!("generation {number}"));
                let known: Vec<String> = generation.into_iter().chain(version.clone()).collect();
                let known = if known.is_empty() {
                    String::new()
                } else {
                    format!(": {}", known.join(", "))
                };
                format!("other system, not deployed by nixdash here{known}")
            }
            PastWhat::Run { run, title, hosts, ended_at } => {
                let how = match hosts.as_slice() {
                    [(_, Some(outcome))] => outcome.spoken(),
                    _ if ended_at.is_none() => "no end".to_owned(),
                    hosts => counted(hosts),
                };
                format!("run #{run} {title}: {how}")
            }
        }
    }
}

/// Returns how many hosts ended how, in the order in which the first of each did.
fn counted(hosts: &[(String, Option<Outcome>)]) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for (_, outcome) in hosts {
        let word = outcome.map_or_else(|| "no end".to_owned(), Outcome::spoken);
        match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => counts.push((word, 1)),
        }
    }
    let words: Vec<String> =
        counts.into_iter().map(|(word, count)| format!("{count} {word}")).collect();
    words.join(", ")
}
