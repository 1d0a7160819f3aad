//! The one table of commands: it feeds the keys, the footer, the help and the palette.
//!
//! A key does what the footer says because both read the same row.

mod keymap;
mod order;
mod page;
mod table;

pub(super) use order::{has_begun, label, order, taken_back};
pub use page::page_of_shortcuts;
pub use table::COMMANDS;

use crate::dash::key::Key;
use crate::dash::model::{Model, Screen};
use crate::dash::overlay::Overlay;
use crate::dash::panes::logs::LogTyping;
use crate::fleet::HostKeyState;

/// Something a key can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Moves up.
    Up,
    /// Moves down.
    Down,
    /// Moves up by a page.
    PageUp,
    /// Moves down by a page.
    PageDown,
    /// Moves to the first.
    Top,
    /// Moves to the last.
    Bottom,
    /// Marks the selected host.
    Mark,
    /// Marks every host that is shown, or none.
    MarkAll,
    /// Deploys the marked or selected hosts.
    Deploy,
    /// Builds the marked or selected hosts.
    Build,
    /// Shows the generations of the selected host.
    Generations,
    /// Opens a shell on the selected host.
    Shell,
    /// Lists the units of the selected host.
    Units,
    /// Compares the selected generation with what runs.
    Compare,
    /// Takes the host to the selected generation.
    RollBack,
    /// Tries the hosts of the run again that did not end well.
    Retry,
    /// Selects the next row with which something is wrong.
    NextProblem,
    /// Copies what to do about what is wrong.
    CopyFix,
    /// Sorts the rows by the next column, and at the end as they are given again.
    Sort,
    /// Silences a finding of the selected host or tier, or ends that.
    Silence,
    /// Chooses the next time for which a finding is silenced.
    NextTime,
    /// Turns the order of the rows around.
    TurnSort,
    /// Puts hosts in groups by their tags, or lets them stand as one list again.
    GroupByTag,
    /// Copies why the selected host of a run failed.
    CopyReason,
    /// Opens what is selected.
    Open,
    /// Shows the log of the selected host's run.
    Log,
    /// Selects the next host of the run.
    NextHost,
    /// Selects the previous host of the run.
    PreviousHost,
    /// Opens the details of the next host or tier.
    NextDetails,
    /// Opens the details of the previous host or tier.
    PreviousDetails,
    /// Shows the figures of the selected host or tier over time.
    OverTime,
    /// Shows what happened to all, or to the host or tier whose details are shown.
    Events,
    /// Shows figures over a shorter time.
    ShorterTime,
    /// Shows figures over a longer time.
    LongerTime,
    /// Shows the run's plan.
    Plan,
    /// Shows what is run on hosts for the selected host.
    Commands,
    /// Stops the run.
    Cancel,
    /// Goes on with a run whose process is gone.
    Reattach,
    /// Pauses the run, or lets it go on.
    PauseRun,
    /// Takes a check that could not be made as passed.
    AcceptCheck,
    /// Leaves the selected host out of the run.
    SkipHost,
    /// Tries the selected host again in the run.
    TryHost,
    /// Takes the newest wave of the run back.
    TakeWaveBack,
    /// Takes all hosts of the run back.
    TakeRunBack,
    /// Shows the log, what is built, or what is copied.
    TurnFace,
    /// Shows the logs of all hosts of the run as one.
    AllHosts,
    /// Follows the newest line.
    Follow,
    /// Wraps long lines.
    Wrap,
    /// Shows equal lines that follow each other as one.
    Fold,
    /// Shows fewer kinds of lines.
    Levels,
    /// Shows another time before lines.
    Times,
    /// Shows what is further left of long lines, or of the matrix of caches.
    ScrollLeft,
    /// Shows what is further right of long lines, or of the matrix of caches.
    ScrollRight,
    /// Looks for a text.
    FindText,
    /// Goes to the next line that tells of an error.
    NextError,
    /// Goes to the previous line that tells of an error.
    PreviousError,
    /// Shows why the host failed.
    Failure,
    /// Compares a build with the last good one of its package.
    CompareBuild,
    /// Begins to select lines, or ends it.
    Select,
    /// Copies the selected lines.
    Copy,
    /// Copies an error and the lines around it.
    CopyError,
    /// Saves the lines that are shown in a file.
    SaveLog,
    /// Marks a line.
    MarkLine,
    /// Goes to the next marked line.
    NextMark,
    /// Takes what is typed as a regular expression, or as a text.
    OtherPattern,
    /// Takes again what was typed last.
    LastTyped,
    /// Goes to the next match, with its surroundings.
    NextMatch,
    /// Goes to the previous match, with its surroundings.
    PreviousMatch,
    /// Hides lines that do not match, or shows them again.
    OnlyMatching,
    /// Shows the log in the person's own pager.
    Pager,
    /// Opens the log in the person's own editor.
    Editor,
    /// Opens `hosts.toml` in the person's own editor.
    EditHostsFile,
    /// Says where the complete log is.
    LogFile,
    /// Filters.
    Filter,
    /// Gives one pane the whole body.
    Zoom,
    /// Gives the list more rows, and the part below it fewer.
    LongerList,
    /// Gives the list fewer rows, and the part below it more.
    ShorterList,
    /// Shows a view.
    Show(Screen),
    /// Shows the view to the left.
    PreviousView,
    /// Shows the view to the right.
    NextView,
    /// Measures the marked or selected hosts.
    Refresh,
    /// Asks whether to look closely at hosts' stores.
    LookClosely,
    /// Shows the ssh key of the selected host.
    HostKey,
    /// Fetches a nar of the selected tier whole and compares it with its narinfo.
    Verify,
    /// Measures everything.
    RefreshAll,
    /// Chooses a command by its name.
    Palette,
    /// Chooses a theme.
    Theme,
    /// Shows the keys.
    Help,
    /// Shows the program's own log.
    OwnLog,
    /// Says what was found where there is no `hosts.toml`, and what to do.
    FirstSteps,
    /// Has `nixdash init` make a `hosts.toml`.
    MakeHostsFile,
    /// Has `nixdash lab` set up a practice fleet.
    Practise,
    /// Hides what to try next of the practice fleet.
    HideNextTry,
    /// Goes back.
    Back,
    /// Lets the screen stand, or go on.
    Freeze,
    /// Hears of the mouse, or leaves it to the terminal.
    Mouse,
    /// Draws everything again.
    Redraw,
    /// Stops the program until the shell continues it.
    Suspend,
    /// Ends the dashboard.
    Quit,
    /// Chooses the next action.
    CycleAction,
    /// Chooses the next strategy.
    CycleStrategy,
    /// Chooses whether hosts that build their own systems ask caches.
    SkipCaches,
    /// Chooses whether hosts that are away are waited for.
    WaitOffline,
    /// Chooses whether hosts are restarted behind a deploy.
    RestartHosts,
    /// Chooses whether hosts leave the specialisations that they run.
    LeaveSpecialisation,
    /// Does what the selected button says.
    Accept,
    /// Says yes.
    Yes,
    /// Says no.
    No,
    /// Selects the other button.
    OtherButton,
    /// Ends the dashboard and stops its runs.
    QuitAndCancel,
    /// Closes the overlay.
    Close,
}

