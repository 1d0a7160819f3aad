//! By what runs can be sorted.

use crate::dash::sorting::{SortBy, SortValue};
use crate::dash::world::RunView;
use serde::{Deserialize, Serialize};

/// By what runs are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunSort {
    /// By when they began.
    #[default]
    Began,
    /// By how long they took.
    Took,
    /// By how they ended.
    Ended,
}

impl SortBy for RunSort {
    fn greatest_first(self) -> bool {
        true
    }

    fn words(self) -> [&'static str; 3] {
        match self {
            Self::Began => ["when they began", "the oldest on top", "the newest on top"],
            Self::Took => ["how long they took", "the shortest on top", "the longest on top"],
            Self::Ended => ["how they ended", "the best on top", "the worst on top"],
        }
    }
}

impl RunSort {
    /// Returns what a run is sorted by, which is the one of that number in the order of time; none where
    /// that is not known yet.
    pub(in crate::dash) fn value(self, run: &RunView, number: usize) -> Option<SortValue> {
        let value = match self {
            Self::Began => number as f64,
            Self::Took => run.summary.as_ref()?.duration.as_secs_f64(),
            Self::Ended => match (&run.summary, &run.gone) {
                (Some(summary), _) if summary.is_good() => 0.0,
                (Some(_), _) => 1.0,
                (None, Some(_)) => 2.0,
                (None, None) => return None,
            },
        };
        Some(SortValue::Number(value))
    }
}
