//! Flakes of every kind: evaluated here, and evaluated on the builder, they are the same system.

use super::{Lab, assert_ok, on};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Files of a flake, and what makes it one of its kind.
struct Workshop {
    dir: tempfile::TempDir,
}

/// The outputs of a flake whose system holds this text.
fn outputs(text: &str) -> String {
    format!(
        "outputs = {{ self, ... }}@inputs: {{
          nixosConfigurations.samsung.config.system.build.toplevel = derivation {{
            name = \"nixos-system-samsung-test\"; system = \"x86_64-linux\"; builder = \"/bin/sh\";
            text = {text}; source = self.sourceInfo.outPath;
          }};
        }};"
    )
}

/// What a flake in git knows of its commit.
const COMMIT: &str =
    "(self.rev or \"dirty\") + toString (self.revCount or 0) + toString self.lastModified";

impl Workshop {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes a `flake.nix` whose system holds a text.
    fn flake(&self, dir: &str, inputs: &str, text: &str) {
        self.write(&format!("{dir}/flake.nix"), &format!("{{ {inputs} {} }}", outputs(text)));
    }

    fn git(&self, dir: &str, args: &[&str]) {
        let output = with_git(&mut Command::new("git"))
            .args(["-c", "user.name=me", "-c", "user.email=me@example.org"])
            .args(args)
            .current_dir(self.path(dir))
            .output()
            .unwrap();
        assert_ok(&output);
    }

    /// Makes a folder a repository of two commits.
    fn commit(&self, dir: &str) {
        self.git(dir, &["init", "-q", "-b", "main", "."]);
        self.git(dir, &["commit", "-q", "--allow-empty", "-m", "Begin"]);
        self.git(dir, &["add", "."]);
        self.git(dir, &["commit", "-q", "-m", "Write a flake"]);
    }

    /// Returns a reference with the folder's path for `DIR`.
    fn reference(&self, text: &str) -> String {
        text.replace("DIR", &self.dir.path().display().to_string())
    }

    /// Locks a flake's inputs, as a person does before they deploy.
    fn lock(&self, dir: &str) {
        let output = with_git(&mut Command::new("nix"))
            .args(["--extra-experimental-features", "nix-command flakes", "flake", "lock"])
            .arg(self.path(dir))
            .output()
            .unwrap();
        assert_ok(&output);
    }
}

/// Lets git and Nix take submodules from folders, and from a server that is a program here.
fn with_git(command: &mut Command) -> &mut Command {
    command
        .env("XDG_CACHE_HOME", std::env::temp_dir().join("nixdash-test-flakes"))
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "protocol.file.allow")
        .env("GIT_CONFIG_VALUE_0", "always")
        .env("GIT_SSH_COMMAND", "sh -c 'for word; do :; done; eval \"$word\"' ssh")
}

/// Asks what samsung's next system is, with this flake, evaluated at this place.
fn asked(fleet: &Lab, flake: &str, place: &str) -> Output {
    let text = fs::read_to_string(&fleet.hosts_file).unwrap();
    let lines = text.lines().map(|line| match line.split('=').next().map(str::trim) {
        Some("flake") => format!("flake = {flake:?}\n"),
        Some("evaluate") => format!("evaluate = {place:?}\n"),
        Some(_) | None => format!("{line}\n"),
    });
    let file = fleet.state.path().join(format!("{place}.toml"));
    fs::write(&file, lines.collect::<String>()).unwrap();
    let mut command = Command::new(super::nixdash());
    command.arg("--hosts").arg(&file).args(["caches", "--json", "--next", "samsung"]);
    with_git(&mut command).env("XDG_STATE_HOME", fleet.state.path()).output().unwrap()
}

/// Returns what was found of samsung's next system.
fn next(output: &Output) -> Value {
    let found: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    found["next"]["samsung"].clone()
}

/// Checks that a flake is the same system here and on the builder.
fn assert_same(fleet: &Lab, what: &str, flake: &str) {
    let [here, there] = ["here", "builder"].map(|place| next(&asked(fleet, flake, place)));
    for (place, found) in [("here", &here), ("there", &there)] {
        assert_eq!(found["error"], Value::Null, "{what} {place}: {found}");
        assert!(found["toplevel"].is_string(), "{what} {place}: {found}");
    }
    assert_eq!(here["toplevel"], there["toplevel"], "{what}");
    println!("{what}: {flake} is {} here and on p620", here["toplevel"]);
}

