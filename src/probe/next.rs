//! Coverage of the system that a host runs next.
//!
//! Built already: its closure is listed where it was built, and tiers are asked for it. Not built
//! yet: the graph of its derivation is walked there as Nix's dry run does, in rounds, and tiers are
//! asked for what that comes across. Evaluating is the caller's: nothing here takes long enough
//! to keep a machine busy.

use crate::fleet::{
    ClosurePath, CoverageFacts, Fetched, Fleet, Host, NextCoverage, NextFacts, StorePath, Tier,
};
use crate::nix::derivation::{Derivation, Walk};
use crate::probe::answers::Answers;
use crate::probe::asking::Tools;
use crate::probe::checks::held::is_upper_bound;
use crate::probe::coverage::{HostClosure, add_coverage, ask_all, lock, measure_unless};
use crate::probe::on_host::{host_verdicts, look, remember, views};
use crate::probe::store::{self, Closure};
use crate::remote::{Output, RemoteError, Script, ScriptRunner, Trouble};
use futures_util::future::join_all;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

/// Lists systems that were built and not deployed yet.
const NEXT: &str = include_str!("scripts/next.sh");

/// Prints the beginnings of derivations.
const DERIVATIONS: &str = include_str!("scripts/derivations.sh");

/// Says which paths are not valid.
const INVALID: &str = include_str!("scripts/invalid.sh");

/// How long one script may take on a slow disk.
const LIMIT: Duration = Duration::from_secs(30);

/// How long it may take to list what was built.
const LIST_LIMIT: Duration = Duration::from_secs(10);

/// Most derivations that are read: those of a large system down to its first compiler. Whoever
/// must build more than that has lost a cache, and no count helps.
const MOST_READ: usize = 20_000;

/// How many derivations are named.
const NAMED: usize = 10;

/// The system that a host runs next, as far as it is known before it is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextSystem {
    /// The host.
    pub host: String,
    /// The host that builds it: its store is looked at.
    pub build_on: String,
    /// The system.
    pub toplevel: StorePath,
    /// Its derivation, valid where it is built; none of a system that is built already.
    pub drv: Option<StorePath>,
    /// When it was evaluated or built.
    pub known_at: Timestamp,
}

impl NextSystem {
    /// Returns the facts of a system that could not be looked at.
    pub(super) fn failed(&self, error: String) -> NextFacts {
        NextFacts { error: Some(error), ..self.facts() }
    }

    /// Returns what is known without a look.
    fn facts(&self) -> NextFacts {
        let (toplevel, known_at) = (Some(self.toplevel.clone()), Some(self.known_at));
        NextFacts { toplevel, known_at, drv: self.drv.clone(), ..NextFacts::default() }
    }
}

/// A system that was built on a host and not deployed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct BuiltSystem {
    system: NextSystem,
    /// Whether its root is still that of the run which built it: one that is at work, or was killed.
    is_of_a_run: bool,
}

/// Lists the newest systems that were built for these hosts and not deployed yet. A host is absent when
/// the one that builds for it did not answer, or nobody builds for it.
pub(super) async fn built(
    runner: &dyn ScriptRunner,
    fleet: &Fleet,
    hosts: impl Iterator<Item = &Host>,
) -> BTreeMap<String, Option<NextSystem>> {
    chosen(runner, fleet, hosts, |built| built.system.known_at).await
}

/// Does what [`built`] does, for somebody who deploys what was built: what a run left when it ended comes
/// before what one holds that is at work, maybe somebody else's, or was killed.
pub async fn built_systems(
    runner: &dyn ScriptRunner,
    fleet: &Fleet,
    hosts: impl Iterator<Item = &Host>,
) -> BTreeMap<String, Option<NextSystem>> {
    chosen(runner, fleet, hosts, |built| (!built.is_of_a_run, built.system.known_at)).await
}

