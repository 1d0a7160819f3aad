//! What a supervisor decided: the line that it leaves, and what it means in our words.
//!
//! The line has three fields, `WORD<TAB>CODE<TAB>REASON`; the code may be empty. A line of two, without
//! the code, was left by an older nixdash.

use super::owner::Owner;
use crate::deploy::words::systems;
use crate::deploy::{Ending, Reason};
use crate::fleet::{Code, Outcome, printable_line};
use jiff::Timestamp;

/// What a supervisor left as its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// The word for how the host's run ended.
    word: String,
    /// What kind of thing happened, where it said so and this nixdash knows it.
    code: Option<Code>,
    /// What happened, printable; empty when there is nothing to say.
    reason: String,
}

impl Decision {
    /// Reads the line; nothing when there is none.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once('\t').unwrap_or((line, ""));
        let (code, reason) = match rest.split_once('\t') {
            Some(("", reason)) => (None, reason),
            Some((code, reason)) => match Code::of_word(code) {
                Some(code) => (Some(code), reason),
                None => (None, rest),
            },
            None => (None, rest),
        };
        let (word, reason) = (printable_line(word), printable_line(reason.trim_end()));
        (!word.is_empty()).then_some(Self { word, code, reason })
    }

    /// Says in our words what it means for a host, of which `goes_back` says whether it was to leave what its run
    /// brought.
    pub(super) fn ending(&self, name: &str, goes_back: bool) -> Ending {
        let (outcome, reason) = match self.word.as_str() {
            // Somebody else had done it already.
            "switched" | "booted" if self.code == Some(Code::Superseded) => {
                (Outcome::Unchanged, None)
            }
            "switched" => (Outcome::Switched, None),
            "tested" => (Outcome::Tested, None),
            "booted" => (Outcome::Booted, None),
            "dry" => (Outcome::Dry, None),
            "needs-reboot" => (Outcome::NeedsReboot, Some(self.because(Code::SwitchInhibited, ""))),
            "rolled-back" => {
                // What failed comes first: that it went back follows from it.
                let why = self.because(Code::RolledBack, "");
                let (_, the_old) = systems(goes_back);
                let text = format!("{}; it is back on {the_old}", why.text);
                (Outcome::RolledBack, Some(Reason { text, ..why }))
            }
            "superseded" => (Outcome::Superseded, Some(self.because(Code::Superseded, ""))),
            "failed" => {
                (Outcome::Failed, Some(self.because(Code::ActivationFailed, "not activated: ")))
            }
            "degraded" => (Outcome::Degraded, Some(self.because(Code::SystemUnexpected, ""))),
            "stuck" => {
                let before = "it did not get back to what it was; repair it by hand: ";
                (Outcome::Degraded, Some(self.because(Code::SystemUnexpected, before)))
            }
            "locked" => {
                let owner = Owner::parse(&self.reason);
                let text = owner.map_or_else(
                    || {
                        "another deploy holds the lock of the host and has not said yet who began \
                         it; try again in a minute"
                            .to_owned()
                    },
                    |owner| {
                        format!(
                            "another deploy holds the lock: {}",
                            owner.sentence(Timestamp::now())
                        )
                    },
                );
                (Outcome::Failed, Some(Reason::new(Code::LockHeld, text)))
            }
            other => {
                let why = match self.reason.as_str() {
                    "" => String::new(),
                    why => format!(" and this reason: {why}"),
                };
                let text = format!(
                    "its supervisor, of another version of nixdash, ended with the result \
                     {other:?}, which this version does not know{why}; see what the host runs"
                );
                return Ending {
                    outcome: Outcome::Unknown,
                    reason: Some(Reason::new(Code::InternalError, format!("{name}: {text}"))),
                };
            }
        };
        let reason = reason
            .map(|why| Reason::new(self.code.unwrap_or(why.code), format!("{name}: {}", why.text)));
        Ending { outcome, reason }
    }

    /// Returns what happened behind these words. The code is for a line that names none.
    fn because(&self, code: Code, before: &str) -> Reason {
        let said = if self.reason.is_empty() { "no reason given" } else { &self.reason };
        Reason::new(code, format!("{before}{said}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(line: &str) -> Ending {
        Decision::parse(line).unwrap().ending("samsung", false)
    }

    #[test]
    fn what_the_supervisor_says_becomes_an_outcome_a_code_and_a_sentence() {
        let found = ending("rolled-back\tnetwork-lost\tnobody could reach it");
        assert_eq!(found.outcome, Outcome::RolledBack);
        let text = "samsung: nobody could reach it; it is back on the previous system";
        assert_eq!(found.reason, Some(Reason::new(Code::NetworkLost, text)));
        let undone = Decision::parse("rolled-back\tcheck-failed\tthe check").unwrap();
        let undone = undone.ending("samsung", true).reason.unwrap().text;
        assert!(undone.ends_with("it is back on the system that this run brought"), "{undone}");
        let found = ending("stuck\tsystem-unexpected\tx");
        assert_eq!(found.outcome, Outcome::Degraded);
        assert_eq!(found.reason.unwrap().code, Code::SystemUnexpected);
        let found = ending("superseded\tsuperseded\tit runs x");
        assert_eq!(
            (found.outcome, found.reason.unwrap().code),
            (Outcome::Superseded, Code::Superseded)
        );
        let found = ending("dance\tcheck-failed\tx");
        assert_eq!(found.outcome, Outcome::Unknown, "nobody knows what it means");
        assert_eq!(found.reason.unwrap().code, Code::InternalError);
        assert_eq!(ending("switched\t\t"), Ending { outcome: Outcome::Switched, reason: None });
        for word in ["switched", "booted"] {
            let found = ending(&format!("{word}\tsuperseded\tsomebody else has deployed it"));
            assert_eq!(found, Ending { outcome: Outcome::Unchanged, reason: None });
        }
        assert_eq!(Decision::parse(""), None);
    }

    #[test]
    fn what_an_older_supervisor_left_is_read_by_its_word() {
        for (line, outcome, reason) in [
            ("switched\t", Outcome::Switched, None),
            (
                "rolled-back\tnetwork-lost",
                Outcome::RolledBack,
                Some((
                    Code::RolledBack,
                    "samsung: network-lost; it is back on the previous system",
                )),
            ),
            (
                "degraded\tthe next boot starts x\tbecause",
                Outcome::Degraded,
                Some((Code::SystemUnexpected, "samsung: the next boot starts x because")),
            ),
            (
                "failed\tnobody there",
                Outcome::Failed,
                Some((Code::ActivationFailed, "samsung: not activated: nobody there")),
            ),
        ] {
            let reason = reason.map(|(code, text)| Reason::new(code, text));
            assert_eq!(ending(line), Ending { outcome, reason }, "{line}");
        }
    }
}
