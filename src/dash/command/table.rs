//! The rows of the table, in the order of the footer: those of the views, then those of the panes
//! that lie over them.

mod first_steps;
mod lists;
mod logs;
mod outside;
mod panes;
mod selected;

use crate::dash::command::{Command, CommandEntry, Context};
use crate::dash::key::Key;
use crate::dash::model::Screen;
use crossterm::event::KeyCode;

use Context as C;
use Key::{Char, Code, Ctrl};

const FLEET: Context = C::View(Screen::Fleet);
const CACHES: Context = C::View(Screen::Caches);
const DEPLOY: Context = C::View(Screen::Deploy);
const LOGS: Context = C::View(Screen::Logs);
const HISTORY: Context = C::View(Screen::History);
const VIEWS: &[Context] = &[FLEET, CACHES, DEPLOY, LOGS, HISTORY];
const MOVES: &[Context] = &[
    FLEET,
    CACHES,
    DEPLOY,
    LOGS,
    HISTORY,
    C::Help,
    C::Themes,
    C::FirstSteps,
    C::Start,
    C::Plan,
    C::OldPlan,
    C::Commands,
    C::Generations,
    C::Units,
    C::Journal,
    C::Difference,
    C::OverTime,
    C::Past,
    C::OwnLog,
];

/// Wherever the terminal belongs to nixdash: the views and all that lies over them. A frozen screen has keys
/// of its own.
const EVERYWHERE: &[Context] = &[
    FLEET,
    CACHES,
    DEPLOY,
    LOGS,
    HISTORY,
    C::Prompt,
    C::FindLine,
    C::SaveLog,
    C::Help,
    C::FirstSteps,
    C::Palette,
    C::Themes,
    C::Start,
    C::TypeName,
    C::Password,
    C::HostKey,
    C::TypeHostKey,
    C::Plan,
    C::OldPlan,
    C::Commands,
    C::Cancel,
    C::Order,
    C::Silence,
    C::Look,
    C::Shell,
    C::Units,
    C::UnitFilter,
    C::Journal,
    C::Generations,
    C::Difference,
    C::OverTime,
    C::Past,
    C::Quit,
    C::OwnLog,
];

const fn entry(
    command: Command,
    keys: &'static [Key],
    contexts: &'static [Context],
    label: Option<&'static str>,
    name: &'static str,
    about: &'static str,
) -> CommandEntry {
    CommandEntry { command, name, about, keys, label, contexts, destructive: false }
}

const fn asks(entry: CommandEntry) -> CommandEntry {
    CommandEntry { destructive: true, ..entry }
}

/// Every command, in the order of the footer.
pub const COMMANDS: &[CommandEntry] = &{
    const PARTS: [&[CommandEntry]; 10] = [
        logs::ROWS,
        first_steps::ROWS,
        VIEW_ROWS,
        outside::HOST_ROWS,
        BATCH_ROWS,
        selected::ROWS,
        outside::RUN_ROWS,
        MORE_ROWS,
        lists::ROWS,
        panes::ROWS,
    ];
    const COUNT: usize = {
        let (mut count, mut part) = (0, 0);
        while part < PARTS.len() {
            count += PARTS[part].len();
            part += 1;
        }
        count
    };
    let mut all = [VIEW_ROWS[0]; COUNT];
    let (mut part, mut row, mut at) = (0, 0, 0);
    while at < all.len() {
        if row == PARTS[part].len() {
            (part, row) = (part + 1, 0);
        } else {
            all[at] = PARTS[part][row];
            (row, at) = (row + 1, at + 1);
        }
    }
    all
};

