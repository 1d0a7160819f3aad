//! Asks for the proof of a whole nar.

use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::fleet::can_be_verified;
use jiff::Timestamp;

/// Fetches a nar of the selected tier whole, unless that goes on already or cannot be done.
pub(super) fn verify(model: &mut Model, now: Timestamp) -> Vec<Effect> {
    let Some(tier) = model.world.fleet.tiers.get(model.tier) else { return Vec::new() };
    let name = tier.name.clone();
    if let Err(why) = can_be_verified(tier) {
        model.say(why.to_string(), true, now);
        return Vec::new();
    }
    let Some(view) = model.world.tiers.get_mut(model.tier) else { return Vec::new() };
    if view.verifying.is_some() {
        model.say(format!("a nar of {name} is being fetched already"), false, now);
        return Vec::new();
    }
    view.verifying = Some(now);
    model.say(
        format!("fetching a nar of {name} whole, to compare it with its narinfo"),
        false,
        now,
    );
    vec![Effect::Verify { tier: name }]
}
