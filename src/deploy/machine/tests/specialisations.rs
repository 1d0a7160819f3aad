//! Hosts that run a specialisation, which a run keeps or leaves, and their way back to it.

use super::*;

/// The specialisation `gaming` of a system.
fn gaming(system: &str) -> StorePath {
    path(&format!("{system}-gaming"))
}

/// Returns what preflight finds on a host that runs `gaming` of a system.
fn runs_gaming(system: &str) -> Report {
    let mut found = Preflight {
        running: Some(gaming(system)),
        profile: Some(path(system)),
        ..Preflight::default()
    };
    let special = Specialisation { system: path(system), name: "gaming".to_owned() };
    found.deploys.specialisation = Some(special);
    Report::Preflight(Box::new(found))
}

#[test]
fn a_host_leaves_its_specialisation_where_that_is_asked_for_though_it_has_the_system() {
    for goal in [Goal::Switch, Goal::Test, Goal::Rollback] {
        for without in [true, false] {
            let mut machine = samsung_with(goal, |setup| {
                if goal == Goal::Rollback {
                    setup.given = given(GivenPlace::Kept);
                }
            });
            machine.setup.options.without_specialisation = without;
            let react = |_: &str, phase| match phase {
                Phase::Preflight => Ok(runs_gaming(NEW)),
                phase => Ok(good(phase, goal)),
            };
            let story = drive(&mut machine, react, |_| None);
            let is_activated = phases_of(&story, "samsung").contains(&Phase::Activate);
            assert_eq!(is_activated, without, "{goal}");
            let is_left_alone = story.outcomes["samsung"] == Outcome::Unchanged;
            assert_eq!(is_left_alone, !without, "{goal}");
        }
    }
}
