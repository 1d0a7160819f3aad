//! The host probe: one script, one round trip; then empty ones to time it.

use crate::fleet::words::hosts;
use crate::fleet::{
    Bytes, Code, FilePlace, Finding, Host, HostFacts, HostState, KernelPart, Limits, Share,
    StorePath, SystemFacts, printable_line,
};
use crate::probe::Power;
use crate::probe::clock::milliseconds;
use crate::probe::local;
use crate::probe::upkeep;
use crate::remote::{RemoteError, Script, ScriptRunner, Trouble, Way};
use jiff::{SignedDuration, Timestamp};
use std::path::Path;
use std::time::{Duration, Instant};

/// What is asked.
const SCRIPT: &str = concat!(
    "facts() {\n",
    include_str!("scripts/says.sh"),
    include_str!("scripts/power.sh"),
    include_str!("scripts/host.sh"),
    "}\n",
    include_str!("scripts/at-once.sh")
);

/// What times a round trip.
const ECHO: &str = include_str!("scripts/echo.sh");

/// How long a probe may take, connecting to the second of two addresses included.
const LIMIT: Duration = Duration::from_secs(10);

/// How long the timing of a round trip may take.
const ECHO_LIMIT: Duration = Duration::from_secs(5);

/// Most failed units that are kept.
const UNITS_LIMIT: usize = 100;

/// Asks a host over this way and returns what it found, with what that means by these limits; of a
/// host that does not answer, the last known figures with the reason.
///
/// [`Way::Fresh`] proves that somebody can log in now. Where that fails on a host that answered
/// before, it is tried a second time, since one lost packet proves nothing either.
pub async fn probe(
    runner: &dyn ScriptRunner,
    host: &Host,
    previous: Option<&HostFacts>,
    limits: &Limits,
    way: Way,
) -> HostFacts {
    let answered = previous.is_some_and(|facts| facts.state.has_answered());
    let mut found = ask(runner, host, way).await;
    if way == Way::Fresh && answered && found.as_ref().is_err_and(is_worth_a_second_try) {
        found = ask(runner, host, way).await;
    }
    if let Ok(facts) = &mut found {
        let known = previous.and_then(|facts| facts.upkeep.as_ref());
        facts.upkeep = upkeep::look(runner, &host.name, known, facts).await;
    }
    let mut facts = merge(&host.name, previous, limits, found, Timestamp::now());
    if host.is_local() {
        // The machine that a person works on need not be NixOS.
        facts.findings.retain(|finding| finding.code != Code::NotNixos);
    }
    facts
}

/// Returns whether an error may be gone a moment later.
fn is_worth_a_second_try(error: &RemoteError) -> bool {
    match error.trouble {
        Trouble::Unreachable | Trouble::Lost => true,
        Trouble::Denied
        | Trouble::HostKey(_)
        | Trouble::NotRoot(_)
        | Trouble::Locked
        | Trouble::Slow(_)
        | Trouble::Untrusted
        | Trouble::Here => false,
    }
}

/// Runs the scripts and reads what they print.
async fn ask(runner: &dyn ScriptRunner, host: &Host, way: Way) -> Result<HostFacts, RemoteError> {
    let mut facts = if host.is_local() && !Path::new("/nix").exists() {
        HostFacts { state: HostState::Up, ..HostFacts::default() }
    } else {
        let script = Script::new(SCRIPT).way(way).limit(LIMIT);
        let began = Timestamp::now();
        let output = runner.run(&host.name, &script).await?;
        let ended = Timestamp::now();
        if is_initrd(&output.stdout) {
            let cause = "it waits for its disk to be unlocked: what answers is its initrd";
            return Err(RemoteError::new(&host.name, Trouble::Locked, cause));
        }
        let mut facts = parse(&output.stdout);
        if !host.is_local() {
            facts.clock_ahead_s =
                clock_of(&output.stdout).and_then(|time| clock_ahead(time, began, ended));
        }
        if facts.state == HostState::Unknown {
            let cause = format!("the probe broke off: {}", output.complaint());
            let hint =
                format!("does `nixdash shell {} -- /bin/sh -c true` work by hand?", host.name);
            return Err(RemoteError {
                hint,
                ..RemoteError::new(&host.name, Trouble::Lost, &cause)
            });
        }
        facts
    };
    if host.is_local() {
        local::fill(&mut facts).await;
    } else {
        facts.latency_ms = latency(runner, &host.name).await;
    }
    facts.address = runner.address(&host.name);
    Ok(facts)
}

