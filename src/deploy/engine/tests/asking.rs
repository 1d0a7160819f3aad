//! A host to which no way is left, in a run that put its plan to somebody.

use super::failover::cache_is_down;
use super::target::{Target, name_of};
use super::ways::{FLEET, prints, usual};
use crate::deploy::{Control, Deploy, Request, RunBegin, RunJournal, setup};
use crate::fleet::{
    Goal, Outcome, Phase, PhaseState, Route, RunEvent, RunId, RunOptions, RunOrder, RunWhat, Wait,
};
use crate::remote::FakeRunner;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// Deploys samsung from a cache that is down, by a builder that the target refuses until somebody decides.
/// Says `order` then; returns what was told.
async fn decided(order: RunOrder) -> Vec<RunEvent> {
    let text = format!(
        "[fleet]\nflake = \"github:me/x\"\nevaluate = \"builder\"\nbuilder = \"p620\"\nsettle = \"0s\"\n{FLEET}"
    );
    let fleet = crate::config::parse(&text, Path::new("/f/hosts.toml"), None).unwrap();
    let request = Request {
        set_aside: BTreeMap::new(),
        degraded: BTreeMap::new(),
        hosts: vec!["samsung".to_owned()],
        goal: Goal::Switch,
        goals: BTreeMap::new(),
        options: RunOptions::default(),
        allow_protected: Vec::new(),
        asks: true,
        given: BTreeMap::new(),
        reboot: None,
    };
    let setup = setup(&fleet, &request).unwrap();
    let (target, is_mended) = (Mutex::new(Target::default()), Arc::new(AtomicBool::new(false)));
    let mended = Arc::clone(&is_mended);
    let runner = Arc::new(FakeRunner::new(move |_, script| {
        let name = name_of(script);
        let answer = match name {
            "push-way" if !mended.load(Ordering::Acquire) => {
                prints("refused\t0\tHost key verification failed.\nchanged\t0\n")
            }
            name => cache_is_down(name).or_else(|| usual(name)),
        };
        answer.unwrap_or_else(|| target.lock().unwrap().answer(script))
    }));
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let (control, said) = mpsc::channel(4);
    let listener = move |event: RunEvent| {
        match &event.what {
            RunWhat::Plan { waits: true, .. } => control.try_send(Control::Answer(true)).unwrap(),
            RunWhat::Waiting { wait: Some(Wait::Way { .. }), .. } => {
                is_mended.store(true, Ordering::Release);
                control.try_send(Control::Order(order.clone())).unwrap();
            }
            _ => {}
        }
        heard.lock().unwrap().push(event);
    };
    let deploy = Deploy {
        streams: None,
        fleet: Arc::new(fleet),
        runner,
        run: RunId("7".to_owned()),
        tag: "run-7-x".to_owned(),
        begin: RunBegin::Fresh { setup: Box::new(setup), hosts_file: None },
        journal: RunJournal::none(),
        kept: None,
        newest: Arc::new(|_| None),
        package_times: Arc::new(|_| crate::fleet::UsualBuilds::new()),
    };
    deploy.run(said, Arc::new(listener)).await.tidying.await;
    std::mem::take(&mut *events.lock().unwrap())
}

#[tokio::test(start_paused = true)]
async fn somebody_mends_the_way_and_the_host_is_tried_again() {
    let events = decided(RunOrder::Retry { host: "samsung".to_owned() }).await;
    let asked = events.iter().find_map(|event| match &event.what {
        RunWhat::Waiting { wait: Some(Wait::Way { why, .. }), .. } => Some(why.clone()),
        _ => None,
    });
    let why = asked.unwrap();
    for part in ["cannot reach tier cache", "Fix tier cache", "--strategy direct"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    let result = events.iter().find_map(|event| match &event.what {
        RunWhat::Result { result, .. } => Some(result.clone()),
        _ => None,
    });
    let result = result.unwrap();
    assert_eq!(result.outcome, Outcome::Switched, "{:?}", result.error);
    let taken = result.taken.unwrap();
    assert_eq!(taken.route, Route::Push { builder: "p620".to_owned() });
    let begun = |wanted: Phase| {
        let is = |event: &&RunEvent| matches!(&event.what, RunWhat::Phase { phase, state: PhaseState::Started, .. } if *phase == wanted);
        events.iter().filter(is).count()
    };
    assert_eq!(begun(Phase::Preflight), 2, "every way is looked at anew");
    assert_eq!(begun(Phase::Build), 1, "nothing is built twice");
}
