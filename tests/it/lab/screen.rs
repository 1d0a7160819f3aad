//! The dashboard in a real terminal: a person deploys samsung by keys.

use super::{Lab, assert_ok, lab, systems, wait_for};
use std::process::Command;
use std::time::Duration;

/// A terminal of its own, ended when it is dropped.
struct Terminal {
    socket: String,
}

impl Terminal {
    /// Opens a terminal of that size with the dashboard in it.
    fn open(fleet: &Lab, name: &str, columns: u16, rows: u16) -> Self {
        let socket = format!("nixdash-test-{name}-{}", std::process::id());
        let command = fleet.nixdash(&[]);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<String> =
            words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
        let state = fleet.state.path().display();
        let mut line = format!("XDG_STATE_HOME='{state}' {}", words.join(" "));
        // Afterwards the shell shows whether the terminal was given back.
        line.push_str(
            "; stty -a | grep -o -E ' -?(echo|icanon) ' | tr -d '\\n'; echo END; sleep 60",
        );
        let terminal = Self { socket };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        terminal.tmux(&["new-session", "-d", "-x", &columns, "-y", &rows, &line]);
        terminal
    }

    fn tmux(&self, args: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-L", &self.socket, "-f", "/dev/null"])
            .args(args)
            .env("LC_ALL", "C.UTF-8")
            .output()
            .expect("tmux is installed by tests/run.sh");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn press(&self, keys: &[&str]) {
        for key in keys {
            self.tmux(&["send-keys", key]);
        }
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until the screen shows a text.
    fn shows(&self, text: &str) {
        wait_for(&format!("the screen to show {text:?}\n{}", self.screen()), LIMIT, || {
            self.screen().contains(text)
        });
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

const LIMIT: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn samsung_is_deployed_by_keys_and_the_terminal_is_given_back() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "samsung"]));
    let before = systems("samsung").0;
    let terminal = Terminal::open(&fleet, "keys", 120, 35);
    terminal.shows("4 up");
    terminal.press(&["/"]);
    terminal.tmux(&["send-keys", "-l", "samsung"]);
    terminal.press(&["Enter", "d"]);
    terminal.shows("Deploy samsung");
    terminal.press(&["Enter"]);
    terminal.shows("Plan of run");
    assert_eq!(systems("samsung").0, before, "nothing happens before the yes");
    terminal.press(&["y"]);
    terminal.shows("switched in");
    assert_ne!(systems("samsung").0, before);
    terminal.press(&["q", "q"]);
    terminal.shows("END");
    assert!(terminal.screen().contains(" echo "), "echo is on again: {}", terminal.screen());
    assert!(terminal.screen().contains(" icanon "), "{}", terminal.screen());
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_run_goes_on_without_the_screen_and_is_there_again() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "samsung"]));
    let before = systems("samsung").0;
    let terminal = Terminal::open(&fleet, "leave", 80, 24);
    terminal.shows("4 up");
    terminal.press(&["/"]);
    terminal.tmux(&["send-keys", "-l", "samsung"]);
    terminal.press(&["Enter", "d", "Enter"]);
    terminal.shows("Plan of run");
    terminal.press(&["y"]);
    // The plan has the word, too: only the run knows when it was confirmed.
    fleet.wait_for_event("the build", |event| {
        event["event"] == "phase" && event["phase"] == "build"
    });
    drop(terminal);
    wait_for("the run to switch samsung", LIMIT, || systems("samsung").1 != before);
    let terminal = Terminal::open(&fleet, "again", 40, 10);
    terminal.press(&["3"]);
    terminal.shows("switched");
}
