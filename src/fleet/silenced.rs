//! That a finding is silenced: why, until when, and where that is written.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt;

/// When a silence ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SilenceEnd {
    /// At a point in time.
    At(Timestamp),
    /// With the end of a day, in UTC.
    Day(Date),
}

impl SilenceEnd {
    /// Returns whether that lies behind.
    pub fn is_over(self, now: Timestamp) -> bool {
        now >= self.instant()
    }

    /// Returns the first moment in which nothing is silenced any more.
    pub(super) fn instant(self) -> Timestamp {
        match self {
            Self::At(end) => end,
            Self::Day(day) => {
                let next = day.tomorrow().and_then(|next| next.to_zoned(TimeZone::UTC));
                next.map_or(Timestamp::MAX, |next| next.timestamp())
            }
        }
    }
}

impl fmt::Display for SilenceEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(end) => write!(f, "{}", end.strftime("%Y-%m-%d %H:%M UTC")),
            Self::Day(day) => write!(f, "{day}"),
        }
    }
}

/// Where it is written that something is silenced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SilenceOrigin {
    /// In hosts.toml: whoever wants to end it changes that file.
    #[default]
    HostsToml,
    /// In nixdash's own state: a person said it on the screen or with `nixdash silence`.
    State,
}

/// That a person does not want to hear of a finding for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silenced {
    /// Why.
    pub reason: String,
    /// Until when.
    pub until: SilenceEnd,
    /// Whether that is over, so that the finding is active again.
    pub is_over: bool,
    /// Whether it ends before, as soon as the finding says something else, is more or less bad, or is gone.
    #[serde(default)]
    pub until_it_changes: bool,
    /// Where it is written.
    #[serde(default)]
    pub origin: SilenceOrigin,
}

impl Silenced {
    /// Returns it as a clause: `silenced until 2026-12-24: a bigger disk is on its way`.
    pub fn words(&self) -> String {
        let was = if self.is_over { "was " } else { "" };
        let Self { reason, until, .. } = self;
        if self.until_it_changes && !self.is_over {
            return format!("silenced until it changes, {until} at the latest: {reason}");
        }
        format!("{was}silenced until {until}: {reason}")
    }
}
