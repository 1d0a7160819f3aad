//! A host that is a folder: two systems with a switch-to-configuration that does what the test says,
//! and stand-ins for nix-env and systemctl.

use crate::deploy::engine::scripts::SUPERVISE;
use crate::fleet::Code;
use crate::remote::job::scripts::START;
use crate::remote::write_program;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What an activation does that goes well; `$system` is the system and `$root` the host.
pub(super) const WELL: &str = r#"
echo "stopping the following units: fleet-agent.service"
echo "activating the configuration..."
echo "setting up /etc..."
ln -sfn "$system/etc" "$root/etc/static"
ln -sfn "$system" "$root/run/current-system"
"#;

/// What writing the boot menu does.
pub(super) const BOOT: &str = r#"
printf 'default %s\n' nixos-generation-$(readlink "$root/nix/var/nix/profiles/system" | tr -dc 0-9).conf >"$root/boot/loader/loader.conf"
for link in "$root"/nix/var/nix/profiles/system-*-link; do
	number=$(basename "$link" | tr -dc 0-9)
	echo "options init=$(readlink -f "$link")/init quiet" >"$root/boot/loader/entries/nixos-generation-$number.conf"
done
"#;

/// Stands in for nix-env.
const NIX_ENV: &str = r#"#!/bin/sh
[ ! -e "$root/nix-env-fails" ] || { . "$root/nix-env-fails"; exit 1; }
profile=$2
case $3 in
--set)
	[ "$(readlink -f "$profile")" != "$4" ] || exit 0
	number=$(ls "${profile%/*}" | tr -dc '0-9\n' | sort -n | tail -n 1)
	number=$((${number:-0} + 1))
	ln -sfn "$4" "$profile-$number-link"
	ln -sfn "system-$number-link" "$profile" ;;
--switch-generation) ln -sfn "system-$4-link" "$profile" ;;
esac
"#;

/// Stands in for systemctl.
const SYSTEMCTL: &str = r#"#!/bin/sh
case $1 in
list-units)
	[ ! -e "$root/systemd-is-silent" ] || exit 1
	[ ! -e "$root/failed-units" ] || cat "$root/failed-units" ;;
is-system-running) cat "$root/machine" 2>/dev/null || echo running ;;
show) for unit; do :; done; cat "$root/units/$unit" 2>/dev/null || echo inactive ;;
reboot) : >"$root/restarted" ;;
esac
"#;

/// Stands in for systemd-run: runs the command at once, with its own variables put into the arguments.
const SYSTEMD_RUN: &str = r#"#!/bin/sh
while case $1 in --*) true ;; *) false ;; esac; do shift; done
for word; do
	word=$(printf '%s.' "$word" | sed 's/\$\$/\a/g; s/\${[A-Z]*}/expanded/g; s/\a/$/g')
	shift
	set -- "$@" "${word%.}"
done
exec "$@"
"#;

/// A host with an old system that runs and boots, and a new one.
pub(super) struct FolderHost {
    dir: tempfile::TempDir,
    options: Vec<String>,
    /// The supervisor's text.
    supervisor: &'static str,
}

/// A supervisor at work.
pub(super) struct Supervisor<'a> {
    host: &'a FolderHost,
    child: Child,
}

/// Returns the path of a file of the job's folder, on its host.
pub(super) fn job(name: &str) -> String {
    format!("run/nixdash/jobs/job/{name}")
}

