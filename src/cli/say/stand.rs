//! How the hosts of a run stand that something is said to: what is no use to say, and what it would change.

use crate::fleet::words::rollout::STOP_GOES_BACK;
use crate::fleet::{
    OpenQuestion, Phase, PhaseState, RollbackScope, RolloutNews, RunEvent, RunId, RunOrder,
    RunWhat, back_to_before, in_a_list,
};
use crate::record::Word;
use std::collections::BTreeMap;

/// How the hosts of a run stand, as far as its folder tells.
#[derive(Debug, Default)]
pub(super) struct Stand {
    hosts: Vec<String>,
    waves: BTreeMap<String, usize>,
    /// How many waves there are; none where nothing is told of any.
    all_waves: Option<usize>,
    /// The hosts that have their new system from this run, or are getting it.
    fresh: Vec<String>,
    /// Whether the plan waits for its answer; none where it was not shown yet.
    plan_waits: Option<bool>,
    /// The hosts that are taken back already.
    goes_back: Vec<String>,
    /// The check that could not be made and waits for a decision.
    question: Option<OpenQuestion>,
}

impl Stand {
    /// Returns how they stand after these events.
    pub(super) fn of(events: &[RunEvent]) -> Self {
        let mut stand = Self::default();
        for event in events {
            if let RunWhat::Rollout(news) = &event.what {
                stand.question = OpenQuestion::after(stand.question.take(), news);
            }
            match &event.what {
                RunWhat::Begin { hosts, .. } => stand.hosts.clone_from(hosts),
                RunWhat::Plan { plan, waits } => {
                    stand.plan_waits = Some(*waits);
                    let waves = plan.hosts.iter();
                    stand
                        .waves
                        .extend(waves.filter_map(|host| Some((host.host.clone(), host.wave?))));
                }
                RunWhat::Result { host, result } => {
                    stand.fresh.retain(|fresh| fresh != host);
                    let stays = !stand.goes_back.contains(host);
                    if result.outcome.is_new_system() && stays {
                        stand.fresh.push(host.clone());
                    }
                }
                RunWhat::Phase { host, phase, state: PhaseState::Started } => {
                    let begins = *phase >= Phase::Activate && !stand.goes_back.contains(host);
                    if begins && !stand.fresh.contains(host) {
                        stand.fresh.push(host.clone());
                    }
                }
                RunWhat::Rollout(RolloutNews::Answered { .. }) | RunWhat::Summary { .. } => {
                    stand.plan_waits = Some(false);
                }
                RunWhat::Rollout(RolloutNews::Wave { of, .. }) => stand.all_waves = Some(*of),
                RunWhat::Rollout(RolloutNews::Again { host, goes_back, .. }) => {
                    // Who is tried again has what it has until that ends.
                    if *goes_back {
                        stand.fresh.retain(|fresh| fresh != host);
                        stand.goes_back.push(host.clone());
                    }
                }
                RunWhat::Phase { .. }
                | RunWhat::Progress { .. }
                | RunWhat::Log { .. }
                | RunWhat::Waiting { .. }
                | RunWhat::Rollout(_)
                | RunWhat::Reattached { .. }
                | RunWhat::Usual { .. }
                | RunWhat::Builds { .. }
                | RunWhat::Command { .. }
                | RunWhat::Dropped { .. } => {}
            }
        }
        stand
    }

    /// Returns the hosts of the run, in its order.
    pub(super) fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// Says what is wrong with a word before it is said; the run itself judges the rest.
    pub(super) fn mistake(&self, run: &RunId, word: &Word) -> Option<String> {
        match word {
            Word::Order(RunOrder::Accept) if self.question.is_none() => Some(format!(
                "no check of run {run} waits for a decision; `nixdash logs {run}` shows what the run does"
            )),
            Word::Yes | Word::No => match self.plan_waits {
                Some(true) => None,
                Some(false) => Some(format!(
                    "the plan of run {run} does not wait for an answer any more; `nixdash say {run} cancel` \
                     stops the run"
                )),
                None => Some(format!(
                    "the plan of run {run} is not made yet, and nobody can agree to what was not shown; \
                     `nixdash logs {run}` shows how far the run is"
                )),
            },
            Word::Cancel | Word::Order(_) => None,
        }
    }

