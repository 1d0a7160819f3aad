//! `nixdash say`: says something to a run that goes on, as the keys of the dashboard do.

use crate::cli::{CliError, EXIT_FAILED, EXIT_USAGE, complete};
use crate::fleet::words::rollout::STOP_GOES_BACK;
use crate::fleet::{
    Phase, PhaseState, RollbackScope, RolloutNews, RunEvent, RunId, RunOrder, RunWhat,
    back_to_before, in_a_list,
};
use crate::record::{RunStands, Runs, Word, state_home};
use clap::{Args, Subcommand, ValueEnum};
use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long a run may take until it has taken an order.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// How often its folder is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Arguments of `nixdash say`.
#[derive(Debug, Args)]
pub(super) struct SayArgs {
    /// The run's number; `last` is the newest that goes on
    #[arg(value_name = "RUN")]
    run: String,
    #[command(subcommand)]
    words: SayWords,
    /// Does it without asking
    #[arg(long, short, global = true)]
    yes: bool,
}

/// What may be said.
#[derive(Debug, Subcommand)]
enum SayWords {
    /// Lets no host begin anything more; what runs goes on to its end
    Pause,
    /// Lets hosts go on, repeats a check that could not be made, and tries hosts again that wait
    /// for a decision
    Resume,
    /// Counts a check that could not be made as passed, because you looked yourself
    Accept,
    /// Leaves hosts out that have not begun to activate
    Skip {
        /// The hosts
        #[arg(required = true, value_name = "HOST", add = complete::selectors())]
        hosts: Vec<String>,
    },
    /// Tries hosts again that did not get their system, or wait for a decision; nothing is built twice
    Retry {
        /// The hosts
        #[arg(required = true, value_name = "HOST", add = complete::selectors())]
        hosts: Vec<String>,
    },
    /// Takes hosts back to what they ran before the run, and lets no other host begin
    Rollback {
        /// Which hosts: those of the newest wave, or all of the run
        #[arg(value_enum, default_value = "run")]
        scope: ScopeArg,
    },
    /// Confirms the plan
    Yes,
    /// Does not confirm the plan
    No,
    /// Stops the run; hosts that began to activate go back unless their system is permanent already
    Cancel,
}

/// Scopes as they are typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScopeArg {
    /// The newest wave that got its system, or is getting it
    Wave,
    /// Every host of the run
    Run,
}

impl SayWords {
    /// Returns what is written into the run's folder.
    fn words(&self) -> Vec<Word> {
        let each = |hosts: &[String], order: fn(String) -> RunOrder| {
            hosts.iter().map(|host| Word::Order(order(host.clone()))).collect()
        };
        match self {
            Self::Pause => vec![Word::Order(RunOrder::Pause)],
            Self::Resume => vec![Word::Order(RunOrder::Resume)],
            Self::Accept => vec![Word::Order(RunOrder::Accept)],
            Self::Skip { hosts } => each(hosts, |host| RunOrder::Skip { host }),
            Self::Retry { hosts } => each(hosts, |host| RunOrder::Retry { host }),
            Self::Rollback { scope } => {
                let scope = match scope {
                    ScopeArg::Wave => RollbackScope::Wave,
                    ScopeArg::Run => RollbackScope::Run,
                };
                vec![Word::Order(RunOrder::Rollback { scope })]
            }
            Self::Yes => vec![Word::Yes],
            Self::No => vec![Word::No],
            Self::Cancel => vec![Word::Cancel],
        }
    }
}

