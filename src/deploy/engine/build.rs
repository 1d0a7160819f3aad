//! Compare and build: what realising the system takes, and doing it, on the host that builds.

use super::ancestry::source_of;
use super::changes::UnbuiltSystem;
use super::ear::NixEar;
use super::fetch::{by_tier, why};
use super::lost::{AWAY_LIMIT, DRY_RUN_LIMIT, TOOK_TOO_LONG, lost, through_restarts};
use super::owner::this_person;
use super::scripts::{BUILD, COMPARE, ROOT};
use super::step::Step;
use super::stores::{self, is_here};
use super::supervised::activated_specialisation;
use super::{build_log, changes, edges, evaluate, given, wake};
use crate::deploy::words::{again_after_restart, ended_from_outside};
use crate::deploy::{Failure, Report};
use crate::fleet::{Code, DeployedFrom, RunWhat, bytes, duration, printable_line};
use crate::nix::activity::{ActivityLog, TreeShape, words};
use crate::nix::dry_run;
use crate::remote::job::{Job, JobState};
use crate::remote::{Output, Script};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Less free room than this where it is built and nothing is built, in bytes.
const FREE_NEEDED: u64 = 64 << 20;

/// Asks Nix what building would take; a system that runs and is started already takes nothing. A
/// derivation that is not valid any more where it is to be built is evaluated again.
pub(super) async fn compare(step: &Step) -> Result<Report, Failure> {
    let (toplevel, found) = (step.toplevel()?, &step.known.preflight);
    if [&found.running, &found.profile].iter().all(|system| system.as_ref() == Some(toplevel)) {
        step.log("the running system is the one asked for").await;
        return Ok(Report::built_already(None, None));
    }
    if step.shared.skips_caches && is_here(toplevel).await {
        let refused = stores::refused_from_here(step).await?;
        if refused == 0 {
            step.log("the system is in the store of this machine, and comes from there").await;
            return Ok(Report::built_already(None, lacked_here(step)));
        }
        let host = &step.host.name;
        step.log(&format!(
            "the system is in the store of this machine, and {host} does not take {refused} of its paths from here: \
             no key that {host} trusts signed them"
        ))
        .await;
    }
    if step.known.drv.is_none() {
        return given::compare(step).await;
    }
    let (compared, changes) = tokio::join!(asked(step), changes::of_both(step));
    compared?.report(step, changes).await
}

/// Returns the name of the specialisation that is to be activated and that a system in the store of this machine lacks.
fn lacked_here(step: &Step) -> Option<String> {
    let name = activated_specialisation(step)?;
    let link = Path::new(step.toplevel().ok()?.as_str()).join("specialisation").join(name);
    link.symlink_metadata().is_err().then(|| name.to_owned())
}

/// Asks what building takes; a derivation that is gone is made again.
async fn asked(step: &Step) -> Result<Compared, Failure> {
    let mut compared = ask(step).await?;
    if compared.is_invalid() {
        step.log(&format!(
            "the derivation is not in the store of {} any more",
            step.host.build_on()
        ))
        .await;
        evaluate::evaluate_again(step).await?;
        compared = ask(step).await?;
    }
    Ok(compared)
}

/// What the host that builds said.
struct Compared(Output);

/// Asks the host that builds, and roots the derivation there: from here on it takes as long as somebody thinks
/// about the plan until it is built, and a garbage collection in between would take it. A system that is built
/// already is rooted in the same exchange.
async fn ask(step: &Step) -> Result<Compared, Failure> {
    let builder = step.host.build_on();
    step.shared.note_use(builder);
    let mut script = Script::new(COMPARE).root().limit(Duration::from_secs(120));
    script = script.arg(step.drv()?).arg(step.toplevel()?.as_str()).arg(step.build_root());
    let source = source_of(step).await;
    let remembered =
        |source: DeployedFrom| [source.revision, source.flake.unwrap_or_default(), this_person()];
    let [revision, flake, who] = source.map(remembered).unwrap_or_default();
    script.args.extend([revision, flake, who]);
    if step.shared.skips_caches {
        script.args.extend(stores::prepare(step).await?.arguments());
    }
    let output = wake::run_awake(step, builder, &script).await;
    let output = output.map_err(|failure| step.about_builder(failure))?;
    let compared = Compared(output);
    if let Some(why) = compared.unrooted() {
        // The build says so too, should it matter.
        step.log(&format!("the derivation is not rooted: {}", printable_line(why))).await;
    }
    Ok(compared)
}

