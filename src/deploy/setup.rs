//! What was asked for, checked against the fleet.

use crate::deploy::{Failure, Reason};
use crate::fleet::{
    ActivationSettings, Budget, DeployedFrom, Fleet, Goal, HookMoment, Host, Phase, Rollout,
    RootHosts, Route, RunOptions, StorePath, Strategy,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Names of hosts, in the fleet's order.
    pub hosts: Vec<String>,
    /// What it is for.
    pub goal: Goal,
    /// What it is for on hosts where it is for something else; by host.
    pub goals: BTreeMap<String, Goal>,
    /// What else was asked for.
    pub options: RunOptions,
    /// Protected hosts that may take part.
    pub allow_protected: Vec<String>,
    /// Whether somebody must confirm the plan.
    pub asks: bool,
    /// Systems that hosts are given, instead of those that the flake says; by host.
    pub given: BTreeMap<String, GivenSystem>,
    /// Why hosts are set aside of which it is known before the run that nothing can be done there; by host.
    pub set_aside: BTreeMap<String, Failure>,
    /// How an earlier run left hosts that have their system from it, though something was wrong; by host.
    pub degraded: BTreeMap<String, LeftWrong>,
    /// How long a host may take to restart when its new system is permanent; none: it is not restarted.
    pub reboot: Option<Duration>,
}

/// How an earlier run or attempt left a host that has its system from it, though something was wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftWrong {
    /// What was wrong.
    pub why: Reason,
    /// The units that had failed before the host was changed; none where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_before: Option<BTreeSet<String>>,
}

impl From<Reason> for LeftWrong {
    /// Returns what is known of a host of which only this is known.
    fn from(why: Reason) -> Self {
        Self { why, failed_before: None }
    }
}

/// What a host that goes back is to be again, besides the system that it is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayBack {
    /// What its profile was before the run; none where it had none.
    pub profile: Option<StorePath>,
    /// The system of the run that it leaves by this, which the host remembers; none where it has no other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdraws: Option<StorePath>,
}

/// A system that a host is given, instead of one that its flake says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenSystem {
    /// The system.
    pub toplevel: StorePath,
    /// The generation of the system profile that it is; none: of one that is kept, whichever has it, and of others
    /// a new one.
    pub generation: Option<u64>,
    /// Where it is.
    pub place: GivenPlace,
    /// What it was built from, where an earlier run says so; none: its builder and its host are asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built_from: Option<DeployedFrom>,
    /// The specialisation of it that is activated, where the host goes back to that; none: the one that it runs, if
    /// any, is kept or left as the run says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specialisation: Option<String>,
}

impl GivenSystem {
    /// Makes a system that has no generation yet, and of which nothing else is known.
    pub fn new(toplevel: StorePath, place: GivenPlace) -> Self {
        Self { toplevel, generation: None, place, built_from: None, specialisation: None }
    }
}

/// Where a given system is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GivenPlace {
    /// On the host, where a generation keeps it.
    Kept,
    /// On the host, and nothing may keep it there.
    Host,
    /// On the host that builds.
    Builder,
    /// In a tier, by its name, and neither on the host nor on the one that builds.
    Tier(String),
    /// Nowhere yet: it must be built from this derivation.
    Derivation(String),
}

impl GivenPlace {
    /// Returns whether a phase has nothing to do for a system that is there.
    pub fn makes_needless(&self, phase: Phase) -> bool {
        match phase {
            Phase::Evaluate => true,
            Phase::Build => !matches!(self, Self::Derivation(_)),
            Phase::Publish | Phase::Verify => matches!(self, Self::Kept | Self::Host),
            Phase::Fetch => matches!(self, Self::Kept),
            Phase::Preflight
            | Phase::Compare
            | Phase::Diff
            | Phase::Activate
            | Phase::Acknowledge
            | Phase::Check
            | Phase::Settle
            | Phase::Persist
            | Phase::Reboot => false,
        }
    }
}

