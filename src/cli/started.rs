//! The command by which the dashboard starts a run, from what was chosen there.

use crate::dash::StartChoices;
use crate::fleet::{Goal, Strategy};

/// What a run that is started is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct StartedGoal {
    pub(super) goal: Goal,
    /// Whether hosts with an action of their own in hosts.toml get that one.
    pub(super) own_actions: bool,
    /// The strategy; none means each host's own.
    pub(super) strategy: Option<Strategy>,
    /// Whether hosts take part that run no system of NixOS yet.
    pub(super) first: bool,
}

/// Returns the arguments of `nixdash` that start such a run, before the names of its hosts.
pub(super) fn start_args(started: StartedGoal, choices: StartChoices) -> Vec<String> {
    let StartedGoal { goal, own_actions, strategy, first } = started;
    let mut args: Vec<&str> = vec![goal.command()];
    if let Some(strategy) = strategy {
        args.extend(["--strategy", strategy.word()]);
    }
    if goal.deploys() {
        if !own_actions {
            args.extend(["--action", goal.word()]);
        }
        let StartChoices { wait_offline, reboot, skip_caches, without_specialisation } = choices;
        let flags = [
            (first, "--first"),
            (wait_offline, "--wait-offline"),
            (reboot, "--reboot"),
            (skip_caches, "--skip-caches"),
            (without_specialisation, "--without-specialisation"),
        ];
        args.extend(flags.into_iter().filter(|(is_asked, _)| *is_asked).map(|(_, flag)| flag));
    }
    args.into_iter().map(str::to_owned).collect()
}

/// Returns the arguments of `nixdash` that take a host to a generation, before its name.
pub(super) fn rollback_args(generation: u64, choices: StartChoices) -> Vec<String> {
    let mut args = vec!["rollback".to_owned(), "--to".to_owned(), generation.to_string()];
    let flags = [
        (choices.reboot, "--reboot"),
        (choices.without_specialisation, "--without-specialisation"),
    ];
    let asked = flags.into_iter().filter(|(is_asked, _)| *is_asked);
    args.extend(asked.map(|(_, flag)| flag.to_owned()));
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_is_asked_of_the_run() {
        let (goal, strategy) = (Goal::Switch, Some(Strategy::Direct));
        let started = StartedGoal { goal, own_actions: false, strategy, first: false };
        let choices = StartChoices {
            wait_offline: true,
            reboot: true,
            skip_caches: true,
            without_specialisation: true,
        };
        assert_eq!(
            start_args(started, choices).join(" "),
            "deploy --strategy direct --action switch --wait-offline --reboot --skip-caches --without-specialisation"
        );
        let back = rollback_args(75, choices).join(" ");
        assert_eq!(back, "rollback --to 75 --reboot --without-specialisation");
        assert_eq!(rollback_args(75, StartChoices::default()), ["rollback", "--to", "75"]);
        let own = StartedGoal { own_actions: true, strategy: None, first: true, ..started };
        assert_eq!(start_args(own, StartChoices::default()), ["deploy", "--first"]);
        let build = StartedGoal { goal: Goal::Build, ..own };
        assert_eq!(start_args(build, choices), ["build"]);
    }
}
