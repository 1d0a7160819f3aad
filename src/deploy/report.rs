//! What the phases tell the machine.

use crate::fleet::words::hosts::read_journal;
use crate::fleet::{
    Code, DeployFacts, DeployedFrom, Fetched, Finding, HostResult, Outcome, PlannedChanges, Route,
    RunId, StorePath, Subject, TakenRoute, printable_line,
};
use crate::probe::SystemParts;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Why a host's run ended as it did: for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What kind of thing happened; nobody reads the text to learn that.
    pub code: Code,
    /// What happened and what to do, printable.
    pub text: String,
    /// What to do, where more is known of that than the advice of the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// By what it is seen later whether something that was wrong with a host is wrong no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeenBy {
    /// A look at its units and checks.
    Look,
    /// What it was started with.
    Start,
    /// Nothing that can be looked at: it counts as wrong still.
    Nothing,
}

impl Reason {
    /// Makes a reason.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), fix: None }
    }

    /// Says that units failed, and how to read the journal of the first.
    pub fn units_failed(text: String, first: &str) -> Self {
        let fix = Some(read_journal(first));
        Self { fix, ..Self::new(Code::UnitsFailed, text) }
    }

    /// Tells all that is wrong in one reason: what is to be done is what the first says. Nothing where nothing is.
    pub fn of_all(begin: &str, all: Vec<Self>, between: &str) -> Option<Self> {
        let told: Vec<&str> = all.iter().map(|reason| reason.text.as_str()).collect();
        let text = format!("{begin}{}", told.join(between));
        all.into_iter().next().map(|first| Self { text, ..first })
    }

    /// Returns what was wrong with a host that ended so, the worst first; nothing where the result does not say it.
    pub fn of_result(result: &HostResult) -> Option<Self> {
        // An older nixdash wrote no findings.
        let of_older = || Some(Self::new(Code::SystemUnexpected, result.error.clone()?));
        result.findings.first().map(Self::of_finding).or_else(of_older)
    }

    /// Returns what a finding says.
    pub fn of_finding(found: &Finding) -> Self {
        Self { code: found.code, text: found.cause.clone(), fix: Some(found.fix.clone()) }
    }

    /// Returns whether it says what is wrong with the system that a host was to run, and runs.
    pub fn is_of_what_runs(&self) -> bool {
        matches!(self.code, Code::UnitsFailed | Code::UserUnitsFailed | Code::CheckFailed)
    }

    /// Returns by what it is seen later whether this is wrong no more.
    pub(super) fn seen_by(&self) -> SeenBy {
        match self.code {
            Code::CheckFailed | Code::UnitsFailed | Code::SystemDegraded => SeenBy::Look,
            Code::NotRestarted | Code::OtherSystemStarted => SeenBy::Start,
            _ => SeenBy::Nothing,
        }
    }

    /// Returns the finding about a host that it is.
    pub fn finding(&self, host: &str) -> Finding {
        let fix = self.fix.clone().unwrap_or_else(|| self.code.fix_on(host));
        Finding::new(Subject::host(host), self.code, &self.text, &fix)
    }

    /// Returns what to do about it, as a clause.
    pub fn fix(&self) -> String {
        self.fix.clone().unwrap_or_else(|| self.code.fix())
    }

    /// Returns the word that lets a supervisor go back for this reason: `abort CODE TEXT`.
    pub fn abort_word(&self) -> String {
        format!("abort {} {}", self.code, printable_line(&self.text))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.text, self.code)
    }
}

/// Says that a new system lacks the specialisation that its host runs, and that nothing was activated.
pub(super) fn lacks_specialisation(host: &str, name: &str) -> Failure {
    let text = format!(
        "{host} runs the specialisation {name}, which the new system does not have, so nothing was activated; add it \
         to the configuration of {host}, or deploy with --without-specialisation, which activates the system itself"
    );
    Failure::failed(Code::SpecialisationMissing, text)
}

/// Why a phase ended a host's run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// How the host's run ends.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
}

impl Failure {
    /// Makes a failure before anything was activated.
    pub fn failed(code: Code, text: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed, reason: Reason::new(code, text) }
    }

    /// Says that a host is left alone, since hosts.toml says that nothing is changed there.
    pub fn of_read_only(host: &str) -> Self {
        let text = format!("{host}: hosts.toml says read_only = true, so nothing is changed there");
        Self { outcome: Outcome::Skipped, reason: Reason::new(Code::HostReadOnly, text) }
    }

    /// Returns whether it says that.
    pub fn is_of_read_only(&self) -> bool {
        self.reason.code == Code::HostReadOnly
    }

    /// Returns whether it says that the cache is at fault, so that another way may help.
    pub fn is_of_tier(&self) -> bool {
        self.outcome == Outcome::Failed
            && matches!(
                self.reason.code,
                Code::NotReached
                    | Code::PathMissing
                    | Code::AccessDenied
                    | Code::RateLimited
                    | Code::ServerFailing
                    | Code::RedirectRefused
                    | Code::AnswerUnexpected
            )
    }
}

