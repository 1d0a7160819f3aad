//! How a wave is watched after its hosts are done: how long it has to stay well, and what its gates
//! answered.

use super::stuck::DECISION_LIMIT;
use crate::deploy::GateAnswer;
use crate::fleet::{Gate, GateQuestion, Rollout};
use jiff::Timestamp;
use std::time::Duration;

/// How long the check at the end of `soak` may take on a host.
const WELL_LIMIT: Duration = Duration::from_secs(25);

/// A gate, as far as it got after one wave.
#[derive(Clone, Debug, PartialEq)]
struct GateProgress {
    gate: Gate,
    in_a_row: u32,
    failures: u32,
    /// The question that is open.
    asked: Option<u64>,
    next: Timestamp,
    said: Option<String>,
    /// Whether a person took it as passed, since it could not be asked: it is not asked any more.
    is_vouched: bool,
}

impl GateProgress {
    /// Returns whether there were enough good answers one after the other.
    fn has_passed(&self) -> bool {
        self.is_vouched || self.in_a_row >= self.gate.successes_in_a_row
    }
}

/// How a wave stands after its hosts are done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WatchState {
    /// It has to stay well until then.
    Soaks(Timestamp),
    /// A gate has not passed yet.
    Checks {
        /// The gate.
        gate: String,
        /// What it said last.
        said: Option<String>,
        /// When it is asked next; none while it is asked.
        next: Option<Timestamp>,
    },
    /// A check could not be made, and somebody has to decide.
    Asks {
        /// The gate.
        gate: String,
        /// Why it could not be made.
        why: String,
        /// Until when somebody may; then nobody did.
        until: Timestamp,
    },
    /// A check could not be made, and nobody decided in time.
    Undecided {
        /// The gate.
        gate: String,
        /// Why it could not be made.
        why: String,
    },
    /// It did not hold.
    Failed {
        /// The gate.
        gate: String,
        /// What it said.
        why: String,
    },
    /// The next wave may begin.
    Passed,
}

/// Something that somebody has to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// The gate.
    gate: String,
    /// Why the check could not be made.
    pub(super) why: String,
    /// Whether nothing can be asked again: no host has a system that could be looked at.
    pub(super) needs_proof: bool,
    /// Until when somebody may decide.
    pub(super) until: Timestamp,
}

/// A wave that is watched.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Watch {
    until: Timestamp,
    gates: Vec<GateProgress>,
    question: Option<Question>,
    /// What nobody decided in time.
    undecided: Option<Question>,
    failed: Option<(String, String)>,
}

impl Watch {
    /// Begins to watch a wave; `soaks` says whether it has to stay well for a while first.
    pub(super) fn begin(rollout: &Rollout, soaks: bool, now: Timestamp) -> Self {
        let soak = if soaks { rollout.soak } else { Duration::ZERO };
        let well = Gate {
            name: Gate::SOAK.to_owned(),
            asks: GateQuestion::Well,
            delay: soak,
            interval: Duration::from_secs(5),
            successes_in_a_row: 1,
            failures: 0,
            limit: WELL_LIMIT,
        };
        let well = (!soak.is_zero()).then_some(well);
        let all = well.into_iter().chain(rollout.gates.iter().cloned());
        let gates = all.map(|gate| GateProgress {
            next: later(now, gate.delay),
            gate,
            in_a_row: 0,
            failures: 0,
            asked: None,
            said: None,
            is_vouched: false,
        });
        Self { gates: gates.collect(), ..Self::nothing(later(now, soak)) }
    }

    /// Watches a wave in which no host got its system: there is nothing to look at.
    pub(super) fn nothing(until: Timestamp) -> Self {
        Self { until, gates: Vec::new(), question: None, undecided: None, failed: None }
    }

    /// Lets somebody decide, since nothing can be looked at.
    pub(super) fn ask_for_proof(&mut self, why: String, now: Timestamp) {
        let (gate, until) = (Gate::PROOF.to_owned(), later(now, DECISION_LIMIT));
        self.question = Some(Question { gate, why, needs_proof: true, until });
    }

    /// Lets somebody decide until then.
    pub(super) fn decide_later(&mut self, until: Timestamp) {
        if let Some(question) = &mut self.question {
            question.until = until;
        }
    }

    /// Waits no longer for a decision that nobody made in time.
    pub(super) fn give_up(&mut self, now: Timestamp) {
        if let Some(question) = self.question.take_if(|question| question.until <= now) {
            self.undecided = Some(question);
        }
    }

    /// Returns what somebody has to decide.
    pub(super) fn question(&self) -> Option<&Question> {
        self.question.as_ref()
    }

