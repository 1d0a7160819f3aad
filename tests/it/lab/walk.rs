//! A newcomer's walk through the dashboard, with those keys only that the screen names in that moment: a
//! host that fails is found, understood, looked at by hand, mended, tried again and taken back.
//!
//! Where a step needs a key that is not on the screen, the screen is at fault and not this test.

use super::generations::profile_number;
use super::terminal::Terminal;
use super::{Lab, assert_ok, lab, systems};

/// What the broken activation script of the practice fleet says.
const SAID: &str = "fleet_state: /var/lib/fleet: unknown state version 9";

/// What NixOS says of it in the line below, which the log stands at.
const FAILED: &str = "Activation script snippet 'fleet_state' failed (1)";

/// Returns whether a line names a key with what it does: as a whole, in the footer, among the tabs or
/// beside what it is about.
fn names(line: &str, key: &str, does: &str) -> bool {
    let named = format!("{key} {does}");
    line.match_indices(&named).any(|(at, _)| {
        let (before, behind) = (&line[..at], &line[at + named.len()..]);
        let begins = before.is_empty() || before.ends_with(' ');
        begins
            && (behind.trim_end().is_empty()
                || behind.starts_with("  ")
                || behind.starts_with(" ·"))
    })
}

impl Terminal {
    /// Presses a key once the screen names it with what it does.
    fn presses(&self, key: &str, does: &str) {
        self.waits_for(&format!("name `{key} {does}`"), |screen| {
            screen.lines().any(|line| names(line, key, does))
        });
        let sent = match key {
            "enter" => "Enter",
            "esc" => "Escape",
            key => key,
        };
        self.press(&[sent]);
    }

    /// Selects a row with the arrows, which the screen names.
    fn selects(&self, arrow: &str, does: &str, row: &str) {
        self.waits_for(&format!("name `↑↓ {does}`"), |screen| {
            screen.lines().any(|line| names(line, "↑↓", does))
        });
        let cursor =
            |screen: &str| screen.lines().find(|line| line.contains('›')).map(str::to_owned);
        for _ in 0..40 {
            let before = self.screen();
            if before.lines().any(|line| is_selected(line, row)) {
                return;
            }
            self.press(&[arrow]);
            // A busy machine shows it later: a second key before that would pass the row by.
            let pressed = std::time::Instant::now();
            while cursor(&self.screen()) == cursor(&before) && pressed.elapsed().as_secs() < 5 {
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        }
        panic!("{row} cannot be selected with the arrows:\n{}", self.screen());
    }

    /// Deploys samsung, by the key that the screen names with these words.
    fn deploys_samsung(&self, does: &str) {
        self.presses("d", does);
        self.shows("Deploy samsung");
        self.presses("enter", "start");
        self.shows("Plan of run");
        self.presses("y", "yes, deploy");
    }

    /// Returns what is on the screen as one line, as a person reads it who goes on at the left of the next row.
    fn reads(&self) -> String {
        self.screen().split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Returns whether the cursor stands before a row's first word.
fn is_selected(line: &str, row: &str) -> bool {
    let behind = line.split_once('›').map(|(_, behind)| behind.trim_start());
    behind.is_some_and(|behind| behind.starts_with(row))
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_newcomer_finds_mends_and_takes_back_what_fails_with_keys_that_are_shown() {
    let fleet = Lab::healthy();
    let (before, generation) = (systems("samsung"), profile_number());
    assert_ok(&lab(&["bump", "samsung", "--break", "activation"]));
    let terminal = Terminal::open(&fleet, "walk", 80, 24);
    terminal.shows("4 up");

    // A deploy that fails.
    terminal.selects("Down", "select", "samsung");
    terminal.deploys_samsung("deploy");
    terminal.shows("✗ rolled back in");
    // Why, without scrolling.
    terminal.waits_for("say why", |_| terminal.reads().contains(SAID));
    let why = terminal.reads();
    assert!(why.contains("it is back on the previous system [snippet-failed]"), "{why}");
    assert!(why.contains("to do: run the snippet by hand on the host"), "{why}");
    assert_eq!(systems("samsung"), before, "nothing stays of it");

    // Among all hosts it is found by a key, and says why there too.
    terminal.presses("1", "Fleet");
    terminal.shows("✗ rolled back");
    terminal.selects("Up", "select", "p620");
    terminal.presses("p", "next problem");
    terminal.waits_for("select samsung", |screen| {
        screen.lines().any(|line| is_selected(line, "samsung"))
    });
    terminal.waits_for("say why", |_| terminal.reads().contains(SAID));

    // By hand.
    terminal.presses("3", "Deploy");
    terminal.presses("!", "shell");
    terminal.shows("a shell on samsung");
    terminal.shows("Its end, by exit or ctrl-d, leads back to nixdash.");
    terminal.types("echo this is $(uname -n)");
    terminal.press(&["Enter"]);
    terminal.shows("this is samsung");
    terminal.types("exit");
    terminal.press(&["Enter"]);
    terminal.shows("the shell on samsung has ended");
    assert!(!terminal.screen().contains("opening a shell"), "{}", terminal.screen());

    // The log, at the error, of which a line is copied.
    terminal.presses("enter", "log at the error");
    terminal.waits_for("stand at the error", |screen| {
        let at = screen.lines().find(|line| line.starts_with('›'));
        screen.contains(SAID) && at.is_some_and(|line| line.contains(FAILED))
    });
    terminal.presses("y", "copy");
    terminal.shows("copied 1 line");
    let copied = terminal.tmux(&["show-buffer"]);
    assert_eq!(copied.trim_end(), FAILED);
    terminal.presses("esc", "back");

    // Mended elsewhere: the screen says that there is something else to deploy now.
    assert_ok(&lab(&["bump", "samsung", "--fix"]));
    terminal.deploys_samsung("deploy the changed flake");
    terminal.shows("● switched in");
    let mended = systems("samsung");
    assert_ne!(mended, before);

    // Back to the generation before, which is chosen as soon as all are listed.
    terminal.presses("e", "generations");
    terminal.waits_for("list the generations, at the one that runs", |screen| {
        screen.lines().any(|line| line.contains("running, next boot") && line.contains('›'))
    });
    terminal.selects("Down", "select", &format!("{generation} "));
    terminal.presses("R", "roll back");
    terminal.shows("Roll back samsung to generation");
    terminal.presses("enter", "start");
    terminal.shows("Plan of run #3");
    terminal.presses("y", "yes, roll back");
    terminal.waits_for("tell the end", |screen| {
        screen.contains("run #3") && screen.contains("● switched in")
    });
    assert_eq!(systems("samsung"), before);

    terminal.presses("q", "quit");
    terminal.ended_well();
}
