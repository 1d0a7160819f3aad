//! How often tiers were asked, and until when they want to be left alone.

use crate::fleet::Tier;
use crate::probe::transport::{
    HttpReply, RequestError, RequestTrouble, RestWish, Rules, left_alone, own_origin,
};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a server is left alone that wants it without saying how long; doubled each time.
const REST: Duration = Duration::from_secs(60);

/// Longest time that a server is left alone.
const REST_LIMIT: Duration = Duration::from_secs(15 * 60);

/// How often tiers were asked, and until when they want to be left alone; the transports share it.
pub struct RequestBudget {
    counts: Mutex<HashMap<String, Count>>,
    rests: Mutex<HashMap<String, Rest>>,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

impl RequestBudget {
    /// Begins to count, by a clock: how long tiers are left alone and which month it is are judged
    /// by it.
    pub(super) fn with_clock(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { counts: Mutex::default(), rests: Mutex::default(), clock: Box::new(clock) }
    }

    /// Returns the time by its clock.
    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Notes whether an answer, to a request of an address made at a time, asks us to leave the tier
    /// alone.
    pub(super) fn note_reply(
        &self,
        tier: &Tier,
        rules: &Rules,
        url: &Url,
        reply: &HttpReply,
        asked_at: Timestamp,
    ) {
        if speaks_for(tier, rules, url) {
            let mut rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
            let rest = rests.entry(tier.name.clone()).or_default();
            rest.note(rules, reply, asked_at, self.now());
        }
    }

    /// Returns how many requests were made of a tier since the last call.
    pub fn take_count(&self, tier: &str) -> u64 {
        self.with_count(tier, |count| std::mem::take(&mut count.fresh))
    }

    /// Returns how many requests were made of a tier this calendar month (UTC), as far as is known.
    pub fn requests_this_month(&self, tier: &str) -> u64 {
        self.with_count(tier, |count| count.month)
    }

    /// Tells how many requests all nixdash made of a tier this calendar month, as recorded; those
    /// that nobody has taken yet come on top.
    pub fn begin_month_with(&self, tier: &str, recorded: u64) {
        self.with_count(tier, |count| count.month = recorded.saturating_add(count.fresh));
    }

    /// Returns how long a tier still wants to be left alone.
    pub fn rest_of(&self, tier: &Tier) -> Option<Duration> {
        let now = self.now();
        let (until, _) = self.rest(tier, now)?;
        Some(now.duration_until(until).try_into().unwrap_or_default())
    }

    /// Returns until when a tier wants to be left alone, while it does.
    pub fn rests_until(&self, tier: &Tier) -> Option<Timestamp> {
        self.rest(tier, self.now()).map(|(until, _)| until)
    }

    /// Returns until when a tier wants to be left alone, and the status with which it said so.
    fn rest(&self, tier: &Tier, now: Timestamp) -> Option<(Timestamp, u16)> {
        let rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = rests.get(&tier.name)?;
        Some((rest.until(now)?, rest.status))
    }

    /// Says that the month's requests are used, when they are.
    pub fn spent(&self, tier: &Tier) -> Option<RequestError> {
        let limit = tier.max_requests_per_month?;
        let made = self.requests_this_month(&tier.name);
        (made >= limit).then(|| RequestError {
            trouble: RequestTrouble::Spent,
            ..RequestError::new(
                &tier.url,
                &format!("{made} of {limit} requests of this month are used: it is not asked"),
                "raise max_requests_per_month, or wait for the next month (UTC)",
            )
        })
    }

    /// Refuses to ask an address of a tier whose month is used up, or that wants to be left alone.
    pub(super) fn may_ask(
        &self,
        tier: &Tier,
        rules: &Rules,
        url: &Url,
    ) -> Result<(), RequestError> {
        let rest = self.rest(tier, self.now()).filter(|_| speaks_for(tier, rules, url));
        self.may_follow(tier)?;
        let Some((until, status)) = rest else { return Ok(()) };
        let cause = format!("it answered {status}, and is {}", left_alone(until));
        let hint = "ask it less often (`every` in hosts.toml) if this comes again";
        Err(RequestError {
            trouble: RequestTrouble::Rest,
            ..RequestError::new(&tier.url, &cause, hint)
        })
    }

    /// Refuses to follow where a tier sends us when its month is used up.
    pub(super) fn may_follow(&self, tier: &Tier) -> Result<(), RequestError> {
        self.spent(tier).map_or(Ok(()), Err)
    }

    /// Counts requests that were made of a tier.
    pub(super) fn note_requests(&self, tier: &Tier, number: usize) {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        self.with_count(&tier.name, |count| {
            count.fresh = count.fresh.saturating_add(number);
            count.month = count.month.saturating_add(number);
        });
    }

    /// Does something with a tier's count of this month.
    fn with_count<T>(&self, tier: &str, work: impl FnOnce(&mut Count) -> T) -> T {
        let month = self.now().to_zoned(TimeZone::UTC).date().first_of_month();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(tier.to_owned()).or_default();
        if count.since != Some(month) {
            (count.since, count.month) = (Some(month), 0);
        }
        work(count)
    }
}

/// Returns whether what a server at an address wishes is the tier's wish.
fn speaks_for(tier: &Tier, rules: &Rules, url: &Url) -> bool {
    !rules.wishes_at_own_address_only || own_origin(tier, url)
}

/// How long a tier wants to be left alone; nothing else keeps that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rest {
    pub(super) until: Option<Timestamp>,
    /// How often in a row it said so.
    pub(super) times: u32,
    /// How it said so: 429, 503, or GitHub's 403.
    pub(super) status: u16,
}

/// Requests made of a tier.
#[derive(Clone, Copy, Default)]
pub(super) struct Count {
    /// Those that nobody has recorded yet.
    pub(super) fresh: u64,
    /// Those of this calendar month.
    pub(super) month: u64,
    /// The first day of that month.
    pub(super) since: Option<Date>,
}

impl Rest {
    /// Notes what an answer says of it: `asked_at` is when the request was made, `now` when it was
    /// answered. An answer to a request that was made before the tier said so changes nothing.
    pub(super) fn note(
        &mut self,
        rules: &Rules,
        reply: &HttpReply,
        asked_at: Timestamp,
        now: Timestamp,
    ) {
        if self.until.is_some_and(|until| until > asked_at) {
            return;
        }
        let time = match (rules.wish)(reply, now) {
            RestWish::None => {
                *self = Self::default();
                return;
            }
            RestWish::Rest => REST.saturating_mul(2_u32.saturating_pow(self.times.min(10))),
            RestWish::RestFor(time) => time,
        };
        let time = time.min(REST_LIMIT);
        *self = Self {
            until: Some(now + SignedDuration::try_from(time).unwrap_or_default()),
            times: self.times.saturating_add(1),
            status: reply.status,
        };
    }

    /// Returns until when the tier wants to be left alone, while it does.
    pub(super) fn until(&self, now: Timestamp) -> Option<Timestamp> {
        self.until.filter(|until| *until > now)
    }
}
