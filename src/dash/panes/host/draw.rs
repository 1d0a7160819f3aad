//! The details of the selected host.
//!
//! ```text
//!  samsung ──────────────────────────────────────────────────────────────── measured 2 s ago
//!  reach     samsung.lan  4.0 ms, as root     closure   57 paths, 43.0 MB
//!  running now  samsung-26.05.2026 (2c4f8d1a) in p620   all 57 paths, 43.0 MB, signed p620-1 ✓
//!  next boot generation 77, the same          in nixos  31 of 57 paths, 12.1 of 43.0 MB
//!  units     ▲ bluetooth.service failed
//! ```
//!
//! In a narrow pane there is one column, the most important first; zoomed it scrolls.

use crate::dash::command::{Command, Context};
use crate::dash::model::Screen;
use crate::dash::panes;
use crate::dash::panes::problems::snippet_facts;
use crate::dash::theme::Role;
use crate::dash::widgets::facts::{Fact, Laid, fact, told, unknown};
use crate::dash::widgets::paint::{Paint, below};
use crate::dash::widgets::text::count;
use crate::dash::words::reasons::reason;
use crate::dash::words::runs::{behind_words, went};
use crate::dash::words::tiers::signature_mark;
use crate::dash::words::ways::{self, NextStep};
use crate::dash::words::{bytes_of, figure_role, finding_role, milliseconds, since, system_words};
use crate::dash::world::{HostModel, age, is_current};
use crate::fleet::words::deploys;
use crate::fleet::{
    Code, FilePlace, Finding, Host, HostFacts, NixFacts, PowerFacts, SettingsView, Severity,
    StorePath, SystemFacts, Tier, bytes, duration, percent, troubles,
};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::time::Duration;

/// Returns the rows that the details take below their rule, in that many columns.
pub(in crate::dash) fn rows(paint: &Paint<'_>, columns: u16) -> u16 {
    let Some((host, view)) = paint.model.selected() else { return 0 };
    laid(paint, host, view, columns).rows()
}

/// Draws the details below a rule and returns the rows they take; `zoomed` ones scroll.
pub(in crate::dash) fn draw(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    zoomed: bool,
) -> u16 {
    let Some((host, view)) = paint.model.selected() else { return 0 };
    let measured = match view.facts.measured_at {
        Some(then) => format!("measured {}", since(paint.now, then)),
        None => "never measured".to_owned(),
    };
    let title = match (host.read_only, host.protected) {
        (true, _) => format!("{} ⊘ read-only", host.name),
        (false, true) => format!("{} ⚷ protected", host.name),
        (false, false) => host.name.clone(),
    };
    paint.rule(buffer, area, &title, &measured);
    let area = below(area, 1);
    let laid = laid(paint, host, view, area.width);
    let (from, key) = if zoomed { (paint.model.details_scroll, "pgdn") } else { (0, "enter") };
    laid.draw(paint, buffer, area, from, key);
    laid.rows() + 1
}

fn laid(paint: &Paint<'_>, host: &Host, view: &HostModel, columns: u16) -> Laid {
    let all = [machine(paint, host, view), caches(paint, view), figures(view)];
    Laid::new(paint, columns, all, view.is_old(paint.now))
}

/// Returns what is known of the machine.
fn machine(paint: &Paint<'_>, host: &Host, view: &HostModel) -> Vec<Fact> {
    let facts = &view.facts;
    let mut all = wrong(facts);
    let last_run = last_run(paint, host);
    // Why a deploy failed is what somebody looks for here.
    let (failed, well) = if last_run.len() > 1 { (last_run, vec![]) } else { (vec![], last_run) };
    all.extend(failed);
    all.push(reach(host, view));
    all.extend(systems(&facts.system));
    all.extend(built_from(paint, host, view));
    all.extend(next(paint, view));
    all.extend(facts.nix.as_deref().map(nix_fact));
    all.push(units(paint, view));
    if let Some(power) = facts.power {
        all.push(power_fact(power));
    }
    all.extend(well);
    all
}