/// Says it, after asking where hosts are changed by it.
pub(super) fn run(args: &SayArgs) -> Result<ExitCode, CliError> {
    let runs = Runs::open(&state_home())?;
    let (run, process) = listening(&runs, &args.run)?;
    let stand = Stand::of(&runs.decided(&run));
    let words = args.words.words();
    if let Some(mistake) = words.iter().find_map(|word| stand.mistake(&run, word)) {
        return Err(CliError::NotSaid(mistake));
    }
    let preview: Vec<String> = words.iter().filter_map(|word| stand.preview(word)).collect();
    if !preview.is_empty() && !args.yes {
        if !std::io::stdin().is_terminal() {
            return Err(CliError::NobodyToAsk);
        }
        for line in &preview {
            println!("{line}");
        }
        if !asked_yes() {
            println!("run {run} was given no order");
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    }
    let before = runs.decided(&run).len();
    for word in &words {
        runs.say(&run, word)?;
    }
    if let ListeningProcess { number, is_stopped: true } = process {
        println!("{}", said_to_stopped(&run, number));
        return Ok(ExitCode::SUCCESS);
    }
    let refused = refusals(&words, || runs.decided(&run).split_off(before));
    for (order, why) in &refused {
        eprintln!("nixdash: run {run} refused the order ({order}): {why}");
    }
    if !refused.is_empty() {
        return Ok(ExitCode::from(EXIT_FAILED));
    }
    println!("run {run} was given the order; `nixdash logs {run}` shows what it does");
    Ok(ExitCode::SUCCESS)
}

/// The process that carries a run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ListeningProcess {
    number: u32,
    /// Whether it was stopped: it hears nothing until it is continued.
    is_stopped: bool,
}

/// Returns the run that is meant, with the process that hears what is said to it; an error where there is none.
fn listening(runs: &Runs, named: &str) -> Result<(RunId, ListeningProcess), CliError> {
    let all = runs.list()?;
    let run = match named {
        "last" => runs.active().ok_or_else(|| {
            newest_left(runs, all).map_or(CliError::NoRunGoesOn, CliError::RunWasLeft)
        })?,
        number => {
            let run = RunId(number.trim_start_matches('#').to_owned());
            if !all.contains(&run) {
                return Err(CliError::NoSuchRun(named.to_owned()));
            }
            run
        }
    };
    match runs.stands(&run) {
        RunStands::Alive { process, is_stopped } => {
            Ok((run, ListeningProcess { number: process, is_stopped }))
        }
        RunStands::Left => Err(CliError::RunWasLeft(run)),
        RunStands::Ended => Err(CliError::RunIsOver(run)),
    }
}

/// Returns the newest run that has begun, if it was left.
fn newest_left(runs: &Runs, mut all: Vec<RunId>) -> Option<RunId> {
    all.retain(|run| !runs.is_reserved(run));
    all.pop().filter(|run| runs.stands(run) == RunStands::Left)
}

/// Says that a run was given an order that its process does not hear yet.
fn said_to_stopped(run: &RunId, process: u32) -> String {
    format!(
        "run {run} was given the order, but process {process}, which carries the run out, is stopped: \
         `kill -CONT {process}` lets it go on, and then it takes the order"
    )
}

/// Waits until the run has taken every order, for two seconds at most, and returns those that it refused,
/// each with why. `events` returns what was told since the orders were given.
fn refusals(words: &[Word], mut events: impl FnMut() -> Vec<RunEvent>) -> Vec<(RunOrder, String)> {
    let orders = words.iter().filter_map(|word| match word {
        Word::Order(order) => Some(order),
        Word::Yes | Word::No | Word::Cancel => None,
    });
    let mut open: Vec<&RunOrder> = orders.collect();
    let mut refused = Vec::new();
    let (began, mut seen) = (Instant::now(), 0);
    while !open.is_empty() && began.elapsed() < ANSWER_LIMIT {
        let told = events();
        for event in told.iter().skip(seen) {
            let RunWhat::Rollout(RolloutNews::Order { order, refused: why }) = &event.what else {
                continue;
            };
            let Some(place) = open.iter().position(|asked| *asked == order) else { continue };
            open.remove(place);
            refused.extend(why.as_ref().map(|why| (order.clone(), why.clone())));
        }
        seen = told.len();
        if !open.is_empty() {
            std::thread::sleep(LOOK_EVERY);
        }
    }
    refused
}

/// Asks for a yes; anything else is no.
fn asked_yes() -> bool {
    print!("do that? [y/N] ");
    // A terminal that takes no more text answers no.
    let _ = std::io::stdout().flush();
    let mut line = String::new();
    let _ = std::io::stdin().lock().read_line(&mut line);
    matches!(line.trim().to_lowercase().as_str(), "y" | "yes")
}

/// How the hosts of a run stand, as far as its folder tells.
#[derive(Debug, Default)]
struct Stand {
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
}

