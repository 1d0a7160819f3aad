//! The sentences that several files of this room say.
//!
//! What only one phase says stands where it is said. Each sentence here has a name that says when it is
//! used, so that the same thing is never told in two ways.

use crate::fleet::Tier;

/// What somebody who could not be reached is said to have answered.
pub(in crate::deploy) const NO_ANSWER: &str = "no answer";

/// What stands for a system whose path is not known.
pub(in crate::deploy) const UNREAD_SYSTEM: &str = "a system that could not be read";

/// Why nothing is known of the failed units of a host that was asked for them.
pub(in crate::deploy) const FAILED_UNITS_UNREAD: &str = "systemd did not say which units failed";

/// Why a host of a run that somebody stopped goes no further.
pub(in crate::deploy) const STOPPED: &str = "stopped by the operator";

/// Says in a log that a job begins again, since its machine was restarted. `doing`: `building`.
pub(in crate::deploy) fn again_after_restart(machine: &str, doing: &str) -> String {
    format!("{machine} was restarted meanwhile; {doing} again")
}

/// Says that a job has no exit code, since something other than nixdash ended it. `job`: `the fetch on razer`.
pub(in crate::deploy) fn ended_from_outside(job: &str, machine: &str) -> String {
    format!("{job} was ended from outside; was {machine} restarted?")
}

/// Says in a log that a host heard the order to keep its new system and did not take it.
pub(in crate::deploy) fn order_not_taken(complaint: &str) -> String {
    format!("the host did not take the order to keep the new system: {complaint}")
}

/// Says in a log that an order did not arrive. `order`: `to go back`.
pub(in crate::deploy) fn order_not_arrived(order: &str, cause: &str) -> String {
    format!("the order {order} did not arrive, trying again: {cause}")
}

/// Returns a reason without the question or advice behind it that asks something of the reader, so that
/// another clause may follow.
pub(in crate::deploy) fn without_question(reason: &str) -> &str {
    match reason.rsplit_once("; ") {
        Some((cause, asked)) if asked.contains('?') => cause,
        Some(_) | None => reason,
    }
}

/// Says that nothing that a tier serves can be verified.
pub(in crate::deploy) fn no_public_key(tier: &Tier) -> String {
    format!("tier {} has no public_key in hosts.toml", tier.name)
}

/// Returns what the system is called that an attempt is to bring a host, and the one that it had before. One that goes
/// back is to leave what its run brought.
pub(in crate::deploy) fn systems(goes_back: bool) -> (&'static str, &'static str) {
    if goes_back {
        ("the previous system", "the system that this run brought")
    } else {
        ("the new system", "the previous system")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clause_may_follow_a_reason_whose_question_is_left_out() {
        let asked = "p620: connection refused; is it on and in this network? `ssh` to it by hand shows more";
        assert_eq!(without_question(asked), "p620: connection refused");
        for plain in ["p620 is off", "no key; load it with ssh-add", "what? no"] {
            assert_eq!(without_question(plain), plain);
        }
    }
}
