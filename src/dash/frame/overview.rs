//! The lines at the top: title, overview, tabs.
//!
//! ```text
//!  nixdash  ~/nixos 3f2c1ab clean                                              12:04
//!  4 hosts  3 up · 1 offline     coverage  p620 98 % · nixos.org 61 %     run #41 2/3
//!  1 Fleet   2 Caches   3 Deploy   4 Logs   5 History
//! ```
//!
//! A percentage is the mean over all hosts of the share of paths of the host's running closure that
//! the tier holds. A tier that is known to be bad carries `▲`; where there is no room for the names of
//! all of them, the rest is counted: `3 up · 1 offline   weed, cachix ▲ down · 9 more ▲`.

use crate::dash::able::closing;
use crate::dash::command::{Command, Context};
use crate::dash::model::Screen;
use crate::dash::status_line::{counted_signs, status_line_of};
use crate::dash::theme::Role;
use crate::dash::widgets::paint::{Paint, put, put_all, put_spread};
use crate::dash::widgets::places::ClickTarget;
use crate::dash::widgets::text::{cut_before, line_width, width, wrap};
use crate::dash::words::tiers::{is_bad, is_named_with_coverage, tier_mark};
use crate::dash::words::{Mark, hosts_in_short, severity_role, state_counts, summary_mark};
use crate::dash::world::{MeanCoverage, RunSign, coverage_tier};
use crate::fleet::words::counted;
use crate::fleet::words::deploys::short_revision;
use crate::fleet::{Severity, number_of};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Columns of a flake's name below which it says nothing.
const FLAKE: usize = 8;

/// Draws the title: what is shown, what is to be known of all of it, and the time of day. Where there is
/// little room, the flake gives way first, from its beginning, then its revision.
pub(in crate::dash) fn title(paint: &Paint<'_>, buffer: &mut Buffer, row: Rect) {
    let mut left = vec![Span::raw(" "), paint.span(Role::Title, "nixdash")];
    let (notices, revision) = (notices(paint), revision(paint));
    let clock = paint.span(Role::Dim, format!("{} ", paint.clock(paint.now, false)));
    let taken = [&left[..], &notices, std::slice::from_ref(&clock)].map(line_width);
    let room = usize::from(row.width).saturating_sub(taken.iter().sum::<usize>() + 1);
    if line_width(&revision) <= room {
        let room = room.saturating_sub(line_width(&revision) + 2);
        if let Some(flake) = paint.model.world.flake.as_ref()
            && room >= FLAKE.min(width(flake))
        {
            left.push(paint.span(Role::Dim, format!("  {}", cut_before(flake, room))));
        }
        left.extend(revision);
    }
    left.extend(notices);
    put_spread(buffer, row, left, vec![clock]);
}

