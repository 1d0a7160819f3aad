//! Random numbers that are the same every time.

/// A generator of numbers (xorshift) with a fixed beginning.
pub(super) struct Random(u64);

impl Random {
    /// Begins; a seed is not 0.
    pub(super) fn with_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below a limit.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    /// Returns one of several.
    pub(super) fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}
