//! What changes from one system to another, as lines for the command line and the screen.

use crate::fleet::words::{deploys, without_name};
use crate::fleet::{
    ChangeKind, Generations, HostPlan, PackageChange, Plan, PlannedChanges, RefusedPaths,
    RestartReason, Route, StorePath, SystemChanges, bytes, in_a_list,
};

/// Returns a system that fits in a line: its name, and the first letters of its hash.
pub fn system_words(path: &StorePath) -> String {
    let name = path.name();
    let name = name.strip_prefix("nixos-system-").unwrap_or(name);
    format!("{name} ({})", &path.hash()[..8])
}

/// Returns a size that grew or shrank, with its sign: `+3.20 MB`, `-12 B`, `±0 B`.
pub fn signed_bytes(growth: i64) -> String {
    let size = bytes(growth.unsigned_abs());
    match growth {
        0 => format!("±{size}"),
        1.. => format!("+{size}"),
        _ => format!("-{size}"),
    }
}

/// Returns what changes as a table: a line for each package, aligned. The packages whose size alone
/// differs come last.
pub fn package_lines(changes: &SystemChanges) -> Vec<String> {
    let widest = |text: fn(&PackageChange) -> String| {
        changes.packages.iter().map(|change| text(change).chars().count()).max().unwrap_or(0)
    };
    let name_width = widest(|change| change.name.clone());
    let versions_width = widest(PackageChange::versions).min(60);
    let line = |change: &PackageChange| {
        let size = match (change.kind, change.bytes) {
            (_, None | Some(0)) => String::new(),
            (_, Some(growth)) => signed_bytes(growth),
        };
        let (kind, name, versions) = (change.kind.word(), &change.name, change.versions());
        let line = format!("{kind:<10}  {name:<name_width$}  {versions:<versions_width$}  {size}");
        line.trim_end().to_owned()
    };
    changes.packages.iter().map(line).collect()
}

/// Returns what changes in one sentence: how many packages, how many paths, and the size.
pub fn summary(changes: &SystemChanges) -> String {
    let mut parts: Vec<String> = ChangeKind::ALL
        .into_iter()
        .filter_map(|kind| match changes.of_kind(kind).count() {
            0 => None,
            count => Some(format!("{count} {}", kind.word())),
        })
        .collect();
    if parts.is_empty() {
        parts.push("no package changes its version".to_owned());
    }
    if let (Some(added), Some(removed)) = (changes.paths_added, changes.paths_removed) {
        parts.push(format!("{added} new paths and {removed} paths removed"));
    }
    if let (Some(after), Some(growth)) = (changes.bytes_after, changes.growth()) {
        parts.push(format!("{} in all ({})", bytes(after), signed_bytes(growth)));
    }
    let told = parts.join(", ");
    if changes.partial {
        return format!(
            "{told}; the new system is not built yet, so what it adds and removes is not known"
        );
    }
    told
}

/// Says what is done to a host where that is another action than the plan's, what must be done until it has
/// its new system, and where from: how much is built and
/// downloaded, or that it is there already.
pub fn work(host: &HostPlan) -> String {
    let action = host.goal.map(|goal| format!("{goal}, as hosts.toml says; ")).unwrap_or_default();
    format!("{action}{}", made(host))
}

/// Says what is built, downloaded and fetched for a host.
fn made(host: &HostPlan) -> String {
    if let Some(generation) = host.generation {
        return format!("goes to generation {generation}, already on the host");
    }
    let count = |number: Option<u64>| number.map_or("?".to_owned(), |n| n.to_string());
    let place = host.build_on();
    let changes = host.changes.as_deref();
    let size = changes.and_then(|changes| changes.download_bytes).filter(|bytes| *bytes > 0);
    let size = size.map(|size| format!(" ({})", bytes(size))).unwrap_or_default();
    let (built, downloaded) = (count(host.to_build), count(host.to_download));
    let from = match &host.route {
        Route::Direct => String::new(),
        Route::ViaCache { tier, .. } => format!("; fetches from {tier}"),
        Route::Push { builder } => format!("; copied from {builder} over ssh"),
    };
    format!("{built} to build on {place}, {downloaded} to download there{size}{from}")
}

/// Returns what a plan knows of the changes on a host, as lines: the packages, then everything in one
/// sentence, then what a restart is needed for. Nothing where nothing is known.
pub fn of_plan(host: &HostPlan) -> Vec<String> {
    let Some(changes) = host.changes.as_deref() else { return Vec::new() };
    let mut lines = Vec::new();
    if let Some(system) = &changes.system {
        lines.extend(package_lines(system));
        lines.push(summary(system));
    } else if host.running.is_some() && !host.unchanged {
        lines.push("what changes is not known: no host that was asked has both systems".to_owned());
    }
    lines.extend(held(host, changes));
    lines.extend(refused(host, changes));
    lines.extend(restart(&changes.restart));
    if host.reboots {
        lines.push("it is restarted when its new system is permanent".to_owned());
    }
    lines
}