impl Stand {
    fn of(events: &[RunEvent]) -> Self {
        let mut stand = Self::default();
        for event in events {
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

    /// Says what is wrong with a word before it is said; the run itself judges the rest.
    fn mistake(&self, run: &RunId, word: &Word) -> Option<String> {
        match word {
            Word::Order(RunOrder::Skip { host } | RunOrder::Retry { host }) => {
                let known = self.hosts.is_empty() || self.hosts.contains(host);
                (!known).then(|| {
                    format!("the run has no host {host:?}; it has {}", self.hosts.join(", "))
                })
            }
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
    fn preview(&self, word: &Word) -> Option<String> {
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
                RunOrder::Accept => {
                    "the check that could not be made counts as passed, and the next wave begins"
                        .to_owned()
                }
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
    use crate::fleet::{Code, Finding, Goal, HostResult, Outcome, Plan, Strategy, Subject};
    use crate::record::RunWriter;
    use jiff::Timestamp;

    #[test]
    fn an_order_that_the_run_refuses_is_told() {
        let event = |order: &RunOrder, refused: Option<&str>| RunEvent {
            run: RunId("7".to_owned()),
            at: Timestamp::UNIX_EPOCH,
            what: RunWhat::Rollout(RolloutNews::Order {
                order: order.clone(),
                refused: refused.map(str::to_owned),
            }),
        };
        let skip = RunOrder::Skip { host: "razer".to_owned() };
        // The answers come one after the other; somebody else's order is none of them.
        let all = [
            event(&RunOrder::Resume, Some("the run is not paused")),
            event(&skip, None),
            event(&RunOrder::Pause, Some("the run is paused already")),
        ];
        let mut looks = 0;
        let told =
            refusals(&[Word::Order(RunOrder::Pause), Word::Order(skip), Word::Cancel], || {
                looks += 1;
                all[..all.len().min(looks)].to_vec()
            });
        assert_eq!(told, [(RunOrder::Pause, "the run is paused already".to_owned())]);
        assert_eq!(looks, 3);
    }

    #[test]
    fn a_run_that_was_left_is_said_to_go_on_with_reattach_and_one_that_ended_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let said = |named: &str| listening(&runs, named).map_err(|error| error.to_string());
        assert!(said("last").unwrap_err().starts_with("no run is going on"));
        let mut writer = runs.begin(None).unwrap();
        let run = writer.run().clone();
        let process = ListeningProcess { number: std::process::id(), is_stopped: false };
        assert_eq!(said("last"), Ok((run.clone(), process)));
        assert_eq!(said("#1"), Ok((run.clone(), process)));
        let tell = |writer: &mut RunWriter, what| {
            writer.write(&RunEvent { run: run.clone(), at: Timestamp::UNIX_EPOCH, what });
        };
        tell(&mut writer, RunWhat::begin(vec!["a".into()], "x".into()));
        writer.flush().unwrap();
        drop(writer);
        // As if its process had been killed.
        let gone = || std::fs::write(runs.folder(&run).join("process"), "1 1\n").unwrap();
        gone();
        for named in ["1", "last"] {
            let left = said(named).unwrap_err();
            assert!(left.contains("its nixdash ended before the run did"), "{named}: {left}");
            assert!(left.contains("`nixdash reattach 1` goes on"), "{named}: {left}");
        }
        let mut writer = runs.reopen(&run).unwrap();
        let (outcomes, findings) = (BTreeMap::new(), Vec::new());
        tell(&mut writer, RunWhat::Summary { outcomes, duration_ms: 1, findings });
        writer.finish();
        gone();
        assert!(said("1").unwrap_err().contains("has ended"));
        assert!(said("last").unwrap_err().starts_with("no run is going on"));
        assert!(said("7").unwrap_err().contains("there is no run"));
    }

    #[test]
    fn an_order_to_a_stopped_process_is_told_with_what_lets_it_go_on() {
        let said = said_to_stopped(&RunId("7".to_owned()), 4242);
        assert!(said.contains("process 4242") && said.contains("`kill -CONT 4242`"), "{said}");
    }

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
        let nobody = Word::Order(RunOrder::Skip { host: "c".to_owned() });
        assert!(stand.mistake(&RunId("7".to_owned()), &nobody).unwrap().contains("it has a, b"));
    }
}
