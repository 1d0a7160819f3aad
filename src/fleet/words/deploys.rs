//! What is worth knowing of deploys to a host, in words: for its panel and for a deploy's plan.

use crate::fleet::{
    Ancestry, Code, DeployedFrom, Finding, FlakeSource, HostFacts, NixSnippet, Subject, ago,
    number_of,
};
use jiff::Timestamp;
use std::time::Duration;

/// How to learn what a repository does not know of commits.
const FETCH: &str = "run `git fetch` in the flake's repository to see it, in a shallow clone `git fetch --unshallow`";

/// Most changed files that are named.
const NAMED: usize = 5;

/// Returns what the facts of a host say of deploys.
pub(super) fn of_deploys(host: &str, facts: &HostFacts) -> Option<Finding> {
    deployed_by_others(host, &facts.upkeep.as_ref()?.deploys.by_themselves)
}

/// Says that tools on a host deploy to it by themselves.
pub fn deployed_by_others(host: &str, units: &[String]) -> Option<Finding> {
    let (first, others) = units.split_first()?;
    let tool = match first.as_str() {
        "nixos-upgrade.timer" => "system.autoUpgrade",
        "comin.service" => "comin",
        "cachix-agent.service" => "Cachix Deploy",
        "nixfleet-agent.service" => "nixfleet",
        "bento-upgrade.timer" => "bento",
        "nixos-autodeploy.timer" => "nixos-autodeploy",
        other => other,
    };
    let more = if others.is_empty() { String::new() } else { format!(", {}", others.join(", ")) };
    let cause = format!(
        "{tool} is enabled on {host} ({first}{more}) and deploys to it by itself: it will undo what is deployed from here"
    );
    let fix = format!(
        "switch it off in the host's configuration, or set `read_only = true` for {host} in hosts.toml and let it deploy"
    );
    let finding = Finding::new(Subject::host(host), Code::DeployedByOthers, &cause, &fix);
    let off = match first.as_str() {
        "nixos-upgrade.timer" => Some("system.autoUpgrade.enable = false;"),
        "comin.service" => Some("services.comin.enable = false;"),
        "cachix-agent.service" => Some("services.cachix-agent.enable = false;"),
        _ => None,
    };
    let finding = match off.filter(|_| others.is_empty()) {
        Some(off) => finding.with_snippet(NixSnippet::lines(off)),
        None => finding,
    };
    Some(finding.in_short(&format!("{tool} deploys")))
}

/// Says that a host's Nix is older than what today's nixpkgs needs; `oldest` is the first that it takes.
pub fn nix_old(host: &str, version: &str, oldest: &str) -> Finding {
    let cause = format!(
        "{host} has Nix {version}: today's nixpkgs needs {oldest} or newer, so {host} cannot evaluate or build every system itself"
    );
    let fix = "deploy a newer Nix there, built elsewhere";
    Finding::new(Subject::host(host), Code::NixOld, &cause, fix)
}

/// Returns a revision as people read it: short.
pub fn short_revision(revision: &str) -> String {
    let (commit, dirty) = match revision.strip_suffix("-dirty") {
        Some(commit) => (commit, "-dirty"),
        None => (revision, ""),
    };
    format!("{}{dirty}", commit.chars().take(9).collect::<String>())
}

/// Returns a revision short enough for a line of a sentence: `8f2c1abcd dirty`.
pub fn revision_words(revision: &str) -> String {
    match revision.split_once('-') {
        Some((hash, rest)) => format!("{} {rest}", short_revision(hash)),
        None => short_revision(revision),
    }
}

/// Returns what runs on a host was built from, as a clause: `revision 0123abcd (deployed by me@desk 2 h ago)`.
pub fn built_from(from: &DeployedFrom, now: Timestamp) -> String {
    let by = from.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let at = from.at.and_then(|at| Duration::try_from(now.duration_since(at)).ok());
    let at = at
        .map(|age| match age.as_secs() {
            0 => " just now".to_owned(),
            _ => format!(" {} ago", ago(age)),
        })
        .unwrap_or_default();
    let how =
        if by.is_empty() && at.is_empty() { String::new() } else { format!(" (deployed{by}{at})") };
    format!("revision {}{how}", short_revision(&from.revision))
}

