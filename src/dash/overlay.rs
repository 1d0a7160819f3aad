//! The panes that lie over a view and take the keys, and the text that is typed in the footer.

use crate::dash::filter::Filter;
use crate::dash::generations::{DiffPane, GenerationsPane};
use crate::dash::input::LineInput;
use crate::dash::over_time::OverTimePane;
use crate::dash::past::PastPane;
use crate::dash::silencing::SilenceForm;
use crate::dash::units::{JournalPane, UnitsPane};
use crate::dash::world::ScreenWorld;
use crate::fleet::{Goal, HostKey, RunId, RunOrder, Secret, Strategy};
use std::collections::BTreeMap;

/// What was chosen before a run starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartForm {
    /// The hosts, in the fleet's order.
    pub hosts: Vec<String>,
    /// Hosts that were chosen with them and are left out, since hosts.toml says that nothing is changed there.
    pub read_only: Vec<String>,
    /// What it is for.
    pub goal: Goal,
    /// Whether hosts with an action of their own in hosts.toml get that one.
    pub own_actions: bool,
    /// The strategy; none means each host's own.
    pub strategy: Option<Strategy>,
    /// Protected hosts whose names were typed.
    pub typed: Vec<String>,
    /// The name that is being typed.
    pub input: LineInput,
    /// A name that was entered and is not the one that is asked for, as long as it stands there.
    pub refused: Option<String>,
    /// Where the systems come from.
    pub from: StartFrom,
    /// The specialisations that the hosts are known to run, by host.
    pub specialisations: BTreeMap<String, String>,
    /// What else was chosen.
    pub choices: StartChoices,
    /// The first line that is shown.
    pub scroll: u16,
}

/// What is asked of a run that is no matter of each host's configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartChoices {
    /// Whether hosts that are away are waited for.
    pub wait_offline: bool,
    /// Whether hosts are restarted when their new systems are permanent.
    pub reboot: bool,
    /// Whether hosts that build their own systems ask no cache.
    pub skip_caches: bool,
    /// Whether hosts that run a specialisation leave it for the system itself.
    pub without_specialisation: bool,
}

impl StartForm {
    /// Returns whether a new system becomes permanent, so that its host can be restarted behind that.
    pub(super) fn can_restart(&self) -> bool {
        self.goal.deploys() && (self.own_actions || self.goal.persists())
    }

    /// Returns whether the hosts were said to build their own systems, so that they can ask no cache.
    pub(super) fn can_skip_caches(&self) -> bool {
        self.goal.deploys() && self.strategy == Some(Strategy::Direct)
    }

    /// Returns whether hosts may leave a specialisation that they are known to run.
    pub(super) fn can_leave_specialisation(&self) -> bool {
        self.goal.deploys() && !self.specialisations.is_empty()
    }

    /// Returns whether hosts get what the flake says, so that there are an action and a strategy to choose.
    pub(super) fn is_of_flake(&self) -> bool {
        self.from == StartFrom::Flake
    }

    /// Returns whether hosts that are away can be waited for.
    pub(super) fn can_wait(&self) -> bool {
        self.goal.deploys() && self.is_of_flake()
    }

    /// Returns what else was chosen, without what means nothing for the action and the strategy.
    pub(super) fn choices(&self) -> StartChoices {
        StartChoices {
            wait_offline: self.choices.wait_offline && self.can_wait(),
            reboot: self.choices.reboot && self.can_restart(),
            skip_caches: self.choices.skip_caches && self.can_skip_caches(),
            without_specialisation: self.choices.without_specialisation
                && self.can_leave_specialisation(),
        }
    }

    /// Returns a choice of which nothing was changed yet.
    pub(super) fn new(hosts: Vec<String>, goal: Goal, from: StartFrom) -> Self {
        Self {
            hosts,
            read_only: Vec::new(),
            goal,
            own_actions: false,
            strategy: None,
            typed: Vec::new(),
            input: LineInput::default(),
            refused: None,
            from,
            specialisations: BTreeMap::new(),
            choices: StartChoices::default(),
            scroll: 0,
        }
    }

