//! By which way a host gets its system: chosen in preflight where that is asked for, and changed when the
//! way fails while the run goes on.
//!
//! The host that builds stays the same when a way fails: another cache that holds the whole system comes
//! next, and then the builder copies it straight to the target.

use super::lost::AWAY_LIMIT;
use super::preflight::takes_from;
use super::push_way;
use super::step::Step;
use super::stores;
use super::systems::{foreign_system, system_of};
use super::verify;
use crate::deploy::words::{no_public_key, without_question};
use crate::deploy::{ChosenRoute, Failure, GivenPlace, Preflight, Reason, Report};
use crate::fleet::{
    Code, GivenUpRoute, Host, Outcome, Route, Strategy, TakenRoute, Tier, Wait, duration,
};
use crate::nix::settings::Settings;
use jiff::Timestamp;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::Instant;

/// How often a host waits for a cache that comes back and is gone again.
const AGAIN_AT_MOST: usize = 3;

/// How long to wait before a cache is asked again that may come back.
const AGAIN: Duration = Duration::from_secs(1);

/// By which way a host gets its system now.
#[derive(Clone)]
pub(super) struct WayNow {
    /// The way, and what was given up before.
    taken: TakenRoute,
    /// How often a cache that came back is asked once more.
    again: usize,
}

impl WayNow {
    /// Returns what the job of a fetch by this way is called: each try has its own, since a job is begun once.
    pub(super) fn job_name(&self) -> String {
        match self.taken.given_up.len() + self.again {
            0 => "fetch".to_owned(),
            count => format!("fetch-{}", count + 1),
        }
    }
}

impl Step {
    /// Returns by which way the host gets its system now, and what was given up before.
    pub(super) fn taken(&self) -> TakenRoute {
        self.way_now().taken
    }

    /// Returns by which way the host gets its system now, and how often that was tried.
    pub(super) fn way_now(&self) -> WayNow {
        let ways = self.shared.ways.lock().unwrap_or_else(PoisonError::into_inner);
        ways.get(&self.host.name).cloned().unwrap_or_else(|| {
            let taken = TakenRoute { route: self.host.route.clone(), given_up: Vec::new() };
            WayNow { taken, again: 0 }
        })
    }

    /// Changes the way by which the host gets its system.
    fn set_way(&self, way: WayNow) {
        let mut ways = self.shared.ways.lock().unwrap_or_else(PoisonError::into_inner);
        ways.insert(self.host.name.clone(), way);
    }

    /// Turns to another way, since the one before failed.
    fn turn_to(&self, route: Route, why: Reason) {
        let WayNow { taken: TakenRoute { route: before, mut given_up }, again } = self.way_now();
        given_up.push(GivenUpRoute { route: before, why: why.text, code: Some(why.code) });
        self.set_way(WayNow { taken: TakenRoute { route, given_up }, again });
    }
}

/// Chooses the way where that is asked for, and looks whether the way can be gone: notes go into what
/// preflight found.
pub(super) async fn settle(
    step: &Step,
    found: &mut Preflight,
    settings: &Settings,
) -> Result<(), Failure> {
    let host = step.config()?;
    let route = if step.host.asked == Strategy::Auto {
        let chosen = choose(step, host, found, settings).await?;
        step.log(&format!("goes {}: {}", chosen.route.words(), chosen.why)).await;
        found.chosen.insert(chosen).route.clone()
    } else {
        step.host.route.clone()
    };
    if step.shared.skips_caches {
        found.notes.extend(stores::prepare(step).await?.note.clone());
    }
    let Some(builder) = route.travels().then(|| route.builder(&host.name).to_owned()) else {
        return Ok(());
    };
    found.notes.extend(foreign_system(step, system_of(host, settings), &builder).await?);
    if matches!(route, Route::Push { .. }) {
        found.notes.extend(push_way::prepare(step, &builder).await?.notes.clone());
    }
    Ok(())
}

