//! A run of more hosts than the screen has rows for what each of them does.

use crate::dash::Model;
use crate::dash::demo::{ago_s, model, now, run_event};
use crate::dash::tests::keys::press;
use crate::dash::tests::screens::{draw, look, text};
use crate::fleet::{Event, RunWhat, Wait};
use jiff::SignedDuration;

/// The hosts of the run.
const HOSTS: usize = 12;

fn host(number: usize) -> String {
    format!("rack-{number}")
}

/// Returns a run in which every host waits for this.
fn all_wait(wait: &Wait) -> Vec<Event> {
    let hosts: Vec<String> = (1..=HOSTS).map(host).collect();
    let waiting = |host: &String| RunWhat::waiting(host, Some(wait.clone()), now());
    let waits = hosts.iter().map(|host| run_event("41", 30, waiting(host)));
    let begin = run_event("41", 40, RunWhat::begin(hosts.clone(), "switch direct".to_owned()));
    std::iter::once(begin).chain(waits).collect()
}

/// Returns what the screen shows as one line.
fn said(model: &Model) -> String {
    let shown = text(&draw(model, &look(false)));
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_selected_host_says_what_it_waits_for_at_every_size() {
    let next = now() + SignedDuration::from_secs(20);
    let offline = Wait::Offline { since: ago_s(70), next };
    let way = Wait::Way { why: "no cache answers".to_owned(), until: next };
    for wait in [offline, way] {
        let sentence = format!("waiting for {}", wait.sentence(now()));
        for (columns, rows) in [(40, 10), (80, 24), (110, 30), (200, 50)] {
            for keys in ["3", "3G", "3z"] {
                let mut model = model(all_wait(&wait), columns, rows);
                press(&mut model, keys);
                assert!(said(&model).contains(&sentence), "{columns} {keys}: {}", said(&model));
            }
        }
    }
}
