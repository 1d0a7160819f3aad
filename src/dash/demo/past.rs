//! What happened in the demonstration's fleet, as a history would tell it.

use super::ago_s;
use crate::fleet::{Outcome, OverTimeOf, PastEvent, PastWhat, RunId, Severity, TroubleEnd};

/// What happened lately: a host that is offline, a cache that was down, a restart, a run.
pub(in crate::dash) fn of_the_fleet() -> Vec<PastEvent> {
    let trouble = |at: i64, of: OverTimeOf, words: [&str; 3], end| PastEvent {
        at: ago_s(at),
        what: PastWhat::Trouble {
            of,
            on_host: None,
            code: words[0].to_owned(),
            severity: Severity::Warning,
            words: words[1].to_owned(),
            cause: words[2].to_owned(),
            end,
        },
    };
    let host = |name: &str| OverTimeOf::Host(name.to_owned());
    let p510 = ["host-unreachable", "offline", "p510: connecting to p510.lan timed out after 5 s"];
    let razer =
        ["host-unreachable", "offline", "razer: connecting to razer.lan timed out after 5 s"];
    let cache = "could not connect to http://p620.lan:5000: connection refused";
    let down = ["tier-unreachable", "down", cache];
    let hosts = ["razer", "samsung"].map(|name| (name.to_owned(), Some(Outcome::Switched)));
    vec![
        trouble(190, host("p510"), p510, TroubleEnd::GoesOn),
        PastEvent { at: ago_s(4000), what: PastWhat::Restart { host: "samsung".to_owned() } },
        PastEvent {
            at: ago_s(9000),
            what: PastWhat::Run {
                run: RunId("40".to_owned()),
                title: "switch via-cache".to_owned(),
                hosts: hosts.to_vec(),
                ended_at: Some(ago_s(8969)),
            },
        },
        trouble(86_000, host("razer"), razer, TroubleEnd::At(ago_s(85_810))),
        trouble(
            90_000,
            OverTimeOf::Tier("p620".to_owned()),
            down,
            TroubleEnd::Between(ago_s(88_000), ago_s(40_000)),
        ),
    ]
}
