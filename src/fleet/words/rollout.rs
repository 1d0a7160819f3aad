//! How a run moves over its hosts, told in sentences.

use crate::fleet::words::time_left;
use crate::fleet::{Gate, RolloutNews, WaveState};
use jiff::Timestamp;

/// What becomes of the hosts of a run that is stopped.
pub const STOP_GOES_BACK: &str =
    "hosts that began to activate go back unless their system is permanent already";

impl RolloutNews {
    /// Says what happened in one sentence.
    pub fn sentence(&self, now: Timestamp) -> String {
        match self {
            Self::Wave { wave, of, state, reason, until } => {
                let name = format!("wave {wave} of {of}");
                wave_sentence(&name, *state, reason.as_deref(), *until, now)
            }
            Self::Gate { wave, gate, passed, said } => {
                let said = said.as_ref().map(|said| format!(": {said}")).unwrap_or_default();
                if gate == Gate::SOAK {
                    return format!("{}{said}", soak_words(*wave, *passed));
                }
                let how = match passed {
                    Some(true) => "passed",
                    Some(false) => "failed",
                    None => "could not be checked",
                };
                format!("gate {gate} {how} after wave {wave}{said}")
            }
            Self::Paused { paused: true } => {
                "paused: no host begins anything more until the run is resumed".to_owned()
            }
            Self::Paused { paused: false } => "the run goes on".to_owned(),
            Self::Halted { finding, rollback } => {
                let then = if *rollback {
                    "; hosts that got their new system in this run go back"
                } else {
                    "; no other host begins to activate"
                };
                format!("{}{then} [{}]", finding.cause, finding.code)
            }
            Self::Order { order, refused: None } => format!("the operator said: {order}"),
            Self::Order { order, refused: Some(why) } => {
                format!("the operator said: {order}. That is not done: {why}")
            }
            Self::Answered { yes: true } => "the plan was confirmed".to_owned(),
            Self::Answered { yes: false } => {
                "the plan was not confirmed: nothing is done".to_owned()
            }
            Self::Cancelled { nothing_activates: true } => {
                "the operator stopped the run: no other host begins".to_owned()
            }
            Self::Cancelled { nothing_activates: false } => {
                format!("the operator stopped the run: {STOP_GOES_BACK}, and no other host begins")
            }
            Self::Again { host, goes_back: true, reason, .. } => {
                format!("{host} goes back to its previous system: {reason}")
            }
            Self::Again { host, goes_back: false, attempt, reason, .. } => {
                format!("{host} begins again, attempt {attempt}: {reason}")
            }
            Self::Decided { host, toplevel, later_run } => {
                let system = toplevel
                    .as_ref()
                    .map_or("the system that its flake says now", |path| path.as_str());
                match later_run {
                    Some(run) => format!(
                        "{host} is back and gets {system}, which was confirmed for it in run {run} after this run began"
                    ),
                    None => format!("{host} is back and gets {system}, as this run decided"),
                }
            }
        }
    }
}

/// Says what the hosts of a wave were found to be at the end of its soak: a check that nixdash makes itself, and no
/// gate of anybody's.
fn soak_words(wave: usize, passed: Option<bool>) -> String {
    match passed {
        Some(true) => format!("the hosts of wave {wave} are still well at the end of the soak"),
        Some(false) => format!("wave {wave} was not well any more at the end of the soak"),
        None => format!("the hosts of wave {wave} could not be looked at at the end of the soak"),
    }
}

/// Says how a wave stands.
fn wave_sentence(
    name: &str,
    state: WaveState,
    reason: Option<&str>,
    until: Option<Timestamp>,
    now: Timestamp,
) -> String {
    let why = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    match state {
        WaveState::Began => format!("{name} begins{why}"),
        WaveState::Watched => match until.filter(|until| *until > now) {
            Some(until) => {
                let left = time_left(until, now);
                format!("{name} is done and has to stay well for {left}{why}")
            }
            None => format!("{name} is done, its gates are checked{why}"),
        },
        WaveState::Asks => match until.filter(|until| *until > now) {
            Some(until) => {
                let left = time_left(until, now);
                format!("{name} waits for a decision, and fails without one in {left}{why}")
            }
            None => format!("{name} waits for a decision{why}"),
        },
        WaveState::Passed => format!("{name} did well{why}"),
        WaveState::Failed => format!("{name} failed{why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_says_how_long_it_has_to_stay_well() {
        let news = RolloutNews::Wave {
            wave: 1,
            of: 3,
            state: WaveState::Watched,
            reason: None,
            until: Timestamp::from_second(60).ok(),
        };
        assert_eq!(
            news.sentence(Timestamp::UNIX_EPOCH),
            "wave 1 of 3 is done and has to stay well for 1 min 00 s"
        );
    }

    #[test]
    fn the_check_at_the_end_of_the_soak_is_told_as_no_gate() {
        let said = |gate: &str, passed| {
            let gate = gate.to_owned();
            RolloutNews::Gate { wave: 1, gate, passed, said: None }.sentence(Timestamp::UNIX_EPOCH)
        };
        let well = "the hosts of wave 1 are still well at the end of the soak";
        assert_eq!(said("soak", Some(true)), well);
        assert_eq!(
            said("soak", Some(false)),
            "wave 1 was not well any more at the end of the soak"
        );
        assert_eq!(said("quorum", Some(true)), "gate quorum passed after wave 1");
    }

    #[test]
    fn a_wave_whose_next_one_may_begin_does_not_sound_as_if_it_were_on_hold() {
        let (reason, until) = (None, None);
        let news = RolloutNews::Wave { wave: 1, of: 3, state: WaveState::Passed, reason, until };
        assert_eq!(news.sentence(Timestamp::UNIX_EPOCH), "wave 1 of 3 did well");
    }

    #[test]
    fn only_a_run_that_activates_something_has_hosts_that_go_back() {
        let said = |nothing_activates| {
            RolloutNews::Cancelled { nothing_activates }.sentence(Timestamp::UNIX_EPOCH)
        };
        assert_eq!(said(true), "the operator stopped the run: no other host begins");
        assert!(said(false).contains("go back unless their system is permanent already"));
        // As older runs have it on disk.
        let old: RolloutNews = serde_json::from_str("{\"news\":\"cancelled\"}").unwrap();
        assert_eq!(old, RolloutNews::Cancelled { nothing_activates: false });
    }

    #[test]
    fn what_is_not_done_says_why() {
        let order = crate::fleet::RunOrder::Pause;
        let refused = Some("the run is stopped".to_owned());
        let news = RolloutNews::Order { order, refused };
        assert_eq!(
            news.sentence(Timestamp::UNIX_EPOCH),
            "the operator said: pause. That is not done: the run is stopped"
        );
    }
}
