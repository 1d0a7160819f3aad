//! How long a build still takes, told from what its packages usually take.

use super::node::{BuildNode, BuildState};
use super::tree::BuildTree;
use crate::fleet::UsualBuilds;
use std::time::Duration;

/// Of so many derivations that are left, the time of one may be unknown.
const UNKNOWN_OF: usize = 5;

impl BuildTree {
    /// Returns how long what is not built yet takes: as long as the longest chain in which one waits for
    /// the other, and at least as long as all of it takes where as many are built at once as now. A chain
    /// is one derivation where it is not known which needs which.
    ///
    /// None where nothing is left, or of more than a fifth of it is not known what it usually takes.
    pub fn time_left(&self, now: Duration, usual: &UsualBuilds) -> Option<Duration> {
        let all = self.nodes().iter();
        let open: Vec<bool> = all
            .clone()
            .zip(self.made_elsewhere())
            .map(|(node, is_there)| is_open(node.state()) && !is_there)
            .collect();
        let left = |(node, is_open): (&BuildNode, &bool)| {
            if *is_open { left_of(node, now, usual) } else { Duration::ZERO }
        };
        let left: Vec<Duration> = all.clone().zip(&open).map(left).collect();
        let nodes = all.zip(&open).filter(|(_, is_open)| **is_open);
        let nodes: Vec<&BuildNode> = nodes.map(|(node, _)| node).collect();
        let unknown = nodes.iter().filter(|node| !usual.contains_key(node.package())).count();
        let count = nodes.len();
        if count == 0 || unknown * UNKNOWN_OF > count {
            return None;
        }
        let running = nodes.iter().filter(|node| node.state() == BuildState::Running).count();
        let sum: Duration = left.iter().sum();
        let at_once = u32::try_from(running.max(1)).unwrap_or(u32::MAX);
        Some(self.longest_chain(&open, &left).max(sum / at_once))
    }

    /// Returns how long the longest chain takes of derivations that are open.
    fn longest_chain(&self, open: &[bool], left: &[Duration]) -> Duration {
        // What is needed comes before what needs it; each is begun once, so that a circle ends.
        let mut chains: Vec<Option<Duration>> = vec![None; left.len()];
        let mut is_begun = vec![false; left.len()];
        for start in (0..left.len()).filter(|index| open[*index]) {
            let mut stack = vec![start];
            while let Some(&index) = stack.last() {
                let inputs = self.inputs_of(index).filter(|input| open[*input]);
                if !std::mem::replace(&mut is_begun[index], true) {
                    stack.extend(inputs.filter(|input| !is_begun[*input]));
                    continue;
                }
                stack.pop();
                if chains[index].is_none() {
                    let below = inputs.filter_map(|input| chains[input]).max();
                    chains[index] = Some(left[index] + below.unwrap_or_default());
                }
            }
        }
        chains.into_iter().flatten().max().unwrap_or_default()
    }
}

/// Returns whether a derivation is to be built yet.
fn is_open(state: BuildState) -> bool {
    match state {
        BuildState::Planned | BuildState::Waiting(_) | BuildState::Running => true,
        BuildState::Built
        | BuildState::Failed
        | BuildState::DependencyFailed
        | BuildState::Interrupted => false,
    }
}

/// Returns how long one derivation still takes; nothing where it is done, or that is not known.
fn left_of(node: &BuildNode, now: Duration, usual: &UsualBuilds) -> Duration {
    if !is_open(node.state()) {
        return Duration::ZERO;
    }
    let usual = usual.get(node.package()).copied().unwrap_or_default();
    let taken = if node.state() == BuildState::Running { node.time(now) } else { None };
    Duration::from_millis(usual).saturating_sub(taken.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::StorePath;
    use crate::nix::activity::ActivityLog;
    use crate::nix::derivation::Derivation;

    /// Derivations of the recording: top needs libgit and openssl, libgit needs zlib.
    const STREAM: &str = include_str!("../../../tests/nix-logs/deps-2.26.log");

    fn usual(packages: &[(&str, u64)]) -> UsualBuilds {
        packages.iter().map(|(name, seconds)| ((*name).to_owned(), seconds * 1000)).collect()
    }

    /// The recording up to the begin of its first build, 10 s ago.
    fn begun() -> ActivityLog {
        let mut log = ActivityLog::new();
        for line in STREAM.lines() {
            log.fold(line, Some(Duration::from_secs(5)), &mut |_| {});
            if log.tree().count(|state| state == BuildState::Running) > 0 {
                break;
            }
        }
        log
    }

    fn left(log: &ActivityLog, usual: &UsualBuilds) -> Option<u64> {
        Some(log.tree().time_left(Duration::from_secs(15), usual)?.as_secs())
    }

    #[test]
    fn a_build_takes_as_long_as_its_longest_chain_or_all_of_it_one_after_the_other() {
        let mut log = begun();
        let running = log.tree().nodes().iter().find(|node| node.state() == BuildState::Running);
        assert_eq!(running.map(BuildNode::package), Some("openssl"));
        let times = usual(&[("openssl", 30), ("zlib", 100), ("libgit", 7), ("top", 1)]);
        assert_eq!(left(&log, &times), Some(20 + 100 + 7 + 1), "one at once");
        // Three at once, and nothing known of the order: as long as the longest.
        for name in ["zlib-1.3", "libgit-1.8"] {
            let node = log.tree().nodes().iter().find(|node| node.drv().contains(name)).unwrap();
            let (drv, id) = (node.drv().to_owned(), name.len());
            let start =
                format!(r#"@nix {{"action":"start","id":{id},"type":105,"fields":["{drv}"]}}"#);
            log.fold(&start, Some(Duration::from_secs(15)), &mut |_| {});
        }
        assert_eq!(left(&log, &times), Some(100));
        for line in include_str!("../../../tests/nix-logs/deps-2.26.drvs").lines() {
            let (path, text) = line.split_once('\t').unwrap();
            let read = Derivation::parse(text).unwrap();
            log.tree_mut().learn(&StorePath::parse(path).unwrap(), &read);
        }
        assert_eq!(left(&log, &times), Some(100 + 7 + 1), "top waits for libgit, that for zlib");
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let log = begun();
        assert_eq!(left(&log, &usual(&[("openssl", 30), ("zlib", 100), ("libgit", 7)])), None);
        assert_eq!(left(&ActivityLog::new(), &usual(&[])), None);
    }
}
