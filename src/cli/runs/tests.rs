//! A run that is shown elsewhere.

use super::*;
use crate::cli::follow_logs;
use crate::cli::logs::look_once;
use crate::dash::{
    Depth, Effect, Look, Model, Msg, Screen, Theme, update, view as draw, view_logs,
};
use crate::fleet::{
    Fetched, HostResult, Outcome, Phase, PhaseState, Progress, RunEvent, RunId, RunWhat, StorePath,
};
use crate::record::RunWriter;
use clap::Parser;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_764_000_000 + second).unwrap()
}

/// The fleet that the run was made with.
fn fleet() -> Fleet {
    let text = "[fleet]\nflake = \"/home/me/nixos\"\nbuilder = \"p620\"\n\
        [hosts.p620]\naddresses = [\"p620.lan\"]\n\
        [hosts.samsung]\naddresses = [\"samsung.lan\"]\ntags = [\"laptop\"]\n\
        [[tiers]]\nname = \"p620\"\nkind = \"nix-serve\"\nurl = \"http://p620.lan:5000\"\nhost = \"p620\"\n\
        public_key = \"p620-1:NiNfYW82Gw9o49ng/jhUKy3RmtBlesa/LQ0HuCcuSeU=\"\n";
    config::parse(text, Path::new("hosts.toml"), None).unwrap()
}

fn path(name: &str) -> StorePath {
    StorePath::parse(&format!("/nix/store/{}-{name}", "a".repeat(32))).unwrap()
}

fn result(outcome: Outcome, error: Option<&str>) -> HostResult {
    HostResult {
        toplevel: Some(path("nixos-system-samsung-26.05")),
        duration_ms: 31_000,
        built: 3,
        build_on: Some("p620".to_owned()),
        fetched: BTreeMap::from([(
            "p620".to_owned(),
            Fetched { paths: 12, bytes: 7_000_000, timed: None },
        )]),
        error: error.map(str::to_owned),
        ..HostResult::ended(outcome)
    }
}

/// Writes a run of two hosts, one of which fails; secrets are hidden in it already, as in every run.
fn write_run(writer: &mut RunWriter, ends: bool) {
    let run = writer.run().clone();
    let mut tell =
        |second, what| writer.write(&RunEvent { run: run.clone(), at: at(second), what });
    let hosts = ["p620", "samsung"].map(str::to_owned);
    tell(0, RunWhat::begin(hosts.to_vec(), "switch via-cache".to_owned()));
    for host in hosts {
        let phase = |phase, state| RunWhat::Phase { host: host.clone(), phase, state };
        for (second, of) in [(1, Phase::Preflight), (2, Phase::Evaluate), (3, Phase::Build)] {
            tell(second, phase(of, PhaseState::Started));
            for line in 0..40 {
                let line =
                    format!("copying {line} from http://p620.lan:5000 with PASSWORD=[secret]");
                tell(second, RunWhat::log(host.clone(), of, line));
            }
            if of != Phase::Build || ends {
                tell(second + 1, phase(of, PhaseState::Finished));
            }
        }
        let progress = Progress { done: 3, expected: 9, ..Progress::default() };
        tell(3, RunWhat::Progress { host: host.clone(), phase: Phase::Build, progress });
    }
    if !ends {
        return;
    }
    let failed = "http://[secret]@p620.lan:5000 answered 500";
    for (host, outcome, error) in
        [("p620", Outcome::Switched, None), ("samsung", Outcome::Failed, Some(failed))]
    {
        tell(31, RunWhat::Result { host: host.to_owned(), result: result(outcome, error) });
    }
    let outcomes = BTreeMap::from([(Outcome::Switched, 1), (Outcome::Failed, 1)]);
    tell(32, RunWhat::Summary { outcomes, duration_ms: 32_000, findings: Vec::new() });
}

/// Returns a folder of runs with one, and that run.
fn a_run(ends: bool) -> (tempfile::TempDir, Runs, RunId) {
    let dir = tempfile::tempdir().unwrap();
    let runs = Runs::open(dir.path()).unwrap();
    let mut writer = runs.begin(None).unwrap();
    let run = writer.run().clone();
    write_run(&mut writer, ends);
    writer.finish();
    (dir, runs, run)
}

fn exported(runs: &Runs, run: &RunId, path: &Path) {
    let names = serde_json::to_value(FleetNames::of(&fleet(), "/home/me")).unwrap();
    runs.export(run, names, &KnownSecrets::default(), File::create(path).unwrap()).unwrap();
}

/// Returns what a screen shows after each of these keys, with the logs that it asks for.
fn screens(mut model: Model, runs: &Runs, news: Vec<Msg>, size: (u16, u16)) -> Vec<String> {
    let theme = Theme::named("terminal").unwrap();
    let look = Look::new(theme, Depth::Ansi16, false, TimeZone::UTC);
    let mut shown = Vec::new();
    update(&mut model, Msg::Resize(size.0, size.1), at(60));
    for message in news {
        update(&mut model, message, at(60));
    }
    for key in ["3", "\t", "z", "4", "g", "5"] {
        let code = match key {
            "\t" => KeyCode::Tab,
            key => KeyCode::Char(key.chars().next().unwrap()),
        };
        update(&mut model, Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)), at(60));
        for effect in view_logs(&mut model) {
            let messages = match effect {
                Effect::ViewLogs(logs) => follow_logs::look_once(runs, logs),
                Effect::ShowLogs(Some(wanted)) => look_once(runs, &wanted),
                _ => Vec::new(),
            };
            for message in messages {
                update(&mut model, message, at(60));
            }
        }
        let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
        terminal.draw(|frame| draw(&model, &look, frame, at(60))).unwrap();
        shown.push(terminal.backend().to_string());
    }
    shown
}

