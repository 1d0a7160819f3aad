//! The log of an activation, which tells when the host can be asked for its acknowledgement.

use super::step::{PlainLog, Step};
use crate::remote::ReadLine;
use crate::remote::job::LineSink;
use jiff::Timestamp;

/// What the supervisor says when a system was activated: `supervise-switch.sh` prints it, with the number of
/// the step behind it.
const ENDED: &str = "switch-to-configuration test ended with exit code 0 (step ";

/// Logs what an activation prints. Its end begins the connection by which the host is asked whether it can be
/// reached: what the supervisor has yet to look at takes as long as a login.
///
/// A connection only proves something where it was begun after the host had changed for the last time. So it
/// is given up when anything more is printed, as where the previous system is activated once more.
pub(super) struct ActivationLog<'a> {
    step: &'a Step,
    plain: PlainLog<'a>,
    /// Whether the host is asked for an acknowledgement at all.
    is_acknowledged: bool,
    has_begun: bool,
}

impl<'a> ActivationLog<'a> {
    /// Logs the activation of a phase.
    pub(super) fn new(step: &'a Step) -> Self {
        let is_acknowledged = step.host.activation.magic_rollback();
        Self { step, plain: PlainLog::new(step), is_acknowledged, has_begun: false }
    }
}

impl LineSink for ActivationLog<'_> {
    async fn take(&mut self, line: &ReadLine<'_>) {
        let (runner, host) = (&self.step.runner, &self.step.host.name);
        if self.is_acknowledged && line.text().starts_with(ENDED) {
            runner.begin_fresh(host);
            self.has_begun = true;
        } else if std::mem::take(&mut self.has_begun) {
            runner.forget_fresh(host);
        }
        self.plain.take(line).await;
    }

    async fn note(&mut self, text: &str) {
        self.plain.note(text).await;
    }

    fn falls_silent(&mut self, host: &str, since: Timestamp, until: Timestamp) {
        self.plain.falls_silent(host, since, until);
    }

    fn silence_ends(&mut self) {
        self.plain.silence_ends();
    }

    fn written_at(&mut self, at: Option<Timestamp>) {
        self.plain.written_at(at);
    }

    fn read_to(&mut self, job: &str, offset: u64) {
        self.plain.read_to(job, offset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::engine::scripts::SUPERVISE;

    #[test]
    fn the_supervisor_says_the_end_of_an_activation_as_it_is_read_here() {
        let says =
            "flush_output \"switch-to-configuration $2 ended with exit code $code (step $stage)\"";
        assert_eq!(SUPERVISE.matches(says).count(), 1);
        let said = says.replace("$2", "test").replace("$code", "0");
        assert!(said.contains(ENDED), "{said}");
    }
}
