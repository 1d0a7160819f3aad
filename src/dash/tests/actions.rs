//! Which action a deploy from the dashboard is started with, and what is said to a host that waits for a
//! decision.

use super::keys::{fold, press};
use crate::dash::demo::{self, model, run_event};
use crate::dash::tests::screens::{draw, look, text};
use crate::dash::{Effect, Model};
use crate::fleet::{Goal, RunOrder, RunWhat, Wait};
use std::sync::Arc;

/// Returns a screen on a fleet on which samsung is only staged.
fn staged() -> Model {
    let mut model = model(demo::well(), 80, 24);
    let fleet = Arc::make_mut(&mut model.world.fleet);
    let host = fleet.hosts.iter_mut().find(|host| host.name == "samsung").unwrap();
    host.action = Some(Goal::Boot);
    model
}

#[test]
fn a_host_with_an_action_of_its_own_gets_it_unless_one_is_chosen() {
    let mut model = staged();
    let started = |model: &mut Model, keys: &str| match press(model, keys).pop() {
        Some(Effect::StartRun { goal, own_actions, .. }) => (goal, own_actions),
        other => panic!("{other:?}"),
    };
    press(&mut model, "jjd");
    let shown = text(&draw(&model, &look(false)));
    assert!(shown.contains("as hosts.toml says: samsung boot"), "{shown}");
    assert_eq!(started(&mut model, "\n"), (Goal::Switch, true));
    assert_eq!(started(&mut staged(), "jjda\n"), (Goal::Switch, false), "it is named");
    assert_eq!(started(&mut staged(), "jjdaa\n"), (Goal::Boot, false));
    assert_eq!(started(&mut staged(), "d\n"), (Goal::Switch, false), "of another host");
}

#[test]
fn a_host_to_which_no_way_is_left_is_tried_again_by_its_key() {
    let mut model = model(demo::run_in_fetch(), 80, 24);
    press(&mut model, "3");
    let run = model.shown_run().unwrap().id.0.clone();
    let host = model.shown_host_run().unwrap().host.clone();
    let until = "2026-11-21T09:00:00Z".parse().unwrap();
    let wait = Some(Wait::Way { why: "every cache is down".to_owned(), until: Some(until) });
    let tries = |effects: &[Effect]| {
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Order { order: RunOrder::Retry { .. }, .. }))
    };
    assert!(!tries(&press(&mut model, "T")), "it does not wait yet");
    let waiting = RunWhat::waiting(&host, wait, demo::now());
    fold(&mut model, [run_event(&run, 1, waiting)]);
    let screen = text(&draw(&model, &look(false)));
    for said in
        ["▲ no strategy works for", "space tries it again, X leaves it out", "space try again"]
    {
        assert!(screen.contains(said), "{said}:\n{screen}");
    }
    assert!(screen.contains(&format!("run #{run} waiting for you")), "{screen}");
    assert!(tries(&press(&mut model, "T")));
    let resumes = press(&mut model, " ");
    assert!(matches!(&resumes[..], [Effect::Order { order: RunOrder::Resume, .. }]), "{resumes:?}");
}

#[test]
fn a_plan_in_a_small_pane_says_first_that_a_host_is_only_staged() {
    let mut model = model(demo::troubled(), 40, 10);
    press(&mut model, "3");
    for event in demo::run_until_plan() {
        demo::happen(&mut model, event);
    }
    let mut runs = model.world.runs.iter_mut().filter(|run| run.waits);
    let plan = runs.find_map(|run| run.plan.as_mut()).unwrap();
    let host = plan.hosts.iter_mut().find(|host| !host.unchanged).unwrap();
    host.goal = Some(Goal::Boot);
    let name = host.host.clone();
    let shown = text(&draw(&model, &look(false)));
    let line = shown.lines().find(|line| line.contains(&name) && line.contains("to build"));
    assert!(line.is_some_and(|line| line.contains("boot: ")), "{shown}");
}