/// Says that a deploy leaves out what runs on the host; nothing where it contains it. `to_deploy` is the
/// revision of the flake.
pub fn not_contained(
    host: &str,
    from: &DeployedFrom,
    ancestry: Option<Ancestry>,
    to_deploy: &str,
    now: Timestamp,
) -> Option<Finding> {
    let runs = built_from(from, now);
    let to_deploy = short_revision(to_deploy);
    let subject = Subject::host(host);
    let Some(ancestry) = ancestry else {
        let cause = format!(
            "{host} runs {runs}, and git does not know here whether {to_deploy} contains that: it lacks one of them, or commits between them"
        );
        return Some(Finding::new(subject, Code::RevisionUnknown, &cause, FETCH));
    };
    if ancestry.is_contained() {
        return None;
    }
    let lacks = commits(ancestry.ahead);
    let cause = format!(
        "{host} runs {runs}, which {to_deploy} does not contain: this deploy takes {lacks} away from it"
    );
    let fix = "merge or pull that revision first, or deploy with `--allow-older`";
    Some(Finding::new(subject, Code::RevisionNotContained, &cause, fix))
}

/// Says that a host which gets another system runs changes that are in no revision.
pub fn not_committed(host: &str, from: &DeployedFrom, now: Timestamp) -> Finding {
    let base = DeployedFrom { revision: from.commit().to_owned(), ..from.clone() };
    let cause = format!(
        "{host} runs changes that are in no revision, made on top of {}: this deploy takes away what of them the new system does not have",
        built_from(&base, now)
    );
    let fix = "commit those changes and deploy that revision, or deploy with `--allow-older`";
    Finding::new(Subject::host(host), Code::RevisionNotContained, &cause, fix)
}

/// Says that a deploy may leave out what runs on the host: of which revision it is made is not known.
pub fn contains_unknown(host: &str, from: &DeployedFrom, now: Timestamp) -> Finding {
    let runs = built_from(from, now);
    let cause = format!(
        "{host} runs {runs}, and it is not known here of which revision the system to deploy is, so it may not contain that"
    );
    let fix = "deploy a flake in a git repository of this machine to see it";
    Finding::new(Subject::host(host), Code::RevisionUnknown, &cause, fix)
}

/// Says what is worth knowing of what a run deploys: changes that are not committed, and the age of
/// `flake.lock`.
pub fn of_source(run: &str, source: &FlakeSource, now: Timestamp) -> Vec<Finding> {
    let subject = || Subject::Run { run: run.to_owned(), host: None };
    let mut found = Vec::new();
    if !source.changed.is_empty() {
        let named = source.changed.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        let more = match source.changed.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let cause = format!(
            "the work tree of the flake has changes that are not committed: {named}{more}; what is deployed is in no revision"
        );
        let fix = "commit the changes, then deploy";
        found.push(Finding::new(subject(), Code::TreeDirty, &cause, fix));
    }
    if let Some((input, at)) = &source.locked {
        let age = Duration::try_from(now.duration_since(*at)).unwrap_or_default();
        let cause = format!("flake.lock: its {input} is {} old", ago(age));
        let fix = "run `nix flake update` when it is too old";
        found.push(Finding::new(subject(), Code::LockAge, &cause, fix));
    }
    found
}

/// Returns so many commits in words.
pub fn commits(count: u64) -> String {
    number_of(count, "commit")
}