/// What is to be done to one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSetup {
    /// The host.
    pub name: String,
    /// What is done to it: the run's goal, unless it goes back.
    pub goal: Goal,
    /// Its tags, which waves, order and budgets go by.
    pub tags: Vec<String>,
    /// The flake of its own that its configuration is in; none where it is in the fleet's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flake: Option<String>,
    /// Who builds for it, and by which way it gets its system.
    pub route: Route,
    /// What was asked for: with [`Strategy::Auto`] the way is chosen again in preflight.
    pub asked: Strategy,
    /// Whether it activates only when every other host is done.
    pub last: bool,
    /// Whether it takes part only since its name was typed: others are tried before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
    /// How long it waits for the acknowledgement.
    pub confirm_timeout: Duration,
    /// How its fresh system is watched.
    pub activation: ActivationSettings,
    /// Whether it may be one on which no system of NixOS runs yet, so that nothing can go back.
    pub first: bool,
    /// A system that it is given; none where its flake says which.
    pub given: Option<GivenSystem>,
    /// Why nothing is done there: that was known before the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<Failure>,
    /// How an earlier run or attempt left it, where that brought it the system, though something was wrong: it is
    /// looked at again where it has that system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degraded: Option<LeftWrong>,
    /// Where it goes back to what it was before the run; none where it gets the system of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way_back: Option<WayBack>,
    /// How long it may take to restart when its new system is permanent; none: it is not restarted.
    pub reboot: Option<Duration>,
    /// The moments at which it has hooks, and how long those may take together.
    pub hooks: BTreeMap<HookMoment, Duration>,
}

impl HostSetup {
    /// Returns the phase that its run begins with. A host for which something is only built need not be there,
    /// so that nothing is looked at first, unless it is chosen then who builds.
    pub fn first_phase(&self) -> Phase {
        if self.goal.deploys() || self.asked == Strategy::Auto {
            Phase::Preflight
        } else {
            Phase::Evaluate
        }
    }

    /// Returns the host that builds for it.
    pub fn build_on(&self) -> &str {
        self.route.builder(&self.name)
    }

    /// Returns whether it is left alone, since hosts.toml says that nothing is changed there.
    pub fn is_read_only(&self) -> bool {
        self.set_aside.as_ref().is_some_and(Failure::is_of_read_only)
    }

    /// Returns whether it goes back to what it was before the run.
    pub fn goes_back(&self) -> bool {
        self.way_back.is_some()
    }

    /// Returns the system that is made permanent when this one runs: this one, but where the host goes back and ran
    /// another system than its profile was.
    pub fn permanent<'a>(&'a self, toplevel: &'a StorePath) -> &'a StorePath {
        let profile = self.way_back.as_ref().and_then(|back| back.profile.as_ref());
        profile.filter(|_| self.goal == Goal::Rollback).unwrap_or(toplevel)
    }

    /// Returns whether its system is what its flake says now: it is given none, and not set aside.
    pub fn is_evaluated(&self) -> bool {
        self.given.is_none() && self.set_aside.is_none()
    }
}

/// A request that fits the fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// What it is for.
    pub goal: Goal,
    /// The strategy to show: the request's, else the fleet's.
    pub strategy: Strategy,
    /// Whether somebody must confirm the plan.
    pub asks: bool,
    /// How many hosts may be in fetch … persist at once.
    pub parallel: usize,
    /// What else was asked for.
    pub options: RunOptions,
    /// How it moves over its hosts.
    pub rollout: Rollout,
    /// How many hosts of a tag may be in flight at once, over all runs.
    pub budgets: Vec<Budget>,
    /// The hosts.
    pub hosts: Vec<HostSetup>,
}

impl Setup {
    /// Returns the hosts on which something runs as root.
    pub fn root_hosts(&self, fleet: &Fleet) -> RootHosts {
        let changing = self.hosts.iter().filter(|host| host.goal.changes());
        let changing: Vec<String> = changing.map(|host| host.name.clone()).collect();
        let taking_part = || self.hosts.iter().filter(|host| !host.is_read_only());
        RootHosts {
            deployed: taking_part().map(|host| host.name.clone()).collect(),
            builders: taking_part().map(|host| host.build_on().to_owned()).collect(),
            asked: fleet.asked_for_budgets(&changing),
        }
    }
}

