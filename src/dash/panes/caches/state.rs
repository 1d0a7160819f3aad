//! How the tiers are looked at.

/// Which tier is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CachesPane {
    /// The selected tier: an index into the fleet.
    pub selected: usize,
}
