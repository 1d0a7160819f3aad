//! What happens to a host in a run, in words.

use crate::dash::theme::Role;
use crate::dash::widgets::graph::{bar, spinner};
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::text::{count, line_width};
use crate::dash::words::reasons::reason_role;
use crate::dash::words::tiers::tier_names;
use crate::dash::words::{Mark, bytes_of, outcome_mark, short_paths, since, system_words};
use crate::dash::world::{Extent, HostRun, RunView, age};
use crate::fleet::words::deploys::behind;
pub(in crate::dash) use crate::fleet::words::deploys::revision_words;
use crate::fleet::words::{WAITING, time_left, without_name};
use crate::fleet::{
    Ancestry, Goal, HostResult, Outcome, Phase, PhaseState, Wait, ago, bytes, duration, percent,
};
use ratatui::text::Span;
use std::cmp::Reverse;
use std::time::Duration;

/// Returns how a host stands in a run.
pub(in crate::dash) fn host_run_mark(paint: &Paint<'_>, run: &RunView, host: &HostRun) -> Mark {
    if let Some(result) = &host.result {
        let mark = outcome_mark(result.outcome);
        let time = duration(Duration::from_millis(result.duration_ms));
        return Mark { word: format!("{} in {time}", mark.word), ..mark };
    }
    if run.gone.is_some() || run.summary.is_some() {
        return Mark { sign: '–', word: "unknown".to_owned(), role: Role::Dim };
    }
    if host.is_going_back() {
        return Mark { sign: spinner(paint.now), word: "going back".to_owned(), role: Role::Warn };
    }
    if let Some(alert) = host.alert() {
        let time = match &host.waiting {
            Some(Wait::Answer { since, .. } | Wait::Cache { since, .. }) => {
                format!("  {}", clock(age(paint.now, *since)))
            }
            Some(_) | None => String::new(),
        };
        return Mark { sign: '▲', word: format!("{alert}{time}"), role: Role::Warn };
    }
    if host.waiting.is_some() {
        return Mark { sign: '○', word: WAITING.to_owned(), role: Role::Text };
    }
    match host.current() {
        Some((phase, view)) => {
            let time = clock(age(paint.now, view.started_at));
            Mark {
                sign: spinner(paint.now),
                word: format!("{}  {time}", phase.word()),
                role: Role::Busy,
            }
        }
        None if run.waits => Mark { sign: '○', word: WAITING.to_owned(), role: Role::Text },
        None if host.phases.is_empty() => {
            Mark { sign: '–', word: "not begun".to_owned(), role: Role::Dim }
        }
        None => Mark { sign: '○', word: "between phases".to_owned(), role: Role::Dim },
    }
}

/// Returns a time as minutes and seconds.
pub(in crate::dash) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 3600 {
        format!("{:02}:{:02}", seconds / 60, seconds % 60)
    } else {
        format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

/// How phases are named in a row of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dash) enum PhaseNames {
    /// By their words.
    Whole,
    /// By shorter ones.
    Short,
    /// By their places alone.
    None,
}

/// From this many columns on, phases are named by their words wherever those have room.
const WHOLE_WORDS: u16 = 120;

impl PhaseNames {
    /// Returns the names that phases should have on a screen of that many columns.
    pub(in crate::dash) fn on(columns: u16) -> Self {
        if columns >= WHOLE_WORDS { Self::Whole } else { Self::Short }
    }

    /// Returns the name of a phase.
    pub(in crate::dash) fn of(self, phase: Phase) -> &'static str {
        match self {
            Self::Whole => phase.word(),
            Self::Short => phase.short(),
            Self::None => "",
        }
    }

    /// Returns the columns of the longest name before the lines of a log.
    pub(in crate::dash) fn columns(self) -> usize {
        match self {
            Self::Whole => 11,
            Self::Short => 8,
            Self::None => 0,
        }
    }
}

/// Returns the phases with the longest names that the screen wants and that many columns have room for; none
/// where not even short ones have room.
pub(in crate::dash) fn named_phases(
    paint: &Paint<'_>,
    run: &RunView,
    host: &HostRun,
    room: usize,
) -> Option<Vec<Span<'static>>> {
    let all = [PhaseNames::on(paint.model.size.0), PhaseNames::Short].into_iter();
    let mut all = all.map(|names| phases(paint, run, host, names));
    all.find(|spans| line_width(spans) <= room)
}

