//! Says what is being waited for, on a terminal, when it takes longer than a moment.

use jiff::SignedDuration;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Reads how long something may be waited for, such as `90s` or `5m`; `0s` is no time at all.
pub(super) fn limit(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a length of time; write 90s or 5m");
    let span: SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(span).map_err(|_| wrong())
}

/// How long nothing is said.
const MOMENT: Duration = Duration::from_secs(1);

/// Does something; says meanwhile what is being waited for, and takes that back at the end.
pub(super) async fn saying<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    if !std::io::stderr().is_terminal() {
        return work.await;
    }
    if let Ok(done) = tokio::time::timeout(MOMENT, &mut work).await {
        return done;
    }
    // A terminal that takes no more text needs no telling.
    let say = |text: &str| drop(write!(std::io::stderr(), "\r\x1b[2K{text}"));
    say(what);
    let done = work.await;
    say("");
    done
}

/// Says a sentence on standard error, in the place of what is said to be waited for.
pub(super) fn line(sentence: &str) {
    let mut err = std::io::stderr();
    let clear = if err.is_terminal() { "\r\x1b[2K" } else { "" };
    // Standard error may be gone.
    drop(writeln!(err, "{clear}nixdash: {sentence}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_people_write_them() {
        assert_eq!(limit("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(limit("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(limit("0s"), Ok(Duration::ZERO));
        for text in ["", "5", "-5m", "soon"] {
            assert!(limit(text).is_err(), "{text}");
        }
    }
}