/// Says which tiers hold how much of what the host fetches, or of what the host that builds must download first:
/// while it lacks something, nobody knows yet what the host fetches in the end.
fn held(host: &HostPlan, changes: &PlannedChanges) -> Option<String> {
    let total = changes.held.values().next()?.total;
    let tiers = changes.held.iter().map(|(tier, share)| match share.have {
        0 => format!("cache {tier} has none"),
        have if have == total => format!("cache {tier} has all"),
        have => format!("cache {tier} has {have}"),
    });
    let tiers = in_a_list(&tiers.collect::<Vec<_>>());
    let is_built = changes.system.as_ref().is_some_and(|system| !system.partial);
    let (who, does) = match host.to_download {
        Some(1..) if !is_built => (host.build_on(), "downloads"),
        Some(_) | None => (host.host.as_str(), "fetches"),
    };
    Some(match total {
        1 => format!("of the 1 path that {who} {does}, {tiers}"),
        _ => format!("of the {total} paths that {who} {does}, {tiers}"),
    })
}

/// Says which paths are compiled though another host has them, and why.
fn refused(host: &HostPlan, changes: &PlannedChanges) -> Option<String> {
    let RefusedPaths { count, on } = changes.refused.as_ref()?;
    let host = &host.host;
    Some(match count {
        1 => format!(
            "1 path that {on} has is compiled, with what it needs: no key that {host} trusts signed it"
        ),
        _ => format!(
            "{count} paths that {on} has are compiled, with what they need: no key that {host} trusts signed them"
        ),
    })
}

/// Says why a restart is needed until all of a system is new; nothing where none is.
pub fn restart(reasons: &[RestartReason]) -> Option<String> {
    let phrases: Vec<String> = reasons.iter().map(RestartReason::phrase).collect();
    (!phrases.is_empty()).then(|| format!("restart needed for {}", phrases.join(", ")))
}

/// Returns what a generation is in use for, and whether it did not do well, in a few words; empty where neither is.
pub fn in_use(generations: &Generations, number: u64) -> String {
    let uses = [
        (generations.running_number(), "running"),
        (generations.booted_number(), "booted"),
        (generations.next_number(), "next boot"),
    ];
    let words = uses.into_iter().filter(|(one, _)| *one == Some(number));
    let words = words.map(|(_, word)| word.to_owned());
    let mark = generations.get(number).and_then(|one| one.mark.as_ref()).map(ToString::to_string);
    words.chain(mark).collect::<Vec<_>>().join(", ")
}

/// Returns what is worth knowing of a host's generations, a sentence each.
pub fn notes(generations: &Generations) -> Vec<String> {
    let mut notes = Vec::new();
    if let (Some(running), None) = (&generations.running, generations.running_number()) {
        notes.push(format!(
            "the running system is not a generation: {running} (a tested system is gone after a \
             restart)"
        ));
    }
    if let (Some(booted), None) = (&generations.booted, generations.booted_number()) {
        notes
            .push(format!("what the host was started with is not a generation any more: {booted}"));
    }
    match (&generations.next_boot.system, generations.next_number()) {
        (None, _) if generations.next_boot.pinned.is_some() => {}
        (None, _) => notes.push(
            "what starts at the next boot is not known: the boot loader's files could not be read"
                .to_owned(),
        ),
        (Some(system), None) => {
            notes.push(format!("the next boot starts a system that is not a generation: {system}"));
        }
        (Some(_), Some(_)) => {}
    }
    if let Some(pin) = &generations.next_boot.pinned {
        notes.push(format!("the next boot is pinned: {pin}"));
    }
    notes
}

/// Says which revision the system was built from that is replaced on a host, and how far that was behind the new one
/// when the plan was made; nothing where the host did not say it.
pub fn replaced(host: &HostPlan) -> Option<String> {
    let system = system_words(host.running.as_ref()?);
    let Some(replaced) = &host.replaces else { return Some(system) };
    let behind = replaced.ancestry.map(|ancestry| deploys::behind(ancestry, "the new system"));
    let behind = behind.map(|behind| format!(", {behind}")).unwrap_or_default();
    let revision = deploys::revision_words(&replaced.revision);
    Some(format!("{system}, built from {revision}{behind}"))
}

