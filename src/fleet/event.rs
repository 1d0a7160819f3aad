//! The one type of everything that happens.
//!
//! Probes and deploys send events; the screen and the command line fold them. A recorded list of
//! events replays to the same screen.

use crate::fleet::{
    Alarms, AskedOfHost, BuildTag, CoverageFacts, Finding, HostBuilds, HostFacts, HostResult,
    LineColours, NextFacts, Outcome, Phase, PhaseState, Plan, Progress, RemoteCommand, RolloutNews,
    RunId, RunOptions, StoreFacts, TierFacts, UsualTimes, Wait,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Something that was measured or that happened.
#[expect(clippy::large_enum_variant, reason = "nearly all events are those of a run")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    /// A host is being asked now.
    Asking {
        /// The host.
        host: String,
    },
    /// A probe of a host ended.
    Host {
        /// The host.
        host: String,
        /// What it found; of a host that did not answer, the last known figures.
        facts: Box<HostFacts>,
    },
    /// A host's store was counted.
    Store {
        /// The host.
        host: String,
        /// What was counted.
        facts: StoreFacts,
    },
    /// A probe of a tier ended.
    Tier {
        /// The tier.
        tier: String,
        /// What it found.
        facts: Box<TierFacts>,
    },
    /// The tiers were asked for a host's running closure.
    Coverage {
        /// The host.
        host: String,
        /// Their answers.
        facts: CoverageFacts,
    },
    /// It was looked at what a host runs next.
    Next {
        /// The host.
        host: String,
        /// What was found; without a system when nothing is known to come.
        facts: Box<NextFacts>,
    },
    /// Something happened in a run.
    Run(RunEvent),
}

impl Event {
    /// Marks the findings in it that are silenced now.
    pub fn silence(&mut self, alarms: &Alarms, now: Timestamp) {
        match self {
            Self::Host { facts, .. } => alarms.silence_host(facts, now),
            Self::Tier { facts, .. } => alarms.silence_tier(facts, now),
            Self::Asking { .. }
            | Self::Store { .. }
            | Self::Coverage { .. }
            | Self::Next { .. }
            | Self::Run(_) => {}
        }
    }
}

/// Returns whether a number is left out of JSON.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEvent {
    /// The run.
    pub run: RunId,
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: RunWhat,
}

/// What a log line was made of: a line that a job printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFrom {
    /// The job's stream, such as `build`.
    pub stream: Arc<str>,
    /// At which byte of the stream that line begins.
    pub offset: u64,
    /// Which of the log lines that were made of it this is; the first is 1.
    pub lines: u32,
}

/// Why log lines of a run are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropReason {
    /// The output was read more slowly than lines came; the run's folder has them.
    SlowReader,
    /// The disk took them more slowly than they came; nobody has them.
    SlowDisk,
    /// The disk was full, or refused them; nobody has them.
    DiskFull,
    /// The run's logs grew beyond `max_run_size`; older lines made room for newer ones.
    RunSize,
}

impl DropReason {
    /// Returns the word used in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::SlowReader => "slow-reader",
            Self::SlowDisk => "slow-disk",
            Self::DiskFull => "disk-full",
            Self::RunSize => "run-size",
        }
    }

    /// Returns the reason of a word.
    pub fn of_word(word: &str) -> Option<Self> {
        let all = [Self::SlowReader, Self::SlowDisk, Self::DiskFull, Self::RunSize];
        all.into_iter().find(|reason| reason.word() == word)
    }

    /// Says in one sentence how many log lines, and how many other events, are missing and why.
    pub fn sentence(self, lines: u64, events: u64) -> String {
        let counted = |count: u64, what: &str| match count {
            0 => None,
            1 => Some(format!("1 {what}")),
            count => Some(format!("{count} {what}s")),
        };
        let both = [counted(lines, "log line"), counted(events, "other event")];
        let count = both.into_iter().flatten().collect::<Vec<_>>().join(" and ");
        let were = if lines.saturating_add(events) == 1 { "was" } else { "were" };
        match self {
            Self::SlowReader => format!(
                "{count} {were} left out here, because this output was read too slowly; the run's \
                 folder has every line"
            ),
            Self::SlowDisk => {
                format!("{count} {were} not recorded, because the disk was too slow")
            }
            Self::DiskFull => format!(
                "{count} {were} not recorded, because the disk was full or could not be written"
            ),
            Self::RunSize => format!(
                "{count} {were} removed from the middle of the record, because the run's logs are \
                 bigger than max_run_size in [retention]"
            ),
        }
    }
}

