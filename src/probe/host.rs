//! The host probe: one script, one round trip; then empty ones to time it.

use crate::fleet::words::hosts;
use crate::fleet::{
    Bytes, Finding, Host, HostFacts, HostState, PowerFacts, StorePath, SystemFacts, printable_line,
};
use crate::probe::clock::milliseconds;
use crate::probe::local;
use crate::remote::{RemoteError, Script, ScriptRunner, Trouble, Way};
use jiff::Timestamp;
use std::path::Path;
use std::time::{Duration, Instant};

/// What is asked.
const SCRIPT: &str = include_str!("scripts/host.sh");

/// What times a round trip.
const ECHO: &str = include_str!("scripts/echo.sh");

/// How long a probe may take, connecting to the second of two addresses included.
const LIMIT: Duration = Duration::from_secs(10);

/// How long the timing of a round trip may take.
const ECHO_LIMIT: Duration = Duration::from_secs(5);

/// Most failed units that are kept.
const UNITS_LIMIT: usize = 100;

/// Asks a host over this way and returns what it found; of a host that does not answer, the last
/// known figures with the reason.
///
/// [`Way::Fresh`] proves that somebody can log in now. Where that fails on a host that answered
/// before, it is tried a second time, since one lost packet proves nothing either.
pub async fn probe(
    runner: &dyn ScriptRunner,
    host: &Host,
    previous: Option<&HostFacts>,
    way: Way,
) -> HostFacts {
    let answered = previous.is_some_and(|facts| facts.state.has_answered());
    let mut found = ask(runner, host, way).await;
    if way == Way::Fresh && answered && found.as_ref().is_err_and(is_worth_a_second_try) {
        found = ask(runner, host, way).await;
    }
    merge(&host.name, previous, found, Timestamp::now())
}

