//! Where the border between a list and what stands below it is, once a person has moved it.
//!
//! It is a share of the rows of both, so that it stands in a terminal of another size too. Neither part
//! ever loses the rows that it needs to be read.

use serde::{Deserialize, Serialize};

/// All rows, in the unit of a share.
const WHOLE: u32 = 1000;

/// The rows in which a border can be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BorderRows {
    /// The row of the terminal in which the border would stand if the list had no row.
    pub(super) top: u16,
    /// How many rows both parts have.
    pub(super) height: u16,
}

/// Which share of the rows the list has, in thousandths; none as long as nobody has moved the border.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Split(Option<u16>);

impl Split {
    /// Returns whether a person has moved the border.
    pub(super) fn is_moved(self) -> bool {
        self.0.is_some()
    }

    /// Returns how many of these rows the list has: `fitting` where nobody has moved the border, and where
    /// there are fewer rows than both parts need, which is `least` for each.
    pub(super) fn rows(self, fitting: u16, height: u16, least: (u16, u16)) -> u16 {
        let (list, rest) = least;
        match self.0 {
            Some(share) if height >= list + rest => {
                let rows = u32::from(height) * u32::from(share) / WHOLE;
                u16::try_from(rows).unwrap_or(height).clamp(list, height - rest)
            }
            Some(_) | None => fitting,
        }
    }

    /// Moves the border so that the list has so many of these rows.
    pub(super) fn put(&mut self, rows: u16, height: u16) {
        let share = (u32::from(rows) * WHOLE).div_ceil(u32::from(height.max(1)));
        self.0 = u16::try_from(share.min(WHOLE)).ok();
    }

    /// Has the border stand where it fits again.
    pub(super) fn let_fit(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_border_stands_at_the_same_share_in_a_terminal_of_another_size() {
        let mut split = Split::default();
        assert_eq!((split.rows(7, 20, (3, 5)), split.is_moved()), (7, false));
        split.put(10, 20);
        assert_eq!([20, 40, 9].map(|height| split.rows(7, height, (3, 5))), [10, 20, 4]);
        assert_eq!(split.rows(6, 7, (3, 5)), 6, "there is no room for both");
        split.let_fit();
        assert_eq!(split, Split::default());
    }

    proptest! {
        #[test]
        fn a_border_stands_where_it_was_put_as_far_as_both_parts_can_be_read(
            height in 1u16..=1000, rows in 0u16..=1100, fitting in 0u16..=1000,
        ) {
            let mut split = Split::default();
            split.put(rows, height);
            let found = split.rows(fitting, height, (3, 5));
            let wanted = if height < 8 { fitting } else { rows.clamp(3, height - 5) };
            prop_assert_eq!(found, wanted);
        }
    }
}