    /// Returns until when the wave has to stay well.
    pub(super) fn until(&self) -> Timestamp {
        self.until
    }

    /// Returns the gates that are to be asked now, each with the number of its question, and notes that
    /// they are; `askings` counts the questions of the run.
    pub(super) fn due(&mut self, now: Timestamp, askings: &mut u64) -> Vec<(u64, Gate)> {
        if self.is_lost() || self.question.is_some() {
            return Vec::new();
        }
        let mut due = Vec::new();
        let can_ask = |one: &&mut GateProgress| one.asked.is_none() && !one.is_vouched;
        for one in self.gates.iter_mut().filter(can_ask).filter(|one| one.next <= now) {
            // One that passed is asked again for as long as the wave has to stay well.
            if now >= self.until && one.has_passed() {
                continue;
            }
            *askings = askings.saturating_add(1);
            one.asked = Some(*askings);
            due.push((*askings, one.gate.clone()));
        }
        due
    }

    /// Returns whether the wave does not hold any more.
    fn is_lost(&self) -> bool {
        self.failed.is_some() || self.undecided.is_some()
    }

    /// Takes what a gate answered to a question; returns whether that is news. It is none where the question is open
    /// no more, and neither is a good answer that is followed by others before the gate has passed, or that comes
    /// while it is asked again after it passed.
    pub(super) fn answered(
        &mut self,
        gate: &str,
        asking: u64,
        answer: GateAnswer,
        now: Timestamp,
    ) -> bool {
        let is_open = |one: &&mut GateProgress| one.gate.name == gate && one.asked == Some(asking);
        let Some(one) = self.gates.iter_mut().find(is_open) else { return false };
        one.asked = None;
        one.next = later(now, one.gate.interval);
        match answer {
            GateAnswer::Passed => {
                let had_passed = one.has_passed();
                one.in_a_row = one.in_a_row.saturating_add(1);
                one.said = None;
                return one.has_passed() && !had_passed;
            }
            GateAnswer::Failed(why) => {
                one.in_a_row = 0;
                one.failures = one.failures.saturating_add(1);
                one.said = Some(why.clone());
                if one.failures > one.gate.failures {
                    self.failed.get_or_insert((gate.to_owned(), why));
                }
            }
            GateAnswer::NotMade(why) => {
                one.in_a_row = 0;
                one.next = now;
                one.said = Some(why.clone());
                let (gate, until) = (gate.to_owned(), later(now, DECISION_LIMIT));
                self.question.get_or_insert(Question { gate, why, needs_proof: false, until });
            }
        }
        true
    }

    /// Asks again what could not be asked; returns whether there was such a question. One that cannot be asked again
    /// waits anew for a decision.
    pub(super) fn ask_again(&mut self, now: Timestamp) -> bool {
        let can = self.question.take_if(|question| !question.needs_proof).is_some();
        self.decide_later(later(now, DECISION_LIMIT));
        can
    }

    /// Takes a gate that could not be asked as passed, since a person looked, and does not ask it any more; returns
    /// its name.
    pub(super) fn vouch(&mut self) -> Option<String> {
        let gate = self.question.take()?.gate;
        if let Some(one) = self.gates.iter_mut().find(|one| one.gate.name == gate) {
            one.is_vouched = true;
            one.said = None;
        }
        Some(gate)
    }

    /// Returns how it stands.
    pub(super) fn state(&self, now: Timestamp) -> WatchState {
        if let Some((gate, why)) = self.failed.clone() {
            return WatchState::Failed { gate, why };
        }
        if let Some(Question { gate, why, .. }) = self.undecided.clone() {
            return WatchState::Undecided { gate, why };
        }
        if let Some(Question { gate, why, until, .. }) = self.question.clone() {
            return WatchState::Asks { gate, why, until };
        }
        if now < self.until {
            return WatchState::Soaks(self.until);
        }
        // Whoever is asked just now may say no.
        let open = self.gates.iter().find(|one| one.asked.is_some() || !one.has_passed());
        match open {
            Some(one) => WatchState::Checks {
                gate: one.gate.name.clone(),
                said: one.said.clone(),
                next: one.asked.is_none().then_some(one.next),
            },
            None => WatchState::Passed,
        }
    }

    /// Returns when something is to be done next without anybody saying so.
    pub(super) fn wakes_at(&self, now: Timestamp) -> Option<Timestamp> {
        if self.is_lost() {
            return None;
        }
        if let Some(question) = &self.question {
            return Some(question.until).filter(|at| *at > now);
        }
        let waits = |one: &&GateProgress| one.asked.is_none() && !one.is_vouched;
        let gates = self.gates.iter().filter(waits).map(|one| one.next);
        gates.chain([self.until]).filter(|at| *at > now).min()
    }
}

