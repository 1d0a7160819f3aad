//! `nixdash history --events`: what was wrong and how long, which hosts restarted or got another system, and what runs did.

use crate::cli::CliError;
use crate::cli::history::read;
use crate::cli::status::{or_unknown, table};
use crate::fleet::{Outcome, OverTimeOf, PastEvent, PastWhat, TroubleEnd};
use crate::record::History;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

/// What `history --events --json` prints.
#[derive(Serialize)]
struct EventsJson<'a> {
    events: Vec<EventJson<'a>>,
}

#[derive(Serialize)]
struct EventJson<'a> {
    /// When it happened, or began.
    at: Timestamp,
    /// When it was over; of what ended while nobody looked, when it was found to be over.
    ended_at: Option<Timestamp>,
    /// When it was seen last, where nobody looked from then to its end, or to now; of another system, when the
    /// one before was.
    seen_at: Option<Timestamp>,
    #[serde(flatten)]
    what: WhatJson<'a>,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum WhatJson<'a> {
    Trouble {
        host: Option<&'a str>,
        tier: Option<&'a str>,
        code: &'a str,
        severity: &'static str,
        words: &'a str,
        cause: &'a str,
    },
    Restart {
        host: &'a str,
    },
    OtherSystem {
        host: &'a str,
        running: &'a str,
        generation: Option<u64>,
        version: Option<&'a str>,
        before: &'a str,
    },
    Run {
        run: &'a str,
        title: &'a str,
        hosts: BTreeMap<&'a str, Option<Outcome>>,
    },
}

