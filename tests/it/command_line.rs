//! The command line without a fleet: usage, errors, exit codes.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs nixdash in an empty folder with a state of its own.
fn nixdash(args: &[&str], config: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_nixdash"));
    command.env_remove("NIXDASH_HOSTS");
    if !config.is_empty() {
        std::fs::write(dir.path().join("hosts.toml"), config).unwrap();
        command.env("NIXDASH_HOSTS", "hosts.toml");
    }
    command
        .args(args)
        .current_dir(dir.path())
        .env("XDG_STATE_HOME", dir.path().join("state"))
        .env("XDG_CONFIG_HOME", dir.path().join("config"))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const FLEET: &str = r#"
[fleet]
flake = "/nonexistent"
builder = "p620"

[hosts.p620]
addresses = ["root@192.0.2.1"]

[hosts.samsung]
addresses = ["root@192.0.2.2"]
tags = ["laptop"]

[hosts.p510]
addresses = ["root@192.0.2.3"]
protected = true

[[tiers]]
name = "p620"
kind = "nix-serve"
url = "http://192.0.2.1:5000"
public_key = "p620-1:NiNfYW82Gw9o49ng/jhUKy3RmtBlesa/LQ0HuCcuSeU="
host = "p620"
"#;

#[test]
fn a_mistake_in_the_configuration_is_named_with_its_place() {
    let output = nixdash(&["config", "check"], "[fleet]\nbuildr = \"p620\"\n");
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("hosts.toml:2:1"), "{said}");
    assert!(said.contains("builder"), "{said}");
}

#[test]
fn a_dash_reads_hosts_from_standard_input_wherever_hosts_are_selected() {
    for args in [
        &["status", "-"][..],
        &["deploy", "-"],
        &["build", "-"],
        &["rollback", "-"],
        &["wake", "-"],
        &["history", "-"],
        &["trust-host", "-"],
        &["caches", "--deep", "-"],
        &["caches", "--next", "-"],
    ] {
        let output = nixdash(args, FLEET);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        let said = stderr(&output);
        assert!(said.contains("from standard input, and none came"), "{args:?}: {said}");
    }
}

#[test]
fn a_right_configuration_is_called_right() {
    let output = nixdash(&["config", "check"], FLEET);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("3 hosts, 1 tier"), "{said}");
}

#[test]
fn what_is_hardly_meant_is_a_warning() {
    let said = |config: &str| {
        let output = nixdash(&["config", "check"], config);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let gone = said(FLEET);
    assert!(gone.contains("right, with 1 warning") && gone.contains("no /nonexistent"), "{gone}");
    let empty = said("# nothing yet\n");
    assert!(empty.contains("names no host and no tier"), "{empty}");
    for half in ["[[tiers]]\nname = \"x\"\nkind = \"http\"\nurl = \"http://x\"\n", "[hosts.x]\n"] {
        let half = said(half);
        assert!(half.contains("right;") && !half.contains("warning"), "{half}");
    }
    let fine = said(&FLEET.replace("/nonexistent", "git+ssh://git@example.org/nixos"));
    assert!(fine.contains("right;") && !fine.contains("warning"), "{fine}");
    for flake in [".", "./"] {
        let none = said(&FLEET.replace("/nonexistent", flake));
        assert!(none.contains("there is no flake.nix in /"), "{none}");
    }
    let below = said(&FLEET.replace("/nonexistent", "./nixos"));
    assert!(below.contains("there is no /") && below.contains("/nixos on this machine"), "{below}");
}

#[test]
fn a_fleet_that_is_deployed_via_cache_without_a_tier_is_a_mistake() {
    let fleet = FLEET.split("[[tiers]]").next().unwrap();
    let output = nixdash(&["config", "check"], fleet);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    for words in [
        "hosts.toml: the strategy of samsung and p510 is via-cache, but no tier serves the store of the",
        "hint: add [[tiers]]",
    ] {
        assert!(said.contains(words), "{said}");
    }
    // It can be looked at all the same.
    let output = nixdash(&["history"], fleet);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn a_fleet_of_tiers_only_is_looked_at_like_any_other() {
    let fleet = "[[tiers]]\nname = \"gone\"\nkind = \"http\"\nurl = \"http://127.0.0.1:9\"\n";
    for (args, words) in [
        (&["status"][..], "gone  http  down"),
        (&["status", "--json"], "\"hosts\": []"),
        (&["status", "--line"], "0"),
        (&["caches"], "gone  http  down"),
        (&["history"], "no runs"),
        (&["config", "check"], "right; 0 hosts, 1 tier"),
        (&["config", "check"], "the file names no host: add [hosts.NAME]"),
    ] {
        let output = nixdash(args, fleet);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(words) && !said.contains("HOST "), "{args:?}: {said}");
    }
    // Who names hosts, or wants them built, has to have some.
    for args in [&["status", "p620"][..], &["deploy", "all", "--yes"], &["caches", "--next"]] {
        let output = nixdash(args, fleet);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(stderr(&output).contains("the fleet has no hosts"), "{}", stderr(&output));
    }
}

#[test]
fn a_selector_that_selects_nothing_names_the_hosts_there_are() {
    let output = nixdash(&["deploy", "samsnug", "--yes"], FLEET);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("p620, samsung, p510"), "{}", stderr(&output));
}

