//! Says what is being waited for, on a terminal, when it takes longer than a moment.

use std::io::{IsTerminal, Write};
use std::time::Duration;

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
