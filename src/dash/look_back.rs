//! Opens what the history knows of a host, of a tier or of all.

use crate::dash::layout::layout;
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::over_time::OverTimePane;
use crate::dash::overlay::Overlay;
use crate::dash::past::PastPane;
use crate::fleet::{OverTimeOf, TimeSpan};
use jiff::Timestamp;

/// Columns of a picture that are not the time: the scale at its left.
pub(in crate::dash) const SCALE: u16 = 9;

/// Points that stand beside each other in one column of braille.
pub(in crate::dash) const POINTS: u16 = 2;

/// Opens the figures of a host or tier over time, where one is selected.
pub(in crate::dash) fn over_time(
    model: &mut Model,
    of: Option<OverTimeOf>,
    now: Timestamp,
) -> Vec<Effect> {
    let Some(of) = of else { return Vec::new() };
    let (span, parts) = (TimeSpan::default(), parts(model));
    model.open(Overlay::OverTime(OverTimePane::new(of.clone(), span, parts, now)));
    vec![Effect::ReadOverTime { of, span, parts }]
}

/// Returns in how many parts of a time the screen has room for.
pub(in crate::dash) fn parts(model: &Model) -> usize {
    usize::from(layout(model).body.width.saturating_sub(SCALE).max(1) * POINTS)
}

/// Opens what happened to a host or tier, or to all.
pub(in crate::dash) fn past(
    model: &mut Model,
    of: Option<OverTimeOf>,
    now: Timestamp,
) -> Vec<Effect> {
    model.open(Overlay::Past(PastPane::new(of.clone(), now)));
    read_past(of)
}

/// Asks what happened to a host or tier, or to all.
pub(in crate::dash) fn read_past(of: Option<OverTimeOf>) -> Vec<Effect> {
    vec![Effect::ReadPast { of }]
}
