//! What a host waits for, in one sentence.

use crate::fleet::{Wait, duration};
use jiff::Timestamp;
use std::time::Duration;

/// A silence that is shorter is not told.
const WORTH_SAYING: Duration = Duration::from_secs(1);

impl Wait {
    /// Says in one sentence for what, for whom and until when it is waited: after "waiting for".
    pub fn sentence(&self, now: Timestamp) -> String {
        match self {
            Self::Plan { hosts } => {
                format!("the plan, which needs {} to be looked at first", hosts.join(", "))
            }
            Self::Confirmation => "confirmation of the plan".to_owned(),
            Self::Place { places } => format!("a free place (rollout.parallel is {places})"),
            Self::Served { hosts } => {
                format!("{} to be done: it builds or serves for them", hosts.join(", "))
            }
            Self::Wave { wave, hosts } => {
                format!("wave {wave}: {} must be done before it", hosts.join(", "))
            }
            Self::Soak { wave, until } => {
                format!("wave {wave} to stay well for {} more", left(*until, now))
            }
            Self::Gate { wave, gate, said, next } => {
                let said = said.as_ref().map(|said| format!(", which said: {said}"));
                let next = next.map(|next| format!("; it is asked again in {}", left(next, now)));
                let (said, next) = (said.unwrap_or_default(), next.unwrap_or_default());
                format!("gate {gate} to pass after wave {wave}{said}{next}")
            }
            Self::Decision { wave, why, until } => {
                let ends = until.map(|until| {
                    format!("; without a decision the wave fails in {}", left(until, now))
                });
                format!(
                    "a decision: a check after wave {wave} could not be made ({why}){}",
                    ends.unwrap_or_default()
                )
            }
            Self::Way { why, until } => {
                format!(
                    "somebody to decide whether it is tried again or left out ({why}); without a decision it fails in {}",
                    left(*until, now)
                )
            }
            Self::Order { hosts, reason } => {
                format!("{} to be done: {reason}", hosts.join(", "))
            }
            Self::Paused => "the run to be resumed: it is paused".to_owned(),
            Self::Offline { since, next } => {
                let away = now.duration_since(*since).try_into().unwrap_or_default();
                let (away, next) = (duration(away), left(*next, now));
                format!(
                    "the host to come back: it has been away for {away} and is tried again in \
                     {next}"
                )
            }
            Self::Budget { budget, hosts } if hosts.is_empty() => {
                format!("a place in the budget {budget}: its hosts are being asked")
            }
            Self::Budget { budget, hosts } => {
                format!("a place in the budget {budget}: taken by {}", hosts.join(", "))
            }
            Self::Lock { owner } => format!("the lock of the host: {owner}"),
            Self::Hook { moment } => {
                format!("its {} hooks to end; until then nothing is changed there", moment.word())
            }
            Self::Activation => {
                "its activation to end, which cannot be interrupted; then it goes back".to_owned()
            }
            Self::WayBack => "its return to the previous system".to_owned(),
            Self::Answer { host, since, until } => answer_of(host, *since, *until, now),
            Self::Cache { tier, since, until } => {
                answer_of(&format!("tier {tier}"), *since, Some(*until), now)
            }
            Self::Back { until } => format!(
                "the host to come back and say what it decided; nixdash gives up in {}",
                left(*until, now)
            ),
        }
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
    let until = until.map(|until| format!("; nixdash gives up in {}", left(until, now)));
    format!("{who} to answer again{silent}{}", until.unwrap_or_default())
}

/// Says how long it is until then.
fn left(until: Timestamp, now: Timestamp) -> String {
    duration(until.duration_since(now).try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::ToSpan as _;

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
