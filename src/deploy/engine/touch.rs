//! Keys that must be touched: how often, said before somebody confirms the plan.

use super::step::Step;
use crate::deploy::{HostSetup, Reason};
use crate::fleet::{ActivationSettings, Code, Goal, duration};
use std::time::Duration;

/// When a deploy logs in after its plan was confirmed. A system that is activated and can go back is acknowledged over
/// a fresh connection and, where it has to settle, kept over a second one. A host that is restarted is waited for over a
/// fresh connection, and looked at over another one when it has settled. Everything else goes over the connection
/// that is there.
fn logins(settle: Option<Duration>, settle_after_restart: Option<Duration>) -> Vec<String> {
    let mut logins = Vec::new();
    if let Some(settle) = settle {
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
    let HostSetup { goal, activation, reboot, .. } = &step.host;
    touches(*goal, activation, reboot.is_some())
        .map(|text| Reason::new(Code::KeyAsksForTouch, text))
}

/// Says how often a key must be touched where this is done to a host.
fn touches(goal: Goal, activation: &ActivationSettings, restarts: bool) -> Option<String> {
    // One that keeps its system whatever happens is not proven over fresh connections.
    let is_proven = goal.activates() && activation.magic_rollback();
    // An activation that restarts the network settles for longer, and not over more connections.
    let settle = is_proven.then(|| activation.settle(false));
    // A restart begins the network anew.
    sentence(settle, restarts.then(|| activation.settle(true)))
}

/// Says how often a key must be touched, and when. `settle` is how long a system that can go back settles after its
/// activation.
fn sentence(settle: Option<Duration>, settle_after_restart: Option<Duration>) -> Option<String> {
    let logins = logins(settle, settle_after_restart);
    let when = match logins.as_slice() {
        [] => return None,
        [once] => format!("once: {once}"),
        [before @ .., last] => {
            format!("{} times: {}, and {last}", logins.len(), before.join(", "))
        }
    };
    let unless = match (settle.is_some(), settle_after_restart) {
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
    use std::path::Path;

    #[test]
    fn fresh_connections_are_counted() {
        let settle = Some(Duration::from_secs(3));
        assert_eq!(logins(settle, None).len(), 2);
        assert_eq!(logins(Some(Duration::ZERO), None).len(), 1);
        assert_eq!(sentence(None, None), None, "nothing is activated, or it cannot go back");
        let text = sentence(settle, None).unwrap();
        assert!(text.contains("must be touched 2 times") && text.contains("3.0 s later"), "{text}");
    }

    #[test]
    fn the_logins_after_a_restart_are_counted_too() {
        let (settle, after) = (Some(Duration::from_secs(3)), Some(Duration::from_secs(10)));
        let text = sentence(settle, after).unwrap();
        assert!(text.contains("must be touched 4 times"), "{text}");
        assert!(text.contains("back from its restart, and 10 s later"), "{text}");
        let text = sentence(None, after).unwrap();
        assert!(text.contains("must be touched 2 times"), "{text}");
        assert!(!text.contains("goes back"), "its system is permanent: {text}");
    }

    /// Returns what is said of a host with these lines in hosts.toml.
    fn said(lines: &str, goal: Goal, restarts: bool) -> Option<String> {
        let text = format!("[hosts.samsung]\n{lines}\n");
        let fleet = crate::config::parse(&text, Path::new("hosts.toml"), None).unwrap();
        touches(goal, &fleet.hosts[0].activation, restarts)
    }

    #[test]
    fn only_a_system_that_is_activated_and_can_go_back_is_logged_in_for() {
        let text = said("", Goal::Switch, false).unwrap();
        assert!(text.contains("must be touched 2 times") && text.contains("goes back"), "{text}");
        assert_eq!(said("magic_rollback = false", Goal::Switch, false), None);
        for goal in [Goal::Build, Goal::Boot, Goal::DryActivate] {
            assert_eq!(said("", goal, false), None, "{goal}");
        }
        let text = said("magic_rollback = false", Goal::Switch, true).unwrap();
        assert!(text.contains("must be touched 2 times: when the host is back"), "{text}");
        assert!(!text.contains("goes back"), "{text}");
    }
}