impl Command {
    /// Returns whether it selects another row, or scrolls.
    pub(super) fn moves(self) -> bool {
        matches!(
            self,
            Self::Up | Self::Down | Self::PageUp | Self::PageDown | Self::Top | Self::Bottom
        )
    }

    /// Returns whether it means something in the first minutes only: without a `hosts.toml`, or with the
    /// practice fleet.
    pub(super) fn is_of_first_minutes(self) -> bool {
        matches!(self, Self::FirstSteps | Self::HideNextTry)
    }

    /// Returns whether it is about the terminal: it can be given over everything that lies over a view, and what
    /// lies there has its own keys first.
    pub fn is_of_terminal(self) -> bool {
        matches!(self, Self::Mouse | Self::Redraw | Self::Suspend)
    }

    /// Returns whether it begins something that changes hosts or runs.
    pub fn changes_something(self) -> bool {
        matches!(
            self,
            Self::Deploy
                | Self::Build
                | Self::Retry
                | Self::RollBack
                | Self::Cancel
                | Self::Reattach
                | Self::Silence
                | Self::Shell
                | Self::EditHostsFile
        )
    }
}

/// Where a key means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// A view, without an overlay.
    View(Screen),
    /// A frozen screen.
    Frozen,
    /// Typing a filter.
    Prompt,
    /// Typing what to look for in a log.
    FindLine,
    /// Typing the name of a file.
    SaveLog,
    /// The help.
    Help,
    /// What to do where there is no `hosts.toml`.
    FirstSteps,
    /// The palette.
    Palette,
    /// The choice of a theme.
    Themes,
    /// The choice before a run.
    Start,
    /// Typing a protected host's name.
    TypeName,
    /// Typing a password for sudo.
    Password,
    /// The question whether to accept a host key.
    HostKey,
    /// Typing a host's name to accept a key that is another than before.
    TypeHostKey,
    /// A plan that waits for an answer.
    Plan,
    /// A plan that was answered.
    OldPlan,
    /// What was run on hosts for a host.
    Commands,
    /// The question whether to stop a run.
    Cancel,
    /// The question whether to say something to a run that changes hosts.
    Order,
    /// Which finding is silenced, why and for how long.
    Silence,
    /// The question whether to look closely at stores.
    Look,
    /// The question whether to open a shell on a protected host.
    Shell,
    /// The units of a host.
    Units,
    /// Typing which units are shown.
    UnitFilter,
    /// The journal of a unit.
    Journal,
    /// The generations of a host.
    Generations,
    /// What differs between the running system of a host and a generation.
    Difference,
    /// Figures over time.
    OverTime,
    /// What happened.
    Past,
    /// The question what becomes of active runs.
    Quit,
    /// The program's own log.
    OwnLog,
}