/// Returns a time so much later; the end of time where that is beyond it.
pub(super) fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn rollout(soak: u64, gate: Option<(u32, u32)>) -> Rollout {
        let gate = gate.map(|(successes_in_a_row, failures)| Gate {
            name: "site".to_owned(),
            asks: GateQuestion::Url("http://x".to_owned()),
            delay: Duration::from_secs(2),
            interval: Duration::from_secs(10),
            successes_in_a_row,
            failures,
            limit: Duration::from_secs(5),
        });
        Rollout {
            soak: Duration::from_secs(soak),
            gates: gate.into_iter().collect(),
            ..Rollout::default()
        }
    }

    /// A watch with the questions that were asked in its run.
    struct AskedWatch {
        watch: Watch,
        askings: u64,
    }

    impl AskedWatch {
        fn begin(rollout: &Rollout, soaks: bool) -> Self {
            Self { watch: Watch::begin(rollout, soaks, at(0)), askings: 0 }
        }

        /// Returns the names of the gates that are asked now.
        fn due(&mut self, now: Timestamp) -> Vec<String> {
            let due = self.watch.due(now, &mut self.askings);
            due.into_iter().map(|(_, gate)| gate.name).collect()
        }

        /// Answers the newest question.
        fn answered(&mut self, gate: &str, answer: GateAnswer, now: Timestamp) {
            self.is_news(gate, answer, now);
        }

        /// Answers the newest question, which is open; returns whether that is news.
        fn is_news(&mut self, gate: &str, answer: GateAnswer, now: Timestamp) -> bool {
            let asked = Some(self.askings);
            let is_open = |one: &GateProgress| one.gate.name == gate && one.asked == asked;
            assert!(self.watch.gates.iter().any(is_open));
            self.watch.answered(gate, self.askings, answer, now)
        }
    }

    #[test]
    fn a_wave_soaks_and_is_looked_at_when_that_is_over() {
        let mut asked = AskedWatch::begin(&rollout(60, None), true);
        assert_eq!(asked.watch.state(at(0)), WatchState::Soaks(at(60)));
        assert_eq!(asked.watch.wakes_at(at(0)), Some(at(60)));
        assert!(asked.due(at(59)).is_empty());
        assert_eq!(asked.due(at(60)), ["soak"]);
        assert!(matches!(asked.watch.state(at(60)), WatchState::Checks { next: None, .. }));
        asked.answered("soak", GateAnswer::Passed, at(61));
        assert_eq!(asked.watch.state(at(61)), WatchState::Passed);
        assert!(asked.due(at(500)).is_empty());
    }

    #[test]
    fn the_last_wave_does_not_soak() {
        let watch = Watch::begin(&rollout(60, None), false, at(0));
        assert_eq!(watch.state(at(0)), WatchState::Passed);
    }

    #[test]
    fn a_gate_passes_after_so_many_good_answers_in_a_row() {
        let mut asked = AskedWatch::begin(&rollout(0, Some((2, 1))), true);
        assert!(asked.due(at(1)).is_empty());
        assert_eq!(asked.due(at(2)), ["site"]);
        asked.answered("site", GateAnswer::Passed, at(3));
        assert!(asked.due(at(12)).is_empty());
        asked.due(at(13));
        asked.answered("site", GateAnswer::Failed("503".to_owned()), at(13));
        let said = Some("503".to_owned());
        let next = Some(at(23));
        let expected = WatchState::Checks { gate: "site".to_owned(), said, next };
        assert_eq!(asked.watch.state(at(14)), expected);
        for second in [23, 33] {
            assert_eq!(asked.due(at(second)).len(), 1);
            asked.answered("site", GateAnswer::Passed, at(second));
        }
        assert_eq!(asked.watch.state(at(33)), WatchState::Passed);
    }

    #[test]
    fn a_gate_is_told_as_passed_once_and_not_before_it_has_passed() {
        let mut asked = AskedWatch::begin(&rollout(60, Some((2, 1))), true);
        let bad = || GateAnswer::Failed("503".to_owned());
        for (second, answer, is_news) in [
            (2, GateAnswer::Passed, false),
            (12, GateAnswer::Passed, true),
            (22, GateAnswer::Passed, false),
            (32, bad(), true),
            (42, GateAnswer::Passed, false),
            (52, GateAnswer::Passed, true),
        ] {
            assert_eq!(asked.due(at(second)), ["site"]);
            assert_eq!(asked.is_news("site", answer, at(second)), is_news, "{second}");
        }
    }

    #[test]
    fn a_gate_fails_with_one_more_bad_answer_than_is_borne() {
        let mut asked = AskedWatch::begin(&rollout(0, Some((1, 1))), true);
        for second in [2, 12] {
            asked.due(at(second));
            asked.answered("site", GateAnswer::Failed("down".to_owned()), at(second));
        }
        assert!(matches!(asked.watch.state(at(12)), WatchState::Failed { .. }));
        assert_eq!(asked.watch.wakes_at(at(12)), None);
    }

    #[test]
    fn an_answer_counts_for_the_question_that_it_answers_and_for_no_other() {
        let mut askings = 0;
        let mut before = Watch::begin(&rollout(0, Some((1, 0))), true, at(0));
        let (first, _) = before.due(at(2), &mut askings).remove(0);
        // One of its hosts is tried again, and the wave is watched again.
        let mut anew = Watch::begin(&rollout(0, Some((1, 0))), true, at(3));
        let (second, _) = anew.due(at(5), &mut askings).remove(0);
        assert_ne!(first, second);
        assert!(!anew.answered("site", first, GateAnswer::Failed("before".to_owned()), at(6)));
        assert!(matches!(anew.state(at(6)), WatchState::Checks { next: None, .. }));
        assert!(anew.answered("site", second, GateAnswer::Passed, at(7)));
        assert_eq!(anew.state(at(7)), WatchState::Passed);
    }

    #[test]
    fn a_check_that_could_not_be_made_asks_and_never_passes() {
        let mut asked = AskedWatch::begin(&rollout(0, Some((1, 0))), true);
        asked.due(at(2));
        asked.answered("site", GateAnswer::NotMade("no route".to_owned()), at(3));
        assert!(matches!(asked.watch.state(at(9999)), WatchState::Asks { .. }));
        assert!(asked.due(at(9999)).is_empty(), "nothing is asked until somebody says so");
        assert!(asked.watch.ask_again(at(9999)));
        assert_eq!(asked.due(at(9999)).len(), 1);
        asked.answered("site", GateAnswer::NotMade("no route".to_owned()), at(9999));
        assert_eq!(asked.watch.vouch().as_deref(), Some("site"));
        assert_eq!(asked.watch.state(at(9999)), WatchState::Passed);
    }

    #[test]
    fn a_decision_that_nobody_makes_in_time_lets_the_wave_fail_and_one_that_is_asked_again_has_time_again()
     {
        let mut asked = AskedWatch::begin(&rollout(0, Some((1, 0))), true);
        asked.due(at(2));
        asked.answered("site", GateAnswer::NotMade("no route".to_owned()), at(3));
        assert_eq!(asked.watch.wakes_at(at(3)), Some(at(903)));
        asked.watch.give_up(at(902));
        assert!(
            matches!(asked.watch.state(at(902)), WatchState::Asks { until, .. } if until == at(903))
        );
        assert!(asked.watch.ask_again(at(902)));
        asked.due(at(902));
        asked.answered("site", GateAnswer::NotMade("no route".to_owned()), at(902));
        asked.watch.give_up(at(1801));
        assert!(matches!(asked.watch.state(at(1801)), WatchState::Asks { .. }));
        asked.watch.give_up(at(1802));
        let (gate, why) = ("site".to_owned(), "no route".to_owned());
        assert_eq!(asked.watch.state(at(1802)), WatchState::Undecided { gate, why });
        assert!(asked.due(at(1802)).is_empty() && asked.watch.wakes_at(at(1802)).is_none());
        assert_eq!(asked.watch.question(), None);
        let mut proof = Watch::nothing(at(0));
        proof.ask_for_proof("no host got its system".to_owned(), at(0));
        assert!(!proof.ask_again(at(600)), "there is nothing to ask again");
        assert_eq!(proof.wakes_at(at(600)), Some(at(1500)));
    }

    #[test]
    fn a_gate_that_a_person_vouched_for_is_not_asked_again_during_the_soak() {
        let mut asked = AskedWatch::begin(&rollout(60, Some((1, 0))), true);
        assert_eq!(asked.due(at(5)), ["site"]);
        asked.answered("site", GateAnswer::NotMade("no route".to_owned()), at(5));
        assert_eq!(asked.watch.vouch().as_deref(), Some("site"));
        assert!(asked.due(at(20)).is_empty() && asked.due(at(59)).is_empty());
        assert_eq!(asked.watch.state(at(20)), WatchState::Soaks(at(60)));
        assert_eq!(asked.watch.wakes_at(at(20)), Some(at(60)));
        assert_eq!(asked.due(at(60)), ["soak"], "the hosts are looked at all the same");
        asked.answered("soak", GateAnswer::Passed, at(61));
        assert_eq!(asked.watch.state(at(61)), WatchState::Passed);
    }
}
