//! What a host waits for, in one sentence.

use crate::fleet::words::time_left;
use crate::fleet::{Gate, Wait, duration};
use jiff::Timestamp;
use std::time::Duration;

/// How many hosts a sentence names where there are many.
const NAMED: usize = 3;

/// A silence that is shorter is not told.
const WORTH_SAYING: Duration = Duration::from_secs(1);

impl Wait {
    /// Says in one sentence for what, for whom and until when it is waited: after "waiting for".
    pub fn sentence(&self, now: Timestamp) -> String {
        match self {
            Self::Plan { hosts } => {
                format!("the plan, which needs {} to be looked at first", names(hosts))
            }
            Self::Confirmation { until } => {
                let ends = until.map(|until| {
                    format!(
                        "; without an answer nothing is done, and the run ends in {}",
                        time_left(until, now)
                    )
                });
                format!("confirmation of the plan{}", ends.unwrap_or_default())
            }
            Self::Place { places, hosts } if hosts.is_empty() => {
                format!("a free place (rollout.parallel is {places})")
            }
            Self::Place { places, hosts } => {
                format!("a free place (rollout.parallel is {places}): taken by {}", names(hosts))
            }
            Self::Served { hosts } => {
                format!("{} to be done: it builds or serves for them", names(hosts))
            }
            Self::Wave { wave, hosts } => {
                format!("wave {wave}: {} must be done before it", names(hosts))
            }
            Self::Soak { wave, until } => {
                format!("wave {wave} to stay well for {} more", time_left(*until, now))
            }
            Self::Gate { wave, gate, said, next } => {
                let said = said.as_ref().map(|said| format!(", which said: {said}"));
                let is_soak = gate == Gate::SOAK;
                let asked = if is_soak { "they are looked at" } else { "it is asked" };
                // Whatever is due is asked at once, or as soon as somebody listens.
                let is_later = |next: &Timestamp| {
                    next.duration_since(now)
                        .try_into()
                        .is_ok_and(|left: Duration| left >= WORTH_SAYING)
                };
                let next = next.filter(is_later);
                let next = next.map(|next| format!("; {asked} again in {}", time_left(next, now)));
                let (said, next) = (said.unwrap_or_default(), next.unwrap_or_default());
                if is_soak {
                    format!(
                        "the units of the hosts of wave {wave}, which are looked at once more at the end of the soak{said}{next}"
                    )
                } else {
                    format!("gate {gate} to pass after wave {wave}{said}{next}")
                }
            }
            Self::Decision { wave, why, until } => {
                let ends = until.map(|until| {
                    format!("; without a decision the wave fails in {}", time_left(until, now))
                });
                format!(
                    "a decision: a check after wave {wave} could not be made ({why}){}",
                    ends.unwrap_or_default()
                )
            }
            Self::Way { why, until } => {
                let ends = until.map(|until| {
                    format!("; without a decision it fails in {}", time_left(until, now))
                });
                format!(
                    "somebody to decide whether it is tried again or left out ({why}){}",
                    ends.unwrap_or_default()
                )
            }
            Self::Order { hosts, reason } => {
                format!("{} to be done: {reason}", names(hosts))
            }
            Self::Paused => "the run to be resumed: it is paused".to_owned(),
            Self::Offline { since, every_s } => {
                let away = duration(now.duration_since(*since).try_into().unwrap_or_default());
                let every = every_s.map(|every| duration(Duration::from_secs(every)));
                let every = every.map(|every| format!(" every {every}")).unwrap_or_default();
                format!(
                    "the host to come back: it has been away for {away} and is tried again{every}"
                )
            }
            Self::Budget { budget, hosts, .. } if hosts.is_empty() => {
                format!("a place in the budget {budget}: its hosts are being asked")
            }
            Self::Budget { budget, hosts, silent, until } => {
                let ends = until.map(|until| {
                    format!(
                        "; {} may be changing, and without an answer the host fails in {}",
                        names(silent),
                        time_left(until, now)
                    )
                });
                format!(
                    "a place in the budget {budget}: taken by {}{}",
                    names(hosts),
                    ends.unwrap_or_default()
                )
            }
            Self::Hook { moment, until } => {
                let limit = until.map(|until| format!(", in {} at most", time_left(until, now)));
                let unchanged =
                    if moment.stops() { "; until then nothing is changed there" } else { "" };
                format!(
                    "its {} hooks to end{}{unchanged}",
                    moment.word(),
                    limit.unwrap_or_default()
                )
            }
            Self::Activation { until } => {
                let limit =
                    until.map(|until| format!(" and ends in {} at most", time_left(until, now)));
                format!(
                    "its activation to end, which cannot be interrupted{}; then it goes back",
                    limit.unwrap_or_default()
                )
            }
            Self::WayBack => "its return to the previous system".to_owned(),
            Self::Answer { host, since, until } => answer_of(host, *since, *until, now),
            Self::Cache { tier, since, until } => {
                answer_of(&format!("tier {tier}"), *since, Some(*until), now)
            }
            Self::Back { until, goes_back: true } => format!(
                "its return to the previous system; nixdash waits {} more for it",
                time_left(*until, now)
            ),
            Self::Back { until, goes_back: false } => format!(
                "the host to come back and say what it decided; nixdash gives up in {}",
                time_left(*until, now)
            ),
        }
    }
}

/// Names hosts: the first ones of many, and how many more there are.
fn names(hosts: &[String]) -> String {
    match hosts.split_at_checked(NAMED) {
        Some((first, more)) if more.len() > 1 => {
            format!("{} and {} more", first.join(", "), more.len())
        }
        Some(_) | None => hosts.join(", "),
    }
}

