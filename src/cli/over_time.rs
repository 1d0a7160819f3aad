//! Reads what the screen shows of the past out of the history, beside everything else.

use crate::fleet::{Fleet, OverTime, OverTimeOf, PastEvent, TimeSpan};
use crate::probe::{COVERAGE_INTERVAL, Pace, kind_of};
use crate::record::{History, HistoryError, state_home};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// Events that are read at most, the newest.
const EVENTS: usize = 1000;

/// Reads the figures of a host or tier in so many parts; says why, where that cannot be done.
pub(super) async fn read(
    fleet: Arc<Fleet>,
    of: OverTimeOf,
    span: TimeSpan,
    parts: usize,
) -> Result<OverTime, String> {
    beside(move || found(&fleet, &of, (span, Timestamp::now(), parts))).await
}

/// Reads what happened to a host or tier, or to all, in the longest time that is shown; says why, where
/// that cannot be done.
pub(super) async fn read_past(of: Option<OverTimeOf>) -> Result<Vec<PastEvent>, String> {
    let work = move || {
        let now = Timestamp::now();
        let since = now.checked_sub(TimeSpan::Quarter.length()).unwrap_or(now);
        History::open(&state_home())?.past(of.as_ref(), since, EVENTS, now)
    };
    beside(work).await
}

/// Reads on a thread of its own.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HistoryError> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(format!("the history could not be read to its end: {error}")),
    }
}

fn found(
    fleet: &Fleet,
    of: &OverTimeOf,
    over: (TimeSpan, Timestamp, usize),
) -> Result<OverTime, HistoryError> {
    let history = History::open(&state_home())?;
    let seconds = |time: Duration| SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    match of {
        OverTimeOf::Host(host) => {
            history.host_over_time(host, seconds(Pace::Host.interval()), over)
        }
        OverTimeOf::Tier(name) => {
            let Some(tier) = fleet.tier(name) else {
                return Ok(OverTime { from: over.1, until: over.1, figures: Vec::new() });
            };
            let hosts: Vec<&str> = fleet.hosts.iter().map(|host| host.name.as_str()).collect();
            let intervals = [kind_of(tier).every(tier), COVERAGE_INTERVAL].map(seconds);
            history.tier_over_time(tier, &hosts, intervals, over)
        }
    }
}