const VIEW_ROWS: &[CommandEntry] = &[
    entry(Command::Up, &[Code(KeyCode::Up), Char('k')], MOVES, None, "up", "move or scroll up"),
    entry(
        Command::Down,
        &[Code(KeyCode::Down), Char('j')],
        MOVES,
        None,
        "down",
        "move or scroll down",
    ),
    entry(
        Command::NextHost,
        &[Code(KeyCode::Tab)],
        &[DEPLOY, LOGS],
        Some("host"),
        "next-host",
        "select the next host of the run",
    ),
    entry(
        Command::PreviousHost,
        &[Code(KeyCode::BackTab)],
        &[DEPLOY, LOGS],
        None,
        "previous-host",
        "select the previous host of the run",
    ),
    entry(
        Command::Open,
        &[Code(KeyCode::Enter)],
        &[FLEET],
        Some("details"),
        "open",
        "show all details of the selected host; ↑↓ scroll there, esc goes back",
    ),
    asks(entry(
        Command::Deploy,
        &[Char('d')],
        &[FLEET, HISTORY],
        Some("deploy"),
        "deploy",
        "deploy the marked hosts, or the selected one; asks before anything changes",
    )),
    entry(
        Command::NextProblem,
        &[Char('p')],
        &[FLEET],
        Some("next problem"),
        "next-problem",
        "select the next host that has a problem or is offline",
    ),
    entry(
        Command::Log,
        &[Char('l')],
        &[FLEET, HISTORY],
        Some("log"),
        "log",
        "show the log of the selected host's newest run",
    ),
];

const BATCH_ROWS: &[CommandEntry] = &[
    entry(
        Command::Build,
        &[Char('b')],
        &[FLEET],
        Some("build"),
        "build",
        "build the systems of the marked hosts, or of the selected one",
    ),
    entry(
        Command::Mark,
        &[Char(' ')],
        &[FLEET],
        Some("mark"),
        "mark",
        "mark the selected host, or take its mark away",
    ),
    entry(
        Command::MarkAll,
        &[Char('A')],
        &[FLEET],
        None,
        "mark-all",
        "mark every host that is shown, or none",
    ),
];

