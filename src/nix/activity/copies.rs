//! The paths that one process of Nix copied: from caches, from hosts, to caches and hosts.

use super::settling::Settling;
use crate::fleet::{Fetched, printable_line};
use crate::nix::settings::bare_url;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// Sizes from here on are Nix's own overflow (2^63), seen with caches that do not tell a size.
const INCREDIBLE: u64 = 1 << 50;

/// Which way a path went, seen from where Nix runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyDirection {
    /// Into the store there.
    Download,
    /// Out of the store there.
    Upload,
    /// From one other store to another.
    Between,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyState {
    /// Bytes come.
    Running,
    /// All is there.
    Done,
    /// It did not come to its end.
    Broken,
}

/// A path that was copied to one place, however often that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathCopy {
    /// The path, as Nix wrote it.
    pub path: String,
    /// Where it comes from: a URL without settings and trailing slash, printable.
    pub from: String,
    /// Where it goes, the same way.
    pub to: String,
    /// Bytes (NAR size) that came so far.
    pub done: u64,
    /// Its NAR size in bytes; none when Nix did not say (it does not for small paths).
    pub bytes: Option<u64>,
    /// How far it is.
    pub state: CopyState,
    /// When it began; none where lines came without their times.
    pub began: Option<Duration>,
    /// When it ended.
    pub ended: Option<Duration>,
}

impl PathCopy {
    /// Returns which way it goes.
    pub fn direction(&self) -> CopyDirection {
        match (is_of_this_machine(&self.from), is_of_this_machine(&self.to)) {
            (false, true) => CopyDirection::Download,
            (true, false) => CopyDirection::Upload,
            (true, true) | (false, false) => CopyDirection::Between,
        }
    }
}

/// Returns whether a store is the one of the machine on which Nix runs.
fn is_of_this_machine(store: &str) -> bool {
    store.is_empty()
        || store.starts_with('/')
        || ["local", "daemon", "auto", "unix"].iter().any(|name| {
            store.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        })
}

/// The copies, in the order in which they began.
#[derive(Clone, Debug, Default)]
pub(super) struct PathCopies {
    copies: Vec<PathCopy>,
    by_place: HashMap<(String, String), usize>,
    settling: Settling,
    /// Those that stopped and for which no counter moved.
    doubtful: Vec<usize>,
}

impl PathCopies {
    /// Notes that a copy begins and returns its number.
    pub(super) fn start(
        &mut self,
        path: &str,
        from: &str,
        to: &str,
        now: Option<Duration>,
    ) -> usize {
        let (from, to) = (printable_line(bare_url(from)), printable_line(bare_url(to)));
        let copy = PathCopy {
            path: path.to_owned(),
            from,
            to: to.clone(),
            done: 0,
            bytes: None,
            state: CopyState::Running,
            began: now,
            ended: None,
        };
        let next = self.copies.len();
        let index = *self.by_place.entry((path.to_owned(), to)).or_insert(next);
        self.settling.forget(index);
        match self.copies.get_mut(index) {
            Some(place) => *place = copy,
            None => self.copies.push(copy),
        }
        index
    }

    /// Notes how many bytes came so far, of how many.
    pub(super) fn progress(&mut self, index: usize, done: u64, of: u64) {
        let Some(copy) = self.copies.get_mut(index) else { return };
        copy.done = done;
        if of > 0 && of < INCREDIBLE {
            copy.bytes = Some(of);
        }
    }

    /// Notes that a copy stopped.
    pub(super) fn stop(&mut self, index: usize, now: Option<Duration>) {
        let Some(copy) = self.copies.get_mut(index) else { return };
        (copy.state, copy.ended) = (CopyState::Done, now);
        self.settling.stopped(index);
        self.settle();
    }

    /// Notes that so many more were copied, and so many more have failed.
    pub(super) fn counted(&mut self, copied: u64, failed: u64) {
        self.settling.count(copied, failed);
        self.settle();
    }

    /// Gives what stopped the end that was counted for it.
    fn settle(&mut self) {
        while let Some((index, is_copied)) = self.settling.settle() {
            if let Some(copy) = self.copies.get_mut(index).filter(|_| !is_copied) {
                copy.state = CopyState::Broken;
            }
        }
    }

    /// Notes that nothing is counted any more.
    pub(super) fn counting_ended(&mut self) {
        self.doubtful.extend(self.settling.end());
    }

    /// Notes that Nix was interrupted: what was not counted and not whole did not arrive.
    pub(super) fn interrupted(&mut self, now: Option<Duration>) {
        self.counting_ended();
        for index in std::mem::take(&mut self.doubtful) {
            if let Some(copy) = self.copies.get_mut(index)
                && copy.bytes.is_none_or(|bytes| copy.done < bytes)
            {
                copy.state = CopyState::Broken;
            }
        }
        self.end(now);
    }

