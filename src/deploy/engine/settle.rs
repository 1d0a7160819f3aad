//! Settle: a fresh system must stay reachable and well for a while before it is made permanent.
//!
//! Networks break late: a lease that is not renewed, a firewall that closes, wifi that does not come
//! back. So the word `commit` travels over a second fresh connection, some seconds after the end of
//! the activation; and every address that answered before must answer again.

use super::acknowledge::{after_answer, after_silence, came_too_late};
use super::scripts::{LAST_WORD, WORD};
use super::step::Step;
use super::supervised::{Supervised, ToldToKeep};
use crate::deploy::words::{order_not_arrived, order_not_taken};
use crate::deploy::{Failure, Report};
use crate::remote::job::Patience;
use crate::remote::{Output, RemoteError, Script, Way};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// How long one try may take: a connection and a moment.
const TRY_LIMIT: Duration = Duration::from_secs(8);

/// The word with which a supervisor keeps the system.
const KEEP_IT: &str = "commit";

/// The same word where something is wrong with the system, so that the host marks it; `word.sh` takes it apart.
const KEEP_DEGRADED: &str = "commit degraded";

/// How long addresses that answered before may take to answer again.
const ADDRESS_LIMIT: Duration = Duration::from_secs(10);

/// Waits until the system has settled, and tells the supervisor to keep it.
pub(super) async fn settle(step: &Step) -> Result<Report, Failure> {
    if step.known.abort.is_some() {
        return Ok(Report::Done);
    }
    let supervised = step.take_supervised().await?;
    let time = step.host.activation.settle(step.known.remarks.network);
    let left = time.saturating_sub(supervised.activated_at.elapsed());
    if !left.is_zero() {
        step.log(&format!(
            "must stay reachable for {} after its activation",
            crate::fleet::duration(time)
        ))
        .await;
        tokio::time::sleep(left).await;
    }
    let lost = addresses_lost(step).await;
    if !lost.is_empty() {
        step.keep_supervised(supervised).await;
        return Ok(Report::AddressesLost(lost));
    }
    commit(step, supervised, !time.is_zero()).await
}

/// Says the word to keep the system, once. After a time to settle it travels over a second fresh connection.
/// Without one the connection of the acknowledgement is proof enough, and the exchange goes on with the log
/// of the supervisor, which persist reads.
async fn say(
    step: &Step,
    supervised: &mut Supervised,
    has_settled: bool,
) -> Result<Output, RemoteError> {
    let job = &mut supervised.job;
    let word = if step.known.blemish.is_some() { KEEP_DEGRADED } else { KEEP_IT };
    if !has_settled {
        return job.tell(&step.runner, LAST_WORD, word, TRY_LIMIT).await;
    }
    let script = Script::new(WORD).root().way(Way::Fresh).limit(TRY_LIMIT);
    step.runner.run(&step.host.name, &script.arg(job.name()).arg(word)).await
}

/// Tells the supervisor to keep the system.
async fn commit(
    step: &Step,
    mut supervised: Supervised,
    has_settled: bool,
) -> Result<Report, Failure> {
    let mut patience = Patience::new(step.host.confirm_timeout);
    let began = Instant::now();
    loop {
        let asked_at = Timestamp::now();
        let pause = match say(step, &mut supervised, has_settled).await {
            Ok(output) if output.is_ok() => {
                let counts = output.stdout.lines().any(|line| line == "word\tcommit");
                if counts {
                    supervised.told = ToldToKeep::Yes(asked_at);
                }
                if came_too_late(step, &output.stdout) {
                    return after_answer(step, supervised, &output.stdout).await;
                }
                if counts {
                    step.keep_supervised(supervised).await;
                    return Ok(Report::Done);
                }
                step.log(&order_not_taken(&output.complaint())).await;
                Some(Duration::from_millis(500))
            }
            Ok(output) => {
                step.log(&order_not_taken(&output.complaint())).await;
                Some(Duration::from_millis(500))
            }
            Err(error) => {
                if error.may_have_run() && supervised.told == ToldToKeep::No {
                    supervised.told = ToldToKeep::Perhaps(asked_at);
                }
                step.log(&order_not_arrived("to keep the new system", &error.cause)).await;
                patience.again(&error)
            }
        };
        match pause {
            Some(pause) if began.elapsed() < step.host.confirm_timeout => {
                tokio::time::sleep(pause).await;
            }
            // A word that does not arrive at all makes the supervisor go back.
            Some(_) | None => return after_silence(step, supervised).await,
        }
    }
}

/// Returns the addresses that answered in preflight and do not any more.
pub(super) async fn addresses_lost(step: &Step) -> Vec<String> {
    let before = &step.known.preflight.answering;
    if before.len() < 2 {
        // The connection itself is the proof of an only address.
        return Vec::new();
    }
    let began = Instant::now();
    loop {
        let now = step.runner.answering(&step.host.name).await.unwrap_or_default();
        // A port that moved is no lost address: another listed one of the same name answers.
        let now: Vec<&str> = now.iter().map(|address| host_of(address)).collect();
        let lost: Vec<String> =
            before.iter().filter(|had| !now.contains(&host_of(had))).cloned().collect();
        if lost.is_empty() || began.elapsed() > ADDRESS_LIMIT {
            return lost;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Returns the host of an address as it is written, `[user@]host[:port]`.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once('@').map_or(address, |(_, host)| host);
    if let Some((host, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return host;
    }
    match host.split_once(':') {
        Some((name, port)) if !port.contains(':') => name,
        Some(_) | None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_and_the_user_do_not_make_another_host() {
        for (address, host) in [
            ("samsung.lan", "samsung.lan"),
            ("root@samsung.lan:22", "samsung.lan"),
            ("me@[fe80::1]:2222", "fe80::1"),
            ("fd00::510", "fd00::510"),
        ] {
            assert_eq!(host_of(address), host);
        }
    }
}
