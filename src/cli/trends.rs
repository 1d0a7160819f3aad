//! What the dashboard draws over time from before it was opened: from the history, or from the
//! Prometheus server that `[history]` names.

use crate::dash::{Msg, Trend};
use crate::fleet::Fleet;
use crate::probe::{Pace, kind_of};
use crate::record::{Prometheus, Recorder, Series, TrendError};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Values of a graph on the screen.
const TREND_VALUES: i32 = 40;

/// Tells the screen what was measured before it was opened.
pub(super) async fn tell(
    fleet: Arc<Fleet>,
    messages: mpsc::Sender<Msg>,
    recorder: Option<Recorder>,
) {
    let now = Timestamp::now();
    let trends = match (&fleet.prometheus, recorder) {
        (Some(url), _) => asked_trends(&fleet, url, now).await,
        (None, Some(recorder)) => Ok(kept_trends(&fleet, &recorder, now).await),
        (None, None) => return,
    };
    // A screen that is gone needs no telling.
    drop(
        messages
            .send(match trends {
                Ok(trends) => Msg::Trends(trends),
                Err(error) => Msg::Notice(error.to_string()),
            })
            .await,
    );
}

/// Returns every figure that the screen draws over time, with the time between two probes.
fn series(fleet: &Fleet) -> Vec<(Series, SignedDuration)> {
    let step =
        |time: Duration| SignedDuration::try_from(time).unwrap_or(SignedDuration::from_secs(60));
    let hosts = fleet
        .hosts
        .iter()
        .map(|host| (Series::HostLoad(host.name.clone()), step(Pace::Host.interval())));
    let tiers = fleet.tiers.iter().map(|tier| {
        let every = tier.every.unwrap_or_else(|| kind_of(tier).target(tier).interval());
        (Series::TierLatency(tier.name.clone()), step(every))
    });
    hosts.chain(tiers).collect()
}

/// Makes a series what the screen takes.
fn trend(series: Series, values: Vec<f64>) -> Trend {
    match series {
        Series::HostLoad(host) => Trend::HostLoad(host, values),
        Series::TierLatency(tier) => Trend::TierLatency(tier, values),
    }
}

/// Reads trends from the history, without what this nixdash has measured meanwhile.
async fn kept_trends(fleet: &Fleet, recorder: &Recorder, now: Timestamp) -> Vec<Trend> {
    let mut trends = Vec::new();
    for (series, step) in series(fleet) {
        let since = now.checked_sub(step * TREND_VALUES).unwrap_or(now);
        let values = recorder.trend(series.clone(), since, step).await;
        let earlier =
            values.into_iter().filter(|(at, _)| at.checked_add(step).is_ok_and(|end| end <= now));
        trends.push(trend(series, earlier.map(|(_, value)| value).collect()));
    }
    trends
}

/// Asks a Prometheus server for trends; the first question that fails ends it.
async fn asked_trends(fleet: &Fleet, url: &str, now: Timestamp) -> Result<Vec<Trend>, TrendError> {
    let server = Prometheus::new(url)?;
    let mut trends = Vec::new();
    for (series, step) in series(fleet) {
        let since = now.checked_sub(step * TREND_VALUES).unwrap_or(now);
        let values = server.values(&series, since, now, step).await?;
        trends.push(trend(series, values));
    }
    Ok(trends)
}
