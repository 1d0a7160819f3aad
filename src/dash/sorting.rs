//! In which order the rows of a list stand, and when that order is made again.
//!
//! The order is made when a person asks for it. Values move on, so it is made again: not more often than
//! every few seconds, and not while keys are pressed, so that no row jumps under somebody who reads.
//!
//! What is not known stands last, whichever way around the rows stand; equal rows stand as they were
//! given, as in hosts.toml.

use jiff::{SignedDuration, Timestamp};
use std::cmp::Ordering;

/// The order is not made more often than this.
const EVERY: SignedDuration = SignedDuration::from_secs(5);

/// After a key the order is kept for so long.
const AFTER_KEY: SignedDuration = SignedDuration::from_secs(2);

/// Returns whether nobody has pressed a key for a moment.
pub(super) fn is_quiet(last_key: Option<Timestamp>, now: Timestamp) -> bool {
    last_key.is_none_or(|then| now.duration_since(then) >= AFTER_KEY)
}

/// By what the rows of a list can be sorted; the default is the order in which they are given.
pub trait SortBy: Copy + Default + PartialEq {
    /// Returns whether the row with the greatest value stands first, until that is turned around.
    fn greatest_first(self) -> bool;

    /// Returns what rows are sorted by, in words: what it is, then which row stands first when the least
    /// stands first, then which when the greatest does.
    fn words(self) -> [&'static str; 3];
}

/// By what the rows of a list are sorted, and the order that was made of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sorting<S> {
    by: S,
    turned: bool,
    order: Vec<usize>,
    made_at: Option<Timestamp>,
}

impl<S: SortBy> Sorting<S> {
    /// Returns by what the rows are sorted.
    pub fn by(&self) -> S {
        self.by
    }

    /// Returns whether the rows were turned around.
    pub(super) fn is_turned(&self) -> bool {
        self.turned
    }

    /// Returns how rows were sorted that were left so; their order is made as soon as it can be.
    pub(super) fn as_left(by: S, turned: bool) -> Self {
        Self { by, turned, ..Self::default() }
    }

    /// Sorts by something else, the way around in which that is read first.
    pub(super) fn choose(&mut self, by: S) {
        *self = Self::as_left(by, false);
    }

    /// Turns the order around.
    pub(super) fn turn(&mut self) {
        *self = Self::as_left(self.by, !self.turned);
    }

    /// Returns what comes after the present order in a list of orders, around its end.
    pub(super) fn next(&self, all: &[S]) -> S {
        let at = all.iter().position(|by| *by == self.by);
        let next = at.map_or(0, |at| (at + 1) % all.len().max(1));
        all.get(next).copied().unwrap_or_default()
    }

    /// Returns the sign at the head of what the rows are sorted by: `▴` where the least stands first, `▾`
    /// where the greatest does; none at any other head.
    pub(super) fn sign(&self, by: Option<S>) -> Option<char> {
        (by == Some(self.by)).then(|| if self.is_greatest_first() { '▾' } else { '▴' })
    }

    /// Says how rows stand that are called so: `hosts by load, the highest first`.
    pub(super) fn sentence(&self, rows: &str) -> String {
        let [what, least, greatest] = self.by.words();
        let first = if self.is_greatest_first() { greatest } else { least };
        format!("{rows} by {what}, {first}")
    }

    /// Returns whether the order is to be made now: at once when it was chosen, else when it is some time
    /// old and nobody has pressed a key for a moment.
    pub(super) fn is_due(&self, last_key: Option<Timestamp>, now: Timestamp) -> bool {
        let is_old = |made: Timestamp| now.duration_since(made) >= EVERY;
        self.made_at.is_none_or(|made| is_old(made) && is_quiet(last_key, now))
    }

    /// Makes the order of rows with these values; returns whether it is another one than before.
    pub(super) fn make(&mut self, values: &[Option<SortValue>], now: Timestamp) -> bool {
        let order = self.sorted(values);
        self.made_at = Some(now);
        let is_other = order != self.order;
        self.order = order;
        is_other
    }

    /// Returns where rows with these values stand.
    pub(super) fn sorted(&self, values: &[Option<SortValue>]) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..values.len()).collect();
        let greatest_first = self.is_greatest_first();
        rows.sort_by(|one, other| match (&values[*one], &values[*other]) {
            (Some(one), Some(other)) if greatest_first => other.compare(one),
            (Some(one), Some(other)) => one.compare(other),
            (one, other) => one.is_none().cmp(&other.is_none()),
        });
        rows
    }

    /// Returns the rows in the order that was made last; as they are given where there are more or fewer
    /// of them since.
    pub(super) fn rows(&self, count: usize) -> Vec<usize> {
        if self.order.len() == count { self.order.clone() } else { (0..count).collect() }
    }

    fn is_greatest_first(&self) -> bool {
        self.by.greatest_first() != self.turned
    }
}

