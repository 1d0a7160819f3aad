//! Figures as people read them: bytes, shares, durations.

use std::fmt::Display;
use std::time::Duration;

/// Returns bytes with three significant digits and a decimal unit, such as `81.2 GB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// Returns a share (0 to 1) as a whole percentage; `100 %` only when nothing is missing and
/// `0 %` only when nothing is there.
pub fn percent(share: f64) -> String {
    let rounded = (share * 100.0).round();
    let shown = if share < 1.0 && rounded >= 100.0 {
        99.0
    } else if share > 0.0 && rounded <= 0.0 {
        1.0
    } else {
        rounded
    };
    format!("{shown:.0} %")
}

/// Returns a duration in one or two units: `0.4 s`, `31 s`, `2 min 04 s`, `3 h 10 min`, `2 d 4 h`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// Returns an age in one unit, for a column: `now`, `7 s`, `12 min`, `3 h`, `2 d`.
pub fn ago(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0 => "now".to_owned(),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Returns two sizes with one unit where both have the same: `41.2 of 43.0 MB`.
pub fn bytes_of(have: u64, total: u64) -> String {
    let (have, total) = (bytes(have), bytes(total));
    match (have.rsplit_once(' '), total.rsplit_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number} of {total}"),
        _ => format!("{have} of {total}"),
    }
}

/// Returns a number with the noun that it counts: `1 line`, `2 lines`.
pub fn number_of<N: Copy + Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    if count == N::from(1) { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_thing_is_not_several() {
        assert_eq!(number_of(1_usize, "line"), "1 line");
        assert_eq!(number_of(0_u64, "line"), "0 lines");
    }

    #[test]
    fn bytes_keep_three_digits() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (81_234_000_000, "81.2 GB"),
            (412_000_000_000, "412 GB"),
            (999_999, "1.00 MB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn almost_all_is_never_shown_as_all() {
        assert_eq!(percent(0.9999), "99 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.0001), "1 %");
        assert_eq!(percent(0.0), "0 %");
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(Duration::from_millis(420)), "0.4 s");
        assert_eq!(duration(Duration::from_secs(124)), "2 min 04 s");
        assert_eq!(duration(Duration::from_secs(11_400)), "3 h 10 min");
        assert_eq!(ago(Duration::from_secs(0)), "now");
        assert_eq!(ago(Duration::from_secs(200_000)), "2 d");
    }
}