impl Context {
    /// What lies over a view, with the title of its keys on the page of all keys.
    pub(super) const OVER_VIEWS: [(Self, &'static str); 30] = [
        (Self::FirstSteps, "The first steps, without a hosts.toml"),
        (Self::Help, "The help"),
        (Self::Palette, "The palette"),
        (Self::Themes, "The choice of a theme"),
        (Self::Prompt, "A filter that is typed"),
        (Self::FindLine, "What is looked for in a log"),
        (Self::SaveLog, "The name of a file for a log"),
        (Self::Start, "What to start"),
        (Self::TypeName, "The name of a protected host"),
        (Self::Password, "A password for sudo"),
        (Self::Plan, "A plan that waits for an answer"),
        (Self::OldPlan, "A plan that was answered"),
        (Self::Commands, "What was run on hosts"),
        (Self::Cancel, "Whether to stop a run"),
        (Self::Order, "Whether to say something to a run"),
        (Self::Look, "Whether to look closely at stores"),
        (Self::Silence, "A finding that is silenced"),
        (Self::HostKey, "The ssh key of a host"),
        (Self::TypeHostKey, "An ssh key that is another than before"),
        (Self::Generations, "The generations of a host"),
        (Self::Difference, "What differs between two generations"),
        (Self::Quit, "What becomes of runs"),
        (Self::OverTime, "Figures over time"),
        (Self::Past, "What happened"),
        (Self::Frozen, "A frozen screen"),
        (Self::Shell, "Whether to open a shell on a protected host"),
        (Self::Units, "The units of a host"),
        (Self::UnitFilter, "A filter of units that is typed"),
        (Self::Journal, "The journal of a unit"),
        (Self::OwnLog, "The log of nixdash itself"),
    ];

    /// Returns where a key that is pressed now will land.
    pub fn of(model: &Model) -> Self {
        if model.still.is_some() || model.frozen_since.is_some() {
            return Self::Frozen;
        }
        if model.prompt.is_some() {
            return Self::Prompt;
        }
        match &model.log.typing {
            Some(LogTyping::Find { .. }) => return Self::FindLine,
            Some(LogTyping::Save { .. }) => return Self::SaveLog,
            None => {}
        }
        match model.overlay() {
            None => Self::View(model.screen),
            Some(Overlay::Help { .. }) => Self::Help,
            Some(Overlay::FirstSteps { .. }) => Self::FirstSteps,
            Some(Overlay::Palette { .. }) => Self::Palette,
            Some(Overlay::Themes { .. }) => Self::Themes,
            Some(Overlay::Start(_)) => Self::Start,
            Some(Overlay::TypeName(_)) => Self::TypeName,
            Some(Overlay::Password(_)) => Self::Password,
            Some(Overlay::HostKey(form)) if form.key.state == HostKeyState::Changed => {
                Self::TypeHostKey
            }
            Some(Overlay::HostKey(_)) => Self::HostKey,
            Some(Overlay::Plan { run, .. }) => {
                if model.world.run_by_id(run).is_some_and(|run| run.waits) {
                    Self::Plan
                } else {
                    Self::OldPlan
                }
            }
            Some(Overlay::Commands { .. }) => Self::Commands,
            Some(Overlay::Cancel { .. }) => Self::Cancel,
            Some(Overlay::Order { .. }) => Self::Order,
            Some(Overlay::Silence(_)) => Self::Silence,
            Some(Overlay::Look { .. }) => Self::Look,
            Some(Overlay::Shell { .. }) => Self::Shell,
            Some(Overlay::Units(pane)) if pane.typed.is_some() => Self::UnitFilter,
            Some(Overlay::Units(_)) => Self::Units,
            Some(Overlay::Journal(_)) => Self::Journal,
            Some(Overlay::Generations(_)) => Self::Generations,
            Some(Overlay::Difference(_)) => Self::Difference,
            Some(Overlay::OverTime(_)) => Self::OverTime,
            Some(Overlay::Past(_)) => Self::Past,
            Some(Overlay::Quit) => Self::Quit,
            Some(Overlay::OwnLog) => Self::OwnLog,
        }
    }

    /// Returns what lies over the view; none where nothing does.
    pub(super) fn title(self) -> Option<&'static str> {
        let mut over = Self::OVER_VIEWS.into_iter().filter(|(it, _)| *it != Self::Frozen);
        over.find(|(context, _)| *context == self).map(|(_, title)| title)
    }