/// A request that does not fit the fleet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// There is no fleet.
    #[error(
        "there is no hosts.toml; write one (the repository has an example), or name it with --hosts FILE"
    )]
    NoFile,
    /// The fleet has no flake.
    #[error("hosts.toml names no flake; add flake = \"/path/to/flake\" to [fleet]")]
    NoFlake,
    /// The fleet has no builder.
    #[error(
        "the strategy of {host} is {strategy}, but hosts.toml names no builder; add builder = \"NAME\" to [fleet], or use --strategy direct"
    )]
    NoBuilder {
        /// The host.
        host: String,
        /// The strategy that needs one.
        strategy: Strategy,
    },
    /// No tier serves the builder's store.
    #[error(
        "the strategy of {host} is via-cache, but no tier serves the store of the builder {builder}; add a [[tiers]] with host = \"{builder}\", or use --strategy push or --strategy direct"
    )]
    NoTier {
        /// The host.
        host: String,
        /// The builder.
        builder: String,
    },
    /// The tier for publishing has no key to verify with.
    #[error(
        "tier {tier} has no public_key, so nothing that it serves can be verified; add the key to \
         hosts.toml, or use --strategy push or --strategy direct"
    )]
    NoKey {
        /// The tier.
        tier: String,
    },
    /// Caches cannot be left out where hosts pull from one.
    #[error(
        "the strategy of {host} is {strategy}, and --skip-caches is only for hosts that build their own system; add --strategy direct"
    )]
    SkipsCaches {
        /// The host.
        host: String,
        /// How it is deployed.
        strategy: Strategy,
    },
    /// A protected host is selected.
    #[error("{host} is protected; add --allow-protected {host} to deploy it, or leave it out")]
    Protected {
        /// The host.
        host: String,
    },
    /// Nothing is to be changed on a host that was named itself, or on any that is selected.
    #[error(
        "nothing is changed on {host}: hosts.toml says read_only = true; remove that there, or leave the host out"
    )]
    ReadOnly {
        /// The host.
        host: String,
    },
    /// Hosts are to be restarted that would not start with what they get.
    #[error(
        "--reboot restarts a host when its new system is permanent, and {action} makes none permanent; leave --reboot out, or use --action switch or --action boot"
    )]
    NothingToRestart {
        /// What is done to them.
        action: Goal,
    },
    /// Nothing is selected.
    #[error("no host is selected")]
    Nothing,
}

/// Checks a request against the fleet.
pub fn setup(fleet: &Fleet, request: &Request) -> Result<Setup, SetupError> {
    let mut hosts = Vec::new();
    for host in request.hosts.iter().filter_map(|name| fleet.host(name)) {
        let is_set_aside = request.set_aside.contains_key(&host.name);
        let is_evaluated = !is_set_aside && !request.given.contains_key(&host.name);
        if is_evaluated && fleet.flake_of(host).is_none() {
            return Err(if fleet.file.is_some() {
                SetupError::NoFlake
            } else {
                SetupError::NoFile
            });
        }
        let is_left_alone = request.set_aside.get(&host.name).is_some_and(Failure::is_of_read_only);
        if request.goal.deploys() && !is_left_alone {
            if host.read_only {
                return Err(SetupError::ReadOnly { host: host.name.clone() });
            }
            if host.protected && !request.allow_protected.contains(&host.name) {
                return Err(SetupError::Protected { host: host.name.clone() });
            }
        }
        hosts.push(host_setup(fleet, host, request)?);
    }
    let Some(first) = hosts.first() else { return Err(SetupError::Nothing) };
    if request.reboot.is_some() && hosts.iter().all(|host| host.reboot.is_none()) {
        return Err(SetupError::NothingToRestart { action: first.goal });
    }
    let is_one = hosts.iter().all(|host| host.goal == first.goal);
    Ok(Setup {
        goal: if is_one { first.goal } else { request.goal },
        strategy: request.options.strategy.unwrap_or(fleet.strategy),
        asks: request.asks,
        parallel: fleet.rollout.parallel.max(1),
        options: RunOptions {
            reboot_limit_s: request.reboot.map(|limit| limit.as_secs()),
            ..request.options
        },
        rollout: fleet.rollout.clone(),
        budgets: fleet.budgets.clone(),
        hosts,
    })
}

