//! A real terminal with the dashboard in it: a session of tmux of its own.

use super::Lab;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long something may take to be on the screen.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// A terminal of its own, ended when it is dropped.
pub(super) struct Terminal {
    socket: String,
}

impl Terminal {
    /// Opens a terminal of that size with the dashboard in it.
    pub(super) fn open(fleet: &Lab, name: &str, columns: u16, rows: u16) -> Self {
        let socket = format!("nixdash-test-{name}-{}", std::process::id());
        let command = fleet.nixdash(&[]);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<String> =
            words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
        let state = fleet.state.path().display();
        // Afterwards the shell shows how the dashboard ended, and whether the terminal was given back.
        let line = format!(
            "before=$(stty -g); XDG_STATE_HOME='{state}' {}; code=$?
             [ \"$(stty -g)\" = \"$before\" ] && modes=same || modes=other
             echo \"ended with $code, modes $modes\"; sleep 60",
            words.join(" ")
        );
        let terminal = Self { socket };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        terminal.tmux(&["new-session", "-d", "-x", &columns, "-y", &rows, &line]);
        terminal
    }

    /// Runs a command of tmux for it and returns what that printed.
    pub(super) fn tmux(&self, args: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-L", &self.socket, "-f", "/dev/null"])
            .args(args)
            .env("LC_ALL", "C.UTF-8")
            .output()
            .expect("tmux is installed by tests/run.sh");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Presses keys, by the names that tmux has for them.
    pub(super) fn press(&self, keys: &[&str]) {
        for key in keys {
            self.tmux(&["send-keys", key]);
        }
    }

    /// Types a text.
    pub(super) fn types(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// Returns what is on the screen.
    pub(super) fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until the screen shows a text.
    pub(super) fn shows(&self, text: &str) {
        self.waits_for(&format!("show {text:?}"), |screen| screen.contains(text));
    }

    /// Waits until something holds of the screen; says what was on it where that never is so.
    pub(super) fn waits_for(&self, what: &str, holds: impl Fn(&str) -> bool) {
        let began = Instant::now();
        loop {
            let screen = self.screen();
            if holds(&screen) {
                return;
            }
            assert!(began.elapsed() < LIMIT, "the screen did not {what}:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the dashboard has ended, and checks that it ended well and left the terminal as it found it.
    pub(super) fn ended_well(&self) {
        self.shows("ended with 0, modes same");
        let flags = "alternate #{alternate_on}, cursor #{cursor_flag}, mouse #{mouse_any_flag}";
        let flags = self.tmux(&["display-message", "-p", flags]);
        assert_eq!(flags.trim(), "alternate 0, cursor 1, mouse 0");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