/// Chooses by which way a host gets its system. A cache that the host does not ask, or whose key it does
/// not trust, is no way: verify would refuse it. A build on the host itself comes last: it takes its time
/// and its battery.
async fn choose(
    step: &Step,
    host: &Host,
    found: &Preflight,
    settings: &Settings,
) -> Result<ChosenRoute, Failure> {
    let fleet = &step.shared.fleet;
    let direct = |why: String| Ok(ChosenRoute { route: Route::Direct, why });
    let battery = found.on_battery.map(|charge| format!("it is on battery, {charge} %"));
    let lasts = battery.as_ref().map(|battery| format!("; {battery}")).unwrap_or_default();
    let builder = match builder_now(step, host, system_of(host, settings)).await {
        Ok(builder) => builder,
        Err(why) => return direct(format!("{why}{lasts}")),
    };
    let saves = battery.map(|battery| format!("{battery}, so that {builder} builds for it"));
    let without_tier = match fleet.tier_of(&builder) {
        None => format!("no cache in hosts.toml serves the store of {builder}"),
        Some(tier) if tier.public_key.is_none() => no_public_key(tier),
        Some(tier) => match usable(step, tier, found, settings).await? {
            Ok(()) => {
                let route = Route::ViaCache { builder: builder.clone(), tier: tier.name.clone() };
                let plain = format!("{builder} builds for it, and tier {} answers it", tier.name);
                return Ok(ChosenRoute { route, why: saves.unwrap_or(plain) });
            }
            Err(why) => without_question(&why).to_owned(),
        },
    };
    match takes_copy(step, &builder).await {
        Ok(()) => {
            let saves = saves.map(|saves| format!("; {saves}")).unwrap_or_default();
            let why = format!("{without_tier}{saves}");
            Ok(ChosenRoute { route: Route::Push { builder }, why })
        }
        Err(failure) if failure.outcome == Outcome::Offline => Err(failure),
        Err(failure) => {
            let why = without_question(&failure.reason.text);
            direct(format!("{without_tier}, and {why}{lasts}"))
        }
    }
}

/// Chooses who builds for a host, and says it: its builder, where that can, else the host itself. How its system
/// would travel does not matter: nothing is deployed.
pub(super) async fn choose_builder(step: &Step) -> Result<Report, Failure> {
    let host = step.config()?;
    let chosen = match builder_now(step, host, host.system.as_deref()).await {
        Ok(builder) => {
            let why = format!("{builder} answers and builds for it");
            ChosenRoute { route: Route::Push { builder }, why }
        }
        Err(why) => ChosenRoute { route: Route::Direct, why },
    };
    let build_on = chosen.route.builder(&host.name);
    step.log(&format!("it is built on {build_on}: {}", chosen.why)).await;
    let found = Preflight { chosen: Some(chosen), ..Preflight::default() };
    Ok(Report::Preflight(Box::new(found)))
}

/// Returns the other host that builds for a host of a system now; the error says why there is none.
async fn builder_now(step: &Step, host: &Host, system: Option<&str>) -> Result<String, String> {
    let name = &host.name;
    let builder = step.shared.fleet.builder_for(host, system);
    let Some(builder) = builder.map(str::to_owned) else {
        return Err("hosts.toml names no builder for it".to_owned());
    };
    if builder == *name {
        return Err("it is the builder".to_owned());
    }
    let systems = step.builds_for(&builder).await.map_err(|why| {
        format!("its builder {builder} does not answer ({})", without_question(&why.to_string()))
    })?;
    match system.filter(|system| !systems.iter().any(|builds| builds == system)) {
        Some(system) => {
            Err(format!("{builder} builds for {}, but {name} is {system}", systems.join(", ")))
        }
        None => Ok(builder),
    }
}

/// Looks whether a host takes what a tier serves, and whether that answers it; the error says why it is of
/// no use now.
async fn usable(
    step: &Step,
    tier: &Tier,
    found: &Preflight,
    settings: &Settings,
) -> Result<Result<(), String>, Failure> {
    match takes_from(step, tier, settings) {
        Ok(()) => verify::is_up(step, tier, found.running.as_ref()).await,
        Err(reason) => Ok(Err(reason.text)),
    }
}