/// Returns the error of a flake that is evaluated at this place.
fn error(fleet: &Lab, flake: &str, place: &str) -> String {
    let found = next(&asked(fleet, flake, place));
    found["error"].as_str().unwrap_or_else(|| panic!("{found}")).to_owned()
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn eight_flakes_are_the_same_system_here_and_on_the_builder() {
    let (fleet, shop) = (Lab::healthy(), Workshop::new());
    let shown = |what: &str, flake: &str| assert_same(&fleet, what, &shop.reference(flake));

    shop.flake("plain", "", "builtins.readFile ./a.txt");
    shop.write("plain/a.txt", "a");
    shown("a folder without git", "DIR/plain");

    shop.flake("repo", "", COMMIT);
    shop.commit("repo");
    shown("a git repository", "DIR/repo");

    shop.flake("whole/nixos", "", &format!("builtins.readFile ../shared.txt + {COMMIT}"));
    shop.write("whole/shared.txt", "shared");
    shop.commit("whole");
    shown("a subfolder that reads ../", "DIR/whole/nixos");

    shop.git("whole", &["checkout", "-q", "-b", "other"]);
    shop.write("whole/shared.txt", "other");
    shop.git("whole", &["commit", "-q", "-a", "-m", "Change it"]);
    shop.git("whole", &["checkout", "-q", "main"]);
    shown("another branch", "git+file://DIR/whole?dir=nixos&ref=other");

    shop.write("whole/shared.txt", "not committed yet");
    shown("a dirty work tree", "git+file://DIR/whole?dir=nixos");

    shop.write("part/part.txt", "part");
    shop.commit("part");
    shop.flake("parts", "", &format!("builtins.readFile ./part/part.txt + {COMMIT}"));
    shop.commit("parts");
    let part = shop.path("part").display().to_string();
    shop.git("parts", &["submodule", "--quiet", "add", &part, "part"]);
    shop.git("parts", &["commit", "-q", "-m", "Add a part"]);
    shown("submodules", "git+file://DIR/parts?submodules=1");

    let inputs = shop.reference(
        "inputs.own = { url = \"path:DIR/own\"; flake = false; }; \
         inputs.part = { url = \"git+file://DIR/part\"; flake = false; };",
    );
    shop.write("own/own.txt", "own");
    let text = "builtins.readFile \"${inputs.own}/own.txt\" + builtins.readFile \"${inputs.part}/part.txt\"";
    shop.flake("inputs", &inputs, text);
    shop.commit("inputs");
    shop.lock("inputs");
    shown("inputs of this machine", "DIR/inputs");

    shown("a repository over ssh", "git+ssh://git@git.example.orgDIR/repo?ref=main");
    let left = on("p620", "ls ~/.cache/nixdash 2>/dev/null | grep source- || true");
    assert_eq!(left, "", "sources are removed");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn submodules_of_another_commit_and_shallow_clones_are_the_same_there_too() {
    let (fleet, shop) = (Lab::healthy(), Workshop::new());
    shop.write("part/part.txt", "part");
    shop.commit("part");
    shop.flake("parts", "", &format!("builtins.readFile ./part/part.txt + {COMMIT}"));
    shop.commit("parts");
    let part = shop.path("part").display().to_string();
    shop.git("parts", &["submodule", "--quiet", "add", &part, "part"]);
    shop.git("parts", &["commit", "-q", "-m", "Add a part"]);
    shop.git("parts", &["branch", "kept"]);
    shop.git("parts", &["rm", "-q", "--cached", "part"]);
    shop.git("parts", &["commit", "-q", "-m", "Drop it"]);
    assert_same(
        &fleet,
        "submodules of a branch",
        &shop.reference("git+file://DIR/parts?submodules=1&ref=kept"),
    );
    shop.flake("repo", "", "self.rev");
    shop.commit("repo");
    let url = shop.reference("file://DIR/repo");
    shop.git(".", &["clone", "-q", "--depth", "1", &url, "shallow"]);
    assert_same(&fleet, "a shallow clone", &shop.reference("git+file://DIR/shallow?shallow=1"));
    shop.git(".", &["clone", "-q", "--bare", "repo", "bare.git"]);
    assert_same(&fleet, "a bare repository", &shop.reference("git+file://DIR/bare.git?ref=main"));
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn what_nix_advises_is_told_in_the_persons_own_paths_and_with_the_host() {
    let (fleet, shop) = (Lab::healthy(), Workshop::new());
    let dir = fs::canonicalize(shop.dir.path()).unwrap();
    shop.flake("repo/nixos", "", "import ../shared.nix");
    shop.commit("repo");
    shop.write("repo/shared.nix", "\"untracked\"");
    let flake = shop.reference("DIR/repo/nixos");
    let advice = format!("run `git -C {}/repo add shared.nix`", dir.display());
    for (place, words) in [("here", "evaluated on this machine"), ("builder", "evaluated on p620")]
    {
        let said = error(&fleet, &flake, place);
        assert!(said.contains(&advice) && said.contains(words), "{place}: {said}");
        assert!(!said.contains("source-"), "{said}");
    }
    shop.write("odd/flake.nix", "{ outputs = _: { nixosConfigurations.samson = { }; }; }");
    let flake = shop.reference("DIR/odd");
    for place in ["here", "builder"] {
        let said = error(&fleet, &flake, place);
        let advice = "it has samson. Write it there, or name another in hosts.toml: [hosts.samsung] \
                      attribute = \"samson\"";
        assert!(said.contains(advice), "{place}: {said}");
    }
    shop.write("wrong/flake.nix", "{ outputs = _: { nixosConfigurations = import ./gone.nix; }; }");
    let said = error(&fleet, &shop.reference("DIR/wrong"), "builder");
    assert!(said.contains(&format!("{}/wrong/gone.nix", dir.display())), "{said}");
    let said = error(&fleet, &shop.reference("DIR/nowhere"), "builder");
    assert!(said.contains("there is no") && said.contains("nowhere on this machine"), "{said}");
    assert!(Path::new(&fleet.hosts_file).exists());
}
