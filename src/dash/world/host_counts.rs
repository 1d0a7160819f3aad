//! How many hosts of a run stand how: counted here alone, so that every view says the same.

use crate::dash::world::HostRun;
use crate::fleet::Outcome;
use crate::fleet::words::WAITING;
use std::collections::BTreeMap;

/// How many hosts of a run stand how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostCounts {
    /// Those that ended, by how they did.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Those that wait for somebody to decide, or for somebody who does not answer any more, by what is the matter.
    pub alerts: BTreeMap<&'static str, u64>,
    /// Those that are at work.
    pub running: u64,
    /// Those that wait for something else, or have not begun.
    pub waiting: u64,
}

impl HostCounts {
    /// Counts hosts.
    pub(in crate::dash) fn of<'a>(hosts: impl IntoIterator<Item = &'a HostRun>) -> Self {
        let mut counts = Self::default();
        for host in hosts {
            match (&host.result, host.alert()) {
                (Some(result), _) => *counts.outcomes.entry(result.outcome).or_default() += 1,
                (None, Some(alert)) => *counts.alerts.entry(alert).or_default() += 1,
                (None, None) if host.is_at_work() => counts.running += 1,
                (None, None) => counts.waiting += 1,
            }
        }
        counts
    }

    /// Returns how many there are.
    pub fn all(&self) -> u64 {
        self.outcomes.values().sum::<u64>() + self.alerted() + self.running + self.waiting
    }

    /// Returns of how many something is the matter that has not ended them.
    fn alerted(&self) -> u64 {
        self.alerts.values().sum()
    }

    /// Returns how many ended with what was asked for.
    pub fn well(&self) -> u64 {
        self.ended(Outcome::is_good)
    }

    /// Returns how many went wrong.
    pub fn wrong(&self) -> u64 {
        self.ended(Outcome::is_trouble)
    }

    /// Returns how many were left out: skipped, away or stopped, so that nothing is known to be wrong with
    /// them.
    pub fn left_out(&self) -> u64 {
        self.ended(|outcome| !outcome.is_good() && !outcome.is_trouble())
    }

    fn ended(&self, is: impl Fn(Outcome) -> bool) -> u64 {
        self.outcomes.iter().filter(|(outcome, _)| is(**outcome)).map(|(_, count)| count).sum()
    }

    /// Returns the counts in words, each with the outcome that it counts, where it counts one: what went
    /// wrong first, then what was left out, what ended well, and what has not ended.
    pub(in crate::dash) fn parts(&self) -> Vec<(Option<Outcome>, String)> {
        let rank = |outcome: Outcome| (!outcome.is_trouble(), outcome.is_good());
        let mut ended: Vec<(Outcome, u64)> =
            self.outcomes.iter().map(|(outcome, count)| (*outcome, *count)).collect();
        ended.sort_by_key(|(outcome, _)| rank(*outcome));
        let ended =
            ended.into_iter().map(|(outcome, count)| (Some(outcome), count, outcome.spoken()));
        let alerts = self.alerts.iter().map(|(word, count)| (*word, *count));
        let rest = alerts.chain([("running", self.running), (WAITING, self.waiting)]);
        let rest = rest.map(|(word, count)| (None, count, word.to_owned()));
        let all = ended.chain(rest).filter(|(_, count, _)| *count > 0);
        all.map(|(outcome, count, word)| (outcome, format!("{count} {word}"))).collect()
    }

    /// Returns the counts in words: `1 failed · 1 skipped · 2 switched · 1 running`.
    pub fn words(&self) -> String {
        let parts: Vec<String> = self.parts().into_iter().map(|(_, words)| words).collect();
        parts.join(" · ")
    }

    /// Returns the counts in fewer words: `1 went wrong · 4 left out · 2 of 6 done`.
    pub(in crate::dash) fn brief(&self) -> String {
        let alerts = self.alerts.iter().map(|(word, count)| (*count, *word));
        let wrong = std::iter::once((self.wrong(), "went wrong"));
        let apart = wrong.chain(alerts).chain([(self.left_out(), "left out")]);
        let apart = apart.filter(|(count, _)| *count > 0);
        let apart = apart.map(|(count, word)| format!("{count} {word}"));
        let well = format!("{} of {} done", self.well(), self.all());
        apart.chain([well]).collect::<Vec<_>>().join(" · ")
    }

    /// Returns the counts where words have no room: how many went wrong, need a look and were left out, where
    /// any did, then how many of all ended well: `1✗ 1▲ 1○ 2/6`.
    pub fn signs(&self) -> String {
        let apart =
            [(self.wrong(), '✗'), (self.alerted(), '▲'), (self.left_out(), '○')].into_iter();
        let apart = apart.filter(|(count, _)| *count > 0);
        let apart = apart.map(|(count, sign)| format!("{count}{sign}"));
        let well = format!("{}/{}", self.well(), self.all());
        apart.chain([well]).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{HostResult, Phase, PhaseState, Wait};
    use jiff::Timestamp;

    fn ended(outcome: Outcome) -> HostRun {
        let mut host = HostRun::new("a");
        host.result = Some(HostResult::ended(outcome));
        host
    }

    fn at_work(waiting: Option<Wait>) -> HostRun {
        let mut host = HostRun::new("a");
        host.phase(Phase::Build, PhaseState::Started, Timestamp::UNIX_EPOCH);
        host.waiting = waiting;
        host
    }

    #[test]
    fn what_went_wrong_and_what_was_left_out_is_not_counted_as_done() {
        use Outcome::{Failed, RolledBack, Skipped, Switched, Unchanged, Unknown};
        let hosts = [Switched, Failed, Skipped, RolledBack, Unknown, Unchanged].map(ended);
        let counts = HostCounts::of(hosts.iter().chain(&[at_work(None), HostRun::new("b")]));
        assert_eq!((counts.well(), counts.wrong(), counts.left_out()), (2, 3, 1));
        assert_eq!((counts.running, counts.waiting, counts.all()), (1, 1, 8));
        assert_eq!(
            counts.words(),
            "1 rolled back · 1 unknown · 1 failed · 1 skipped · 1 switched · 1 unchanged · 1 running \
             · 1 waiting"
        );
        assert_eq!(counts.signs(), "3✗ 1○ 2/8");
        assert_eq!(counts.brief(), "3 went wrong · 1 left out · 2 of 8 done");
        let well = HostCounts::of(&[ended(Switched), at_work(None)]);
        assert_eq!(
            (well.words().as_str(), well.signs().as_str()),
            ("1 switched · 1 running", "1/2")
        );
    }

    #[test]
    fn a_host_that_does_not_answer_is_counted_apart_and_stands_before_those_that_wait() {
        let (since, until) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        let cut_off = at_work(Some(Wait::Answer { host: "a".to_owned(), since, until: None }));
        let tier = "weed".to_owned();
        let cache = at_work(Some(Wait::Cache { tier, since, until }));
        let alone = at_work(Some(Wait::Back { until, goes_back: false }));
        let waits = at_work(Some(Wait::Paused));
        let stuck = at_work(Some(Wait::Way { why: "the cache is down".to_owned(), until: None }));
        let counts = HostCounts::of([&cut_off, &cache, &alone, &stuck, &waits, &at_work(None)]);
        let words = "1 cache down · 2 no answer · 1 to decide · 1 running · 1 waiting";
        assert_eq!(counts.words(), words);
        assert_eq!((counts.signs().as_str(), counts.all()), ("4▲ 0/6", 6));
        assert!(cut_off.urgency(false) < waits.urgency(false));
        assert!(
            [&cache, &alone, &stuck].iter().all(|it| it.urgency(false) == cut_off.urgency(false))
        );
        // How it ended counts, whatever it waited for.
        let mut ended = cut_off;
        ended.result = Some(HostResult::ended(Outcome::Switched));
        assert_eq!(HostCounts::of([&ended]).words(), "1 switched");
        assert_eq!(ended.urgency(false), 3);
    }

    #[test]
    fn a_host_that_goes_back_is_at_work_and_one_that_waits_is_not() {
        let counts = HostCounts::of(&[at_work(Some(Wait::WayBack)), at_work(Some(Wait::Paused))]);
        assert_eq!((counts.running, counts.waiting), (1, 1));
    }
}