/// Lists for each host the system that is highest by `rank`.
async fn chosen<Rank: Ord>(
    runner: &dyn ScriptRunner,
    fleet: &Fleet,
    hosts: impl Iterator<Item = &Host>,
    rank: impl Fn(&BuiltSystem) -> Rank + Copy,
) -> BTreeMap<String, Option<NextSystem>> {
    let mut by_builder: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for host in hosts {
        if let Some(build_on) = fleet.build_on(host) {
            by_builder.entry(build_on).or_default().push(&host.name);
        }
    }
    let asked = by_builder.into_iter().map(|(build_on, hosts)| async move {
        let output = match runner.run(build_on, &Script::new(NEXT).limit(LIST_LIMIT)).await {
            Ok(output) => output,
            Err(error) => {
                tracing::debug!(build_on, %error, "next");
                return Vec::new();
            }
        };
        let found = parse_built(build_on, &output.stdout);
        let of = |host: &str| {
            let own = found.iter().filter(|built| built.system.host == host);
            own.max_by_key(|built| rank(built)).map(|built| built.system.clone())
        };
        hosts.into_iter().map(|host| (host.to_owned(), of(host))).collect()
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Reads `host<TAB>path<TAB>seconds<TAB>next or run`; lines that are something else are left out.
fn parse_built(build_on: &str, text: &str) -> Vec<BuiltSystem> {
    let built = |line: &str| {
        let mut fields = line.split('\t');
        let system = NextSystem {
            host: fields.next()?.to_owned(),
            build_on: build_on.to_owned(),
            toplevel: StorePath::parse(fields.next()?).ok()?,
            drv: None,
            known_at: Timestamp::from_second(fields.next()?.trim().parse().ok()?).ok()?,
        };
        Some(BuiltSystem { system, is_of_a_run: fields.next()?.trim() == "run" })
    };
    text.lines().filter_map(built).collect()
}

/// Measures which tier holds how much of a host's next system, and what must be built for it.
///
/// `running` is the closure of what the host runs now, where that is known. Never fails: why the
/// host that builds could not be asked is part of the facts. A tier that does not answer is absent,
/// and what only that tier holds counts as to be built, as it would be now. Returns the system's
/// closure too, where it is built already.
pub(super) async fn measure_next(
    tools: Tools<'_>,
    wanted: &NextSystem,
    running: Option<&Closure>,
    answers: &Mutex<Answers>,
    rests: impl Fn(&Tier) -> bool + Copy,
) -> (NextFacts, Option<Closure>) {
    let measured = measure(tools, wanted, running, answers, rests).await;
    measured.unwrap_or_else(|error| (wanted.failed(error.to_string()), None))
}

/// Does what [`measure_next`] does; fails when the host that builds cannot be asked.
async fn measure(
    tools: Tools<'_>,
    wanted: &NextSystem,
    running: Option<&Closure>,
    answers: &Mutex<Answers>,
    rests: impl Fn(&Tier) -> bool + Copy,
) -> Result<(NextFacts, Option<Closure>), RemoteError> {
    let facts = wanted.facts();
    let build_on = wanted.build_on.as_str();
    let toplevel = std::iter::once(&wanted.toplevel);
    if invalid(tools.runner, build_on, toplevel).await?.is_empty() {
        let closure = store::closure_of(tools.runner, build_on, wanted.toplevel.as_str()).await?;
        let asked = [HostClosure { host: &wanted.host, closure: &closure }];
        let found = measure_unless(tools, &asked, answers, rests, None).await;
        let coverage = found.into_values().next().unwrap_or_default();
        let new = running.map(|running| lacked(&closure, running));
        let facts = NextFacts { to_build: Some(0), new, ..with_coverage(facts, coverage) };
        return Ok((facts, Some(closure)));
    }
    let facts = NextFacts { partial: true, ..facts };
    let Some(drv) = &wanted.drv else { return Ok((facts, None)) };
    let walked = walk(tools, build_on, drv, answers, rests).await?;
    let paths: Vec<ClosurePath> = walked.walk.paths().iter().map(without_size).collect();
    let now = Timestamp::now();
    let mut coverage = CoverageFacts::default();
    for tier in tools.fleet.tiers.iter().filter(|tier| walked.whole.contains(tier.name.as_str())) {
        let at_most = is_upper_bound(tools.memory, tier, Timestamp::now());
        add_coverage(tier, &paths, &lock(answers), now, at_most, &mut coverage);
    }
    let to_build = walked.walk.to_build();
    let names = to_build.iter().rev().take(NAMED).map(package);
    let error = incomplete(&walked.walk, wanted);
    let facts = NextFacts {
        to_build: error.is_none().then_some(to_build.len() as u64),
        to_build_names: names.collect(),
        error,
        ..with_coverage(facts, coverage)
    };
    Ok((facts, None))
}

/// Says why a walk did not come to its end.
fn incomplete(walk: &Walk, wanted: &NextSystem) -> Option<String> {
    let NextSystem { host, build_on, .. } = wanted;
    if !walk.is_done() {
        return Some(format!(
            "{host} needs more than {MOST_READ} derivations on {build_on}; is one of its caches \
             down?"
        ));
    }
    let unread = walk.unreadable();
    (unread > 0).then(|| {
        format!(
            "{unread} derivations of the next system of {host} could not be read on {build_on}, so \
             what must be built is not known; `nixdash caches --next {host}` brings them there"
        )
    })
}

/// Returns what a derivation builds, by name.
fn package(drv: &StorePath) -> String {
    drv.name().trim_end_matches(".drv").to_owned()
}

/// Returns a path whose size nobody knows yet.
fn without_size(path: &StorePath) -> ClosurePath {
    ClosurePath { path: path.clone(), nar_size: 0 }
}

/// Returns what a closure has that another lacks.
fn lacked(closure: &Closure, other: &Closure) -> Fetched {
    let there: HashSet<&StorePath> = other.paths.iter().map(|entry| &entry.path).collect();
    let new = closure.paths.iter().filter(|entry| !there.contains(&entry.path));
    new.fold(Fetched::default(), |sum, entry| Fetched {
        paths: sum.paths + 1,
        bytes: sum.bytes.saturating_add(entry.nar_size),
        timed: None,
    })
}

/// Puts what tiers hold into the facts; of a system that is not built, without sizes.
fn with_coverage(facts: NextFacts, coverage: CoverageFacts) -> NextFacts {
    let sized = !facts.partial;
    let tiers = coverage.tiers.into_iter().map(|(tier, found)| {
        let bytes = sized.then_some(found.bytes);
        (tier, NextCoverage { paths: found.paths, bytes, measured_at: found.measured_at })
    });
    let missing = if sized { coverage.missing } else { BTreeMap::new() };
    NextFacts { tiers: tiers.collect(), missing, ..facts }
}

/// A walk that ended.
struct Walked<'a> {
    walk: Walk,
    /// The tiers that answered for every path.
    whole: HashSet<&'a str>,
}

/// Walks the graph of a derivation on the host that builds it.
async fn walk<'a>(
    tools: Tools<'a>,
    build_on: &str,
    drv: &StorePath,
    answers: &Mutex<Answers>,
    rests: impl Fn(&Tier) -> bool + Copy,
) -> Result<Walked<'a>, RemoteError> {
    let substituters = substituters(tools, build_on).await;
    let mut whole: HashSet<&str> =
        tools.fleet.tiers.iter().map(|tier| tier.name.as_str()).collect();
    let mut walk = Walk::new(drv.clone());
    let mut read = 0;
    while !walk.is_done() && read <= MOST_READ {
        let unread: Vec<StorePath> = walk.unread().into_iter().cloned().collect();
        read += unread.len();
        let mut found = derivations(tools.runner, build_on, &unread).await?;
        for drv in unread {
            let derivation = found.remove(&drv);
            walk.put(drv, derivation);
        }
        let asked = walk.asked();
        let invalid = invalid(tools.runner, build_on, asked.iter().copied()).await?;
        let paths: Vec<ClosurePath> = asked.into_iter().map(without_size).collect();
        let now = Timestamp::now();
        let answered = ask_all(tools, &paths, answers, now, rests, None).await;
        whole.retain(|tier| answered.contains(tier));
        let answers = lock(answers);
        let held = |path: &StorePath| {
            substituters.iter().any(|tier| answers.get(tier, path, now) == Some(true))
        };
        walk.step(|path| !invalid.contains(path), held);
    }
    Ok(Walked { walk, whole })
}