/// Returns the phases with their names and signs.
pub(in crate::dash) fn phases(
    paint: &Paint<'_>,
    run: &RunView,
    host: &HostRun,
    names: PhaseNames,
) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    for phase in Phase::ALL {
        let view = host.phases.get(&phase);
        // Few runs restart their hosts.
        if phase == Phase::Reboot && view.is_none() {
            continue;
        }
        let (sign, role) = match view.map(|view| view.state) {
            Some(PhaseState::Finished) => ('✓', Role::Text),
            Some(PhaseState::Failed) => ('✗', Role::Error),
            Some(PhaseState::Started) if host.result.is_none() && !run.is_active() => {
                ('?', Role::Warn)
            }
            Some(PhaseState::Started) if host.result.is_none() => (spinner(paint.now), Role::Busy),
            Some(PhaseState::Started) => ('✗', Role::Warn),
            Some(PhaseState::Skipped) => ('–', Role::Dim),
            None => ('·', Role::Dim),
        };
        spans.push(match names {
            PhaseNames::None => paint.span(role, sign.to_string()),
            PhaseNames::Whole | PhaseNames::Short => {
                paint.span(role, format!("{} {sign} ", names.of(phase)))
            }
        });
    }
    spans
}

/// Returns how far the current phase is, as a bar of that many columns.
pub(in crate::dash) fn progress(
    paint: &Paint<'_>,
    run: &RunView,
    host: &HostRun,
    columns: usize,
) -> Vec<Span<'static>> {
    let Some(share) = host.share().filter(|_| run.is_active()) else { return Vec::new() };
    vec![paint.span(Role::Graph, bar(share, columns)), Span::raw(format!(" {}", percent(share)))]
}

/// Returns the second line of a host: what is done now, waited for, or was done.
pub(in crate::dash) fn doing(paint: &Paint<'_>, run: &RunView, host: &HostRun) -> (Role, String) {
    if let Some(result) = &host.result {
        return done(&host.host, result);
    }
    if !run.is_active() {
        let last = host.current().map(|(phase, _)| format!("last seen in {phase}"));
        return (Role::Dim, last.unwrap_or_default());
    }
    if host.is_going_back() {
        let left = match &host.waiting {
            Some(Wait::Back { until, .. }) => {
                format!("; nixdash waits {} more for it", time_left(*until, paint.now))
            }
            Some(_) | None => String::new(),
        };
        return (Role::Warn, format!("going back to {}{left}", previous(run, host)));
    }
    if let Some(wait) = &host.waiting {
        return (Role::Text, format!("waiting for {}", wait.sentence(paint.now)));
    }
    let mut words = Vec::new();
    match host.extent() {
        Some(Extent::Built(built)) => {
            words.push(format!("{} of {} built", count(built.have), count(built.total)));
        }
        Some(Extent::Copied(copied)) => words.push(bytes_of(copied.used, copied.total)),
        Some(Extent::Paths(paths)) => {
            words.push(format!("{} of {} paths", count(paths.have), count(paths.total)));
        }
        None => {}
    }
    if let Some(rate) = host.bytes_per_second(paint.now) {
        words.push(format!("{}/s", bytes(rate as u64)));
    }
    if let Some(still) = host.still_for(paint.now) {
        words.push(format!("nothing came for {}", duration(still)));
    }
    if let Some(left) = host.time_left(paint.now) {
        words.push(format!("{} left", ago(left.max(Duration::from_secs(1)))));
    }
    let role = if words.is_empty() { Role::Dim } else { Role::Text };
    words.extend(host.progress_now().and_then(|progress| progress.doing.clone()).or_else(|| {
        // A phase that does not tell what it does says it in its log.
        let (phase, _) = host.current()?;
        let last = host.last.as_ref()?;
        (last.phase == Some(phase)).then(|| short_paths(&last.text))
    }));
    (role, tier_names(&paint.model.world.fleet, &words.join(" · ")))
}

/// Returns the system that a host of a run goes back to, by its name where the plan says it.
fn previous(run: &RunView, host: &HostRun) -> String {
    let planned = run.plan.iter().flat_map(|plan| &plan.hosts);
    let mut planned = planned.filter(|planned| planned.host == host.host);
    let running = planned.find_map(|planned| planned.running.as_ref());
    running.map_or_else(|| "the previous system".to_owned(), system_words)
}