    /// Returns the next host whose name must be typed and was not: a protected one, or one that has
    /// nothing to go back to.
    pub(super) fn next_protected(&self, world: &ScreenWorld) -> Option<String> {
        let must = |name: &&String| world.is_protected(name) || world.has_no_system(name);
        let mut hosts = self.hosts.iter().filter(must);
        hosts.find(|name| !self.typed.contains(name)).cloned()
    }
}

/// Where the systems of a run that is to be started come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartFrom {
    /// The flake.
    Flake,
    /// This generation of the host.
    Generation(u64),
    /// What an earlier run was about.
    Run(RunId),
    /// A run that was left, which is gone on with.
    Left(RunId),
}

/// A password for sudo that is being typed, before a run starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordForm {
    /// What is started with it.
    pub form: StartForm,
    /// The hosts that it is for.
    pub hosts: Vec<String>,
    /// Whether nothing can be started without it.
    pub is_needed: bool,
    /// What was typed.
    pub typed: Secret,
}

/// A host key that a person is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKeyForm {
    /// The key.
    pub key: HostKey,
    /// Whether the button that says yes is selected.
    pub yes: bool,
    /// The name that is typed for a key that is another than before.
    pub input: LineInput,
}

/// A pane that lies over the view and takes the keys.
#[derive(Clone, Debug, PartialEq)]
pub enum Overlay {
    /// All keys of the view, from this line on.
    Help {
        /// The first line that is shown.
        scroll: u16,
    },
    /// What was found where there is no `hosts.toml`, and what to do, from this line on.
    FirstSteps {
        /// The first line that is shown.
        scroll: u16,
    },
    /// Commands, hosts, caches, runs and settings by name.
    Palette {
        /// What was typed.
        input: LineInput,
        /// Which of the matches is selected.
        selected: usize,
    },
    /// Which theme the dashboard has.
    Themes {
        /// The names of all themes.
        names: Vec<String>,
        /// Which of them is shown.
        selected: usize,
    },
    /// What to start, and on which hosts.
    Start(StartForm),
    /// A protected host's name must be typed.
    TypeName(StartForm),
    /// A password for sudo is typed.
    Password(Box<PasswordForm>),
    /// Whether to accept a host key.
    HostKey(Box<HostKeyForm>),
    /// A run's plan.
    Plan {
        /// The run.
        run: RunId,
        /// Whether the button that says yes is selected.
        yes: bool,
        /// The first line that is shown.
        scroll: u16,
    },
    /// What was run on hosts for one host of a run.
    Commands {
        /// The run.
        run: RunId,
        /// The host.
        host: String,
        /// The first line that is shown.
        scroll: u16,
    },
    /// Whether to stop a run.
    Cancel {
        /// The run.
        run: RunId,
        /// Whether the button that says yes is selected.
        yes: bool,
    },
    /// Whether to say something to a run that changes hosts.
    Order {
        /// The run.
        run: RunId,
        /// What is said.
        order: RunOrder,
        /// Whether the button that says yes is selected.
        yes: bool,
    },
    /// Whether to look closely at hosts' stores.
    Look {
        /// The hosts.
        hosts: Vec<String>,
        /// Whether the button that says yes is selected.
        yes: bool,
    },
    /// Which finding is silenced, why and for how long.
    Silence(Box<SilenceForm>),
    /// Whether to open a shell on a host that is protected.
    Shell {
        /// The host.
        host: String,
        /// Whether the button that says yes is selected.
        yes: bool,
    },
    /// The units of a host.
    Units(UnitsPane),
    /// The journal of a unit.
    Journal(JournalPane),
    /// The generations of a host.
    Generations(GenerationsPane),
    /// What differs between the running system of a host and a generation.
    Difference(DiffPane),
    /// The figures of a host or tier over time, in the whole body.
    OverTime(OverTimePane),
    /// What happened to a host or tier, or to all, in the whole body.
    Past(PastPane),
    /// What becomes of active runs when the dashboard ends.
    Quit,
    /// The program's own log.
    OwnLog,
}

/// A text that is typed in the footer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// What is typed.
    pub input: LineInput,
    /// The filter as it was before, for the way back.
    pub before: Filter,
}
