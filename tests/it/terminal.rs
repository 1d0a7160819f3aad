//! The dashboard on a terminal of its own: a pseudo-terminal that this test holds.

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{
    LocalModes, OptionalActions, Termios, Winsize, tcgetattr, tcsetattr, tcsetwinsize,
};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A terminal: what a person's terminal program holds, and what programs in it get.
pub(super) struct Pseudo {
    pub(super) person: File,
    programs: File,
}

impl Pseudo {
    fn open() -> Self {
        Self::open_keeping().0
    }

    /// Opens a terminal and returns what programs write to it as well.
    pub(super) fn open_keeping() -> (Self, Arc<Mutex<Vec<u8>>>) {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap();
        let programs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&programs, size).unwrap();
        let pseudo = Self { person: File::from(person), programs };
        // A terminal that nobody reads from holds up who writes.
        let mut screen = pseudo.person.try_clone().unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut part) {
                kept.lock().unwrap().extend_from_slice(&part[..count]);
            }
        });
        (pseudo, shown)
    }

    pub(super) fn end(&self) -> OwnedFd {
        self.programs.try_clone().unwrap().into()
    }

    fn modes(&self) -> Termios {
        tcgetattr(&self.programs).unwrap()
    }

    fn is_raw(&self) -> bool {
        !self.modes().local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO)
    }
}

/// A process that is ended with the test.
pub(super) struct Ended(pub(super) Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Waits until something holds.
pub(super) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_terminal_is_raw_again_after_a_stop_that_nobody_could_hear_and_as_before_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("hosts.toml"), "[hosts.here]\naddresses = []\n").unwrap();
    let mut pseudo = Pseudo::open();
    let before = pseudo.modes();
    let child = Command::new(env!("CARGO_BIN_EXE_nixdash"))
        .args(["--hosts", "hosts.toml"])
        .current_dir(dir.path())
        .env("XDG_STATE_HOME", dir.path().join("state"))
        .env("TERM", "xterm")
        .stdin(pseudo.end())
        .stdout(pseudo.end())
        .stderr(pseudo.end())
        .spawn()
        .unwrap();
    let mut nixdash = Ended(child);
    let process = Pid::from_child(&nixdash.0);
    wait_until("the dashboard takes the terminal", || pseudo.is_raw());
    for _ in 0..2 {
        kill_process(process, Signal::STOP).unwrap();
        wait_until("it is stopped", || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", nixdash.0.id())).unwrap();
            stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
        });
        // What a shell does when its job has stopped.
        tcsetattr(&pseudo.programs, OptionalActions::Now, &before).unwrap();
        assert!(!pseudo.is_raw());
        kill_process(process, Signal::CONT).unwrap();
        wait_until("raw mode is back", || pseudo.is_raw());
    }
    pseudo.person.write_all(b"q").unwrap();
    let mut ended = None;
    wait_until("q ends it", || {
        ended = nixdash.0.try_wait().unwrap();
        ended.is_some()
    });
    assert!(ended.unwrap().success());
    let after = pseudo.modes();
    assert_eq!(
        (after.local_modes, after.input_modes, after.output_modes),
        (before.local_modes, before.input_modes, before.output_modes)
    );
}

#[test]
fn a_run_that_the_dashboard_starts_leaves_its_terminal() {
    use std::os::unix::process::CommandExt;
    // Greets nobody, so that the run waits for it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let fleet = format!(
        "[fleet]\nflake = \".\"\nstrategy = \"direct\"\n[hosts.x]\naddresses = [\"root@{}\"]\n",
        silent.local_addr().unwrap()
    );
    std::fs::write(dir.path().join("hosts.toml"), fleet).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_nixdash"))
        .args(["--hosts", "hosts.toml", "deploy", "x", "--detached"])
        .current_dir(dir.path())
        .env("XDG_STATE_HOME", dir.path().join("state"))
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let run = Ended(child);
    let own = run.0.id().to_string();
    wait_until("it begins a session of its own", || {
        let stat = std::fs::read_to_string(format!("/proc/{own}/stat")).unwrap();
        let rest = stat.rsplit(") ").next().unwrap();
        let fields: Vec<&str> = rest.split(' ').collect();
        let (session, terminal) = (fields[3], fields[4]);
        session == own && terminal == "0"
    });
}

/// Returns what a dashboard with a theme that follows the background has written at the end; to what it
/// asks, these bytes come, each time until it has written that.
fn shown_with_background(exchange: &[(&[u8], &str)]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let fleet = "[hosts.here]\naddresses = []\n[ui]\ntheme = \"gruvbox\"\n";
    std::fs::write(dir.path().join("hosts.toml"), fleet).unwrap();
    let (pseudo, shown) = Pseudo::open_keeping();
    let child = Command::new(env!("CARGO_BIN_EXE_nixdash"))
        .args(["--hosts", "hosts.toml"])
        .current_dir(dir.path())
        .env("XDG_STATE_HOME", dir.path().join("state"))
        .envs([("TERM", "xterm"), ("COLORTERM", "truecolor"), ("LANG", "C.UTF-8")])
        .env_remove("NO_COLOR")
        .env_remove("COLORFGBG")
        .stdin(pseudo.end())
        .stdout(pseudo.end())
        .stderr(pseudo.end())
        .spawn()
        .unwrap();
    let _nixdash = Ended(child);
    let text = || String::from_utf8_lossy(&shown.lock().unwrap()).into_owned();
    wait_until("it asks for the background", || text().contains("\u{1b}]11;?\u{1b}\\"));
    assert!(text().contains("48;2;40;40;40"), "the first frame came before the question");
    for (bytes, until) in exchange {
        (&pseudo.person).write_all(bytes).unwrap();
        wait_until(until, || text().contains(until));
    }
    text()
}

