//! Acknowledge: proves over a connection of its own that a freshly activated host can be reached.

use super::activate;
use super::scripts::ACKNOWLEDGE;
use super::step::Step;
use super::supervised::{Supervised, patience};
use crate::deploy::{Activation, Failure, Report};
use crate::fleet::{Wait, printable_line};
use crate::remote::job::Patience;
use crate::remote::{Script, Way};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// How long one try may take: a connection and a moment.
const TRY_LIMIT: Duration = Duration::from_secs(8);

/// Proves that the host can be reached, and tells the supervisor so.
pub(super) async fn acknowledge(step: &Step) -> Result<Report, Failure> {
    let name = &step.host.name;
    let supervised = step.take_supervised().await?;
    let script =
        Script::new(ACKNOWLEDGE).root().way(Way::Fresh).limit(TRY_LIMIT).arg(supervised.job.name());
    let mut patience = Patience::new(step.host.confirm_timeout);
    let began = Instant::now();
    loop {
        let pause = match step.runner.run(name, &script).await {
            Ok(output) if output.is_ok() => {
                if came_too_late(step, &output.stdout) {
                    return after_answer(step, supervised, &output.stdout).await;
                }
                step.log("reached over a new connection").await;
                step.keep_supervised(supervised).await;
                return Ok(Report::Acknowledged { boot_id: works_in(&output.stdout) });
            }
            Ok(output) => {
                step.log(&format!("not acknowledged: {}", output.complaint())).await;
                Some(Duration::from_millis(500))
            }
            Err(error) => {
                step.log(&format!("not acknowledged: {}", error.cause)).await;
                patience.again(&error)
            }
        };
        match pause {
            Some(pause) if began.elapsed() < step.host.confirm_timeout => {
                tokio::time::sleep(pause).await;
            }
            Some(_) | None => return after_silence(step, supervised).await,
        }
    }
}

/// Returns whether what the host answered shows that it is not waiting any more: it has decided, is
/// on its way back, or was restarted since the activation began.
pub(super) fn came_too_late(step: &Step, text: &str) -> bool {
    is_too_late(&step.known.preflight.boot_id, text)
}

/// As [`came_too_late`]; `boot_id` is that of preflight. A host may have been restarted between that
/// and its activation: where the job is there, it was not restarted since.
fn is_too_late(boot_id: &str, text: &str) -> bool {
    let fields = || text.lines().filter_map(|line| line.split_once('\t'));
    let has_job = fields().any(|(key, value)| (key, value) == ("job", "there"));
    fields().any(|(key, value)| match key {
        "outcome" => true,
        "activated" => value.split(' ').nth(1) != Some("ok"),
        "boot_id" => !has_job && value.trim() != boot_id,
        _ => false,
    })
}

/// Returns in which start of the machine the supervisor works, by its boot id; none where its job is not there.
fn works_in(text: &str) -> Option<String> {
    let fields = || text.lines().filter_map(|line| line.split_once('\t'));
    let has_job = fields().any(|field| field == ("job", "there"));
    let boot_id = fields().find_map(|(key, value)| (key == "boot_id").then(|| value.trim()))?;
    (has_job && !boot_id.is_empty()).then(|| printable_line(boot_id))
}

/// Waits for what the supervisor decided without us, on a host that nobody reaches.
pub(super) async fn after_silence(step: &Step, supervised: Supervised) -> Result<Report, Failure> {
    step.log("waiting for the host to come back, and for what it decided").await;
    what_it_decided(step, supervised, false).await
}

/// Waits for what the supervisor of a host decided, which answered so and is not waiting any more.
pub(super) async fn after_answer(
    step: &Step,
    supervised: Supervised,
    text: &str,
) -> Result<Report, Failure> {
    if !goes_back(text) {
        return after_silence(step, supervised).await;
    }
    step.log("it goes back: waiting for its previous system to run again").await;
    what_it_decided(step, supervised, true).await
}

/// Returns whether what the host answered shows that it is on its way back.
fn goes_back(text: &str) -> bool {
    let mut fields = text.lines().filter_map(|line| line.split_once('\t'));
    fields.any(|(key, value)| key == "activated" && activate::goes_back(value))
}

async fn what_it_decided(
    step: &Step,
    mut supervised: Supervised,
    goes_back: bool,
) -> Result<Report, Failure> {
    let now = Timestamp::now();
    let until = now.checked_add(patience(step)).unwrap_or(Timestamp::MAX);
    let (teller, name) = (&step.shared.teller, &step.host.name);
    teller.waits(name, Some(Wait::Back { until, goes_back }));
    let decided = supervised.decided(step).await;
    teller.waits(name, None);
    Ok(Report::Activated(Activation::Decided(decided?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_before_the_activation_is_no_restart_of_it() {
        assert!(!is_too_late("1", "boot_id\t1\nactivated\t0 ok\n"));
        assert!(is_too_late("1", "boot_id\t2\n"), "it was restarted");
        assert!(!is_too_late("1", "boot_id\t2\njob\tthere\nactivated\t0 ok\n"));
        assert!(is_too_late("1", "boot_id\t2\njob\tthere\nactivated\t0 back\n"));
        assert!(is_too_late("1", "boot_id\t1\njob\tthere\noutcome\tswitched\n"));
    }

    #[test]
    fn a_host_that_was_told_to_go_back_is_not_taken_for_one_that_is_cut_off() {
        assert!(goes_back("boot_id\t1\njob\tthere\nactivated\t0 back\n"));
        assert!(!goes_back("boot_id\t1\njob\tthere\nactivated\t0 ok\noutcome\tswitched\n"));
        assert!(!goes_back("boot_id\t2\n"), "it was restarted");
    }

    #[test]
    fn the_start_in_which_the_supervisor_works_is_the_one_that_has_its_job() {
        let started = |text| works_in(text);
        assert_eq!(started("job\tthere\nboot_id\t2\nactivated\t0 ok\n").as_deref(), Some("2"));
        assert_eq!(started("boot_id\t2\nactivated\t0 ok\n"), None, "its job is gone");
        assert_eq!(started("job\tthere\nboot_id\t\n"), None);
    }
}