/// Returns the screen of a record.
fn of_record(fleet: Fleet) -> Model {
    view_run::of_record(Model::new(Arc::new(fleet), Timestamp::now()))
}

#[test]
fn an_exported_run_shows_elsewhere_what_it_shows_here() {
    for ends in [true, false] {
        let (dir, here, run) = a_run(ends);
        let file = dir.path().join("run.jsonl.gz");
        exported(&here, &run, &file);
        let elsewhere = tempfile::tempdir().unwrap();
        let there = Runs::open(elsewhere.path()).unwrap();
        let head = there.import(&file).unwrap();
        // Here its process is gone, too.
        std::fs::write(here.folder(&run).join("process"), "1 1\n").unwrap();
        for size in [(200, 50), (80, 24), (40, 10)] {
            let mut original = fleet();
            original.flake = Some("~/nixos".to_owned());
            let one = screens(of_record(original), &here, view_run::news(&here, &head), size);
            let other =
                screens(of_record(fleet_of(&head)), &there, view_run::news(&there, &head), size);
            for (one, other) in one.iter().zip(&other) {
                assert_eq!(one, other);
                assert!(other.contains("#1") || size.0 == 40, "{other}");
            }
            assert!(one.iter().any(|screen| screen.contains("copying 39 from")) || size.0 == 40);
        }
    }
}

#[test]
fn an_exported_run_is_told_as_the_history_tells_it() {
    let (dir, here, run) = a_run(true);
    let file = dir.path().join("run.jsonl.gz");
    exported(&here, &run, &file);
    let elsewhere = tempfile::tempdir().unwrap();
    let there = Runs::open(elsewhere.path()).unwrap();
    let head = there.import(&file).unwrap();
    let told = row(&head.run, &there.decided(&head.run));
    assert_eq!((told.title.as_str(), told.duration_ms), ("switch via-cache", Some(32_000)));
    let outcomes: Vec<_> = told
        .hosts
        .iter()
        .map(|(host, result)| (host.as_str(), result.as_ref().map(|result| result.outcome)))
        .collect();
    assert_eq!(outcomes, [("p620", Some(Outcome::Switched)), ("samsung", Some(Outcome::Failed))]);
    let error = told.hosts[1].1.as_ref().unwrap().error.clone();
    assert_eq!(error.as_deref(), Some("http://[secret]@p620.lan:5000 answered 500"));
}

#[test]
fn a_fleet_travels_by_its_names_alone() {
    let fleet = fleet();
    let names = FleetNames::of(&fleet, "/home/me");
    let text = serde_json::to_string(&names).unwrap();
    assert!(text.contains("~/nixos") && !text.contains("p620.lan\"]"), "{text}");
    let shown = names.fleet();
    assert_eq!(
        shown.hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>(),
        ["p620", "samsung"]
    );
    assert!(shown.hosts.iter().all(|host| host.addresses.is_empty()));
    assert_eq!(shown.tiers[0].url, fleet.tiers[0].url);
    assert_eq!(shown.publish_tier().map(|tier| tier.name.as_str()), Some("p620"));
}

#[test]
fn nothing_is_started_from_the_screen_of_a_record() {
    let mut model = of_record(fleet());
    model.screen = Screen::Fleet;
    for key in ['d', 'b', 'r', 'R', 'x', 'm', 'v'] {
        let event = KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE);
        assert_eq!(update(&mut model, Msg::Key(event), at(60)), [], "{key}");
        assert_eq!(model.overlay(), None, "{key}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_full_disk() {
    let write = |kind: io::ErrorKind| ExportError::Write {
        run: RunId("5".to_owned()),
        source: kind.into(),
    };
    assert!(to_output(write(io::ErrorKind::BrokenPipe)).is_closed_pipe());
    let full = to_output(write(io::ErrorKind::StorageFull));
    assert!(full.to_string().contains("is the disk full?"), "{full}");
}

#[test]
fn a_command_that_runs_does_not_have_is_no_host() {
    let refused = |words: &[&str]| {
        let cli = crate::cli::Cli::try_parse_from([&["nixdash", "runs"], words].concat()).unwrap();
        let Some(crate::cli::CliCommand::Runs(args)) = cli.command else { panic!("{words:?}") };
        args.list.refuse_a_command(&fleet()).err().map(|error| error.to_string())
    };
    let said = refused(&["show", "1"]).unwrap();
    assert!(said.contains("`nixdash logs 1` shows a run"), "{said}");
    assert_eq!(refused(&["samsung"]), None);
    assert_eq!(refused(&["sho"]), None, "a host that is not there is told as everywhere");
}
