//! `nixdash say`: says something to a run that goes on, as the keys of the dashboard do.

mod stand;

use crate::cli::{CliError, EXIT_FAILED, EXIT_USAGE, complete, load, selectors};
use crate::fleet::{
    Fleet, RollbackScope, RolloutNews, RunEvent, RunId, RunOrder, RunWhat, select_among,
};
use crate::record::{RunStands, Runs, Word, state_home};
use clap::{Args, Subcommand, ValueEnum};
use stand::Stand;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long a run may take until it has taken an order.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// How often its folder is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Arguments of `nixdash say`. The usage names every word: it is what stands below one that is not known.
#[derive(Debug, Args)]
#[command(
    override_usage = "nixdash say [OPTIONS] <RUN> <pause|resume|accept|skip|retry|rollback|yes|no|cancel>"
)]
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
        /// Hosts of the run: names, globs, @tag, or all; - reads them from standard input
        #[arg(required = true, value_name = "SELECTOR", add = complete::selectors())]
        hosts: Vec<String>,
    },
    /// Tries hosts again that did not get their system, or wait for a decision; nothing is built twice
    Retry {
        /// Hosts of the run: names, globs, @tag, or all; - reads them from standard input
        #[arg(required = true, value_name = "SELECTOR", add = complete::selectors())]
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
    /// Returns what is typed to name hosts.
    fn selectors(&self) -> &[String] {
        match self {
            Self::Skip { hosts } | Self::Retry { hosts } => hosts,
            Self::Pause
            | Self::Resume
            | Self::Accept
            | Self::Rollback { .. }
            | Self::Yes
            | Self::No
            | Self::Cancel => &[],
        }
    }

    /// Returns what is written into the run's folder, where these hosts are named.
    fn words(&self, hosts: &[String]) -> Vec<Word> {
        let each = |order: fn(String) -> RunOrder| {
            hosts.iter().map(|host| Word::Order(order(host.clone()))).collect()
        };
        match self {
            Self::Pause => vec![Word::Order(RunOrder::Pause)],
            Self::Resume => vec![Word::Order(RunOrder::Resume)],
            Self::Accept => vec![Word::Order(RunOrder::Accept)],
            Self::Skip { .. } => each(|host| RunOrder::Skip { host }),
            Self::Retry { .. } => each(|host| RunOrder::Retry { host }),
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
pub(super) fn run(hosts_file: Option<&Path>, args: &SayArgs) -> Result<ExitCode, CliError> {
    let said = say(hosts_file, args);
    said.map_err(|error| selectors::after_reading(error, args.words.selectors()))
}

fn say(hosts_file: Option<&Path>, args: &SayArgs) -> Result<ExitCode, CliError> {
    let runs = Runs::open(&state_home())?;
    let (run, process) = listening(&runs, &args.run)?;
    let stand = Stand::of(&runs.decided(&run));
    let hosts = match args.words.selectors() {
        [] => Vec::new(),
        // Only the tags are taken from hosts.toml; a run goes on without that file.
        typed => chosen(&stand, load::load(hosts_file).ok().as_ref(), &selectors::read(typed)?)?,
    };
    let words = args.words.words(&hosts);
    if let Some(mistake) = words.iter().find_map(|word| stand.mistake(&run, word)) {
        return Err(CliError::NotSaid(mistake));
    }
    let preview: Vec<String> = words.iter().filter_map(|word| stand.preview(word)).collect();
    if !preview.is_empty() && !args.yes {
        if !std::io::stdin().is_terminal() {
            return Err(CliError::NobodyToAsk);
        }
        for line in &preview {
            writeln!(io::stdout(), "{line}")?;
        }
        if !asked_yes() {
            writeln!(io::stdout(), "run {run} was given no order")?;
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    }
    let before = runs.decided(&run).len();
    for word in &words {
        runs.say(&run, word)?;
    }
    if let ListeningProcess { number, is_stopped: true } = process {
        writeln!(io::stdout(), "{}", said_to_stopped(&run, number))?;
        return Ok(ExitCode::SUCCESS);
    }
    let refused = refusals(&words, || runs.decided(&run).split_off(before));
    for (order, why) in &refused {
        tell_aside!("nixdash: run {run} refused the order ({order}): {why}");
    }
    if !refused.is_empty() {
        return Ok(ExitCode::from(EXIT_FAILED));
    }
    writeln!(
        io::stdout(),
        "run {run} was given the order; `nixdash logs {run}` shows what it does"
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the hosts of a run that are meant, in its order; the fleet has their tags.
fn chosen(
    stand: &Stand,
    fleet: Option<&Fleet>,
    selectors: &[String],
) -> Result<Vec<String>, CliError> {
    // Of a run that has not begun to tell anything the run itself judges names.
    if stand.hosts().is_empty() {
        return Ok(selectors.to_vec());
    }
    let tags =
        |name: &str| fleet.and_then(|fleet| fleet.host(name)).map_or(&[][..], |host| &host.tags);
    let hosts: Vec<(&str, &[String])> =
        stand.hosts().iter().map(|name| (name.as_str(), tags(name))).collect();
    Ok(select_among("run", &hosts, selectors)?)
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
    let mut out = io::stdout();
    // A terminal that takes no more text answers no.
    let _ = write!(out, "do that? [y/N] ").and_then(|()| out.flush());
    let mut line = String::new();
    let _ = std::io::stdin().lock().read_line(&mut line);
    matches!(line.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RunWriter;
    use clap::{CommandFactory, Parser};
    use jiff::Timestamp;
    use std::collections::BTreeMap;

    #[test]
    fn a_word_that_is_not_known_is_answered_with_those_that_are() {
        let typed = ["nixdash", "say", "last", "bogus"];
        let error = crate::cli::Cli::try_parse_from(typed).unwrap_err().to_string();
        let cli = crate::cli::Cli::command();
        let say = cli.find_subcommand("say").unwrap();
        let words =
            say.get_subcommands().map(clap::Command::get_name).filter(|name| *name != "help");
        for word in words {
            assert!(error.contains(word), "{word}: {error}");
        }
    }

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
    fn hosts_of_the_run_are_named_by_globs_and_tags_too() {
        let text = "[hosts.samsung]\ntags = [\"laptop\"]\n[hosts.p620]\n[hosts.razer]\ntags = [\"laptop\"]\n";
        let fleet = crate::config::parse(text, Path::new("hosts.toml"), None).unwrap();
        let hosts = ["razer", "p620", "samsung", "p510"].map(str::to_owned).to_vec();
        let begin = RunWhat::begin(hosts, "switch".to_owned());
        let run = RunId("7".to_owned());
        let stand = Stand::of(&[RunEvent { run, at: Timestamp::UNIX_EPOCH, what: begin }]);
        let named = |fleet: Option<&Fleet>, typed: &[&str]| {
            let typed: Vec<String> = typed.iter().map(|&one| one.to_owned()).collect();
            chosen(&stand, fleet, &typed).map_err(|error| error.to_string())
        };
        let names = |all: &[&str]| Ok(all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>());
        assert_eq!(named(Some(&fleet), &["@laptop"]), names(&["razer", "samsung"]));
        assert_eq!(named(None, &["p*"]), names(&["p620", "p510"]));
        assert_eq!(named(None, &["all"]).map(|all| all.len()), Ok(4));
        let nobody = named(Some(&fleet), &["heron"]).unwrap_err();
        assert!(nobody.ends_with("the run has: razer, p620, samsung, p510"), "{nobody}");
        let nobody = named(None, &["@laptop"]).unwrap_err();
        assert!(nobody.contains("no host of the run has the tag \"laptop\""), "{nobody}");
    }
}
