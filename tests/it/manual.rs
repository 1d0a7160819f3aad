//! The manual and the completions, as packages install them.

use std::path::Path;
use std::process::{Command, Output};

/// Runs nixdash in a folder.
fn nixdash(args: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nixdash"))
        .args(args)
        .current_dir(dir)
        .env_remove("NIXDASH_HOSTS")
        .output()
        .unwrap()
}

#[test]
fn every_subcommand_has_a_page_of_the_manual() {
    let dir = tempfile::tempdir().unwrap();
    let output = nixdash(&["man", "--dir", "new/man1"], dir.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut pages: Vec<String> = std::fs::read_dir(dir.path().join("new/man1"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    for page in ["nixdash.1", "nixdash-deploy.1", "nixdash-config-check.1", "nixdash-lab-fault.1"] {
        assert!(pages.iter().any(|name| name == page), "no {page} in {pages:?}");
    }
    // What is hidden, and clap's own help, have none.
    assert!(!pages.iter().any(|name| name.contains("serve") || name.contains("help")), "{pages:?}");
    for page in &pages {
        // One subcommand has a hyphen of its own.
        let path = page.trim_end_matches(".1").replace("trust-host", "trust_host");
        let words: Vec<String> =
            path.split('-').skip(1).map(|word| word.replace('_', "-")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let kept = std::fs::read(dir.path().join("new/man1").join(page)).unwrap();
        let printed = nixdash(&[&["man"][..], &words].concat(), dir.path());
        assert!(printed.status.success(), "{page}");
        assert!(printed.stdout == kept, "{page} is not what `nixdash man {words:?}` prints");
    }
    let deploy = std::fs::read_to_string(dir.path().join("new/man1/nixdash-deploy.1")).unwrap();
    assert!(deploy.contains("Examples:") && deploy.contains("deploy @laptop"), "{deploy}");
}

#[test]
fn a_page_that_is_not_there_names_those_that_are() {
    let dir = tempfile::tempdir().unwrap();
    let output = nixdash(&["man", "lab", "falt"], dir.path());
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("nixdash lab has no subcommand \"falt\"; it has: up,"), "{said}");
    assert!(!said.contains("serve"), "{said}");
}

#[test]
fn every_shell_gets_a_script_that_asks_nixdash() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = nixdash(&["completions", shell], dir.path());
        let script = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && script.contains("NIXDASH_COMPLETE"),
            "{shell}: {script}"
        );
        assert!(!script.contains(env!("CARGO_MANIFEST_DIR")), "{shell}: {script}");
    }
}

#[test]
fn hosts_and_tags_of_the_named_fleet_are_completed_and_nothing_of_a_broken_one() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = "[hosts.samsung]\ntags = [\"laptop\"]\n[hosts.p510]\nprotected = true\n";
    std::fs::write(dir.path().join("fleet.toml"), fleet).unwrap();
    std::fs::write(dir.path().join("hosts.toml"), "[hosts.here").unwrap();
    let complete = |line: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_nixdash"))
            .args(["--", "nixdash"])
            .args(line)
            .current_dir(dir.path())
            .env("NIXDASH_COMPLETE", "fish")
            .env_remove("NIXDASH_HOSTS")
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        let words = words.lines().filter_map(|line| line.split('\t').next());
        let mut words: Vec<String> = words.map(str::to_owned).collect();
        // `--next` and what stands before it take the same words.
        words.dedup();
        words
    };
    let named = ["--hosts", "fleet.toml"];
    let with = |line: &[&str]| complete(&[&named[..], line].concat());
    assert_eq!(with(&["status", "s"]), ["samsung"]);
    assert_eq!(with(&["deploy", "@"]), ["@laptop"]);
    assert_eq!(with(&["deploy", "samsung", "--allow-protected", ""]), ["p510"]);
    assert_eq!(with(&["caches", "--next", "sa"]), ["samsung"]);
    assert_eq!(with(&["deploy", "--strategy", "d"]), ["direct"]);
    assert_eq!(complete(&["status", "sa"]), [] as [&str; 0], "hosts.toml has a mistake");
    assert_eq!(complete(&["lab", "shell", "p6"]), ["p620"]);
}
