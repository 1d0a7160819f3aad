//! The dashboard in a real terminal: a person deploys samsung by keys.

use super::terminal::{LIMIT, Terminal};
use super::{Lab, assert_ok, lab, systems, wait_for};

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn samsung_is_deployed_by_keys_and_the_terminal_is_given_back() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "samsung"]));
    let before = systems("samsung").0;
    let terminal = Terminal::open(&fleet, "keys", 120, 35);
    terminal.shows("4 up");
    terminal.press(&["/"]);
    terminal.types("samsung");
    terminal.press(&["Enter", "d"]);
    terminal.shows("Deploy samsung");
    terminal.press(&["Enter"]);
    terminal.shows("Plan of run");
    assert_eq!(systems("samsung").0, before, "nothing happens before the yes");
    terminal.press(&["y"]);
    terminal.shows("switched in");
    assert_ne!(systems("samsung").0, before);
    terminal.press(&["q", "q"]);
    terminal.ended_well();
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
    terminal.types("samsung");
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