const MORE_ROWS: &[CommandEntry] = &[
    entry(
        Command::Plan,
        &[Char('o')],
        VIEWS,
        Some("plan"),
        "plan",
        "show the plan of the run; answers it when it waits, from every view",
    ),
    entry(
        Command::Commands,
        &[Char('C')],
        &[DEPLOY],
        Some("commands"),
        "commands",
        "show what is run on hosts for the selected host, with its arguments",
    ),
    entry(
        Command::LogFile,
        &[Char('O')],
        &[LOGS],
        None,
        "log-file",
        "say where the complete log is on disk",
    ),
    entry(
        Command::CopyFix,
        &[Char('y')],
        &[FLEET, CACHES],
        Some("copy fix"),
        "copy-fix",
        "copy what to do about the worst problem of the selected row",
    ),
    entry(
        Command::Filter,
        &[Char('/')],
        &[FLEET, CACHES, DEPLOY, HISTORY],
        Some("filter"),
        "filter",
        "show only the rows that have every word that is typed, and no word that is typed after a !",
    ),
    entry(
        Command::Sort,
        &[Char('s')],
        &[FLEET, CACHES, HISTORY],
        Some("sort"),
        "sort",
        "sort by the next column: by what is wrong first, then by each column that is shown; at the end \
         as in hosts.toml again",
    ),
    entry(
        Command::TurnSort,
        &[Char('S')],
        &[FLEET, CACHES, HISTORY],
        None,
        "turn-sort",
        "reverse the order of the rows; unknown values stay last",
    ),
    entry(
        Command::Zoom,
        &[Char('z')],
        &[DEPLOY],
        Some("zoom"),
        "zoom",
        "give the log the whole screen, or take it back",
    ),
    entry(
        Command::Zoom,
        &[Char('z')],
        &[FLEET, CACHES, HISTORY],
        None,
        "toggle-details",
        "give the part below the list the whole screen, or show both again",
    ),
    entry(
        Command::LongerList,
        &[Char('+')],
        &[FLEET, CACHES, DEPLOY, HISTORY],
        None,
        "longer-list",
        "give the list more rows and the part below it fewer; so does dragging the border",
    ),
    entry(
        Command::ShorterList,
        &[Char('-')],
        &[FLEET, CACHES, DEPLOY, HISTORY],
        None,
        "shorter-list",
        "give the list fewer rows and the part below it more; so does dragging the border",
    ),
    asks(entry(
        Command::HostKey,
        &[Char('K')],
        &[FLEET],
        Some("host key"),
        "host-key",
        "show the ssh key of the host, without a login; asks before it accepts one",
    )),
    asks(entry(
        Command::LookClosely,
        &[Char('D')],
        &[CACHES],
        Some("measure garbage"),
        "dead-paths",
        "measure what hard links save in hosts' stores and how much garbage is there; takes the \
         collector's lock, so it asks first",
    )),
    entry(
        Command::Verify,
        &[Char('V')],
        &[CACHES],
        Some("verify"),
        "verify",
        "fetch a nar of the selected tier whole, unpack it and compare its hash: that of a signed path \
         of about 1 MB",
    ),
    entry(
        Command::OverTime,
        &[Char('I')],
        &[FLEET, CACHES],
        Some("over time"),
        "over-time",
        "show the figures of the selected host or tier over time, from 10 minutes to 90 days",
    ),
    entry(
        Command::Events,
        &[Char('E')],
        &[FLEET, CACHES],
        Some("events"),
        "events",
        "show what happened to all hosts and tiers, or to the one whose details are shown",
    ),
    entry(
        Command::Refresh,
        &[Char('r')],
        VIEWS,
        Some("refresh"),
        "refresh",
        "measure the marked hosts, or the selected one, now; in Caches, everything",
    ),
    entry(
        Command::RefreshAll,
        &[Ctrl('r')],
        VIEWS,
        None,
        "refresh-all",
        "measure every host and every tier now",
    ),
    entry(
        Command::Back,
        &[Code(KeyCode::Esc)],
        VIEWS,
        Some("back"),
        "back",
        "go back: details, zoom, filter, marks, then to the fleet; a run goes on",
    ),
    entry(Command::PageUp, &[Code(KeyCode::PageUp), Ctrl('u')], MOVES, None, "page-up", "page up"),
    entry(
        Command::PageDown,
        &[Code(KeyCode::PageDown), Ctrl('d')],
        MOVES,
        None,
        "page-down",
        "page down",
    ),
    entry(
        Command::Top,
        &[Char('g'), Code(KeyCode::Home)],
        MOVES,
        None,
        "top",
        "go to the first line",
    ),
    entry(
        Command::Bottom,
        &[Char('G'), Code(KeyCode::End)],
        MOVES,
        None,
        "bottom",
        "go to the last line",
    ),
    entry(Command::Show(Screen::Fleet), &[Char('1')], VIEWS, None, "fleet", "show the hosts"),
    entry(Command::Show(Screen::Caches), &[Char('2')], VIEWS, None, "caches", "show the tiers"),
    entry(Command::Show(Screen::Deploy), &[Char('3')], VIEWS, None, "run", "show the run"),
    entry(Command::Show(Screen::Logs), &[Char('4')], VIEWS, None, "logs", "show a host's log"),
    entry(Command::Show(Screen::History), &[Char('5')], VIEWS, None, "history", "show the runs"),
    entry(
        Command::PreviousView,
        &[Code(KeyCode::Left)],
        VIEWS,
        None,
        "previous-view",
        "show the view to the left",
    ),
    entry(
        Command::NextView,
        &[Code(KeyCode::Right)],
        VIEWS,
        None,
        "next-view",
        "show the view to the right",
    ),
    entry(Command::OwnLog, &[Char('L')], VIEWS, None, "own-log", "show what nixdash itself logs"),
    entry(
        Command::Palette,
        &[Char(':')],
        VIEWS,
        Some("palette"),
        "palette",
        "find a command, host, cache, run or setting by its name",
    ),
    entry(
        Command::Theme,
        &[],
        VIEWS,
        None,
        "theme",
        "choose how the dashboard looks; each theme is shown while it is selected",
    ),
    entry(
        Command::Help,
        &[Char('?')],
        VIEWS,
        Some("help"),
        "help",
        "show the keys of this view, and what its signs and words mean",
    ),
    entry(
        Command::Quit,
        &[Char('q'), Ctrl('c')],
        VIEWS,
        Some("quit"),
        "quit",
        "end the dashboard; asks when a run goes on",
    ),
    entry(
        Command::Freeze,
        &[Char('Z')],
        VIEWS,
        None,
        "freeze",
        "freeze the screen, to read it or to select text; measuring goes on",
    ),
    entry(
        Command::Mouse,
        &[Ctrl('t')],
        EVERYWHERE,
        None,
        "mouse",
        "leave the mouse to the terminal, to select text, or take it back",
    ),
    entry(Command::Redraw, &[Ctrl('l')], EVERYWHERE, None, "redraw", "draw the whole screen again"),
    entry(
        Command::Suspend,
        &[Ctrl('z')],
        EVERYWHERE,
        None,
        "suspend",
        "back to the shell; fg continues",
    ),
];

#[cfg(test)]
mod tests;
