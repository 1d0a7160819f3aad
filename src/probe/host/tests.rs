use super::*;
use crate::fleet::{Code, PowerFacts};
use crate::remote::write_program;
use crate::remote::{FakeRunner, Output};
use proptest::prelude::*;

const RUNNING: &str = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-nixos-system-samsung";

/// What a laptop prints on which a unit failed.
fn laptop() -> String {
    format!(
        "user\tme\nrunning\t{RUNNING}\nbooted\t{RUNNING}\ngeneration\tsystem-42-link\n\
         profile\t{RUNNING}\nnixos_version\t26.05.20261118.abc\nreboot_needed\ttrue\n\
         nix_version\tnix (Nix) 2.31.2\nload1\t0.42\ncpus\t8\nmemory_kib\t1000 4000\n\
         disk\t10240 40960\nuptime_s\t3600\nsystem_state\tdegraded\nfailed_count\t1\n\
         failed_unit\tbackup.service\nmains\t0\nmains\t1\nbattery\t80\nbattery\t60\n\
         battery_status\tCharging\nboot_id\tb848b422\nend\tok\n"
    )
}

/// Asks samsung, by the usual limits.
async fn look(runner: &FakeRunner, previous: Option<&HostFacts>, way: Way) -> HostFacts {
    probe(runner, &samsung(), previous, &Limits::default(), way).await
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
    assert_eq!(parse("failed_count\t2\nend\tok").failed_units, None, "nobody named the two");
}

#[tokio::test]
async fn a_host_that_goes_to_sleep_keeps_its_figures_and_their_age() {
    let awake = FakeRunner::new(|_, _| Ok(Output { stdout: laptop(), ..Output::default() }));
    let first = look(&awake, None, Way::InTurn).await;
    assert_eq!(first.address.as_deref(), Some("fake"));
    assert!(first.latency_ms.is_some());
    let codes: Vec<Code> = first.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::DiskLow, Code::UnitsFailed, Code::NeedsReboot]);
    assert_eq!(first.findings[0].measured_at, first.measured_at);
    assert_eq!(first.error(), None, "it answered");
    let second = look(&FakeRunner::unreachable(), Some(&first), Way::InTurn).await;
    assert_eq!(second.state, HostState::Offline);
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
    let facts = look(&runner, None, Way::InTurn).await;
    assert_eq!(facts.state, HostState::Offline);
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
    let facts = look(&initrd, None, Way::InTurn).await;
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
        look(&runner, Some(&before), Way::Fresh).await;
        assert_eq!(runner.asked().len(), tries);
    }
}

#[test]
fn what_hangs_leaves_the_other_facts_whole() {
    // A `systemctl` and a `stat` that never answer.
    let dir = tempfile::tempdir().unwrap();
    for name in ["systemctl", "stat"] {
        write_program(&dir.path().join(name), "#!/bin/sh\nexec sleep 300\n");
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

#[test]
fn room_of_every_place_and_what_else_fills_up_is_read() {
    let text = "disk\t10 40\nfiles\t3 9\nboot\t1 2\nvar\t3 4\ntmp\t0 0\nrun\tx y\nload5\t2.5\n\
                store_writable\tfalse\nreboot_needed\ttrue\nreboot_for\tkernel\n\
                reboot_for\tmodules\nreboot_for\tmoon\nend\tok\n";
    let facts = parse(text);
    assert_eq!(facts.disk, Some(Bytes { used: 10, total: 40 }));
    assert_eq!(facts.files, Some(Share { have: 3, total: 9 }));
    let places = [
        (FilePlace::Boot, Bytes { used: 1, total: 2 }),
        (FilePlace::Var, Bytes { used: 3, total: 4 }),
    ];
    assert_eq!(facts.places, places.into(), "what has no size is not known");
    assert_eq!((facts.store_writable, facts.load5), (Some(false), Some(2.5)));
    assert_eq!(facts.system.reboot_for, [KernelPart::Kernel, KernelPart::Modules]);
    let none = parse("files\t0 0\nend\tok\n");
    assert_eq!((none.files, none.store_writable), (None, None), "no limit of files is no share");
}

#[test]
fn a_clock_differs_only_where_one_question_can_tell() {
    let at = |text: &str| -> Timestamp { text.parse().unwrap() };
    let (began, ended) = (at("2026-11-25T12:00:00.4Z"), at("2026-11-25T12:00:01.1Z"));
    let ahead = |text: &str| clock_ahead(at(text).as_second(), began, ended);
    assert_eq!(ahead("2026-11-25T12:00:00Z"), Some(0.0), "that second had begun");
    assert_eq!(ahead("2026-11-25T12:00:01Z"), Some(0.0));
    assert_eq!(ahead("2026-11-25T12:04:01.1Z"), Some(239.9));
    assert_eq!(ahead("2026-11-25T11:59:00Z"), Some(-59.4));
    assert_eq!(clock_ahead(i64::MAX, began, ended), None);
    assert_eq!(clock_of("time\t12\n"), Some(12));
    assert_eq!(clock_of("time\tsoon\n"), None);
}

#[tokio::test]
async fn a_host_that_was_away_for_long_says_so_beside_why() {
    let last = Timestamp::now() - SignedDuration::from_hours(24 * 9);
    let before = HostFacts { measured_at: Some(last), ..HostFacts::default() };
    let facts = look(&FakeRunner::unreachable(), Some(&before), Way::InTurn).await;
    let codes: Vec<Code> = facts.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::HostUnreachable, Code::HostAway]);
    assert_eq!(facts.measured_at, Some(last));
}