    /// Says which hosts a word changes; nothing for one that changes none.
    pub(super) fn preview(&self, word: &Word) -> Option<String> {
        match word {
            Word::Order(order) if order.is_destructive() => Some(match order {
                RunOrder::Rollback { scope } => {
                    let back = self.taken_back(*scope);
                    if back.is_empty() {
                        "no host has its new system yet, and none is getting it; no other host begins"
                            .to_owned()
                    } else {
                        let goes = back_to_before(back.len());
                        format!("{} {goes}, and no other host begins", in_a_list(&back))
                    }
                }
                RunOrder::Skip { host } => format!("{host} is left out of the run"),
                RunOrder::Accept => match &self.question {
                    Some(open) => format!("{}: {}", open.why, open.if_accepted()),
                    None => order.to_string(),
                },
                RunOrder::Pause | RunOrder::Resume | RunOrder::Retry { .. } => order.to_string(),
            }),
            Word::Cancel => Some(format!("the run stops; {STOP_GOES_BACK}")),
            Word::Yes | Word::No | Word::Order(_) => None,
        }
    }

    /// Returns the hosts that go back. One of which the plan knew no system is in the last wave.
    fn taken_back(&self, scope: RollbackScope) -> Vec<String> {
        let wave = |host: &String| self.waves.get(host).copied().or(self.all_waves);
        scope.taken_back(self.fresh.iter().map(|host| (host.clone(), wave(host))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{
        Code, Finding, Goal, HostResult, Outcome, Plan, Strategy, Subject, WaveState,
    };
    use jiff::Timestamp;

    #[test]
    fn an_answer_is_only_taken_while_the_plan_waits() {
        let said = |all: &[RunWhat], word: &Word| {
            let (run, at) = (RunId("7".to_owned()), Timestamp::UNIX_EPOCH);
            let event = |what: &RunWhat| RunEvent { run: run.clone(), at, what: what.clone() };
            Stand::of(&all.iter().map(event).collect::<Vec<_>>()).mistake(&run, word)
        };
        let plan = Plan {
            goal: Goal::Switch,
            strategy: Strategy::Direct,
            revision: None,
            source: None,
            findings: Vec::new(),
            hosts: Vec::new(),
            set_aside: BTreeMap::new(),
            waited_for: Vec::new(),
        };
        let mut all = vec![RunWhat::begin(vec!["a".to_owned()], "switch".to_owned())];
        assert!(said(&all, &Word::Yes).unwrap().starts_with("the plan of run 7 is not made yet"));
        all.push(RunWhat::Plan { plan, waits: true });
        assert_eq!((said(&all, &Word::Yes), said(&all, &Word::No)), (None, None));
        all.push(RunWhat::Rollout(RolloutNews::Answered { yes: true }));
        let late = said(&all, &Word::No).unwrap();
        assert!(late.contains("any more; `nixdash say 7 cancel` stops the run"), "{late}");
    }

    #[test]
    fn a_rollback_names_the_hosts_that_are_just_getting_their_system() {
        let host = |name: &str| name.to_owned();
        let phase = |name: &str, phase, state| RunWhat::Phase { host: host(name), phase, state };
        let ended = |name: &str, outcome| RunWhat::Result {
            host: host(name),
            result: HostResult::ended(outcome),
        };
        let events = |all: &[RunWhat]| {
            let event = |what: &RunWhat| RunEvent {
                run: RunId("7".to_owned()),
                at: Timestamp::UNIX_EPOCH,
                what: what.clone(),
            };
            all.iter().map(event).collect::<Vec<_>>()
        };
        let back = |all: &[RunWhat], scope| {
            let waves = [("a", 1), ("b", 2), ("c", 2), ("d", 2)];
            let waves = waves.map(|(name, wave)| (host(name), wave));
            Stand { waves: waves.into(), ..Stand::of(&events(all)) }.taken_back(scope)
        };
        let mut all = vec![
            ended("a", Outcome::Switched),
            phase("b", Phase::Check, PhaseState::Started),
            phase("c", Phase::Persist, PhaseState::Started),
            // Nothing has begun there.
            phase("d", Phase::Diff, PhaseState::Started),
            phase("d", Phase::Activate, PhaseState::Skipped),
        ];
        assert_eq!(back(&all, RollbackScope::Wave), ["b", "c"]);
        assert_eq!(back(&all, RollbackScope::Run), ["a", "b", "c"]);
        // They are taken back: the wave before is the newest one now.
        let finding = Finding::new(Subject::host("b"), Code::RunRolledBack, "why", "");
        all.push(RunWhat::Rollout(RolloutNews::Halted { finding, rollback: true }));
        all.push(ended("b", Outcome::RolledBack));
        all.push(ended("c", Outcome::Switched));
        let again = |name: &str| RolloutNews::Again {
            host: host(name),
            goal: Goal::Rollback,
            goes_back: true,
            attempt: 2,
            reason: "why".to_owned(),
        };
        all.push(RunWhat::Rollout(again("c")));
        all.push(phase("c", Phase::Activate, PhaseState::Started));
        assert_eq!(back(&all, RollbackScope::Wave), ["a"]);
    }

    #[test]
    fn a_rollback_names_its_hosts_before_it_is_said() {
        let stand = Stand {
            hosts: vec!["a".to_owned(), "b".to_owned()],
            waves: BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]),
            fresh: vec!["a".to_owned(), "b".to_owned()],
            ..Stand::default()
        };
        let said = |scope| stand.preview(&Word::Order(RunOrder::Rollback { scope })).unwrap();
        assert!(said(RollbackScope::Run).starts_with("a and b go back to what they ran"));
        assert!(said(RollbackScope::Wave).starts_with("b goes back to what it ran"));
        // One that was away when the plan was made, and evaluates itself, is in the last wave.
        let woke = Stand { all_waves: Some(3), fresh: vec!["b".into(), "c".into()], ..stand };
        assert_eq!(woke.taken_back(RollbackScope::Wave), ["c"]);
        let stand = woke;
        assert_eq!(stand.preview(&Word::Order(RunOrder::Pause)), None);
    }

    #[test]
    fn a_check_is_accepted_only_where_one_waits_and_no_wave_is_promised_behind_the_last() {
        let asks = |wave| RolloutNews::Wave {
            wave,
            of: 2,
            state: WaveState::Asks,
            reason: Some("gate quorum did not answer".to_owned()),
            until: None,
        };
        let (run, accept) = (RunId("7".to_owned()), Word::Order(RunOrder::Accept));
        let stand = |news: &[RolloutNews]| {
            let event = |news: &RolloutNews| RunEvent {
                run: run.clone(),
                at: Timestamp::UNIX_EPOCH,
                what: RunWhat::Rollout(news.clone()),
            };
            Stand::of(&news.iter().map(event).collect::<Vec<_>>())
        };
        let none = stand(&[]).mistake(&run, &accept).unwrap();
        assert!(none.starts_with("no check of run 7 waits for a decision"), "{none}");
        for (wave, ends) in [(1, "and wave 2 begins when all others have passed"), (2, "as passed")]
        {
            let open = stand(&[asks(wave)]);
            assert_eq!(open.mistake(&run, &accept), None);
            let said = open.preview(&accept).unwrap();
            assert!(said.starts_with("gate quorum did not answer: this check counts"), "{said}");
            assert!(said.ends_with(ends), "{said}");
        }
        let accepted = RolloutNews::Order { order: RunOrder::Accept, refused: None };
        assert!(stand(&[asks(1), accepted]).mistake(&run, &accept).is_some());
    }
}
