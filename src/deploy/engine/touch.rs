//! Keys that must be touched: how often, said before somebody confirms the plan.

use super::step::Step;
use crate::deploy::Reason;
use crate::fleet::{Code, Goal, duration};
use std::time::Duration;

/// When a deploy logs in after its plan was confirmed. A system that is activated is acknowledged over a fresh
/// connection and, where it has to settle, kept over a second one. A host that is restarted is waited for over a
/// fresh connection, and looked at over another one when it has settled. Everything else goes over the connection
/// that is there.
fn logins(goal: Goal, settle: Duration, settle_after_restart: Option<Duration>) -> Vec<String> {
    let mut logins = Vec::new();
    if goal.activates() {
        logins.push("right after the activation, when the new system is acknowledged".to_owned());
        if !settle.is_zero() {
            logins.push(format!("{} later, when it is kept", duration(settle)));
        }
    }
    if let Some(settle) = settle_after_restart {
        logins.push("when the host is back from its restart".to_owned());
        logins.push(if settle.is_zero() {
            "once more when it was looked at".to_owned()
        } else {
            format!("{} later, when it has settled", duration(settle))
        });
    }
    logins
}

/// Returns what the plan says of a host whose key must be touched at every login.
pub(super) fn note(step: &Step) -> Option<Reason> {
    if !step.shared.runner.asks_for_touch(&step.host.name) {
        return None;
    }
    // An activation that restarts the network settles for longer, and not over more connections.
    let settle = step.host.activation.settle(false);
    // A restart begins the network anew.
    let after_restart = step.host.reboot.map(|_| step.host.activation.settle(true));
    sentence(step.host.goal, settle, after_restart)
        .map(|text| Reason::new(Code::KeyAsksForTouch, text))
}

/// Says how often a key must be touched, and when.
fn sentence(
    goal: Goal,
    settle: Duration,
    settle_after_restart: Option<Duration>,
) -> Option<String> {
    let logins = logins(goal, settle, settle_after_restart);
    let when = match logins.as_slice() {
        [] => return None,
        [once] => format!("once: {once}"),
        [before @ .., last] => {
            format!("{} times: {}, and {last}", logins.len(), before.join(", "))
        }
    };
    let unless = match (goal.activates(), settle_after_restart) {
        (true, None) => "it goes back by itself when nobody touches the key in time",
        (true, Some(_)) => {
            "until its system is kept it goes back by itself when nobody touches the key in time, and after its \
             restart it is not known then what it runs"
        }
        (false, _) => "when nobody touches the key in time, it is not known what it runs",
    };
    Some(format!("the key that logs in must be touched {when}; {unless}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_connections_are_counted_for_each_goal() {
        let settle = Duration::from_secs(3);
        assert_eq!(logins(Goal::Switch, settle, None).len(), 2);
        assert_eq!(logins(Goal::Test, Duration::ZERO, None).len(), 1);
        for goal in [Goal::Build, Goal::Boot, Goal::DryActivate] {
            assert_eq!(sentence(goal, settle, None), None, "{goal}");
        }
        let text = sentence(Goal::Switch, settle, None).unwrap();
        assert!(text.contains("must be touched 2 times") && text.contains("3.0 s later"), "{text}");
    }

    #[test]
    fn the_logins_after_a_restart_are_counted_too() {
        let (settle, after) = (Duration::from_secs(3), Some(Duration::from_secs(10)));
        let text = sentence(Goal::Switch, settle, after).unwrap();
        assert!(text.contains("must be touched 4 times"), "{text}");
        assert!(text.contains("back from its restart, and 10 s later"), "{text}");
        let text = sentence(Goal::Boot, settle, after).unwrap();
        assert!(text.contains("must be touched 2 times"), "{text}");
        assert!(!text.contains("goes back"), "its system is permanent: {text}");
    }
}