/// A way that was chosen for a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChosenRoute {
    /// The way.
    pub route: Route,
    /// Why, in one sentence without a full stop.
    pub why: String,
}

/// What preflight saw of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preflight {
    /// The running system.
    pub running: Option<StorePath>,
    /// The system that it was started with.
    pub booted: Option<StorePath>,
    /// What only a restart replaces of that, or of the running one where it was started with none.
    #[serde(default)]
    pub started: SystemParts,
    /// The newest generation of the profile.
    pub profile: Option<StorePath>,
    /// The kernel's boot id.
    pub boot_id: String,
    /// The addresses that answered.
    pub answering: Vec<String>,
    /// The machine that built the system which was confirmed last, as the host remembers it.
    pub built_on: Option<String>,
    /// What is known there of deploys: the specialisation that runs, and what it was built from.
    pub deploys: Box<DeployFacts>,
    /// Units that had failed before anything was done.
    pub failed_units: BTreeSet<String>,
    /// The charge of its battery in percent, where it runs on that.
    pub on_battery: Option<u64>,
    /// By which way it gets its system, where that was chosen now.
    pub chosen: Option<ChosenRoute>,
    /// What is still wrong with the host, where an earlier run or attempt left it degraded on this system.
    #[serde(default)]
    pub unwell: Option<Reason>,
    /// What the person should know before saying yes.
    pub notes: Vec<Reason>,
    /// The newest systems of its profile: each was confirmed there once.
    pub confirmed: Vec<StorePath>,
    /// A later run's system for a host that was away: the newest that a person confirmed for it.
    pub newest: Option<NewestSystem>,
    /// What the system to come is built from, where that is known.
    #[serde(default)]
    pub source: Option<DeployedFrom>,
}

/// A system that a person confirmed for a host in a later run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewestSystem {
    /// The run.
    pub run: RunId,
    /// Its derivation.
    pub drv: String,
    /// The system.
    pub toplevel: StorePath,
    /// What it is built from, where the run says so.
    #[serde(default)]
    pub built_from: Option<DeployedFrom>,
}

/// What is known of a system that a host gets from a later run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaterSystem {
    /// The run.
    pub run: RunId,
    /// What it is built from; none where that run does not say so. What this run's flake says now is something else.
    pub built_from: Option<DeployedFrom>,
}

/// A host that a gate is asked about: one that has its new system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatedHost {
    /// The host.
    pub name: String,
    /// What is known of it.
    pub known: RunFacts,
    /// Whether it may run the system from before its deploy: it starts the new one later, or it ended with another
    /// one than it was to, which its result says.
    pub may_run_before: bool,
    /// The kernel's boot id of the start in which it was activated; none where that is not known.
    pub boot_id: Option<String>,
    /// When its deploy ended, where the boot id is not known and a start since then would be one too many.
    pub ended_at: Option<Timestamp>,
}

/// What a gate says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GateAnswer {
    /// All is well.
    Passed,
    /// Something is wrong: what.
    Failed(String),
    /// The check could not be made: why. That is neither good nor bad.
    NotMade(String),
}

/// How far a host is with claiming its places in budgets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClaimAnswer {
    /// It has them.
    Held,
    /// A budget has no place now.
    Waits {
        /// The budget.
        budget: String,
        /// Who has its places: hosts, where known with whose run.
        taken_by: Vec<String>,
        /// The hosts that do not answer, and so count, where they alone take all of its places.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        silent: Vec<String>,
    },
    /// They cannot be claimed.
    Failed(Failure),
}

impl Preflight {
    /// Returns whether a system runs there, itself or as the specialisation that is kept.
    pub fn runs(&self, system: &StorePath) -> bool {
        self.running.as_ref() == Some(system)
            || self.deploys.specialisation.as_ref().is_some_and(|special| special.system == *system)
    }

    /// Returns whether it was started with another system than this one. One that was started with a specialisation of
    /// it, and runs that, was not.
    pub fn started_another(&self, system: &StorePath) -> bool {
        let Some(booted) = &self.booted else { return false };
        let is_special = self.running.as_ref() == Some(booted) && self.runs(system);
        booted != system && !is_special
    }
}

/// How an activation went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// It runs; the supervisor waits for the acknowledgement.
    Runs(Remarks),
    /// The supervisor has decided already.
    Decided(Ending),
}