    /// Returns whether characters are typed here, so that no character is a command.
    pub fn types(self) -> bool {
        matches!(
            self,
            Self::Prompt
                | Self::FindLine
                | Self::SaveLog
                | Self::Palette
                | Self::TypeName
                | Self::Password
                | Self::TypeHostKey
                | Self::Silence
                | Self::UnitFilter
        )
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct CommandEntry {
    /// What it does.
    pub command: Command,
    /// Its name in the palette.
    pub name: &'static str,
    /// What it does, in words.
    pub about: &'static str,
    /// Its keys, unless hosts.toml gives it others; the footer shows the first.
    pub keys: &'static [Key],
    /// Its words in the footer; none when it is not shown there.
    pub label: Option<&'static str>,
    /// Where it means something.
    pub contexts: &'static [Context],
    /// Whether it leads to something that changes a host or ends work; such a command always asks.
    pub destructive: bool,
}

impl CommandEntry {
    /// Returns whether its own keys mean it in a context. Where text is typed, a letter is text, also where
    /// `[keys]` gives it to a command of the whole terminal.
    fn is_meant(&self, keys: &[Key], key: Key, context: Context) -> bool {
        let is_text = matches!(key, Key::Char(_)) && context.types();
        keys.contains(&key) && self.contexts.contains(&context) && !is_text
    }
}

/// Returns the commands that mean something here, in the order of the footer.
pub(super) fn in_context(context: Context) -> impl Iterator<Item = &'static CommandEntry> {
    COMMANDS.iter().filter(move |entry| entry.contexts.contains(&context))
}
