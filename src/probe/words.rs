//! The hints that several kinds of tiers and ways of asking give alike.

/// What to look at where a server answers something else than a tier of its kind does.
pub(in crate::probe) const IS_URL_RIGHT: &str = "is the url right?";

/// What to do about a request that no rule declares: nobody but the program can be at fault.
pub(in crate::probe) const OUR_MISTAKE: &str = "this is a mistake in nixdash";

/// What to do where a question does not fit the kind of a tier.
pub(in crate::probe) const NOTHING_TO_DO: &str = "nothing is to be done";