/// Says who shall answer again, for how long there was no answer, and when it is given up.
fn answer_of(who: &str, since: Timestamp, until: Option<Timestamp>, now: Timestamp) -> String {
    let silent = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    let silent = if silent >= WORTH_SAYING {
        format!(": no answer for {}", duration(silent))
    } else {
        String::new()
    };
    let until = until.map(|until| format!("; nixdash gives up in {}", time_left(until, now)));
    format!("{who} to answer again{silent}{}", until.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::ToSpan as _;

    #[test]
    fn every_wait_says_for_whom_and_until_when() {
        let now = Timestamp::UNIX_EPOCH;
        let until = Some(now + 65.seconds());
        let hosts = |count: usize| (1..=count).map(|number| format!("h{number}")).collect();
        let moment = crate::fleet::HookMoment::BeforeActivate;
        let why = "site: no route".to_owned();
        for (wait, says) in [
            (
                Wait::Confirmation { until },
                "confirmation of the plan; without an answer nothing is done, and the run ends in 1 min 05 s",
            ),
            (Wait::Confirmation { until: None }, "confirmation of the plan"),
            (
                Wait::Decision { wave: 2, why, until },
                "a decision: a check after wave 2 could not be made (site: no route); without a decision \
                 the wave fails in 1 min 05 s",
            ),
            (
                Wait::Hook { moment, until },
                "its before_activate hooks to end, in 1 min 05 s at most; until then nothing is changed there",
            ),
            (
                Wait::Hook { moment: crate::fleet::HookMoment::AfterActivate, until },
                "its after_activate hooks to end, in 1 min 05 s at most",
            ),
            (
                Wait::Activation { until },
                "its activation to end, which cannot be interrupted and ends in 1 min 05 s at most; then \
                 it goes back",
            ),
            (
                Wait::Budget {
                    budget: "etcd".to_owned(),
                    hosts: vec!["b (cannot be reached: no route)".to_owned()],
                    silent: vec!["b".to_owned()],
                    until,
                },
                "a place in the budget etcd: taken by b (cannot be reached: no route); b may be changing, and \
                 without an answer the host fails in 1 min 05 s",
            ),
            (
                Wait::Place { places: 2, hosts: hosts(2) },
                "a free place (rollout.parallel is 2): taken by h1, h2",
            ),
            (
                Wait::Wave { wave: 2, hosts: hosts(4) },
                "wave 2: h1, h2, h3, h4 must be done before it",
            ),
            (
                Wait::Wave { wave: 2, hosts: hosts(30) },
                "wave 2: h1, h2, h3 and 27 more must be done before it",
            ),
            (
                Wait::Offline { since: now - 90.seconds(), every_s: Some(30) },
                "the host to come back: it has been away for 1 min 30 s and is tried again every 30 s",
            ),
        ] {
            assert_eq!(wait.sentence(now), says);
        }
        // As older runs have them on disk.
        for old in [
            "{\"for\":\"confirmation\"}",
            "{\"for\":\"place\",\"places\":2}",
            "{\"for\":\"activation\"}",
            "{\"for\":\"budget\",\"budget\":\"etcd\",\"hosts\":[\"b\"]}",
            "{\"for\":\"offline\",\"since\":\"2026-01-01T00:00:00Z\",\"next\":\"2026-01-01T00:00:30Z\"}",
        ] {
            assert!(serde_json::from_str::<Wait>(old).is_ok(), "{old}");
        }
    }

    #[test]
    fn a_gate_says_when_it_is_asked_again_and_the_check_after_the_soak_what_it_is() {
        let now = Timestamp::UNIX_EPOCH;
        let gate = |gate: &str, next: Option<i64>| {
            let (gate, next) = (gate.to_owned(), next.map(|next| now + next.milliseconds()));
            Wait::Gate { wave: 1, gate, said: None, next }.sentence(now)
        };
        let sshd = "gate sshd to pass after wave 1";
        assert_eq!(gate("sshd", Some(9_000)), format!("{sshd}; it is asked again in 9.0 s"));
        for at_once in [None, Some(0), Some(30), Some(-5)] {
            assert_eq!(gate("sshd", at_once), sshd);
        }
        let soak = "the units of the hosts of wave 1, which are looked at once more at the end of the soak";
        assert_eq!(gate("soak", None), soak);
    }

    #[test]
    fn a_host_that_goes_back_is_not_told_as_one_that_is_away() {
        let now = Timestamp::UNIX_EPOCH;
        let back = |goes_back| Wait::Back { until: now + 90.seconds(), goes_back };
        let said = "its return to the previous system; nixdash waits 1 min 30 s more for it";
        assert_eq!(back(true).sentence(now), said);
        assert!(back(false).sentence(now).starts_with("the host to come back"));
        assert!(back(true).is_way_back() && !back(true).is_for_silent());
        assert!(!back(false).is_way_back() && back(false).is_for_silent());
    }

    #[test]
    fn a_host_that_does_not_answer_says_since_when_and_until_when() {
        let now = Timestamp::UNIX_EPOCH;
        let silent = |since, until: Option<i64>| {
            let until = until.map(|until| now + until.seconds());
            let since = now - i64::from(since).seconds();
            Wait::Answer { host: "p620".to_owned(), since, until }.sentence(now)
        };
        let both = "p620 to answer again: no answer for 34 s; nixdash gives up in 11 s";
        assert_eq!(silent(34, Some(11)), both);
        assert_eq!(silent(0, None), "p620 to answer again");
        let (tier, until) = ("cache".to_owned(), now + 15.seconds());
        let sentence = Wait::Cache { tier, since: now - 40.seconds(), until }.sentence(now);
        assert_eq!(
            sentence,
            "tier cache to answer again: no answer for 40 s; nixdash gives up in 15 s"
        );
    }
}
