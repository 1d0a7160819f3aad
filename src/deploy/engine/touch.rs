//! Keys that must be touched: how often, said before somebody confirms the plan.

use super::step::Step;
use crate::deploy::Reason;
use crate::fleet::{Code, Goal};
use std::time::Duration;

/// Returns how many logins a deploy makes after its plan was confirmed. A system that is activated
/// is acknowledged over a fresh connection and, where it has to settle, kept over a second one.
/// Everything else goes over the connection that preflight made.
fn logins(goal: Goal, settle: Duration) -> u32 {
    if !goal.activates() {
        return 0;
    }
    if settle.is_zero() { 1 } else { 2 }
}

/// Returns what the plan says of a host whose key must be touched at every login.
pub(super) fn note(step: &Step) -> Option<Reason> {
    if !step.shared.runner.asks_for_touch(&step.host.name) {
        return None;
    }
    // An activation that restarts the network settles for longer, and not over more connections.
    let settle = step.host.activation.settle(false);
    sentence(step.host.goal, settle).map(|text| Reason::new(Code::KeyAsksForTouch, text))
}

/// Says how often a key must be touched, and when.
fn sentence(goal: Goal, settle: Duration) -> Option<String> {
    let when = match logins(goal, settle) {
        0 => return None,
        1 => "once: right after the activation, when the new system is acknowledged".to_owned(),
        count => format!(
            "{count} times: right after the activation, when the new system is acknowledged, and {} \
             later, when it is kept",
            crate::fleet::duration(settle)
        ),
    };
    Some(format!(
        "the key that logs in must be touched {when}; it goes back by itself when nobody touches the key in time"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_connections_are_counted_for_each_goal() {
        let settle = Duration::from_secs(3);
        assert_eq!(logins(Goal::Switch, settle), 2);
        assert_eq!(logins(Goal::Test, Duration::ZERO), 1);
        for goal in [Goal::Build, Goal::Boot, Goal::DryActivate] {
            assert_eq!(sentence(goal, settle), None, "{goal}");
        }
        let text = sentence(Goal::Switch, settle).unwrap();
        assert!(text.contains("must be touched 2 times") && text.contains("3.0 s later"), "{text}");
    }
}
