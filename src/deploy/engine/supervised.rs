//! The supervisor on a target, as the engine sees it: starting it, following it, and waiting for what
//! it decides.
//!
//! Whatever happens to the connection or to this program, the supervisor decides alone and leaves
//! its decision in a file; the phases only read it.

use super::account;
use super::activation_log::ActivationLog;
use super::ancestry::source_of;
use super::check;
use super::decision::Decision;
use super::owner::Owner;
use super::resumed;
use super::scripts::SUPERVISE;
use super::step::{PlainLog, Step};
use crate::deploy::words::systems;
use crate::deploy::{Ending, Failure, GivenPlace, GivenSystem, HostSetup, Preflight, Reason};
use crate::fleet::{Code, DeployedFrom, Goal, Outcome, StorePath};
use crate::remote::RemoteError;
use crate::remote::job::{Job, JobKind, JobState, StartFailure};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::time::Duration;
use tokio::time::Instant;

/// How long a host may be away beyond its own time to go back: for the way back, or a restart.
const AWAY: Duration = Duration::from_secs(90);

/// A supervisor that was started.
pub(super) struct Supervised {
    /// Its job.
    pub(super) job: Job,
    /// When its activation was seen to end.
    pub(super) activated_at: Instant,
    /// Whether it was told to keep the new system.
    pub(super) told: ToldToKeep,
}

/// Whether a supervisor was told to keep the new system, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ToldToKeep {
    /// It was not.
    No,
    /// The word was sent, and no answer came.
    Perhaps(Timestamp),
    /// The nixdash that carried the run out ended when the word was due after this time.
    Due(Timestamp),
    /// It answered that it took the word.
    Yes(Timestamp),
}

impl Supervised {
    /// Starts the supervisor of a host. A start that got no answer is asked for again.
    pub(super) async fn start(step: &Step, goal: Goal) -> Result<Self, Failure> {
        let mut job = step.job_to_start(&step.host.name, "activate").await?;
        let args = arguments(step, &job, goal, source_of(step).await.as_ref())?;
        let timeout = step.host.activation.timeout();
        // What still runs may end, and the way back may take as long again, after a held lock.
        let kind = JobKind::Supervisor(3 * timeout + Duration::from_secs(120));
        let started =
            job.start(kind, SUPERVISE, &args, patience(step), &mut PlainLog::new(step)).await;
        match started {
            Ok(()) => {
                let read = step.read_before(&job);
                if read > 0 {
                    job.read_from(read);
                }
                Ok(Self { job, activated_at: Instant::now(), told: ToldToKeep::No })
            }
            Err(StartFailure::Refused(why)) => Err(Failure::failed(Code::JobNotStarted, why)),
            Err(StartFailure::Unknown(error)) => {
                let (_, the_old) = systems(step.host.goes_back());
                Err(not_seen_since(format!(
                    "{}: the connection broke when the activation was to begin, and the host was not \
                     seen since ({}). If it began, the host goes back to {the_old} by \
                     itself. Look at it when it is back",
                    step.host.name, error.cause
                )))
            }
        }
    }

    /// Follows the supervisor until it leaves a result, or ends.
    pub(super) async fn follow(&mut self, step: &Step, awaited: &str) -> Result<JobState, Failure> {
        let mut log = PlainLog::new(step);
        let followed = self.job.follow(awaited, patience(step), &mut log).await;
        followed.map_err(|error| self.not_seen(step, &error))
    }

    /// Follows the supervisor until the system runs, or it ends; begins the connection of the acknowledgement
    /// as soon as the activation has ended.
    pub(super) async fn follow_activation(&mut self, step: &Step) -> Result<JobState, Failure> {
        let mut log = ActivationLog::new(step);
        let followed = self.job.follow("activated", patience(step), &mut log).await;
        followed.map_err(|error| self.not_seen(step, &error))
    }

    /// Says how the host stands, though the supervisor left nothing; nothing while it is at work.
    pub(super) async fn account(&self, step: &Step) -> Result<Option<Ending>, Failure> {
        let found = account::account(step, &self.job, self.told != ToldToKeep::No).await;
        found.map_err(|error| self.not_seen(step, &error))
    }