/// Returns the hosts to which a plan brings nothing yet, in the order of the run, each with why; the host's name is not
/// said again.
pub fn set_aside<'a>(
    plan: &'a Plan,
    order: impl IntoIterator<Item = &'a str>,
) -> Vec<(&'a str, String)> {
    let order: Vec<&str> = order.into_iter().collect();
    let mut hosts: Vec<(&String, &String)> = plan.set_aside.iter().collect();
    let place = |host: &str| order.iter().position(|name| *name == host).unwrap_or(usize::MAX);
    hosts.sort_by_key(|(host, _)| place(host));
    let told = hosts.into_iter().map(|(host, why)| {
        let how = if plan.waited_for.contains(host) { "away, waited for" } else { "set aside" };
        (host.as_str(), format!("{how}: {}", without_name(host, why)))
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Goal, RestartPart, Share, StorePath, Strategy};

    #[test]
    fn hosts_that_are_set_aside_stand_in_the_order_of_the_run_and_are_named_once() {
        let why = |host: &str| (host.to_owned(), format!("{host}: ssh: no route; is it on?"));
        let plan = Plan {
            goal: Goal::Switch,
            strategy: Strategy::Direct,
            revision: None,
            source: None,
            findings: Vec::new(),
            hosts: Vec::new(),
            set_aside: ["h1", "h10", "h2"].map(why).into(),
            waited_for: vec!["h2".to_owned()],
        };
        let said = |host, how: &str| (host, format!("{how}: ssh: no route; is it on?"));
        let (aside, waited) = ("set aside", "away, waited for");
        let told = [said("h1", aside), said("h2", waited), said("h10", aside)];
        assert_eq!(set_aside(&plan, ["h1", "h2", "h10"]), told);
        assert_eq!(set_aside(&plan, []).len(), 3);
    }

    fn change(name: &str, kind: ChangeKind, before: &[&str], after: &[&str]) -> PackageChange {
        let owned = |list: &[&str]| list.iter().map(|&one| one.to_owned()).collect();
        PackageChange {
            name: name.to_owned(),
            kind,
            before: owned(before),
            after: owned(after),
            bytes: Some(if kind == ChangeKind::Added { 2048 } else { -30_000_000 }),
        }
    }

    #[test]
    fn changes_are_lines_of_a_table() {
        let changes = SystemChanges {
            packages: vec![
                change("firefox", ChangeKind::Upgraded, &["144.0"], &["145.0"]),
                change("linux", ChangeKind::Downgraded, &["6.12.58"], &["6.12.57"]),
                change("etc-hosts", ChangeKind::Added, &[], &[]),
            ],
            paths_added: Some(3),
            paths_removed: Some(2),
            bytes_before: Some(7_930_000_000),
            bytes_after: Some(7_900_000_000),
            partial: false,
        };
        insta::assert_snapshot!(package_lines(&changes).join("\n"), @"
        upgraded    firefox    144.0 → 145.0      -30.0 MB
        downgraded  linux      6.12.58 → 6.12.57  -30.0 MB
        added       etc-hosts                     +2.05 kB
        ");
        assert_eq!(
            summary(&changes),
            "1 upgraded, 1 downgraded, 1 added, 3 new paths and 2 paths removed, 7.90 GB in all \
             (-30.0 MB)"
        );
        let partial = SystemChanges { partial: true, ..SystemChanges::default() };
        assert_eq!(
            summary(&partial),
            "no package changes its version; the new system is not built yet, so what it adds and removes is \
             not known"
        );
    }

    #[test]
    fn what_the_builder_downloads_is_not_called_what_the_host_fetches() {
        let system = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-nixos-system-samsung-1";
        let share = Share { have: 9, total: 12 };
        let changes = PlannedChanges {
            held: [("nixos".to_owned(), share)].into(),
            ..PlannedChanges::default()
        };
        let mut host = HostPlan {
            host: "samsung".to_owned(),
            goal: None,
            route: Route::Push { builder: "p620".to_owned() },
            why: None,
            toplevel: StorePath::parse(system).unwrap(),
            drv: None,
            running: None,
            replaces: None,
            profile: None,
            built_from: None,
            to_build: Some(1),
            to_download: Some(12),
            changes: Some(Box::new(changes)),
            generation: None,
            reboots: false,
            wave: None,
            unchanged: false,
            notes: Vec::new(),
            findings: Vec::new(),
        };
        assert_eq!(of_plan(&host), ["of the 12 paths that p620 downloads, cache nixos has 9"]);
        (host.to_build, host.to_download) = (Some(0), Some(0));
        assert_eq!(of_plan(&host), ["of the 12 paths that samsung fetches, cache nixos has 9"]);
        let refused = Some(RefusedPaths { count: 3, on: "p620".to_owned() });
        host.changes = Some(Box::new(PlannedChanges { refused, ..PlannedChanges::default() }));
        let said = "3 paths that p620 has are compiled, with what they need: no key that samsung trusts signed them";
        assert_eq!(of_plan(&host), [said]);
    }

    #[test]
    fn a_restart_says_what_it_is_needed_for() {
        let reason = |part, before: &str, after: &str| RestartReason {
            part,
            before: Some(before.to_owned()),
            after: Some(after.to_owned()),
        };
        let reasons = [
            reason(RestartPart::Kernel, "6.12.57", "6.12.58"),
            reason(RestartPart::Initrd, "1", "1"),
        ];
        assert_eq!(
            restart(&reasons).as_deref(),
            Some("restart needed for kernel 6.12.57 → 6.12.58, initrd")
        );
        assert_eq!(restart(&[]), None);
    }
}
