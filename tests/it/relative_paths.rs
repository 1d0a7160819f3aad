//! Every relative path in `hosts.toml` starts from the folder of the file, wherever nixdash is started.

use crate::programs::write_program;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A fleet in one folder, with other files of the same names where nixdash is started.
struct TwoFolders {
    dir: tempfile::TempDir,
}

impl TwoFolders {
    fn new() -> Self {
        let folders = Self { dir: tempfile::tempdir().unwrap() };
        for folder in ["fleet", "elsewhere", "home"] {
            fs::create_dir(folders.path(folder)).unwrap();
        }
        folders
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_program(&path, text);
    }

    /// Runs nixdash in the other folder and returns all that it said.
    fn said(&self, args: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_nixdash"))
            .arg("--hosts")
            .arg(self.path("fleet/hosts.toml"))
            .args(args)
            .current_dir(self.path("elsewhere"))
            .env("HOME", self.path("home"))
            .env("XDG_STATE_HOME", self.path("home"))
            // As in a hook of another repository.
            .env("GIT_DIR", self.path("home"))
            .env_remove("XDG_CONFIG_HOME")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        format!("{}{}", text(&output.stdout), text(&output.stderr))
    }
}

#[test]
fn a_flake_is_looked_for_beside_the_file() {
    for flake in ["lab/fleet", "./lab/fleet", "path:lab/fleet", "../fleet/lab/fleet"] {
        let folders = TwoFolders::new();
        folders.write(
            "fleet/hosts.toml",
            &format!("[fleet]\nflake = {flake:?}\nstrategy = \"direct\"\n[hosts.a]\n"),
        );
        folders.write("elsewhere/lab/fleet/flake.nix", "{ outputs = _: { }; }");
        let missing = folders.said(&["config", "check"]);
        let named = format!("there is no {}", folders.path("fleet").display());
        assert!(missing.contains(&named) || missing.contains("/fleet/../fleet"), "{missing}");
        folders.write("fleet/lab/fleet/flake.nix", "{ outputs = _: { }; }");
        let found = folders.said(&["config", "check"]);
        assert!(found.contains("right; 1 host"), "{flake}: {found}");
    }
}

#[test]
fn a_flake_in_a_subfolder_of_a_repository_is_found_and_must_be_tracked() {
    let folders = TwoFolders::new();
    folders.write(
        "fleet/hosts.toml",
        "[fleet]\nflake = \"git+file:.?dir=nixos\"\nstrategy = \"direct\"\n[hosts.a]\n",
    );
    folders.write("fleet/nixos/flake.nix", "{ outputs = _: { }; }");
    let git = |args: &[&str]| {
        let status = Command::new("git").args(args).current_dir(folders.path("fleet")).status();
        assert!(status.unwrap().success());
    };
    let said = folders.said(&["config", "check"]);
    assert!(said.contains("is not a git repository"), "{said}");
    git(&["init", "-q", "."]);
    let said = folders.said(&["config", "check"]);
    assert!(said.contains("git does not track nixos/flake.nix"), "{said}");
    git(&["add", "nixos/flake.nix"]);
    let said = folders.said(&["config", "check"]);
    assert!(said.contains("right; 1 host"), "{said}");
}

#[test]
fn secrets_certificates_and_ssh_settings_are_read_beside_the_file() {
    let folders = TwoFolders::new();
    let seen = |name: &str| folders.path(&format!("home/{name}"));
    let mark = |name: &str| format!("#!/bin/sh\ntouch {}\necho secret\n", seen(name).display());
    let tier = |name: &str, more: &str| {
        format!(
            "[[tiers]]\nname = \"{name}\"\nkind = \"http\"\nurl = \"http://127.0.0.1:1/{name}\"\n{more}\n"
        )
    };
    let text = format!(
        "[fleet]\nssh_config = \"ssh\"\n[hosts.far]\naddresses = [\"root@192.0.2.1\"]\n{}{}{}{}",
        tier("program", "token = { command = [\"bin/token\"] }"),
        tier("script", "token = { command = [\"sh\", \"script.sh\"] }"),
        tier("file", "token = { file = \"keys/token\" }"),
        tier("authority", "ca_file = \"ca.pem\""),
    );
    folders.write("fleet/hosts.toml", &text);
    folders.write("fleet/bin/token", &mark("program-right"));
    folders.write("elsewhere/bin/token", &mark("program-wrong"));
    folders.write("fleet/script.sh", &mark("script-right"));
    folders.write("elsewhere/script.sh", &mark("script-wrong"));
    folders.write("elsewhere/keys/token", "secret\n");
    folders.write("elsewhere/ca.pem", "no certificate\n");
    let proxy = |name: &str| format!("Host *\n  ProxyCommand touch {}\n", seen(name).display());
    folders.write("fleet/ssh", &proxy("ssh-right"));
    folders.write("elsewhere/ssh", &proxy("ssh-wrong"));
    let said = folders.said(&["status", "--json"]);
    for name in ["program", "script", "ssh"] {
        assert!(seen(&format!("{name}-right")).exists(), "{name}: {said}");
        assert!(!seen(&format!("{name}-wrong")).exists(), "{name}: {said}");
    }
    for name in ["fleet/keys/token", "fleet/ca.pem"] {
        let path = folders.path(name);
        assert!(said.contains(&path.display().to_string()), "{name}: {said}");
    }
    assert!(Path::new(&folders.path("fleet")).is_dir());
}
