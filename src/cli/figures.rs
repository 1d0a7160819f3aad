//! What the history tells of the last day, week and month, for the dashboard's view of the caches.

use crate::dash::{Figures, Msg, TierFigures};
use crate::fleet::{Fleet, Share};
use crate::probe::on_beat;
use crate::record::{History, HistoryError, share_served, state_home};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// The days that figures are counted over.
const DAYS: u32 = 7;

/// Other days that they are counted over too.
const BESIDE: [u32; 2] = [1, 30];

/// How often the history is read.
const READ_EVERY: Duration = Duration::from_secs(60);

/// Tells the screen the figures when they have changed.
///
/// A history that cannot be read has no figures; who writes it says why.
pub(super) async fn tell(fleet: Arc<Fleet>, messages: mpsc::Sender<Msg>) {
    let mut told = None;
    loop {
        let asked = Arc::clone(&fleet);
        let found = tokio::task::spawn_blocking(move || read(&asked, Timestamp::now())).await;
        if let Ok(Ok(figures)) = found
            && told.as_ref() != Some(&figures)
        {
            if messages.send(Msg::Figures(figures.clone())).await.is_err() {
                return;
            }
            told = Some(figures);
        }
        tokio::time::sleep_until(on_beat(READ_EVERY)).await;
    }
}

/// Reads the figures of the fleet's hosts and tiers.
fn read(fleet: &Fleet, now: Timestamp) -> Result<Figures, HistoryError> {
    let history = History::open(&state_home())?;
    let beside = BESIDE.into_iter().map(|days| over(&history, fleet, days, now));
    Ok(Figures { beside: beside.collect::<Result<_, _>>()?, ..over(&history, fleet, DAYS, now)? })
}

/// Reads the figures of some days.
fn over(
    history: &History,
    fleet: &Fleet,
    days: u32,
    now: Timestamp,
) -> Result<Figures, HistoryError> {
    let time = SignedDuration::from_hours(24 * i64::from(days));
    let since = now.checked_sub(time).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut hits = history.hits(since)?;
    hits.retain(|host, _| fleet.host(host).is_some());
    let delivered = history.delivered(since)?;
    let mut figures = Figures { days, hits, ..Figures::default() };
    for tier in &fleet.tiers {
        let (paths, bytes) = share_served(&delivered, &tier.name).unzip();
        let known = TierFigures {
            share_paths: paths.and_then(Share::ratio),
            share_bytes: bytes.and_then(Share::ratio),
            answered: history.answered(tier, since)?.and_then(Share::ratio),
            growth: history.growth(tier, since)?.map(|growth| growth.per_day),
        };
        figures.tiers.insert(tier.name.clone(), known);
    }
    Ok(figures)
}