/// Returns whether an error may be gone a moment later.
fn is_worth_a_second_try(error: &RemoteError) -> bool {
    match error.trouble {
        Trouble::Unreachable | Trouble::Lost => true,
        Trouble::Denied
        | Trouble::HostKey
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
        let output = runner.run(&host.name, &script).await?;
        if is_initrd(&output.stdout) {
            let cause = "it waits for its disk to be unlocked: what answers is its initrd";
            return Err(RemoteError::new(&host.name, Trouble::Locked, cause));
        }
        let facts = parse(&output.stdout);
        if facts.state == HostState::Unknown {
            let cause = format!("the probe broke off: {}", output.complaint());
            let hint = "does `ssh HOST /bin/sh -c true` work by hand?".to_owned();
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

/// Times a round trip over the open connection: the faster of two, since the first may meet a
/// host that is still busy with the probe.
///
/// Nothing when the connection ends now: that is the next probe's matter, the figures are there.
async fn latency(runner: &dyn ScriptRunner, host: &str) -> Option<f64> {
    let echo = Script::new(ECHO).way(Way::Shell).limit(ECHO_LIMIT);
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
    found: Result<HostFacts, RemoteError>,
    now: Timestamp,
) -> HostFacts {
    match found {
        Ok(facts) => {
            let found = hosts::of_figures(host, &facts).into_iter();
            let findings = found.map(|finding| finding.at(now)).collect();
            HostFacts { findings, measured_at: Some(now), asked_at: Some(now), ..facts }
        }
        Err(error) => HostFacts {
            state: error.host_state(),
            findings: vec![not_asked(&error).at(now)],
            asked_at: Some(now),
            latency_ms: None,
            ..previous.cloned().unwrap_or_default()
        },
    }
}

/// Returns why a host could not be asked, as a finding.
fn not_asked(error: &RemoteError) -> Finding {
    hosts::not_asked(&error.host, error.code(), &error.cause, &error.hint)
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
            "load1" => facts.load1 = value.parse().ok().filter(|load: &f64| load.is_finite()),
            "cpus" => facts.cpus = value.parse().ok(),
            "memory_kib" => facts.memory = kibibytes(value),
            "disk_kib" => facts.disk = kibibytes(value),
            "uptime_s" => facts.uptime_s = value.parse().ok(),
            "boot_id" => facts.boot_id = word(value),
            "system_state" => facts.system_state = word(value),
            "failed_count" => failed_count = value.parse::<u64>().ok(),
            "failed_unit" if units.len() < UNITS_LIMIT => units.extend(word(value)),
            "mains" => power.mains(value),
            "battery" => power.charges.extend(value.parse::<u8>().ok().map(|of| of.min(100))),
            "battery_status" => power.discharging |= value == "Discharging",
            "end" => whole = true,
            _ => system(&mut facts.system, key, value),
        }
    }
    facts.failed_units = failed_count.map(|_| units);
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
        "nix_version" => system.nix_version = value.split(' ').next_back().and_then(word),
        "reboot_needed" => system.reboot_needed = value.parse().ok(),
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

/// Reads the number of `system-NUMBER-link`.
fn generation(link: &str) -> Option<u64> {
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

/// What supplies of power said so far.
#[derive(Default)]
struct Power {
    on_mains: Option<bool>,
    charges: Vec<u8>,
    discharging: bool,
}

impl Power {
    /// Takes a mains supply: 1 when it is connected; 2 is a USB supply that can be programmed.
    fn mains(&mut self, online: &str) {
        if let Ok(online) = online.parse::<u8>() {
            self.on_mains = Some(self.on_mains.unwrap_or(false) || online > 0);
        }
    }

    /// Returns the facts; none for a machine without a battery, which is on mains or off.
    fn facts(self) -> Option<PowerFacts> {
        let count = self.charges.len();
        if count == 0 {
            return None;
        }
        let sum: usize = self.charges.iter().map(|&charge| usize::from(charge)).sum();
        Some(PowerFacts {
            on_mains: Some(self.on_mains.unwrap_or(!self.discharging)),
            battery: u8::try_from(sum / count).ok(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Code;
    use crate::remote::{FakeRunner, Output};
    use proptest::prelude::*;

    const RUNNING: &str = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-nixos-system-samsung";

    /// What a laptop prints on which a unit failed.
    fn laptop() -> String {
        format!(
            "user\tme\nrunning\t{RUNNING}\nbooted\t{RUNNING}\ngeneration\tsystem-42-link\n\
             profile\t{RUNNING}\nnixos_version\t26.05.20261118.abc\nreboot_needed\ttrue\n\
             nix_version\tnix (Nix) 2.31.2\nload1\t0.42\ncpus\t8\nmemory_kib\t1000 4000\n\
             disk_kib\t10 40\nuptime_s\t3600\nsystem_state\tdegraded\nfailed_count\t1\n\
             failed_unit\tbackup.service\nmains\t0\nmains\t1\nbattery\t80\nbattery\t60\n\
             battery_status\tCharging\nboot_id\tb848b422\nend\tok\n"
        )
    }

    /// Makes a host.
    fn samsung() -> Host {
        let fleet = crate::config::parse("[hosts.samsung]", Path::new("hosts.toml"), None);
        fleet.unwrap().hosts.remove(0)
    }

    #[test]
    fn everything_a_laptop_says_is_read() {
        let facts = parse(&laptop());
        assert_eq!(facts.state, HostState::Degraded);
        assert_eq!(facts.system.generation, Some(42));
        assert_eq!(facts.system.running.unwrap().as_str(), RUNNING);
        assert_eq!(facts.system.nix_version.as_deref(), Some("2.31.2"));
        assert_eq!(facts.system.reboot_needed, Some(true));
        assert_eq!(facts.memory, Some(Bytes { used: 1_024_000, total: 4_096_000 }));
        assert_eq!(facts.failed_units.unwrap(), ["backup.service"]);
        assert_eq!(facts.power, Some(PowerFacts { on_mains: Some(true), battery: Some(70) }));
        assert_eq!((facts.load1, facts.cpus, facts.uptime_s), (Some(0.42), Some(8), Some(3600)));
    }

    #[test]
    fn what_is_not_said_stays_unknown() {
        let facts = parse("user\troot\nload1\tnan\nrunning\t/run/current-system\nend\tok\n");
        assert_eq!(facts.state, HostState::Up);
        assert_eq!(facts.system, SystemFacts::default());
        assert_eq!((facts.load1, facts.memory, facts.power), (None, None, None));
        assert_eq!(facts.failed_units, None);
        assert_eq!(parse("user\troot\n").state, HostState::Unknown);
    }

    #[test]
    fn no_failed_units_and_unknown_units_differ() {
        assert_eq!(parse("failed_count\t0\nend\tok").failed_units, Some(Vec::new()));
    }

    #[tokio::test]
    async fn a_host_that_goes_to_sleep_keeps_its_figures_and_their_age() {
        let awake = FakeRunner::new(|_, _| Ok(Output { stdout: laptop(), ..Output::default() }));
        let first = probe(&awake, &samsung(), None, Way::Shell).await;
        assert_eq!(first.address.as_deref(), Some("fake"));
        assert!(first.latency_ms.is_some());
        let codes: Vec<Code> = first.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [Code::UnitsFailed, Code::DiskLow, Code::NeedsReboot]);
        assert_eq!(first.findings[0].measured_at, first.measured_at);
        assert_eq!(first.error(), None, "it answered");
        let second = probe(&FakeRunner::unreachable(), &samsung(), Some(&first), Way::Shell).await;
        assert_eq!(second.state, HostState::Unreachable);
        assert_eq!(second.measured_at, first.measured_at);
        assert!(second.asked_at >= first.asked_at);
        assert_eq!((second.load1, second.latency_ms), (Some(0.42), None));
        assert_eq!(second.findings.len(), 1, "what its old figures say is not known now");
        assert_eq!(second.findings[0].code, Code::HostUnreachable);
        assert!(second.error().unwrap().contains("No route to host"));
    }

    #[tokio::test]
    async fn a_probe_that_breaks_off_is_an_error_not_a_healthy_host() {
        let runner = FakeRunner::new(|_, _| {
            Ok(Output { code: 127, stdout: "sh: not found".to_owned(), ..Output::default() })
        });
        let facts = probe(&runner, &samsung(), None, Way::Shell).await;
        assert_eq!(facts.state, HostState::Unreachable);
        assert_eq!(facts.measured_at, None);
        assert_eq!(facts.findings[0].code, Code::ConnectionLost);
        assert!(facts.error().unwrap().contains("sh: not found"));
    }

    #[tokio::test]
    async fn an_initrd_that_answers_is_a_host_whose_disk_is_locked() {
        let initrd = FakeRunner::new(|_, _| {
            let stdout = "initrd\ttrue\nuser\troot\nend\tok\n".to_owned();
            Ok(Output { stdout, ..Output::default() })
        });
        let facts = probe(&initrd, &samsung(), None, Way::Shell).await;
        assert_eq!(facts.state, HostState::Locked);
        assert_eq!(facts.findings[0].code, Code::DiskLocked);
        assert!(facts.error().unwrap().contains("waits for its disk to be unlocked"));
    }

    #[tokio::test]
    async fn a_new_login_that_fails_once_is_tried_again_and_one_that_is_refused_is_not() {
        for (trouble, tries) in [(Trouble::Unreachable, 2), (Trouble::Denied, 1)] {
            let runner =
                FakeRunner::new(move |host, _| Err(RemoteError::new(host, trouble.clone(), "no")));
            let before = HostFacts { state: HostState::Up, ..HostFacts::default() };
            probe(&runner, &samsung(), Some(&before), Way::Fresh).await;
            assert_eq!(runner.asked().len(), tries);
        }
    }

    #[test]
    fn what_hangs_leaves_the_other_facts_whole() {
        // A `systemctl` and a `df` that never answer.
        let dir = tempfile::tempdir().unwrap();
        for name in ["systemctl", "df"] {
            let file = dir.path().join(name);
            std::fs::write(&file, "#!/bin/sh\nexec sleep 300\n").unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&file, mode).unwrap();
        }
        let began = Instant::now();
        let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
        let output = std::process::Command::new("/bin/sh")
            .args(["-c", SCRIPT])
            .env("PATH", path)
            .output()
            .unwrap();
        assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
        let facts = parse(&String::from_utf8_lossy(&output.stdout));
        assert_eq!(facts.state, HostState::Degraded, "{output:?}");
        assert_eq!(facts.system_state.as_deref(), Some("no answer"));
        assert!(facts.memory.is_some() && facts.load1.is_some() && facts.disk.is_none());
    }

    #[test]
    fn the_script_runs_under_a_real_shell() {
        let output = std::process::Command::new("/bin/sh").arg("-c").arg(SCRIPT).output().unwrap();
        let facts = parse(&String::from_utf8_lossy(&output.stdout));
        assert_ne!(facts.state, HostState::Unknown, "{output:?}");
        assert!(facts.user.is_some() && facts.memory.is_some() && facts.load1.is_some());
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }

    proptest! {
        #[test]
        fn nothing_a_host_prints_reaches_the_screen_raw(text in any::<String>()) {
            let text = format!("user\t{text}\nfailed_count\t1\nfailed_unit\t{text}\nend\t\n");
            let facts = parse(&text);
            let shown = facts.user.iter().chain(facts.failed_units.iter().flatten());
            for value in shown {
                prop_assert!(!value.chars().any(char::is_control));
            }
        }
    }
}
