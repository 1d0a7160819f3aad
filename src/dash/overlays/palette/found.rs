//! What the palette finds: commands, hosts, caches, runs and settings, by letters in their order.

use crate::dash::command::{COMMANDS, Command, CommandEntry, Context};
use crate::dash::model::{Model, Screen};
use crate::dash::obstacle::obstacle;
use crate::dash::panes::SortChoice;
use crate::dash::theme::ThemePair;
use crate::dash::words::host_mark;
use crate::dash::words::tiers::tier_mark;
use frizbee::{CaseMatching, Config, Matcher};
use std::cmp::Reverse;

/// Columns in which a state of a host is told.
const STATE: usize = 40;

/// What a row of the palette stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PaletteTarget {
    /// A command.
    Command(Command),
    /// A host, by its number.
    Host(usize),
    /// A tier, by its number.
    Tier(usize),
    /// A run, by its number among those that are known.
    Run(usize),
    /// By what the list of the view is sorted.
    Sort(SortChoice),
    /// A theme, by its name.
    Theme(&'static str),
}

impl PaletteTarget {
    /// Returns whether it is a command that moves in a list.
    fn moves(self) -> bool {
        matches!(self, Self::Command(command) if command.moves())
    }

    /// Returns what kind of thing it is, in a word.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Command(_) => "command",
            Self::Host(_) => "host",
            Self::Tier(_) => "cache",
            Self::Run(_) => "run",
            Self::Sort(_) | Self::Theme(_) => "setting",
        }
    }
}

/// A row of the palette.
#[derive(Clone, Debug)]
pub(super) struct PaletteRow {
    /// What it stands for.
    pub(super) target: PaletteTarget,
    /// What typed letters are looked for in.
    pub(super) name: String,
    /// Its key, where it has one.
    pub(super) key: String,
    /// What it does, or how it is.
    pub(super) about: String,
    /// Why it cannot be chosen now.
    pub(super) obstacle: Option<String>,
    /// Where in its name typed letters stand, in bytes.
    pub(super) matched: Vec<usize>,
}

impl PaletteRow {
    fn new(target: PaletteTarget, name: String, about: String) -> Self {
        Self { target, name, about, key: String::new(), obstacle: None, matched: Vec::new() }
    }

    /// Returns why it cannot be chosen now, else what it does.
    pub(super) fn words(&self) -> &str {
        self.obstacle.as_deref().unwrap_or(&self.about)
    }
}

/// Returns the rows that fit a typed text, the best first; of equally good ones those first that can be
/// chosen. A command fits too when what it does has the text.
pub(super) fn find(model: &Model, typed: &str) -> Vec<PaletteRow> {
    let typed = typed.trim();
    let mut rows = every(model);
    if typed.is_empty() {
        // Nobody looks here for the keys that move.
        rows.sort_by_key(|row| (row.obstacle.is_some(), row.target.moves()));
        return rows;
    }
    let mut matcher = Matcher::new(typed, &Config::default().casing(CaseMatching::Ignore));
    let lower = typed.to_lowercase();
    let mut found: Vec<_> = rows
        .into_iter()
        .filter_map(|mut row| {
            let cannot = row.obstacle.is_some();
            if let Some(fit) = matcher.match_one_indices(&row.name, 0) {
                row.matched = fit.indices.iter().map(|at| *at as usize).collect();
                let is_whole = row.name.eq_ignore_ascii_case(typed);
                return Some(((!is_whole, Reverse(fit.score), cannot), row));
            }
            let is_command = matches!(row.target, PaletteTarget::Command(_));
            let tells = is_command && row.about.to_lowercase().contains(&lower);
            tells.then_some(((true, Reverse(0), cannot), row))
        })
        .collect();
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, row)| row).collect()
}

/// Returns everything that can be found, in the order of the kinds.
fn every(model: &Model) -> Vec<PaletteRow> {
    let mut rows = commands(model);
    let world = &model.world;
    rows.extend(world.fleet.hosts.iter().zip(&world.hosts).enumerate().map(
        |(index, (host, view))| {
            let tags = host.tags.iter().flat_map(|tag| ["  @", tag]).collect::<String>();
            let about = format!("{}{tags}", host_mark(view, STATE).text());
            PaletteRow::new(PaletteTarget::Host(index), host.name.clone(), about)
        },
    ));
    rows.extend(world.fleet.tiers.iter().zip(&world.tiers).enumerate().map(
        |(index, (tier, view))| {
            let about = tier_mark(&view.facts).text();
            PaletteRow::new(PaletteTarget::Tier(index), tier.name.clone(), about)
        },
    ));
    rows.extend(world.runs.iter().enumerate().rev().map(|(index, run)| {
        let hosts: Vec<&str> = run.hosts.iter().map(|host| host.host.as_str()).collect();
        let about = format!("{}: {}", run.title, hosts.join(" "));
        PaletteRow::new(PaletteTarget::Run(index), format!("run {}", run.id), about)
    }));
    rows.extend(SortChoice::all(model).into_iter().map(|choice| {
        let name = format!("sort {}", choice.word());
        PaletteRow::new(PaletteTarget::Sort(choice), name, choice.sentence())
    }));
    rows.extend(ThemePair::names().map(|name| {
        let about = format!("keep the theme {name} for you");
        PaletteRow::new(PaletteTarget::Theme(name), format!("theme {name}"), about)
    }));
    rows
}

/// Returns the commands of all views, those of the view that is shown first.
fn commands(model: &Model) -> Vec<PaletteRow> {
    let here = Context::View(model.screen);
    let is_of_a_view = |entry: &&CommandEntry| {
        Screen::ALL.iter().any(|screen| entry.contexts.contains(&Context::View(*screen)))
    };
    let known = COMMANDS.iter().filter(|entry| entry.command != Command::Palette);
    let (own, others): (Vec<_>, Vec<_>) =
        known.filter(is_of_a_view).partition(|entry| entry.contexts.contains(&here));
    let rows = own.into_iter().chain(others).map(|entry| PaletteRow {
        obstacle: obstacle(model, entry),
        key: model.keymap.keys(entry).first().map(ToString::to_string).unwrap_or_default(),
        ..PaletteRow::new(
            PaletteTarget::Command(entry.command),
            entry.name.to_owned(),
            entry.about.to_owned(),
        )
    });
    // What is of the first minutes only is of no use to anybody later.
    let is_known = |row: &PaletteRow| match row.target {
        PaletteTarget::Command(command) => !command.is_of_first_minutes() || row.obstacle.is_none(),
        _ => true,
    };
    rows.filter(is_known).collect()
}
