//! Why a host did not get what was asked for: what failed first, what came of going back, what to do.

use crate::dash::theme::Role;
use crate::dash::words::{WITH_HASHES, short_paths};
use crate::fleet::words::without_name;
use crate::fleet::{HostResult, Outcome};

/// What there is to say of a host that ended otherwise than asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dash) struct ToldReason {
    /// How bad it is.
    pub(in crate::dash) role: Role,
    /// What failed first.
    pub(in crate::dash) first: String,
    /// What went wrong when the host went back, one after the other.
    pub(in crate::dash) then: Vec<String>,
    /// What to do about the first, as a clause.
    pub(in crate::dash) fix: Option<String>,
}

impl ToldReason {
    /// Returns all of what happened as one text, the first error first.
    pub(in crate::dash) fn text(&self) -> String {
        let then = self.then.iter().map(|text| format!(". Then, going back: {text}"));
        std::iter::once(self.first.clone()).chain(then).collect()
    }
}

/// Returns why a host ended so, for that many columns, where the host's name stands already; none where all
/// went well.
pub(in crate::dash) fn reason(
    host: &str,
    result: &HostResult,
    columns: usize,
) -> Option<ToldReason> {
    let error = result.error.as_deref()?;
    let shown = |text: &str| {
        let text = without_name(host, text);
        if columns < usize::from(WITH_HASHES) { short_paths(text) } else { text.to_owned() }
    };
    let role = reason_role(result.outcome);
    let mut told = result.findings.iter().map(|it| format!("{} [{}]", shown(&it.cause), it.code));
    // The records of older runs have a sentence alone.
    let first = told.next().unwrap_or_else(|| shown(error));
    let fix = result.findings.first().map(|finding| finding.fix.clone());
    Some(ToldReason { role, first, then: told.collect(), fix: fix.filter(|fix| !fix.is_empty()) })
}

/// Returns the colour of why a host ended so: nothing went wrong with one that was left out.
pub(in crate::dash) fn reason_role(outcome: Outcome) -> Role {
    match outcome {
        Outcome::Skipped => Role::Text,
        outcome if outcome.is_good() => Role::Warn,
        _ => Role::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Code, Finding, Subject};

    fn result(causes: &[(Code, &str)]) -> HostResult {
        let finding = |(code, cause): &(Code, &str)| {
            Finding::new(Subject::host("samsung"), *code, cause, &code.fix())
        };
        HostResult {
            duration_ms: 1,
            error: Some("an older sentence".to_owned()),
            findings: causes.iter().map(finding).collect(),
            ..HostResult::ended(Outcome::RolledBack)
        }
    }

    #[test]
    fn what_failed_first_stands_before_what_going_back_met() {
        let both = result(&[(Code::CheckFailed, "sshd is off"), (Code::UnitsFailed, "a failed")]);
        let told = reason("samsung", &both, 80).unwrap();
        assert_eq!(told.first, "sshd is off [check-failed]");
        assert_eq!(
            told.text(),
            "sshd is off [check-failed]. Then, going back: a failed [units-failed]"
        );
        assert_eq!(told.fix, Some(Code::CheckFailed.fix()));
    }

    #[test]
    fn a_record_without_findings_keeps_its_sentence_and_says_nothing_to_do() {
        let told = reason("samsung", &result(&[]), 80).unwrap();
        assert_eq!((told.text().as_str(), told.fix), ("an older sentence", None));
        assert_eq!(reason("samsung", &HostResult { error: None, ..result(&[]) }, 80), None);
    }

    #[test]
    fn the_name_of_a_host_is_left_out_where_it_stands_already() {
        let told = reason("samsung", &result(&[(Code::CheckFailed, "samsung: sshd is off")]), 80);
        assert_eq!(told.unwrap().first, "sshd is off [check-failed]");
    }

    #[test]
    fn store_paths_are_whole_where_there_is_room() {
        let path = "/nix/store/2c4f8d1a2c4f8d1a2c4f8d1a2c4f8d1a-a.drv";
        let found = result(&[(Code::BuildFailed, path)]);
        assert_eq!(reason("samsung", &found, 80).unwrap().first, "a.drv [build-failed]");
        assert_eq!(reason("samsung", &found, 100).unwrap().first, format!("{path} [build-failed]"));
    }
}