/// Returns what is wrong, and what is silenced. What is said beside the figures of one that
/// answers is not said twice.
fn wrong(facts: &HostFacts) -> Vec<Fact> {
    let is_beside = |finding: &&Finding| {
        facts.state.has_answered()
            && (finding.code.is_degraded()
                || [Code::BootDiffers, Code::NeedsReboot, Code::OnBattery].contains(&finding.code))
    };
    let troubles = troubles(&facts.findings).into_iter().filter(|it| !is_beside(it));
    let troubles = troubles.flat_map(|finding| {
        let label = format!("▲ {}", finding.code.label());
        let told = told(&label, finding_role(finding), finding.sentence());
        std::iter::once(told).chain(snippet_facts(finding))
    });
    let silenced = facts.findings.iter().filter(|finding| finding.is_silenced());
    let silenced = silenced.map(|finding| told("silenced", Role::Dim, finding.sentence()));
    let notes = facts.findings.iter().filter(|finding| {
        finding.severity == Severity::Note && !finding.is_silenced() && !is_beside(finding)
    });
    let notes = notes.map(|finding| told(finding.code.label(), Role::Text, finding.sentence()));
    troubles.chain(silenced).chain(notes).collect()
}

/// Returns which Nix the host has, whose settings are shown of it, and which caches it asks that
/// hosts.toml lacks.
fn nix_fact(nix: &NixFacts) -> Fact {
    let mut words = vec![nix.release.clone().unwrap_or_else(|| "–".to_owned())];
    words.extend(nix.view.map(|view| match view {
        SettingsView::Daemon => "settings of its daemon".to_owned(),
        SettingsView::File => {
            "settings of its files, which its daemon may not have read".to_owned()
        }
    }));
    words.extend(nix.fallback.map(|fallback| format!("fallback = {fallback}")));
    fact("nix", words.join(" · "))
}

fn reach(host: &Host, view: &HostModel) -> Fact {
    let Some(address) = &view.facts.address else {
        let addresses: Vec<_> = host.addresses.iter().map(ToString::to_string).collect();
        return ("reach".to_owned(), vec![(Role::Dim, format!("– {}", addresses.join(", ")))]);
    };
    let mut text = address.clone();
    if let Some(latency) = view.facts.latency_ms {
        text = format!("{text}  {}", milliseconds(latency));
    }
    if let Some(user) = &view.facts.user {
        text = format!("{text}, as {user}");
    }
    fact("reach", text)
}

/// Returns which systems run, were booted, and will boot; one line when they are the same.
fn systems(system: &SystemFacts) -> Vec<Fact> {
    let mut all = vec![match &system.running {
        Some(path) => fact("running now", system_words(path)),
        None => match &system.other_system {
            Some(other) => {
                let text = format!("{other}, not NixOS");
                ("running now".to_owned(), vec![(Role::Warn, text)])
            }
            None => unknown("running now"),
        },
    }];
    let same = |other: &Option<StorePath>| other.is_some() && *other == system.running;
    let reboot = match system.reboot_needed {
        Some(true) => (Role::Warn, " · ▲ needs reboot".to_owned()),
        Some(false) if same(&system.profile) => (Role::Text, " · no reboot needed".to_owned()),
        Some(false) => (Role::Text, String::new()),
        None => (Role::Dim, String::new()),
    };
    let number = system.generation.map(|number| format!("generation {number}, "));
    let number = number.unwrap_or_default();
    if same(&system.booted) && same(&system.profile) {
        let text = format!("{number}the same");
        all.push(("next boot".to_owned(), vec![(Role::Text, text), reboot]));
    } else {
        let booted = match &system.booted {
            None => (Role::Dim, "–".to_owned()),
            Some(_) if same(&system.booted) => (Role::Text, "the same".to_owned()),
            Some(path) => (Role::Text, system_words(path)),
        };
        all.push(("started with".to_owned(), vec![booted, reboot]));
        all.push(match (&system.profile, &system.running) {
            (None, _) => unknown("next boot"),
            (Some(_), Some(_)) if same(&system.profile) => {
                fact("next boot", format!("{number}the same as running now"))
            }
            (Some(path), Some(_)) => {
                let text = format!("▲ {number}different: {}", system_words(path));
                ("next boot".to_owned(), vec![(Role::Warn, text)])
            }
            (Some(path), None) => fact("next boot", format!("{number}{}", system_words(path))),
        });
    }
    let versions = [("NixOS", &system.nixos_version), ("Nix", &system.nix_version)];
    let versions = versions.map(|(name, version)| {
        version.as_ref().map_or(format!("{name} –"), |version| format!("{name} {version}"))
    });
    all.push(fact("version", versions.join(", ")));
    all
}