/// Returns whether the script ran in an initrd.
fn is_initrd(text: &str) -> bool {
    text.lines().any(|line| line == "initrd\ttrue")
}

/// Returns the seconds since 1970 that the host says it is.
fn clock_of(text: &str) -> Option<i64> {
    text.lines().find_map(|line| line.strip_prefix("time\t"))?.trim().parse().ok()
}

/// Returns by how many seconds a clock is ahead that said a whole second between these two times;
/// 0 where it may be right.
pub fn clock_ahead(said: i64, began: Timestamp, ended: Timestamp) -> Option<f64> {
    let said = Timestamp::from_second(said).ok()?;
    let second = said.checked_add(SignedDuration::from_secs(1)).ok()?;
    Some(if said > ended {
        said.duration_since(ended).as_secs_f64()
    } else if second < began {
        second.duration_since(began).as_secs_f64()
    } else {
        0.0
    })
}

/// Times a round trip over the open connection: the faster of two, since the first may meet a
/// host that is still busy with the probe.
///
/// Nothing when the connection ends now: that is the next probe's matter, the figures are there.
async fn latency(runner: &dyn ScriptRunner, host: &str) -> Option<f64> {
    let echo = Script::new(ECHO).way(Way::InTurn).limit(ECHO_LIMIT);
    let mut fastest = Duration::MAX;
    for _ in 0..2 {
        let began = Instant::now();
        runner.run(host, &echo).await.ok()?;
        fastest = fastest.min(began.elapsed());
    }
    Some(milliseconds(fastest))
}

/// Joins a probe to what was known before.
///
/// A host that does not answer keeps its figures with the time when they were measured; state and
/// findings say what is now.
pub fn merge(
    host: &str,
    previous: Option<&HostFacts>,
    limits: &Limits,
    found: Result<HostFacts, RemoteError>,
    now: Timestamp,
) -> HostFacts {
    match found {
        Ok(facts) => {
            let found = hosts::of_figures(host, &facts, limits, now).into_iter();
            let findings = found.map(|finding| finding.at(now)).collect();
            HostFacts { findings, measured_at: Some(now), asked_at: Some(now), ..facts }
        }
        Err(error) => {
            let last = previous.cloned().unwrap_or_default();
            let away = hosts::away(host, last.measured_at, limits, now);
            let why = std::iter::once(not_asked(&error));
            HostFacts {
                state: error.host_state(),
                findings: why.chain(away).map(|finding| finding.at(now)).collect(),
                asked_at: Some(now),
                latency_ms: None,
                ..last
            }
        }
    }
}

/// Returns why a host could not be asked, as a finding.
fn not_asked(error: &RemoteError) -> Finding {
    let finding = hosts::not_asked(&error.host, error.code(), &error.cause, &error.hint);
    // Such a machine is on.
    if error.nobody_listens { finding.in_short("ssh refused") } else { finding }
}

