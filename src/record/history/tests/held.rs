//! What tiers held and lost.

use super::*;
use crate::fleet::HeldPath;

const OTHER: &str = "/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-b-2.0";

/// Returns an answer that was given some hours after [`NOW`].
fn answer(path: &str, holds: bool, hours: i64) -> PathAnswer {
    PathAnswer { path: StorePath::parse(path).unwrap(), holds, at: NOW + hours.hours() }
}

/// Returns paths with the hours after [`NOW`] at which they were held and missed.
fn held(history: &History, since_hours: i64) -> Vec<(String, i64, Option<i64>)> {
    let hours = |at: Timestamp| NOW.until(at).unwrap().total(jiff::Unit::Hour).unwrap() as i64;
    let found = history.held(&tier(), NOW + since_hours.hours()).unwrap();
    let one = |HeldPath { path, held_at, lost_at }: HeldPath| {
        (path.name().to_owned(), hours(held_at), lost_at.map(hours))
    };
    found.into_iter().map(one).collect()
}

#[test]
fn a_path_that_a_tier_lost_is_known_with_when_it_was_last_there_even_when_answers_are_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    assert_eq!(held(&history, 0), []);
    let first = [answer(TOP, true, 0), answer(OTHER, false, 0)];
    history.note_held(&tier(), &first).unwrap();
    history.write_answers(&tier(), &first).unwrap();
    history.note_held(&tier(), &[answer(TOP, true, 5)]).unwrap();
    history.forget_answers(&tier()).unwrap();
    history.note_held(&tier(), &[answer(TOP, false, 9)]).unwrap();
    history.note_held(&tier(), &[answer(TOP, false, 12)]).unwrap();
    assert_eq!(held(&history, 0), [("top".to_owned(), 5, Some(9))], "missed first at 9");
    assert_eq!(held(&history, 10), [], "it was lost before that");
    // It was published again, and an older answer that comes late changes nothing.
    history.note_held(&tier(), &[answer(TOP, true, 13)]).unwrap();
    history.note_held(&tier(), &[answer(TOP, false, 11)]).unwrap();
    assert_eq!(held(&history, 0), [("top".to_owned(), 13, None)]);
    let moved = Tier { url: "http://elsewhere".to_owned(), ..tier() };
    assert_eq!(history.held(&moved, NOW).unwrap(), [], "another address is another tier");
}

#[test]
fn what_was_held_is_kept_for_eight_days() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    history.note_held(&tier(), &[answer(TOP, true, 0), answer(OTHER, true, 24)]).unwrap();
    history.thin(NOW + (8 * 24 + 1).hours()).unwrap();
    assert_eq!(held(&history, 0), [("b-2.0".to_owned(), 24, None)]);
}