    /// Notes that the process is over: what still ran did not arrive.
    pub(super) fn end(&mut self, now: Option<Duration>) {
        self.counting_ended();
        for copy in self.copies.iter_mut().filter(|copy| copy.state == CopyState::Running) {
            (copy.state, copy.ended) = (CopyState::Broken, now);
        }
    }

    /// Forgets when what runs began: the lines that come now were written earlier.
    pub(super) fn lines_are_late(&mut self) {
        for copy in self.copies.iter_mut().filter(|copy| copy.state == CopyState::Running) {
            copy.began = None;
        }
    }

    /// Returns all copies.
    pub(super) fn all(&self) -> &[PathCopy] {
        &self.copies
    }

    /// Returns a copy by its number.
    pub(super) fn at(&self, index: usize) -> Option<&PathCopy> {
        self.copies.get(index)
    }

    /// Returns the copies that came to their end.
    fn whole(&self) -> impl Iterator<Item = &PathCopy> {
        self.copies.iter().filter(|copy| copy.state == CopyState::Done)
    }

    /// Returns the bytes of whole copies, as far as Nix said, and of running ones so far.
    pub(super) fn bytes(&self) -> (u64, u64) {
        let whole = self.whole().filter_map(|copy| copy.bytes).fold(0, u64::saturating_add);
        let running = self.copies.iter().filter(|copy| copy.state == CopyState::Running);
        (whole, running.map(|copy| copy.done).fold(0, u64::saturating_add))
    }

    /// Returns whether something is copied now.
    pub(super) fn is_running(&self) -> bool {
        self.copies.iter().any(|copy| copy.state == CopyState::Running)
    }

    /// Returns paths and bytes of whole copies by a name that each has, such as where it came from;
    /// those without a name are left out.
    ///
    /// Bytes that Nix expected but did not report path by path (it skips small paths) are shared
    /// out evenly over the paths without a figure.
    pub(super) fn whole_by<'a>(
        &'a self,
        expected: u64,
        name: impl Fn(&'a PathCopy) -> Option<&'a str>,
    ) -> BTreeMap<String, Fetched> {
        let mut left = self.whole().filter(|copy| copy.bytes.is_none()).count() as u64;
        let mut rest = expected.saturating_sub(self.bytes().0);
        let mut by_path: Vec<&PathCopy> = self.whole().collect();
        by_path.sort_by_key(|copy| (&copy.path, &copy.to));
        let mut fetched: BTreeMap<String, Fetched> = BTreeMap::new();
        for copy in by_path {
            let bytes = copy.bytes.unwrap_or_else(|| {
                let share = rest / left.max(1);
                rest -= share;
                left -= 1;
                share
            });
            let Some(name) = name(copy) else { continue };
            let entry = fetched.entry(name.to_owned()).or_default();
            entry.paths += 1;
            entry.bytes = entry.bytes.saturating_add(bytes);
        }
        fetched
    }
}

/// Adds up the bytes that were expected, leaving out what cannot be.
pub(super) fn credible(expected: impl Iterator<Item = u64>) -> u64 {
    expected.filter(|bytes| *bytes < INCREDIBLE).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_direction_is_seen_from_the_machine_on_which_nix_runs() {
        let direction = |from: &str, to: &str| {
            let mut copies = PathCopies::default();
            copies.start("/nix/store/x-a", from, to, None);
            copies.all()[0].direction()
        };
        assert_eq!(direction("https://cache.nixos.org/", "local"), CopyDirection::Download);
        assert_eq!(direction("http://p620", "daemon?root=/mnt"), CopyDirection::Download);
        assert_eq!(direction("local://", "s3://cache?region=x"), CopyDirection::Upload);
        assert_eq!(direction("ssh-ng://p620", "ssh-ng://samsung"), CopyDirection::Between);
        assert_eq!(direction("localhost-cache://x", "local"), CopyDirection::Download);
    }

    #[test]
    fn what_one_cache_could_not_give_and_another_did_comes_from_the_other() {
        let mut copies = PathCopies::default();
        let first = copies.start("/nix/store/x-a", "http://a", "local", None);
        copies.stop(first, None);
        let second = copies.start("/nix/store/x-a", "http://b", "local", None);
        copies.stop(second, None);
        copies.counted(1, 0);
        let fetched = copies.whole_by(100, |copy| Some(&copy.from));
        assert_eq!((first, fetched.len(), fetched["http://b"].bytes), (second, 1, 100));
    }

    #[test]
    fn a_copy_that_failed_or_was_interrupted_is_none() {
        let mut copies = PathCopies::default();
        for (path, done) in [("/nix/store/x-a", 10), ("/nix/store/x-b", 4), ("/nix/store/x-c", 0)] {
            let index = copies.start(path, "http://a", "local", None);
            copies.progress(index, done, 10);
            copies.stop(index, None);
        }
        copies.counted(0, 1);
        assert_eq!(copies.all()[0].state, CopyState::Broken);
        copies.counting_ended();
        copies.interrupted(None);
        assert!(copies.whole_by(0, |copy| Some(&copy.from)).is_empty());
    }
}
