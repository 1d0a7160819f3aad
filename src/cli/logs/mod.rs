//! `nixdash logs`: lists the runs with their logs, or prints the log of one.
//!
//! A log is read line by line and never held as a whole, so that a long one takes no more memory than a
//! short one, and its first line is there at once. The fleet's file is not needed: what is printed is
//! what the runs' folders have.

mod filter;
mod list;
mod merge;
mod place;
mod printer;
mod screen;
mod since;

pub(super) use merge::{HostLog, MergedLogs};
pub(super) use place::where_log_is;
pub(super) use screen::LogScreen;
#[cfg(test)]
pub(super) use screen::look_once;

use crate::cli::chosen_run::ChosenRun;
use crate::cli::{CliError, EXIT_FAILED, complete};
use crate::dash::{Depth, depth_from};
use crate::fleet::{Phase, RunId, RunWhat, first_fault, printable_text};
use crate::record::{LogBlock, LogPattern, RecordError, Runs, output_of, state_home};
use clap::Args;
use filter::{DerivationFilter, LineFilter};
use jiff::Timestamp;
use merge::SeenLine;
use printer::{LinePrinter, Style};
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

/// How often a log that is followed is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// After so many lines it is looked whether those that were found wait too long for others.
const FLUSH_EVERY: u64 = 1024;

/// How many of its last lines are printed of a host that failed and said nothing about it.
const LAST_LINES: usize = 10;

/// Arguments of `nixdash logs`.
#[derive(Debug, Args)]
pub(super) struct LogsArgs {
    /// The run's number, or last [default: lists the runs]
    #[arg(value_name = "RUN", add = complete::runs())]
    run: Option<String>,
    /// Hosts of the run [default: all of them, merged by time]
    #[arg(value_name = "HOST", add = complete::hosts_of_run())]
    hosts: Vec<String>,
    /// Goes on until the run ends, as tail -f does
    #[arg(long, short, requires = "run")]
    follow: bool,
    /// Lines about a derivation: the name of its package, or a part of the name of its .drv file
    #[arg(long, value_name = "NAME", requires = "run")]
    derivation: Option<String>,
    /// What went wrong: error messages, and why hosts failed
    #[arg(long, requires = "run")]
    errors: bool,
    /// Lines that match a regular expression; without a capital letter it matches both cases
    #[arg(long, value_name = "REGEX", value_parser = LogPattern::regex, requires = "run")]
    grep: Option<LogPattern>,
    /// Lines of these phases
    #[arg(long, value_name = "PHASE", value_delimiter = ',', value_parser = phases(), requires = "run")]
    phase: Vec<Phase>,
    /// Lines since then: 10m, 12:04, "2026-11-21 12:04" or 2026-11-21T12:04:22Z
    #[arg(long, value_name = "TIME", value_parser = since::since, requires = "run")]
    since: Option<Timestamp>,
    /// At most so many runs in the list, the newest [default: 20]
    #[arg(long, value_name = "N", conflicts_with = "run")]
    limit: Option<usize>,
    /// Prints one JSON object per line, and at the end how long each derivation took; of the list one document
    #[arg(long)]
    json: bool,
}

/// Reads the name of a phase.
fn phases() -> impl clap::builder::TypedValueParser<Value = Phase> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    PossibleValuesParser::new(Phase::ALL.map(Phase::word))
        .try_map(|word| Phase::of_word(&word).ok_or("there is no such phase"))
}

impl LogsArgs {
    /// Returns which lines are wanted.
    fn filter(&self) -> LineFilter {
        LineFilter {
            since: self.since,
            phases: self.phase.clone(),
            derivation: self.derivation.as_deref().map(DerivationFilter::new),
            grep: self.grep.clone(),
            errors: self.errors,
        }
    }
}