/// Says what is to be done to one host.
fn host_setup(fleet: &Fleet, host: &Host, request: &Request) -> Result<HostSetup, SetupError> {
    let serves = fleet.tiers.iter().any(|tier| tier.host.as_ref() == Some(&host.name));
    let last = serves || fleet.builds(&host.name);
    let route = route(fleet, host, request)?;
    let is_given = request.given.contains_key(&host.name);
    let goal = request.goals.get(&host.name).copied().unwrap_or(request.goal);
    Ok(HostSetup {
        name: host.name.clone(),
        // Where a given system is, is known already: there is nothing to choose.
        asked: if is_given {
            route.strategy()
        } else {
            request.options.strategy.unwrap_or_else(|| fleet.strategy_of(host))
        },
        goal,
        tags: host.tags.clone(),
        flake: host.flake.clone(),
        route,
        last,
        protected: host.protected,
        confirm_timeout: host.confirm_timeout.unwrap_or(fleet.confirm_timeout),
        activation: host.activation.or(&fleet.activation),
        first: request.options.first,
        given: request.given.get(&host.name).cloned(),
        set_aside: request.set_aside.get(&host.name).cloned(),
        degraded: request.degraded.get(&host.name).cloned(),
        way_back: None,
        reboot: request.reboot.filter(|_| goal.persists()),
        hooks: limits_of_hooks(host),
    })
}

/// Returns how long the hooks of each moment may take that a host has, one after the other.
fn limits_of_hooks(host: &Host) -> BTreeMap<HookMoment, Duration> {
    let mut limits = BTreeMap::new();
    for hook in &host.hooks {
        let limit: &mut Duration = limits.entry(hook.moment).or_default();
        *limit = limit.saturating_add(hook.limit);
    }
    limits
}

/// Chooses who builds for a host and by which way it gets its system. The builder itself builds in
/// place: its store is the cache. Where nothing is deployed it does not matter how it would travel.
fn route(fleet: &Fleet, host: &Host, request: &Request) -> Result<Route, SetupError> {
    if request.set_aside.contains_key(&host.name) {
        return Ok(Route::Direct);
    }
    let planned = planned_route(fleet, host, request);
    let place = request.given.get(&host.name).map(|given| &given.place);
    match place {
        // What its generations keep needs nobody: not the builder, not a cache that it trusts.
        Some(GivenPlace::Kept) => Ok(Route::Direct),
        // What is on the host already does not travel.
        Some(GivenPlace::Host) => Ok(planned.unwrap_or(Route::Direct)),
        Some(GivenPlace::Tier(tier)) => {
            let builder = fleet.build_on(host).unwrap_or(&host.name).to_owned();
            Ok(Route::ViaCache { builder, tier: tier.clone() })
        }
        Some(GivenPlace::Builder | GivenPlace::Derivation(_)) | None => planned,
    }
}