/// Says by how many commits a revision is behind another one, which `than` names.
pub fn behind(ancestry: Ancestry, than: &str) -> String {
    match ancestry {
        Ancestry { behind: 0, ahead: 0 } => format!("as new as {than}"),
        Ancestry { behind, ahead: 0 } => format!("{} behind {than}", commits(behind)),
        Ancestry { behind, ahead } => {
            format!("{} behind {than}, with {} that {than} lacks", commits(behind), commits(ahead))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from() -> DeployedFrom {
        DeployedFrom::parse("0123456789abcdef\tflake\tme@desk\t0").unwrap()
    }

    #[test]
    fn a_tool_that_deploys_by_itself_is_named_and_it_is_said_that_it_undoes_a_deploy() {
        let units = ["nixos-upgrade.timer".to_owned(), "comin.service".to_owned()];
        let found = deployed_by_others("samsung", &units).unwrap();
        assert_eq!(
            found.cause,
            "system.autoUpgrade is enabled on samsung (nixos-upgrade.timer, comin.service) and deploys to it by itself: it will undo what is deployed from here"
        );
        assert_eq!(deployed_by_others("samsung", &[]), None);
    }

    #[test]
    fn a_dirty_tree_names_its_files_and_the_lock_its_age() {
        let now = Timestamp::from_second(86_400 * 41).unwrap();
        let source = FlakeSource {
            flake: "/home/me/nixos".to_owned(),
            commit: "0123456789abcdef".to_owned(),
            changed: (1..=7).map(|n| format!("{n}.nix")).collect(),
            locked: Some(("nixpkgs".to_owned(), Timestamp::UNIX_EPOCH)),
        };
        assert_eq!(source.revision(), "0123456789abcdef-dirty");
        let found = of_source("4", &source, now);
        let causes: Vec<&str> = found.iter().map(|finding| finding.cause.as_str()).collect();
        assert_eq!(
            causes,
            [
                "the work tree of the flake has changes that are not committed: 1.nix, 2.nix, 3.nix, 4.nix, 5.nix and 2 more; what is deployed is in no revision",
                "flake.lock: its nixpkgs is 41 d old",
            ]
        );
        let clean = FlakeSource { changed: Vec::new(), locked: None, ..source };
        assert_eq!(of_source("4", &clean, now), []);
    }

    #[test]
    fn a_host_that_runs_changes_of_no_revision_says_who_deployed_them_and_when() {
        let now = Timestamp::from_second(7200).unwrap();
        let runs = DeployedFrom::parse("0123456789abcdef-dirty\tflake\tme@desk\t0").unwrap();
        let found = not_committed("s", &runs, now);
        assert_eq!(found.code, Code::RevisionNotContained);
        assert_eq!(
            found.cause,
            "s runs changes that are in no revision, made on top of revision 012345678 (deployed by me@desk 2 h ago): this deploy takes away what of them the new system does not have"
        );
    }

    #[test]
    fn a_deploy_that_takes_commits_away_says_how_many() {
        let now = Timestamp::from_second(7200).unwrap();
        let ancestry = |behind, ahead| Some(Ancestry { behind, ahead });
        assert_eq!(not_contained("s", &from(), ancestry(3, 0), "fedcba9876543", now), None);
        let found =
            not_contained("s", &from(), ancestry(1, 2), "fedcba9876543-dirty", now).unwrap();
        assert_eq!(
            found.cause,
            "s runs revision 012345678 (deployed by me@desk 2 h ago), which fedcba987-dirty does not contain: this deploy takes 2 commits away from it"
        );
        let unknown = not_contained("s", &from(), None, "fedcba9876543", now).unwrap();
        assert_eq!(unknown.code, Code::RevisionUnknown);
        assert!(unknown.fix.contains("`git fetch --unshallow`"), "{}", unknown.fix);
        let unknown = contains_unknown("s", &from(), now);
        assert_eq!(unknown.code, Code::RevisionUnknown);
        assert_eq!(
            unknown.cause,
            "s runs revision 012345678 (deployed by me@desk 2 h ago), and it is not known here of which revision the system to deploy is, so it may not contain that"
        );
    }
}