impl Compared {
    /// Returns whether the derivation is not there.
    fn is_invalid(&self) -> bool {
        self.0.stdout.lines().any(|line| line == "invalid")
    }

    /// Returns whether the system is there already, and rooted.
    fn is_rooted(&self) -> bool {
        self.0.stdout.lines().any(|line| line == "rooted")
    }

    /// Returns why the derivation could not be rooted; nothing where it is.
    fn unrooted(&self) -> Option<&str> {
        self.0.stdout.lines().find_map(|line| line.strip_prefix("unrooted\t"))
    }

    /// Returns what building takes.
    async fn report(&self, step: &Step, changes: changes::FoundChanges) -> Result<Report, Failure> {
        let free = self.0.stdout.lines().find_map(|line| line.trim().parse::<u64>().ok());
        if let Some(free) = free.filter(|free| *free < FREE_NEEDED) {
            let text = format!(
                "{}: only {} are free below /nix, too little to build {}; make room there with \
                 nix-collect-garbage",
                step.host.build_on(),
                bytes(free),
                step.host.name
            );
            return Err(Failure::failed(Code::DiskLow, text));
        }
        if self.0.code == TOOK_TOO_LONG {
            step.log(&format!(
                "{} did not find out within {} what must be built: one of the caches that it asks does not \
                 answer; the plan goes without",
                step.host.build_on(),
                duration(DRY_RUN_LIMIT)
            ))
            .await;
        }
        let mut found = self.0.is_ok().then(|| dry_run::parse(&self.0.stderr));
        edges::begin(step, found.as_ref().map_or(&[], |found| &found.build));
        if self.is_rooted() {
            step.shared.note_rooted(&step.host.name, step.known.attempt);
        }
        if let Some(found) = found.as_mut().filter(|_| step.shared.skips_caches) {
            let refused = stores::refused(step, &found.fetch).await?;
            found.refuse(refused);
        }
        let unbuilt = UnbuiltSystem::read(&self.0.stdout);
        let lacks_specialisation = changes.lacks(step, &unbuilt);
        let changes = changes::with_dry_run(step, changes, found.as_ref(), &unbuilt).await;
        Ok(Report::Compared {
            to_build: found.as_ref().map(|found| found.to_build),
            to_download: found.as_ref().map(|found| found.to_fetch),
            changes: Some(Box::new(changes)),
            lacks_specialisation,
            notes: Vec::new(),
        })
    }
}

/// Names the build's job.
pub(super) fn job(step: &Step) -> Job {
    step.job(step.host.build_on(), "build")
}

/// Roots a system that is there already, as compare found, unless compare did that; says whether it still
/// was.
async fn root_what_is_there(step: &Step) -> Result<bool, Failure> {
    let known = &step.known;
    if (known.to_build, known.to_download) != (Some(0), Some(0)) {
        return Ok(false);
    }
    if step.shared.is_rooted(&step.host.name, step.known.attempt) {
        return Ok(true);
    }
    let builder = step.host.build_on();
    step.shared.note_use(builder);
    let script = Script::new(ROOT).root().arg(step.toplevel()?.as_str()).arg(step.build_root());
    let output = wake::run_awake(step, builder, &script).await;
    Ok(output.map_err(|failure| step.about_builder(failure))?.is_ok())
}

