//! `--since`: a length of time until now, or a time.

use crate::cli::history::span;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

/// Reads a length of time such as `10m`, a time such as `2026-11-21T12:04:22Z`, or one of this machine's
/// clock such as `2026-11-21 12:04` or `12:04`.
pub(super) fn since(text: &str) -> Result<Timestamp, String> {
    read(text, &Timestamp::now().to_zoned(TimeZone::system()))
}

/// Reads a time; a time of day is the last one before `now`.
fn read(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let text = text.trim();
    // 12:04 is a time of day, and never twelve hours.
    if !text.contains(':')
        && let Ok(length) = span(text)
    {
        return now.timestamp().checked_sub(length).map_err(|_| format!("{text} is too long"));
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let zone = now.time_zone().clone();
    let local = |at: DateTime| at.to_zoned(zone.clone()).ok().map(|at| at.timestamp());
    let at = match (text.parse::<Time>(), text.parse::<DateTime>()) {
        (Ok(time), _) => {
            let today = local(now.date().to_datetime(time));
            let is_past = today.is_some_and(|at| at <= now.timestamp());
            let yesterday = || now.date().checked_sub(1.day()).ok();
            if is_past { today } else { yesterday().and_then(|day| local(day.to_datetime(time))) }
        }
        (Err(_), Ok(at)) => local(at),
        (Err(_), Err(_)) => None,
    };
    at.ok_or_else(|| {
        format!("{text:?} is not a time; write 10m, 2h, 12:04, \"2026-11-21 12:04\" or 2026-11-21T12:04:22Z")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let now = "2026-11-21T12:00:00Z".parse::<Timestamp>().unwrap().to_zoned(zone);
        for (text, at) in [
            ("10m", "2026-11-21T11:50:00Z"),
            ("1d 2h", "2026-11-20T10:00:00Z"),
            ("2026-11-21T09:04:22Z", "2026-11-21T09:04:22Z"),
            ("2026-11-21T09:04:22+02:00", "2026-11-21T07:04:22Z"),
            ("2026-11-21 09:04", "2026-11-21T08:04:00Z"),
            ("2026-11-21", "2026-11-20T23:00:00Z"),
            ("09:04", "2026-11-21T08:04:00Z"),
            ("09:04:22", "2026-11-21T08:04:22Z"),
            ("13:30", "2026-11-20T12:30:00Z"),
        ] {
            assert_eq!(read(text, &now), Ok(at.parse().unwrap()), "{text}");
        }
        for text in ["", "soon", "7", "-10m", "25:00", "2026-13-01"] {
            assert!(read(text, &now).unwrap_err().contains("is not a time"), "{text}");
        }
    }
}