/// Returns the tiers that a host asks when it builds, and trusts as far as is known.
async fn substituters<'a>(tools: Tools<'a>, host: &str) -> Vec<&'a str> {
    if !views(tools.memory).contains_key(host) {
        let view = look(tools.runner, host, Timestamp::now()).await;
        remember(tools.memory, tools.fleet, host, view);
    }
    let asks = |tier: &&Tier| {
        let judged = host_verdicts(tools.fleet, tier, tools.memory);
        judged.get(host).is_some_and(|it| it.configured != Some(false) && it.trusted != Some(false))
    };
    tools.fleet.tiers.iter().filter(asks).map(|tier| tier.name.as_str()).collect()
}

/// Reads derivations on a host; one that is not there, or is no derivation, is absent.
pub async fn derivations(
    runner: &dyn ScriptRunner,
    host: &str,
    drvs: &[StorePath],
) -> Result<HashMap<StorePath, Derivation>, RemoteError> {
    if drvs.is_empty() {
        return Ok(HashMap::new());
    }
    let script = Script::new(DERIVATIONS).stdin(lines(drvs.iter())).limit(LIMIT);
    let output = runner.run(host, &script).await?;
    Ok(parse_derivations(&output.stdout))
}

/// Reads the path of each derivation and, on the line below, its beginning.
fn parse_derivations(text: &str) -> HashMap<StorePath, Derivation> {
    let mut found = HashMap::new();
    let mut last: Option<StorePath> = None;
    for line in text.lines() {
        if let Ok(path) = StorePath::parse(line) {
            last = Some(path);
        } else if let (Some(path), Some(derivation)) = (last.take(), Derivation::parse(line)) {
            found.insert(path, derivation);
        }
    }
    found
}