/// Returns which revision the running system was built from, and how far that is behind the flake;
/// nothing of a host that was not asked for it.
fn built_from(paint: &Paint<'_>, host: &Host, view: &HostModel) -> Option<Fact> {
    view.facts.upkeep.as_ref()?;
    let label = "built from";
    let Some(from) = view.built_from() else { return Some(unknown(label)) };
    let dirty = if from.is_dirty() { ", with uncommitted changes" } else { "" };
    let mut words = vec![(Role::Text, format!("{}{dirty}", deploys::built_from(from, paint.now)))];
    let world = &paint.model.world;
    if world.fleet.flake_of(host).is_some() {
        let (role, behind) = behind_words(world.ancestry(host, view));
        words.push((role, format!(", {behind}")));
    }
    Some((label.to_owned(), words))
}

/// What a person does next about units that failed.
const UNIT_WAYS: [NextStep; 1] = [(Command::Units, "units and their journals")];

/// Returns how the units are; of those that failed also how to read why.
fn units(paint: &Paint<'_>, view: &HostModel) -> Fact {
    let state = view.facts.system_state.as_deref().unwrap_or_default();
    match &view.facts.failed_units {
        None => unknown("units"),
        Some(units) if units.is_empty() && (state.is_empty() || state == "running") => {
            fact("units", "none failed")
        }
        Some(units) if units.is_empty() => {
            ("units".to_owned(), vec![(Role::Warn, format!("▲ none failed, but {state}"))])
        }
        Some(units) => {
            let mut said = vec![(Role::Warn, format!("▲ {} failed", units.join(", ")))];
            let keys = open_ways(paint, &UNIT_WAYS);
            if !keys.is_empty() {
                said.push((Role::Text, format!(" · {keys}")));
            }
            ("units".to_owned(), said)
        }
    }
}

fn power_fact(power: PowerFacts) -> Fact {
    let charge = power.battery.map(|percent| format!("{percent} %"));
    match (power.on_mains, charge) {
        (Some(true), Some(charge)) => fact("power", format!("mains, battery {charge}")),
        (Some(true), None) => fact("power", "mains"),
        (Some(false), Some(charge)) => {
            ("power".to_owned(), vec![(Role::Warn, format!("on battery, {charge}"))])
        }
        (Some(false), None) => ("power".to_owned(), vec![(Role::Warn, "on battery".to_owned())]),
        (None, Some(charge)) => fact("power", format!("battery {charge}")),
        (None, None) => unknown("power"),
    }
}

/// What a person does next about a host whose last run failed.
const WAYS: [NextStep; 3] = [
    (Command::Log, "its log at the error"),
    (Command::Deploy, "deploy again"),
    (Command::Generations, "roll back"),
];

/// Returns how the last run of a host went; of one that failed also why, and what to do.
fn last_run(paint: &Paint<'_>, host: &Host) -> Vec<Fact> {
    let Some((run, part)) = paint.model.world.last_run(&host.name) else {
        return vec![told("last run", Role::Dim, "none seen")];
    };
    let (role, text) = went(paint, run, part);
    let failed = part.result.as_ref().filter(|result| result.outcome.is_trouble());
    let Some(why) = failed.and_then(|result| reason(&host.name, result, 0)) else {
        return vec![told("last run", role, text)];
    };
    let mut all = vec![told("✗ last run", role, format!("{text}: {}", why.text()))];
    all.extend(why.fix.as_ref().map(|fix| fact("to do", fix.as_str())));
    // One that runs what it ran before has nothing to go back from.
    let has_new = part.result.as_ref().is_some_and(|result| result.outcome.is_new_system());
    let ways: Vec<NextStep> = WAYS
        .into_iter()
        .filter(|(command, _)| *command != Command::Generations || has_new)
        .collect();
    let keys = open_ways(paint, &ways);
    if !keys.is_empty() {
        all.push(fact("keys", keys));
    }
    all
}

/// Returns those of the ways that are open now, each with its key.
fn open_ways(paint: &Paint<'_>, all: &[NextStep]) -> String {
    let is_open = |command| panes::can(paint.model, command);
    ways::in_words(&paint.model.keymap, Context::View(Screen::Fleet), all, is_open)
}

