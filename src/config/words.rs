//! What is said of a value wherever in `hosts.toml` it stands.

/// Says that a value is smaller or bigger than it may be.
pub(in crate::config) fn out_of_bounds(text: &str) -> String {
    format!("{text:?} is out of bounds")
}

/// Asks whether the word that is most like what was written was meant.
pub(in crate::config) fn did_you_mean(near: &str) -> String {
    format!("did you mean {near:?}?")
}

/// Names everything that may stand there.
pub(in crate::config) fn one_of(known: &[&str]) -> String {
    format!("one of: {}", known.join(", "))
}
