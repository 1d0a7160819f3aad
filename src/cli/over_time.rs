//! Reads what the screen draws over time out of the history, beside everything else.

use crate::fleet::{Fleet, OverTime, OverTimeOf, TimeSpan};
use crate::probe::{COVERAGE_INTERVAL, Pace, kind_of};
use crate::record::{History, HistoryError, state_home};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// Reads the figures of a host or tier in so many parts; says why, where that cannot be done.
pub(super) async fn read(
    fleet: Arc<Fleet>,
    of: OverTimeOf,
    span: TimeSpan,
    parts: usize,
) -> Result<OverTime, String> {
    let work = move || found(&fleet, &of, (span, Timestamp::now(), parts));
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(format!("reading the history broke off: {error}")),
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