/// What is worth knowing of an activation that the supervisor did not refuse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remarks {
    /// Whether switch-to-configuration reported failed units (its exit code 4).
    pub units_failed: bool,
    /// Whether it stopped, started or restarted what carries the network.
    pub network: bool,
    /// Snippets of the activation script that fail in this system and failed in the previous one.
    pub snippets: Vec<String>,
    /// Users whose own units failed.
    pub users: Vec<String>,
}

impl Remarks {
    /// Reads what the supervisor left as `activated`; nothing when the new system does not stay.
    pub fn parse(activated: &str) -> Option<Self> {
        let mut words = activated.split_whitespace();
        let units_failed = words.next()? == "4";
        if words.next() != Some("ok") {
            return None;
        }
        let mut remarks = Self { units_failed, ..Self::default() };
        for word in words {
            match word.split_once('=') {
                Some(("snippet", name)) => remarks.snippets.push(printable_line(name)),
                Some(("user", name)) => remarks.users.push(printable_line(name)),
                Some(_) => {}
                None => remarks.network |= word == "network",
            }
        }
        Some(remarks)
    }

    /// Returns what is wrong with the activated system, as far as this tells.
    pub fn blemish(&self) -> Option<Reason> {
        if self.users.is_empty() {
            let text = "units failed during the activation";
            return self.units_failed.then(|| Reason::new(Code::UnitsFailed, text));
        }
        let users = self.users.join(", ");
        let text = format!(
            "units of {users} failed during the activation; see `systemctl --user --failed` there as that user"
        );
        Some(Reason::new(Code::UserUnitsFailed, text))
    }

    /// Returns what is worth knowing though it is no fault of the new system.
    pub fn note(&self) -> Option<Reason> {
        (!self.snippets.is_empty()).then(|| {
            let text = format!(
                "these snippets of the activation script fail in this system and failed in the previous one: {}",
                self.snippets.join(", ")
            );
            Reason::new(Code::SnippetFailedBefore, text)
        })
    }
}

/// What the supervisor decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The outcome.
    pub outcome: Outcome,
    /// The reason, where there is one.
    pub reason: Option<Reason>,
}

impl Ending {
    /// Adds to how a host ended that a hook failed; what was wrong before stands first.
    pub(super) fn with_failed_hook(self, failed: Reason) -> Self {
        let reason = match self.reason {
            None => failed,
            Some(before) => Reason { text: format!("{}; {}", before.text, failed.text), ..before },
        };
        Self { reason: Some(reason), ..self }
    }
}

/// A unit that failed on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedUnit {
    /// Its name.
    pub name: String,
    /// The last line that it wrote itself; empty where it wrote none.
    pub said: String,
}

impl fmt::Display for FailedUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.said.as_str() {
            "" => f.write_str(&self.name),
            said => write!(f, "{} ({said})", self.name),
        }
    }
}

/// What a phase that ended well found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// Preflight.
    Preflight(Box<Preflight>),
    /// Evaluate.
    Evaluated {
        /// The derivation.
        drv: String,
        /// Its output: the system to come.
        toplevel: StorePath,
    },
    /// Compare.
    Compared {
        /// Derivations to build.
        to_build: Option<u64>,
        /// Paths to download first.
        to_download: Option<u64>,
        /// What will change; none where that could not be found out.
        changes: Option<Box<PlannedChanges>>,
        /// The specialisation that runs and that the new system lacks; none where it has that, or nobody knows yet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lacks_specialisation: Option<String>,
        /// What else the person should know before saying yes, now that it is known which system the host gets.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<Reason>,
    },
    /// Build.
    Built {
        /// Derivations that were built.
        built: u64,
        /// What the host that builds fetched, by tier.
        substituted: BTreeMap<String, Fetched>,
    },
    /// Fetch.
    Fetched {
        /// What came from where.
        fetched: BTreeMap<String, Fetched>,
        /// By which way.
        taken: TakenRoute,
    },
    /// Activate.
    Activated(Activation),
    /// Acknowledge.
    Acknowledged {
        /// The kernel's boot id of the start in which the supervisor works; none where the host did not say that it
        /// does.
        #[serde(default)]
        boot_id: Option<String>,
    },
    /// Check.
    Checked {
        /// Units that failed since preflight.
        new_failed_units: Vec<FailedUnit>,
        /// Configured checks that did not hold.
        broken: Vec<String>,
    },
    /// Settle: these addresses answered before the activation and do not any more.
    AddressesLost(Vec<String>),
    /// Persist.
    Persisted(Ending),
    /// Reboot: what runs after it, and whether that is well.
    Rebooted(Ending),
    /// Any other phase.
    Done,
}