/// Returns load, memory, room, store and uptime.
fn figures(view: &HostModel) -> Vec<Fact> {
    let facts = &view.facts;
    let load = facts.load1.map(|load| match facts.cpus {
        Some(cpus) => format!("{load:.2} on {cpus} CPUs"),
        None => format!("{load:.2}"),
    });
    let pair = |pair: Option<crate::fleet::Bytes>| {
        pair.map(|pair| {
            let share = pair.share().map(percent).unwrap_or_default();
            format!("{}, {share}", bytes_of(pair.used, pair.total))
        })
    };
    let uptime = facts.uptime_s.map(|seconds| duration(Duration::from_secs(seconds)));
    let mut all = Vec::new();
    let disk = &[Code::DiskLow, Code::FilesLow, Code::StoreReadOnly][..];
    for (label, text, codes) in [
        ("load", load, &[Code::LoadHigh][..]),
        ("memory", pair(facts.memory), &[Code::MemoryLow]),
        ("/nix", pair(facts.disk), disk),
        ("room", places(facts), &[Code::BootLow, Code::VarLow, Code::TmpLow, Code::RunLow]),
        ("up", uptime, &[]),
    ] {
        let role = figure_role(facts, codes);
        all.push(text.map_or_else(|| unknown(label), |text| told(label, role, text)));
    }
    all
}

/// Returns the room of places besides the store, where it is another.
fn places(facts: &HostFacts) -> Option<String> {
    let words = facts.places.iter().map(|(place, room)| {
        let path = match place {
            FilePlace::Boot => "/boot",
            FilePlace::Var => "/var",
            FilePlace::Tmp => "/tmp",
            FilePlace::Run => "/run",
        };
        format!("{path} {}", bytes(room.free()))
    });
    let words: Vec<String> = words.collect();
    (!words.is_empty()).then(|| format!("{} free", words.join(", ")))
}

/// Returns what is known of the store, and which tier holds how much of what runs.
fn caches(paint: &Paint<'_>, view: &HostModel) -> Vec<Fact> {
    let mut all = vec![match &view.store {
        None => unknown("store"),
        Some(store) => {
            let counted = since(paint.now, store.measured_at);
            let text =
                format!("{} paths, {}, counted {counted}", count(store.paths), bytes(store.bytes));
            fact("store", text)
        }
    }];
    let tiers = paint.model.world.fleet.tiers.iter().zip(&paint.model.world.tiers);
    for (tier, tier_view) in tiers.filter(|(tier, _)| tier.kind.is_substituter()) {
        all.push(coverage(paint, view, tier, &tier_view.facts));
    }
    all
}

/// Returns what the host runs next, where something is known to come.
fn next(paint: &Paint<'_>, view: &HostModel) -> Option<Fact> {
    let next = &view.next;
    let toplevel =
        next.toplevel.as_ref().filter(|it| view.facts.system.running.as_ref() != Some(*it));
    let system = system_words(toplevel?);
    if let Some(error) = &next.error {
        return Some(("next".to_owned(), vec![(Role::Warn, format!("▲ {system}: {error}"))]));
    }
    let when = next.known_at.map(|then| format!(" {}", since(paint.now, then)));
    let when = when.unwrap_or_default();
    if next.partial {
        let to_build = next.to_build.map_or_else(|| "–".to_owned(), count);
        return Some(fact(
            "next",
            format!("{system}, {to_build} to build, evaluated{when}, partial"),
        ));
    }
    let new = match next.new {
        Some(new) => format!(", {} new paths, {}", count(new.paths), bytes(new.bytes)),
        None => String::new(),
    };
    Some(fact("next", format!("{system}, built{when}{new}")))
}

fn coverage(
    paint: &Paint<'_>,
    view: &HostModel,
    tier: &Tier,
    facts: &crate::fleet::TierFacts,
) -> Fact {
    let label = format!("in {}", tier.name);
    let Some(coverage) = view.coverage.tiers.get(&tier.name) else {
        return (label, vec![(Role::Dim, "– not measured".to_owned())]);
    };
    if !is_current(&view.facts, &view.coverage) {
        let text = "– measured for an earlier system".to_owned();
        return (label, vec![(Role::Dim, text)]);
    }
    let paths = coverage.paths;
    let bound = coverage.bound();
    let mut text = if paths.have == paths.total {
        format!("{bound}all {} paths, {}", count(paths.total), bytes(coverage.bytes.total))
    } else {
        let sizes = bytes_of(coverage.bytes.have, coverage.bytes.total);
        format!("{bound}{} of {} paths, {sizes}", count(paths.have), count(paths.total))
    };
    let age = age(paint.now, coverage.measured_at);
    if age > Duration::from_secs(120) {
        text = format!("{text}, {}", since(paint.now, coverage.measured_at));
    }
    let mark = signature_mark(tier, facts);
    (
        label,
        vec![
            (Role::Text, format!("{text}, ")),
            (if mark.role == Role::Ok { Role::Text } else { mark.role }, mark.word),
            (mark.role, format!(" {}", mark.sign)),
        ],
    )
}