impl FolderHost {
    /// Makes a host on which everything goes well.
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = [
            "action=switch",
            "ack=20",
            "check=20",
            "settle=20",
            "settle_network=20",
            "activation=20",
            "grace=1",
        ];
        let options = options.map(str::to_owned).to_vec();
        let host = Self { dir, options, supervisor: SUPERVISE };
        for folder in [
            "run/nixdash/jobs/job",
            "run/nixos",
            "etc",
            "boot/loader/entries",
            "nix/store",
            "nix/var/nix/profiles",
            "nix/var/nix/gcroots",
            "units",
            "bin",
        ] {
            fs::create_dir_all(host.path(folder)).unwrap();
        }
        host.program("bin/nix-env", NIX_ENV);
        host.program("bin/systemctl", SYSTEMCTL);
        host.program("bin/systemd-run", SYSTEMD_RUN);
        for system in ["old", "new"] {
            host.add_system(system);
        }
        let link = |target: &Path, at: &str| symlink(target, host.path(at)).unwrap();
        let old = host.path("nix/store/old");
        link(&old, "nix/var/nix/profiles/system-1-link");
        link(Path::new("system-1-link"), "nix/var/nix/profiles/system");
        link(&old, "run/current-system");
        link(&old, "run/booted-system");
        link(&old.join("etc"), "etc/static");
        host.write("boot/loader/loader.conf", "timeout 5\ndefault nixos-generation-1.conf\n");
        let entry = format!("title NixOS\noptions init={}/init quiet\n", old.display());
        host.write("boot/loader/entries/nixos-generation-1.conf", &entry);
        for result in ["exit", "facts", "activated", "outcome", "word"] {
            host.write(&job(result), &format!("{:4095}\n", ""));
        }
        host.write(&job("log"), "");
        let pipes = ["wake-job", "wake-follower"].map(|name| host.path(&job(name)));
        assert!(Command::new("mkfifo").args(pipes).status().unwrap().success());
        host
    }

    /// Makes a machine that is being converted: no system of NixOS runs there or ever ran.
    pub(super) fn without_system() -> Self {
        let mut host = Self::new();
        for gone in [
            "run/current-system",
            "run/booted-system",
            "etc/static",
            "nix/var/nix/profiles/system",
            "nix/var/nix/profiles/system-1-link",
            "boot/loader/loader.conf",
            "boot/loader/entries/nixos-generation-1.conf",
        ] {
            fs::remove_file(host.path(gone)).unwrap();
        }
        host.option("first=yes");
        host
    }

    /// Lets another supervisor deploy, such as that of an older nixdash.
    pub(super) fn supervised_by(&mut self, supervisor: &'static str) {
        self.supervisor = supervisor;
    }

    /// Makes a system whose activation goes well.
    pub(super) fn add_system(&self, system: &str) {
        fs::create_dir_all(self.path(&format!("nix/store/{system}/bin"))).unwrap();
        fs::create_dir_all(self.path(&format!("nix/store/{system}/etc"))).unwrap();
        self.activation(system, &format!("{WELL}exit 0"));
    }

    /// Links to a system of the store.
    pub(super) fn link(&self, at: &str, system: &str) {
        drop(fs::remove_file(self.path(at)));
        symlink(self.path(&format!("nix/store/{system}")), self.path(at)).unwrap();
    }

    /// Gives a system a specialisation, which is a system of its own.
    pub(super) fn specialise(&self, system: &str, name: &str, specialised: &str) {
        self.add_system(specialised);
        fs::create_dir_all(self.path(&format!("nix/store/{system}/specialisation"))).unwrap();
        self.link(&format!("nix/store/{system}/specialisation/{name}"), specialised);
    }

    /// Sets the profile as nix-env does: a generation of this number.
    pub(super) fn set_profile(&self, number: u32, system: &str) {
        self.link(&format!("nix/var/nix/profiles/system-{number}-link"), system);
        let profile = self.path("nix/var/nix/profiles/system");
        fs::remove_file(&profile).unwrap();
        symlink(format!("system-{number}-link"), profile).unwrap();
    }

    /// Runs a script that is told the root of the host, and returns what it printed.
    pub(super) fn run_as_is(&self, script: &str, args: &[&str]) -> String {
        self.run_with(script, args, "")
    }

    /// Runs a script with something to read, and returns what it printed.
    pub(super) fn run_with(&self, script: &str, args: &[&str], input: &str) -> String {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        self.write("input", input);
        let output = Command::new("/bin/sh")
            .args(["-c", script, "script"])
            .args(args)
            .env("PATH", path)
            .env("root", self.dir.path())
            .env("LC_ALL", "C")
            .stdin(fs::File::open(self.path("input")).unwrap())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a script that names paths of a host, on this one, and returns what it printed.
    pub(super) fn run(&self, script: &str, args: &[&str]) -> String {
        let root = self.dir.path().display();
        let mut text = script.to_owned();
        for place in ["/run/nixdash/", "/var/lib/nixdash/", "/run/current-system", "/nix/var/nix"] {
            text = text.replace(place, &format!("{root}{place}"));
        }
        self.run_as_is(&text, args)
    }

    /// Starts a job by `start.sh`, and returns its log when it has ended.
    pub(super) fn job(&self, body: &str, args: &[&str]) -> String {
        let root = self.dir.path().display();
        let mut start = START.to_owned();
        for place in ["/run/nixdash", "/var/lib/nixdash", "/run/current-system"] {
            start = start.replace(place, &format!("{root}{place}"));
        }
        let asked = [&["started", "disk", "0", "exit", "the-mark", body], args].concat();
        let said = self.run_as_is(&start, &asked);
        let log = fs::read_to_string(self.path("var/lib/nixdash/jobs/started.log")).unwrap();
        assert!(said.contains(&format!("the-mark\tover\t{}\t0\t", log.len())), "{said}");
        log
    }

    /// Returns a path on the host.
    pub(super) fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// Writes a file of the host, and makes the folders that it lies in.
    pub(super) fn write(&self, relative: &str, text: &str) {
        let file = self.path(relative);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    pub(super) fn program(&self, relative: &str, text: &str) {
        write_program(&self.path(relative), text);
    }

    /// Sets what the activation of a system (old, new) does; its last command is its exit code.
    pub(super) fn activation(&self, system: &str, body: &str) {
        self.switch_to_configuration(system, body, BOOT);
    }

    /// Sets what a system's switch-to-configuration does: its activation, and its boot menu.
    pub(super) fn switch_to_configuration(&self, system: &str, test: &str, boot: &str) {
        let path = self.path(&format!("nix/store/{system}"));
        let text = format!(
            "#!/bin/sh\nsystem='{}'\necho \"$system $1\" >>\"$root/called\"\ncase $1 in\ntest)\n{test}\n;;\n\
             boot)\n{boot}\n;;\ndry-activate) echo 'would activate the configuration...' ;;\nesac\n",
            path.display()
        );
        self.program(&format!("nix/store/{system}/bin/switch-to-configuration"), &text);
    }

    /// Sets an option of the supervisor.
    pub(super) fn option(&mut self, option: &str) {
        self.options.push(option.to_owned());
    }

    /// Returns the supervisor's command; `mode` is `after`, or nothing.
    fn command(&self, mode: &str) -> Command {
        let script = self.path("supervise.sh");
        fs::write(&script, self.supervisor).unwrap();
        let log = fs::OpenOptions::new().append(true).open(self.path(&job("log"))).unwrap();
        let mut command = Command::new("/bin/sh");
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        command
            .arg(script)
            .arg(format!("root={}", self.dir.path().display()))
            .arg(format!("dir={}", self.path("run/nixdash/jobs/job").display()))
            .arg(format!("toplevel={}", self.path("nix/store/new").display()))
            .args(["unit=nixdash-this", "owner=who=me@desk run=41"])
            .args(&self.options)
            .env("PATH", path)
            .env("root", self.dir.path())
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        if !mode.is_empty() {
            command.arg(mode);
        }
        command
    }

    /// Starts the supervisor.
    pub(super) fn supervise(&self) -> Supervisor<'_> {
        Supervisor { host: self, child: self.command("").spawn().unwrap() }
    }

    /// Starts the supervisor by what its unit runs, which `start.sh` writes.
    pub(super) fn wrapped(&self) -> Supervisor<'_> {
        let (_, rest) = START.split_once("<<'RUN'").unwrap();
        let (_, text) = rest.split_once('\n').unwrap();
        let (wrapper, _) = text.split_once("\nRUN\n").unwrap();
        self.write("wrapper.sh", wrapper);
        let command = self.command("");
        self.write(&job("script"), self.supervisor);
        let mut wrapped = Command::new("/bin/sh");
        wrapped.arg(self.path("wrapper.sh")).arg(self.path("run/nixdash/jobs/job"));
        wrapped.args(command.get_args().skip(1));
        for (name, value) in command.get_envs() {
            wrapped.env(name, value.unwrap());
        }
        Supervisor { host: self, child: wrapped.stdin(Stdio::null()).spawn().unwrap() }
    }

    /// Runs the supervisor to its end, reached and told this word as soon as it waits.
    pub(super) fn deploy(&self, word: &str) -> (String, String) {
        fs::write(self.path(&job("ack")), "").unwrap();
        self.say(word);
        self.supervise().outcome()
    }

    /// Runs what systemd runs when the job has ended.
    pub(super) fn after(&self) -> (String, String) {
        assert!(self.command("after").status().unwrap().success());
        self.outcome()
    }

    /// Tells the supervisor that somebody reached the host.
    pub(super) fn acknowledge(&self) {
        fs::write(self.path(&job("ack")), "").unwrap();
        self.wake();
    }

    /// Gives the supervisor the word.
    pub(super) fn say(&self, word: &str) {
        self.write(&job("word"), &format!("{word}\t.\n"));
        self.wake();
    }

    /// Wakes the supervisor where it waits, as the scripts do that tell it something.
    fn wake(&self) {
        let pipe = fs::OpenOptions::new().read(true).write(true).open(self.path(&job("wake-job")));
        pipe.unwrap().write_all(b"\n").unwrap();
    }

    /// Returns a result of the job, when it is there.
    pub(super) fn result(&self, name: &str) -> Option<String> {
        let text = fs::read_to_string(self.path(&job(name))).ok()?;
        text.lines().next()?.strip_suffix("\t.").map(str::to_owned)
    }

    /// Returns the outcome: its word and its reason.
    pub(super) fn outcome(&self) -> (String, String) {
        let outcome =
            self.result("outcome").unwrap_or_else(|| panic!("no outcome: {}", self.log()));
        let (word, rest) = outcome.split_once('\t').unwrap();
        let (_, reason) = rest.split_once('\t').unwrap();
        (word.to_owned(), reason.to_owned())
    }

    /// Returns the code of the outcome, which is one that we know, or nothing.
    pub(super) fn code(&self) -> Option<Code> {
        let outcome = self.result("outcome").unwrap();
        let code = outcome.split('\t').nth(1).unwrap();
        let known = Code::of_word(code);
        assert!(code.is_empty() || known.is_some(), "{code} is no code: {}", self.log());
        known
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.path(&job("log"))).unwrap_or_default()
    }

    /// Returns which system runs, which the profile is, and which boots: `old` or `new`.
    pub(super) fn systems(&self) -> [String; 3] {
        let last = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let real = |relative: &str| last(fs::canonicalize(self.path(relative)).unwrap());
        let config = fs::read_to_string(self.path("boot/loader/loader.conf")).unwrap();
        let default = config.lines().find_map(|line| line.strip_prefix("default ")).unwrap();
        let entry = self.path("boot/loader/entries").join(default);
        let entry = fs::read_to_string(entry).unwrap();
        let init = entry.split("init=").nth(1).unwrap().split("/init").next().unwrap();
        let boots = last(PathBuf::from(init));
        [real("run/current-system"), real("nix/var/nix/profiles/system"), boots]
    }

    /// Checks that everything is as it was, and nothing of the deploy is left.
    pub(super) fn assert_untouched(&self) {
        assert_eq!(self.systems(), ["old", "old", "old"], "{}", self.log());
        let etc = fs::canonicalize(self.path("etc/static")).unwrap();
        assert_eq!(etc, self.path("nix/store/old/etc"));
        self.assert_tidy();
    }

    /// Checks that no root, lock or intent of the deploy is left.
    pub(super) fn assert_tidy(&self) {
        for gone in [
            "nix/var/nix/gcroots/nixdash/before-running",
            "nix/var/nixdash/intent",
            "run/nixdash/owner",
        ] {
            assert!(self.path(gone).symlink_metadata().is_err(), "{gone} is left");
        }
    }

    /// Returns which systems were activated, and written into the boot menu, in order.
    pub(super) fn called(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("called")).unwrap_or_default();
        let store = format!("{}/", self.path("nix/store").display());
        text.lines().map(|line| line.replace(&store, "")).collect()
    }

    /// Waits until something holds.
    pub(super) fn wait_until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < Duration::from_secs(30), "{what}: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Supervisor<'_> {
    /// Waits for its end and returns the outcome.
    pub(super) fn outcome(mut self) -> (String, String) {
        let host = self.host;
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{status}: {}", host.log());
                return host.outcome();
            }
            assert!(began.elapsed() < Duration::from_secs(60), "it hangs: {}", host.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it, and what it runs, as systemd does when the main process of its unit dies.
    pub(super) fn kill(mut self) {
        let pid = self.child.id().to_string();
        let children = Command::new("pgrep").args(["-P", &pid]).output().unwrap().stdout;
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        for child in String::from_utf8_lossy(&children).lines() {
            // `timeout` leads a process group of its own; the others are gone with their pipe.
            for target in [format!("-{child}"), child.to_owned()] {
                drop(Command::new("kill").args(["-KILL", "--", &target]).output());
            }
        }
    }

    /// Returns its process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to end, as `systemctl stop` does.
    pub(super) fn stop(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
    }
}