/// Prints what happened to these hosts, or to everything where none is named.
pub(super) fn print(
    hosts: &[String],
    (since, now): (Timestamp, Timestamp),
    limit: usize,
    json: bool,
) -> Result<ExitCode, CliError> {
    let found = read(|history| {
        if hosts.is_empty() {
            return history.past(None, since, limit, now);
        }
        let of_each = hosts.iter().map(|host| {
            let of = OverTimeOf::Host(host.clone());
            History::past(history, Some(&of), since, limit, now)
        });
        of_each.collect::<Result<Vec<_>, _>>().map(|all| newest(all.concat(), limit))
    })?;
    let mut out = std::io::stdout().lock();
    if json {
        let document = EventsJson { events: found.iter().map(event_json).collect() };
        serde_json::to_writer_pretty(&mut out, &document).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else if found.is_empty() {
        writeln!(out, "no events")?;
    } else {
        write!(out, "{}", text(&found, &TimeZone::system(), now))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns events of several hosts as one list: the newest first, each once, at most so many.
fn newest(mut events: Vec<PastEvent>, limit: usize) -> Vec<PastEvent> {
    events.sort_by_key(|event| std::cmp::Reverse(event.at));
    events.dedup();
    events.truncate(limit);
    events
}

fn event_json(event: &PastEvent) -> EventJson<'_> {
    let seen_at = match &event.what {
        PastWhat::Trouble {
            end: TroubleEnd::NotSeenSince(seen) | TroubleEnd::Between(seen, _),
            ..
        }
        | PastWhat::OtherSystem { seen_at: seen, .. } => Some(*seen),
        PastWhat::Trouble { end: TroubleEnd::GoesOn | TroubleEnd::At(_), .. }
        | PastWhat::Restart { .. }
        | PastWhat::Run { .. } => None,
    };
    let what = match &event.what {
        PastWhat::Trouble { of, on_host, code, severity, words, cause, .. } => {
            let (host, tier) = match of {
                OverTimeOf::Host(host) => (Some(host.as_str()), None),
                OverTimeOf::Tier(tier) => (on_host.as_deref(), Some(tier.as_str())),
            };
            WhatJson::Trouble { host, tier, code, severity: severity.word(), words, cause }
        }
        PastWhat::Restart { host } => WhatJson::Restart { host },
        PastWhat::OtherSystem { host, running, generation, version, before, .. } => {
            WhatJson::OtherSystem {
                host,
                running,
                generation: *generation,
                version: version.as_deref(),
                before,
            }
        }
        PastWhat::Run { run, title, hosts, .. } => WhatJson::Run {
            run: &run.0,
            title,
            hosts: hosts.iter().map(|(host, outcome)| (host.as_str(), *outcome)).collect(),
        },
    };
    EventJson { at: event.at, ended_at: event.ended_at(), seen_at, what }
}

/// Returns events as a table.
fn text(events: &[PastEvent], zone: &TimeZone, now: Timestamp) -> String {
    let time = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
    let mut rows = vec![["BEGAN", "ENDED", "LASTED", "ABOUT", "WHAT"].map(str::to_owned).to_vec()];
    for event in events {
        rows.push(vec![
            time(event.at),
            or_unknown(event.ended_at().map(time)),
            or_unknown(event.lasted(now)),
            event.about(),
            event.sentence(),
        ]);
    }
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{RunId, Severity};
    use jiff::SignedDuration;

    fn events() -> Vec<PastEvent> {
        let at = |minutes| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes);
        let trouble = |of, end| PastWhat::Trouble {
            of,
            on_host: None,
            code: "host-unreachable".to_owned(),
            severity: Severity::Warning,
            words: "offline".to_owned(),
            cause: "razer: timed out".to_owned(),
            end,
        };
        let razer = || OverTimeOf::Host("razer".to_owned());
        let weed = OverTimeOf::Tier("weed".to_owned());
        let hosts = vec![("razer".to_owned(), Some(Outcome::Switched)), ("p510".to_owned(), None)];
        let run = PastWhat::Run {
            run: RunId("41".to_owned()),
            title: "switch via-cache".to_owned(),
            hosts,
            ended_at: Some(at(51)),
        };
        let other = PastWhat::OtherSystem {
            host: "razer".to_owned(),
            running: "/nix/store/b-nixos-system-razer".to_owned(),
            generation: Some(99),
            version: Some("26.05".to_owned()),
            before: "/nix/store/a-nixos-system-razer".to_owned(),
            seen_at: at(4),
        };
        vec![
            PastEvent { at: at(50), what: run },
            PastEvent { at: at(40), what: PastWhat::Restart { host: "razer".to_owned() } },
            PastEvent { at: at(30), what: trouble(razer(), TroubleEnd::GoesOn) },
            PastEvent { at: at(20), what: trouble(weed, TroubleEnd::Between(at(22), at(28))) },
            PastEvent { at: at(10), what: trouble(razer(), TroubleEnd::At(at(13))) },
            PastEvent { at: at(5), what: other },
        ]
    }

    #[test]
    fn events_are_a_table_with_begin_end_and_what_it_was() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(60);
        insta::assert_snapshot!(text(&events(), &TimeZone::UTC, now), @r"
        BEGAN             ENDED             LASTED               ABOUT         WHAT
        1970-01-01 00:50  1970-01-01 00:51  1 min 00 s           2 hosts       run #41 switch via-cache: 1 switched, 1 no end
        1970-01-01 00:40  1970-01-01 00:40  –                    razer         restarted
        1970-01-01 00:30  –                 30 min 00 s so far   razer         offline: timed out
        1970-01-01 00:20  1970-01-01 00:28  at least 2 min 00 s  weed (cache)  offline: razer: timed out
        1970-01-01 00:10  1970-01-01 00:13  3 min 00 s           razer         offline: timed out
        1970-01-01 00:05  1970-01-01 00:05  –                    razer         other system, not deployed by nixdash here: generation 99, 26.05
        ");
    }

    #[test]
    fn events_in_json_have_their_subject_and_when_nobody_looked() {
        let events = events();
        let json = serde_json::to_value(events.iter().map(event_json).collect::<Vec<_>>()).unwrap();
        assert_eq!(json[0]["hosts"]["razer"], "switched");
        assert_eq!((&json[1]["event"], &json[1]["host"]), (&"restart".into(), &"razer".into()));
        assert_eq!(
            (&json[2]["code"], &json[2]["ended_at"]),
            (&"host-unreachable".into(), &().into())
        );
        assert_eq!((&json[3]["tier"], &json[3]["host"]), (&"weed".into(), &().into()));
        assert_eq!(json[3]["seen_at"], "1970-01-01T00:22:00Z");
        assert_eq!(json[4]["ended_at"], "1970-01-01T00:13:00Z");
        assert_eq!(
            (&json[5]["event"], &json[5]["generation"]),
            (&"other-system".into(), &99.into())
        );
        assert_eq!(json[5]["seen_at"], "1970-01-01T00:04:00Z");
    }

    #[test]
    fn what_two_hosts_were_part_of_is_told_once() {
        let twice = [events(), events()].concat();
        assert_eq!(newest(twice.clone(), 99).len(), 6);
        assert_eq!(newest(twice, 2).len(), 2);
    }
}