/// Realises the derivation as a job and roots the result; nothing is begun for one that is there.
pub(super) async fn build(step: &Step) -> Result<Report, Failure> {
    if root_what_is_there(step).await? {
        step.log("it is built already").await;
        return Ok(Report::Built { built: 0, substituted: BTreeMap::new() });
    }
    let again = again_after_restart(step.host.build_on(), "building");
    let (state, mut log) = through_restarts(step, &again, || realise(step)).await?;
    let because = match state.own_exit() {
        Some(0) | None => None,
        Some(_) => because(step, &mut log).await,
    };
    tell(step, &mut log).await;
    match state.own_exit() {
        Some(0) => Ok(Report::Built {
            built: log.built(),
            substituted: by_tier(&step.shared.fleet, log.fetched()),
        }),
        Some(code) => {
            let (code, said) = why(log.failure(), code, Code::BuildFailed);
            let (host, builder) = (&step.host.name, step.host.build_on());
            let hint = other_system(host, builder, &said).unwrap_or_default();
            let because = because.map(|because| format!("; {because}")).unwrap_or_default();
            let text = format!("{host} could not be built on {builder}: {said}{hint}{because}");
            Err(Failure::failed(code, text))
        }
        None => {
            let builder = step.host.build_on();
            let job = format!("the build of {} on {builder}", step.host.name);
            let text = ended_from_outside(&job, builder);
            Err(Failure::failed(Code::JobEnded, text))
        }
    }
}

/// Returns what could not be built because of the derivation that failed; none where nothing else needs it,
/// or that cannot be known.
async fn because(step: &Step, log: &mut ActivityLog) -> Option<String> {
    let failed = log.failure_report()?.drv?;
    edges::tell_whole(step, log).await;
    if log.tree().shape() == TreeShape::Flat {
        step.log(&format!(
            "what else failed because of that is not known: which derivation needs which could not be read on {}",
            step.host.build_on()
        ))
        .await;
    }
    words::chain(log.tree(), &failed)
}

/// Tells what a build came to: people in a sentence, programs in full.
async fn tell(step: &Step, log: &mut ActivityLog) {
    edges::tell(step, log);
    if log.tree().nodes().is_empty() && log.copies().is_empty() {
        return;
    }
    let builds = log.builds_on(step.host.build_on());
    step.log(&words::outcome(&log.totals(), &builds)).await;
    let host = step.host.name.clone();
    step.shared.teller.tell(RunWhat::Builds { host, builds });
}

/// Lets a job realise the derivation; returns how it ended, and what Nix said.
async fn realise(step: &Step) -> Result<(JobState, ActivityLog), Failure> {
    let mut job = step.job_to_start(step.host.build_on(), "build").await?;
    let mut args = vec![step.drv()?.to_owned(), step.build_root()];
    if step.shared.skips_caches {
        if is_here(step.toplevel()?).await {
            stores::copy_from_here(step).await?;
        }
        if stores::prepare(step).await?.signs() {
            // Asked again: what is to come from there may be more than when the plan was made.
            let asked = ask(step).await?;
            stores::sign(step, &dry_run::parse(&asked.0.stderr).fetch).await?;
        }
        args.extend(stores::prepare(step).await?.arguments());
    }
    wake::start_awake(step, &mut job, BUILD, &args)
        .await
        .map_err(|failure| step.about_builder(failure))?;
    let mut lines = NixEar::of_job(step, &mut job, "build").await;
    lines.expect().await;
    let state = job
        .follow("exit", AWAY_LIMIT, &mut lines)
        .await
        .map_err(|error| step.about_builder(lost(&error)))?;
    if state.exit.is_some_and(|code| code != 0) {
        build_log::read_missing(&mut lines).await;
    }
    Ok((state, lines.finish().await))
}

/// Returns what to do where a builder does not build for the system of a host.
fn other_system(host: &str, builder: &str, said: &str) -> Option<String> {
    // Before Nix 2.31, and since.
    let is_other = said.contains("is required to build") && said.contains("but I am a")
        || said.contains("required system or feature not available");
    is_other.then(|| {
        format!(
            "; {builder} builds only for other systems: set boot.binfmt.emulatedSystems there, or let {host} \
             build its own system with strategy = \"direct\""
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_builder_of_another_system_is_told_what_it_lacks() {
        let said = "a 'aarch64-linux' with features {} is required to build '/nix/store/x.drv', but I am a \
                    'x86_64-linux' with features {benchmark}";
        let hint = other_system("pi", "p620", said).unwrap();
        assert!(hint.contains("p620 builds only") && hint.contains("emulatedSystems"), "{hint}");
        assert_eq!(other_system("pi", "p620", "builder failed with exit code 1"), None);
    }
}