/// What happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum RunWhat {
    /// The run began.
    Begin {
        /// The hosts, in the order of the screen.
        hosts: Vec<String>,
        /// What is asked for, in words: `switch via-cache`.
        title: String,
        /// What a person asked of it beside that; nothing in the records of older runs.
        #[serde(default, skip_serializing_if = "RunOptions::is_empty")]
        options: RunOptions,
        /// What was asked for each host; nothing in the records of older runs.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        asked: BTreeMap<String, AskedOfHost>,
    },
    /// A phase of a host changed its state.
    Phase {
        /// The host.
        host: String,
        /// The phase.
        phase: Phase,
        /// Its state now.
        state: PhaseState,
    },
    /// A phase is further than before.
    Progress {
        /// The host.
        host: String,
        /// The phase.
        phase: Phase,
        /// How far.
        progress: Progress,
    },
    /// A line was logged.
    Log {
        /// The host.
        host: String,
        /// The phase it belongs to.
        phase: Phase,
        /// The line, printable (see [`crate::fleet::printable_line`]).
        line: String,
        /// The build whose output it is; none where it is none, or that is not known.
        #[serde(skip)]
        build: Option<BuildTag>,
        /// Its colours.
        #[serde(skip)]
        colours: LineColours,
        /// What it was made of, where a job of Nix printed it. Only the run's own process knows.
        #[serde(skip)]
        from: Option<LogFrom>,
    },
    /// The run waits for somebody to confirm this plan.
    Plan {
        /// The plan.
        plan: Plan,
        /// Whether an answer is waited for.
        waits: bool,
    },
    /// What the phases usually take on the hosts, as the history tells: what is left is told from it.
    Usual {
        /// In milliseconds, by host.
        hosts: BTreeMap<String, UsualTimes>,
    },
    /// A script is run on a host, for a phase of this or of another host.
    Command {
        /// The host of the run.
        host: String,
        /// The phase.
        phase: Phase,
        /// What is run, and where.
        command: RemoteCommand,
    },
    /// The build for a host is over.
    Builds {
        /// The host.
        host: String,
        /// What it came to.
        #[serde(flatten)]
        builds: HostBuilds,
    },
    /// A host waits for something.
    Waiting {
        /// The host.
        host: String,
        /// For what; none when it goes on.
        wait: Option<Wait>,
        /// The same as a sentence, as it was when this happened.
        reason: Option<String>,
    },
    /// Something happened to how the run moves over its hosts.
    Rollout(RolloutNews),
    /// Log lines are left out here: whoever takes them down was slower than they came.
    Dropped {
        /// How many, of all hosts.
        lines: u64,
        /// How many of each host.
        #[serde(default)]
        hosts: BTreeMap<String, u64>,
        /// How many other events are missing in the run's folder; the history has those that count.
        #[serde(default, skip_serializing_if = "is_zero")]
        events: u64,
        /// Why.
        why: DropReason,
    },
    /// The process that carried the run out had ended, and another one goes on with it.
    Reattached {
        /// When the run was heard of last.
        left_at: Timestamp,
        /// The number of the process that goes on.
        process: u32,
    },
    /// A host is done.
    Result {
        /// The host.
        host: String,
        /// How.
        #[serde(flatten)]
        result: HostResult,
    },
    /// The run is done.
    Summary {
        /// How many hosts ended how.
        outcomes: BTreeMap<Outcome, u64>,
        /// How long the run took, in milliseconds.
        duration_ms: u64,
        /// What went wrong, the first first: that is the headline.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        findings: Vec<Finding>,
    },
}

impl RunWhat {
    /// Returns that a run begins that was asked for nothing but its hosts.
    pub fn begin(hosts: Vec<String>, title: String) -> Self {
        let (options, asked) = (RunOptions::default(), BTreeMap::new());
        Self::Begin { hosts, title, options, asked }
    }

    /// Returns that a line without colours was logged which no job of Nix printed.
    pub fn log(host: String, phase: Phase, line: String) -> Self {
        Self::Log { host, phase, line, build: None, colours: LineColours::default(), from: None }
    }

    /// Returns that a host waits for something, or that it goes on.
    pub fn waiting(host: &str, wait: Option<Wait>, now: Timestamp) -> Self {
        let reason = wait.as_ref().map(|wait| wait.sentence(now));
        Self::Waiting { host: host.to_owned(), wait, reason }
    }

    /// Returns whether this shows that somebody said yes to the run's plan, or nobody was asked: a phase behind it
    /// begins. That hosts skip phases, or have done them already, is told before the answer, too.
    pub fn is_work_after_plan(&self) -> bool {
        matches!(
            self,
            Self::Phase { phase, state: PhaseState::Started, .. } if *phase > Phase::Compare
        )
    }

    /// Returns whether the history keeps this: what else happens in a run lies in the run's folder.
    pub fn is_kept(&self) -> bool {
        match self {
            Self::Begin { .. }
            | Self::Plan { .. }
            | Self::Builds { .. }
            | Self::Result { .. }
            | Self::Dropped { .. }
            | Self::Summary { .. } => true,
            Self::Phase { .. }
            | Self::Progress { .. }
            | Self::Log { .. }
            | Self::Rollout(_)
            | Self::Waiting { .. }
            | Self::Usual { .. }
            | Self::Command { .. }
            | Self::Reattached { .. } => false,
        }
    }

    /// Returns whether this may be left out where events come faster than they are taken down:
    /// log lines and progress are many, everything else is few and tells how the run stands.
    pub fn may_be_dropped(&self) -> bool {
        match self {
            Self::Log { .. } | Self::Progress { .. } => true,
            Self::Begin { .. }
            | Self::Phase { .. }
            | Self::Plan { .. }
            | Self::Builds { .. }
            | Self::Waiting { .. }
            | Self::Rollout(_)
            | Self::Usual { .. }
            | Self::Command { .. }
            | Self::Dropped { .. }
            | Self::Reattached { .. }
            | Self::Result { .. }
            | Self::Summary { .. } => false,
        }
    }
}