    /// Follows the supervisor to its end and says what became of the host.
    pub(super) async fn decided(&mut self, step: &Step) -> Result<Ending, Failure> {
        loop {
            let state = self.follow(step, "exit").await?;
            if let Some(decision) = state.outcome.as_deref().and_then(Decision::parse) {
                return Ok(resumed::explained(
                    step,
                    &self.job,
                    decision.ending(&step.host.name, step.host.goes_back()),
                ));
            }
            // It is gone and left no outcome: the host was restarted, or what should have gone
            // back was killed too.
            match self.account(step).await? {
                Some(ending) => return Ok(resumed::explained(step, &self.job, ending)),
                // It still does something.
                None => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        }
    }

    /// Says what is known of a host that is not seen any more.
    pub(super) fn not_seen(&self, step: &Step, error: &RemoteError) -> Failure {
        let name = &step.host.name;
        let seen = self.job.seen_at().map_or_else(|| "its start".to_owned(), clock);
        let cause = &error.cause;
        let (the_new, the_old) = systems(step.host.goes_back());
        let text = match (self.told, &step.known.abort) {
            (ToldToKeep::Yes(told), _) => format!(
                "{name}: told to keep {the_new} at {}; not seen since ({cause}). Look at it when it is back",
                clock(told)
            ),
            (ToldToKeep::Perhaps(told), _) => format!(
                "{name}: the order to keep {the_new} was sent at {}, and no answer came; not seen \
                 since {seen} ({cause}). It keeps {the_new} if the order arrived, else it \
                 goes back by itself. Look at it when it is back",
                clock(told)
            ),
            (ToldToKeep::Due(after), _) => format!(
                "{name}: nixdash ended after {}, when the order to keep {the_new} was due, and may not \
                 have sent it; not seen since {seen} ({cause}). It keeps {the_new} if the order \
                 arrived, else it goes back by itself. Look at it when it is back",
                clock(after)
            ),
            (ToldToKeep::No, Some(why)) => format!(
                "{name}: told to go back ({}); not seen since {seen} ({cause}). Look at it when it is back",
                why.text
            ),
            (ToldToKeep::No, None) => format!(
                "{name}: not seen since {seen}, when it ran {the_new} or was being activated \
                 ({cause}). It was not told to keep it, so it goes back to {the_old} by \
                 itself. Look at it when it is back"
            ),
        };
        not_seen_since(text)
    }
}

/// Returns the failure of a host whose running system is not known.
pub(super) fn not_seen_since(text: String) -> Failure {
    Failure { outcome: Outcome::Unknown, reason: Reason::new(Code::NotSeenSince, text) }
}

/// Returns how long a host may be silent: until it has gone back by itself, whatever it waits for,
/// and some.
pub(super) fn patience(step: &Step) -> Duration {
    let checks = step.config().map_or(0, |host| host.check.len());
    step.host.confirm_timeout + check::limit(checks) + AWAY
}

/// Returns the supervisor's options.
fn arguments(
    step: &Step,
    job: &Job,
    goal: Goal,
    source: Option<&DeployedFrom>,
) -> Result<Vec<String>, Failure> {
    let host = &step.host;
    let checks = check::limit(step.config()?.check.len());
    let settle = |touched_network| host.activation.settle(touched_network).as_secs();
    Ok([
        format!("dir={}", job.dir()),
        format!("toplevel={}", step.toplevel()?),
        format!("action={}", action(goal)),
        format!("ack={}", host.confirm_timeout.as_secs()),
        format!("check={}", checks.as_secs()),
        format!("settle={}", settle(false)),
        format!("settle_network={}", settle(true)),
        format!("activation={}", host.activation.timeout().as_secs()),
        format!("unit={}", job.unit()),
        format!("owner={}", Owner::of_this_process(&step.shared.run).to_text()),
        format!("fetched={}", step.fetch_root()),
        format!("recover={}", if host.activation.may_reboot() { "yes" } else { "no" }),
        format!("connectivity={}", host.activation.connectivity()),
        format!("built_on={}", built_on(host)),
        format!("first={}", if host.first { "yes" } else { "no" }),
        format!("rollback={}", if host.activation.magic_rollback() { "yes" } else { "no" }),
    ]
    .into_iter()
    .chain(seen_before(step, source))
    .collect())
}

/// Returns what a supervisor is asked to do; none is started where nothing is deployed. One that goes to a
/// generation switches to it, and is told its number besides.
fn action(goal: Goal) -> &'static str {
    goal.action_word().unwrap_or_default()
}

