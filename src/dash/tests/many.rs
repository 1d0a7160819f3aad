//! A fleet that fits no screen: 150 hosts and 12 tiers.

use crate::dash::Model;
use crate::dash::demo::{self, many, of_many};
use crate::dash::tests::keys::press;
use crate::dash::tests::screens::{draw, look, snap, text};

/// Returns the large fleet at that size, after keys.
fn large(columns: u16, rows: u16, keys: &str) -> Model {
    let mut model = demo::model_of(many(), of_many(), columns, rows);
    press(&mut model, keys);
    model
}

#[test]
fn many_hosts_and_many_tiers_at_every_size() {
    snap("many-fleet", |columns, rows| large(columns, rows, "GGk"));
    snap("many-caches", |columns, rows| large(columns, rows, "2jjjj"));
}

#[test]
fn the_last_of_many_hosts_is_seen_and_those_above_it_are_counted() {
    let shown = text(&draw(&large(110, 30, "G"), &look(false)));
    assert!(shown.contains("› rack15-9 ⚷"), "{shown}");
    assert!(shown.contains("above"), "{shown}");
}