/// Runs `nixdash logs`.
pub(super) fn run(args: &LogsArgs) -> Result<ExitCode, CliError> {
    let runs = Runs::open(&state_home())?;
    let Some(run) = &args.run else {
        return list::run(&runs, args.limit.unwrap_or(list::LIMIT), args.json);
    };
    let chosen = ChosenRun::find(&runs, run, &args.hosts)?;
    // Not what std buffers by lines: that would look through every piece once more.
    let out = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let style = if args.json {
        Style::Json
    } else {
        Style::Text { names: chosen.name_width(), has_colours: has_colours() }
    };
    let printer = LinePrinter::new(&chosen.run, style, out);
    match LogPrinting::new(&runs, &chosen, args.filter(), printer).run(args.follow) {
        // Whoever read has seen enough, as in `nixdash logs 41 | head`.
        Err(error) if error.is_closed_pipe() => Ok(ExitCode::SUCCESS),
        result => result,
    }
}

/// Returns whether hosts' names and lines have colours: on a terminal that has some, unless `NO_COLOR` is set.
fn has_colours() -> bool {
    std::io::stdout().is_terminal() && depth_from(|name| std::env::var(name).ok()) != Depth::None
}

/// How a run stands for somebody who reads its logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RunEnd {
    /// Lines may be added.
    GoesOn,
    /// It has ended.
    Ended,
    /// Its process is gone, and it has no end.
    Gone,
}

impl RunEnd {
    fn of(runs: &Runs, run: &RunId) -> Self {
        match (runs.has_ended(run), runs.is_alive(run)) {
            (true, _) => Self::Ended,
            (false, true) => Self::GoesOn,
            (false, false) => Self::Gone,
        }
    }
}

/// Prints the logs of one run.
struct LogPrinting<'a, W: Write> {
    runs: &'a Runs,
    chosen: &'a ChosenRun,
    logs: MergedLogs,
    /// Which of the logs had a line that was printed.
    spoke: Vec<bool>,
    filter: LineFilter,
    printer: LinePrinter<'a, W>,
    /// How many lines were read.
    read: u64,
}

impl<'a, W: Write> LogPrinting<'a, W> {
    fn new(
        runs: &'a Runs,
        chosen: &'a ChosenRun,
        filter: LineFilter,
        printer: LinePrinter<'a, W>,
    ) -> Self {
        let (logs, spoke) = (MergedLogs::default(), Vec::new());
        Self { runs, chosen, logs, spoke, filter, printer, read: 0 }
    }

