//! The rows of the table, in the order of the footer.

use crate::dash::command::{Command, Context, Entry};
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
const MOVES: &[Context] =
    &[FLEET, CACHES, DEPLOY, LOGS, HISTORY, C::Help, C::Plan, C::OldPlan, C::OwnLog];
const CLOSES: &[Context] = &[C::Help, C::OldPlan, C::OwnLog, C::Start];

const fn entry(
    command: Command,
    keys: &'static [Key],
    contexts: &'static [Context],
    label: Option<&'static str>,
    name: &'static str,
    about: &'static str,
) -> Entry {
    Entry { command, name, about, keys, label, contexts, destructive: false }
}

const fn asks(entry: Entry) -> Entry {
    Entry { destructive: true, ..entry }
}

/// Every command, in the order of the footer.
pub const COMMANDS: &[Entry] = &[
    entry(Command::Up, &[Code(KeyCode::Up), Char('k')], MOVES, None, "up", "move up"),
    entry(Command::Down, &[Code(KeyCode::Down), Char('j')], MOVES, None, "down", "move down"),
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
    asks(entry(
        Command::Deploy,
        &[Char('d')],
        &[FLEET, HISTORY],
        Some("deploy"),
        "deploy",
        "deploy the marked hosts, or the selected one; asks before anything changes",
    )),
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
    entry(
        Command::Log,
        &[Char('l')],
        &[FLEET, HISTORY],
        Some("log"),
        "log",
        "show the log of the selected host's newest run",
    ),
    entry(
        Command::Open,
        &[Code(KeyCode::Enter)],
        &[FLEET],
        Some("details"),
        "open",
        "show all details of the selected host",
    ),
    entry(
        Command::Open,
        &[Code(KeyCode::Enter)],
        &[CACHES],
        Some("details"),
        "open-tier",
        "show all details of the selected tier",
    ),
    entry(
        Command::Open,
        &[Code(KeyCode::Enter)],
        &[DEPLOY],
        Some("log"),
        "whole-log",
        "show the whole log of the selected host",
    ),
    entry(
        Command::Open,
        &[Code(KeyCode::Enter)],
        &[HISTORY],
        Some("open"),
        "open-run",
        "show the selected run",
    ),
    asks(entry(
        Command::Cancel,
        &[Char('x')],
        &[DEPLOY, LOGS],
        Some("cancel"),
        "cancel",
        "stop the run; asks first",
    )),
    entry(
        Command::Plan,
        &[Char('o')],
        &[DEPLOY, FLEET],
        Some("plan"),
        "plan",
        "show the plan of the run; answers it when it waits",
    ),
    entry(
        Command::Follow,
        &[Char('f')],
        &[LOGS],
        Some("follow"),
        "follow",
        "follow the newest line, or hold still",
    ),
    entry(Command::Wrap, &[Char('w')], &[LOGS], Some("wrap"), "wrap", "wrap long lines, or cut"),
    entry(
        Command::NextMatch,
        &[Char('n')],
        &[LOGS],
        Some("next"),
        "next-match",
        "go to the next match and show its surroundings",
    ),
    entry(
        Command::PreviousMatch,
        &[Char('N')],
        &[LOGS],
        None,
        "previous-match",
        "go to the previous match and show its surroundings",
    ),
    entry(
        Command::OnlyMatching,
        &[Char('&')],
        &[LOGS],
        Some("only matches"),
        "only-matches",
        "hide the lines that do not match, or show them again",
    ),
    entry(
        Command::LogFile,
        &[Char('o')],
        &[LOGS],
        Some("file"),
        "log-file",
        "say where the complete log is on disk",
    ),
    entry(
        Command::Filter,
        &[Char('/')],
        &[FLEET, LOGS],
        Some("filter"),
        "filter",
        "filter by a text; capitals matter only when typed, a leading ! keeps what does not match",
    ),
    entry(
        Command::Zoom,
        &[Char('z')],
        &[FLEET, CACHES, DEPLOY],
        Some("zoom"),
        "zoom",
        "give the details or the log the whole screen, or take it back",
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
        &[Char('R')],
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
        "go back: filter, zoom, marks, then to the fleet; a run goes on",
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
        Command::CycleAction,
        &[Char('a')],
        &[C::Start],
        Some("action"),
        "action",
        "choose the next action: switch, boot, test, dry-activate",
    ),
    entry(
        Command::CycleStrategy,
        &[Char('s')],
        &[C::Start],
        Some("strategy"),
        "strategy",
        "choose the next strategy: as configured, via-cache, direct",
    ),
    entry(
        Command::Accept,
        &[Code(KeyCode::Enter)],
        &[C::Start],
        Some("start"),
        "start",
        "evaluate, then show the plan",
    ),
    entry(
        Command::Accept,
        &[Code(KeyCode::Enter)],
        &[C::TypeName],
        Some("accept the name"),
        "accept-name",
        "go on, when the name is right",
    ),
    entry(
        Command::Accept,
        &[Code(KeyCode::Enter)],
        &[C::Prompt],
        Some("keep"),
        "keep-filter",
        "keep the filter",
    ),
    entry(
        Command::Accept,
        &[Code(KeyCode::Enter)],
        &[C::Palette],
        Some("run"),
        "run-command",
        "do the selected command",
    ),
    entry(
        Command::Up,
        &[Code(KeyCode::Up), Ctrl('p')],
        &[C::Palette],
        None,
        "palette-up",
        "select the command above",
    ),
    entry(
        Command::Down,
        &[Code(KeyCode::Down), Ctrl('n')],
        &[C::Palette],
        Some("select"),
        "palette-down",
        "select the command below",
    ),
    entry(
        Command::OtherButton,
        &[Code(KeyCode::Tab), Code(KeyCode::Left), Code(KeyCode::Right), Code(KeyCode::BackTab)],
        &[C::Plan, C::Cancel],
        Some("other"),
        "other-button",
        "select the other button",
    ),
    entry(
        Command::Accept,
        &[Code(KeyCode::Enter)],
        &[C::Plan, C::Cancel],
        Some("choose"),
        "press",
        "press the selected button",
    ),
    asks(entry(
        Command::Yes,
        &[Char('y')],
        &[C::Plan],
        Some("yes, deploy"),
        "plan-yes",
        "carry the plan out",
    )),
    asks(entry(
        Command::Yes,
        &[Char('y')],
        &[C::Cancel],
        Some("yes, stop it"),
        "cancel-yes",
        "stop the run",
    )),
    entry(
        Command::No,
        &[Char('n'), Char('q'), Code(KeyCode::Esc)],
        &[C::Plan],
        Some("no"),
        "plan-no",
        "do not carry the plan out; the run ends",
    ),
    entry(
        Command::No,
        &[Char('n'), Char('q'), Code(KeyCode::Esc)],
        &[C::Cancel],
        Some("no"),
        "cancel-no",
        "let the run go on",
    ),
    entry(
        Command::Accept,
        &[Code(KeyCode::Enter), Char('q'), Ctrl('c')],
        &[C::Quit],
        Some("quit, runs go on"),
        "quit-leave",
        "end the dashboard; the runs go on without it",
    ),
    asks(entry(
        Command::QuitAndCancel,
        &[Char('x')],
        &[C::Quit],
        Some("stop them and quit"),
        "quit-cancel",
        "stop the runs and end the dashboard",
    )),
    entry(
        Command::Close,
        &[Code(KeyCode::Esc), Char('n')],
        &[C::Quit],
        Some("stay"),
        "stay",
        "stay in the dashboard",
    ),
    entry(
        Command::Close,
        &[Char('q'), Code(KeyCode::Esc)],
        CLOSES,
        Some("close"),
        "close",
        "close this pane",
    ),
    entry(
        Command::Close,
        &[Code(KeyCode::Esc), Ctrl('c'), Ctrl('g')],
        &[C::Prompt, C::Palette, C::TypeName],
        Some("cancel"),
        "cancel-typing",
        "forget what was typed",
    ),
    entry(
        Command::Palette,
        &[Char(':')],
        VIEWS,
        Some("palette"),
        "palette",
        "choose a command by its name",
    ),
    entry(Command::Help, &[Char('?')], VIEWS, Some("help"), "help", "show the keys of this view"),
    entry(
        Command::Quit,
        &[Char('q'), Ctrl('c')],
        VIEWS,
        Some("quit"),
        "quit",
        "end the dashboard; asks when a run goes on",
    ),
    entry(Command::Redraw, &[Ctrl('l')], VIEWS, None, "redraw", "draw the screen anew"),
    entry(
        Command::Suspend,
        &[Ctrl('z')],
        VIEWS,
        None,
        "suspend",
        "back to the shell; fg continues",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_means_one_thing_in_each_context() {
        for (index, one) in COMMANDS.iter().enumerate() {
            for other in &COMMANDS[index + 1..] {
                for context in one.contexts.iter().filter(|c| other.contexts.contains(c)) {
                    for key in one.keys {
                        assert!(!other.keys.contains(key), "{key} in {context:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn names_in_the_palette_are_unique() {
        let mut names: Vec<_> = COMMANDS.iter().map(|entry| entry.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn esc_is_never_the_only_way_out() {
        for entry in COMMANDS.iter().filter(|entry| entry.keys.contains(&Code(KeyCode::Esc))) {
            for context in entry.contexts {
                let by_key = entry.keys.len() > 1;
                let back = entry.command == Command::Back;
                assert!(by_key || back, "{} in {context:?}", entry.name);
            }
        }
    }

    #[test]
    fn where_text_is_typed_no_character_is_a_command() {
        for entry in COMMANDS.iter().filter(|entry| entry.contexts.iter().any(|c| c.types())) {
            assert!(!entry.keys.iter().any(|key| matches!(key, Char(_))), "{}", entry.name);
        }
    }
}