/// Returns the supervisor's options about what the plan was made of: what ran then, what is deployed, and where a host
/// goes back to.
fn seen_before(step: &Step, source: Option<&DeployedFrom>) -> impl Iterator<Item = String> {
    let seen = &step.known.preflight;
    let given = step.host.given.as_ref();
    let special = wanted_specialisation(step);
    [
        given.and_then(generation).map(|generation| format!("generation={generation}")),
        special.map(|name| format!("specialisation={name}")),
        seen.running.as_ref().map(|running| format!("seen_running={running}")),
        seen.profile.as_ref().map(|profile| format!("seen_profile={profile}")),
        source.map(|source| format!("revision={}", source.revision)),
        source.and_then(|source| Some(format!("flake={}", source.flake.as_ref()?))),
    ]
    .into_iter()
    .chain(of_way_back(&step.host, step.known.toplevel.as_ref()))
    .flatten()
}

/// Returns the supervisor's options about a way back: that it is one, which system it leaves, and what is made
/// permanent where that is not the system that is activated.
fn of_way_back(host: &HostSetup, toplevel: Option<&StorePath>) -> [Option<String>; 3] {
    let permanent = toplevel.map(|system| host.permanent(system));
    let withdraws = host.way_back.as_ref().and_then(|back| back.withdraws.as_ref());
    [
        host.goes_back().then(|| "back=yes".to_owned()),
        withdraws.map(|system| format!("withdraws={system}")),
        permanent.filter(|it| Some(*it) != toplevel).map(|it| format!("permanent={it}")),
    ]
}

/// Returns which generation the profile goes to, in the supervisor's words; nothing where the system becomes a new one.
fn generation(given: &GivenSystem) -> Option<String> {
    match (given.generation, &given.place) {
        (Some(number), _) => Some(number.to_string()),
        (None, GivenPlace::Kept) => Some("any".to_owned()),
        (
            None,
            GivenPlace::Host
            | GivenPlace::Builder
            | GivenPlace::Tier(_)
            | GivenPlace::Derivation(_),
        ) => None,
    }
}

/// Returns the name of the specialisation that is activated: the one that a host goes back to, else the one that it
/// runs and keeps.
fn specialisation<'a>(
    given: Option<&'a GivenSystem>,
    seen: &'a Preflight,
    is_left: bool,
) -> Option<&'a str> {
    let kept = seen.deploys.specialisation.as_ref().filter(|_| !is_left);
    let goes_back_to = given.and_then(|given| given.specialisation.as_deref());
    goes_back_to.or(kept.map(|special| special.name.as_str()))
}

/// Returns the name of the specialisation that the supervisor of a host is to activate.
fn wanted_specialisation(step: &Step) -> Option<&str> {
    let is_left = step.shared.without_specialisation || step.known.leaves_specialisation;
    specialisation(step.host.given.as_ref(), &step.known.preflight, is_left)
}

/// Returns the name of the specialisation that is activated on a host, and which its new system must have; none where
/// that only starts at the next restart: then it starts as the system itself.
pub(super) fn activated_specialisation(step: &Step) -> Option<&str> {
    match step.host.goal {
        Goal::Switch | Goal::Test | Goal::DryActivate | Goal::Rollback => {
            wanted_specialisation(step)
        }
        Goal::Boot | Goal::Build => None,
    }
}