/// Reads what the script printed; the state is unknown when its last line is missing.
pub fn parse(text: &str) -> HostFacts {
    let mut facts = HostFacts::default();
    let mut units = Vec::new();
    let mut failed_count = None;
    let mut power = Power::default();
    let mut whole = false;
    for line in text.lines() {
        let Some((key, value)) = line.split_once('\t') else { continue };
        let value = printable_line(value);
        let value = value.trim();
        match key {
            "user" => facts.user = word(value),
            "load1" => facts.load1 = load(value),
            "load5" => facts.load5 = load(value),
            "cpus" => facts.cpus = value.parse().ok(),
            "memory_kib" => facts.memory = kibibytes(value),
            "disk" => facts.disk = room(value),
            "files" => facts.files = share(value),
            "store_writable" => facts.store_writable = value.parse().ok(),
            "boot" => place(&mut facts, FilePlace::Boot, value),
            "var" => place(&mut facts, FilePlace::Var, value),
            "tmp" => place(&mut facts, FilePlace::Tmp, value),
            "run" => place(&mut facts, FilePlace::Run, value),
            "uptime_s" => facts.uptime_s = value.parse().ok(),
            "boot_id" => facts.boot_id = word(value),
            "system_state" => facts.system_state = word(value),
            "failed_count" => failed_count = value.parse::<u64>().ok(),
            "failed_unit" if units.len() < UNITS_LIMIT => units.extend(word(value)),
            "mains" | "battery" | "battery_status" => power.take(key, value),
            "end" => whole = true,
            _ => system(&mut facts.system, key, value),
        }
    }
    // Where some failed and none is named, the second question had no answer.
    facts.failed_units =
        failed_count.filter(|count| *count == 0 || !units.is_empty()).map(|_| units);
    facts.power = power.facts();
    if whole {
        facts.state = state(&facts);
    }
    facts
}

/// Takes a line about systems and versions.
fn system(system: &mut SystemFacts, key: &str, value: &str) {
    let path = || StorePath::parse(value).ok();
    match key {
        "running" => system.running = path(),
        "booted" => system.booted = path(),
        "profile" => system.profile = path(),
        "generation" => system.generation = generation(value),
        "nixos_version" => system.nixos_version = word(value),
        "other_system" => system.other_system = word(value),
        "nix_version" => system.nix_version = value.split(' ').next_back().and_then(word),
        "reboot_needed" => system.reboot_needed = value.parse().ok(),
        "reboot_for" => system.reboot_for.extend(match value {
            "kernel" => Some(KernelPart::Kernel),
            "initrd" => Some(KernelPart::Initrd),
            "modules" => Some(KernelPart::Modules),
            _ => None,
        }),
        _ => {}
    }
}

/// Returns the text unless it is empty.
fn word(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

/// Reads `used total` in KiB.
fn kibibytes(value: &str) -> Option<Bytes> {
    let (used, total) = value.split_once(' ')?;
    let bytes = |text: &str| text.parse::<u64>().ok()?.checked_mul(1024);
    Some(Bytes { used: bytes(used)?, total: bytes(total)? })
}

/// Reads a load average.
fn load(value: &str) -> Option<f64> {
    value.parse().ok().filter(|load: &f64| load.is_finite())
}

/// Reads `used total`.
fn pair(value: &str) -> Option<(u64, u64)> {
    let (used, total) = value.split_once(' ')?;
    Some((used.parse().ok()?, total.parse().ok()?))
}

/// Reads how full a file system is, in bytes; nothing for one without a size.
fn room(value: &str) -> Option<Bytes> {
    let (used, total) = pair(value)?;
    (total > 0).then_some(Bytes { used, total })
}

/// Reads how many of how many; nothing where there is no limit.
fn share(value: &str) -> Option<Share> {
    let (have, total) = pair(value)?;
    (total > 0).then_some(Share { have, total })
}

/// Takes how full the file system of a place is.
fn place(facts: &mut HostFacts, place: FilePlace, value: &str) {
    facts.places.extend(room(value).map(|room| (place, room)));
}

/// Reads the number of `system-NUMBER-link`.
pub(super) fn generation(link: &str) -> Option<u64> {
    let name = link.rsplit('/').next()?;
    name.strip_prefix("system-")?.strip_suffix("-link")?.parse().ok()
}

/// Returns whether a host that answered is well.
fn state(facts: &HostFacts) -> HostState {
    let failed = facts.failed_units.as_ref().is_some_and(|units| !units.is_empty());
    let ill =
        matches!(facts.system_state.as_deref(), Some("degraded" | "maintenance" | "no answer"));
    if failed || ill { HostState::Degraded } else { HostState::Up }
}

#[cfg(test)]
mod tests;