/// Turns to the next way that works after a cache failed: another cache that holds the whole system and
/// that the host trusts, or a copy from the builder; or to the same cache, where that comes back. Fails with
/// the choices that are left.
pub(super) async fn turn(step: &Step, failure: Failure) -> Result<(), Failure> {
    let taken = step.taken();
    let Route::ViaCache { builder, tier: failed } = &taken.route else { return Err(failure) };
    let why = failure.reason.text.clone();
    step.log(&format!("{why}; looking for another way")).await;
    let mut tried = Vec::new();
    for tier in other_tiers(&step.shared.fleet.tiers, &taken) {
        match verify::holds(step, tier).await {
            Ok(()) => {
                step.log(&format!("{} holds the whole system: it comes from there", tier.name))
                    .await;
                let (builder, tier) = (builder.clone(), tier.name.clone());
                step.turn_to(Route::ViaCache { builder, tier }, failure.reason);
                return Ok(());
            }
            Err(other) if other.outcome == Outcome::Offline => return Err(other),
            Err(other) => tried.push(other.reason.text),
        }
    }
    match pushes(step, builder).await {
        Ok(()) => {
            step.log(&format!("{builder} copies it straight to {}", step.host.name)).await;
            step.turn_to(Route::Push { builder: builder.clone() }, failure.reason);
            Ok(())
        }
        Err(no_push) if no_push.outcome == Outcome::Offline => Err(no_push),
        Err(no_push) => {
            tried.push(no_push.reason.text);
            for other in &tried {
                step.log(&format!("not possible: {other}")).await;
            }
            if comes_back(step, failed, &failure).await? {
                return Ok(());
            }
            let name = &step.host.name;
            // What it was given is not built again.
            let or_builds = match step.host.given {
                None => format!(
                    ", or let it build its own system with `nixdash deploy {name} --strategy direct`"
                ),
                Some(_) => String::new(),
            };
            let text = format!(
                "{why}; no other way works: {}. Fix tier {failed} and try {name} again{or_builds}",
                tried.iter().map(|text| without_question(text)).collect::<Vec<_>>().join("; "),
                why = without_question(&why),
            );
            Err(Failure { reason: Reason::new(failure.reason.code, text), ..failure })
        }
    }
}

/// Looks whether the builder can copy this very system to the target; the failure says why not.
async fn pushes(step: &Step, builder: &str) -> Result<(), Failure> {
    let name = &step.host.name;
    if let Some(GivenPlace::Tier(tier)) = step.host.given.as_ref().map(|given| &given.place) {
        let text = format!("only tier {tier} has the system of {name}, and {builder} does not");
        return Err(Failure::failed(Code::PathMissing, text));
    }
    takes_copy(step, builder).await
}

/// Looks whether a copy from the builder reaches the target, signed by a key that it trusts; the failure says why
/// not.
async fn takes_copy(step: &Step, builder: &str) -> Result<(), Failure> {
    let name = &step.host.name;
    if push_way::prepare(step, builder).await?.is_unsigned() {
        let text = format!(
            "{builder} signs what it builds with no key that {name} trusts, so {name} would refuse a copy \
             (sign_key in [hosts.{builder}] names a key to sign with)"
        );
        return Err(Failure::failed(Code::PushUnsigned, text));
    }
    Ok(())
}