#[test]
fn a_theme_follows_the_background_that_the_terminal_tells_in_time_or_later() {
    let light = "48;2;251;241;199";
    shown_with_background(&[(b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\\x1b[?62c", light)]);
    // The kind of terminal alone ends the wait. An answer among the keys becomes none of them: its `:`
    // would open the palette.
    let kind_then_key: (&[u8], &str) = (b"\x1b[?62c?", "Help for Fleet");
    let late: (&[u8], &str) = (b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\", light);
    let text = shown_with_background(&[kind_then_key, late]);
    assert!(text.find(light) > text.find("Help for Fleet"), "{text:?}");
    assert!(!text.contains("Command"), "{text:?}");
}

/// A dashboard of this machine alone in a terminal of its own, with a shell that a test wrote.
struct Dashboard {
    dir: tempfile::TempDir,
    terminal: Pseudo,
    shown: Arc<Mutex<Vec<u8>>>,
    nixdash: Ended,
}

impl Dashboard {
    /// Opens it; `$1` of the shell's text is a folder for what the shell has to tell.
    fn with_shell(text: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("hosts.toml"), "[hosts.here]\naddresses = []\n").unwrap();
        let shell = dir.path().join("shell");
        let body = format!("#!/bin/sh\nset -- {}\n{text}\n", dir.path().display());
        std::fs::write(&shell, body).unwrap();
        std::fs::set_permissions(&shell, std::fs::Permissions::from_mode(0o700)).unwrap();
        Self::open(dir, &shell)
    }

    /// Opens it with more lines in hosts.toml.
    fn with_settings(lines: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("[hosts.here]\naddresses = []\n{lines}");
        std::fs::write(dir.path().join("hosts.toml"), text).unwrap();
        Self::open(dir, std::path::Path::new("/bin/sh"))
    }

    fn open(dir: tempfile::TempDir, shell: &std::path::Path) -> Self {
        let (terminal, shown) = Pseudo::open_keeping();
        let child = Command::new(env!("CARGO_BIN_EXE_nixdash"))
            .args(["--hosts", "hosts.toml"])
            .current_dir(dir.path())
            .env("XDG_STATE_HOME", dir.path().join("state"))
            .env("TERM", "xterm")
            .env("SHELL", shell)
            .stdin(terminal.end())
            .stdout(terminal.end())
            .stderr(terminal.end())
            .spawn()
            .unwrap();
        let dashboard = Self { dir, terminal, shown, nixdash: Ended(child) };
        wait_until("the first frame", || dashboard.text().contains("Fleet"));
        dashboard
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    fn press(&self, keys: &str) {
        (&self.terminal.person).write_all(keys.as_bytes()).unwrap();
    }

    /// Returns what the shell has told in a file.
    fn told(&self, file: &str) -> Option<String> {
        std::fs::read_to_string(self.dir.path().join(file)).ok()
    }

    /// Returns the process of the shell, which it told in the file `pid`.
    fn shell(&self) -> Pid {
        wait_until("the shell tells its process", || self.told("pid").is_some());
        Pid::from_raw(self.told("pid").unwrap().trim().parse().unwrap()).unwrap()
    }

    fn own(&self) -> Pid {
        Pid::from_child(&self.nixdash.0)
    }
}

/// Returns the state of a process in one letter; nothing of one that is gone.
fn state_of(process: Pid) -> Option<char> {
    let stat = format!("/proc/{}/stat", process.as_raw_nonzero());
    std::fs::read_to_string(stat).ok()?.rsplit(") ").next()?.chars().next()
}

/// Tells its process, then sleeps.
const SLEEPS: &str = "echo $$ > $1/new; mv $1/new $1/pid; exec sleep 1000";

#[test]
fn a_shell_has_the_terminal_and_its_keys_and_then_the_screen_is_whole_again() {
    let dashboard = Dashboard::with_shell(
        "read line; echo \"$line\" > $1/new; mv $1/new $1/line; read more; exit 7",
    );
    dashboard.press("!");
    wait_until("the terminal is as it was", || !dashboard.terminal.is_raw());
    let named = "a shell on here (this machine)";
    wait_until("the host is named", || dashboard.text().contains(named));
    dashboard.press("q4:?\n");
    wait_until("the shell has the keys", || dashboard.told("line").as_deref() == Some("q4:?\n"));
    let before = dashboard.shown.lock().unwrap().len();
    dashboard.press("\n");
    wait_until("raw mode is back", || dashboard.terminal.is_raw());
    wait_until("the screen is whole", || {
        let text = dashboard.text();
        ["nixdash", "Caches", "History", "help"].iter().all(|word| text[before..].contains(word))
    });
    // Where a space was, none is written: word by word.
    let after = dashboard.text()[before..].to_owned();
    assert!(after.contains("ended") && !after.contains("opening"), "{after:?}");
    assert!(!dashboard.text().contains("Help for Fleet"), "its keys came here too");
    dashboard.press("?");
    wait_until("keys are heard again", || dashboard.text().contains("Help for Fleet"));
}

#[test]
fn a_signal_that_ends_nixdash_ends_the_shell_in_its_terminal_too() {
    for signal in [Signal::TERM, Signal::HUP] {
        let mut dashboard = Dashboard::with_shell(SLEEPS);
        let before = dashboard.terminal.modes();
        dashboard.press("!");
        let shell = dashboard.shell();
        kill_process(dashboard.own(), signal).unwrap();
        wait_until("nixdash ends", || dashboard.nixdash.0.try_wait().unwrap().is_some());
        wait_until("the shell ends", || state_of(shell).is_none_or(|state| state == 'Z'));
        assert!(!dashboard.terminal.is_raw(), "{:?}", before.local_modes);
    }
}

#[test]
fn ctrl_c_is_for_the_shell_and_one_that_a_signal_ended_is_told() {
    let dashboard = Dashboard::with_shell(SLEEPS);
    dashboard.press("!");
    let shell = dashboard.shell();
    // What the terminal sends to both.
    kill_process(dashboard.own(), Signal::INT).unwrap();
    kill_process(shell, Signal::INT).unwrap();
    wait_until("it is told", || dashboard.text().contains("signal 2 (SIGINT)"));
    assert!(dashboard.terminal.is_raw());
}

#[test]
fn nixdash_stops_with_the_shell_and_both_go_on_together() {
    let dashboard = Dashboard::with_shell(SLEEPS);
    dashboard.press("!");
    let shell = dashboard.shell();
    for _ in 0..2 {
        kill_process(dashboard.own(), Signal::TSTP).unwrap();
        // What ctrl-z does to it. Where no shell has started these tests, the kernel lets nobody stop by TSTP.
        kill_process(shell, Signal::STOP).unwrap();
        wait_until("nixdash stops too", || state_of(dashboard.own()) == Some('T'));
        assert_eq!(state_of(shell), Some('T'));
        kill_process(dashboard.own(), Signal::CONT).unwrap();
        wait_until("the shell goes on", || state_of(shell) == Some('S'));
        assert!(!dashboard.terminal.is_raw());
    }
}

#[test]
fn a_shell_that_is_not_there_is_told() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("hosts.toml"), "[hosts.here]\naddresses = []\n").unwrap();
    let dashboard = Dashboard::open(dir, std::path::Path::new("/nowhere/shell"));
    dashboard.press("!");
    wait_until("it is told", || dashboard.text().contains("could not start: /nowhere/shell"));
    dashboard.press("?");
    wait_until("keys are heard again", || dashboard.text().contains("Help for Fleet"));
}

/// What asks a terminal to tell of the mouse, and what ends that.
const MOUSE: [&str; 2] =
    ["\u{1b}[?1000h\u{1b}[?1002h\u{1b}[?1006h", "\u{1b}[?1000l\u{1b}[?1002l\u{1b}[?1006l"];

#[test]
fn the_mouse_is_heard_until_a_key_or_the_end_leaves_it_to_the_terminal() {
    let mut dashboard = Dashboard::with_settings("");
    let count = |dashboard: &Dashboard, what: &str| dashboard.text().matches(what).count();
    assert_eq!(count(&dashboard, MOUSE[0]), 1);
    // A click on the tab of the caches, as a terminal tells it.
    let before = dashboard.text().len();
    dashboard.press("\u{1b}[<0;14;3M\u{1b}[<0;14;3m");
    // Of `hosts.toml names no tier` only what was not there before is written, word by word.
    wait_until("the caches", || {
        let text = dashboard.text();
        ["names", "tier"].iter().all(|word| text[before..].contains(word))
    });
    dashboard.press("\u{14}");
    wait_until("it is the terminal's", || count(&dashboard, MOUSE[1]) == 1);
    dashboard.press("\u{14}");
    wait_until("it is heard again", || count(&dashboard, MOUSE[0]) == 2);
    dashboard.press("q");
    wait_until("q ends it", || dashboard.nixdash.0.try_wait().unwrap().is_some());
    wait_until("it is the terminal's at the end", || count(&dashboard, MOUSE[1]) == 2);
}

#[test]
fn with_the_mouse_off_in_hosts_toml_the_terminal_is_not_asked_for_it() {
    let dashboard = Dashboard::with_settings("[ui]\nmouse = false\n");
    assert!(!dashboard.text().contains(MOUSE[0]));
    dashboard.press("\u{14}");
    wait_until("a key asks for it", || dashboard.text().contains(MOUSE[0]));
}