#[test]
fn a_protected_host_is_refused_before_anything_happens() {
    let output = nixdash(&["deploy", "all", "--yes"], FLEET);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--allow-protected p510"), "{}", stderr(&output));
}

#[test]
fn without_a_terminal_and_without_yes_nothing_is_deployed() {
    let output = nixdash(&["deploy", "samsung"], FLEET);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--yes"), "{}", stderr(&output));
}

#[test]
fn what_is_wrong_with_a_request_is_told_before_the_missing_terminal() {
    for (args, word) in [
        (&["deploy", "samsnug"][..], "p620, samsung, p510"),
        (&["deploy", "@laptops"], "laptop"),
        (&["deploy", "p510"], "--allow-protected p510"),
        (&["deploy", "samsung", "--allow-protected", "p51"], "p510"),
    ] {
        let output = nixdash(args, FLEET);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let said = stderr(&output);
        assert!(said.contains(word) && !said.contains("terminal"), "{args:?}: {said}");
    }
}

#[test]
fn a_named_file_that_is_not_there_is_an_error() {
    let output = nixdash(&["status", "--hosts", "nowhere.toml"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("nowhere.toml"), "{}", stderr(&output));
}

#[test]
fn keys_that_cannot_be_are_mistakes_with_both_places() {
    let keys = "[keys]\nzoom = \"f5\"\nrefresh = \"f5\"\ndepoly = \"D\"\n";
    let output = nixdash(&["config", "check"], keys);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    for part in
        ["line 3, column 1", "line 2 gives it to `zoom` too", "line 4, column 1", "`deploy`"]
    {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn wrong_usage_exits_with_two() {
    assert_eq!(nixdash(&["deploy"], FLEET).status.code(), Some(2));
    assert_eq!(nixdash(&["nonsense"], FLEET).status.code(), Some(2));
}

#[test]
fn generated_pages_are_what_the_program_prints() {
    for (args, page) in [
        (&["findings"][..], "findings.md"),
        (&["config", "keys"], "hosts.md"),
        (&["config", "shortcuts"], "keys.md"),
    ] {
        let printed = nixdash(args, "");
        let path = format!("{}/docs/{page}", env!("CARGO_MANIFEST_DIR"));
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        let command = args.join(" ");
        let stale = format!("docs/{page} is stale: run `nixdash {command} > docs/{page}`");
        assert!(String::from_utf8_lossy(&printed.stdout) == kept, "{stale}");
    }
}

#[test]
fn the_repositorys_own_example_is_right() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/hosts.toml");
    let output = nixdash(&["config", "check", "--hosts", example], "");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nixdash"))
        .arg("man")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let mut said = std::io::stderr();
    writeln!(said, "{}", stderr(&output)).unwrap();
    assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
}

#[test]
fn a_history_of_nothing_has_no_runs() {
    let output = nixdash(&["history"], FLEET);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "no runs\n");
    let output = nixdash(&["history", "--json", "samsung", "--since", "7d"], FLEET);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json, serde_json::json!({"runs": []}));
    assert_eq!(nixdash(&["history", "samsnug"], FLEET).status.code(), Some(2));
    assert_eq!(nixdash(&["history", "--since", "soon"], FLEET).status.code(), Some(2));
}