    /// Prints what is there, and with `follows` what is added until the run ends.
    fn run(mut self, follows: bool) -> Result<ExitCode, CliError> {
        loop {
            // Asked before the logs are read: what was written before the end is read, too.
            let end = RunEnd::of(self.runs, &self.chosen.run);
            self.add_logs(end)?;
            self.logs.look()?;
            self.print_found()?;
            if end != RunEnd::GoesOn {
                // Nobody will end these.
                self.logs.look_at_torn();
                self.print_found()?;
            }
            self.printer.flush()?;
            if end != RunEnd::GoesOn || !follows {
                return self.end(end, follows);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Adds the logs that are not read yet: while a run goes on, hosts may come to be known.
    fn add_logs(&mut self, end: RunEnd) -> Result<(), RecordError> {
        if self.logs.len() > 0 && (end != RunEnd::GoesOn || self.chosen.has_all_hosts) {
            return Ok(());
        }
        for host in self.chosen.hosts_now(self.runs) {
            if self.logs.place_of(&host).is_some() {
                continue;
            }
            let mut lines = self.runs.log_lines(&self.chosen.run, &host);
            if let Some(since) = self.filter.since {
                lines.skip_to(since)?;
            }
            self.look_for_package(&host)?;
            if let Some(pattern) = &self.filter.grep {
                lines.skip_unlike(pattern);
            }
            if let Some(is_needed) = self.filter.blocks() {
                lines.skip_blocks(is_needed);
            }
            self.logs.add(HostLog::new(host, lines));
            self.spoke.push(false);
        }
        Ok(())
    }

    /// Looks whether a package has exactly the name of the derivation that is asked for.
    fn look_for_package(&mut self, host: &str) -> Result<(), RecordError> {
        let Some(derivation) = &mut self.filter.derivation else { return Ok(()) };
        let sign = format!(" {}>", derivation.asked());
        let finder = memchr::memmem::Finder::new(&sign);
        let mut lines = self.runs.log_lines(&self.chosen.run, host);
        let has_it = |block: &LogBlock| {
            block.packages.as_ref().is_none_or(|packages| packages.contains(derivation.asked()))
        };
        lines.skip_blocks(has_it);
        let mut log = MergedLogs::default();
        log.add(HostLog::new(host.to_owned(), lines));
        log.look()?;
        while let Some((_, log)) = log.next()? {
            let is_its_output = |text: &str| {
                output_of(text).is_some_and(|(package, _)| package == derivation.asked())
            };
            if finder.find(log.line()).is_some()
                && is_its_output(&String::from_utf8_lossy(log.text()))
            {
                derivation.is_of_a_package();
                break;
            }
        }
        Ok(())
    }

    /// Prints the lines that the logs have now and that are wanted.
    fn print_found(&mut self) -> Result<(), CliError> {
        while let Some((place, log)) = self.logs.next()? {
            self.read += 1;
            // Between two lines that may match, many may have been passed over.
            if self.filter.grep.is_some() || self.read.is_multiple_of(FLUSH_EVERY) {
                self.printer.flush_late()?;
            }
            if !self.filter.takes_when(log.at, log.phase) {
                continue;
            }
            let text = String::from_utf8_lossy(log.text());
            let text = printable_text(&text);
            if self.filter.takes_text(log.phase, &text, log.build) {
                let colours = self.printer.has_colours().then(|| log.colours(&text));
                self.printer.line(place, log.seen(), &text, &colours.unwrap_or_default())?;
                self.spoke[place] = true;
            }
        }
        Ok(())
    }

    /// Prints what belongs behind the logs, and returns the exit code.
    fn end(mut self, end: RunEnd, follows: bool) -> Result<ExitCode, CliError> {
        let run = &self.chosen.run;
        if self.filter.errors {
            self.print_results()?;
        }
        if self.filter.is_empty() {
            self.printer.builds(&self.chosen.builds(self.runs))?;
        }
        self.printer.flush()?;
        if end == RunEnd::Gone && follows {
            say(&format!(
                "the process of run {run} ended before the run did; `nixdash reattach {run}` goes on \
                 with it"
            ));
            return Ok(ExitCode::from(EXIT_FAILED));
        }
        if let Some(removed) = self.runs.removed_logs(run) {
            say(&removed.sentence(run));
        } else if self.printer.printed() == 0 {
            let sizes = self.runs.log_sizes(run).into_iter();
            let mut hosts = sizes.filter(|(_, size)| *size > 0).map(|(host, _)| host);
            say(
                &if hosts.any(|host| self.logs.place_of(&host).is_some()) && !self.filter.is_empty()
                {
                    format!(
                        "run {run} has no log line that fits these options; leave one of them out"
                    )
                } else {
                    format!("run {run} has no log lines")
                },
            );
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Prints why hosts failed; of one whose log does not say it, its last lines, too.
    fn print_results(&mut self) -> Result<(), CliError> {
        for event in self.chosen.results(self.runs) {
            let RunWhat::Result { host, result } = &event.what else { continue };
            // Of a host that was stopped, or went back with its run, the result says it all.
            if result.findings.is_empty() || first_fault(&result.findings).is_some() {
                self.print_last_lines(host)?;
            }
            self.printer.result(&event)?;
        }
        Ok(())
    }

    /// Prints the last lines of a host of which no line was printed.
    fn print_last_lines(&mut self, host: &str) -> Result<(), CliError> {
        let Some(place) = self.logs.place_of(host).filter(|place| !self.spoke[*place]) else {
            return Ok(());
        };
        let newest = self.runs.read_log(&self.chosen.run, host, LAST_LINES).look();
        for line in newest.map(|newest| newest.lines).unwrap_or_default() {
            let (at, phase) = (line.at, line.phase);
            if self.filter.takes_when(at, phase) {
                let head = at.map_or(String::new(), |_| line.head());
                let seen = SeenLine { host, at, phase, head: head.as_bytes() };
                self.printer.line(place, seen, &line.text, &line.colours)?;
            }
        }
        Ok(())
    }
}

/// Says something to the person; standard output has nothing but lines.
fn say(text: &str) {
    // It may be closed.
    drop(writeln!(std::io::stderr(), "nixdash: {text}"));
}