/// Returns who built a host's system, as it remembers it; nothing where its generations had it.
fn built_on(host: &HostSetup) -> &str {
    match host.given.as_ref().map(|given| &given.place) {
        Some(GivenPlace::Kept) => "",
        Some(
            GivenPlace::Host
            | GivenPlace::Builder
            | GivenPlace::Tier(_)
            | GivenPlace::Derivation(_),
        )
        | None => host.build_on(),
    }
}

/// Returns a time as a clock here shows it.
pub(super) fn clock(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::{Request, WayBack, setup};
    use crate::fleet::{RunOptions, Specialisation};
    use std::collections::BTreeMap;
    use std::path::Path;

    #[test]
    fn a_supervisor_is_told_what_the_profile_of_a_host_is_to_be_that_goes_back() {
        let text = "[fleet]\nflake = \"/f\"\nstrategy = \"direct\"\n[hosts.a]\n";
        let fleet = crate::config::parse(text, Path::new("/f/hosts.toml"), None).unwrap();
        let request = Request {
            hosts: vec!["a".to_owned()],
            goal: Goal::Rollback,
            goals: BTreeMap::new(),
            options: RunOptions::default(),
            allow_protected: Vec::new(),
            asks: false,
            given: BTreeMap::new(),
            set_aside: BTreeMap::new(),
            degraded: BTreeMap::new(),
            reboot: None,
        };
        let mut host = setup(&fleet, &request).unwrap().hosts.remove(0);
        let path = |name: &str| {
            StorePath::from_base_name(&format!("l0znnv1nxsr0ry7gmadkh49s1d0hycgd-{name}")).unwrap()
        };
        let (ran, booted) = (path("ran"), path("booted"));
        assert_eq!(of_way_back(&host, Some(&ran)), [None, None, None]);
        let left = path("new");
        host.way_back =
            Some(WayBack { profile: Some(booted.clone()), withdraws: Some(left.clone()) });
        let withdraws = Some(format!("withdraws={left}"));
        let back = Some("back=yes".to_owned());
        assert_eq!(of_way_back(&host, Some(&booted)), [back.clone(), withdraws.clone(), None]);
        let permanent = Some(format!("permanent={booted}"));
        assert_eq!(of_way_back(&host, Some(&ran)), [back.clone(), withdraws.clone(), permanent]);
        host.goal = Goal::Test;
        assert_eq!(
            of_way_back(&host, Some(&ran)),
            [back, withdraws, None],
            "nothing is made permanent"
        );
    }

    #[test]
    fn a_host_goes_back_to_its_specialisation_though_the_run_left_it() {
        let system = StorePath::parse("/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-old").unwrap();
        let mut seen = Preflight::default();
        let back = GivenSystem {
            specialisation: Some("gaming".to_owned()),
            ..GivenSystem::new(system.clone(), GivenPlace::Kept)
        };
        assert_eq!(specialisation(Some(&back), &seen, true), Some("gaming"));
        seen.deploys.specialisation = Some(Specialisation { system, name: "work".to_owned() });
        assert_eq!(specialisation(Some(&back), &seen, false), Some("gaming"));
        assert_eq!(specialisation(None, &seen, false), Some("work"));
        assert_eq!(specialisation(None, &seen, true), None);
    }

    #[test]
    fn a_system_that_the_host_kept_makes_no_new_generation() {
        let system = StorePath::parse("/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-old").unwrap();
        let kept = GivenSystem::new(system, GivenPlace::Kept);
        assert_eq!(generation(&kept).as_deref(), Some("any"));
        let numbered = GivenSystem { generation: Some(75), ..kept.clone() };
        assert_eq!(generation(&numbered).as_deref(), Some("75"));
        assert_eq!(generation(&GivenSystem { place: GivenPlace::Host, ..kept }), None);
    }

    #[test]
    fn a_supervisor_is_asked_for_an_action_of_switch_to_configuration() {
        for (goal, asked) in [
            (Goal::Switch, "switch"),
            (Goal::Rollback, "switch"),
            (Goal::Boot, "boot"),
            (Goal::Test, "test"),
            (Goal::DryActivate, "dry-activate"),
        ] {
            assert_eq!(action(goal), asked);
        }
    }
}