#[test]
fn what_cannot_be_known_of_a_cache_is_not_a_number() {
    let fleet = "[hosts.here]\naddresses = []\n[[tiers]]\nname = \"gone\"\nkind = \"http\"\n\
                 url = \"http://127.0.0.1:9\"\nmax_size = \"1GB\"\n";
    let output = nixdash(&["caches"], fleet);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let row = said.lines().find(|line| line.starts_with("gone")).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells[..3], ["gone", "http", "down"], "{said}");
    assert!(cells[3..].iter().all(|cell| *cell == "–"), "{said}");
    assert!(said.contains("gone: http://127.0.0.1:9/nix-cache-info: "), "{said}");
    let output = nixdash(&["caches", "--json", "--since", "12h"], fleet);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["tiers"][0]["state"], "down");
    assert_eq!(json["tiers"][0]["size"], serde_json::Value::Null);
    assert_eq!(json["hit_rate"]["all"]["7d"], serde_json::Value::Null);
}

#[test]
fn a_history_that_is_no_database_is_moved_aside_and_that_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("nixdash");
    std::fs::create_dir(&state).unwrap();
    std::fs::write(state.join("nixdash.db"), "not a database, but long enough ".repeat(99))
        .unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_nixdash"))
        .arg("history")
        .current_dir(dir.path())
        .env("XDG_STATE_HOME", dir.path())
        .env_remove("NIXDASH_HOSTS")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).contains("was corrupt; it was moved to"), "{}", stderr(&output));
    assert!(stderr(&output).contains("nixdash.db.corrupt-20"), "{}", stderr(&output));
}

#[test]
fn two_exporters_do_not_share_an_address() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = nixdash(&["exporter", "--listen", &address], "[hosts.here]\naddresses = []\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("is another exporter running there?"), "{}", stderr(&output));
}

#[test]
fn a_hosts_toml_is_made_where_none_is_and_an_existing_one_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let init = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_nixdash"))
            .arg("init")
            .args(args)
            .current_dir(dir.path())
            .env_remove("NIXDASH_HOSTS")
            .env("HOME", dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    let shown = init(&[]);
    assert_eq!(shown.status.code(), Some(0), "{}", stderr(&shown));
    let said = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(said.contains("No flake was found") && said.contains("Nothing was written"), "{said}");
    assert!(!dir.path().join("hosts.toml").exists());

    let asked = init(&["--write"]);
    assert_eq!(asked.status.code(), Some(2));
    assert!(stderr(&asked).contains("there is no terminal to ask on"), "{}", stderr(&asked));

    let made = init(&["--output", "hosts.toml"]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    let text = std::fs::read_to_string(dir.path().join("hosts.toml")).unwrap();
    assert!(text.starts_with("# The fleet, as `nixdash init` found it."), "{text}");

    let again = init(&["--output", "hosts.toml"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("never overwrites a file"), "{}", stderr(&again));
    let lacks = init(&[]);
    let said = String::from_utf8_lossy(&lacks.stdout).into_owned();
    assert!(said.contains("has everything that was found"), "{said}");
    assert_eq!(std::fs::read_to_string(dir.path().join("hosts.toml")).unwrap(), text);
}