/// Returns which of these paths are not valid on a host.
pub async fn invalid(
    runner: &dyn ScriptRunner,
    host: &str,
    paths: impl Iterator<Item = &StorePath>,
) -> Result<HashSet<StorePath>, RemoteError> {
    let asked = lines(paths);
    if asked.is_empty() {
        return Ok(HashSet::new());
    }
    let script = Script::new(INVALID).stdin(asked).limit(LIMIT);
    let output = runner.run(host, &script).await?;
    if output.is_ok() {
        return Ok(output.stdout.lines().filter_map(|line| StorePath::parse(line).ok()).collect());
    }
    Err(cannot_say(host, &output))
}

/// Makes the error for a host whose Nix does not say what is valid.
fn cannot_say(host: &str, output: &Output) -> RemoteError {
    let cause = format!("could not ask which paths are valid: {}", output.complaint());
    let hint = "try `nix-store --check-validity /run/current-system` there".to_owned();
    RemoteError { hint, ..RemoteError::new(host, Trouble::Here, &cause) }
}

/// Returns paths as a script reads them.
fn lines<'a>(paths: impl Iterator<Item = &'a StorePath>) -> Vec<u8> {
    let mut text = Vec::new();
    for path in paths {
        text.extend_from_slice(path.as_str().as_bytes());
        text.push(b'\n');
    }
    text
}

#[cfg(test)]
mod tests;