/// Returns what was built and what came from where, or why it went wrong.
fn done(host: &str, result: &HostResult) -> (Role, String) {
    if let Some(error) = result.told() {
        return (reason_role(result.outcome), without_name(host, &error).to_owned());
    }
    if result.outcome == Outcome::Unchanged {
        return (Role::Dim, "nothing to do".to_owned());
    }
    (Role::Text, bytes_in(result))
}

/// Returns how many derivations were built and what came from which tier; nothing for a host that failed
/// before that was counted.
pub(in crate::dash) fn bytes_in(result: &HostResult) -> String {
    if result.built == 0 && result.fetched.is_empty() && !result.outcome.is_good() {
        return String::new();
    }
    let mut words = vec![format!("{} built", count(result.built))];
    let mut fetched: Vec<_> = result.fetched.iter().collect();
    fetched.sort_by_key(|(_, fetched)| Reverse(fetched.bytes));
    for (tier, fetched) in fetched {
        words.push(format!("{} from {tier} ({})", count(fetched.paths), bytes(fetched.bytes)));
    }
    words.join(", ")
}

/// Returns how a host's run went, for one line elsewhere.
pub(in crate::dash) fn went(paint: &Paint<'_>, run: &RunView, host: &HostRun) -> (Role, String) {
    let Some(result) = &host.result else { return (Role::Dim, format!("#{}", run.id)) };
    let mark = outcome_mark(result.outcome);
    let time = duration(Duration::from_millis(result.duration_ms));
    let ended = run.summary.as_ref().map(|summary| since(paint.now, summary.at));
    let ended = ended.map(|ended| format!(", {ended}")).unwrap_or_default();
    let role = if mark.role == Role::Ok { Role::Text } else { mark.role };
    let waits = result.outcome == Outcome::NeedsReboot;
    let comes = if waits { ": boots the new system next time" } else { "" };
    (role, format!("#{} {} in {time}{ended}{comes}", run.id, mark.word))
}

/// Says that there is no run, and with which keys one begins.
pub(in crate::dash) fn no_run_yet(paint: &Paint<'_>) -> String {
    let [fleet, deploy, build] =
        ["fleet", "deploy", "build"].map(|name| paint.model.keymap.press(name));
    format!("No run yet. Press {fleet} for the fleet, then {deploy} to deploy or {build} to build.")
}

/// Returns a run as it is named above what is shown of it: one that is not the run of now with its date.
pub(in crate::dash) fn run_name(paint: &Paint<'_>, run: &RunView) -> String {
    if paint.model.is_run_of_now(run, paint.now) {
        return format!("run #{}", run.id);
    }
    format!("run #{} of {}", run.id, paint.date(run.began_at))
}

/// Returns by how many commits something is behind the flake, for a column: `?` where that is not known,
/// with a mark where it has commits that the flake lacks, and with another one where it has changes of no revision.
pub(in crate::dash) fn behind_figure(counted: Option<Ancestry>, is_dirty: bool) -> (String, Role) {
    match counted {
        None => ("?".to_owned(), Role::Dim),
        Some(ancestry) if ancestry.is_contained() && is_dirty => {
            (format!("{} *", ancestry.behind), Role::Warn)
        }
        Some(ancestry) if ancestry.is_contained() => (ancestry.behind.to_string(), Role::Text),
        Some(ancestry) => (format!("{} ▲", ancestry.behind), Role::Warn),
    }
}

/// Returns the same for a sentence.
pub(in crate::dash) fn behind_words(counted: Option<Ancestry>) -> (Role, String) {
    match counted {
        None => (Role::Dim, "how far behind the flake is not known".to_owned()),
        Some(ancestry) => {
            let words = behind(ancestry, "the flake");
            if ancestry.is_contained() {
                (Role::Text, words)
            } else {
                (Role::Warn, format!("▲ {words}"))
            }
        }
    }
}

/// Returns what an action means.
pub(in crate::dash) fn action_words(goal: Goal) -> &'static str {
    match goal {
        Goal::Build => "build: change nothing on the host",
        Goal::Switch => "switch: activate now, and boot it from now on",
        Goal::Boot => "boot: boot it from now on, activate nothing now",
        Goal::Test => "test: activate now, the next boot starts the old system",
        Goal::Rollback => {
            "rollback: activate a generation that the host has, and boot it from now on"
        }
        Goal::DryActivate => "dry-activate: say what an activation would do",
    }
}
