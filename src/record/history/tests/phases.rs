//! What phases take on a host.

use super::*;
use crate::fleet::Phase;

#[test]
fn the_usual_time_of_a_phase_is_the_median_of_the_newest_runs_that_went_well() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    for number in 0..14_i64 {
        let mut events = run(&number.to_string(), NOW + (60 * number).seconds());
        let RunWhat::Result { result, .. } = &mut events[1].what else { panic!("{events:?}") };
        // The oldest four took much longer, and one of the others failed at once.
        let build = if number < 4 { 900_000 } else { 1000 * number.unsigned_abs() };
        result.phases = [(Phase::Build, build), (Phase::Settle, 3000)].into();
        if number == 13 {
            result.outcome = Outcome::Failed;
            result.phases = [(Phase::Build, 1)].into();
        }
        for event in events {
            history.write_run(&event).unwrap();
        }
    }
    let usual = history.usual_times("p620").unwrap();
    assert_eq!(usual.get(&Phase::Build), Some(&8000));
    assert_eq!(usual.get(&Phase::Settle), Some(&3000));
    assert!(history.usual_times("samsung").unwrap().is_empty());
    let newest = &history.runs(&[], Timestamp::UNIX_EPOCH, 1).unwrap()[0];
    let (_, result) = &newest.hosts[0];
    assert_eq!(result.as_ref().unwrap().phases, [(Phase::Build, 1)].into());
}