/// Chooses the route of a system that is built for this run.
fn planned_route(fleet: &Fleet, host: &Host, request: &Request) -> Result<Route, SetupError> {
    let strategy = request.options.strategy.unwrap_or_else(|| fleet.strategy_of(host));
    if request.options.skip_caches && strategy != Strategy::Direct {
        return Err(SetupError::SkipsCaches { host: host.name.clone(), strategy });
    }
    let builder = match (strategy, fleet.builder_of(host)) {
        (Strategy::Direct, _) | (Strategy::Auto, None) => return Ok(Route::Direct),
        (Strategy::ViaCache | Strategy::Push, None) => {
            return Err(SetupError::NoBuilder { host: host.name.clone(), strategy });
        }
        (Strategy::ViaCache | Strategy::Push | Strategy::Auto, Some(builder)) => builder.to_owned(),
    };
    if builder == host.name {
        return Ok(Route::Direct);
    }
    if strategy == Strategy::Push || !request.goal.deploys() {
        return Ok(Route::Push { builder });
    }
    match (fleet.tier_of(&builder), strategy) {
        (Some(tier), _) if tier.public_key.is_some() => {
            Ok(Route::ViaCache { builder, tier: tier.name.clone() })
        }
        // Chosen in preflight.
        (_, Strategy::Auto) => Ok(Route::Push { builder }),
        (Some(tier), _) => Err(SetupError::NoKey { tier: tier.name.clone() }),
        (None, _) => Err(SetupError::NoTier { host: host.name.clone(), builder }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Returns what is asked of hosts, and nothing besides.
    fn request(hosts: &[&str], goal: Goal) -> Request {
        Request {
            set_aside: BTreeMap::new(),
            degraded: BTreeMap::new(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            goal,
            goals: BTreeMap::new(),
            options: RunOptions::default(),
            allow_protected: Vec::new(),
            asks: false,
            given: BTreeMap::new(),
            reboot: None,
        }
    }

    #[test]
    fn a_host_with_an_action_of_its_own_gets_that_one_and_the_others_what_the_run_is_for() {
        let text = "[fleet]\nflake = \"/f\"\nstrategy = \"direct\"\n[hosts.a]\n[hosts.b]\n";
        let fleet = crate::config::parse(text, Path::new("/f/hosts.toml"), None).unwrap();
        let request = |hosts: &[&str], goals: &[(&str, Goal)]| Request {
            goals: goals.iter().map(|(host, goal)| ((*host).to_owned(), *goal)).collect(),
            reboot: Some(Duration::from_secs(60)),
            ..request(hosts, Goal::Switch)
        };
        let both = setup(&fleet, &request(&["a", "b"], &[("b", Goal::Test)])).unwrap();
        assert_eq!(both.goal, Goal::Switch);
        let [a, b] = &both.hosts[..] else { panic!("{both:?}") };
        assert_eq!((a.goal, a.reboot.is_some()), (Goal::Switch, true));
        assert_eq!(
            (b.goal, b.reboot),
            (Goal::Test, None),
            "what is not permanent is not restarted"
        );
        for action in [Goal::Test, Goal::DryActivate] {
            let refused = setup(&fleet, &request(&["b"], &[("b", action)])).unwrap_err();
            assert_eq!(refused, SetupError::NothingToRestart { action });
        }
        let one = setup(&fleet, &request(&["b"], &[("b", Goal::Boot)])).unwrap();
        assert_eq!(one.goal, Goal::Boot, "the run is for what all of its hosts get");
    }

    #[test]
    fn a_read_only_host_is_built_and_never_deployed() {
        let text = "[fleet]\nflake = \"/f\"\nstrategy = \"direct\"\n[hosts.a]\nread_only = true\n";
        let fleet = crate::config::parse(text, Path::new("/f/hosts.toml"), None).unwrap();
        let request = |goal| request(&["a"], goal);
        assert!(setup(&fleet, &request(Goal::Build)).is_ok());
        for goal in [Goal::Switch, Goal::Boot, Goal::Test, Goal::DryActivate, Goal::Rollback] {
            let refused = setup(&fleet, &request(goal)).unwrap_err();
            assert_eq!(refused, SetupError::ReadOnly { host: "a".to_owned() });
            assert!(refused.to_string().contains("read_only = true"));
        }
    }

    #[test]
    fn a_read_only_host_that_is_set_aside_needs_no_consent_no_builder_and_no_password() {
        let text = "[fleet]\nflake = \"/f\"\nstrategy = \"direct\"\n[hosts.a]\n[hosts.b]\nread_only = true\n\
                    protected = true\nstrategy = \"push\"\n";
        let fleet = crate::config::parse(text, Path::new("/f/hosts.toml"), None).unwrap();
        let request = Request {
            set_aside: [("b".to_owned(), Failure::of_read_only("b"))].into(),
            ..request(&["a", "b"], Goal::Switch)
        };
        let planned = setup(&fleet, &request).unwrap();
        let left: Vec<bool> = planned.hosts.iter().map(HostSetup::is_read_only).collect();
        assert_eq!(left, [false, true]);
        let root = planned.root_hosts(&fleet);
        assert_eq!((root.deployed, root.builders), (vec!["a".to_owned()], vec!["a".to_owned()]));
    }
}