/// Returns what is to be known of all that is shown.
fn notices(paint: &Paint<'_>) -> Vec<Span<'static>> {
    let model = paint.model;
    let mut spans = Vec::new();
    if model.world.is_record {
        spans.push(Span::raw("   the record of a run (read-only)"));
    }
    if model.world.fleet.trust.doubt().is_some() {
        let words = "   ▲ hosts.toml is not trusted: run `nixdash trust`";
        spans.push(paint.span(Role::Error, words));
    }
    if model.world.fleet.read_only {
        spans.push(paint.span(Role::Warn, "   read-only"));
    }
    if let Some(since) = model.frozen_since {
        let key = model.keymap.press("freeze");
        let text = format!("   frozen since {}: {key} goes on", paint.clock(since, false));
        spans.push(paint.span(Role::Warn, text));
    }
    spans
}

/// Returns the flake's revision, and whether it has changes that are not committed.
fn revision(paint: &Paint<'_>) -> Vec<Span<'static>> {
    let Some(revision) = &paint.model.world.revision else { return Vec::new() };
    let (hash, dirty) = match revision.split_once('-') {
        Some((hash, dirty)) => (hash, Some(dirty)),
        None => (revision.as_str(), None),
    };
    let hash = short_revision(hash);
    let state = match dirty {
        Some(dirty) => Span::raw(dirty.to_owned()),
        None => paint.span(Role::Dim, "clean"),
    };
    vec![Span::raw(format!(" {hash} ")), state]
}

/// Draws the one line that is always there.
pub(in crate::dash) fn overview(paint: &Paint<'_>, buffer: &mut Buffer, row: Rect) {
    let room = usize::from(row.width);
    if paint.model.world.is_record {
        put(buffer, row, 0, &Line::from(of_record(paint)));
        return;
    }
    let words = [RunWords::Whole, RunWords::Brief].map(|words| run(paint, words));
    let signs = [run(paint, RunWords::Signs)];
    let sums = Sums::of(paint);
    // What runs is told in words where hosts and the bad caches have theirs too.
    let steps = steps(paint);
    let in_words = steps.iter().filter(|(_, caches, with_run)| {
        *with_run && matches!(caches, Caches::All | Caches::Named { words: usize::MAX })
    });
    let in_words = in_words.map(|step| (*step, &words[..]));
    let in_signs = steps.iter().map(|step| (*step, &signs[..]));
    for ((counts, caches, with_run), runs) in in_words.chain(in_signs) {
        let mut shown = vec![Span::raw(" ")];
        shown.extend(hosts(paint, &sums, counts));
        let long = caches == Caches::All;
        let caches = self::caches(paint, &sums, caches);
        if !caches.is_empty() {
            shown.push(Span::raw(if long { "     " } else { "   " }));
            shown.extend(caches);
        }
        let left = room.saturating_sub(line_width(&shown));
        let fitting = runs.iter().find(|run| line_width(run) + 3 <= left);
        match fitting {
            Some(run) if with_run => put_spread(buffer, row, shown, run.clone()),
            None if with_run => continue,
            Some(_) | None if line_width(&shown) > room => continue,
            Some(_) | None => put_spread(buffer, row, shown, Vec::new()),
        }
        return;
    }
    one_line(paint, buffer, row);
}

/// Returns what the run of a record came to: of its fleet nothing is known.
fn of_record(paint: &Paint<'_>) -> Vec<Span<'static>> {
    let Some(run) = paint.model.shown_run() else { return vec![Span::raw(" ")] };
    let hosts = number_of(run.hosts.len(), "host");
    let ended = match &run.summary {
        Some(summary) => paint.span(summary_mark(summary).1, summary.words()),
        None => paint.span(Role::Warn, "it has no end"),
    };
    vec![Span::raw(format!(" run #{}  {hosts}  ", run.id)), ended]
}

/// What is counted over all hosts, once for all that the overview tries to say.
struct Sums {
    /// How many hosts are in each state, in words.
    states: Vec<(Role, String)>,
    /// What is wrong beside that, the worst first.
    wrong: Vec<(Severity, String)>,
    /// What each tier holds, in the fleet's order.
    means: Vec<Option<MeanCoverage>>,
}

impl Sums {
    fn of(paint: &Paint<'_>) -> Self {
        let world = &paint.model.world;
        Self {
            states: state_counts(&world.hosts.iter().map(|view| &view.facts)),
            wrong: counted(world.hosts.iter().map(|view| &view.facts)),
            means: world.fleet.tiers.iter().map(|tier| world.mean_coverage(&tier.name)).collect(),
        }
    }
}

/// Returns what the overview can say, the most first: how hosts are counted, which tiers are named,
/// and whether it is said what runs. That nothing runs yields before hosts lose their words.
fn steps(paint: &Paint<'_>) -> Vec<(CountStyle, Caches, bool)> {
    let bad = paint.model.world.tiers.iter().filter(|view| is_bad(&view.facts)).count();
    let idle = paint.model.world.run_sign() == RunSign::None;
    let mut steps =
        vec![(CountStyle::Long, Caches::All, true), (CountStyle::Words, Caches::All, true)];
    for words in [usize::MAX, 3, 2, 1, 0] {
        steps.push((CountStyle::Words, Caches::Named { words }, true));
    }
    let which = |names, words| Caches::Bad { names, words };
    let all = [true, false].map(|words| which(bad, words));
    let some = [true, false].map(|words| (1..bad).rev().map(move |names| which(names, words)));
    let named: Vec<Caches> = all.into_iter().chain(some.into_iter().flatten()).collect();
    for counts in [CountStyle::Words, CountStyle::Worst, CountStyle::Signs] {
        for which in [&named[..], &[Caches::Count]] {
            for with_run in [true, false].into_iter().filter(|with_run| *with_run || idle) {
                steps.extend(which.iter().map(|which| (counts, *which, with_run)));
            }
        }
    }
    steps
}

/// How hosts are counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CountStyle {
    /// All of them, then by state.
    Long,
    /// By state.
    Words,
    /// By state, and of what is wrong beside that the worst; the rest is counted.
    Worst,
    /// By state, with a sign for it.
    Signs,
}

/// Which tiers the overview names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caches {
    /// Every tier; a bad one with what is wrong.
    All,
    /// The one that deploys publish to, and every bad one, so many of them with what is wrong.
    Named {
        /// How many.
        words: usize,
    },
    /// Only those that are bad, so many of them by name; the rest is counted.
    Bad {
        /// How many.
        names: usize,
        /// Whether it is said what is wrong with these.
        words: bool,
    },
    /// How many are bad.
    Count,
}

/// Draws the whole screen as one line, for a terminal that has room for nothing else.
pub(in crate::dash) fn one_line(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    if paint.model.world.is_record {
        put(buffer, area, 0, &Line::from(of_record(paint)));
        return;
    }
    put(buffer, area, 0, &Line::raw(status_line_of(paint.model)));
}

/// Draws the key that closes what lies over the view, and what that is, where there is no room for it.
/// Returns whether anything lies there.
pub(in crate::dash) fn unseen(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) -> bool {
    let (Some(what), Some(entry)) = (Context::of(paint.model).title(), closing(paint.model)) else {
        return false;
    };
    let key = paint.model.keymap.keys(entry).first().map(ToString::to_string).unwrap_or_default();
    let text = format!("{key} {}: {what}", entry.label.unwrap_or("close"));
    let lines = wrap(&text, usize::from(area.width)).into_iter();
    let lines: Vec<Line<'_>> = lines.map(|line| Line::from(paint.span(Role::Warn, line))).collect();
    put_all(buffer, area, &lines, 0);
    true
}

/// Returns how many hosts are in which state, and what is wrong beside that.
fn hosts(paint: &Paint<'_>, sums: &Sums, counts: CountStyle) -> Vec<Span<'static>> {
    let views = &paint.model.world.hosts;
    if counts == CountStyle::Signs {
        return signs(paint);
    }
    let mut spans = Vec::new();
    if counts == CountStyle::Long {
        spans.push(Span::raw(format!("{}  ", number_of(views.len(), "host"))));
    }
    let states = sums.states.iter().cloned();
    let wrong = &sums.wrong;
    let named = if counts == CountStyle::Worst { 1 } else { wrong.len() };
    let rest = wrong.get(named..).unwrap_or_default();
    let rest = rest
        .first()
        .map(|(severity, _)| (severity_role(*severity), format!("{} more ▲", rest.len())));
    let wrong = wrong.iter().take(named);
    let wrong =
        wrong.map(|(severity, words)| (severity_role(*severity), words.clone())).chain(rest);
    let of_tiers = paint.model.world.tiers.iter().flat_map(|view| {
        let on_hosts = view.facts.hosts.values().flat_map(|on_host| &on_host.findings);
        view.facts.findings.iter().chain(on_hosts)
    });
    let silenced = views.iter().flat_map(|view| &view.facts.findings).chain(of_tiers);
    let silenced = silenced.filter(|finding| finding.is_silenced()).count();
    let silenced = (silenced > 0 && counts != CountStyle::Worst)
        .then(|| (Role::Dim, format!("{silenced} silenced")));
    for (index, (role, words)) in states.chain(wrong).chain(silenced).enumerate() {
        if index > 0 {
            spans.push(paint.span(Role::Dim, " · "));
        }
        spans.push(paint.span(role, words));
    }
    spans
}

/// Returns how many hosts have which sign.
fn signs(paint: &Paint<'_>) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    let facts = paint.model.world.hosts.iter().map(|view| &view.facts);
    for (sign, count) in counted_signs(facts) {
        if !spans.is_empty() {
            spans.push(Span::raw(" "));
        }
        let role = match sign {
            '▲' | '◇' => Role::Warn,
            '✗' => Role::Error,
            '–' => Role::Dim,
            _ => Role::Text,
        };
        spans.push(paint.span(role, format!("{count}{sign}")));
    }
    spans
}

/// Returns what the tiers hold, and which are bad.
fn caches(paint: &Paint<'_>, sums: &Sums, which: Caches) -> Vec<Span<'static>> {
    let model = paint.model;
    let all_bad = model.world.tiers.iter().filter(|view| is_bad(&view.facts)).count();
    if which == Caches::Count {
        let text = format!("{} ▲", number_of(all_bad, "cache"));
        return (all_bad > 0).then(|| paint.span(Role::Warn, text)).into_iter().collect();
    }
    if let Caches::Bad { names, words } = which {
        return bad(paint, names, words);
    }
    let (mut spans, mut worded) = (Vec::new(), 0);
    let publish = coverage_tier(&model.world.fleet);
    let tiers = model.world.fleet.tiers.iter().zip(&model.world.tiers);
    for ((tier, view), mean) in tiers.zip(&sums.means) {
        let bad = is_bad(&view.facts);
        let named = match which {
            Caches::All => is_named_with_coverage(tier, &view.facts),
            Caches::Named { .. } => bad || publish.is_some_and(|publish| publish.name == tier.name),
            Caches::Bad { .. } | Caches::Count => false,
        };
        if !named {
            continue;
        }
        if !spans.is_empty() {
            spans.push(paint.span(Role::Dim, " · "));
        } else if which == Caches::All {
            spans.push(paint.span(Role::Dim, "coverage  "));
        }
        let word = if which != Caches::All && !bad { "in " } else { "" };
        spans.push(Span::raw(format!("{word}{} ", tier.name)));
        if bad {
            let mark = tier_mark(&view.facts);
            let words = match which {
                Caches::All => true,
                Caches::Named { words } => worded < words,
                Caches::Bad { .. } | Caches::Count => false,
            };
            worded += 1;
            let text = if words { mark.text() } else { "▲".to_owned() };
            spans.push(paint.span(mark.role, text));
        } else {
            spans.push(match mean {
                Some(mean) => Span::raw(mean.words()),
                None => paint.span(Role::Dim, "–"),
            });
        }
    }
    spans
}

/// Returns so many bad tiers by name, those together of which the same is said: `weed, cachix ▲ down`;
/// the rest is counted.
fn bad(paint: &Paint<'_>, names: usize, words: bool) -> Vec<Span<'static>> {
    let tiers = paint.model.world.fleet.tiers.iter().zip(&paint.model.world.tiers);
    let all: Vec<_> = tiers.filter(|(_, view)| is_bad(&view.facts)).collect();
    let mut groups: Vec<(Mark, Vec<&str>)> = Vec::new();
    for (tier, view) in all.iter().take(names) {
        let mark = tier_mark(&view.facts);
        match groups.iter_mut().find(|(known, _)| words && *known == mark) {
            Some((_, names)) => names.push(&tier.name),
            None => groups.push((mark, vec![&tier.name])),
        }
    }
    let mut spans = Vec::new();
    for (mark, names) in groups {
        if !spans.is_empty() {
            spans.push(paint.span(Role::Dim, " · "));
        }
        spans.push(Span::raw(format!("{} ", names.join(", "))));
        let text = if words { mark.text() } else { "▲".to_owned() };
        spans.push(paint.span(mark.role, text));
    }
    if let more @ 1.. = all.len().saturating_sub(names) {
        spans.push(paint.span(Role::Dim, " · "));
        spans.push(paint.span(Role::Warn, format!("{more} more ▲")));
    }
    spans
}

/// How it is said how far a run is.
#[derive(Clone, Copy)]
enum RunWords {
    /// How many hosts stand how.
    Whole,
    /// How many went wrong and are done.
    Brief,
    /// The same in signs.
    Signs,
}

/// Returns what runs.
fn run(paint: &Paint<'_>, words: RunWords) -> Vec<Span<'static>> {
    let (text, role) = match paint.model.world.run_sign() {
        RunSign::None => ("no run".to_owned(), Role::Dim),
        RunSign::Starting => ("starting a run".to_owned(), Role::Busy),
        RunSign::Waits(id) => (format!("▲ run #{id} waiting for you"), Role::Warn),
        RunSign::Elsewhere { id, hosts } => {
            let words = match words {
                RunWords::Whole => {
                    format!("run #{id} of another hosts.toml: {}", hosts_in_short(&hosts))
                }
                RunWords::Brief => format!("run #{id} of another hosts.toml"),
                RunWords::Signs => format!("#{id} elsewhere"),
            };
            (words, Role::Busy)
        }
        RunSign::Left(id) => (format!("▲ run #{id}: nobody watches it"), Role::Warn),
        RunSign::Works { id, counts, others } => {
            let others = if others > 0 { format!(" +{others}") } else { String::new() };
            let role = if counts.wrong() > 0 { Role::Error } else { Role::Busy };
            let far = match words {
                RunWords::Whole => format!("  {}", counts.words()),
                RunWords::Brief => format!("  {}", counts.brief()),
                RunWords::Signs => format!(" {}", counts.signs()),
            };
            (format!("run #{id}{far}{others}"), role)
        }
    };
    vec![paint.span(role, format!("{text} "))]
}

/// Draws the names of the views.
pub(in crate::dash) fn tabs(paint: &Paint<'_>, buffer: &mut Buffer, row: Rect) {
    let mut spans = vec![Span::raw(" ")];
    for (index, screen) in Screen::ALL.into_iter().enumerate() {
        let chosen = screen == paint.model.screen;
        let skip = line_width(&spans) as u16;
        let columns = width(screen.title()) as u16 + 2;
        let tab = Rect { x: row.x + skip, width: columns, ..row };
        let show = ClickTarget::Command(Command::Show(screen));
        paint.places.add(tab.intersection(row), show);
        spans.push(paint.span(Role::Accent, format!("{} ", index + 1)));
        let role = if chosen { Role::Title } else { Role::Dim };
        spans.push(paint.span(role, screen.title()));
        spans.push(Span::raw("   "));
    }
    put(buffer, row, 0, &Line::from(spans));
}