impl Report {
    /// Says that a system is built already. The rest is as in [`Self::Compared`].
    pub(super) fn built_already(
        changes: Option<Box<PlannedChanges>>,
        lacks_specialisation: Option<String>,
    ) -> Self {
        Self::Compared {
            to_build: Some(0),
            to_download: Some(0),
            changes,
            lacks_specialisation,
            notes: Vec::new(),
        }
    }

    /// Returns whether it says how the supervisor of a host left it. The hooks after that have run.
    pub(super) fn is_end(&self) -> bool {
        match self {
            Self::Activated(Activation::Decided(_)) | Self::Persisted(_) => true,
            Self::Activated(Activation::Runs(_))
            | Self::Checked { .. }
            | Self::AddressesLost(_)
            | Self::Preflight(_)
            | Self::Evaluated { .. }
            | Self::Compared { .. }
            | Self::Built { .. }
            | Self::Fetched { .. }
            | Self::Acknowledged { .. }
            | Self::Rebooted(_)
            | Self::Done => false,
        }
    }

    /// Returns whether the phase found nothing wrong with the host.
    pub fn went_well(&self) -> bool {
        match self {
            Self::Activated(Activation::Runs(remarks)) => remarks.blemish().is_none(),
            Self::Checked { new_failed_units, broken } => {
                new_failed_units.is_empty() && broken.is_empty()
            }
            Self::AddressesLost(_) => false,
            // How a host ended is judged by its outcome.
            Self::Preflight(_)
            | Self::Evaluated { .. }
            | Self::Compared { .. }
            | Self::Built { .. }
            | Self::Fetched { .. }
            | Self::Activated(Activation::Decided(_))
            | Self::Acknowledged { .. }
            | Self::Persisted(_)
            | Self::Rebooted(_)
            | Self::Done => true,
        }
    }
}

/// What is known of a host's run; grows from phase to phase and goes with every command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFacts {
    /// Which attempt of the run it is, from 1.
    pub attempt: u32,
    /// Whether the host was away when it was tried last.
    pub was_away: bool,
    /// Whether the host has its system already, and a restart is all that is done to it.
    pub only_restarts: bool,
    /// What preflight saw.
    pub preflight: Preflight,
    /// The derivation.
    pub drv: Option<String>,
    /// The system to come.
    pub toplevel: Option<StorePath>,
    /// The later run whose system that is, of a host that was away.
    pub later: Option<LaterSystem>,
    /// Derivations to build.
    pub to_build: Option<u64>,
    /// Paths to download first.
    pub to_download: Option<u64>,
    /// What will change; none where that could not be found out.
    pub changes: Option<Box<PlannedChanges>>,
    /// Whether its plan says that it leaves its specialisation, which the new system lacks: who confirms that lets the
    /// system itself be activated.
    pub leaves_specialisation: bool,
    /// Derivations that were built.
    pub built: u64,
    /// What the host that builds fetched, by tier.
    pub substituted: BTreeMap<String, Fetched>,
    /// What the target fetched, by tier.
    pub fetched: BTreeMap<String, Fetched>,
    /// By which way the target got its system.
    pub taken: Option<TakenRoute>,
    /// The kernel's boot id of the start in which it was activated: it may have been restarted since preflight.
    pub activated_in: Option<String>,
    /// What is worth knowing of the activation.
    pub remarks: Remarks,
    /// What is wrong with the activated system, though it stays; or why the host is out.
    pub blemish: Option<Reason>,
    /// Why the supervisor shall go back instead of keeping the system.
    pub abort: Option<Reason>,
}

impl RunFacts {
    /// Returns what was wrong with a host that is only restarted, where its restart does not show whether that is so
    /// still. `runs_checks` says whether its checks are run after the restart.
    pub(in crate::deploy) fn wrong_after_any_restart(&self, runs_checks: bool) -> Option<&Reason> {
        let is_shown = |why: &&Reason| match why.seen_by() {
            SeenBy::Look => why.code != Code::CheckFailed || runs_checks,
            SeenBy::Start => true,
            SeenBy::Nothing => false,
        };
        self.preflight.unwell.as_ref().filter(|why| self.only_restarts && !is_shown(why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_supervisor_left_of_an_activation_is_read() {
        let found = Remarks::parse("4 ok network snippet=setupSecrets user=me").unwrap();
        assert!(found.units_failed && found.network);
        assert_eq!((found.snippets, found.users), (vec!["setupSecrets".into()], vec!["me".into()]));
        assert_eq!(Remarks::parse("0 ok"), Some(Remarks::default()));
        for gone in ["2 back", "100 untouched", "0 boot", ""] {
            assert_eq!(Remarks::parse(gone), None, "{gone}");
        }
    }
}
