//! Runs of many hosts on the screen.

use crate::dash::demo::{self, model, result, run_event};
use crate::fleet::{Outcome, RunWhat, Wait};

#[test]
fn hosts_that_went_wrong_or_ask_stand_first_where_there_are_many() {
    let mut model = model(demo::well(), 120, 35);
    let hosts = ["a1", "a2", "a3", "a4", "a5", "a6"].map(str::to_owned).to_vec();
    let begin = RunWhat::begin(hosts, "switch".to_owned());
    demo::happen(&mut model, run_event("77", 9, begin));
    model.deploy.host = 2;
    let decide = Wait::Decision { wave: 1, why: "the gate web could not be made".to_owned() };
    for what in [
        result("a4", Outcome::Switched, None),
        RunWhat::waiting("a6", Some(decide), demo::now()),
        result("a5", Outcome::RolledBack, Some("nobody could reach it")),
    ] {
        demo::happen(&mut model, run_event("77", 5, what));
    }
    let run = model.shown_run().unwrap();
    let order: Vec<&str> = run.hosts.iter().map(|host| host.host.as_str()).collect();
    assert_eq!(order, ["a5", "a6", "a1", "a2", "a3", "a4"]);
    assert_eq!(model.shown_host_run().unwrap().host, "a3", "the selection stays on its host");
}