/// Waits for a cache that may only be restarting, and that no other way replaces; returns whether it serves the
/// system again.
async fn comes_back(step: &Step, tier: &str, failure: &Failure) -> Result<bool, Failure> {
    let way = step.way_now();
    let Some(tier) = step.shared.fleet.tier(tier) else { return Ok(false) };
    if way.again == AGAIN_AT_MOST || !may_pass(failure) {
        return Ok(false);
    }
    let (began, since) = (Instant::now(), Timestamp::now());
    let until = since.checked_add(AWAY_LIMIT).unwrap_or(Timestamp::MAX);
    let text = format!("no other way works; tier {} is asked again for up to", tier.name);
    step.log(&format!("{text} {}", duration(AWAY_LIMIT))).await;
    let waits = |wait| step.shared.teller.waits(&step.host.name, wait);
    waits(Some(Wait::Cache { tier: tier.name.clone(), since, until }));
    let asking = async {
        loop {
            match verify::check(step, tier).await {
                Ok(()) => break Ok(true),
                Err(other) if other.outcome == Outcome::Offline => break Err(other),
                Err(other) if !may_pass(&other) || began.elapsed() > AWAY_LIMIT => break Ok(false),
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    };
    let answers = step.unless_stopped(asking).await;
    waits(None);
    if answers == Ok(true) {
        step.log(&format!("tier {} answers again", tier.name)).await;
        step.set_way(WayNow { again: way.again + 1, ..way });
    }
    answers
}

/// Returns whether a failure of a cache may be over soon.
fn may_pass(failure: &Failure) -> bool {
    matches!(failure.reason.code, Code::NotReached | Code::ServerFailing | Code::RateLimited)
}

/// Puts why the first way was given up before the failure that ended the last one: what went wrong first is what
/// must be mended. A host that is away, and a job that somebody ended, failed by no way.
pub(super) fn after_given_up(taken: &TakenRoute, last: Failure) -> Failure {
    let is_of_way = last.outcome == Outcome::Failed && last.reason.code != Code::JobEnded;
    let Some(first) = taken.given_up.first().filter(|_| is_of_way) else { return last };
    let text = format!(
        "{}; after that, {} failed too: {}",
        without_question(&first.why),
        taken.route.words(),
        last.reason.text
    );
    Failure { reason: Reason::new(first.code.unwrap_or(last.reason.code), text), ..last }
}

/// Returns the caches that may be turned to, in the order of hosts.toml: those with a key that were not
/// given up yet, and whose kind hosts read by HTTP.
fn other_tiers<'t>(tiers: &'t [Tier], taken: &TakenRoute) -> Vec<&'t Tier> {
    let given_up = taken.given_up.iter().map(|given_up| &given_up.route);
    let used: Vec<&str> = given_up.chain([&taken.route]).filter_map(Route::tier).collect();
    let is_cache = |tier: &&Tier| {
        tier.kind.is_substituter() && tier.public_key.is_some() && tier.url.starts_with("http")
    };
    let is_new = |tier: &&Tier| !used.contains(&tier.name.as_str());
    tiers.iter().filter(is_cache).filter(is_new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::KindName;

    #[test]
    fn only_a_cache_that_is_at_fault_lets_another_way_be_tried() {
        for (code, is_of) in [
            (Code::NotReached, true),
            (Code::ServerFailing, true),
            (Code::PathMissing, true),
            (Code::KeyNotTrusted, false),
            (Code::SignatureInvalid, false),
            (Code::FetchFailed, false),
        ] {
            assert_eq!(Failure::failed(code, "x").is_of_tier(), is_of, "{code}");
        }
        let offline =
            Failure { outcome: Outcome::Offline, ..Failure::failed(Code::NotReached, "x") };
        assert!(!offline.is_of_tier(), "the host itself is away");
    }

    #[test]
    fn what_went_wrong_first_stays_the_headline() {
        let via = Route::ViaCache { builder: "p620".into(), tier: "cache".into() };
        let why = "no answer; is it on?".to_owned();
        let given_up = vec![GivenUpRoute { route: via, why, code: Some(Code::NotReached) }];
        let taken = TakenRoute { route: Route::Push { builder: "p620".into() }, given_up };
        let unsigned = Failure::failed(Code::SignatureMissing, "p620 could not copy it");
        let told = after_given_up(&taken, unsigned.clone()).reason;
        assert_eq!(told.code, Code::NotReached);
        assert_eq!(
            told.text,
            "no answer; after that, push from p620 failed too: p620 could not copy it"
        );
        let offline = Failure { outcome: Outcome::Offline, ..unsigned.clone() };
        assert_eq!(after_given_up(&taken, offline.clone()), offline);
        let ended = Failure::failed(Code::JobEnded, "x");
        assert_eq!(after_given_up(&taken, ended.clone()), ended, "on purpose");
        let first = TakenRoute { given_up: Vec::new(), ..taken };
        assert_eq!(after_given_up(&first, unsigned.clone()), unsigned);
    }

    #[test]
    fn caches_are_turned_to_once_each_and_only_where_they_have_a_key() {
        let key = crate::nix::signature::parse_public_key(
            "x-1:84lYE1B4WYBhgRnr4i3CGQuBrqMejfmimNytE5731+M=",
        )
        .ok();
        let tier = |name: &str, kind: KindName, url: &str, has_key: bool| Tier {
            public_key: key.clone().filter(|_| has_key),
            ..Tier::new(name, kind, url)
        };
        let tiers = [
            tier("p620", KindName::NixServe, "http://p620", true),
            tier("bare", KindName::Http, "http://bare", false),
            tier("bucket", KindName::S3, "s3://bucket", true),
            tier("one", KindName::Http, "http://one", true),
            tier("two", KindName::Attic, "https://two", true),
        ];
        let via = |tier: &str| Route::ViaCache { builder: "p620".into(), tier: tier.into() };
        let names = |taken: &TakenRoute| {
            other_tiers(&tiers, taken).iter().map(|tier| tier.name.clone()).collect::<Vec<_>>()
        };
        let first = TakenRoute { route: via("p620"), given_up: Vec::new() };
        assert_eq!(names(&first), ["one", "two"]);
        let given_up = vec![GivenUpRoute { route: via("p620"), why: "down".into(), code: None }];
        assert_eq!(names(&TakenRoute { route: via("one"), given_up }), ["two"]);
    }
}