/// What a row is sorted by.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SortValue {
    /// A figure.
    Number(f64),
    /// A name or a version: its parts without digits, each with the number behind it, so that `rack10`
    /// stands behind `rack9`.
    Parts(Vec<(String, u64)>),
}

impl SortValue {
    /// Returns the value of a name or a version; capitals do not matter.
    pub(super) fn text(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let (word, behind) = rest.split_at(digits);
            let end = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len());
            let (number, behind) = behind.split_at(end);
            parts.push((word.to_lowercase(), number.parse().unwrap_or(u64::MAX)));
            rest = behind;
        }
        Self::Parts(parts)
    }

    /// Returns which of two values is greater; a figure stands before a text.
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => one.total_cmp(other),
            (Self::Parts(one), Self::Parts(other)) => one.cmp(other),
            (Self::Number(_), Self::Parts(_)) => Ordering::Less,
            (Self::Parts(_), Self::Number(_)) => Ordering::Greater,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    enum By {
        #[default]
        Given,
        Load,
    }

    impl SortBy for By {
        fn greatest_first(self) -> bool {
            self == Self::Load
        }

        fn words(self) -> [&'static str; 3] {
            ["load", "the lowest first", "the highest first"]
        }
    }

    fn numbers(values: &[Option<f64>]) -> Vec<Option<SortValue>> {
        values.iter().map(|value| value.map(SortValue::Number)).collect()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).unwrap()
    }

    #[test]
    fn what_is_not_known_stands_last_whichever_way_around() {
        let values = numbers(&[None, Some(1.0), Some(3.0), None, Some(1.0)]);
        let mut sorting = Sorting::<By>::default();
        assert_eq!(sorting.sorted(&values), [1, 4, 2, 0, 3]);
        sorting.choose(By::Load);
        assert_eq!(sorting.sorted(&values), [2, 1, 4, 0, 3]);
        assert_eq!(sorting.sentence("hosts"), "hosts by load, the highest first");
        sorting.turn();
        assert_eq!(sorting.sorted(&values), [1, 4, 2, 0, 3], "equal ones stay as they were given");
        assert_eq!(sorting.sign(Some(By::Load)), Some('▴'));
        assert_eq!(sorting.sign(Some(By::Given)), None);
    }

    #[test]
    fn an_order_stands_for_some_seconds_and_while_keys_are_pressed() {
        let mut sorting = Sorting::<By>::default();
        assert!(sorting.is_due(Some(at(0)), at(0)), "what was just chosen is made at once");
        assert!(sorting.make(&numbers(&[Some(2.0), Some(1.0)]), at(0)));
        assert!(!sorting.is_due(None, at(4)), "it is too young");
        assert!(sorting.is_due(None, at(5)));
        assert!(!sorting.is_due(Some(at(8)), at(9)), "a key was just pressed");
        assert!(sorting.is_due(Some(at(8)), at(10)));
        assert!(!sorting.make(&numbers(&[Some(5.0), Some(4.0)]), at(10)), "nothing moved");
        assert_eq!((sorting.rows(2), sorting.rows(3)), (vec![1, 0], vec![0, 1, 2]));
    }

    #[test]
    fn names_and_versions_are_sorted_by_their_numbers() {
        let sorted = |texts: &[&str]| {
            let values: Vec<_> = texts.iter().map(|text| Some(SortValue::text(text))).collect();
            let order = Sorting::<By>::default().sorted(&values);
            order.into_iter().map(|at| texts[at].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(sorted(&["rack10", "Rack9", "rack", "p5"]), ["p5", "Rack9", "rack10", "rack"]);
        assert_eq!(sorted(&["2.9.1", "2.26", "2.9"]), ["2.9", "2.9.1", "2.26"]);
    }

    #[test]
    fn the_next_order_comes_after_the_present_one_and_around_the_end() {
        let mut sorting = Sorting::<By>::default();
        assert!(sorting.next(&[By::Given, By::Load]) == By::Load);
        sorting.choose(By::Load);
        assert!(sorting.next(&[By::Given, By::Load]) == By::Given);
        assert!(sorting.next(&[By::Given]) == By::Given, "its column is not shown any more");
    }
}
