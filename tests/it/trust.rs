//! A `hosts.toml` in the current folder, which anybody may have put there, runs nothing until a
//! person trusts it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder with a hostile fleet: each thing in it that runs leaves a file behind.
struct Hostile {
    dir: tempfile::TempDir,
    state: tempfile::TempDir,
}

impl Hostile {
    fn new() -> Self {
        let hostile =
            Self { dir: tempfile::tempdir().unwrap(), state: tempfile::tempdir().unwrap() };
        let fleet = format!(
            "[fleet]\nflake = \".\"\nbuilder = \"far\"\nssh_config = \"ssh\"\n\
             [hosts.far]\naddresses = [\"root@192.0.2.1\"]\ncheck = [\"touch checked\"]\n\
             [[tiers]]\nname = \"evil\"\nkind = \"http\"\nurl = \"http://127.0.0.1:1\"\n\
             host = \"far\"\npublic_key = \"{KEY}\"\n\
             token = {{ command = [\"sh\", \"token.sh\"] }}\n"
        );
        hostile.write("hosts.toml", &fleet);
        hostile.write("token.sh", &format!("touch {}\necho x\n", hostile.mark("token").display()));
        let proxy = hostile.mark("proxy");
        hostile.write("ssh", &format!("Host *\n  ProxyCommand touch {}\n", proxy.display()));
        hostile.write("flake.nix", "{ outputs = _: throw \"evaluated\"; }");
        hostile
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns the file that is left behind by something that ran.
    fn mark(&self, what: &str) -> PathBuf {
        self.state.path().join(format!("{what}-ran"))
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), Permissions::from_mode(0o600)).unwrap();
    }

    /// Runs nixdash in the folder.
    fn nixdash(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_nixdash"))
            .args(args)
            .current_dir(self.dir.path())
            .env("HOME", self.state.path())
            .env("XDG_STATE_HOME", self.state.path())
            .env("XDG_CONFIG_HOME", self.state.path())
            .env_remove("NIXDASH_HOSTS")
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Measures once and returns what the line says, and what ran meanwhile.
    fn line(&self) -> (String, Vec<&'static str>) {
        // What was told just now would be taken from the history.
        for end in ["", "-wal", "-shm"] {
            let kept = self.state.path().join(format!("nixdash/nixdash.db{end}"));
            drop(fs::remove_file(kept));
        }
        let output = self.nixdash(&["status", "--line"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let ran = ["token", "proxy"].into_iter().filter(|what| {
            let mark = self.mark(what);
            let was_there = mark.exists();
            if was_there {
                fs::remove_file(&mark).unwrap();
            }
            was_there
        });
        (said, ran.collect())
    }
}

const KEY: &str = "p620-1:NiNfYW82Gw9o49ng/jhUKy3RmtBlesa/LQ0HuCcuSeU=";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_file_in_the_current_folder_runs_nothing_until_it_is_trusted() {
    let hostile = Hostile::new();
    let (line, ran) = hostile.line();
    assert!(line.contains("hosts.toml not trusted"), "{line}");
    assert_eq!(ran, [""; 0]);
    let status = said(&hostile.nixdash(&["status"]));
    assert_eq!(status.matches("is not trusted yet").count(), 1, "{status}");
    assert!(status.contains("far") && status.contains("evil"), "{status}");
    let json = hostile.nixdash(&["status", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(json["untrusted"].as_str().unwrap().contains("nixdash trust"), "{json}");
    for command in ["deploy", "build"] {
        let yes: &[&str] = if command == "deploy" { &["--yes"] } else { &[] };
        let output = hostile.nixdash(&[&[command, "far"], yes].concat());
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains("run `nixdash trust`"), "{}", said(&output));
    }
    assert_eq!(hostile.line().1, [""; 0]);

    let trusted = said(&hostile.nixdash(&["trust"]));
    assert!(trusted.contains("runs sh token.sh") && trusted.contains("touch checked"), "{trusted}");
    let (line, ran) = hostile.line();
    assert!(!line.contains("not trusted"), "{line}");
    assert_eq!(ran, ["token", "proxy"]);

    // One byte of a file that it names: asked again.
    let script = fs::read_to_string(hostile.path("token.sh")).unwrap();
    hostile.write("token.sh", &format!("{script}#"));
    assert_eq!(hostile.line().1, [""; 0]);
    let status = said(&hostile.nixdash(&["status"]));
    assert!(status.contains("token.sh was changed since"), "{status}");
    hostile.write("token.sh", &script);
    assert_eq!(hostile.line().1, ["token", "proxy"]);
    hostile.nixdash(&["trust", "--revoke"]);
    assert_eq!(hostile.line().1, [""; 0]);
}

#[test]
fn a_file_that_a_person_names_needs_no_trust() {
    let hostile = Hostile::new();
    hostile.nixdash(&["--hosts", "hosts.toml", "status", "--line"]);
    assert!(hostile.mark("token").exists() && hostile.mark("proxy").exists());
}

#[test]
fn a_file_that_others_may_write_cannot_be_trusted() {
    let hostile = Hostile::new();
    let refused = |path: &Path, mode, back| {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        let output = hostile.nixdash(&["trust"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains("others can write"), "{}", said(&output));
        assert_eq!(hostile.line().1, [""; 0]);
        fs::set_permissions(path, Permissions::from_mode(back)).unwrap();
    };
    refused(&hostile.path("hosts.toml"), 0o666, 0o600);
    refused(hostile.dir.path(), 0o777, 0o700);
    assert_eq!(hostile.nixdash(&["trust"]).status.code(), Some(0));
}
